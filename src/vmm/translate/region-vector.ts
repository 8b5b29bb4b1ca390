/**
 * Vectors in regions: XMM registers and MXCSR in locals, constant shuffles, and no check that an earlier one makes superfluous. MMX registers stay in the
 * state page, where the x87's are. The operand that a loading record has loaded is in a local: who leaves between the two goes back to the loading one.
 */
import { FPU_ACCESS, FpuAccess, OPERAND, READ_TABLE, WRITE_TABLE, XMM } from '../cpu/layout';
import type { Value, Width } from '../isa/builder';
import type { ExtractOperation, FloatOperation, FloatType, ReplaceOperation, VectorOperation } from '../isa/vector';
import { ALL_PLAIN, Plain, plainBits } from './region-facts';
import { REGISTERS } from './region-state';
import { RegionX87 } from './region-x87';
import { node, type Node } from './threaded-values';
import { NEAREST_AND_MASKED, PRECISION, ROUNDING_AND_MASK } from './threaded-vector';
import { vectorTableEntry, type VectorTable } from './vector-tables';

/** A value and what the region knows of it. */
interface Known extends Node {
  /** Bits of {@link Plain}: of which readings it is known that they are zeros and normal numbers. */
  readonly plain?: number;
  /** A constant vector's bytes. */
  readonly bytes?: readonly number[];
  /** The XMM register that was read. */
  readonly register?: number;
}
const known = (value: Value): Known => value as Known;

const ACCESS = { x87: FpuAccess.X87, mmx: FpuAccess.Mmx, sse: FpuAccess.Sse } as const;
const lanes: Readonly<Record<Width, { readonly get: ExtractOperation; readonly set: ReplaceOperation }>> = {
  8: { get: 'i8x16.extract_lane_u', set: 'i8x16.replace_lane' }, 16: { get: 'i16x8.extract_lane_u', set: 'i16x8.replace_lane' },
  32: { get: 'i32x4.extract_lane', set: 'i32x4.replace_lane' }, 64: { get: 'i64x2.extract_lane', set: 'i64x2.replace_lane' },
};
const lowest = { i32: 'i32x4.replace_lane', i64: 'i64x2.replace_lane', f32: 'f32x4.replace_lane', f64: 'f64x2.replace_lane' } as const;

export abstract class RegionVector extends RegionX87 {
  /** Threaded code does this instruction. */
  protected abstract stay(): void;

  // ---- constants ----

  private tagged(value: Value, more: Partial<Known>): Value { return { ...node(value), ...more } as Known; }

  override vectorConstant(bytes: readonly number[]): Value {
    return this.tagged(super.vectorConstant(bytes), { bytes, ...(bytes.every((byte) => byte === 0) ? { plain: ALL_PLAIN } : {}) });
  }

  override vectorTable(table: VectorTable, index: Value): Value {
    const { constant } = node(index);
    if (constant === undefined) return super.vectorTable(table, index);
    return this.vectorConstant(vectorTableEntry(table, constant));
  }

  override operate(operation: FloatOperation | VectorOperation, ...values: Value[]): Value {
    const [a, b] = values.map(known);
    if (operation === 'i8x16.swizzle' && b.bytes?.every((lane) => lane < 16)) return this.shuffle(b.bytes, a, a);
    // XORPS of a register with itself is how zeros are made.
    if (operation === 'v128.xor' && a.register !== undefined && a.register === b.register) return this.vectorConstant(new Array<number>(16).fill(0));
    return super.operate(operation, ...values);
  }

  // ---- what is known ----

  override knownPlain(value: Value, type: FloatType): boolean {
    const wanted = plainBits(value.type, type);
    return ((known(value).plain ?? 0) & wanted) === wanted;
  }

  override markPlain(value: Value, type: FloatType): Value {
    return this.tagged(this.let(value), { plain: plainBits(value.type, type) });
  }

