/** What the tests of this room share: a memory, an Mmu on it, guest page tables by hand, and accesses as threaded code makes them. */
import { counterAddress, type CounterId } from '../cpu/counters';
import { COUNTERS, COUNTERS_MAX, LONG_TABLE_ENTRIES, RAM, READ_TABLE, WRITE_TABLE } from '../cpu/layout';
import { Mmu, type MmuOptions } from './mmu';
import { PageFault } from './types';

export const TEST_RAM = 0x400000;

/** One memory for all tests of a file: the host reserves gigabytes of address space for each. */
const memory = new WebAssembly.Memory({ initial: (RAM + TEST_RAM) / 0x10000, maximum: (RAM + TEST_RAM) / 0x10000 });
const view = new DataView(memory.buffer);

// Page-table entry bits.
export const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80;
export const CR0_PG = 0x80000001 | 0, CR0_WP = 0x10000, CR4_PSE = 0x10, CR4_PAE = 0x20, EFER_NXE = 0x800, EFER_LMA = 0x400, CR4_SMEP = 0x100000, CR4_SMAP = 0x200000;

export interface Guest {
  readonly mmu: Mmu;
  /** Paging on, directory at `cr3`. */
  paging(cr3: number, how?: { wp?: boolean; pse?: boolean; cpl?: number }): void;
  /** PAE paging on, with the PDPTE registers loaded from the table at `cr3`. */
  pae(cr3: number, how?: { wp?: boolean; pse?: boolean; nx?: boolean; cpl?: number }): void;
  /** 4-level paging on, PML4 at `cr3`; 64-bit code unless told otherwise. */
  long(cr3: number, how?: { wp?: boolean; nx?: boolean; smep?: boolean; smap?: boolean; cpl?: number; code64?: boolean; alignmentFlag?: boolean }): void;
  /** Guest-physical word, straight from RAM. */
  word(gpa: number): number;
  /** Changes RAM behind the traces: only to build tables before they are used. */
  setWord(gpa: number, value: number): void;
  /** As threaded code: inlined lookup, then the slow path. */
  load(linear: number, size?: 1 | 2 | 4): number;
  store(linear: number, value: number, size?: 1 | 2 | 4): void;
  readHits(linear: number): boolean;
  writeHits(linear: number): boolean;
  counter(id: CounterId): number;
}

export function createGuest(options: Partial<MmuOptions> = {}): Guest {
  new Uint8Array(memory.buffer).fill(0, RAM);
  new Uint8Array(memory.buffer).fill(0, COUNTERS, COUNTERS + COUNTERS_MAX);
  const mmu = new Mmu(memory, { ramBytes: TEST_RAM, physicalAddressBits: 32, ...options });
  const entry = (table: number, linear: number): number => {
    if (!mmu.shadow.wide) {
      return view.getUint32(view.getUint32(table, true) + (linear >>> 12) * 4, true);
    }
    const at = view.getUint32(table, true) + ((linear / 4096) & (LONG_TABLE_ENTRIES - 1)) * 16;
    return view.getUint32(at, true) === (linear & ~0xfff) >>> 0 && view.getInt32(at + 4, true) === Math.floor(linear / 2 ** 32) << 16 >> 16
      ? view.getUint32(at + 8, true) : 0xffffffff;
  };
  const hits = (found: number, linear: number, size: number): boolean =>
    size === 1 ? (found & 0xfff) === 0 : ((found | linear) & 0xfff) <= 0x1000 - size;
  return {
    mmu,
    paging(cr3, { wp = false, pse = false, cpl = 0 } = {}) {
      mmu.activate({ cr0: CR0_PG | (wp ? CR0_WP : 0), cr3, cr4: pse ? CR4_PSE : 0, efer: 0, cpl });
    },
    pae(cr3, { wp = false, pse = false, nx = false, cpl = 0 } = {}) {
      const pdptes = Array.from({ length: 8 }, (_, i) => view.getUint32(RAM + cr3 + i * 4, true));
      mmu.activate({ cr0: CR0_PG | (wp ? CR0_WP : 0), cr3, cr4: CR4_PAE | (pse ? CR4_PSE : 0), efer: nx ? EFER_NXE : 0, cpl, pdptes });
    },
    long(cr3, { wp = true, nx = true, smep = false, smap = false, cpl = 0, code64 = true, alignmentFlag = false } = {}) {
      mmu.activate({
        cr0: CR0_PG | (wp ? CR0_WP : 0), cr3, cr4: CR4_PAE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0), efer: EFER_LMA | (nx ? EFER_NXE : 0),
        cpl, code64, alignmentFlag,
      });
    },
    word: (gpa) => view.getUint32(RAM + gpa, true),
    setWord(gpa, value) {
      view.setUint32(RAM + gpa, value >>> 0, true);
    },
    load(linear, size = 4) {
      const found = entry(READ_TABLE, linear);
      if (hits(found, linear, size)) {
        const host = (found ^ linear) >>> 0;
        return size === 4 ? view.getUint32(host, true) : size === 2 ? view.getUint16(host, true) : view.getUint8(host);
      }
      const value = mmu.readSlow(linear, size);
      return size === 4 ? value >>> 0 : value;
    },
    store(linear, value, size = 4) {
      const found = entry(WRITE_TABLE, linear);
      if (hits(found, linear, size)) {
        const host = (found ^ linear) >>> 0;
        if (size === 4) {
          view.setUint32(host, value >>> 0, true);
        } else if (size === 2) {
          view.setUint16(host, value, true);
        } else {
          view.setUint8(host, value);
        }
        return;
      }
      mmu.writeSlow(linear, size, value);
    },
    readHits: (linear) => hits(entry(READ_TABLE, linear), 0, 4),
    writeHits: (linear) => hits(entry(WRITE_TABLE, linear), 0, 4),
    counter: (id) => Number(view.getBigUint64(counterAddress(id), true)),
  };
}

/** The page fault that `action` ends with, or undefined. Other errors pass. */
export function faultOf(action: () => unknown): PageFault | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof PageFault) {
      return error;
    }
    throw error;
  }
  return undefined;
}

export const sharedMemory = memory;
