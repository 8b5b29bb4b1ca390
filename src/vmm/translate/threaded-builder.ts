/**
 * The builder's back end for threaded code: writes the body of one handler. Operands come from the record, so that one handler serves
 * every instruction of its form. See record.ts for the record and forms.ts for what a form is. Values, memory and flags are in the files
 * that this one builds upon; here is control: inside an instruction, out of it, and into the runtime.
 */
import {
  BRANCH_RING, BRANCH_RING_ENTRIES, BRANCH_RING_NEXT, BUDGET, EIP, EXIT_REASON, EXIT_RECORD, FAULT_ERROR, FAULT_VECTOR, LONG_TABLE_ENTRIES, READ_TABLE, Segment, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, SYSTEM_FLAGS, WIDE_ARGUMENTS, WRITE_TABLE,
} from '../cpu/layout';
import { counterAddress } from '../cpu/counters';
import type { Builder, Requirement, StringRun, Value, Width } from '../isa/builder';
import { Exit, RecordField, RECORD_SIZE, SpecialHandler } from './record';
import { ThreadedVector } from './threaded-vector';
import { node, RECORD } from './threaded-values';

/** From so many bytes on a call of WebAssembly's memory instructions pays. */
const BULK_BYTES = 192;

export class ThreadedBuilder extends ThreadedVector implements Builder {
  /** What target() gave. */
  private direct: Value | undefined;

  /** Writes the whole handler. */
  build(): void {
    this.form.encoding.instruction.semantics(this);
    if (!this.ended) this.goNext();
  }

  // ---- control inside an instruction ----

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    const before = this.ended;
    this.truth(condition).emit();
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

  attempt(requirements: readonly Requirement[], then: () => void, otherwise: () => void): void {
    const [first, ...others] = requirements.map((one) => (Array.isArray(one) ? this.either(one[0] as Value, one[1] as () => Value) : one as Value));
    this.if(others.reduce((all, one) => this.op('and', all, one), first), then, otherwise);
  }

  private either(a: Value, b: () => Value): Value {
    const result = this.body.local('i32');
    node(a).emit();
    this.body.index('local.tee', result).op('i32.eqz').open('if');
    node(b()).emit();
    this.body.index('local.set', result).op('end');
    return this.localNode(result, 'i32');
  }

  loop(body: () => Value): void {
    this.body.open('loop');
    const again = body();
    this.truth(again).emit();
    this.body.index('br_if', 0).op('end');
  }

  variable(initial: Value): { get(): Value; set(value: Value): void } {
    const local = this.store32(initial);
    return {
      get: () => this.expression(initial.type, () => { this.body.index('local.get', local); }),
      set: (value) => {
        this.inType(value, initial.type === 'i64' ? 64 : 32).emit();
        this.body.index('local.set', local);
      },
    };
  }

  // ---- exceptions ----

  raiseIf(condition: Value, vector: number, errorCode = 0): void {
    this.truth(condition).emit();
    this.body.open('if');
    this.emitFault(vector, errorCode);
    this.body.op('end');
  }

  raise(vector: number, errorCode = 0): void {
    this.emitFault(vector, errorCode);
    this.ended = true;
  }

  protected emitFault(vector: number, errorCode: number): void {
    this.setState(FAULT_VECTOR, this.constant(vector));
    this.setState(FAULT_ERROR, this.constant(errorCode));
    this.emitExit(Exit.Fault);
  }

  protected emitExit(reason: Exit): void {
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
    this.setEip(this.rip());
    body.index('return_call', this.imports.dispatch).op('end');
    this.exitRepeating(budget);
    body.op('end').op('end');
  }

