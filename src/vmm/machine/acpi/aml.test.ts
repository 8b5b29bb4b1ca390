import assert from 'node:assert/strict';
import { buffer, device, eisaId, ifElse, integer, method, name, pack, path, returns } from './aml';

describe('AML', () => {
  it('writes integers as short as they can be', () => {
    assert.deepEqual([0, 1, 2, 0xff, 0x100, 0x10000, 0x100000000].map(integer), [
      [0], [1], [0x0a, 2], [0x0a, 0xff], [0x0b, 0, 1], [0x0c, 0, 0, 1, 0], [0x0e, 0, 0, 0, 0, 1, 0, 0, 0],
    ]);
  });

  it('writes names of one, two and more segments, from the root or from here', () => {
    const text = (bytes: readonly number[]): string => String.fromCharCode(...bytes);
    assert.equal(text(path('ISA')), 'ISA_');
    assert.equal(text(path('\\_SB')), '\\_SB_');
    assert.equal(text(path('\\_SB.PCI0')), '\\\x2e_SB_PCI0');
    assert.equal(text(path('\\_SB.PCI0.ISA')), '\\\x2f\x03_SB_PCI0ISA_');
    assert.throws(() => path('a'), /no name segment/);
    assert.throws(() => path('ABCDE'), /no name segment/);
  });

  it('compresses plug-and-play identifiers', () => {
    assert.deepEqual(eisaId('PNP0A03'), [0x0c, 0x41, 0xd0, 0x0a, 0x03]);
  });

  it('counts package lengths with their own bytes', () => {
    const length = (body: number): readonly number[] => buffer(new Array<number>(body).fill(0)).slice(1, 4);
    assert.deepEqual(length(10).slice(0, 1), [13]);
    assert.deepEqual(length(60).slice(0, 1), [63]);
    assert.deepEqual(length(61).slice(0, 2), [0x40 | (65 & 15), 65 >> 4]);
    assert.deepEqual(length(0x1000).slice(0, 3), [0x80 | (0x1006 & 15), (0x1006 >> 4) & 0xff, 0x1006 >> 12]);
  });

  it('nests', () => {
    assert.deepEqual(device('A', name('B', pack(integer(1), integer(2)))), [0x5b, 0x82, 16, 0x41, 0x5f, 0x5f, 0x5f, 0x08, 0x42, 0x5f, 0x5f, 0x5f, 0x12, 5, 2, 1, 0x0a, 2]);
    assert.deepEqual(method('M', 1, true, ifElse(integer(1), [returns(integer(0))], [returns(integer(1))])).slice(0, 7), [0x14, 15, 0x4d, 0x5f, 0x5f, 0x5f, 0x09]);
  });
});
