/** Drives as drivers drive them: Linux's libata with ata_piix, SeaBIOS, and what a PIO driver of the DOS era does. */
import { strict as assert } from 'node:assert';
import type { AccessSize, DiskImage } from '../device';
import { PciBus } from '../pci/bus';
import { TestClock } from '../test-clock';
import { PiixIde, type IdeUnit } from './piix-ide';

class TestDisk implements DiskImage {
  readonly bytes: Uint8Array;
  bad = -1;

  constructor(readonly sectors: number, readonly sectorSize = 512) {
    this.bytes = new Uint8Array(sectors * sectorSize);
    const view = new DataView(this.bytes.buffer);
    for (let n = 0; n < sectors; n++) view.setUint32(n * sectorSize, n ^ 0x5a000000, true);
  }

  read(sector: number, count: number): Uint8Array {
    if (this.bad >= sector && this.bad < sector + count) throw new Error('damaged');
    return this.bytes.slice(sector * this.sectorSize, (sector + count) * this.sectorSize);
  }

  write(sector: number, bytes: Uint8Array): void {
    if (this.bad === sector) throw new Error('full');
    this.bytes.set(bytes, sector * this.sectorSize);
  }
}

const MASTER = 0xc000;

class Bench {
  readonly clock = new TestClock();
  readonly ram = new Uint8Array(0x100000);
  readonly ide: PiixIde;
  readonly bus: PciBus;
  readonly levels = [false, false];
  private readonly ports: { first: number; last: number; read(port: number, size: AccessSize): number; write(port: number, value: number, size: AccessSize): void }[] = [];

  constructor(...units: [IdeUnit?, IdeUnit?, IdeUnit?, IdeUnit?]) {
    const view = new DataView(this.ram.buffer);
    const memory = {
      ramBytes: this.ram.length,
      read8: (at: number) => this.ram[at] ?? 0xff, read16: (at: number) => view.getUint16(at, true),
      read32: (at: number) => (at + 4 <= this.ram.length ? view.getUint32(at, true) : 0xffffffff),
      write8: () => undefined, write16: () => undefined, write32: (at: number, value: number) => view.setUint32(at, value, true),
      readBytes: (at: number, length: number) => Uint8Array.from({ length }, (_, n) => this.ram[at + n] ?? 0xff),
      writeBytes: (at: number, bytes: Uint8Array) => { if (at + bytes.length <= this.ram.length) this.ram.set(bytes, at); },
    };
    this.bus = new PciBus({ maps: { mapPorts: (range) => this.ports.push(range), unmapPorts: () => undefined, mapMemory: () => undefined, unmapMemory: () => undefined } });
    this.ide = new PiixIde({ clock: this.clock, memory, irq: [(level) => { this.levels[0] = level; }, (level) => { this.levels[1] = level; }], units });
    this.ports.push(...this.ide.ports);
    this.bus.add(this.ide);
    this.bus.reset();
    this.ide.reset();
    this.bus.writeConfiguration(9, 0x20, MASTER, 4);
    this.bus.writeConfiguration(9, 4, 5, 2);
    this.bus.writeConfiguration(9, 0x40, 0x80008000, 4);
  }

  get memory(): DataView {
    return new DataView(this.ram.buffer);
  }

  out(port: number, value: number, size: AccessSize = 1): void {
    this.ports.find(({ first, last }) => port >= first && port <= last)!.write(port, value, size);
  }

  inp(port: number, size: AccessSize = 1): number {
    return this.ports.find(({ first, last }) => port >= first && port <= last)!.read(port, size);
  }

  /** Polls until the drive is not busy, as drivers do; the status. */
  wait(base = 0x1f0): number {
    for (let n = 0; n < 100; n++) {
      const status = this.inp(base + 0x206);
      if (!(status & 0x80)) return status;
      this.clock.advanceSeconds(1e-6);
    }
    return assert.fail('busy for ever');
  }

  /** Writes features to device (undefined: left alone) and the command. */
  command(base: number, code: number, registers: readonly (number | undefined)[] = []): number {
    registers.forEach((value, n) => { if (value !== undefined) this.out(base + 1 + n, value); });
    this.out(base + 7, code);
    return this.wait(base);
  }

