/**
 * PCI bus 0: functions in configuration space, reached through configuration mechanism #1 (ports CF8h and CFCh; PCI Local Bus Specification 3.0, 3.2.2.3.2). Software
 * places the functions' windows by their base address registers; the bus keeps the board's port and memory maps in step. INTx pins join four request lines,
 * swizzled by slot, which the ISA bridge routes to the interrupt controllers.
 */
import type { AccessSize, Device, DeviceRegister, MmioRange, PciFunction, PortRange } from '../device';
import { Command, Config, ConfigurationSpace, headerRegisters, type PlacedWindow } from './configuration-space';

const FUNCTIONS = 256;
const ENABLE = 0x80000000;
const ADDRESS_BITS = 0x80fffffc;

/** The board's maps as far as windows move in them. */
export interface WindowMaps {
  mapPorts(range: PortRange): void;
  unmapPorts(range: PortRange): void;
  mapMemory(range: MmioRange & { readonly backing?: number }): void;
  unmapMemory(range: MmioRange & { readonly backing?: number }): void;
}

export interface PciBusOptions {
  readonly maps: WindowMaps;
}

interface Plugged {
  readonly space: ConfigurationSpace;
  /** What the maps hold now, and how to take it out. */
  placed: { readonly window: PlacedWindow; readonly remove: () => void }[];
}

const ones = (size: AccessSize): number => (size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff);

const addressRegister: DeviceRegister = {
  address: 0xcf8, bits: 32, name: 'CONFIG_ADDRESS', description: 'Which register of which function CONFIG_DATA (CFCh) reaches; 32-bit accesses only', fields: [
    { name: 'enable', bit: 31, width: 1 }, { name: 'bus', bit: 16, width: 8 }, { name: 'device', bit: 11, width: 5 }, { name: 'function', bit: 8, width: 3 },
    { name: 'register', bit: 2, width: 6 },
  ],
};

/** A function's rows by offset. A register reaches to the next one, at most to the end of its doubleword. */
function rowsOf({ owner }: ConfigurationSpace): { row: DeviceRegister; bytes: number }[] {
  const rows = [...headerRegisters, ...owner.configurationRegisters ?? []].sort((a, b) => a.address - b.address);
  return rows.map((row, n) => ({ row, bytes: Math.min(rows[n + 1]?.address ?? Infinity, (row.address & ~3) + 4) - row.address }));
}

export class PciBus implements Device {
  readonly id = 'pci';
  readonly title = 'PCI bus';
  readonly ports: readonly PortRange[] = [
    {
      first: 0xcf8, last: 0xcff, wide: true,
      read: (port, size) => this.readPort(port, size),
      write: (port, value, size) => this.writePort(port, value, size),
    },
  ];
  /** Requests INTA# to INTD# as they arrive at the ISA bridge. */
  onRequest: (line: number, level: boolean) => void = () => { /* no bridge yet */ };
  /** Message-signalled interrupts: a write to the interrupt controller's address. */
  onMessage: (address: number, data: number) => void = () => { /* nobody receives them */ };
  /** Byte accesses of the configuration ports that mean something else: CF9h is the reset control register. */
  resetControl: { read(): number; write(value: number): void } | undefined;

  private address = 0;
  private readonly plugged = new Array<Plugged | undefined>(FUNCTIONS);
  private readonly requests = [false, false, false, false];

  constructor(private readonly options: PciBusOptions) {}

  /** Throws when the place is taken. The function's own device (reset, fixed ports) is the board's affair. */
  add(owner: PciFunction): void {
    const place = owner.slot << 3 | owner.function;
    if (this.plugged[place]) throw new Error(`pci: ${owner.device.id} wants slot ${owner.slot}.${owner.function}, where ${this.plugged[place].space.owner.device.id} is`);
    const space = new ConfigurationSpace(owner);
    this.plugged[place] = { space, placed: [] };
    const siblings = this.functions.filter((other) => other.owner.slot === owner.slot);
    if (siblings.length > 1) for (const sibling of siblings) sibling.markMultifunction();
    owner.connect?.({
      interrupt: (level) => {
        space.interrupt = level;
        this.updateRequests();
      },
      command: () => space.command,
      read: (offset, size) => space.read(offset, size),
      put: (offset, value, size) => space.put(offset, value, size),
      message: (address, data) => {
        if (space.command & Command.master) this.onMessage(address, data);
      },
    });
  }

  get functions(): readonly ConfigurationSpace[] {
    return this.plugged.flatMap((entry) => (entry ? [entry.space] : []));
  }

  /** For firmware and views: configuration space without the ports. Nothing there reads as ones. */
  readConfiguration(place: number, offset: number, size: AccessSize): number {
    const space = this.plugged[place]?.space;
    space?.owner.reading?.(offset, size);
    return space?.read(offset, size) ?? ones(size);
  }

