import assert from 'node:assert/strict';
import { CODE, DATA, FREE, image, outcome, STACKS, TestCpu, TSS } from './test-cpu';
import { callouts } from './callouts';
import { enter } from './deliver';
import { generalProtection, undefinedOpcode } from './exceptions';
import { Segment, SYSENTER_CS, SYSENTER_EIP } from './layout';

const VM = 0x20000, VIF = 0x80000, VIP = 0x100000, IOPL3 = 0x3000;
const VME = 1, PVI = 2;
/** Where the 8086 program's CS and SS are: any of its memory is below 128 KiB. */
const CS86 = 0x0a12, SS86 = 0x0b00;
/** Offset of the redirection bitmap and of the I/O bitmap in the TSS of these tests. */
const REDIRECTION = 0x68, IO_MAP = 0x88;

const frame = (eflags: number, eip = 0x1234, esp = 0x12340100): number[] => [eip, CS86, VM | eflags, esp, SS86, 0x0c01, 0x0d02, 0x0e03, 0x0f04];

/** A processor that IRETD has brought into virtual-8086 mode with these flags. */
function virtual(eflags: number, cr4 = 0): TestCpu {
  const t = new TestCpu().protect();
  t.cpu.state.cr4 = cr4;
  t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 0x200, 0x8b);
  t.memory.write(TSS + 0x66, 2, IO_MAP, false);
  t.push(frame(eflags));
  callouts.interruptReturn(t.cpu, t.site());
  t.events.length = 0;
  return t;
}
const flags = (t: TestCpu): string => t.cpu.state.eflags.toString(16);

describe('entering virtual-8086 mode', () => {
  it('by IRETD loads all segments as an 8086 has them, at CPL 3', () => {
    const t = new TestCpu().protect();
    t.push(frame(VIP | VIF | 0x7fd7 & ~0x28));
    callouts.interruptReturn(t.cpu, t.site());
    const { state } = t.cpu;
    assert.equal(flags(t), '1a7fd7');
    assert.deepEqual([state.mode, state.cpl, state.eip, state.esp, state.stackPointer], ['vm86', 3, 0x1234, 0x12340100, 0x100]);
    const expected = [0x0c01, CS86, SS86, 0x0d02, 0x0e03, 0x0f04];
    expected.forEach((selector, n) => {
      assert.deepEqual(state.segment(n), { selector, base: selector << 4, limit: 0xffff, attributes: 0xf3 });
    });
    assert.ok(t.events.includes('context'), 'the translator is told');
    assert.ok(t.events.includes('paging privilege cpl3'));
  });

  const failures: readonly (readonly [string, (t: TestCpu) => void, string])[] = [
    ['EIP beyond 64 KiB', (t) => t.push(frame(2, 0x10000)), '13:0'],
    ['a stack that ends inside the frame', (t) => {
      t.push(frame(2));
      t.cpu.state.setSegment(Segment.SS, DATA[0], 0, t.cpu.state.esp + 34, 0x4093);
    }, '12:0'],
  ];
  for (const [title, prepare, expected] of failures) {
    it(`${title}: ${expected}`, () => {
      const t = new TestCpu().protect();
      prepare(t);
      const before = image(t);
      assert.equal(outcome(() => callouts.interruptReturn(t.cpu, t.site())), expected);
      assert.equal(image(t), before);
    });
  }

  it('is for ring 0 and for the 32-bit IRET only', () => {
    const t = new TestCpu().protect(3);
    t.push([0x100, CODE[3] | 3, VM | 0x202]);
    callouts.interruptReturn(t.cpu, t.site());
    assert.equal(t.cpu.state.mode, 'protected32');
    assert.equal(flags(t), '2');
  });

  it('by a task switch; the task gate of an interrupt saves VM on the way back', () => {
    const next = TSS + 0x400;
    const t = new TestCpu().protect();
    t.descriptor(FREE, { type: 0x09, base: next, limit: 0x67 });
    t.descriptor(0x48, { type: 0x0b, base: TSS, limit: 0x67 });
    t.memory.write(next + 0x20, 4, 0x1234, false);
    t.memory.write(next + 0x24, 4, VM | 0x3202, false);
    [0xc01, CS86, SS86, 0xd02, 0xe03, 0xf04].forEach((selector, n) => t.memory.write(next + 0x48 + 4 * n, 4, selector, false));
    callouts.farJump(t.cpu, t.site(), FREE, 0);
    const { state } = t.cpu;
    assert.deepEqual([state.mode, state.cpl, state.eip, flags(t)], ['vm86', 3, 0x1234, '23202']);
    assert.deepEqual(state.segment(Segment.DS), { selector: 0xd02, base: 0xd020, limit: 0xffff, attributes: 0xf3 });
    assert.deepEqual(state.segment(Segment.CS), { selector: CS86, base: CS86 << 4, limit: 0xffff, attributes: 0xf3 });
    t.idtGate(0x21, 5, 0x48, 0);
    t.memory.write(TSS + 0x20, 4, 0x5000, false);
    t.memory.write(TSS + 0x24, 4, 2, false);
    [DATA[0], CODE[0], DATA[0], DATA[0], 0, 0].forEach((selector, n) => t.memory.write(TSS + 0x48 + 4 * n, 4, selector, false));
    assert.equal(t.cpu.deliver(0x21, 'external').kind, 'delivered');
    assert.deepEqual([state.mode, state.cpl, flags(t)], ['protected32', 0, '4002']);
    assert.equal(t.memory.read(next + 0x24, 4, false), VM | 0x3202);
  });
});

