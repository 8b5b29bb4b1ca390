/** The physical memory map of the board, in one place for INT 15h E820 and for multiboot. */

export const EBDA_BYTES = 1024;
/** Conventional memory ends below the extended BIOS data area. */
export const CONVENTIONAL_END = 0xa0000 - EBDA_BYTES;
export const EBDA = CONVENTIONAL_END;

export interface MemoryRange {
  readonly base: number;
  readonly bytes: number;
  /** ACPI address range types: 1 RAM, 2 reserved. */
  readonly type: 1 | 2;
}

/** @param ramBytes at least 1 MiB: what lies above 1 MiB is extended memory. */
export function memoryMap(ramBytes: number): readonly MemoryRange[] {
  const map: MemoryRange[] = [
    { base: 0, bytes: CONVENTIONAL_END, type: 1 },
    { base: EBDA, bytes: EBDA_BYTES, type: 2 },
    { base: 0xf0000, bytes: 0x10000, type: 2 },
  ];
  if (ramBytes > 0x100000) map.push({ base: 0x100000, bytes: ramBytes - 0x100000, type: 1 });
  return map;
}
