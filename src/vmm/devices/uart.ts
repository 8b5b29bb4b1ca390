/**
 * 16550A serial port. Behaviour after National's PC16550D datasheet: two 16-byte FIFOs, interrupts in four priorities, modem lines, loopback.
 * A transmitted byte leaves at once (THR is empty again right after the write, with the interrupt that this causes); reception is limited by the guest's
 * reading, and the character timeout of a partly filled FIFO runs on the clock.
 */
import type { Clock, Device, DeviceRegister, Line, PortRange, TimerHandle } from './device';

const FIFO_BYTES = 16;
/** Bytes typed ahead that wait outside the chip; what comes beyond is refused. */
const QUEUE_BYTES = 65536;
const UART_HERTZ = 115200;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

/** Interrupt enable register. */
const IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MODEM = 8;
/** Line status register. */
const LSR_DR = 1, LSR_OE = 2, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO_ERROR = 0x80;
/** Modem control register. */
const MCR_OUT2 = 8, MCR_LOOP = 0x10;
/** Interrupt identification, by falling priority. */
const IIR_NONE = 1, IIR_RLS = 6, IIR_RDA = 4, IIR_TIMEOUT = 0x0c, IIR_THRE = 2, IIR_MODEM = 0;

export interface UartOptions {
  readonly clock: Clock;
  readonly irq: Line;
  /** First of the eight ports (0x3F8 for COM1). */
  readonly base: number;
  readonly index?: number;
  /** Bytes that the guest sent, in order. */
  readonly output: (bytes: Uint8Array) => void;
}

interface UartState {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  scratch: number;
  divisor: number;
  fifo: number[];
  overrun: boolean;
  breakSeen: boolean;
  threPending: boolean;
  timeout: boolean;
  /** Modem input lines: CTS 4, DSR 5, RI 6, DCD 7. */
  lines: number;
  deltas: number;
  level: boolean;
}

/** A cable to a terminal that is ready: CTS, DSR and DCD are on. */
const CABLE_LINES = 0xb0;

function powerOn(): UartState {
  return {
    ier: 0, fcr: 0, lcr: 0, mcr: 0, scratch: 0, divisor: 12, fifo: [], overrun: false, breakSeen: false, threPending: false, timeout: false,
    lines: CABLE_LINES, deltas: 0, level: false,
  };
}

export class Uart implements Device {
  readonly id: string;
  readonly title: string;
  readonly registers: readonly DeviceRegister[];
  readonly ports: readonly PortRange[];

  private state = powerOn();
  private queue: number[] = [];
  private queueHead = 0;
  private timer: TimerHandle | undefined;

  constructor(private readonly options: UartOptions) {
    const { base, index = 0 } = options;
    this.id = `uart${index}`;
    this.title = `16550A serial port COM${index + 1}`;
    const bits = (names: string, lowest = 0) => names.split(' ').map((name, n, all) => ({ name, bit: lowest + all.length - 1 - n, width: 1 }));
    this.registers = [
      { address: base, name: 'RBR', description: 'The next received byte; bytes to send are written here' },
      { address: base, bits: 16, name: 'DLL/DLM', description: 'Divisor of 115,200 bits a second, in two bytes while DLAB is set' },
      { address: base + 1, name: 'IER', description: 'Interrupt enable', fields: bits('MODEM RLS THRE RDA') },
      { address: base + 2, name: 'IIR', description: 'Interrupt identification', fields: [{ name: 'FIFOS', bit: 6, width: 2 }, { name: 'ID', bit: 1, width: 3 }, { name: 'NONE', bit: 0, width: 1 }] },
      { address: base + 2, name: 'FCR', description: 'FIFO control', fields: [{ name: 'TRIGGER', bit: 6, width: 2 }, { name: 'DMA', bit: 3, width: 1 }, { name: 'ENABLE', bit: 0, width: 1 }] },
      { address: base + 3, name: 'LCR', description: 'Line control', fields: [...bits('DLAB BREAK STICK EVEN PARITY STOP', 2), { name: 'LENGTH', bit: 0, width: 2 }] },
      { address: base + 4, name: 'MCR', description: 'Modem control', fields: bits('LOOP OUT2 OUT1 RTS DTR') },
      { address: base + 5, name: 'LSR', description: 'Line status', fields: bits('FIFOERR TEMT THRE BI FE PE OE DR') },
      { address: base + 6, name: 'MSR', description: 'Modem status', fields: bits('DCD RI DSR CTS dDCD tRI dDSR dCTS') },
      { address: base + 7, name: 'SCR', description: 'Scratch' },
    ];
    this.ports = [{ first: base, last: base + 7, read: (port) => this.read(port - base), write: (port, value) => this.write(port - base, value & 0xff) }];
  }

