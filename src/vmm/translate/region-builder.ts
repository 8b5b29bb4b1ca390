/**
 * The builder's back end for regions: threaded code's, partially evaluated. The record's fields are constants, the general registers and the
 * operands of the last flag-defining operation live in WebAssembly locals, and whatever cannot be done in line *leaves*: the locals go back to
 * the state page and threaded code goes on at the record of the same instruction, as if the region had never been entered. So a region has no
 * slow paths of its own, and every fault is as precise as threaded code makes it.
 *
 * What must hold: an instruction changes no register and no flag before the last operation of it that may leave (see isa/builder.ts).
 */
import { GPR, READ_TABLE, SYSTEM_FLAGS, WRITE_TABLE } from '../cpu/layout';
import type { ArithmeticFlag, BinaryOperation, Condition, Requirement, StringRun, Value, Width } from '../isa/builder';
import type { FormOperand } from './forms';
import { RecordField } from './record';
import { RegionCallouts } from './region-callouts';
import { meetFacts, type Facts } from './region-facts';
import { flagKind, inMemory, meet, type FlagKind, type FlagState } from './region-flags';
import { REGISTERS } from './region-state';
import { node, type Node } from './threaded-values';

/** How the unit's last instruction goes on; the emitter writes it. */
export type BlockEnd =
  | { readonly kind: 'jump' }
  | { readonly kind: 'condition'; readonly condition: Value }
  | { readonly kind: 'indirect'; readonly target: Value }
  /** EIP is set; the dispatcher finds the way. */
  | { readonly kind: 'dispatch' }
  /** Nothing follows: the block has left. */
  | { readonly kind: 'left' };

const foldable: Partial<Record<BinaryOperation, (a: number, b: number) => number>> = {
  add: (a, b) => a + b, sub: (a, b) => a - b, and: (a, b) => a & b, or: (a, b) => a | b, xor: (a, b) => a ^ b, mul: (a, b) => Math.imul(a, b),
  shl: (a, b) => a << b, shr: (a, b) => a >>> b, sar: (a, b) => a >> b,
  eq: (a, b) => Number(a === b), ne: (a, b) => Number(a !== b), gtU: (a, b) => Number(a >>> 0 > b >>> 0), ltU: (a, b) => Number(a >>> 0 < b >>> 0),
  leU: (a, b) => Number(a >>> 0 <= b >>> 0), geU: (a, b) => Number(a >>> 0 >= b >>> 0),
};
/** Operations that do nothing when their right operand is 0. */
const neutralZero: ReadonlySet<BinaryOperation> = new Set(['add', 'sub', 'or', 'xor', 'shl', 'shr', 'sar', 'rotl']);

export class RegionBuilder extends RegionCallouts {
  end: BlockEnd | undefined;
  /** How many arms of {@link if} are being written around this point. */
  private arms = 0;


  /** Writes the instruction; how it goes on is in {@link end}, undefined for "with the next one". */
  override build(): void {
    this.form.encoding.instruction.semantics(this);
    if (this.ended && !this.end) this.end = { kind: 'left' };
  }

  // ---- values ----

  protected override field(name: keyof typeof RecordField, opcode: 'i32.load' | 'i32.load16_u' | 'i32.load8_u' = 'i32.load'): Node {
    const at = this.record + RecordField[name];
    const { u8, u16, u32 } = this.region;
    return node(this.constant(opcode === 'i32.load' ? u32[at >> 2] : opcode === 'i32.load16_u' ? u16[at >> 1] : u8[at]));
  }

  protected override field64(name: keyof typeof RecordField, opcode: 'i64.load' | 'i64.load32_s' | 'i64.load32_u'): Node {
    const at = (this.record + RecordField[name]) >> 2;
    const low = this.region.u32[at];
    if (opcode !== 'i64.load') return node(this.constant(opcode === 'i64.load32_s' ? low | 0 : low, 64));
    return this.expression('i64', () => { this.body.i64Words(low, this.region.u32[at + 1]); });
  }

  /** The upper half is the same for all code of a region. */
  protected override here(low: Value): Value {
    const known = node(low).constant;
    return known === undefined ? super.here(low) : this.constant((this.region.codeHigh | 0) * 0x100000000 + known, 64);
  }