describe('segments inside virtual-8086 mode', () => {
  it('MOV and far transfers need no descriptors', () => {
    const t = virtual(2);
    callouts.loadSegment(t.cpu, t.site(16), Segment.DS, 0xffff, 0);
    assert.deepEqual(t.cpu.state.segment(Segment.DS), { selector: 0xffff, base: 0xffff0, limit: 0xffff, attributes: 0xf3 });
    callouts.farCall(t.cpu, t.site(16), 0x1001, 0x20);
    assert.deepEqual([t.cpu.state.base(Segment.CS), t.cpu.state.attributes(Segment.CS), t.cpu.state.cpl], [0x10010, 0xf3, 3]);
    assert.deepEqual(t.stack(2, 2), [0x7c02, CS86]);
    callouts.farReturn(t.cpu, t.site(16), 0);
    assert.deepEqual([t.cpu.state.eip, t.cpu.state.selector(Segment.CS)], [0x7c02, CS86]);
  });
});

describe('interrupts out of virtual-8086 mode', () => {
  for (const [type, bytes, left] of [[0xe, 4, '46'], [0xf, 4, '246'], [0x6, 2, '46'], [0x7, 2, '246']] as const) {
    it(`gate type ${type.toString(16)}: nine values on the stack of ring 0, data segments null`, () => {
      const t = virtual(0x4246);
      t.idtGate(13, type, CODE[0], 0x300);
      t.cpu.raise(generalProtection(0x18, 'test'));
      const { state } = t.cpu;
      const mask = bytes === 2 ? 0xffff : 0xffffffff;
      assert.deepEqual(t.stack(10, bytes), [0x18, ...frame(0x14246)].map((value) => (value & mask) >>> 0));
      assert.deepEqual([state.mode, state.cpl, state.eip, state.esp, flags(t)], ['protected32', 0, 0x300, STACKS + 0x1000 - 10 * bytes, left]);
      assert.deepEqual([state.selector(Segment.CS), state.selector(Segment.SS)], [CODE[0], DATA[0]]);
      for (const n of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) {
        assert.deepEqual(state.segment(n), { selector: 0, base: 0, limit: 0, attributes: 0x10000 });
      }
      assert.ok(t.events.includes('context') && t.events.includes('paging privilege cpl0'));
      if (bytes === 2) return;
      state.stackPointer += 4;
      callouts.interruptReturn(t.cpu, t.site());
      assert.deepEqual([state.mode, flags(t), state.selector(Segment.GS), state.esp], ['vm86', '34246', 0x0f04, 0x12340100]);
    });
  }

  const failures: readonly (readonly [string, (t: TestCpu) => void, string])[] = [
    ['a conforming handler', (t) => { t.descriptor(FREE, { type: 0x1e }); t.idtGate(6, 0xe, FREE, 0x100); }, '13:51'],
    ['a handler of ring 3', (t) => t.idtGate(6, 0xe, CODE[3] | 3, 0x100), '13:21'],
    ['a handler of ring 1', (t) => t.idtGate(6, 0xe, CODE[1] | 1, 0x100), '13:11'],
    ['room for eight values only', (t) => {
      t.idtGate(6, 0xe, CODE[0], 0x100);
      t.descriptor(DATA[0], { type: 0x17, limit: STACKS + 0x1000 - 36 });
    }, '12:29'],
  ];
  for (const [title, prepare, expected] of failures) {
    it(`${title}: ${expected}`, () => {
      const t = virtual(0x202);
      prepare(t);
      const before = image(t);
      assert.equal(outcome(() => enter(t.cpu, 6, 'external')), expected);
      assert.equal(image(t), before);
    });
  }

  it('SYSENTER leaves to ring 0 with flat segments', () => {
    const t = virtual(VIF | 0x3202, VME);
    t.cpu.state.u32[SYSENTER_CS >> 2] = CODE[0];
    t.cpu.state.u32[SYSENTER_EIP >> 2] = 0x400;
    callouts.sysenter(t.cpu);
    const { state } = t.cpu;
    assert.deepEqual([state.mode, state.cpl, state.eip, flags(t), state.selector(Segment.DS)], ['protected32', 0, 0x400, '83002', 0x0d02]);
    assert.ok(t.events.includes('context'));
  });

  it('the handler keeps VIF and VIP, unless the processor is told to clear them', () => {
    for (const [clear, expected] of [[false, '180002'], [true, '2']] as const) {
      const t = virtual(VIF | VIP | 0x202, VME);
      t.cpu.clearVirtualInterruptFlagOnEntry = clear;
      t.idtGate(6, 0xe, CODE[0], 0x100);
      t.cpu.raise(undefinedOpcode('test'));
      assert.equal(flags(t), expected);
      assert.equal(t.stack(3)[2], VM | VIF | VIP | 0x10202, 'the image has them either way');
    }
  });
  it('so does a handler of protected-mode code', () => {
    for (const [clear, expected] of [[false, '180002'], [true, '2']] as const) {
      const t = new TestCpu().protect(3);
      t.cpu.clearVirtualInterruptFlagOnEntry = clear;
      t.cpu.state.eflags = VIF | VIP | 0x202;
      t.idtGate(6, 0xe, CODE[0], 0x100);
      t.cpu.raise(undefinedOpcode('test'));
      assert.equal(flags(t), expected);
    }
  });
});

