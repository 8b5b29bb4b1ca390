import assert from 'node:assert/strict';
import { codePage437, screenLines, vgaPalette } from './codepage437';

describe('code page 437', () => {
  it('has 256 characters; only the blanks (00, 20, FF) look alike', () => {
    assert.equal(codePage437.length, 256);
    assert.equal(new Set(codePage437.map((c) => c.replace('\u00a0', ' '))).size, 254);
    assert.equal(vgaPalette.length, 16);
  });

  it('puts well-known characters at their codes', () => {
    for (const [code, character] of [[0x01, '☺'], [0x41, 'A'], [0x7f, '⌂'], [0x80, 'Ç'], [0xb3, '│'], [0xc9, '╔'], [0xdb, '█'], [0xe1, 'ß'], [0xfe, '■']] as const) {
      assert.equal(codePage437[code], character, code.toString(16));
    }
  });

  it('turns cells into lines', () => {
    assert.deepEqual(screenLines(3, 2, Uint8Array.from([72, 7, 105, 7, 0, 7, 32, 7, 0, 7])), ['Hi', '']);
  });
});
