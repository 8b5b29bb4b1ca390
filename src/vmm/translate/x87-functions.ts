/**
 * The x87's arithmetic in WebAssembly, for normal numbers and zeros: what the instructions of threaded code and of regions call. Every function
 * either does the whole operation, exactly as cpu/fpu does it (rounding and precision control, PE and C1), or says that it has
 * done nothing: then the TypeScript implementation does it. The silicon suite runs through both.
 *
 * A number is its significand (i64, the integer bit on top) and its sign and exponent (i32, as in memory).
 */
import { FPU_CONTROL, FPU_PENDING, FPU_STATUS } from '../cpu/layout';
import { Code, type Expression } from '../wasm/expression';
import type { FunctionBody, ModuleWriter } from '../wasm/module';
import type { ValueType } from '../wasm/opcodes';

export const x87FunctionTypes = {
  add: { parameters: ['i64', 'i32', 'i64', 'i32', 'i32'], results: ['i32'] },
  multiply: { parameters: ['i64', 'i32', 'i64', 'i32', 'i32'], results: ['i32'] },
  divide: { parameters: ['i64', 'i32', 'i64', 'i32', 'i32'], results: ['i32'] },
  compare: { parameters: ['i64', 'i32', 'i64', 'i32'], results: ['i32'] },
  fromSingle: { parameters: ['i32', 'i32'], results: ['i32'] },
  fromDouble: { parameters: ['i64', 'i32'], results: ['i32'] },
  fromInteger: { parameters: ['i64', 'i32'], results: ['i32'] },
  toFloat: { parameters: ['i64', 'i32', 'i32'], results: ['i64'] },
  toInteger: { parameters: ['i64', 'i32', 'i32', 'i32'], results: ['i64'] },
  roundStore: { parameters: ['i32', 'i32', 'i64', 'i64', 'i32'], results: ['i32'] },
  roundIntegral: { parameters: ['i64', 'i32', 'i32'], results: ['i32'] },
} as const satisfies Readonly<Record<string, { readonly parameters: readonly ValueType[]; readonly results: readonly ValueType[] }>>;
export type X87Function = keyof typeof x87FunctionTypes;
export const x87FunctionNames = Object.keys(x87FunctionTypes) as X87Function[];

/** Function indices by name. */
export type X87Imports = Readonly<Record<X87Function, number>>;

const BIAS = 0x3fff;
const PRECISION = 0x20, C1 = 0x200;
/** Control word: rounding, precision and the precision exception's mask; as FNINIT leaves them. */
const USUAL_FIELDS = 0xf20, USUAL_CONTROL = 0x320;
/** FPU_PENDING: nothing was done. */
export const NOT_CONVERTED = -1;

type Integer = ReturnType<Code['variable']>;

class Functions extends Code {
  constructor(body: FunctionBody, private readonly imports: X87Imports) { super(body); }

  i32(n: number): Expression { return this.get(n, 'i32'); }
  i64(n: number): Expression { return this.get(n, 'i64'); }
  private control(): Expression { return this.load('i32.load', FPU_CONTROL); }
  private top(): Expression { return this.shl(this.constant(1, 'i64'), 63); }
  private exponent(signed: Expression): Expression { return this.and(signed, 0x7fff); }

  /** An exponent of normal numbers, which have the integer bit. */
  private isNormal(significand: Expression, exponent: Expression): Expression {
    return this.and(this.less(this.sub(exponent, 1), 0x7ffe), this.op('i64.lt_s', significand, 0));
  }
  private isZeroNumber(significand: Expression, exponent: Expression): Expression {
    return this.and(this.isZero(exponent), this.isZero(significand));
  }

  /** Whether the bits below a significand round it up: `rest` is their value with the first one on top and all others told by the rest. */
  private roundsUp(mode: Expression, negative: Expression, last: Expression, rest: Expression): Integer {
    const up = this.variable(0);
    this.if(this.isZero(mode),
      () => up.set(this.and(this.narrow(this.shr(rest, 63)), this.or(this.op('i64.ne', this.shl(rest, 1), 0), this.narrow(last)))),
      // Down 1, up 2, chop 3.
      () => up.set(this.and(this.op('i64.ne', rest, 0), this.eq(mode, this.select(negative, 1, 2)))));
    return up;
  }
  private mode(): Expression { return this.and(this.shr(this.control(), 10), 3); }

  /** Refuses an inexact result while the precision exception is not masked. */
  private refuseUnmasked(inexact: Expression, refuse: () => void): void {
    this.if(this.and(inexact, this.isZero(this.and(this.control(), PRECISION))), refuse);
  }

