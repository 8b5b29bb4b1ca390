/**
 * Shapes and their cases. A shape is a piece of code with rules for its inputs; case n of a shape is computed from the shape's seed, so that
 * the data files hold outputs only.
 */
import { CODE, IMAGE_BYTES, LANDING, codeSelectorList, imageOffset, modes, segmentBase, selectorList, type ModeName } from './world';

/** xorshift32 over a mixed seed. */
export class Random {
  private state: number;
  constructor(seed: number) {
    let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    this.state = (x ^ (x >>> 16)) | 0 || 1;
  }
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }
  below(limit: number): number { return Math.floor((this.next() / 0x100000000) * limit); }
  /** True in `share` of 256 cases. */
  chance(share: number): boolean { return this.next() >>> 24 < share; }
  pick<T>(list: readonly T[]): T { return list[this.below(list.length)]; }
}

export const enum Rule {
  /** [register, bits, base, mask, chance]: the low bits of a register become base + (random & mask). */
  Set,
  /** [to, from, chance]: one register takes another's value. */
  Copy,
  /** [register, bits, list, chance]: a selector from a list (0 data, 1 code). */
  Selector,
  /** [segment, bits, base, index, scale, displacement, alignment]: registers of a memory operand (-1: none) so that it lands in a window. */
  Address,
  /** [register, segment, bits, reach]: a pointer with `reach` bytes around it. */
  Pointer,
  /** [place, offset, bytes, base, mask, chance]: memory at the stack's top (0) or the last address (1) becomes base + (random & mask). */
  Poke,
  /** [place, offset, bytes, register, chance]. */
  PokeRegister,
  /** [place, offset, list, chance]. */
  PokeSelector,
}

export interface Shape {
  readonly mode: ModeName;
  readonly code: Uint8Array;
  /** Offset of the code in the code pages. */
  readonly at: number;
  readonly cases: number;
  readonly seed: number;
  readonly rules: readonly (readonly number[])[];
}

export interface Input {
  readonly general: Uint32Array;
  eip: number;
  eflags: number;
  readonly image: Uint8Array;
}

export function makeInput(): Input {
  return { general: new Uint32Array(8), eip: 0, eflags: 0, image: new Uint8Array(IMAGE_BYTES) };
}

const edges = [
  0, 1, 2, 0xffffffff, 0x80000000, 0x7fffffff, 0x80, 0x7f, 0xff, 0x8000, 0x7fff, 0xffff, 0x10000, 0xfffffffe, 0x80808080, 0x00ff00ff,
  0x0f, 0x10, 0x99, 0x9a, 0xffffff80, 0xffff8000, 0x55555555, 0xaaaaaaaa,
];
const ESP = 4;
const SS = 2;
/** Bit 1, IF, and the flags that instructions under test may find in any state. */
const FIXED_FLAGS = 0x202;
const FREE_FLAGS = 0xcd5;

function value(random: Random): number {
  const kind = random.next() >>> 28;
  if (kind < 7) return edges[random.below(edges.length)];
  if (kind < 10) return random.next() & 0xff;
  return random.next();
}

/** A linear address near or at the edges of data or stack windows. */
function target(random: Random, mode: ModeName, segment: number, alignment: number): number {
  const edge = random.chance(24);
  const r = random.next();
  let linear: number;
  if (mode === 'wrapped16' && segment <= 3) linear = (segmentBase(mode, segment) + ((((r >>> 8) % 96) - 48) & 0xffff)) >>> 0;
  else if (segment === SS) linear = edge ? (r & 1 ? 0x420000 + ((r >>> 8) % 40) : 0x421fd8 + ((r >>> 8) % 44)) : 0x420fd0 + ((r >>> 8) % 96);
  else linear = edge ? (r & 1 ? 0x40fffc + ((r >>> 8) % 24) : 0x411fe8 + ((r >>> 8) % 28)) : 0x410fd0 + ((r >>> 8) % 96);
  return alignment > 1 && !edge && (r >>> 4 & 3) !== 0 ? linear - (linear % alignment) : linear;
}

const maskOf = (bits: number): number => (bits === 32 ? 0xffffffff : 2 ** bits - 1);

