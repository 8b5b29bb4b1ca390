/**
 * The translator: guest instructions at a linear address → a translation unit of threaded code, its continuations, their patching, and the
 * discarding of units whose code was written. The records themselves are record-writer.ts's.
 *
 * What must hold:
 *  - A unit's instructions lie on one page, which the transfer into it has verified (dispatcher, checked link, or a link from the same page);
 *    a unit whose only instruction straddles pages verifies the second page itself.
 *  - A discarded unit's records all lead back to the translator, so nobody has to find the links that point at it. Its place is used again
 *    for the same address when the new unit fits, else its first record is forwarded.
 */
import { BREAKPOINTS, JUMP_CACHE, JUMP_CACHE_SETS, LONG_JUMP_CACHE } from '../cpu/layout';
import { EventCounters } from '../mmu/events';
import type { Mmu } from '../mmu/mmu';
import { CONTEXTS_MAX, type TranslationContext } from './context';
import { loadsFirst } from './forms';
import { RECORD_SIZE, RecordField, SpecialHandler, UNIT_CAP } from './record';
import { INVALID_ENTRY, NOBODY, type RecordWriter } from './record-writer';
import type { Region } from './regions';
import type { Tally } from './tallies';

export interface Unit {
  readonly linear: number;
  readonly context: TranslationContext;
  /** Guest-physical address of the first byte, and of the last (the same page, or the next one's for a straddling instruction). */
  readonly gpaFirst: number;
  gpaLast: number;
  /** Guest-physical page of the second half of a straddling instruction, or -1. */
  secondPage: number;
  /** Address of the first record, and how many records the unit may occupy there. */
  record: number;
  capacity: number;
  /** Guest bytes. */
  bytes: number;
  instructions: number;
  /** Records up to the last instruction's. */
  records: number;
  live: boolean;
  /** How often its records were written. */
  version: number;
  /** The last instruction is one that ends units. */
  ended: boolean;
  /** Writes to its code that discarded it. */
  rewrites: number;
  /** An immediate of 32 bits that has been rewritten in place: where it stands in the unit's bytes (-1 for none), and the record that has it. */
  operand: number;
  operandRecord: number;
  /** While positive, its instructions are rewritten in place time and again: regions keep away. */
  restless: number;
  /** First records of discarded predecessors that forward to this unit. */
  forwarders: readonly number[];
  /** How often the unit was found at work before it became part of a region, and the age to which these finds have faded (regions.ts). */
  heat: number;
  heatAge: number;
  /** The region that the unit is the root of. */
  region?: Region;
  /** Every region that the unit is part of. */
  regions?: Set<Region>;
  /** Somebody counts how often it is begun. */
  tally?: Tally;
}

/** Thrown when the translation cache has no room: the caller forgets everything and starts again. */
export class CacheFull {}

const FORWARDERS_MAX = 16;
/** What nearly every unit has. */
const NO_FORWARDERS: readonly number[] = [];
const GRANULE = 64;
const PAGES = 0x100000;
/**
 * Units that one granule may hold (in many contexts, at many linear addresses) before a write to it, or a breakpoint in it, discards all of
 * them without looking closer: what such an event costs is bounded by what was translated since the last one.
 */
const MOST_UNITS_PER_GRANULE = 256;
/** Writes that discard a unit before the next ones are taken for a habit, and samples that a unit has to stay as it is to lose it. */
const REWRITES_MIN = 3, RESTLESS = 16;
/** Units of a granule that are looked at closer for one write: its cost is bounded. */
const REWRITTEN_TOGETHER = 4;
/** How many granules before its last byte a unit may begin: 12 instructions of 15 bytes. */
const UNIT_GRANULES = 3;
/** Records that a unit needs at most: breakpoint, page check, 12 instructions of up to two records, one inline continuation. */
const UNIT_RECORDS = 2 * UNIT_CAP + 3;

