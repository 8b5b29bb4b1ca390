/**
 * The guest page walk: linear address → guest-physical page, with permissions, error codes and A/D bits as the processor has them
 * (SDM Vol. 3, chapter 4). A walk function is chosen by paging mode; what they share and 32-bit paging are here, PAE paging is in
 * page-walk-pae.ts, 4-level paging in page-walk-long.ts.
 *
 * Decisions where processors differ:
 *  - A and D are set only by an access that completes; a faulting access leaves the tables as they were.
 *  - PAT is present, so bit 7 of a PTE and bit 12 of a 4 MiB PDE are not reserved.
 *  - Without PSE-36 (physicalAddressBits 32) bits 21:13 of a 4 MiB PDE are reserved. With M = 36 or 40 physical address bits, bits 20:13
 *    hold address bits 39:32 and those at and above M, with bit 21, are reserved (SDM table 4-3).
 *  - A walk reads memory, never devices: tables outside RAM and ROM read as all ones.
 */
import { PAGING_MODE } from '../cpu/layout';
import type { PhysicalMemory } from './physical-memory';
import type { PagingState } from './types';

/** Bits of an access; the same positions as in the #PF error code (SDM Vol. 3, 4.7). */
export const ACCESS_WRITE = 2;
export const ACCESS_USER = 4;
/** An instruction fetch, where that makes a difference ({@link FETCH_MODES}). */
export const ACCESS_FETCH = 16;
/** Of the supervisor, made by the processor itself (types.ts, Privilege). In no error code. */
export const ACCESS_IMPLICIT = 256;

export const FAULT_PROTECTION = 1;
export const FAULT_RESERVED = 8;

/** What paging depends on besides CR3: bits of a paging mode. */
export const MODE_PAGING = 1;
export const MODE_WRITE_PROTECT = 2;
export const MODE_PAGE_SIZE_EXTENSIONS = 4;
export const MODE_USER = 8;
export const MODE_PAE = 16;
/** Pages may forbid execution (PAE or 4-level paging with EFER.NXE). */
export const MODE_NO_EXECUTE = 32;
/** 4-level paging; MODE_PAE is set with it. */
export const MODE_LONG = 64;
/** 64-bit code: linear addresses have more than 32 bits, and the lookup tables are hashed. */
export const MODE_CODE64 = 128;
/** The supervisor may not execute (CR4.SMEP) or, for the moment, not reach (CR4.SMAP, EFLAGS.AC clear) user pages. */
export const MODE_SMEP = 256;
export const MODE_SMAP = 512;
/** CR4.SMAP is lifted by EFLAGS.AC, except for implicit accesses. */
export const MODE_SMAP_LIFTED = 2048;
/** Every access of the program is checked for alignment (CR0.AM, EFLAGS.AC, CPL 3). */
export const MODE_ALIGNED = 1024;
/** With one of these a fetch differs from a read, in its rights and in its error code. */
export const FETCH_MODES = MODE_NO_EXECUTE | MODE_SMEP;

const CR0_PG = 0x80000000, CR0_WP = 0x10000, CR0_AM = 0x40000, CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_SMEP = 0x100000, CR4_SMAP = 0x200000;
const EFER_NXE = 0x800, EFER_LMA = 0x400;

/** Paging mode of a processor state (SDM Vol. 3, 4.1.1). */
export function pagingMode({ cr0, cr4, efer, cpl, code64, alignmentFlag }: PagingState): number {
  const user = cpl === 3;
  const aligned = user && (cr0 & CR0_AM) !== 0 && alignmentFlag === true ? MODE_ALIGNED | MODE_USER : 0;
  if ((cr0 & CR0_PG) === 0) {
    return aligned;
  }
  const mode = aligned | MODE_PAGING | ((cr0 & CR0_WP) !== 0 ? MODE_WRITE_PROTECT : 0) | (user ? MODE_USER : 0)
    | ((cr4 & CR4_SMEP) !== 0 ? MODE_SMEP : 0)
    // While CPL is 3 only implicit accesses are the supervisor's, and those EFLAGS.AC does not free.
    | ((cr4 & CR4_SMAP) === 0 ? 0 : user || alignmentFlag !== true ? MODE_SMAP : MODE_SMAP_LIFTED);
  if ((cr4 & CR4_PAE) !== 0) {
    const noExecute = (efer & EFER_NXE) !== 0 ? MODE_NO_EXECUTE : 0;
    return mode | MODE_PAE | noExecute | ((efer & EFER_LMA) !== 0 ? MODE_LONG | (code64 === true ? MODE_CODE64 : 0) : 0);
  }
  return (cr4 & CR4_PSE) !== 0 ? mode | MODE_PAGE_SIZE_EXTENSIONS : mode;
}

