/**
 * INT 10h: text modes 0–3 and 7 on the VGA. Characters go to text memory at 0xB8000 (0xB0000 in mode 7), registers through the VGA's ports. Graphics modes and VESA are
 * refused: the mode stays what it is. Everything read from the BIOS data area may have been changed by the guest and is bounded here.
 */
import { text40, text80, textMono } from '../../devices/vga/modes';
import type { VgaMode } from '../../devices/vga/registers';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { RomTable } from './rom';

/** Bytes of the text window; addresses wrap in it. */
const WINDOW_MASK = 0x7fff;
const PAGES = 8;
const SPACE_NORMAL = 0x0720;
/** Of a longer string only the end is written: it has scrolled the rest away, and one call must not take long. */
const STRING_MAX = 4096;

const textModes: ReadonlyMap<number, { readonly registers: VgaMode; readonly columns: number; readonly control: number }> = new Map([
  [0, { registers: text40, columns: 40, control: 0x2c }],
  [1, { registers: text40, columns: 40, control: 0x28 }],
  [2, { registers: text80, columns: 80, control: 0x2d }],
  [3, { registers: text80, columns: 80, control: 0x29 }],
  [7, { registers: textMono, columns: 80, control: 0x29 }],
]);

/** VGA's default colours 0–63 (see vga-text.ts). */
function paletteComponent(index: number, colour: number): number {
  return ((index >> (2 - colour)) & 1) * 0x2a + ((index >> (5 - colour)) & 1) * 0x15;
}

export class VideoService {
  private readonly refused = new Set<number>();

  constructor(private readonly host: BiosHost) {}

  private get columns(): number { return Math.max(1, Math.min(160, this.host.memory.read16(BDA.videoColumns))); }
  private get rows(): number { return Math.max(1, Math.min(100, this.host.memory.read8(BDA.videoRowsLess1) + 1)); }
  private get page(): number { return this.host.memory.read8(BDA.videoPage) & 7; }
  private get mono(): boolean { return this.host.memory.read8(BDA.videoMode) === 7; }
  private get crtc(): number { return this.mono ? 0x3b4 : 0x3d4; }

  private cellAddress(page: number, row: number, column: number): number {
    const offset = (page & 7) * this.host.memory.read16(BDA.videoPageBytes) + 2 * (row * this.columns + column);
    return (this.mono ? 0xb0000 : 0xb8000) + (offset & WINDOW_MASK & ~1);
  }

  private writeIndexed(port: number, index: number, value: number): void {
    this.host.writePort(port, index);
    this.host.writePort(port + 1, value & 0xff);
  }

  call(c: BiosCall): void {
    switch (c.ah) {
      case 0x00: this.setMode(c.al); c.al = 0x30; break;
      case 0x01: this.setCursorShape(c.cx); break;
      case 0x02: this.setCursor(c.bh, c.dh, c.dl); break;
      case 0x03: {
        const { memory } = this.host;
        c.dx = memory.read16(BDA.cursors + 2 * (c.bh & 7));
        c.cx = memory.read16(BDA.cursorShape);
        break;
      }
      case 0x04: c.ah = 0; break; // no light pen
      case 0x05: this.selectPage(c.al); break;
      case 0x06: this.scroll(this.page, c.al, c.bh, c.ch, c.cl, c.dh, c.dl, true); break;
      case 0x07: this.scroll(this.page, c.al, c.bh, c.ch, c.cl, c.dh, c.dl, false); break;
      case 0x08: {
        const { row, column } = this.cursor(c.bh);
        c.ax = this.host.memory.read16(this.cellAddress(c.bh, row, column));
        break;
      }
      case 0x09: this.fill(c.bh, c.al, c.bl, c.cx); break;
      case 0x0a: this.fill(c.bh, c.al, undefined, c.cx); break;
      case 0x0b: break; // CGA border and palette
      case 0x0e: this.teletype(c.al); break;
      case 0x0f: {
        const { memory } = this.host;
        c.al = memory.read8(BDA.videoMode) | (memory.read8(BDA.videoControl) & 0x80);
        c.ah = this.columns;
        c.bh = this.page;
        break;
      }
      case 0x10: this.palette(c); break;
      case 0x11: this.font(c); break;
      case 0x12: this.alternate(c); break;
      case 0x13: this.writeString(c); break;
      case 0x1a:
        // Display combination: a VGA with a colour monitor.
        if (c.al === 0) c.bx = 0x0008;
        if (c.al <= 1) c.al = 0x1a;
        break;
      case 0x4f: c.ax = 0x0100; break; // no VESA: AL other than 4Fh says so
      default: break;
    }
  }

