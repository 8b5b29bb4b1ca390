import assert from 'node:assert/strict';
import { breakCode, keyCodes, makeCode, PressedKeys, scancodesForText } from './keys';

describe('PS/2 scan codes', () => {
  it('gives every key a make sequence of its own', () => {
    const seen = new Map<string, string>();
    for (const code of keyCodes) {
      const make = makeCode(code)!.join(' ');
      assert.equal(seen.get(make), undefined, `${code} sends what ${seen.get(make)} sends`);
      seen.set(make, code);
    }
    assert.ok(keyCodes.length >= 104, `a 104-key keyboard has more keys than ${keyCodes.length}`);
  });

  it('sends the codes that the IBM tables list', () => {
    const expected: [string, number[], number[]][] = [
      ['KeyA', [0x1e], [0x9e]], ['Enter', [0x1c], [0x9c]], ['ShiftRight', [0x36], [0xb6]], ['F12', [0x58], [0xd8]],
      ['ArrowUp', [0xe0, 0x48], [0xe0, 0xc8]], ['ControlRight', [0xe0, 0x1d], [0xe0, 0x9d]],
      ['PrintScreen', [0xe0, 0x2a, 0xe0, 0x37], [0xe0, 0xb7, 0xe0, 0xaa]], ['Pause', [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], []],
    ];
    for (const [code, make, release] of expected) {
      assert.deepEqual(makeCode(code), make, code);
      assert.deepEqual(breakCode(code), release, code);
    }
  });

  it('knows no key by an inherited name', () => {
    assert.equal(makeCode('constructor'), undefined);
    assert.equal(breakCode('BrowserHome'), undefined);
  });

  it('types text with Shift where the US layout needs it', () => {
    assert.deepEqual(scancodesForText('aB\n'), { scancodes: [0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa, 0x1c, 0x9c], untypable: '' });
    assert.equal(scancodesForText('é!').untypable, 'é');
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
    assert.equal(scancodesForText(printable).untypable, '');
  });

  it('releases all keys that are down, once', () => {
    const keys = new PressedKeys();
    keys.press('ShiftLeft');
    keys.press('KeyA');
    keys.press('Pause');
    assert.deepEqual(keys.release('KeyA'), [0x9e]);
    assert.equal(keys.release('KeyZ'), undefined);
    assert.deepEqual(keys.releaseAll(), [0xaa]);
    assert.deepEqual(keys.releaseAll(), []);
  });
});
