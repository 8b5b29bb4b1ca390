import assert from 'node:assert/strict';
import { countersMarkdown, hexDump } from './documents';

describe('texts of a machine', () => {
  it('dump memory and mark what cannot be read', () => {
    const bytes = Uint8Array.from({ length: 18 }, (_, i) => 0x3f + i);
    assert.equal(hexDump(0x7c00, bytes, 20),
      '00007C00  3F 40 41 42 43 44 45 46  47 48 49 4A 4B 4C 4D 4E  ?@ABCDEFGHIJKLMN\n'
      + '00007C10  4F 50 ?? ??                                       OP  ');
  });

  it('list counters with their definitions', () => {
    const text = countersMarkdown({ program: 'a.asm', definitions: [{ id: 'x', title: 'X events', definition: 'One X.' }], sample: { values: { x: 1234 }, hostMilliseconds: 1500 } });
    assert.match(text, /After 1\.50 s/);
    assert.match(text, /\| X events \| 1,234 \| One X\. \|/);
  });
});
