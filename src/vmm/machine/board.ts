/** The PC around the processor: the devices, wired to each other, to the ports and to the machine that owns them. */
import { AcpiPm } from '../devices/acpi-pm';
import { ApicBus } from '../devices/apic-bus';
import { DebugExit } from '../devices/debug-exit';
import { DebugPort } from '../devices/debug-port';
import type { Clock, Device, Line, MmioRange, PciFunction, PhysicalBytes } from '../devices/device';
import { FirmwareConfiguration } from '../devices/fw-cfg';
import { FirmwareConsole } from '../devices/firmware-console';
import { Coprocessor } from '../devices/coprocessor';
import { Dma } from '../devices/dma';
import { FloppyController } from '../devices/floppy';
import { Hpet } from '../devices/hpet';
import { IoApic } from '../devices/io-apic';
import { KeyboardController } from '../devices/keyboard';
import { LocalApic, LOCAL_APIC_BASE, LOCAL_APIC_BYTES } from '../devices/local-apic';
import { PiixIde } from '../devices/ide/piix-ide';
import { PciBus } from '../devices/pci/bus';
import { HostBridge } from '../devices/pci/host-bridge';
import { IsaBridge } from '../devices/pci/isa-bridge';
import { PicPair } from '../devices/pic';
import { Pit } from '../devices/pit';
import { Power } from '../devices/power';
import { Rtc } from '../devices/rtc';
import { Uart } from '../devices/uart';
import type { VideoMemory } from '../devices/vga/memory';
import { Vga } from '../devices/vga/vga';
import { Switched, WiredOr } from '../devices/wired-or';
import type { Drives } from './drives';
import { VirtioDevices, type VirtioOptions } from './virtio';
import { ioApicInput, PCI_INPUT, SCI_IRQ } from './interrupt-routing';
import type { BootDrive } from './loaders/boot-state';
import { firmwareFiles, firmwareItems } from './firmware-items';
import { PortMap } from './port-map';

/** What the board does to the machine. */
export interface BoardHooks {
  /** A processor's local APIC has an interrupt for it. */
  interrupt(processor: number): void;
  /** Messages to a processor: non-maskable interrupt, INIT, and the start-up of a waiting one at a page. */
  nmi(processor: number): void;
  init(processor: number): void;
  startUp(processor: number, page: number): void;
  timeStamp(processor: number): bigint;
  /** The processor whose instruction accesses memory. */
  currentProcessor(): number;
  a20(enabled: boolean): void;
  reset(): void;
  powerOff(): void;
  debugExit(status: number): void;
  serial(port: number, bytes: Uint8Array): void;
  debugPort(bytes: Uint8Array): void;
  /** A line of a BIOS's debug console. */
  firmwareLog(line: string): void;
}

/** Guest-physical memory as the board arranges it. */
export interface BoardMemory extends PhysicalBytes {
  /** Registers that stay where they are, or whose place is the processor's affair. */
  mapMmio(window: MmioRange): void;
  unmapMmio(window: MmioRange): void;
  /** Windows that the guest places, and shadow RAM (see PhysicalMemory). */
  mapWindow(window: MmioRange & { readonly backing?: number }): void;
  unmapWindow(window: MmioRange & { readonly backing?: number }): void;
  setShadow(first: number, last: number, bits: number): void;
}

export interface BoardOptions {
  readonly clock: Clock;
  readonly memory: BoardMemory;
  readonly videoMemory: VideoMemory;
  readonly rtcSeconds: number;
  readonly drives: Drives;
  /** The drive to boot from first. */
  readonly bootDrive?: BootDrive;
  readonly processors: number;
  /** What the processor model's local APIC can do. */
  readonly x2apic: boolean;
  readonly deadline: boolean;
  /** What is plugged in besides the disks. */
  readonly virtio: VirtioOptions;
  /** Expansion ROM of the display. */
  readonly vgaBios?: Uint8Array;
}

/** The program's drive first, then the others in their usual order. */
function bootOrder(first: BootDrive | undefined): BootDrive[] {
  const usual = ['floppy', 'hardDisk', 'cdrom'] as const;
  return first === undefined ? [...usual] : [first, ...usual.filter((drive) => drive !== first)];
}

