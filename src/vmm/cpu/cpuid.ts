/** What CPUID answers, as data: one model per processor, and the control-register bits that go with it. More models are more rows. */
import { Cr4 } from './bits';

export interface CpuidLeaf {
  readonly leaf: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export interface CpuModel {
  readonly name: string;
  readonly title: string;
  /** Family, model, stepping as CPUID.1:EAX and as EDX after RESET. */
  readonly signature: number;
  /** CR4 bits that exist; setting another one is #GP(0). */
  readonly cr4: number;
  /** Basic leaves from 0 on. A leaf beyond the last one answers like the last one (SDM Vol. 2, CPUID). */
  readonly leaves: readonly CpuidLeaf[];
}

/** CPUID.1:EDX. Only what works is announced. */
const featureBits = { fpu: 0, vme: 1, de: 2, pse: 3, tsc: 4, msr: 5, pae: 6, mce: 7, cx8: 8, apic: 9, sep: 11, mtrr: 12, pge: 13, mca: 14, cmov: 15, pat: 16 } as const;

function features(...names: (keyof typeof featureBits)[]): number {
  return names.reduce((bits, name) => bits | (1 << featureBits[name]), 0);
}

function vendor(leaf: number, last: number, name: string): CpuidLeaf {
  const word = (at: number): number =>
    name.charCodeAt(at) | (name.charCodeAt(at + 1) << 8) | (name.charCodeAt(at + 2) << 16) | (name.charCodeAt(at + 3) << 24);
  return { leaf, eax: last, ebx: word(0), edx: word(4), ecx: word(8) };
}

/** Family 6, model 3, stepping 4: the first P6 whose SEP bit systems believe. */
const P6_SIGNATURE = 0x634;

export const cpuModels = {
  p6: {
    name: 'p6',
    title: 'P6-class, 32-bit, without x87',
    signature: P6_SIGNATURE,
    cr4: Cr4.VME | Cr4.PVI | Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PCE,
    leaves: [
      vendor(0, 2, 'GenuineIntel'),
      { leaf: 1, eax: P6_SIGNATURE, ebx: 0, ecx: 0, edx: features('vme', 'de', 'pse', 'tsc', 'msr', 'cx8', 'sep', 'cmov') },
      // One round of descriptors; 40h: no second-level cache.
      { leaf: 2, eax: 0x00000001, ebx: 0, ecx: 0, edx: 0x00000040 },
    ],
  },
} as const satisfies Record<string, CpuModel>;

/** The leaf that answers EAX = `leaf`. */
export function cpuidLeaf(model: CpuModel, leaf: number): CpuidLeaf {
  return model.leaves.find((row) => row.leaf === leaf >>> 0) ?? model.leaves[model.leaves.length - 1];
}
