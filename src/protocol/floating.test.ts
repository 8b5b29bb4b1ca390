import assert from 'node:assert/strict';
import { extendedText } from './floating';

describe('80-bit numbers as text', () => {
  it('are what a person would write', () => {
    const text = (high: number, low: bigint): string => extendedText(BigInt(high) << 64n | low);
    assert.equal(text(0x3fff, 1n << 63n), '1');
    assert.equal(text(0xbffe, 1n << 63n), '-0.5');
    assert.equal(text(0x4000, 0xc90fdaa22168c235n), '3.141592653589793');
    assert.equal(text(0x8000, 0n), '-0');
    assert.equal(text(0x7fff, 1n << 63n), 'infinity');
    assert.equal(text(0xffff, 3n << 62n), 'NaN');
    assert.equal(text(0x7fff, (1n << 63n) + 1n), 'signaling NaN');
    assert.equal(text(0x3fff, 1n), 'unsupported');
    assert.equal(text(0x7ffe, 3n << 62n), '1.5 × 2^16383');
  });
});