  override markOperandPlain(n: number, type: FloatType, all: boolean): void {
    const register = this.vectorRegister(n);
    if (register !== undefined) this.region.setPlain(register, this.region.facts.plain[register] | plainBits(all ? 'v128' : type, type));
  }

  override requireUnit(unit: 'x87' | 'mmx' | 'sse'): void {
    const { region, body } = this;
    // An MMX instruction also has to look for a pending x87 exception, which may have come up since.
    if (unit !== 'mmx') {
      if (region.facts.units & ACCESS[unit]) return;
      region.facts = { ...region.facts, units: region.facts.units | ACCESS[unit] };
    }
    body.i32(0).memory('i32.load', FPU_ACCESS).i32(ACCESS[unit]).op('i32.and').open('if');
    this.leaveHere();
    body.op('end');
  }

  override mxcsr(): Value {
    return this.effect('i32', () => { this.body.index('local.get', this.region.controlAndStatus()); });
  }

  override setMxcsr(value: Value): void {
    if (this.form.encoding.instruction.mnemonic === 'ldmxcsr') {
      this.stay();
      return;
    }
    // An exception is noted: what is known of the other bits stays true.
    this.region.mxcsrWritten = true;
    const local = this.region.controlAndStatus();
    node(value).emit();
    this.body.index('local.set', local);
  }

  /** Leaves unless MXCSR's fields are so. */
  private requireMxcsr(mask: number, wanted: number): void {
    node(this.op('ne', this.op('and', this.mxcsr(), this.constant(mask)), this.constant(wanted))).emit();
    this.body.open('if');
    this.leaveHere();
    this.body.op('end');
  }

  override roundsToNearest(): Value {
    const { region } = this;
    if (!region.facts.nearest) {
      const noted = region.precisionNoted ? PRECISION : 0;
      this.requireMxcsr(ROUNDING_AND_MASK | noted, NEAREST_AND_MASKED | noted);
      region.facts = { ...region.facts, nearest: true, noted: noted !== 0 };
    }
    return this.constant(1);
  }

  /** Where the exception had been noted when the region was formed, as is the rule, threaded code does what comes before the first one. */
  override notePrecision(exact: () => Value): void {
    const { region } = this;
    if (!region.precisionNoted) super.notePrecision(exact);
    else if (!region.facts.noted) {
      this.requireMxcsr(PRECISION, PRECISION);
      region.facts = { ...region.facts, noted: true };
    }
  }

  // ---- operands ----

  /** Number of the XMM register that an operand is. */
  private vectorRegister(n: number): number | undefined {
    const operand = this.operand(n);
    if (operand.kind !== 'vector') return undefined;
    if (operand.slot === 'xmm0') return 0;
    const at = node(this.registerField(n)).constant!;
    return at >= XMM && at < XMM + 16 * REGISTERS ? (at - XMM) / 16 : undefined;
  }

  private isLoaded(n: number): boolean {
    const operand = this.operand(n);
    return (operand.kind === 'vector' || operand.kind === 'register') && node(this.registerField(n)).constant === OPERAND;
  }

  /** The whole of a vector operand in a register, or of what was loaded for it. */
  private wholeVector(n: number): Known | undefined {
    const { region } = this;
    const register = this.vectorRegister(n);
    if (register !== undefined) {
      const value = this.effect('v128', () => { this.body.index('local.get', region.vector(register)); });
      return { ...value, register, plain: region.facts.plain[register] };
    }
    return this.isLoaded(n) ? this.effect('v128', () => { this.body.index('local.get', region.loaded); }) : undefined;
  }

  private setVector(register: number, value: Value, plain: number): void {
    const { region } = this;
    region.writtenVectors.add(register);
    const local = region.vector(register);
    node(value).emit();
    this.body.index('local.set', local);
    region.setPlain(register, plain);
  }

  protected override keepLoaded(value: Value): void {
    node(value).emit();
    this.body.index('local.set', this.region.loaded);
  }

