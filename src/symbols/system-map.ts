/** System.map, as a Linux kernel's build writes it and `nm` prints: one symbol a line, address, type letter, name. */
import type { KernelSymbol } from './kallsyms';

const line = /^([0-9a-fA-F]{8}|[0-9a-fA-F]{16}) ([A-Za-z?]) (\S+)$/;
const maximumSymbols = 1_000_000;

/** Undefined for a text with lines that are none of its. */
export function readSystemMap(bytes: Uint8Array): KernelSymbol[] | undefined {
  const symbols: KernelSymbol[] = [];
  for (const text of new TextDecoder().decode(bytes).split('\n')) {
    if (text.trim() === '') continue;
    const match = line.exec(text.trimEnd());
    if (!match || symbols.length >= maximumSymbols) return undefined;
    symbols.push({ address: BigInt(`0x${match[1]}`), name: match[3] });
  }
  return symbols.length > 0 ? symbols : undefined;
}