const TRANSLATION_UNITS = EventCounters.index('translationUnits');
const TRANSLATED_INSTRUCTIONS = EventCounters.index('translatedInstructions');
const CONTINUATIONS_PATCHED = EventCounters.index('continuationsPatched');
const CODE_INVALIDATIONS = EventCounters.index('codeInvalidations');

export class Translator {
  private readonly u8: Uint8Array;
  private readonly u32: Uint32Array;
  /** Units by page (frame, linear page and context) and by offset in it: aliases of a frame do not slow each other down. */
  private readonly pages = new Map<number, Map<number, Unit>>();
  /** Live units by the 64-byte granules of memory that hold their code, and by the linear granule in which they begin. */
  private readonly byGranule = new Map<number, Unit[]>();
  private readonly byLinear = new Map<number, Unit[]>();
  /** Live units by the address of their first record. */
  private readonly byRecord = new Map<number, Unit>();
  /** Told that the unit of the record at work will be left at the next one, now and later. */
  onLeaving: (record: number, next: number) => void = () => { /* nobody counts */ };
  /** Told of a new unit, before it runs. */
  onTranslated: (unit: Unit) => void = () => { /* nobody counts */ };
  /** Told of a unit whose code was overwritten, before its records change. */
  onDiscard: (unit: Unit) => void = () => { /* nothing was built upon units yet */ };
  /** The record of the instruction that is in the runtime, or 0. */
  recordAtWork: () => number = () => 0;
  /** Told that everything is forgotten. */
  onFlush: () => void = () => { /* nothing was built upon units yet */ };
  /** The unit whose records end where the next unit's will begin. */
  private lastPlaced: Unit | undefined;
  /** Linear addresses before which a unit stops for the debugger or for DR0–DR3. */
  private breakpoints: ReadonlySet<number> = new Set();

  private readonly counters: EventCounters;

  constructor(memory: WebAssembly.Memory, private readonly writer: RecordWriter, private readonly mmu: Mmu) {
    this.u8 = writer.u8;
    this.u32 = writer.u32;
    this.counters = new EventCounters(memory);
    this.mmu.onCodeWrite = (gpa, length) => this.codeWritten(gpa, length);
    this.clearJumpCache();
  }

  get hasBreakpoints(): boolean {
    return this.breakpoints.size !== 0;
  }

  /** Record of the unit at `linear`, translated now if need be. Throws PageFault, GuestFault, CacheFull. */
  unitAt(linear: number, context: TranslationContext): Unit {
    const fetch = this.mmu.fetchPage(linear);
    const gpa = fetch.gpaPage * 4096 + (linear & 0xfff);
    const page = fetch.hostPage < 0 ? -1 : (fetch.gpaPage * PAGES + (linear >>> 12)) * CONTEXTS_MAX + context.id - 1;
    let unit = this.pages.get(page)?.get(linear & 0xfff);
    if (unit?.live) {
      if (unit.secondPage < 0 || this.secondPageHolds(unit)) return unit;
      this.discard(unit);
    }
    if (!unit) {
      unit = {
        linear, context, gpaFirst: gpa, gpaLast: gpa, secondPage: -1, record: 0, capacity: 0, bytes: 0, instructions: 0, records: 0, live: false, version: 0, ended: false, rewrites: 0, operand: -1, operandRecord: 0, restless: 0,
        forwarders: NO_FORWARDERS, heat: 0, heatAge: 0,
      };
      this.translate(unit, fetch.hostPage);
      if (unit.live) this.keep(page, unit);
    } else this.translate(unit, fetch.hostPage);
    return unit;
  }

  /** Only what was translated is kept, so that code which faults at once leaves nothing behind. */
  private keep(page: number, unit: Unit): void {
    const units = this.pages.get(page);
    if (units) units.set(unit.linear & 0xfff, unit);
    else this.pages.set(page, new Map([[unit.linear & 0xfff, unit]]));
  }

