/** System registers and privileged instructions: control, debug and descriptor-table registers, MSRs, CPUID, TSC, HLT, fast system calls. */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Cr0, Cr4, Dr6, Dr7, Flag, SystemType } from './bits';
import { cpuidLeaf } from './cpuid';
import { debugFault } from './debug';
import { describeType, fault, isNull, readDescriptor } from './descriptors';
import { generalProtection, undefinedOpcode, Vector } from './exceptions';
import { Segment, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from './layout';
import { findMsr, timeStamp } from './msr';
import { loadCr3, loadPdptes, usesPae } from './pdptes';

function privileged(cpu: Cpu, name: string): void {
  if (cpu.state.cpl !== 0) throw generalProtection(0, `${name} with CPL ${cpu.state.cpl}`);
}
function requireProtected(cpu: Cpu, name: string): void {
  if (!cpu.protectedMode) throw undefinedOpcode(`${name} outside protected mode`);
}

/** LGDT: with 16-bit operand size the base has 24 bits. */
export function lgdt(cpu: Cpu, site: CalloutSite, limit: number, base: number): number {
  privileged(cpu, 'LGDT');
  cpu.state.setGdtr(site.operandSize === 16 ? base & 0xffffff : base, limit & 0xffff);
  return 0;
}
export function lidt(cpu: Cpu, site: CalloutSite, limit: number, base: number): number {
  privileged(cpu, 'LIDT');
  cpu.state.setIdtr(site.operandSize === 16 ? base & 0xffffff : base, limit & 0xffff);
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
  if (!d.present) throw fault(Vector.NP, selector, 0, 'for LDTR is not present');
  cpu.setSegment(Segment.LDTR, selector, d.base, d.limit, d.attributes);
  return 0;
}

export function ltr(cpu: Cpu, _site: CalloutSite, value: number): number {
  const selector = value & 0xffff;
  requireProtected(cpu, 'LTR');
  privileged(cpu, 'LTR');
  if (isNull(selector)) throw generalProtection(0, 'null selector for TR');
  if (selector & 4) throw fault(Vector.GP, selector, 0, 'for TR points into the LDT');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (d.attributes & Attribute.S || (d.type & ~8) !== SystemType.TssAvailable16) {
    throw fault(Vector.GP, selector, 0, `for TR is ${describeType(d.attributes)}`);
  }
  if (!d.present) throw fault(Vector.NP, selector, 0, 'for TR is not present');
  cpu.memory.write((d.linear + 5) >>> 0, 1, ((d.high >>> 8) & 0xff) | 2, false);
  cpu.setSegment(Segment.TR, selector, d.base, d.limit, d.attributes | SystemType.TssBusy16);
  return 0;
}

// CR0: PG 31, CD 30, NW 29, AM 18, WP 16, NE 5, ET 4 (always 1), TS 3, EM 2, MP 1, PE 0. Other bits cannot be set and are ignored.
const CR0_WRITABLE = Cr0.PG | Cr0.CD | Cr0.NW | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.TS | Cr0.EM | Cr0.MP | Cr0.PE;
const CR0_PAGING = Cr0.PG | Cr0.WP | Cr0.PE;
// Changes that load the PDPTE registers when PAE paging is in use afterwards (SDM Vol. 3, 4.4.1).
const CR0_LOADS_PDPTES = Cr0.PG | Cr0.CD | Cr0.NW;
const CR4_LOADS_PDPTES = Cr4.PAE | Cr4.PGE | Cr4.PSE;

function writeCr0(cpu: Cpu, value: number): void {
  const { state } = cpu;
  if (value & Cr0.PG && !(value & Cr0.PE)) throw generalProtection(0, 'CR0.PG without CR0.PE');
  if (value & Cr0.NW && !(value & Cr0.CD)) throw generalProtection(0, 'CR0.NW without CR0.CD');
  const cr0 = (value & CR0_WRITABLE) | Cr0.ET;
  const changed = state.cr0 ^ cr0;
  const loads = (changed & CR0_LOADS_PDPTES) !== 0 && usesPae(cr0, state.cr4);
  if (loads) loadPdptes(cpu, state.cr3);
  state.cr0 = cr0;
  if (loads || changed & CR0_PAGING) cpu.pagingChanged('cr0');
  if (changed & Cr0.PE) cpu.hooks.contextChanged();
}

export function movToCr(cpu: Cpu, _site: CalloutSite, n: number, value: number): number {
  if (n === 1 || n > 4) throw undefinedOpcode(`CR${n} does not exist`);
  privileged(cpu, 'MOV to a control register');
  const { state } = cpu;
  switch (n) {
    case 0:
      writeCr0(cpu, value);
      break;
    case 2:
      state.cr2 = value;
      break;
    case 3:
      loadCr3(cpu, value);
      break;
    default: {
      if (value & ~cpu.model.cr4) throw generalProtection(0, 'a CR4 bit that this processor model does not have');
      const changed = state.cr4 ^ value;
      if (changed & CR4_LOADS_PDPTES && usesPae(state.cr0, value)) loadPdptes(cpu, state.cr3);
      state.cr4 = value;
      // PGE makes no difference: global or not, no translation outlives its table entry here.
      if (changed & CR4_LOADS_PDPTES) cpu.pagingChanged('cr4');
      if (changed & Cr4.DE) cpu.hooks.debugRegistersChanged();
    }
  }
  return 0;
}

export function movFromCr(cpu: Cpu, _site: CalloutSite, n: number): number {
  if (n === 1 || n > 4) throw undefinedOpcode(`CR${n} does not exist`);
  privileged(cpu, 'MOV from a control register');
  const { state } = cpu;
  return n === 0 ? state.cr0 : n === 2 ? state.cr2 : n === 3 ? state.cr3 : state.cr4;
}

/** LMSW writes CR0[3:0] and cannot clear PE. */
export function lmsw(cpu: Cpu, _site: CalloutSite, value: number): number {
  privileged(cpu, 'LMSW');
  const { cr0 } = cpu.state;
  writeCr0(cpu, (cr0 & ~0xe) | (value & 0xf));
  return 0;
}

export function clts(cpu: Cpu): number {
  privileged(cpu, 'CLTS');
  cpu.state.cr0 &= ~Cr0.TS;
  return 0;
}

// DR6: BT 15, BS 14, BD 13, B3–B0; 31:16 and 11:4 read as one, 12 as zero.
const DR6_WRITABLE = 0xe00f, DR6_ONES = 0xffff0ff0;
// DR7: LEN/RW 31:16, GD 13, GE LE 9:8, G3 L3 … G0 L0; 10 reads as one, 15, 14, 12, 11 as zero.
const DR7_WRITABLE = 0xffff23ff, DR7_ONES = 0x400;

/** Checks shared by both directions; DR4 and DR5 are DR6 and DR7 unless CR4.DE forbids them. */
function debugRegister(cpu: Cpu, n: number): number {
  const { state } = cpu;
  if ((n === 4 || n === 5) && state.cr4 & Cr4.DE) throw undefinedOpcode(`DR${n} with CR4.DE set`);
  privileged(cpu, 'MOV of a debug register');
  if (state.dr(7) & Dr7.GD) throw debugFault(cpu, Dr6.BD, 'access to a debug register with DR7.GD set');
  return n === 4 || n === 5 ? n + 2 : n;
}

export function movToDr(cpu: Cpu, _site: CalloutSite, number: number, value: number): number {
  const n = debugRegister(cpu, number);
  const { state } = cpu;
  if (n === 6) state.setDr(6, (value & DR6_WRITABLE) | DR6_ONES);
  else if (n === 7) state.setDr(7, (value & DR7_WRITABLE) | DR7_ONES);
  else state.setDr(n, value);
  if (n !== 6) cpu.hooks.debugRegistersChanged();
  return 0;
}

export function movFromDr(cpu: Cpu, _site: CalloutSite, number: number): number {
  return cpu.state.dr(debugRegister(cpu, number));
}

export function invlpg(cpu: Cpu, _site: CalloutSite, linear: number): number {
  privileged(cpu, 'INVLPG');
  cpu.hooks.invlpg(linear >>> 0);
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

export function hlt(cpu: Cpu): number {
  privileged(cpu, 'HLT');
  cpu.hooks.halt();
  return 0;
}

export function cpuid(cpu: Cpu): number {
  const { state } = cpu;
  const { eax, ebx, ecx, edx } = cpuidLeaf(cpu.model, state.get32(0));
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
  const row = findMsr(address);
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

/** The two counters of a P6 exist; without event-select registers they never leave zero. */
export function rdpmc(cpu: Cpu): number {
  const { state } = cpu;
  if (state.cpl !== 0 && !(state.cr4 & Cr4.PCE)) throw generalProtection(0, 'RDPMC with CR4.PCE clear');
  if (state.get32(1) > 1) throw generalProtection(0, `performance counter ${state.get32(1)} does not exist`);
  setEdxEax(cpu, 0n);
  return 0;
}

const FLAT = 0xffffffff;
const flatCode = (dpl: number): number => Attribute.G | Attribute.DB | Attribute.P | (dpl << 5) | Attribute.S | 0xb;
const flatData = (dpl: number): number => Attribute.G | Attribute.DB | Attribute.P | (dpl << 5) | Attribute.S | 0x3;

function fastTransfer(cpu: Cpu, code: number, stack: number, cpl: number, esp: number, eip: number): void {
  cpu.setSegment(Segment.CS, (code & 0xfffc) | cpl, 0, FLAT, flatCode(cpl));
  cpu.setSegment(Segment.SS, (stack & 0xfffc) | cpl, 0, FLAT, flatData(cpl));
  cpu.setCpl(cpl);
  cpu.state.set32(4, esp);
  cpu.state.eip = eip;
}

export function sysenter(cpu: Cpu): number {
  const { state } = cpu;
  const selector = state.u32[SYSENTER_CS >> 2] & 0xffff;
  if (!(state.cr0 & Cr0.PE)) throw generalProtection(0, 'SYSENTER outside protected mode');
  if (isNull(selector)) throw generalProtection(0, 'SYSENTER with IA32_SYSENTER_CS null');
  state.systemFlags &= ~(Flag.VM | Flag.IF | Flag.RF);
  fastTransfer(cpu, selector, selector + 8, 0, state.u32[SYSENTER_ESP >> 2], state.u32[SYSENTER_EIP >> 2]);
  return 0;
}

export function sysexit(cpu: Cpu): number {
  const { state } = cpu;
  const selector = state.u32[SYSENTER_CS >> 2] & 0xffff;
  if (!(state.cr0 & Cr0.PE)) throw generalProtection(0, 'SYSEXIT outside protected mode');
  privileged(cpu, 'SYSEXIT');
  if (isNull(selector)) throw generalProtection(0, 'SYSEXIT with IA32_SYSENTER_CS null');
  fastTransfer(cpu, selector + 16, selector + 24, 3, state.get32(1), state.get32(2));
  return 0;
}
