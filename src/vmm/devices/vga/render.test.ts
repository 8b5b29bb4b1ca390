import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { toDots } from './render';
import { TestVga } from './test-vga';

const GRAPHICS = 0xa0000;

function hash(t: TestVga): string {
  const { width, height, bytes } = toDots(t.vga.picture());
  return createHash('sha256').update(`${width}×${height}`).update(bytes).digest('hex').slice(0, 16);
}

describe('VGA pictures', () => {
  it('four planes make sixteen colours', () => {
    const t = new TestVga();
    t.mode(0x12);
    for (let colour = 0; colour < 16; colour++) {
      t.sequencer(2, colour);
      t.poke(GRAPHICS + colour, 0xff);
    }
    const picture = t.vga.picture();
    assert.deepEqual([picture.width, picture.height, picture.pixelWidth, picture.pixelHeight, picture.mode], [640, 480, 1, 1, '640×480, 16 colours']);
    assert.deepEqual([4, 14, 15, 6].map((colour) => t.dot(8 * colour, 0)), [0xaa0000, 0xffff55, 0xffffff, 0xaa5500]);
    t.attribute(0x12, 7);
    assert.equal(t.dot(8 * 12, 0), 0xaa0000, 'planes can be switched off');
    t.attribute(0x12, 15);
    t.attribute(0x10, 0x81);
    t.attribute(0x14, 3);
    assert.equal(t.dot(8, 0), 0x5555aa, 'colour select gives the high bits');
  });

  it('modes have their sizes', () => {
    const sizes: Record<number, string> = {
      0x04: '320×200 2×2', 0x06: '640×200 1×2', 0x0d: '320×200 2×2', 0x0e: '640×200 1×2', 0x0f: '640×350 1×1', 0x10: '640×350 1×1', 0x11: '640×480 1×1', 0x12: '640×480 1×1', 0x13: '320×200 2×2',
    };
    for (const [mode, size] of Object.entries(sizes)) {
      const t = new TestVga();
      t.mode(Number(mode));
      const { width, height, pixelWidth, pixelHeight } = t.vga.picture();
      assert.equal(`${width}×${height} ${pixelWidth}×${pixelHeight}`, size, `mode ${Number(mode).toString(16)}h`);
    }
  });

  it('CGA modes have odd lines 8 KiB behind the even ones', () => {
    const t = new TestVga();
    t.mode(4);
    t.poke(0xb8000, 0x1b);
    t.poke(0xb8000 + 0x2000 + 80 - 80, 0xe4);
    t.poke(0xb8000 + 79, 0xff);
    t.poke(0xb8000 + 80, 0xaa);
    const { pixels } = t.vga.picture();
    const colours = (at: number) => [...pixels.subarray(at, at + 4)];
    assert.deepEqual(colours(0), [0, 0x13, 0x15, 0x17]);
    assert.deepEqual(colours(320), [0x17, 0x15, 0x13, 0]);
    assert.deepEqual(colours(316), [0x17, 0x17, 0x17, 0x17]);
    assert.deepEqual(colours(640), [0x15, 0x15, 0x15, 0x15]);
    t.mode(6);
    t.poke(0xb8000 + 0x2000 + 1, 0x81);
    assert.deepEqual([...t.vga.picture().pixels.subarray(640 + 8, 640 + 16)], [0x17, 0, 0, 0, 0, 0, 0, 0x17]);
  });

  it('mode X: four planes of pixels, two pages, a split screen and panning', () => {
    const t = new TestVga();
    t.mode(0x13);
    t.sequencer(4, 6);
    t.crtc(0x14, 0);
    t.crtc(0x17, 0xe3);
    for (let plane = 0; plane < 4; plane++) {
      t.sequencer(2, 1 << plane);
      t.poke(GRAPHICS, 0x10 + plane, 0x20 + plane);
      t.poke(GRAPHICS + 16000, 0x40 + plane);
    }
    const first = (n: number) => [...t.vga.picture().pixels.subarray(n, n + 6)];
    assert.deepEqual(first(0), [0x10, 0x11, 0x12, 0x13, 0x20, 0x21]);
    t.attribute(0x13, 2);
    assert.deepEqual(first(0), [0x11, 0x12, 0x13, 0x20, 0x21, 0x22]);
    t.crtc(0x0c, 16000 >> 8);
    t.crtc(0x0d, 16000 & 0xff);
    assert.deepEqual(first(0).slice(0, 3), [0x41, 0x42, 0x43]);
    t.crtc(0x11, 0x0e);
    t.crtc(0x07, 0x0f);
    t.crtc(0x09, 0x01);
    t.crtc(0x18, 99);
    assert.deepEqual(first(50 * 320).slice(0, 3), [0x11, 0x12, 0x13]);
    t.attribute(0x10, 0x61);
    assert.deepEqual(first(50 * 320).slice(0, 3), [0x10, 0x11, 0x12], 'the part below is not panned');
    t.crtc(0x09, 0);
    assert.equal(t.vga.picture().height, 400);
  });

  it('VBE modes of every depth', () => {
    const pixels: Record<number, [bytes: number[], colour: number]> = {
      15: [[0x1f, 0x7c], 0xff00ff], 16: [[0xe0, 0x07], 0x00ff00], 24: [[0x56, 0x34, 0x12], 0x123456], 32: [[0x56, 0x34, 0x12, 0], 0x123456],
    };
    for (const [bits, [bytes, colour]] of Object.entries(pixels)) {
      const t = new TestVga();
      t.dispi(4, 0);
      t.dispi(1, 800);
      t.dispi(2, 600);
      t.dispi(3, Number(bits));
      t.dispi(4, 0x41);
      const size = bytes.length;
      t.bytes.set(bytes, 801 * size);
      assert.equal(t.dot(1, 1), colour, bits);
      t.dispi(6, 1000);
      assert.equal(t.dot(1, 1), 0);
      t.bytes.set(bytes, (1000 * 7 + 12) * size);
      t.dispi(8, 2);
      t.dispi(9, 5);
      assert.equal(t.dot(10, 2), colour, `${bits} with offsets`);
    }
  });

  it('VBE planes, palettes of eight bits, and capabilities', () => {
    const t = new TestVga();
    t.dispi(1, 800);
    t.dispi(2, 600);
    t.dispi(3, 4);
    t.dispi(4, 1);
    t.sequencer(4, 6);
    t.sequencer(2, 2);
    t.graphics(5, 0);
    t.graphics(6, 5);
    t.poke(GRAPHICS + 100, 0x80);
    assert.equal(t.dot(0, 1), 0x00aa00);
    t.dispi(4, 0);
    t.dispi(3, 8);
    t.dispi(4, 0x21);
    t.out(0x3c8, 5);
    for (const value of [0xfe, 0x80, 1]) t.out(0x3c9, value);
    t.bytes[0] = 5;
    assert.equal(t.dot(0, 0), 0xfe8001);
    t.dispi(4, 2);
    t.out(0x1ce, 1, 2);
    assert.equal(t.inp(0x1cf, 2), 2560);
    t.out(0x1ce, 0, 2);
    assert.equal(t.inp(0x1cf, 2), 0xb0c5);
    t.out(0x1ce, 10, 2);
    assert.equal(t.inp(0x1cf, 2), 0x40);
  });

  it('refuses VBE modes that memory does not hold', () => {
    const t = new TestVga(0x100000);
    t.dispi(1, 1024);
    t.dispi(2, 768);
    t.dispi(3, 32);
    t.dispi(4, 1);
    assert.ok(t.vga.text(), 'still the text mode');
    t.dispi(3, 8);
    t.dispi(4, 1);
    assert.equal(t.vga.picture().mode, '1024×768, 256 colours');
    t.dispi(6, 2048);
    t.out(0x1ce, 6, 2);
    assert.equal(t.inp(0x1cf, 2), 1024, 'a row that long does not fit 768 times');
    t.dispi(9, 300);
    t.out(0x1ce, 9, 2);
    assert.equal(t.inp(0x1cf, 2), 0);
  });

  it('is black while the sequencer or the attribute controller hold the picture back', () => {
    const t = new TestVga();
    t.mode(0x13);
    t.poke(GRAPHICS, 15);
    t.sequencer(1, 0x21);
    assert.equal(t.dot(0, 0), 0);
    t.sequencer(1, 1);
    assert.equal(t.dot(0, 0), 0xffffff);
    t.inp(0x3da);
    t.out(0x3c0, 0);
    assert.equal(t.dot(0, 0), 0);
  });

  it('pictures of all modes are what they were', () => {
    const hashes: Record<string, string> = {};
    for (const mode of [0x01, 0x03, 0x04, 0x06, 0x07, 0x0d, 0x10, 0x12, 0x13]) {
      const t = new TestVga();
      t.mode(mode);
      for (let at = 0; at < 0x20000; at++) t.poke(GRAPHICS + at, (at * 7 + (at >> 8) * 13) & 0xff);
      hashes[mode.toString(16)] = hash(t);
    }
    assert.deepEqual(hashes, {
      1: '1d356cccd11789cb', 3: 'b52ff323bd8a452f', 4: 'c9c857724aa0bd9d', 6: '27506d7f366e23e4', 7: '89e083c1d560b700', d: '51dc0b90eb0e5319', 10: '63e6c6354840b4a5',
      12: 'f2e22df317076c51', 13: '16adc88840ffb757',
    });
  });
});
