/**
 * VESA BIOS Extension 3.0, INT 10h AH=4Fh, on the display's DISPI registers: the modes, their information, bank and start of the picture, the width of a
 * row, and the palette. There is no protected-mode interface.
 */
import { DISPI_DATA, DISPI_INDEX, Dispi, pixelBytes } from '../../devices/vga/dispi';
import { biosModes } from '../../devices/vga/modes';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { rom, RomTable } from './rom';
import { vbeModes, type VbeMode } from './vbe-modes';
import { GRAPHICS_WINDOW, PackedSurface, PlanarSurface, type PackedFormat, type Surface } from './surface';

const OK = 0x004f, FAILED = 0x014f, NOT_IN_THIS_MODE = 0x034f;
const LINEAR = 0x4000, KEEP = 0x8000;
const DISPI_ENABLED = 1, DISPI_DAC8 = 0x20, DISPI_LINEAR = 0x40, DISPI_KEEP = 0x80;
const MODE_MASK = 0x3fff;
const VGA_CLASS = 0x0300;
const WINDOW_BYTES = 0x10000;

/** Mask size and position of red, green, blue and the rest. */
const layouts: Readonly<Record<number, readonly number[]>> = {
  15: [5, 10, 5, 5, 5, 0, 1, 15], 16: [5, 11, 6, 5, 5, 0, 0, 0], 24: [8, 16, 8, 8, 8, 0, 0, 0], 32: [8, 16, 8, 8, 8, 0, 8, 24],
};

export class VbeService {
  constructor(private readonly host: BiosHost, private readonly setStandardMode: (number: number) => void) {}

  private dispi(index: number, value: number): void {
    this.host.writePort(DISPI_INDEX, index, 2);
    this.host.writePort(DISPI_DATA, value, 2);
  }

  private readDispi(index: number): number {
    this.host.writePort(DISPI_INDEX, index, 2);
    return this.host.readPort(DISPI_DATA, 2);
  }

  private get videoBytes(): number {
    return this.readDispi(Dispi.memory) << 16;
  }

  /** Before any standard mode. */
  switchOff(): void {
    this.dispi(Dispi.enable, 0);
    this.host.memory.write16(BDA.vbeMode, 0);
  }

  /** The mode that is on, as the BIOS data area and the registers agree. */
  get current(): VbeMode | undefined {
    const number = this.host.memory.read16(BDA.vbeMode) & MODE_MASK;
    const mode = vbeModes.find((row) => row.number === number);
    return mode && this.readDispi(Dispi.enable) & DISPI_ENABLED && this.readDispi(Dispi.width) === mode.width && this.readDispi(Dispi.bits) === mode.bits ? mode : undefined;
  }

  private pitch(mode: VbeMode, pixels: number): number {
    return mode.bits === 4 ? pixels >> 3 : pixels * pixelBytes(mode.bits);
  }

  call(c: BiosCall): void {
    switch (c.al) {
      case 0x00: this.controller(c); break;
      case 0x01: this.information(c); break;
      case 0x02: c.ax = this.setMode(c.bx) ? OK : FAILED; break;
      case 0x03: {
        const stored = this.host.memory.read16(BDA.vbeMode);
        c.bx = this.current ? stored : this.host.memory.read8(BDA.videoMode);
        c.ax = OK;
        break;
      }
      case 0x05: c.ax = this.window(c); break;
      case 0x06: c.ax = this.lineLength(c); break;
      case 0x07: c.ax = this.displayStart(c); break;
      case 0x08: c.ax = this.dacWidth(c); break;
      case 0x09: c.ax = this.palette(c); break;
      default: c.ax = FAILED; // state of the hardware, protected-mode interface, monitor
    }
  }

  /** 4F00h. */
  private controller(c: BiosCall): void {
    const { memory } = this.host;
    const at = c.address(Seg.ES, c.di);
    const second = String.fromCharCode(...memory.readBytes(at, 4)) === 'VBE2';
    const block = new Uint8Array(second ? 512 : 256);
    const view = new DataView(block.buffer);
    const pointer = (offset: number, target: number): void => view.setUint32(offset, ((ROM_SEGMENT << 16) | target) >>> 0, true);
    block.set(Array.from('VESA', (letter) => letter.charCodeAt(0)));
    view.setUint16(4, 0x0300, true);
    pointer(6, RomTable.vbeStrings);
    view.setUint32(10, 1, true); // the DAC can have eight bits
    pointer(14, RomTable.vbeModes);
    view.setUint16(18, this.videoBytes >> 16, true);
    if (second) {
      view.setUint16(20, 0x0100, true);
      for (const offset of [22, 26, 30]) pointer(offset, RomTable.vbeStrings);
    }
    memory.writeBytes(at, block);
    c.ax = OK;
  }

