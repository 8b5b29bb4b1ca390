/** The x87 in a running machine: availability, pending exceptions, memory operands, images. Results are the silicon suite's business. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../../test/support/guest';

const run = (source: string): BareEngine => new BareEngine().load(program(`bits 32\norg 0x1000\n${source}\nhlt\n`)).toHalt();
const floatAt = (engine: BareEngine, address: number): number => new DataView(engine.mmu.physical.readBytes(address, 8).buffer).getFloat64(0, true);

describe('x87 instructions in the engine', () => {
  it('calculate', () => {
    const engine = run(`
      fninit
      fld qword [a]
      fmul qword [b]
      fsub dword [c]
      fild word [d]
      fdivp st1, st0
      fstp qword [0x8000]
      fldpi
      fsin
      fld1
      fpatan
      fstp qword [0x8008]
      fnstsw ax
      jmp over
      a: dq 3.5
      b: dq 2.0
      c: dd 0.5
      d: dw 4
      over:`);
    assert.equal(floatAt(engine, 0x8000), 1.625);
    assert.ok(Math.abs(floatAt(engine, 0x8008)) < 1e-18);
    assert.equal(engine.register(0) & 0x3800, 0);
  });
});
