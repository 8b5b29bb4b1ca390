import { strict as assert } from 'node:assert';
import { fonts } from '../../devices/vga/fonts';
import { toDots } from '../../devices/vga/render';
import { Bench } from './test-bench';

/** Dots of the picture, 0xRRGGBB by column and row of the mode's pixels. */
function pixel(bench: Bench, x: number, y: number): number {
  const picture = bench.vga.picture();
  const { width, bytes } = toDots(picture);
  const at = 4 * (y * picture.pixelHeight * width + x * picture.pixelWidth);
  return bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2];
}

const ES = 0x2000, BUFFER = 0x20000;

describe('INT 10h in graphics modes', () => {
  it('sets every mode and says which', () => {
    const bench = new Bench();
    for (const [mode, words] of Object.entries({ 4: '320×200, 4 colours', 6: '640×200, 2 colours', 13: '320×200, 16 colours', 14: '640×200, 16 colours', 16: '640×350, 16 colours', 18: '640×480, 16 colours', 19: '320×200, 256 colours' })) {
      bench.int(0x10, { eax: Number(mode) });
      assert.equal(bench.vga.picture().mode, words);
      assert.equal(bench.int(0x10, { eax: 0x0f00 }).al, Number(mode));
    }
    bench.int(0x10, { eax: 3 });
    assert.equal(bench.vga.text()?.columns, 80);
    assert.equal(bench.vga.text()?.font, undefined, 'with the font that the view knows');
    assert.deepEqual(bench.logged, []);
  });

  it('writes and reads pixels', () => {
    const expected: Record<number, [colour: number, shown: number, exclusive: number]> = {
      0x04: [2, 0xff55ff, 0xffffff], 0x06: [1, 0xffffff, 0x000000], 0x0d: [12, 0xff5555, 0xff55ff], 0x12: [12, 0xff5555, 0xff55ff], 0x13: [40, 0xff0000, 0],
    };
    for (const [mode, [colour, shown, exclusive]] of Object.entries(expected)) {
      const bench = new Bench();
      bench.int(0x10, { eax: Number(mode) });
      bench.int(0x10, { eax: 0x0c00 | colour, ecx: 101, edx: 57 });
      assert.equal(pixel(bench, 101, 57), shown, `mode ${Number(mode).toString(16)}`);
      assert.equal(bench.int(0x10, { eax: 0x0d00, ecx: 101, edx: 57 }).al, colour);
      if (Number(mode) === 0x13) continue;
      bench.int(0x10, { eax: 0x0c81, ecx: 101, edx: 57 });
      assert.equal(pixel(bench, 101, 57), exclusive, `exclusive or in mode ${Number(mode).toString(16)}`);
    }
  });

  it('draws text with the mode\'s font, reads it back and scrolls it', () => {
    for (const [mode, height] of [[0x04, 8], [0x06, 8], [0x0d, 8], [0x10, 14], [0x12, 16], [0x13, 8]] as const) {
      const bench = new Bench();
      bench.int(0x10, { eax: mode });
      bench.int(0x10, { eax: 0x0e0a, ebx: 7 });
      for (const letter of 'Ab') bench.int(0x10, { eax: 0x0e00 | letter.charCodeAt(0), ebx: 1 });
      const shape = (top: number) => {
        const { pixels, width } = bench.vga.picture();
        return Array.from({ length: height }, (_, line) => pixels.subarray((top + line) * width, (top + line) * width + 8).reduce((bits, dot) => bits << 1 | (dot === 0 ? 0 : 1), 0));
      };
      const font = fonts[height];
      assert.deepEqual(shape(height), [...font.subarray(0x41 * height, 0x42 * height)], `mode ${mode.toString(16)}`);
      bench.int(0x10, { eax: 0x0200, edx: 0x0101 });
      assert.equal(bench.int(0x10, { eax: 0x0800 }).al, 0x62);
      bench.int(0x10, { eax: 0x0601, ebx: 0, ecx: 0, edx: 0x184f });
      assert.deepEqual(shape(0), [...font.subarray(0x41 * height, 0x42 * height)]);
      assert.deepEqual(shape(height), new Array(height).fill(0));
      bench.int(0x10, { eax: 0x0600, ebx: 0x0300, ecx: 0, edx: 0x184f });
      assert.notEqual(pixel(bench, 5, 5), 0, 'cleared with a colour');
    }
  });

  it('loads fonts, tells where they are, and changes palettes', () => {
    const bench = new Bench();
    bench.memory.writeBytes(BUFFER, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    bench.int(0x10, { eax: 0x1100, ebx: 0x1000, ecx: 1, edx: 0x41, es: ES });
    assert.deepEqual([...bench.vga.text()!.font!.subarray(0x41 * 32, 0x41 * 32 + 4)], [1, 2, 3, 4]);
    const where = bench.int(0x10, { eax: 0x1130, ebx: 0x0600 });
    assert.deepEqual([where.es, where.cx, where.dx & 0xff], [0xf000, 16, 24]);
    assert.deepEqual([...bench.memory.readBytes(0xf0000 + where.bp + 0x41 * 16, 16)], [...fonts[16].subarray(0x410, 0x420)]);
    bench.int(0x10, { eax: 4 });
    bench.int(0x10, { eax: 0x0b00, ebx: 0x0100 });
    bench.int(0x10, { eax: 0x0c01, ecx: 0, edx: 0 });
    assert.equal(pixel(bench, 0, 0), 0x55ff55);
    bench.int(0x10, { eax: 0x0b00, ebx: 0x0101 });
    assert.equal(pixel(bench, 0, 0), 0x55ffff);
    bench.int(0x10, { eax: 0x1010, ebx: 0x13, ecx: 0x2a15, edx: 0x3f00 });
    assert.equal(pixel(bench, 0, 0), 0xffaa55);
    const state = bench.int(0x10, { eax: 0x1b00, edi: 0, es: ES });
    assert.equal(state.al, 0x1b);
    assert.equal(bench.memory.read8(BUFFER + 4), 4);
    assert.equal(bench.memory.read16(BUFFER + 0x27), 4);
  });
});

describe('VBE', () => {
  const text = (bench: Bench, at: number, length: number) => String.fromCharCode(...bench.memory.readBytes(at, length));

  it('lists its modes, each with information that fits', () => {
    const bench = new Bench();
    bench.memory.writeBytes(BUFFER, Uint8Array.from('VBE2', (c) => c.charCodeAt(0)));
    assert.equal(bench.int(0x10, { eax: 0x4f00, es: ES }).ax, 0x004f);
    assert.equal(text(bench, BUFFER, 4), 'VESA');
    assert.deepEqual([bench.memory.read16(BUFFER + 4), bench.memory.read16(BUFFER + 18)], [0x0300, 0x40]);
    const list = bench.memory.read16(BUFFER + 16) * 16 + bench.memory.read16(BUFFER + 14);
    const modes: number[] = [];
    for (let at = list; bench.memory.read16(at) !== 0xffff; at += 2) modes.push(bench.memory.read16(at));
    assert.ok(modes.length > 30 && modes.includes(0x118) && modes.includes(0x144));
    for (const mode of modes) {
      assert.equal(bench.int(0x10, { eax: 0x4f01, ecx: mode, es: ES }).ax, 0x004f);
      const [pitch, width, height] = [16, 18, 20].map((at) => bench.memory.read16(BUFFER + at));
      const bits = bench.memory.read8(BUFFER + 25);
      assert.ok(pitch * 8 >= width * (bits === 4 ? 1 : bits) && height >= 200, mode.toString(16));
      const linear = bench.memory.read32(BUFFER + 40);
      assert.equal(linear, bits === 4 ? 0 : 0xe0000000);
      if (pitch * height > 0x400000 && bits !== 4) continue; // the test's display has 4 MiB
      assert.equal(bench.int(0x10, { eax: 0x4f02, ebx: mode | (linear ? 0x4000 : 0) }).ax, 0x004f, mode.toString(16));
      assert.equal(bench.int(0x10, { eax: 0x4f03 }).bx & 0x3fff, mode);
      const picture = bench.vga.picture();
      assert.deepEqual([picture.width, picture.height], [width, height]);
    }
    assert.equal(bench.int(0x10, { eax: 0x4f01, ecx: 0x1fe, es: ES }).ax, 0x014f);
    bench.int(0x10, { eax: 3 });
    assert.equal(bench.int(0x10, { eax: 0x4f03 }).bx, 3);
    assert.ok(bench.vga.text());
  });

  it('moves the window, the start of the picture and the end of its rows', () => {
    const bench = new Bench();
    bench.int(0x10, { eax: 0x4f02, ebx: 0x101 });
    assert.equal(bench.int(0x10, { eax: 0x4f05, ebx: 0, edx: 3 }).ax, 0x004f);
    bench.memory.write8(0xa0000, 0x28);
    assert.equal(pixel(bench, 0x30000 % 640, Math.floor(0x30000 / 640)), 0xff0000);
    assert.equal(bench.int(0x10, { eax: 0x4f05, ebx: 0x100 }).dx, 3);
    const length = bench.int(0x10, { eax: 0x4f06, ebx: 0, ecx: 800 });
    assert.deepEqual([length.ax, length.bx, length.cx], [0x004f, 800, 800]);
    assert.equal(bench.int(0x10, { eax: 0x4f07, ebx: 0, ecx: 10, edx: 20 }).ax, 0x004f);
    const start = bench.int(0x10, { eax: 0x4f07, ebx: 1 });
    assert.deepEqual([start.cx, start.dx], [10, 20]);
    assert.equal(pixel(bench, 0x30000 % 800 - 10, Math.floor(0x30000 / 800) - 20), 0xff0000);
    assert.equal(bench.int(0x10, { eax: 0x4f07, ebx: 0, ecx: 700, edx: 0 }).ax, 0x014f);
    assert.equal(bench.int(0x10, { eax: 0x4f08, ebx: 0x0800 }).bx >> 8, 8);
    bench.memory.write32(BUFFER, 0x00123456);
    bench.int(0x10, { eax: 0x4f09, ebx: 0, ecx: 1, edx: 0x28, es: ES });
    assert.equal(pixel(bench, 0x30000 % 800 - 10, Math.floor(0x30000 / 800) - 20), 0x123456);
    bench.memory.write32(BUFFER, 0);
    bench.int(0x10, { eax: 0x4f09, ebx: 1, ecx: 1, edx: 0x28, es: ES });
    assert.equal(bench.memory.read32(BUFFER), 0x123456);
    assert.equal(bench.int(0x10, { eax: 0x4f0a }).ax, 0x014f);
  });

  it('writes text in deep colours, over the edge of a bank', () => {
    const bench = new Bench();
    bench.int(0x10, { eax: 0x4f02, ebx: 0x4143 });
    bench.int(0x10, { eax: 0x0200, edx: 0x0200 | 0x20 });
    bench.int(0x10, { eax: 0x0edb, ebx: 12 });
    assert.equal(pixel(bench, 0x20 * 8 + 3, 2 * 16 + 9), 0xff5555);
    bench.int(0x10, { eax: 0x0601, ebx: 0, ecx: 0, edx: 0x2463 });
    assert.equal(pixel(bench, 0x20 * 8 + 3, 16 + 9), 0xff5555);
    assert.equal(pixel(bench, 0x20 * 8 + 3, 2 * 16 + 9), 0);
  });
});
