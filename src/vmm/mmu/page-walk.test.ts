import assert from 'node:assert/strict';
import { A, createGuest, D, faultOf, P, PS, RW, US } from './test-support';

const DIRECTORY = 0x10000, TABLE = 0x11000, PAGE = 0x20000;
const LINEAR = 0x00403123; // directory entry 1, table entry 3
const PDE = DIRECTORY + 4, PTE = TABLE + 12;

/** SDM Vol. 3, 4.6.1: who may do what, by the combined U/S and R/W of the entries. */
const rights: readonly { cpl: 0 | 3; write: boolean; user: boolean; writable: boolean; wp: boolean; allowed: boolean }[] = [
  // Supervisor-mode reads: any address (no SMAP).
  { cpl: 0, write: false, user: false, writable: false, wp: false, allowed: true },
  { cpl: 0, write: false, user: false, writable: false, wp: true, allowed: true },
  { cpl: 0, write: false, user: false, writable: true, wp: false, allowed: true },
  { cpl: 0, write: false, user: false, writable: true, wp: true, allowed: true },
  { cpl: 0, write: false, user: true, writable: false, wp: false, allowed: true },
  { cpl: 0, write: false, user: true, writable: false, wp: true, allowed: true },
  { cpl: 0, write: false, user: true, writable: true, wp: false, allowed: true },
  { cpl: 0, write: false, user: true, writable: true, wp: true, allowed: true },
  // Supervisor-mode writes: read-only pages only with CR0.WP = 0.
  { cpl: 0, write: true, user: false, writable: false, wp: false, allowed: true },
  { cpl: 0, write: true, user: false, writable: false, wp: true, allowed: false },
  { cpl: 0, write: true, user: false, writable: true, wp: false, allowed: true },
  { cpl: 0, write: true, user: false, writable: true, wp: true, allowed: true },
  { cpl: 0, write: true, user: true, writable: false, wp: false, allowed: true },
  { cpl: 0, write: true, user: true, writable: false, wp: true, allowed: false },
  { cpl: 0, write: true, user: true, writable: true, wp: false, allowed: true },
  { cpl: 0, write: true, user: true, writable: true, wp: true, allowed: true },
  // User-mode reads: user-mode addresses only.
  { cpl: 3, write: false, user: false, writable: false, wp: false, allowed: false },
  { cpl: 3, write: false, user: false, writable: false, wp: true, allowed: false },
  { cpl: 3, write: false, user: false, writable: true, wp: false, allowed: false },
  { cpl: 3, write: false, user: false, writable: true, wp: true, allowed: false },
  { cpl: 3, write: false, user: true, writable: false, wp: false, allowed: true },
  { cpl: 3, write: false, user: true, writable: false, wp: true, allowed: true },
  { cpl: 3, write: false, user: true, writable: true, wp: false, allowed: true },
  { cpl: 3, write: false, user: true, writable: true, wp: true, allowed: true },
  // User-mode writes: user-mode addresses that every entry makes writable, whatever CR0.WP.
  { cpl: 3, write: true, user: false, writable: false, wp: false, allowed: false },
  { cpl: 3, write: true, user: false, writable: false, wp: true, allowed: false },
  { cpl: 3, write: true, user: false, writable: true, wp: false, allowed: false },
  { cpl: 3, write: true, user: false, writable: true, wp: true, allowed: false },
  { cpl: 3, write: true, user: true, writable: false, wp: false, allowed: false },
  { cpl: 3, write: true, user: true, writable: false, wp: true, allowed: false },
  { cpl: 3, write: true, user: true, writable: true, wp: false, allowed: true },
  { cpl: 3, write: true, user: true, writable: true, wp: true, allowed: true },
];

