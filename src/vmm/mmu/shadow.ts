/**
 * The shadow policy: lookup tables per guest address space, kept across CR3 loads and kept coherent by traces on guest page tables.
 *
 * A space is keyed by (CR3, paging mode); LOOKUP_SPACES exist and the least recently used one is recycled. A miss walks the guest's
 * tables: when they allow the access it was a hidden page fault (an entry is filled, the guest never knows), otherwise a true one.
 *
 * What must hold:
 *  - An entry in a table says what the guest's tables say now. Every frame that a live space used as directory or page table is traced;
 *    a write to one of its entries drops exactly what was derived from that entry, in every space.
 *  - A write entry exists only if the guest's D bit is set, the page is RAM, and nothing intercepts its frame.
 * From the first follows that neither a CR3 load nor INVLPG has to drop anything: a processor may forget a cached translation at any time
 * (SDM Vol. 3, 4.10.2.3), and this one never remembers a stale one. Global pages need no care for the same reason. What does void
 * everything is a change below the guest's tables: the A20 gate, a device window, memory restored behind the traces' back (flush).
 */
import { LOOKUP_SPACES, READ_TABLE, WRITE_TABLE } from '../cpu/layout';
import { EventCounters, type FaultHistogram } from './events';
import type { LookupTables } from './lookup';
import {
  ACCESS_USER, MODE_PAGING, MODE_USER, MODE_WRITE_PROTECT, pagingMode, Walk, walk32, walkIdentity,
} from './page-walk';
import { INTERCEPT_WATCH, KIND_RAM, type PhysicalMemory } from './physical-memory';
import type { Traces } from './traces';
import { PageFault, type PagingState } from './types';
import type { LinearWatches } from './watches';

const HIDDEN_PAGE_FAULTS = EventCounters.index('hiddenPageFaults');
const TRUE_PAGE_FAULTS = EventCounters.index('truePageFaults');
const ADDRESS_SPACE_SWITCHES = EventCounters.index('addressSpaceSwitches');

const DIRECTORY_SLOTS = 1024;
/** Directory slots that may share one page table: a guest that uses one table everywhere must not make a write to it slow. */
const MOST_SLOTS_PER_TABLE = 64;
/** Writes to the tables of an idle space before it is taken for dead: its tables' memory probably serves other purposes by now. */
const IDLE_WRITES = 256;

/** A space as views see it. */
export interface SpaceSummary {
  readonly cr3: number;
  readonly paging: boolean;
  readonly user: boolean;
  readonly active: boolean;
  readonly filledPages: number;
}

interface Space {
  used: boolean;
  cr3: number;
  mode: number;
  lastUsed: number;
  /** Writes to its tables since it was last in force. */
  idleWrites: number;
  /** Frame of the directory, or -1 (paging off, or outside memory). */
  directoryFrame: number;
}

export class ShadowPaging {
  /** Linear address of the guest instruction at hand, asked only when a hidden page fault is counted. */
  instructionAddress: () => number = () => 0;
  /** The space in force. */
  active = 0;
  /** CR3 and paging mode in force, as walks need them. */
  cr3 = 0;
  mode = 0;

  private readonly words: Uint32Array;
  private readonly walk = new Walk();
  private readonly spaces: readonly Space[] = Array.from({ length: LOOKUP_SPACES }, () => ({
    used: false, cr3: 0, mode: 0, lastUsed: 0, idleWrites: 0, directoryFrame: -1,
  }));
  private clock = 0;

