import assert from 'node:assert/strict';
import { smpGuest } from '../support/smp-guest';
import { lineOf, withSession } from './support';

const source = smpGuest(`
  call start_others
  mov esi, 1
here:
  inc dword [count]
  cmp dword [flag], 0
  je here
  exit 1`, `
  mov esi, 2
again:
  cmp dword [count], 1000
  jb again
  inc dword [flag] ; first
  inc dword [flag]`, 'count: dd 0\nflag: dd 0');

describe('threads', () => {
  it('are the processors: a breakpoint names its own, the others can be looked at, and a step is one\'s alone', withSession(source, async (session) => {
    await session.launch({ processors: 2, loadAddress: '0x7c00' });
    assert.deepEqual((await session.dap.threadsRequest()).body.threads, [{ id: 1, name: 'CPU 0' }, { id: 2, name: 'CPU 1 (waits to be started)' }]);
    const first = lineOf(source, '; first');
    await session.breakpoints({ line: first });
    await session.run();
    const stopped = await session.event('stopped');
    assert.equal((stopped.body as { threadId: number }).threadId, 2);
    const frame = async (threadId: number) => (await session.dap.stackTraceRequest({ threadId })).body.stackFrames[0];
    const evaluate = async (frameId: number, expression: string) => {
      await session.dap.scopesRequest({ frameId });
      return Number((await session.dap.evaluateRequest({ expression, frameId, context: 'watch' })).body.result);
    };
    assert.equal((await frame(2)).line, first);
    assert.equal(await evaluate((await frame(2)).id, 'esi'), 2);
    const other = await frame(1);
    assert.equal(await evaluate(other.id, 'esi'), 1);
    const count = await evaluate(other.id, 'dword [count]');
    await session.dap.stepInRequest({ threadId: 2, granularity: 'instruction' });
    await session.event('stopped');
    assert.equal((await frame(2)).line, first + 1);
    assert.equal(await evaluate((await frame(1)).id, 'dword [count]'), count, 'the other one stood still');
    await session.dap.continueRequest({ threadId: 1 });
    assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 3);
  }));
});
