/** What a file is, by its bytes (and, for text, its name). What cannot be started is refused with what it is and what to do instead. */
import { MachineError } from '../api';
import { floppyFormats } from '../disk';
import { SECTOR_BYTES } from '../images/disk-file';
import { diskFormat } from '../images/open';
import { isElf } from './elf';
import { isLinux } from './linux-header';
import { CONVENTIONAL_END } from './memory-map';
import { findMultibootHeader } from './multiboot';
import { findMultiboot2Header } from './multiboot2';
import { findPvhEntry } from './pvh';

export type Detected =
  | { readonly kind: 'asm' }
  | { readonly kind: 'multiboot' | 'multiboot2' | 'linux' | 'pvh' }
  | { readonly kind: 'disk'; readonly drive: 'floppy' | 'hardDisk' }
  | { readonly kind: 'cdrom' }
  | { readonly kind: 'flat' };

interface Signature {
  readonly what: string;
  readonly matches: (bytes: Uint8Array) => boolean;
  readonly advice: string;
}

function textAt(bytes: Uint8Array, offset: number, text: string): boolean {
  return offset + text.length <= bytes.length && Array.from(text).every((c, n) => bytes[offset + n] === c.charCodeAt(0));
}

function hasBootSignature(bytes: Uint8Array): boolean {
  return bytes.length >= SECTOR_BYTES && bytes[510] === 0x55 && bytes[511] === 0xaa;
}

const convert = 'Convert it to a raw image first: qemu-img convert -O raw IN OUT.';

/** Formats that are recognized and not supported (yet), most specific first. */
const unsupported: readonly Signature[] = [
  { what: 'gzip-compressed', matches: (b) => b[0] === 0x1f && b[1] === 0x8b, advice: 'Decompress it first: gunzip FILE.' },
  { what: 'xz-compressed', matches: (b) => b[0] === 0xfd && textAt(b, 1, '7zXZ'), advice: 'Decompress it first: unxz FILE.' },
  { what: 'a VHD disk image', matches: (b) => textAt(b, 0, 'conectix'), advice: convert },
  { what: 'a DOS or EFI program ("MZ")', matches: (b) => textAt(b, 0, 'MZ') && !hasBootSignature(b), advice: 'It needs DOS or EFI firmware; neither is there.' },
];

/** Printable characters, blanks and UTF-8 only. */
function isText(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 4096).every((b) => (b >= 0x20 && b !== 0x7f) || b === 9 || b === 10 || b === 12 || b === 13);
}

/** What fits between the boot address and the end of conventional memory. */
const FLAT_MAX = CONVENTIONAL_END - 0x7c00;

function isDiskette(bytes: Uint8Array): boolean {
  return floppyFormats.some((format) => format.sectors * SECTOR_BYTES === bytes.length);
}

/** An ISO 9660 volume. Hybrid images, which boot from hard disks as well, are CDs when their name says so. */
export function isCd(file: string, bytes: Uint8Array): boolean {
  return textAt(bytes, 0x8001, 'CD001') && (!hasBootSignature(bytes) || /\.iso$/i.test(file));
}

/** A drive for a disk image: an image of exactly a diskette's size is one, every other is a hard disk of its own size, as other machine emulators take it. */
export function driveFor(bytes: Uint8Array): 'floppy' | 'hardDisk' {
  return isDiskette(bytes) ? 'floppy' : 'hardDisk';
}

/** Throws MachineError for files that cannot be started. */
export function detect(file: string, bytes: Uint8Array): Detected {
  if (bytes.length === 0) throw new MachineError('empty', `${file}: is empty`, 'Assemble or build it first.');
  if (isElf(bytes)) {
    if (findMultiboot2Header(bytes)) return { kind: 'multiboot2' };
    return { kind: !findMultibootHeader(bytes) && findPvhEntry(file, bytes) !== undefined ? 'pvh' : 'multiboot' };
  }
  if (isLinux(bytes)) return { kind: 'linux' };
  for (const { what, matches, advice } of unsupported) {
    if (matches(bytes)) throw new MachineError('unsupported-format', `${file}: is ${what}`, advice);
  }
  if (isCd(file, bytes)) return { kind: 'cdrom' };
  if (diskFormat(bytes) !== 'raw') return { kind: 'disk', drive: 'hardDisk' };
  if (findMultibootHeader(bytes)?.addresses !== undefined) return { kind: 'multiboot' };
  if (findMultiboot2Header(bytes)?.addresses !== undefined) return { kind: 'multiboot2' };
  if (isText(bytes)) {
    if (/\.(asm|nasm|s|inc)$/i.test(file)) return { kind: 'asm' };
    // A short program can happen to be printable; a file with lines that is not named as a binary is no program.
    if (bytes.includes(0x0a) && !/\.(bin|com|img|raw|sys)$/i.test(file)) {
      throw new MachineError('text', `${file}: is a text file`, 'Assembly source is recognized by the extension .asm, .nasm or .s; a binary that looks like text by .bin or .com.');
    }
  }
  if (hasBootSignature(bytes) || isDiskette(bytes)) return { kind: 'disk', drive: driveFor(bytes) };
  if (bytes.length > FLAT_MAX) {
    if (bytes.length % SECTOR_BYTES === 0) return { kind: 'disk', drive: driveFor(bytes) };
    throw new MachineError('unknown-format', `${file}: is no format that can be started (${bytes.length} bytes: no ELF, no boot signature, too large for a flat binary at 0x7C00)`,
      'Start a multiboot ELF, a raw disk image or a flat binary, or say which it is with the boot kind.');
  }
  return { kind: 'flat' };
}
