/** Debian's Linux kernel under the debugger: its shell answers, and a pause shows the kernel's functions and page tables. */
import assert from 'node:assert/strict';
import { fromBase64, toBase64 } from '../../src/protocol/dap';
import { readGuest } from '../support/guests';
import { TestSession } from './support';

const LIMIT_MILLISECONDS = 240_000;
/** Until the first text, which comes behind the kernel's decompression. */
const BOOT_SECONDS = 120;
const kernel = '/project/vmlinuz', initrd = '/project/initrd.img';

describe('a Linux kernel', () => {
  it('has a shell on the serial line, a call stack with its own functions, and page tables to look at', async function () {
    this.timeout(LIMIT_MILLISECONDS);
    const session = await TestSession.open({ [kernel]: readGuest(this, 'vmlinuz-686'), [initrd]: readGuest(this, 'initramfs-i386') });
    try {
      const until = async (text: RegExp): Promise<void> => {
        let seen = '';
        while (!text.test(seen)) {
          const { data } = (await session.event('ringside/serial', undefined, BOOT_SECONDS)).body as { data: string };
          seen += new TextDecoder().decode(fromBase64(data));
        }
      };
      const type = (text: string): Promise<unknown> => session.dap.customRequest('ringside/serialInput', { port: 0, data: toBase64(new TextEncoder().encode(text)) });
      await session.launch({ program: kernel, initrd, kernelCommandLine: 'console=ttyS0 cryptomgr.notests', memory: 128, pace: 'realtime', instructionsPerSecond: 1_000_000_000 });
      await session.run();
      await until(/ringside-guest-ready[^]*guest# /);
      await session.dap.pauseRequest({ threadId: 1 });
      await session.stopped();
      // An idle kernel, most likely; anyway one that start_kernel or a system call has brought here.
      const frames = await session.stack();
      const names = frames.map(({ name }) => name).join('\n');
      assert.match(frames[0]!.name, /^\w+(\+0x[0-9a-f]+)? \(0060:[0-9a-f]{8}\)$/);
      assert.match(names, /idle|start_kernel|entry_|do_syscall/, names);
      assert.ok(frames.slice(1).some(({ presentationHint }) => presentationHint !== 'label'), names);
      const breakpoints = (await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'ksys_write' }] })).body.breakpoints;
      assert.equal(breakpoints[0]?.verified, true);
      const walk = await session.evaluate('walk ksys_write', 'repl');
      assert.match(walk, /^c[0-9a-f]{7} \(ksys_write\): 32-bit paging, CR3 [0-9a-f]{8}\n {2}PDE +at [0-9a-f]{8}: [0-9a-f]{8} {2}P [^]*\n {2}physical [0-9a-f]{8}: supervisor, read/);
      assert.match(await session.evaluate('pages 0xc0000000', 'repl'), /^linear[^]*\nc0[0-9a-f]{6}–[0-9a-f]{8} +\d+ [KM]iB +[0-9a-f]{8}[^]*supervisor/);
      await session.dap.continueRequest({ threadId: 1 });
      await type('echo hello\n');
      assert.match((await session.stopped()).name, /^ksys_write \(/);
      await session.dap.setFunctionBreakpointsRequest({ breakpoints: [] });
      await session.dap.continueRequest({ threadId: 1 });
      await until(/hello[^]*guest# /);
      await type('poweroff -f\n');
      assert.equal(((await session.event('exited')).body as { exitCode: number }).exitCode, 0);
    } finally {
      await session.close();
    }
  });
});
