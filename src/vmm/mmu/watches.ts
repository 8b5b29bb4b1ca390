/**
 * Watches on linear addresses: data breakpoints of the debugger and of the guest's debug registers. A watched linear page is withheld from
 * all lookup tables, so that every access to it comes to the slow path, which asks here.
 */
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
  /** Zero is the common case and all that hot paths look at. */
  count = 0;
  private watches: readonly Watch[] = [];

  constructor(private readonly lookup: LookupTables) {}

  /** Watches `length` bytes (1 to 4096, may wrap at 4 GiB). Throws RangeError for another length. */
  watchLinear(linear: number, length: number, onRead: WatchHandler | undefined, onWrite: WatchHandler | undefined): WatchHandle {
    if (!Number.isInteger(length) || length < 1 || length > LARGEST) {
      throw new RangeError(`Watch of ${length} bytes at ${(linear >>> 0).toString(16)}: the length must be 1 to ${LARGEST}`);
    }
    const watch: Watch = { linear: linear >>> 0, length, onRead, onWrite };
    this.watches = [...this.watches, watch];
    this.count = this.watches.length;
    this.lookup.dropLinear(watch.linear >>> 12);
    this.lookup.dropLinear(((watch.linear + length - 1) >>> 0) >>> 12);
    return {
      remove: () => {
        this.watches = this.watches.filter((w) => w !== watch);
        this.count = this.watches.length;
      },
    };
  }

  /** Is any byte of the page watched? */
  covers(linearPage: number): boolean {
    for (const { linear, length } of this.watches) {
      if (linear >>> 12 === linearPage || ((linear + length - 1) >>> 0) >>> 12 === linearPage) {
        return true;
      }
    }
    return false;
  }

  accessed(linear: number, length: number, write: boolean): void {
    for (const watch of this.watches) {
      // Modulo 2^32: either range may wrap.
      if (((linear - watch.linear) >>> 0) < watch.length || ((watch.linear - linear) >>> 0) < length) {
        const handler = write ? watch.onWrite : watch.onRead;
        handler?.(linear, length);
      }
    }
  }
}
