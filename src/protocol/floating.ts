/** The x87's 80-bit numbers as text for people. */

const BIAS = 16383, MAXIMUM = 0x7fff;
/** Exponents of numbers that a double holds with all digits that are shown. */
const LARGEST = 1000;

/** `1.625`, `-0`, `infinity`, `NaN`; beyond a double's range `1.5 × 2^5000`. */
export function extendedText(bits: bigint): string {
  const sign = bits >> 79n & 1n ? '-' : '';
  const exponent = Number(bits >> 64n) & MAXIMUM;
  const significand = bits & 0xffffffffffffffffn;
  if (exponent === 0 && significand === 0n) return `${sign}0`;
  if (exponent !== 0 && significand >> 63n === 0n) return 'unsupported';
  if (exponent === MAXIMUM) return significand === 1n << 63n ? `${sign}infinity` : significand >> 62n & 1n ? 'NaN' : 'signaling NaN';
  const fraction = Number(significand) / 2 ** 63;
  const power = (exponent || 1) - BIAS;
  return Math.abs(power) > LARGEST ? `${sign}${fraction} × 2^${power}` : `${sign}${fraction * 2 ** power}`;
}
