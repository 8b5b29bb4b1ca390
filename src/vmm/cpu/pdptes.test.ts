import assert from 'node:assert/strict';
import { callouts } from './callouts';
import { image, outcome, TestCpu } from './test-cpu';

const TABLE = 0x5020;
const PG = 0x80000000, CD = 0x40000000, NW = 0x20000000, PE = 1, WP = 0x10000, TS = 8;
const PAE = 0x20, PGE = 0x80, PSE = 0x10, DE = 8;

function setTable(t: TestCpu, entries: readonly bigint[], at = TABLE): void {
  entries.forEach((entry, n) => {
    t.memory.write(at + 8 * n, 4, Number(entry & 0xffffffffn), false);
    t.memory.write(at + 8 * n + 4, 4, Number(entry >> 32n), false);
  });
}
const registers = (t: TestCpu): bigint[] => Array.from({ length: 4 }, (_, n) => (BigInt(t.cpu.state.pdptes[2 * n + 1]) << 32n) | BigInt(t.cpu.state.pdptes[2 * n]));
const mov = (t: TestCpu, n: number, value: number): string => outcome(() => callouts.movToCr(t.cpu, t.site(), n, value | 0));

/** In PAE paging, registers loaded from TABLE. */
function inPae(entries: readonly bigint[] = [0x6001n, 0n, 0x7019n, 0xf00008e01n]): TestCpu {
  const t = new TestCpu();
  setTable(t, entries);
  assert.deepEqual([mov(t, 4, PAE), mov(t, 3, TABLE | 0x18), mov(t, 0, PG | PE)], ['ok', 'ok', 'ok']);
  t.events.length = 0;
  return t;
}
const OTHER = [0x9001n, 0xa001n, 0xb001n, 0xc001n];

describe('PDPTE registers', () => {
  it('are loaded when paging is turned on with PAE, from the 32-byte aligned table that CR3 names', () => {
    assert.deepEqual(registers(inPae()), [0x6001n, 0n, 0x7019n, 0xf00008e01n]);
  });
  it('are not loaded before PAE paging is on', () => {
    const t = new TestCpu();
    setTable(t, OTHER);
    mov(t, 3, TABLE);
    mov(t, 0, PE);
    mov(t, 4, PAE);
    mov(t, 3, TABLE);
    assert.deepEqual(registers(t), [0n, 0n, 0n, 0n]);
    mov(t, 4, 0);
    mov(t, 0, PE | PG);
    mov(t, 3, TABLE);
    assert.deepEqual(registers(t), [0n, 0n, 0n, 0n]);
    mov(t, 4, PAE);
    assert.deepEqual(registers(t), OTHER, 'PAE set while paging is on');
  });
  // SDM Vol. 3, 4.4.1.
  const moves: readonly (readonly [string, number, number, boolean])[] = [
    ['CR3, the same value', 3, TABLE | 0x18, true],
    ['CR0.CD', 0, PG | PE | CD, true],
    ['CR0.CD and NW', 0, PG | PE | CD | NW, true],
    ['CR0.WP', 0, PG | PE | WP, false],
    ['CR0.TS', 0, PG | PE | TS, false],
    ['CR4.PGE', 4, PAE | PGE, true],
    ['CR4.PSE', 4, PAE | PSE, true],
    ['CR4.DE', 4, PAE | DE, false],
    ['CR4.PAE cleared', 4, 0, false],
  ];
  for (const [title, n, value, loads] of moves) {
    it(`are ${loads ? 'loaded' : 'kept'} by a change of ${title}`, () => {
      const t = inPae();
      const before = registers(t);
      setTable(t, OTHER);
      assert.equal(mov(t, n, value), 'ok');
      assert.deepEqual(registers(t), loads ? OTHER : before);
      if (loads) assert.deepEqual(t.events, [`paging cr${n} cpl0`]);
    });
  }
  it('refuse reserved bits of present entries with #GP(0), and then nothing has changed', () => {
    for (let bit = 1; bit < 64; bit++) {
      const reserved = bit === 1 || bit === 2 || (bit >= 5 && bit <= 8) || bit >= 36;
      for (let n = 0; n < 4; n++) {
        const entries = OTHER.map((entry, i) => (i === n ? (1n << BigInt(bit)) | 1n : entry));
        const t = inPae();
        const before = registers(t), all = image(t);
        setTable(t, entries, 0x5040);
        assert.equal(mov(t, 3, 0x5040), reserved ? '13:0' : 'ok', `bit ${bit} of PDPTE ${n}`);
        assert.deepEqual(registers(t), reserved ? before : entries);
        if (reserved) {
          assert.equal(image(t), all);
          assert.deepEqual(t.events, []);
        }
        setTable(t, entries.map((entry) => entry & ~1n), 0x5040);
        assert.equal(mov(t, 3, 0x5040), 'ok', 'bits of an absent entry have no meaning');
      }
    }
  });
  it('refuse CR0 and CR4 too', () => {
    const t = new TestCpu();
    setTable(t, [3n, 0n, 0n, 0n]);
    mov(t, 4, PAE);
    mov(t, 3, TABLE);
    const off = image(t);
    assert.equal(mov(t, 0, PG | PE), '13:0');
    assert.equal(image(t), off);
    const on = inPae();
    setTable(on, [3n, 0n, 0n, 0n]);
    assert.equal(mov(on, 0, PG | PE | CD), '13:0');
    assert.equal(mov(on, 4, PAE | PGE), '13:0');
    assert.equal(mov(on, 4, 0), 'ok', 'leaving PAE paging needs none');
    assert.deepEqual([on.cpu.state.cr0 & CD, on.cpu.state.cr4], [0, 0]);
  });
  it('are zero after RESET', () => {
    const t = inPae();
    t.cpu.reset();
    assert.deepEqual(registers(t), [0n, 0n, 0n, 0n]);
  });
});
