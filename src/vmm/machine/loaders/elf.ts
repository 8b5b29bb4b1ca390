/**
 * ELF executables for x86, 32 and 64 bits: which bytes go where. Files come from anybody: every offset and size is checked against the file, every address against memory,
 * before a byte is copied. The messages name the file and the field of the ELF specification.
 */
import { MachineError } from '../api';
import type { MemoryChunk } from './boot-state';
import { EBDA } from './memory-map';

const ET_EXEC = 2, PT_LOAD = 1, PT_NOTE = 4, SHF_ALLOC = 2, SHT_NOBITS = 8;
/** Interrupt vectors and BIOS data area; from the EBDA to 1 MiB belongs to the firmware. */
const LOW_RESERVED = 0x500, HIGH_RESERVED_END = 0x100000;

/** Where the fields of both classes lie. Addresses and offsets are words of `bits`. */
interface ElfClass {
  readonly bits: 32 | 64;
  readonly headerBytes: number;
  readonly machines: readonly number[];
  readonly machineName: string;
  readonly entry: number;
  readonly programHeaders: { readonly offset: number; readonly size: number; readonly entryBytes: number };
  readonly sectionHeaders: { readonly offset: number; readonly size: number; readonly entryBytes: number };
  /** Fields of a program header. */
  readonly segment: { readonly offset: number; readonly virtual: number; readonly physical: number; readonly fileBytes: number; readonly memoryBytes: number };
  /** Fields of a section header. */
  readonly section: { readonly flags: number; readonly address: number; readonly offset: number; readonly bytes: number };
}

const classes: Readonly<Record<number, ElfClass>> = {
  1: {
    bits: 32, headerBytes: 52, machines: [3, 6], machineName: '3 (Intel 80386)', entry: 24,
    programHeaders: { offset: 28, size: 42, entryBytes: 32 }, sectionHeaders: { offset: 32, size: 46, entryBytes: 40 },
    segment: { offset: 4, virtual: 8, physical: 12, fileBytes: 16, memoryBytes: 20 }, section: { flags: 8, address: 12, offset: 16, bytes: 20 },
  },
  2: {
    bits: 64, headerBytes: 64, machines: [62], machineName: '62 (x86-64)', entry: 24,
    programHeaders: { offset: 32, size: 54, entryBytes: 56 }, sectionHeaders: { offset: 40, size: 58, entryBytes: 64 },
    segment: { offset: 8, virtual: 16, physical: 24, fileBytes: 32, memoryBytes: 40 }, section: { flags: 8, address: 16, offset: 24, bytes: 32 },
  },
};

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}

/** Section headers as the file has them, for a loader that hands them on. */
export interface ElfSections {
  readonly count: number;
  readonly entryBytes: number;
  readonly namesIndex: number;
  readonly headers: Uint8Array;
  /** Sections that occupy no memory yet (symbols, debug information): their bytes, and where in `headers` their address belongs. */
  readonly unloaded: readonly { readonly bytes: Uint8Array; readonly addressAt: number; readonly index: number }[];
}

export interface ElfImage {
  readonly bits: 32 | 64;
  readonly chunks: readonly MemoryChunk[];
  /** Guest-physical; undefined when e_entry lies in nothing that is loaded. */
  readonly entry: number;
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

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

function fail(file: string, message: string, advice = 'The file is damaged, or was not made by a linker for x86.'): never {
  throw new MachineError('elf', `${file}: ${message}`, advice);
}

/** One file's header and tables, checked when they are first used. */
class ElfFile {
  readonly format: ElfClass;
  private readonly view: DataView;

