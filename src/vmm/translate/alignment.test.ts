import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { GuestFault, Vector } from '../cpu/exceptions';
import { Segment } from '../cpu/layout';
import { PageFault } from '../mmu/types';

const AM = 0x40000, AC = 0x40000;

/** Runs one instruction and HLT at level 3 (HLT faults there), in flat 32-bit code. The vector and error code of the first fault. */
function run(instruction: string, { am = true, ac = true, cpl = 3 } = {}): string {
  const bare = new BareEngine().load(program(`bits 32\norg 0x1000\n${instruction}\nhlt`));
  const { cpu } = bare.engine;
  const { state } = bare;
  state.cr0 |= am ? AM : 0;
  state.set32(4, 0x9000);
  state.set32(3, 0x8000);
  if (cpl === 3) {
    for (const n of [Segment.ES, Segment.SS, Segment.DS]) cpu.setSegment(n, 0x13, 0, 0xffffffff, 0xc0f3);
    cpu.setSegment(Segment.CS, 0x0b, 0, 0xffffffff, 0xc0fb);
    cpu.setCpl(3);
  }
  cpu.setFlags(ac ? state.eflags | AC : state.eflags);
  cpu.pagingChanged('flags');
  bare.engine.stateChanged();
  const exit = bare.engine.execute(2, 'full');
  if (exit.kind !== 'fault') return exit.kind;
  assert.ok(exit.fault instanceof GuestFault || exit.fault instanceof PageFault);
  return exit.fault instanceof GuestFault ? `${exit.fault.vector}:${exit.fault.errorCode}` : '14';
}

describe('alignment check', () => {
  const misaligned = ['mov eax, [ebx+1]', 'mov eax, [ebx+2]', 'mov [ebx+1], ax', 'add dword [ebx+3], 1', 'mov eax, [ebx+0xffe]', 'fld qword [ebx+4]'];
  for (const instruction of misaligned) {
    it(`refuses ${instruction} at level 3`, () => assert.equal(run(instruction), `${Vector.AC}:0`));
  }
  for (const instruction of ['mov eax, [ebx+4]', 'mov ax, [ebx+2]', 'mov al, [ebx+1]', 'push eax', 'lea eax, [ebx+1]', 'fld qword [ebx+8]']) {
    it(`permits ${instruction}`, () => assert.equal(run(instruction), `${Vector.GP}:0`, 'HLT is what faults'));
  }
  it('is off without CR0.AM, without EFLAGS.AC and above level 3', () => {
    assert.equal(run(misaligned[0], { am: false }), `${Vector.GP}:0`);
    assert.equal(run(misaligned[0], { ac: false }), `${Vector.GP}:0`);
    assert.equal(run(misaligned[0], { cpl: 0 }), 'ran');
  });
});
