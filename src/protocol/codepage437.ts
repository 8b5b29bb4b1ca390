/** IBM code page 437 as a PC's character generator draws it (00–1F and 7F are pictures, not control codes), and its 16 colours. */
import type { Screen } from './messages';

const low = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const high =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»' +
  '░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** Unicode character for each of the 256 codes. */
export const codePage437: readonly string[] = [
  ...low,
  ...Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i)),
  '⌂',
  ...high,
];

/** The text-mode palette (IRGB) after the VGA's default DAC values. */
export const vgaPalette: readonly string[] = [
  '#000000', '#0000aa', '#00aa00', '#00aaaa', '#aa0000', '#aa00aa', '#aa5500', '#aaaaaa',
  '#555555', '#5555ff', '#55ff55', '#55ffff', '#ff5555', '#ff55ff', '#ffff55', '#ffffff',
];

/** Lines of text on a screen of character and attribute pairs, without trailing blanks. */
export function screenLines(columns: number, rows: number, cells: Uint8Array): string[] {
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    let line = '';
    for (let column = 0; column < columns; column++) line += codePage437[cells[(row * columns + column) * 2] ?? 0];
    lines.push(line.replace(/[ \u00a0]+$/, ''));
  }
  return lines;
}

/** The lines of a screen; a picture has none. */
export function linesOf(screen: Screen): string[] {
  return screen.kind === 'text' ? screenLines(screen.columns, screen.rows, screen.cells) : [];
}
