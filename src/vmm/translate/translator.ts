/**
 * The translator: guest instructions at a linear address → a translation unit of threaded code, its continuations, their patching, and the
 * discarding of units whose code was written.
 *
 * What must hold:
 *  - A unit's instructions lie on one page, which the transfer into it has verified (dispatcher, checked link, or a link from the same page);
 *    a unit whose only instruction straddles pages verifies the second page itself.
 *  - A discarded unit's records all lead back to the translator, so nobody has to find the links that point at it. Its place is used again
 *    for the same address when the new unit fits, else its first record is forwarded.
 */
import {
  CODE_CACHE, CODE_CACHE_SIZE, GPR, JUMP_CACHE, JUMP_CACHE_ENTRIES, LONG_JUMP_CACHE, LONG_TABLE_ENTRIES, OPERAND, READ_TABLE, SEGMENT_FIELDS, SEGMENT_SIZE,
  Segment, SEGMENTS, X87, XMM, ZERO,
} from '../cpu/layout';
import { counterAddress } from '../cpu/counters';
import type { GuestFault} from '../cpu/exceptions';
import { undefinedOpcode, generalProtection } from '../cpu/exceptions';
import type { CpuModel } from '../cpu/models/models';
import type { Decoder } from '../decode/decoder';
import { DecodeStatus, Instruction } from '../decode/instruction';
import type { Encoding, InstructionTable } from '../isa/types';
import type { Mmu } from '../mmu/mmu';
import { linearNumber } from '../mmu/types';
import { CONTEXTS_MAX, type TranslationContext } from './context';
import {
  Addressing, formOperands, impliesMemory, isX87, loadOf, loadsFirst, LongAddressing, repeatIndex, type FormIndex, type FormOperand, type OperandSize,
} from './forms';
import { RECORD_SIZE, RecordField, SpecialHandler, UNIT_CAP } from './record';
import type { Region } from './regions';

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
  /** The last instruction is one that ends units. */
  ended: boolean;
  /** Writes to its code that discarded it. */
  rewrites: number;
  /** While positive, its instructions are rewritten in place time and again: regions keep away. */
  restless: number;
  /** First records of discarded predecessors that forward to this unit. */
  forwarders: number[];
  /** How often the unit was found at work before it became part of a region. */
  heat: number;
  /** The region that the unit is the root of. */
  region?: Region;
  /** Every region that the unit is part of. */
  regions?: Set<Region>;
}

/** Thrown when the translation cache has no room: the caller forgets everything and starts again. */
export class CacheFull {}

/** The first address that is not canonical, as a number (see mmu/types.ts): falling into it from below does not lead to the upper half. */
const NON_CANONICAL = 0x800000000000;
const LINEAR_END = 0x1000000000000;
/** What stands in a record for a segment without a base in 64-bit code: its base is the zero slot. */
const NO_BASE = ZERO - SEGMENT_FIELDS.base;
const INVALID_ENTRY = 0xffffffff;
const FORWARDERS_MAX = 16;
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
/** Owner of a continuation whose record is gone: there is no link to patch. */
const NOBODY = 0xffffffff;
/** How many granules before its last byte a unit may begin: 12 instructions of 15 bytes. */
const UNIT_GRANULES = 3;
/** Records that a unit needs at most: breakpoint, page check, 12 instructions of up to two records, one inline continuation. */
const UNIT_RECORDS = 2 * UNIT_CAP + 3;

/** How to fill a record's operand fields for one encoding, with modrm naming memory or a register. */
interface OperandPlan {
  readonly registers: readonly {
    readonly from: 'reg' | 'rm' | 'opcode' | 'accumulator' | 'loaded'; readonly file: 'general' | 'xmm' | 'mmx'; readonly width: number; readonly high: boolean;
  }[];
  readonly immediate: 'none' | 'value' | 'whole' | 'target' | 'far';
  readonly immediateMask: number;
  readonly number: boolean;
  /** The number is that of an x87 register, in modrm.rm. */
  readonly stackRegister: boolean;
  /** An x87 instruction: its 11 opcode bits go with the record. */
  readonly x87: boolean;
}

