/** How much memory another process holds, and how much of it is its guest's RAM: Linux's /proc/PID/smaps and pagemap. */
import fs from 'node:fs';

export interface ProcessMemory {
  /** Bytes in the host's RAM. */
  readonly resident: number;
  /** Of those, what the guest takes for its RAM. */
  readonly guest: number;
}

interface Mapping {
  readonly start: number;
  readonly bytes: number;
  readonly resident: number;
}

const PAGE = 4096;
const PAGEMAP_ENTRY = 8;

/**
 * @param guestBytes size of the guest's RAM
 * @param offset where RAM begins in the mapping that holds it, when that is known; else all of such a mapping counts as RAM
 * @returns undefined on systems without /proc and for a process that is gone
 */
export function processMemory(pid: number, guestBytes: number, offset?: number): ProcessMemory | undefined {
  try {
    const mappings = parseMappings(fs.readFileSync(`/proc/${pid}/smaps`, 'latin1'));
    const resident = mappings.reduce((sum, mapping) => sum + mapping.resident, 0);
    const holders = mappings.filter(({ bytes, resident: there }) => bytes >= guestBytes && there > 0);
    const guest = holders.reduce((sum, mapping) => sum + (offset === undefined ? mapping.resident : residentPages(pid, mapping.start + offset, guestBytes) * PAGE), 0);
    return { resident, guest };
  } catch {
    return undefined;
  }
}

/** Private and shared mappings with their resident sizes. */
export function parseMappings(smaps: string): Mapping[] {
  const mappings: Mapping[] = [];
  let start = 0, end = 0;
  for (const line of smaps.split('\n')) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (header) [start, end] = [Number.parseInt(header[1], 16), Number.parseInt(header[2], 16)];
    const resident = /^Rss: +(\d+) kB/.exec(line);
    if (resident) mappings.push({ start, bytes: end - start, resident: Number(resident[1]) * 1024 });
  }
  return mappings;
}

/** Bit 63 of a page's entry says that it is in RAM. */
function residentPages(pid: number, start: number, bytes: number): number {
  const entries = Buffer.alloc(bytes / PAGE * PAGEMAP_ENTRY);
  const file = fs.openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    const read = fs.readSync(file, entries, 0, entries.length, start / PAGE * PAGEMAP_ENTRY);
    let count = 0;
    for (let at = 7; at < read; at += PAGEMAP_ENTRY) count += entries[at] >> 7;
    return count;
  } finally {
    fs.closeSync(file);
  }
}
