/** What the network stack needs from the world around the machine. Node has it (worker/node-network.ts), a browser has not. */

export interface NetworkHost {
  /** Opens a TCP connection. Its events come later, never during a call of this interface. */
  connect(address: string, port: number, events: ConnectionEvents): HostConnection;
  /** IPv4 addresses of a name; none when there is no such name, undefined when nobody could be asked. Told later. */
  resolve(name: string, done: (addresses: readonly string[] | undefined) => void): void;
}

export interface ConnectionEvents {
  connected(): void;
  received(bytes: Uint8Array): void;
  /** So many of the bytes that were given to `send` have left. */
  sent(count: number): void;
  /** The other side sends no more. */
  ended(): void;
  /** The connection could not be made, or broke. Nothing comes after it. */
  failed(): void;
}

export interface HostConnection {
  send(bytes: Uint8Array): void;
  /** Nothing more will be sent. */
  end(): void;
  abort(): void;
  /** Whether `received` may be called. */
  flow(on: boolean): void;
}

/** The same host, whose events wait until `deliver` lets them in: a machine hears them between two slices. */
export function deferred(host: NetworkHost, deliver: (event: () => void) => void): NetworkHost {
  return {
    connect: (address, port, events) => host.connect(address, port, {
      connected: () => deliver(() => events.connected()),
      received: (bytes) => deliver(() => events.received(bytes)),
      sent: (count) => deliver(() => events.sent(count)),
      ended: () => deliver(() => events.ended()),
      failed: () => deliver(() => events.failed()),
    }),
    resolve: (name, done) => host.resolve(name, (addresses) => deliver(() => done(addresses))),
  };
}
