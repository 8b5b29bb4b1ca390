/**
 * Which linear ranges the lookup tables derived from which paging structure, so that a write to an entry drops what came from it.
 *
 * A *use* is one table of one space: it says that in this space the pages from `firstPage` on were looked up through a table of `level`
 * (1 page table, 2 directory, 3 directory-pointer table, 4 PML4) in a frame. The uses of a space form trees from its root tables down; a use
 * exists only below one of the table whose entry leads to it. One frame may serve many uses, at several levels (recursive mappings).
 *
 * Per frame and word a bit says whether anything was derived through the entry in it. Guests fill in entries far more often than they change
 * used ones: such a write costs a look at the bit.
 */
import { FRAME_DERIVED, FRAME_USES, TABLE_USES, USE_FIRST_PAGE, USE_LARGE, USE_LEVEL, USE_NEXT, USE_SPACE } from '../cpu/layout';
import type { LookupTables } from './lookup';
import { ALL_SPACES } from './lookup';
import type { Walk } from './page-walk';
import type { Traces } from './traces';

/** Roots per space: the four directories of PAE paging. */
export const MOST_ROOTS = 4;
const POOL = TABLE_USES;
/** Uses that a walk may need. */
const LEVELS = 4;
/** Uses that one frame may have: a guest that uses one table everywhere must not make a write to it slow. */
const MOST_USES_PER_FRAME = 64;
const WORDS_PER_FRAME = 1024;
/** By an index's bits (9 or 10) and a level less one: the pages under an entry. A power costs more than all else here. */
const SPANS: readonly (readonly number[])[] = Array.from({ length: 11 }, (_, bits) => Array.from({ length: LEVELS + 1 }, (_, level) => 2 ** (bits * level)));

export class TableUses {
  // Uses by number; 0 is none.
  private readonly space: Uint8Array;
  private readonly level: Uint8Array;
  /** Large pages were entered through this table. */
  private readonly large: Uint8Array;
  private readonly firstPage: Float64Array;
  /** -1: a table outside memory, which nobody can write. */
  private readonly frame = new Int32Array(POOL);
  private readonly parent = new Int32Array(POOL);
  private readonly firstChild = new Int32Array(POOL);
  private readonly nextSibling = new Int32Array(POOL);
  private readonly previousSibling = new Int32Array(POOL);
  private readonly nextOfFrame: Int32Array;
  private readonly previousOfFrame = new Int32Array(POOL);
  /** Numbers given back, chained by nextSibling, and the first one that never was in use. */
  private free = 0;
  private fresh = 1;
  private freeCount = POOL - 1;

  private readonly roots = new Int32Array(ALL_SPACES * MOST_ROOTS);
  /** Bits of an index into the space's tables: 10 with entries of 32 bits, 9 with entries of 64. */
  private readonly indexBits = new Uint8Array(ALL_SPACES).fill(10);
  private readonly firstOfFrame: Int32Array;
  private readonly usesOfFrame: Uint8Array;
  /** 1024 bits a frame. Untouched stretches cost address space only. */
  private readonly derived: Int32Array;
  private readonly path = new Int32Array(LEVELS + 1);
  /** Uses of the frame that is being written, copied: dropping changes the list. */
  private readonly visited = new Int32Array(MOST_USES_PER_FRAME);

  constructor({ buffer }: WebAssembly.Memory, private readonly lookup: LookupTables, private readonly traces: Traces, frameCount: number) {
    this.space = new Uint8Array(buffer, USE_SPACE, POOL);
    this.level = new Uint8Array(buffer, USE_LEVEL, POOL).fill(0);
    this.large = new Uint8Array(buffer, USE_LARGE, POOL);
    this.firstPage = new Float64Array(buffer, USE_FIRST_PAGE, POOL);
    this.nextOfFrame = new Int32Array(buffer, USE_NEXT, POOL);
    this.firstOfFrame = new Int32Array(buffer, FRAME_USES, frameCount).fill(0);
    this.usesOfFrame = new Uint8Array(frameCount);
    this.derived = new Int32Array(buffer, FRAME_DERIVED, frameCount * (WORDS_PER_FRAME / 32));
  }

  /** A walk may need more uses than are left: everything has to be forgotten before the next {@link link}. */
  get exhausted(): boolean {
    return this.freeCount < LEVELS;
  }

