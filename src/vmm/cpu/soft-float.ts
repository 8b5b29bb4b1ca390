/**
 * Exact binary floating-point arithmetic of IEEE 754 with the exceptions, rounding and NaNs of SSE (SDM Vol. 1, chapters 4 and 11.5): numbers
 * are their bits as bigint, in either format. Slow and simple: threaded code asks for it only where WebAssembly's own arithmetic will not do.
 */

/** MXCSR's bits. */
export const enum Mxcsr {
  IE = 1, DE = 2, ZE = 4, OE = 8, UE = 16, PE = 32, DAZ = 64, MaskShift = 7, RoundingShift = 13, FTZ = 0x8000,
}
export const enum Rounding { Nearest, Down, Up, Zero }

export interface Format {
  readonly bits: number;
  /** Explicit bits of the significand. */
  readonly fraction: number;
  readonly bias: number;
  readonly sign: bigint;
  /** Infinity's bits: all exponent bits. */
  readonly infinity: bigint;
  readonly fractionMask: bigint;
  readonly quiet: bigint;
  /** What an invalid operation gives. */
  readonly indefinite: bigint;
}

function format(bits: number, fraction: number): Format {
  const exponents = bits - fraction - 1;
  const infinity = ((1n << BigInt(exponents)) - 1n) << BigInt(fraction);
  const sign = 1n << BigInt(bits - 1);
  const quiet = 1n << BigInt(fraction - 1);
  return { bits, fraction, bias: 2 ** (exponents - 1) - 1, sign, infinity, fractionMask: (1n << BigInt(fraction)) - 1n, quiet, indefinite: sign | infinity | quiet };
}
export const single = format(32, 23);
export const double = format(64, 52);

/** A finite number: significand · 2^exponent. */
interface Finite {
  readonly negative: boolean;
  readonly exponent: number;
  readonly significand: bigint;
}

export const isNaN = (f: Format, x: bigint): boolean => (x & (f.sign - 1n)) > f.infinity;
export const isSignaling = (f: Format, x: bigint): boolean => isNaN(f, x) && (x & f.quiet) === 0n;
export const isInfinite = (f: Format, x: bigint): boolean => (x & (f.sign - 1n)) === f.infinity;
export const isZero = (f: Format, x: bigint): boolean => (x & (f.sign - 1n)) === 0n;
export const isDenormal = (f: Format, x: bigint): boolean => !isZero(f, x) && (x & f.infinity) === 0n;
const isNegative = (f: Format, x: bigint): boolean => (x & f.sign) !== 0n;

export function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const text = value.toString(16);
  return 4 * text.length - Math.clz32(parseInt(text[0], 16)) + 28;
}

