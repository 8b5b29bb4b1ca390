/** The exact operations on registers: addition, multiplication, division, square root, remainder, scaling, extraction, comparison. */
import {
  BIAS, bitLength, float80, fromInteger, indefinite, infinity, isNaN80, kindOf, Kind, negated, normalized, quiet, scaleOf, zero, type Float80,
} from './format';
import { Fault, type Operation, round, Rounding, roundToInteger } from './round';

export function invalid(op: Operation): Float80 {
  op.raise(Fault.Invalid);
  return indefinite;
}

/**
 * The answer when an operand is a NaN or unsupported (SDM Vol. 1, table 4-7, x87 column): of a signaling and a quiet NaN the quiet one, of two
 * alike the one with the larger significand, of two the same the positive one.
 */
export function nanOf(op: Operation, a: Float80, b: Float80): Float80 | undefined {
  const kindA = kindOf(a), kindB = kindOf(b);
  if (kindA === Kind.Unsupported || kindB === Kind.Unsupported) return invalid(op);
  const nanA = isNaN80(kindA), nanB = isNaN80(kindB);
  if (!nanA && !nanB) return undefined;
  if (kindA === Kind.SignalingNaN || kindB === Kind.SignalingNaN) op.raise(Fault.Invalid);
  if (!nanB) return quiet(a);
  if (!nanA) return quiet(b);
  if (kindA !== kindB) return kindA === Kind.QuietNaN ? a : b;
  if (a.significand !== b.significand) return quiet(a.significand > b.significand ? a : b);
  return quiet(a.sign <= b.sign ? a : b);
}

/** The same for one operand. */
export function nanOf1(op: Operation, a: Float80): Float80 | undefined {
  switch (kindOf(a)) {
    case Kind.Unsupported: return invalid(op);
    case Kind.SignalingNaN: op.raise(Fault.Invalid); return quiet(a);
    case Kind.QuietNaN: return a;
    default: return undefined;
  }
}

const isInfinite = (value: Float80): boolean => kindOf(value) === Kind.Infinity;
const isZero = (value: Float80): boolean => kindOf(value) === Kind.Zero;

/** Further apart than this, the smaller operand of a sum only tells that the sum is not exact. */
const FAR = 140;

export function add(op: Operation, a: Float80, b: Float80, subtract = false): Float80 {
  const nan = nanOf(op, a, b);
  if (nan) return nan;
  const c = subtract ? negated(b) : b;
  if (isInfinite(a) && isInfinite(c) && a.sign !== c.sign) return invalid(op);
  op.denormals(a, b);
  if (isInfinite(a)) return a;
  if (isInfinite(c)) return c;
  if (isZero(a) && isZero(c)) return zero(a.sign === c.sign ? a.sign : op.rounding === Rounding.Down ? 1 : 0);
  if (isZero(c)) return round(op, a.sign, a.significand, scaleOf(a));
  if (isZero(a)) return round(op, c.sign, c.significand, scaleOf(c));
  const [high, low] = scaleOf(a) >= scaleOf(c) ? [a, c] : [c, a];
  const apart = scaleOf(high) - scaleOf(low);
  // What is left of a small operand far away: a bit below everything that rounding looks at.
  const shift = Math.min(apart, FAR);
  const small = apart > FAR ? 1n : low.significand;
  const signed = (value: Float80, magnitude: bigint): bigint => (value.sign ? -magnitude : magnitude);
  const sum = signed(high, high.significand << BigInt(shift)) + signed(low, small);
  if (sum === 0n) return zero(op.rounding === Rounding.Down ? 1 : 0);
  return round(op, sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, scaleOf(high) - shift);
}

export function multiply(op: Operation, a: Float80, b: Float80): Float80 {
  const nan = nanOf(op, a, b);
  if (nan) return nan;
  const sign = a.sign === b.sign ? 0 : 1;
  if ((isInfinite(a) && isZero(b)) || (isZero(a) && isInfinite(b))) return invalid(op);
  op.denormals(a, b);
  if (isInfinite(a) || isInfinite(b)) return infinity(sign);
  if (isZero(a) || isZero(b)) return zero(sign);
  return round(op, sign, a.significand * b.significand, scaleOf(a) + scaleOf(b));
}

/** a / b. */
export function divide(op: Operation, a: Float80, b: Float80): Float80 {
  const nan = nanOf(op, a, b);
  if (nan) return nan;
  const sign = a.sign === b.sign ? 0 : 1;
  if ((isInfinite(a) && isInfinite(b)) || (isZero(a) && isZero(b))) return invalid(op);
  if (isZero(b) && !isInfinite(a)) {
    op.raise(Fault.ZeroDivide);
    return infinity(sign);
  }
  op.denormals(a, b);
  if (isInfinite(a)) return infinity(sign);
  if (isInfinite(b) || isZero(a)) return zero(sign);
  const dividend = a.significand << 132n;
  const quotient = dividend / b.significand;
  return round(op, sign, quotient, scaleOf(a) - scaleOf(b) - 132, quotient * b.significand !== dividend);
}