  override op(operation: BinaryOperation, a: Value, b: Value): Value {
    const x = node(a).constant, y = node(b).constant;
    if (y === 0 && neutralZero.has(operation)) return a;
    if (a.type === b.type && x === 0 && (operation === 'add' || operation === 'or' || operation === 'xor')) return b;
    if (a.type === 'i32' && b.type === 'i32') {
      const fold = foldable[operation];
      if (fold && x !== undefined && y !== undefined) return this.constant(fold(x, y));
    } else if (operation === 'add' && x !== undefined && y !== undefined && Number.isSafeInteger(x + y)) return this.constant(x + y, 64);
    return super.op(operation, a, b);
  }

  override isZero(a: Value): Value {
    const x = node(a).constant;
    return x === undefined ? super.isZero(a) : this.constant(Number(x === 0));
  }

  // ---- registers ----

  protected override operand(n: number): FormOperand { return super.operand(n); }

  /** General register and byte that a state-page address names, or undefined. */
  private static registerAt(address: number): { readonly n: number; readonly high: boolean } | undefined {
    return address >= GPR && address < GPR + 8 * REGISTERS ? { n: (address - GPR) >> 3, high: (address & 7) === 1 } : undefined;
  }

  private registerOperand(n: number): { readonly n: number; readonly high: boolean } | undefined {
    const operand = this.operand(n);
    if (operand.kind !== 'register') return undefined;
    return RegionBuilder.registerAt(node(this.registerField(n)).constant!);
  }

  override read(n: number): Value {
    const named = this.registerOperand(n);
    if (!named) return super.read(n);
    return named.high ? this.highByte(named.n) : this.register(named.n, this.operand(n).width as Width);
  }

  override write(n: number, value: Value): void {
    const named = this.registerOperand(n);
    if (!named) {
      super.write(n, value);
      return;
    }
    if (named.high) this.setHighByte(named.n, value);
    else this.setRegister(named.n, this.operand(n).width as Width, value);
  }

  /** The whole register as it is now. */
  private whole(n: number): Node {
    return this.localNode(this.region.register(n), this.region.registerType);
  }

  private low32(n: number): Value {
    return this.region.wide ? this.wrap32(this.whole(n)) : this.whole(n);
  }

  override register(n: number, width: Width): Value {
    if (width === 64) return this.effect('i64', () => { this.whole(n).emit(); });
    const { region } = this;
    if (width === 8 && region.knownBytes >> n & 1) return this.effect('i32', () => { this.body.index('local.get', region.lowByte(n)); });
    return this.effect('i32', () => { node(this.truncate(this.low32(n), width)).emit(); });
  }

  override setRegister(n: number, width: Width, value: Value): void {
    const { region } = this;
    const local = region.register(n);
    region.written.add(n);
    region.knownBytes &= ~(1 << n);
    let low = value;
    if (width < 32) low = this.let(this.truncate(this.narrow(value), width));
    const result = width >= 32
      ? this.inType(region.wide && width === 32 && value.type === 'i32' ? this.extend64(value, false) : value, region.wide ? 64 : 32)
      : this.merged(this.op('and', this.low32(n), this.constant(width === 8 ? ~0xff : ~0xffff)), low, n);
    node(result).emit();
    this.body.index('local.set', local);
    if (width !== 8) return;
    node(low).emit();
    this.body.index('local.set', region.lowByte(n));
    region.knownBytes |= 1 << n;
  }

  override highByte(n: number): Value {
    return this.effect('i32', () => { node(this.op('and', this.op('shr', this.low32(n), this.constant(8)), this.constant(0xff))).emit(); });
  }

  override setHighByte(n: number, value: Value): void {
    this.region.written.add(n);
    const local = this.region.register(n);
    const byte = this.op('shl', this.truncate(this.narrow(value), 8), this.constant(8));
    node(this.merged(this.op('and', this.low32(n), this.constant(~0xff00)), byte, n)).emit();
    this.body.index('local.set', local);
  }

