import assert from 'node:assert/strict';
import { elfFile, elfSymbol, elfText, u16, u32 } from '../support/elf-file';
import { withSession } from './support';

const address = 0x100000;
const header = [...u32(0x1badb002), ...u32(0), ...u32(-0x1badb002 >>> 0)];
const start = address + header.length;
// start: mov esp, 0x90000; call work; mov al, 2; out 0xf4, al — work: push ebp; mov ebp, esp; inc eax; pop ebp; ret
const code = [0xbc, ...u32(0x90000), 0xe8, ...u32(4), 0xb0, 2, 0xe6, 0xf4, 0x55, 0x89, 0xe5, 0x40, 0x5d, 0xc3];
const work = start + 14;
const tables = [0, ...elfText('kernel.c'), 0, 0, 0, 0];
const prologue = [1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
// Lines 3 (5 bytes), 4 (5), 5 (4), then 9 (3), 10 (1), 11 (2).
const lines = [0, 5, 2, ...u32(start), 3, 2, 1, 2, 5, 3, 1, 1, 2, 5, 3, 1, 1, 2, 4, 3, 4, 1, 2, 3, 3, 1, 1, 2, 1, 3, 1, 1, 2, 2, 0, 1, 1];
const program = [...u16(2), ...u32(prologue.length + tables.length), ...prologue, ...tables, ...lines];
const kernel = elfFile([
  { name: '.debug_line', type: 1, bytes: [...u32(program.length), ...program] },
  { name: '.symtab', type: 2, link: 3, bytes: [...elfSymbol(1, start, 0x12, 1), ...elfSymbol(7, work, 0x12, 1)] },
  { name: '.strtab', type: 3, bytes: [0, ...elfText('start'), ...elfText('work')] },
], { address, entry: start, bytes: [...header, ...code] });
const path = '/project/kernel.elf';
const source = '/project/kernel.c';

describe('a multiboot kernel', () => {
  it('starts in 32-bit mode at its entry, by source line', withSession({ [path]: kernel }, async (session) => {
    await session.launch({ program: path, stopOnEntry: true, kernelCommandLine: 'quiet' });
    await session.run();
    const { reason, line, name } = await session.stopped();
    assert.deepEqual([reason, line], ['entry', 3]);
    assert.match(name, /^start \([0-9a-f]{4}:0010000c\)$/);
    assert.equal((await session.top()).source?.path, source);
    assert.equal(await session.evaluate('eax'), '0x2badb002 (732803074)');
  }));

  it('has breakpoints in its sources, callers, and steps', withSession({ [path]: kernel }, async (session) => {
    await session.launch({ program: path });
    const { breakpoints } = (await session.dap.setBreakpointsRequest({ source: { path: source }, breakpoints: [{ line: 10 }] })).body;
    assert.equal(breakpoints[0]?.verified, true);
    await session.run();
    assert.equal((await session.stopped()).line, 10);
    const frames = await session.stack();
    assert.deepEqual(frames.map(({ line }) => line), [10, 4]);
    assert.match(frames[1]!.name, /^start\+0xa /);
    assert.equal((await session.step('next')).line, 11);
    assert.equal((await session.step('stepOut')).line, 5);
    await session.dap.continueRequest({ threadId: 1 });
    assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 5);
  }));

  it('is disassembled in 32 bits', withSession({ [path]: kernel }, async (session) => {
    await session.launch({ program: path, stopOnEntry: true });
    await session.run();
    await session.stopped();
    const { instructions } = (await session.dap.send('disassemble', { memoryReference: `lin:0x${start.toString(16)}`, instructionCount: 2 })).body as { instructions: { instruction: string }[] };
    assert.match(instructions[0]!.instruction, /^mov esp, ?0x90000$/);
  }));
});
