/**
 * The high precision event timers (IA-PC HPET specification 1.0a): a 64-bit counter at 100 MHz and three comparators that interrupt through
 * the I/O APIC, as messages, or in the place of the 8254 and the RTC.
 */
import type { AccessSize, Clock, Device, DeviceRegister, Line, MmioRange, TimerHandle } from './device';
import { Timebase } from './timebase';

export const HPET_BASE = 0xfed00000;
const BYTES = 0x400;
export const HPET_HERTZ = 100_000_000;
const TIMERS = 3;
/** Femtoseconds of a tick; vendor 8086h, legacy replacement, 64 bits, three timers, revision 1. */
const PERIOD_FEMTOSECONDS = 1e15 / HPET_HERTZ;
export const HPET_CAPABILITIES = (0x80860000 | 1 << 15 | 1 << 13 | (TIMERS - 1) << 8 | 1) >>> 0;
/** General configuration: legacy replacement 1, enable 0. */
const ENABLE = 1, LEGACY = 2;
/** Timer configuration: FSB capable 15, FSB enable 14, route 13:9, 32-bit mode 8, set accumulator 6, 64-bit capable 5, periodic capable 4, periodic 3, enable 2, level 1. */
const T_FSB_CAPABLE = 0x8000, T_FSB = 0x4000, T_32BIT = 0x100, T_SET = 0x40, T_64_CAPABLE = 0x20, T_PERIODIC_CAPABLE = 0x10, T_PERIODIC = 8, T_ENABLE = 4, T_LEVEL = 2;
const T_WRITABLE = T_FSB | 0x3e00 | T_32BIT | T_SET | T_PERIODIC | T_ENABLE | T_LEVEL;
/** I/O APIC inputs that a timer can be routed to: 20 to 23, which nothing else uses. */
const ROUTES = 0x00f00000;
const ALL = 0xffffffffffffffffn, LOW = 0xffffffffn;
/** Comparators further ahead than that are not waited for (about a year). */
const FAR = 1n << 51n;

interface TimerState {
  config: number;
  comparator: bigint;
  period: bigint;
  fsb: bigint;
  /** A write of the low half set the accumulator: the high half that follows does too. */
  setHigh: boolean;
}

interface State {
  config: number;
  /** One bit per level-triggered timer whose interrupt has not been acknowledged. */
  status: number;
  /** While the counter stands: its value; while it runs: its value minus the ticks of the time base. */
  counter: bigint;
  timers: TimerState[];
}

/** As JSON has it: 64-bit values in hexadecimal digits. */
interface SavedState {
  readonly config: number;
  readonly status: number;
  readonly counter: string;
  readonly timers: readonly { readonly config: number; readonly comparator: string; readonly period: string; readonly fsb: string; readonly setHigh: boolean }[];
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

export interface HpetOptions {
  readonly clock: Clock;
  /** Inputs of the I/O APIC. */
  readonly pins: readonly Line[];
  /** IRQ 0 and IRQ 8 while the legacy replacement is on. */
  readonly legacy: readonly [Line, Line];
  /** The legacy replacement was switched: the 8254 and the RTC are cut off from their interrupts, or connected again. */
  legacyReplacement(on: boolean): void;
  message(address: number, data: number): void;
}

function withHalf(value: bigint, high: boolean, half: number): bigint {
  return high ? (value & LOW) | BigInt(half) << 32n : (value & ~LOW) | BigInt(half);
}

const timerFields = [
  { name: 'FSB', bit: 14, width: 1 }, { name: 'route', bit: 9, width: 5 }, { name: '32 bits', bit: 8, width: 1 }, { name: 'set accumulator', bit: 6, width: 1 },
  { name: 'periodic', bit: 3, width: 1 }, { name: 'enable', bit: 2, width: 1 }, { name: 'level', bit: 1, width: 1 },
] as const;

export class Hpet implements Device {
  readonly id = 'hpet';
  readonly title = 'High precision event timers';
  readonly registers: readonly DeviceRegister[] = [
    { address: 0x00, bits: 32, name: 'Capabilities', description: 'Revision, timers, counter width' },
    { address: 0x04, bits: 32, name: 'Period', description: 'Femtoseconds of one tick of the counter' },
    { address: 0x10, bits: 32, name: 'Configuration', description: 'Counter and legacy replacement', fields: [{ name: 'legacy', bit: 1, width: 1 }, { name: 'enable', bit: 0, width: 1 }] },
    { address: 0x20, bits: 32, name: 'Interrupt status', description: 'Level-triggered timers that have interrupted' },
    { address: 0xf0, bits: 32, name: 'Counter low', description: 'The main counter, bits 31:0' },
    { address: 0xf4, bits: 32, name: 'Counter high', description: 'The main counter, bits 63:32' },
    ...Array.from({ length: TIMERS }, (_, n): DeviceRegister[] => [
      { address: 0x100 + 0x20 * n, bits: 32, name: `Timer ${n} configuration`, description: `How timer ${n} counts and interrupts`, fields: timerFields },
      { address: 0x104 + 0x20 * n, bits: 32, name: `Timer ${n} routes`, description: 'I/O APIC inputs that it can use' },
      { address: 0x108 + 0x20 * n, bits: 32, name: `Timer ${n} comparator low`, description: 'Bits 31:0' },
      { address: 0x10c + 0x20 * n, bits: 32, name: `Timer ${n} comparator high`, description: 'Bits 63:32' },
      { address: 0x110 + 0x20 * n, bits: 32, name: `Timer ${n} message data`, description: 'What it writes as a message' },
      { address: 0x114 + 0x20 * n, bits: 32, name: `Timer ${n} message address`, description: 'Where it writes it' },
    ]).flat(),
  ];
  readonly mmio: readonly MmioRange[] = [{
    first: HPET_BASE, last: HPET_BASE + BYTES - 1,
    read: (address, size) => this.read(address - HPET_BASE, size),
    write: (address, value, size) => this.write(address - HPET_BASE, value, size),
  }];

