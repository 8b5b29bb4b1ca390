/**
 * The lookup tables that threaded code reads, and the way back from a frame to the entries that reach it.
 *
 * An address space (a slot below LOOKUP_SPACES) has a read and a write table of 2^20 words by linear page number. A valid entry is
 * hostPage ^ linearPage (both byte addresses, so its low 12 bits are zero) and the host address of a byte is entry ^ linear. An invalid
 * entry is all ones. A write entry is valid only where the read entry is.
 * Threaded code tests `((entry | linear) & 0xfff) > 0x1000 - size` for sizes above 1; a byte must test `entry & 0xfff` by itself.
 * A *guarded* write entry is a valid one with its low 12 bits set: it fails those tests, and stands for a page that may be written where it
 * holds no translated code (CODE_GRANULES in cpu/layout.ts), which threaded code finds out without the monitor.
 *
 * Every valid read entry stands in a doubly linked list of its frame, so that a trace on the frame finds the entries to withdraw. Nodes
 * are the entries themselves (slot << 20 | linear page): nothing is allocated, nothing grows, whatever the guest maps.
 */
import { LOOKUP, LOOKUP_SPACES, LOOKUP_TABLE_SIZE, RAM } from '../cpu/layout';

export const INVALID = -1;
/** Low bits of a guarded write entry. */
const GUARD = 0xfff;

/** How a page may be written through its write entry. */
export const enum Writing { No, Yes, Guarded }

const PAGE_COUNT = 0x100000;
/** Pages that a stretch has: what one directory entry of PAE paging maps, half of what one of 32-bit paging does. */
const STRETCH_PAGES = 512;
const STRETCHES = PAGE_COUNT / STRETCH_PAGES;
/** Entries that one frame may have: a guest that maps one frame everywhere must not make a trace on it slow. */
const MOST_ENTRIES_PER_FRAME = 4096;

export class LookupTables {
  private readonly words: Int32Array;
  /** Per frame: first node + 1, or 0. */
  private readonly heads: Int32Array;
  private readonly entriesOfFrame: Uint16Array;
  /** Per node: neighbour + 1, or 0. Untouched stretches of these arrays cost address space only. */
  private readonly next = new Int32Array(LOOKUP_SPACES * PAGE_COUNT);
  private readonly previous = new Int32Array(LOOKUP_SPACES * PAGE_COUNT);
  /** Per node: 1 while the entry is one of a page that the guest's tables forbid to execute. */
  private readonly noExecute = new Uint8Array(LOOKUP_SPACES * PAGE_COUNT);
  /** Valid read entries per space and stretch, so that emptying a space visits only what was used. */
  private readonly filled = new Uint16Array(LOOKUP_SPACES * STRETCHES);
  private readonly prepared = new Uint8Array(LOOKUP_SPACES);

  constructor(memory: WebAssembly.Memory, frameCount: number) {
    this.words = new Int32Array(memory.buffer);
    this.heads = new Int32Array(frameCount);
    this.entriesOfFrame = new Uint16Array(frameCount);
  }

  /** Host offset of a space's read table. */
  readTable(space: number): number {
    return LOOKUP + space * 2 * LOOKUP_TABLE_SIZE;
  }

  writeTable(space: number): number {
    return this.readTable(space) + LOOKUP_TABLE_SIZE;
  }

  /** Makes a never-used space's tables invalid throughout (fresh memory is zero, which would mean something). */
  prepare(space: number): void {
    if (this.prepared[space] === 0) {
      const first = this.readTable(space) >>> 2;
      this.words.fill(INVALID, first, first + 2 * PAGE_COUNT);
      this.prepared[space] = 1;
    }
  }

  readEntry(space: number, linearPage: number): number {
    return this.words[(this.readTable(space) >>> 2) + linearPage];
  }

  writeEntry(space: number, linearPage: number): number {
    return this.words[(this.writeTable(space) >>> 2) + linearPage];
  }

