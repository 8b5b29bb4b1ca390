/**
 * Multiboot2 specification 2.0: finds and checks the header and its tags, loads the kernel (ELF32, ELF64 or by the address tag), its modules and the information
 * structure, and gives the i386 machine state of section 3.3. A request for a framebuffer is answered with the text screen.
 */
import { MachineError } from '../api';
import type { BootState } from './boot-state';
import { elfSections, isElf, loadElf } from './elf';
import { loadByAddresses, type LoadAddresses } from './load-addresses';
import { CONVENTIONAL_END, memoryMap } from './memory-map';
import { Placement, type Module } from './placement';
import { flatProtectedMode } from './protected-mode';

const HEADER_MAGIC = 0xe85250d6, LOADER_MAGIC = 0x36d76289;
/** The header lies within the first 32768 bytes, at a multiple of eight. */
const SEARCH_BYTES = 32768;
const HEADER_BYTES = 16, TAG_BYTES = 8, TAG_OPTIONAL = 1;
const ARCHITECTURE_I386 = 0;
const LOADER_NAME = 'Ringside';

/** Tags of the header. */
const HeaderTag = { end: 0, request: 1, address: 2, entry: 3, console: 4, framebuffer: 5, align: 6, bootServices: 7, entryEfi32: 8, entryEfi64: 9, relocatable: 10 } as const;
/** Tags of the information structure. */
const InfoTag = { end: 0, commandLine: 1, loaderName: 2, module: 3, memory: 4, map: 6, framebuffer: 8, sections: 9 } as const;

/** Header tags that this loader follows, or that ask for nothing that it does not do anyway: bytes that each has at least. */
const knownTags: Readonly<Record<number, number>> = {
  [HeaderTag.request]: 8, [HeaderTag.address]: 24, [HeaderTag.entry]: 12, [HeaderTag.console]: 12, [HeaderTag.framebuffer]: 20, [HeaderTag.align]: 8,
  // EFI entries do not apply without EFI; relocation is an offer, which need not be taken.
  [HeaderTag.bootServices]: 8, [HeaderTag.entryEfi32]: 12, [HeaderTag.entryEfi64]: 12, [HeaderTag.relocatable]: 24,
};
const tagNames: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(HeaderTag).map(([name, type]) => [type, name]));

export interface Multiboot2Header {
  /** Offset in the file. */
  readonly offset: number;
  readonly architecture: number;
  readonly tags: readonly { readonly type: number; readonly optional: boolean; readonly offset: number; readonly bytes: number }[];
  /** The address tag. */
  readonly addresses?: Omit<LoadAddresses, 'entry'>;
  readonly entry?: number;
  /** Why the tags cannot be read to their end. */
  readonly damage?: string;
}

export interface Multiboot2Options {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  readonly commandLine?: string;
  readonly modules?: readonly Module[];
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const align8 = (value: number): number => Math.ceil(value / 8) * 8;

/** The first header with a right checksum; undefined when there is none. */
export function findMultiboot2Header(bytes: Uint8Array): Multiboot2Header | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => view.getUint32(at, true);
  const end = Math.min(bytes.length, SEARCH_BYTES);
  for (let offset = 0; offset + HEADER_BYTES <= end; offset += 8) {
    if (word(offset) !== HEADER_MAGIC || (word(offset) + word(offset + 4) + word(offset + 8) + word(offset + 12)) >>> 0 !== 0) continue;
    return { offset, architecture: word(offset + 4), ...readTags(view, offset, Math.min(end, offset + word(offset + 8))) };
  }
  return undefined;
}

function readTags(view: DataView, header: number, end: number): Pick<Multiboot2Header, 'tags' | 'addresses' | 'entry' | 'damage'> {
  const tags: { type: number; optional: boolean; offset: number; bytes: number }[] = [];
  let addresses: Multiboot2Header['addresses'];
  let entry: number | undefined;
  const word = (at: number): number => view.getUint32(at, true);
  for (let at = header + HEADER_BYTES; ;) {
    if (at + TAG_BYTES > end) return { tags, addresses, entry, damage: 'has no end tag (type 0, size 8) within header_length' };
    const type = view.getUint16(at, true), size = word(at + 4);
    if (type === HeaderTag.end) return { tags, addresses, entry };
    const least = knownTags[type] ?? TAG_BYTES;
    if (size < least || at + size > end) return { tags, addresses, entry, damage: `tag ${type} at offset ${hex(at)} has size ${size}, expected ${least} or more within header_length` };
    tags.push({ type, optional: (view.getUint16(at + 2, true) & TAG_OPTIONAL) !== 0, offset: at, bytes: size });
    if (type === HeaderTag.address) addresses = { header: word(at + 8), load: word(at + 12) === 0xffffffff ? undefined : word(at + 12), loadEnd: word(at + 16), bssEnd: word(at + 20) };
    else if (type === HeaderTag.entry) entry = word(at + 8);
    at += align8(size);
  }
}

