/**
 * Virtio over PCI (Virtual I/O Device 1.2, 4.1), without the transitional interface: the registers through which a driver finds a device's
 * features, sets its queues up and rings their bells. What the device does is a VirtioModel.
 */
import type { AccessSize, Device, DeviceRegister, PciBar, PciFunction, PciLink, PhysicalBytes } from '../device';
import { MsiX } from '../pci/msi-x';
import { QueueError, VirtQueue, QUEUE_SIZE_MAX, type Chain, type QueueState } from './queue';

/** What a device does with its queues. */
export interface VirtioModel {
  readonly id: string;
  readonly title: string;
  /** Number of the device type (Virtual I/O Device 1.2, chapter 5). */
  readonly type: number;
  readonly classCode: number;
  readonly queues: number;
  /** Feature bits of the device's own, below bit 24, as a number. */
  readonly features: number;
  /** The device's configuration space. */
  configuration(): Uint8Array;
  writeConfiguration?(offset: number, bytes: Uint8Array): void;
  /** The driver rang the bell of a queue: take what is there. */
  notified(queue: number): void;
  reset(): void;
  save(): unknown;
  restore(state: unknown): void;
  connect(port: VirtioPort): void;
}

/** What a model sees of its transport. */
export interface VirtioPort {
  queue(n: number): VirtQueue;
  /** Gives a request back and tells the driver. */
  finish(queue: number, chain: Chain, written: number): void;
  /** Features that driver and device have agreed on: low 24 bits. */
  readonly features: number;
}

const VENDOR = 0x1af4;
const FIRST_DEVICE = 0x1040;
const RING_INDIRECT = 2 ** 28, VERSION_1 = 2 ** 32;
const BAR = 4;
const BAR_BYTES = 0x4000;
/** Where the four structures lie in the BAR. */
const COMMON = 0x0000, ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000;
const REGION = 0x1000;
const NOTIFY_MULTIPLIER = 4;
/** The capability through which firmware reaches the BAR from configuration space (4.1.4.9): its place, and its fields. */
const WINDOW = 0x84, WINDOW_BAR = WINDOW + 4, WINDOW_OFFSET = WINDOW + 8, WINDOW_LENGTH = WINDOW + 12, WINDOW_DATA = WINDOW + 16;
/** The capability behind it, the window of its table, and the number that means no vector. */
const MSI_X = 0x98, MSI_X_BAR = 1, NO_VECTOR = 0xffff;
const MASTER = 4;

const enum Status { Driver = 2, DriverOk = 4, FeaturesOk = 8, NeedsReset = 0x40, Failed = 0x80 }
const enum Isr { Queue = 1, Configuration = 2 }

/** Registers of the common configuration structure, low to high. */
const rows: readonly (DeviceRegister & { readonly bytes: number })[] = [
  { address: 0x00, bytes: 4, name: 'device_feature_select', description: 'Which 32 feature bits device_feature shows' },
  { address: 0x04, bytes: 4, name: 'device_feature', description: 'What the device offers' },
  { address: 0x08, bytes: 4, name: 'driver_feature_select', description: 'Which 32 feature bits driver_feature shows' },
  { address: 0x0c, bytes: 4, name: 'driver_feature', description: 'What the driver accepts' },
  { address: 0x10, bytes: 2, name: 'config_msix_vector', description: 'Vector for changes of the configuration; FFFFh: none' },
  { address: 0x12, bytes: 2, name: 'num_queues', description: 'How many queues there are' },
  {
    address: 0x14, bytes: 1, name: 'device_status', description: 'How far the driver has come',
    fields: [
      { name: 'FAILED', bit: 7, width: 1 }, { name: 'DEVICE_NEEDS_RESET', bit: 6, width: 1 }, { name: 'FEATURES_OK', bit: 3, width: 1 },
      { name: 'DRIVER_OK', bit: 2, width: 1 }, { name: 'DRIVER', bit: 1, width: 1 }, { name: 'ACKNOWLEDGE', bit: 0, width: 1 },
    ],
  },
  { address: 0x15, bytes: 1, name: 'config_generation', description: 'Changes with the device\'s configuration' },
  { address: 0x16, bytes: 2, name: 'queue_select', description: 'Which queue the registers below are about' },
  { address: 0x18, bytes: 2, name: 'queue_size', description: 'Descriptors in the queue' },
  { address: 0x1a, bytes: 2, name: 'queue_msix_vector', description: 'Vector for the queue\'s answers; FFFFh: none' },
  { address: 0x1c, bytes: 2, name: 'queue_enable', description: '1: the queue is in use' },
  { address: 0x1e, bytes: 2, name: 'queue_notify_off', description: 'Which bell is the queue\'s' },
  { address: 0x20, bytes: 8, name: 'queue_desc', description: 'Address of the descriptor table' },
  { address: 0x28, bytes: 8, name: 'queue_driver', description: 'Address of the ring of available requests' },
  { address: 0x30, bytes: 8, name: 'queue_device', description: 'Address of the ring of used requests' },
];