  /** 4F01h. */
  private information(c: BiosCall): void {
    const mode = vbeModes.find(({ number }) => number === (c.cx & MODE_MASK));
    if (!mode) {
      c.ax = FAILED;
      return;
    }
    const { width, height, bits } = mode;
    const block = new Uint8Array(256);
    const view = new DataView(block.buffer);
    const frameBuffer = bits === 4 ? 0 : this.frameBuffer();
    const pitch = this.pitch(mode, width);
    // Supported by hardware, BIOS output, colour, graphics, not compatible with VGA from 8 bits on, linear.
    view.setUint16(0, 0x1f | (bits === 4 ? 0 : 0x20) | (frameBuffer ? 0x80 : 0), true);
    block[2] = 7; // window A can be moved, read and written
    view.setUint16(4, 64, true);
    view.setUint16(6, 64, true);
    view.setUint16(8, GRAPHICS_WINDOW >> 4, true);
    view.setUint32(12, ((ROM_SEGMENT << 16) | rom.labels.get('vbeWindow')!) >>> 0, true);
    view.setUint16(16, pitch, true);
    view.setUint16(18, width, true);
    view.setUint16(20, height, true);
    block.set([8, 16, bits === 4 ? 4 : 1, bits, 1, bits === 4 ? 3 : bits === 8 ? 4 : 6, 0], 22);
    const pictures = Math.min(256, Math.floor((bits === 4 ? this.videoBytes >> 2 : this.videoBytes) / (pitch * height)));
    block.set([pictures - 1, 1], 29);
    const masks = layouts[bits] ?? [0, 0, 0, 0, 0, 0, 0, 0];
    block.set(masks, 31);
    block[39] = bits === 32 || bits === 15 ? 2 : 0; // the bits that are no colour may be used
    view.setUint32(40, frameBuffer, true);
    view.setUint16(50, pitch, true);
    block.set([pictures - 1, pictures - 1, ...masks], 52);
    view.setUint32(62, 400_000_000, true);
    this.host.memory.writeBytes(c.address(Seg.ES, c.di), block);
    c.ax = OK;
  }

  /** Where POST or the guest has put the linear frame buffer; 0 when it is not there. */
  private frameBuffer(): number {
    const vga = this.host.pci.functions.find(({ owner }) => owner.classCode >>> 8 === VGA_CLASS);
    if (!vga) return 0;
    return (this.host.pci.readConfiguration(vga.owner.slot << 3 | vga.owner.function, 0x10, 4) & ~15) >>> 0;
  }

  /** 4F02h. */
  setMode(request: number): boolean {
    const number = request & 0x1ff;
    const { memory } = this.host;
    if (number < 0x100) {
      if (!biosModes.has(number & 0x7f)) return false;
      this.setStandardMode((number & 0x7f) | (request & KEEP ? 0x80 : 0));
      return true;
    }
    const mode = vbeModes.find((row) => row.number === number);
    if (!mode || (request & LINEAR && !this.frameBuffer())) return false;
    const { width, height, bits } = mode;
    // The VGA's own registers as for a graphics mode of its own: planes with four bits, else a plain window.
    this.setStandardMode((bits === 4 ? 0x12 : 0x13) | 0x80);
    this.dispi(Dispi.enable, 0);
    this.dispi(Dispi.width, width);
    this.dispi(Dispi.height, height);
    this.dispi(Dispi.bits, bits);
    this.dispi(Dispi.enable, DISPI_ENABLED | (request & LINEAR ? DISPI_LINEAR : 0) | (request & KEEP ? DISPI_KEEP : 0));
    if (!(this.readDispi(Dispi.enable) & DISPI_ENABLED)) return false;
    memory.write16(BDA.vbeMode, number | (request & (LINEAR | KEEP)));
    memory.write16(BDA.videoColumns, width >> 3);
    memory.write8(BDA.videoRowsLess1, Math.min(255, Math.floor(height / 16) - 1));
    memory.write16(BDA.characterHeight, 16);
    memory.write32(4 * 0x43, ((ROM_SEGMENT << 16) | RomTable.font8x16) >>> 0);
    return true;
  }

  /** 4F05h, and the far call that mode information names. */
  window(c: BiosCall): number {
    const mode = this.current;
    if (!mode || c.bl !== 0) return FAILED;
    if (this.host.memory.read16(BDA.vbeMode) & LINEAR) return NOT_IN_THIS_MODE;
    if (c.bh === 0) {
      if (c.dx * WINDOW_BYTES >= (mode.bits === 4 ? this.videoBytes >> 2 : this.videoBytes)) return FAILED;
      this.dispi(Dispi.bank, c.dx);
    } else if (c.bh === 1) {
      c.dx = this.readDispi(Dispi.bank);
    } else {
      return FAILED;
    }
    return OK;
  }

