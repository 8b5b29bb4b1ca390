/** EFLAGS bit by bit (SDM Vol. 1, 3.4.3), and the conditions that jumps, moves and sets test. */

export interface FlagDefinition {
  readonly name: string;
  readonly title: string;
  readonly bit: number;
  readonly width: number;
  readonly definition: string;
}

/** In the order a reader wants them: arithmetic flags first, then control, then system. */
export const flagDefinitions: readonly FlagDefinition[] = [
  { name: 'CF', title: 'Carry', bit: 0, width: 1, definition: 'Carry or borrow out of the most significant bit: unsigned overflow.' },
  { name: 'PF', title: 'Parity', bit: 2, width: 1, definition: 'The low byte of the result has an even number of ones.' },
  { name: 'AF', title: 'Auxiliary carry', bit: 4, width: 1, definition: 'Carry or borrow out of bit 3, for BCD arithmetic.' },
  { name: 'ZF', title: 'Zero', bit: 6, width: 1, definition: 'The result is zero.' },
  { name: 'SF', title: 'Sign', bit: 7, width: 1, definition: 'Most significant bit of the result.' },
  { name: 'OF', title: 'Overflow', bit: 11, width: 1, definition: 'The signed result does not fit.' },
  { name: 'DF', title: 'Direction', bit: 10, width: 1, definition: 'String instructions go downwards.' },
  { name: 'IF', title: 'Interrupt enable', bit: 9, width: 1, definition: 'Maskable hardware interrupts are taken.' },
  { name: 'TF', title: 'Trap', bit: 8, width: 1, definition: 'A debug exception follows every instruction.' },
  { name: 'IOPL', title: 'I/O privilege level', bit: 12, width: 2, definition: 'Highest CPL that may use ports, CLI and STI.' },
  { name: 'NT', title: 'Nested task', bit: 14, width: 1, definition: 'IRET returns to the task named in the TSS link.' },
  { name: 'RF', title: 'Resume', bit: 16, width: 1, definition: 'The next instruction ignores instruction breakpoints.' },
  { name: 'VM', title: 'Virtual-8086', bit: 17, width: 1, definition: 'The processor runs in virtual-8086 mode.' },
  { name: 'AC', title: 'Alignment check', bit: 18, width: 1, definition: 'Unaligned accesses at CPL 3 fault when CR0.AM is set.' },
  { name: 'VIF', title: 'Virtual interrupt', bit: 19, width: 1, definition: 'Virtual image of IF.' },
  { name: 'VIP', title: 'Virtual interrupt pending', bit: 20, width: 1, definition: 'An interrupt waits for VIF.' },
  { name: 'ID', title: 'Identification', bit: 21, width: 1, definition: 'A program that can change it finds CPUID.' },
];

export function flagValue(eflags: number, flag: FlagDefinition): number {
  return (eflags >>> flag.bit) & ((1 << flag.width) - 1);
}

const bits = new Map(flagDefinitions.map((flag) => [flag.name, flag.bit]));

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
