/**
 * The x87 instructions, whole and exact: what threaded code calls for everything that its own fast paths leave. Memory operands come and go
 * through SCRATCH; the memory itself is the handler's business, so that a page fault finds nothing changed.
 */
import type { CalloutSite } from '../callouts';
import type { Cpu } from '../cpu';
import { Cr0, Flag } from '../bits';
import { GuestFault, Vector } from '../exceptions';
import { FPU_PENDING, SCRATCH } from '../layout';
import { add, compare, divide, extract, multiply, Order, remainder, roundToIntegral, scale, squareRoot } from './arithmetic';
import { constants } from './constants';
import { fromMemory, MemoryFormat, toMemory } from './convert';
import { indefinite, kindOf, Kind, negated, zero, type Float80 } from './format';
import { Status, type Fpu } from './fpu';
import { Fault, type Operation } from './round';
import { arctangent, cosine, logarithm, logarithmPlusOne, powerMinusOne, sine, sineAndCosine, tangent } from './transcendental';

/**
 * What stands in the way of the next x87 instruction: #NM (CR0.EM or CR0.TS; for WAIT: MP and TS), or, for a `waiting` one, an exception that an
 * earlier instruction left pending. 1: go on; 0: wait for the interrupt that the board makes of FERR#, and try again.
 */
export function fpuReady(cpu: Cpu, site: CalloutSite, waiting: number, isWait: number): number {
  const { cr0 } = cpu.state;
  if (isWait ? (cr0 & (Cr0.MP | Cr0.TS)) === (Cr0.MP | Cr0.TS) : (cr0 & (Cr0.EM | Cr0.TS)) !== 0) {
    throw new GuestFault(Vector.NM, undefined, `${isWait ? 'WAIT' : 'an x87 instruction'} with CR0.TS${cr0 & Cr0.EM ? ' or CR0.EM' : ''} set`);
  }
  if (!waiting || !cpu.fpu.exceptionPending) return 1;
  if (cr0 & Cr0.NE || cpu.state.longMode) throw new GuestFault(Vector.MF, undefined, 'an unmasked x87 exception is pending');
  // MS-DOS compatible reporting: the PC's board turns FERR# into IRQ 13, and its handler answers with IGNNE#.
  if (cpu.hooks.coprocessorError()) return 1;
  cpu.state.eip = site.eip;
  cpu.hooks.halt();
  return 0;
}

// ---- results ----

/** Writes a result, or reports what forbids it. True when the instruction completes. */
function deliver(fpu: Fpu, op: Operation, i: number, result: Float80): boolean {
  if (!fpu.finish(op)) return false;
  fpu.set(i, result);
  return true;
}

function popIf(fpu: Fpu, pops: number): void {
  for (let n = 0; n < pops; n++) fpu.pop();
}

/** A source is empty: the masked answer goes to ST(i). True when the instruction completes. */
function underflowInto(fpu: Fpu, i: number): boolean {
  if (!fpu.underflow()) return false;
  fpu.set(i, indefinite);
  return true;
}

// ---- two operands ----

/** By the opcode's /digit: a is ST(0), b the other operand. */
function calculate(op: Operation, digit: number, a: Float80, b: Float80): Float80 {
  switch (digit) {
    case 0: return add(op, a, b);
    case 1: return multiply(op, a, b);
    case 4: return add(op, a, b, true);
    case 5: return add(op, b, a, true);
    case 6: return divide(op, a, b);
    default: return divide(op, b, a);
  }
}

/** ST(0) and ST(i); `how`: bit 0 the result goes to ST(i), bit 1 pop. */
export function fpuArithmetic(cpu: Cpu, _site: CalloutSite, digit: number, i: number, how: number): number {
  const { fpu } = cpu;
  const to = how & 1 ? i : 0;
  let completes: boolean;
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) completes = underflowInto(fpu, to);
  else {
    const op = fpu.operation();
    completes = deliver(fpu, op, to, calculate(op, digit, fpu.get(0), fpu.get(i)));
  }
  if (completes && how & 2) fpu.pop();
  return 0;
}

