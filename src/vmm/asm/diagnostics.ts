/** What the assembler tells a person, the bounds that keep hostile input from hanging it, and the value by which it gives up. */

export type Severity = 'error' | 'warning' | 'note';

export interface Diagnostic {
  readonly severity: Severity;
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1; the text stands in columns [column, endColumn). */
  readonly column: number;
  readonly endColumn: number;
  readonly message: string;
}

/** Where a line of assembly comes from. `call` is the line whose macro call (or %rep, or times) produced it. */
export interface LineOrigin {
  readonly path: string;
  readonly line: number;
  readonly call?: LineOrigin;
}

/** Columns of the offending text, counted from 1, end exclusive. */
export interface Span {
  readonly column: number;
  readonly endColumn: number;
}

export const limits = {
  /** Bytes of all sections together. */
  outputBytes: 64 * 1024 * 1024,
  /** Bytes that resb and its kin may reserve in sections without contents (bss of a kernel may be large; it costs no memory here). */
  reservedBytes: 0xffff_ffff,
  /** Lines that the preprocessor may play in one pass, and statements that all passes together may assemble. */
  lines: 500_000,
  statements: 20_000_000,
  /** Lines that are kept for the next pass instead of being expanded again. */
  keptLines: 200_000,
  /** Values that wait for the final addresses of sections. */
  relocations: 1_000_000,
  /** Tokens that macro expansion may yield for one line, and for one pass. */
  tokensPerLine: 200_000,
  tokens: 10_000_000,
  /** Nested %include files, macro calls and %rep blocks together. */
  depth: 200,
  /** Nested parentheses and unary operators. */
  expressionDepth: 200,
  /** Statements evaluated one by one because of `times`. */
  repetitions: 2_000_000,
  /** Bytes of one source file, and of all %include files and incbin files together. */
  fileBytes: 64 * 1024 * 1024,
  passes: 200,
  errors: 100,
} as const;

/** Thrown inside the assembler when a bound is reached or an %fatal stands in the source; `assemble` turns it into its result. */
export class GiveUp extends Error {}

/** A problem with the text at hand, thrown by the parsers and reported by the driver with the line's origin. */
export class Problem extends Error {
  constructor(message: string, readonly span?: Span) {
    super(message);
  }
}

export class Reporter {
  private readonly items: Diagnostic[] = [];
  private readonly seen = new Set<string>();
  errorCount = 0;

  report(severity: Severity, origin: LineOrigin, message: string, span: Span = { column: 1, endColumn: 1 }): void {
    const key = `${severity}|${origin.path}|${origin.line}|${span.column}|${message}|${origin.call?.line ?? ''}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    if (this.items.length < limits.errors * 4) {
      this.items.push({ severity, path: origin.path, line: origin.line, column: span.column, endColumn: Math.max(span.endColumn, span.column), message });
      let call = origin.call;
      for (let depth = 0; call && severity === 'error' && depth < 3; depth += 1, call = call.call) {
        this.items.push({ severity: 'note', path: call.path, line: call.line, column: 1, endColumn: 1, message: 'in the expansion that begins here' });
      }
    }
    if (severity === 'error') {
      this.errorCount += 1;
      if (this.errorCount >= limits.errors) throw new GiveUp(`${limits.errors} errors: the rest of the source is not looked at`);
    }
  }

  /** The reason for giving up, which no limit on the number of messages may swallow. */
  force(origin: LineOrigin, message: string): void {
    this.errorCount += 1;
    this.items.push({ severity: 'error', path: origin.path, line: origin.line, column: 1, endColumn: 1, message });
  }

  list(): readonly Diagnostic[] {
    return this.items;
  }

  /** Forgets what an earlier pass reported: addresses were not final then. */
  clear(): void {
    this.items.length = 0;
    this.seen.clear();
    this.errorCount = 0;
  }
}

/** The candidate nearest to `word` by edit distance, if it is near enough to be what was meant. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.ceil(word.length / 2.5) + 1);
  if (word.length > 40) return undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(row[j - 1] + 1, previous[j] + 1, previous[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], beforePrevious[j - 2] + 1);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length];
}
