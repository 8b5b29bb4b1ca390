/**
 * The BIOS: power-on set-up, boot, and the dispatch from ROM stubs to services.
 *
 * Contract with the board. The board maps {@link rom} at 0xF0000 (read-only) and starts the processor at F000:FFF0. When an instruction writes
 * {@link BIOS_TRAP_PORT}, the board ends the translation unit with EIP behind the OUT and calls {@link Bios.trap}, which serves stubs of the ROM only: elsewhere the port has no
 * meaning. The service may change any register and EIP. For a guest that is not booted from a disk the
 * board calls {@link Bios.powerOn} itself and then applies the loader's BootState: the devices and the BIOS data area are then as after POST.
 */
import { BiosCall, Seg, type BiosCpu } from './bios-cpu';
import { DriveService } from './drives';
import { bootEntry, readDisc } from './el-torito';
import type { BiosHost } from './host';
import { KeyService } from './keys';
import { BDA, BOOT_ADDRESS, ROM_BASE, ROM_SEGMENT } from './layout';
import { PciService } from './pci';
import { PointingService } from './pointing';
import { RomTable, Trap, rom, vectorOffset } from './rom';
import { SystemService } from './system';
import { TimeService } from './time';
import { VideoService } from './video';
import { CMOS } from '../../devices/rtc';
import { SECTOR_BYTES } from '../images/disk-file';
import { CONVENTIONAL_END, EBDA, EBDA_BYTES } from '../loaders/memory-map';

/**
 * Port writes that bring the chips into the state that programs find: timer at 18.2 Hz; 8259 vectors 08h and 70h, IRQ 0, 1, 2 and 6 open; DMA cascade open.
 * The timer comes first: ICW1 forgets the edge that programming it makes.
 */
const chipSetUp: readonly (readonly [number, number])[] = [
  [0x43, 0x34], [0x40, 0], [0x40, 0], [0x43, 0x54], [0x41, 0x12], [0x43, 0xb6], [0x42, 0], [0x42, 0], [0x61, 0],
  [0x20, 0x11], [0xa0, 0x11], [0x21, 0x08], [0xa1, 0x70], [0x21, 0x04], [0xa1, 0x02], [0x21, 0x01], [0xa1, 0x01], [0x21, 0xb8], [0xa1, 0xff],
  [0x0d, 0], [0xda, 0], [0xd6, 0xc0], [0xd4, 0],
];

/** Boot devices by their code in CMOS; without a number it is the CD drive. */
const bootDevices: Readonly<Record<number, { readonly name: string; readonly number?: number }>> = {
  1: { name: 'Floppy', number: 0x00 }, 2: { name: 'Hard disk', number: 0x80 }, 3: { name: 'CD' },
};
/** Below are the interrupt vectors and the BIOS data area. */
const BOOT_LOWEST = 0x600;

const serialBases = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/** AH of the pointing device's functions of INT 15h. */
const POINTING_DEVICE = 0xc2;
/** AH of the PCI functions of INT 1Ah. */
const PCI_BIOS = 0xb1;

const exceptionNames: Readonly<Record<number, string>> = {
  0: 'divide error', 1: 'debug exception', 3: 'breakpoint', 4: 'overflow', 6: 'invalid opcode', 7: 'no coprocessor', 0x0a: 'invalid TSS', 0x0b: 'segment not present',
  0x0c: 'stack fault', 0x0d: 'general protection fault', 0x0e: 'page fault', 0x0f: 'vector 0Fh',
};

const hex4 = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');

export class Bios {
  readonly rom = rom.bytes;

  private readonly video: VideoService;
  private readonly drives: DriveService;
  private readonly keys: KeyService;
  private readonly time: TimeService;
  private readonly system: SystemService;
  private readonly pci: PciService;
  private readonly pointing: PointingService;
  /** Exceptions already reported: a fault without a handler repeats for ever. */
  private readonly reported = new Set<number>();
  private readonly services: ReadonlyMap<number, (c: BiosCall) => void>;

