/**
 * Arithmetic flags for threaded code's builder: three words that an operation stores and a reader combines (see LAZY_ZERO in cpu/layout.ts).
 */
import { LAZY_CARRY, LAZY_SIGN, LAZY_ZERO, SYSTEM_FLAGS } from '../cpu/layout';
import type { ArithmeticFlag, Condition, Value, Width } from '../isa/builder';
import { ThreadedMemory } from './threaded-memory';
import { node } from './threaded-values';

export abstract class ThreadedFlags extends ThreadedMemory {
  flag(flag: ArithmeticFlag): Value { return this.let(this.flagNode(flag)); }

  protected flagNode(flag: ArithmeticFlag): Value {
    const carry = () => this.loadState(LAZY_CARRY);
    const sign = () => this.loadState(LAZY_SIGN);
    switch (flag) {
      case 'C': return this.op('shr', carry(), this.constant(31));
      case 'O': return this.op('shr', this.op('xor', carry(), this.op('shl', carry(), this.constant(1))), this.constant(31));
      case 'A': return this.op('and', this.op('shr', carry(), this.constant(3)), this.constant(1));
      case 'Z': return this.isZero(this.loadState(LAZY_ZERO));
      case 'S': return this.op('shr', sign(), this.constant(31));
      case 'P': return this.op('xor', this.op('and', this.unary('i32.popcnt', this.loadState(LAZY_SIGN, 'i32.load8_u'), 'i32'), this.constant(1)), this.constant(1));
    }
  }

  condition(condition: Condition): Value {
    const less = () => {
      const carry = () => this.loadState(LAZY_CARRY);
      const mixed = this.op('xor', this.op('xor', this.loadState(LAZY_SIGN), carry()), this.op('shl', carry(), this.constant(1)));
      return this.op('shr', mixed, this.constant(31));
    };
    const or = (a: Value, b: Value) => this.op('or', a, b);
    switch (condition) {
      case 'o': return this.flag('O');
      case 'no': return this.isZero(this.flag('O'));
      case 'b': return this.flag('C');
      case 'ae': return this.let(this.isZero(this.flagNode('C')));
      case 'e': return this.flag('Z');
      case 'ne': return this.let(this.op('ne', this.loadState(LAZY_ZERO), this.constant(0)));
      case 'be': return this.let(or(this.flagNode('C'), this.flagNode('Z')));
      case 'a': return this.let(this.isZero(or(this.flagNode('C'), this.flagNode('Z'))));
      case 's': return this.flag('S');
      case 'ns': return this.let(this.isZero(this.flagNode('S')));
      case 'p': return this.flag('P');
      case 'np': return this.let(this.isZero(this.flagNode('P')));
      case 'l': return this.let(less());
      case 'ge': return this.let(this.isZero(less()));
      case 'le': return this.let(or(less(), this.flagNode('Z')));
      case 'g': return this.let(this.isZero(or(less(), this.flagNode('Z'))));
    }
  }

  /** Result words: ZF from the value, SF and PF from its sign-extension. */
  protected setResult(result: Value, width: Width): void {
    if (width === 64) {
      this.setState(LAZY_ZERO, this.truth(result));
      const high = this.wrap32(this.op('shr', result, this.constant(32)));
      this.setState(LAZY_SIGN, this.op('or', this.op('and', high, this.constant(-0x100)), this.op('and', this.wrap32(result), this.constant(0xff))));
      return;
    }
    this.setState(LAZY_ZERO, result);
    this.setState(LAZY_SIGN, this.signExtend(result, width));
  }

  /** A carry-out vector in place: its two top carries at bits 31 and 30, AF at bit 3. */
  protected carryVector(vector: Value, width: Width): Value {
    if (width === 32) return vector;
    const kept = this.let(vector);
    if (width === 64) {
      const high = this.op('and', this.wrap32(this.op('shr', kept, this.constant(32))), this.constant(0xc0000000));
      return this.op('or', high, this.op('and', this.wrap32(kept), this.constant(8)));
    }
    const top = this.op('and', this.op('shl', kept, this.constant(32 - width)), this.constant(0xc0000000));
    return this.op('or', top, this.op('and', kept, this.constant(8)));
  }

  protected additionCarries(a: Value, b: Value, result: Value): Value {
    return this.op('or', this.op('and', a, b), this.op('and', this.op('or', a, b), this.not(result)));
  }

