import assert from 'node:assert/strict';
import { addressDigits, layoutOf, layoutText, layoutTooltip } from './line-layout';

const row = (line: number, linear: number, length: number, path = 'a.asm') => ({ line, linear, length, path });
const assembly = {
  image: Uint8Array.from({ length: 32 }, (_, i) => i), origin: 0x7c00, symbols: [], diagnostics: [],
  lines: [row(1, 0x7c00, 2), row(3, 0x7c02, 1), row(3, 0x7c03, 2), row(3, 0x7c10, 4), row(4, 0x7c05, 10), row(9, 0x7c00, 1, 'other.inc')],
};

describe('layout of source lines', () => {
  const layout = layoutOf(assembly, (path) => path === 'a.asm');

  it('joins pieces of one line that follow each other, and leaves other files out', () => {
    assert.deepEqual([...layout.values()].map((l) => [l.line, l.linear, [...l.bytes]]),
      [[1, 0x7c00, [0, 1]], [3, 0x7c02, [2, 3, 4]], [4, 0x7c05, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]]]);
  });

  it('writes texts of one width', () => {
    const texts = [1, 2, 3, 4].map((line) => layoutText(layout.get(line), addressDigits(layout.values()), true));
    assert.deepEqual(texts.map((t) => t.replaceAll('\u00a0', ' ')), ['7C00 0001         ', '                  ', '7C02 020304       ', '7C05 05060708090A…']);
    assert.equal(layoutText(layout.get(1), 8, false), '00007C00');
    assert.match(layoutTooltip(layout.get(1)!), /2 bytes: 00 01$/);
  });

  it('shows no bytes of an ELF image, whose offsets are not addresses', () => {
    const elf = layoutOf({ ...assembly, image: Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 1, 2, 3, 4]) }, () => true);
    assert.equal(elf.get(1)!.bytes.length, 0);
  });
});
