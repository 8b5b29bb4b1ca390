/**
 * The x87's registers as its instructions see them: the stack, the tags, and the control and status words (SDM Vol. 1, 8.1). The words live in the
 * state page (layout.ts), where threaded code finds them too.
 */
import { FPU_CONTROL, FPU_CS, FPU_DP, FPU_DS, FPU_EMPTY, FPU_IP, FPU_OPCODE, FPU_STATUS, FPU_TOP, X87 } from '../layout';
import type { CpuState } from '../state';
import { indefinite, type Float80 } from './format';
import { Fault, Operation } from './round';

/** Bits of the status word besides the exception flags, which are those of {@link Fault}. */
export const enum Status {
  /** Error summary: an unmasked exception is pending. */
  ES = 1 << 7,
  C0 = 1 << 8, C1 = 1 << 9, C2 = 1 << 10, C3 = 1 << 14,
  Conditions = C0 | C1 | C2 | C3,
  /** Busy: the same as ES since the 80387. */
  B = 1 << 15,
  Top = 7 << 11,
}

/** Bits of the control word that can be written, and the one that reads as one. */
const CONTROL_WRITABLE = 0x1f3f, CONTROL_ONE = 0x40;
const CONTROL_DEFAULT = 0x37f;
export const CONTROL_RESET = 0x40;

export class Fpu {
  constructor(private readonly state: CpuState, private readonly errorCleared: () => void) {}

  // ---- words ----

  get control(): number { return this.state.u32[FPU_CONTROL >> 2]; }
  /** Exceptions that are pending may become unmasked, or masked again. */
  set control(value: number) {
    this.state.u32[FPU_CONTROL >> 2] = (value & CONTROL_WRITABLE) | CONTROL_ONE;
    this.summarize();
  }

  get top(): number { return this.state.u32[FPU_TOP >> 2]; }
  set top(value: number) { this.state.u32[FPU_TOP >> 2] = value & 7; }

  /** The status word, TOP included. */
  get status(): number { return this.state.u32[FPU_STATUS >> 2] | this.top << 11; }
  set status(value: number) {
    this.top = value >> 11;
    this.state.u32[FPU_STATUS >> 2] = value & 0xffff & ~Status.Top;
    this.summarize();
  }

  /** ES and B follow from the exceptions and the masks. */
  private summarize(): void {
    const status = this.state.u32[FPU_STATUS >> 2];
    const pending = (status & ~this.control & Fault.All) !== 0;
    this.state.u32[FPU_STATUS >> 2] = pending ? status | Status.ES | Status.B : status & ~(Status.ES | Status.B);
    this.state.updateFpuAccess();
    if (!pending && status & Status.ES) this.errorCleared();
  }

  get exceptionPending(): boolean { return (this.state.u32[FPU_STATUS >> 2] & Status.ES) !== 0; }

  /** C3–C0 as given, the others of the status word unchanged. */
  setConditions(bits: number): void {
    this.state.u32[FPU_STATUS >> 2] = (this.state.u32[FPU_STATUS >> 2] & ~Status.Conditions) | bits;
  }
  /** C1 alone. */
  setC1(on: boolean): void {
    this.state.u32[FPU_STATUS >> 2] = (this.state.u32[FPU_STATUS >> 2] & ~Status.C1) | (on ? Status.C1 : 0);
  }

  clearExceptions(): void {
    this.state.u32[FPU_STATUS >> 2] &= ~(Fault.All | Fault.Stack | Status.B);
    this.summarize();
  }

  /** FNINIT: the registers keep their bits. */
  initialize(): void {
    const { u32, u64 } = this.state;
    u32[FPU_STATUS >> 2] &= Status.ES;
    u32[FPU_TOP >> 2] = 0;
    u32[FPU_EMPTY >> 2] = 0xff;
    u32[FPU_OPCODE >> 2] = 0;
    u64[FPU_IP >> 3] = 0n;
    u64[FPU_DP >> 3] = 0n;
    u32[FPU_CS >> 2] = 0;
    u32[FPU_DS >> 2] = 0;
    this.control = CONTROL_DEFAULT;
  }

  // ---- registers ----

  /** Bit n: physical register Rn is empty. */
  get emptyRegisters(): number { return this.state.u32[FPU_EMPTY >> 2]; }
  set emptyRegisters(mask: number) { this.state.u32[FPU_EMPTY >> 2] = mask & 0xff; }

  private physical(i: number): number { return (this.top + i) & 7; }

  isEmpty(i: number): boolean { return (this.emptyRegisters >> this.physical(i) & 1) !== 0; }
  free(i: number): void { this.emptyRegisters |= 1 << this.physical(i); }

  get(i: number): Float80 { return this.getPhysical(this.physical(i)); }
  /** Also marks the register as occupied. */
  set(i: number, value: Float80): void {
    const n = this.physical(i);
    this.setPhysical(n, value);
    this.emptyRegisters &= ~(1 << n);
  }

  getPhysical(n: number): Float80 {
    const high = this.state.u16[(X87 + 16 * n + 8) >> 1];
    return { sign: high & 0x8000 ? 1 : 0, exponent: high & 0x7fff, significand: this.state.u64[(X87 + 16 * n) >> 3] };
  }
  setPhysical(n: number, { sign, exponent, significand }: Float80): void {
    this.state.u64[(X87 + 16 * n) >> 3] = significand;
    this.state.u16[(X87 + 16 * n + 8) >> 1] = sign << 15 | exponent;
  }

  pop(): void {
    this.free(0);
    this.top += 1;
  }
  push(value: Float80): void {
    this.top -= 1;
    this.set(0, value);
  }

  // ---- exceptions ----

  operation(): Operation { return new Operation(this.control); }

  /** Adds exceptions to the status word; C1 as given. */
  report(flags: number, c1: boolean): void {
    this.setC1(c1);
    const { u32 } = this.state;
    u32[FPU_STATUS >> 2] |= flags;
    if (!(flags & ~this.control & Fault.All)) return;
    u32[FPU_STATUS >> 2] |= Status.ES | Status.B;
    this.state.updateFpuAccess();
  }

  /** Reports an operation. False: an unmasked exception leaves everything as it was. */
  finish(op: Operation): boolean {
    if (op.stopped) {
      this.report(op.flags & Fault.Before, false);
      return false;
    }
    this.report(op.flags, op.roundedUp);
    return true;
  }

  /** A source is empty. True when masked: the instruction goes on with the indefinite value. */
  underflow(): boolean {
    this.report(Fault.Invalid | Fault.Stack, false);
    return (this.control & Fault.Invalid) !== 0;
  }
  /** The destination of a push is occupied. */
  overflow(): boolean {
    this.report(Fault.Invalid | Fault.Stack, true);
    return (this.control & Fault.Invalid) !== 0;
  }

  /** Pushes, or reports that there is no room. */
  pushChecked(value: Float80): void {
    if (this.isEmpty(-1)) this.push(value);
    else if (this.overflow()) this.push(indefinite);
  }
}
