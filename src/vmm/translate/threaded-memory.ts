/**
 * Operands and memory for threaded code's builder: effective addresses, segment checks, the inlined lookup with its slow path, the stack.
 */
import { EXIT_REASON, GPR, LONG_TABLE_ENTRIES, READ_TABLE, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, WRITE_TABLE } from '../cpu/layout';
import type { Address, SegmentRef, Value, Width } from '../isa/builder';
import type { OperandWidth } from './forms';
import { AccessSegment } from './record';
import { node, RECORD, type Node, ThreadedValues } from './threaded-values';

/** Memory operand whose read-for-write has left the host address in a local (0 after the slow path). */
export interface PendingWrite {
  readonly address: Address;
  readonly linear: number;
  readonly host: number;
}

export abstract class ThreadedMemory extends ThreadedValues {
  private readonly pending = new Map<number, PendingWrite>();
  protected readonly addresses = new Map<number, Address>();

  // ---- operands ----

  protected registerField(n: number): Node {
    const operand = this.operand(n);
    return this.field('slot' in operand && operand.slot === 'a' ? 'registerA' : 'registerB', 'i32.load16_u');
  }

  read(n: number): Value {
    const operand = this.operand(n);
    if (operand.width === 128) throw new Error(`${this.form.key}: operand ${n} is a vector`);
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
        if (operand.width === 64) return this.let(operand.whole ? this.field64('wide', 'i64.load') : this.field64('immediate', 'i64.load32_s'));
        return this.let(this.field('immediate'));
      default:
        throw new Error(`${this.form.key}: operand ${n} cannot be read as a value`);
    }
  }

  readForWrite(n: number): Value {
    const operand = this.operand(n);
    if (operand.kind !== 'memory' || operand.width === 128) return this.read(n);
    const { width } = operand;
    const address = this.address(n);
    const linear = this.linearOf(address, width, true);
    const host = this.body.local('i32');
    const value = this.body.local(width === 64 ? 'i64' : 'i32');
    this.lookup(linear, width, WRITE_TABLE, host, () => {
      this.slowArguments(linear, address, width);
      this.body.index('call', this.imports.readForWriteSlow);
      this.leaveAfterSlow(width, value);
      this.body.i32(0).index('local.set', host);
    }, () => {
      this.body.index('local.get', host).memory(this.loadWidth(width), 0).index('local.set', value);
    });
    this.pending.set(n, { address, linear, host });
    return this.localNode(value, operand.width === 64 ? 'i64' : 'i32');
  }

  write(n: number, value: Value): void {
    const operand = this.operand(n);
    if (operand.width === 128) throw new Error(`${this.form.key}: operand ${n} is a vector`);
    if (operand.kind === 'register') {
      this.registerField(n).emit();
      this.storeRegister(operand.width, value, 0);
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
    this.writePending(pending, operand.width, node(this.let(this.inType(value, operand.width))));
  }

  /** The store behind {@link readForWrite}: to the host address if the fast path found one. */
  protected writePending({ address, host, linear }: PendingWrite, width: Width, value: Node): void {
    this.body.index('local.get', host).open('if');
    this.body.index('local.get', host);
    value.emit();
    this.body.memory(this.storeWidth(width), 0).op('else');
    this.callWriteSlow(linear, address, width, value);
    this.body.op('end');
  }

  immediate(): Value { return this.let(this.field('immediate')); }
  secondImmediate(): Value { return this.let(this.field('second', 'i32.load16_u')); }

  // ---- addresses ----

  address(n: number): Address {
    const known = this.addresses.get(n);
    if (known) return known;
    const address: Address = { segment: 'record', offset: this.let(this.effectiveAddress()) };
    this.addresses.set(n, address);
    return address;
  }

  private effectiveAddress(): Value {
    const { addressing, addressSize, long } = this.form;
    if (addressing === 'absolute') return this.field64('wide', 'i64.load');
    const type = addressSize === 64 ? 'i64' : 'i32';
    const displacement = addressSize === 64 ? this.field64('displacement', 'i64.load32_s') : this.field('displacement');
    const at = (name: 'base' | 'index') => this.addressPart(name, type);
    if (addressing === 'base') return this.op('add', at('base'), displacement);
    if (addressSize === 16) return this.truncate(this.op('add', this.op('add', at('base'), at('index')), displacement), 16);
    const sum = this.op('add', this.op('add', at('base'), this.op('shl', at('index'), this.field('scale', 'i32.load8_u'))), displacement);
    return long ? this.as64(sum) : sum;
  }

  /** Base or index register of the memory operand; zero when there is none. */
  protected addressPart(name: 'base' | 'index', type: 'i32' | 'i64'): Value {
    return this.expression(type, () => {
      this.field(name, 'i32.load16_u').emit();
      this.body.memory(`${type}.load`, 0);
    });
  }

  usesStackPointer(): Value {
    // The fields hold no register numbers there.
    if (this.form.addressing === 'absolute') return this.constant(0);
    return this.let(this.op('eq', this.field('base', 'i32.load16_u'), this.constant(GPR + 8 * 4)));
  }

  implicitAddress(segment: SegmentRef, offset: Value): Address {
    if (segment === 2) this.dependencies.stack = true;
    else this.dependencies.implicitMemory = true;
    return { segment, offset: this.let(offset) };
  }

  offsetBy(address: Address, delta: number | Value): Address {
    const by = typeof delta === 'number' ? this.constant(delta) : delta;
    const size = address.segment === 2 ? this.form.stackSize : this.form.addressing === 'absolute' ? 64 : this.form.addressSize;
    return { segment: address.segment, offset: this.let(this.truncate(this.op('add', address.offset, by), size)) };
  }

  linear(address: Address): Value {
    if (this.form.long) return this.localNode(this.longLinear(address), 'i64');
    return this.let(this.op('add', address.offset, this.segmentField(address.segment, 'base')));
  }

  protected segmentField(segment: SegmentRef, field: keyof typeof SEGMENT_FIELDS): Node {
    if (segment !== 'record') return this.loadState(SEGMENTS + SEGMENT_SIZE * segment + SEGMENT_FIELDS[field]);
    return this.expression('i32', () => {
      this.field('segment', 'i32.load16_u').emit();
      this.body.memory('i32.load', SEGMENT_FIELDS[field]);
    });
  }

  /** 64-bit code: only FS and GS have a base, and no segment has a limit. */
  private longLinear(address: Address): number {
    const offset = this.as64(address.offset);
    if (address.segment !== 'record' || this.form.flatMemory) return node(offset).local ?? this.store32(offset);
    return this.store32(this.op('add', offset, this.expression('i64', () => {
      this.field('segment', 'i32.load16_u').emit();
      this.body.memory('i64.load', SEGMENT_FIELDS.base);
    })));
  }

  /** Linear address of an access after the segment's checks, in a local (i64 in 64-bit code). */
  protected linearOf(address: Address, width: OperandWidth, write: boolean): number {
    if (this.form.long) return this.longLinear(address);
    const flat = address.segment === 'record' || address.segment === 0 ? this.form.flatMemory : this.form.flat;
    if (flat) return node(address.offset).local ?? this.store32(address.offset);
    const offset = this.store32(address.offset);
    this.checkSegment(offset, address.segment, width, write);
    return this.store32(this.op('add', this.localNode(offset, 'i32'), this.segmentField(address.segment, 'base')));
  }

  /** The quick limit check, and the exact one behind it. */
  protected checkSegment(offset: number, segment: SegmentRef, width: OperandWidth, write: boolean): void {
    const body = this.body;
    body.index('local.get', offset);
    this.segmentField(segment, 'low').emit();
    body.op('i32.sub');
    this.segmentField(segment, write ? 'writeQuick' : 'readQuick').emit();
    body.op('i32.ge_u').open('if');
    body.index('local.get', RECORD).index('local.get', offset);
    if (segment === 'record') this.field('segment', 'i32.load16_u').emit();
    else body.i32(SEGMENTS + SEGMENT_SIZE * segment);
    body.i32((width / 8) | (write ? 0x100 : 0)).index('call', this.imports.segmentCheck);
    body.open('if').op('return').op('end').op('end');
  }

  // ---- memory ----

  /** Looks `linear` up; `host` gets the host address on the fast path. */
  protected lookup(linear: number, width: OperandWidth, table: number, host: number, slow: () => void, fast: () => void): void {
    const body = this.body;
    if (this.form.long) {
      const slot = body.local('i32');
      body.index('local.get', linear).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and');
      body.i32(0).memory('i32.load', table).op('i32.add').index('local.tee', slot);
      // In the entry's page: a number below 1000h, the offset in the page.
      body.memory('i64.load', 0).index('local.get', linear).op('i64.xor');
      // A guarded entry counts as another page, for bytes too.
      if (table === WRITE_TABLE) body.index('local.get', slot).memory('i64.load32_u', 8).i64(1).op('i64.and').i64(12).op('i64.shl').op('i64.or');
      body.i64(0x1000 - width / 8).op('i64.gt_u').open('if');
      slow();
      body.op('else');
      body.index('local.get', slot).memory('i32.load', 8).index('local.get', linear).op('i32.wrap_i64').op('i32.xor').index('local.set', host);
      fast();
      body.op('end');
      return;
    }
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

  /** What every slow path is called with: the record, the linear address, the access. */
  protected slowArguments(linear: number, address: Address, width: OperandWidth): void {
    const body = this.body;
    body.index('local.get', RECORD).index('local.get', linear);
    if (!this.form.long) {
      body.i32(width / 8);
      return;
    }
    const segment = address.segment === 'record' ? AccessSegment.Record : address.segment === 2 ? AccessSegment.Stack : AccessSegment.Data;
    body.op('i32.wrap_i64').index('local.get', linear).i64(32).op('i64.shr_u').op('i32.wrap_i64').i32((width / 8) | (segment << 8));
  }

  /** After a slow read: the result is on the stack (64-bit: in SCRATCH); return if the access faulted. */
  protected leaveAfterSlow(width: Width, value: number): void {
    if (width === 64) {
      this.body.op('drop').i32(0).memory('i64.load', SCRATCH);
    }
    this.body.index('local.set', value);
    this.returnIfExit();
  }

  protected returnIfExit(): void {
    this.body.i32(0).memory('i32.load', EXIT_REASON).open('if').op('return').op('end');
  }

  load(address: Address, width: Width): Value {
    return this.loadThrough(address, width, false);
  }

  loadForWrite(address: Address, width: Width): Value {
    return this.loadThrough(address, width, true);
  }

  protected loadThrough(address: Address, width: Width, forWrite: boolean): Value {
    const linear = this.linearOf(address, width, forWrite);
    const type = width === 64 ? 'i64' : 'i32';
    const host = this.body.local('i32');
    const value = this.body.local(type);
    this.lookup(linear, width, forWrite ? WRITE_TABLE : READ_TABLE, host, () => {
      this.slowArguments(linear, address, width);
      this.body.index('call', forWrite ? this.imports.readForWriteSlow : this.imports.readSlow);
      this.leaveAfterSlow(width, value);
    }, () => {
      this.body.index('local.get', host).memory(this.loadWidth(width), 0).index('local.set', value);
    });
    return this.localNode(value, type);
  }

  store(address: Address, width: Width, value: Value): void {
    const kept = node(this.let(this.inType(value, width)));
    const linear = this.linearOf(address, width, true);
    const host = this.body.local('i32');
    this.lookup(linear, width, WRITE_TABLE, host, () => {
      this.callWriteSlow(linear, address, width, kept);
      this.returnIfExit();
    }, () => {
      this.body.index('local.get', host);
      kept.emit();
      this.body.memory(this.storeWidth(width), 0);
    });
  }

  protected callWriteSlow(linear: number, address: Address, width: Width, value: Node): void {
    const body = this.body;
    if (width === 64) {
      body.i32(0);
      value.emit();
      body.memory('i64.store', SCRATCH);
    }
    this.slowArguments(linear, address, width);
    if (width === 64) body.i32(0);
    else value.emit();
    body.index('call', this.imports.writeSlow);
  }

  /** The 16 bytes at a linear address whose segment was checked, in a local. */
  protected loadLinear(linear: number, address: Address): number {
    const value = this.body.local('v128');
    const host = this.body.local('i32');
    this.lookup(linear, 128, READ_TABLE, host, () => {
      this.slowArguments(linear, address, 128);
      this.body.index('call', this.imports.readSlow).op('drop');
      this.body.i32(0).memory('v128.load', SCRATCH).index('local.set', value);
      this.returnIfExit();
    }, () => {
      this.body.index('local.get', host).memory('v128.load', 0).index('local.set', value);
    });
    return value;
  }

  protected storeLinear(linear: number, address: Address, value: Node): void {
    const host = this.body.local('i32');
    this.lookup(linear, 128, WRITE_TABLE, host, () => {
      this.body.i32(0);
      value.emit();
      this.body.memory('v128.store', SCRATCH);
      this.slowArguments(linear, address, 128);
      this.body.i32(0).index('call', this.imports.writeSlow);
      this.returnIfExit();
    }, () => {
      this.body.index('local.get', host);
      value.emit();
      this.body.memory('v128.store', 0);
    });
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
}