const registers: readonly DeviceRegister[] = [
  ...rows.map(({ bytes, ...row }) => ({ ...row, bits: 8 * bytes })),
  { address: ISR, name: 'ISR status', description: 'Why the device interrupts; reading it takes the interrupt back', fields: [{ name: 'configuration', bit: 1, width: 1 }, { name: 'queue', bit: 0, width: 1 }] },
];
/** Queues that the device has are shown one after the other: their places, and how far device and driver have come. */
const queueRegisters = [
  { name: 'next_available', description: 'The request that the device takes next', value: (state: QueueState) => state.nextAvailable },
  { name: 'next_used', description: 'The answer that the device gives next', value: (state: QueueState) => state.nextUsed },
] as const;

interface TransportState {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  /** Low and high 32 bits. */
  driverFeatures: [number, number];
  status: number;
  isr: number;
  selected: number;
  queues: QueueState[];
  configurationVector: number;
  queueVectors: number[];
}

/** A PCI capability of structure `type`: where in the BAR it lies. */
function capability(at: number, next: number, type: number, offset: number, length: number, more: readonly number[] = []): { offset: number; bytes: number[] } {
  const word = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  return { offset: at, bytes: [0x09, next, 16 + more.length, type, BAR, 0, 0, 0, ...word(offset), ...word(length), ...more] };
}

const structures: NonNullable<PciFunction['extra']> = [
  capability(0x40, 0x50, 1, COMMON, REGION), capability(0x50, 0x60, 3, ISR, REGION), capability(0x60, 0x70, 4, DEVICE, REGION),
  capability(0x70, WINDOW, 2, NOTIFY, REGION, [NOTIFY_MULTIPLIER, 0, 0, 0]),
  { ...capability(WINDOW, MSI_X, 5, 0, 0, [0, 0, 0, 0]), writable: [0, 0, 0, 0, 0xff, 0, 0, 0, ...new Array<number>(12).fill(0xff)] },
];

export class VirtioPci implements PciFunction, Device, VirtioPort {
  readonly device = this;
  readonly function = 0;
  readonly vendorId = VENDOR;
  readonly revision = 1;
  readonly subsystemVendorId = VENDOR;
  readonly interruptPin = 1;
  readonly capabilities = 0x40;
  readonly extra: NonNullable<PciFunction['extra']>;
  readonly registers: readonly DeviceRegister[];
  readonly bars: readonly (PciBar | undefined)[];
  private readonly virtQueues: readonly VirtQueue[];
  private deviceFeatureSelect = 0;
  private driverFeatureSelect = 0;
  private driverFeatures: [number, number] = [0, 0];
  private status = 0;
  private isr = 0;
  private selected = 0;
  private configurationVector = NO_VECTOR;
  private readonly queueVectors: number[];
  private readonly messages: MsiX;
  private link: PciLink | undefined;
  /** The model is at work: bells that its own answers ring, through a register in their way, are not heard. */
  private attending = false;

  constructor(private readonly model: VirtioModel, readonly slot: number, memory: PhysicalBytes) {
    this.virtQueues = Array.from({ length: model.queues }, () => new VirtQueue(memory));
    this.queueVectors = new Array<number>(model.queues).fill(NO_VECTOR);
    this.messages = new MsiX(model.queues + 1, MSI_X, 0, MSI_X_BAR);
    this.extra = [...structures, this.messages.capability];
    this.bars = [undefined, this.messages.bar, undefined, undefined, {
      kind: 'memory', bytes: BAR_BYTES, read: (offset, size) => this.read(offset, size), write: (offset, value, size) => this.write(offset, value, size),
    }];
    this.registers = [
      ...registers, ...this.virtQueues.flatMap((_, n) => queueRegisters.map(({ name, description }) => ({ address: 0x16, index: n, bits: 16, name: `queue ${n}: ${name}`, description }))),
      ...this.messages.registers,
    ];
    model.connect(this);
  }

  get id(): string { return this.model.id; }
  get title(): string { return this.model.title; }
  get deviceId(): number { return FIRST_DEVICE + this.model.type; }
  get subsystemId(): number { return FIRST_DEVICE + this.model.type; }
  get classCode(): number { return this.model.classCode; }
  get features(): number { return this.driverFeatures[0] & 0xffffff; }

  connect(link: PciLink): void {
    this.link = link;
    this.messages.connect(link);
  }

