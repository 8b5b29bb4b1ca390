/** Floating-point constants of dd, dq and dt in memory format (IEEE 754 and the x87's extended), correctly rounded, little endian. */
import { Problem, type Span } from './diagnostics';

interface Format {
  /** Bits of the significand, the leading one included. */
  readonly precision: number;
  readonly exponentBits: number;
  /** The leading one is written out. */
  readonly explicitOne: boolean;
}

const formats: Readonly<Record<number, Format>> = {
  4: { precision: 24, exponentBits: 8, explicitOne: false },
  8: { precision: 53, exponentBits: 11, explicitOne: false },
  10: { precision: 64, exponentBits: 15, explicitOne: true },
};
/** Beyond the extended format's range in both directions; keeps a huge exponent from costing time. */
const largestExponent = 5100;
const longestConstant = 5000;

export function floatBytes(text: string, unit: number, span: Span): number[] {
  const format = formats[unit];
  if (!format) throw new Problem('a floating-point constant needs dd, dq or dt', span);
  const [, sign, whole, fraction = '', exponentText = '0'] = /^([-+]?)([0-9]+)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$/.exec(text.replace(/_/g, '')) ?? [];
  if (whole === undefined || text.length > longestConstant) throw new Problem('not a floating-point constant', span);
  const exponent = Math.max(-2 * largestExponent, Math.min(2 * largestExponent, Number(exponentText))) - fraction.length;
  let numerator = BigInt(whole + fraction);
  let denominator = 1n;
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent);
  else denominator = 10n ** BigInt(-exponent);
  let bits = encode(numerator, denominator, format);
  if (sign === '-') bits |= 1n << BigInt(unit * 8 - 1);
  return Array.from({ length: unit }, (_, i) => Number((bits >> BigInt(i * 8)) & 0xffn));
}

/** numerator / denominator, rounded to nearest, ties to even. */
function encode(numerator: bigint, denominator: bigint, { precision, exponentBits, explicitOne }: Format): bigint {
  const stored = precision - (explicitOne ? 0 : 1);
  const bias = (1 << (exponentBits - 1)) - 1;
  const infinity = (BigInt((1 << exponentBits) - 1) << BigInt(stored)) | (explicitOne ? 1n << BigInt(precision - 1) : 0n);
  if (numerator === 0n) return 0n;
  const length = (value: bigint) => value.toString(2).length;
  // Exponent of the leading one; the estimate from the lengths is right or one too large.
  let exponent = length(numerator) - length(denominator);
  if (exponent >= 0 ? numerator < denominator << BigInt(exponent) : numerator << BigInt(-exponent) < denominator) exponent -= 1;
  const smallest = 1 - bias;
  // Shift so that the quotient has `precision` bits, fewer for a denormal.
  const shift = precision - 1 - Math.max(exponent, smallest);
  const [top, bottom] = shift >= 0 ? [numerator << BigInt(shift), denominator] : [numerator, denominator << BigInt(-shift)];
  let significand = top / bottom;
  const rest = (top % bottom) * 2n;
  if (rest > bottom || (rest === bottom && (significand & 1n) === 1n)) significand += 1n;
  let field = Math.max(exponent, smallest) + bias;
  if (significand >> BigInt(precision)) {
    significand >>= 1n;
    field += 1;
  }
  if (!(significand >> BigInt(precision - 1))) field = 0;
  if (field >= (1 << exponentBits) - 1) return infinity;
  const mask = explicitOne ? significand : significand & ((1n << BigInt(stored)) - 1n);
  return (BigInt(field) << BigInt(stored)) | mask;
}
