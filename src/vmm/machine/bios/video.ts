/**
 * INT 10h: the standard modes 00h–13h on the VGA, text and graphics alike. Characters of text modes go to text memory, those of graphics modes are drawn
 * (surface.ts); registers are reached through the VGA's ports. Fonts are in video-fonts.ts, palettes in video-palette.ts, VESA's functions in vbe.ts.
 * Everything read from the BIOS data area may have been changed by the guest and is bounded here.
 */
import { biosModes, palettes, type BiosMode } from '../../devices/vga/modes';
import type { VgaMode } from '../../devices/vga/registers';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { RomTable } from './rom';
import { COLOUR_WINDOW, GRAPHICS_WINDOW, PackedSurface, PlanarSurface, writeIndexed, type Surface } from './surface';
import { VbeService } from './vbe';
import { VideoFonts } from './video-fonts';
import { VideoPalette } from './video-palette';

/** Bytes of the text window; addresses wrap in it. */
const WINDOW_MASK = 0x7fff;
const PAGES = 8;
const SPACE_NORMAL = 0x0720;
/** Of a longer string only the end is written: it has scrolled the rest away, and one call must not take long. */
const STRING_MAX = 4096;
/** Mode set control of the BIOS data area: default palettes are not loaded. */
const KEEP_PALETTE = 8;
const CGA_LINE = 80, CGA_ODD_LINES = 0x2000;

export class VideoService {
  private readonly refused = new Set<number>();
  private readonly fonts: VideoFonts;
  private readonly palette: VideoPalette;
  readonly vbe: VbeService;

  constructor(private readonly host: BiosHost) {
    this.fonts = new VideoFonts(host, { crtc: () => this.crtc, cellChanged: (height) => this.cellChanged(height), setCursorShape: (shape) => this.setCursorShape(shape) });
    this.palette = new VideoPalette(host, () => this.crtc);
    this.vbe = new VbeService(host, (number) => this.setMode(number));
  }

  private get columns(): number { return Math.max(1, Math.min(160, this.host.memory.read16(BDA.videoColumns))); }
  private get rows(): number { return Math.max(1, Math.min(100, this.host.memory.read8(BDA.videoRowsLess1) + 1)); }
  private get page(): number { return this.host.memory.read8(BDA.videoPage) & 7; }
  private get mono(): boolean { return [7, 0x0f].includes(this.host.memory.read8(BDA.videoMode)); }
  private get crtc(): number { return this.mono ? 0x3b4 : 0x3d4; }

  private cellAddress(page: number, row: number, column: number): number {
    const offset = (page & 7) * this.host.memory.read16(BDA.videoPageBytes) + 2 * (row * this.columns + column);
    return (this.mono ? 0xb0000 : 0xb8000) + (offset & WINDOW_MASK & ~1);
  }

  private writeIndexed(port: number, index: number, value: number): void {
    writeIndexed(this.host, port, index, value);
  }

  private get mode(): BiosMode | undefined {
    return biosModes.get(this.host.memory.read8(BDA.videoMode));
  }

  /** What graphics are drawn on, page and all; undefined in text modes. */
  private surface(page = this.page): Surface | undefined {
    const { host } = this;
    const vbe = this.vbe.surface();
    if (vbe) return vbe;
    const { mode } = this;
    if (!mode || mode.layout === 'text') return undefined;
    const width = 8 * mode.columns, height = mode.rows * mode.characterHeight;
    if (mode.layout === 'planar' || mode.layout === 'mono') return new PlanarSurface(host, width, height, (page % mode.pages) * mode.pageBytes, mode.columns);
    const chained = mode.layout === 'chained';
    const window = chained ? GRAPHICS_WINDOW : COLOUR_WINDOW;
    return new PackedSurface({
      width, height, bits: chained ? 8 : mode.layout === 'cga2' ? 2 : 1,
      line: chained ? (y) => y * width : (y) => (y >> 1) * CGA_LINE + (y & 1) * CGA_ODD_LINES,
      read: (offset, length) => host.memory.readBytes(window + offset, length),
      write: (offset, bytes) => host.memory.writeBytes(window + offset, bytes),
    });
  }

