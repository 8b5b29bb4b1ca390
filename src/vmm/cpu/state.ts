/**
 * Processor state as TypeScript sees it: typed accessors over the state page (layout.ts). No checks and no side effects here beyond the
 * derived words that layout.ts defines; what may be loaded is decided by segments.ts, far.ts and system.ts.
 */
import {
  CONTEXT, COUNTERS, COUNTERS_MAX, CPL, CR0, CR2, CR3, CR4, CR8, DR, EFER, EIP, FPU_ACCESS, FPU_STATUS, FpuAccess, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT, INTERRUPT_SHADOW, LAZY_CARRY, LAZY_SIGN,
  LAZY_ZERO, MXCSR, PDPTES, PDPTES_END, SCRATCH, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, Segment, STATE_END, STAR, STORED_MSRS, STORED_MSRS_END, SYSENTER_CS,
  SYSTEM_FLAGS, WIDE_ARGUMENTS, WIDE_RESULT, X87, XMM,
} from './layout';
import { canonicalNumber, highHalf, linearNumber } from '../mmu/types';
import { Attribute, Cr0, Cr4, Efer, Flag } from './bits';
import { counterAddress, type CounterId } from './counters';

export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  /** See SEGMENT_FIELDS.attributes. */
  readonly attributes: number;
}

export type CpuMode = 'real' | 'vm86' | 'protected16' | 'protected32' | 'long';

/** The shape that views receive (the protocol's RegisterSnapshot). */
export interface CpuSnapshot {
  readonly general: readonly bigint[];
  readonly eip: number;
  readonly eflags: number;
  readonly segments: readonly SegmentState[];
  readonly gdtr: { readonly base: number; readonly limit: number };
  readonly idtr: { readonly base: number; readonly limit: number };
  readonly cr0: number;
  readonly cr2: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly cr8?: number;
  readonly dr: readonly number[];
  readonly efer: number;
  readonly xmm: readonly bigint[];
  readonly mxcsr: number;
  readonly cpl: number;
  readonly mode: CpuMode;
  readonly instructions: number;
}

const F = SEGMENT_FIELDS;
/** All exceptions masked, rounding to nearest. */
const MXCSR_AT_RESET = 0x1f80;
/** ES, bit 7 of the x87 status word: an unmasked exception is pending. */
const FPU_ERROR_SUMMARY = 0x80;

/** Whether every byte of an access is inside a segment's limit; its type is not looked at. Nothing wraps here. */
export function limitAllows(attributes: number, limit: number, offset: number, bytes: number): boolean {
  if (attributes & Attribute.Unusable) return false;
  const last = offset + bytes - 1;
  if (isExpandDown(attributes)) return offset > limit && last <= (attributes & Attribute.DB ? 0xffffffff : 0xffff);
  return last <= limit;
}

function isExpandDown(attributes: number): boolean {
  return (attributes & (Attribute.S | Attribute.Code | Attribute.ExpandDownOrConforming)) === (Attribute.S | Attribute.ExpandDownOrConforming);
}

/** The lowest offset inside the limit. */
function lowestOffset(attributes: number, limit: number): number {
  return isExpandDown(attributes) && !(attributes & Attribute.Unusable) ? (limit + 1) >>> 0 : 0;
}

/** Number of offsets, counted from the lowest one, at which an access of up to 16 bytes is inside the limit. */
function quickRange(attributes: number, limit: number): number {
  if (attributes & Attribute.Unusable || !(attributes & Attribute.S)) return 0;
  if (!isExpandDown(attributes)) return Math.max(0, limit - 14);
  return Math.max(0, (attributes & Attribute.DB ? 0xffffffff : 0xffff) - 15 - limit);
}

export class CpuState {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  /** The PDPTE registers, low and high words in turn. */
  readonly pdptes: Uint32Array;

