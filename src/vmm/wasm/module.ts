/**
 * Writes a WebAssembly module: types, imports, functions, one table's elements, exports. Functions are numbered in the order they are
 * declared, imports first; bodies may be written in any order.
 */
import { EMPTY_BLOCK, opcodes, valueTypes, type Opcode, type ValueType } from './opcodes';
import { ByteWriter } from './writer';

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** The body of one function, written instruction by instruction. */
export class FunctionBody {
  private readonly locals: ValueType[] = [];
  private readonly temporaries: number[] = [];
  private readonly free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  /** How many blocks, loops and ifs are open. */
  depth = 0;

  /** `code` is borrowed: empty at first, and free again once the body has been appended. */
  constructor(private readonly parameterCount: number, readonly code = new ByteWriter()) {}

  /** A local for a while: see {@link releaseLocals}. */
  local(type: ValueType): number {
    const index = this.free[type].pop() ?? this.ownLocal(type);
    this.temporaries.push(index);
    return index;
  }

  /** A local that is never given out again. */
  ownLocal(type: ValueType): number {
    this.locals.push(type);
    return this.parameterCount + this.locals.length - 1;
  }

  /** An instruction without immediates. */
  op(opcode: Opcode): this {
    if (opcode === 'end') this.depth--;
    this.opcode(opcode);
    return this;
  }

  private opcode(opcode: Opcode): void {
    const code: number = opcodes[opcode];
    if (code > 0xff) {
      this.code.byte(code >> 8);
      this.code.unsigned(code & 0xff);
    } else this.code.byte(code);
  }

  /** An instruction with one index immediate: local.get, call, br, … */
  index(opcode: Opcode, index: number): this {
    this.code.byte(opcodes[opcode]);
    this.code.unsigned(index);
    return this;
  }

  i32(value: number): this {
    this.code.byte(opcodes['i32.const']);
    this.code.signed(value | 0);
    return this;
  }

  /** A 64-bit constant below 2^53 in magnitude. */
  i64(value: number): this {
    this.code.byte(opcodes['i64.const']);
    this.code.signed(value);
    return this;
  }

  /** A 64-bit constant made of two words. */
  i64Words(low: number, high: number): this {
    this.code.byte(opcodes['i64.const']);
    this.code.signedWords(low, high);
    return this;
  }

  /** A load or store; the address (and value) are on the stack. Alignment is a hint: none is promised. */
  memory(opcode: Opcode, offset: number): this {
    this.opcode(opcode);
    this.code.unsigned(0);
    this.code.unsigned(offset);
    return this;
  }

  /** memory.copy and memory.fill: destination, source or byte, and size are on the stack. */
  bulk(opcode: 'memory.copy' | 'memory.fill'): this {
    this.opcode(opcode);
    for (let n = opcode === 'memory.copy' ? 2 : 1; n > 0; n--) this.code.byte(0);
    return this;
  }

  f64(value: number): this {
    this.code.byte(opcodes['f64.const']);
    this.code.append(new Uint8Array(Float64Array.of(value).buffer));
    return this;
  }

