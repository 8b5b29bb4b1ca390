/** For unit tests: a processor over a flat array, and helpers that write descriptor tables into it. */
import { PageFault, type LinearMemory, type Privilege } from '../mmu/types';
import type { CalloutSite } from './callouts';
import { Cpu, type CpuHooks, type ProcessorApic } from './cpu';
import { GuestFault } from './exceptions';
import { Segment, STATE_END } from './layout';
import { cpuModels, type CpuModel } from './models/models';

export const FLAT_MEMORY_BYTES = 0x20000;

export class FlatMemory implements LinearMemory {
  readonly words: Int32Array;
  private readonly view: DataView;
  /** Accesses to these pages (address >>> 12) fault. */
  readonly absent = new Set<number>();

  constructor(readonly bytes = new Uint8Array(FLAT_MEMORY_BYTES)) {
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  private check(linear: number, bytes: number, write: boolean, user: Privilege): void {
    for (let i = 0; i < bytes; i++) {
      const at = linear < 2 ** 32 ? (linear + i) >>> 0 : linear + i;
      if (this.absent.has(at >>> 12) || at >= this.bytes.length) throw new PageFault(at, (write ? 2 : 0) | (user === true ? 4 : 0));
    }
  }
  read(linear: number, bytes: 1 | 2 | 4, user: Privilege): number {
    this.check(linear, bytes, false, user);
    return bytes === 1 ? this.view.getUint8(linear) : bytes === 2 ? this.view.getUint16(linear, true) : this.view.getUint32(linear, true);
  }
  write(linear: number, bytes: 1 | 2 | 4, value: number, user: Privilege): void {
    this.check(linear, bytes, true, user);
    if (bytes === 1) this.view.setUint8(linear, value);
    else if (bytes === 2) this.view.setUint16(linear, value, true);
    else this.view.setUint32(linear, value, true);
  }
  probeWrite(linear: number, bytes: number, user: Privilege): void {
    this.check(linear, bytes, true, user);
  }
}

export const GDT = 0x1000, LDT = 0x2000, IDT = 0x3000, TSS = 0x4000, STACKS = 0x8000;

/** Descriptor fields as people think of them; byte granular unless `pages`. */
export interface DescriptorSpec {
  readonly base?: number;
  readonly limit?: number;
  /** Type and S: bits 0–4. */
  readonly type: number;
  readonly dpl?: number;
  readonly present?: boolean;
  readonly big?: boolean;
  readonly pages?: boolean;
  /** L: 64-bit code. */
  readonly wide?: boolean;
}

/** Where a processor's state page and memory are, when not in arrays of their own, and hooks besides the test's. */
export interface TestPlace {
  readonly page: { readonly buffer: ArrayBufferLike };
  readonly memory: FlatMemory;
  readonly hooks: Partial<CpuHooks>;
}

export class TestCpu {
  readonly memory: FlatMemory;
  readonly events: string[] = [];
  now = 0;
  apic: ProcessorApic | undefined;
  readonly cpu: Cpu;

  constructor(model: CpuModel = cpuModels.p6, place?: TestPlace) {
    this.memory = place?.memory ?? new FlatMemory();
    const hooks: CpuHooks = {
      now: () => this.now,
      portRead: (port, bytes) => { this.events.push(`in ${port.toString(16)} ${bytes}`); return 0x12345678; },
      portWrite: (port, bytes, value) => { this.events.push(`out ${port.toString(16)} ${bytes} ${value.toString(16)}`); },
      setPaging: (state, cause) => { this.events.push(`paging ${cause} cpl${state.cpl}`); },
      readTable: (address) => this.memory.read(address, 4, false),
      invlpg: (linear) => { this.events.push(`invlpg ${linear.toString(16)}`); },
      contextChanged: () => { this.events.push('context'); },
      debugRegistersChanged: () => { this.events.push('debug'); },
      halt: () => { this.events.push('halt'); },
      pause: () => { this.events.push('pause'); },
      apic: () => this.apic,
      nmiUnblocked: () => { this.events.push('nmi unblocked'); },
      coprocessorError: () => { this.events.push('coprocessor error'); return false; },
      coprocessorErrorCleared: () => { this.events.push('coprocessor error cleared'); },
      ...place?.hooks,
    };
    this.cpu = new Cpu(place?.page ?? { buffer: new ArrayBuffer(STATE_END) }, this.memory, hooks, model);
    this.cpu.reset();
    this.events.length = 0;
  }

