/**
 * VMware disk images, for reading, after "Virtual Disk Format 5.0": growing ones (sparse), those with compressed grains (streamOptimized), flat ones, and disks of several
 * such files that a descriptor names. Differences to a parent beside them.
 */
import { ALONE, DamagedSector, HeaderReader, SECTOR_BYTES, backingBytes, gather, type SectorSource, type Surroundings } from './disk-file';
import { InflateError, inflate } from './inflate';
import { isVmdkDescriptor, parentName, vmdkDescriptor, type VmdkDescriptor, type VmdkExtent } from './vmdk-descriptor';

const MAGIC = 0x564d444b;
const FLAG_NEWLINES = 1, FLAG_ZERO_GRAINS = 4, FLAG_COMPRESSED = 0x10000;
const COMPRESSION_NONE = 0, COMPRESSION_DEFLATE = 1;
/** The directory's place is told by the footer, 1024 bytes before the end. */
const DIRECTORY_IN_FOOTER = Infinity, FOOTER_FROM_END = 1024;
const GRAIN_SECTORS_MAX = 2048, ENTRIES_MAX = 4096;
const DIRECTORY_BYTES_MAX = 64 << 20;
const GRAIN_ZERO = 1;
const MARKER_BYTES = 12;
const CACHED_GRAINS = 16;

/** Where the sectors of an extent are in its disk, and what the disk holds differences to. */
interface Place {
  readonly parent: SectorSource | undefined;
  readonly firstSector: number;
}

/** A disk in one file, or in several that a descriptor names. @throws MachineError that names the file and the field. */
export function openVmdk(file: string, bytes: Uint8Array, around: Surroundings = ALONE): SectorSource {
  const h = new HeaderReader(file, 'VMDK', bytes, true);
  const descriptor = vmdkDescriptor(h);
  const place = { parent: descriptor?.parent && parentOf(h, descriptor.parent, around), firstSector: 0 };
  return isVmdkDescriptor(bytes) ? new ExtentsDisk(h, descriptor!.extents, place.parent, around) : new SparseExtent(file, bytes, place);
}

function parentOf(h: HeaderReader, parent: NonNullable<VmdkDescriptor['parent']>, around: Surroundings): SectorSource {
  if (around.backing) return around.backing;
  const name = parentName(h, parent), bytes = around.bytes(name), disk = around.disk(name);
  if (!bytes || !disk) return h.fail(`it holds only the differences to a parent, ${JSON.stringify(name)}, which is not beside it`, 'Put it there, or merge them: qemu-img convert -O raw IN OUT.');
  const contentId = isVmdk(bytes) || isVmdkDescriptor(bytes) ? vmdkDescriptor(new HeaderReader(name, 'VMDK', bytes, true))?.contentId : undefined;
  if (contentId !== undefined && contentId !== parent.contentId) h.fail(`parentCID is ${parent.contentId}, but the CID of ${JSON.stringify(name)} is ${contentId}: it was changed, or is another one`);
  return disk;
}

export function isVmdk(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true) === MAGIC;
}

/** The extents that a descriptor names, one behind the other. */
class ExtentsDisk implements SectorSource {
  readonly sectorSize = SECTOR_BYTES;
  readonly sectors: number;
  /** The first sector of each, and what reads it; nothing for zeros. */
  private readonly extents: readonly { readonly first: number; readonly end: number; read(offset: number, bytes: number): Uint8Array | number }[];

  constructor(h: HeaderReader, extents: readonly VmdkExtent[], parent: SectorSource | undefined, around: Surroundings) {
    let end = 0;
    this.extents = extents.map((extent) => {
      const first = end;
      end += extent.sectors;
      return { first, end, read: reader(h, extent, { parent, firstSector: first }, around) };
    });
    this.sectors = end;
  }

  read(sector: number, count: number): Uint8Array {
    let n = this.extents.findIndex(({ end }) => sector < end);
    return gather(sector, count, (offset, most) => {
      while (offset >= this.extents[n].end * SECTOR_BYTES) n++;
      const { first, end, read } = this.extents[n];
      return read(offset - first * SECTOR_BYTES, Math.min(most, end * SECTOR_BYTES - offset));
    });
  }
}

function reader(h: HeaderReader, { kind, name, access, sectors, offset }: VmdkExtent, place: Place, around: Surroundings): (offset: number, bytes: number) => Uint8Array | number {
  if (access === 'NOACCESS') return () => { throw new DamagedSector(`VMDK: the extent ${name} must not be accessed`); };
  if (kind === 'zero') return (_, length) => length;
  const bytes = around.bytes(name) ?? h.fail(`the extent ${JSON.stringify(name)} is not beside it`, 'Put it there under that name.');
  if (kind === 'flat') {
    const start = offset * SECTOR_BYTES;
    h.check(start + sectors * SECTOR_BYTES <= bytes.length, `the extent ${JSON.stringify(name)} has ${bytes.length} bytes, but ${sectors} sectors from sector ${offset} on need ${start + sectors * SECTOR_BYTES}`);
    return (at, length) => bytes.subarray(start + at, start + at + length);
  }
  const sparse = new SparseExtent(name, bytes, place);
  h.check(sparse.sectors >= sectors, `the extent ${JSON.stringify(name)} has ${sparse.sectors} sectors instead of ${sectors}`);
  return (at, length) => sparse.read(at / SECTOR_BYTES, length / SECTOR_BYTES);
}