  private state = Hpet.afterReset();
  private readonly pending: (TimerHandle | undefined)[] = new Array<undefined>(TIMERS).fill(undefined);
  /** Lines that timers hold up. */
  private readonly held: (Line | undefined)[] = new Array<undefined>(TIMERS).fill(undefined);
  private readonly time: Timebase;

  constructor(private readonly options: HpetOptions) {
    this.time = new Timebase(options.clock, HPET_HERTZ);
  }

  private static afterReset(): State {
    return {
      config: 0, status: 0, counter: 0n,
      timers: Array.from({ length: TIMERS }, () => ({ config: 0, comparator: ALL, period: 0n, fsb: 0n, setHigh: false })),
    };
  }

  private get running(): boolean {
    return (this.state.config & ENABLE) !== 0;
  }

  private get counter(): bigint {
    const { counter } = this.state;
    return this.running ? (counter + BigInt(this.time.now())) & ALL : counter;
  }

  private set counter(value: bigint) {
    this.state.counter = this.running ? (value - BigInt(this.time.now())) & ALL : value;
  }

  // ---- comparators ----

  private width(timer: TimerState): bigint {
    return timer.config & T_32BIT ? LOW : ALL;
  }

  private schedule(n: number): void {
    this.pending[n]?.cancel();
    this.pending[n] = undefined;
    const timer = this.state.timers[n];
    if (!this.running || !(timer.config & T_ENABLE)) return;
    const width = this.width(timer);
    // A match is a passing moment: a comparator that equals the counter has been met.
    const ahead = ((timer.comparator - this.counter - 1n) & width) + 1n;
    if (ahead > FAR) return;
    this.pending[n] = this.options.clock.schedule(this.time.countAt(this.time.now() + Number(ahead)), () => {
      this.pending[n] = undefined;
      this.match(n);
    });
  }

  private match(n: number): void {
    const timer = this.state.timers[n];
    if (timer.config & T_PERIODIC && timer.period !== 0n) {
      const width = this.width(timer);
      // Periods that are over already count as one.
      const late = (this.counter - timer.comparator) & width;
      timer.comparator = (timer.comparator + timer.period * (late / timer.period + 1n)) & width;
    }
    this.schedule(n);
    this.interrupt(n);
  }

  private line(n: number): Line {
    if (n < 2 && this.state.config & LEGACY) return this.options.legacy[n];
    return this.options.pins[(this.state.timers[n].config >>> 9) & 31] ?? (() => undefined);
  }

  private interrupt(n: number): void {
    const { config, fsb } = this.state.timers[n];
    if (config & T_LEVEL) this.state.status |= 1 << n;
    if (config & T_FSB && !(n < 2 && this.state.config & LEGACY)) {
      this.options.message(Number(fsb >> 32n), Number(fsb & LOW));
    } else {
      // An edge stays up until the next one: the 8259A forgets a request that falls before it is acknowledged.
      if (!(config & T_LEVEL)) this.release(n);
      this.hold(n);
    }
  }

  private hold(n: number): void {
    if (this.held[n]) return;
    this.held[n] = this.line(n);
    this.held[n]?.(true);
  }

  private release(n: number): void {
    this.held[n]?.(false);
    this.held[n] = undefined;
  }

  // ---- registers ----

