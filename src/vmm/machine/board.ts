/** The PC around the processor: the devices, wired to each other, to the ports and to the machine that owns them. */
import { DebugExit } from '../devices/debug-exit';
import { DebugPort } from '../devices/debug-port';
import type { Clock, Device, MmioRange, PciFunction, PhysicalBytes } from '../devices/device';
import { Dma } from '../devices/dma';
import { KeyboardController } from '../devices/keyboard';
import { PciBus } from '../devices/pci/bus';
import { HostBridge } from '../devices/pci/host-bridge';
import { IsaBridge } from '../devices/pci/isa-bridge';
import { PicPair } from '../devices/pic';
import { Pit } from '../devices/pit';
import { Power } from '../devices/power';
import { Rtc, type RtcOptions } from '../devices/rtc';
import { Uart } from '../devices/uart';
import { VgaText } from '../devices/vga-text';
import { PortMap } from './port-map';

/** What the board does to the machine. */
export interface BoardHooks {
  /** INTR changed. */
  interrupt(level: boolean): void;
  a20(enabled: boolean): void;
  reset(): void;
  powerOff(): void;
  debugExit(status: number): void;
  serial(port: number, bytes: Uint8Array): void;
  debugPort(bytes: Uint8Array): void;
}

/** Guest-physical memory as the board arranges it. */
export interface BoardMemory extends PhysicalBytes {
  /** Windows that the guest places, and shadow RAM (see PhysicalMemory). */
  mapWindow(window: MmioRange & { readonly backing?: number }): void;
  unmapWindow(window: MmioRange & { readonly backing?: number }): void;
  setShadow(first: number, last: number, bits: number): void;
}

export interface BoardOptions {
  readonly clock: Clock;
  readonly memory: BoardMemory;
  readonly rtcSeconds: number;
  /** CMOS drive type of drive A; 0 for none. */
  readonly floppyType: number;
  readonly hasHardDisk: boolean;
  readonly bootOrder?: RtcOptions['bootOrder'];
}

export class Board {
  readonly pic: PicPair;
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly uart: Uart;
  readonly keyboard: KeyboardController;
  readonly vga: VgaText;
  readonly dma = new Dma();
  readonly ports = new PortMap();
  readonly pci: PciBus;
  readonly devices: readonly Device[];
  private readonly atPowerOn: string;

  constructor(options: BoardOptions, hooks: BoardHooks) {
    const { clock, memory } = options;
    this.pic = new PicPair((level) => hooks.interrupt(level));
    const { irq } = this.pic;
    this.pit = new Pit({ clock, irq: irq[0] });
    this.rtc = new Rtc({
      clock, irq: irq[8], startSeconds: options.rtcSeconds, ramBytes: memory.ramBytes,
      floppyType: options.floppyType, hasHardDisk: options.hasHardDisk, bootOrder: options.bootOrder,
    });
    this.uart = new Uart({ clock, irq: irq[4], base: 0x3f8, output: (bytes) => hooks.serial(0, bytes) });
    this.keyboard = new KeyboardController({
      clock, keyboardIrq: irq[1], mouseIrq: irq[12], a20: (level) => hooks.a20(level), resetRequested: () => hooks.reset(),
    });
    this.vga = new VgaText({ clock, memory });
    this.pci = new PciBus({
      maps: {
        mapPorts: (range) => this.ports.map(range), unmapPorts: (range) => this.ports.unmap(range),
        mapMemory: (window) => memory.mapWindow(window), unmapMemory: (window) => memory.unmapWindow(window),
      },
    });
    const functions: readonly PciFunction[] = [
      new HostBridge((first, last, bits) => memory.setShadow(first, last, bits)),
      new IsaBridge({ bus: this.pci, irq, reset: () => hooks.reset() }),
    ];
    for (const owner of functions) this.pci.add(owner);
    this.devices = [
      this.pic, this.pit, this.rtc, this.uart, this.keyboard, this.vga, this.dma,
      new DebugPort((bytes) => hooks.debugPort(bytes)), new DebugExit((status) => hooks.debugExit(status)), new Power(() => hooks.powerOff()),
      this.pci, ...functions.map((owner) => owner.device),
    ];
    for (const device of this.devices) this.ports.add(device);
    this.atPowerOn = JSON.stringify(this.devices.map((device) => device.save()));
  }

  /** What a reset leaves alone (the battery-backed clock and its memory) is as it was when the board was made, so that runs repeat. */
  powerOn(): void {
    const states = JSON.parse(this.atPowerOn) as unknown[];
    this.devices.forEach((device, n) => device.restore(states[n]));
    this.reset();
  }

  reset(): void {
    for (const device of this.devices) device.reset();
  }
}