  /** Whether the second page of a straddling instruction is what it was, in a way that the unit's own check can see. Throws PageFault. */
  private secondPageHolds(unit: Unit): boolean {
    const second = this.writer.secondPageOf(unit.linear, unit.context);
    return this.mmu.fetchPage(second).gpaPage === unit.secondPage && this.writer.lookupEntry(second, unit.context) !== INVALID_ENTRY;
  }

  /** The live unit whose first record stands at an address. */
  unitOfRecord(record: number): Unit | undefined {
    return this.byRecord.get(record);
  }

  /** All live units, in the order in which their records were registered. */
  units(): Iterable<Unit> {
    return this.byRecord.values();
  }

  /** The live unit at a linear address, if it has been translated. */
  find(linear: number, context: TranslationContext): Unit | undefined {
    for (const unit of this.byLinear.get(Math.floor(linear / GRANULE)) ?? []) {
      if (unit.linear === linear && unit.context === context) return unit;
    }
    return undefined;
  }

  /** Live units that begin in [first, last], in any context. */
  unitsIn(first: number, last: number): Unit[] {
    const units: Unit[] = [];
    for (let granule = Math.floor(first / GRANULE); granule <= Math.floor(last / GRANULE); granule++) {
      for (const unit of this.byLinear.get(granule) ?? []) if (unit.linear >= first && unit.linear <= last) units.push(unit);
    }
    return units;
  }

  /** Linear memory as it is now, as far as it is mapped. */
  peek(linear: number, count: number): Uint8Array {
    return this.mmu.debugRead(linear, count);
  }

  /** The lookup entry through which a unit's page is reached now; undefined when it is not mapped, or another page is. */
  mappedEntry(unit: Unit): number | undefined {
    const entry = this.writer.lookupEntry(unit.linear, unit.context);
    return entry !== INVALID_ENTRY && this.mmu.fetchPage(unit.linear).gpaPage === Math.floor(unit.gpaFirst / 4096) ? entry : undefined;
  }

  /** Linear address of an EIP (in 64-bit code: of the lower half of RIP). */
  linearOf(eip: number, context: TranslationContext): number {
    return this.writer.linearOf(eip, context);
  }

  /** Where a page's entry stands in a lookup table. */
  lookupOffset(linear: number, context: TranslationContext): number {
    return this.writer.lookupOffset(linear, context);
  }

  /** Enters a unit into the dispatcher's jump cache. */
  cacheJump(unit: Unit): void {
    const { linear, context } = unit;
    const expected = this.writer.lookupEntry(linear, context);
    if (expected === INVALID_ENTRY || !unit.live) return;
    const set = (linear ^ (linear >>> 12)) & (JUMP_CACHE_SETS - 1);
    if (context.codeSize === 64) {
      const slot = this.jumpCacheSlot(LONG_JUMP_CACHE >> 2, 8, set, linear);
      this.u32[slot] = linear;
      this.u32[slot + 1] = context.codeHigh;
      this.u32[slot + 2] = context.word;
      this.u32[slot + 3] = unit.record;
      this.u32[slot + 4] = expected;
      return;
    }
    const slot = this.jumpCacheSlot(JUMP_CACHE >> 2, 4, set, linear);
    this.u32[slot] = linear;
    this.u32[slot + 1] = context.word;
    this.u32[slot + 2] = unit.record;
    this.u32[slot + 3] = expected;
  }

  /** Where the entry of an address goes: into the first place of its set. Another one's that stands there moves to the second. */
  private jumpCacheSlot(cache: number, words: number, set: number, linear: number): number {
    const slot = cache + 2 * words * set;
    if (this.u32[slot] !== linear >>> 0) this.u32.copyWithin(slot + words, slot, slot + words);
    return slot;
  }

