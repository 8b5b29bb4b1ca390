/** Privileged instructions and identification: descriptor-table registers, translation and cache control, HLT, CPUID, MSRs, TSC. */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Cr4, SystemType } from './bits';
import { describeType, fault, isNull, readDescriptor, readSystemDescriptor } from './descriptors';
import { generalProtection, undefinedOpcode, Vector } from './exceptions';
import { Segment, TSC_AUX } from './layout';
import { cpuidLeaf } from './models/cpuid';
import { findMsr, timeStamp } from './msr';

export function privileged(cpu: Cpu, name: string): void {
  if (cpu.state.cpl !== 0) throw generalProtection(0, `${name} with CPL ${cpu.state.cpl}`);
}
function requireProtected(cpu: Cpu, name: string): void {
  if (!cpu.protectedMode) throw undefinedOpcode(`${name} outside protected mode`);
}

/** The base that LGDT and LIDT load: 24 bits with 16-bit operand size; in 64-bit code all of it, which must be canonical. */
function tableBase(cpu: Cpu, site: CalloutSite, base: number, name: string): number {
  if (!cpu.state.code64) return site.operandSize === 16 ? base & 0xffffff : base >>> 0;
  const wide = cpu.state.wideAddress(1);
  if (wide < 0) throw generalProtection(0, `${name} with a base that is not canonical`);
  return wide;
}
export function lgdt(cpu: Cpu, site: CalloutSite, limit: number, base: number): number {
  privileged(cpu, 'LGDT');
  cpu.state.setGdtr(tableBase(cpu, site, base, 'LGDT'), limit & 0xffff);
  return 0;
}
export function lidt(cpu: Cpu, site: CalloutSite, limit: number, base: number): number {
  privileged(cpu, 'LIDT');
  cpu.state.setIdtr(tableBase(cpu, site, base, 'LIDT'), limit & 0xffff);
  return 0;
}

export function lldt(cpu: Cpu, _site: CalloutSite, value: number): number {
  const selector = value & 0xffff;
  requireProtected(cpu, 'LLDT');
  privileged(cpu, 'LLDT');
  if (isNull(selector)) {
    cpu.setNullSegment(Segment.LDTR, selector);
    return 0;
  }
  if (selector & 4) throw fault(Vector.GP, selector, 0, 'for LDTR points into the LDT');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (d.attributes & Attribute.S || d.type !== SystemType.Ldt) throw fault(Vector.GP, selector, 0, `for LDTR is ${describeType(d.attributes)}`);
  const { base } = readSystemDescriptor(cpu, d);
  if (!d.present) throw fault(Vector.NP, selector, 0, 'for LDTR is not present');
  cpu.setSegment(Segment.LDTR, selector, base, d.limit, d.attributes);
  return 0;
}

export function ltr(cpu: Cpu, _site: CalloutSite, value: number): number {
  const selector = value & 0xffff;
  requireProtected(cpu, 'LTR');
  privileged(cpu, 'LTR');
  if (isNull(selector)) throw generalProtection(0, 'null selector for TR');
  if (selector & 4) throw fault(Vector.GP, selector, 0, 'for TR points into the LDT');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  const available = d.type === SystemType.TssAvailable32 || (d.type === SystemType.TssAvailable16 && !cpu.state.longMode);
  if (d.attributes & Attribute.S || !available) {
    throw fault(Vector.GP, selector, 0, `for TR is ${describeType(d.attributes)}`);
  }
  const { base } = readSystemDescriptor(cpu, d);
  if (!d.present) throw fault(Vector.NP, selector, 0, 'for TR is not present');
  cpu.memory.write(cpu.state.wrap(d.linear + 5), 1, ((d.high >>> 8) & 0xff) | 2, 'system');
  cpu.setSegment(Segment.TR, selector, base, d.limit, d.attributes | SystemType.TssBusy16);
  return 0;
}

/** In 64-bit code an address that is not canonical does nothing. */
export function invlpg(cpu: Cpu, _site: CalloutSite, linear: number): number {
  privileged(cpu, 'INVLPG');
  const at = cpu.state.code64 ? cpu.state.wideAddress(0) : linear >>> 0;
  if (at >= 0) cpu.hooks.invlpg(at);
  return 0;
}

