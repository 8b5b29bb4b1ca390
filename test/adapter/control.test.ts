import assert from 'node:assert/strict';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { capabilities } from '../../src/adapter/capabilities';
import { bootEpilog, bootProlog, exit, lineOf, withSession } from './support';

const spin = `${bootProlog}again:\ninc ecx\njmp again\n${bootEpilog}`;
/** Loads an IDT of no entries in protected mode, so that the first fault kills. */
const dying = `${bootProlog}lgdt [gdtr]
lidt [empty]
mov eax, cr0
or al, 1
mov cr0, eax
jmp 8:flat
bits 32
flat: xor eax, eax
ud2
gdt: dq 0, 0x00cf9b000000ffff
gdtr: dw 15
dd gdt
empty: dw 0, 0, 0
${bootEpilog}`;

describe('control', () => {
  it('pauses an endless loop at once, in both paces', async () => {
    for (const pace of ['max', 'realtime']) {
      await withSession(spin, async (session) => {
        await session.launch({ pace });
        await session.run();
        await new Promise((resolve) => setTimeout(resolve, 100));
        const begin = performance.now();
        await session.dap.pauseRequest({ threadId: 1 });
        const { reason } = await session.stopped();
        const milliseconds = performance.now() - begin;
        assert.equal(reason, 'pause');
        assert.ok(milliseconds < 1000, `a pause took ${milliseconds} ms`);
        assert.notEqual(await session.evaluate('ecx'), '0x00000000');
      })();
    }
  });

  it('pauses a guest that waits for input', withSession(`${bootProlog}sti\nwaiting: hlt\njmp waiting\n${bootEpilog}`, async (session) => {
    await session.launch({ pace: 'realtime' });
    await session.run();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await session.dap.pauseRequest({ threadId: 1 });
    assert.equal((await session.stopped()).reason, 'pause');
  }));

  it('goes on after a pause', withSession(spin, async (session) => {
    await session.launch();
    await session.run();
    await session.dap.pauseRequest({ threadId: 1 });
    await session.stopped();
    await session.dap.continueRequest({ threadId: 1 });
    await session.dap.pauseRequest({ threadId: 1 });
    assert.equal((await session.stopped()).reason, 'pause');
  }));

  it('refuses to show a stack while the guest runs', withSession(spin, async (session) => {
    await session.launch();
    await session.run();
    await assert.rejects(session.stack(), /Pause it first/);
    assert.match(await session.evaluate('ecx'), /^0x/, 'expressions can be watched meanwhile');
  }));

  it('shows the post-mortem of a triple fault before the session ends', withSession(dying, async (session) => {
    await session.launch();
    await session.run();
    const { reason, body } = await session.stopped();
    assert.equal(reason, 'exception');
    assert.match((body as { text: string }).text, /Triple fault/);
    const info = (await session.dap.exceptionInfoRequest({ threadId: 1 })).body;
    assert.equal(info.exceptionId, 'Triple fault');
    assert.match(info.details?.message ?? '', /1\. #UD at 0008:.*\n2\. .*\nGate: /s);
    assert.match(session.output('stderr'), /Triple fault: the processor shut down/);
    const { postMortem } = (await session.dap.send('ringside/postMortem')).body as { postMortem: { chain: unknown[] } };
    assert.ok(postMortem.chain.length >= 2);
    await session.dap.continueRequest({ threadId: 1 });
    await session.event('terminated');
  }));

  it('ends with status 3 when the triple fault filter is off', withSession(dying, async (session) => {
    await session.launch();
    await session.dap.setExceptionBreakpointsRequest({ filters: [] });
    await session.run();
    assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 3);
  }));

  it('stops at exceptions before the guest handles them', withSession(`${bootProlog}mov word [0], handler\nmov word [2], 0\nxor bx, bx\ncrash: div bx\nhandler: ${exit(9)}${bootEpilog}`, async (session) => {
    await session.launch();
    await session.dap.setExceptionBreakpointsRequest({ filters: ['de'] });
    await session.run();
    const { reason, name } = await session.stopped();
    assert.equal(reason, 'exception');
    assert.match(name, /^crash /);
    const info = (await session.dap.exceptionInfoRequest({ threadId: 1 })).body;
    assert.deepEqual([info.exceptionId, info.description], ['#DE', 'Divide error (#DE, vector 0)']);
    await session.dap.continueRequest({ threadId: 1 });
    assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 9);
  }));

  it('ends at the instruction limit', withSession(spin, async (session) => {
    await session.launch({ maxInstructions: 100_000 });
    await session.run();
    assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 4);
  }));

  it('serves the views: machine, registers, counters, screen, keyboard, serial input', withSession(
    `${bootProlog}mov ax, 0xb800\nmov es, ax\nmov word [es:0], 0x0741\nmov dx, 0x3fd\npoll: in al, dx\ntest al, 1\njz poll\nmov dx, 0x3f8\nin al, dx\nout 0xe9, al\n${exit(3)}${bootEpilog}`, async (session) => {
      await session.launch();
      await session.dap.send('ringside/subscribe', { countersHz: 20, screenHz: 20 });
      await session.run();
      const screen = await session.custom('ringside/screen', (shown) => shown.kind === 'text' && Buffer.from(shown.cells, 'base64')[0] === 0x41);
      assert.deepEqual(screen.kind === 'text' && [screen.columns, screen.rows], [80, 25]);
      const first = await session.custom('ringside/counters');
      const second = await session.custom('ringside/counters', ({ registers }) => registers.instructions > first.registers.instructions);
      assert.ok((second.values['instructions'] ?? 0) > 0);
      const machine = (await session.dap.send('ringside/machine')).body as { state: string; mode: string };
      assert.deepEqual([machine.state, machine.mode], ['running', 'real']);
      assert.match(((await session.dap.send('ringside/registers')).body as { general: string[] }).general[0] ?? '', /^0x/);
      await session.dap.send('ringside/keyboard', { scancodes: [0x1e, 0x9e] });
      await session.dap.send('ringside/serialInput', { port: 0, data: Buffer.from('k').toString('base64') });
      await session.event('terminated');
      assert.equal(session.output('stdout'), 'k');
    }));

  it('answers unknown requests and requests without a machine', withSession(spin, async (session) => {
    await assert.rejects(session.dap.send('ringside/nothing'), /does not know the request/);
    await assert.rejects(session.dap.continueRequest({ threadId: 1 }), /Launch a program first/);
    await assert.rejects(session.dap.attachRequest({}), /nothing to attach to/);
  }));

  it('offers what it has a request for', () => {
    const offered = capabilities();
    const filters = offered.exceptionBreakpointFilters as DebugProtocol.ExceptionBreakpointsFilter[];
    assert.equal(filters.filter((filter) => filter.default).map(({ filter }) => filter).join(), 'tripleFault');
    assert.equal(offered.supportsDataBreakpoints, undefined);
    assert.equal(lineOf(spin, 'inc ecx'), 9);
  });
});
