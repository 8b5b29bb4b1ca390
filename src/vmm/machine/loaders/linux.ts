/**
 * Linux boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst): places kernel, initial ramdisk, command line and zero page, and gives the
 * machine state of the entry: 32-bit protected mode, 64-bit mode with the first 4 GiB mapped one to one, or the real-mode set-up code.
 */
import { CR0_ET, realModeSegment, type BootState, type InitialRegisters, type InitialSegment, type MemoryChunk } from './boot-state';
import { checkLoadRange } from './elf';
import { CAN_USE_HEAP, LOADED_HIGH, linuxError, readLinuxHeader, SetupField, XLF_KERNEL_64, type LinuxEntry, type LinuxHeader } from './linux-header';
import { identityMap, LONG_MODE_REGISTERS } from './long-mode';
import { memoryMap } from './memory-map';
import { flatProtectedMode, flatSegments } from './protected-mode';

/** Low memory: zero page, descriptor table, page tables, and the real-mode part with its command line in the same 64 KiB as SYSLINUX and LILO choose. */
const ZERO_PAGE = 0x10000, GDT = 0x11000, PAGE_TABLES = 0x12000, COMMAND_LINE = 0x20000, REAL_MODE = 0x80000, REAL_MODE_COMMAND_LINE = 0x8f000;
/** Heap and stack of the set-up code end here, relative to its segment. */
const HEAP_END = 0xe000;
const PAGE = 4096;
/** startup_64 lies 512 bytes behind the beginning of the protected-mode kernel. */
const ENTRY_64 = 0x200;
/** What fits between the command line and the real-mode part. */
const COMMAND_LINE_MAX = 0x10000;
const EXTENDED = 0x100000;
/** A loader without a number of its own. */
const LOADER_TYPE = 0xff;

/** Fields of the zero page outside the setup header. */
const ZERO_PAGE_FIELDS = { alternateMemoryKiB: 0x1e0, e820Entries: 0x1e8, e820Table: 0x2d0 } as const;
const E820_ENTRY_BYTES = 20, E820_MAX = 128;

