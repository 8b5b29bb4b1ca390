/** VMware disk images of one file, for reading: growing ones (monolithicSparse) and those with compressed grains (streamOptimized), after "Virtual Disk Format 5.0". */
import { DamagedSector, HeaderReader, SECTOR_BYTES, gather, type SectorSource } from './disk-file';
import { InflateError, inflate } from './inflate';

const MAGIC = 0x564d444b;
const DESCRIPTOR_BEGIN = '# Disk DescriptorFile';
const FLAG_NEWLINES = 1, FLAG_ZERO_GRAINS = 4, FLAG_COMPRESSED = 0x10000;
const COMPRESSION_NONE = 0, COMPRESSION_DEFLATE = 1;
/** The directory's place is told by the footer, 1024 bytes before the end. */
const DIRECTORY_IN_FOOTER = Infinity, FOOTER_FROM_END = 1024;
const GRAIN_SECTORS_MAX = 2048, ENTRIES_MAX = 4096;
const DIRECTORY_BYTES_MAX = 64 << 20;
const GRAIN_ZERO = 1;
const MARKER_BYTES = 12;
const DESCRIPTOR_BYTES_MAX = 0x10000;
const CACHED_GRAINS = 16;
const NO_PARENT = 'ffffffff';

export function isVmdk(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true) === MAGIC;
}

/** A text file that only names the files with the data. */
export function isVmdkDescriptor(bytes: Uint8Array): boolean {
  return Array.from(DESCRIPTOR_BEGIN).every((c, n) => bytes[n] === c.charCodeAt(0));
}

/** Says what a descriptor file needs instead of being opened. @throws MachineError always */
export function refuseDescriptor(file: string, bytes: Uint8Array): never {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, DESCRIPTOR_BYTES_MAX));
  const extent = /^RW\s+\d+\s+(\w+)\s+"([^"]*)"/m.exec(text);
  const where = extent ? ` ${JSON.stringify(extent[2])}` : '';
  return new HeaderReader(file, 'VMDK', bytes, true).fail(`it is a descriptor; the disk is in another file${where}`,
    extent?.[1] === 'FLAT' ? 'Start that file: it is a raw image.' : 'Convert it to one file first: qemu-img convert -O raw IN OUT.');
}

export class VmdkImage implements SectorSource {
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
  constructor(file: string, private readonly bytes: Uint8Array) {
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
    this.checkDescriptor(h);
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

  /** The embedded descriptor tells the kind of image and its parent. */
  private checkDescriptor(h: HeaderReader): void {
    const at = h.u64(28, 'descriptorOffset') * SECTOR_BYTES, length = Math.min(h.u64(36, 'descriptorSize') * SECTOR_BYTES, DESCRIPTOR_BYTES_MAX);
    if (at === 0) return;
    h.check(at + length <= h.bytes.length, 'descriptorOffset and descriptorSize lie beyond the end of the file');
    const text = new TextDecoder('latin1').decode(h.bytes.subarray(at, at + length));
    const value = (key: string): string | undefined => new RegExp(`^\\s*${key}\\s*=\\s*"?([^"\\r\\n]*)"?`, 'mi').exec(text)?.[1].trim();
    const kind = value('createType');
    if (kind !== undefined && !/^(monolithicSparse|streamOptimized)$/i.test(kind)) {
      h.fail(`createType is ${JSON.stringify(kind)}; monolithicSparse and streamOptimized are supported`, 'Convert it to one file first: qemu-img convert -O raw IN OUT.');
    }
    const parent = value('parentCID');
    if (parent !== undefined && parent.toLowerCase() !== NO_PARENT) {
      h.fail(`it holds only the differences to a parent (${value('parentFileNameHint') ?? parent})`, 'Merge them first: qemu-img convert -O raw IN OUT.');
    }
  }

  read(sector: number, count: number): Uint8Array {
    const { grainBytes } = this;
    return gather(sector, count, (offset, most) => {
      const within = offset % grainBytes, here = Math.min(most, grainBytes - within);
      const grain = Math.floor(offset / grainBytes);
      const tableAt = this.view.getUint32(this.directoryAt + 4 * Math.floor(grain / this.entriesPerTable), true) * SECTOR_BYTES;
      if (tableAt === 0) return here;
      const entryAt = tableAt + 4 * (grain % this.entriesPerTable);
      if (entryAt + 4 > this.bytes.length) throw new DamagedSector(`VMDK: the grain table of grain ${grain} is not in the file`);
      const entry = this.view.getUint32(entryAt, true);
      if (entry === 0 || (entry === GRAIN_ZERO && this.zeroGrains)) return here;
      const at = entry * SECTOR_BYTES;
      if (this.compressed) return this.decompress(grain, at).subarray(within, within + here);
      if (at + within + here > this.bytes.length) throw new DamagedSector(`VMDK: grain ${grain} is not in the file`);
      return this.bytes.subarray(at + within, at + within + here);
    });
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
