/** What views are shown of the x87 (the protocol's FpuSnapshot). */
import { toExtended } from './convert';
import { tagWord } from './environment';
import type { Fpu } from './fpu';

export interface FpuSnapshot {
  readonly stack: readonly bigint[];
  readonly control: number;
  readonly status: number;
  readonly tags: number;
}

export function fpuSnapshot(fpu: Fpu): FpuSnapshot {
  return { stack: Array.from({ length: 8 }, (_, i) => toExtended(fpu.get(i))), control: fpu.control, status: fpu.status, tags: tagWord(fpu) };
}
