/** Moves between vector registers, general registers and memory; shuffles, blends, insertion and extraction (MMX to SSE4.1). */
import type { Builder, Semantics, Value } from '../builder';
import type { InstructionSpec } from '../types';
import { combine, elements, interleave, mmxRow, onMmx, onXmm, xmmRow, zero } from './vector-support';

const copies = { access: ['w', 'r'] } as const;
const hot = { access: ['w', 'r'], hot: true } as const;

const move: Semantics = (b) => b.writeVector(0, b.readVector(1));

const lowQuadword = (b: Builder, v: Value): Value => b.shuffle(elements(8, 0, 2), v, zero(b));

/** The low quadword, the rest of an XMM destination cleared. */
const moveQuadword: Semantics = (b) => b.writeVector(0, b.isMemory(0) || b.isMemory(1) ? b.readVector(1) : lowQuadword(b, b.readVector(1)));

/** MOVSS, MOVSD: between registers only the element moves; from memory the rest is cleared. */
const moveScalar = (width: 32 | 64): Semantics => (b) => {
  if (b.isMemory(0) || b.isMemory(1)) b.writeVector(0, b.readVector(1));
  else b.writeElement(0, width, 0, b.readElement(1, width, 0));
};

/** A quadword of memory to one half of a register, or of a register to the half of another one. */
const loadHalf = (to: 0 | 1, from: 0 | 1 = 0): Semantics => (b) => b.writeElement(0, 64, to, b.readElement(1, 64, from));
const storeHalf = (from: 0 | 1): Semantics => (b) => b.store(b.address(0), 64, b.readElement(1, 64, from));

/** General to vector, zero-extended; vector to general. */
const fromGeneral: Semantics = (b) => {
  const value = b.read(1);
  b.writeVector(0, b.replaceLane(value.type === 'i64' ? 'i64x2.replace_lane' : 'i32x4.replace_lane', zero(b), 0, value));
};
const toGeneral = (width: 32 | 64): Semantics => (b) => b.write(0, b.readElement(1, width, 0));

/** Element by the immediate, modulo their number. */
const insert = (width: 8 | 16 | 32 | 64): Semantics => (b) => {
  const value = b.read(1);
  const at = b.op('and', b.read(2), b.constant((b.isMmx(0) ? 64 : 128) / width - 1));
  b.writeElement(0, width, at, width < 32 ? b.truncate(value, width) : value);
};
const extract = (width: 8 | 16 | 32 | 64): Semantics => (b) => {
  const at = b.op('and', b.read(2), b.constant((b.isMmx(1) ? 64 : 128) / width - 1));
  b.write(0, b.readElement(1, width, at));
};

/** One doubleword of the source (of memory the only one) to one of the destination, then some cleared. */
const insertSingle: Semantics = (b) => {
  const control = b.read(b.operandCount - 1);
  const bits = (shift: number) => b.op('and', b.op('shr', control, b.constant(shift)), b.constant(3));
  const fromMemory = b.operandWidth(1) === 32;
  const value = fromMemory ? b.read(1) : b.readElement(1, 32, bits(6));
  const flags = b.operate('v128.and', b.operate('i32x4.splat', control), b.vectorConstant([1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0]));
  b.writeElement(0, 32, bits(4), value);
  b.writeVector(0, b.operate('v128.and', b.readVector(0), b.operate('i32x4.eq', flags, zero(b))));
};

const shuffleBy = (table: 'shuffleDoublewords' | 'shuffleLowWords' | 'shuffleHighWords'): Semantics => (b) =>
  b.writeVector(0, b.operate('i8x16.swizzle', b.readVector(1), b.vectorTable(table, b.read(2))));

const shuffleSingles: Semantics = (b) => {
  const control = b.vectorTable('shuffleDoublewords', b.read(2));
  const chosen = (n: number) => b.operate('i8x16.swizzle', b.readVector(n), control);
  b.writeVector(0, b.shuffle(elements(4, 0, 1, 6, 7), chosen(0), chosen(1)));
};

const shuffleDoubles: Semantics = (b) => {
  const control = b.read(2);
  const low = b.readElement(0, 64, b.op('and', control, b.constant(1)));
  const high = b.readElement(1, 64, b.op('and', b.op('shr', control, b.constant(1)), b.constant(1)));
  b.writeElement(0, 64, 0, low);
  b.writeElement(0, 64, 1, high);
};

