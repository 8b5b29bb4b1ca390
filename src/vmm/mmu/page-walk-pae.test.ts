import assert from 'node:assert/strict';
import { A, createGuest as create, D, faultOf, P, PS, RW, US, type Guest } from './test-support';

const POINTERS = 0x10020, DIRECTORY = 0x11000, TABLE = 0x12000, PAGE = 0x20000, OTHER = 0x21000;
/** PDPTE 1, directory entry 3, table entry 5. */
const LINEAR = 0x40605123;
const PDE = DIRECTORY + 3 * 8, PTE = TABLE + 5 * 8;
const XD = 1n << 63n;
const ALL = BigInt(P | RW | US);

const createGuest = (): Guest => create({ physicalAddressBits: 36 });
function setEntry(guest: Guest, gpa: number, value: bigint): void {
  guest.setWord(gpa, Number(value & 0xffffffffn));
  guest.setWord(gpa + 4, Number(value >> 32n));
}
const entry = (guest: Guest, gpa: number): bigint => (BigInt(guest.word(gpa + 4)) << 32n) | BigInt(guest.word(gpa));

/** A guest whose LINEAR is mapped to PAGE by the given entries; one that exists may be used again. */
function mapped(pde = BigInt(TABLE) | ALL, pte = BigInt(PAGE) | ALL, guest = createGuest()): Guest {
  setEntry(guest, POINTERS + 8, BigInt(DIRECTORY | P));
  setEntry(guest, PDE, pde);
  setEntry(guest, PTE, pte);
  return guest;
}
type Kind = 'read' | 'write' | 'fetch';
const kinds: readonly Kind[] = ['read', 'write', 'fetch'];
const attempt = (guest: Guest, kind: Kind): number | undefined => faultOf(() => {
  if (kind === 'fetch') guest.mmu.fetchPage(LINEAR);
  else if (kind === 'read') guest.load(LINEAR, 1);
  else guest.store(LINEAR, 0x55, 1);
})?.errorCode;
const codeOf = (kind: Kind, cpl: number, nx: boolean): number => (kind === 'write' ? 2 : 0) | (cpl === 3 ? 4 : 0) | (kind === 'fetch' && nx ? 16 : 0);

