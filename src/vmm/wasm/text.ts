/** A function body's instructions as text, one a line, indented by nesting: for people, and for golden tests. */
import { EMPTY_BLOCK, opcodes, type Opcode } from './opcodes';

export interface WasmLine {
  /** Offset of the instruction in the body's code. */
  readonly offset: number;
  readonly text: string;
  /** What the instruction touches, where the names tell. */
  readonly note?: string;
}

/** Names for what the code refers to by number. */
export interface WasmNames {
  readonly functions?: ReadonlyMap<number, string>;
  readonly locals?: ReadonlyMap<number, string>;
  /** What lies at the constant offset of a load or store. */
  memory?(this: void, offset: number): string | undefined;
}

const names = new Map<number, Opcode>(Object.entries(opcodes).map(([name, code]) => [code, name as Opcode]));
/** Bytes that announce an opcode of two parts. */
const prefixes: ReadonlySet<number> = new Set([...names.keys()].filter((code) => code > 0xff).map((code) => code >> 8));
const labelled: ReadonlySet<Opcode> = new Set(['br', 'br_if']);
const calling: ReadonlySet<Opcode> = new Set(['call', 'return_call']);
const ofLocals: ReadonlySet<Opcode> = new Set(['local.get', 'local.set', 'local.tee']);

class Reader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean { return this.at >= this.bytes.length; }

  byte(): number { return this.bytes[this.at++]; }

  /** LEB128 of up to 64 bits. */
  number(signed: boolean): bigint {
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte & 0x80) continue;
      return signed && byte & 0x40 ? value - (1n << shift) : value;
    }
  }

  slice(length: number): Uint8Array {
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }
}

interface Operands {
  readonly text: string;
  readonly note?: string;
}

function operands(name: Opcode, reader: Reader, known: WasmNames): Operands {
  if (/\.(load|store)/.test(name)) return memoryOperands(name, reader, known);
  return { text: otherOperands(name, reader, known) };
}

function memoryOperands(name: Opcode, reader: Reader, { memory }: WasmNames): Operands {
  reader.number(false); // the alignment, a hint
  const offset = Number(reader.number(false));
  return { text: `${offset ? ` offset=${offset}` : ''}${/_lane$/.test(name) ? ` ${reader.byte()}` : ''}`, note: memory?.(offset) };
}

function otherOperands(name: Opcode, reader: Reader, { functions, locals }: WasmNames): string {
  const index = () => String(reader.number(false));
  const named = (list: ReadonlyMap<number, string> | undefined) => {
    const number = Number(reader.number(false));
    const found = list?.get(number);
    return found === undefined ? ` ${number}` : ` $${found}`;
  };
  if (name === 'block' || name === 'loop' || name === 'if') return reader.byte() === EMPTY_BLOCK ? '' : ' ?';
  if (labelled.has(name)) return ` ${index()}`;
  if (calling.has(name)) return named(functions);
  if (ofLocals.has(name)) return named(locals);
  if (name === 'call_indirect' || name === 'return_call_indirect') {
    const type = index();
    reader.byte();
    return ` (type ${type})`;
  }
  if (name === 'br_table') return ` ${Array.from({ length: Number(reader.number(false)) + 1 }, index).join(' ')}`;
  if (name === 'i32.const' || name === 'i64.const') return ` ${reader.number(true)}`;
  if (name === 'f32.const') return ` ${new DataView(reader.slice(4).buffer).getFloat32(0, true)}`;
  if (name === 'f64.const') return ` ${new DataView(reader.slice(8).buffer).getFloat64(0, true)}`;
  if (name === 'v128.const' || name === 'i8x16.shuffle') return ` ${[...reader.slice(16)].join(' ')}`;
  return /_lane/.test(name) ? ` ${reader.byte()}` : '';
}

/** Throws for an opcode that the emitter does not know: the code is not its own. */
export function wasmText(code: Uint8Array, known: WasmNames = {}): WasmLine[] {
  const reader = new Reader(code);
  const lines: WasmLine[] = [];
  let depth = 0;
  while (!reader.done) {
    const offset = reader.at;
    const first = reader.byte();
    const opcode = prefixes.has(first) ? (first << 8) | Number(reader.number(false)) : first;
    const name = names.get(opcode);
    if (!name) throw new Error(`wasm: unknown opcode 0x${opcode.toString(16)} at ${offset}`);
    if (name === 'end' || name === 'else') depth--;
    const { text, note } = operands(name, reader, known);
    lines.push({ offset, text: `${'  '.repeat(Math.max(0, depth))}${name}${text}`, ...(note !== undefined && { note }) });
    if (name === 'block' || name === 'loop' || name === 'if' || name === 'else') depth++;
  }
  return lines;
}
