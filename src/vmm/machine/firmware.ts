/**
 * What the machine starts with: the BIOS and its drives, and either a boot through the BIOS or a loader's state. Also the door through which
 * the BIOS's ROM reaches its services.
 */
import type { Cpu } from '../cpu/cpu';
import { Segment } from '../cpu/layout';
import type { Clock } from '../devices/device';
import type { PhysicalMemory, PhysicalOptions } from '../mmu/physical-memory';
import { firmwareTables, type FirmwareTableOptions } from './acpi/placement';
import { Bios } from './bios/bios';
import type { BiosCpu } from './bios/bios-cpu';
import { BIOS_TRAP_PORT, ROM_BASE, ROM_BYTES } from './bios/layout';
import type { Board } from './board';
import type { Drives } from './drives';
import type { BootState } from './loaders/boot-state';

export interface FirmwareEnvironment {
  readonly cpu: Cpu;
  readonly memory: PhysicalMemory;
  readonly clock: Clock;
  readonly board: Board;
  readonly drives: Drives;
  readonly tables: FirmwareTableOptions;
  log(text: string): void;
  /** A BIOS image in the place of the built-in BIOS. */
  readonly bios?: Uint8Array;
}

/** Between conventional memory and the ROM is no RAM: the display's window comes and goes, and the area of option ROMs is empty. */
const holes = [{ first: 0xa0000, last: 0xeffff }] as const;
const TOP_OF_MEMORY = 0xffffffff;
const ROM_END = 0x100000, LOW_ROM_BYTES = 0x20000;

export class Firmware {
  private readonly bios: Bios;
  private readonly biosCpu: BiosCpu;

  constructor(private readonly boot: BootState, private readonly environment: FirmwareEnvironment) {
    const { cpu, memory, clock, board } = environment;
    this.bios = new Bios({
      memory, clock, drives: environment.drives.biosDrives(), disc: environment.drives.disc, pci: board.pci, tables: firmwareTables(environment.tables),
      readPort: (port, size = 1) => board.ports.read(port, size),
      writePort: (port, value, size = 1) => board.ports.write(port, value, size),
      log: (text) => environment.log(text),
    });
    this.biosCpu = {
      getRegister: (n) => cpu.state.get32(n),
      setRegister: (n, value) => cpu.state.set32(n, value),
      segmentBase: (n) => cpu.state.base(n),
      loadRealSegment: (n, selector) => cpu.setRealModeSegment(n, selector),
      getEip: () => cpu.state.eip,
      setEip: (value) => { cpu.state.eip = value; },
    };
  }

  /**
   * The ROM ends below 4 GiB, as behind any PC's reset vector, and its last 128 KiB stand below 1 MiB as well, where shadow RAM can take their place.
   * @param backing where its bytes are, counted from the start of RAM.
   */
  static memoryMap(backing: number, romBytes: number): Pick<PhysicalOptions, 'rom' | 'holes'> {
    const low = Math.min(romBytes, LOW_ROM_BYTES);
    return {
      rom: [
        { first: ROM_END - low, last: ROM_END - 1, backing: backing + romBytes - low },
        { first: TOP_OF_MEMORY - romBytes + 1, last: TOP_OF_MEMORY, backing },
      ],
      holes,
    };
  }

  /** Fills memory and sets the processor's first state. Processor and devices are as after power-on or reset. */
  load(): void {
    const { cpu, memory } = this.environment;
    const { registers, chunks } = this.boot;
    const rom = this.environment.bios ?? this.bios.rom;
    memory.patch(TOP_OF_MEMORY - rom.length + 1, rom);
    // Without registers of its own the processor goes through the reset vector, and the BIOS boots from the drives.
    if (!registers) return;
    this.bios.powerOn();
    for (const { address, bytes, zeroBytes } of chunks) {
      memory.writeBytes(address, bytes);
      if (zeroBytes) memory.writeBytes(address + bytes.length, new Uint8Array(zeroBytes));
    }
    const { state } = cpu;
    registers.general.forEach((value, n) => state.set32(n, value));
    registers.segments.forEach(({ selector, base, limit, attributes }, n) => cpu.setSegment(n, selector, base, limit, attributes));
    state.eip = registers.eip;
    state.eflags = registers.eflags;
    if (registers.gdtr) state.setGdtr(registers.gdtr.base, registers.gdtr.limit);
    state.cr3 = registers.cr3 ?? 0;
    state.cr4 = registers.cr4 ?? 0;
    state.efer = registers.efer ?? 0;
    state.cr0 = registers.cr0;
    cpu.pagingChanged('cr0');
  }

  /** Serves a write of the BIOS's trap port by its ROM. False: an ordinary port write. */
  portWrite(port: number): boolean {
    if (port !== BIOS_TRAP_PORT || this.environment.bios) return false;
    const { state } = this.environment.cpu;
    const linear = state.linear(Segment.CS, state.eip);
    return linear >= ROM_BASE && linear < ROM_BASE + ROM_BYTES && this.bios.trap(this.biosCpu);
  }
}
