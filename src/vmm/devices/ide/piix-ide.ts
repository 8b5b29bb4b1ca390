/**
 * The south bridge's IDE function (PIIX3, Intel 82371SB datasheet, 290550): two channels at the ports and interrupts of a PC/AT, switched on by their timing registers,
 * and the bus master behind BAR 4.
 */
import type { AccessSize, Clock, Device, DeviceRegister, DiskImage, Line, PciBar, PciFunction, PciLink, PhysicalBytes, PortRange } from '../device';
import { Command } from '../pci/configuration-space';
import { AtaDisk } from './ata-disk';
import { CdromDrive } from './cdrom';
import { IdeChannel, type MakeDrive } from './channel';

/** What hangs on the cables: a disk, or a CD drive with a disc or without one. */
export type IdeUnit = { readonly disk: DiskImage } | { readonly cdrom: DiskImage | undefined };

export interface PiixIdeOptions {
  readonly clock: Clock;
  readonly memory: PhysicalBytes;
  /** Interrupt controller inputs 14 and 15. */
  readonly irq: readonly [Line, Line];
  /** Primary first and second drive, secondary first and second drive. */
  readonly units: readonly [IdeUnit?, IdeUnit?, IdeUnit?, IdeUnit?];
}

const channelPorts = [{ command: 0x1f0, control: 0x3f6, name: 'Primary' }, { command: 0x170, control: 0x376, name: 'Secondary' }] as const;
const TIMING = 0x40, DECODE = 0x8000;
const statusFields = [
  { name: 'BSY', bit: 7, width: 1 }, { name: 'DRDY', bit: 6, width: 1 }, { name: 'DF', bit: 5, width: 1 }, { name: 'DSC', bit: 4, width: 1 }, { name: 'DRQ', bit: 3, width: 1 },
  { name: 'ERR', bit: 0, width: 1 },
] as const;

/** Rows of one channel, in the order of {@link IdeChannel.values}. */
function rowsOf({ command, control, name }: (typeof channelPorts)[number]): DeviceRegister[] {
  const row = (address: number, what: string, description: string, more: Partial<DeviceRegister> = {}): DeviceRegister => ({ address, name: `${name} ${what}`, description, ...more });
  return [
    row(command + 1, 'error', 'Why the last command failed', { fields: [{ name: 'UNC', bit: 6, width: 1 }, { name: 'IDNF', bit: 4, width: 1 }, { name: 'ABRT', bit: 2, width: 1 }] }),
    row(command + 1, 'features', 'Subcommand or option'),
    row(command + 2, 'sector count', 'Sectors to move; interrupt reason of a packet device'),
    row(command + 3, 'LBA low', 'Sector number, or address bits 0–7'),
    row(command + 4, 'LBA mid', 'Cylinder, or address bits 8–15; byte count of a packet device'),
    row(command + 5, 'LBA high', 'Cylinder, or address bits 16–23'),
    row(command + 6, 'device', 'Selects drive and addressing', { fields: [{ name: 'LBA', bit: 6, width: 1 }, { name: 'DEV', bit: 4, width: 1 }, { name: 'head', bit: 0, width: 4 }] }),
    row(command + 7, 'status', 'Of the selected drive', { fields: statusFields }),
    row(command + 7, 'command', 'The last command'),
    row(control, 'device control', 'Interrupt and reset of both drives', { fields: [{ name: 'HOB', bit: 7, width: 1 }, { name: 'SRST', bit: 2, width: 1 }, { name: 'nIEN', bit: 1, width: 1 }] }),
    row(0, 'bus master command', 'At BAR 4', { fields: [{ name: 'to memory', bit: 3, width: 1 }, { name: 'start', bit: 0, width: 1 }] }),
    row(2, 'bus master status', 'At BAR 4', { fields: [{ name: 'interrupt', bit: 2, width: 1 }, { name: 'error', bit: 1, width: 1 }, { name: 'active', bit: 0, width: 1 }] }),
    row(4, 'descriptor table', 'At BAR 4: guest-physical address of the regions to transfer', { bits: 32 }),
  ];
}

