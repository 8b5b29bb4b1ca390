/**
 * The typed client of a machine: requests become promises, events become subscriptions.
 * Consumed screens and output are acknowledged here, after the listeners ran, so that a slow view slows the sender and not the editor.
 */
import type { ClientChannel } from './channel';
import type { ClientMessage, EventName, Events, HostMessage, MachineErrorShape, RequestName, Requests } from './messages';

/** A refused request: the machine's code, message and advice. */
export class MachineRequestError extends Error {
  readonly code: string;
  readonly advice: string | undefined;
  constructor(shape: MachineErrorShape) {
    super(shape.message);
    this.name = 'MachineRequestError';
    this.code = shape.code;
    this.advice = shape.advice;
  }
}

export interface Subscription {
  dispose(): void;
}

type Listener<N extends EventName> = (payload: Events[N]) => void;
interface Pending {
  resolve(result: unknown): void;
  reject(error: MachineRequestError): void;
}

export class MachineClient {
  private nextId = 1;
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Map<EventName, Set<(payload: never) => void>>();
  private readonly closeListeners = new Set<(reason?: string) => void>();
  private closed: { reason?: string } | undefined;

  constructor(private readonly channel: ClientChannel) {
    channel.onMessage((message) => this.receive(message));
    channel.onClose((reason) => this.end(reason));
  }

  /** Rejects with {@link MachineRequestError}: the machine's refusal, or code 'closed' when its worker is gone. */
  request<N extends RequestName>(
    name: N, ...args: Record<string, never> extends Requests[N][0] ? [Requests[N][0]?] : [Requests[N][0]]
  ): Promise<Requests[N][1]> {
    if (this.closed) return Promise.reject(this.closedError());
    const id = this.nextId++;
    return new Promise<Requests[N][1]>((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      try {
        this.channel.post({ id, request: name, arguments: args[0] ?? {} } as ClientMessage);
      } catch (error) {
        // A value that cannot be cloned.
        this.pending.delete(id);
        reject(new MachineRequestError({ code: 'arguments', message: `Request ${name}: ${error instanceof Error ? error.message : String(error)}` }));
      }
    });
  }

  on<N extends EventName>(name: N, listener: Listener<N>): Subscription {
    let set = this.listeners.get(name);
    if (!set) this.listeners.set(name, (set = new Set()));
    set.add(listener as (payload: never) => void);
    return { dispose: () => { set.delete(listener as (payload: never) => void); } };
  }

  /** The worker is gone: `reason` says why if nobody asked for it. */
  onClose(listener: (reason?: string) => void): Subscription {
    this.closeListeners.add(listener);
    return { dispose: () => { this.closeListeners.delete(listener); } };
  }

  /** Ends the worker; pending requests are rejected. */
  dispose(): void {
    this.channel.close();
    this.end();
    this.listeners.clear();
  }

  private receive(message: HostMessage): void {
    if ('event' in message) {
      this.deliver(message.event, message.payload);
      return;
    }
    const pending = this.pending.get(message.id);
    if (!pending) return;
    this.pending.delete(message.id);
    if ('error' in message) pending.reject(new MachineRequestError(message.error));
    else pending.resolve(message.result);
  }

  private deliver<N extends EventName>(name: N, payload: Events[N]): void {
    try {
      for (const listener of [...this.listeners.get(name) ?? []]) (listener as Listener<N>)(payload);
    } finally {
      const consumed = outputBytes(name, payload);
      if (name === 'screen') this.acknowledge('screen', 1);
      else if (consumed > 0) this.acknowledge('output', consumed);
    }
  }

  private acknowledge(acknowledge: 'screen' | 'output', count: number): void {
    if (!this.closed) this.channel.post({ acknowledge, count });
  }

  private end(reason?: string): void {
    if (this.closed) return;
    this.closed = { reason };
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const one of pending) one.reject(this.closedError());
    for (const listener of [...this.closeListeners]) listener(reason);
    this.closeListeners.clear();
  }

  private closedError(): MachineRequestError {
    const reason = this.closed?.reason;
    return new MachineRequestError({ code: 'closed', message: reason ? `The machine's worker ended: ${reason}` : 'The machine has been terminated.' });
  }
}

/** Bytes by which an event counts as output, the same for both sides of the channel. */
export function outputBytes<N extends EventName>(name: N, payload: Events[N]): number {
  switch (name) {
    case 'serial':
    case 'debugPort':
      return (payload as Events['serial']).bytes.length;
    case 'log':
      return (payload as Events['log']).text.length;
    default:
      return 0;
  }
}
