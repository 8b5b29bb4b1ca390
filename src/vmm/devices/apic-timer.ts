/**
 * The timer of a local APIC: one-shot and periodic counts of a divided bus clock, and the TSC deadline (SDM Vol. 3, 10.5.4).
 * The count is computed when somebody reads it; the clock is only asked to call back at its end.
 */
import type { Clock, TimerHandle } from './device';
import { Timebase } from './timebase';

/** The clock before the divisor. Systems measure it: nothing announces it. */
export const APIC_BUS_HERTZ = 100_000_000;

export const enum TimerMode { OneShot = 0, Periodic = 1, Deadline = 2 }

interface TimerState {
  mode: TimerMode;
  divide: number;
  initial: number;
  /** Tick of the bus clock at which the count began. */
  start: number;
  /** A count runs. */
  armed: boolean;
  /** IA32_TSC_DEADLINE in hexadecimal digits; '0' while disarmed. */
  deadline: string;
}

export class ApicTimer {
  private state: TimerState = ApicTimer.afterReset();
  private readonly timebase: Timebase;
  private pending: TimerHandle | undefined;

  /** @param timeStamp the processor's time-stamp counter; @param expired called at the end of each count. */
  constructor(private readonly clock: Clock, private readonly timeStamp: () => bigint, private readonly expired: () => void) {
    this.timebase = new Timebase(clock, APIC_BUS_HERTZ);
  }

  private static afterReset(): TimerState {
    return { mode: TimerMode.OneShot, divide: 0, initial: 0, start: 0, armed: false, deadline: '0' };
  }

  reset(): void {
    this.state = ApicTimer.afterReset();
    this.schedule();
  }

  /** Divide configuration register: bits 3, 1 and 0. */
  get divide(): number {
    return this.state.divide;
  }

  set divide(value: number) {
    const left = this.current;
    this.state.divide = value & 0xb;
    // What is left is counted on at the new rate.
    if (this.state.armed) this.state.start = this.timebase.now() - (this.state.initial - left) * this.divisor;
    this.schedule();
  }

  private get divisor(): number {
    const { divide } = this.state;
    return 1 << ((((divide >> 1) & 4 | divide & 3) + 1) & 7);
  }

  set mode(mode: TimerMode) {
    const { state } = this;
    if (mode === state.mode) return;
    // To or from the deadline mode disarms (10.5.4.1).
    if (mode === TimerMode.Deadline || state.mode === TimerMode.Deadline) Object.assign(state, { armed: false, initial: 0, deadline: '0' });
    state.mode = mode;
    this.schedule();
  }

  get initial(): number {
    return this.state.initial;
  }

  set initial(value: number) {
    const { state } = this;
    if (state.mode === TimerMode.Deadline) return;
    state.initial = value >>> 0;
    state.start = this.timebase.now();
    state.armed = state.initial !== 0;
    this.schedule();
  }

  get current(): number {
    const { armed, initial, start, mode } = this.state;
    if (!armed) return 0;
    const elapsed = Math.floor((this.timebase.now() - start) / this.divisor);
    return mode === TimerMode.Periodic ? initial - elapsed % initial : Math.max(0, initial - elapsed);
  }

  /** IA32_TSC_DEADLINE. */
  get deadline(): bigint {
    return BigInt(`0x${this.state.deadline}`);
  }

  set deadline(value: bigint) {
    if (this.state.mode !== TimerMode.Deadline) return;
    this.state.deadline = value.toString(16);
    this.schedule();
  }

  /** The time-stamp counter was written: a deadline is met at another time now. */
  timeStampChanged(): void {
    if (this.state.mode === TimerMode.Deadline) this.schedule();
  }

  private schedule(): void {
    this.pending?.cancel();
    this.pending = undefined;
    const { state } = this;
    if (state.mode === TimerMode.Deadline) {
      if (state.deadline === '0') return;
      const ahead = this.deadline - this.timeStamp();
      this.callAt(ahead <= 0n ? this.clock.now() : this.clock.now() + Number(ahead), () => {
        state.deadline = '0';
        this.expired();
      });
    } else if (state.armed) {
      const period = state.initial * this.divisor;
      this.callAt(this.timebase.countAt(state.start + period), () => {
        if (state.mode === TimerMode.Periodic) {
          // Periods that are over already count as one.
          state.start += period * Math.max(1, Math.floor((this.timebase.now() - state.start) / period));
          this.schedule();
        } else {
          state.armed = false;
        }
        this.expired();
      });
    }
  }

  private callAt(count: number, callback: () => void): void {
    // Further off than anybody waits: the count would lose its last digits.
    if (count > Number.MAX_SAFE_INTEGER) return;
    this.pending = this.clock.schedule(count, () => {
      this.pending = undefined;
      callback();
    });
  }

  save(): unknown {
    return { ...this.state };
  }

  restore(state: unknown): void {
    this.state = { ...(state as TimerState) };
    this.schedule();
  }
}
