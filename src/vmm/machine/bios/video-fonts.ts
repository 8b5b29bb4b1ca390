/** INT 10h AH=11h: fonts of text modes, which lie in plane 2 of video memory, and the fonts that graphics modes draw with. */
import { fonts } from '../../devices/vga/fonts';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { RomTable } from './rom';
import { GRAPHICS_WINDOW, writeIndexed } from './surface';

const SEQUENCER = 0x3c4, GRAPHICS = 0x3ce;
/** Registers with which plane 2 lies open at A0000h. */
const openPlane: readonly (readonly [port: number, index: number, value: number])[] = [
  [SEQUENCER, 2, 4], [SEQUENCER, 4, 6], [GRAPHICS, 4, 2], [GRAPHICS, 5, 0], [GRAPHICS, 6, 4],
];
/** And those of a text mode. */
const closePlane: typeof openPlane = [[SEQUENCER, 2, 3], [SEQUENCER, 4, 2], [GRAPHICS, 4, 0], [GRAPHICS, 5, 0x10]];
const GLYPH_BYTES = 32, CHARACTERS = 256;

/** Rows of graphics characters for BL of AX=112xh. */
const graphicsRows = [0, 14, 25, 43] as const;

export interface FontHooks {
  crtc(): number;
  /** Characters have another height now. */
  cellChanged(height: number): void;
  setCursorShape(shape: number): void;
}

export class VideoFonts {
  constructor(private readonly host: BiosHost, private readonly hooks: FontHooks) {}

  loadRom(height: 8 | 14 | 16, block: number): void {
    this.load(block, 0, height, fonts[height]);
  }

  private load(block: number, first: number, height: number, lines: Uint8Array): void {
    const { host } = this;
    // Blocks 4-7 lie between the others.
    const base = GRAPHICS_WINDOW + ((block & 3) * 0x4000 | (block & 4 ? 0x2000 : 0));
    for (const [port, index, value] of openPlane) writeIndexed(host, port, index, value);
    for (let n = 0; n * height < lines.length; n++) host.memory.writeBytes(base + ((first + n) & 0xff) * GLYPH_BYTES, lines.subarray(n * height, (n + 1) * height));
    for (const [port, index, value] of closePlane) writeIndexed(host, port, index, value);
    writeIndexed(host, GRAPHICS, 6, this.hooks.crtc() === 0x3b4 ? 0x0a : 0x0e);
  }

  call(c: BiosCall): void {
    const { memory } = this.host;
    const romHeights: Readonly<Record<number, 8 | 14 | 16>> = { 1: 14, 2: 8, 4: 16 };
    const kind = c.al & 0x0f, height = romHeights[kind];
    switch (c.al) {
      case 0x00:
      case 0x10: {
        const { cx, dx, bh, bl } = c;
        if (bh < 1 || bh > 32) return;
        const count = Math.min(cx, CHARACTERS - Math.min(dx, CHARACTERS));
        this.load(bl, dx & 0xff, bh, memory.readBytes(c.address(Seg.ES, c.bp), count * bh));
        if (c.al === 0x10) this.hooks.cellChanged(bh);
        break;
      }
      case 0x01: case 0x02: case 0x04: case 0x11: case 0x12: case 0x14:
        this.loadRom(height, c.bl);
        if (c.al >= 0x10) this.hooks.cellChanged(height);
        break;
      case 0x03: writeIndexed(this.host, SEQUENCER, 3, c.bl); break;
      case 0x20: this.setVector(0x1f, c.cpu.segmentBase(Seg.ES) >>> 4, c.bp); break;
      case 0x21:
        this.setVector(0x43, c.cpu.segmentBase(Seg.ES) >>> 4, c.bp);
        this.graphics(c, c.cx);
        break;
      case 0x22: case 0x23: case 0x24: {
        const cell = ([14, 8, 16] as const)[c.al - 0x22];
        this.setVector(0x43, ROM_SEGMENT, { 8: RomTable.wholeFont8x8, 14: RomTable.font8x14, 16: RomTable.font8x16 }[cell]);
        this.graphics(c, cell);
        break;
      }
      case 0x30: this.information(c); break;
      default: break;
    }
  }

  private setVector(vector: number, segment: number, offset: number): void {
    this.host.memory.write32(4 * vector, ((segment << 16) | offset) >>> 0);
  }

  private graphics(c: BiosCall, height: number): void {
    const { memory } = this.host;
    const rows = c.bl === 0 ? c.dl : graphicsRows[c.bl] ?? 25;
    memory.write16(BDA.characterHeight, Math.max(1, Math.min(32, height)));
    memory.write8(BDA.videoRowsLess1, Math.max(0, rows - 1));
  }

  /** AL=30h: where the fonts are. */
  private information(c: BiosCall): void {
    const { memory } = this.host;
    const tables = [undefined, undefined, RomTable.font8x14, RomTable.font8x8, RomTable.wholeFont8x8 + 0x400, RomTable.font8x14, RomTable.font8x16, RomTable.font8x16];
    const vector = c.bh === 0 ? 0x1f : c.bh === 1 ? 0x43 : undefined;
    c.cx = memory.read8(BDA.characterHeight);
    c.dl = memory.read8(BDA.videoRowsLess1);
    if (vector !== undefined) {
      c.bp = memory.read16(4 * vector);
      c.setEs(memory.read16(4 * vector + 2));
    } else {
      const table = tables[c.bh];
      if (table === undefined) return;
      c.bp = table;
      c.setEs(ROM_SEGMENT);
    }
  }
}
