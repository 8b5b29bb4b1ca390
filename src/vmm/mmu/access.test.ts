import assert from 'node:assert/strict';
import { RAM, SCRATCH } from '../cpu/layout';
import { A, createGuest, D, faultOf, P, RW, sharedMemory, US, type Guest } from './test-support';

const DIRECTORY = 0x10000, TABLE = 0x11000;

/** Linear pages 4 → 50000, 5 → as told, 6 → 70000; all user. */
function threePages(guest: Guest, second: number): void {
  guest.setWord(DIRECTORY, TABLE | P | RW | US);
  guest.setWord(TABLE + 16, 0x50000 | P | RW | US);
  guest.setWord(TABLE + 20, second);
  guest.setWord(TABLE + 24, 0x70000 | P | RW | US);
}

describe('memory access', () => {
  it('reads and writes across two pages that are no neighbours', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW | US);
    guest.paging(DIRECTORY);
    guest.store(0x4ffe, 0x44332211);
    assert.equal(guest.word(0x50ffc) >>> 16, 0x2211);
    assert.equal(guest.word(0x30000), 0x4433);
    assert.equal(guest.load(0x4ffe), 0x44332211);
    assert.equal(guest.load(0x4fff, 2), 0x3322);
    assert.equal(guest.mmu.read(0x4ffd, 4, false), 0x33221100);
    guest.mmu.write(0x4fff, 2, 0xbbaa, false);
    assert.equal(guest.load(0x4ffe), 0x44bbaa11);
  });

  it('writes nothing when the second page faults, and names the second page', () => {
    for (const [second, code] of [[0, 6], [0x30000 | P | US, 7], [0x30000 | P | RW, 7]]) {
      for (const bytes of [2, 4, 8] as const) {
        const guest = createGuest();
        threePages(guest, second);
        guest.setWord(0x50ffc, 0x01020304);
        guest.paging(DIRECTORY, { cpl: 3 });
        const fault = faultOf(() => guest.mmu.writeSlow(0x4fff, bytes, -1, -1));
        assert.deepEqual({ ...fault }, { linear: 0x5000, errorCode: code });
        assert.equal(guest.word(0x50ffc), 0x01020304);
      }
    }
  });

  it('names the first page when both fault', () => {
    const guest = createGuest();
    guest.paging(DIRECTORY);
    assert.deepEqual({ ...faultOf(() => guest.load(0x4ffe)) }, { linear: 0x4ffe, errorCode: 0 });
  });

  it('reads 8 bytes into SCRATCH and writes them whole', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW | US);
    guest.paging(DIRECTORY);
    const view = new DataView(sharedMemory.buffer);
    for (const linear of [0x4100, 0x4ff8, 0x4ff9, 0x4ffb, 0x4ffc, 0x4ffd, 0x4fff]) {
      guest.mmu.writeSlow(linear, 8, 0x44332211, 0x88776655);
      assert.equal(guest.mmu.readSlow(linear, 8), 0x44332211);
      assert.equal(view.getBigUint64(SCRATCH, true), 0x8877665544332211n, linear.toString(16));
    }
  });

  it('returns 32-bit reads as signed numbers to threaded code, unsigned ones to the runtime', () => {
    const guest = createGuest();
    guest.setWord(0x5000, 0xfffffffe);
    assert.equal(guest.mmu.readSlow(0x5000, 4), -2);
    assert.equal(guest.mmu.read(0x5000, 4, false), 0xfffffffe);
    assert.equal(guest.mmu.readSlow(0x5001, 1), 0xff);
  });

  it('probes a range of several pages: A and D change, nothing else', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW | US);
    guest.setWord(0x50ff0, 77);
    guest.paging(DIRECTORY);
    guest.mmu.probeWriteSlow(0x4ff0, 0x1020);
    for (const entry of [16, 20, 24]) {
      assert.equal(guest.word(TABLE + entry) & (A | D), A | D);
    }
    assert.equal(guest.word(0x50ff0), 77);
    assert.equal(guest.writeHits(0x4000), true);
    assert.deepEqual({ ...faultOf(() => guest.mmu.probeWriteSlow(0x6ffd, 4)) }, { linear: 0x7000, errorCode: 2 });
    assert.equal(faultOf(() => guest.mmu.probeWriteSlow(0x6ffc, 4)), undefined);
  });

  it('makes implicit supervisor accesses at CPL 3 without filling the user tables', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW);
    guest.setWord(0x30000, 123);
    guest.paging(DIRECTORY, { cpl: 3 });
    assert.equal(guest.mmu.read(0x5000, 4, false), 123);
    guest.mmu.write(0x5000, 4, 124, false);
    guest.mmu.probeWrite(0x5000, 4, false);
    assert.equal(guest.word(0x30000), 124);
    assert.equal(guest.readHits(0x5000), false);
    assert.equal(faultOf(() => guest.mmu.read(0x5000, 4, true))?.errorCode, 5);
    assert.equal(faultOf(() => guest.mmu.write(0x5000, 4, 1, true))?.errorCode, 7);
    assert.equal(faultOf(() => guest.mmu.read(0x9000, 4, false))?.errorCode, 0, 'U/S is clear for an implicit supervisor access');
    guest.setWord(TABLE + 20, 0x30000 | P);
    guest.mmu.activate({ cr0: 0x80010001 | 0, cr3: DIRECTORY, cr4: 0, efer: 0, cpl: 3 });
    assert.equal(faultOf(() => guest.mmu.write(0x5000, 4, 1, false))?.errorCode, 3, 'WP binds the implicit access');
  });

  it('checks user accesses of the runtime while the supervisor space is in force', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW);
    guest.paging(DIRECTORY);
    guest.load(0x5000);
    assert.equal(faultOf(() => guest.mmu.read(0x5000, 4, true))?.errorCode, 5);
    assert.equal(guest.mmu.read(0x4000, 4, true), 0);
  });

  it('fetches code: A bit, user check, W clear in the error code, read table filled', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P | RW);
    guest.paging(DIRECTORY, { cpl: 3 });
    assert.deepEqual(guest.mmu.fetchPage(0x4123), { hostPage: RAM + 0x50000, gpaPage: 0x50 });
    assert.equal(guest.word(TABLE + 16) & (A | D), A);
    assert.equal(guest.readHits(0x4000), true);
    assert.deepEqual({ ...faultOf(() => guest.mmu.fetchPage(0x5678)) }, { linear: 0x5678, errorCode: 5 });
    assert.deepEqual({ ...faultOf(() => guest.mmu.fetchPage(0x9000)) }, { linear: 0x9000, errorCode: 4 });
    guest.mmu.activate({ cr0: 1, cr3: 0, cr4: 0, efer: 0, cpl: 0 });
    assert.deepEqual(guest.mmu.fetchPage(0xfffffff0), { hostPage: -1, gpaPage: 0xfffff });
  });

  it('accepts linear addresses as signed numbers', () => {
    const guest = createGuest();
    guest.setWord(DIRECTORY + 4 * 1023, TABLE | P | RW);
    guest.setWord(TABLE + 4092, 0x50000 | P | RW);
    guest.paging(DIRECTORY);
    guest.mmu.writeSlow(-4, 4, 0x1234, 0);
    assert.equal(guest.word(0x50ffc), 0x1234);
    assert.equal(guest.mmu.readSlow(-4, 4), 0x1234);
    assert.equal(guest.mmu.fetchPage(-1).gpaPage, 0x50);
    assert.equal(faultOf(() => guest.mmu.readSlow(-0x1001, 4))?.linear, 0xffffefff);
  });

  it('reads for a debugger across pages up to the first hole, and patches read-only memory', () => {
    const guest = createGuest();
    threePages(guest, 0x30000 | P);
    guest.setWord(0x50ffc, 0x04030201);
    guest.setWord(0x30000, 0x08070605);
    guest.paging(DIRECTORY, { wp: true, cpl: 3 });
    assert.deepEqual([...guest.mmu.debugRead(0x4ffe, 4)], [3, 4, 5, 6]);
    assert.equal(guest.mmu.debugRead(0x6ff0, 100).length, 16);
    assert.equal(guest.mmu.debugRead(0x9000, 4).length, 0);
    assert.equal(guest.mmu.debugWrite(0x4fff, Uint8Array.of(9, 10)), 2);
    assert.deepEqual([...guest.mmu.debugRead(0x4ffe, 4)], [3, 9, 10, 6]);
    assert.equal(guest.mmu.debugWrite(0x6fff, Uint8Array.of(1, 2)), 1);
    assert.equal(guest.word(TABLE + 20) & (A | D), 0);
  });

  it('routes a debugger\'s write to a page table through its trace', () => {
    const guest = createGuest();
    threePages(guest, TABLE | P | RW);
    guest.paging(DIRECTORY);
    guest.load(0x4000);
    guest.mmu.debugWrite(0x5010, new Uint8Array(4));
    assert.notEqual(faultOf(() => guest.load(0x4000)), undefined);
  });
});
