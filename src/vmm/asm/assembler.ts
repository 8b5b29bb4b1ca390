/**
 * The assembler: NASM syntax → a flat binary or an ELF32 object, with a line map, symbols and diagnostics. It repeats passes until no
 * symbol moves any more; jumps begin short and grow, as NASM's do. Bad input never throws: it yields diagnostics.
 */
import { table as instructionTable } from '../isa/table';
import type { InstructionTable } from '../isa/types';
import { layOutFlat, type PlacedSection } from './bin';
import { GiveUp, limits, Problem, Reporter, type Diagnostic, type LineOrigin } from './diagnostics';
import { writeElf32 } from './elf32';
import { Cursor, evaluate, parseExpression } from './expression';
import type { Token } from './lexer';
import { Pass } from './pass';
import { Preprocessor, type ExpandedLine } from './preprocessor';
import { SourceSet } from './source';
import { parseStatement, type Statement } from './statement';
import { SymbolTable as Symbols } from './symbols';

export type { Diagnostic, Severity } from './diagnostics';

export interface AssembleOptions {
  /** Files of %include and incbin, by the name written there, also joined to the folder of the including file. */
  readFile(path: string): Uint8Array | undefined;
  readonly format: 'bin' | 'elf32';
  /** Single-line macros defined before the first line, as `nasm -D`. */
  readonly defines?: Readonly<Record<string, string>>;
  /** For __DATE__ and __TIME__; the default is the beginning of 1970, so that results repeat. */
  readonly now?: Date;
  readonly table?: InstructionTable;
}

/** What one source line became. Lines of macros name the line in the macro; `call` is the line that called it. */
export interface LineEntry {
  /** bin: address at run time (with org); elf32: offset in the section. */
  readonly address: number;
  readonly length: number;
  readonly section: string;
  readonly path: string;
  readonly line: number;
  readonly call?: LineOrigin;
  readonly kind: 'code' | 'data';
  /** Code size in force, for disassembly. */
  readonly bits: 16 | 32 | 64;
}

export interface AssembledSymbol {
  readonly name: string;
  readonly kind: 'label' | 'equ' | 'extern' | 'common';
  /** bin: address at run time; elf32: offset in the section; equ: the number. */
  readonly value: number;
  /** Undefined for plain numbers and external symbols. */
  readonly section?: string;
  readonly global: boolean;
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

export interface AssembledSection {
  readonly name: string;
  readonly address: number;
  readonly size: number;
  readonly hasContents: boolean;
  /** The section's bytes, for listings; undefined for one that only reserves space. */
  readonly contents?: Uint8Array;
}

export type LineMap = readonly LineEntry[];
export type SymbolTable = readonly AssembledSymbol[];

export interface AssemblyResult {
  /** False when there is an error; the bytes are empty then. */
  readonly ok: boolean;
  readonly format: 'bin' | 'elf32';
  readonly bytes: Uint8Array;
  /** bin: what org said, else 0. */
  readonly origin: number;
  /** Sorted by section and address. */
  readonly lines: LineMap;
  readonly symbols: SymbolTable;
  readonly sections: readonly AssembledSection[];
  readonly diagnostics: readonly Diagnostic[];
}

interface KeptLine {
  readonly statement: Statement;
  readonly origin: LineOrigin;
}

/** After so many passes jumps that are still changing are made long, so that the layout settles. */
const passesBeforeLongJumps = 100;

export function assemble(source: { readonly path: string; readonly text: string }, options: AssembleOptions): AssemblyResult {
  const reporter = new Reporter();
  const failed = (): AssemblyResult => ({
    ok: false, format: options.format, bytes: new Uint8Array(), origin: 0, lines: [], symbols: [], sections: [], diagnostics: reporter.list(),
  });
  const run = new Run(source, options, reporter);
  try {
    const pass = run.passes();
    if (reporter.errorCount) return { ...failed(), symbols: [] };
    return finish(pass, run.symbols, source.path, options.format, reporter) ?? failed();
  } catch (error) {
    // Stack overflow is the one thing that bounded recursion in all parsers together might still meet.
    const reason = error instanceof GiveUp || error instanceof Problem ? error.message : error instanceof RangeError ? `the source is nested too deeply or too large (${error.message})` : undefined;
    if (reason === undefined) throw error;
    reporter.force(run.origin, reason);
    return failed();
  }
}

class Run {
  readonly symbols = new Symbols();
  private readonly sources: SourceSet;
  private kept: KeptLine[] | undefined;
  private statements = 0;
  private pass!: Pass;
  private readonly table: InstructionTable;

  constructor(private readonly source: { readonly path: string; readonly text: string }, private readonly options: AssembleOptions, private readonly reporter: Reporter) {
    this.sources = new SourceSet((path) => options.readFile(path), source.path);
    this.table = options.table ?? instructionTable;
  }

  get origin(): LineOrigin {
    return this.pass?.origin.path ? this.pass.origin : { path: this.source.path, line: 1 };
  }

