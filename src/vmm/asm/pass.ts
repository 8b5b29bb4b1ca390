/** One pass over the statements: labels get their values, instructions and data go into their sections. */
import type { InstructionTable } from '../isa/types';
import { GiveUp, limits, Problem, type LineOrigin, type Reporter, type Span } from './diagnostics';
import { directives } from './directives';
import { Encoder, type Field } from './encoder';
import { baseOf, evaluate, type Environment, type Node, type Value } from './expression';
import { floatBytes } from './floating';
import { defaultAttributes, fieldSpan, OutputBudget, overflows, Section, sizeNames } from './sections';
import type { SourceSet } from './source';
import type { Body, DataItem, Statement } from './statement';
import type { SymbolTable } from './symbols';

export interface PassOptions {
  readonly table: InstructionTable;
  readonly format: 'bin' | 'elf32';
  readonly reporter: Reporter;
  readonly symbols: SymbolTable;
  readonly sources: SourceSet;
  readonly longJumps: boolean;
}

/** A structure being declared, or one being filled in by istruc. */
interface Structure {
  readonly kind: 'struc' | 'istruc';
  readonly name: string;
  readonly start: bigint;
  readonly origin: LineOrigin;
  readonly before: { section: Section; absolute: bigint | undefined };
}

export class Pass implements Environment {
  bits: 16 | 32 | 64;
  /** `default rel` is in force. */
  relative = false;
  readonly sections = new Map<string, Section>();
  section: Section;
  /** Position in an `absolute` segment, while one is open: labels are plain numbers there. */
  absolute: bigint | undefined;
  absoluteStart = 0n;
  /** bin: what `org` said. */
  originAddress: bigint | undefined;
  structure: Structure | undefined;
  origin: LineOrigin = { path: '', line: 1 };
  repetitions = 0;
  private readonly budget = new OutputBudget();
  private readonly encoder: Encoder;
  private itemPosition = 0;

  constructor(readonly options: PassOptions) {
    this.bits = options.format === 'bin' ? 16 : 32;
    this.encoder = new Encoder(options.table);
    this.section = this.sectionNamed('.text');
  }

  get symbols(): SymbolTable {
    return this.options.symbols;
  }

  /** Sections in the order in which the source first uses them. */
  readonly mentioned: string[] = [];
  mention(name: string): void {
    if (!this.mentioned.includes(name)) this.mentioned.push(name);
  }

  /** Sections are numbered in the order of their first mention; the number is the base of addresses in them. */
  sectionNamed(name: string): Section {
    let section = this.sections.get(name);
    if (!section) {
      if (this.sections.size >= 1000) throw new GiveUp('more than 1000 sections');
      section = new Section(this.sections.size + 1, name, defaultAttributes(name, this.options.format), this.budget);
      this.sections.set(name, section);
    }
    return section;
  }

  // Environment

  symbol(name: string, span: Span): Value {
    return this.symbols.lookup(name, span);
  }

  here(): Value {
    if (this.absolute !== undefined) return { number: this.absolute };
    return this.addressAt(this.itemPosition);
  }

  /** Where the next item will stand. */
  positionNow(): Value {
    return this.absolute !== undefined ? { number: this.absolute } : this.addressAt(this.section.position);
  }

  sectionStart(): Value {
    return this.absolute !== undefined ? { number: this.absoluteStart } : this.addressAt(0);
  }

  private addressAt(position: number): Value {
    return { number: BigInt(position), terms: new Map([[this.section.id, 1n]]) };
  }

  /** A number that the layout needs at once; 0 while it depends on symbols that the first pass has not seen. */
  numberNow(node: Node, what: string): bigint {
    const value = evaluate(node, this);
    if (value.unknown) return 0n;
    if (value.terms) throw new Problem(`${what} needs a number, not an address (subtract $$ or a label)`, node);
    return value.number;
  }

  warn(message: string, span?: Span): void {
    this.options.reporter.report('warning', this.origin, message, span);
  }

  statement(statement: Statement, origin: LineOrigin): void {
    this.origin = origin;
    this.itemPosition = this.section.position;
    const { label, body } = statement;
    if ((body?.kind !== 'directive' && body?.kind !== 'equ') || (label && body.kind !== 'equ')) this.mention(this.section.name);
    if (body?.kind === 'equ') {
      if (!label) throw new Problem('equ needs a label before it', body.node);
      const value = evaluate(body.node, this);
      for (const key of value.terms?.keys() ?? []) {
        if (key < 0) throw new Problem('a register cannot be the value of equ', body.node);
      }
      this.symbols.define(label, 'equ', value, origin);
      return;
    }
    if (label) this.symbols.define(label, 'label', this.here(), origin);
    if (!body) {
      if (label && !label.colon) this.warn(`label \`${label.name}\` stands alone without a colon: is it a misspelt instruction?`, label);
      return;
    }
    if (statement.times) this.times(statement.times, body);
    else this.body(body, 1);
  }

