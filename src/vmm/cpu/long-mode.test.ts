import assert from 'node:assert/strict';
import { callouts } from './callouts';
import { enter } from './deliver';
import { cpuModels } from './models/models';
import { GPR, KERNEL_GS_BASE, LSTAR, Segment, WIDE_RESULT } from './layout';
import { image, IDT, outcome, STACKS, TestCpu, TSS, TSS_SELECTOR, LDT, GDT } from './test-cpu';
import { CODE, CODE64, CONFORMING64, DATA, FREE, LongCpu } from './test-long';

/** Kernel addresses as numbers of 48 bits, and one that is not canonical. */
const HIGH = 0xffff81000000, NOT_CANONICAL = 0x0000_8000_0000_0000n;

describe('delivery in long mode', () => {
  const rows: readonly (readonly [string, string, (t: LongCpu) => void])[] = [
    ['a 16-bit gate', '13:33', (t) => t.longGate(6, 6, CODE64[0], 0x100)],
    ['a task gate', '13:33', (t) => t.longGate(6, 5, CODE64[0], 0x100)],
    ['a gate that is not present', '11:33', (t) => t.longGate(6, 14, CODE64[0], 0x100, { present: false })],
    ['a null code selector', '13:1', (t) => t.longGate(6, 14, 0, 0x100)],
    ['compatibility code', '13:9', (t) => t.longGate(6, 14, CODE[0], 0x100)],
    ['a data segment', `13:${(DATA[0] | 1).toString(16)}`, (t) => t.longGate(6, 14, DATA[0], 0x100)],
    ['a target that is not canonical', '13:1', (t) => t.longGate(6, 14, CODE64[0], NOT_CANONICAL)],
    ['a stack pointer that is not canonical', '12:1', (t) => { t.longGate(6, 14, CODE64[0], 0x100); t.wide(TSS + 4, NOT_CANONICAL); }],
    ['a TSS without the stack', `10:${(TSS_SELECTOR | 1).toString(16)}`, (t) => {
      t.longGate(6, 14, CODE64[0], 0x100, { ist: 7 });
      t.cpu.state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 0x5a, 0x8b);
    }],
    ['an IDT that ends before it', '13:33', (t) => t.cpu.state.setIdtr(IDT, 6 * 16 + 14)],
  ];
  for (const [title, expected, prepare] of rows) {
    it(`refuses ${title}, and changes nothing`, () => {
      const t = new LongCpu().enter(3);
      prepare(t);
      const before = image(t);
      assert.equal(outcome(() => enterVector(t, 6)), expected);
      assert.equal(image(t), before);
    });
  }

  it('enters level 0 on its stack: SS null, the frame below an aligned pointer', () => {
    const t = new LongCpu().enter(3);
    const { state } = t.cpu;
    t.longGate(13, 14, CODE64[0], HIGH);
    state.rip = 0x7f1234567000;
    state.set64(4, 0x1234_5678_9abc_def0n);
    state.eflags = 0x10202;
    t.wide(TSS + 4, STACKS + 0x1008);
    t.cpu.deliver(13, 'exception', 0x18);
    assert.deepEqual([state.cpl, state.selector(Segment.CS), state.selector(Segment.SS), state.rip], [0, CODE64[0], 0, HIGH]);
    assert.equal(state.address64(4), STACKS + 0x1000 - 48);
    assert.deepEqual(t.frame(4), [0x18, 0x7f1234567000, CODE64[3] | 3, 0x10202]);
    assert.equal(t.frame(5)[4], -1);
    assert.equal(t.readWide(state.address64(4) + 40), DATA[3] | 3, 'RSP is kept as it was, canonical or not');
    assert.equal(state.eflags & 0x10200, 0);
  });
  it('stays on the stack at the same level, aligned; a trap gate keeps IF', () => {
    const t = new LongCpu().enter(0);
    const { state } = t.cpu;
    t.longGate(0x80, 15, CODE64[0], 0x400);
    state.setAddress64(4, STACKS + 0x1ff9);
    state.eflags = 0x302;
    t.cpu.deliver(0x80, 'software');
    assert.equal(state.address64(4), STACKS + 0x1ff0 - 40);
    assert.deepEqual(t.frame(5), [0x7c02, CODE64[0], 0x302, STACKS + 0x1ff9, DATA[0]]);
    assert.equal(state.eflags, 0x202, 'TF is cleared, IF is not');
    assert.equal(state.selector(Segment.SS), DATA[0]);
  });
  it('takes the stack that the gate names, at any level', () => {
    const t = new LongCpu().enter(0);
    t.longGate(8, 14, CODE64[0], 0x400, { ist: 3 });
    t.cpu.deliver(8, 'exception', 0);
    assert.equal(t.cpu.state.address64(4), STACKS + 0x7000 - 48);
    assert.equal(t.cpu.state.selector(Segment.SS), DATA[0]);
  });
  it('comes from compatibility code too', () => {
    const t = new LongCpu().enter(3, false);
    t.longGate(14, 14, CODE64[0], HIGH);
    t.cpu.deliver(14, 'exception', 6);
    assert.equal(t.cpu.state.code64, true);
    assert.deepEqual(t.frame(6), [6, 0x7c02, CODE[3] | 3, t.frame(4)[3], STACKS + 0x4000, DATA[3] | 3]);
    assert.ok(t.events.includes('paging code cpl3') && t.events.includes('paging privilege cpl0'));
  });
  it('a conforming handler keeps the level', () => {
    const t = new LongCpu().enter(3);
    t.longGate(0x40, 14, CONFORMING64, 0x400);
    t.cpu.deliver(0x40, 'external');
    assert.equal(t.cpu.state.cpl, 3);
    assert.equal(t.cpu.state.selector(Segment.CS), CONFORMING64 | 3);
  });
  it('INT n asks for the gate\'s DPL', () => {
    const t = new LongCpu().enter(3);
    t.longGate(0x80, 14, CODE64[0], 0x400);
    assert.equal(outcome(() => callouts.softwareInterrupt(t.cpu, t.site64(), 0x80, 1)), '13:402');
    t.longGate(0x80, 14, CODE64[0], 0x400, { dpl: 3 });
    assert.equal(outcome(() => callouts.softwareInterrupt(t.cpu, t.site64(), 0x80, 1)), 'ok');
    assert.equal(t.frame(1)[0], 0x7c02, 'RIP was behind the instruction already');
  });
  it('ends in shutdown with words when nothing can be delivered', () => {
    const t = new LongCpu().enter(0);
    const end = t.cpu.deliver(13, 'exception', 0);
    assert.equal(end.kind, 'shutdown');
    assert.match(end.kind === 'shutdown' ? end.gate : '', /IDT entry 13 at 0x000030d0: not present/);
  });
});

