/**
 * Conversion between the instruction count and the ticks of a device's own oscillator, exact over the whole range of safe integers.
 * The tick number at count `n` is floor(n * hertz / instructionsPerSecond).
 */
import type { Clock } from './device';

export class Timebase {
  constructor(private readonly clock: Clock, readonly hertz: number) {}

  /** Ticks of the oscillator since power-on. */
  now(): number {
    return this.ticksAt(this.clock.now());
  }

  ticksAt(count: number): number {
    const rate = this.clock.instructionsPerSecond;
    const seconds = Math.floor(count / rate);
    return seconds * this.hertz + Math.floor(((count - seconds * rate) * this.hertz) / rate);
  }

  /** The first instruction count at which `tick` has been reached: ticksAt(countAt(t)) >= t and ticksAt(countAt(t) - 1) < t. */
  countAt(tick: number): number {
    const rate = this.clock.instructionsPerSecond;
    const seconds = Math.floor(tick / this.hertz);
    return seconds * rate + Math.ceil(((tick - seconds * this.hertz) * rate) / this.hertz);
  }
}
