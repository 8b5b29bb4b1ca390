/** A growing byte buffer with the encodings of the WebAssembly binary format. */
export class ByteWriter {
  private bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
  }

  /** The written bytes: a view, valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  reset(): void {
    this.length = 0;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.grow(1);
    this.bytes[this.length++] = value;
  }

  append(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.bytes.length) this.grow(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Unsigned LEB128 of an unsigned 32-bit number. */
  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Signed LEB128 of a number whose magnitude is below 2^53. */
  signed(value: number): void {
    let rest = value;
    for (;;) {
      const low = ((rest % 128) + 128) % 128;
      rest = (rest - low) / 128;
      if ((rest === 0 && low < 64) || (rest === -1 && low >= 64)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  /** Signed LEB128 of a 64-bit number made of two words. */
  signedWords(low: number, high: number): void {
    let [bottom, top] = [low | 0, high | 0];
    for (;;) {
      const bits = bottom & 0x7f;
      bottom = (bottom >>> 7) | (top << 25);
      top >>= 7;
      if ((bottom === 0 && top === 0 && bits < 64) || (bottom === -1 && top === -1 && bits >= 64)) {
        this.byte(bits);
        return;
      }
      this.byte(bits | 0x80);
    }
  }

  name(text: string): void {
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    this.unsigned(bytes.length);
    this.append(bytes);
  }

  private grow(by: number): void {
    const bigger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + by));
    bigger.set(this.bytes);
    this.bytes = bigger;
  }
}
