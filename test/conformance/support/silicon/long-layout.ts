/** A processor's state before and after a case of long-cases.ts, and where code and data lie: the same on silicon and on our processor. */

import type { Encoding } from '../../../../src/vmm/isa/types';

/** Offsets in the image of a processor's state, as long.c has it. */
export const Layout = {
  general: 0, flags: 128, mxcsr: 132, status: 136, valid: 138, xmm: 144, stack: 400, memory: 528, bases: 656, selectors: 672, control: 684, rip: 688, frame: 696, bytes: 1208,
} as const;
export const MEMORY_BYTES = 128;
export const CODE = 0x440000, CODE_BYTES = 0x1000, DATA = 0x410000, DATA_BYTES = 0x2000;
/** Where the code of a shape stands: offset in the code page. */
export const AT = 0x100;
/** Where the window of memory begins: across a page boundary, or at the end of what is mapped. */
export const windows = [DATA + 0xfc0, DATA + DATA_BYTES - MEMORY_BYTES] as const;

/** What a null selector of data has as its RPL does not survive the way to a signal handler. */
export function forgetNullSelectors({ view }: LongState): void {
  for (const at of [0, 6, 8, 10].map((n) => Layout.selectors + n)) if ((view.getUint16(at, true) & ~3) === 0) view.setUint16(at, 0, true);
}

/** What FXSAVE stores that belongs to the harness or names the processor: bytes of its image, at the begin of the stack's frame. */
export const storedPointers = {
  what: 'bytes 6 to 23 and 28 to 31 of what FXSAVE stores', bytes: [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 28, 29, 30, 31],
  why: 'where the last x87 instruction and its operand were, which AMD\'s processors keep with an exception pending only, and the MXCSR mask, which differs between processors',
} as const;
export function forgetPointers({ instruction }: Encoding, before: LongState, after: LongState): void {
  if (!instruction.mnemonic.startsWith('fxsave')) return;
  for (const n of storedPointers.bytes) after.image[Layout.frame + n] = before.image[Layout.frame + n];
}

/** Registers, flags and memory; and how the instruction ended. */
export interface LongState {
  readonly image: Uint8Array;
  readonly view: DataView;
  /** -1: no exception. */
  vector: number;
  errorCode: number;
  cr2: number;
}

export function makeLongState(): LongState {
  const image = new Uint8Array(Layout.bytes);
  return { image, view: new DataView(image.buffer), vector: -1, errorCode: 0, cr2: 0 };
}