function enterVector(t: LongCpu, vector: number): void {
  const { state } = t.cpu;
  // The failure alone is wanted, not what the double-fault rules make of it.
  state.count('interrupts');
  enter(t.cpu, vector, 'external');
}

describe('IRET in long mode', () => {
  const back = (values: readonly (number | bigint)[], cpl: 0 | 3 = 0): LongCpu => {
    const t = new LongCpu().enter(cpl);
    t.pushWide(values);
    return t;
  };
  it('returns to level 3 in 64-bit code', () => {
    const t = back([0x7f0000001000, CODE64[3] | 3, 0x203246n, 0x7ffffffff000, DATA[3] | 3]);
    callouts.interruptReturn(t.cpu, t.site64());
    const { state } = t.cpu;
    assert.deepEqual([state.cpl, state.rip, state.address64(4), state.selector(Segment.SS), state.eflags], [3, 0x7f0000001000, 0x7ffffffff000, DATA[3] | 3, 0x203246]);
  });
  it('loads RSP and SS at the same level, where SS may be null', () => {
    const t = back([HIGH, CODE64[0], 2, NOT_CANONICAL, 0]);
    callouts.interruptReturn(t.cpu, t.site64());
    assert.deepEqual([t.cpu.state.rip, t.cpu.state.get64(4), t.cpu.state.selector(Segment.SS)], [HIGH, NOT_CANONICAL, 0]);
  });
  it('returns to compatibility code', () => {
    const t = back([0x8049000, CODE[3] | 3, 0x202, 0xbffff000, DATA[3] | 3]);
    callouts.interruptReturn(t.cpu, t.site64());
    assert.deepEqual([t.cpu.state.code64, t.cpu.state.rip, t.cpu.state.get64(4)], [false, 0x8049000, 0xbffff000n]);
  });
  it('ignores VM, and refuses NT', () => {
    const t = back([0x1000, CODE64[0], 0x20002, STACKS, 0]);
    callouts.interruptReturn(t.cpu, t.site64());
    assert.equal(t.cpu.state.eflags & 0x20000, 0);
    t.cpu.state.eflags = 0x4002;
    assert.equal(outcome(() => callouts.interruptReturn(t.cpu, t.site64())), '13:0');
  });
  const refusals: readonly (readonly [string, string, readonly (number | bigint)[]])[] = [
    ['RIP that is not canonical', '13:0', [NOT_CANONICAL, CODE64[3] | 3, 2, STACKS, DATA[3] | 3]],
    ['a null SS for level 3', '13:0', [0x1000, CODE64[3] | 3, 2, STACKS, 3]],
    ['a null SS for compatibility code', '13:0', [0x1000, CODE[0], 2, STACKS, 0]],
    ['a null CS', '13:0', [0x1000, 0, 2, STACKS, 0]],
    ['SS of another level', `13:${DATA[2].toString(16)}`, [0x1000, CODE64[3] | 3, 2, STACKS, DATA[2] | 2]],
  ];
  for (const [title, expected, values] of refusals) {
    it(`refuses ${title}`, () => {
      const t = back(values);
      const before = image(t);
      assert.equal(outcome(() => callouts.interruptReturn(t.cpu, t.site64())), expected);
      assert.equal(image(t), before);
    });
  }
});

