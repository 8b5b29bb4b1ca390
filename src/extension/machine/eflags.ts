/** EFLAGS bit by bit (SDM Vol. 1, 3.4.3), and the conditions that jumps, moves and sets test. */
import { eflagsFields, type BitField } from '../../protocol/registers';

/** What each flag means, in the order a reader wants them: arithmetic flags first, then control, then system. */
const definitions: Readonly<Record<string, string>> = {
  CF: 'Carry or borrow out of the most significant bit: unsigned overflow.',
  PF: 'The low byte of the result has an even number of ones.',
  AF: 'Carry or borrow out of bit 3, for BCD arithmetic.',
  ZF: 'The result is zero.',
  SF: 'Most significant bit of the result.',
  OF: 'The signed result does not fit.',
  DF: 'String instructions go downwards.',
  IF: 'Maskable hardware interrupts are taken.',
  TF: 'A debug exception follows every instruction.',
  IOPL: 'Highest CPL that may use ports, CLI and STI.',
  NT: 'IRET returns to the task named in the TSS link.',
  RF: 'The next instruction ignores instruction breakpoints.',
  VM: 'The processor runs in virtual-8086 mode.',
  AC: 'Unaligned accesses at CPL 3 fault when CR0.AM is set.',
  VIF: 'Virtual image of IF.',
  VIP: 'An interrupt waits for VIF.',
  ID: 'A program that can change it finds CPUID.',
};

export interface FlagDefinition extends BitField {
  readonly definition: string;
}

export const flagDefinitions: readonly FlagDefinition[] = Object.entries(definitions).map(([name, definition]) => ({
  ...eflagsFields.find((field) => field.name === name)!, definition,
}));

export function flagValue(eflags: number, flag: BitField): number {
  return (eflags >>> flag.low) & ((1 << flag.width) - 1);
}

const bits = new Map(flagDefinitions.map((flag) => [flag.name, flag.low]));

interface Condition {
  readonly reads: readonly string[];
  readonly holds: (flag: (name: string) => boolean) => boolean;
}

const not = (condition: Condition): Condition => ({ reads: condition.reads, holds: (f) => !condition.holds(f) });
const overflow: Condition = { reads: ['OF'], holds: (f) => f('OF') };
const below: Condition = { reads: ['CF'], holds: (f) => f('CF') };
const equal: Condition = { reads: ['ZF'], holds: (f) => f('ZF') };
const belowOrEqual: Condition = { reads: ['CF', 'ZF'], holds: (f) => f('CF') || f('ZF') };
const sign: Condition = { reads: ['SF'], holds: (f) => f('SF') };
const parity: Condition = { reads: ['PF'], holds: (f) => f('PF') };
const less: Condition = { reads: ['SF', 'OF'], holds: (f) => f('SF') !== f('OF') };
const lessOrEqual: Condition = { reads: ['ZF', 'SF', 'OF'], holds: (f) => f('ZF') || f('SF') !== f('OF') };

/** Condition suffixes of Jcc, SETcc and CMOVcc (SDM Vol. 1, appendix B). */
const conditions: Readonly<Record<string, Condition>> = {
  o: overflow, no: not(overflow),
  b: below, c: below, nae: below, ae: not(below), nb: not(below), nc: not(below),
  e: equal, z: equal, ne: not(equal), nz: not(equal),
  be: belowOrEqual, na: belowOrEqual, a: not(belowOrEqual), nbe: not(belowOrEqual),
  s: sign, ns: not(sign),
  p: parity, pe: parity, np: not(parity), po: not(parity),
  l: less, nge: less, ge: not(less), nl: not(less),
  le: lessOrEqual, ng: lessOrEqual, g: not(lessOrEqual), nle: not(lessOrEqual),
};

/**
 * What the conditional instruction at hand will do with the present flags and count register: "jnz taken (ZF=0)".
 * @param text disassembly or source of the instruction, without label
 * @param count ECX; loops and JCXZ in a 16-bit address size test CX
 * @returns undefined when the instruction tests nothing
 */
export function forecast(text: string, eflags: number, count: number, addressSize: 16 | 32 = 32): string | undefined {
  const mnemonic = /^\s*(?:(?:a16|a32|o16|o32|bnd|cs|ds)\s+)*([a-z]+)/i.exec(text)?.[1].toLowerCase();
  if (!mnemonic) return undefined;
  const flag = (name: string) => ((eflags >>> bits.get(name)!) & 1) === 1;
  const shown = (reads: readonly string[]) => reads.map((name) => `${name}=${flag(name) ? 1 : 0}`).join(', ');

  const size = /\ba16\b/i.test(text) ? 16 : /\ba32\b/i.test(text) ? 32 : addressSize;
  const narrow = mnemonic === 'jcxz' || (mnemonic !== 'jecxz' && size === 16);
  const register = narrow ? 'CX' : 'ECX';
  const value = narrow ? count & 0xffff : count >>> 0;
  if (mnemonic === 'jcxz' || mnemonic === 'jecxz') return `${mnemonic} ${value === 0 ? 'taken' : 'not taken'} (${register}=${value})`;
  const loop = /^loop(|e|z|ne|nz)$/.exec(mnemonic);
  if (loop) {
    const wantsZero = loop[1] === 'e' || loop[1] === 'z' ? true : loop[1] ? false : undefined;
    const taken = value !== 1 && (wantsZero === undefined || flag('ZF') === wantsZero);
    return `${mnemonic} ${taken ? 'taken' : 'not taken'} (${register}=${value}${loop[1] ? `, ${shown(['ZF'])}` : ''})`;
  }
  const conditional = /^(j|set|cmov)([a-z]+)$/.exec(mnemonic);
  if (!conditional || !Object.hasOwn(conditions, conditional[2])) return undefined;
  const condition = conditions[conditional[2]];
  const holds = condition.holds(flag);
  const effect = { j: ['taken', 'not taken'], set: ['writes 1', 'writes 0'], cmov: ['moves', 'does not move'] }[conditional[1]]!;
  return `${mnemonic} ${effect[holds ? 0 : 1]} (${shown(condition.reads)})`;
}
