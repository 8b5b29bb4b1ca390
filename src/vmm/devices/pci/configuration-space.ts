/**
 * The 256 bytes of configuration space of one function with a type 0 header: what they hold, which bits software may write, and where the base address registers put
 * the function's windows (PCI Local Bus Specification 3.0, 6.1–6.2). Windows are placed by whoever owns the spaces, see bus.ts.
 */
import type { AccessSize, DeviceRegister, PciBar, PciFunction } from '../device';

export const Config = { vendor: 0x00, command: 0x04, status: 0x06, revision: 0x08, cacheLine: 0x0c, latency: 0x0d, headerType: 0x0e, bars: 0x10, subsystem: 0x2c, rom: 0x30,
  capabilities: 0x34, interruptLine: 0x3c, interruptPin: 0x3d } as const;
export const Command = { io: 1, memory: 2, master: 4, interruptDisable: 0x400 } as const;

const STATUS_INTERRUPT = 0x08, STATUS_CAPABILITIES = 0x10, STATUS_DEVSEL_MEDIUM = 0x0200;
const MULTIFUNCTION = 0x80;
const BARS = 6, ROM_ENABLE = 1, ROM_BYTES_MIN = 0x800;
const SPACE_BYTES = 0x100;
const VGA_CLASS = 0x0300;
/** Command bits that any function has: bus master, parity, SERR, INTx disable. I/O and memory depend on its windows. */
const COMMAND_BITS = 0x0544;

/** The header that all functions share; a view puts the function's own rows behind it. */
export const headerRegisters: readonly DeviceRegister[] = [
  { address: 0x00, name: 'Vendor ID', description: 'Who made it' },
  { address: 0x02, name: 'Device ID', description: 'What it is' },
  {
    address: 0x04, name: 'Command', description: 'What the function may do on the bus', fields: [
      { name: 'INTx disable', bit: 10, width: 1 }, { name: 'SERR', bit: 8, width: 1 }, { name: 'parity', bit: 6, width: 1 }, { name: 'master', bit: 2, width: 1 },
      { name: 'memory', bit: 1, width: 1 }, { name: 'I/O', bit: 0, width: 1 },
    ],
  },
  { address: 0x06, name: 'Status', description: 'Capabilities (bit 4), interrupt pending (bit 3), errors', fields: [{ name: 'capabilities', bit: 4, width: 1 }, { name: 'interrupt', bit: 3, width: 1 }] },
  { address: 0x08, name: 'Revision', description: 'Of the device' },
  { address: 0x09, name: 'Class code', description: 'Programming interface, subclass, class' },
  { address: 0x0e, name: 'Header type', description: 'Bit 7: the device has several functions' },
  ...[0, 1, 2, 3, 4, 5].map((n) => ({ address: 0x10 + 4 * n, name: `BAR ${n}`, description: 'Base address register; bit 0 is set for ports' })),
  { address: 0x2c, name: 'Subsystem vendor', description: 'Vendor of the card' },
  { address: 0x2e, name: 'Subsystem ID', description: 'The card' },
  { address: 0x30, name: 'Expansion ROM', description: 'Address and enable bit 0' },
  { address: 0x34, name: 'Capabilities', description: 'Offset of the first one' },
  { address: 0x3c, name: 'Interrupt line', description: 'What firmware notes for drivers' },
  { address: 0x3d, name: 'Interrupt pin', description: '1–4: INTA#–INTD#' },
];

/** A window of a function at the place where software has put it. */
export interface PlacedWindow {
  readonly kind: 'io' | 'memory';
  readonly first: number;
  readonly last: number;
  readonly bar: PciBar;
}

function checked(owner: PciFunction, n: number | 'ROM', bar: PciBar): void {
  const smallest = bar.kind === 'io' ? 4 : 16, largest = bar.kind === 'io' ? 0x100 : 0x40000000;
  if (bar.bytes < smallest || bar.bytes > largest || (bar.bytes & (bar.bytes - 1)) !== 0) {
    throw new RangeError(`${owner.device.id}: BAR ${n} has ${bar.bytes} bytes; a power of two from ${smallest} to ${largest} is needed`);
  }
}

export class ConfigurationSpace {
  readonly bytes = new Uint8Array(SPACE_BYTES);
  /** Bits that software may write, and bits that writing 1 clears. */
  private readonly writable = new Uint8Array(SPACE_BYTES);
  private readonly clearable = new Uint8Array(SPACE_BYTES);
  private readonly initial: Uint8Array;
  private readonly rom: PciBar | undefined;
  private interruptPending = false;

