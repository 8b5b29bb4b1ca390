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
import { CODE_CACHE, CODE_CACHE_SIZE, GPR, JUMP_CACHE, JUMP_CACHE_ENTRIES, READ_TABLE, SEGMENTS, SEGMENT_SIZE, ZERO } from '../cpu/layout';
import { counterAddress } from '../cpu/counters';
import type { GuestFault} from '../cpu/exceptions';
import { undefinedOpcode, generalProtection } from '../cpu/exceptions';
import type { Decoder } from '../decode/decoder';
import { DecodeStatus, Instruction } from '../decode/instruction';
import type { InstructionTable } from '../isa/types';
import type { Mmu } from '../mmu/mmu';
import type { TranslationContext } from './context';
import { Addressing, formOperands, repeatIndex, type FormIndex, type FormOperand } from './forms';
import { SpecialHandler } from './handlers';
import { RECORD_SIZE, RecordField, UNIT_CAP } from './record';

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
  live: boolean;
  /** First records of discarded predecessors that forward to this unit. */
  forwarders: number[];
  /** The next unit with the same physical address and context at another linear address. */
  alias: Unit | undefined;
}

/** Thrown when the translation cache has no room: the caller forgets everything and starts again. */
export class CacheFull {}

const INVALID_ENTRY = 0xffffffff;
const FORWARDERS_MAX = 16;
const GRANULE = 64;
/** Records that a unit needs at most: breakpoint, page check, 12 instructions, one inline continuation. */
const UNIT_RECORDS = UNIT_CAP + 3;

/** How to fill a record's operand fields for one encoding, with modrm naming memory or a register. */
interface OperandPlan {
  readonly registers: readonly { readonly from: 'reg' | 'rm' | 'opcode' | 'accumulator'; readonly width: number; readonly high: boolean }[];
  readonly immediate: 'none' | 'value' | 'target' | 'far';
  readonly immediateMask: number;
  readonly number: boolean;
}

export class Translator {
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly units = new Map<number, Unit>();
  private readonly unitsOnPage = new Map<number, Set<Unit>>();
  private readonly instruction = new Instruction();
  private readonly straddle = new Uint8Array(16);
  private readonly plans = new Map<number, OperandPlan>();
  private freeContinuations: number[] = [];
  /** Continuations that nothing leads to any more. They may still be at work in the present transfer: free from the next entry on. */
  private retired: number[] = [];
  /** The unit whose records end at {@link next}. */
  private lastPlaced: Unit | undefined;
  private next = CODE_CACHE;
  private top = CODE_CACHE + CODE_CACHE_SIZE;
  /** Linear addresses before which a unit stops for the debugger or for DR0–DR3. */
  private breakpoints: ReadonlySet<number> = new Set();

  constructor(
    memory: WebAssembly.Memory,
    private readonly table: InstructionTable,
    private readonly decoder: Decoder,
    private readonly forms: FormIndex,
    private readonly mmu: Mmu,
  ) {
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.mmu.onCodeWrite = (gpa, length) => this.codeWritten(gpa, length);
    this.clearJumpCache();
  }

  /** Record of the unit at `linear`, translated now if need be. Throws PageFault, GuestFault, CacheFull. */
  unitAt(linear: number, context: TranslationContext): Unit {
    const fetch = this.mmu.fetchPage(linear);
    const gpa = fetch.gpaPage * 4096 + (linear & 0xfff);
    const key = gpa * 8192 + context.id;
    let unit = this.units.get(key);
    while (unit && unit.linear !== linear) unit = unit.alias;
    if (unit?.live) {
      if (unit.secondPage < 0 || this.mmu.fetchPage(this.secondPageOf(linear)).gpaPage === unit.secondPage) return unit;
      this.discard(unit);
    }
    if (!unit) {
      unit = {
        linear, context, gpaFirst: gpa, gpaLast: gpa, secondPage: -1, record: 0, capacity: 0, bytes: 0, instructions: 0, live: false, forwarders: [],
        alias: this.units.get(key),
      };
      this.translate(unit, fetch.hostPage);
      if (fetch.hostPage >= 0) this.units.set(key, unit);
    } else this.translate(unit, fetch.hostPage);
    return unit;
  }

  /** Between two transfers nothing is at work in threaded code: what was retired may be used again. */
  settle(): void {
    if (this.retired.length) {
      this.freeContinuations.push(...this.retired);
      this.retired = [];
    }
  }

  /** Enters a unit into the dispatcher's jump cache. */
  cacheJump(unit: Unit): void {
    const { linear } = unit;
    const expected = this.lookupEntry(linear);
    if (expected === INVALID_ENTRY || !unit.live) return;
    const slot = (JUMP_CACHE >> 2) + 4 * ((linear ^ (linear >>> 12)) & (JUMP_CACHE_ENTRIES - 1));
    this.u32[slot] = linear;
    this.u32[slot + 1] = unit.context.id;
    this.u32[slot + 2] = unit.record;
    this.u32[slot + 3] = expected;
  }