  /** PE when inexact; C1 as given. */
  private report(inexact: Expression, up: Expression): void {
    const kept = this.and(this.load('i32.load', FPU_STATUS), ~C1);
    this.store('i32.store', FPU_STATUS, this.or(kept, this.or(this.shl(inexact, 5), this.shl(up, 9))));
  }

  private storeNumber(to: Expression, significand: Expression, signed: Expression): void {
    this.store('i64.store', 0, significand, to);
    this.store('i32.store16', 8, signed, to);
  }

  /** A zero as a result: exact. */
  private storeZero(to: Expression, sign: Expression): void {
    this.storeNumber(to, this.constant(0, 'i64'), sign);
    this.report(this.constant(0, 'i32'), this.constant(0, 'i32'));
  }

  /** (sign 0 or 8000h, exponent, significand with its integer bit, rest, destination): rounds by the control word and stores. */
  roundStore(): void {
    const sign = this.i32(0), to = this.i32(4);
    const exponent = this.variable(this.i32(1)), significand = this.variable(this.i64(2)), rest = this.variable(this.i64(3));
    const unit = this.variable(1, 'i64');
    const control = this.variable(this.control());
    const narrow = (mode: number, bits: number) => this.if(this.eq(this.and(control, 0x300), mode), () => {
      // What does not fit moves into the rest.
      const kept = this.variable(this.shl(this.shr(significand, bits), bits));
      rest.set(this.or(this.shl(significand, 64 - bits), this.wide(this.op('i64.ne', rest, 0))));
      significand.set(kept);
      unit.set(this.shl(this.constant(1, 'i64'), bits));
    });
    this.if(this.op('i32.eqz', this.and(control, 0x100)), () => {
      narrow(0x200, 11);
      narrow(0, 40);
    });
    const inexact = this.variable(this.op('i64.ne', rest, 0));
    const up = this.variable(0);
    this.if(inexact, () => {
      up.set(this.roundsUp(this.mode(), sign, this.wide(this.op('i64.ne', this.and(significand, unit), 0)), rest));
      this.if(up, () => {
        significand.set(this.add(significand, unit));
        this.if(this.isZero(significand), () => {
          significand.set(this.top());
          exponent.set(this.add(exponent, 1));
        });
      });
      this.refuseUnmasked(inexact, () => this.return(0));
    });
    this.if(this.atLeast(this.sub(exponent, 1), 0x7ffe), () => this.return(0));
    this.storeNumber(to, significand, this.or(sign, exponent));
    this.report(inexact, up);
    this.return(1);
  }

  /** Rounds, stores and returns: extended numbers to nearest in line, other controls in a function of their own. */
  private finish(sign: Expression, exponent: Expression, significand: Expression, rest: Expression, to: Expression): void {
    this.if(this.eq(this.and(this.control(), USUAL_FIELDS), USUAL_CONTROL), () => {
      const last = this.and(significand, 1);
      const up = this.variable(this.and(this.narrow(this.shr(rest, 63)), this.or(this.op('i64.ne', this.shl(rest, 1), 0), this.narrow(last))));
      const rounded = this.variable(this.add(significand, this.wide(up)));
      const carried = this.isZero(rounded);
      const finalExponent = this.variable(this.add(exponent, carried));
      this.if(this.less(this.sub(finalExponent, 1), 0x7ffe), () => {
        this.storeNumber(to, this.or(rounded, this.shl(this.wide(carried), 63)), this.or(sign, finalExponent));
        this.report(this.op('i64.ne', rest, 0), up);
        this.return(1);
      });
      this.return(0);
    });
    this.return(this.call(this.imports.roundStore, 'i32', sign, exponent, significand, rest, to));
  }

