/** The world of world.ts on our processor: ring 3, paging on, the same descriptors, HLT around the code. */
import { Cr4 } from '../../../../src/vmm/cpu/bits';
import { Segment } from '../../../../src/vmm/cpu/layout';
import { PageFault } from '../../../../src/vmm/mmu/types';
import type { TranslationMode } from '../../../../src/vmm/translate/regions';
import { BareMachine, CODE0, HANDLERS, IDT, LDT_SELECTOR, LDT, STACK0, USER_CODE, vectorOf } from '../../../support/bare-machine';
import type { Input, Shape } from './cases';
import type { Outcome } from './outcome';
import { CODE, CODE_BYTES, localDescriptors, modes, pages, windows, type ModeName } from './world';

/** Faults in ring 3 and so stops every path; INT3 would be delivered. */
const HLT = 0xf4;
const GENERAL_PROTECTION = 13;
/** Vectors that ring 3 reaches without a fault: #DB by INT1, #BP, #OF. */
const softwareGates: readonly (readonly [number, number])[] = [[1, 0], [3, 3], [4, 3]];
const types = { code: 0x1b, data: 0x13, readOnly: 0x11, expandDown: 0x17 } as const;
/** More than any case executes; a runaway path ends here. */
const INSTRUCTIONS_MAX = 2000;

export class EngineWorld {
  private readonly machine: BareMachine;
  private mode: ModeName | undefined;
  private codeAt = 0;
  private codeLength = 0;

  constructor(translation?: TranslationMode) {
    const machine = this.machine = new BareMachine(translation).protect(3);
    localDescriptors.forEach(({ base, limit, kind, big }, n) => machine.describe(n << 3 | 4, { base, limit, type: types[kind], dpl: 3, big }));
    machine.describe(LDT_SELECTOR, { base: LDT, limit: localDescriptors.length * 8 - 1, type: 2, big: false });
    machine.load(Segment.LDTR, LDT_SELECTOR);
    for (const [vector, dpl] of softwareGates) {
      machine.gate(vector, dpl);
      machine.ram[HANDLERS + 16 * vector] = HLT;
    }
    if (machine.word(IDT) !== 0) throw new Error('vector 0 must have no gate: INT 0 faults');
    for (const { linear, bytes, access } of pages) machine.map(linear, bytes, access === 'readWrite' ? 7 : 5);
    machine.ram.fill(HLT, CODE, CODE + CODE_BYTES);
    machine.pageTables({ writeProtect: true });
    machine.state.cr4 |= Cr4.UMIP;
  }

  /** How often a region was entered. */
  get regionEntries(): number { return this.machine.count('regionEntries'); }

  /** Puts the shape's code in place; the one before is taken away. */
  begin(shape: Shape): void {
    const { machine } = this;
    if (this.codeLength) machine.write(this.codeAt, new Uint8Array(this.codeLength).fill(HLT));
    this.codeAt = CODE + shape.at;
    this.codeLength = shape.code.length;
    machine.write(this.codeAt, shape.code);
    if (this.mode !== shape.mode) this.enterMode(shape.mode);
  }

  private enterMode(mode: ModeName): void {
    const { machine } = this;
    modes[mode].selectors.forEach((selector, n) => machine.load(n as Segment, selector));
    machine.engine.cpu.setCpl(3);
    machine.engine.stateChanged();
    this.mode = mode;
  }

  run(shape: Shape, input: Input, out: Outcome): void {
    const { machine } = this;
    const { state, ram } = machine;
    for (let n = 0; n < 8; n++) state.set32(n, input.general[n]);
    state.eip = input.eip;
    state.eflags = input.eflags;
    machine.halted = false;
    let at = 0;
    for (const { linear, bytes } of windows) {
      ram.set(input.image.subarray(at, at + bytes), linear);
      at += bytes;
    }
    // The engine also returns for its owner to look at TF and RF.
    let { exit, fault } = machine.run(INSTRUCTIONS_MAX);
    for (let again = 0; again < 4 && exit.kind === 'ran' && !machine.halted; again++) ({ exit, fault } = machine.run(INSTRUCTIONS_MAX));
    out.vector = -1;
    out.errorCode = 0;
    out.cr2 = 0;
    for (let n = 0; n < 6; n++) out.selectors[n] = state.selector(n);
    for (let n = 0; n < 8; n++) out.general[n] = state.get32(n);
    out.eip = state.eip;
    out.eflags = state.eflags;
    const linear = (state.base(Segment.CS) + state.eip) >>> 0;
    if (fault) {
      const own = linear >= this.codeAt && linear < this.codeAt + this.codeLength;
      const stopped = vectorOf(fault) === GENERAL_PROTECTION && linear >= CODE && linear < CODE + CODE_BYTES && !own;
      if (!stopped) {
        out.vector = vectorOf(fault);
        out.errorCode = fault.errorCode ?? 0;
        if (fault instanceof PageFault) out.cr2 = fault.linear;
      }
    } else if (machine.halted) this.unwind(out);
    else throw new Error(`${Buffer.from(shape.code).toString('hex')}: the engine ended with ${exit.kind} at ${linear.toString(16)}`);
    at = 0;
    for (const { linear: from, bytes } of windows) {
      out.image.set(ram.subarray(from, from + bytes), at);
      at += bytes;
    }
    const { selectors } = modes[shape.mode];
    if (fault === undefined || out.selectors.some((selector, n) => selector !== selectors[n])) this.enterMode(shape.mode);
  }

  /** A handler was entered: the interrupted state stands on the ring-0 stack. */
  private unwind(out: Outcome): void {
    const { machine } = this;
    const handler = machine.state.eip - 1 - HANDLERS;
    if (machine.state.selector(Segment.CS) !== CODE0 || handler % 16 !== 0) throw new Error(`the engine halted at ${machine.state.eip.toString(16)}`);
    const frame = (n: number): number => machine.word(STACK0 - 20 + 4 * n);
    out.vector = handler / 16;
    out.eip = frame(0);
    out.selectors[1] = frame(1);
    out.eflags = frame(2);
    out.general[4] = frame(3);
    out.selectors[2] = frame(4);
    if ((out.selectors[1] & 3) !== (USER_CODE & 3)) throw new Error('the handler was not entered from ring 3');
  }
}
