/**
 * PAE paging (SDM Vol. 3, 4.4): four PDPTE registers, entries of 64 bits, 2 MiB pages, execute-disable. The PDPTE registers were checked
 * when they were loaded (cpu/pdptes.ts); a walk begins at them and reads the page-directory-pointer table never.
 *
 * Entries are handled as two words; an entry's index counts entries, its place in a frame is 2 × index. Decisions where processors differ
 * are those of page-walk.ts.
 */
import {
  ACCESS_WRITE, ENTRY_ACCESSED, ENTRY_DIRTY, ENTRY_PAGE_SIZE, ENTRY_PRESENT, FAULT_PROTECTION, FAULT_RESERVED, MODE_NO_EXECUTE, permits,
  type PagingRegisters, type WalkFunction,
} from './page-walk';

export const PDPTE_COUNT = 4;
/** XD, in the high word of an entry. */
export const HIGH_EXECUTE_DISABLE = 0x80000000;
/** Reserved bits of a PDE that maps 2 MiB, in its low word: 20:13 (bit 12 is PAT). */
export const RESERVED_2M = 0x1fe000;

export function pdptePresent(pdptes: Uint32Array, n: number): boolean {
  return (pdptes[2 * n] & ENTRY_PRESENT) !== 0;
}

/** Guest-physical page of the directory that a PDPTE register names. */
export function pdptePage(pdptes: Uint32Array, n: number): number {
  return entryPage(pdptes[2 * n], pdptes[2 * n + 1]);
}

/** Page number of an entry's address; widths beyond PagingRegisters' limit are reserved bits. */
export function entryPage(low: number, high: number): number {
  return ((high & 0xff) << 20) | (low >>> 12);
}

/** Guest-physical page of a linear address in the 2 MiB page of a PDE. */
export function page2M(low: number, high: number, linear: number): number {
  return (entryPage(low, high) & ~0x1ff) | ((linear >>> 12) & 0x1ff);
}

/** Reserved bits in the high word of every PDE and PTE. */
export function reservedInHigh({ mode, reservedHigh }: PagingRegisters): number {
  return (mode & MODE_NO_EXECUTE) !== 0 ? reservedHigh : reservedHigh | HIGH_EXECUTE_DISABLE;
}

export const walkPae: WalkFunction = (physical, paging, linear, access, walk) => {
  const { mode, pdptes } = paging;
  const quarter = linear >>> 30;
  if (!pdptePresent(pdptes, quarter)) {
    walk.errorCode = access;
    return false;
  }
  const reserved = reservedInHigh(paging);
  const directoryPage = pdptePage(pdptes, quarter);
  const directoryFrame = physical.frameOf(directoryPage);
  const directoryWord = ((linear >>> 21) & 0x1ff) * 2;
  const pde = physical.tableEntry(directoryFrame, directoryWord);
  const pdeHigh = physical.tableEntry(directoryFrame, directoryWord + 1);
  if ((pde & ENTRY_PRESENT) === 0) {
    walk.errorCode = access;
    return false;
  }
  const large = (pde & ENTRY_PAGE_SIZE) !== 0;
  if ((pdeHigh & reserved) !== 0 || (large && (pde & RESERVED_2M) !== 0)) {
    walk.errorCode = access | FAULT_PROTECTION | FAULT_RESERVED;
    return false;
  }
  let tablePage = directoryPage, tableFrame = directoryFrame, word = directoryWord, entry = pde, high = pdeHigh;
  if (!large) {
    tablePage = entryPage(pde, pdeHigh);
    tableFrame = physical.frameOf(tablePage);
    word = ((linear >>> 12) & 0x1ff) * 2;
    entry = physical.tableEntry(tableFrame, word);
    high = physical.tableEntry(tableFrame, word + 1);
    if ((entry & ENTRY_PRESENT) === 0) {
      walk.errorCode = access;
      return false;
    }
    if ((high & reserved) !== 0) {
      walk.errorCode = access | FAULT_PROTECTION | FAULT_RESERVED;
      return false;
    }
  }
  const rights = pde & entry;
  if (!permits(mode, rights, ((pdeHigh | high) & HIGH_EXECUTE_DISABLE) !== 0, access, walk)) {
    return false;
  }
  walk.page = large ? page2M(pde, pdeHigh, linear) : entryPage(entry, high);
  if (!large && (pde & ENTRY_ACCESSED) === 0) {
    physical.setTableBits(directoryPage, directoryFrame, directoryWord, ENTRY_ACCESSED);
  }
  const wanted = (access & ACCESS_WRITE) !== 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
  if ((entry & wanted) !== wanted) {
    physical.setTableBits(tablePage, tableFrame, word, wanted);
    // Read back: an entry in ROM keeps its bits.
    entry = physical.tableEntry(tableFrame, word);
  }
  walk.dirty = (entry & ENTRY_DIRTY) !== 0;
  walk.tables[1] = directoryFrame;
  walk.tables[0] = tableFrame;
  walk.leaf = large ? 2 : 1;
  return true;
};
