/**
 * What a device sees of the board, and what the board sees of a device. Devices import nothing else: they run alone in tests.
 * Time is the instruction count; a device never reads the wall clock.
 */

/** Access width in bytes. */
export type AccessSize = 1 | 2 | 4;

export interface DeviceRegister {
  /** First port or MMIO offset. */
  readonly address: number;
  readonly name: string;
  readonly description: string;
  /** Bit fields, high to low, for views: name, low bit, width. */
  readonly fields?: readonly { readonly name: string; readonly bit: number; readonly width: number }[];
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
  /** The device answers 16- and 32-bit accesses that lie inside the range itself; otherwise the board splits them into bytes. */
  readonly wide?: boolean;
  read(port: number, size: AccessSize): number;
  write(port: number, value: number, size: AccessSize): void;
}

/** A guest-physical window that is not RAM. */
export interface MmioRange {
  readonly first: number;
  readonly last: number;
  read(address: number, size: AccessSize): number;
  write(address: number, value: number, size: AccessSize): void;
}

export interface Device {
  readonly id: string;
  readonly title: string;
  readonly registers?: readonly DeviceRegister[];
  readonly ports?: readonly PortRange[];
  readonly mmio?: readonly MmioRange[];
  /** Power-on and reset state. */
  reset(): void;
  /** Plain JSON-able state for views and snapshots, and back. */
  save(): unknown;
  restore(state: unknown): void;
}

/** An output pin: devices drive it, the interrupt controller (or a test) listens. Edge and level both go through here. */
export type Line = (level: boolean) => void;

export interface TimerHandle {
  cancel(): void;
}

/** The machine's clock. */
export interface Clock {
  /** Instructions retired since power-on, exact to the instruction inside port and MMIO handlers. */
  now(): number;
  /** Nominal rate that turns the count into virtual seconds. */
  readonly instructionsPerSecond: number;
  /** Calls back when now() reaches `at` (never earlier; at the next instruction boundary after). Equal times fire in order of scheduling. */
  schedule(at: number, callback: () => void): TimerHandle;
}

/** Guest-physical memory for DMA, BIOS services and loaders. Writes are seen by traces (code, page tables). */
export interface PhysicalBytes {
  readonly ramBytes: number;
  read8(address: number): number;
  read16(address: number): number;
  read32(address: number): number;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
  readBytes(address: number, length: number): Uint8Array;
  writeBytes(address: number, bytes: Uint8Array): void;
}

/** A block device's backing store; sectors of 512 bytes (CD: 2048). Copy-on-write: the user's file is never changed unless asked. */
export interface DiskImage {
  readonly sectors: number;
  readonly sectorSize: number;
  read(sector: number, count: number): Uint8Array;
  write(sector: number, bytes: Uint8Array): void;
}