  constructor(private readonly host: BiosHost) {
    this.video = new VideoService(host);
    this.drives = new DriveService(host);
    this.keys = new KeyService(host);
    this.time = new TimeService(host);
    this.system = new SystemService(host, this.time);
    this.pci = new PciService(host);
    this.pointing = new PointingService(host);
    this.services = new Map<number, (c: BiosCall) => void>([
      [0x10, (c) => this.video.call(c)],
      [0x11, (c) => this.system.equipment(c)],
      [0x12, (c) => this.system.conventionalMemory(c)],
      [0x13, (c) => this.drives.call(c)],
      [0x14, (c) => this.system.serial(c)],
      [0x15, (c) => (c.ah === POINTING_DEVICE ? this.pointing.call(c) : this.system.call(c))],
      [Trap.mouse, (c) => this.pointing.interrupt(c)],
      [0x16, (c) => this.keys.call(c)],
      [0x17, (c) => this.system.printer(c)],
      [0x1a, (c) => (c.ah === PCI_BIOS ? this.pci.call(c) : this.time.call(c))],
      [Trap.vbeWindow, (c) => { this.video.vbe.window(c); }],
      [Trap.post, () => this.powerOn()],
      [Trap.tick, () => this.time.tick()],
      [Trap.key, (c) => this.keys.key(c)],
      [Trap.rtc, (c) => this.time.rtcInterrupt(c)],
      [Trap.boot, (c) => this.boot(c)],
      [Trap.noBoot, () => this.video.print('\nNo bootable device.\n')],
    ]);
  }

  /** Serves the stub whose OUT ends at CS:EIP. False when there is none: the guest wrote the port by other means, and nothing happens. */
  trap(cpu: BiosCpu): boolean {
    const offset = cpu.segmentBase(Seg.CS) + cpu.getEip() - ROM_BASE;
    const trap = rom.traps.get(offset);
    if (trap === undefined) return false;
    this.call(trap, cpu);
    return true;
  }

  /** Runs a service: an interrupt vector, or one of {@link Trap}. */
  call(trap: number, cpu: BiosCpu): void {
    const call = new BiosCall(cpu, this.host.memory);
    const service = this.services.get(trap);
    if (service !== undefined) service(call);
    else if (trap >= Trap.unexpected) this.unexpected(trap - Trap.unexpected, call);
  }

  /** Power-on set-up: chips, interrupt vectors, data areas, text mode 3. Needs no processor. */
  powerOn(): void {
    const { host } = this;
    const { memory } = host;
    for (const [port, value] of chipSetUp) host.writePort(port, value);
    this.setUpKeyboard();
    this.drives.initialize();
    this.pci.initialize();
    for (const { address, bytes } of host.tables) memory.writeBytes(address, bytes);
    // Interrupt vectors; those from 60h to 67h and from F1h are left to programs.
    for (let vector = 0; vector < 0x100; vector++) {
      const free = (vector >= 0x60 && vector <= 0x67) || vector >= 0xf1;
      memory.write32(4 * vector, free ? 0 : ((ROM_SEGMENT << 16) | vectorOffset(vector)) >>> 0);
    }
    const tables: readonly (readonly [number, number])[] = [[0x1d, RomTable.videoParameters], [0x1e, RomTable.diskette], [0x1f, RomTable.wholeFont8x8 + 0x400]];
    for (const [vector, offset] of tables) memory.write32(4 * vector, ((ROM_SEGMENT << 16) | offset) >>> 0);
    memory.write32(4 * 0x40, ((ROM_SEGMENT << 16) | vectorOffset(0x13)) >>> 0);
    const warmBoot = memory.read16(BDA.warmBoot);
    memory.writeBytes(0x400, new Uint8Array(0x100));
    memory.write16(BDA.warmBoot, warmBoot);
    memory.writeBytes(EBDA, new Uint8Array(EBDA_BYTES));
    memory.write8(EBDA, EBDA_BYTES >> 10);
    const serial = this.setUpSerialPorts();
    serial.forEach((base, n) => memory.write16(BDA.comPorts + 2 * n, base));
    memory.write16(BDA.ebdaSegment, EBDA >> 4);
    memory.write16(BDA.memoryKiB, CONVENTIONAL_END >> 10);
    const floppy = host.drives.has(0) ? 1 : 0;
    // Equipment: diskette drive, coprocessor, pointing device, 80×25 colour, serial ports.
    memory.write16(BDA.equipment, floppy | 0x02 | 0x20 | serial.length << 9 | 4);
    memory.write8(BDA.diskCount, this.drives.hardDisks);
    memory.writeBytes(BDA.lptTimeouts, Uint8Array.of(0x14, 0x14, 0x14, 0x14, 1, 1, 1, 1));
    this.keys.initialize();
    this.time.initialize();
    this.diskTable();
    this.video.setMode(3);
    this.reported.clear();
  }

  /** The ports that are there (their scratch register keeps a byte), at 115,200 bits a second, 8N1: most programs write to them without programming them first. */
  private setUpSerialPorts(): number[] {
    const { host } = this;
    return serialBases.filter((base) => {
      host.writePort(base + 7, 0x5a);
      if (host.readPort(base + 7) !== 0x5a) return false;
      for (const [register, value] of [[3, 0x83], [0, 1], [1, 0], [3, 0x03], [4, 0x03], [7, 0]]) host.writePort(base + register, value);
      return true;
    });
  }

