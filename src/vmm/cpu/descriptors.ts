/** Segment and gate descriptors in the guest's GDT and LDT: finding, parsing, marking (SDM Vol. 3, 3.4.5 and 3.5). */
import { canonicalNumber, highHalf } from '../mmu/types';
import type { Cpu } from './cpu';
import { Attribute, SystemType } from './bits';
import { GuestFault, selectorError, Vector, vectorName } from './exceptions';
import { Segment } from './layout';

export interface Descriptor {
  readonly selector: number;
  /** Linear address of its eight bytes (sixteen for system descriptors in long mode). */
  readonly linear: number;
  readonly low: number;
  readonly high: number;
  /** As in the state page: type, S, DPL, P, AVL, L, D/B, G. */
  readonly attributes: number;
  readonly type: number;
  readonly dpl: number;
  readonly present: boolean;
  /** Segment and system-segment descriptors: */
  readonly base: number;
  /** In bytes, granularity applied. */
  readonly limit: number;
}

/** A descriptor with what its upper eight bytes add in long mode. */
export interface SystemDescriptor extends Descriptor {
  /** Call gates: a number of 48 bits, or -1 when it is not canonical. */
  readonly offset: number;
}

export function isNull(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}
export function rpl(selector: number): number {
  return selector & 3;
}

