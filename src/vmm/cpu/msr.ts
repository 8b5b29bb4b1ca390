/**
 * Model-specific registers, one row each. Reading or writing one that is not declared, or whose feature the model does not have, is #GP(0).
 * Many are but stored: what they control has no effect here (memory types, firmware's settings), yet systems expect to find what they wrote.
 */
import { canonicalNumber } from '../mmu/types';
import type { Cpu } from './cpu';
import { Cr0, Efer } from './bits';
import { generalProtection } from './exceptions';
import {
  CSTAR, KERNEL_GS_BASE, LSTAR, PAT, Segment, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, SFMASK, STAR, STORED_MSRS, STORED_MSRS_END, SYSENTER_CS,
  SYSENTER_EIP, SYSENTER_ESP, TSC_AUX, TSC_OFFSET,
} from './layout';
import type { CpuFeature } from './models/features';
import type { CpuModel } from './models/models';

export interface MsrRow {
  readonly address: number;
  /** The SDM's name. */
  readonly name: string;
  readonly description: string;
  /** The register exists with it only. */
  readonly feature?: CpuFeature;
  read(cpu: Cpu): bigint;
  /** Throws #GP(0) for a value that the register does not take. */
  write(cpu: Cpu, value: bigint): void;
}

/** The time-stamp counter: one count per instruction, from zero at RESET. */
export function timeStamp(cpu: Cpu): bigint {
  return BigInt.asUintN(64, BigInt(cpu.hooks.now()) + cpu.state.u64[TSC_OFFSET >> 3]);
}

function setTimeStamp(cpu: Cpu, value: bigint): void {
  const before = cpu.state.u64[TSC_OFFSET >> 3];
  const after = BigInt.asUintN(64, value - BigInt(cpu.hooks.now()));
  cpu.state.u64[TSC_OFFSET >> 3] = after;
  // A write moves IA32_TSC_ADJUST as far as the counter (SDM Vol. 3, 17.17.3).
  cpu.state.u64[TSC_ADJUST_SLOT >> 3] += after - before;
  cpu.hooks.apic()?.timeStampChanged();
}

let slots = STORED_MSRS;
/** A slot of the state page for a register that has no other home. */
function allot(): number {
  if (slots >= STORED_MSRS_END) throw new RangeError('msr.ts: no slot is left in the state page');
  slots += 8;
  return slots - 8;
}

type Access = Pick<MsrRow, 'read' | 'write'>;
/** `writable`: a value with other bits is refused. */
function stored(slot: number, writable = 0xffffffff_ffffffffn): Access {
  return {
    read: (cpu) => cpu.state.u64[slot >> 3],
    write: (cpu, value) => {
      if (value & ~writable) throw generalProtection(0, `WRMSR sets reserved bits (0x${(value & ~writable).toString(16)})`);
      cpu.state.u64[slot >> 3] = value;
    },
  };
}

/** Takes canonical addresses only. */
function storedAddress(slot: number): Access {
  return {
    read: (cpu) => cpu.state.u64[slot >> 3],
    write: (cpu, value) => {
      // A 32-bit processor takes the low half.
      if (cpu.model.has('long')) requireCanonical(value);
      cpu.state.u64[slot >> 3] = cpu.model.has('long') ? value : BigInt.asUintN(32, value);
    },
  };
}

function requireCanonical(value: bigint): void {
  if (canonicalNumber(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))) < 0) {
    throw generalProtection(0, `WRMSR of 0x${value.toString(16)}, which is not canonical`);
  }
}

/** Reads as a constant; a write is refused. */
function constant(value: bigint): Access {
  return { read: () => value, write: () => { throw generalProtection(0, 'WRMSR of a register that can only be read'); } };
}

/** A write is accepted, and forgotten. */
function ignored(value: bigint): Access {
  return { read: () => value, write: () => { /* nothing depends on it */ } };
}

const baseOf = (segment: Segment): number => SEGMENTS + segment * SEGMENT_SIZE + SEGMENT_FIELDS.base;

/** FS and GS: the hidden base of the segment register. */
function segmentBase(segment: Segment): Access {
  return {
    read: (cpu) => cpu.state.u64[baseOf(segment) >> 3],
    write: (cpu, value) => {
      requireCanonical(value);
      const wasFlat = cpu.state.base(segment) === 0;
      cpu.state.u64[baseOf(segment) >> 3] = value;
      if (wasFlat !== (value === 0n)) cpu.hooks.contextChanged();
    },
  };
}

