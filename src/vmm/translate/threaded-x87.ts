/**
 * The builder's x87 part for threaded code, see isa/x87-builder.ts. Each operation is done in line, with the functions of x87-functions.ts, as
 * far as it concerns ordinary numbers; everything else is a callout that finds nothing changed.
 */
import {
  FPU_ACCESS, FPU_CONTROL, FPU_CS, FPU_DP, FPU_DS, FPU_EMPTY, FPU_IP, FPU_OPCODE, FPU_PENDING, FPU_STATUS, FPU_TOP, FpuAccess, SCRATCH, SEGMENTS, SEGMENT_FIELDS,
  SEGMENT_SIZE, X87,
} from '../cpu/layout';
import type { Address, Value, Width } from '../isa/builder';
import { X87Compare, X87Format, type X87Builder } from '../isa/x87-builder';
import { ThreadedFlags } from './threaded-flags';
import { node } from './threaded-values';
import { NOT_CONVERTED, x87FunctionTypes, type X87Function } from './x87-functions';

/** Status word: exceptions, ES, C0–C3. CR0.MP and CR0.TS. */
const EXCEPTIONS = 0x3f, ERROR_SUMMARY = 0x80, C1 = 0x200, CONDITIONS = 0x4700, MP_AND_TS = 0xa;
/** Control word: what can be written, and what reads as one. */
const CONTROL_WRITABLE = 0x1f3f, CONTROL_ONE = 0x40;
const SIGN = 0x8000, ONE_EXPONENT = 0x3fff;
const FLDZ = 6, FCHS = 0xe0, FABS = 0xe1, FRNDINT = 0xfc;

const widths: Readonly<Record<X87Format, Width>> = {
  [X87Format.Single]: 32, [X87Format.Double]: 64, [X87Format.Extended]: 64, [X87Format.Integer16]: 16, [X87Format.Integer32]: 32, [X87Format.Integer64]: 64,
  [X87Format.Decimal]: 64,
};
/** Ten bytes: eight and two. */
const isWide = (format: X87Format): boolean => format === X87Format.Extended || format === X87Format.Decimal;
const isInteger = (format: X87Format): boolean => format >= X87Format.Integer16 && format <= X87Format.Integer64;

/** A register of the stack: its number among the physical ones, and its address. */
interface Register {
  readonly number: Value;
  readonly at: Value;
}

/** A memory operand's two parts. */
interface Parts {
  readonly low: Value;
  readonly high?: Value;
}

export abstract class ThreadedX87 extends ThreadedFlags implements X87Builder {
  abstract callout(name: string, ...values: Value[]): Value;
  abstract leave(): void;
  abstract if(condition: Value, then: () => void, otherwise?: () => void): void;
  abstract variable(initial: Value): { get(): Value; set(value: Value): void };

  requireX87(how: 'waiting' | 'notWaiting' | 'wait'): void {
    const pending = () => this.op('and', this.loadState(FPU_STATUS), this.constant(ERROR_SUMMARY));
    const refused = how === 'wait'
      ? this.op('eq', this.op('and', this.controlRegister(0), this.constant(MP_AND_TS)), this.constant(MP_AND_TS))
      : this.op('and', this.loadState(FPU_ACCESS), this.constant(FpuAccess.X87));
    this.if(how === 'notWaiting' ? refused : this.op('or', refused, pending()), () => {
      const ready = this.callout('fpuReady', this.constant(how === 'notWaiting' ? 0 : 1), this.constant(how === 'wait' ? 1 : 0));
      this.if(this.isZero(ready), () => this.leave());
    });
  }

  noteX87(memoryOperand?: number): void {
    this.setState64(FPU_IP, this.rip());
    // The translator leaves the opcode in the place of an immediate.
    this.setState(FPU_OPCODE, this.field('immediate'));
    this.setState(FPU_CS, this.loadState(SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.selector));
    if (memoryOperand === undefined) return;
    const { offset, segment } = this.address(memoryOperand);
    this.setState64(FPU_DP, offset);
    // 64-bit code has no data segments to tell.
    this.setState(FPU_DS, this.form.long ? this.constant(0) : this.segmentField(segment, 'selector'));
  }

