/** Constants that vector instructions look up by their immediate: byte shuffles, which WebAssembly wants fixed or in a vector. */

const tables = {
  /** PSHUFD, SHUFPS: four doublewords by two bits each. */
  shuffleDoublewords: (control: number): number[] => selection(4, 4, control),
  /** PSHUFLW, PSHUFW: four words by two bits each, the upper half as it is. */
  shuffleLowWords: (control: number): number[] => [...selection(4, 2, control), 8, 9, 10, 11, 12, 13, 14, 15],
  /** PSHUFHW. */
  shuffleHighWords: (control: number): number[] => [0, 1, 2, 3, 4, 5, 6, 7, ...selection(4, 2, control).map((byte) => byte + 8)],
  /** Remainders of a byte by the Castagnoli polynomial, reflected; CRC32 uses the low doubleword. */
  crc32c: (byte: number): number[] => {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
    return [0, 8, 16, 24].map((shift) => (remainder >>> shift) & 0xff);
  },
} as const;
export type VectorTable = keyof typeof tables;
const names = Object.keys(tables) as VectorTable[];
const ENTRIES = 256, ENTRY_BYTES = 16;

function selection(elements: number, bytes: number, control: number): number[] {
  return Array.from({ length: elements * bytes }, (_, i) => ((control >> (2 * Math.floor(i / bytes))) & 3) * bytes + (i % bytes));
}

/** Sixteen bytes of a table. */
export function vectorTableEntry(table: VectorTable, index: number): readonly number[] {
  const bytes = tables[table](index);
  return [...bytes, ...new Array<number>(ENTRY_BYTES - bytes.length).fill(0)];
}

/** Where a table begins behind VECTOR_TABLES. */
export function vectorTableOffset(table: VectorTable): number {
  return names.indexOf(table) * ENTRIES * ENTRY_BYTES;
}

/** Writes them where threaded code looks. */
export function writeVectorTables(bytes: Uint8Array, at: number): void {
  for (const name of names) {
    for (let control = 0; control < ENTRIES; control++) bytes.set(tables[name](control), at + vectorTableOffset(name) + control * ENTRY_BYTES);
  }
}
