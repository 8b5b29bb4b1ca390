/**
 * Floating-point arithmetic on XMM registers (SSE, SSE2, SSE3, SSE4.1).
 *
 * WebAssembly's arithmetic rounds to nearest and tells nothing about exceptions. It gives the processor's result wherever operands and result are
 * zero or normal numbers and the result did not underflow; then only the precision exception can arise, which is of no interest when MXCSR
 * has noted one and masks it. All else (NaNs, infinities, denormals, overflow, other rounding) is for the runtime, which calculates exactly
 * (cpu/sse-float.ts) and raises #XM.
 */
import type { Builder, Semantics, Value } from '../builder';
import type { Feature, InstructionSpec } from '../types';
import type { FloatType } from '../vector';
import { combine, everyOther, xmmRow } from './vector-support';

/** The operations that {@link runtime} may ask for: mnemonics. */
export const runtimeOperations: readonly string[] = [
  ...['add', 'sub', 'mul', 'div', 'min', 'max', 'sqrt', 'cmp'].flatMap((name) => ['ps', 'pd', 'ss', 'sd'].map((suffix) => name + suffix)),
  'comiss', 'comisd', 'ucomiss', 'ucomisd', 'rcpps', 'rcpss', 'rsqrtps', 'rsqrtss', 'haddps', 'haddpd', 'hsubps', 'hsubpd', 'addsubps', 'addsubpd',
  'dpps', 'dppd', 'roundps', 'roundpd', 'roundss', 'roundsd',
  'cvtsi2ss', 'cvtsi2sd', 'cvtss2si', 'cvtsd2si', 'cvttss2si', 'cvttsd2si', 'cvtss2sd', 'cvtsd2ss', 'cvtps2pd', 'cvtpd2ps', 'cvtdq2ps', 'cvtps2dq', 'cvttps2dq',
  'cvtpd2dq', 'cvttpd2dq', 'cvtpi2ps', 'cvtps2pi', 'cvttps2pi', 'cvtpd2pi', 'cvttpd2pi',
];
/** Bit of the operation's number: a general register takes part with 64 bits. */
export const WIDE_GENERAL = 0x10000;

const simdException = ['#XM for an unmasked floating-point exception, #UD then if CR4.OSXMMEXCPT = 0'] as const;

/** The exact way: the runtime reads and writes the registers in the state page. `immediate` is the operand that controls the operation. */
function runtime(b: Builder, mnemonic: string, immediate?: number): void {
  const number = runtimeOperations.indexOf(mnemonic);
  if (number < 0) throw new Error(`instruction table: ${mnemonic} is not among the runtime's operations`);
  const wide = mnemonic.startsWith('cvt') && (b.operandWidth(0) === 64 && mnemonic.endsWith('si') || b.operandWidth(1) === 64 && mnemonic.includes('si2'));
  const operation = b.constant(number | (wide ? WIDE_GENERAL : 0));
  const selected = immediate === undefined ? operation : b.op('or', operation, b.op('shl', b.read(immediate), b.constant(8)));
  b.callout('sseFloat', selected, b.vectorAddress(0), b.vectorAddress(1));
}

// ---- what WebAssembly's result is good for ----

const formats = {
  f32: { type: 'i32', shape: 'i32x4', floats: 'f32x4', width: 32, fraction: 24, exponents: 0xff, least: 2 ** -126, reinterpret: 'i32.reinterpret_f32' },
  f64: { type: 'i64', shape: 'i64x2', floats: 'f64x2', width: 64, fraction: 53, exponents: 0x7ff, least: 2 ** -1022, reinterpret: 'i64.reinterpret_f64' },
} as const;

/** A number's bits without the sign, at the top: 0 for zero, from 2^fraction on for normal numbers. */
function magnitude(b: Builder, type: FloatType, value: Value): Value {
  const { width, reinterpret } = formats[type];
  return b.let(b.op('shl', b.operate(reinterpret, value), b.constant(1, width)));
}

/** Zero, normal, infinite or NaN, from the {@link magnitude}. */
function notDenormal(b: Builder, type: FloatType, bits: Value): Value {
  const { width, fraction } = formats[type];
  return b.op('geU', b.op('sub', bits, b.constant(1, width)), b.constant(2 ** fraction - 1, width));
}

