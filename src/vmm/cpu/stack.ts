/** Frames on guest stacks: every byte of a frame is checked before the first one is written, so that the instruction can be restarted. */
import type { Cpu } from './cpu';
import { Attribute } from './bits';
import { GuestFault, Vector } from './exceptions';
import { Segment } from './layout';
import { limitAllows } from './state';

/** A stack that is, or is about to become, the current one. */
export interface Stack {
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
  readonly pointer: number;
  /** Accesses carry user privilege. */
  readonly user: boolean;
}

export function currentStack(cpu: Cpu): Stack {
  const { base, limit, attributes } = cpu.state.segment(Segment.SS);
  return { base, limit, attributes, pointer: cpu.state.stackPointer, user: cpu.state.cpl === 3 };
}

function pointerMask(attributes: number): number {
  return attributes & Attribute.DB ? 0xffffffff : 0xffff;
}

/** Throws #SS(errorCode) or a page fault unless `count` values of `bytes` bytes can be pushed. Changes nothing. */
export function checkPush(cpu: Cpu, stack: Stack, count: number, bytes: 2 | 4, errorCode: number): void {
  const mask = pointerMask(stack.attributes);
  let pointer = stack.pointer;
  for (let i = 0; i < count; i++) {
    pointer = ((pointer - bytes) & mask) >>> 0;
    if (!limitAllows(stack.attributes, stack.limit, pointer, bytes)) {
      throw new GuestFault(Vector.SS, errorCode, 'no room on the stack');
    }
    cpu.memory.probeWrite((stack.base + pointer) >>> 0, bytes, stack.user);
  }
}

/** Writes what {@link checkPush} allowed, first value deepest; the new stack pointer. */
export function pushValues(cpu: Cpu, stack: Stack, values: readonly number[], bytes: 2 | 4): number {
  const mask = pointerMask(stack.attributes);
  let pointer = stack.pointer;
  for (const value of values) {
    pointer = ((pointer - bytes) & mask) >>> 0;
    cpu.memory.write((stack.base + pointer) >>> 0, bytes, bytes === 2 ? value & 0xffff : value >>> 0, stack.user);
  }
  return pointer;
}

/** Value `skip` bytes above the top of the current stack; #SS(0) outside the segment. */
export function peek(cpu: Cpu, skip: number, bytes: 2 | 4): number {
  const { state } = cpu;
  const attributes = state.attributes(Segment.SS);
  const offset = ((state.stackPointer + skip) & pointerMask(attributes)) >>> 0;
  if (!limitAllows(attributes, state.limit(Segment.SS), offset, bytes)) {
    throw new GuestFault(Vector.SS, 0, 'the stack ends before the values to pop');
  }
  return cpu.memory.read(state.linear(Segment.SS, offset), bytes, state.cpl === 3);
}
