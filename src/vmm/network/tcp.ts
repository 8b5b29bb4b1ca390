/**
 * One TCP connection that a guest has opened (RFC 9293), between the segments that it sends and a connection of the host. What is on the way
 * in either direction is bounded: the guest's by the window that it is given, the host's by stopping its flow.
 */
import type { ConnectionEvents, HostConnection } from './host';
import { viewOf } from './packets';

/** The clock as far as retransmission needs it; structurally the board's. */
export interface NetworkClock {
  now(): number;
  readonly instructionsPerSecond: number;
  schedule(at: number, callback: () => void): { cancel(): void };
}

export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
const TCP_BYTES = 20;
const OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_SCALE = 3, SCALE_MAX = 14;
const DEFAULT_MSS = 536, MSS = 1460;
const WINDOW = 0xffff;
/** Bytes on their way to the guest, unacknowledged; and bytes of the host that wait. */
const FLIGHT_MAX = 0x10000, QUEUE_HIGH = 0x40000, QUEUE_LOW = 0x10000;
const FIRST_TIMEOUT_SECONDS = 1, TIMEOUT_SECONDS_MAX = 60, RETRIES_MAX = 8;

export interface Segment {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  /** Largest segment that the sender takes, and the shift of its windows: in a SYN. */
  readonly mss?: number;
  readonly scale?: number;
  readonly data: Uint8Array;
}

