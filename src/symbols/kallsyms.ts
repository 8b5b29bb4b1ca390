/**
 * Kernel symbols out of a Linux kernel's own tables (scripts/kallsyms.c), which lie in its read-only data: names compressed with 256 tokens, and addresses
 * relative to a base that the kernel's relocation has adjusted. They are found by their structure, so neither a symbol file nor an
 * uncompressed kernel is needed. Every step checks what the next one relies on: bytes that only look like the tables give nothing.
 *
 * Up to Linux 6.3 the order is offsets, base, number, names, markers, (sequence numbers by name,) tokens, index; from 6.4 on offsets and base come behind the index.
 */

export interface KernelSymbol {
  readonly name: string;
  /** Full 64-bit address. */
  readonly address: bigint;
}

/** Bytes of memory that hold the tables, wherever they are. */
export interface KallsymsImage {
  readonly bytes: Uint8Array;
  /** Where in them {@link tokenPattern} was found. */
  readonly tokensAt: number;
  readonly wordBytes: 4 | 8;
}

const TOKENS = 256, MARKER_EVERY = 256;
const FIRST_DIGIT = 0x30, DIGITS = 10;
/** Longest token and symbol that are believed. */
const TOKEN_MAX = 128, NAME_MAX = 512;
const SYMBOLS_MIN = 300, SYMBOLS_MAX = 1_000_000;

/** What the token table has for certain: the digits, which are tokens of their own, behind one another. */
export const tokenPattern: Uint8Array = Uint8Array.from({ length: 2 * DIGITS }, (_, n) => (n % 2 ? 0 : FIRST_DIGIT + n / 2));

/** Bytes before and behind the tokens that a kernel's tables fit into. */
export const tablesBefore = 0x600000, tablesBehind = 0x100000;

const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

interface Tokens {
  readonly start: number;
  readonly texts: readonly string[];
  /** Behind the token index. */
  readonly end: number;
}

/** The symbols in the order of their addresses in the table; undefined when these are no such tables. */
export function readKallsyms(image: KallsymsImage): KernelSymbol[] | undefined {
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length);
  const tokens = readTokens(image, view);
  if (!tokens) return undefined;
  for (const markers of findMarkers(view, tokens.start, image.wordBytes)) {
    const names = readNames(image, view, tokens.texts, markers);
    const symbols = names && (addressesBefore(image, view, names.texts, names.numberAt) ?? addressesBehind(image, view, names.texts, tokens.end));
    if (symbols) return symbols;
  }
  return undefined;
}

/** Whether the pattern stands in a token table: a look at a few hundred bytes on either side. */
export function hasTokens(image: KallsymsImage): boolean {
  return readTokens(image, new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length)) !== undefined;
}

/** 256 strings behind one another, and an index of 16-bit offsets that says the same. */
function readTokens({ bytes, tokensAt, wordBytes }: KallsymsImage, view: DataView): Tokens | undefined {
  let start = tokensAt;
  for (let n = 0; n < FIRST_DIGIT; n++) {
    // To the zero before the token before.
    const end = start - 1;
    if (end < 1 || bytes[end] !== 0) return undefined;
    let first = end;
    while (first > 0 && end - first <= TOKEN_MAX && bytes[first - 1] !== 0) first--;
    start = first;
  }
  // Token 0 ends where the walk says, but begins with its table, which is aligned; padding before it is zeros.
  for (const candidate of [start, alignUp(start, 4), alignUp(start, wordBytes)]) {
    const tokens = tokensFrom(bytes, view, candidate, wordBytes);
    if (tokens) return tokens;
  }
  return undefined;
}

function tokensFrom(bytes: Uint8Array, view: DataView, start: number, wordBytes: number): Tokens | undefined {
  const texts: string[] = [];
  const offsets: number[] = [];
  let at = start;
  for (let n = 0; n < TOKENS; n++) {
    offsets.push(at - start);
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - at > TOKEN_MAX) return undefined;
    texts.push(String.fromCharCode(...bytes.subarray(at, end)));
    at = end + 1;
  }
  for (const index of [alignUp(at, 4), alignUp(at, wordBytes)]) {
    if (index + 2 * TOKENS <= bytes.length && offsets.every((offset, n) => view.getUint16(index + 2 * n, true) === offset)) return { start, texts, end: index + 2 * TOKENS };
  }
  return undefined;
}

interface Markers {
  readonly start: number;
  readonly values: readonly number[];
}

/**
 * Offsets of every 256th name, increasing from 0: directly before the tokens, or (from 6.2 on, and where that was taken over) before a table of
 * three bytes for each symbol that stands between.
 */
function* findMarkers(view: DataView, tokensStart: number, wordBytes: number): Generator<Markers> {
  const direct = markersBefore(view, tokensStart, wordBytes);
  if (direct) yield direct;
  for (let end = (tokensStart - 3 * SYMBOLS_MIN) & ~3; end >= Math.max(0, tokensStart - 3 * SYMBOLS_MAX); end -= 4) {
    // The padding behind the three bytes each is shorter than a word.
    const most = Math.ceil(Math.floor((tokensStart - end) / 3) / MARKER_EVERY), least = Math.ceil(Math.ceil((tokensStart - end - wordBytes + 1) / 3) / MARKER_EVERY);
    for (let count = least; count <= most; count++) {
      for (const padding of wordBytes === 8 ? [0, 4] : [0]) {
        const start = end - padding - 4 * count;
        const values = start >= 0 && view.getUint32(start, true) === 0 ? markersAt(view, start, count) : undefined;
        if (values) yield { start, values };
      }
    }
  }
}