  constructor(readonly file: string, readonly bytes: Uint8Array) {
    if (!isElf(bytes)) fail(file, 'is not an ELF file (no 7F "ELF" at offset 0)');
    const format = classes[bytes[4] ?? 1];
    if (bytes.length < (format ?? classes[1]).headerBytes) fail(file, `ends inside the ELF header (${bytes.length} of ${(format ?? classes[1]).headerBytes} bytes)`);
    this.format = format ?? fail(file, `e_ident[EI_CLASS] is ${bytes[4]}, expected 1 (32-bit) or 2 (64-bit)`);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes[5] !== 1) fail(file, `e_ident[EI_DATA] is ${bytes[5]}, expected 1 (little-endian)`);
    const machine = this.half(18);
    if (!format.machines.includes(machine)) fail(file, `e_machine is ${machine}, expected ${format.machineName} in a ${format.bits}-bit file`, 'The file is for another processor.');
  }

  half(at: number): number {
    return this.view.getUint16(at, true);
  }

  word32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** An address exactly. */
  exact(at: number): bigint {
    return this.format.bits === 64 ? this.view.getBigUint64(at, true) : BigInt(this.word32(at));
  }

  /** An offset, size or physical address. Above 2^53 it is rounded, and far beyond every file and memory. */
  word(at: number): number {
    return this.format.bits === 64 ? this.word32(at) + this.word32(at + 4) * 2 ** 32 : this.word32(at);
  }

  requireExecutable(): void {
    const type = this.half(16);
    if (type !== ET_EXEC) fail(this.file, `e_type is ${type}, expected ${ET_EXEC} (executable)`, type === 1 ? 'This is an object file: link it first.' : 'Link it as a static, position-dependent executable (-static -no-pie).');
  }

  /** Offsets of the program headers. */
  programHeaders(): number[] {
    const { file, bytes, format } = this;
    const { offset: offsetAt, size: sizeAt, entryBytes } = format.programHeaders;
    const offset = this.word(offsetAt), size = this.half(sizeAt), count = this.half(sizeAt + 2);
    if (count === 0) fail(file, 'has no program headers (e_phnum is 0)');
    if (size < entryBytes) fail(file, `e_phentsize is ${size}, expected ${entryBytes}`);
    if (offset + count * size > bytes.length) fail(file, `program headers ${hex(offset)}–${hex(offset + count * size)} (e_phoff, e_phnum ${count}) lie beyond the end of the file (${hex(bytes.length)})`);
    return Array.from({ length: count }, (_, n) => offset + n * size);
  }

  segment(at: number) {
    const { offset, virtual, physical, fileBytes, memoryBytes } = this.format.segment;
    return {
      type: this.word32(at), offset: this.word(at + offset), virtual: this.exact(at + virtual), physical: this.word(at + physical),
      fileBytes: this.word(at + fileBytes), memoryBytes: this.word(at + memoryBytes),
    };
  }

  /** The bytes of a segment in the file. */
  segmentBytes(n: number, offset: number, count: number): Uint8Array {
    if (offset + count > this.bytes.length) fail(this.file, `program header ${n}: p_offset ${hex(offset)} + p_filesz ${hex(count)} lies beyond the end of the file (${hex(this.bytes.length)})`);
    return this.bytes.subarray(offset, offset + count);
  }
}