describe('far transfers in long mode', () => {
  const jump = (t: LongCpu, selector: number, offset: bigint, operandSize: 32 | 64 = 64, call = false): string => {
    t.argument(1, offset);
    return outcome(() => (call ? callouts.farCall : callouts.farJump)(t.cpu, t.site64(operandSize), selector, Number(BigInt.asIntN(32, offset))));
  };
  it('jump between 64-bit and compatibility code', () => {
    const t = new LongCpu().enter(0);
    assert.equal(jump(t, CODE[0], 0x1234n, 32), 'ok');
    assert.deepEqual([t.cpu.state.code64, t.cpu.state.rip], [false, 0x1234]);
    assert.equal(jump(t, CODE64[0], 0x5678n, 32), 'ok');
    assert.deepEqual([t.cpu.state.code64, t.cpu.state.rip], [true, 0x5678]);
    assert.equal(jump(t, CODE64[0], BigInt.asUintN(64, -4096n)), 'ok');
    assert.equal(t.cpu.state.rip, 0xfffffffff000);
  });
  it('refuse L with D, addresses that are not canonical, TSSs and task gates', () => {
    const t = new LongCpu().enter(0);
    t.descriptor(FREE, { type: 0x1b, big: true, wide: true });
    assert.equal(jump(t, FREE, 0x1000n), `13:${FREE.toString(16)}`);
    assert.equal(jump(t, CODE64[0], NOT_CANONICAL), '13:0');
    t.descriptor(FREE, { type: 9, base: TSS, limit: 0x67 });
    assert.equal(jump(t, FREE, 0n), `13:${FREE.toString(16)}`);
    t.callGate(FREE, 5, TSS_SELECTOR, 0);
    assert.equal(jump(t, FREE, 0n), `13:${FREE.toString(16)}`);
  });
  it('a call pushes eight bytes each, and RETFQ pops them', () => {
    const t = new LongCpu().enter(0);
    t.cpu.state.rip = HIGH;
    assert.equal(jump(t, CODE64[0], 0x5000n, 64, true), 'ok');
    assert.deepEqual(t.frame(2), [HIGH, CODE64[0]]);
    callouts.farReturn(t.cpu, t.site64(), 0);
    assert.deepEqual([t.cpu.state.rip, t.cpu.state.address64(4)], [HIGH, STACKS + 0x4000]);
  });
  it('a call gate leads to an inner level with RSP0 and a null SS, and RETFQ back', () => {
    const t = new LongCpu().enter(3);
    t.longCallGate(FREE, CODE64[0], HIGH);
    assert.equal(jump(t, FREE | 3, 0n, 64, true), 'ok');
    const { state } = t.cpu;
    assert.deepEqual([state.cpl, state.rip, state.selector(Segment.SS), state.address64(4)], [0, HIGH, 0, STACKS + 0x1000 - 32]);
    assert.deepEqual(t.frame(4), [0x7c02, CODE64[3] | 3, STACKS + 0x4000, DATA[3] | 3]);
    callouts.farReturn(t.cpu, t.site64(), 0);
    assert.deepEqual([state.cpl, state.rip, state.address64(4)], [3, 0x7c02, STACKS + 0x4000]);
  });
  const gates: readonly (readonly [string, string, (t: LongCpu) => void])[] = [
    ['to compatibility code', `13:${CODE[0].toString(16)}`, (t) => t.longCallGate(FREE, CODE[0], 0x1000)],
    ['with a target that is not canonical', '13:0', (t) => t.longCallGate(FREE, CODE64[0], NOT_CANONICAL)],
    ['with a type in its upper half', `13:${FREE.toString(16)}`, (t) => { t.longCallGate(FREE, CODE64[0], 0x1000); t.memory.write(GDT + FREE + 12, 4, 0x100, false); }],
    ['that is not present', `11:${FREE.toString(16)}`, (t) => t.longCallGate(FREE, CODE64[0], 0x1000, { present: false })],
    ['of the 16-bit form', `13:${FREE.toString(16)}`, (t) => t.longCallGate(FREE, CODE64[0], 0x1000, { type: 4 })],
  ];
  for (const [title, expected, prepare] of gates) {
    it(`refuse a call gate ${title}`, () => {
      const t = new LongCpu().enter(3);
      prepare(t);
      const before = image(t);
      assert.equal(jump(t, FREE | 3, 0n, 64, true), expected);
      assert.equal(image(t), before);
    });
  }
});

