/**
 * A processor with its engine and memory and nothing around it, for tests that set up the architectural state by hand: descriptor tables, a
 * TSS and page tables at fixed physical places, flat or other segments at any privilege level.
 */
import { translationUnderTest } from './translation';
import { Attribute, Cr0 } from '../../src/vmm/cpu/bits';
import type { GuestFault } from '../../src/vmm/cpu/exceptions';
import { counterAddress, type CounterId } from '../../src/vmm/cpu/counters';
import { RAM, Segment } from '../../src/vmm/cpu/layout';
import type { CpuState } from '../../src/vmm/cpu/state';
import { Mmu } from '../../src/vmm/mmu/mmu';
import { PageFault } from '../../src/vmm/mmu/types';
import { Engine, type EngineExit } from '../../src/vmm/translate/engine';
import type { TranslationMode } from '../../src/vmm/translate/regions';

const RAM_BYTES = 0x1000000;

/** Where the tables lie, physically and, with {@link BareMachine.pageTables}, linearly for the supervisor. */
export const GDT = 0x800000, LDT = 0x801000, IDT = 0x802000, TSS = 0x803000, STACK0 = 0x806000, PAGE_DIRECTORY = 0x807000, PAGE_TABLES = 0x808000;
/** Handlers of the IDT's gates: vector n is at HANDLERS + 16 n. Nothing stands there: a delivery is recognized by EIP. */
export const HANDLERS = 0x810000;

export const CODE0 = 0x08, DATA0 = 0x10, USER_CODE = 0x23, USER_DATA = 0x2b, TSS_SELECTOR = 0x40, LDT_SELECTOR = 0x48;

export interface SegmentSpec {
  readonly base?: number;
  /** Last valid offset; byte granular up to 1 MiB, otherwise rounded up to pages. */
  readonly limit?: number;
  /** Type and S (bits 0–4), e.g. 0x13 data read/write, 0x1b code read. */
  readonly type: number;
  readonly dpl?: number;
  readonly present?: boolean;
  readonly big?: boolean;
}

export interface Stopped {
  readonly exit: EngineExit;
  readonly fault: GuestFault | PageFault | undefined;
}

/** One memory for all machines of a test file: the host reserves gigabytes of address space for each. */
let shared: WebAssembly.Memory | undefined;

export class BareMachine {
  readonly mmu: Mmu;
  readonly engine: Engine;
  /** Guest-physical memory. */
  readonly ram: Uint8Array;
  readonly view: DataView;
  halted = false;
  readonly ports: string[] = [];

  constructor(translation: TranslationMode = translationUnderTest) {
    const pages = (RAM + RAM_BYTES) / 0x10000;
    const memory = shared ??= new WebAssembly.Memory({ initial: pages, maximum: pages });
    new Uint8Array(memory.buffer).fill(0, 0, 0x1000);
    this.ram = new Uint8Array(memory.buffer, RAM, RAM_BYTES).fill(0);
    this.view = new DataView(memory.buffer, RAM, RAM_BYTES);
    this.mmu = new Mmu(memory, { ramBytes: RAM_BYTES });
    this.engine = new Engine(memory, this.mmu, {
      portRead: (port, bytes) => {
        this.ports.push(`in ${port.toString(16)} ${bytes}`);
        return 0xffffffff;
      },
      portWrite: (port, bytes, value) => { this.ports.push(`out ${port.toString(16)} ${bytes} ${value.toString(16)}`); },
      halt: () => {
        this.halted = true;
        this.engine.yield();
      },
      debugRegistersChanged: () => {},
      interruptRequested: () => false,
      stopsAt: () => false,
    }, { translation });
    this.engine.reset();
  }

  get state(): CpuState { return this.engine.cpu.state; }

  count(id: CounterId): number { return this.state.u32[counterAddress(id) >> 2]; }

  word(physical: number): number { return this.view.getUint32(physical, true); }
  setWord(physical: number, value: number): void { this.view.setUint32(physical, value, true); }

  /** Writes memory as a device would: translated code notices. */
  write(physical: number, bytes: ArrayLike<number>): void { this.mmu.physical.writeBytes(physical, Uint8Array.from(bytes)); }

  /** Puts a descriptor into the GDT, or into the LDT when the selector says so. */
  describe(selector: number, spec: SegmentSpec): void {
    const { base = 0, limit = 0xffffffff, type, dpl = 0, present = true, big = true } = spec;
    const at = (selector & 4 ? LDT : GDT) + (selector & 0xfff8);
    const inPages = limit > 0xfffff;
    const units = inPages ? limit >>> 12 : limit;
    this.setWord(at, (base << 16) | (units & 0xffff));
    this.setWord(at + 4, (base & 0xff000000) | (inPages ? 0x800000 : 0) | (big ? 0x400000 : 0) | (units & 0xf0000) | (present ? 0x8000 : 0)
      | (dpl << 13) | (type << 8) | ((base >>> 16) & 0xff));
  }