  protected subtractionBorrows(a: Value, b: Value, result: Value): Value {
    return this.op('or', this.op('and', this.not(a), b), this.op('and', this.not(this.op('xor', a, b)), result));
  }

  flagsAdd(a: Value, b: Value, result: Value, width: Width): void {
    this.setResult(result, width);
    this.setState(LAZY_CARRY, this.carryVector(this.additionCarries(a, b, result), width));
  }

  flagsSub(a: Value, b: Value, result: Value, width: Width): void {
    this.setResult(result, width);
    this.setState(LAZY_CARRY, this.carryVector(this.subtractionBorrows(a, b, result), width));
  }

  flagsInc(result: Value, width: Width): void {
    // Overflow when the result is the most negative number; a carry out of bit 3 when the low digit became 0.
    const overflow = this.op('eq', result, this.constant(width === 64 ? -(2 ** 63) : width === 32 ? -0x80000000 : 2 ** (width - 1), width));
    const auxiliary = this.isZero(this.op('and', result, this.constant(15)));
    this.keepCarry(overflow, auxiliary);
    this.setResult(result, width);
  }

  flagsDec(result: Value, width: Width): void {
    // One less than the most negative number.
    const overflow = width === 64 ? this.op('eq', this.op('add', result, this.constant(1)), this.constant(-(2 ** 63), 64))
      : this.op('eq', result, this.constant(width === 32 ? 0x7fffffff : 2 ** (width - 1) - 1));
    const auxiliary = this.op('eq', this.op('and', result, this.constant(15)), this.constant(15));
    this.keepCarry(overflow, auxiliary);
    this.setResult(result, width);
  }

  protected keepCarry(overflow: Value, auxiliary: Value): void {
    this.setState(LAZY_CARRY, this.carryWord(this.flag('C'), overflow, auxiliary));
  }

  /** The carry word from 0/1 values. */
  protected carryWord(carry: Value, overflow: Value, auxiliary: Value): Value {
    const at = (v: Value, n: number) => (node(v).constant === 0 ? v : this.op('shl', v, this.constant(n)));
    const kept = this.let(carry);
    return this.op('or', this.op('or', at(kept, 31), at(this.op('xor', kept, overflow), 30)), at(auxiliary, 3));
  }

  flagsLogic(result: Value, width: Width): void {
    this.setResult(result, width);
    this.setState(LAZY_CARRY, this.constant(0));
  }

  flagsResult(result: Value, width: Width, carry: Value, overflow: Value, auxiliary: Value = this.constant(0)): void {
    this.setState(LAZY_CARRY, this.carryWord(carry, overflow, auxiliary));
    this.setResult(result, width);
  }

  setFlags(values: Partial<Record<ArithmeticFlag, Value>>): void {
    if (values.C || values.O || values.A) {
      const carry = this.let(values.C ?? this.flag('C'));
      const overflow = this.let(values.O ?? this.flag('O'));
      this.setState(LAZY_CARRY, this.carryWord(carry, overflow, values.A ?? this.flag('A')));
    }
    if (values.Z) this.setState(LAZY_ZERO, this.isZero(values.Z));
    if (values.S || values.P) throw new Error('SF and PF are never set alone');
  }

  setArithmeticFlags(eflags: Value): void {
    const bit = (n: number) => this.op('and', this.op('shr', eflags, this.constant(n)), this.constant(1));
    this.setState(LAZY_ZERO, this.isZero(bit(6)));
    this.setState(LAZY_SIGN, this.op('or', this.op('shl', bit(7), this.constant(31)), this.isZero(bit(2))));
    this.setState(LAZY_CARRY, this.carryWord(this.let(bit(0)), bit(11), bit(4)));
  }

  arithmeticFlags(): Value {
    const at = (flag: ArithmeticFlag, n: number) => this.op('shl', this.flagNode(flag), this.constant(n));
    const low = this.op('or', this.flagNode('C'), this.op('or', at('P', 2), at('A', 4)));
    return this.let(this.op('or', this.op('or', low, at('Z', 6)), this.op('or', at('S', 7), at('O', 11))));
  }

  systemFlags(): Value { return this.state(SYSTEM_FLAGS); }
  setSystemFlags(value: Value): void { this.setState(SYSTEM_FLAGS, value); }
}
