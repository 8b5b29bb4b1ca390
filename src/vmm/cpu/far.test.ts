import assert from 'node:assert/strict';
import { CODE, DATA, FREE, GDT, image, outcome, STACKS, TestCpu, TSS, TSS_SELECTOR, type DescriptorSpec } from './test-cpu';
import { callouts } from './callouts';
import { Segment } from './layout';

const F = FREE.toString(16);
type Cpl = 0 | 3;

/** Far jump and far call to a segment descriptor at FREE: level, selector, descriptor, offset → how JMP ends, how CALL ends. */
const direct: readonly (readonly [string, Cpl, number, DescriptorSpec | undefined, number, string])[] = [
  ['null', 0, 0, undefined, 0, '13:0'],
  ['null with RPL', 0, 3, undefined, 0, '13:0'],
  ['outside the GDT', 0, 0x200, undefined, 0, '13:200'],
  ['data', 0, FREE, { type: 0x13 }, 0, `13:${F}`],
  ['LDT descriptor', 0, FREE, { type: 0x02 }, 0, `13:${F}`],
  ['interrupt gate', 0, FREE, { type: 0x0e }, 0, `13:${F}`],
  ['code of an inner level', 3, FREE | 3, { type: 0x1b, dpl: 0 }, 0, `13:${F}`],
  ['code of an outer level', 0, FREE, { type: 0x1b, dpl: 3 }, 0, `13:${F}`],
  ['RPL above CPL', 0, FREE | 3, { type: 0x1b }, 0, `13:${F}`],
  ['conforming code of an outer level', 0, FREE, { type: 0x1f, dpl: 3 }, 0, `13:${F}`],
  ['absent code', 0, FREE, { type: 0x1b, present: false }, 0, `11:${F}`],
  ['absent and wrong level: level first', 0, FREE, { type: 0x1b, dpl: 3, present: false }, 0, `13:${F}`],
  ['beyond the limit', 0, FREE, { type: 0x1b, limit: 0x1000 }, 0x1001, '13:0'],
  ['at the limit', 0, FREE, { type: 0x1b, limit: 0x1000 }, 0x1000, 'ok'],
  ['conforming code of an inner level', 3, FREE | 3, { type: 0x1f, dpl: 0 }, 5, 'ok'],
  ['execute-only code', 0, FREE, { type: 0x18 }, 5, 'ok'],
  ['busy TSS', 0, TSS_SELECTOR, undefined, 0, `13:${TSS_SELECTOR.toString(16)}`],
  ['available TSS above its DPL', 3, FREE | 3, { type: 0x09, dpl: 0, base: TSS + 0x200, limit: 0x67 }, 0, `13:${F}`],
  ['absent TSS', 0, FREE, { type: 0x09, base: TSS + 0x200, limit: 0x67, present: false }, 0, `11:${F}`],
  ['TSS too short', 0, FREE, { type: 0x09, base: TSS + 0x200, limit: 0x66 }, 0, `10:${F}`],
];

describe('far jump and far call', () => {
  for (const [title, cpl, selector, spec, offset, expected] of direct) {
    for (const name of ['farJump', 'farCall'] as const) {
      it(`${name} to ${title}: ${expected}`, () => {
        const t = new TestCpu().protect(cpl);
        if (spec) t.descriptor(selector, spec);
        const before = image(t);
        const stack = t.cpu.state.esp;
        assert.equal(outcome(() => callouts[name](t.cpu, t.site(), selector, offset)), expected);
        if (expected !== 'ok') {
          assert.equal(image(t), before, 'a fault changes nothing');
          return;
        }
        assert.equal(t.cpu.state.eip, offset);
        assert.equal(t.cpu.state.selector(Segment.CS), (selector & 0xfffc) | cpl);
        assert.equal(t.cpu.state.cpl, cpl);
        assert.equal(stack - t.cpu.state.esp, name === 'farCall' ? 8 : 0);
        if (name === 'farCall') assert.deepEqual(t.stack(2), [0x7c02, CODE[cpl] | cpl]);
        assert.equal(t.memory.bytes[GDT + FREE + 5] & 1, 1, 'accessed');
      });
    }
  }

  it('a call whose frame does not fit is #SS(0) and writes nothing', () => {
    const t = new TestCpu().protect();
    t.cpu.state.setSegment(Segment.SS, DATA[0], 0, 0x7fff, 0x4093);
    t.cpu.state.set32(4, 0x8005);
    assert.equal(outcome(() => callouts.farCall(t.cpu, t.site(), CODE[0], 0)), '12:0');
    assert.deepEqual([...t.memory.bytes.subarray(0x7ff8, 0x8008)], new Array(16).fill(0));
  });

  it('a call whose second push page-faults writes nothing', () => {
    const t = new TestCpu().protect(3);
    t.cpu.state.set32(4, 0x9004);
    t.memory.absent.add(8);
    assert.equal(outcome(() => callouts.farCall(t.cpu, t.site(), CODE[3] | 3, 0)), '14:6');
    assert.equal(t.memory.read(0x9000, 4, false), 0);
    assert.equal(t.cpu.state.esp, 0x9004);
  });

  it('in real mode the selector is the base, the limit stays', () => {
    const t = new TestCpu();
    t.cpu.state.set32(4, 0x1000);
    callouts.farCall(t.cpu, t.site(16), 0x1234, 0x15678);
    assert.deepEqual([t.cpu.state.base(Segment.CS), t.cpu.state.eip], [0x12340, 0x5678]);
    assert.deepEqual(t.stack(2, 2), [0x7c02, 0xf000]);
    assert.equal(outcome(() => callouts.farJump(t.cpu, t.site(32), 0x1234, 0x15678)), '13:0');
  });
});

