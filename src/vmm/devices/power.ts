/**
 * Power-off without ACPI tables: the PM1a control ports that emulators use, 0x604 (QEMU) and 0xB004 (Bochs, older QEMU). SLP_EN (bit 13) with sleep type 0 powers off.
 */
import type { Device, DeviceRegister, PortRange } from './device';

const POWER_PORTS = [0x604, 0xb004] as const;
const SLP_EN = 0x2000, SLP_TYP = 0x1c00;
/** SCI_EN, set by firmware that has handed power management over, and the bits that can be kept. */
const SCI_EN = 1, KEPT = SLP_TYP | SCI_EN;

export class Power implements Device {
  readonly id = 'power';
  readonly title = 'Power management';
  readonly registers: readonly DeviceRegister[] = POWER_PORTS.map((address) => ({
    address, bits: 16, name: 'PM1a control', description: 'A write of 2000h powers the machine off',
    fields: [{ name: 'SLP_EN', bit: 13, width: 1 }, { name: 'SLP_TYP', bit: 10, width: 3 }, { name: 'SCI_EN', bit: 0, width: 1 }],
  }));
  readonly ports: readonly PortRange[] = POWER_PORTS.map((first) => ({
    first, last: first + 1,
    read: (port: number, size: number) => (this.control >> (8 * (port - first))) & (size === 1 ? 0xff : 0xffff),
    write: (port: number, value: number, size: number) => this.write(port - first, value, size),
  }));

  private control = 0;

  constructor(private readonly powerOff: () => void) {}

  private write(offset: number, value: number, size: number): void {
    const written = offset === 0 && size > 1 ? value & 0xffff : offset === 0 ? (this.control & 0xff00) | (value & 0xff) : (this.control & 0xff) | (value & 0xff) << 8;
    this.control = written & KEPT;
    if (written & SLP_EN && (written & SLP_TYP) === 0) this.powerOff();
  }

  registerValues(): readonly number[] {
    return POWER_PORTS.map(() => this.control);
  }

  reset(): void {
    this.control = 0;
  }

  save(): unknown {
    return this.control;
  }

  restore(state: unknown): void {
    this.control = state as number;
  }
}
