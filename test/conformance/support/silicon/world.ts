/**
 * The little world in which an instruction runs on silicon and on the engine alike: pages, segments and the bytes that are compared. Linear
 * addresses and selectors are the same on both sides; ring 3, IOPL 0, as a process under Linux sees them.
 */

/** Where pages lie; everything else is not present. */
export const pages: readonly { readonly linear: number; readonly bytes: number; readonly access: 'readOnly' | 'readWrite' | 'code' }[] = [
  { linear: 0x40f000, bytes: 0x1000, access: 'readOnly' },
  { linear: 0x410000, bytes: 0x2000, access: 'readWrite' },
  { linear: 0x420000, bytes: 0x2000, access: 'readWrite' },
  { linear: 0x440000, bytes: 0x10000, access: 'code' },
];

export const CODE = 0x440000;
export const CODE_BYTES = 0x10000;
/** Control may land here, or anywhere else in the code pages outside the instruction: offset in the code pages. */
export const LANDING = 0x8000;
/** What the code pages are full of on silicon: INT3 stops every path. */
export const FILLER = 0xcc;

/** The bytes that instructions may change and that are compared: both ends and the middle (a page boundary) of data and stack. */
export const windows: readonly { readonly linear: number; readonly bytes: number }[] = [
  { linear: 0x410000, bytes: 0x80 }, { linear: 0x410f60, bytes: 0x140 }, { linear: 0x411f80, bytes: 0x80 },
  { linear: 0x420000, bytes: 0x80 }, { linear: 0x420ee0, bytes: 0x1a0 }, { linear: 0x421f80, bytes: 0x80 },
];
export const IMAGE_BYTES = windows.reduce((sum, { bytes }) => sum + bytes, 0);

/** Offset in the image of a linear address, or -1. */
export function imageOffset(linear: number): number {
  let before = 0;
  for (const window of windows) {
    if (linear >= window.linear && linear < window.linear + window.bytes) return before + linear - window.linear;
    before += window.bytes;
  }
  return -1;
}

export interface Descriptor {
  readonly base: number;
  /** Last offset, or for expand-down the last invalid one; granularity applied. */
  readonly limit: number;
  readonly kind: 'code' | 'data' | 'readOnly' | 'expandDown';
  readonly big: boolean;
}

/** The local descriptor table, DPL 3 throughout; entry n has the selector {@link ldt}(n). */
export const localDescriptors: readonly Descriptor[] = [
  { base: CODE, limit: 0xffff, kind: 'code', big: true },
  { base: CODE, limit: 0xffff, kind: 'code', big: false },
  { base: 0x410000, limit: 0x1fff, kind: 'data', big: true },
  { base: 0x404000, limit: 0xdfff, kind: 'data', big: true },
  { base: 0x418000, limit: 0x9fff, kind: 'data', big: true },
  { base: 0x418000, limit: 0x9fff, kind: 'data', big: false },
  { base: 0x410800, limit: 0x17ff, kind: 'readOnly', big: true },
  { base: 0x40c000, limit: 0x4fff, kind: 'expandDown', big: false },
  { base: 0x411000, limit: 0xffff, kind: 'data', big: false },
  { base: 0x40c000, limit: 0x4fff, kind: 'expandDown', big: true },
];
export const ldt = (entry: number): number => (entry << 3) | 7;

/** Linux's flat segments of a 32-bit process. */
export const FLAT_CODE = 0x23, FLAT_DATA = 0x2b;

/** Selectors that instructions load and ask about. */
export const selectorList: readonly number[] = [
  FLAT_DATA, FLAT_CODE, 0, 3, ldt(2), ldt(3), ldt(4), ldt(5), ldt(6), ldt(7), ldt(8), ldt(9), ldt(0), ldt(1), ldt(2) & ~3, ldt(5) & ~2, 0x57, 0xfffc, 0xfff8,
];
/** Selectors for far transfers to {@link LANDING} as an offset, some of them wrong. */
export const codeSelectorList: readonly number[] = [ldt(0), ldt(1), ldt(0), ldt(1), ldt(0) & ~3, ldt(2), 0, 0x57];

export const modeNames = ['flat32', 'segmented32', 'segmented16', 'wrapped16'] as const;
export type ModeName = (typeof modeNames)[number];

export interface Mode {
  readonly codeSize: 16 | 32;
  readonly stackSize: 16 | 32;
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly [number, number, number, number, number, number];
}

const fs = ldt(6), gs = ldt(7);
export const modes: Readonly<Record<ModeName, Mode>> = {
  flat32: { codeSize: 32, stackSize: 32, selectors: [FLAT_DATA, FLAT_CODE, FLAT_DATA, FLAT_DATA, fs, gs] },
  segmented32: { codeSize: 32, stackSize: 32, selectors: [ldt(3), ldt(0), ldt(4), ldt(2), fs, ldt(9)] },
  segmented16: { codeSize: 16, stackSize: 16, selectors: [ldt(3), ldt(1), ldt(5), ldt(2), fs, gs] },
  // One 64 KiB segment whose offsets FFxx and 00xx are both in memory: accesses wrap or run over its end.
  wrapped16: { codeSize: 16, stackSize: 16, selectors: [ldt(8), ldt(1), ldt(8), ldt(8), fs, gs] },
};

export function descriptorOf(selector: number): Descriptor | undefined {
  if (selector === FLAT_CODE) return { base: 0, limit: 0xffffffff, kind: 'code', big: true };
  if (selector === FLAT_DATA) return { base: 0, limit: 0xffffffff, kind: 'data', big: true };
  return (selector & 4) !== 0 ? localDescriptors[selector >> 3] : undefined;
}

export function segmentBase(mode: ModeName, segment: number): number {
  return descriptorOf(modes[mode].selectors[segment])?.base ?? 0;
}
