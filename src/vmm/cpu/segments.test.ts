import assert from 'node:assert/strict';
import { CODE, DATA, FREE, GDT, outcome, image, TestCpu, type DescriptorSpec } from './test-cpu';
import { callouts } from './callouts';
import { Segment, SCRATCH } from './layout';

const { DS, SS, ES, CS } = { DS: Segment.DS, SS: Segment.SS, ES: Segment.ES, CS: Segment.CS };

/** Register, level, selector's RPL and TI, descriptor (undefined: none) → expected end. The selector is FREE. */
const cases: readonly (readonly [string, number, 0 | 3, number, DescriptorSpec | undefined, string])[] = [
  ['MOV CS', CS, 0, FREE, { type: 0x1b }, '6'],
  ['segment register 6', 6, 0, FREE, { type: 0x13 }, '6'],
  ['SS null', SS, 0, 0, undefined, '13:0'],
  ['SS null with RPL', SS, 3, 3, undefined, '13:0'],
  ['SS outside the GDT', SS, 0, 0x200, undefined, '13:200'],
  ['SS RPL differs from CPL', SS, 0, FREE | 3, { type: 0x13 }, `13:${FREE.toString(16)}`],
  ['SS code', SS, 0, FREE, { type: 0x1b }, `13:${FREE.toString(16)}`],
  ['SS read-only', SS, 0, FREE, { type: 0x11 }, `13:${FREE.toString(16)}`],
  ['SS DPL differs', SS, 0, FREE, { type: 0x13, dpl: 3 }, `13:${FREE.toString(16)}`],
  ['SS absent', SS, 0, FREE, { type: 0x13, present: false }, `12:${FREE.toString(16)}`],
  ['SS wrong and absent: type first', SS, 0, FREE, { type: 0x11, present: false }, `13:${FREE.toString(16)}`],
  ['SS good at level 3', SS, 3, FREE | 3, { type: 0x13, dpl: 3 }, 'ok'],
  ['DS null', DS, 0, 0, undefined, 'ok'],
  ['DS null with RPL 3', DS, 0, 3, undefined, 'ok'],
  ['DS outside the GDT', DS, 0, 0x203, undefined, '13:200'],
  ['DS outside the LDT', DS, 0, 0x104, undefined, '13:104'],
  ['DS in the LDT', DS, 0, 0x0c, { type: 0x13 }, 'ok'],
  ['DS system descriptor', DS, 0, FREE, { type: 0x0b }, `13:${FREE.toString(16)}`],
  ['DS execute-only', DS, 0, FREE, { type: 0x18 }, `13:${FREE.toString(16)}`],
  ['DS readable code', DS, 0, FREE, { type: 0x1a }, 'ok'],
  ['DS CPL above DPL', DS, 3, FREE, { type: 0x13, dpl: 0 }, `13:${FREE.toString(16)}`],
  ['DS RPL above DPL', DS, 0, FREE | 3, { type: 0x13, dpl: 2 }, `13:${FREE.toString(16)}`],
  ['DS conforming code of level 0 at level 3', DS, 3, FREE | 3, { type: 0x1e, dpl: 0 }, 'ok'],
  ['DS absent', DS, 0, FREE, { type: 0x13, present: false }, `11:${FREE.toString(16)}`],
  ['ES good', ES, 3, FREE | 3, { type: 0x13, dpl: 3 }, 'ok'],
];

