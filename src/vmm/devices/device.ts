/**
 * What a device sees of the board, and what the board sees of a device. Devices import nothing else: they run alone in tests.
 * Time is the instruction count; a device never reads the wall clock.
 */

/** Access width in bytes. */
export type AccessSize = 1 | 2 | 4;

export interface DeviceRegister {
  /** First port or MMIO offset. */
  readonly address: number;
  /** Number in the register file behind an index and a data port; `address` is the data port. */
  readonly index?: number;
  /** Width; 8 unless given. */
  readonly bits?: number;
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
  /** Bytes that are what they are until the guest writes to a port, and whose reading has no effect: threaded code may keep them until then. */
  readonly latched?: (port: number) => boolean;
  read(port: number, size: AccessSize): number;
  write(port: number, value: number, size: AccessSize): void;
}

/** A guest-physical window that is not RAM. */
export interface MmioRange {
  readonly first: number;
  readonly last: number;
  read(address: number, size: AccessSize): number;
  write(address: number, value: number, size: AccessSize): void;
  /** Many bytes at once, by who is not an instruction; without it they are written one by one. */
  writeBytes?(address: number, bytes: Uint8Array): void;
}

export interface Device {
  readonly id: string;
  readonly title: string;
  readonly registers?: readonly DeviceRegister[];
  readonly ports?: readonly PortRange[];
  readonly mmio?: readonly MmioRange[];
  /**
   * Present values of {@link registers}, in their order, for views: nothing changes as by a read of the guest. Undefined where there is none to show,
   * such as a command register that keeps nothing.
   */
  registerValues?(): readonly (number | undefined)[];
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

/** A base address register's window. Handlers get the offset in the window. */
export interface PciBar {
  readonly kind: 'io' | 'memory';
  /** A power of two: at least 4 for ports (at most 256), at least 16 for memory. */
  readonly bytes: number;
  readonly prefetchable?: boolean;
  /** Where firmware puts it when the board boots without one of its own. */
  readonly address?: number;
  /** Plain memory behind the window (a frame buffer) instead of handlers: host address of its first byte. */
  readonly backing?: number;
  read(offset: number, size: AccessSize): number;
  write(offset: number, value: number, size: AccessSize): void;
}

/** What the bus gives to a function. */
export interface PciLink {
  /** INTx as the function drives it; the bus routes it to interrupt controllers. */
  readonly interrupt: Line;
  /** Command register as software last wrote it: I/O 0, memory 1, bus master 2, INTx disable 10. */
  command(): number;
  /** The function's own configuration space, as software reads it. */
  read(offset: number, size: AccessSize): number;
  /** Changes it without regard to what software may write. */
  put(offset: number, value: number, size: AccessSize): void;
  /** Sends a message-signalled interrupt; nothing happens while bus mastering is off. */
  message(address: number, data: number): void;
}

/** One function in PCI configuration space, type 0 header (PCI Local Bus Specification 3.0, chapter 6). */
export interface PciFunction {
  readonly device: Device;
  /** Device and function number on bus 0. */
  readonly slot: number;
  readonly function: number;
  readonly vendorId: number;
  readonly deviceId: number;
  /** Class, subclass, programming interface: 24 bits. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** Bars 0–5 by index. */
  readonly bars?: readonly (PciBar | undefined)[];
  /** Expansion ROM image. */
  readonly rom?: Uint8Array;
  /** 1 to 4 for INTA# to INTD#, 0 for none. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** Capabilities and device-specific bytes, with the bits that software may write. Bytes below 0x40 take the place of the standard header's. */
  readonly extra?: readonly { readonly offset: number; readonly bytes: readonly number[]; readonly writable?: readonly number[] }[];
  /** Offset of the first capability, or absent. */
  readonly capabilities?: number;
  /** Registers of configuration space beyond the standard header, by offset. */
  readonly configurationRegisters?: readonly DeviceRegister[];
  connect?(link: PciLink): void;
  /** Told before software reads configuration space. */
  reading?(offset: number, size: AccessSize): void;
  /** Told after software wrote to configuration space, and (with offset 0) after a reset or restore. */
  configured?(offset: number, size: AccessSize): void;
}