  /** Bit 7 keeps the contents of video memory. */
  setMode(request: number): void {
    const { memory } = this.host;
    const number = request & 0x7f;
    const mode = textModes.get(number);
    if (mode === undefined) {
      if (!this.refused.has(number)) this.host.log(`BIOS: video mode ${number.toString(16)}h is not supported; the screen stays in text mode`);
      this.refused.add(number);
      return;
    }
    memory.write8(BDA.videoMode, number);
    memory.write16(BDA.videoColumns, mode.columns);
    memory.write16(BDA.videoPageBytes, mode.columns === 40 ? 0x800 : 0x1000);
    memory.write16(BDA.videoPageStart, 0);
    memory.write8(BDA.videoPage, 0);
    for (let page = 0; page < PAGES; page++) memory.write16(BDA.cursors + 2 * page, 0);
    memory.write16(BDA.crtcPort, this.crtc);
    memory.write8(BDA.crtcPort + 2, mode.control);
    memory.write8(BDA.crtcPort + 3, 0x30);
    memory.write8(BDA.videoRowsLess1, 24);
    memory.write16(BDA.characterHeight, 16);
    memory.write8(BDA.videoControl, 0x60 | (request & 0x80));
    memory.write8(BDA.videoSwitches, 0xf9);
    memory.write8(BDA.modeSetControl, 0x51);
    memory.write8(BDA.displayCombination, 8);
    memory.write16(BDA.cursorShape, 0x0d0e);
    this.program(mode.registers);
    if ((request & 0x80) === 0) {
      const clear = new Uint8Array(WINDOW_MASK + 1);
      for (let i = 0; i < clear.length; i += 2) clear.set([SPACE_NORMAL & 0xff, SPACE_NORMAL >> 8], i);
      memory.writeBytes(this.mono ? 0xb0000 : 0xb8000, clear);
    }
  }

  private program(mode: VgaMode): void {
    const { host } = this;
    host.writePort(0x3c2, mode.miscOutput);
    mode.sequencer.forEach((value, index) => this.writeIndexed(0x3c4, index, value));
    // CR11 bit 7 protects the first registers.
    this.writeIndexed(this.crtc, 0x11, mode.crtc[0x11] & 0x7f);
    mode.crtc.forEach((value, index) => this.writeIndexed(this.crtc, index, value));
    mode.graphics.forEach((value, index) => this.writeIndexed(0x3ce, index, value));
    host.readPort(this.crtc + 6);
    mode.attribute.forEach((value, index) => {
      host.writePort(0x3c0, index);
      host.writePort(0x3c0, value);
    });
    host.writePort(0x3c0, 0x20);
    host.writePort(0x3c6, 0xff);
    host.writePort(0x3c8, 0);
    for (let i = 0; i < 64; i++) for (let colour = 0; colour < 3; colour++) host.writePort(0x3c9, paletteComponent(i, colour));
  }

  /** Scan lines given for an 8-line cell are stretched to the character height, unless emulation is off (BDA 487h bit 0). */
  private setCursorShape(shape: number): void {
    const { memory } = this.host;
    memory.write16(BDA.cursorShape, shape);
    let start = (shape >> 8) & 0x3f, end = shape & 0x1f;
    const height = memory.read8(BDA.characterHeight);
    if ((memory.read8(BDA.videoControl) & 1) === 0 && height > 8 && end < 8 && start < 0x20) {
      const underline = start === end - 1 && end >= 6;
      start = underline ? height - 3 : Math.floor((start * height) / 8);
      end = underline ? height - 2 : Math.floor(((end + 1) * height) / 8) - 1;
    }
    this.writeIndexed(this.crtc, 0x0a, start);
    this.writeIndexed(this.crtc, 0x0b, end);
  }

  private cursor(page: number): { row: number; column: number } {
    const { memory } = this.host;
    const at = BDA.cursors + 2 * (page & 7);
    return { column: memory.read8(at), row: memory.read8(at + 1) };
  }