  x87Word(word: 'control' | 'status'): Value {
    if (word === 'control') return this.state(FPU_CONTROL);
    return this.let(this.op('or', this.loadState(FPU_STATUS), this.op('shl', this.loadState(FPU_TOP), this.constant(11))));
  }

  setX87Control(value: Value): void {
    const control = this.let(value);
    // Nothing is pending behind the check: only exceptions that become unmasked make a difference.
    const unmasked = this.op('and', this.op('and', this.loadState(FPU_STATUS), this.not(control)), this.constant(EXCEPTIONS));
    this.if(unmasked, () => { this.callout('fpuControl', control); },
      () => this.setState(FPU_CONTROL, this.op('or', this.op('and', control, this.constant(CONTROL_WRITABLE)), this.constant(CONTROL_ONE))));
  }

  imageAddress(n: number): Value { return this.form.long ? this.linear(this.address(n)) : this.address(n).offset; }
  segmentEntry(): Value { return this.let(this.field('segment', 'i32.load16_u')); }

  // ---- the stack ----

  private stackRegister(i: Value | number): Register {
    const top = this.loadState(FPU_TOP);
    const number = i === 0 ? this.let(top)
      : this.let(this.op('and', this.op('add', top, typeof i === 'number' ? this.constant(i) : i), this.constant(7)));
    return { number, at: this.let(this.op('shl', number, this.constant(4))) };
  }

  /** Non-zero when one of the registers is empty. */
  private anyEmpty(...registers: readonly Register[]): Value {
    const marks = registers.map(({ number }) => this.op('shr', this.loadState(FPU_EMPTY), number));
    return this.op('and', marks.reduce((a, b) => this.op('or', a, b)), this.constant(1));
  }

  private significandOf({ at }: Register): Value {
    return this.effect('i64', () => {
      node(at).emit();
      this.body.memory('i64.load', X87);
    });
  }
  /** Sign and exponent. */
  private signedOf({ at }: Register): Value {
    return this.effect('i32', () => {
      node(at).emit();
      this.body.memory('i32.load16_u', X87 + 8);
    });
  }
  private setRegisterBits({ at }: Register, significand: Value, signed: Value): void {
    node(at).emit();
    node(significand).emit();
    this.body.memory('i64.store', X87);
    node(at).emit();
    node(signed).emit();
    this.body.memory('i32.store16', X87 + 8);
  }
  private addressOf({ at }: Register): Value { return this.op('add', at, this.constant(X87)); }

  private markOf({ number }: Register): Value { return this.op('shl', this.constant(1), number); }
  private popRegister(top: Register): void {
    this.setState(FPU_EMPTY, this.op('or', this.loadState(FPU_EMPTY), this.markOf(top)));
    this.setState(FPU_TOP, this.op('and', this.op('add', top.number, this.constant(1)), this.constant(7)));
  }
  private pushed(register: Register): void {
    this.markValid(register);
    this.setState(FPU_TOP, register.number);
    this.clearC1();
  }
  private markValid(register: Register): void {
    this.setState(FPU_EMPTY, this.op('and', this.loadState(FPU_EMPTY), this.not(this.markOf(register))));
  }
  private clearC1(): void {
    this.setState(FPU_STATUS, this.op('and', this.loadState(FPU_STATUS), this.constant(~C1)));
  }

  /** Calls a function of x87-functions.ts. */
  private function(name: X87Function, ...values: Value[]): Value {
    return this.effect(x87FunctionTypes[name].results[0], () => {
      for (const value of values) node(value).emit();
      this.body.index('call', this.imports.x87[name]);
    });
  }

