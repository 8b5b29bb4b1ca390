/**
 * Delivery of interrupts and exceptions in long mode (SDM Vol. 3, 6.14): gates of sixteen bytes to 64-bit code, frames of eight-byte slots
 * on an aligned stack, always with SS:RSP; stacks from the 64-bit TSS by level or by the gate's IST.
 */
import { canonicalNumber, PageFault } from '../mmu/types';
import type { Cpu } from './cpu';
import { Flag, SystemType } from './bits';
import { pushedFlags, type DeliveryKind } from './delivery-kind';
import {
  describeType, fault, hex4, hexAddress, isCode, isConforming, isNull, markAccessed, parseDescriptor, readDescriptor, type Descriptor,
} from './descriptors';
import { generalProtection, GuestFault, Vector } from './exceptions';
import { Segment } from './layout';
import { checkTarget, commitCode, commitLongLevel, interruptStackPointer, levelStackPointer, requireCode64 } from './rings';
import { checkPush, longStackOf, pushValues, wholeStackPointer, wideStack, type Stack, type StackValue } from './stack';

const GATE_BYTES = 16;

interface LongGate {
  readonly descriptor: Descriptor;
  readonly selector: number;
  /** A number of 48 bits, or -1 when it is not canonical. */
  readonly offset: number;
  /** 0: none. */
  readonly interruptStack: number;
}

function readGate(cpu: Cpu, linear: number): LongGate {
  const { state, memory } = cpu;
  const word = (at: number): number => memory.read(state.wrap(linear + at), 4, 'system');
  const descriptor = parseDescriptor(0, linear, word(0), word(4));
  return {
    descriptor,
    selector: descriptor.low >>> 16,
    offset: canonicalNumber(((descriptor.high & 0xffff0000) | (descriptor.low & 0xffff)) >>> 0, word(8)),
    interruptStack: descriptor.high & 7,
  };
}

/** RSP & ~15: the frame's first slot lies below it. */
function aligned(pointer: number): number {
  return pointer < 0 ? pointer : pointer - (pointer % 16);
}

/** One delivery. Throws GuestFault or PageFault with nothing changed. */
export function enterLong(cpu: Cpu, vector: number, kind: DeliveryKind, errorCode: number | undefined): void {
  const { state } = cpu;
  const ext = kind === 'software' ? 0 : 1;
  const gateError = vector * 8 + 2 + ext;
  const name = `IDT entry ${vector}`;
  if (vector * GATE_BYTES + GATE_BYTES - 1 > state.idtrLimit) throw generalProtection(gateError, `${name} is beyond the limit ${hex4(state.idtrLimit)}`);
  const { descriptor: gate, selector, offset, interruptStack } = readGate(cpu, state.wrap(state.idtrBase + vector * GATE_BYTES));
  const type = gate.attributes & 0x1f;
  if (type !== SystemType.InterruptGate32 && type !== SystemType.TrapGate32) {
    throw generalProtection(gateError, `${name} is ${describeType(gate.attributes)}, no 64-bit interrupt or trap gate`);
  }
  if (kind === 'software' && gate.dpl < state.cpl) throw generalProtection(gateError, `${name} has DPL ${gate.dpl}, CPL is ${state.cpl}`);
  if (!gate.present) throw new GuestFault(Vector.NP, gateError, `${name} is not present`);

  if (isNull(selector)) throw generalProtection(ext, `${name} holds a null code selector`);
  const d = readDescriptor(cpu, selector, Vector.GP, ext);
  if (!isCode(d)) throw fault(Vector.GP, selector, ext, `in ${name} is ${describeType(d.attributes)}`);
  if (d.dpl > state.cpl) throw fault(Vector.GP, selector, ext, `in ${name} has DPL ${d.dpl}, CPL is ${state.cpl}`);
  requireCode64(d, ext, name);
  if (!d.present) throw fault(Vector.NP, selector, ext, `in ${name} is not present`);

  const inner = !isConforming(d) && d.dpl < state.cpl;
  const cpl = inner ? d.dpl : state.cpl;
  const pointer = interruptStack !== 0 ? interruptStackPointer(cpu, interruptStack, ext)
    : inner ? levelStackPointer(cpu, d.dpl, ext) : longStackOf(cpu).pointer;
  const stack: Stack = wideStack(aligned(pointer), cpl);
  const frame: StackValue[] = [
    state.selector(Segment.SS), wholeStackPointer(cpu), pushedFlags(cpu, vector, kind), state.selector(Segment.CS), state.rip,
  ];
  if (errorCode !== undefined) frame.push(errorCode);
  checkPush(cpu, stack, frame.length, 8, ext);
  checkTarget(cpu, d, offset, ext);
  markAccessed(cpu, d);
  const top = pushValues(cpu, stack, frame, 8);
  if (inner) {
    commitLongLevel(cpu, d, cpl, offset, top);
  } else {
    commitCode(cpu, d, cpl, offset);
    state.setAddress64(4, top);
  }
  state.systemFlags &= ~(Flag.TF | Flag.NT | Flag.RF | Flag.VM | (type === SystemType.InterruptGate32 ? Flag.IF : 0)
    | (cpu.clearVirtualInterruptFlagOnEntry ? Flag.VIF | Flag.VIP : 0));
}

/** What stands at a vector's place in the IDT, in one sentence part. Never throws. */
export function describeLongGate(cpu: Cpu, vector: number): string {
  const { state } = cpu;
  const linear = state.wrap(state.idtrBase + vector * GATE_BYTES);
  const name = `IDT entry ${vector} at ${hexAddress(linear)}`;
  if (vector * GATE_BYTES + GATE_BYTES - 1 > state.idtrLimit) return `${name}: beyond the table's limit ${hex4(state.idtrLimit)}`;
  try {
    const { descriptor: gate, selector, offset, interruptStack } = readGate(cpu, linear);
    const target = offset < 0 ? 'an address that is not canonical' : hexAddress(offset).slice(2);
    const presence = gate.present ? 'present' : 'not present';
    const stack = interruptStack !== 0 ? `, IST ${interruptStack}` : '';
    return `${name}: ${presence}, ${describeType(gate.attributes)}, DPL ${gate.dpl}${stack}, target ${hex4(selector).slice(2)}:${target}`;
  } catch (error) {
    if (error instanceof PageFault) return `${name}: its page cannot be read`;
    throw error;
  }
}
