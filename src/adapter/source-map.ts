/**
 * Where the program's source lines and labels are in linear memory, whoever found it out: the assembler's line map, a listing,
 * an ELF file's symbols and line program.
 */

export interface LineRow {
  readonly linear: number;
  readonly length: number;
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** Code unless it says otherwise. */
  readonly kind?: 'code' | 'data';
  /** The line called a macro whose line has a row of its own: execution is there, breakpoints can be here. */
  readonly caller?: boolean;
}
export interface SymbolRow {
  readonly name: string;
  readonly linear: number;
  /** A named number and no place. */
  readonly number?: boolean;
}
export interface SourceLocation {
  readonly path: string;
  readonly line: number;
  /** First address of the row. */
  readonly linear: number;
}

/** A symbol further away than this does not name an address. */
const maximumSymbolDistance = 0x10_0000;

export class SourceMap {
  private readonly rows: readonly LineRow[];
  private readonly byPath = new Map<string, { readonly path: string; readonly lines: Map<number, LineRow[]> }>();
  private readonly byName = new Map<string, number>();
  private readonly symbols: readonly SymbolRow[];

  constructor(private readonly allRows: readonly LineRow[], private readonly allSymbols: readonly SymbolRow[]) {
    const rows = allRows, symbols = allSymbols;
    const sorted = [...rows].filter((row) => row.length > 0).sort((a, b) => a.linear - b.linear);
    this.rows = sorted.filter((row) => row.caller !== true);
    for (const row of sorted) {
      const key = pathKey(row.path);
      let source = this.byPath.get(key);
      if (!source) this.byPath.set(key, (source = { path: row.path, lines: new Map() }));
      const line = source.lines.get(row.line);
      if (line) line.push(row);
      else source.lines.set(row.line, [row]);
    }
    this.symbols = symbols.filter((symbol) => symbol.number !== true).sort((a, b) => a.linear - b.linear);
    for (const { name, linear } of symbols) if (!this.byName.has(name)) this.byName.set(name, linear);
  }

  /** The same lines, with more symbols. */
  withSymbols(more: readonly SymbolRow[]): SourceMap {
    return new SourceMap(this.allRows, [...this.allSymbols, ...more]);
  }

  get sources(): string[] {
    return [...this.byPath.values()].map((source) => source.path);
  }

  /** The line whose code or data contains the address. */
  locate(linear: number): SourceLocation | undefined {
    const row = this.rows[lastAtOrBefore(this.rows, linear)];
    return row && linear < row.linear + row.length ? { path: row.path, line: row.line, linear: row.linear } : undefined;
  }

  /**
   * Addresses where the line begins, one for each run of rows that follow each other; the first later line with code if it has none,
   * and its data if there is no later one either.
   */
  resolve(path: string, line: number): { readonly line: number; readonly linear: readonly number[] } | undefined {
    const lines = this.byPath.get(pathKey(path))?.lines;
    if (!lines) return undefined;
    let found = Infinity;
    for (const [candidate, rows] of lines) if (candidate >= line && candidate < found && rows.some(isCode)) found = candidate;
    const rows = lines.get(found)?.filter(isCode) ?? lines.get(line);
    if (!rows) return undefined;
    const starts = rows.filter((row, n) => {
      const before = rows[n - 1];
      return !before || before.linear + before.length !== row.linear;
    });
    return { line: found === Infinity ? line : found, linear: starts.map((row) => row.linear) };
  }

  hasSource(path: string): boolean {
    return this.byPath.has(pathKey(path));
  }

  /** All lines of a source with code or data, in order. */
  linesOf(path: string): readonly LineRow[] {
    const lines = this.byPath.get(pathKey(path))?.lines;
    return lines ? [...lines.values()].flatMap((rows) => rows.slice(0, 1)).sort((a, b) => a.line - b.line) : [];
  }

  symbol(name: string): number | undefined {
    return this.byName.get(name) ?? this.localSymbol(name);
  }

  /** `.loop` alone means the one local label of that name, when there is but one. */
  private localSymbol(name: string): number | undefined {
    if (!name.startsWith('.')) return undefined;
    const matches = this.symbols.filter((symbol) => symbol.name.endsWith(name));
    return matches.length === 1 ? matches[0]?.linear : undefined;
  }

  /** The last symbol at or before an address. */
  symbolAt(linear: number): { readonly name: string; readonly offset: number } | undefined {
    const symbol = this.symbols[lastAtOrBefore(this.symbols, linear)];
    if (!symbol || linear - symbol.linear > maximumSymbolDistance) return undefined;
    return { name: symbol.name, offset: linear - symbol.linear };
  }

  get symbolNames(): string[] {
    return [...this.byName.keys()];
  }
}

const isCode = (row: LineRow): boolean => row.kind !== 'data';

export const emptySourceMap = new SourceMap([], []);

function lastAtOrBefore(rows: readonly { readonly linear: number }[], linear: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.linear ?? Infinity) <= linear) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Paths that mean the same file compare equal: separators, `.` and `..`, and the case of a drive letter do not count. */
export function pathKey(path: string): string {
  const parts: string[] = [];
  for (const part of path.replace(/\\/g, '/').split('/')) {
    if (part === '..' && parts.length > 1 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/').replace(/^[A-Z]:/, (drive) => drive.toLowerCase());
}
