/**
 * The I/O APIC (82093AA datasheet, with the EOI register of its successors): 24 inputs, each with a redirection entry that says which
 * message it sends to which processors. A line says whether it is asserted, whatever its electrical level: the polarity bit is kept and
 * makes no difference.
 */
import { Delivery, wideDestination, type ApicBus, type EndOfInterruptListener } from './apic-bus';
import type { AccessSize, Device, DeviceRegister, Line, MmioRange } from './device';

export const IO_APIC_BASE = 0xfec00000;
export const IO_APIC_PINS = 24;
const VERSION = 0x20 | (IO_APIC_PINS - 1) << 16;
/** Low half of a redirection entry: mask 16, level-triggered 15, remote IRR 14, active low 13, delivery status 12, logical 11, delivery mode 10:8, vector 7:0. */
const MASKED = 0x10000, LEVEL = 0x8000, REMOTE_IRR = 0x4000, LOGICAL = 0x800, WRITABLE = 0x1afff;
/** Indirect registers, behind IOREGSEL (0) and IOWIN. */
const WINDOW = 0x10;
const ID = 0, VERSION_REGISTER = 1, ARBITRATION = 2, REDIRECTION = 0x10;

interface State {
  id: number;
  select: number;
  low: number[];
  high: number[];
  lines: boolean[];
}

const entryFields = [
  { name: 'mask', bit: 16, width: 1 }, { name: 'level-triggered', bit: 15, width: 1 }, { name: 'remote IRR', bit: 14, width: 1 }, { name: 'active low', bit: 13, width: 1 },
  { name: 'delivery status', bit: 12, width: 1 }, { name: 'logical', bit: 11, width: 1 }, { name: 'delivery mode', bit: 8, width: 3 }, { name: 'vector', bit: 0, width: 8 },
] as const;

export class IoApic implements Device, EndOfInterruptListener {
  readonly id = 'io-apic';
  readonly title = 'I/O APIC';
  readonly registers: readonly DeviceRegister[] = [
    { address: 0x00, bits: 32, name: 'IOREGSEL', description: 'Index of the register in IOWIN' },
    { address: 0x40, bits: 32, name: 'EOI', description: 'A write of a vector ends its level-triggered interrupts' },
    { address: WINDOW, index: ID, bits: 32, name: 'ID', description: 'I/O APIC ID', fields: [{ name: 'id', bit: 24, width: 4 }] },
    { address: WINDOW, index: VERSION_REGISTER, bits: 32, name: 'Version', description: 'Version and last redirection entry', fields: [{ name: 'last entry', bit: 16, width: 8 }, { name: 'version', bit: 0, width: 8 }] },
    { address: WINDOW, index: ARBITRATION, bits: 32, name: 'Arbitration', description: 'Arbitration ID', fields: [{ name: 'id', bit: 24, width: 4 }] },
    ...Array.from({ length: IO_APIC_PINS }, (_, n): DeviceRegister[] => [
      { address: WINDOW, index: REDIRECTION + 2 * n, bits: 32, name: `Entry ${n} low`, description: `Where input ${n} goes`, fields: entryFields },
      { address: WINDOW, index: REDIRECTION + 2 * n + 1, bits: 32, name: `Entry ${n} high`, description: `Destination of input ${n}`, fields: [{ name: 'destination', bit: 24, width: 8 }] },
    ]).flat(),
  ];
  readonly mmio: readonly MmioRange[] = [{
    first: IO_APIC_BASE, last: IO_APIC_BASE + 0xfff,
    read: (address, size) => this.read(address - IO_APIC_BASE, size),
    write: (address, value, size) => this.write(address - IO_APIC_BASE, value, size),
  }];
  readonly pins: readonly Line[] = Array.from({ length: IO_APIC_PINS }, (_, n): Line => (level) => this.setLine(n, level));

  private state: State;

  /** @param identifier the APIC ID after reset; software can change it. */
  constructor(private readonly bus: ApicBus, private readonly identifier: number) {
    this.state = this.afterReset(new Array<boolean>(IO_APIC_PINS).fill(false));
    bus.addIoApic(this);
  }

