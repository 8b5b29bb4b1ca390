/**
 * 4-level paging (SDM Vol. 3, 4.5): entries of 64 bits in four levels of tables, pages of 4 KiB, 2 MiB and 1 GiB, execute-disable.
 *
 * Linear addresses are numbers of 48 bits (types.ts). Entries are handled as two words, as in page-walk-pae.ts. Bits 62:52 of an entry are
 * ignored, 51:M reserved; bit 7 is reserved in a PML4E. Decisions where processors differ are those of page-walk.ts.
 */
import {
  ACCESS_WRITE, ENTRY_ACCESSED, ENTRY_DIRTY, ENTRY_PAGE_SIZE, ENTRY_PRESENT, ENTRY_USER, ENTRY_WRITABLE, FAULT_PROTECTION, FAULT_RESERVED, MODE_NO_EXECUTE,
  permits, type PagingRegisters, type WalkFunction,
} from './page-walk';
import { entryPage, HIGH_EXECUTE_DISABLE, RESERVED_2M } from './page-walk-pae';

export const LONG_LEVELS = 4;
/** Reserved bits of a PDPTE that maps 1 GiB, in its low word: 29:13 (bit 12 is PAT). */
const RESERVED_1G = 0x3fffe000;
const PAGES_PER_PML4_ENTRY = 0x8000000;

/** Index of the entry for a linear page in a table of `level` (1 page table … 4 PML4). */
export function longIndex(linearPage: number, level: number): number {
  return level === 4 ? Math.floor(linearPage / PAGES_PER_PML4_ENTRY) & 0x1ff : (linearPage >>> (9 * (level - 1))) & 0x1ff;
}

/** Whether a present entry at `level` ends the walk with a large page. */
export function mapsLargePage(level: number, low: number): boolean {
  return (level === 2 || level === 3) && (low & ENTRY_PAGE_SIZE) !== 0;
}

/** Whether a present entry at `level` has reserved bits set. */
export function hasReservedBits({ mode, reservedHighLong, gigabytePages }: PagingRegisters, level: number, low: number, high: number): boolean {
  const reservedHigh = (mode & MODE_NO_EXECUTE) !== 0 ? reservedHighLong : reservedHighLong | HIGH_EXECUTE_DISABLE;
  const reservedLow = level === 4 ? ENTRY_PAGE_SIZE : !mapsLargePage(level, low) ? 0 : level === 2 ? RESERVED_2M : gigabytePages ? RESERVED_1G : ENTRY_PAGE_SIZE;
  return (high & reservedHigh) !== 0 || (low & reservedLow) !== 0;
}

/** Guest-physical page of a linear page in the (large) page that an entry at `level` maps. */
export function longPage(low: number, high: number, level: number, linearPage: number): number {
  const within = (1 << (9 * (level - 1))) - 1;
  return (entryPage(low, high) & ~within) | (linearPage & within);
}

/** Per level less one: page of the table, index of the entry's low word. Filled by one walk, for its A and D bits. */
const tablePages = new Int32Array(LONG_LEVELS);
const tableWords = new Int32Array(LONG_LEVELS);

export const walkLong: WalkFunction = (physical, paging, linear, access, walk) => {
  const linearPage = Math.floor(linear / 4096);
  let tablePage = Math.floor(paging.cr3 / 4096);
  let rights = ENTRY_WRITABLE | ENTRY_USER, everyHigh = 0, unaccessed = 0;
  for (let level = LONG_LEVELS; ; level--) {
    const frame = physical.frameOf(tablePage);
    const word = 2 * longIndex(linearPage, level);
    const low = physical.tableEntry(frame, word), high = physical.tableEntry(frame, word + 1);
    if ((low & ENTRY_PRESENT) === 0) {
      walk.errorCode = access;
      return false;
    }
    if (hasReservedBits(paging, level, low, high)) {
      walk.errorCode = access | FAULT_PROTECTION | FAULT_RESERVED;
      return false;
    }
    tablePages[level - 1] = tablePage;
    tableWords[level - 1] = word;
    walk.tables[level - 1] = frame;
    rights &= low;
    everyHigh |= high;
    if (level > 1 && !mapsLargePage(level, low)) {
      unaccessed |= (low & ENTRY_ACCESSED) === 0 ? 1 << level : 0;
      tablePage = entryPage(low, high);
      continue;
    }
    if (!permits(paging.mode, rights, (everyHigh & HIGH_EXECUTE_DISABLE) !== 0, access, walk)) {
      return false;
    }
    walk.page = longPage(low, high, level, linearPage);
    walk.leaf = level;
    for (let above = LONG_LEVELS; unaccessed !== 0 && above > level; above--) {
      if ((unaccessed & (1 << above)) !== 0) {
        physical.setTableBits(tablePages[above - 1], walk.tables[above - 1], tableWords[above - 1], ENTRY_ACCESSED);
      }
    }
    const wanted = (access & ACCESS_WRITE) !== 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
    if ((low & wanted) !== wanted) {
      physical.setTableBits(tablePage, frame, word, wanted);
      // Read back: an entry in ROM keeps its bits.
      walk.dirty = (physical.tableEntry(frame, word) & ENTRY_DIRTY) !== 0;
    } else {
      walk.dirty = (low & ENTRY_DIRTY) !== 0;
    }
    return true;
  }
};