/** Normal and not the least normal number, which may come of an underflow. */
function safelyNormal(b: Builder, type: FloatType, bits: Value): Value {
  const { width, fraction, exponents } = formats[type];
  // As a signed constant: 2^width less.
  const range = -3 * 2 ** fraction;
  return b.op('ltU', b.op('sub', bits, b.constant(2 ** (fraction + 1), width)), b.constant(exponents > 0xff ? range : range | 0, width));
}

/** MXCSR's fields: rounding to nearest, and the precision exception masked; its flag. */
const ROUNDING_AND_MASK = 0x7000, NEAREST_AND_MASKED = 0x1000, MASK = 0x1000, PRECISION = 0x20;

/**
 * Where `condition` says that at most the precision exception can arise, and MXCSR masks it (and, unless `anyRounding`, rounds to nearest): notes
 * it if it has not been noted and `exact` says that something was lost, and writes the result. Otherwise the runtime's way.
 */
export function unlessExceptional(b: Builder, condition: Value, exact: () => Value, write: () => void, runtimeWay: () => void, anyRounding = false): void {
  const mxcsr = b.mxcsr();
  const modes = anyRounding ? b.op('and', mxcsr, b.constant(MASK)) : b.op('eq', b.op('and', mxcsr, b.constant(ROUNDING_AND_MASK)), b.constant(NEAREST_AND_MASKED));
  b.if(b.op('and', anyRounding ? b.op('ne', modes, b.constant(0)) : modes, condition), () => {
    b.if(b.isZero(b.op('and', mxcsr, b.constant(PRECISION))), () => {
      b.if(b.isZero(exact()), () => b.setMxcsr(b.op('or', mxcsr, b.constant(PRECISION))));
    });
    write();
  }, runtimeWay);
}

const all = (b: Builder, first: Value, ...others: readonly Value[]): Value => others.reduce((x, y) => b.op('and', x, y), first);
const any = (b: Builder, first: Value, ...others: readonly Value[]): Value => others.reduce((x, y) => b.op('or', x, y), first);

/** Per element: normal or zero. NaNs and infinities are not excluded. */
function elementsNotDenormal(b: Builder, type: FloatType, absolute: Value): Value {
  const { floats, least } = formats[type];
  return b.operate('v128.or', b.operate(`${floats}.ge`, absolute, floatSplat(b, type, least)), b.operate(`${floats}.eq`, absolute, floatSplat(b, type, 0)));
}

function floatSplat(b: Builder, type: FloatType, value: number): Value {
  const bytes = new Uint8Array((type === 'f32' ? new Float32Array(4) : new Float64Array(2)).fill(value).buffer);
  return b.vectorConstant([...bytes]);
}

const LARGEST = { f32: 3.4028234663852886e38, f64: Number.MAX_VALUE } as const;

// ---- whether a result is exact ----

type Operation = 'add' | 'sub' | 'mul' | 'div';

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

