import assert from 'node:assert/strict';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { bootEpilog, bootProlog, lineOf, withSession } from './support';
import type { TestSession } from './support';

/** Enters protected mode with flat 32-bit segments. */
const source = `${bootProlog}mov eax, 0x12345678
mov si, table
real: nop
lgdt [gdtr]
mov eax, cr0
or al, 1
mov cr0, eax
jmp 8:flat
bits 32
flat: mov ax, 16
mov ds, ax
mov ss, ax
mov esp, 0x9000
mov ebx, table
protected: nop
call deep
jmp $
deep: nop
ret
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
dd gdt
table: dd 0x11223344, 0xffffffff
text: db "words", 0
${bootEpilog}`;

async function stopAt(session: TestSession, label: string): Promise<void> {
  await session.launch();
  await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: label }] });
  await session.run();
  await session.stopped();
}
const real = (test: (session: TestSession) => Promise<void>): (() => Promise<void>) => withSession(source, async (session) => {
  await stopAt(session, 'real');
  await test(session);
});
const flat = (test: (session: TestSession) => Promise<void>): (() => Promise<void>) => withSession(source, async (session) => {
  await stopAt(session, 'protected');
  await test(session);
});
const value = (variables: readonly DebugProtocol.Variable[], name: string): string | undefined => variables.find((one) => one.name === name)?.value;