  /** A register whose low half is made of two parts; the upper half of a 64-bit one stays. */
  private merged(a: Value, b: Value, n: number): Value {
    const low = this.op('or', a, b);
    if (!this.region.wide) return low;
    const upper = this.op('and', this.whole(n), this.op('shl', this.constant(-1, 64), this.constant(32, 64)));
    return this.op('or', upper, this.extend64(low, false));
  }

  // ---- memory ----

  protected override addressPart(name: 'base' | 'index', type: 'i32' | 'i64'): Value {
    const named = RegionBuilder.registerAt(node(this.field(name, 'i32.load16_u')).constant!);
    // Without a register the record names eight bytes of zero.
    if (!named) return this.constant(0, type === 'i64' ? 64 : 32);
    return type === 'i64' ? this.whole(named.n) : this.low32(named.n);
  }

  // ---- flags ----

  /** The operation that defines the flags now, in its locals. */
  private define(kind: FlagKind, ...operands: Value[]): void {
    const { region, body } = this;
    if (region.flagsDead) return;
    if (this.arms === 0) region.flagUse.defines = true;
    // All are computed before the first is stored: they may be read from the same locals.
    operands.forEach((value) => this.inType(value, kind.width).emit());
    for (let n = operands.length - 1; n >= 0; n--) body.index('local.set', region.operand(n, kind.width));
    region.flags = [kind];
  }

  private held(n: number, width: Width): Node {
    return this.localNode(this.region.operand(n, width), width === 64 ? 'i64' : 'i32');
  }

  /**
   * Of a sum its result and second operand are kept, of a difference its operands: what is most often in a register anyway, and what comparisons ask for.
   * The rest follows.
   */
  private firstOf({ operation, width }: FlagKind): Value {
    const kept = this.held(0, width);
    return operation === 'add' ? this.truncate(this.op('sub', kept, this.held(1, width)), width) : kept;
  }
  private thirdOf({ operation, width }: FlagKind): Value {
    if (operation === 'add') return this.held(0, width);
    return operation === 'sub' ? this.truncate(this.op('sub', this.held(0, width), this.held(1, width)), width) : this.held(2, width);
  }

  /** The one kind that defines the flags; where several might, they are written to the state page first. */
  private settled(): FlagKind {
    const { region } = this;
    region.flagUse.needs = true;
    if (region.flags.length > 1) {
      const { body } = this;
      for (const kind of region.flags) {
        if (kind === inMemory) continue;
        body.index('local.get', region.flagKind).i32(kind.id).op('i32.eq').open('if');
        this.spillFlags(kind);
        body.op('end');
      }
      region.flags = [inMemory];
    }
    return region.flags[0];
  }

  /** Writes the lazy words of the state page from the locals. */
  spillFlags(kind: FlagKind): void {
    const { width } = kind;
    const { region } = this;
    const before = region.flags;
    region.flags = [kind];
    const a = () => this.firstOf(kind), b = () => this.held(1, width), c = () => this.thirdOf(kind);
    switch (kind.operation) {
      case 'memory': break;
      case 'add': case 'addCarry': super.flagsAdd(a(), b(), c(), width); break;
      case 'sub': case 'subBorrow': super.flagsSub(a(), b(), c(), width); break;
      case 'logic': super.flagsLogic(a(), width); break;
      case 'inc': super.flagsInc(a(), width); break;
      case 'dec': super.flagsDec(a(), width); break;
      case 'result': super.flagsResult(a(), width, this.narrow(b()), this.bitOf(c(), 0), this.bitOf(c(), 1)); break;
    }
    region.flags = before;
  }

  private narrow(value: Value): Value { return value.type === 'i64' ? this.wrap32(value) : value; }

  private bitOf(value: Value, n: number): Value {
    return this.narrow(this.op('and', this.op('shr', value, this.constant(n, value.type === 'i64' ? 64 : 32)), this.constant(1, value.type === 'i64' ? 64 : 32)));
  }

  override flagsAdd(a: Value, b: Value, result: Value, width: Width): void {
    if (this.form.encoding.instruction.mnemonic === 'adc') this.define(flagKind('addCarry', width), a, b, result);
    else this.define(flagKind('add', width), result, b);
  }

  override flagsSub(a: Value, b: Value, result: Value, width: Width): void {
    if (this.form.encoding.instruction.mnemonic === 'sbb') this.define(flagKind('subBorrow', width), a, b, result);
    else this.define(flagKind('sub', width), a, b);
  }