  private times(countNode: Node, body: Body): void {
    const count = this.numberNow(countNode, 'times');
    if (count < 0n) {
      // In the first pass the labels behind this line are still unknown, so that a difference may be negative for a while.
      throw new Problem(`times ${count}: the count is negative`, countNode);
    }
    if (count === 0n) return;
    if (count > BigInt(limits.outputBytes)) throw new GiveUp(`times ${count} in line ${this.origin.line} of ${this.origin.path}: the output is limited to ${limits.outputBytes / 1048576} MiB`);
    this.body(body, Number(count));
  }

  /** `$` stands for the beginning of the line in every copy, as in NASM. */
  body(body: Body, copies: number): void {
    switch (body.kind) {
      case 'instruction': this.instruction(body, copies); return;
      case 'data': this.data(body.items, body.unit, copies); return;
      case 'reserve': {
        const count = this.numberNow(body.count, 'a reservation');
        if (count < 0n) throw new Problem(`cannot reserve ${count} items`, body.count);
        this.reserve(count * BigInt(body.unit) * BigInt(copies), body.count);
        return;
      }
      case 'incbin': {
        const file = this.options.sources.find(body.file, this.origin.path);
        if (!file) throw new Problem(`incbin: file \`${body.file}\` was not found`, body.span);
        const skip = body.skip ? this.numberNow(body.skip, 'incbin') : 0n;
        const length = body.length ? this.numberNow(body.length, 'incbin') : undefined;
        const size = BigInt(file.bytes.length);
        if (skip < 0n || skip > size) throw new Problem(`incbin skips ${skip} bytes of \`${body.file}\`, which has ${size}`, body.skip ?? body.span);
        if (length !== undefined && length < 0n) throw new Problem(`incbin: a length of ${length} bytes`, body.length);
        const end = length === undefined || skip + length > size ? size : skip + length;
        if (length !== undefined && skip + length > size) this.warn(`\`${body.file}\` ends ${skip + length - size} bytes before the length given`, body.length);
        this.place(file.bytes.subarray(Number(skip), Number(end)), [], 'data', 1);
        return;
      }
      case 'equ': throw new Problem('equ cannot be repeated', body.node);
      case 'directive': {
        const row = Object.hasOwn(directives, body.name) ? directives[body.name] : undefined;
        if (!row) throw new Problem(`unknown directive \`${body.name}\``, body.span);
        row({ pass: this, rest: body.rest, span: body.span });
        return;
      }
    }
  }

  private instruction(body: Body & { kind: 'instruction' }, copies: number): void {
    for (let left = copies; left > 0;) {
      const encoded = this.encoder.encode({
        mnemonic: body.mnemonic, prefixes: body.prefixes, operands: body.operands, span: body.span, bits: this.bits, relative: this.relative, environment: this,
        base: this.absolute === undefined ? this.section.id : 0, position: this.section.position, longJumps: this.options.longJumps,
      });
      for (const warning of encoded.warnings) this.warn(warning, body.span);
      // Only relative values differ from copy to copy.
      const same = encoded.fields.some((field) => field.relative) ? 1 : left;
      this.place(encoded.bytes, encoded.fields, 'code', same);
      left -= same;
      this.repetitions += 1;
      if (this.repetitions > limits.repetitions) throw new GiveUp(`more than ${limits.repetitions} statements come from times (line ${this.origin.line} of ${this.origin.path})`);
    }
  }

  /** Reserves zeros, or space without contents. */
  reserve(count: bigint, span: Span): void {
    if (this.absolute !== undefined) {
      this.absolute = BigInt.asIntN(64, this.absolute + count);
      return;
    }
    if (count > BigInt(limits.reservedBytes)) throw new GiveUp(`${count} bytes are reserved in line ${this.origin.line} of ${this.origin.path}: more than 4 GiB`);
    if (!this.section.attributes.nobits && count > 0n && span.column >= 0) {
      this.warn(`uninitialized space in section ${this.section.name}: it becomes zeros in the output`, span);
    }
    this.section.reserve(Number(count));
  }

  fill(byte: number, count: number): void {
    if (this.absolute !== undefined) this.absolute += BigInt(count);
    else if (this.section.attributes.nobits) this.section.reserve(count);
    else this.section.emit([byte], count);
  }