describe('PAE page walk', () => {
  it('grants and denies by U/S, R/W and XD of both levels, with exact error codes, and sets A and D', () => {
    const guest = createGuest();
    for (let bits = 0; bits < 64; bits++) {
      const rights = [bits & 7, bits >> 3].map((b) => BigInt(P | (b & 1 ? RW : 0) | (b & 2 ? US : 0)) | (b & 4 ? XD : 0n));
      const both = (bits & (bits >> 3)) & 3, either = (bits | (bits >> 3)) & 4;
      for (const large of [false, true]) {
        const pde = large ? BigInt(PS) | rights[0] : BigInt(TABLE) | rights[0];
        const pte = BigInt(PAGE) | rights[1];
        const writable = ((large ? bits : both) & 1) !== 0, user = ((large ? bits : both) & 2) !== 0, never = ((large ? bits : either) & 4) !== 0;
        for (const cpl of [0, 3]) for (const wp of [false, true]) for (const kind of kinds) {
          const allowed = (cpl === 0 || user) && (kind !== 'write' || writable || (cpl === 0 && !wp)) && (kind !== 'fetch' || !never);
          mapped(pde, pte, guest).pae(POINTERS, { wp, cpl, nx: true });
          guest.mmu.flush();
          const what = JSON.stringify({ bits, large, cpl, wp, kind });
          assert.equal(attempt(guest, kind), allowed ? undefined : codeOf(kind, cpl, true) | 1, what);
          const marks = kind === 'write' ? BigInt(A | D) : BigInt(A);
          assert.equal(entry(guest, PDE), allowed ? pde | (large ? marks : BigInt(A)) : pde, what);
          assert.equal(entry(guest, PTE), allowed && !large ? pte | marks : pte, what);
          assert.equal(entry(guest, POINTERS + 8), BigInt(DIRECTORY | P), 'a PDPTE has no A bit');
        }
      }
    }
  });

  it('reports what is not present, at each level, with P = 0', () => {
    for (const nx of [false, true]) for (const cpl of [0, 3]) for (const kind of kinds) {
      for (const missing of ['PDPTE', 'PDE', 'PTE']) {
        // With P clear no other bit has a meaning, reserved or not.
        const absent = (1n << 64n) - 2n;
        const guest = mapped(missing === 'PDE' ? absent : undefined, missing === 'PTE' ? absent : undefined);
        if (missing === 'PDPTE') setEntry(guest, POINTERS + 8, absent);
        guest.pae(POINTERS, { cpl, nx });
        assert.equal(attempt(guest, kind), codeOf(kind, cpl, nx), `${missing} ${kind} ${cpl}`);
      }
    }
  });

  it('faults with RSVD exactly on reserved bits, before permissions are looked at', () => {
    const guest = createGuest();
    for (let bit = 7; bit < 64; bit++) {
      for (const nx of [false, true]) for (const where of ['PDE', 'large PDE', 'PTE']) {
        // Those of a PDE that names a table are PS and an address.
        if ((bit === 7 && where !== 'PTE') || (bit >= 12 && bit < 36 && where === 'PDE')) continue;
        const set = 1n << BigInt(bit);
        const base = where === 'large PDE' ? BigInt(PS | P) : BigInt((where === 'PDE' ? TABLE : PAGE) | P);
        (where === 'PTE' ? mapped(undefined, base | set, guest) : mapped(base | set, undefined, guest)).pae(POINTERS, { cpl: 3, nx });
        guest.mmu.flush();
        const reserved = (bit >= 36 && bit < 63) || (bit === 63 && !nx) || (where === 'large PDE' && bit >= 13 && bit <= 20);
        const outcome = attempt(guest, 'write');
        if (reserved) assert.equal(outcome, 15, `bit ${bit} of a ${where}`);
        else assert.notEqual((outcome ?? 0) & 8, 8, `bit ${bit} of a ${where}`);
      }
    }
  });

  it('reports a reserved bit of a PDE, not what lies below it', () => {
    const guest = mapped(BigInt(TABLE) | ALL | (1n << 40n), 0n);
    guest.pae(POINTERS, { nx: true });
    assert.equal(attempt(guest, 'fetch'), 0x19);
  });

  it('maps 2 MiB pages whatever CR4.PSE', () => {
    for (const pse of [false, true]) {
      const guest = mapped(0x200000n | ALL | BigInt(PS));
      guest.setWord(0x205120, 0xdeadbeef);
      guest.pae(POINTERS, { pse });
      assert.equal(guest.load(0x40605120), 0xdeadbeef);
      guest.store(0x407ffffc, 1);
      assert.equal(guest.word(0x3ffffc), 1);
      assert.equal(entry(guest, PDE), 0x200000n | ALL | BigInt(PS | A | D));
    }
  });

  it('reaches nothing above 4 GiB', () => {
    for (const [pde, pte] of [[BigInt(TABLE) | ALL, 0xf00020007n], [0x1_0000_0000n | ALL | BigInt(PS), 0n]]) {
      const guest = mapped(pde, pte);
      guest.setWord(PAGE + 0x120, 1);
      guest.pae(POINTERS);
      guest.store(0x40605120, 2);
      assert.equal(guest.load(0x40605120), 0xffffffff);
      assert.equal(guest.word(PAGE + 0x120), 1);
      assert.deepEqual(guest.mmu.fetchPage(0x40605120).hostPage, -1);
    }
    // A table up there reads as all ones, which has reserved bits.
    const guest = mapped(0x1_0000_0000n | ALL);
    guest.pae(POINTERS);
    assert.equal(attempt(guest, 'read'), 9);
  });

  it('shows a debugger every level, rights and problems without touching the tables', () => {
    const pte = BigInt(PAGE | P | US) | XD;
    const guest = mapped(undefined, pte);
    guest.pae(POINTERS, { nx: true });
    assert.deepEqual(guest.mmu.translateForDebugger(LINEAR), {
      gpa: PAGE + 0x123,
      levels: [
        { name: 'PDPTE', address: POINTERS + 8, entry: BigInt(DIRECTORY | P) }, { name: 'PDE', address: PDE, entry: BigInt(TABLE) | ALL },
        { name: 'PTE', address: PTE, entry: pte },
      ],
      writable: false, user: true, executable: false, accessed: false, dirty: false, large: false,
    });
    assert.equal(entry(guest, PTE), pte);
    const none = guest.mmu.translateForDebugger(0x80000000);
    assert.deepEqual([none.gpa, none.levels.length, none.problem], [undefined, 1, 'not present']);
    guest.pae(POINTERS);
    assert.equal(guest.mmu.translateForDebugger(LINEAR).problem, 'reserved bits', 'XD without EFER.NXE');
    const big = mapped(0xf00200000n | ALL | BigInt(PS | D));
    big.pae(POINTERS);
    const { gpa, large, dirty } = big.mmu.translateForDebugger(LINEAR);
    assert.deepEqual([gpa, large, dirty], [0xf00205123, true, true]);
  });
});

