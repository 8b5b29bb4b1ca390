/**
 * Intel 8254 timer: three channels at ports 0x40–0x43, and the board's port 0x61 (gate and output of channel 2, speaker, refresh toggle).
 * Behaviour after the 8254 datasheet (231164). Counts are computed from the clock when they are read; only edges of channel 0's output are events.
 */
import { Timebase } from './timebase';
import type { Clock, Device, DeviceRegister, Line, PortRange, TimerHandle } from './device';

export const PIT_HERTZ = 1193182;
/** Port 0x61 bit 4 toggles with the DRAM refresh, every 18 ticks (15 µs) of the same oscillator. */
const REFRESH_TICKS = 18;

interface ChannelState {
  /** 0–5. */
  mode: number;
  /** RW field of the control word: 1 least, 2 most significant byte, 3 least then most. */
  access: number;
  bcd: boolean;
  gate: boolean;
  /** A control word was written; OUT is in the state it prescribes. */
  programmed: boolean;
  /** Counting element in use: a full count was loaded (modes 1 and 5: triggered). */
  running: boolean;
  /** Count register (CR): 1…65536, or …10000 in BCD. */
  count: number;
  /** A count was written since the control word. */
  hasCount: boolean;
  /** The count of the period that `start` belongs to. */
  current: number;
  /** Tick at which `current` was loaded; may lie one tick in the future. */
  start: number;
  /** Ticks counted when the gate stopped the channel, or -1. */
  frozen: number;
  /** Tick at which a count written while a periodic mode runs is taken up, or -1. */
  reloadAt: number;
  lowByte: number;
  expectHigh: boolean;
  readHigh: boolean;
  latchedCount: number;
  latchedStatus: number;
}

function powerOn(gate: boolean): ChannelState {
  return {
    mode: 0, access: 3, bcd: false, gate, programmed: false, running: false, count: 0x10000, hasCount: false, current: 0x10000, start: 0, frozen: -1,
    reloadAt: -1, lowByte: 0, expectHigh: false, readHigh: false, latchedCount: -1, latchedStatus: -1,
  };
}

function toBcd(value: number): number {
  return (value % 10) | (Math.floor(value / 10) % 10) << 4 | (Math.floor(value / 100) % 10) << 8 | (Math.floor(value / 1000) % 10) << 12;
}

function fromBcd(value: number): number {
  return (value & 15) + 10 * ((value >> 4) & 15) + 100 * ((value >> 8) & 15) + 1000 * ((value >> 12) & 15);
}

class Channel {
  state: ChannelState;

  constructor(private readonly time: Timebase, private readonly gateAtReset: boolean, private readonly changed: () => void) {
    this.state = powerOn(gateAtReset);
  }

  reset(): void {
    this.state = powerOn(this.gateAtReset);
  }

  private modulus(): number {
    return this.state.bcd ? 10000 : 0x10000;
  }

  /** Mode 2 has no period of 1, and mode 3 none either: the chip's behaviour is undefined, a period of 2 keeps it defined. */
  private period(count: number): number {
    return Math.max(2, count);
  }

  /** Ticks since the count was loaded (negative until the load itself). */
  private elapsed(tick: number): number {
    return this.state.frozen >= 0 ? this.state.frozen : tick - this.state.start;
  }

  /** Level of OUT at `tick`. */
  output(tick: number): boolean {
    const s = this.state;
    if (!s.programmed) return false;
    if (!s.running) return s.mode !== 0;
    const d = this.elapsed(tick);
    switch (s.mode) {
      case 0: return d >= s.current;
      case 1: return d >= s.current;
      case 2:
        if (s.frozen >= 0 || d < 0) return true;
        return d % this.period(s.current) !== this.period(s.current) - 1;
      case 3: {
        if (s.frozen >= 0 || d < 0) return true;
        const period = this.period(s.current);
        return d % period < (period + 1) >> 1;
      }
      default: return d !== s.current;
    }
  }

  /** The tick after `tick` at which OUT changes next, or undefined when it stays. */
  nextEdge(tick: number): number | undefined {
    const s = this.state;
    if (!s.programmed || !s.running || s.frozen >= 0) return undefined;
    const d = tick - s.start;
    switch (s.mode) {
      case 0:
      case 1: return d < s.current ? s.start + s.current : undefined;
      case 2: {
        const period = this.period(s.current);
        if (d < 0) return s.start + period - 1;
        const phase = d % period;
        return tick + (phase < period - 1 ? period - 1 - phase : 1);
      }
      case 3: {
        const period = this.period(s.current);
        const half = (period + 1) >> 1;
        if (d < 0) return s.start + half;
        const phase = d % period;
        return tick + (phase < half ? half - phase : period - phase);
      }
      default:
        if (d < s.current) return s.start + s.current;
        return d === s.current ? tick + 1 : undefined;
    }
  }