describe('SYSCALL and its kin', () => {
  const set = (t: LongCpu, address: number, value: bigint): string => {
    t.cpu.state.set32(1, address);
    t.cpu.state.set32(0, Number(BigInt.asUintN(32, value)));
    t.cpu.state.set32(2, Number(BigInt.asUintN(32, value >> 32n)));
    return outcome(() => callouts.wrmsr(t.cpu));
  };
  const ready = (): LongCpu => {
    const t = new LongCpu().enter(0);
    set(t, 0xc0000081, 0x0023_0010_0000_0000n);
    set(t, 0xc0000082, 0xffff_ffff_8100_0000n);
    set(t, 0xc0000084, 0x47700n);
    t.cpu.state.setSegment(Segment.CS, CODE64[3] | 3, 0, 0xffffffff, 0xa0fb);
    t.cpu.state.cpl = 3;
    t.cpu.state.rip = 0x7f0000001234;
    t.cpu.state.eflags = 0x40346;
    return t;
  };
  it('enters level 0 at LSTAR with RIP and RFLAGS in RCX and R11', () => {
    const t = ready();
    const { state } = t.cpu;
    callouts.syscall(t.cpu);
    assert.deepEqual([state.cpl, state.rip, state.address64(1), state.get64(11), state.eflags], [0, HIGH, 0x7f0000001234, 0x40346n, 0x46]);
    assert.deepEqual([state.selector(Segment.CS), state.attributes(Segment.CS), state.selector(Segment.SS), state.attributes(Segment.SS)], [0x10, 0xa09b, 0x18, 0xc093]);
    callouts.sysret(t.cpu, t.site64());
    assert.deepEqual([state.cpl, state.rip, state.eflags, state.selector(Segment.CS), state.selector(Segment.SS)], [3, 0x7f0000001234, 0x40346, 0x33, 0x2b]);
    assert.equal(state.attributes(Segment.CS), 0xa0fb);
  });
  it('SYSRET goes to compatibility code with 32-bit operands', () => {
    const t = ready();
    callouts.syscall(t.cpu);
    callouts.sysret(t.cpu, t.site64(32));
    assert.deepEqual([t.cpu.state.code64, t.cpu.state.rip, t.cpu.state.selector(Segment.CS), t.cpu.state.attributes(Segment.CS)], [false, 0x1234, 0x23, 0xc0fb]);
  });
  it('are undefined outside 64-bit code and with EFER.SCE clear; SYSRET is privileged and checks RCX', () => {
    const t = ready();
    assert.equal(outcome(() => callouts.sysret(t.cpu, t.site64())), '13:0');
    t.cpu.state.efer = 0xd00;
    assert.equal(outcome(() => callouts.syscall(t.cpu)), '6');
    const compatible = new LongCpu().enter(3, false);
    assert.equal(outcome(() => callouts.syscall(compatible.cpu)), '6');
    const kernel = new LongCpu().enter(0);
    kernel.cpu.state.set64(1, NOT_CANONICAL);
    assert.equal(outcome(() => callouts.sysret(kernel.cpu, kernel.site64())), '13:0');
  });
  it('SYSENTER and SYSEXIT have 64-bit pointers in long mode', () => {
    const t = new LongCpu().enter(0);
    assert.equal(set(t, 0x174, 0x10n), 'ok');
    assert.equal(set(t, 0x175, 0xffff_8800_0000_1000n), 'ok');
    assert.equal(set(t, 0x176, NOT_CANONICAL), '13:0');
    assert.equal(set(t, 0x176, 0xffff_ffff_8100_0000n), 'ok');
    const { state } = t.cpu;
    state.setSegment(Segment.CS, CODE[3] | 3, 0, 0xffffffff, 0xc0fb);
    state.cpl = 3;
    callouts.sysenter(t.cpu);
    assert.deepEqual([state.cpl, state.code64, state.rip, state.address64(4)], [0, true, HIGH, 0x880000001000]);
    state.set64(1, 0x7fff_0000n);
    state.set64(2, 0x40_0000n);
    callouts.sysexit(t.cpu, t.site64());
    assert.deepEqual([state.cpl, state.code64, state.rip, state.selector(Segment.CS), state.selector(Segment.SS)], [3, true, 0x400000, 0x33, 0x3b]);
    state.cpl = 0;
    callouts.sysexit(t.cpu, t.site64(32));
    assert.deepEqual([state.code64, state.selector(Segment.CS), state.selector(Segment.SS)], [false, 0x23, 0x2b]);
  });
  const msrs: readonly (readonly [string, number, bigint, string])[] = [
    ['LSTAR that is not canonical', 0xc0000082, NOT_CANONICAL, '13:0'],
    ['FS_BASE that is not canonical', 0xc0000100, NOT_CANONICAL, '13:0'],
    ['FS_BASE of a kernel address', 0xc0000100, 0xffff_8880_0000_0000n, 'ok'],
    ['KERNEL_GS_BASE that is not canonical', 0xc0000102, NOT_CANONICAL, '13:0'],
    ['SFMASK with upper bits', 0xc0000084, 1n << 32n, '13:0'],
    ['TSC_AUX with upper bits', 0xc0000103, 1n << 32n, '13:0'],
    ['EFER without LME in long mode', 0xc0000080, 0x801n, '13:0'],
    ['EFER with LMA as it is', 0xc0000080, 0xd00n, 'ok'],
    ['EFER with a reserved bit', 0xc0000080, 0xd02n, '13:0'],
    ['PAT with type 2', 0x277, 2n, '13:0'],
    ['PAT with type 7', 0x277, 7n, 'ok'],
    ['a variable range beyond the address width', 0x200, 1n << 40n, '13:0'],
    ['a fixed range with type 7', 0x250, 7n, '13:0'],
    ['MTRRCAP', 0xfe, 0n, '13:0'],
    ['an MSR that does not exist', 0x12345, 0n, '13:0'],
  ];
  for (const [title, address, value, expected] of msrs) {
    it(`WRMSR of ${title}: ${expected}`, () => {
      const t = new LongCpu().enter(0);
      assert.equal(set(t, address, value), expected);
    });
  }
  it('bases in MSRs are the segments\' own', () => {
    const t = new LongCpu().enter(0);
    set(t, 0xc0000101, 0xffff_8880_1234_5678n);
    assert.equal(t.cpu.state.base(Segment.GS), 0x888012345678);
    assert.equal(t.cpu.state.u64[KERNEL_GS_BASE >> 3], 0n);
    assert.equal(t.cpu.state.slot(LSTAR), 0);
  });
  it('MSRs of features that a model lacks do not exist', () => {
    const t = new TestCpu(cpuModels.pentium);
    for (const address of [0xc0000080, 0x277, 0x174, 0xc0000082]) {
      t.cpu.state.set32(1, address);
      assert.equal(outcome(() => callouts.rdmsr(t.cpu)), '13:0', address.toString(16));
    }
  });
  it('IA32_TSC_ADJUST moves with the counter', () => {
    const t = new LongCpu().enter(0);
    t.now = 1000;
    set(t, 0x10, 5000n);
    t.cpu.state.set32(1, 0x3b);
    callouts.rdmsr(t.cpu);
    assert.equal(t.cpu.state.get32(0), 4000);
    set(t, 0x3b, 0n);
    callouts.rdtsc(t.cpu);
    assert.equal(t.cpu.state.get32(0), 1000);
  });
  it('RDTSCP brings TSC_AUX', () => {
    const t = new LongCpu().enter(0);
    set(t, 0xc0000103, 7n);
    callouts.rdtscp(t.cpu);
    assert.equal(t.cpu.state.get32(1), 7);
  });
});

