/**
 * The guest page walk: linear address → guest-physical page, with permissions, error codes and A/D bits as the processor has them
 * (SDM Vol. 3, chapter 4). A walk function is chosen by paging mode; 32-bit paging is here, other modes are further functions of the
 * same type.
 *
 * Decisions where processors differ:
 *  - A and D are set only by an access that completes; a faulting access leaves the tables as they were.
 *  - PAT is present, so bit 7 of a PTE and bit 12 of a 4 MiB PDE are not reserved.
 *  - Without PSE-36 (physicalAddressBits 32) bits 21:13 of a 4 MiB PDE are reserved. With M = 36 or 40 physical address bits, bits 20:13
 *    hold address bits 39:32 and those at and above M, with bit 21, are reserved (SDM table 4-3).
 *  - A walk reads memory, never devices: tables outside RAM and ROM read as all ones.
 */
import type { PhysicalMemory } from './physical-memory';

/** Bits of an access; the same positions as in the #PF error code (SDM Vol. 3, 4.7). */
export const ACCESS_WRITE = 2;
export const ACCESS_USER = 4;

const FAULT_PROTECTION = 1;
const FAULT_RESERVED = 8;

/** What paging depends on besides CR3: bits of a paging mode. */
export const MODE_PAGING = 1;
export const MODE_WRITE_PROTECT = 2;
export const MODE_PAGE_SIZE_EXTENSIONS = 4;
export const MODE_USER = 8;

const CR0_PG = 0x80000000, CR0_WP = 0x10000, CR4_PSE = 0x10;

/** Paging mode of a processor state (SDM Vol. 3, 4.1.1). */
export function pagingMode(cr0: number, cr4: number, cpl: number): number {
  if ((cr0 & CR0_PG) === 0) {
    return 0;
  }
  return MODE_PAGING | ((cr0 & CR0_WP) !== 0 ? MODE_WRITE_PROTECT : 0) | ((cr4 & CR4_PSE) !== 0 ? MODE_PAGE_SIZE_EXTENSIONS : 0) | (cpl === 3 ? MODE_USER : 0);
}

// Page-table entry bits (SDM Vol. 3, tables 4-4 to 4-6).
const ENTRY_PRESENT = 1, ENTRY_WRITABLE = 2, ENTRY_USER = 4, ENTRY_ACCESSED = 0x20, ENTRY_DIRTY = 0x40, ENTRY_PAGE_SIZE = 0x80;

/** Result of a walk; one object is used again and again. */
export class Walk {
  /** Guest-physical page (before the A20 gate). */
  page = 0;
  /** Set when the walk faulted. */
  errorCode = 0;
  /** The mode and privilege may write the page. */
  writable = false;
  /** The D bit of the entry that maps the page. */
  dirty = false;
  /** Frame of the page table, or -1 when none was used (4 MiB page, no paging) or it lies outside memory. */
  tableFrame = -1;
}

export type WalkFunction = (physical: PhysicalMemory, cr3: number, mode: number, linear: number, access: number, reservedLarge: number, walk: Walk) => boolean;

/** Reserved bits of a 4 MiB PDE. */
export function reservedLargePageBits(physicalAddressBits: number): number {
  if (!Number.isInteger(physicalAddressBits) || physicalAddressBits < 32 || physicalAddressBits > 40) {
    throw new RangeError(`physicalAddressBits ${physicalAddressBits}: must be 32 (no PSE-36) to 40`);
  }
  return 0x3fe000 & ~(((1 << (physicalAddressBits - 32)) - 1) << 13);
}

/** Guest-physical page of a linear address in the 4 MiB page of a PDE. */
function largePage(pde: number, linear: number): number {
  return (((pde >>> 13) & 0xff) << 20) | ((pde >>> 22) << 10) | ((linear >>> 12) & 0x3ff);
}

/** Paging off: linear addresses are physical, everything is allowed. */
export const walkIdentity: WalkFunction = (_physical, _cr3, _mode, linear, _access, _reservedLarge, walk) => {
  walk.page = linear >>> 12;
  walk.writable = true;
  walk.dirty = true;
  walk.tableFrame = -1;
  return true;
};

