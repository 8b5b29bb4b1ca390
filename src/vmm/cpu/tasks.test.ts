import assert from 'node:assert/strict';
import { CODE, DATA, FREE, GDT, image, outcome, TestCpu, TSS, TSS_SELECTOR } from './test-cpu';
import { callouts } from './callouts';
import { GuestFault } from './exceptions';
import { Segment } from './layout';
import { PageFault } from '../mmu/types';

const NEXT = TSS + 0x200;

/** A 32-bit task at FREE whose registers are 0xA0+n, running at level 0 at 0x2000. */
function withTask(change: (t: TestCpu) => void = () => undefined): TestCpu {
  const t = new TestCpu().protect();
  t.descriptor(FREE, { type: 0x09, base: NEXT, limit: 0x67 });
  t.descriptor(TSS_SELECTOR, { type: 0x0b, base: TSS, limit: 0x67 });
  const put = (offset: number, value: number): void => t.memory.write(NEXT + offset, 4, value, false);
  put(0x20, 0x2000);
  put(0x24, 0x202);
  for (let n = 0; n < 8; n++) put(0x28 + 4 * n, n === 4 ? 0xa000 : 0xa0 + n);
  [DATA[0], CODE[0], DATA[0], DATA[0], 0, DATA[0]].forEach((selector, n) => put(0x48 + 4 * n, selector));
  change(t);
  t.cpu.state.set32(0, 0x11112222);
  t.cpu.state.eflags = 0x246;
  return t;
}
const busy = (t: TestCpu, selector: number): boolean => (t.memory.bytes[GDT + selector + 5] & 2) !== 0;

