/** The segments that 64-bit processes of Linux have, and those that long.c adds: the same selectors on silicon and on our processor. */

/** Linux's own: 32-bit code, data, 64-bit code. */
export const FLAT_CODE = 0x23, FLAT_DATA = 0x2b, LONG_CODE = 0x33;
export const ldt = (entry: number): number => (entry << 3) | 7;

export interface LongDescriptor {
  readonly base: number;
  readonly limit: number;
  readonly kind: 'code' | 'data' | 'readOnly';
  readonly big: boolean;
}

/** The local descriptor table: DPL 3, 32- and 16-bit code over the code page, data over everything and over the window. */
export const longDescriptors: readonly LongDescriptor[] = [
  { base: 0x440000, limit: 0xfff, kind: 'code', big: true },
  { base: 0x440000, limit: 0xfff, kind: 'code', big: false },
  { base: 0, limit: 0xfffff, kind: 'data', big: true },
  { base: 0x410000, limit: 0x1fff, kind: 'readOnly', big: true },
];

/** Selectors that instructions load and ask about, and for far transfers; some of them wrong. */
export const dataSelectors: readonly number[] = [FLAT_DATA, FLAT_DATA, FLAT_CODE, LONG_CODE, 0, 1, 3, ldt(2), ldt(3), ldt(0), ldt(1), ldt(2) & ~3, ldt(3) & ~2, 0x57, 0xfffc, 0xfff8];
export const codeSelectors: readonly number[] = [LONG_CODE, FLAT_CODE, LONG_CODE, FLAT_CODE, ldt(0), ldt(1), ldt(0) & ~3, LONG_CODE & ~3, ldt(2), FLAT_DATA, 0, 0x57, 0xfff8];
export const stackSelectors: readonly number[] = [FLAT_DATA, FLAT_DATA, FLAT_DATA, FLAT_DATA, ldt(2), ldt(3), 0, 3, FLAT_CODE, FLAT_DATA & ~3, 0x57];
/** What a segment register of data can hold at the start. */
export const usableSelectors: readonly number[] = [0, FLAT_DATA, ldt(2), ldt(3)];

/** Where the addresses of a code segment begin. */
export const codeBase = (selector: number): number => ((selector & 4) !== 0 ? longDescriptors[selector >> 3]?.base ?? 0 : 0);