/** The memory operand at SCRATCH. */
function operand(cpu: Cpu, format: MemoryFormat): ReturnType<typeof fromMemory> {
  const { u16, u32, u64 } = cpu.state;
  const low = format === MemoryFormat.Integer16 ? BigInt(u16[SCRATCH >> 1])
    : format === MemoryFormat.Single || format === MemoryFormat.Integer32 ? BigInt(u32[SCRATCH >> 2]) : u64[SCRATCH >> 3];
  const wide = format === MemoryFormat.Extended || format === MemoryFormat.Decimal;
  return fromMemory(format, wide ? low | BigInt(u16[(SCRATCH + 8) >> 1]) << 64n : low);
}

export function fpuArithmeticMemory(cpu: Cpu, _site: CalloutSite, digit: number, format: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0)) {
    underflowInto(fpu, 0);
    return 0;
  }
  const op = fpu.operation();
  const { value, denormal } = operand(cpu, format);
  const result = calculate(op, digit, fpu.get(0), value);
  // The operand was denormal before its conversion. Invalid operations, divisions by zero and NaNs are found first.
  if (denormal && !op.stopped && !isNaN(fpu.get(0)) && !(op.flags & (Fault.Invalid | Fault.ZeroDivide))) op.raise(Fault.Denormal);
  deliver(fpu, op, 0, result);
  return 0;
}

function isNaN(value: Float80): boolean {
  const kind = kindOf(value);
  return kind === Kind.QuietNaN || kind === Kind.SignalingNaN || kind === Kind.Unsupported;
}

// ---- comparison ----

const conditionsOf: Readonly<Record<Order, number>> = {
  [Order.Greater]: 0, [Order.Less]: Status.C0, [Order.Equal]: Status.C3, [Order.Unordered]: Status.C0 | Status.C2 | Status.C3,
};
const flagsOf: Readonly<Record<Order, number>> = {
  [Order.Greater]: 0, [Order.Less]: Flag.CF, [Order.Equal]: Flag.ZF, [Order.Unordered]: Flag.CF | Flag.PF | Flag.ZF,
};

/** How a comparison reports. */
export const enum Compare { Quietly = 1, Flags = 2 }

function reportOrder(cpu: Cpu, order: Order, how: number): void {
  const { fpu, state } = cpu;
  if (how & Compare.Flags) state.eflags = (state.eflags & ~Flag.Arithmetic) | flagsOf[order];
  else fpu.setConditions((fpu.status & Status.C1) | conditionsOf[order]);
}

function compareWith(cpu: Cpu, other: Float80 | undefined, denormal: boolean, how: number, pops: number): void {
  const { fpu } = cpu;
  let order = Order.Unordered;
  let completes: boolean;
  if (fpu.isEmpty(0) || !other) completes = fpu.underflow();
  else {
    const op = fpu.operation();
    order = compare(op, fpu.get(0), other, (how & Compare.Quietly) !== 0);
    if (denormal && order !== Order.Unordered) op.raise(Fault.Denormal);
    // FCOMI and FUCOMI leave C1 alone, stack faults excepted.
    const c1 = how & Compare.Flags && fpu.status & Status.C1;
    completes = fpu.finish(op);
    if (c1) fpu.setC1(true);
  }
  reportOrder(cpu, order, how);
  if (completes) popIf(fpu, pops);
}

/** ST(0) with ST(i); `how`: {@link Compare}, and the number of pops from bit 2 on. */
export function fpuCompare(cpu: Cpu, _site: CalloutSite, i: number, how: number): number {
  compareWith(cpu, cpu.fpu.isEmpty(i) ? undefined : cpu.fpu.get(i), false, how, how >> 2);
  return 0;
}

export function fpuCompareMemory(cpu: Cpu, _site: CalloutSite, format: number, pops: number): number {
  const { value, denormal } = operand(cpu, format);
  compareWith(cpu, value, denormal, 0, pops);
  return 0;
}

// ---- loads and stores ----