export class Translator {
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  /** Units by page (frame, linear page and context) and by offset in it: aliases of a frame do not slow each other down. */
  private readonly pages = new Map<number, Map<number, Unit>>();
  /** Live units by the 64-byte granules of memory that hold their code, and by the linear granule in which they begin. */
  private readonly byGranule = new Map<number, Set<Unit>>();
  private readonly byLinear = new Map<number, Set<Unit>>();
  /** Live units by the address of their first record. */
  private readonly byRecord = new Map<number, Unit>();
  /** Told of a unit whose code was overwritten, before its records change. */
  onDiscard: (unit: Unit) => void = () => { /* nothing was built upon units yet */ };
  /** The record of the instruction that is in the runtime, or 0. */
  recordAtWork: () => number = () => 0;
  /** Told that everything is forgotten. */
  onFlush: () => void = () => { /* nothing was built upon units yet */ };
  private readonly instruction = new Instruction();
  private readonly straddle = new Uint8Array(16);
  private readonly plans = new Map<number, OperandPlan>();
  private freeContinuations: number[] = [];
  /** Continuations that nothing leads to any more. They may still be at work in the present transfer: free from the next entry on. */
  private retired: number[] = [];
  /** The unit whose records end at {@link next}. */
  private lastPlaced: Unit | undefined;
  private next = CODE_CACHE;
  private top: number;
  /** Linear addresses before which a unit stops for the debugger or for DR0–DR3. */
  private breakpoints: ReadonlySet<number> = new Set();

