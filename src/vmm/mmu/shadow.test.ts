import assert from 'node:assert/strict';
import { LOOKUP_SPACES } from '../cpu/layout';
import { HISTOGRAM_ENTRIES } from './events';
import { A, createGuest, D, faultOf, P, PS, RW, US, type Guest } from './test-support';

const DIRECTORY = 0x10000, TABLE = 0x11000;

/** Linear 0…4 MiB mapped one to one by one table, user and writable. */
function identityTables(guest: Guest, directory = DIRECTORY, table = TABLE): void {
  guest.setWord(directory, table | P | RW | US);
  for (let i = 0; i < 1024; i++) {
    guest.setWord(table + i * 4, (i * 4096) | P | RW | US);
  }
}

describe('shadow paging', () => {
  it('sees an edited PTE at once, and drops only what was derived from it', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.setWord(0x30000, 1);
    guest.setWord(0x31000, 2);
    guest.paging(DIRECTORY);
    assert.equal(guest.load(0x50000), 0);
    assert.equal(guest.load(0x51000), 0);
    guest.store(TABLE + 0x50 * 4, 0x30000 | P | RW);
    assert.equal(guest.readHits(0x50000), false);
    assert.equal(guest.readHits(0x51000), true);
    assert.equal(guest.load(0x50000), 1);
    guest.store(TABLE + 0x50 * 4, 0);
    assert.equal(faultOf(() => guest.load(0x50000))?.errorCode, 0);
    guest.store(TABLE + 0x50 * 4, 0x31000 | P | RW);
    assert.equal(guest.load(0x50000), 2);
  });

  it('sees an edited PTE in every space that uses the table', () => {
    const guest = createGuest();
    identityTables(guest);
    identityTables(guest, 0x12000, TABLE);
    guest.paging(DIRECTORY, { cpl: 3 });
    guest.load(0x50000);
    guest.paging(0x12000);
    guest.load(0x50000);
    guest.paging(DIRECTORY);
    guest.store(TABLE + 0x50 * 4, 0);
    for (const [directory, cpl] of [[DIRECTORY, 3], [0x12000, 0]]) {
      guest.paging(directory, { cpl });
      assert.notEqual(faultOf(() => guest.load(0x50000)), undefined);
    }
  });

  it('sees an edit that moves a page and leaves the low half of the entry as it was', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.setWord(0x60000, 3);
    guest.paging(DIRECTORY);
    guest.load(0x50000);
    guest.store(TABLE + 0x50 * 4, guest.word(TABLE + 0x50 * 4) + 0x10000);
    assert.equal(guest.load(0x50000), 3);
  });

  it('sees unaligned and byte-wide edits of entries', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.paging(DIRECTORY);
    guest.load(0x50000);
    guest.load(0x51000);
    // Two bytes that straddle entries 50 and 51: the top byte of the first, the flags of the second.
    guest.store(TABLE + 0x50 * 4 + 3, 0, 2);
    assert.equal(guest.readHits(0x50000), false);
    assert.equal(faultOf(() => guest.load(0x51000))?.errorCode, 0);
  });

  it('sees edits by a device and by a loader', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.paging(DIRECTORY);
    guest.load(0x50000);
    guest.mmu.physical.writeBytes(TABLE + 0x50 * 4, new Uint8Array(4));
    assert.notEqual(faultOf(() => guest.load(0x50000)), undefined);
    guest.load(0x51000);
    guest.mmu.physical.write32(TABLE + 0x51 * 4, 0);
    assert.notEqual(faultOf(() => guest.load(0x51000)), undefined);
    guest.load(0x52000);
    guest.mmu.physical.patch(TABLE + 0x52 * 4, new Uint8Array(4));
    assert.notEqual(faultOf(() => guest.load(0x52000)), undefined);
  });

  it('drops the 4 MiB of an edited directory entry, and the trace of its table', () => {
    const guest = createGuest();
    identityTables(guest);
    identityTables(guest, 0x13000, 0x14000);
    guest.setWord(DIRECTORY + 4, 0x14000 | P | RW);
    guest.paging(DIRECTORY);
    guest.store(0x450000, 5);
    guest.store(0x50000, 6);
    assert.equal(guest.mmu.physical.intercepts[0x14] !== 0, true);
    guest.store(DIRECTORY + 4, 0);
    assert.equal(guest.readHits(0x450000), false);
    assert.equal(guest.readHits(0x50000), true);
    assert.notEqual(faultOf(() => guest.load(0x450000)), undefined);
    assert.equal(guest.mmu.physical.intercepts[0x14], 0, 'nobody uses the table any more');
    guest.store(0x14000, 1);
    guest.store(0x14004, 1);
    assert.equal(guest.writeHits(0x14000), true);
  });

  it('drops a 4 MiB page when its PDE changes', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.setWord(DIRECTORY + 8, P | RW | PS);
    guest.paging(DIRECTORY, { pse: true });
    guest.store(0x850000, 77);
    guest.store(0xbff000, 78);
    assert.equal(guest.word(0x50000), 77);
    assert.equal(guest.word(DIRECTORY + 8), P | RW | PS | A | D);
    guest.store(DIRECTORY + 8, P | PS);
    assert.equal(guest.writeHits(0x850000), false);
    assert.equal(guest.load(0x850000), 77);
    guest.paging(DIRECTORY, { pse: true, wp: true });
    assert.equal(faultOf(() => guest.store(0x850000, 1))?.errorCode, 3);
  });

  it('sets A and D again after the guest has cleared them', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.paging(DIRECTORY);
    guest.store(0x50000, 1);
    const entry = 0x50000 | P | RW | US;
    guest.store(TABLE + 0x50 * 4, entry);
    guest.load(0x50000);
    assert.equal(guest.word(TABLE + 0x50 * 4), entry | A);
    guest.store(0x50000, 2);
    assert.equal(guest.word(TABLE + 0x50 * 4), entry | A | D);
  });

  it('does not drop anything when an entry is rewritten with its own value', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.paging(DIRECTORY);
    guest.load(0x50000);
    guest.store(TABLE + 0x50 * 4, guest.word(TABLE + 0x50 * 4));
    assert.equal(guest.readHits(0x50000), true);
  });

  it('keeps tables across CR3 loads, privilege and WP changes', () => {
    const guest = createGuest();
    identityTables(guest);
    identityTables(guest, 0x12000, 0x13000);
    guest.paging(DIRECTORY);
    guest.store(0x50000, 1);
    const faults = guest.counter('hiddenPageFaults');
    guest.paging(0x12000);
    guest.paging(DIRECTORY, { cpl: 3 });
    guest.paging(DIRECTORY, { wp: true });
    guest.paging(DIRECTORY);
    guest.paging(DIRECTORY | 0x18);
    guest.store(0x50000, 2);
    assert.equal(guest.counter('hiddenPageFaults'), faults);
    assert.equal(guest.counter('addressSpaceSwitches'), 5, 'PCD and PWT in CR3 make no other space');
  });

  it('does not take WP for a difference in user mode', () => {
    const guest = createGuest();
    guest.paging(DIRECTORY, { cpl: 3 });
    guest.paging(DIRECTORY, { cpl: 3, wp: true });
    assert.equal(guest.counter('addressSpaceSwitches'), 1);
  });

  it('recycles the least recently used space and releases its traces', () => {
    const guest = createGuest();
    const directory = (i: number): number => 0x100000 + i * 0x2000;
    for (let i = 0; i <= LOOKUP_SPACES; i++) {
      identityTables(guest, directory(i), directory(i) + 0x1000);
    }
    for (let i = 0; i < LOOKUP_SPACES; i++) {
      guest.paging(directory(i));
      guest.load(0x50000);
    }
    guest.paging(directory(0));
    guest.paging(directory(LOOKUP_SPACES));
    const faults = guest.counter('hiddenPageFaults');
    guest.paging(directory(0));
    guest.load(0x50000);
    assert.equal(guest.counter('hiddenPageFaults'), faults, 'space 0 was used recently');
    const { intercepts } = guest.mmu.physical;
    assert.equal(intercepts[directory(1) / 4096], 0);
    assert.equal(intercepts[directory(1) / 4096 + 1], 0);
    assert.notEqual(intercepts[directory(2) / 4096 + 1], 0);
    // Its tables may have changed meanwhile; nothing of the old ones may be left.
    guest.store(directory(1) + 0x1000 + 0x50 * 4, 0x60000 | P | RW);
    guest.setWord(0x60000, 42);
    guest.paging(directory(1));
    assert.equal(guest.load(0x50000), 42);
    assert.equal(guest.mmu.spaces().length, LOOKUP_SPACES);
    assert.equal(guest.mmu.spaces()[0].cr3, directory(1));
  });

  it('gives up an idle space whose tables are used for other things', () => {
    const guest = createGuest();
    identityTables(guest);
    identityTables(guest, 0x12000, 0x13000);
    guest.paging(0x12000);
    guest.load(0x50000);
    guest.paging(DIRECTORY);
    for (let i = 0; i < 1024; i++) {
      guest.store(0x12000 + i * 4, 0x55555555);
    }
    assert.equal(guest.mmu.physical.intercepts[0x12], 0);
    assert.equal(guest.mmu.physical.intercepts[0x13], 0);
    assert.equal(guest.writeHits(0x12000), true);
  });

  it('sees writes through a recursive mapping', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.setWord(DIRECTORY + 4092, DIRECTORY | P | RW);
    guest.setWord(0x60000, 5);
    guest.paging(DIRECTORY);
    guest.load(0x50000);
    // The table of the first 4 MiB appears at FFC00000, the directory at FFFFF000.
    guest.store(0xffc00000 + 0x50 * 4, 0x60000 | P | RW);
    assert.equal(guest.load(0x50000), 5);
    guest.store(0xffc00000 + 0x50 * 4, 0x61000 | P | RW);
    assert.equal(guest.load(0x50000), 0);
    assert.equal(guest.load(0xfffff000) & 0xfffff01f, (TABLE | P | RW | US) & 0xfffff01f);
    guest.store(0xfffff000, 0);
    assert.equal(faultOf(() => guest.load(0x50000))?.errorCode, 0);
    assert.equal(guest.writeHits(0xfffff000), false);
    guest.store(0xfffff000, TABLE | P | RW);
    assert.equal(guest.load(0x50000), 0);
    // The recursive entry itself.
    guest.store(0xfffffffc, 0);
    assert.notEqual(faultOf(() => guest.load(0xfffff000)), undefined);
  });

  it('copes with a directory whose every entry is itself', () => {
    const guest = createGuest();
    for (let i = 0; i < 1024; i++) {
      guest.setWord(DIRECTORY + i * 4, DIRECTORY | P | RW | US);
    }
    guest.paging(DIRECTORY, { cpl: 3 });
    for (let i = 0; i < 1024; i++) {
      assert.equal(guest.load(((i * 0x400000) + i * 4096) >>> 0) & 0xfff, P | RW | US | A);
    }
    guest.store(0x12345678 & ~3, 0xabcd0000);
    assert.equal(guest.word(DIRECTORY + 0x678), 0xabcd0000);
    const gone = 0x678 / 4;
    assert.notEqual(faultOf(() => guest.load(gone * 0x400000)), undefined);
    assert.notEqual(faultOf(() => guest.load(gone * 0x1000)), undefined);
    assert.equal(guest.load(0x00800000) & 1, 1);
  });

  it('reads tables outside memory as all ones and never waits on a device', () => {
    let asked = 0;
    const guest = createGuest({ mmio: [{ first: 0xfee00000, last: 0xfee00fff, read: () => asked++, write: () => { asked++; } }] });
    guest.paging(0xfee00000);
    // PDE FFFFFFFF: a table at FFFFF000, where nothing is either.
    assert.equal(guest.load(0x1234), 0xffffffff);
    guest.store(0x1234, 5);
    guest.paging(0xe0000000, { pse: true });
    assert.equal(faultOf(() => guest.load(0x1234))?.errorCode, 9);
    assert.equal(asked, 0);
    guest.setWord(DIRECTORY, 0xfee00000 | P | RW);
    guest.paging(DIRECTORY);
    assert.equal(guest.load(0x1234), 0xffffffff);
    assert.equal(asked, 0);
  });

  it('uses tables in ROM, whose A and D bits stay clear', () => {
    const guest = createGuest({ rom: [{ first: 0xf0000, last: 0xfffff }] });
    guest.setWord(0xf0000, 0xf1000 | P | RW);
    guest.setWord(0xf1000 + 0x50 * 4, 0x50000 | P | RW);
    guest.paging(0xf0000);
    guest.store(0x50000, 9);
    assert.equal(guest.word(0x50000), 9);
    assert.equal(guest.load(0x50000), 9);
    assert.equal(guest.word(0xf1000 + 0x50 * 4), 0x50000 | P | RW);
    assert.equal(guest.writeHits(0x50000), false, 'a page that cannot become dirty is never written directly');
    guest.mmu.physical.patch(0xf1000 + 0x50 * 4, new Uint8Array(4));
    assert.notEqual(faultOf(() => guest.load(0x50000)), undefined);
  });

  it('keeps one frame mapped everywhere, and one table used everywhere, cheap and right', () => {
    const guest = createGuest();
    for (let i = 0; i < 1024; i++) {
      guest.setWord(DIRECTORY + i * 4, TABLE | P | RW | US | A);
      guest.setWord(TABLE + i * 4, 0x50000 | P | RW | US | A | D);
    }
    guest.paging(DIRECTORY);
    for (let i = 0; i < 200; i++) {
      for (let j = 0; j < 100; j++) {
        guest.store(i * 0x400000 + j * 0x1000, i * 100 + j);
      }
    }
    assert.equal(guest.word(0x50000), 199 * 100 + 99);
    assert.ok(guest.mmu.spaces()[0].filledPages <= 4096);
    guest.mmu.memoryTrace(0x50000, 0x50fff, 'watch', () => { /* only to withhold */ });
    assert.equal(guest.mmu.spaces()[0].filledPages, 0);
  });

  it('sees an edit in every directory entry that shares the table, however many they are', () => {
    const guest = createGuest();
    identityTables(guest);
    for (let i = 0; i < 1024; i++) {
      guest.setWord(DIRECTORY + i * 4, TABLE | P | RW | US);
    }
    guest.paging(DIRECTORY);
    for (let i = 0; i < 1024; i++) {
      guest.load(i * 0x400000 + 0x50000);
    }
    guest.store(TABLE + 0x50 * 4, 0);
    for (let i = 0; i < 1024; i++) {
      assert.notEqual(faultOf(() => guest.load(i * 0x400000 + 0x50000)), undefined, `directory entry ${i}`);
    }
  });

  it('does not withdraw an alias because the other one comes and goes', () => {
    const guest = createGuest();
    identityTables(guest);
    guest.setWord(TABLE + 0x51 * 4, 0x50000 | P | RW | US);
    guest.paging(DIRECTORY);
    guest.load(0x51000);
    for (let i = 0; i < 5000; i++) {
      guest.store(TABLE + 0x50 * 4, 0x50000 | P | RW | US);
      guest.load(0x50000);
    }
    assert.equal(guest.readHits(0x51000), true);
  });

  it('tells hidden from true page faults, by instruction too, and counts neither for devices', () => {
    const guest = createGuest({ mmio: [{ first: 0xfee00000, last: 0xfee00fff, read: () => 3, write: () => { /* ignored */ } }] });
    identityTables(guest);
    guest.setWord(DIRECTORY + 4, 0x14000 | P | RW);
    guest.setWord(0x14000, 0xfee00000 | P | RW);
    guest.paging(DIRECTORY);
    let instruction = 0x7c00;
    guest.mmu.instructionAddress = () => instruction;
    guest.load(0x50000);
    guest.load(0x51000);
    guest.load(0x51000);
    instruction = 0x7c05;
    guest.load(0x52000);
    faultOf(() => guest.load(0x800000));
    assert.equal(guest.load(0x400000), 3);
    assert.equal(guest.load(0x400000), 3);
    assert.equal(guest.counter('hiddenPageFaults'), 3);
    assert.equal(guest.counter('truePageFaults'), 1);
    assert.equal(guest.counter('mmioAccesses'), 2);
    assert.deepEqual(guest.mmu.hiddenPageFaults(10), [{ linear: 0x7c00, count: 2 }, { linear: 0x7c05, count: 1 }]);
    assert.deepEqual(guest.mmu.hiddenPageFaults(1), [{ linear: 0x7c00, count: 2 }]);
  });

  it('bounds the histogram', () => {
    const guest = createGuest();
    let instruction = 0;
    guest.mmu.instructionAddress = () => instruction++;
    for (let i = 0; i < HISTOGRAM_ENTRIES + 100; i++) {
      guest.mmu.flush();
      guest.load(0x1000);
    }
    assert.equal(guest.mmu.hiddenPageFaults(1e6).length, HISTOGRAM_ENTRIES);
    assert.equal(guest.counter('hiddenPageFaults'), HISTOGRAM_ENTRIES + 100);
  });
});