  /** A restart may find the keyboard controller in any state. */
  private setUpKeyboard(): void {
    const { host } = this;
    for (let n = 0; n < 32 && host.readPort(0x64) & 1; n++) host.readPort(0x60);
    for (const [port, value] of [[0x64, 0x60], [0x60, 0x65], [0x64, 0xae]]) host.writePort(port, value);
    host.writePort(0x92, 0x02);
  }

  /** Fixed disk parameter table behind INT 41h. */
  private diskTable(): void {
    const drive = this.host.drives.get(0x80);
    const { memory } = this.host;
    const table = EBDA + 0x3d;
    memory.write32(4 * 0x41, ((EBDA >> 4) << 16 | 0x3d) >>> 0);
    if (drive === undefined) return;
    const { cylinders, heads, sectorsPerTrack } = drive.geometry;
    memory.write16(table, cylinders);
    memory.write8(table + 2, heads);
    memory.write16(table + 5, 0xffff);
    memory.write8(table + 8, heads > 8 ? 0x08 : 0);
    memory.write16(table + 12, cylinders);
    memory.write8(table + 14, sectorsPerTrack);
  }

  private cmos(index: number): number {
    this.host.writePort(0x70, index);
    return this.host.readPort(0x71);
  }

  /** INT 19h: the first device of the boot order that has something to boot. What is passed over is told. */
  private boot(c: BiosCall): void {
    const order = this.cmos(CMOS.bootOrder1), third = this.cmos(CMOS.bootOrder2) >> 4;
    for (const code of [order & 15, order >> 4, third]) {
      const device = bootDevices[code];
      const refusal = device === undefined ? undefined : device.number === undefined ? this.bootDisc(c) : this.bootSector(c, device.number);
      if (refusal === undefined) continue;
      if (refusal === '') return;
      this.video.print(`\n${device!.name}: not a bootable disk (${refusal}).`);
    }
    c.jump(rom.labels.get('bootFailed')!);
  }

  /** Undefined without such a drive, '' when its first sector has been loaded, else why not. */
  private bootSector(c: BiosCall, number: number): string | undefined {
    const drive = this.drives.drive(number);
    if (drive === undefined || drive.disk.sectors === 0) return undefined;
    let sector: Uint8Array;
    try {
      sector = drive.disk.read(0, 1);
    } catch {
      return 'its first sector cannot be read';
    }
    if (sector[510] !== 0x55 || sector[511] !== 0xaa) return 'no 55AA signature';
    this.host.memory.writeBytes(BOOT_ADDRESS, sector);
    c.dx = number;
    c.pushFar(0, BOOT_ADDRESS);
    return '';
  }

  /** As {@link bootSector}, for the CD drive. */
  private bootDisc(c: BiosCall): string | undefined {
    const { disc, memory } = this.host;
    if (disc === undefined) return undefined;
    const entry = bootEntry(disc);
    if (typeof entry === 'string') return entry;
    // An emulated drive is booted from its first sector, as the drive itself would be.
    const bytes = SECTOR_BYTES * (entry.media === 0 ? entry.sectorCount : 1), address = entry.loadSegment << 4;
    if (address < BOOT_LOWEST || address + bytes > CONVENTIONAL_END) return `its image of ${bytes} bytes does not fit into memory at segment ${hex4(entry.loadSegment)}h`;
    memory.writeBytes(address, readDisc(disc, entry.start, bytes));
    c.dx = this.drives.bootFromCd(entry, disc);
    c.pushFar((address >> 4) & 0xf000, address & 0xffff);
    return '';
  }

  /** An interrupt or exception without a handler. Interrupts are ended at the controllers; an exception is reported once. */
  private unexpected(vector: number, c: BiosCall): void {
    const { host } = this;
    const slave = vector >= 0x70;
    const irq = slave ? vector - 0x70 : vector - 8;
    if (irq >= 0) {
      const command = slave ? 0xa0 : 0x20;
      host.writePort(command, 0x0b);
      if (host.readPort(command) & (1 << irq)) {
        host.writePort(command, 0x20);
        if (slave) host.writePort(0x20, 0x20);
        return;
      }
      if (slave) return;
    }
    if (this.reported.has(vector)) return;
    this.reported.add(vector);
    const { cs, ip } = c.caller;
    host.log(`BIOS: ${exceptionNames[vector] ?? `interrupt ${vector.toString(16)}h`} at ${hex4(cs)}:${hex4(ip)}, and the guest has set no handler for vector ${hex4(vector).slice(2)}h`);
  }

  save(): unknown {
    return { time: this.time.save(), reported: [...this.reported] };
  }

  restore(state: unknown): void {
    const saved = state as { time: unknown; reported: number[] };
    this.time.restore(saved.time);
    this.reported.clear();
    for (const vector of saved.reported) this.reported.add(vector);
  }
}
