/** Where a loader puts what it adds to a kernel: modules behind one another on pages of their own, then its tables in conventional memory or, when that is taken, behind everything. */
import type { MemoryChunk } from './boot-state';
import { checkLoadRange } from './elf';
import { CONVENTIONAL_END } from './memory-map';

export interface Module {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const PAGE = 4096;
/** Tables longer than this go above 1 MiB. */
const CONVENTIONAL_FIRST = 0x80000;

const pageAlign = (value: number): number => Math.ceil(value / PAGE) * PAGE;

export class Placement {
  readonly chunks: MemoryChunk[];
  private next: number;

  constructor(private readonly file: string, kernel: readonly MemoryChunk[], private readonly ramBytes: number) {
    this.chunks = [...kernel];
    this.next = pageAlign(Math.max(0x100000, ...kernel.map((chunk) => chunk.address + chunk.bytes.length + (chunk.zeroBytes ?? 0))));
  }

  /** Puts bytes on the next free pages above 1 MiB; where they are. */
  above(what: string, bytes: Uint8Array): number {
    const address = this.next;
    checkLoadRange(this.file, `${what} (${bytes.length} bytes)`, address, bytes.length, this.ramBytes);
    this.chunks.push({ what, address, bytes });
    this.next = pageAlign(address + bytes.length);
    return address;
  }

  /** Puts tables that contain their own addresses; `make` is called with their address, and first, for their length, with 0. */
  tables(what: string, make: (address: number) => Uint8Array): number {
    const { length } = make(0);
    let address = (CONVENTIONAL_END - length) & ~15;
    const taken = this.chunks.some((chunk) => chunk.address < CONVENTIONAL_END && chunk.address + chunk.bytes.length + (chunk.zeroBytes ?? 0) > address);
    if (address < CONVENTIONAL_FIRST || taken) {
      address = this.next;
      checkLoadRange(this.file, what, address, length, this.ramBytes);
    }
    this.chunks.push({ what, address, bytes: make(address) });
    return address;
  }
}
