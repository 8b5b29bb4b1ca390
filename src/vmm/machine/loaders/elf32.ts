/**
 * ELF32 executables for the i386: which bytes go where. Files come from anybody: every offset and size is checked against the file, every address against memory, before
 * a byte is copied. The messages name the file and the field of the ELF specification.
 */
import { MachineError } from '../api';
import type { MemoryChunk } from './boot-state';
import { EBDA } from './memory-map';

const ET_EXEC = 2, EM_386 = 3, EM_486 = 6, PT_LOAD = 1;
const HEADER_BYTES = 52, PROGRAM_HEADER_BYTES = 32;
/** Interrupt vectors and BIOS data area; from the EBDA to 1 MiB belongs to the firmware. */
const LOW_RESERVED = 0x500, HIGH_RESERVED_END = 0x100000;

export interface ElfImage {
  readonly chunks: readonly MemoryChunk[];
  /** Guest-physical. */
  readonly entry: number;
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Throws MachineError when [address, address + bytes) is not memory that a program may be loaded to. */
export function checkLoadRange(file: string, what: string, address: number, bytes: number, ramBytes: number): void {
  if (address + bytes > ramBytes) {
    throw new MachineError('load-range', `${file}: ${what} wants memory ${hex(address)}–${hex(address + bytes - 1)}, but the machine has ${ramBytes / 0x100000} MiB (up to ${hex(ramBytes - 1)})`,
      'Give the machine more memory, or link the program to a lower address.');
  }
  const reserved = bytes > 0 && (address < LOW_RESERVED || (address < HIGH_RESERVED_END && address + bytes > EBDA));
  if (reserved) {
    throw new MachineError('load-range', `${file}: ${what} wants memory ${hex(address)}–${hex(address + bytes - 1)}, which belongs to the BIOS, the screen and the ROM (below ${hex(LOW_RESERVED)} and ${hex(EBDA)}–${hex(HIGH_RESERVED_END - 1)})`,
      'Link the program to an address from 0x100000 on.');
  }
}

function fail(file: string, message: string, advice = 'The file is damaged, or was not made by a linker for 32-bit x86.'): never {
  throw new MachineError('elf', `${file}: ${message}`, advice);
}

/** Loadable segments by physical address, and the physical entry point. */
export function loadElf32(file: string, bytes: Uint8Array, ramBytes: number): ElfImage {
  if (!isElf(bytes)) fail(file, 'is not an ELF file (no 7F "ELF" at offset 0)');
  if (bytes.length < HEADER_BYTES) fail(file, `ends inside the ELF header (${bytes.length} of ${HEADER_BYTES} bytes)`);
  if (bytes[4] === 2) {
    throw new MachineError('elf64', `${file}: is a 64-bit ELF (e_ident[EI_CLASS] = 2); 64-bit kernels are not supported yet`, 'Build it for 32 bits (-m32, -melf_i386).');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const half = (at: number): number => view.getUint16(at, true);
  const word = (at: number): number => view.getUint32(at, true);
  if (bytes[4] !== 1) fail(file, `e_ident[EI_CLASS] is ${bytes[4]}, expected 1 (32-bit)`);
  if (bytes[5] !== 1) fail(file, `e_ident[EI_DATA] is ${bytes[5]}, expected 1 (little-endian)`);
  const machine = half(18), type = half(16);
  if (machine !== EM_386 && machine !== EM_486) fail(file, `e_machine is ${machine}, expected ${EM_386} (Intel 80386)`, 'The file is for another processor.');
  if (type !== ET_EXEC) fail(file, `e_type is ${type}, expected ${ET_EXEC} (executable)`, type === 1 ? 'This is an object file: link it first.' : 'Link it as a static, position-dependent executable (-static -no-pie).');
  const tableOffset = word(28), entrySize = half(42), count = half(44);
  if (count === 0) fail(file, 'has no program headers (e_phnum is 0)');
  if (entrySize < PROGRAM_HEADER_BYTES) fail(file, `e_phentsize is ${entrySize}, expected ${PROGRAM_HEADER_BYTES}`);
  if (tableOffset + count * entrySize > bytes.length) fail(file, `program headers ${hex(tableOffset)}–${hex(tableOffset + count * entrySize)} (e_phoff, e_phnum ${count}) lie beyond the end of the file (${hex(bytes.length)})`);

  const chunks: MemoryChunk[] = [];
  const ranges: { readonly first: number; readonly end: number; readonly n: number }[] = [];
  const virtualEntry = word(24);
  let entry = virtualEntry;
  for (let n = 0; n < count; n++) {
    const at = tableOffset + n * entrySize;
    if (word(at) !== PT_LOAD) continue;
    const offset = word(at + 4), virtual = word(at + 8), physical = word(at + 12), fileBytes = word(at + 16), memoryBytes = word(at + 20);
    const what = `program header ${n}`;
    if (memoryBytes === 0) continue;
    if (fileBytes > memoryBytes) fail(file, `${what}: p_filesz ${hex(fileBytes)} is larger than p_memsz ${hex(memoryBytes)}`);
    if (offset + fileBytes > bytes.length) fail(file, `${what}: p_offset ${hex(offset)} + p_filesz ${hex(fileBytes)} lies beyond the end of the file (${hex(bytes.length)})`);
    checkLoadRange(file, `${what} (p_paddr, p_memsz)`, physical, memoryBytes, ramBytes);
    ranges.push({ first: physical, end: physical + memoryBytes, n });
    chunks.push({ what: `${file} segment ${n}`, address: physical, bytes: bytes.subarray(offset, offset + fileBytes), zeroBytes: memoryBytes - fileBytes });
    // The entry is a virtual address; a kernel linked high is entered at its physical one.
    if (virtualEntry >= virtual && virtualEntry < virtual + memoryBytes) entry = virtualEntry - virtual + physical;
  }
  if (chunks.length === 0) fail(file, 'has nothing to load (no PT_LOAD program header)');
  ranges.sort((a, b) => a.first - b.first);
  for (let n = 1; n < ranges.length; n++) {
    if (ranges[n].first < ranges[n - 1].end) fail(file, `program headers ${ranges[n - 1].n} and ${ranges[n].n} overlap in memory at ${hex(ranges[n].first)}`);
  }
  if (!ranges.some((range) => entry >= range.first && entry < range.end)) fail(file, `the entry point ${hex(virtualEntry)} (e_entry) lies in no loaded segment`);
  return { chunks, entry };
}
