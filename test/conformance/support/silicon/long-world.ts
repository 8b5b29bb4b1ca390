/** The world of long-cases.ts on our processor, in ring 3: 64-bit code, or flat 32-bit code for the shapes that do the same there. */
import { Cr0, Cr4, Efer } from '../../../../src/vmm/cpu/bits';
import { FPU_EMPTY, FPU_STATUS, FPU_TOP, GPR, MXCSR, Segment, X87, XMM } from '../../../../src/vmm/cpu/layout';
import { PageFault } from '../../../../src/vmm/mmu/types';
import type { TranslationMode } from '../../../../src/vmm/translate/regions';
import { BareMachine, USER_CODE, vectorOf } from '../../../support/bare-machine';
import { CODE, DATA, DATA_BYTES, Layout, MEMORY_BYTES, windows, type LongShape, type LongState } from './long-cases';

const HLT = 0xf4;
const INSTRUCTIONS_MAX = 64;
const AT = 0x100, CODE_BYTES = 0x1000;
const GENERAL_PROTECTION = 13;

/** Paging structures of 64-bit mode: one of each level, the last for the 2 MiB that hold code and data. */
const PAGE_MAP = 0x900000, PAGE_TABLE = PAGE_MAP + 0x3000, MAPPED = 0x400000;
const USER = 5, USER_WRITABLE = 7;
/** Code of ring 3 with L set. */
const LONG_CODE = 0xa0fb;

export class LongWorld {
  private readonly machine: BareMachine;
  private readonly registers: number;

  constructor(readonly codeSize: 32 | 64, translation?: TranslationMode) {
    const machine = this.machine = new BareMachine(translation).protect(3);
    const { state } = machine;
    this.registers = codeSize === 64 ? 16 : 8;
    machine.ram.fill(HLT, CODE, CODE + CODE_BYTES);
    state.cr4 |= Cr4.OSFXSR | Cr4.OSXMMEXCPT;
    state.cr0 |= Cr0.NE;
    if (codeSize === 32) {
      machine.map(CODE, CODE_BYTES, USER);
      machine.map(DATA, DATA_BYTES, USER_WRITABLE);
      machine.pageTables({ writeProtect: true });
    } else this.enterLongMode();
  }

  private enterLongMode(): void {
    const { machine } = this;
    const { state, engine } = machine;
    for (const level of [0, 1]) machine.setWord(PAGE_MAP + 0x1000 * level, (PAGE_MAP + 0x1000 * (level + 1)) | USER_WRITABLE);
    machine.setWord(PAGE_MAP + 0x2000 + 8 * (MAPPED >>> 21), PAGE_TABLE | USER_WRITABLE);
    const map = (linear: number, bytes: number, bits: number): void => {
      for (let at = linear; at < linear + bytes; at += 0x1000) machine.setWord(PAGE_TABLE + 8 * ((at - MAPPED) >>> 12), at | bits);
    };
    map(CODE, CODE_BYTES, USER);
    map(DATA, DATA_BYTES, USER_WRITABLE);
    state.cr4 |= Cr4.PAE;
    state.efer = Efer.LME | Efer.LMA;
    state.cr3 = PAGE_MAP;
    state.cr0 = (state.cr0 | Cr0.PG | Cr0.WP) >>> 0;
    engine.cpu.setSegment(Segment.CS, USER_CODE, 0, 0xffffffff, LONG_CODE);
    engine.cpu.pagingChanged('cr0');
    engine.stateChanged();
  }

  /** How often a region was entered. */
  get regionEntries(): number { return this.machine.count('regionEntries'); }

  begin(shape: LongShape): void {
    const code = new Uint8Array(32).fill(HLT);
    code.set(shape.code);
    this.machine.write(CODE + AT, code);
  }

  run(shape: LongShape, before: LongState, after: LongState): void {
    const { machine } = this;
    const { state, ram } = machine;
    for (let n = 0; n < this.registers; n++) {
      if (this.codeSize === 64) state.u64[(GPR >> 3) + n] = before.view.getBigUint64(8 * n, true);
      else state.set32(n, before.view.getUint32(8 * n, true));
    }
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
    // A repeated instruction counts each iteration.
    const { exit, fault } = machine.run(INSTRUCTIONS_MAX);
    if (exit.kind !== 'fault' || !fault) throw new Error('a case ends with a fault: HLT in ring 3');
    after.image.set(before.image);
    for (let n = 0; n < this.registers; n++) {
      if (this.codeSize === 64) after.view.setBigUint64(8 * n, state.get64(n), true);
      else after.view.setUint32(8 * n, state.get32(n), true);
    }
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
