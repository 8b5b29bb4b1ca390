import assert from 'node:assert/strict';
import type { RegisterSnapshot } from '../../protocol/messages';
import { forecast } from './eflags';
import { describeChange, machineViewModel, stopSentence } from './model';

export function snapshot(change: Partial<RegisterSnapshot> = {}): RegisterSnapshot {
  return {
    general: [0x1234n, 2n, 0n, 0n, 0x7c00n, 0n, 0n, 0n], eip: 0x7c05, eflags: 0x202,
    segments: Array.from({ length: 8 }, () => ({ selector: 0, base: 0, limit: 0xffff, attributes: 0x93 })),
    gdtr: { base: 0, limit: 0xffff }, idtr: { base: 0, limit: 0x3ff }, cr0: 0x10, cr2: 0, cr3: 0, cr4: 0, dr: [], efer: 0,
    cpl: 0, mode: 'real', instructions: 5, ...change,
  };
}

describe('Machine view model', () => {
  it('marks what changed since the stop before, and nothing else', () => {
    const before = snapshot();
    const now = snapshot({ general: [0x1235n, ...before.general.slice(1)], eflags: 0x242, eip: 0x7c08 });
    const model = machineViewModel({ program: 'a.asm', state: 'paused', status: 'Paused', registers: now, previous: before, instruction: 'jnz 0x7c00' });
    assert.deepEqual(model.general.filter((r) => r.previous !== undefined).map((r) => [r.name, r.previous, r.value]),
      [['EAX', '00001234', '00001235']]);
    assert.deepEqual(model.flags.filter((f) => f.previous !== undefined).map((f) => [f.name, f.previous, f.value]), [['ZF', 0, 1]]);
    assert.equal(model.forecast, 'jnz not taken (ZF=1)');
    assert.deepEqual(model.location, { address: '0000:7C08', instruction: 'jnz 0x7c00' });
    assert.equal(model.segments.some((s) => s.changed), false);
  });

  it('shows the x87 stack as numbers, and empty registers as such', () => {
    const stack = [0x4000c90fdaa22168c235n, 0x3fff8000000000000000n, ...Array<bigint>(6).fill(0n)];
    // TOP is 6: ST(0) is R6, ST(1) R7.
    const fpu = { stack, control: 0x37f, status: 6 << 11 | 0x20, tags: 0x0fff };
    const model = machineViewModel({ program: 'a', state: 'paused', status: 'Paused', registers: snapshot({ fpu, xmm: Array<bigint>(16).fill(5n), mxcsr: 0x1f80 }) });
    assert.deepEqual(model.floating.slice(0, 3).map((r) => `${r.name} ${r.value}`), ['ST0 3.141592653589793', 'ST1 1', 'ST2 empty']);
    assert.deepEqual(model.floating.slice(8, 10).map((r) => `${r.name} ${r.value} ${r.note}`), ['FCW 037F IM DM ZM OM UM PM PC=3', 'FSW 3020 PE TOP=6']);
    assert.equal(model.floating[11].value, '00001F80');
    assert.deepEqual(model.floating.slice(12).map((r) => `${r.name} ${r.value}`).at(-1), `XMM7 ${'5'.padStart(32, '0')}`);
    assert.deepEqual(machineViewModel({ program: 'a', state: 'paused', status: 'Paused', registers: snapshot() }).floating, []);
  });

  it('forecasts nothing while the guest runs', () => {
    const model = machineViewModel({ program: 'a', state: 'running', status: 'Running', registers: snapshot(), instruction: 'jnz 1' });
    assert.equal(model.forecast, undefined);
    assert.equal(model.location, undefined);
  });

  it('says why the machine stopped', () => {
    assert.equal(stopSentence({ kind: 'exception', vector: 14, name: '#PF', errorCode: 2, address: 0x1000 }), 'Paused before #PF, error code 0x2, address 0x1000');
  });
});

describe('values beside the source', () => {
  it('shows the old value only when it differs', () => {
    assert.equal(describeChange('EAX', 0x12n, 0x11n), 'eax = 0x12 (was 0x11)');
    assert.equal(describeChange('eax', 0x12n, 0x12n), 'eax = 0x12');
    assert.equal(describeChange('zf', 1n, 0n), 'ZF = 1 (was 0)');
  });
});

describe('forecast of a conditional instruction', () => {
  const CF = 1, ZF = 0x40, SF = 0x80, OF = 0x800;
  const cases: [string, number, number, string | undefined][] = [
    ['jz 0x10', ZF, 0, 'jz taken (ZF=1)'],
    ['jg x', SF, 0, 'jg not taken (ZF=0, SF=1, OF=0)'],
    ['jg x', SF | OF, 0, 'jg taken (ZF=0, SF=1, OF=1)'],
    ['jbe x', CF, 0, 'jbe taken (CF=1, ZF=0)'],
    ['setc al', CF, 0, 'setc writes 1 (CF=1)'],
    ['cmovns eax,ebx', SF, 0, 'cmovns does not move (SF=1)'],
    ['loop x', 0, 1, 'loop not taken (ECX=1)'],
    ['loopne x', ZF, 5, 'loopne not taken (ECX=5, ZF=1)'],
    ['jecxz x', 0, 0, 'jecxz taken (ECX=0)'],
    ['jmp x', 0, 0, undefined],
    ['setup', 0, 0, undefined],
    ['', 0, 0, undefined],
  ];
  for (const [text, flags, ecx, expected] of cases) {
    it(`${text || '(nothing)'} with flags ${flags.toString(16)}`, () => assert.equal(forecast(text, flags, ecx), expected));
  }
  it('tests CX in 16-bit code', () => {
    assert.equal(forecast('loop x', 0, 0x10001, 16), 'loop not taken (CX=1)');
    assert.equal(forecast('a32 loop x', 0, 0x10001, 16), 'loop taken (ECX=65537)');
  });
});
