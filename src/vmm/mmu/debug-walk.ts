/** The guest page walk without effects and without permission checks, level by level: for people who look. */
import {
  ENTRY_ACCESSED, ENTRY_DIRTY, ENTRY_PAGE_SIZE, ENTRY_PRESENT, ENTRY_USER, ENTRY_WRITABLE, largePage, MODE_LONG, MODE_PAE, MODE_PAGE_SIZE_EXTENSIONS,
  MODE_PAGING, type PagingRegisters,
} from './page-walk';
import { hasReservedBits, LONG_LEVELS, longIndex, longPage, mapsLargePage } from './page-walk-long';
import { entryPage, HIGH_EXECUTE_DISABLE, page2M, pdptePage, reservedInHigh, RESERVED_2M } from './page-walk-pae';
import type { PhysicalMemory } from './physical-memory';

/** One table entry that a walk read, or the PDPTE register that it began at. */
export interface WalkLevel {
  readonly name: 'PML4E' | 'PDPTE' | 'PDE' | 'PTE';
  /** Guest-physical address of the entry; of a PDPTE register, where CR3 says that it came from. */
  readonly address: number;
  /** 32 bits, or 64 with PAE and 4-level paging. */
  readonly entry: bigint;
}

/** A walk as a debugger sees it. */
export interface DebugTranslation {
  /** Guest-physical address behind the A20 gate, or undefined when the linear address is not mapped. */
  readonly gpa: number | undefined;
  readonly levels: readonly WalkLevel[];
  /** Rights that all levels grant, and the state bits of the entry that maps the page. */
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  readonly accessed: boolean;
  readonly dirty: boolean;
  readonly large: boolean;
  /** Why there is no translation. */
  readonly problem?: 'not present' | 'reserved bits';
}

/** What a mode's walk found: the last entry read, and the sum of all. */
interface Found {
  readonly levels: readonly WalkLevel[];
  readonly present: boolean;
  readonly reserved: boolean;
  readonly page: number;
  readonly entry: number;
  /** AND of the entries with permissions. */
  readonly rights: number;
  readonly executable: boolean;
  readonly large: boolean;
}

/** Translates with the registers given; see DebugTranslation. */
export function translateForDebugger(physical: PhysicalMemory, paging: PagingRegisters, linear: number): DebugTranslation {
  const long = (paging.mode & MODE_LONG) !== 0;
  if (!long) {
    linear >>>= 0;
  }
  const offset = linear & 0xfff;
  if ((paging.mode & MODE_PAGING) === 0) {
    return {
      gpa: physical.busPage(linear >>> 12) * 4096 + offset, levels: [],
      writable: true, user: true, executable: true, accessed: true, dirty: true, large: false,
    };
  }
  const find = long ? findLong : (paging.mode & MODE_PAE) !== 0 ? findPae : find32;
  const { levels, present, reserved, page, entry, rights, executable, large } = find(physical, paging, linear);
  return {
    gpa: present && !reserved ? physical.busPage(page) * 4096 + offset : undefined,
    levels,
    writable: (rights & ENTRY_WRITABLE) !== 0,
    user: (rights & ENTRY_USER) !== 0,
    executable,
    accessed: (entry & ENTRY_ACCESSED) !== 0,
    dirty: (entry & ENTRY_DIRTY) !== 0,
    large,
    // A processor looks at one entry after the other: reserved bits are found only in what is present.
    ...(reserved ? { problem: 'reserved bits' as const } : present ? {} : { problem: 'not present' as const }),
  };
}

function find32(physical: PhysicalMemory, { cr3, mode, reservedLarge }: PagingRegisters, linear: number): Found {
  const levels: WalkLevel[] = [];
  const readLevel = (name: 'PDE' | 'PTE', page: number, index: number): number => {
    const entry = physical.tableEntry(physical.frameOf(page), index);
    levels.push({ name, address: physical.busPage(page) * 4096 + index * 4, entry: BigInt(entry >>> 0) });
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
  return {
    levels, present, reserved: present && large && (pde & reservedLarge) !== 0, page: large ? largePage(pde, linear) : entry >>> 12,
    entry, rights, executable: true, large,
  };
}

function findPae(physical: PhysicalMemory, paging: PagingRegisters, linear: number): Found {
  const { pdptes } = paging;
  const quarter = linear >>> 30;
  const levels: WalkLevel[] = [];
  const add = (name: WalkLevel['name'], address: number, low: number, high: number): void => {
    levels.push({ name, address, entry: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0) });
  };
  let low = pdptes[2 * quarter], high = pdptes[2 * quarter + 1];
  add('PDPTE', ((paging.cr3 & ~0x1f) >>> 0) + quarter * 8, low, high);
  // A PDPTE has neither rights nor an A bit.
  let rights = ENTRY_WRITABLE | ENTRY_USER, everyHigh = 0;
  let page = pdptePage(pdptes, quarter);
  let present = (low & ENTRY_PRESENT) !== 0, reserved = false, large = false;
  for (const { name, shift } of [{ name: 'PDE', shift: 21 }, { name: 'PTE', shift: 12 }] as const) {
    if (!present || reserved || large) {
      break;
    }
    const index = (linear >>> shift) & 0x1ff;
    const frame = physical.frameOf(page);
    const address = physical.busPage(page) * 4096 + index * 8;
    low = physical.tableEntry(frame, 2 * index);
    high = physical.tableEntry(frame, 2 * index + 1);
    add(name, address, low, high);
    rights &= low;
    everyHigh |= high;
    present = (low & ENTRY_PRESENT) !== 0;
    large = name === 'PDE' && (low & ENTRY_PAGE_SIZE) !== 0;
    reserved = present && ((high & reservedInHigh(paging)) !== 0 || (large && (low & RESERVED_2M) !== 0));
    page = large ? page2M(low, high, linear) : entryPage(low, high);
  }
  return { levels, present, reserved, page, entry: levels.length > 1 ? low : 0, rights: levels.length > 1 ? rights : 0, executable: (everyHigh & HIGH_EXECUTE_DISABLE) === 0, large };
}

const longLevelNames = ['PTE', 'PDE', 'PDPTE', 'PML4E'] as const;

function findLong(physical: PhysicalMemory, paging: PagingRegisters, linear: number): Found {
  const levels: WalkLevel[] = [];
  const linearPage = Math.floor(linear / 4096);
  let page = Math.floor(paging.cr3 / 4096);
  let rights = -1, everyHigh = 0;
  for (let level = LONG_LEVELS; ; level--) {
    const index = longIndex(linearPage, level), frame = physical.frameOf(page);
    const low = physical.tableEntry(frame, 2 * index), high = physical.tableEntry(frame, 2 * index + 1);
    const address = physical.busPage(page) * 4096 + index * 8;
    levels.push({ name: longLevelNames[level - 1], address, entry: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0) });
    rights &= low;
    everyHigh |= high;
    const present = (low & ENTRY_PRESENT) !== 0;
    const reserved = present && hasReservedBits(paging, level, low, high);
    const large = present && mapsLargePage(level, low);
    if (!present || reserved || large || level === 1) {
      return {
        levels, present, reserved, page: longPage(low, high, level, linearPage), entry: low, rights, executable: (everyHigh & HIGH_EXECUTE_DISABLE) === 0, large,
      };
    }
    page = entryPage(low, high);
  }
}
