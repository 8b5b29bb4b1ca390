import assert from 'node:assert/strict';
import { A, createGuest, D, faultOf, P, PS, RW, US, type Guest } from './test-support';

const PML4 = 0x10000, POINTERS = 0x11000, DIRECTORY = 0x12000, TABLE = 0x13000;
/** XD in the high word, and the words of a kernel address's tables. */
const XD = 0x80000000;
const KERNEL = 0xffff80000000;

/** One page at linear 0 and the same at KERNEL (ffffffff80000000), mapped through four levels with these rights in the last one. */
function tables(guest: Guest, flags = P | RW | US, high = 0): void {
  const all = P | RW | US;
  guest.setWord(PML4, POINTERS | all);
  guest.setWord(PML4 + 511 * 8, POINTERS | all);
  guest.setWord(POINTERS, DIRECTORY | all);
  guest.setWord(POINTERS + 510 * 8, DIRECTORY | all);
  guest.setWord(DIRECTORY, TABLE | all);
  guest.setWord(TABLE, 0x20000 | flags);
  guest.setWord(TABLE + 4, high);
}

describe('4-level paging', () => {
  interface Case {
    readonly title: string;
    readonly flags?: number;
    readonly high?: number;
    readonly how?: Parameters<Guest['long']>[1];
    readonly access: 'read' | 'write' | 'fetch';
    /** Error code, or undefined when the access is permitted. */
    readonly fault?: number;
  }
  const cases: readonly Case[] = [
    { title: 'a program reads its page', how: { cpl: 3 }, access: 'read' },
    { title: 'a program reads the supervisor\'s page', flags: P | RW, how: { cpl: 3 }, access: 'read', fault: 5 },
    { title: 'a program writes a read-only page', flags: P | US, how: { cpl: 3 }, access: 'write', fault: 7 },
    { title: 'the supervisor writes a read-only page with WP', flags: P, access: 'write', fault: 3 },
    { title: 'the supervisor writes a read-only page without WP', flags: P, how: { wp: false }, access: 'write' },
    { title: 'a page that is not present', flags: 0, access: 'read', fault: 0 },
    { title: 'a fetch from a page that is not present', flags: 0, access: 'fetch', fault: 16 },
    { title: 'the same without NXE and SMEP', flags: 0, how: { nx: false }, access: 'fetch', fault: 0 },
    { title: 'a fetch that execute-disable forbids', high: XD, access: 'fetch', fault: 17 },
    { title: 'a read of such a page', high: XD, access: 'read' },
    { title: 'execute-disable without NXE is reserved', high: XD, how: { nx: false }, access: 'read', fault: 9 },
    { title: 'an address bit beyond the width', high: 1, access: 'read', fault: 9 },
    { title: 'ignored bits 62:52', high: 0x7ff00000, access: 'read' },
    { title: 'the supervisor fetches a user page', access: 'fetch' },
    { title: 'the supervisor fetches a user page with SMEP', how: { smep: true }, access: 'fetch', fault: 17 },
    { title: 'the supervisor fetches its own page with SMEP', flags: P, how: { smep: true }, access: 'fetch' },
    { title: 'the supervisor reads a user page with SMAP', how: { smap: true }, access: 'read', fault: 1 },
    { title: 'the supervisor writes a user page with SMAP', how: { smap: true }, access: 'write', fault: 3 },
    { title: 'the same with EFLAGS.AC set', how: { smap: true, alignmentFlag: true }, access: 'write' },
    { title: 'a program reads its page with SMAP', how: { smap: true, cpl: 3 }, access: 'read' },
    { title: 'the supervisor fetches a user page with SMAP alone', how: { smap: true, nx: false }, access: 'fetch' },
  ];
  for (const { title, flags, high, how, access, fault } of cases) {
    it(`${title}: ${fault === undefined ? 'permitted' : `#PF(${fault})`}`, () => {
      const guest = createGuest();
      tables(guest, flags, high);
      guest.long(PML4, how);
      for (const linear of [0x10, KERNEL + 0x10]) {
        const found = faultOf(() => (access === 'fetch' ? guest.mmu.fetchPage(linear) : access === 'write' ? guest.store(linear, 1) : guest.load(linear)));
        assert.equal(found?.errorCode, fault);
        if (found) assert.equal(found.linear, linear);
      }
      const bits = fault !== undefined ? 0 : access === 'write' ? A | D : A;
      assert.equal(guest.word(TABLE) & (A | D), bits);
      assert.equal(guest.word(PML4) & A, bits & A);
      assert.equal(guest.word(POINTERS) & A, bits & A);
      assert.equal(guest.word(DIRECTORY) & A, bits & A);
    });
  }

  it('does not let the supervisor read what it has fetched from a user page with SMAP', () => {
    const guest = createGuest();
    tables(guest);
    guest.long(PML4, { smap: true });
    assert.equal(faultOf(() => guest.mmu.fetchPage(0x10)), undefined);
    assert.equal(faultOf(() => guest.load(0x10))?.errorCode, 1);
    assert.equal(faultOf(() => guest.store(0x10, 1))?.errorCode, 3);
  });

  it('refuses what the processor does by itself with SMAP, whoever executes and whatever EFLAGS.AC says', () => {
    for (const cpl of [0, 3]) for (const alignmentFlag of [false, true]) for (const smap of [false, true]) {
      const guest = createGuest();
      tables(guest);
      const how = `level ${cpl}, AC ${alignmentFlag}, SMAP ${smap}`;
      const enter = (ac: boolean, level: number): void => guest.long(PML4, { smap, cpl: level, alignmentFlag: ac });
      const check = (): void => {
        for (const access of [() => guest.mmu.read(0x10, 4, 'system'), () => guest.mmu.write(0x10, 4, 1, 'system'), () => guest.mmu.probeWrite(0x10, 4, 'system')]) assert.equal(faultOf(access) !== undefined, smap, how);
        assert.equal(faultOf(() => guest.mmu.read(0x10, 4, 'system'))?.errorCode, smap ? 1 : undefined, how);
        // An explicit access of the supervisor, which fills the lookup table that the next implicit one must not use.
        if (cpl === 0) assert.equal(faultOf(() => guest.store(0x10, 1)) !== undefined, smap && !alignmentFlag, how);
      };
      enter(alignmentFlag, cpl);
      check();
      check();
      // With the supervisor's other spaces known, too.
      enter(!alignmentFlag, 0);
      faultOf(() => guest.load(0x10));
      enter(alignmentFlag, cpl);
      check();
    }
  });

  it('lets the processor reach the supervisor\'s pages by itself while SMAP is lifted', () => {
    const guest = createGuest();
    tables(guest, P | RW);
    for (const alignmentFlag of [true, false, true]) {
      guest.long(PML4, { smap: true, alignmentFlag });
      guest.mmu.write(0x10, 4, 77, 'system');
      assert.equal(guest.mmu.read(0x10, 4, 'system'), 77);
      assert.equal(guest.load(0x10), 77);
    }
  });

  it('maps pages of 2 MiB and 1 GiB, whose middle bits are reserved', () => {
    const guest = createGuest();
    tables(guest);
    guest.setWord(0x201234, 77);
    guest.setWord(DIRECTORY + 8, 0x200000 | P | RW | PS);
    guest.setWord(POINTERS + 8, P | RW | PS);
    guest.long(PML4);
    assert.equal(guest.load(0x201234), 77);
    assert.equal(guest.load(0x40201234), 77);
    guest.store(DIRECTORY + 0x40000000 + 8, 0x202000 | P | RW | PS);
    assert.equal(faultOf(() => guest.load(0x201234))?.errorCode, 9);
    guest.store(0x40000000 + POINTERS + 16, 0x200000 | P | RW | PS);
    assert.equal(faultOf(() => guest.load(0x80001234))?.errorCode, 9, 'not a multiple of 1 GiB');
  });
  it('has no 1 GiB pages where the model has none', () => {
    const guest = createGuest({ gigabytePages: false });
    tables(guest);
    guest.setWord(POINTERS + 8, P | RW | PS);
    guest.long(PML4);
    assert.equal(faultOf(() => guest.load(0x40000000))?.errorCode, 9);
  });
});

