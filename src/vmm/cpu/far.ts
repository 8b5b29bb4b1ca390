/**
 * Far JMP and CALL: real mode, code segments, call gates; TSS descriptors and task gates go on in tasks.ts (SDM Vol. 2, CALL and JMP). In long
 * mode call gates are 64-bit ones and lead to 64-bit code, and there are no task switches.
 */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { SystemType } from './bits';
import {
  describeType, fault, isCode, isConforming, isNull, isSegment, markAccessed, readDescriptor, readSystemDescriptor, rpl, type Descriptor,
} from './descriptors';
import { generalProtection, selectorError, Vector } from './exceptions';
import { Segment } from './layout';
import { checkTarget, commitCode, commitLongLevel, commitStack, innerStack, levelStackPointer, requireCode64 } from './rings';
import { checkPush, currentStack, longStackOf, peek, pushValues, slotBytes, wholeStackPointer, wideStack, type SlotBytes } from './stack';
import { switchThroughGate, switchToTss } from './tasks';

type Transfer = 'jump' | 'call';

/** Real mode and virtual-8086 mode: the new base is selector * 16, limits are those that CS has. */
export function checkRealTarget(cpu: Cpu, offset: number): void {
  if (offset > cpu.state.limit(Segment.CS)) throw generalProtection(0, 'the target offset is beyond the limit of CS');
}

export function farJump(cpu: Cpu, site: CalloutSite, selector: number, offset: number): number {
  return transfer(cpu, site, 'jump', selector & 0xffff, offset);
}
/** Pushes CS and the next instruction's EIP in the operand size (through a gate: the gate's size). */
export function farCall(cpu: Cpu, site: CalloutSite, selector: number, offset: number): number {
  return transfer(cpu, site, 'call', selector & 0xffff, offset);
}

function transfer(cpu: Cpu, site: CalloutSite, kind: Transfer, selector: number, offset: number): number {
  const { state } = cpu;
  const target = site.operandSize === 16 ? offset & 0xffff : site.operandSize === 32 ? offset >>> 0 : state.wideAddress(1);
  const bytes = slotBytes(site);
  if (!cpu.protectedMode) {
    const stack = currentStack(cpu);
    if (kind === 'call') checkPush(cpu, stack, 2, bytes, 0);
    checkRealTarget(cpu, target);
    if (kind === 'call') state.stackPointer = pushValues(cpu, stack, [state.selector(Segment.CS), site.nextEip], bytes);
    cpu.setRealModeSegment(Segment.CS, selector);
    state.eip = target;
    return 0;
  }
  if (isNull(selector)) throw generalProtection(0, `far ${kind} to a null selector`);
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (isSegment(d)) {
    toSegment(cpu, site, kind, selector, d, target, bytes);
    return 0;
  }
  if (state.longMode) {
    if (d.type !== SystemType.CallGate32) throw fault(Vector.GP, selector, 0, `is ${describeType(d.attributes)}: no target for a far ${kind} in long mode`);
    throughLongGate(cpu, kind, selector, d);
    return 0;
  }
  switch (d.type) {
    case SystemType.CallGate16: case SystemType.CallGate32:
      throughCallGate(cpu, site, kind, selector, d);
      return 0;
    case SystemType.TaskGate:
      checkGateAccess(cpu, selector, d);
      if (!d.present) throw fault(Vector.NP, selector, 0, '(task gate) is not present');
      switchThroughGate(cpu, d, kind, 0);
      return 0;
    case SystemType.TssAvailable16: case SystemType.TssAvailable32:
      checkGateAccess(cpu, selector, d);
      if (!d.present) throw fault(Vector.NP, selector, 0, '(TSS) is not present');
      switchToTss(cpu, selector, d, kind, 0);
      return 0;
    default:
      throw fault(Vector.GP, selector, 0, `is ${describeType(d.attributes)}: no target for a far ${kind}`);
  }
}

function toSegment(cpu: Cpu, site: CalloutSite, kind: Transfer, selector: number, d: Descriptor, target: number, bytes: SlotBytes): void {
  const { state } = cpu;
  const { cpl } = state;
  if (!isCode(d)) throw fault(Vector.GP, selector, 0, `is ${describeType(d.attributes)}: no target for a far ${kind}`);
  if (isConforming(d)) {
    if (d.dpl > cpl) throw fault(Vector.GP, selector, 0, `is conforming with DPL ${d.dpl}, CPL is ${cpl}`);
  } else if (rpl(selector) > cpl || d.dpl !== cpl) {
    throw fault(Vector.GP, selector, 0, `has DPL ${d.dpl} and RPL ${rpl(selector)}, CPL is ${cpl}`);
  }
  if (!d.present) throw fault(Vector.NP, selector, 0, 'is not present');
  const stack = currentStack(cpu);
  if (kind === 'call') checkPush(cpu, stack, 2, bytes, 0);
  checkTarget(cpu, d, target, 0);
  markAccessed(cpu, d);
  if (kind === 'call') state.stackPointer = pushValues(cpu, stack, [state.selector(Segment.CS), returnAddress(cpu, site)], bytes);
  commitCode(cpu, d, cpl, target);
}

/** What a far call pushes: in 64-bit code RIP is behind the instruction already. */
function returnAddress({ state }: Cpu, site: CalloutSite): number {
  return state.code64 ? state.rip : site.nextEip;
}

/** Gates and TSS descriptors are reached through their own DPL. */
function checkGateAccess(cpu: Cpu, selector: number, gate: Descriptor): void {
  const { cpl } = cpu.state;
  if (gate.dpl < cpl || gate.dpl < rpl(selector)) {
    throw fault(Vector.GP, selector, 0, `is ${describeType(gate.attributes)} with DPL ${gate.dpl}, CPL is ${cpl} and RPL ${rpl(selector)}`);
  }
}

