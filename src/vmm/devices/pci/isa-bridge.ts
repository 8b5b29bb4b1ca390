/**
 * The south bridge's ISA function (PIIX3, Intel 82371SB datasheet, 290550): routing of the four PCI interrupt requests to interrupt controller inputs, and the reset
 * control register at CF9h. The edge/level registers are the interrupt controllers' (pic.ts).
 */
import type { Device, DeviceRegister, Line, PciFunction, PciLink } from '../device';
import type { PciBus } from './bus';

/** The four routing registers: IRQ of INTA# to INTD#. */
export const PIRQ_ROUTE = 0x60;
const ROUTE_OFF = 0x80;
/** Inputs that a request can be routed to: 3–7, 9–12, 14, 15. */
const ROUTABLE = 0xdef8;
const RESET_CPU = 4, RESET_BITS = 6;

export interface IsaBridgeOptions {
  readonly bus: PciBus;
  /** The sixteen inputs of the interrupt controllers. */
  readonly irq: readonly Line[];
  reset(): void;
}

export class IsaBridge implements Device, PciFunction {
  readonly id = 'isa-bridge';
  readonly title = 'PIIX3 ISA bridge';
  readonly device = this;
  readonly slot = 1;
  readonly function = 0;
  readonly vendorId = 0x8086;
  readonly deviceId = 0x7000;
  readonly classCode = 0x060100;
  readonly subsystemVendorId = 0x1af4;
  readonly subsystemId = 0x1100;
  readonly extra = [
    // I/O, memory and bus mastering are always on; medium device select.
    { offset: 0x04, bytes: [0x07, 0x00, 0x00, 0x02], writable: [0x08, 0x01] },
    { offset: 0x4c, bytes: [0x4d, 0x00, 0x03, 0x00], writable: [0x7f, 0x00, 0xff, 0x07] },
    { offset: PIRQ_ROUTE, bytes: [ROUTE_OFF, ROUTE_OFF, ROUTE_OFF, ROUTE_OFF], writable: [0x8f, 0x8f, 0x8f, 0x8f] },
    { offset: 0x69, bytes: [0x02, 0x00], writable: [0xfe, 0x31] },
    { offset: 0x70, bytes: [ROUTE_OFF, 0x00], writable: [0xef, 0x00] },
    { offset: 0x76, bytes: [0x0c, 0x0c], writable: [0x8f, 0x8f] },
    { offset: 0x82, bytes: [0x00], writable: [0x1f] },
  ];
  readonly configurationRegisters: readonly DeviceRegister[] = [
    { address: 0x4c, name: 'IORT', description: 'ISA I/O recovery timer' },
    { address: 0x4e, name: 'XBCS', description: 'X-bus chip selects' },
    ...['A', 'B', 'C', 'D'].map((pin, n): DeviceRegister => ({
      address: PIRQ_ROUTE + n, name: `PIRQRC${pin}`, description: `Where requests of INT${pin}# go`, fields: [{ name: 'off', bit: 7, width: 1 }, { name: 'IRQ', bit: 0, width: 4 }],
    })),
    { address: 0x69, name: 'TOM', description: 'Top of memory for ISA masters' },
    { address: 0x6a, name: 'MSTAT', description: 'Miscellaneous status' },
    { address: 0x70, name: 'MBIRQ0', description: 'Motherboard interrupt routing' },
    { address: 0x76, name: 'MBDMA0', description: 'Motherboard DMA' },
    { address: 0x77, name: 'MBDMA1', description: 'Motherboard DMA' },
    { address: 0x82, name: 'DLC', description: 'Deterministic latency control' },
  ];

  private link: PciLink | undefined;
  private resetControl = 0;
  private readonly requests = [false, false, false, false];
  /** Inputs that this bridge holds high: bit n for IRQ n. */
  private driven = 0;

  constructor(private readonly options: IsaBridgeOptions) {
    const { bus } = options;
    bus.onRequest = (line, level) => {
      this.requests[line] = level;
      this.route();
    };
    bus.resetControl = { read: () => this.resetControl, write: (value) => this.writeResetControl(value) };
  }

  connect(link: PciLink): void {
    this.link = link;
  }

  configured(): void {
    this.route();
  }

  /** Requests that share an input are ORed; one that is routed nowhere is lost. */
  private route(): void {
    if (!this.link) return;
    let wanted = 0;
    for (let n = 0; n < 4; n++) {
      const route = this.link.read(PIRQ_ROUTE + n, 1);
      if (this.requests[n] && !(route & ROUTE_OFF)) wanted |= 1 << (route & 15);
    }
    wanted &= ROUTABLE;
    const changed = wanted ^ this.driven;
    this.driven = wanted;
    for (let irq = 0; irq < 16; irq++) if (changed & (1 << irq)) this.options.irq[irq]((wanted & (1 << irq)) !== 0);
  }

  /** The reset happens when bit 2 goes from 0 to 1; bit 1 asks for a hard one, which here is the same. */
  private writeResetControl(value: number): void {
    const rises = (value & ~this.resetControl & RESET_CPU) !== 0;
    this.resetControl = value & RESET_BITS;
    if (rises) this.options.reset();
  }

  reset(): void {
    this.resetControl = 0;
  }

  save(): unknown {
    return { resetControl: this.resetControl };
  }

  restore(state: unknown): void {
    this.resetControl = (state as { resetControl: number }).resetControl;
  }
}