export interface LinuxOptions {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
  /** Instead of the entry that suits the kernel. */
  readonly entry?: LinuxEntry;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** Throws MachineError with the field or file that is wrong. */
export function loadLinux(options: LinuxOptions): BootState {
  const { file, bytes, ramBytes } = options;
  const header = readLinuxHeader(file, bytes);
  const entry = options.entry ?? header.entry;
  if (entry === 'long' && !(header.xloadflags & XLF_KERNEL_64)) throw linuxError(file, `has no 64-bit entry (xloadflags ${hex(header.xloadflags)}, bit 0)`, 'Start it by the 32-bit entry.');
  const commandLine = new TextEncoder().encode(`${(options.commandLine ?? '').replaceAll('\0', ' ')}\0`);
  const commandLineMax = Math.min(header.commandLineMax, (entry === 'real' ? 0x1000 : COMMAND_LINE_MAX) - 1);
  if (commandLine.length - 1 > commandLineMax) {
    throw linuxError(file, `takes a command line of at most ${commandLineMax} characters (cmdline_size), not ${commandLine.length - 1}`, 'Shorten the command line.');
  }
  const address = kernelAddress(file, header, ramBytes);
  const kernel = bytes.subarray(header.setupBytes);
  if (entry === 'long' && kernel.length <= ENTRY_64) throw linuxError(file, `has only ${kernel.length} bytes behind the set-up code; the 64-bit entry is at offset ${hex(ENTRY_64)}`);
  if (header.loadedHigh) checkLoadRange(file, `the kernel (${kernel.length} bytes, ${hex(header.initBytes)} with init_size)`, address, header.initBytes, ramBytes);
  else if (address + kernel.length > ZERO_PAGE + 0x70000) throw linuxError(file, `the kernel's ${kernel.length} bytes do not fit below ${hex(REAL_MODE)}, where it wants to be (loadflags without LOADED_HIGH)`);
  const initrd = initrdChunk(options, header, address + header.initBytes);
  const chunks: MemoryChunk[] = [{ what: file, address, bytes: kernel }, ...(initrd ? [initrd] : [])];
  const fields = headerFields(header, address, commandLineAddress(entry), initrd);
  if (entry === 'real') {
    chunks.push({ what: `${file} set-up code`, address: REAL_MODE, bytes: withFields(bytes.slice(0, header.setupBytes), fields) }, { what: 'command line', address: REAL_MODE_COMMAND_LINE, bytes: commandLine });
    return { kind: 'linux', chunks, registers: realModeRegisters };
  }
  chunks.push(
    { what: 'zero page', address: ZERO_PAGE, bytes: zeroPage(bytes, header, fields, ramBytes) },
    { what: 'descriptor table', address: GDT, bytes: descriptorTable },
    { what: 'command line', address: COMMAND_LINE, bytes: commandLine },
  );
  if (entry === 'protected') return { kind: 'linux', chunks, registers: protectedRegisters(address) };
  chunks.push({ what: 'page tables', address: PAGE_TABLES, bytes: identityMap(PAGE_TABLES) });
  return { kind: 'linux', chunks, registers: { ...protectedRegisters(address + ENTRY_64), ...LONG_MODE_REGISTERS, cr3: PAGE_TABLES, segments: longSegments } };
}

/** The preferred address when memory reaches that far; a relocatable kernel otherwise goes to the lowest aligned one. */
function kernelAddress(file: string, header: LinuxHeader, ramBytes: number): number {
  const { preferredAddress, relocatable, initBytes } = header;
  if (!header.loadedHigh) return preferredAddress;
  if (!relocatable || (preferredAddress >= EXTENDED && preferredAddress + initBytes <= ramBytes)) return preferredAddress;
  const lowest = alignUp(EXTENDED, header.alignment);
  if (lowest + initBytes > ramBytes) {
    throw linuxError(file, `needs ${hex(initBytes)} bytes from ${hex(lowest)} on (init_size, kernel_alignment), but the machine has ${ramBytes / EXTENDED} MiB`, `Give the machine at least ${Math.ceil((lowest + initBytes) / EXTENDED)} MiB.`);
  }
  return lowest;
}

/** As high as the kernel allows, page aligned, above the kernel's own memory. */
function initrdChunk({ file, initrd, ramBytes }: LinuxOptions, header: LinuxHeader, kernelEnd: number): MemoryChunk | undefined {
  if (initrd === undefined || initrd.length === 0) return undefined;
  const top = Math.min(ramBytes, header.initrdAddressMax + 1);
  const address = Math.floor((top - initrd.length) / PAGE) * PAGE;
  if (address < Math.max(kernelEnd, EXTENDED)) {
    throw linuxError(file, `the initial ramdisk (${initrd.length} bytes) does not fit between the kernel's end ${hex(kernelEnd)} and ${hex(top)} (${top === ramBytes ? 'the end of memory' : 'initrd_addr_max'})`, 'Give the machine more memory, or make the ramdisk smaller.');
  }
  return { what: 'initial ramdisk', address, bytes: initrd };
}

function commandLineAddress(entry: LinuxEntry): number {
  return entry === 'real' ? REAL_MODE_COMMAND_LINE : COMMAND_LINE;
}

type Field = readonly [offset: number, bytes: 1 | 2 | 4, value: number];

/** What the loader writes into the setup header. */
function headerFields(header: LinuxHeader, address: number, commandLine: number, initrd: MemoryChunk | undefined): readonly Field[] {
  return [
    [SetupField.vidMode, 2, 0xffff], [SetupField.typeOfLoader, 1, LOADER_TYPE], [SetupField.loadflags, 1, (header.loadedHigh ? LOADED_HIGH : 0) | CAN_USE_HEAP],
    // A value of 0 is a promise of code that moves itself: left alone.
    ...(header.relocatable ? [[SetupField.code32Start, 4, address] as const] : []),
    [SetupField.heapEndPtr, 2, HEAP_END - 0x200], [SetupField.cmdLinePtr, 4, commandLine],
    [SetupField.ramdiskImage, 4, initrd?.address ?? 0], [SetupField.ramdiskSize, 4, initrd?.bytes.length ?? 0],
  ];
}

function withFields(bytes: Uint8Array, fields: readonly Field[]): Uint8Array {
  for (const [offset, width, value] of fields) for (let n = 0; n < width; n++) bytes[offset + n] = value >>> (8 * n);
  return bytes;
}

/** struct boot_params: the setup header, the memory map, and the text screen as the BIOS set it up. */
function zeroPage(image: Uint8Array, header: LinuxHeader, fields: readonly Field[], ramBytes: number): Uint8Array {
  const page = new Uint8Array(PAGE);
  const headerEnd = Math.min(header.headerEnd, ZERO_PAGE_FIELDS.e820Table - 0x40);
  page.set(image.subarray(SetupField.setupSects, headerEnd), SetupField.setupSects);
  withFields(page, fields);
  const view = new DataView(page.buffer);
  const map = memoryMap(ramBytes).slice(0, E820_MAX);
  page[ZERO_PAGE_FIELDS.e820Entries] = map.length;
  map.forEach((range, n) => {
    const at = ZERO_PAGE_FIELDS.e820Table + E820_ENTRY_BYTES * n;
    view.setBigUint64(at, BigInt(range.base), true);
    view.setBigUint64(at + 8, BigInt(range.bytes), true);
    view.setUint32(at + 16, range.type, true);
  });
  view.setUint32(ZERO_PAGE_FIELDS.alternateMemoryKiB, Math.max(0, (ramBytes - EXTENDED) / 1024), true);
  // struct screen_info: extended memory in KiB, mode 3, 80 columns, 25 lines, VGA, 16 scan lines a character.
  withFields(page, [[0x02, 2, Math.min(0xffff, (ramBytes - EXTENDED) / 1024)], [0x06, 1, 3], [0x07, 1, 80], [0x0e, 1, 25], [0x0f, 1, 1], [0x10, 2, 16]]);
  return page;
}

/** __BOOT_CS 10h and __BOOT_DS 18h, and a code segment for 64 bits. */
const descriptorTable = new Uint8Array(new BigUint64Array([0n, 0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00af9b000000ffffn]).buffer);
const longCode: InitialSegment = { selector: 0x20, base: 0, limit: 0xffffffff, attributes: 0xa09b };
const longSegments: InitialRegisters['segments'] = [flatSegments[0], longCode, flatSegments[2], flatSegments[3], flatSegments[4], flatSegments[5]];

/** ESI: the zero page. EBP, EDI and EBX have to be zero. */
function protectedRegisters(eip: number): InitialRegisters {
  return { ...flatProtectedMode(eip, [0, 0, 0, 0, ZERO_PAGE, 0, ZERO_PAGE, 0]), gdtr: { base: GDT, limit: descriptorTable.length - 1 } };
}

const setup = realModeSegment(REAL_MODE >> 4);
/** The set-up code's entry is 32 paragraphs behind the beginning of its data segment. */
const realModeRegisters: InitialRegisters = {
  general: [0, 0, 0x80, 0, HEAP_END, 0, 0, 0], eip: 0, eflags: 0x2, cr0: CR0_ET, segments: [setup, realModeSegment((REAL_MODE >> 4) + 0x20), setup, setup, setup, setup],
};
