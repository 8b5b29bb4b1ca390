/**
 * The world of long-cases.ts on our processor, in ring 3: 64-bit code (and compatibility code, for shapes that say so), or flat 16- or 32-bit code
 * of protected mode for the shapes that do the same there.
 */
import { Cr0, Cr4, Efer, Flag } from '../../../../src/vmm/cpu/bits';
import {
  EIP, FPU_CONTROL, FPU_EMPTY, FPU_STATUS, FPU_TOP, GPR, LSTAR, MXCSR, Segment, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, STAR, X87, XMM,
} from '../../../../src/vmm/cpu/layout';
import { PageFault } from '../../../../src/vmm/mmu/types';
import type { TranslationMode } from '../../../../src/vmm/translate/regions';
import { BareMachine, CODE0, GDT, HANDLERS, IDT, LDT, LDT_SELECTOR, STACK0, TSS, USER_CODE, USER_DATA, vectorOf } from '../../../support/bare-machine';
import type { LongShape } from './long-cases';
import { AT, CODE, CODE_BYTES, DATA, DATA_BYTES, forgetNullSelectors, Layout, MEMORY_BYTES, windows, type LongState } from './long-layout';
import { frames, FRAME_BYTES } from './long-rules';
import { LONG_CODE, longDescriptors, ldt } from './long-segments';

const HLT = 0xf4;
const INSTRUCTIONS_MAX = 64;
const GENERAL_PROTECTION = 13;
const STACK = frames[2];

/** Paging structures of 64-bit mode: one of each level, and tables for the 2 MiB with code and data, and for those with the supervisor's things. */
const PAGE_MAP = 0x900000, PAGE_TABLE = PAGE_MAP + 0x3000, MAPPED = 0x400000, SUPERVISOR = 0x800000;
const USER = 5, USER_WRITABLE = 7, SUPERVISOR_LARGE = 0x83, EXECUTE_DISABLE = 0x80000000;
/** Second doubleword of descriptors: code with L at privilege levels 0 and 3. */
const KERNEL_LONG_CODE = 0x00af9b00, USER_LONG_CODE = 0x00affb00;
/** Code of ring 3 with L set, as a segment register has it. */
const LONG_ATTRIBUTES = 0xa0fb;
/** Gates that ring 3 reaches without a fault: #DB by INT1, #BP, #OF. */
const softwareGates: readonly (readonly [number, number])[] = [[1, 0], [3, 3], [4, 3]];
/** No such system call: mov rax, -38; sysretq. */
const SYSTEM_CALL = HANDLERS + 0x800, systemCall = [0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, 0x48, 0x0f, 0x07];

export class LongWorld {
  private readonly machine: BareMachine;
  private readonly registers: number;

  constructor(readonly codeSize: 16 | 32 | 64, translation?: TranslationMode) {
    const machine = this.machine = new BareMachine(translation).protect(3);
    const { state } = machine;
    this.registers = codeSize === 64 ? 16 : 8;
    machine.ram.fill(HLT, CODE, CODE + CODE_BYTES);
    state.cr4 |= Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.UMIP;
    state.cr0 |= Cr0.NE;
    longDescriptors.forEach(({ base, limit, kind, big }, n) => machine.describe(ldt(n), { base, limit, type: { code: 0x1b, data: 0x13, readOnly: 0x11 }[kind], dpl: 3, big }));
    if (codeSize === 64) this.enterLongMode();
    else {
      machine.map(CODE, CODE_BYTES, USER);
      machine.map(DATA, DATA_BYTES, USER_WRITABLE);
      machine.pageTables({ writeProtect: true });
      if (codeSize === 16) machine.load(Segment.CS, ldt(1));
      machine.engine.stateChanged();
    }
  }

  private enterLongMode(): void {
    const { machine } = this;
    const { state, engine } = machine;
    for (const level of [0, 1]) machine.setWord(PAGE_MAP + 0x1000 * level, (PAGE_MAP + 0x1000 * (level + 1)) | USER_WRITABLE);
    machine.setWord(PAGE_MAP + 0x2000 + 8 * (MAPPED >>> 21), PAGE_TABLE | USER_WRITABLE);
    machine.setWord(PAGE_MAP + 0x2000 + 8 * (SUPERVISOR >>> 21), SUPERVISOR | SUPERVISOR_LARGE);
    const map = (linear: number, bytes: number, bits: number, high: number): void => {
      for (let at = linear; at < linear + bytes; at += 0x1000) {
        machine.setWord(PAGE_TABLE + 8 * ((at - MAPPED) >>> 12), at | bits);
        machine.setWord(PAGE_TABLE + 8 * ((at - MAPPED) >>> 12) + 4, high);
      }
    };
    map(CODE, CODE_BYTES, USER, 0);
    map(DATA, DATA_BYTES, USER_WRITABLE, EXECUTE_DISABLE);
    map(STACK, DATA_BYTES, USER_WRITABLE, EXECUTE_DISABLE);
    this.describe();
    state.cr4 |= Cr4.PAE | Cr4.FSGSBASE;
    state.efer = Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE;
    state.cr3 = PAGE_MAP;
    state.cr0 = (state.cr0 | Cr0.PG | Cr0.WP) >>> 0;
    this.enterRing3(LONG_CODE);
    engine.cpu.pagingChanged('cr0');
    engine.stateChanged();
  }

