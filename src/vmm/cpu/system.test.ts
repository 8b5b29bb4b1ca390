import assert from 'node:assert/strict';
import { CODE, DATA, FREE, GDT, image, LDT, outcome, TestCpu, TSS } from './test-cpu';
import { callouts, type CalloutName } from './callouts';
import { enabledBreakpoints } from './debug';
import { readByName, registerNames, setByName } from './names';
import { Segment } from './layout';

describe('privilege', () => {
  const cpl0: readonly CalloutName[] = [
    'lgdt', 'lidt', 'lldt', 'ltr', 'lmsw', 'clts', 'movToCr', 'movFromCr', 'movToDr', 'movFromDr', 'invlpg', 'wbinvd', 'invd', 'hlt', 'rdmsr', 'wrmsr',
  ];
  for (const name of cpl0) {
    it(`${name} at level 3 is #GP(0)`, () => {
      const t = new TestCpu().protect(3);
      const before = image(t);
      assert.equal(outcome(() => callouts[name](t.cpu, t.site(), 0, 0, 0)), '13:0');
      assert.equal(image(t), before);
      assert.deepEqual(t.events, []);
    });
  }
  it('LLDT and LTR are undefined in real mode', () => {
    const t = new TestCpu();
    assert.equal(outcome(() => callouts.lldt(t.cpu, t.site(), 8)), '6');
    assert.equal(outcome(() => callouts.ltr(t.cpu, t.site(), 8)), '6');
  });
});

describe('descriptor-table registers', () => {
  it('LGDT with 16-bit operands takes 24 bits of base', () => {
    const t = new TestCpu();
    callouts.lgdt(t.cpu, t.site(16), 0x123, 0x12345678 | 0);
    assert.deepEqual([t.cpu.state.gdtrBase, t.cpu.state.gdtrLimit], [0x345678, 0x123]);
    callouts.lidt(t.cpu, t.site(32), 0x3ff, 0xf2345678 | 0);
    assert.deepEqual([t.cpu.state.idtrBase, t.cpu.state.idtrLimit], [0xf2345678, 0x3ff]);
  });
  const loads: readonly (readonly ['lldt' | 'ltr', string, number, number, boolean, string])[] = [
    ['lldt', 'null', 0, 2, true, 'ok'],
    ['lldt', 'in the LDT', FREE | 4, 2, true, '13:54'],
    ['lldt', 'outside', 0x200, 2, true, '13:200'],
    ['lldt', 'a TSS', FREE, 9, true, '13:50'],
    ['lldt', 'absent', FREE, 2, false, '11:50'],
    ['lldt', 'an LDT', FREE, 2, true, 'ok'],
    ['ltr', 'null', 0, 9, true, '13:0'],
    ['ltr', 'in the LDT', FREE | 4, 9, true, '13:54'],
    ['ltr', 'outside', 0x200, 9, true, '13:200'],
    ['ltr', 'busy', FREE, 0xb, true, '13:50'],
    ['ltr', 'an LDT', FREE, 2, true, '13:50'],
    ['ltr', 'data', FREE, 0x13, true, '13:50'],
    ['ltr', 'absent', FREE, 9, false, '11:50'],
    ['ltr', 'a TSS', FREE, 9, true, 'ok'],
  ];
  for (const [name, title, selector, type, present, expected] of loads) {
    it(`${name} of ${title}: ${expected}`, () => {
      const t = new TestCpu().protect();
      t.descriptor(FREE, { type, present, base: 0x5000, limit: 0x67 });
      assert.equal(outcome(() => callouts[name](t.cpu, t.site(), selector)), expected);
      if (expected === 'ok') assert.equal(t.cpu.state.selector(name === 'ltr' ? Segment.TR : Segment.LDTR), selector);
      if (expected === 'ok' && name === 'ltr') assert.equal(t.memory.bytes[GDT + FREE + 5] & 0xf, 0xb, 'marked busy');
    });
  }
  it('a null LDTR makes every LDT selector #GP', () => {
    const t = new TestCpu().protect();
    t.descriptor(4, { type: 0x13 });
    assert.equal(outcome(() => callouts.loadSegment(t.cpu, t.site(), Segment.DS, 4, 0)), 'ok');
    callouts.lldt(t.cpu, t.site(), 0);
    assert.equal(outcome(() => callouts.loadSegment(t.cpu, t.site(), Segment.DS, 4, 0)), '13:4');
    assert.equal(t.memory.bytes[LDT + 5], 0x93);
  });
});