/** Where each processor sees its own local APIC, if it has it there. */
function localApicWindow(page: number, current: () => LocalApic): MmioRange {
  return {
    first: page, last: page + LOCAL_APIC_BYTES - 1,
    read: (address, size) => {
      const apic = current();
      return apic.page === page ? apic.read(address - page, size) : 0xffffffff;
    },
    write: (address, value, size) => {
      const apic = current();
      if (apic.page === page) apic.write(address - page, value, size);
    },
  };
}

/** COM1 to COM4: two share an interrupt. */
const serialPorts = [{ base: 0x3f8, irq: 4 }, { base: 0x2f8, irq: 3 }, { base: 0x3e8, irq: 4 }, { base: 0x2e8, irq: 3 }] as const;

export class Board {
  readonly pic: PicPair;
  readonly pit: Pit;
  readonly rtc: Rtc;
  /** COM1 to COM4. */
  readonly uarts: readonly Uart[];
  readonly keyboard: KeyboardController;
  readonly coprocessor: Coprocessor;
  readonly vga: Vga;
  readonly dma = new Dma();
  readonly apicBus = new ApicBus();
  readonly localApics: readonly LocalApic[];
  readonly ioApic: IoApic;
  readonly hpet: Hpet;
  readonly pm: AcpiPm;
  readonly ports = new PortMap();
  readonly pci: PciBus;
  readonly virtio: VirtioDevices;
  readonly devices: readonly Device[];
  private readonly isaLines: readonly WiredOr[];
  private readonly movedApics = new Map<number, MmioRange>();
  private readonly atPowerOn: string;

  constructor(options: BoardOptions, hooks: BoardHooks) {
    const { clock, memory } = options;
    // Its identifier follows those of the processors.
    this.ioApic = new IoApic(this.apicBus, options.processors);
    this.localApics = Array.from({ length: options.processors }, (_, id) => new LocalApic({
      clock, bus: this.apicBus, id, processors: options.processors, x2apic: options.x2apic, deadline: options.deadline,
      hooks: {
        interrupt: () => hooks.interrupt(id), nmi: () => hooks.nmi(id), init: () => hooks.init(id), startUp: (page) => hooks.startUp(id, page),
        externalVector: () => this.pic.acknowledge(), timeStamp: () => hooks.timeStamp(id),
      },
    }));
    const intr = [this.ioApic.pins[0], ...this.localApics.map((apic) => apic.lint[0])];
    this.pic = new PicPair((level) => { for (const line of intr) line(level); });
    this.isaLines = this.pic.irq.map((toPic, irq) => {
      const toApic = this.ioApic.pins[ioApicInput(irq)];
      return new WiredOr((level) => {
        toPic(level);
        toApic(level);
      });
    });
    const timer = new Switched(this.isaInterrupt(0)), rtc = new Switched(this.isaInterrupt(8));
    this.pit = new Pit({ clock, irq: timer.line });
    this.rtc = new Rtc({
      clock, irq: rtc.line, startSeconds: options.rtcSeconds, ramBytes: memory.ramBytes,
      floppyType: options.drives.floppy?.cmosType, hasHardDisk: options.drives.hasHardDisk, bootOrder: bootOrder(options.bootDrive), processors: options.processors,
    });
    this.hpet = new Hpet({
      clock, pins: this.ioApic.pins, legacy: [this.isaInterrupt(0), this.isaInterrupt(8)],
      legacyReplacement: (on) => {
        timer.connect(!on);
        rtc.connect(!on);
      },
      message: (address, data) => this.apicBus.message(address, data),
    });
    this.pm = new AcpiPm({
      clock, sci: this.isaInterrupt(SCI_IRQ), powerOff: () => hooks.powerOff(), mapPorts: (range) => this.ports.map(range), unmapPorts: (range) => this.ports.unmap(range),
    });
    this.uarts = serialPorts.map(({ base, irq }, index) => new Uart({ clock, irq: this.isaInterrupt(irq), base, index, output: (bytes) => hooks.serial(index, bytes) }));
    this.keyboard = new KeyboardController({
      clock, keyboardIrq: this.isaInterrupt(1), mouseIrq: this.isaInterrupt(12), a20: (level) => hooks.a20(level), resetRequested: () => hooks.reset(),
    });
    this.vga = new Vga({ clock, memory: options.videoMemory, bus: memory, ...(options.vgaBios && { rom: options.vgaBios }) });
    this.pci = new PciBus({
      maps: {
        mapPorts: (range) => this.ports.map(range), unmapPorts: (range) => this.ports.unmap(range),
        mapMemory: (window) => memory.mapWindow(window), unmapMemory: (window) => memory.unmapWindow(window),
      },
    });
    this.virtio = new VirtioDevices(options.virtio, options.drives.virtioDisks, memory, clock);
    const functions: readonly PciFunction[] = [
      new HostBridge((first, last, bits) => memory.setShadow(first, last, bits)),
      new PiixIde({ clock, memory, irq: [this.isaInterrupt(14), this.isaInterrupt(15)], units: options.drives.units() }),
      new IsaBridge({ bus: this.pci, irq: this.pic.irq.map((_, n) => this.isaInterrupt(n)), reset: () => hooks.reset() }),
      this.pm,
      ...this.virtio.functions,
    ];
    for (const owner of [...functions, this.vga.pci]) this.pci.add(owner);
    this.connectPciInterrupts();
    this.coprocessor = new Coprocessor(this.isaInterrupt(13));
    this.devices = [
      this.pic, ...this.localApics, this.ioApic, this.pit, this.rtc, this.hpet, ...this.uarts, this.keyboard, this.vga, this.dma, this.coprocessor,
      new DebugPort((bytes) => hooks.debugPort(bytes)), new FirmwareConsole((line) => hooks.firmwareLog(line)), new DebugExit((status) => hooks.debugExit(status)), new Power(() => hooks.powerOff()),
      new FloppyController({ clock, memory, dma: this.dma, irq: this.isaInterrupt(6), ...options.drives.floppy }),
      new FirmwareConfiguration({ memory, items: firmwareItems(memory.ramBytes, options.processors), files: firmwareFiles(memory.ramBytes, bootOrder(options.bootDrive), { processors: options.processors, serialPorts: serialPorts.length }) }),
      this.pci, ...functions.map((owner) => owner.device),
    ];
    for (const device of this.devices) {
      this.ports.add(device);
      for (const range of device.mmio ?? []) memory.mapMmio(range);
    }
    const current = (): LocalApic => this.localApics[hooks.currentProcessor()];
    memory.mapMmio(localApicWindow(LOCAL_APIC_BASE, current));
    for (const apic of this.localApics) apic.onBase = () => this.placeLocalApics(memory, current);
    this.atPowerOn = JSON.stringify(this.devices.map((device) => device.save()));
  }