  /** `done` does the work, unless a register is empty, and tells whether it did; else the callout. */
  private unlessEmpty(registers: readonly Register[], done: () => Value, then: () => void, otherwise: () => void): void {
    const result = this.variable(this.constant(0));
    this.if(this.isZero(this.anyEmpty(...registers)), () => result.set(done()));
    this.if(result.get(), then, otherwise);
  }

  // ---- memory operands ----

  private loadParts(format: X87Format): Parts {
    const address = this.address(0);
    const low = this.load(address, widths[format]);
    return isWide(format) ? { low, high: this.load(this.offsetBy(address, 8), 16) } : { low };
  }

  /** Where callouts find the operand. */
  private stash(format: X87Format, { low, high }: Parts): void {
    const put = (offset: number, width: Width, value: Value) => {
      this.body.i32(0);
      node(value).emit();
      this.body.memory(this.storeWidth(width), SCRATCH + offset);
    };
    put(0, widths[format], low);
    if (high) put(8, 16, high);
  }

  /** Converts a memory operand that is no extended number; 1 when done. */
  private converted(format: X87Format, value: Value, to: Value): Value {
    if (format === X87Format.Single) return this.function('fromSingle', value, to);
    if (format === X87Format.Double) return this.function('fromDouble', value, to);
    return this.function('fromInteger', format === X87Format.Integer64 ? value : this.extend64(this.signExtend(value, widths[format]), true), to);
  }
  private scratchOperand(): readonly [Value, Value] {
    return [
      this.effect('i64', () => { this.body.i32(0).memory('i64.load', SCRATCH); }),
      this.effect('i32', () => { this.body.i32(0).memory('i32.load16_u', SCRATCH + 8); }),
    ];
  }

  // ---- arithmetic ----

  /** By the /digit: a is ST(0). Subtraction is addition with the sign turned. */
  private calculated(digit: number, a: readonly [Value, Value], b: readonly [Value, Value], to: Value): Value {
    const turned = ([significand, signed]: readonly [Value, Value]): readonly [Value, Value] => [significand, this.op('xor', signed, this.constant(SIGN))];
    switch (digit) {
      case 0: return this.function('add', ...a, ...b, to);
      case 1: return this.function('multiply', ...a, ...b, to);
      case 4: return this.function('add', ...a, ...turned(b), to);
      case 5: return this.function('add', ...b, ...turned(a), to);
      case 6: return this.function('divide', ...a, ...b, to);
      default: return this.function('divide', ...b, ...a, to);
    }
  }
  private bits(register: Register): readonly [Value, Value] { return [this.significandOf(register), this.signedOf(register)]; }

  x87Arithmetic(digit: number, toRegister: boolean, pop: boolean): void {
    this.noteX87();
    const i = this.registerNumber();
    const top = this.stackRegister(0), other = this.stackRegister(i);
    this.unlessEmpty([top, other], () => this.calculated(digit, this.bits(top), this.bits(other), this.addressOf(toRegister ? other : top)),
      () => { if (pop) this.popRegister(top); },
      () => { this.callout('fpuArithmetic', this.constant(digit), i, this.constant((toRegister ? 1 : 0) | (pop ? 2 : 0))); });
  }

  x87ArithmeticMemory(digit: number, format: X87Format): void {
    const operand = this.loadParts(format);
    this.noteX87(0);
    const top = this.stackRegister(0);
    this.unlessEmpty([top], () => {
      const done = this.variable(this.converted(format, operand.low, this.constant(SCRATCH)));
      this.if(done.get(), () => done.set(this.calculated(digit, this.bits(top), this.scratchOperand(), this.addressOf(top))));
      return done.get();
    }, () => undefined, () => {
      this.stash(format, operand);
      this.callout('fpuArithmeticMemory', this.constant(digit), this.constant(format));
    });
  }

  // ---- comparison ----

  private compared(order: Value, how: X87Compare): void {
    if (how & X87Compare.Flags) {
      // C3 and C0 are where SAHF would bring them to ZF and CF.
      this.setArithmeticFlags(this.let(this.op('shr', order, this.constant(8))));
      return;
    }
    this.setState(FPU_STATUS, this.op('or', this.op('and', this.loadState(FPU_STATUS), this.constant(~CONDITIONS)), order));
  }

