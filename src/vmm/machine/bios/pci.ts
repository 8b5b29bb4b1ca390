/**
 * PCI in the BIOS: POST gives every function addresses for its windows and an interrupt, and INT 1Ah AH=B1h serves configuration space (PCI BIOS Specification 2.1). A
 * routing table ("$PIR") in the ROM tells kernels without ACPI how slots are wired to the interrupt router.
 */
import type { AccessSize, PciBar } from '../../devices/device';
import { PM_BASE, PM_IO_ENABLE, PMBASE, PMREGMISC } from '../../devices/acpi-pm';
import { requestOf } from '../../devices/pci/bus';
import { Command, Config } from '../../devices/pci/configuration-space';
import { PAM0 } from '../../devices/pci/host-bridge';
import { PIRQ_ROUTE } from '../../devices/pci/isa-bridge';
import { SCI_IRQ } from '../interrupt-routing';
import type { BiosCall } from './bios-cpu';
import type { BiosHost } from './host';

/** Status codes of INT 1Ah AH=B1h. */
const Status = { ok: 0x00, unsupported: 0x81, badVendor: 0x83, notFound: 0x86, badRegister: 0x87 } as const;
const SIGNATURE = 0x20494350;

/** Where windows go that ask for no place of their own. */
const IO_FIRST = 0xc000, MEMORY_FIRST = 0xf0000000, MEMORY_LAST = 0xfebfffff;
/** Inputs for the four requests, level-triggered; the router (slot 1) has its routing registers from 60h on. */
const requestIrqs = [10, 10, 11, 11] as const;
const ROUTER = 1 << 3, ROUTER_VENDOR = 0x8086, ROUTER_DEVICE = 0x7000;
/** Power management. Reads and writes of E0000h–EFFFFh reach RAM by the last two shadow registers: tables for the system lie there. */
const POWER_MANAGEMENT = 1 << 3 | 3, HOST_BRIDGE = 0, TABLES_SHADOW = PAM0 + 5, SHADOW_ALL = 0x33;
const ELCR2 = 0x4d1;
const BRIDGE_CLASS = 0x06, VGA_CLASS = 0x0300;
const IDE_TIMING = 0x40, IDE_CLASS = 0x0101, IDE_DECODE = 0x8000;

/** Slots that the table describes; the wiring goes on beyond. */
const ROUTED_SLOTS = 16;
const ROUTABLE_IRQS = 0xdef8;

/** The table of the PCI IRQ Routing Table Specification 1.0. */
export function routingTable(): Uint8Array {
  const bytes = new Uint8Array(32 + 16 * ROUTED_SLOTS);
  const view = new DataView(bytes.buffer);
  bytes.set(Array.from('$PIR', (c) => c.charCodeAt(0)));
  view.setUint16(4, 0x0100, true);
  view.setUint16(6, bytes.length, true);
  bytes[9] = ROUTER;
  view.setUint16(12, ROUTER_VENDOR, true);
  view.setUint16(14, ROUTER_DEVICE, true);
  for (let n = 0; n < ROUTED_SLOTS; n++) {
    const at = 32 + 16 * n, slot = n + 1;
    bytes[at + 1] = slot << 3;
    for (let pin = 1; pin <= 4; pin++) {
      bytes[at + 2 + 3 * (pin - 1)] = PIRQ_ROUTE + requestOf(slot, pin);
      view.setUint16(at + 3 + 3 * (pin - 1), ROUTABLE_IRQS, true);
    }
  }
  bytes[31] = -bytes.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}

export class PciService {
  constructor(private readonly host: BiosHost) {}

