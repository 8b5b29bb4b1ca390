/**
 * The PDPTE registers of PAE paging (SDM Vol. 3, 4.4.1). They are loaded from the table that CR3 names when CR3 is loaded, and when CR0 or
 * CR4 bring the mode about or change certain bits in it; never by a page walk. What the guest writes to the table counts from the next load.
 */
import { Cr0, Cr4, Efer } from './bits';
import type { Cpu } from './cpu';
import { generalProtection } from './exceptions';

const PRESENT = 1;
/** Bits 2:1 and 8:5. */
const RESERVED_LOW = 0x1e6;

/** Whether control registers of these values mean PAE paging (and not the 4-level paging of long mode). */
export function usesPae(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & Cr0.PG) !== 0 && (cr4 & Cr4.PAE) !== 0 && !(efer & Efer.LMA);
}

/** Loads all four registers from the table of a CR3 value; #GP(0) when a present entry has reserved bits, and then none is changed. */
export function loadPdptes(cpu: Cpu, cr3: number): void {
  const reservedHigh = ~((1 << (cpu.model.physicalAddressBits - 32)) - 1);
  const table = (cr3 & ~0x1f) >>> 0;
  const loaded: number[] = [];
  for (let n = 0; n < 4; n++) {
    const low = cpu.hooks.readTable(table + 8 * n), high = cpu.hooks.readTable(table + 8 * n + 4);
    if ((low & PRESENT) !== 0 && ((low & RESERVED_LOW) !== 0 || (high & reservedHigh) !== 0)) {
      throw generalProtection(0, `PDPTE ${n} at physical address 0x${(table + 8 * n).toString(16)} is present and has reserved bits set`);
    }
    loaded.push(low, high);
  }
  cpu.state.pdptes.set(loaded);
}

/** CR3 gets a new value, by MOV or by a task switch. */
export function loadCr3(cpu: Cpu, value: number): void {
  const { state } = cpu;
  if (usesPae(state.cr0, state.cr4, state.efer)) loadPdptes(cpu, value);
  state.cr3 = value;
  cpu.pagingChanged('cr3');
}
