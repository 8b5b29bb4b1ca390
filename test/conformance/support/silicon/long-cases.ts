/**
 * Shapes and cases for general, vector and MMX registers in 64-bit code: one instruction each. Case n of a shape follows from the shape's seed, so
 * that the data file holds outcomes only. Shapes without REX mean the same in 32-bit code, and are run there as well.
 */
import { Random } from './cases';

/** Offsets in the image of a processor's state, as long.c has it. */
export const Layout = { general: 0, flags: 128, mxcsr: 132, status: 136, valid: 138, xmm: 144, stack: 400, memory: 528, bytes: 656 } as const;
export const MEMORY_BYTES = 128;
export const CODE = 0x440000, DATA = 0x410000, DATA_BYTES = 0x2000;
/** Where the window of memory begins: across a page boundary, or at the end of what is mapped. */
export const windows = [DATA + 0xfc0, DATA + DATA_BYTES - MEMORY_BYTES] as const;

/** What the operands are made of. */
export const profiles = ['integer', 'single', 'double', 'count', 'string', 'general', 'strings'] as const;
export type Profile = (typeof profiles)[number];

/** Registers of a memory operand (-1: none), so that it can be placed in the window. */
export interface Place {
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  readonly bytes: number;
}

export interface LongShape {
  readonly code: Uint8Array;
  readonly profile: Profile;
  readonly window: number;
  readonly cases: number;
  readonly seed: number;
  /** Registers of the memory operand. */
  readonly place: Place | undefined;
  /** MXCSR varies, with masked and unmasked exceptions. */
  readonly floats: boolean;
}

/** Registers, flags and memory; and how the instruction ended. */
export interface LongState {
  readonly image: Uint8Array;
  readonly view: DataView;
  /** -1: no exception. */
  vector: number;
  errorCode: number;
  cr2: number;
  /** Counted from the shape's first byte. */
  rip: number;
}

export function makeLongState(): LongState {
  const image = new Uint8Array(Layout.bytes);
  return { image, view: new DataView(image.buffer), vector: -1, errorCode: 0, cr2: 0, rip: 0 };
}

const RCX = 1, RDX = 2, RSP = 4, RSI = 6, RDI = 7;
const DF = 0x400;
const integerEdges = [0, 1, 2, 0xffffffff, 0x80000000, 0x7fffffff, 0x80, 0x7f, 0x8000, 0x7fff, 0xffff, 0xff, 0x80808080, 0x80008000, 0x7fff7fff, 0x7f7f7f7f, 0xfffffffe];
const MXCSR_DEFAULT = 0x1f80;
const FLAGS = 0x202, FREE_FLAGS = 0x8d5;

const randomWide = (random: Random): bigint => (BigInt(random.next()) << 32n) | BigInt(random.next());

function integer32(random: Random): number {
  return random.chance(90) ? random.pick(integerEdges) : random.next();
}

const integer64 = (random: Random): bigint => {
  if (random.chance(60)) return random.pick([0n, 1n, 0xffffffffffffffffn, 0x8000000000000000n, 0x7fffffffffffffffn, 0xffffffff80000000n, 0x80000000n, 0xffffffffn, 0x100000000n]);
  return random.chance(60) ? BigInt(random.next() & 0xff) : (BigInt(integer32(random)) << 32n) | BigInt(integer32(random));
};

/** Numbers of one format near each other, with NaNs, infinities, denormals and the ends of the range among them. */
function float(random: Random, exponentBits: number, fractionBits: number): bigint {
  const top = (1 << exponentBits) - 1, bias = top >> 1;
  const ones = (1n << BigInt(fractionBits)) - 1n;
  const sign = BigInt(random.below(2)) << BigInt(exponentBits + fractionBits);
  let fraction = randomWide(random) & ones;
  if (random.chance(80)) fraction &= ~(ones >> BigInt(random.below(fractionBits)));
  else if (random.chance(40)) fraction = ones >> BigInt(random.below(fractionBits));
  let exponent: number;
  const kind = random.below(32);
  if (kind < 3) return sign;
  if (kind === 3) return sign | (BigInt(top) << BigInt(fractionBits));
  if (kind === 4) return sign | (BigInt(top) << BigInt(fractionBits)) | (1n << BigInt(fractionBits - 1)) | fraction;
  if (kind === 5) return sign | (BigInt(top) << BigInt(fractionBits)) | ((fraction & (ones >> 1n)) || 1n);
  if (kind === 6) return sign | (fraction || 1n);
  if (kind === 7) exponent = 1 + random.below(3);
  else if (kind === 8) exponent = top - 1 - random.below(3);
  else if (kind === 9) exponent = 1 + random.below(top - 1);
  // Whose product or quotient is near the ends.
  else if (kind === 10) exponent = (bias >> 1) + random.below(6);
  else if (kind === 11) exponent = bias + (bias >> 1) + random.below(6);
  // Where integers end.
  else if (kind < 15) exponent = bias + 28 + random.below(8);
  else if (kind === 15 && exponentBits > 8) exponent = bias + 60 + random.below(6);
  // The other format's range of exponents.
  else if (kind === 16 && exponentBits > 8) exponent = bias - 127 + random.below(8) - 4 + (random.below(2) ? 254 : 0);
  else if (kind === 17 && exponentBits > 8) exponent = bias - 149 + random.below(26);
  else exponent = bias - 3 + random.below(8);
  return sign | (BigInt(exponent) << BigInt(fractionBits)) | fraction;
}

