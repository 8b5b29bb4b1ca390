/** Ends the run from inside the guest: a write of v to port 0xF4 gives the exit status 2v + 1, which is never 0. */
import type { Device, DeviceRegister, PortRange } from './device';

export const DEBUG_EXIT_PORT = 0xf4;

export class DebugExit implements Device {
  readonly id = 'debug-exit';
  readonly title = 'Debug exit';
  readonly registers: readonly DeviceRegister[] = [{ address: DEBUG_EXIT_PORT, name: 'Exit', description: 'Ends the run with status 2 × value + 1' }];
  readonly ports: readonly PortRange[] = [{
    first: DEBUG_EXIT_PORT, last: DEBUG_EXIT_PORT + 3,
    read: () => 0,
    // An exit status is a byte on every host.
    write: (port, value) => { if (port === DEBUG_EXIT_PORT) this.exit((((value & 0x7f) << 1) | 1) & 0xff); },
  }];

  constructor(private readonly exit: (status: number) => void) {}

  reset(): void { /* no state */ }

  save(): unknown {
    return null;
  }

  restore(): void { /* no state */ }
}
