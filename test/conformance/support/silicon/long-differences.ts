/** Where the processor that made the data and this machine may differ in vector and 64-bit instructions, each with its reason. */
import type { Encoding } from '../../../../src/vmm/isa/types';
import { Layout, type LongState } from './long-cases';

export interface LongDifference {
  readonly mnemonics: RegExp;
  readonly why: string;
  /** Makes `ours` what silicon answered where that may differ. */
  readonly allow: (before: LongState, silicon: LongState, ours: LongState) => void;
}

const SINGLES = 64;
/** 2 · 1.5 · 2^-12: two approximations of one number. */
const APPROXIMATION = 3 * 2 ** -12;

export const longDifferences: readonly LongDifference[] = [
  {
    mnemonics: /^nop$/,
    why: '0F 0D with a register is undefined to AMD\'s processors, a reserved NOP to Intel\'s (SDM Vol. 2, table A-3) and here',
    allow: (_before, silicon, ours) => {
      if (silicon.vector === 6 && ours.vector < 0) ours.vector = 6;
    },
  },
  {
    mnemonics: /^r(cp|sqrt)[ps]s$/,
    why: 'approximations with a relative error of at most 1.5 · 2^-12, of which every processor has its own',
    allow: (_before, silicon, ours) => {
      for (let n = 0; n < SINGLES; n++) {
        const at = Layout.xmm + 4 * n;
        const theirs = silicon.view.getFloat32(at, true), mine = ours.view.getFloat32(at, true);
        if (Math.abs(theirs - mine) <= Math.abs(mine) * APPROXIMATION) ours.view.setUint32(at, silicon.view.getUint32(at, true), true);
      }
    },
  },
];

/** Applies what is allowed; the difference that it took to make them equal. */
export function allowLong(encoding: Encoding, before: LongState, silicon: LongState, ours: LongState): LongDifference | undefined {
  let used: LongDifference | undefined;
  for (const difference of longDifferences) {
    if (!difference.mnemonics.test(encoding.instruction.mnemonic)) continue;
    const image = ours.image.slice();
    const { vector } = ours;
    difference.allow(before, silicon, ours);
    if (vector !== ours.vector || Buffer.compare(image, ours.image) !== 0) used = difference;
  }
  return used;
}