  private compareWith(registers: readonly Register[], operand: () => Value, how: X87Compare, pops: number, otherwise: () => void): void {
    const order = this.variable(this.constant(-1));
    this.if(this.isZero(this.anyEmpty(...registers)), () => order.set(operand()));
    this.if(this.op('geS', order.get(), this.constant(0)), () => {
      this.compared(order.get(), how);
      for (let n = 0; n < pops; n++) this.popRegister(this.stackRegister(0));
    }, otherwise);
  }

  x87Compare(other: 'operand' | 'next', how: X87Compare, pops: 0 | 1 | 2): void {
    this.noteX87();
    const i = other === 'next' ? this.constant(1) : this.registerNumber();
    const top = this.stackRegister(0), second = this.stackRegister(i);
    this.compareWith([top, second], () => this.function('compare', ...this.bits(top), ...this.bits(second)), how, pops,
      () => { this.callout('fpuCompare', i, this.constant(how | pops << 2)); });
  }

  x87CompareMemory(format: X87Format, pops: 0 | 1): void {
    const operand = this.loadParts(format);
    this.noteX87(0);
    const top = this.stackRegister(0);
    this.compareWith([top], () => {
      const order = this.variable(this.constant(-1));
      this.if(this.converted(format, operand.low, this.constant(SCRATCH)), () => order.set(this.function('compare', ...this.bits(top), ...this.scratchOperand())));
      return order.get();
    }, X87Compare.Ordered, pops, () => {
      this.stash(format, operand);
      this.callout('fpuCompareMemory', this.constant(format), this.constant(pops));
    });
  }

  // ---- loads ----

  x87Load(format: X87Format): void {
    const operand = this.loadParts(format);
    this.noteX87(0);
    const room = this.stackRegister(7);
    const slow = () => {
      this.stash(format, operand);
      this.callout('fpuLoad', this.constant(format));
    };
    if (format === X87Format.Decimal) {
      slow();
      return;
    }
    const done = this.variable(this.constant(0));
    this.if(this.anyEmpty(room), () => {
      if (operand.high) {
        this.setRegisterBits(room, operand.low, operand.high);
        done.set(this.constant(1));
      } else done.set(this.converted(format, operand.low, this.addressOf(room)));
    });
    this.if(done.get(), () => this.pushed(room), slow);
  }

  x87LoadRegister(): void {
    this.noteX87();
    const i = this.registerNumber();
    const from = this.stackRegister(i), room = this.stackRegister(7);
    this.if(this.op('gtU', this.anyEmpty(room), this.anyEmpty(from)), () => {
      this.setRegisterBits(room, ...this.bits(from));
      this.pushed(room);
    }, () => { this.callout('fpuLoadRegister', i); });
  }

  x87Constant(which: number): void {
    this.noteX87();
    const slow = () => { this.callout('fpuConstant', this.constant(which)); };
    if (which !== 0 && which !== FLDZ) {
      slow();
      return;
    }
    const room = this.stackRegister(7);
    this.if(this.anyEmpty(room), () => {
      const significand = which === 0 ? this.op('shl', this.constant(1, 64), this.constant(63, 64)) : this.constant(0, 64);
      this.setRegisterBits(room, significand, this.constant(which === 0 ? ONE_EXPONENT : 0));
      this.pushed(room);
    }, slow);
  }

  // ---- stores ----