/** Call gate at FREE: gate type, DPL, presence; code descriptor at FREE+8. */
const gates: readonly (readonly [string, Cpl, { dpl?: number; present?: boolean; target?: number; offset?: number }, DescriptorSpec, string, string])[] = [
  ['gate DPL below CPL', 3, { dpl: 0 }, { type: 0x1b }, `13:${F}`, `13:${F}`],
  ['absent gate', 3, { present: false }, { type: 0x1b }, `11:${F}`, `11:${F}`],
  ['null code selector', 3, { target: 0 }, { type: 0x1b }, '13:0', '13:0'],
  ['code selector outside the GDT', 3, { target: 0x203 }, { type: 0x1b }, '13:200', '13:200'],
  ['target is data', 3, {}, { type: 0x13 }, '13:58', '13:58'],
  ['target of an outer level', 0, {}, { type: 0x1b, dpl: 3 }, '13:58', '13:58'],
  ['target absent', 0, {}, { type: 0x1b, present: false }, '11:58', '11:58'],
  ['offset beyond the limit', 0, { offset: 0x10000 }, { type: 0x1b }, '13:0', '13:0'],
  ['same level', 0, {}, { type: 0x1b }, 'ok', 'ok'],
  ['inner level: only CALL', 3, {}, { type: 0x1b }, '13:58', 'ok'],
  ['conforming inner level', 3, {}, { type: 0x1f }, 'ok', 'ok'],
];

describe('call gates', () => {
  for (const [title, cpl, gate, code, jump, call] of gates) {
    for (const [name, expected] of [['farJump', jump], ['farCall', call]] as const) {
      it(`${name}, ${title}: ${expected}`, () => {
        const t = new TestCpu().protect(cpl);
        t.callGate(FREE, 0xc, gate.target ?? FREE + 8, gate.offset ?? 0x1234, gate.dpl ?? 3, gate.present ?? true);
        t.descriptor(FREE + 8, code);
        const before = image(t);
        assert.equal(outcome(() => callouts[name](t.cpu, t.site(), FREE | cpl, 0xdead)), expected);
        if (expected === 'ok') assert.equal(t.cpu.state.eip, 0x1234);
        else assert.equal(image(t), before, 'a fault changes nothing');
      });
    }
  }

  it('to an inner level switches stacks and copies the parameters', () => {
    const t = new TestCpu().protect(3);
    t.callGate(FREE, 0xc, CODE[1], 0x1234, 3, true, 2);
    t.push([0x11, 0x22]);
    const esp = t.cpu.state.esp;
    t.events.length = 0;
    callouts.farCall(t.cpu, t.site(), FREE | 3, 0);
    const { state } = t.cpu;
    assert.equal(state.cpl, 1);
    assert.equal(state.selector(Segment.CS), CODE[1] | 1);
    assert.equal(state.selector(Segment.SS), DATA[1] | 1);
    assert.equal(state.esp, STACKS + 0x2000 - 24);
    assert.deepEqual(t.stack(6), [0x7c02, CODE[3] | 3, 0x11, 0x22, esp, DATA[3] | 3]);
    assert.ok(t.events.includes('paging privilege cpl1'));
    callouts.farReturn(t.cpu, t.site(), 8);
    assert.deepEqual([state.cpl, state.eip, state.esp, state.selector(Segment.SS)], [3, 0x7c02, esp + 8, DATA[3] | 3]);
  });

  it('of 16 bits push words', () => {
    const t = new TestCpu().protect(3);
    t.callGate(FREE, 0x4, CODE[0], 0x1234, 3, true, 1);
    t.push([0x3344], 2);
    const esp = t.cpu.state.esp;
    callouts.farCall(t.cpu, t.site(), FREE | 3, 0);
    assert.deepEqual(t.stack(5, 2), [0x7c02, CODE[3] | 3, 0x3344, esp & 0xffff, DATA[3] | 3]);
  });

  // The inner stack in the TSS is wrong.
  const stacks: readonly (readonly [string, (t: TestCpu) => void, string])[] = [
    ['TSS too short', (t) => t.cpu.state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 8, 0x8b), '10:48'],
    ['null SS', (t) => t.memory.write(TSS + 8, 2, 0, false), '10:0'],
    ['SS outside the GDT', (t) => t.memory.write(TSS + 8, 2, 0x200, false), '10:200'],
    ['SS with another RPL', (t) => t.memory.write(TSS + 8, 2, DATA[0] | 1, false), '10:28'],
    ['SS with another DPL', (t) => t.memory.write(TSS + 8, 2, DATA[1], false), '10:30'],
    ['SS is code', (t) => t.memory.write(TSS + 8, 2, CODE[0], false), '10:8'],
    ['SS absent', (t) => t.descriptor(DATA[0], { type: 0x13, present: false }), '12:28'],
    ['no room', (t) => t.descriptor(DATA[0], { type: 0x13, limit: 0x100 }), '12:28'],
    ['stack page absent', (t) => t.memory.absent.add((STACKS + 0xff0) >>> 12), '14:2'],
  ];
  for (const [title, prepare, expected] of stacks) {
    it(`inner stack, ${title}: ${expected}`, () => {
      const t = new TestCpu().protect(3);
      t.callGate(FREE, 0xc, CODE[0], 0x1234);
      prepare(t);
      const before = image(t);
      assert.equal(outcome(() => callouts.farCall(t.cpu, t.site(), FREE | 3, 0)), expected);
      assert.equal(image(t), before, 'a fault changes nothing');
    });
  }
});