  passes(): Pass {
    for (let number = 1; ; number += 1) {
      this.reporter.clear();
      this.symbols.beginPass(number);
      this.pass = new Pass({
        table: this.table, format: this.options.format, reporter: this.reporter, symbols: this.symbols, sources: this.sources, longJumps: number > passesBeforeLongJumps,
      });
      this.pass.origin = { path: this.source.path, line: 1 };
      if (this.kept && !this.layoutDependent) for (const { statement, origin } of this.kept) this.statement(statement, origin);
      else this.expandAndAssemble();
      if (this.pass.structure) this.reporter.report('error', this.pass.structure.origin, `${this.pass.structure.kind} ${this.pass.structure.name} has no end`);
      if (number > 1 && !this.symbols.changed) return this.pass;
      // A source with errors may never settle.
      if (this.reporter.errorCount && number >= 10) return this.pass;
      if (number >= limits.passes) throw new GiveUp(`addresses do not settle after ${limits.passes} passes: does a size depend on itself?`);
    }
  }

  /** An %if or %assign asked for an address or a symbol: the expansion may differ in the next pass. */
  private layoutDependent = false;

  private expandAndAssemble(): void {
    const kept: KeptLine[] = [];
    let keeping = true;
    const preprocessor = new Preprocessor({
      sources: this.sources, main: this.source, reporter: this.reporter, defines: this.options.defines ?? {}, format: this.options.format, now: this.options.now,
      state: { evaluateNow: (tokens, what) => this.evaluateNow(tokens, what), pass: this.pass },
    });
    for (let line = preprocessor.nextLine(); line; line = preprocessor.nextLine()) {
      const statement = this.parse(line);
      if (!statement) {
        keeping = false;
        continue;
      }
      if (kept.length < limits.keptLines) kept.push({ statement, origin: line.origin });
      else keeping = false;
      this.statement(statement, line.origin);
    }
    // Messages of the preprocessor (warnings, errors) must come again in the last pass.
    this.kept = keeping && !preprocessor.reported ? kept : undefined;
  }

  private parse(line: ExpandedLine): Statement | undefined {
    try {
      return parseStatement(line.tokens, { mnemonics: this.table.byMnemonic.keys(), isMnemonic: (name) => this.table.byMnemonic.has(name) });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.reporter.report('error', line.origin, error.message, error.span);
      // The label is still there, so that one error does not bring more.
      const [name, colon] = line.tokens;
      if (name.kind === 'name' && colon?.kind === 'operator' && colon.text === ':') {
        this.statement({ label: { name: name.text, colon: true, column: name.column, endColumn: name.endColumn } }, line.origin);
      }
      return undefined;
    }
  }

  private statement(statement: Statement, origin: LineOrigin): void {
    this.statements += 1;
    if (this.statements > limits.statements) throw new GiveUp(`more than ${limits.statements} statements in all passes together`);
    try {
      this.pass.statement(statement, origin);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.reporter.report('error', origin, error.message, error.span);
    }
  }

  private evaluateNow(tokens: readonly Token[], what: string): bigint {
    const cursor = new Cursor(tokens);
    const node = parseExpression(cursor);
    if (!cursor.end) throw new Problem(`\`${cursor.token?.text}\` is left over behind the expression of ${what}`, cursor.span());
    const value = evaluate(node, {
      symbol: (name, span) => {
        this.layoutDependent = true;
        return this.symbols.lookupAbove(name, span);
      },
      here: () => {
        this.layoutDependent = true;
        return this.pass.positionNow();
      },
      sectionStart: () => this.pass.sectionStart(),
    });
    if (value.terms) throw new Problem(`${what} needs a number, not an address or a register (subtract $$ from addresses)`, node);
    return value.number;
  }
}

function finish(pass: Pass, symbols: Symbols, path: string, format: 'bin' | 'elf32', reporter: Reporter): AssemblyResult | undefined {
  let placed: readonly PlacedSection[];
  let bytes: Uint8Array;
  let origin = 0;
  if (format === 'bin') {
    const layout = layOutFlat(pass, reporter);
    ({ bytes, origin, sections: placed } = layout);
  } else {
    bytes = writeElf32(pass, symbols, path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1), reporter);
    placed = [...pass.sections.values()].map((section) => ({ section, start: 0, address: 0 }));
  }
  if (reporter.errorCount) return undefined;
  const lines = placed.flatMap(({ section, address }): LineEntry[] => section.lines.map((line) => ({
    address: address + line.offset, length: line.length, section: section.name, path: line.origin.path, line: line.origin.line, call: line.origin.call, kind: line.kind, bits: line.bits,
  })));
  const byId = new Map(placed.map((entry) => [entry.section.id, entry]));
  const list = symbols.list().filter((entry) => entry.definedIn === symbols.pass).map((entry): AssembledSymbol => {
    const base = [...(entry.value.terms?.keys() ?? [])][0];
    const home = base === undefined ? undefined : byId.get(base);
    return {
      name: entry.name, kind: entry.kind, value: Number(entry.value.number) + (home?.address ?? 0), section: home?.section.name, global: entry.global,
      path: entry.origin.path, line: entry.origin.line, column: entry.span.column,
    };
  });
  return {
    ok: true, format, bytes: bytes.slice(), origin, lines, symbols: list, diagnostics: reporter.list(),
    sections: placed.map(({ section, address }) => ({
      name: section.name, address, size: section.position, hasContents: !section.attributes.nobits,
      ...(!section.attributes.nobits && { contents: section.bytes.slice() }),
    })),
  };
}