  writeConfiguration(place: number, offset: number, value: number, size: AccessSize): void {
    const entry = this.plugged[place];
    if (!entry) return;
    entry.space.write(offset, value, size);
    if (offset < 0x40) {
      this.place(entry);
      if (offset < Config.status) this.updateRequests();
    }
    entry.space.owner.configured?.(offset, size);
  }

  /** CONFIG_ADDRESS, and the configuration registers of every function: index is function and offset as in CONFIG_ADDRESS. */
  get registers(): readonly DeviceRegister[] {
    return [addressRegister, ...this.functions.flatMap((space) => rowsOf(space).map(({ row, bytes }): DeviceRegister => ({
      ...row, address: 0xcfc, index: (space.owner.slot << 3 | space.owner.function) << 8 | row.address, bits: 8 * bytes, name: `${space.owner.device.title}: ${row.name}`,
    })))];
  }

  registerValues(): readonly number[] {
    return [this.address, ...this.functions.flatMap((space) => rowsOf(space).map(({ row, bytes }) => {
      let value = 0;
      for (let at = row.address + bytes - 1; at >= row.address; at--) value = value * 0x100 + space.bytes[at];
      return value;
    }))];
  }

  // ---- configuration mechanism #1 ----

  private readPort(port: number, size: AccessSize): number {
    if (port >= 0xcfc) return this.selected === undefined ? ones(size) : this.readConfiguration(this.selected, (this.address & 0xfc) | (port & 3), size);
    if (port === 0xcf8 && size === 4) return this.address;
    if (port === 0xcf9 && size === 1 && this.resetControl) return this.resetControl.read();
    return ones(size);
  }

  private writePort(port: number, value: number, size: AccessSize): void {
    if (port >= 0xcfc) {
      if (this.selected !== undefined) this.writeConfiguration(this.selected, (this.address & 0xfc) | (port & 3), value, size);
    } else if (port === 0xcf8 && size === 4) {
      this.address = (value & ADDRESS_BITS) >>> 0;
    } else if (port === 0xcf9 && size === 1) {
      this.resetControl?.write(value);
    }
  }

  /** Device and function of CONFIG_ADDRESS; undefined when it is off or names another bus. */
  private get selected(): number | undefined {
    return this.address & ENABLE && ((this.address >>> 16) & 0xff) === 0 ? (this.address >>> 8) & 0xff : undefined;
  }

  // ---- windows ----

  private place(entry: Plugged): void {
    const wanted = entry.space.windows();
    const same = (a: PlacedWindow, b: PlacedWindow): boolean => a.bar === b.bar && a.first === b.first;
    const kept = entry.placed.filter(({ window, remove }) => {
      if (wanted.some((other) => same(other, window))) return true;
      remove();
      return false;
    });
    for (const window of wanted) {
      if (!kept.some((other) => same(other.window, window))) kept.push({ window, remove: this.open(window) });
    }
    entry.placed = kept;
  }

  private open({ kind, first, last, bar }: PlacedWindow): () => void {
    const { maps } = this.options;
    const range = {
      first, last, wide: true, backing: bar.backing,
      read: (at: number, size: AccessSize) => bar.read(at - first, size),
      write: (at: number, value: number, size: AccessSize) => bar.write(at - first, value, size),
    };
    if (kind === 'io') {
      maps.mapPorts(range);
      return () => maps.unmapPorts(range);
    }
    maps.mapMemory(range);
    return () => maps.unmapMemory(range);
  }

  // ---- interrupts ----

  private updateRequests(): void {
    const levels = [false, false, false, false];
    for (const { interrupt, command, owner } of this.functions) {
      if (interrupt && owner.interruptPin && !(command & Command.interruptDisable)) levels[requestOf(owner.slot, owner.interruptPin)] = true;
    }
    levels.forEach((level, line) => {
      if (level === this.requests[line]) return;
      this.requests[line] = level;
      this.onRequest(line, level);
    });
  }

  reset(): void {
    this.address = 0;
    this.eachPlugged((entry) => {
      entry.space.reset();
      this.place(entry);
      entry.space.owner.configured?.(0, 1);
    });
    this.updateRequests();
  }

  save(): unknown {
    return { address: this.address, functions: this.functions.map(({ bytes, interrupt }) => ({ bytes: [...bytes], interrupt })) };
  }

  restore(state: unknown): void {
    const saved = state as { address: number; functions: { bytes: number[]; interrupt: boolean }[] };
    this.address = saved.address;
    let n = 0;
    this.eachPlugged((entry) => {
      const { bytes, interrupt } = saved.functions[n++];
      entry.space.bytes.set(bytes);
      entry.space.interrupt = interrupt;
      this.place(entry);
      entry.space.owner.configured?.(0, 1);
    });
    this.updateRequests();
  }

  private eachPlugged(visit: (entry: Plugged) => void): void {
    for (const entry of this.plugged) if (entry) visit(entry);
  }
}

/** Which of the four request lines a pin (1–4) of a slot is wired to: the board swizzles by slot, so that single-function cards share evenly. */
export function requestOf(slot: number, pin: number): number {
  return (slot + pin - 2) & 3;
}
