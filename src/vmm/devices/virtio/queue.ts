/**
 * A split virtqueue (Virtual I/O Device 1.2, 2.7), the device's side. The rings and descriptors lie in guest memory and may say anything: every
 * index is taken modulo the queue's size, chains have a length and a number of bytes that they may not exceed, and what cannot be followed
 * breaks the queue instead of the machine.
 */
import type { PhysicalBytes } from '../device';

export const QUEUE_SIZE_MAX = 256;
/** More than any driver puts into one request. */
const CHAIN_BYTES_MAX = 4 << 20;
const INDIRECT_MAX = 1024;

const enum DescriptorFlag { Next = 1, Write = 2, Indirect = 4 }
/** The driver wants no interrupt for what was used. */
const NO_INTERRUPT = 1;

export interface Piece {
  readonly address: number;
  readonly length: number;
}

/** A request: what the driver wrote for the device, and room for the answer. */
export interface Chain {
  readonly head: number;
  readonly readable: readonly Piece[];
  readonly writable: readonly Piece[];
}

export interface QueueState {
  size: number;
  enabled: boolean;
  descriptors: number;
  driver: number;
  device: number;
  nextAvailable: number;
  nextUsed: number;
}

const initial = (): QueueState => ({ size: QUEUE_SIZE_MAX, enabled: false, descriptors: 0, driver: 0, device: 0, nextAvailable: 0, nextUsed: 0 });

export class VirtQueue {
  state = initial();

  constructor(private readonly memory: PhysicalBytes) {}

  reset(): void {
    this.state = initial();
  }

  /**
   * Requests that the driver has made available. A model serves so many and then stops, because what it writes may change the ring: a guest
   * that makes requests out of answers rings the bell for each round. Throws QueueError for more than the ring holds.
   */
  get available(): number {
    const { state, memory } = this;
    if (!state.enabled) return 0;
    const count = (memory.read16(this.inRam(state.driver + 2, 2)) - state.nextAvailable) & 0xffff;
    if (count > state.size) throw new QueueError('more requests are available than the queue holds');
    return count;
  }

  /** The next request, or undefined. Throws QueueError for one that cannot be followed. */
  take(): Chain | undefined {
    const { state, memory } = this;
    if (this.available === 0) return undefined;
    const slot = state.nextAvailable % state.size;
    state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    const head = memory.read16(this.inRam(state.driver + 4 + 2 * slot, 2));
    return this.follow(head);
  }

  /** Gives a request back, with the number of bytes written into it. */
  finish(chain: Chain, written: number): void {
    const { state, memory } = this;
    // The request's own answer may have hit the register that resets the device.
    if (!state.enabled) return;
    const at = this.inRam(state.device + 4 + 8 * (state.nextUsed % state.size), 8);
    memory.write32(at, chain.head);
    memory.write32(at + 4, written);
    state.nextUsed = (state.nextUsed + 1) & 0xffff;
    memory.write16(this.inRam(state.device + 2, 2), state.nextUsed);
  }

  get interruptWanted(): boolean {
    const { state, memory } = this;
    return state.enabled && !(memory.read16(this.inRam(state.driver, 2)) & NO_INTERRUPT);
  }

  private follow(head: number): Chain {
    const { state, memory } = this;
    const readable: Piece[] = [];
    const writable: Piece[] = [];
    let table = state.descriptors;
    let entries = state.size;
    let index = head;
    let bytes = 0;
    let indirect = false;
    for (let steps = 0; ; steps++) {
      if (index >= entries || steps >= entries) throw new QueueError('a descriptor chain does not end inside its table');
      const at = this.inRam(table + 16 * index, 16);
      const address = memory.read32(at) + memory.read32(at + 4) * 2 ** 32;
      const length = memory.read32(at + 8);
      const flags = memory.read16(at + 12);
      if (flags & DescriptorFlag.Indirect) {
        if (indirect || flags & DescriptorFlag.Next || length % 16 !== 0 || length / 16 > INDIRECT_MAX || length === 0) throw new QueueError('an indirect descriptor is malformed');
        indirect = true;
        table = this.inRam(address, length);
        entries = length / 16;
        index = 0;
        steps = -1;
        continue;
      }
      bytes += length;
      if (bytes > CHAIN_BYTES_MAX) throw new QueueError(`a request has more than ${CHAIN_BYTES_MAX} bytes`);
      const piece = { address: this.inRam(address, length), length };
      if (flags & DescriptorFlag.Write) writable.push(piece);
      else if (writable.length) throw new QueueError('a chain goes back from answer to request');
      else readable.push(piece);
      if (!(flags & DescriptorFlag.Next)) return { head, readable, writable };
      index = memory.read16(at + 14);
    }
  }

  private inRam(address: number, length: number): number {
    if (!(address >= 0 && address + length <= this.memory.ramBytes)) throw new QueueError('a virtqueue reaches beyond memory');
    return address;
  }

  // ---- requests as bytes ----

  /** All that the driver wrote. */
  read(chain: Chain): Uint8Array {
    const bytes = new Uint8Array(chain.readable.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { address, length } of chain.readable) {
      bytes.set(this.memory.readBytes(address, length), at);
      at += length;
    }
    return bytes;
  }

  static room(chain: Chain): number {
    return chain.writable.reduce((sum, { length }) => sum + length, 0);
  }

  /** Fills the answer's room from `offset` on, as far as it reaches; the bytes written. */
  write(chain: Chain, bytes: Uint8Array, offset = 0): number {
    let skip = offset;
    let at = 0;
    for (const { address, length } of chain.writable) {
      if (at === bytes.length) break;
      const here = Math.min(Math.max(0, length - skip), bytes.length - at);
      if (here > 0) this.memory.writeBytes(address + skip, bytes.subarray(at, at + here));
      skip = Math.max(0, skip - length);
      at += here;
    }
    return at;
  }
}

/** What the driver put into a virtqueue makes no sense: the device needs a reset. */
export class QueueError extends Error {}
