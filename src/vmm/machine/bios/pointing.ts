/**
 * INT 15h AH=C2h and IRQ 12: the PS/2 mouse for programs. The handler that a program installs is called with each packet (IBM PS/2 and PC BIOS Interface
 * Technical Reference, pointing device interface); what the BIOS knows of the mouse stands in the extended data area.
 */
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { MOUSE_HANDLER_OFFSET, rom } from './rom';
import { EBDA } from '../loaders/memory-map';

/** In the extended data area: handler, index in the packet, size less 1 with a flag, packet; then what was set last. */
const HANDLER = EBDA + MOUSE_HANDLER_OFFSET, INDEX = EBDA + 0x26, SIZE = EBDA + 0x27, PACKET = EBDA + 0x28, RESOLUTION = EBDA + 0x30, RATE = EBDA + 0x31, STATUS = EBDA + 0x32;
const INSTALLED = 0x80, SIZE_MASK = 7;
const Failure = { badFunction: 1, badInput: 2, interface: 3, noHandler: 5 } as const;
const ACK = 0xfa;
const MouseCommand = { scale1: 0xe6, scale2: 0xe7, resolution: 0xe8, rate: 0xf3, enable: 0xf4, disable: 0xf5, defaults: 0xf6 } as const;
const rates = [10, 20, 40, 60, 80, 100, 200];
const DEFAULT_RATE = 100, DEFAULT_RESOLUTION = 2;
const ENABLED = 0x20, SCALED = 0x10;
const SLAVE_MASK = 0xa1, IRQ12 = 0x10;
/** The controller's command byte: mouse on, with its interrupt; keyboard as usual. */
const COMMAND_BYTE = 0x47;

export class PointingService {
  constructor(private readonly host: BiosHost) {}

  call(c: BiosCall): void {
    const failure = this.dispatch(c);
    c.ah = failure;
    c.carry = failure !== 0;
  }

  private dispatch(c: BiosCall): number {
    const { memory } = this.host;
    switch (c.al) {
      case 0x00: {
        if (c.bh > 1) return Failure.badInput;
        if (c.bh === 1 && !(memory.read8(SIZE) & INSTALLED)) return Failure.noHandler;
        const on = c.bh === 1;
        if (on) this.connect();
        memory.write8(INDEX, 0);
        memory.write8(STATUS, on ? memory.read8(STATUS) | ENABLED : memory.read8(STATUS) & ~ENABLED);
        return this.send(on ? MouseCommand.enable : MouseCommand.disable);
      }
      case 0x05:
        if (c.bh < 1 || c.bh > 8) return Failure.badInput;
        memory.write8(SIZE, (memory.read8(SIZE) & ~SIZE_MASK) | (c.bh - 1));
        return this.reset(c);
      case 0x01: return this.reset(c);
      case 0x02: {
        const rate = rates[c.bh];
        if (rate === undefined) return Failure.badInput;
        memory.write8(RATE, rate);
        return this.send(MouseCommand.rate, rate);
      }
      case 0x03:
        if (c.bh > 3) return Failure.badInput;
        memory.write8(RESOLUTION, c.bh);
        return this.send(MouseCommand.resolution, c.bh);
      case 0x04: c.bh = 0; return 0;
      case 0x06: {
        if (c.bh > 2) return Failure.badInput;
        if (c.bh === 0) {
          c.bl = memory.read8(STATUS);
          c.cl = memory.read8(RESOLUTION);
          c.dl = memory.read8(RATE);
          return 0;
        }
        memory.write8(STATUS, c.bh === 2 ? memory.read8(STATUS) | SCALED : memory.read8(STATUS) & ~SCALED);
        return this.send(c.bh === 2 ? MouseCommand.scale2 : MouseCommand.scale1);
      }
      case 0x07: {
        const segment = c.cpu.segmentBase(Seg.ES) >>> 4;
        memory.write16(HANDLER, c.bx);
        memory.write16(HANDLER + 2, segment);
        const size = memory.read8(SIZE);
        memory.write8(SIZE, segment === 0 && c.bx === 0 ? size & ~INSTALLED : size | INSTALLED);
        return 0;
      }
      default: return Failure.badFunction;
    }
  }

  private reset(c: BiosCall): number {
    const { memory } = this.host;
    memory.write8(RATE, DEFAULT_RATE);
    memory.write8(RESOLUTION, DEFAULT_RESOLUTION);
    memory.write8(STATUS, 0);
    memory.write8(INDEX, 0);
    this.connect();
    c.bx = 0x00aa;
    return this.send(MouseCommand.defaults);
  }

  /** Opens the way for the mouse's bytes and its interrupt. */
  private connect(): void {
    const { host } = this;
    host.writePort(0x64, 0xa8);
    host.writePort(0x64, 0x60);
    host.writePort(0x60, COMMAND_BYTE);
    host.writePort(SLAVE_MASK, host.readPort(SLAVE_MASK) & ~IRQ12);
  }

  /** Bytes to the mouse, each of which it acknowledges at once unless another byte stands in the way. */
  private send(...bytes: number[]): number {
    const { host } = this;
    for (const byte of bytes) {
      host.writePort(0x64, 0xd4);
      host.writePort(0x60, byte);
      if ((host.readPort(0x64) & 0x21) !== 0x21 || host.readPort(0x60) !== ACK) return Failure.interface;
    }
    return 0;
  }

  /** IRQ 12: a byte of a packet. With the last one the stub goes on to call the handler with AX, BX, CX and DX on the stack. */
  interrupt(c: BiosCall): void {
    const { host } = this;
    const { memory } = host;
    if ((host.readPort(0x64) & 0x21) === 0x21) {
      const byte = host.readPort(0x60);
      const size = (memory.read8(SIZE) & SIZE_MASK) + 1, index = memory.read8(INDEX) % size;
      // A packet begins with a byte whose bit 3 is set: otherwise a byte was lost.
      if (index > 0 || byte & 8) {
        memory.write8(PACKET + index, byte);
        memory.write8(INDEX, (index + 1) % size);
        if (index + 1 === size && memory.read8(SIZE) & INSTALLED) {
          const [status, x, y, z] = [0, 1, 2, 3].map((n) => (n < size ? memory.read8(PACKET + n) : 0));
          c.ax = status;
          c.bx = x;
          c.cx = y;
          c.dx = z;
          return;
        }
      }
    }
    c.jump(rom.labels.get('mouseDone')!);
  }
}