describe('control registers', () => {
  const cr: readonly (readonly [string, number, number, string])[] = [
    ['CR1', 1, 0, '6'],
    ['CR5', 5, 0, '6'],
    ['CR0.PG without PE', 0, 0x80000000, '13:0'],
    ['CR0.NW without CD', 0, 0x20000001, '13:0'],
    ['CR4 with PAE and PGE', 4, 0xa0, 'ok'],
    ['CR4 with UMIP', 4, 0x800, '13:0'],
    ['CR4 with VME and PVI', 4, 0x03, 'ok'],
    ['CR4 with PSE, DE, TSD', 4, 0x1c, 'ok'],
  ];
  for (const [title, n, value, expected] of cr) {
    it(`${title}: ${expected}`, () => {
      const t = new TestCpu();
      const before = image(t);
      assert.equal(outcome(() => callouts.movToCr(t.cpu, t.site(), n, value | 0)), expected);
      if (expected !== 'ok') assert.equal(image(t), before);
    });
  }
  it('ET is always one, reserved CR0 bits are ignored', () => {
    const t = new TestCpu();
    callouts.movToCr(t.cpu, t.site(), 0, 0x0ff0ffc1);
    assert.equal(t.cpu.state.cr0, 0x11);
  });
  it('tells paging and the translator what changed', () => {
    const t = new TestCpu();
    callouts.movToCr(t.cpu, t.site(), 0, 1);
    assert.deepEqual(t.events, ['paging cr0 cpl0', 'context']);
    t.events.length = 0;
    callouts.movToCr(t.cpu, t.site(), 0, 9);
    assert.deepEqual(t.events, [], 'TS concerns neither');
    callouts.movToCr(t.cpu, t.site(), 3, 0x12345fff);
    callouts.movToCr(t.cpu, t.site(), 3, 0x12345fff);
    assert.deepEqual(t.events, ['paging cr3 cpl0', 'paging cr3 cpl0'], 'every load of CR3 flushes');
    assert.equal(t.cpu.state.cr3, 0x12345fff, 'without PAE bits 11:5 have no meaning, but PAE may come later');
  });
  it('LMSW sets PE and never clears it', () => {
    const t = new TestCpu();
    callouts.lmsw(t.cpu, t.site(16), 0xffff);
    assert.equal(t.cpu.state.cr0 & 0xffff, 0x1f);
    callouts.lmsw(t.cpu, t.site(16), 0);
    assert.equal(t.cpu.state.cr0 & 0xffff, 0x11);
  });
});

describe('debug registers', () => {
  it('DR4 and DR5 are DR6 and DR7, or #UD with CR4.DE', () => {
    const t = new TestCpu();
    callouts.movToDr(t.cpu, t.site(), 5, 0xffffffff | 0);
    assert.equal(t.cpu.state.dr(7), 0xffff27ff);
    t.cpu.state.setDr(7, 0x400);
    callouts.movToDr(t.cpu, t.site(), 4, 0);
    assert.equal(callouts.movFromDr(t.cpu, t.site(), 6) >>> 0, 0xffff0ff0);
    t.cpu.state.cr4 = 8;
    assert.equal(outcome(() => callouts.movFromDr(t.cpu, t.site(), 4)), '6');
  });
  it('general detect: #DB with BD, and the handler may reach the registers', () => {
    const t = new TestCpu().protect();
    t.cpu.state.setDr(7, 0x2400);
    t.idtGate(1, 0xe, CODE[0], 0x100);
    assert.throws(() => callouts.movToDr(t.cpu, t.site(), 0, 5), (error: Parameters<typeof t.cpu.raise>[0]) => {
      t.cpu.raise(error);
      return true;
    });
    assert.deepEqual([t.cpu.state.dr(6), t.cpu.state.dr(7), t.cpu.state.dr(0)], [0xffff2ff0, 0x400, 0]);
    assert.equal(t.stack(3)[2] & 0x10000, 0x10000, 'the image has RF set, as that of every fault that no instruction breakpoint raised');
  });
  it('DR7 names the enabled breakpoints', () => {
    const t = new TestCpu();
    const { state } = t.cpu;
    [0x1000, 0x2003, 0x3f8, 0x4003].forEach((value, n) => state.setDr(n, value));
    // 0: execute; 1: write, 4 bytes; 2: I/O, 1 byte; 3: read/write, 2 bytes, global.
    state.setDr(7, 0x400 | 1 | (1 << 2) | (1 << 4) | (2 << 6) | (0xd << 20) | (0x2 << 24) | (0x7 << 28));
    assert.deepEqual(enabledBreakpoints(state), [
      { index: 0, kind: 'execute', length: 1, address: 0x1000 },
      { index: 1, kind: 'write', length: 4, address: 0x2000 },
      { index: 3, kind: 'readWrite', length: 2, address: 0x4002 },
    ]);
    state.cr4 = 8;
    assert.equal(enabledBreakpoints(state).length, 4);
  });
  it('an I/O breakpoint leaves a trap pending behind the instruction', () => {
    const t = new TestCpu();
    t.cpu.state.cr4 = 8;
    t.cpu.state.setDr(2, 0x3f8);
    t.cpu.state.setDr(7, 0x400 | (1 << 4) | (0x6 << 24));
    callouts.portOut(t.cpu, t.site(), 0x3fa, 1, 1);
    assert.equal(t.cpu.pendingDebug, 0);
    callouts.portIn(t.cpu, t.site(), 0x3f7, 2);
    assert.equal(t.cpu.pendingDebug, 4);
  });
});

