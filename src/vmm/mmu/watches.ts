/**
 * Watches on linear addresses: data breakpoints of the debugger and of the guest's debug registers. A watched linear page is withheld from
 * all lookup tables, so that every access to it comes to the slow path, which asks here.
 */
import { LINEAR_WATCHES } from '../cpu/layout';
import type { LookupTables } from './lookup';

/** Told after an access of `length` bytes at `linear` that touches the watched bytes has been carried out. */
export type WatchHandler = (linear: number, length: number) => void;

export interface WatchHandle {
  remove(): void;
}

interface Watch {
  readonly linear: number;
  readonly length: number;
  readonly onRead: WatchHandler | undefined;
  readonly onWrite: WatchHandler | undefined;
}

const LARGEST = 4096;

export class LinearWatches {
  /** Where linear addresses of the space in force wrap: a power of two. */
  wrap = 2 ** 32;
  private watches: readonly Watch[] = [];

  constructor(private readonly lookup: LookupTables, private readonly words: Int32Array) {
    this.count = 0;
  }

  /** Zero is the common case and all that hot paths look at. */
  get count(): number {
    return this.words[LINEAR_WATCHES >>> 2];
  }

  private set count(count: number) {
    this.words[LINEAR_WATCHES >>> 2] = count;
  }

  /** Watches `length` bytes (1 to 4096, may wrap at the end of the address space). Throws RangeError for another length. */
  watchLinear(linear: number, length: number, onRead: WatchHandler | undefined, onWrite: WatchHandler | undefined): WatchHandle {
    if (!Number.isInteger(length) || length < 1 || length > LARGEST) {
      throw new RangeError(`Watch of ${length} bytes at ${linear.toString(16)}: the length must be 1 to ${LARGEST}`);
    }
    const watch: Watch = { linear, length, onRead, onWrite };
    this.watches = [...this.watches, watch];
    this.count = this.watches.length;
    this.lookup.dropLinear(Math.floor(linear / 4096));
    // The address space may become another one while the watch is set.
    for (const wrap of [2 ** 32, 2 ** 48]) {
      this.lookup.dropLinear(Math.floor(((linear + length - 1) % wrap) / 4096));
    }
    return {
      remove: () => {
        this.watches = this.watches.filter((w) => w !== watch);
        this.count = this.watches.length;
      },
    };
  }

  private lastPage({ linear, length }: Watch): number {
    return Math.floor(((linear + length - 1) % this.wrap) / 4096);
  }

  /** Is any byte of the page watched? */
  covers(linearPage: number): boolean {
    return this.watches.some((watch) => Math.floor(watch.linear / 4096) === linearPage || this.lastPage(watch) === linearPage);
  }

  accessed(linear: number, length: number, write: boolean): void {
    for (const watch of this.watches) {
      if (this.overlaps(linear, length, watch.linear, watch.length) || this.overlaps(watch.linear, watch.length, linear, length)) {
        const handler = write ? watch.onWrite : watch.onRead;
        handler?.(linear, length);
      }
    }
  }

  /** Whether two ranges have a byte in common; the first may wrap. */
  private overlaps(first: number, length: number, second: number, secondLength: number): boolean {
    const end = first + length;
    return (first < second + secondLength && second < end) || (first < this.wrap && second < end - this.wrap);
  }
}
