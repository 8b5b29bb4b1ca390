/**
 * The shadow policy: lookup tables per guest address space, kept across CR3 loads and kept coherent by traces on guest page tables.
 *
 * A space is keyed by (CR3, paging mode) and has flat tables, or hashed ones for 64-bit code; of each kind the least recently used one is
 * recycled. A miss walks the guest's tables: when they allow the access it was a hidden page fault (an entry is filled, the guest never
 * knows), otherwise a true one.
 *
 * What must hold:
 *  - An entry in a table says what the guest's tables say now. Every frame that a live space used as a paging structure is traced; a write
 *    to one of its entries drops exactly what was derived from that entry, in every space (table-uses.ts).
 *  - A write entry exists only if the guest's D bit is set, the page is RAM, and nothing intercepts its frame; one that only code traces
 *    intercept has a guarded write entry.
 *  - A frame that code was translated from has no entry where the guest forbids to execute it: a jump into translated code is taken when
 *    the entry of its page is what it was, and must not be taken there.
 * From the first follows that neither a CR3 load nor INVLPG nor INVPCID has to drop anything: a processor may forget a cached translation
 * at any time (SDM Vol. 3, 4.10.2.3), and this one never remembers a stale one. Global pages and process-context identifiers need no care
 * for the same reason. What does void everything is a change below the guest's tables: the A20 gate, a device window, memory restored
 * behind the traces' back (flush).
 */
import { ACTIVE_SPACE, KIN_SPACES, LOOKUP_SPACES, READ_TABLE, TWIN_READ_TABLE, TWIN_SPACE, TWIN_WRITE_TABLE, WRITE_TABLE } from '../cpu/layout';
import { EventCounters, type FaultHistogram } from './events';
import { ALL_SPACES, Writing, type LookupTables } from './lookup';
import {
  ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_USER, FETCH_MODES, MODE_ALIGNED, MODE_CODE64, MODE_LONG, MODE_PAE, MODE_PAGING, MODE_SMAP, MODE_SMAP_LIFTED, MODE_SMEP, MODE_USER, MODE_WRITE_PROTECT,
  pagingMode, Walk, walk32, walkIdentity, type PagingRegisters,
} from './page-walk';
import { LONG_LEVELS, walkLong } from './page-walk-long';
import { pdptePresent, pdptePage, PDPTE_COUNT, walkPae } from './page-walk-pae';
import { INTERCEPT_CODE, INTERCEPT_WATCH, KIND_RAM, type PhysicalMemory } from './physical-memory';
import { TableUses } from './table-uses';
import type { Traces } from './traces';
import { PageFault, type PagingState } from './types';
import type { LinearWatches } from './watches';

const HIDDEN_PAGE_FAULTS = EventCounters.index('hiddenPageFaults');
const TRUE_PAGE_FAULTS = EventCounters.index('truePageFaults');
const ADDRESS_SPACE_SWITCHES = EventCounters.index('addressSpaceSwitches');

/** What makes no difference to a program's translations is left out of the key of its spaces. */
const SUPERVISOR_ONLY = MODE_WRITE_PROTECT | MODE_SMEP | MODE_SMAP | MODE_SMAP_LIFTED;
/** Writes to the tables of an idle space before it is taken for dead: its tables' memory probably serves other purposes by now. */
const IDLE_WRITES = 64;

/** A space as views see it. */
export interface SpaceSummary {
  readonly cr3: number;
  readonly paging: boolean;
  readonly user: boolean;
  /** Of 64-bit code. */
  readonly wide: boolean;
  readonly active: boolean;
  readonly filledPages: number;
}

interface Space {
  used: boolean;
  cr3: number;
  mode: number;
  lastUsed: number;
  lastTwin: number;
  /** Writes to its tables since it was last in force. */
  idleWrites: number;
  /** The PDPTE registers that its entries were derived with (PAE). */
  readonly pdptes: Uint32Array;
}

