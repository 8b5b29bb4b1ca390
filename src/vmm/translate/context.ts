/**
 * Translation contexts: what a unit depends on besides its bytes: code and stack size, whether segments are flat, CS base and limit, and how
 * the debugger wants to run. Contexts are interned; a unit belongs to one and is found only under it.
 */
import { Attribute, Efer } from '../cpu/bits';
import { EFER, EIP, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, Segment } from '../cpu/layout';
import type { CpuState } from '../cpu/state';
import { Stack } from './forms';

/** How units are cut: as long as they may be; one instruction each; one instruction each and blind to breakpoints (stepping over one). */
export type Cut = 'full' | 'single' | 'step';

const CUTS: readonly Cut[] = ['full', 'single', 'step'];

export interface TranslationContext {
  readonly id: number;
  /** The CONTEXT word: the id, or one for all 64-bit code that is cut alike (the jump cache compares whole addresses there). */
  readonly word: number;
  readonly codeSize: 16 | 32 | 64;
  readonly stack: Stack;
  readonly flat: boolean;
  readonly csBase: number;
  readonly csLimit: number;
  /** Bits 63–32 of the addresses of 64-bit code; 0 otherwise. */
  readonly codeHigh: number;
  readonly cut: Cut;
}

/** 64-bit code: CS.L in long mode. */
export function isLongCode(state: CpuState): boolean {
  return (state.u32[EFER >> 2] & Efer.LMA) !== 0 && (state.attributes(Segment.CS) & Attribute.L) !== 0;
}

/** A guest that makes more (every real-mode CS base is one, every 4 GiB of 64-bit code) makes the translator start over. */
export const CONTEXTS_MAX = 8192;

/** CONTEXT words of 64-bit code begin here. */
const LONG_WORDS = CONTEXTS_MAX + 1;
const FLAT_LIMIT = 0xffffffff;

function isFlatData(state: CpuState, n: Segment): boolean {
  const quick = SEGMENTS + n * SEGMENT_SIZE;
  // Flat, readable and writable: both quick ranges are those of a 4 GiB segment (an expand-down segment starts above 0).
  return state.base(n) === 0 && state.limit(n) === FLAT_LIMIT
    && state.u32[(quick + SEGMENT_FIELDS.low) >> 2] === 0
    && state.u32[(quick + SEGMENT_FIELDS.readQuick) >> 2] !== 0 && state.u32[(quick + SEGMENT_FIELDS.writeQuick) >> 2] !== 0;
}

export class ContextTable {
  /** By CS base and kind, then by CS limit. Real-mode code changes CS with every interrupt: this is asked often. */
  private readonly byKey = new Map<number, Map<number, TranslationContext>>();
  /** Those of 64-bit code, by cut and upper half of the address. */
  private readonly long = new Map<number, TranslationContext>();
  private readonly list: TranslationContext[] = [];

  /** The context of the present processor state. Undefined when the table is full: forget all translations and `clear`. */
  intern(state: CpuState, cut: Cut): TranslationContext | undefined {
    if (isLongCode(state)) return this.internLong(state.u32[(EIP >> 2) + 1], cut);
    const codeSize = state.attributes(Segment.CS) & Attribute.DB ? 32 : 16;
    const stackBig = (state.attributes(Segment.SS) & Attribute.DB) !== 0;
    const csBase = state.base(Segment.CS);
    const csLimit = state.limit(Segment.CS);
    const flat = codeSize === 32 && stackBig && csBase === 0 && csLimit === FLAT_LIMIT
      && isFlatData(state, Segment.ES) && isFlatData(state, Segment.SS) && isFlatData(state, Segment.DS);
    const stack = flat ? Stack.Flat : stackBig ? Stack.Segmented32 : Stack.Segmented16;
    const key = ((csBase * CUTS.length + CUTS.indexOf(cut)) * 4 + stack) * 2 + (codeSize === 32 ? 1 : 0);
    let byLimit = this.byKey.get(key);
    const known = byLimit?.get(csLimit);
    if (known) return known;
    if (this.list.length >= CONTEXTS_MAX) return undefined;
    const id = this.list.length + 1;
    const made: TranslationContext = { id, word: id, codeSize, stack, flat, csBase, csLimit, codeHigh: 0, cut };
    this.list.push(made);
    if (!byLimit) {
      byLimit = new Map();
      this.byKey.set(key, byLimit);
    }
    byLimit.set(csLimit, made);
    return made;
  }

  /** The context of 64-bit code between `codeHigh` × 4 GiB and the next multiple. */
  internLong(codeHigh: number, cut: Cut): TranslationContext | undefined {
    const key = codeHigh * CUTS.length + CUTS.indexOf(cut);
    const known = this.long.get(key);
    if (known) return known;
    if (this.list.length >= CONTEXTS_MAX) return undefined;
    const word = LONG_WORDS + CUTS.indexOf(cut);
    const made: TranslationContext = {
      id: this.list.length + 1, word, codeSize: 64, stack: Stack.Flat, flat: true, csBase: 0, csLimit: Infinity, codeHigh, cut,
    };
    this.list.push(made);
    this.long.set(key, made);
    return made;
  }

  clear(): void {
    this.long.clear();
    this.byKey.clear();
    this.list.length = 0;
  }
}
