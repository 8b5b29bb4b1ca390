/**
 * Elementary functions of fixed-point numbers, for the transcendental instructions: integers that stand for value × 2^{@link FRACTION}. The errors
 * are a few units of the last place, 2^-240 and less; a result has at least 150 good bits, wherever 80-bit operands put it.
 */

export const FRACTION = 256;
const F = BigInt(FRACTION);
export const ONE = 1n << F;

/** π × 2^254 and ln 2 × 2^320, cut off. */
const PI_254 = 0xc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22n;
const LN2_320 = 0xb17217f7d1cf79abc9e3b39803f2f6af40f343267298b62d8a0d175b8baafa2be7b876206debac98n;
export const PI = PI_254 << BigInt(FRACTION - 254);
/** The 66 bits of π by which processors reduce the arguments of trigonometric instructions (SDM Vol. 1, 8.3.8), Intel's and AMD's alike. */
export const PI_66 = (PI_254 >> 190n) << BigInt(FRACTION - 64);
export const LN2 = LN2_320 >> BigInt(320 - FRACTION);

const times = (a: bigint, b: bigint): bigint => (a * b) >> F;

/** Sine and cosine of 0 … π/4. */
export function sineCosine(x: bigint): { readonly sine: bigint; readonly cosine: bigint } {
  const square = times(x, x);
  let sine = x, cosine = ONE;
  let term = x;
  for (let n = 3n; term !== 0n; n += 2n) {
    term = -times(term, square) / ((n - 1n) * n);
    sine += term;
  }
  term = ONE;
  for (let n = 2n; term !== 0n; n += 2n) {
    term = -times(term, square) / ((n - 1n) * n);
    cosine += term;
  }
  return { sine, cosine };
}

/** e^x - 1 for |x| < 1. */
export function exponentialMinusOne(x: bigint): bigint {
  let sum = x, term = x;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    term = times(term, x) / n;
    sum += term;
  }
  return sum;
}

/** Inverse hyperbolic tangent of |z| < 1/5. */
export function inverseHyperbolicTangent(z: bigint): bigint {
  const square = times(z, z);
  let sum = z, power = z;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = times(power, square);
    sum += power / n;
  }
  return sum;
}

function arctangentSeries(z: bigint): bigint {
  const square = times(z, z);
  let sum = z, power = z;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = -times(power, square);
    sum += power / n;
  }
  return sum;
}

const STEPS = 16n;
/** atan(k / 16), made when first asked for. */
const arctangents: bigint[] = [];
function arctangentOfStep(k: number): bigint {
  // atan((k+1)/16) - atan(k/16) = atan(16 / (256 + k(k+1))).
  for (let n = arctangents.length; n <= k; n++) {
    const previous = BigInt(n - 1);
    arctangents.push(n === 0 ? 0n : arctangents[n - 1] + arctangentSeries((STEPS << F) / (STEPS * STEPS + previous * (previous + 1n))));
  }
  return arctangents[k];
}

/** Arctangent of 0 … 1. */
export function arctangentOf(t: bigint): bigint {
  const k = (t * STEPS + (ONE >> 1n)) >> F;
  const step = (k << F) / STEPS;
  return arctangentOfStep(Number(k)) + arctangentSeries(((t - step) << F) / (ONE + times(t, step)));
}
