/** Rules for the inputs of shapes with a stack of their own and control transfers: numbers, so that the data file can hold them. */
import type { Random } from './cases';
import { AT, CODE, DATA, Layout, MEMORY_BYTES, type LongState } from './long-layout';
import { codeSelectors, dataSelectors, stackSelectors, usableSelectors } from './long-segments';

const STACK = 0x420000, STACK_BYTES = 0x2000;
export const FRAME_BYTES = 512;
/** The stack's windows: across a page boundary, at the end and at the beginning of what is mapped. */
export const frames = [STACK + 0xf00, STACK + STACK_BYTES - FRAME_BYTES, STACK] as const;

/** Where RSP begins: room for a deep ENTER below it; or near the end that a push or a pop runs over. */
export function stackTop(random: Random, frame: number): number {
  const start = frames[frame];
  if (frame === 1) return start + FRAME_BYTES - random.below(6) * 8 - (random.chance(40) ? random.below(8) : 0);
  if (frame === 2) return start + random.below(5) * 8 + (random.chance(40) ? random.below(8) : 0);
  return start + 336 + 8 * random.below(8) + (random.chance(40) ? random.below(8) : 0);
}

/** Where control may go: offset in the code page, 64 bytes. */
export const LANDING = 0x800;

export const enum LongRule {
  /** [register, bits, base, mask, chance]: the low bits of a register become base + (random & mask). */
  Set,
  /** [register]: a pointer into the frame, for RBP. */
  Frame,
  /** [register]: where a near transfer goes. */
  Target,
  /** [place, offset, bytes, base, mask, chance]: memory at the stack's top (0), at the operand (1), or where the frame begins (2). */
  Poke,
  /** [place, offset, list, chance]: a selector of one of the lists. */
  PokeSelector,
  /** [place, offset, bytes]: where a near transfer goes. */
  PokeTarget,
  /** [register, list]. */
  Selector,
  /** [register]: a base for WRFSBASE, now and then not canonical. */
  Base,
  /** [offset in the image, bytes, base, mask, chance]: control and status words, RIP. */
  Image,
  /** [segment register, list]: what it holds. */
  Segment,
}
export type LongRuleRow = readonly number[];

const lists = [dataSelectors, codeSelectors, stackSelectors, usableSelectors] as const;
export const enum Selectors { Data, Code, Stack, Usable }
const NOT_CANONICAL = 0x800000000000n;
const bases = [0n, 1n, BigInt(DATA), 0x7fffffffffffn, 0xffff800000000000n, 0xffffffffffffffffn, NOT_CANONICAL, 0xffff7fffffffffffn, 0x123456789abcdef0n, 0x80000000n];

/** Mostly the landing; else a page that is not there, one that is not code, an address that is not canonical. */
function target(random: Random): bigint {
  if (random.chance(230)) return BigInt(CODE + LANDING + random.below(64));
  return random.pick([0x5000n, BigInt(DATA + 16), NOT_CANONICAL + 0x1000n]);
}

export function applyRules(random: Random, rules: readonly LongRuleRow[], out: LongState, frame: number, operand: number, window: number): void {
  const { view } = out;
  const poke = (place: number, offset: number, bytes: number, value: bigint): void => {
    const linear = (place === 0 ? Number(view.getBigUint64(32, true)) : place === 1 ? operand : frames[frame]) + offset;
    for (let n = 0; n < bytes; n++) {
      const inFrame = linear + n - frames[frame], inWindow = linear + n - window;
      const at = inFrame >= 0 && inFrame < FRAME_BYTES ? Layout.frame + inFrame : inWindow >= 0 && inWindow < MEMORY_BYTES ? Layout.memory + inWindow : -1;
      if (at >= 0) view.setUint8(at, Number(value >> BigInt(8 * n) & 0xffn));
    }
  };
  const setLow = (register: number, bits: number, value: bigint): void => {
    const mask = (1n << BigInt(bits)) - 1n;
    view.setBigUint64(8 * register, view.getBigUint64(8 * register, true) & ~mask | value & mask, true);
  };
  const chosen = (base: number, mask: number): bigint => BigInt(base + ((random.next() & mask) >>> 0));
  for (const [kind, a, b, c, d, e, f] of rules) {
    switch (kind as LongRule) {
      case LongRule.Set:
        if (random.chance(e)) setLow(a, b, chosen(c, d));
        break;
      case LongRule.Frame:
        setLow(a, 64, BigInt(frames[frame] + (frame === 1 ? FRAME_BYTES - 8 * random.below(6) : frame === 2 ? 8 * random.below(6) : 300 + 8 * random.below(12)) + (random.chance(30) ? random.below(8) : 0)));
        break;
      case LongRule.Target:
        setLow(a, 64, target(random));
        break;
      case LongRule.Poke: {
        const value = chosen(d, e);
        if (random.chance(f)) poke(a, b, c, value);
        break;
      }
      case LongRule.PokeSelector:
        if (random.chance(d)) poke(a, b, 2, BigInt(random.pick(lists[c])));
        break;
      case LongRule.PokeTarget:
        poke(a, b, c, target(random));
        break;
      case LongRule.Selector:
        setLow(a, 16, BigInt(random.pick(lists[b])));
        break;
      case LongRule.Base:
        setLow(a, 64, random.pick(bases));
        break;
      case LongRule.Image: {
        const value = chosen(c, d);
        if (random.chance(e)) for (let n = 0; n < b; n++) view.setUint8(a + n, Number(value >> BigInt(8 * n) & 0xffn));
        break;
      }
      case LongRule.Segment:
        view.setUint16(Layout.selectors + 2 * a, random.pick(lists[b]), true);
        break;
    }
  }
}

/** Offset of the landing behind the end of an instruction that a shape begins with. */
export const toLanding = (random: Random, length: number): number => LANDING + random.below(64) - AT - length;
