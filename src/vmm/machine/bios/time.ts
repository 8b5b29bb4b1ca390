/** INT 08h ticks, INT 1Ah clock and calendar, INT 70h alarm, and INT 15h AH=86h waiting. */
import { CMOS } from '../../devices/rtc';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, TICKS_PER_DAY } from './layout';
import { rom } from './rom';

const RTC_PIE = 0x40, RTC_AIE = 0x20, RTC_SET = 0x80, RTC_24H = 0x02, RTC_DSE = 0x01;
const PIC1_DATA = 0x21, PIC2_DATA = 0xa1;

interface Wait {
  readonly until: number;
  /** Stack of the caller: another stack is another caller. */
  readonly stack: number;
}

export class TimeService {
  private wait: Wait | undefined;

  constructor(private readonly host: BiosHost) {}

  private readCmos(index: number): number {
    this.host.writePort(0x70, index);
    return this.host.readPort(0x71);
  }

  private writeCmos(index: number, value: number): void {
    this.host.writePort(0x70, index);
    this.host.writePort(0x71, value);
  }

  initialize(): void {
    const { memory } = this.host;
    this.wait = undefined;
    this.writeCmos(CMOS.b, RTC_24H);
    this.readCmos(CMOS.c);
    const bcd = (value: number): number => (value >> 4) * 10 + (value & 15);
    const seconds = (bcd(this.readCmos(CMOS.hours)) * 60 + bcd(this.readCmos(CMOS.minutes))) * 60 + bcd(this.readCmos(CMOS.seconds));
    memory.write32(BDA.ticks, Math.floor((seconds * TICKS_PER_DAY) / 86400));
    memory.write8(BDA.midnight, 0);
  }

  tick(): void {
    const { memory } = this.host;
    let ticks = (memory.read32(BDA.ticks) >>> 0) + 1;
    if (ticks >= TICKS_PER_DAY) {
      ticks = 0;
      memory.write8(BDA.midnight, 1);
    }
    memory.write32(BDA.ticks, ticks);
  }

  /** IRQ 8: register C is read, so that the next interrupt can come, and an alarm calls INT 4Ah. */
  rtcInterrupt(c: BiosCall): void {
    const flags = this.readCmos(CMOS.c);
    this.host.writePort(0xa0, 0x20);
    this.host.writePort(0x20, 0x20);
    if (flags & 0x20) c.jump(rom.labels.get('rtcAlarm')!);
  }

  /** INT 1Ah. */
  call(c: BiosCall): void {
    const { memory } = this.host;
    switch (c.ah) {
      case 0x00: {
        const ticks = memory.read32(BDA.ticks) >>> 0;
        c.cx = ticks >>> 16;
        c.dx = ticks & 0xffff;
        c.al = memory.read8(BDA.midnight);
        memory.write8(BDA.midnight, 0);
        c.carry = false;
        break;
      }
      case 0x01:
        memory.write32(BDA.ticks, ((c.cx << 16) | c.dx) >>> 0);
        memory.write8(BDA.midnight, 0);
        c.carry = false;
        break;
      case 0x02:
        c.ch = this.readCmos(CMOS.hours);
        c.cl = this.readCmos(CMOS.minutes);
        c.dh = this.readCmos(CMOS.seconds);
        c.dl = this.readCmos(CMOS.b) & RTC_DSE;
        c.ah = 0;
        c.carry = false;
        break;
      case 0x03:
        this.set([[CMOS.hours, c.ch], [CMOS.minutes, c.cl], [CMOS.seconds, c.dh]], c.dl & RTC_DSE);
        c.carry = false;
        break;
      case 0x04:
        c.ch = this.readCmos(CMOS.century);
        c.cl = this.readCmos(CMOS.year);
        c.dh = this.readCmos(CMOS.month);
        c.dl = this.readCmos(CMOS.day);
        c.ah = 0;
        c.carry = false;
        break;
      case 0x05:
        this.set([[CMOS.century, c.ch], [CMOS.year, c.cl], [CMOS.month, c.dh], [CMOS.day, c.dl]], this.readCmos(CMOS.b) & RTC_DSE);
        c.carry = false;
        break;
      case 0x06:
        if (this.readCmos(CMOS.b) & RTC_AIE) {
          c.carry = true;
          break;
        }
        this.writeCmos(CMOS.hoursAlarm, c.ch);
        this.writeCmos(CMOS.minutesAlarm, c.cl);
        this.writeCmos(CMOS.secondsAlarm, c.dh);
        this.unmaskRtc();
        this.writeCmos(CMOS.b, (this.readCmos(CMOS.b) & ~RTC_SET) | RTC_AIE);
        c.carry = false;
        break;
      case 0x07:
        this.writeCmos(CMOS.b, this.readCmos(CMOS.b) & ~RTC_AIE);
        c.carry = false;
        break;
      default: c.carry = true; break; // also B1h: there is no PCI BIOS
    }
  }

  private set(values: readonly (readonly [number, number])[], daylight: number): void {
    const control = this.readCmos(CMOS.b) & (RTC_PIE | RTC_AIE);
    this.writeCmos(CMOS.b, control | RTC_SET | RTC_24H);
    for (const [index, value] of values) this.writeCmos(index, value);
    this.writeCmos(CMOS.b, control | RTC_24H | daylight);
  }

  private unmaskRtc(): void {
    this.host.writePort(PIC2_DATA, this.host.readPort(PIC2_DATA) & ~1);
    this.host.writePort(PIC1_DATA, this.host.readPort(PIC1_DATA) & ~4);
  }

  /** INT 15h AH=86h: CX:DX microseconds, asleep between the RTC's periodic interrupts. */
  waitMicroseconds(c: BiosCall): void {
    const { clock } = this.host;
    const stack = c.address(Seg.SS, c.sp);
    const now = clock.now();
    if (this.wait === undefined) {
      const microseconds = c.cx * 0x10000 + c.dx;
      this.wait = { until: now + Math.ceil((microseconds * clock.instructionsPerSecond) / 1e6), stack };
      this.unmaskRtc();
      this.writeCmos(CMOS.a, 0x26);
      this.writeCmos(CMOS.b, this.readCmos(CMOS.b) | RTC_PIE);
      this.readCmos(CMOS.c);
    } else if (this.wait.stack !== stack && now < this.wait.until) {
      // One wait at a time, as on a PC/AT.
      c.ah = 0x83;
      c.carry = true;
      return;
    }
    if (now < this.wait.until) {
      c.wait();
      return;
    }
    this.wait = undefined;
    this.writeCmos(CMOS.b, this.readCmos(CMOS.b) & ~RTC_PIE);
    c.ah = 0;
    c.carry = false;
  }

  save(): unknown {
    return this.wait ?? null;
  }

  restore(state: unknown): void {
    this.wait = (state as Wait | null) ?? undefined;
  }
}
