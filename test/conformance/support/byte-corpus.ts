/** Byte strings to decode, the same on every run: one instruction candidate per slot of {@link SLOT} bytes, random bytes behind it. */

/** Longer than the longest instruction, so that a slot never runs into the next one. */
export const SLOT = 16;

export interface Corpus {
  readonly bytes: Uint8Array;
  readonly slots: number;
}

/** xorshift32. */
export function randomBytes(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 24;
  };
}

const prefixBytes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

function build(slots: number, seed: number, fill: (put: (...bytes: number[]) => void, random: () => number, slot: number) => void): Corpus {
  const bytes = new Uint8Array((slots + 1) * SLOT);
  const random = randomBytes(seed);
  for (let k = 0; k < bytes.length; k++) bytes[k] = random();
  for (let slot = 0; slot < slots; slot++) {
    let at = slot * SLOT;
    const put = (...values: number[]): void => {
      for (const value of values) bytes[at++] = value;
    };
    fill(put, random, slot);
  }
  return { bytes, slots };
}

/** Nothing but random bytes. */
export const randomCorpus = (slots: number, seed: number): Corpus => build(slots, seed, () => undefined);

/** Up to 15 random prefixes (mostly few; with `rex` often a REX prefix at last), then an opcode of the one-byte or the 0F map. */
export const prefixedCorpus = (slots: number, seed: number, rex = false): Corpus => build(slots, seed, (put, random) => {
  const many = random() < 8;
  const count = many ? 8 + random() % 8 : random() % 4;
  for (let k = 0; k < count; k++) put(prefixBytes[random() % prefixBytes.length]);
  if (rex && count < 14 && random() < 160) put(0x40 | random() & 15);
  if (count < 13 && random() < 96) put(0x0f);
});

const leadingPrefixes: readonly (readonly number[])[] = [[], [0x66], [0x67], [0xf0], [0xf2], [0xf3]];

/** Every second byte behind every opcode of the one-byte and the 0F map, alone and behind each prefix that may change its meaning. */
export const opcodeCorpus = (seed: number): Corpus => build(leadingPrefixes.length * 2 * 65536, seed, (put, _random, slot) => {
  put(...leadingPrefixes[slot >> 17]);
  if (slot >> 16 & 1) put(0x0f);
  put(slot >> 8 & 0xff, slot & 0xff);
});

/** The same for 64-bit code: REX prefixes stand between. */
const rexPrefixes: readonly (readonly number[])[] = [[], [0x48], [0x45], [0x66, 0x41], [0x66, 0x48], [0xf2, 0x48], [0xf3, 0x48], [0xf3, 0x4f], [0x67, 0x4c], [0xf0, 0x48]];

export const rexCorpus = (seed: number): Corpus => build(rexPrefixes.length * 2 * 65536, seed, (put, _random, slot) => {
  put(...rexPrefixes[slot >> 17]);
  if (slot >> 16 & 1) put(0x0f);
  put(slot >> 8 & 0xff, slot & 0xff);
});

/** Every 0F 38 and 0F 3A opcode behind each mandatory prefix. */
export const longOpcodeCorpus = (seed: number): Corpus => build(leadingPrefixes.length * 2 * 256 * 16, seed, (put, _random, slot) => {
  put(...leadingPrefixes[Math.floor(slot / 8192)]);
  put(0x0f, slot & 0x1000 ? 0x3a : 0x38, slot >> 4 & 0xff);
});

/** Every modrm with every SIB (the 67 prefix serves 16-bit code), for a row with and one without an immediate. */
export const addressingCorpus = (seed: number): Corpus => build(4 * 65536, seed, (put, _random, slot) => {
  if (slot & 0x10000) put(0x67);
  put(slot & 0x20000 ? 0x81 : 0x8b, slot >> 8 & 0xff, slot & 0xff);
});