  /** Descriptors, gates, the task's stack and the system call, as the operating system of the other side has them for its processes. */
  private describe(): void {
    const { machine } = this;
    const { state } = machine;
    machine.setWord(GDT + CODE0 + 4, KERNEL_LONG_CODE);
    machine.setWord(GDT + (LONG_CODE & ~7), 0xffff);
    machine.setWord(GDT + (LONG_CODE & ~7) + 4, USER_LONG_CODE);
    for (const selector of [USER_CODE, USER_DATA]) machine.setWord(GDT + (selector & ~7) + 4, machine.word(GDT + (selector & ~7) + 4) | 0x100);
    machine.ram.fill(0, IDT, IDT + 32 * 16);
    for (const [vector, dpl] of softwareGates) {
      const at = IDT + 16 * vector, handler = HANDLERS + 16 * vector;
      machine.setWord(at, (CODE0 << 16) | (handler & 0xffff));
      machine.setWord(at + 4, (handler & 0xffff0000) | 0x8e00 | (dpl << 13));
      machine.ram[handler] = HLT;
    }
    machine.setWord(TSS + 8, 0);
    machine.ram.set(systemCall, SYSTEM_CALL);
    state.setIdtr(IDT, 32 * 16 - 1);
    state.u64[STAR >> 3] = (BigInt(USER_CODE) << 48n) | (BigInt(CODE0) << 32n);
    state.u64[LSTAR >> 3] = BigInt(SYSTEM_CALL);
    machine.engine.cpu.setSegment(Segment.LDTR, LDT_SELECTOR, LDT, longDescriptors.length * 8 - 1, 0x82);
  }

  private enterRing3(code: number): void {
    const { machine } = this;
    if (code === LONG_CODE) machine.engine.cpu.setSegment(Segment.CS, LONG_CODE, 0, 0xffffffff, LONG_ATTRIBUTES);
    else machine.load(Segment.CS, code);
    machine.engine.cpu.setCpl(3);
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
    if (shape.system) this.setSegments(before);
    state.eflags = before.view.getUint32(Layout.flags, true);
    state.eip = this.codeSize === 16 ? AT : Number(before.view.getBigUint64(Layout.rip, true));
    state.u32[MXCSR >> 2] = before.view.getUint32(Layout.mxcsr, true);
    state.u8.set(before.image.subarray(Layout.xmm, Layout.xmm + 256), XMM);
    state.u32[FPU_CONTROL >> 2] = before.view.getUint16(Layout.control, true);
    const status = before.view.getUint16(Layout.status, true);
    state.u32[FPU_STATUS >> 2] = status & ~0x3800;
    state.u32[FPU_TOP >> 2] = status >> 11 & 7;
    state.u32[FPU_EMPTY >> 2] = ~before.image[Layout.valid] & 0xff;
    const top = status >> 11 & 7;
    for (let n = 0; n < 8; n++) state.u8.set(before.image.subarray(Layout.stack + 16 * n, Layout.stack + 16 * n + 16), X87 + 16 * ((top + n) & 7));
    state.updateFpuAccess();
    ram.set(before.image.subarray(Layout.memory, Layout.memory + MEMORY_BYTES), windows[shape.window]);
    if (shape.system) ram.set(before.image.subarray(Layout.frame, Layout.frame + FRAME_BYTES), frames[shape.system.frame]);
    machine.halted = false;
    // A repeated instruction counts each iteration. The engine also returns for its owner to look at TF and RF.
    let { exit, fault } = machine.run(INSTRUCTIONS_MAX);
    for (let again = 0; again < 4 && exit.kind === 'ran' && !machine.halted; again++) ({ exit, fault } = machine.run(INSTRUCTIONS_MAX));
    if (!fault && !machine.halted) throw new Error(`${Buffer.from(shape.code).toString('hex')}: a case ends with a fault: HLT in ring 3`);
    this.store(shape, before, after);
    if (fault) {
      after.vector = vectorOf(fault);
      after.errorCode = fault.errorCode ?? 0;
      after.cr2 = fault instanceof PageFault ? fault.linear : 0;
      if (after.vector === GENERAL_PROTECTION && this.isAround(shape)) {
        after.vector = -1;
        after.errorCode = 0;
      }
    } else this.unwind(after);
    // Straight code ends behind itself or where it began: nothing more is known of the other side.
    const moved = this.linear() - CODE - AT;
    if (!shape.system && moved === (after.vector < 0 ? shape.code.length : 0)) after.view.setBigUint64(Layout.rip, before.view.getBigUint64(Layout.rip, true), true);
  }

