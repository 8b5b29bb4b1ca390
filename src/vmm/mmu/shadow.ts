/**
 * The shadow policy: lookup tables per guest address space, kept across CR3 loads and kept coherent by traces on guest page tables.
 *
 * A space is keyed by (CR3, paging mode); LOOKUP_SPACES exist and the least recently used one is recycled. A miss walks the guest's
 * tables: when they allow the access it was a hidden page fault (an entry is filled, the guest never knows), otherwise a true one.
 *
 * What must hold:
 *  - An entry in a table says what the guest's tables say now. Every frame that a live space used as directory or page table is traced;
 *    a write to one of its entries drops exactly what was derived from that entry, in every space.
 *  - A write entry exists only if the guest's D bit is set, the page is RAM, and nothing intercepts its frame; one that only code traces
 *    intercept has a guarded write entry.
 *  - A frame that code was translated from has no entry where the guest forbids to execute it: a jump into translated code is taken when
 *    the entry of its page is what it was, and must not be taken there.
 * From the first follows that neither a CR3 load nor INVLPG has to drop anything: a processor may forget a cached translation at any time
 * (SDM Vol. 3, 4.10.2.3), and this one never remembers a stale one. Global pages need no care for the same reason. What does void
 * everything is a change below the guest's tables: the A20 gate, a device window, memory restored behind the traces' back (flush).
 */
import { LOOKUP_SPACES, READ_TABLE, WRITE_TABLE } from '../cpu/layout';
import { EventCounters, type FaultHistogram } from './events';
import { Writing, type LookupTables } from './lookup';
import {
  ACCESS_USER, MODE_PAE, MODE_PAGING, MODE_USER, MODE_WRITE_PROTECT, pagingMode, Walk, walk32, walkIdentity, type PagingRegisters,
} from './page-walk';
import { pdptePresent, pdptePage, PDPTE_COUNT, walkPae } from './page-walk-pae';
import { INTERCEPT_CODE, INTERCEPT_WATCH, KIND_RAM, type PhysicalMemory } from './physical-memory';
import type { Traces } from './traces';
import { PageFault, type PagingState } from './types';
import type { LinearWatches } from './watches';

const HIDDEN_PAGE_FAULTS = EventCounters.index('hiddenPageFaults');
const TRUE_PAGE_FAULTS = EventCounters.index('truePageFaults');
const ADDRESS_SPACE_SWITCHES = EventCounters.index('addressSpaceSwitches');

/**
 * Directory slots of a space: the directory entries that its linear addresses have, in order. 32-bit paging has 1024, of 4 MiB each, in one
 * directory; PAE paging 2048, of 2 MiB each, in the four directories that the PDPTE registers name.
 */
const DIRECTORY_SLOTS = 2048;
const SLOTS_PER_PAE_DIRECTORY = 512;
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
  /** Frames of the directories, each -1 if there is none (paging off, outside memory, PDPTE not present). 32-bit paging has the first only. */
  readonly directoryFrames: Int32Array;
  /** The PDPTE registers that its entries were derived with (PAE). */
  readonly pdptes: Uint32Array;
}

export class ShadowPaging {
  /** Linear address of the guest instruction at hand, asked only when a hidden page fault is counted. */
  instructionAddress: () => number = () => 0;
  /** The space in force. */
  active = 0;
  /** While a user space is in force: the supervisor's space of the same tables, for the processor's implicit accesses, or -1. */
  implicit = -1;
  private readonly words: Uint32Array;
  private readonly walk = new Walk();
  private readonly spaces: readonly Space[] = Array.from({ length: LOOKUP_SPACES }, () => ({
    used: false, cr3: 0, mode: 0, lastUsed: 0, idleWrites: 0,
    directoryFrames: new Int32Array(PDPTE_COUNT).fill(-1), pdptes: new Uint32Array(2 * PDPTE_COUNT),
  }));
  private clock = 0;

