/**
 * VirtualBox disk images, versions 0 and 1.1: a header, a map with one entry per block, and the blocks that hold anything. Fixed and growing images, and differences to a
 * parent image that has to be given.
 */
import { MachineError } from '../api';
import type { CopyOnWriteDisk } from './copy-on-write';
import { DamagedSector, HeaderReader, SECTOR_BYTES, backingBytes, gather, type SectorSource } from './disk-file';

const SIGNATURE = 0xbeda107f, SIGNATURE_AT = 64;
const PREHEADER_BYTES = 72;
const HEADER_V1 = 384, HEADER_V1_PLUS = 400;
const BLOCK_FREE = 0xffffffff, BLOCK_ZERO = 0xfffffffe;
/** Larger blocks would make a guest's small writes large (VirtualBox makes 1 MiB). */
const BLOCK_BYTES_MAX = 64 << 20;
const FILE_BYTES_MAX = 2 ** 31;
const KNOWN_FLAGS = 1;
/** Values of the type field. */
const TYPE_NORMAL = 1, TYPE_UNDO = 3, TYPE_DIFF = 4;
const LCHS_AT = 456, HEADER_V1_PLUS_END = 472;

export function isVdi(bytes: Uint8Array): boolean {
  return bytes.length >= PREHEADER_BYTES && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(SIGNATURE_AT, true) === SIGNATURE;
}

interface VdiHeader {
  readonly version: 0 | 1;
  readonly headerBytes: number;
  readonly type: number;
  readonly sectors: number;
  readonly mapAt: number;
  readonly dataAt: number;
  readonly blockBytes: number;
  /** Bytes in front of each block's data. */
  readonly extraBytes: number;
  readonly blocks: number;
  readonly allocated: number;
  /** Offset of the count of allocated blocks. */
  readonly allocatedAt: number;
  readonly modifyUuidAt: number;
  readonly createUuid: string;
  readonly modifyUuid: string;
  readonly linkageUuid: string;
  /** The parent's state when the difference was made. */
  readonly parentModifyUuid: string;
}

const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));

