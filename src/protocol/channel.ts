/**
 * A pipe for messages between two sides that may live in different threads. Nothing here knows of Node or of a browser:
 * worker/ makes channels out of worker_threads and web workers, tests make them out of two arrays.
 */
import type { ClientMessage, HostMessage } from './messages';

export interface Channel<Sent, Received> {
  post(message: Sent): void;
  /** Sets the one listener. Messages that came earlier are kept for it. */
  onMessage(listener: (message: Received) => void): void;
  /** Called once when the other side is gone; `reason` is there when it did not go in peace. */
  onClose(listener: (reason?: string) => void): void;
  /** Ends the other side (a worker is terminated). */
  close(): void;
}

/** The side that looks at a machine. */
export type ClientChannel = Channel<ClientMessage, HostMessage>;
/** The side that runs it. */
export type HostChannel = Channel<HostMessage, ClientMessage>;

class Pipe<Sent, Received> implements Channel<Sent, Received> {
  private listener: ((message: Received) => void) | undefined;
  private closeListener: ((reason?: string) => void) | undefined;
  private readonly waiting: Received[] = [];
  private open = true;
  other!: Pipe<Received, Sent>;

  post(message: Sent): void {
    if (!this.open) return;
    const copy = structuredClone(message);
    queueMicrotask(() => this.other.receive(copy));
  }

  private receive(message: Received): void {
    if (!this.open) return;
    if (this.listener) this.listener(message);
    else this.waiting.push(message);
  }

  onMessage(listener: (message: Received) => void): void {
    this.listener = listener;
    for (const message of this.waiting.splice(0)) listener(message);
  }

  onClose(listener: (reason?: string) => void): void {
    this.closeListener = listener;
  }

  close(): void {
    this.end();
    this.other.end();
  }

  private end(): void {
    if (!this.open) return;
    this.open = false;
    this.closeListener?.();
  }
}

/** Two connected channels in one thread. Messages are cloned as between workers, and arrive in order, asynchronously. */
export function channelPair(): { client: ClientChannel; host: HostChannel } {
  const client = new Pipe<ClientMessage, HostMessage>();
  const host = new Pipe<HostMessage, ClientMessage>();
  client.other = host;
  host.other = client;
  return { client, host };
}
