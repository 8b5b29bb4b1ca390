/** What transfers between privilege levels share: the inner stack from the TSS, and committing a code segment with its CPL. */
import { canonicalNumber } from '../mmu/types';
import type { Cpu } from './cpu';
import { Attribute } from './bits';
import { commitSegment, describeType, fault, isNull, isWritableData, readDescriptor, rpl, type Descriptor } from './descriptors';
import { generalProtection, GuestFault, selectorError, Vector } from './exceptions';
import { Segment } from './layout';
import type { Stack } from './stack';

export interface InnerStack {
  readonly selector: number;
  readonly descriptor: Descriptor;
  readonly stack: Stack;
}

/** Whether TR holds a 32-bit TSS (available and busy differ in bit 1 only). */
export function tssIs32(cpu: Cpu): boolean {
  return (cpu.state.attributes(Segment.TR) & 8) !== 0;
}

/** Stack pointer and checked stack segment for level `dpl` from the current TSS (SDM, CALL and INT n pseudocode). */
export function innerStack(cpu: Cpu, dpl: number, ext: 0 | 1): InnerStack {
  const { state, memory } = cpu;
  const wide = tssIs32(cpu);
  const at = wide ? dpl * 8 + 4 : dpl * 4 + 2;
  if (state.attributes(Segment.TR) & Attribute.Unusable || at + (wide ? 5 : 3) > state.limit(Segment.TR)) {
    throw fault(Vector.TS, state.selector(Segment.TR), ext, `(TSS) is too short for the stack of level ${dpl}`);
  }
  const address = state.linear(Segment.TR, at);
  const pointer = memory.read(address, wide ? 4 : 2, 'system');
  const selector = memory.read((address + (wide ? 4 : 2)) >>> 0, 2, 'system');
  if (isNull(selector)) throw new GuestFault(Vector.TS, selectorError(selector, ext), `the TSS has a null stack selector for level ${dpl}`);
  const d = readDescriptor(cpu, selector, Vector.TS, ext);
  if (rpl(selector) !== dpl) throw fault(Vector.TS, selector, ext, `(stack of level ${dpl}) has RPL ${rpl(selector)}`);
  if (d.dpl !== dpl) throw fault(Vector.TS, selector, ext, `(stack of level ${dpl}) has DPL ${d.dpl}`);
  if (!isWritableData(d)) throw fault(Vector.TS, selector, ext, `(stack of level ${dpl}) is ${describeType(d.attributes)}`);
  if (!d.present) throw fault(Vector.SS, selector, ext, `(stack of level ${dpl}) is not present`);
  return {
    selector, descriptor: d,
    stack: {
      base: d.base, limit: d.limit, attributes: d.attributes, user: dpl === 3,
      pointer: d.attributes & Attribute.DB ? pointer : pointer & 0xffff, wide: false,
    },
  };
}

/** Loads SS:eSP of the new level; call after everything that can fault. */
export function commitStack(cpu: Cpu, selector: number, d: Descriptor, pointer: number): void {
  commitSegment(cpu, Segment.SS, selector, d);
  cpu.state.stackPointer = pointer;
}

/** Loads CS:RIP with CPL (and CS.RPL) = `cpl`; everything has been checked. */
export function commitCode(cpu: Cpu, d: Descriptor, cpl: number, rip: number): void {
  commitSegment(cpu, Segment.CS, (d.selector & 0xfffc) | cpl, d);
  cpu.setCpl(cpl);
  cpu.state.rip = rip;
}

/**
 * #GP unless a far transfer may go to `offset` in the code segment: beyond its limit, or in long mode for 64-bit code, not canonical (-1).
 * L and D together are no code segment there.
 */
export function checkTarget(cpu: Cpu, d: Descriptor, offset: number, ext: 0 | 1): void {
  if (cpu.state.longMode && d.attributes & Attribute.L) {
    if (d.attributes & Attribute.DB) throw fault(Vector.GP, d.selector, ext, 'is a code segment with both L and D set');
    if (offset < 0) throw generalProtection(ext, 'the target address is not canonical');
  } else if (offset < 0 || offset > d.limit) {
    throw generalProtection(ext, 'the target offset is beyond the limit of the code segment');
  }
}

/** #GP(selector) unless the descriptor is of 64-bit code: where gates lead to in long mode. */
export function requireCode64(d: Descriptor, ext: 0 | 1, where: string): void {
  if ((d.attributes & (Attribute.L | Attribute.DB)) !== Attribute.L) throw fault(Vector.GP, d.selector, ext, `in ${where} is no 64-bit code segment`);
}

/** A pointer from the 64-bit TSS, -1 when it is not canonical; #TS when the TSS ends before it (SDM Vol. 3, 7.7). */
function longTssPointer(cpu: Cpu, at: number, ext: 0 | 1): number {
  const { state, memory } = cpu;
  if (at + 7 > state.limit(Segment.TR)) throw fault(Vector.TS, state.selector(Segment.TR), ext, '(TSS) is too short for the stack pointer');
  return canonicalNumber(memory.read(state.linear(Segment.TR, at), 4, 'system'), memory.read(state.linear(Segment.TR, at + 4), 4, 'system'));
}

/** RSP0–RSP2. */
export function levelStackPointer(cpu: Cpu, dpl: number, ext: 0 | 1): number {
  return longTssPointer(cpu, 4 + 8 * dpl, ext);
}
/** IST1–IST7. */
export function interruptStackPointer(cpu: Cpu, n: number, ext: 0 | 1): number {
  return longTssPointer(cpu, 0x1c + 8 * n, ext);
}

/** Enters 64-bit code of another level on its stack: SS becomes null with the level as its RPL. */
export function commitLongLevel(cpu: Cpu, d: Descriptor, cpl: number, rip: number, pointer: number): void {
  commitCode(cpu, d, cpl, rip);
  cpu.setNullSegment(Segment.SS, cpl);
  cpu.state.setAddress64(4, pointer);
}
