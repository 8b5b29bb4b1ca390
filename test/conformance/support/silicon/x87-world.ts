/** The world of x87-cases.ts on our processor: flat code, one instruction and HLT, the memory operand at [rDI]. */
import { Cr0 } from '../../../../src/vmm/cpu/bits';
import { RAM, Segment } from '../../../../src/vmm/cpu/layout';
import type { GuestFault } from '../../../../src/vmm/cpu/exceptions';
import type { TranslationMode } from '../../../../src/vmm/translate/regions';
import type { PageFault } from '../../../../src/vmm/mmu/types';
import { BareEngine, type Program } from '../../../support/guest';
import { narrowCode } from './narrow';
import { FLAGS, MEMORY_BYTES, type X87Shape, type X87State } from './x87-cases';

const CODE = 0x4000, OPERAND = 0x8000;
const HLT = 0xf4;
/** Attributes of 16-bit code. */
const CODE16 = 0x009b;
const EDI = 7;

export class X87World {
  private readonly bare: BareEngine;
  private readonly ram: Uint8Array;

  constructor(translation: TranslationMode, private readonly codeSize: 16 | 32 | 64) {
    this.bare = new BareEngine(undefined, translation);
    const { memory } = this.bare;
    this.ram = new Uint8Array(memory.buffer, RAM);
    const program: Program = { bytes: Uint8Array.of(HLT), origin: CODE, label: () => 0 };
    this.bare.load(program, codeSize === 64 ? 'long' : 'flat');
    if (codeSize === 16) this.bare.engine.cpu.setSegment(Segment.CS, 0x08, 0, 0xffff, CODE16);
    this.bare.engine.stateChanged();
    // CR0.NE: a pending exception is #MF.
    this.bare.state.cr0 |= Cr0.NE;
  }

  begin(shape: X87Shape): void {
    const code = this.codeSize === 64 ? shape.code : narrowCode(shape.code, this.codeSize)!;
    this.bare.mmu.physical.writeBytes(CODE, Uint8Array.from([...code, HLT]));
  }

  /** How often a region was entered. */
  get regionEntries(): number { return this.bare.count('regionEntries'); }

  /** Runs one case; a fault that it must not have is thrown. */
  run(before: X87State, after: X87State): void {
    const { bare, ram } = this;
    const { state, engine } = bare;
    const { fpu } = engine.cpu;
    fpu.status = 0;
    fpu.control = before.control;
    fpu.status = before.status;
    fpu.emptyRegisters = before.empty;
    for (let n = 0; n < 8; n++) this.setRegister(n, before.registers);
    state.eflags = before.flags | 2;
    state.set32(0, before.ax);
    state.set32(EDI, OPERAND);
    state.eip = CODE;
    ram.set(before.memory, OPERAND);
    bare.halted = false;
    const exit = engine.execute(100, 'full');
    if (exit.kind === 'fault') throw new Error(`${JSON.stringify(exit.fault satisfies GuestFault | PageFault)}`);
    after.control = fpu.control;
    after.status = fpu.status;
    after.empty = fpu.emptyRegisters;
    for (let n = 0; n < 8; n++) this.getRegister(n, after.registers);
    after.flags = state.eflags & FLAGS;
    after.ax = state.get16(0);
    after.memory.set(ram.subarray(OPERAND, OPERAND + MEMORY_BYTES));
  }

  private setRegister(n: number, from: Uint8Array): void {
    const view = new DataView(from.buffer, from.byteOffset);
    const high = view.getUint16(10 * n + 8, true);
    this.bare.engine.cpu.fpu.setPhysical(n, { sign: high & 0x8000 ? 1 : 0, exponent: high & 0x7fff, significand: view.getBigUint64(10 * n, true) });
  }

  private getRegister(n: number, to: Uint8Array): void {
    const view = new DataView(to.buffer, to.byteOffset);
    const { sign, exponent, significand } = this.bare.engine.cpu.fpu.getPhysical(n);
    view.setBigUint64(10 * n, significand, true);
    view.setUint16(10 * n + 8, sign << 15 | exponent, true);
  }
}
