import { strict as assert } from 'node:assert';
import { TestVga } from './test-vga';

const GRAPHICS = 0xa0000;

/** Bytes of planes 0–3 at an address, by read mode 0. */
function planes(t: TestVga, address: number): number[] {
  return [0, 1, 2, 3].map((plane) => {
    t.graphics(4, plane);
    return t.peek(GRAPHICS + address);
  });
}

describe('VGA memory', () => {
  it('write mode 0: map mask, set/reset, rotation, functions and bit mask', () => {
    const t = new TestVga();
    t.mode(0x12);
    t.sequencer(2, 5);
    t.poke(GRAPHICS, 0xa5);
    assert.deepEqual(planes(t, 0), [0xa5, 0, 0xa5, 0]);
    t.sequencer(2, 15);
    t.graphics(0, 6);
    t.graphics(1, 7);
    t.poke(GRAPHICS + 1, 0x3c);
    assert.deepEqual(planes(t, 1), [0, 0xff, 0xff, 0x3c]);
    t.graphics(1, 0);
    t.graphics(3, 4);
    t.poke(GRAPHICS + 2, 0x12);
    assert.deepEqual(planes(t, 2), [0x21, 0x21, 0x21, 0x21]);
    for (const [operation, expected] of [[1, [0, 0x3c, 0x3c, 0x30]], [2, [0x3c, 0xff, 0xff, 0x3c]], [3, [0x3c, 0xc3, 0xc3, 0x0c]]] as const) {
      t.graphics(3, 0);
      t.graphics(1, 7);
      t.poke(GRAPHICS + 3, 0x30);
      t.graphics(1, 0);
      t.peek(GRAPHICS + 3);
      t.graphics(3, operation << 3);
      t.poke(GRAPHICS + 3, 0x3c);
      assert.deepEqual(planes(t, 3), expected, `function ${operation}`);
    }
    t.graphics(3, 0);
    t.graphics(8, 0x0f);
    t.peek(GRAPHICS + 1);
    t.poke(GRAPHICS + 1, 0);
    assert.deepEqual(planes(t, 1), [0, 0xf0, 0xf0, 0x30]);
  });

  it('write modes 1, 2 and 3, read mode 1', () => {
    const t = new TestVga();
    t.mode(0x12);
    t.graphics(5, 2);
    t.graphics(8, 0xf0);
    t.peek(GRAPHICS);
    t.poke(GRAPHICS, 0x0b);
    assert.deepEqual(planes(t, 0), [0xf0, 0xf0, 0, 0xf0]);
    t.graphics(5, 1);
    t.peek(GRAPHICS);
    t.poke(GRAPHICS + 100, 0x77);
    assert.deepEqual(planes(t, 100), [0xf0, 0xf0, 0, 0xf0], 'mode 1 copies the latches');
    t.graphics(5, 3);
    t.graphics(0, 4);
    t.graphics(8, 0x3c);
    t.peek(GRAPHICS + 100);
    t.poke(GRAPHICS + 100, 0x0f);
    assert.deepEqual(planes(t, 100), [0xf0, 0xf0, 0x0c, 0xf0]);
    t.graphics(5, 8);
    t.graphics(2, 0x0b);
    t.graphics(7, 0x0f);
    assert.equal(t.peek(GRAPHICS + 100), 0xf0);
    t.graphics(7, 0x04);
    assert.equal(t.peek(GRAPHICS + 100), 0xf3);
  });

  it('shows the window that the miscellaneous register chooses', () => {
    const t = new TestVga();
    for (const [map, first, last] of [[0, 0xa0000, 0xbffff], [4, 0xa0000, 0xaffff], [8, 0xb0000, 0xb7fff], [0x0c, 0xb8000, 0xbffff]]) {
      t.mode(0x12);
      t.graphics(6, map | 1);
      t.poke(first, 0x5a);
      assert.equal(t.peek(first), 0x5a);
      assert.equal(t.peek(last) === 0xff, false);
      assert.equal(t.peek(first - 1), 0xff);
      assert.equal(t.peek(last + 1), 0xff);
    }
    t.out(0x3c2, 0xe1);
    assert.equal(t.peek(0xb8000), 0xff, 'memory is off');
  });

  it('is plain memory in text modes, and what was written is in the planes afterwards', () => {
    const t = new TestVga();
    t.poke(0xb8000, 0x41, 0x1f);
    assert.ok(t.plain(0xb8000));
    t.sequencer(4, 6);
    t.graphics(5, 0);
    t.graphics(6, 4);
    assert.ok(!t.plain(GRAPHICS));
    assert.deepEqual(planes(t, 0), [0x41, 0x1f, 0, 0]);
    t.sequencer(2, 1);
    t.poke(GRAPHICS, 0x42);
    t.sequencer(2, 3);
    t.graphics(4, 0);
    t.sequencer(4, 2);
    t.graphics(5, 0x10);
    t.graphics(6, 0x0e);
    assert.ok(!t.plain(0xb8000), 'not at once');
    assert.equal(t.line(0), 'B');
    for (let i = 0; i < 40; i++) t.poke(0xb8100 + i, i);
    assert.ok(t.plain(0xb8000));
    assert.deepEqual([t.peek(0xb8000), t.peek(0xb8001), t.peek(0xb8127)], [0x42, 0x1f, 0x27]);
  });

  it('is plain memory in mode 13h until a register makes a difference', () => {
    const t = new TestVga();
    t.mode(0x13);
    assert.ok(t.plain(GRAPHICS));
    t.poke(GRAPHICS + 321, 9);
    assert.equal(t.vga.picture().pixels[321], 9);
    t.sequencer(2, 1);
    assert.ok(!t.plain(GRAPHICS));
    t.poke(GRAPHICS + 4, 1, 1, 1, 1);
    assert.deepEqual([4, 5, 6, 7].map((n) => t.peek(GRAPHICS + n)), [1, 0, 0, 0]);
  });

  it('does not change the memory map for every change of registers', () => {
    const t = new TestVga();
    t.mode(0x13);
    const before = t.changes;
    for (let i = 0; i < 1000; i++) {
      t.sequencer(2, 1 << (i & 3));
      t.poke(GRAPHICS, i);
      t.sequencer(2, 15);
      t.poke(GRAPHICS, i);
    }
    assert.ok(t.changes - before < 70, String(t.changes - before));
  });

  it('banks bytes in VBE modes', () => {
    const t = new TestVga();
    t.dispi(1, 640);
    t.dispi(2, 480);
    t.dispi(3, 8);
    t.dispi(4, 1);
    t.dispi(5, 3);
    assert.ok(t.plain(GRAPHICS));
    t.poke(GRAPHICS + 5, 0x77);
    assert.equal(t.bytes[0x30005], 0x77);
    assert.equal(t.vga.picture().pixels[0x30005], 0x77);
  });
});