describe('control registers in long mode', () => {
  const move = (t: LongCpu, n: number, value: bigint): string => {
    t.argument(1, value);
    return outcome(() => callouts.movToCr(t.cpu, t.site64(), n, Number(BigInt.asIntN(32, value))));
  };
  const rows: readonly (readonly [string, number, bigint, string])[] = [
    ['CR0 with upper bits', 0, 0x1_8000_0011n, '13:0'],
    ['CR0 without PG', 0, 0x11n, '13:0'],
    ['CR3 above the address width', 3, 1n << 40n, '13:0'],
    ['CR3 with bit 63 and no PCIDE', 3, 1n << 63n, '13:0'],
    ['CR3 above 4 GiB', 3, 0x12_3456_7000n, 'ok'],
    ['CR4 without PAE', 4, 0n, '13:0'],
    ['CR4 with upper bits', 4, 0x1_0000_0020n, '13:0'],
    ['CR8 with reserved bits', 8, 16n, '13:0'],
    ['CR8', 8, 15n, 'ok'],
    ['CR9', 9, 0n, '6'],
  ];
  for (const [title, n, value, expected] of rows) {
    it(`${title}: ${expected}`, () => {
      const t = new LongCpu().enter(0);
      const before = image(t);
      assert.equal(move(t, n, value), expected);
      if (expected !== 'ok') assert.equal(image(t), before);
    });
  }
  it('CR2 and CR8 read back whole', () => {
    const t = new LongCpu().enter(0);
    move(t, 2, 0xffff_ffff_8100_0000n);
    callouts.movFromCr(t.cpu, t.site64(), 2);
    assert.equal(t.cpu.state.u64[WIDE_RESULT >> 3], 0xffff_ffff_8100_0000n);
    assert.equal(t.cpu.state.cr2, HIGH);
    move(t, 8, 9n);
    assert.equal(callouts.movFromCr(t.cpu, t.site64(), 8), 9);
  });
  it('is entered by CR0.PG with EFER.LME, CR4.PAE and compatibility code, and left the same way', () => {
    const t = new LongCpu().enter(0, false);
    const { state } = t.cpu;
    callouts.movToCr(t.cpu, t.site(), 0, 0x11);
    assert.deepEqual([state.longMode, state.efer], [false, 0x901]);
    state.cr4 = 0;
    assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), 0, 0x80000011 | 0)), '13:0', 'without PAE');
    state.cr4 = 0x20;
    state.setSegment(Segment.CS, CODE64[0], 0, 0xffffffff, 0xa09b);
    assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), 0, 0x80000011 | 0)), '13:0', 'with CS.L');
    state.setSegment(Segment.CS, CODE[0], 0, 0xffffffff, 0xc09b);
    assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), 0, 0x80000011 | 0)), 'ok');
    assert.deepEqual([state.longMode, state.efer], [true, 0xd01]);
  });
  it('PCIDE needs long mode and a CR3 without an identifier, and keeps paging on', () => {
    const t = new LongCpu().enter(0);
    t.cpu.state.cr3 = 0x1005;
    assert.equal(move(t, 4, 0x20020n), '13:0');
    t.cpu.state.cr3 = 0x1000;
    assert.equal(move(t, 4, 0x20020n), 'ok');
    assert.equal(move(t, 3, (1n << 63n) | 0x2005n), 'ok');
    assert.equal(t.cpu.state.cr3, 0x2005, 'bit 63 is not kept');
    t.cpu.state.setSegment(Segment.CS, CODE[0], 0, 0xffffffff, 0xc09b);
    assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), 0, 0x11)), '13:0');
  });
  const invpcid: readonly (readonly [string, bigint, bigint, bigint, string])[] = [
    ['one address', 0n, 5n, 0x1000n, 'ok'],
    ['an address that is not canonical', 0n, 5n, NOT_CANONICAL, '13:0'],
    ['one context', 1n, 5n, NOT_CANONICAL, 'ok'],
    ['all contexts', 2n, 0n, 0n, 'ok'],
    ['all but global', 3n, 0n, 0n, 'ok'],
    ['type 4', 4n, 0n, 0n, '13:0'],
    ['reserved bits', 2n, 0x1000n, 0n, '13:0'],
  ];
  for (const [title, type, low, high, expected] of invpcid) {
    it(`INVPCID of ${title}: ${expected}`, () => {
      const t = new LongCpu().enter(0);
      t.cpu.state.cr4 |= 0x20000;
      [type, low, high].forEach((value, n) => t.argument(n, value));
      assert.equal(outcome(() => callouts.invpcid(t.cpu, t.site64(), Number(type))), expected);
    });
  }
  it('INVPCID of a context needs PCIDE unless it is 0, and level 0', () => {
    const t = new LongCpu().enter(0);
    [1n, 5n, 0n].forEach((value, n) => t.argument(n, value));
    assert.equal(outcome(() => callouts.invpcid(t.cpu, t.site64(), 1)), '13:0');
    t.argument(1, 0n);
    assert.equal(outcome(() => callouts.invpcid(t.cpu, t.site64(), 1)), 'ok');
    t.cpu.state.cpl = 3;
    assert.equal(outcome(() => callouts.invpcid(t.cpu, t.site64(), 1)), '13:0');
  });
  it('debug registers hold 64-bit addresses; DR6 and DR7 have no upper half', () => {
    const t = new LongCpu().enter(0);
    const put = (n: number, value: bigint): string => {
      t.argument(1, value);
      return outcome(() => callouts.movToDr(t.cpu, t.site64(), n, Number(BigInt.asIntN(32, value))));
    };
    assert.equal(put(0, 0xffff_ffff_8100_0000n), 'ok');
    assert.equal(t.cpu.state.dr(0), HIGH);
    assert.equal(put(7, 1n << 32n), '13:0');
    assert.equal(put(6, 1n << 32n), '13:0');
  });
});

