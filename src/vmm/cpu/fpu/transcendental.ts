/**
 * The transcendental instructions. Results are those of the functions themselves, correctly rounded (to 64 bits whatever the precision
 * control says): a processor's own may differ by one unit of the last place (SDM Vol. 1, 8.3.10). Arguments of the trigonometric ones are
 * reduced by 66 bits of π, as processors do.
 */
import { invalid, nanOf, nanOf1 } from './arithmetic';
import { BIAS, bitLength, float80, infinity, kindOf, Kind, negated, normalized, one, scaleOf, zero, type Float80 } from './format';
import { arctangentOf, exponentialMinusOne, FRACTION, inverseHyperbolicTangent, LN2, ONE, PI, PI_66, sineCosine } from './fixed-point';
import { Fault, type Operation, round } from './round';

const PRECISION = 64;
/** Below 2^-TINY the next term of every series here is beneath the rounding. */
const TINY = 96;

/** A fixed-point result, which is never exact. */
const rounded = (op: Operation, value: bigint, scale = -FRACTION): Float80 =>
  round(op, value < 0n ? 1 : 0, value < 0n ? -value : value, scale, true, PRECISION);

/** A finite number of magnitude 2^-TINY … 2^63 as a fixed-point number. */
function fixed(value: Float80): bigint {
  const magnitude = value.significand << BigInt(FRACTION + scaleOf(value));
  return value.sign ? -magnitude : magnitude;
}

const exponentOf = (value: Float80): number => normalized(value).exponent - BIAS;

/** The operand itself, a little nearer to zero (or, `away`, farther from it). */
function nearly(op: Operation, a: Float80, away: boolean): Float80 {
  const wide = a.significand << 70n;
  return round(op, a.sign, away ? wide : wide - 1n, scaleOf(a) - 70, true, PRECISION);
}

// ---- FSIN, FCOS, FSINCOS, FPTAN ----

/** An angle of 0 … π/4 in an octant pair: how sine and cosine follow from it. */
interface Reduced {
  readonly sine: bigint;
  readonly cosine: bigint;
}

/** Sine and cosine of a finite number of magnitude 2^-TINY … 2^63. */
function reduced(a: Float80): Reduced {
  const magnitude = fixed({ ...a, sign: 0 });
  const half = PI_66 >> 1n;
  const quadrant = (magnitude + (half >> 1n)) / half;
  const rest = magnitude - quadrant * half;
  const { sine, cosine } = sineCosine(rest < 0n ? -rest : rest);
  const s = rest < 0n ? -sine : sine;
  const turned: readonly Reduced[] = [{ sine: s, cosine }, { sine: cosine, cosine: -s }, { sine: -s, cosine: -cosine }, { sine: -cosine, cosine: s }];
  const at = turned[Number(quadrant & 3n)];
  return a.sign ? { sine: -at.sine, cosine: at.cosine } : at;
}

/** Out of range: the instruction leaves its operand and sets C2. */
const tooLarge = (a: Float80): boolean => kindOf(a) === Kind.Normal && a.exponent >= BIAS + 63;

function special(op: Operation, a: Float80): Float80 | undefined {
  return nanOf1(op, a) ?? (kindOf(a) === Kind.Infinity ? invalid(op) : undefined);
}

export function sine(op: Operation, a: Float80): Float80 | undefined {
  const found = special(op, a);
  if (found) return found;
  if (tooLarge(a)) return undefined;
  if (kindOf(a) === Kind.Zero) return a;
  op.denormals(a);
  return exponentOf(a) < -TINY ? nearly(op, a, false) : rounded(op, reduced(a).sine);
}

export function cosine(op: Operation, a: Float80): Float80 | undefined {
  const found = special(op, a);
  if (found) return found;
  if (tooLarge(a)) return undefined;
  if (kindOf(a) === Kind.Zero) return one;
  op.denormals(a);
  return exponentOf(a) < -TINY ? rounded(op, ONE - 1n) : rounded(op, reduced(a).cosine);
}

/** Sine, then cosine. C1 is the sine's. */
export function sineAndCosine(op: Operation, a: Float80): readonly [Float80, Float80] | undefined {
  const c = cosine(op, a);
  const s = sine(op, a);
  return s && c ? [s, c] : undefined;
}

