import { strict as assert } from 'node:assert';
import { hasTokens, readKallsyms, tokenPattern, type KernelSymbol } from './kallsyms';
import { readSystemMap } from './system-map';

interface Layout {
  readonly wordBytes: 4 | 8;
  /** Offsets behind the token index, as from Linux 6.4 on. */
  readonly behind?: boolean;
  /** Three bytes a symbol between markers and tokens. */
  readonly sequences?: boolean;
  readonly percpu?: boolean;
  readonly longNames?: boolean;
  /** Bytes in front, so that nothing begins at an even place. */
  readonly shift?: number;
}

const BASE = { 4: 0xc1000000n, 8: 0xffffffff81000000n };

/** Tables as scripts/kallsyms.c lays them out, with one compound token, "sys_". */
function tables({ wordBytes, behind = false, sequences = false, percpu = false, longNames = false, shift = 0 }: Layout): { bytes: Uint8Array; tokensAt: number; symbols: KernelSymbol[] } {
  const base = BASE[wordBytes];
  const symbols = Array.from({ length: 1000 }, (_, n) => {
    const name = `sys_function_${n}${longNames && n % 100 === 7 ? '_x'.repeat(80) : ''}`;
    return percpu && n < 5 ? { name, address: BigInt(n * 8) } : { name, address: base + BigInt(n * 16) };
  });
  const out: number[] = Array.from({ length: 64 + shift }, () => 0xee);
  const align = (): void => { while ((out.length - shift) % wordBytes) out.push(0); };
  const word = (value: number, count = 4): void => { for (let n = 0; n < count; n++) out.push(Math.floor(value / 2 ** (8 * n)) & 0xff); };
  const long = (value: bigint): void => { for (let n = 0; n < wordBytes; n++) out.push(Number(value >> BigInt(8 * n) & 0xffn)); };
  const addresses = (): void => {
    align();
    for (const { address } of symbols) {
      const offset = !percpu ? Number(address - base) : address < 0x1000n ? Number(address) : Number(base - 1n - address);
      word(offset >>> 0);
    }
    align();
    long(base);
  };
  if (!behind) addresses();
  align();
  word(symbols.length);
  align();
  const markers: number[] = [], first = out.length;
  symbols.forEach(({ name }, n) => {
    if (n % 256 === 0) markers.push(out.length - first);
    const text = `T${name}`;
    const compressed = [...text].map((c) => c.charCodeAt(0));
    compressed.splice(1, 4, 1); // token 1 is "sys_"
    if (compressed.length > 127) out.push((compressed.length & 0x7f) | 0x80, compressed.length >> 7);
    else out.push(compressed.length);
    out.push(...compressed);
  });
  align();
  for (const marker of markers) word(marker);
  align();
  if (sequences) symbols.forEach((_, n) => out.push(0, n >> 8, n & 0xff));
  align();
  const tokens = Array.from({ length: 256 }, (_, n) => (n === 1 ? 'sys_' : n >= 0x30 && n < 0x80 ? String.fromCharCode(n) : n < 0x30 ? `t${n}` : ''));
  tokens[0x5f] = '_';
  const start = out.length;
  let tokensAt = 0;
  const offsets = tokens.map((text, n) => {
    if (n === 0x30) tokensAt = out.length;
    const at = out.length - start;
    out.push(...[...text].map((c) => c.charCodeAt(0)), 0);
    return at;
  });
  align();
  for (const offset of offsets) word(offset, 2);
  if (behind) addresses();
  out.push(...Array.from({ length: 64 }, () => 0xee));
  return { bytes: Uint8Array.from(out), tokensAt, symbols };
}

describe('kallsyms', () => {
  const layouts: [string, Layout][] = [
    ['of Linux 6.1, 32 bits', { wordBytes: 4 }], ['with sequence numbers, 32 bits', { wordBytes: 4, sequences: true }],
    ['of Linux 6.1, 64 bits with per-processor symbols', { wordBytes: 8, percpu: true }], ['with sequence numbers, 64 bits', { wordBytes: 8, percpu: true, sequences: true }],
    ['of Linux 6.4, 64 bits', { wordBytes: 8, percpu: true, behind: true, longNames: true }], ['of Linux 6.4, 32 bits', { wordBytes: 4, behind: true, longNames: true }],
  ];
  for (const [title, layout] of layouts) {
    it(`reads the tables ${title}`, () => {
      const { bytes, tokensAt, symbols } = tables(layout);
      assert.deepEqual([...bytes.subarray(tokensAt, tokensAt + tokenPattern.length)], [...tokenPattern]);
      const found = readKallsyms({ bytes, tokensAt, wordBytes: layout.wordBytes });
      assert.deepEqual(found, symbols);
    });
  }

  it('gives nothing for digits that stand elsewhere', () => {
    const text = new Uint8Array(0x2000);
    for (let n = 0; n < 0x1000; n++) text[2 * n] = n;
    const tokensAt = 0x60;
    assert.deepEqual(text.slice(tokensAt, tokensAt + 20), tokenPattern);
    assert.equal(hasTokens({ bytes: text, tokensAt, wordBytes: 4 }), false);
    assert.equal(readKallsyms({ bytes: text, tokensAt, wordBytes: 4 }), undefined);
  });

  it('never fails on damaged tables', () => {
    const original = tables({ wordBytes: 8, percpu: true, sequences: true });
    let seed = 7;
    const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
    let nothing = 0;
    for (let n = 0; n < 400; n++) {
      const bytes = original.bytes.slice(0, random(4) ? undefined : random(original.bytes.length));
      for (let changes = random(6); changes >= 0; changes--) bytes[random(bytes.length)] = random(256);
      if (!readKallsyms({ bytes, tokensAt: original.tokensAt, wordBytes: 8 })) nothing++;
    }
    assert.ok(nothing > 100 && nothing < 400, `${nothing}`);
  });
});

describe('System.map', () => {
  it('is read line by line, and nothing else is taken for one', () => {
    const read = (text: string) => readSystemMap(new TextEncoder().encode(text));
    assert.deepEqual(read('c1000000 T _text\nc1000040 t secondary\n'), [{ name: '_text', address: 0xc1000000n }, { name: 'secondary', address: 0xc1000040n }]);
    assert.deepEqual(read('ffffffff81000000 T _text\r\n'), [{ name: '_text', address: 0xffffffff81000000n }]);
    // Debian's packages have this in the place of theirs.
    assert.equal(read('ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n'), undefined);
    assert.equal(read(''), undefined);
  });
});