describe('registers', () => {
  it('are shown in groups', real(async (session) => {
    assert.deepEqual((await session.variables('Registers')).map(({ name }) => name), ['General', 'EFLAGS', 'Segments', 'Descriptor tables', 'Control', 'FPU/SSE', 'Debug']);
    const general = await session.variables('Registers', 'General');
    assert.equal(value(general, 'eax'), '0x12345678 (305419896)');
    assert.deepEqual((await session.variables('Registers', 'General', 'eax')).map(({ name, value: text }) => `${name} ${text}`), ['ax 0x5678 (22136)', 'ah 0x56 (86)', 'al 0x78 (120)']);
    assert.match(general.find(({ name }) => name === 'esp')?.memoryReference ?? '', /^lin:0x7c00$/);
  }));

  it('show EFLAGS, segments and control registers in their parts', flat(async (session) => {
    assert.match(value(await session.variables('Registers'), 'EFLAGS') ?? '', /^0x[0-9a-f]{8}( \[.*\])?$/);
    assert.equal(value(await session.variables('Registers', 'EFLAGS'), 'IF'), '0');
    const segments = await session.variables('Registers', 'Segments');
    assert.equal(value(segments, 'cs'), '0x0008 (base 0x0, limit 0xffffffff)');
    const cs = await session.variables('Registers', 'Segments', 'cs');
    assert.match(value(cs, 'attributes') ?? '', /code, execute and read, DPL 0, 32-bit/);
    assert.match(value(await session.variables('Registers', 'Control'), 'cr0') ?? '', /\[PE/);
    assert.equal(value(await session.variables('Registers', 'Control', 'cr0'), 'PE'), '1');
    assert.equal(value(await session.variables('Registers', 'Descriptor tables'), 'gdtr.limit'), '0x0017');
  }));

  it('have the x87 and SSE registers, to be read, set and asked for by name', real(async (session) => {
    const set = async (name: string, text: string): Promise<string> =>
      (await session.dap.setVariableRequest({ variablesReference: await session.reference('Registers', 'FPU/SSE'), name, value: text })).body.value;
    assert.equal(await set('st0', '0x4000c90fdaa22168c235'), '3.141592653589793 (0x4000c90fdaa22168c235)');
    assert.equal(await set('xmm3', '0x112233445566778899aabbccddeeff00'), '0x112233445566778899aabbccddeeff00');
    assert.equal(await set('fcw', '0x37f'), '0x037f [IM DM ZM OM UM PM PC=3]');
    assert.equal(value(await session.variables('Registers', 'FPU/SSE'), 'mxcsr'), '0x00001f80 [IM DM ZM OM UM PM]');
    assert.equal(value(await session.variables('Registers', 'FPU/SSE', 'fsw'), 'TOP'), '0x0');
  }));

  it('can be set whole, in parts and bit by bit', real(async (session) => {
    const set = async (path: string[], name: string, text: string): Promise<string> => (await session.dap.setVariableRequest({ variablesReference: await session.reference(...path), name, value: text })).body.value;
    assert.equal(await set(['Registers', 'General'], 'ebx', 'eax + 1'), '0x12345679 (305419897)');
    assert.equal(await set(['Registers', 'General', 'eax'], 'ah', '-1'), '0xff (255)');
    assert.equal(await session.evaluate('eax'), '0x1234ff78 (305463160)');
    assert.equal(await set(['Registers', 'EFLAGS'], 'CF', '1'), '1');
    assert.equal(await session.evaluate('cf'), '1');
    assert.equal(await set(['Registers', 'General'], 'eip', 'protected'), `0x${(await session.evaluate('protected')).slice(2, 10)} (${Number((await session.evaluate('protected')).slice(0, 10))})`);
    assert.equal((await session.top()).line, lineOf(source, 'protected:'));
    await assert.rejects(set(['Registers', 'General', 'eax'], 'al', '256'), /does not fit in the 8 bits of al/);
    await assert.rejects(set(['Registers', 'General'], 'ebx', 'nothing'), /no register or symbol/);
    await assert.rejects(set(['Registers', 'Segments'], 'cpl', '3'), /cannot be set/);
  }));

  it('have counters beside them', real(async (session) => {
    const counters = await session.variables('Counters');
    assert.match(value(counters, 'Instructions') ?? '', /^[1-9][0-9,]*$/);
    assert.match(value(counters, 'Host time') ?? '', /ms$/);
    assert.match(counters[0]?.type ?? '', /\./);
  }));
});

describe('expressions', () => {
  it('read registers, memory and labels', real(async (session) => {
    assert.equal(await session.evaluate('dword [ds:si]'), '0x11223344 (287454020)');
    assert.equal(await session.evaluate('word [table] + 1'), '0x00003345 (13125)');
    assert.equal(await session.evaluate('[table]'), '0x3344 (13124)');
    assert.match(await session.evaluate('text', 'hover'), /^0x00007c[0-9a-f]{2}: 77 6f 72 64 73 00/);
    await assert.rejects(session.evaluate('dword [ds:si'), /Expected "\]"/);
  }));

  it('can be assigned to in the watch view', real(async (session) => {
    const set = async (expression: string, text: string): Promise<string> => ((await session.dap.send('setExpression', { expression, value: text })).body as { value: string }).value;
    assert.equal(await set('byte [text]', "'W'"), '0x57 (87)');
    assert.equal(await session.evaluate('x/s text', 'repl'), `${(await session.evaluate('text')).slice(2, 10)}  "Words"`);
    assert.equal(await set('zf', '1'), '1');
    await assert.rejects(set('byte [text]', '300'), /does not fit in 1 byte/);
    await assert.rejects(set('1 + 2', '3'), /cannot be assigned to/);
    await assert.rejects(set('text', '3'), /Write \[text\]/);
  }));

  it('have commands beside them in the console', real(async (session) => {
    assert.match(await session.evaluate('help', 'repl'), /x\/8xw ADDRESS/);
    assert.match(await session.evaluate('registers', 'repl'), /^eax=12345678 /);
    assert.match(await session.evaluate('counters', 'repl'), /^Instructions +[0-9,]+$/m);
    assert.equal(await session.evaluate('x/2xw table', 'repl'), `${(await session.evaluate('table')).slice(2, 10)}  0x11223344 0xffffffff`);
    assert.match(await session.evaluate('x/d table + 4', 'repl'), / -1$/);
    assert.match(await session.evaluate('x/2xb phys:table', 'repl'), / {2}44 33 .* {2}D3$/);
    assert.match(await session.evaluate('dis real, 1', 'repl'), /90 +nop$/);
    assert.match(await session.evaluate('bt', 'repl'), /^#0 real/);
    assert.match(await session.evaluate('symbol real + 1', 'repl'), /^real\+0x1 \(.*main\.asm:\d+\)$/);
    assert.match(await session.evaluate('faults', 'repl'), /^No hidden page faults|^ +[0-9]+ {2}\S/);
    assert.match(await session.evaluate('postmortem', 'repl'), /has not died/);
    assert.equal(await session.evaluate('ebx = 7', 'repl'), '0x00000007');
  }));

  it('are completed', real(async (session) => {
    const { targets } = (await session.dap.completionsRequest({ text: 'mov + ta', column: 9 })).body;
    assert.deepEqual(targets.map(({ label }) => label), ['table']);
  }));
});

describe('memory', () => {
  it('is read and written at linear and physical references', real(async (session) => {
    const address = (await session.evaluate('text')).slice(0, 10);
    const read = async (memoryReference: string, offset: number, count: number): Promise<string> => Buffer.from((await session.readMemory({ memoryReference, offset, count })).data ?? '', 'base64').toString();
    assert.equal(await read(`lin:${address}`, 0, 5), 'words');
    assert.equal(await read(`phys:${address}`, 1, 4), 'ords');
    const written = (await session.dap.send('writeMemory', { memoryReference: `lin:${address}`, offset: 0, data: Buffer.from('sw').toString('base64') })).body as DebugProtocol.WriteMemoryResponse['body'];
    assert.equal(written?.bytesWritten, 2);
    await session.event('memory');
    assert.equal(await read(address, 0, 5), 'swrds');
    await assert.rejects(session.readMemory({ memoryReference: 'here', count: 1 }), /no memory reference/);
    await assert.rejects(session.readMemory({ memoryReference: 'lin:0', count: 1e9 }), /at most/);
  }));

  it('tells what cannot be read', real(async (session) => {
    const body = await session.readMemory({ memoryReference: 'phys:0xfffffff0', count: 32 });
    assert.ok((body?.unreadableBytes ?? 0) >= 16, JSON.stringify(body));
  }));
});

describe('disassembly', () => {
  const lines = async (session: TestSession, args: Omit<DebugProtocol.DisassembleArguments, 'memoryReference'> & { memoryReference?: string }): Promise<DebugProtocol.DisassembledInstruction[]> => {
    const memoryReference = args.memoryReference ?? (await session.top()).instructionPointerReference!;
    return (await session.dap.send('disassemble', { memoryReference, ...args }) as DebugProtocol.DisassembleResponse).body!.instructions;
  };

  it('is 16-bit in real mode, with symbols and lines', real(async (session) => {
    const [first, second] = await lines(session, { instructionCount: 2 });
    assert.deepEqual([first?.instruction, first?.symbol, first?.line, first?.instructionBytes], ['nop', 'real', lineOf(source, 'real:'), '90']);
    assert.match(second?.instruction ?? '', /^lgdt/);
  }));

  it('is 32-bit in protected mode', flat(async (session) => {
    const found = await lines(session, { instructionCount: 2, offset: -5 });
    assert.match(found[0]?.instruction ?? '', /^mov ebx, ?0x7c/);
    assert.equal(found[1]?.symbol, 'protected');
  }));

  it('goes backwards, and gives as many as were asked for', real(async (session) => {
    const found = await lines(session, { instructionCount: 6, instructionOffset: -3 });
    assert.equal(found.length, 6);
    assert.equal(found[3]?.symbol, 'real');
    assert.match(found[2]?.instruction ?? '', /^mov si/);
    const before = await lines(session, { memoryReference: 'lin:0x0', instructionCount: 10, instructionOffset: -5 });
    assert.equal(before.length, 10);
  }));

  it('serves the views line by line', real(async (session) => {
    const path = (await session.top()).source!.path!;
    const { instructions } = (await session.dap.send('ringside/disassemble', { path, line: 8 })).body as { instructions: { text: string; writes: string[] }[] };
    assert.equal(instructions.length, 1);
    assert.match(instructions[0]!.text, /^mov eax/);
    assert.ok(instructions[0]!.writes.includes('eax'));
    const { lines: rows } = (await session.dap.send('ringside/lines', { path })).body as { lines: { line: number; linear: number; bytes: string }[] };
    assert.deepEqual(rows.find(({ line }) => line === 8), { line: 8, linear: 0x7c0a, bytes: '66 b8 78 56 34 12' });
  }));
});