export function parseSegment(bytes: Uint8Array): Segment | undefined {
  if (bytes.length < TCP_BYTES) return undefined;
  const view = viewOf(bytes);
  const header = (bytes[12] >>> 4) * 4;
  if (header < TCP_BYTES || header > bytes.length) return undefined;
  let mss: number | undefined, scale: number | undefined;
  for (let at = TCP_BYTES; at < header && bytes[at] !== OPTION_END;) {
    if (bytes[at] === OPTION_NOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (at + 1 >= header || length < 2 || at + length > header) break;
    if (bytes[at] === OPTION_MSS && length === 4) mss = view.getUint16(at + 2);
    if (bytes[at] === OPTION_SCALE && length === 3) scale = Math.min(SCALE_MAX, bytes[at + 2]);
    at += length;
  }
  return {
    sourcePort: view.getUint16(0), targetPort: view.getUint16(2), sequence: view.getUint32(4), acknowledgement: view.getUint32(8), flags: bytes[13] & 0x3f, window: view.getUint16(14), mss, scale,
    data: bytes.subarray(header),
  };
}

/** A segment without its checksum. */
export function segmentBytes({ sourcePort, targetPort, sequence, acknowledgement, flags, window, mss, scale, data }: Segment): Uint8Array {
  const options = [...(mss === undefined ? [] : [OPTION_MSS, 4, mss >>> 8, mss & 0xff]), ...(scale === undefined ? [] : [OPTION_NOP, OPTION_SCALE, 3, scale])];
  const bytes = new Uint8Array(TCP_BYTES + options.length + data.length);
  const view = viewOf(bytes);
  view.setUint16(0, sourcePort);
  view.setUint16(2, targetPort);
  view.setUint32(4, sequence);
  view.setUint32(8, acknowledgement);
  view.setUint8(12, ((TCP_BYTES + options.length) / 4) << 4);
  view.setUint8(13, flags);
  view.setUint16(14, window);
  bytes.set(options, TCP_BYTES);
  bytes.set(data, TCP_BYTES + options.length);
  return bytes;
}

/** The answer to a segment that belongs to no connection; none to a reset. */
export function resetFor(segment: Segment): Segment | undefined {
  if (segment.flags & TcpFlag.rst) return undefined;
  const { sourcePort, targetPort } = segment;
  const ends = { sourcePort: targetPort, targetPort: sourcePort, window: 0, data: new Uint8Array() };
  if (segment.flags & TcpFlag.ack) return { ...ends, sequence: segment.acknowledgement, acknowledgement: 0, flags: TcpFlag.rst };
  const length = segment.data.length + (segment.flags & TcpFlag.syn ? 1 : 0) + (segment.flags & TcpFlag.fin ? 1 : 0);
  return { ...ends, sequence: 0, acknowledgement: (segment.sequence + length) >>> 0, flags: TcpFlag.rst | TcpFlag.ack };
}

/** How far a is behind b in the circle of sequence numbers. */
const distance = (a: number, b: number): number => (a - b) | 0;

export interface TcpEnvironment {
  readonly clock: NetworkClock;
  transmit(segment: Segment): void;
  connect(events: ConnectionEvents): HostConnection;
  /** The connection is over. */
  closed(): void;
}

export class TcpConnection implements ConnectionEvents {
  private state: 'connecting' | 'synchronizing' | 'open' | 'closed' = 'connecting';
  private readonly host: HostConnection;
  private readonly mss: number;
  private readonly scale: number | undefined;
  /** Next byte that the guest is to send; bytes of it that have not left the host. */
  private expected: number;
  private undelivered = 0;
  private advertised = WINDOW;
  private guestEnded = false;
  /** The host's bytes from `unacknowledged` on. */
  private queue = new Uint8Array();
  private unacknowledged: number;
  private next: number;
  /** The farthest that was ever sent. */
  private sentUpTo: number;
  private window: number;
  /** The guest has acknowledged our SYN. */
  private synchronized = false;
  private hostEnded = false;
  private flowing = true;
  private finSent = false;
  private finAcknowledged = false;
  private timer: { cancel(): void } | undefined;
  private timeoutSeconds = FIRST_TIMEOUT_SECONDS;
  private retries = 0;

  /** @param syn the guest's first segment. @param initial the sequence number to begin with */
  constructor(private readonly syn: Segment, private readonly initial: number, private readonly environment: TcpEnvironment) {
    this.expected = (syn.sequence + 1) >>> 0;
    this.unacknowledged = initial;
    this.next = this.sentUpTo = (initial + 1) >>> 0;
    this.window = syn.window;
    this.mss = Math.max(64, Math.min(MSS, syn.mss ?? DEFAULT_MSS));
    this.scale = syn.scale;
    this.host = environment.connect(this);
  }

  // ---- from the host ----

  connected(): void {
    if (this.state !== 'connecting') return;
    this.state = 'synchronizing';
    this.synchronize();
    this.arm();
  }

  received(bytes: Uint8Array): void {
    if (this.state === 'closed' || this.hostEnded) return;
    const queue = new Uint8Array(this.queue.length + bytes.length);
    queue.set(this.queue);
    queue.set(bytes, this.queue.length);
    this.queue = queue;
    this.regulate();
    this.output();
  }

  sent(count: number): void {
    if (this.state === 'closed') return;
    this.undelivered = Math.max(0, this.undelivered - count);
    // A guest that has filled its window waits to be told.
    if (this.state === 'open' && this.advertised < this.mss && this.room >= WINDOW / 2) this.acknowledge();
  }

  ended(): void {
    if (this.state === 'closed') return;
    this.hostEnded = true;
    this.output();
  }

  failed(): void {
    if (this.state === 'closed') return;
    if (this.state === 'connecting') {
      const reset = resetFor(this.syn);
      if (reset) this.environment.transmit(reset);
    } else {
      this.send(TcpFlag.rst | TcpFlag.ack, this.next);
    }
    this.close();
  }

  /** The machine starts over or is gone. */
  abort(): void {
    if (this.state === 'closed') return;
    this.host.abort();
    this.close();
  }

  private close(): void {
    this.state = 'closed';
    this.timer?.cancel();
    this.timer = undefined;
    this.queue = new Uint8Array();
    this.environment.closed();
  }

  private regulate(): void {
    const wanted = this.flowing ? this.queue.length < QUEUE_HIGH : this.queue.length < QUEUE_LOW;
    if (wanted !== this.flowing) this.host.flow(wanted);
    this.flowing = wanted;
  }

  // ---- from the guest ----

  segment(segment: Segment): void {
    const { flags, sequence, data } = segment;
    const offset = distance(sequence, this.expected);
    if (flags & TcpFlag.rst) {
      if (this.state === 'connecting' || (offset >= 0 && offset <= WINDOW)) this.abort();
      return;
    }
    if (this.state === 'connecting' || this.state === 'closed') return;
    if (flags & TcpFlag.syn) {
      if (this.state === 'synchronizing') this.synchronize();
      else this.acknowledge();
      return;
    }
    if (!(flags & TcpFlag.ack) || !this.acknowledged(segment)) return;
    this.data(data, -offset, (flags & TcpFlag.fin) !== 0);
    this.output();
    if (this.guestEnded && this.finAcknowledged) this.close();
  }

  /** False: the segment is not to be looked at further. */
  private acknowledged({ acknowledgement, window }: Segment): boolean {
    if (this.state === 'synchronizing') {
      if (acknowledgement !== this.next) {
        this.send(TcpFlag.rst, acknowledgement);
        return false;
      }
      this.state = 'open';
    }
    const count = distance(acknowledgement, this.unacknowledged);
    // Of what was never sent: RFC 9293, 3.10.7.4.
    if (distance(acknowledgement, this.sentUpTo) > 0) {
      this.acknowledge();
      return false;
    }
    if (count < 0) return true;
    this.window = window << (this.scale ?? 0);
    this.retries = 0;
    if (count === 0) return true;
    // The SYN has a number, too; after it the queue's first byte.
    const synchronizing = this.unacknowledged === this.initial && !this.synchronized ? 1 : 0;
    this.synchronized = true;
    const bytes = Math.min(count - synchronizing, this.queue.length);
    if (count - synchronizing > bytes) this.finAcknowledged = true;
    this.queue = this.queue.subarray(bytes);
    this.unacknowledged = acknowledgement;
    if (distance(this.next, acknowledgement) < 0) this.next = acknowledgement;
    this.timeoutSeconds = FIRST_TIMEOUT_SECONDS;
    this.timer?.cancel();
    this.timer = undefined;
    this.regulate();
    return true;
  }

  /** @param skip bytes that have been received before; negative when some are missing in front. */
  private data(data: Uint8Array, skip: number, fin: boolean): void {
    if (data.length === 0 && !fin) {
      // A probe whose number is old wants to be told the present one.
      if (skip !== 0) this.acknowledge();
      return;
    }
    if (skip >= 0 && skip <= data.length && !this.guestEnded) {
      const taken = data.subarray(skip, skip + this.room);
      if (taken.length > 0) {
        this.expected = (this.expected + taken.length) >>> 0;
        this.undelivered += taken.length;
        this.host.send(taken.slice());
      }
      if (fin && skip + taken.length === data.length) {
        this.expected = (this.expected + 1) >>> 0;
        this.guestEnded = true;
        this.host.end();
      }
    }
    this.acknowledge();
  }

  // ---- to the guest ----

  /** Bytes that the guest may send. */
  private get room(): number {
    return Math.max(0, WINDOW - this.undelivered);
  }

  private send(flags: number, sequence: number, data: Uint8Array = new Uint8Array(), options: Pick<Segment, 'mss' | 'scale'> = {}): void {
    this.advertised = this.room;
    this.environment.transmit({
      sourcePort: this.syn.targetPort, targetPort: this.syn.sourcePort, sequence, acknowledgement: flags & TcpFlag.ack ? this.expected : 0, flags, window: this.advertised, data, ...options,
    });
  }

  private acknowledge(): void {
    this.send(TcpFlag.ack, this.next);
  }

  /** Windows are small enough without scaling ours; the guest may scale its own only when both say so. */
  private synchronize(): void {
    this.send(TcpFlag.syn | TcpFlag.ack, this.initial, undefined, { mss: MSS, ...(this.scale !== undefined && { scale: 0 }) });
  }

  /** Sends what the guest's window allows. @param probe one byte goes even into a closed window */
  private output(probe = false): void {
    if (this.state !== 'open') return;
    while (!this.finSent) {
      const flight = distance(this.next, this.unacknowledged);
      const allowed = Math.max(probe ? 1 : 0, Math.min(this.window, FLIGHT_MAX)) - flight;
      const count = Math.min(this.mss, allowed, this.queue.length - flight);
      if (count > 0) {
        const last = flight + count === this.queue.length;
        this.send(TcpFlag.ack | (last ? TcpFlag.psh : 0), this.next, this.queue.subarray(flight, flight + count));
        this.advance(count);
        continue;
      }
      if (!this.hostEnded || flight < this.queue.length) break;
      this.send(TcpFlag.ack | TcpFlag.fin, this.next);
      this.advance(1);
      this.finSent = true;
    }
    if (!this.finAcknowledged && (this.next !== this.unacknowledged || this.queue.length > 0)) this.arm();
  }

  private advance(count: number): void {
    this.next = (this.next + count) >>> 0;
    if (distance(this.next, this.sentUpTo) > 0) this.sentUpTo = this.next;
  }

  private arm(): void {
    const { clock } = this.environment;
    this.timer ??= clock.schedule(clock.now() + Math.ceil(this.timeoutSeconds * clock.instructionsPerSecond), () => {
      this.timer = undefined;
      this.timeout();
    });
  }

  /** Nothing was acknowledged for so long: everything goes again, or the connection is given up. */
  private timeout(): void {
    this.retries++;
    if (this.retries > RETRIES_MAX) {
      this.send(TcpFlag.rst | TcpFlag.ack, this.next);
      this.abort();
      return;
    }
    this.timeoutSeconds = Math.min(TIMEOUT_SECONDS_MAX, 2 * this.timeoutSeconds);
    if (this.state === 'synchronizing') {
      this.synchronize();
      this.arm();
      return;
    }
    this.next = this.unacknowledged;
    this.finSent = false;
    this.output(true);
  }
}