  // Directory slots (space * DIRECTORY_SLOTS + slot) that use a page table, listed by its frame; nodes as in LookupTables.
  private readonly tableOfSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS).fill(-1);
  private readonly nextSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS);
  private readonly previousSlot = new Int32Array(LOOKUP_SPACES * DIRECTORY_SLOTS);
  private readonly firstSlot: Int32Array;
  private readonly slotsOfTable: Uint8Array;
  /** How often spaces use a frame as directory. */
  private readonly directoryUses: Uint8Array;

  constructor(
    memory: WebAssembly.Memory,
    private readonly physical: PhysicalMemory,
    private readonly lookup: LookupTables,
    private readonly traces: Traces,
    private readonly watches: LinearWatches,
    private readonly counters: EventCounters,
    private readonly histogram: FaultHistogram,
    /** The registers in force, as walks need them. */
    readonly paging: PagingRegisters,
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
    const { paging } = this;
    paging.mode = pagingMode(state.cr0, state.cr4, state.efer, state.cpl);
    paging.cr3 = state.cr3 >>> 0;
    const pae = (paging.mode & MODE_PAE) !== 0;
    if (pae) {
      for (let i = 0; i < paging.pdptes.length; i++) {
        paging.pdptes[i] = state.pdptes?.[i] ?? 0;
      }
    }
    // What makes no difference to translations is left out of the key.
    let key = paging.mode;
    if ((key & MODE_USER) !== 0) {
      key &= ~MODE_WRITE_PROTECT;
    }
    const cr3 = key === 0 ? 0 : paging.cr3 & (pae ? 0xffffffe0 : 0xfffff000);
    const space = this.spaces[this.active];
    if (space.cr3 !== cr3 >>> 0 || space.mode !== key) {
      this.counters.count(ADDRESS_SPACE_SWITCHES);
      this.enterSpace(cr3 >>> 0, key);
    } else if (pae) {
      this.adoptPdptes(this.active);
    }
  }

  private enterSpace(cr3: number, mode: number): void {
    let chosen = 0;
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      const space = this.spaces[i];
      if (space.used && space.cr3 === cr3 && space.mode === mode) {
        if ((mode & MODE_PAE) !== 0) {
          this.adoptPdptes(i);
        }
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
    if ((mode & MODE_PAE) !== 0) {
      space.pdptes.fill(0);
      this.adoptPdptes(chosen);
    } else if ((mode & MODE_PAGING) !== 0) {
      this.setDirectory(space, 0, this.physical.frameOf(cr3 >>> 12));
    }
    this.useSpace(chosen);
  }

  /** Drops what a space derived from PDPTE registers that have other values now. The table in memory that they came from is not traced. */
  private adoptPdptes(index: number): void {
    const space = this.spaces[index], { pdptes } = this.paging;
    for (let n = 0; n < PDPTE_COUNT; n++) {
      const low = 2 * n, high = low + 1;
      if (space.pdptes[low] === pdptes[low] && space.pdptes[high] === pdptes[high]) {
        continue;
      }
      space.pdptes[low] = pdptes[low];
      space.pdptes[high] = pdptes[high];
      for (let slot = n * SLOTS_PER_PAE_DIRECTORY; slot < (n + 1) * SLOTS_PER_PAE_DIRECTORY; slot++) {
        this.dropSlot(index * DIRECTORY_SLOTS + slot);
      }
      this.setDirectory(space, n, pdptePresent(pdptes, n) ? this.physical.frameOf(pdptePage(pdptes, n)) : -1);
    }
  }

  private setDirectory(space: Space, n: number, frame: number): void {
    const old = space.directoryFrames[n];
    space.directoryFrames[n] = frame;
    if (frame >= 0 && this.directoryUses[frame]++ === 0) {
      this.traces.tracePageTable(frame);
    }
    if (old >= 0) {
      this.directoryUses[old]--;
      this.releaseIfUnused(old);
    }
  }

  /** PAE spaces keep their PDPTE registers only while they are in force, so they serve nobody else. */
  private supervisorSpace({ cr3, mode }: Space): number {
    if ((mode & MODE_USER) === 0 || (mode & MODE_PAE) !== 0) {
      return -1;
    }
    const wanted = this.paging.mode & ~MODE_USER;
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      const space = this.spaces[i];
      if (space.used && space.cr3 === cr3 && space.mode === wanted) {
        return i;
      }
    }
    return -1;
  }

  private useSpace(index: number): void {
    this.active = index;
    this.spaces[index].lastUsed = ++this.clock;
    this.spaces[index].idleWrites = 0;
    this.implicit = this.supervisorSpace(this.spaces[index]);
    this.words[READ_TABLE >>> 2] = this.lookup.readTable(index);
    this.words[WRITE_TABLE >>> 2] = this.lookup.writeTable(index);
  }

  private emptySpace(index: number): void {
    const space = this.spaces[index];
    this.lookup.dropSpace(index);
    for (let slot = 0; slot < DIRECTORY_SLOTS; slot++) {
      this.unlinkTable(index * DIRECTORY_SLOTS + slot);
    }
    space.used = false;
    if (index === this.implicit) {
      this.implicit = -1;
    }
    for (let n = 0; n < PDPTE_COUNT; n++) {
      this.setDirectory(space, n, -1);
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

  /** The guest (or a device) wrote words first…last of a frame that serves as directory or page table; an entry is one word or, with PAE, two. */
  private pageTableWritten(frame: number, first: number, last: number): void {
    let touched = 0;
    for (let node = this.firstSlot[frame]; node !== 0; node = this.nextSlot[node - 1]) {
      const slot = node - 1;
      const index = slot >>> 11;
      const shift = this.entryShift(index);
      touched |= 1 << index;
      for (let entry = first >> shift; entry <= last >> shift; entry++) {
        this.lookup.drop(index, ((slot & 0x7ff) << (10 - shift)) | entry);
      }
    }
    if (this.directoryUses[frame] !== 0) {
      for (let i = 0; i < LOOKUP_SPACES; i++) {
        const { directoryFrames } = this.spaces[i];
        const shift = this.entryShift(i);
        for (let n = 0; n < PDPTE_COUNT; n++) {
          if (directoryFrames[n] === frame) {
            touched |= 1 << i;
            for (let entry = first >> shift; entry <= last >> shift; entry++) {
              this.dropSlot(i * DIRECTORY_SLOTS + n * SLOTS_PER_PAE_DIRECTORY + entry);
            }
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

  /** Words that an entry of a space's tables has, as a shift. */
  private entryShift(space: number): 0 | 1 {
    return (this.spaces[space].mode & MODE_PAE) !== 0 ? 1 : 0;
  }

  /** Drops what was derived from one directory entry. */
  private dropSlot(slot: number): void {
    const space = slot >>> 11, within = slot & 0x7ff;
    if (this.entryShift(space) === 1) {
      this.lookup.dropStretch(space, within);
    } else {
      this.lookup.dropStretch(space, 2 * within);
      this.lookup.dropStretch(space, 2 * within + 1);
    }
    this.unlinkTable(slot);
  }

  private linkTable(slot: number, frame: number): void {
    if (this.tableOfSlot[slot] === frame) {
      return;
    }
    this.unlinkTable(slot);
    if (this.slotsOfTable[frame] === MOST_SLOTS_PER_TABLE) {
      this.dropSlot(this.firstSlot[frame] - 1);
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
   * supervisor accesses while CPL is 3), the supervisor's tables are filled, if they exist.
   */
  resolve(linear: number, access: number): number {
    const { walk, paging } = this;
    const { mode } = paging;
    if ((mode & MODE_PAGING) === 0) {
      walkIdentity(this.physical, paging, linear, access, walk);
      this.fill(linear);
      return walk.page;
    }
    if (!((mode & MODE_PAE) !== 0 ? walkPae : walk32)(this.physical, paging, linear, access, walk)) {
      this.counters.count(TRUE_PAGE_FAULTS);
      throw new PageFault(linear >>> 0, walk.errorCode);
    }
    if (((access & ACCESS_USER) !== 0) === ((mode & MODE_USER) !== 0)) {
      this.fill(linear);
    } else if (this.implicit >= 0) {
      this.fill(linear, this.implicit);
    }
    return walk.page;
  }

  /** Enters the result of the walk in the tables of the active space. A miss that changes them was a hidden page fault. */
  private fill(linear: number, space = this.active): void {
    const { walk } = this;
    const frame = this.physical.frameOf(walk.page);
    if (frame < 0) {
      return;
    }
    const linearPage = linear >>> 12;
    // Tracing the table comes first: it may be the very frame that is being entered (a recursive mapping).
    if (walk.tableFrame >= 0) {
      this.linkTable(space * DIRECTORY_SLOTS + (linear >>> (22 - this.entryShift(space))), walk.tableFrame);
    }
    const intercepts = this.physical.intercepts[frame];
    if ((intercepts & INTERCEPT_WATCH) !== 0 || (this.watches.count !== 0 && this.watches.covers(linearPage))) {
      return;
    }
    if (!walk.executable && (intercepts & INTERCEPT_CODE) !== 0) {
      return;
    }
    const writable = walk.writable && walk.dirty && this.physical.kindOf(walk.page) === KIND_RAM;
    const writing = !writable || (intercepts & ~INTERCEPT_CODE) !== 0 ? Writing.No : intercepts === 0 ? Writing.Yes : Writing.Guarded;
    if (this.lookup.enter(space, linearPage, frame, writing, walk.executable)) {
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
