/** What of an outcome the manual leaves undefined: the rows' `flags.undefined`, refined where it depends on the operands. */
import { table } from '../../../../src/vmm/isa/table';
import type { Instruction } from '../../../../src/vmm/decode/instruction';
import { formOperands } from '../../../../src/vmm/translate/forms';

const flagBits: Readonly<Record<string, number>> = { C: 1, P: 4, A: 0x10, Z: 0x40, S: 0x80, O: 0x800 };
export const flagMask = (letters = ''): number => [...letters].reduce((mask, letter) => mask | (flagBits[letter] ?? 0), 0);

interface Refinement {
  readonly mnemonics: readonly string[];
  readonly why: string;
  /** Undefined flags, given those of the row; `count` is the masked shift count. */
  readonly flags: (row: string, count: number, width: number) => string;
}

const without = (row: string, letter: string): string => row.replace(letter, '');

const refinements: readonly Refinement[] = [
  {
    mnemonics: ['rol', 'ror', 'rcl', 'rcr', 'sar'], why: 'a count of 0 changes no flag, and OF is defined for a count of 1 (SDM Vol. 2B, RCL, SAL)',
    flags: (row, count) => (count === 0 ? '' : count === 1 ? without(row, 'O') : row),
  },
  {
    mnemonics: ['shl', 'shr'], why: 'as above; CF is undefined when the count reaches the operand\'s width (SDM Vol. 2B, SAL)',
    flags: (row, count, width) => (count === 0 ? '' : count === 1 ? without(row, 'O') : count >= width ? `${row}C` : row),
  },
  {
    mnemonics: ['shld', 'shrd'], why: 'as above; a count beyond the width leaves everything undefined (SDM Vol. 2B, SHLD)',
    flags: (row, count, width) => (count === 0 ? '' : count === 1 ? without(row, 'O') : count > width ? 'OSZAPC' : row),
  },
];
const refinementOf = new Map(refinements.flatMap((entry) => entry.mnemonics.map((mnemonic) => [mnemonic, entry])));

/** Low five bits of the count that a shift uses, six for quadwords. */
function shiftCount(i: Instruction, ecx: number): number {
  const { operands } = i.encoding;
  const last = operands[operands.length - 1];
  return (last === 'CL' ? ecx : last === '1' ? 1 : i.immediate) & (i.operandSize === 64 && widthOf(i) === 64 ? 63 : 31);
}

const widthOf = (i: Instruction): number => formOperands(i.encoding, i.operandSize, i.memory, i.codeSize === 64)[0]?.width ?? 32;

/** EFLAGS bits that the instruction leaves undefined, given ECX before it. */
export function undefinedFlags(i: Instruction, ecx: number): number {
  const { mnemonic, flags } = i.encoding.instruction;
  const row = flags?.undefined ?? '';
  const refinement = refinementOf.get(mnemonic);
  return flagMask(refinement ? refinement.flags(row, shiftCount(i, ecx), widthOf(i)) : row);
}

/** EFLAGS bits that the instruction defines: what was undefined before is defined after it. */
export function definedFlags(i: Instruction, ecx: number): number {
  const { mnemonic, flags } = i.encoding.instruction;
  // A shift by zero leaves what was there.
  if (refinementOf.has(mnemonic) && shiftCount(i, ecx) === 0) return 0;
  return flagMask(`${flags?.writes ?? ''}${flags?.clears ?? ''}${flags?.sets ?? ''}`) & ~undefinedFlags(i, ecx);
}

/** Whether the result itself is undefined, so that the case proves nothing. */
export function undefinedResult(i: Instruction, ecx: number): boolean {
  const { mnemonic } = i.encoding.instruction;
  if (mnemonic === 'bswap') return i.operandSize === 16;
  return (mnemonic === 'shld' || mnemonic === 'shrd') && shiftCount(i, ecx) > widthOf(i);
}

/** All that is undefined, in words: by set of flags the instructions, then the refinements. */
export function undefinedTexts(): string[] {
  const byFlags = new Map<string, Set<string>>();
  for (const { mnemonic, flags } of table.instructions) {
    if (!flags?.undefined) continue;
    const names = [...flags.undefined].map((letter) => `${letter}F`).join(', ');
    byFlags.set(names, (byFlags.get(names) ?? new Set()).add(mnemonic));
  }
  return [
    ...[...byFlags].map(([flags, mnemonics]) => `${flags} undefined (SDM Vol. 2): ${[...mnemonics].join(', ')}`),
    ...refinements.map(({ mnemonics, why }) => `${mnemonics.join(', ')}: ${why}`),
  ];
}

/** EFLAGS bits that the instruction reads. */
export const readFlags = (i: Instruction): number => flagMask(i.encoding.instruction.flags?.reads);