/** Tangent, then 1. */
export function tangent(op: Operation, a: Float80): readonly [Float80, Float80] | undefined {
  const found = special(op, a);
  if (found) return [found, found];
  if (tooLarge(a)) return undefined;
  if (kindOf(a) === Kind.Zero) return [a, one];
  op.denormals(a);
  if (exponentOf(a) < -TINY) return [nearly(op, a, true), one];
  const at = reduced(a);
  return [rounded(op, (at.sine << BigInt(FRACTION)) / at.cosine), one];
}

// ---- F2XM1 ----

/** 2^a - 1 for -1 … 1. Beyond that the manual leaves the result open: the operand stays, as in AMD's processors. */
export function powerMinusOne(op: Operation, a: Float80): Float80 {
  const nan = nanOf1(op, a);
  if (nan) return nan;
  const kind = kindOf(a);
  if (kind === Kind.Zero) return a;
  if (kind === Kind.Infinity) return a.sign ? float80(1, BIAS, one.significand) : a;
  op.denormals(a);
  const exponent = exponentOf(a);
  if (exponent >= 0) {
    op.raise(Fault.Precision);
    if (exponent > 0 || a.significand !== one.significand) return a;
    // 2^1 - 1 is not found exactly.
    return a.sign ? float80(1, BIAS - 1, one.significand) : rounded(op, ONE - 1n);
  }
  if (exponent < -TINY) return round(op, a.sign, a.significand * LN2, scaleOf(a) - FRACTION, true, PRECISION);
  return rounded(op, exponentialMinusOne((fixed(a) * LN2) >> BigInt(FRACTION)));
}

// ---- FYL2X, FYL2XP1 ----

/** log2((1 + z) / (1 - z)) for a fixed-point z. */
const logarithmOfRatio = (z: bigint): bigint => ((inverseHyperbolicTangent(z) << 1n) << BigInt(FRACTION)) / LN2;

/** y times a fixed-point number that is not exact. */
function scaledBy(op: Operation, y: Float80, value: bigint, scale = -FRACTION): Float80 {
  const sign = (value < 0n) === (y.sign === 1) ? 0 : 1;
  return round(op, sign, y.significand * (value < 0n ? -value : value), scaleOf(y) + scale, true, PRECISION);
}

/** y times a logarithm that is a whole number: exact, but reported as if it were not. */
function timesPower(op: Operation, y: Float80, power: number): Float80 {
  op.raise(Fault.Precision);
  return round(op, (power < 0) === (y.sign === 1) ? 0 : 1, y.significand * BigInt(Math.abs(power)), scaleOf(y), false, PRECISION);
}

/** y × log2 x. */
export function logarithm(op: Operation, y: Float80, x: Float80): Float80 {
  const nan = nanOf(op, y, x);
  if (nan) return nan;
  const kindX = kindOf(x), kindY = kindOf(y);
  if (kindX === Kind.Zero) {
    if (kindY === Kind.Zero) return invalid(op);
    if (kindY === Kind.Infinity) return negated(y);
    op.raise(Fault.ZeroDivide);
    return infinity(y.sign ? 0 : 1);
  }
  if (x.sign) return invalid(op);
  const isOne = x.exponent === BIAS && x.significand === one.significand;
  if ((kindX === Kind.Infinity && kindY === Kind.Zero) || (kindY === Kind.Infinity && isOne)) return invalid(op);
  op.denormals(y, x);
  if (kindX === Kind.Infinity) return infinity(y.sign);
  const below = x.exponent < BIAS;
  if (kindY === Kind.Infinity) return infinity(below === (y.sign === 1) ? 0 : 1);
  if (kindY === Kind.Zero || isOne) return zero(kindY !== Kind.Zero || !below ? y.sign : y.sign ? 0 : 1);
  const { exponent, significand } = normalized(x);
  let power = exponent - BIAS;
  if (significand === one.significand) {
    return timesPower(op, y, power);
  }
  // The significand in √½ … √2, so that nothing cancels.
  let m = significand << BigInt(FRACTION - 63);
  if (significand > 0xb504f333f9de6484n) {
    m >>= 1n;
    power++;
  }
  const z = ((m - ONE) << BigInt(FRACTION)) / (m + ONE);
  return scaledBy(op, y, (BigInt(power) << BigInt(FRACTION)) + logarithmOfRatio(z));
}

