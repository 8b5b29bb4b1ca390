/**
 * The two 8237A DMA controllers and the page registers of a PC/AT as programs see them: addresses, counts, modes, masks, requests and status. A device that
 * moves data looks at its channel ({@link Dma.channel}) and says how far it came ({@link Dma.advance}).
 */
import type { Device, DeviceRegister, PortRange } from './device';

interface ChannelState {
  baseAddress: number;
  address: number;
  baseCount: number;
  count: number;
  mode: number;
}

interface ControllerState {
  channels: ChannelState[];
  command: number;
  /** Terminal counts (0–3), cleared by reading the status. */
  terminal: number;
  requests: number;
  mask: number;
  temporary: number;
  /** The next access to an address or count is the high byte. */
  high: boolean;
}

export interface DmaChannel {
  /** Guest-physical address of the next transfer. */
  readonly address: number;
  /** Bytes that remain. */
  readonly bytes: number;
  readonly mode: number;
  readonly masked: boolean;
}

function powerOn(): ControllerState {
  return {
    channels: Array.from({ length: 4 }, () => ({ baseAddress: 0, address: 0, baseCount: 0, count: 0, mode: 0 })), command: 0, terminal: 0, requests: 0, mask: 0x0f,
    temporary: 0, high: false,
  };
}

/** Page register of each channel; the other ports of 0x80–0x8F are plain storage (0x80 is the POST code). */
const PAGE_PORTS = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a] as const;

const MODE_AUTOMATIC = 0x10, MODE_DOWN = 0x20;
const modeFields = [{ name: 'MODE', bit: 6, width: 2 }, { name: 'DOWN', bit: 5, width: 1 }, { name: 'AUTO', bit: 4, width: 1 }, { name: 'TRANSFER', bit: 2, width: 2 }] as const;

/** A controller's registers behind its channels, by number. */
const controllerRows = [
  { register: 8, name: 'Status', description: 'Requests, and channels that have come to their end', fields: [{ name: 'REQ', bit: 4, width: 4 }, { name: 'TC', bit: 0, width: 4 }] },
  { register: 8, name: 'Command', description: 'Timing and priority; bit 2 disables the controller', fields: [{ name: 'DISABLE', bit: 2, width: 1 }] },
  { register: 15, name: 'Mask', description: 'Channels that are closed', fields: [{ name: 'MASK', bit: 0, width: 4 }] },
  { register: 13, name: 'Temporary', description: 'Byte of a memory-to-memory transfer; a write clears the controller' },
] as const;

