/** Standard output as a place where guests may write without end: the run waits when the reader is slow, and ends when it is gone. */
import type { Writable } from 'node:stream';

export class Output {
  /** The reader has closed its end. */
  closed = false;
  /** The last byte written was not a newline: a report begins on a line of its own. */
  private midLine = false;
  private waiting: (() => void) | undefined;
  private full = false;

  constructor(private readonly stream: Writable) {
    stream.on('error', () => {
      this.closed = true;
      this.proceed();
    });
    stream.on('drain', () => this.proceed());
  }

  write(bytes: Uint8Array | string): void {
    if (this.closed || bytes.length === 0) return;
    const last = typeof bytes === 'string' ? bytes.charCodeAt(bytes.length - 1) : bytes[bytes.length - 1];
    this.midLine = last !== 0x0a;
    if (!this.stream.write(typeof bytes === 'string' ? bytes : bytes.slice())) this.full = true;
  }

  /** Text of our own, on lines of its own. */
  report(text: string): void {
    this.write(`${this.midLine ? '\n' : ''}${text}\n`);
  }

  /** Resolves when what was written has been taken. */
  async drained(): Promise<void> {
    if (!this.full || this.closed) return;
    await new Promise<void>((resolve) => { this.waiting = resolve; });
  }

  private proceed(): void {
    this.full = false;
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }
}
