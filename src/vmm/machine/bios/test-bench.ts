/** A board for BIOS tests: the real devices, plain memory, and a processor that only holds registers. */
import { KeyboardController } from '../../devices/keyboard';
import { PciBus } from '../../devices/pci/bus';
import { HostBridge } from '../../devices/pci/host-bridge';
import { IsaBridge } from '../../devices/pci/isa-bridge';
import { PicPair } from '../../devices/pic';
import { Pit } from '../../devices/pit';
import { Rtc } from '../../devices/rtc';
import { TestClock } from '../../devices/test-clock';
import { Uart } from '../../devices/uart';
import { TEXT_COPY_BYTES, type WindowBus } from '../../devices/vga/memory';
import { Vga } from '../../devices/vga/vga';
import type { Device, DiskImage, MmioRange, PhysicalBytes } from '../../devices/device';
import { Bios } from './bios';
import { Reg, Seg, type BiosCpu } from './bios-cpu';
import type { BiosDrive } from './host';
import { ROM_BASE } from './layout';
import { rom } from './rom';

const VIDEO_BYTES = 0x400000;

/** RAM with the display's window in it. */
export class PlainMemory implements PhysicalBytes, WindowBus {
  readonly bytes: Uint8Array;
  readonly video = new Uint8Array(VIDEO_BYTES + TEXT_COPY_BYTES);
  private windows: (MmioRange & { readonly backing?: number })[] = [];

  constructor(readonly ramBytes: number) {
    this.bytes = new Uint8Array(ramBytes);
  }

  mapWindow(window: MmioRange & { readonly backing?: number }): void {
    this.windows.push(window);
  }
  unmapWindow(window: MmioRange): void {
    this.windows.splice(this.windows.indexOf(window), 1);
  }
  private windowAt(address: number): (MmioRange & { readonly backing?: number }) | undefined {
    return address >= 0xa0000 && address < 0xc0000 ? this.windows.find(({ first, last }) => address >= first && address <= last) : undefined;
  }

  read8(address: number): number {
    const window = this.windowAt(address);
    if (window) return window.backing === undefined ? window.read(address, 1) : this.video[window.backing + address - window.first];
    return this.bytes[address] ?? 0xff;
  }
  read16(address: number): number { return this.read8(address) | this.read8(address + 1) << 8; }
  read32(address: number): number { return (this.read16(address) | this.read16(address + 2) << 16) >>> 0; }
  write8(address: number, value: number): void {
    const window = this.windowAt(address);
    if (window?.backing !== undefined) this.video[window.backing + address - window.first] = value;
    else if (window) window.write(address, value & 0xff, 1);
    if (address < this.ramBytes && (address < ROM_BASE || address >= 0x100000)) this.bytes[address] = value;
  }
  write16(address: number, value: number): void { this.write8(address, value); this.write8(address + 1, value >> 8); }
  write32(address: number, value: number): void { this.write16(address, value); this.write16(address + 2, value >>> 16); }
  readBytes(address: number, length: number): Uint8Array {
    if (address + length <= 0xa0000) return this.bytes.slice(address, address + length);
    return Uint8Array.from({ length }, (_, n) => this.read8(address + n));
  }
  writeBytes(address: number, bytes: Uint8Array): void {
    if (address + bytes.length <= 0xa0000) this.bytes.set(bytes, address);
    else bytes.forEach((value, n) => this.write8(address + n, value));
  }
}

export class HeldCpu implements BiosCpu {
  readonly registers = new Uint32Array(8);
  readonly selectors = new Uint16Array(6);
  eip = 0;

  getRegister(index: number): number { return this.registers[index]; }
  setRegister(index: number, value: number): void { this.registers[index] = value; }
  selector(segment: number): number { return this.selectors[segment]; }
  segmentBase(segment: number): number { return this.selectors[segment] << 4; }
  loadRealSegment(segment: number, selector: number): void { this.selectors[segment] = selector; }
  getEip(): number { return this.eip; }
  setEip(value: number): void { this.eip = value; }
}

export interface CallResult {
  readonly ax: number; readonly bx: number; readonly cx: number; readonly dx: number; readonly di: number; readonly bp: number;
  readonly ah: number; readonly al: number;
  readonly es: number;
  readonly carry: boolean;
  readonly zero: boolean;
  /** The stub will sleep and ask again. */
  readonly waits: boolean;
}

type Inputs = Readonly<Partial<Record<'eax' | 'ebx' | 'ecx' | 'edx' | 'esi' | 'edi' | 'ebp', number>>> & { readonly es?: number; readonly ds?: number };

