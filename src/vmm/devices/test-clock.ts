/** A clock for tests that only moves when told: devices run alone, without a machine. */
import type { Clock, TimerHandle } from './device';

interface Entry {
  readonly at: number;
  readonly callback: () => void;
}

export class TestClock implements Clock {
  private time = 0;
  private entries: Entry[] = [];

  constructor(readonly instructionsPerSecond = 1_000_000) {}

  now(): number {
    return this.time;
  }

  schedule(at: number, callback: () => void): TimerHandle {
    const entry: Entry = { at, callback };
    const position = this.entries.findIndex((other) => other.at > at);
    this.entries.splice(position < 0 ? this.entries.length : position, 0, entry);
    return { cancel: () => { this.entries = this.entries.filter((other) => other !== entry); } };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.entries.length;
  }

  advance(instructions: number): void {
    this.advanceTo(this.time + instructions);
  }

  advanceSeconds(seconds: number): void {
    this.advance(Math.round(seconds * this.instructionsPerSecond));
  }

  advanceTo(count: number): void {
    for (let entry = this.entries[0]; entry !== undefined && entry.at <= count; entry = this.entries[0]) {
      this.entries.shift();
      this.time = Math.max(this.time, entry.at);
      entry.callback();
    }
    this.time = Math.max(this.time, count);
  }
}
