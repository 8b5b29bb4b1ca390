/**
 * Delivery of interrupts and exceptions through the IVT and the IDT, the double-fault rules and shutdown (SDM Vol. 3, chapter 6).
 *
 * `enter` carries out one delivery and throws (having changed nothing) what goes wrong on the way; `deliver` and `raise` combine such
 * failures as the architecture says until a handler has begun or the processor shuts down.
 */
import { PageFault } from '../mmu/types';
import type { Cpu } from './cpu';
import { Cr0, Flag, SystemType } from './bits';
import { describeType, fault, faultName, hex4, hex8, hexAddress, isCode, isConforming, isNull, markAccessed, parseDescriptor, readDescriptor, type Descriptor } from './descriptors';
import { enterDebugHandler } from './debug';
import { describeLongGate, enterLong } from './deliver-long';
import { combine, exceptions, generalProtection, GuestFault, selectorError, Vector, vectorName, type ExceptionClass } from './exceptions';
import { Segment } from './layout';
import { pushedFlags, type DeliveryKind } from './delivery-kind';
import { checkTarget, commitCode, commitStack, innerStack } from './rings';
import { checkPush, currentStack, pushValues } from './stack';
import { switchThroughGate } from './tasks';

export type { DeliveryKind };

export interface ChainEntry {
  readonly vector: number;
  readonly name: string;
  readonly errorCode?: number;
  readonly eip: number;
  readonly cs: number;
  readonly text: string;
}
export type DeliveryOutcome =
  /** The handler of `vector` runs: what was asked for, or a fault that its delivery raised. */
  | { readonly kind: 'delivered'; readonly vector: number; readonly errorCode?: number }
  /** Triple fault. `chain` and `gate` are the words for the post-mortem. */
  | { readonly kind: 'shutdown'; readonly chain: readonly ChainEntry[]; readonly gate: string };

export function raise(cpu: Cpu, thrown: GuestFault | PageFault): DeliveryOutcome {
  const vector = thrown instanceof PageFault ? Vector.PF : thrown.vector;
  if (thrown instanceof GuestFault && thrown.setsResumeFlag) cpu.state.systemFlags |= Flag.RF;
  return run(cpu, vector, 'exception', thrown.errorCode, thrown);
}

export function deliver(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode?: number): DeliveryOutcome {
  return run(cpu, vector, kind, errorCode, undefined);
}

function asFault(thrown: unknown): GuestFault {
  if (thrown instanceof GuestFault) return thrown;
  if (thrown instanceof PageFault) {
    const { linear, errorCode } = thrown;
    const access = errorCode & 0x10 ? 'fetching' : errorCode & 2 ? 'writing' : 'reading';
    const why = errorCode & 8 ? 'a reserved bit is set' : errorCode & 1 ? 'not permitted' : 'page not present';
    return new GuestFault(Vector.PF, errorCode, `${access} ${hexAddress(linear)} with ${errorCode & 4 ? 'user' : 'supervisor'} privilege: ${why}`, linear);
  }
  throw thrown;
}

/** One fault of the chain that ends in shutdown. */
function chainEntry({ state }: Cpu, vector: number, errorCode: number | undefined, text: string): ChainEntry {
  const cs = state.selector(Segment.CS);
  const where = `${hex4(cs).slice(2)}:${hexAddress(state.rip).slice(2)}`;
  return {
    vector, name: vectorName(vector), ...(errorCode !== undefined && { errorCode }), eip: state.rip, cs,
    text: `${faultName(vector, errorCode)} at ${where}: ${text}`,
  };
}

/** Delivers at the first try nearly always: words are found when a delivery fails. */
function run(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode: number | undefined, cause: GuestFault | PageFault | undefined): DeliveryOutcome {
  const { state } = cpu;
  if (cause?.linear !== undefined) state.cr2 = cause.linear;
  try {
    enterCounted(cpu, vector, kind, errorCode);
    return { kind: 'delivered', vector, errorCode };
  } catch (error) {
    const text = cause !== undefined ? asFault(cause).reason : kind === 'exception' ? exceptions[vector & 31].title : `${kind} interrupt`;
    return combineFaults(cpu, { vector, kind, errorCode, text }, asFault(error));
  }
}

interface Attempt {
  readonly vector: number;
  readonly kind: DeliveryKind;
  readonly errorCode: number | undefined;
  readonly text: string;
}

