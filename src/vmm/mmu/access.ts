/**
 * Accesses that the inlined lookup does not serve: misses, page-crossing accesses, device registers, traced and watched memory, and the
 * processor's implicit accesses. Both pages of a crossing access are checked before anything is read or written.
 *
 * The *Slow functions are what threaded code calls; they use the privilege in force. Linear addresses of 32 bits may arrive as signed numbers.
 */
import { RAM, SCRATCH } from '../cpu/layout';
import { EventCounters } from './events';
import { INVALID, type LookupTables } from './lookup';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_USER, ACCESS_WRITE, MODE_ALIGNED, MODE_PAGING, MODE_USER } from './page-walk';
import { INTERCEPT_CODE, INTERCEPT_WATCH, KIND_MMIO, KIND_RAM, type PhysicalMemory } from './physical-memory';
import type { ShadowPaging } from './shadow';
import type { Traces } from './traces';
import type { AccessBytes, LinearMemory, PageFault, Privilege } from './types';
import type { LinearWatches } from './watches';

const TRACE_FAULTS = EventCounters.index('traceFaults');
const MMIO_ACCESSES = EventCounters.index('mmioAccesses');

/** Where instruction bytes are. */
export interface FetchPage {
  /** Host offset of the page's first byte, or -1 when devices or nothing answer there: then read bytes through `physical`. */
  readonly hostPage: number;
  /** Guest-physical page number (address >>> 12) of the RAM page that backs it; without backing, the page on the bus. */
  readonly gpaPage: number;
}

export class MemoryAccess implements LinearMemory {
  /** Vectors on their way between memory and SCRATCH, which a device's registers may use meanwhile. */
  private readonly vector = new Int32Array(4);
  /** Raises #AC for an access that its page permits; the shadow keeps the tables empty while accesses have to be checked. */
  misaligned: (linear: number, bytes: number) => void = () => { /* nobody asks for it yet */ };

  constructor(
    private readonly physical: PhysicalMemory,
    private readonly lookup: LookupTables,
    private readonly shadow: ShadowPaging,
    private readonly traces: Traces,
    private readonly watches: LinearWatches,
    private readonly counters: EventCounters,
  ) {}

  private userAccess(): number {
    return (this.shadow.paging.mode & MODE_USER) !== 0 ? ACCESS_USER : 0;
  }

  /** ACCESS_USER, ACCESS_IMPLICIT, or 0; with paging off privilege means nothing (but for alignment). */
  private accessOf(user: Privilege): number {
    if (user === 'system') {
      return ACCESS_IMPLICIT;
    }
    return user && (this.shadow.paging.mode & (MODE_PAGING | MODE_ALIGNED)) !== 0 ? ACCESS_USER : 0;
  }

  /** The program's misaligned accesses, when they are to be refused. */
  private checkAlignment(linear: number, bytes: number, access: number): void {
    if ((this.shadow.paging.mode & MODE_ALIGNED) !== 0 && (access & ACCESS_USER) !== 0 && (linear & (bytes - 1)) !== 0) {
      this.misaligned(linear, bytes);
    }
  }

  // Threaded code.

  /**
   * The page fault of the last tryRead or tryWrite: those throw one only when the access crosses a page or is wide. Whoever looks takes it away.
   * (To throw costs as much as all the rest of a page fault.)
   */
  failure: PageFault | undefined;

  /** As readSlow. */
  tryRead(linear: number, bytes: AccessBytes): number {
    if (linear < 0) {
      linear >>>= 0;
    }
    if (bytes > 4 || (linear & 0xfff) > 0x1000 - bytes) {
      return this.readSlow(linear, bytes);
    }
    const page = this.shadow.tryResolve(linear, this.userAccess());
    if (page < 0) {
      this.failure = this.shadow.fault;
      return 0;
    }
    this.checkAlignment(linear, bytes, this.userAccess());
    const value = this.readInPage(page, linear & 0xfff, bytes as 1 | 2 | 4);
    if (this.watches.count !== 0) {
      this.watches.accessed(linear, bytes, false);
    }
    return value | 0;
  }

