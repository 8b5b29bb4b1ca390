/**
 * What every drive on an IDE cable has: the task file, the phases of a command, and the buffer behind the data register (ATA/ATAPI-6, T13/1410D, chapters 6, 7 and 9).
 * A command makes the drive busy, and a moment of virtual time later it is carried out; what goes on then is plain data in {@link DriveState}, so that a drive can be
 * saved at any moment.
 */
import type { Clock, TimerHandle } from '../device';

export const Status = { busy: 0x80, ready: 0x40, fault: 0x20, seekComplete: 0x10, request: 0x08, error: 0x01 } as const;
export const DriveError = { aborted: 0x04, idNotFound: 0x10, uncorrectable: 0x40 } as const;

const COMMAND_MICROSECONDS = 10, BLOCK_MICROSECONDS = 2;

/** What a busy drive does next. */
export type Step = 'command' | 'blockRead' | 'blockWritten' | 'packet' | 'dma';

/** Registers that exist twice: the value written last and the one before it, for 48-bit addresses. */
export type Fifo = [current: number, previous: number];

export interface DriveState {
  error: number;
  features: Fifo;
  count: Fifo;
  low: Fifo;
  mid: Fifo;
  high: Fifo;
  device: number;
  status: number;
  command: number;
  interrupt: boolean;
  step: Step | undefined;
  /** Instruction count at which the step is due. */
  due: number;
  /** Bytes behind the data register, and how far the host has come. */
  buffer: Uint8Array;
  position: number;
  direction: 'in' | 'out';
}

/** The cable: the channel that the drive hangs on. */
export interface Cable {
  readonly clock: Clock;
  /** The drive's INTRQ changed. */
  interruptChanged(): void;
  /** The drive is ready for a DMA transfer; the answer comes by {@link IdeDrive.transfer} once the bus master has been started. */
  requestDma(): void;
}

export abstract class IdeDrive<Extra extends object> {
  state: DriveState & Extra;
  private timer: TimerHandle | undefined;

  constructor(protected readonly cable: Cable, private readonly extra: () => Extra) {
    this.state = { ...blankState(), ...extra() };
  }

  /** Carries out the command in the task file. */
  protected abstract execute(command: number): void;
  /** The host has emptied the buffer (direction in) or filled it (direction out). */
  protected abstract bufferDone(): void;
  /** Goes on after a busy moment; `dma` comes from the bus master. */
  protected abstract continueWith(step: Step): void;
  /** Moves the data of the pending DMA command through memory chunks as `bus` gives them. */
  abstract transfer(bus: DmaPort): void;
  /** Registers after a reset, by which software tells disks from packet devices. */
  protected abstract signature(): void;

  // ---- the channel's side ----

  writeCommand(command: number): void {
    const s = this.state;
    if (s.status & Status.busy) return;
    s.command = command;
    s.error = 0;
    this.setInterrupt(false);
    this.later('command', COMMAND_MICROSECONDS);
  }

  readData(size: 1 | 2 | 4): number {
    const s = this.state;
    if (!(s.status & Status.request) || s.direction !== 'in') return 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= (s.position < s.buffer.length ? s.buffer[s.position++] : 0) << (8 * i);
    if (s.position >= s.buffer.length) this.bufferDone();
    return value >>> 0;
  }

  writeData(value: number, size: 1 | 2 | 4): void {
    const s = this.state;
    if (!(s.status & Status.request) || s.direction !== 'out') return;
    for (let i = 0; i < size && s.position < s.buffer.length; i++) s.buffer[s.position++] = (value >>> (8 * i)) & 0xff;
    if (s.position >= s.buffer.length) this.bufferDone();
  }

  /** Software or hardware reset, and DEVICE RESET. */
  reset(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const { device } = this.state;
    this.state = { ...blankState(), ...this.extra(), device: device & 0x10 };
    this.signature();
    this.cable.interruptChanged();
  }

  /** Held in reset: busy until {@link reset}. */
  hold(): void {
    this.reset();
    this.state.status = Status.busy;
  }

  setInterrupt(level: boolean): void {
    if (this.state.interrupt === level) return;
    this.state.interrupt = level;
    this.cable.interruptChanged();
  }

  // ---- for the drives ----

  /** Busy until the step. */
  protected later(step: Step, microseconds: number = BLOCK_MICROSECONDS): void {
    const s = this.state;
    s.status = Status.busy;
    s.step = step;
    s.due = this.cable.clock.now() + Math.ceil((microseconds * this.cable.clock.instructionsPerSecond) / 1e6);
    this.schedule();
  }

  private schedule(): void {
    this.timer?.cancel();
    this.timer = this.cable.clock.schedule(this.state.due, () => {
      this.timer = undefined;
      const { step } = this.state;
      this.state.step = undefined;
      if (step === 'command') this.execute(this.state.command);
      else if (step !== undefined) this.continueWith(step);
    });
  }

  protected done(): void {
    this.state.status = Status.ready | Status.seekComplete;
    this.setInterrupt(true);
  }

  protected fail(error: number): void {
    this.state.error = error;
    this.state.status = Status.ready | Status.seekComplete | Status.error;
    this.setInterrupt(true);
  }

  /** Offers bytes to the host. */
  protected offer(bytes: Uint8Array): void {
    this.openBuffer(bytes, 'in');
    this.setInterrupt(true);
  }

  /** Wants so many bytes from the host. */
  protected want(bytes: number, interrupt: boolean): void {
    this.openBuffer(new Uint8Array(bytes), 'out');
    if (interrupt) this.setInterrupt(true);
  }

  private openBuffer(buffer: Uint8Array, direction: 'in' | 'out'): void {
    Object.assign(this.state, { buffer, direction, position: 0, status: Status.ready | Status.seekComplete | Status.request });
  }

  /** The bus master calls {@link transfer} as soon as software has started it. */
  protected awaitDma(): void {
    this.state.status = Status.ready | Status.seekComplete | Status.request;
    this.state.step = 'dma';
    this.cable.requestDma();
  }

  /** Byte arrays as lists of numbers. */
  save(): unknown {
    return JSON.parse(JSON.stringify(this.state, (_key, value: unknown) => (value instanceof Uint8Array ? { bytes: [...value] } : value)));
  }

  restore(state: unknown): void {
    this.timer?.cancel();
    this.timer = undefined;
    const plain = JSON.stringify({ step: undefined, ...state as object });
    this.state = JSON.parse(plain, (_key, value: unknown) => {
      const bytes = (value as { bytes?: number[] } | null)?.bytes;
      return bytes ? Uint8Array.from(bytes) : value;
    }) as DriveState & Extra;
    if (this.state.step === 'dma') this.cable.requestDma();
    else if (this.state.step !== undefined) this.schedule();
  }
}

/** The bus master as a drive sees it: memory in the pieces that software's table describes. */
export interface DmaPort {
  /** Bytes that the table has room for, from memory or to memory. Fewer than asked when the table ends. */
  read(bytes: number): Uint8Array;
  /** How many bytes went to memory. */
  write(bytes: Uint8Array): number;
}

function blankState(): DriveState {
  return {
    error: 1, features: [0, 0], count: [1, 0], low: [1, 0], mid: [0, 0], high: [0, 0], device: 0, status: Status.ready | Status.seekComplete, command: 0, interrupt: false,
    step: undefined, due: 0, buffer: new Uint8Array(0), position: 0, direction: 'in',
  };
}
