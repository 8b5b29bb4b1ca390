/**
 * The picture as pixels. Modes of up to eight bits give indices into the DAC and the DAC's colours; VBE modes with more bits give red, green, blue and
 * an opaque fourth byte. Pixels that the tube shows twice in a row or column are given once, with how often they are shown.
 */
import { pixelBytes, type DispiMode } from './dispi';
import { AR, CR, GR, SR, type VgaState } from './registers';
import { attributeColours, displayLines, isGraphics, isShown, lineCompare, memoryAddress, startAddress } from './scan';
import { fontAddresses } from './text';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Dots that a pixel is wide and high on the tube. */
  readonly pixelWidth: number;
  readonly pixelHeight: number;
  /** Indices, one byte each, with `colours`; without them four bytes each. */
  readonly pixels: Uint8Array;
  /** 256 colours, 0xRRGGBB. */
  readonly colours?: readonly number[];
  /** In words, for labels. */
  readonly mode: string;
}

/** Frames after which cursor and blinking characters change. */
const CURSOR_FRAMES = 8, BLINK_FRAMES = 16;
const WIDTH_MAX = 2048, LINES_MAX = 2048;

const countWords = (bits: number): string => (bits <= 8 ? `${2 ** bits} colours` : `${bits} bits`);

/** Where each shown line begins: split screen, doubling, row scan. */
interface ScanLine {
  readonly counter: number;
  readonly line: number;
  /** Below the split, where panning may be off. */
  readonly below: boolean;
}

function* scanLines({ crtc }: VgaState, step: number): Generator<ScanLine> {
  const rowLines = (crtc[CR.maximumScan] & 0x1f) + 1, double = crtc[CR.maximumScan] & 0x80 ? 2 : 1;
  const compare = lineCompare(crtc), lines = Math.min(LINES_MAX, displayLines(crtc));
  const pitch = 2 * crtc[CR.offset];
  let counter = startAddress(crtc) + ((crtc[CR.presetRow] >> 5) & 3), line = crtc[CR.presetRow] & 0x1f, below = false;
  for (let y = 0; y < lines; y++) {
    if (!below && y === compare + 1) {
      below = true;
      counter = 0;
      line = 0;
    }
    if (y % step === 0) yield { counter: counter & 0xffff, line, below };
    if (y % double === double - 1 && ++line >= rowLines) {
      line = 0;
      counter += pitch;
    }
  }
}