  /** Sets a space's form, before its roots. */
  setForm(space: number, indexBits: 9 | 10): void {
    this.indexBits[space] = indexBits;
  }

  /** The space walks from `frame` (or nothing, -1 with `present` false) for the pages from `firstPage` on. What came from another root is dropped. */
  setRoot(space: number, n: number, level: number, firstPage: number, frame: number, present: boolean): void {
    const at = space * MOST_ROOTS + n;
    if (this.roots[at] !== 0) {
      this.remove(this.roots[at]);
    }
    this.roots[at] = present ? this.add(space, level, firstPage, frame, 0) : 0;
  }

  /** Forgets all uses of a space, and drops what was derived through them. */
  clear(space: number): void {
    for (let n = 0; n < MOST_ROOTS; n++) {
      this.setRoot(space, n, 0, 0, -1, false);
    }
  }

  /** Notes the tables of a walk whose result is about to be entered. `root` is the number of the space's root that it began at. */
  link(space: number, root: number, linearPage: number, walk: Walk): void {
    const bits = this.indexBits[space];
    if (this.linkKnown(space, linearPage, walk, bits)) {
      return;
    }
    let use = this.roots[space * MOST_ROOTS + root];
    this.path.fill(0);
    for (let level = this.level[use]; ; level--) {
      this.path[level] = use;
      const span = SPANS[bits][level - 1];
      const index = Math.floor((linearPage - this.firstPage[use]) / span);
      if (this.frame[use] >= 0) {
        this.note(this.frame[use], index, bits);
      }
      if (level === walk.leaf) {
        this.large[use] |= level > 1 ? 1 : 0;
        return;
      }
      const firstPage = this.firstPage[use] + index * span;
      const below = walk.tables[level - 2];
      let child = this.childAt(use, firstPage);
      if (child !== 0 && this.frame[child] !== below) {
        this.remove(child);
        child = 0;
      }
      use = child !== 0 ? child : this.add(space, level - 1, firstPage, below, use);
    }
  }

  /** The common case: the table that maps the page is in use for its range already, and so are those above. */
  private linkKnown(space: number, linearPage: number, { tables, leaf }: Walk, bits: number): boolean {
    const frame = tables[leaf - 1];
    if (frame < 0) {
      return false;
    }
    const span = SPANS[bits][leaf - 1], range = SPANS[bits][leaf];
    const firstPage = Math.floor(linearPage / range) * range;
    for (let use = this.firstOfFrame[frame]; use !== 0; use = this.nextOfFrame[use]) {
      if (this.space[use] === space && this.level[use] === leaf && this.firstPage[use] === firstPage) {
        this.note(frame, Math.floor((linearPage - firstPage) / span), bits);
        this.large[use] |= leaf > 1 ? 1 : 0;
        return true;
      }
    }
    return false;
  }

  private note(frame: number, index: number, bits: number): void {
    if (bits === 10) {
      this.derived[frame * 32 + (index >>> 5)] |= 1 << (index & 31);
    } else {
      this.derived[frame * 32 + (index >>> 4)] |= 3 << (2 * (index & 15));
    }
  }

  private childAt(use: number, firstPage: number): number {
    let child = this.firstChild[use];
    while (child !== 0 && this.firstPage[child] !== firstPage) {
      child = this.nextSibling[child];
    }
    return child;
  }

  private add(space: number, level: number, firstPage: number, frame: number, parent: number): number {
    const use = this.free || this.fresh++;
    if (use === this.free) this.free = this.nextSibling[use];
    this.freeCount--;
    this.space[use] = space;
    this.level[use] = level;
    this.large[use] = 0;
    this.firstPage[use] = firstPage;
    this.frame[use] = frame;
    this.parent[use] = parent;
    this.firstChild[use] = 0;
    this.previousSibling[use] = 0;
    this.nextSibling[use] = 0;
    if (parent !== 0) {
      const sibling = this.firstChild[parent];
      this.nextSibling[use] = sibling;
      if (sibling !== 0) {
        this.previousSibling[sibling] = use;
      }
      this.firstChild[parent] = use;
    }
    if (frame >= 0) {
      if (this.usesOfFrame[frame] === MOST_USES_PER_FRAME) {
        this.evict(frame);
      }
      this.usesOfFrame[frame]++;
      const head = this.firstOfFrame[frame];
      this.nextOfFrame[use] = head;
      this.previousOfFrame[use] = 0;
      if (head !== 0) {
        this.previousOfFrame[head] = use;
      }
      this.firstOfFrame[frame] = use;
      if (head === 0) {
        this.derived.fill(0, frame * 32, frame * 32 + 32);
        this.traces.tracePageTable(frame);
      }
    }
    return use;
  }

