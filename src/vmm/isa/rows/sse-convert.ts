/** Conversions between integers and floating-point numbers of either precision, and rounding to integers (SSE, SSE2, SSE4.1). */
import type { Builder, Semantics, Value } from '../builder';
import type { InstructionSpec } from '../types';
import type { FloatType } from '../vector';
import { elementsNotDenormal, every, floatRow, floatSplat, goodElements, notDenormal, runtime, safelyNormal, unlessExceptional } from './sse-float';
import { formats, magnitude } from './sse-exact';
import { elements, mmxRow, xmmRow } from './vector-support';

const copies = { access: ['w', 'r'] } as const;

const and = (b: Builder, x: Value, y: Value): Value => b.op('and', x, y);

/** Back again it is the same; the one number too large to go back has been rounded up to it. */
function exactInteger(b: Builder, type: FloatType, source: Value, result: Value): Value {
  if (source.type === 'i32') return b.operate('f64.eq', b.operate('f64.convert_i32_s', source), b.operate('f64.promote_f32', result));
  const back = b.op('eq', b.operate(`i64.trunc_sat_${type}_s`, result), source);
  return b.op('and', back, b.operate(`${type}.lt`, result, b.floatConstant(2 ** 63, type)));
}

/** Doubles hold every doubleword; quadwords, and singles, may have to be rounded. */
const fromInteger = (mnemonic: string, type: FloatType): Semantics => (b) => {
  const source = b.read(1);
  const result = b.let(b.operate(`${type}.convert_${source.type as 'i32' | 'i64'}_s`, source));
  const write = () => b.writeLow(0, b.markPlain(result, type));
  if (type === 'f64' && source.type === 'i32') write();
  else unlessExceptional(b, [], () => exactInteger(b, type, source, result), write, () => runtime(b, mnemonic));
};

/** Out of range and NaN raise the invalid exception. `truncate`: whatever MXCSR says. */
const toInteger = (mnemonic: string, type: FloatType, truncate: boolean): Semantics => (b) => {
  const y = b.readFloat(1, type);
  const wide = b.operandWidth(0) === 64;
  const limit = b.floatConstant(wide ? 2 ** 63 : 2 ** 31, type);
  const inside = b.operate(`${type}.lt`, b.operate(`${type}.abs`, y), limit);
  const rounded = b.let(truncate ? y : b.operate(`${type}.nearest`, y));
  // To nearest, 2^31 - 0.5 as a double comes outside.
  // A denormal number is zero with DAZ.
  const fits = truncate ? inside : and(b, inside, b.operate(`${type}.lt`, rounded, limit));
  const stays = b.knownPlain(y, type) ? [fits] : [fits, notDenormal(b, type, magnitude(b, type, y))];
  unlessExceptional(b, stays, () => b.operate(`${type}.eq`, truncate ? b.operate(`${type}.trunc`, y) : rounded, y),
    () => b.write(0, b.let(b.operate(`${wide ? 'i64' : 'i32'}.trunc_sat_${type}_s`, rounded))), () => runtime(b, mnemonic), truncate);
};

/** Doublewords from singles: all inside the range of integers. */
const packedToInteger = (mnemonic: string, truncate: boolean): Semantics => (b) => {
  const y = b.readVector(1);
  const rounded = b.let(truncate ? y : b.operate('f32x4.nearest', y));
  const inside = b.operate('v128.and', b.operate('f32x4.lt', b.operate('f32x4.abs', rounded), floatSplat(b, 'f32', 2 ** 31)), elementsNotDenormal(b, 'f32', b.let(b.operate('f32x4.abs', y))));
  unlessExceptional(b, [every(b, 'f32', inside)], () => every(b, 'f32', b.operate('f32x4.eq', truncate ? b.operate('f32x4.trunc', y) : rounded, y)),
    () => b.writeVector(0, b.operate('i32x4.trunc_sat_f32x4_s', rounded)), () => runtime(b, mnemonic), truncate);
};
const doublesToInteger = (mnemonic: string, truncate: boolean): Semantics => (b) => {
  const y = b.readVector(1);
  const rounded = b.let(truncate ? y : b.operate('f64x2.nearest', y));
  const inside = b.operate('v128.and', b.operate('f64x2.lt', b.operate('f64x2.abs', rounded), floatSplat(b, 'f64', 2 ** 31)), elementsNotDenormal(b, 'f64', b.let(b.operate('f64x2.abs', y))));
  unlessExceptional(b, [every(b, 'f64', inside)], () => every(b, 'f64', b.operate('f64x2.eq', truncate ? b.operate('f64x2.trunc', y) : rounded, y)),
    () => b.writeVector(0, b.operate('i32x4.trunc_sat_f64x2_s_zero', rounded)), () => runtime(b, mnemonic), truncate);
};

