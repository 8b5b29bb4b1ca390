/**
 * Guest-physical memory: which page is RAM, ROM, device registers or nothing, where its bytes are in the machine's WebAssembly.Memory,
 * and the accesses of everything that addresses physically (DMA, BIOS services, loaders, the page walk).
 *
 * Words used throughout this room:
 *  - a *page* is a guest-physical page number (address >>> 12), below 2^28 (physical addresses of up to 40 bits);
 *  - a *frame* is the number of the page of the machine's memory that backs it, counted from the start of RAM, so that two pages which reach the same
 *    bytes are one frame. Traces belong to frames. Frames behind RAM's last one hold ROM images and frame buffers: only windows show them.
 *
 * What a page is, in order: registers of the board's own devices; shadow RAM where the host bridge says so; ROM, holes and RAM; and where there is
 * nothing else, windows that the guest has placed (PCI base address registers).
 *
 * Bytes that nothing backs read as all ones; writes to them and to ROM are dropped.
 */
import { BUS_PAGE_MASK, FRAME_INTERCEPTS, PAGE_FRAMES, PAGE_KINDS, RAM } from '../cpu/layout';

export const KIND_UNMAPPED = 0;
export const KIND_RAM = 1;
export const KIND_ROM = 2;
export const KIND_MMIO = 3;

/** Why writes to a frame are intercepted: bits of {@link PhysicalMemory.intercepts}. Watched frames intercept reads as well. */
export const INTERCEPT_PAGE_TABLE = 1;
export const INTERCEPT_CODE = 2;
export const INTERCEPT_RANGE = 4;
export const INTERCEPT_WATCH = 8;

/** Device registers in guest-physical space; structurally the board's MmioRange. Handlers get the guest-physical address. */
export interface MmioWindow {
  readonly first: number;
  readonly last: number;
  read(address: number, size: 1 | 2 | 4): number;
  write(address: number, value: number, size: 1 | 2 | 4): void;
  /** Many bytes at once, by who is not an instruction; without it they are written one by one. */
  writeBytes?(address: number, bytes: Uint8Array): void;
}

/** A read-only window of whole pages. Its bytes lie `backing` bytes behind the start of RAM (default: its own address), in RAM or behind its end. */
export interface RomWindow {
  readonly first: number;
  readonly last: number;
  readonly backing?: number;
}

/** A window that the guest moves. With `backing` (host address, page-aligned, as the window is) it is plain memory, and the handlers are not called. */
export interface MovableWindow extends MmioWindow {
  readonly backing?: number;
}

/** What accesses to a region of shadow RAM reach: bits; without one the access goes to ROM or the bus. */
export const SHADOW_READ = 1, SHADOW_WRITE = 2;

export interface PhysicalOptions {
  /** A multiple of 4096. */
  readonly ramBytes: number;
  readonly rom?: readonly RomWindow[];
  /** Address ranges (whole pages) that answer nothing although RAM would reach there. */
  readonly holes?: readonly { readonly first: number; readonly last: number }[];
  readonly mmio?: readonly MmioWindow[];
}

/** Told of every write to an intercepted frame, after the bytes have changed. */
export interface WriteObserver {
  written(frame: number, offset: number, length: number, intercepts: number): void;
}

const PAGE_BYTES = 4096;
const PAGES = 0x100000;
const A20_PAGE_BIT = 0x100;
const ALL_PAGES = 0xfffffff;

/** A ROM (pages `first`–`last`, frame of the first one), or with frame -1 a hole. */
interface Region {
  readonly first: number;
  readonly last: number;
  readonly frame: number;
}

function checkPages(what: string, first: number, last: number): void {
  if (!Number.isInteger(first) || !Number.isInteger(last) || first < 0 || last >= PAGES * PAGE_BYTES || first > last || first % PAGE_BYTES !== 0 || (last + 1) % PAGE_BYTES !== 0) {
    throw new RangeError(`${what} ${first.toString(16)}–${last.toString(16)}: must be whole 4 KiB pages below 4 GiB, first before last`);
  }
}

function within<W extends MmioWindow>(windows: readonly W[], address: number): W | undefined {
  for (let i = 0; i < windows.length; i++) {
    const window = windows[i];
    if (address >= window.first && address <= window.last) {
      return window;
    }
  }
  return undefined;
}

