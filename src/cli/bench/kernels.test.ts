import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { kernelImage, kernels } from './kernels';
import { ringsideGuest } from './ringside-guest';

/** The numbers of fill_random in kernels/frame.inc. */
function random(count: number): Uint32Array {
  const numbers = new Uint32Array(count);
  let state = 1;
  for (let n = 0; n < count; n++) numbers[n] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return numbers;
}

const rol = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
const range = (count: number): number[] => [...Array(count).keys()];

function mix(bits: 32 | 64): number {
  const wrap = (value: bigint): bigint => BigInt.asUintN(bits, value);
  let [a, b, c, d] = bits === 32 ? [1n, 0x2545f491n, 3n, 0x9e3779b9n] : [1n, 0x2545f4914f6cdd1dn, 3n, 0x9e3779b97f4a7c15n];
  for (let n = 0; n < 100_000; n++) {
    a = wrap(a + (b ^ c));
    b = wrap(b << 5n) | (b >> BigInt(bits - 5));
    c = wrap(c - a);
    d ^= wrap(c + (a >> 3n));
    b = wrap(b + 9n * d);
    a = wrap(~a) & (c | d);
  }
  const result = a ^ b ^ c ^ d;
  return bits === 32 ? Number(result) : Number(BigInt.asUintN(32, result ^ (result >> 32n)));
}

function interpret(): number {
  let x = 1, y = 0;
  for (let i = 0; i < 4000; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    y = (x & 1) === 1 ? y ^ i : (y + (x >>> 7)) | 0;
  }
  return y;
}

function fibonacci(n: number): number {
  return range(n).reduce(([a, b]) => [b, a + b], [0, 1])[0];
}

function chain(): number {
  const link = (n: number, x: number): number => (n === 15 ? Math.imul(x, 77) ^ 0x5a5a5a5a : link(n + 1, (Math.imul(x, 5) + n) >>> 0) ^ (x >>> 3));
  let x = 1;
  for (let n = 0; n < 2000; n++) {
    const y = link(0, x);
    x = ((x + 4 * y) ^ y) >>> 0;
  }
  return x;
}

function pages(functions: number, sweeps: number): number {
  let x = 0;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (let n = 0; n < functions; n++) {
      for (let i = 0; i < 16; i++) x = (Math.imul(x, 5) + n + (x >>> 7)) | 0;
    }
  }
  return x;
}

function product(): number {
  const numbers = random(2 * 4096);
  let sum = 0;
  for (let row = 0; row < 64; row++) {
    for (let column = 0; column < 64; column++) sum = rol(sum, 1) + range(64).reduce((dot, k) => (dot + Math.imul(numbers[64 * row + k], numbers[4096 + 64 * k + column])) | 0, 0);
  }
  return sum;
}

function largeCopy(): number {
  const bytes = new DataView(random(0x100000 / 4).buffer);
  let sum = 0;
  for (let at = 0; at < 0x100000 - 1020; at += 1020) sum = rol(sum, 1) + bytes.getUint32(at, true);
  return sum;
}

function smallCopies(): number {
  const bytes = new Uint8Array(random(64 * 32).buffer);
  return range(64).reduce((sum, n) => rol(sum, 5) + bytes[128 * n + n + 32], 0);
}

function scalarDoubles(): number {
  let sum = 0;
  for (const number of new Int32Array(random(4096).buffer)) {
    const d = (number * 1.862645149230957e-9) ** 2 + 0.5;
    sum += (d - 1) / d;
    if (sum > 100) sum -= 100;
  }
  return Math.trunc(1048576 * sum);
}