export class PiixIde implements Device, PciFunction {
  readonly id = 'ide';
  readonly title = 'PIIX3 IDE controller';
  readonly device = this;
  readonly slot = 1;
  readonly function = 1;
  readonly vendorId = 0x8086;
  readonly deviceId = 0x7010;
  readonly classCode = 0x010180;
  readonly subsystemVendorId = 0x1af4;
  readonly subsystemId = 0x1100;
  readonly extra = [
    { offset: TIMING, bytes: [0, 0, 0, 0], writable: [0xff, 0xff, 0xff, 0xff] },
    { offset: 0x44, bytes: [0], writable: [0xff] },
  ];
  readonly configurationRegisters: readonly DeviceRegister[] = [
    { address: 0x40, name: 'IDETIM primary', description: 'Timing; bit 15 switches the channel on', fields: [{ name: 'decode', bit: 15, width: 1 }] },
    { address: 0x42, name: 'IDETIM secondary', description: 'Timing; bit 15 switches the channel on', fields: [{ name: 'decode', bit: 15, width: 1 }] },
    { address: 0x44, name: 'SIDETIM', description: 'Timing of the second drives' },
  ];
  readonly registers: readonly DeviceRegister[] = channelPorts.flatMap(rowsOf);
  readonly ports: readonly PortRange[];
  readonly bars: readonly (PciBar | undefined)[];

  private readonly channels: readonly IdeChannel[];
  private link: PciLink | undefined;

  constructor({ clock, memory, irq, units }: PiixIdeOptions) {
    const isMaster = (): boolean => ((this.link?.command() ?? 0) & Command.master) !== 0;
    this.channels = [0, 1].map((n) => new IdeChannel({ clock, memory, irq: irq[n], isMaster, drives: [maker(units[2 * n], 2 * n), maker(units[2 * n + 1], 2 * n + 1)] }));
    this.ports = channelPorts.flatMap(({ command, control }, n): PortRange[] => {
      const channel = this.channels[n];
      const on = (): boolean => this.decodes(n);
      return [
        {
          first: command, last: command + 7, wide: true,
          read: (port, size) => (!on() ? ones(size) : port === command ? channel.readData(size) : perByte(port, size, (at) => channel.read(at - command))),
          write: (port, value, size) => {
            if (!on()) return;
            if (port === command) channel.writeData(value, size);
            else for (let i = 0; i < size && port + i < command + 8; i++) channel.write(port + i - command, (value >>> (8 * i)) & 0xff);
          },
        },
        {
          first: control, last: control,
          read: () => (on() ? channel.readControl() : 0xff),
          write: (_port, value) => {
            if (on()) channel.writeControl(value);
          },
        },
      ];
    });
    const master: PciBar = {
      kind: 'io', bytes: 16,
      read: (offset, size) => perByte(offset, size, (at) => this.channels[at >> 3].readMaster(at & 7)),
      write: (offset, value, size) => {
        for (let i = 0; i < size; i++) this.channels[(offset + i) >> 3].writeMaster((offset + i) & 7, (value >>> (8 * i)) & 0xff);
      },
    };
    this.bars = [undefined, undefined, undefined, undefined, master];
  }

  connect(link: PciLink): void {
    this.link = link;
  }

  private decodes(channel: number): boolean {
    const { link } = this;
    return link !== undefined && (link.command() & Command.io) !== 0 && (link.read(TIMING + 2 * channel, 2) & DECODE) !== 0;
  }

  registerValues(): readonly (number | undefined)[] {
    return this.channels.flatMap((channel) => channel.values());
  }

  reset(): void {
    for (const channel of this.channels) channel.reset();
  }

  save(): unknown {
    return this.channels.map((channel) => channel.save());
  }

  restore(state: unknown): void {
    (state as unknown[]).forEach((saved, n) => this.channels[n].restore(saved));
  }
}

function maker(unit: IdeUnit | undefined, n: number): MakeDrive | undefined {
  const serial = `RS${String(n + 1).padStart(5, '0')}`;
  if (unit === undefined) return undefined;
  return 'disk' in unit ? (cable) => new AtaDisk(cable, unit.disk, serial) : (cable) => new CdromDrive(cable, unit.cdrom, serial);
}

const ones = (size: AccessSize): number => (size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff);

function perByte(first: number, size: AccessSize, read: (at: number) => number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value |= read(first + i) << (8 * i);
  return value >>> 0;
}
