/**
 * What a guest writes goes to blocks of its own in front of the image: the bytes that came from the user's file are never changed. How much a guest may write is bounded,
 * whatever size its disk claims to have.
 */
import type { DiskImage } from '../../devices/device';
import type { SectorSource } from './disk-file';

const BLOCK_SECTORS = 8;
const WRITTEN_BYTES_MAX = 1 << 30;

interface Block {
  readonly bytes: Uint8Array;
  /** Bit n: sector n of the block has been written. */
  mask: number;
}

export class CopyOnWriteDisk implements DiskImage {
  readonly sectors: number;
  readonly sectorSize: number;
  private readonly blocks = new Map<number, Block>();

  constructor(readonly source: SectorSource, private readonly mostBytes = WRITTEN_BYTES_MAX) {
    this.sectors = source.sectors;
    this.sectorSize = source.sectorSize;
  }

  /** Throws RangeError outside the disk (callers check what the guest asks for), DamagedSector where the image cannot be read. */
  read(sector: number, count: number): Uint8Array {
    this.check(sector, count);
    if (this.blocks.size === 0) return this.source.read(sector, count);
    // A sector that was written is there although the image is damaged at its place.
    const allWritten = this.everyWritten(sector, count);
    const result = allWritten ? new Uint8Array(count * this.sectorSize) : this.source.read(sector, count);
    for (let n = 0; n < count;) {
      const at = sector + n, within = at % BLOCK_SECTORS;
      const block = this.blocks.get((at - within) / BLOCK_SECTORS);
      const here = Math.min(count - n, BLOCK_SECTORS - within);
      if (block !== undefined) {
        for (let i = within; i < within + here; i++) {
          if (block.mask & (1 << i)) result.set(block.bytes.subarray(i * this.sectorSize, (i + 1) * this.sectorSize), (n + i - within) * this.sectorSize);
        }
      }
      n += here;
    }
    return result;
  }

  private everyWritten(sector: number, count: number): boolean {
    for (let n = 0; n < count; n++) {
      const block = this.blocks.get(Math.floor((sector + n) / BLOCK_SECTORS));
      if (block === undefined || !(block.mask & (1 << ((sector + n) % BLOCK_SECTORS)))) return false;
    }
    return true;
  }

  /** Whole sectors only. Throws RangeError outside the disk, and when the guest has written more than the monitor holds. */
  write(sector: number, bytes: Uint8Array): void {
    const size = this.sectorSize;
    if (bytes.length % size !== 0) throw new RangeError(`${bytes.length} bytes are not whole sectors of ${size}`);
    const count = bytes.length / size;
    this.check(sector, count);
    for (let n = 0; n < count; n++) {
      const at = sector + n, within = at % BLOCK_SECTORS, number = (at - within) / BLOCK_SECTORS;
      let block = this.blocks.get(number);
      if (block === undefined) {
        if ((this.blocks.size + 1) * BLOCK_SECTORS * size > this.mostBytes) throw new RangeError(`more than ${this.mostBytes} bytes of the disk were written`);
        block = { bytes: new Uint8Array(BLOCK_SECTORS * size), mask: 0 };
        this.blocks.set(number, block);
      }
      block.bytes.set(bytes.subarray(n * size, (n + 1) * size), within * size);
      block.mask |= 1 << within;
    }
  }

  /** Sectors that the guest has written, in ascending order, with their bytes. */
  *writtenSectors(): Generator<{ readonly sector: number; readonly bytes: Uint8Array }> {
    for (const number of [...this.blocks.keys()].sort((a, b) => a - b)) {
      const { bytes, mask } = this.blocks.get(number)!;
      for (let i = 0; i < BLOCK_SECTORS; i++) {
        if (mask & (1 << i)) yield { sector: number * BLOCK_SECTORS + i, bytes: bytes.subarray(i * this.sectorSize, (i + 1) * this.sectorSize) };
      }
    }
  }

  get changed(): boolean {
    return this.blocks.size > 0;
  }

  private check(sector: number, count: number): void {
    if (!Number.isInteger(sector) || !Number.isInteger(count) || sector < 0 || count < 0 || sector + count > this.sectors) {
      throw new RangeError(`sectors ${sector}…${sector + count - 1} are outside a disk of ${this.sectors}`);
    }
  }
}
