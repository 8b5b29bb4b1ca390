/** Far RET and IRET: real mode, same level, outer level, nested task, long mode (SDM Vol. 2, RET and IRET). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, Flag } from './bits';
import { commitSegment, describeType, fault, isCode, isConforming, isNull, isWritableData, markAccessed, readDescriptor, rpl, type Descriptor } from './descriptors';
import { generalProtection, Vector } from './exceptions';
import { checkRealTarget } from './far';
import { Segment } from './layout';
import { checkTarget, commitCode } from './rings';
import { dropInnerSegments } from './segments';
import { peek, peekAddress, peekWhole, setWholeStackPointer, slotBytes, type SlotBytes } from './stack';
import { returnToLinkedTask } from './tasks';
import { fromVirtualImage, hasVirtualFlags, isRestricted, returnToVirtual8086 } from './virtual8086';

/** Code segment to return to. */
function checkReturnCode(cpu: Cpu, selector: number): Descriptor {
  const { cpl } = cpu.state;
  if (isNull(selector)) throw generalProtection(0, 'far return to a null selector');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (!isCode(d)) throw fault(Vector.GP, selector, 0, `to return to is ${describeType(d.attributes)}`);
  if (rpl(selector) < cpl) throw fault(Vector.GP, selector, 0, `to return to has RPL ${rpl(selector)}, CPL is ${cpl}`);
  if (isConforming(d) ? d.dpl > rpl(selector) : d.dpl !== rpl(selector)) {
    throw fault(Vector.GP, selector, 0, `to return to has DPL ${d.dpl}, RPL is ${rpl(selector)}`);
  }
  if (!d.present) throw fault(Vector.NP, selector, 0, 'to return to is not present');
  return d;
}

/** Stack segment of the outer level `cpl`. */
function checkReturnStack(cpu: Cpu, selector: number, cpl: number): Descriptor {
  if (isNull(selector)) throw generalProtection(0, 'far return with a null stack selector');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (rpl(selector) !== cpl) throw fault(Vector.GP, selector, 0, `for the outer stack has RPL ${rpl(selector)}, the level is ${cpl}`);
  if (!isWritableData(d)) throw fault(Vector.GP, selector, 0, `for the outer stack is ${describeType(d.attributes)}`);
  if (d.dpl !== cpl) throw fault(Vector.GP, selector, 0, `for the outer stack has DPL ${d.dpl}, the level is ${cpl}`);
  if (!d.present) throw fault(Vector.SS, selector, 0, 'for the outer stack is not present');
  return d;
}

/** RET far; `release` further bytes are released, in both levels' stacks when the level changes. */
export function farReturn(cpu: Cpu, site: CalloutSite, release: number): number {
  const { state } = cpu;
  const popBytes = release & 0xffff;
  const bytes = slotBytes(site);
  const selector = peek(cpu, bytes, bytes) & 0xffff;
  const target = peekAddress(cpu, 0, bytes);
  if (!cpu.protectedMode) {
    checkRealTarget(cpu, target);
    cpu.setRealModeSegment(Segment.CS, selector);
    state.stackPointer = state.stackPointer + 2 * bytes + popBytes;
    state.eip = target;
    return 0;
  }
  const d = checkReturnCode(cpu, selector);
  if (rpl(selector) === state.cpl) {
    checkTarget(cpu, d, target, 0);
    markAccessed(cpu, d);
    releaseStack(cpu, 2 * bytes + popBytes);
    commitCode(cpu, d, state.cpl, target);
    return 0;
  }
  returnWithStack(cpu, d, target, bytes, 2 * bytes + popBytes, popBytes);
  return 0;
}

/** Pops on the stack of the code that is being left. */
function releaseStack({ state }: Cpu, bytes: number): void {
  state.stackPointer = state.code64 ? (state.stackPointer + bytes) % 2 ** 48 : state.stackPointer + bytes;
}