/** Computes case `index` of a shape into `out`. */
export function expand(shape: Shape, index: number, out: Input): Input {
  const random = new Random((shape.seed + Math.imul(index, 0x3c6ef372)) | 0);
  const { general, image } = out;
  const { mode } = shape;
  for (let n = 0; n < 8; n++) general[n] = value(random);
  out.eip = (CODE + shape.at - segmentBase(mode, 1)) >>> 0;
  out.eflags = FIXED_FLAGS | (random.next() & FREE_FLAGS);
  fillImage(random, image, general[0]);
  const setLow = (register: number, bits: number, low: number): void => {
    const mask = maskOf(bits);
    general[register] = ((general[register] & ~mask) | (low & mask)) >>> 0;
  };
  // The stack is always usable.
  const stackSize = modes[mode].stackSize;
  setLow(ESP, stackSize, target(random, mode, SS, stackSize / 8) - segmentBase(mode, SS));
  let place = 0;
  const poke = (where: number, offset: number, bytes: number, stored: number): void => {
    const from = where === 0 ? segmentBase(mode, SS) + (general[ESP] & maskOf(stackSize)) : place;
    for (let n = 0; n < bytes; n++) {
      const at = imageOffset((from + offset + n) >>> 0);
      if (at >= 0) image[at] = stored >>> (8 * n);
    }
  };
  for (const rule of shape.rules) {
    const [kind, a, b, c, d, e, f, g] = rule;
    switch (kind as Rule) {
      case Rule.Set:
        if (random.chance(e)) setLow(a, b, c + (random.next() & d));
        break;
      case Rule.Copy:
        if (random.chance(c)) general[a] = general[b];
        break;
      case Rule.Selector:
        if (random.chance(d)) setLow(a, b, random.pick(c === 0 ? selectorList : codeSelectorList));
        break;
      case Rule.Pointer: {
        const linear = target(random, mode, b, 4);
        setLow(a, c, linear - segmentBase(mode, b));
        place = linear;
        break;
      }
      case Rule.Address:
        place = addressOperand(random, mode, general, setLow, a, b, c, d, e, f, g);
        break;
      case Rule.Poke:
        if (random.chance(f)) poke(a, b, c, d + (random.next() & e));
        break;
      case Rule.PokeRegister:
        if (random.chance(e)) poke(a, b, c, general[d]);
        break;
      case Rule.PokeSelector:
        if (random.chance(d)) poke(a, b, 2, random.pick(c === 0 ? selectorList : codeSelectorList));
        break;
    }
  }
  return out;
}

function addressOperand(
  random: Random, mode: ModeName, general: Uint32Array, setLow: (register: number, bits: number, low: number) => void,
  segment: number, bits: number, base: number, index: number, scale: number, displacement: number, alignment: number,
): number {
  const mask = maskOf(bits);
  const segmentStart = segmentBase(mode, segment);
  const offset = target(random, mode, segment, alignment) - segmentStart;
  const movable = base >= 0 && base !== ESP;
  if (index >= 0 && index !== base && movable) setLow(index, bits, random.chance(128) ? random.next() & 0xf : random.next());
  const indexPart = () => (index < 0 ? 0 : Math.imul(general[index], 1 << scale));
  if (movable && index === base) setLow(base, bits, Math.floor(((offset - displacement) & mask) / (1 + (1 << scale))));
  else if (movable) setLow(base, bits, offset - displacement - indexPart());
  else if (base === ESP && index >= 0) setLow(index, bits, random.next() & 3);
  else if (index >= 0) setLow(index, bits, ((offset - displacement) & mask) >>> scale);
  const final = (displacement + (base >= 0 ? general[base] : 0) + indexPart()) & mask;
  return (segmentStart + (final >>> 0)) >>> 0;
}

/** Random bytes; or edge values; or copies of one value with faults, which string compares find equal for a while. */
function fillImage(random: Random, image: Uint8Array, repeated: number): void {
  const words = new Uint32Array(image.buffer, image.byteOffset, image.length / 4);
  const style = random.next() >>> 30;
  for (let n = 0; n < words.length; n++) {
    const r = random.next();
    if (style < 2) words[n] = r;
    else if (style === 2) words[n] = edges[(r >>> 8) % edges.length];
    else words[n] = (r & 0xf000) === 0 ? repeated ^ (1 << (r & 31)) : repeated;
  }
}

export const landingOffset = (random: Random): number => LANDING + random.below(64);
