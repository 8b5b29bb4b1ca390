/** 64-bit mode as a loader enters it: the first 4 GiB mapped one to one with 2 MiB pages, and the control registers that go with it. */
import { CR0_ET, CR0_PE, type InitialRegisters } from './boot-state';

const CR0_PG = 0x80000000, CR4_PAE = 0x20;
/** LME and LMA. */
const EFER_LONG = 0x500;
const PRESENT_WRITABLE = 3, LARGE = 0x80;
const GIB = 4, PAGE = 4096, LARGE_PAGE = 0x200000;

export const LONG_MODE_REGISTERS: Pick<InitialRegisters, 'cr0' | 'cr4' | 'efer'> = { cr0: (CR0_PE | CR0_ET | CR0_PG) >>> 0, cr4: CR4_PAE, efer: EFER_LONG };

/** Bytes of the tables: a PML4, a page-directory-pointer table and four page directories, in this order. */
export const IDENTITY_MAP_BYTES = (2 + GIB) * PAGE;

export function identityMap(address: number): Uint8Array {
  const bytes = new Uint8Array(IDENTITY_MAP_BYTES);
  const view = new DataView(bytes.buffer);
  const entry = (at: number, value: number): void => view.setUint32(at, value >>> 0, true);
  entry(0, (address + PAGE) | PRESENT_WRITABLE);
  for (let n = 0; n < GIB; n++) entry(PAGE + 8 * n, (address + (2 + n) * PAGE) | PRESENT_WRITABLE);
  for (let n = 0; n < 512 * GIB; n++) entry(2 * PAGE + 8 * n, n * LARGE_PAGE + (PRESENT_WRITABLE | LARGE));
  return bytes;
}
