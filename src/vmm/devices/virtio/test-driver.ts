/** A driver for tests: memory, and a virtio device set up and used by its registers and rings as an operating system's driver does. */
import type { AccessSize, PhysicalBytes, PciLink } from '../device';
import { VirtioPci, type VirtioModel } from './transport';

export class TestMemory implements PhysicalBytes {
  readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(readonly ramBytes = 1 << 20) {
    this.bytes = new Uint8Array(ramBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  read8(at: number): number { return this.view.getUint8(at); }
  read16(at: number): number { return this.view.getUint16(at, true); }
  read32(at: number): number { return this.view.getUint32(at, true); }
  write8(at: number, value: number): void { this.view.setUint8(at, value); }
  write16(at: number, value: number): void { this.view.setUint16(at, value, true); }
  write32(at: number, value: number): void { this.view.setUint32(at, value, true); }
  readBytes(at: number, length: number): Uint8Array { return this.bytes.slice(at, at + length); }
  writeBytes(at: number, bytes: Uint8Array): void { this.bytes.set(bytes, at); }
}

export interface Buffer {
  readonly bytes?: Uint8Array;
  /** Room for the device's answer. */
  readonly room?: number;
}

export const NEXT = 1, WRITE = 2, INDIRECT = 4;
const ACKNOWLEDGE = 1, DRIVER = 2, FEATURES_OK = 8, DRIVER_OK = 4;
const COMMON = 0, ISR = 0x1000, NOTIFY = 0x3000;
/** Where the rings of queue n lie, and its buffers. */
const RINGS = 0x1000, RING_BYTES = 0x4000, BUFFERS = 0x20000;

export class TestDriver {
  readonly memory = new TestMemory();
  readonly pci: VirtioPci;
  interrupt = false;
  /** Message-signalled interrupts: address and data. */
  readonly messages: (readonly [number, number])[] = [];
  mastering = true;
  private nextBuffer = BUFFERS;
  private readonly nextDescriptor = [0, 0];
  private readonly available = [0, 0];
  private readonly used = [0, 0];
  readonly configuration = new Uint8Array(256);

  constructor(readonly model: VirtioModel, readonly queueSize = 16) {
    this.pci = new VirtioPci(model, 4, this.memory);
    for (const { offset, bytes } of this.pci.extra) this.configuration.set(bytes, offset);
    const view = new DataView(this.configuration.buffer);
    const link: PciLink = {
      interrupt: (level) => { this.interrupt = level; },
      command: () => (this.mastering ? 6 : 2),
      read: (offset, size) => (size === 1 ? view.getUint8(offset) : size === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true)),
      put: (offset, value, size) => { for (let n = 0; n < size; n++) this.configuration[offset + n] = value >>> (8 * n); },
      message: (address, data) => { this.messages.push([address, data]); },
    };
    this.pci.connect(link);
  }

  get(offset: number, size: AccessSize): number { return this.pci.bars[4]!.read(offset, size); }
  put(offset: number, value: number, size: AccessSize): void { this.pci.bars[4]!.write(offset, value, size); }

  /** A table entry of MSI-X. */
  vector(n: number, address: number, data: number, control = 0): void {
    [address, 0, data, control].forEach((word, at) => this.pci.bars[1]!.write(16 * n + 4 * at, word, 4));
  }

  /** Message control of MSI-X, as software writes it. */
  set messageControl(value: number) {
    const { offset } = this.pci.extra.find(({ bytes }) => bytes[0] === 0x11)!;
    this.configuration[offset + 3] = value >> 8;
    this.pci.configured(offset + 2, 2);
  }

  get status(): number { return this.get(COMMON + 0x14, 1); }
  set status(value: number) { this.put(COMMON + 0x14, value, 1); }

  /** The interrupt's cause, taken back by reading it. */
  get isr(): number { return this.get(ISR, 1); }

  driverRing(n: number): number { return RINGS + n * RING_BYTES + 0x1000; }
  deviceRing(n: number): number { return RINGS + n * RING_BYTES + 0x2000; }
  descriptors(n: number): number { return RINGS + n * RING_BYTES; }

  /** Reset to DRIVER_OK, accepting these features of the low 32 and VERSION_1. */
  start(features = 0): this {
    this.status = 0;
    this.status = ACKNOWLEDGE;
    this.status = ACKNOWLEDGE | DRIVER;
    [features, 1].forEach((bits, select) => {
      this.put(0x08, select, 4);
      this.put(0x0c, bits, 4);
    });
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    for (let n = 0; n < this.get(0x12, 2); n++) {
      this.put(0x16, n, 2);
      this.put(0x18, this.queueSize, 2);
      [this.descriptors(n), this.driverRing(n), this.deviceRing(n)].forEach((at, part) => {
        this.put(0x20 + 8 * part, at, 4);
        this.put(0x24 + 8 * part, 0, 4);
      });
      this.put(0x1c, 1, 2);
    }
    this.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    return this;
  }

  descriptor(queue: number, index: number, address: number, length: number, flags: number, next = 0, table = this.descriptors(queue)): void {
    const at = table + 16 * index;
    this.memory.write32(at, address % 2 ** 32);
    this.memory.write32(at + 4, Math.floor(address / 2 ** 32));
    this.memory.write32(at + 8, length);
    this.memory.write16(at + 12, flags);
    this.memory.write16(at + 14, next);
  }

  /** Makes a chain available without ringing; the addresses of its buffers. */
  offer(queue: number, buffers: readonly Buffer[]): number[] {
    const places: number[] = [];
    const first = this.nextDescriptor[queue];
    buffers.forEach(({ bytes, room = 0 }, n) => {
      const length = bytes?.length ?? room;
      const at = this.nextBuffer;
      this.nextBuffer += Math.ceil(length / 16) * 16;
      if (bytes) this.memory.writeBytes(at, bytes);
      const index = (first + n) % this.queueSize, last = n === buffers.length - 1;
      this.descriptor(queue, index, at, length, (bytes ? 0 : WRITE) | (last ? 0 : NEXT), last ? 0 : (index + 1) % this.queueSize);
      places.push(at);
    });
    this.nextDescriptor[queue] = (first + buffers.length) % this.queueSize;
    this.makeAvailable(queue, first);
    return places;
  }

  makeAvailable(queue: number, head: number): void {
    this.memory.write16(this.driverRing(queue) + 4 + 2 * (this.available[queue] % this.queueSize), head);
    this.available[queue] = (this.available[queue] + 1) & 0xffff;
    this.memory.write16(this.driverRing(queue) + 2, this.available[queue]);
  }

  ring(queue: number): void { this.put(NOTIFY + 4 * queue, queue, 2); }

  /** What the device has finished since the last look: head and bytes written. */
  finished(queue: number): { head: number; written: number }[] {
    const list: { head: number; written: number }[] = [];
    while (this.used[queue] !== this.memory.read16(this.deviceRing(queue) + 2)) {
      const at = this.deviceRing(queue) + 4 + 8 * (this.used[queue] % this.queueSize);
      list.push({ head: this.memory.read32(at), written: this.memory.read32(at + 4) });
      this.used[queue] = (this.used[queue] + 1) & 0xffff;
    }
    return list;
  }

  /** One request and its answer, as far as it was written. */
  request(queue: number, buffers: readonly Buffer[]): Uint8Array {
    const before = this.nextBuffer;
    const places = this.offer(queue, buffers);
    this.ring(queue);
    const [{ written } = { written: -1 }] = this.finished(queue);
    this.nextBuffer = before;
    if (written < 0) throw new Error('the device did not answer');
    const answer = new Uint8Array(written);
    let at = 0;
    buffers.forEach(({ room = 0 }, n) => {
      const here = Math.min(room, written - at);
      answer.set(this.memory.readBytes(places[n], here), at);
      at += here;
    });
    return answer;
  }
}
