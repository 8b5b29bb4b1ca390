/** Small disk images of every format, made field by field, so that a test can damage any of them. Each block or cluster of the disk is named by its content. */
import { deflateRawSync, deflateSync } from 'node:zlib';

const SECTOR = 512;

/** What is in a block: a byte to fill it with, nothing at all, or zeros that are noted as such. */
export type Content = number | 'free' | 'zero';

const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value);

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export interface VdiFields {
  readonly version?: number;
  readonly headerBytes?: number;
  readonly type?: number;
  readonly flags?: number;
  readonly offBlocks?: number;
  readonly offData?: number;
  readonly diskBytes?: number;
  readonly blockBytes?: number;
  readonly extraBytes?: number;
  readonly blocks?: number;
  readonly allocated?: number;
  readonly create?: number;
  readonly modify?: number;
  readonly linkage?: number;
  readonly parentModify?: number;
  readonly sectorBytes?: number;
  readonly logicalSectorBytes?: number;
}

/** A VDI image; UUIDs are given by one byte that fills them. Blocks have 4 KiB unless told otherwise. */
export function vdiImage(content: readonly Content[], fields: VdiFields = {}): Uint8Array {
  const { version = 0x10001, headerBytes = 400, type = 1, flags = 0, blockBytes = 4096, extraBytes = 0, blocks = content.length, create = 0x11, modify = 0x22, linkage = 0, parentModify = 0, sectorBytes = SECTOR } = fields;
  const v1 = version >>> 16 !== 0;
  const offBlocks = fields.offBlocks ?? (v1 ? 512 : 420), offData = fields.offData ?? (v1 ? 512 * Math.ceil((512 + 4 * content.length) / 512) : offBlocks + 4 * content.length);
  const numbered = content.filter((one) => typeof one === 'number');
  const data = numbered.flatMap((value) => [new Uint8Array(extraBytes), filled(blockBytes, value)]);
  const header = new Uint8Array(Math.max(offData, offBlocks + 4 * content.length, v1 ? 472 : 0));
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode('<<< Sun xVM VirtualBox Disk Image >>>\n'));
  view.setUint32(64, 0xbeda107f, true);
  view.setUint32(68, version, true);
  const base = v1 ? 76 : 72, geometry = v1 ? 348 : 336;
  view.setUint32(base, type, true);
  view.setUint32(base + 4, flags, true);
  [2, 16, 63, sectorBytes].forEach((value, n) => view.setUint32(geometry + 4 * n, value, true));
  const at = v1 ? { disk: 368, block: 376, blocks: 384, create: 392 } : { disk: 352, block: 360, blocks: 364, create: 372 };
  view.setBigUint64(at.disk, BigInt(fields.diskBytes ?? content.length * blockBytes), true);
  view.setUint32(at.block, blockBytes, true);
  if (v1) {
    view.setUint32(72, headerBytes, true);
    view.setUint32(340, offBlocks, true);
    view.setUint32(344, offData, true);
    view.setUint32(380, extraBytes, true);
    if (headerBytes >= 400) [2, 16, 63, fields.logicalSectorBytes ?? SECTOR].forEach((value, n) => view.setUint32(456 + 4 * n, value, true));
  }
  view.setUint32(at.blocks, blocks, true);
  view.setUint32(at.blocks + 4, fields.allocated ?? numbered.length, true);
  [create, modify, linkage].forEach((value, n) => header.fill(value, at.create + 16 * n, at.create + 16 * n + 16));
  if (v1) header.fill(parentModify, 440, 456);
  let next = 0;
  content.forEach((one, n) => view.setUint32(offBlocks + 4 * n, one === 'free' ? 0xffffffff : one === 'zero' ? 0xfffffffe : next++, true));
  return join(header, ...data);
}

export interface Qcow2Fields {
  readonly version?: 2 | 3;
  readonly backing?: string;
  readonly backingFormat?: string;
  /** Clusters of numbers are compressed. */
  readonly compressed?: boolean;
  readonly incompatible?: number;
}

export const QCOW2_CLUSTER = 4096;