/** Grains with a directory of where they are: a whole image, or an extent of one. */
class SparseExtent implements SectorSource {
  readonly sectorSize = SECTOR_BYTES;
  readonly sectors: number;
  private readonly view: DataView;
  private readonly grainBytes: number;
  private readonly entriesPerTable: number;
  private readonly directoryAt: number;
  private readonly zeroGrains: boolean;
  private readonly compressed: boolean;
  private readonly decompressed = new Map<number, Uint8Array>();

  /** @throws MachineError that names the file and the field. */
  constructor(file: string, private readonly bytes: Uint8Array, private readonly place: Place) {
    const h = new HeaderReader(file, 'VMDK', bytes, true);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    h.check(h.u32(0, 'magicNumber') === MAGIC, 'magicNumber is not "KDMV"');
    const version = h.u32(4, 'version');
    if (version < 1 || version > 3) h.fail(`version is ${version}; 1 to 3 are supported`);
    const flags = h.u32(8, 'flags');
    if (flags & FLAG_NEWLINES) h.check(h.u32(73, 'the newline test') === 0x0a0d200a, 'the newline characters in the header were changed: it was transferred as text');
    const capacity = h.u64(12, 'capacity');
    this.sectors = h.sectorsOf(capacity * SECTOR_BYTES, 'capacity');
    const grainSectors = h.u64(20, 'grainSize');
    h.check(Number.isInteger(Math.log2(grainSectors)) && grainSectors >= 8 && grainSectors <= GRAIN_SECTORS_MAX, `grainSize is ${grainSectors} sectors; a power of two from 8 to ${GRAIN_SECTORS_MAX} is supported`);
    this.grainBytes = grainSectors * SECTOR_BYTES;
    this.entriesPerTable = h.u32(44, 'numGTEsPerGT');
    h.check(this.entriesPerTable > 0 && this.entriesPerTable <= ENTRIES_MAX, `numGTEsPerGT is ${this.entriesPerTable}; 1 to ${ENTRIES_MAX} are supported`);
    this.zeroGrains = (flags & FLAG_ZERO_GRAINS) !== 0;
    this.compressed = (flags & FLAG_COMPRESSED) !== 0;
    const algorithm = h.u16(77, 'compressAlgorithm');
    h.check(algorithm === (this.compressed ? COMPRESSION_DEFLATE : COMPRESSION_NONE), `compressAlgorithm is ${algorithm}; ${this.compressed ? '1 (deflate)' : '0, as the flags say,'} is supported`);
    let directory = h.u64(56, 'gdOffset');
    if (directory === DIRECTORY_IN_FOOTER) {
      const footer = bytes.length - FOOTER_FROM_END;
      h.check(footer > 0 && h.u32(footer, 'the footer') === MAGIC, 'gdOffset points to the footer, and there is none 1024 bytes before the end');
      directory = h.u64(footer + 56, 'gdOffset of the footer');
    }
    const tables = Math.ceil(Math.ceil(this.sectors / grainSectors) / this.entriesPerTable);
    h.check(4 * tables <= DIRECTORY_BYTES_MAX, `capacity needs a grain directory of ${4 * tables} bytes, more than ${DIRECTORY_BYTES_MAX}`);
    this.directoryAt = directory * SECTOR_BYTES;
    h.check(directory > 0 && this.directoryAt + 4 * tables <= bytes.length, `gdOffset is ${directory}: the grain directory (${tables} entries) lies beyond the end of the file`);
  }

  read(sector: number, count: number): Uint8Array {
    const { grainBytes } = this;
    return gather(sector, count, (offset, most) => {
      const within = offset % grainBytes, here = Math.min(most, grainBytes - within);
      const grain = Math.floor(offset / grainBytes);
      const tableAt = this.view.getUint32(this.directoryAt + 4 * Math.floor(grain / this.entriesPerTable), true) * SECTOR_BYTES;
      if (tableAt === 0) return this.absent(offset, here);
      const entryAt = tableAt + 4 * (grain % this.entriesPerTable);
      if (entryAt + 4 > this.bytes.length) throw new DamagedSector(`VMDK: the grain table of grain ${grain} is not in the file`);
      const entry = this.view.getUint32(entryAt, true);
      if (entry === 0) return this.absent(offset, here);
      if (entry === GRAIN_ZERO && this.zeroGrains) return here;
      const at = entry * SECTOR_BYTES;
      if (this.compressed) return this.decompress(grain, at).subarray(within, within + here);
      if (at + within + here > this.bytes.length) throw new DamagedSector(`VMDK: grain ${grain} is not in the file`);
      return this.bytes.subarray(at + within, at + within + here);
    });
  }

  private absent(offset: number, length: number): Uint8Array | number {
    return backingBytes(this.place.parent, offset + this.place.firstSector * SECTOR_BYTES, length);
  }

  /** A grain marker (sector number, size of the data) and data in zlib's frame. */
  private decompress(grain: number, at: number): Uint8Array {
    const known = this.decompressed.get(grain);
    if (known) return known;
    if (at + MARKER_BYTES > this.bytes.length) throw new DamagedSector(`VMDK: grain ${grain} is not in the file`);
    const size = this.view.getUint32(at + 8, true);
    const data = this.bytes.subarray(at + MARKER_BYTES, Math.min(at + MARKER_BYTES + size, this.bytes.length));
    let bytes: Uint8Array;
    try {
      bytes = inflate(data, this.grainBytes, { zlib: true, exact: false });
    } catch (error) {
      if (error instanceof InflateError) throw new DamagedSector(`VMDK: grain ${grain}: ${error.message}`);
      throw error;
    }
    if (this.decompressed.size >= CACHED_GRAINS) this.decompressed.delete(this.decompressed.keys().next().value!);
    this.decompressed.set(grain, bytes);
    return bytes;
  }
}