  override flagsInc(result: Value, width: Width): void {
    this.keeping(() => this.define(flagKind('inc', width), result, this.flag('C')));
  }

  override flagsDec(result: Value, width: Width): void {
    this.keeping(() => this.define(flagKind('dec', width), result, this.flag('C')));
  }

  override flagsLogic(result: Value, width: Width): void {
    this.define(flagKind('logic', width), result);
  }

  override flagsResult(result: Value, width: Width, carry: Value, overflow: Value, auxiliary: Value = this.constant(0)): void {
    this.define(flagKind('result', width), result, carry, this.op('or', this.op('and', overflow, this.constant(1)), this.op('shl', auxiliary, this.constant(1))));
  }

  override setFlags(values: Partial<Record<ArithmeticFlag, Value>>): void {
    this.keeping(() => {
      this.spillFlags(this.settled());
      this.region.flags = [inMemory];
      super.setFlags(values);
    });
  }

  /** Flags are read only because some of them stay as they are. */
  private keeping(define: () => void): void {
    const { region } = this;
    if (region.flagsDead) return;
    const { needs, defines } = region.flagUse;
    define();
    region.flagUse = { needs, defines, keeps: true };
  }

  override setArithmeticFlags(eflags: Value): void {
    if (this.region.flagsDead) return;
    const kept = this.let(eflags);
    if (this.arms === 0) this.region.flagUse.defines = true;
    this.region.flags = [inMemory];
    super.setArithmeticFlags(kept);
  }

  override flag(flag: ArithmeticFlag): Value {
    this.settled();
    return super.flag(flag);
  }

  override arithmeticFlags(): Value {
    this.settled();
    return super.arithmeticFlags();
  }

  protected override flagNode(flag: ArithmeticFlag): Value {
    const [kind] = this.region.flags;
    const { operation, width } = kind;
    if (operation === 'memory') return super.flagNode(flag);
    const a = this.firstOf(kind), b = this.held(1, width);
    const binary = operation === 'add' || operation === 'addCarry' || operation === 'sub' || operation === 'subBorrow';
    const result = binary ? this.thirdOf(kind) : a;
    const type = result.type;
    const top = (value: Value) => this.bitOf(value, width - 1);
    const xor = (x: Value, y: Value) => this.op('xor', x, y);
    switch (flag) {
      case 'Z': return this.isZero(result);
      case 'S': return top(result);
      case 'P': {
        const low = this.narrow(result);
        return this.op('xor', this.op('and', this.unary('i32.popcnt', this.op('and', low, this.constant(0xff)), 'i32'), this.constant(1)), this.constant(1));
      }
      case 'C':
        switch (operation) {
          case 'add': return this.op('ltU', result, b);
          case 'sub': return this.op('ltU', a, b);
          case 'addCarry': return top(this.additionCarries(a, b, result));
          case 'subBorrow': return top(this.subtractionBorrows(a, b, result));
          case 'logic': return this.constant(0);
          default: return this.narrow(b);
        }
      case 'O':
        switch (operation) {
          case 'add': case 'addCarry': return top(this.op('and', xor(a, result), xor(b, result)));
          case 'sub': case 'subBorrow': return top(this.op('and', xor(a, b), xor(a, result)));
          case 'inc': return this.op('eq', result, this.extreme(width, 0));
          case 'dec': return this.op('eq', result, this.extreme(width, -1));
          case 'result': return this.bitOf(this.held(2, width), 0);
          default: return this.constant(0);
        }
      case 'A':
        if (binary) return this.bitOf(xor(xor(a, b), result), 4);
        if (operation === 'inc' || operation === 'dec') return this.op('eq', this.op('and', this.narrow(result), this.constant(15)), this.constant(operation === 'inc' ? 0 : 15));
        return operation === 'result' ? this.bitOf(this.held(2, width), 1) : this.constant(0);
    }
    throw new Error(`flag ${String(flag)} of a ${type} result`);
  }

