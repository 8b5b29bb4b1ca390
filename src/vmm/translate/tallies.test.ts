import assert from 'node:assert/strict';
import { machine, program, type TestMachine } from '../../../test/support/guest';
import type { TranslatedCode } from '../../protocol/translated-code';
import type { TranslationMode } from './regions';

const modes: readonly TranslationMode[] = ['threaded', 'adaptive', 'eager', 'random'];

/** From a boot sector into flat 32-bit code. */
const flat = (source: string): string => `bits 16
org 0x7c00
  cli
  lgdt [table]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:flat
table: dw 23
  dd descriptors
descriptors: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
bits 32
flat:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7000
${source}
  cli
  hlt
`;

/** A loop with a branch, a call, a load and an instruction that regions leave to threaded code. */
const loop = flat(`  mov ecx, 2000
again:
  add eax, [0x6000]
  test cl, 3
  jnz odd
  call sub
odd:
  dec ecx
  jnz again
  jmp done
sub:
  inc dword [0x6000]
  in al, 0x61
  ret
done:
  nop`);
const label = program(loop).label;

const executions = (code: TranslatedCode): Record<string, number | undefined> =>
  Object.fromEntries(code.units.flatMap(({ instructions }) => instructions.map(({ linear, text, executions: count }) => [`${linear.toString(16)} ${text.split(' ')[0]}`, count])));
const at = (guest: TestMachine, name: string, text: string): number | undefined => executions(guest.translatedCode(label(name), true))[`${label(name).toString(16)} ${text}`];

