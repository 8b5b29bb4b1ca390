/** The world of long-cases.ts on our processor in flat 32-bit code of ring 3: what shapes without REX do there as in 64-bit code. */
import { Cr4 } from '../../../../src/vmm/cpu/bits';
import { FPU_EMPTY, FPU_STATUS, FPU_TOP, MXCSR, X87, XMM } from '../../../../src/vmm/cpu/layout';
import { PageFault } from '../../../../src/vmm/mmu/types';
import { BareMachine, vectorOf } from '../../../support/bare-machine';
import { CODE, DATA, DATA_BYTES, Layout, MEMORY_BYTES, windows, type LongShape, type LongState } from './long-cases';

const HLT = 0xf4;
const AT = 0x100, CODE_BYTES = 0x1000;
const GENERAL_PROTECTION = 13;

export class VectorWorld {
  private readonly machine = new BareMachine().protect(3);

  constructor() {
    const { machine } = this;
    machine.map(CODE, CODE_BYTES, 5);
    machine.map(DATA, DATA_BYTES, 7);
    machine.ram.fill(HLT, CODE, CODE + CODE_BYTES);
    machine.pageTables({ writeProtect: true });
    machine.state.cr4 |= Cr4.OSFXSR | Cr4.OSXMMEXCPT;
    machine.state.cr0 |= 0x20;
  }

  begin(shape: LongShape): void {
    const code = new Uint8Array(32).fill(HLT);
    code.set(shape.code);
    this.machine.write(CODE + AT, code);
  }

  run(shape: LongShape, before: LongState, after: LongState): void {
    const { machine } = this;
    const { state, ram } = machine;
    for (let n = 0; n < 8; n++) state.set32(n, before.view.getUint32(8 * n, true));
    state.eflags = before.view.getUint32(Layout.flags, true);
    state.eip = CODE + AT;
    state.u32[MXCSR >> 2] = before.view.getUint32(Layout.mxcsr, true);
    state.u8.set(before.image.subarray(Layout.xmm, Layout.xmm + 256), XMM);
    state.u32[FPU_STATUS >> 2] = 0;
    state.u32[FPU_TOP >> 2] = 0;
    state.u32[FPU_EMPTY >> 2] = ~before.image[Layout.valid] & 0xff;
    state.u8.set(before.image.subarray(Layout.stack, Layout.stack + 128), X87);
    state.updateFpuAccess();
    ram.set(before.image.subarray(Layout.memory, Layout.memory + MEMORY_BYTES), windows[shape.window]);
    const { exit, fault } = machine.run(2);
    if (exit.kind !== 'fault' || !fault) throw new Error('a case ends with a fault: HLT in ring 3');
    after.image.set(before.image);
    for (let n = 0; n < 8; n++) after.view.setUint32(8 * n, state.get32(n), true);
    after.view.setUint32(Layout.flags, state.eflags, true);
    after.view.setUint32(Layout.mxcsr, state.u32[MXCSR >> 2], true);
    after.view.setUint16(Layout.status, state.u32[FPU_TOP >> 2] << 11, true);
    after.image[Layout.valid] = ~state.u32[FPU_EMPTY >> 2] & 0xff;
    after.image.set(state.u8.subarray(XMM, XMM + 256), Layout.xmm);
    for (let n = 0; n < 8; n++) after.image.set(state.u8.subarray(X87 + 16 * n, X87 + 16 * n + 10), Layout.stack + 16 * n);
    after.image.set(ram.subarray(windows[shape.window], windows[shape.window] + MEMORY_BYTES), Layout.memory);
    const completed = vectorOf(fault) === GENERAL_PROTECTION && state.eip === CODE + AT + shape.code.length;
    after.vector = completed ? -1 : vectorOf(fault);
    after.errorCode = completed ? 0 : fault.errorCode ?? 0;
    after.cr2 = fault instanceof PageFault ? fault.linear : 0;
    after.rip = state.eip - CODE - AT;
  }
}
