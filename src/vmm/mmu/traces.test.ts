import assert from 'node:assert/strict';
import { createGuest, P, RW, type Guest } from './test-support';

function recordCode(guest: Guest): [number, number][] {
  const calls: [number, number][] = [];
  guest.mmu.onCodeWrite = (gpa, length) => {
    calls.push([gpa, length]);
  };
  return calls;
}

describe('memory traces', () => {
  it('calls back for writes to traced code granules only', () => {
    const guest = createGuest();
    const calls = recordCode(guest);
    guest.store(0x7c00, 1);
    guest.mmu.traceCode(0x7c10, 0x7c50); // granules 7c00 and 7c40
    assert.equal(guest.writeHits(0x7c00), false);
    guest.store(0x7bfc, 1);
    guest.store(0x7c80, 1);
    assert.equal(calls.length, 0);
    guest.store(0x7c00, 1);
    guest.store(0x7c7f, 1, 1);
    guest.store(0x7bfe, 1);
    assert.deepEqual(calls, [[0x7c00, 4], [0x7c7f, 1], [0x7bfe, 4]]);
    assert.equal(guest.counter('traceFaults'), 5);
    assert.equal(guest.load(0x7c80), 1);
  });

  it('traces granules on both halves of a page and across pages', () => {
    const guest = createGuest();
    const calls = recordCode(guest);
    guest.mmu.traceCode(0x17c0, 0x2800 + 63);
    for (const gpa of [0x17bc, 0x1700, 0x1000, 0x2840, 0x2fc0, 0x3000]) {
      guest.store(gpa, 1);
    }
    assert.equal(calls.length, 0);
    for (const gpa of [0x17c0, 0x1800, 0x1ffc, 0x2000, 0x27fc, 0x283c]) {
      guest.store(gpa, 1);
    }
    assert.deepEqual(calls.map(([gpa]) => gpa), [0x17c0, 0x1800, 0x1ffc, 0x2000, 0x27fc, 0x283c]);
  });

  it('makes a page writable again when its last code trace ends', () => {
    const guest = createGuest();
    const calls = recordCode(guest);
    guest.mmu.traceCode(0x5000, 0x503f);
    guest.mmu.traceCode(0x5fc0, 0x5fff);
    guest.mmu.untraceCode(0x5000, 0x5001);
    guest.store(0x5000, 1);
    assert.equal(calls.length, 0);
    assert.equal(guest.writeHits(0x5000), false);
    guest.mmu.untraceCodePage(5);
    guest.store(0x5fc0, 1);
    assert.equal(guest.writeHits(0x5000), true);
    assert.equal(calls.length, 0);
  });

  it('lets the translator end the trace from inside the callback', () => {
    const guest = createGuest();
    let calls = 0;
    guest.mmu.onCodeWrite = (gpa) => {
      calls++;
      assert.equal(guest.word(0x5000), 0x90909090, 'the bytes have changed already');
      guest.mmu.untraceCodePage(gpa >>> 12);
    };
    guest.mmu.traceCode(0x5000, 0x5fff);
    guest.store(0x5000, 0x90909090);
    guest.store(0x5000, 0x90909090);
    guest.store(0x5000, 0x90909090);
    assert.equal(calls, 1);
  });

  it('withholds every alias of a traced frame', () => {
    const guest = createGuest();
    const calls = recordCode(guest);
    guest.setWord(0x10000, 0x11000 | P | RW);
    guest.setWord(0x11000 + 4 * 4, 0x50000 | P | RW);
    guest.setWord(0x11000 + 9 * 4, 0x50000 | P | RW);
    guest.store(0x50000, 0); // an entry in the space without paging, too
    guest.paging(0x10000);
    guest.store(0x4000, 1);
    guest.store(0x9000, 1);
    guest.mmu.traceCode(0x50000, 0x50000);
    guest.store(0x4000, 2);
    guest.store(0x9004, 3);
    guest.mmu.activate({ cr0: 1, cr3: 0, cr4: 0, efer: 0, cpl: 0 });
    guest.store(0x50008, 4);
    assert.deepEqual(calls, [[0x50000, 4], [0x50004, 4], [0x50008, 4]]);
  });

  it('hears devices and loaders write code, without counting a trace fault', () => {
    const guest = createGuest({ rom: [{ first: 0xf0000, last: 0xfffff }] });
    const calls = recordCode(guest);
    guest.mmu.traceCode(0x5000, 0x5fff);
    guest.mmu.traceCode(0xf0000, 0xf0000);
    guest.mmu.physical.writeBytes(0x4ff0, new Uint8Array(32));
    guest.mmu.physical.write16(0x5fff, 0xabcd);
    guest.mmu.physical.patch(0xf0000, Uint8Array.of(1));
    guest.mmu.physical.write8(0xf0000, 2);
    assert.deepEqual(calls, [[0x5000, 16], [0x5fff, 1], [0xf0000, 1]]);
    assert.equal(guest.counter('traceFaults'), 0);
  });

  it('hears the processor set A and D bits in traced bytes', () => {
    const guest = createGuest();
    const calls = recordCode(guest);
    guest.setWord(0x10000, 0x11000 | P | RW);
    guest.setWord(0x11010, 0x50000 | P | RW);
    guest.paging(0x10000);
    guest.mmu.traceCode(0x11000, 0x11fff);
    guest.load(0x4000);
    assert.deepEqual(calls, [[0x11010, 4]]);
  });

  it('traces byte ranges of any kind and stops when removed', () => {
    const guest = createGuest();
    const calls: string[] = [];
    const gdt = guest.mmu.memoryTrace(0x6008, 0x600f, 'descriptorTable', (gpa, length, access) => calls.push(`gdt ${gpa.toString(16)} ${length} ${access}`));
    const wide = guest.mmu.memoryTrace(0x5ff0, 0x6fff, 'descriptorTable', (gpa) => calls.push(`wide ${gpa.toString(16)}`));
    guest.store(0x6004, 1);
    guest.store(0x6006, 1);
    guest.store(0x5ff0, 1);
    guest.load(0x6008);
    assert.deepEqual(calls.splice(0), ['wide 6004', 'gdt 6006 4 write', 'wide 6006', 'wide 5ff0']);
    wide.remove();
    wide.remove();
    guest.store(0x600f, 1, 1);
    assert.deepEqual(calls.splice(0), ['gdt 600f 1 write']);
    assert.equal(guest.writeHits(0x6000), false);
    guest.store(0x5ff0, 1);
    assert.equal(guest.writeHits(0x5000), true);
    gdt.remove();
    guest.store(0x6008, 1);
    assert.equal(calls.length, 0);
    assert.equal(guest.writeHits(0x6000), true);
  });

  it('watches reads as well as writes of guest-physical bytes', () => {
    const guest = createGuest();
    guest.load(0x6000);
    const calls: string[] = [];
    const handle = guest.mmu.memoryTrace(0x6010, 0x6013, 'watch', (gpa, _length, access) => calls.push(`${access} ${gpa.toString(16)}`));
    guest.load(0x6010);
    guest.load(0x6014);
    guest.load(0x6012, 1);
    guest.store(0x600e, 0);
    assert.deepEqual(calls, ['read 6010', 'read 6012', 'write 600e']);
    handle.remove();
    guest.load(0x6010);
    assert.equal(guest.readHits(0x6000), true);
  });

  it('refuses a range where there is no memory', () => {
    const guest = createGuest();
    assert.throws(() => guest.mmu.memoryTrace(0xfee00000, 0xfee00003, 'mmio', () => { /* never */ }), /no memory at fee00000/);
  });
});

