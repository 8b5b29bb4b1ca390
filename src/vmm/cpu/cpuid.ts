/** What CPUID answers, as data: one model per processor, and the control-register bits that go with it. More models are more rows. */
import { Cr4, Efer } from './bits';

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
  /** EFER bits that exist; setting another one is #GP(0). */
  readonly efer: number;
  /** Width of physical addresses, as CPUID.80000008h says and paging structures are checked. */
  readonly physicalAddressBits: number;
  /** Basic leaves from 0 on. A leaf beyond the last one answers like the last one (SDM Vol. 2, CPUID). */
  readonly leaves: readonly CpuidLeaf[];
  /** Leaves from 80000000h on; one that is missing below the last one answers zeros. */
  readonly extendedLeaves: readonly CpuidLeaf[];
}

/** CPUID.1:EDX. Only what works is announced. */
const featureBits = { fpu: 0, vme: 1, de: 2, pse: 3, tsc: 4, msr: 5, pae: 6, mce: 7, cx8: 8, apic: 9, sep: 11, mtrr: 12, pge: 13, mca: 14, cmov: 15, pat: 16, pse36: 17 } as const;
/** CPUID.80000001h:EDX. */
const NX = 1 << 20;

function features(...names: (keyof typeof featureBits)[]): number {
  return names.reduce((bits, name) => bits | (1 << featureBits[name]), 0);
}

/** Four characters as a register holds them. */
function word(text: string, at: number): number {
  return [0, 1, 2, 3].reduce((value, i) => value | ((at + i < text.length ? text.charCodeAt(at + i) : 0) << (8 * i)), 0);
}

function vendor(leaf: number, last: number, name: string): CpuidLeaf {
  return { leaf, eax: last, ebx: word(name, 0), edx: word(name, 4), ecx: word(name, 8) };
}

/** The name that systems show: 48 characters in three leaves. */
function brand(name: string): CpuidLeaf[] {
  return [0, 16, 32].map((at, i) => ({
    leaf: 0x80000002 + i, eax: word(name, at), ebx: word(name, at + 4), ecx: word(name, at + 8), edx: word(name, at + 12),
  }));
}

/** Family 6, model 3, stepping 4: the first P6 whose SEP bit systems believe. */
const P6_SIGNATURE = 0x634;
const P6_PHYSICAL_BITS = 36, P6_LINEAR_BITS = 32;

export const cpuModels = {
  p6: {
    name: 'p6',
    title: 'P6-class, 32-bit',
    signature: P6_SIGNATURE,
    cr4: Cr4.VME | Cr4.PVI | Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.PCE,
    efer: Efer.NXE,
    physicalAddressBits: P6_PHYSICAL_BITS,
    leaves: [
      vendor(0, 2, 'GenuineIntel'),
      { leaf: 1, eax: P6_SIGNATURE, ebx: 0, ecx: 0, edx: features('fpu', 'vme', 'de', 'pse', 'tsc', 'msr', 'pae', 'cx8', 'sep', 'pge', 'cmov', 'pse36') },
      // One round of descriptors; 40h: no second-level cache.
      { leaf: 2, eax: 0x00000001, ebx: 0, ecx: 0, edx: 0x00000040 },
    ],
    extendedLeaves: [
      { leaf: 0x80000000, eax: 0x80000008 | 0, ebx: 0, ecx: 0, edx: 0 },
      { leaf: 0x80000001, eax: 0, ebx: 0, ecx: 0, edx: NX },
      ...brand('Ringside P6-class processor'),
      { leaf: 0x80000008, eax: P6_LINEAR_BITS << 8 | P6_PHYSICAL_BITS, ebx: 0, ecx: 0, edx: 0 },
    ],
  },
} as const satisfies Record<string, CpuModel>;

/** The leaf that answers EAX = `leaf`. */
export function cpuidLeaf(model: CpuModel, leaf: number): CpuidLeaf {
  const { leaves, extendedLeaves } = model;
  const number = leaf >>> 0;
  const found = [...leaves, ...extendedLeaves].find((row) => row.leaf === number);
  if (found) return found;
  const last = extendedLeaves.length > 0 ? extendedLeaves[extendedLeaves.length - 1].leaf : 0;
  return number >= 0x80000000 && number < last ? { leaf: number, eax: 0, ebx: 0, ecx: 0, edx: 0 } : leaves[leaves.length - 1];
}