/** Instructions that depend on IOPL, as end and flags (and the pushed image) at IOPL 0 and 3 without VME, then at IOPL 0 with VME. */
const popped = (value: number, bytes: number) => (t: TestCpu) => callouts.popFlags(t.cpu, t.site(), value, bytes);
const returned = (image: number, bytes: 2 | 4) => (t: TestCpu) => {
  t.push([0x200, CS86, image], bytes);
  return callouts.interruptReturn(t.cpu, t.site(bytes === 2 ? 16 : 32));
};
interface Case {
  readonly title: string;
  readonly run: (t: TestCpu) => unknown;
  readonly before: number;
  /** 'ok FLAGS' or a fault: IOPL 0, IOPL 3, IOPL 0 with VME, IOPL 3 with VME. */
  readonly ends: readonly [string, string, string, string];
}
const cases: readonly Case[] = [
  { title: 'CLI', run: (t) => callouts.clearInterruptFlag(t.cpu), before: VIF | 0x202, ends: ['13:0', 'ok a3002', 'ok 20202', 'ok a3002'] },
  { title: 'STI', run: (t) => callouts.setInterruptFlag(t.cpu), before: 2, ends: ['13:0', 'ok 23202', 'ok a0002', 'ok 23202'] },
  { title: 'STI with VIP', run: (t) => callouts.setInterruptFlag(t.cpu), before: VIP | 2, ends: ['13:0', 'ok 123202', '13:0', 'ok 123202'] },
  { title: 'CLI with VIP', run: (t) => callouts.clearInterruptFlag(t.cpu), before: VIP | VIF | 2, ends: ['13:0', 'ok 1a3002', 'ok 120002', 'ok 1a3002'] },
  { title: 'POPF of IF', run: popped(0x246, 2), before: 2, ends: ['13:0', 'ok 23246', 'ok a0046', 'ok 23246'] },
  { title: 'POPF of zeros', run: popped(0, 2), before: VIF | 0x4ad7, ends: ['13:0', 'ok a3002', 'ok 20202', 'ok a3002'] },
  { title: 'POPF of IF with VIP', run: popped(0x200, 2), before: VIP | 2, ends: ['13:0', 'ok 123202', '13:0', 'ok 123202'] },
  { title: 'POPF without IF, with VIP', run: popped(0, 2), before: VIP | VIF | 2, ends: ['13:0', 'ok 1a3002', 'ok 120002', 'ok 1a3002'] },
  { title: 'POPF of TF', run: popped(0x100, 2), before: 2, ends: ['13:0', 'ok 23102', '13:0', 'ok 23102'] },
  { title: 'POPF cannot change IOPL', run: popped(0x7002, 2), before: 2, ends: ['13:0', 'ok 27002', 'ok 24002', 'ok 27002'] },
  { title: 'POPFD of ones', run: popped(-1, 4), before: 2, ends: ['13:0', 'ok 267fd7', '13:0', 'ok 267fd7'] },
  { title: 'POPFD of zeros', run: popped(0, 4), before: VIF | VIP | 0x40002, ends: ['13:0', 'ok 1a3002', '13:0', 'ok 1a3002'] },
  { title: 'IRET with IF', run: returned(0x246, 2), before: 2, ends: ['13:0', 'ok 23246', 'ok a0046', 'ok 23246'] },
  { title: 'IRET of zeros', run: returned(0, 2), before: VIF | 0x4ad7, ends: ['13:0', 'ok a3002', 'ok 20202', 'ok a3002'] },
  { title: 'IRET with IF and VIP', run: returned(0x200, 2), before: VIP | 2, ends: ['13:0', 'ok 123202', '13:0', 'ok 123202'] },
  { title: 'IRET with TF', run: returned(0x100, 2), before: 2, ends: ['13:0', 'ok 23102', '13:0', 'ok 23102'] },
  { title: 'IRETD of ones', run: returned(0xffffffff, 4), before: 2, ends: ['13:0', 'ok 277fd7', '13:0', 'ok 277fd7'] },
  { title: 'IRETD of zeros', run: returned(0, 4), before: VIF | VIP | 0x40002, ends: ['13:0', 'ok 1a3002', '13:0', 'ok 1a3002'] },
];

