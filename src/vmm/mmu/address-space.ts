/** What an address space maps, as ranges of equal rights, for people who look. Reads the guest's tables without effects; a table that maps itself ends at a bound. */
import { translateForDebugger, type DebugTranslation } from './debug-walk';
import { MODE_LONG, MODE_PAE, MODE_PAGING, type PagingRegisters } from './page-walk';
import type { PhysicalMemory } from './physical-memory';

export interface MappedRange {
  /** Linear addresses (canonical ones by their low 48 bits). */
  readonly first: number;
  readonly last: number;
  /** Guest-physical address of the first byte, and whether the rest follows it. */
  readonly physical: number;
  readonly contiguous: boolean;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  readonly large: boolean;
}

/** Pages looked at for one summary. */
const WALKS_MAX = 1 << 20;

/** Bits that one entry of each level covers, from the outermost one. */
function shifts(mode: number): readonly number[] {
  if (mode & MODE_LONG) return [39, 30, 21, 12];
  return mode & MODE_PAE ? [30, 21, 12] : [22, 12];
}

/** At most `most` ranges from the linear address `from` on; `next` is where to go on when there are more. */
export function mappedRanges(physical: PhysicalMemory, paging: PagingRegisters, from: number, most: number): { ranges: MappedRange[]; next?: number } {
  const ranges: MappedRange[] = [];
  if ((paging.mode & MODE_PAGING) === 0) return { ranges };
  const levelShifts = shifts(paging.mode);
  const end = paging.mode & MODE_LONG ? 2 ** 48 : 2 ** 32;
  let open: { -readonly [K in keyof MappedRange]: MappedRange[K] } | undefined;
  let linear = Math.floor(from / 4096) * 4096;
  for (let walks = 0; linear < end; walks++) {
    if (walks === WALKS_MAX) {
      if (open) ranges.push(open);
      return { ranges, next: linear };
    }
    const found = translateForDebugger(physical, paging, linear);
    // The last entry that was read decides about everything that it covers.
    const size = 2 ** levelShifts[found.levels.length - 1];
    const next = Math.floor(linear / size) * size + size;
    if (found.gpa === undefined) {
      if (open) ranges.push(open);
      open = undefined;
    } else if (open && open.last === linear - 1 && sameRights(open, found)) {
      open.contiguous &&= open.physical + (linear - open.first) === found.gpa;
      open.last = next - 1;
    } else {
      if (open) ranges.push(open);
      if (ranges.length >= most) return { ranges, next: linear };
      const { gpa, writable, user, executable, large } = found;
      open = { first: linear, last: next - 1, physical: gpa, contiguous: true, writable, user, executable, large };
    }
    linear = next;
  }
  if (open) ranges.push(open);
  return { ranges };
}

function sameRights(range: MappedRange, found: DebugTranslation): boolean {
  return range.writable === found.writable && range.user === found.user && range.executable === found.executable && range.large === found.large;
}
