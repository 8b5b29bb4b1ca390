/** What the firmware configuration device tells: memory, processors, the order of drives, and the ACPI tables. */
import { FwCfgItem, type FirmwareFile } from '../devices/fw-cfg';
import { acpiFirmwareFiles, type AcpiOptions } from './acpi/tables';

const RAM = 1;

function number(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, n) => Math.floor(value / 2 ** (8 * n)) & 0xff);
}

export function firmwareItems(ramBytes: number, processors: number): Map<number, Uint8Array> {
  return new Map([
    [FwCfgItem.ramBytes, number(ramBytes, 8)], [FwCfgItem.processors, number(processors, 2)], [FwCfgItem.mostProcessors, number(processors, 2)],
    // No menu, and no waiting for a key that opens one.
    [FwCfgItem.bootMenu, number(0, 2)],
  ]);
}

/** OpenFirmware paths of the drives. */
const drivePaths = {
  floppy: '/pci@i0cf8/isa@1/fdc@03f0/floppy@0', hardDisk: '/pci@i0cf8/ide@1,1/drive@0/disk@0', cdrom: '/pci@i0cf8/ide@1,1/drive@1/disk@0',
} as const;

export function firmwareFiles(ramBytes: number, bootOrder: readonly (keyof typeof drivePaths)[], acpi: AcpiOptions): FirmwareFile[] {
  const order = `${bootOrder.map((drive) => drivePaths[drive]).join('\n')}\0`;
  return [
    { name: 'bootorder', bytes: Uint8Array.from(order, (c) => c.charCodeAt(0)) },
    { name: 'etc/e820', bytes: Uint8Array.of(...number(0, 8), ...number(ramBytes, 8), ...number(RAM, 4)) },
    ...acpiFirmwareFiles(acpi),
  ];
}
