/**
 * Power management, the south bridge's function 3 (PIIX4, Intel 82371AB datasheet, 290562, chapter 7; ACPI 6.5, 4.8): PM1 event and control blocks,
 * the PM timer, general-purpose events, the power button, and the APM port by which software takes power management over. Software places the
 * block of ports by configuration space.
 */
import type { AccessSize, Clock, Device, DeviceRegister, Line, PciFunction, PciLink, PortRange, TimerHandle } from './device';
import { Timebase } from './timebase';

/** Where firmware puts the block of 64 ports, and the configuration registers by which it does. */
export const PM_BASE = 0x600;
const PM_BYTES = 0x40;
export const PMBASE = 0x40, PMREGMISC = 0x80, PM_IO_ENABLE = 1;
const DEVACTB = 0x58, APMC_ENABLE = 0x02;
const PMBASE_BITS = 0xffc0;
export const PM_TIMER_HERTZ = 3_579_545;
/** Offsets in the block; status and enable halves of an event block are 16 bits each. */
export const PM = { status: 0, enable: 2, control: 4, timer: 8, gpe: 0xc } as const;
/** The APM control port, and what software writes there to take power management over and to give it back. */
export const SMI_COMMAND = 0xb2, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0;
/** PM1 status and enable. */
const TIMER = 1, GLOBAL = 0x20, POWER_BUTTON = 0x100, SLEEP_BUTTON = 0x200, RTC_ALARM = 0x400;
/** A write of one clears these; PIIX4's bus master status and the wake status among them. */
const STATUS_BITS = TIMER | 0x10 | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC_ALARM | 0x8000;
const ENABLE_BITS = TIMER | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC_ALARM;
/** PM1 control: sleep enable 13, sleep type 12:10, bus master reload 1, SCI enable 0. */
const SLEEP_ENABLE = 0x2000, SLEEP_TYPE = 0x1c00, SCI_ENABLE = 1, CONTROL_BITS = SLEEP_TYPE | 2 | SCI_ENABLE;
/** The sleep type of \_S5. No other state of sleep is offered. */
export const SLEEP_TYPE_OFF = 0;
/** The timer's status follows its top bit, 23. */
const TIMER_HALF = 0x800000, TIMER_MASK = 0xffffff;

interface State {
  status: number;
  enable: number;
  control: number;
  gpeStatus: number;
  gpeEnable: number;
  apm: [number, number];
  /** Half-periods of the timer that were over when its status was last cleared. */
  seenHalves: number;
}

export interface AcpiPmOptions {
  readonly clock: Clock;
  /** The system control interrupt: level-triggered. */
  readonly sci: Line;
  powerOff(): void;
  mapPorts(range: PortRange): void;
  unmapPorts(range: PortRange): void;
}

const eventFields = [
  { name: 'RTC', bit: 10, width: 1 }, { name: 'sleep button', bit: 9, width: 1 }, { name: 'power button', bit: 8, width: 1 }, { name: 'global', bit: 5, width: 1 },
  { name: 'timer', bit: 0, width: 1 },
] as const;