  words(base: number, count: number): number[] {
    return Array.from({ length: count }, () => this.inp(base, 2));
  }

  /** Packet command by PIO with a byte limit; all bytes of the answer. */
  packet(packet: readonly number[], limit = 0x800, base = 0x170): { bytes: number[]; status: number; chunks: number[] } {
    let status = this.command(base, 0xa0, [0, 0, 0, limit & 0xff, limit >> 8]);
    assert.equal(status & 0x09, 0x08, 'wants the packet');
    assert.equal(this.inp(base + 2), 1);
    const full = [...packet, ...new Array<number>(12 - packet.length).fill(0)];
    for (let n = 0; n < 12; n += 2) this.out(base, full[n] | full[n + 1] << 8, 2);
    const bytes: number[] = [], chunks: number[] = [];
    for (status = this.wait(base); status & 8; status = this.wait(base)) {
      assert.equal(this.inp(base + 2), 2, 'data to the host');
      const count = this.inp(base + 4) | this.inp(base + 5) << 8;
      chunks.push(count);
      for (let n = 0; n < count; n += 2) {
        const word = this.inp(base, 2);
        bytes.push(word & 0xff);
        if (n + 1 < count) bytes.push(word >> 8);
      }
    }
    assert.equal(this.inp(base + 2), 3, 'completion');
    return { bytes, status, chunks };
  }

  sense(): number[] {
    const { bytes } = this.packet([0x03, 0, 0, 0, 18]);
    return [bytes[2], bytes[12], bytes[13]];
  }
}

const sectorNumber = (n: number): number[] => [n & 0xffff, ((n ^ 0x5a000000) >>> 16) & 0xffff];

describe('IDE channel', () => {
  it('is found as SeaBIOS does: signature after reset, a slot without drive answers nothing', () => {
    const bench = new Bench({ disk: new TestDisk(100) }, undefined, { cdrom: new TestDisk(10, 2048) });
    bench.out(0x3f6, 0x0e);
    assert.equal(bench.inp(0x3f6) & 0x80, 0x80, 'busy while reset is held');
    bench.out(0x3f6, 0x0a);
    assert.equal(bench.wait(), 0x50);
    assert.deepEqual([1, 2, 3, 4, 5].map((n) => bench.inp(0x1f0 + n)), [1, 1, 1, 0, 0]);
    bench.out(0x376, 0x0e);
    bench.out(0x376, 0x0a);
    assert.deepEqual([1, 2, 3, 4, 5].map((n) => bench.inp(0x170 + n)), [1, 1, 1, 0x14, 0xeb]);
    bench.out(0x1f6, 0xb0);
    bench.out(0x1f2, 0x55);
    bench.out(0x1f3, 0xaa);
    assert.deepEqual([bench.inp(0x1f2), bench.inp(0x1f3), bench.inp(0x1f7)], [0, 0, 0]);
    bench.out(0x1f6, 0xa0);
    assert.equal(bench.inp(0x1f2), 0x55, 'the other drive listened');
  });

  it('does not answer while its decode bit or the I/O bit is clear', () => {
    const bench = new Bench({ disk: new TestDisk(100) });
    bench.bus.writeConfiguration(9, 0x40, 0, 2);
    assert.deepEqual([bench.inp(0x1f7), bench.inp(0x3f6), bench.inp(0x1f0, 2)], [0xff, 0xff, 0xffff]);
    bench.bus.writeConfiguration(9, 0x40, 0x8000, 2);
    assert.equal(bench.inp(0x1f7), 0x50);
    bench.bus.writeConfiguration(9, 4, 0, 2);
    assert.equal(bench.inp(0x1f7), 0xff);
  });

  it('answers the diagnostic of both drives and clears the interrupt when the status is read', () => {
    const bench = new Bench({ disk: new TestDisk(100) });
    bench.out(0x1f7, 0x90);
    assert.deepEqual([bench.levels[0], bench.inp(0x1f1)], [true, 1]);
    bench.inp(0x3f6);
    assert.equal(bench.levels[0], true, 'the alternate status leaves it');
    bench.inp(0x1f7);
    assert.equal(bench.levels[0], false);
  });

  it('keeps the interrupt to itself with nIEN', () => {
    const bench = new Bench({ disk: new TestDisk(100) });
    bench.out(0x3f6, 2);
    bench.command(0x1f0, 0xe7);
    assert.equal(bench.levels[0], false);
    bench.out(0x3f6, 0);
    assert.equal(bench.levels[0], true);
  });
});

