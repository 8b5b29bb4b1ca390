/** INT 11h, 12h, 14h, 15h and 17h: equipment, memory, serial ports, system services. */
import type { BiosCall } from './bios-cpu';
import { Seg } from './bios-cpu';
import type { BiosHost } from './host';
import { BDA, ROM_SEGMENT } from './layout';
import { RomTable } from './rom';
import type { TimeService } from './time';
import { EBDA, memoryMap } from '../loaders/memory-map';

const UNSUPPORTED = 0x86;
const SMAP = 0x534d4150;

export class SystemService {
  constructor(private readonly host: BiosHost, private readonly time: TimeService) {}

  equipment(c: BiosCall): void {
    c.ax = this.host.memory.read16(BDA.equipment);
  }

  conventionalMemory(c: BiosCall): void {
    c.ax = this.host.memory.read16(BDA.memoryKiB);
  }

  /** INT 15h. */
  call(c: BiosCall): void {
    switch (c.ah) {
      case 0x24: this.a20(c); return;
      case 0x4f: c.carry = true; return; // the scan code in AL goes on to INT 09h
      case 0x80: case 0x81: case 0x82: case 0x85: case 0x90: case 0x91: this.done(c); return;
      case 0x86: this.time.waitMicroseconds(c); return;
      case 0x87: this.blockMove(c); return;
      case 0x88:
        c.ax = Math.min(0xfc00, this.extendedKiB);
        c.carry = false;
        return;
      case 0xc0:
        c.bx = RomTable.configuration;
        c.setEs(ROM_SEGMENT);
        this.done(c);
        return;
      case 0xc1:
        c.setEs(EBDA >> 4);
        c.carry = false;
        return;
      case 0xe8: this.memorySize(c); return;
      default: this.unsupported(c); // also 53h: there is no APM
    }
  }

  private done(c: BiosCall): void {
    c.ah = 0;
    c.carry = false;
  }

  private unsupported(c: BiosCall): void {
    c.ah = UNSUPPORTED;
    c.carry = true;
  }

  private get extendedKiB(): number {
    return Math.max(0, Math.floor(this.host.memory.ramBytes / 1024) - 1024);
  }

  private a20(c: BiosCall): void {
    const { host } = this;
    switch (c.al) {
      case 0: host.writePort(0x92, host.readPort(0x92) & ~3); this.done(c); break;
      case 1: host.writePort(0x92, (host.readPort(0x92) & ~1) | 2); this.done(c); break;
      case 2: c.al = (host.readPort(0x92) >> 1) & 1; this.done(c); break;
      case 3: c.bx = 3; this.done(c); break; // by the keyboard controller and by port 92h
      default: this.unsupported(c);
    }
  }

  /** AH=87h: CX words between the two descriptors of the table at ES:SI. */
  private blockMove(c: BiosCall): void {
    const { memory } = this.host;
    const table = c.address(Seg.ES, c.si);
    const base = (at: number): number => (memory.read16(at + 2) | memory.read8(at + 4) << 16 | memory.read8(at + 7) << 24) >>> 0;
    const bytes = 2 * c.cx;
    const source = base(table + 0x10), target = base(table + 0x18);
    if (c.cx > 0x8000 || source + bytes > memory.ramBytes || target + bytes > memory.ramBytes) {
      c.ah = 0x02; // an exception in the copy
      c.carry = true;
      c.zero = false;
      return;
    }
    memory.writeBytes(target, memory.readBytes(source, bytes).slice());
    this.done(c);
    c.zero = true;
  }

  private memorySize(c: BiosCall): void {
    const { memory } = this.host;
    switch (c.al) {
      case 0x01: {
        const kiB = this.extendedKiB;
        c.cx = c.ax = Math.min(0x3c00, kiB);
        c.dx = c.bx = Math.min(0xffff, Math.max(0, Math.floor((kiB - 0x3c00) / 64)));
        c.carry = false;
        return;
      }
      case 0x20: {
        const map = memoryMap(memory.ramBytes);
        const entry = c.edx === SMAP && c.ecx >= 20 ? map[c.ebx] : undefined;
        if (entry === undefined) {
          this.unsupported(c);
          return;
        }
        const at = c.address(Seg.ES, c.di);
        memory.write32(at, entry.base);
        memory.write32(at + 4, 0);
        memory.write32(at + 8, entry.bytes >>> 0);
        memory.write32(at + 12, Math.floor(entry.bytes / 0x100000000));
        memory.write32(at + 16, entry.type);
        c.ebx = c.ebx + 1 < map.length ? c.ebx + 1 : 0;
        c.eax = SMAP;
        c.ecx = 20;
        c.carry = false;
        return;
      }
      default: this.unsupported(c);
    }
  }

  /** INT 14h: a port that has nothing to give answers with the time-out bit at once. */
  serial(c: BiosCall): void {
    const { host } = this;
    const port = c.dx < 4 ? host.memory.read16(BDA.comPorts + 2 * c.dx) : 0;
    if (port === 0) {
      c.ah = 0x80;
      return;
    }
    switch (c.ah) {
      case 0x00: {
        const divisor = [1047, 768, 384, 192, 96, 48, 24, 12][c.al >> 5];
        host.writePort(port + 3, 0x80);
        host.writePort(port, divisor & 0xff);
        host.writePort(port + 1, divisor >> 8);
        host.writePort(port + 3, c.al & 0x1f);
        break;
      }
      case 0x01:
        host.writePort(port + 4, 0x03 | (host.readPort(port + 4) & 8));
        host.writePort(port, c.al);
        c.ah = host.readPort(port + 5) & 0x7f;
        return;
      case 0x02: {
        const status = host.readPort(port + 5);
        c.ah = status & 1 ? status & 0x1e : 0x80;
        if (status & 1) c.al = host.readPort(port);
        return;
      }
      case 0x03: break;
      default: return;
    }
    c.ah = host.readPort(port + 5);
    c.al = host.readPort(port + 6);
  }

  /** INT 17h: there is no printer. */
  printer(c: BiosCall): void {
    c.ah = 0x01;
  }
}