export class AcpiPm implements Device, PciFunction {
  readonly id = 'acpi-pm';
  readonly title = 'PIIX4 power management';
  readonly device = this;
  readonly slot = 1;
  readonly function = 3;
  readonly vendorId = 0x8086;
  readonly deviceId = 0x7113;
  readonly classCode = 0x068000;
  readonly revision = 3;
  readonly subsystemVendorId = 0x1af4;
  readonly subsystemId = 0x1100;
  readonly interruptPin = 1;
  readonly extra = [
    { offset: PMBASE, bytes: [0x01, 0, 0, 0], writable: [0xc0, 0xff, 0, 0] },
    // Management interrupts count as set up already: firmware that finds them so does not wait for one, which would never come.
    { offset: DEVACTB, bytes: [0, 0, 0, APMC_ENABLE] },
    { offset: PMREGMISC, bytes: [0], writable: [PM_IO_ENABLE] },
  ];
  readonly configurationRegisters: readonly DeviceRegister[] = [
    { address: PMBASE, name: 'PMBASE', description: 'Place of the power management ports' },
    { address: DEVACTB, name: 'DEVACTB', description: 'Device activity; bit 25: writes of port B2h ask for a management interrupt (there is no such mode)' },
    { address: PMREGMISC, name: 'PMREGMISC', description: 'Switches the ports on', fields: [{ name: 'PMIOSE', bit: 0, width: 1 }] },
  ];
  readonly registers: readonly DeviceRegister[] = [
    { address: PM_BASE + PM.status, bits: 16, name: 'PM1 status', description: 'Events that have happened; a write of one clears', fields: eventFields },
    { address: PM_BASE + PM.enable, bits: 16, name: 'PM1 enable', description: 'Events that raise the SCI', fields: eventFields },
    {
      address: PM_BASE + PM.control, bits: 16, name: 'PM1 control', description: 'A write of SLP_EN with SLP_TYP 0 powers the machine off',
      fields: [{ name: 'SLP_EN', bit: 13, width: 1 }, { name: 'SLP_TYP', bit: 10, width: 3 }, { name: 'SCI_EN', bit: 0, width: 1 }],
    },
    { address: PM_BASE + PM.timer, bits: 32, name: 'PM timer', description: '24 bits at 3.579545 MHz' },
    { address: PM_BASE + PM.gpe, bits: 16, name: 'GPE0 status', description: 'General-purpose events' },
    { address: PM_BASE + PM.gpe + 2, bits: 16, name: 'GPE0 enable', description: 'General-purpose events that raise the SCI' },
    { address: SMI_COMMAND, name: 'APM control', description: 'F1h hands power management over to ACPI, F0h takes it back' },
    { address: SMI_COMMAND + 1, name: 'APM status', description: 'A byte between software and firmware' },
  ];
  /** The APM ports; those of the block are where configuration space says. */
  readonly ports: readonly PortRange[] = [{
    first: SMI_COMMAND, last: SMI_COMMAND + 1,
    read: (port) => this.state.apm[port - SMI_COMMAND],
    write: (port, value) => this.writeApm(port - SMI_COMMAND, value & 0xff),
  }];

  private link: PciLink | undefined;
  private block: PortRange | undefined;
  private state = AcpiPm.afterReset();
  private readonly time: Timebase;
  private pending: TimerHandle | undefined;
  private asserted = false;

  constructor(private readonly options: AcpiPmOptions) {
    this.time = new Timebase(options.clock, PM_TIMER_HERTZ);
  }

  private static afterReset(): State {
    return { status: 0, enable: 0, control: 0, gpeStatus: 0, gpeEnable: 0, apm: [0, 0], seenHalves: 0 };
  }

  connect(link: PciLink): void {
    this.link = link;
  }

  configured(): void {
    if (!this.link) return;
    const base = this.link.read(PMREGMISC, 1) & PM_IO_ENABLE ? this.link.read(PMBASE, 2) & PMBASE_BITS : undefined;
    if (base === this.block?.first) return;
    if (this.block) this.options.unmapPorts(this.block);
    this.block = base === undefined ? undefined : {
      first: base, last: base + PM_BYTES - 1, wide: true,
      read: (port, size) => this.read(port - base, size),
      write: (port, value, size) => this.write(port - base, value, size),
    };
    if (this.block) this.options.mapPorts(this.block);
  }

  /** A person presses the power button. */
  pressPowerButton(): void {
    this.state.status |= POWER_BUTTON;
    this.update();
  }

  private get timerHalves(): number {
    return Math.floor(this.time.now() / TIMER_HALF);
  }

  private get status(): number {
    return this.state.status | (this.timerHalves > this.state.seenHalves ? TIMER : 0);
  }

