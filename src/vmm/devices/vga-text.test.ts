import { strict as assert } from 'node:assert';
import { TestClock } from './test-clock';
import { VgaText, text40, textMono } from './vga-text';

function build() {
  const clock = new TestClock(100_000_000);
  const memory = new Uint8Array(0x20000);
  const vga = new VgaText({ clock, memory: { readBytes: (address, length) => memory.slice(address - 0xa0000, address - 0xa0000 + length) } });
  const range = (port: number) => vga.ports.find((r) => port >= r.first && port <= r.last)!;
  const out = (port: number, value: number, size: 1 | 2 = 1): void => range(port).write(port, value, size);
  const inp = (port: number): number => range(port).read(port, 1);
  const crtc = (index: number, value: number): void => out(0x3d4, index | value << 8, 2);
  const put = (character: number, s: string): void => { for (let i = 0; i < s.length; i++) { memory[0x18000 + 2 * (character + i)] = s.charCodeAt(i); memory[0x18001 + 2 * (character + i)] = 7; } };
  const line = (row: number): string => { const t = vga.text(); return String.fromCharCode(...t.cells.filter((_, i) => i % 2 === 0).slice(row * t.columns, row * t.columns + 8)).replace(/\0/g, ' ').trimEnd(); };
  return { clock, memory, vga, out, inp, crtc, put, line };
}

describe('VGA text', () => {
  it('shows 80×25 cells of character and attribute', () => {
    const { vga, put } = build();
    put(81, 'A');
    const screen = vga.text();
    assert.deepEqual([screen.columns, screen.rows, screen.cells.length], [80, 25, 4000]);
    assert.deepEqual([...screen.cells.slice(162, 164)], [0x41, 7]);
  });

  it('scrolls by the start address and wraps in the window', () => {
    const { crtc, put, line } = build();
    put(160, 'third');
    put(0, 'first');
    crtc(0x0c, 0);
    crtc(0x0d, 160);
    assert.equal(line(0), 'third');
    crtc(0x0c, 0x3f);
    crtc(0x0d, 0xb0);
    assert.equal(line(1), 'first');
  });

  it('splits the screen at the line compare', () => {
    const { crtc, out, put, line } = build();
    put(0, 'status');
    put(800, 'body');
    crtc(0x0c, 800 >> 8);
    crtc(0x0d, 800 & 255);
    out(0x3d4, 0x11);
    out(0x3d5, 0x0e);
    crtc(0x07, 0x0f);
    crtc(0x09, 0x0f);
    crtc(0x18, 24 * 16 - 1 & 0xff);
    crtc(0x07, 0x1f);
    assert.equal(line(0), 'body');
    assert.equal(line(24), 'status');
  });

  it('follows the cursor, its shape and its switch', () => {
    const { vga, crtc } = build();
    crtc(0x0e, 1);
    crtc(0x0f, 0x45);
    assert.deepEqual(vga.text().cursor, { visible: true, column: 0x145 % 80, row: 4 });
    crtc(0x0a, 0x2d);
    assert.equal(vga.text().cursor.visible, false);
    crtc(0x0a, 0x0f);
    assert.equal(vga.text().cursor.visible, false, 'start below end');
    crtc(0x0a, 0x0d);
    crtc(0x0e, 0x20);
    assert.equal(vga.text().cursor.visible, false, 'off the screen');
  });

  it('knows 40 columns and 50 rows', () => {
    const { vga, crtc } = build();
    vga.setMode(text40);
    assert.equal(vga.text().columns, 40);
    crtc(0x09, 0x47);
    assert.equal(vga.text().rows, 50);
  });

  it('moves CRTC ports and memory in monochrome modes', () => {
    const { vga, inp, out, memory } = build();
    vga.setMode(textMono);
    memory[0x10000] = 0x4d;
    assert.equal(vga.text().cells[0], 0x4d);
    assert.equal(inp(0x3d4), 0xff);
    out(0x3b4, 0x0f);
    out(0x3b5, 3);
    assert.equal(inp(0x3b5), 3);
  });

  it('protects CR0–CR7 but for the line-compare bit', () => {
    const { inp, out, crtc } = build();
    crtc(0x01, 0x10);
    out(0x3d4, 1);
    assert.equal(inp(0x3d5), 0x4f);
    crtc(0x07, 0x00);
    out(0x3d4, 7);
    assert.equal(inp(0x3d5), 0x0f);
  });

  it('alternates index and data at 3C0h, reset by 3DAh', () => {
    const { inp, out } = build();
    inp(0x3da);
    out(0x3c0, 0x30);
    out(0x3c0, 0x04);
    assert.equal(inp(0x3c1), 0x04);
    out(0x3c0, 0x02);
    inp(0x3da);
    out(0x3c0, 0x02);
    out(0x3c0, 0x09);
    assert.equal(inp(0x3c1), 0x09);
  });

  it('loads the DAC in threes and shows the text colours', () => {
    const { vga, inp, out } = build();
    assert.deepEqual(vga.colours()[6], [0xaa, 0x55, 0], 'brown');
    out(0x3c8, 1);
    for (const value of [63, 0, 63]) out(0x3c9, value);
    assert.deepEqual(vga.colours()[1], [255, 0, 255]);
    out(0x3c7, 1);
    assert.deepEqual([inp(0x3c9), inp(0x3c9), inp(0x3c9)], [63, 0, 63]);
  });

  it('retraces 70 times a second of virtual time', () => {
    const { clock, inp } = build();
    let frames = 0, before = 0;
    for (let i = 0; i < 40_000; i++) {
      clock.advance(2_500);
      const now = inp(0x3da) & 8;
      if (now && !before) frames++;
      before = now;
    }
    assert.equal(frames, 70);
  });

  it('survives a flood of register writes with a screen of bounded size', () => {
    const { vga, inp, out } = build();
    let seed = 3;
    for (let i = 0; i < 50_000; i++) {
      seed = (seed * 48271) % 2147483647;
      const port = [0x3b4, 0x3b5, 0x3ba, 0x3c0, 0x3c1, 0x3c2, 0x3c4, 0x3c5, 0x3c7, 0x3c8, 0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da][seed & 15];
      out(port, (seed >> 8) & 0xffff, seed & 16 ? 2 : 1);
      assert.ok(inp(port) <= 0xff);
      if (i % 1000 === 0) assert.ok(vga.text().cells.length <= 160 * 100 * 2);
    }
  });

  it('takes up a saved state', () => {
    const { vga, crtc } = build();
    crtc(0x0f, 5);
    const copy = build();
    copy.vga.restore(vga.save());
    assert.equal(copy.vga.text().cursor.column, 5);
  });
});