  /** The target of a continuation, which is patched to lead there by itself from now on. Throws as unitAt does. */
  resolve(continuation: number, context: TranslationContext): number {
    const target = this.u32[(continuation + RecordField.target) >> 2];
    const owner = this.u32[(continuation + RecordField.owner) >> 2];
    // Of everything retired only this continuation could still be at work.
    if (owner !== NOBODY) this.writer.settle();
    const source = this.writer.linearOf(this.u32[(continuation + RecordField.eip) >> 2], context);
    const linear = this.writer.linearOf(target, context);
    const samePage = source >>> 12 === linear >>> 12;
    const inline = owner === 0;
    // Fall-through: a new unit that can be emitted right here needs no jump at all (Adams & Agesen, section 3.2).
    const elidable = inline && samePage && this.writer.next === continuation + RECORD_SIZE && this.u8[continuation + RecordField.position] === 0
      && this.mmu.fetchPage(linear).hostPage >= 0;
    const unit = elidable ? this.fallThrough(continuation, linear, context) : this.unitAt(linear, context);
    if (elidable && unit.record === continuation) {
      this.counters.count(CONTINUATIONS_PATCHED);
      return unit.record;
    }
    if (!unit.live) return unit.record;
    if (samePage) {
      if (inline) {
        this.u32[(continuation + RecordField.link) >> 2] = unit.record;
        this.u32[continuation >> 2] = SpecialHandler.Goto;
      } else if (owner !== NOBODY && this.u32[owner >> 2] === continuation) {
        this.u32[owner >> 2] = unit.record;
        this.writer.retire(continuation);
      }
    } else {
      const expected = this.writer.lookupEntry(linear, context);
      if (expected === INVALID_ENTRY) return unit.record;
      this.u32[(continuation + RecordField.link) >> 2] = unit.record;
      this.u32[(continuation + RecordField.expected) >> 2] = expected;
      this.u32[(continuation + RecordField.page) >> 2] = this.writer.lookupOffset(linear, context);
      this.u32[continuation >> 2] = SpecialHandler.GotoChecked;
    }
    this.counters.count(CONTINUATIONS_PATCHED);
    return unit.record;
  }

  /**
   * The unit behind a continuation that is the last record of the cache, emitted over that continuation if it is new. Otherwise the
   * continuation is as it was.
   */
  private fallThrough(continuation: number, linear: number, context: TranslationContext): Unit {
    const saved = this.u32.slice(continuation >> 2, (continuation + RECORD_SIZE) >> 2);
    const before = this.writer.next;
    const owner = this.lastPlaced;
    this.writer.next = continuation;
    let unit: Unit | undefined;
    try {
      unit = this.unitAt(linear, context);
    } finally {
      if (unit?.record === continuation) {
        // The continuation's place belongs to the new unit now.
        if (owner) owner.capacity--;
      } else {
        if (this.writer.next === continuation) this.writer.next = before;
        this.u32.set(saved, continuation >> 2);
      }
    }
    return unit;
  }

  /** Replaces the set of breakpoints; units that cover a changed address are discarded. */
  setBreakpoints(linear: ReadonlySet<number>): void {
    const old = this.breakpoints;
    this.breakpoints = linear;
    this.u32[BREAKPOINTS >> 2] = linear.size;
    const changed = [...old].filter((a) => !linear.has(a)).concat([...linear].filter((a) => !old.has(a)));
    if (!changed.length) return;
    for (const address of changed) {
      const last = Math.floor(address / GRANULE);
      for (let granule = Math.max(0, last - UNIT_GRANULES); granule <= last; granule++) {
        this.discardFrom(this.byLinear.get(granule), (unit) => address >= unit.linear && address < unit.linear + unit.bytes);
      }
    }
  }

