/** A processor in 64-bit mode for the exception tests: descriptor tables, IDT and TSS of long mode, and pages of every kind at fixed places. */
import { Cr0, Cr4, Efer } from '../../../src/vmm/cpu/bits';
import { Segment } from '../../../src/vmm/cpu/layout';
import { highHalf } from '../../../src/vmm/mmu/types';
import type { TranslationMode } from '../../../src/vmm/translate/regions';
import { BareMachine, GDT, HANDLERS, IDT, STACK0, TSS } from '../../support/bare-machine';

/** Selectors. Gates and the TSS take two entries. */
export const KERNEL = 0x08, KERNEL_DATA = 0x10, USER = 0x23, USER_DATA = 0x2b, USER32 = 0x33, TASK = 0x40, ABSENT_CODE = 0x5b, GATE = 0x60, CONFORMING = 0x70, BOTH = 0x7b, INNER_GATE = 0x80,
  GATE_TO_32 = 0x90, GATE_BEYOND = 0xa0, ABSENT_DATA = 0xb3, READ_ONLY_DATA = 0xbb, ABSENT_GATE = 0xc0, SYSTEM = 0xd3;
const GDT_LIMIT = 0xdf;

export const READ_ONLY = 0x40f000, DATA = 0x410000, ABSENT = 0x412000, SUPERVISOR = 0x413000, NO_EXECUTE = 0x416000, RESERVED = 0x417000, SUPERVISOR_CODE = 0x418000, STACK = 0x420000, CODE = 0x440000,
  KERNEL_CODE = 0x448000;
/** Where entries at a higher level have a reserved bit set. */
export const RESERVED_2M = 0x600000, RESERVED_1G = 0x40000000, RESERVED_TABLE = 0x80000000;
export const KERNEL_STACK = 0x80f000, DEFAULT_STACK = 0x421000;
const PAGE_MAP = 0x900000;

const PRESENT = 1, WRITABLE = 2, USER_PAGE = 4, LARGE = 0x80;
const EXECUTE_DISABLE = 0x80000000, RESERVED_HIGH = 0x00080000;
const pages: readonly (readonly [number, number, number, number])[] = [
  [READ_ONLY, 1, PRESENT | USER_PAGE, 0], [DATA, 2, PRESENT | WRITABLE | USER_PAGE, 0], [SUPERVISOR, 1, PRESENT | WRITABLE, 0], [NO_EXECUTE, 1, PRESENT | WRITABLE | USER_PAGE, EXECUTE_DISABLE],
  [RESERVED, 1, PRESENT | WRITABLE | USER_PAGE, RESERVED_HIGH], [SUPERVISOR_CODE, 1, PRESENT, 0], [STACK, 2, PRESENT | WRITABLE | USER_PAGE, 0], [CODE, 1, PRESENT | USER_PAGE, 0], [KERNEL_CODE, 1, PRESENT | WRITABLE, 0],
];