  /** (a, b, destination). */
  add_(): void {
    const to = this.i32(4);
    const a = this.variable(this.i64(0)), b = this.variable(this.i64(2));
    const signA = this.variable(this.and(this.i32(1), 0x8000)), signB = this.variable(this.and(this.i32(3), 0x8000));
    const exponent = this.variable(this.exponent(this.i32(1))), other = this.variable(this.exponent(this.i32(3)));
    const none = this.constant(0, 'i64');
    this.if(this.isZero(this.and(this.isNormal(a, exponent), this.isNormal(b, other))), () => {
      this.if(this.and(this.isNormal(a, exponent), this.isZeroNumber(b, other)), () => this.finish(signA, exponent, a, none, to));
      this.if(this.and(this.isNormal(b, other), this.isZeroNumber(a, exponent)), () => this.finish(signB, other, b, none, to));
      this.if(this.and(this.isZeroNumber(a, exponent), this.isZeroNumber(b, other)), () => {
        this.storeZero(to, this.select(this.eq(signA, signB), signA, this.select(this.eq(this.mode(), 1), 0x8000, this.constant(0, 'i32'))));
        this.return(1);
      });
      this.return(0);
    });
    const distance = this.variable(this.sub(exponent, other));
    this.if(this.lessSigned(distance, 0), () => {
      const kept = this.variable(a), sign = this.variable(signA);
      a.set(b);
      b.set(kept);
      signA.set(signB);
      signB.set(sign);
      exponent.set(other);
      distance.set(this.sub(0, distance));
    });
    // The smaller one, shifted: its high part, and below it the rest, of which the last bit stands for all that is lost.
    const rest = this.variable(0, 'i64');
    this.if(distance, () => {
      this.if(this.less(distance, 64), () => {
        rest.set(this.shl(b, this.wide(this.sub(64, distance))));
        b.set(this.shr(b, this.wide(distance)));
      }, () => {
        this.if(this.less(distance, 127), () => {
          const by = this.variable(this.wide(this.sub(distance, 64)));
          rest.set(this.or(this.shr(b, by), this.wide(this.op('i64.ne', this.shl(this.shr(b, by), by), b))));
        }, () => rest.set(1));
        b.set(0);
      });
    });
    this.if(this.eq(signA, signB), () => {
      const sum = this.variable(this.add(a, b));
      this.if(this.less(sum, a), () => {
        rest.set(this.or(this.or(this.shl(sum, 63), this.shr(rest, 1)), this.and(rest, 1)));
        sum.set(this.or(this.shr(sum, 1), this.top()));
        exponent.set(this.add(exponent, 1));
      });
      this.finish(signA, exponent, sum, rest, to);
    }, () => {
      const difference = this.variable(this.sub(this.sub(a, b), this.wide(this.op('i64.ne', rest, 0))));
      this.if(this.isZero(distance), () => {
        this.if(this.isZero(difference), () => {
          this.storeZero(to, this.select(this.eq(this.mode(), 1), 0x8000, this.constant(0, 'i32')));
          this.return(1);
        });
        this.if(this.less(a, b), () => {
          difference.set(this.sub(0, difference));
          signA.set(signB);
        });
      });
      rest.set(this.sub(0, rest));
      this.if(this.isZero(difference), () => {
        difference.set(rest);
        rest.set(0);
        exponent.set(this.sub(exponent, 64));
      });
      const shift = this.variable(this.clz(difference));
      this.if(this.op('i64.ne', shift, 0), () => {
        difference.set(this.or(this.shl(difference, shift), this.shr(rest, this.sub(64, shift))));
        rest.set(this.shl(rest, shift));
        exponent.set(this.sub(exponent, this.narrow(shift)));
      });
      this.finish(signA, exponent, difference, rest, to);
    });
    this.body.op('unreachable');
  }

  /** A product or quotient with zero: returns when one of the operands is zero and the other is a number. `b` must not be the zero of a quotient. */
  private zeroResult(a: Expression, exponentA: Expression, b: Expression, exponentB: Expression, sign: Expression, to: Expression, product: boolean): void {
    const found = this.variable(this.and(this.isZeroNumber(a, exponentA), this.isNormal(b, exponentB)));
    if (product) {
      found.set(this.or(found, this.and(this.isZeroNumber(b, exponentB), this.or(this.isNormal(a, exponentA), this.isZeroNumber(a, exponentA)))));
    }
    this.if(found, () => {
      this.storeZero(to, sign);
      this.return(1);
    });
    this.return(0);
  }

