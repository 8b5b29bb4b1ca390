/**
 * Shapes and cases of x87 instructions: one instruction each, its memory operand at [rDI]. Case n of a shape follows from the shape's seed, so
 * that the data file holds outcomes only.
 */
import { Random } from './cases';

/** What the processor looks like before and after an instruction. */
export interface X87State {
  control: number;
  /** With TOP. */
  status: number;
  /** Bit n: physical register Rn is empty. */
  empty: number;
  /** R0–R7, ten bytes each. */
  readonly registers: Uint8Array;
  /** The arithmetic flags of EFLAGS. */
  flags: number;
  ax: number;
  readonly memory: Uint8Array;
}

export const MEMORY_BYTES = 112;
export const FLAGS = 0x8d5;
export const makeState = (): X87State =>
  ({ control: 0, status: 0, empty: 0, registers: new Uint8Array(80), flags: 0, ax: 0, memory: new Uint8Array(MEMORY_BYTES) });

/** Which operands make an instruction show what it can do. */
export const profiles = ['any', 'near', 'trigonometric', 'small', 'scale', 'remainder', 'integer', 'positive', 'control'] as const;
export type Profile = (typeof profiles)[number];
/** What stands in memory. */
export const contents = ['none', 'single', 'double', 'extended', 'integer16', 'integer32', 'integer64', 'decimal', 'control', 'image16', 'image32', 'save16', 'save32'] as const;
export type Content = (typeof contents)[number];

export interface X87Shape {
  readonly code: Uint8Array;
  readonly content: Content;
  readonly profile: Profile;
  readonly cases: number;
  readonly seed: number;
}

const BIAS = 0x3fff;

function random64(random: Random): bigint {
  return BigInt(random.next()) << 32n | BigInt(random.next());
}

/** A significand without its integer bit: the patterns at which rounding decides, and random ones. */
function fraction(random: Random): bigint {
  const ones = (1n << 63n) - 1n;
  switch (random.below(10)) {
    case 0: return 0n;
    case 1: return ones;
    case 2: return 1n << BigInt(random.below(63));
    // Half-way and around it for 24 and 53 bits.
    case 3: return random64(random) & ones & ~((1n << 40n) - 1n) | (1n << 39n) + BigInt(random.below(3) - 1);
    case 4: return random64(random) & ones & ~((1n << 11n) - 1n) | (1n << 10n) + BigInt(random.below(3) - 1);
    // Exactly a single or a double.
    case 5: return random64(random) & ones & ~((1n << 40n) - 1n);
    case 6: return random64(random) & ones & ~((1n << 11n) - 1n);
    // Long runs.
    case 7: return ones >> BigInt(random.below(63));
    default: return random64(random) & ones;
  }
}

interface Parts {
  sign: number;
  exponent: number;
  significand: bigint;
}

/** A finite number with an unbiased exponent. */
function finite(random: Random, exponent: number): Parts {
  return { sign: random.below(2), exponent: exponent + BIAS, significand: 1n << 63n | fraction(random) };
}

function special(random: Random): Parts {
  const sign = random.below(2);
  const integer = 1n << 63n;
  switch (random.below(14)) {
    case 0: case 1: case 2: return { sign, exponent: 0, significand: 0n };
    case 3: case 4: return { sign, exponent: 0x7fff, significand: integer };
    case 5: return { sign, exponent: 0x7fff, significand: integer | 1n << 62n | fraction(random) >> 1n };
    case 6: return { sign, exponent: 0x7fff, significand: integer | (fraction(random) >> 1n || 1n) };
    case 7: return { sign: 1, exponent: 0x7fff, significand: 3n << 62n };
    // Denormals, pseudo-denormals.
    case 8: return { sign, exponent: 0, significand: fraction(random) || 1n };
    case 9: return { sign, exponent: 0, significand: integer | fraction(random) };
    // Pseudo-infinity, pseudo-NaN, unnormals.
    case 10: return { sign, exponent: 0x7fff, significand: random.below(2) ? 0n : fraction(random) };
    case 11: return { sign, exponent: 1 + random.below(0x7ffe), significand: fraction(random) };
    // The ends of the range.
    case 12: return { sign, exponent: 1 + random.below(3), significand: integer | fraction(random) };
    default: return { sign, exponent: 0x7ffe - random.below(3), significand: integer | fraction(random) };
  }
}

