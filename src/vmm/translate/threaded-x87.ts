/** The builder's x87 part for threaded code, see isa/x87-builder.ts. */
import {
  FPU_ACCESS, FPU_CONTROL, FPU_CS, FPU_DP, FPU_DS, FPU_IP, FPU_OPCODE, FPU_STATUS, FPU_TOP, FpuAccess, SCRATCH, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE,
} from '../cpu/layout';
import type { Value, Width } from '../isa/builder';
import type { X87Builder } from '../isa/x87-builder';
import { ThreadedFlags } from './threaded-flags';
import { node } from './threaded-values';

/** ES in the status word; CR0.MP and CR0.TS. */
const ERROR_SUMMARY = 0x80, MP_AND_TS = 0xa;

export abstract class ThreadedX87 extends ThreadedFlags implements X87Builder {
  abstract callout(name: string, ...values: Value[]): Value;
  abstract leave(): void;
  abstract if(condition: Value, then: () => void, otherwise?: () => void): void;

  requireX87(how: 'waiting' | 'notWaiting' | 'wait'): void {
    const pending = () => this.op('and', this.loadState(FPU_STATUS), this.constant(ERROR_SUMMARY));
    const refused = how === 'wait'
      ? this.op('eq', this.op('and', this.controlRegister(0), this.constant(MP_AND_TS)), this.constant(MP_AND_TS))
      : this.op('and', this.loadState(FPU_ACCESS), this.constant(FpuAccess.X87));
    this.if(how === 'notWaiting' ? refused : this.op('or', refused, pending()), () => {
      const ready = this.callout('fpuReady', this.constant(how === 'notWaiting' ? 0 : 1), this.constant(how === 'wait' ? 1 : 0));
      this.if(this.isZero(ready), () => this.leave());
    });
  }

  noteX87(memoryOperand?: number): void {
    this.setState64(FPU_IP, this.rip());
    // The translator leaves the opcode in the place of an immediate.
    this.setState(FPU_OPCODE, this.field('immediate'));
    this.setState(FPU_CS, this.loadState(SEGMENTS + SEGMENT_SIZE + SEGMENT_FIELDS.selector));
    if (memoryOperand === undefined) return;
    const { offset, segment } = this.address(memoryOperand);
    this.setState64(FPU_DP, offset);
    // 64-bit code has no data segments to tell.
    this.setState(FPU_DS, this.form.long ? this.constant(0) : this.segmentField(segment, 'selector'));
  }

  x87Word(word: 'control' | 'status'): Value {
    if (word === 'control') return this.state(FPU_CONTROL);
    return this.let(this.op('or', this.loadState(FPU_STATUS), this.op('shl', this.loadState(FPU_TOP), this.constant(11))));
  }

  scratch(offset: 0 | 8, width: Width): Value {
    return this.effect(width === 64 ? 'i64' : 'i32', () => { this.body.i32(0).memory(this.loadWidth(width), SCRATCH + offset); });
  }

  setScratch(offset: 0 | 8, width: Width, value: Value): void {
    this.body.i32(0);
    node(value).emit();
    this.body.memory(this.storeWidth(width), SCRATCH + offset);
  }

  segmentEntry(): Value { return this.let(this.field('segment', 'i32.load16_u')); }
}