  multiply(): void {
    const a = this.i64(0), b = this.i64(2), to = this.i32(4);
    const sign = this.variable(this.and(this.xor(this.i32(1), this.i32(3)), 0x8000));
    const exponentA = this.variable(this.exponent(this.i32(1))), exponentB = this.variable(this.exponent(this.i32(3)));
    this.if(this.isZero(this.and(this.isNormal(a, exponentA), this.isNormal(b, exponentB))), () => this.zeroResult(a, exponentA, b, exponentB, sign, to, true));
    const low = (value: Expression) => this.and(value, 0xffffffff);
    const aLow = this.variable(low(a)), aHigh = this.variable(this.shr(a, 32)), bLow = this.variable(low(b)), bHigh = this.variable(this.shr(b, 32));
    const lowest = this.variable(this.mul(aLow, bLow));
    const middle = this.variable(this.add(this.mul(aHigh, bLow), this.shr(lowest, 32)));
    const other = this.variable(this.add(this.mul(aLow, bHigh), low(middle)));
    const high = this.variable(this.add(this.add(this.mul(aHigh, bHigh), this.shr(middle, 32)), this.shr(other, 32)));
    const rest = this.variable(this.or(this.shl(other, 32), low(lowest)));
    const exponent = this.variable(this.sub(this.add(exponentA, exponentB), BIAS - 1));
    this.if(this.op('i64.gt_s', high, -1), () => {
      high.set(this.or(this.shl(high, 1), this.shr(rest, 63)));
      rest.set(this.shl(rest, 1));
      exponent.set(this.sub(exponent, 1));
    });
    this.finish(sign, exponent, high, rest, to);
    this.body.op('unreachable');
  }

  /** a / b. Knuth's algorithm D with two digits of 32 bits. */
  divide_(): void {
    const a = this.i64(0), b = this.variable(this.i64(2)), to = this.i32(4);
    const sign = this.variable(this.and(this.xor(this.i32(1), this.i32(3)), 0x8000));
    const exponentA = this.variable(this.exponent(this.i32(1))), exponentB = this.variable(this.exponent(this.i32(3)));
    this.if(this.isZero(this.and(this.isNormal(a, exponentA), this.isNormal(b, exponentB))), () => this.zeroResult(a, exponentA, b, exponentB, sign, to, false));
    const exponent = this.variable(this.add(this.sub(exponentA, exponentB), BIAS - 1));
    // The dividend's 128 bits: below them only this one.
    const left = this.variable(a), below = this.variable(0, 'i64');
    this.if(this.atLeast(a, b), () => {
      below.set(this.shl(a, 63));
      left.set(this.shr(a, 1));
      exponent.set(this.add(exponent, 1));
    });
    const bHigh = this.variable(this.shr(b, 32)), bLow = this.variable(this.and(b, 0xffffffff));
    const digit = (dividend: Expression, next: Expression): Integer => {
      const q = this.variable(this.divide(dividend, bHigh));
      const rest = this.variable(this.sub(dividend, this.mul(q, bHigh)));
      for (let k = 0; k < 2; k++) {
        const tooLarge = this.or(this.op('i64.ne', this.shr(q, 32), 0), this.greater(this.mul(q, bLow), this.or(this.shl(rest, 32), next)));
        this.if(this.and(this.isZero(this.shr(rest, 32)), tooLarge), () => {
          q.set(this.sub(q, 1));
          rest.set(this.add(rest, bHigh));
        });
      }
      return q;
    };
    const first = digit(left, this.shr(below, 32));
    left.set(this.sub(this.or(this.shl(left, 32), this.shr(below, 32)), this.mul(first, b)));
    const second = digit(left, this.constant(0, 'i64'));
    left.set(this.sub(this.shl(left, 32), this.mul(second, b)));
    // How the remainder compares with half of the divisor is all that rounding asks.
    const half = this.variable(this.sub(b, left));
    const rest = this.select(this.isZero(left), this.constant(0, 'i64'),
      this.select(this.eq(left, half), this.top(), this.or(this.select(this.greater(left, half), this.top(), this.constant(0, 'i64')), 1)));
    this.finish(sign, exponent, this.or(this.shl(first, 32), second), rest, to);
    this.body.op('unreachable');
  }

  /** C3–C0 for a compared with b, or -1. */
  compare(): void {
    const a = this.i64(0), b = this.i64(2);
    const exponentA = this.variable(this.exponent(this.i32(1))), exponentB = this.variable(this.exponent(this.i32(3)));
    const zeroA = this.variable(this.isZeroNumber(a, exponentA)), zeroB = this.variable(this.isZeroNumber(b, exponentB));
    this.if(this.isZero(this.and(this.or(zeroA, this.isNormal(a, exponentA)), this.or(zeroB, this.isNormal(b, exponentB)))), () => this.return(-1));
    const GREATER = 0, LESS = 0x100, EQUAL = 0x4000;
    this.if(this.and(zeroA, zeroB), () => this.return(EQUAL));
    const negative = this.variable(this.shr(this.i32(1), 15));
    this.if(this.ne(negative, this.shr(this.i32(3), 15)), () => this.return(this.select(negative, LESS, this.constant(GREATER, 'i32'))));
    this.if(this.and(this.eq(exponentA, exponentB), this.eq(a, b)), () => this.return(EQUAL));
    const smaller = this.select(this.eq(exponentA, exponentB), this.less(a, b), this.less(exponentA, exponentB));
    this.return(this.select(this.ne(smaller, negative), LESS, this.constant(GREATER, 'i32')));
    this.body.op('unreachable');
  }

