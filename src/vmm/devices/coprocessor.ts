/**
 * The PC's way of reporting x87 exceptions (CR0.NE = 0, "MS-DOS compatible": SDM Vol. 1, appendix D): FERR# becomes IRQ 13, and a write to port F0h
 * by its handler takes the request back and asserts IGNNE#, so that the processor goes on, until the exception is cleared.
 */
import type { Device, DeviceRegister, Line, PortRange } from './device';

const CLEAR_BUSY = 0xf0, RESET_COPROCESSOR = 0xf1;

export class Coprocessor implements Device {
  readonly id = 'coprocessor';
  readonly title = 'Coprocessor interface';
  readonly registers: readonly DeviceRegister[] = [
    { address: CLEAR_BUSY, name: 'Clear coprocessor busy', description: 'A write takes IRQ 13 back and lets the processor go on' },
    { address: RESET_COPROCESSOR, name: 'Reset coprocessor', description: 'As port F0h; the 80287 was reset by it' },
  ];
  readonly ports: readonly PortRange[] = [{
    first: CLEAR_BUSY, last: RESET_COPROCESSOR,
    read: () => 0xff,
    write: () => {
      this.irq(false);
      this.ignoring = this.waiting;
    },
  }];

  /** FERR# is active. */
  private waiting = false;
  /** IGNNE# is asserted. */
  private ignoring = false;

  constructor(private readonly irq: Line) {}

  /** FERR#. True when IGNNE# answers it. */
  error(): boolean {
    if (this.ignoring) return true;
    this.waiting = true;
    this.irq(true);
    return false;
  }

  errorCleared(): void {
    this.waiting = false;
    this.ignoring = false;
    this.irq(false);
  }

  registerValues(): readonly undefined[] {
    return [undefined, undefined];
  }

  reset(): void {
    this.errorCleared();
  }

  save(): unknown {
    return { waiting: this.waiting, ignoring: this.ignoring };
  }

  restore(state: unknown): void {
    ({ waiting: this.waiting, ignoring: this.ignoring } = state as { waiting: boolean; ignoring: boolean });
  }
}