  private setCursor(page: number, row: number, column: number): void {
    this.host.memory.write16(BDA.cursors + 2 * (page & 7), (row & 0xff) << 8 | (column & 0xff));
    if ((page & 7) === this.page) this.showCursor();
  }

  private showCursor(): void {
    const { row, column } = this.cursor(this.page);
    const position = (this.cellAddress(this.page, row, column) & WINDOW_MASK) >> 1;
    this.writeIndexed(this.crtc, 0x0e, position >> 8);
    this.writeIndexed(this.crtc, 0x0f, position);
  }

  private selectPage(page: number): void {
    const { memory } = this.host;
    if (page >= PAGES) return;
    memory.write8(BDA.videoPage, page);
    const start = (page * memory.read16(BDA.videoPageBytes)) & WINDOW_MASK;
    memory.write16(BDA.videoPageStart, start);
    this.writeIndexed(this.crtc, 0x0c, start >> 9);
    this.writeIndexed(this.crtc, 0x0d, start >> 1);
    this.showCursor();
  }

  /** Scrolls a window by `lines`, or clears it with 0 or more lines than it has. */
  private scroll(page: number, lines: number, attribute: number, top: number, left: number, bottomWanted: number, rightWanted: number, up: boolean): void {
    const { memory } = this.host;
    const bottom = Math.min(bottomWanted, this.rows - 1), right = Math.min(rightWanted, this.columns - 1);
    if (top > bottom || left > right) return;
    const height = bottom - top + 1;
    const count = lines === 0 || lines > height ? height : lines;
    const blank = attribute << 8 | 0x20;
    for (let n = 0; n < height; n++) {
      const row = up ? top + n : bottom - n;
      const from = up ? row + count : row - count;
      const copied = n + count < height;
      if (copied) memory.writeBytes(this.cellAddress(page, row, left), memory.readBytes(this.cellAddress(page, from, left), 2 * (right - left + 1)));
      else for (let column = left; column <= right; column++) memory.write16(this.cellAddress(page, row, column), blank);
    }
  }

  /** Writes a character over `count` cells from the cursor, which does not move. */
  private fill(page: number, character: number, attribute: number | undefined, count: number): void {
    const { memory } = this.host;
    const { row, column } = this.cursor(page);
    for (let n = 0; n < Math.min(count, WINDOW_MASK >> 1); n++) {
      const at = this.cellAddress(page, row, column + n);
      memory.write8(at, character);
      if (attribute !== undefined) memory.write8(at + 1, attribute);
    }
  }

  /** Writes with cursor movement on the active page; bell, backspace, line feed and carriage return act. */
  teletype(character: number, attribute?: number, page = this.page): void {
    const { memory } = this.host;
    const { columns, rows } = this;
    let { row, column } = this.cursor(page);
    switch (character) {
      case 0x07: return; // the speaker is silent
      case 0x08: column = Math.max(0, column - 1); break;
      case 0x0a: row++; break;
      case 0x0d: column = 0; break;
      default: {
        const at = this.cellAddress(page, row, column);
        memory.write8(at, character);
        if (attribute !== undefined) memory.write8(at + 1, attribute);
        column++;
        if (column >= columns) {
          column = 0;
          row++;
        }
      }
    }
    if (row >= rows) {
      row = rows - 1;
      // The new line takes the attribute of the cell under the cursor.
      const below = memory.read8(this.cellAddress(page, row, Math.min(column, columns - 1)) + 1);
      this.scroll(page, 1, attribute ?? below, 0, 0, rows - 1, columns - 1, true);
    }
    this.setCursor(page, row, column);
  }

  /** For messages of the BIOS itself. */
  print(text: string): void {
    for (const character of text) {
      if (character === '\n') this.teletype(0x0d);
      this.teletype(character.charCodeAt(0));
    }
  }

  private writeString(c: BiosCall): void {
    const { memory } = this.host;
    const withAttributes = (c.al & 2) !== 0;
    const page = c.bh & 7;
    const before = this.cursor(page);
    this.setCursor(page, c.dh, c.dl);
    const count = Math.min(c.cx, STRING_MAX);
    let offset = c.bp + (c.cx - count) * (withAttributes ? 2 : 1);
    for (let n = 0; n < count; n++) {
      const character = memory.read8(c.address(Seg.ES, offset++));
      const attribute = withAttributes ? memory.read8(c.address(Seg.ES, offset++)) : c.bl;
      this.teletype(character, attribute, page);
    }
    if ((c.al & 1) === 0) this.setCursor(page, before.row, before.column);
  }

