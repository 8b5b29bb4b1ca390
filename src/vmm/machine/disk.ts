/** Raw disks, diskettes, and the geometry that a BIOS gives to an image of some size and content. */
import type { DiskImage } from '../devices/device';
import { CopyOnWriteDisk } from './images/copy-on-write';
import { DamagedSector, SECTOR_BYTES } from './images/disk-file';
import { RawImage } from './images/raw';

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

/** A raw image. */
export class MemoryDisk extends CopyOnWriteDisk {
  /** @param sectors size of the medium when it is larger than the image (a boot sector on a floppy). */
  constructor(bytes: Uint8Array, sectors = 0) {
    super(new RawImage(bytes, SECTOR_BYTES, sectors));
  }
}

/** Standard diskettes: sectors, geometry, CMOS drive type. */
export const floppyFormats: readonly (Geometry & { readonly sectors: number; readonly kiB: number; readonly cmosType: number })[] = [
  { kiB: 160, cylinders: 40, heads: 1, sectorsPerTrack: 8, cmosType: 1 },
  { kiB: 180, cylinders: 40, heads: 1, sectorsPerTrack: 9, cmosType: 1 },
  { kiB: 320, cylinders: 40, heads: 2, sectorsPerTrack: 8, cmosType: 1 },
  { kiB: 360, cylinders: 40, heads: 2, sectorsPerTrack: 9, cmosType: 1 },
  { kiB: 720, cylinders: 80, heads: 2, sectorsPerTrack: 9, cmosType: 3 },
  { kiB: 1200, cylinders: 80, heads: 2, sectorsPerTrack: 15, cmosType: 2 },
  { kiB: 1440, cylinders: 80, heads: 2, sectorsPerTrack: 18, cmosType: 4 },
  { kiB: 2880, cylinders: 80, heads: 2, sectorsPerTrack: 36, cmosType: 5 },
].map((format) => ({ ...format, sectors: format.kiB * 2 }));

/** The diskette of exactly this size, else the 1.44 MB one (or 2.88 MB for more). */
export function floppyFormat(sectors: number): (typeof floppyFormats)[number] {
  const exact = floppyFormats.find((format) => format.sectors === sectors);
  if (exact !== undefined) return exact;
  return floppyFormats[sectors <= 2880 ? 6 : 7];
}

/** A diskette in drive A; a short image is filled up to a whole diskette. */
export function floppyDisk(bytes: Uint8Array): { disk: MemoryDisk; geometry: Geometry; cmosType: number } {
  const sectors = Math.ceil(bytes.length / SECTOR_BYTES);
  const format = floppyFormat(sectors);
  return { disk: new MemoryDisk(bytes, format.sectors), geometry: format, cmosType: format.cmosType };
}

/**
 * CHS translation of a hard disk: what its partition table was made with, else the assisted translation by size (16 to 255 heads of 63 sectors).
 * Whole cylinders only, but one at least: a boot sector may be the whole disk.
 */
export function hardDiskGeometry(disk: DiskImage): Geometry {
  const fromTable = disk.sectors > 0 ? partitionGeometry(disk) : undefined;
  const { heads, sectorsPerTrack } = fromTable ?? { heads: assistedHeads(disk.sectors), sectorsPerTrack: 63 };
  const cylinders = Math.max(1, Math.min(1024, Math.floor(disk.sectors / (heads * sectorsPerTrack))));
  return { cylinders, heads, sectorsPerTrack };
}

function assistedHeads(sectors: number): number {
  for (const heads of [16, 32, 64, 128]) if (sectors <= 1024 * heads * 63) return heads;
  return 255;
}

/** The end of a partition tells heads and sectors per track, since partitions end with a cylinder. */
function partitionGeometry(disk: DiskImage): { heads: number; sectorsPerTrack: number } | undefined {
  let mbr: Uint8Array;
  try {
    mbr = disk.read(0, 1);
  } catch (error) {
    if (error instanceof DamagedSector) return undefined;
    throw error;
  }
  if (mbr[510] !== 0x55 || mbr[511] !== 0xaa) return undefined;
  for (let n = 0; n < 4; n++) {
    const at = 446 + 16 * n;
    const endHead = mbr[at + 5], endSector = mbr[at + 6] & 63;
    const startsSane = (mbr[at] & 0x7f) === 0 && (mbr[at + 2] & 63) !== 0;
    if (mbr[at + 4] !== 0 && mbr[at + 4] !== 0xee && startsSane && endHead > 0 && endHead < 255 && endSector >= 8) return { heads: endHead + 1, sectorsPerTrack: endSector };
  }
  return undefined;
}
