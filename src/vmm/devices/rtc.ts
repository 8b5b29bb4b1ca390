/**
 * MC146818A-compatible real-time clock and 128 bytes of CMOS RAM at ports 0x70/0x71. Time is a start date plus virtual time.
 * Flags of register C are worked out when they are looked at; events are scheduled only for interrupts that the guest has enabled,
 * so a machine without RTC interrupts can idle.
 */
import { Timebase } from './timebase';
import type { Clock, Device, DeviceRegister, Line, PortRange, TimerHandle } from './device';

/** Indices of the clock's own registers and of the CMOS bytes with a meaning on a PC/AT. */
export const CMOS = {
  seconds: 0x00, secondsAlarm: 0x01, minutes: 0x02, minutesAlarm: 0x03, hours: 0x04, hoursAlarm: 0x05, weekday: 0x06, day: 0x07, month: 0x08, year: 0x09,
  a: 0x0a, b: 0x0b, c: 0x0c, d: 0x0d, shutdown: 0x0f, floppyTypes: 0x10, diskTypes: 0x12, equipment: 0x14, baseLow: 0x15, baseHigh: 0x16,
  extendedLow: 0x17, extendedHigh: 0x18, checksumHigh: 0x2e, checksumLow: 0x2f, extendedLow2: 0x30, extendedHigh2: 0x31, century: 0x32,
  above16Low: 0x34, above16High: 0x35, bootOrder2: 0x38, bootOrder1: 0x3d,
  /** Memory from 4 GiB on in 64 KiB, three bytes: this board has none. */
  above4G: 0x5b, processors: 0x5f,
} as const;

/** Register B. */
const SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 0x04, HOURS24 = 0x02;
/** Register C. */
const IRQF = 0x80, PF = 0x40, AF = 0x20, UF = 0x10;
const OSCILLATOR_HERTZ = 32768;
/** The update-in-progress bit rises 244 µs (8 ticks) before an update, which takes 1984 µs (65 ticks). */
const UPDATE_TICKS = 73;
const DAY_SECONDS = 86400;

/** Boot devices as Bochs, QEMU and SeaBIOS code them. */
const BOOT_CODES = { floppy: 1, hardDisk: 2, cdrom: 3 } as const;

const bit = (name: string, n: number, width = 1) => ({ name, bit: n, width });
/** What views show of the registers behind port 71h. */
const cmosRows: readonly (readonly [index: number, name: string, description: string, fields?: DeviceRegister['fields']])[] = [
  [CMOS.seconds, 'Seconds', 'Time of day'], [CMOS.secondsAlarm, 'Seconds alarm', 'C0h and above: every second'],
  [CMOS.minutes, 'Minutes', 'Time of day'], [CMOS.minutesAlarm, 'Minutes alarm', 'C0h and above: every minute'],
  [CMOS.hours, 'Hours', 'Time of day'], [CMOS.hoursAlarm, 'Hours alarm', 'C0h and above: every hour'],
  [CMOS.weekday, 'Day of week', '1 is Sunday'], [CMOS.day, 'Day', 'Day of the month'], [CMOS.month, 'Month', '1–12'], [CMOS.year, 'Year', 'Of the century'],
  [CMOS.century, 'Century', 'In BCD'],
  [CMOS.a, 'A', 'Divider and rate', [bit('UIP', 7), bit('DV', 4, 3), bit('RS', 0, 4)]],
  [CMOS.b, 'B', 'Interrupt enables and format', [bit('SET', 7), bit('PIE', 6), bit('AIE', 5), bit('UIE', 4), bit('SQWE', 3), bit('BINARY', 2), bit('24H', 1), bit('DSE', 0)]],
  [CMOS.c, 'C', 'Interrupt flags; a read clears them', [bit('IRQF', 7), bit('PF', 6), bit('AF', 5), bit('UF', 4)]],
  [CMOS.d, 'D', 'Battery', [bit('VRT', 7)]],
  [CMOS.shutdown, 'Shutdown', 'What the BIOS does after a reset'], [CMOS.floppyTypes, 'Floppy types', 'Drives A and B', [bit('A', 4, 4), bit('B', 0, 4)]],
  [CMOS.diskTypes, 'Disk types', 'Drives C and D', [bit('C', 4, 4), bit('D', 0, 4)]], [CMOS.equipment, 'Equipment', 'As INT 11h'],
  [CMOS.extendedLow2, 'Memory from 1 MiB, low', 'KiB'], [CMOS.extendedHigh2, 'Memory from 1 MiB, high', 'KiB'],
  [CMOS.above16Low, 'Memory from 16 MiB, low', '64 KiB'], [CMOS.above16High, 'Memory from 16 MiB, high', '64 KiB'],
  [CMOS.above4G, 'Memory from 4 GiB, low', '64 KiB'], [CMOS.processors, 'Processors', 'Less one'],
  [CMOS.bootOrder1, 'Boot order', 'First two devices: 1 floppy, 2 hard disk, 3 CD', [bit('SECOND', 4, 4), bit('FIRST', 0, 4)]],
  [CMOS.bootOrder2, 'Boot order, third', 'Third device', [bit('THIRD', 4, 4)]],
];