  /** The counting element, as the output latch would show it. */
  private countAt(tick: number): number {
    const s = this.state;
    const modulus = this.modulus();
    if (!s.running) return s.hasCount ? s.count % modulus : 0;
    const d = Math.max(0, this.elapsed(tick));
    let value: number;
    if (s.mode === 2) {
      const period = this.period(s.current);
      value = period - (d % period);
    } else if (s.mode === 3) {
      // Counts down by two, from the even value below the count, once for each half of the square wave.
      const period = this.period(s.current);
      const half = (period + 1) >> 1;
      const phase = d % period;
      value = (period & ~1) - 2 * (phase < half ? phase : phase - half);
    } else {
      value = (((s.current - d) % modulus) + modulus) % modulus;
    }
    value %= modulus;
    return s.bcd ? toBcd(value) : value;
  }

  control(value: number): void {
    const s = this.state;
    const access = (value >> 4) & 3;
    if (access === 0) {
      if (s.latchedCount < 0) s.latchedCount = this.countAt(this.now());
      return;
    }
    const mode = (value >> 1) & 7;
    Object.assign(s, powerOn(s.gate), {
      mode: mode > 5 ? mode & 3 : mode, access, bcd: (value & 1) !== 0, programmed: true,
    });
    this.changed();
  }

  /** Read-back command: latches what is asked for and not latched already. */
  readBack(count: boolean, status: boolean): void {
    const s = this.state;
    const tick = this.now();
    if (count && s.latchedCount < 0) s.latchedCount = this.countAt(tick);
    if (status && s.latchedStatus < 0) s.latchedStatus = this.status();
  }

  /** The status byte of the read-back command. */
  status(): number {
    const s = this.state;
    const tick = this.now();
    const nullCount = !s.hasCount || s.reloadAt >= 0 || (s.running && tick < s.start);
    return (this.output(tick) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | s.access << 4 | s.mode << 1 | (s.bcd ? 1 : 0);
  }

  /** The counting element, without a latch. */
  counter(): number {
    return this.countAt(this.now());
  }

  read(): number {
    const s = this.state;
    if (s.latchedStatus >= 0) {
      const status = s.latchedStatus;
      s.latchedStatus = -1;
      return status;
    }
    const value = s.latchedCount >= 0 ? s.latchedCount : this.countAt(this.now());
    const high = s.access === 2 || (s.access === 3 && s.readHigh);
    if (s.access === 3) s.readHigh = !s.readHigh;
    if (s.access !== 3 || high) s.latchedCount = -1;
    return high ? value >> 8 : value & 0xff;
  }

  write(value: number): void {
    const s = this.state;
    if (s.access === 3 && !s.expectHigh) {
      s.lowByte = value;
      s.expectHigh = true;
      if (s.mode === 0) {
        // The first byte of a new count stops mode 0 and takes OUT low.
        s.running = false;
        this.changed();
      }
      return;
    }
    const word = s.access === 1 ? value : s.access === 2 ? value << 8 : value << 8 | s.lowByte;
    s.expectHigh = false;
    this.load(s.bcd ? fromBcd(word) || 10000 : word || 0x10000);
  }

  private load(count: number): void {
    const s = this.state;
    const tick = this.now();
    s.count = count;
    s.hasCount = true;
    s.programmed = true;
    switch (s.mode) {
      case 0:
      case 4: this.begin(tick); break;
      case 2:
      case 3:
        if (s.running) this.deferReload(tick);
        else this.begin(tick);
        break;
      default: break; // Modes 1 and 5 wait for the gate.
    }
    this.changed();
  }

  /** A count written while a periodic mode runs: taken at the end of the present period (mode 2) or half-period (mode 3). */
  private deferReload(tick: number): void {
    const s = this.state;
    if (s.frozen >= 0) return;
    if (tick < s.start) s.current = s.count;
    else if (s.reloadAt < 0) s.reloadAt = s.mode === 3 ? this.nextEdge(tick)! : s.start + (Math.floor((tick - s.start) / this.period(s.current)) + 1) * this.period(s.current);
  }

  /** Loads the counting element at the next tick. */
  private begin(tick: number): void {
    const s = this.state;
    s.current = s.count;
    s.start = tick + 1;
    s.running = true;
    s.reloadAt = -1;
    s.frozen = -1;
    if (!s.gate && s.mode !== 1 && s.mode !== 5) s.frozen = 0;
  }

  setGate(gate: boolean): void {
    const s = this.state;
    if (s.gate === gate) return;
    const tick = this.now();
    s.gate = gate;
    if (s.programmed && s.hasCount) {
      if (s.mode === 1 || s.mode === 5) {
        if (gate) this.begin(tick);
      } else if (s.running && !gate) {
        s.frozen = Math.max(0, tick - s.start);
        s.reloadAt = -1;
      } else if (s.running && (s.mode === 2 || s.mode === 3)) {
        this.begin(tick);
      } else if (s.running) {
        s.start = tick - s.frozen;
        s.frozen = -1;
      }
    }
    this.changed();
  }

  /** The present tick, with a waiting count taken up when its time has come. */
  now(): number {
    const s = this.state;
    const tick = this.time.now();
    if (s.reloadAt >= 0 && tick >= s.reloadAt) {
      // In mode 3 the new count may begin with the low half of the wave.
      const low = s.mode === 3 && this.output(s.reloadAt - 1);
      s.current = s.count;
      s.start = s.reloadAt - (low ? (this.period(s.current) + 1) >> 1 : 0);
      s.reloadAt = -1;
    }
    return tick;
  }
}

export interface PitOptions {
  readonly clock: Clock;
  /** OUT of channel 0: IRQ 0. */
  readonly irq: Line;
}

const controlFields = [{ name: 'SC', bit: 6, width: 2 }, { name: 'RW', bit: 4, width: 2 }, { name: 'M', bit: 1, width: 3 }, { name: 'BCD', bit: 0, width: 1 }] as const;

const statusFields = [{ name: 'OUT', bit: 7, width: 1 }, { name: 'NULL', bit: 6, width: 1 }, ...controlFields.slice(1)] as const;

export class Pit implements Device {
  readonly id = 'pit';
  readonly title = '8254 timer';
  readonly registers: readonly DeviceRegister[] = [
    ...['System timer, IRQ 0', 'DRAM refresh', 'Speaker tone, gated by port 61h'].flatMap((use, n): DeviceRegister[] => [
      { address: 0x40 + n, bits: 16, name: `Counter ${n}`, description: use },
      { address: 0x40 + n, name: `Status ${n}`, description: 'As the read-back command gives it', fields: statusFields },
    ]),
    { address: 0x43, name: 'Control word', description: 'Programs or latches a counter; SC 3 is the read-back command', fields: controlFields },
    {
      address: 0x61, name: 'System control port B', description: 'Speaker and timer 2',
      fields: [
        { name: 'OUT2', bit: 5, width: 1 }, { name: 'REFRESH', bit: 4, width: 1 }, { name: 'IOCHK_EN', bit: 3, width: 1 }, { name: 'PARITY_EN', bit: 2, width: 1 },
        { name: 'SPEAKER', bit: 1, width: 1 }, { name: 'GATE2', bit: 0, width: 1 },
      ],
    },
  ];
  readonly ports: readonly PortRange[];