describe('ports', () => {
  it('reach the board with their width', () => {
    const t = new TestCpu();
    assert.equal(callouts.portIn(t.cpu, t.site(), 0x10060, 1), 0x78);
    callouts.portOut(t.cpu, t.site(), 0x80, 0xabcd, 1);
    assert.deepEqual(t.events, ['in 60 1', 'out 80 1 cd']);
  });
  it('with CPL above IOPL follow the TSS bitmap, both bytes of which must be inside the TSS', () => {
    const t = new TestCpu().protect(3);
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(), 0x60, 1)), '13:0');
    t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 0x68 + 13, 0x8b);
    t.memory.bytes.fill(0xff, TSS + 0x68, TSS + 0x80);
    t.memory.bytes[TSS + 0x68 + 12] = 0xfe;
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(), 0x60, 1)), 'ok');
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(), 0x60, 2)), '13:0');
    assert.equal(outcome(() => callouts.portCheck(t.cpu, t.site(), 0x61, 1)), '13:0');
    t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 0x68 + 12, 0x8b);
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(), 0x60, 1)), '13:0');
    t.cpu.state.eflags = 0x3002;
    assert.equal(outcome(() => callouts.portIn(t.cpu, t.site(), 0x61, 4)), 'ok');
  });
});

describe('flags', () => {
  it('STI and CLI need IOPL', () => {
    const t = new TestCpu().protect(3);
    assert.equal(outcome(() => callouts.setInterruptFlag(t.cpu)), '13:0');
    assert.equal(outcome(() => callouts.clearInterruptFlag(t.cpu)), '13:0');
    t.cpu.state.eflags = 0x3002;
    callouts.setInterruptFlag(t.cpu);
    assert.deepEqual([t.cpu.state.eflags, t.cpu.state.interruptShadow], [0x3202, true]);
  });
  it('STI casts its shadow only when interrupts were off', () => {
    const t = new TestCpu();
    t.cpu.state.eflags = 0x202;
    callouts.setInterruptFlag(t.cpu);
    assert.equal(t.cpu.state.interruptShadow, false);
  });
  // CPL, IOPL, bytes → flags after popping all ones over RF | VIP | VIF and IOPL.
  const pops: readonly (readonly [0 | 3, number, number, number])[] = [
    [0, 0, 4, 0x3c7fd7],
    [3, 0, 4, 0x3c4dd7],
    [3, 3, 4, 0x3c7fd7],
    [0, 0, 2, 0x197fd7],
    [3, 0, 2, 0x194dd7],
  ];
  for (const [cpl, iopl, bytes, expected] of pops) {
    it(`POPF of ${bytes} bytes at CPL ${cpl}, IOPL ${iopl}`, () => {
      const t = new TestCpu().protect(cpl);
      t.cpu.state.eflags = 0x190002 | (iopl << 12);
      callouts.popFlags(t.cpu, t.site(), -1, bytes);
      assert.equal(t.cpu.state.eflags.toString(16), expected.toString(16));
    });
  }
  it('PUSHF shows neither RF nor VM', () => {
    const t = new TestCpu();
    t.cpu.state.eflags = 0x10246;
    assert.equal(callouts.pushFlagsValue(t.cpu, t.site(), 4), 0x246);
  });
});

