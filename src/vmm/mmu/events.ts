/** The room's counters in the state page, and the histogram of hidden page faults by guest instruction. */
import { counterAddress, type CounterId } from '../cpu/counters';

/** Instructions that the histogram tells apart; later ones share {@link FaultHistogram.overflow}. */
export const HISTOGRAM_ENTRIES = 4096;

export class EventCounters {
  private readonly words: Uint32Array;

  constructor(memory: WebAssembly.Memory) {
    this.words = new Uint32Array(memory.buffer);
  }

  /** Index for {@link count}. */
  static index(id: CounterId): number {
    return counterAddress(id) >>> 2;
  }

  /** Adds to a counter (u64). */
  add(index: number, amount: number): void {
    const sum = this.words[index] + amount;
    this.words[index] = sum;
    if (sum > 0xffffffff) {
      this.words[index + 1]++;
    }
  }

  /** Adds one to a counter. */
  count(index: number): void {
    if (++this.words[index] === 0) {
      this.words[index + 1]++;
    }
  }
}

export class FaultHistogram {
  private readonly counts = new Map<number, number>();
  /** Faults of instructions beyond the first {@link HISTOGRAM_ENTRIES}. */
  overflow = 0;

  add(instruction: number): void {
    const count = this.counts.get(instruction);
    if (count !== undefined) {
      this.counts.set(instruction, count + 1);
    } else if (this.counts.size < HISTOGRAM_ENTRIES) {
      this.counts.set(instruction, 1);
    } else {
      this.overflow++;
    }
  }

  /** The `most` instructions with the most faults, most first. */
  top(most: number): { linear: number; count: number }[] {
    return [...this.counts].map(([linear, count]) => ({ linear, count })).sort((a, b) => b.count - a.count || a.linear - b.linear).slice(0, most);
  }

  clear(): void {
    this.counts.clear();
    this.overflow = 0;
  }
}