describe('shadow paging of 64-bit code', () => {
  it('keeps a space over loads of CR3 with another context identifier, and sees edits made meanwhile', () => {
    const guest = createGuest();
    tables(guest);
    guest.setWord(PML4 + 8, POINTERS | P | RW);
    guest.setWord(0x20000, 5);
    guest.setWord(0x21000, 6);
    guest.long(PML4 | 1);
    assert.equal(guest.load(KERNEL), 5);
    const faults = guest.counter('hiddenPageFaults');
    guest.long(0x18000);
    guest.long(PML4 | 2);
    assert.equal(guest.load(KERNEL), 5);
    assert.equal(guest.counter('hiddenPageFaults'), faults);
    guest.long(0x18000);
    guest.mmu.physical.write32(TABLE, 0x21000 | P);
    guest.long(PML4 | 1);
    assert.equal(guest.load(KERNEL), 6);
  });
  it('drops everything below an edited entry of any level, at both places that lead to it', () => {
    const guest = createGuest();
    for (const table of [PML4, POINTERS, DIRECTORY, TABLE]) {
      tables(guest);
      guest.long(PML4);
      guest.mmu.flush();
      guest.load(0);
      guest.load(KERNEL);
      guest.mmu.physical.write32(table, 0);
      assert.notEqual(faultOf(() => guest.load(0)), undefined);
      assert.equal(guest.readHits(KERNEL), table === PML4 || table === POINTERS, 'these have another entry for the kernel');
    }
  });
  it('lets unused entries be filled in without dropping anything', () => {
    const guest = createGuest();
    tables(guest);
    guest.setWord(TABLE + 0x13 * 8, TABLE | P | RW);
    guest.long(PML4);
    guest.load(0);
    for (let n = 0x20; n < 0x30; n++) {
      guest.store(0x13000 + n * 8, n * 4096 | P);
      assert.equal(guest.readHits(0), true);
    }
  });
  it('reaches descriptor tables above 4 GiB from compatibility code', () => {
    const guest = createGuest();
    tables(guest, P | RW);
    guest.setWord(0x20010, 99);
    guest.long(PML4);
    guest.long(PML4, { cpl: 3, code64: false });
    assert.equal(guest.mmu.read(KERNEL + 0x10, 4, false), 99);
    assert.equal(faultOf(() => guest.mmu.read(KERNEL + 0x10, 4, true))?.errorCode, 5);
    assert.equal(guest.readHits(0), false, 'low addresses have entries of their own');
  });
});
