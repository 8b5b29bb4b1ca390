/**
 * A PS/2 mouse as it hangs on the 8042: stream and remote mode, scaling, resolution and sample rate, and the wheel, which a driver wakes by
 * setting the sample rates 200, 100, 80 one after the other (Microsoft IntelliMouse; 200, 200, 80 also wakes the fourth and fifth button's report).
 */
const ACK = 0xfa, RESEND = 0xfe, SELF_TEST_PASSED = 0xaa;

/** Movement in counts: to the right, upwards, turns of the wheel towards the person; buttons left 1, right 2, middle 4. */
export interface Movement {
  readonly x: number;
  readonly y: number;
  readonly wheel: number;
  readonly buttons: number;
}

/** Device identification: plain, with a wheel, with a wheel and two more buttons. */
type MouseId = 0 | 3 | 4;

interface MouseState {
  id: MouseId;
  reporting: boolean;
  remote: boolean;
  wrap: boolean;
  scaling: boolean;
  resolution: number;
  rate: number;
  /** Sample rates that were set, the last one last. */
  rates: number[];
  awaiting: number;
  x: number;
  y: number;
  wheel: number;
  buttons: number;
  /** Buttons of the last report. */
  reported: number;
  lastSent: number[];
}

/** What is kept of a movement that nobody collects: more than a report holds, and bounded. */
const MOVEMENT_MAX = 0x4000, REPORT_MAX = 255, WHEEL_MAX = 7;
/** The standard resolution, 4 counts a millimetre, is the one that movements are given in. */
const RESOLUTION = 2;
/** Counts of a report with 2:1 scaling (stream mode only); larger ones are doubled. */
const scaled = [0, 1, 1, 3, 6, 9] as const;

const clamp = (value: number, most: number): number => Math.max(-most, Math.min(most, value));

export class Ps2Mouse {
  state = Ps2Mouse.defaults();

  private static defaults(): MouseState {
    return {
      id: 0, reporting: false, remote: false, wrap: false, scaling: false, resolution: RESOLUTION, rate: 100, rates: [], awaiting: 0, x: 0, y: 0, wheel: 0, buttons: 0,
      reported: 0, lastSent: [],
    };
  }

  reset(): void {
    this.state = { ...Ps2Mouse.defaults(), buttons: this.state.buttons };
  }

  move({ x, y, wheel, buttons }: Movement): void {
    const s = this.state;
    s.x = clamp(s.x + x, MOVEMENT_MAX);
    s.y = clamp(s.y + y, MOVEMENT_MAX);
    s.wheel = clamp(s.wheel + wheel, MOVEMENT_MAX);
    s.buttons = buttons & 7;
  }

  /** Something has happened that a driver in stream mode is to hear of. */
  get hasNews(): boolean {
    const s = this.state;
    return s.reporting && !s.remote && !s.wrap && (this.counts(s.x) !== 0 || this.counts(s.y) !== 0 || (s.id !== 0 && s.wheel !== 0) || s.buttons !== s.reported);
  }

  /** The next report of stream mode. */
  report(): readonly number[] {
    return this.packet(this.state.scaling);
  }

  private counts(value: number): number {
    return Math.trunc(value * 2 ** (this.state.resolution - RESOLUTION));
  }

  /** Takes as much of the movement as a report holds. */
  private packet(scaling: boolean): readonly number[] {
    const s = this.state;
    const take = (axis: 'x' | 'y'): number => {
      const count = clamp(this.counts(s[axis]), REPORT_MAX);
      s[axis] -= Math.trunc(count / 2 ** (s.resolution - RESOLUTION));
      if (!scaling) return count;
      const size = Math.abs(count);
      return clamp(Math.sign(count) * (size < scaled.length ? scaled[size] : 2 * size), REPORT_MAX);
    };
    const x = take('x'), y = take('y');
    s.reported = s.buttons;
    const bytes = [8 | s.buttons | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), x & 0xff, y & 0xff];
    if (s.id !== 0) {
      const wheel = clamp(s.wheel, WHEEL_MAX);
      s.wheel -= wheel;
      bytes.push(s.id === 3 ? wheel & 0xff : wheel & 0x0f);
    } else {
      s.wheel = 0;
    }
    s.lastSent = bytes;
    return bytes;
  }

  /** Answers a byte from the controller. */
  command(value: number): readonly number[] {
    const s = this.state;
    const { awaiting } = s;
    s.awaiting = 0;
    if (s.wrap && value !== 0xec && value !== 0xff) return [value];
    if (awaiting === 0xe8) {
      if (value > 3) return [RESEND];
      s.resolution = value;
      return [ACK];
    }
    if (awaiting === 0xf3) return this.setRate(value);
    switch (value) {
      case 0xe6: s.scaling = false; return [ACK];
      case 0xe7: s.scaling = true; return [ACK];
      case 0xe8: // resolution
      case 0xf3: // sample rate
        s.awaiting = value;
        return [ACK];
      case 0xe9: return [ACK, this.status, s.resolution, s.rate];
      case 0xea: s.remote = false; this.forget(); return [ACK];
      // Data on request is not scaled.
      case 0xeb: return [ACK, ...this.packet(false)];
      case 0xec: s.wrap = false; return [ACK];
      case 0xee: s.wrap = true; return [ACK];
      case 0xf0: s.remote = true; this.forget(); return [ACK];
      case 0xf2: return [ACK, s.id];
      case 0xf4: s.reporting = true; this.forget(); return [ACK];
      case 0xf5: s.reporting = false; return [ACK];
      case 0xf6: this.setDefaults(); return [ACK];
      case 0xfe: return s.lastSent;
      case 0xff: this.reset(); return [ACK, SELF_TEST_PASSED, 0];
      default: return [RESEND];
    }
  }

  private setRate(value: number): readonly number[] {
    const s = this.state;
    s.rate = value;
    s.rates = [...s.rates.slice(-2), value];
    const sequence = s.rates.join();
    if (sequence === '200,100,80' && s.id === 0) s.id = 3;
    if (sequence === '200,200,80') s.id = 4;
    return [ACK];
  }

  /** Set-defaults leaves the wheel awake. */
  private setDefaults(): void {
    const { id, buttons } = this.state;
    this.state = { ...Ps2Mouse.defaults(), id, buttons };
  }

  private forget(): void {
    this.state.x = this.state.y = this.state.wheel = 0;
  }

  /** First byte of the status report. */
  get status(): number {
    const s = this.state;
    // Right, middle, left: another order than in packets.
    const buttons = (s.buttons & 1) << 2 | (s.buttons & 4) >> 1 | (s.buttons & 2) >> 1;
    return (s.remote ? 0x40 : 0) | (s.reporting ? 0x20 : 0) | (s.scaling ? 0x10 : 0) | buttons;
  }
}
