import { strict as assert } from 'node:assert';
import type { DiskImage } from './device';
import { Dma } from './dma';
import { FloppyController } from './floppy';
import { TestClock } from './test-clock';

const geometry = { cylinders: 80, heads: 2, sectorsPerTrack: 18 };

class Bench {
  readonly clock = new TestClock();
  readonly ram = new Uint8Array(0x20000);
  readonly dma = new Dma();
  readonly bytes = new Uint8Array(2880 * 512);
  readonly controller: FloppyController;
  bad = -1;
  line = false;
  onLine: (level: boolean) => void = () => undefined;

  constructor(present = true) {
    for (let n = 0; n < 2880; n++) this.bytes.fill(n, n * 512, (n + 1) * 512);
    const disk: DiskImage = {
      sectors: 2880, sectorSize: 512,
      read: (sector, count) => {
        if (sector === this.bad) throw new Error('damaged');
        return this.bytes.slice(sector * 512, (sector + count) * 512);
      },
      write: (sector, bytes) => this.bytes.set(bytes, sector * 512),
    };
    const memory = {
      ramBytes: this.ram.length, read8: () => 0, read16: () => 0, read32: () => 0, write8: () => undefined, write16: () => undefined, write32: () => undefined,
      readBytes: (at: number, length: number) => this.ram.slice(at, at + length), writeBytes: (at: number, bytes: Uint8Array) => this.ram.set(bytes, at),
    };
    this.controller = new FloppyController({ clock: this.clock, memory, dma: this.dma, irq: (level) => { this.line = level; this.onLine(level); }, ...(present && { disk, geometry }) });
    this.controller.reset();
    this.out(0x3f2, 0x1c);
    for (let n = 0; n < 4; n++) assert.deepEqual(this.command([0x08]), [0xc0 | n, 0]);
    this.command([0x03, 0xaf, 0x02]);
  }

  out(port: number, value: number): void {
    this.controller.ports.find(({ first, last }) => port >= first && port <= last)!.write(port, value, 1);
  }

  inp(port: number): number {
    return this.controller.ports.find(({ first, last }) => port >= first && port <= last)!.read(port, 1);
  }

  /** As a driver: waits for RQM, writes bytes, waits, reads results. */
  command(bytes: readonly number[]): number[] {
    for (const byte of bytes) {
      assert.equal(this.inp(0x3f4) & 0xc0, 0x80);
      this.out(0x3f5, byte);
    }
    this.clock.advanceSeconds(0.001);
    const results: number[] = [];
    while ((this.inp(0x3f4) & 0xc0) === 0xc0) results.push(this.inp(0x3f5));
    return results;
  }

  /** Channel 2: single transfers to (0x46) or from (0x4a) memory. */
  channel(mode: number, address: number, bytes: number): void {
    const dma = (port: number, value: number) => this.dma.ports.find(({ first, last }) => port >= first && port <= last)!.write(port, value, 1);
    for (const [port, value] of [[0x0a, 6], [0x0c, 0], [0x0b, mode], [4, address & 0xff], [4, (address >> 8) & 0xff], [0x81, address >> 16], [5, (bytes - 1) & 0xff], [5, (bytes - 1) >> 8], [0x0a, 2]]) dma(port, value);
  }

  seek(cylinder: number): void {
    assert.deepEqual(this.command([0x0f, 0, cylinder]), []);
    assert.equal(this.line, true);
    assert.deepEqual(this.command([0x08]), [0x20, cylinder]);
    assert.equal(this.line, false);
  }
}