  /** Lines of a character in graphics: INT 43h names the font, and in CGA's modes INT 1Fh the upper half. */
  private glyph(character: number): Uint8Array {
    const { memory } = this.host;
    const height = this.characterHeight;
    const cga = this.mode?.layout === 'cga1' || this.mode?.layout === 'cga2';
    const vector = cga && character >= 128 ? 0x1f : 0x43;
    const address = memory.read16(4 * vector + 2) * 16 + memory.read16(4 * vector);
    return memory.readBytes(address + (vector === 0x1f ? character - 128 : character) * height, height);
  }

  private get characterHeight(): number { return Math.max(1, Math.min(32, this.host.memory.read8(BDA.characterHeight))); }

  private drawCharacter(surface: Surface, row: number, column: number, character: number, colour: number): void {
    const height = this.characterHeight;
    if (column * 8 + 8 > surface.width || row * height + height > surface.height) return;
    this.glyph(character).forEach((bits, line) => surface.shape(8 * column, row * height + line, bits, colour));
    surface.done();
  }

  /** The character whose shape stands there, or 0. */
  private readCharacter(surface: Surface, row: number, column: number): number {
    const height = this.characterHeight;
    if (column * 8 + 8 > surface.width || row * height + height > surface.height) return 0;
    const lines = Array.from({ length: height }, (_, line) => {
      let bits = 0;
      for (let dot = 0; dot < 8; dot++) bits = bits << 1 | (surface.get(8 * column + dot, row * height + line) !== 0 ? 1 : 0);
      return bits;
    });
    for (let character = 0x20; character < 0x100; character++) if (this.glyph(character).every((bits, line) => bits === lines[line])) return character;
    return 0;
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
        const surface = this.surface(c.bh);
        if (surface) c.al = this.readCharacter(surface, row, column);
        else c.ax = this.host.memory.read16(this.cellAddress(c.bh, row, column));
        break;
      }
      case 0x09: this.fill(c.bh, c.al, c.bl, c.cx); break;
      case 0x0a: this.fill(c.bh, c.al, undefined, c.cx, c.bl); break;
      case 0x0b: this.palette.border(c.bh, c.bl, this.mode?.layout === 'text'); break;
      case 0x0c: {
        const surface = this.surface(c.bh);
        if (surface && c.cx < surface.width && c.dx < surface.height) surface.put(c.cx, c.dx, c.al);
        surface?.done();
        break;
      }
      case 0x0d: {
        const surface = this.surface(c.bh);
        if (surface && c.cx < surface.width && c.dx < surface.height) c.al = surface.get(c.cx, c.dx);
        surface?.done();
        break;
      }
      case 0x0e: this.teletype(c.al, undefined, this.page, c.bl); break;
      case 0x0f: {
        const { memory } = this.host;
        c.al = memory.read8(BDA.videoMode) | (memory.read8(BDA.videoControl) & 0x80);
        c.ah = this.columns;
        c.bh = this.page;
        break;
      }
      case 0x10: this.palette.call(c); break;
      case 0x11: this.fonts.call(c); break;
      case 0x12: this.alternate(c); break;
      case 0x13: this.writeString(c); break;
      case 0x1a:
        // Display combination: a VGA with a colour monitor.
        if (c.al === 0) c.bx = 0x0008;
        if (c.al <= 1) c.al = 0x1a;
        break;
      case 0x1b: this.state(c); break;
      case 0x4f: this.vbe.call(c); break;
      default: break;
    }
  }

  /** Bit 7 keeps the contents of video memory. */
  setMode(request: number): void {
    const { memory } = this.host;
    const number = request & 0x7f;
    const mode = biosModes.get(number);
    if (mode === undefined) {
      if (!this.refused.has(number)) this.host.log(`BIOS: there is no video mode ${number.toString(16)}h; the mode stays what it is`);
      this.refused.add(number);
      return;
    }
    const { layout, columns, rows, characterHeight, control } = mode;
    const keepsPalette = (memory.read8(BDA.modeSetControl) & KEEP_PALETTE) !== 0;
    this.vbe.switchOff();
    memory.write8(BDA.videoMode, number);
    memory.write16(BDA.videoColumns, columns);
    memory.write16(BDA.videoPageBytes, mode.pageBytes);
    memory.write16(BDA.videoPageStart, 0);
    memory.write8(BDA.videoPage, 0);
    for (let page = 0; page < PAGES; page++) memory.write16(BDA.cursors + 2 * page, 0);
    memory.write16(BDA.crtcPort, this.crtc);
    memory.write8(BDA.crtcPort + 2, control);
    memory.write8(BDA.crtcPort + 3, number === 6 ? 0x3f : 0x30);
    memory.write8(BDA.videoRowsLess1, rows - 1);
    memory.write16(BDA.characterHeight, characterHeight);
    memory.write8(BDA.videoControl, 0x60 | (request & 0x80));
    memory.write8(BDA.videoSwitches, 0xf9);
    memory.write8(BDA.modeSetControl, 0x51 | (keepsPalette ? KEEP_PALETTE : 0));
    memory.write8(BDA.displayCombination, 8);
    memory.write16(BDA.cursorShape, layout === 'text' ? 0x0d0e : 0);
    this.program(mode.registers);
    if (!keepsPalette) this.palette.load(palettes[mode.palette].slice(0, mode.palette === 'vga' ? 768 : 192));
    const font = { 8: RomTable.wholeFont8x8, 14: RomTable.font8x14, 16: RomTable.font8x16 }[characterHeight];
    memory.write32(4 * 0x43, ((ROM_SEGMENT << 16) | font) >>> 0);
    if (layout === 'text') this.fonts.loadRom(characterHeight, 0);
    if ((request & 0x80) === 0) this.clear(layout);
  }

  private clear(layout: BiosMode['layout']): void {
    const { memory } = this.host;
    const cga = layout === 'cga1' || layout === 'cga2';
    const bytes = new Uint8Array(layout === 'text' || cga ? WINDOW_MASK + 1 : 0x10000);
    if (layout === 'text') for (let i = 0; i < bytes.length; i += 2) bytes.set([SPACE_NORMAL & 0xff, SPACE_NORMAL >> 8], i);
    memory.writeBytes(layout !== 'text' && !cga ? GRAPHICS_WINDOW : this.mono ? 0xb0000 : COLOUR_WINDOW, bytes);
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
  }

  /** A font of another height was loaded: rows and cursor follow. */
  private cellChanged(height: number): void {
    const { memory } = this.host;
    this.writeIndexed(this.crtc, 0x09, 0x40 | (height - 1));
    memory.write8(BDA.videoRowsLess1, Math.floor(400 / height) - 1);
    memory.write16(BDA.characterHeight, height);
    this.setCursorShape(0x0607);
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
    if (this.mode?.layout !== 'text') return;
    const { row, column } = this.cursor(this.page);
    const position = (this.cellAddress(this.page, row, column) & WINDOW_MASK) >> 1;
    this.writeIndexed(this.crtc, 0x0e, position >> 8);
    this.writeIndexed(this.crtc, 0x0f, position);
  }

  private selectPage(page: number): void {
    const { memory } = this.host;
    if (page >= PAGES) return;
    memory.write8(BDA.videoPage, page);
    const text = this.mode?.layout === 'text';
    const start = (page * memory.read16(BDA.videoPageBytes)) & (text ? WINDOW_MASK : 0xffff);
    memory.write16(BDA.videoPageStart, start);
    // Text addresses count characters.
    const address = text ? start >> 1 : start;
    this.writeIndexed(this.crtc, 0x0c, address >> 8);
    this.writeIndexed(this.crtc, 0x0d, address);
    this.showCursor();
  }

  /** Scrolls a window by `lines`, or clears it with 0 or more lines than it has. */
  private scroll(page: number, lines: number, attribute: number, top: number, left: number, bottomWanted: number, rightWanted: number, up: boolean): void {
    const { memory } = this.host;
    const bottom = Math.min(bottomWanted, this.rows - 1), right = Math.min(rightWanted, this.columns - 1);
    if (top > bottom || left > right) return;
    const height = bottom - top + 1;
    const count = lines === 0 || lines > height ? height : lines;
    const surface = this.surface(page);
    if (surface) {
      const cell = this.characterHeight, first = top * cell, lines = height * cell;
      const x = 8 * left, width = Math.min(8 * (right - left + 1), surface.width - x);
      for (let n = 0; n < lines && width > 0; n++) {
        const line = up ? first + n : first + lines - 1 - n;
        if (n + count * cell < lines) surface.moveLine(up ? line + count * cell : line - count * cell, line, x, width);
        else surface.fillLine(line, x, width, attribute);
      }
      surface.done();
      return;
    }
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
  private fill(page: number, character: number, attribute: number | undefined, count: number, colour = attribute ?? 7): void {
    const { memory } = this.host;
    const { row, column } = this.cursor(page);
    const surface = this.surface(page);
    if (surface) {
      for (let n = 0; n < Math.min(count, this.columns - column); n++) this.drawCharacter(surface, row, column + n, character, colour);
      return;
    }
    for (let n = 0; n < Math.min(count, WINDOW_MASK >> 1); n++) {
      const at = this.cellAddress(page, row, column + n);
      memory.write8(at, character);
      if (attribute !== undefined) memory.write8(at + 1, attribute);
    }
  }

  /** Writes with cursor movement on the active page; bell, backspace, line feed and carriage return act. */
  teletype(character: number, attribute?: number, page = this.page, colour = attribute ?? 7): void {
    const { memory } = this.host;
    const surface = this.surface(page);
    const { columns, rows } = this;
    let { row, column } = this.cursor(page);
    switch (character) {
      case 0x07: return; // the speaker is silent
      case 0x08: column = Math.max(0, column - 1); break;
      case 0x0a: row++; break;
      case 0x0d: column = 0; break;
      default: {
        const at = this.cellAddress(page, row, column);
        if (surface) {
          this.drawCharacter(surface, row, column, character, colour);
        } else {
          memory.write8(at, character);
          if (attribute !== undefined) memory.write8(at + 1, attribute);
        }
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
      const below = surface ? 0 : memory.read8(this.cellAddress(page, row, Math.min(column, columns - 1)) + 1);
      this.scroll(page, 1, surface ? 0 : attribute ?? below, 0, 0, rows - 1, columns - 1, true);
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

  /** AH=1Bh: what the BIOS can, and how it stands. */
  private state(c: BiosCall): void {
    if (c.bx !== 0) return;
    const { memory } = this.host;
    const block = new Uint8Array(64);
    const view = new DataView(block.buffer);
    view.setUint32(0, ((ROM_SEGMENT << 16) | RomTable.videoFunctions) >>> 0, true);
    // The data area's bytes from the mode to the palette, then from the rows to the character height.
    block.set(memory.readBytes(BDA.videoMode, 0x1e), 4);
    block.set(memory.readBytes(BDA.videoRowsLess1, 3), 0x22);
    const colours = { text: 16, cga2: 4, cga1: 2, planar: 16, mono: 2, chained: 256 }[this.mode?.layout ?? 'text'];
    block[0x25] = 8;
    view.setUint16(0x27, colours, true);
    block[0x29] = this.mode?.pages ?? 1;
    block[0x2a] = this.mode && this.mode.rows * this.mode.characterHeight === 480 ? 3 : 2;
    block[0x31] = 3; // 256 KiB
    memory.writeBytes(c.address(Seg.ES, c.di), block);
    c.al = 0x1b;
  }

  private alternate(c: BiosCall): void {
    switch (c.bl) {
      case 0x10: // colour, 256 KiB, no feature bits, switches of a VGA
        c.bx = 0x0003;
        c.cx = 0x0009;
        break;
      case 0x31: {
        const { memory } = this.host;
        const control = memory.read8(BDA.modeSetControl);
        memory.write8(BDA.modeSetControl, c.al & 1 ? control | KEEP_PALETTE : control & ~KEEP_PALETTE);
        c.al = 0x12;
        break;
      }
      case 0x32: {
        const misc = this.host.readPort(0x3cc);
        this.host.writePort(0x3c2, c.al & 1 ? misc & ~2 : misc | 2);
        c.al = 0x12;
        break;
      }
      case 0x36:
        this.host.writePort(0x3c4, 1);
        this.host.writePort(0x3c5, c.al & 1 ? this.host.readPort(0x3c5) | 0x20 : this.host.readPort(0x3c5) & ~0x20);
        c.al = 0x12;
        break;
      case 0x30: case 0x33: c.al = 0x12; break;
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
