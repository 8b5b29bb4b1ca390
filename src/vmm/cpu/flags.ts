/** The instructions that touch the protected bits of EFLAGS: STI, CLI, POPF, PUSHF, and software interrupts. */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Flag } from './bits';
import { enter } from './deliver';
import { generalProtection, undefinedOpcode, Vector } from './exceptions';
import { fromVirtualImage, hasVirtualFlags, hasVirtualInterruptFlag, isRestricted, redirectInterrupt, virtualImage } from './virtual8086';

function requireIopl(cpu: Cpu, name: string): void {
  const { state } = cpu;
  if (state.cpl > state.iopl) throw generalProtection(0, `${name} with CPL ${state.cpl} and IOPL ${state.iopl}`);
}

/** STI: interrupts are taken from the boundary behind the next instruction on, when they were off. */
export function setInterruptFlag(cpu: Cpu): number {
  const { state } = cpu;
  if (hasVirtualInterruptFlag(state)) {
    if (state.systemFlags & Flag.VIP) throw generalProtection(0, 'STI sets VIF while an interrupt is pending (VIP)');
    state.systemFlags |= Flag.VIF;
    return 0;
  }
  requireIopl(cpu, 'STI');
  if (!(state.systemFlags & Flag.IF)) state.interruptShadow = true;
  state.systemFlags |= Flag.IF;
  return 0;
}

export function clearInterruptFlag(cpu: Cpu): number {
  if (hasVirtualInterruptFlag(cpu.state)) {
    cpu.state.systemFlags &= ~Flag.VIF;
    return 0;
  }
  requireIopl(cpu, 'CLI');
  cpu.state.systemFlags &= ~Flag.IF;
  return 0;
}

/** Bits that POPF changes (SDM Vol. 2, POPF, table 4-15). RF is not among them: a 32- or 64-bit POPF clears it. */
export function popFlagsMask(bytes: number, cpl: number, iopl: number): number {
  let mask = Flag.Arithmetic | Flag.TF | Flag.DF | Flag.NT;
  if (bytes !== 2) mask |= Flag.AC | Flag.ID;
  if (cpl <= iopl) mask |= Flag.IF;
  if (cpl === 0) mask |= Flag.IOPL;
  return mask;
}

/** POPF with the (low half of the) value from the stack; `bytes` is 2, 4 or 8. */
export function popFlags(cpu: Cpu, _site: CalloutSite, value: number, bytes: number): number {
  const { state } = cpu;
  if (hasVirtualFlags(state, bytes)) {
    cpu.setFlags(fromVirtualImage(state, value, 'POPF'));
    return 0;
  }
  if (isRestricted(state)) throw generalProtection(0, 'POPF in virtual-8086 mode with IOPL below 3');
  const mask = popFlagsMask(bytes, state.cpl, state.iopl);
  const cleared = bytes === 2 ? 0 : Flag.RF;
  cpu.setFlags((value & mask) | (state.eflags & ~mask & ~cleared));
  return 0;
}

/** STAC and CLAC: `on` is the new value of EFLAGS.AC. */
export function setAlignmentFlag(cpu: Cpu, _site: CalloutSite, on: number): number {
  const { state } = cpu;
  if (state.cpl !== 0) throw undefinedOpcode(`${on ? 'STAC' : 'CLAC'} with CPL ${state.cpl}`);
  cpu.setFlags(on ? state.eflags | Flag.AC : state.eflags & ~Flag.AC);
  return 0;
}

/** The image that PUSHF pushes: VM and RF read as zero. `bytes` is 2, 4 or 8. */
export function pushFlagsValue(cpu: Cpu, _site: CalloutSite, bytes: number): number {
  const { state } = cpu;
  if (hasVirtualFlags(state, bytes)) return virtualImage(state);
  if (isRestricted(state)) throw generalProtection(0, 'PUSHF in virtual-8086 mode with IOPL below 3');
  return state.eflags & ~(Flag.VM | Flag.RF);
}

/**
 * INT n (`numbered` is 1), INT3, INTO: what is pushed points behind the instruction. A failure is a fault of the instruction itself.
 * Of the three only INT n depends on IOPL and the redirection bitmap in virtual-8086 mode.
 */
export function softwareInterrupt(cpu: Cpu, site: CalloutSite, vector: number, numbered: number): number {
  if (!cpu.state.code64) cpu.state.eip = site.nextEip;
  if (numbered && cpu.state.systemFlags & Flag.VM && redirectInterrupt(cpu, vector & 0xff)) return 0;
  enter(cpu, vector & 0xff, 'software');
  // INT n is a call of the guest's own; #BP and #OF are exceptions.
  if (!numbered) cpu.state.count('exceptions');
  return 0;
}

/** INT1 (F1): #DB as the hardware raises it, without the DPL check and without a bit in DR6. */
export function debugInterrupt(cpu: Cpu, site: CalloutSite): number {
  if (!cpu.state.code64) cpu.state.eip = site.nextEip;
  enter(cpu, Vector.DB, 'exception');
  cpu.state.count('exceptions');
  return 0;
}
