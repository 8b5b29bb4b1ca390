/**
 * An encoder for the ACPI Machine Language (ACPI 6.5, chapter 20): one function for each construct that the board's tables use, each returning
 * its bytes. Names are written as in ASL: `\_SB.PCI0`, four characters a segment, shorter ones padded.
 */

export type Aml = readonly number[];

const NAME_SEGMENT = 4;

function segment(name: string): Aml {
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(name)) throw new RangeError(`AML: ${name} is no name segment`);
  return Array.from(name.padEnd(NAME_SEGMENT, '_'), (c) => c.charCodeAt(0));
}

/** A path from here, or from the root when it begins with a backslash. */
export function path(name: string): Aml {
  const root = name.startsWith('\\');
  const segments = (root ? name.slice(1) : name).split('.').map(segment);
  const prefix = segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return [...(root ? [0x5c] : []), ...prefix, ...segments.flat()];
}

const little = (value: number, bytes: number): Aml => Array.from({ length: bytes }, (_, n) => Math.floor(value / 2 ** (8 * n)) & 0xff);

/** The shortest encoding. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x10000) return [0x0b, ...little(value, 2)];
  return value < 0x100000000 ? [0x0c, ...little(value, 4)] : [0x0e, ...little(value, 8)];
}

/** A plug-and-play identifier in its compressed form: three letters of five bits, four digits. */
export function eisaId(id: string): Aml {
  const letter = (n: number): number => (id.charCodeAt(n) - 0x40) & 31;
  const letters = letter(0) << 10 | letter(1) << 5 | letter(2);
  const digits = parseInt(id.slice(3), 16);
  return [0x0c, letters >> 8, letters & 0xff, digits >> 8, digits & 0xff];
}

/** PkgLength: it counts itself. */
function withLength(body: Aml): Aml {
  const { length } = body;
  if (length + 1 < 0x40) return [length + 1, ...body];
  for (let extra = 1; extra <= 3; extra++) {
    const total = length + 1 + extra;
    if (total < 1 << (4 + 8 * extra)) return [extra << 6 | (total & 15), ...little(total >>> 4, extra), ...body];
  }
  throw new RangeError(`AML: ${length} bytes are too many for one package`);
}

export const name = (at: string, value: Aml): Aml => [0x08, ...path(at), ...value];
export const scope = (at: string, ...terms: readonly Aml[]): Aml => [0x10, ...withLength([...path(at), ...terms.flat()])];
export const device = (at: string, ...terms: readonly Aml[]): Aml => [0x5b, 0x82, ...withLength([...path(at), ...terms.flat()])];
export const processor = (at: string, id: number): Aml => [0x5b, 0x83, ...withLength([...path(at), id, 0, 0, 0, 0, 0])];
export const buffer = (bytes: Aml): Aml => [0x11, ...withLength([...integer(bytes.length), ...bytes])];
export const pack = (...elements: readonly Aml[]): Aml => [0x12, ...withLength([elements.length, ...elements.flat()])];

/** `serialized`: only one thread at a time, as methods that declare names must be. */
export function method(at: string, argumentCount: number, serialized: boolean, ...terms: readonly Aml[]): Aml {
  return [0x14, ...withLength([...path(at), argumentCount | (serialized ? 8 : 0), ...terms.flat()])];
}

/** A region of the device's own PCI configuration space. */
export function configurationRegion(at: string, offset: number, length: number): Aml {
  return [0x5b, 0x80, ...path(at), 0x02, ...integer(offset), ...integer(length)];
}

/** Byte accesses, no lock, other bits preserved; fields in order with their widths in bits. */
export function byteField(region: string, fields: readonly (readonly [string, number])[]): Aml {
  return [0x5b, 0x81, ...withLength([...path(region), 0x01, ...fields.flatMap(([at, bits]) => [...segment(at), bits])])];
}

export const argument = (n: number): Aml => [0x68 + n];
export const local = (n: number): Aml => [0x60 + n];
/** The target of an operation whose result is only a value. */
export const nowhere: Aml = [0];

export const store = (value: Aml, target: Aml): Aml => [0x70, ...value, ...target];
export const returns = (value: Aml): Aml => [0xa4, ...value];
export const and = (a: Aml, b: Aml, target: Aml = nowhere): Aml => [0x7b, ...a, ...b, ...target];
export const subtract = (a: Aml, b: Aml, target: Aml = nowhere): Aml => [0x74, ...a, ...b, ...target];
export const shiftLeft = (value: Aml, count: Aml, target: Aml = nowhere): Aml => [0x79, ...value, ...count, ...target];
/** Position of the lowest bit that is set, from 1; 0 when there is none. */
export const lowestBit = (value: Aml, target: Aml): Aml => [0x82, ...value, ...target];
export const createWordField = (source: Aml, index: number, at: string): Aml => [0x8b, ...source, ...integer(index), ...path(at)];

export function ifElse(predicate: Aml, then: readonly Aml[], otherwise: readonly Aml[] = []): Aml {
  return [0xa0, ...withLength([...predicate, ...then.flat()]), ...(otherwise.length > 0 ? [0xa1, ...withLength(otherwise.flat())] : [])];
}

// ---- resource descriptors (6.4) ----

/** A buffer of descriptors with the end tag. */
export const resources = (...descriptors: readonly Aml[]): Aml => buffer([...descriptors.flat(), 0x79, 0]);

/** Ports at a fixed place, decoded in 16 bits. */
export const ioPorts = (first: number, count: number): Aml => [0x47, 0x01, ...little(first, 2), ...little(first, 2), 1, count];
/** An edge-triggered interrupt of the ISA bus. */
export const isaIrq = (irq: number): Aml => [0x22, ...little(1 << irq, 2)];
/** A level-triggered, active-low, shared interrupt out of those in the mask. */
export const sharedIrq = (mask: number): Aml => [0x23, ...little(mask, 2), 0x18];
/** An 8-bit DMA channel. */
export const dmaChannel = (channel: number): Aml => [0x2a, 1 << channel, 0];
export const fixedMemory = (first: number, bytes: number): Aml => [0x86, 9, 0, 1, ...little(first, 4), ...little(bytes, 4)];

/** Ranges that a bridge passes on: memory (0), ports (1), bus numbers (2). */
function addressSpace(tag: number, width: number, type: number, typeFlags: number, first: number, last: number): Aml {
  const fields = [0, first, last, 0, last - first + 1].flatMap((value) => little(value, width));
  return [tag, ...little(3 + fields.length, 2), type, 0x0c, typeFlags, ...fields];
}

export const busNumbers = (first: number, last: number): Aml => addressSpace(0x88, 2, 2, 0, first, last);
export const bridgedPorts = (first: number, last: number): Aml => addressSpace(0x88, 2, 1, 3, first, last);
/** Not cacheable, writable. */
export const bridgedMemory = (first: number, last: number): Aml => addressSpace(0x87, 4, 0, 1, first, last);