export function fpuLoad(cpu: Cpu, _site: CalloutSite, format: number): number {
  const { fpu } = cpu;
  const { value, denormal } = operand(cpu, format);
  if (!fpu.isEmpty(-1)) {
    if (fpu.overflow()) fpu.push(indefinite);
    return 0;
  }
  const op = fpu.operation();
  let loaded = value;
  if (denormal) op.raise(Fault.Denormal);
  // Singles and doubles are converted: a signaling NaN becomes quiet.
  if (format <= MemoryFormat.Double && kindOf(value) === Kind.SignalingNaN) {
    op.raise(Fault.Invalid);
    loaded = { ...value, significand: value.significand | 1n << 62n };
  }
  // An unmasked denormal operand is reported, and loaded all the same.
  const completes = fpu.finish(op);
  if (completes || !(op.flags & Fault.Invalid)) fpu.push(loaded);
  return 0;
}

/** What FPU_PENDING says besides exception flags: C1, and that the store takes place. */
const PENDING_STORES = 0x10000;

/**
 * Converts ST(0) for a store: the bits at SCRATCH, what there is to report in FPU_PENDING. 1 when the value is to be stored. `chop`: FISTTP.
 * {@link fpuStored} follows when memory has taken it.
 */
export function fpuConvert(cpu: Cpu, _site: CalloutSite, format: number, chop: number): number {
  const { fpu, state } = cpu;
  const op = fpu.operation();
  let bits: bigint;
  let stack = 0;
  if (fpu.isEmpty(0)) {
    op.raise(Fault.Invalid);
    stack = Fault.Stack;
    bits = toMemory(fpu.operation(), format, indefinite, chop !== 0);
  } else bits = toMemory(op, format, fpu.get(0), chop !== 0);
  if (op.stopped) op.flags &= Fault.Before;
  // Overflow and underflow of a memory operand leave nothing to store.
  const stores = !(op.flags & ~op.control & (Fault.Before | Fault.Overflow | Fault.Underflow));
  if (!stores) op.flags &= ~Fault.Precision;
  state.u64[SCRATCH >> 3] = BigInt.asUintN(64, bits);
  state.u64[(SCRATCH + 8) >> 3] = bits >> 64n;
  state.u32[FPU_PENDING >> 2] = op.flags | stack | (op.roundedUp && stores ? Status.C1 : 0) | (stores ? PENDING_STORES : 0);
  return stores ? 1 : 0;
}

/** Behind {@link fpuConvert} and the store. */
export function fpuStored(cpu: Cpu, _site: CalloutSite, pops: number): number {
  const { fpu, state } = cpu;
  const pending = state.u32[FPU_PENDING >> 2];
  fpu.report(pending & (Fault.All | Fault.Stack), (pending & Status.C1) !== 0);
  if (pending & PENDING_STORES) popIf(fpu, pops);
  return 0;
}

/** FLD ST(i). */
export function fpuLoadRegister(cpu: Cpu, _site: CalloutSite, i: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(i)) {
    if (fpu.underflow()) fpu.push(indefinite);
    return 0;
  }
  fpu.setC1(false);
  fpu.pushChecked(fpu.get(i));
  return 0;
}

/** FST and FSTP ST(i). */
export function fpuStoreRegister(cpu: Cpu, _site: CalloutSite, i: number, pops: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0)) {
    if (!underflowInto(fpu, i)) return 0;
  } else {
    fpu.setC1(false);
    fpu.set(i, fpu.get(0));
  }
  popIf(fpu, pops);
  return 0;
}

/** The alias of FSTP ST(i) that takes an empty ST(0) as it is: nothing is stored then. */
export function fpuStoreUnchecked(cpu: Cpu, _site: CalloutSite, i: number): number {
  const { fpu } = cpu;
  fpu.setC1(false);
  if (!fpu.isEmpty(0)) fpu.set(i, fpu.get(0));
  fpu.pop();
  return 0;
}

/** FXCH. */
export function fpuExchange(cpu: Cpu, _site: CalloutSite, i: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    if (!fpu.underflow()) return 0;
  } else fpu.setC1(false);
  const a = fpu.isEmpty(0) ? indefinite : fpu.get(0);
  const b = fpu.isEmpty(i) ? indefinite : fpu.get(i);
  fpu.set(0, b);
  fpu.set(i, a);
  return 0;
}