  /** As writeSlow, of up to 8 bytes. */
  tryWrite(linear: number, bytes: AccessBytes, value: number, valueHigh = 0): void {
    if (linear < 0) {
      linear >>>= 0;
    }
    if (bytes === 16 || (linear & 0xfff) > 0x1000 - bytes) {
      this.writeSlow(linear, bytes, value, valueHigh);
      return;
    }
    const access = this.userAccess() | ACCESS_WRITE;
    const frame = this.knownFrame(linear, access);
    if (frame >= 0) {
      this.writeFrame(frame, linear & 0xfff, bytes, value, valueHigh);
    } else {
      const page = this.shadow.tryResolve(linear, access);
      if (page < 0) {
        this.failure = this.shadow.fault;
        return;
      }
      this.checkAlignment(linear, bytes, access);
      this.writeInPage(page, linear & 0xfff, bytes, value, valueHigh);
    }
    if (this.watches.count !== 0) {
      this.watches.accessed(linear, bytes, true);
    }
  }

  /** Value as a signed 32-bit number; 8 or 16 bytes: at SCRATCH. Throws PageFault. */
  readSlow(linear: number, bytes: AccessBytes): number {
    if (linear < 0) {
      linear >>>= 0;
    }
    const access = this.userAccess();
    if (bytes !== 8 && bytes !== 16) {
      return this.readAs(linear, bytes, access) | 0;
    }
    const { view } = this.physical;
    // Both pages are checked before a device register is read.
    this.shadow.resolve(linear, access);
    if ((linear & 0xfff) > 0x1000 - bytes) {
      this.shadow.resolve(this.secondPage(linear), access);
    }
    this.checkAlignment(linear, bytes, access);
    for (let at = 0; at < bytes; at += 4) {
      this.vector[at >> 2] = this.readAs(this.behind(linear, at), 4, access);
    }
    for (let at = 0; at < bytes; at += 4) {
      view.setInt32(SCRATCH + at, this.vector[at >> 2], true);
    }
    return this.vector[0];
  }

  /** Throws PageFault before anything is written. 16 bytes are at SCRATCH. */
  writeSlow(linear: number, bytes: AccessBytes, value: number, valueHigh = 0): void {
    if (linear < 0) {
      linear >>>= 0;
    }
    const access = this.userAccess() | ACCESS_WRITE;
    if (bytes === 16) {
      this.writeVector(linear, access);
      return;
    }
    this.writeAs(linear, bytes, value, access, valueHigh);
  }

  private writeVector(linear: number, access: number): void {
    const { view } = this.physical;
    for (let n = 0; n < 4; n++) {
      this.vector[n] = view.getInt32(SCRATCH + 4 * n, true);
    }
    const first = this.shadow.resolve(linear, access);
    const second = (linear & 0xfff) > 0xff0 ? this.shadow.resolve(this.secondPage(linear), access) : first;
    this.checkAlignment(linear, 16, access);
    for (let at = 0; at < 16;) {
      const offset = (linear & 0xfff) + at;
      // A doubleword that crosses the page is written byte by byte.
      const bytes = (offset <= 0xffc || offset >= 0x1000) && at <= 12 ? 4 : 1;
      this.writeInPage(offset < 0x1000 ? first : second, offset & 0xfff, bytes, this.vectorWord(at), 0);
      at += bytes;
    }
    if (this.watches.count !== 0) {
      this.watches.accessed(linear, 16, true);
    }
  }

  /** The doubleword of the vector that begins at byte `at`. */
  private vectorWord(at: number): number {
    const shift = 8 * (at & 3);
    const low = this.vector[at >> 2] >>> shift;
    return shift === 0 ? low : low | (at >> 2 < 3 ? this.vector[(at >> 2) + 1] << (32 - shift) : 0);
  }

  /** Throws PageFault as a write would; A and D bits change as by the write, nothing else. */
  probeWriteSlow(linear: number, bytes: number): void {
    this.probeAs(linear < 0 ? linear >>> 0 : linear, bytes, this.userAccess() | ACCESS_WRITE);
  }

  // LinearMemory: the runtime.