/** 32-bit paging (SDM Vol. 3, 4.3). False: fault, with the error code in `walk`. */
export const walk32: WalkFunction = (physical, cr3, mode, linear, access, reservedLarge, walk) => {
  const directoryPage = cr3 >>> 12;
  const directoryFrame = physical.frameOf(directoryPage);
  const directoryIndex = linear >>> 22;
  const pde = physical.tableEntry(directoryFrame, directoryIndex);
  if ((pde & ENTRY_PRESENT) === 0) {
    walk.errorCode = access;
    return false;
  }
  const large = (pde & ENTRY_PAGE_SIZE) !== 0 && (mode & MODE_PAGE_SIZE_EXTENSIONS) !== 0;
  let tablePage = directoryPage, tableFrame = directoryFrame, index = directoryIndex, entry = pde;
  let rights = pde;
  if (large) {
    if ((pde & reservedLarge) !== 0) {
      walk.errorCode = access | FAULT_PROTECTION | FAULT_RESERVED;
      return false;
    }
  } else {
    tablePage = pde >>> 12;
    tableFrame = physical.frameOf(tablePage);
    index = (linear >>> 12) & 0x3ff;
    entry = physical.tableEntry(tableFrame, index);
    if ((entry & ENTRY_PRESENT) === 0) {
      walk.errorCode = access;
      return false;
    }
    rights &= entry;
  }
  const user = (access & ACCESS_USER) !== 0;
  const writable = (rights & ENTRY_WRITABLE) !== 0 || (!user && (mode & MODE_WRITE_PROTECT) === 0);
  if ((user && (rights & ENTRY_USER) === 0) || ((access & ACCESS_WRITE) !== 0 && !writable)) {
    walk.errorCode = access | FAULT_PROTECTION;
    return false;
  }
  walk.page = large ? largePage(pde, linear) : entry >>> 12;
  if (!large && (pde & ENTRY_ACCESSED) === 0) {
    physical.setTableBits(directoryPage, directoryFrame, directoryIndex, ENTRY_ACCESSED);
  }
  const wanted = (access & ACCESS_WRITE) !== 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
  if ((entry & wanted) !== wanted) {
    physical.setTableBits(tablePage, tableFrame, index, wanted);
    // Read back: an entry in ROM keeps its bits.
    entry = physical.tableEntry(tableFrame, index);
  }
  walk.writable = writable;
  walk.dirty = (entry & ENTRY_DIRTY) !== 0;
  walk.tableFrame = large ? -1 : tableFrame;
  return true;
};

/** One table entry that a walk read. */
export interface WalkLevel {
  readonly name: 'PDE' | 'PTE';
  /** Guest-physical address of the entry. */
  readonly address: number;
  readonly entry: number;
}

/** A walk as a debugger sees it. */
export interface DebugTranslation {
  /** Guest-physical address behind the A20 gate, or undefined when the linear address is not mapped. */
  readonly gpa: number | undefined;
  readonly levels: readonly WalkLevel[];
  /** Rights that all levels grant, and the state bits of the entry that maps the page. */
  readonly writable: boolean;
  readonly user: boolean;
  readonly accessed: boolean;
  readonly dirty: boolean;
  readonly large: boolean;
  /** Why there is no translation: 'not present' or 'reserved bits'. */
  readonly problem?: 'not present' | 'reserved bits';
}

/** The same walk without effects and without permission checks: for people who look. */
export function translateForDebugger(physical: PhysicalMemory, cr3: number, mode: number, linear: number, reservedLarge: number): DebugTranslation {
  linear >>>= 0;
  const offset = linear & 0xfff;
  if ((mode & MODE_PAGING) === 0) {
    return {
      gpa: physical.busPage(linear >>> 12) * 4096 + offset, levels: [], writable: true, user: true, accessed: true, dirty: true, large: false,
    };
  }
  const levels: WalkLevel[] = [];
  const readLevel = (name: 'PDE' | 'PTE', page: number, index: number): number => {
    const entry = physical.tableEntry(physical.frameOf(page), index);
    levels.push({ name, address: physical.busPage(page) * 4096 + index * 4, entry: entry >>> 0 });
    return entry;
  };
  const pde = readLevel('PDE', cr3 >>> 12, linear >>> 22);
  let rights = pde, entry = pde;
  const large = (pde & ENTRY_PAGE_SIZE) !== 0 && (mode & MODE_PAGE_SIZE_EXTENSIONS) !== 0;
  if ((pde & ENTRY_PRESENT) !== 0 && !large) {
    entry = readLevel('PTE', pde >>> 12, (linear >>> 12) & 0x3ff);
    rights &= entry;
  }
  const present = (rights & ENTRY_PRESENT) !== 0;
  const reserved = large && (pde & reservedLarge) !== 0;
  const page = large ? largePage(pde, linear) : entry >>> 12;
  return {
    gpa: present && !reserved ? physical.busPage(page) * 4096 + offset : undefined,
    levels,
    writable: (rights & ENTRY_WRITABLE) !== 0,
    user: (rights & ENTRY_USER) !== 0,
    accessed: (entry & ENTRY_ACCESSED) !== 0,
    dirty: (entry & ENTRY_DIRTY) !== 0,
    large,
    ...(present ? reserved ? { problem: 'reserved bits' as const } : {} : { problem: 'not present' as const }),
  };
}