function throughCallGate(cpu: Cpu, site: CalloutSite, kind: Transfer, selector: number, gate: Descriptor): void {
  const { cpl } = cpu.state;
  checkGateAccess(cpu, selector, gate);
  if (!gate.present) throw fault(Vector.NP, selector, 0, '(call gate) is not present');
  const codeSelector = gate.low >>> 16;
  if (isNull(codeSelector)) throw generalProtection(0, 'the call gate holds a null code selector');
  const d = readDescriptor(cpu, codeSelector, Vector.GP, 0);
  if (!isCode(d)) throw fault(Vector.GP, codeSelector, 0, `in a call gate is ${describeType(d.attributes)}`);
  const sameLevelOnly = kind === 'jump' && !isConforming(d);
  if (d.dpl > cpl || (sameLevelOnly && d.dpl !== cpl)) {
    throw fault(Vector.GP, codeSelector, 0, `in a call gate has DPL ${d.dpl}, CPL is ${cpl}`);
  }
  if (!d.present) throw fault(Vector.NP, codeSelector, 0, 'in a call gate is not present');
  const wide = gate.type === SystemType.CallGate32;
  const target = wide ? ((gate.high & 0xffff0000) | (gate.low & 0xffff)) >>> 0 : gate.low & 0xffff;
  if (kind === 'jump') {
    checkTarget(cpu, d, target, 0);
    markAccessed(cpu, d);
    commitCode(cpu, d, cpl, target);
  } else if (!isConforming(d) && d.dpl < cpl) {
    callInner(cpu, site, d, target, wide ? 4 : 2, gate.high & 31);
  } else {
    callSame(cpu, site, d, target, wide ? 4 : 2);
  }
}

/** A 64-bit call gate: frames of eight bytes, no parameters, and RSPn with a null SS for an inner level. */
function throughLongGate(cpu: Cpu, kind: Transfer, selector: number, gate: Descriptor): void {
  const { state } = cpu;
  const { cpl } = state;
  checkGateAccess(cpu, selector, gate);
  const { offset } = readSystemDescriptor(cpu, gate);
  if (!gate.present) throw fault(Vector.NP, selector, 0, '(call gate) is not present');
  const codeSelector = gate.low >>> 16;
  if (isNull(codeSelector)) throw generalProtection(0, 'the call gate holds a null code selector');
  const d = readDescriptor(cpu, codeSelector, Vector.GP, 0);
  if (!isCode(d)) throw fault(Vector.GP, codeSelector, 0, `in a call gate is ${describeType(d.attributes)}`);
  if (d.dpl > cpl || (kind === 'jump' && !isConforming(d) && d.dpl !== cpl)) {
    throw fault(Vector.GP, codeSelector, 0, `in a call gate has DPL ${d.dpl}, CPL is ${cpl}`);
  }
  requireCode64(d, 0, 'a call gate');
  if (!d.present) throw fault(Vector.NP, codeSelector, 0, 'in a call gate is not present');
  checkTarget(cpu, d, offset, 0);
  if (kind === 'jump') {
    markAccessed(cpu, d);
    commitCode(cpu, d, cpl, offset);
    return;
  }
  const frame = [state.selector(Segment.CS), state.rip];
  if (isConforming(d) || d.dpl === cpl) {
    const stack = longStackOf(cpu);
    checkPush(cpu, stack, 2, 8, 0);
    markAccessed(cpu, d);
    const pointer = pushValues(cpu, stack, frame, 8);
    commitCode(cpu, d, cpl, offset);
    state.setAddress64(4, pointer);
    return;
  }
  const inner = wideStack(levelStackPointer(cpu, d.dpl, 0), d.dpl);
  checkPush(cpu, inner, 4, 8, 0);
  markAccessed(cpu, d);
  const pointer = pushValues(cpu, inner, [state.selector(Segment.SS), wholeStackPointer(cpu), ...frame], 8);
  commitLongLevel(cpu, d, d.dpl, offset, pointer);
}

function callSame(cpu: Cpu, site: CalloutSite, d: Descriptor, target: number, bytes: 2 | 4): void {
  const { state } = cpu;
  const stack = currentStack(cpu);
  checkPush(cpu, stack, 2, bytes, 0);
  checkTarget(cpu, d, target, 0);
  markAccessed(cpu, d);
  state.stackPointer = pushValues(cpu, stack, [state.selector(Segment.CS), site.nextEip], bytes);
  commitCode(cpu, d, state.cpl, target);
}

/** More privilege: the inner stack receives SS:eSP, a copy of the parameters, and the return address. */
function callInner(cpu: Cpu, site: CalloutSite, d: Descriptor, target: number, bytes: 2 | 4, parameters: number): void {
  const { state } = cpu;
  const inner = innerStack(cpu, d.dpl, 0);
  checkPush(cpu, inner.stack, 4 + parameters, bytes, selectorError(inner.selector));
  checkTarget(cpu, d, target, 0);
  const values = [state.selector(Segment.SS), state.esp];
  for (let i = parameters - 1; i >= 0; i--) values.push(peek(cpu, i * bytes, bytes));
  values.push(state.selector(Segment.CS), site.nextEip);
  markAccessed(cpu, d);
  markAccessed(cpu, inner.descriptor);
  const pointer = pushValues(cpu, inner.stack, values, bytes);
  commitCode(cpu, d, d.dpl, target);
  commitStack(cpu, inner.selector, inner.descriptor, pointer);
}

