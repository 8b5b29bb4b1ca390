/**
 * Standard input as the other end of the guest's serial line. On a terminal every key goes to the guest at once, and Ctrl-A is the way out:
 * Ctrl-A x ends the run, Ctrl-A a sends Ctrl-A, Ctrl-A c sends Ctrl-C, Ctrl-A h tells so. Ctrl-C ends the run, too.
 */
import type { ReadStream } from 'node:tty';

const CTRL_A = 0x01;
const CTRL_C = 0x03;
const KEPT_BYTES = 65536;

export const terminalHelp = 'Ctrl-A x: end the run   Ctrl-A a: send Ctrl-A   Ctrl-A c: send Ctrl-C   Ctrl-C: end the run with its counters';

export type TerminalCommand = 'quit' | 'interrupt' | 'help';

/** Takes the commands out of what is typed. */
export class TerminalFilter {
  private escaped = false;

  constructor(private readonly command: (command: TerminalCommand) => void) {}

  filter(typed: Uint8Array): Uint8Array {
    const passed: number[] = [];
    for (const byte of typed) {
      if (!this.escaped) {
        if (byte === CTRL_A) this.escaped = true;
        else if (byte === CTRL_C) this.command('interrupt');
        else passed.push(byte);
        continue;
      }
      this.escaped = false;
      const letter = String.fromCharCode(byte).toLowerCase();
      if (letter === 'x' || byte === 0x18) this.command('quit');
      else if (letter === 'a' || byte === CTRL_A) passed.push(CTRL_A);
      else if (letter === 'c' || byte === CTRL_C) passed.push(CTRL_C);
      else this.command('help');
    }
    return Uint8Array.from(passed);
  }
}

/** What the run loop feeds to the guest. */
export interface SerialInput {
  /** Bytes that have not been taken yet. */
  readonly pending: Uint8Array;
  taken(count: number): void;
  /** No more bytes will come. */
  readonly ended: boolean;
}

export const noInput: SerialInput = { pending: new Uint8Array(), taken: () => undefined, ended: true };

export class StandardInput implements SerialInput {
  pending: Uint8Array = new Uint8Array();
  ended = false;
  private readonly filter: TerminalFilter | undefined;

  constructor(private readonly stream: ReadStream & { readonly isTTY?: boolean }, private readonly arrived: () => void, command: (command: TerminalCommand) => void) {
    if (stream.isTTY) {
      this.filter = new TerminalFilter(command);
      stream.setRawMode(true);
    }
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('end', () => this.end());
    stream.on('error', () => this.end());
    stream.resume();
  }

  taken(count: number): void {
    this.pending = this.pending.subarray(count);
    if (this.pending.length < KEPT_BYTES && this.stream.isPaused()) this.stream.resume();
  }

  /** Gives the terminal back; the process may end. */
  close(): void {
    if (this.stream.isTTY) this.stream.setRawMode(false);
    this.stream.removeAllListeners();
    this.stream.on('error', () => undefined);
    this.stream.destroy();
  }

  private receive(chunk: Uint8Array): void {
    const bytes = this.filter ? this.filter.filter(chunk) : chunk;
    if (bytes.length === 0) return;
    const joined = new Uint8Array(this.pending.length + bytes.length);
    joined.set(this.pending);
    joined.set(bytes, this.pending.length);
    this.pending = joined;
    if (joined.length >= KEPT_BYTES) this.stream.pause();
    this.arrived();
  }

  private end(): void {
    this.ended = true;
    this.arrived();
  }
}
