/** Instructions whose outcome on silicon proves nothing about this machine, with the reason; every other one of the table is compared. */
import { x87Rows } from '../../../../src/vmm/isa/rows/x87';
import { vectorRows } from '../../../../src/vmm/isa/table';
import type { Encoding, InstructionSpec } from '../../../../src/vmm/isa/types';

/** These have cases in silicon-long.test.ts. */
const IN_LONG_CODE = 'are compared in 64-bit code';

export const notComparable: readonly { readonly mnemonics: readonly string[]; readonly why: string }[] = [
  { mnemonics: ['rdtsc'], why: 'reads the time' },
  { mnemonics: ['cpuid'], why: 'names the processor' },
  { mnemonics: ['rdpmc'], why: 'depends on CR4.PCE and on counters' },
  { mnemonics: ['syscall', 'sysret', 'rdtscp', 'invpcid', 'stac', 'clac'], why: 'belong to the operating system, or read the time' },
  { mnemonics: ['popcnt', 'movbe', 'movnti', 'lfence', 'mfence', 'sfence', 'clflush', 'prefetchw'], why: IN_LONG_CODE },
  { mnemonics: ['sysenter', 'sysexit'], why: 'are other instructions when the operating system runs in long mode' },
  { mnemonics: ['sgdt', 'sidt', 'sldt', 'str', 'smsw'], why: 'read the operating system\'s tables, or fault, or are emulated (CR4.UMIP)' },
];
const reasons = new Map(notComparable.flatMap(({ mnemonics, why }) => mnemonics.map((mnemonic) => [mnemonic, why])));

/** The x87 has cases of its own. */
const usesX87 = ({ mnemonic, semantics }: InstructionSpec): boolean => x87Rows.some((row) => row.semantics === semantics && row.mnemonic === mnemonic);

const vectors: ReadonlySet<InstructionSpec> = new Set(vectorRows);
/** Parsed as the table does: what 16- and 32-bit code cannot say. */
const only64 = (instruction: InstructionSpec): boolean => instruction.encodings.every((text) => /\b(o64|a64|only64)\b/.test(text));

export const skipReason = (instruction: InstructionSpec): string | undefined =>
  reasons.get(instruction.mnemonic) ?? (usesX87(instruction) ? 'x87' : vectors.has(instruction) ? 'vectors' : only64(instruction) ? IN_LONG_CODE : undefined);

/** 0F 0D with a register is undefined to AMD's processors, a reserved NOP to Intel's (SDM Vol. 2, table A-3) and here: it has no cases. */
export const registerFormDiffers = ({ map, opcode }: Encoding): boolean => map === 1 && opcode === 0x0d;

/** The same for 64-bit code. */
export function longSkipReason(instruction: InstructionSpec): string | undefined {
  const reason = skipReason(instruction);
  return reason === IN_LONG_CODE ? undefined : reason;
}
