/** Sections while they grow: contents, values that wait for final addresses, and the line of every emitted item. */
import { GiveUp, limits, type LineOrigin, type Span } from './diagnostics';
import type { Field } from './encoder';

export interface SectionAttributes {
  /** No contents in the output: only space (bss). */
  nobits: boolean;
  align: number | undefined;
  /** bin: position in the file (as an address counted from the origin), address at run time, section to stand behind. */
  start: number | undefined;
  vstart: number | undefined;
  follows: string | undefined;
  vfollows: string | undefined;
  alloc: boolean;
  write: boolean;
  exec: boolean;
}

export interface PendingField extends Omit<Field, 'offset'> {
  /** In the section. */
  readonly at: number;
  /** Offset that a relative value counts from. */
  readonly end: number;
  readonly origin: LineOrigin;
}

export interface EmittedLine {
  readonly offset: number;
  length: number;
  readonly origin: LineOrigin;
  readonly kind: 'code' | 'data';
  readonly bits: 16 | 32 | 64;
}

/** Bytes that one pass may still emit. */
export class OutputBudget {
  private emitted = 0;
  private reserved = 0;
  private relocations = 0;
  emit(count: number): void {
    this.emitted += count;
    if (this.emitted > limits.outputBytes) throw new GiveUp(`the output is larger than ${limits.outputBytes / 1048576} MiB`);
  }
  reserve(count: number): void {
    this.reserved += count;
    if (this.reserved > limits.reservedBytes) throw new GiveUp('more than 4 GiB are reserved');
  }
  relocate(): void {
    this.relocations += 1;
    if (this.relocations > limits.relocations) throw new GiveUp(`more than ${limits.relocations} values refer to addresses`);
  }
}

export class Section {
  private data = new Uint8Array(256);
  position = 0;
  readonly fields: PendingField[] = [];
  readonly lines: EmittedLine[] = [];

  constructor(readonly id: number, readonly name: string, readonly attributes: SectionAttributes, private readonly budget: OutputBudget) {}

  /** Contents; a section without bits has none. */
  get bytes(): Uint8Array {
    return this.attributes.nobits ? new Uint8Array() : this.data.subarray(0, this.position);
  }

  emit(bytes: ArrayLike<number>, copies = 1): void {
    const total = bytes.length * copies;
    this.budget.emit(total);
    this.grow(this.position + total);
    if (bytes.length === 1) this.data.fill(bytes[0], this.position, this.position + total);
    else for (let copy = 0; copy < copies; copy += 1) this.data.set(bytes, this.position + copy * bytes.length);
    this.position += total;
  }

  reserve(count: number): void {
    if (this.attributes.nobits) this.budget.reserve(count);
    else {
      this.budget.emit(count);
      this.grow(this.position + count);
    }
    this.position += count;
  }

  /** Little endian. */
  write(at: number, bytes: number, value: bigint): void {
    for (let i = 0; i < bytes; i += 1) this.data[at + i] = Number(BigInt.asUintN(8, value >> BigInt(8 * i)));
  }

  pending(field: PendingField): void {
    this.budget.relocate();
    this.fields.push(field);
  }

  line(offset: number, length: number, origin: LineOrigin, kind: EmittedLine['kind'], bits: 16 | 32 | 64): void {
    if (!length) return;
    const last = this.lines[this.lines.length - 1];
    // Items of one data line are one entry.
    if (last && kind === 'data' && last.kind === 'data' && last.origin === origin && last.offset + last.length === offset) last.length += length;
    else this.lines.push({ offset, length, origin, kind, bits });
  }

  private grow(size: number): void {
    if (size <= this.data.length) return;
    const larger = new Uint8Array(Math.max(size, this.data.length * 2));
    larger.set(this.data.subarray(0, this.position));
    this.data = larger;
  }
}

/** What a section is by its name alone. */
export function defaultAttributes(name: string, format: 'bin' | 'elf32'): SectionAttributes {
  const none = { start: undefined, vstart: undefined, follows: undefined, vfollows: undefined };
  const elf = format === 'elf32';
  switch (name) {
    case '.text': return { ...none, nobits: false, align: elf ? 16 : undefined, alloc: true, write: false, exec: true };
    case '.data': return { ...none, nobits: false, align: elf ? 4 : undefined, alloc: true, write: true, exec: false };
    case '.bss': return { ...none, nobits: true, align: elf ? 4 : undefined, alloc: true, write: true, exec: false };
    case '.rodata': return { ...none, nobits: false, align: elf ? 4 : undefined, alloc: true, write: false, exec: false };
    default: return { ...none, nobits: false, align: elf ? 1 : undefined, alloc: true, write: false, exec: false };
  }
}

/** -(2^n) … 2^n - 1, as NASM warns; signed bytes -128 … 127. */
export function overflows(value: bigint, bytes: number, signed: boolean): boolean {
  if (bytes >= 8) return false;
  const bits = BigInt(bytes * 8);
  if (signed) return value < -(1n << (bits - 1n)) || value >= 1n << (bits - 1n);
  return value < -(1n << bits) || value >= 1n << bits;
}

export const sizeNames: Record<number, string> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword' };

/** Where a message about a field points. */
export const fieldSpan = (field: { readonly span: Span }): Span => ({ column: field.span.column, endColumn: field.span.endColumn });
