/**
 * Memory virtualization as the rest of the monitor sees it: one object that owns guest-physical memory, the shadow lookup tables, traces,
 * watches and the slow paths of memory access.
 */
import { MemoryAccess, type FetchPage } from './access';
import { EventCounters, FaultHistogram } from './events';
import { LookupTables } from './lookup';
import { mappedRanges, type MappedRange } from './address-space';
import { translateForDebugger, type DebugTranslation } from './debug-walk';
import { PagingRegisters } from './page-walk';
import { PhysicalMemory, type PhysicalOptions } from './physical-memory';
import { ShadowPaging, type SpaceSummary } from './shadow';
import { Traces, type TraceHandle, type TraceHandler } from './traces';
import type { AccessBytes, LinearMemory, PagingState, Privilege, TraceKind } from './types';
import { LinearWatches, type WatchHandle, type WatchHandler } from './watches';

export interface MmuOptions extends PhysicalOptions {
  /** 32: no PSE-36. 36 (default) to 40: PSE-36 with that many physical address bits. */
  readonly physicalAddressBits?: number;
  /** 4-level paging has pages of 1 GiB (default). */
  readonly gigabytePages?: boolean;
}

export class Mmu implements LinearMemory {
  readonly physical: PhysicalMemory;
  readonly lookup: LookupTables;
  readonly traces: Traces;
  readonly watches: LinearWatches;
  readonly shadow: ShadowPaging;
  readonly access: MemoryAccess;
  private readonly histogram: FaultHistogram;

  /** Starts with paging off and those lookup tables in force. Throws RangeError for regions that make no sense. */
  constructor(memory: WebAssembly.Memory, options: MmuOptions) {
    const counters = new EventCounters(memory);
    this.physical = new PhysicalMemory(memory, options);
    this.histogram = new FaultHistogram(this.physical.words);
    this.lookup = new LookupTables(memory, this.physical.frameCount);
    this.traces = new Traces(this.physical, this.lookup);
    this.watches = new LinearWatches(this.lookup, this.physical.words);
    this.shadow = new ShadowPaging(
      memory, this.physical, this.lookup, this.traces, this.watches, counters, this.histogram,
      new PagingRegisters(options.physicalAddressBits ?? 36, options.gigabytePages ?? true, this.physical.words),
    );
    this.access = new MemoryAccess(this.physical, this.lookup, this.shadow, this.traces, this.watches, counters);
  }

  /** Who is executing, for the histogram of hidden page faults: the linear address of the guest instruction at hand. */
  set instructionAddress(callback: () => number) {
    this.shadow.instructionAddress = callback;
  }

  /** The translator's: code in traced granules was written; called after the bytes have changed. */
  set onCodeWrite(callback: (gpa: number, length: number) => void) {
    this.traces.onCodeWrite = callback;
  }

  /** Raises #AC (throws): a program's access is not aligned and has to be. Called after its page was found to permit it. */
  set onMisaligned(callback: (linear: number, bytes: number) => void) {
    this.access.misaligned = callback;
  }

  /** To be called whenever what a PagingState holds may have changed; cheap when the tables in force stay. */
  activate(state: PagingState): void {
    this.shadow.activate(state);
  }

  /** Forgets all translations, for memory that was replaced without the traces seeing it (a restored snapshot). */
  flush(): void {
    this.shadow.flush();
  }

  setA20(enabled: boolean): void {
    this.physical.setA20(enabled);
  }

  hostPage(gpaPage: number): number {
    return this.physical.hostPage(gpaPage);
  }

  // Accesses; see MemoryAccess.

  readSlow(linear: number, bytes: AccessBytes): number {
    return this.access.readSlow(linear, bytes);
  }

  writeSlow(linear: number, bytes: AccessBytes, value: number, valueHigh?: number): void {
    this.access.writeSlow(linear, bytes, value, valueHigh);
  }

  probeWriteSlow(linear: number, bytes: number): void {
    this.access.probeWriteSlow(linear, bytes);
  }

  read(linear: number, bytes: 1 | 2 | 4, user: Privilege): number {
    return this.access.read(linear, bytes, user);
  }

  write(linear: number, bytes: 1 | 2 | 4, value: number, user: Privilege): void {
    this.access.write(linear, bytes, value, user);
  }

  probeWrite(linear: number, bytes: number, user: Privilege): void {
    this.access.probeWrite(linear, bytes, user);
  }

  fetchPage(linear: number): FetchPage {
    return this.access.fetchPage(linear);
  }

  // Traces and watches.

  memoryTrace(gpaFirst: number, gpaLast: number, kind: TraceKind, handler: TraceHandler): TraceHandle {
    return this.traces.memoryTrace(gpaFirst, gpaLast, kind, handler);
  }

  traceCode(gpaFirst: number, gpaLast: number): void {
    this.traces.traceCode(gpaFirst, gpaLast);
  }

  untraceCode(gpaFirst: number, gpaLast: number): void {
    this.traces.untraceCode(gpaFirst, gpaLast);
  }

  untraceCodePage(gpaPage: number): void {
    this.traces.untraceCodePage(gpaPage);
  }

  watchLinear(linear: number, length: number, onRead: WatchHandler | undefined, onWrite: WatchHandler | undefined): WatchHandle {
    return this.watches.watchLinear(linear, length, onRead, onWrite);
  }

  // For people who look: nothing here sets an A bit, fills a table or reaches a device.

  translateForDebugger(linear: number): DebugTranslation {
    return translateForDebugger(this.physical, this.shadow.paging, linear);
  }

  /** What is mapped from a linear address on; see address-space.ts. */
  mappedRanges(from: number, most: number): { ranges: MappedRange[]; next?: number } {
    return mappedRanges(this.physical, this.shadow.paging, from, most);
  }

  /** Up to `count` bytes of linear memory: fewer when a page is unmapped or not memory. */
  debugRead(linear: number, count: number): Uint8Array {
    const result = new Uint8Array(count);
    const done = this.eachDebugPage(linear, count, (gpa, at, length) => {
      const host = this.physical.hostPage(Math.floor(gpa / 4096));
      if (host < 0) {
        return false;
      }
      const start = host + (gpa % 4096);
      result.set(this.physical.bytes.subarray(start, start + length), at);
      return true;
    });
    return done === count ? result : result.slice(0, done);
  }

  /** Writes linear memory whatever its protection, ROM included; traces see it. Returns the bytes written. */
  debugWrite(linear: number, bytes: Uint8Array): number {
    return this.eachDebugPage(linear, bytes.length, (gpa, at, length) => {
      if (this.physical.hostPage(Math.floor(gpa / 4096)) < 0) {
        return false;
      }
      this.physical.patch(gpa, bytes.subarray(at, at + length));
      return true;
    });
  }

  private eachDebugPage(linear: number, count: number, visit: (gpa: number, at: number, length: number) => boolean): number {
    let at = 0;
    while (at < count) {
      const here = this.shadow.wide ? (linear + at) % 2 ** 48 : (linear + at) >>> 0;
      const length = Math.min(4096 - (here & 0xfff), count - at);
      const { gpa } = this.translateForDebugger(here);
      if (gpa === undefined || !visit(gpa, at, length)) {
        break;
      }
      at += length;
    }
    return at;
  }

  /** Guest instructions (linear) with the most hidden page faults. */
  hiddenPageFaults(most: number): { linear: number; count: number }[] {
    return this.histogram.top(most);
  }

  /** The address spaces that have lookup tables, most recently used first. */
  spaces(): SpaceSummary[] {
    return this.shadow.summary();
  }
}