describe('ATA disk', () => {
  it('identifies itself with a right checksum', () => {
    const bench = new Bench({ disk: new TestDisk(2048) });
    assert.equal(bench.command(0x1f0, 0xec, [0, 0, 0, 0, 0, 0xa0]), 0x58);
    assert.equal(bench.levels[0], true);
    const words = bench.words(0x1f0, 256);
    assert.equal(bench.wait(), 0x50);
    const text = (from: number, to: number) => words.slice(from, to).map((word) => String.fromCharCode(word >> 8, word & 0xff)).join('').trim();
    assert.deepEqual([text(27, 47), text(10, 20), words[1], words[3], words[6]], ['Ringside hard disk', 'RS00001', 2, 16, 63]);
    assert.deepEqual([words[60], words[61], words[100], words[83] & 0x400, words[49] & 0x300], [2048, 0, 2048, 0x400, 0x300]);
    assert.equal(words.reduce((sum, word) => sum + (word & 0xff) + (word >> 8), 0) & 0xff, 0);
  });

  it('reads sectors by LBA, CHS and 48-bit address, one interrupt a sector', () => {
    const disk = new TestDisk(100_000);
    const bench = new Bench({ disk });
    assert.equal(bench.command(0x1f0, 0x20, [0, 2, 0x34, 0x12, 0, 0xe0]), 0x58);
    assert.deepEqual(bench.words(0x1f0, 256).slice(0, 2), sectorNumber(0x1234));
    bench.inp(0x1f7);
    assert.equal(bench.levels[0], false);
    assert.equal(bench.wait(), 0x58);
    assert.equal(bench.levels[0], true);
    assert.deepEqual(bench.words(0x1f0, 256).slice(0, 2), sectorNumber(0x1235));
    bench.inp(0x1f7);
    assert.deepEqual([bench.wait(), bench.levels[0]], [0x50, false], 'no interrupt behind the last');
    // Cylinder 2, head 3, sector 4.
    bench.command(0x1f0, 0x20, [0, 1, 4, 2, 0, 0xa3]);
    assert.deepEqual(bench.words(0x1f0, 256).slice(0, 2), sectorNumber((2 * 16 + 3) * 63 + 3));
    // Previous values first: count 1, LBA 0x10000 + 2.
    for (const [n, value] of [[2, 0], [3, 0], [4, 0], [5, 0], [2, 1], [3, 2], [4, 0], [5, 1], [6, 0x40]] as const) bench.out(0x1f0 + n, value);
    bench.command(0x1f0, 0x24);
    assert.deepEqual(bench.words(0x1f0, 256).slice(0, 2), sectorNumber(0x10002));
    bench.out(0x3f6, 0x80);
    assert.equal(bench.inp(0x1f5), 0, 'the previous value');
    bench.out(0x1f1, 0);
    assert.equal(bench.inp(0x1f5), 1);
  });

  it('writes sectors, reads and writes blocks of several, with 32-bit accesses', () => {
    const disk = new TestDisk(1000);
    const bench = new Bench({ disk });
    assert.equal(bench.command(0x1f0, 0x30, [0, 2, 10, 0, 0, 0xe0]), 0x58);
    assert.equal(bench.levels[0], false, 'no interrupt before the first block');
    for (let n = 0; n < 128; n++) bench.out(0x1f0, 0x01020304 + n, 4);
    assert.equal(bench.wait(), 0x58);
    assert.equal(bench.levels[0], true);
    for (let n = 0; n < 256; n++) bench.out(0x1f0, 0xbeef, 2);
    assert.equal(bench.wait(), 0x50);
    assert.deepEqual([...disk.bytes.subarray(5120, 5124), disk.bytes[5632]], [4, 3, 2, 1, 0xef]);
    assert.equal(bench.command(0x1f0, 0xc4, [0, 4, 0, 0, 0, 0xe0]), 0x51, 'multiple is off at first');
    assert.equal(bench.command(0x1f0, 0xc6, [0, 3]), 0x51);
    assert.equal(bench.command(0x1f0, 0xc6, [0, 4]), 0x50);
    bench.command(0x1f0, 0xc4, [0, 6, 20, 0, 0, 0xe0]);
    bench.inp(0x1f7);
    const words = bench.words(0x1f0, 4 * 256);
    assert.deepEqual(words.slice(768, 770), sectorNumber(23));
    assert.equal(bench.wait(), 0x58);
    assert.deepEqual(bench.words(0x1f0, 512).slice(256, 258), sectorNumber(25));
    assert.equal(bench.wait(), 0x50);
    bench.command(0x1f0, 0xc5, [0, 4, 30, 0, 0, 0xe0]);
    for (let n = 0; n < 1024; n++) bench.out(0x1f0, 0x4141, 2);
    assert.equal(bench.wait(), 0x50);
    assert.ok(disk.bytes.subarray(30 * 512, 34 * 512).every((byte) => byte === 0x41));
  });

  it('answers what it cannot do with ABRT, and addresses that it does not have with IDNF', () => {
    const disk = new TestDisk(100);
    const bench = new Bench({ disk });
    for (const [code, registers, error] of [
      [0x00, [], 4], [0xff, [], 4], [0xa0, [], 4], [0xa1, [], 4], [0x20, [0, 1, 100, 0, 0, 0xe0], 0x10], [0x20, [0, 1, 0, 0, 0, 0xa0], 0x10],
      [0x20, [0, 1, 1, 255, 255, 0xaf], 0x10], [0xc8, [0, 1, 0, 1, 0, 0xe0], 0x10], [0xef, [0x77], 4], [0xef, [3, 0x47], 4], [0xb0, [0xd8, 0, 0, 0, 0], 4],
    ] as const) {
      assert.equal(bench.command(0x1f0, code, registers), 0x51, code.toString(16));
      assert.equal(bench.inp(0x1f1), error, code.toString(16));
    }
    // Over the end: the sectors that exist come, then the error with the address.
    bench.command(0x1f0, 0x20, [0, 3, 99, 0, 0, 0xe0]);
    bench.words(0x1f0, 256);
    assert.deepEqual([bench.wait(), bench.inp(0x1f1), bench.inp(0x1f3), bench.inp(0x1f2)], [0x51, 0x10, 100, 2]);
    disk.bad = 5;
    assert.deepEqual([bench.command(0x1f0, 0x20, [0, 1, 5, 0, 0, 0xe0]), bench.inp(0x1f1)], [0x51, 0x40]);
    assert.equal(bench.command(0x1f0, 0x40, [0, 10, 0, 0, 0, 0xe0]), 0x51);
    bench.command(0x1f0, 0x30, [0, 1, 5, 0, 0, 0xe0]);
    for (let n = 0; n < 256; n++) bench.out(0x1f0, 0, 2);
    assert.deepEqual([bench.wait(), bench.inp(0x1f1)], [0x71, 4], 'device fault');
  });

  it('sets modes and tells power and health', () => {
    const bench = new Bench({ disk: new TestDisk(100) });
    assert.equal(bench.command(0x1f0, 0xef, [0x03, 0x45]), 0x50);
    bench.command(0x1f0, 0xec);
    const words = bench.words(0x1f0, 256);
    assert.deepEqual([words[63], words[88]], [0x0007, 0x203f]);
    assert.equal(bench.command(0x1f0, 0xe0), 0x50);
    bench.command(0x1f0, 0xe5);
    assert.equal(bench.inp(0x1f2), 0);
    bench.command(0x1f0, 0xe1);
    bench.command(0x1f0, 0xe5);
    assert.equal(bench.inp(0x1f2), 0xff);
    assert.equal(bench.command(0x1f0, 0xb0, [0xda, 0, 0, 0x4f, 0xc2]), 0x50);
    assert.deepEqual([bench.inp(0x1f4), bench.inp(0x1f5)], [0x4f, 0xc2]);
    // Another geometry: 4 heads of 17 sectors.
    assert.equal(bench.command(0x1f0, 0x91, [0, 17, 0, 0, 0, 0xa3]), 0x50);
    bench.command(0x1f0, 0x20, [0, 1, 17, 0, 0, 0xa3]);
    assert.deepEqual(bench.words(0x1f0, 2), sectorNumber(67));
  });
});

