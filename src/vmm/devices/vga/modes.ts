/**
 * Register values of the standard modes, as IBM's video BIOS programs them (PS/2 and PC BIOS Interface Technical Reference; PS/2 Hardware Interface
 * Technical Reference, mode tables), and the default palettes. One row for a mode; what modes share is said once.
 */
import type { VgaMode } from './registers';

const timing = {
  // CR00–CR06 and CR10–CR12, CR15, CR16 of the two line widths and three heights.
  wide: [0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80],
  wideText: [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81],
  narrow: [0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80],
  narrowText: [0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0],
} as const;

interface Lines {
  readonly total: number;
  readonly overflow: number;
  readonly retrace: readonly [start: number, end: number];
  readonly end: number;
  readonly blank: readonly [start: number, end: number];
}
const lines400: Lines = { total: 0xbf, overflow: 0x1f, retrace: [0x9c, 0x8e], end: 0x8f, blank: [0x96, 0xb9] };
const lines350: Lines = { total: 0xbf, overflow: 0x1f, retrace: [0x83, 0x85], end: 0x5d, blank: [0x63, 0xba] };
const lines480: Lines = { total: 0x0b, overflow: 0x3e, retrace: [0xea, 0x8c], end: 0xdf, blank: [0xe7, 0x04] };

interface CrtcSpec {
  readonly horizontal: readonly number[];
  readonly lines: Lines;
  readonly maximumScan: number;
  readonly cursor?: readonly [number, number];
  readonly offset: number;
  readonly underline: number;
  readonly mode: number;
}

function crtc({ horizontal, lines, maximumScan, cursor = [0, 0], offset, underline, mode }: CrtcSpec): number[] {
  return [
    ...horizontal, lines.total, lines.overflow, 0, maximumScan, ...cursor, 0, 0, 0, 0, ...lines.retrace, lines.end, offset, underline, ...lines.blank, mode, 0xff,
  ];
}

const ega16 = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f];
const cga16 = [0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17];
const textAttribute = [...ega16, 0x0c, 0, 0x0f, 8, 0];
const planes = { graphics: [0, 0, 0, 0, 0, 0, 5, 0x0f, 0xff], sequencer: (clocking: number) => [3, clocking, 0x0f, 0, 6] };

export const text80: VgaMode = {
  miscOutput: 0x67,
  sequencer: [3, 0, 3, 0, 2],
  crtc: crtc({ horizontal: timing.wideText, lines: lines400, maximumScan: 0x4f, cursor: [0x0d, 0x0e], offset: 0x28, underline: 0x1f, mode: 0xa3 }),
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff],
  attribute: textAttribute,
};
export const text40: VgaMode = {
  ...text80,
  sequencer: [3, 8, 3, 0, 2],
  crtc: crtc({ horizontal: timing.narrowText, lines: lines400, maximumScan: 0x4f, cursor: [0x0d, 0x0e], offset: 0x14, underline: 0x1f, mode: 0xa3 }),
};
export const textMono: VgaMode = {
  ...text80,
  miscOutput: 0x66,
  crtc: crtc({ horizontal: timing.wideText, lines: lines400, maximumScan: 0x4f, cursor: [0x0d, 0x0e], offset: 0x28, underline: 0x0f, mode: 0xa3 }),
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0a, 0, 0xff],
  attribute: [0, 8, 8, 8, 8, 8, 8, 8, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x0e, 0, 0x0f, 8, 0],
};

