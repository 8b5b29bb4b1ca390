/** One batch of a kernel, and what kernels/frame.inc says on COM1: `R` when it is ready, then for each batch `S` and `.`, or `S`, `W` and the eight digits of a wrong result. */

export interface Batch {
  /** Of the host's clock, from the start mark to the end mark. */
  readonly wallMilliseconds: number;
  /** Of all threads of the process that runs the guest; undefined where the host does not tell. */
  readonly cpuMilliseconds: number | undefined;
  /** Undefined for machines that do not count. */
  readonly instructions: number | undefined;
}

/** The byte for which a kernel waits before each batch. */
export const GO = 'g'.charCodeAt(0);

export interface BatchEvents {
  ready(): void;
  started(): void;
  /** `wrong`: the result in hexadecimal digits, when it was not the expected one. */
  ended(wrong: string | undefined): void;
}

/** Reads a kernel's marks, byte by byte. */
export class BatchMarks {
  private state: 'booting' | 'idle' | 'running' | 'wrong' = 'booting';
  private digits = '';

  constructor(private readonly events: BatchEvents) {}

  byte(byte: number): void {
    const character = String.fromCharCode(byte);
    if (this.state === 'booting') {
      if (character !== 'R') return;
      this.state = 'idle';
      this.events.ready();
    } else if (this.state === 'idle') {
      if (character !== 'S') return;
      this.state = 'running';
      this.events.started();
    } else if (this.state === 'running') {
      if (character === '.') this.end(undefined);
      else if (character === 'W') this.state = 'wrong';
    } else {
      this.digits += character;
      if (this.digits.length === 8) this.end(this.digits);
    }
  }

  private end(wrong: string | undefined): void {
    this.state = 'idle';
    this.digits = '';
    this.events.ended(wrong);
  }
}
