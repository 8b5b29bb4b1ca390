import { strict as assert } from 'node:assert';
import type { ScreenGraphics } from './messages';
import { applyScreen, changedRectangles, wholePicture } from './picture';

function picture(width: number, height: number, deep = false): ScreenGraphics {
  return {
    kind: 'graphics', mode: '', width, height, pixelWidth: 1, pixelHeight: 1, ...(!deep && { colours: new Array<number>(256).fill(0) }),
    rectangles: [{ x: 0, y: 0, width, height, pixels: new Uint8Array(width * height * (deep ? 4 : 1)) }],
  };
}

describe('changes of a picture', () => {
  it('are the columns that differ in bands of rows', () => {
    const before = picture(320, 200), now = picture(320, 200);
    assert.deepEqual(changedRectangles(before, now), []);
    const pixels = wholePicture(now);
    pixels[10 * 320 + 5] = 1;
    pixels[12 * 320 + 9] = 2;
    pixels[100 * 320 + 319] = 3;
    const found = changedRectangles(before, now).map(({ x, y, width, height }) => [x, y, width, height]);
    assert.deepEqual(found, [[5, 8, 5, 5], [319, 96, 1, 5]]);
  });

  it('lead to the same picture at the other end, whatever changed', () => {
    let seed = 1;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    for (const deep of [false, true]) {
      let there = picture(61, 47, deep);
      let here = picture(61, 47, deep);
      for (let n = 0; n < 200; n++) {
        const pixels = wholePicture(here).slice();
        for (let k = random(6); k >= 0; k--) pixels.fill(random(256), random(pixels.length), random(pixels.length));
        const now: ScreenGraphics = { ...here, rectangles: [{ ...here.rectangles[0], pixels }] };
        there = applyScreen(there, { ...now, rectangles: changedRectangles(here, now) }) as ScreenGraphics;
        here = now;
        assert.deepEqual(wholePicture(there), pixels);
      }
    }
  });

  it('begin anew with another size or kind', () => {
    const wide = picture(640, 480);
    assert.equal(applyScreen(picture(320, 200), wide), wide);
    assert.throws(() => wholePicture({ ...wide, rectangles: [] }), /change of a picture/);
  });
});
