/**
 * The processor models, as data: identity and features (features.ts). What follows from the features is derived: control-register bits,
 * instructions that exist, leaves of CPUID (cpuid.ts). A feature whose instructions the instruction table does not have is left out.
 */
import { table } from '../../isa/table';
import { Cr4 } from '../bits';
import { featureRows, type CpuFeature, type FeatureRow } from './features';

export const cpuModelNames = ['486', 'pentium', 'p6', 'core', 'max'] as const;
export type CpuModelName = (typeof cpuModelNames)[number];
/** The model of a machine that does not ask for another one. */
export const DEFAULT_CPU_MODEL: CpuModelName = 'max';

interface ModelSpec {
  readonly title: string;
  /** Family, model, stepping as CPUID.1:EAX and as EDX after RESET. */
  readonly signature: number;
  /** Revision of the microcode, as new as a processor of this signature ever had: systems look for known defects by it. */
  readonly microcode?: number;
  /** Twelve characters in CPUID leaf 0. */
  readonly vendor: string;
  /** Up to 47 characters; without it there are no leaves that hold it. */
  readonly brand?: string;
  readonly features: readonly CpuFeature[];
  /** Generations of instructions that have no feature bit. */
  readonly generations: readonly string[];
  /** Width of physical addresses: 32 (no PSE-36) to 40. */
  readonly physicalAddressBits: number;
  /** CR4 bits without a feature bit. */
  readonly cr4?: number;
  /** Last basic leaf of CPUID. */
  readonly lastLeaf: number;
  /** Last extended leaf; undefined: there are none. */
  readonly lastExtendedLeaf?: number;
}

const i486 = ['8086', '186', '286', '386', '486'];
const pentium = [...i486, 'pentium'];
const p6 = [...pentium, 'p6', 'rdpmc'];

const pentiumFeatures = ['fpu', 'vme', 'de', 'pse', 'tsc', 'msr', 'mce', 'cx8', 'apic'] as const;
const p6Features = [
  ...pentiumFeatures, 'pae', 'sep', 'mtrr', 'pge', 'mca', 'cmov', 'pat', 'pse36', 'mmx', 'fxsr', 'sse',
] as const;
const coreFeatures = [
  ...p6Features, 'clflush', 'sse2', 'sse3', 'ssse3', 'cx16', 'nx', 'long', 'syscall', 'lahf64',
  // Later than the rest: without them systems take pains about speculation that does not exist.
  'speculationControl', 'bhiControl', 'archCapabilities',
] as const;
const maxFeatures = [
  ...coreFeatures, 'sse41', 'sse42', 'popcnt', 'movbe', 'pclmul', 'aes', 'pcid', 'x2apic', 'tscDeadline', 'fsgsbase', 'tscAdjust', 'smep', 'erms', 'invpcid',
  'smap', 'umip', 'pages1g', 'rdtscp', 'prefetchw', 'invariantTsc',
] as const;

const specs = {
  // DX4: the last 486, with CPUID.
  '486': {
    title: '486 DX4', signature: 0x480, vendor: 'GenuineIntel', features: ['fpu', 'vme', 'pse'], generations: i486, physicalAddressBits: 32, lastLeaf: 1,
  },
  'pentium': {
    title: 'Pentium, with MMX', signature: 0x543, vendor: 'GenuineIntel', features: [...pentiumFeatures, 'mmx'], generations: pentium, physicalAddressBits: 32, lastLeaf: 1,
  },
  // Family 6, model 11: the last P6. Its SEP bit is believed; execute-disable came later, and is left to it because 32-bit systems use it where they find it.
  'p6': {
    title: 'P6-class, 32 bits', signature: 0x6b4, microcode: 0x2, vendor: 'GenuineIntel', brand: 'Ringside P6-class processor', features: [...p6Features, 'nx'],
    generations: p6, physicalAddressBits: 36, cr4: Cr4.PCE, lastLeaf: 2, lastExtendedLeaf: 0x80000008,
  },
  // Family 6, model 15: the first Core 2.
  'core': {
    title: 'Core-class, 64 bits', signature: 0x6fb, microcode: 0xba, vendor: 'GenuineIntel', brand: 'Ringside Core-class processor', features: coreFeatures,
    generations: p6, physicalAddressBits: 36, cr4: Cr4.PCE, lastLeaf: 7, lastExtendedLeaf: 0x80000008,
  },
  // Family 6, model 140: its defects are those that IA32_ARCH_CAPABILITIES can declare absent.
  'max': {
    title: 'Everything that Ringside has', signature: 0x806c1, microcode: 0xb8, vendor: 'GenuineIntel', brand: 'Ringside processor', features: maxFeatures,
    generations: p6, physicalAddressBits: 40, cr4: Cr4.PCE, lastLeaf: 0xb, lastExtendedLeaf: 0x80000008,
  },
} as const satisfies Record<CpuModelName, ModelSpec>;

export interface CpuModel extends Omit<ModelSpec, 'features' | 'generations' | 'cr4'> {
  readonly name: CpuModelName;
  /** CR4 bits that exist; setting another one is #GP(0). */
  readonly cr4: number;
  /** EFER bits that exist; setting another one is #GP(0). */
  readonly efer: number;
  has(feature: CpuFeature): boolean;
  /** Whether the instructions of a feature of the instruction table exist; those of another one are undefined (#UD). */
  executes(feature: string): boolean;
}

const implemented: ReadonlySet<string> = new Set(table.instructions.map((row) => row.feature ?? '8086'));

function build(name: CpuModelName): CpuModel {
  const { features, generations, cr4 = 0, ...rest }: ModelSpec = specs[name];
  const rows: readonly (FeatureRow & { readonly id: CpuFeature })[] = featureRows.filter((row) =>
    features.includes(row.id) && (row.instructions ?? []).every((feature) => implemented.has(feature)));
  const present: ReadonlySet<CpuFeature> = new Set(rows.map((row) => row.id));
  const executable: ReadonlySet<string> = new Set([...generations, ...rows.flatMap((row) => row.instructions ?? [])]);
  return {
    name, ...rest,
    cr4: rows.reduce((bits, row) => bits | (row.cr4 ?? 0), cr4),
    efer: rows.reduce((bits, row) => bits | (row.efer ?? 0), 0),
    has: (feature) => present.has(feature),
    executes: (feature) => executable.has(feature),
  };
}

export const cpuModels: Readonly<Record<CpuModelName, CpuModel>> = {
  '486': build('486'), 'pentium': build('pentium'), 'p6': build('p6'), 'core': build('core'), 'max': build('max'),
};

export function isCpuModelName(name: string): name is CpuModelName {
  return (cpuModelNames as readonly string[]).includes(name);
}