const cga320: VgaMode = {
  miscOutput: 0x63,
  sequencer: [3, 9, 3, 0, 2],
  crtc: crtc({ horizontal: timing.narrow, lines: lines400, maximumScan: 0xc1, offset: 0x14, underline: 0, mode: 0xa2 }),
  graphics: [0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff],
  attribute: [0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 1, 0, 3, 0, 0],
};
const cga640: VgaMode = {
  miscOutput: 0x63,
  sequencer: [3, 1, 1, 0, 6],
  crtc: crtc({ horizontal: timing.wide, lines: lines400, maximumScan: 0xc1, offset: 0x28, underline: 0, mode: 0xc2 }),
  graphics: [0, 0, 0, 0, 0, 0, 0x0d, 0, 0xff],
  attribute: [0, ...new Array<number>(15).fill(0x17), 1, 0, 1, 0, 0],
};
const planar320x200: VgaMode = {
  miscOutput: 0x63,
  sequencer: planes.sequencer(9),
  crtc: crtc({ horizontal: timing.narrow, lines: lines400, maximumScan: 0xc0, offset: 0x14, underline: 0, mode: 0xe3 }),
  graphics: planes.graphics,
  attribute: [...cga16, 1, 0, 0x0f, 0, 0],
};
const planar640x200: VgaMode = {
  ...planar320x200,
  sequencer: planes.sequencer(1),
  crtc: crtc({ horizontal: timing.wide, lines: lines400, maximumScan: 0xc0, offset: 0x28, underline: 0, mode: 0xe3 }),
};
const planar640x350: VgaMode = {
  miscOutput: 0xa3,
  sequencer: planes.sequencer(1),
  crtc: crtc({ horizontal: timing.wide, lines: lines350, maximumScan: 0x40, offset: 0x28, underline: 0x0f, mode: 0xe3 }),
  graphics: planes.graphics,
  attribute: [...ega16, 1, 0, 0x0f, 0, 0],
};
const mono640x350: VgaMode = {
  ...planar640x350,
  miscOutput: 0xa2,
  graphics: [0, 0, 0, 0, 0, 0, 5, 5, 0xff],
  attribute: [0, 8, 0, 0, 0x18, 0x18, 0, 0, 0, 8, 0, 0, 0, 0x18, 0, 0, 0x0b, 0, 5, 0, 0],
};
const planar640x480: VgaMode = {
  miscOutput: 0xe3,
  sequencer: planes.sequencer(1),
  crtc: crtc({ horizontal: timing.wide, lines: lines480, maximumScan: 0x40, offset: 0x28, underline: 0, mode: 0xe3 }),
  graphics: planes.graphics,
  attribute: [...ega16, 1, 0, 0x0f, 0, 0],
};
const mono640x480: VgaMode = { ...planar640x480, crtc: planar640x480.crtc.with(0x17, 0xc3), attribute: [0, ...new Array<number>(15).fill(0x3f), 1, 0, 0x0f, 0, 0] };
const chained320x200: VgaMode = {
  miscOutput: 0x63,
  sequencer: [3, 1, 0x0f, 0, 0x0e],
  crtc: crtc({ horizontal: timing.wide, lines: lines400, maximumScan: 0x41, offset: 0x28, underline: 0x40, mode: 0xa3 }),
  graphics: [0, 0, 0, 0, 0, 0x40, 5, 0x0f, 0xff],
  attribute: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0, 0],
};

/** How a BIOS writes into a mode's memory. */
export type Layout = 'text' | 'cga2' | 'cga1' | 'planar' | 'mono' | 'chained';

export interface BiosMode {
  readonly registers: VgaMode;
  readonly layout: Layout;
  /** Characters and character height; graphics have cells of 8 dots. */
  readonly columns: number;
  readonly rows: number;
  readonly characterHeight: 8 | 14 | 16;
  /** Colours of the DAC: 64 of EGA, 16 of CGA repeated, grey, or 256. */
  readonly palette: 'ega' | 'cga' | 'mono' | 'vga';
  /** Bytes of a display page as the BIOS data area says, and pages. */
  readonly pageBytes: number;
  readonly pages: number;
  /** CGA mode control register, as the BIOS data area keeps it. */
  readonly control: number;
}

const text = (registers: VgaMode, columns: number, control: number, palette: BiosMode['palette'] = 'ega'): BiosMode =>
  ({ registers, layout: 'text', columns, rows: 25, characterHeight: 16, palette, pageBytes: columns === 40 ? 0x800 : 0x1000, pages: 8, control });

