/** `ringside run`: exit statuses, output, options, and what it says about bad input. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { guestFile } from '../support/guests';
import { bootSector, inFolder, ringside, type Result, type StartOptions } from './ringside';

const hello = path.join('samples', 'hello.asm');
const spin = bootSector('jmp $');
const sleep = bootSector('sti\nagain: hlt\njmp again');

async function runCode(code: string, parameters: readonly string[] = [], options: StartOptions = {}): Promise<Result> {
  return inFolder({ 'guest.asm': code }, async (folder) => ringside(['run', path.join(folder, 'guest.asm'), ...parameters], options));
}

describe('ringside run', () => {
  it('ends with 0 when the guest halts for ever', async () => {
    const { status, stdout, stderr } = await ringside(['run', hello]);
    assert.equal(status, 0);
    assert.match(stdout, /^Hello from the first sector!\r\n── screen ─+\nHello from the first sector!\n$/);
    assert.match(stderr, /halted with interrupts off/);
  });

  it('ends with the status of the debug-exit port', async () => {
    for (const [value, expected] of [[0, 1], [5, 11], [0x7f, 255]]) {
      const { status, stderr } = await runCode(bootSector(`mov al, ${value}\nout 0xf4, al`));
      assert.equal(status, expected);
      assert.match(stderr, new RegExp(`status ${expected}`));
    }
  });

  it('ends with 3 on a triple fault and prints the post-mortem', async () => {
    const { status, stderr } = await runCode(bootSector(`
      cli
      lidt [none]
      jmp there
      there: ud2
      none: dw 0, 0, 0`));
    assert.equal(status, 3);
    assert.match(stderr, /#UD/);
    assert.match(stderr, /#DF/);
    assert.match(stderr, /The gate that could not be used:\n {2}\S/);
    assert.match(stderr, /=> [0-9a-f]{8} {2}0f0b +ud2\n/);
    assert.match(stderr, /The last branches, oldest first:\n(?: {2}[0-9a-f]{8} → [0-9a-f]{8}\n)+/);
    assert.match(stderr, /EAX [0-9a-f]{8} {2}EBX/);
  });

  it('ends with 4 at the instruction limit, after exactly so many', async () => {
    const { status, stdout, stderr } = await runCode(spin, ['--max-instructions', '1M', '--counters', 'json']);
    assert.equal(status, 4);
    assert.match(stderr, /instruction limit/);
    assert.equal(JSON.parse(stdout.trimEnd().split('\n').at(-1)!).counters.instructions, 1_000_000);
  });

  it('ends with 124 at the time limit, spinning or asleep', async () => {
    for (const code of [spin, sleep]) {
      const { status, stderr } = await runCode(code, ['--timeout', '0.5']);
      assert.equal(status, 124);
      assert.match(stderr, /time limit of 0\.5 s/);
    }
  });

  it('ends with 130 on Ctrl-C and prints the counters', async () => {
    let sent = false;
    const { status, stdout } = await runCode(bootSector(`mov dx, 0x3f8\nmov al, '!'\nout dx, al\njmp $`), [], {
      openInput: true,
      onOutput: (child, text) => {
        if (!sent && text.includes('!')) {
          sent = true;
          child.signal('SIGINT');
        }
      },
    });
    assert.equal(status, 130);
    assert.match(stdout, /── counters ─+\nInstructions +[0-9,]+\n/);
  });

  it('ends when the reader of its output is gone', async () => {
    const { status } = await runCode(bootSector(`mov dx, 0x3f8\nmov al, 'x'\nagain: out dx, al\njmp again`), [], { openInput: true, onOutput: (child) => child.closeOutput() });
    assert.equal(status, 141);
  });

  it('feeds standard input to the serial port', async () => {
    const { status, stdout } = await ringside(['run', path.join('samples', 'echo.asm')], { input: 'ring\x04' });
    assert.equal(status, 0);
    assert.match(stdout, /RING/);
  });

  it('feeds more input than the line holds, without losing any', async () => {
    const bytes = 200_000;
    const { status, stdout } = await runCode(bootSector(`
      xor ebx, ebx
      next: mov dx, 0x3fd
      in al, dx
      test al, 1
      jz next
      mov dx, 0x3f8
      in al, dx
      cmp al, 4
      je end
      inc ebx
      jmp next
      end: cmp ebx, ${bytes}
      jne wrong
      cli
      hlt
      wrong: mov al, 1
      out 0xf4, al`), ['--timeout', '30'], { input: `${'a'.repeat(bytes)}\x04` });
    assert.equal(status, 0, stdout);
  });

  it('types on the keyboard, at the same instructions each time', async () => {
    const parameters = ['run', path.join('samples', 'timer-keyboard.asm'), '--type', 'hi\\e', '--counters', 'json'];
    const [first, second] = [await ringside(parameters), await ringside(parameters)];
    assert.equal(first.status, 0);
    assert.match(first.stdout, /key 23 key 17 \r\nEsc\./);
    const counters = ({ stdout }: Result): unknown => JSON.parse(stdout.trimEnd().split('\n').at(-1)!).counters;
    assert.deepEqual(counters(first), counters(second));
  });

  it('writes the serial port to a file, or nowhere', async () => {
    await inFolder({}, async (folder) => {
      const file = path.join(folder, 'serial.txt');
      const { stdout } = await ringside(['run', hello, '--serial', file, '--screen', 'none']);
      assert.equal(stdout, '');
      assert.equal(fs.readFileSync(file, 'latin1'), 'Hello from the first sector!\r\n');
    });
    assert.equal((await ringside(['run', hello, '--serial', 'null', '--screen', 'none'])).stdout, '');
  });

  it('writes the debug port to standard output', async () => {
    const { stdout } = await runCode(bootSector(`mov al, 'd'\nout 0xe9, al\ncli\nhlt`), ['--serial', 'null']);
    assert.match(stdout, /^d\n?/);
  });

  it('prints registers and counters', async () => {
    const { stdout } = await runCode(bootSector('mov eax, 0x12345678\nxor bx, bx\ncli\nhlt'), ['--registers', '--counters', 'table']);
    assert.match(stdout, /EAX 12345678/);
    assert.match(stdout, /EIP 00007c0a {2}EFLAGS 00000046 {2}-----Z-P- IOPL=0/);
    assert.match(stdout, /CS +0000 {2}base 00000000 {2}limit 0000ffff/);
    assert.match(stdout, /real mode, CPL 0/);
    assert.match(stdout, /Hidden page faults +\d+\nTrue page faults +0\n/);
  });

  it('boots a drive without a program', async () => {
    await inFolder({ 'guest.asm': bootSector('mov al, 20\nout 0xf4, al') }, async (folder) => {
      const image = path.join(folder, 'disk.img');
      assert.equal((await ringside(['asm', path.join(folder, 'guest.asm'), '-o', image])).status, 0);
      for (const option of ['--hda', '--fda']) assert.equal((await ringside(['run', option, image])).status, 41, option);
    });
  });

  it('loads a flat binary where it is told to', async () => {
    await inFolder({ 'guest.bin': Uint8Array.of(0xe8, 0, 0, 0x58, 0xf4) }, async (folder) => { // call $+3; pop ax; hlt
      const { stdout } = await ringside(['run', path.join(folder, 'guest.bin'), '--load-address', '0x8000', '--registers', '--max-instructions', '3']);
      assert.match(stdout, /EAX 00008003/);
    });
  });
});

describe('ringside run with real boot code', () => {
  const real: readonly (readonly [guest: string, text: RegExp])[] = [
    ['mbr.bin', /Missing operating system\./],
    ['boot.img', /GRUB Read Error/],
  ];
  for (const [name, text] of real) {
    it(`${name} prints what it prints on a PC without an operating system`, async function () {
      const found = guestFile(name);
      if (found.path === undefined) {
        console.log(`      ${name}: ${found.missing}`);
        return this.skip();
      }
      const { status, stdout } = await ringside(['run', found.path, '--max-instructions', '20M']);
      assert.match(stdout, text);
      // Both hand over to the BIOS at last (INT 18h), which has nothing else to boot.
      assert.match(stdout, /No bootable device/);
      assert.equal(status, 0);
    });
  }
});

describe('bad input to ringside run', () => {
  const refused = async (parameters: readonly string[], ...reasons: readonly RegExp[]): Promise<void> => {
    const { status, stdout, stderr } = await ringside(parameters);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    for (const reason of reasons) assert.match(stderr, reason);
    assert.ok(!stderr.includes('    at '), `a stack trace: ${stderr}`);
  };

  it('names the file and the reason', async () => {
    await refused(['run', 'nowhere.asm'], /nowhere\.asm cannot be read: it does not exist/);
    await refused(['run', 'nowhere.img'], /nowhere\.img cannot be read: it does not exist/);
    await refused(['run', 'samples'], /samples cannot be read: it is a directory/);
    await refused(['run', hello, '--initrd', hello], /--initrd is for Linux and multiboot kernels/);
    await refused(['run', hello, '--cdrom', 'cd.iso'], /cd\.iso cannot be read/);
    await refused(['run', hello, '--serial', '/nowhere/serial'], /--serial: \/nowhere\/serial cannot be written/);
    await refused(['run'], /nothing to run/);
  });

  it('shows the line of an error in a source', async () => {
    await inFolder({ 'bad.asm': 'mov ax, 1\nmvo bx, ax\n' }, async (folder) => {
      const file = path.join(folder, 'bad.asm');
      const { status, stderr } = await ringside(['run', file]);
      assert.equal(status, 2);
      assert.ok(stderr.includes(`${file}:2:1: error: `), stderr);
      assert.match(stderr, /\n {4}mvo bx, ax\n {4}\^\^\^/);
    });
  });

  it('refuses what no loader takes', async () => {
    const linux = new Uint8Array(4096);
    linux.set([0x55, 0xaa], 510);
    linux.set(new TextEncoder().encode('HdrS'), 0x202);
    const files: Record<string, Uint8Array> = {
      'vmlinuz': linux, 'empty.img': new Uint8Array(), 'disk.qcow2': new TextEncoder().encode('QFIxxxxxxxxx').map((byte, n) => (n === 3 ? 0xfb : byte)),
      'kernel.elf': Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0]), 'wide.elf': Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]),
    };
    await inFolder(files, async (folder) => {
      const file = (name: string): string => path.join(folder, name);
      await refused(['run', file('vmlinuz')], /vmlinuz: speaks boot protocol 0\.00/);
      await refused(['run', file('empty.img')], /empty/);
      await refused(['run', file('disk.qcow2')], /qcow2/, /qemu-img/);
      await refused(['run', file('kernel.elf')], /kernel\.elf/);
      await refused(['run', file('wide.elf')], /wide\.elf/);
    });
  });

  it('checks every option', async () => {
    await refused(['run', hello, '--memory', '0'], /--memory/, /1 to 2048/);
    await refused(['run', hello, '--memory', 'much'], /--memory/);
    await refused(['run', hello, '--mmu', 'nested'], /--mmu/, /shadow/);
    await refused(['run', hello, '--timeout', '-1'], /--timeout/);
    await refused(['run', hello, '--max-instructions', '1.5'], /--max-instructions/);
    await refused(['run', hello, '--counters', 'xml'], /--counters/, /table, json/);
    await refused(['run', hello, '--type', 'é'], /cannot type/);
    await refused(['run', hello, '--nonsense'], /--nonsense/);
    await refused(['rum', hello], /rum/, /run/);
  });
});