  /** The target of a continuation, which is patched to lead there by itself from now on. Throws as unitAt does. */
  resolve(continuation: number, context: TranslationContext): number {
    const target = this.u32[(continuation + RecordField.target) >> 2];
    const owner = this.u32[(continuation + RecordField.owner) >> 2];
    const source = (context.csBase + this.u32[(continuation + RecordField.eip) >> 2]) >>> 0;
    const linear = (context.csBase + target) >>> 0;
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
      } else if (this.u32[owner >> 2] === continuation) {
        this.u32[owner >> 2] = unit.record;
        this.retired.push(continuation);
      }
    } else {
      const expected = this.lookupEntry(linear);
      if (expected === INVALID_ENTRY) return unit.record;
      this.u32[(continuation + RecordField.link) >> 2] = unit.record;
      this.u32[(continuation + RecordField.expected) >> 2] = expected;
      this.u32[(continuation + RecordField.owner) >> 2] = (linear >>> 12) * 4;
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
    for (const first of [...this.units.values()]) {
      for (let unit: Unit | undefined = first; unit; unit = unit.alias) {
        const { linear: start, bytes, live } = unit;
        if (live && changed.some((a) => a >= start && a < start + Math.max(bytes, 1))) this.discard(unit);
      }
    }
  }

  /** Forgets everything. Must not be called while threaded code runs. */
  flush(): void {
    for (const page of this.unitsOnPage.keys()) this.mmu.untraceCodePage(page);
    this.units.clear();
    this.unitsOnPage.clear();
    this.freeContinuations = [];
    this.retired = [];
    this.lastPlaced = undefined;
    this.next = CODE_CACHE;
    this.top = CODE_CACHE + CODE_CACHE_SIZE;
    this.clearJumpCache();
  }

  /** EIP, length and bytes of translated code for views. */
  get unitCount(): number {
    return this.units.size;
  }

  // ---- unit formation ----

  private translate(unit: Unit, hostPage: number): void {
    const { context } = unit;
    if (this.next + (UNIT_RECORDS + UNIT_CAP) * RECORD_SIZE > this.top) throw new CacheFull();
    const volatile = hostPage < 0;
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
        straddling = this.mmu.fetchPage(this.secondPageOf(linear)).gpaPage;
        const check = this.secondPageOf(linear);
        this.clearRecord(at, SpecialHandler.CheckPage, eip, 0);
        this.u32[(at + RecordField.displacement) >> 2] = (check >>> 12) * 4;
        this.u32[(at + RecordField.expected) >> 2] = this.lookupEntry(check);
        at += RECORD_SIZE;
      }
      this.emit(at, eip, position, context);
      linear = (linear + instruction.length) >>> 0;
      position++;
      at += RECORD_SIZE;
      if (instruction.encoding.instruction.ends) {
        if (instruction.encoding.instruction.control === 'condition') {
          this.emitContinuation(at, eip, (eip + instruction.length) >>> 0, 0, 0);
          at += RECORD_SIZE;
        }
        ended = true;
        break;
      }
      if (straddling >= 0) break;
    }
    if (!ended) {
      const lastEip = (unit.linear - context.csBase) >>> 0;
      this.emitContinuation(at, lastEip, (linear - context.csBase) >>> 0, position, 0);
      at += RECORD_SIZE;
    }
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
      for (let i = 0; i < 15; i++) this.straddle[i] = this.mmu.physical.read8(this.physicalOf(linear + i));
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
    return undefined;
  }

  private decodeStraddling(linear: number, eip: number, hostPage: number, context: TranslationContext): DecodeStatus {
    const here = 4096 - (linear & 0xfff);
    this.straddle.set(this.u8.subarray(hostPage + (linear & 0xfff), hostPage + 4096));
    if (eip + here - 1 >= context.csLimit) return DecodeStatus.TooLong;
    const next = this.secondPageOf(linear);
    const second = this.mmu.fetchPage(next);
    for (let i = here; i < 15; i++) {
      this.straddle[i] = second.hostPage >= 0 ? this.u8[second.hostPage + i - here] : this.mmu.physical.read8(this.physicalOf(next + i - here));
    }
    return this.decoder.decode(this.straddle, 0, 15, context, this.instruction);
  }

  private physicalOf(linear: number): number {
    return this.mmu.translateForDebugger(linear >>> 0).gpa ?? 0xffffffff;
  }

  private secondPageOf(linear: number): number {
    return ((linear | 0xfff) + 1) >>> 0;
  }

  private lookupEntry(linear: number): number {
    return this.u32[(this.u32[READ_TABLE >> 2] >> 2) + (linear >>> 12)];
  }

  // ---- records ----

  private clearRecord(at: number, handler: number, eip: number, position: number): void {
    this.u32.fill(0, at >> 2, (at + RECORD_SIZE) >> 2);
    this.u32[at >> 2] = handler;
    this.u32[(at + RecordField.eip) >> 2] = eip;
    this.u8[at + RecordField.position] = position;
  }

  private emitContinuation(at: number, sourceEip: number, targetEip: number, charge: number, owner: number): void {
    this.clearRecord(at, SpecialHandler.Continue, sourceEip, charge);
    this.u32[(at + RecordField.target) >> 2] = targetEip;
    this.u32[(at + RecordField.owner) >> 2] = owner;
    this.count('continuationsCreated');
  }

  private emit(at: number, eip: number, position: number, context: TranslationContext): void {
    const i = this.instruction;
    const { encoding } = i;
    const memory = i.memory;
    const addressing = i.hasModrm && !memory ? Addressing.Register
      : i.addressSize === 16 ? Addressing.Sixteen
        : !context.flat || i.segment === 1 || i.segment > 3 ? Addressing.Segmented
          : i.index >= 0 ? Addressing.Index : Addressing.Base;
    const handler = this.forms.find(encoding.id, i.operandSize as 16 | 32, addressing, context.stack, repeatIndex[i.repeat]);
    if (handler === 0) throw new Error(`translator: no handler for ${encoding.instruction.mnemonic} '${encoding.text}' (addressing ${addressing}, stack ${context.stack}, ${i.repeat})`);
    this.clearRecord(at, handler, eip, position);
    this.u8[at + RecordField.length] = i.length;
    this.u8[at + RecordField.sizes] = (i.operandSize === 32 ? 1 : 0) | (i.addressSize === 32 ? 2 : 0);
    this.u16[(at + RecordField.base) >> 1] = i.base < 0 ? ZERO : GPR + 8 * i.base;
    this.u16[(at + RecordField.index) >> 1] = i.index < 0 ? ZERO : GPR + 8 * i.index;
    this.u32[(at + RecordField.displacement) >> 2] = i.displacement;
    this.u16[(at + RecordField.segment) >> 1] = SEGMENTS + SEGMENT_SIZE * i.segment;
    this.u8[at + RecordField.scale] = i.scale;
    const plan = this.planFor(encoding.id, i.operandSize as 16 | 32, memory);
    for (let n = 0; n < plan.registers.length; n++) {
      const { from, width, high } = plan.registers[n];
      const number = from === 'reg' ? i.reg : from === 'rm' ? i.rm : from === 'opcode' ? i.opcodeRegister : high ? 4 : 0;
      const address = width === 8 ? GPR + 8 * (number & 3) + (number >> 2) : GPR + 8 * number;
      this.u16[(at + (n === 0 ? RecordField.registerA : RecordField.registerB)) >> 1] = address;
    }
    if (plan.number) this.u16[(at + RecordField.second) >> 1] = i.reg;
    if (plan.immediate === 'value') {
      this.u32[(at + RecordField.immediate) >> 2] = i.immediate & plan.immediateMask;
      this.u16[(at + RecordField.second) >> 1] = plan.number ? i.reg : i.immediate2;
    } else if (plan.immediate === 'far') {
      this.u32[(at + RecordField.immediate) >> 2] = i.immediate & plan.immediateMask;
      this.u16[(at + RecordField.second) >> 1] = i.immediate2;
    } else if (plan.immediate === 'target') {
      const target = ((eip + i.length + i.immediate) & plan.immediateMask) >>> 0;
      this.u32[(at + RecordField.target) >> 2] = target;
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

  private planFor(encodingId: number, size: 16 | 32, memory: boolean): OperandPlan {
    const key = encodingId * 4 + (size === 32 ? 2 : 0) + (memory ? 1 : 0);
    let plan = this.plans.get(key);
    if (!plan) {
      plan = makePlan(this.table.encodings[encodingId].operands, formOperands(this.table.encodings[encodingId], size, memory), size);
      this.plans.set(key, plan);
    }
    return plan;
  }

  // ---- bookkeeping ----

  private register(unit: Unit): void {
    this.onPage(Math.floor(unit.gpaFirst / 4096)).add(unit);
    this.mmu.traceCode(unit.gpaFirst, unit.gpaLast);
    if (unit.secondPage >= 0) {
      this.onPage(unit.secondPage).add(unit);
      this.mmu.traceCode(unit.secondPage * 4096, unit.secondPage * 4096 + this.secondPart(unit) - 1);
    }
  }

  private secondPart(unit: Unit): number {
    return unit.bytes - (4096 - (unit.linear & 0xfff));
  }

  private onPage(page: number): Set<Unit> {
    let set = this.unitsOnPage.get(page);
    if (!set) {
      set = new Set();
      this.unitsOnPage.set(page, set);
    }
    return set;
  }

  /** A write touched traced code: units that contain a written byte are discarded, the others stay. */
  private codeWritten(gpa: number, length: number): void {
    const page = Math.floor(gpa / 4096);
    const set = this.unitsOnPage.get(page);
    if (!set) return;
    const last = gpa + length - 1;
    for (const unit of [...set]) {
      const inFirst = gpa <= unit.gpaLast && last >= unit.gpaFirst;
      const second = unit.secondPage * 4096;
      const inSecond = unit.secondPage >= 0 && gpa < second + this.secondPart(unit) && last >= second;
      if (inFirst || inSecond) {
        this.discard(unit);
        this.count('codeInvalidations');
      }
    }
  }

  private discard(unit: Unit): void {
    unit.live = false;
    for (let i = 0; i < unit.capacity; i++) {
      const at = unit.record + i * RECORD_SIZE;
      const handler = this.u32[at >> 2];
      // Links behind the last instruction still lead where they should.
      if (handler === SpecialHandler.Continue || handler === SpecialHandler.Goto || handler === SpecialHandler.GotoChecked) continue;
      const link = this.u32[(at + RecordField.link) >> 2];
      if (this.isOwnContinuation(link, at)) this.retired.push(link);
      this.u32[at >> 2] = SpecialHandler.Leave;
    }
    this.drop(Math.floor(unit.gpaFirst / 4096), unit, unit.gpaFirst, unit.gpaLast);
    if (unit.secondPage >= 0) this.drop(unit.secondPage, unit, unit.secondPage * 4096, unit.secondPage * 4096 + this.secondPart(unit) - 1);
  }

  /** Whether `link` is an open continuation that patches the link field of the record at `at`. */
  private isOwnContinuation(link: number, at: number): boolean {
    return link >= this.top && link < CODE_CACHE + CODE_CACHE_SIZE && (link & (RECORD_SIZE - 1)) === 0
      && this.u32[link >> 2] === SpecialHandler.Continue && this.u32[(link + RecordField.owner) >> 2] === at + RecordField.link;
  }

  /** Takes the unit from a page's set and its trace from the granules that no other unit needs. */
  private drop(page: number, unit: Unit, first: number, last: number): void {
    const set = this.unitsOnPage.get(page);
    if (!set) return;
    set.delete(unit);
    if (set.size === 0) {
      this.unitsOnPage.delete(page);
      this.mmu.untraceCodePage(page);
      return;
    }
    this.mmu.untraceCode(first, last);
    const low = first - (first % GRANULE);
    const high = last - (last % GRANULE) + GRANULE - 1;
    for (const other of set) {
      if (Math.floor(other.gpaFirst / 4096) === page && other.gpaFirst <= high && other.gpaLast >= low) this.mmu.traceCode(other.gpaFirst, other.gpaLast);
      const second = other.secondPage * 4096;
      if (other.secondPage === page && second <= high) this.mmu.traceCode(second, second + this.secondPart(other) - 1);
    }
  }

  private clearJumpCache(): void {
    this.u32.fill(0xffffffff, JUMP_CACHE >> 2, (JUMP_CACHE >> 2) + 4 * JUMP_CACHE_ENTRIES);
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

const counted = ['translationUnits', 'translatedInstructions', 'continuationsCreated', 'continuationsPatched', 'codeInvalidations'] as const;
const counterSlots = new Map<string, number>(counted.map((id) => [id, counterAddress(id) >> 2]));

function makePlan(codes: readonly string[], operands: readonly FormOperand[], size: 16 | 32): OperandPlan {
  const registers: OperandPlan['registers'][number][] = [];
  let immediate: OperandPlan['immediate'] = 'none';
  let mask = 0xffffffff;
  let number = false;
  operands.forEach((operand, n) => {
    const code = codes[n];
    if (operand.kind === 'register') {
      const from = code[0] === 'G' ? 'reg' : code[0] === 'E' || code[0] === 'R' ? 'rm' : code[0] === 'Z' ? 'opcode' : 'accumulator';
      registers.push({ from, width: operand.width, high: code === 'AH' });
    } else if (operand.kind === 'immediate' && immediate === 'none') {
      immediate = 'value';
      mask = operand.width === 8 ? 0xff : operand.width === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'target') {
      immediate = 'target';
      mask = size === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'far') {
      immediate = 'far';
      mask = size === 16 ? 0xffff : 0xffffffff;
    } else if (operand.kind === 'number' && code.length === 2 && code[1] !== 'S') number = true;
  });
  return { registers, immediate, immediateMask: mask, number };
}
