/** What the machine starts with: the image in memory and the processor's first state. */
import type { MachineConfiguration } from '../../protocol/messages';
import type { Cpu } from '../cpu/cpu';
import { Segment } from '../cpu/layout';
import type { Clock } from '../devices/device';
import type { PhysicalMemory, PhysicalOptions } from '../mmu/physical-memory';
import type { Board } from './board';

export interface FirmwareEnvironment {
  readonly cpu: Cpu;
  readonly memory: PhysicalMemory;
  readonly clock: Clock;
  readonly board: Board;
}

export class Firmware {
  constructor(private readonly configuration: MachineConfiguration, private readonly environment: FirmwareEnvironment) {}

  static memoryMap(_ramBytes: number): Pick<PhysicalOptions, 'rom' | 'holes'> { return {}; }
  static hasFloppy(_configuration: MachineConfiguration): boolean { return false; }
  static hasHardDisk(_configuration: MachineConfiguration): boolean { return true; }

  load(): void {
    const { cpu, memory } = this.environment;
    const address = this.configuration.loadAddress ?? 0x7c00;
    memory.writeBytes(address, this.configuration.image);
    cpu.setRealModeSegment(Segment.CS, 0);
    cpu.state.setSegment(Segment.CS, 0, 0, 0xffff, 0x93);
    cpu.state.eip = this.configuration.entry ?? address;
    cpu.state.set32(4, 0x7c00);
  }
  restart(): void { this.load(); }
  portWrite(_port: number): boolean { return false; }
}