export class LongMachine extends BareMachine {
  constructor(cpl: 0 | 3, translation?: TranslationMode) {
    super(translation);
    this.protect(cpl);
    const { state, engine } = this;
    this.describeAll();
    for (let vector = 0; vector < 32; vector++) this.longGate(IDT + 16 * vector, 0xe, KERNEL, HANDLERS + 16 * vector, 0);
    for (let at = TSS; at < TSS + 0x68; at += 4) this.setWord(at, 0);
    this.setWord(TSS + 4, STACK0);
    // The I/O permission map lies beyond the limit.
    this.setWord(TSS + 0x64, 0x680000);
    this.pagingStructures();
    state.setGdtr(GDT, GDT_LIMIT);
    state.setIdtr(IDT, 32 * 16 - 1);
    state.cr4 |= Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
    state.efer = Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE;
    state.cr3 = PAGE_MAP;
    state.cr0 = (state.cr0 | Cr0.PG | Cr0.WP | Cr0.NE) >>> 0;
    engine.cpu.setSegment(Segment.CS, cpl === 0 ? KERNEL : USER, 0, 0xffffffff, 0xa09b | (cpl << 5));
    for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) engine.cpu.setSegment(n, cpl === 0 ? KERNEL_DATA : USER_DATA, 0, 0xffffffff, 0xc093 | (cpl << 5));
    engine.cpu.setSegment(Segment.TR, TASK, TSS, 0x67, 0x8b);
    engine.cpu.setNullSegment(Segment.LDTR, 0);
    engine.cpu.setCpl(cpl);
    this.changed();
  }

  /** After a test has set control registers by hand. */
  changed(): void {
    this.engine.cpu.pagingChanged('cr0');
    this.engine.stateChanged();
  }

  private describeAll(): void {
    this.ram.fill(0, GDT, GDT + GDT_LIMIT + 1);
    const code = (selector: number, dpl: number, attributes: number): void => {
      this.setWord(GDT + (selector & ~7), 0xffff);
      this.setWord(GDT + (selector & ~7) + 4, attributes | (dpl << 13) | 0xf0000);
    };
    const LONG = 0x00a09b00, SHORT = 0x00c09b00, DATA_TYPE = 0x00c09300, NOT_PRESENT = 0x8000;
    code(KERNEL, 0, LONG);
    code(KERNEL_DATA, 0, DATA_TYPE);
    code(USER, 3, LONG);
    code(USER_DATA, 3, DATA_TYPE);
    code(USER32, 3, SHORT);
    code(ABSENT_CODE, 3, LONG & ~NOT_PRESENT);
    code(CONFORMING, 0, LONG | 0x400);
    code(BOTH, 3, LONG | 0x400000);
    code(ABSENT_DATA, 3, DATA_TYPE & ~NOT_PRESENT);
    code(READ_ONLY_DATA, 3, DATA_TYPE & ~0x200);
    code(SYSTEM, 3, 0x00008200);
    this.setWord(GDT + TASK, (TSS << 16) | 0x67);
    this.setWord(GDT + TASK + 4, 0x8b00 | (TSS >>> 16 & 0xff));
    this.longGate(GDT + GATE, 0xc, KERNEL, KERNEL_CODE + 0x100, 3);
    this.longGate(GDT + INNER_GATE, 0xc, KERNEL, KERNEL_CODE + 0x100, 0);
    this.longGate(GDT + GATE_TO_32, 0xc, USER32, CODE + 0x100, 3);
    this.longGate(GDT + GATE_BEYOND, 0xc, KERNEL, KERNEL_CODE, 3, 0x8000);
    this.longGate(GDT + ABSENT_GATE, 0xc, KERNEL, KERNEL_CODE, 3);
    this.setWord(GDT + ABSENT_GATE + 4, this.word(GDT + ABSENT_GATE + 4) & ~NOT_PRESENT);
  }

  /** A gate of sixteen bytes; `high` are bits 63–32 of its offset. */
  longGate(at: number, type: number, selector: number, offset: number, dpl: number, high = 0): void {
    this.setWord(at, (selector << 16) | (offset & 0xffff));
    this.setWord(at + 4, (offset & 0xffff0000) | 0x8000 | (dpl << 13) | (type << 8));
    this.setWord(at + 8, high);
    this.setWord(at + 12, 0);
  }

  private entry(table: number, index: number, low: number, high = 0): void {
    this.setWord(table + 8 * index, low);
    this.setWord(table + 8 * index + 4, high);
  }

  /** The page of 2 MiB at 8 MiB is also at -2 GiB. */
  private pagingStructures(): void {
    const [pointers, directory, table, highPointers, highDirectory, reservedDirectory] = [1, 2, 3, 4, 5, 6].map((n) => PAGE_MAP + 0x1000 * n);
    this.ram.fill(0, PAGE_MAP, PAGE_MAP + 0x8000);
    const open = PRESENT | WRITABLE | USER_PAGE;
    this.entry(PAGE_MAP, 0, pointers | open);
    this.entry(pointers, 0, directory | open);
    // Bits 29 to 13 of a page of 1 GiB, and 20 to 13 of one of 2 MiB, are reserved.
    this.entry(pointers, RESERVED_1G / 2 ** 30, 0x2000 | open | LARGE);
    this.entry(pointers, RESERVED_TABLE / 2 ** 30, reservedDirectory | open, RESERVED_HIGH);
    this.entry(directory, 0x400000 >>> 21, table | open);
    this.entry(directory, RESERVED_2M >>> 21, 0x2000 | open | LARGE);
    for (const at of [0x800000, 0xa00000]) this.entry(directory, at >>> 21, at | PRESENT | WRITABLE | LARGE);
    for (const [from, count, low, high] of pages) for (let n = 0; n < count; n++) this.entry(table, ((from - 0x400000) >>> 12) + n, (from + 0x1000 * n) | low, high);
    this.entry(PAGE_MAP, 511, highPointers | PRESENT | WRITABLE);
    this.entry(highPointers, 510, highDirectory | PRESENT | WRITABLE);
    this.entry(highDirectory, 0, 0x800000 | PRESENT | WRITABLE | LARGE);
  }

  /** A 64-bit value of memory. */
  wide(physical: number): bigint {
    return this.view.getBigUint64(physical, true);
  }
  setWide(physical: number, value: bigint): void {
    this.view.setBigUint64(physical, BigInt.asUintN(64, value), true);
  }
}

/** All 64 bits of an address (see mmu/types.ts). */
export const whole = (linear: number): bigint => BigInt.asUintN(64, (BigInt(highHalf(linear)) << 32n) | BigInt(linear % 2 ** 32));