function markersAt(view: DataView, start: number, count: number): number[] | undefined {
  const values: number[] = [];
  for (let n = 0; n < count; n++) {
    const value = view.getUint32(start + 4 * n, true);
    // A name has a length and one token at least.
    if (n > 0 && (value < values[n - 1] + 2 * MARKER_EVERY || value > values[n - 1] + MARKER_EVERY * NAME_MAX)) return undefined;
    values.push(value);
  }
  return values;
}

function markersBefore(view: DataView, end: number, wordBytes: number): Markers | undefined {
  let at = end - 4;
  for (let skipped = 4; skipped < wordBytes && at >= 0 && view.getUint32(at, true) === 0; skipped += 4) at -= 4;
  let above = Infinity, count = 1;
  for (; at >= 0; at -= 4, count++) {
    const value = view.getUint32(at, true);
    if (value >= above) return undefined;
    if (value === 0) break;
    above = value;
  }
  const values = at >= 0 && count > 1 ? markersAt(view, at, count) : undefined;
  return values && { start: at, values };
}

interface Names {
  /** With the type letter in front. */
  readonly texts: readonly string[];
  /** Where their number stands. */
  readonly numberAt: number;
}

/** Names lie before the markers and their number before the names: the number that fits to the markers and whose names end where the markers begin. */
function readNames({ bytes, wordBytes }: KallsymsImage, view: DataView, tokens: readonly string[], { start, values }: Markers): Names | undefined {
  const last = values[values.length - 1];
  const lowest = Math.max(0, start - last - MARKER_EVERY * 2 * TOKEN_MAX - 2 * wordBytes);
  for (let at = (start - last - 4) & ~3; at >= lowest; at -= 4) {
    const count = view.getUint32(at, true);
    if (count < SYMBOLS_MIN || count > SYMBOLS_MAX || Math.ceil(count / MARKER_EVERY) !== values.length) continue;
    for (const first of new Set([at + 4, at + wordBytes])) {
      const texts = namesFrom(bytes, tokens, first, count, start, values);
      if (texts) return { texts, numberAt: at };
    }
  }
  return undefined;
}

function namesFrom(bytes: Uint8Array, tokens: readonly string[], first: number, count: number, end: number, markers: readonly number[]): string[] | undefined {
  const texts: string[] = [];
  let at = first;
  for (let n = 0; n < count; n++) {
    if (n % MARKER_EVERY === 0 && at - first !== markers[n / MARKER_EVERY]) return undefined;
    let length = bytes[at++];
    // From 6.2 on long names have a length of two bytes.
    if (length & 0x80) length = (length & 0x7f) | bytes[at++] << 7;
    if (length === 0 || length > NAME_MAX || at + length > end) return undefined;
    let text = '';
    for (const stop = at + length; at < stop; at++) text += tokens[bytes[at]];
    texts.push(text);
  }
  return end - at < 16 ? texts : undefined;
}

/** Offsets and base in front of the number of symbols. */
function addressesBefore({ wordBytes }: KallsymsImage, view: DataView, names: readonly string[], numberAt: number): KernelSymbol[] | undefined {
  const baseAt = numberAt - wordBytes;
  const offsetsAt = baseAt - alignUp(4 * names.length, wordBytes);
  return offsetsAt >= 0 ? addresses(view, names, offsetsAt, baseAt, wordBytes) : undefined;
}

/** Offsets and base behind the token index. */
function addressesBehind({ wordBytes, bytes }: KallsymsImage, view: DataView, names: readonly string[], tokensEnd: number): KernelSymbol[] | undefined {
  const offsetsAt = alignUp(tokensEnd, wordBytes);
  const baseAt = alignUp(offsetsAt + 4 * names.length, wordBytes);
  return baseAt + wordBytes <= bytes.length ? addresses(view, names, offsetsAt, baseAt, wordBytes) : undefined;
}

/**
 * With per-processor symbols (64 bits) an offset that is not negative is an absolute value, and -1 - offset is relative to the base; else all
 * are relative to it. Symbols are sorted by address: offsets that are not in order are no offsets.
 */
function addresses(view: DataView, names: readonly string[], offsetsAt: number, baseAt: number, wordBytes: number): KernelSymbol[] | undefined {
  const base = wordBytes === 8 ? view.getBigUint64(baseAt, true) : BigInt(view.getUint32(baseAt, true));
  const offsets = names.map((_, n) => view.getInt32(offsetsAt + 4 * n, true));
  const negative = offsets.filter((offset) => offset < 0).length;
  const absolutePerProcessor = negative > names.length / 2;
  const values = offsets.map((offset) => {
    if (!absolutePerProcessor) return base + BigInt(offset >>> 0);
    return offset >= 0 ? BigInt(offset) : base - 1n - BigInt(offset);
  });
  let disorder = 0;
  for (let n = 1; n < values.length; n++) if (values[n] < values[n - 1]) disorder++;
  if (base === 0n || disorder > values.length / 100) return undefined;
  const bits = 8 * wordBytes;
  return names.map((name, n) => ({ name: name.slice(1), address: BigInt.asUintN(bits, values[n]) }));
}
