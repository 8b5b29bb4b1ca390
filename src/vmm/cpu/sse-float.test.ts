/** SSE arithmetic in a running guest: results, exceptions and who may use the unit. The rest is compared with silicon (test/conformance). */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { GuestFault } from './exceptions';
import { MXCSR, X87, XMM } from './layout';

const PREAMBLE = 'bits 32\norg 0x1000\n';
const engine = new BareEngine();

/** With CR4.OSFXSR and OSXMMEXCPT, whatever the processor model says. */
function load(source: string, cr4 = 0x600): BareEngine {
  engine.load(program(`${PREAMBLE}${source}\nhlt\n`));
  engine.state.cr4 = cr4;
  return engine;
}
const run = (source: string): BareEngine => load(source).toHalt();
const doubles = (bare: BareEngine, n: number): number[] => [...new Float64Array(bare.memory.buffer, XMM + 16 * n, 2)];
const singles = (bare: BareEngine, n: number): number[] => [...new Float32Array(bare.memory.buffer, XMM + 16 * n, 4)];
const words = (bare: BareEngine, n: number): string[] => [...new Uint32Array(bare.memory.buffer, XMM + 16 * n, 4)].map((w) => w.toString(16));
const flags = (bare: BareEngine): number => bare.state.u32[MXCSR >> 2] & 0x3f;

describe('SSE', () => {
  it('adds and multiplies doubles, whether the result is exact or not', () => {
    const bare = run('movsd xmm0, [a]\naddsd xmm0, [b]\nmovapd xmm1, [a]\nmulpd xmm1, [b]\nhlt\nalign 16\na: dq 1.5, 0.1\nb: dq 2.25, 3.0');
    assert.deepEqual(doubles(bare, 0), [3.75, 0]);
    assert.deepEqual(doubles(bare, 1), [1.5 * 2.25, 0.1 * 3]);
    assert.equal(flags(bare), 0x20, 'PE: 0.1 times 3 is rounded');
  });

  it('notes no exception where everything is exact', () => {
    const bare = run('movaps xmm0, [a]\naddps xmm0, [a]\nsubps xmm0, xmm0\ndivps xmm0, [a]\nsqrtss xmm1, [a]\nhlt\nalign 16\na: dd 1.0, 2.0, 4.0, 8.0');
    assert.deepEqual(singles(bare, 0), [0, 0, 0, 0]);
    assert.equal(flags(bare), 0);
  });

  it('gives the processor\'s NaN and notes the invalid exception', () => {
    const bare = run('xorps xmm0, xmm0\ndivss xmm0, xmm0\nhlt');
    assert.deepEqual(words(bare, 0), ['ffc00000', '0', '0', '0']);
    assert.equal(flags(bare), 1);
  });

  it('rounds as MXCSR says', () => {
    const bare = run('ldmxcsr [up]\nmovsd xmm0, [one]\ndivsd xmm0, [three]\ncvtsd2si eax, [half]\ncvttsd2si ecx, [half]\nhlt\nalign 8\none: dq 1.0\nthree: dq 3.0\nhalf: dq 2.5\nup: dd 0x5f80');
    assert.equal(doubles(bare, 0)[0], 0.33333333333333337);
    assert.equal(bare.register(0), 3);
    assert.equal(bare.register(1), 2);
  });

  it('raises #XM for an unmasked exception and leaves the destination alone', () => {
    load('ldmxcsr [all]\nmovss xmm0, [one]\ndivss xmm0, [zero]\nhlt\none: dd 1.0\nzero: dd 0.0\nall: dd 0');
    const exit = engine.toExit();
    assert.ok(exit.kind === 'fault' && exit.fault instanceof GuestFault);
    assert.equal(exit.fault.vector, 19);
    assert.equal(singles(engine, 0)[0], 1);
    assert.equal(flags(engine), 4);
  });

  for (const [what, setup, cr4, vector] of [
    ['#UD while CR4.OSFXSR is clear', '', 0, 6], ['#NM while CR0.TS is set', 'mov eax, cr0\nor eax, 8\nmov cr0, eax', 0x600, 7],
    ['#UD while CR0.EM is set', 'mov eax, cr0\nor eax, 4\nmov cr0, eax', 0x600, 6],
  ] as const) {
    it(`raises ${what}, before a memory operand is looked at`, () => {
      for (const instruction of ['paddd xmm0, [0x123]', 'paddd xmm0, xmm1', 'movaps [0x123], xmm0']) {
        load(`${setup}\n${instruction}`, cr4);
        const exit = engine.toExit();
        assert.ok(exit.kind === 'fault' && exit.fault instanceof GuestFault);
        assert.equal(exit.fault.vector, vector);
      }
    });
  }

  it('raises #GP(0) for a misaligned operand, unless the instruction takes any', () => {
    for (const instruction of ['paddd xmm0, [0x2008]', 'movaps xmm0, [0x2008]', 'movntdq [0x2001], xmm0']) {
      load(instruction);
      const exit = engine.toExit();
      assert.ok(exit.kind === 'fault' && exit.fault instanceof GuestFault, instruction);
      assert.equal(exit.fault.vector, 13);
      assert.equal(exit.fault.errorCode, 0);
    }
    run('movups xmm0, [0x2008]\nlddqu xmm0, [0x2001]\npcmpistri xmm0, [0x2001], 0\nmovdqu [0x2ff8], xmm0');
  });

  it('lets an MMX instruction take over the x87 registers, and EMMS give them back', () => {
    const bare = run('fninit\nfld1\nmov eax, 0x1234567\nmovd mm3, eax\nfnstenv [0x3000]\nemms\nfnstenv [0x3040]');
    assert.equal(bare.state.u32[(X87 + 16 * 3) >> 2], 0x1234567);
    assert.equal(bare.state.u16[(X87 + 16 * 3 + 8) >> 1], 0xffff);
    const tags = (at: number) => bare.mmu.physical.read8(at + 8) | (bare.mmu.physical.read8(at + 9) << 8);
    assert.notEqual(tags(0x3000), 0xffff);
    assert.equal(tags(0x3040), 0xffff);
  });
});