  /** A gate of the IDT: 32-bit interrupt gate to {@link HANDLERS} unless told otherwise. */
  gate(vector: number, dpl = 0, type = 0xe, selector = CODE0): void {
    const offset = HANDLERS + 16 * vector;
    this.setWord(IDT + 8 * vector, (selector << 16) | (offset & 0xffff));
    this.setWord(IDT + 8 * vector + 4, (offset & 0xffff0000) | 0x8000 | (dpl << 13) | (type << 8));
  }

  /** Loads a segment register from its descriptor without any check, as a test's starting point. */
  load(segment: Segment, selector: number): void {
    if ((selector & 0xfffc) === 0) {
      this.engine.cpu.setNullSegment(segment, selector);
      return;
    }
    const at = (selector & 4 ? LDT : GDT) + (selector & 0xfff8);
    const low = this.word(at), high = this.word(at + 4);
    const units = (low & 0xffff) | (high & 0xf0000);
    const limit = high & 0x800000 ? ((units << 12) | 0xfff) >>> 0 : units;
    const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
    this.engine.cpu.setSegment(segment, selector, base, limit, ((high >>> 8) & 0xf0ff) | (segment < Segment.LDTR ? Attribute.Accessed : 0));
  }

  /** Flat 32-bit protected mode at privilege level 0 or 3, with GDT, LDT, IDT and TSS, interrupts on, IOPL 0. */
  protect(cpl: 0 | 3): this {
    const { engine, state } = this;
    this.describe(CODE0, { type: 0x1b });
    this.describe(DATA0, { type: 0x13 });
    this.describe(USER_CODE, { type: 0x1b, dpl: 3 });
    this.describe(USER_DATA, { type: 0x13, dpl: 3 });
    this.describe(TSS_SELECTOR, { base: TSS, limit: 0x67, type: 0xb, big: false });
    this.describe(LDT_SELECTOR, { base: LDT, limit: 0xfff, type: 2, big: false });
    this.setWord(TSS + 4, STACK0);
    this.setWord(TSS + 8, DATA0);
    // The I/O permission map lies beyond the limit: no port is allowed to ring 3.
    this.setWord(TSS + 0x64, 0x680000);
    state.setGdtr(GDT, 0x7f);
    state.setIdtr(IDT, 0x7ff);
    state.cr0 = (state.cr0 | Cr0.PE) >>> 0;
    this.load(Segment.CS, cpl === 0 ? CODE0 : USER_CODE);
    for (const segment of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) this.load(segment, cpl === 0 ? DATA0 : USER_DATA);
    this.load(Segment.TR, TSS_SELECTOR);
    this.load(Segment.LDTR, LDT_SELECTOR);
    state.eflags = 0x202;
    engine.cpu.setCpl(cpl);
    engine.cpu.pagingChanged('cr0');
    engine.stateChanged();
    return this;
  }

  /** Maps `bytes` from `linear` on to the same physical addresses, with page-table bits (1 present, 2 writable, 4 user). 0 unmaps. */
  map(linear: number, bytes: number, bits: number): void {
    for (let at = linear; at < linear + bytes; at += 0x1000) {
      const directory = at >>> 22;
      const table = PAGE_TABLES + directory * 0x1000;
      this.view.setUint32(PAGE_DIRECTORY + 4 * directory, table | 7, true);
      this.view.setUint32(table + 4 * ((at >>> 12) & 0x3ff), bits ? at | bits : 0, true);
    }
  }

  /** Turns paging on. Tables, stack and handlers are mapped for the supervisor; map the rest first. */
  pageTables({ writeProtect = false } = {}): this {
    this.map(0x800000, 0x20000, 3);
    const { state } = this;
    state.cr3 = PAGE_DIRECTORY;
    state.cr0 = (state.cr0 | Cr0.PG | (writeProtect ? Cr0.WP : 0)) >>> 0;
    this.engine.cpu.pagingChanged('cr3');
    this.engine.stateChanged();
    return this;
  }

  /** Runs up to `instructions`; a fault is not delivered. */
  run(instructions: number): Stopped {
    const exit = this.engine.execute(instructions, 'full');
    return { exit, fault: exit.kind === 'fault' ? exit.fault : undefined };
  }
}

/** Vector and error code of a fault of either kind. */
export function vectorOf(fault: GuestFault | PageFault): number {
  return fault instanceof PageFault ? 14 : fault.vector;
}