/** An operand; `other` is the one it will meet. */
function operand(random: Random, profile: Profile, position: number, other: Parts | undefined): Parts {
  if (random.chance(36)) return special(random);
  switch (profile) {
    case 'near':
      if (other && other.exponent !== 0 && other.exponent !== 0x7fff && random.chance(200)) {
        const apart = random.chance(128) ? random.below(5) - 2 : random.below(140) - 70;
        const number = finite(random, Math.max(1, Math.min(0x7ffe, other.exponent + apart)) - BIAS);
        if (random.chance(24)) number.significand = other.significand | 1n << 63n;
        return number;
      }
      return random.chance(200) ? finite(random, random.below(80) - 40) : finite(random, random.below(0x7ffe) + 1 - BIAS);
    case 'trigonometric': return finite(random, random.chance(40) ? random.below(140) - 72 : random.chance(128) ? random.below(8) - 5 : random.below(36) - 30);
    case 'small': return finite(random, position === 0 ? (random.chance(220) ? -1 - random.below(random.chance(128) ? 6 : 72) : random.below(4) - 1) : random.below(60) - 30);
    case 'scale': return position === 0 ? finite(random, random.below(0x7ffe) + 1 - BIAS) : finite(random, random.chance(200) ? random.below(16) - 2 : random.below(40));
    case 'remainder': {
      if (!other || other.exponent === 0 || other.exponent === 0x7fff) return finite(random, random.below(100) - 50);
      const apart = random.chance(150) ? random.below(8) - 3 : random.chance(128) ? random.below(70) : random.below(400);
      return finite(random, Math.max(1, Math.min(0x7ffe, other.exponent + (position === 0 ? apart : -apart))) - BIAS);
    }
    case 'integer': return finite(random, random.below(72) - 4);
    case 'positive': {
      const number = finite(random, random.chance(150) ? random.below(4) - 2 : random.below(200) - 100);
      if (position === 0 && random.chance(230)) number.sign = 0;
      return number;
    }
    default: return finite(random, random.chance(200) ? random.below(80) - 40 : random.below(0x7ffe) + 1 - BIAS);
  }
}

function put(bytes: Uint8Array, at: number, value: bigint, length: number): void {
  for (let n = 0; n < length; n++) bytes[at + n] = Number(value >> BigInt(8 * n) & 0xffn);
}
const putParts = (bytes: Uint8Array, at: number, { sign, exponent, significand }: Parts): void =>
  put(bytes, at, BigInt(sign << 15 | exponent) << 64n | significand, 10);

/** A single or double: its own edges, or something near the number that it will meet. */
function narrow(random: Random, exponentBits: number, fractionBits: number, other: Parts | undefined): bigint {
  const sign = BigInt(random.below(2)) << BigInt(exponentBits + fractionBits);
  const top = (1 << exponentBits) - 1;
  const bits = fraction(random) >> BigInt(63 - fractionBits);
  const make = (exponent: number, fractionPart: bigint) => sign | BigInt(exponent) << BigInt(fractionBits) | fractionPart;
  if (random.chance(48)) {
    switch (random.below(7)) {
      case 0: case 1: return make(0, 0n);
      case 2: return make(0, bits || 1n);
      case 3: return make(top, 0n);
      case 4: return make(top, bits || 1n);
      case 5: return make(top - 1, bits);
      default: return make(1, bits);
    }
  }
  const near = other && other.exponent !== 0x7fff ? other.exponent - BIAS + (top >> 1) + random.below(9) - 4 : (top >> 1) + random.below(60) - 30;
  return make(Math.max(1, Math.min(top - 1, near)), bits);
}

function integer(random: Random, bits: number): bigint {
  const edges = [0n, 1n, -1n, (1n << BigInt(bits - 1)) - 1n, -(1n << BigInt(bits - 1)), 100n];
  return BigInt.asUintN(bits, random.chance(80) ? edges[random.below(edges.length)] : random64(random) >> BigInt(random.below(64)));
}

