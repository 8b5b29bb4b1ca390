/** The files of one assembly: found through the caller's `readFile`, bounded, split into logical lines and tokenized once for all passes. */
import { GiveUp, limits } from './diagnostics';
import { tokenize, type Token } from './lexer';

export interface SourceLine {
  readonly tokens: readonly Token[];
  readonly path: string;
  /** Counted from 1; the first one of lines joined by a backslash. */
  readonly line: number;
}

export type ReadFile = (path: string) => Uint8Array | undefined;

export class SourceSet {
  private readonly parsed = new Map<string, readonly SourceLine[]>();
  private readonly bytes = new Map<string, { path: string; bytes: Uint8Array } | undefined>();
  private total = 0;

  constructor(private readonly readFile: ReadFile, private readonly mainPath: string) {}

  /** Looks beside the including file, then beside the main file, then takes the name as it is. */
  find(name: string, from: string): { readonly path: string; readonly bytes: Uint8Array } | undefined {
    const tried = new Set<string>();
    for (const candidate of [join(directory(from), name), join(directory(this.mainPath), name), name]) {
      if (tried.has(candidate)) continue;
      tried.add(candidate);
      if (!this.bytes.has(candidate)) {
        const bytes = this.readFile(candidate);
        if (bytes) {
          this.total += bytes.length;
          if (this.total > limits.fileBytes) throw new GiveUp(`the included files are larger than ${limits.fileBytes / 1048576} MiB together`);
        }
        this.bytes.set(candidate, bytes && { path: candidate, bytes });
      }
      const found = this.bytes.get(candidate);
      if (found) return found;
    }
    return undefined;
  }

  linesOfText(path: string, text: string): readonly SourceLine[] {
    let lines = this.parsed.get(path);
    if (!lines) {
      if (text.length > limits.fileBytes) throw new GiveUp(`${path} is larger than ${limits.fileBytes / 1048576} MiB`);
      lines = splitLines(path, text);
      this.parsed.set(path, lines);
    }
    return lines;
  }

  linesOf(file: { readonly path: string; readonly bytes: Uint8Array }): readonly SourceLine[] {
    return this.parsed.get(file.path) ?? this.linesOfText(file.path, new TextDecoder().decode(file.bytes));
  }
}

function directory(path: string): string {
  const cut = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'));
  return cut < 0 ? '' : path.slice(0, cut + 1);
}

function join(folder: string, name: string): string {
  return /^(?:[/\\]|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]+:)/.test(name) ? name : folder + name;
}

function splitLines(path: string, text: string): readonly SourceLine[] {
  const physical = text.split('\n');
  const lines: SourceLine[] = [];
  for (let i = 0; i < physical.length; i += 1) {
    const line = i + 1;
    let content = physical[i];
    if (content.endsWith('\r')) content = content.slice(0, -1);
    if (content.endsWith('\\')) {
      const pieces = [content.slice(0, -1)];
      while (i + 1 < physical.length) {
        i += 1;
        const next = physical[i].endsWith('\r') ? physical[i].slice(0, -1) : physical[i];
        if (!next.endsWith('\\')) {
          pieces.push(next);
          break;
        }
        pieces.push(next.slice(0, -1));
      }
      content = pieces.join(' ');
    }
    lines.push({ tokens: tokenize(content), path, line });
  }
  return lines;
}