describe('segments and tables in long mode', () => {
  it('LGDT and LIDT take bases of 64 bits that are canonical', () => {
    const t = new LongCpu().enter(0);
    t.argument(1, 0xffff_ffff_8100_0000n);
    assert.equal(outcome(() => callouts.lgdt(t.cpu, t.site64(), 0x7f, 0)), 'ok');
    assert.equal(t.cpu.state.gdtrBase, HIGH);
    t.argument(1, NOT_CANONICAL);
    assert.equal(outcome(() => callouts.lidt(t.cpu, t.site64(), 0x7f, 0)), '13:0');
  });
  it('LTR and LLDT read descriptors of sixteen bytes', () => {
    const t = new LongCpu().enter(0);
    t.descriptor(FREE, { type: 9, base: 0x81000000, limit: 0x67 });
    t.wide(GDT + FREE + 8, 0xffff_ffffn);
    assert.equal(outcome(() => callouts.ltr(t.cpu, t.site64(), FREE)), 'ok');
    assert.equal(t.cpu.state.base(Segment.TR), HIGH);
    assert.equal(t.memory.read(GDT + FREE + 5, 1, false) & 0xf, 11, 'busy now');
    t.descriptor(FREE, { type: 2, base: LDT, limit: 0xff });
    t.wide(GDT + FREE + 8, 0x8000n);
    assert.equal(outcome(() => callouts.lldt(t.cpu, t.site64(), FREE)), `13:${FREE.toString(16)}`, 'a base that is not canonical');
    t.descriptor(FREE, { type: 1, base: TSS, limit: 0x67 });
    assert.equal(outcome(() => callouts.ltr(t.cpu, t.site64(), FREE)), `13:${FREE.toString(16)}`, 'a 16-bit TSS');
  });
  const nulls: readonly (readonly [string, 0 | 3, boolean, number, string])[] = [
    ['level 0 of 64-bit code', 0, true, 0, 'ok'],
    ['level 0 with another RPL', 0, true, 3, '13:0'],
    ['level 3', 3, true, 3, '13:0'],
    ['compatibility code', 0, false, 0, '13:0'],
  ];
  for (const [title, cpl, wide, selector, expected] of nulls) {
    it(`a null SS in ${title}: ${expected}`, () => {
      const t = new LongCpu().enter(cpl, wide);
      assert.equal(outcome(() => callouts.loadSegment(t.cpu, t.site64(), Segment.SS, selector, 0)), expected);
    });
  }
  it('LAR and LSL know the types that long mode has', () => {
    const t = new LongCpu().enter(0);
    const types: readonly (readonly [number, number, number])[] = [[1, 0, 0], [2, 1, 1], [3, 0, 0], [4, 0, 0], [5, 0, 0], [9, 1, 1], [11, 1, 1], [12, 1, 0], [14, 0, 0]];
    for (const [type, lar, lsl] of types) {
      t.descriptor(FREE, { type });
      assert.deepEqual([callouts.lar(t.cpu, t.site64(), FREE), callouts.lsl(t.cpu, t.site64(), FREE)], [lar, lsl], `type ${type}`);
    }
  });
  it('a null selector in FS clears its base', () => {
    const t = new LongCpu().enter(0);
    t.cpu.state.setSegment(Segment.FS, 0, 0x7f0000000000, 0, 0x10000);
    callouts.loadSegment(t.cpu, t.site64(), Segment.FS, 0, 0);
    assert.equal(t.cpu.state.base(Segment.FS), 0);
  });
  it('AC tells paging where it matters', () => {
    const t = new LongCpu().enter(0);
    callouts.setAlignmentFlag(t.cpu, t.site64(), 1);
    assert.deepEqual(t.events, []);
    t.cpu.state.cr4 |= 0x200000;
    callouts.setAlignmentFlag(t.cpu, t.site64(), 0);
    assert.deepEqual(t.events, ['paging flags cpl0']);
    t.cpu.state.cpl = 3;
    assert.equal(outcome(() => callouts.setAlignmentFlag(t.cpu, t.site64(), 1)), '6');
  });
  it('keeps all bits of registers', () => {
    const t = new LongCpu().enter(0);
    t.cpu.state.u64[(GPR >> 3) + 15] = 0x8877665544332211n;
    assert.equal(t.cpu.state.get64(15), 0x8877665544332211n);
  });
});