  /** 4F06h. */
  private lineLength(c: BiosCall): number {
    const mode = this.current;
    if (!mode) return FAILED;
    const perPixel = mode.bits === 4 ? 1 / 8 : pixelBytes(mode.bits);
    const memoryBytes = mode.bits === 4 ? this.videoBytes >> 2 : this.videoBytes;
    const most = Math.min(0xfff8, Math.floor(memoryBytes / mode.height / perPixel));
    const answer = (pixels: number): void => {
      c.bx = this.pitch(mode, pixels);
      c.cx = pixels;
      c.dx = Math.min(0xffff, Math.floor(memoryBytes / this.pitch(mode, pixels)));
    };
    switch (c.bl) {
      case 0x00:
      case 0x02: {
        const pixels = c.bl === 0 ? c.cx : Math.ceil(c.cx / perPixel);
        if (pixels > most) return 0x024f;
        this.dispi(Dispi.virtualWidth, Math.max(mode.width, (pixels + 7) & ~7));
        answer(this.readDispi(Dispi.virtualWidth));
        return OK;
      }
      case 0x01: answer(this.readDispi(Dispi.virtualWidth)); return OK;
      case 0x03: answer(most & ~7); return OK;
      default: return FAILED;
    }
  }

  /** 4F07h. */
  private displayStart(c: BiosCall): number {
    const mode = this.current;
    if (!mode) return FAILED;
    if (c.bl === 0x01) {
      c.bh = 0;
      c.cx = this.readDispi(Dispi.xOffset);
      c.dx = this.readDispi(Dispi.yOffset);
      return OK;
    }
    if (c.bl !== 0x00 && c.bl !== 0x80) return FAILED;
    if (c.cx + mode.width > this.readDispi(Dispi.virtualWidth) || c.dx + mode.height > this.readDispi(Dispi.virtualHeight)) return FAILED;
    this.dispi(Dispi.xOffset, c.cx);
    this.dispi(Dispi.yOffset, c.dx);
    return OK;
  }

  /** 4F08h. */
  private dacWidth(c: BiosCall): number {
    const mode = this.current;
    if (!mode || mode.bits > 8) return NOT_IN_THIS_MODE;
    const enable = this.readDispi(Dispi.enable);
    if (c.bl === 0) this.dispi(Dispi.enable, (c.bh >= 8 ? enable | DISPI_DAC8 : enable & ~DISPI_DAC8) | DISPI_KEEP);
    else if (c.bl !== 1) return FAILED;
    c.bh = this.readDispi(Dispi.enable) & DISPI_DAC8 ? 8 : 6;
    return OK;
  }

  /** 4F09h: entries of blue, green, red and nothing. */
  private palette(c: BiosCall): number {
    const { host } = this;
    const at = c.address(Seg.ES, c.di);
    const count = Math.min(c.cx, 256 - Math.min(256, c.dx));
    if (c.bl === 0x01) {
      host.writePort(0x3c7, c.dx);
      for (let n = 0; n < count; n++) {
        const [red, green, blue] = [host.readPort(0x3c9), host.readPort(0x3c9), host.readPort(0x3c9)];
        host.memory.write32(at + 4 * n, blue | green << 8 | red << 16);
      }
      return OK;
    }
    if (c.bl !== 0x00 && c.bl !== 0x80) return FAILED;
    host.writePort(0x3c8, c.dx);
    for (let n = 0; n < count; n++) {
      const entry = host.memory.read32(at + 4 * n);
      for (const turn of [16, 8, 0]) host.writePort(0x3c9, (entry >>> turn) & 0xff);
    }
    return OK;
  }

  /** What the BIOS draws text on. */
  surface(): Surface | undefined {
    const mode = this.current;
    if (!mode) return undefined;
    const { host } = this;
    const pitch = this.pitch(mode, this.readDispi(Dispi.virtualWidth));
    if (mode.bits === 4) return new PlanarSurface(host, mode.width, mode.height, 0, pitch);
    const bankBefore = this.readDispi(Dispi.bank);
    /** Calls with the parts of a range that lie in one bank, each with its window address; the guest's bank comes back. */
    const parts = (offset: number, length: number, visit: (address: number, at: number, count: number) => void): void => {
      for (let at = 0; at < length;) {
        const inBank = (offset + at) % WINDOW_BYTES;
        const count = Math.min(length - at, WINDOW_BYTES - inBank);
        this.dispi(Dispi.bank, Math.floor((offset + at) / WINDOW_BYTES));
        visit(GRAPHICS_WINDOW + inBank, at, count);
        at += count;
      }
      this.dispi(Dispi.bank, bankBefore);
    };
    const format: PackedFormat = {
      width: mode.width, height: mode.height, bits: mode.bits, line: (y) => y * pitch,
      read: (offset, length) => {
        const bytes = new Uint8Array(length);
        parts(offset, length, (address, at, count) => bytes.set(host.memory.readBytes(address, count), at));
        return bytes;
      },
      write: (offset, bytes) => parts(offset, bytes.length, (address, at, count) => host.memory.writeBytes(address, bytes.subarray(at, at + count))),
    };
    return new PackedSurface(format);
  }
}
