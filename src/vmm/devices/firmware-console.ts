/** The debug console that BIOSes for emulators write to (SeaBIOS's, port 0x402): its lines go to the log. Reading the port answers that it is there. */
import { DEBUG_PORT } from './debug-port';
import type { Device, DeviceRegister, PortRange } from './device';

export const FIRMWARE_CONSOLE_PORT = 0x402;
const LINE_MAX = 1000;

export class FirmwareConsole implements Device {
  readonly id = 'firmware-console';
  readonly title = 'Firmware debug console';
  readonly registers: readonly DeviceRegister[] = [{ address: FIRMWARE_CONSOLE_PORT, name: 'Console', description: 'Byte of a line; reads E9h' }];
  readonly ports: readonly PortRange[] = [{
    first: FIRMWARE_CONSOLE_PORT, last: FIRMWARE_CONSOLE_PORT,
    read: () => DEBUG_PORT,
    write: (_port, value) => this.write(value & 0xff),
  }];

  private line = '';

  constructor(private readonly log: (line: string) => void) {}

  private write(byte: number): void {
    if (byte === 0x0a || this.line.length === LINE_MAX) {
      const { line } = this;
      this.line = '';
      if (line !== '') this.log(`BIOS: ${line}`);
    }
    if (byte >= 0x20) this.line += String.fromCharCode(byte);
  }

  registerValues(): readonly undefined[] {
    return [undefined];
  }

  reset(): void {
    this.line = '';
  }

  save(): unknown {
    return this.line;
  }

  restore(state: unknown): void {
    this.line = state as string;
  }
}
