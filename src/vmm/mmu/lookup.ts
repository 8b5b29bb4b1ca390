/**
 * The lookup tables that threaded code reads, and the way back from a frame to the entries that reach it.
 *
 * An address space has a read and a write table of one of two forms:
 *  - *flat* (spaces below LOOKUP_SPACES; linear addresses of 32 bits): 2^20 words by linear page number;
 *  - *hashed* (the HASHED_SPACES behind them; 64-bit code): 2^14 entries of 16 bytes by the low bits of the linear page number. The u64 at 0
 * * A valid value is hostPage ^ linearPage (low 32 bits of both byte addresses, so its low 12 bits are zero) and the host address of a byte
 * is value ^ linear. An invalid value is all ones. A write entry is valid only where the read entry is.
 * Threaded code tests `((value | linear) & 0xfff) > 0x1000 - size` for sizes above 1; a byte must test `value & 0xfff` by itself.
 * A *guarded* write entry is a valid one with its low 12 bits set: it fails those tests, and stands for a page that may be written where it
 * holds no translated code (CODE_GRANULES in cpu/layout.ts), which threaded code finds out without the monitor.
 *
 * Every valid read entry stands in a doubly linked list of its frame, so that a trace on the frame finds the entries to withdraw. Nodes
 * are the entries themselves, numbered through all tables: nothing is allocated, nothing grows, whatever the guest maps.
 */
import {
  FRAME_NODE_COUNT, FRAME_NODES, HASHED_LOOKUP, HASHED_SPACES, HASHED_TABLE_SIZE, LONG_TABLE_ENTRIES, LOOKUP, LOOKUP_FILLED, LOOKUP_NODES, LOOKUP_SPACES, LOOKUP_TABLE_SIZE,
  NODE_MARKS, NODE_NEXT, NODE_PREVIOUS, RAM,
} from '../cpu/layout';

export const INVALID = -1;
/** Low bits of a guarded write entry. */
export const GUARD = 0xfff;

/** All spaces: the flat ones come first. */
export const ALL_SPACES = LOOKUP_SPACES + HASHED_SPACES;

/** How a page may be written through its write entry. */
export const enum Writing { No, Yes, Guarded }

const FLAT_PAGES = 0x100000;
const FLAT_NODES = LOOKUP_SPACES * FLAT_PAGES;
const HASH_MASK = LONG_TABLE_ENTRIES - 1;
/** Words from a read entry to the write entry of the same page. */
const FLAT_TO_WRITE = LOOKUP_TABLE_SIZE >>> 2, HASHED_TO_WRITE = HASHED_TABLE_SIZE >>> 2;
/** Pages that a stretch of a flat table has: what one directory entry of PAE paging maps, half of what one of 32-bit paging does. */
const STRETCH_PAGES = 512;
const STRETCHES = FLAT_PAGES / STRETCH_PAGES;
/** Entries that one frame may have: a guest that maps one frame everywhere must not make a trace on it slow. */
export const MOST_ENTRIES_PER_FRAME = 4096;

/** What the guest's tables say about an entry's page, beyond the entry. */
export const NO_EXECUTE = 1, MAY_WRITE = 2;

export class LookupTables {
  private readonly words: Int32Array;
  /** Per frame: first node + 1, or 0. */
  private readonly heads: Int32Array;
  private readonly entriesOfFrame: Uint16Array;
  /** Per node: neighbour + 1, or 0. Untouched stretches of these arrays cost address space only. */
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** Per node: NO_EXECUTE, MAY_WRITE. */
  private readonly marks: Uint8Array;
  /** Valid read entries per flat space and stretch, so that emptying a space visits only what was used; then one count per hashed space. */
  private readonly filled: Uint16Array;
  private readonly prepared = new Uint8Array(ALL_SPACES);

  constructor(memory: WebAssembly.Memory, frameCount: number) {
    this.words = new Int32Array(memory.buffer);
    const { buffer } = memory;
    this.heads = new Int32Array(buffer, FRAME_NODES, frameCount).fill(0);
    this.entriesOfFrame = new Uint16Array(buffer, FRAME_NODE_COUNT, frameCount).fill(0);
    this.next = new Int32Array(buffer, NODE_NEXT, LOOKUP_NODES);
    this.previous = new Int32Array(buffer, NODE_PREVIOUS, LOOKUP_NODES);
    this.marks = new Uint8Array(buffer, NODE_MARKS, LOOKUP_NODES);
    this.filled = new Uint16Array(buffer, LOOKUP_FILLED, LOOKUP_SPACES * STRETCHES + HASHED_SPACES).fill(0);
  }

  isHashed(space: number): boolean {
    return space >= LOOKUP_SPACES;
  }

  /** Host offset of a space's read table. */
  readTable(space: number): number {
    return space < LOOKUP_SPACES ? LOOKUP + space * 2 * LOOKUP_TABLE_SIZE : HASHED_LOOKUP + (space - LOOKUP_SPACES) * 2 * HASHED_TABLE_SIZE;
  }

