/** WebAssembly functions over the state page, written by hand: what transitions and page functions share. */
import { Flag } from '../cpu/bits';
import { counterAddress, type CounterId } from '../cpu/counters';
import { BRANCH_RING, BRANCH_RING_ENTRIES, BRANCH_RING_NEXT, CODE_HIGH, EIP, LAZY_CARRY, LAZY_SIGN, LAZY_ZERO, SYSTEM_FLAGS } from '../cpu/layout';
import { Code, type Expression } from '../wasm/expression';
import type { FunctionBody } from '../wasm/module';
import { RecordField } from './record';

/** With one of these flags something beside the instruction has to be looked at. */
export const UNUSUAL_FLAGS = Flag.TF | Flag.RF | Flag.VM | Flag.AC | Flag.VIF | Flag.VIP;

export type Variable = ReturnType<Code['variable']>;

export abstract class StateCode extends Code {
  constructor(body: FunctionBody, protected readonly long: boolean) { super(body); }

  i32(parameter: number): Expression { return this.get(parameter, 'i32'); }
  word(address: number): Expression { return this.load('i32.load', address); }
  refuseIf(condition: Expression): void { this.if(condition, () => this.return(0)); }
  setWord(address: number, value: Expression | number): void { this.store('i32.store', address, value); }
  /** A 64-bit slot from an address of the code's size. */
  setSlot(address: number, value: Expression): void { this.store('i64.store', address, value.type === 'i64' ? value : this.wide(value)); }

  count(id: CounterId): void {
    this.store('i64.store', counterAddress(id), this.add(this.load('i64.load', counterAddress(id)), 1));
  }

  eflags(): Expression {
    const carry = this.variable(this.word(LAZY_CARRY)), sign = this.variable(this.word(LAZY_SIGN));
    const bit = (value: Expression, from: number, to: number): Expression => this.shl(this.and(this.shr(value, from), 1), to);
    const parity = this.shl(this.xor(this.and(this.op('i32.popcnt', this.and(sign, 0xff)), 1), 1), 2);
    const low = this.or(this.or(this.shr(carry, 31), parity), this.shl(this.and(carry, 8), 1));
    const high = this.or(this.shl(this.shr(sign, 31), 7), bit(this.xor(carry, this.shl(carry, 1)), 31, 11));
    return this.variable(this.or(this.or(this.word(SYSTEM_FLAGS), low), this.or(high, this.shl(this.isZero(this.word(LAZY_ZERO)), 6))));
  }

  /** RIP of the record at work (the first parameter), or of the instruction behind it. */
  recordEip(andLength: boolean): Expression {
    const record = this.i32(0);
    const eip = this.load('i32.load', RecordField.eip, record);
    const length = this.load('i32.load8_u', RecordField.length, record);
    if (!this.long) return andLength ? this.add(eip, length) : eip;
    const whole = this.or(this.wide(eip), this.shl(this.wide(this.word(CODE_HIGH)), 32));
    return andLength ? this.add(whole, this.wide(length)) : whole;
  }

  /** Notes the transfer for the post-mortem. */
  noteTransfer(): void {
    const at = this.variable(this.word(BRANCH_RING_NEXT));
    const from = this.recordEip(false);
    this.store('i64.store', BRANCH_RING, from.type === 'i64' ? from : this.wide(from), at);
    this.store('i64.store', BRANCH_RING + 8, this.load('i64.load', EIP), at);
    this.setWord(BRANCH_RING_NEXT, this.and(this.add(at, 16), 16 * BRANCH_RING_ENTRIES - 1));
  }
}
