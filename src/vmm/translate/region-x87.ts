/**
 * The x87 in regions: the top of the stack and the marks of empty registers are locals; which instruction was the last one is a local, too, from which the words
 * that report it are made when the region is left.
 */
import { CODE_HIGH, FPU_ACCESS, FPU_CS, FPU_DP, FPU_DS, FPU_EMPTY, FPU_IP, FPU_OPCODE, FPU_STATUS, FPU_TOP, FpuAccess, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE } from '../cpu/layout';
import type { Value } from '../isa/builder';
import type { FunctionBody } from '../wasm/module';
import { RecordField } from './record';
import { NO_PENDING_EXCEPTION } from './region-facts';
import { RegionMemory } from './region-memory';
import type { RegionState } from './region-state';
import { node, type Node } from './threaded-values';

const ERROR_SUMMARY = 0x80, NONE_EMPTY = 0, ALL_EMPTY = 0xff;

export abstract class RegionX87 extends RegionMemory {
  override requireX87(how: 'waiting' | 'notWaiting' | 'wait'): void {
    if (how === 'wait') {
      super.requireX87(how);
      return;
    }
    const { region, body } = this;
    const wanted = FpuAccess.X87 | (how === 'waiting' ? NO_PENDING_EXCEPTION : 0);
    const missing = wanted & ~region.facts.units;
    if (!missing) return;
    const refused = this.op('and', this.loadState(FPU_ACCESS), this.constant(FpuAccess.X87));
    const pending = this.op('and', this.loadState(FPU_STATUS), this.constant(ERROR_SUMMARY));
    node(missing === wanted && how === 'waiting' ? this.op('or', refused, pending) : missing & FpuAccess.X87 ? refused : pending).emit();
    body.open('if');
    this.leaveHere();
    body.op('end');
    // What is done in line leaves no unmasked exception behind.
    region.facts = { ...region.facts, units: region.facts.units | wanted };
  }

  override noteX87(memoryOperand?: number): void {
    const { region, body } = this;
    body.i32(this.record).index('local.set', region.x87('instruction'));
    if (memoryOperand === undefined) return;
    body.i32(this.record).index('local.set', region.x87('access'));
    node(this.as64(this.address(memoryOperand).offset)).emit();
    body.index('local.set', region.x87('offset'));
  }

  protected override loadState(address: number, opcode: 'i32.load' | 'i32.load8_u' | 'i32.load16_u' = 'i32.load'): Node {
    const { region } = this;
    if (address !== FPU_TOP && address !== FPU_EMPTY) return super.loadState(address, opcode);
    return this.expression('i32', () => { this.body.index('local.get', region.x87(address === FPU_TOP ? 'top' : 'empty')); });
  }

  protected override setState(address: number, value: Value, opcode: 'i32.store' | 'i32.store8' | 'i32.store16' = 'i32.store'): void {
    if (address !== FPU_TOP && address !== FPU_EMPTY) {
      super.setState(address, value, opcode);
      return;
    }
    node(value).emit();
    this.body.index('local.set', this.region.x87(address === FPU_TOP ? 'top' : 'empty'));
  }

  private setStack(empty: number): void {
    this.setState(FPU_TOP, this.constant(0));
    this.setState(FPU_EMPTY, this.constant(empty));
  }
  override enterMmx(): void { this.setStack(NONE_EMPTY); }
  override leaveMmx(): void { this.setStack(ALL_EMPTY); }
}

/** Loads the locals; `used`: those that take part. */
export function enterX87(body: FunctionBody, state: RegionState, used: ReadonlySet<string>): void {
  if (used.has('top')) body.i32(0).memory('i32.load', FPU_TOP).index('local.set', state.x87('top'));
  if (used.has('empty')) body.i32(0).memory('i32.load', FPU_EMPTY).index('local.set', state.x87('empty'));
}

/** Brings the state page up to date. */
export function leaveX87(body: FunctionBody, state: RegionState, used: ReadonlySet<string>): void {
  if (used.has('top')) body.i32(0).index('local.get', state.x87('top')).memory('i32.store', FPU_TOP);
  if (used.has('empty')) body.i32(0).index('local.get', state.x87('empty')).memory('i32.store', FPU_EMPTY);
  const selector = SEGMENT_FIELDS.selector;
  if (used.has('instruction')) {
    const record = state.x87('instruction');
    body.index('local.get', record).open('if');
    body.i32(0).index('local.get', record).memory('i32.load', RecordField.eip).memory('i32.store', FPU_IP);
    body.i32(0);
    if (state.wide) body.i32(0).memory('i32.load', CODE_HIGH);
    else body.i32(0);
    body.memory('i32.store', FPU_IP + 4);
    body.i32(0).index('local.get', record).memory('i32.load', RecordField.immediate).memory('i32.store', FPU_OPCODE);
    body.i32(0).i32(0).memory('i32.load', SEGMENTS + SEGMENT_SIZE + selector).memory('i32.store', FPU_CS).op('end');
  }
  if (used.has('access')) {
    const record = state.x87('access');
    body.index('local.get', record).open('if');
    body.i32(0).index('local.get', state.x87('offset')).memory('i64.store', FPU_DP);
    body.i32(0);
    // 64-bit code has no data segments to tell.
    if (state.wide) body.i32(0);
    else body.index('local.get', record).memory('i32.load16_u', RecordField.segment).memory('i32.load', selector);
    body.memory('i32.store', FPU_DS).op('end');
  }
}
