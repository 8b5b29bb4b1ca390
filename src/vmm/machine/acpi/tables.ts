/**
 * The ACPI tables of the board (ACPI 6.5, chapter 5): root pointer, RSDT and XSDT, FADT with its FACS and DSDT, MADT and HPET. Addresses are filled
 * in when the tables are placed.
 */
import { ACPI_DISABLE, ACPI_ENABLE, PM, PM_BASE, SMI_COMMAND } from '../../devices/acpi-pm';
import type { FirmwareFile } from '../../devices/fw-cfg';
import { HPET_BASE, HPET_CAPABILITIES } from '../../devices/hpet';
import { IO_APIC_BASE } from '../../devices/io-apic';
import { LOCAL_APIC_BASE } from '../../devices/local-apic';
import { CMOS } from '../../devices/rtc';
import { ioApicInput, SCI_IRQ } from '../interrupt-routing';
import { FIRMWARE_NVS_BYTES } from '../loaders/memory-map';
import { definitionBlock, type DsdtOptions } from './dsdt';
import { LoaderScript, TableFile, Zone } from './table-file';

export type AcpiOptions = DsdtOptions;

const OEM_ID = 'RINGSD', OEM_TABLE_ID = 'RINGSIDE', OEM_REVISION = 1, CREATOR_ID = 'RING', CREATOR_REVISION = 1;
const HEADER_BYTES = 36, CHECKSUM_AT = 9, FACS_BYTES = 64;
/** Interrupt flags of MADT and MP tables: active high (01b) or low (11b); level-triggered is 11b in bits 3:2. */
const LEVEL_ACTIVE_HIGH = 0x0d;

/** Fields appended one after another, little-endian. */
class Fields {
  readonly bytes: number[] = [];

  get length(): number {
    return this.bytes.length;
  }

  put(width: 1 | 2 | 4 | 8, ...values: readonly number[]): this {
    for (const value of values) for (let n = 0; n < width; n++) this.bytes.push(Math.floor(value / 2 ** (8 * n)) & 0xff);
    return this;
  }

  text(value: string): this {
    for (const c of value) this.bytes.push(c.charCodeAt(0));
    return this;
  }

  /** Generic address structure: memory (0) or ports (1), width in bits, access size in its encoding. */
  address(space: 0 | 1, bits: number, access: number, address: number): this {
    return this.put(1, space, bits, 0, access).put(8, address);
  }
}

function addTable(file: TableFile, signature: string, revision: number, body: Fields): number {
  const header = new Fields().text(signature).put(4, HEADER_BYTES + body.length).put(1, revision, 0).text(OEM_ID).text(OEM_TABLE_ID).put(4, OEM_REVISION).text(CREATOR_ID).put(4, CREATOR_REVISION);
  const at = file.add([...header.bytes, ...body.bytes], 16);
  file.checksum(at + CHECKSUM_AT, at, HEADER_BYTES + body.length);
  return at;
}

/** Desktop profile; PM timer of 24 bits; power button as fixed hardware, no sleep button; reset by port CF9h. */
function addFadt(file: TableFile, facs: number, dsdt: number): number {
  const NO_C2 = 0x0fff, PROFILE_DESKTOP = 1;
  const LEGACY_DEVICES = 1, HAS_8042 = 2;
  const WBINVD = 1, C1_SUPPORTED = 4, NO_SLEEP_BUTTON = 0x20, RTC_WAKE_ABSENT = 0x40, RESET_REGISTER = 0x400;
  const RESET_PORT = 0xcf9, RESET_VALUE = 6;
  const body = new Fields()
    .put(4, 0, 0).put(1, 0, PROFILE_DESKTOP).put(2, SCI_IRQ).put(4, SMI_COMMAND).put(1, ACPI_ENABLE, ACPI_DISABLE, 0, 0)
    .put(4, PM_BASE + PM.status, 0, PM_BASE + PM.control, 0, 0, PM_BASE + PM.timer, PM_BASE + PM.gpe, 0)
    .put(1, 4, 2, 0, 4, 4, 0, 0, 0).put(2, NO_C2, NO_C2, 0, 0).put(1, 0, 0, 0, 0, CMOS.century).put(2, LEGACY_DEVICES | HAS_8042).put(1, 0)
    .put(4, WBINVD | C1_SUPPORTED | NO_SLEEP_BUTTON | RTC_WAKE_ABSENT | RESET_REGISTER)
    .address(1, 8, 1, RESET_PORT).put(1, RESET_VALUE).put(2, 0).put(1, 0)
    .put(8, 0, 0)
    .address(1, 32, 2, PM_BASE + PM.status).address(0, 0, 0, 0).address(1, 16, 2, PM_BASE + PM.control).address(0, 0, 0, 0).address(0, 0, 0, 0)
    .address(1, 32, 3, PM_BASE + PM.timer).address(1, 32, 1, PM_BASE + PM.gpe).address(0, 0, 0, 0);
  const at = addTable(file, 'FACP', 4, body);
  file.pointer(at + 36, 4, facs);
  file.pointer(at + 40, 4, dsdt);
  file.pointer(at + 140, 8, dsdt);
  return at;
}