  /** The memory must be as large as it will ever be: growing it would detach the views. */
  constructor(memory: { readonly buffer: ArrayBufferLike }) {
    this.u8 = new Uint8Array(memory.buffer, 0, STATE_END);
    this.u16 = new Uint16Array(memory.buffer, 0, STATE_END / 2);
    this.u32 = new Uint32Array(memory.buffer, 0, STATE_END / 4);
    this.u64 = new BigUint64Array(memory.buffer, 0, STATE_END / 8);
    this.pdptes = new Uint32Array(memory.buffer, PDPTES, (PDPTES_END - PDPTES) / 4);
  }

  // General registers, by the encoding's numbers.
  get32(n: number): number { return this.u32[(GPR >> 2) + 2 * n]; }
  /** Clears the slot's upper half, as a 32-bit write does. */
  set32(n: number, value: number): void {
    this.u32[(GPR >> 2) + 2 * n] = value;
    this.u32[(GPR >> 2) + 2 * n + 1] = 0;
  }
  get16(n: number): number { return this.u16[(GPR >> 1) + 4 * n]; }
  set16(n: number, value: number): void { this.u16[(GPR >> 1) + 4 * n] = value; }
  /** AL CL DL BL AH CH DH BH. */
  get8(n: number): number { return this.u8[GPR + 8 * (n & 3) + (n >> 2)]; }
  set8(n: number, value: number): void { this.u8[GPR + 8 * (n & 3) + (n >> 2)] = value; }
  get64(n: number): bigint { return this.u64[(GPR >> 3) + n]; }

  get eip(): number { return this.u32[EIP >> 2]; }
  set eip(value: number) {
    this.u32[EIP >> 2] = value;
    this.u32[(EIP >> 2) + 1] = 0;
  }
  get esp(): number { return this.get32(4); }
  /** RIP as a number of 48 bits (mmu/types.ts); outside 64-bit code what EIP is. */
  get rip(): number { return linearNumber(this.u32[EIP >> 2], this.u32[(EIP >> 2) + 1]); }
  set rip(value: number) { this.set64Slot(EIP, value); }
  /** A general register as an address: a number of 48 bits, or -1 when it is not canonical. */
  address64(n: number): number { return canonicalNumber(this.u32[(GPR >> 2) + 2 * n], this.u32[(GPR >> 2) + 2 * n + 1]); }
  /** A general register gets an address of 48 bits, sign-extended. */
  setAddress64(n: number, value: number): void { this.set64Slot(GPR + 8 * n, value); }
  set64(n: number, value: bigint): void { this.u64[(GPR >> 3) + n] = value; }

  // EFLAGS.
  get eflags(): number {
    const sign = this.u32[LAZY_SIGN >> 2];
    const carry = this.u32[LAZY_CARRY >> 2];
    let parity = sign & 0xff;
    parity ^= parity >> 4;
    let flags = this.u32[SYSTEM_FLAGS >> 2];
    if (this.u32[LAZY_ZERO >> 2] === 0) flags |= Flag.ZF;
    if (sign >>> 31) flags |= Flag.SF;
    if (((0x6996 >> (parity & 15)) & 1) === 0) flags |= Flag.PF;
    if (carry >>> 31) flags |= Flag.CF;
    if (((carry >>> 31) ^ (carry >>> 30)) & 1) flags |= Flag.OF;
    if (carry & 8) flags |= Flag.AF;
    return (flags | Flag.Fixed) >>> 0;
  }
  set eflags(value: number) {
    this.u32[LAZY_ZERO >> 2] = value & Flag.ZF ? 0 : 1;
    this.u32[LAZY_SIGN >> 2] = (value & Flag.SF ? 0x80000000 : 0) | (value & Flag.PF ? 0 : 1);
    const carry = value & Flag.CF ? 1 : 0;
    const overflow = value & Flag.OF ? 1 : 0;
    this.u32[LAZY_CARRY >> 2] = (carry << 31) | ((carry ^ overflow) << 30) | (value & Flag.AF ? 8 : 0);
    this.u32[SYSTEM_FLAGS >> 2] = (value & Flag.All & ~Flag.Arithmetic) | Flag.Fixed;
  }
  /** EFLAGS without the arithmetic flags. */
  get systemFlags(): number { return this.u32[SYSTEM_FLAGS >> 2]; }
  set systemFlags(value: number) { this.u32[SYSTEM_FLAGS >> 2] = (value & Flag.All & ~Flag.Arithmetic) | Flag.Fixed; }
  get iopl(): number { return (this.u32[SYSTEM_FLAGS >> 2] >>> 12) & 3; }

