/**
 * Shapes and cases for general, vector and MMX registers in 64-bit code: one instruction each. Case n of a shape follows from the shape's seed, so
 * that the data file holds outcomes only. Vector shapes without REX mean the same in 16- and 32-bit code, and are run there as well.
 */
import { Random } from './cases';
import { FLAT_CODE, FLAT_DATA, ldt, LONG_CODE } from './long-segments';
import { AT, CODE, DATA, Layout, MEMORY_BYTES, windows, type LongState } from './long-layout';
import { applyRules, FRAME_BYTES, frames, stackTop, type LongRuleRow } from './long-rules';

/** What the operands are made of. */
export const profiles = ['integer', 'single', 'double', 'count', 'string', 'general', 'strings', 'state'] as const;
export type Profile = (typeof profiles)[number];

/** Registers of a memory operand (-1: none), so that it can be placed in the window. */
export interface Place {
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
  readonly bytes: number;
  /** In the stack's frame, not in the window of memory. */
  readonly inFrame?: boolean;
  /** Number of the segment register that an override names (4 or 5: FS, GS). */
  readonly segment?: number;
}

/**
 * What shapes have that go beyond straight code on registers and a window of memory: a stack of their own, rules for their inputs, where control goes,
 * segment registers.
 */
export interface System {
  readonly codeSize: 16 | 32 | 64;
  /** Index in {@link frames}. */
  readonly frame: number;
  readonly rules: readonly LongRuleRow[];
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
  readonly system?: System;
}

const RCX = 1, RDX = 2, RSP = 4, RSI = 6, RDI = 7;
const DF = 0x400;
const integerEdges = [0, 1, 2, 0xffffffff, 0x80000000, 0x7fffffff, 0x80, 0x7f, 0x8000, 0x7fff, 0xffff, 0xff, 0x80808080, 0x80008000, 0x7fff7fff, 0x7f7f7f7f, 0xfffffffe];
const MXCSR_DEFAULT = 0x1f80, CONTROL_DEFAULT = 0x37f;
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

/** Computes case `index` of a shape. Vector shapes are also run in other code than that of 64 bits. */
export function expandLong(shape: LongShape, index: number, out: LongState, code: 16 | 32 | 64 = 64): void {
  const random = new Random((shape.seed + Math.imul(index, 0x3c6ef372)) | 0);
  const { view } = out;
  out.image.fill(0);
  out.vector = -1;
  out.errorCode = 0;
  out.cr2 = 0;
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
  view.setUint16(Layout.control, CONTROL_DEFAULT, true);
  const { system } = shape;
  const codeSize = system?.codeSize ?? code;
  selectorsOf(codeSize).forEach((selector, n) => view.setUint16(Layout.selectors + 2 * n, selector, true));
  view.setBigUint64(Layout.rip, BigInt(codeSize === 16 ? AT : CODE + AT), true);
  if (system) expandSystem(random, shape, system, out);
  else if (shape.place) choosePlace(random, shape, shape.place, view);
}

function expandSystem(random: Random, shape: LongShape, { frame, rules }: System, out: LongState): void {
  const { view } = out;
  fill(random, view, Layout.frame, FRAME_BYTES, shape.profile);
  const wide = [0n, BigInt(DATA), 0x10000n, 0xfffffffffff00000n, 0x7ffffffff000n, 0xffff900000000000n];
  for (const n of [0, 8]) view.setBigUint64(Layout.bases + n, random.pick(wide), true);
  view.setBigUint64(8 * RSP, BigInt(stackTop(random, frame)), true);
  const operand = shape.place ? choosePlace(random, shape, shape.place, view) : 0;
  applyRules(random, rules, out, frame, operand, windows[shape.window]);
}

/** ES CS SS DS FS GS of Linux's processes; the last two are null in a 64-bit one, which has their bases only. */
export function selectorsOf(codeSize: 16 | 32 | 64): readonly number[] {
  return [FLAT_DATA, codeSize === 64 ? LONG_CODE : codeSize === 32 ? FLAT_CODE : ldt(1), FLAT_DATA, FLAT_DATA, 0, 0];
}

/** Dividends that divide, operands that are equal. */
function relateRegisters(random: Random, { view, image }: LongState): void {
  if (random.chance(128)) view.setBigUint64(8 * RDX, random.chance(128) ? 0n : 0xffffffffffffffffn, true);
  if (random.chance(40)) for (let n = 1; n < 16; n++) if (n !== RSP && random.chance(128)) image.copyWithin(8 * n, 0, 8);
  if (random.chance(60)) for (let n = 0; n < MEMORY_BYTES; n += 8) image.copyWithin(Layout.memory + n, 0, 8);
}

/** Returns the operand's linear address. */
function choosePlace(random: Random, shape: LongShape, place: Place, view: DataView): number {
  // RIP-relative: where it is, it stays.
  if (place.base < 0 && place.index < 0) return place.displacement;
  const atEnd = shape.window === 1;
  let offset = 16 * random.below(7);
  if (random.chance(shape.profile === 'general' ? 128 : 32)) offset += 1 + random.below(15);
  // Over the end of what is mapped.
  if (atEnd) offset = MEMORY_BYTES - 16 + random.below(16) * (random.below(2));
  if (!atEnd) offset = Math.min(offset, MEMORY_BYTES - 16);
  let target = windows[shape.window] + offset;
  if (place.inFrame) target = frames[shape.system?.frame ?? 0] + (random.chance(230) ? 0 : random.below(16));
  let rest = BigInt(target - place.displacement);
  if (place.segment) rest -= view.getBigUint64(Layout.bases + 8 * (place.segment - 4), true);
  if (place.index >= 0 && place.index !== place.base) {
    const index = BigInt(random.below(64) - 32);
    view.setBigUint64(8 * place.index, BigInt.asUintN(64, index), true);
    rest -= index << BigInt(place.scale);
  }
  if (place.base >= 0) view.setBigUint64(8 * place.base, BigInt.asUintN(64, rest), true);
  return target;
}