  constructor(readonly owner: PciFunction) {
    const { bars = [], extra = [], rom } = owner;
    this.put(Config.vendor, owner.vendorId, 2);
    this.put(Config.vendor + 2, owner.deviceId, 2);
    // A VGA answers at ports of its own besides.
    const has = (kind: PciBar['kind']): boolean => bars.some((bar) => bar?.kind === kind);
    this.setWritable(Config.command, COMMAND_BITS | (has('io') || owner.classCode >>> 8 === VGA_CLASS ? Command.io : 0) | (has('memory') || rom ? Command.memory : 0), 2);
    this.put(Config.status, STATUS_DEVSEL_MEDIUM | (owner.capabilities ? STATUS_CAPABILITIES : 0), 2);
    this.clearable[Config.status + 1] = 0xf9;
    this.put(Config.revision, (owner.revision ?? 0) | owner.classCode << 8, 4);
    this.writable[Config.cacheLine] = 0xff;
    this.writable[Config.latency] = 0xf8;
    bars.forEach((bar, n) => {
      if (bar === undefined) return;
      if (n >= BARS) throw new RangeError(`${owner.device.id}: more than ${BARS} BARs`);
      checked(owner, n, bar);
      this.put(Config.bars + 4 * n, bar.kind === 'io' ? 1 : bar.prefetchable ? 8 : 0, 4);
      this.setWritable(Config.bars + 4 * n, -bar.bytes, 4);
    });
    this.put(Config.subsystem, owner.subsystemVendorId ?? 0, 2);
    this.put(Config.subsystem + 2, owner.subsystemId ?? 0, 2);
    if (rom) {
      let size = ROM_BYTES_MIN;
      while (size < rom.length) size *= 2;
      const byte = (offset: number): number => rom[offset] ?? 0xff;
      this.rom = {
        kind: 'memory', bytes: size, write: () => undefined,
        read: (offset, count) => {
          let value = 0;
          for (let i = count - 1; i >= 0; i--) value = value << 8 | byte(offset + i);
          return value >>> 0;
        },
      };
      checked(owner, 'ROM', this.rom);
      this.setWritable(Config.rom, (-size & 0xfffff800) | ROM_ENABLE, 4);
    }
    this.bytes[Config.capabilities] = owner.capabilities ?? 0;
    this.bytes[Config.interruptPin] = owner.interruptPin ?? 0;
    if (owner.interruptPin) this.writable[Config.interruptLine] = 0xff;
    for (const { offset, bytes, writable = [] } of extra) {
      this.bytes.set(bytes, offset);
      this.writable.set(writable, offset);
    }
    this.initial = this.bytes.slice();
  }

  /** The slot has other functions as well. */
  markMultifunction(): void {
    this.bytes[Config.headerType] |= MULTIFUNCTION;
    this.initial[Config.headerType] |= MULTIFUNCTION;
  }

  reset(): void {
    this.bytes.set(this.initial);
    this.showInterrupt();
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value << 8 | this.bytes[(offset + i) & 0xff];
    return value >>> 0;
  }

  /** As software writes: bits that are not writable stay. */
  write(offset: number, value: number, size: AccessSize): void {
    for (let i = 0; i < size; i++) {
      const at = (offset + i) & 0xff, byte = (value >>> (8 * i)) & 0xff, mask = this.writable[at];
      this.bytes[at] = ((this.bytes[at] & ~mask) | (byte & mask)) & ~(byte & this.clearable[at]);
    }
  }

  /** As the function itself changes what software reads. */
  put(offset: number, value: number, size: AccessSize): void {
    for (let i = 0; i < size; i++) this.bytes[offset + i] = value >>> (8 * i);
  }

  private setWritable(offset: number, mask: number, size: AccessSize): void {
    for (let i = 0; i < size; i++) this.writable[offset + i] = mask >>> (8 * i);
  }

  get command(): number {
    return this.read(Config.command, 2);
  }

  /** Level that the function drives on its INTx pin, whether it is let out or not. */
  get interrupt(): boolean {
    return this.interruptPending;
  }

  set interrupt(level: boolean) {
    this.interruptPending = level;
    this.showInterrupt();
  }

  private showInterrupt(): void {
    this.bytes[Config.status] = (this.bytes[Config.status] & ~STATUS_INTERRUPT) | (this.interruptPending ? STATUS_INTERRUPT : 0);
  }

  /** The windows that answer now. A register that was never set, or holds all ones because its size is being asked for, places none. */
  windows(): PlacedWindow[] {
    const { command } = this;
    const placed: PlacedWindow[] = [];
    const place = (offset: number, bar: PciBar): void => {
      if (!(command & (bar.kind === 'io' ? Command.io : Command.memory))) return;
      const first = (this.read(offset, 4) & -bar.bytes) >>> 0, last = first + bar.bytes - 1;
      const top = bar.kind === 'io' ? 0xffff : 0xfffffffe;
      if (first !== 0 && last <= top) placed.push({ kind: bar.kind, first, last, bar });
    };
    this.owner.bars?.forEach((bar, n) => {
      if (bar) place(Config.bars + 4 * n, bar);
    });
    if (this.rom && this.bytes[Config.rom] & ROM_ENABLE) place(Config.rom, this.rom);
    return placed;
  }
}
