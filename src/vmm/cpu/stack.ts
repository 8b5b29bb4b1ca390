/** Frames on guest stacks: every byte of a frame is checked before the first one is written, so that the instruction can be restarted. */
import { canonicalNumber, highHalf } from '../mmu/types';
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute } from './bits';
import { GuestFault, Vector } from './exceptions';
import { GPR, Segment } from './layout';
import { limitAllows } from './state';

/** A stack that is, or is about to become, the current one. */
export interface Stack {
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
  /** With `wide` a number of 48 bits, or -1 for RSP that is not canonical. */
  readonly pointer: number;
  /** Accesses carry user privilege. */
  readonly user: boolean;
  /** 64-bit code's: RSP alone counts. */
  readonly wide: boolean;
}

/** Of 8 bytes, a number stands for an address of 48 bits: bit 47 is extended. */
export type StackValue = number | bigint;
export type SlotBytes = 2 | 4 | 8;

export function currentStack(cpu: Cpu): Stack {
  const { state } = cpu;
  const wide = state.code64;
  return {
    base: wide ? 0 : state.base(Segment.SS), limit: state.limit(Segment.SS), attributes: state.attributes(Segment.SS),
    pointer: state.stackPointer, user: state.cpl === 3, wide,
  };
}

/** A 64-bit stack of level `cpl` whose pointer has been checked. */
export function wideStack(pointer: number, cpl: number): Stack {
  return { base: 0, limit: 0, attributes: 0, pointer, user: cpl === 3, wide: true };
}

/** The current stack as 64-bit code sees it, which a frame of eight-byte slots is pushed on: outside 64-bit code RSP is what ESP is. */
export function longStackOf(cpu: Cpu): Stack {
  return wideStack(cpu.state.code64 ? cpu.state.address64(4) : cpu.state.stackPointer, cpu.state.cpl);
}

/** Bytes of a value on the stack for an instruction's operand size. */
export function slotBytes({ operandSize }: CalloutSite): SlotBytes {
  return operandSize === 16 ? 2 : operandSize === 32 ? 4 : 8;
}

/** RSP as a frame keeps it, canonical or not. */
export function wholeStackPointer(cpu: Cpu): StackValue {
  const pointer = cpu.state.address64(4);
  return pointer < 0 ? cpu.state.u64[(GPR >> 3) + 4] : pointer;
}

function pointerMask(attributes: number): number {
  return attributes & Attribute.DB ? 0xffffffff : 0xffff;
}

/** Linear address `by` bytes from a canonical one, or -1 when `bytes` bytes there are not all canonical. */
function canonicalOffset(pointer: number, by: number, bytes: number): number {
  if (pointer < 0) return -1;
  const at = (pointer + by + 2 ** 48) % 2 ** 48;
  const half = 2 ** 47;
  if (at < half === pointer < half) return at < half && at + bytes > half ? -1 : at;
  // Over the end of the address space, where both halves meet; not over the hole between them.
  return (by > 0) === (pointer >= half) ? at : -1;
}

/** Throws #SS(errorCode) or a page fault unless `count` values of `bytes` bytes can be pushed. Changes nothing. */
export function checkPush(cpu: Cpu, stack: Stack, count: number, bytes: SlotBytes, errorCode: number): void {
  if (stack.wide) {
    for (let i = 1; i <= count; i++) {
      const at = canonicalOffset(stack.pointer, -i * bytes, bytes);
      if (at < 0) throw new GuestFault(Vector.SS, errorCode, 'the stack pointer is not canonical');
      cpu.memory.probeWrite(at, bytes, stack.user);
    }
    return;
  }
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
export function pushValues(cpu: Cpu, stack: Stack, values: readonly StackValue[], bytes: SlotBytes): number {
  const mask = pointerMask(stack.attributes);
  let pointer = stack.pointer;
  for (const value of values) {
    pointer = stack.wide ? (pointer - bytes + 2 ** 48) % 2 ** 48 : ((pointer - bytes) & mask) >>> 0;
    writeSlot(cpu, stack.wide ? pointer : (stack.base + pointer) >>> 0, value, bytes, stack.user);
  }
  return pointer;
}

function writeSlot(cpu: Cpu, linear: number, value: StackValue, bytes: SlotBytes, user: boolean): void {
  const low = typeof value === 'number' ? value : Number(BigInt.asUintN(32, value));
  if (bytes !== 8) {
    cpu.memory.write(linear, bytes, bytes === 2 ? low & 0xffff : low >>> 0, user);
    return;
  }
  const high = typeof value === 'number' ? highHalf(value) : Number(BigInt.asUintN(32, value >> 32n));
  cpu.memory.write(linear, 4, low >>> 0, user);
  cpu.memory.write(cpu.state.wrap(linear + 4), 4, high >>> 0, user);
}

/** Linear address `skip` bytes above the top of the current stack; #SS(0) outside the segment. */
function aboveTop(cpu: Cpu, skip: number, bytes: number): number {
  const { state } = cpu;
  if (state.code64) {
    const at = canonicalOffset(state.stackPointer, skip, bytes);
    if (at < 0) throw new GuestFault(Vector.SS, 0, 'the stack pointer is not canonical');
    return at;
  }
  const attributes = state.attributes(Segment.SS);
  const offset = ((state.stackPointer + skip) & pointerMask(attributes)) >>> 0;
  if (!limitAllows(attributes, state.limit(Segment.SS), offset, bytes)) {
    throw new GuestFault(Vector.SS, 0, 'the stack ends before the values to pop');
  }
  return state.linear(Segment.SS, offset);
}

/** Value `skip` bytes above the top of the current stack; #SS(0) outside the segment. Of 8 bytes the low half, though all of them must be there. */
export function peek(cpu: Cpu, skip: number, bytes: SlotBytes): number {
  const user = cpu.state.cpl === 3;
  const at = aboveTop(cpu, skip, bytes);
  const value = cpu.memory.read(at, bytes === 8 ? 4 : bytes, user);
  if (bytes === 8) cpu.memory.read(cpu.state.wrap(at + 4), 4, user);
  return value;
}

/** The same as an address: a number of 48 bits, or -1 when it is not canonical. */
export function peekAddress(cpu: Cpu, skip: number, bytes: SlotBytes): number {
  return bytes === 8 ? canonicalNumber(peek(cpu, skip, 8), peek(cpu, skip + 4, 4)) : peek(cpu, skip, bytes);
}

/** All of it. */
export function peekWhole(cpu: Cpu, skip: number, bytes: SlotBytes): StackValue {
  const address = peekAddress(cpu, skip, bytes);
  return address >= 0 ? address : BigInt(peek(cpu, skip + 4, 4)) << 32n | BigInt(peek(cpu, skip, 4));
}

/** RSP gets a value that a frame kept. */
export function setWholeStackPointer(cpu: Cpu, value: StackValue): void {
  if (typeof value === 'number') cpu.state.setAddress64(4, value);
  else cpu.state.set64(4, value);
}