/** A register of the local APIC, which decides whether it exists in its present mode. */
function apicRegister(address: number, name: string, description: string, feature: CpuFeature): MsrRow {
  const absent = (what: string) => generalProtection(0, `${what} ${name}, which the local APIC does not allow as it is set up`);
  return {
    address, name, description, feature,
    read: (cpu) => {
      const value = cpu.hooks.apic()?.readMsr(address);
      if (value === undefined) throw absent('RDMSR of');
      return value;
    },
    write: (cpu, value) => {
      if (!cpu.hooks.apic()?.writeMsr(address, value)) throw absent('WRMSR of');
    },
  };
}

/** The local APIC's MSRs in x2APIC mode. */
const X2APIC_FIRST = 0x800, X2APIC_COUNT = 0x100;

/** SCE, LME and NXE can be written; LMA follows from LME and CR0.PG. */
function writeEfer(cpu: Cpu, value: bigint): void {
  const { state, model } = cpu;
  if (value & ~BigInt(model.efer >>> 0)) throw generalProtection(0, 'an EFER bit that this processor model does not have');
  const efer = (Number(value) & ~Efer.LMA) | (state.efer & Efer.LMA);
  const changed = state.efer ^ efer;
  if (changed & Efer.LME && state.cr0 & Cr0.PG) throw generalProtection(0, 'EFER.LME changed while paging is on');
  state.efer = efer;
  if (changed & Efer.NXE) cpu.pagingChanged('efer');
}

// Memory types: 0 uncacheable, 1 write combining, 4 write through, 5 write protected, 6 write back; in the PAT also 7, uncached.
const memoryTypes: ReadonlySet<number> = new Set([0, 1, 4, 5, 6]);
const PAT_AT_RESET = 0x0007040600070406n;

/** Eight memory types, a byte each. */
function eachType(value: bigint, allowed: (type: number) => boolean, name: string): void {
  for (let n = 0n; n < 64n; n += 8n) {
    if (!allowed(Number((value >> n) & 0xffn))) throw generalProtection(0, `WRMSR of ${name} with a memory type that does not exist`);
  }
}

function typesRegister(slot: number, allowed: (type: number) => boolean, name: string): Access {
  return {
    read: (cpu) => cpu.state.u64[slot >> 3],
    write: (cpu, value) => {
      eachType(value, allowed, name);
      cpu.state.u64[slot >> 3] = value;
    },
  };
}

const fixedRanges: readonly (readonly [number, string])[] = [
  [0x250, '64K_00000'], [0x258, '16K_80000'], [0x259, '16K_A0000'],
  ...Array.from({ length: 8 }, (_, n): readonly [number, string] => [0x268 + n, `4K_${(0xc0000 + n * 0x8000).toString(16).toUpperCase()}`]),
];
const VARIABLE_RANGES = 8;
/** Write combining exists 10, fixed ranges 8, number of variable ranges 7:0. */
const MTRR_CAPABILITIES = 0x500n | BigInt(VARIABLE_RANGES);

/** Variable ranges hold physical addresses: bits at and above the model's width are reserved. */
function variableRange(low: bigint): Access {
  const slot = allot();
  return {
    read: (cpu) => cpu.state.u64[slot >> 3],
    write: (cpu, value) => {
      const writable = (1n << BigInt(cpu.model.physicalAddressBits)) - 0x1000n | low;
      if (value & ~writable) throw generalProtection(0, 'WRMSR of a variable memory-type range with reserved bits');
      cpu.state.u64[slot >> 3] = value;
    },
  };
}

const mtrrRows: readonly MsrRow[] = [
  { address: 0xfe, name: 'IA32_MTRRCAP', description: 'Memory-type ranges that exist: 8 variable, fixed, write combining', feature: 'mtrr', ...constant(MTRR_CAPABILITIES) },
  ...Array.from({ length: VARIABLE_RANGES }, (_, n): readonly MsrRow[] => [
    { address: 0x200 + 2 * n, name: `IA32_MTRR_PHYSBASE${n}`, description: `Variable memory-type range ${n}: base and type`, feature: 'mtrr', ...variableRange(0xffn) },
    { address: 0x201 + 2 * n, name: `IA32_MTRR_PHYSMASK${n}`, description: `Variable memory-type range ${n}: mask and valid bit`, feature: 'mtrr', ...variableRange(0x800n) },
  ]).flat(),
  ...fixedRanges.map(([address, range]): MsrRow => ({
    address, name: `IA32_MTRR_FIX${range}`, description: 'Memory types of eight fixed ranges', feature: 'mtrr',
    ...typesRegister(allot(), (type) => memoryTypes.has(type), `IA32_MTRR_FIX${range}`),
  })),
  { address: 0x2ff, name: 'IA32_MTRR_DEF_TYPE', description: 'Default memory type, and whether ranges count', feature: 'mtrr', ...stored(allot(), 0xcffn) },
];