function fill(random: Random, view: DataView, at: number, bytes: number, profile: Profile): void {
  const style = random.next() >>> 28;
  for (let n = at; n < at + bytes; n += 8) {
    let value: bigint;
    if (profile === 'single' && style < 14) value = (float(random, 8, 23) << 32n) | float(random, 8, 23);
    else if (profile === 'double' && style < 14) value = float(random, 11, 52);
    else if (profile === 'count' && style < 10) value = BigInt(n % 16 === 0 || random.chance(40) ? random.below(72) : 0);
    else if (profile === 'string' && style < 12) {
      value = 0n;
      for (let k = 0n; k < 64n; k += 8n) value |= BigInt(random.chance(24) ? 0 : random.chance(30) ? random.next() & 0xff : 0x61 + random.below(4)) << k;
      if (style < 4) value &= 0x00ff00ff00ff00ffn;
    } else value = (BigInt(integer32(random)) << 32n) | BigInt(integer32(random));
    view.setBigUint64(n, value, true);
  }
}

/** Rounding to nearest and everything masked mostly; else any mode. */
function chooseMxcsr(random: Random): number {
  const sticky = random.chance(128) ? 0x20 : random.chance(60) ? random.next() & 0x3f : 0;
  if (random.chance(110)) return MXCSR_DEFAULT | sticky;
  const modes = random.next() & 0xe040;
  const masks = random.chance(60) ? random.next() & 0x1f80 : MXCSR_DEFAULT;
  return modes | masks | sticky;
}

export function expandLong(shape: LongShape, index: number, out: LongState): void {
  const random = new Random((shape.seed + Math.imul(index, 0x3c6ef372)) | 0);
  const { view } = out;
  out.image.fill(0);
  out.vector = -1;
  out.errorCode = 0;
  out.cr2 = 0;
  out.rip = 0;
  for (let n = 0; n < 16; n++) {
    view.setBigUint64(8 * n, shape.profile === 'string' && random.chance(220) ? BigInt.asUintN(64, BigInt(random.below(40) - 20)) : integer64(random), true);
  }
  view.setUint32(Layout.flags, FLAGS | (random.next() & FREE_FLAGS), true);
  view.setUint32(Layout.mxcsr, shape.floats ? chooseMxcsr(random) : MXCSR_DEFAULT, true);
  view.setUint16(Layout.status, 0, true);
  view.setUint8(Layout.valid, random.next() & 0xff);
  fill(random, view, Layout.xmm, 256, shape.profile);
  fill(random, view, Layout.memory, MEMORY_BYTES, shape.profile);
  // Operands that are equal, or nearly: what compares and cancels.
  if (random.chance(40)) for (let n = 1; n < 16; n++) out.image.copyWithin(Layout.xmm + 16 * n, Layout.xmm, Layout.xmm + 16);
  for (let n = 0; n < 8; n++) {
    fill(random, view, Layout.stack + 16 * n, 8, shape.profile);
    view.setUint16(Layout.stack + 16 * n + 8, random.next() & 0xffff, true);
  }
  view.setBigUint64(8 * RSP, BigInt(windows[shape.window] + 64), true);
  if (shape.profile === 'general') relateRegisters(random, out);
  if (shape.profile === 'strings') {
    for (const register of [RSI, RDI]) view.setBigUint64(8 * register, BigInt(windows[shape.window] + random.below(48) + 40), true);
    view.setBigUint64(8 * RCX, BigInt(random.below(5)), true);
    if (random.chance(60)) view.setUint32(Layout.flags, view.getUint32(Layout.flags, true) | DF, true);
  }
  if (shape.place) choosePlace(random, shape, shape.place, view);
}

/** Dividends that divide, operands that are equal. */
function relateRegisters(random: Random, { view, image }: LongState): void {
  if (random.chance(128)) view.setBigUint64(8 * RDX, random.chance(128) ? 0n : 0xffffffffffffffffn, true);
  if (random.chance(40)) for (let n = 1; n < 16; n++) if (n !== RSP && random.chance(128)) image.copyWithin(8 * n, 0, 8);
  if (random.chance(60)) for (let n = 0; n < MEMORY_BYTES; n += 8) image.copyWithin(Layout.memory + n, 0, 8);
}

function choosePlace(random: Random, shape: LongShape, place: Place, view: DataView): void {
  const atEnd = shape.window === 1;
  let offset = 16 * random.below(7);
  if (random.chance(shape.profile === 'general' ? 128 : 32)) offset += 1 + random.below(15);
  // Over the end of what is mapped.
  if (atEnd) offset = MEMORY_BYTES - 16 + random.below(16) * (random.below(2));
  if (!atEnd) offset = Math.min(offset, MEMORY_BYTES - 16);
  const target = windows[shape.window] + offset;
  let rest = BigInt(target - place.displacement);
  if (place.index >= 0 && place.index !== place.base) {
    const index = BigInt(random.below(64) - 32);
    view.setBigUint64(8 * place.index, BigInt.asUintN(64, index), true);
    rest -= index << BigInt(place.scale);
  }
  if (place.base >= 0) view.setBigUint64(8 * place.base, BigInt.asUintN(64, rest), true);
}
