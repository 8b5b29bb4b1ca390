/** What CPUID answers: the leaves of the processor's model, with the few bits that depend on its state (SDM Vol. 2, CPUID). */
import type { Cpu } from '../cpu';
import { featureRows, type CpuidRegister } from './features';
import type { CpuModel } from './models';
import { packageLeaf, topologyLeaf, type Topology } from './topology';

export type CpuidLeaf = Readonly<Record<CpuidRegister, number>>;

const NOTHING: CpuidLeaf = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
const EXTENDED = 0x80000000;
const LINEAR_BITS_LONG = 48, LINEAR_BITS = 32;
/** CLFLUSH line in units of eight bytes, as leaf 1 has it. */
const CLFLUSH_SIZE = 8 << 8;
const APIC_BIT = 1 << 9;
const ALONE: Topology = { apicId: 0, processors: 1 };

/** Four characters as a register holds them. */
function word(text: string, at: number): number {
  return [0, 1, 2, 3].reduce((value, i) => value | ((at + i < text.length ? text.charCodeAt(at + i) : 0) << (8 * i)), 0);
}

function words(text: string, at: number): CpuidLeaf {
  return { eax: word(text, at), ebx: word(text, at + 4), ecx: word(text, at + 8), edx: word(text, at + 12) };
}

/** Feature bits of a leaf's register. */
function featureBits(model: CpuModel, leaf: number, subleaf: number, register: CpuidRegister): number {
  return featureRows.reduce((bits, row) => (row.leaf === leaf && (row.subleaf ?? 0) === subleaf && row.register === register && model.has(row.id) ? bits | (1 << row.bit) : bits), 0);
}

function features(model: CpuModel, leaf: number, subleaf = 0): CpuidLeaf {
  const bits = (register: CpuidRegister): number => featureBits(model, leaf, subleaf, register);
  return { eax: bits('eax'), ebx: bits('ebx'), ecx: bits('ecx'), edx: bits('edx') };
}

function lastSubleaf(model: CpuModel, leaf: number): number {
  return featureRows.reduce((last, row) => (row.leaf === leaf && model.has(row.id) ? Math.max(last, row.subleaf ?? 0) : last), 0);
}

/** Leaves by number; sub-leaves other than 0 answer zeros where a leaf has such. */
function leafOf(model: CpuModel, leaf: number, subleaf: number): CpuidLeaf {
  switch (leaf) {
    case 0:
      return { eax: model.lastLeaf, ebx: word(model.vendor, 0), edx: word(model.vendor, 4), ecx: word(model.vendor, 8) };
    case 1:
      return { ...features(model, 1), eax: model.signature, ebx: model.has('clflush') ? CLFLUSH_SIZE : 0 };
    case 2:
      // One round of descriptors; 40h: no second-level cache.
      return { eax: 1, ebx: 0, ecx: 0, edx: 0x40 };
    case 6:
      // The local APIC's timer always runs.
      return model.has('apic') ? { ...NOTHING, eax: 4 } : NOTHING;
    case 7:
      return { ...features(model, 7, subleaf), ...(subleaf === 0 && { eax: lastSubleaf(model, 7) }) };
    case EXTENDED:
      return { ...NOTHING, eax: (model.lastExtendedLeaf ?? 0) | 0 };
    case EXTENDED + 2: case EXTENDED + 3: case EXTENDED + 4:
      return words(model.brand ?? '', (leaf - EXTENDED - 2) * 16);
    case EXTENDED + 8:
      return { ...NOTHING, eax: ((model.has('long') ? LINEAR_BITS_LONG : LINEAR_BITS) << 8) | model.physicalAddressBits };
    default:
      return features(model, leaf);
  }
}

/** A leaf beyond the last basic one answers like that one, extended ones likewise. */
function existing(model: CpuModel, leaf: number): number {
  const number = leaf >>> 0;
  return number <= model.lastLeaf || (number >= EXTENDED && number <= (model.lastExtendedLeaf ?? 0)) ? number : model.lastLeaf;
}

/** The model's answer to EAX = `leaf`, ECX = `subleaf`. */
export function modelLeaf(model: CpuModel, leaf: number, subleaf = 0): CpuidLeaf {
  return leafOf(model, existing(model, leaf), subleaf);
}

/** The processor's answer: CPUID.1 shows no APIC while there is none or it is turned off; other leaves show the processors around it. */
export function cpuidLeaf(cpu: Cpu, leaf: number, subleaf: number): CpuidLeaf {
  const answer = modelLeaf(cpu.model, leaf, subleaf);
  const number = existing(cpu.model, leaf);
  const apic = cpu.hooks.apic();
  const topology = apic ?? ALONE;
  if (number !== 1) return topologyLeaf(number, subleaf, topology) ?? answer;
  const { edx, ...rest } = packageLeaf(answer, cpu.model.lastLeaf, topology);
  return { ...rest, edx: apic?.globallyEnabled ? edx : edx & ~APIC_BIT };
}
