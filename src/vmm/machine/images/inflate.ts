/** Decompression of DEFLATE data (RFC 1951) into a buffer of known size, with and without zlib's frame (RFC 1950). Input is hostile: every step is bounded by the sizes given. */

/** Code lengths and distances: base values and extra bits (RFC 1951, 3.2.5). */
const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
const DISTANCE_EXTRA = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/** Order in which the lengths of the code-length code are transmitted. */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const CODE_BITS_MAX = 15, END_OF_BLOCK = 256;

export class InflateError extends Error {}

/** A canonical Huffman code: how many codes have each length, and the symbols in order of their codes. */
class HuffmanCode {
  private readonly counts = new Uint16Array(CODE_BITS_MAX + 1);
  private readonly symbols: Uint16Array;

  constructor(lengths: ArrayLike<number>) {
    this.symbols = new Uint16Array(lengths.length);
    for (let n = 0; n < lengths.length; n++) this.counts[lengths[n]]++;
    this.counts[0] = 0;
    const starts = new Uint16Array(CODE_BITS_MAX + 2);
    let left = 1;
    for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
      left = left * 2 - this.counts[bits];
      if (left < 0) throw new InflateError('more codes than bits allow');
      starts[bits + 1] = starts[bits] + this.counts[bits];
    }
    for (let n = 0; n < lengths.length; n++) if (lengths[n] !== 0) this.symbols[starts[lengths[n]]++] = n;
  }

  decode(input: BitReader): number {
    let code = 0, first = 0, index = 0;
    for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
      code |= input.bit();
      const count = this.counts[bits];
      if (code - first < count) return this.symbols[index + code - first];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new InflateError('a code that does not exist');
  }
}

class BitReader {
  private buffer = 0;
  private available = 0;

  constructor(private readonly bytes: Uint8Array, private at: number) {}

  bit(): number {
    if (this.available === 0) {
      this.buffer = this.byte();
      this.available = 8;
    }
    const bit = this.buffer & 1;
    this.buffer >>= 1;
    this.available--;
    return bit;
  }

  bits(count: number): number {
    let value = 0;
    for (let n = 0; n < count; n++) value |= this.bit() << n;
    return value;
  }

  /** The next whole byte; bits of the present one are dropped by {@link align}. */
  byte(): number {
    if (this.at >= this.bytes.length) throw new InflateError('the compressed data ends too early');
    return this.bytes[this.at++];
  }

  align(): void {
    this.available = 0;
  }
}

const fixedLengths = Uint8Array.from({ length: 288 }, (_, n) => (n < 144 ? 8 : n < 256 ? 9 : n < 280 ? 7 : 8));
const fixedCode = new HuffmanCode(fixedLengths);
const fixedDistances = new HuffmanCode(new Uint8Array(30).fill(5));

/**
 * Decompresses up to `size` bytes: compressed data that goes on beyond is not looked at, and what comes short is filled with zeros when `exact` is false.
 * @throws InflateError
 */
export function inflate(bytes: Uint8Array, size: number, options: { readonly zlib: boolean; readonly exact: boolean }): Uint8Array {
  if (options.zlib && (bytes.length < 2 || (bytes[0] & 15) !== 8 || (bytes[0] << 8 | bytes[1]) % 31 !== 0 || (bytes[1] & 0x20) !== 0)) throw new InflateError('no zlib header');
  const input = new BitReader(bytes, options.zlib ? 2 : 0);
  const output = new Uint8Array(size);
  let at = 0;
  for (let last = false; !last && at < size;) {
    last = input.bit() === 1;
    const kind = input.bits(2);
    if (kind === 0) at = stored(input, output, at);
    else if (kind === 1) at = compressed(input, output, at, fixedCode, fixedDistances);
    else if (kind === 2) at = compressed(input, output, at, ...dynamicCodes(input));
    else throw new InflateError('a block of unknown type');
  }
  if (options.exact && at < size) throw new InflateError(`${at} bytes instead of ${size}`);
  return output;
}

function stored(input: BitReader, output: Uint8Array, start: number): number {
  input.align();
  const length = input.byte() | input.byte() << 8, complement = input.byte() | input.byte() << 8;
  if (length !== (~complement & 0xffff)) throw new InflateError('a stored block whose length is wrong');
  let at = start;
  for (let n = 0; n < length && at < output.length; n++) output[at++] = input.byte();
  return at;
}

function dynamicCodes(input: BitReader): [HuffmanCode, HuffmanCode] {
  const literals = input.bits(5) + 257, distances = input.bits(5) + 1, codes = input.bits(4) + 4;
  if (literals > 286 || distances > 30) throw new InflateError('too many codes');
  const codeLengths = new Uint8Array(19);
  for (let n = 0; n < codes; n++) codeLengths[CODE_LENGTH_ORDER[n]] = input.bits(3);
  const lengthCode = new HuffmanCode(codeLengths);
  const lengths = new Uint8Array(literals + distances);
  for (let n = 0; n < lengths.length;) {
    const symbol = lengthCode.decode(input);
    if (symbol < 16) {
      lengths[n++] = symbol;
      continue;
    }
    if (symbol === 16 && n === 0) throw new InflateError('a repeated length without one before');
    const value = symbol === 16 ? lengths[n - 1] : 0;
    const times = symbol === 16 ? 3 + input.bits(2) : symbol === 17 ? 3 + input.bits(3) : 11 + input.bits(7);
    if (n + times > lengths.length) throw new InflateError('more lengths than codes');
    lengths.fill(value, n, n + times);
    n += times;
  }
  return [new HuffmanCode(lengths.subarray(0, literals)), new HuffmanCode(lengths.subarray(literals))];
}

function compressed(input: BitReader, output: Uint8Array, start: number, literalCode: HuffmanCode, distanceCode: HuffmanCode): number {
  let at = start;
  while (at < output.length) {
    const symbol = literalCode.decode(input);
    if (symbol === END_OF_BLOCK) return at;
    if (symbol < END_OF_BLOCK) {
      output[at++] = symbol;
      continue;
    }
    const lengthIndex = symbol - 257;
    if (lengthIndex >= LENGTH_BASE.length) throw new InflateError('a length that does not exist');
    const length = LENGTH_BASE[lengthIndex] + input.bits(LENGTH_EXTRA[lengthIndex]);
    const distanceIndex = distanceCode.decode(input);
    if (distanceIndex >= DISTANCE_BASE.length) throw new InflateError('a distance that does not exist');
    const distance = DISTANCE_BASE[distanceIndex] + input.bits(DISTANCE_EXTRA[distanceIndex]);
    if (distance > at) throw new InflateError('a distance before the beginning');
    const end = Math.min(at + length, output.length);
    for (; at < end; at++) output[at] = output[at - distance];
  }
  return at;
}
