/**
 * What the machine starts with: the BIOS and its drives, and either a boot through the BIOS or a loader's state. Also the door through which
 * the BIOS's ROM reaches its services.
 */
import type { MachineConfiguration } from '../../protocol/messages';
import type { Cpu } from '../cpu/cpu';
import { Segment } from '../cpu/layout';
import type { Clock } from '../devices/device';
import type { PhysicalMemory, PhysicalOptions } from '../mmu/physical-memory';
import { Bios } from './bios/bios';
import type { BiosCpu } from './bios/bios-cpu';
import type { BiosDrive } from './bios/host';
import { BIOS_TRAP_PORT, BOOT_ADDRESS, ROM_BASE, ROM_BYTES } from './bios/layout';
import type { Board } from './board';
import { floppyDisk, hardDiskGeometry, MemoryDisk } from './disk';

export interface FirmwareEnvironment {
  readonly cpu: Cpu;
  readonly memory: PhysicalMemory;
  readonly clock: Clock;
  readonly board: Board;
  log(text: string): void;
}

/** Graphics memory (no graphics modes yet) and the area of option ROMs: nothing answers there. */
const holes = [{ first: 0xa0000, last: 0xaffff }, { first: 0xc0000, last: 0xeffff }] as const;
const TOP_OF_MEMORY = 0xffffffff;

/** Drives of a configuration by BIOS number. */
function drivesOf(configuration: MachineConfiguration): Map<number, BiosDrive> {
  const drives = new Map<number, BiosDrive>();
  const { floppy, hardDisk } = configuration;
  if (floppy) drives.set(0x00, floppyDisk(floppy));
  if (hardDisk) {
    const disk = new MemoryDisk(hardDisk);
    drives.set(0x80, { disk, geometry: hardDiskGeometry(disk) });
  }
  return drives;
}

export class Firmware {
  private readonly bios: Bios;
  private readonly biosCpu: BiosCpu;

  constructor(private readonly configuration: MachineConfiguration, private readonly environment: FirmwareEnvironment) {
    const { cpu, memory, clock, board } = environment;
    this.bios = new Bios({
      memory, clock, drives: drivesOf(configuration),
      readPort: (port) => board.ports.read(port, 1),
      writePort: (port, value) => board.ports.write(port, value, 1),
      log: (text) => environment.log(text),
    });
    this.biosCpu = {
      getRegister: (n) => cpu.state.get32(n),
      setRegister: (n, value) => cpu.state.set32(n, value),
      selector: (n) => cpu.state.selector(n),
      segmentBase: (n) => cpu.state.base(n),
      loadRealSegment: (n, selector) => cpu.setRealModeSegment(n, selector),
      getEip: () => cpu.state.eip,
      setEip: (value) => { cpu.state.eip = value; },
    };
  }

  /** The ROM stands below 1 MiB and, as behind any PC's reset vector, below 4 GiB. */
  static memoryMap(): Pick<PhysicalOptions, 'rom' | 'holes'> {
    return {
      rom: [
        { first: ROM_BASE, last: ROM_BASE + ROM_BYTES - 1 },
        { first: TOP_OF_MEMORY - ROM_BYTES + 1, last: TOP_OF_MEMORY, backing: ROM_BASE },
      ],
      holes,
    };
  }

  /** Fills memory and sets the processor's first state; both are as after power-on. */
  load(): void {
    const { cpu, memory } = this.environment;
    memory.patch(ROM_BASE, this.bios.rom);
    if (this.configuration.boot === 'flat') {
      this.bios.powerOn();
      const address = this.configuration.loadAddress ?? BOOT_ADDRESS;
      memory.writeBytes(address, this.configuration.image);
      for (const n of [Segment.CS, Segment.DS, Segment.ES, Segment.SS]) cpu.setRealModeSegment(n, 0);
      cpu.state.setSegment(Segment.CS, 0, 0, 0xffff, 0x93);
      cpu.state.eip = this.configuration.entry ?? address;
      cpu.state.set32(4, BOOT_ADDRESS);
      cpu.state.set32(2, 0x80);
    }
  }

  /** After a reset pulse: through the BIOS again, whatever was loaded first. */
  restart(): void {
    this.environment.memory.patch(ROM_BASE, this.bios.rom);
  }

  /** Serves a write of the BIOS's trap port by its ROM. False: an ordinary port write. */
  portWrite(port: number): boolean {
    if (port !== BIOS_TRAP_PORT) return false;
    const { state } = this.environment.cpu;
    const linear = state.linear(Segment.CS, state.eip);
    return linear >= ROM_BASE && linear < ROM_BASE + ROM_BYTES && this.bios.trap(this.biosCpu);
  }
}