describe('IOPL-sensitive instructions in virtual-8086 mode', () => {
  const settings = [[0, 0], [IOPL3, 0], [0, VME], [IOPL3, VME]] as const;
  for (const { title, run, before, ends } of cases) {
    settings.forEach(([iopl, cr4], n) => {
      it(`${title}, IOPL ${iopl ? 3 : 0}${cr4 ? ', VME' : ''}: ${ends[n]}`, () => {
        const t = virtual(before & ~IOPL3 | iopl, cr4);
        const end = outcome(() => run(t));
        assert.equal(end === 'ok' ? `ok ${flags(t)}` : end, ends[n]);
      });
    });
  }

  it('PUSHF shows neither VM nor RF; under VME its image has VIF as IF, and IOPL 3', () => {
    const pushed = (eflags: number, cr4: number, bytes: number): string => {
      const t = virtual(eflags, cr4);
      const end = outcome(() => t.cpu.state.setScratch(callouts.pushFlagsValue(t.cpu, t.site(), bytes)));
      return end === 'ok' ? callouts.pushFlagsValue(t.cpu, t.site(), bytes).toString(16) : end;
    };
    assert.equal(pushed(0x202, 0, 2), '13:0');
    assert.equal(pushed(VIF | VIP | 0x13246, 0, 4), '183246');
    assert.equal(pushed(0x206, VME, 2), '3006');
    assert.equal(pushed(VIF | 0x6, VME, 2), '3206');
    assert.equal(pushed(VIF | 0x6, VME, 4), '13:0');
  });

  it('INT n is #GP(0) below IOPL 3; INT3 and INTO go through the IDT', () => {
    const t = virtual(0x202);
    for (const vector of [3, 4, 0x21]) t.idtGate(vector, 0xe, CODE[0], 0x100 + vector, 3);
    assert.equal(outcome(() => callouts.softwareInterrupt(t.cpu, t.site(16), 3, 1)), '13:0');
    callouts.softwareInterrupt(t.cpu, t.site(16), 3, 0);
    assert.deepEqual([t.cpu.state.eip, t.stack(2)[1], t.stack(1)[0]], [0x103, CS86, 0x7c02]);
    const u = virtual(0x3202);
    u.idtGate(0x21, 0xe, CODE[0], 0x121, 3);
    callouts.softwareInterrupt(u.cpu, u.site(16), 0x21, 1);
    assert.deepEqual([u.cpu.state.eip, u.cpu.state.cpl], [0x121, 0]);
  });

  it('IN and OUT ask the bitmap whatever IOPL is', () => {
    const t = virtual(0x3202);
    t.memory.write(TSS + IO_MAP + 8, 1, 0x02, false);
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(16), 0x40, 1)), 'ok');
    assert.equal(outcome(() => callouts.portOut(t.cpu, t.site(16), 0x41, 0, 1)), '13:0');
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(16), 0x40, 2)), '13:0');
  });

  it('privileged instructions are #GP(0), those of protected mode #UD', () => {
    const t = virtual(0x3202);
    assert.equal(outcome(() => callouts.hlt(t.cpu)), '13:0');
    assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), 0, 0)), '13:0');
    assert.equal(outcome(() => callouts.ltr(t.cpu, t.site(), 0)), '6');
    assert.equal(outcome(() => callouts.verr(t.cpu, t.site(), 0)), '6');
  });
});