// Page-table entry bits (SDM Vol. 3, tables 4-4 to 4-6).
export const ENTRY_PRESENT = 1, ENTRY_WRITABLE = 2, ENTRY_USER = 4, ENTRY_ACCESSED = 0x20, ENTRY_DIRTY = 0x40, ENTRY_PAGE_SIZE = 0x80;

/** The registers of a walk, and the bits that the processor's physical address width makes reserved. */
export class PagingRegisters {
  cr3 = 0;
  /** PAE: PDPTE registers, low and high words in turn. */
  readonly pdptes = new Uint32Array(8);
  /** Reserved bits of a 4 MiB PDE. */
  readonly reservedLarge: number;
  /** Reserved bits 62:M of a PAE entry, in its high word. */
  readonly reservedHigh: number;
  /** Reserved bits 51:M of an entry of 4-level paging, in its high word. */
  readonly reservedHighLong: number;

  /** Throws RangeError for a width that no processor of the kind has. */
  constructor(
    physicalAddressBits: number, /** 4-level paging has pages of 1 GiB. */ readonly gigabytePages: boolean,
    /** The words of the machine's memory: the mode stands in the state page, where a change of privilege changes it. */ private readonly words: Int32Array,
  ) {
    if (!Number.isInteger(physicalAddressBits) || physicalAddressBits < 32 || physicalAddressBits > 40) {
      throw new RangeError(`physicalAddressBits ${physicalAddressBits}: must be 32 (no PSE-36) to 40`);
    }
    const above4GiB = (1 << (physicalAddressBits - 32)) - 1;
    this.reservedLarge = 0x3fe000 & ~(above4GiB << 13);
    this.reservedHigh = 0x7fffffff & ~above4GiB;
    this.reservedHighLong = 0xfffff & ~above4GiB;
  }

  /** MODE bits. */
  get mode(): number { return this.words[PAGING_MODE >>> 2]; }
  set mode(mode: number) { this.words[PAGING_MODE >>> 2] = mode; }
}

/** Result of a walk; one object is used again and again. */
export class Walk {
  /** Guest-physical page (before the A20 gate). */
  page = 0;
  /** Set when the walk faulted. */
  errorCode = 0;
  /** The mode and privilege may write the page. */
  writable = false;
  /** The mode and privilege may read the page: what the supervisor may fetch from, SMAP may forbid it to read. */
  readable = true;
  /** The mode and privilege may fetch instructions from the page. */
  executable = true;
  /** The D bit of the entry that maps the page. */
  dirty = false;
  /** Frames of the tables that were read, by level less one (0 page table, 1 directory, …); -1 for one outside memory. */
  readonly tables = new Int32Array(4).fill(-1);
  /** Level of the entry that maps the page: 1 for a page table's, more for a large page's, 0 without paging. */
  leaf = 0;
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
  walk.readable = true;
  walk.executable = true;
  walk.dirty = true;
  walk.leaf = 0;
  return true;
};

/**
 * The checks of a page whose entries are all present and sound: `rights` is the AND of their low words. Sets what the page's lookup entries
 * depend on. False: fault, with the error code in `walk` (SDM Vol. 3, 4.6).
 */
export function permits(mode: number, rights: number, noExecute: boolean, access: number, walk: Walk): boolean {
  const user = (access & ACCESS_USER) !== 0, userPage = (rights & ENTRY_USER) !== 0;
  walk.writable = (rights & ENTRY_WRITABLE) !== 0 || (!user && (mode & MODE_WRITE_PROTECT) === 0);
  walk.executable = !noExecute && (user || !userPage || (mode & MODE_SMEP) === 0);
  walk.readable = user ? userPage : !userPage || (mode & ((access & ACCESS_IMPLICIT) !== 0 ? MODE_SMAP | MODE_SMAP_LIFTED : MODE_SMAP)) === 0;
  const reached = (access & ACCESS_FETCH) !== 0 ? walk.executable && (userPage || !user) : walk.readable;
  if (!reached || ((access & ACCESS_WRITE) !== 0 && !walk.writable)) {
    walk.errorCode = access | FAULT_PROTECTION;
    return false;
  }
  return true;
}

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
  if (!permits(mode, rights, false, access, walk)) {
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
  walk.dirty = (entry & ENTRY_DIRTY) !== 0;
  walk.tables[1] = directoryFrame;
  walk.tables[0] = tableFrame;
  walk.leaf = large ? 2 : 1;
  return true;
};