/** y × log2(x + 1), defined for |x| < 1 - √½; beyond that as far as the logarithm exists. Where it does not, x itself, as AMD's processors answer. */
export function logarithmPlusOne(op: Operation, y: Float80, x: Float80): Float80 {
  const nan = nanOf(op, y, x);
  if (nan) return nan;
  const kindX = kindOf(x), kindY = kindOf(y);
  if (kindX === Kind.Infinity) {
    if (x.sign || kindY === Kind.Zero) return invalid(op);
    op.denormals(y);
    return infinity(y.sign);
  }
  if (kindY === Kind.Infinity && kindX === Kind.Zero) return invalid(op);
  op.denormals(y, x);
  const sign = x.sign === y.sign ? 0 : 1;
  if (kindY === Kind.Infinity) return infinity(sign);
  if (kindX === Kind.Zero || kindY === Kind.Zero) return zero(sign);
  const exponent = exponentOf(x);
  if (x.sign && exponent >= 0) {
    op.raise(Fault.Precision);
    return x;
  }
  if (exponent < -TINY) return scaledBy(op, y, ((x.sign ? -x.significand : x.significand) << BigInt(2 * FRACTION)) / LN2, scaleOf(x) - FRACTION);
  if (exponent >= 63) return logarithm(op, y, x);
  const argument = fixed(x);
  let power = 0n;
  let m = argument + ONE;
  const length = bitLength(m) - 1;
  if (m === 1n << BigInt(length)) return timesPower(op, y, length - FRACTION);
  while (m > (ONE * 3n) >> 1n) {
    m >>= 1n;
    power++;
  }
  while (m < (ONE * 3n) >> 2n) {
    m <<= 1n;
    power--;
  }
  const z = power === 0n ? (argument << BigInt(FRACTION)) / (argument + 2n * ONE) : ((m - ONE) << BigInt(FRACTION)) / (m + ONE);
  return scaledBy(op, y, (power << BigInt(FRACTION)) + logarithmOfRatio(z));
}

// ---- FPATAN ----

/** The angle of the point (x, y): arctangent of y / x in the quadrant of the signs. */
export function arctangent(op: Operation, y: Float80, x: Float80): Float80 {
  const nan = nanOf(op, y, x);
  if (nan) return nan;
  op.denormals(y, x);
  const signed = (angle: bigint): Float80 => rounded(op, y.sign ? -angle : angle);
  const kindX = kindOf(x), kindY = kindOf(y);
  if (kindY === Kind.Infinity) return signed(kindX !== Kind.Infinity ? PI >> 1n : x.sign ? PI * 3n >> 2n : PI >> 2n);
  if (kindX === Kind.Infinity || kindY === Kind.Zero) return x.sign ? signed(PI) : zero(y.sign);
  if (kindX === Kind.Zero) return signed(PI >> 1n);
  const a = normalized(y), b = normalized(x);
  const distance = a.exponent - b.exponent;
  if (distance > TINY + 4) return signed((PI >> 1n) + (x.sign ? 1n : -1n));
  if (distance < -TINY - 4) {
    if (x.sign) return signed(PI - 1n);
    // The quotient, a little smaller.
    const dividend = a.significand << 140n;
    const quotient = dividend / b.significand;
    const exact = quotient * b.significand === dividend;
    return round(op, y.sign, exact ? quotient - 1n : quotient, distance - 140, true, PRECISION);
  }
  const steep = distance > 0 || (distance === 0 && a.significand > b.significand);
  const [low, high] = steep ? [b.significand, a.significand] : [a.significand, b.significand];
  const shift = FRACTION - Math.abs(distance);
  const t = arctangentOf((low << BigInt(shift)) / high);
  if (steep) return signed(x.sign ? (PI >> 1n) + t : (PI >> 1n) - t);
  return signed(x.sign ? PI - t : t);
}
