import assert from 'node:assert/strict';
import { parseSystemMap } from './system-map';

describe('System.map', () => {
  it('gives names, types and addresses in order', () => {
    assert.deepEqual(parseSystemMap('c0100040 T startup_32\nc0100000 T _text\nc0500000 d local_data\t[module]\r\n'), [
      { name: '_text', linear: 0xc0100000, type: 'T' }, { name: 'startup_32', linear: 0xc0100040, type: 'T' }, { name: 'local_data', linear: 0xc0500000, type: 'd' },
    ]);
  });
  it('leaves out what is no symbol', () => {
    assert.deepEqual(parseSystemMap(`hello\n\nc010 T\n         U undefined\nzz T a\nffffffffffffffff A beyond\n10 T ${'x'.repeat(2000)}\n20 T last`), [{ name: 'last', linear: 0x20, type: 'T' }]);
  });
});
