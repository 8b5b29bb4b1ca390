/** Far RET and IRET: real mode, same level, outer level, nested task (SDM Vol. 2, RET and IRET). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Flag } from './bits';
import { describeType, fault, isCode, isConforming, isNull, isWritableData, markAccessed, readDescriptor, rpl, type Descriptor } from './descriptors';
import { generalProtection, Vector } from './exceptions';
import { checkRealTarget } from './far';
import { Segment } from './layout';
import { checkTarget, commitCode, commitStack } from './rings';
import { dropInnerSegments } from './segments';
import { peek } from './stack';
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
  const bytes = site.operandSize === 16 ? 2 : 4;
  const selector = peek(cpu, bytes, bytes) & 0xffff;
  const target = peek(cpu, 0, bytes);
  if (!cpu.protectedMode) {
    checkRealTarget(cpu, target);
    cpu.setRealModeSegment(Segment.CS, selector);
    state.stackPointer = state.stackPointer + 2 * bytes + popBytes;
    state.eip = target;
    return 0;
  }
  const d = checkReturnCode(cpu, selector);
  if (rpl(selector) === state.cpl) {
    checkTarget(d, target, 0);
    markAccessed(cpu, d);
    state.stackPointer = state.stackPointer + 2 * bytes + popBytes;
    commitCode(cpu, d, state.cpl, target);
    return 0;
  }
  returnOuter(cpu, d, target, bytes, 2 * bytes + popBytes, popBytes);
  return 0;
}

/** The outer stack pointer stands `skip` bytes above the top, its segment behind it. */
function returnOuter(cpu: Cpu, d: Descriptor, target: number, bytes: 2 | 4, skip: number, popBytes: number): void {
  const cpl = rpl(d.selector);
  const stackSelector = peek(cpu, skip + bytes, bytes) & 0xffff;
  const pointer = peek(cpu, skip, bytes);
  const stack = checkReturnStack(cpu, stackSelector, cpl);
  checkTarget(d, target, 0);
  markAccessed(cpu, d);
  markAccessed(cpu, stack);
  commitCode(cpu, d, cpl, target);
  commitStack(cpu, stackSelector, stack, pointer + popBytes);
  dropInnerSegments(cpu);
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
  const bytes = site.operandSize === 16 ? 2 : 4;
  if (state.protectedMode && state.systemFlags & Flag.NT) {
    returnToLinkedTask(cpu);
    return 0;
  }
  const virtualFlags = hasVirtualFlags(state, bytes);
  if (isRestricted(state) && !virtualFlags) throw generalProtection(0, 'IRET in virtual-8086 mode with IOPL below 3');
  const flags = peek(cpu, 2 * bytes, bytes);
  const selector = peek(cpu, bytes, bytes) & 0xffff;
  const target = peek(cpu, 0, bytes);
  if (!state.protectedMode) {
    checkRealTarget(cpu, target);
    // In virtual-8086 mode IOPL is not the program's to change (SDM Vol. 2, IRET, RETURN-FROM-VIRTUAL-8086-MODE).
    const kept = (bytes === 2 ? 0xffff0000 : Flag.VIP | Flag.VIF | Flag.VM) | (state.systemFlags & Flag.VM ? Flag.IOPL : 0);
    const eflags = virtualFlags ? fromVirtualImage(state, flags, 'IRET') : (flags & ~kept) | (state.eflags & kept);
    cpu.setRealModeSegment(Segment.CS, selector);
    state.stackPointer = state.stackPointer + 3 * bytes;
    state.eip = target;
    state.eflags = eflags;
    return 0;
  }
  const { cpl } = state;
  if (bytes === 4 && flags & Flag.VM && cpl === 0) {
    returnToVirtual8086(cpu);
    return 0;
  }
  const d = checkReturnCode(cpu, selector);
  const mask = interruptReturnMask(site.operandSize, cpl, state.iopl);
  const eflags = (flags & mask) | (state.eflags & ~mask);
  if (rpl(selector) === cpl) {
    checkTarget(d, target, 0);
    markAccessed(cpu, d);
    state.stackPointer = state.stackPointer + 3 * bytes;
    commitCode(cpu, d, cpl, target);
  } else {
    returnOuter(cpu, d, target, bytes, 3 * bytes, 0);
  }
  state.eflags = eflags;
  return 0;
}
