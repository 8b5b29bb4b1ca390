/**
 * Shapes of the line-drawing and block characters of code page 437 (B0–DF), so that they join from cell to cell in any font:
 * a font's own glyphs leave gaps when the cell is not exactly its size.
 */

/** Number of lines (0, 1, 2) that leave the middle of the cell upwards, rightwards, downwards and leftwards, from code B3 on. */
const arms = (
  '1010 1011 1012 2021 0021 0012 2022 2020 0022 2002 2001 1002 0011 ' + // B3–BF
  '1100 1101 0111 1110 0101 1111 1210 2120 2200 0220 2202 0222 2220 0202 2222 1202 ' + // C0–CF
  '2101 0212 0121 2100 1200 0210 0120 2121 1212 1001 0110' // D0–DA
).split(' ');

export type Rectangle = readonly [x: number, y: number, width: number, height: number];

/** Blocks as parts of the cell: █ ▄ ▌ ▐ ▀. */
const blocks: Readonly<Record<number, Rectangle>> = {
  0xdb: [0, 0, 1, 1], 0xdc: [0, 0.5, 1, 0.5], 0xdd: [0, 0, 0.5, 1], 0xde: [0.5, 0, 0.5, 1], 0xdf: [0, 0, 1, 0.5],
};
/** ░ ▒ ▓: how much of the cell is foreground. */
const shades: Readonly<Record<number, number>> = { 0xb0: 0.25, 0xb1: 0.5, 0xb2: 0.75 };

export interface CellShape {
  readonly rectangles: readonly Rectangle[];
  readonly opacity: number;
}

/** Rectangles of a character in a cell of `width` × `height` pixels, or undefined when the font draws it. */
export function cellShape(code: number, width: number, height: number): CellShape | undefined {
  if (Object.hasOwn(shades, code)) return { rectangles: [[0, 0, width, height]], opacity: shades[code] };
  if (Object.hasOwn(blocks, code)) {
    const [x, y, w, h] = blocks[code];
    const left = Math.round(x * width), top = Math.round(y * height);
    return { rectangles: [[left, top, Math.round((x + w) * width) - left, Math.round((y + h) * height) - top]], opacity: 1 };
  }
  const shape = code >= 0xb3 && code <= 0xda ? arms[code - 0xb3] : undefined;
  if (!shape) return undefined;
  const [up, right, down, left] = [...shape].map(Number);
  const thick = Math.max(1, Math.round(width / 8));
  const gap = thick;
  const middleX = Math.floor((width - thick) / 2), middleY = Math.floor((height - thick) / 2);
  // Offsets of the lines of an arm from the middle: one line in it, two on either side.
  const offsets = (lines: number) => (lines === 0 ? [] : lines === 1 ? [0] : [-gap, gap]);
  const vertical = Math.max(up, down), horizontal = Math.max(left, right);
  const reachX = vertical === 2 ? gap : 0, reachY = horizontal === 2 ? gap : 0;
  const rectangles: Rectangle[] = [];
  for (const x of offsets(up)) rectangles.push([middleX + x, 0, thick, middleY + reachY + thick]);
  for (const x of offsets(down)) rectangles.push([middleX + x, middleY - reachY, thick, height - middleY + reachY]);
  for (const y of offsets(left)) rectangles.push([0, middleY + y, middleX + reachX + thick, thick]);
  for (const y of offsets(right)) rectangles.push([middleX - reachX, middleY + y, width - middleX + reachX, thick]);
  return { rectangles, opacity: 1 };
}