export interface RtcOptions {
  readonly clock: Clock;
  /** IRQ 8. */
  readonly irq: Line;
  /** Date at power-on, seconds since 1970 (UTC). */
  readonly startSeconds: number;
  readonly ramBytes: number;
  /** Drives tried by the BIOS, in order. */
  readonly bootOrder?: readonly ('floppy' | 'hardDisk' | 'cdrom')[];
  /** CMOS type of drive A: 4 is 1.44 MB, 0 none. */
  readonly floppyType?: number;
  readonly hasHardDisk?: boolean;
  /** 1 unless given. */
  readonly processors?: number;
}

interface RtcState {
  index: number;
  nmiMasked: boolean;
  ram: number[];
  /** Seconds since 1970 at second number 0 of the divider chain. */
  base: number;
  /** Second of virtual time up to which UF and AF are worked out. */
  checkedSecond: number;
  /** Oscillator tick up to which PF is worked out. */
  checkedTick: number;
  flags: number;
  level: boolean;
}

export class Rtc implements Device {
  readonly id = 'rtc';
  readonly title = 'Real-time clock and CMOS RAM';
  readonly registers: readonly DeviceRegister[] = [
    { address: 0x70, name: 'Index', description: 'Register number; bit 7 masks NMI', fields: [{ name: 'NMI_DIS', bit: 7, width: 1 }, { name: 'INDEX', bit: 0, width: 7 }] },
    ...cmosRows.map(([index, name, description, fields]): DeviceRegister => ({ address: 0x71, index, name, description, ...(fields && { fields }) })),
  ];
  readonly ports: readonly PortRange[] = [{
    first: 0x70, last: 0x71,
    read: (port) => (port === 0x71 ? this.readRegister(this.state.index) : 0xff),
    write: (port, value) => {
      if (port === 0x71) {
        this.writeRegister(this.state.index, value & 0xff);
      } else {
        this.state.index = value & 0x7f;
        this.state.nmiMasked = (value & 0x80) !== 0;
      }
    },
  }];

  private readonly oscillator: Timebase;
  private state: RtcState;
  private timer: TimerHandle | undefined;

  constructor(private readonly options: RtcOptions) {
    this.oscillator = new Timebase(options.clock, OSCILLATOR_HERTZ);
    this.state = {
      index: 0, nmiMasked: false, ram: new Array<number>(128).fill(0), base: Math.floor(options.startSeconds), checkedSecond: 0, checkedTick: 0, flags: 0, level: false,
    };
    this.configure();
  }

  /** What the set-up program of a PC would have left in the battery-backed bytes. */
  private configure(): void {
    const { ram } = this.state;
    const { ramBytes, floppyType = 0, hasHardDisk = false, processors = 1, bootOrder = ['floppy', 'hardDisk', 'cdrom'] } = this.options;
    const word = (low: number, high: number, value: number): void => { ram[low] = value & 0xff; ram[high] = (value >> 8) & 0xff; };
    ram[CMOS.a] = 0x26;
    ram[CMOS.b] = HOURS24;
    ram[CMOS.floppyTypes] = floppyType << 4;
    ram[CMOS.diskTypes] = hasHardDisk ? 0xf0 : 0;
    ram[CMOS.equipment] = 0x06 | (floppyType !== 0 ? 1 : 0);
    word(CMOS.baseLow, CMOS.baseHigh, Math.min(640, ramBytes >>> 10));
    const extendedKiB = Math.min(0xffff, Math.max(0, Math.floor(ramBytes / 1024) - 1024));
    word(CMOS.extendedLow, CMOS.extendedHigh, extendedKiB);
    word(CMOS.extendedLow2, CMOS.extendedHigh2, extendedKiB);
    word(CMOS.above16Low, CMOS.above16High, Math.min(0xffff, Math.max(0, Math.floor((ramBytes - 0x1000000) / 0x10000))));
    const codes = bootOrder.map((drive) => BOOT_CODES[drive]);
    ram[CMOS.bootOrder1] = (codes[0] ?? 0) | (codes[1] ?? 0) << 4;
    ram[CMOS.bootOrder2] = (codes[2] ?? 0) << 4;
    ram[CMOS.processors] = processors - 1;
    let sum = 0;
    for (let i = 0x10; i <= 0x2d; i++) sum += ram[i];
    word(CMOS.checksumLow, CMOS.checksumHigh, sum);
  }

