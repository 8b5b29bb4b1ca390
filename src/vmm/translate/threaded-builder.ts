/**
 * The builder's back end for threaded code: writes the body of one handler. Operands come from the record, so that one handler serves
 * every instruction of its form. See record.ts for the record and forms.ts for what a form is.
 */
import {
  BRANCH_RING, BRANCH_RING_ENTRIES, BRANCH_RING_NEXT, BUDGET, CPL, CR0, CR2, CR3, CR4, EIP, EXIT_REASON, EXIT_RECORD, FAULT_ERROR, FAULT_VECTOR, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT,
  LAZY_CARRY, LAZY_SIGN, LAZY_ZERO, READ_TABLE, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, SYSTEM_FLAGS, WRITE_TABLE,
} from '../cpu/layout';
import { counterAddress } from '../cpu/counters';
import type { Address, ArithmeticFlag, BinaryOperation, Builder, Condition, SegmentRef, SelectorRef, StringRun, Value, Width } from '../isa/builder';
import type { FunctionBody } from '../wasm/module';
import type { Opcode } from '../wasm/opcodes';
import type { Form, FormOperand } from './forms';
import type { HandlerImports } from './handlers';
import { Exit, RecordField, RECORD_SIZE, SpecialHandler } from './record';

/** A value: an expression that emits itself onto the WebAssembly stack. Constants and locals may be emitted any number of times. */
interface Node extends Value {
  readonly emit: () => void;
  readonly constant?: number;
  readonly local?: number;
}
const node = (v: Value): Node => v as Node;

/** Memory operand whose read-for-write has left the host address in a local (0 after the slow path). */
interface PendingWrite {
  readonly linear: number;
  readonly host: number;
}

const RECORD = 0;

/** What the semantics turned out to depend on besides its operands: tells which variants of a form are worth generating. */
export interface FormDependencies {
  addressSize: boolean;
  stack: boolean;
  implicitMemory: boolean;
  targets: boolean;
}

export class ThreadedBuilder implements Builder {
  readonly dependencies: FormDependencies = { addressSize: false, stack: false, implicitMemory: false, targets: false };
  private readonly pending = new Map<number, PendingWrite>();
  private readonly addresses = new Map<number, Address>();
  /** Set once control has left: the fall-through to the next record is then not written. */
  private ended = false;

  constructor(private readonly form: Form, private readonly body: FunctionBody, private readonly imports: HandlerImports) {}

  /** Writes the whole handler. */
  build(): void {
    this.form.encoding.instruction.semantics(this);
    if (!this.ended) this.goNext();
  }

  // ---- form ----

  get operandSize(): 16 | 32 | 64 { return this.form.operandSize; }
  get width(): Width { return this.form.encoding.instruction.size ?? this.form.operands[0]?.width ?? this.form.operandSize; }
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

  operandWidth(n: number): Width { return this.operand(n).width; }
  isMemory(n: number): boolean { return this.operand(n).kind === 'memory'; }
  isImmediate(n: number): boolean { return this.operand(n).kind === 'immediate' || this.operand(n).kind === 'constant'; }

  private operand(n: number): FormOperand { return this.form.operands[n]; }

  // ---- nodes ----

  private expression(type: 'i32' | 'i64', emit: () => void): Node { return { type, emit }; }

  private localNode(index: number, type: 'i32' | 'i64'): Node {
    return { type, local: index, emit: () => { this.body.index('local.get', index); } };
  }

  /** Evaluates now into a fresh local. */
  private store32(value: Value): number {
    const local = this.body.local(value.type);
    node(value).emit();
    this.body.index('local.set', local);
    return local;
  }