function exactScalar(b: Builder, operation: Operation | 'sqrt', type: FloatType, x: Value, y: Value, result: Value): Value {
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

function exactPacked(b: Builder, operation: Operation | 'sqrt', type: FloatType, x: Value, y: Value, result: Value): Value {
  const { floats } = formats[type];
  if (operation === 'add' || operation === 'sub') {
    const other = operation === 'add' ? y : b.let(b.operate(`${floats}.neg`, y));
    return every(b, type, b.operate(`${floats}.eq`, lostBySum(b, floats, x, other, result), floatSplat(b, type, 0)));
  }
  const extract = `${floats}.extract_lane` as const;
  const lanes = Array.from({ length: type === 'f32' ? 4 : 2 }, (_, n) => {
    const [p, q, r] = [x, y, result].map((v) => b.let(b.extractLane(extract, v, n)));
    return exactScalar(b, operation, type, p, q, r);
  });
  return lanes.reduce((one, other) => b.op('and', one, other));
}

// ---- arithmetic ----

const scalarArithmetic = (mnemonic: string, operation: Operation, type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const result = b.let(b.operate(`${type}.${operation}`, x, y));
  const xBits = magnitude(b, type, x), yBits = magnitude(b, type, y), bits = magnitude(b, type, result);
  // A zero comes of operands that cancel, or of a zero; else it has underflowed.
  const zeros = operation === 'mul' ? [any(b, b.isZero(xBits), b.isZero(yBits))] : operation === 'div' ? [b.isZero(xBits)] : [];
  const good = any(b, safelyNormal(b, type, bits), all(b, b.isZero(bits), ...zeros));
  unlessExceptional(b, all(b, notDenormal(b, type, xBits), notDenormal(b, type, yBits), good),
    () => exactScalar(b, operation, type, x, y, result), () => b.writeLow(0, result), () => runtime(b, mnemonic));
};

/** The elements of a result that are what the processor has, as a mask. */
function goodElements(b: Builder, operation: Operation, type: FloatType, x: Value, y: Value, result: Value): Value {
  const { floats, least } = formats[type];
  const absolute = (v: Value) => b.let(b.operate(`${floats}.abs`, v));
  const ax = absolute(x), ay = absolute(y), ar = absolute(result);
  const isZero = (v: Value) => b.operate(`${floats}.eq`, v, floatSplat(b, type, 0));
  const zeros = operation === 'mul' ? b.operate('v128.or', isZero(ax), isZero(ay)) : operation === 'div' ? isZero(ax) : undefined;
  const zero = zeros ? b.operate('v128.and', isZero(ar), zeros) : isZero(ar);
  const normal = b.operate('v128.or', b.operate(`${floats}.ge`, ar, floatSplat(b, type, 2 * least)), zero);
  const finite = b.operate(`${floats}.le`, ar, floatSplat(b, type, LARGEST[type]));
  const operands = b.operate('v128.and', elementsNotDenormal(b, type, ax), elementsNotDenormal(b, type, ay));
  return b.operate('v128.and', b.operate('v128.and', normal, finite), operands);
}

const every = (b: Builder, type: FloatType, mask: Value): Value => b.operate(`${formats[type].shape}.all_true`, mask);

const packedArithmetic = (mnemonic: string, operation: Operation, type: FloatType): Semantics => (b) => {
  const x = b.readVector(0), y = b.readVector(1);
  const result = b.let(b.operate(`${formats[type].floats}.${operation}`, x, y));
  unlessExceptional(b, every(b, type, goodElements(b, operation, type, x, y, result)),
    () => exactPacked(b, operation, type, x, y, result), () => b.writeVector(0, result), () => runtime(b, mnemonic));
};

/** HADD, HSUB: neighbours of both operands; ADDSUB: differences and sums in turn. */
const horizontal = (mnemonic: string, operation: 'add' | 'sub', type: FloatType): Semantics => (b) => {
  const bytes = formats[type].width / 8;
  const x = b.readVector(0), y = b.readVector(1);
  const first = b.let(b.shuffle(everyOther(bytes, false, false), x, y));
  const second = b.let(b.shuffle(everyOther(bytes, false, true), x, y));
  const result = b.let(b.operate(`${formats[type].floats}.${operation}`, first, second));
  unlessExceptional(b, every(b, type, goodElements(b, operation, type, first, second, result)),
    () => exactPacked(b, operation, type, first, second, result), () => b.writeVector(0, result), () => runtime(b, mnemonic));
};

const alternating = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const { floats } = formats[type];
  const x = b.readVector(0), y = b.readVector(1);
  const signs = b.vectorConstant(type === 'f32' ? [0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
  const turned = b.let(b.operate('v128.xor', y, signs));
  const result = b.let(b.operate(`${floats}.add`, x, turned));
  unlessExceptional(b, every(b, type, goodElements(b, 'add', type, x, turned, result)),
    () => exactPacked(b, 'add', type, x, turned, result), () => b.writeVector(0, result), () => runtime(b, mnemonic));
};

const scalarRoot = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const y = b.readFloat(1, type);
  const result = b.let(b.operate(`${type}.sqrt`, y));
  const bits = magnitude(b, type, result);
  unlessExceptional(b, all(b, notDenormal(b, type, magnitude(b, type, y)), any(b, safelyNormal(b, type, bits), b.isZero(bits))),
    () => exactScalar(b, 'sqrt', type, y, y, result), () => b.writeLow(0, result), () => runtime(b, mnemonic));
};

const packedRoot = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const y = b.readVector(1);
  const result = b.let(b.operate(`${formats[type].floats}.sqrt`, y));
  unlessExceptional(b, every(b, type, goodElements(b, 'add', type, y, y, result)),
    () => exactPacked(b, 'sqrt', type, y, y, result), () => b.writeVector(0, result), () => runtime(b, mnemonic));
};