  f32(value: number): this {
    this.code.byte(opcodes['f32.const']);
    this.code.append(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  /** v128.const: sixteen bytes, lowest address first. */
  v128(bytes: ArrayLike<number>): this {
    this.opcode('v128.const');
    for (let i = 0; i < 16; i++) this.code.byte(bytes[i]);
    return this;
  }

  /** A vector instruction with a lane number: extract_lane, replace_lane. */
  lane(opcode: Opcode, lane: number): this {
    this.opcode(opcode);
    this.code.byte(lane);
    return this;
  }

  /** i8x16.shuffle: for every byte of the result a byte of the two operands (0–15, 16–31). */
  shuffle(lanes: ArrayLike<number>): this {
    this.opcode('i8x16.shuffle');
    for (let i = 0; i < 16; i++) this.code.byte(lanes[i]);
    return this;
  }

  /** v128.storeN_lane; address and vector are on the stack. */
  memoryLane(opcode: Opcode, offset: number, lane: number): this {
    this.memory(opcode, offset);
    this.code.byte(lane);
    return this;
  }

  /** block, loop or if without results. */
  open(opcode: 'block' | 'loop' | 'if'): this {
    this.depth++;
    this.code.byte(opcodes[opcode]);
    this.code.byte(EMPTY_BLOCK);
    return this;
  }

  /** br or br_if to the construct that was open()ed when {@link depth} became `level`. */
  branch(opcode: 'br' | 'br_if', level: number): this {
    return this.index(opcode, this.depth - level);
  }

  /** br_table: the value on the stack chooses one of the levels, any other one the last of them. */
  branchTable(levels: readonly number[]): this {
    this.op('br_table');
    this.code.unsigned(levels.length - 1);
    for (const level of levels) this.code.unsigned(this.depth - level);
    return this;
  }

  /** The locals that {@link local} made since the last call hold nothing of interest any more: it gives them out again. */
  releaseLocals(): void {
    for (const index of this.temporaries) this.free[this.locals[index - this.parameterCount]].push(index);
    this.temporaries.length = 0;
  }

  /** (return_)call_indirect through table 0; the table index is on the stack. */
  indirect(opcode: 'call_indirect' | 'return_call_indirect', type: number): this {
    this.code.byte(opcodes[opcode]);
    this.code.unsigned(type);
    this.code.byte(0);
    return this;
  }

  /** Appends the body as it stands in the code section, without its length. */
  appendTo(out: ByteWriter): void {
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.unsigned(runs.length);
    for (const run of runs) {
      out.unsigned(run.count);
      out.byte(valueTypes[run.type]);
    }
    out.append(this.code.view());
    out.byte(opcodes.end);
  }
}

export class ModuleWriter {
  private readonly types: FunctionType[] = [];
  private readonly typeKeys = new Map<string, number>();
  private readonly imports: { module: string; name: string; type: number }[] = [];
  private readonly functions: { readonly type: number; start: number; end: number }[] = [];
  /** The bodies in the order in which they were finished; functions know where theirs is. */
  private readonly bodies = new ByteWriter(1 << 14);
  private readonly freeWriters: ByteWriter[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private readonly elements: { offset: number; functions: number[] }[] = [];
  private memoryImport: { module: string; name: string; pages: number } | undefined;
  private tableName = '';
  private tableSize = 0;

  type(parameters: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${parameters.join()}→${results.join()}`;
    const known = this.typeKeys.get(key);
    if (known !== undefined) return known;
    this.types.push({ parameters, results });
    this.typeKeys.set(key, this.types.length - 1);
    return this.types.length - 1;
  }

  importMemory(module: string, name: string, pages: number): void {
    this.memoryImport = { module, name, pages };
  }

  /** Imports come before every declared function. */
  importFunction(module: string, name: string, type: number): number {
    if (this.functions.length) throw new Error('wasm: import after a function');
    this.imports.push({ module, name, type });
    return this.imports.length - 1;
  }

  declare(type: number): number {
    this.functions.push({ type, start: 0, end: 0 });
    return this.imports.length + this.functions.length - 1;
  }

  define(index: number, body: FunctionBody): void {
    const declared = this.functions[index - this.imports.length];
    declared.start = this.bodies.length;
    body.appendTo(this.bodies);
    declared.end = this.bodies.length;
    body.code.reset();
    this.freeWriters.push(body.code);
  }

  body(type: number): FunctionBody {
    return new FunctionBody(this.types[type].parameters.length, this.freeWriters.pop());
  }

  export(name: string, index: number): void {
    this.exports.push({ name, index });
  }

  /** Table 0 (function references), defined here and filled from `offset`, exported under `name`. */
  table(name: string, size: number, offset: number, functions: number[]): void {
    this.tableName = name;
    this.tableSize = size;
    this.elements.push({ offset, functions });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(1 << 12);
    out.append(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    this.section(out, 1, this.types.length, (s) => {
      for (const { parameters, results } of this.types) {
        s.byte(0x60);
        for (const list of [parameters, results]) {
          s.unsigned(list.length);
          for (const type of list) s.byte(valueTypes[type]);
        }
      }
    });
    this.section(out, 2, this.imports.length + (this.memoryImport ? 1 : 0), (s) => {
      for (const { module, name, type } of this.imports) {
        s.name(module);
        s.name(name);
        s.byte(0);
        s.unsigned(type);
      }
      if (this.memoryImport) {
        s.name(this.memoryImport.module);
        s.name(this.memoryImport.name);
        s.byte(2);
        s.byte(0);
        s.unsigned(this.memoryImport.pages);
      }
    });
    this.section(out, 3, this.functions.length, (s) => {
      for (const { type } of this.functions) s.unsigned(type);
    });
    if (this.tableSize) {
      this.section(out, 4, 1, (s) => {
        s.byte(0x70);
        s.byte(0);
        s.unsigned(this.tableSize);
      });
    }
    this.section(out, 7, this.exports.length + (this.tableSize ? 1 : 0), (s) => {
      if (this.tableSize) {
        s.name(this.tableName);
        s.byte(1);
        s.unsigned(0);
      }
      for (const { name, index } of this.exports) {
        s.name(name);
        s.byte(0);
        s.unsigned(index);
      }
    });
    this.section(out, 9, this.elements.length, (s) => {
      for (const { offset, functions } of this.elements) {
        s.unsigned(0);
        s.byte(opcodes['i32.const']);
        s.signed(offset);
        s.byte(opcodes.end);
        s.unsigned(functions.length);
        for (const index of functions) s.unsigned(index);
      }
    });
    this.section(out, 10, this.functions.length, (s) => {
      const bodies = this.bodies.view();
      for (const { start, end } of this.functions) {
        if (end === 0) throw new Error('wasm: a declared function has no body');
        s.unsigned(end - start);
        s.append(bodies.subarray(start, end));
      }
    });
    return out.view().slice();
  }

  private section(out: ByteWriter, id: number, count: number, write: (section: ByteWriter) => void): void {
    if (!count) return;
    const section = new ByteWriter(1 << 12);
    section.unsigned(count);
    write(section);
    out.byte(id);
    out.unsigned(section.length);
    out.append(section.view());
  }
}
