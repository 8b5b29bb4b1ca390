import assert from 'node:assert/strict';
import { RAM } from '../cpu/layout';
import { SHADOW_READ, SHADOW_WRITE } from './physical-memory';
import { createGuest, P, PS, RW, TEST_RAM } from './test-support';

describe('physical memory', () => {
  it('reads all ones where nothing is, and drops writes there', () => {
    const guest = createGuest({ holes: [{ first: 0xa0000, last: 0xaffff }] });
    const { physical } = guest.mmu;
    for (const address of [0xa0000, TEST_RAM, 0xfffffffc]) {
      physical.write32(address, 0);
      assert.equal(physical.read32(address), 0xffffffff);
      assert.equal(physical.read8(address), 0xff);
      guest.store(address, 0);
      assert.equal(guest.load(address), 0xffffffff);
      assert.equal(guest.readHits(address), false);
    }
    assert.equal(physical.hostPage(0xa0), -1);
    assert.equal(physical.hostPage(0x9f), RAM + 0x9f000);
    assert.deepEqual([...physical.readBytes(0x9fffe, 4)], [0, 0, 0xff, 0xff]);
  });

  it('ignores writes to ROM, reads it through the lookup table, and shows an alias of it', () => {
    const guest = createGuest({ rom: [{ first: 0xf0000, last: 0xfffff }, { first: 0xffff0000, last: 0xffffffff, backing: 0xf0000 }] });
    guest.mmu.physical.patch(0xffff0, Uint8Array.of(0xea, 0x5b, 0xe0, 0x00));
    guest.store(0xffff0, 0);
    guest.mmu.physical.write32(0xffff0, 0);
    guest.mmu.physical.writeBytes(0xfffff000, new Uint8Array(4096));
    assert.equal(guest.load(0xffff0), 0x00e05bea);
    assert.equal(guest.readHits(0xffff0), true);
    assert.equal(guest.writeHits(0xffff0), false);
    assert.equal(guest.load(0xfffffff0), 0x00e05bea);
    assert.deepEqual(guest.mmu.fetchPage(0xfffffff0), { hostPage: RAM + 0xff000, gpaPage: 0xff });
  });

  it('routes device registers, splits accesses at a window\'s edge, and counts them', () => {
    const log: string[] = [];
    const guest = createGuest({
      mmio: [{
        first: 0xfed00010, last: 0xfed00017,
        read: (address, size) => { log.push(`r ${address.toString(16)} ${size}`); return -1; },
        write: (address, value, size) => { log.push(`w ${address.toString(16)} ${size} ${value.toString(16)}`); },
      }],
    });
    assert.equal(guest.load(0xfed00010), 0xffffffff);
    assert.equal(guest.load(0xfed00012, 2), 0xffff);
    guest.store(0xfed00014, -2);
    guest.store(0xfed00017, 0x1ff, 1);
    assert.deepEqual(log.splice(0), ['r fed00010 4', 'r fed00012 2', 'w fed00014 4 fffffffe', 'w fed00017 1 ff']);
    guest.store(0xfed00016, 0x04030201);
    guest.load(0xfed0000f, 2);
    assert.deepEqual(log.splice(0), ['w fed00016 1 1', 'w fed00017 1 2', 'r fed00010 1']);
    assert.equal(guest.load(0xfed00100), 0xffffffff);
    assert.equal(guest.counter('mmioAccesses'), 7);
    guest.mmu.writeSlow(0xfed00010, 8, 1, 2);
    assert.deepEqual(log, ['w fed00010 4 1', 'w fed00014 4 2']);
  });

  it('takes RAM away when a device window is added, and refuses overlaps', () => {
    const guest = createGuest();
    guest.store(0xa0000, 5);
    const window = { first: 0xa0000, last: 0xa0fff, read: () => 0x42, write: () => { /* ignored */ } };
    guest.mmu.physical.mapMmio(window);
    assert.equal(guest.load(0xa0000, 1), 0x42);
    assert.throws(() => guest.mmu.physical.mapMmio(window), /overlaps the one at a0000/);
  });

  it('shows a window that the guest moves only where nothing else is, and gives back what was there', () => {
    const guest = createGuest({ holes: [{ first: 0xa0000, last: 0xbffff }] });
    const { physical } = guest.mmu;
    const at = (first: number, value: number) => ({ first, last: first + 0x1fff, read: () => value, write: () => { /* ignored */ } });
    const overRam = at(0x9f000, 0x42), second = at(0xa0000, 0x43);
    guest.store(0x9f000, 5);
    physical.mapWindow(overRam);
    physical.mapWindow(second);
    assert.deepEqual([guest.load(0x9f000), guest.load(0xa0000), guest.load(0xa1000)], [5, 0x42, 0x43], 'RAM first, then the older window');
    physical.unmapWindow(overRam);
    assert.equal(guest.load(0xa0000), 0x43);
    physical.unmapWindow(second);
    assert.equal(guest.load(0xa0000), 0xffffffff);
    const fixed = at(0xa0000, 0x44);
    physical.mapMmio(fixed);
    physical.mapWindow(second);
    assert.equal(guest.load(0xa0000), 0x44);
    physical.unmapMmio(fixed);
    assert.equal(guest.load(0xa0000), 0x43);
  });

  it('shows memory behind RAM in a window with backing, reached without a call', () => {
    const guest = createGuest({ ramBytes: TEST_RAM - 0x10000 });
    const { physical } = guest.mmu;
    const backing = RAM + TEST_RAM - 0x10000;
    const window = (first: number) => ({ first, last: first + 0xffff, backing, read: () => assert.fail(), write: () => assert.fail() });
    const low = window(0xe0000000), high = window(0xf0000000);
    physical.mapWindow(low);
    guest.store(0xe0001234, 0x12345678);
    assert.equal(guest.load(0xe0001234), 0x12345678);
    assert.ok(guest.readHits(0xe0001234) && guest.writeHits(0xe0001234));
    assert.equal(physical.view.getUint32(backing + 0x1234, true), 0x12345678);
    physical.unmapWindow(low);
    assert.equal(guest.load(0xe0001234), 0xffffffff);
    physical.mapWindow(high);
    assert.equal(guest.load(0xf0001234), 0x12345678);
    const calls: number[] = [];
    guest.mmu.onCodeWrite = (gpa) => calls.push(gpa);
    const { gpaPage } = guest.mmu.fetchPage(0xf0000000);
    guest.mmu.traceCode(gpaPage * 4096, gpaPage * 4096);
    guest.store(0xf0000000, 1);
    assert.deepEqual(calls, [gpaPage * 4096]);
  });

  it('has shadow RAM behind ROM for reads, writes or both', () => {
    const guest = createGuest({ holes: [{ first: 0xc0000, last: 0xeffff }], rom: [{ first: 0xf0000, last: 0xfffff, backing: 0x200000 }] });
    const { physical } = guest.mmu;
    guest.setWord(0x200010, 0x524f4d21);
    assert.equal(guest.load(0xf0010), 0x524f4d21);
    physical.setShadow(0xf0000, 0xfffff, SHADOW_WRITE);
    for (let at = 0xf0000; at < 0xf0020; at += 4) guest.store(at, guest.load(at) + 1);
    assert.equal(guest.load(0xf0010), 0x524f4d21, 'reads go to the ROM still');
    physical.setShadow(0xf0000, 0xfffff, SHADOW_READ);
    assert.equal(guest.load(0xf0010), 0x524f4d22);
    guest.store(0xf0010, 7);
    assert.equal(guest.load(0xf0010), 0x524f4d22);
    physical.setShadow(0xf0000, 0xfffff, SHADOW_READ | SHADOW_WRITE);
    guest.store(0xf0010, 7);
    assert.equal(guest.load(0xf0010), 7);
    assert.ok(guest.writeHits(0xf0010));
    physical.setShadow(0xf0000, 0xfffff, 0);
    assert.equal(guest.load(0xf0010), 0x524f4d21);
    assert.equal(guest.load(0xc0000), 0xffffffff);
    physical.setShadow(0xc0000, 0xc3fff, SHADOW_WRITE);
    guest.store(0xc0000, 9);
    assert.equal(guest.load(0xc0000), 0xffffffff);
    physical.setShadow(0xc0000, 0xc3fff, SHADOW_READ);
    assert.equal(guest.load(0xc0000), 9);
  });

  it('wraps at 1 MiB while the A20 gate is closed', () => {
    const guest = createGuest();
    guest.setWord(0x500, 0x11111111);
    guest.setWord(0x100500, 0x22222222);
    guest.setWord(0x300500, 0x33333333);
    assert.equal(guest.load(0x100500), 0x22222222);
    guest.mmu.setA20(false);
    assert.equal(guest.load(0x100500), 0x11111111);
    assert.equal(guest.mmu.physical.read32(0x100500), 0x11111111);
    assert.equal(guest.mmu.fetchPage(0x100000).gpaPage, 0);
    assert.equal(guest.load(0x300500), 0, 'bit 20 is gone everywhere: this is 200500');
    guest.store(0x100500, 0x44444444);
    guest.mmu.setA20(true);
    assert.equal(guest.load(0x100500), 0x22222222);
    assert.equal(guest.load(0x500), 0x44444444);
    // With paging the gate works on the result of the walk.
    guest.setWord(0x10000, P | RW | PS);
    guest.paging(0x10000, { pse: true });
    assert.equal(guest.load(0x100500), 0x22222222);
    guest.mmu.setA20(false);
    assert.equal(guest.load(0x100500), 0x44444444);
    assert.equal(guest.mmu.translateForDebugger(0x100500).gpa, 0x500);
  });

  it('traces the frame that is reached through the A20 wrap', () => {
    const guest = createGuest();
    const calls: number[] = [];
    guest.mmu.onCodeWrite = (gpa) => calls.push(gpa);
    guest.mmu.traceCode(0x500, 0x500);
    guest.mmu.setA20(false);
    guest.store(0x100500, 1);
    assert.deepEqual(calls, [0x500]);
  });

  it('keeps code traces on their frames while the A20 gate moves', () => {
    const guest = createGuest();
    const calls: number[] = [];
    guest.mmu.onCodeWrite = (gpa) => calls.push(gpa);
    guest.mmu.traceCode(0x500, 0x500);
    guest.mmu.traceCode(0x100500, 0x100500);
    guest.mmu.setA20(false);
    guest.mmu.untraceCodePage(0x100);
    guest.store(0x500, 1);
    guest.mmu.setA20(true);
    guest.store(0x100500, 1);
    assert.deepEqual(calls, [0x500]);
  });

  it('copies bytes across pages and keeps 16- and 32-bit accesses whole', () => {
    const guest = createGuest();
    const { physical } = guest.mmu;
    const bytes = Uint8Array.from({ length: 10000 }, (_, i) => i * 7);
    physical.writeBytes(0x1801, bytes);
    assert.deepEqual(physical.readBytes(0x1801, 10000), bytes);
    physical.write32(0x1ffe, 0x87654321);
    assert.equal(physical.read32(0x1ffe), 0x87654321);
    physical.write16(0x2fff, 0xbeef);
    assert.equal(physical.read16(0x2fff), 0xbeef);
  });

  it('says which region makes no sense', () => {
    assert.throws(() => createGuest({ ramBytes: 5000 }), /ramBytes 5000/);
    assert.throws(() => createGuest({ ramBytes: TEST_RAM * 2 }), /WebAssembly memory has/);
    assert.throws(() => createGuest({ rom: [{ first: 0x100, last: 0xfff }] }), /ROM 100–fff: must be whole 4 KiB pages/);
    assert.throws(() => createGuest({ rom: [{ first: 0xffff0000, last: 0xffffffff }] }), /lies outside/);
    assert.throws(() => createGuest({ mmio: [{ first: 10, last: 5, read: () => 0, write: () => { /* ignored */ } }] }), /MMIO window a–5/);
  });
});
