/**
 * Where the processor that made the data does something that the manual leaves to the processor, and this machine does something else.
 * Everything that an allowance does not name is compared all the same.
 */
import type { Instruction } from '../../../../src/vmm/decode/instruction';
import type { Input } from './cases';
import type { Outcome } from './outcome';

export interface Allowance {
  readonly mnemonics: RegExp;
  readonly why: string;
  readonly when: (instruction: Instruction, input: Input, silicon: Outcome, ours: Outcome) => boolean;
  /** What is not compared then. */
  readonly ignores: readonly ('memory' | 'general' | 'exception')[];
}

const bothFault = (silicon: Outcome, ours: Outcome): boolean => silicon.vector >= 0 && silicon.vector === ours.vector;
const counter = (i: Instruction, input: Input): number => input.general[1] & (i.addressSize === 16 ? 0xffff : 0xffffffff);
const STACK_FAULT = 12, GENERAL_PROTECTION = 13;

export const allowances: readonly Allowance[] = [
  {
    mnemonics: /^(pushaw|pushad|enter|call)$/, ignores: ['memory'],
    why: 'when it faults half-way, what it has already pushed may stand in memory below the stack pointer; here nothing does',
    when: (_i, _input, silicon, ours) => bothFault(silicon, ours),
  },
  {
    mnemonics: /^popa[wd]$/, ignores: ['general'],
    why: 'when it faults half-way, registers may already be loaded (not the stack pointer: the instruction can be restarted); here none is',
    when: (_i, input, silicon, ours) => bothFault(silicon, ours) && silicon.general[4] === input.general[4] && ours.general[4] === input.general[4],
  },
  {
    mnemonics: /^(ins|outs)[bwd]$/, ignores: ['exception'],
    why: 'with a repeat count of 0 this processor still asks for I/O permission',
    when: (i, input, silicon, ours) => i.repeat !== 'none' && counter(i, input) === 0 && silicon.vector === GENERAL_PROTECTION && ours.vector < 0,
  },
  {
    mnemonics: /^(call|retf|iret[wd])$/, ignores: ['exception'],
    why: 'of two faults, the stack limit and the target, this processor finds the stack first',
    when: (_i, _input, silicon, ours) => silicon.vector === STACK_FAULT && ours.vector === GENERAL_PROTECTION,
  },
];
