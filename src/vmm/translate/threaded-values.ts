/**
 * The lowest part of threaded code's builder: expressions, the fields of the record, the words of the state page, and the registers.
 */
import {
  CODE_HIGH, CPL, PAUSE_TOLD, CR0, CR2, CR3, CR4, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT, KERNEL_GS_BASE, SCRATCH, Segment, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE,
  SYSTEM_FLAGS, WIDE_RESULT,
} from '../cpu/layout';
import type { BinaryOperation, SelectorRef, Value, WideState, Width } from '../isa/builder';
import type { ValueType } from '../isa/vector';
import type { FunctionBody } from '../wasm/module';
import type { Opcode } from '../wasm/opcodes';
import type { Form, FormOperand } from './forms';
import type { HandlerImports } from './handlers';
import { RecordField } from './record';

/** A value: an expression that emits itself onto the WebAssembly stack. Constants and locals may be emitted any number of times. */
export interface Node extends Value {
  readonly emit: () => void;
  readonly constant?: number;
  readonly local?: number;
}
export const node = (v: Value): Node => v as Node;

/** The handler's parameter: the record's address. */
export const RECORD = 0;

/** What the semantics turned out to depend on besides its operands: tells which variants of a form are worth generating. */
export interface FormDependencies {
  addressSize: boolean;
  stack: boolean;
  implicitMemory: boolean;
  targets: boolean;
}

export abstract class ThreadedValues {
  readonly dependencies: FormDependencies = { addressSize: false, stack: false, implicitMemory: false, targets: false };
  /** Set once control has left: the fall-through to the next record is then not written. */
  protected ended = false;

  constructor(protected readonly form: Form, protected readonly body: FunctionBody, protected readonly imports: HandlerImports) {}

  // ---- form ----

  get operandSize(): 16 | 32 | 64 { return this.form.operandSize; }
  get width(): Width { return this.form.encoding.instruction.size ?? (this.form.operands[0]?.width as Width | undefined) ?? this.form.operandSize; }
  get addressSize(): 16 | 32 | 64 {
    this.dependencies.addressSize = true;
    return this.form.addressSize;
  }
  get stackSize(): 16 | 32 | 64 {
    this.dependencies.stack = true;
    return this.form.stackSize;
  }
  get repeat(): 'none' | 'rep' | 'repz' | 'repnz' { return this.form.repeat; }
  get operandCount(): number { return this.form.operands.length; }
  get checksTargets(): boolean {
    this.dependencies.targets = true;
    return this.form.long ? this.form.distant : !this.form.flat;
  }
  get long(): boolean { return this.form.long; }

  operandWidth(n: number): Width { return this.operand(n).width as Width; }
  isMemory(n: number): boolean { return this.operand(n).kind === 'memory'; }
  isImmediate(n: number): boolean { return this.operand(n).kind === 'immediate' || this.operand(n).kind === 'constant'; }

  protected operand(n: number): FormOperand { return this.form.operands[n]; }

  // ---- nodes ----

  protected expression(type: ValueType, emit: () => void): Node { return { type, emit }; }

  protected localNode(index: number, type: ValueType): Node {
    return { type, local: index, emit: () => { this.body.index('local.get', index); } };
  }

  /** Evaluates now into a fresh local. */
  protected store32(value: Value): number {
    const local = this.body.local(value.type);
    node(value).emit();
    this.body.index('local.set', local);
    return local;
  }

  protected effect(type: ValueType, emit: () => void): Node {
    const local = this.body.local(type);
    emit();
    this.body.index('local.set', local);
    return this.localNode(local, type);
  }

  let(a: Value): Value {
    const known = node(a);
    if (known.constant !== undefined || known.local !== undefined) return a;
    return this.localNode(this.store32(a), a.type);
  }

  constant(value: number, width: Width = 32): Value {
    if (width === 64) return { type: 'i64', constant: value, emit: () => { this.body.i64(value); } } as Node;
    return { type: 'i32', constant: value | 0, emit: () => { this.body.i32(value); } } as Node;
  }

  op(operation: BinaryOperation, a: Value, b: Value): Value {
    const wide = a.type === 'i64';
    if (!wide && b.type === 'i64') throw new Error(`${this.form.key}: ${operation} of 32 and 64 bits`);
    const opcode = `${a.type}.${operationNames[operation]}` as Opcode;
    const other = wide ? this.as64(b) : b;
    return this.expression(wide && !comparisons.has(operation) ? 'i64' : 'i32', () => {
      node(a).emit();
      node(other).emit();
      this.body.op(opcode);
    });
  }

  not(a: Value): Value {
    return this.op('xor', a, this.constant(-1, a.type === 'i64' ? 64 : 32));
  }

  /** A value as i64: constants keep their sign, anything else is an unsigned number. */
  protected as64(a: Value): Value {
    if (a.type === 'i64') return a;
    const { constant } = node(a);
    return constant === undefined ? this.extend64(a, false) : this.constant(constant, 64);
  }