  /** (bits, destination): a single. */
  fromSingle(): void {
    const bits = this.i32(0);
    this.fromBits(this.and(this.shr(bits, 16), 0x8000), this.and(this.shr(bits, 23), 0xff), 0xff, BIAS - 127, this.shl(this.wide(this.and(bits, 0x7fffff)), 40));
  }
  fromDouble(): void {
    const bits = this.i64(0);
    const high = this.variable(this.narrow(this.shr(bits, 48)));
    this.fromBits(this.and(high, 0x8000), this.and(this.shr(high, 4), 0x7ff), 0x7ff, BIAS - 1023, this.shr(this.shl(bits, 12), 1));
  }
  private fromBits(signBit: Expression, exponentField: Expression, maximum: number, rebias: number, fractionBits: Expression): void {
    const to = this.i32(1);
    const sign = this.variable(signBit), exponent = this.variable(exponentField), fraction = this.variable(fractionBits);
    this.if(this.less(this.sub(exponent, 1), maximum - 1), () => {
      this.storeNumber(to, this.or(fraction, this.top()), this.or(sign, this.add(exponent, rebias)));
      this.return(1);
    });
    this.if(this.or(exponent, this.op('i64.ne', fraction, 0)), () => this.return(0));
    this.storeNumber(to, fraction, sign);
    this.return(1);
    this.body.op('unreachable');
  }

  /** (value, destination): a signed integer, always exact. */
  fromInteger(): void {
    const value = this.i64(0), to = this.i32(1);
    this.if(this.isZero(value), () => {
      this.storeNumber(to, value, this.constant(0, 'i32'));
      this.return(1);
    });
    const negative = this.variable(this.op('i64.lt_s', value, 0));
    const magnitude = this.variable(this.select(negative, this.sub(0, value), value));
    const shift = this.variable(this.clz(magnitude));
    this.storeNumber(to, this.shl(magnitude, shift), this.or(this.shl(negative, 15), this.sub(BIAS + 63, this.narrow(shift))));
    this.return(1);
    this.body.op('unreachable');
  }

  /** What the store will have to report, or that nothing was done. */
  private pending(value: Expression): void { this.store('i32.store', FPU_PENDING, value); }
  private refuse(): void {
    this.pending(this.constant(NOT_CONVERTED, 'i32'));
    this.return(0, 'i64');
  }

  /** (a, bits of the significand: 24 or 53): a single or double. */
  toFloat(): void {
    const significand = this.i64(0), isSingle = this.eq(this.i32(2), 24);
    const negative = this.variable(this.shr(this.i32(1), 15)), exponent = this.variable(this.exponent(this.i32(1)));
    const signed = this.variable(this.shl(this.wide(negative), this.select(isSingle, this.constant(31, 'i64'), 63)));
    this.if(this.isZeroNumber(significand, exponent), () => {
      this.pending(this.constant(0, 'i32'));
      this.return(signed);
    });
    this.if(this.isZero(this.isNormal(significand, exponent)), () => this.refuse());
    const dropped = this.variable(this.wide(this.sub(64, this.i32(2))));
    const bits = this.variable(this.shr(significand, dropped));
    const rest = this.variable(this.shl(significand, this.sub(64, dropped)));
    const up = this.roundsUp(this.mode(), negative, this.and(bits, 1), rest);
    bits.set(this.add(bits, this.wide(up)));
    const inexact = this.variable(this.op('i64.ne', rest, 0));
    const bias = this.select(isSingle, this.constant(BIAS - 127, 'i32'), BIAS - 1023);
    const field = this.variable(this.sub(exponent, bias));
    // The integer bit counts one into the exponent's field, a carry out of the significand another.
    const result = this.variable(this.add(this.shl(this.wide(this.sub(field, 1)), this.wide(this.sub(this.i32(2), 1))), bits));
    const last = this.narrow(this.shr(result, this.wide(this.sub(this.i32(2), 1))));
    const largest = this.select(isSingle, this.constant(0xfe, 'i32'), 0x7fe);
    this.if(this.or(this.less(largest, this.sub(field, 1)), this.greater(last, largest)), () => this.refuse());
    this.refuseUnmasked(inexact, () => this.refuse());
    this.pending(this.or(this.shl(inexact, 5), this.shl(up, 9)));
    this.return(this.or(result, signed));
    this.body.op('unreachable');
  }