describe('PAE shadow', () => {
  /** The tables of `mapped`, with the tables themselves mapped at linear 0 by a 2 MiB page, so that the guest can edit them. */
  function editable(): Guest {
    const guest = mapped();
    setEntry(guest, POINTERS, 0x13001n);
    setEntry(guest, 0x13000, ALL | BigInt(PS));
    setEntry(guest, PTE + 8, BigInt(OTHER) | ALL);
    guest.setWord(PAGE + 0x120, 1);
    guest.setWord(OTHER + 0x120, 2);
    guest.pae(POINTERS, { nx: true });
    return guest;
  }
  const HERE = 0x40605120, NEXT = 0x40606120;

  it('sees edits of either half of a PTE at once, and drops only what was derived from it', () => {
    const guest = editable();
    assert.deepEqual([guest.load(HERE), guest.load(NEXT)], [1, 2]);
    guest.store(PTE, OTHER | P | RW);
    assert.deepEqual([guest.readHits(HERE), guest.readHits(NEXT)], [false, true]);
    assert.equal(guest.load(HERE), 2);
    guest.store(PTE + 4, 1);
    assert.equal(guest.readHits(HERE), false);
    assert.equal(guest.load(HERE), 0xffffffff);
    guest.store(PTE + 7, 0x40, 1);
    assert.equal(faultOf(() => guest.load(HERE))?.errorCode, 9);
    guest.mmu.writeSlow(PTE, 8, PAGE | P, 0);
    assert.equal(guest.load(HERE), 1);
    // The top of one entry and the bottom of the next.
    guest.store(PTE + 7, 0, 2);
    assert.deepEqual([guest.readHits(HERE), guest.readHits(NEXT)], [false, false]);
    assert.equal(faultOf(() => guest.load(NEXT))?.errorCode, 0);
  });

  it('drops the 2 MiB of an edited directory entry, and the trace of its table', () => {
    const guest = editable();
    setEntry(guest, PDE + 8, 0n | ALL | BigInt(PS));
    guest.load(HERE);
    guest.load(0x40820000);
    assert.notEqual(guest.mmu.physical.intercepts[TABLE >>> 12], 0);
    guest.store(PDE + 4, 1);
    assert.deepEqual([guest.readHits(HERE), guest.readHits(0x40820000)], [false, true]);
    assert.equal(guest.mmu.physical.intercepts[TABLE >>> 12], 0, 'nobody uses the table any more');
    guest.store(PDE, 0);
    assert.equal(faultOf(() => guest.load(HERE))?.errorCode, 0);
  });

  it('sees an edit through every PDPTE that names the directory', () => {
    const guest = editable();
    for (const n of [1, 2, 3]) setEntry(guest, POINTERS + n * 8, BigInt(DIRECTORY | P));
    guest.pae(POINTERS);
    const addresses = [0x40605120, 0x80605120, 0xc0605120];
    for (const address of addresses) assert.equal(guest.load(address), 1);
    guest.store(PTE, OTHER | P);
    for (const address of addresses) assert.equal(guest.load(address), 2);
    guest.store(PDE, 0);
    for (const address of addresses) assert.notEqual(faultOf(() => guest.load(address)), undefined);
  });

  it('takes PDPTEs from their registers: the table in memory counts when they are loaded again', () => {
    const guest = editable();
    guest.load(HERE);
    guest.load(0x20000);
    guest.store(POINTERS + 8, 0);
    assert.deepEqual([guest.readHits(HERE), guest.load(NEXT)], [true, 2]);
    guest.pae(POINTERS, { nx: true });
    assert.equal(faultOf(() => guest.load(HERE))?.errorCode, 0);
    assert.equal(guest.readHits(0x20000), true, 'other quarters keep their entries');
    assert.equal(guest.mmu.physical.intercepts[DIRECTORY >>> 12], 0);
    assert.equal(guest.mmu.spaces().filter(({ paging }) => paging).length, 1);
  });

  it('compares the registers of a space that was out of force', () => {
    const guest = editable();
    guest.load(HERE);
    guest.pae(POINTERS, { nx: true, cpl: 3 });
    guest.load(HERE);
    setEntry(guest, POINTERS + 8, 0n);
    guest.pae(POINTERS, { nx: true, cpl: 3 });
    assert.notEqual(faultOf(() => guest.load(HERE)), undefined);
    guest.pae(POINTERS, { nx: true });
    assert.notEqual(faultOf(() => guest.load(HERE)), undefined);
  });

  it('tells address spaces of one 4 KiB page apart, and keeps them across loads of CR3', () => {
    const guest = editable();
    setEntry(guest, 0x10040 + 8, 0x14001n);
    setEntry(guest, 0x14000 + 3 * 8, BigInt(PS) | ALL);
    guest.setWord(0x5120, 9);
    guest.load(HERE);
    guest.pae(0x10040, { nx: true });
    assert.equal(guest.load(HERE), 9);
    guest.pae(POINTERS, { nx: true });
    assert.equal(guest.readHits(HERE), true);
    assert.equal(guest.load(HERE), 1);
  });

  it('keeps 32-bit and PAE paging apart, over the same tables', () => {
    const guest = editable();
    guest.load(HERE);
    guest.setWord(DIRECTORY + 0x101 * 4, 0x14000 | P | RW);
    guest.setWord(0x14000 + 0x205 * 4, OTHER | P | RW);
    guest.paging(DIRECTORY);
    assert.equal(guest.load(HERE), 2);
    guest.pae(POINTERS, { nx: true });
    assert.equal(guest.load(HERE), 1);
  });

  it('offers a frame with code for reading only where it may be executed', () => {
    const guest = editable();
    const forbidden = NEXT;
    setEntry(guest, PTE + 8, BigInt(PAGE) | ALL | XD);
    guest.load(HERE);
    guest.load(forbidden);
    assert.deepEqual([guest.readHits(HERE), guest.readHits(forbidden)], [true, true]);
    guest.mmu.traceCode(PAGE, PAGE + 9);
    assert.deepEqual([guest.readHits(HERE), guest.readHits(forbidden)], [true, false]);
    assert.equal(guest.load(forbidden), 1);
    assert.equal(guest.readHits(forbidden), false);
    guest.mmu.untraceCodePage(PAGE >>> 12);
    guest.load(forbidden);
    assert.equal(guest.readHits(forbidden), true);
  });

  it('keeps a table that every directory entry shares right', () => {
    const guest = editable();
    for (let i = 0; i < 512; i++) setEntry(guest, DIRECTORY + i * 8, BigInt(TABLE) | ALL);
    const address = (i: number): number => (0x40000000 + i * 0x200000 + 0x5120) >>> 0;
    for (let i = 0; i < 512; i++) assert.equal(guest.load(address(i)), 1);
    guest.store(PTE, OTHER | P);
    for (let i = 0; i < 512; i++) assert.equal(guest.load(address(i)), 2, `directory entry ${i}`);
  });
});