export class ShadowPaging {
  /** Linear address of the guest instruction at hand, asked only when a hidden page fault is counted. */
  instructionAddress: () => number = () => 0;
  /** The last page fault. */
  fault: PageFault | undefined;
  /**
   * The space for implicit accesses where neither the one in force nor its twin is it, or -1: of a flat one in long mode, since descriptor tables may lie
   * above 4 GiB, and while EFLAGS.AC lifts SMAP for all other accesses.
   */
  private apart = -1;
  private readonly words: Int32Array;
  private readonly walk = new Walk();
  private readonly uses: TableUses;
  private readonly spaces: readonly Space[] = Array.from({ length: ALL_SPACES }, () => ({
    used: false, cr3: 0, mode: 0, lastUsed: 0, lastTwin: 0, idleWrites: 0, pdptes: new Uint32Array(2 * PDPTE_COUNT),
  }));
  private clock = 0;
  /** Spaces to be emptied after the page-table write at hand. */
  private readonly worn: number[] = [];

  constructor(
    memory: WebAssembly.Memory,
    private readonly physical: PhysicalMemory,
    private readonly lookup: LookupTables,
    traces: Traces,
    private readonly watches: LinearWatches,
    private readonly counters: EventCounters,
    private readonly histogram: FaultHistogram,
    /** The registers in force, as walks need them. */
    readonly paging: PagingRegisters,
  ) {
    this.words = new Int32Array(memory.buffer);
    this.uses = new TableUses(memory, lookup, traces, physical.frameCount);
    traces.onPageTableWrite = (frame, first, last) => this.pageTableWritten(frame, first, last);
    physical.onRemap = () => this.flush();
    paging.mode = 0;
    this.enterSpace(0, 0);
  }

  /** Puts the lookup tables of a processor state in force. */
  activate(state: PagingState): void {
    const { paging } = this;
    const mode = pagingMode(state);
    paging.mode = mode;
    paging.cr3 = state.cr3;
    const pae = isPae(mode);
    if (pae) {
      for (let i = 0; i < paging.pdptes.length; i++) {
        paging.pdptes[i] = state.pdptes?.[i] ?? 0;
      }
    }
    const key = (mode & MODE_USER) !== 0 ? mode & ~SUPERVISOR_ONLY : mode;
    // Process-context identifiers and cache controls are left out as well.
    const cr3 = (mode & MODE_PAGING) === 0 ? 0 : paging.cr3 - (paging.cr3 & (pae ? 0x1f : 0xfff));
    const space = this.spaces[this.active];
    if (space.cr3 !== cr3 || space.mode !== key) {
      this.counters.count(ADDRESS_SPACE_SWITCHES);
      this.enterSpace(cr3, key);
    } else {
      if (pae) {
        this.adoptPdptes(this.active);
      }
      this.findTwin();
    }
  }

  /** The space in force. A change of privilege may have exchanged it with its twin (see ACTIVE_SPACE in cpu/layout.ts). */
  get active(): number {
    return this.words[ACTIVE_SPACE >>> 2];
  }

  /** The supervisor's space for the processor's implicit accesses, where it is not the one in force; -1 for none. */
  get implicit(): number {
    if (this.apart >= 0) {
      return this.apart;
    }
    return (this.paging.mode & MODE_USER) !== 0 ? this.words[TWIN_SPACE >>> 2] : -1;
  }

  /** Linear addresses of the space in force have more than 32 bits. */
  get wide(): boolean {
    return this.active >= LOOKUP_SPACES;
  }