/** Stack [EIP, CS, (EFLAGS,) ESP, SS] at level 0 or 3; descriptors at FREE (code) and FREE+8 (stack). */
const returns: readonly (readonly [string, Cpl, number, DescriptorSpec, number, DescriptorSpec, number, string])[] = [
  ['null CS', 0, 3, { type: 0x1b }, 0, { type: 0x13 }, 0, '13:0'],
  ['CS outside the GDT', 0, 0x200, { type: 0x1b }, 0, { type: 0x13 }, 0, '13:200'],
  ['CS is data', 0, FREE, { type: 0x13 }, 0, { type: 0x13 }, 0, `13:${F}`],
  ['to an inner level', 3, FREE, { type: 0x1b }, 0, { type: 0x13 }, 0, `13:${F}`],
  ['DPL differs from RPL', 0, FREE | 3, { type: 0x1b }, 0, { type: 0x13 }, 0, `13:${F}`],
  ['conforming DPL above RPL', 0, FREE, { type: 0x1f, dpl: 3 }, 0, { type: 0x13 }, 0, `13:${F}`],
  ['CS absent', 0, FREE, { type: 0x1b, present: false }, 0, { type: 0x13 }, 0, `11:${F}`],
  ['EIP beyond the limit', 0, FREE, { type: 0x1b }, 0, { type: 0x13 }, 0x10000, '13:0'],
  ['same level', 0, FREE, { type: 0x1b }, 0, { type: 0x13 }, 0x1234, 'ok'],
  ['outer level, null SS', 0, FREE | 3, { type: 0x1b, dpl: 3 }, 3, { type: 0x13 }, 0, '13:0'],
  ['outer level, SS outside', 0, FREE | 3, { type: 0x1b, dpl: 3 }, 0x203, { type: 0x13 }, 0, '13:200'],
  ['outer level, SS with another RPL', 0, FREE | 3, { type: 0x1b, dpl: 3 }, FREE + 8, { type: 0x13, dpl: 3 }, 0, '13:58'],
  ['outer level, SS read-only', 0, FREE | 3, { type: 0x1b, dpl: 3 }, (FREE + 8) | 3, { type: 0x11, dpl: 3 }, 0, '13:58'],
  ['outer level, SS with another DPL', 0, FREE | 3, { type: 0x1b, dpl: 3 }, (FREE + 8) | 3, { type: 0x13 }, 0, '13:58'],
  ['outer level, SS absent', 0, FREE | 3, { type: 0x1b, dpl: 3 }, (FREE + 8) | 3, { type: 0x13, dpl: 3, present: false }, 0, '12:58'],
  ['outer level, EIP beyond the limit', 0, FREE | 3, { type: 0x1b, dpl: 3 }, (FREE + 8) | 3, { type: 0x13, dpl: 3 }, 0x10000, '13:0'],
  ['outer level', 0, FREE | 3, { type: 0x1b, dpl: 3 }, (FREE + 8) | 3, { type: 0x13, dpl: 3 }, 0x1234, 'ok'],
  ['conforming code of level 0 at level 3', 0, FREE | 3, { type: 0x1f }, (FREE + 8) | 3, { type: 0x13, dpl: 3 }, 0x1234, 'ok'],
];

