/** Symbols of a running Linux kernel, found in the guest's memory (symbols/kallsyms.ts), and kernel symbols as the source map has them. */
import type { MachineClient } from '../protocol/client';
import type { RegisterSnapshot } from '../protocol/messages';
import { hasTokens, readKallsyms, tablesBefore, tablesBehind, tokenPattern } from '../symbols/kallsyms';
import type { KernelSymbol } from '../symbols/kallsyms';
import type { SymbolRow } from './source-map';

const PAGING = 0x8000_0000, LONG_MODE_ACTIVE = 0x400;
/** The kernel's half begins here, or above, in 32-bit Linux (VMSPLIT_1G …). */
const lowestKernel = 0x4000_0000;
/** Bytes around the pattern that tell whether it stands in a token table, and candidates that are looked at. */
const around = 0x4000, mostCandidates = 100;

/** Undefined when there is no Linux kernel at work, or none that keeps its symbols. */
export async function kernelSymbols(client: MachineClient, { cr0, efer, cpl }: RegisterSnapshot): Promise<readonly SymbolRow[] | undefined> {
  if (cpl !== 0 || (cr0 & PAGING) === 0) return undefined;
  const wordBytes = efer & LONG_MODE_ACTIVE ? 8 : 4;
  const read = async (address: number, count: number): Promise<Uint8Array> => (await client.request('readMemory', { space: 'physical', address, count })).bytes;
  for (const found of await client.request('findBytes', { pattern: tokenPattern, from: 0, most: mostCandidates })) {
    // Page aligned: the tables are aligned in memory, and are taken as aligned in these bytes.
    const page = Math.floor(found / 4096) * 4096;
    const near = Math.max(0, page - around);
    if (!hasTokens({ bytes: await read(near, 2 * around), tokensAt: found - near, wordBytes })) continue;
    const start = Math.max(0, page - tablesBefore);
    const symbols = readKallsyms({ bytes: await read(start, tablesBefore + tablesBehind), tokensAt: found - start, wordBytes });
    if (symbols) return symbolRows(symbols);
  }
  return undefined;
}

/** Places in the kernel's half; what is left are numbers and offsets in areas of processors. */
export function symbolRows(symbols: readonly KernelSymbol[]): SymbolRow[] {
  return symbols.filter(({ address }) => address >= lowestKernel).map(({ name, address }) => ({ name, linear: Number(BigInt.asUintN(48, address)) }));
}