  /** The most negative number of a width, plus `delta`. */
  private extreme(width: Width, delta: 0 | -1): Value {
    if (width === 64) return this.op('add', this.op('shl', this.constant(1, 64), this.constant(63, 64)), this.constant(delta, 64));
    return this.constant(width === 32 ? (0x80000000 + delta) | 0 : 2 ** (width - 1) + delta);
  }

  override condition(condition: Condition): Value {
    const { operation, width } = this.settled();
    if (operation === 'memory') return super.condition(condition);
    if (operation === 'sub') {
      const comparison = comparisons[condition];
      if (comparison) return this.compare(comparison, this.held(0, width), this.held(1, width), width);
    } else if (operation === 'logic') {
      const comparison = comparisonsWithZero[condition];
      const zero = this.constant(0, width === 64 ? 64 : 32);
      if (comparison) return this.compare(comparison, this.held(0, width), zero, width);
    }
    const n = (value: Value) => this.isZero(value);
    const or = (a: Value, b: Value) => this.op('or', a, b);
    const flag = (letter: ArithmeticFlag) => this.flagNode(letter);
    const less = () => this.op('xor', flag('S'), flag('O'));
    const values: Readonly<Record<Condition, () => Value>> = {
      o: () => flag('O'), no: () => n(flag('O')), b: () => flag('C'), ae: () => n(flag('C')), e: () => flag('Z'), ne: () => n(flag('Z')),
      be: () => or(flag('C'), flag('Z')), a: () => n(or(flag('C'), flag('Z'))), s: () => flag('S'), ns: () => n(flag('S')), p: () => flag('P'), np: () => n(flag('P')),
      l: less, ge: () => n(less()), le: () => or(less(), flag('Z')), g: () => n(or(less(), flag('Z'))),
    };
    return this.let(values[condition]());
  }

  /** Operands narrower than their type are compared with signs in place. */
  private compare(operation: BinaryOperation, a: Value, b: Value, width: Width): Value {
    const signed = operation.endsWith('S');
    const fit = (value: Value) => (signed && width < 32 ? this.signExtend(value, width) : value);
    return this.let(this.op(operation, fit(a), fit(b)));
  }

  // ---- control inside an instruction ----

  override if(condition: Value, then: () => void, otherwise?: () => void): void {
    const known = node(condition).constant;
    if (known !== undefined) {
      if (known !== 0) then();
      else otherwise?.();
      return;
    }
    const { region } = this;
    const kept = this.let(condition);
    // Should an arm define other flags, the kind local tells which arm it was.
    region.noteKind();
    const before = region.flags;
    const factsBefore = region.facts;
    const bytesBefore = region.knownBytes;
    let bytesAfter = -1;
    let after: FlagState | undefined;
    let factsAfter: Facts | undefined;
    const arm = (body?: () => void) => () => {
      region.flags = before;
      region.facts = factsBefore;
      region.knownBytes = bytesBefore;
      const ended = this.ended;
      this.arms++;
      body?.();
      this.arms--;
      if (this.ended && !ended) return;
      region.noteKind();
      after = after ? meet(after, region.flags) : region.flags;
      bytesAfter &= region.knownBytes;
      factsAfter = factsAfter ? meetFacts(factsAfter, region.facts) : region.facts;
    };
    super.if(kept, arm(then), arm(otherwise));
    region.flags = after ?? before;
    region.facts = factsAfter ?? factsBefore;
    region.knownBytes = factsAfter ? bytesAfter : bytesBefore;
  }

  override attempt(requirements: readonly Requirement[], then: () => void): void {
    const { body } = this;
    for (const requirement of requirements) {
      const [first, second] = (Array.isArray(requirement) ? requirement : [requirement, undefined]) as [Value, (() => Value) | undefined];
      if (node(first).constant === 1) continue;
      node(this.isZero(first)).emit();
      body.open('if');
      if (second) {
        node(this.isZero(second())).emit();
        body.open('if');
        this.leaveHere();
        body.op('end');
      } else this.leaveHere();
      body.op('end');
    }
    then();
  }

  override loop(body: () => Value): void {
    const before = this.region.flags;
    super.loop(body);
    if (this.region.flags !== before) throw new Error(`${this.form.key}: defines flags in a loop`);
  }

  // ---- exits ----