/** A qcow2 image with clusters of 4 KiB: header, first-level table, one second-level table, data. */
export function qcow2Image(content: readonly Content[], { version = 3, backing, backingFormat, compressed = false, incompatible = 0 }: Qcow2Fields = {}): Uint8Array {
  const cluster = QCOW2_CLUSTER;
  const header = new Uint8Array(cluster), l1 = new Uint8Array(cluster), l2 = new Uint8Array(cluster);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, version);
  if (backing !== undefined) {
    const name = new TextEncoder().encode(backing);
    header.set(name, 512);
    view.setBigUint64(8, 512n);
    view.setUint32(16, name.length);
  }
  if (backingFormat !== undefined) {
    const at = version === 3 ? 104 : 72;
    view.setUint32(at, 0xe2792aca);
    view.setUint32(at + 4, backingFormat.length);
    header.set(new TextEncoder().encode(backingFormat), at + 8);
  }
  view.setUint32(20, 12);
  view.setBigUint64(24, BigInt(content.length * cluster));
  view.setUint32(36, 1);
  view.setBigUint64(40, BigInt(cluster));
  if (version === 3) {
    view.setBigUint64(72, BigInt(incompatible));
    view.setUint32(96, 4);
    view.setUint32(100, 104);
  }
  new DataView(l1.buffer).setBigUint64(0, (1n << 63n) | BigInt(2 * cluster));
  const entries = new DataView(l2.buffer);
  const data: Uint8Array[] = [];
  let at = 3 * cluster;
  content.forEach((one, n) => {
    if (one === 'free') return;
    if (one === 'zero') {
      entries.setBigUint64(8 * n, 1n);
      return;
    }
    if (!compressed) {
      entries.setBigUint64(8 * n, (1n << 63n) | BigInt(at));
      data.push(filled(cluster, one));
      at += cluster;
      return;
    }
    // Odd places, so that offsets are not at sectors: 58 bits of offset, then further sectors.
    const bytes = new Uint8Array(deflateRawSync(Uint8Array.from({ length: cluster }, (_, i) => (one + (i >> 5)) & 0xff)));
    const sectors = Math.floor((at + bytes.length - 1) / SECTOR) - Math.floor(at / SECTOR);
    entries.setBigUint64(8 * n, (1n << 62n) | (BigInt(sectors) << 58n) | BigInt(at));
    data.push(bytes, new Uint8Array(3));
    at += bytes.length + 3;
  });
  const result = join(header, l1, l2, ...data);
  return compressed ? join(result, new Uint8Array(SECTOR)) : result;
}

export const VMDK_GRAIN = 8 * SECTOR;

export interface VmdkFields {
  readonly compressed?: boolean;
  readonly parent?: string;
  /** The parent's file. */
  readonly hint?: string;
  readonly createType?: string;
}

/** Type, sectors, file and offset of an extent. */
export type ExtentFields = readonly [type: string, sectors: number, name?: string, offset?: number];

/** A VMDK descriptor file. */
export function descriptor(extents: readonly ExtentFields[], { parent = 'ffffffff', hint, createType = 'twoGbMaxExtentSparse' }: VmdkFields = {}): Uint8Array {
  const lines = extents.map(([type, sectors, name, offset]) => `RW ${sectors} ${type}${name === undefined ? '' : ` "${name}"`}${offset === undefined ? '' : ` ${offset}`}`);
  const text = `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=${parent}\ncreateType="${createType}"\n${hint === undefined ? '' : `parentFileNameHint="${hint}"\n`}\n# Extent description\n${lines.join('\n')}\n`;
  return new TextEncoder().encode(text);
}

/** A VMDK image with grains of 4 KiB: monolithicSparse, or streamOptimized with the directory's place in the footer. */
export function vmdkImage(content: readonly Content[], fields: VmdkFields = {}): Uint8Array {
  const { compressed = false, createType = compressed ? 'streamOptimized' : 'monolithicSparse' } = fields;
  const header = new Uint8Array(SECTOR), embedded = new Uint8Array(2 * SECTOR), directory = new Uint8Array(SECTOR), table = new Uint8Array(4 * SECTOR);
  embedded.set(descriptor([['SPARSE', content.length * 8, 'x.vmdk']], { ...fields, createType }));
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x564d444b, true);
  view.setUint32(4, compressed ? 3 : 1, true);
  view.setUint32(8, 1 | 4 | (compressed ? 0x30000 : 0), true);
  const put = (to: DataView, at: number, value: number | bigint): void => to.setBigUint64(at, BigInt(value), true);
  put(view, 12, content.length * 8);
  put(view, 20, 8);
  put(view, 28, 1);
  put(view, 36, 2);
  view.setUint32(44, 512, true);
  view.setUint32(73, 0x0a0d200a, true);
  view.setUint16(77, compressed ? 1 : 0, true);
  const directoryAt = 3, tableAt = 4;
  put(view, 56, directoryAt);
  new DataView(directory.buffer).setUint32(0, tableAt, true);
  const entries = new DataView(table.buffer);
  const data: Uint8Array[] = [];
  let at = 8;
  content.forEach((one, n) => {
    if (typeof one !== 'number') {
      entries.setUint32(4 * n, one === 'zero' ? 1 : 0, true);
      return;
    }
    entries.setUint32(4 * n, at, true);
    let grain = filled(VMDK_GRAIN, one);
    if (compressed) {
      const packed = new Uint8Array(deflateSync(Uint8Array.from({ length: VMDK_GRAIN }, (_, i) => (one + (i >> 5)) & 0xff)));
      grain = new Uint8Array(SECTOR * Math.ceil((12 + packed.length) / SECTOR));
      const marker = new DataView(grain.buffer);
      put(marker, 0, n * 8);
      marker.setUint32(8, packed.length, true);
      grain.set(packed, 12);
    }
    data.push(grain);
    at += grain.length / SECTOR;
  });
  if (!compressed) return join(header, embedded, directory, table, ...data);
  const footer = header.slice();
  put(view, 56, 2n ** 64n - 1n);
  return join(header, embedded, directory, table, ...data, footer, new Uint8Array(SECTOR));
}