describe('the interrupt redirection bitmap', () => {
  function redirecting(eflags: number, monitors: number): TestCpu {
    const t = virtual(eflags, VME);
    t.memory.write(0x21 * 4, 4, 0x12345678, false);
    t.memory.write(TSS + REDIRECTION + 4, 1, monitors, false);
    t.idtGate(0x21, 0xe, CODE[0], 0x121, 3);
    return t;
  }
  for (const [eflags, pushed, left] of [
    [0x202, 0x3002, '20202'], [VIF | 0x44ad7, 0x7ad7 | 0x200, '64ad7'], [0x3202, 0x3202, '23002'], [VIF | 0x3002, 0x3002, 'a3002'],
  ] as const) {
    it(`bit clear: the program's own handler, flags ${eflags.toString(16)} become ${left}`, () => {
      const t = redirecting(eflags, ~2 & 0xff);
      callouts.softwareInterrupt(t.cpu, t.site(16), 0x21, 1);
      const { state } = t.cpu;
      assert.deepEqual(t.stack(3, 2), [0x7c02, CS86, pushed]);
      assert.deepEqual([state.mode, state.cpl, state.eip, state.base(Segment.CS), flags(t)], ['vm86', 3, 0x5678, 0x12340, left]);
    });
  }
  it('bit set: the IDT at IOPL 3, #GP(0) below', () => {
    const t = redirecting(0x3202, 2);
    callouts.softwareInterrupt(t.cpu, t.site(16), 0x21, 1);
    assert.deepEqual([t.cpu.state.cpl, t.cpu.state.eip], [0, 0x121]);
    const u = redirecting(0x202, 2);
    assert.equal(outcome(() => callouts.softwareInterrupt(u.cpu, u.site(16), 0x21, 1)), '13:0');
  });
  it('external interrupts and exceptions are not redirected', () => {
    const t = redirecting(0x202, 0);
    t.cpu.deliver(0x21, 'external');
    assert.equal(t.cpu.state.cpl, 0);
  });
  const broken: readonly (readonly [string, (t: TestCpu) => void])[] = [
    ['a 16-bit TSS', (t) => t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 0x200, 0x83)],
    ['a TSS that ends before the map base', (t) => t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 0x66, 0x8b)],
    ['a bitmap below the TSS', (t) => t.memory.write(TSS + 0x66, 2, 0x10, false)],
    ['a bitmap beyond the TSS', (t) => t.memory.write(TSS + 0x66, 2, 0x400, false)],
  ];
  for (const [title, prepare] of broken) {
    it(`${title} is #GP(0) and changes nothing`, () => {
      const t = redirecting(0x3202, 0);
      prepare(t);
      t.cpu.state.eip = 0x7c02;
      const before = image(t);
      assert.equal(outcome(() => callouts.softwareInterrupt(t.cpu, t.site(16), 0x21, 1)), '13:0');
      assert.equal(image(t), before);
    });
  }
});