  /** The next instruction is written behind this one. */
  protected override goNext(): void { /* nothing leads there */ }

  protected override emitFault(): void {
    this.leaveHere();
  }

  override repeatString(once: () => void, run?: StringRun): void {
    if (this.form.repeat === 'none') once();
    else if (run && this.form.flatMemory) this.stringRun(run);
    else this.stay();
  }

  /** All iterations of MOVS or STOS at once, when they go upwards inside one page each of source and destination and the budget has room for them. */
  private stringRun(run: StringRun): void {
    const { body, region } = this;
    const { long } = this.form;
    const pointerWidth = long ? 64 : 32;
    const unless = (condition: Value): void => {
      node(condition).emit();
      body.open('if');
      this.leaveHere();
      body.op('end');
    };
    const local = (value: Value): Node => this.localNode(this.store32(value), value.type);
    const count = this.register(1, pointerWidth);
    const pointers = [{ n: 7, table: WRITE_TABLE }, ...(run.source === 'memory' ? [{ n: 6, table: READ_TABLE }] : [])].map(({ n, table }) => ({ n, table, at: local(this.register(n, pointerWidth)) }));
    this.truth(count).emit();
    body.open('if');
    unless(this.op('gtU', count, this.constant(0x1000, pointerWidth)));
    unless(this.op('and', this.loadState(SYSTEM_FLAGS), this.constant(0x400)));
    const n = local(this.narrow(count));
    // The instruction itself is charged with its block.
    unless(this.op('gtS', this.op('sub', n, this.constant(1)), this.localNode(region.budget, 'i32')));
    const bytes = local(this.op('mul', n, this.constant(run.width / 8)));
    const [target, origin] = pointers.map(({ at, table }) => {
      const low = local(this.narrow(at));
      unless(this.op('gtU', this.op('add', this.op('and', low, this.constant(0xfff)), bytes), this.constant(0x1000)));
      const entry = this.localNode(this.lookupEntry(node(at).local!, table === READ_TABLE ? region.readTable : region.writeTable), 'i32');
      unless(this.op('and', entry, this.constant(1)));
      return this.store32(this.op('xor', entry, low));
    });
    this.emitElements(target, origin, n, run);
    for (const { n: register, at } of pointers) this.setRegister(register, pointerWidth, this.op('add', at, bytes));
    this.setRegister(1, pointerWidth, this.constant(0, pointerWidth));
    node(this.op('sub', this.localNode(region.budget, 'i32'), this.op('sub', n, this.constant(1)))).emit();
    body.index('local.set', region.budget).op('end');
  }

  protected override stay(): void {
    this.leaveHere();
    this.ended = true;
  }

  private finish(end: BlockEnd): void {
    if (this.arms === 0) this.end = end;
    else this.leaveHere();
    this.ended = true;
  }

  override jump(): void {
    if (this.form.distant) this.stay();
    else this.finish({ kind: 'jump' });
  }
  override jumpIf(condition: Value): void {
    if (this.form.distant) this.stay();
    else this.finish({ kind: 'condition', condition: this.let(this.truth(condition)) });
  }
  override jumpTo(offset: Value): void { this.transferTo(offset); }
  override returnTo(offset: Value): void { this.transferTo(offset); }
  protected override transferTo(offset: Value): void { this.finish({ kind: 'indirect', target: this.let(offset) }); }

  override leave(): void {
    if (this.ended) return;
    this.finish({ kind: 'dispatch' });
  }

  override leaveToNext(): void {
    if (this.ended) return;
    this.setEip(this.nextNode());
    this.finish({ kind: 'dispatch' });
  }
}

const comparisons: Partial<Record<Condition, BinaryOperation>> = { b: 'ltU', ae: 'geU', e: 'eq', ne: 'ne', be: 'leU', a: 'gtU', l: 'ltS', ge: 'geS', le: 'leS', g: 'gtS' };
/** After a Boolean operation CF = OF = 0. */
const comparisonsWithZero: Partial<Record<Condition, BinaryOperation>> = { e: 'eq', ne: 'ne', be: 'eq', a: 'ne', s: 'ltS', ns: 'geS', l: 'ltS', ge: 'geS', le: 'leS', g: 'gtS' };
