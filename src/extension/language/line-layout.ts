/** Address and bytes of each source line, as text of one width, from an assembly. Pure. */
import type { Assembly } from '../../adapter/services';

/** Bytes that are shown; the tooltip has all. */
const shownBytes = 6;

export interface LineLayout {
  /** From 1. */
  readonly line: number;
  readonly linear: number;
  readonly bytes: Uint8Array;
}

/** An ELF file's offsets are not those of memory. */
const isElf = (image: Uint8Array): boolean => image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46;

/** What each line of a file became: its first piece, with the pieces that follow directly. */
export function layoutOf(assembly: Assembly, isFile: (path: string) => boolean): Map<number, LineLayout> {
  const lines = new Map<number, { line: number; linear: number; length: number }>();
  for (const row of assembly.lines) {
    if (row.length === 0 || !isFile(row.path)) continue;
    const known = lines.get(row.line);
    if (!known) lines.set(row.line, { line: row.line, linear: row.linear, length: row.length });
    else if (known.linear + known.length === row.linear) known.length += row.length;
  }
  const flat = !isElf(assembly.image);
  return new Map([...lines].map(([line, { linear, length }]) => {
    const from = linear - assembly.origin;
    return [line, { line, linear, bytes: flat ? assembly.image.slice(from, from + length) : new Uint8Array() }];
  }));
}

/** Hexadecimal digits that every address of the layout fits. */
export function addressDigits(layout: Iterable<LineLayout>): number {
  let highest = 0;
  for (const { linear } of layout) highest = Math.max(highest, linear);
  return highest > 0xffff ? 8 : 4;
}

const pairs = (bytes: Uint8Array): string[] => Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0'));

/** `7C00 B80100      `: padded with no-break spaces, so that the sources stay aligned. */
export function layoutText(layout: LineLayout | undefined, digits: number, withBytes: boolean): string {
  const width = digits + (withBytes ? 1 + shownBytes * 2 + 1 : 0);
  let text = '';
  if (layout) {
    text = layout.linear.toString(16).toUpperCase().padStart(digits, '0');
    if (withBytes && layout.bytes.length > 0) text += ` ${pairs(layout.bytes.subarray(0, shownBytes)).join('')}${layout.bytes.length > shownBytes ? '…' : ''}`;
  }
  return text.padEnd(width).replaceAll(' ', '\u00a0');
}

export function layoutTooltip({ linear, bytes }: LineLayout): string {
  const most = 64;
  return `Address ${linear.toString(16).toUpperCase()}, ${bytes.length} byte${bytes.length === 1 ? '' : 's'}: ${pairs(bytes.subarray(0, most)).join(' ')}${bytes.length > most ? ' …' : ''}`;
}