describe('protected-mode virtual interrupts', () => {
  const rows: readonly (readonly [string, 0 | 1 | 3, number, number, 'setInterruptFlag' | 'clearInterruptFlag', string])[] = [
    ['STI', 3, PVI, 0x2, 'setInterruptFlag', 'ok 80002'],
    ['STI with VIP', 3, PVI, VIP | 2, 'setInterruptFlag', '13:0'],
    ['CLI', 3, PVI, VIF | VIP | 0x202, 'clearInterruptFlag', 'ok 100202'],
    ['STI without PVI', 3, VME, 0x2, 'setInterruptFlag', '13:0'],
    ['CLI without PVI', 3, VME, 0x2, 'clearInterruptFlag', '13:0'],
    ['STI at IOPL 3', 3, PVI, 0x3002, 'setInterruptFlag', 'ok 3202'],
    ['STI in ring 1', 1, PVI, 2, 'setInterruptFlag', '13:0'],
    ['CLI in ring 1 at IOPL 1', 1, PVI, 0x1202, 'clearInterruptFlag', 'ok 1002'],
    ['CLI in ring 0', 0, PVI, VIF | 0x202, 'clearInterruptFlag', 'ok 80002'],
  ];
  for (const [title, cpl, cr4, eflags, name, expected] of rows) {
    it(`${title}: ${expected}`, () => {
      const t = new TestCpu().protect(cpl);
      t.cpu.state.cr4 = cr4;
      t.cpu.state.eflags = eflags;
      const end = outcome(() => callouts[name](t.cpu));
      assert.equal(end === 'ok' ? `ok ${flags(t)}` : end, expected);
      assert.equal(t.cpu.state.interruptShadow, end === 'ok' && name === 'setInterruptFlag' && (eflags & IOPL3) !== 0);
    });
  }
  it('PUSHF and POPF know IF only', () => {
    const t = new TestCpu().protect(3);
    t.cpu.state.cr4 = PVI;
    t.cpu.state.eflags = VIF | 2;
    assert.equal(callouts.pushFlagsValue(t.cpu, t.site(), 2) & 0xffff, 2);
    callouts.popFlags(t.cpu, t.site(), 0, 2);
    assert.equal(flags(t), '80002');
  });
});
