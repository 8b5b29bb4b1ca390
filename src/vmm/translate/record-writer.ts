/**
 * Writes records: decodes a guest instruction, chooses its handler and fills the record's fields; continuations and links. Owns the translation cache's
 * room: units grow from its beginning, continuations of direct jumps from its end.
 *
 * What to write where, and what becomes of it, is the translator's business.
 */
import {
  CODE_CACHE, CODE_CACHE_SIZE, GPR, LONG_TABLE_ENTRIES, OPERAND, READ_TABLE, SEGMENT_FIELDS, SEGMENT_SIZE, Segment, SEGMENTS, X87, XMM, ZERO,
} from '../cpu/layout';
import { generalProtection, undefinedOpcode, type GuestFault } from '../cpu/exceptions';
import type { CpuModel } from '../cpu/models/models';
import type { Decoder } from '../decode/decoder';
import { DecodeStatus, Instruction } from '../decode/instruction';
import type { Encoding, InstructionTable } from '../isa/types';
import { EventCounters } from '../mmu/events';
import type { Mmu } from '../mmu/mmu';
import { linearNumber } from '../mmu/types';
import type { TranslationContext } from './context';
import {
  Addressing, formOperands, impliesMemory, isX87, loadOf, loadsFirst, LongAddressing, repeatIndex, type FormIndex, type FormOperand, type OperandSize,
} from './forms';
import { RECORD_SIZE, RecordField, SpecialHandler } from './record';

/** The first address that is not canonical, as a number (see mmu/types.ts): falling into it from below does not lead to the upper half. */
const NON_CANONICAL = 0x800000000000;
const LINEAR_END = 0x1000000000000;
/** What stands in a record for a segment without a base in 64-bit code: its base is the zero slot. */
const NO_BASE = ZERO - SEGMENT_FIELDS.base;
export const INVALID_ENTRY = 0xffffffff;
/** Owner of a continuation whose record is gone: there is no link to patch. */
export const NOBODY = 0xffffffff;

const CONTINUATIONS_CREATED = EventCounters.index('continuationsCreated');

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

export class RecordWriter {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** The instruction decoded last. */
  readonly instruction = new Instruction();
  private readonly straddle = new Uint8Array(16);
  private readonly plans = new Map<number, OperandPlan>();
  private freeContinuations: number[] = [];
  /** Continuations that nothing leads to any more. They may still be at work in the present transfer: free from the next entry on. */
  private retired: number[] = [];
  /** Where the next unit's records go. */
  next = CODE_CACHE;
  private top: number;
  private readonly counters: EventCounters;

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
    this.counters = new EventCounters(memory);
  }

  // ---- room ----

  hasRoomFor(records: number): boolean {
    return this.next + records * RECORD_SIZE <= this.top;
  }

  /** All records are forgotten. */
  clear(): void {
    this.freeContinuations = [];
    this.retired = [];
    this.next = CODE_CACHE;
    this.top = CODE_CACHE + this.cacheBytes;
  }

  /** Between two transfers nothing is at work in threaded code: what was retired may be used again. */
  settle(): void {
    for (const continuation of this.retired) this.freeContinuations.push(continuation);
    this.retired.length = 0;
  }

  /** Nothing leads to a continuation any more. */
  retire(continuation: number): void {
    this.retired.push(continuation);
  }

  /** Whether `link` is a continuation, open or a checked link by now, that belongs to the record at `at`. */
  isOwnContinuation(link: number, at: number): boolean {
    if (link < this.top || link >= CODE_CACHE + this.cacheBytes || (link & (RECORD_SIZE - 1)) !== 0) return false;
    const handler = this.u32[link >> 2];
    return (handler === SpecialHandler.Continue || handler === SpecialHandler.GotoChecked) && this.u32[(link + RecordField.owner) >> 2] === at + RecordField.link;
  }

  // ---- instructions ----

  /** Decodes into {@link instruction}. Returns what is wrong, or undefined. */
  decodeAt(linear: number, eip: number, hostPage: number, context: TranslationContext, first: boolean): GuestFault | 'straddles' | undefined {
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

  behind(linear: number, bytes: number, context: TranslationContext): number {
    return context.codeSize === 64 ? (linear + bytes) % LINEAR_END : (linear + bytes) >>> 0;
  }

  secondPageOf(linear: number, context: TranslationContext): number {
    return this.behind(linear, 4096 - (linear & 0xfff), context);
  }

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

  clearRecord(at: number, handler: number, eip: number, position: number): void {
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

  emitContinuation(at: number, sourceEip: number, targetEip: number, charge: number, owner: number): void {
    this.clearRecord(at, SpecialHandler.Continue, sourceEip, charge);
    this.u32[(at + RecordField.target) >> 2] = targetEip;
    this.u32[(at + RecordField.owner) >> 2] = owner;
    this.counters.count(CONTINUATIONS_CREATED);
  }

  /** The continuation behind a unit or a branch that was not taken. */
  emitBehind(at: number, sourceEip: number, targetEip: number, charge: number, context: TranslationContext): void {
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
  emitLoad(at: number, eip: number, position: number, context: TranslationContext): void {
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

  emit(at: number, eip: number, position: number, context: TranslationContext): void {
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

  /** The instruction at hand ends with an immediate of 32 bits, which its record holds as it is and nothing else depends on. */
  get endsWithImmediate(): boolean {
    const { encoding, operandSize } = this.instruction;
    const last = encoding.operands.at(-1);
    return operandSize === 32 && (last === 'Iz' || last === 'Iv') && !encoding.instruction.ends;
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
}

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