export class Bench {
  readonly clock = new TestClock(10_000_000);
  readonly memory: PlainMemory;
  readonly cpu = new HeldCpu();
  readonly logged: string[] = [];
  readonly serial: number[] = [];
  readonly bios: Bios;
  readonly vga: Vga;
  readonly keyboard: KeyboardController;
  readonly uart: Uart;
  readonly pic = new PicPair(() => undefined);
  readonly pci = new PciBus({ maps: { mapPorts: () => undefined, unmapPorts: () => undefined, mapMemory: () => undefined, unmapMemory: () => undefined } });
  private readonly devices: readonly Device[];

  constructor(drives: ReadonlyMap<number, BiosDrive> = new Map(), ramBytes = 4 << 20, disc?: DiskImage) {
    const { clock, pic } = this;
    this.memory = new PlainMemory(ramBytes);
    this.memory.bytes.set(rom.bytes, ROM_BASE);
    this.vga = new Vga({ clock, memory: { bytes: this.memory.video, host: 0 }, bus: this.memory });
    this.keyboard = new KeyboardController({ clock, keyboardIrq: pic.irq[1], mouseIrq: pic.irq[12], a20: () => undefined, resetRequested: () => undefined });
    this.uart = new Uart({ clock, irq: pic.irq[4], base: 0x3f8, output: (bytes) => this.serial.push(...bytes) });
    const rtc = new Rtc({ clock, irq: pic.irq[8], startSeconds: Date.UTC(2001, 1, 3, 4, 5, 6) / 1000, ramBytes, floppyType: 4, hasHardDisk: drives.has(0x80) });
    this.devices = [pic, new Pit({ clock, irq: pic.irq[0] }), rtc, this.vga, this.keyboard, this.uart];
    this.pci.add(new HostBridge(() => undefined));
    this.pci.add(this.vga.pci);
    this.pci.add(new IsaBridge({ bus: this.pci, irq: pic.irq, reset: () => undefined }));
    this.bios = new Bios({
      memory: this.memory, clock, drives, disc, pci: this.pci, tables: [],
      readPort: (port, size = 1) => this.range(port)?.read(port, size) ?? 0xff,
      writePort: (port, value, size = 1) => this.range(port)?.write(port, value, size),
      log: (text) => this.logged.push(text),
    });
    this.cpu.selectors[Seg.CS] = 0xf000;
    this.cpu.registers[Reg.SP] = 0x7b00;
    this.bios.powerOn();
  }

  private range(port: number) {
    return this.devices.flatMap((device) => device.ports ?? []).find((r) => port >= r.first && port <= r.last);
  }

  /** As INT vector with these registers (ES and DS 0 unless given), flags clear before. */
  int(vector: number, inputs: Inputs = {}, flags = 0): CallResult {
    const { cpu } = this;
    const numbers = { eax: Reg.AX, ebx: Reg.BX, ecx: Reg.CX, edx: Reg.DX, esi: Reg.SI, edi: Reg.DI, ebp: Reg.BP } as const;
    for (const [name, index] of Object.entries(numbers)) cpu.registers[index] = inputs[name as keyof typeof numbers] ?? 0;
    cpu.selectors[Seg.ES] = inputs.es ?? 0;
    cpu.selectors[Seg.DS] = inputs.ds ?? 0;
    this.memory.write16(0x7b04, flags);
    return this.enter(vector);
  }

  /** Enters a trap with the registers as they are. */
  enter(trap: number): CallResult {
    const { cpu } = this;
    const offset = [...rom.traps].find(([, value]) => value === trap)?.[0];
    if (offset === undefined) throw new Error(`no stub for trap ${trap.toString(16)}`);
    cpu.eip = offset;
    this.bios.trap(cpu);
    const [ax, cx, dx, bx] = Array.from(cpu.registers.subarray(0, 4), (value) => value & 0xffff);
    const after = this.memory.read16(0x7b04);
    return {
      ax, bx, cx, dx, di: cpu.registers[Reg.DI] & 0xffff, bp: cpu.registers[Reg.BP] & 0xffff, ah: ax >> 8, al: ax & 0xff, es: cpu.selectors[Seg.ES],
      carry: (after & 1) !== 0, zero: (after & 0x40) !== 0, waits: cpu.eip === offset + 1,
    };
  }

  /** A row of the screen, trailing blanks removed. */
  line(row: number): string {
    const { columns, cells } = this.vga.text()!;
    return Array.from({ length: columns }, (_, n) => String.fromCharCode(cells[2 * (row * columns + n)] || 0x20)).join('').trimEnd();
  }

  /** Plays scan codes through controller and INT 09h. */
  type(...codes: number[]): void {
    this.keyboard.input(codes);
    for (let n = 0; n < 4 * codes.length + 8; n++) {
      if (this.range(0x64)!.read(0x64, 1) & 1) {
        this.cpu.registers[Reg.AX] = this.range(0x60)!.read(0x60, 1);
        this.enter(0x109);
      }
      this.clock.advanceSeconds(0.002);
    }
  }
}