/** No NaN (whose invalid exception, and result, are for the runtime) and no denormal number: infinities may be. */
function comparable(b: Builder, type: FloatType, x: Value, y: Value): Value {
  const { floats } = formats[type];
  const plain = (v: Value) => elementsNotDenormal(b, type, b.let(b.operate(`${floats}.abs`, v)));
  return every(b, type, b.operate('v128.and', plain(x), plain(y)));
}
function comparableScalars(b: Builder, type: FloatType, x: Value, y: Value): Value {
  const { width, fraction } = formats[type];
  const numeric = (bits: Value) => b.op('leU', bits, b.constant(type === 'f32' ? -(2 ** 24) | 0 : -(2 ** fraction), width));
  const xBits = magnitude(b, type, x), yBits = magnitude(b, type, y);
  return all(b, notDenormal(b, type, xBits), notDenormal(b, type, yBits), numeric(xBits), numeric(yBits));
}

/** The second operand where neither is less: also for two zeros. */
const scalarExtreme = (mnemonic: string, operation: 'min' | 'max', type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const first = operation === 'min' ? b.operate(`${type}.lt`, x, y) : b.operate(`${type}.gt`, x, y);
  b.if(comparableScalars(b, type, x, y), () => b.writeLow(0, b.select(first, x, y)), () => runtime(b, mnemonic));
};
const packedExtreme = (mnemonic: string, operation: 'min' | 'max', type: FloatType): Semantics => (b) => {
  const x = b.readVector(0), y = b.readVector(1);
  b.if(comparable(b, type, x, y), () => b.writeVector(0, b.operate(`${formats[type].floats}.p${operation}`, y, x)), () => runtime(b, mnemonic));
};

/** Predicates without NaNs: equal, less, less or equal, never; with bit 2 the opposite. */
function predicate(b: Builder, equal: Value, less: Value, control: Value): Value {
  const kind = b.let(b.op('and', control, b.constant(3)));
  const mask = (when: Value) => b.operate('i32x4.splat', b.op('sub', b.constant(0), when));
  const wantsEqual = mask(b.isZero(b.op('and', kind, b.constant(1))));
  const wantsLess = mask(b.op('ltU', b.op('sub', kind, b.constant(1)), b.constant(2)));
  const opposite = mask(b.op('and', b.op('shr', control, b.constant(2)), b.constant(1)));
  return b.operate('v128.xor', b.operate('v128.or', b.operate('v128.and', equal, wantsEqual), b.operate('v128.and', less, wantsLess)), opposite);
}

const packedCompare = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const { floats } = formats[type];
  const x = b.readVector(0), y = b.readVector(1);
  b.if(comparable(b, type, x, y),
    () => b.writeVector(0, predicate(b, b.operate(`${floats}.eq`, x, y), b.operate(`${floats}.lt`, x, y), b.read(2))), () => runtime(b, mnemonic, 2));
};
const scalarCompare = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const { floats } = formats[type];
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const wide = (v: Value) => b.operate(`${floats}.splat`, v);
  b.if(comparableScalars(b, type, x, y), () => {
    const mask = predicate(b, b.operate(`${floats}.eq`, wide(x), wide(y)), b.operate(`${floats}.lt`, wide(x), wide(y)), b.read(2));
    b.writeLow(0, b.extractLane(type === 'f32' ? 'i32x4.extract_lane' : 'i64x2.extract_lane', mask, 0));
  }, () => runtime(b, mnemonic, 2));
};

/** COMI and UCOMI differ in what a quiet NaN means, which the runtime knows. */
const compareFlags = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  b.if(comparableScalars(b, type, x, y), () => {
    const equal = b.operate(`${type}.eq`, x, y);
    b.setArithmeticFlags(b.let(b.op('or', b.op('shl', equal, b.constant(6)), b.operate(`${type}.lt`, x, y))));
  }, () => runtime(b, mnemonic));
};