/** Loadable segments by physical address, and the physical entry point. Throws MachineError with the field that is wrong. */
export function loadElf(file: string, bytes: Uint8Array, ramBytes: number, options: { readonly entry?: number } = {}): ElfImage {
  const elf = new ElfFile(file, bytes);
  elf.requireExecutable();
  const chunks: MemoryChunk[] = [];
  const ranges: { readonly first: number; readonly end: number; readonly n: number }[] = [];
  const virtualEntry = elf.exact(elf.format.entry);
  let entry = options.entry ?? Number(virtualEntry);
  elf.programHeaders().forEach((at, n) => {
    const { type, offset, virtual, physical, fileBytes, memoryBytes } = elf.segment(at);
    const what = `program header ${n}`;
    if (type !== PT_LOAD || memoryBytes === 0) return;
    if (fileBytes > memoryBytes) fail(file, `${what}: p_filesz ${hex(fileBytes)} is larger than p_memsz ${hex(memoryBytes)}`);
    const content = elf.segmentBytes(n, offset, fileBytes);
    checkLoadRange(file, `${what} (p_paddr, p_memsz)`, physical, memoryBytes, ramBytes);
    ranges.push({ first: physical, end: physical + memoryBytes, n });
    chunks.push({ what: `${file} segment ${n}`, address: physical, bytes: content, zeroBytes: memoryBytes - fileBytes });
    // The entry is a virtual address; a kernel linked high is entered at its physical one.
    const inside = virtualEntry - virtual;
    if (options.entry === undefined && inside >= 0n && inside < BigInt(memoryBytes)) entry = Number(inside) + physical;
  });
  if (chunks.length === 0) fail(file, 'has nothing to load (no PT_LOAD program header)');
  ranges.sort((a, b) => a.first - b.first);
  for (let n = 1; n < ranges.length; n++) {
    if (ranges[n].first < ranges[n - 1].end) fail(file, `program headers ${ranges[n - 1].n} and ${ranges[n].n} overlap in memory at ${hex(ranges[n].first)}`);
  }
  if (!ranges.some((range) => entry >= range.first && entry < range.end)) {
    fail(file, options.entry === undefined ? `the entry point ${hex(virtualEntry)} (e_entry) lies in no loaded segment` : `the entry point ${hex(entry)} lies in no loaded segment`);
  }
  return { bits: elf.format.bits, chunks, entry };
}

/** The notes of all PT_NOTE segments. A damaged note ends its segment. */
export function elfNotes(file: string, bytes: Uint8Array): ElfNote[] {
  const elf = new ElfFile(file, bytes);
  const notes: ElfNote[] = [];
  elf.programHeaders().forEach((header, n) => {
    const { type, offset, fileBytes } = elf.segment(header);
    if (type !== PT_NOTE) return;
    const content = elf.segmentBytes(n, offset, fileBytes);
    const view = new DataView(content.buffer, content.byteOffset, content.length);
    const padded = (size: number): number => Math.ceil(size / 4) * 4;
    for (let at = 0; at + 12 <= content.length;) {
      const nameBytes = view.getUint32(at, true), descriptorBytes = view.getUint32(at + 4, true);
      const descriptorAt = at + 12 + padded(nameBytes);
      if (descriptorAt + descriptorBytes > content.length) return;
      notes.push({
        name: Array.from(content.subarray(at + 12, at + 12 + Math.min(nameBytes, 64)), (c) => String.fromCharCode(c)).join('').replace(/\0+$/, ''),
        type: view.getUint32(at + 8, true), descriptor: content.subarray(descriptorAt, descriptorAt + descriptorBytes),
      });
      at = descriptorAt + padded(descriptorBytes);
    }
  });
  return notes;
}

/** The section header table; undefined when the file has none, or none that lies in the file. */
export function elfSections(file: string, bytes: Uint8Array): ElfSections | undefined {
  const elf = new ElfFile(file, bytes);
  const { offset: offsetAt, size: sizeAt, entryBytes } = elf.format.sectionHeaders;
  const offset = elf.word(offsetAt), size = elf.half(sizeAt), count = elf.half(sizeAt + 2);
  if (offset === 0 || count === 0 || size < entryBytes || offset + count * size > bytes.length) return undefined;
  const unloaded: { bytes: Uint8Array; addressAt: number; index: number }[] = [];
  const { flags, address, offset: fileOffset, bytes: length } = elf.format.section;
  for (let index = 0; index < count; index++) {
    const at = offset + index * size;
    const from = elf.word(at + fileOffset), sectionBytes = elf.word(at + length);
    const inMemory = (elf.word(at + flags) & SHF_ALLOC) !== 0 || elf.word(at + address) !== 0;
    if (inMemory || elf.word32(at + 4) === SHT_NOBITS || sectionBytes === 0 || from + sectionBytes > bytes.length) continue;
    unloaded.push({ bytes: bytes.subarray(from, from + sectionBytes), addressAt: index * size + address, index });
  }
  return { count, entryBytes: size, namesIndex: elf.half(sizeAt + 4), headers: bytes.slice(offset, offset + count * size), unloaded };
}
