/** For unit tests: a processor in 64-bit mode over a flat array, with the tables of test-cpu.ts and 64-bit descriptors. */
import { canonicalNumber } from '../mmu/types';
import type { CalloutSite } from './callouts';
import { Segment, WIDE_ARGUMENTS } from './layout';
import { cpuModels } from './models/models';
import { CODE, DATA, FREE, GDT, IDT, STACKS, TestCpu, TSS, TSS_SELECTOR, type TestPlace } from './test-cpu';

/** Selectors (RPL 0) of 64-bit code by level. Those in CODE are compatibility code. */
export const CODE64 = [0x90, 0x98, 0xa0, 0xa8];
/** Conforming 64-bit code of level 0. */
export const CONFORMING64 = 0xb0;

export class LongCpu extends TestCpu {
  constructor(place?: TestPlace) {
    super(cpuModels.max, place);
  }

  /** 64-bit code at `cpl`, or compatibility code. Stacks of the levels at STACKS + 1000h × (level + 1), IST n at STACKS + 4000h + 1000h × n. */
  enter(cpl: 0 | 1 | 2 | 3 = 0, wide = true): this {
    this.protect(cpl);
    const { state } = this.cpu;
    for (const level of [0, 1, 2, 3]) this.descriptor(CODE64[level], { type: 0x1b, dpl: level, limit: 0xfffff, pages: true, big: false, wide: true });
    this.descriptor(CONFORMING64, { type: 0x1f, dpl: 0, limit: 0xfffff, pages: true, big: false, wide: true });
    this.descriptor(TSS_SELECTOR, { type: 0xb, base: TSS, limit: 0x67 });
    for (let n = 0; n < 3; n++) this.wide(TSS + 4 + 8 * n, STACKS + 0x1000 * (n + 1));
    for (let n = 1; n < 8; n++) this.wide(TSS + 0x1c + 8 * n, STACKS + 0x4000 + 0x1000 * n);
    state.setIdtr(IDT, 0xfff);
    state.cr4 |= 0x20;
    state.cr0 = (state.cr0 | 0x80000000) >>> 0;
    state.efer = 0xd01;
    if (wide) state.setSegment(Segment.CS, CODE64[cpl] | cpl, 0, 0xffffffff, 0xa09b | (cpl << 5));
    this.events.length = 0;
    return this;
  }

  /** Writes a 64-bit value; a number is an address of 48 bits. */
  wide(at: number, value: number | bigint): void {
    const whole = typeof value === 'bigint' ? value : BigInt(value) | (value >= 2 ** 47 ? 0xffff_0000_0000_0000n : 0n);
    this.memory.write(at, 4, Number(BigInt.asUintN(32, whole)), false);
    this.memory.write(at + 4, 4, Number(BigInt.asUintN(32, whole >> 32n)), false);
  }
  readWide(at: number): number {
    return canonicalNumber(this.memory.read(at, 4, false), this.memory.read(at + 4, 4, false));
  }

  /** A gate of sixteen bytes in the IDT. */
  longGate(vector: number, type: number, selector: number, offset: number | bigint, { dpl = 0, present = true, ist = 0 } = {}): void {
    this.gateOfSixteen(IDT + vector * 16, type, selector, offset, dpl, present, ist);
  }
  /** A call gate of sixteen bytes at {@link FREE}. */
  longCallGate(selector: number, target: number, offset: number | bigint, { dpl = 3, present = true, type = 12 } = {}): void {
    this.gateOfSixteen(GDT + selector, type, target, offset, dpl, present, 0);
  }
  private gateOfSixteen(at: number, type: number, selector: number, offset: number | bigint, dpl: number, present: boolean, ist: number): void {
    this.wide(at + 8, 0);
    this.wide(at, 0);
    const whole = typeof offset === 'bigint' ? offset : BigInt(offset) | (offset >= 2 ** 47 ? 0xffff_0000_0000_0000n : 0n);
    const low = Number(BigInt.asUintN(32, whole));
    this.memory.write(at, 4, ((selector << 16) | (low & 0xffff)) >>> 0, false);
    this.memory.write(at + 4, 4, ((low & 0xffff0000) | (present ? 0x8000 : 0) | (dpl << 13) | (type << 8) | ist) >>> 0, false);
    this.memory.write(at + 8, 4, Number(BigInt.asUintN(32, whole >> 32n)), false);
  }

  /** Sets a callout's 64-bit argument. */
  argument(position: number, value: bigint): void {
    this.cpu.state.u64[(WIDE_ARGUMENTS >> 3) + position] = BigInt.asUintN(64, value);
  }

  site64(operandSize: 16 | 32 | 64 = 64): CalloutSite {
    return { operandSize, addressSize: 64, eip: 0x7c00, nextEip: 0x7c02 };
  }

  /** `count` 64-bit values from the top of the stack. */
  frame(count: number): number[] {
    return Array.from({ length: count }, (_, n) => this.readWide(this.cpu.state.address64(4) + 8 * n));
  }
  /** Puts 64-bit values on the stack, first one on top. */
  pushWide(values: readonly (number | bigint)[]): void {
    const { state } = this.cpu;
    state.setAddress64(4, state.address64(4) - 8 * values.length);
    values.forEach((value, n) => this.wide(state.address64(4) + 8 * n, value));
  }
}

export { CODE, DATA, FREE };
