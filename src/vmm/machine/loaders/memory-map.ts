/** The physical memory map of the board, in one place for INT 15h E820 and for multiboot. */

export const EBDA_BYTES = 1024;
/** Conventional memory ends below the extended BIOS data area. */
export const CONVENTIONAL_END = 0xa0000 - EBDA_BYTES;
export const EBDA = CONVENTIONAL_END;

/**
 * The built-in firmware's tables, in shadow RAM below the ROM: a page of memory that ACPI shares with the system, the ACPI tables, the
 * MultiProcessor table, and ACPI's root pointer.
 */
export const FIRMWARE_TABLES = 0xe0000, FIRMWARE_TABLES_BYTES = 0x10000;
export const FIRMWARE_NVS_BYTES = 0x1000;
export const MP_CONFIGURATION = 0xee000, ACPI_ROOT_POINTER = 0xeffc0;

export interface MemoryRange {
  readonly base: number;
  readonly bytes: number;
  /** ACPI address range types: 1 RAM, 2 reserved, 3 ACPI tables, 4 memory that ACPI firmware uses. */
  readonly type: 1 | 2 | 3 | 4;
}

/** @param ramBytes at least 1 MiB: what lies above 1 MiB is extended memory. */
export function memoryMap(ramBytes: number): readonly MemoryRange[] {
  const map: MemoryRange[] = [
    { base: 0, bytes: CONVENTIONAL_END, type: 1 },
    { base: EBDA, bytes: EBDA_BYTES, type: 2 },
    { base: FIRMWARE_TABLES, bytes: FIRMWARE_NVS_BYTES, type: 4 },
    { base: FIRMWARE_TABLES + FIRMWARE_NVS_BYTES, bytes: FIRMWARE_TABLES_BYTES - FIRMWARE_NVS_BYTES, type: 3 },
    { base: 0xf0000, bytes: 0x10000, type: 2 },
  ];
  if (ramBytes > 0x100000) map.push({ base: 0x100000, bytes: ramBytes - 0x100000, type: 1 });
  return map;
}