  /** The SCI follows enabled events while ACPI mode is on; without it they would be SMIs, which nobody handles. */
  private update(): void {
    const { control, enable, gpeStatus, gpeEnable, seenHalves } = this.state;
    const level = (control & SCI_ENABLE) !== 0 && ((this.status & enable) !== 0 || (gpeStatus & gpeEnable) !== 0);
    if (level !== this.asserted) {
      this.asserted = level;
      this.options.sci(level);
    }
    this.pending?.cancel();
    this.pending = undefined;
    if (control & SCI_ENABLE && enable & TIMER && this.timerHalves <= seenHalves) {
      this.pending = this.options.clock.schedule(this.time.countAt((seenHalves + 1) * TIMER_HALF), () => this.update());
    }
  }

  /** The byte at an offset, from the 16- and 32-bit registers. */
  private read(offset: number, size: AccessSize): number {
    if (size === 4 && offset === PM.timer) return this.time.now() & TIMER_MASK;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  private readByte(offset: number): number {
    const { enable, control, gpeStatus, gpeEnable } = this.state;
    const words: Readonly<Record<number, number>> = {
      [PM.status]: this.status, [PM.enable]: enable, [PM.control]: control, [PM.timer]: this.time.now() & 0xffff, [PM.timer + 2]: (this.time.now() & TIMER_MASK) >>> 16,
      [PM.gpe]: gpeStatus, [PM.gpe + 2]: gpeEnable,
    };
    return ((words[offset & ~1] ?? 0) >>> (8 * (offset & 1))) & 0xff;
  }

  private write(offset: number, value: number, size: AccessSize): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const shift = 8 * (at & 1);
      this.writeHalf(at & ~1, ((value >>> (8 * i)) & 0xff) << shift, 0xff << shift);
    }
    this.update();
    const { control } = this.state;
    // Only a write that reaches the high byte of PM1 control carries SLP_EN.
    const reaches = offset <= PM.control + 1 && offset + size > PM.control + 1;
    if (reaches && (value >>> (8 * (PM.control + 1 - offset))) & (SLEEP_ENABLE >>> 8) && (control & SLEEP_TYPE) === SLEEP_TYPE_OFF << 10) this.options.powerOff();
  }

  /** `mask` says which byte of the 16-bit register is written. */
  private writeHalf(register: number, value: number, mask: number): void {
    const { state } = this;
    const merged = (old: number): number => (old & ~mask) | value;
    switch (register) {
      case PM.status:
        if (value & TIMER) state.seenHalves = this.timerHalves;
        state.status &= ~(value & STATUS_BITS);
        break;
      case PM.enable: state.enable = merged(state.enable) & ENABLE_BITS; break;
      case PM.control: state.control = merged(state.control) & CONTROL_BITS; break;
      case PM.gpe: state.gpeStatus &= ~value; break;
      case PM.gpe + 2: state.gpeEnable = merged(state.gpeEnable); break;
    }
  }

  private writeApm(n: number, value: number): void {
    const { state } = this;
    state.apm[n] = value;
    if (n === 0 && value === ACPI_ENABLE) state.control |= SCI_ENABLE;
    if (n === 0 && value === ACPI_DISABLE) state.control &= ~SCI_ENABLE;
    this.update();
  }

  registerValues(): readonly number[] {
    return this.registers.map(({ address, bits }) => (
      address >= PM_BASE ? this.read(address - PM_BASE, (bits ?? 8) / 8 as AccessSize) : this.state.apm[address - SMI_COMMAND]));
  }

  reset(): void {
    this.state = AcpiPm.afterReset();
    this.state.seenHalves = this.timerHalves;
    this.update();
  }

  save(): unknown {
    return { ...this.state, apm: [...this.state.apm] };
  }

  restore(state: unknown): void {
    const saved = state as State;
    this.state = { ...saved, apm: [...saved.apm] };
    this.update();
  }
}
