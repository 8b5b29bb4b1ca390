/** The listing of an assembled source: line number, address, bytes, source text. Lines of included files and macros follow the line that brought them. */
import type { AssemblyResult, LineEntry } from '../../vmm/asm/assembler';
import { hex } from './text';

const BYTES_PER_LINE = 8;
/** Bytes of one source line (`times 510 db 0`) that are shown. */
const BYTES_SHOWN = 64;

interface Row {
  readonly address: number;
  readonly section: string;
  readonly bytes: Uint8Array;
}

export function assemblyListing(result: Pick<AssemblyResult, 'lines' | 'sections'>, source: { readonly path: string; readonly text: string }): string {
  const sections = new Map(result.sections.map((section) => [section.name, section]));
  const byLine = new Map<number, Row[]>();
  for (const entry of result.lines) {
    const line = lineIn(entry, source.path);
    const section = sections.get(entry.section);
    if (line === undefined || !section) continue;
    const at = entry.address - section.address;
    const rows = byLine.get(line) ?? [];
    rows.push({ address: entry.address, section: entry.section, bytes: section.contents?.slice(at, at + entry.length) ?? new Uint8Array() });
    byLine.set(line, rows);
  }
  const lines = source.text.replace(/\n$/, '').split('\n');
  const digits = String(lines.length).length;
  return `${lines.flatMap((text, n) => sourceLine(String(n + 1).padStart(digits), text.replace(/\r$/, ''), byLine.get(n + 1) ?? [])).join('\n')}\n`;
}

/** The line of the main source that an entry belongs to: its own, or that of the macro call or %include which it came from. */
function lineIn(entry: LineEntry, path: string): number | undefined {
  let line = entry.path === path ? entry.line : undefined;
  for (let { call } = entry; call; call = call.call) if (call.path === path) ({ line } = call);
  return line;
}

function sourceLine(number: string, text: string, rows: readonly Row[]): string[] {
  const blank = ' '.repeat(8 + 2 + 2 * BYTES_PER_LINE);
  if (rows.length === 0) return [`${number}  ${blank}  ${text}`.trimEnd()];
  const pieces = rows.flatMap(({ address, bytes }) => {
    const shown = bytes.subarray(0, BYTES_SHOWN);
    const parts: string[] = [];
    for (let at = 0; at < Math.max(1, shown.length); at += BYTES_PER_LINE) {
      const digits = [...shown.subarray(at, at + BYTES_PER_LINE)].map((byte) => hex(byte, 2)).join('');
      parts.push(`${hex(address + at, 8)}  ${digits.padEnd(2 * BYTES_PER_LINE)}`);
    }
    if (bytes.length > BYTES_SHOWN) parts.push(`${' '.repeat(10)}… ${bytes.length} bytes`.padEnd(blank.length));
    return parts;
  });
  return pieces.map((piece, n) => `${n === 0 ? number : ' '.repeat(number.length)}  ${piece}${n === 0 ? `  ${text}` : ''}`.trimEnd());
}
