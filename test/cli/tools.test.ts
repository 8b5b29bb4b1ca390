/** `ringside asm`, `dis`, `bench` and `counters`, and the help of all commands. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { counters } from '../../src/vmm/cpu/counters';
import { inFolder, ringside } from './ringside';

describe('ringside asm', () => {
  it('writes a flat binary or an ELF object, named after the source', async () => {
    await inFolder({ 'code.asm': 'bits 16\nmov ax, 0x1234\nret\n' }, async (folder) => {
      assert.equal((await ringside(['asm', 'code.asm'], { cwd: folder })).status, 0);
      assert.deepEqual([...fs.readFileSync(path.join(folder, 'code.bin'))], [0xb8, 0x34, 0x12, 0xc3]);
      assert.equal((await ringside(['asm', '-f', 'elf32', 'code.asm'], { cwd: folder })).status, 0);
      assert.equal(fs.readFileSync(path.join(folder, 'code.o')).subarray(0, 4).toString('latin1'), '\x7fELF');
    });
  });

  it('writes to standard output', async () => {
    await inFolder({ 'code.asm': 'db "text"\n' }, async (folder) => {
      assert.equal((await ringside(['asm', path.join(folder, 'code.asm'), '-o', '-'])).stdout, 'text');
    });
  });

  it('knows definitions and include folders', async () => {
    await inFolder({ 'code.asm': '%include "values.inc"\ndb FIRST, SECOND\n%ifdef FLAG\ndb 3\n%endif\n' }, async (folder) => {
      fs.mkdirSync(path.join(folder, 'include'));
      fs.writeFileSync(path.join(folder, 'include', 'values.inc'), 'FIRST equ 1\n');
      const { status, stderr } = await ringside(['asm', 'code.asm', '-I', 'include', '-D', 'SECOND=2', '-D', 'FLAG', '-o', 'out'], { cwd: folder });
      assert.equal(status, 0, stderr);
      assert.deepEqual([...fs.readFileSync(path.join(folder, 'out'))], [1, 2, 3]);
    });
  });

  it('writes a listing with addresses, bytes and macros where they are called', async () => {
    const source = 'org 0x7c00\nbits 16\n%macro twice 1\ninc %1\ninc %1\n%endmacro\nstart: twice ax\n; nothing\ntimes 100 db 0x90\nsection .data\nvalue dw start\n';
    await inFolder({ 'code.asm': source }, async (folder) => {
      const { status, stderr } = await ringside(['asm', 'code.asm', '-l', 'code.lst', '-o', 'code.bin'], { cwd: folder });
      assert.equal(status, 0, stderr);
      const lines = fs.readFileSync(path.join(folder, 'code.lst'), 'utf8').split('\n');
      assert.ok(lines.includes(' 7  00007c00  40                start: twice ax'), lines.join('\n'));
      assert.ok(lines.includes('    00007c01  40'));
      assert.ok(lines.includes(' 8                              ; nothing'));
      assert.ok(lines.includes(' 9  00007c02  9090909090909090  times 100 db 0x90'));
      assert.ok(lines.some((line) => /^ +… 100 bytes$/.test(line)));
      assert.ok(lines.some((line) => /^11 {2}00007c68 {2}007c +value dw start$/.test(line)), lines.join('\n'));
    });
  });

  it('ends with 2 and every error, and writes nothing', async () => {
    await inFolder({ 'bad.asm': 'mov ax, nowhere\nbits 17\n' }, async (folder) => {
      const { status, stderr } = await ringside(['asm', 'bad.asm'], { cwd: folder });
      assert.equal(status, 2);
      assert.match(stderr, /bad\.asm has 2 errors/);
      assert.match(stderr, /bad\.asm:1:9: error: .*nowhere/);
      assert.match(stderr, /bad\.asm:2:\d+: error: /);
      assert.deepEqual(fs.readdirSync(folder), ['bad.asm']);
    });
    assert.equal((await ringside(['asm', 'nowhere.asm'])).status, 2);
  });
});

describe('ringside dis', () => {
  const bytes = Uint8Array.from([0x90, 0x66, 0xb8, 1, 2, 3, 4, 0xeb, 0xfe, 0x0f, 0xff]);

  it('lists addresses, bytes and instructions', async () => {
    await inFolder({ code: bytes }, async (folder) => {
      const file = path.join(folder, 'code');
      const { status, stdout } = await ringside(['dis', file, '--org', '0x7C00']);
      assert.equal(status, 0);
      assert.equal(stdout, [
        '00007c00  90                nop', '00007c01  66b801020304      mov eax, 0x4030201', '00007c07  ebfe              jmp short 0x7c07',
        '00007c09  0fff              db 0x0f, 0xff', '',
      ].join('\n'));
      assert.match((await ringside(['dis', file, '--bits', '32', '--offset', '1', '--length', '4'])).stdout, /^00000001 {2}66b80102 +mov ax, 0x201\n$/);
      const late = await ringside(['dis', file, '--offset', '99']);
      assert.equal(late.status, 2);
      assert.match(late.stderr, /--offset 99 .*11 bytes/);
      assert.match((await ringside(['dis', file, '--bits', '64', '--length', '1'])).stdout, /^0+ {2}90 +nop\n$/);
      assert.equal((await ringside(['dis', file, '--bits', '48'])).status, 2);
    });
  });
});

describe('ringside bench', () => {
  it('lists its kernels', async () => {
    const { status, stdout } = await ringside(['bench', '--list']);
    assert.equal(status, 0);
    for (const name of ['alu', 'sieve', 'memcpy-large', 'fib', 'syscall', 'page-faults', 'cr3', 'smc', 'ports']) assert.match(stdout, new RegExp(`^${name} `, 'm'));
  });

  it('measures a kernel and says so in JSON', async () => {
    const { status, stdout } = await ringside(['bench', '--only', 'ports', '--rounds', '2', '--json']);
    assert.equal(status, 0);
    const { measurements } = JSON.parse(stdout);
    assert.equal(measurements.length, 1);
    assert.equal(measurements[0].kernel, 'ports');
    assert.equal(measurements[0].batches.length, 2);
    // 40 rounds of 5,000 iterations of IN, ADD, DEC and JNZ, and what surrounds them.
    for (const { instructions, wallMilliseconds, cpuMilliseconds } of measurements[0].batches) {
      assert.ok(instructions >= 40 * 4 * 5000 && instructions < 40 * 4 * 5000 + 1000, instructions);
      assert.ok(wallMilliseconds > 0 && cpuMilliseconds > 0);
    }
    assert.ok(measurements[0].millionsPerSecond > 0);
  });

  it('names the kernels when one does not exist', async () => {
    const { status, stderr } = await ringside(['bench', '--only', 'nothing']);
    assert.equal(status, 2);
    assert.match(stderr, /no kernel nothing\n.*alu/);
  });
});

describe('the help', () => {
  it('explains every counter', async () => {
    const { status, stdout } = await ringside(['counters']);
    assert.equal(status, 0);
    for (const { id, definition } of counters) assert.ok(stdout.includes(`(${id})`) && stdout.includes(definition), id);
  });

  it('is there for every command, and names every exit status of run', async () => {
    const all = await ringside(['--help']);
    assert.equal(all.status, 0);
    for (const name of ['run', 'asm', 'dis', 'bench', 'counters']) {
      assert.match(all.stdout, new RegExp(`^ {2}${name}\\b`, 'm'));
      const { status, stdout } = await ringside([name, '--help']);
      assert.equal(status, 0);
      assert.ok(stdout.split('\n').every((line) => line.length <= 80), `lines of ${name} --help fit into 80 columns`);
    }
    const { stdout } = await ringside(['run', '--help']);
    for (const option of ['memory', 'serial', 'kernel-cmdline', 'initrd', 'fda', 'hda', 'cdrom', 'mmu', 'max-instructions', 'timeout', 'counters', 'registers']) {
      assert.match(stdout, new RegExp(`^ {2}--${option}\\b`, 'm'));
    }
    for (const status of ['N', '0', '1', '2', '3', '4', '124', '130']) assert.match(stdout, new RegExp(`^ {2}${status} `, 'm'));
  });

  it('goes to standard error, with status 2, when nothing is asked for', async () => {
    const { status, stdout, stderr } = await ringside([]);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /Usage: ringside/);
  });

  it('tells the version', async () => {
    const { version } = JSON.parse(fs.readFileSync('package.json', 'utf8'));
    assert.equal((await ringside(['--version'])).stdout, `${version}\n`);
  });
});
