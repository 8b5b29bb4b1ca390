import { strict as assert } from 'node:assert';
import { createGuest } from './test-support';

const P = 1, W = 2, U = 4, LARGE = 0x80;

function world(options: { pae?: boolean } = {}) {
  const guest = createGuest();
  return {
    set: (at: number, value: number): void => guest.setWord(at, value),
    ranges: (from = 0, most = 100) => {
      if (options.pae) guest.pae(0x1000);
      else guest.paging(0x1000, { pse: true });
      return guest.mmu.mappedRanges(from, most);
    },
  };
}

describe('what an address space maps', () => {
  it('is told as ranges of equal rights, with large pages apart', () => {
    const { set, ranges } = world();
    set(0x1000, 0x2000 | P | W | U);
    for (let n = 0; n < 4; n++) set(0x2000 + 4 * n, 0x10000 + n * 4096 | P | W);
    set(0x2010, 0x30000 | P);
    set(0x2014, 0x20000 | P);
    set(0x2020, 0x21000 | P | U);
    set(0x1000 + 4 * 0x300, P | W | LARGE);
    set(0x1000 + 4 * 0x301, 0x400000 | P | W | LARGE);
    assert.deepEqual(ranges().ranges.map(({ first, last, physical, contiguous, writable, user, large }) => [first, last, physical, contiguous, writable, user, large]), [
      [0, 0x3fff, 0x10000, true, true, false, false], [0x4000, 0x5fff, 0x30000, false, false, false, false], [0x8000, 0x8fff, 0x21000, true, false, true, false],
      [0xc0000000, 0xc07fffff, 0, true, true, false, true],
    ]);
    const part = ranges(0, 2);
    assert.deepEqual([part.ranges.length, part.next], [2, 0x8000]);
    assert.deepEqual(ranges(part.next).ranges.map(({ first }) => first), [0x8000, 0xc0000000]);
  });

  it('ends at a bound when tables map themselves', () => {
    const { set, ranges } = world({ pae: true });
    set(0x1000, 0x2001);
    for (let n = 0; n < 512; n++) {
      set(0x2000 + 8 * n, 0x3003);
      set(0x3000 + 8 * n, (n & 1 ? 0x3001 : 0x3003));
    }
    const { ranges: found, next } = ranges(0, 1000);
    assert.equal(found.length, 1000);
    assert.ok(next !== undefined && next > 0 && next < 2 ** 30);
  });

  it('is nothing without paging', () => {
    assert.deepEqual(createGuest().mmu.mappedRanges(0, 10), { ranges: [] });
  });
});
