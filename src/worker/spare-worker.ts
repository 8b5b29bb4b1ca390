/**
 * Keeps one worker ready, so that a machine starts without waiting for a thread, its program and the generated handlers. A spare worker is made when one is
 * likely to be wanted, not while a machine runs.
 */
import type { ClientChannel } from '../protocol/channel';

export class SpareWorker {
  private spare: ClientChannel | undefined;
  private disposed = false;

  /** @param start starts a worker, which posts nothing before it is asked */
  constructor(private readonly start: () => ClientChannel) {}

  /** Starts the spare worker when there is none. */
  prepare(): void {
    if (this.spare || this.disposed) return;
    const spare = this.start();
    this.spare = spare;
    // It may end before anyone has it.
    spare.onClose(() => {
      if (this.spare === spare) this.spare = undefined;
    });
  }

  /** A worker for a machine; when that has ended, the next one is prepared. */
  launch(): ClientChannel {
    const worker = this.spare ?? this.start();
    this.spare = undefined;
    return { ...worker, onClose: (listener) => worker.onClose((reason) => {
      listener(reason);
      this.prepare();
    }) };
  }

  dispose(): void {
    this.disposed = true;
    this.spare?.close();
    this.spare = undefined;
  }
}