/** Individual address, one context, all contexts with and without global pages. */
const INVPCID_TYPES = 4;

/** INVPCID type, m128: bits 11:0 name the context, 127:64 are the linear address. No translation outlives its table entry here: there is nothing to drop. */
export function invpcid(cpu: Cpu, _site: CalloutSite, type: number): number {
  privileged(cpu, 'INVPCID');
  const { state } = cpu;
  const kind = state.code64 ? state.wideArgument(0) : BigInt(type >>> 0);
  const descriptor = state.wideArgument(1);
  if (kind >= INVPCID_TYPES) throw generalProtection(0, `INVPCID of type ${kind}`);
  if (descriptor >> 12n) throw generalProtection(0, 'INVPCID with reserved bits in its descriptor');
  if (kind === 0n && state.wideAddress(2) < 0) throw generalProtection(0, 'INVPCID of an address that is not canonical');
  if (kind < 2n && descriptor !== 0n && !(state.cr4 & Cr4.PCIDE)) throw generalProtection(0, 'INVPCID of a context with CR4.PCIDE clear');
  return 0;
}

/** The machine has no caches to write back. */
export function wbinvd(cpu: Cpu): number {
  privileged(cpu, 'WBINVD');
  return 0;
}
export function invd(cpu: Cpu): number {
  privileged(cpu, 'INVD');
  return 0;
}

/** A processor that spins leaves its time to the others. */
export function pause(cpu: Cpu): number {
  cpu.hooks.pause();
  return 0;
}

export function hlt(cpu: Cpu): number {
  privileged(cpu, 'HLT');
  cpu.hooks.halt();
  return 0;
}

export function cpuid(cpu: Cpu): number {
  const { state } = cpu;
  const { eax, ebx, ecx, edx } = cpuidLeaf(cpu, state.get32(0), state.get32(1));
  state.set32(0, eax);
  state.set32(1, ecx);
  state.set32(2, edx);
  state.set32(3, ebx);
  return 0;
}

function setEdxEax(cpu: Cpu, value: bigint): void {
  cpu.state.set32(0, Number(BigInt.asUintN(32, value)));
  cpu.state.set32(2, Number(BigInt.asUintN(32, value >> 32n)));
}

function msr(cpu: Cpu, name: string): NonNullable<ReturnType<typeof findMsr>> {
  privileged(cpu, name);
  const address = cpu.state.get32(1);
  const row = findMsr(cpu.model, address);
  if (!row) throw generalProtection(0, `${name} of MSR 0x${address.toString(16)}, which this processor model does not have`);
  return row;
}
export function rdmsr(cpu: Cpu): number {
  setEdxEax(cpu, msr(cpu, 'RDMSR').read(cpu));
  return 0;
}
export function wrmsr(cpu: Cpu): number {
  const row = msr(cpu, 'WRMSR');
  row.write(cpu, (BigInt(cpu.state.get32(2)) << 32n) | BigInt(cpu.state.get32(0)));
  return 0;
}

export function rdtsc(cpu: Cpu): number {
  if (cpu.state.cr4 & Cr4.TSD && cpu.state.cpl !== 0) throw generalProtection(0, 'RDTSC with CR4.TSD set');
  setEdxEax(cpu, timeStamp(cpu));
  return 0;
}

/** RDTSC, and IA32_TSC_AUX in ECX. */
export function rdtscp(cpu: Cpu): number {
  if (cpu.state.cr4 & Cr4.TSD && cpu.state.cpl !== 0) throw generalProtection(0, 'RDTSCP with CR4.TSD set');
  setEdxEax(cpu, timeStamp(cpu));
  cpu.state.set32(1, cpu.state.u32[TSC_AUX >> 2]);
  return 0;
}

/** The two counters of a P6 exist; without event-select registers they never leave zero. */
export function rdpmc(cpu: Cpu): number {
  const { state } = cpu;
  if (state.cpl !== 0 && !(state.cr4 & Cr4.PCE)) throw generalProtection(0, 'RDPMC with CR4.PCE clear');
  if (state.get32(1) > 1) throw generalProtection(0, `performance counter ${state.get32(1)} does not exist`);
  setEdxEax(cpu, 0n);
  return 0;
}
