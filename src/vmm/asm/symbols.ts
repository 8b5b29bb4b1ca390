/** The symbol table of one assembly, across its passes: a symbol's value in this pass, or in the last one while its line is still to come. */
import { nearest, Problem, type LineOrigin, type Span } from './diagnostics';
import type { Value } from './expression';

export type SymbolKind = 'label' | 'equ' | 'extern' | 'common';

export interface SymbolEntry {
  readonly name: string;
  kind: SymbolKind;
  value: Value;
  /** Last pass that defined it; 0 while it is only declared global. */
  definedIn: number;
  origin: LineOrigin;
  span: Span;
  global: boolean;
  /** ELF symbol type from `global name:function`. */
  type: 'none' | 'function' | 'data';
  size: Value | undefined;
  commonSize: number;
  commonAlign: number;
}

export const firstExternBase = 1_000_000;

export class SymbolTable {
  private readonly entries = new Map<string, SymbolEntry>();
  pass = 0;
  /** A value differs from the last pass. */
  changed = false;
  private scope = '';
  private readonly externBases = new Map<string, number>();

  beginPass(pass: number): void {
    this.pass = pass;
    this.changed = false;
    this.scope = '';
  }

  /** `.x` belongs to the last label that is not local. */
  fullName(name: string): string {
    return name.startsWith('.') && !name.startsWith('..') ? this.scope + name : name;
  }

  define(label: Span & { readonly name: string }, kind: SymbolKind, value: Value, origin: LineOrigin): SymbolEntry {
    const name = this.fullName(label.name);
    if (name.length > 4096) throw new Problem('the name is longer than 4096 characters', label);
    if (kind === 'label' && !label.name.startsWith('.')) this.scope = name;
    const entry = this.entry(name, origin, label);
    if (entry.definedIn === this.pass) {
      const same = entry.kind === kind && kind !== 'label' && sameValue(entry.value, value);
      if (!same) throw new Problem(`symbol \`${name}\` is already defined in line ${entry.origin.line} of ${entry.origin.path}`, label);
    }
    if (entry.definedIn === 0 || !sameValue(entry.value, value)) this.changed = true;
    entry.kind = kind;
    entry.value = value;
    entry.definedIn = this.pass;
    entry.origin = origin;
    entry.span = { column: label.column, endColumn: label.endColumn };
    return entry;
  }

  declare(name: string, origin: LineOrigin, span: Span): SymbolEntry {
    return this.entry(this.fullName(name), origin, span);
  }

  private entry(name: string, origin: LineOrigin, span: Span): SymbolEntry {
    let entry = this.entries.get(name);
    if (!entry) {
      entry = { name, kind: 'label', value: { number: 0n }, definedIn: 0, origin, span, global: false, type: 'none', size: undefined, commonSize: 0, commonAlign: 0 };
      this.entries.set(name, entry);
    }
    return entry;
  }

  lookup(name: string, span: Span): Value {
    const full = this.fullName(name);
    const entry = this.entries.get(full);
    if (entry && entry.definedIn !== 0 && entry.definedIn >= this.pass - 1) return entry.value;
    if (this.pass > 1) throw this.unknown(full, span);
    return { number: 0n, unknown: true };
  }

  /** For the preprocessor: only what stands above. */
  lookupAbove(name: string, span: Span): Value {
    const entry = this.entries.get(this.fullName(name));
    if (entry?.definedIn === this.pass) return entry.value;
    throw new Problem(`\`${name}\` must be defined above this line`, span);
  }

  private unknown(name: string, span: Span): Problem {
    const near = nearest(name, [...this.entries.values()].filter((entry) => entry.definedIn).map((entry) => entry.name).slice(0, 5000));
    return new Problem(`symbol \`${name}\` is not defined${near && near !== name ? `; did you mean \`${near}\`?` : ''}`, span);
  }

  /** Base of an external symbol's address; these lie far above those of sections. */
  externBase(name: string): number {
    let base = this.externBases.get(name);
    if (base === undefined) {
      base = firstExternBase + this.externBases.size;
      this.externBases.set(name, base);
    }
    return base;
  }

  list(): readonly SymbolEntry[] {
    return [...this.entries.values()];
  }
}

function sameValue(a: Value, b: Value): boolean {
  if (a.number !== b.number || Boolean(a.unknown) !== Boolean(b.unknown) || (a.terms?.size ?? 0) !== (b.terms?.size ?? 0)) return false;
  for (const [key, coefficient] of a.terms ?? []) {
    if (b.terms?.get(key) !== coefficient) return false;
  }
  return true;
}
