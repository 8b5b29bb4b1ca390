/** Which encodings exist in which code, which of them silicon cannot tell about, and which results are the processor's own. */
import { x87Rows } from '../../../../src/vmm/isa/rows/x87';
import { vectorRows } from '../../../../src/vmm/isa/table';
import type { Encoding, InstructionSpec } from '../../../../src/vmm/isa/types';

export const codeSizes = [16, 32, 64] as const;
export type CodeSize = (typeof codeSizes)[number];

/** Whether code of that size can contain the encoding at all. */
export function existsIn(encoding: Encoding, codeSize: CodeSize): boolean {
  if (encoding.syntaxOnly) return false;
  if (codeSize === 64) return !encoding.invalid64 && encoding.addressSize !== 16;
  return !encoding.only64 && encoding.operandSize !== 64 && encoding.addressSize !== 64;
}

export interface Uncovered {
  readonly mnemonics: readonly string[];
  readonly codeSizes: readonly CodeSize[];
  readonly why: string;
}

/** All that has no cases; every other encoding has some in all code where it exists. */
export const uncovered: readonly Uncovered[] = [
  {
    mnemonics: ['sysenter'], codeSizes: [16, 32, 64],
    why: 'AMD\'s processors refuse it while the operating system runs in long mode (#UD); Intel\'s, and this one, execute it',
  },
  {
    mnemonics: ['syscall', 'sysret'], codeSizes: [16, 32],
    why: 'outside 64-bit mode AMD\'s processors execute them; Intel\'s, and this one, raise #UD (SDM Vol. 2B, SYSCALL)',
  },
];

export const whyUncovered = ({ mnemonic }: InstructionSpec, codeSize: CodeSize): string | undefined =>
  uncovered.find((row) => row.mnemonics.includes(mnemonic) && row.codeSizes.includes(codeSize))?.why;

const RAX = 0, RCX = 1, RDX = 2, RBX = 3;

/** Registers whose low halves tell of the processor or of the moment: everything else about the instruction is compared. */
export const ownResults: readonly { readonly mnemonics: readonly string[]; readonly registers: readonly number[]; readonly what: string; readonly why: string }[] = [
  { mnemonics: ['rdtsc'], registers: [RAX, RDX], what: 'EAX and EDX', why: 'the time' },
  { mnemonics: ['rdtscp'], registers: [RAX, RCX, RDX], what: 'EAX, ECX and EDX', why: 'the time, and what the operating system calls the processor' },
  { mnemonics: ['cpuid'], registers: [RAX, RBX, RCX, RDX], what: 'EAX, EBX, ECX and EDX', why: 'the processor\'s name and features' },
];
const ownRegisters = new Map(ownResults.flatMap(({ mnemonics, registers }) => mnemonics.map((mnemonic) => [mnemonic, registers])));
const none: readonly number[] = [];

/** General registers whose low halves are left out of the comparison. */
export const ownRegistersOf = ({ instruction }: Encoding): readonly number[] => ownRegisters.get(instruction.mnemonic) ?? none;

const x87Specs: ReadonlySet<InstructionSpec> = new Set(x87Rows);
const vectorSpecs: ReadonlySet<InstructionSpec> = new Set(vectorRows);

/** What each suite has cases of. */
export type Kind = 'general' | 'x87' | 'vectors';
export const kindOf = (instruction: InstructionSpec): Kind => (x87Specs.has(instruction) ? 'x87' : vectorSpecs.has(instruction) ? 'vectors' : 'general');

/** 0F 0D with a register is undefined to AMD's processors, a reserved NOP to Intel's (SDM Vol. 2, table A-3) and here: it has no cases. */
export const registerFormDiffers = ({ map, opcode }: Encoding): boolean => map === 1 && opcode === 0x0d;
