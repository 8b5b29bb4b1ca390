/**
 * What nasm tells about an assembly in its listing (-l), its map file ([map symbols sections]) and its messages.
 * Lines of an included file are told apart by the %include line above them; what a macro became belongs to the line that called it.
 */

export interface NasmLine {
  readonly linear: number;
  readonly length: number;
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly kind: 'code' | 'data';
}
export interface NasmSymbol {
  readonly name: string;
  readonly linear: number;
  /** An equ, no place. */
  readonly number?: boolean;
}
export interface NasmMap {
  readonly origin: number;
  /** Address at run time of each section. */
  readonly sections: ReadonlyMap<string, number>;
  readonly symbols: readonly NasmSymbol[];
}
export interface NasmMessage {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/** Line number, then (for what became bytes) the offset in the section and the bytes, then the nesting of includes and macros, then the source. */
const listingLine = /^ *([0-9]+) (?:([0-9A-F]{8}) (\S.*?))?(-?) *(?:<([0-9]+)> ?)?$/;
const bytesColumn = 40;
const dataStatement = /^\s*(?:[\w.$?@~#]+:?\s+)?(?:times\s+.*?\s)?(?:d[bwdqtoy]|res[bwdqtoy]|incbin)\b/i;
const sectionStatement = /^\s*\[?\s*(?:section|segment)\s+([^\s\]]+)/i;
const includeStatement = /^\s*%include\s+(?:"([^"]*)"|'([^']*)'|`([^`]*)`)/i;

/** @param resolve the path of an included file as written, and of the file that includes it. */
export function parseNasmListing(text: string, path: string, map: NasmMap, resolve: (name: string, from: string) => string): NasmLine[] {
  const lines: NasmLine[] = [];
  /** Per level of nesting: the file, or the line that called the macro. */
  const nesting: { path: string; line?: number }[] = [{ path }];
  let last: { path: string; line: number; include?: string } = { path, line: 0 };
  let lastLevel = 0;
  let section = '.text';
  for (const row of text.split(/\r?\n/)) {
    const head = row.slice(0, bytesColumn).padEnd(bytesColumn);
    const source = row.slice(bytesColumn);
    const match = listingLine.exec(head);
    if (!match) continue;
    const level = Number(match[5] ?? 0);
    if (level > lastLevel) nesting[level] = last.include === undefined ? { path: last.path, line: last.line } : { path: resolve(last.include, last.path) };
    lastLevel = level;
    const home = nesting[level] ?? { path };
    const place = { path: home.path, line: home.line ?? Number(match[1]) };
    const include = includeStatement.exec(source);
    last = { ...place, ...(include && { include: include[1] ?? include[2] ?? include[3] ?? '' }) };
    section = sectionStatement.exec(source)?.[1] ?? section;
    if (match[2] === undefined) continue;
    const linear = (map.sections.get(section) ?? map.origin) + parseInt(match[2], 16);
    const length = listedLength(match[3] ?? '');
    const before = lines.at(-1);
    if (before && before.path === place.path && before.line === place.line && before.linear + before.length === linear && source.trim() === '') {
      lines[lines.length - 1] = { ...before, length: before.length + length };
    } else if (length > 0) {
      lines.push({ ...place, linear, length, kind: dataStatement.test(source) ? 'data' : 'code' });
    }
  }
  return lines;
}

/** "B8[0B7C]", "00<rep 1CFh>", "<res 10h>". */
function listedLength(bytes: string): number {
  const count = /<(rep|res|bin|incbin) ([0-9A-F]+)h>/i.exec(bytes);
  const digits = bytes.replace(/<[^>]*>/g, '').replace(/[^0-9A-F]/gi, '').length / 2;
  if (!count) return Math.floor(digits);
  const times = parseInt(count[2] ?? '0', 16);
  return count[1]?.toLowerCase() === 'rep' ? Math.floor(digits) * times : times;
}

export function parseNasmMap(text: string): NasmMap {
  const origin = /-- Program origin -+\s+([0-9A-F]+)/.exec(text);
  const sections = new Map<string, number>();
  const symbols: NasmSymbol[] = [];
  let place: 'none' | 'summary' | 'numbers' | 'symbols' = 'none';
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('-- ')) place = line.startsWith('-- Sections (summary)') ? 'summary' : 'none';
    else if (line.startsWith('---- No Section')) place = 'numbers';
    else if (line.startsWith('---- Section')) place = 'symbols';
    const row = line.trim().split(/\s+/);
    const name = row.at(-1) ?? '';
    if (!/^[0-9A-F]+$/.test(row[0] ?? '')) continue;
    if (place === 'summary' && row.length === 6) sections.set(name, parseInt(row[0] ?? '', 16));
    else if (place === 'numbers' && row.length === 2) symbols.push({ name, linear: parseInt(row[0] ?? '', 16), number: true });
    else if (place === 'symbols' && row.length === 3 && /^[0-9A-F]+$/.test(row[1] ?? '')) symbols.push({ name, linear: parseInt(row[1] ?? '', 16) });
  }
  return { origin: origin ? parseInt(origin[1] ?? '0', 16) : 0, sections, symbols };
}

/** @param path stands for messages that name no file. */
export function parseNasmMessages(text: string, path: string): NasmMessage[] {
  return text.split(/\r?\n/).flatMap((line): NasmMessage[] => {
    const match = /^(?:(.+?):([0-9]+): |nasm: )(error|warning|fatal|panic): (.*)$/.exec(line.trim());
    if (!match) return [];
    return [{
      path: match[1] ?? path, line: Number(match[2] ?? 1), column: 1, severity: match[3] === 'warning' ? 'warning' : 'error', message: match[4] ?? '',
    }];
  });
}
