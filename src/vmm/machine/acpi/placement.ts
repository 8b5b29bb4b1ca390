/** The tables of the built-in firmware at the places that the memory map gives them. */
import { ACPI_ROOT_POINTER, FIRMWARE_TABLES, MP_CONFIGURATION } from '../loaders/memory-map';
import { mpConfiguration, type MpOptions } from './mp-table';
import { placedAcpiTables, type AcpiOptions } from './tables';

export interface PlacedTable {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export type FirmwareTableOptions = AcpiOptions & MpOptions;

/** Throws when they outgrow their places: a defect. */
export function firmwareTables(options: FirmwareTableOptions): readonly PlacedTable[] {
  const { tables, rootPointer } = placedAcpiTables(options, FIRMWARE_TABLES);
  const mp = mpConfiguration(options);
  if (FIRMWARE_TABLES + tables.length > MP_CONFIGURATION || MP_CONFIGURATION + mp.length > ACPI_ROOT_POINTER) {
    throw new RangeError(`firmware tables: ${tables.length} and ${mp.length} bytes are too many`);
  }
  return [{ address: FIRMWARE_TABLES, bytes: tables }, { address: MP_CONFIGURATION, bytes: mp }, { address: ACPI_ROOT_POINTER, bytes: rootPointer }];
}