  /**
   * Many iterations of MOVS or STOS at once: upwards, in flat segments, as far as one page of source and destination and the budget reach.
   * Element by element, so that overlapping operands come out as the processor's iterations would leave them. Anything else falls through to
   * the single iteration behind it. Inside the loop of repeatString: label 0 is the loop, label 1 its end.
   */
  protected emitStringRun(count: Value, { source, width }: StringRun): void {
    const body = this.body;
    const bytes = width / 8;
    const { long } = this.form;
    const pointerWidth = long ? 64 : 32;
    const get = (local: number) => this.localNode(local, 'i32');
    const pointer = (n: number) => this.store32(this.register(n, pointerWidth));
    const fromMemory = source === 'memory';
    const toPointer = pointer(7);
    const fromPointer = fromMemory ? pointer(6) : 0;
    const low = (local: number) => (long ? this.store32(this.wrap32(this.localNode(local, 'i64'))) : local);
    const to = low(toPointer);
    const from = fromMemory ? low(fromPointer) : 0;
    const toPageEnd = (at: number) => this.op('shr', this.op('sub', this.constant(0x1000), this.op('and', get(at), this.constant(0xfff))), this.constant(Math.log2(bytes)));
    const smaller = (a: Value, b: Value): Value => {
      const x = this.let(a);
      const y = this.let(b);
      return this.let(this.select(this.op('ltU', x, y), x, y));
    };
    const entryOf = (at: number, pointer: number, table: number) => {
      if (long) return this.longEntry(pointer, table);
      return this.store32(this.expression('i32', () => {
        body.i32(0).memory('i32.load', table);
        body.index('local.get', at).i32(12).op('i32.shr_u').i32(2).op('i32.shl').op('i32.add').memory('i32.load', 0);
      }));
    };
    // A page has fewer elements than this.
    const most = long ? this.select(this.op('gtU', count, this.constant(0x10000)), this.constant(0x10000), this.wrap32(count)) : count;

    let n = smaller(most, this.op('add', this.loadState(BUDGET), this.constant(1)));
    n = smaller(n, toPageEnd(to));
    if (fromMemory) n = smaller(n, toPageEnd(from));
    const toEntry = entryOf(to, toPointer, WRITE_TABLE);
    const fromEntry = fromMemory ? entryOf(from, fromPointer, READ_TABLE) : toEntry;
    const mapped = this.isZero(this.op('and', this.op('or', get(toEntry), get(fromEntry)), this.constant(1)));
    const upwards = this.isZero(this.op('and', this.loadState(SYSTEM_FLAGS), this.constant(0x400)));
    node(this.op('and', this.op('and', mapped, upwards), this.op('gtU', n, this.constant(1)))).emit();
    body.open('if');
    const target = this.store32(this.op('xor', get(toEntry), get(to)));
    const origin = fromMemory ? this.store32(this.op('xor', get(fromEntry), get(from))) : 0;
    this.emitElements(target, origin, n, { source, width });
    const moved = this.let(this.op('mul', n, this.constant(bytes)));
    const advance = (register: number, local: number) => this.setRegister(register, pointerWidth, this.op('add', this.localNode(local, long ? 'i64' : 'i32'), moved));
    advance(7, toPointer);
    if (fromMemory) advance(6, fromPointer);
    const left = this.let(this.op('sub', count, n));
    this.setRegister(1, pointerWidth, left);
    // The last iteration is the instruction itself and is charged with its unit.
    const budget = this.store32(this.op('sub', this.loadState(BUDGET), this.op('sub', n, this.isZero(left))));
    this.setState(BUDGET, get(budget));
    node(this.isZero(left)).emit();
    body.index('br_if', 2);
    body.index('local.get', budget).i32(0).op('i32.ge_s').index('br_if', 1);
    this.exitRepeating(budget);
    body.op('end');
  }

  /**
   * `n` elements at `target`, upwards, from `origin` or of rAX, all in one page of WebAssembly's memory each. Copies that the processor's iterations would make
   * onto their own source, and patterns, go element by element.
   */
  protected emitElements(target: number, origin: number, n: Value, { source, width }: StringRun): void {
    const body = this.body;
    const bytes = width / 8;
    const get = (local: number) => this.localNode(local, 'i32');
    const size = this.store32(this.op('mul', n, this.constant(bytes)));
    const end = this.store32(this.op('add', get(target), get(size)));
    const element = source === 'accumulator' ? node(this.register(0, width)) : undefined;
    const step = (local: number, by: number) => body.index('local.get', local).i32(by).op('i32.add').index('local.set', local);
    body.open('block');
    if (element) {
      const low = this.let(this.op('and', width === 64 ? this.wrap32(element) : element, this.constant(0xff)));
      const alike = width === 64 ? this.op('eq', element, this.op('mul', this.extend64(low, false), this.expression('i64', () => { body.i64Words(0x01010101, 0x01010101); })))
        : this.op('eq', element, this.op('mul', low, this.constant(width === 8 ? 1 : width === 16 ? 0x101 : 0x01010101)));
      node(this.op('and', alike, this.op('geU', get(size), this.constant(BULK_BYTES)))).emit();
      body.open('if').index('local.get', target);
      node(low).emit();
      body.index('local.get', size).bulk('memory.fill').index('br', 1).op('end');
    } else {
      node(this.op('geU', this.op('sub', get(target), get(origin)), get(size))).emit();
      body.open('if').index('local.get', size).i32(BULK_BYTES).op('i32.ge_u').open('if');
      body.index('local.get', target).index('local.get', origin).index('local.get', size).bulk('memory.copy').index('br', 2).op('end');
      // Sixteen bytes at a time, as long as there are so many.
      body.open('block').open('loop').index('local.get', end).index('local.get', target).op('i32.sub').i32(16).op('i32.lt_u').index('br_if', 1);
      body.index('local.get', target).index('local.get', origin).memory('v128.load', 0).memory('v128.store', 0);
      step(origin, 16);
      step(target, 16);
      body.index('br', 0).op('end').op('end').op('end');
    }
    body.index('local.get', target).index('local.get', end).op('i32.eq').index('br_if', 0);
    body.open('loop').index('local.get', target);
    if (element) element.emit();
    else body.index('local.get', origin).memory(this.loadWidth(width), 0);
    body.memory(this.storeWidth(width), 0);
    if (!element) step(origin, bytes);
    body.index('local.get', target).i32(bytes).op('i32.add').index('local.tee', target).index('local.get', end).op('i32.ne').index('br_if', 0).op('end').op('end');
  }

