/** Pictures as they change: what of a picture differs from the one before, and the picture that results. */
import type { PictureRectangle, Screen, ScreenGraphics } from './messages';

/** Rows that are compared together: rectangles of a few rows cost more than the pixels that they save. */
const BAND = 8;

export function bytesPerPixel({ colours }: Pick<ScreenGraphics, 'colours'>): 1 | 4 {
  return colours ? 1 : 4;
}

/** All of a picture; what an answer carries. */
export function wholePicture({ width, height, rectangles: [whole] }: ScreenGraphics): Uint8Array {
  if (whole?.width !== width || whole.height !== height) throw new RangeError('This is a change of a picture, not a picture.');
  return whole.pixels;
}

/** Pixels of the one kind can be put over the other's. */
export function sameFormat(a: Screen, b: Screen): boolean {
  return a.kind === 'graphics' && b.kind === 'graphics' && a.width === b.width && a.height === b.height && (a.colours === undefined) === (b.colours === undefined);
}

export function copyRectangle(pixels: Uint8Array, pictureWidth: number, pixelBytes: number, x: number, y: number, width: number, height: number): PictureRectangle {
  const row = width * pixelBytes;
  const copy = new Uint8Array(row * height);
  for (let n = 0; n < height; n++) {
    const from = ((y + n) * pictureWidth + x) * pixelBytes;
    copy.set(pixels.subarray(from, from + row), n * row);
  }
  return { x, y, width, height, pixels: copy };
}

/** Rectangles of `now` that differ from `before`, both whole pictures of one format: for each band of rows the columns that changed. */
export function changedRectangles(before: ScreenGraphics, now: ScreenGraphics): PictureRectangle[] {
  const size = bytesPerPixel(now), { width, height } = now;
  const old = wholePicture(before), pixels = wholePicture(now);
  const row = width * size;
  const rectangles: { x: number; y: number; end: number; bottom: number }[] = [];
  for (let y = 0; y < height; y += BAND) {
    const bottom = Math.min(height, y + BAND);
    let left = row, right = -1, last = -1;
    for (let line = y; line < bottom; line++) {
      const start = line * row;
      let first = 0;
      while (first < row && old[start + first] === pixels[start + first]) first++;
      if (first === row) continue;
      let end = row - 1;
      while (old[start + end] === pixels[start + end]) end--;
      left = Math.min(left, first);
      right = Math.max(right, end);
      last = line;
    }
    if (right < 0) continue;
    const x = Math.floor(left / size), end = Math.floor(right / size) + 1;
    const above = rectangles.at(-1);
    // Bands of about the same columns become one rectangle.
    if (above?.bottom === y && Math.abs(above.x - x) + Math.abs(above.end - end) <= width / 4) {
      above.x = Math.min(above.x, x);
      above.end = Math.max(above.end, end);
      above.bottom = last + 1 === bottom ? bottom : last + 1;
    } else {
      rectangles.push({ x, y, end, bottom: last + 1 });
    }
  }
  return rectangles.map(({ x, y, end, bottom }) => copyRectangle(pixels, width, size, x, y, end - x, bottom - y));
}

/** The screen after an event: a text screen is whole, a picture's rectangles are put over the one before. */
export function applyScreen(before: Screen | undefined, update: Screen): Screen {
  if (update.kind === 'text' || before?.kind !== 'graphics' || !sameFormat(before, update)) return update;
  const size = bytesPerPixel(update);
  // Nobody else has the picture before: it is changed in place.
  const pixels = wholePicture(before);
  for (const { x, y, width, height, pixels: part } of update.rectangles) {
    for (let n = 0; n < height; n++) pixels.set(part.subarray(n * width * size, (n + 1) * width * size), ((y + n) * update.width + x) * size);
  }
  return { ...update, rectangles: [{ x: 0, y: 0, width: update.width, height: update.height, pixels }] };
}