  /** Another driver of an interrupt of the ISA bus: it reaches both kinds of interrupt controller. */
  isaInterrupt(irq: number): Line {
    return this.isaLines[irq].input();
  }

  /** PCI's requests reach the 8259A pair through the ISA bridge's router and the I/O APIC directly; its messages are interrupt messages. */
  private connectPciInterrupts(): void {
    const toRouter = this.pci.onRequest;
    this.pci.onRequest = (line, level) => {
      toRouter(line, level);
      this.ioApic.pins[PCI_INPUT + line](level);
    };
    this.pci.onMessage = (address, data) => this.apicBus.message(address, data);
  }

  /** The page of power-on always is the local APICs'; those to which software has moved one are windows besides. */
  private placeLocalApics(memory: BoardMemory, current: () => LocalApic): void {
    const wanted = new Set(this.localApics.flatMap(({ page }) => (page === undefined || page === LOCAL_APIC_BASE ? [] : [page])));
    for (const [page, window] of this.movedApics) {
      if (wanted.has(page)) continue;
      memory.unmapWindow(window);
      this.movedApics.delete(page);
    }
    for (const page of wanted) {
      if (this.movedApics.has(page)) continue;
      const window = localApicWindow(page, current);
      memory.mapWindow(window);
      this.movedApics.set(page, window);
    }
  }

  /** What a reset leaves alone (the battery-backed clock and its memory) is as it was when the board was made, so that runs repeat. */
  powerOn(): void {
    // Restoring moves no lines: those that are asserted fall first.
    this.reset();
    const states = JSON.parse(this.atPowerOn) as unknown[];
    this.devices.forEach((device, n) => device.restore(states[n]));
    this.reset();
  }

  reset(): void {
    for (const device of this.devices) device.reset();
  }
}