describe('linear watches', () => {
  it('report reads and writes of the watched bytes after they happened', () => {
    const guest = createGuest();
    guest.store(0x6000, 0);
    const calls: string[] = [];
    const handle = guest.mmu.watchLinear(0x6002, 2, (linear) => calls.push(`r ${linear.toString(16)}`), (linear, length) => calls.push(`w ${linear.toString(16)} ${length} ${guest.word(0x6000).toString(16)}`));
    guest.store(0x6000, 0x5678, 2);
    guest.store(0x6003, 0xaa, 1);
    guest.load(0x6000, 2);
    guest.load(0x6000);
    guest.mmu.writeSlow(0x5ffc, 8, 0, 0x11223344);
    assert.deepEqual(calls, ['w 6003 1 aa005678', 'r 6000', 'w 5ffc 8 11223344']);
    handle.remove();
    guest.store(0x6002, 1, 2);
    assert.equal(guest.writeHits(0x6000), true);
    assert.equal(calls.length, 3);
  });

  it('belong to the linear address, in every space, and may wrap', () => {
    const guest = createGuest();
    guest.setWord(0x10000, 0x11000 | P | RW);
    guest.setWord(0x10ffc, 0x11000 | P | RW);
    guest.setWord(0x11000, 0x50000 | P | RW);
    guest.setWord(0x11ffc, 0x51000 | P | RW);
    guest.paging(0x10000);
    guest.store(0, 1);
    guest.store(0xfffffffc, 1);
    const calls: number[] = [];
    guest.mmu.watchLinear(0xffffffff, 2, undefined, (linear) => calls.push(linear));
    guest.store(0xfffffff8, 1);
    guest.store(0xfffffffc, 1);
    guest.store(1, 1, 1);
    guest.store(0, 1, 1);
    guest.store(0xfffffffe, 0x01020304);
    assert.deepEqual(calls, [0xfffffffc, 0, 0xfffffffe]);
    assert.equal(guest.word(0x50000), 0x00000102, 'the access wraps at 4 GiB');
    guest.mmu.activate({ cr0: 1, cr3: 0, cr4: 0, efer: 0, cpl: 0 });
    guest.store(0, 1, 1);
    assert.equal(calls.length, 4);
  });

  it('refuse a length that makes no sense', () => {
    const guest = createGuest();
    assert.throws(() => guest.mmu.watchLinear(0, 0, undefined, undefined), /the length must be 1 to 4096/);
  });
});