  // Segments.
  selector(n: number): number { return this.u32[(SEGMENTS + n * SEGMENT_SIZE + F.selector) >> 2]; }
  attributes(n: number): number { return this.u32[(SEGMENTS + n * SEGMENT_SIZE + F.attributes) >> 2]; }
  /** A number of 48 bits (mmu/types.ts): FS, GS, LDTR and TR may lie anywhere in long mode. */
  base(n: number): number {
    const at = (SEGMENTS + n * SEGMENT_SIZE + F.base) >> 2;
    return linearNumber(this.u32[at], this.u32[at + 1]);
  }
  limit(n: number): number { return this.u32[(SEGMENTS + n * SEGMENT_SIZE + F.limit) >> 2]; }
  segment(n: number): SegmentState {
    return { selector: this.selector(n), base: this.base(n), limit: this.limit(n), attributes: this.attributes(n) };
  }
  /** Whether the segment's type allows loads (everything but execute-only code). */
  isReadable(n: number): boolean {
    const attributes = this.attributes(n);
    return !(attributes & Attribute.Code) || (attributes & Attribute.ReadWrite) !== 0;
  }
  /** Whether the segment's type allows stores. */
  isWritable(n: number): boolean {
    return (this.attributes(n) & (Attribute.Code | Attribute.ReadWrite)) === Attribute.ReadWrite;
  }
  /** Writes visible and hidden parts and derives low, readQuick and writeQuick. `limit` is in bytes. */
  setSegment(n: number, selector: number, base: number, limit: number, attributes: number): void {
    const at = (SEGMENTS + n * SEGMENT_SIZE) >> 2;
    const count = quickRange(attributes, limit >>> 0);
    const readable = !(attributes & Attribute.Code) || (attributes & Attribute.ReadWrite) !== 0;
    const writable = (attributes & (Attribute.Code | Attribute.ReadWrite)) === Attribute.ReadWrite;
    this.u32[at + (F.selector >> 2)] = selector & 0xffff;
    this.u32[at + (F.attributes >> 2)] = attributes;
    this.u32[at + (F.base >> 2)] = base;
    this.u32[at + (F.base >> 2) + 1] = highHalf(base);
    this.u32[at + (F.limit >> 2)] = limit;
    this.u32[at + (F.low >> 2)] = lowestOffset(attributes, limit >>> 0);
    this.u32[at + (F.readQuick >> 2)] = readable ? count : 0;
    this.u32[at + (F.writeQuick >> 2)] = writable ? count : 0;
  }
  /** The exact check behind readQuick and writeQuick: limit and type of one access. */
  segmentAllows(n: number, offset: number, bytes: number, write: boolean): boolean {
    return (write ? this.isWritable(n) : this.isReadable(n)) && limitAllows(this.attributes(n), this.limit(n), offset >>> 0, bytes);
  }
  /** Linear address of an offset. In long mode LDTR and TR have 64-bit bases; for the others this is what 16- and 32-bit code does. */
  linear(n: number, offset: number): number {
    const sum = this.base(n) + offset;
    return n < Segment.LDTR ? sum >>> 0 : this.wrap(sum);
  }
  /** A sum of addresses of the processor's own structures, wrapped at the end of the address space. */
  wrap(linear: number): number { return this.longMode ? linear % 2 ** 48 : linear >>> 0; }
  /** SS.B: the stack pointer is ESP, not SP. */
  get bigStack(): boolean { return (this.attributes(Segment.SS) & Attribute.DB) !== 0; }
  /** CS.D. */
  get bigCode(): boolean { return (this.attributes(Segment.CS) & Attribute.DB) !== 0; }
  /** EFER.LMA: long mode is active, in 64-bit or compatibility code. */
  get longMode(): boolean { return (this.u32[EFER >> 2] & Efer.LMA) !== 0; }
  /** 64-bit code is running: CS.L in long mode. */
  get code64(): boolean { return this.longMode && (this.attributes(Segment.CS) & Attribute.L) !== 0; }
  get alignmentFlag(): boolean { return (this.u32[SYSTEM_FLAGS >> 2] & Flag.AC) !== 0; }
  /** RSP (-1 when it is not canonical), ESP or SP by the stack's size. */
  get stackPointer(): number { return this.code64 ? this.address64(4) : this.bigStack ? this.get32(4) : this.get16(4); }
  set stackPointer(value: number) {
    if (this.code64) this.setAddress64(4, value);
    else if (this.bigStack) this.set32(4, value);
    else this.set16(4, value);
  }