  read(linear: number, bytes: 1 | 2 | 4, user: Privilege): number {
    const access = this.accessOf(user);
    const space = this.shadow.spaceFor(access, linear);
    if ((linear & 0xfff) <= 0x1000 - bytes && space >= 0) {
      const entry = this.lookup.readEntry(space, Math.floor(linear / 4096));
      if (entry !== INVALID) {
        return this.physical.load((entry ^ linear) >>> 0, bytes);
      }
    }
    return this.readAs(linear, bytes, access);
  }

  write(linear: number, bytes: 1 | 2 | 4, value: number, user: Privilege): void {
    const access = this.accessOf(user);
    const space = this.shadow.spaceFor(access, linear);
    if ((linear & 0xfff) <= 0x1000 - bytes && space >= 0) {
      const entry = this.lookup.writeEntry(space, Math.floor(linear / 4096));
      if ((entry & 0xfff) === 0) {
        this.physical.store((entry ^ linear) >>> 0, bytes, value);
        return;
      }
    }
    this.writeAs(linear, bytes, value, access | ACCESS_WRITE);
  }

  probeWrite(linear: number, bytes: number, user: Privilege): void {
    this.probeAs(linear, bytes, this.accessOf(user) | ACCESS_WRITE);
  }

  // Instruction fetch.

  /** The page that instruction bytes at `linear` come from, checked with the privilege in force. Throws PageFault. */
  fetchPage(linear: number): FetchPage {
    const page = this.shadow.resolve(linear < 0 ? linear >>> 0 : linear, this.userAccess() | ACCESS_FETCH);
    const frame = this.physical.frameOf(page);
    return frame < 0 ? { hostPage: -1, gpaPage: this.physical.busPage(page) } : { hostPage: RAM + frame * 4096, gpaPage: frame };
  }

  // The accesses themselves; `access` as in the walk.

  private readAs(linear: number, bytes: 1 | 2 | 4, access: number): number {
    let value: number;
    if ((linear & 0xfff) <= 0x1000 - bytes) {
      const page = this.shadow.resolve(linear, access);
      this.checkAlignment(linear, bytes, access);
      value = this.readInPage(page, linear & 0xfff, bytes);
    } else {
      const first = this.shadow.resolve(linear, access);
      const second = this.shadow.resolve(this.secondPage(linear), access);
      this.checkAlignment(linear, bytes, access);
      value = 0;
      for (let i = 0; i < bytes; i++) {
        const at = (linear & 0xfff) + i;
        value |= (at < 4096 ? this.readInPage(first, at, 1) : this.readInPage(second, at - 4096, 1)) << (8 * i);
      }
      value >>>= 0;
    }
    if (this.watches.count !== 0) {
      this.watches.accessed(linear, bytes, false);
    }
    return value;
  }

  private writeAs(linear: number, bytes: 1 | 2 | 4 | 8, value: number, access: number, valueHigh = 0): void {
    if ((linear & 0xfff) <= 0x1000 - bytes) {
      const frame = this.knownFrame(linear, access);
      if (frame >= 0) {
        this.writeFrame(frame, linear & 0xfff, bytes, value, valueHigh);
      } else {
        const page = this.shadow.resolve(linear, access);
        this.checkAlignment(linear, bytes, access);
        this.writeInPage(page, linear & 0xfff, bytes, value, valueHigh);
      }
    } else {
      this.writeCrossing(linear, bytes, value, valueHigh, access);
    }
    if (this.watches.count !== 0) {
      this.watches.accessed(linear, bytes, true);
    }
  }

  private writeCrossing(linear: number, bytes: number, value: number, valueHigh: number, access: number): void {
    const first = this.shadow.resolve(linear, access);
    const second = this.shadow.resolve(this.secondPage(linear), access);
    this.checkAlignment(linear, bytes, access);
    for (let i = 0; i < bytes; i++) {
      const at = (linear & 0xfff) + i;
      const byte = ((i < 4 ? value : valueHigh) >>> (8 * (i & 3))) & 0xff;
      if (at < 4096) {
        this.writeInPage(first, at, 1, byte, 0);
      } else {
        this.writeInPage(second, at - 4096, 1, byte, 0);
      }
    }
  }