  private readonly time: Timebase;
  private readonly channels: readonly [Channel, Channel, Channel];
  private port61 = 0;
  private level = false;
  private timer: TimerHandle | undefined;

  constructor(private readonly options: PitOptions) {
    this.time = new Timebase(options.clock, PIT_HERTZ);
    const silent = (): void => undefined;
    this.channels = [new Channel(this.time, true, () => this.drive()), new Channel(this.time, true, silent), new Channel(this.time, false, silent)];
    this.ports = [
      {
        first: 0x40, last: 0x43,
        // The control word register cannot be read.
        read: (port) => (port === 0x43 ? 0xff : this.channels[port - 0x40].read()),
        write: (port, value) => {
          if (port === 0x43) this.control(value & 0xff);
          else this.channels[port - 0x40].write(value & 0xff);
        },
      },
      { first: 0x61, last: 0x61, read: () => this.readPort61(), write: (_port, value) => this.writePort61(value) },
    ];
  }

  private control(value: number): void {
    const selected = value >> 6;
    if (selected < 3) {
      this.channels[selected].control(value);
      return;
    }
    // Read-back: bits 5 and 4 are active low, bits 1–3 select counters.
    for (const [n, channel] of this.channels.entries()) {
      if (value & (2 << n)) channel.readBack((value & 0x20) === 0, (value & 0x10) === 0);
    }
  }

  private readPort61(): number {
    const speaker = this.channels[2];
    const refresh = Math.floor(this.time.now() / REFRESH_TICKS) & 1;
    return this.port61 | refresh << 4 | (speaker.output(speaker.now()) ? 0x20 : 0);
  }

  private writePort61(value: number): void {
    this.port61 = value & 0x0f;
    this.channels[2].setGate((value & 1) !== 0);
  }

  /** Drives IRQ 0 and waits for the next edge. */
  private drive(): void {
    const channel = this.channels[0];
    const tick = channel.now();
    const level = channel.output(tick);
    this.timer?.cancel();
    this.timer = undefined;
    const edge = channel.nextEdge(tick);
    if (edge !== undefined) this.timer = this.options.clock.schedule(this.time.countAt(edge), () => { this.timer = undefined; this.drive(); });
    if (level !== this.level) {
      this.level = level;
      this.options.irq(level);
    }
  }

  registerValues(): readonly (number | undefined)[] {
    return [...this.channels.flatMap((channel) => [channel.counter(), channel.status()]), undefined, this.readPort61()];
  }

  reset(): void {
    for (const channel of this.channels) channel.reset();
    this.port61 = 0;
    this.drive();
  }

  save(): unknown {
    return { channels: this.channels.map((channel) => ({ ...channel.state })), port61: this.port61, level: this.level };
  }

  restore(state: unknown): void {
    const saved = state as { channels: ChannelState[]; port61: number; level: boolean };
    for (const [n, channel] of this.channels.entries()) channel.state = { ...saved.channels[n] };
    this.port61 = saved.port61;
    this.level = saved.level;
    this.drive();
  }
}
