/** Debug exceptions: what DR7 enables, and what DR6 reports (SDM Vol. 3, 17.2 and 17.3). */
import type { Cpu } from './cpu';
import type { DeliveryOutcome } from './deliver';
import { Cr4, Dr6, Dr7 } from './bits';
import { GuestFault, Vector } from './exceptions';
import type { CpuState } from './state';

export type BreakpointKind = 'execute' | 'write' | 'io' | 'readWrite';

export interface EnabledBreakpoint {
  /** DRn and the bit of DR6. */
  readonly index: 0 | 1 | 2 | 3;
  readonly kind: BreakpointKind;
  /** Linear address (or port), aligned down to the length. */
  readonly address: number;
  readonly length: number;
}

const kinds: readonly BreakpointKind[] = ['execute', 'write', 'io', 'readWrite'];
/** LEN 10b is undefined before 64-bit processors, where it means 8. */
const lengths: readonly number[] = [1, 2, 8, 4];

/** Breakpoints that DR7 enables, locally or globally; I/O breakpoints exist only with CR4.DE, instruction breakpoints only with LEN 0. */
export function enabledBreakpoints(state: CpuState): EnabledBreakpoint[] {
  const dr7 = state.dr(7);
  const result: EnabledBreakpoint[] = [];
  for (const index of [0, 1, 2, 3] as const) {
    if (!((dr7 >>> (2 * index)) & 3)) continue;
    const kind = kinds[(dr7 >>> (16 + 4 * index)) & 3];
    const length = lengths[(dr7 >>> (18 + 4 * index)) & 3];
    if (kind === 'io' && !(state.cr4 & Cr4.DE)) continue;
    if (kind === 'execute' && length !== 1) continue;
    const address = state.dr(index);
    // No access has an address that is not canonical.
    if (address >= 0) result.push({ index, kind, length, address: address - (address % length) });
  }
  return result;
}

/** DR6 bits of the enabled breakpoints of the given kinds that an access of `bytes` bytes at `address` touches. */
export function matchingBreakpoints(state: CpuState, address: number, bytes: number, ...wanted: BreakpointKind[]): number {
  if (!(state.dr(7) & 0xff)) return 0;
  let bits = 0;
  for (const b of enabledBreakpoints(state)) {
    if (wanted.includes(b.kind) && address < b.address + b.length && b.address < address + bytes) bits |= 1 << b.index;
  }
  return bits;
}

/** Records `bits` in DR6; the processor never clears them. */
function report(state: CpuState, bits: number): void {
  state.setDr(6, state.dr(6) | bits);
}

/** #DB as a fault (instruction breakpoints, general detect), to be thrown or raised. Of the two, RF is pushed as 1 by general detect. */
export function debugFault(cpu: Cpu, bits: number, reason: string): GuestFault {
  report(cpu.state, bits);
  return new GuestFault(Vector.DB, undefined, reason, undefined, false, (bits & Dr6.BD) !== 0);
}

/** #DB as a trap behind an instruction (single step, data, I/O, task switch). EIP is already the next instruction's. */
export function debugTrap(cpu: Cpu, bits: number): DeliveryOutcome {
  report(cpu.state, bits | cpu.pendingDebug);
  cpu.pendingDebug = 0;
  return cpu.deliver(Vector.DB, 'exception');
}

/** Single step: DR6.BS. */
export const SINGLE_STEP: number = Dr6.BS;

/** Entering the debug handler turns general detection off, so that the handler can reach the registers. */
export function enterDebugHandler(cpu: Cpu): void {
  const dr7 = cpu.state.dr(7);
  if (!(dr7 & Dr7.GD)) return;
  cpu.state.setDr(7, dr7 & ~Dr7.GD);
  cpu.hooks.debugRegistersChanged();
}
