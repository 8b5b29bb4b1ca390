/** What a loader hands to the board: bytes for memory, drives, and the processor's first state. Declarative: loaders are pure functions over bytes. */
import type { ImageField } from '../../../protocol/messages';
import type { DiskImageFiles } from '../images/open';

export interface MemoryChunk {
  /** For messages and listings. */
  readonly what: string;
  /** Guest-physical. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Zeros behind the bytes (bss). */
  readonly zeroBytes?: number;
}

/** Attributes as in layout.ts's SEGMENT_FIELDS (VMX access-rights format). */
export interface InitialSegment {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

export interface InitialRegisters {
  /** EAX ECX EDX EBX ESP EBP ESI EDI. */
  readonly general: readonly [number, number, number, number, number, number, number, number];
  readonly eip: number;
  readonly eflags: number;
  readonly cr0: number;
  /** 0 unless given. */
  readonly cr3?: number;
  readonly cr4?: number;
  readonly efer?: number;
  readonly gdtr?: { readonly base: number; readonly limit: number };
  /** ES CS SS DS FS GS. */
  readonly segments: readonly [InitialSegment, InitialSegment, InitialSegment, InitialSegment, InitialSegment, InitialSegment];
}

export interface BootState {
  readonly kind: 'disk' | 'flat' | 'multiboot' | 'multiboot2' | 'linux' | 'pvh';
  readonly chunks: readonly MemoryChunk[];
  /** Undefined: the processor begins at the reset vector and the BIOS boots from the drives. Otherwise the board runs Bios.powerOn() first, and A20 is on. */
  readonly registers?: InitialRegisters;
  /** Images in the drives. */
  readonly drives?: DriveImages;
  /** The drive that the program is on: the BIOS tries it first. */
  readonly bootDrive?: BootDrive;
}

export type BootDrive = 'floppy' | 'hardDisk' | 'cdrom';

export interface DriveImage extends DiskImageFiles {
  /** Where the configuration has it. */
  readonly field: ImageField | 'cdrom';
}

export interface DriveImages {
  readonly floppy?: DriveImage;
  readonly hardDisk?: DriveImage;
  readonly secondDisk?: DriveImage;
  readonly cdrom?: DriveImage;
  /** What the first hard disk's image is a difference to. */
  readonly backing?: DriveImage;
  readonly virtioDisks?: readonly DriveImage[];
}

/** CR0.PE, and ET which is always 1 from the P6 on. */
export const CR0_PE = 1, CR0_ET = 0x10;

export function realModeSegment(selector: number): InitialSegment {
  return { selector, base: selector << 4, limit: 0xffff, attributes: 0x93 };
}
