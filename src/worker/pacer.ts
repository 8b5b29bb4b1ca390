/**
 * How much of the guest runs at a time: slices of about ten milliseconds of host time, and in real time never ahead of the wall clock.
 */

/** Host milliseconds of one slice: short enough that a pause is answered at once, long enough that the loop costs nothing. */
export const sliceMilliseconds = 10;
/** A guest that is slower than its clock is not made to catch up by more than this: bursts would be worse than lost time. */
const maximumLagMilliseconds = 100;
/** Ahead of the wall clock by less than this is not worth a timer. */
const minimumAllowanceMilliseconds = 1;

const smallestBudget = 1000;
const largestBudget = 50_000_000;

export class Pacer {
  /** Instructions that are expected to take one slice. */
  private budget = 20_000;
  private anchorTime = 0;
  private anchorCount = 0;

  constructor(private readonly pace: 'realtime' | 'max', private readonly instructionsPerSecond: number) {}

  /** The wall clock and the virtual clock agree now: at the start, and after every pause. */
  anchor(now: number, count: number): void {
    this.anchorTime = now;
    this.anchorCount = count;
  }

  /** The instruction count that the wall clock has reached; as good as infinite when the pace is not bound to it. */
  countAt(now: number): number {
    if (this.pace === 'max') return Number.MAX_SAFE_INTEGER;
    return Math.floor(this.anchorCount + ((now - this.anchorTime) * this.instructionsPerSecond) / 1000);
  }

  /** Instructions to run now; 0 when the guest is to sleep for {@link millisecondsUntil} a little later count. */
  allowance(now: number, count: number): number {
    if (this.pace === 'max') return this.budget;
    const lag = ((this.countAt(now) - count) * 1000) / this.instructionsPerSecond;
    if (lag < minimumAllowanceMilliseconds) return 0;
    if (lag > maximumLagMilliseconds) this.anchor(now - maximumLagMilliseconds, count);
    return Math.max(1, Math.min(this.budget, this.countAt(now) - count));
  }

  /** Host milliseconds until the wall clock reaches a count. */
  millisecondsUntil(count: number, now: number): number {
    if (this.pace === 'max') return 0;
    return Math.max(0, ((count - this.countAt(now)) * 1000) / this.instructionsPerSecond);
  }

  /** Host milliseconds that a number of instructions stands for, whatever the pace. */
  duration(instructions: number): number {
    return (instructions * 1000) / this.instructionsPerSecond;
  }

  /** Learns from a run how many instructions fit into a slice. */
  measured(instructions: number, milliseconds: number): void {
    // Short runs (a breakpoint, an idle guest) say nothing about speed.
    if (instructions < this.budget / 2) return;
    const ratio = milliseconds > 0 ? sliceMilliseconds / milliseconds : 2;
    this.budget = Math.round(Math.min(largestBudget, Math.max(smallestBudget, this.budget * Math.min(2, Math.max(0.25, ratio)))));
  }
}
