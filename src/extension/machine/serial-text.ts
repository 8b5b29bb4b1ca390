/** Serial bytes → what a terminal prints, at a bounded rate: a guest may write faster than any terminal draws. Pure but for the timer it is given. */

/** One flush hands over at most this many bytes. */
const flushBytes = 64 * 1024;
const flushMilliseconds = 40;

export interface SerialTextOptions {
  readonly write: (text: string) => void;
  readonly schedule: (callback: () => void, milliseconds: number) => unknown;
}

export class SerialText {
  // UTF-8 as Linux and most teaching kernels write; bytes that are not become U+FFFD.
  private readonly decoder = new TextDecoder('utf-8');
  private chunks: Uint8Array[] = [];
  private size = 0;
  private dropped = 0;
  private scheduled = false;
  private lastWasReturn = false;

  constructor(private readonly options: SerialTextOptions) {}

  receive(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.size += bytes.length;
    // The newest output is the one that matters: drop the oldest.
    while (this.size > flushBytes && this.chunks.length > 1) {
      const old = this.chunks.shift()!;
      this.size -= old.length;
      this.dropped += old.length;
    }
    if (this.size > flushBytes) {
      this.dropped += this.size - flushBytes;
      this.chunks = [this.chunks[0].subarray(this.size - flushBytes)];
      this.size = flushBytes;
    }
    if (this.scheduled) return;
    this.scheduled = true;
    this.options.schedule(() => this.flush(), flushMilliseconds);
  }

  flush(): void {
    this.scheduled = false;
    if (this.size === 0) return;
    const note = this.dropped > 0 ? `\r\n[${this.dropped} bytes left out: the guest writes faster than the terminal]\r\n` : '';
    const text = this.chunks.map((chunk) => this.decoder.decode(chunk, { stream: true })).join('');
    this.chunks = [];
    this.size = this.dropped = 0;
    this.options.write(note + this.withReturns(text));
  }

  /** Teaching kernels often end lines with LF alone; a bare terminal would draw stairs. */
  private withReturns(text: string): string {
    let out = '';
    for (const character of text) {
      if (character === '\n' && !this.lastWasReturn) out += '\r';
      out += character;
      this.lastWasReturn = character === '\r';
    }
    return out;
  }
}

/** What a terminal's Enter and Backspace mean to a guest: CR stays CR, DEL becomes BS as on a serial console of its time. */
export function typedText(data: string): string {
  return data.replace(/\x7f/g, '\b');
}
