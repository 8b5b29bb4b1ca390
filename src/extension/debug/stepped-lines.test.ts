import assert from 'node:assert/strict';
import type { InstructionJson } from '../../protocol/dap';
import type { RegisterSnapshot } from '../../protocol/messages';
import { steppedLines } from './stepped-lines';

function registers(instructions: number, eax: bigint, eflags = 2, ecx = 1n): RegisterSnapshot {
  return {
    general: [eax, ecx, 0n, 0n, 0n, 0n, 0n, 0n], eip: 0, eflags, segments: [], gdtr: { base: 0, limit: 0 }, idtr: { base: 0, limit: 0 },
    cr0: 0, cr2: 0, cr3: 0, cr4: 0, dr: [], efer: 0, cpl: 0, mode: 'protected32', instructions,
  };
}
const at = (line: number, text: string, reads: string[], writes: string[]): InstructionJson =>
  ({ linear: line, offset: line, bytes: '90', text, valid: true, reads, writes, source: { path: '/a.asm', line } });

describe('values beside stepped lines', () => {
  it('show what the line at hand reads and what the line before wrote, with the old value', () => {
    const lines = steppedLines([
      { registers: registers(2, 0x12n, 0x42), instruction: at(4, 'jnz 0x10', ['zf'], ['eip']) },
      { registers: registers(1, 0x11n), instruction: at(3, 'add eax, ecx', ['eax', 'ecx'], ['eax', 'zf', 'cf']) },
    ], true);
    assert.deepEqual(lines, [
      { path: '/a.asm', line: 4, text: 'ZF = 1 (was 0)  → jnz not taken (ZF=1)' },
      { path: '/a.asm', line: 3, text: 'eax = 0x12 (was 0x11)  ZF = 1 (was 0)' },
    ]);
  });

  it('attribute nothing to a line when more than one instruction ran', () => {
    const lines = steppedLines([
      { registers: registers(900, 5n), instruction: at(9, 'mov ebx, eax', ['eax'], ['ebx']) },
      { registers: registers(1, 1n), instruction: at(3, 'inc eax', ['eax'], ['eax']) },
    ], true);
    assert.deepEqual(lines, [{ path: '/a.asm', line: 9, text: 'eax = 0x5 (was 0x1)' }]);
  });

  it('say so when a line left its registers as they were, and keep only the last step of a line', () => {
    const lines = steppedLines([
      { registers: registers(3, 7n), instruction: at(2, 'mov eax, 7', [], ['eax']) },
      { registers: registers(2, 7n), instruction: at(3, 'mov eax, 7', [], ['eax']) },
      { registers: registers(1, 6n), instruction: at(3, 'mov eax, 7', [], ['eax']) },
    ], true);
    assert.deepEqual(lines, [{ path: '/a.asm', line: 3, text: 'unchanged' }]);
  });

  it('need no source', () => {
    assert.deepEqual(steppedLines([{ registers: registers(1, 0n) }], true), []);
    assert.deepEqual(steppedLines([], true), []);
  });
});