  /** Number of valid read entries of a space. */
  filledPages(space: number): number {
    let sum = 0;
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      sum += this.filled[space * STRETCHES + stretch];
    }
    return sum;
  }

  /** Makes a page readable, and writable as told. True when an entry became valid that was not. */
  enter(space: number, linearPage: number, frame: number, writing: Writing, executable: boolean): boolean {
    const read = (this.readTable(space) >>> 2) + linearPage;
    const write = (this.writeTable(space) >>> 2) + linearPage;
    const entry = (RAM + frame * 4096) ^ (linearPage << 12);
    let changed = false;
    if (this.words[read] !== entry) {
      this.drop(space, linearPage);
      if (this.entriesOfFrame[frame] === MOST_ENTRIES_PER_FRAME) {
        this.withhold(frame);
      }
      this.entriesOfFrame[frame]++;
      this.words[read] = entry;
      const node = (space << 20) | linearPage;
      const head = this.heads[frame];
      this.next[node] = head;
      this.previous[node] = 0;
      if (head !== 0) {
        this.previous[head - 1] = node + 1;
      }
      this.heads[frame] = node + 1;
      this.noExecute[node] = executable ? 0 : 1;
      this.filled[node >>> 9]++;
      changed = true;
    }
    const writeEntry = writing === Writing.Guarded ? entry | GUARD : entry;
    if (writing !== Writing.No && this.words[write] !== writeEntry) {
      this.words[write] = writeEntry;
      changed = true;
    }
    return changed;
  }

  /** Makes a page's entries invalid. */
  drop(space: number, linearPage: number): void {
    const read = (this.readTable(space) >>> 2) + linearPage;
    const entry = this.words[read];
    if (entry === INVALID) {
      return;
    }
    const frame = (((entry ^ (linearPage << 12)) >>> 0) - RAM) >>> 12;
    const node = (space << 20) | linearPage;
    const next = this.next[node], previous = this.previous[node];
    if (previous !== 0) {
      this.next[previous - 1] = next;
    } else {
      this.heads[frame] = next;
    }
    if (next !== 0) {
      this.previous[next - 1] = previous;
    }
    this.filled[node >>> 9]--;
    this.entriesOfFrame[frame]--;
    this.words[read] = INVALID;
    this.words[(this.writeTable(space) >>> 2) + linearPage] = INVALID;
  }

  /** Drops a stretch: 2 MiB, by number. */
  dropStretch(space: number, stretch: number): void {
    const count = space * STRETCHES + stretch;
    for (let page = stretch * STRETCH_PAGES; this.filled[count] !== 0; page++) {
      this.drop(space, page);
    }
  }

  dropSpace(space: number): void {
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      this.dropStretch(space, stretch);
    }
  }

  /** Drops a linear page in every space. */
  dropLinear(linearPage: number): void {
    for (let space = 0; space < LOOKUP_SPACES; space++) {
      if (this.prepared[space] !== 0) {
        this.drop(space, linearPage);
      }
    }
  }

  /** Guards a frame wherever it may be written. */
  guardWrites(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.next[node - 1]) {
      // An invalid entry stays what it is: all ones.
      this.words[(this.writeTable((node - 1) >>> 20) >>> 2) + ((node - 1) & 0xfffff)] |= GUARD;
    }
  }

  /** Withdraws a frame from every write table: its next write comes to the slow path. */
  withholdWrites(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.next[node - 1]) {
      const space = (node - 1) >>> 20, linearPage = (node - 1) & 0xfffff;
      this.words[(this.writeTable(space) >>> 2) + linearPage] = INVALID;
    }
  }

  /** Withdraws a frame from the tables wherever it may not be executed. */
  withholdNoExecute(frame: number): void {
    let next: number;
    for (let node = this.heads[frame]; node !== 0; node = next) {
      next = this.next[node - 1];
      if (this.noExecute[node - 1] !== 0) {
        this.drop((node - 1) >>> 20, (node - 1) & 0xfffff);
      }
    }
  }

  /** Withdraws a frame from every table. */
  withhold(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.heads[frame]) {
      this.drop((node - 1) >>> 20, (node - 1) & 0xfffff);
    }
  }
}