const doublewordsToSingles: Semantics = (b) => {
  const y = b.readVector(1);
  const result = b.let(b.operate('f32x4.convert_i32x4_s', y));
  const same = (from: Value, to: Value) => b.operate('f64x2.eq', b.operate('f64x2.convert_low_i32x4_s', from), b.operate('f64x2.promote_low_f32x4', to));
  const high = (v: Value) => b.shuffle(elements(8, 1, 1), v, v);
  unlessExceptional(b, [], () => every(b, 'f64', b.operate('v128.and', same(y, result), same(high(y), high(result)))),
    () => b.writeVector(0, result), () => runtime(b, 'cvtdq2ps'));
};

const toDouble: Semantics = (b) => {
  const y = b.readFloat(1, 'f32');
  const bits = magnitude(b, 'f32', y);
  // Infinities come over as they are; NaNs become quiet, and denormal numbers raise their exception.
  const result = b.operate('f64.promote_f32', y);
  if (b.knownPlain(y, 'f32')) b.writeLow(0, b.markPlain(result, 'f64'));
  else b.attempt([notDenormal(b, 'f32', bits), b.op('leU', bits, b.constant(-(2 ** 24) | 0))], () => b.writeLow(0, result), () => runtime(b, 'cvtss2sd'));
};
const toSingle: Semantics = (b) => {
  const y = b.readFloat(1, 'f64');
  const result = b.let(b.operate('f32.demote_f64', y));
  const bits = magnitude(b, 'f32', result);
  const exact = b.isZero(magnitude(b, 'f64', y));
  unlessExceptional(b, [[safelyNormal(b, 'f32', bits), () => exact]], () => b.operate('f64.eq', b.operate('f64.promote_f32', result), y),
    () => b.writeLow(0, b.markPlain(result, 'f32')), () => runtime(b, 'cvtsd2ss'));
};
const toDoubles: Semantics = (b) => {
  const y = b.readVector(1);
  // Only the low two count.
  const low = b.let(b.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7], y, y));
  b.attempt([every(b, 'f32', goodElements(b, 'add', 'f32', low, low, low))],
    () => b.writeVector(0, b.operate('f64x2.promote_low_f32x4', y)), () => runtime(b, 'cvtps2pd'));
};
const toSingles: Semantics = (b) => {
  const y = b.readVector(1);
  const result = b.let(b.operate('f32x4.demote_f64x2_zero', y));
  const { least } = formats.f32;
  const absolute = b.let(b.operate('f32x4.abs', result));
  const normal = b.operate('v128.and', b.operate('f32x4.ge', absolute, floatSplat(b, 'f32', 2 * least)), b.operate('f32x4.lt', absolute, floatSplat(b, 'f32', Infinity)));
  // Zeros may have been anything small, but for those that fill the upper half.
  const low = b.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7], normal, normal);
  unlessExceptional(b, [every(b, 'f32', low)], () => every(b, 'f64', b.operate('f64x2.eq', b.operate('f64x2.promote_low_f32x4', result), y)),
    () => b.writeVector(0, result), () => runtime(b, 'cvtpd2ps'));
};

/** By the immediate: its own mode, or MXCSR's (bit 2); bit 3 keeps the precision exception from being noted. The runtime has MXCSR's modes. */
const roundPacked = (mnemonic: string, type: FloatType, packed: boolean): Semantics => (b) => {
  const { floats } = formats[type];
  const control = b.read(2);
  const y = packed ? b.readVector(1) : b.operate(`${floats}.splat`, b.readFloat(1, type));
  const value = b.let(y);
  const rounded = (mode: 'nearest' | 'floor' | 'ceil' | 'trunc') => b.operate(`${floats}.${mode}`, value);
  const bit = (n: number) => b.op('and', b.op('shr', control, b.constant(n)), b.constant(1));
  const result = b.let(b.select(bit(1), b.select(bit(0), rounded('trunc'), rounded('ceil')), b.select(bit(0), rounded('floor'), rounded('nearest'))));
  const own = b.isZero(b.op('and', control, b.constant(4)));
  // What is small may be denormal, which matters with DAZ.
  const plain = goodElements(b, 'add', type, value, value, value);
  unlessExceptional(b, [own, every(b, type, plain)], () => b.op('or', bit(3), every(b, type, b.operate(`${floats}.eq`, result, value))), () => {
    if (packed) b.writeVector(0, result);
    else b.writeLow(0, b.extractLane(`${floats}.extract_lane`, result, 0));
  }, () => runtime(b, mnemonic, 2), true);
};

