/**
 * Rounding: an exact result → the destination's format, with the exceptions that it earns (SDM Vol. 1, 4.8.4, 4.9.1 and 8.5). One object, the
 * {@link Operation}, carries the control word in and the exceptions out.
 */
import { BIAS, bitLength, float80, kindOf, Kind, MAXIMUM, type Float80, type Format } from './format';

/** Exception flags of the status word; the control word's masks have the same places. */
export const enum Fault {
  Invalid = 1, Denormal = 2, ZeroDivide = 4, Overflow = 8, Underflow = 16, Precision = 32,
  /** Not an exception of its own: says that an invalid operation was one of the stack. */
  Stack = 64,
  All = 63,
  /** Found before a result exists: unmasked, the instruction changes nothing. */
  Before = 7,
}

export const enum Rounding { Nearest, Down, Up, Chop }

/** What the exponent is corrected by when overflow or underflow is not masked (SDM Vol. 1, 8.5.4 and 8.5.5). */
const WRAP = 24576;

const precisions = [24, 64, 53, 64];

/** One instruction's arithmetic. */
export class Operation {
  flags = 0;
  /** C1: the significand was rounded away from zero. */
  roundedUp = false;

  constructor(readonly control: number) {}

  get rounding(): Rounding { return (this.control >> 10) & 3; }
  /** Significant bits that results in registers are rounded to. */
  get precision(): number { return precisions[(this.control >> 8) & 3]; }
  masks(fault: Fault): boolean { return (this.control & fault) !== 0; }
  raise(fault: Fault): void { this.flags |= fault; }
  /** An unmasked exception that was found before there was a result. */
  get stopped(): boolean { return (this.flags & ~this.control & Fault.Before) !== 0; }

  /** Notes denormal operands. */
  denormals(...values: readonly Float80[]): void {
    if (values.some((value) => kindOf(value) === Kind.Denormal)) this.raise(Fault.Denormal);
  }
}

/** Bits of a value shifted right (or, for a negative shift, left) and rounded. `sticky`: the value is a little more than it says. */
export function shiftRounding(mode: Rounding, sign: 0 | 1, value: bigint, shift: number, sticky: boolean): { readonly bits: bigint; readonly inexact: boolean; readonly up: boolean } {
  const by = BigInt(shift);
  const bits = shift > 0 ? value >> by : value << -by;
  const rest = shift > 0 ? value - (bits << by) : 0n;
  const inexact = sticky || rest !== 0n;
  if (!inexact) return { bits, inexact, up: false };
  let up: boolean;
  switch (mode) {
    case Rounding.Nearest: {
      const half = shift > 0 ? 1n << (by - 1n) : 1n;
      up = rest > half || (rest === half && (sticky || (bits & 1n) === 1n));
      break;
    }
    case Rounding.Down: up = sign === 1; break;
    case Rounding.Up: up = sign === 0; break;
    case Rounding.Chop: up = false;
  }
  return { bits: up ? bits + 1n : bits, inexact, up };
}

/** Whether an overflow in this rounding mode gives infinity and not the largest finite number. */
const overflowsToInfinity = (mode: Rounding, sign: 0 | 1): boolean =>
  mode === Rounding.Nearest || (mode === Rounding.Up && sign === 0) || (mode === Rounding.Down && sign === 1);

interface Rounded {
  /** Biased; 0 for a denormal result, `maximum` for infinity. */
  readonly exponent: number;
  /** `precision` bits; fewer for a denormal result. */
  readonly bits: bigint;
}

/**
 * ± value × 2^scale (value > 0) in a format. With overflow or underflow unmasked the exponent is wrapped by `wrap` (registers); without a wrap
 * (memory) the flag alone tells that there is nothing to store.
 */
function roundInto(op: Operation, format: Format, wrap: number, sign: 0 | 1, value: bigint, scale: number, sticky: boolean): Rounded {
  const { precision, bias, maximum } = format;
  const mode = op.rounding;
  const length = bitLength(value);
  const before = scale + length - 1 + bias;
  const first = shiftRounding(mode, sign, value, length - precision, sticky);
  const carried = first.bits >> BigInt(precision) !== 0n;
  let exponent = carried ? before + 1 : before;
  let bits = carried ? first.bits >> 1n : first.bits;
  let { inexact, up } = first;
  if (exponent <= 0) {
    if (op.masks(Fault.Underflow)) {
      const denormal = shiftRounding(mode, sign, value, length - precision + 1 - before, sticky);
      ({ inexact, up, bits } = denormal);
      exponent = bits >> BigInt(precision - 1) !== 0n ? 1 : 0;
      if (inexact) op.raise(Fault.Underflow);
    } else {
      op.raise(Fault.Underflow);
      exponent += wrap;
      // FSCALE can go farther than any wrap.
      if (wrap !== 0 && exponent <= 0) {
        op.raise(Fault.Precision);
        op.roundedUp = false;
        return { exponent: 0, bits: 0n };
      }
    }
  } else if (exponent >= maximum) {
    op.raise(Fault.Overflow);
    if (op.masks(Fault.Overflow)) {
      op.raise(Fault.Precision);
      op.roundedUp = overflowsToInfinity(mode, sign);
      return op.roundedUp ? { exponent: maximum, bits: 1n << BigInt(precision - 1) } : { exponent: maximum - 1, bits: (1n << BigInt(precision)) - 1n };
    }
    exponent -= wrap;
    if (wrap !== 0 && exponent >= maximum) {
      op.raise(Fault.Precision);
      op.roundedUp = true;
      return { exponent: maximum, bits: 1n << BigInt(precision - 1) };
    }
  }
  if (inexact) op.raise(Fault.Precision);
  op.roundedUp = up;
  return { exponent, bits };
}

/** ± value × 2^scale as a register holds it, at the precision of the control word or the given one. */
export function round(op: Operation, sign: 0 | 1, value: bigint, scale: number, sticky = false, precision = op.precision): Float80 {
  const { exponent, bits } = roundInto(op, { precision, bias: BIAS, maximum: MAXIMUM }, WRAP, sign, value, scale, sticky);
  return float80(sign, exponent & MAXIMUM, bits << BigInt(64 - precision));
}

/** A finite number as the bits of a memory format, without the sign. */
export function roundToFormat(op: Operation, format: Format, { sign, significand }: Float80, scale: number): bigint {
  const { exponent, bits } = roundInto(op, format, 0, sign, significand, scale, false);
  const fraction = bits & ((1n << BigInt(format.precision - 1)) - 1n);
  return BigInt(exponent) << BigInt(format.precision - 1) | fraction;
}

/** A finite value rounded to an integer, as a signed number. */
export function roundToInteger(op: Operation, mode: Rounding, value: Float80, scale: number): bigint {
  if (value.significand === 0n) return 0n;
  // Below 2^-2 all that matters is that there is something.
  const shift = Math.min(-scale, 66);
  const rounded = shiftRounding(mode, value.sign, value.significand, shift, false);
  if (rounded.inexact) op.raise(Fault.Precision);
  op.roundedUp = rounded.up;
  return value.sign ? -rounded.bits : rounded.bits;
}