  x87Store(format: X87Format, pop: boolean, chop: boolean): void {
    const address = this.address(0);
    const width = widths[format];
    const top = this.stackRegister(0);
    const low = this.variable(this.constant(0, width === 64 ? 64 : 32));
    const high = this.variable(this.constant(0));
    // Converted first, stored then, and reported at last: a page fault between finds nothing changed.
    const pending = this.variable(this.constant(NOT_CONVERTED));
    const stores = this.variable(this.constant(1));
    if (format !== X87Format.Decimal) {
      this.if(this.isZero(this.anyEmpty(top)), () => {
        if (format === X87Format.Extended) {
          low.set(this.significandOf(top));
          high.set(this.signedOf(top));
          pending.set(this.constant(0));
          return;
        }
        const value = isInteger(format)
          ? this.function('toInteger', ...this.bits(top), this.constant(width), this.constant(chop ? 1 : 0))
          : this.function('toFloat', ...this.bits(top), this.constant(format === X87Format.Single ? 24 : 53));
        low.set(width === 64 ? value : width === 32 ? this.wrap32(value) : this.truncate(this.wrap32(value), width));
        pending.set(this.loadState(FPU_PENDING));
      });
    }
    const slow = this.let(this.op('eq', pending.get(), this.constant(NOT_CONVERTED)));
    this.if(slow, () => {
      stores.set(this.callout('fpuConvert', this.constant(format), this.constant(chop ? 1 : 0)));
      const [bits, rest] = this.scratchOperand();
      low.set(width === 64 ? bits : this.truncate(this.wrap32(bits), width));
      high.set(rest);
    });
    this.if(stores.get(), () => this.storeParts(format, address, low.get(), high.get()));
    this.noteX87(0);
    this.if(slow, () => { this.callout('fpuStored', this.constant(pop ? 1 : 0)); }, () => {
      this.setState(FPU_STATUS, this.op('or', this.op('and', this.loadState(FPU_STATUS), this.constant(~C1)), pending.get()));
      if (pop) this.popRegister(top);
    });
  }

  private storeParts(format: X87Format, address: Address, low: Value, high: Value): void {
    if (!isWide(format)) {
      this.store(address, widths[format], low);
      return;
    }
    const second = this.offsetBy(address, 8);
    this.loadForWrite(second, 16);
    this.store(address, 64, low);
    this.store(second, 16, high);
  }

  x87StoreRegister(pop: boolean): void {
    this.noteX87();
    const i = this.registerNumber();
    const top = this.stackRegister(0), to = this.stackRegister(i);
    this.if(this.isZero(this.anyEmpty(top)), () => {
      this.setRegisterBits(to, ...this.bits(top));
      this.markValid(to);
      this.clearC1();
      if (pop) this.popRegister(top);
    }, () => { this.callout('fpuStoreRegister', i, this.constant(pop ? 1 : 0)); });
  }

  // ---- within the stack ----

  x87Exchange(): void {
    this.noteX87();
    const i = this.registerNumber();
    const top = this.stackRegister(0), other = this.stackRegister(i);
    this.if(this.isZero(this.anyEmpty(top, other)), () => {
      const a = this.bits(top), b = this.bits(other);
      this.setRegisterBits(top, ...b);
      this.setRegisterBits(other, ...a);
      this.clearC1();
    }, () => { this.callout('fpuExchange', i); });
  }

  x87Move(condition: Value): void {
    this.noteX87();
    const i = this.registerNumber();
    const top = this.stackRegister(0), from = this.stackRegister(i);
    const met = this.let(condition);
    this.if(this.isZero(this.anyEmpty(top, from)), () => this.if(met, () => this.setRegisterBits(top, ...this.bits(from))),
      () => { this.callout('fpuMove', i, met); });
  }

  x87Unary(which: number): void {
    this.noteX87();
    const top = this.stackRegister(0);
    this.unlessEmpty([top], () => {
      if (which === FRNDINT) return this.function('roundIntegral', ...this.bits(top), this.addressOf(top));
      if (which !== FCHS && which !== FABS) return this.constant(0);
      const signed = this.signedOf(top);
      this.setRegisterBits(top, this.significandOf(top), which === FCHS ? this.op('xor', signed, this.constant(SIGN)) : this.op('and', signed, this.constant(SIGN - 1)));
      this.clearC1();
      return this.constant(1);
    }, () => undefined, () => { this.callout('fpuUnary', this.constant(which)); });
  }
}