export function parseDescriptor(selector: number, linear: number, low: number, high: number): Descriptor {
  const attributes = (high >>> 8) & 0xf0ff;
  const limit = (high & 0xf0000) | (low & 0xffff);
  return {
    selector, linear, low, high, attributes,
    type: attributes & Attribute.TypeMask,
    dpl: (attributes >>> 5) & 3,
    present: (attributes & Attribute.P) !== 0,
    base: ((high & 0xff000000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0,
    limit: (attributes & Attribute.G ? (limit << 12) | 0xfff : limit) >>> 0,
  };
}

/** Linear address of the descriptor that a selector names, or -1 when it lies outside its table. */
export function descriptorAddress(cpu: Cpu, selector: number): number {
  const { state } = cpu;
  const offset = selector & 0xfff8;
  if (selector & 4) {
    if (state.attributes(Segment.LDTR) & Attribute.Unusable || offset + 7 > state.limit(Segment.LDTR)) return -1;
    return state.linear(Segment.LDTR, offset);
  }
  if (offset + 7 > state.gdtrLimit) return -1;
  return state.wrap(state.gdtrBase + offset);
}

/** The descriptor, or undefined when the selector lies outside its table. */
export function findDescriptor(cpu: Cpu, selector: number): Descriptor | undefined {
  const linear = descriptorAddress(cpu, selector);
  if (linear < 0) return undefined;
  return parseDescriptor(selector, linear, cpu.memory.read(linear, 4, 'system'), cpu.memory.read(cpu.state.wrap(linear + 4), 4, 'system'));
}

/**
 * A system descriptor whose first eight bytes are given: in long mode it has eight more, with bits 63:32 of the base (a call gate: of the
 * offset) and a type field that must be zero. #GP(selector) when they lie outside the table, that field is not zero, or an LDT's or TSS's
 * base is not canonical. Outside long mode: the descriptor as it is.
 */
export function readSystemDescriptor(cpu: Cpu, d: Descriptor): SystemDescriptor {
  const { state, memory } = cpu;
  if (!state.longMode) return { ...d, offset: 0 };
  const outside = d.selector & 4 ? (d.selector & 0xfff8) + 15 > state.limit(Segment.LDTR) : (d.selector & 0xfff8) + 15 > state.gdtrLimit;
  if (outside) throw fault(Vector.GP, d.selector, 0, `is a descriptor of 16 bytes that reaches beyond the ${d.selector & 4 ? 'LDT' : 'GDT'}`);
  const upper = memory.read(state.wrap(d.linear + 8), 4, 'system');
  if (memory.read(state.wrap(d.linear + 12), 4, 'system') & 0x1f00) throw fault(Vector.GP, d.selector, 0, 'has a type in the upper half of its descriptor');
  if (d.type === SystemType.CallGate32) return { ...d, offset: canonicalNumber(((d.high & 0xffff0000) | (d.low & 0xffff)) >>> 0, upper) };
  const base = canonicalNumber(d.base, upper);
  if (base < 0) throw fault(Vector.GP, d.selector, 0, 'has a base that is not canonical');
  return { ...d, base, offset: 0 };
}

/** The descriptor; outside its table raises `vector` with the selector as error code. */
export function readDescriptor(cpu: Cpu, selector: number, vector: number, ext: 0 | 1): Descriptor {
  const descriptor = findDescriptor(cpu, selector);
  if (descriptor) return descriptor;
  throw fault(vector, selector, ext, `is outside the ${selector & 4 ? 'LDT' : 'GDT'}`);
}

/** A fault whose error code is the selector; the reason reads "selector 0x0010 <words>". */
export function fault(vector: number, selector: number, ext: 0 | 1, words: string): GuestFault {
  return new GuestFault(vector, selectorError(selector, ext), `selector ${hex4(selector)} ${words}`);
}

export function isSegment(d: Descriptor): boolean {
  return (d.attributes & Attribute.S) !== 0;
}
export function isCode(d: Descriptor): boolean {
  return (d.attributes & (Attribute.S | Attribute.Code)) === (Attribute.S | Attribute.Code);
}
export function isConforming(d: Descriptor): boolean {
  return (d.attributes & Attribute.ExpandDownOrConforming) !== 0;
}
export function isWritableData(d: Descriptor): boolean {
  return (d.attributes & (Attribute.S | Attribute.Code | Attribute.ReadWrite)) === (Attribute.S | Attribute.ReadWrite);
}
/** Data, or code that may be read. */
export function isReadable(d: Descriptor): boolean {
  return isSegment(d) && (!(d.attributes & Attribute.Code) || (d.attributes & Attribute.ReadWrite) !== 0);
}

/** Sets the accessed bit in the guest's table, as loading a segment does. May page-fault: call before anything is committed. */
export function markAccessed(cpu: Cpu, d: Descriptor): void {
  if (d.attributes & Attribute.Accessed) return;
  cpu.memory.write(cpu.state.wrap(d.linear + 5), 1, ((d.high >>> 8) & 0xff) | Attribute.Accessed, 'system');
}

/** Loads a register from a checked code or data descriptor whose accessed bit has been set. */
export function commitSegment(cpu: Cpu, n: Segment, selector: number, d: Descriptor): void {
  cpu.setSegment(n, selector, d.base, d.limit, d.attributes | Attribute.Accessed);
}

const typeNames: Readonly<Record<number, string>> = {
  [SystemType.TssAvailable16]: 'available 16-bit TSS', [SystemType.Ldt]: 'LDT', [SystemType.TssBusy16]: 'busy 16-bit TSS',
  [SystemType.CallGate16]: '16-bit call gate', [SystemType.TaskGate]: 'task gate', [SystemType.InterruptGate16]: '16-bit interrupt gate',
  [SystemType.TrapGate16]: '16-bit trap gate', [SystemType.TssAvailable32]: 'available 32-bit TSS', [SystemType.TssBusy32]: 'busy 32-bit TSS',
  [SystemType.CallGate32]: '32-bit call gate', [SystemType.InterruptGate32]: '32-bit interrupt gate', [SystemType.TrapGate32]: '32-bit trap gate',
};

/** What a descriptor is, in words. */
export function describeType(attributes: number): string {
  if (attributes & Attribute.S) {
    if (attributes & Attribute.Code) return attributes & Attribute.ExpandDownOrConforming ? 'a conforming code segment' : 'a code segment';
    return attributes & Attribute.ReadWrite ? 'a writable data segment' : 'a read-only data segment';
  }
  const name = typeNames[attributes & Attribute.TypeMask];
  return name ? `${/^[aeiouL]/.test(name) ? 'an' : 'a'} ${name}` : `of the reserved type ${attributes & Attribute.TypeMask}`;
}

export function hex4(value: number): string {
  return `0x${(value & 0xffff).toString(16).padStart(4, '0')}`;
}
export function hex8(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, '0')}`;
}

/** An address as people read it: eight digits, or all sixteen with bit 47 extended. */
export function hexAddress(linear: number): string {
  return linear < 2 ** 32 ? hex8(linear) : `0x${hex8(highHalf(linear)).slice(2)}${hex8(linear).slice(2)}`;
}

/** '#GP(0x0010)', '#UD'. */
export function faultName(vector: number, errorCode: number | undefined): string {
  return errorCode === undefined ? vectorName(vector) : `${vectorName(vector)}(${hex4(errorCode)})`;
}