  /** (a, width, chop): a signed integer. */
  toInteger(): void {
    const significand = this.i64(0), width = this.i32(2), chop = this.i32(3);
    const negative = this.variable(this.shr(this.i32(1), 15)), exponent = this.variable(this.exponent(this.i32(1)));
    this.if(this.isZeroNumber(significand, exponent), () => {
      this.pending(this.constant(0, 'i32'));
      this.return(0, 'i64');
    });
    this.if(this.or(this.isZero(this.isNormal(significand, exponent)), this.greater(exponent, BIAS + 62)), () => this.refuse());
    const value = this.variable(0, 'i64'), rest = this.variable(1, 'i64');
    this.if(this.atLeast(exponent, BIAS), () => {
      const shift = this.variable(this.wide(this.sub(BIAS + 63, exponent)));
      value.set(this.shr(significand, shift));
      rest.set(this.shl(significand, this.sub(64, shift)));
    }, () => this.if(this.eq(exponent, BIAS - 1), () => rest.set(significand)));
    const up = this.roundsUp(this.select(chop, 3, this.mode()), negative, this.and(value, 1), rest);
    value.set(this.add(value, this.wide(up)));
    const limit = this.add(this.sub(this.shl(this.constant(1, 'i64'), this.wide(this.sub(width, 1))), 1), this.wide(negative));
    this.if(this.greater(value, limit), () => this.refuse());
    const inexact = this.variable(this.op('i64.ne', rest, 0));
    this.refuseUnmasked(inexact, () => this.refuse());
    this.pending(this.or(this.shl(inexact, 5), this.shl(up, 9)));
    this.return(this.select(negative, this.sub(0, value), value));
    this.body.op('unreachable');
  }

  /** (a, destination): FRNDINT. */
  roundIntegral(): void {
    const significand = this.i64(0), to = this.i32(2);
    const negative = this.variable(this.shr(this.i32(1), 15)), exponent = this.variable(this.exponent(this.i32(1)));
    this.if(this.isZero(this.isNormal(significand, exponent)), () => this.return(0));
    // Below one the answer may be zero; above 2^63 nothing changes.
    this.if(this.or(this.less(exponent, BIAS), this.atLeast(exponent, BIAS + 63)), () => this.return(0));
    const shift = this.variable(this.wide(this.sub(BIAS + 63, exponent)));
    const value = this.variable(this.shr(significand, shift));
    const rest = this.variable(this.shl(significand, this.sub(64, shift)));
    const up = this.roundsUp(this.mode(), negative, this.and(value, 1), rest);
    const inexact = this.variable(this.op('i64.ne', rest, 0));
    this.refuseUnmasked(inexact, () => this.return(0));
    value.set(this.add(value, this.wide(up)));
    const places = this.variable(this.clz(value));
    this.storeNumber(to, this.shl(value, places), this.or(this.shl(negative, 15), this.sub(BIAS + 63, this.narrow(places))));
    this.report(inexact, up);
    this.return(1);
    this.body.op('unreachable');
  }
}

const writers: Readonly<Record<X87Function, (functions: Functions) => void>> = {
  add: (f) => f.add_(), multiply: (f) => f.multiply(), divide: (f) => f.divide_(), compare: (f) => f.compare(), fromSingle: (f) => f.fromSingle(),
  fromDouble: (f) => f.fromDouble(), fromInteger: (f) => f.fromInteger(), toFloat: (f) => f.toFloat(), toInteger: (f) => f.toInteger(),
  roundStore: (f) => f.roundStore(), roundIntegral: (f) => f.roundIntegral(),
};

/** Writes all of them into a module. */
export function defineX87Functions(module: ModuleWriter): X87Imports {
  const types = Object.fromEntries(x87FunctionNames.map((name) => [name, module.type(x87FunctionTypes[name].parameters, x87FunctionTypes[name].results)]));
  const imports = Object.fromEntries(x87FunctionNames.map((name) => [name, module.declare(types[name])])) as Record<X87Function, number>;
  for (const name of x87FunctionNames) {
    const body = module.body(types[name]);
    writers[name](new Functions(body, imports));
    module.define(imports[name], body);
  }
  return imports;
}
