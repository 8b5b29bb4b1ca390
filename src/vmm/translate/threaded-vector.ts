/**
 * Vectors and floating-point numbers for threaded code's builder: registers in the state page, memory operands of 16 bytes, and whether the
 * units may be used.
 */
import { FPU_ACCESS, FPU_TOP, FpuAccess, MXCSR, OPERAND, VECTOR_TABLES, XMM } from '../cpu/layout';
import type { Value, Width } from '../isa/builder';
import { resultType, type ExactCheck, type ExtractOperation, type FloatOperation, type FloatType, type ReplaceOperation, type VectorOperation } from '../isa/vector';
import type { Load } from './forms';
import { ThreadedX87 } from './threaded-x87';
import { node } from './threaded-values';
import { vectorTableOffset, type VectorTable } from './vector-tables';

/** MXCSR's fields: rounding to nearest, and the precision exception masked. */
export const ROUNDING_AND_MASK = 0x7000, NEAREST_AND_MASKED = 0x1000;
/** Its flag. */
export const PRECISION = 0x20;
const accessBits = { x87: FpuAccess.X87, mmx: FpuAccess.Mmx, sse: FpuAccess.Sse } as const;
/** Sign and exponent of an x87 register that an MMX instruction wrote (SDM Vol. 1, 9.2.1), and the distance of it from the significand. */
const MMX_EXPONENT = 0xffff, EXPONENT = 8;

export abstract class ThreadedVector extends ThreadedX87 {
  /** Vectors made of memory operands that one handler loads and uses. */
  private readonly loaded = new Map<number, Value>();

  // ---- pure ----

  operate(operation: FloatOperation | VectorOperation, ...values: Value[]): Value {
    return this.expression(resultType(operation), () => {
      for (const value of values) node(value).emit();
      this.body.op(operation);
    });
  }

  extractLane(operation: ExtractOperation, vector: Value, lane: number): Value {
    return this.expression(resultType(operation), () => {
      node(vector).emit();
      this.body.lane(operation, lane);
    });
  }

  replaceLane(operation: ReplaceOperation, vector: Value, lane: number, value: Value): Value {
    return this.expression('v128', () => {
      node(vector).emit();
      node(value).emit();
      this.body.lane(operation, lane);
    });
  }

  shuffle(lanes: readonly number[], a: Value, b: Value): Value {
    return this.expression('v128', () => {
      node(a).emit();
      node(b).emit();
      this.body.shuffle(lanes);
    });
  }

  vectorConstant(bytes: readonly number[]): Value {
    return this.expression('v128', () => { this.body.v128(bytes); });
  }

  floatConstant(value: number, type: FloatType): Value {
    return this.expression(type, () => { this.body[type](value); });
  }

  // ---- the units ----

  requireUnit(unit: 'x87' | 'mmx' | 'sse'): void {
    const body = this.body;
    body.i32(0).memory('i32.load', FPU_ACCESS).i32(accessBits[unit]).op('i32.and').open('if');
    this.unitUnavailable(unit);
    body.op('end');
  }

  /** The runtime says why, and raises the fault. */
  protected unitUnavailable(unit: keyof typeof accessBits): void {
    this.callout('unitUnavailable', this.constant(accessBits[unit]));
  }

  enterMmx(): void {
    // TOP and the empty marks are neighbours.
    this.body.i32(0).i64(0).memory('i64.store', FPU_TOP);
  }

  leaveMmx(): void {
    this.body.i32(0).i64(0xff * 0x100000000).memory('i64.store', FPU_TOP);
  }

  knownPlain(_value: Value, _type: FloatType): boolean { return false; }
  markPlain(value: Value, _type: FloatType): Value { return value; }
  markOperandPlain(_n: number, _type: FloatType, _all: boolean): void { /* nothing is known of the next instruction */ }

  isExact(check: ExactCheck, x: Value, y: Value, result: Value): Value {
    return this.effect('i32', () => {
      for (const value of [x, y, result]) node(value).emit();
      this.body.index('call', this.imports.exact(check));
    });
  }

  notePrecision(exact: () => Value): void {
    const mxcsr = this.mxcsr();
    this.if(this.isZero(this.op('and', mxcsr, this.constant(PRECISION))), () => {
      this.if(this.isZero(exact()), () => this.setMxcsr(this.op('or', mxcsr, this.constant(PRECISION))));
    });
  }

  mxcsr(): Value { return this.state(MXCSR); }
  roundsToNearest(): Value {
    return this.op('eq', this.op('and', this.mxcsr(), this.constant(ROUNDING_AND_MASK)), this.constant(NEAREST_AND_MASKED));
  }
  setMxcsr(value: Value): void { this.setState(MXCSR, value); }

  // ---- operands ----

  isMmx(n: number): boolean {
    const operand = this.operand(n);
    return operand.kind === 'vector' && operand.width === 64;
  }

  vectorAddress(n: number): Value {
    const operand = this.operand(n);
    if (operand.kind === 'memory') {
      this.body.i32(0);
      node(this.readVector(n)).emit();
      this.body.memory('v128.store', OPERAND);
      return this.constant(OPERAND);
    }
    if (operand.kind === 'vector' && operand.slot === 'xmm0') return this.constant(XMM);
    return this.registerField(n);
  }