function packed(): number {
  const { fround } = Math;
  const numbers = new Int32Array(random(4096).buffer), factor = [0.75, 0.5, 1.25, 0.3].map(fround), step = [1, 0x10001, 7, 0x7fffffff];
  const x = Float32Array.from(numbers, (number) => fround(fround(number) * fround(1.862645149230957e-9)));
  const lanes = [0, 0, 0, 0], sums = [0, 0, 0, 0];
  for (let at = 0; at < 4096; at += 4) {
    const z = new Int32Array(Float32Array.from(factor, (a, lane) => Math.max(fround(a * x[at + lane]) + x[at + (lane ^ 2)], -1)).buffer);
    for (let lane = 0; lane < 4; lane++) lanes[lane] = (rol((lanes[lane] + (numbers[at + lane] ^ z[lane])) | 0, 5) + step[lane]) | 0;
    for (let lane = 0; lane < 4; lane++) sums[lane] = (sums[lane] + lanes[(lane + 1) & 3]) | 0;
  }
  return sums.reduce((sum, one) => sum + one);
}

function mandelbrot(): number {
  let steps = 0;
  for (let row = 0; row < 24; row++) {
    for (let column = 0; column < 32; column++) {
      const real = column * 0.09375 - 2, imaginary = row * 0.0833 - 1;
      let x = 0, y = 0;
      for (let n = 0; n < 32 && x * x + y * y <= 4; n++) {
        [x, y] = [x * x - y * y + real, 2 * x * y + imaginary];
        steps += 1;
      }
    }
  }
  return steps;
}

/** The results, computed without a machine. */
const models: Readonly<Record<string, () => number>> = {
  alu: () => mix(32), alu64: () => mix(64), interpreter: interpret, chain16: chain, matmul: product, x87: mandelbrot,
  fib: () => fibonacci(22), fib64: () => fibonacci(22), pages256: () => pages(256, 48), pages2048: () => pages(2048, 6),
  sieve: () => {
    const composite = new Uint8Array(262144);
    return range(262144).filter((n) => {
      if (n < 2 || composite[n]) return false;
      for (let m = 2 * n; m < composite.length; m += n) composite[m] = 1;
      return true;
    }).length;
  },
  crc32: () => crc32(new Uint8Array(random(65536 / 4).buffer)),
  sha256: () => new Uint32Array(new Uint8Array(createHash('sha256').update(new Uint8Array(random(16384 / 4).buffer)).digest()).buffer).reduce((a, b) => a ^ b),
  qsort: () => random(16384).sort().reduce((sum, number) => Math.imul(sum, 31) + number, 0),
  'memcpy-large': largeCopy, memcpy64: largeCopy, 'memcpy-small': smallCopies, 'sse2-scalar': scalarDoubles, 'sse2-packed': packed,
  syscall: () => 10000 * 10001 / 2,
  'page-faults': () => range(512).reduce((sum, n) => sum + 0x40000000 + 0x1000 * n, 512),
  cr3: () => range(100).reduce((sum, n) => sum + 32 * (3 + 1) * (n + 1), 0),
  invlpg: () => range(10000).reduce((sum, n) => (3 * sum + ((10000 - n) % 2 === 1 ? 11 : 5)) | 0, 0),
  smc: () => range(1000).reduce((sum, n) => (5 * sum + 1000 - n + 7) | 0, 0),
  'beside-code': () => random(20000)[19999] >>> 8,
  ports: () => 5000 * 0xef,
};

describe('the benchmark\'s kernels', () => {
  for (const kernel of kernels) {
    it(`computes ${kernel.name} as its model does`, () => {
      const model = models[kernel.name]();
      // SHA-256's words are big-endian in its digest.
      const expected = kernel.name === 'sha256' ? Buffer.from(Uint32Array.of(model).buffer).readUInt32BE() : model >>> 0;
      assert.equal(kernel.expected.toString(16), expected.toString(16));
      const guest = ringsideGuest(kernelImage({ ...kernel, rounds: 1 }));
      assert.ok(guest.batch().instructions! > 100);
      const [second, third] = [guest.batch(), guest.batch()];
      guest.end();
      assert.equal(second.instructions, third.instructions);
    });
  }

  it('reports a wrong result', () => {
    const guest = ringsideGuest(kernelImage({ ...kernels.find(({ name }) => name === 'fib')!, rounds: 1, expected: 5 }));
    assert.throws(() => guest.batch(), /wrong result 0000452f/);
    guest.end();
  });
});