  // Descriptor tables.
  get gdtrBase(): number { return this.slot(GDTR_BASE); }
  get gdtrLimit(): number { return this.u32[GDTR_LIMIT >> 2]; }
  setGdtr(base: number, limit: number): void {
    this.set64Slot(GDTR_BASE, base);
    this.u32[GDTR_LIMIT >> 2] = limit;
  }
  get idtrBase(): number { return this.slot(IDTR_BASE); }
  get idtrLimit(): number { return this.u32[IDTR_LIMIT >> 2]; }
  setIdtr(base: number, limit: number): void {
    this.set64Slot(IDTR_BASE, base);
    this.u32[IDTR_LIMIT >> 2] = limit;
  }

  // Control and debug registers.
  get cr0(): number { return this.u32[CR0 >> 2]; }
  set cr0(value: number) {
    this.set64Slot(CR0, value);
    this.updateFpuAccess();
  }
  get cr2(): number { return this.slot(CR2); }
  set cr2(value: number) { this.set64Slot(CR2, value); }
  /** Below 2^48; what is not an address bit is not extended. */
  get cr3(): number { return this.slot(CR3); }
  set cr3(value: number) { this.set64Slot(CR3, value); }
  get cr4(): number { return this.u32[CR4 >> 2]; }
  set cr4(value: number) {
    this.set64Slot(CR4, value);
    this.updateFpuAccess();
  }
  /** FPU_ACCESS from what it depends on: to be called when one of CR0.EM, CR0.TS, CR4.OSFXSR and the x87 error summary changed. */
  updateFpuAccess(): void {
    const unavailable = (this.cr0 & (Cr0.EM | Cr0.TS)) !== 0;
    const pending = (this.u32[FPU_STATUS >> 2] & FPU_ERROR_SUMMARY) !== 0;
    this.u32[FPU_ACCESS >> 2] = (unavailable ? FpuAccess.X87 : 0) | (unavailable || pending ? FpuAccess.Mmx : 0)
      | (unavailable || !(this.cr4 & Cr4.OSFXSR) ? FpuAccess.Sse : 0);
  }
  get efer(): number { return this.u32[EFER >> 2]; }
  set efer(value: number) { this.set64Slot(EFER, value); }
  /** DR0–DR3: a number of 48 bits, or -1 when it is not canonical. */
  dr(n: number): number { return canonicalNumber(this.u32[(DR >> 2) + 2 * n], this.u32[(DR >> 2) + 2 * n + 1]); }
  setDr(n: number, value: number): void { this.set64Slot(DR + 8 * n, value); }
  /** Writing CPL alone does not tell paging; see Cpu.setCpl. */
  get cpl(): number { return this.u32[CPL >> 2]; }
  set cpl(value: number) { this.u32[CPL >> 2] = value; }

  get protectedMode(): boolean { return (this.cr0 & Cr0.PE) !== 0 && !(this.systemFlags & Flag.VM); }

