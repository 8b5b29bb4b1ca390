import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { descriptor, qcow2Image } from '../support/disk-images';
import { bootEpilog, bootProlog, exit, lineOf, mainPath, withSession } from './support';

const hello = `${bootProlog}mov si, message
mov dx, 0x3fb ; eight data bits
mov al, 3
out dx, al
print:
lodsb
test al, al
jz done
out 0xe9, al
mov dx, 0x3f8
out dx, al
jmp print
done:
${exit(7)}message: db "Hello", 10, 0
${bootEpilog}`;

/** Ends with status 5. */
const bootableDisk = new Uint8Array(8 * 512);
bootableDisk.set([0xb0, 2, 0xe6, 0xf4, 0xf4]);
bootableDisk.set([0x55, 0xaa], 510);

describe('starting and ending', () => {
  it('runs an .asm file: debug port to the console, serial port as events, exit status at the end', withSession(hello, async (session) => {
    await session.launch();
    await session.run();
    const exited = await session.event('exited');
    assert.equal((exited.body as { exitCode: number }).exitCode, 7);
    await session.event('terminated');
    assert.equal(session.output('stdout'), 'Hello\n');
    const serial = session.events.filter(({ event }) => event === 'ringside/serial').map(({ body }) => Buffer.from((body as { data: string }).data, 'base64').toString());
    assert.equal(serial.join(''), 'Hello\n');
    assert.match(session.output('console'), /debug-exit port: status 7/);
  }));

  it('shows serial output in the console when asked', withSession(hello, async (session) => {
    await session.launch({ serial: 'console' });
    await session.run();
    await session.event('terminated');
    assert.equal(session.output('stdout').replace(/[^\n]/g, '').length, 2);
  }));

  it('stops before the first instruction when asked', withSession(hello, async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    const { reason, line, name } = await session.stopped();
    assert.equal(reason, 'entry');
    assert.equal(line, 3);
    assert.match(name, /0000:7c00/);
  }));

  it('finds the files beside a disk image that it names', withSession({ [mainPath]: '', '/project/disk.vmdk': descriptor([['FLAT', 8, 'disk-flat.vmdk']]), '/project/disk-flat.vmdk': bootableDisk, '/project/child.qcow2': qcow2Image(['free'], { backing: 'disk.vmdk' }) }, async (session) => {
    await session.launch({ program: '/project/child.qcow2' });
    await session.run();
    assert.equal((await session.event('exited')).body.exitCode, 5);
  }));

  it('refuses an image that names a file elsewhere, and says which attribute names it', withSession({ [mainPath]: hello, '/project/child.qcow2': qcow2Image(['free'], { backing: '/else/where.img' }) }, async (session) => {
    await assert.rejects(session.launch({ hda: '/project/child.qcow2' }), /launch\.json: "hda": \/project\/child\.qcow2: qcow2 image: the backing file is "\/else\/where\.img"/);
  }));

  it('loads code for another address where it belongs', withSession(`bits 16\norg 0x1000\nnop\nhere: ${exit(3)}`, async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    const { line, name } = await session.stopped();
    assert.equal(line, 3);
    assert.match(name, /:1000/);
  }));

  it('maps org 0 to where the sector is', withSession('bits 16\nnop\nnop\njmp $', async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    assert.equal((await session.stopped()).line, 2);
    assert.equal((await session.step('next')).line, 3);
  }));

  it('fetches included files', withSession({ [mainPath]: `%include "inc/a.inc"\n${bootEpilog}`, '/project/inc/a.inc': `bits 16\norg 0x7c00\n${exit(5)}` }, async (session) => {
    await session.launch({ stopOnEntry: true });
    await session.run();
    await session.event('stopped');
    assert.equal((await session.top()).source?.path, '/project/inc/a.inc');
    const { sources } = (await session.dap.send('loadedSources')).body as { sources: { path: string }[] };
    assert.ok(sources.some(({ path }) => path === '/project/inc/a.inc'));
  }));

  it('assembles with nasm, and steps through its lines', async function () {
    if (spawnSync('nasm', ['-v']).error) this.skip();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-test-'));
    const file = path.join(folder, 'main.asm');
    fs.writeFileSync(file, `${bootProlog}%include "part.inc"\n${exit(3)}${bootEpilog}`);
    fs.writeFileSync(path.join(folder, 'part.inc'), 'mov bx, 5\npart: inc bx\n');
    try {
      await withSession({}, async (session) => {
        await session.launch({ program: file, assembler: 'nasm' });
        await session.dap.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'part' }] });
        await session.run();
        assert.equal((await session.stopped()).line, 2);
        assert.equal((await session.top()).source?.path, path.join(folder, 'part.inc'));
        assert.equal((await session.step('next')).line, 9);
        assert.equal(await session.evaluate('bx'), '0x0006');
      })();
      fs.writeFileSync(file, 'mov ax, nothing\n');
      await withSession({}, (session) => assert.rejects(session.launch({ program: file, assembler: 'nasm' }), /main\.asm:1:1: error: .*nothing/))();
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it('names a nasm that cannot be started', withSession(hello, async (session) => {
    await assert.rejects(session.launch({ assembler: 'nasm', nasm: '/nowhere/nasm' }), /"nasm": "\/nowhere\/nasm" cannot be started.*builtin/);
  }));

  describe('refuses', () => {
    const cases: [string, Record<string, string | Uint8Array>, Record<string, unknown>, RegExp][] = [
      ['a missing program', {}, { program: undefined }, /"program" is missing/],
      ['a program that is not there', {}, {}, /"program": \/project\/main\.asm cannot be read: no such file/],
      ['a wrong attribute', { [mainPath]: hello }, { memory: 1e9 }, /"memory" is 1000000000/],
      ['a missing module', { [mainPath]: hello }, { modules: ['/project/m'] }, /"modules": \/project\/m cannot be read/],
      ['an empty source', { [mainPath]: '' }, {}, /assembles to nothing/],
      ['an empty image', { '/project/a.img': new Uint8Array() }, { program: '/project/a.img' }, /a\.img is empty/],
      ['an ELF file that is cut off', { '/project/k': Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 1) }, { program: '/project/k' }, /./],
      ['an include that is not there', { [mainPath]: '%include "no.inc"\nnop' }, {}, /main\.asm:1:\d+: error: .*no\.inc/],
    ];
    for (const [what, files, args, message] of cases) {
      it(what, withSession(files, async (session) => {
        await assert.rejects(session.launch(args), (error) => error instanceof Error && message.test(error.message));
      }));
    }
  });

  it('reports assembler errors with file, line and column', withSession(`${bootProlog}mov ax, nothing\nmov ds, 5\n`, async (session) => {
    await assert.rejects(session.launch(), /\/project\/main\.asm:8:\d+: error: .*nothing.*\(and \d+ more\)/);
    const { diagnostics } = await session.custom('ringside/diagnostics');
    assert.deepEqual(diagnostics.filter(({ severity }) => severity === 'error').map(({ path, line }) => [path, line]), [[mainPath, 8], [mainPath, 9]]);
    assert.match(session.output('stderr'), /main\.asm:8:/);
  }));

  it('keeps the machine at its end when asked', withSession(hello, async (session) => {
    await session.launch({ stopOnEnd: true });
    await session.run();
    const { line } = await session.stopped();
    assert.equal(line, lineOf(hello, 'message: db'));
    assert.equal(await session.evaluate('al'), '0x03');
    await session.dap.continueRequest({ threadId: 1 });
    await session.event('terminated');
  }));

  it('terminates a running guest and ends its worker', withSession(`${bootProlog}jmp $\n${bootEpilog}`, async (session) => {
    await session.launch();
    await session.run();
    await session.dap.terminateRequest();
    await session.event('terminated');
    await session.dap.disconnectRequest();
    await session.workerExited;
  }));

  it('restarts with what was edited', async () => {
    const files = { [mainPath]: `${bootProlog}mov bx, 1\njmp $\n${bootEpilog}` };
    await withSession(files, async (session) => {
      await session.launch();
      await session.breakpoints({ line: 9 });
      await session.run();
      await session.stopped();
      assert.equal(await session.evaluate('bx'), '0x0001');
      files[mainPath] = `${bootProlog}mov bx, 2\nnop\njmp $\n${bootEpilog}`;
      await session.dap.restartRequest({});
      const { reason, line } = await session.stopped();
      assert.deepEqual([reason, line], ['breakpoint', 9]);
      assert.equal(await session.evaluate('bx'), '0x0002');
    })();
  });
});