  private effect(type: 'i32' | 'i64', emit: () => void): Node {
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
      this.body.op(`${a.type}.eqz`);
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

  private unary(opcode: Opcode, a: Value, type: 'i32' | 'i64'): Value {
    return this.expression(type, () => {
      node(a).emit();
      this.body.op(opcode);
    });
  }

  clz(a: Value): Value { return this.unary(`${a.type}.clz`, a, a.type); }
  ctz(a: Value): Value { return this.unary(`${a.type}.ctz`, a, a.type); }
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

  private field(name: keyof typeof RecordField, opcode: 'i32.load' | 'i32.load16_u' | 'i32.load8_u' = 'i32.load'): Node {
    return this.expression('i32', () => {
      this.body.index('local.get', RECORD).memory(opcode, RecordField[name]);
    });
  }

  private loadState(address: number, opcode: 'i32.load' | 'i32.load8_u' | 'i32.load16_u' = 'i32.load'): Node {
    return this.expression('i32', () => { this.body.i32(0).memory(opcode, address); });
  }

  private state(address: number): Value {
    return this.let(this.loadState(address));
  }

  private setState(address: number, value: Value, opcode: 'i32.store' | 'i32.store8' | 'i32.store16' = 'i32.store'): void {
    this.body.i32(0);
    node(value).emit();
    this.body.memory(opcode, address);
  }

  // ---- registers ----

  private loadWidth(width: Width): Opcode {
    return width === 8 ? 'i32.load8_u' : width === 16 ? 'i32.load16_u' : width === 32 ? 'i32.load' : 'i64.load';
  }

  private storeWidth(width: Width): Opcode {
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

  // ---- operands ----

  private registerField(n: number): Node {
    const operand = this.operand(n);
    return this.field(operand.kind === 'register' && operand.slot === 'a' ? 'registerA' : 'registerB', 'i32.load16_u');
  }

  read(n: number): Value {
    const operand = this.operand(n);
    switch (operand.kind) {
      case 'register':
        return this.effect(operand.width === 64 ? 'i64' : 'i32', () => {
          this.registerField(n).emit();
          this.body.memory(this.loadWidth(operand.width), 0);
        });
      case 'fixed':
        return this.register(operand.register, operand.width);
      case 'memory':
        return this.load(this.address(n), operand.width);
      case 'constant':
        return this.constant(operand.value);
      case 'immediate':
        return this.let(this.field('immediate'));
      default:
        throw new Error(`${this.form.key}: operand ${n} cannot be read as a value`);
    }
  }

  readForWrite(n: number): Value {
    const operand = this.operand(n);
    if (operand.kind !== 'memory') return this.read(n);
    const linear = this.linearOf(this.address(n), operand.width, true);
    const host = this.body.local('i32');
    const value = this.body.local(operand.width === 64 ? 'i64' : 'i32');
    this.lookup(linear, operand.width, WRITE_TABLE, host, () => {
      this.body.index('local.get', RECORD).index('local.get', linear).i32(operand.width / 8).index('call', this.imports.readForWriteSlow);
      this.leaveAfterSlow(operand.width, value);
      this.body.i32(0).index('local.set', host);
    }, () => {
      this.body.index('local.get', host).memory(this.loadWidth(operand.width), 0).index('local.set', value);
    });
    this.pending.set(n, { linear, host });
    return this.localNode(value, operand.width === 64 ? 'i64' : 'i32');
  }

  write(n: number, value: Value): void {
    const operand = this.operand(n);
    if (operand.kind === 'register') {
      this.registerField(n).emit();
      node(value).emit();
      this.body.memory(this.storeWidth(operand.width), 0);
      return;
    }
    if (operand.kind === 'fixed') {
      this.setRegister(operand.register, operand.width, value);
      return;
    }
    const pending = this.pending.get(n);
    if (!pending) {
      this.store(this.address(n), operand.width, value);
      return;
    }
    const kept = node(this.let(value));
    this.body.index('local.get', pending.host).open('if');
    this.body.index('local.get', pending.host);
    kept.emit();
    this.body.memory(this.storeWidth(operand.width), 0).op('else');
    this.callWriteSlow(pending.linear, operand.width, kept);
    this.body.op('end');
  }

  immediate(): Value { return this.let(this.field('immediate')); }
  secondImmediate(): Value { return this.let(this.field('second', 'i32.load16_u')); }

  // ---- addresses ----

  address(n: number): Address {
    const known = this.addresses.get(n);
    if (known) return known;
    const displacement = this.field('displacement');
    const at = (name: 'base' | 'index') => this.expression('i32', () => {
      this.field(name, 'i32.load16_u').emit();
      this.body.memory('i32.load', 0);
    });
    let offset: Value;
    switch (this.form.addressing) {
      case 'a32base':
        offset = this.op('add', at('base'), displacement);
        break;
      case 'a16':
        offset = this.truncate(this.op('add', this.op('add', at('base'), at('index')), displacement), 16);
        break;
      default:
        offset = this.op('add', this.op('add', at('base'), this.op('shl', at('index'), this.field('scale', 'i32.load8_u'))), displacement);
    }
    const address: Address = { segment: 'record', offset: this.let(offset) };
    this.addresses.set(n, address);
    return address;
  }

  usesStackPointer(): Value {
    return this.let(this.op('eq', this.field('base', 'i32.load16_u'), this.constant(GPR + 8 * 4)));
  }

  implicitAddress(segment: SegmentRef, offset: Value): Address {
    if (segment === 2) this.dependencies.stack = true;
    else this.dependencies.implicitMemory = true;
    return { segment, offset: this.let(offset) };
  }

  offsetBy(address: Address, delta: number | Value): Address {
    const by = typeof delta === 'number' ? this.constant(delta) : delta;
    const size = address.segment === 2 ? this.form.stackSize : this.form.addressSize;
    return { segment: address.segment, offset: this.let(this.truncate(this.op('add', address.offset, by), size)) };
  }

  linear(address: Address): Value {
    return this.let(this.op('add', address.offset, this.segmentField(address.segment, 'base')));
  }

  private segmentField(segment: SegmentRef, field: keyof typeof SEGMENT_FIELDS): Node {
    if (segment !== 'record') return this.loadState(SEGMENTS + SEGMENT_SIZE * segment + SEGMENT_FIELDS[field]);
    return this.expression('i32', () => {
      this.field('segment', 'i32.load16_u').emit();
      this.body.memory('i32.load', SEGMENT_FIELDS[field]);
    });
  }

  /** Linear address of an access after the segment's checks, in a local. */
  private linearOf(address: Address, width: Width, write: boolean): number {
    const flat = address.segment === 'record' || address.segment === 0 ? this.form.flatMemory : this.form.flat;
    if (flat) return node(address.offset).local ?? this.store32(address.offset);
    const offset = this.store32(address.offset);
    const body = this.body;
    body.index('local.get', offset);
    this.segmentField(address.segment, 'low').emit();
    body.op('i32.sub');
    this.segmentField(address.segment, write ? 'writeQuick' : 'readQuick').emit();
    body.op('i32.ge_u').open('if');
    body.index('local.get', RECORD).index('local.get', offset);
    if (address.segment === 'record') this.field('segment', 'i32.load16_u').emit();
    else body.i32(SEGMENTS + SEGMENT_SIZE * address.segment);
    body.i32((width / 8) | (write ? 0x100 : 0)).index('call', this.imports.segmentCheck);
    body.open('if').op('return').op('end').op('end');
    return this.store32(this.op('add', this.localNode(offset, 'i32'), this.segmentField(address.segment, 'base')));
  }

  // ---- memory ----

  /** Looks `linear` up; `host` gets the host address on the fast path. */
  private lookup(linear: number, width: Width, table: number, host: number, slow: () => void, fast: () => void): void {
    const body = this.body;
    const entry = body.local('i32');
    body.i32(0).memory('i32.load', table);
    body.index('local.get', linear).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0).index('local.tee', entry);
    if (width === 8) body.i32(1).op('i32.and');
    else body.index('local.get', linear).op('i32.or').i32(0xfff).op('i32.and').i32(0x1000 - width / 8).op('i32.gt_u');
    body.open('if');
    slow();
    body.op('else');
    body.index('local.get', entry).index('local.get', linear).op('i32.xor').index('local.set', host);
    fast();
    body.op('end');
  }

  /** After a slow read: the result is on the stack (64-bit: in SCRATCH); return if the access faulted. */
  private leaveAfterSlow(width: Width, value: number): void {
    if (width === 64) {
      this.body.op('drop').i32(0).memory('i64.load', SCRATCH);
    }
    this.body.index('local.set', value);
    this.returnIfExit();
  }

  private returnIfExit(): void {
    this.body.i32(0).memory('i32.load', EXIT_REASON).open('if').op('return').op('end');
  }

  load(address: Address, width: Width): Value {
    return this.loadThrough(address, width, false);
  }

  loadForWrite(address: Address, width: Width): Value {
    return this.loadThrough(address, width, true);
  }

  private loadThrough(address: Address, width: Width, forWrite: boolean): Value {
    const linear = this.linearOf(address, width, forWrite);
    const type = width === 64 ? 'i64' : 'i32';
    const host = this.body.local('i32');
    const value = this.body.local(type);
    this.lookup(linear, width, forWrite ? WRITE_TABLE : READ_TABLE, host, () => {
      this.body.index('local.get', RECORD).index('local.get', linear).i32(width / 8)
        .index('call', forWrite ? this.imports.readForWriteSlow : this.imports.readSlow);
      this.leaveAfterSlow(width, value);
    }, () => {
      this.body.index('local.get', host).memory(this.loadWidth(width), 0).index('local.set', value);
    });
    return this.localNode(value, type);
  }

  store(address: Address, width: Width, value: Value): void {
    const kept = node(this.let(value));
    const linear = this.linearOf(address, width, true);
    const host = this.body.local('i32');
    this.lookup(linear, width, WRITE_TABLE, host, () => {
      this.callWriteSlow(linear, width, kept);
      this.returnIfExit();
    }, () => {
      this.body.index('local.get', host);
      kept.emit();
      this.body.memory(this.storeWidth(width), 0);
    });
  }

  private callWriteSlow(linear: number, width: Width, value: Node): void {
    const body = this.body;
    if (width === 64) {
      body.i32(0);
      value.emit();
      body.memory('i64.store', SCRATCH);
    }
    body.index('local.get', RECORD).index('local.get', linear).i32(width / 8);
    if (width === 64) body.i32(0);
    else value.emit();
    body.index('call', this.imports.writeSlow);
  }

  // ---- stack ----

  stackAddress(delta: number): Address {
    const size = this.stackSize as Width;
    return { segment: 2, offset: this.let(this.truncate(this.op('add', this.register(4, size), this.constant(delta)), size)) };
  }

  push(value: Value, width: 16 | 32 | 64): void {
    const address = this.stackAddress(-width / 8);
    this.store(address, width, value);
    this.setRegister(4, this.stackSize as Width, address.offset);
  }

  top(width: 16 | 32 | 64): Value { return this.load(this.stackAddress(0), width); }

  release(bytes: number | Value): void {
    const size = this.stackSize as Width;
    const by = typeof bytes === 'number' ? this.constant(bytes) : bytes;
    this.setRegister(4, size, this.truncate(this.op('add', this.register(4, size), by), size));
  }

  // ---- control inside an instruction ----

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    const before = this.ended;
    node(condition).emit();
    this.body.open('if');
    // Addresses computed inside one arm are not known outside it.
    const known = new Map(this.addresses);
    const restore = () => {
      this.addresses.clear();
      for (const [n, address] of known) this.addresses.set(n, address);
    };
    then();
    const thenEnded = this.ended;
    restore();
    this.ended = before;
    let otherwiseEnded = false;
    if (otherwise) {
      this.body.op('else');
      otherwise();
      otherwiseEnded = this.ended;
      restore();
    }
    this.body.op('end');
    this.ended = before || (thenEnded && otherwiseEnded);
    // Both arms left: tell the validator that nothing falls out.
    if (thenEnded && otherwiseEnded) this.body.op('unreachable');
  }

