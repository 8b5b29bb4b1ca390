/** Raw images: the sectors of the disk one behind the other. */
import type { SectorSource } from './disk-file';
import type { CopyOnWriteDisk } from './copy-on-write';

export class RawImage implements SectorSource {
  readonly sectors: number;

  /**
   * @param bytes a last partial sector is filled up with zeros.
   * @param sectors size of the medium when it is larger than the image (a boot sector on a floppy); what is missing reads as zeros.
   */
  constructor(private readonly bytes: Uint8Array, readonly sectorSize: number, sectors = 0) {
    this.sectors = Math.max(sectors, Math.ceil(bytes.length / sectorSize));
  }

  read(sector: number, count: number): Uint8Array {
    const result = new Uint8Array(count * this.sectorSize);
    const from = sector * this.sectorSize;
    result.set(this.bytes.subarray(Math.min(from, this.bytes.length), Math.min(from + result.length, this.bytes.length)));
    return result;
  }
}

/** The image with what the guest has written. It keeps its size, unless the guest has written behind its end. */
export function changedRaw(bytes: Uint8Array, disk: CopyOnWriteDisk): Uint8Array {
  let { length } = bytes;
  for (const { sector } of disk.writtenSectors()) length = Math.max(length, (sector + 1) * disk.sectorSize);
  const result = new Uint8Array(length);
  result.set(bytes);
  for (const written of disk.writtenSectors()) result.set(written.bytes, written.sector * disk.sectorSize);
  return result;
}
