/**
 * QEMU's qcow2 images, versions 2 and 3, for reading: two levels of tables that lead to clusters, which may be compressed. Differences to a backing image, which is given or
 * lies beside this one.
 */
import { ALONE, DamagedSector, HeaderReader, SECTOR_BYTES, backingBytes, gather, type PartName, type SectorSource, type Surroundings } from './disk-file';
import { InflateError, inflate } from './inflate';

const MAGIC = 0x514649fb;
const CLUSTER_BITS_MIN = 9, CLUSTER_BITS_MAX = 21;
/** Incompatible features: 0 dirty, 1 corrupt, 2 external data file, 3 compression type, 4 extended L2 entries. */
const FEATURE_CORRUPT = 2, FEATURE_DATA_FILE = 4, FEATURE_COMPRESSION = 8, FEATURE_EXTENDED_L2 = 0x10, FEATURES_KNOWN = 0x1f;
const COMPRESSION_ZLIB = 0;
const BACKING_NAME_MAX = 1023;
/** Header extensions: the end of them, and the format of the backing file. */
const EXTENSION_END = 0, EXTENSION_BACKING_FORMAT = 0xe2792aca;
const HEADER_V2 = 72;
/** Most bytes of the first-level table, as QEMU has it. */
const L1_BYTES_MAX = 32 << 20;
const OFFSET_HIGH = 0x00ffffff, OFFSET_LOW = 0xfffffe00;
const L2_COMPRESSED = 0x40000000, L2_ZERO = 1;
/** Decompressed clusters that are kept. */
const CACHED_CLUSTERS = 16;

export function isQcow2(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0) === MAGIC;
}

/**
 * The backing file by the name that stands in the image. A backing format "raw" is believed: a raw disk may begin with anything.
 * @throws MachineError when the name is damaged
 */
function backingOf(h: HeaderReader): { readonly name: string; readonly raw: boolean } | undefined {
  const at = h.u64(8, 'backing_file_offset'), length = h.u32(16, 'backing_file_size');
  if (at === 0 || length === 0) return undefined;
  h.check(length <= BACKING_NAME_MAX && at + length <= h.bytes.length, `backing_file_size is ${length} at offset ${at}: the name lies beyond the end of the file, or is longer than ${BACKING_NAME_MAX}`);
  const text = (from: number, count: number): string => new TextDecoder().decode(h.bytes.subarray(from, from + count));
  let raw = false;
  for (let extension = h.u32(4, 'version') === 2 ? HEADER_V2 : h.u32(100, 'header_length'); extension + 8 <= Math.min(at, h.bytes.length);) {
    const type = h.u32(extension, 'a header extension'), size = h.u32(extension + 4, 'a header extension');
    if (type === EXTENSION_END) break;
    if (type === EXTENSION_BACKING_FORMAT) raw = text(extension + 8, Math.min(size, 16)) === 'raw';
    extension += 8 + Math.ceil(size / 8) * 8;
  }
  return { name: text(at, length), raw };
}

const PLACE_OF_BACKING = ' Or give it by hand (--hda-backing, "hdaBacking").';

/** The file that has to be given with the image. @throws MachineError for names that are paths */
export function qcow2Names(file: string, bytes: Uint8Array): PartName[] {
  const h = new HeaderReader(file, 'qcow2', bytes, false);
  const backing = backingOf(h);
  return backing ? [{ name: h.besideName(backing.name, 'the backing file', PLACE_OF_BACKING), raw: backing.raw }] : [];
}

export class Qcow2Image implements SectorSource {
  readonly sectorSize = SECTOR_BYTES;
  readonly sectors: number;
  private readonly view: DataView;
  private readonly clusterBits: number;
  private readonly clusterBytes: number;
  private readonly l1At: number;
  private readonly zeroFlag: boolean;
  private readonly decompressed = new Map<number, Uint8Array>();

  /** What clusters that are not here are read from. */
  private readonly backing: SectorSource | undefined;

  /** @throws MachineError that names the file and the field. */
  constructor(file: string, private readonly bytes: Uint8Array, around: Surroundings = ALONE) {
    const h = new HeaderReader(file, 'qcow2', bytes, false);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    h.check(h.u32(0, 'the magic number') === MAGIC, 'the magic number is not "QFI\\xfb"');
    const version = h.u32(4, 'version');
    if (version !== 2 && version !== 3) h.fail(`version is ${version}; 2 and 3 are supported`);
    this.zeroFlag = version === 3;
    this.clusterBits = h.u32(20, 'cluster_bits');
    h.check(this.clusterBits >= CLUSTER_BITS_MIN && this.clusterBits <= CLUSTER_BITS_MAX, `cluster_bits is ${this.clusterBits}; 9 to 21 are supported`);
    this.clusterBytes = 2 ** this.clusterBits;
    this.sectors = h.sectorsOf(h.u64(24, 'size'), 'size');
    const crypt = h.u32(32, 'crypt_method');
    if (crypt !== 0) h.fail(`crypt_method is ${crypt}: it is encrypted`, 'Convert it to a plain image first: qemu-img convert -O raw IN OUT.');
    const l1Entries = h.u32(36, 'l1_size');
    this.l1At = h.u64(40, 'l1_table_offset');
    const bytesPerL1 = this.clusterBytes * (this.clusterBytes / 8);
    const needed = Math.ceil(this.sectors * SECTOR_BYTES / bytesPerL1);
    h.check(l1Entries >= needed, `l1_size is ${l1Entries}, but a disk of this size needs ${needed}`);
    h.check(8 * needed <= L1_BYTES_MAX, `size needs a first-level table of ${8 * needed} bytes, more than ${L1_BYTES_MAX}`);
    h.check(this.l1At % this.clusterBytes === 0, `l1_table_offset 0x${this.l1At.toString(16)} is not at a cluster`);
    h.check(this.l1At + 8 * needed <= bytes.length, `l1_table_offset 0x${this.l1At.toString(16)}: the table of ${needed} entries lies beyond the end of the file (${bytes.length} bytes)`);
    if (version === 3) this.checkFeatures(h);
    const backing = backingOf(h);
    if (backing === undefined) return;
    this.backing = around.backing ?? around.disk(h.besideName(backing.name, 'the backing file', PLACE_OF_BACKING), backing.raw)
      ?? h.fail(`it holds only the differences to the backing file ${JSON.stringify(backing.name)}, which is not beside it`,
        `Put it there, give the backing image (--hda-backing, "hdaBacking"), or merge them: qemu-img convert -O qcow2 IN OUT.`);
  }

