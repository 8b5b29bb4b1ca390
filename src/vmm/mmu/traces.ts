/**
 * Memory traces: one mechanism by which the monitor learns of writes to memory that it has derived something from (memory_trace of the
 * literature). A frame with a trace is withheld from every write table, so that its writes come to the slow path; there the trace's own
 * range, finer than the page, decides whether anybody is told. Whoever is told is told after the bytes have changed.
 *
 * Code has a form of its own, a bitmap of 64-byte granules per frame: thousands of traced ranges on a page cost nothing. A frame with no
 * other trace is guarded instead of withheld: threaded code tests the bitmap itself, and data next to code does not come here.
 * Page tables are whole frames, owned by the shadow.
 */
import { CODE_GRANULES } from '../cpu/layout';
import type { LookupTables } from './lookup';
import {
  INTERCEPT_CODE, INTERCEPT_PAGE_TABLE, INTERCEPT_RANGE, INTERCEPT_WATCH, type PhysicalMemory, type WriteObserver,
} from './physical-memory';
import type { TraceKind } from './types';

export const CODE_GRANULE_BYTES = 64;

/** Told of a write (kind `watch`: also of a read) that overlaps the traced range; address and length are the access's own. */
export type TraceHandler = (gpa: number, length: number, access: 'read' | 'write') => void;

export interface TraceHandle {
  readonly kind: TraceKind;
  remove(): void;
}

interface RangeTrace extends TraceHandle {
  readonly first: number;
  readonly last: number;
  readonly handler: TraceHandler;
}

/** Bits first…last of the 32 granules that start at `base`, as a word. */
function granuleMask(first: number, last: number, base: number): number {
  const low = Math.max(first - base, 0), high = Math.min(last - base, 31);
  return low > high ? 0 : (-1 << low) & (-1 >>> (31 - high));
}

export class Traces implements WriteObserver {
  /** The translator's: bytes of traced code granules were written. */
  onCodeWrite: (gpa: number, length: number) => void = () => { /* nothing is translated yet */ };
  /** The shadow's: entries first…last (by 4-byte index) of a page-table frame were written. */
  onPageTableWrite: (frame: number, firstIndex: number, lastIndex: number) => void = () => { /* no page table is shadowed yet */ };

  /** Two words per frame: granules 0–31 and 32–63. */
  private readonly codeGranules: Int32Array;
  private readonly ranges = new Map<number, RangeTrace[]>();

  constructor(private readonly physical: PhysicalMemory, private readonly lookup: LookupTables) {
    this.codeGranules = physical.words.subarray(CODE_GRANULES >>> 2, (CODE_GRANULES >>> 2) + physical.frameCount * 2);
    this.codeGranules.fill(0);
    physical.observer = this;
  }

  private intercept(frame: number, bit: number): void {
    const before = this.physical.intercepts[frame];
    this.physical.intercepts[frame] = before | bit;
    if (bit === INTERCEPT_WATCH) {
      this.lookup.withhold(frame);
    } else if (bit === INTERCEPT_CODE) {
      if (before === 0) {
        this.lookup.guardWrites(frame);
      }
    } else if ((before & ~INTERCEPT_CODE) === 0) {
      this.lookup.withholdWrites(frame);
    }
    if (bit === INTERCEPT_CODE && (before & bit) === 0) {
      // A jump to translated code asks only whether its page can be read: where it may not be executed, it must not be.
      this.lookup.withholdNoExecute(frame);
    }
  }

  private release(frame: number, bit: number): void {
    this.physical.intercepts[frame] &= ~bit;
  }

  // Page tables.

  tracePageTable(frame: number): void {
    this.intercept(frame, INTERCEPT_PAGE_TABLE);
  }

  untracePageTable(frame: number): void {
    this.release(frame, INTERCEPT_PAGE_TABLE);
  }

  // Code. Addresses are those of the RAM page behind the code, as fetchPage names it: no gate or window may change their meaning later.

  /** Traces the granules that hold bytes first…last. Bytes outside RAM cannot be written and need no trace. */
  traceCode(gpaFirst: number, gpaLast: number): void {
    this.eachCodeFrame(gpaFirst, gpaLast, (frame, first, last) => {
      this.codeGranules[frame * 2] |= granuleMask(first, last, 0);
      this.codeGranules[frame * 2 + 1] |= granuleMask(first, last, 32);
      this.intercept(frame, INTERCEPT_CODE);
    });
  }