const TSC_ADJUST_SLOT = allot();

export const msrs: readonly MsrRow[] = [
  { address: 0, name: 'IA32_P5_MC_ADDR', description: 'Address of the last machine check (none happens)', feature: 'mce', ...ignored(0n) },
  { address: 1, name: 'IA32_P5_MC_TYPE', description: 'Type of the last machine check (none happens)', feature: 'mce', ...ignored(0n) },
  {
    address: 0x10, name: 'IA32_TIME_STAMP_COUNTER', description: 'Instructions retired since RESET, plus what software added', feature: 'tsc',
    read: timeStamp,
    // Before 64-bit processors a write sets the low half and clears the high one (SDM Vol. 3, 17.17).
    write: (cpu, value) => setTimeStamp(cpu, cpu.model.has('long') ? value : BigInt.asUintN(32, value)),
  },
  { address: 0x17, name: 'IA32_PLATFORM_ID', description: 'Platform for which microcode is chosen', ...constant(0n) },
  apicRegister(0x1b, 'IA32_APIC_BASE', 'Local APIC: page, enable, x2APIC mode, bootstrap processor', 'apic'),
  { address: 0x2a, name: 'EBL_CR_POWERON', description: 'Power-on configuration', ...ignored(0n) },
  { address: 0x3a, name: 'IA32_FEATURE_CONTROL', description: 'Locked: no virtual-machine extensions', ...constant(1n) },
  {
    address: 0x3b, name: 'IA32_TSC_ADJUST', description: 'What software added to the time-stamp counter', feature: 'tscAdjust',
    read: (cpu) => cpu.state.u64[TSC_ADJUST_SLOT >> 3],
    write: (cpu, value) => {
      const moved = value - cpu.state.u64[TSC_ADJUST_SLOT >> 3];
      setTimeStamp(cpu, timeStamp(cpu) + moved);
    },
  },
  { address: 0x48, name: 'IA32_SPEC_CTRL', description: 'Restricts speculation (IBRS 0, BHI_DIS_S 10): nothing is executed speculatively here', feature: 'speculationControl', ...stored(allot(), 0x401n) },
  {
    address: 0x49, name: 'IA32_PRED_CMD', description: 'Barrier for branch predictors (IBPB 0), write-only: nothing happens', feature: 'speculationControl',
    read: () => { throw generalProtection(0, 'RDMSR of a register that can only be written'); },
    write: (_, value) => {
      if (value & ~1n) throw generalProtection(0, `WRMSR sets reserved bits (0x${(value & ~1n).toString(16)})`);
    },
  },
  { address: 0x79, name: 'IA32_BIOS_UPDT_TRIG', description: 'Loads microcode: nothing happens', ...ignored(0n) },
  { address: 0x8b, name: 'IA32_BIOS_SIGN_ID', description: 'Microcode revision in bits 63:32', read: (cpu) => BigInt(cpu.model.microcode ?? 0) << 32n, write: () => { /* software clears it before it asks */ } },
  {
    // RDCL_NO 0, IBRS_ALL 1, SKIP_L1DFL_VMENTRY 3, SSB_NO 4, MDS_NO 5, IF_PSCHANGE_MC_NO 6, TAA_NO 8, SBDR_SSDP_NO 13, FBSDP_NO 14, PSDP_NO 15, BHI_NO 20, PBRSB_NO 24, GDS_NO 26, RFDS_NO 27, ITS_NO 62.
    address: 0x10a, name: 'IA32_ARCH_CAPABILITIES', description: 'Attacks that do not work here: nothing is executed speculatively', feature: 'archCapabilities',
    ...constant([0, 1, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27, 62].reduce((bits, bit) => bits | (1n << BigInt(bit)), 0n)),
  },
  { address: 0x119, name: 'BBL_CR_CTL', description: 'Second-level cache control; bit 21: the processor serial number is disabled', ...ignored(1n << 21n) },
  { address: 0x174, name: 'IA32_SYSENTER_CS', description: 'Code selector that SYSENTER loads; SS and the SYSEXIT selectors follow from it', feature: 'sep', ...stored(SYSENTER_CS) },
  { address: 0x175, name: 'IA32_SYSENTER_ESP', description: 'RSP that SYSENTER loads', feature: 'sep', ...storedAddress(SYSENTER_ESP) },
  { address: 0x176, name: 'IA32_SYSENTER_EIP', description: 'RIP that SYSENTER loads', feature: 'sep', ...storedAddress(SYSENTER_EIP) },
  { address: 0x179, name: 'IA32_MCG_CAP', description: 'Machine-check banks: none', feature: 'mca', ...constant(0n) },
  { address: 0x17a, name: 'IA32_MCG_STATUS', description: 'Machine check in progress', feature: 'mca', ...stored(allot(), 7n) },
  { address: 0x1a0, name: 'IA32_MISC_ENABLE', description: 'Fast strings 0, automatic thermal control 3, limit CPUID 22 and other settings of the firmware', ...stored(allot()) },
  { address: 0x1d9, name: 'IA32_DEBUGCTL', description: 'Branch records and branch trapping, which do not exist here', ...ignored(0n) },
  ...mtrrRows,
  { address: 0x277, name: 'IA32_PAT', description: 'Memory types of pages by their PAT, PCD and PWT bits', feature: 'pat', ...typesRegister(PAT, (type) => memoryTypes.has(type) || type === 7, 'IA32_PAT') },
  apicRegister(0x6e0, 'IA32_TSC_DEADLINE', 'Time stamp at which the local APIC\'s timer interrupts; 0 disarms it', 'tscDeadline'),
  ...Array.from({ length: X2APIC_COUNT }, (_, n) => apicRegister(
    X2APIC_FIRST + n, `IA32_X2APIC_${(X2APIC_FIRST + n).toString(16).toUpperCase()}`, `Local APIC register at offset ${(16 * n).toString(16).toUpperCase()}h in x2APIC mode`, 'x2apic',
  )),
  {
    address: 0xc0000080, name: 'IA32_EFER', description: 'Extended features: system calls, long mode, execute-disable', feature: 'nx',
    read: (cpu) => BigInt(cpu.state.efer), write: writeEfer,
  },
  { address: 0xc0000081, name: 'IA32_STAR', description: 'Selectors of SYSCALL (47:32) and SYSRET (63:48)', feature: 'long', ...stored(STAR) },
  { address: 0xc0000082, name: 'IA32_LSTAR', description: 'RIP that SYSCALL loads', feature: 'long', ...storedAddress(LSTAR) },
  { address: 0xc0000083, name: 'IA32_CSTAR', description: 'RIP for SYSCALL in compatibility mode, which only other vendors\' processors have', feature: 'long', ...storedAddress(CSTAR) },
  { address: 0xc0000084, name: 'IA32_FMASK', description: 'Flags that SYSCALL clears', feature: 'long', ...stored(SFMASK, 0xffffffffn) },
  { address: 0xc0000100, name: 'IA32_FS_BASE', description: 'Base of FS', feature: 'long', ...segmentBase(Segment.FS) },
  { address: 0xc0000101, name: 'IA32_GS_BASE', description: 'Base of GS', feature: 'long', ...segmentBase(Segment.GS) },
  { address: 0xc0000102, name: 'IA32_KERNEL_GS_BASE', description: 'What SWAPGS exchanges with the base of GS', feature: 'long', ...storedAddress(KERNEL_GS_BASE) },
  { address: 0xc0000103, name: 'IA32_TSC_AUX', description: 'What RDTSCP returns in ECX', feature: 'rdtscp', ...stored(TSC_AUX, 0xffffffffn) },
];

const MISC_ENABLE_AT_RESET = 1n;

/** Values after RESET that are not zero. */
export function resetMsrs(cpu: Cpu): void {
  cpu.state.u64[PAT >> 3] = PAT_AT_RESET;
  findMsr(cpu.model, 0x1a0)?.write(cpu, MISC_ENABLE_AT_RESET);
}

const byAddress: ReadonlyMap<number, MsrRow> = new Map(msrs.map((row) => [row.address, row]));

/** The register, if the model has it. */
export function findMsr(model: CpuModel, address: number): MsrRow | undefined {
  const row = byAddress.get(address >>> 0);
  return row && (row.feature === undefined || model.has(row.feature)) ? row : undefined;
}