  private enterSpace(cr3: number, mode: number): void {
    const known = this.findSpace(cr3, mode);
    if (known >= 0) {
      if (isPae(mode)) {
        this.adoptPdptes(known);
      }
      this.useSpace(known);
      return;
    }
    const [first, end] = range(mode);
    let chosen = first;
    for (let i = first; i < end && this.spaces[chosen].used; i++) {
      const space = this.spaces[i];
      if (!space.used || space.lastUsed < this.spaces[chosen].lastUsed) {
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
    this.uses.setForm(chosen, (mode & MODE_PAE) !== 0 ? 9 : 10);
    if (isPae(mode)) {
      space.pdptes.fill(0);
      this.adoptPdptes(chosen);
    } else if ((mode & MODE_PAGING) !== 0) {
      this.uses.setRoot(chosen, 0, (mode & MODE_LONG) !== 0 ? LONG_LEVELS : 2, 0, this.physical.frameOf(cr3 / 4096), true);
    }
    this.useSpace(chosen);
  }

  private findSpace(cr3: number, mode: number): number {
    const [first, end] = range(mode);
    for (let i = first; i < end; i++) {
      const space = this.spaces[i];
      if (space.used && space.cr3 === cr3 && space.mode === mode) {
        return i;
      }
    }
    return -1;
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
      const present = pdptePresent(pdptes, n);
      this.uses.setRoot(index, n, 2, n << 18, present ? this.physical.frameOf(pdptePage(pdptes, n)) : -1, present);
    }
  }

  /** Finds the spaces beside the one in force that the processor reaches: its twin, and where descriptor tables may lie. */
  private findTwin(): void {
    const { cr3 } = this.spaces[this.active], { mode } = this.paging;
    let twin = -1;
    if ((mode & MODE_PAGING) !== 0) {
      const other = (mode & ~MODE_ALIGNED) ^ MODE_USER;
      twin = this.twinOf(this.spaces[this.active], (other & MODE_USER) !== 0 ? other & ~SUPERVISOR_ONLY : other);
      if (twin >= 0 && isPae(mode) && !this.hasPdptes(this.spaces[twin])) {
        twin = -1;
      }
    }
    this.words[TWIN_SPACE >>> 2] = twin;
    if (twin >= 0) {
      this.words[TWIN_READ_TABLE >>> 2] = this.lookup.readTable(twin);
      this.words[TWIN_WRITE_TABLE >>> 2] = this.lookup.writeTable(twin);
      this.touch(twin);
    }
    const compatible = (mode & (MODE_LONG | MODE_CODE64)) === MODE_LONG, lifted = (mode & MODE_SMAP_LIFTED) !== 0;
    this.apart = -1;
    if (compatible || (lifted && !isPae(mode))) {
      const checked = lifted ? (mode & ~MODE_SMAP_LIFTED) | MODE_SMAP : mode;
      this.apart = this.findSpace(cr3, (checked & ~(MODE_USER | MODE_ALIGNED)) | (compatible ? MODE_CODE64 : 0));
    }
    this.touch(this.active);
  }

  /** Where the space with the same tables and another mode was found the last time, if it still is there. */
  private twinOf(space: Space, mode: number): number {
    const last = this.spaces[space.lastTwin];
    if (!last.used || last.cr3 !== space.cr3 || last.mode !== mode) {
      const found = this.findSpace(space.cr3, mode);
      if (found < 0) {
        return -1;
      }
      space.lastTwin = found;
    }
    return space.lastTwin;
  }

  private touch(index: number): void {
    this.spaces[index].lastUsed = ++this.clock;
    this.spaces[index].idleWrites = 0;
  }

  private hasPdptes({ pdptes }: Space): boolean {
    return pdptes.every((word, n) => word === this.paging.pdptes[n]);
  }

  private useSpace(index: number): void {
    this.words[ACTIVE_SPACE >>> 2] = index;
    let kin = 0;
    for (let other = 0; other < LOOKUP_SPACES; other++) {
      if (this.spaces[other].used && this.spaces[other].cr3 === this.spaces[index].cr3) {
        kin |= 1 << other;
      }
    }
    this.words[KIN_SPACES >>> 2] = kin;
    this.findTwin();
    this.watches.wrap = this.wide ? 2 ** 48 : 2 ** 32;
    this.words[READ_TABLE >>> 2] = this.lookup.readTable(index);
    this.words[WRITE_TABLE >>> 2] = this.lookup.writeTable(index);
  }

  private emptySpace(index: number): void {
    this.lookup.dropSpace(index);
    this.uses.clear(index);
    this.spaces[index].used = false;
    if (index === this.words[TWIN_SPACE >>> 2]) {
      this.words[TWIN_SPACE >>> 2] = -1;
    }
    if (index === this.apart) {
      this.apart = -1;
    }
  }

  /** Forgets every translation: what lies below the guest's tables has changed. */
  flush(): void {
    const { cr3, mode } = this.spaces[this.active];
    for (let i = 0; i < ALL_SPACES; i++) {
      if (this.spaces[i].used) {
        this.emptySpace(i);
      }
    }
    this.enterSpace(cr3, mode);
  }

  // Coherence.

  /** The guest (or a device) wrote words first…last of a frame that serves as a paging structure. */
  private pageTableWritten(frame: number, first: number, last: number): void {
    this.uses.written(frame, first, last, this.noteTouched);
    while (this.worn.length > 0) {
      this.emptySpace(this.worn.pop()!);
    }
  }

  private readonly noteTouched = (index: number): void => {
    const space = this.spaces[index];
    if (space.cr3 !== this.spaces[this.active].cr3 && ++space.idleWrites === IDLE_WRITES) {
      this.worn.push(index);
    }
  };

  // Misses.

  /**
   * Translates for an access (ACCESS bits) that the lookup tables did not serve; fills them if they may serve the next one. Returns the
   * guest-physical page, or -1 with {@link fault} set, counted as true. With ACCESS_USER unlike the privilege in force (the processor's implicit
   * supervisor accesses while CPL is 3), the supervisor's tables are filled, if they exist.
   */
  tryResolve(linear: number, access: number): number {
    const { walk, paging } = this;
    const { mode } = paging;
    if ((mode & MODE_PAGING) === 0) {
      walkIdentity(this.physical, paging, linear, access, walk);
      this.fill(linear, this.active);
      return walk.page;
    }
    const walks = (mode & MODE_LONG) !== 0 ? walkLong : (mode & MODE_PAE) !== 0 ? walkPae : walk32;
    if (!walks(this.physical, paging, linear, access, walk)) {
      this.counters.count(TRUE_PAGE_FAULTS);
      this.fault = new PageFault(linear, walk.errorCode & ~((mode & FETCH_MODES) !== 0 ? ACCESS_IMPLICIT : ACCESS_IMPLICIT | ACCESS_FETCH));
      return -1;
    }
    if (this.uses.exhausted) {
      this.flush();
    }
    const space = this.spaceFor(access & (ACCESS_USER | ACCESS_IMPLICIT), linear);
    if (space >= 0) {
      this.fill(linear, space);
    }
    return walk.page;
  }

  /** The same; throws PageFault. */
  resolve(linear: number, access: number): number {
    const page = this.tryResolve(linear, access);
    if (page < 0) {
      throw this.fault;
    }
    return page;
  }

  /** The space whose tables say what an access may do: the one in force, or the supervisor's for implicit accesses; -1 for none. */
  spaceFor(access: number, linear: number): number {
    const { mode } = this.paging;
    const user = (access & ACCESS_USER) !== 0, lifted = (mode & MODE_SMAP_LIFTED) !== 0;
    if (user !== ((mode & MODE_USER) !== 0)) {
      return user ? -1 : this.implicit;
    }
    if (lifted && (access & ACCESS_IMPLICIT) !== 0) {
      return this.implicit;
    }
    return linear <= 0xffffffff || this.wide ? this.active : user || lifted ? -1 : this.implicit;
  }

  /** Enters the result of the walk in the tables of a space. A miss that changes them was a hidden page fault. */
  private fill(linear: number, space: number): void {
    const { walk } = this;
    const frame = this.physical.frameOf(walk.page);
    const { mode } = this.spaces[space];
    if (frame < 0 || (mode & MODE_ALIGNED) !== 0 || !walk.readable) {
      return;
    }
    const linearPage = Math.floor(linear / 4096);
    // Tracing the tables comes first: one may be the very frame that is being entered (a recursive mapping).
    if (walk.leaf !== 0) {
      this.uses.link(space, isPae(mode) ? linearPage >>> 18 : 0, linearPage, walk);
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
    if (this.lookup.enter(space, linearPage, frame, writing, walk.executable, writable)) {
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
        cr3: space.cr3, paging: (space.mode & MODE_PAGING) !== 0, user: (space.mode & MODE_USER) !== 0, wide: index >= LOOKUP_SPACES,
        active: index === this.active, filledPages: this.lookup.filledPages(index),
      }));
  }
}

/** Paging through PDPTE registers. */
function isPae(mode: number): boolean {
  return (mode & (MODE_PAE | MODE_LONG)) === MODE_PAE;
}

/** Spaces that serve a mode: first, and the one behind the last. */
function range(mode: number): readonly [number, number] {
  return (mode & MODE_CODE64) !== 0 ? HASHED_RANGE : FLAT_RANGE;
}
const FLAT_RANGE = [0, LOOKUP_SPACES] as const, HASHED_RANGE = [LOOKUP_SPACES, ALL_SPACES] as const;