  private setSegments(before: LongState): void {
    const { machine } = this;
    const { state } = machine;
    const selector = (n: number): number => before.view.getUint16(Layout.selectors + 2 * n, true);
    this.enterRing3(selector(Segment.CS));
    for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) machine.load(n, selector(n));
    [Segment.FS, Segment.GS].forEach((n, index) => {
      state.u64[(SEGMENTS + SEGMENT_SIZE * n + SEGMENT_FIELDS.base) >> 3] = before.view.getBigUint64(Layout.bases + 8 * index, true);
    });
    machine.engine.stateChanged();
  }

  private store(shape: LongShape, before: LongState, after: LongState): void {
    const { state, ram } = this.machine;
    const { view } = after;
    after.image.set(before.image);
    for (let n = 0; n < this.registers; n++) {
      if (this.codeSize === 64) view.setBigUint64(8 * n, state.get64(n), true);
      else view.setUint32(8 * n, state.get32(n), true);
    }
    view.setUint32(Layout.flags, state.eflags & ~Flag.RF, true);
    view.setUint32(Layout.mxcsr, state.u32[MXCSR >> 2], true);
    const top = state.u32[FPU_TOP >> 2];
    view.setUint16(Layout.control, state.u32[FPU_CONTROL >> 2], true);
    view.setUint16(Layout.status, state.u32[FPU_STATUS >> 2] | top << 11, true);
    after.image[Layout.valid] = ~state.u32[FPU_EMPTY >> 2] & 0xff;
    after.image.set(state.u8.subarray(XMM, XMM + 256), Layout.xmm);
    for (let n = 0; n < 8; n++) after.image.set(state.u8.subarray(X87 + 16 * ((top + n) & 7), X87 + 16 * ((top + n) & 7) + 10), Layout.stack + 16 * n);
    after.image.set(ram.subarray(windows[shape.window], windows[shape.window] + MEMORY_BYTES), Layout.memory);
    view.setBigUint64(Layout.rip, state.u64[EIP >> 3], true);
    if (!shape.system) return;
    after.image.set(ram.subarray(frames[shape.system.frame], frames[shape.system.frame] + FRAME_BYTES), Layout.frame);
    for (let n = 0; n < 6; n++) view.setUint16(Layout.selectors + 2 * n, state.selector(n), true);
    forgetNullSelectors(after);
    [Segment.FS, Segment.GS].forEach((n, index) => {
      view.setBigUint64(Layout.bases + 8 * index, state.u64[(SEGMENTS + SEGMENT_SIZE * n + SEGMENT_FIELDS.base) >> 3], true);
    });
  }

  /** Whether control has come to the HLTs around the shape. */
  private isAround(shape: LongShape): boolean {
    const at = this.linear() - CODE;
    return at >= 0 && at < CODE_BYTES && !(at >= AT && at < AT + shape.code.length);
  }

  private linear(): number {
    const { state } = this.machine;
    return state.base(Segment.CS) + state.rip;
  }

  /** A handler was entered: the interrupted state stands on the ring-0 stack. */
  private unwind(after: LongState): void {
    const { machine } = this;
    const { view } = after;
    const handler = machine.state.eip - 1 - HANDLERS;
    if (machine.state.selector(Segment.CS) !== CODE0 || handler % 16 !== 0) throw new Error(`the engine halted at ${machine.state.eip.toString(16)}`);
    const frame = (n: number): bigint => machine.view.getBigUint64(STACK0 - 40 + 8 * n, true);
    after.vector = handler / 16;
    after.errorCode = 0;
    after.cr2 = 0;
    view.setBigUint64(Layout.rip, frame(0), true);
    view.setUint16(Layout.selectors + 2, Number(frame(1)), true);
    view.setUint32(Layout.flags, Number(frame(2)) & ~Flag.RF, true);
    view.setBigUint64(32, frame(3), true);
    view.setUint16(Layout.selectors + 4, Number(frame(4)), true);
  }
}