  /** The 64-bit register at a multiple of 8. */
  private register(at: number): bigint {
    const { state } = this;
    switch (at) {
      case 0x00: return BigInt(PERIOD_FEMTOSECONDS) << 32n | BigInt(HPET_CAPABILITIES);
      case 0x10: return BigInt(state.config);
      case 0x20: return BigInt(state.status);
      case 0xf0: return this.counter;
    }
    const timer = at >= 0x100 ? (state.timers[(at - 0x100) >> 5] as TimerState | undefined) : undefined;
    if (!timer) return 0n;
    switch (at & 0x18) {
      case 0x00: return BigInt(ROUTES) << 32n | BigInt(timer.config | T_FSB_CAPABLE | T_64_CAPABLE | T_PERIODIC_CAPABLE);
      case 0x08: return timer.comparator & this.width(timer);
      case 0x10: return timer.fsb;
      default: return 0n;
    }
  }

  private read(offset: number, size: AccessSize): number {
    const value = Number((this.register(offset & ~7) >> BigInt(8 * (offset & 4))) & LOW) >>> (8 * (offset & 3));
    return size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff);
  }

  /** Software writes whole halves; anything narrower is ignored. */
  private write(offset: number, value: number, size: AccessSize): void {
    if (size !== 4 || offset & 3) return;
    const { state } = this;
    const high = (offset & 4) !== 0;
    if (offset >= 0x100) {
      const n = (offset - 0x100) >> 5;
      if (n < TIMERS) this.writeTimer(n, offset & 0x18, high, value >>> 0);
      return;
    }
    switch (offset) {
      case 0x10: this.writeConfiguration(value & (ENABLE | LEGACY)); break;
      case 0x20:
        for (let n = 0; n < TIMERS; n++) if (value & state.status & (1 << n)) this.release(n);
        state.status &= ~value;
        break;
      case 0xf0: case 0xf4:
        this.counter = withHalf(this.counter, high, value >>> 0);
        for (let n = 0; n < TIMERS; n++) this.schedule(n);
        break;
    }
  }

  private writeConfiguration(value: number): void {
    const { state } = this;
    const changed = state.config ^ value;
    const { counter } = this;
    for (let n = 0; n < TIMERS && changed & LEGACY; n++) this.release(n);
    state.config = value;
    this.counter = counter;
    if (changed & LEGACY) this.options.legacyReplacement((value & LEGACY) !== 0);
    for (let n = 0; n < TIMERS; n++) {
      if (state.status & (1 << n)) this.hold(n);
      this.schedule(n);
    }
  }

  private writeTimer(n: number, register: number, high: boolean, value: number): void {
    const timer = this.state.timers[n];
    const continues = timer.setHigh && register === 0x08 && high;
    timer.setHigh = false;
    switch (register) {
      case 0x00: {
        if (high) return;
        this.release(n);
        timer.config = value & T_WRITABLE;
        // A route that does not exist is not taken over: software reads back what it gets.
        if (!((ROUTES >>> ((value >>> 9) & 31)) & 1)) timer.config &= ~0x3e00;
        if (!(value & T_LEVEL)) this.state.status &= ~(1 << n);
        else if (this.state.status & (1 << n)) this.hold(n);
        break;
      }
      case 0x08:
        if (!(timer.config & T_PERIODIC) || timer.config & T_SET || continues) timer.comparator = withHalf(timer.comparator, high, value);
        if (timer.config & T_PERIODIC) timer.period = withHalf(timer.period, high, value) & this.width(timer);
        timer.setHigh = !high && (timer.config & T_SET) !== 0;
        timer.config &= ~T_SET;
        break;
      case 0x10:
        timer.fsb = withHalf(timer.fsb, high, value);
        return;
      default: return;
    }
    this.schedule(n);
  }

  registerValues(): readonly number[] {
    return this.registers.map(({ address }) => this.read(address, 4));
  }

  reset(): void {
    for (let n = 0; n < TIMERS; n++) this.release(n);
    if (this.state.config & LEGACY) this.options.legacyReplacement(false);
    this.state = Hpet.afterReset();
    for (let n = 0; n < TIMERS; n++) this.schedule(n);
  }

  save(): unknown {
    const { config, status, counter, timers } = this.state;
    return { config, status, counter: hex(counter), timers: timers.map((t) => ({ ...t, comparator: hex(t.comparator), period: hex(t.period), fsb: hex(t.fsb) })) };
  }

  restore(saved: unknown): void {
    const { config, status, counter, timers } = saved as SavedState;
    for (let n = 0; n < TIMERS; n++) this.release(n);
    this.state = {
      config, status, counter: BigInt(counter),
      timers: timers.map((t) => ({ ...t, comparator: BigInt(t.comparator), period: BigInt(t.period), fsb: BigInt(t.fsb) })),
    };
    this.options.legacyReplacement((config & LEGACY) !== 0);
    for (let n = 0; n < TIMERS; n++) {
      if (status & (1 << n)) this.hold(n);
      this.schedule(n);
    }
  }
}