  loop(body: () => Value): void {
    this.body.open('loop');
    const again = body();
    node(again).emit();
    this.body.index('br_if', 0).op('end');
  }

  variable(initial: Value): { get(): Value; set(value: Value): void } {
    const local = this.store32(initial);
    return {
      get: () => this.expression(initial.type, () => { this.body.index('local.get', local); }),
      set: (value) => {
        node(value).emit();
        this.body.index('local.set', local);
      },
    };
  }

  // ---- flags ----

  flag(flag: ArithmeticFlag): Value { return this.let(this.flagNode(flag)); }

  private flagNode(flag: ArithmeticFlag): Value {
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
  private setResult(result: Value, width: Width): void {
    this.setState(LAZY_ZERO, result);
    this.setState(LAZY_SIGN, this.signExtend(result, width));
  }

  /** A carry-out vector in place: its two top carries at bits 31 and 30, AF at bit 3. */
  private carryVector(vector: Value, width: Width): Value {
    if (width === 32) return vector;
    const kept = this.let(vector);
    const top = this.op('and', this.op('shl', kept, this.constant(32 - width)), this.constant(0xc0000000));
    return this.op('or', top, this.op('and', kept, this.constant(8)));
  }

  private additionCarries(a: Value, b: Value, result: Value): Value {
    return this.op('or', this.op('and', a, b), this.op('and', this.op('or', a, b), this.not(result)));
  }

  private subtractionBorrows(a: Value, b: Value, result: Value): Value {
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
    const overflow = this.op('eq', result, this.constant(width === 32 ? -0x80000000 : 2 ** (width - 1)));
    const auxiliary = this.isZero(this.op('and', result, this.constant(15)));
    this.keepCarry(overflow, auxiliary);
    this.setResult(result, width);
  }

  flagsDec(result: Value, width: Width): void {
    const overflow = this.op('eq', result, this.constant(width === 32 ? 0x7fffffff : 2 ** (width - 1) - 1));
    const auxiliary = this.op('eq', this.op('and', result, this.constant(15)), this.constant(15));
    this.keepCarry(overflow, auxiliary);
    this.setResult(result, width);
  }

  private keepCarry(overflow: Value, auxiliary: Value): void {
    this.setState(LAZY_CARRY, this.carryWord(this.flag('C'), overflow, auxiliary));
  }

  /** The carry word from 0/1 values. */
  private carryWord(carry: Value, overflow: Value, auxiliary: Value): Value {
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

  // ---- exceptions ----

  raiseIf(condition: Value, vector: number, errorCode = 0): void {
    node(condition).emit();
    this.body.open('if');
    this.emitFault(vector, errorCode);
    this.body.op('end');
  }

  raise(vector: number, errorCode = 0): void {
    this.emitFault(vector, errorCode);
    this.ended = true;
  }

  private emitFault(vector: number, errorCode: number): void {
    this.setState(FAULT_VECTOR, this.constant(vector));
    this.setState(FAULT_ERROR, this.constant(errorCode));
    this.emitExit(Exit.Fault);
  }

  private emitExit(reason: Exit): void {
    this.setState(EXIT_RECORD, this.localNode(RECORD, 'i32'));
    this.setState(EXIT_REASON, this.constant(reason));
    this.body.op('return');
  }

  // ---- repetition ----

  repeatString(once: () => void, run?: StringRun): void {
    if (this.form.repeat === 'none') {
      once();
      return;
    }
    const width = this.addressSize as Width;
    const body = this.body;
    body.open('block').open('loop');
    const count = this.register(1, width);
    node(this.isZero(count)).emit();
    body.index('br_if', 1);
    if (run && this.form.flatMemory) this.emitStringRun(count, run);
    once();
    const left = this.let(this.truncate(this.op('sub', count, this.constant(1)), width));
    this.setRegister(1, width, left);
    if (this.form.repeat !== 'rep') {
      node(this.form.repeat === 'repz' ? this.isZero(this.flag('Z')) : this.flag('Z')).emit();
      body.index('br_if', 1);
    }
    node(this.isZero(left)).emit();
    body.index('br_if', 1);
    // Another iteration follows: this one is retired by itself. Out of budget: go on here later.
    const budget = this.store32(this.op('sub', this.loadState(BUDGET), this.constant(1)));
    this.setState(BUDGET, this.localNode(budget, 'i32'));
    body.index('local.get', budget).i32(0).op('i32.ge_s').open('if');
    body.index('local.get', RECORD).memory('i32.load', RecordField.handler).i32(SpecialHandler.Leave).op('i32.ne').index('br_if', 1);
    // The iteration wrote over this very instruction: the next one executes what stands there now.
    this.setState(BUDGET, this.op('sub', this.localNode(budget, 'i32'), this.field('position', 'i32.load8_u')));
    this.setState(EIP, this.field('eip'));
    body.index('return_call', this.imports.dispatch).op('end');
    this.exitRepeating(budget);
    body.op('end').op('end');
  }

  /**
   * Many iterations of MOVS or STOS at once: upwards, in flat segments, as far as one page of source and destination and the budget reach.
   * Element by element, so that overlapping operands come out as the processor's iterations would leave them. Anything else falls through to
   * the single iteration behind it. Inside the loop of repeatString: label 0 is the loop, label 1 its end.
   */
  private emitStringRun(count: Value, { source, width }: StringRun): void {
    const body = this.body;
    const bytes = width / 8;
    const get = (local: number) => this.localNode(local, 'i32');
    const fromMemory = source === 'memory';
    const to = this.store32(this.register(7, 32));
    const from = fromMemory ? this.store32(this.register(6, 32)) : 0;
    const toPageEnd = (pointer: number) => this.op('shr', this.op('sub', this.constant(0x1000), this.op('and', get(pointer), this.constant(0xfff))), this.constant(bytes >> 1));
    const smaller = (a: Value, b: Value): Value => {
      const x = this.let(a);
      const y = this.let(b);
      return this.let(this.select(this.op('ltU', x, y), x, y));
    };
    const entryOf = (pointer: number, table: number) => this.store32(this.expression('i32', () => {
      body.i32(0).memory('i32.load', table);
      body.index('local.get', pointer).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
    }));

    let n = smaller(count, this.op('add', this.loadState(BUDGET), this.constant(1)));
    n = smaller(n, toPageEnd(to));
    if (fromMemory) n = smaller(n, toPageEnd(from));
    const toEntry = entryOf(to, WRITE_TABLE);
    const fromEntry = fromMemory ? entryOf(from, READ_TABLE) : toEntry;
    const mapped = this.isZero(this.op('and', this.op('or', get(toEntry), get(fromEntry)), this.constant(1)));
    const upwards = this.isZero(this.op('and', this.loadState(SYSTEM_FLAGS), this.constant(0x400)));
    node(this.op('and', this.op('and', mapped, upwards), this.op('gtU', n, this.constant(1)))).emit();
    body.open('if');
    const target = this.store32(this.op('xor', get(toEntry), get(to)));
    const origin = fromMemory ? this.store32(this.op('xor', get(fromEntry), get(from))) : 0;
    const end = this.store32(this.op('add', get(target), this.op('mul', n, this.constant(bytes))));
    const element = fromMemory ? undefined : node(this.register(0, width));
    body.open('loop');
    body.index('local.get', target);
    if (element) element.emit();
    else body.index('local.get', origin).memory(this.loadWidth(width), 0);
    body.memory(this.storeWidth(width), 0);
    if (fromMemory) body.index('local.get', origin).i32(bytes).op('i32.add').index('local.set', origin);
    body.index('local.get', target).i32(bytes).op('i32.add').index('local.tee', target).index('local.get', end).op('i32.ne').index('br_if', 0).op('end');
    const moved = this.let(this.op('mul', n, this.constant(bytes)));
    this.setRegister(7, 32, this.op('add', get(to), moved));
    if (fromMemory) this.setRegister(6, 32, this.op('add', get(from), moved));
    const left = this.let(this.op('sub', count, n));
    this.setRegister(1, 32, left);
    // The last iteration is the instruction itself and is charged with its unit.
    const budget = this.store32(this.op('sub', this.loadState(BUDGET), this.op('sub', n, this.isZero(left))));
    this.setState(BUDGET, get(budget));
    node(this.isZero(left)).emit();
    body.index('br_if', 2);
    body.index('local.get', budget).i32(0).op('i32.ge_s').index('br_if', 1);
    this.exitRepeating(budget);
    body.op('end');
  }

  /** Out of budget between two iterations: EIP stays at the instruction, the ones before it in the unit are charged. */
  private exitRepeating(budget: number): void {
    this.setState(BUDGET, this.op('sub', this.localNode(budget, 'i32'), this.field('position', 'i32.load8_u')));
    this.setState(EIP, this.field('eip'));
    this.emitExit(Exit.Repeating);
  }

  // ---- control transfer ----

  nextInstruction(): Value {
    return this.let(this.truncate(this.nextNode(), this.form.operandSize));
  }

  private nextNode(): Value {
    return this.op('add', this.field('eip'), this.field('length', 'i32.load8_u'));
  }

  target(): Value { return this.let(this.field('target')); }

  checkTarget(offset: Value): void {
    this.dependencies.targets = true;
    if (this.form.flat) return;
    this.raiseIf(this.op('gtU', offset, this.loadState(SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.limit)), 13);
  }

  /** Takes the unit's instructions from the budget. Leaves the new budget in a local. */
  private charge(): number {
    const budget = this.store32(this.op('sub', this.op('sub', this.loadState(BUDGET), this.field('position', 'i32.load8_u')), this.constant(1)));
    this.setState(BUDGET, this.localNode(budget, 'i32'));
    return budget;
  }

  private exitIfSpent(budget: number, eip: () => Value): void {
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.setState(EIP, eip());
    this.emitExit(Exit.Budget);
    this.body.op('end');
  }

  private count(id: Parameters<typeof counterAddress>[0]): void {
    const address = counterAddress(id);
    this.body.i32(0).i32(0).memory('i64.load', address).i64(1).op('i64.add').memory('i64.store', address);
  }

  /** Tail-calls the handler of the record whose address `record` emits. */
  private goTo(record: () => void): void {
    const next = this.body.local('i32');
    record();
    this.body.index('local.tee', next).index('local.get', next).memory('i32.load', RecordField.handler).indirect('return_call_indirect', this.imports.handlerType);
  }

  private goNext(): void {
    this.body.index('local.get', RECORD).i32(RECORD_SIZE).op('i32.add');
    this.body.index('local.get', RECORD).memory('i32.load', RECORD_SIZE + RecordField.handler).indirect('return_call_indirect', this.imports.handlerType);
    this.ended = true;
  }

  /** Notes a transfer for the post-mortem. */
  private remember(target: Value): void {
    const at = this.store32(this.loadState(BRANCH_RING_NEXT));
    this.body.index('local.get', at);
    this.field('eip').emit();
    this.body.memory('i32.store', BRANCH_RING);
    this.body.index('local.get', at);
    node(target).emit();
    this.body.memory('i32.store', BRANCH_RING + 4);
    this.setState(BRANCH_RING_NEXT, this.op('and', this.op('add', this.localNode(at, 'i32'), this.constant(8)), this.constant(8 * BRANCH_RING_ENTRIES - 1)));
  }

  private goLink(): void {
    this.remember(this.field('target'));
    this.count('chainedJumps');
    this.goTo(() => this.field('link').emit());
  }

  jump(): void {
    const budget = this.charge();
    this.exitIfSpent(budget, () => this.field('target'));
    this.goLink();
    this.ended = true;
  }

  jumpIf(condition: Value): void {
    const taken = this.let(condition);
    const budget = this.charge();
    this.exitIfSpent(budget, () => this.select(taken, this.field('target'), this.nextNode()));
    node(taken).emit();
    this.body.open('if');
    this.goLink();
    this.body.op('end');
    this.goNext();
  }

  call(): void { this.jump(); }

  jumpTo(offset: Value): void {
    this.setState(EIP, offset);
    this.remember(offset);
    const budget = this.charge();
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.emitExit(Exit.Budget);
    this.body.op('end');
    this.body.index('return_call', this.imports.dispatch);
    this.ended = true;
  }

  callTo(offset: Value): void { this.jumpTo(offset); }
  returnTo(offset: Value): void { this.jumpTo(offset); }

  leave(): void {
    const budget = this.charge();
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.emitExit(Exit.Budget);
    this.body.op('end');
    this.body.index('return_call', this.imports.dispatch);
    this.ended = true;
  }

  leaveToNext(): void {
    this.setState(EIP, this.nextNode());
    this.leave();
  }

  // ---- callouts ----

  callout(name: string, ...values: Value[]): Value {
    const index = this.imports.callout(name);
    const kept = values.map((v) => node(this.let(v)));
    const result = this.body.local('i32');
    this.body.index('local.get', RECORD);
    for (let i = 0; i < 3; i++) {
      if (kept[i]) kept[i].emit();
      else this.body.i32(0);
    }
    this.body.index('call', index).index('local.set', result);
    this.returnIfExit();
    return this.localNode(result, 'i32');
  }

}

const operationNames: Readonly<Record<BinaryOperation, string>> = {
  add: 'add', sub: 'sub', mul: 'mul', and: 'and', or: 'or', xor: 'xor', shl: 'shl', shr: 'shr_u', sar: 'shr_s', rotl: 'rotl',
  divU: 'div_u', remU: 'rem_u', divS: 'div_s', remS: 'rem_s',
  eq: 'eq', ne: 'ne', ltU: 'lt_u', ltS: 'lt_s', leU: 'le_u', leS: 'le_s', gtU: 'gt_u', gtS: 'gt_s', geU: 'ge_u', geS: 'ge_s',
};
const comparisons = new Set<BinaryOperation>(['eq', 'ne', 'ltU', 'ltS', 'leU', 'leS', 'gtU', 'gtS', 'geU', 'geS']);