describe('page walk', () => {
  it('grants and denies as SDM 4.6 says, for 4 KiB pages, every combination of both levels', () => {
    for (const row of rights) {
      for (const levels of [0, 1, 2, 3].flatMap((u) => [0, 1, 2, 3].map((w) => ({ u, w })))) {
        if ((levels.u === 3) !== row.user || (levels.w === 3) !== row.writable) {
          continue;
        }
        const guest = createGuest();
        const pde = TABLE | P | (levels.u & 1 ? US : 0) | (levels.w & 1 ? RW : 0);
        const pte = PAGE | P | (levels.u & 2 ? US : 0) | (levels.w & 2 ? RW : 0);
        guest.setWord(PDE, pde);
        guest.setWord(PTE, pte);
        guest.paging(DIRECTORY, { wp: row.wp, cpl: row.cpl });
        const what = JSON.stringify({ ...row, ...levels });
        const fault = faultOf(() => row.write ? guest.store(LINEAR, 0x1234, 2) : guest.load(LINEAR, 2));
        if (row.allowed) {
          assert.equal(fault, undefined, what);
          assert.equal(guest.word(PDE), pde | A, what);
          assert.equal(guest.word(PTE), pte | A | (row.write ? D : 0), what);
        } else {
          assert.deepEqual({ ...fault }, { linear: LINEAR, errorCode: 1 | (row.write ? 2 : 0) | (row.cpl === 3 ? 4 : 0) }, what);
          assert.equal(guest.word(PDE), pde, `${what}: A of the PDE`);
          assert.equal(guest.word(PTE), pte, `${what}: A and D of the PTE`);
        }
        assert.equal(guest.counter('truePageFaults'), row.allowed ? 0 : 1, what);
        assert.equal(guest.counter('hiddenPageFaults'), row.allowed ? 1 : 0, what);
      }
    }
  });

  it('grants and denies as SDM 4.6 says, for 4 MiB pages', () => {
    for (const row of rights) {
      const guest = createGuest();
      const pde = P | PS | (row.user ? US : 0) | (row.writable ? RW : 0);
      guest.setWord(PDE, pde);
      guest.paging(DIRECTORY, { wp: row.wp, cpl: row.cpl, pse: true });
      const fault = faultOf(() => row.write ? guest.store(LINEAR, 1, 1) : guest.load(LINEAR, 1));
      const what = JSON.stringify(row);
      assert.equal(fault === undefined, row.allowed, what);
      assert.equal(guest.word(PDE), row.allowed ? pde | A | (row.write ? D : 0) : pde, what);
    }
  });

  it('reports a missing entry at either level with P = 0', () => {
    for (const [pde, pte] of [[0, PAGE | P | RW | US], [TABLE | P | RW | US, 0], [TABLE | RW | US, PAGE | P | RW | US]]) {
      for (const cpl of [0, 3]) {
        for (const write of [false, true]) {
          const guest = createGuest();
          guest.setWord(PDE, pde);
          guest.setWord(PTE, pte);
          guest.paging(DIRECTORY, { cpl });
          const fault = faultOf(() => write ? guest.store(LINEAR, 0) : guest.load(LINEAR));
          assert.deepEqual({ ...fault }, { linear: LINEAR, errorCode: (write ? 2 : 0) | (cpl === 3 ? 4 : 0) });
          assert.equal(guest.word(PDE), pde, 'a faulting access sets no A bit');
        }
      }
    }
  });

  it('sets A on a read and D only on a write, and leaves set bits alone', () => {
    const guest = createGuest();
    guest.setWord(PDE, TABLE | P | RW);
    guest.setWord(PTE, PAGE | P | RW);
    guest.paging(DIRECTORY);
    guest.load(LINEAR);
    assert.equal(guest.word(PTE), PAGE | P | RW | A);
    assert.equal(guest.writeHits(LINEAR), false, 'a clean page is not writable in the lookup table');
    guest.store(LINEAR, 7);
    assert.equal(guest.word(PTE), PAGE | P | RW | A | D);
    assert.equal(guest.word(PDE), TABLE | P | RW | A, 'a PDE that names a table has no D bit');
    assert.equal(guest.writeHits(LINEAR), true);
    assert.equal(guest.counter('hiddenPageFaults'), 2);
  });

  it('fills the write table on a read when the page is already dirty', () => {
    const guest = createGuest();
    guest.setWord(PDE, TABLE | P | RW);
    guest.setWord(PTE, PAGE | P | RW | A | D);
    guest.paging(DIRECTORY);
    guest.load(LINEAR);
    assert.equal(guest.writeHits(LINEAR), true);
  });

  it('ignores PS while CR4.PSE = 0, and then uses the entry as a table', () => {
    const guest = createGuest();
    guest.setWord(PDE, TABLE | P | RW | PS);
    guest.setWord(PTE, PAGE | P | RW);
    guest.setWord(PAGE + 0x120, 0xdeadbeef);
    guest.paging(DIRECTORY);
    assert.equal(guest.load(0x403120), 0xdeadbeef);
    guest.paging(DIRECTORY, { pse: true });
    assert.deepEqual({ ...faultOf(() => guest.load(0x403120)) }, { linear: 0x403120, errorCode: 9 }, 'bit 16 of a 4 MiB PDE is reserved');
  });

  it('faults with RSVD on bits 21:13 of a 4 MiB PDE without PSE-36, before permissions are looked at', () => {
    for (let bit = 12; bit <= 21; bit++) {
      const guest = createGuest();
      guest.setWord(PDE, P | PS | (1 << bit));
      guest.paging(DIRECTORY, { pse: true, cpl: 3 });
      const fault = faultOf(() => guest.store(LINEAR, 0));
      // Bit 12 is PAT: an ordinary protection fault.
      assert.equal(fault?.errorCode, bit === 12 ? 7 : 15, `bit ${bit}`);
    }
  });

  it('takes PDE bits 16:13 as address bits 35:32 with 36 physical address bits', () => {
    const guest = createGuest({ physicalAddressBits: 36 });
    guest.setWord(DIRECTORY + 4, P | PS | RW);
    guest.setWord(DIRECTORY + 8, P | PS | RW | (1 << 13));
    guest.setWord(DIRECTORY + 12, P | PS | RW | (1 << 17));
    guest.setWord(0x3120, 0x11223344);
    guest.paging(DIRECTORY, { pse: true });
    assert.equal(guest.load(0x403120), 0x11223344);
    assert.equal(guest.load(0x803120), 0xffffffff, 'nothing is above 4 GiB');
    assert.equal(faultOf(() => guest.load(0xc03120))?.errorCode, 9);
    assert.equal(guest.mmu.translateForDebugger(0x803120).gpa, 0x100003120);
  });

  it('rejects a physical address width that no processor of the kind has', () => {
    assert.throws(() => createGuest({ physicalAddressBits: 52 }), /physicalAddressBits 52/);
  });

  it('treats linear addresses as physical with paging off, whatever the privilege', () => {
    const guest = createGuest();
    guest.setWord(0x5000, 99);
    guest.mmu.activate({ cr0: 1, cr3: 0x1234000, cr4: 0, efer: 0, cpl: 3 });
    assert.equal(guest.load(0x5000), 99);
    guest.store(0x5000, 100);
    assert.equal(guest.word(0x5000), 100);
    assert.equal(guest.load(0xfffffff0), 0xffffffff);
  });

  it('shows a debugger every level without touching the tables', () => {
    const guest = createGuest();
    guest.setWord(PDE, TABLE | P | RW | US);
    guest.setWord(PTE, PAGE | P | US);
    guest.paging(DIRECTORY);
    assert.deepEqual(guest.mmu.translateForDebugger(LINEAR), {
      gpa: PAGE + 0x123,
      levels: [{ name: 'PDE', address: PDE, entry: BigInt(TABLE | P | RW | US) }, { name: 'PTE', address: PTE, entry: BigInt(PAGE | P | US) }],
      writable: false, user: true, executable: true, accessed: false, dirty: false, large: false,
    });
    assert.deepEqual(guest.mmu.translateForDebugger(0x800000).levels.length, 1);
    assert.equal(guest.mmu.translateForDebugger(0x800000).problem, 'not present');
    assert.equal(guest.word(PDE), TABLE | P | RW | US);
    assert.equal(guest.readHits(LINEAR), false);
  });
});
