/**
 * How CPUID shows that the processors are cores of one package (SDM Vol. 3, 8.9): their number in leaf 1 and leaf 4, and levels of the APIC
 * identifier in leaf 0Bh. Models from before leaf 4 are packages of their own: only their APIC identifiers tell them apart.
 */
import type { CpuidLeaf } from './cpuid';

export interface Topology {
  readonly apicId: number;
  /** Processors of the machine. */
  readonly processors: number;
}

/** The identifier bits that number the cores. */
function coreBits(processors: number): number {
  return Math.ceil(Math.log2(processors));
}

const HTT = 1 << 28;
const MULTI_CORE_LEAF = 4, LEVELS_LEAF = 0xb;
/** Leaf 4: 32 KiB of eight ways and 64-byte lines at level 1, initialized by itself. */
const LEVEL_1 = 1 << 5 | 1 << 8, WAYS_LINES = 7 << 22 | 63, SETS = 63;
const DATA = 1, INSTRUCTIONS = 2;
/** Leaf 0Bh: types of levels. */
const SMT = 1, CORE = 2;

/** Leaf 1: EBX has the APIC identifier and the identifiers of the package. */
export function packageLeaf(answer: CpuidLeaf, lastLeaf: number, { apicId, processors }: Topology): CpuidLeaf {
  const many = processors > 1 && lastLeaf >= MULTI_CORE_LEAF;
  return {
    ...answer,
    ebx: answer.ebx | apicId << 24 | (many ? 1 << coreBits(processors) << 16 : 0),
    edx: many ? answer.edx | HTT : answer.edx,
  };
}

/** The leaves that are about topology only; undefined for another one. */
export function topologyLeaf(leaf: number, subleaf: number, { apicId, processors }: Topology): CpuidLeaf | undefined {
  if (leaf === MULTI_CORE_LEAF) {
    const type = subleaf === 0 ? DATA : subleaf === 1 ? INSTRUCTIONS : 0;
    return type === 0
      ? { eax: 0, ebx: 0, ecx: 0, edx: 0 }
      : { eax: type | LEVEL_1 | ((1 << coreBits(processors)) - 1) << 26, ebx: WAYS_LINES, ecx: SETS, edx: 0 };
  }
  if (leaf !== LEVELS_LEAF) return undefined;
  const level = subleaf & 0xff;
  const levels: readonly CpuidLeaf[] = [
    { eax: 0, ebx: 1, ecx: SMT << 8, edx: apicId },
    { eax: coreBits(processors), ebx: processors, ecx: 1 | CORE << 8, edx: apicId },
  ];
  return subleaf < levels.length ? levels[subleaf] : { eax: 0, ebx: 0, ecx: level, edx: apicId };
}