  /**
   * Called while the instruction of `record` is at work: control comes back to the translator behind it, even in the middle of a unit, so
   * that what the instruction caused (an interrupt, another mapping) takes effect at its very boundary.
   */
  leaveBehind(record: number): void {
    let next = record + RECORD_SIZE;
    // The record at work may be the one that loads the operand of the next.
    if (this.u8[next + RecordField.position] === this.u8[record + RecordField.position] && this.u32[(next + RecordField.eip) >> 2] === this.u32[(record + RecordField.eip) >> 2]
      && this.u8[next + RecordField.length] === this.u8[record + RecordField.length] && this.u32[next >> 2] >= SpecialHandler.Count) next += RECORD_SIZE;
    const behind = this.u32[(record + RecordField.eip) >> 2] + this.u8[record + RecordField.length];
    // Whatever else stands there (a continuation, another unit) is reached only by way of a charge, which looks at the budget.
    if (this.u8[next + RecordField.position] !== this.u8[record + RecordField.position] + 1 || this.u32[(next + RecordField.eip) >> 2] !== behind >>> 0) return;
    if (this.u32[next >> 2] < SpecialHandler.Count) return;
    this.onLeaving(record, next);
    this.u32[next >> 2] = SpecialHandler.Leave;
  }

  /** Forgets everything. Must not be called while threaded code runs. */
  flush(): void {
    for (const granule of this.byGranule.keys()) this.mmu.untraceCode(granule * GRANULE, granule * GRANULE + GRANULE - 1);
    this.onFlush();
    this.pages.clear();
    this.byGranule.clear();
    this.byLinear.clear();
    this.byRecord.clear();
    this.lastPlaced = undefined;
    this.writer.clear();
    this.clearJumpCache();
  }

  // ---- unit formation ----

  private translate(unit: Unit, hostPage: number): void {
    const { context } = unit;
    unit.operand = -1;
    if (!this.writer.hasRoomFor(UNIT_RECORDS + UNIT_CAP)) throw new CacheFull();
    // Code that no lookup entry vouches for is translated anew each time.
    let volatile = hostPage < 0;
    const cap = context.cut === 'full' && !volatile ? UNIT_CAP : 1;
    const heedBreakpoints = context.cut !== 'step';
    // Decoding comes first and writes records at the cache's end; only then is it known whether an old place fits.
    const start = this.writer.next;
    let at = start;
    let linear = unit.linear;
    let position = 0;
    let straddling = -1;
    let ended = false;
    if (heedBreakpoints && this.breakpoints.has(linear)) {
      this.writer.clearRecord(at, SpecialHandler.Breakpoint, (linear - context.csBase) >>> 0, 0);
      at += RECORD_SIZE;
    }
    while (position < cap) {
      const eip = (linear - context.csBase) >>> 0;
      if (position > 0 && (linear >>> 12 !== unit.linear >>> 12 || (heedBreakpoints && this.breakpoints.has(linear)))) break;
      const failure = this.writer.decodeAt(linear, eip, hostPage, context, position === 0);
      if (failure) {
        if (position > 0) break;
        if (failure === 'straddles') throw new Error('translator: a straddling instruction was not fetched');
        throw failure;
      }
      const { instruction } = this.writer;
      if (position === 0 && (linear & 0xfff) + instruction.length > 4096) {
        const check = this.writer.secondPageOf(linear, context);
        straddling = this.mmu.fetchPage(check).gpaPage;
        // The check takes the upper half of the page's address from the code's: where they differ the unit is for once.
        if (context.codeSize === 64 && check % 0x100000000 === 0) volatile = true;
        else {
          this.writer.clearRecord(at, SpecialHandler.CheckPage, eip, 0);
          this.u32[(at + RecordField.displacement) >> 2] = this.writer.lookupOffset(check, context);
          this.u32[(at + RecordField.expected) >> 2] = this.writer.lookupEntry(check, context);
          this.u32[(at + RecordField.target) >> 2] = check;
          if (this.writer.lookupEntry(check, context) === INVALID_ENTRY) volatile = true;
          at += RECORD_SIZE;
        }
      }
      if (instruction.memory && loadsFirst(instruction.encoding)) {
        this.writer.emitLoad(at, eip, position, context);
        at += RECORD_SIZE;
      }
      this.writer.emit(at, eip, position, context);
      linear = this.writer.behind(linear, instruction.length, context);
      position++;
      at += RECORD_SIZE;
      if (instruction.encoding.instruction.ends) {
        if (instruction.encoding.instruction.control === 'condition') {
          this.writer.emitBehind(at, eip, (eip + instruction.length) >>> 0, 0, context);
          at += RECORD_SIZE;
        }
        ended = true;
        break;
      }
      if (straddling >= 0) break;
    }
    // A conditional jump's continuation stands behind it.
    const behind = ended && this.u32[(at - RECORD_SIZE) >> 2] < SpecialHandler.Count ? 1 : 0;
    unit.records = (at - start) / RECORD_SIZE - behind;
    if (!ended) {
      const lastEip = (unit.linear - context.csBase) >>> 0;
      this.writer.emitBehind(at, lastEip, (linear - context.csBase) >>> 0, position, context);
      at += RECORD_SIZE;
    }
    unit.ended = ended;
    unit.restless = 0;
    unit.bytes = (linear - unit.linear) >>> 0;
    unit.instructions = position;
    unit.secondPage = straddling;
    const firstPart = Math.min(unit.bytes, 4096 - (unit.linear & 0xfff));
    unit.gpaLast = unit.gpaFirst + firstPart - 1;
    this.place(unit, start, (at - start) / RECORD_SIZE);
    this.counters.add(TRANSLATED_INSTRUCTIONS, position);
    this.counters.count(TRANSLATION_UNITS);
    unit.live = !volatile;
    unit.version++;
    if (unit.live) {
      this.register(unit);
      this.onTranslated(unit);
    }
  }