  registerValues(): readonly number[] {
    return [...rows.map(({ address }) => this.register(address)), this.isr, ...this.virtQueues.flatMap(({ state }) => queueRegisters.map(({ value }) => value(state))), ...this.messages.registerValues()];
  }

  // ---- the window in configuration space ----

  reading(offset: number, size: AccessSize): void {
    const access = this.window(offset, size);
    if (access) this.link!.put(WINDOW_DATA, this.read(access.at, access.length), 4);
  }

  configured(offset: number, size: AccessSize): void {
    const access = this.window(offset, size);
    if (access) this.write(access.at, this.link!.read(WINDOW_DATA, access.length), access.length);
    if (offset >= MSI_X) {
      this.messages.configured();
      this.drivePin();
    }
  }

  /** What an access of the window's data means; undefined for one of another register, or a window that is set to no access. */
  private window(offset: number, size: AccessSize): { at: number; length: AccessSize } | undefined {
    if (!this.link || offset + size <= WINDOW_DATA || offset >= WINDOW_DATA + 4) return undefined;
    const at = this.link.read(WINDOW_OFFSET, 4), length = this.link.read(WINDOW_LENGTH, 4);
    if (this.link.read(WINDOW_BAR, 1) !== BAR || (length !== 1 && length !== 2 && length !== 4) || at % length !== 0 || at + length > BAR_BYTES) return undefined;
    return { at, length };
  }

  // ---- for the model ----

  queue(n: number): VirtQueue { return this.virtQueues[n]; }

  finish(n: number, chain: Chain, written: number): void {
    this.guarded(() => {
      const queue = this.virtQueues[n];
      queue.finish(chain, written);
      if (queue.interruptWanted) this.raise(Isr.Queue, this.queueVectors[n]);
    });
  }