  /** 64-bit code: the lookup entry of a page, or all ones. */
  private longEntry(pointer: number, table: number): number {
    const body = this.body;
    const slot = body.local('i32');
    return this.store32(this.expression('i32', () => {
      body.index('local.get', pointer).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and');
      body.i32(0).memory('i32.load', table).op('i32.add').index('local.tee', slot).memory('i32.load', 8).i32(-1);
      body.index('local.get', slot).memory('i64.load', 0).index('local.get', pointer).i64(-0x1000).op('i64.and').op('i64.eq').op('select');
    }));
  }

  /** Out of budget between two iterations: EIP stays at the instruction, the ones before it in the unit are charged. */
  protected exitRepeating(budget: number): void {
    this.setState(BUDGET, this.op('sub', this.localNode(budget, 'i32'), this.field('position', 'i32.load8_u')));
    this.setEip(this.rip());
    this.emitExit(Exit.Repeating);
  }

  // ---- control transfer ----

  nextInstruction(): Value {
    return this.let(this.truncate(this.nextNode(), this.form.operandSize));
  }

  protected nextNode(): Value {
    return this.op('add', this.rip(), this.field('length', 'i32.load8_u'));
  }

  protected setEip(value: Value): void {
    if (this.form.long) this.setState64(EIP, value);
    else this.setState(EIP, value);
  }

  /** Where the record's direct jump goes. */
  protected targetNode(): Value {
    const { long, distant } = this.form;
    if (!long) return this.field('target');
    if (!distant) return this.here(this.field64('target', 'i64.load32_u'));
    // The record has the target's lower half: what it adds to the next instruction's is the signed displacement.
    const displacement = this.op('sub', this.field('target'), this.op('add', this.field('eip'), this.field('length', 'i32.load8_u')));
    return this.op('add', this.nextNode(), this.extend64(displacement, true));
  }

  target(): Value {
    // Threaded code reaches a target of the same upper half without computing it.
    if (this.form.long) return this.direct = this.targetNode();
    return this.let(this.targetNode());
  }

  checkTarget(offset: Value): void {
    this.dependencies.targets = true;
    if (this.form.long) {
      if (offset !== this.direct || this.form.distant) this.raiseIf(this.isZero(this.isCanonical(this.let(offset))), 13);
      return;
    }
    if (this.form.flat) return;
    this.raiseIf(this.op('gtU', offset, this.loadState(SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.limit)), 13);
  }

  /** Takes the unit's instructions from the budget. Leaves the new budget in a local. */
  protected charge(): number {
    const budget = this.store32(this.op('sub', this.op('sub', this.loadState(BUDGET), this.field('position', 'i32.load8_u')), this.constant(1)));
    this.setState(BUDGET, this.localNode(budget, 'i32'));
    return budget;
  }

  protected exitIfSpent(budget: number, eip: () => Value): void {
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.setEip(eip());
    this.emitExit(Exit.Budget);
    this.body.op('end');
  }

  protected count(id: Parameters<typeof counterAddress>[0]): void {
    const address = counterAddress(id);
    this.body.i32(0).i32(0).memory('i64.load', address).i64(1).op('i64.add').memory('i64.store', address);
  }

