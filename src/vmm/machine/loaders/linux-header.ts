/**
 * The setup header of a Linux kernel image (bzImage, zImage): boot protocol 2.02 to 2.15, Documentation/arch/x86/boot.rst. Read and checked
 * before anything is placed; the messages name the field.
 */
import { MachineError } from '../api';

/** Offsets in the file, and in the zero page: the header has the same place in both. */
export const SetupField = {
  setupSects: 0x1f1, vidMode: 0x1fa, bootFlag: 0x1fe, jump: 0x200, magic: 0x202, version: 0x206, typeOfLoader: 0x210, loadflags: 0x211, code32Start: 0x214,
  ramdiskImage: 0x218, ramdiskSize: 0x21c, heapEndPtr: 0x224, cmdLinePtr: 0x228, initrdAddrMax: 0x22c, kernelAlignment: 0x230, relocatableKernel: 0x234,
  minAlignment: 0x235, xloadflags: 0x236, cmdlineSize: 0x238, payloadOffset: 0x248, payloadLength: 0x24c, setupData: 0x250, prefAddress: 0x258, initSize: 0x260,
} as const;

/** Bits of loadflags and xloadflags. */
export const LOADED_HIGH = 1, CAN_USE_HEAP = 0x80;
export const XLF_KERNEL_64 = 1;

const SECTOR = 512, SETUP_SECTS_DEFAULT = 4, SETUP_SECTS_MAX = 64;
const OLDEST = 0x0202;
/** Command lines of kernels that do not say how long one may be (protocols before 2.06). */
const COMMAND_LINE_DEFAULT = 255;
const INITRD_MAX_DEFAULT = 0x37ffffff;

/** How the kernel is entered: 'real' through its set-up code, the others behind it. */
export type LinuxEntry = 'real' | 'protected' | 'long';

export interface LinuxHeader {
  /** Protocol version, major in the high byte. */
  readonly version: number;
  /** Bytes of the real-mode part: boot sector and set-up code. */
  readonly setupBytes: number;
  /** End of the setup header in the file and in the zero page. */
  readonly headerEnd: number;
  readonly loadedHigh: boolean;
  readonly relocatable: boolean;
  /** A power of two; 1 when the kernel names none. */
  readonly alignment: number;
  /** Where a kernel that is not relocated goes, and where one that may be relocated likes to be. */
  readonly preferredAddress: number;
  /** Memory from the load address on that the kernel uses before it looks at the memory map. */
  readonly initBytes: number;
  readonly initrdAddressMax: number;
  /** Characters of the command line, without the zero. */
  readonly commandLineMax: number;
  readonly xloadflags: number;
  readonly entry: LinuxEntry;
}

export function isLinux(bytes: Uint8Array): boolean {
  const at = SetupField.magic;
  return bytes.length >= at + 4 && bytes[at] === 0x48 && bytes[at + 1] === 0x64 && bytes[at + 2] === 0x72 && bytes[at + 3] === 0x53;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const versionText = (version: number): string => `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;

export function linuxError(file: string, message: string, advice = 'The file is damaged, or no kernel image: use the bzImage that the kernel build makes (vmlinuz).'): MachineError {
  return new MachineError('linux', `${file}: ${message}`, advice);
}

/** Throws MachineError with the field that is wrong. */
export function readLinuxHeader(file: string, bytes: Uint8Array): LinuxHeader {
  if (!isLinux(bytes)) throw linuxError(file, 'is no Linux kernel image (no "HdrS" at 0x202)');
  if (bytes.length < SetupField.initrdAddrMax) throw linuxError(file, `ends inside the setup header (${bytes.length} bytes)`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(SetupField.version, true);
  if (version < OLDEST) {
    throw linuxError(file, `speaks boot protocol ${versionText(version)} (header field version); 2.02 and later are supported`, 'Such kernels are older than Linux 2.4; boot it from a disk image with its own loader.');
  }
  const bootFlag = view.getUint16(SetupField.bootFlag, true);
  if (bootFlag !== 0xaa55) throw linuxError(file, `boot_flag is ${hex(bootFlag)}, expected 0xaa55`);
  const sectors = bytes[SetupField.setupSects] || SETUP_SECTS_DEFAULT;
  if (sectors > SETUP_SECTS_MAX) throw linuxError(file, `setup_sects is ${sectors}; at most ${SETUP_SECTS_MAX} fit below the boot sector's end of memory`);
  const setupBytes = (sectors + 1) * SECTOR;
  if (setupBytes >= bytes.length) throw linuxError(file, `setup_sects is ${sectors}, but the file ends at ${hex(bytes.length)}: there is no kernel behind the set-up code`);
  // The short jump over the header tells how long it is.
  const headerEnd = SetupField.magic + bytes[SetupField.jump + 1];
  if (bytes[SetupField.jump] !== 0xeb || headerEnd < SetupField.initrdAddrMax || headerEnd > setupBytes) {
    throw linuxError(file, `the jump at 0x200 (${hex(bytes[SetupField.jump])} ${hex(bytes[SetupField.jump + 1])}) does not tell the end of the setup header`);
  }
  /** A field that the protocol has from `since` on. */
  const word = (field: number, since: number, otherwise: number): number => (version >= since && field + 4 <= headerEnd ? view.getUint32(field, true) : otherwise);
  const loadedHigh = (bytes[SetupField.loadflags] & LOADED_HIGH) !== 0;
  const relocatable = version >= 0x0205 && bytes[SetupField.relocatableKernel] !== 0;
  const alignment = word(SetupField.kernelAlignment, 0x0205, 1) || 1;
  if (relocatable && ((alignment & (alignment - 1)) !== 0 || alignment > 0x40000000)) throw linuxError(file, `kernel_alignment is ${hex(alignment)}, expected a power of two`);
  const kernelBytes = bytes.length - setupBytes;
  const high = word(SetupField.prefAddress + 4, 0x020a, 0);
  if (high !== 0) throw linuxError(file, `pref_address is above 4 GiB (${hex(high)}00000000 and more)`);
  const xloadflags = version >= 0x020c ? view.getUint16(SetupField.xloadflags, true) : 0;
  return {
    version, setupBytes, headerEnd, loadedHigh, relocatable, alignment,
    preferredAddress: loadedHigh ? word(SetupField.prefAddress, 0x020a, 0x100000) : 0x10000,
    initBytes: Math.max(kernelBytes, word(SetupField.initSize, 0x020a, 0)),
    initrdAddressMax: word(SetupField.initrdAddrMax, 0x0203, INITRD_MAX_DEFAULT),
    commandLineMax: word(SetupField.cmdlineSize, 0x0206, COMMAND_LINE_DEFAULT),
    xloadflags,
    entry: entryOf(version, loadedHigh, word(SetupField.payloadLength, 0x0208, 0)),
  };
}

/**
 * Loaders that imitate the header (iPXE, old memory testers) have nothing behind their real-mode code that could be entered; they speak an
 * old protocol. A kernel with a payload, or with xloadflags, can be entered in protected mode.
 */
function entryOf(version: number, loadedHigh: boolean, payloadBytes: number): LinuxEntry {
  return loadedHigh && (version >= 0x020c || (version >= 0x0208 && payloadBytes !== 0)) ? 'protected' : 'real';
}