describe('task switch', () => {
  it('JMP saves the old task, loads the new one, and moves the busy mark', () => {
    const t = withTask();
    callouts.farJump(t.cpu, t.site(), FREE, 0xdead);
    const { state } = t.cpu;
    assert.deepEqual([state.eip, state.eflags, state.esp, state.get32(0), state.get32(7)], [0x2000, 0x202, 0xa000, 0xa0, 0xa7]);
    assert.deepEqual([0, 1, 2, 3, 4, 5, 7].map((n) => state.selector(n)), [DATA[0], CODE[0], DATA[0], DATA[0], 0, DATA[0], FREE]);
    assert.deepEqual([state.base(Segment.TR), state.attributes(Segment.TR)], [NEXT, 0x408b], 'TR holds the new TSS, busy');
    assert.equal(state.attributes(Segment.LDTR) & 0x10000, 0x10000, 'null LDT');
    assert.ok(state.cr0 & 8, 'CR0.TS');
    assert.deepEqual([busy(t, TSS_SELECTOR), busy(t, FREE)], [false, true]);
    const saved = (offset: number): number => t.memory.read(TSS + offset, 4, false);
    assert.deepEqual([saved(0x20), saved(0x24), saved(0x28), saved(0x38), saved(0x4c)], [0x7c02, 0x246, 0x11112222, 0xc000, CODE[0]]);
  });

  it('CALL links and sets NT; IRET goes back', () => {
    const t = withTask();
    callouts.farCall(t.cpu, t.site(), FREE, 0);
    assert.deepEqual([t.cpu.state.eflags, t.memory.read(NEXT, 2, false)], [0x4202, TSS_SELECTOR]);
    assert.deepEqual([busy(t, TSS_SELECTOR), busy(t, FREE)], [true, true]);
    t.cpu.state.set32(0, 0x77);
    t.cpu.state.eip = 0x2010;
    callouts.interruptReturn(t.cpu, t.site());
    const { state } = t.cpu;
    assert.deepEqual([state.eip, state.eflags, state.get32(0), state.selector(Segment.TR)], [0x7c02, 0x246, 0x11112222, TSS_SELECTOR]);
    assert.deepEqual([busy(t, TSS_SELECTOR), busy(t, FREE)], [true, false]);
    assert.deepEqual([0x20, 0x24, 0x28].map((offset) => t.memory.read(NEXT + offset, 4, false)), [0x2010, 0x202, 0x77], 'saved without NT');
  });

  it('through a task gate of a fault pushes the error code and saves RF', () => {
    const t = withTask((u) => u.idtGate(13, 5, FREE, 0));
    t.cpu.raise(new GuestFault(13, 0x18, 'test'));
    assert.deepEqual([t.cpu.state.eip, t.cpu.state.esp, t.stack(1)[0]], [0x2000, 0xa000 - 4, 0x18]);
    assert.equal(t.memory.read(TSS + 0x24, 4, false), 0x10246);
  });

  it('to a 16-bit TSS loads words', () => {
    const t = withTask((u) => {
      u.descriptor(FREE, { type: 0x01, base: NEXT, limit: 0x2b });
      u.memory.bytes.fill(0, NEXT, NEXT + 0x100);
      const put = (offset: number, value: number): void => u.memory.write(NEXT + offset, 2, value, false);
      put(0x0e, 0x3000);
      put(0x10, 0x202);
      put(0x12, 0x1234);
      put(0x1a, 0x9000);
      [DATA[0], CODE[0], DATA[0], DATA[0]].forEach((selector, n) => put(0x22 + 2 * n, selector));
    });
    callouts.farJump(t.cpu, t.site(), FREE, 0);
    const { state } = t.cpu;
    assert.deepEqual([state.eip, state.get16(0), state.get16(4), state.selector(Segment.FS)], [0x3000, 0x1234, 0x9000, 0]);
  });

  it('ends local breakpoints, and the T flag leaves a debug trap pending', () => {
    const t = withTask((u) => u.memory.write(NEXT + 0x64, 2, 1, false));
    t.cpu.state.setDr(7, 0x40f);
    callouts.farJump(t.cpu, t.site(), FREE, 0);
    assert.equal(t.cpu.state.dr(7), 0x40a);
    t.idtGate(1, 0xe, CODE[0], 0x100);
    t.cpu.debugTrap(0);
    assert.deepEqual([t.cpu.state.dr(6), t.cpu.state.eip, t.cpu.pendingDebug], [0xffff8ff0, 0x100, 0]);
  });

  // Wrong before the commit point: the old task is untouched.
  const before: readonly (readonly [string, (t: TestCpu) => void, string])[] = [
    ['TSS too short', (t) => t.descriptor(FREE, { type: 0x09, base: NEXT, limit: 0x66 }), '10:50'],
    ['TSS busy', (t) => t.descriptor(FREE, { type: 0x0b, base: NEXT, limit: 0x67 }), '13:50'],
    ['TSS absent', (t) => t.descriptor(FREE, { type: 0x09, base: NEXT, limit: 0x67, present: false }), '11:50'],
    ['TSS page absent', (t) => { t.descriptor(FREE, { type: 0x09, base: 0x10000, limit: 0x67 }); t.memory.absent.add(0x10); }, '14:2'],
    ['current TSS too short', (t) => t.cpu.state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 0x60, 0x8b), '10:48'],
  ];
  for (const [title, change, expected] of before) {
    it(`${title}: ${expected}, nothing changed`, () => {
      const t = withTask(change);
      const state = image(t);
      const memory = t.memory.bytes.slice();
      assert.equal(outcome(() => callouts.farCall(t.cpu, t.site(), FREE, 0)), expected);
      assert.equal(image(t), state);
      assert.deepEqual(t.memory.bytes, memory);
    });
  }

  // Wrong behind the commit point: the fault is the new task's.
  const put = (offset: number, value: number) => (t: TestCpu): void => t.memory.write(NEXT + offset, 2, value, false);
  const after: readonly (readonly [string, (t: TestCpu) => void, string])[] = [
    ['LDT in the LDT', put(0x60, 0x0c), '10:c'],
    ['LDT is code', put(0x60, CODE[0]), '10:8'],
    ['CS null', put(0x4c, 0), '10:0'],
    ['CS outside', put(0x4c, 0x200), '10:200'],
    ['CS is data', put(0x4c, DATA[0]), '10:28'],
    ['CS with another RPL', put(0x4c, CODE[0] | 3), '10:8'],
    ['CS absent', (t) => t.descriptor(CODE[0], { type: 0x1b, present: false }), '11:8'],
    ['SS null', put(0x50, 0), '10:0'],
    ['SS with another RPL', put(0x50, DATA[0] | 1), '10:28'],
    ['SS of another level', put(0x50, DATA[3] | 3), '10:40'],
    ['SS absent', (t) => { t.descriptor(FREE + 8, { type: 0x13, present: false }); put(0x50, FREE + 8)(t); }, '12:58'],
    ['DS execute-only', (t) => { t.descriptor(FREE + 8, { type: 0x18 }); put(0x54, FREE + 8)(t); }, '10:58'],
    ['GS absent', (t) => { t.descriptor(FREE + 8, { type: 0x13, present: false }); put(0x5c, FREE + 8)(t); }, '11:58'],
    ['EIP beyond CS', (t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0x1fff }), '13:0'],
  ];
  for (const [title, change, expected] of after) {
    it(`${title}: ${expected} in the new task`, () => {
      const t = withTask(change);
      let fault: unknown;
      assert.equal(outcome(() => {
        try {
          callouts.farJump(t.cpu, t.site(), FREE, 0);
        } catch (error) {
          fault = error;
          throw error;
        }
      }), expected);
      assert.ok(fault instanceof GuestFault && fault.afterTaskSwitch);
      assert.deepEqual([t.cpu.state.selector(Segment.TR), t.cpu.state.eip], [FREE, 0x2000]);
    });
  }

  it('a return link that is not a busy TSS is #TS', () => {
    const t = withTask();
    t.cpu.state.eflags = 0x4002;
    t.memory.write(TSS, 2, FREE, false);
    assert.equal(outcome(() => callouts.interruptReturn(t.cpu, t.site())), '10:50');
    t.memory.write(TSS, 2, 4, false);
    assert.equal(outcome(() => callouts.interruptReturn(t.cpu, t.site())), '10:4');
  });

  it('with paging loads CR3, and a page fault in the new address space is the new task\'s', () => {
    const t = withTask((u) => u.memory.write(NEXT + 0x1c, 4, 0x6fff, false));
    t.cpu.state.cr0 |= 0x80000000;
    const read = t.memory.read.bind(t.memory);
    t.memory.read = (linear, bytes, user) => {
      if (t.cpu.state.cr3 && linear === GDT + CODE[0]) throw new PageFault(linear, 0);
      return read(linear, bytes, user);
    };
    assert.throws(() => callouts.farJump(t.cpu, t.site(), FREE, 0), (error: GuestFault) =>
      error.vector === 14 && error.linear === GDT + CODE[0] && error.afterTaskSwitch);
    assert.equal(t.cpu.state.cr3, 0x6fff);
    assert.ok(t.events.includes('paging cr3 cpl0'));
  });

  it('with PAE paging loads the PDPTE registers; reserved bits are the new task\'s #GP(0)', () => {
    for (const [entry, expected] of [[0x7001, 'ok'], [0x7003, '13:0']] as const) {
      const t = withTask((u) => u.memory.write(NEXT + 0x1c, 4, 0x6020, false));
      t.memory.write(0x6028, 4, entry, false);
      t.cpu.state.cr0 |= 0x80000000;
      t.cpu.state.cr4 = 0x20;
      t.cpu.state.cr3 = 0x5000;
      let after = false;
      assert.equal(outcome(() => {
        try {
          callouts.farJump(t.cpu, t.site(), FREE, 0);
        } catch (error) {
          after = error instanceof GuestFault && error.afterTaskSwitch === true;
          throw error;
        }
      }), expected);
      assert.equal(after, expected !== 'ok');
      assert.deepEqual([t.cpu.state.pdptes[2], t.cpu.state.cr3, t.cpu.state.eip], expected === 'ok' ? [0x7001, 0x6020, 0x2000] : [0, 0x5000, 0x2000]);
    }
  });
});
