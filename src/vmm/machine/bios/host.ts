/** What the BIOS needs of the board besides the processor. */
import type { AccessSize, Clock, DiskImage, PhysicalBytes } from '../../devices/device';
import type { PciBus } from '../../devices/pci/bus';
import type { PlacedTable } from '../acpi/placement';
import type { Geometry } from '../disk';

export interface BiosDrive {
  readonly disk: DiskImage;
  readonly geometry: Geometry;
  /** CMOS type of a floppy drive (AH=08h answers it); undefined for a hard disk. */
  readonly cmosType?: number;
  /** Writing is refused as for a protected medium. */
  readonly readOnly?: boolean;
}

export interface BiosHost {
  readonly memory: PhysicalBytes;
  readonly clock: Clock;
  /** Ports, as IN and OUT reach them: the services program the same devices as the guest. */
  readPort(port: number, size?: AccessSize): number;
  writePort(port: number, value: number, size?: AccessSize): void;
  /** 0x00 drive A, 0x80 the first hard disk. */
  readonly drives: ReadonlyMap<number, BiosDrive>;
  /** The disc in the CD drive, in sectors of 2048 bytes. */
  readonly disc?: DiskImage;
  readonly pci: Pick<PciBus, 'functions' | 'readConfiguration' | 'writeConfiguration'>;
  /** Tables for the operating system, where the memory map has room for them. */
  readonly tables: readonly PlacedTable[];
  /** Lines for the person in front of the machine. */
  log(text: string): void;
}