  readVector(n: number): Value {
    const operand = this.operand(n);
    if (operand.kind === 'memory') {
      let value = this.loaded.get(n);
      if (!value) {
        value = this.loadVector(n, operand.width / 8, !this.form.encoding.instruction.unaligned);
        this.loaded.set(n, value);
      }
      return value;
    }
    const load = operand.width === 128 ? 'v128.load' : operand.width === 64 ? 'v128.load64_zero' : 'v128.load32_zero';
    return this.effect('v128', () => {
      node(this.vectorAddress(n)).emit();
      this.body.memory(load, 0);
    });
  }

  writeVector(n: number, value: Value): void {
    const operand = this.operand(n);
    if (operand.kind === 'memory') {
      this.storeVector(n, operand.width / 8, this.let(value), !this.form.encoding.instruction.unaligned);
      return;
    }
    node(this.vectorAddress(n)).emit();
    node(value).emit();
    if (operand.width === 128) this.body.memory('v128.store', 0);
    else {
      this.body.memoryLane('v128.store64_lane', 0, 0);
      this.markMmx(n);
    }
  }

  private markMmx(n: number): void {
    node(this.vectorAddress(n)).emit();
    this.body.i32(MMX_EXPONENT).memory('i32.store16', EXPONENT);
  }

  readFloat(n: number, type: FloatType): Value {
    if (this.isMemory(n)) return this.operate(type === 'f64' ? 'f64.reinterpret_i64' : 'f32.reinterpret_i32', this.read(n));
    return this.effect(type, () => {
      node(this.vectorAddress(n)).emit();
      this.body.memory(`${type}.load`, 0);
    });
  }

  writeLow(n: number, value: Value): void {
    node(this.vectorAddress(n)).emit();
    node(value).emit();
    this.body.memory(`${value.type as 'i32' | 'i64' | FloatType}.store`, 0);
  }

  private elementAddress(n: number, width: Width, index: number | Value): { readonly base: Value; readonly offset: number } {
    const address = this.vectorAddress(n);
    if (typeof index === 'number') return { base: address, offset: index * width / 8 };
    return { base: this.op('add', address, this.op('shl', index, this.constant(Math.log2(width / 8)))), offset: 0 };
  }

  readElement(n: number, width: Width, index: number | Value): Value {
    const { base, offset } = this.elementAddress(n, width, index);
    return this.effect(width === 64 ? 'i64' : 'i32', () => {
      node(base).emit();
      this.body.memory(this.loadWidth(width), offset);
    });
  }

  writeElement(n: number, width: Width, index: number | Value, value: Value): void {
    const { base, offset } = this.elementAddress(n, width, index);
    node(base).emit();
    node(value).emit();
    this.body.memory(this.storeWidth(width), offset);
    if (this.isMmx(n)) this.markMmx(n);
  }

  vectorTable(table: VectorTable, index: Value): Value {
    return this.effect('v128', () => {
      node(this.op('shl', index, this.constant(4))).emit();
      this.body.memory('v128.load', VECTOR_TABLES + vectorTableOffset(table));
    });
  }

  // ---- memory ----

  /** The handler of a record that loads a vector instruction's operand for the record behind it. */
  buildLoad({ unit, bytes, aligned }: Load): void {
    this.requireUnit(unit);
    this.keepLoaded(this.loadVector(0, bytes, aligned));
    this.goNext();
  }

  /** For the record behind. */
  protected keepLoaded(value: Value): void {
    this.body.i32(0);
    node(value).emit();
    this.body.memory('v128.store', OPERAND);
  }

  /** The memory operand in the low bytes of a vector, the rest zero. */
  protected loadVector(n: number, bytes: number, aligned: boolean): Value {
    if (bytes < 16) {
      const width = (bytes * 8) as Width;
      const value = this.load(this.address(n), width);
      const zero = this.vectorConstant(new Array<number>(16).fill(0));
      return this.let(this.replaceLane(width === 64 ? 'i64x2.replace_lane' : 'i32x4.replace_lane', zero, 0, value));
    }
    const address = this.address(n);
    const linear = this.linearOf(address, 128, false);
    if (aligned) this.requireAligned(linear);
    return this.localNode(this.loadLinear(linear, address), 'v128');
  }

  protected storeVector(n: number, bytes: number, value: Value, aligned: boolean): void {
    if (bytes < 16) {
      const wide = bytes === 8;
      this.store(this.address(n), (bytes * 8) as Width, this.let(this.extractLane(wide ? 'i64x2.extract_lane' : 'i32x4.extract_lane', value, 0)));
      return;
    }
    const address = this.address(n);
    const linear = this.linearOf(address, 128, true);
    if (aligned) this.requireAligned(linear);
    this.storeLinear(linear, address, node(value));
  }

  /** #GP(0), which comes before any page fault. */
  private requireAligned(linear: number): void {
    this.body.index('local.get', linear);
    if (this.form.long) this.body.op('i32.wrap_i64');
    this.body.i32(15).op('i32.and').open('if');
    this.emitFault(13, 0);
    this.body.op('end');
  }

  protected abstract emitFault(vector: number, errorCode: number): void;
  protected abstract goNext(): void;
}