describe('bus master', () => {
  const table = (bench: Bench, at: number, ...regions: readonly (readonly [address: number, bytes: number])[]) => {
    regions.forEach(([address, bytes], n) => {
      bench.memory.setUint32(at + 8 * n, address, true);
      bench.memory.setUint32(at + 8 * n + 4, (bytes & 0xffff) + (n === regions.length - 1 ? 0x80000000 : 0), true);
    });
    bench.out(MASTER + 4, at, 4);
  };

  it('reads and writes scattered memory as libata asks', () => {
    const disk = new TestDisk(1000);
    const bench = new Bench({ disk });
    table(bench, 0x1000, [0x2000, 0x300], [0x8000, 0x500]);
    bench.out(MASTER, 8);
    bench.out(MASTER + 2, 6);
    assert.equal(bench.command(0x1f0, 0xc8, [0, 4, 7, 0, 0, 0xe0]) & 0x88, 8, 'waits for the bus master');
    bench.out(MASTER, 9);
    assert.equal(bench.levels[0], true);
    assert.equal(bench.inp(MASTER + 2), 0x64, 'interrupt, not active, capable');
    assert.equal(bench.inp(0x1f7), 0x50);
    bench.out(MASTER, 8);
    bench.out(MASTER + 2, 4);
    assert.equal(bench.inp(MASTER + 2), 0x60);
    assert.deepEqual([bench.memory.getUint32(0x2000, true), bench.memory.getUint32(0x8100, true)], [0x5a000007, 0x5a000009]);
    // Started before the drive is ready, 48 bits, from memory.
    bench.ram.fill(0x77, 0x20000, 0x30000);
    table(bench, 0x1000, [0x20000, 0]);
    bench.out(MASTER, 1);
    for (const [n, value] of [[2, 0], [3, 0], [4, 0], [5, 0], [2, 128], [3, 50], [4, 0], [5, 0], [6, 0x40]] as const) bench.out(0x1f0 + n, value);
    assert.equal(bench.command(0x1f0, 0x35), 0x50);
    assert.equal(bench.inp(MASTER + 2), 0x64);
    assert.ok(disk.bytes.subarray(50 * 512, 178 * 512).every((byte) => byte === 0x77));
    assert.notEqual(disk.bytes[178 * 512], 0x77);
  });

  it('stays active when the table has more room, and leaves the drive waiting when it has less', () => {
    const bench = new Bench({ disk: new TestDisk(1000) });
    table(bench, 0x1000, [0x2000, 0x400]);
    bench.out(MASTER, 9);
    bench.command(0x1f0, 0xc8, [0, 1, 7, 0, 0, 0xe0]);
    assert.equal(bench.inp(MASTER + 2), 0x65);
    bench.inp(0x1f7);
    bench.out(MASTER, 0);
    bench.out(MASTER + 2, 4);
    table(bench, 0x1000, [0x2000, 0x200]);
    bench.out(MASTER, 9);
    assert.equal(bench.command(0x1f0, 0xc8, [0, 2, 7, 0, 0, 0xe0]) & 8, 8);
    assert.deepEqual([bench.inp(MASTER + 2), bench.levels[0]], [0x60, false]);
    bench.out(0x3f6, 4);
    bench.out(0x3f6, 0);
    assert.equal(bench.wait(), 0x50);
  });

  it('survives tables of nonsense, and does nothing without the master bit', () => {
    const bench = new Bench({ disk: new TestDisk(70_000) });
    bench.ram.fill(0);
    bench.out(MASTER + 4, 0xfffffffc, 4);
    bench.out(MASTER, 9);
    bench.command(0x1f0, 0xc8, [0, 0, 0, 0, 0, 0xe0]);
    bench.out(0x3f6, 4);
    bench.out(0x3f6, 0);
    bench.out(MASTER, 0);
    bench.out(MASTER + 4, 0, 4);
    bench.out(MASTER, 1);
    bench.command(0x1f0, 0xc8, [0, 4, 0, 0, 0, 0xe0]);
    assert.equal(bench.inp(MASTER + 2) & 2, 2, 'a read with the direction of a write');
    bench.out(0x3f6, 4);
    bench.out(0x3f6, 0);
    bench.bus.writeConfiguration(9, 4, 1, 2);
    bench.out(MASTER, 0);
    bench.out(MASTER, 9);
    assert.equal(bench.command(0x1f0, 0xc8, [0, 4, 0, 0, 0, 0xe0]) & 8, 8);
  });
});

