/**
 * Graphics memory as the BIOS draws on it: pixels, character shapes, and rectangles that move or are filled. Everything goes through the window and
 * the registers that a program would use.
 */
import { GR, SR } from '../../devices/vga/registers';
import type { BiosHost } from './host';

const GRAPHICS_PORT = 0x3ce, SEQUENCER_PORT = 0x3c4;
export const GRAPHICS_WINDOW = 0xa0000, COLOUR_WINDOW = 0xb8000;
/** Bit 7 of a colour asks for exclusive or (not with 256 colours). */
const XOR = 0x80;

export interface Surface {
  readonly width: number;
  readonly height: number;
  put(x: number, y: number, colour: number): void;
  get(x: number, y: number): number;
  /** Eight pixels: set bits get `colour`, clear ones become 0 unless the colour asks for exclusive or. `x` is a multiple of 8. */
  shape(x: number, y: number, bits: number, colour: number): void;
  /** Pixels left…left+width-1 of line `from` to line `to`; both are multiples of 8. */
  moveLine(from: number, to: number, left: number, width: number): void;
  fillLine(y: number, left: number, width: number, colour: number): void;
  /** Registers as programs expect them. */
  done(): void;
}

export function writeIndexed(host: BiosHost, port: number, index: number, value: number): void {
  host.writePort(port, index);
  host.writePort(port + 1, value & 0xff);
}

/** Four planes: write mode 2 writes a colour where the bit mask lets it. */
export class PlanarSurface implements Surface {
  constructor(private readonly host: BiosHost, readonly width: number, readonly height: number, private readonly start: number, private readonly pitch: number) {}

  private graphics(index: number, value: number): void {
    writeIndexed(this.host, GRAPHICS_PORT, index, value);
  }

  private address(x: number, y: number): number {
    return GRAPHICS_WINDOW + ((this.start + y * this.pitch + (x >> 3)) & 0xffff);
  }

  private write(address: number, mask: number, colour: number): void {
    const { memory } = this.host;
    writeIndexed(this.host, SEQUENCER_PORT, SR.mapMask, 0x0f);
    this.graphics(GR.mode, 2);
    this.graphics(GR.rotate, colour & XOR ? 0x18 : 0);
    this.graphics(GR.bitMask, mask);
    memory.read8(address);
    memory.write8(address, colour & 0x0f);
  }

  put(x: number, y: number, colour: number): void {
    this.write(this.address(x, y), 0x80 >> (x & 7), colour);
  }

  get(x: number, y: number): number {
    const address = this.address(x, y);
    let colour = 0;
    this.graphics(GR.mode, 0);
    for (let plane = 0; plane < 4; plane++) {
      this.graphics(GR.readMap, plane);
      colour |= ((this.host.memory.read8(address) >> (7 - (x & 7))) & 1) << plane;
    }
    this.graphics(GR.readMap, 0);
    return colour;
  }

  shape(x: number, y: number, bits: number, colour: number): void {
    const address = this.address(x, y);
    if ((colour & XOR) === 0) this.write(address, 0xff, 0);
    this.write(address, bits, colour);
  }

  moveLine(from: number, to: number, left: number, width: number): void {
    const { memory } = this.host;
    writeIndexed(this.host, SEQUENCER_PORT, SR.mapMask, 0x0f);
    this.graphics(GR.mode, 1);
    for (let x = left; x < left + width; x += 8) {
      memory.read8(this.address(x, from));
      memory.write8(this.address(x, to), 0);
    }
  }

  fillLine(y: number, left: number, width: number, colour: number): void {
    for (let x = left; x < left + width; x += 8) this.write(this.address(x, y), 0xff, colour & 0x0f);
  }

  done(): void {
    this.graphics(GR.mode, 0);
    this.graphics(GR.rotate, 0);
    this.graphics(GR.bitMask, 0xff);
  }
}

export interface PackedFormat {
  readonly width: number;
  readonly height: number;
  readonly bits: 1 | 2 | 8 | 15 | 16 | 24 | 32;
  /** Byte offset of a line. */
  line(y: number): number;
  /** Byte offset → bytes there, and back. */
  read(offset: number, length: number): Uint8Array;
  write(offset: number, bytes: Uint8Array): void;
}

/** The sixteen text colours in modes without a palette, 0xRRGGBB. */
const direct = [0, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa, 0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff];

/** Pixels of a fixed number of bits one after the other: CGA's modes, mode 13h and VBE's. */
export class PackedSurface implements Surface {
  constructor(private readonly format: PackedFormat) {}

  get width(): number { return this.format.width; }
  get height(): number { return this.format.height; }

  /** A pixel's value for a colour of a program. */
  private value(colour: number): number {
    const { bits } = this.format;
    if (bits <= 8) return colour & ((1 << bits) - 1);
    const rgb = direct[colour & 15];
    if (bits >= 24) return rgb;
    return bits === 16 ? (rgb >> 8 & 0xf800) | (rgb >> 5 & 0x7e0) | (rgb >> 3 & 0x1f) : (rgb >> 9 & 0x7c00) | (rgb >> 6 & 0x3e0) | (rgb >> 3 & 0x1f);
  }

  private bytesAt(x: number): number {
    const { bits } = this.format;
    return bits < 8 ? (x * bits) >> 3 : x * ((bits + 7) >> 3);
  }

  put(x: number, y: number, colour: number): void {
    const { bits } = this.format;
    const at = this.format.line(y) + this.bytesAt(x);
    if (bits < 8) {
      const turn = 8 - bits - ((x * bits) & 7), mask = ((1 << bits) - 1) << turn;
      const [old] = this.format.read(at, 1);
      const value = this.value(colour) << turn;
      this.format.write(at, Uint8Array.of(colour & XOR ? old ^ value : (old & ~mask) | value));
      return;
    }
    this.format.write(at, this.pixel(colour));
  }

  private pixel(colour: number): Uint8Array {
    const value = this.value(colour);
    return Uint8Array.from({ length: (this.format.bits + 7) >> 3 }, (_, n) => value >> (8 * n));
  }

  get(x: number, y: number): number {
    const { bits } = this.format;
    const bytes = this.format.read(this.format.line(y) + this.bytesAt(x), bits < 8 ? 1 : (bits + 7) >> 3);
    if (bits < 8) return (bytes[0] >> (8 - bits - ((x * bits) & 7))) & ((1 << bits) - 1);
    return bits === 8 ? bytes[0] : Math.max(0, direct.findIndex((_, colour) => this.pixel(colour).every((byte, n) => byte === bytes[n])));
  }

  shape(x: number, y: number, bits: number, colour: number): void {
    const keeps = (colour & XOR) !== 0 && this.format.bits < 8;
    for (let n = 0; n < 8; n++) {
      const on = (bits >> (7 - n)) & 1;
      if (on || !keeps) this.put(x + n, y, on ? colour : 0);
    }
  }

  moveLine(from: number, to: number, left: number, width: number): void {
    const { format } = this;
    format.write(format.line(to) + this.bytesAt(left), format.read(format.line(from) + this.bytesAt(left), this.bytesAt(width)));
  }

  fillLine(y: number, left: number, width: number, colour: number): void {
    const { format } = this;
    const bytes = new Uint8Array(this.bytesAt(width));
    const pattern = format.bits < 8 ? Uint8Array.of(format.bits === 1 ? (colour & 1) * 0xff : (colour & 3) * 0x55) : this.pixel(colour);
    for (let at = 0; at < bytes.length; at++) bytes[at] = pattern[at % pattern.length];
    format.write(format.line(y) + this.bytesAt(left), bytes);
  }

  done(): void { /* no register was changed */ }
}
