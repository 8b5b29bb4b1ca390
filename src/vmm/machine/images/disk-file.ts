/** What the readers of image formats share: the sectors they give, numbers from headers, and the two ways in which an image is bad. */
import { MachineError } from '../api';

export const SECTOR_BYTES = 512;
/** ATA has 48-bit sector numbers. */
const SECTORS_MAX = 2 ** 48;

/** The sectors of an image as it was given, without what a guest has written since. */
export interface SectorSource {
  readonly sectors: number;
  readonly sectorSize: number;
  /** Within the disk. Throws {@link DamagedSector} where the image contradicts itself. */
  read(sector: number, count: number): Uint8Array;
}

/** A file beside an image that has to be given with it; `raw`: whatever is in it, it is a raw disk or no image at all. */
export interface PartName {
  readonly name: string;
  readonly raw: boolean;
}

/** What an image finds around itself: the files beside it that it names. */
export interface Surroundings {
  /** The image that it holds differences to, chosen by hand instead of by the name in the image. */
  readonly backing?: SectorSource;
  /** A file's bytes; undefined when it is not there. */
  bytes(name: string): Uint8Array | undefined;
  /** The disk in a file. */
  disk(name: string, raw?: boolean): SectorSource | undefined;
}

export const ALONE: Surroundings = { bytes: () => undefined, disk: () => undefined };

/** The image is damaged where a guest reads: an I/O error to the guest. */
export class DamagedSector extends Error {}

/** Fields of a header, by name: every complaint says the file, the field and its value. */
export class HeaderReader {
  private readonly view: DataView;

  constructor(readonly file: string, readonly format: string, readonly bytes: Uint8Array, private readonly littleEndian: boolean) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private inside(offset: number, size: number, field: string): void {
    if (offset + size > this.bytes.length) this.fail(`the file ends before ${field} (offset ${offset}; it has ${this.bytes.length} bytes)`);
  }

  u16(offset: number, field: string): number {
    this.inside(offset, 2, field);
    return this.view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number, field: string): number {
    this.inside(offset, 4, field);
    return this.view.getUint32(offset, this.littleEndian);
  }

  /** Values beyond 2^53 come out as Infinity, which no check lets through. */
  u64(offset: number, field: string): number {
    this.inside(offset, 8, field);
    const value = Number(this.view.getBigUint64(offset, this.littleEndian));
    return Number.isSafeInteger(value) ? value : Infinity;
  }

  /** @throws MachineError */
  fail(problem: string, advice = 'The image is damaged, or of another kind. Check it with the program that made it, or convert it: qemu-img convert -O raw IN OUT.'): never {
    throw new MachineError('disk-image', `${this.file}: ${this.format} image: ${problem}`, advice);
  }

  check(holds: boolean, problem: string): void {
    if (!holds) this.fail(problem);
  }

  /** The name of a file beside this one: no path, so that none leads out of the folder. */
  besideName(name: string, what: string, advice = ''): string {
    if (name === '' || name === '.' || name === '..' || /[/\\:\0]/.test(name)) {
      this.fail(`${what} is ${JSON.stringify(name)}, which is no plain file name: files are looked up beside the image only`, `Put it beside the image and name it there without a folder.${advice}`);
    }
    return name;
  }

  /** Sectors of a disk of so many bytes, which have to be whole sectors (or are rounded up) and no more than a disk can have. */
  sectorsOf(bytes: number, field: string): number {
    const sectors = Math.ceil(bytes / SECTOR_BYTES);
    if (!(bytes > 0)) this.fail(`${field} is ${bytes}: the disk has no sectors`);
    if (!(sectors <= SECTORS_MAX)) this.fail(`${field} is larger than a disk can be (2^48 sectors)`);
    return sectors;
  }
}

/** Assembles a read out of pieces: `piece` gives the bytes at a byte offset of the disk, as many as it can at once, or how many zeros there are. */
export function gather(sector: number, count: number, piece: (offset: number, most: number) => Uint8Array | number): Uint8Array {
  const result = new Uint8Array(count * SECTOR_BYTES);
  const start = sector * SECTOR_BYTES;
  for (let at = 0; at < result.length;) {
    const found = piece(start + at, result.length - at);
    if (typeof found === 'number') {
      at += found;
    } else {
      result.set(found, at);
      at += found.length;
    }
  }
  return result;
}

/** Bytes of the image that another one holds differences to. It may be smaller: what is behind its end, and everything when there is none, is zero. */
export function backingBytes(backing: SectorSource | undefined, offset: number, length: number): Uint8Array | number {
  if (backing === undefined) return length;
  const sector = offset / SECTOR_BYTES, count = Math.min(length / SECTOR_BYTES, backing.sectors - sector);
  return count > 0 ? backing.read(sector, count) : length;
}