function uuid(header: HeaderReader, at: number, field: string): string {
  header.u64(at + 8, field);
  return Array.from(header.bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const NIL = '0'.repeat(32);

function parseHeader(h: HeaderReader): VdiHeader {
  h.check(h.u32(SIGNATURE_AT, 'the signature') === SIGNATURE, 'the signature at offset 64 is not BEDA107F');
  const version = h.u32(68, 'the version');
  const major = version >>> 16;
  if (major > 1) h.fail(`version ${major}.${version & 0xffff} is unknown; 0 and 1.1 are supported`);
  const v1 = major === 1;
  const headerBytes = v1 ? h.u32(72, 'cbHeader') : 0;
  if (v1) h.check(headerBytes >= HEADER_V1, `cbHeader is ${headerBytes}, at least ${HEADER_V1} are needed`);
  // Version 0 has no header size, so its fields begin four bytes earlier, and no offsets.
  const base = v1 ? 76 : 72;
  const type = h.u32(base, 'the image type');
  h.check(type >= TYPE_NORMAL && type <= TYPE_DIFF, `the image type is ${type}; 1 (normal), 2 (fixed), 3 (undo) and 4 (differencing) exist`);
  const flags = h.u32(base + 4, 'fFlags');
  h.check((flags & ~KNOWN_FLAGS) === 0, `fFlags is 0x${flags.toString(16)}: unknown flags`);
  const geometryAt = v1 ? 348 : base + 8 + 256;
  const fields = v1
    ? { disk: 368, block: 376, extra: 380, blocks: 384, allocated: 388, create: 392 }
    : { disk: geometryAt + 16, block: geometryAt + 24, extra: -1, blocks: geometryAt + 28, allocated: geometryAt + 32, create: geometryAt + 36 };
  const sectorBytes = h.u32(geometryAt + 12, 'the geometry\'s sector size');
  h.check(sectorBytes === SECTOR_BYTES || (sectorBytes === 0 && h.u32(geometryAt, 'the geometry') === 0), `the geometry's sector size is ${sectorBytes}; only 512 is supported`);
  if (headerBytes >= HEADER_V1_PLUS) {
    const logical = h.u32(LCHS_AT + 12, 'LCHSGeometry.cbSector');
    h.check(logical === SECTOR_BYTES || logical === 0, `LCHSGeometry.cbSector is ${logical}; only 512 is supported`);
  }
  const diskBytes = h.u64(fields.disk, 'cbDisk'), blockBytes = h.u32(fields.block, 'cbBlock');
  const extra = fields.extra < 0 ? 0 : h.u32(fields.extra, 'cbBlockExtra');
  const blocks = h.u32(fields.blocks, 'cBlocks'), allocated = h.u32(fields.allocated, 'cBlocksAllocated');
  h.check(blocks > 0, 'cBlocks is 0');
  h.check(isPowerOfTwo(blockBytes) && blockBytes >= SECTOR_BYTES && blockBytes <= BLOCK_BYTES_MAX, `cbBlock is ${blockBytes}, which is no power of two from 512 to 64 MiB`);
  h.check(extra === 0 || (isPowerOfTwo(extra) && extra <= BLOCK_BYTES_MAX), `cbBlockExtra is ${extra}, which is no power of two`);
  h.check(allocated <= blocks, `cBlocksAllocated is ${allocated}, more than cBlocks (${blocks})`);
  const sectors = h.sectorsOf(diskBytes, 'cbDisk');
  h.check(blockBytes * blocks >= diskBytes, `cBlocks × cbBlock (${blocks} × ${blockBytes}) is less than cbDisk (${diskBytes})`);
  const createUuid = uuid(h, fields.create, 'uuidCreate'), modifyUuid = uuid(h, fields.create + 16, 'uuidModify');
  h.check(createUuid !== NIL, 'uuidCreate is nil');
  h.check(modifyUuid !== NIL, 'uuidModify is nil');
  const headerEnd = fields.create + 48;
  const mapAt = v1 ? h.u32(340, 'offBlocks') : headerEnd;
  if (v1) h.check(mapAt >= PREHEADER_BYTES + HEADER_V1, `offBlocks is ${mapAt}, inside the header`);
  const dataAt = v1 ? h.u32(344, 'offData') : mapAt + 4 * blocks;
  h.check(dataAt >= mapAt + 4 * blocks, `offData is ${dataAt}, inside the block map (${mapAt} + 4 × ${blocks})`);
  h.check(mapAt + 4 * blocks <= h.bytes.length, `the block map (${blocks} entries at offset ${mapAt}) lies beyond the end of the file (${h.bytes.length} bytes)`);
  return {
    version: v1 ? 1 : 0, headerBytes, type, sectors, mapAt, dataAt, blockBytes, extraBytes: Math.ceil(extra / SECTOR_BYTES) * SECTOR_BYTES, blocks, allocated,
    allocatedAt: fields.allocated, modifyUuidAt: fields.create + 16, createUuid, modifyUuid, linkageUuid: uuid(h, fields.create + 32, 'uuidLinkage'),
    parentModifyUuid: v1 ? uuid(h, fields.create + 48, 'uuidParentModify') : NIL,
  };
}

export class VdiImage implements SectorSource {
  readonly sectorSize = SECTOR_BYTES;
  readonly sectors: number;
  private readonly header: VdiHeader;
  private readonly view: DataView;

  /**
   * @param parent what a differencing image is a difference to.
   * @throws MachineError that names the file and the field.
   */
  constructor(private readonly file: string, private readonly bytes: Uint8Array, private readonly parent?: SectorSource) {
    const reader = new HeaderReader(file, 'VDI', bytes, true);
    this.header = parseHeader(reader);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.sectors = this.header.sectors;
    const { type } = this.header;
    if ((type === TYPE_DIFF || type === TYPE_UNDO) && parent === undefined) {
      reader.fail('it holds only the differences to a parent image', 'Give the parent as the backing image (--hda-backing, "hdaBacking"), or merge them: VBoxManage clonemedium CHILD OUT.');
    }
    if (parent instanceof VdiImage && parent.header.createUuid !== this.header.linkageUuid) {
      reader.fail('uuidLinkage is not the backing image\'s uuidCreate', 'Give the image that this one was made from.');
    }
    const { parentModifyUuid } = this.header;
    if (parent instanceof VdiImage && parentModifyUuid !== NIL && parent.header.modifyUuid !== parentModifyUuid) {
      reader.fail('uuidParentModify is not the backing image\'s uuidModify: the backing image was changed since', 'Give it as it was when this one was made.');
    }
  }

  /** The block map's entry. */
  private entry(block: number): number {
    return this.view.getUint32(this.header.mapAt + 4 * block, true);
  }

  private blockDataAt(entry: number): number {
    const { dataAt, blockBytes, extraBytes } = this.header;
    return dataAt + entry * (blockBytes + extraBytes) + extraBytes;
  }

  read(sector: number, count: number): Uint8Array {
    const { blockBytes } = this.header;
    return gather(sector, count, (offset, most) => {
      const block = Math.floor(offset / blockBytes), within = offset % blockBytes;
      const here = Math.min(most, blockBytes - within);
      const entry = this.entry(block);
      if (entry === BLOCK_ZERO || (entry === BLOCK_FREE && this.parent === undefined)) return here;
      if (entry === BLOCK_FREE) return backingBytes(this.parent, offset, here);
      const at = this.blockDataAt(entry) + within;
      // The last block may be cut at the end of the disk.
      if (entry >= this.header.blocks || at + here > this.bytes.length) throw new DamagedSector(`VDI: block ${block} is beyond the end of the file`);
      return this.bytes.subarray(at, at + here);
    });
  }

  /**
   * The image with what the guest has written: in place where a block exists, else in new blocks at the end.
   * @throws MachineError when a block that was written is damaged, or the image would become too large
   */
  changed(disk: CopyOnWriteDisk): Uint8Array {
    const refuse = (problem: string): never => {
      throw new MachineError('write-back', `${this.file}: VDI image: ${problem}; it was not changed`, 'Repair it with the program that made it: VBoxManage clonemedium IN OUT.');
    };
    const { header } = this;
    const { blockBytes, extraBytes } = header;
    const perBlock = blockBytes / SECTOR_BYTES;
    const changes = new Map<number, { readonly within: number; readonly bytes: Uint8Array }[]>();
    for (const { sector, bytes } of disk.writtenSectors()) {
      const block = Math.floor(sector / perBlock);
      if (!changes.has(block)) changes.set(block, []);
      changes.get(block)!.push({ within: (sector % perBlock) * SECTOR_BYTES, bytes });
    }
    const added = [...changes.keys()].filter((block) => this.entry(block) >= BLOCK_ZERO).length;
    if (header.dataAt + (header.allocated + added) * (blockBytes + extraBytes) > FILE_BYTES_MAX) refuse('it would become larger than 2 GiB');
    let { allocated } = header;
    const placed = [...changes].map(([block, sectors]) => {
      const entry = this.entry(block);
      if (entry < BLOCK_ZERO) {
        if (this.blockDataAt(entry) + blockBytes > this.bytes.length) refuse(`block ${block} lies beyond the end of the file`);
        return { block, entry, fresh: undefined, sectors };
      }
      const fresh = new Uint8Array(blockBytes);
      const first = block * perBlock;
      if (entry === BLOCK_FREE && this.parent) fresh.set(this.readOr(first, Math.min(perBlock, this.sectors - first), () => refuse(`block ${block} cannot be read from the backing image`)));
      for (const { within, bytes } of sectors) fresh.set(bytes, within);
      const zero = this.parent === undefined && fresh.every((byte) => byte === 0);
      return { block, entry: zero ? BLOCK_ZERO : allocated++, fresh: zero ? undefined : fresh, sectors: [] };
    });
    if (allocated > header.blocks) refuse('cBlocksAllocated contradicts the block map');
    const result = new Uint8Array(Math.max(this.bytes.length, allocated > header.allocated ? header.dataAt + allocated * (blockBytes + extraBytes) : 0));
    result.set(this.bytes);
    const view = new DataView(result.buffer);
    for (const { block, entry, fresh, sectors } of placed) {
      view.setUint32(header.mapAt + 4 * block, entry, true);
      if (fresh) result.set(fresh, this.blockDataAt(entry));
      for (const { within, bytes } of sectors) result.set(bytes, this.blockDataAt(entry) + within);
    }
    view.setUint32(header.allocatedAt, allocated, true);
    // What is opened for writing gets the longer header when there is room for it.
    if (header.headerBytes === HEADER_V1 && header.mapAt >= HEADER_V1_PLUS_END) {
      view.setUint32(PREHEADER_BYTES, HEADER_V1_PLUS, true);
      result.fill(0, LCHS_AT, HEADER_V1_PLUS_END);
    }
    // Differencing images notice a parent that has changed by this identity.
    view.setUint32(header.modifyUuidAt + 12, (view.getUint32(header.modifyUuidAt + 12, true) + 1) >>> 0, true);
    return result;
  }

  private readOr(sector: number, count: number, damaged: () => never): Uint8Array {
    try {
      return this.read(sector, count);
    } catch (error) {
      if (error instanceof DamagedSector) return damaged();
      throw error;
    }
  }
}