  writeTable(space: number): number {
    return this.readTable(space) + (space < LOOKUP_SPACES ? LOOKUP_TABLE_SIZE : HASHED_TABLE_SIZE);
  }

  /** Makes a never-used space's tables invalid throughout (fresh memory is zero, which would mean something). */
  prepare(space: number): void {
    if (this.prepared[space] === 0) {
      const first = this.readTable(space) >>> 2;
      this.words.fill(INVALID, first, first + 2 * (space < LOOKUP_SPACES ? FLAT_TO_WRITE : HASHED_TO_WRITE));
      if (space >= LOOKUP_SPACES) {
        const last = this.nodeOf(space, HASH_MASK);
        this.clearTag(last, this.placeOf(last));
        this.clearTag(last, this.placeOf(last) + HASHED_TO_WRITE);
      }
      this.prepared[space] = 1;
    }
  }

  // Where things are. A node's *place* is the index of its read value in `words`; in hashed tables the tag's two words stand before it.

  private nodeOf(space: number, linearPage: number): number {
    return space < LOOKUP_SPACES ? (space << 20) | linearPage : FLAT_NODES + ((space - LOOKUP_SPACES) << 14 | (linearPage & HASH_MASK));
  }

  private placeOf(node: number): number {
    if (node < FLAT_NODES) {
      return (LOOKUP >>> 2) + (node >>> 20) * 2 * FLAT_TO_WRITE + (node & 0xfffff);
    }
    const hashed = node - FLAT_NODES;
    return (HASHED_LOOKUP >>> 2) + (hashed >>> 14) * 2 * HASHED_TO_WRITE + (hashed & HASH_MASK) * 4 + 2;
  }

  private toWrite(node: number): number {
    return node < FLAT_NODES ? FLAT_TO_WRITE : HASHED_TO_WRITE;
  }

  /** Place of the page's read value, or -1 when a hashed entry is another page's. */
  private find(space: number, linearPage: number): number {
    const place = this.placeOf(this.nodeOf(space, linearPage));
    return space < LOOKUP_SPACES || (this.words[place - 2] === lowTag(linearPage) && this.words[place - 1] === highTag(linearPage)) ? place : -1;
  }

  readEntry(space: number, linearPage: number): number {
    const place = this.find(space, linearPage);
    return place < 0 ? INVALID : this.words[place];
  }

  writeEntry(space: number, linearPage: number): number {
    const place = this.find(space, linearPage);
    return place < 0 ? INVALID : this.words[place + (space < LOOKUP_SPACES ? FLAT_TO_WRITE : HASHED_TO_WRITE)];
  }

  /** Whether the page has an entry and the guest's tables let it be written with no bit to set, whatever intercepts its frame. */
  mayWrite(space: number, linearPage: number): boolean {
    const place = this.find(space, linearPage);
    return place >= 0 && this.words[place] !== INVALID && (this.marks[this.nodeOf(space, linearPage)] & MAY_WRITE) !== 0;
  }

