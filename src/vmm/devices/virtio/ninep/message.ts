/** The fields of 9P messages: little-endian numbers, texts with a length of 16 bits, and qids. */
import { Errno, FileError, isFolder, isLink, type Node } from './shared-tree';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class MessageReader {
  private readonly view: DataView;
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Where the next field is. @throws FileError for a message that ends before it does */
  private next(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.length) throw new FileError(Errno.Protocol);
    this.at += length;
    return at;
  }

  u8(): number { return this.view.getUint8(this.next(1)); }
  u16(): number { return this.view.getUint16(this.next(2), true); }
  u32(): number { return this.view.getUint32(this.next(4), true); }
  u64(): number { return this.u32() + this.u32() * 2 ** 32; }
  blob(length: number): Uint8Array {
    const at = this.next(length);
    return this.bytes.subarray(at, at + length);
  }
  text(): string { return decoder.decode(this.blob(this.u16())); }
}

const HEADER_BYTES = 7;

export class MessageWriter {
  private bytes = new Uint8Array(256);
  private length = HEADER_BYTES;

  private room(length: number): number {
    const at = this.length;
    this.length += length;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }

  private number(value: number, width: number): this {
    const at = this.room(width);
    for (let n = 0, rest = value; n < width; n++, rest = Math.floor(rest / 256)) this.bytes[at + n] = rest % 256;
    return this;
  }

  u8(value: number): this { return this.number(value, 1); }
  u16(value: number): this { return this.number(value, 2); }
  u32(value: number): this { return this.number(value, 4); }
  u64(value: number): this { return this.number(value, 8); }
  blob(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }
  text(text: string): this {
    const bytes = encoder.encode(text);
    return this.u16(bytes.length).blob(bytes);
  }

  /** What a server calls a file: its type, how often it has changed, its number. */
  qid(node: Node): this {
    return this.u8(qidType(node)).u32(node.version).u64(node.id);
  }

  /** Fills in the count in front of an answer's data, which was written as 0. */
  patchCount(): void {
    new DataView(this.bytes.buffer).setUint32(HEADER_BYTES, this.length - HEADER_BYTES - 4, true);
  }

  /** The whole message. */
  finish(type: number, tag: number): Uint8Array {
    const view = new DataView(this.bytes.buffer);
    view.setUint32(0, this.length, true);
    view.setUint8(4, type);
    view.setUint16(5, tag, true);
    return this.bytes.subarray(0, this.length);
  }
}

export const QID_BYTES = 13;

function qidType(node: Node): number {
  return isFolder(node) ? 0x80 : isLink(node) ? 0x02 : 0;
}
