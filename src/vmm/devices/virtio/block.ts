/** A virtio block device (Virtual I/O Device 1.2, 5.2) in front of a disk image. */
import type { DiskImage } from '../device';
import { VirtQueue, type Chain } from './queue';
import type { VirtioModel, VirtioPort } from './transport';

const SEGMENTS_MAX = 126, BLOCK_SIZE = 512;
const enum Feature { SegMax = 1 << 2, BlkSize = 1 << 6, Flush = 1 << 9 }
const enum Request { In = 0, Out = 1, Flush = 4, GetId = 8 }
const enum Answer { Ok = 0, IoError = 1, Unsupported = 2 }
const HEADER_BYTES = 16, ID_BYTES = 20;

export class VirtioBlock implements VirtioModel {
  readonly type = 2;
  readonly classCode = 0x018000;
  readonly queues = 1;
  readonly features = Feature.SegMax | Feature.BlkSize | Feature.Flush;
  private port!: VirtioPort;

  constructor(private readonly disk: DiskImage, private readonly serial: string, readonly id = 'virtio-block') {}

  get title(): string { return `virtio disk ${this.serial}`; }

  connect(port: VirtioPort): void { this.port = port; }

  configuration(): Uint8Array {
    const view = new DataView(new ArrayBuffer(60));
    const { sectors } = this;
    view.setUint32(0, sectors >>> 0, true);
    view.setUint32(4, Math.floor(sectors / 2 ** 32), true);
    view.setUint32(12, SEGMENTS_MAX, true);
    view.setUint32(20, BLOCK_SIZE, true);
    return new Uint8Array(view.buffer);
  }

  private get sectors(): number { return this.disk.sectors * (this.disk.sectorSize / BLOCK_SIZE); }

  notified(): void {
    const queue = this.port.queue(0);
    for (let left = queue.available; left > 0; left--) {
      const chain = queue.take();
      if (!chain) return;
      this.port.finish(0, chain, this.serve(queue, chain));
    }
  }

  /** Carries a request out; the bytes written, the status byte at the end among them. */
  private serve(queue: VirtQueue, chain: Chain): number {
    const room = VirtQueue.room(chain);
    if (room === 0) return 0;
    const request = queue.read(chain);
    let data: Uint8Array | undefined;
    let answer = Answer.IoError;
    if (request.length >= HEADER_BYTES) {
      const header = new DataView(request.buffer, request.byteOffset, HEADER_BYTES);
      const sector = header.getUint32(8, true) + header.getUint32(12, true) * 2 ** 32;
      switch (header.getUint32(0, true) as Request) {
        case Request.In:
          data = this.read(sector, room - 1);
          if (data) answer = Answer.Ok;
          break;
        case Request.Out:
          answer = this.write(sector, request.subarray(HEADER_BYTES)) ? Answer.Ok : Answer.IoError;
          break;
        case Request.Flush:
          answer = Answer.Ok;
          break;
        case Request.GetId:
          data = Uint8Array.from({ length: Math.min(ID_BYTES, room - 1) }, (_, n) => (n < this.serial.length ? this.serial.charCodeAt(n) : 0));
          answer = Answer.Ok;
          break;
        default:
          answer = Answer.Unsupported;
      }
    }
    const written = data ? queue.write(chain, data) : 0;
    queue.write(chain, Uint8Array.of(answer), room - 1);
    return written + 1;
  }

  private inside(sector: number, bytes: number): boolean {
    return bytes % this.disk.sectorSize === 0 && (sector * BLOCK_SIZE) % this.disk.sectorSize === 0 && sector + bytes / BLOCK_SIZE <= this.sectors;
  }

  private read(sector: number, bytes: number): Uint8Array | undefined {
    if (!this.inside(sector, bytes)) return undefined;
    const { sectorSize } = this.disk;
    try {
      return this.disk.read((sector * BLOCK_SIZE) / sectorSize, bytes / sectorSize);
    } catch {
      // The image is damaged there.
      return undefined;
    }
  }

  private write(sector: number, bytes: Uint8Array): boolean {
    if (!this.inside(sector, bytes.length)) return false;
    try {
      this.disk.write((sector * BLOCK_SIZE) / this.disk.sectorSize, bytes);
    } catch {
      // The guest has written more than the monitor keeps.
      return false;
    }
    return true;
  }

  reset(): void { /* nothing is under way between two requests */ }
  save(): unknown { return null; }
  restore(): void { /* nothing was kept */ }
}