/** The second operand's elements where the mask has ones. */
const blend = (b: Builder, mask: Value): void => b.writeVector(0, b.operate('v128.bitselect', b.readVector(1), b.readVector(0), mask));

const blendByImmediate = (bytes: 2 | 4 | 8): Semantics => (b) => {
  const shape = { 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' } as const;
  const bits = b.vectorConstant(Array.from({ length: 16 }, (_, i) => (i % bytes === 0 ? 1 << (i / bytes) : 0)));
  const control = b.read(2);
  const every = b.operate(`${shape[bytes]}.splat`, bytes === 8 ? b.extend64(control, false) : control);
  blend(b, b.operate(`${shape[bytes]}.eq`, b.operate('v128.and', every, bits), bits));
};
const blendBySigns = (shape: 'i8x16' | 'i32x4' | 'i64x2'): Semantics => (b) => {
  const bits = { i8x16: 7, i32x4: 31, i64x2: 63 }[shape];
  blend(b, b.operate(`${shape}.shr_s`, b.readVector(2), b.constant(bits)));
};

const signMask = (shape: 'i8x16' | 'i32x4' | 'i64x2'): Semantics => (b) => {
  const mask = b.operate(`${shape}.bitmask`, b.readVector(1));
  b.write(0, b.isMmx(1) ? b.op('and', mask, b.constant(0xff)) : mask);
};

/** ZF: no bit in common; CF: none of the second operand's bits is missing from the first. */
const test: Semantics = (b) => {
  const x = b.readVector(0), y = b.readVector(1);
  const none = (v: Value) => b.isZero(b.operate('v128.any_true', v));
  const zf = b.op('shl', none(b.operate('v128.and', x, y)), b.constant(6));
  b.setArithmeticFlags(b.let(b.op('or', zf, none(b.operate('v128.andnot', y, x)))));
};

/** Bytes with a set sign in the mask go to DS:rDI. What stands between them is written back as it was. */
const storeMasked: Semantics = (b) => {
  const mmx = b.isMmx(0);
  // The x87 unit has changed even when a page fault follows.
  if (mmx) b.enterMmx();
  const address = b.implicitAddress('record', b.register(7, b.addressSize as 16 | 32));
  const places = mmx ? [address] : [address, b.offsetBy(address, 8)];
  const before = places.map((place) => b.let(b.loadForWrite(place, 64)));
  const mask = b.operate('i8x16.shr_s', b.readVector(1), b.constant(7));
  const all = b.let(b.operate('v128.bitselect', b.readVector(0), before.length === 1 ? b.replaceLane('i64x2.replace_lane', zero(b), 0, before[0])
    : b.replaceLane('i64x2.replace_lane', b.replaceLane('i64x2.replace_lane', zero(b), 0, before[0]), 1, before[1]), mask));
  places.forEach((place, n) => b.store(place, 64, b.let(b.extractLane('i64x2.extract_lane', all, n))));
};

const unpackFloats = (bytes: 4 | 8, high: boolean) => combine((b, x, y) => b.shuffle(interleave(bytes, false, high), x, y));
const duplicate = (bytes: 4 | 8, ...numbers: readonly number[]): Semantics => (b) => {
  const y = b.readVector(1);
  b.writeVector(0, b.shuffle(elements(bytes, ...numbers), y, y));
};

export const vectorMoveRows: readonly InstructionSpec[] = [
  mmxRow('movd', 'Move doubleword', 'mmx', ['0F 6E /r : Pq Ed ; np'], fromGeneral, hot),
  mmxRow('movd', 'Move doubleword', 'mmx', ['0F 7E /r : Ed Pq ; np'], toGeneral(32), copies),
  xmmRow('movd', 'Move doubleword', 'sse2', ['66 0F 6E /r : Vx Ed'], fromGeneral, hot),
  xmmRow('movd', 'Move doubleword', 'sse2', ['66 0F 7E /r : Ed Vx'], toGeneral(32), copies),
  mmxRow('movq', 'Move quadword', 'mmx', ['0F 6F /r : Pq Qq ; np', '0F 7F /r : Qq Pq ; np'], move, hot),
  xmmRow('movq', 'Move quadword', 'sse2', ['F3 0F 7E /r : Vx Wq', '66 0F D6 /r : Wq Vx'], moveQuadword, hot),
  mmxRow('movq', 'Move quadword', 'mmx', ['0F 6E /r : Pq Eq ; np o64 only64'], fromGeneral, hot),
  mmxRow('movq', 'Move quadword', 'mmx', ['0F 7E /r : Eq Pq ; np o64 only64'], toGeneral(64), copies),
  xmmRow('movq', 'Move quadword', 'sse2', ['66 0F 6E /r : Vx Eq ; o64 only64'], fromGeneral, hot),
  xmmRow('movq', 'Move quadword', 'sse2', ['66 0F 7E /r : Eq Vx ; o64 only64'], toGeneral(64), copies),
  xmmRow('movss', 'Move single', 'sse', ['F3 0F 10 /r : Vx Wd', 'F3 0F 11 /r : Wd Vx'], moveScalar(32), hot),
  xmmRow('movsd', 'Move double', 'sse2', ['F2 0F 10 /r : Vx Wq', 'F2 0F 11 /r : Wq Vx'], moveScalar(64), hot),
  xmmRow('movaps', 'Move aligned singles', 'sse', ['0F 28 /r : Vx Wx ; np', '0F 29 /r : Wx Vx ; np'], move, hot),
  xmmRow('movapd', 'Move aligned doubles', 'sse2', ['66 0F 28 /r : Vx Wx', '66 0F 29 /r : Wx Vx'], move, hot),
  xmmRow('movdqa', 'Move aligned double quadword', 'sse2', ['66 0F 6F /r : Vx Wx', '66 0F 7F /r : Wx Vx'], move, hot),
  xmmRow('movups', 'Move singles', 'sse', ['0F 10 /r : Vx Wx ; np', '0F 11 /r : Wx Vx ; np'], move, { ...hot, unaligned: true }),
  xmmRow('movupd', 'Move doubles', 'sse2', ['66 0F 10 /r : Vx Wx', '66 0F 11 /r : Wx Vx'], move, { ...hot, unaligned: true }),
  xmmRow('movdqu', 'Move double quadword', 'sse2', ['F3 0F 6F /r : Vx Wx', 'F3 0F 7F /r : Wx Vx'], move, { ...hot, unaligned: true }),
  xmmRow('lddqu', 'Load double quadword', 'sse3', ['F2 0F F0 /r : Vx Mx'], move, { ...copies, unaligned: true }),
  xmmRow('movntdqa', 'Load double quadword with a non-temporal hint', 'sse41', ['66 0F 38 2A /r : Vx Mx'], move, copies),
  xmmRow('movntps', 'Store singles with a non-temporal hint', 'sse', ['0F 2B /r : Mx Vx ; np'], move, copies),
  xmmRow('movntpd', 'Store doubles with a non-temporal hint', 'sse2', ['66 0F 2B /r : Mx Vx'], move, copies),
  xmmRow('movntdq', 'Store double quadword with a non-temporal hint', 'sse2', ['66 0F E7 /r : Mx Vx'], move, copies),
  mmxRow('movntq', 'Store quadword with a non-temporal hint', 'sse', ['0F E7 /r : Mq Pq ; np'], move, copies),
  mmxRow('maskmovq', 'Store selected bytes', 'sse', ['0F F7 /r : Pq Nq ; np'], storeMasked, { access: ['r', 'r'], implicit: { reads: ['rDI'] } }),
  xmmRow('maskmovdqu', 'Store selected bytes', 'sse2', ['66 0F F7 /r : Vx Ux'], storeMasked, { access: ['r', 'r'], implicit: { reads: ['rDI'] } }),
  xmmRow('movlps', 'Move low singles', 'sse', ['0F 12 /r : Vx Mq ; np'], loadHalf(0)),
  xmmRow('movlps', 'Move low singles', 'sse', ['0F 13 /r : Mq Vx ; np'], storeHalf(0), copies),
  xmmRow('movlpd', 'Move low double', 'sse2', ['66 0F 12 /r : Vx Mq'], loadHalf(0)),
  xmmRow('movlpd', 'Move low double', 'sse2', ['66 0F 13 /r : Mq Vx'], storeHalf(0), copies),
  xmmRow('movhps', 'Move high singles', 'sse', ['0F 16 /r : Vx Mq ; np'], loadHalf(1)),
  xmmRow('movhps', 'Move high singles', 'sse', ['0F 17 /r : Mq Vx ; np'], storeHalf(1), copies),
  xmmRow('movhpd', 'Move high double', 'sse2', ['66 0F 16 /r : Vx Mq'], loadHalf(1)),
  xmmRow('movhpd', 'Move high double', 'sse2', ['66 0F 17 /r : Mq Vx'], storeHalf(1), copies),
  xmmRow('movhlps', 'Move high singles to low', 'sse', ['0F 12 /r : Vx Ux ; np'], loadHalf(0, 1)),
  xmmRow('movlhps', 'Move low singles to high', 'sse', ['0F 16 /r : Vx Ux ; np'], loadHalf(1, 0)),
  xmmRow('movddup', 'Move and duplicate double', 'sse3', ['F2 0F 12 /r : Vx Wq'], duplicate(8, 0, 0), copies),
  xmmRow('movsldup', 'Move and duplicate even singles', 'sse3', ['F3 0F 12 /r : Vx Wx'], duplicate(4, 0, 0, 2, 2), copies),
  xmmRow('movshdup', 'Move and duplicate odd singles', 'sse3', ['F3 0F 16 /r : Vx Wx'], duplicate(4, 1, 1, 3, 3), copies),
  // Both files take part: MMX's conditions, and SSE's.
  {
    mnemonic: 'movdq2q', title: 'Move low quadword to MMX register', feature: 'sse2', encodings: ['F2 0F D6 /r : Pq Ux'], ...copies,
    semantics: onXmm(onMmx((b) => b.writeVector(0, b.readVector(1)))),
  },
  {
    mnemonic: 'movq2dq', title: 'Move quadword from MMX register', feature: 'sse2', encodings: ['F3 0F D6 /r : Vx Nq'], ...copies,
    semantics: onXmm(onMmx((b) => b.writeVector(0, b.readVector(1)))),
  },
  xmmRow('movmskps', 'Move sign bits of singles', 'sse', ['0F 50 /r : Gd Ux ; np'], signMask('i32x4'), copies),
  xmmRow('movmskpd', 'Move sign bits of doubles', 'sse2', ['66 0F 50 /r : Gd Ux'], signMask('i64x2'), copies),
  mmxRow('pmovmskb', 'Move sign bits of bytes', 'sse', ['0F D7 /r : Gd Nq ; np'], signMask('i8x16'), copies),
  xmmRow('pmovmskb', 'Move sign bits of bytes', 'sse2', ['66 0F D7 /r : Gd Ux'], signMask('i8x16'), copies),
  {
    mnemonic: 'emms', title: 'Empty the x87 stack after MMX instructions', feature: 'mmx', encodings: ['0F 77 : ; np'],
    semantics: (b) => {
      b.requireUnit('mmx');
      b.leaveMmx();
    },
  },

  mmxRow('pshufw', 'Shuffle words', 'sse', ['0F 70 /r : Pq Qq Ib ; np'], shuffleBy('shuffleLowWords'), copies),
  xmmRow('pshufd', 'Shuffle doublewords', 'sse2', ['66 0F 70 /r : Vx Wx Ib'], shuffleBy('shuffleDoublewords'), copies),
  xmmRow('pshuflw', 'Shuffle low words', 'sse2', ['F2 0F 70 /r : Vx Wx Ib'], shuffleBy('shuffleLowWords'), copies),
  xmmRow('pshufhw', 'Shuffle high words', 'sse2', ['F3 0F 70 /r : Vx Wx Ib'], shuffleBy('shuffleHighWords'), copies),
  xmmRow('shufps', 'Shuffle singles of two operands', 'sse', ['0F C6 /r : Vx Wx Ib ; np'], shuffleSingles),
  xmmRow('shufpd', 'Shuffle doubles of two operands', 'sse2', ['66 0F C6 /r : Vx Wx Ib'], shuffleDoubles),
  xmmRow('unpcklps', 'Unpack low singles', 'sse', ['0F 14 /r : Vx Wx ; np'], unpackFloats(4, false)),
  xmmRow('unpckhps', 'Unpack high singles', 'sse', ['0F 15 /r : Vx Wx ; np'], unpackFloats(4, true)),
  xmmRow('unpcklpd', 'Unpack low doubles', 'sse2', ['66 0F 14 /r : Vx Wx'], unpackFloats(8, false)),
  xmmRow('unpckhpd', 'Unpack high doubles', 'sse2', ['66 0F 15 /r : Vx Wx'], unpackFloats(8, true)),
  mmxRow('pinsrw', 'Insert word', 'sse', ['0F C4 /r : Pq Ed Ib ; np reg', '0F C4 /r : Pq Mw Ib ; np'], insert(16)),
  xmmRow('pinsrw', 'Insert word', 'sse2', ['66 0F C4 /r : Vx Ed Ib ; reg', '66 0F C4 /r : Vx Mw Ib'], insert(16)),
  xmmRow('pinsrb', 'Insert byte', 'sse41', ['66 0F 3A 20 /r : Vx Ed Ib ; reg', '66 0F 3A 20 /r : Vx Mb Ib'], insert(8)),
  xmmRow('pinsrd', 'Insert doubleword', 'sse41', ['66 0F 3A 22 /r : Vx Ed Ib'], insert(32)),
  xmmRow('pinsrq', 'Insert quadword', 'sse41', ['66 0F 3A 22 /r : Vx Eq Ib ; o64 only64'], insert(64)),
  mmxRow('pextrw', 'Extract word', 'sse', ['0F C5 /r : Gd Nq Ib ; np'], extract(16), copies),
  xmmRow('pextrw', 'Extract word', 'sse2', ['66 0F C5 /r : Gd Ux Ib'], extract(16), copies),
  xmmRow('pextrw', 'Extract word', 'sse41', ['66 0F 3A 15 /r : Mw Vx Ib', '66 0F 3A 15 /r : Ed Vx Ib ; reg asm-'], extract(16), copies),
  xmmRow('pextrb', 'Extract byte', 'sse41', ['66 0F 3A 14 /r : Mb Vx Ib', '66 0F 3A 14 /r : Ed Vx Ib ; reg'], extract(8), copies),
  xmmRow('pextrd', 'Extract doubleword', 'sse41', ['66 0F 3A 16 /r : Ed Vx Ib'], extract(32), copies),
  xmmRow('pextrq', 'Extract quadword', 'sse41', ['66 0F 3A 16 /r : Eq Vx Ib ; o64 only64'], extract(64), copies),
  xmmRow('extractps', 'Extract single', 'sse41', ['66 0F 3A 17 /r : Ed Vx Ib'], extract(32), copies),
  xmmRow('insertps', 'Insert single', 'sse41', ['66 0F 3A 21 /r : Vx Ux Ib', '66 0F 3A 21 /r : Vx Md Ib'], insertSingle),
  xmmRow('pblendw', 'Blend words', 'sse41', ['66 0F 3A 0E /r : Vx Wx Ib'], blendByImmediate(2)),
  xmmRow('blendps', 'Blend singles', 'sse41', ['66 0F 3A 0C /r : Vx Wx Ib'], blendByImmediate(4)),
  xmmRow('blendpd', 'Blend doubles', 'sse41', ['66 0F 3A 0D /r : Vx Wx Ib'], blendByImmediate(8)),
  xmmRow('pblendvb', 'Blend bytes by the signs in XMM0', 'sse41', ['66 0F 38 10 /r : Vx Wx XMM0'], blendBySigns('i8x16')),
  xmmRow('blendvps', 'Blend singles by the signs in XMM0', 'sse41', ['66 0F 38 14 /r : Vx Wx XMM0'], blendBySigns('i32x4')),
  xmmRow('blendvpd', 'Blend doubles by the signs in XMM0', 'sse41', ['66 0F 38 15 /r : Vx Wx XMM0'], blendBySigns('i64x2')),
  xmmRow('ptest', 'Test bits', 'sse41', ['66 0F 38 17 /r : Vx Wx'], test, { access: ['r', 'r'], flags: { writes: 'ZC', clears: 'OSAP' } }),
];