describe('CD drive', () => {
  const withDisc = () => new Bench(undefined, undefined, { cdrom: new TestDisk(300, 2048) });

  it('identifies itself as a packet device', () => {
    const bench = withDisc();
    assert.equal(bench.command(0x170, 0xec) & 1, 1);
    assert.deepEqual([bench.inp(0x171), bench.inp(0x174), bench.inp(0x175)], [4, 0x14, 0xeb]);
    bench.command(0x170, 0xa1);
    const words = bench.words(0x170, 256);
    assert.equal(words[0], 0x85c0);
    const inquiry = bench.packet([0x12, 0, 0, 0, 36]).bytes;
    assert.equal(inquiry.length, 36);
    assert.deepEqual([inquiry[0], inquiry[1], String.fromCharCode(...inquiry.slice(8, 16))], [5, 0x80, 'Ringside']);
  });

  it('reads sectors in pieces of the byte limit, and by DMA', () => {
    const bench = withDisc();
    const { bytes, chunks, status } = bench.packet([0x28, 0, 0, 0, 0, 17, 0, 0, 3], 0x800);
    assert.deepEqual([bytes.length, chunks, status], [6144, [2048, 2048, 2048], 0x50]);
    assert.deepEqual(bytes.slice(4096, 4100), [19, 0, 0, 0x5a]);
    assert.deepEqual(bench.packet([0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 1], 600).chunks, [600, 600, 600, 248]);
    bench.memory.setUint32(0x1000, 0x2000, true);
    bench.memory.setUint32(0x1004, 0x80001000, true);
    bench.out(MASTER + 12, 0x1000, 4);
    bench.out(MASTER + 8, 8);
    bench.command(0x170, 0xa0, [1]);
    for (const word of [0x28, 0, 100 << 8, 0, 2, 0]) bench.out(0x170, word, 2);
    bench.wait(0x170);
    bench.out(MASTER + 8, 9);
    assert.deepEqual([bench.inp(MASTER + 10), bench.levels[1], bench.wait(0x170)], [0x64, true, 0x50]);
    assert.deepEqual([bench.memory.getUint32(0x2000, true), bench.memory.getUint32(0x2800, true)], [0x5a000064, 0x5a000065]);
  });

  it('tells capacity, contents, pages and features', () => {
    const bench = withDisc();
    assert.deepEqual(bench.packet([0x25]).bytes, [0, 0, 1, 43, 0, 0, 8, 0]);
    assert.deepEqual(bench.packet([0x43, 0, 0, 0, 0, 0, 0, 0, 12]).bytes, [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    assert.deepEqual(bench.packet([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 20]).bytes.slice(4), [0, 0x14, 0xaa, 0, 0, 0, 6, 0]);
    assert.deepEqual(bench.packet([0x43, 0, 1, 0, 0, 0, 0, 0, 12]).bytes.slice(0, 4), [0, 10, 1, 1]);
    const modes = bench.packet([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128]).bytes;
    assert.deepEqual([modes[0] << 8 | modes[1], modes.length, modes[8]], [26, 28, 0x2a]);
    const features = bench.packet([0x46, 0, 0, 0, 0, 0, 0, 1, 0]).bytes;
    assert.equal(features.length, 4 + (features[2] << 8 | features[3]));
    assert.deepEqual(features.slice(6, 10), [0, 8, 0, 0]);
    assert.deepEqual(bench.packet([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]).bytes, [0, 6, 4, 0x10, 0, 2, 0, 0]);
    assert.equal(bench.packet([0x51, 0, 0, 0, 0, 0, 0, 0, 34]).bytes.length, 34);
  });

  it('explains errors by sense data', () => {
    const bench = withDisc();
    assert.deepEqual(bench.packet([0x28, 0, 0, 0, 1, 44, 0, 0, 1]).status, 0x51);
    assert.equal(bench.inp(0x171), 0x54);
    assert.deepEqual(bench.sense(), [5, 0x21, 0]);
    assert.deepEqual(bench.sense(), [0, 0, 0]);
    bench.packet([0x5b]);
    assert.deepEqual(bench.sense(), [5, 0x20, 0]);
    const empty = new Bench(undefined, undefined, { cdrom: undefined });
    assert.equal(empty.packet([0x00]).status, 0x51);
    assert.deepEqual(empty.sense(), [2, 0x3a, 0]);
  });

  it('opens the tray unless locked, and reports the change', () => {
    const bench = withDisc();
    bench.packet([0x1e, 0, 0, 0, 1]);
    bench.packet([0x1b, 0, 0, 0, 2]);
    assert.deepEqual(bench.sense(), [5, 0x53, 2]);
    bench.packet([0x1e]);
    assert.equal(bench.packet([0x1b, 0, 0, 0, 2]).status, 0x50);
    bench.packet([0x00]);
    assert.deepEqual(bench.sense(), [2, 0x3a, 0]);
    bench.packet([0x1b, 0, 0, 0, 3]);
    assert.equal(bench.packet([0x00]).status, 0x51);
    assert.deepEqual(bench.sense(), [6, 0x28, 0]);
    assert.equal(bench.packet([0x00]).status, 0x50);
    const disc = new TestDisk(10, 2048);
    disc.bad = 3;
    const damaged = new Bench(undefined, undefined, { cdrom: disc });
    damaged.packet([0x28, 0, 0, 0, 0, 3, 0, 0, 1]);
    assert.deepEqual(damaged.sense(), [3, 0x11, 0]);
  });

  it('starts over by DEVICE RESET', () => {
    const bench = withDisc();
    bench.out(0x177, 0xa0);
    bench.wait(0x170);
    bench.out(0x177, 0x08);
    assert.deepEqual([bench.inp(0x177), bench.inp(0x174), bench.inp(0x175)], [0, 0x14, 0xeb]);
  });
});

describe('IDE state', () => {
  it('is saved in the middle of a transfer and goes on elsewhere', () => {
    const disk = new TestDisk(1000);
    const first = new Bench({ disk }), second = new Bench({ disk });
    first.command(0x1f0, 0x20, [0, 2, 9, 0, 0, 0xe0]);
    first.words(0x1f0, 100);
    second.ide.restore(JSON.parse(JSON.stringify(first.ide.save())));
    assert.equal(second.levels[0], true);
    assert.deepEqual(second.words(0x1f0, 156), first.words(0x1f0, 156));
    first.ide.save();
    second.ide.restore(JSON.parse(JSON.stringify(first.ide.save())));
    assert.equal(second.wait(), 0x58);
    assert.deepEqual(second.words(0x1f0, 2), sectorNumber(10));
  });

  it('is described by values that fit the rows', () => {
    const bench = new Bench({ disk: new TestDisk(10) });
    assert.equal(bench.ide.registerValues().length, bench.ide.registers.length);
    const value = (name: string) => bench.ide.registerValues()[bench.ide.registers.findIndex((row) => row.name === name)];
    assert.deepEqual([value('Primary status'), value('Secondary status')], [0x50, undefined]);
  });
});
