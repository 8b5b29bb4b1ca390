/**
 * Whether a result of WebAssembly's floating-point arithmetic, on normal numbers and zeros, is exact: only then the processor does not note the precision
 * exception. Asked seldom (the exception is noted once), so these are functions of their own instead of part of each instruction.
 */
import type { Builder, Value } from '../builder';
import type { ExactCheck, FloatType, ValueType } from '../vector';

export type ExactOperation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt';

/** What the two types of numbers differ in. */
export const formats = {
  f32: { type: 'i32', shape: 'i32x4', floats: 'f32x4', width: 32, fraction: 24, exponents: 0xff, least: 2 ** -126, reinterpret: 'i32.reinterpret_f32' },
  f64: { type: 'i64', shape: 'i64x2', floats: 'f64x2', width: 64, fraction: 53, exponents: 0x7ff, least: 2 ** -1022, reinterpret: 'i64.reinterpret_f64' },
} as const;

/** A number's bits without the sign, at the top: 0 for zero, from 2^fraction on for normal numbers. */
export function magnitude(b: Builder, type: FloatType, value: Value): Value {
  const { width, reinterpret } = formats[type];
  return b.let(b.op('shl', b.operate(reinterpret, value), b.constant(1, width)));
}

/** What rounding took from a sum (Knuth's TwoSum), in the given type of numbers. */
function lostBySum(b: Builder, shape: 'f32' | 'f64' | 'f32x4' | 'f64x2', x: Value, y: Value, sum: Value): Value {
  const minus = (p: Value, q: Value) => b.operate(`${shape}.sub`, p, q);
  const share = b.let(minus(sum, x));
  return b.operate(`${shape}.add`, minus(x, minus(sum, share)), minus(y, share));
}

/** Whether x · y is `product` without rounding, all three normal: the significands' trailing zeros tell how many bits it has. */
function exactProduct(b: Builder, x: Value, y: Value, product: Value): Value {
  const implicit = b.constant(2 ** 53, 64);
  const zeros = (bits: Value) => b.ctz(b.op('or', bits, implicit));
  const exponent = (bits: Value) => b.op('shr', bits, b.constant(53, 64));
  const [xBits, yBits, bits] = [x, y, product].map((v) => magnitude(b, 'f64', v));
  const carry = b.op('sub', b.op('add', exponent(bits), b.constant(1023, 64)), b.op('add', exponent(xBits), exponent(yBits)));
  // The magnitudes are shifted by one, so that each has one zero more.
  return b.op('geS', b.op('add', zeros(xBits), zeros(yBits)), b.op('add', carry, b.constant(54, 64)));
}

function exactScalar(b: Builder, operation: ExactOperation, type: FloatType, x: Value, y: Value, result: Value): Value {
  const zero = b.floatConstant(0, type);
  if (operation === 'add') return b.operate(`${type}.eq`, lostBySum(b, type, x, y, result), zero);
  if (operation === 'sub') return b.operate(`${type}.eq`, lostBySum(b, type, x, b.let(b.operate(`${type}.neg`, y)), result), zero);
  // A quotient and a root are exact if multiplying gives the operand back.
  const [p, q, product] = operation === 'mul' ? [x, y, result] : operation === 'div' ? [result, y, x] : [result, result, y];
  if (type === 'f32') {
    const wide = (v: Value) => b.operate('f64.promote_f32', v);
    return b.op('or', b.operate('f32.eq', result, zero), b.operate('f64.eq', b.operate('f64.mul', wide(p), wide(q)), wide(product)));
  }
  const back = b.operate('f64.eq', b.operate('f64.mul', p, q), product);
  return b.op('or', b.operate('f64.eq', result, zero), b.op('and', back, exactProduct(b, p, q, product)));
}

function exactPacked(b: Builder, operation: ExactOperation, type: FloatType, x: Value, y: Value, result: Value): Value {
  const { floats, shape } = formats[type];
  if (operation === 'add' || operation === 'sub') {
    const other = operation === 'add' ? y : b.let(b.operate(`${floats}.neg`, y));
    return b.operate(`${shape}.all_true`, b.operate(`${floats}.eq`, lostBySum(b, floats, x, other, result), b.vectorConstant(new Array<number>(16).fill(0))));
  }
  const extract = `${floats}.extract_lane` as const;
  const lanes = Array.from({ length: type === 'f32' ? 4 : 2 }, (_, n) => {
    const [p, q, r] = [x, y, result].map((v) => b.let(b.extractLane(extract, v, n)));
    return exactScalar(b, operation, type, p, q, r);
  });
  return lanes.reduce((one, other) => b.op('and', one, other));
}


/** By name: the type of both operands and the result, and the question. */
export const exactChecks = Object.fromEntries((['add', 'sub', 'mul', 'div', 'sqrt'] as const).flatMap((operation) => (['f32', 'f64'] as const).flatMap((type) => [
  [`${operation}.${type}`, { type, check: (b: Builder, x: Value, y: Value, result: Value) => exactScalar(b, operation, type, x, y, result) }],
  [`${operation}.${formats[type].floats}`, { type: 'v128', check: (b: Builder, x: Value, y: Value, result: Value) => exactPacked(b, operation, type, x, y, result) }],
]))) as Readonly<Record<ExactCheck, { readonly type: ValueType; check(b: Builder, x: Value, y: Value, result: Value): Value }>>;
