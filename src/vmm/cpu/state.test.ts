import assert from 'node:assert/strict';
import { LAZY_CARRY, LAZY_SIGN, LAZY_ZERO, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, Segment, STATE_END } from './layout';
import { CpuState } from './state';

function fresh(): CpuState {
  return new CpuState({ buffer: new ArrayBuffer(STATE_END) });
}

describe('processor state', () => {
  it('gives every combination of the arithmetic flags back', () => {
    const state = fresh();
    for (const cf of [0, 1]) for (const pf of [0, 4]) for (const af of [0, 0x10]) for (const zf of [0, 0x40]) for (const sf of [0, 0x80]) for (const of of [0, 0x800]) {
      const value = 2 | cf | pf | af | zf | sf | of | 0x3300;
      state.eflags = value;
      assert.equal(state.eflags, value);
    }
    state.eflags = 0xffffffff;
    assert.equal(state.eflags, 0x3f7fd7, 'reserved bits read as zero, bit 1 as one');
  });

  it('reads the flags of a lazily recorded result', () => {
    const state = fresh();
    state.u32[LAZY_ZERO >> 2] = 0x80000001;
    state.u32[LAZY_SIGN >> 2] = 0x80000001;
    state.u32[LAZY_CARRY >> 2] = 0x40000000;
    assert.equal(state.eflags, 0x80 | 0x800 | 2);
    state.u32[LAZY_SIGN >> 2] = 3;
    state.u32[LAZY_CARRY >> 2] = 0xc0000008;
    assert.equal(state.eflags, 1 | 0x10 | 4 | 2);
  });

  it('names the low parts of a register slot', () => {
    const state = fresh();
    state.set32(0, 0x11223344);
    state.set8(4, 0xaa);
    state.set8(0, 0xbb);
    assert.equal(state.get32(0), 0x1122aabb);
    assert.equal(state.get8(4), 0xaa);
    state.set16(0, 0x7788);
    assert.equal(state.get64(0), 0x11227788n);
  });

  // type bits, limit, D/B → low, readQuick, writeQuick
  const quick: readonly (readonly [string, number, number, number, number, number])[] = [
    ['64 KiB data', 0x93, 0xffff, 0, 0xfff1, 0xfff1],
    ['4 GiB data', 0xc093, 0xffffffff, 0, 0xfffffff1, 0xfffffff1],
    ['read-only data', 0x91, 0xffff, 0, 0xfff1, 0],
    ['readable code', 0x9b, 0xffff, 0, 0xfff1, 0],
    ['execute-only code', 0x99, 0xffff, 0, 0, 0],
    ['conforming readable code', 0x9f, 0xffff, 0, 0xfff1, 0],
    ['expand-down, 16-bit', 0x97, 0x0fff, 0x1000, 0xeff1, 0xeff1],
    ['expand-down, 32-bit', 0x4097, 0x0fff, 0x1000, 0xffffeff1, 0xffffeff1],
    ['expand-down, nothing valid', 0x4097, 0xffffffff, 0, 0, 0],
    ['shorter than an access', 0x93, 14, 0, 0, 0],
    ['just one access', 0x93, 15, 0, 1, 1],
    ['null', 0x10000, 0, 0, 0, 0],
  ];
  for (const [title, attributes, limit, low, read, write] of quick) {
    it(`derives the quick limits of a segment: ${title}`, () => {
      const state = fresh();
      state.setSegment(Segment.DS, 8, 0x1000, limit, attributes);
      const at = (SEGMENTS + Segment.DS * SEGMENT_SIZE) >> 2;
      assert.deepEqual([state.u32[at + (SEGMENT_FIELDS.low >> 2)], state.u32[at + (SEGMENT_FIELDS.readQuick >> 2)], state.u32[at + (SEGMENT_FIELDS.writeQuick >> 2)]], [low, read, write]);
      // Wherever the quick check passes, the exact one must too.
      for (const offset of [low, low + read - 1]) {
        if (read) assert.ok(state.segmentAllows(Segment.DS, offset, 16, false));
        if (write) assert.ok(state.segmentAllows(Segment.DS, offset, 16, true));
      }
      if (!write) assert.ok(limit === 14 || !state.segmentAllows(Segment.DS, low, 1, true));
    });
  }

  it('checks limits exactly to the byte', () => {
    const state = fresh();
    state.setSegment(Segment.DS, 8, 0, 0xffff, 0x93);
    assert.ok(state.segmentAllows(Segment.DS, 0xfffe, 2, true));
    assert.ok(!state.segmentAllows(Segment.DS, 0xffff, 2, true));
    state.setSegment(Segment.DS, 8, 0, 0xfff, 0x97);
    assert.ok(!state.segmentAllows(Segment.DS, 0xfff, 1, true));
    assert.ok(state.segmentAllows(Segment.DS, 0x1000, 1, true));
    assert.ok(!state.segmentAllows(Segment.DS, 0xffff, 2, true));
  });
});
