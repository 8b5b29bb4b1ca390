/**
 * The lowest part of threaded code's builder: expressions, the fields of the record, the words of the state page, and the registers.
 */
import {
  CPL, CR0, CR2, CR3, CR4, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, SYSTEM_FLAGS,
} from '../cpu/layout';
import type { BinaryOperation, SelectorRef, Value, Width } from '../isa/builder';
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
    return !this.form.flat;
  }

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
    const opcode = `${a.type}.${operationNames[operation]}` as Opcode;
    const other = wide && b.type === 'i32' ? this.extend64(b, false) : b;
    return this.expression(wide && !comparisons.has(operation) ? 'i64' : 'i32', () => {
      node(a).emit();
      node(other).emit();
      this.body.op(opcode);
    });
  }

  not(a: Value): Value {
    return this.op('xor', a, this.constant(-1, a.type === 'i64' ? 64 : 32));
  }

  isZero(a: Value): Value {
    return this.expression('i32', () => {
      node(a).emit();
      this.body.op(`${a.type as 'i32' | 'i64'}.eqz`);
    });
  }

  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    return this.expression(whenTrue.type, () => {
      node(whenTrue).emit();
      node(whenFalse).emit();
      node(condition).emit();
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

  // ---- record and state ----

  protected field(name: keyof typeof RecordField, opcode: 'i32.load' | 'i32.load16_u' | 'i32.load8_u' = 'i32.load'): Node {
    return this.expression('i32', () => {
      this.body.index('local.get', RECORD).memory(opcode, RecordField[name]);
    });
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
    node(value).emit();
    this.body.memory(this.storeWidth(width), GPR + 8 * n);
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
  controlRegister(n: 0 | 2 | 3 | 4): Value { return this.state({ 0: CR0, 2: CR2, 3: CR3, 4: CR4 }[n]); }

  protectedMode(): Value {
    const pe = this.op('and', this.loadState(CR0), this.constant(1));
    const vm = this.op('and', this.op('shr', this.loadState(SYSTEM_FLAGS), this.constant(17)), this.constant(1));
    return this.let(this.op('gtU', pe, vm));
  }

  descriptorTable(register: 'gdtr' | 'idtr', field: 'base' | 'limit'): Value {
    if (register === 'gdtr') return this.state(field === 'base' ? GDTR_BASE : GDTR_LIMIT);
    return this.state(field === 'base' ? IDTR_BASE : IDTR_LIMIT);
  }

  calloutSecond(): Value { return this.state(SCRATCH); }
}

const operationNames: Readonly<Record<BinaryOperation, string>> = {
  add: 'add', sub: 'sub', mul: 'mul', and: 'and', or: 'or', xor: 'xor', shl: 'shl', shr: 'shr_u', sar: 'shr_s', rotl: 'rotl',
  divU: 'div_u', remU: 'rem_u', divS: 'div_s', remS: 'rem_s',
  eq: 'eq', ne: 'ne', ltU: 'lt_u', ltS: 'lt_s', leU: 'le_u', leS: 'le_s', gtU: 'gt_u', gtS: 'gt_s', geU: 'ge_u', geS: 'ge_s',
};
const comparisons = new Set<BinaryOperation>(['eq', 'ne', 'ltU', 'ltS', 'leU', 'leS', 'gtU', 'gtS', 'geU', 'geS']);
