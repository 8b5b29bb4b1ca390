/**
 * Virtual-8086 mode: entering it, software interrupts inside it, and the flags that CR4.VME and CR4.PVI virtualize (SDM Vol. 3, chapter 20).
 * How interrupts leave it stands with the other deliveries in deliver.ts.
 */
import type { Cpu } from './cpu';
import { Attribute, Cr4, Flag } from './bits';
import { generalProtection } from './exceptions';
import { Segment } from './layout';
import { tssIs32 } from './rings';
import { checkPush, currentStack, peek, pushValues } from './stack';
import type { CpuState } from './state';

/** The TSS's word that locates the I/O permission bitmap; the interrupt redirection bitmap is the 32 bytes below that. */
const IO_MAP_BASE = 0x66;
const REDIRECTION_BYTES = 32;

/** In virtual-8086 mode with IOPL below 3: the instructions that reach IF fault unless CR4.VME gives them VIF. */
export function isRestricted(state: CpuState): boolean {
  return (state.systemFlags & Flag.VM) !== 0 && state.iopl < 3;
}

/** PUSHF, POPF and IRET act on VIF in place of IF, in their 16-bit forms; the 32-bit ones would show the real flags and fault. */
export function hasVirtualFlags(state: CpuState, bytes: number): boolean {
  return isRestricted(state) && (state.cr4 & Cr4.VME) !== 0 && bytes === 2;
}

/** CLI and STI act on VIF in place of IF: with VME in virtual-8086 mode, with PVI in ring 3 of protected mode. */
export function hasVirtualInterruptFlag(state: CpuState): boolean {
  if (state.cpl !== 3 || state.iopl === 3) return false;
  return (state.cr4 & (state.systemFlags & Flag.VM ? Cr4.VME : Cr4.PVI)) !== 0;
}

/** The 16-bit image that a virtual-8086 program sees: VIF as IF, and IOPL 3 as if it owned the machine. */
export function virtualImage(state: CpuState): number {
  return (state.eflags & 0xffff & ~Flag.IF) | (state.systemFlags & Flag.VIF ? Flag.IF : 0) | Flag.IOPL;
}

/** What POPF and IRET make of a popped 16-bit image under VME: IF goes to VIF; IF, IOPL and the upper half stay. */
export function fromVirtualImage(state: CpuState, image: number, name: string): number {
  if (image & Flag.TF) throw generalProtection(0, `${name} sets TF in virtual-8086 mode with IOPL below 3`);
  if (image & Flag.IF && state.systemFlags & Flag.VIP) throw generalProtection(0, `${name} sets VIF while an interrupt is pending (VIP)`);
  const taken = Flag.Arithmetic | Flag.DF | Flag.NT | Flag.TF;
  return (image & taken) | (image & Flag.IF ? Flag.VIF : 0) | (state.eflags & ~(taken | Flag.VIF));
}

/** ES CS SS DS FS GS as an 8086 would have them; EFLAGS.VM is already set. */
export function loadVirtualSegments(cpu: Cpu, selectors: readonly number[]): void {
  for (let n = Segment.ES; n <= Segment.GS; n++) cpu.setRealModeSegment(n, selectors[n]);
  cpu.hooks.contextChanged();
}

/** IRETD at CPL 0 with VM set in the image: EIP CS EFLAGS ESP SS ES DS FS GS. */
export function returnToVirtual8086(cpu: Cpu): void {
  const { state } = cpu;
  const [eip, cs, eflags, esp, ss, es, ds, fs, gs] = Array.from({ length: 9 }, (_, n) => peek(cpu, 4 * n, 4));
  if (eip > 0xffff) throw generalProtection(0, 'IRET to virtual-8086 mode with EIP beyond 64 KiB');
  state.eflags = eflags;
  loadVirtualSegments(cpu, [es, cs, ss, ds, fs, gs]);
  state.set32(4, esp);
  state.eip = eip;
  cpu.setCpl(3);
}

/** The vector's bit in the interrupt redirection bitmap of the TSS. Clear: the 8086 program handles the interrupt itself. */
function isForMonitor(cpu: Cpu, vector: number): boolean {
  const { state, memory } = cpu;
  const limit = state.limit(Segment.TR);
  if (!tssIs32(cpu) || state.attributes(Segment.TR) & Attribute.Unusable || limit < IO_MAP_BASE + 1) {
    throw generalProtection(0, 'the TSS has no interrupt redirection bitmap');
  }
  const at = memory.read(state.linear(Segment.TR, IO_MAP_BASE), 2, 'system') - REDIRECTION_BYTES + (vector >>> 3);
  if (at < 0 || at > limit) throw generalProtection(0, `the TSS's interrupt redirection bitmap lies outside of it for vector ${vector}`);
  return (memory.read(state.linear(Segment.TR, at), 1, 'system') & (1 << (vector & 7))) !== 0;
}

/**
 * INT n in virtual-8086 mode (SDM Vol. 3, table 20-2). True when the interrupt went through the 8086 program's own table at linear 0; false
 * when it is to go through the IDT. EIP is already behind the instruction.
 */
export function redirectInterrupt(cpu: Cpu, vector: number): boolean {
  const { state, memory } = cpu;
  if (!(state.cr4 & Cr4.VME) || isForMonitor(cpu, vector)) {
    if (state.iopl < 3) throw generalProtection(0, `INT ${vector} in virtual-8086 mode with IOPL below 3`);
    return false;
  }
  const entry = memory.read(vector * 4, 4, false);
  const stack = currentStack(cpu);
  checkPush(cpu, stack, 3, 2, 0);
  const restricted = state.iopl < 3;
  const flags = restricted ? virtualImage(state) : state.eflags;
  state.stackPointer = pushValues(cpu, stack, [flags, state.selector(Segment.CS), state.eip], 2);
  state.systemFlags &= ~(Flag.TF | Flag.RF | (restricted ? Flag.VIF : Flag.IF));
  cpu.setRealModeSegment(Segment.CS, entry >>> 16);
  state.eip = entry & 0xffff;
  return true;
}