describe('CPUID, MSRs and time', () => {
  it('EFER has NXE and nothing else', () => {
    const t = new TestCpu();
    const write = (low: number, high = 0): string => {
      t.cpu.state.set32(0, low);
      t.cpu.state.set32(1, 0xc0000080);
      t.cpu.state.set32(2, high);
      return outcome(() => callouts.wrmsr(t.cpu));
    };
    assert.equal(write(0x800), 'ok');
    assert.equal(t.cpu.state.efer, 0x800);
    assert.deepEqual(t.events, ['paging efer cpl0']);
    for (const [low, high] of [[0x801, 0], [0x900, 0], [0, 1]]) assert.equal(write(low, high), '13:0');
    callouts.rdmsr(t.cpu);
    assert.deepEqual([t.cpu.state.get32(2), t.cpu.state.get32(0)], [0, 0x800]);
  });
  it('RDTSC counts instructions and can be written', () => {
    const t = new TestCpu();
    t.now = 0x123456789;
    callouts.rdtsc(t.cpu);
    assert.deepEqual([t.cpu.state.get32(2), t.cpu.state.get32(0)], [1, 0x23456789]);
    t.cpu.state.set32(1, 0x10);
    t.cpu.state.set32(0, 5);
    callouts.wrmsr(t.cpu);
    t.now += 10;
    callouts.rdtsc(t.cpu);
    assert.deepEqual([t.cpu.state.get32(2), t.cpu.state.get32(0)], [0, 15]);
  });
  it('CR4.TSD keeps RDTSC from level 3; undeclared MSRs and counters are #GP(0)', () => {
    const t = new TestCpu().protect(3);
    assert.equal(outcome(() => callouts.rdtsc(t.cpu)), 'ok');
    t.cpu.state.cr4 = 4;
    assert.equal(outcome(() => callouts.rdtsc(t.cpu)), '13:0');
    const u = new TestCpu();
    u.cpu.state.set32(1, 0x1b);
    assert.equal(outcome(() => callouts.rdmsr(u.cpu)), '13:0');
    assert.equal(outcome(() => callouts.wrmsr(u.cpu)), '13:0');
    assert.equal(outcome(() => callouts.rdpmc(u.cpu)), '13:0');
  });
  it('SYSENTER and SYSEXIT switch between flat levels 0 and 3', () => {
    const t = new TestCpu().protect(3);
    const { state } = t.cpu;
    assert.equal(outcome(() => callouts.sysenter(t.cpu)), '13:0');
    for (const [address, value] of [[0x174, CODE[0]], [0x175, 0x9000], [0x176, 0x4000]] as const) {
      state.cpl = 0;
      state.set32(1, address);
      state.set32(0, value);
      callouts.wrmsr(t.cpu);
      state.cpl = 3;
    }
    state.eflags = 0x202;
    assert.equal(outcome(() => callouts.sysexit(t.cpu, t.site())), '13:0');
    callouts.sysenter(t.cpu);
    assert.deepEqual([state.cpl, state.selector(1), state.selector(2), state.esp, state.eip, state.eflags], [0, 8, 0x10, 0x9000, 0x4000, 2]);
    state.set32(1, 0xb000);
    state.set32(2, 0x5000);
    callouts.sysexit(t.cpu, t.site());
    assert.deepEqual([state.cpl, state.selector(1), state.selector(2), state.esp, state.eip], [3, 0x1b, 0x23, 0xb000, 0x5000]);
    assert.equal(state.attributes(2), 0xc0f3);
  });
});

describe('registers by name', () => {
  it('every name can be read, and general ones written back', () => {
    const t = new TestCpu().protect();
    for (const name of registerNames) assert.equal(typeof readByName(t.cpu, name), 'bigint', name);
    assert.equal(setByName(t.cpu, 'EAX', 0x11223344n), undefined);
    assert.equal(setByName(t.cpu, 'ah', 0x55n), undefined);
    assert.equal(readByName(t.cpu, 'eax'), 0x11225544n);
    assert.equal(setByName(t.cpu, 'al', -1n), undefined);
    assert.equal(readByName(t.cpu, 'ax'), 0x55ffn);
    assert.equal(setByName(t.cpu, 'zf', 1n), undefined);
    assert.equal(t.cpu.state.eflags, 0x42);
    assert.equal(setByName(t.cpu, 'ds.limit', 0xffn), undefined);
    assert.equal(readByName(t.cpu, 'ds.limit'), 0xffn);
    assert.equal(readByName(t.cpu, 'xyz'), undefined);
  });
  const refusals: readonly (readonly [string, bigint, string])[] = [
    ['xyz', 0n, "there is no register 'xyz'"],
    ['al', 0x100n, '0x100 does not fit into the 8 bits of al'],
    ['cf', 2n, '0x2 does not fit into the 1 bit of cf'],
    ['cs', 0n, 'cs: CS cannot be null in protected mode'],
    ['cs', BigInt(DATA[0]), 'cs: selector 0x0028 is a writable data segment, not a code segment'],
    ['cs', BigInt(CODE[3] | 3), 'cs: selector 0x0023 has DPL 3, but the processor runs at level 0; the debugger does not change the level'],
    ['ss', 0n, 'ss: the processor would raise #GP(0x0000): null selector for SS'],
    ['cr4', 0x800n, 'cr4: the processor would raise #GP(0x0000): a CR4 bit that this processor model does not have'],
    ['vm', 1n, 'vm: VM changes with all segments and the privilege level only: by IRET, interrupts and task switches'],
    ['efer', 1n, 'efer: the processor would raise #GP(0x0000): an EFER bit that this processor model does not have'],
    ['cpl', 1n, 'cpl: the privilege level changes with CS only'],
  ];
  for (const [name, value, message] of refusals) {
    it(`refuses ${name} = ${value}`, () => {
      const t = new TestCpu().protect();
      const before = image(t);
      assert.equal(setByName(t.cpu, name, value)?.message, message);
      assert.equal(image(t), before);
    });
  }
});