/** The largest integer whose square is not above `value`. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let guess = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

export class SoftFloat {
  /** Exceptions met, as MXCSR's low bits. What unmasked exceptions keep from happening is for the owner to decide. */
  flags = 0;
  rounding: Rounding = Rounding.Nearest;
  denormalsAreZero = false;
  flushToZero = false;
  underflowMasked = true;
  overflowMasked = true;

  /** Takes the modes from MXCSR and forgets the exceptions. */
  begin(mxcsr: number): void {
    this.flags = 0;
    this.rounding = (mxcsr >> Mxcsr.RoundingShift) & 3;
    this.denormalsAreZero = (mxcsr & Mxcsr.DAZ) !== 0;
    this.flushToZero = (mxcsr & Mxcsr.FTZ) !== 0;
    this.underflowMasked = (mxcsr & (Mxcsr.UE << Mxcsr.MaskShift)) !== 0;
    this.overflowMasked = (mxcsr & (Mxcsr.OE << Mxcsr.MaskShift)) !== 0;
  }

  /** A denormal operand is noted, or with DAZ is a zero. */
  private operand(f: Format, x: bigint): bigint {
    if (!isDenormal(f, x)) return x;
    if (this.denormalsAreZero) return x & f.sign;
    this.flags |= Mxcsr.DE;
    return x;
  }

  /** With DAZ a zero; nothing is noted. */
  flushOperand(f: Format, x: bigint): bigint {
    return this.denormalsAreZero && isDenormal(f, x) ? x & f.sign : x;
  }

  private unpack(f: Format, x: bigint): Finite {
    const biased = Number((x & f.infinity) >> BigInt(f.fraction));
    const fraction = x & f.fractionMask;
    const negative = isNegative(f, x);
    if (biased === 0) return { negative, exponent: 1 - f.bias - f.fraction, significand: fraction };
    return { negative, exponent: biased - f.bias - f.fraction, significand: fraction | (1n << BigInt(f.fraction)) };
  }

  /** value >> shift, rounded; `lost`: something was cut off. */
  private shiftRounded(value: bigint, shift: number, negative: boolean): { readonly value: bigint; readonly lost: boolean } {
    if (shift <= 0) return { value: value << BigInt(-shift), lost: false };
    const amount = BigInt(shift);
    const kept = value >> amount;
    const rest = value - (kept << amount);
    if (rest === 0n) return { value: kept, lost: false };
    const half = 1n << (amount - 1n);
    const up = this.rounding === Rounding.Nearest ? rest > half || (rest === half && (kept & 1n) === 1n)
      : this.rounding === Rounding.Up ? !negative : this.rounding === Rounding.Down && negative;
    return { value: up ? kept + 1n : kept, lost: true };
  }

  /** Rounds significand · 2^exponent, with a last bit that stands for all below it, to the format. */
  round(f: Format, negative: boolean, exponent: number, significand: bigint): bigint {
    const sign = negative ? f.sign : 0n;
    if (significand === 0n) return sign;
    const precision = f.fraction + 1;
    const length = bitLength(significand);
    // As if the exponent had no bounds: that tells whether the number is tiny after rounding.
    const wide = this.shiftRounded(significand, length - precision, negative);
    const carried = wide.value >> BigInt(precision) !== 0n;
    const top = exponent + length - 1 + (carried ? 1 : 0);
    const least = 1 - f.bias;
    if (top < least) {
      if (this.flushToZero && this.underflowMasked) {
        this.flags |= Mxcsr.UE | Mxcsr.PE;
        return sign;
      }
      if (!this.underflowMasked) {
        // There is no result; it would have been exact or not with an exponent without bounds.
        this.flags |= Mxcsr.UE | (wide.lost ? Mxcsr.PE : 0);
        return sign;
      }
      const denormal = this.shiftRounded(significand, least - f.fraction - exponent, negative);
      if (denormal.lost) this.flags |= Mxcsr.PE | Mxcsr.UE;
      return sign | denormal.value;
    }
    if (wide.lost) this.flags |= Mxcsr.PE;
    if (top > f.bias) {
      this.flags |= Mxcsr.OE | (this.overflowMasked ? Mxcsr.PE : 0);
      const away = this.rounding === Rounding.Nearest || (this.rounding === Rounding.Up && !negative) || (this.rounding === Rounding.Down && negative);
      return sign | (away ? f.infinity : f.infinity - 1n);
    }
    const value = carried ? wide.value >> 1n : wide.value;
    return sign | (BigInt(top + f.bias) << BigInt(f.fraction)) | (value & f.fractionMask);
  }

  private invalid(f: Format): bigint {
    this.flags |= Mxcsr.IE;
    return f.indefinite;
  }

  /** The result when an operand is NaN: the first one that is, made quiet. */
  private nanOf(f: Format, x: bigint, y: bigint): bigint | undefined {
    const first = isNaN(f, x);
    if (!first && !isNaN(f, y)) return undefined;
    if (isSignaling(f, x) || isSignaling(f, y)) this.flags |= Mxcsr.IE;
    return (first ? x : y) | f.quiet;
  }

  add(f: Format, x: bigint, y: bigint): bigint {
    const nan = this.nanOf(f, x, y);
    if (nan !== undefined) return nan;
    if (isInfinite(f, x) || isInfinite(f, y)) {
      if (isInfinite(f, x) && isInfinite(f, y) && x !== y) return this.invalid(f);
      const result = isInfinite(f, x) ? x : y;
      this.operand(f, x);
      this.operand(f, y);
      return result;
    }
    const a = this.unpack(f, this.operand(f, x)), b = this.unpack(f, this.operand(f, y));
    const exponent = Math.min(a.exponent, b.exponent);
    const part = (n: Finite) => (n.significand << BigInt(n.exponent - exponent)) * (n.negative ? -1n : 1n);
    const sum = part(a) + part(b);
    if (sum === 0n) {
      // Zeros of one sign keep it; what cancels is positive unless rounding goes down.
      const negative = a.significand === 0n && b.significand === 0n && a.negative === b.negative ? a.negative : this.rounding === Rounding.Down;
      return negative ? f.sign : 0n;
    }
    return this.round(f, sum < 0n, exponent, sum < 0n ? -sum : sum);
  }

  sub(f: Format, x: bigint, y: bigint): bigint {
    // The sign of a NaN is no operation's business.
    return this.nanOf(f, x, y) ?? this.add(f, x, y ^ f.sign);
  }

  mul(f: Format, x: bigint, y: bigint): bigint {
    const nan = this.nanOf(f, x, y);
    if (nan !== undefined) return nan;
    const sign = (x ^ y) & f.sign;
    if (isInfinite(f, x) || isInfinite(f, y)) {
      const other = isInfinite(f, x) ? y : x;
      if (isZero(f, this.flushOperand(f, other))) return this.invalid(f);
      this.operand(f, other);
      return sign | f.infinity;
    }
    const a = this.unpack(f, this.operand(f, x)), b = this.unpack(f, this.operand(f, y));
    return this.round(f, sign !== 0n, a.exponent + b.exponent, a.significand * b.significand);
  }

  div(f: Format, x: bigint, y: bigint): bigint {
    const nan = this.nanOf(f, x, y);
    if (nan !== undefined) return nan;
    const sign = (x ^ y) & f.sign;
    const xZero = isZero(f, this.flushOperand(f, x)), yZero = isZero(f, this.flushOperand(f, y));
    if (isInfinite(f, x)) {
      if (isInfinite(f, y)) return this.invalid(f);
      this.operand(f, y);
      return sign | f.infinity;
    }
    if (isInfinite(f, y)) {
      this.operand(f, x);
      return sign;
    }
    if (yZero) {
      if (xZero) return this.invalid(f);
      this.flags |= Mxcsr.ZE;
      return sign | f.infinity;
    }
    const a = this.unpack(f, this.operand(f, x)), b = this.unpack(f, this.operand(f, y));
    if (a.significand === 0n) return sign;
    const shift = f.fraction + 4 + Math.max(0, bitLength(b.significand) - bitLength(a.significand));
    const numerator = a.significand << BigInt(shift);
    const quotient = numerator / b.significand;
    const sticky = quotient * b.significand === numerator ? 0n : 1n;
    return this.round(f, sign !== 0n, a.exponent - b.exponent - shift - 1, (quotient << 1n) | sticky);
  }

  sqrt(f: Format, y: bigint): bigint {
    const nan = this.nanOf(f, y, y);
    if (nan !== undefined) return nan;
    const flushed = this.flushOperand(f, y);
    if (isZero(f, flushed)) return flushed;
    if (isNegative(f, y)) return this.invalid(f);
    if (isInfinite(f, y)) return y;
    const { exponent, significand } = this.unpack(f, this.operand(f, y));
    let shift = Math.max(0, 2 * f.fraction + 8 - bitLength(significand));
    if ((exponent - shift) & 1) shift++;
    const radicand = significand << BigInt(shift);
    const root = squareRoot(radicand);
    return this.round(f, false, (exponent - shift) / 2 - 1, (root << 1n) | (root * root === radicand ? 0n : 1n));
  }

  /** The second operand unless the first is strictly less (greater). */
  extreme(f: Format, x: bigint, y: bigint, least: boolean): bigint {
    if (isNaN(f, x) || isNaN(f, y)) {
      this.flags |= Mxcsr.IE;
      return this.flushOperand(f, y);
    }
    const a = this.operand(f, x), b = this.operand(f, y);
    const order = this.compareNumbers(f, a, b);
    return (least ? order < 0 : order > 0) ? a : b;
  }

  /** Sign of x - y, neither NaN. */
  private compareNumbers(f: Format, x: bigint, y: bigint): number {
    const key = (n: bigint) => (isNegative(f, n) ? -(n & (f.sign - 1n)) : n);
    const a = key(x), b = key(y);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  /** -1, 0, 1, or undefined for unordered; `quiet`: only a signaling NaN is invalid. */
  compare(f: Format, x: bigint, y: bigint, quiet: boolean): number | undefined {
    if (isNaN(f, x) || isNaN(f, y)) {
      if (!quiet || isSignaling(f, x) || isSignaling(f, y)) this.flags |= Mxcsr.IE;
      return undefined;
    }
    return this.compareNumbers(f, this.operand(f, x), this.operand(f, y));
  }

  /** From one format to the other. */
  convert(from: Format, to: Format, y: bigint): bigint {
    const sign = isNegative(from, y) ? to.sign : 0n;
    if (isNaN(from, y)) {
      if (isSignaling(from, y)) this.flags |= Mxcsr.IE;
      const fraction = y & from.fractionMask;
      const moved = to.fraction > from.fraction ? fraction << BigInt(to.fraction - from.fraction) : fraction >> BigInt(from.fraction - to.fraction);
      return sign | to.infinity | moved | to.quiet;
    }
    if (isInfinite(from, y)) return sign | to.infinity;
    const { exponent, significand } = this.unpack(from, this.operand(from, y));
    return this.round(to, sign !== 0n, exponent, significand);
  }

  fromInteger(f: Format, value: bigint): bigint {
    return this.round(f, value < 0n, 0, value < 0n ? -value : value);
  }

  /** A signed integer of `bits` bits; the least one when it does not fit. */
  toInteger(f: Format, y: bigint, bits: number, truncate: boolean): bigint {
    const least = -(1n << BigInt(bits - 1));
    if (isNaN(f, y) || isInfinite(f, y)) {
      this.flags |= Mxcsr.IE;
      return least;
    }
    const { negative, exponent, significand } = this.unpack(f, this.flushOperand(f, y));
    if (significand !== 0n && exponent + bitLength(significand) > 70) {
      this.flags |= Mxcsr.IE;
      return least;
    }
    const rounding = this.rounding;
    if (truncate) this.rounding = Rounding.Zero;
    const { value, lost } = this.shiftRounded(significand, -exponent, negative);
    this.rounding = rounding;
    const result = negative ? -value : value;
    if (result < least || result >= -least) {
      this.flags |= Mxcsr.IE;
      return least;
    }
    if (lost) this.flags |= Mxcsr.PE;
    return result;
  }

  /** To an integer in the same format. */
  roundToInteger(f: Format, y: bigint, rounding: Rounding, quietPrecision: boolean): bigint {
    const nan = this.nanOf(f, y, y);
    if (nan !== undefined) return nan;
    const flushed = this.flushOperand(f, y);
    if (isInfinite(f, y) || isZero(f, flushed)) return flushed;
    const { negative, exponent, significand } = this.unpack(f, flushed);
    if (exponent >= 0) return flushed;
    const before = this.rounding;
    this.rounding = rounding;
    const { value, lost } = this.shiftRounded(significand, -exponent, negative);
    this.rounding = before;
    if (lost && !quietPrecision) this.flags |= Mxcsr.PE;
    const kept = this.flags;
    const result = this.round(f, negative, 0, value);
    this.flags = kept;
    return result;
  }
}
