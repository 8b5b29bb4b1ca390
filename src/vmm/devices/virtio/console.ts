/** A virtio console (Virtual I/O Device 1.2, 5.3) with one port: what the guest writes goes out, what is typed waits for its buffers. */
import type { VirtioModel, VirtioPort } from './transport';

const enum Queue { Receive, Transmit }
/** Typed ahead of a guest that does not read. */
const INPUT_MAX = 0x10000;

export class VirtioConsole implements VirtioModel {
  readonly id = 'virtio-console';
  readonly title = 'virtio console';
  readonly type = 3;
  readonly classCode = 0x078000;
  readonly queues = 2;
  readonly features = 0;
  private port!: VirtioPort;
  private waiting: number[] = [];

  constructor(private readonly output: (bytes: Uint8Array) => void) {}

  connect(port: VirtioPort): void { this.port = port; }

  configuration(): Uint8Array {
    // Columns and rows are not announced; one port.
    return Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
  }

  /** Bytes typed; how many there was room for. The transport has to {@link VirtioPci.attend} queue 0 afterwards. */
  typed(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, INPUT_MAX - this.waiting.length);
    for (let n = 0; n < taken; n++) this.waiting.push(bytes[n]);
    return taken;
  }

  notified(queue: number): void {
    if ((queue as Queue) === Queue.Transmit) this.transmit();
    else this.receive();
  }

  private transmit(): void {
    const queue = this.port.queue(Queue.Transmit);
    for (let left = queue.available; left > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      this.output(queue.read(chain));
      this.port.finish(Queue.Transmit, chain, 0);
    }
  }

  private receive(): void {
    const queue = this.port.queue(Queue.Receive);
    for (let left = queue.available; left > 0 && this.waiting.length > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      const written = queue.write(chain, Uint8Array.from(this.waiting));
      this.waiting.splice(0, written);
      this.port.finish(Queue.Receive, chain, written);
    }
  }

  reset(): void { this.waiting = []; }
  save(): unknown { return { waiting: this.waiting }; }
  restore(state: unknown): void { this.waiting = [...(state as { waiting: number[] }).waiting]; }
}
