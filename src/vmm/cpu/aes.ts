/** AES rounds (FIPS 197) on XMM registers, carry-less multiplication, and SSE4.1's two rare sums. Operands are addresses in the state page. */
import type { Callout } from './callouts';
import type { CpuState } from './state';

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
const timesX = (value: number): number => ((value << 1) ^ (value & 0x80 ? 0x11b : 0)) & 0xff;
function product(a: number, b: number): number {
  let sum = 0;
  for (let factor = a, bits = b; bits; bits >>= 1, factor = timesX(factor)) if (bits & 1) sum ^= factor;
  return sum;
}

const substitution = new Uint8Array(256);
const inverseSubstitution = new Uint8Array(256);
for (let p = 1, q = 1, first = true; first || p !== 1; first = false) {
  // p runs through all elements as powers of x + 1, q through their inverses.
  p ^= timesX(p);
  q ^= q << 1;
  q ^= q << 2;
  q ^= q << 4;
  q &= 0xff;
  if (q & 0x80) q ^= 9;
  const rotated = (n: number) => ((q << n) | (q >> (8 - n))) & 0xff;
  substitution[p] = q ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63;
}
substitution[0] = 0x63;
substitution.forEach((to, from) => { inverseSubstitution[to] = from; });

const multiples = (factor: number): Uint8Array => Uint8Array.from({ length: 256 }, (_, value) => product(value, factor));
const by2 = multiples(2), by3 = multiples(3), by9 = multiples(9), by11 = multiples(11), by13 = multiples(13), by14 = multiples(14);

const block = new Uint8Array(16);

/** The state's rows shifted, and substituted, into `block`: row r moves by r columns, backwards for decryption. */
function shiftAndSubstitute(u8: Uint8Array, at: number, table: Uint8Array, step: number): void {
  for (let n = 0; n < 16; n++) block[n] = table[u8[at + ((n + step * (n & 3)) & 15)]];
}

function mixColumns(): void {
  for (let c = 0; c < 16; c += 4) {
    const a = block[c], b = block[c + 1], d = block[c + 2], e = block[c + 3];
    block[c] = by2[a] ^ by3[b] ^ d ^ e;
    block[c + 1] = a ^ by2[b] ^ by3[d] ^ e;
    block[c + 2] = a ^ b ^ by2[d] ^ by3[e];
    block[c + 3] = by3[a] ^ b ^ d ^ by2[e];
  }
}

function inverseMixColumns(): void {
  for (let c = 0; c < 16; c += 4) {
    const a = block[c], b = block[c + 1], d = block[c + 2], e = block[c + 3];
    block[c] = by14[a] ^ by11[b] ^ by13[d] ^ by9[e];
    block[c + 1] = by9[a] ^ by14[b] ^ by11[d] ^ by13[e];
    block[c + 2] = by13[a] ^ by9[b] ^ by14[d] ^ by11[e];
    block[c + 3] = by11[a] ^ by13[b] ^ by9[d] ^ by14[e];
  }
}

function storeWithKey(state: CpuState, to: number, key: number): void {
  for (let n = 0; n < 16; n++) state.u8[to + n] = block[n] ^ state.u8[key + n];
}

const round = (decrypt: boolean, last: boolean): Callout => (cpu, _site, to, key) => {
  shiftAndSubstitute(cpu.state.u8, to, decrypt ? inverseSubstitution : substitution, decrypt ? -4 : 4);
  if (!last) (decrypt ? inverseMixColumns : mixColumns)();
  storeWithKey(cpu.state, to, key);
  return 0;
};
export const aesEncrypt = round(false, false), aesEncryptLast = round(false, true);
export const aesDecrypt = round(true, false), aesDecryptLast = round(true, true);

export const aesInverseMix: Callout = (cpu, _site, to, from) => {
  block.set(cpu.state.u8.subarray(from, from + 16));
  inverseMixColumns();
  cpu.state.u8.set(block, to);
  return 0;
};

/** Doublewords 1 and 3 substituted, and those rotated with the round constant. */
export const aesKeyAssist: Callout = (cpu, _site, to, from, constant) => {
  const { u8 } = cpu.state;
  for (let half = 0; half < 16; half += 8) {
    for (let n = 0; n < 4; n++) {
      block[half + n] = substitution[u8[from + half + 4 + n]];
      block[half + 4 + n] = substitution[u8[from + half + 4 + ((n + 1) & 3)]];
    }
    block[half + 4] ^= constant & 0xff;
  }
  u8.set(block, to);
  return 0;
};

export const carrylessProduct: Callout = (cpu, _site, to, from, control) => {
  const { u32, u64 } = cpu.state;
  const a = u64[(to >> 3) + (control & 1)];
  const other = (from >> 2) + ((control >> 4) & 1) * 2;
  let sum = 0n;
  for (let half = 0; half < 2; half++) {
    const bits = u32[other + half];
    for (let n = 0; n < 32; n++) if ((bits >>> n) & 1) sum ^= a << BigInt(32 * half + n);
  }
  u64[to >> 3] = BigInt.asUintN(64, sum);
  u64[(to >> 3) + 1] = sum >> 64n;
  return 0;
};

/** MPSADBW: a block of four bytes of the source against eight of the destination that begin one byte apart. */
export const blockDifferences: Callout = (cpu, _site, to, from, control) => {
  const { u8, u16 } = cpu.state;
  const target = to + ((control >> 2) & 1) * 4, source = from + (control & 3) * 4;
  const sums = Array.from({ length: 8 }, (_, n) => [0, 1, 2, 3].reduce((sum, k) => sum + Math.abs(u8[target + n + k] - u8[source + k]), 0));
  u16.set(sums, to >> 1);
  return 0;
};

export const leastWord: Callout = (cpu, _site, to, from) => {
  const words = cpu.state.u16.slice(from >> 1, (from >> 1) + 8);
  const least = Math.min(...words);
  cpu.state.u16.fill(0, to >> 1, (to >> 1) + 8);
  cpu.state.u16[to >> 1] = least;
  cpu.state.u16[(to >> 1) + 1] = words.indexOf(least);
  return 0;
};
