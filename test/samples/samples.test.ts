/** Every sample runs to the output, the end and the counters that its comments promise, and fails its own check when it is broken. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { makeCode, breakCode } from '../../src/protocol/keys';
import { assembleSample, samplesFolder, startSample } from './guest';

const sources = fs.readdirSync(samplesFolder).filter((name) => name.endsWith('.asm')).sort();
const halted = { kind: 'halted' };

describe('samples', () => {
  it('stand in the README, one row each', () => {
    const readme = fs.readFileSync(path.join(samplesFolder, 'README.md'), 'utf8');
    const rows = [...readme.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
    const files = fs.readdirSync(samplesFolder).filter((name) => /\.(asm|inc)$/.test(name));
    assert.deepEqual(rows.sort(), files.sort());
  });

  for (const name of sources) {
    it(`${name} assembles without a message to whole sectors with a boot signature`, () => {
      const { ok, bytes, diagnostics } = assembleSample(name);
      assert.deepEqual(diagnostics, []);
      assert.ok(ok);
      assert.equal(bytes.length % 512, 0);
      assert.deepEqual([...bytes.subarray(510, 512)], [0x55, 0xaa]);
    });
  }

  it('hello.asm greets on the screen and on the serial port', () => {
    const { end, serial, screen, counters } = startSample('hello.asm').finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Hello from the first sector!\r\n');
    assert.ok(screen.includes('Hello from the first sector!'));
    assert.equal(counters.exceptions, 0);
  });

  it('protected.asm says where it is, on the screen too', () => {
    const session = startSample('protected.asm');
    const { end, serial, screen } = session.finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Real mode.\r\nProtected mode, 32 bits.\r\n');
    assert.equal(screen[12], 'Protected mode, 32 bits.');
    const { mode, cr0, segments } = session.machine.registers();
    assert.equal(mode, 'protected32');
    assert.equal(cr0 & 1, 1);
    assert.equal(segments[4].limit, 15);
  });

  it('paging.asm: 16 true page faults, hidden ones for each page once, and none for a CR3 load', () => {
    const { end, serial, counters, hidden, address } = startSample('paging.asm').finish();
    assert.deepEqual(end, halted);
    assert.match(serial, /^16 pages touched, 16 true page faults\./);
    assert.equal(counters.truePageFaults, 16);
    assert.equal(counters.exceptions, 16);
    const at = (label: string): number => hidden.find(({ linear }) => linear === address(label))?.count ?? 0;
    // The 16 pages; and when the first #PF is delivered, the page of its gate, and the stack's, which is written for the first time.
    assert.equal(at('main.write'), 18);
    assert.equal(at('sum.next'), 0);
    assert.equal(hidden.reduce((sum, { count }) => sum + count, 0), counters.hiddenPageFaults);
  });

  it('timer-keyboard.asm shows keys, dots, and ends on Esc', () => {
    const session = startSample('timer-keyboard.asm');
    session.runUntil('..');
    session.machine.keyboard([...makeCode('KeyA')!, ...breakCode('KeyA')!]);
    session.runUntil('key 1E');
    session.machine.keyboard(makeCode('Escape')!);
    const { end, serial, counters } = session.finish();
    assert.deepEqual(end, halted);
    assert.match(serial, /^Press keys; Esc ends\. \.\.(\.?)key 1E \r\nEsc\.\r\n$/);
    assert.ok(counters.interrupts > 100, `${counters.interrupts} interrupts`);
  });

  it('timer-keyboard.asm gives up after 30 seconds, a dot for every half', () => {
    const { end, serial, counters } = startSample('timer-keyboard.asm').finish(4_000_000_000);
    assert.deepEqual(end, halted);
    assert.equal(serial, `Press keys; Esc ends. ${'.'.repeat(59)}\r\nNobody pressed Esc.\r\n`);
    assert.equal(counters.interrupts, 3000);
  });

  it('ring3.asm: system calls, and #GP for CLI', () => {
    const { end, serial, counters } = startSample('ring3.asm').finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Ring 3 greets through INT 0x80.\r\nKernel: caught CLI in ring 3 (#GP).\r\n');
    assert.equal(counters.exceptions, 1);
  });

  it('self-modifying.asm: every change is seen, and data beside code changes nothing', () => {
    const { end, serial, counters } = startSample('self-modifying.asm').finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Every change of the code was seen.\r\n');
    // 1,000 changes of the loop, one of the next instruction, ten generations of new code; 1,000 counted words beside code.
    assert.ok(counters.codeInvalidations >= 1000 && counters.codeInvalidations < 2100, `${counters.codeInvalidations} invalidations`);
  });

  it('critical-section.asm: nothing is lost, though the timer interrupts', () => {
    const { end, serial, counters } = startSample('critical-section.asm').finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Nothing was lost: 100001 additions of the program, and every one of the timer.\r\n');
    assert.ok(counters.interrupts >= 10);
  });

  it('isprime.asm counts the primes', () => {
    const { end, serial, counters } = startSample('isprime.asm').finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, '1229 primes below 10000.\r\n');
    assert.ok(counters.translationUnits < 120, `${counters.translationUnits} units`);
  });

  it('echo.asm answers in capitals and ends on Ctrl-D', () => {
    const session = startSample('echo.asm');
    session.runUntil('ends.\r\n');
    session.machine.serialInput(0, new TextEncoder().encode('Hello, 8086!\r'));
    session.runUntil('HELLO, 8086!\r\n');
    session.machine.serialInput(0, Uint8Array.of(4));
    const { end, serial } = session.finish();
    assert.deepEqual(end, halted);
    assert.equal(serial, 'Type something; Ctrl-D ends.\r\nHELLO, 8086!\r\n\r\nBye.\r\n');
  });

  it('plasma.asm moves 256 colours until a key is pressed', () => {
    const { machine, finish } = startSample('plasma.asm');
    const shown = () => {
      machine.run(2_000_000);
      const screen = machine.screen();
      assert.ok(screen.kind === 'graphics' && screen.colours);
      return screen;
    };
    machine.run(3_000_000);
    const first = shown(), second = shown();
    assert.equal(first.mode, '320×200, 256 colours');
    const [{ pixels }] = first.rectangles;
    assert.ok(new Set(pixels).size > 150, `${new Set(pixels).size} colours`);
    assert.notDeepEqual(second.rectangles[0].pixels, pixels);
    machine.keyboard([...makeCode('Space')!, ...breakCode('Space')!]);
    assert.deepEqual(finish().end, halted);
    assert.equal(machine.screen().kind, 'text');
  });

  it('mandelbrot.asm draws in 32-bit colour', () => {
    const { machine, finish } = startSample('mandelbrot.asm');
    machine.run(200_000_000);
    const screen = machine.screen();
    assert.ok(screen.kind === 'graphics');
    assert.equal(screen.mode, '640×480, 32 bits');
    const words = new Uint32Array(screen.rectangles[0].pixels.buffer);
    const at = (x: number, y: number): number => words[y * 640 + x] >>> 0;
    assert.equal(at(240, 240), 0xff000000, '-1 belongs to the set');
    assert.equal(at(0, 0), 0xff000000 + 47 * 0x050403, 'the corner leaves at once');
    // The picture is the same above and below the real axis, but for rounding.
    let same = 0;
    for (let x = 0; x < 640; x++) for (let y = 1; y < 240; y++) if (at(x, 240 - y) === at(x, 240 + y)) same++;
    assert.ok(same > 640 * 239 * 0.99, String(same));
    machine.keyboard([...makeCode('Space')!, ...breakCode('Space')!]);
    assert.deepEqual(finish().end, halted);
  });

  it('a second run is the first one again, counter by counter', () => {
    for (const name of ['paging.asm', 'critical-section.asm']) {
      assert.deepEqual(startSample(name).finish().counters, startSample(name).finish().counters, name);
    }
  });
});

describe('samples that are broken on purpose', () => {
  const broken: readonly (readonly [name: string, what: string, from: string, to: string, check: number])[] = [
    ['paging.asm', 'a fault that is not counted', 'inc dword [faults]', 'nop', 1],
    ['paging.asm', 'a page that loses its contents', 'add dword [next_frame], 0x1000', 'add dword [next_frame], 0', 2],
    ['critical-section.asm', 'no CLI', '        pushfd\n        cli\n        mov eax, [counter] ', '        pushfd\n        mov eax, [counter] ', 2],
    ['critical-section.asm', 'STI for POPF', '        popfd\n        ret', '        popfd\n        sti\n        ret', 1],
    ['ring3.asm', 'another forbidden instruction first', '.forbidden:\n', '        hlt\n.forbidden:\n', 2],
    ['isprime.asm', 'one number less', 'cmp edi, LIMIT', 'cmp edi, LIMIT - 30', 1],
    ['self-modifying.asm', 'code that does not change', 'inc dword [.constant]', 'inc dword [0x9100]', 1],
    ['protected.asm', 'another limit', 'dw 15, 0x7c00', 'dw 31, 0x7c00', 1],
  ];
  for (const [name, what, from, to, check] of broken) {
    it(`${name}: ${what}`, () => {
      const { end } = startSample(name, (text) => {
        assert.ok(text.includes(from), `${name} no longer contains ${from}`);
        return text.replace(from, to);
      }).finish();
      assert.deepEqual(end, { kind: 'debugExit', status: 2 * check + 1 });
    });
  }
});