  /** Removes one use of a frame that is neither a root nor on the way of the walk at hand. There are more uses than those. */
  private evict(frame: number): void {
    for (let use = this.firstOfFrame[frame]; use !== 0; use = this.nextOfFrame[use]) {
      if (this.parent[use] !== 0 && !this.path.includes(use)) {
        this.remove(use);
        return;
      }
    }
  }

  /** Drops all that was derived through a use, and forgets it and the uses below. */
  private remove(use: number): void {
    const space = this.space[use], level = this.level[use];
    while (this.firstChild[use] !== 0) {
      this.remove(this.firstChild[use]);
    }
    if (level === 1 || this.large[use] !== 0) {
      this.lookup.dropRange(space, this.firstPage[use], SPANS[this.indexBits[space]][level]);
    }
    const parent = this.parent[use], next = this.nextSibling[use], previous = this.previousSibling[use];
    if (previous !== 0) {
      this.nextSibling[previous] = next;
    } else if (parent !== 0) {
      this.firstChild[parent] = next;
    }
    if (next !== 0) {
      this.previousSibling[next] = previous;
    }
    if (parent === 0) {
      for (let n = 0; n < MOST_ROOTS; n++) {
        if (this.roots[space * MOST_ROOTS + n] === use) {
          this.roots[space * MOST_ROOTS + n] = 0;
        }
      }
    }
    this.leaveFrame(use);
    this.level[use] = 0;
    this.nextSibling[use] = this.free;
    this.free = use;
    this.freeCount++;
  }

  private leaveFrame(use: number): void {
    const frame = this.frame[use];
    if (frame < 0) {
      return;
    }
    this.usesOfFrame[frame]--;
    const next = this.nextOfFrame[use], previous = this.previousOfFrame[use];
    if (previous !== 0) {
      this.nextOfFrame[previous] = next;
    } else {
      this.firstOfFrame[frame] = next;
    }
    if (next !== 0) {
      this.previousOfFrame[next] = previous;
    }
    if (this.firstOfFrame[frame] === 0) {
      this.traces.untracePageTable(frame);
    }
  }

  /**
   * Words first…last of a frame that serves as a table were written: drops what was derived from them, in every space, and tells which
   * spaces the table belongs to.
   */
  written(frame: number, first: number, last: number, touched: (space: number) => void): void {
    let used = 0;
    for (let word = first; word <= last; word++) {
      const at = frame * 32 + (word >>> 5), bit = 1 << (word & 31);
      used |= this.derived[at] & bit;
      this.derived[at] &= ~bit;
    }
    if (used === 0) {
      // Perhaps the frame serves other purposes by now: one space at a time will find out.
      touched(this.space[this.firstOfFrame[frame]]);
      return;
    }
    let count = 0;
    for (let use = this.firstOfFrame[frame]; use !== 0; use = this.nextOfFrame[use]) {
      this.visited[count++] = use;
    }
    for (let i = 0; i < count; i++) {
      const use = this.visited[i];
      // Dropping one use may have removed another: a table that leads to itself.
      if (this.level[use] !== 0 && this.frame[use] === frame) {
        const shift = 10 - this.indexBits[this.space[use]];
        touched(this.space[use]);
        for (let index = first >> shift; index <= last >> shift && this.level[use] !== 0; index++) {
          this.dropEntry(use, index);
        }
      }
    }
  }

  private dropEntry(use: number, index: number): void {
    const space = this.space[use];
    const span = SPANS[this.indexBits[space]][this.level[use] - 1];
    const firstPage = this.firstPage[use] + index * span;
    if (span === 1) {
      this.lookup.drop(space, firstPage);
      return;
    }
    if (this.large[use] !== 0) {
      this.lookup.dropRange(space, firstPage, span);
    }
    const child = this.childAt(use, firstPage);
    if (child !== 0) {
      this.remove(child);
    }
  }
}
