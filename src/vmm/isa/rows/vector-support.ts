/** What the rows of vector instructions share: the units they need, byte shuffles, and the pairs of an MMX and an XMM instruction of one name. */
import type { Builder, Semantics, Value } from '../builder';
import type { Feature, InstructionSpec } from '../types';

const accessExceptions = {
  sse: ['#UD if CR0.EM = 1 or CR4.OSFXSR = 0', '#NM if CR0.TS = 1', '#GP(0) if a memory operand of 16 bytes is not aligned'],
  mmx: ['#UD if CR0.EM = 1', '#NM if CR0.TS = 1', '#MF if an unmasked x87 exception is pending'],
} as const;

/** Semantics of an instruction on XMM registers. */
export const onXmm = (semantics: Semantics): Semantics => (b) => {
  b.requireUnit('sse');
  semantics(b);
};

/** Semantics of an instruction with an MMX register. The x87 unit changes with the result, behind everything that may fault. */
export const onMmx = (semantics: Semantics): Semantics => (b) => {
  b.requireUnit('mmx');
  semantics(b);
  b.enterMmx();
};

type Row = Omit<InstructionSpec, 'mnemonic' | 'title' | 'feature' | 'encodings' | 'semantics'>;

export function xmmRow(mnemonic: string, title: string, feature: Feature, encodings: readonly string[], semantics: Semantics, more: Row = {}): InstructionSpec {
  return { mnemonic, title, feature, encodings, exceptions: accessExceptions.sse, ...more, semantics: onXmm(semantics) };
}

export function mmxRow(mnemonic: string, title: string, feature: Feature, encodings: readonly string[], semantics: Semantics, more: Row = {}): InstructionSpec {
  return { mnemonic, title, feature, encodings, exceptions: accessExceptions.mmx, ...more, semantics: onMmx(semantics) };
}

/** x op y → x, as a vector of which MMX uses the low half. */
export type Combine = (b: Builder, x: Value, y: Value) => Value;

export const combine = (operation: Combine): Semantics => (b) => b.writeVector(0, operation(b, b.readVector(0), b.readVector(1)));

/** The same instruction on MMX and on XMM registers: opcode behind 0F. */
export function pair(mnemonic: string, title: string, opcode: string, features: { readonly mmx: Feature; readonly xmm: Feature }, operation: Combine, more: Row = {}): InstructionSpec[] {
  return [
    mmxRow(mnemonic, title, features.mmx, [`0F ${opcode} /r : Pq Qq ; np`], combine(operation), more),
    xmmRow(mnemonic, title, features.xmm, [`66 0F ${opcode} /r : Vx Wx`], combine(operation), more),
  ];
}

export const zero = (b: Builder): Value => b.vectorConstant(new Array<number>(16).fill(0));

/** A vector of equal elements of `bytes` bytes. */
export function splat(b: Builder, bytes: 1 | 2 | 4 | 8, value: number): Value {
  return b.vectorConstant(Array.from({ length: 16 }, (_, i) => (i % bytes < 4 ? value >>> (8 * (i % bytes)) : value < 0 ? 0xff : 0) & 0xff));
}

/** Byte numbers of elements of `bytes` bytes each. */
export const elements = (bytes: number, ...numbers: readonly number[]): number[] => {
  const list = numbers.flatMap((n) => Array.from({ length: bytes }, (_, i) => n * bytes + i));
  return [...list, ...new Array<number>(16 - list.length).fill(0)];
};

/** The elements of two registers in turn, from their low or high half. */
export function interleave(bytes: number, mmx: boolean, high: boolean): number[] {
  const count = (mmx ? 8 : 16) / bytes / 2;
  const second = 16 / bytes;
  return elements(bytes, ...Array.from({ length: count }, (_, k) => k + (high ? count : 0)).flatMap((k) => [k, k + second]));
}

/** Every other element, first of one register, then of the other; `odd`: the second ones of each pair. */
export function everyOther(bytes: number, mmx: boolean, odd: boolean): number[] {
  const count = (mmx ? 8 : 16) / bytes / 2;
  const own = Array.from({ length: count }, (_, k) => 2 * k + (odd ? 1 : 0));
  return elements(bytes, ...own, ...own.map((k) => k + 16 / bytes));
}

/** The low halves of two MMX operands side by side. */
export const joined = (b: Builder, x: Value, y: Value): Value => b.shuffle(elements(8, 0, 2), x, y);
