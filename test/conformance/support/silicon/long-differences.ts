/** Where the processor that made the data and this machine may differ in vector and 64-bit instructions, each with its reason. */
import type { Encoding } from '../../../../src/vmm/isa/types';
import { FRAME_BYTES, frames } from './long-rules';
import { Layout, type LongState } from './long-layout';

export interface LongDifference {
  readonly mnemonics: RegExp;
  readonly why: string;
  /** Makes `ours` what silicon answered where that may differ. */
  readonly allow: (before: LongState, silicon: LongState, ours: LongState) => void;
}

const PAGE_FAULT = 14, GENERAL_PROTECTION = 13;
const STACK_END = frames[1] + FRAME_BYTES;
const SINGLES = 64;
/** 2 · 1.5 · 2^-12: two approximations of one number. */
const APPROXIMATION = 3 * 2 ** -12;

export const longDifferences: readonly LongDifference[] = [
  {
    mnemonics: /^(enter|call)$/,
    why: 'when it faults half-way, what it has already pushed may stand in memory below the stack pointer; here nothing does',
    allow: (_before, silicon, ours) => {
      if (silicon.vector >= 0 && silicon.vector === ours.vector) ours.image.set(silicon.image.subarray(Layout.frame), Layout.frame);
    },
  },
  {
    mnemonics: /^(call|retf|iret[wdq])$/,
    why: 'of two faults, the stack\'s page and the target, this processor finds the stack first',
    allow: (_before, silicon, ours) => {
      if (silicon.vector !== PAGE_FAULT || ours.vector !== GENERAL_PROTECTION || silicon.cr2 - STACK_END > 40) return;
      ours.vector = PAGE_FAULT;
      ours.errorCode = silicon.errorCode;
      ours.cr2 = silicon.cr2;
    },
  },
  {
    mnemonics: /^(ins|outs)[bwd]$/,
    why: 'with a repeat count of 0 this processor still asks for I/O permission',
    allow: (_before, silicon, ours) => {
      if (silicon.vector === GENERAL_PROTECTION && ours.vector < 0) ours.vector = GENERAL_PROTECTION;
    },
  },
  {
    mnemonics: /^iret[wdq]$/,
    why: 'of two faults, the new stack\'s selector and a target beyond the limit of its segment, this processor finds the target first',
    allow: (_before, silicon, ours) => {
      if (silicon.vector === GENERAL_PROTECTION && silicon.errorCode === 0 && ours.vector === GENERAL_PROTECTION) ours.errorCode = 0;
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
    const { vector, errorCode } = ours;
    difference.allow(before, silicon, ours);
    if (vector !== ours.vector || errorCode !== ours.errorCode || Buffer.compare(image, ours.image) !== 0) used = difference;
  }
  return used;
}
