/**
 * Power-off without ACPI tables at the port that Bochs and older QEMU use, 0xB004: SLP_EN (bit 13) with sleep type 0. Newer QEMU's, 0x604, is
 * the PM1 control port of acpi-pm.ts.
 */
import type { Device, DeviceRegister, PortRange } from './device';

const POWER_PORT = 0xb004;
const SLP_EN = 0x2000, SLP_TYP = 0x1c00;
/** SCI_EN, set by firmware that has handed power management over, and the bits that can be kept. */
const SCI_EN = 1, KEPT = SLP_TYP | SCI_EN;

export class Power implements Device {
  readonly id = 'power';
  readonly title = 'Power-off port';
  readonly registers: readonly DeviceRegister[] = [{
    address: POWER_PORT, bits: 16, name: 'PM1a control', description: 'A write of 2000h powers the machine off',
    fields: [{ name: 'SLP_EN', bit: 13, width: 1 }, { name: 'SLP_TYP', bit: 10, width: 3 }, { name: 'SCI_EN', bit: 0, width: 1 }],
  }];
  readonly ports: readonly PortRange[] = [{
    first: POWER_PORT, last: POWER_PORT + 1,
    read: (port, size) => (this.control >> (8 * (port - POWER_PORT))) & (size === 1 ? 0xff : 0xffff),
    write: (port, value, size) => this.write(port - POWER_PORT, value, size),
  }];

  private control = 0;

  constructor(private readonly powerOff: () => void) {}

  private write(offset: number, value: number, size: number): void {
    const written = offset === 0 && size > 1 ? value & 0xffff : offset === 0 ? (this.control & 0xff00) | (value & 0xff) : (this.control & 0xff) | (value & 0xff) << 8;
    this.control = written & KEPT;
    if (written & SLP_EN && (written & SLP_TYP) === 0) this.powerOff();
  }

  registerValues(): readonly number[] {
    return [this.control];
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
