/**
 * Floating-point arithmetic on XMM registers (SSE, SSE2, SSE3, SSE4.1).
 *
 * WebAssembly's arithmetic rounds to nearest and tells nothing about exceptions. It gives the processor's result wherever operands and result are
 * zero or normal numbers and the result did not underflow; then only the precision exception can arise, which is of no interest when MXCSR
 * has noted one and masks it. All else (NaNs, infinities, denormals, overflow, other rounding) is for the runtime, which calculates exactly
 * (cpu/sse-float.ts) and raises #XM.
 */
import type { Builder, Requirement, Semantics, Value } from '../builder';
import type { Feature, InstructionSpec } from '../types';
import type { FloatType } from '../vector';
import { formats, magnitude, type ExactOperation } from './sse-exact';
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

type Operation = Exclude<ExactOperation, 'sqrt'>;

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

/** MXCSR: the precision exception's mask. */
const MASK = 0x1000;

/**
 * Where the requirements say that at most the precision exception can arise, and MXCSR masks it (and, unless `anyRounding`, rounds to nearest): notes
 * it if it has not been noted and `exact` says that something was lost, and writes the result. Otherwise the runtime's way.
 */
export function unlessExceptional(b: Builder, requirements: readonly Requirement[], exact: () => Value, write: () => void, runtimeWay: () => void, anyRounding = false): void {
  const modes = anyRounding ? b.op('ne', b.op('and', b.mxcsr(), b.constant(MASK)), b.constant(0)) : b.roundsToNearest();
  b.attempt([modes, ...requirements], () => {
    b.notePrecision(exact);
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

// ---- arithmetic ----

const scalarArithmetic = (mnemonic: string, operation: Operation, type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const result = b.let(b.operate(`${type}.${operation}`, x, y));
  const xBits = magnitude(b, type, x), yBits = magnitude(b, type, y), bits = magnitude(b, type, result);
  const operands = [[x, xBits], [y, yBits]].filter(([value]) => !b.knownPlain(value, type)).map(([, itsBits]) => notDenormal(b, type, itsBits));
  // A zero comes of operands that cancel, or of a zero; else it has underflowed.
  const zeros = (): Value[] => (operation === 'mul' ? [any(b, b.isZero(xBits), b.isZero(yBits))] : operation === 'div' ? [b.isZero(xBits)] : []);
  unlessExceptional(b, [[safelyNormal(b, type, bits), () => all(b, b.isZero(bits), ...zeros())], ...operands], () => b.isExact(`${operation}.${type}`, x, y, result), () => {
    // An infinite divisor comes through.
    if (operation !== 'div') b.markOperandPlain(1, type, false);
    b.writeLow(0, b.markPlain(result, type));
  }, () => runtime(b, mnemonic));
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
  const operands = [[x, ax], [y, ay]].filter(([v]) => !b.knownPlain(v, type)).map(([, absolute]) => elementsNotDenormal(b, type, absolute));
  return operands.reduce((one, other) => b.operate('v128.and', one, other), b.operate('v128.and', normal, finite));
}

const every = (b: Builder, type: FloatType, mask: Value): Value => b.operate(`${formats[type].shape}.all_true`, mask);

const packedArithmetic = (mnemonic: string, operation: Operation, type: FloatType): Semantics => (b) => {
  const x = b.readVector(0), y = b.readVector(1);
  const result = b.let(b.operate(`${formats[type].floats}.${operation}`, x, y));
  unlessExceptional(b, [every(b, type, goodElements(b, operation, type, x, y, result))], () => b.isExact(`${operation}.${formats[type].floats}`, x, y, result), () => {
    if (operation !== 'div') b.markOperandPlain(1, type, true);
    b.writeVector(0, b.markPlain(result, type));
  }, () => runtime(b, mnemonic));
};

/** HADD, HSUB: neighbours of both operands; ADDSUB: differences and sums in turn. */
const horizontal = (mnemonic: string, operation: 'add' | 'sub', type: FloatType): Semantics => (b) => {
  const bytes = formats[type].width / 8;
  const x = b.readVector(0), y = b.readVector(1);
  const first = b.let(b.shuffle(everyOther(bytes, false, false), x, y));
  const second = b.let(b.shuffle(everyOther(bytes, false, true), x, y));
  const result = b.let(b.operate(`${formats[type].floats}.${operation}`, first, second));
  unlessExceptional(b, [every(b, type, goodElements(b, operation, type, first, second, result))],
    () => b.isExact(`${operation}.${formats[type].floats}`, first, second, result), () => b.writeVector(0, b.markPlain(result, type)), () => runtime(b, mnemonic));
};

const alternating = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const { floats } = formats[type];
  const x = b.readVector(0), y = b.readVector(1);
  const signs = b.vectorConstant(type === 'f32' ? [0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
  const turned = b.let(b.operate('v128.xor', y, signs));
  const result = b.let(b.operate(`${floats}.add`, x, turned));
  unlessExceptional(b, [every(b, type, goodElements(b, 'add', type, x, turned, result))],
    () => b.isExact(`add.${floats}`, x, turned, result), () => b.writeVector(0, b.markPlain(result, type)), () => runtime(b, mnemonic));
};

const scalarRoot = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const y = b.readFloat(1, type);
  const result = b.let(b.operate(`${type}.sqrt`, y));
  const bits = magnitude(b, type, result);
  unlessExceptional(b, [notDenormal(b, type, magnitude(b, type, y)), [safelyNormal(b, type, bits), () => b.isZero(bits)]],
    () => b.isExact(`sqrt.${type}`, y, y, result), () => b.writeLow(0, b.markPlain(result, type)), () => runtime(b, mnemonic));
};

const packedRoot = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const y = b.readVector(1);
  const result = b.let(b.operate(`${formats[type].floats}.sqrt`, y));
  unlessExceptional(b, [every(b, type, goodElements(b, 'add', type, y, y, result))],
    () => b.isExact(`sqrt.${formats[type].floats}`, y, y, result), () => b.writeVector(0, b.markPlain(result, type)), () => runtime(b, mnemonic));
};

/** No NaN (whose invalid exception, and result, are for the runtime) and no denormal number: infinities may be. */
function comparable(b: Builder, type: FloatType, x: Value, y: Value): Value[] {
  const { floats } = formats[type];
  const unknown = [x, y].filter((v) => !b.knownPlain(v, type));
  if (unknown.length === 0) return [];
  return [every(b, type, unknown.map((v) => elementsNotDenormal(b, type, b.let(b.operate(`${floats}.abs`, v)))).reduce((one, other) => b.operate('v128.and', one, other)))];
}
function comparableScalars(b: Builder, type: FloatType, x: Value, y: Value): Value[] {
  const { width, fraction } = formats[type];
  const numeric = (bits: Value) => b.op('leU', bits, b.constant(type === 'f32' ? -(2 ** 24) | 0 : -(2 ** fraction), width));
  return [x, y].filter((v) => !b.knownPlain(v, type)).flatMap((v) => {
    const bits = magnitude(b, type, v);
    return [notDenormal(b, type, bits), numeric(bits)];
  });
}

/** The second operand where neither is less: also for two zeros. */
const scalarExtreme = (mnemonic: string, operation: 'min' | 'max', type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const first = operation === 'min' ? b.operate(`${type}.lt`, x, y) : b.operate(`${type}.gt`, x, y);
  const plain = b.knownPlain(x, type) && b.knownPlain(y, type);
  const result = b.select(first, x, y);
  b.attempt([b.constant(1), ...comparableScalars(b, type, x, y)], () => b.writeLow(0, plain ? b.markPlain(result, type) : result), () => runtime(b, mnemonic));
};
const packedExtreme = (mnemonic: string, operation: 'min' | 'max', type: FloatType): Semantics => (b) => {
  const x = b.readVector(0), y = b.readVector(1);
  const plain = b.knownPlain(x, type) && b.knownPlain(y, type);
  const result = b.operate(`${formats[type].floats}.p${operation}`, y, x);
  b.attempt([b.constant(1), ...comparable(b, type, x, y)], () => b.writeVector(0, plain ? b.markPlain(result, type) : result), () => runtime(b, mnemonic));
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
  b.attempt([b.constant(1), ...comparable(b, type, x, y)],
    () => b.writeVector(0, predicate(b, b.operate(`${floats}.eq`, x, y), b.operate(`${floats}.lt`, x, y), b.read(2))), () => runtime(b, mnemonic, 2));
};
const scalarCompare = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const { floats } = formats[type];
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  const wide = (v: Value) => b.operate(`${floats}.splat`, v);
  b.attempt([b.constant(1), ...comparableScalars(b, type, x, y)], () => {
    const mask = predicate(b, b.operate(`${floats}.eq`, wide(x), wide(y)), b.operate(`${floats}.lt`, wide(x), wide(y)), b.read(2));
    b.writeLow(0, b.extractLane(type === 'f32' ? 'i32x4.extract_lane' : 'i64x2.extract_lane', mask, 0));
  }, () => runtime(b, mnemonic, 2));
};

/** COMI and UCOMI differ in what a quiet NaN means, which the runtime knows. */
const compareFlags = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const x = b.readFloat(0, type), y = b.readFloat(1, type);
  b.attempt([b.constant(1), ...comparableScalars(b, type, x, y)], () => {
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
  b.attempt([condition], () => {
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

export { comparable, elementsNotDenormal, every, floatRow, floatSplat, goodElements, notDenormal, runtime, safelyNormal };