  /** Bit 7 of port 70h: the board holds NMI back. */
  get nmiMasked(): boolean {
    return this.state.nmiMasked;
  }

  private second(): number {
    return Math.floor(this.oscillator.now() / OSCILLATOR_HERTZ);
  }

  private running(): boolean {
    // Divider values other than 010 stop or reset the chain; SET holds the registers.
    return (this.state.ram[CMOS.b] & SET) === 0 && (this.state.ram[CMOS.a] & 0x70) === 0x20;
  }

  private encode(value: number): number {
    return this.state.ram[CMOS.b] & BINARY ? value : Math.floor(value / 10) << 4 | value % 10;
  }

  private decode(value: number): number {
    return this.state.ram[CMOS.b] & BINARY ? value : (value >> 4) * 10 + (value & 15);
  }

  private encodeHours(hours: number): number {
    if (this.state.ram[CMOS.b] & HOURS24) return this.encode(hours);
    return this.encode(hours % 12 || 12) | (hours >= 12 ? 0x80 : 0);
  }

  private decodeHours(value: number): number {
    if (this.state.ram[CMOS.b] & HOURS24) return this.decode(value);
    return (this.decode(value & 0x7f) % 12) + (value & 0x80 ? 12 : 0);
  }

  /** Copies the running time into the clock's registers. */
  private refreshTime(): void {
    if (!this.running()) return;
    const { ram } = this.state;
    const date = new Date((this.state.base + this.second()) * 1000);
    if (Number.isNaN(date.getTime())) return;
    ram[CMOS.seconds] = this.encode(date.getUTCSeconds());
    ram[CMOS.minutes] = this.encode(date.getUTCMinutes());
    ram[CMOS.hours] = this.encodeHours(date.getUTCHours());
    ram[CMOS.weekday] = this.encode(date.getUTCDay() + 1);
    ram[CMOS.day] = this.encode(date.getUTCDate());
    ram[CMOS.month] = this.encode(date.getUTCMonth() + 1);
    const year = date.getUTCFullYear();
    ram[CMOS.year] = this.encode(year % 100);
    // The century byte is kept in BCD by convention, whatever DM says.
    const century = Math.floor(year / 100) % 100;
    ram[CMOS.century] = Math.floor(century / 10) << 4 | century % 10;
  }

  /** Takes the registers as the time from now on. */
  private adoptTime(): void {
    const { ram } = this.state;
    const century = ram[CMOS.century];
    const year = ((century >> 4) * 10 + (century & 15)) * 100 + this.decode(ram[CMOS.year]);
    const seconds = Date.UTC(year, this.decode(ram[CMOS.month]) - 1, this.decode(ram[CMOS.day]), this.decodeHours(ram[CMOS.hours]),
      this.decode(ram[CMOS.minutes]), this.decode(ram[CMOS.seconds])) / 1000;
    if (Number.isFinite(seconds)) this.state.base = Math.floor(seconds) - this.second();
  }

  /** Period of the periodic interrupt in oscillator ticks; 0 is off. Rates 1 and 2 are those of 8 and 9. */
  private periodTicks(): number {
    const rate = this.state.ram[CMOS.a] & 15;
    if (rate === 0 || (this.state.ram[CMOS.a] & 0x60) === 0x60) return 0;
    return 1 << ((rate <= 2 ? rate + 7 : rate) - 1);
  }

