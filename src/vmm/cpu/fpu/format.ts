/**
 * The 80-bit format of the x87: what its bit patterns mean (SDM Vol. 1, 4.2.2 and 8.2.2), and the single and double formats that memory
 * operands have. A value here is the bit pattern itself: nothing is normalized or converted on the way in.
 */

/** Exponent bias of the 80-bit format, and the exponent of infinities and NaNs. */
export const BIAS = 0x3fff;
export const MAXIMUM = 0x7fff;
export const INTEGER_BIT = 1n << 63n;
export const QUIET_BIT = 1n << 62n;
const FRACTION_64 = (1n << 64n) - 1n;

export interface Float80 {
  readonly sign: 0 | 1;
  /** Biased, 15 bits. */
  readonly exponent: number;
  /** 64 bits, the integer bit included. */
  readonly significand: bigint;
}

export const enum Kind {
  Zero,
  /** Exponent 0 with a significand; pseudo-denormals (integer bit set) too. */
  Denormal,
  Normal,
  Infinity,
  QuietNaN,
  SignalingNaN,
  /** Unnormals, pseudo-NaNs, pseudo-infinities: the 80387 and later refuse them. */
  Unsupported,
}

export const float80 = (sign: 0 | 1, exponent: number, significand: bigint): Float80 => ({ sign, exponent, significand });
export const zero = (sign: 0 | 1): Float80 => float80(sign, 0, 0n);
export const infinity = (sign: 0 | 1): Float80 => float80(sign, MAXIMUM, INTEGER_BIT);
/** The QNaN floating-point indefinite: the masked answer to invalid operations. */
export const indefinite: Float80 = float80(1, MAXIMUM, INTEGER_BIT | QUIET_BIT);
export const one: Float80 = float80(0, BIAS, INTEGER_BIT);

export function kindOf({ exponent, significand }: Float80): Kind {
  if (exponent === 0) return significand === 0n ? Kind.Zero : Kind.Denormal;
  if (significand < INTEGER_BIT) return Kind.Unsupported;
  if (exponent !== MAXIMUM) return Kind.Normal;
  return significand === INTEGER_BIT ? Kind.Infinity : significand & QUIET_BIT ? Kind.QuietNaN : Kind.SignalingNaN;
}

export const isNaN80 = (kind: Kind): boolean => kind === Kind.QuietNaN || kind === Kind.SignalingNaN;
export const quiet = (value: Float80): Float80 => float80(value.sign, value.exponent, value.significand | QUIET_BIT);
export const negated = (value: Float80): Float80 => float80(value.sign === 0 ? 1 : 0, value.exponent, value.significand);

/** A finite value is ± significand × 2^scale. Denormals have the exponent of the smallest normal numbers. */
export const scaleOf = (value: Float80): number => (value.exponent || 1) - BIAS - 63;

/** Number of bits up to the highest one. */
export function bitLength(value: bigint): number {
  let rest = value;
  let length = 0;
  while (rest > FRACTION_64) {
    rest >>= 64n;
    length += 64;
  }
  const high = Number(rest >> 32n);
  return length + (high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(rest)));
}

/** The same value with the integer bit set, and its exponent (which may be below 1). Of a finite value other than zero. */
export function normalized(value: Float80): { readonly exponent: number; readonly significand: bigint } {
  const shift = 64 - bitLength(value.significand);
  return { exponent: (value.exponent || 1) - shift, significand: value.significand << BigInt(shift) };
}

/** A memory format: single, double. */
export interface Format {
  readonly precision: number;
  readonly bias: number;
  /** Biased exponent of infinities. */
  readonly maximum: number;
}
export const single: Format = { precision: 24, bias: 127, maximum: 0xff };
export const double: Format = { precision: 53, bias: 1023, maximum: 0x7ff };

/** Bits of a single or double as an 80-bit value of the same number; NaNs keep their payload and whether they signal. */
export function fromFormat(bits: bigint, format: Format): { readonly value: Float80; readonly denormal: boolean } {
  const { precision, bias, maximum } = format;
  const fractionBits = BigInt(precision - 1);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const exponent = Number(bits >> fractionBits) & maximum;
  const sign = bits >> (fractionBits + BigInt(bitLength(BigInt(maximum)))) ? 1 : 0;
  const aligned = fraction << (63n - fractionBits);
  if (exponent === maximum) return { value: float80(sign, MAXIMUM, INTEGER_BIT | aligned), denormal: false };
  if (exponent !== 0) return { value: float80(sign, exponent - bias + BIAS, INTEGER_BIT | aligned), denormal: false };
  if (fraction === 0n) return { value: zero(sign), denormal: false };
  const shift = 64 - bitLength(aligned);
  return { value: float80(sign, 1 - bias + BIAS - shift, aligned << BigInt(shift)), denormal: true };
}

/** A signed integer as an 80-bit value: always exact up to 64 bits. */
export function fromInteger(value: bigint): Float80 {
  if (value === 0n) return zero(0);
  const magnitude = value < 0n ? -value : value;
  const shift = 64 - bitLength(magnitude);
  return float80(value < 0n ? 1 : 0, BIAS + 63 - shift, magnitude << BigInt(shift));
}