  protected override loadVector(n: number, bytes: number, aligned: boolean): Value {
    if (bytes !== 4 && bytes !== 8) return super.loadVector(n, bytes, aligned);
    const { body } = this;
    const linear = this.linearOf(this.address(n), (8 * bytes) as Width, false);
    const host = body.local('i32'), value = body.local('v128');
    this.lookup(linear, (8 * bytes) as Width, READ_TABLE, host, () => undefined, () => {
      body.index('local.get', host).memory(bytes === 8 ? 'v128.load64_zero' : 'v128.load32_zero', 0).index('local.set', value);
    });
    return this.localNode(value, 'v128');
  }

  protected override storeVector(n: number, bytes: number, value: Value, aligned: boolean): void {
    if (bytes !== 4 && bytes !== 8) {
      super.storeVector(n, bytes, value, aligned);
      return;
    }
    const { body } = this;
    const linear = this.linearOf(this.address(n), (8 * bytes) as Width, true);
    const host = body.local('i32');
    this.lookup(linear, (8 * bytes) as Width, WRITE_TABLE, host, () => undefined, () => {
      body.index('local.get', host);
      node(value).emit();
      body.memoryLane(bytes === 8 ? 'v128.store64_lane' : 'v128.store32_lane', 0, 0);
    });
  }

  override read(n: number): Value {
    if (!this.isLoaded(n)) return super.read(n);
    const { width } = this.operand(n);
    return this.let(this.extractLane(lanes[width as Width].get, this.wholeVector(n)!, 0));
  }

  override readVector(n: number): Value { return this.wholeVector(n) ?? super.readVector(n); }

  override writeVector(n: number, value: Value): void {
    const register = this.vectorRegister(n);
    if (register === undefined) super.writeVector(n, value);
    else this.setVector(register, value, known(value).plain ?? 0);
  }

  override readFloat(n: number, type: FloatType): Value {
    const whole = this.wholeVector(n);
    if (!whole) return super.readFloat(n, type);
    const value = this.let(this.extractLane(type === 'f64' ? 'f64x2.extract_lane' : 'f32x4.extract_lane', whole, 0));
    return this.tagged(value, { plain: (whole.plain ?? 0) & plainBits(type, type) });
  }

  override writeLow(n: number, value: Value): void {
    const register = this.vectorRegister(n);
    if (register === undefined) {
      super.writeLow(n, value);
      return;
    }
    const low = (known(value).plain ?? 0) & (Plain.Double | Plain.Single);
    const before = this.region.facts.plain[register];
    // The rest of the register is as plain as it was.
    const all = (low & Plain.Double ? before & Plain.Doubles : 0) | (low & Plain.Single ? before & Plain.Singles : 0);
    this.setVector(register, this.replaceLane(lowest[value.type as keyof typeof lowest], this.wholeVector(n)!, 0, value), low | all);
  }

  override readElement(n: number, width: Width, index: number | Value): Value {
    const whole = this.wholeVector(n);
    if (!whole) return super.readElement(n, width, index);
    const lane = typeof index === 'number' ? index : node(index).constant;
    if (lane === undefined) throw new Error(`${this.form.key}: an element that is not known`);
    const value = this.let(this.extractLane(lanes[width].get, whole, lane));
    return lane === 0 ? this.tagged(value, { plain: (whole.plain ?? 0) & (width === 64 ? Plain.Double : width === 32 ? Plain.Single : 0) }) : value;
  }

  override writeElement(n: number, width: Width, index: number | Value, value: Value): void {
    const register = this.vectorRegister(n);
    if (register === undefined) {
      super.writeElement(n, width, index, value);
      return;
    }
    const lane = typeof index === 'number' ? index : node(index).constant;
    if (lane === undefined) throw new Error(`${this.form.key}: an element that is not known`);
    this.setVector(register, this.replaceLane(lanes[width].set, this.wholeVector(n)!, lane, value), lane === 0 ? known(value).plain ?? 0 : 0);
  }
}
