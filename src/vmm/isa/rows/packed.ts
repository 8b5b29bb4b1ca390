/** Packed integers on MMX and XMM registers: arithmetic, comparison, logic, shifts, packing (MMX, SSE, SSE2, SSSE3, SSE4.1, SSE4.2). */
import type { Builder, Semantics, Value } from '../builder';
import type { Feature, InstructionSpec } from '../types';
import type { VectorOperation } from '../vector';
import { combine, everyOther, elements, interleave, joined, mmxRow, pair, splat, xmmRow, zero, type Combine } from './vector-support';

const old = { mmx: 'mmx', xmm: 'sse2' } as const;
const withSse = { mmx: 'sse', xmm: 'sse2' } as const;
const withSse2 = { mmx: 'sse2', xmm: 'sse2' } as const;
const withSsse3 = { mmx: 'ssse3', xmm: 'ssse3' } as const;

const direct = (operation: VectorOperation): Combine => (b, x, y) => b.operate(operation, x, y);

/** [mnemonic, title, opcode, operation] of what WebAssembly has ready. */
type Ready = readonly [mnemonic: string, title: string, opcode: string, operation: VectorOperation];
const readyMmx: readonly Ready[] = [
  ['paddb', 'Add packed bytes', 'FC', 'i8x16.add'], ['paddw', 'Add packed words', 'FD', 'i16x8.add'], ['paddd', 'Add packed doublewords', 'FE', 'i32x4.add'],
  ['psubb', 'Subtract packed bytes', 'F8', 'i8x16.sub'], ['psubw', 'Subtract packed words', 'F9', 'i16x8.sub'], ['psubd', 'Subtract packed doublewords', 'FA', 'i32x4.sub'],
  ['paddsb', 'Add packed bytes with signed saturation', 'EC', 'i8x16.add_sat_s'], ['paddsw', 'Add packed words with signed saturation', 'ED', 'i16x8.add_sat_s'],
  ['paddusb', 'Add packed bytes with unsigned saturation', 'DC', 'i8x16.add_sat_u'], ['paddusw', 'Add packed words with unsigned saturation', 'DD', 'i16x8.add_sat_u'],
  ['psubsb', 'Subtract packed bytes with signed saturation', 'E8', 'i8x16.sub_sat_s'], ['psubsw', 'Subtract packed words with signed saturation', 'E9', 'i16x8.sub_sat_s'],
  ['psubusb', 'Subtract packed bytes with unsigned saturation', 'D8', 'i8x16.sub_sat_u'], ['psubusw', 'Subtract packed words with unsigned saturation', 'D9', 'i16x8.sub_sat_u'],
  ['pcmpeqb', 'Compare packed bytes for equality', '74', 'i8x16.eq'], ['pcmpeqw', 'Compare packed words for equality', '75', 'i16x8.eq'],
  ['pcmpeqd', 'Compare packed doublewords for equality', '76', 'i32x4.eq'], ['pcmpgtb', 'Compare packed signed bytes for greater than', '64', 'i8x16.gt_s'],
  ['pcmpgtw', 'Compare packed signed words for greater than', '65', 'i16x8.gt_s'], ['pcmpgtd', 'Compare packed signed doublewords for greater than', '66', 'i32x4.gt_s'],
  ['pmullw', 'Multiply packed words, low results', 'D5', 'i16x8.mul'], ['pmaddwd', 'Multiply packed words and add pairs', 'F5', 'i32x4.dot_i16x8_s'],
  ['pand', 'Bitwise AND', 'DB', 'v128.and'], ['por', 'Bitwise OR', 'EB', 'v128.or'], ['pxor', 'Bitwise exclusive OR', 'EF', 'v128.xor'],
];
const readySse: readonly Ready[] = [
  ['pavgb', 'Average of packed unsigned bytes', 'E0', 'i8x16.avgr_u'], ['pavgw', 'Average of packed unsigned words', 'E3', 'i16x8.avgr_u'],
  ['pminub', 'Minimum of packed unsigned bytes', 'DA', 'i8x16.min_u'], ['pmaxub', 'Maximum of packed unsigned bytes', 'DE', 'i8x16.max_u'],
  ['pminsw', 'Minimum of packed signed words', 'EA', 'i16x8.min_s'], ['pmaxsw', 'Maximum of packed signed words', 'EE', 'i16x8.max_s'],
];
const readySse2: readonly Ready[] = [
  ['paddq', 'Add packed quadwords', 'D4', 'i64x2.add'], ['psubq', 'Subtract packed quadwords', 'FB', 'i64x2.sub'],
];
const readyXmm: readonly (readonly [...Ready, Feature])[] = [
  ['pminsb', 'Minimum of packed signed bytes', '38 38', 'i8x16.min_s', 'sse41'], ['pminsd', 'Minimum of packed signed doublewords', '38 39', 'i32x4.min_s', 'sse41'],
  ['pminuw', 'Minimum of packed unsigned words', '38 3A', 'i16x8.min_u', 'sse41'], ['pminud', 'Minimum of packed unsigned doublewords', '38 3B', 'i32x4.min_u', 'sse41'],
  ['pmaxsb', 'Maximum of packed signed bytes', '38 3C', 'i8x16.max_s', 'sse41'], ['pmaxsd', 'Maximum of packed signed doublewords', '38 3D', 'i32x4.max_s', 'sse41'],
  ['pmaxuw', 'Maximum of packed unsigned words', '38 3E', 'i16x8.max_u', 'sse41'], ['pmaxud', 'Maximum of packed unsigned doublewords', '38 3F', 'i32x4.max_u', 'sse41'],
  ['pmulld', 'Multiply packed doublewords, low results', '38 40', 'i32x4.mul', 'sse41'],
  ['pcmpeqq', 'Compare packed quadwords for equality', '38 29', 'i64x2.eq', 'sse41'], ['pcmpgtq', 'Compare packed signed quadwords for greater than', '38 37', 'i64x2.gt_s', 'sse42'],
];

