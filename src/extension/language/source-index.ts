/**
 * The names in one assembly source: where labels, constants, macros and sections are defined, and where any name is used. Reads lines, not
 * meaning: it also works on a source that does not assemble. Lines and columns from 0.
 */
import { dataDirectives, directives, prefixes } from './vocabulary';

export type DefinitionKind = 'label' | 'local' | 'data' | 'constant' | 'macro' | 'define' | 'section' | 'structure' | 'extern';

export interface Definition {
  /** Local labels with the label before them: `main.loop`. */
  readonly name: string;
  /** As it is written: `.loop`. */
  readonly written: string;
  readonly kind: DefinitionKind;
  readonly line: number;
  readonly column: number;
  /** Last line that belongs to it: of a macro or structure its end, of a label the line before the next one. */
  endLine: number;
  /** The rest of the line, and the comment on or directly above it. */
  readonly detail: string;
  readonly comment: string;
}

export interface Use {
  /** Local labels with the label before them. */
  readonly name: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

export interface SourceIndex {
  readonly definitions: readonly Definition[];
  readonly uses: readonly Use[];
  readonly includes: readonly { readonly path: string; readonly line: number; readonly column: number }[];
  /** Which label local names belong to, by line. */
  readonly scopes: readonly string[];
}

/** Characters of names in NASM: letters, digits, _ $ # @ ~ . ? */
const namePattern = /[A-Za-z_.?@$#~][\w.$@?#~]*/g;
export const nameAt = /[A-Za-z_.?@%][\w.$@?#~]*/;

/** A line longer than this is no source text that a person reads. */
const mostColumns = 4096;

/** The line with strings and the comment blanked, so that columns stay; and the comment. */
export function blankStrings(line: string): { readonly code: string; readonly comment: string } {
  let code = '';
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    if (character === ';') return { code, comment: line.slice(i + 1).trim() };
    if (character === '\'' || character === '"' || character === '`') {
      let end = i + 1;
      while (end < line.length && line[end] !== character) end += character === '`' && line[end] === '\\' ? 2 : 1;
      end = Math.min(end, line.length - 1);
      code += character + ' '.repeat(Math.max(0, end - i - 1)) + (end > i ? line[end] : '');
      i = end;
    } else code += character;
  }
  return { code, comment: '' };
}

const dataWords = new Set(dataDirectives.filter((d) => !['equ', 'times', 'incbin'].includes(d.name)).map((d) => d.name));
const reserved = new Set([...dataDirectives, ...directives, ...prefixes].map((word) => word.name));

export function indexSource(text: string, isMnemonic: (name: string) => boolean): SourceIndex {
  const lines = text.split(/\r?\n/);
  const definitions: Definition[] = [];
  const uses: Use[] = [];
  const includes: { path: string; line: number; column: number }[] = [];
  const scopes: string[] = [];
  const macros = new Set<string>();
  const openMacros: Definition[] = [];
  let openStructure: Definition | undefined;
  let openLabel: Definition | undefined;
  let openSection: Definition | undefined;
  let scope = '';
  let commentAbove = '';

  const define = (kind: DefinitionKind, written: string, line: number, column: number, detail: string, comment: string): Definition => {
    const name = written.startsWith('.') && !written.startsWith('..') && kind !== 'section' ? scope + written : written;
    const definition: Definition = { name, written, kind, line, column, endLine: line, detail: detail.trim(), comment };
    definitions.push(definition);
    return definition;
  };
  const endLabel = (line: number) => {
    if (openLabel) openLabel.endLine = Math.max(openLabel.line, line - 1);
  };

  lines.forEach((whole, line) => {
    const source = whole.slice(0, mostColumns);
    const { code, comment } = blankStrings(source);
    scopes.push(scope);
    if (!code.trim()) {
      commentAbove = comment;
      return;
    }
    const about = comment || commentAbove;
    commentAbove = '';

    let match: RegExpExecArray | null;
    if ((match = /^\s*%(i?r?macro)\s+([^\s,]+)\s*(.*)$/i.exec(code))) {
      const definition = define('macro', match[2], line, code.indexOf(match[2], code.indexOf(match[1]) + match[1].length), `%${match[1]} ${match[2]} ${match[3]}`, about);
      macros.add(match[2].toLowerCase());
      openMacros.push(definition);
    } else if (/^\s*%endm(acro)?\b/i.test(code)) {
      const macro = openMacros.pop();
      if (macro) macro.endLine = line;
    } else if ((match = /^\s*%(i?x?define|i?assign|defstr|deftok)\s+([A-Za-z_.?@$#~][\w.$@?#~]*)(.*)$/i.exec(code))) {
      define('define', match[2], line, code.indexOf(match[2], code.indexOf(match[1]) + match[1].length), source.slice(source.indexOf('%')).split(';')[0], about);
    } else if ((match = /^\s*%include\s+(["'`])/i.exec(code))) {
      const column = match[0].length;
      const end = source.indexOf(match[1], column);
      if (end > column) includes.push({ path: source.slice(column, end), line, column });
    } else if ((match = /^\s*(?:\[\s*)?(section|segment)\s+([^\s\]]+)/i.exec(code))) {
      if (openSection) openSection.endLine = Math.max(openSection.line, line - 1);
      endLabel(line);
      openLabel = undefined;
      openSection = define('section', match[2], line, code.indexOf(match[2], code.toLowerCase().indexOf(match[1].toLowerCase()) + match[1].length), match[0], about);
    } else if ((match = /^\s*(?:\[\s*)?struc\s+([^\s\],]+)/i.exec(code))) {
      endLabel(line);
      openLabel = undefined;
      openStructure = define('structure', match[1], line, code.indexOf(match[1], code.toLowerCase().indexOf('struc') + 5), match[0], about);
      scope = match[1];
    } else if (/^\s*endstruc\b/i.test(code)) {
      if (openStructure) openStructure.endLine = line;
      openStructure = undefined;
    } else if ((match = /^\s*(?:\[\s*)?(?:extern|common)\s+([A-Za-z_.?@$#~][\w.$@?#~]*)/i.exec(code))) {
      define('extern', match[1], line, code.indexOf(match[1], match[0].length - match[1].length), match[0], about);
    } else if (openMacros.length === 0 && (match = /^(\s*)(\$?[A-Za-z_.?@][\w.$@?#~]*)(\s*:(?!:)|(?=\s|$))\s*(.*)$/.exec(code))) {
      const [, blank, written, colon, rest] = match;
      const next = /^(?:times\s+.*?\s)?([A-Za-z]+)\b/i.exec(rest)?.[1].toLowerCase() ?? '';
      const lower = written.toLowerCase();
      const known = reserved.has(lower) || isMnemonic(lower) || macros.has(lower);
      const kind: DefinitionKind | undefined = next === 'equ' ? 'constant'
        : colon.includes(':') || !known && (rest === '' && blank === '' || dataWords.has(next) || next === 'incbin' || next === 'times')
          ? dataWords.has(next) || next === 'incbin' ? 'data' : 'label' : undefined;
      if (kind) {
        const local = written.startsWith('.') && !written.startsWith('..');
        const definition = define(kind === 'label' && local ? 'local' : kind, written, line, blank.length, source.slice(blank.length).split(';')[0], about);
        // `..@x` and constants do not open a scope for local labels.
        if (!local && !written.startsWith('..') && kind !== 'constant') {
          endLabel(line);
          openLabel = definition;
          if (!openStructure) scope = written;
          scopes[line] = scope;
        }
      }
    }

    for (const found of code.matchAll(namePattern)) {
      const word = found[0];
      if (/^[$.]+$/.test(word) || code[found.index - 1] === '%' || /\w/.test(code[found.index - 1] ?? '')) continue;
      const local = word.startsWith('.') && !word.startsWith('..');
      uses.push({ name: local ? scope + word : word, line, column: found.index, length: word.length });
    }
  });
  endLabel(lines.length);
  if (openSection) openSection.endLine = lines.length - 1;
  return { definitions, uses, includes, scopes };
}

/** The definition that a name at a line means: local names within their label first. Macro names ignore case as `%imacro` does. */
export function findDefinitions(index: SourceIndex, word: string, line: number): Definition[] {
  const name = qualify(index, word, line);
  const exact = index.definitions.filter((definition) => definition.name === name);
  if (exact.length > 0) return exact;
  return index.definitions.filter((definition) => definition.kind === 'macro' && definition.name.toLowerCase() === word.toLowerCase());
}

/** A local name with its label. */
export function qualify(index: SourceIndex, word: string, line: number): string {
  return word.startsWith('.') && !word.startsWith('..') ? (index.scopes[line] ?? '') + word : word;
}