  constructor(
    memory: WebAssembly.Memory,
    private readonly table: InstructionTable,
    private readonly decoder: Decoder,
    private readonly forms: FormIndex,
    /** Handlers of 64-bit code; asked for when there is some. */
    private readonly longForms: () => FormIndex,
    private readonly mmu: Mmu,
    private readonly model: CpuModel,
    /** How much of the translation cache is used: a multiple of the record's size. */
    private readonly cacheBytes: number = CODE_CACHE_SIZE,
  ) {
    this.top = CODE_CACHE + cacheBytes;
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
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
        linear, context, gpaFirst: gpa, gpaLast: gpa, secondPage: -1, record: 0, capacity: 0, bytes: 0, instructions: 0, records: 0, live: false, ended: false, rewrites: 0, restless: 0,
        forwarders: [], heat: 0,
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
    const second = this.secondPageOf(unit.linear, unit.context);
    return this.mmu.fetchPage(second).gpaPage === unit.secondPage && this.lookupEntry(second, unit.context) !== INVALID_ENTRY;
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

  /** Linear memory as it is now, as far as it is mapped. */
  peek(linear: number, count: number): Uint8Array {
    return this.mmu.debugRead(linear, count);
  }

  /** The lookup entry through which a unit's page is reached now; undefined when it is not mapped, or another page is. */
  mappedEntry(unit: Unit): number | undefined {
    const entry = this.lookupEntry(unit.linear, unit.context);
    return entry !== INVALID_ENTRY && this.mmu.fetchPage(unit.linear).gpaPage === Math.floor(unit.gpaFirst / 4096) ? entry : undefined;
  }

  /** Between two transfers nothing is at work in threaded code: what was retired may be used again. */
  settle(): void {
    for (const continuation of this.retired) this.freeContinuations.push(continuation);
    this.retired.length = 0;
  }

  /** Enters a unit into the dispatcher's jump cache. */
  cacheJump(unit: Unit): void {
    const { linear, context } = unit;
    const expected = this.lookupEntry(linear, context);
    if (expected === INVALID_ENTRY || !unit.live) return;
    const index = (linear ^ (linear >>> 12)) & (JUMP_CACHE_ENTRIES - 1);
    if (context.codeSize === 64) {
      const slot = (LONG_JUMP_CACHE >> 2) + 8 * index;
      this.u32[slot] = linear;
      this.u32[slot + 1] = context.codeHigh;
      this.u32[slot + 2] = context.word;
      this.u32[slot + 3] = unit.record;
      this.u32[slot + 4] = expected;
      return;
    }
    const slot = (JUMP_CACHE >> 2) + 4 * index;
    this.u32[slot] = linear;
    this.u32[slot + 1] = context.word;
    this.u32[slot + 2] = unit.record;
    this.u32[slot + 3] = expected;
  }

  /** The target of a continuation, which is patched to lead there by itself from now on. Throws as unitAt does. */
  resolve(continuation: number, context: TranslationContext): number {
    const target = this.u32[(continuation + RecordField.target) >> 2];
    const owner = this.u32[(continuation + RecordField.owner) >> 2];
    // Of everything retired only this continuation could still be at work.
    if (owner !== NOBODY) this.settle();
    const source = this.linearOf(this.u32[(continuation + RecordField.eip) >> 2], context);
    const linear = this.linearOf(target, context);
    const samePage = source >>> 12 === linear >>> 12;
    const inline = owner === 0;
    // Fall-through: a new unit that can be emitted right here needs no jump at all (Adams & Agesen, section 3.2).
    const elidable = inline && samePage && this.next === continuation + RECORD_SIZE && this.u8[continuation + RecordField.position] === 0
      && this.mmu.fetchPage(linear).hostPage >= 0;
    const unit = elidable ? this.fallThrough(continuation, linear, context) : this.unitAt(linear, context);
    if (elidable && unit.record === continuation) {
      this.count('continuationsPatched');
      return unit.record;
    }
    if (!unit.live) return unit.record;
    if (samePage) {
      if (inline) {
        this.u32[(continuation + RecordField.link) >> 2] = unit.record;
        this.u32[continuation >> 2] = SpecialHandler.Goto;
      } else if (owner !== NOBODY && this.u32[owner >> 2] === continuation) {
        this.u32[owner >> 2] = unit.record;
        this.retired.push(continuation);
      }
    } else {
      const expected = this.lookupEntry(linear, context);
      if (expected === INVALID_ENTRY) return unit.record;
      this.u32[(continuation + RecordField.link) >> 2] = unit.record;
      this.u32[(continuation + RecordField.expected) >> 2] = expected;
      this.u32[(continuation + RecordField.page) >> 2] = this.lookupOffset(linear, context);
      this.u32[continuation >> 2] = SpecialHandler.GotoChecked;
    }
    this.count('continuationsPatched');
    return unit.record;
  }

  /**
   * The unit behind a continuation that is the last record of the cache, emitted over that continuation if it is new. Otherwise the
   * continuation is as it was.
   */
  private fallThrough(continuation: number, linear: number, context: TranslationContext): Unit {
    const saved = this.u32.slice(continuation >> 2, (continuation + RECORD_SIZE) >> 2);
    const before = this.next;
    const owner = this.lastPlaced;
    this.next = continuation;
    let unit: Unit | undefined;
    try {
      unit = this.unitAt(linear, context);
    } finally {
      if (unit?.record === continuation) {
        // The continuation's place belongs to the new unit now.
        if (owner) owner.capacity--;
      } else {
        if (this.next === continuation) this.next = before;
        this.u32.set(saved, continuation >> 2);
      }
    }
    return unit;
  }

  /** Replaces the set of breakpoints; units that cover a changed address are discarded. */
  setBreakpoints(linear: ReadonlySet<number>): void {
    const old = this.breakpoints;
    this.breakpoints = linear;
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
    if (this.u32[next >> 2] >= SpecialHandler.Count) this.u32[next >> 2] = SpecialHandler.Leave;
  }

  /** Forgets everything. Must not be called while threaded code runs. */
  flush(): void {
    for (const granule of this.byGranule.keys()) this.mmu.untraceCode(granule * GRANULE, granule * GRANULE + GRANULE - 1);
    this.onFlush();
    this.pages.clear();
    this.byGranule.clear();
    this.byLinear.clear();
    this.byRecord.clear();
    this.freeContinuations = [];
    this.retired = [];
    this.lastPlaced = undefined;
    this.next = CODE_CACHE;
    this.top = CODE_CACHE + this.cacheBytes;
    this.clearJumpCache();
  }

  // ---- unit formation ----

  private translate(unit: Unit, hostPage: number): void {
    const { context } = unit;
    if (this.next + (UNIT_RECORDS + UNIT_CAP) * RECORD_SIZE > this.top) throw new CacheFull();
    // Code that no lookup entry vouches for is translated anew each time.
    let volatile = hostPage < 0;
    const cap = context.cut === 'full' && !volatile ? UNIT_CAP : 1;
    const heedBreakpoints = context.cut !== 'step';
    // Decoding comes first and writes records at the cache's end; only then is it known whether an old place fits.
    const start = this.next;
    let at = start;
    let linear = unit.linear;
    let position = 0;
    let straddling = -1;
    let ended = false;
    if (heedBreakpoints && this.breakpoints.has(linear)) {
      this.clearRecord(at, SpecialHandler.Breakpoint, (linear - context.csBase) >>> 0, 0);
      at += RECORD_SIZE;
    }
    while (position < cap) {
      const eip = (linear - context.csBase) >>> 0;
      if (position > 0 && (linear >>> 12 !== unit.linear >>> 12 || (heedBreakpoints && this.breakpoints.has(linear)))) break;
      const failure = this.decodeAt(linear, eip, hostPage, context, position === 0);
      if (failure) {
        if (position > 0) break;
        if (failure === 'straddles') throw new Error('translator: a straddling instruction was not fetched');
        throw failure;
      }
      const { instruction } = this;
      if (position === 0 && (linear & 0xfff) + instruction.length > 4096) {
        const check = this.secondPageOf(linear, context);
        straddling = this.mmu.fetchPage(check).gpaPage;
        // The check takes the upper half of the page's address from the code's: where they differ the unit is for once.
        if (context.codeSize === 64 && check % 0x100000000 === 0) volatile = true;
        else {
          this.clearRecord(at, SpecialHandler.CheckPage, eip, 0);
          this.u32[(at + RecordField.displacement) >> 2] = this.lookupOffset(check, context);
          this.u32[(at + RecordField.expected) >> 2] = this.lookupEntry(check, context);
          this.u32[(at + RecordField.target) >> 2] = check;
          if (this.lookupEntry(check, context) === INVALID_ENTRY) volatile = true;
          at += RECORD_SIZE;
        }
      }
      if (instruction.memory && loadsFirst(instruction.encoding)) {
        this.emitLoad(at, eip, position, context);
        at += RECORD_SIZE;
      }
      this.emit(at, eip, position, context);
      linear = this.behind(linear, instruction.length, context);
      position++;
      at += RECORD_SIZE;
      if (instruction.encoding.instruction.ends) {
        if (instruction.encoding.instruction.control === 'condition') {
          this.emitBehind(at, eip, (eip + instruction.length) >>> 0, 0, context);
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
      this.emitBehind(at, lastEip, (linear - context.csBase) >>> 0, position, context);
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
    this.add('translatedInstructions', position);
    this.count('translationUnits');
    unit.live = !volatile;
    if (unit.live) this.register(unit);
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
    this.next = start + records * RECORD_SIZE;
    this.lastPlaced = unit;
    if (old !== 0) {
      unit.forwarders.push(old);
      if (unit.forwarders.length > FORWARDERS_MAX) unit.forwarders.shift();
    }
    for (const forwarder of unit.forwarders) {
      this.clearRecord(forwarder, SpecialHandler.Goto, (unit.linear - unit.context.csBase) >>> 0, 0);
      this.u32[(forwarder + RecordField.target) >> 2] = (unit.linear - unit.context.csBase) >>> 0;
      this.u32[(forwarder + RecordField.link) >> 2] = unit.record;
    }
  }

  /** Continuations know the address of the link they patch: after a move it is another. */
  private relocate(record: number, records: number, moved: number): void {
    for (let i = 0; i < records; i++) {
      const at = record + i * RECORD_SIZE;
      const link = this.u32[(at + RecordField.link) >> 2];
      if (this.isOwnContinuation(link, at - moved)) this.u32[(link + RecordField.owner) >> 2] = at + RecordField.link;
    }
  }

  /** Decodes into this.instruction. Returns what is wrong, or undefined. */
  private decodeAt(linear: number, eip: number, hostPage: number, context: TranslationContext, first: boolean): GuestFault | 'straddles' | undefined {
    const { instruction } = this;
    let status: DecodeStatus;
    if (hostPage < 0) {
      if (!first) return 'straddles';
      for (let i = 0; i < 15; i++) this.straddle[i] = this.mmu.physical.read8(this.physicalOf(this.behind(linear, i, context)));
      status = this.decoder.decode(this.straddle, 0, 15, context, instruction);
    } else {
      const offset = hostPage + (linear & 0xfff);
      status = this.decoder.decode(this.u8, offset, hostPage + 4096, context, instruction);
      if (status === DecodeStatus.NeedMore) {
        if (!first) return 'straddles';
        status = this.decodeStraddling(linear, eip, hostPage, context);
      }
    }
    if (status === DecodeStatus.TooLong) return generalProtection(0, 'instruction longer than 15 bytes');
    // Bytes beyond the limit were never fetched: the limit decides before the opcode does.
    const last = eip + (status === DecodeStatus.Ok ? instruction.length : 1) - 1;
    if (last > context.csLimit) return generalProtection(0, `instruction fetch at EIP 0x${eip.toString(16)} is beyond the CS limit 0x${context.csLimit.toString(16)}`);
    if (status !== DecodeStatus.Ok) return undefinedOpcode('undefined opcode');
    const { feature } = instruction.encoding.instruction;
    return feature === undefined || this.model.executes(feature) ? undefined : undefinedOpcode(`the processor model '${this.model.name}' has no ${feature} instructions`);
  }

  private decodeStraddling(linear: number, eip: number, hostPage: number, context: TranslationContext): DecodeStatus {
    const here = 4096 - (linear & 0xfff);
    this.straddle.set(this.u8.subarray(hostPage + (linear & 0xfff), hostPage + 4096));
    if (eip + here - 1 >= context.csLimit) return DecodeStatus.TooLong;
    const next = this.secondPageOf(linear, context);
    if (context.codeSize === 64 && next === NON_CANONICAL) throw generalProtection(0, 'instruction fetch from a non-canonical address');
    const second = this.mmu.fetchPage(next);
    for (let i = here; i < 15; i++) {
      this.straddle[i] = second.hostPage >= 0 ? this.u8[second.hostPage + i - here] : this.mmu.physical.read8(this.physicalOf(this.behind(next, i - here, context)));
    }
    return this.decoder.decode(this.straddle, 0, 15, context, this.instruction);
  }

  private physicalOf(linear: number): number {
    return this.mmu.translateForDebugger(linear).gpa ?? 0xffffffff;
  }

  /** Linear address of an EIP (in 64-bit code: of the lower half of RIP). */
  linearOf(eip: number, context: TranslationContext): number {
    return context.codeSize === 64 ? linearNumber(eip, context.codeHigh) : (context.csBase + eip) >>> 0;
  }

  private behind(linear: number, bytes: number, context: TranslationContext): number {
    return context.codeSize === 64 ? (linear + bytes) % LINEAR_END : (linear + bytes) >>> 0;
  }

  private secondPageOf(linear: number, context: TranslationContext): number {
    return this.behind(linear, 4096 - (linear & 0xfff), context);
  }

  /** Where a page's entry stands in the lookup tables. */
  /** Where a page's entry stands in a lookup table. */
  lookupOffset(linear: number, context: TranslationContext): number {
    return context.codeSize === 64 ? ((linear >>> 12) & (LONG_TABLE_ENTRIES - 1)) * 16 : (linear >>> 12) * 4;
  }

  /** The read entry of a page, or INVALID_ENTRY. */
  lookupEntry(linear: number, context: TranslationContext): number {
    const at = (this.u32[READ_TABLE >> 2] + this.lookupOffset(linear, context)) >> 2;
    if (context.codeSize !== 64) return this.u32[at];
    return this.u32[at] === (linear & -0x1000) >>> 0 && (this.u32[at + 1] & 0xffff) === Math.floor(linear / 0x100000000) ? this.u32[at + 2] : INVALID_ENTRY;
  }

  // ---- records ----

  private clearRecord(at: number, handler: number, eip: number, position: number): void {
    const { u32 } = this;
    const word = at >> 2;
    u32[word] = handler;
    // A call to fill() costs more than these stores.
    u32[word + 1] = 0;
    u32[word + 2] = 0;
    u32[word + 3] = 0;
    u32[word + 4] = 0;
    u32[word + 5] = 0;
    u32[word + (RecordField.eip >> 2)] = eip;
    u32[word + 7] = 0;
    this.u8[at + RecordField.position] = position;
  }

  private emitContinuation(at: number, sourceEip: number, targetEip: number, charge: number, owner: number): void {
    this.clearRecord(at, SpecialHandler.Continue, sourceEip, charge);
    this.u32[(at + RecordField.target) >> 2] = targetEip;
    this.u32[(at + RecordField.owner) >> 2] = owner;
    this.count('continuationsCreated');
  }

  /** The continuation behind a unit or a branch that was not taken. */
  private emitBehind(at: number, sourceEip: number, targetEip: number, charge: number, context: TranslationContext): void {
    if (context.codeSize !== 64 || targetEip > sourceEip) {
      this.emitContinuation(at, sourceEip, targetEip, charge, 0);
      return;
    }
    this.clearRecord(at, SpecialHandler.Distant, sourceEip, charge);
    this.u32[(at + RecordField.target) >> 2] = targetEip;
    this.u32[(at + RecordField.expected) >> 2] = context.codeHigh + 1;
  }

  /** How the memory operand of the decoded instruction, or one that it implies, is reached. */
  private addressingOf(context: TranslationContext): Addressing {
    const i = this.instruction;
    if (i.addressSize === 16) return Addressing.Sixteen;
    if (!context.flat || i.segment === 1 || i.segment > 3) return Addressing.Segmented;
    return i.index >= 0 ? Addressing.Index : Addressing.Base;
  }

  /** The same in 64-bit code. */
  private longAddressingOf(eip: number, jump: boolean): LongAddressing {
    const i = this.instruction;
    const short = i.addressSize === 32;
    if (jump) {
      const target = eip + i.length + i.immediate;
      const distant = target < 0 || target > 0xffffffff;
      return distant ? (short ? LongAddressing.SegmentedAbsolute : LongAddressing.Segmented) : short ? LongAddressing.ThirtyTwo : LongAddressing.Base;
    }
    const segmented = i.segment > 3;
    if (i.memory && i.base < 0 && i.index < 0) return segmented ? LongAddressing.SegmentedAbsolute : LongAddressing.Absolute;
    if (short) return LongAddressing.ThirtyTwo;
    return segmented ? LongAddressing.Segmented : i.index >= 0 ? LongAddressing.Index : LongAddressing.Base;
  }

  /** An address of 64 bits that is known now: RIP-relative, an offset without registers. */
  private emitAbsolute(at: number, eip: number, context: TranslationContext): void {
    const i = this.instruction;
    const low = at + RecordField.wide >> 2;
    if (i.ripRelative) {
      const address = eip + i.length + i.displacement;
      this.u32[low] = address;
      this.u32[low + 1] = context.codeHigh + Math.floor(address / 0x100000000);
    } else {
      this.u32[low] = i.displacement;
      this.u32[low + 1] = i.displacementSize === 8 ? i.immediateHigh : i.displacement >> 31;
    }
    if (i.addressSize === 32) this.u32[low + 1] = 0;
  }

  /** The record before a vector instruction's that loads its memory operand. */
  private emitLoad(at: number, eip: number, position: number, context: TranslationContext): void {
    const long = context.codeSize === 64;
    const addressing = long ? this.longAddressingOf(eip, false) : this.addressingOf(context);
    const handler = (long ? this.longForms() : this.forms).findLoad(loadOf(this.instruction.encoding, this.instruction.operandSize), addressing);
    this.clearRecord(at, handler, eip, position);
    this.fillAddress(at, eip, context);
  }

  /** Sizes, length and the fields of a memory operand. */
  private fillAddress(at: number, eip: number, context: TranslationContext): void {
    const i = this.instruction;
    const long = context.codeSize === 64;
    this.u8[at + RecordField.length] = i.length;
    this.u8[at + RecordField.sizes] = (i.operandSize >> 5) | (i.addressSize >> 5 << 2);
    this.u16[(at + RecordField.base) >> 1] = i.base < 0 ? ZERO : GPR + 8 * i.base;
    this.u16[(at + RecordField.index) >> 1] = i.index < 0 ? ZERO : GPR + 8 * i.index;
    this.u32[(at + RecordField.displacement) >> 2] = i.displacement;
    this.u16[(at + RecordField.segment) >> 1] = long && i.segment < Segment.FS && i.addressSize === 32 ? NO_BASE : SEGMENTS + SEGMENT_SIZE * i.segment;
    this.u8[at + RecordField.scale] = i.scale;
    if (long && i.memory && i.base < 0 && i.index < 0) this.emitAbsolute(at, eip, context);
  }

  private emit(at: number, eip: number, position: number, context: TranslationContext): void {
    const i = this.instruction;
    const { encoding } = i;
    const memory = i.memory;
    const long = context.codeSize === 64;
    const plan = this.planFor(encoding.id, i.operandSize, memory, long);
    const inRegister = i.hasModrm && (!memory || loadsFirst(encoding)) && !impliesMemory(encoding);
    const addressing = inRegister ? Addressing.Register : long ? this.longAddressingOf(eip, plan.immediate === 'target') : this.addressingOf(context);
    const handler = (long ? this.longForms() : this.forms).find(encoding.id, i.operandSize, addressing, context.stack, repeatIndex[i.repeat]);
    if (handler === 0) throw new Error(`translator: no handler for ${encoding.instruction.mnemonic} '${encoding.text}' (addressing ${addressing}, stack ${context.stack}, ${i.repeat})`);
    this.clearRecord(at, handler, eip, position);
    this.fillAddress(at, eip, context);
    for (let n = 0; n < plan.registers.length; n++) {
      const { from, width, high, file } = plan.registers[n];
      if (from === 'loaded' || file !== 'general') {
        const vector = from === 'reg' ? i.reg : i.rm;
        const place = from === 'loaded' ? OPERAND : file === 'xmm' ? XMM + 16 * vector : X87 + 16 * (vector & 7);
        this.u16[(at + (n === 0 ? RecordField.registerA : RecordField.registerB)) >> 1] = place;
        continue;
      }
      const number = from === 'reg' ? i.reg : from === 'rm' ? i.rm : from === 'opcode' ? i.opcodeRegister : high ? 4 : 0;
      const address = width === 8 && i.rex === 0 ? GPR + 8 * (number & 3) + (number >> 2) : GPR + 8 * number;
      this.u16[(at + (n === 0 ? RecordField.registerA : RecordField.registerB)) >> 1] = address;
    }
    if (plan.x87) {
      this.u32[(at + RecordField.immediate) >> 2] = (encoding.opcode & 7) << 8 | i.mod << 6 | (i.reg & 7) << 3 | (i.rm & 7);
      if (plan.stackRegister) this.u16[(at + RecordField.second) >> 1] = i.rm & 7;
    }
    if (plan.number) this.u16[(at + RecordField.second) >> 1] = i.reg;
    if (plan.immediate === 'value') {
      this.u32[(at + RecordField.immediate) >> 2] = i.immediate & plan.immediateMask;
      this.u16[(at + RecordField.second) >> 1] = plan.number ? i.reg : i.immediate2;
    } else if (plan.immediate === 'whole') {
      this.u32[(at + RecordField.wide) >> 2] = i.immediate;
      this.u32[(at + RecordField.wide + 4) >> 2] = i.immediateHigh;
    } else if (plan.immediate === 'far') {
      this.u32[(at + RecordField.immediate) >> 2] = i.immediate & plan.immediateMask;
      this.u16[(at + RecordField.second) >> 1] = i.immediate2;
    } else if (plan.immediate === 'target') {
      const target = ((eip + i.length + i.immediate) & plan.immediateMask) >>> 0;
      this.u32[(at + RecordField.target) >> 2] = target;
      // A distant jump finds its way through the dispatcher.
      if (long && (addressing === LongAddressing.Segmented || addressing === LongAddressing.SegmentedAbsolute)) return;
      const continuation = this.allocateContinuation();
      this.u32[(at + RecordField.link) >> 2] = continuation;
      this.emitContinuation(continuation, eip, target, 0, at + RecordField.link);
    }
  }

  private allocateContinuation(): number {
    const free = this.freeContinuations.pop();
    if (free !== undefined) return free;
    this.top -= RECORD_SIZE;
    return this.top;
  }

  private planFor(encodingId: number, size: OperandSize, memory: boolean, long: boolean): OperandPlan {
    const key = ((encodingId * 3 + (size >> 5)) * 2 + (memory ? 1 : 0)) * 2 + (long ? 1 : 0);
    let plan = this.plans.get(key);
    if (!plan) {
      const encoding = this.table.encodings[encodingId];
      plan = makePlan(encoding, formOperands(encoding, size, memory, long), size, memory && loadsFirst(encoding));
      this.plans.set(key, plan);
    }
    return plan;
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
    const last = gpa + length - 1;
    const overlaps = (unit: Unit): boolean => {
      const second = unit.secondPage * 4096;
      return (gpa <= unit.gpaLast && last >= unit.gpaFirst) || (unit.secondPage >= 0 && gpa < second + this.secondPart(unit) && last >= second);
    };
    const to = Math.floor(last / GRANULE);
    for (let granule = Math.floor(gpa / GRANULE); granule <= to; granule++) {
      let rewritten = 0;
      this.add('codeInvalidations', this.discardFrom(this.byGranule.get(granule), (unit) =>
        overlaps(unit) && (rewritten++ >= REWRITTEN_TOGETHER || !this.rewrite(unit, gpa, length))));
    }
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
    if (first < 0 || first + length > unit.bytes || unit.secondPage >= 0 || unit.regions?.size) return false;
    const { context } = unit;
    const eip = (unit.linear - context.csBase) >>> 0;
    const at = this.recordOf(unit, (eip + first) >>> 0);
    if (at === 0) return false;
    const here = this.u32[(at + RecordField.eip) >> 2], position = this.u8[at + RecordField.position], bytes = this.u8[at + RecordField.length];
    const records = this.u8[at + RECORD_SIZE + RecordField.position] === position && this.u32[(at + RECORD_SIZE + RecordField.eip) >> 2] === here
      && at + RECORD_SIZE < unit.record + unit.records * RECORD_SIZE ? 2 : 1;
    const working = this.recordAtWork();
    if (here - eip + bytes < first + length || (working >= at && working < at + records * RECORD_SIZE) || (unit.ended && position === unit.instructions - 1)) return false;
    if (this.decodeAt(unit.linear + (here - eip), here, this.mmu.hostPage(Math.floor(unit.gpaFirst / 4096)), context, false)) return false;
    const { instruction } = this;
    const loads = instruction.memory && loadsFirst(instruction.encoding);
    if (instruction.length !== bytes || instruction.encoding.instruction.ends || records !== (loads ? 2 : 1)) return false;
    if (loads) this.emitLoad(at, here, position, context);
    this.emit(at + (records - 1) * RECORD_SIZE, here, position, context);
    unit.restless = RESTLESS;
    this.count('codeInvalidations');
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

  /** Discards the units of a set that `concerns` names, or all of a set too large to ask. Returns how many. */
  private discardFrom(set: Set<Unit> | undefined, concerns: (unit: Unit) => boolean): number {
    if (!set) return 0;
    const units = [...set];
    const chosen = units.length > MOST_UNITS_PER_GRANULE ? units : units.filter(concerns);
    for (const unit of chosen) this.discard(unit);
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
      if (this.isOwnContinuation(link, at)) {
        this.u32[(link + RecordField.owner) >> 2] = NOBODY;
        this.retired.push(link);
      }
      this.u32[at >> 2] = SpecialHandler.Leave;
    }
    outOf(this.byLinear, Math.floor(unit.linear / GRANULE), unit);
    this.eachGranule(unit, (granule) => {
      if (outOf(this.byGranule, granule, unit)) this.mmu.untraceCode(granule * GRANULE, granule * GRANULE + GRANULE - 1);
    });
  }

  /** Whether `link` is a continuation, open or a checked link by now, that belongs to the record at `at`. */
  private isOwnContinuation(link: number, at: number): boolean {
    if (link < this.top || link >= CODE_CACHE + this.cacheBytes || (link & (RECORD_SIZE - 1)) !== 0) return false;
    const handler = this.u32[link >> 2];
    return (handler === SpecialHandler.Continue || handler === SpecialHandler.GotoChecked) && this.u32[(link + RecordField.owner) >> 2] === at + RecordField.link;
  }

  private clearJumpCache(): void {
    this.u32.fill(0xffffffff, JUMP_CACHE >> 2, (JUMP_CACHE >> 2) + 4 * JUMP_CACHE_ENTRIES);
    this.u32.fill(0xffffffff, LONG_JUMP_CACHE >> 2, (LONG_JUMP_CACHE >> 2) + 8 * JUMP_CACHE_ENTRIES);
  }

  private count(id: Parameters<typeof counterAddress>[0]): void {
    this.add(id, 1);
  }

  private add(id: Parameters<typeof counterAddress>[0], amount: number): void {
    const at = counterSlots.get(id)!;
    const low = this.u32[at] + amount;
    this.u32[at] = low;
    if (low > 0xffffffff) this.u32[at + 1]++;
  }
}

/** Adds to a map of sets; true when the set is new. */
function into(map: Map<number, Set<Unit>>, key: number, unit: Unit): boolean {
  const set = map.get(key);
  if (set) set.add(unit);
  else map.set(key, new Set([unit]));
  return !set;
}

/** Takes from a map of sets; true when nothing is left of the set. */
function outOf(map: Map<number, Set<Unit>>, key: number, unit: Unit): boolean {
  const set = map.get(key);
  if (!set?.delete(unit) || set.size > 0) return false;
  map.delete(key);
  return true;
}

const counted = ['translationUnits', 'translatedInstructions', 'continuationsCreated', 'continuationsPatched', 'codeInvalidations'] as const;
const counterSlots = new Map<string, number>(counted.map((id) => [id, counterAddress(id) >> 2]));

function makePlan(encoding: Encoding, operands: readonly FormOperand[], size: OperandSize, loaded: boolean): OperandPlan {
  const codes = encoding.operands as readonly string[];
  const registers: OperandPlan['registers'][number][] = [];
  let immediate: OperandPlan['immediate'] = 'none';
  let mask = 0xffffffff;
  let number = false;
  operands.forEach((operand, n) => {
    const code = codes[n];
    if (operand.kind === 'vector' && operand.slot === 'xmm0') return;
    if (operand.kind === 'register' || operand.kind === 'vector') {
      const from = loaded && /^[EMWQ]/.test(code) ? 'loaded' : /^[GVP]/.test(code) ? 'reg' : /^[ERWUQN]/.test(code) ? 'rm' : code[0] === 'Z' ? 'opcode' : 'accumulator';
      const file = /^[VWU]/.test(code) ? 'xmm' : /^[PQN]/.test(code) ? 'mmx' : 'general';
      registers.push({ from, file, width: operand.width, high: code === 'AH' });
    } else if (operand.kind === 'immediate' && immediate === 'none') {
      immediate = operand.whole ? 'whole' : 'value';
      mask = operand.width === 8 ? 0xff : operand.width === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'target') {
      immediate = 'target';
      mask = size === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'far') {
      immediate = 'far';
      mask = size === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'number' && code.length === 2 && code[1] !== 'S') number = true;
  });
  return { registers, immediate, immediateMask: mask, number, stackRegister: codes.includes('STi'), x87: isX87(encoding) };
}