  private checkFeatures(h: HeaderReader): void {
    const high = h.u32(72, 'incompatible_features'), low = h.u32(76, 'incompatible_features');
    const unknown = (low & ~FEATURES_KNOWN) !== 0 || high !== 0;
    if (unknown) h.fail(`incompatible_features is 0x${high.toString(16)}${low.toString(16).padStart(8, '0')}: unknown features`);
    if (low & FEATURE_CORRUPT) h.fail('it is marked as corrupt (incompatible_features bit 1)', 'Repair it: qemu-img check -r all FILE.');
    if (low & FEATURE_DATA_FILE) h.fail('its data is in another file (incompatible_features bit 2)', 'Convert it: qemu-img convert -O qcow2 IN OUT.');
    if (low & FEATURE_EXTENDED_L2) h.fail('extended L2 entries (incompatible_features bit 4) are not supported', 'Convert it: qemu-img convert -O qcow2 -o extended_l2=off IN OUT.');
    h.check(h.u32(100, 'header_length') >= 104, 'header_length is less than 104');
    if (low & FEATURE_COMPRESSION && h.bytes[104] !== COMPRESSION_ZLIB) {
      h.fail(`compression_type is ${h.bytes[104]}; only 0 (zlib) is supported`, 'Convert it: qemu-img convert -O qcow2 -o compression_type=zlib IN OUT.');
    }
  }

  read(sector: number, count: number): Uint8Array {
    const { clusterBytes } = this;
    return gather(sector, count, (offset, most) => {
      const within = offset % clusterBytes, here = Math.min(most, clusterBytes - within);
      const cluster = Math.floor(offset / clusterBytes);
      const entriesPerTable = clusterBytes / 8;
      const l1Entry = this.l1At + 8 * Math.floor(cluster / entriesPerTable);
      const l2At = this.offsetAt(l1Entry);
      if (l2At === 0) return backingBytes(this.backing, offset, here);
      const l2Entry = l2At + 8 * (cluster % entriesPerTable);
      if (l2At % clusterBytes !== 0 || l2Entry + 8 > this.bytes.length) throw new DamagedSector(`qcow2: the second-level table of cluster ${cluster} is not in the file`);
      const high = this.view.getUint32(l2Entry), low = this.view.getUint32(l2Entry + 4);
      if (high & L2_COMPRESSED) return this.decompress(cluster, high, low).subarray(within, within + here);
      if (this.zeroFlag && low & L2_ZERO) return here;
      const at = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
      if (at === 0) return backingBytes(this.backing, offset, here);
      if (at % clusterBytes !== 0 || at + within + here > this.bytes.length) throw new DamagedSector(`qcow2: cluster ${cluster} is not in the file`);
      return this.bytes.subarray(at + within, at + within + here);
    });
  }

  private offsetAt(entry: number): number {
    return (this.view.getUint32(entry) & OFFSET_HIGH) * 2 ** 32 + ((this.view.getUint32(entry + 4) & OFFSET_LOW) >>> 0);
  }

  /** The entry holds an offset of any alignment and, above it, how many further sectors the data reaches into. */
  private decompress(cluster: number, high: number, low: number): Uint8Array {
    const known = this.decompressed.get(cluster);
    if (known) return known;
    // 62 - (cluster_bits - 8) bits of offset; at most 61, so that the split lies in the high word.
    const split = 62 - (this.clusterBits - 8) - 32;
    const at = (high & ((1 << split) - 1)) * 2 ** 32 + low;
    const sectors = (high & 0x3fffffff) >>> split;
    const end = (Math.floor(at / SECTOR_BYTES) + 1 + sectors) * SECTOR_BYTES;
    if (at >= this.bytes.length) throw new DamagedSector(`qcow2: compressed cluster ${cluster} is not in the file`);
    let bytes: Uint8Array;
    try {
      bytes = inflate(this.bytes.subarray(at, Math.min(end, this.bytes.length)), this.clusterBytes, { zlib: false, exact: true });
    } catch (error) {
      if (error instanceof InflateError) throw new DamagedSector(`qcow2: compressed cluster ${cluster}: ${error.message}`);
      throw error;
    }
    if (this.decompressed.size >= CACHED_CLUSTERS) this.decompressed.delete(this.decompressed.keys().next().value!);
    this.decompressed.set(cluster, bytes);
    return bytes;
  }
}