  private data(items: readonly DataItem[], unit: number, copies: number): void {
    if (!items.length) this.warn('data directive without data: nothing is emitted');
    // Constant data is gathered and emitted at once, whatever the number of copies.
    let pending: number[] = [];
    let fields: Field[] = [];
    for (const item of items) {
      if (item.kind === 'repeat' && copies === 1) {
        if (pending.length) this.place(pending, fields, 'data', 1);
        pending = [];
        fields = [];
        const count = this.numberNow(item.count, 'dup');
        if (count < 0n) throw new Problem(`dup with a count of ${count}`, item.count);
        if (count > BigInt(limits.outputBytes)) throw new GiveUp(`dup ${count}: the output is limited to ${limits.outputBytes / 1048576} MiB`);
        for (let i = 0n; i < count; i += 1n) {
          this.repetitions += 1;
          if (this.repetitions > limits.repetitions) throw new GiveUp(`more than ${limits.repetitions} repetitions of data`);
          this.data(item.items, unit, 1);
        }
        continue;
      }
      this.item(item, unit, pending, fields);
    }
    if (pending.length) this.place(pending, fields, 'data', copies);
  }

  private item(item: DataItem, unit: number, bytes: number[], fields: Field[]): void {
    switch (item.kind) {
      case 'string':
        for (const byte of item.bytes) bytes.push(byte);
        while (bytes.length % unit) bytes.push(0);
        return;
      case 'uninitialized':
        for (let i = 0; i < unit; i += 1) bytes.push(0);
        return;
      case 'float':
        bytes.push(...floatBytes(item.text, unit, item.span));
        return;
      case 'expression': {
        const value = evaluate(item.node, this);
        if (unit === 10) throw new Problem('dt takes floating-point numbers and strings', item.node);
        fields.push({ offset: bytes.length, bytes: unit as 1 | 2 | 4 | 8, value, relative: false, signed: false, span: item.node });
        for (let i = 0; i < unit; i += 1) bytes.push(0);
        return;
      }
      case 'repeat': throw new Problem('dup cannot stand behind times', item.count);
    }
  }

  /** Puts bytes into the section and their values into place, now if they are known, else when the sections have addresses. */
  private place(bytes: ArrayLike<number>, fields: readonly Field[], kind: 'code' | 'data', copies: number): void {
    if (this.absolute !== undefined) throw new Problem('an absolute segment has no contents: only resb and its kin can stand here');
    const { section } = this;
    if (section.attributes.nobits) {
      this.warn(`section ${section.name} has no contents in the output: this initialization is lost`);
      section.reserve(bytes.length * copies);
      return;
    }
    const start = section.position;
    let pending = false;
    if (fields.length && copies > 1) {
      for (const field of fields) pending ||= this.target(field) !== 0 || field.relative;
    }
    if (copies === 1 || pending) {
      for (let i = 0; i < copies; i += 1) {
        const at = section.position;
        section.emit(bytes);
        for (const field of fields) this.field(field, at, at + bytes.length);
      }
    } else {
      section.emit(bytes);
      for (const field of fields) this.field(field, start, start + bytes.length);
      section.emit(section.bytes.slice(start), copies - 1);
    }
    section.line(start, section.position - start, this.origin, kind, this.bits);
  }

  private target(field: Field): number {
    const base = baseOf(field.value);
    if (base === undefined) throw new Problem('the expression is no number and no address (it combines addresses of different sections)', field.span);
    return base;
  }

  private field(field: Field, at: number, end: number): void {
    if (field.value.unknown) return;
    const base = this.target(field);
    const { section } = this;
    const place = at + field.offset;
    if (field.relative && base === section.id) {
      const distance = field.value.number - BigInt(end);
      if (overflows(distance, field.bytes, true) && !(field.bytes === 2 && !overflows(distance, 2, false))) {
        throw new Problem(field.bytes === 1 ? `the short jump reaches ${distance > 0n ? 127 : 128} bytes; the target is ${distance < 0n ? -distance : distance} bytes away` : 'the target is out of reach', field.span);
      }
      section.write(place, field.bytes, distance);
    } else if (!field.relative && base === 0) {
      this.checkRange(field.value.number, field);
      section.write(place, field.bytes, field.value.number);
    } else section.pending({ at: place, end, bytes: field.bytes, value: field.value, relative: field.relative, signed: field.signed, span: fieldSpan(field), origin: this.origin });
  }

  private checkRange(value: bigint, field: { readonly bytes: number; readonly signed: boolean; readonly span: Span }): void {
    if (overflows(value, field.bytes, field.signed)) {
      this.warn(`${field.signed ? 'signed ' : ''}${sizeNames[field.bytes] ?? ''} value ${value} does not fit: the upper bits are cut off`, field.span);
    }
  }
}
