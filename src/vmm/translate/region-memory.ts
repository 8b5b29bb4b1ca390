/**
 * Memory in regions: the inlined lookup without a slow path, and in front of it, for what loops use most, the page that the last access led to. Such a page stays in
 * locals while the region is at work, during which no mapping changes: the address of an access then no longer waits for the lookup table.
 */
import { GPR, LONG_TABLE_ENTRIES, READ_TABLE, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE, ZERO } from '../cpu/layout';
import type { Address, SegmentRef, Width } from '../isa/builder';
import type { Form, OperandWidth } from './forms';
import type { HandlerImports } from './handlers';
import { RecordField } from './record';
import type { RegionState } from './region-state';
import { ThreadedBuilder } from './threaded-builder';
import type { PendingWrite } from './threaded-memory';
import { node, type Node } from './threaded-values';

/** Offsets in a page at which accesses of up to 16 bytes stay inside. */
const INSIDE = 0x1000 - 15;
const STACK_SEGMENT = 2, STACK_POINTER = 4, FRAME_POINTER = 5;

export abstract class RegionMemory extends ThreadedBuilder {
  /** The access at hand: accesses of the same name are expected on the same page. */
  private place: string | undefined;

  /** `restart`: where threaded code begins the instruction, which may have a loading record in front. */
  constructor(form: Form, imports: HandlerImports, readonly region: RegionState, readonly record: number, readonly restart = record) {
    super(form, region.body, imports);
  }

  /** Leaves to this very instruction's handler. */
  leaveHere(): void {
    this.region.leave(this.restart);
  }

  protected override segmentField(segment: SegmentRef, field: keyof typeof SEGMENT_FIELDS): Node {
    const entry = segment === 'record' ? node(this.field('segment', 'i32.load16_u')).constant! : SEGMENTS + SEGMENT_SIZE * segment;
    return this.loadState(entry + SEGMENT_FIELDS[field]);
  }

  protected override checkSegment(offset: number, segment: SegmentRef, _width: OperandWidth, write: boolean): void {
    this.body.index('local.get', offset);
    this.segmentField(segment, 'low').emit();
    this.body.op('i32.sub');
    this.segmentField(segment, write ? 'writeQuick' : 'readQuick').emit();
    this.body.op('i32.ge_u').open('if');
    this.leaveHere();
    this.body.op('end');
  }

  protected override linearOf(address: Address, width: OperandWidth, write: boolean): number {
    this.place = this.placeOf(address);
    return super.linearOf(address, width, write);
  }

  /** The stack, or a table at a constant address: what walks through memory changes pages, and would have to be told from the others. */
  private placeOf({ segment }: Address): string | undefined {
    const { region } = this;
    if (segment === STACK_SEGMENT) return 'stack';
    if (segment !== 'record' || !this.form.flatMemory) return undefined;
    if (this.form.addressing === 'absolute') return `table ${region.u32[(this.record + RecordField.wide) >> 2] >>> 12}`;
    const base = node(this.field('base', 'i32.load16_u')).constant!;
    if (base === GPR + 8 * STACK_POINTER || base === GPR + 8 * FRAME_POINTER) return 'stack';
    return base === ZERO ? `table ${node(this.field('displacement')).constant! >>> 12}` : undefined;
  }

  protected override lookup(linear: number, width: OperandWidth, table: number, host: number, _slow: () => void, fast: () => void): void {
    const { body, region } = this;
    const page = this.place === undefined ? undefined : region.page(`${this.place} ${table}`, this.form.long);
    if (!page) {
      const entry = body.local('i32');
      this.search(linear, width, table, entry);
      this.setHost(linear, entry, host);
    } else {
      body.index('local.get', linear);
      if (!this.form.long) body.op('i64.extend_i32_u');
      body.index('local.get', page.address).op('i64.xor');
      if (this.form.long) body.index('local.get', page.bound);
      else body.i64(INSIDE);
      body.op('i64.ge_u').open('if');
      this.search(linear, width, table, page.entry);
      body.index('local.get', linear);
      if (this.form.long) body.i64(-0x1000).op('i64.and').index('local.set', page.address).i64(INSIDE).index('local.set', page.bound);
      else body.i32(-0x1000).op('i32.and').op('i64.extend_i32_u').index('local.set', page.address);
      body.op('end');
      this.setHost(linear, page.entry, host);
    }
    fast();
  }

  /** The address in WebAssembly's memory: a lookup entry is the difference of the pages. */
  private setHost(linear: number, entry: number, host: number): void {
    this.body.index('local.get', entry).index('local.get', linear);
    if (this.form.long) this.body.op('i32.wrap_i64');
    this.body.op('i32.xor').index('local.set', host);
  }

  /** The lookup entry of a page, in a local: odd when it cannot be accessed, or not just so. */
  protected lookupEntry(linear: number, table: number): number {
    const { body } = this;
    const entry = body.local('i32');
    if (this.form.long) {
      const slot = body.local('i32');
      body.index('local.get', linear).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and');
      body.index('local.get', table).op('i32.add').index('local.tee', slot).memory('i32.load', 8).i32(-1);
      body.index('local.get', slot).memory('i64.load', 0).index('local.get', linear).i64(-0x1000).op('i64.and').op('i64.eq').op('select');
    } else {
      body.index('local.get', table).index('local.get', linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').op('i32.add').memory('i32.load', 0);
    }
    body.index('local.set', entry);
    return entry;
  }

  /** The lookup entry of the page, if the access may go there and stays inside. */
  private search(linear: number, width: OperandWidth, table: number, entry: number): void {
    const { body, region } = this;
    const tableLocal = table === READ_TABLE ? region.readTable : region.writeTable;
    if (this.form.long) {
      const slot = body.local('i32');
      body.index('local.get', linear).op('i32.wrap_i64').i32(8).op('i32.shr_u').i32((LONG_TABLE_ENTRIES - 1) << 4).op('i32.and');
      body.index('local.get', tableLocal).op('i32.add').index('local.tee', slot);
      body.memory('i64.load', 0).index('local.get', linear).op('i64.xor');
      if (table === READ_TABLE) body.index('local.get', slot).memory('i32.load', 8).index('local.set', entry);
      else body.index('local.get', slot).memory('i32.load', 8).index('local.tee', entry).i32(1).op('i32.and').i32(12).op('i32.shl').op('i64.extend_i32_u').op('i64.or');
      body.i64(0x1000 - width / 8).op('i64.gt_u').open('if');
    } else {
      body.index('local.get', tableLocal);
      body.index('local.get', linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').op('i32.add').memory('i32.load', 0).index('local.tee', entry);
      if (width === 8) body.i32(1).op('i32.and');
      else body.index('local.get', linear).op('i32.or').i32(0xfff).op('i32.and').i32(0x1000 - width / 8).op('i32.gt_u');
      body.open('if');
    }
    this.leaveHere();
    body.op('end');
  }

  protected override writePending({ host }: PendingWrite, width: Width, value: Node): void {
    this.body.index('local.get', host);
    value.emit();
    this.body.memory(this.storeWidth(width), 0);
  }
}