function addMadt(file: TableFile, { processors }: AcpiOptions): number {
  const PCAT_COMPATIBLE = 1, ENABLED = 1, EVERY_PROCESSOR = 0xff, NMI_PIN = 1;
  const body = new Fields().put(4, LOCAL_APIC_BASE, PCAT_COMPATIBLE);
  for (let n = 0; n < processors; n++) body.put(1, 0, 8, n, n).put(4, ENABLED);
  // The I/O APIC's identifier follows those of the processors.
  body.put(1, 1, 12, processors, 0).put(4, IO_APIC_BASE, 0);
  const override = (irq: number, flags: number): void => { body.put(1, 2, 10, 0, irq).put(4, ioApicInput(irq)).put(2, flags); };
  override(0, 0);
  override(SCI_IRQ, LEVEL_ACTIVE_HIGH);
  body.put(1, 4, 6, EVERY_PROCESSOR).put(2, 0).put(1, NMI_PIN);
  return addTable(file, 'APIC', 3, body);
}

function addHpet(file: TableFile): number {
  return addTable(file, 'HPET', 1, new Fields().put(4, HPET_CAPABILITIES).address(0, 64, 0, HPET_BASE).put(1, 0).put(2, 0x80).put(1, 0));
}

export interface AcpiTables {
  /** FACS first, in a page of its own: the only table that is written to. */
  readonly tables: TableFile;
  /** Offsets in the file. */
  readonly rsdt: number;
  readonly xsdt: number;
}

const RSDP_BYTES = 36, RSDP_FIRST_BYTES = 20;

export function acpiTables(options: AcpiOptions): AcpiTables {
  const file = new TableFile();
  const facs = file.add([...new Fields().text('FACS').put(4, FACS_BYTES).bytes, ...new Array<number>(FACS_BYTES - 8).fill(0)], 64);
  file.add(new Uint8Array(FIRMWARE_NVS_BYTES - FACS_BYTES));
  const block = new Fields();
  // Revision 2: integers have 64 bits.
  block.bytes.push(...definitionBlock(options));
  const dsdt = addTable(file, 'DSDT', 2, block);
  const tables = [addFadt(file, facs, dsdt), addMadt(file, options), addHpet(file)];
  const root = (signature: string, width: 4 | 8): number => {
    const at = addTable(file, signature, 1, new Fields().put(width, ...tables.map(() => 0)));
    tables.forEach((table, n) => file.pointer(at + HEADER_BYTES + width * n, width, table));
    return at;
  };
  return { tables: file, rsdt: root('RSDT', 4), xsdt: root('XSDT', 8) };
}

/** The root system description pointer, revision 2. `checked`: with its checksums. */
function rootPointer(rsdt: number, xsdt: number, checked: boolean): Uint8Array {
  const bytes = Uint8Array.from(new Fields().text('RSD PTR ').put(1, 0).text(OEM_ID).put(1, 2).put(4, rsdt, RSDP_BYTES).put(8, xsdt).put(1, 0, 0, 0, 0).bytes);
  const sum = (length: number): number => -bytes.subarray(0, length).reduce((total, byte) => total + byte, 0);
  if (checked) {
    bytes[8] = sum(RSDP_FIRST_BYTES);
    bytes[32] = sum(RSDP_BYTES);
  }
  return bytes;
}

/** Tables at an address, and the pointer that leads to them. */
export function placedAcpiTables(options: AcpiOptions, address: number): { readonly rootPointer: Uint8Array; readonly tables: Uint8Array } {
  const { tables, rsdt, xsdt } = acpiTables(options);
  return { rootPointer: rootPointer(address + rsdt, address + xsdt, true), tables: tables.placed(address) };
}

const TABLES_FILE = 'etc/acpi/tables', ROOT_FILE = 'etc/acpi/rsdp', LOADER_FILE = 'etc/table-loader';

/** Files for fw_cfg: a user's BIOS places the tables itself. */
export function acpiFirmwareFiles(options: AcpiOptions): readonly FirmwareFile[] {
  const { tables, rsdt, xsdt } = acpiTables(options);
  const script = new LoaderScript();
  script.allocate(TABLES_FILE, 64, Zone.high);
  for (const { at, width } of tables.pointers) script.addPointer(TABLES_FILE, TABLES_FILE, at, width);
  for (const { at, first, length } of tables.checksums) script.addChecksum(TABLES_FILE, at, first, length);
  script.allocate(ROOT_FILE, 16, Zone.firmwareSegment);
  script.addPointer(ROOT_FILE, TABLES_FILE, 16, 4);
  script.addPointer(ROOT_FILE, TABLES_FILE, 24, 8);
  script.addChecksum(ROOT_FILE, 8, 0, RSDP_FIRST_BYTES);
  script.addChecksum(ROOT_FILE, 32, 0, RSDP_BYTES);
  return [
    { name: TABLES_FILE, bytes: tables.relative() }, { name: ROOT_FILE, bytes: rootPointer(rsdt, xsdt, false) }, { name: LOADER_FILE, bytes: script.bytes },
  ];
}
