/**
 * What CPUID can announce, one row per feature: its bit, and what comes with it: instructions (features of the instruction table), CR4 and
 * EFER bits. Models (models.ts) are lists of these; what a model announces and what it does are the same list.
 */
import { Cr4, Efer } from '../bits';

export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx';

export interface FeatureRow {
  readonly id: string;
  /** Leaf, sub-leaf (0 unless given) and register of CPUID. */
  readonly leaf: number;
  readonly subleaf?: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  readonly instructions?: readonly string[];
  /** CR4 bits that exist with it. */
  readonly cr4?: number;
  readonly efer?: number;
}

const BASIC = 1, STRUCTURED = 7, EXTENDED = 0x80000001, POWER = 0x80000007;

const rows = [
  { id: 'fpu', leaf: BASIC, register: 'edx', bit: 0, instructions: ['fpu'] },
  { id: 'vme', leaf: BASIC, register: 'edx', bit: 1, cr4: Cr4.VME | Cr4.PVI },
  { id: 'de', leaf: BASIC, register: 'edx', bit: 2, cr4: Cr4.DE },
  { id: 'pse', leaf: BASIC, register: 'edx', bit: 3, cr4: Cr4.PSE },
  { id: 'tsc', leaf: BASIC, register: 'edx', bit: 4, instructions: ['tsc'], cr4: Cr4.TSD },
  { id: 'msr', leaf: BASIC, register: 'edx', bit: 5, instructions: ['msr'] },
  { id: 'pae', leaf: BASIC, register: 'edx', bit: 6, cr4: Cr4.PAE },
  { id: 'mce', leaf: BASIC, register: 'edx', bit: 7, cr4: Cr4.MCE },
  { id: 'cx8', leaf: BASIC, register: 'edx', bit: 8, instructions: ['cx8'] },
  { id: 'apic', leaf: BASIC, register: 'edx', bit: 9 },
  { id: 'sep', leaf: BASIC, register: 'edx', bit: 11, instructions: ['sep'] },
  { id: 'mtrr', leaf: BASIC, register: 'edx', bit: 12 },
  { id: 'pge', leaf: BASIC, register: 'edx', bit: 13, cr4: Cr4.PGE },
  { id: 'mca', leaf: BASIC, register: 'edx', bit: 14 },
  { id: 'cmov', leaf: BASIC, register: 'edx', bit: 15, instructions: ['cmov'] },
  { id: 'pat', leaf: BASIC, register: 'edx', bit: 16 },
  { id: 'pse36', leaf: BASIC, register: 'edx', bit: 17 },
  { id: 'clflush', leaf: BASIC, register: 'edx', bit: 19, instructions: ['clflush'] },
  { id: 'mmx', leaf: BASIC, register: 'edx', bit: 23, instructions: ['mmx'] },
  { id: 'fxsr', leaf: BASIC, register: 'edx', bit: 24, instructions: ['fxsr'], cr4: Cr4.OSFXSR },
  { id: 'sse', leaf: BASIC, register: 'edx', bit: 25, instructions: ['sse'], cr4: Cr4.OSXMMEXCPT },
  { id: 'sse2', leaf: BASIC, register: 'edx', bit: 26, instructions: ['sse', 'sse2'] },
  { id: 'sse3', leaf: BASIC, register: 'ecx', bit: 0, instructions: ['sse', 'sse2', 'sse3'] },
  { id: 'pclmul', leaf: BASIC, register: 'ecx', bit: 1, instructions: ['sse', 'pclmul'] },
  { id: 'ssse3', leaf: BASIC, register: 'ecx', bit: 9, instructions: ['sse', 'ssse3'] },
  { id: 'cx16', leaf: BASIC, register: 'ecx', bit: 13, instructions: ['cx16'] },
  { id: 'pcid', leaf: BASIC, register: 'ecx', bit: 17, instructions: ['x64'], cr4: Cr4.PCIDE },
  { id: 'sse41', leaf: BASIC, register: 'ecx', bit: 19, instructions: ['sse', 'sse41'] },
  { id: 'sse42', leaf: BASIC, register: 'ecx', bit: 20, instructions: ['sse', 'sse42'] },
  { id: 'x2apic', leaf: BASIC, register: 'ecx', bit: 21 },
  { id: 'movbe', leaf: BASIC, register: 'ecx', bit: 22, instructions: ['movbe'] },
  { id: 'popcnt', leaf: BASIC, register: 'ecx', bit: 23, instructions: ['popcnt'] },
  { id: 'tscDeadline', leaf: BASIC, register: 'ecx', bit: 24 },
  { id: 'aes', leaf: BASIC, register: 'ecx', bit: 25, instructions: ['sse', 'aes'] },
  { id: 'fsgsbase', leaf: STRUCTURED, register: 'ebx', bit: 0, instructions: ['fsgsbase'], cr4: Cr4.FSGSBASE },
  { id: 'tscAdjust', leaf: STRUCTURED, register: 'ebx', bit: 1 },
  { id: 'smep', leaf: STRUCTURED, register: 'ebx', bit: 7, cr4: Cr4.SMEP },
  { id: 'erms', leaf: STRUCTURED, register: 'ebx', bit: 9 },
  { id: 'invpcid', leaf: STRUCTURED, register: 'ebx', bit: 10, instructions: ['invpcid'] },
  { id: 'smap', leaf: STRUCTURED, register: 'ebx', bit: 20, instructions: ['smap'], cr4: Cr4.SMAP },
  { id: 'umip', leaf: STRUCTURED, register: 'ecx', bit: 2, cr4: Cr4.UMIP },
  { id: 'speculationControl', leaf: STRUCTURED, register: 'edx', bit: 26 },
  { id: 'bhiControl', leaf: STRUCTURED, subleaf: 2, register: 'edx', bit: 4 },
  { id: 'archCapabilities', leaf: STRUCTURED, register: 'edx', bit: 29 },
  { id: 'lahf64', leaf: EXTENDED, register: 'ecx', bit: 0, instructions: ['x64'] },
  { id: 'syscall', leaf: EXTENDED, register: 'edx', bit: 11, instructions: ['x64'], efer: Efer.SCE },
  { id: 'prefetchw', leaf: EXTENDED, register: 'ecx', bit: 8, instructions: ['prefetchw'] },
  { id: 'nx', leaf: EXTENDED, register: 'edx', bit: 20, efer: Efer.NXE },
  { id: 'pages1g', leaf: EXTENDED, register: 'edx', bit: 26, instructions: ['x64'] },
  { id: 'rdtscp', leaf: EXTENDED, register: 'edx', bit: 27, instructions: ['rdtscp'] },
  { id: 'long', leaf: EXTENDED, register: 'edx', bit: 29, instructions: ['x64'], efer: Efer.LME | Efer.LMA },
  { id: 'invariantTsc', leaf: POWER, register: 'edx', bit: 8 },
] as const satisfies readonly FeatureRow[];

export type CpuFeature = (typeof rows)[number]['id'];
export const featureRows: readonly (FeatureRow & { readonly id: CpuFeature })[] = rows;