/** Upper halves of the 32-bit products of words. */
const highProducts = (signed: boolean): Combine => (b, x, y) => {
  const letter = signed ? 's' : 'u';
  const half = (which: 'low' | 'high') => b.operate(signed ? 'i32x4.shr_s' : 'i32x4.shr_u', b.operate(`i32x4.extmul_${which}_i16x8_${letter}`, x, y), b.constant(16));
  return b.operate(`i16x8.narrow_i32x4_${letter}`, half('low'), half('high'));
};

/** Products of the low doublewords of each quadword. */
const evenProducts = (signed: boolean): Combine => (b, x, y) => {
  const even = (v: Value) => b.shuffle(elements(4, 0, 2), v, v);
  return b.operate(`i64x2.extmul_low_i32x4_${signed ? 's' : 'u'}`, even(x), even(y));
};

/** Sums of absolute differences, one for each half. */
const absoluteDifferences: Combine = (b, x, y) => {
  const difference = b.operate('v128.or', b.operate('i8x16.sub_sat_u', x, y), b.operate('i8x16.sub_sat_u', y, x));
  const sums = b.let(b.operate('i32x4.extadd_pairwise_i16x8_u', b.operate('i16x8.extadd_pairwise_i8x16_u', difference)));
  const total = b.operate('i64x2.add', sums, b.operate('i64x2.shr_u', sums, b.constant(32)));
  return b.operate('v128.and', total, b.vectorConstant([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
};

const packing = (operation: VectorOperation): Combine => (b, x, y) => {
  if (!b.isMmx(0)) return b.operate(operation, x, y);
  const both = b.let(joined(b, x, y));
  return b.operate(operation, both, both);
};

const unpacking = (bytes: number, high: boolean): Combine => (b, x, y) => b.shuffle(interleave(bytes, b.isMmx(0), high), x, y);

const unpackTitles = { bw: 'bytes to words', wd: 'words to doublewords', dq: 'doublewords to quadwords', qdq: 'quadwords' } as const;
function unpackRows(suffix: keyof typeof unpackTitles, bytes: number, lowOpcode: string, highOpcode: string): InstructionSpec[] {
  return (['l', 'h'] as const).flatMap((half) => {
    const high = half === 'h';
    const opcode = high ? highOpcode : lowOpcode;
    const title = `Unpack ${high ? 'high' : 'low'} ${unpackTitles[suffix]}`;
    const semantics = combine(unpacking(bytes, high));
    const xmm = xmmRow(`punpck${half}${suffix}`, title, 'sse2', [`66 0F ${opcode} /r : Vx Wx`], semantics);
    if (suffix === 'qdq') return [xmm];
    // The low form on MMX registers reads only half of a memory operand.
    return [mmxRow(`punpck${half}${suffix}`, title, 'mmx', [`0F ${opcode} /r : Pq ${high ? 'Qq' : 'Qd'} ; np`], semantics), xmm];
  });
}

/** Sums or differences of neighbours. */
const horizontal = (bytes: 2 | 4, operation: VectorOperation): Combine => (b, x, y) => {
  const mmx = b.isMmx(0);
  return b.operate(operation, b.shuffle(everyOther(bytes, mmx, false), x, y), b.shuffle(everyOther(bytes, mmx, true), x, y));
};

/** The first operand's elements where the second's are positive, negated where negative, zero where zero. */
const signed = (shape: 'i8x16' | 'i16x8' | 'i32x4'): Combine => (b, x, y) => {
  const bits = { i8x16: 7, i16x8: 15, i32x4: 31 }[shape];
  const negative = b.let(b.operate(`${shape}.shr_s`, y, b.constant(bits)));
  const result = b.operate(`${shape}.sub`, b.operate('v128.xor', x, negative), negative);
  return b.operate('v128.andnot', result, b.operate(`${shape}.eq`, y, zero(b)));
};

/** Unsigned bytes times signed bytes, neighbours added with saturation. */
const multiplyAddBytes: Combine = (b, x, y) => {
  const products = (half: 'low' | 'high') =>
    b.let(b.operate('i16x8.mul', b.operate(`i16x8.extend_${half}_i8x16_u`, x), b.operate(`i16x8.extend_${half}_i8x16_s`, y)));
  const low = products('low'), high = products('high');
  return b.operate('i16x8.add_sat_s', b.shuffle(everyOther(2, false, false), low, high), b.shuffle(everyOther(2, false, true), low, high));
};

/** WebAssembly saturates where x86 does not: -1 times -1. */
const roundedProducts: Combine = (b, x, y) => {
  const least = splat(b, 2, 0x8000);
  const both = b.operate('v128.and', b.operate('i16x8.eq', x, least), b.operate('i16x8.eq', y, least));
  return b.operate('v128.xor', b.operate('i16x8.q15mulr_sat_s', x, y), both);
};

const shuffleBytes: Combine = (b, x, y) => b.operate('i8x16.swizzle', x, b.operate('v128.and', y, splat(b, 1, b.isMmx(0) ? 0x87 : 0x8f)));

// ---- shifts ----

const shiftShapes = { w: 'i16x8', d: 'i32x4', q: 'i64x2' } as const;
const shiftBits = { w: 16, d: 32, q: 64 } as const;
type ShiftKind = 'shl' | 'shr_u' | 'shr_s';

/** `fits`: the count is below the element's width; otherwise only signs remain, or nothing. */
function shifted(b: Builder, kind: ShiftKind, letter: 'w' | 'd' | 'q', value: Value, count: Value, fits: Value): Value {
  const shift = (by: Value) => b.operate(`${shiftShapes[letter]}.${kind}`, value, by);
  if (kind === 'shr_s') return shift(b.select(fits, count, b.constant(shiftBits[letter] - 1)));
  return b.select(fits, shift(count), zero(b));
}

const shiftByVector = (kind: ShiftKind, letter: 'w' | 'd' | 'q'): Semantics => (b) => {
  const count = b.let(b.extractLane('i64x2.extract_lane', b.readVector(1), 0));
  const fits = b.let(b.op('ltU', count, b.constant(shiftBits[letter], 64)));
  b.writeVector(0, shifted(b, kind, letter, b.readVector(0), b.wrap32(count), fits));
};

const shiftByImmediate = (kind: ShiftKind, letter: 'w' | 'd' | 'q'): Semantics => (b) => {
  const count = b.read(1);
  b.writeVector(0, shifted(b, kind, letter, b.readVector(0), count, b.op('ltU', count, b.constant(shiftBits[letter]))));
};

const shiftTitles: Readonly<Record<ShiftKind, string>> = { shl: 'left', shr_u: 'right', shr_s: 'right arithmetically' };
const elementTitles = { w: 'words', d: 'doublewords', q: 'quadwords' } as const;
function shiftRows(name: string, kind: ShiftKind, byVector: readonly string[], group: number): InstructionSpec[] {
  return (['w', 'd', 'q'] as const).slice(0, byVector.length).flatMap((letter, i) => {
    const mnemonic = `${name}${letter}`;
    const title = `Shift packed ${elementTitles[letter]} ${shiftTitles[kind]}`;
    const immediate = (0x71 + i).toString(16);
    return [
      mmxRow(mnemonic, title, 'mmx', [`0F ${byVector[i]} /r : Pq Qq ; np`], shiftByVector(kind, letter)),
      xmmRow(mnemonic, title, 'sse2', [`66 0F ${byVector[i]} /r : Vx Wx`], shiftByVector(kind, letter)),
      mmxRow(mnemonic, title, 'mmx', [`0F ${immediate} /${group} : Nq Ib ; np`], shiftByImmediate(kind, letter)),
      xmmRow(mnemonic, title, 'sse2', [`66 0F ${immediate} /${group} : Ux Ib`], shiftByImmediate(kind, letter)),
    ];
  });
}

const ascending = Array.from({ length: 16 }, (_, i) => i);

/** A swizzle whose byte numbers are off by the count finds zeros beyond the ends. */
const shiftBytes = (left: boolean): Semantics => (b) => {
  const count = b.operate('i8x16.splat', b.read(1));
  const from = left ? b.operate('i8x16.sub', b.vectorConstant(ascending), count) : b.operate('i8x16.add_sat_u', b.vectorConstant(ascending), count);
  const moved = b.operate('i8x16.swizzle', b.readVector(0), from);
  // Left by more than 240 the byte numbers would come round.
  b.writeVector(0, left ? b.select(b.op('ltU', b.read(1), b.constant(16)), moved, zero(b)) : moved);
};

/** Two operands side by side, the second one low, moved right by bytes. */
const alignRight: Semantics = (b) => {
  const count = b.operate('i8x16.splat', b.read(2));
  const from = b.let(b.operate('i8x16.add_sat_u', b.vectorConstant(ascending), count));
  const width = b.isMmx(0) ? 8 : 16;
  const high = b.operate('i8x16.swizzle', b.readVector(0), b.operate('i8x16.sub', from, splat(b, 1, width)));
  // An MMX operand is followed by zeros, as wide as itself: nothing to add beyond.
  b.writeVector(0, b.operate('v128.or', b.operate('i8x16.swizzle', b.readVector(1), from), high));
};

const one = (operation: Combine): Semantics => (b) => {
  const y = b.readVector(1);
  b.writeVector(0, operation(b, y, y));
};

const readyRows = (list: readonly Ready[], features: { readonly mmx: Feature; readonly xmm: Feature }): InstructionSpec[] =>
  list.flatMap(([mnemonic, title, opcode, operation]) => pair(mnemonic, title, opcode, features, direct(operation)));

const absoluteRows = ([['b', '38 1C', 'i8x16.abs', 'bytes'], ['w', '38 1D', 'i16x8.abs', 'words'], ['d', '38 1E', 'i32x4.abs', 'doublewords']] as const)
  .flatMap(([letter, opcode, operation, what]): InstructionSpec[] => [
    mmxRow(`pabs${letter}`, `Absolute value of packed ${what}`, 'ssse3', [`0F ${opcode} /r : Pq Qq ; np`], one((b, y) => b.operate(operation, y)), { access: ['w', 'r'] }),
    xmmRow(`pabs${letter}`, `Absolute value of packed ${what}`, 'ssse3', [`66 0F ${opcode} /r : Vx Wx`], one((b, y) => b.operate(operation, y)), { access: ['w', 'r'] }),
  ]);

/** Sign- and zero-extension, from elements of `from` bytes to `to`. */
function extensionRows(signedness: 's' | 'z', firstOpcode: number): InstructionSpec[] {
  const letter = signedness === 's' ? 's' : 'u';
  const steps = { 1: `i16x8.extend_low_i8x16_${letter}`, 2: `i32x4.extend_low_i16x8_${letter}`, 4: `i64x2.extend_low_i32x4_${letter}` } as const;
  const kinds = [['bw', 1, 2, 'Wq'], ['bd', 1, 4, 'Wd'], ['bq', 1, 8, 'Ww'], ['wd', 2, 4, 'Wq'], ['wq', 2, 8, 'Wd'], ['dq', 4, 8, 'Wq']] as const;
  return kinds.map(([suffix, from, to, code], i) => xmmRow(
    `pmov${signedness}x${suffix}`, `Move packed integers with ${signedness === 's' ? 'sign' : 'zero'}-extension`, 'sse41',
    [`66 0F 38 ${(firstOpcode + i).toString(16)} /r : Vx ${code}`],
    (b) => {
      let value = b.readVector(1);
      for (let bytes: number = from; bytes < to; bytes *= 2) value = b.operate(steps[bytes as 1 | 2 | 4], value);
      b.writeVector(0, value);
    }, { access: ['w', 'r'] },
  ));
}

export const packedRows: readonly InstructionSpec[] = [
  ...readyRows(readyMmx, old), ...readyRows(readySse, withSse), ...readyRows(readySse2, withSse2),
  ...readyXmm.map(([mnemonic, title, opcode, operation, feature]) => xmmRow(mnemonic, title, feature, [`66 0F ${opcode} /r : Vx Wx`], combine(direct(operation)))),
  ...pair('pandn', 'Bitwise AND with the complement of the first operand', 'DF', old, (b, x, y) => b.operate('v128.andnot', y, x)),
  ...pair('pmulhw', 'Multiply packed signed words, high results', 'E5', old, highProducts(true)),
  ...pair('pmulhuw', 'Multiply packed unsigned words, high results', 'E4', withSse, highProducts(false)),
  ...pair('pmuludq', 'Multiply packed unsigned doublewords to quadwords', 'F4', withSse2, evenProducts(false)),
  xmmRow('pmuldq', 'Multiply packed signed doublewords to quadwords', 'sse41', ['66 0F 38 28 /r : Vx Wx'], combine(evenProducts(true))),
  ...pair('psadbw', 'Sums of absolute differences of bytes', 'F6', withSse, absoluteDifferences),
  ...pair('packsswb', 'Pack words to bytes with signed saturation', '63', old, packing('i8x16.narrow_i16x8_s')),
  ...pair('packuswb', 'Pack words to bytes with unsigned saturation', '67', old, packing('i8x16.narrow_i16x8_u')),
  ...pair('packssdw', 'Pack doublewords to words with signed saturation', '6B', old, packing('i16x8.narrow_i32x4_s')),
  xmmRow('packusdw', 'Pack doublewords to words with unsigned saturation', 'sse41', ['66 0F 38 2B /r : Vx Wx'], combine(packing('i16x8.narrow_i32x4_u'))),
  ...unpackRows('bw', 1, '60', '68'), ...unpackRows('wd', 2, '61', '69'), ...unpackRows('dq', 4, '62', '6A'), ...unpackRows('qdq', 8, '6C', '6D'),
  ...shiftRows('psrl', 'shr_u', ['D1', 'D2', 'D3'], 2), ...shiftRows('psra', 'shr_s', ['E1', 'E2'], 4), ...shiftRows('psll', 'shl', ['F1', 'F2', 'F3'], 6),
  xmmRow('psrldq', 'Shift double quadword right by bytes', 'sse2', ['66 0F 73 /3 : Ux Ib'], shiftBytes(false)),
  xmmRow('pslldq', 'Shift double quadword left by bytes', 'sse2', ['66 0F 73 /7 : Ux Ib'], shiftBytes(true)),
  ...pair('pshufb', 'Shuffle bytes', '38 00', withSsse3, shuffleBytes),
  ...pair('phaddw', 'Add neighbouring words', '38 01', withSsse3, horizontal(2, 'i16x8.add')),
  ...pair('phaddd', 'Add neighbouring doublewords', '38 02', withSsse3, horizontal(4, 'i32x4.add')),
  ...pair('phaddsw', 'Add neighbouring words with saturation', '38 03', withSsse3, horizontal(2, 'i16x8.add_sat_s')),
  ...pair('pmaddubsw', 'Multiply unsigned by signed bytes and add pairs', '38 04', withSsse3, multiplyAddBytes),
  ...pair('phsubw', 'Subtract neighbouring words', '38 05', withSsse3, horizontal(2, 'i16x8.sub')),
  ...pair('phsubd', 'Subtract neighbouring doublewords', '38 06', withSsse3, horizontal(4, 'i32x4.sub')),
  ...pair('phsubsw', 'Subtract neighbouring words with saturation', '38 07', withSsse3, horizontal(2, 'i16x8.sub_sat_s')),
  ...pair('psignb', 'Negate or clear packed bytes by sign', '38 08', withSsse3, signed('i8x16')),
  ...pair('psignw', 'Negate or clear packed words by sign', '38 09', withSsse3, signed('i16x8')),
  ...pair('psignd', 'Negate or clear packed doublewords by sign', '38 0A', withSsse3, signed('i32x4')),
  ...pair('pmulhrsw', 'Multiply packed words, rounded high results', '38 0B', withSsse3, roundedProducts),
  ...absoluteRows,
  mmxRow('palignr', 'Align right', 'ssse3', ['0F 3A 0F /r : Pq Qq Ib ; np'], alignRight),
  xmmRow('palignr', 'Align right', 'ssse3', ['66 0F 3A 0F /r : Vx Wx Ib'], alignRight),
  ...extensionRows('s', 0x20), ...extensionRows('z', 0x30),
];