function fillMemory(random: Random, content: Content, state: X87State, other: Parts | undefined): void {
  const { memory } = state;
  for (let n = 0; n < memory.length; n++) memory[n] = 0xa5 ^ n;
  switch (content) {
    case 'none': break;
    case 'single': put(memory, 0, narrow(random, 8, 23, other), 4); break;
    case 'double': put(memory, 0, narrow(random, 11, 52, other), 8); break;
    case 'extended': putParts(memory, 0, operand(random, 'any', 0, undefined)); break;
    case 'integer16': put(memory, 0, integer(random, 16), 2); break;
    case 'integer32': put(memory, 0, integer(random, 32), 4); break;
    case 'integer64': put(memory, 0, integer(random, 64), 8); break;
    case 'decimal': {
      for (let n = 0; n < 9; n++) memory[n] = random.below(10) << 4 | random.below(10);
      if (random.chance(80)) memory.fill(0, random.below(9), 9);
      memory[9] = random.below(2) << 7;
      break;
    }
    case 'control': put(memory, 0, BigInt(random.below(0x10000)), 2); break;
    default: {
      const bytes = content.endsWith('16') ? 2 : 4;
      const words = [random.below(0x10000), random.below(0x10000), random.below(0x10000)];
      words.forEach((word, n) => put(memory, n * bytes, BigInt(word), 2));
      for (let n = 3 * bytes; n < 7 * bytes; n++) memory[n] = random.below(256);
      for (let n = 0; n < 8; n++) putParts(memory, 7 * bytes + 10 * n, operand(random, 'any', 0, undefined));
    }
  }
}

/** Fills in case `index` of a shape. */
export function expandX87(shape: X87Shape, index: number, state: X87State): void {
  const random = new Random(shape.seed + Math.imul(index, 0x9e3779b1));
  const masks = random.chance(150) ? 0x3f : random.below(0x40);
  const precision = random.chance(128) ? 3 : random.chance(200) ? random.below(2) * 2 : random.below(4);
  state.control = 0x40 | masks | precision << 8 | random.below(4) << 10 | (random.chance(8) ? 0x1000 : 0);
  const top = random.below(8);
  // What is already reported is masked: nothing is pending.
  const reported = random.chance(100) ? random.below(0x40) & masks : 0;
  state.status = reported | (random.chance(30) && reported & 1 ? 0x40 : 0) | (random.chance(128) ? random.below(8) << 8 | random.below(2) << 14 : 0) | top << 11;
  if (random.chance(24)) state.empty = random.below(0x100);
  else {
    // A stack of some depth.
    const depth = random.chance(12) ? 8 : 2 + random.below(6);
    state.empty = 0;
    for (let i = depth; i < 8; i++) state.empty |= 1 << ((top + i) & 7);
    // The register that the instruction names is mostly there.
    const named = shape.code[1] & 7;
    if (shape.code[1] >= 0xc0 && shape.code[1] < 0xe0 && random.chance(240)) state.empty &= ~(1 << ((top + named) & 7));
  }
  const named = shape.code[1] >= 0xc0 ? shape.code[1] & 7 : 1;
  const first = operand(random, shape.profile, 0, undefined);
  const second = operand(random, shape.profile, 1, first);
  for (let i = 0; i < 8; i++) {
    putParts(state.registers, 10 * ((top + i) & 7), i === 0 ? first : i === named || i === 1 ? second : operand(random, 'any', 2, undefined));
  }
  state.flags = random.next() & FLAGS;
  state.ax = random.below(0x10000);
  fillMemory(random, shape.content, state, first);
}

/**
 * What the processor stored as the last instruction's and operand's addresses belongs to the harness (and AMD's processors store it only with an
 * exception pending): taken out of memory images, `after` as if nothing had been stored there.
 */
export function blankPointers({ code }: X87Shape, before: X87State, after: X87State): void {
  const narrow = code[0] === 0x66;
  const [opcode, modrm] = narrow ? code.subarray(1) : code;
  if ((opcode !== 0xd9 && opcode !== 0xdd) || (modrm >> 3 & 7) !== 6 || modrm >= 0xc0) return;
  const [from, to] = narrow ? [6, 14] : [12, 28];
  for (let n = from; n < to; n++) after.memory[n] = before.memory[n];
}
