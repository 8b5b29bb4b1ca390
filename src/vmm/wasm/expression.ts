/** Expressions over a function body, for functions that are written by hand: each is code that leaves one value. */
import type { FunctionBody } from './module';
import type { Opcode, ValueType } from './opcodes';

export interface Expression {
  readonly type: ValueType;
  readonly emit: () => void;
}
/** Numbers stand for constants of the other operand's type. */
type Operand = Expression | number;

const resultOf = (opcode: Opcode): ValueType =>
  (/\.(eqz?|ne|[lg][te](_[su])?)$|wrap/.test(opcode) ? 'i32' : opcode.slice(0, opcode.indexOf('.')) as ValueType);

/** Writes statements into a body and makes expressions for them. */
export class Code {
  constructor(readonly body: FunctionBody) {}

  /** Parameter or local by number. */
  get(index: number, type: ValueType): Expression {
    return { type, emit: () => { this.body.index('local.get', index); } };
  }

  constant(value: number, type: ValueType): Expression {
    return { type, emit: () => { if (type === 'i64') this.body.i64(value); else this.body.i32(value); } };
  }

  private fit(value: Operand, type: ValueType): Expression {
    return typeof value === 'number' ? this.constant(value, type) : value;
  }

  op(opcode: Opcode, ...operands: Operand[]): Expression {
    const type = operands.find((operand) => typeof operand !== 'number')?.type ?? 'i32';
    return { type: resultOf(opcode), emit: () => { operands.forEach((operand) => this.fit(operand, type).emit()); this.body.op(opcode); } };
  }

  private binary(name: string, a: Operand, b: Operand): Expression {
    const { type } = typeof a === 'number' ? b as Expression : a;
    return this.op(`${type}.${name}` as Opcode, this.fit(a, type), this.fit(b, type));
  }

  add(a: Operand, b: Operand): Expression { return this.binary('add', a, b); }
  sub(a: Operand, b: Operand): Expression { return this.binary('sub', a, b); }
  mul(a: Operand, b: Operand): Expression { return this.binary('mul', a, b); }
  divide(a: Operand, b: Operand): Expression { return this.binary('div_u', a, b); }
  and(a: Operand, b: Operand): Expression { return this.binary('and', a, b); }
  or(a: Operand, b: Operand): Expression { return this.binary('or', a, b); }
  xor(a: Operand, b: Operand): Expression { return this.binary('xor', a, b); }
  shl(a: Operand, b: Operand): Expression { return this.binary('shl', a, b); }
  shr(a: Operand, b: Operand): Expression { return this.binary('shr_u', a, b); }
  sar(a: Operand, b: Operand): Expression { return this.binary('shr_s', a, b); }
  eq(a: Operand, b: Operand): Expression { return this.binary('eq', a, b); }
  ne(a: Operand, b: Operand): Expression { return this.binary('ne', a, b); }
  less(a: Operand, b: Operand): Expression { return this.binary('lt_u', a, b); }
  greater(a: Operand, b: Operand): Expression { return this.binary('gt_u', a, b); }
  atLeast(a: Operand, b: Operand): Expression { return this.binary('ge_u', a, b); }
  lessSigned(a: Operand, b: Operand): Expression { return this.binary('lt_s', a, b); }
  greaterSigned(a: Operand, b: Operand): Expression { return this.binary('gt_s', a, b); }
  isZero(a: Expression): Expression { return this.op(`${a.type}.eqz` as Opcode, a); }
  clz(a: Expression): Expression { return this.op(`${a.type}.clz` as Opcode, a); }
  wide(a: Expression): Expression { return this.op('i64.extend_i32_u', a); }
  narrow(a: Expression): Expression { return this.op('i32.wrap_i64', a); }

  select(condition: Expression, whenTrue: Operand, whenFalse: Operand): Expression {
    const type = typeof whenTrue !== 'number' ? whenTrue.type : typeof whenFalse !== 'number' ? whenFalse.type : 'i32';
    return { type, emit: () => { this.fit(whenTrue, type).emit(); this.fit(whenFalse, type).emit(); condition.emit(); this.body.op('select'); } };
  }

  load(opcode: Opcode, address: number, base: Operand = 0): Expression {
    return { type: opcode.slice(0, 3) as ValueType, emit: () => { this.fit(base, 'i32').emit(); this.body.memory(opcode, address); } };
  }

  call(index: number, type: ValueType, ...values: Expression[]): Expression {
    return { type, emit: () => { values.forEach((value) => value.emit()); this.body.index('call', index); } };
  }

  // ---- statements ----

  store(opcode: Opcode, address: number, value: Operand, base: Operand = 0): void {
    this.fit(base, 'i32').emit();
    this.fit(value, opcode.slice(0, 3) as ValueType).emit();
    this.body.memory(opcode, address);
  }

  /** A variable, and its value now. */
  variable(initial: Operand, type: ValueType = typeof initial === 'number' ? 'i32' : initial.type): Expression & { set(value: Operand): void } {
    const index = this.body.local(type);
    const set = (value: Operand): void => {
      this.fit(value, type).emit();
      this.body.index('local.set', index);
    };
    set(initial);
    return { ...this.get(index, type), set };
  }

  if(condition: Expression, then: () => void, otherwise?: () => void): void {
    condition.emit();
    this.body.open('if');
    then();
    if (otherwise) {
      this.body.op('else');
      otherwise();
    }
    this.body.op('end');
  }

  return(value: Operand, type: ValueType = 'i32'): void {
    this.fit(value, type).emit();
    this.body.op('return');
  }
}