/** Approximations are allowed a relative error of 1.5 · 2^-12, and every processor has its own; these are as exact as singles are. */
const approximation = (mnemonic: string, root: boolean, packed: boolean): Semantics => (b) => {
  const y = b.readVector(1);
  const divisor = root ? b.operate('f32x4.sqrt', y) : y;
  const result = b.let(b.operate('f32x4.div', floatSplat(b, 'f32', 1), divisor));
  const good = goodElements(b, 'add', 'f32', y, y, result);
  const condition = packed ? every(b, 'f32', good) : b.extractLane('i32x4.extract_lane', good, 0);
  b.if(condition, () => {
    if (packed) b.writeVector(0, result);
    else b.writeLow(0, b.extractLane('f32x4.extract_lane', result, 0));
  }, () => runtime(b, mnemonic));
};

// ---- rows ----

const families = [
  { suffix: 'ps', prefix: '', attribute: ' ; np', type: 'f32', packed: true, code: 'Wx', what: 'packed singles', feature: 'sse' },
  { suffix: 'pd', prefix: '66 ', attribute: '', type: 'f64', packed: true, code: 'Wx', what: 'packed doubles', feature: 'sse2' },
  { suffix: 'ss', prefix: 'F3 ', attribute: '', type: 'f32', packed: false, code: 'Wd', what: 'scalar single', feature: 'sse' },
  { suffix: 'sd', prefix: 'F2 ', attribute: '', type: 'f64', packed: false, code: 'Wq', what: 'scalar double', feature: 'sse2' },
] as const;
type Family = (typeof families)[number];

const floatRow = (mnemonic: string, title: string, feature: Feature, encoding: string, semantics: Semantics, more: Parameters<typeof xmmRow>[5] = {}): InstructionSpec =>
  xmmRow(mnemonic, title, feature, [encoding], semantics, { exceptions: simdException, ...more });

function family(name: string, title: string, opcode: string, semantics: (mnemonic: string, f: Family) => Semantics, operands = '', more: Parameters<typeof xmmRow>[5] = {}): InstructionSpec[] {
  return families.map((f) => floatRow(name + f.suffix, `${title} ${f.what}`, f.feature,
    `${f.prefix}0F ${opcode} /r : Vx ${f.code}${operands}${f.attribute}`, semantics(name + f.suffix, f), more));
}

const bitwise = (name: string, title: string, opcode: string, operation: Parameters<typeof combine>[0]): InstructionSpec[] =>
  families.filter((f) => f.packed).map((f) => xmmRow(name + f.suffix, `${title} of ${f.what}`, f.feature, [`${f.prefix}0F ${opcode} /r : Vx Wx${f.attribute}`], combine(operation)));

const flagEffects = { access: ['r', 'r'], flags: { writes: 'ZPC', clears: 'OSA' } } as const;