  /** Bytes from the other end. Returns how many were taken: the queue is bounded. */
  receive(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, QUEUE_BYTES - (this.queue.length - this.queueHead));
    for (let i = 0; i < taken; i++) this.queue.push(bytes[i]);
    this.refill();
    return taken;
  }

  private get fifoEnabled(): boolean {
    return (this.state.fcr & 1) !== 0;
  }

  private get trigger(): number {
    return this.fifoEnabled ? TRIGGER_LEVELS[this.state.fcr >> 6] : 1;
  }

  /** Moves bytes from the queue into the chip while there is room. */
  private refill(): void {
    const s = this.state;
    const room = this.fifoEnabled ? FIFO_BYTES : 1;
    let arrived = false;
    while ((s.mcr & MCR_LOOP) === 0 && s.fifo.length < room && this.queueHead < this.queue.length) {
      s.fifo.push(this.queue[this.queueHead++]);
      arrived = true;
    }
    if (this.queueHead === this.queue.length || this.queueHead > 4096) {
      this.queue = this.queue.slice(this.queueHead);
      this.queueHead = 0;
    }
    if (arrived) this.restartTimeout();
    this.update();
  }

  /** A FIFO below its trigger level interrupts when nothing was read or received for four character times. */
  private restartTimeout(): void {
    const s = this.state;
    s.timeout = false;
    this.timer?.cancel();
    this.timer = undefined;
    if (!this.fifoEnabled || s.fifo.length === 0) return;
    const { clock } = this.options;
    const bits = 4 * 12 * Math.max(1, s.divisor);
    const delay = Math.max(1, Math.ceil((bits / UART_HERTZ) * clock.instructionsPerSecond));
    this.timer = clock.schedule(clock.now() + delay, () => {
      this.timer = undefined;
      s.timeout = true;
      this.update();
    });
  }

  /** The interrupt with the highest priority, as IIR shows it. */
  private identification(): number {
    const s = this.state;
    if (s.ier & IER_RLS && (s.overrun || s.breakSeen)) return IIR_RLS;
    if (s.ier & IER_RDA) {
      if (s.fifo.length >= this.trigger) return IIR_RDA;
      if (s.timeout && s.fifo.length > 0) return IIR_TIMEOUT;
    }
    if (s.ier & IER_THRE && s.threPending) return IIR_THRE;
    if (s.ier & IER_MODEM && s.deltas !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  private update(): void {
    const s = this.state;
    // On a PC, OUT2 connects the interrupt pin to the bus.
    const level = this.identification() !== IIR_NONE && (s.mcr & MCR_OUT2) !== 0;
    if (level === s.level) return;
    s.level = level;
    this.options.irq(level);
  }

  private modemStatus(): number {
    const s = this.state;
    if ((s.mcr & MCR_LOOP) === 0) return s.lines;
    // Loopback: RTS → CTS, DTR → DSR, OUT1 → RI, OUT2 → DCD.
    return (s.mcr & 2) << 3 | (s.mcr & 1) << 5 | (s.mcr & 4) << 4 | (s.mcr & 8) << 4;
  }

  private noteModemChange(before: number): void {
    const after = this.modemStatus();
    const changed = before ^ after;
    this.state.deltas |= (changed >> 4) & 0x0b;
    // RI counts its trailing edge only.
    if (changed & 0x40 && (after & 0x40) === 0) this.state.deltas |= 4;
  }

  private lineStatus(): number {
    const s = this.state;
    return LSR_THRE | LSR_TEMT | (s.fifo.length > 0 ? LSR_DR : 0) | (s.overrun ? LSR_OE : 0) | (s.breakSeen ? LSR_BI : 0)
      | (s.breakSeen && this.fifoEnabled ? LSR_FIFO_ERROR : 0);
  }

  /** IIR bits 6 and 7. */
  private get fifoBits(): number {
    return this.fifoEnabled ? 0xc0 : 0;
  }

  registerValues(): readonly (number | undefined)[] {
    const { fifo, divisor, ier, fcr, lcr, mcr, deltas, scratch } = this.state;
    return [fifo[0], divisor, ier, this.identification() | this.fifoBits, fcr, lcr, mcr, this.lineStatus(), this.modemStatus() | deltas, scratch];
  }

  private read(register: number): number {
    const s = this.state;
    switch (register) {
      case 0: {
        if (s.lcr & 0x80) return s.divisor & 0xff;
        const value = s.fifo.shift() ?? 0;
        this.restartTimeout();
        this.refill();
        return value;
      }
      case 1: return s.lcr & 0x80 ? s.divisor >> 8 : s.ier;
      case 2: {
        const value = this.identification();
        if (value === IIR_THRE) {
          s.threPending = false;
          this.update();
        }
        return value | this.fifoBits;
      }
      case 3: return s.lcr;
      case 4: return s.mcr;
      case 5: {
        const value = this.lineStatus();
        s.overrun = false;
        s.breakSeen = false;
        this.update();
        return value;
      }
      case 6: {
        const value = this.modemStatus() | s.deltas;
        s.deltas = 0;
        this.update();
        return value;
      }
      default: return s.scratch;
    }
  }

  private write(register: number, value: number): void {
    const s = this.state;
    switch (register) {
      case 0:
        if (s.lcr & 0x80) s.divisor = (s.divisor & 0xff00) | value;
        else this.transmit(value);
        break;
      case 1:
        if (s.lcr & 0x80) {
          s.divisor = value << 8 | (s.divisor & 0xff);
        } else {
          // Enabling the interrupt while THR is empty raises it.
          if (value & IER_THRE && (s.ier & IER_THRE) === 0) s.threPending = true;
          s.ier = value & 0x0f;
        }
        break;
      case 2: this.writeFcr(value); break;
      case 3: {
        const breakBegins = (value & 0x40) !== 0 && (s.lcr & 0x40) === 0;
        s.lcr = value;
        if (breakBegins && s.mcr & MCR_LOOP) {
          this.loopBack(0);
          s.breakSeen = true;
        }
        break;
      }
      case 4: {
        const before = this.modemStatus();
        s.mcr = value & 0x1f;
        this.noteModemChange(before);
        this.refill();
        break;
      }
      case 7: s.scratch = value; break;
      default: break; // LSR and MSR are read-only.
    }
    this.update();
  }

  private writeFcr(value: number): void {
    const s = this.state;
    const toggled = ((value ^ s.fcr) & 1) !== 0;
    // The other bits count only together with the enable bit; a change of it empties the FIFOs.
    s.fcr = value & 1 ? value & 0xc9 : 0;
    if (toggled || value & 2) {
      s.fifo.length = 0;
      this.restartTimeout();
    }
    this.refill();
  }

  private transmit(value: number): void {
    const s = this.state;
    s.threPending = false;
    this.update();
    if (s.mcr & MCR_LOOP) this.loopBack(value);
    else this.options.output(Uint8Array.of(value & (0xff >> (3 - (s.lcr & 3)))));
    s.threPending = true;
  }

  private loopBack(value: number): void {
    const s = this.state;
    if (s.fifo.length >= (this.fifoEnabled ? FIFO_BYTES : 1)) {
      s.overrun = true;
      // Without FIFOs the new byte overwrites the old one; with them it is lost.
      if (!this.fifoEnabled) s.fifo[0] = value;
      return;
    }
    s.fifo.push(value);
    this.restartTimeout();
  }

  reset(): void {
    const { level } = this.state;
    this.timer?.cancel();
    this.timer = undefined;
    this.state = { ...powerOn(), level };
    this.queue = [];
    this.queueHead = 0;
    this.update();
  }

  save(): unknown {
    return { ...this.state, fifo: [...this.state.fifo], queue: this.queue.slice(this.queueHead) };
  }

  restore(state: unknown): void {
    const { queue, ...saved } = state as UartState & { queue: number[] };
    this.state = { ...saved, fifo: [...saved.fifo] };
    this.queue = [...queue];
    this.queueHead = 0;
    if (!saved.timeout) this.restartTimeout();
  }
}
