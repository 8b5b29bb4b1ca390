/**
 * Multiboot specification 0.6.96, version 1: finds and checks the header, loads the kernel (ELF or by the header's addresses), its modules and the information
 * structure, and gives the machine state of section 3.2. To a header that asks for a video mode (flag 2) the answer is the text screen: framebuffer type 2, 80×25.
 */
import { MachineError } from '../api';
import type { BootState } from './boot-state';
import { isElf, loadElf } from './elf';
import { loadByAddresses, type LoadAddresses } from './load-addresses';
import { CONVENTIONAL_END, memoryMap } from './memory-map';
import { Placement, type Module } from './placement';
import { flatProtectedMode } from './protected-mode';

const HEADER_MAGIC = 0x1badb002, LOADER_MAGIC = 0x2badb002;
/** The header lies within the first 8192 bytes, at a multiple of four. */
const SEARCH_BYTES = 8192;
const FLAG_VIDEO = 4, FLAG_ADDRESSES = 0x10000;
/** Requirements that this loader knows: page alignment, memory information, video. */
const KNOWN_REQUIREMENTS = 0x0007;
const LOADER_NAME = 'Ringside';

/** Bits of the information structure's flags. */
const INFO_MEMORY = 1, INFO_COMMAND_LINE = 4, INFO_MODULES = 8, INFO_MAP = 0x40, INFO_LOADER_NAME = 0x200, INFO_FRAMEBUFFER = 0x1000;
const INFO_BYTES = 120, MODULE_BYTES = 16, MAP_ENTRY_BYTES = 24;

export interface MultibootHeader {
  /** Offset in the file. */
  readonly offset: number;
  readonly flags: number;
  /** With flag 16: where the file goes, instead of ELF program headers. */
  readonly addresses?: LoadAddresses;
}

export interface MultibootOptions {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  readonly commandLine?: string;
  readonly modules?: readonly Module[];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** The first header with a right checksum; undefined when there is none. */
export function findMultibootHeader(bytes: Uint8Array): MultibootHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => view.getUint32(at, true);
  for (let offset = 0; offset + 12 <= Math.min(bytes.length, SEARCH_BYTES); offset += 4) {
    if (word(offset) !== HEADER_MAGIC || (word(offset) + word(offset + 4) + word(offset + 8)) >>> 0 !== 0) continue;
    const flags = word(offset + 4);
    if ((flags & FLAG_ADDRESSES) === 0) return { offset, flags };
    if (offset + 32 > Math.min(bytes.length, SEARCH_BYTES)) continue;
    return { offset, flags, addresses: { header: word(offset + 12), load: word(offset + 16), loadEnd: word(offset + 20), bssEnd: word(offset + 24), entry: word(offset + 28) } };
  }
  return undefined;
}

/** Says why a file that should have a header has none. */
function missingHeader(file: string, bytes: Uint8Array): MachineError {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset + 12 <= bytes.length; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const sum = (view.getUint32(offset, true) + view.getUint32(offset + 4, true) + view.getUint32(offset + 8, true)) >>> 0;
    const why = offset + 12 > SEARCH_BYTES ? `at offset ${hex(offset)}, beyond the first 8192 bytes` : sum !== 0 ? `at offset ${hex(offset)} with a wrong checksum (magic + flags + checksum is ${hex(sum)}, must be 0)` : `at offset ${hex(offset)}, cut off`;
    return new MachineError('multiboot-header', `${file}: has a multiboot magic ${why}`, 'Put the section with the header first in the link order, and set checksum to -(magic + flags).');
  }
  return new MachineError('multiboot-header', `${file}: has no multiboot header (1BADB002 in the first 8192 bytes, or E85250D6 in the first 32768), and no PVH entry (ELF note "Xen", type 18)`,
    'Only multiboot, PVH and Linux kernels can be loaded directly; put anything else on a disk image.');
}

