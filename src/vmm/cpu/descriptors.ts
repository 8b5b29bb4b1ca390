/** Segment and gate descriptors in the guest's GDT and LDT: finding, parsing, marking (SDM Vol. 3, 3.4.5 and 3.5). */
import type { Cpu } from './cpu';
import { Attribute, SystemType } from './bits';
import { GuestFault, selectorError, vectorName } from './exceptions';
import { Segment } from './layout';

export interface Descriptor {
  readonly selector: number;
  /** Linear address of its eight bytes. */
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
    return (state.base(Segment.LDTR) + offset) >>> 0;
  }
  if (offset + 7 > state.gdtrLimit) return -1;
  return (state.gdtrBase + offset) >>> 0;
}

/** The descriptor, or undefined when the selector lies outside its table. */
export function findDescriptor(cpu: Cpu, selector: number): Descriptor | undefined {
  const linear = descriptorAddress(cpu, selector);
  if (linear < 0) return undefined;
  return parseDescriptor(selector, linear, cpu.memory.read(linear, 4, false), cpu.memory.read((linear + 4) >>> 0, 4, false));
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
  cpu.memory.write((d.linear + 5) >>> 0, 1, ((d.high >>> 8) & 0xff) | Attribute.Accessed, false);
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

/** '#GP(0x0010)', '#UD'. */
export function faultName(vector: number, errorCode: number | undefined): string {
  return errorCode === undefined ? vectorName(vector) : `${vectorName(vector)}(${hex4(errorCode)})`;
}
