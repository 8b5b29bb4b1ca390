/**
 * INT 13h: sectors of the floppy, the hard disks and the CD, by cylinder, head and sector or by the extensions' block number. Transfers are complete when the call returns.
 * Every number comes from the guest: what is outside the disk or memory is answered with an error code in AH and the BIOS data area.
 */
import type { DiskImage } from '../../devices/device';
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import { emulatedDrive, type BootEntry } from './el-torito';
import type { BiosDrive, BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { RomTable } from './rom';
import { SECTOR_BYTES } from '../images/disk-file';

/** Status codes of INT 13h. */
export const DiskStatus = {
  ok: 0x00, badCommand: 0x01, writeProtected: 0x03, sectorNotFound: 0x04, boundary: 0x09, unreadable: 0x10, timeout: 0x80, removalRefused: 0xb2, writeFault: 0xcc,
} as const;

/** Most sectors of one call: 64 KiB, and what the extensions' one-byte count can hold. */
const SECTORS_MAX = 128;
const HARD_DISK = 0x80;
/** Number of the CD drive while it is booted from without emulation. */
export const CD_DRIVE = 0xe0;
/** Bytes of the specification packet of AH=4Bh. */
const SPECIFICATION_BYTES = 0x13;

type Direction = 'read' | 'write' | 'verify';

/** What was booted from a CD, for AH=4Bh. */
interface CdBoot extends BootEntry {
  readonly drive: number;
}

export class DriveService {
  /** Drives by number. A CD that emulates one takes the first number, and moves the others up. */
  private drives = new Map<number, BiosDrive>();
  private cdBoot: CdBoot | undefined;

  constructor(private readonly host: BiosHost) {}

  /** Numbers as after power-on. */
  initialize(): void {
    this.drives = new Map(this.host.drives);
    this.cdBoot = undefined;
  }

  drive(number: number): BiosDrive | undefined {
    return this.drives.get(number);
  }

  /** Gives the disc its number, or the drive that it emulates; the number. */
  bootFromCd(entry: BootEntry, disc: DiskImage): number {
    const emulated = emulatedDrive(disc, entry);
    const number = emulated === undefined ? CD_DRIVE : entry.media < 4 ? 0 : HARD_DISK;
    if (emulated === undefined) {
      this.drives.set(CD_DRIVE, { disk: disc, geometry: { cylinders: 0, heads: 0, sectorsPerTrack: 0 }, readOnly: true });
    } else {
      const moved = [...this.drives].map(([n, drive]): [number, BiosDrive] => [(n & HARD_DISK) === number ? n + 1 : n, drive]);
      this.drives = new Map([[number, emulated], ...moved]);
      this.host.memory.write8(BDA.diskCount, this.hardDisks);
    }
    this.cdBoot = { ...entry, drive: number };
    return number;
  }

  get hardDisks(): number {
    return [...this.drives.keys()].filter((n) => n >= HARD_DISK && n < CD_DRIVE).length;
  }

  private get floppies(): number {
    return [...this.drives.keys()].filter((n) => n < HARD_DISK).length;
  }

  call(c: BiosCall): void {
    const statusAddress = c.dl < HARD_DISK ? BDA.floppyStatus : BDA.diskStatus;
    if (c.ah === 0x01) {
      const last = this.host.memory.read8(statusAddress);
      c.ax = last << 8;
      c.carry = last !== 0;
      return;
    }
    const status = c.ah === 0x4b ? this.emulation(c) : this.dispatch(c, this.drives.get(c.dl));
    if (status === undefined) return;
    this.host.memory.write8(statusAddress, status);
    c.ah = status;
    c.carry = status !== DiskStatus.ok;
  }

  /** The status to return, or undefined when the function has set AH and carry itself. */
  private dispatch(c: BiosCall, drive: BiosDrive | undefined): number | undefined {
    const hard = c.dl >= HARD_DISK;
    if (c.dl >= CD_DRIVE && drive !== undefined) return this.disc(c, drive);
    if (c.ah === 0x08) return this.parameters(c, drive);
    if (c.ah === 0x15) return this.driveType(c, drive);
    if (drive === undefined) {
      // A reset of a missing floppy drive resets the controller, which is there.
      if (c.ah === 0x00 && !hard) return DiskStatus.ok;
      if (c.ah >= 0x02 && c.ah <= 0x04) c.al = 0;
      return hard ? DiskStatus.badCommand : DiskStatus.timeout;
    }
    switch (c.ah) {
      case 0x00: case 0x0d: return DiskStatus.ok;
      case 0x02: return this.transferChs(c, drive, 'read');
      case 0x03: return this.transferChs(c, drive, 'write');
      case 0x04: return this.transferChs(c, drive, 'verify');
      case 0x05: return this.format(c, drive);
      case 0x16: return hard ? DiskStatus.badCommand : DiskStatus.ok; // the diskette has not been changed
      case 0x17: return hard ? DiskStatus.badCommand : DiskStatus.ok;
      case 0x18: return this.mediaType(c, drive);
      default: break;
    }
    if (!hard) return DiskStatus.badCommand;
    switch (c.ah) {
      case 0x09: case 0x0c: case 0x10: case 0x11: case 0x14: return DiskStatus.ok;
      case 0x41: return this.extensionsPresent(c);
      case 0x42: return this.transferBlocks(c, drive, 'read');
      case 0x43: return this.transferBlocks(c, drive, 'write');
      case 0x44: return this.transferBlocks(c, drive, 'verify');
      case 0x47: return this.transferBlocks(c, drive, undefined);
      case 0x48: return this.extendedParameters(c, drive);
      default: return DiskStatus.badCommand; // the medium is not removable: nothing to lock or eject
    }
  }

  /** The CD drive knows the extensions only: its sectors are no cylinders and heads. */
  private disc(c: BiosCall, drive: BiosDrive): number | undefined {
    switch (c.ah) {
      case 0x00: case 0x0d: case 0x10: case 0x11: case 0x49: return DiskStatus.ok;
      case 0x15: return this.driveType(c, undefined);
      case 0x41: return this.extensionsPresent(c);
      case 0x42: return this.transferBlocks(c, drive, 'read');
      case 0x43: return DiskStatus.writeProtected;
      case 0x44: return this.transferBlocks(c, drive, 'verify');
      case 0x45:
        // Locking is noted nowhere, because ejecting is refused in any case.
        c.al = c.al === 2 ? 1 : 0;
        return DiskStatus.ok;
      case 0x46: return DiskStatus.removalRefused;
      case 0x47: return this.transferBlocks(c, drive, undefined);
      case 0x48: return this.extendedParameters(c, drive);
      default: return DiskStatus.badCommand;
    }
  }

  /** AH=41h. Version 1.x; subset 0: 42h–44h, 47h, 48h; for removable media 45h, 46h and 49h, too. */
  private extensionsPresent(c: BiosCall): number | undefined {
    if (c.bx !== 0x55aa) return DiskStatus.badCommand;
    c.bx = 0xaa55;
    c.ah = 0x21;
    c.cx = c.dl >= CD_DRIVE ? 3 : 1;
    c.carry = false;
    this.host.memory.write8(BDA.diskStatus, 0);
    return undefined;
  }

  /** AH=4Bh: tells what was booted from a CD (AL=1), or ends the emulation (AL=0). */
  private emulation(c: BiosCall): number {
    const { cdBoot, host: { memory } } = this;
    if (c.al > 1 || cdBoot === undefined || (c.dl !== cdBoot.drive && c.dl !== 0x7f)) return DiskStatus.badCommand;
    const packet = c.address(Seg.DS, c.si);
    if (packet + SPECIFICATION_BYTES > memory.ramBytes) return DiskStatus.badCommand;
    const { cylinders, heads, sectorsPerTrack } = this.drives.get(cdBoot.drive)!.geometry;
    const last = Math.max(0, cylinders - 1);
    memory.writeBytes(packet, new Uint8Array(SPECIFICATION_BYTES));
    memory.write8(packet, SPECIFICATION_BYTES);
    memory.write8(packet + 1, cdBoot.media);
    memory.write8(packet + 2, cdBoot.drive);
    memory.write32(packet + 4, cdBoot.start);
    memory.write16(packet + 0x0c, cdBoot.loadSegment);
    memory.write16(packet + 0x0e, cdBoot.sectorCount);
    if (cdBoot.media !== 0) {
      memory.write8(packet + 0x10, last & 0xff);
      memory.write8(packet + 0x11, (sectorsPerTrack & 0x3f) | ((last >> 2) & 0xc0));
      memory.write8(packet + 0x12, heads - 1);
    }
    if (c.al === 0 && cdBoot.media !== 0) this.initialize();
    return DiskStatus.ok;
  }

  /** Moves sectors that are known to exist. Memory must hold them all. A damaged image answers as a bad sector would. */
  private move(drive: BiosDrive, direction: Direction, sector: number, count: number, address: number): number {
    const bytes = count * drive.disk.sectorSize;
    const { memory } = this.host;
    if (direction === 'write' && drive.readOnly) return DiskStatus.writeProtected;
    if (direction !== 'verify' && address + bytes > memory.ramBytes) return DiskStatus.boundary;
    try {
      if (direction === 'write') drive.disk.write(sector, memory.readBytes(address, bytes).slice());
      else {
        const read = drive.disk.read(sector, count);
        if (direction === 'read') memory.writeBytes(address, read);
      }
    } catch {
      return direction === 'write' ? DiskStatus.writeFault : DiskStatus.unreadable;
    }
    return DiskStatus.ok;
  }

  private transferChs(c: BiosCall, drive: BiosDrive, direction: Direction): number {
    const count = c.al;
    c.al = 0;
    const sectorNumber = c.cl & 0x3f;
    if (count === 0 || count > SECTORS_MAX || sectorNumber === 0) return DiskStatus.badCommand;
    const sector = this.fromChs(drive, c.ch | (c.cl & 0xc0) << 2, c.dh, sectorNumber);
    if (sector === undefined || sector + count > drive.disk.sectors) return DiskStatus.sectorNotFound;
    const status = this.move(drive, direction, sector, count, c.address(Seg.ES, c.bx));
    if (status === DiskStatus.ok) c.al = count;
    return status;
  }

  /** Undefined outside the disk. The partial cylinder at the end of an image that is not a whole number of them can be addressed. */
  private fromChs({ disk, geometry }: BiosDrive, cylinder: number, head: number, sector: number): number | undefined {
    if (head >= geometry.heads || sector > geometry.sectorsPerTrack) return undefined;
    const block = (cylinder * geometry.heads + head) * geometry.sectorsPerTrack + sector - 1;
    return block < disk.sectors ? block : undefined;
  }

  /** Formatting a diskette's track fills it; a hard disk's sectors stay as they are. */
  private format(c: BiosCall, drive: BiosDrive): number {
    const first = this.fromChs(drive, c.ch | (c.cl & 0xc0) << 2, c.dh, 1);
    if (first === undefined) return DiskStatus.sectorNotFound;
    if (c.dl >= HARD_DISK) return DiskStatus.ok;
    const count = Math.min(drive.geometry.sectorsPerTrack, drive.disk.sectors - first);
    if (drive.readOnly) return DiskStatus.writeProtected;
    if (count > 0) drive.disk.write(first, new Uint8Array(count * SECTOR_BYTES).fill(0xf6));
    return DiskStatus.ok;
  }

  private parameters(c: BiosCall, drive: BiosDrive | undefined): number {
    const hard = c.dl >= HARD_DISK;
    if (drive === undefined) {
      c.ax = 0;
      c.bx = 0;
      c.cx = 0;
      c.dx = hard ? this.hardDisks : this.floppies;
      return DiskStatus.badCommand;
    }
    const { cylinders, heads, sectorsPerTrack } = drive.geometry;
    const lastCylinder = cylinders - 1;
    c.al = 0;
    c.ch = lastCylinder & 0xff;
    c.cl = (sectorsPerTrack & 0x3f) | ((lastCylinder >> 2) & 0xc0);
    c.dh = heads - 1;
    c.dl = hard ? this.hardDisks : this.floppies;
    if (!hard) {
      c.bx = drive.cmosType ?? 0;
      c.di = RomTable.diskette;
      c.setEs(ROM_SEGMENT);
    }
    return DiskStatus.ok;
  }

  private driveType(c: BiosCall, drive: BiosDrive | undefined): undefined {
    const hard = c.dl >= HARD_DISK;
    c.carry = false;
    this.host.memory.write8(hard ? BDA.diskStatus : BDA.floppyStatus, 0);
    if (drive === undefined) {
      c.ax = 0;
      return undefined;
    }
    // 1 is a diskette drive without change line, 3 a hard disk with its size.
    c.ah = hard ? 3 : 1;
    if (hard) {
      const { cylinders, heads, sectorsPerTrack } = drive.geometry;
      const sectors = Math.min(cylinders * heads * sectorsPerTrack, drive.disk.sectors);
      c.cx = sectors >>> 16;
      c.dx = sectors & 0xffff;
    }
    return undefined;
  }

  private mediaType(c: BiosCall, drive: BiosDrive): number {
    const { cylinders, sectorsPerTrack } = drive.geometry;
    if (c.dl >= HARD_DISK) return DiskStatus.badCommand;
    if ((c.cl & 0x3f) !== sectorsPerTrack || (c.ch | (c.cl & 0xc0) << 2) !== cylinders - 1) return 0x0c; // unsupported track or media
    c.di = RomTable.diskette;
    c.setEs(ROM_SEGMENT);
    return DiskStatus.ok;
  }

  /** 42h, 43h, 44h, 47h with the disk address packet at DS:SI. Without a direction only the address is checked. */
  private transferBlocks(c: BiosCall, drive: BiosDrive, direction: Direction | undefined): number {
    const { memory } = this.host;
    const packet = c.address(Seg.DS, c.si);
    if (packet + 24 > memory.ramBytes || memory.read8(packet) < 16) return DiskStatus.badCommand;
    const count = memory.read16(packet + 2);
    const offset = memory.read16(packet + 4), segment = memory.read16(packet + 6);
    const blockHigh = memory.read32(packet + 12) >>> 0;
    const block = blockHigh * 0x100000000 + (memory.read32(packet + 8) >>> 0);
    let address = segment * 16 + offset;
    if (offset === 0xffff && segment === 0xffff && memory.read8(packet) >= 24) {
      const high = memory.read32(packet + 20) >>> 0;
      address = high === 0 ? memory.read32(packet + 16) >>> 0 : Infinity;
    }
    const fail = (status: number): number => {
      memory.write16(packet + 2, 0);
      return status;
    };
    if (direction === undefined) return block < drive.disk.sectors ? DiskStatus.ok : DiskStatus.sectorNotFound;
    if (count > SECTORS_MAX) return fail(DiskStatus.badCommand);
    if (block + count > drive.disk.sectors) return fail(DiskStatus.sectorNotFound);
    const status = this.move(drive, direction, block, count, address);
    return status === DiskStatus.ok ? status : fail(status);
  }

  private extendedParameters(c: BiosCall, drive: BiosDrive): number {
    const { memory } = this.host;
    const buffer = c.address(Seg.DS, c.si);
    if (buffer + 30 > memory.ramBytes) return DiskStatus.badCommand;
    const size = memory.read16(buffer);
    if (size < 26) return DiskStatus.badCommand;
    const { cylinders, heads, sectorsPerTrack } = drive.geometry;
    memory.write16(buffer, size >= 30 ? 30 : 26);
    memory.write16(buffer + 2, heads === 0 ? 0x74 : 2); // removable, lockable, change line; or: CHS values are valid
    memory.write32(buffer + 4, cylinders);
    memory.write32(buffer + 8, heads);
    memory.write32(buffer + 12, sectorsPerTrack);
    memory.write32(buffer + 16, drive.disk.sectors >>> 0);
    memory.write32(buffer + 20, Math.floor(drive.disk.sectors / 0x100000000));
    memory.write16(buffer + 24, drive.disk.sectorSize);
    if (size >= 30) memory.write32(buffer + 26, 0xffffffff); // no EDD configuration table
    return DiskStatus.ok;
  }
}
