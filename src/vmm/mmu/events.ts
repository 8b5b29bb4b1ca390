/** The room's counters in the state page, and the histogram of hidden page faults by guest instruction. */
import { HIDDEN_FAULTS, HIDDEN_FAULTS_NOTED } from '../cpu/layout';
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

/** Places of the histogram's hash table: twice as many as entries, so that a search ends soon. */
const PLACES = 2 * HISTOGRAM_ENTRIES;
const NOWHERE = -1;

export class FaultHistogram {
  /** By hash: an instruction's address, and how often it faulted. (A Map allocates for every address above 2^30.) */
  private readonly instructions = new Float64Array(PLACES).fill(NOWHERE);
  private readonly counts = new Float64Array(PLACES);
  private entries = 0;
  /** Faults of instructions beyond the first {@link HISTOGRAM_ENTRIES}. */
  overflow = 0;

  /** `words`: the machine's memory, where WebAssembly notes the faults that it serves. */
  constructor(private readonly words: Int32Array) {
    words[HIDDEN_FAULTS_NOTED >>> 2] = 0;
  }

  private takeNotes(): void {
    const noted = this.words[HIDDEN_FAULTS_NOTED >>> 2];
    for (let n = 0; n < noted; n++) this.addOne(this.words[(HIDDEN_FAULTS >>> 2) + n] >>> 0);
    this.words[HIDDEN_FAULTS_NOTED >>> 2] = 0;
  }

  add(instruction: number): void {
    this.takeNotes();
    this.addOne(instruction);
  }

  private addOne(instruction: number): void {
    let place = (Math.imul(instruction | 0, 0x9e3779b1) >>> 16) & (PLACES - 1);
    while (this.instructions[place] !== instruction) {
      if (this.instructions[place] === NOWHERE) {
        if (this.entries === HISTOGRAM_ENTRIES) {
          this.overflow++;
          return;
        }
        this.entries++;
        this.instructions[place] = instruction;
        break;
      }
      place = (place + 1) & (PLACES - 1);
    }
    this.counts[place]++;
  }

  /** The `most` instructions with the most faults, most first. */
  top(most: number): { linear: number; count: number }[] {
    this.takeNotes();
    return Array.from(this.instructions, (linear, place) => ({ linear, count: this.counts[place] })).filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count || a.linear - b.linear).slice(0, most);
  }
}