  private afterReset(lines: boolean[]): State {
    return {
      id: this.identifier, select: 0, low: new Array<number>(IO_APIC_PINS).fill(MASKED), high: new Array<number>(IO_APIC_PINS).fill(0), lines,
    };
  }

  private setLine(n: number, level: boolean): void {
    const { state } = this;
    if (state.lines[n] === level) return;
    state.lines[n] = level;
    if (!level) return;
    // An edge at a masked input is lost.
    if (state.low[n] & LEVEL) this.senseLevel(n);
    else if (!(state.low[n] & MASKED)) this.sendEntry(n);
  }

  /** A level-triggered input sends while it is asserted, once until the processor has ended the interrupt. */
  private senseLevel(n: number): void {
    const { state } = this;
    if (!state.lines[n] || (state.low[n] & (LEVEL | MASKED | REMOTE_IRR)) !== LEVEL) return;
    // Set first: the processor may end the interrupt while it is sent.
    state.low[n] |= REMOTE_IRR;
    if (!this.sendEntry(n)) state.low[n] &= ~REMOTE_IRR;
  }

  private sendEntry(n: number): boolean {
    const low = this.state.low[n];
    const delivery = ((low >>> 8) & 7) as Delivery;
    return this.bus.send({
      vector: low & 0xff, delivery, level: (low & LEVEL) !== 0 && (delivery === Delivery.Fixed || delivery === Delivery.LowestPriority),
      destination: wideDestination(this.state.high[n] >>> 24), logical: (low & LOGICAL) !== 0,
    });
  }

  endOfInterrupt(vector: number): void {
    const { low } = this.state;
    for (let n = 0; n < IO_APIC_PINS; n++) {
      if ((low[n] & 0xff) !== vector || !(low[n] & REMOTE_IRR)) continue;
      low[n] &= ~REMOTE_IRR;
      this.senseLevel(n);
    }
  }

  private read(offset: number, size: AccessSize): number {
    const within = offset & 15;
    if (within > 3) return 0;
    const register = offset & ~15;
    const value = (register === 0 ? this.state.select : register === WINDOW ? this.readIndirect(this.state.select) : 0) >>> (8 * within);
    return size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff);
  }

  private readIndirect(select: number): number {
    const { id, low, high } = this.state;
    if (select === ID || select === ARBITRATION) return id << 24;
    if (select === VERSION_REGISTER) return VERSION;
    const n = (select - REDIRECTION) >> 1;
    if (n < 0 || n >= IO_APIC_PINS) return 0xffffffff;
    return select & 1 ? high[n] : low[n];
  }

  private write(offset: number, value: number, size: AccessSize): void {
    const { state } = this;
    if (offset === 0) state.select = value & 0xff;
    else if (size === 4 && offset === WINDOW) this.writeSelected(value);
    else if (offset === 0x40) this.endOfInterrupt(value & 0xff);
  }

  private writeSelected(value: number): void {
    const { state } = this;
    const { select } = state;
    if (select === ID) state.id = (value >>> 24) & 15;
    const n = (select - REDIRECTION) >> 1;
    if (n < 0 || n >= IO_APIC_PINS) return;
    if (select & 1) {
      state.high[n] = (value & 0xff000000) >>> 0;
      return;
    }
    // An edge-triggered entry has nothing to wait for.
    const remote = value & LEVEL ? state.low[n] & REMOTE_IRR : 0;
    state.low[n] = (value & WRITABLE) | remote;
    this.senseLevel(n);
  }

  registerValues(): readonly (number | undefined)[] {
    return this.registers.map(({ address, index }) => (index !== undefined ? this.readIndirect(index) >>> 0 : address === 0 ? this.state.select : undefined));
  }

  reset(): void {
    this.state = this.afterReset(this.state.lines);
  }

  save(): unknown {
    const { id, select, low, high, lines } = this.state;
    return { id, select, low: [...low], high: [...high], lines: [...lines] };
  }

  restore(state: unknown): void {
    const { id, select, low, high, lines } = state as State;
    this.state = { id, select, low: [...low], high: [...high], lines: [...lines] };
  }
}