  // Directory slots (space * 1024 + directory index) that use a page table, listed by its frame; nodes as in LookupTables.
  private readonly tableOfSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS).fill(-1);
  private readonly nextSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS);
  private readonly previousSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS);
  private readonly firstSlot: Int32Array;
  private readonly slotsOfTable: Uint8Array;
  /** How many spaces use a frame as directory. */
  private readonly directoryUses: Uint8Array;

  constructor(
    memory: WebAssembly.Memory,
    private readonly physical: PhysicalMemory,
    private readonly lookup: LookupTables,
    private readonly traces: Traces,
    private readonly watches: LinearWatches,
    private readonly counters: EventCounters,
    private readonly histogram: FaultHistogram,
    private readonly reservedLarge: number,
  ) {
    this.words = new Uint32Array(memory.buffer);
    this.firstSlot = new Int32Array(physical.frameCount);
    this.slotsOfTable = new Uint8Array(physical.frameCount);
    this.directoryUses = new Uint8Array(physical.frameCount);
    traces.onPageTableWrite = (frame, first, last) => this.pageTableWritten(frame, first, last);
    physical.onRemap = () => this.flush();
    this.enterSpace(0, 0);
  }

  /** Puts the lookup tables of a processor state in force. */
  activate(state: PagingState): void {
    this.mode = pagingMode(state.cr0, state.cr4, state.cpl);
    this.cr3 = state.cr3 >>> 0;
    // What makes no difference to translations is left out of the key.
    let key = this.mode;
    if ((key & MODE_USER) !== 0) {
      key &= ~MODE_WRITE_PROTECT;
    }
    const cr3 = key === 0 ? 0 : this.cr3 & 0xfffff000;
    const space = this.spaces[this.active];
    if (space.cr3 !== cr3 >>> 0 || space.mode !== key) {
      this.counters.count(ADDRESS_SPACE_SWITCHES);
      this.enterSpace(cr3 >>> 0, key);
    }
  }

  private enterSpace(cr3: number, mode: number): void {
    let chosen = 0;
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      const space = this.spaces[i];
      if (space.used && space.cr3 === cr3 && space.mode === mode) {
        this.useSpace(i);
        return;
      }
      const candidate = this.spaces[chosen];
      if (candidate.used && (!space.used || space.lastUsed < candidate.lastUsed)) {
        chosen = i;
      }
    }
    const space = this.spaces[chosen];
    if (space.used) {
      this.emptySpace(chosen);
    }
    this.lookup.prepare(chosen);
    space.used = true;
    space.cr3 = cr3;
    space.mode = mode;
    space.directoryFrame = (mode & MODE_PAGING) !== 0 ? this.physical.frameOf(cr3 >>> 12) : -1;
    if (space.directoryFrame >= 0 && this.directoryUses[space.directoryFrame]++ === 0) {
      this.traces.tracePageTable(space.directoryFrame);
    }
    this.useSpace(chosen);
  }

  private useSpace(index: number): void {
    this.active = index;
    this.spaces[index].lastUsed = ++this.clock;
    this.spaces[index].idleWrites = 0;
    this.words[READ_TABLE >>> 2] = this.lookup.readTable(index);
    this.words[WRITE_TABLE >>> 2] = this.lookup.writeTable(index);
  }

  private emptySpace(index: number): void {
    const space = this.spaces[index];
    this.lookup.dropSpace(index);
    for (let slot = 0; slot < DIRECTORY_SLOTS; slot++) {
      this.unlinkTable(index * DIRECTORY_SLOTS + slot);
    }
    const frame = space.directoryFrame;
    space.used = false;
    space.directoryFrame = -1;
    if (frame >= 0) {
      this.directoryUses[frame]--;
      this.releaseIfUnused(frame);
    }
  }

  /** Forgets every translation: what lies below the guest's tables has changed. */
  flush(): void {
    const { cr3, mode } = this.spaces[this.active];
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      if (this.spaces[i].used) {
        this.emptySpace(i);
      }
    }
    this.enterSpace(cr3, mode);
  }

  // Coherence.

  /** The guest (or a device) wrote entries first…last of a frame that serves as directory or page table. */
  private pageTableWritten(frame: number, first: number, last: number): void {
    let touched = 0;
    for (let node = this.firstSlot[frame]; node !== 0; node = this.nextSlot[node - 1]) {
      const slot = node - 1;
      touched |= 1 << (slot >>> 10);
      for (let index = first; index <= last; index++) {
        this.lookup.drop(slot >>> 10, ((slot & 0x3ff) << 10) | index);
      }
    }
    if (this.directoryUses[frame] !== 0) {
      for (let i = 0; i < LOOKUP_SPACES; i++) {
        if (this.spaces[i].directoryFrame === frame) {
          touched |= 1 << i;
          for (let index = first; index <= last; index++) {
            this.lookup.dropDirectorySlot(i, index);
            this.unlinkTable(i * DIRECTORY_SLOTS + index);
          }
        }
      }
    }
    const { cr3 } = this.spaces[this.active];
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      const space = this.spaces[i];
      if ((touched & (1 << i)) !== 0 && space.cr3 !== cr3 && ++space.idleWrites > IDLE_WRITES) {
        this.emptySpace(i);
      }
    }
  }

  private linkTable(slot: number, frame: number): void {
    if (this.tableOfSlot[slot] === frame) {
      return;
    }
    this.unlinkTable(slot);
    if (this.slotsOfTable[frame] === MOST_SLOTS_PER_TABLE) {
      const other = this.firstSlot[frame] - 1;
      this.lookup.dropDirectorySlot(other >>> 10, other & 0x3ff);
      this.unlinkTable(other);
    }
    this.slotsOfTable[frame]++;
    this.tableOfSlot[slot] = frame;
    const head = this.firstSlot[frame];
    this.nextSlot[slot] = head;
    this.previousSlot[slot] = 0;
    if (head !== 0) {
      this.previousSlot[head - 1] = slot + 1;
    }
    this.firstSlot[frame] = slot + 1;
    if (head === 0) {
      this.traces.tracePageTable(frame);
    }
  }

  private unlinkTable(slot: number): void {
    const frame = this.tableOfSlot[slot];
    if (frame < 0) {
      return;
    }
    this.tableOfSlot[slot] = -1;
    this.slotsOfTable[frame]--;
    const next = this.nextSlot[slot], previous = this.previousSlot[slot];
    if (previous !== 0) {
      this.nextSlot[previous - 1] = next;
    } else {
      this.firstSlot[frame] = next;
    }
    if (next !== 0) {
      this.previousSlot[next - 1] = previous;
    }
    this.releaseIfUnused(frame);
  }

  private releaseIfUnused(frame: number): void {
    if (this.firstSlot[frame] === 0 && this.directoryUses[frame] === 0) {
      this.traces.untracePageTable(frame);
    }
  }

  // Misses.

  /**
   * Translates for an access (ACCESS bits) that the lookup tables did not serve; fills them if they may serve the next one. Returns the
   * guest-physical page. Throws PageFault, counted as true. With ACCESS_USER unlike the privilege in force (the processor's implicit
   * supervisor accesses while CPL is 3), nothing is filled.
   */
  resolve(linear: number, access: number): number {
    const { walk, mode } = this;
    if ((mode & MODE_PAGING) === 0) {
      walkIdentity(this.physical, 0, mode, linear, access, 0, walk);
      this.fill(linear);
      return walk.page;
    }
    if (!walk32(this.physical, this.cr3, mode, linear, access, this.reservedLarge, walk)) {
      this.counters.count(TRUE_PAGE_FAULTS);
      throw new PageFault(linear >>> 0, walk.errorCode);
    }
    if (((access & ACCESS_USER) !== 0) === ((mode & MODE_USER) !== 0)) {
      this.fill(linear);
    }
    return walk.page;
  }

  /** Enters the result of the walk in the tables of the active space. A miss that changes them was a hidden page fault. */
  private fill(linear: number): void {
    const { walk, active } = this;
    const frame = this.physical.frameOf(walk.page);
    if (frame < 0) {
      return;
    }
    const linearPage = linear >>> 12;
    // Tracing the table comes first: it may be the very frame that is being entered (a recursive mapping).
    if (walk.tableFrame >= 0) {
      this.linkTable(active * DIRECTORY_SLOTS + (linear >>> 22), walk.tableFrame);
    }
    const intercepts = this.physical.intercepts[frame];
    if ((intercepts & INTERCEPT_WATCH) !== 0 || (this.watches.count !== 0 && this.watches.covers(linearPage))) {
      return;
    }
    const writable = intercepts === 0 && walk.writable && walk.dirty && this.physical.kindOf(walk.page) === KIND_RAM;
    if (this.lookup.enter(active, linearPage, frame, writable)) {
      this.counters.count(HIDDEN_PAGE_FAULTS);
      this.histogram.add(this.instructionAddress());
    }
  }

  /** The spaces that exist, most recently used first. */
  summary(): SpaceSummary[] {
    return this.spaces
      .map((space, index) => ({ space, index }))
      .filter(({ space }) => space.used)
      .sort((a, b) => b.space.lastUsed - a.space.lastUsed)
      .map(({ space, index }) => ({
        cr3: space.cr3, paging: (space.mode & MODE_PAGING) !== 0, user: (space.mode & MODE_USER) !== 0,
        active: index === this.active, filledPages: this.lookup.filledPages(index),
      }));
  }
}
