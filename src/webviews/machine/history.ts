/** The counters over time: the last samples, rates between them, and the line that the plot draws. Pure. */
import type { CounterSample } from '../../protocol/messages';

export interface Rate {
  readonly atMilliseconds: number;
  readonly perSecond: number;
}

/** Rates over less time than this tell of the clock, not of the guest. */
const leastMilliseconds = 40;

export class CounterHistory {
  private samples: CounterSample[] = [];

  constructor(private readonly capacity = 300) {}

  clear(): void {
    this.samples = [];
  }

  /** A sample of an earlier time than the last one means that the machine began anew. */
  add(sample: CounterSample): void {
    const last = this.samples.at(-1), before = this.samples.at(-2);
    if (last && sample.hostMilliseconds < last.hostMilliseconds) this.samples = [];
    // Steps run for microseconds: the newest sample moves on until it is worth a rate of its own.
    else if (last && before && last.hostMilliseconds - before.hostMilliseconds < leastMilliseconds) this.samples.pop();
    this.samples.push(sample);
    if (this.samples.length > this.capacity) this.samples.shift();
  }

  get last(): CounterSample | undefined {
    return this.samples.at(-1);
  }

  /** Increments per second of host time between neighbouring samples. */
  rates(id: string): Rate[] {
    const rates: Rate[] = [];
    for (let i = 1; i < this.samples.length; i++) {
      const [a, b] = [this.samples[i - 1], this.samples[i]];
      if (b.hostMilliseconds - a.hostMilliseconds < leastMilliseconds) continue;
      const increments = Math.max(0, (b.values[id] ?? 0) - (a.values[id] ?? 0));
      rates.push({ atMilliseconds: b.hostMilliseconds, perSecond: increments * 1000 / (b.hostMilliseconds - a.hostMilliseconds) });
    }
    return rates;
  }
}

/** Points of an SVG polyline in a box of width × height; time goes right, the greatest rate touches the top. */
export function plotPoints(rates: readonly Rate[], width: number, height: number): string {
  if (rates.length < 2) return '';
  const from = rates[0].atMilliseconds;
  const span = rates.at(-1)!.atMilliseconds - from;
  const most = Math.max(...rates.map((rate) => rate.perSecond), Number.MIN_VALUE);
  return rates.map((rate) => `${((rate.atMilliseconds - from) / span * width).toFixed(1)},${(height - rate.perSecond / most * height).toFixed(1)}`).join(' ');
}

/** A count for a table: 1 234 567 with thin spaces. */
export function groupDigits(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A rate in three significant digits: 12.3 M/s. */
export function formatRate(perSecond: number): string {
  for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['k', 1e3]] as const) {
    if (perSecond >= size) return `${(perSecond / size).toPrecision(3)} ${unit}/s`;
  }
  return `${perSecond < 10 ? perSecond.toFixed(1).replace(/\.0$/, '') : Math.round(perSecond)} /s`;
}