/** Graphics of the VGA itself. */
export function drawGraphics(state: VgaState, planes: Int32Array, colour: (dac: number) => number): Picture {
  const { crtc, sequencer, graphics, attribute } = state;
  const wide = (graphics[GR.mode] & 0x40) !== 0, pairs = (graphics[GR.mode] & 0x20) !== 0;
  const characters = crtc[CR.horizontalEnd] + 1;
  const width = Math.min(WIDTH_MAX, characters * (wide ? 4 : 8));
  const pixelWidth = (sequencer[SR.clocking] & 8 ? 2 : 1) * (wide ? 2 : 1);
  const rowLines = (crtc[CR.maximumScan] & 0x1f) + 1, double = crtc[CR.maximumScan] & 0x80 ? 2 : 1;
  // Where the line of a row is part of the address, the lines of a row differ.
  const pixelHeight = (crtc[CR.mode] & 3) === 3 ? rowLines * double : double;
  const lines = Math.min(LINES_MAX, displayLines(crtc));
  const height = Math.ceil(lines / pixelHeight);
  const pixels = new Uint8Array(width * height);
  const dac = attributeColours(state);
  const bits = wide ? 8 : pairs ? 2 : (attribute[AR.planeEnable] & 14) === 0 ? 1 : 4;
  const picture: Picture = {
    width, height, pixelWidth, pixelHeight, pixels, colours: Array.from({ length: 256 }, (_, n) => colour(n)), mode: `${width}×${height}, ${countWords(bits)}`,
  };
  if (!isShown(state)) {
    pixels.fill(attribute[AR.overscan]);
    return picture;
  }
  const panning = attribute[AR.panning] & 7, keepsBelow = (attribute[AR.mode] & 0x20) === 0;
  let at = 0;
  for (const { counter, line, below } of scanLines(state, pixelHeight)) {
    const pan = below && !keepsBelow ? 0 : panning;
    if (wide) {
      const shift = pan >> 1;
      for (let x = 0; x < width; x++) {
        const p = x + shift;
        pixels[at + x] = planes[(counter + (p >> 2)) & 0xffff] >>> (8 * (p & 3));
      }
    } else if (pairs) {
      for (let x = 0; x < width; x++) {
        const p = x + pan;
        const word = planes[memoryAddress(crtc, (counter + (p >> 3)) & 0xffff, line)];
        // The first four pixels come from planes 0 and 2, the others from 1 and 3, two bits each.
        const from = p & 4 ? word >> 8 : word;
        const turn = 6 - 2 * (p & 3);
        pixels[at + x] = dac[((from >> turn) & 3) | ((from >> (16 + turn)) & 3) << 2];
      }
    } else {
      for (let x = 0; x < width; x++) {
        const p = x + pan;
        const word = planes[memoryAddress(crtc, (counter + (p >> 3)) & 0xffff, line)] >>> (7 - (p & 7));
        pixels[at + x] = dac[(word & 1) | (word >>> 7 & 2) | (word >>> 14 & 4) | (word >>> 21 & 8)];
      }
    }
    at += width;
  }
  return picture;
}

/** A text mode as the tube shows it, `frame` frames after power-on. */
export function drawText(state: VgaState, planes: Int32Array, colour: (dac: number) => number, frame: number): Picture {
  const { crtc, sequencer, attribute } = state;
  const dots = sequencer[SR.clocking] & 1 ? 8 : 9;
  const columns = crtc[CR.horizontalEnd] + 1;
  const width = Math.min(WIDTH_MAX, columns * dots), height = Math.min(LINES_MAX, displayLines(crtc));
  const pixels = new Uint8Array(width * height);
  const picture: Picture = {
    width, height, pixelWidth: sequencer[SR.clocking] & 8 ? 2 : 1, pixelHeight: 1, pixels, colours: Array.from({ length: 256 }, (_, n) => colour(n)), mode: `${columns} columns of text`,
  };
  if (!isShown(state)) {
    pixels.fill(attribute[AR.overscan]);
    return picture;
  }
  const mode = attribute[AR.mode], dac = attributeColours(state);
  const [font, otherFont] = fontAddresses(sequencer);
  const cursorOff = (crtc[CR.cursorStart] & 0x20) !== 0 || Math.floor(frame / CURSOR_FRAMES) % 2 !== 0;
  const cursorAddress = memoryAddress(crtc, crtc[CR.cursorHigh] << 8 | crtc[CR.cursorLow], 0);
  const blinkOff = (mode & 8) !== 0 && Math.floor(frame / BLINK_FRAMES) % 2 !== 0;
  // With nine dots a panning of 8 is none.
  const panning = dots === 9 ? ((attribute[AR.panning] & 15) + 1) % 9 : attribute[AR.panning] & 7;
  let at = 0;
  for (const { counter, line, below } of scanLines(state, 1)) {
    const pan = below && mode & 0x20 ? 0 : panning;
    for (let x = 0; x < width; x++) {
      const p = x + pan, dot = p % dots;
      const address = memoryAddress(crtc, (counter + Math.floor(p / dots)) & 0xffff, 0);
      const word = planes[address], code = word & 0xff, cell = (word >> 8) & 0xff;
      const glyph = planes[((cell & 8 ? otherFont : font) + code * 32 + line) & 0xffff] >> 16;
      // The ninth dot is background, except that line graphics go on.
      let on = dot < 8 ? (glyph >> (7 - dot)) & 1 : mode & 4 && code >= 0xc0 && code <= 0xdf ? glyph & 1 : 0;
      if (mode & 2 && (cell & 7) === 1 && line === (crtc[CR.underline] & 0x1f)) on = 1;
      if (blinkOff && cell & 0x80) on = 0;
      if (address === cursorAddress && !cursorOff && line >= (crtc[CR.cursorStart] & 0x1f) && line <= (crtc[CR.cursorEnd] & 0x1f)) on = 1;
      pixels[at + x] = dac[on ? cell & 15 : (cell >> 4) & (mode & 8 ? 7 : 15)];
    }
    at += width;
  }
  return picture;
}

