/**
 * QEMU's firmware configuration device: items by number, and named files in a directory, which a BIOS or an operating system reads byte by byte at port
 * 511h or by DMA at port 514h (QEMU, docs/specs/fw_cfg). Nothing can be written.
 */
import type { AccessSize, Device, DeviceRegister, PhysicalBytes, PortRange } from './device';

const SELECTOR = 0x510, DATA = 0x511, DMA = 0x514;
/** Numbers of items; files have numbers from 20h on. */
export const FwCfgItem = { signature: 0x00, id: 0x01, ramBytes: 0x03, processors: 0x05, bootMenu: 0x0e, mostProcessors: 0x0f, directory: 0x19, firstFile: 0x20 } as const;
const TRADITIONAL = 1, BY_DMA = 2;
/** "QEMU CFG", read at the DMA address register. */
const DMA_SIGNATURE = [0x51454d55, 0x20434647] as const;
const DmaBit = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
const NAME_BYTES = 56, DIRECTORY_ENTRY = 64;

export interface FirmwareFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface FirmwareConfigurationOptions {
  readonly memory: PhysicalBytes;
  readonly items: ReadonlyMap<number, Uint8Array>;
  readonly files: readonly FirmwareFile[];
}

interface FwCfgState {
  selected: number;
  offset: number;
  /** High half of the DMA address. */
  high: number;
}

const swapped = (value: number): number => ((value & 0xff) << 24 | (value & 0xff00) << 8 | (value >>> 8) & 0xff00 | value >>> 24) >>> 0;

export class FirmwareConfiguration implements Device {
  readonly id = 'fw-cfg';
  readonly title = 'Firmware configuration';
  readonly registers: readonly DeviceRegister[] = [
    { address: SELECTOR, bits: 16, name: 'Selector', description: 'Item to read' },
    { address: DATA, bits: 32, name: 'Position', description: 'Bytes of the item that were read at this port' },
    { address: DMA, bits: 32, name: 'DMA address high', description: 'Big-endian; a write of the low half at port 518h starts the transfer' },
  ];
  readonly ports: readonly PortRange[] = [
    { first: SELECTOR, last: DATA, wide: true, read: (port, size) => this.read(port, size), write: (port, value, size) => this.write(port, value, size) },
    { first: DMA, last: DMA + 7, wide: true, read: (port, size) => this.readSignature(port, size), write: (port, value, size) => this.writeDma(port, value, size) },
  ];

  private readonly items: ReadonlyMap<number, Uint8Array>;
  private state: FwCfgState = { selected: 0, offset: 0, high: 0 };

  constructor(private readonly options: FirmwareConfigurationOptions) {
    const { items, files } = options;
    const text = (value: string): Uint8Array => Uint8Array.from(value, (c) => c.charCodeAt(0));
    this.items = new Map([
      [FwCfgItem.signature, text('QEMU')], [FwCfgItem.id, Uint8Array.of(TRADITIONAL | BY_DMA, 0, 0, 0)], [FwCfgItem.directory, directory(files)],
      ...items, ...files.map(({ bytes }, n): [number, Uint8Array] => [FwCfgItem.firstFile + n, bytes]),
    ]);
  }

  private next(): number {
    return this.items.get(this.state.selected)?.[this.state.offset++] ?? 0;
  }

  private read(port: number, size: AccessSize): number {
    if (port === SELECTOR && size === 1) return 0xff;
    let value = 0;
    // A word read at the selector reaches the data port with its second byte.
    for (let n = 0; n < size; n++) value |= (port + n === SELECTOR ? 0xff : this.next()) << (8 * n);
    return value >>> 0;
  }

  private write(port: number, value: number, size: AccessSize): void {
    if (port === SELECTOR && size >= 2) this.select(value & 0xffff);
  }

  private select(item: number): void {
    // Bit 14 would choose writing; bit 15 means items of the architecture, of which there are none.
    this.state.selected = item & 0xbfff;
    this.state.offset = 0;
  }

  private readSignature(port: number, size: AccessSize): number {
    let value = 0;
    for (let n = 0; n < size; n++) {
      const at = port - DMA + n;
      value |= ((DMA_SIGNATURE[at >> 2] >>> (24 - 8 * (at & 3))) & 0xff) << (8 * n);
    }
    return value >>> 0;
  }

  private writeDma(port: number, value: number, size: AccessSize): void {
    if (size !== 4) return;
    if (port === DMA) {
      this.state.high = swapped(value);
    } else if (port === DMA + 4) {
      const { high } = this.state;
      this.state.high = 0;
      if (high === 0) this.transfer(swapped(value));
    }
  }

  /** A control block: control, length and address, big-endian. The answer is its control word, 0 for success. */
  private transfer(block: number): void {
    const { memory } = this.options;
    if (block + 16 > memory.ramBytes) return;
    const word = (at: number): number => swapped(memory.read32(block + at));
    const control = word(0), length = word(4), high = word(8), address = word(12);
    if (control & DmaBit.select) this.select(control >>> 16);
    const fits = high === 0 && address + length <= memory.ramBytes;
    if (control & DmaBit.write || (control & DmaBit.read && !fits)) {
      memory.write32(block, swapped(DmaBit.error));
      return;
    }
    if (control & DmaBit.read) {
      const bytes = new Uint8Array(length);
      bytes.set((this.items.get(this.state.selected) ?? bytes).subarray(this.state.offset, this.state.offset + length));
      memory.writeBytes(address, bytes);
    }
    if (control & (DmaBit.read | DmaBit.skip)) this.state.offset = Math.min(0xffffffff, this.state.offset + length);
    memory.write32(block, 0);
  }

  registerValues(): readonly number[] {
    const { selected, offset, high } = this.state;
    return [selected, offset, high];
  }

  reset(): void {
    this.state = { selected: 0, offset: 0, high: 0 };
  }

  save(): unknown {
    return { ...this.state };
  }

  restore(state: unknown): void {
    this.state = { ...(state as FwCfgState) };
  }
}

/** Item 19h: the number of files, and for each its length, item and name, big-endian. */
function directory(files: readonly FirmwareFile[]): Uint8Array {
  const bytes = new Uint8Array(4 + DIRECTORY_ENTRY * files.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  files.forEach(({ name, bytes: content }, n) => {
    const at = 4 + DIRECTORY_ENTRY * n;
    view.setUint32(at, content.length);
    view.setUint16(at + 4, FwCfgItem.firstFile + n);
    for (let i = 0; i < Math.min(name.length, NAME_BYTES - 1); i++) bytes[at + 8 + i] = name.charCodeAt(i);
  });
  return bytes;
}