  /** Puts the records written at the cache's end where the unit belongs. */
  private place(unit: Unit, start: number, records: number): void {
    if (unit.capacity >= records) {
      this.u8.copyWithin(unit.record, start, start + records * RECORD_SIZE);
      const moved = unit.record - start;
      this.relocate(unit.record, records, moved);
      return;
    }
    const old = unit.record;
    unit.record = start;
    unit.capacity = records;
    this.writer.next = start + records * RECORD_SIZE;
    this.lastPlaced = unit;
    if (old !== 0) {
      unit.forwarders = [...unit.forwarders, old].slice(-FORWARDERS_MAX);
    }
    for (const forwarder of unit.forwarders) {
      this.writer.clearRecord(forwarder, SpecialHandler.Goto, (unit.linear - unit.context.csBase) >>> 0, 0);
      this.u32[(forwarder + RecordField.target) >> 2] = (unit.linear - unit.context.csBase) >>> 0;
      this.u32[(forwarder + RecordField.link) >> 2] = unit.record;
    }
  }

  /** Continuations know the address of the link they patch: after a move it is another. */
  private relocate(record: number, records: number, moved: number): void {
    for (let i = 0; i < records; i++) {
      const at = record + i * RECORD_SIZE;
      const link = this.u32[(at + RecordField.link) >> 2];
      if (this.writer.isOwnContinuation(link, at - moved)) this.u32[(link + RecordField.owner) >> 2] = at + RecordField.link;
    }
  }

  // ---- bookkeeping ----

  private register(unit: Unit): void {
    this.byRecord.set(unit.record, unit);
    unit.heat = 0;
    into(this.byLinear, Math.floor(unit.linear / GRANULE), unit);
    this.eachGranule(unit, (granule) => {
      if (into(this.byGranule, granule, unit)) this.mmu.traceCode(granule * GRANULE, granule * GRANULE + GRANULE - 1);
    });
  }

  private eachGranule(unit: Unit, visit: (granule: number) => void): void {
    const to = Math.floor(unit.gpaLast / GRANULE);
    for (let granule = Math.floor(unit.gpaFirst / GRANULE); granule <= to; granule++) visit(granule);
    if (unit.secondPage >= 0) visit(unit.secondPage * (4096 / GRANULE));
  }

  private secondPart(unit: Unit): number {
    return unit.bytes - (4096 - (unit.linear & 0xfff));
  }

