/**
 * Booting from a CD ("El Torito" Bootable CD-ROM Format Specification 1.0): finds the boot record and the catalog on a disc, and makes a drive of an image that
 * pretends to be a diskette or a hard disk. The disc is hostile: every number is checked against its size.
 */
import type { DiskImage } from '../../devices/device';
import { floppyFormat, hardDiskGeometry } from '../disk';
import { SECTOR_BYTES } from '../images/disk-file';
import type { BiosDrive } from './host';

export const CD_SECTOR = 2048;
/** Volume descriptors begin here, and end with one of type 255. */
const FIRST_DESCRIPTOR = 16, DESCRIPTORS_MAX = 64;
const TYPE_BOOT = 0, TYPE_END = 255;
const BOOT_SYSTEM = 'EL TORITO SPECIFICATION';
const ENTRY_BYTES = 32, BOOTABLE = 0x88, PLATFORM_X86 = 0;
const SECTION = 0x90, LAST_SECTION = 0x91, EXTENSION = 0x44;
const DEFAULT_SEGMENT = 0x7c0;

/** Media types of a catalog entry. */
const EMULATES_HARD_DISK = 4;
const emulatedFloppySectors = [0, 2400, 2880, 5760] as const;

export interface BootEntry {
  /** 0 no emulation, 1–3 diskettes of 1.2, 1.44 and 2.88 MB, 4 hard disk. */
  readonly media: number;
  readonly loadSegment: number;
  /** Sectors of 512 bytes to load. */
  readonly sectorCount: number;
  /** Sector of the disc. */
  readonly start: number;
}

const text = (bytes: Uint8Array, at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length));
const u16 = (bytes: Uint8Array, at: number): number => bytes[at] | bytes[at + 1] << 8;
const u32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) | u16(bytes, at + 2) << 16) >>> 0;

/** The entry to boot, or why there is none. */
export function bootEntry(disc: DiskImage): BootEntry | string {
  const catalogAt = catalogSector(disc);
  if (typeof catalogAt === 'string') return catalogAt;
  if (catalogAt >= disc.sectors) return `the boot catalog (sector ${catalogAt}) is beyond the end of the disc`;
  const catalog = disc.read(catalogAt, 1);
  let sum = 0;
  for (let at = 0; at < ENTRY_BYTES; at += 2) sum += u16(catalog, at);
  if (catalog[0] !== 1 || catalog[30] !== 0x55 || catalog[31] !== 0xaa || (sum & 0xffff) !== 0) return 'the boot catalog\'s validation entry is wrong';
  let platform = catalog[1];
  for (let at = ENTRY_BYTES; at < CD_SECTOR; at += ENTRY_BYTES) {
    const kind = catalog[at];
    if (kind === SECTION || kind === LAST_SECTION) platform = catalog[at + 1];
    else if (kind === BOOTABLE && platform === PLATFORM_X86) return checkedEntry(catalog.subarray(at, at + ENTRY_BYTES), disc);
    else if (kind === 0 && at > ENTRY_BYTES) break;
    else if (kind !== 0 && kind !== BOOTABLE && kind !== EXTENSION) return `the boot catalog has an entry of unknown kind ${kind}`;
  }
  return 'the boot catalog has no entry for PCs with a BIOS';
}

function catalogSector(disc: DiskImage): number | string {
  for (let sector = FIRST_DESCRIPTOR; sector < Math.min(disc.sectors, FIRST_DESCRIPTOR + DESCRIPTORS_MAX); sector++) {
    const descriptor = disc.read(sector, 1);
    if (text(descriptor, 1, 5) !== 'CD001' || descriptor[0] === TYPE_END) break;
    if (descriptor[0] === TYPE_BOOT && text(descriptor, 7, BOOT_SYSTEM.length) === BOOT_SYSTEM) return u32(descriptor, 0x47);
  }
  return 'no boot record (El Torito)';
}

function checkedEntry(entry: Uint8Array, disc: DiskImage): BootEntry | string {
  const media = entry[1] & 15, start = u32(entry, 8), sectorCount = Math.max(1, u16(entry, 6)), loadSegment = u16(entry, 2) || DEFAULT_SEGMENT;
  if (media > EMULATES_HARD_DISK) return `media type ${media} of the boot entry is unknown`;
  if (start >= disc.sectors) return `the boot image (sector ${start}) is beyond the end of the disc`;
  return { media, loadSegment, sectorCount, start };
}

/** Reads up to `bytes` bytes of the disc from a sector on; what is behind its end is missing. */
export function readDisc(disc: DiskImage, start: number, bytes: number): Uint8Array {
  const sectors = Math.min(Math.ceil(bytes / CD_SECTOR), disc.sectors - start);
  return disc.read(start, sectors).subarray(0, bytes);
}

/** Sectors of 512 bytes in an image on the disc. It cannot be written. */
class DiscRegion implements DiskImage {
  readonly sectorSize = SECTOR_BYTES;

  constructor(private readonly disc: DiskImage, private readonly start: number, readonly sectors: number) {}

  read(sector: number, count: number): Uint8Array {
    const result = new Uint8Array(count * SECTOR_BYTES);
    const first = Math.floor(sector / 4), within = (sector % 4) * SECTOR_BYTES;
    if (this.start + first < this.disc.sectors) result.set(readDisc(this.disc, this.start + first, within + result.length).subarray(within));
    return result;
  }

  write(): void {
    throw new RangeError('a CD cannot be written');
  }
}

/** The drive that the image pretends to be; undefined without emulation. */
export function emulatedDrive(disc: DiskImage, { media, start }: BootEntry): BiosDrive | undefined {
  if (media === 0) return undefined;
  const left = (disc.sectors - start) * 4;
  if (media !== EMULATES_HARD_DISK) {
    const sectors = emulatedFloppySectors[media];
    const format = floppyFormat(sectors);
    return { disk: new DiscRegion(disc, start, sectors), geometry: format, cmosType: format.cmosType, readOnly: true };
  }
  // The image's size is told by its only partition.
  const table = new DiscRegion(disc, start, left).read(0, 1);
  const end = u32(table, 446 + 8) + u32(table, 446 + 12);
  const disk = new DiscRegion(disc, start, Math.max(1, Math.min(end, left)));
  return { disk, geometry: hardDiskGeometry(disk), readOnly: true };
}