describe('far return and IRET', () => {
  for (const [title, cpl, cs, code, ss, data, eip, expected] of returns) {
    for (const name of ['farReturn', 'interruptReturn'] as const) {
      for (const size of [16, 32] as const) {
        if (size === 16 && eip > 0xffff) continue;
        it(`${name} (${size} bits), ${title}: ${expected}`, () => {
          const t = new TestCpu().protect(cpl);
          t.descriptor(FREE, code);
          t.descriptor(FREE + 8, data);
          t.push([eip, cs, ...(name === 'interruptReturn' ? [0x202] : []), 0x9000, ss], size === 16 ? 2 : 4);
          const before = image(t);
          assert.equal(outcome(() => callouts[name](t.cpu, t.site(size), 0)), expected);
          if (expected !== 'ok') {
            assert.equal(image(t), before, 'a fault changes nothing');
            return;
          }
          const { state } = t.cpu;
          assert.deepEqual([state.eip, state.cpl, state.selector(Segment.CS)], [eip, cs & 3, cs]);
          if ((cs & 3) !== cpl) {
            assert.deepEqual([state.esp, state.selector(Segment.SS)], [0x9000, ss]);
            assert.deepEqual(state.segment(Segment.DS), { selector: 0, base: 0, limit: 0, attributes: 0x10000 }, 'inner data segments are dropped');
          }
        });
      }
    }
  }

  it('a stack that ends inside the frame is #SS(0)', () => {
    for (const name of ['farReturn', 'interruptReturn'] as const) {
      const t = new TestCpu().protect();
      t.cpu.state.setSegment(Segment.SS, DATA[0], 0, 0x8003, 0x4093);
      t.cpu.state.set32(4, 0x8000);
      assert.equal(outcome(() => callouts[name](t.cpu, t.site(), 0)), '12:0');
    }
  });

  it('to an outer level keeps the segments that the level may use', () => {
    const t = new TestCpu().protect();
    t.cpu.state.setSegment(Segment.ES, DATA[3] | 3, 0, 0xffffffff, 0xc0f3);
    t.descriptor(FREE, { type: 0x1e });
    callouts.loadSegment(t.cpu, t.site(), Segment.FS, FREE, 0);
    t.push([0, CODE[3] | 3, 0x9000, DATA[3] | 3]);
    callouts.farReturn(t.cpu, t.site(), 0);
    assert.deepEqual([Segment.ES, Segment.DS, Segment.FS, Segment.GS].map((n) => t.cpu.state.selector(n)), [DATA[3] | 3, 0, FREE, 0]);
  });

  // Level, IOPL before, operand size → EFLAGS after popping all ones (VM clear) over all zeros (IOPL kept as set).
  const flags: readonly (readonly [Cpl, number, 16 | 32, number])[] = [
    [0, 0, 32, 0x3d7fd7],
    [0, 0, 16, 0x7fd7],
    [3, 0, 32, 0x254dd7],
    [3, 3, 32, 0x257fd7],
    [3, 3, 16, 0x7fd7],
    [3, 0, 16, 0x4dd7],
  ];
  for (const [cpl, iopl, size, expected] of flags) {
    it(`IRET at CPL ${cpl}, IOPL ${iopl}, ${size} bits changes the flags that it may`, () => {
      const t = new TestCpu().protect(cpl);
      t.cpu.state.eflags = 2 | (iopl << 12);
      t.push([0x100, CODE[cpl] | cpl, 0xfffdffff], 4);
      if (size === 16) {
        t.cpu.state.set32(4, t.cpu.state.esp + 12);
        t.push([0x100, CODE[cpl] | cpl, 0xffff], 2);
      }
      callouts.interruptReturn(t.cpu, t.site(size));
      assert.equal(t.cpu.state.eflags.toString(16), expected.toString(16));
    });
  }

  it('in real mode IRET takes all 16 flags and keeps the upper half', () => {
    const t = new TestCpu();
    t.cpu.state.set32(4, 0x8000);
    t.cpu.state.eflags = 0x10002;
    t.push([0x5678, 0x1234, 0xffff], 2);
    callouts.interruptReturn(t.cpu, t.site(16));
    assert.deepEqual([t.cpu.state.eip, t.cpu.state.base(Segment.CS), t.cpu.state.eflags, t.cpu.state.esp], [0x5678, 0x12340, 0x17fd7, 0x8000]);
  });
});
