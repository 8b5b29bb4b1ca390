/** A virtio 9P transport (Virtual I/O Device 1.2, 5.10): a folder that the guest mounts by its tag. */
import { MESSAGE_BYTES_MAX, NinepServer, type FidState } from './ninep/server';
import type { SharedTree } from './ninep/shared-tree';
import { VirtQueue } from './queue';
import type { VirtioModel, VirtioPort } from './transport';

const MOUNT_TAG = 1;

export class VirtioShare implements VirtioModel {
  readonly id = 'virtio-9p';
  readonly title: string;
  readonly type = 9;
  readonly classCode = 0x018000;
  readonly queues = 1;
  readonly features = MOUNT_TAG;
  private readonly server: NinepServer;
  private port!: VirtioPort;

  constructor(private readonly tag: string, tree: SharedTree, seconds: () => number) {
    this.title = `virtio share ${tag}`;
    this.server = new NinepServer(tree, seconds);
  }

  connect(port: VirtioPort): void { this.port = port; }

  configuration(): Uint8Array {
    const tag = new TextEncoder().encode(this.tag);
    return Uint8Array.of(tag.length & 0xff, tag.length >>> 8, ...tag);
  }

  notified(): void {
    const queue = this.port.queue(0);
    for (let left = queue.available; left > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      const answer = this.server.answer(queue.read(chain), Math.min(VirtQueue.room(chain), MESSAGE_BYTES_MAX));
      this.port.finish(0, chain, answer ? queue.write(chain, answer) : 0);
    }
  }

  reset(): void { this.server.reset(); }
  save(): unknown { return this.server.save(); }
  restore(state: unknown): void { this.server.restore(state as { messageBytes: number; fids: FidState[] }); }
}