describe('counts of executions', () => {
  for (const translation of modes) {
    it(`are exact from the first one on, ${translation}`, () => {
      const guest = machine(loop, { translation });
      guest.translatedCode(label('again'), true);
      guest.run(1_000_000);
      assert.equal(at(guest, 'again', 'add'), 2000);
      assert.equal(at(guest, 'odd', 'dec'), 2000);
    });

    it(`begin when somebody looks, and go on while the code is rewritten, ${translation}`, () => {
      const guest = machine(loop, { translation });
      guest.run(5000);
      const before = guest.register('ecx');
      const began = at(guest, 'odd', 'dec')!;
      assert.equal(began, 0);
      guest.run(2000);
      const counted = at(guest, 'odd', 'dec')!;
      assert.ok(Math.abs(before - guest.register('ecx') - counted) <= 1, `${counted} of ${before - guest.register('ecx')}`);
      guest.writeMemory('linear', label('odd'), Uint8Array.of(0x49));
      guest.run(1_000_000);
      assert.ok(Math.abs(before - at(guest, 'odd', 'dec')!) <= 1, `${at(guest, 'odd', 'dec')} of ${before}`);
    });

    it(`never show in the guest, however often they are switched, ${translation}`, () => {
      const plain = machine(loop, { translation });
      const guest = machine(loop, { translation });
      let die = 12345;
      const places = ['again', 'odd', 'sub', 'done', 'flat'];
      for (let n = 0; n < 100; n++) {
        die = (die * 1103515245 + 12345) >>> 0;
        const count = die % 2 ? 1 + (die >>> 8) % 300 : 1 + (die >>> 8) % 8;
        const place = (die >>> 16) % (places.length + 1);
        if (place < places.length) guest.translatedCode(label(places[place]), true);
        else guest.stopCounting();
        if ((die >>> 20) % 4 === 0) {
          plain.step(count);
          guest.step(count);
        } else {
          plain.run(count);
          guest.run(count);
        }
        if (n % 5 === 0) assert.equal(guest.state(), plain.state(), `after ${plain.instructions} instructions`);
      }
    });
  }

  /** Faults, interrupts, repeated instructions and rewritten code in the middle of units, in real mode. */
  const busy = `bits 16
org 0x7c00
start:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7000
  mov word [0], divided
  mov word [2], 0
  mov word [0x80], tick
  mov word [0x82], 0
  mov al, 0x36
  out 0x43, al
  mov al, 100
  out 0x40, al
  mov al, 0
  out 0x40, al
  mov al, 0x11
  out 0x20, al
  mov al, 0x20
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
  sti
  mov cx, 400
again:
  mov ax, cx
  and al, 3
  mov bl, al
  mov ax, 100
  div bl
  mov [0x6000], ax
  in al, 0x61
  mov di, 0x6100
  mov dx, cx
  mov cx, 50
fill:
  rep stosb
  mov cx, dx
  inc byte [rewritten + 2]
rewritten:
  add si, 1
  dec cx
  jnz again
  cli
  hlt
divided:
  inc bl
  iret
tick:
  push ax
  mov al, 0x20
  out 0x20, al
  pop ax
  iret
`;

  for (const translation of modes) {
    it(`are those of single steps when units are left in their middle, ${translation}`, () => {
      const source = program(busy);
      const truth = new Map<number, number>();
      const slow = machine(busy, { translation: 'threaded', instructionsPerSecond: 5_000_000 });
      for (let before = -1, running = true; running;) {
        const here = slow.register('eip');
        running = slow.run(1).kind === 'slice';
        // When an interrupt is taken the step is the handler's first instruction.
        const eip = slow.register('eip') === source.label('tick') + 1 ? source.label('tick') : here;
        // Iterations of a repeated instruction are one execution.
        if (eip !== before) truth.set(eip, (truth.get(eip) ?? 0) + 1);
        before = eip;
      }
      // One execution each, however often an interrupt came between two iterations.
      assert.ok(truth.get(source.label('fill'))! > 400);
      truth.set(source.label('fill'), 400);
      assert.ok(truth.get(source.label('tick'))! > 5 && truth.get(source.label('divided'))! > 50, 'interrupts and faults');
      const guest = machine(busy, { translation, instructionsPerSecond: 5_000_000 });
      guest.translatedCode(source.label('start'), true);
      guest.translatedCode(source.label('again'), true);
      for (let n = 0; guest.run(37 + n).kind === 'slice'; n++);
      const counts = new Map(guest.translatedCode(source.label('again'), true).units.flatMap(({ instructions }) => instructions.map(({ linear, executions: count }) => [linear, count])));
      const differing = [...counts].filter(([linear, count]) => count !== truth.get(linear));
      assert.deepEqual(differing.map(([linear, count]) => `${linear.toString(16)}: ${count}, not ${truth.get(linear)}`), []);
      assert.ok(counts.size > 8);
    });
  }

  it('count steps', () => {
    const guest = machine(loop, { translation: 'threaded' });
    guest.translatedCode(label('again'), true);
    guest.run(13);
    while (guest.register('eip') !== label('again')) guest.step(1);
    for (let n = 0; n < 3; n++) guest.step(1);
    assert.equal(at(guest, 'again', 'add'), 2);
  });

  it('leave everything as it was when nobody looks any more', () => {
    const guest = machine(loop, { translation: 'adaptive', instructionsPerSecond: 1_000_000 });
    guest.run(4000);
    const before = [guest.translation('records'), guest.translation('wasm')];
    guest.translatedCode(label('again'), true);
    assert.notEqual([guest.translation('records'), guest.translation('wasm')].join(), '');
    guest.stopCounting();
    assert.deepEqual([guest.translation('records'), guest.translation('wasm')], before);
    const code = guest.translatedCode(label('again'));
    assert.equal(code.countingSince, undefined);
    assert.ok(Object.values(executions(code)).every((count) => count === undefined));
  });

  it('are counts of what is looked at, not of all', () => {
    const guest = machine(loop, { translation: 'threaded' });
    guest.translatedCode(label('done'), true);
    guest.run(1_000_000);
    assert.equal(executions(guest.translatedCode(label('again')))[`${label('again').toString(16)} add`], undefined);
    assert.equal(at(guest, 'done', 'nop'), 1);
  });

  it('survive breakpoints in the code', () => {
    const guest = machine(loop, { translation: 'eager' });
    guest.setBreakpoints([label('odd')]);
    guest.translatedCode(label('again'), true);
    for (let n = 0; n < 5; n++) {
      assert.equal(guest.run(1_000_000).kind, 'breakpoint');
      guest.step(1);
    }
    assert.equal(at(guest, 'odd', 'dec'), 5);
    guest.setBreakpoints([]);
    guest.run(1_000_000);
    assert.equal(at(guest, 'odd', 'dec'), 2000);
  });
});
