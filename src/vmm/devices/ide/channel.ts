/**
 * One IDE channel: the cable with its two drives, the command and control block registers that both drives listen to, and the channel's half of the bus master (Intel
 * "Programming Interface for Bus Master IDE Controller" 1.0).
 */
import type { AccessSize, Clock, Line, PhysicalBytes } from '../device';
import { Status, type Cable, type DmaPort, type DriveState, type Fifo, type IdeDrive } from './drive';

export type AnyDrive = IdeDrive<object>;
export type MakeDrive = (cable: Cable) => AnyDrive;

const SECOND = 0x10;
const CONTROL_NO_INTERRUPT = 2, CONTROL_RESET = 4, CONTROL_HIGH = 0x80;
const BM_START = 1, BM_TO_MEMORY = 8;
const BM_ACTIVE = 1, BM_ERROR = 2, BM_INTERRUPT = 4, BM_CAPABLE = 0x60;
const DIAGNOSTIC = 0x90, DEVICE_RESET = 0x08;
/** A table lies within 64 KiB; longer ones would wrap. */
const TABLE_ENTRIES_MAX = 8192;

const fifos: Readonly<Record<number, keyof Pick<DriveState, 'features' | 'count' | 'low' | 'mid' | 'high'>>> = { 1: 'features', 2: 'count', 3: 'low', 4: 'mid', 5: 'high' };

interface ChannelState {
  control: number;
  selected: 0 | 1;
  /** Bus master registers. */
  command: number;
  status: number;
  table: number;
}

export interface ChannelOptions {
  readonly clock: Clock;
  readonly memory: PhysicalBytes;
  readonly irq: Line;
  readonly drives: readonly [MakeDrive | undefined, MakeDrive | undefined];
  /** Whether the function may master the bus. */
  isMaster(): boolean;
}

export class IdeChannel {
  private readonly drives: readonly (AnyDrive | undefined)[];
  private state: ChannelState = { control: 0, selected: 0, command: 0, status: 0, table: 0 };
  private line = false;

  constructor(private readonly options: ChannelOptions) {
    this.drives = options.drives.map((make, n) => make?.({
      clock: options.clock,
      interruptChanged: () => this.updateInterrupt(),
      requestDma: () => {
        if (this.state.selected === n) this.runDma();
      },
    }));
  }

  private get drive(): AnyDrive | undefined {
    return this.drives[this.state.selected];
  }

  // ---- command block, offsets 0–7 ----

  readData(size: AccessSize): number {
    return this.drive?.readData(size) ?? 0;
  }

  writeData(value: number, size: AccessSize): void {
    this.drive?.writeData(value, size);
  }

  /** A drive that is not there answers zeros. */
  read(register: number): number {
    const { drive } = this;
    if (drive === undefined) return 0;
    const s = drive.state;
    if (register === 7) {
      drive.setInterrupt(false);
      return s.status;
    }
    if (register === 1) return s.error;
    if (register === 6) return s.device | 0xa0;
    return s[fifos[register]][this.state.control & CONTROL_HIGH ? 1 : 0];
  }

  write(register: number, value: number): void {
    const { state } = this;
    state.control &= ~CONTROL_HIGH;
    if (register === 7) {
      this.command(value);
      return;
    }
    // Both drives listen; a busy one does not.
    for (const drive of this.drives) {
      if (drive === undefined || drive.state.status & Status.busy) continue;
      if (register === 6) drive.state.device = value;
      else {
        const fifo: Fifo = drive.state[fifos[register]];
        drive.state[fifos[register]] = [value, fifo[0]];
      }
    }
    if (register === 6) {
      state.selected = value & SECOND ? 1 : 0;
      this.updateInterrupt();
    }
  }

  private command(code: number): void {
    const { drive } = this;
    if (code === DIAGNOSTIC) {
      for (const each of this.drives) each?.reset();
      this.state.selected = 0;
      for (const each of this.drives) if (each) each.state.device = 0;
      this.drives[0]?.setInterrupt(true);
      return;
    }
    if (code === DEVICE_RESET && drive !== undefined && drive.state.mid[0] === 0x14) drive.reset();
    else drive?.writeCommand(code);
  }

  // ---- control block ----

  readControl(): number {
    return this.drive?.state.status ?? 0;
  }

  writeControl(value: number): void {
    const { state } = this;
    const before = state.control;
    state.control = value & (CONTROL_NO_INTERRUPT | CONTROL_RESET | CONTROL_HIGH);
    if (value & ~before & CONTROL_RESET) {
      for (const drive of this.drives) drive?.hold();
    } else if (before & ~value & CONTROL_RESET) {
      for (const drive of this.drives) {
        if (drive === undefined) continue;
        drive.reset();
        drive.state.device = 0;
      }
      state.selected = 0;
    }
    this.updateInterrupt();
  }

