/** Flat 32-bit protected mode as loaders of kernels enter it. Selectors without a descriptor table: a kernel loads its own. */
import { CR0_ET, CR0_PE, type InitialRegisters, type InitialSegment } from './boot-state';

const code: InitialSegment = { selector: 0x10, base: 0, limit: 0xffffffff, attributes: 0xc09b };
const data: InitialSegment = { selector: 0x18, base: 0, limit: 0xffffffff, attributes: 0xc093 };

/** Segments of ES CS SS DS FS GS. */
export const flatSegments: InitialRegisters['segments'] = [data, code, data, data, data, data];

export function flatProtectedMode(eip: number, general: InitialRegisters['general']): InitialRegisters {
  return { general, eip, eflags: 0x2, cr0: CR0_PE | CR0_ET, segments: flatSegments };
}
