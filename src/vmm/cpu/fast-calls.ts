/** Fast system calls: SYSENTER and SYSEXIT, SYSCALL and SYSRET (SDM Vol. 2; SYSCALL as Intel has it: in 64-bit code only). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Cr0, Efer, Flag } from './bits';
import { isNull } from './descriptors';
import { generalProtection, undefinedOpcode } from './exceptions';
import { LSTAR, Segment, SFMASK, STAR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP } from './layout';
import { privileged } from './system';

const RCX = 1, RDX = 2, R11 = 11;
const FLAT = 0xffffffff;
const flatCode = (dpl: number, wide: boolean): number =>
  Attribute.G | (wide ? Attribute.L : Attribute.DB) | Attribute.P | (dpl << 5) | Attribute.S | 0xb;
const flatData = (dpl: number): number => Attribute.G | Attribute.DB | Attribute.P | (dpl << 5) | Attribute.S | 0x3;

/** Flat CS and SS of a level without a look at the tables, then RIP. */
function fastTransfer(cpu: Cpu, code: number, stack: number, cpl: number, wide: boolean, rip: number): void {
  cpu.setSegment(Segment.CS, (code & 0xfffc) | cpl, 0, FLAT, flatCode(cpl, wide));
  cpu.setSegment(Segment.SS, (stack & 0xfffc) | cpl, 0, FLAT, flatData(cpl));
  cpu.setCpl(cpl);
  cpu.state.rip = rip;
}

export function sysenter(cpu: Cpu): number {
  const { state } = cpu;
  const selector = state.u32[SYSENTER_CS >> 2] & 0xffff;
  if (!(state.cr0 & Cr0.PE)) throw generalProtection(0, 'SYSENTER outside protected mode');
  if (isNull(selector)) throw generalProtection(0, 'SYSENTER with IA32_SYSENTER_CS null');
  const wide = state.longMode;
  state.systemFlags &= ~(Flag.VM | Flag.IF | Flag.RF);
  // WRMSR has checked that both addresses are canonical; outside long mode their low halves count.
  fastTransfer(cpu, selector, selector + 8, 0, wide, wide ? state.slot(SYSENTER_EIP) : state.u32[SYSENTER_EIP >> 2]);
  if (wide) state.setAddress64(4, state.slot(SYSENTER_ESP));
  else state.set32(4, state.u32[SYSENTER_ESP >> 2]);
  return 0;
}

export function sysexit(cpu: Cpu, site: CalloutSite): number {
  const { state } = cpu;
  const selector = state.u32[SYSENTER_CS >> 2] & 0xffff;
  if (!(state.cr0 & Cr0.PE)) throw generalProtection(0, 'SYSEXIT outside protected mode');
  privileged(cpu, 'SYSEXIT');
  if (isNull(selector)) throw generalProtection(0, 'SYSEXIT with IA32_SYSENTER_CS null');
  if (site.operandSize !== 64) {
    fastTransfer(cpu, selector + 16, selector + 24, 3, false, state.get32(RDX));
    state.set32(4, state.get32(RCX));
    return 0;
  }
  const rip = state.address64(RDX), rsp = state.address64(RCX);
  if (rip < 0 || rsp < 0) throw generalProtection(0, 'SYSEXIT to an address that is not canonical');
  fastTransfer(cpu, selector + 32, selector + 40, 3, true, rip);
  state.setAddress64(4, rsp);
  return 0;
}

function requireSystemCalls(cpu: Cpu, name: string): void {
  if (!cpu.state.code64) throw undefinedOpcode(`${name} outside 64-bit code`);
  if (!(cpu.state.efer & Efer.SCE)) throw undefinedOpcode(`${name} with EFER.SCE clear`);
}

/** RIP in the state page is the next instruction's. */
export function syscall(cpu: Cpu): number {
  const { state } = cpu;
  requireSystemCalls(cpu, 'SYSCALL');
  const selector = state.u32[(STAR >> 2) + 1] & 0xfffc;
  const { eflags } = state;
  state.setAddress64(RCX, state.rip);
  state.set32(R11, eflags);
  cpu.setFlags((eflags & ~state.u32[SFMASK >> 2] & ~Flag.RF) | Flag.Fixed);
  fastTransfer(cpu, selector, selector + 8, 0, true, state.slot(LSTAR));
  return 0;
}

/** EFLAGS bits that SYSRET takes from R11: all but RF and VM. */
const RETURNED_FLAGS = 0x3c7fd7;

export function sysret(cpu: Cpu, site: CalloutSite): number {
  const { state } = cpu;
  requireSystemCalls(cpu, 'SYSRET');
  privileged(cpu, 'SYSRET');
  const wide = site.operandSize === 64;
  const rip = wide ? state.address64(RCX) : state.get32(RCX);
  if (rip < 0) throw generalProtection(0, 'SYSRET to an address that is not canonical');
  const selector = state.u32[(STAR >> 2) + 1] >>> 16;
  fastTransfer(cpu, wide ? selector + 16 : selector, selector + 8, 3, wide, rip);
  cpu.setFlags((state.get32(R11) & RETURNED_FLAGS) | Flag.Fixed);
  return 0;
}