export class Dma implements Device {
  readonly id = 'dma';
  readonly title = '8237A DMA controllers';
  readonly registers: readonly DeviceRegister[] = [
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => {
      const at = n < 4 ? 2 * n : 0xc0 + 4 * (n - 4);
      const step = n < 4 ? 1 : 2;
      return [
        { address: at, bits: 16, name: `Channel ${n} address`, description: 'Low byte, then high byte' },
        { address: at + step, bits: 16, name: `Channel ${n} count`, description: 'Transfers less one, low byte, then high byte' },
        { address: PAGE_PORTS[n], name: `Channel ${n} page`, description: 'Address bits from 16 up' },
        { address: n < 4 ? 0x0b : 0xd6, name: `Channel ${n} mode`, description: 'Kind and direction of the transfer', fields: modeFields },
      ];
    }),
    ...[0, 1].flatMap((n) => controllerRows.map(({ register, name, ...row }) => ({
      address: n === 0 ? register : 0xc0 + 2 * register, name: `${name} of channels ${4 * n}–${4 * n + 3}`, ...row,
    }))),
  ];
  readonly ports: readonly PortRange[] = [
    { first: 0x00, last: 0x0f, read: (port) => this.read(0, port), write: (port, value) => this.write(0, port, value & 0xff) },
    { first: 0x80, last: 0x8f, read: (port) => this.pages[port & 15], write: (port, value) => { this.pages[port & 15] = value & 0xff; } },
    { first: 0xc0, last: 0xdf, read: (port) => this.read(1, (port - 0xc0) >> 1), write: (port, value) => this.write(1, (port - 0xc0) >> 1, value & 0xff) },
  ];

  private controllers: ControllerState[] = [powerOn(), powerOn()];
  private pages = new Array<number>(16).fill(0);

  channel(n: number): DmaChannel {
    const controller = this.controllers[n >> 2];
    const { address, count, mode } = controller.channels[n & 3];
    const page = this.pages[PAGE_PORTS[n] & 15];
    const masked = (controller.mask & (1 << (n & 3))) !== 0 || (controller.command & 4) !== 0;
    // The second controller counts words, its pages ignore bit 0.
    return n < 4 ? { address: page << 16 | address, bytes: count + 1, mode, masked } : { address: (page & 0xfe) << 16 | address << 1, bytes: 2 * (count + 1), mode, masked };
  }

  /**
   * So many bytes were moved by the device on a channel (a multiple of two on channels 4–7): address and count go on; the address wraps within 64 Ki transfers.
   * True at terminal count: the channel then starts over (auto-initialize), or is closed.
   */
  advance(n: number, bytes: number): boolean {
    const controller = this.controllers[n >> 2], channel = controller.channels[n & 3];
    const transfers = n < 4 ? bytes : bytes >> 1;
    channel.address = (channel.mode & MODE_DOWN ? channel.address - transfers : channel.address + transfers) & 0xffff;
    const left = channel.count + 1 - transfers;
    if (left > 0) {
      channel.count = left - 1;
      return false;
    }
    controller.terminal |= 1 << (n & 3);
    if (channel.mode & MODE_AUTOMATIC) {
      channel.address = channel.baseAddress;
      channel.count = channel.baseCount;
    } else {
      channel.count = 0xffff;
      controller.mask |= 1 << (n & 3);
    }
    return true;
  }

  private read(n: number, register: number): number {
    const c = this.controllers[n];
    if (register < 8) {
      const channel = c.channels[register >> 1];
      const value = register & 1 ? channel.count : channel.address;
      const byte = c.high ? value >> 8 : value & 0xff;
      c.high = !c.high;
      return byte;
    }
    if (register === 8) {
      const status = c.terminal | c.requests << 4;
      c.terminal = 0;
      return status;
    }
    if (register === 13) return c.temporary;
    return register === 15 ? c.mask : 0xff;
  }

  private write(n: number, register: number, value: number): void {
    const c = this.controllers[n];
    if (register < 8) {
      const channel = c.channels[register >> 1];
      const merge = (old: number): number => (c.high ? (old & 0xff) | value << 8 : (old & 0xff00) | value);
      if (register & 1) channel.count = channel.baseCount = merge(channel.baseCount);
      else channel.address = channel.baseAddress = merge(channel.baseAddress);
      c.high = !c.high;
      return;
    }
    const bit = 1 << (value & 3);
    switch (register) {
      case 8: c.command = value; break;
      case 9: c.requests = value & 4 ? c.requests | bit : c.requests & ~bit; break;
      case 10: c.mask = value & 4 ? c.mask | bit : c.mask & ~bit; break;
      case 11: c.channels[value & 3].mode = value & 0xfc; break;
      case 12: c.high = false; break;
      case 13: Object.assign(c, { command: 0, terminal: 0, requests: 0, temporary: 0, mask: 0x0f, high: false }); break;
      case 14: c.mask = 0; break;
      default: c.mask = value & 0x0f;
    }
  }

  registerValues(): readonly number[] {
    return [
      ...this.controllers.flatMap(({ channels }, n) => channels.flatMap(({ address, count, mode }, i) => [address, count, this.pages[PAGE_PORTS[4 * n + i] & 15], mode])),
      ...this.controllers.flatMap(({ terminal, requests, command, mask, temporary }) => [terminal | requests << 4, command, mask, temporary]),
    ];
  }

  reset(): void {
    this.controllers = [powerOn(), powerOn()];
    this.pages.fill(0);
  }

  save(): unknown {
    return JSON.parse(JSON.stringify({ controllers: this.controllers, pages: this.pages }));
  }

  restore(state: unknown): void {
    const saved = JSON.parse(JSON.stringify(state)) as { controllers: ControllerState[]; pages: number[] };
    this.controllers = saved.controllers;
    this.pages = saved.pages;
  }
}
