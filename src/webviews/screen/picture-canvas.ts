/** A graphics mode on a canvas that has a pixel for each of the guest's: the browser enlarges it by whole factors where there is room, without blurring. */
import type { PictureUpdate } from '../../protocol/views';

export class PictureCanvas {
  shown = false;
  private picture: Omit<PictureUpdate, 'rectangles' | 'sequence' | 'program' | 'type'> | undefined;
  /** The picture's own bytes, one or four a pixel. */
  private pixels = new Uint8Array(0);
  private image: ImageData | undefined;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly context: CanvasRenderingContext2D, private readonly room: HTMLElement) {}

  /** Pixels of the guest for a pixel of the view. */
  get scale(): { readonly x: number; readonly y: number } {
    return { x: this.canvas.width / Math.max(1, this.canvas.clientWidth), y: this.canvas.height / Math.max(1, this.canvas.clientHeight) };
  }

  update({ rectangles, sequence: _sequence, program: _program, type: _type, ...picture }: PictureUpdate): void {
    const { width, height, colours } = picture;
    const size = colours ? 1 : 4;
    const anew = !this.shown || this.picture?.width !== width || this.picture.height !== height || (this.picture.colours === undefined) !== (colours === undefined);
    const recoloured = anew || colours?.join() !== this.picture?.colours?.join();
    this.picture = picture;
    this.shown = true;
    if (anew) {
      this.pixels = new Uint8Array(width * height * size);
      this.image = new ImageData(width, height);
      this.canvas.width = width;
      this.canvas.height = height;
      this.fit();
    }
    for (const { x, y, width: across, height: down, pixels } of rectangles) {
      for (let n = 0; n < down; n++) this.pixels.set(pixels.subarray(n * across * size, (n + 1) * across * size), ((y + n) * width + x) * size);
      if (!recoloured) this.draw(x, y, across, down);
    }
    if (recoloured) this.draw(0, 0, width, height);
  }

  private draw(x: number, y: number, width: number, height: number): void {
    const { image, picture, pixels } = this;
    if (!image || !picture) return;
    const words = new Uint32Array(image.data.buffer);
    const source = picture.colours ? pixels : new Uint32Array(pixels.buffer);
    const table = picture.colours?.map((value) => (0xff000000 | (value & 0xff) << 16 | (value & 0xff00) | value >> 16) >>> 0);
    for (let line = y; line < y + height; line++) {
      for (let at = line * picture.width + x, end = at + width; at < end; at++) words[at] = table ? table[source[at]] : source[at];
    }
    this.context.putImageData(image, 0, 0, x, y, width, height);
  }

  fit(): void {
    if (!this.picture) return;
    const { width, height, pixelWidth, pixelHeight } = this.picture;
    const ratio = window.devicePixelRatio || 1;
    // A pixel that is two dots both ways is as well one dot: only their proportion counts.
    const common = Math.min(pixelWidth, pixelHeight);
    const dotsWide = width * pixelWidth / common, dotsHigh = height * pixelHeight / common;
    const scale = Math.min(this.room.clientWidth * ratio / dotsWide, this.room.clientHeight * ratio / dotsHigh);
    const factor = scale >= 1 ? Math.floor(scale) : scale;
    this.canvas.style.width = `${Math.max(1, dotsWide * factor / ratio)}px`;
    this.canvas.style.height = `${Math.max(1, dotsHigh * factor / ratio)}px`;
  }
}
