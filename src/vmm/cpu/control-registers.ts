/** MOV to and from control and debug registers, LMSW, CLTS; what they turn on and off (SDM Vol. 3, 2.5 and 17.2). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Cr0, Cr4, Dr6, Dr7, Efer } from './bits';
import { debugFault } from './debug';
import { generalProtection, undefinedOpcode } from './exceptions';
import { CR0, CR2, CR3, CR4, CR8, DR, Segment, WIDE_ARGUMENTS, WIDE_RESULT } from './layout';
import { loadCr3, loadPdptes, usesPae } from './pdptes';
import { privileged } from './system';

// CR0: PG 31, CD 30, NW 29, AM 18, WP 16, NE 5, ET 4 (always 1), TS 3, EM 2, MP 1, PE 0. Other bits cannot be set and are ignored.
const CR0_WRITABLE = Cr0.PG | Cr0.CD | Cr0.NW | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.TS | Cr0.EM | Cr0.MP | Cr0.PE;
const CR0_PAGING = Cr0.PG | Cr0.WP | Cr0.PE;
// Changes that load the PDPTE registers when PAE paging is in use afterwards (SDM Vol. 3, 4.4.1).
const CR0_LOADS_PDPTES = Cr0.PG | Cr0.CD | Cr0.NW;
const CR4_LOADS_PDPTES = Cr4.PAE | Cr4.PGE | Cr4.PSE;
const CR4_PAGING = CR4_LOADS_PDPTES | Cr4.SMEP | Cr4.SMAP | Cr4.PCIDE;

function writeCr0(cpu: Cpu, value: number): void {
  const { state } = cpu;
  if (value & Cr0.PG && !(value & Cr0.PE)) throw generalProtection(0, 'CR0.PG without CR0.PE');
  if (value & Cr0.NW && !(value & Cr0.CD)) throw generalProtection(0, 'CR0.NW without CR0.CD');
  const cr0 = (value & CR0_WRITABLE) | Cr0.ET;
  const changed = state.cr0 ^ cr0;
  const efer = changed & Cr0.PG ? switchLongMode(cpu, (cr0 & Cr0.PG) !== 0) : state.efer;
  const loads = (changed & CR0_LOADS_PDPTES) !== 0 && usesPae(cr0, state.cr4, efer);
  if (loads) loadPdptes(cpu, state.cr3);
  state.cr0 = cr0;
  state.efer = efer;
  if (loads || changed & CR0_PAGING || (changed & Cr0.AM && state.alignmentFlag)) cpu.pagingChanged('cr0');
  if (changed & (Cr0.PE | Cr0.PG)) cpu.hooks.contextChanged();
}

/** EFER after a change of CR0.PG: paging turns long mode on when EFER.LME asks for it, and off (SDM Vol. 3, 9.8.5). Throws #GP for what cannot be. */
function switchLongMode({ state }: Cpu, paging: boolean): number {
  const { efer, cr4 } = state;
  const longCode = (state.attributes(Segment.CS) & Attribute.L) !== 0;
  if (!paging) {
    if (state.longMode && longCode) throw generalProtection(0, 'paging turned off in 64-bit code');
    if (cr4 & Cr4.PCIDE) throw generalProtection(0, 'paging turned off with CR4.PCIDE set');
    return efer & ~Efer.LMA;
  }
  if (!(efer & Efer.LME)) return efer;
  if (!(cr4 & Cr4.PAE)) throw generalProtection(0, 'paging turned on with EFER.LME set and CR4.PAE clear');
  if (longCode) throw generalProtection(0, 'paging turned on with EFER.LME and CS.L set');
  if (!(state.attributes(Segment.TR) & 8)) throw generalProtection(0, 'paging turned on with EFER.LME set and a 16-bit TSS');
  return efer | Efer.LMA;
}

function writeCr4(cpu: Cpu, value: number): void {
  const { state } = cpu;
  if (value & ~cpu.model.cr4) throw generalProtection(0, 'a CR4 bit that this processor model does not have');
  const changed = state.cr4 ^ value;
  if (state.longMode && !(value & Cr4.PAE)) throw generalProtection(0, 'CR4.PAE cleared in long mode');
  if (changed & value & Cr4.PCIDE && (!state.longMode || state.cr3 % 0x1000 !== 0)) {
    throw generalProtection(0, 'CR4.PCIDE set outside long mode, or with a process-context identifier in CR3');
  }
  if (changed & CR4_LOADS_PDPTES && usesPae(state.cr0, value, state.efer)) loadPdptes(cpu, state.cr3);
  state.cr4 = value;
  // PGE makes no difference: global or not, no translation outlives its table entry here.
  if (changed & CR4_PAGING) cpu.pagingChanged('cr4');
  if (changed & Cr4.DE) cpu.hooks.debugRegistersChanged();
}

