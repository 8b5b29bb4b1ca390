/** Where the processor that made the x87 data and this machine may differ, each with its reason. */
import type { Encoding } from '../../../../src/vmm/isa/types';
import type { X87State } from './x87-cases';

/** These have cases in another suite (silicon-states.test.ts): they can fault, and what FXSAVE stores depends on the code. */
export const ofStates: ReadonlySet<string> = new Set(['wait', 'fxsave', 'fxrstor', 'fxsave64', 'fxrstor64']);

export interface Difference {
  readonly mnemonics: RegExp;
  readonly why: string;
  /** Makes `ours` what silicon answered, if the difference is the allowed one. */
  readonly allow: (before: X87State, silicon: X87State, ours: X87State) => boolean;
}

const C1 = 0x200;

/** Magnitude of a register's bits as one number, in which neighbours differ by one. */
function ordinal(state: X87State, n: number): bigint {
  const view = new DataView(state.registers.buffer, state.registers.byteOffset + 10 * n);
  const exponent = view.getUint16(8, true);
  const magnitude = BigInt(exponent & 0x7fff) << 63n | view.getBigUint64(0, true) & 0x7fffffffffffffffn;
  return exponent & 0x8000 ? -magnitude : magnitude;
}

/** Everything equal but C1 and the last place of at most one register. */
function withinOneUlp(silicon: X87State, ours: X87State): boolean {
  if ((silicon.status ^ ours.status) & ~C1 || silicon.empty !== ours.empty || silicon.control !== ours.control || silicon.flags !== ours.flags) return false;
  for (let n = 0; n < 8; n++) {
    const apart = ordinal(silicon, n) - ordinal(ours, n);
    if (apart > 1n || apart < -1n) return false;
  }
  return true;
}

export const differences: readonly Difference[] = [
  {
    mnemonics: /^(f2xm1|fyl2xp?1?|fpatan|fptan|fsin|fcos|fsincos)$/,
    why: 'the manuals allow an error below one unit of the last place; the results here are correctly rounded, so that the processor\'s may be the neighbour',
    allow: (_before, silicon, ours) => withinOneUlp(silicon, ours),
  },
];

/** The difference that allows all that differs, if one does. */
export function tolerated(encoding: Encoding, before: X87State, silicon: X87State, ours: X87State): Difference | undefined {
  return differences.find(({ mnemonics, allow }) => mnemonics.test(encoding.instruction.mnemonic) && allow(before, silicon, ours));
}
