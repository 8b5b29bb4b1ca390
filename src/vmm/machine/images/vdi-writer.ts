/** New VDI images (version 1.1, growing): header, map, and the blocks that hold anything. */
import { SECTOR_BYTES } from './disk-file';

export const VDI_BLOCK_BYTES = 1 << 20;
const FILE_BYTES_MAX = 2 ** 31;
const MAP_AT = 512;
const BLOCK_FREE = 0xffffffff;
const TYPE_NORMAL = 1;

/**
 * @param blocks those that are not empty, of VDI_BLOCK_BYTES (the last one may be shorter).
 * @param identity 16 random bytes each for what identifies the image and its state.
 * @returns undefined when the image would be larger than 2 GiB
 */
export function vdiFrom(diskBytes: number, blocks: Iterable<{ readonly number: number; readonly data: Uint8Array }>, identity: Uint8Array): Uint8Array | undefined {
  const count = Math.ceil(diskBytes / VDI_BLOCK_BYTES);
  const dataAt = Math.ceil((MAP_AT + 4 * count) / SECTOR_BYTES) * SECTOR_BYTES;
  const header = new Uint8Array(dataAt), view = new DataView(header.buffer);
  const kept: Uint8Array[] = [];
  for (let n = 0; n < count; n++) view.setUint32(MAP_AT + 4 * n, BLOCK_FREE, true);
  for (const { number, data } of blocks) {
    view.setUint32(MAP_AT + 4 * number, kept.length, true);
    kept.push(data);
    if (dataAt + kept.length * VDI_BLOCK_BYTES > FILE_BYTES_MAX) return undefined;
  }
  header.set(new TextEncoder().encode('<<< Oracle VM VirtualBox Disk Image >>>\n'));
  const fields: readonly (readonly [offset: number, value: number])[] = [
    [64, 0xbeda107f], [68, 0x10001], [72, 400], [76, TYPE_NORMAL], [340, MAP_AT], [344, dataAt], [360, SECTOR_BYTES], [376, VDI_BLOCK_BYTES], [384, count], [388, kept.length], [468, SECTOR_BYTES],
  ];
  for (const [offset, value] of fields) view.setUint32(offset, value, true);
  view.setBigUint64(368, BigInt(diskBytes), true);
  // Of version 4 (random), as every program takes them.
  for (let n = 0; n < 2; n++) {
    const uuid = identity.slice(16 * n, 16 * n + 16);
    uuid[7] = (uuid[7] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    header.set(uuid, 392 + 16 * n);
  }
  const result = new Uint8Array(dataAt + kept.length * VDI_BLOCK_BYTES);
  result.set(header);
  kept.forEach((data, n) => result.set(data, dataAt + n * VDI_BLOCK_BYTES));
  return result;
}