  descriptor(selector: number, spec: DescriptorSpec): void {
    const at = (selector & 4 ? LDT : GDT) + (selector & 0xfff8);
    const { base = 0, limit = 0xffff, type, dpl = 0, present = true, big = true, pages = false, wide = false } = spec;
    this.memory.write(at, 4, ((base << 16) | (limit & 0xffff)) >>> 0, false);
    const high = (base & 0xff000000) | (pages ? 0x800000 : 0) | (big ? 0x400000 : 0) | (wide ? 0x200000 : 0) | (limit & 0xf0000) | (present ? 0x8000 : 0)
      | (dpl << 13) | (type << 8) | ((base >>> 16) & 0xff);
    this.memory.write(at + 4, 4, high >>> 0, false);
  }
  private gateAt(at: number, type: number, selector: number, offset: number, dpl: number, present: boolean, parameters: number): void {
    this.memory.write(at, 4, ((selector << 16) | (offset & 0xffff)) >>> 0, false);
    this.memory.write(at + 4, 4, ((offset & 0xffff0000) | (present ? 0x8000 : 0) | (dpl << 13) | (type << 8) | parameters) >>> 0, false);
  }
  callGate(selector: number, type: number, target: number, offset: number, dpl = 3, present = true, parameters = 0): void {
    this.gateAt(GDT + (selector & 0xfff8), type, target, offset, dpl, present, parameters);
  }
  idtGate(vector: number, type: number, selector: number, offset: number, dpl = 0, present = true): void {
    this.gateAt(IDT + vector * 8, type, selector, offset, dpl, present, 0);
  }

  /** Flat 32-bit protected mode at `cpl`, tables in place, all gates absent, TR and stacks set up. */
  protect(cpl: 0 | 1 | 2 | 3 = 0): this {
    const { state } = this.cpu;
    for (const level of [0, 1, 2, 3]) {
      this.descriptor(CODE[level], { type: 0x1b, dpl: level, limit: 0xfffff, pages: true });
      this.descriptor(DATA[level], { type: 0x13, dpl: level, limit: 0xfffff, pages: true });
      if (level < 3) {
        this.memory.write(TSS + 4 + level * 8, 4, STACKS + 0x1000 * (level + 1), false);
        this.memory.write(TSS + 8 + level * 8, 2, DATA[level] | level, false);
      }
    }
    this.descriptor(TSS_SELECTOR, { type: 0xb, base: TSS, limit: 0x67 });
    this.memory.write(TSS + 0x66, 2, 0x68, false);
    state.setGdtr(GDT, 0x1ff);
    state.setIdtr(IDT, 0x7ff);
    state.cr0 |= 1;
    state.cpl = cpl;
    state.setSegment(Segment.CS, CODE[cpl] | cpl, 0, 0xffffffff, 0xc09b | (cpl << 5));
    for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) {
      state.setSegment(n, DATA[cpl] | cpl, 0, 0xffffffff, 0xc093 | (cpl << 5));
    }
    state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 0x67, 0x8b);
    state.setSegment(Segment.LDTR, 0x1f8, LDT, 0xff, 0x82);
    state.set32(4, STACKS + 0x4000);
    state.eip = 0x7c02;
    return this;
  }

  site(operandSize: 16 | 32 = 32): CalloutSite {
    return { operandSize, addressSize: operandSize, eip: 0x7c00, nextEip: 0x7c02 };
  }
  /** `count` stack values from the top. */
  stack(count: number, bytes: 2 | 4 = 4): number[] {
    const { state } = this.cpu;
    return Array.from({ length: count }, (_, i) => this.memory.read(state.linear(Segment.SS, state.stackPointer + i * bytes), bytes, false));
  }
  /** Puts values on the stack, first one on top. */
  push(values: readonly number[], bytes: 2 | 4 = 4): void {
    const { state } = this.cpu;
    state.stackPointer -= values.length * bytes;
    values.forEach((value, i) => this.memory.write(state.linear(Segment.SS, state.stackPointer + i * bytes), bytes, value, false));
  }
}

/** Selectors (RPL 0) of flat code and data by level, and of the current TSS. */
export const CODE = [0x08, 0x10, 0x18, 0x20], DATA = [0x28, 0x30, 0x38, 0x40], TSS_SELECTOR = 0x48;
/** First selector that tests may define. */
export const FREE = 0x50;

/** How an action ended: 'ok', or the vector (decimal) and error code (hexadecimal) as '13:10'. */
export function outcome(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof GuestFault) return error.errorCode === undefined ? `${error.vector}` : `${error.vector}:${error.errorCode.toString(16)}`;
    if (error instanceof PageFault) return `14:${error.errorCode.toString(16)}`;
    throw error;
  }
}

/** Everything guest-visible, to assert that a fault changed nothing. */
export function image(t: TestCpu): string {
  return JSON.stringify(t.cpu.snapshot(), (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}