export const sseConvertRows: readonly InstructionSpec[] = [
  floatRow('cvtsi2ss', 'Convert integer to single', 'sse', 'F3 0F 2A /r : Vx Ey', fromInteger('cvtsi2ss', 'f32')),
  floatRow('cvtsi2sd', 'Convert integer to double', 'sse2', 'F2 0F 2A /r : Vx Ey', fromInteger('cvtsi2sd', 'f64')),
  floatRow('cvtss2si', 'Convert single to integer', 'sse', 'F3 0F 2D /r : Gy Wd', toInteger('cvtss2si', 'f32', false), copies),
  floatRow('cvtsd2si', 'Convert double to integer', 'sse2', 'F2 0F 2D /r : Gy Wq', toInteger('cvtsd2si', 'f64', false), copies),
  floatRow('cvttss2si', 'Convert single to integer with truncation', 'sse', 'F3 0F 2C /r : Gy Wd', toInteger('cvttss2si', 'f32', true), copies),
  floatRow('cvttsd2si', 'Convert double to integer with truncation', 'sse2', 'F2 0F 2C /r : Gy Wq', toInteger('cvttsd2si', 'f64', true), copies),
  floatRow('cvtss2sd', 'Convert single to double', 'sse2', 'F3 0F 5A /r : Vx Wd', toDouble),
  floatRow('cvtsd2ss', 'Convert double to single', 'sse2', 'F2 0F 5A /r : Vx Wq', toSingle),
  floatRow('cvtps2pd', 'Convert singles to doubles', 'sse2', '0F 5A /r : Vx Wq ; np', toDoubles, copies),
  floatRow('cvtpd2ps', 'Convert doubles to singles', 'sse2', '66 0F 5A /r : Vx Wx', toSingles, copies),
  floatRow('cvtdq2ps', 'Convert doublewords to singles', 'sse2', '0F 5B /r : Vx Wx ; np', doublewordsToSingles, copies),
  floatRow('cvtps2dq', 'Convert singles to doublewords', 'sse2', '66 0F 5B /r : Vx Wx', packedToInteger('cvtps2dq', false), copies),
  floatRow('cvttps2dq', 'Convert singles to doublewords with truncation', 'sse2', 'F3 0F 5B /r : Vx Wx', packedToInteger('cvttps2dq', true), copies),
  xmmRow('cvtdq2pd', 'Convert doublewords to doubles', 'sse2', ['F3 0F E6 /r : Vx Wq'], (b) => b.writeVector(0, b.operate('f64x2.convert_low_i32x4_s', b.readVector(1))), copies),
  floatRow('cvtpd2dq', 'Convert doubles to doublewords', 'sse2', 'F2 0F E6 /r : Vx Wx', doublesToInteger('cvtpd2dq', false), copies),
  floatRow('cvttpd2dq', 'Convert doubles to doublewords with truncation', 'sse2', '66 0F E6 /r : Vx Wx', doublesToInteger('cvttpd2dq', true), copies),
  mmxRow('cvtpi2ps', 'Convert MMX doublewords to singles', 'sse', ['0F 2A /r : Vx Nq ; np'], (b) => {
    b.requireUnit('sse');
    // The x87 unit has changed even when an exception follows.
    b.enterMmx();
    runtime(b, 'cvtpi2ps');
  }),
  mmxRow('cvtpi2pd', 'Convert MMX doublewords to doubles', 'sse2', ['66 0F 2A /r : Vx Nq'], (b) => {
    b.requireUnit('sse');
    b.writeVector(0, b.operate('f64x2.convert_low_i32x4_s', b.readVector(1)));
  }, copies),
  // From memory no MMX register takes part.
  xmmRow('cvtpi2ps', 'Convert doublewords to singles', 'sse', ['0F 2A /r : Vx Mq ; np'], (b) => runtime(b, 'cvtpi2ps')),
  xmmRow('cvtpi2pd', 'Convert doublewords to doubles', 'sse2', ['66 0F 2A /r : Vx Mq'],
    (b) => b.writeVector(0, b.operate('f64x2.convert_low_i32x4_s', b.readVector(1))), copies),
  ...([['cvtps2pi', '0F 2D /r : Pq Wq ; np', 'singles', 'sse'], ['cvttps2pi', '0F 2C /r : Pq Wq ; np', 'singles', 'sse'],
    ['cvtpd2pi', '66 0F 2D /r : Pq Wx', 'doubles', 'sse2'], ['cvttpd2pi', '66 0F 2C /r : Pq Wx', 'doubles', 'sse2']] as const)
    .map(([mnemonic, encoding, what, feature]) => mmxRow(mnemonic, `Convert ${what} to MMX doublewords${mnemonic.startsWith('cvtt') ? ' with truncation' : ''}`, feature, [encoding], (b) => {
      b.requireUnit('sse');
      b.enterMmx();
      runtime(b, mnemonic);
      b.writeVector(0, b.readVector(0));
    }, copies)),
  ...([['ps', 'f32', 'Wx', '08', true], ['pd', 'f64', 'Wx', '09', true], ['ss', 'f32', 'Wd', '0A', false], ['sd', 'f64', 'Wq', '0B', false]] as const)
    .map(([suffix, type, code, opcode, packed]) => floatRow(`round${suffix}`, `Round ${packed ? 'packed' : 'scalar'} ${type === 'f32' ? 'singles' : 'doubles'} to integers`, 'sse41',
      `66 0F 3A ${opcode} /r : Vx ${code} Ib`, roundPacked(`round${suffix}`, type, packed), packed ? copies : {})),
];
