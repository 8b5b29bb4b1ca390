/**
 * The guest page walk: linear address → guest-physical page, with permissions, error codes and A/D bits as the processor has them
 * (SDM Vol. 3, chapter 4). A walk function is chosen by paging mode; what they share and 32-bit paging are here, PAE paging is in
 * page-walk-pae.ts.
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
/** An instruction fetch, where that makes a difference (MODE_NO_EXECUTE). */
export const ACCESS_FETCH = 16;

export const FAULT_PROTECTION = 1;
export const FAULT_RESERVED = 8;

/** What paging depends on besides CR3: bits of a paging mode. */
export const MODE_PAGING = 1;
export const MODE_WRITE_PROTECT = 2;
export const MODE_PAGE_SIZE_EXTENSIONS = 4;
export const MODE_USER = 8;
export const MODE_PAE = 16;
/** Pages may forbid execution (PAE with EFER.NXE). */
export const MODE_NO_EXECUTE = 32;

const CR0_PG = 0x80000000, CR0_WP = 0x10000, CR4_PSE = 0x10, CR4_PAE = 0x20, EFER_NXE = 0x800;

/** Paging mode of a processor state (SDM Vol. 3, 4.1.1). */
export function pagingMode(cr0: number, cr4: number, efer: number, cpl: number): number {
  if ((cr0 & CR0_PG) === 0) {
    return 0;
  }
  const mode = MODE_PAGING | ((cr0 & CR0_WP) !== 0 ? MODE_WRITE_PROTECT : 0) | (cpl === 3 ? MODE_USER : 0);
  if ((cr4 & CR4_PAE) !== 0) {
    return mode | MODE_PAE | ((efer & EFER_NXE) !== 0 ? MODE_NO_EXECUTE : 0);
  }
  return (cr4 & CR4_PSE) !== 0 ? mode | MODE_PAGE_SIZE_EXTENSIONS : mode;
}

// Page-table entry bits (SDM Vol. 3, tables 4-4 to 4-6).
export const ENTRY_PRESENT = 1, ENTRY_WRITABLE = 2, ENTRY_USER = 4, ENTRY_ACCESSED = 0x20, ENTRY_DIRTY = 0x40, ENTRY_PAGE_SIZE = 0x80;

/** The registers of a walk, and the bits that the processor's physical address width makes reserved. */
export class PagingRegisters {
  cr3 = 0;
  /** MODE bits. */
  mode = 0;
  /** PAE: PDPTE registers, low and high words in turn. */
  readonly pdptes = new Uint32Array(8);
  /** Reserved bits of a 4 MiB PDE. */
  readonly reservedLarge: number;
  /** Reserved bits 62:M of a PAE entry, in its high word. */
  readonly reservedHigh: number;

  /** Throws RangeError for a width that no processor of the kind has. */
  constructor(physicalAddressBits: number) {
    if (!Number.isInteger(physicalAddressBits) || physicalAddressBits < 32 || physicalAddressBits > 40) {
      throw new RangeError(`physicalAddressBits ${physicalAddressBits}: must be 32 (no PSE-36) to 40`);
    }
    const above4GiB = (1 << (physicalAddressBits - 32)) - 1;
    this.reservedLarge = 0x3fe000 & ~(above4GiB << 13);
    this.reservedHigh = 0x7fffffff & ~above4GiB;
  }
}

/** Result of a walk; one object is used again and again. */
export class Walk {
  /** Guest-physical page (before the A20 gate). */
  page = 0;
  /** Set when the walk faulted. */
  errorCode = 0;
  /** The mode and privilege may write the page. */
  writable = false;
  /** Instructions may be fetched from the page. */
  executable = true;
  /** The D bit of the entry that maps the page. */
  dirty = false;
  /** Frame of the page table, or -1 when none was used (large page, no paging) or it lies outside memory. */
  tableFrame = -1;
}

/** False: fault, with the error code in `walk`. */
export type WalkFunction = (physical: PhysicalMemory, paging: PagingRegisters, linear: number, access: number, walk: Walk) => boolean;

/** Guest-physical page of a linear address in the 4 MiB page of a PDE. */
export function largePage(pde: number, linear: number): number {
  return (((pde >>> 13) & 0xff) << 20) | ((pde >>> 22) << 10) | ((linear >>> 12) & 0x3ff);
}

/** Paging off: linear addresses are physical, everything is allowed. */
export const walkIdentity: WalkFunction = (_physical, _paging, linear, _access, walk) => {
  walk.page = linear >>> 12;
  walk.writable = true;
  walk.executable = true;
  walk.dirty = true;
  walk.tableFrame = -1;
  return true;
};

/** 32-bit paging (SDM Vol. 3, 4.3). */
export const walk32: WalkFunction = (physical, { cr3, mode, reservedLarge }, linear, access, walk) => {
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
  walk.executable = true;
  walk.dirty = (entry & ENTRY_DIRTY) !== 0;
  walk.tableFrame = large ? -1 : tableFrame;
  return true;
};