/** Floor of the square root. */
export function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let x = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (x + value / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

export function squareRoot(op: Operation, a: Float80): Float80 {
  const nan = nanOf1(op, a);
  if (nan) return nan;
  if (isZero(a)) return a;
  if (a.sign) return invalid(op);
  if (isInfinite(a)) return a;
  op.denormals(a);
  const { exponent, significand } = normalized(a);
  const scale = exponent - BIAS - 63;
  const odd = scale & 1;
  const radicand = significand << BigInt(140 + odd);
  const root = integerRoot(radicand);
  return round(op, 0, root, (scale - 140 - odd) / 2, root * root !== radicand);
}

/** Result of FPREM and FPREM1: the remainder, the low three bits of the quotient, and whether the reduction is incomplete. */
export interface Remainder {
  readonly value: Float80;
  /** Undefined when there is none: NaNs, invalid operations. */
  readonly quotient: number | undefined;
  readonly partial: boolean;
}

/** FPREM (quotient chopped) and FPREM1 (quotient to the nearest, IEEE 754). */
export function remainder(op: Operation, a: Float80, b: Float80, nearest: boolean): Remainder {
  const done = (value: Float80, quotient: number | undefined = 0, partial = false): Remainder => ({ value, quotient, partial });
  const nan = nanOf(op, a, b) ?? (isInfinite(a) || isZero(b) ? invalid(op) : undefined);
  if (nan) return { value: nan, quotient: undefined, partial: false };
  op.denormals(a, b);
  if (isZero(a) || isInfinite(b)) {
    return done(isZero(a) ? a : round(op, a.sign, a.significand, scaleOf(a), false, 64));
  }
  const x = normalized(a), y = normalized(b);
  const distance = x.exponent - y.exponent;
  if (distance < (nearest ? -1 : 0)) return done(round(op, a.sign, a.significand, scaleOf(a), false, 64));
  // One step takes away at most 63 bits of the quotient; an incomplete one between 32 and 63 (SDM Vol. 2, FPREM).
  const partial = distance >= 64;
  const skipped = partial ? distance - ((distance & 31) | 32) : 0;
  const dividend = x.significand << BigInt(Math.max(distance, 0));
  const unit = y.significand << BigInt(distance < 0 ? 1 : skipped);
  let quotient = dividend / unit;
  let rest = dividend - quotient * unit;
  let sign = a.sign;
  if (nearest && !partial) {
    const twice = rest << 1n;
    if (twice > unit || (twice === unit && (quotient & 1n) === 1n)) {
      quotient += 1n;
      rest = unit - rest;
      sign = sign ? 0 : 1;
    }
  }
  const place = Math.min(x.exponent, y.exponent) - BIAS - 63;
  const value = rest === 0n ? zero(a.sign) : round(op, sign, rest, place, false, 64);
  return done(value, partial ? 0 : Number(quotient & 7n), partial);
}

/** FSCALE: a × 2^chop(b). */
export function scale(op: Operation, a: Float80, b: Float80): Float80 {
  const nan = nanOf(op, a, b);
  if (nan) return nan;
  if (isInfinite(b)) {
    if (b.sign ? isInfinite(a) : isZero(a)) return invalid(op);
    op.denormals(a);
    if (isInfinite(a) || isZero(a)) return a;
    return b.sign ? zero(a.sign) : infinity(a.sign);
  }
  op.denormals(a, b);
  if (isInfinite(a) || isZero(a)) return a;
  return round(op, a.sign, a.significand, scaleOf(a) + chopped(b), false, 64);
}

/** Far more than any exponent can be moved. */
const FARTHEST = 0x10000;

/** A finite number without its fraction, as far as it matters to an exponent. */
function chopped(value: Float80): number {
  if (value.exponent < BIAS) return 0;
  const magnitude = value.exponent > BIAS + 16 ? FARTHEST : Number(value.significand >> BigInt(63 - (value.exponent - BIAS)));
  return value.sign ? -magnitude : magnitude;
}

/** FXTRACT: the exponent as a number, and the significand with the exponent of 1. */
export function extract(op: Operation, a: Float80): { readonly exponent: Float80; readonly significand: Float80 } {
  const nan = nanOf1(op, a);
  if (nan) return { exponent: nan, significand: nan };
  if (isZero(a)) {
    op.raise(Fault.ZeroDivide);
    return { exponent: infinity(1), significand: a };
  }
  if (isInfinite(a)) return { exponent: infinity(0), significand: a };
  op.denormals(a);
  const { exponent, significand } = normalized(a);
  return { exponent: fromInteger(BigInt(exponent - BIAS)), significand: float80(a.sign, BIAS, significand) };
}

/** FRNDINT. */
export function roundToIntegral(op: Operation, a: Float80): Float80 {
  const nan = nanOf1(op, a);
  if (nan) return nan;
  if (isInfinite(a) || isZero(a)) return a;
  op.denormals(a);
  if (scaleOf(a) >= 0) return a;
  const value = roundToInteger(op, op.rounding, a, scaleOf(a));
  return value === 0n ? zero(a.sign) : fromInteger(value);
}

export const enum Order { Greater, Less, Equal, Unordered }

/** `quietly`: quiet NaNs compare as unordered without an exception (FUCOM). */
export function compare(op: Operation, a: Float80, b: Float80, quietly: boolean): Order {
  const kinds = [kindOf(a), kindOf(b)];
  if (kinds.some((kind) => kind === Kind.Unsupported || isNaN80(kind))) {
    if (!quietly || kinds.some((kind) => kind === Kind.Unsupported || kind === Kind.SignalingNaN)) op.raise(Fault.Invalid);
    return Order.Unordered;
  }
  op.denormals(a, b);
  if (kinds[0] === Kind.Zero && kinds[1] === Kind.Zero) return Order.Equal;
  if (a.sign !== b.sign) return a.sign ? Order.Less : Order.Greater;
  const magnitude = compareMagnitude(a, b);
  if (magnitude === 0) return Order.Equal;
  return magnitude > 0 === (a.sign === 0) ? Order.Greater : Order.Less;
}

function compareMagnitude(a: Float80, b: Float80): number {
  const x = a.exponent || 1, y = b.exponent || 1;
  if (isZero(a) || isZero(b) || x === y) return a.significand > b.significand ? 1 : a.significand < b.significand ? -1 : 0;
  // A denormal has the exponent 1; normal numbers with it have the integer bit.
  return x - y;
}