  private attributeRegister(index: number): number {
    this.host.readPort(this.crtc + 6);
    this.host.writePort(0x3c0, index);
    const value = this.host.readPort(0x3c1);
    this.host.readPort(this.crtc + 6);
    this.host.writePort(0x3c0, 0x20);
    return value;
  }

  private setAttributeRegister(index: number, value: number): void {
    this.host.readPort(this.crtc + 6);
    this.host.writePort(0x3c0, index);
    this.host.writePort(0x3c0, value);
    this.host.writePort(0x3c0, 0x20);
  }

  private palette(c: BiosCall): void {
    const { host } = this;
    const { memory } = host;
    switch (c.al) {
      case 0x00: if (c.bl < 0x15) this.setAttributeRegister(c.bl, c.bh); break;
      case 0x01: this.setAttributeRegister(0x11, c.bh); break;
      case 0x02: for (let n = 0; n < 17; n++) this.setAttributeRegister(n === 16 ? 0x11 : n, memory.read8(c.address(Seg.ES, c.dx + n))); break;
      case 0x03: this.setAttributeRegister(0x10, (this.attributeRegister(0x10) & ~8) | (c.bl & 1) << 3); break;
      case 0x07: if (c.bl < 0x15) c.bh = this.attributeRegister(c.bl); break;
      case 0x08: c.bh = this.attributeRegister(0x11); break;
      case 0x09: for (let n = 0; n < 17; n++) memory.write8(c.address(Seg.ES, c.dx + n), this.attributeRegister(n === 16 ? 0x11 : n)); break;
      case 0x10:
        host.writePort(0x3c8, c.bl);
        for (const value of [c.dh, c.ch, c.cl]) host.writePort(0x3c9, value);
        break;
      case 0x12:
        host.writePort(0x3c8, c.bl);
        for (let n = 0; n < 3 * Math.min(c.cx, 256); n++) host.writePort(0x3c9, memory.read8(c.address(Seg.ES, c.dx + n)));
        break;
      case 0x15:
        host.writePort(0x3c7, c.bl);
        c.dh = host.readPort(0x3c9);
        c.ch = host.readPort(0x3c9);
        c.cl = host.readPort(0x3c9);
        break;
      case 0x17:
        host.writePort(0x3c7, c.bl);
        for (let n = 0; n < 3 * Math.min(c.cx, 256); n++) memory.write8(c.address(Seg.ES, c.dx + n), host.readPort(0x3c9));
        break;
      case 0x18: host.writePort(0x3c6, c.bl); break;
      case 0x19: c.bl = host.readPort(0x3c6); break;
      case 0x1a: c.bx = 0; break;
      default: break;
    }
  }

  /** Loading a font of another height changes the number of rows; the glyphs themselves are the view's. */
  private font(c: BiosCall): void {
    const { memory } = this.host;
    const heights: Readonly<Record<number, number>> = { 0x10: c.bh, 0x11: 14, 0x12: 8, 0x14: 16 };
    const height = heights[c.al];
    if (height !== undefined) {
      if (height < 1 || height > 32) return;
      this.writeIndexed(this.crtc, 0x09, 0x40 | (height - 1));
      memory.write8(BDA.videoRowsLess1, Math.floor(400 / height) - 1);
      memory.write16(BDA.characterHeight, height);
      this.setCursorShape(0x0607);
    } else if (c.al === 0x30) {
      c.cx = memory.read8(BDA.characterHeight);
      c.dl = memory.read8(BDA.videoRowsLess1);
      c.bp = RomTable.font8x8;
      c.setEs(ROM_SEGMENT);
    }
  }

  private alternate(c: BiosCall): void {
    switch (c.bl) {
      case 0x10: // colour, 256 KiB, no feature bits, switches of a VGA
        c.bx = 0x0003;
        c.cx = 0x0009;
        break;
      case 0x30: case 0x31: case 0x32: case 0x33: case 0x36: c.al = 0x12; break;
      case 0x34: {
        const { memory } = this.host;
        memory.write8(BDA.videoControl, (memory.read8(BDA.videoControl) & ~1) | (c.al & 1));
        c.al = 0x12;
        break;
      }
      default: break;
    }
  }
}