export const sseFloatRows: readonly InstructionSpec[] = [
  ...([['add', 'Add', '58'], ['mul', 'Multiply', '59'], ['sub', 'Subtract', '5C'], ['div', 'Divide', '5E']] as const).flatMap(([name, title, opcode]) =>
    family(name, title, opcode, (mnemonic, f) => (f.packed ? packedArithmetic : scalarArithmetic)(mnemonic, name, f.type))),
  ...([['min', 'Minimum of', '5D'], ['max', 'Maximum of', '5F']] as const).flatMap(([name, title, opcode]) =>
    family(name, title, opcode, (mnemonic, f) => (f.packed ? packedExtreme : scalarExtreme)(mnemonic, name, f.type))),
  ...family('sqrt', 'Square root of', '51', (mnemonic, f) => (f.packed ? packedRoot : scalarRoot)(mnemonic, f.type)),
  ...family('cmp', 'Compare', 'C2', (mnemonic, f) => (f.packed ? packedCompare : scalarCompare)(mnemonic, f.type), ' Ib'),
  ...bitwise('and', 'Bitwise AND', '54', (b, x, y) => b.operate('v128.and', x, y)),
  ...bitwise('andn', 'Bitwise AND with the complement of the first operand', '55', (b, x, y) => b.operate('v128.andnot', y, x)),
  ...bitwise('or', 'Bitwise OR', '56', (b, x, y) => b.operate('v128.or', x, y)),
  ...bitwise('xor', 'Bitwise exclusive OR', '57', (b, x, y) => b.operate('v128.xor', x, y)),
  floatRow('ucomiss', 'Compare singles, set flags; quiet', 'sse', '0F 2E /r : Vx Wd ; np', compareFlags('ucomiss', 'f32'), flagEffects),
  floatRow('ucomisd', 'Compare doubles, set flags; quiet', 'sse2', '66 0F 2E /r : Vx Wq', compareFlags('ucomisd', 'f64'), flagEffects),
  floatRow('comiss', 'Compare singles, set flags', 'sse', '0F 2F /r : Vx Wd ; np', compareFlags('comiss', 'f32'), flagEffects),
  floatRow('comisd', 'Compare doubles, set flags', 'sse2', '66 0F 2F /r : Vx Wq', compareFlags('comisd', 'f64'), flagEffects),
  xmmRow('rcpps', 'Approximate reciprocals of packed singles', 'sse', ['0F 53 /r : Vx Wx ; np'], approximation('rcpps', false, true), { access: ['w', 'r'] }),
  xmmRow('rcpss', 'Approximate reciprocal of a single', 'sse', ['F3 0F 53 /r : Vx Wd'], approximation('rcpss', false, false)),
  xmmRow('rsqrtps', 'Approximate reciprocal square roots of packed singles', 'sse', ['0F 52 /r : Vx Wx ; np'], approximation('rsqrtps', true, true), { access: ['w', 'r'] }),
  xmmRow('rsqrtss', 'Approximate reciprocal square root of a single', 'sse', ['F3 0F 52 /r : Vx Wd'], approximation('rsqrtss', true, false)),
  floatRow('haddpd', 'Add neighbouring doubles', 'sse3', '66 0F 7C /r : Vx Wx', horizontal('haddpd', 'add', 'f64')),
  floatRow('haddps', 'Add neighbouring singles', 'sse3', 'F2 0F 7C /r : Vx Wx', horizontal('haddps', 'add', 'f32')),
  floatRow('hsubpd', 'Subtract neighbouring doubles', 'sse3', '66 0F 7D /r : Vx Wx', horizontal('hsubpd', 'sub', 'f64')),
  floatRow('hsubps', 'Subtract neighbouring singles', 'sse3', 'F2 0F 7D /r : Vx Wx', horizontal('hsubps', 'sub', 'f32')),
  floatRow('addsubpd', 'Subtract and add doubles in turn', 'sse3', '66 0F D0 /r : Vx Wx', alternating('addsubpd', 'f64')),
  floatRow('addsubps', 'Subtract and add singles in turn', 'sse3', 'F2 0F D0 /r : Vx Wx', alternating('addsubps', 'f32')),
  floatRow('dpps', 'Dot product of singles', 'sse41', '66 0F 3A 40 /r : Vx Wx Ib', (b) => runtime(b, 'dpps', 2)),
  floatRow('dppd', 'Dot product of doubles', 'sse41', '66 0F 3A 41 /r : Vx Wx Ib', (b) => runtime(b, 'dppd', 2)),
  {
    mnemonic: 'ldmxcsr', title: 'Load MXCSR', feature: 'sse', encodings: ['0F AE /2 : Md ; np'], access: ['r'], exceptions: ['#GP(0) if a reserved bit is set'],
    semantics: (b) => {
      b.requireUnit('sse');
      const value = b.read(0);
      b.raiseIf(b.op('shr', value, b.constant(16)), 13);
      b.setMxcsr(value);
    },
  },
  {
    mnemonic: 'stmxcsr', title: 'Store MXCSR', feature: 'sse', encodings: ['0F AE /3 : Md ; np'], access: ['w'],
    semantics: (b) => {
      b.requireUnit('sse');
      b.write(0, b.mxcsr());
    },
  },
];

export { comparable, elementsNotDenormal, every, floatRow, floatSplat, formats, goodElements, magnitude, notDenormal, runtime, safelyNormal };