  /** Runs what looks at guest memory; a queue that makes no sense stops the device until it is reset. */
  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof QueueError)) throw error;
      this.status |= Status.NeedsReset;
      for (const queue of this.virtQueues) queue.state.enabled = false;
      this.raise(Isr.Configuration, this.configurationVector);
    }
  }

  private raise(cause: Isr, vector: number): void {
    if (this.link && this.messages.enabled(this.link)) {
      if (vector !== NO_VECTOR) this.messages.signal(vector);
      return;
    }
    this.isr |= cause;
    this.drivePin();
  }

  private drivePin(): void {
    this.link?.interrupt(this.isr !== 0 && !this.messages.enabled(this.link));
  }

  /** Something arrived from outside: the model looks for requests that wait for it. */
  attend(queue: number): void {
    if (!(this.status & Status.DriverOk) || this.status & Status.NeedsReset || this.attending) return;
    if (this.link && !(this.link.command() & MASTER)) return;
    this.attending = true;
    try {
      this.guarded(() => this.model.notified(queue));
    } finally {
      this.attending = false;
    }
  }

  // ---- registers ----

  private read(offset: number, size: AccessSize): number {
    const region = offset & ~(REGION - 1);
    const at = offset & (REGION - 1);
    if (region === ISR) {
      if (at !== 0) return 0;
      const { isr } = this;
      this.isr = 0;
      this.drivePin();
      return isr;
    }
    if (region === DEVICE) return littleEndian(this.model.configuration(), at, size);
    if (region !== COMMON) return 0;
    return littleEndian(this.common(), at, size);
  }

  /** The common structure as bytes. */
  private common(): Uint8Array {
    const bytes = new Uint8Array(0x38);
    for (const { address, bytes: width } of rows) {
      let value = this.register(address);
      for (let n = 0; n < width; n++, value = Math.floor(value / 256)) bytes[address + n] = value % 256;
    }
    return bytes;
  }

  /** Present value of a register, without side effects. */
  register(address: number): number {
    const queue = this.virtQueues[this.selected]?.state as QueueState | undefined;
    switch (address) {
      case 0x00: return this.deviceFeatureSelect;
      case 0x04: return this.offered(this.deviceFeatureSelect);
      case 0x08: return this.driverFeatureSelect;
      case 0x0c: return this.driverFeatureSelect < 2 ? this.driverFeatures[this.driverFeatureSelect] : 0;
      case 0x10: return this.configurationVector;
      case 0x1a: return this.queueVectors[this.selected] ?? NO_VECTOR;
      case 0x12: return this.virtQueues.length;
      case 0x14: return this.status;
      case 0x16: return this.selected;
      case 0x18: return queue?.size ?? 0;
      case 0x1c: return queue?.enabled ? 1 : 0;
      case 0x1e: return this.selected;
      case 0x20: return queue?.descriptors ?? 0;
      case 0x28: return queue?.driver ?? 0;
      case 0x30: return queue?.device ?? 0;
      default: return 0;
    }
  }

  private offered(select: number): number {
    const all = this.model.features + RING_INDIRECT + VERSION_1;
    return select === 0 ? all % 2 ** 32 : select === 1 ? Math.floor(all / 2 ** 32) : 0;
  }

  private write(offset: number, value: number, size: AccessSize): void {
    const region = offset & ~(REGION - 1);
    const at = offset & (REGION - 1);
    if (region === NOTIFY) this.ring(Math.floor(at / NOTIFY_MULTIPLIER));
    else if (region === DEVICE) this.model.writeConfiguration?.(at, Uint8Array.from({ length: size }, (_, n) => (value >>> (8 * n)) & 0xff));
    else if (region === COMMON) this.writeCommon(at, value);
  }

  private ring(queue: number): void {
    if (queue < this.virtQueues.length) this.attend(queue);
  }

  private writeCommon(at: number, value: number): void {
    const queue = this.virtQueues[this.selected]?.state as QueueState | undefined;
    const half = (before: number, high: boolean): number => (high ? (value >>> 0) * 2 ** 32 + (before % 2 ** 32) : before - (before % 2 ** 32) + (value >>> 0));
    switch (at) {
      case 0x00: this.deviceFeatureSelect = value >>> 0; return;
      case 0x08: this.driverFeatureSelect = value >>> 0; return;
      case 0x0c: if (this.driverFeatureSelect < 2 && !(this.status & Status.FeaturesOk)) this.driverFeatures[this.driverFeatureSelect] = value >>> 0; return;
      case 0x10: this.configurationVector = this.vector(value); return;
      case 0x14: this.setStatus(value & 0xff); return;
      case 0x16: this.selected = value & 0xffff; return;
      case 0x1a: if (queue) this.queueVectors[this.selected] = this.vector(value); return;
      default:
    }
    // A queue in use keeps its place.
    if (!queue || queue.enabled) return;
    switch (at) {
      case 0x18: if (value > 0 && value <= QUEUE_SIZE_MAX && (value & (value - 1)) === 0) queue.size = value; return;
      case 0x1c: queue.enabled = value === 1; return;
      case 0x20: case 0x24: queue.descriptors = half(queue.descriptors, at === 0x24); return;
      case 0x28: case 0x2c: queue.driver = half(queue.driver, at === 0x2c); return;
      case 0x30: case 0x34: queue.device = half(queue.device, at === 0x34); return;
      default:
    }
  }

  /** A vector that does not exist reads back as none: the driver learns that it cannot have it. */
  private vector(value: number): number {
    return (value & 0xffff) <= this.virtQueues.length ? value & 0xffff : NO_VECTOR;
  }

  private setStatus(value: number): void {
    if (value === 0) {
      this.resetDevice();
      return;
    }
    const rejected = value & Status.FeaturesOk && [0, 1].some((n) => (this.driverFeatures[n] & ~this.offered(n)) !== 0);
    // Without VERSION_1 the driver speaks the transitional interface, which this device does not have.
    const old = value & Status.FeaturesOk && !(this.driverFeatures[1] & 1);
    this.status = (value | (this.status & Status.NeedsReset)) & (rejected || old ? ~Status.FeaturesOk : 0xff);
  }

  // ---- device ----

  reset(): void {
    this.resetDevice();
    this.messages.reset();
  }

  /** As the driver resets it: what PCI knows of it stays. */
  private resetDevice(): void {
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
    this.driverFeatures = [0, 0];
    this.status = 0;
    this.isr = 0;
    this.selected = 0;
    for (const queue of this.virtQueues) queue.reset();
    this.configurationVector = NO_VECTOR;
    this.queueVectors.fill(NO_VECTOR);
    this.drivePin();
    this.model.reset();
  }

  save(): unknown {
    const { deviceFeatureSelect, driverFeatureSelect, driverFeatures, status, isr, selected, configurationVector, queueVectors } = this;
    const own: TransportState = {
      deviceFeatureSelect, driverFeatureSelect, driverFeatures, status, isr, selected, queues: this.virtQueues.map(({ state }) => state), configurationVector, queueVectors: [...queueVectors],
    };
    return { ...own, messages: this.messages.save(), model: this.model.save() };
  }

  restore(state: unknown): void {
    const { queues, queueVectors, messages, model, driverFeatures, ...plain } = state as TransportState & { model: unknown; messages: unknown };
    Object.assign(this, { ...plain, driverFeatures: [...driverFeatures] });
    queueVectors.forEach((vector, n) => { this.queueVectors[n] = vector; });
    this.messages.restore(messages);
    queues.forEach((queue, n) => { this.virtQueues[n].state = { ...queue }; });
    this.drivePin();
    this.model.restore(model);
  }
}

function littleEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let n = 0; n < size; n++) value |= (bytes[at + n] ?? 0) << (8 * n);
  return value >>> 0;
}
