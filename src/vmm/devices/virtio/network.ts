/** A virtio network card (Virtual I/O Device 1.2, 5.1): one pair of queues, no offloads. The wire is somebody else's. */
import { VirtQueue } from './queue';
import type { VirtioModel, VirtioPort } from './transport';

const enum Queue { Receive, Transmit }
const enum Feature { Mac = 1 << 5, Status = 1 << 16 }
/** struct virtio_net_hdr with num_buffers. */
const HEADER_BYTES = 12;
const FRAME_MAX = 1514;
/** Frames that wait for a guest which gives no buffers; the wire loses what comes after them. */
const WAITING_MAX = 256;

/** What the card is plugged into. */
export interface Wire {
  transmitted(frame: Uint8Array): void;
  /** The card starts over: what was under way on the wire is nobody's. */
  reset(): void;
}

export class VirtioNetwork implements VirtioModel {
  readonly id = 'virtio-network';
  readonly title = 'virtio network card';
  readonly type = 1;
  readonly classCode = 0x020000;
  readonly queues = 2;
  readonly features = Feature.Mac | Feature.Status;
  private port!: VirtioPort;
  private waiting: Uint8Array[] = [];

  constructor(private readonly mac: Uint8Array, private readonly wire: Wire) {}

  connect(port: VirtioPort): void { this.port = port; }

  configuration(): Uint8Array {
    // The address, and status: the link is up.
    return Uint8Array.of(...this.mac, 1, 0);
  }

  /** A frame from the wire. The transport has to attend queue 0 afterwards. */
  arrived(frame: Uint8Array): void {
    if (this.waiting.length < WAITING_MAX && frame.length <= FRAME_MAX) this.waiting.push(frame);
  }

  notified(queue: number): void {
    if ((queue as Queue) === Queue.Transmit) this.transmit();
    // What is sent may be answered at once.
    this.receive();
  }

  private transmit(): void {
    const queue = this.port.queue(Queue.Transmit);
    for (let left = queue.available; left > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      const bytes = queue.read(chain);
      this.port.finish(Queue.Transmit, chain, 0);
      if (bytes.length > HEADER_BYTES && bytes.length <= HEADER_BYTES + FRAME_MAX) this.wire.transmitted(bytes.slice(HEADER_BYTES));
    }
  }

  private receive(): void {
    const queue = this.port.queue(Queue.Receive);
    for (let left = queue.available; left > 0 && this.waiting.length > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      const frame = this.waiting.shift()!;
      // A buffer that is too small loses the frame.
      const fits = VirtQueue.room(chain) >= HEADER_BYTES + frame.length;
      const header = new Uint8Array(HEADER_BYTES);
      header[10] = 1;
      const written = fits ? queue.write(chain, header) + queue.write(chain, frame, HEADER_BYTES) : 0;
      this.port.finish(Queue.Receive, chain, written);
    }
  }

  reset(): void {
    this.waiting = [];
    this.wire.reset();
  }

  save(): unknown { return { waiting: this.waiting.map((frame) => [...frame]) }; }
  restore(state: unknown): void {
    this.waiting = (state as { waiting: number[][] }).waiting.map((frame) => Uint8Array.from(frame));
    this.wire.reset();
  }
}