/** FCMOVcc with its condition met or not. */
export function fpuMove(cpu: Cpu, _site: CalloutSite, i: number, condition: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) underflowInto(fpu, 0);
  else if (condition) fpu.set(0, fpu.get(i));
  return 0;
}

/** FLD1 … FLDZ, by the opcode's low three bits. */
export function fpuConstant(cpu: Cpu, _site: CalloutSite, n: number): number {
  const { fpu } = cpu;
  fpu.setC1(false);
  fpu.pushChecked(constants[n](fpu.control));
  return 0;
}

// ---- one operand ----

/** Instructions on ST(0) (and ST(1)), by the second opcode byte behind D9. */
export const enum Unary {
  Fchs = 0xe0, Fabs = 0xe1, Ftst = 0xe4, Fxam = 0xe5, F2xm1 = 0xf0, Fyl2x = 0xf1, Fptan = 0xf2, Fpatan = 0xf3, Fxtract = 0xf4, Fprem1 = 0xf5,
  Fprem = 0xf8, Fyl2xp1 = 0xf9, Fsqrt = 0xfa, Fsincos = 0xfb, Frndint = 0xfc, Fscale = 0xfd, Fsin = 0xfe, Fcos = 0xff,
}

const functions: Partial<Record<Unary, (op: Operation, a: Float80) => Float80>> = {
  [Unary.Fchs]: (_op, a) => negated(a),
  [Unary.Fabs]: (_op, a) => ({ ...a, sign: 0 }),
  [Unary.Fsqrt]: squareRoot, [Unary.Frndint]: roundToIntegral, [Unary.F2xm1]: powerMinusOne,
};

export function fpuUnary(cpu: Cpu, _site: CalloutSite, which: number): number {
  const { fpu } = cpu;
  const work = functions[which as Unary] ?? (() => { throw new Error(`x87: no function D9 ${which.toString(16)}`); });
  if (fpu.isEmpty(0)) {
    underflowInto(fpu, 0);
    return 0;
  }
  const op = fpu.operation();
  deliver(fpu, op, 0, work(op, fpu.get(0)));
  return 0;
}

/** Of ST(1) and ST(0) into ST(1), and pop: FYL2X, FYL2XP1, FPATAN. */
const functionsOfTwo: Partial<Record<Unary, (op: Operation, y: Float80, x: Float80) => Float80>> = {
  [Unary.Fyl2x]: logarithm, [Unary.Fyl2xp1]: logarithmPlusOne, [Unary.Fpatan]: arctangent,
};

export function fpuFunctionOfTwo(cpu: Cpu, _site: CalloutSite, which: number): number {
  const { fpu } = cpu;
  let completes: boolean;
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) completes = underflowInto(fpu, 1);
  else {
    const op = fpu.operation();
    completes = deliver(fpu, op, 1, functionsOfTwo[which as Unary]!(op, fpu.get(1), fpu.get(0)));
  }
  if (completes) fpu.pop();
  return 0;
}

export function fpuScale(cpu: Cpu): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) underflowInto(fpu, 0);
  else {
    const op = fpu.operation();
    deliver(fpu, op, 0, scale(op, fpu.get(0), fpu.get(1)));
  }
  return 0;
}

/** FPREM and FPREM1: C0, C3, C1 are bits 2, 1, 0 of the quotient, C2 says that the reduction goes on. */
export function fpuRemainder(cpu: Cpu, _site: CalloutSite, nearest: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    underflowInto(fpu, 0);
    setC2(fpu, false);
    return 0;
  }
  const op = fpu.operation();
  const { value, quotient, partial } = remainder(op, fpu.get(0), fpu.get(1), nearest !== 0);
  const completes = deliver(fpu, op, 0, value);
  if (!completes || quotient === undefined) setC2(fpu, false);
  else fpu.setConditions(partial ? Status.C2
    : (quotient & 4 ? Status.C0 : 0) | (quotient & 2 ? Status.C3 : 0) | (quotient & 1 ? Status.C1 : 0));
  return 0;
}