  get interruptShadow(): boolean { return this.u32[INTERRUPT_SHADOW >> 2] !== 0; }
  set interruptShadow(on: boolean) { this.u32[INTERRUPT_SHADOW >> 2] = on ? 1 : 0; }
  /** The shadow is that of MOV SS or POP SS, which holds back debug traps as well (SDM Vol. 3, 6.8.3). */
  get stackShadow(): boolean { return this.u32[INTERRUPT_SHADOW >> 2] === 2; }
  blockTrapsOnce(): void { this.u32[INTERRUPT_SHADOW >> 2] = 2; }
  /** Result of a callout that does not fit its return value. */
  setScratch(value: number): void { this.u32[SCRATCH >> 2] = value; }

  /** A slot that holds an address, as a number of 48 bits. */
  slot(address: number): number { return linearNumber(this.u32[address >> 2], this.u32[(address >> 2) + 1]); }
  set64Slot(address: number, value: number): void {
    this.u32[address >> 2] = value;
    // 32-bit arithmetic may have made it a signed number.
    this.u32[(address >> 2) + 1] = value < 0 ? 0 : highHalf(value);
  }
  /** A 64-bit argument of the callout at work (callouts.ts). */
  wideArgument(position: number): bigint { return this.u64[(WIDE_ARGUMENTS >> 3) + position]; }
  /** The same as an address: a number of 48 bits, or -1 when it is not canonical. */
  wideAddress(position: number): number {
    const at = (WIDE_ARGUMENTS >> 2) + 2 * position;
    return canonicalNumber(this.u32[at], this.u32[at + 1]);
  }
  setWideResult(value: bigint): void { this.u64[WIDE_RESULT >> 3] = value; }

  count(id: CounterId): void {
    const at = COUNTER_SLOTS[id] ??= counterAddress(id);
    this.u32[at >> 2]++;
    if (this.u32[at >> 2] === 0) this.u32[(at >> 2) + 1]++;
  }

  clearCounters(): void {
    this.u8.fill(0, COUNTERS, COUNTERS + COUNTERS_MAX);
  }

  get mode(): CpuMode {
    if (!(this.cr0 & Cr0.PE)) return 'real';
    if (this.systemFlags & Flag.VM) return 'vm86';
    if (this.code64) return 'long';
    return this.bigCode ? 'protected32' : 'protected16';
  }

  snapshot(instructions: number): CpuSnapshot {
    return {
      general: Array.from({ length: this.longMode ? 16 : 8 }, (_, n) => this.get64(n)),
      eip: this.rip,
      eflags: this.eflags,
      segments: Array.from({ length: 8 }, (_, n) => this.segment(n)),
      gdtr: { base: this.gdtrBase, limit: this.gdtrLimit },
      idtr: { base: this.idtrBase, limit: this.idtrLimit },
      cr0: this.cr0, cr2: this.cr2, cr3: this.cr3, cr4: this.cr4,
      ...(this.longMode && { cr8: this.u32[CR8 >> 2] }),
      dr: Array.from({ length: 8 }, (_, n) => this.dr(n)),
      efer: this.efer,
      xmm: Array.from({ length: 16 }, (_, n) => this.u64[(XMM >> 3) + 2 * n] | this.u64[(XMM >> 3) + 2 * n + 1] << 64n),
      mxcsr: this.u32[MXCSR >> 2],
      cpl: this.cpl,
      mode: this.mode,
      instructions,
    };
  }

  /** Registers to zero; the engine's bookkeeping (tables, budget, retired instructions, counters) stays. Cpu.reset sets the power-on values. */
  clear(): void {
    this.u8.fill(0, GPR, CONTEXT);
    this.u8.fill(0, SYSENTER_CS, COUNTERS);
    this.u8.fill(0, PDPTES, PDPTES_END);
    this.u8.fill(0, STAR, WIDE_ARGUMENTS);
    this.u8.fill(0, STORED_MSRS, STORED_MSRS_END);
    this.u8.fill(0, XMM, MXCSR);
    this.u32[MXCSR >> 2] = MXCSR_AT_RESET;
    this.u8.fill(0, X87, FPU_ACCESS);
    this.interruptShadow = false;
  }
}

const COUNTER_SLOTS: Partial<Record<CounterId, number>> = {};

