/** A VGA for tests: alone with a clock and a memory map that knows its windows only. */
import { TestClock } from '../test-clock';
import type { MmioRange } from '../device';
import { TEXT_COPY_BYTES, type WindowBus } from './memory';
import { biosModes, palettes } from './modes';
import { toDots } from './render';
import { Vga } from './vga';

const HOST = 0x1000;

export class TestVga implements WindowBus {
  readonly clock = new TestClock(100_000_000);
  readonly bytes: Uint8Array;
  readonly vga: Vga;
  /** Window changes so far. */
  changes = 0;
  private windows: (MmioRange & { readonly backing?: number })[] = [];

  constructor(videoBytes = 0x400000) {
    this.bytes = new Uint8Array(videoBytes + TEXT_COPY_BYTES);
    this.vga = new Vga({ clock: this.clock, memory: { bytes: this.bytes, host: HOST }, bus: this });
  }

  mapWindow(window: MmioRange & { readonly backing?: number }): void {
    if (this.windows.some((other) => other.first <= window.last && window.first <= other.last)) throw new Error('windows overlap');
    this.windows.push(window);
    this.changes++;
  }

  unmapWindow(window: MmioRange): void {
    this.windows.splice(this.windows.indexOf(window), 1);
  }

  private at(address: number): (MmioRange & { readonly backing?: number }) | undefined {
    return this.windows.find((window) => address >= window.first && address <= window.last);
  }

  /** Memory is reached without a call. */
  plain(address: number): boolean {
    return this.at(address)?.backing !== undefined;
  }

  peek(address: number): number {
    const window = this.at(address);
    if (!window) return 0xff;
    const value = window.backing === undefined ? window.read(address, 1) : this.bytes[window.backing - HOST + address - window.first];
    this.clock.advance(1);
    return value;
  }

  poke(address: number, ...values: number[]): void {
    values.forEach((value, n) => {
      const window = this.at(address + n);
      if (window?.backing !== undefined) this.bytes[window.backing - HOST + address + n - window.first] = value;
      else window?.write(address + n, value, 1);
      this.clock.advance(1);
    });
  }

  private range(port: number) {
    return this.vga.ports.find((r) => port >= r.first && port <= r.last)!;
  }

  out(port: number, value: number, size: 1 | 2 = 1): void {
    this.range(port).write(port, value, size);
  }

  inp(port: number, size: 1 | 2 = 1): number {
    return this.range(port).read(port, size);
  }

  sequencer(index: number, value: number): void { this.out(0x3c4, index | value << 8, 2); }
  graphics(index: number, value: number): void { this.out(0x3ce, index | value << 8, 2); }
  crtc(index: number, value: number): void { this.out(0x3d4, index | value << 8, 2); }
  attribute(index: number, value: number): void {
    this.inp(0x3da);
    this.out(0x3c0, index);
    this.out(0x3c0, value);
    this.out(0x3c0, 0x20);
  }
  dispi(index: number, value: number): void {
    this.out(0x1ce, index, 2);
    this.out(0x1cf, value, 2);
  }

  mode(number: number): void {
    const { registers, palette } = biosModes.get(number)!;
    this.vga.setMode(registers);
    this.out(0x3c8, 0);
    for (const component of palettes[palette]) this.out(0x3c9, component);
  }

  /** A dot of the picture, 0xRRGGBB. */
  dot(x: number, y: number): number {
    const { width, bytes } = toDots(this.vga.picture());
    const at = 4 * (y * width + x);
    return bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2];
  }

  line(row: number): string {
    const { columns, cells } = this.vga.text()!;
    return String.fromCharCode(...cells.filter((_, i) => i % 2 === 0).slice(row * columns, row * columns + 8)).replace(/\0/g, ' ').trimEnd();
  }
}