/** CR8 is bits 7:4 of the local APIC's task priority. Without an APIC it is but stored. */
function writeCr8(cpu: Cpu, value: bigint): void {
  if (value >> 4n) throw generalProtection(0, 'CR8 with reserved bits');
  const apic = cpu.hooks.apic();
  if (apic) apic.taskPriority = Number(value) << 4;
  cpu.state.set64Slot(CR8, Number(value));
}
export function readCr8(cpu: Cpu): number {
  const apic = cpu.hooks.apic();
  return apic ? apic.taskPriority >> 4 : cpu.state.u32[CR8 >> 2];
}

/** CR8 is reached in 64-bit code only, where an operand has 64 bits. */
function checkNumber(cpu: Cpu, n: number): void {
  if (n === 1 || n > 8 || (n > 4 && (n < 8 || !cpu.state.code64))) throw undefinedOpcode(`CR${n} does not exist`);
}

export function movToCr(cpu: Cpu, _site: CalloutSite, n: number, value: number): number {
  checkNumber(cpu, n);
  privileged(cpu, 'MOV to a control register');
  const { state } = cpu;
  // CR3 is written all the time, and 64-bit integers take longer than all of it.
  const high = state.code64 ? state.u32[(WIDE_ARGUMENTS >> 2) + 3] : 0;
  switch (n) {
    case 2:
      state.u32[CR2 >> 2] = value;
      state.u32[(CR2 >> 2) + 1] = high;
      break;
    case 3:
      writeCr3(cpu, value >>> 0, high);
      break;
    case 8:
      writeCr8(cpu, state.wideArgument(1));
      break;
    default:
      if (high) throw generalProtection(0, `CR${n} with reserved bits`);
      if (n === 0) writeCr0(cpu, value);
      else writeCr4(cpu, value);
  }
  return 0;
}

/** MOV to CR3. With CR4.PCIDE bit 63 asks to keep the context's translations, which are kept in any case. */
function writeCr3(cpu: Cpu, low: number, high: number): void {
  const { state } = cpu;
  const upper = state.cr4 & Cr4.PCIDE ? high & 0x7fffffff : high;
  // Physical addresses have 32 to 52 bits.
  if (upper >>> (cpu.model.physicalAddressBits - 32) && state.longMode) throw generalProtection(0, 'CR3 with reserved bits');
  loadCr3(cpu, state.longMode ? upper * 0x100000000 + low : low);
}

/** CR1 has none. */
const CR_SLOTS = [CR0, 0, CR2, CR3, CR4] as const;

export function movFromCr(cpu: Cpu, _site: CalloutSite, n: number): number {
  checkNumber(cpu, n);
  privileged(cpu, 'MOV from a control register');
  const { state } = cpu;
  const slot = (n === 8 ? 0 : CR_SLOTS[n]) >> 2;
  const low = n === 8 ? readCr8(cpu) : state.u32[slot];
  state.u32[WIDE_RESULT >> 2] = low;
  state.u32[(WIDE_RESULT >> 2) + 1] = n === 8 ? 0 : state.u32[slot + 1];
  return low | 0;
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
  if (n > 7) throw undefinedOpcode(`DR${n} does not exist`);
  if ((n === 4 || n === 5) && state.cr4 & Cr4.DE) throw undefinedOpcode(`DR${n} with CR4.DE set`);
  privileged(cpu, 'MOV of a debug register');
  if (state.dr(7) & Dr7.GD) throw debugFault(cpu, Dr6.BD, 'access to a debug register with DR7.GD set');
  return n === 4 || n === 5 ? n + 2 : n;
}

export function movToDr(cpu: Cpu, _site: CalloutSite, number: number, value: number): number {
  const n = debugRegister(cpu, number);
  const { state } = cpu;
  const whole = state.code64 ? state.wideArgument(1) : BigInt(value >>> 0);
  if (n >= 6 && whole >> 32n) throw generalProtection(0, `DR${n} with reserved bits`);
  if (n === 6) state.setDr(6, ((value & DR6_WRITABLE) | DR6_ONES) >>> 0);
  else if (n === 7) state.setDr(7, ((value & DR7_WRITABLE) | DR7_ONES) >>> 0);
  else state.u64[(DR >> 3) + n] = whole;
  if (n !== 6) cpu.hooks.debugRegistersChanged();
  return 0;
}

export function movFromDr(cpu: Cpu, _site: CalloutSite, number: number): number {
  const slot = cpu.state.u64[(DR >> 3) + debugRegister(cpu, number)];
  cpu.state.setWideResult(slot);
  return Number(BigInt.asIntN(32, slot));
}