/** A VBE mode. */
export function drawVbe(mode: DispiMode, state: VgaState, video: Uint8Array, planes: Int32Array, colour: (dac: number) => number): Picture {
  const { width, height, bits, pitch, start } = mode;
  const base = { width, height, pixelWidth: 1, pixelHeight: 1, mode: `${width}×${height}, ${countWords(bits)}` };
  if (bits <= 8) {
    const pixels = new Uint8Array(width * height);
    const colours = Array.from({ length: 256 }, (_, n) => colour(n));
    if (bits === 8) {
      for (let y = 0; y < height; y++) pixels.set(video.subarray(start + y * pitch, start + y * pitch + width), y * width);
    } else {
      const dac = attributeColours(state);
      for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const word = planes[start + y * pitch + (x >> 3)] >>> (7 - (x & 7));
          pixels[at++] = dac[(word & 1) | (word >>> 7 & 2) | (word >>> 14 & 4) | (word >>> 21 & 8)];
        }
      }
    }
    return { ...base, pixels, colours };
  }
  const pixels = new Uint8Array(4 * width * height);
  const words = new Uint32Array(pixels.buffer);
  const bytes = pixelBytes(bits);
  const five = (value: number): number => (value & 31) << 3 | (value & 31) >> 2;
  const six = (value: number): number => (value & 63) << 2 | (value & 63) >> 4;
  for (let y = 0, at = 0; y < height; y++) {
    let from = start + y * pitch;
    if (bits >= 24) {
      for (let x = 0; x < width; x++, from += bytes) words[at++] = 0xff000000 | video[from] << 16 | video[from + 1] << 8 | video[from + 2];
    } else {
      for (let x = 0; x < width; x++, from += 2) {
        const value = video[from] | video[from + 1] << 8;
        words[at++] = bits === 16
          ? 0xff000000 | five(value) << 16 | six(value >> 5) << 8 | five(value >> 11)
          : 0xff000000 | five(value) << 16 | five(value >> 5) << 8 | five(value >> 10);
      }
    }
  }
  return { ...base, pixels };
}

export function drawVga(state: VgaState, planes: Int32Array, colour: (dac: number) => number, frame: number): Picture {
  return isGraphics(state) ? drawGraphics(state, planes, colour) : drawText(state, planes, colour, frame);
}

/** The picture's dots as red, green, blue and opaque bytes, pixels repeated as the tube repeats them. */
export function toDots(picture: Picture): { width: number; height: number; bytes: Uint8Array } {
  const { pixelWidth, pixelHeight, colours, pixels } = picture;
  const width = picture.width * pixelWidth, height = picture.height * pixelHeight;
  const words = new Uint32Array(width * height);
  const source = colours ? undefined : new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length >> 2);
  const table = colours?.map((value) => (0xff000000 | (value & 0xff) << 16 | (value & 0xff00) | value >> 16) >>> 0);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / pixelHeight) * picture.width;
    for (let x = 0; x < width; x++) {
      const pixel = row + Math.floor(x / pixelWidth);
      words[at++] = source ? source[pixel] : table![pixels[pixel]];
    }
  }
  return { width, height, bytes: new Uint8Array(words.buffer) };
}