export class PhysicalMemory {
  readonly ramBytes: number;
  readonly frameCount: number;
  /** One byte per frame: INTERCEPT bits. Only Traces changes it. */
  readonly intercepts: Uint8Array;
  /** The whole of the machine's memory. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  observer: WriteObserver = { written() { /* nothing is traced yet */ } };
  /** Called after a change of the page map, when every translation derived from it is void. */
  onRemap: () => void = () => { /* nobody translates yet */ };

  private readonly kinds: Uint8Array;
  /** Complements of frame numbers: fresh memory, which is zero, says -1. */
  private readonly frames: Int32Array;
  private readonly windows: MmioWindow[] = [];
  private readonly movable: MovableWindow[] = [];
  /** ROM and holes by page; a later region wins. */
  private readonly regions: Region[] = [];
  /** SHADOW bits of the pages of the first MiB. */
  private readonly shadow = new Uint8Array(0x100);
  private a20 = true;
  private pageMask = ALL_PAGES;

  /** Throws RangeError when a region is not made of pages or RAM does not fit the memory. */
  constructor(memory: WebAssembly.Memory, options: PhysicalOptions) {
    const { ramBytes } = options;
    if (!Number.isInteger(ramBytes) || ramBytes <= 0 || ramBytes % PAGE_BYTES !== 0) {
      throw new RangeError(`ramBytes ${ramBytes}: must be a positive multiple of 4096`);
    }
    if (memory.buffer.byteLength < RAM + ramBytes) {
      throw new RangeError(`ramBytes ${ramBytes}: the WebAssembly memory has ${memory.buffer.byteLength} bytes, ${RAM + ramBytes} are needed`);
    }
    this.ramBytes = ramBytes;
    this.frameCount = Math.floor((memory.buffer.byteLength - RAM) / PAGE_BYTES);
    this.intercepts = new Uint8Array(memory.buffer, FRAME_INTERCEPTS, this.frameCount).fill(0);
    this.kinds = new Uint8Array(memory.buffer, PAGE_KINDS, PAGES);
    this.frames = new Int32Array(memory.buffer, PAGE_FRAMES, PAGES);
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.words[BUS_PAGE_MASK >>> 2] = this.pageMask;
    for (const { first, last } of options.holes ?? []) {
      checkPages('hole', first, last);
      this.regions.push({ first: first / PAGE_BYTES, last: Math.floor(last / PAGE_BYTES), frame: -1 });
    }
    for (const { first, last, backing = first } of options.rom ?? []) {
      checkPages('ROM', first, last);
      checkPages('ROM backing', backing, backing + (last - first));
      if ((backing + (last - first)) / PAGE_BYTES >= this.frameCount) {
        throw new RangeError(`ROM ${first.toString(16)}: its backing at ${backing.toString(16)} lies outside the machine's memory`);
      }
      this.regions.push({ first: first / PAGE_BYTES, last: Math.floor(last / PAGE_BYTES), frame: backing / PAGE_BYTES });
    }
    for (let page = 0; page * PAGE_BYTES < ramBytes; page++) {
      this.frames[page] = ~page;
    }
    this.kinds.fill(KIND_RAM, 0, ramBytes / PAGE_BYTES);
    for (const { first, last } of this.regions) {
      this.resolve(first, last);
    }
    for (const window of options.mmio ?? []) {
      this.addWindow(window);
    }
  }

  /** Adds device registers that stay where they are. The pages they touch hold nothing else: their other bytes are unmapped. Throws when two overlap. */
  mapMmio(window: MmioWindow): void {
    this.addWindow(window);
    this.onRemap();
  }

  unmapMmio(window: MmioWindow): void {
    this.windows.splice(this.windows.indexOf(window), 1);
    this.resolveWindow(window);
    this.onRemap();
  }

  /** Places a window where the guest wants it: it answers where there is neither RAM nor ROM nor a device of the board, nor an older window. */
  mapWindow(window: MovableWindow): void {
    this.movable.push(window);
    this.resolveWindow(window);
    this.onRemap();
  }

  unmapWindow(window: MovableWindow): void {
    this.movable.splice(this.movable.indexOf(window), 1);
    this.resolveWindow(window);
    this.onRemap();
  }

  /** Shadow RAM: bits for the accesses that reach RAM instead of ROM or the bus. Whole pages of the first MiB. */
  setShadow(first: number, last: number, bits: number): void {
    const firstPage = Math.floor(first / PAGE_BYTES), lastPage = Math.floor(last / PAGE_BYTES);
    let changed = false;
    for (let page = firstPage; page <= lastPage; page++) {
      changed ||= this.shadow[page] !== bits;
      this.shadow[page] = bits;
    }
    if (changed) {
      this.resolve(firstPage, lastPage);
      this.onRemap();
    }
  }

  private addWindow(window: MmioWindow): void {
    if (!Number.isInteger(window.first) || !Number.isInteger(window.last) || window.first < 0 || window.first > window.last || window.last >= PAGES * PAGE_BYTES) {
      throw new RangeError(`MMIO window ${window.first.toString(16)}–${window.last.toString(16)}: must lie below 4 GiB, first before last`);
    }
    const other = this.windows.find((w) => w.first <= window.last && window.first <= w.last);
    if (other !== undefined) {
      throw new RangeError(`MMIO window ${window.first.toString(16)}–${window.last.toString(16)} overlaps the one at ${other.first.toString(16)}`);
    }
    this.windows.push(window);
    this.resolveWindow(window);
  }

  private resolveWindow({ first, last }: MmioWindow): void {
    this.resolve(Math.floor(first / PAGE_BYTES), Math.min(Math.floor(last / PAGE_BYTES), PAGES - 1));
  }

  /** Finds anew what these pages are. */
  private resolve(firstPage: number, lastPage: number): void {
    const concerned = (w: MmioWindow): boolean => Math.floor(w.first / PAGE_BYTES) <= lastPage && firstPage * PAGE_BYTES <= w.last;
    const windows = this.windows.filter(concerned), movable = this.movable.filter(concerned);
    for (let page = firstPage; page <= lastPage; page++) {
      const touches = (w: MmioWindow): boolean => Math.floor(w.first / PAGE_BYTES) <= page && page * PAGE_BYTES <= w.last;
      const shadow = page < this.shadow.length && page * PAGE_BYTES < this.ramBytes ? this.shadow[page] : 0;
      if (windows.some(touches) || shadow === SHADOW_WRITE) {
        this.setPage(page, KIND_MMIO, -1);
        continue;
      }
      if (shadow !== 0) {
        this.setPage(page, shadow & SHADOW_WRITE ? KIND_RAM : KIND_ROM, page);
        continue;
      }
      const region = this.regionOf(page);
      if (region === undefined && page * PAGE_BYTES < this.ramBytes) {
        this.setPage(page, KIND_RAM, page);
        continue;
      }
      const rom = region?.frame ?? -1;
      const window = rom < 0 ? movable.find(touches) : undefined;
      if (rom >= 0) {
        this.setPage(page, KIND_ROM, rom + page - region!.first);
      } else if (window === undefined) {
        this.setPage(page, KIND_UNMAPPED, -1);
      } else if (window.backing === undefined) {
        this.setPage(page, KIND_MMIO, -1);
      } else {
        this.setPage(page, KIND_RAM, (window.backing - RAM) / PAGE_BYTES + page - window.first / PAGE_BYTES);
      }
    }
  }

  private regionOf(page: number): Region | undefined {
    return this.regions.findLast((r) => r.first <= page && page <= r.last);
  }

  private setPage(page: number, kind: number, frame: number): void {
    this.kinds[page] = kind;
    this.frames[page] = ~frame;
  }

  get a20Enabled(): boolean {
    return this.a20;
  }

  /** The A20 gate: while it is closed, address bit 20 reads as zero on the bus. */
  setA20(enabled: boolean): void {
    if (enabled !== this.a20) {
      this.a20 = enabled;
      this.pageMask = enabled ? ALL_PAGES : ALL_PAGES & ~A20_PAGE_BIT;
      this.words[BUS_PAGE_MASK >>> 2] = this.pageMask;
      this.onRemap();
    }
  }

  /** The page that the bus sees. */
  busPage(page: number): number {
    return page & this.pageMask;
  }

  kindOf(page: number): number {
    const onBus = page & this.pageMask;
    return onBus < PAGES ? this.kinds[onBus] : KIND_UNMAPPED;
  }

  /** Frame behind a page, or -1 (devices, nothing). */
  frameOf(page: number): number {
    const onBus = page & this.pageMask;
    return onBus < PAGES ? ~this.frames[onBus] : -1;
  }

  /** Host offset of a page's first byte, or -1 when no bytes back it. */
  hostPage(page: number): number {
    const frame = this.frameOf(page);
    return frame < 0 ? -1 : RAM + frame * PAGE_BYTES;
  }

  // The page walk's accesses. A walk never reaches a device: tables in device space read as all ones, like tables in nothing.

  tableEntry(frame: number, index: number): number {
    return frame < 0 ? -1 : this.words[(RAM >>> 2) + frame * 1024 + index];
  }

  /** Unsigned; `address` is a multiple of 4. */
  tableWord(address: number): number {
    return this.tableEntry(this.frameOf(address >>> 12), (address & 0xfff) >>> 2) >>> 0;
  }

  /** Sets A and D bits of an entry, as the processor does. Page-table traces are not told: lookups derived from the entry stay right. */
  setTableBits(page: number, frame: number, index: number, bits: number): void {
    if (frame >= 0 && this.kindOf(page) === KIND_RAM) {
      this.words[(RAM >>> 2) + frame * 1024 + index] |= bits;
      const others = this.intercepts[frame] & ~INTERCEPT_PAGE_TABLE;
      if (others !== 0) {
        this.observer.written(frame, index * 4, 4, others);
      }
    }
  }

  // Accesses within one page, for the processor's slow path. `size` 1, 2 or 4.

  /** Unsigned. */
  readInPage(page: number, offset: number, size: 1 | 2 | 4): number {
    const frame = this.frameOf(page);
    if (frame >= 0) {
      return this.load(RAM + frame * PAGE_BYTES + offset, size);
    }
    return this.readDevice(page, offset, size);
  }

  writeInPage(page: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const kind = this.kindOf(page);
    if (kind === KIND_RAM) {
      this.writeFrame(this.frameOf(page), offset, size, value);
    } else if (kind === KIND_MMIO) {
      this.writeDevice(page, offset, size, value);
    }
  }

  /** Writes RAM and tells the traces of the frame. */
  writeFrame(frame: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const host = RAM + frame * PAGE_BYTES + offset;
    let intercepts = this.intercepts[frame];
    if (intercepts !== 0) {
      // A page-table entry rewritten with its own value changes no translation.
      if ((intercepts & INTERCEPT_PAGE_TABLE) !== 0 && (this.load(host, size) ^ value) << (32 - 8 * size) === 0) {
        intercepts &= ~INTERCEPT_PAGE_TABLE;
      }
      this.store(host, size, value);
      if (intercepts !== 0) {
        this.observer.written(frame, offset, size, intercepts);
      }
    } else {
      this.store(host, size, value);
    }
  }

  load(host: number, size: 1 | 2 | 4): number {
    return size === 4 ? this.view.getUint32(host, true) : size === 1 ? this.bytes[host] : this.view.getUint16(host, true);
  }

  store(host: number, size: 1 | 2 | 4, value: number): void {
    if (size === 4) {
      this.view.setInt32(host, value, true);
    } else if (size === 1) {
      this.bytes[host] = value;
    } else {
      this.view.setUint16(host, value, true);
    }
  }

  private windowAt(address: number): MmioWindow | undefined {
    return within(this.windows, address) ?? within(this.movable, address);
  }

  /** Write-only shadow RAM, with which firmware copies a ROM onto itself. */
  private isWriteShadow(page: number): boolean {
    return page < this.shadow.length && this.shadow[page] === SHADOW_WRITE;
  }

  private readDevice(page: number, offset: number, size: 1 | 2 | 4): number {
    if (this.isWriteShadow(this.busPage(page))) {
      const region = this.regionOf(this.busPage(page));
      if (region === undefined || region.frame < 0) return size === 4 ? 0xffffffff : size === 1 ? 0xff : 0xffff;
      return this.load(RAM + (region.frame + this.busPage(page) - region.first) * PAGE_BYTES + offset, size);
    }
    const address = this.busPage(page) * PAGE_BYTES + offset;
    const window = this.windowAt(address);
    if (window !== undefined && address + size - 1 <= window.last) {
      return size === 4 ? window.read(address, size) >>> 0 : window.read(address, size) & (size === 1 ? 0xff : 0xffff);
    }
    if (size === 1 || this.kindOf(page) !== KIND_MMIO) {
      return size === 4 ? 0xffffffff : size === 1 ? 0xff : 0xffff;
    }
    // The access straddles a window's edge: byte by byte.
    let value = 0;
    for (let i = size - 1; i >= 0; i--) {
      value = (value << 8) | this.readDevice(page, offset + i, 1);
    }
    return value >>> 0;
  }

  private writeDevice(page: number, offset: number, size: 1 | 2 | 4, value: number): void {
    if (this.isWriteShadow(this.busPage(page))) {
      this.writeFrame(this.busPage(page), offset, size, value);
      return;
    }
    const address = this.busPage(page) * PAGE_BYTES + offset;
    const window = this.windowAt(address);
    if (window !== undefined && address + size - 1 <= window.last) {
      window.write(address, size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff), size);
    } else if (size !== 1) {
      for (let i = 0; i < size; i++) {
        this.writeDevice(page, offset + i, 1, (value >>> (8 * i)) & 0xff);
      }
    }
  }

  private writeDeviceBytes(page: number, offset: number, bytes: Uint8Array): void {
    const address = this.busPage(page) * PAGE_BYTES + offset;
    const window = this.isWriteShadow(this.busPage(page)) ? undefined : this.windowAt(address);
    if (window?.writeBytes && address + bytes.length - 1 <= window.last) {
      window.writeBytes(address, bytes);
      return;
    }
    for (let i = 0; i < bytes.length; i++) {
      this.writeDevice(page, offset + i, 1, bytes[i]);
    }
  }

  // Physical accesses of the board (structurally devices' PhysicalBytes). They reach devices and honour traces.

  private read(address: number, size: 1 | 2 | 4): number {
    const offset = address % PAGE_BYTES;
    if (offset + size <= PAGE_BYTES) {
      return this.readInPage(Math.floor(address / PAGE_BYTES), offset, size);
    }
    let value = 0;
    for (let i = size - 1; i >= 0; i--) {
      value = (value << 8) | this.read(address + i, 1);
    }
    return value >>> 0;
  }

  private write(address: number, size: 1 | 2 | 4, value: number): void {
    const offset = address % PAGE_BYTES;
    if (offset + size <= PAGE_BYTES) {
      this.writeInPage(Math.floor(address / PAGE_BYTES), offset, size, value);
      return;
    }
    for (let i = 0; i < size; i++) {
      this.write(address + i, 1, (value >>> (8 * i)) & 0xff);
    }
  }

  read8(address: number): number {
    return this.read(address, 1);
  }

  read16(address: number): number {
    return this.read(address, 2);
  }

  read32(address: number): number {
    return this.read(address, 4);
  }

  write8(address: number, value: number): void {
    this.write(address, 1, value);
  }

  write16(address: number, value: number): void {
    this.write(address, 2, value);
  }

  write32(address: number, value: number): void {
    this.write(address, 4, value);
  }

  /** A copy. Device registers are read byte by byte. */
  readBytes(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    this.eachPage(address, length, (page, offset, count, at) => {
      const host = this.hostPage(page);
      if (host >= 0) {
        result.set(this.bytes.subarray(host + offset, host + offset + count), at);
      } else {
        for (let i = 0; i < count; i++) {
          result[at + i] = this.readInPage(page, offset + i, 1);
        }
      }
    });
    return result;
  }

  writeBytes(address: number, bytes: Uint8Array): void {
    this.eachPage(address, bytes.length, (page, offset, count, at) => {
      const kind = this.kindOf(page);
      if (kind === KIND_RAM) {
        this.putBytes(this.frameOf(page), offset, bytes.subarray(at, at + count));
      } else if (kind === KIND_MMIO) {
        this.writeDeviceBytes(page, offset, bytes.subarray(at, at + count));
      }
    });
  }

  /** Changes ROM as well as RAM: what a loader or a debugger writes. Device registers are not reached. */
  patch(address: number, bytes: Uint8Array): void {
    this.eachPage(address, bytes.length, (page, offset, count, at) => {
      const frame = this.frameOf(page);
      if (frame >= 0) {
        this.putBytes(frame, offset, bytes.subarray(at, at + count));
      }
    });
  }

  private putBytes(frame: number, offset: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, RAM + frame * PAGE_BYTES + offset);
    const intercepts = this.intercepts[frame];
    if (intercepts !== 0) {
      this.observer.written(frame, offset, bytes.length, intercepts);
    }
  }

  private eachPage(address: number, length: number, visit: (page: number, offset: number, count: number, at: number) => void): void {
    let at = 0;
    while (at < length) {
      const offset = (address + at) % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - offset, length - at);
      visit(Math.floor((address + at) / PAGE_BYTES), offset, count, at);
      at += count;
    }
  }
}