  /** Ends the trace on the granules that hold bytes first…last, whoever else has code in them. */
  untraceCode(gpaFirst: number, gpaLast: number): void {
    this.eachCodeFrame(gpaFirst, gpaLast, (frame, first, last) => {
      this.codeGranules[frame * 2] &= ~granuleMask(first, last, 0);
      this.codeGranules[frame * 2 + 1] &= ~granuleMask(first, last, 32);
      if ((this.codeGranules[frame * 2] | this.codeGranules[frame * 2 + 1]) === 0) {
        this.release(frame, INTERCEPT_CODE);
      }
    });
  }

  /** Ends all code traces of a page. */
  untraceCodePage(page: number): void {
    this.untraceCode(page * 4096, page * 4096 + 4095);
  }

  private eachCodeFrame(gpaFirst: number, gpaLast: number, visit: (frame: number, first: number, last: number) => void): void {
    const firstPage = Math.floor(gpaFirst / 4096), lastPage = Math.floor(gpaLast / 4096);
    for (let frame = firstPage; frame <= lastPage && frame < this.physical.frameCount; frame++) {
      const first = frame === firstPage ? (gpaFirst % 4096) >>> 6 : 0;
      const last = frame === lastPage ? (gpaLast % 4096) >>> 6 : 63;
      visit(frame, first, last);
    }
  }

  // Any other range.

  /**
   * Traces bytes first…last (guest-physical, inclusive). A `watch` sees reads too. Throws RangeError when no RAM or ROM backs the range:
   * accesses to devices are seen by the devices.
   */
  memoryTrace(gpaFirst: number, gpaLast: number, kind: TraceKind, handler: TraceHandler): TraceHandle {
    const firstPage = Math.floor(gpaFirst / 4096), lastPage = Math.floor(gpaLast / 4096);
    const frames: number[] = [];
    for (let page = firstPage; page <= lastPage; page++) {
      const frame = this.physical.frameOf(page);
      if (frame < 0) {
        throw new RangeError(`Trace of ${gpaFirst.toString(16)}–${gpaLast.toString(16)}: no memory at ${(page * 4096).toString(16)}`);
      }
      frames.push(frame);
    }
    const pieces: { readonly frame: number; readonly trace: RangeTrace }[] = [];
    const bit = kind === 'watch' ? INTERCEPT_WATCH : INTERCEPT_RANGE;
    const remove = (): void => {
      for (const { frame, trace } of pieces) {
        const others = (this.ranges.get(frame) ?? []).filter((t) => t !== trace);
        if (others.length === 0) {
          this.ranges.delete(frame);
        } else {
          this.ranges.set(frame, others);
        }
        if (!others.some((t) => (t.kind === 'watch') === (kind === 'watch'))) {
          this.release(frame, bit);
        }
      }
    };
    frames.forEach((frame, i) => {
      // Ranges are kept in terms of the frame, so that a write through any page that shows it is found.
      const first = frame * 4096 + (i === 0 ? gpaFirst % 4096 : 0);
      const last = frame * 4096 + (i === frames.length - 1 ? gpaLast % 4096 : 4095);
      const trace: RangeTrace = { kind, first, last, handler, remove };
      pieces.push({ frame, trace });
      // A new list each time: a handler may add or remove traces while a list is being visited.
      this.ranges.set(frame, [...(this.ranges.get(frame) ?? []), trace]);
      this.intercept(frame, bit);
    });
    return { kind, remove };
  }

  // Accesses.

  written(frame: number, offset: number, length: number, intercepts: number): void {
    const last = offset + length - 1;
    if ((intercepts & INTERCEPT_CODE) !== 0) {
      const first = offset >>> 6;
      const hit = (this.codeGranules[frame * 2] & granuleMask(first, last >>> 6, 0)) | (this.codeGranules[frame * 2 + 1] & granuleMask(first, last >>> 6, 32));
      if (hit !== 0) {
        this.onCodeWrite(frame * 4096 + offset, length);
      }
    }
    if ((intercepts & INTERCEPT_PAGE_TABLE) !== 0) {
      this.onPageTableWrite(frame, offset >>> 2, last >>> 2);
    }
    if ((intercepts & (INTERCEPT_RANGE | INTERCEPT_WATCH)) !== 0) {
      this.tellRanges(frame, offset, length, 'write');
    }
  }

  /** A read of a watched frame. */
  wasRead(frame: number, offset: number, length: number): void {
    this.tellRanges(frame, offset, length, 'read');
  }

  private tellRanges(frame: number, offset: number, length: number, access: 'read' | 'write'): void {
    const gpa = frame * 4096 + offset;
    const list = this.ranges.get(frame);
    if (list !== undefined) {
      for (const trace of list) {
        if (gpa <= trace.last && gpa + length - 1 >= trace.first && (access === 'write' || trace.kind === 'watch')) {
          trace.handler(gpa, length, access);
        }
      }
    }
  }
}