  /** POST. */
  initialize(): void {
    const { pci } = this.host;
    for (let n = 0; n < 4; n++) pci.writeConfiguration(ROUTER, PIRQ_ROUTE + n, requestIrqs[n], 1);
    this.host.writePort(ELCR2, [...requestIrqs, SCI_IRQ].reduce((bits, irq) => bits | 1 << (irq - 8), 0));
    pci.writeConfiguration(POWER_MANAGEMENT, PMBASE, PM_BASE, 4);
    pci.writeConfiguration(POWER_MANAGEMENT, PMREGMISC, PM_IO_ENABLE, 1);
    for (const n of [0, 1]) pci.writeConfiguration(HOST_BRIDGE, TABLES_SHADOW + n, SHADOW_ALL, 1);
    let io = IO_FIRST, memory = MEMORY_FIRST;
    /** The next free place of this size; 0 when there is none left. */
    const place = (bar: PciBar): number => {
      if (bar.address !== undefined) return bar.address;
      const align = (value: number): number => Math.ceil(value / bar.bytes) * bar.bytes;
      if (bar.kind === 'io') {
        const at = align(io);
        if (at + bar.bytes > 0x10000) return 0;
        io = at + bar.bytes;
        return at;
      }
      const at = align(memory);
      if (at + bar.bytes - 1 > MEMORY_LAST) return 0;
      memory = at + bar.bytes;
      return at;
    };
    for (const { owner } of pci.functions) {
      const at = owner.slot << 3 | owner.function;
      owner.bars?.forEach((bar, n) => {
        if (bar) pci.writeConfiguration(at, Config.bars + 4 * n, place(bar), 4);
      });
      if (owner.interruptPin) pci.writeConfiguration(at, Config.interruptLine, requestIrqs[requestOf(owner.slot, owner.interruptPin)], 1);
      if (owner.classCode >>> 8 === IDE_CLASS) for (const channel of [0, 2]) pci.writeConfiguration(at, IDE_TIMING + channel, IDE_DECODE, 2);
      if (owner.classCode >>> 16 !== BRIDGE_CLASS) {
        const master = owner.classCode >>> 8 === VGA_CLASS ? 0 : Command.master;
        pci.writeConfiguration(at, Config.command, pci.readConfiguration(at, Config.command, 2) | Command.io | Command.memory | master, 2);
      }
    }
  }

  /** INT 1Ah AH=B1h. */
  call(c: BiosCall): void {
    const status = this.dispatch(c);
    c.ah = status;
    c.carry = status !== Status.ok;
  }

  private dispatch(c: BiosCall): number {
    const { pci } = this.host;
    const find = (matches: (vendor: number, device: number, classCode: number) => boolean): number => {
      const found = pci.functions.filter(({ owner }) => matches(owner.vendorId, owner.deviceId, owner.classCode))[c.si];
      if (found === undefined) return Status.notFound;
      c.bx = found.owner.slot << 3 | found.owner.function;
      return Status.ok;
    };
    switch (c.al) {
      case 0x01:
        c.edx = SIGNATURE;
        c.al = 1; // configuration mechanism #1, no special cycles
        c.bx = 0x0210;
        c.cl = 0;
        return Status.ok;
      case 0x02: {
        const { cx, dx } = c;
        return dx === 0xffff ? Status.badVendor : find((vendor, device) => vendor === dx && device === cx);
      }
      case 0x03: {
        const wanted = c.ecx & 0xffffff;
        return find((_vendor, _device, classCode) => classCode === wanted);
      }
      case 0x08: return this.read(c, 1);
      case 0x09: return this.read(c, 2);
      case 0x0a: return this.read(c, 4);
      case 0x0b: return this.write(c, 1);
      case 0x0c: return this.write(c, 2);
      case 0x0d: return this.write(c, 4);
      default: return Status.unsupported;
    }
  }

  private read(c: BiosCall, size: AccessSize): number {
    if (c.di % size !== 0 || c.di > 0xff) return Status.badRegister;
    const value = c.bh === 0 ? this.host.pci.readConfiguration(c.bl, c.di, size) : 0xffffffff;
    if (size === 1) c.cl = value;
    else if (size === 2) c.cx = value;
    else c.ecx = value;
    return Status.ok;
  }

  private write(c: BiosCall, size: AccessSize): number {
    if (c.di % size !== 0 || c.di > 0xff) return Status.badRegister;
    if (c.bh === 0) this.host.pci.writeConfiguration(c.bl, c.di, c.ecx, size);
    return Status.ok;
  }
}
