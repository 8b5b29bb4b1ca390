/**
 * The runtime's side of an instruction that threaded code does not execute in place. A row of the instruction table names a callout;
 * the engine resolves operands, makes EIP exact, and calls it.
 */
import type { Cpu } from './cpu';
import { farCall, farJump } from './far';
import { clearInterruptFlag, debugInterrupt, popFlags, pushFlagsValue, setInterruptFlag, softwareInterrupt } from './flags';
import { portCheck, portIn, portOut } from './ports';
import { farReturn, interruptReturn } from './returns';
import { lar, loadSegment, lsl, verr, verw } from './segments';
import {
  clts, cpuid, hlt, invd, invlpg, lgdt, lidt, lldt, lmsw, ltr, movFromCr, movFromDr, movToCr, movToDr, rdmsr, rdpmc, rdtsc, sysenter, sysexit,
  wbinvd, wrmsr,
} from './system';

/** What a callout knows about its instruction besides the values that the semantics passed. */
export interface CalloutSite {
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  /** EIP of the instruction and of the one behind it, truncated to the code size. */
  readonly eip: number;
  readonly nextEip: number;
}

/**
 * What an instruction's `callout(name, …)` runs. Values are i32: a callout takes them as unsigned where the manual does. EIP in the state
 * page is the next instruction's; transfers overwrite it. Faults are thrown (GuestFault, PageFault) with nothing changed; the engine then
 * takes EIP back to the instruction, unless `afterTaskSwitch` says that EIP is already another task's.
 */
export type Callout = (cpu: Cpu, site: CalloutSite, a: number, b: number, c: number) => number;

export const callouts = {
  // segments.ts
  loadSegment, verr, verw, lar, lsl,
  // far.ts, returns.ts
  farJump, farCall, farReturn, interruptReturn,
  // flags.ts
  setInterruptFlag, clearInterruptFlag, popFlags, pushFlagsValue, softwareInterrupt, debugTrap: debugInterrupt,
  // ports.ts
  portIn, portOut, portCheck,
  // system.ts
  lgdt, lidt, lldt, ltr, lmsw, clts, movToCr, movFromCr, movToDr, movFromDr, invlpg, wbinvd, invd, hlt, cpuid, rdmsr, wrmsr, rdpmc, rdtsc,
  sysenter, sysexit,
} as const satisfies Readonly<Record<string, Callout>>;

export type CalloutName = keyof typeof callouts;