  /** Seconds from `second` to the next alarm, at least 1; undefined when no time of day matches. */
  private alarmDelay(second: number): number | undefined {
    const { ram } = this.state;
    // Values with both top bits set match always.
    const wanted = (value: number, decoded: number): number => ((value & 0xc0) === 0xc0 ? -1 : decoded);
    const hour = wanted(ram[CMOS.hoursAlarm], this.decodeHours(ram[CMOS.hoursAlarm]));
    const minute = wanted(ram[CMOS.minutesAlarm], this.decode(ram[CMOS.minutesAlarm]));
    const sec = wanted(ram[CMOS.secondsAlarm], this.decode(ram[CMOS.secondsAlarm]));
    if (hour > 23 || minute > 59 || sec > 59) return undefined;
    const from = (((this.state.base + second) % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    // Skips whole hours, then minutes, then to the second: a hundred steps at most.
    for (let at = from + 1; at <= from + DAY_SECONDS;) {
      if (hour >= 0 && Math.floor(at / 3600) % 24 !== hour) at = (Math.floor(at / 3600) + 1) * 3600;
      else if (minute >= 0 && Math.floor(at / 60) % 60 !== minute) at = (Math.floor(at / 60) + 1) * 60;
      else if (sec >= 0 && at % 60 !== sec) at += (sec - (at % 60) + 60) % 60;
      else return at - from;
    }
    return undefined;
  }

  /** Works out the flags of everything that happened since the last look, and drives IRQ 8. */
  private settle(): void {
    const s = this.state;
    const tick = this.oscillator.now();
    const second = Math.floor(tick / OSCILLATOR_HERTZ);
    const period = this.periodTicks();
    if (period !== 0 && Math.floor(tick / period) !== Math.floor(s.checkedTick / period)) s.flags |= PF;
    s.checkedTick = tick;
    if (second !== s.checkedSecond) {
      if (this.running()) {
        s.flags |= UF;
        const alarm = this.alarmDelay(s.checkedSecond);
        if (alarm !== undefined && s.checkedSecond + alarm <= second) s.flags |= AF;
      }
      s.checkedSecond = second;
    }
    this.drive();
  }

  private drive(): void {
    const s = this.state;
    const level = (s.flags & s.ram[CMOS.b] & (PF | AF | UF)) !== 0;
    if (level === s.level) return;
    s.level = level;
    this.options.irq(level);
  }

  /** Waits for the next enabled interrupt; none while one is pending, since the line is high until register C is read. */
  private plan(): void {
    const s = this.state;
    this.timer?.cancel();
    this.timer = undefined;
    if (s.level) return;
    let at = Infinity;
    const period = this.periodTicks();
    if (s.ram[CMOS.b] & PIE && period !== 0) at = (Math.floor(s.checkedTick / period) + 1) * period;
    if (this.running() && s.ram[CMOS.b] & (UIE | AIE)) {
      const seconds = s.ram[CMOS.b] & UIE ? 1 : this.alarmDelay(s.checkedSecond);
      if (seconds !== undefined) at = Math.min(at, (s.checkedSecond + seconds) * OSCILLATOR_HERTZ);
    }
    if (at !== Infinity) this.timer = this.options.clock.schedule(this.oscillator.countAt(at), () => { this.timer = undefined; this.settle(); this.plan(); });
  }

  /** A register as the guest reads it; for the BIOS and views too. Reading C clears it. */
  readRegister(index: number): number {
    const s = this.state;
    const value = this.registerValue(index);
    if (index === CMOS.c) {
      s.flags = 0;
      this.drive();
      this.plan();
    }
    return value;
  }

  /** A register's value; reading C does not clear it. */
  private registerValue(index: number): number {
    const s = this.state;
    if (index <= CMOS.year || index === CMOS.century) this.refreshTime();
    if (index === CMOS.a) {
      const untilUpdate = OSCILLATOR_HERTZ - (this.oscillator.now() % OSCILLATOR_HERTZ);
      return (s.ram[CMOS.a] & 0x7f) | (this.running() && untilUpdate <= UPDATE_TICKS ? 0x80 : 0);
    }
    if (index === CMOS.c) {
      this.settle();
      return s.flags | (s.level ? IRQF : 0);
    }
    // D: the battery is good.
    if (index === CMOS.d) return 0x80;
    return s.ram[index & 0x7f];
  }

  registerValues(): readonly number[] {
    return [this.state.index | (this.state.nmiMasked ? 0x80 : 0), ...cmosRows.map(([index]) => this.registerValue(index))];
  }

  private writeRegister(index: number, value: number): void {
    const s = this.state;
    if (index === CMOS.c || index === CMOS.d) return;
    this.settle();
    const timeRegister = index <= CMOS.year && index !== CMOS.secondsAlarm && index !== CMOS.minutesAlarm && index !== CMOS.hoursAlarm;
    if (timeRegister || index === CMOS.century || index === CMOS.a) this.refreshTime();
    const wasRunning = this.running();
    if (index === CMOS.b) {
      this.refreshTime();
      s.ram[CMOS.b] = value & SET ? value & ~UIE : value;
    } else {
      s.ram[index] = value;
    }
    if (this.running() && (!wasRunning || timeRegister || index === CMOS.century)) this.adoptTime();
    this.drive();
    this.plan();
  }

  /** The clock and its RAM live on a battery: only the interrupt enables are cleared. */
  reset(): void {
    const s = this.state;
    s.index = 0;
    s.nmiMasked = false;
    s.ram[CMOS.b] &= ~(PIE | AIE | UIE);
    s.flags = 0;
    this.drive();
    this.plan();
  }

  save(): unknown {
    return { ...this.state, ram: [...this.state.ram] };
  }

  restore(state: unknown): void {
    const saved = state as RtcState;
    this.state = { ...saved, ram: [...saved.ram] };
    this.plan();
  }
}
