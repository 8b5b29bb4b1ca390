/** What the CRT controller's registers say about the picture: its size, where rows begin in memory, and when the beam is where. */
import { AR, CR, GR, SR, type VgaState } from './registers';

/** Lines shown. */
export function displayLines(crtc: readonly number[]): number {
  return (crtc[CR.verticalEnd] | (crtc[CR.overflow] & 2) << 7 | (crtc[CR.overflow] & 0x40) << 3) + 1;
}

/** The last line before memory is shown from address 0. */
export function lineCompare(crtc: readonly number[]): number {
  return crtc[CR.lineCompare] | (crtc[CR.overflow] & 0x10) << 4 | (crtc[CR.maximumScan] & 0x40) << 3;
}

export function startAddress(crtc: readonly number[]): number {
  return crtc[CR.startHigh] << 8 | crtc[CR.startLow];
}

/** Sequencer and attribute controller let the picture through. */
export function isShown({ sequencer, attributeIndex }: VgaState): boolean {
  return (sequencer[SR.clocking] & 0x20) === 0 && (attributeIndex & 0x20) !== 0;
}

export function isGraphics({ graphics }: VgaState): boolean {
  return (graphics[GR.miscellaneous] & 1) !== 0;
}

/** Sixteen colours through palette registers, colour select and plane enable: DAC entries. */
export function attributeColours({ attribute }: VgaState): number[] {
  const mode = attribute[AR.mode], select = attribute[AR.colourSelect], planes = attribute[AR.planeEnable] & 15;
  return Array.from({ length: 16 }, (_, n) => {
    const low = attribute[n & planes];
    return (mode & 0x80 ? (low & 0x0f) | (select & 3) << 4 : low & 0x3f) | (select & 0x0c) << 4;
  });
}

/** Address in the planes of address counter `counter` on line `line` of a character row. */
export function memoryAddress(crtc: readonly number[], counter: number, line: number): number {
  const mode = crtc[CR.mode];
  let address = counter;
  if (crtc[CR.underline] & 0x40) address = counter << 2 | (counter >> 14) & 3;
  else if ((mode & 0x40) === 0) address = counter << 1 | (counter >> (mode & 0x20 ? 15 : 13)) & 1;
  if ((mode & 1) === 0) address = (address & ~0x2000) | (line & 1) << 13;
  if ((mode & 2) === 0) address = (address & ~0x4000) | (line & 2) << 13;
  return address & 0xffff;
}

export interface Beam {
  /** Character clocks a second. */
  readonly hertz: number;
  readonly charactersPerLine: number;
  readonly lines: number;
  readonly shownCharacters: number;
  readonly shownLines: number;
  readonly retraceFirst: number;
  readonly retraceLines: number;
}

const DOT_HERTZ = [25_175_000, 28_322_000] as const;

export function beam({ miscOutput, sequencer, crtc }: VgaState): Beam {
  const dots = sequencer[SR.clocking] & 1 ? 8 : 9;
  const clock = DOT_HERTZ[(miscOutput >> 2) & 1] / (sequencer[SR.clocking] & 8 ? 2 : 1);
  const retraceFirst = crtc[CR.retraceStart] | (crtc[CR.overflow] & 4) << 6 | (crtc[CR.overflow] & 0x80) << 2;
  return {
    hertz: Math.round(clock / dots),
    charactersPerLine: crtc[CR.horizontalTotal] + 5,
    lines: (crtc[CR.verticalTotal] | (crtc[CR.overflow] & 1) << 8 | (crtc[CR.overflow] & 0x20) << 4) + 2,
    shownCharacters: crtc[CR.horizontalEnd] + 1,
    shownLines: displayLines(crtc),
    retraceFirst,
    // The end register has four bits: the retrace ends when they match.
    retraceLines: ((crtc[CR.retraceEnd] - retraceFirst) & 15) || 16,
  };
}