  /** Tail-calls the handler of the record whose address `record` emits. */
  protected goTo(record: () => void): void {
    const next = this.body.local('i32');
    record();
    this.body.index('local.tee', next).index('local.get', next).memory('i32.load', RecordField.handler).indirect('return_call_indirect', this.imports.handlerType);
  }

  protected goNext(): void {
    this.body.index('local.get', RECORD).i32(RECORD_SIZE).op('i32.add');
    this.body.index('local.get', RECORD).memory('i32.load', RECORD_SIZE + RecordField.handler).indirect('return_call_indirect', this.imports.handlerType);
    this.ended = true;
  }

  /** Notes a transfer for the post-mortem. */
  protected remember(target: Value): void {
    this.dependencies.targets = true;
    const at = this.store32(this.loadState(BRANCH_RING_NEXT));
    const base = this.form.flat ? this.constant(0) : this.let(this.segmentField(Segment.CS, 'base'));
    const linear = (offset: Value) => node(this.as64(this.form.flat ? offset : this.op('add', offset, base)));
    this.body.index('local.get', at);
    linear(this.rip()).emit();
    this.body.memory('i64.store', BRANCH_RING);
    this.body.index('local.get', at);
    linear(target).emit();
    this.body.memory('i64.store', BRANCH_RING + 8);
    this.setState(BRANCH_RING_NEXT, this.op('and', this.op('add', this.localNode(at, 'i32'), this.constant(16)), this.constant(16 * BRANCH_RING_ENTRIES - 1)));
  }

  protected goLink(): void {
    this.remember(this.targetNode());
    this.count('chainedJumps');
    this.goTo(() => this.field('link').emit());
  }

  jump(): void {
    if (this.form.distant) {
      this.jumpTo(this.let(this.targetNode()));
      return;
    }
    const budget = this.charge();
    this.exitIfSpent(budget, () => this.targetNode());
    this.goLink();
    this.ended = true;
  }

  jumpIf(condition: Value): void {
    const taken = this.let(condition);
    if (this.form.distant) {
      node(taken).emit();
      this.body.open('if');
      this.jumpTo(this.let(this.targetNode()));
      this.body.op('end');
      this.ended = false;
    }
    const budget = this.charge();
    this.exitIfSpent(budget, () => (this.form.distant ? this.nextNode() : this.select(taken, this.targetNode(), this.nextNode())));
    if (this.form.distant) {
      this.goNext();
      return;
    }
    node(taken).emit();
    this.body.open('if');
    this.goLink();
    this.body.op('end');
    this.goNext();
  }

  call(): void { this.jump(); }

  /** Leaves the target in the record, for whoever wants to know where the jump usually leads. */
  jumpTo(offset: Value): void { this.transferNoting(offset, RecordField.target); }

  private transferNoting(offset: Value, field: number): void {
    this.body.index('local.get', RECORD);
    node(offset.type === 'i64' ? this.wrap32(offset) : offset).emit();
    this.body.memory('i32.store', field);
    this.transferTo(offset);
  }

  protected transferTo(offset: Value): void {
    this.setEip(offset);
    this.remember(offset);
    const budget = this.charge();
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.emitExit(Exit.Budget);
    this.body.op('end');
    this.body.index('return_call', this.imports.dispatch);
    this.ended = true;
  }

  callTo(offset: Value): void { this.jumpTo(offset); }
  returnTo(offset: Value): void { this.transferNoting(offset, RecordField.returned); }

  leave(): void {
    const budget = this.charge();
    this.body.index('local.get', budget).i32(0).op('i32.lt_s').open('if');
    this.emitExit(Exit.Budget);
    this.body.op('end');
    this.body.index('return_call', this.imports.dispatch);
    this.ended = true;
  }

  leaveToNext(): void {
    this.setEip(this.nextNode());
    this.leave();
  }

  // ---- callouts ----

  callout(name: string, ...values: Value[]): Value {
    const index = this.imports.callout(name);
    const kept = values.map((v) => node(this.let(v)));
    const result = this.body.local('i32');
    kept.forEach((value, i) => {
      if (value.type === 'i64') this.setState64(WIDE_ARGUMENTS + 8 * i, value);
    });
    this.body.index('local.get', RECORD);
    for (let i = 0; i < 3; i++) {
      if (kept[i]) this.inType(kept[i], 32).emit();
      else this.body.i32(0);
    }
    this.body.index('call', index).index('local.set', result);
    this.returnIfExit();
    return this.localNode(result, 'i32');
  }
}
