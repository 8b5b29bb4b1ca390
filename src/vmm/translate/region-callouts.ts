/**
 * Callouts that regions do in line: those that read, where nothing is out of the ordinary, what stands in the state page anyway. All others, and these
 * otherwise, are threaded code's, which asks transitions.ts and then the runtime.
 */
import { Cr0, Cr4, Flag } from '../cpu/bits';
import { CPL, CR0, CR4, DR, INTERRUPT_SHADOW, PORT_LATCHES, PORT_LATCHES_MOST, RETIRED, RUN_BUDGET, SYSTEM_FLAGS, TSC_AUX, TSC_OFFSET } from '../cpu/layout';
import type { Value } from '../isa/builder';
import { RegionVector } from './region-vector';
import { UNUSUAL_FLAGS } from './state-code';
import { node } from './threaded-values';

export abstract class RegionCallouts extends RegionVector {
  /** Threaded code does the instruction, and goes on from there. */
  protected abstract override stay(): void;

  override callout(name: string, ...values: Value[]): Value {
    if (name === 'portIn' && node(values[1]).constant === 1) return this.latchedPort(values[0]);
    if (name === 'rdtsc' || name === 'rdtscp') {
      this.timeStamp();
      if (name === 'rdtscp') this.setRegister(1, 32, this.loadState(TSC_AUX));
    } else this.stay();
    return this.constant(0);
  }

  private leaveIf(condition: Value): void {
    node(condition).emit();
    this.body.open('if');
    this.leaveHere();
    this.body.op('end');
  }

  /** EDX:EAX get the instruction count, as Engine.now has it, plus the counter's offset. */
  private timeStamp(): void {
    const { region } = this;
    const disabled = this.op('ne', this.op('and', this.loadState(CR4), this.constant(Cr4.TSD)), this.constant(0));
    this.leaveIf(this.op('and', disabled, this.op('ne', this.loadState(CPL), this.constant(0))));
    const budget = this.op('add', this.localNode(region.budget, 'i32'), this.localNode(region.limit, 'i32'));
    const inRun = this.op('add', this.op('sub', this.loadState(RUN_BUDGET), budget), this.field('position', 'i32.load8_u'));
    const stamp = this.let(this.op('add', this.op('add', this.loadState64(RETIRED), this.extend64(inRun, false)), this.loadState64(TSC_OFFSET)));
    this.count('callouts');
    this.setRegister(0, 32, this.let(this.wrap32(stamp)));
    this.setRegister(2, 32, this.let(this.wrap32(this.op('shr', stamp, this.constant(32, 64)))));
  }

  /** A byte that the port has until the guest writes to one, where no I/O permission and no I/O breakpoint can matter. */
  private latchedPort(value: Value): Value {
    const port = this.let(value);
    const flags = (mask: number): Value => this.op('and', this.loadState(SYSTEM_FLAGS), this.constant(mask));
    const unusual = this.op('or', this.op('or', this.loadState(INTERRUPT_SHADOW), flags(UNUSUAL_FLAGS)), this.op('and', this.loadState(DR + 8 * 7), this.constant(0xff)));
    this.leaveIf(this.op('or', unusual, this.op('geU', port, this.constant(PORT_LATCHES_MOST))));
    const level = this.op('and', this.op('shr', flags(Flag.IOPL), this.constant(12)), this.constant(3));
    this.leaveIf(this.op('and', this.op('and', this.loadState(CR0), this.constant(Cr0.PE)), this.op('gtU', this.loadState(CPL), level)));
    const latch = this.let(this.expression('i32', () => {
      node(this.op('shl', port, this.constant(1))).emit();
      this.body.memory('i32.load16_u', PORT_LATCHES);
    }));
    this.leaveIf(this.isZero(latch));
    this.count('callouts');
    this.count('portReads');
    return this.op('and', latch, this.constant(0xff));
  }
}