  /** A write touched traced code: units that contain a written byte are discarded, the others stay. */
  private codeWritten(gpa: number, length: number): void {
    if (length === 4 && this.patchOperands(gpa)) return;
    const last = gpa + length - 1;
    const overlaps = (unit: Unit): boolean => {
      const second = unit.secondPage * 4096;
      return (gpa <= unit.gpaLast && last >= unit.gpaFirst) || (unit.secondPage >= 0 && gpa < second + this.secondPart(unit) && last >= second);
    };
    const to = Math.floor(last / GRANULE);
    for (let granule = Math.floor(gpa / GRANULE); granule <= to; granule++) {
      let rewritten = 0;
      this.counters.add(CODE_INVALIDATIONS, this.discardFrom(this.byGranule.get(granule), (unit) =>
        overlaps(unit) && (rewritten++ >= REWRITTEN_TOGETHER || !this.rewrite(unit, gpa, length))));
    }
  }

  /** A write to nothing but immediates that have been rewritten before: their records get the value. False: nothing is done. */
  private patchOperands(gpa: number): boolean {
    const granule = Math.floor(gpa / GRANULE);
    const units = this.byGranule.get(granule);
    if (!units || units.length > REWRITTEN_TOGETHER || gpa % GRANULE > GRANULE - 4) return false;
    const working = this.recordAtWork();
    for (const unit of units) {
      if (gpa + 3 < unit.gpaFirst || (gpa > unit.gpaLast && unit.secondPage < 0)) continue;
      const busy = working >= unit.operandRecord - RECORD_SIZE && working <= unit.operandRecord;
      if (unit.operand !== gpa - unit.gpaFirst || busy || unit.regions?.size || unit.tally) return false;
    }
    const host = this.mmu.hostPage(Math.floor(gpa / 4096)) + gpa % 4096;
    const { u8 } = this;
    const value = u8[host] | u8[host + 1] << 8 | u8[host + 2] << 16 | u8[host + 3] << 24;
    for (const unit of units) {
      if (unit.operand !== gpa - unit.gpaFirst) continue;
      this.u32[(unit.operandRecord + RecordField.immediate) >> 2] = value;
      unit.restless = RESTLESS;
      unit.version++;
      this.counters.count(CODE_INVALIDATIONS);
    }
    return true;
  }

  /**
   * Code that rewrites an operand before each use of an instruction: after a few times the instruction's record is made anew where it is, as long
   * as the unit stays the same row of instructions. False: the unit is to be discarded.
   */
  private rewrite(unit: Unit, gpa: number, length: number): boolean {
    const first = gpa - unit.gpaFirst;
    if (unit.rewrites < REWRITES_MIN) {
      unit.rewrites++;
      return false;
    }
    if (first < 0 || first + length > unit.bytes || unit.secondPage >= 0 || unit.regions?.size || unit.tally) return false;
    const { context } = unit;
    const eip = (unit.linear - context.csBase) >>> 0;
    const at = this.recordOf(unit, (eip + first) >>> 0);
    if (at === 0) return false;
    const here = this.u32[(at + RecordField.eip) >> 2], position = this.u8[at + RecordField.position], bytes = this.u8[at + RecordField.length];
    const records = this.u8[at + RECORD_SIZE + RecordField.position] === position && this.u32[(at + RECORD_SIZE + RecordField.eip) >> 2] === here
      && at + RECORD_SIZE < unit.record + unit.records * RECORD_SIZE ? 2 : 1;
    const working = this.recordAtWork();
    if (here - eip + bytes < first + length || (working >= at && working < at + records * RECORD_SIZE) || (unit.ended && position === unit.instructions - 1)) return false;
    if (this.writer.decodeAt(unit.linear + (here - eip), here, this.mmu.hostPage(Math.floor(unit.gpaFirst / 4096)), context, false)) return false;
    const { instruction } = this.writer;
    const loads = instruction.memory && loadsFirst(instruction.encoding);
    if (instruction.length !== bytes || instruction.encoding.instruction.ends || records !== (loads ? 2 : 1)) return false;
    if (loads) this.writer.emitLoad(at, here, position, context);
    const record = at + (records - 1) * RECORD_SIZE;
    this.writer.emit(record, here, position, context);
    unit.operand = length === 4 && here - eip + bytes === first + 4 && this.writer.endsWithImmediate ? first : -1;
    unit.operandRecord = record;
    unit.restless = RESTLESS;
    unit.version++;
    this.counters.count(CODE_INVALIDATIONS);
    return true;
  }