  private probeAs(linear: number, bytes: number, access: number): void {
    const pages = ((linear & 0xfff) + bytes - 1) >>> 12;
    // A write entry, guarded or not, says that the guest's tables allow the write and that its D bit is set.
    const space = pages === 0 ? this.shadow.spaceFor(access & ~ACCESS_WRITE, linear) : -1;
    if (space >= 0 && this.lookup.mayWrite(space, Math.floor(linear / 4096))) {
      return;
    }
    this.shadow.resolve(linear, access);
    for (let i = 1; i <= pages; i++) {
      this.shadow.resolve(this.behind(linear, i * 4096 - (linear & 0xfff)), access);
    }
    // Operands of more than eight bytes have their own rules.
    if (bytes <= 8) {
      this.checkAlignment(linear, bytes, access);
    }
  }

  /**
   * The frame of a write that needs no walk, or -1. A page whose frame is intercepted has no write entry, but the read entry remembers what
   * the guest's tables say: guests write page tables all the time.
   */
  private knownFrame(linear: number, access: number): number {
    const space = this.shadow.spaceFor(access & ~ACCESS_WRITE, linear);
    const linearPage = Math.floor(linear / 4096);
    if (space >= 0 && this.lookup.mayWrite(space, linearPage)) {
      const frame = (((this.lookup.readEntry(space, linearPage) ^ (linearPage << 12)) >>> 0) - RAM) / 4096;
      const intercepts = this.physical.intercepts[frame];
      // Otherwise the walk will fill in the entry that has become possible.
      if ((intercepts & ~INTERCEPT_CODE) !== 0 || (intercepts !== 0 && this.lookup.writeEntry(space, linearPage) !== INVALID)) {
        return frame;
      }
    }
    return -1;
  }

  /** First byte of the next page. */
  private secondPage(linear: number): number {
    return this.behind(linear, 4096 - (linear & 0xfff));
  }

  /** The address `bytes` behind another one of the space in force: wraps at 4 GiB, or at the end of 48 bits. */
  private behind(linear: number, bytes: number): number {
    const at = linear + bytes;
    return at < 2 ** 32 || (at < 2 ** 48 && (this.shadow.wide || linear >= 2 ** 32)) ? at : at % 2 ** 32;
  }

  private readInPage(page: number, offset: number, bytes: 1 | 2 | 4): number {
    const frame = this.physical.frameOf(page);
    if (frame >= 0) {
      const value = this.physical.load(RAM + frame * 4096 + offset, bytes);
      if ((this.physical.intercepts[frame] & INTERCEPT_WATCH) !== 0) {
        this.traces.wasRead(frame, offset, bytes);
      }
      return value;
    }
    if (this.physical.kindOf(page) === KIND_MMIO) {
      this.counters.count(MMIO_ACCESSES);
    }
    return this.physical.readInPage(page, offset, bytes);
  }

  private writeInPage(page: number, offset: number, bytes: 1 | 2 | 4 | 8, value: number, valueHigh: number): void {
    const kind = this.physical.kindOf(page);
    if (kind === KIND_RAM) {
      this.writeFrame(this.physical.frameOf(page), offset, bytes, value, valueHigh);
    } else if (kind === KIND_MMIO) {
      this.writeDevice(page, offset, bytes === 8 ? 4 : bytes, value);
      if (bytes === 8) {
        this.writeDevice(page, offset + 4, 4, valueHigh);
      }
    }
  }

  private writeDevice(page: number, offset: number, bytes: 1 | 2 | 4, value: number): void {
    this.counters.count(MMIO_ACCESSES);
    this.physical.writeInPage(page, offset, bytes, value);
  }

  private writeFrame(frame: number, offset: number, bytes: 1 | 2 | 4 | 8, value: number, valueHigh: number): void {
    this.writeWord(frame, offset, bytes === 8 ? 4 : bytes, value);
    if (bytes === 8) {
      this.writeWord(frame, offset + 4, 4, valueHigh);
    }
  }

  private writeWord(frame: number, offset: number, bytes: 1 | 2 | 4, value: number): void {
    // The whole page is intercepted, as hardware would: the write counts even when it misses the traced bytes.
    if (this.physical.intercepts[frame] !== 0) {
      this.counters.count(TRACE_FAULTS);
    }
    this.physical.writeFrame(frame, offset, bytes, value);
  }
}