  /** A value in the type that values of `width` bits have. */
  protected inType(a: Value, width: Width): Node {
    return node(width === 64 ? this.as64(a) : a.type === 'i64' ? this.wrap32(a) : a);
  }

  /** A value as an i32 that is zero only if it is. */
  protected truth(a: Value): Node {
    return node(a.type === 'i32' ? a : this.op('ne', a, this.constant(0, 64)));
  }

  isZero(a: Value): Value {
    return this.expression('i32', () => {
      node(a).emit();
      this.body.op(`${a.type as 'i32' | 'i64'}.eqz`);
    });
  }

  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    const wide = whenTrue.type === 'i64';
    return this.expression(whenTrue.type, () => {
      node(whenTrue).emit();
      node(wide ? this.as64(whenFalse) : whenFalse).emit();
      this.truth(condition).emit();
      this.body.op('select');
    });
  }

  protected unary(opcode: Opcode, a: Value, type: ValueType): Value {
    return this.expression(type, () => {
      node(a).emit();
      this.body.op(opcode);
    });
  }

  clz(a: Value): Value { return this.unary(`${a.type as 'i32' | 'i64'}.clz`, a, a.type); }
  popcnt(a: Value): Value { return this.unary(`${a.type as 'i32' | 'i64'}.popcnt`, a, a.type); }
  ctz(a: Value): Value { return this.unary(`${a.type as 'i32' | 'i64'}.ctz`, a, a.type); }
  extend64(a: Value, signed: boolean): Value { return this.unary(signed ? 'i64.extend_i32_s' : 'i64.extend_i32_u', a, 'i64'); }
  wrap32(a: Value): Value { return this.unary('i32.wrap_i64', a, 'i32'); }

  signExtend(a: Value, width: Width): Value {
    if (a.type === 'i64') return width === 64 ? a : this.unary(`i64.extend${width}_s` as Opcode, a, 'i64');
    return width >= 32 ? a : this.unary(`i32.extend${width as 8 | 16}_s`, a, 'i32');
  }

  truncate(a: Value, width: Width): Value {
    if (a.type === 'i64') return width === 64 ? a : this.op('and', a, this.constant(2 ** width - 1, 64));
    return width >= 32 ? a : this.op('and', a, this.constant(width === 8 ? 0xff : 0xffff));
  }

  mulHigh(a: Value, b: Value, signed: boolean): Value {
    const half = (v: Value, high: boolean) => this.let(high ? this.op('shr', v, this.constant(32, 64)) : this.op('and', v, this.constant(0xffffffff, 64)));
    const product = (x: Value, y: Value) => this.let(this.op('mul', x, y));
    const [x, y] = [this.let(a), this.let(b)];
    const [x0, x1, y0, y1] = [half(x, false), half(x, true), half(y, false), half(y, true)];
    const middle = this.let(this.op('add', product(x1, y0), half(product(x0, y0), true)));
    const carried = this.op('add', product(x0, y1), half(middle, false));
    const high = this.op('add', this.op('add', product(x1, y1), half(middle, true)), this.op('shr', carried, this.constant(32, 64)));
    if (!signed) return this.let(high);
    // A factor with its top bit set stands for itself minus 2^64.
    const minus = (v: Value, negative: Value) => this.op('and', v, this.op('sar', negative, this.constant(63, 64)));
    return this.let(this.op('sub', this.op('sub', high, minus(y, x)), minus(x, y)));
  }

  isCanonical(a: Value): Value {
    const sixteen = this.constant(16, 64);
    return this.op('eq', this.op('sar', this.op('shl', a, sixteen), sixteen), a);
  }

  // ---- record and state ----

  protected field(name: keyof typeof RecordField, opcode: 'i32.load' | 'i32.load16_u' | 'i32.load8_u' = 'i32.load'): Node {
    return this.expression('i32', () => {
      this.body.index('local.get', RECORD).memory(opcode, RecordField[name]);
    });
  }

  protected field64(name: keyof typeof RecordField, opcode: 'i64.load' | 'i64.load32_s' | 'i64.load32_u'): Node {
    return this.expression('i64', () => {
      this.body.index('local.get', RECORD).memory(opcode, RecordField[name]);
    });
  }

  protected loadState64(address: number, opcode: 'i64.load' | 'i64.load32_u' = 'i64.load'): Node {
    return this.expression('i64', () => { this.body.i32(0).memory(opcode, address); });
  }

  protected setState64(address: number, value: Value): void {
    this.body.i32(0);
    node(this.as64(value)).emit();
    this.body.memory('i64.store', address);
  }

  protected loadState(address: number, opcode: 'i32.load' | 'i32.load8_u' | 'i32.load16_u' = 'i32.load'): Node {
    return this.expression('i32', () => { this.body.i32(0).memory(opcode, address); });
  }

  protected state(address: number): Value {
    return this.let(this.loadState(address));
  }

  protected setState(address: number, value: Value, opcode: 'i32.store' | 'i32.store8' | 'i32.store16' = 'i32.store'): void {
    this.body.i32(0);
    node(value).emit();
    this.body.memory(opcode, address);
  }

  /** EIP of the instruction; RIP in 64-bit code, where the record has the lower half. */
  protected rip(): Value {
    return this.form.long ? this.here(this.field64('eip', 'i64.load32_u')) : this.field('eip');
  }

  /** An address in the same upper half as the code. */
  protected here(low: Value): Value {
    return this.op('or', this.op('shl', this.loadState64(CODE_HIGH, 'i64.load32_u'), this.constant(32)), low);
  }

  // ---- registers ----

  protected loadWidth(width: Width): Opcode {
    return width === 8 ? 'i32.load8_u' : width === 16 ? 'i32.load16_u' : width === 32 ? 'i32.load' : 'i64.load';
  }

  protected storeWidth(width: Width): Opcode {
    return width === 8 ? 'i32.store8' : width === 16 ? 'i32.store16' : width === 32 ? 'i32.store' : 'i64.store';
  }

  register(n: number, width: Width): Value {
    return this.effect(width === 64 ? 'i64' : 'i32', () => { this.body.i32(0).memory(this.loadWidth(width), GPR + 8 * n); });
  }

  setRegister(n: number, width: Width, value: Value): void {
    this.body.i32(0);
    this.storeRegister(width, value, GPR + 8 * n);
  }

  /** Stores a register's new value; the address that `offset` counts from is on the stack. In 64-bit code 32-bit writes clear the upper half. */
  protected storeRegister(width: Width, value: Value, offset: number): void {
    const stored = this.form.long && width === 32 ? 64 : width;
    this.inType(value, stored).emit();
    this.body.memory(this.storeWidth(stored), offset);
  }

  highByte(n: number): Value {
    return this.effect('i32', () => { this.body.i32(0).memory('i32.load8_u', GPR + 8 * n + 1); });
  }

  setHighByte(n: number, value: Value): void {
    this.setState(GPR + 8 * n + 1, value, 'i32.store8');
  }

  selector(segment: SelectorRef): Value {
    if (segment !== 'operand') return this.state(SEGMENTS + SEGMENT_SIZE * segment + SEGMENT_FIELDS.selector);
    return this.effect('i32', () => {
      node(this.op('mul', this.field('second', 'i32.load16_u'), this.constant(SEGMENT_SIZE))).emit();
      this.body.memory('i32.load', SEGMENTS + SEGMENT_FIELDS.selector);
    });
  }

  registerNumber(): Value { return this.let(this.field('second', 'i32.load16_u')); }

  // ---- processor state ----

  privilegeLevel(): Value { return this.state(CPL); }
  pauseTold(): Value { return this.state(PAUSE_TOLD); }
  controlRegister(n: 0 | 2 | 3 | 4): Value { return this.state({ 0: CR0, 2: CR2, 3: CR3, 4: CR4 }[n]); }

  protectedMode(): Value {
    const pe = this.op('and', this.loadState(CR0), this.constant(1));
    const vm = this.op('and', this.op('shr', this.loadState(SYSTEM_FLAGS), this.constant(17)), this.constant(1));
    return this.let(this.op('gtU', pe, vm));
  }

  wideState(name: WideState): Value { return this.let(this.loadState64(wideStates[name])); }
  setWideState(name: WideState, value: Value): void { this.setState64(wideStates[name], value); }

  descriptorTable(register: 'gdtr' | 'idtr', field: 'base' | 'limit'): Value {
    if (this.form.long && field === 'base') return this.let(this.loadState64(register === 'gdtr' ? GDTR_BASE : IDTR_BASE));
    if (register === 'gdtr') return this.state(field === 'base' ? GDTR_BASE : GDTR_LIMIT);
    return this.state(field === 'base' ? IDTR_BASE : IDTR_LIMIT);
  }

  calloutSecond(): Value { return this.state(SCRATCH); }
  calloutWide(): Value { return this.let(this.loadState64(WIDE_RESULT)); }
}

const wideStates: Readonly<Record<WideState, number>> = {
  fsBase: SEGMENTS + SEGMENT_SIZE * Segment.FS + SEGMENT_FIELDS.base, gsBase: SEGMENTS + SEGMENT_SIZE * Segment.GS + SEGMENT_FIELDS.base, kernelGsBase: KERNEL_GS_BASE,
};

const operationNames: Readonly<Record<BinaryOperation, string>> = {
  add: 'add', sub: 'sub', mul: 'mul', and: 'and', or: 'or', xor: 'xor', shl: 'shl', shr: 'shr_u', sar: 'shr_s', rotl: 'rotl',
  divU: 'div_u', remU: 'rem_u', divS: 'div_s', remS: 'rem_s',
  eq: 'eq', ne: 'ne', ltU: 'lt_u', ltS: 'lt_s', leU: 'le_u', leS: 'le_s', gtU: 'gt_u', gtS: 'gt_s', geU: 'ge_u', geS: 'ge_s',
};
const comparisons = new Set<BinaryOperation>(['eq', 'ne', 'ltU', 'ltS', 'leU', 'leS', 'gtU', 'gtS', 'geU', 'geS']);
