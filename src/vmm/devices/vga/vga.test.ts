import { strict as assert } from 'node:assert';
import { fonts } from './fonts';
import { TestVga } from './test-vga';

const TEXT = 0xb8000;

function put(t: TestVga, character: number, s: string, base = TEXT): void {
  for (let i = 0; i < s.length; i++) t.poke(base + 2 * (character + i), s.charCodeAt(i), 7);
}

describe('VGA registers and text', () => {
  it('shows 80×25 cells of character and attribute', () => {
    const t = new TestVga();
    put(t, 81, 'A');
    const screen = t.vga.text()!;
    assert.deepEqual([screen.columns, screen.rows, screen.cells.length], [80, 25, 4000]);
    assert.deepEqual([...screen.cells.slice(162, 164)], [0x41, 7]);
    assert.deepEqual([screen.cell, screen.blinks, screen.font], [{ width: 9, height: 16 }, true, undefined]);
  });

  it('scrolls by the start address', () => {
    const t = new TestVga();
    put(t, 160, 'third');
    put(t, 0, 'first');
    t.crtc(0x0c, 0);
    t.crtc(0x0d, 160);
    assert.equal(t.line(0), 'third');
  });

  it('splits the screen at the line compare', () => {
    const t = new TestVga();
    put(t, 0, 'status');
    put(t, 800, 'body');
    t.crtc(0x0c, 800 >> 8);
    t.crtc(0x0d, 800 & 255);
    t.crtc(0x11, 0x0e);
    t.crtc(0x07, 0x0f);
    t.crtc(0x09, 0x0f);
    t.crtc(0x18, 24 * 16 - 1 & 0xff);
    t.crtc(0x07, 0x1f);
    assert.equal(t.line(0), 'body');
    assert.equal(t.line(24), 'status');
  });

  it('follows the cursor, its shape and its switch', () => {
    const t = new TestVga();
    t.crtc(0x0e, 1);
    t.crtc(0x0f, 0x45);
    assert.deepEqual(t.vga.text()!.cursor, { visible: true, column: 0x145 % 80, row: 4 });
    t.crtc(0x0a, 0x2d);
    assert.equal(t.vga.text()!.cursor.visible, false);
    t.crtc(0x0a, 0x0f);
    assert.equal(t.vga.text()!.cursor.visible, false, 'start below end');
    t.crtc(0x0a, 0x0d);
    t.crtc(0x0e, 0x20);
    assert.equal(t.vga.text()!.cursor.visible, false, 'off the screen');
  });

  it('knows 40 columns and 50 rows', () => {
    const t = new TestVga();
    t.mode(1);
    assert.equal(t.vga.text()!.columns, 40);
    t.crtc(0x09, 0x47);
    assert.equal(t.vga.text()!.rows, 50);
  });

  it('moves CRTC ports and memory in monochrome modes', () => {
    const t = new TestVga();
    t.mode(7);
    t.poke(0xb0000, 0x4d);
    assert.equal(t.vga.text()!.cells[0], 0x4d);
    assert.equal(t.inp(0x3d4), 0xff);
    t.out(0x3b4, 0x0f);
    t.out(0x3b5, 3);
    assert.equal(t.inp(0x3b5), 3);
  });

  it('protects CR0–CR7 but for the line-compare bit', () => {
    const t = new TestVga();
    t.crtc(0x01, 0x10);
    t.out(0x3d4, 1);
    assert.equal(t.inp(0x3d5), 0x4f);
    t.crtc(0x07, 0x00);
    t.out(0x3d4, 7);
    assert.equal(t.inp(0x3d5), 0x0f);
  });

  it('alternates index and data at 3C0h, reset by 3DAh', () => {
    const t = new TestVga();
    t.inp(0x3da);
    t.out(0x3c0, 0x30);
    t.out(0x3c0, 0x04);
    assert.equal(t.inp(0x3c1), 0x04);
    t.out(0x3c0, 0x02);
    t.inp(0x3da);
    t.out(0x3c0, 0x02);
    t.out(0x3c0, 0x09);
    assert.equal(t.inp(0x3c1), 0x09);
  });

  it('loads the DAC in threes and shows the text colours', () => {
    const t = new TestVga();
    assert.equal(t.vga.text()!.colours[6], 0xaa5500, 'brown');
    t.out(0x3c8, 1);
    for (const value of [63, 0, 63]) t.out(0x3c9, value);
    assert.equal(t.vga.text()!.colours[1], 0xff00ff);
    t.out(0x3c7, 1);
    assert.deepEqual([t.inp(0x3c9), t.inp(0x3c9), t.inp(0x3c9)], [63, 0, 63]);
  });

  it('retraces 70 times a second of virtual time, and 60 times with 480 lines', () => {
    for (const [mode, hertz] of [[3, 70], [0x13, 70], [0x12, 60]]) {
      const t = new TestVga();
      t.mode(mode);
      let frames = 0, before = 0;
      for (let i = 0; i < 40_000; i++) {
        t.clock.advance(2_500);
        const now = t.inp(0x3da) & 8;
        if (now && !before) frames++;
        before = now;
      }
      assert.ok(Math.abs(frames - hertz) <= 1, `mode ${mode}: ${frames}`);
    }
  });

  it('draws characters of nine dots, line graphics without gaps, underline, cursor and blinking', () => {
    const t = new TestVga();
    t.sequencer(2, 4);
    t.sequencer(4, 6);
    t.graphics(5, 0);
    t.graphics(6, 0);
    for (let i = 0; i < fonts[16].length; i++) t.poke(0xa0000 + Math.floor(i / 16) * 32 + i % 16, fonts[16][i]);
    t.sequencer(2, 3);
    t.sequencer(4, 2);
    t.graphics(5, 0x10);
    t.graphics(6, 0x0e);
    assert.equal(t.vga.text()!.font, undefined, 'the font is the known one');
    t.poke(TEXT, 0xdb, 0x0c, 0xdc, 0x1e, 0x01, 0x8f);
    t.crtc(0x0f, 4);
    assert.equal(t.dot(8, 3), 0xff5555, 'the ninth dot goes on');
    assert.equal(t.dot(9, 0), 0x0000aa);
    assert.equal(t.dot(17, 15), 0xffff55);
    assert.equal(t.dot(26, 2), 0, 'the ninth dot is background');
    assert.equal(t.dot(4 * 9, 14), 0, 'a cursor on black');
    t.poke(TEXT + 9, 7);
    assert.equal(t.dot(4 * 9, 14), 0xaaaaaa);
    const smile = t.dot(20, 4);
    t.clock.advanceSeconds(0.25);
    assert.notEqual(t.dot(20, 4), smile, 'bit 7 blinks');
    t.mode(7);
    t.poke(0xb0002, 0x20, 1);
    assert.equal(t.dot(9, 15), 0xaaaaaa, 'underlined');
    assert.equal(t.dot(9, 14), 0);
  });

  it('gives a font that the guest has loaded', () => {
    const t = new TestVga();
    t.sequencer(2, 4);
    t.sequencer(4, 6);
    t.graphics(5, 0);
    t.graphics(6, 0);
    t.poke(0xa0000 + 0x41 * 32, 0xff, 0x81);
    assert.deepEqual([...t.vga.text()?.font?.slice(0x41 * 32, 0x41 * 32 + 3) ?? []], [0xff, 0x81, 0]);
  });

  it('survives a flood of register writes with a picture of bounded size', () => {
    const t = new TestVga();
    const ports = [0x3b4, 0x3b5, 0x1ce, 0x3c0, 0x3c1, 0x3c2, 0x3c4, 0x3c5, 0x1cf, 0x3c8, 0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da];
    let seed = 3;
    for (let i = 0; i < 40_000; i++) {
      seed = (seed * 48271) % 2147483647;
      const port = ports[seed & 15];
      t.out(port, (seed >> 8) & 0xffff, seed & 16 ? 2 : 1);
      assert.ok(t.inp(port) <= 0xffff);
      t.poke(0xa0000 + (seed & 0x1ffff), seed & 0xff);
      if (i % 2000 !== 0) continue;
      assert.ok((t.vga.text()?.cells.length ?? 0) <= 160 * 100 * 2);
      const picture = t.vga.picture();
      assert.ok(picture.width <= 2560 && picture.height <= 2048);
      assert.equal(picture.pixels.length, picture.width * picture.height * (picture.colours ? 1 : 4));
    }
  });

  it('takes up a saved state, whatever window it has', () => {
    for (const mode of [3, 0x12, 0x13]) {
      const t = new TestVga();
      t.mode(mode);
      t.crtc(0x0f, 5);
      t.poke(mode === 3 ? TEXT : 0xa0000, 0x55);
      const copy = new TestVga();
      copy.bytes.set(t.bytes);
      copy.vga.restore(JSON.parse(JSON.stringify(t.vga.save())));
      assert.equal(copy.peek(mode === 3 ? TEXT : 0xa0000), 0x55);
      assert.deepEqual(copy.vga.picture(), t.vga.picture());
      assert.deepEqual(copy.vga.registerValues(), t.vga.registerValues());
    }
  });
});