/** The information structure, its lists and strings, as one run of bytes at `address`. */
function information(address: number, options: MultibootOptions, header: MultibootHeader, moduleAddresses: readonly number[]): Uint8Array {
  const { ramBytes, modules = [] } = options;
  const encoder = new TextEncoder();
  const strings = [`${options.file}${options.commandLine ? ` ${options.commandLine}` : ''}`, LOADER_NAME, ...modules.map((module) => module.name)]
    .map((text) => encoder.encode(`${text.replaceAll('\0', ' ')}\0`));
  const map = memoryMap(ramBytes);
  const modulesAt = INFO_BYTES, mapAt = modulesAt + MODULE_BYTES * modules.length, stringsAt = mapAt + MAP_ENTRY_BYTES * map.length;
  const bytes = new Uint8Array(strings.reduce((sum, text) => sum + text.length, stringsAt));
  const view = new DataView(bytes.buffer);
  const put = (at: number, ...values: number[]): void => values.forEach((value, n) => view.setUint32(at + 4 * n, value >>> 0, true));
  let at = stringsAt;
  const stringAddresses = strings.map((text) => {
    bytes.set(text, at);
    at += text.length;
    return address + at - text.length;
  });
  let flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MAP | INFO_LOADER_NAME;
  // Lower and upper memory in KiB.
  put(4, CONVENTIONAL_END / 1024, Math.max(0, ramBytes - 0x100000) / 1024);
  put(16, stringAddresses[0], modules.length, address + modulesAt);
  put(44, MAP_ENTRY_BYTES * map.length, address + mapAt);
  put(64, stringAddresses[1]);
  if (header.flags & FLAG_VIDEO) {
    flags |= INFO_FRAMEBUFFER;
    // Address, pitch, width, height; 16 bits per character cell, type 2: EGA text.
    put(88, 0xb8000, 0, 160, 80, 25);
    bytes[108] = 16;
    bytes[109] = 2;
  }
  put(0, flags);
  modules.forEach((module, n) => put(modulesAt + MODULE_BYTES * n, moduleAddresses[n], moduleAddresses[n] + module.bytes.length, stringAddresses[2 + n], 0));
  // Each entry's size field does not count itself.
  map.forEach((range, n) => put(mapAt + MAP_ENTRY_BYTES * n, MAP_ENTRY_BYTES - 4, range.base, 0, range.bytes, Math.floor(range.bytes / 0x100000000), range.type));
  return bytes;
}

/** Throws MachineError with the field that is wrong. */
export function loadMultiboot(options: MultibootOptions): BootState {
  const { file, bytes, ramBytes, modules = [] } = options;
  const header = findMultibootHeader(bytes);
  if (header === undefined) throw missingHeader(file, bytes);
  const unknown = header.flags & 0xffff & ~KNOWN_REQUIREMENTS;
  if (unknown !== 0) {
    throw new MachineError('multiboot-header', `${file}: multiboot header: flags ${hex(header.flags)} require features that this loader does not know (bits ${hex(unknown)})`,
      'Clear the unknown bits 3–15 of the flags if the kernel can do without.');
  }
  if (header.addresses === undefined && !isElf(bytes)) {
    throw new MachineError('multiboot-header', `${file}: is no ELF file, and its multiboot header gives no addresses (flag 16)`, 'Link it as ELF, or set flag 16 and the address fields.');
  }
  const kernel = header.addresses === undefined ? loadElf(file, bytes, ramBytes) : loadByAddresses(file, bytes, { ...header.addresses, offset: header.offset }, ramBytes);
  const placement = new Placement(file, kernel.chunks, ramBytes);
  const moduleAddresses = modules.map((module) => placement.above(`module ${module.name}`, module.bytes));
  const info = placement.tables('multiboot information', (address) => information(address, options, header, moduleAddresses));
  return { kind: 'multiboot', chunks: placement.chunks, registers: flatProtectedMode(kernel.entry, [LOADER_MAGIC, 0, 0, info, 0x7c00, 0, 0, 0]) };
}