/** After a failed delivery. The loop ends: a delivery fails at most three times before the class of its fault leads to shutdown (table 6-5). */
function combineFaults(cpu: Cpu, first: Attempt, failure: GuestFault): DeliveryOutcome {
  const { state } = cpu;
  // A fault sets RF in what is pushed, and so it is in the image of the double fault that it leads to.
  if (first.kind === 'exception' && exceptions[first.vector & 31].type === 'fault') state.systemFlags |= Flag.RF;
  const chain: ChainEntry[] = [];
  const gates: string[] = [];
  let attempt = first;
  let next = failure;
  let pendingClass: ExceptionClass = first.kind === 'exception' && first.vector < 32 ? exceptions[first.vector].class : 'benign';
  for (;;) {
    if (next.linear !== undefined) state.cr2 = next.linear;
    chain.push(chainEntry(cpu, attempt.vector, attempt.errorCode, attempt.text));
    gates.push(describeGate(cpu, attempt.vector));
    const during = `while delivering ${faultName(attempt.vector, attempt.errorCode)}: ${next.reason}`;
    const nextClass = exceptions[next.vector].class;
    const outcome = combine(pendingClass, nextClass);
    if (outcome !== 'serial') chain.push(chainEntry(cpu, next.vector, next.errorCode, during));
    if (outcome === 'shutdown') return { kind: 'shutdown', chain, gate: gates.join('; ') };
    if (outcome === 'doubleFault') {
      attempt = { vector: Vector.DF, kind: 'exception', errorCode: 0, text: `${vectorName(next.vector)} while delivering ${vectorName(attempt.vector)}` };
      pendingClass = 'doubleFault';
    } else {
      attempt = { vector: next.vector, kind: 'exception', errorCode: next.errorCode, text: during };
      pendingClass = nextClass;
    }
    try {
      enterCounted(cpu, attempt.vector, attempt.kind, attempt.errorCode);
      return { kind: 'delivered', vector: attempt.vector, errorCode: attempt.errorCode };
    } catch (error) {
      next = asFault(error);
    }
  }
}

function enterCounted(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode: number | undefined): void {
  enter(cpu, vector, kind, errorCode);
  if (kind !== 'software') cpu.state.count(kind === 'external' ? 'interrupts' : 'exceptions');
}

/** One delivery. Throws GuestFault or PageFault with nothing changed (a task switch past its commit point excepted). */
export function enter(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode?: number): void {
  if (cpu.hooks.enterQuickly?.(vector, kind === 'software', pushedFlags(cpu, vector, kind), errorCode ?? -1)) {
    // Nothing out of the ordinary.
  } else if (cpu.state.longMode) enterLong(cpu, vector, kind, errorCode);
  else if (cpu.state.cr0 & Cr0.PE) enterProtected(cpu, vector, kind, errorCode);
  else enterReal(cpu, vector, kind);
  if (vector === Vector.DB && kind === 'exception') enterDebugHandler(cpu);
  cpu.state.interruptShadow = false;
}

function enterReal(cpu: Cpu, vector: number, kind: DeliveryKind): void {
  const { state, memory } = cpu;
  if (vector * 4 + 3 > state.idtrLimit) {
    throw generalProtection(vector * 8 + 2 + (kind === 'software' ? 0 : 1), `IVT entry ${vector} is beyond the limit ${hex4(state.idtrLimit)}`);
  }
  const entry = memory.read((state.idtrBase + vector * 4) >>> 0, 4, false);
  const stack = currentStack(cpu);
  checkPush(cpu, stack, 3, 2, 0);
  state.stackPointer = pushValues(cpu, stack, [pushedFlags(cpu, vector, kind), state.selector(Segment.CS), state.eip], 2);
  cpu.setFlags(state.eflags & ~(Flag.IF | Flag.TF | Flag.RF | Flag.AC));
  cpu.setRealModeSegment(Segment.CS, entry >>> 16);
  state.eip = entry & 0xffff;
}