/** FXTRACT: the exponent stays, the significand is pushed. */
export function fpuExtract(cpu: Cpu): number {
  const { fpu } = cpu;
  pushPair(fpu, (op, a) => {
    const { exponent, significand } = extract(op, a);
    return [exponent, significand];
  });
  return 0;
}

/** ST(0) becomes the first value and the second one is pushed. Undefined: out of range, C2. */
function pushPair(fpu: Fpu, work: (op: Operation, a: Float80) => readonly [Float80, Float80] | undefined): void {
  if (fpu.isEmpty(0) || !fpu.isEmpty(-1)) {
    if (!(fpu.isEmpty(0) ? fpu.underflow() : fpu.overflow())) return;
    fpu.set(0, indefinite);
    fpu.push(indefinite);
    return;
  }
  const op = fpu.operation();
  const values = work(op, fpu.get(0));
  if (!values) {
    fpu.finish(op);
    return;
  }
  if (!deliver(fpu, op, 0, values[0])) return;
  fpu.push(values[1]);
}

const setC2 = (fpu: Fpu, on: boolean): void => fpu.setConditions((fpu.status & (Status.C0 | Status.C1 | Status.C3)) | (on ? Status.C2 : 0));

/** FSIN, FCOS: C2 when the operand is beyond ±2^63 and stays as it is. */
export function fpuTrigonometric(cpu: Cpu, _site: CalloutSite, which: number): number {
  const { fpu } = cpu;
  if (fpu.isEmpty(0)) {
    underflowInto(fpu, 0);
    setC2(fpu, false);
    return 0;
  }
  const op = fpu.operation();
  const result = (which === Unary.Fsin as number ? sine : cosine)(op, fpu.get(0));
  if (result) deliver(fpu, op, 0, result);
  else fpu.setC1(false);
  setC2(fpu, !result);
  return 0;
}

/** FSINCOS and FPTAN push a second result. */
export function fpuTrigonometricPair(cpu: Cpu, _site: CalloutSite, which: number): number {
  const { fpu } = cpu;
  let outside = false;
  pushPair(fpu, (op, a) => {
    const values = (which === Unary.Fptan as number ? tangent : sineAndCosine)(op, a);
    outside = !values;
    return values;
  });
  setC2(fpu, outside);
  return 0;
}

/** FTST. */
export function fpuTest(cpu: Cpu): number {
  compareWith(cpu, zero(0), false, 0, 0);
  return 0;
}

const classes: Readonly<Record<Kind, number>> = {
  [Kind.Unsupported]: 0, [Kind.QuietNaN]: Status.C0, [Kind.SignalingNaN]: Status.C0, [Kind.Normal]: Status.C2, [Kind.Infinity]: Status.C2 | Status.C0,
  [Kind.Zero]: Status.C3, [Kind.Denormal]: Status.C3 | Status.C2,
};

/** FXAM: the class in C3, C2, C0, the sign in C1; also of an empty register. */
export function fpuExamine(cpu: Cpu): number {
  const { fpu } = cpu;
  const value = fpu.get(0);
  fpu.setConditions((fpu.isEmpty(0) ? Status.C3 | Status.C0 : classes[kindOf(value)]) | (value.sign ? Status.C1 : 0));
  return 0;
}

// ---- control ----

export function fpuControl(cpu: Cpu, _site: CalloutSite, value: number): number {
  cpu.fpu.control = value & 0xffff;
  return 0;
}
export function fpuInitialize(cpu: Cpu): number {
  cpu.fpu.initialize();
  return 0;
}
export function fpuClearExceptions(cpu: Cpu): number {
  cpu.fpu.clearExceptions();
  return 0;
}
/** FINCSTP and FDECSTP. */
export function fpuRotate(cpu: Cpu, _site: CalloutSite, by: number): number {
  cpu.fpu.setC1(false);
  cpu.fpu.top += by;
  return 0;
}
/** FFREE, FFREEP. */
export function fpuFree(cpu: Cpu, _site: CalloutSite, i: number, pops: number): number {
  cpu.fpu.setC1(false);
  cpu.fpu.free(i);
  if (pops) cpu.fpu.pop();
  return 0;
}