  /** The first record of the instruction that has the byte at `eip`, or 0 when it is none that can be made anew. */
  private recordOf(unit: Unit, eip: number): number {
    const end = unit.record + unit.records * RECORD_SIZE;
    for (let at = unit.record; at < end; at += RECORD_SIZE) {
      if (this.u32[at >> 2] < SpecialHandler.Count) return 0;
      const start = this.u32[(at + RecordField.eip) >> 2];
      if (eip >= start && eip < start + this.u8[at + RecordField.length]) return at;
    }
    return 0;
  }

  /** Discards the units of a granule that `concerns` names, or all of a granule with too many to ask. Returns how many. */
  private discardFrom(units: readonly Unit[] | undefined, concerns: (unit: Unit) => boolean): number {
    if (!units) return 0;
    const chosen = units.length > MOST_UNITS_PER_GRANULE ? [...units] : units.filter(concerns);
    // The last of a list is found at once.
    for (const unit of chosen.reverse()) if (unit.live) this.discard(unit);
    return chosen.length;
  }

  private discard(unit: Unit): void {
    this.onDiscard(unit);
    unit.live = false;
    this.byRecord.delete(unit.record);
    for (let i = 0; i < unit.capacity; i++) {
      const at = unit.record + i * RECORD_SIZE;
      const handler = this.u32[at >> 2];
      // Links behind the last instruction still lead where they should.
      if (handler === SpecialHandler.Continue || handler === SpecialHandler.Goto || handler === SpecialHandler.GotoChecked || handler === SpecialHandler.Distant) continue;
      const link = this.u32[(at + RecordField.link) >> 2];
      if (this.writer.isOwnContinuation(link, at)) {
        this.u32[(link + RecordField.owner) >> 2] = NOBODY;
        this.writer.retire(link);
      }
      this.u32[at >> 2] = SpecialHandler.Leave;
    }
    outOf(this.byLinear, Math.floor(unit.linear / GRANULE), unit);
    this.eachGranule(unit, (granule) => {
      if (outOf(this.byGranule, granule, unit)) this.mmu.untraceCode(granule * GRANULE, granule * GRANULE + GRANULE - 1);
    });
  }

  private clearJumpCache(): void {
    this.u32.fill(0xffffffff, JUMP_CACHE >> 2, (JUMP_CACHE >> 2) + 4 * 2 * JUMP_CACHE_SETS);
    this.u32.fill(0xffffffff, LONG_JUMP_CACHE >> 2, (LONG_JUMP_CACHE >> 2) + 8 * 2 * JUMP_CACHE_SETS);
  }
}

/** Adds to a map of lists; true when the list is new. Nearly all lists are short: a set of one takes ten times the memory. */
function into(map: Map<number, Unit[]>, key: number, unit: Unit): boolean {
  const list = map.get(key);
  if (list) list.push(unit);
  else map.set(key, [unit]);
  return !list;
}

/** Takes from a map of lists; true when nothing is left of the list. */
function outOf(map: Map<number, Unit[]>, key: number, unit: Unit): boolean {
  const list = map.get(key);
  const at = list ? list.lastIndexOf(unit) : -1;
  if (at < 0) return false;
  const last = list!.pop()!;
  if (last !== unit) list![at] = last;
  if (list!.length > 0) return false;
  map.delete(key);
  return true;
}
