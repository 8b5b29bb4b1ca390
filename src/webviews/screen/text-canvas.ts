/**
 * A text screen on a canvas. Characters are drawn with the editor's font, which is sharp at any size; when the guest has loaded shapes of its own,
 * those are drawn dot by dot.
 */
import { codePage437, vgaPalette } from '../../protocol/codepage437';
import type { TextUpdate } from '../../protocol/views';
import { cellShape } from './boxes';

const cursorBlinkMilliseconds = 266, textBlinkMilliseconds = 533;
const glyphLines = 32;

const css = (colour: number): string => `#${colour.toString(16).padStart(6, '0')}`;

export class TextCanvas {
  columns = 80;
  rows = 25;
  cells = new Uint8Array(80 * 25 * 2);
  /** Someone looks, and the machine lives: the cursor may blink. */
  live = false;
  shown = true;
  private cursor = { visible: false, column: 0, row: 0 };
  private colours: readonly string[] = vgaPalette;
  private blinks = true;
  private cell = { width: 9, height: 16 };
  private font: Uint8Array | undefined;
  private cellWidth = 9;
  private cellHeight = 16;
  private cursorOn = true;
  private blinkOn = true;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly context: CanvasRenderingContext2D, private readonly room: HTMLElement) {
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
    setInterval(() => {
      this.cursorOn = calm.matches || !this.cursorOn;
      const cell = this.cursorCell();
      if (cell >= 0 && this.shown && !document.hidden) this.draw(cell);
    }, cursorBlinkMilliseconds);
    setInterval(() => {
      this.blinkOn = calm.matches || !this.blinkOn;
      if (document.hidden || !this.shown || !this.blinks) return;
      for (let cell = 0; cell < this.columns * this.rows; cell++) if (this.cells[cell * 2 + 1] & 0x80) this.draw(cell);
    }, textBlinkMilliseconds);
  }

  update(update: TextUpdate): void {
    const before = this.cursorCell();
    const colours = update.colours.length === 16 ? update.colours.map(css) : vgaPalette;
    const everything = !this.shown || update.columns !== this.columns || update.rows !== this.rows || colours.join() !== this.colours.join() || update.blinks !== this.blinks
      || update.cell.width !== this.cell.width || update.cell.height !== this.cell.height || update.font !== undefined || this.font !== undefined;
    if (update.columns !== this.columns || update.rows !== this.rows) this.cells = new Uint8Array(update.columns * update.rows * 2);
    ({ columns: this.columns, rows: this.rows, cursor: this.cursor, blinks: this.blinks, cell: this.cell, font: this.font } = { font: undefined, ...update });
    this.colours = colours;
    this.shown = true;
    for (const run of update.runs) this.cells.set(run.cells, run.start * 2);
    if (everything) {
      this.fit();
      return;
    }
    for (const run of update.runs) for (let cell = 0; cell < run.cells.length / 2; cell++) this.draw(run.start + cell);
    for (const cell of [before, this.cursorCell()]) if (cell >= 0) this.draw(cell);
  }

  /** Makes the picture as large as the view allows, in whole pixels per cell, with the 4:3 look of the real dots left out: cells keep their shape. */
  fit(): void {
    const { canvas, context, columns, rows, cell: { width, height }, room } = this;
    const ratio = window.devicePixelRatio || 1;
    const scale = Math.min(room.clientWidth * ratio / (columns * width), room.clientHeight * ratio / (rows * height));
    this.cellWidth = Math.max(4, Math.floor(width * scale));
    this.cellHeight = Math.max(8, Math.floor(height * scale));
    canvas.width = columns * this.cellWidth;
    canvas.height = rows * this.cellHeight;
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    const family = getComputedStyle(document.body).getPropertyValue('--vscode-editor-font-family') || 'monospace';
    context.font = `${Math.floor(this.cellHeight * 0.82)}px ${family}, monospace`;
    for (let cell = 0; cell < columns * rows; cell++) this.draw(cell);
  }

  private cursorCell(): number {
    const { cursor, columns, rows } = this;
    return cursor.column < columns && cursor.row < rows ? cursor.row * columns + cursor.column : -1;
  }

  private draw(cell: number): void {
    const { context, cells, columns, cellWidth, cellHeight, cursor } = this;
    const code = cells[cell * 2], attribute = cells[cell * 2 + 1];
    const column = cell % columns, row = Math.floor(cell / columns);
    const x = column * cellWidth, y = row * cellHeight;
    context.globalAlpha = 1;
    context.fillStyle = this.colours[(attribute >> 4) & (this.blinks ? 7 : 15)];
    context.fillRect(x, y, cellWidth, cellHeight);
    context.fillStyle = this.colours[attribute & 15];
    if (!(this.blinks && attribute & 0x80) || this.blinkOn) {
      if (this.font) this.drawGlyph(this.font, code, attribute, x, y);
      else this.drawCharacter(code, x, y);
    }
    if (cursor.visible && this.cursorOn && this.live && column === cursor.column && row === cursor.row) {
      const thick = Math.max(2, Math.round(cellHeight / 8));
      context.globalAlpha = 1;
      context.fillRect(x, y + cellHeight - thick, cellWidth, thick);
    }
  }

  private drawCharacter(code: number, x: number, y: number): void {
    if (code === 0 || code === 0x20 || code === 0xff) return;
    const { context, cellWidth, cellHeight } = this;
    const shape = cellShape(code, cellWidth, cellHeight);
    if (shape) {
      context.globalAlpha = shape.opacity;
      for (const [left, top, width, height] of shape.rectangles) context.fillRect(x + left, y + top, width, height);
      return;
    }
    context.fillText(codePage437[code], x + cellWidth / 2, y + cellHeight / 2, cellWidth);
  }

  private drawGlyph(font: Uint8Array, code: number, attribute: number, x: number, y: number): void {
    const { context, cell } = this;
    const from = (font.length > 256 * glyphLines && attribute & 8 ? 256 + code : code) * glyphLines;
    const left = (dot: number): number => Math.round((dot * this.cellWidth) / cell.width);
    const top = (line: number): number => Math.round((line * this.cellHeight) / cell.height);
    for (let line = 0; line < cell.height; line++) {
      for (let dot = 0; dot < 8; dot++) {
        if ((font[from + line] >> (7 - dot)) & 1) context.fillRect(x + left(dot), y + top(line), left(dot + 1) - left(dot), top(line + 1) - top(line));
      }
    }
  }
}