describe('loading a segment register', () => {
  for (const [title, n, cpl, selector, spec, expected] of cases) {
    it(`${title}: ${expected}`, () => {
      const t = new TestCpu().protect(cpl);
      if (spec) t.descriptor(selector, spec);
      const before = image(t);
      assert.equal(outcome(() => callouts.loadSegment(t.cpu, t.site(), n, selector, 1)), expected);
      if (expected !== 'ok') assert.equal(image(t), before, 'a fault changes nothing');
      else assert.equal(t.cpu.state.selector(n), selector);
      assert.equal(t.cpu.state.interruptShadow, n === SS && expected === 'ok');
    });
  }

  it('sets the accessed bit in the table and in the hidden part', () => {
    const t = new TestCpu().protect();
    t.descriptor(FREE, { type: 0x12, base: 0x12345678, limit: 0x123 });
    callouts.loadSegment(t.cpu, t.site(), DS, FREE, 0);
    assert.equal(t.memory.bytes[GDT + FREE + 5], 0x93);
    assert.deepEqual(t.cpu.state.segment(DS), { selector: FREE, base: 0x12345678, limit: 0x123, attributes: 0x4093 });
  });

  it('a descriptor on an absent page is a page fault of a supervisor read', () => {
    const t = new TestCpu().protect(3);
    t.memory.absent.add(GDT >>> 12);
    assert.equal(outcome(() => callouts.loadSegment(t.cpu, t.site(), DS, FREE | 3, 0)), '14:0');
  });

  it('in real mode sets the base and keeps the limit (unreal mode)', () => {
    const t = new TestCpu();
    t.cpu.state.setSegment(DS, 8, 0, 0xffffffff, 0xc093);
    callouts.loadSegment(t.cpu, t.site(), DS, 0x1234, 0);
    assert.deepEqual(t.cpu.state.segment(DS), { selector: 0x1234, base: 0x12340, limit: 0xffffffff, attributes: 0xc093 });
  });

  it('tells the translator when the form of a segment changes, not when a base moves', () => {
    const t = new TestCpu();
    callouts.loadSegment(t.cpu, t.site(), DS, 0x1000, 0);
    t.events.length = 0;
    callouts.loadSegment(t.cpu, t.site(), DS, 0x2000, 0);
    assert.deepEqual(t.events, []);
    t.protect();
    callouts.loadSegment(t.cpu, t.site(), DS, 0, 0);
    assert.deepEqual(t.events, ['context']);
  });
});

describe('looking at descriptors', () => {
  const t = new TestCpu().protect(3);
  t.descriptor(FREE, { type: 0x11, dpl: 3, limit: 0x1234, present: false });
  t.descriptor(FREE + 8, { type: 0x18, dpl: 3 });
  t.descriptor(FREE + 16, { type: 0x1e, dpl: 0, limit: 0xabcde, pages: true });
  t.descriptor(FREE + 24, { type: 0x0b, dpl: 3, limit: 0x67 });
  t.callGate(FREE + 32, 0xc, CODE[0], 0, 3);
  const rows: readonly (readonly [string, number, number, number, number, number])[] = [
    // title, selector, VERR, VERW, LAR, LSL
    ['null', 0, 0, 0, 0, 0],
    ['outside', 0x200, 0, 0, 0, 0],
    ['read-only data, absent', FREE | 3, 1, 0, 1, 1],
    ['execute-only code', FREE + 8, 0, 0, 1, 1],
    ['conforming code of level 0', (FREE + 16) | 3, 1, 0, 1, 1],
    ['writable data of level 3', DATA[3] | 3, 1, 1, 1, 1],
    ['data of level 0', DATA[0], 0, 0, 0, 0],
    ['busy TSS', FREE + 24, 0, 0, 1, 1],
    ['call gate', FREE + 32, 0, 0, 1, 0],
  ];
  for (const [title, selector, r, w, a, l] of rows) {
    it(`VERR, VERW, LAR, LSL of ${title}`, () => {
      const run = (name: 'verr' | 'verw' | 'lar' | 'lsl'): number => callouts[name](t.cpu, t.site(), selector);
      assert.deepEqual([run('verr'), run('verw'), run('lar'), run('lsl')], [r, w, a, l]);
    });
  }
  it('LAR and LSL answer in the operand size', () => {
    const scratch = (): number => t.cpu.state.u32[SCRATCH >> 2];
    callouts.lar(t.cpu, t.site(32), FREE + 16);
    assert.equal(scratch(), 0x00ca9e00);
    callouts.lar(t.cpu, t.site(16), FREE + 16);
    assert.equal(scratch(), 0x9e00);
    callouts.lsl(t.cpu, t.site(32), FREE + 16);
    assert.equal(scratch(), 0xabcdefff);
  });
  it('are undefined in real mode', () => {
    const real = new TestCpu();
    for (const name of ['verr', 'verw', 'lar', 'lsl'] as const) assert.equal(outcome(() => callouts[name](real.cpu, real.site(), 8)), '6');
  });
});