  /** Number of valid read entries of a space. */
  filledPages(space: number): number {
    if (space >= LOOKUP_SPACES) {
      return this.filled[LOOKUP_SPACES * STRETCHES + space - LOOKUP_SPACES];
    }
    let sum = 0;
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      sum += this.filled[space * STRETCHES + stretch];
    }
    return sum;
  }

  private countOf(node: number): number {
    return node < FLAT_NODES ? node >>> 9 : LOOKUP_SPACES * STRETCHES + ((node - FLAT_NODES) >>> 14);
  }

  /**
   * Makes a page readable, and writable as told; `mayWrite` says what the guest's tables allow by themselves. True when an entry became
   * valid that was not.
   */
  enter(space: number, linearPage: number, frame: number, writing: Writing, executable: boolean, mayWrite: boolean): boolean {
    const node = this.nodeOf(space, linearPage);
    const place = this.placeOf(node), write = place + this.toWrite(node);
    const entry = (RAM + frame * 4096) ^ lowTag(linearPage);
    const hashed = node >= FLAT_NODES;
    let changed = false;
    if (this.words[place] !== entry || (hashed && (this.words[place - 2] !== lowTag(linearPage) || this.words[place - 1] !== highTag(linearPage)))) {
      this.dropNode(node);
      if (this.entriesOfFrame[frame] === MOST_ENTRIES_PER_FRAME) {
        this.withhold(frame);
      }
      this.entriesOfFrame[frame]++;
      this.words[place] = entry;
      if (hashed) {
        this.words[place - 2] = lowTag(linearPage);
        this.words[place - 1] = highTag(linearPage);
      }
      const head = this.heads[frame];
      this.next[node] = head;
      this.previous[node] = 0;
      if (head !== 0) {
        this.previous[head - 1] = node + 1;
      }
      this.heads[frame] = node + 1;
      this.filled[this.countOf(node)]++;
      changed = true;
    }
    this.marks[node] = (executable ? 0 : NO_EXECUTE) | (mayWrite ? MAY_WRITE : 0);
    const writeEntry = writing === Writing.Guarded ? entry | GUARD : entry;
    if (writing !== Writing.No && this.words[write] !== writeEntry) {
      this.words[write] = writeEntry;
      if (hashed) {
        this.words[write - 2] = lowTag(linearPage);
        this.words[write - 1] = highTag(linearPage);
      }
      changed = true;
    }
    return changed;
  }

  /** Makes a page's entries invalid. */
  drop(space: number, linearPage: number): void {
    if (this.find(space, linearPage) >= 0) {
      this.dropNode(this.nodeOf(space, linearPage));
    }
  }

  private dropNode(node: number): void {
    const place = this.placeOf(node);
    const entry = this.words[place];
    if (entry === INVALID) {
      return;
    }
    const hashed = node >= FLAT_NODES;
    const linear = hashed ? this.words[place - 2] : (node & 0xfffff) << 12;
    const frame = (((entry ^ linear) >>> 0) - RAM) >>> 12;
    const next = this.next[node], previous = this.previous[node];
    if (previous !== 0) {
      this.next[previous - 1] = next;
    } else {
      this.heads[frame] = next;
    }
    if (next !== 0) {
      this.previous[next - 1] = previous;
    }
    this.filled[this.countOf(node)]--;
    this.entriesOfFrame[frame]--;
    this.words[place] = INVALID;
    if (hashed) {
      this.clearTag(node, place);
    }
    this.withdrawWrite(node, place);
  }

  /** `place`: of the read or the write value. */
  private clearTag(node: number, place: number): void {
    const empty = ((node - FLAT_NODES) & HASH_MASK) === HASH_MASK ? 0 : -1;
    this.words[place - 2] = empty;
    this.words[place - 1] = empty;
  }

  private withdrawWrite(node: number, place: number): void {
    const write = place + this.toWrite(node);
    this.words[write] = INVALID;
    if (node >= FLAT_NODES) {
      this.clearTag(node, write);
    }
  }

  /** Drops the entries of `count` pages from `firstPage` on; of a flat space, whole stretches of 2 MiB. */
  dropRange(space: number, firstPage: number, count: number): void {
    if (space < LOOKUP_SPACES) {
      const end = Math.min(firstPage + count, FLAT_PAGES);
      for (let stretch = firstPage >>> 9; stretch * STRETCH_PAGES < end; stretch++) {
        this.dropStretch(space, stretch);
      }
    } else if (count < LONG_TABLE_ENTRIES) {
      for (let page = firstPage; page < firstPage + count; page++) {
        this.drop(space, page);
      }
    } else {
      const first = this.nodeOf(space, 0);
      for (let node = first; node < first + LONG_TABLE_ENTRIES && this.filledPages(space) !== 0; node++) {
        const place = this.placeOf(node);
        if (this.words[place] !== INVALID) {
          const page = (this.words[place - 1] & 0xffff) * FLAT_PAGES + (this.words[place - 2] >>> 12);
          if (page >= firstPage && page < firstPage + count) {
            this.dropNode(node);
          }
        }
      }
    }
  }

  /** Drops a stretch of a flat space: 2 MiB, by number. */
  private dropStretch(space: number, stretch: number): void {
    const count = space * STRETCHES + stretch;
    for (let page = stretch * STRETCH_PAGES; this.filled[count] !== 0; page++) {
      this.dropNode((space << 20) | page);
    }
  }

  dropSpace(space: number): void {
    this.dropRange(space, 0, space < LOOKUP_SPACES ? FLAT_PAGES : Infinity);
  }

  /** Drops a linear page in every space. */
  dropLinear(linearPage: number): void {
    for (let space = linearPage < FLAT_PAGES ? 0 : LOOKUP_SPACES; space < ALL_SPACES; space++) {
      if (this.prepared[space] !== 0) {
        this.drop(space, linearPage);
      }
    }
  }

  /** Guards a frame wherever it may be written. */
  guardWrites(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.next[node - 1]) {
      // An invalid entry stays what it is: all ones.
      this.words[this.placeOf(node - 1) + this.toWrite(node - 1)] |= GUARD;
    }
  }

  /** Withdraws a frame from every write table: its next write comes to the slow path. */
  withholdWrites(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.next[node - 1]) {
      this.withdrawWrite(node - 1, this.placeOf(node - 1));
    }
  }

  /** Withdraws a frame from the tables wherever it may not be executed. */
  withholdNoExecute(frame: number): void {
    let next: number;
    for (let node = this.heads[frame]; node !== 0; node = next) {
      next = this.next[node - 1];
      if ((this.marks[node - 1] & NO_EXECUTE) !== 0) {
        this.dropNode(node - 1);
      }
    }
  }

  /** Withdraws a frame from every table. */
  withhold(frame: number): void {
    for (let node = this.heads[frame]; node !== 0; node = this.heads[frame]) {
      this.dropNode(node - 1);
    }
  }
}

/** Low and high word of a page's linear address; page numbers have 36 bits, and bit 47 of the address is extended. */
function lowTag(linearPage: number): number {
  return linearPage << 12;
}
function highTag(linearPage: number): number {
  return ((linearPage / FLAT_PAGES) << 16) >> 16;
}