describe('floppy controller', () => {
  it('reports four drives after a reset, then nothing', () => {
    const bench = new Bench();
    assert.deepEqual(bench.command([0x08]), [0x80]);
    assert.deepEqual(bench.command([0x10]), [0x90]);
    assert.deepEqual(bench.command([0x1f]), [0x80], 'no such command');
    bench.out(0x3f2, 0x18);
    assert.equal(bench.inp(0x3f4), 0);
    bench.out(0x3f2, 0x1c);
    assert.equal(bench.line, true);
  });

  it('seeks, and clears the change line by it', () => {
    const bench = new Bench();
    assert.equal(bench.inp(0x3f7) & 0x80, 0x80);
    bench.seek(10);
    assert.equal(bench.inp(0x3f7) & 0x80, 0);
    assert.deepEqual(bench.command([0x04, 0x04]), [0x2c]);
    assert.deepEqual(bench.command([0x07, 0]), []);
    assert.deepEqual(bench.command([0x08]), [0x20, 0]);
    assert.deepEqual(bench.command([0x04, 0x00]), [0x38]);
  });

  it('reads sectors by DMA over both heads', () => {
    const bench = new Bench();
    bench.seek(3);
    bench.channel(0x46, 0x8000, 3 * 512);
    // From head 0, sector 17 with multi-track: 17, 18, head 1 sector 1.
    assert.deepEqual(bench.command([0xe6, 0, 3, 0, 17, 2, 18, 0x1b, 0xff]), [4, 0, 0, 3, 1, 2, 2]);
    const first = 3 * 36 + 16;
    assert.deepEqual([0x8000, 0x8200, 0x8400].map((at) => bench.ram[at]), [first, first + 1, first + 2]);
    assert.equal(bench.line, false, 'taken back with the first result');
  });

  it('writes and formats', () => {
    const bench = new Bench();
    bench.seek(1);
    bench.ram.fill(0xab, 0x9000, 0x9200);
    bench.channel(0x4a, 0x9000, 512);
    assert.deepEqual(bench.command([0x45, 4, 1, 1, 5, 2, 18, 0x1b, 0xff]), [4, 0, 0, 1, 1, 6, 2]);
    const sector = (1 * 2 + 1) * 18 + 4;
    assert.ok(bench.bytes.subarray(sector * 512, (sector + 1) * 512).every((byte) => byte === 0xab));
    for (let r = 1; r <= 18; r++) bench.ram.set([1, 0, r, 2], 0xa000 + 4 * (r - 1));
    bench.channel(0x4a, 0xa000, 72);
    assert.deepEqual(bench.command([0x4d, 0, 2, 18, 0x54, 0xf6]).slice(0, 3), [0, 0, 0]);
    assert.ok(bench.bytes.subarray(36 * 512, 54 * 512).every((byte) => byte === 0xf6));
    assert.equal(bench.bytes[54 * 512], 54);
  });

  it('tells the end of the track, wrong places, bad sectors and missing drives', () => {
    const bench = new Bench();
    bench.channel(0x46, 0x8000, 1024);
    assert.deepEqual(bench.command([0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]).slice(0, 3), [0x40, 0x80, 0], 'end of cylinder');
    bench.channel(0x46, 0x8000, 512);
    assert.deepEqual(bench.command([0x46, 0, 5, 0, 1, 2, 18, 0x1b, 0xff]).slice(0, 3), [0x40, 0x04, 0x10]);
    assert.deepEqual(bench.command([0x46, 0, 0, 0, 19, 2, 19, 0x1b, 0xff]).slice(0, 3), [0x40, 0x04, 0]);
    bench.bad = 2;
    assert.deepEqual(bench.command([0x46, 0, 0, 0, 3, 2, 18, 0x1b, 0xff]).slice(0, 3), [0x40, 0x20, 0]);
    assert.deepEqual(bench.command([0x46, 1, 0, 0, 1, 2, 18, 0x1b, 0xff])[0], 0x49);
    assert.deepEqual(bench.command([0x0f, 1, 3]), []);
    assert.deepEqual(bench.command([0x08])[0], 0x71);
    assert.deepEqual(bench.command([0x4a, 0]), [0, 0, 0, 0, 0, 1, 2]);
    assert.equal(new Bench(false).command([0x4a, 0])[0] & 0x40, 0x40);
  });

  describe('without DMA', () => {
    /** SPECIFY with ND; the FIFO on or off. */
    const pio = (fifo = true): Bench => {
      const bench = new Bench();
      bench.command([0x03, 0xaf, 0x03]);
      bench.command([0x13, 0, fifo ? 0x0f : 0x20, 0]);
      return bench;
    };
    const send = (bench: Bench, bytes: readonly number[]): void => bytes.forEach((byte) => bench.out(0x3f5, byte));
    const results = (bench: Bench): number[] => {
      const bytes: number[] = [];
      while ((bench.inp(0x3f4) & 0xe0) === 0xc0) bytes.push(bench.inp(0x3f5));
      return bytes;
    };
    /** Polls as a driver does: moves a byte whenever the controller asks for one, until it does not execute any more. */
    const poll = (bench: Bench, data: readonly number[] = []): number[] => {
      const moved: number[] = [];
      let next = 0;
      for (let n = 0; n < 1e6; n++) {
        const status = bench.inp(0x3f4);
        if ((status & 0xc0) === 0xc0 && !(status & 0x20)) break;
        if ((status & 0xe0) === 0xe0) moved.push(bench.inp(0x3f5));
        else if ((status & 0xe0) === 0xa0 && next < data.length) bench.out(0x3f5, data[next++]);
        else bench.clock.advance(20);
      }
      return moved;
    };

    it('reads to the end of the track, which is the only end there is', () => {
      for (const fifo of [true, false]) {
        const bench = pio(fifo);
        bench.seek(3);
        send(bench, [0xe6, 0, 3, 0, 17, 2, 18, 0x1b, 0xff]);
        assert.equal(bench.inp(0x3f4), 0x10);
        const bytes = poll(bench);
        const first = 3 * 36 + 16;
        assert.equal(bytes.length, 20 * 512, '17 and 18 of head 0, the 18 of head 1');
        assert.deepEqual([0, 1, 2, 19].map((n) => bytes[512 * n + 511]), [first, first + 1, first + 2, first + 19]);
        assert.equal(bench.line, true);
        assert.deepEqual(results(bench), [0x44, 0x80, 0, 3, 1, 18, 2]);
        assert.equal(bench.line, false);
      }
    });

    it('asks by interrupt for each byte', () => {
      const bench = pio(false);
      send(bench, [0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]);
      for (let n = 0; n < 512; n++) {
        while (!bench.line) bench.clock.advance(16);
        assert.deepEqual([bench.inp(0x3f4), bench.inp(0x3f5), bench.line], [0xf0, 17, false]);
      }
      assert.equal(bench.inp(0x3f4), 0x70, 'no results yet');
      bench.clock.advance(200);
      assert.equal(bench.line, true);
      assert.deepEqual(results(bench).slice(0, 3), [0x40, 0x80, 0]);
    });

    it('writes, and formats', () => {
      const bench = pio();
      bench.seek(1);
      send(bench, [0x45, 4, 1, 1, 17, 2, 18, 0x1b, 0xff]);
      poll(bench, Array.from({ length: 1024 }, (_, n) => n >> 2 & 0xff));
      assert.deepEqual(results(bench).slice(0, 3), [0x44, 0x80, 0]);
      const at = ((1 * 2 + 1) * 18 + 16) * 512;
      assert.deepEqual([bench.bytes[at], bench.bytes[at + 512], bench.bytes[at + 1023], bench.bytes[at + 1024]], [0, 128, 255, 72]);
      send(bench, [0x4d, 0, 2, 18, 0x54, 0xf6]);
      poll(bench, Array.from({ length: 18 }, (_, n) => [1, 0, n + 1, 2]).flat());
      assert.deepEqual(results(bench).slice(0, 3), [0, 0, 0]);
      assert.ok(bench.bytes.subarray(36 * 512, 54 * 512).every((byte) => byte === 0xf6));
    });

    it('overruns when the guest is slower than the disk, at the sector where that was', () => {
      const bench = pio();
      send(bench, [0x46, 0, 0, 0, 2, 2, 18, 0x1b, 0xff]);
      let read = 0;
      for (; read < 700;) {
        if (bench.inp(0x3f4) === 0xf0) {
          bench.inp(0x3f5);
          read++;
        } else {
          bench.clock.advance(50);
        }
      }
      const edges: boolean[] = [];
      bench.onLine = (level) => edges.push(level);
      bench.clock.advanceSeconds(0.01);
      assert.deepEqual(edges.slice(-2), [false, true], 'an interrupt of its own');
      assert.deepEqual(results(bench), [0x40, 0x10, 0, 0, 0, 3, 2]);
      // A write that gets no bytes leaves the sector as it is.
      send(bench, [0x45, 0, 0, 0, 4, 2, 18, 0x1b, 0xff]);
      for (let n = 0; n < 10; n++) bench.out(0x3f5, 0xee);
      bench.clock.advanceSeconds(0.01);
      assert.deepEqual(results(bench).slice(0, 3), [0x40, 0x10, 0]);
      assert.equal(bench.bytes[3 * 512], 3);
      send(bench, [0x4d, 0, 2, 18, 0x54, 0xf6]);
      bench.clock.advanceSeconds(0.1);
      assert.deepEqual(results(bench).slice(0, 3), [0x40, 0x10, 0]);
    });

    it('tells bad sectors and wrong places, and forgets a transfer with a reset', () => {
      const bench = pio();
      bench.bad = 2;
      send(bench, [0x46, 0, 0, 0, 3, 2, 18, 0x1b, 0xff]);
      bench.clock.advanceSeconds(0.01);
      assert.deepEqual(results(bench).slice(0, 3), [0x40, 0x20, 0]);
      send(bench, [0x46, 0, 5, 0, 1, 2, 18, 0x1b, 0xff]);
      bench.clock.advanceSeconds(0.01);
      assert.deepEqual(results(bench).slice(0, 3), [0x40, 0x04, 0x10]);
      send(bench, [0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff]);
      bench.clock.advanceSeconds(0.002);
      bench.out(0x3f2, 0x18);
      bench.out(0x3f2, 0x1c);
      bench.clock.advanceSeconds(1);
      assert.equal(bench.inp(0x3f4), 0x80);
      assert.equal(bench.clock.pending, 0);
    });

    it('goes on from a saved state in the middle of a sector', () => {
      const bench = pio(), other = new Bench();
      send(bench, [0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff]);
      while (!bench.line) bench.clock.advance(16);
      other.clock.advanceTo(bench.clock.now());
      other.controller.restore(JSON.parse(JSON.stringify(bench.controller.save())));
      assert.deepEqual(poll(other), new Array<number>(512).fill(17));
      assert.deepEqual(results(other).slice(0, 2), [0x40, 0x80]);
    });
  });

  it('goes on from a saved state in the middle of a command', () => {
    const bench = new Bench(), other = new Bench();
    for (const byte of [0x0f, 0, 7]) bench.out(0x3f5, byte);
    other.controller.restore(JSON.parse(JSON.stringify(bench.controller.save())));
    assert.equal(other.inp(0x3f4), 0x10);
    other.clock.advanceSeconds(0.001);
    assert.deepEqual(other.command([0x08]), [0x20, 7]);
    assert.equal(other.controller.registerValues().length, other.controller.registers.length);
  });
});

describe('DMA channels', () => {
  it('count down to terminal count, wrap in 64 KiB, and start over when they are to', () => {
    const bench = new Bench();
    bench.channel(0x46, 0x1fff0, 0x20);
    assert.equal(bench.dma.advance(2, 0x18), false);
    assert.deepEqual([bench.dma.channel(2).address, bench.dma.channel(2).bytes], [0x10008, 8]);
    assert.equal(bench.dma.advance(2, 8), true);
    assert.equal(bench.dma.channel(2).masked, true);
    bench.channel(0x56, 0x1000, 0x20);
    assert.equal(bench.dma.advance(2, 0x20), true);
    assert.deepEqual([bench.dma.channel(2).address, bench.dma.channel(2).bytes, bench.dma.channel(2).masked], [0x1000, 0x20, false]);
  });
});