  private updateInterrupt(): void {
    const level = (this.drive?.state.interrupt ?? false) && (this.state.control & CONTROL_NO_INTERRUPT) === 0;
    if (level === this.line) return;
    this.line = level;
    if (level) this.state.status |= BM_INTERRUPT;
    this.options.irq(level);
  }

  // ---- bus master, offsets 0–7 ----

  readMaster(offset: number): number {
    const { state } = this;
    switch (offset) {
      case 0: return state.command;
      case 2: return state.status | (this.drives.some((drive) => drive !== undefined) ? BM_CAPABLE : 0);
      case 4: case 5: case 6: case 7: return (state.table >>> (8 * (offset - 4))) & 0xff;
      default: return 0;
    }
  }

  writeMaster(offset: number, value: number): void {
    const { state } = this;
    if (offset === 0) {
      const before = state.command;
      state.command = value & (BM_START | BM_TO_MEMORY);
      if (value & ~before & BM_START) {
        state.status |= BM_ACTIVE;
        this.runDma();
      } else if (!(value & BM_START)) {
        state.status &= ~BM_ACTIVE;
      }
    } else if (offset === 2) {
      state.status &= ~(value & (BM_ERROR | BM_INTERRUPT));
    } else if (offset >= 4) {
      const shift = 8 * (offset - 4);
      state.table = ((state.table & ~(0xff << shift)) | value << shift) & ~3;
    }
  }

  /** Moves everything at once when drive and bus master are both ready. */
  private runDma(): void {
    const { state, drive } = this;
    if (!(state.command & BM_START) || !(state.status & BM_ACTIVE) || drive?.state.step !== 'dma') return;
    if (!this.options.isMaster()) return;
    const table = new DescriptorTable(this.options.memory, state.table >>> 0, (state.command & BM_TO_MEMORY) !== 0);
    drive.transfer(table);
    if (table.failed) state.status |= BM_ERROR;
    // A table with room left keeps the bus master active until software stops it.
    if (table.exhausted || table.failed) state.status &= ~BM_ACTIVE;
  }

  reset(): void {
    this.state = { control: 0, selected: 0, command: 0, status: 0, table: 0 };
    for (const drive of this.drives) drive?.reset();
    this.updateInterrupt();
  }

  save(): unknown {
    return { state: { ...this.state }, drives: this.drives.map((drive) => drive?.save() ?? null) };
  }

  restore(saved: unknown): void {
    const { state, drives } = saved as { state: ChannelState; drives: unknown[] };
    this.state = { ...state };
    this.drives.forEach((drive, n) => drive?.restore(drives[n]));
    this.updateInterrupt();
  }

  /** Registers for views: task file, control, bus master. */
  values(): (number | undefined)[] {
    const s = this.drive?.state, { control, command, status, table } = this.state;
    return [
      s?.error, s?.features[0], s?.count[0], s?.low[0], s?.mid[0], s?.high[0], s && (s.device | 0xa0), s?.status, s?.command, control, command, status, table >>> 0,
    ];
  }
}

/** Physical region descriptors: address and count (0 for 64 KiB) of memory pieces, the last one marked. */
class DescriptorTable implements DmaPort {
  private address = 0;
  private left = 0;
  private entries = 0;
  private last = false;
  failed = false;

  constructor(private readonly memory: PhysicalBytes, private at: number, private readonly toMemory: boolean) {}

  /** Every region has been used up. */
  get exhausted(): boolean {
    return this.last && this.left === 0;
  }

  private next(): boolean {
    while (this.left === 0) {
      if (this.last || this.failed) return false;
      if (this.entries++ >= TABLE_ENTRIES_MAX) {
        this.failed = true;
        return false;
      }
      this.address = this.memory.read32(this.at) & ~1;
      const word = this.memory.read32(this.at + 4);
      this.left = (word & 0xfffe) || 0x10000;
      this.last = (word & 0x80000000) !== 0;
      this.at += 8;
    }
    return true;
  }

  private move(bytes: number, piece: (address: number, done: number, count: number) => void): number {
    let done = 0;
    while (done < bytes && this.next()) {
      const count = Math.min(bytes - done, this.left);
      piece(this.address >>> 0, done, count);
      this.address += count;
      this.left -= count;
      done += count;
    }
    return done;
  }

  read(bytes: number): Uint8Array {
    const result = new Uint8Array(bytes);
    // The direction bit contradicts the command: nothing sensible can be moved.
    if (this.toMemory) this.failed = true;
    const done = this.failed ? 0 : this.move(bytes, (address, at, count) => result.set(this.memory.readBytes(address, count), at));
    return result.subarray(0, done);
  }

  write(bytes: Uint8Array): number {
    if (!this.toMemory) this.failed = true;
    return this.failed ? 0 : this.move(bytes.length, (address, at, count) => this.memory.writeBytes(address, bytes.subarray(at, at + count)));
  }
}