/** The stack pointer to return to stands `skip` bytes above the top, its segment behind it. */
function returnWithStack(cpu: Cpu, d: Descriptor, target: number, bytes: SlotBytes, skip: number, popBytes: number): void {
  const cpl = rpl(d.selector), outer = cpl !== cpu.state.cpl;
  const stackSelector = peek(cpu, skip + bytes, bytes) & 0xffff;
  const pointer = peekWhole(cpu, skip, bytes);
  // 64-bit code above level 3 needs no stack segment.
  const toLong = cpu.state.longMode && (d.attributes & Attribute.L) !== 0;
  const none = isNull(stackSelector) && toLong && cpl !== 3;
  const stack = none ? undefined : checkReturnStack(cpu, stackSelector, cpl);
  checkTarget(cpu, d, target, 0);
  markAccessed(cpu, d);
  if (stack) markAccessed(cpu, stack);
  commitCode(cpu, d, cpl, target);
  if (stack) commitSegment(cpu, Segment.SS, stackSelector, stack);
  else cpu.setNullSegment(Segment.SS, stackSelector);
  if (toLong) setWholeStackPointer(cpu, typeof pointer === 'number' ? (pointer + popBytes) % 2 ** 48 : pointer);
  else cpu.state.stackPointer = Number(BigInt.asUintN(32, BigInt(pointer))) + popBytes;
  if (outer) dropInnerSegments(cpu);
}

/** EFLAGS bits that IRET takes from the stack at this privilege (SDM Vol. 2, IRET, RETURN-TO-SAME-PRIVILEGE-LEVEL). */
export function interruptReturnMask(operandSize: number, cpl: number, iopl: number): number {
  let mask = Flag.Arithmetic | Flag.TF | Flag.DF | Flag.NT;
  if (operandSize !== 16) mask |= Flag.RF | Flag.AC | Flag.ID;
  if (cpl <= iopl) mask |= Flag.IF;
  if (cpl === 0) {
    mask |= Flag.IOPL;
    if (operandSize !== 16) mask |= Flag.VIF | Flag.VIP;
  }
  return mask;
}

export function interruptReturn(cpu: Cpu, site: CalloutSite): number {
  const { state } = cpu;
  // Also when it faults (SDM Vol. 3, 6.7.1).
  if (cpu.nmiBlocked) {
    cpu.nmiBlocked = false;
    cpu.hooks.nmiUnblocked();
  }
  const bytes = slotBytes(site);
  if (state.protectedMode && state.systemFlags & Flag.NT) {
    if (state.longMode) throw generalProtection(0, 'IRET with NT set: there are no nested tasks in long mode');
    returnToLinkedTask(cpu);
    return 0;
  }
  const virtualFlags = hasVirtualFlags(state, bytes);
  if (isRestricted(state) && !virtualFlags) throw generalProtection(0, 'IRET in virtual-8086 mode with IOPL below 3');
  const flags = peek(cpu, 2 * bytes, bytes);
  const selector = peek(cpu, bytes, bytes) & 0xffff;
  const target = peekAddress(cpu, 0, bytes);
  if (!state.protectedMode) {
    checkRealTarget(cpu, target);
    // In virtual-8086 mode IOPL is not the program's to change (SDM Vol. 2, IRET, RETURN-FROM-VIRTUAL-8086-MODE).
    const kept = (bytes === 2 ? 0xffff0000 : Flag.VIP | Flag.VIF | Flag.VM) | (state.systemFlags & Flag.VM ? Flag.IOPL : 0);
    const eflags = virtualFlags ? fromVirtualImage(state, flags, 'IRET') : (flags & ~kept) | (state.eflags & kept);
    cpu.setRealModeSegment(Segment.CS, selector);
    state.stackPointer = state.stackPointer + 3 * bytes;
    state.eip = target;
    cpu.setFlags(eflags);
    return 0;
  }
  const { cpl } = state;
  if (bytes === 4 && flags & Flag.VM && cpl === 0 && !state.longMode) {
    returnToVirtual8086(cpu);
    return 0;
  }
  const d = checkReturnCode(cpu, selector);
  const mask = interruptReturnMask(site.operandSize, cpl, state.iopl);
  const eflags = (flags & mask) | (state.eflags & ~mask);
  // 64-bit code returns with RSP and SS always.
  if (rpl(selector) === cpl && !state.code64) {
    checkTarget(cpu, d, target, 0);
    markAccessed(cpu, d);
    releaseStack(cpu, 3 * bytes);
    commitCode(cpu, d, cpl, target);
  } else {
    returnWithStack(cpu, d, target, bytes, 3 * bytes, 0);
  }
  cpu.setFlags(eflags);
  return 0;
}
