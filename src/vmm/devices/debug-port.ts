/** The debug console of emulators: each byte written to port 0xE9 is text for the person in front; reading 0xE9 answers that it is there. */
import type { Device, DeviceRegister, PortRange } from './device';

export const DEBUG_PORT = 0xe9;

export class DebugPort implements Device {
  readonly id = 'debug-port';
  readonly title = 'Debug port';
  readonly registers: readonly DeviceRegister[] = [{ address: DEBUG_PORT, name: 'Debug console', description: 'Byte to print; reads E9h' }];
  readonly ports: readonly PortRange[] = [{
    first: DEBUG_PORT, last: DEBUG_PORT,
    read: () => DEBUG_PORT,
    write: (_port, value, size) => this.output(Uint8Array.from({ length: size }, (_, n) => value >>> (8 * n))),
  }];

  constructor(private readonly output: (bytes: Uint8Array) => void) {}

  reset(): void { /* no state */ }

  save(): unknown {
    return null;
  }

  restore(): void { /* no state */ }
}