function enterProtected(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode: number | undefined): void {
  const { state, memory } = cpu;
  const ext = kind === 'software' ? 0 : 1;
  const gateError = vector * 8 + 2 + ext;
  const name = `IDT entry ${vector}`;
  if (vector * 8 + 7 > state.idtrLimit) throw generalProtection(gateError, `${name} is beyond the limit ${hex4(state.idtrLimit)}`);
  const linear = (state.idtrBase + vector * 8) >>> 0;
  const gate = parseDescriptor(0, linear, memory.read(linear, 4, 'system'), memory.read((linear + 4) >>> 0, 4, 'system'));
  const type = gate.attributes & 0x1f;
  const isGate = type === SystemType.TaskGate || ((type & ~8) | 1) === SystemType.TrapGate16;
  if (!isGate) throw generalProtection(gateError, `${name} is ${describeType(gate.attributes)}`);
  if (kind === 'software' && gate.dpl < state.cpl) throw generalProtection(gateError, `${name} has DPL ${gate.dpl}, CPL is ${state.cpl}`);
  if (!gate.present) throw new GuestFault(Vector.NP, gateError, `${name} is not present`);
  if (type === SystemType.TaskGate) {
    switchThroughGate(cpu, gate, 'interrupt', ext, { flags: pushedFlags(cpu, vector, kind), errorCode });
    return;
  }

  const selector = gate.low >>> 16;
  if (isNull(selector)) throw generalProtection(ext, `${name} holds a null code selector`);
  const d = readDescriptor(cpu, selector, Vector.GP, ext);
  if (!isCode(d)) throw fault(Vector.GP, selector, ext, `in ${name} is ${describeType(d.attributes)}`);
  if (d.dpl > state.cpl) throw fault(Vector.GP, selector, ext, `in ${name} has DPL ${d.dpl}, CPL is ${state.cpl}`);
  if (!d.present) throw fault(Vector.NP, selector, ext, `in ${name} is not present`);
  if (state.systemFlags & Flag.VM && (isConforming(d) || d.dpl !== 0)) {
    throw fault(Vector.GP, selector, ext, `in ${name} would not run in ring 0, as a handler for virtual-8086 mode must`);
  }
  const bytes = type & 8 ? 4 : 2;
  const target = bytes === 4 ? ((gate.high & 0xffff0000) | (gate.low & 0xffff)) >>> 0 : gate.low & 0xffff;
  const frame = [pushedFlags(cpu, vector, kind), state.selector(Segment.CS), state.eip];
  if (errorCode !== undefined) frame.push(errorCode);
  if (!isConforming(d) && d.dpl < state.cpl) toInner(cpu, d, target, bytes, frame, ext);
  else toSame(cpu, d, target, bytes, frame, ext);
  state.systemFlags &= ~(Flag.TF | Flag.NT | Flag.RF | Flag.VM | (type & 1 ? 0 : Flag.IF)
    | (cpu.clearVirtualInterruptFlagOnEntry ? Flag.VIF | Flag.VIP : 0));
}

function toSame(cpu: Cpu, d: Descriptor, target: number, bytes: 2 | 4, frame: readonly number[], ext: 0 | 1): void {
  const stack = currentStack(cpu);
  checkPush(cpu, stack, frame.length, bytes, ext);
  checkTarget(cpu, d, target, ext);
  markAccessed(cpu, d);
  cpu.state.stackPointer = pushValues(cpu, stack, frame, bytes);
  commitCode(cpu, d, cpu.state.cpl, target);
}

/** The data segments of a virtual-8086 program, in the order in which they lie under SS. */
const virtualDataSegments = [Segment.GS, Segment.FS, Segment.DS, Segment.ES] as const;

function toInner(cpu: Cpu, d: Descriptor, target: number, bytes: 2 | 4, frame: readonly number[], ext: 0 | 1): void {
  const { state } = cpu;
  const fromVirtual = (state.systemFlags & Flag.VM) !== 0;
  const whole = [
    ...(fromVirtual ? virtualDataSegments.map((n) => state.selector(n)) : []),
    state.selector(Segment.SS), state.esp, ...frame,
  ];
  const inner = innerStack(cpu, d.dpl, ext);
  checkPush(cpu, inner.stack, whole.length, bytes, selectorError(inner.selector, ext));
  checkTarget(cpu, d, target, ext);
  markAccessed(cpu, d);
  markAccessed(cpu, inner.descriptor);
  const pointer = pushValues(cpu, inner.stack, whole, bytes);
  commitCode(cpu, d, d.dpl, target);
  commitStack(cpu, inner.selector, inner.descriptor, pointer);
  if (fromVirtual) {
    for (const n of virtualDataSegments) cpu.setNullSegment(n, 0);
    cpu.hooks.contextChanged();
  }
}

/** What stands at a vector's place in the IDT or IVT, in one sentence part. Never throws. */
export function describeGate(cpu: Cpu, vector: number): string {
  const { state, memory } = cpu;
  if (state.longMode) return describeLongGate(cpu, vector);
  const protectedMode = (state.cr0 & Cr0.PE) !== 0;
  const size = protectedMode ? 8 : 4;
  const linear = (state.idtrBase + vector * size) >>> 0;
  const name = `${protectedMode ? 'IDT' : 'IVT'} entry ${vector} at ${hex8(linear)}`;
  if (vector * size + size - 1 > state.idtrLimit) return `${name}: beyond the table's limit ${hex4(state.idtrLimit)}`;
  try {
    const low = memory.read(linear, 4, 'system');
    if (!protectedMode) return `${name}: ${hex4(low >>> 16).slice(2)}:${hex4(low).slice(2)}`;
    const gate = parseDescriptor(0, linear, low, memory.read((linear + 4) >>> 0, 4, 'system'));
    const target = gate.type & 8 ? ((gate.high & 0xffff0000) | (low & 0xffff)) >>> 0 : low & 0xffff;
    const presence = gate.present ? 'present' : 'not present';
    return `${name}: ${presence}, ${describeType(gate.attributes)}, DPL ${gate.dpl}, target ${hex4(low >>> 16).slice(2)}:${hex8(target).slice(2)}`;
  } catch (error) {
    if (error instanceof PageFault) return `${name}: its page cannot be read`;
    throw error;
  }
}