/** INT 10h AH=00h modes by number. */
export const biosModes: ReadonlyMap<number, BiosMode> = new Map<number, BiosMode>([
  [0x00, text(text40, 40, 0x2c)],
  [0x01, text(text40, 40, 0x28)],
  [0x02, text(text80, 80, 0x2d)],
  [0x03, text(text80, 80, 0x29)],
  [0x04, { registers: cga320, layout: 'cga2', columns: 40, rows: 25, characterHeight: 8, palette: 'cga', pageBytes: 0x4000, pages: 1, control: 0x2a }],
  [0x05, { registers: cga320, layout: 'cga2', columns: 40, rows: 25, characterHeight: 8, palette: 'cga', pageBytes: 0x4000, pages: 1, control: 0x2e }],
  [0x06, { registers: cga640, layout: 'cga1', columns: 80, rows: 25, characterHeight: 8, palette: 'cga', pageBytes: 0x4000, pages: 1, control: 0x1e }],
  [0x07, text(textMono, 80, 0x29, 'mono')],
  [0x0d, { registers: planar320x200, layout: 'planar', columns: 40, rows: 25, characterHeight: 8, palette: 'cga', pageBytes: 0x2000, pages: 8, control: 0x29 }],
  [0x0e, { registers: planar640x200, layout: 'planar', columns: 80, rows: 25, characterHeight: 8, palette: 'cga', pageBytes: 0x4000, pages: 4, control: 0x29 }],
  [0x0f, { registers: mono640x350, layout: 'mono', columns: 80, rows: 25, characterHeight: 14, palette: 'mono', pageBytes: 0x8000, pages: 2, control: 0x29 }],
  [0x10, { registers: planar640x350, layout: 'planar', columns: 80, rows: 25, characterHeight: 14, palette: 'ega', pageBytes: 0x8000, pages: 2, control: 0x29 }],
  [0x11, { registers: mono640x480, layout: 'planar', columns: 80, rows: 30, characterHeight: 16, palette: 'ega', pageBytes: 0xa000, pages: 1, control: 0x29 }],
  [0x12, { registers: planar640x480, layout: 'planar', columns: 80, rows: 30, characterHeight: 16, palette: 'ega', pageBytes: 0xa000, pages: 1, control: 0x29 }],
  [0x13, { registers: chained320x200, layout: 'chained', columns: 40, rows: 25, characterHeight: 8, palette: 'vga', pageBytes: 0xfa00, pages: 1, control: 0x29 }],
]);

/** Two bits for a colour component: two thirds of full intensity and one third. */
const component = (strong: number, weak: number): number => (strong & 1) * 0x2a + (weak & 1) * 0x15;

function egaColour(i: number): number[] {
  return [2, 1, 0].map((bit) => component(i >> bit, i >> (bit + 3)));
}

/** CGA's sixteen colours at 0–7 and 10h–17h: bit 4 is intensity, and dark yellow is brown. */
function cgaColour(i: number): number[] {
  if ((i & 0x17) === 6) return [0x2a, 0x15, 0];
  return [2, 1, 0].map((bit) => component(i >> bit, i >> 4));
}

/**
 * The 256 colours of mode 13h: the sixteen, sixteen greys, and a wheel of 24 hues in three intensities and three saturations; the last eight are black.
 */
function vgaColours(): number[] {
  const greys = [0, 5, 8, 11, 14, 17, 20, 24, 28, 32, 36, 40, 45, 50, 56, 63];
  const colours: number[] = [];
  for (let i = 0; i < 16; i++) colours.push(...cgaColour((i & 7) | (i & 8) << 1));
  for (const grey of greys) colours.push(grey, grey, grey);
  const levels = [
    [0, 16, 31, 47, 63], [31, 39, 47, 55, 63], [45, 49, 54, 58, 63],
    [0, 7, 14, 21, 28], [14, 17, 21, 24, 28], [20, 22, 24, 26, 28],
    [0, 4, 8, 12, 16], [8, 10, 12, 14, 16], [11, 12, 13, 15, 16],
  ];
  // From blue over magenta, red, yellow, green and cyan back to blue: one component moves in each sixth.
  const sixths: readonly (readonly [number, number, number])[] = [[0, 0, 4], [4, 0, 4], [4, 0, 0], [4, 4, 0], [0, 4, 0], [0, 4, 4]];
  for (const level of levels) {
    for (let hue = 0; hue < 24; hue++) {
      const from = sixths[Math.floor(hue / 4)], to = sixths[(Math.floor(hue / 4) + 1) % 6];
      for (let n = 0; n < 3; n++) colours.push(level[from[n] + ((to[n] - from[n]) / 4) * (hue % 4)]);
    }
  }
  while (colours.length < 768) colours.push(0);
  return colours;
}

function monoColour(i: number): number[] {
  const grey = [0, 0x2a, 0x15, 0x3f][(i & 8) >> 3 | (i & 0x10) >> 3];
  return [grey, grey, grey];
}

const sixtyFour = (colour: (i: number) => number[]): number[] => {
  const palette = Array.from({ length: 64 }, (_, i) => colour(i)).flat();
  return [...palette, ...new Array<number>(768 - palette.length).fill(0)];
};

/** 256 colours of red, green and blue in six bits. */
export const palettes: Readonly<Record<BiosMode['palette'], readonly number[]>> = {
  ega: sixtyFour(egaColour), cga: sixtyFour(cgaColour), mono: sixtyFour(monoColour), vga: vgaColours(),
};