function checkHeader(file: string, bytes: Uint8Array, header: Multiboot2Header): void {
  const fail = (message: string, advice: string): never => {
    throw new MachineError('multiboot-header', `${file}: multiboot2 header: ${message}`, advice);
  };
  if (header.damage !== undefined) fail(header.damage, 'Correct the tags (Multiboot2 specification, section 3.1.3).');
  if (header.architecture !== ARCHITECTURE_I386) fail(`architecture is ${header.architecture}, expected 0 (i386)`, 'Build the kernel for x86; 64-bit kernels are entered in 32-bit protected mode, too.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const tag of header.tags) {
    if (tag.optional) continue;
    if (knownTags[tag.type] === undefined) fail(`tag ${tag.type} at offset ${hex(tag.offset)} is not known to this loader`, 'Set the tag\'s optional flag if the kernel can do without.');
    if (tag.type !== HeaderTag.request) continue;
    for (let at = tag.offset + TAG_BYTES; at + 4 <= tag.offset + tag.bytes; at += 4) {
      const wanted = view.getUint32(at, true);
      if (!Object.values<number>(InfoTag).includes(wanted)) fail(`the ${tagNames[tag.type]} tag at offset ${hex(tag.offset)} requires information of type ${wanted}, which is not available`, 'Set the tag\'s optional flag if the kernel can do without.');
    }
  }
}

type Tag = readonly [type: number, content: Uint8Array];

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values, (value) => value >>> 0).buffer);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value.replaceAll('\0', ' ')}\0`);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function mapTag(ramBytes: number): Tag {
  const high = (value: number): number => Math.floor(value / 2 ** 32);
  return [InfoTag.map, joined(words(24, 0), ...memoryMap(ramBytes).map(({ base, bytes, type }) => words(base, high(base), bytes, high(bytes), type, 0)))];
}

function information(tags: readonly Tag[]): Uint8Array {
  const bytes = new Uint8Array(tags.reduce((sum, [, content]) => sum + align8(TAG_BYTES + content.length), 8 + TAG_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  let at = 8;
  for (const [type, content] of [...tags, [InfoTag.end, new Uint8Array()] as const]) {
    view.setUint32(at, type, true);
    view.setUint32(at + 4, TAG_BYTES + content.length, true);
    bytes.set(content, at + TAG_BYTES);
    at += align8(TAG_BYTES + content.length);
  }
  return bytes;
}

/** Section headers of an ELF kernel; symbols and debug information, which no segment loads, are put into memory and their addresses filled in. */
function sectionsTag(file: string, bytes: Uint8Array, placement: Placement): Tag | undefined {
  const sections = elfSections(file, bytes);
  if (sections === undefined) return undefined;
  const { count, entryBytes, namesIndex, headers, unloaded } = sections;
  const view = new DataView(headers.buffer);
  for (const { bytes: content, addressAt, index } of unloaded) view.setUint32(addressAt, placement.above(`section ${index}`, content), true);
  return [InfoTag.sections, joined(words(count, entryBytes, namesIndex), headers)];
}

/** Throws MachineError with the field that is wrong. */
export function loadMultiboot2(options: Multiboot2Options): BootState {
  const { file, bytes, ramBytes, commandLine = '', modules = [] } = options;
  const header = findMultiboot2Header(bytes);
  if (header === undefined) throw new MachineError('multiboot-header', `${file}: has no multiboot2 header (E85250D6 with a right checksum in the first 32768 bytes, at a multiple of 8)`, 'Put the section with the header first in the link order.');
  checkHeader(file, bytes, header);
  const { addresses, entry, offset } = header;
  if (addresses === undefined && !isElf(bytes)) throw new MachineError('multiboot-header', `${file}: is no ELF file, and its multiboot2 header has no address tag (type 2)`, 'Link it as ELF, or add the tag.');
  if (addresses !== undefined && entry === undefined) throw new MachineError('multiboot-header', `${file}: multiboot2 header: an address tag needs an entry address tag (type 3)`, 'Add the tag.');
  const kernel = addresses === undefined ? loadElf(file, bytes, ramBytes, { entry }) : loadByAddresses(file, bytes, { ...addresses, entry: entry!, offset }, ramBytes);
  const placement = new Placement(file, kernel.chunks, ramBytes);
  const tags: Tag[] = [
    [InfoTag.commandLine, text(commandLine)], [InfoTag.loaderName, text(LOADER_NAME)],
    ...modules.map((module): Tag => {
      const address = placement.above(`module ${module.name}`, module.bytes);
      return [InfoTag.module, joined(words(address, address + module.bytes.length), text(module.name))];
    }),
    [InfoTag.memory, words(CONVENTIONAL_END / 1024, Math.max(0, ramBytes - 0x100000) / 1024)], mapTag(ramBytes),
    // Address, pitch, width, height; 16 bits a cell, type 2: EGA text.
    [InfoTag.framebuffer, joined(words(0xb8000, 0, 160, 80, 25), Uint8Array.of(16, 2, 0, 0))],
  ];
  const sections = addresses === undefined ? sectionsTag(file, bytes, placement) : undefined;
  if (sections) tags.push(sections);
  const info = placement.tables('multiboot2 information', () => information(tags));
  return { kind: 'multiboot2', chunks: placement.chunks, registers: flatProtectedMode(kernel.entry, [LOADER_MAGIC, 0, 0, info, 0x7c00, 0, 0, 0]) };
}
