import { strict as assert } from 'node:assert';
import { isoImage, type BootImage } from '../../../../test/support/iso';
import { MemoryDisk, floppyDisk, hardDiskGeometry } from '../disk';
import { CopyOnWriteDisk } from '../images/copy-on-write';
import { RawImage } from '../images/raw';
import { Reg } from './bios-cpu';
import { bootEntry } from './el-torito';
import type { BiosDrive } from './host';
import { BDA } from './layout';
import { rom, Trap } from './rom';
import { Bench } from './test-bench';

const disc = (bytes: Uint8Array) => new CopyOnWriteDisk(new RawImage(bytes, 2048));
const bootable = (boot: BootImage) => disc(isoImage({ 'README.TXT': new TextEncoder().encode('hello') }, boot));

/** Sector n of 512 bytes is full of n + 1. */
function marked(sectors: number): Uint8Array {
  const bytes = new Uint8Array(sectors * 512);
  for (let n = 0; n < sectors; n++) bytes.fill(n + 1, n * 512, (n + 1) * 512);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

function withDisc(boot: BootImage): Bench {
  const hard = new MemoryDisk(new Uint8Array(20 * 512));
  const bench = new Bench(new Map<number, BiosDrive>([[0, floppyDisk(new Uint8Array(512))], [0x80, { disk: hard, geometry: hardDiskGeometry(hard) }]]), 4 << 20, bootable(boot));
  bench.enter(Trap.boot);
  return bench;
}

/** Where the far return goes that follows a successful boot. */
const target = (bench: Bench): [number, number] => {
  const sp = bench.cpu.registers[Reg.SP];
  return [bench.memory.read16(sp + 2), bench.memory.read16(sp)];
};

describe('El Torito', () => {
  it('loads an image without emulation and gives the disc number E0h', () => {
    const bench = withDisc({ bytes: marked(10), sectors: 3 });
    assert.deepEqual([bench.cpu.registers[Reg.DX], ...target(bench)], [0xe0, 0, 0x7c00]);
    assert.deepEqual([0x7c00, 0x7e00, 0x8000, 0x8200].map((at) => bench.memory.read8(at)), [1, 2, 3, 0]);
    const present = bench.int(0x13, { eax: 0x4100, ebx: 0x55aa, edx: 0xe0 });
    assert.deepEqual([present.bx, present.cx, present.carry], [0xaa55, 3, false]);
    bench.int(0x13, { eax: 0x4b01, edx: 0xe0, esi: 0x1000 });
    assert.deepEqual([...bench.memory.readBytes(0x1000, 3)], [0x13, 0, 0xe0]);
    assert.deepEqual([bench.memory.read16(0x100c), bench.memory.read16(0x100e)], [0x7c0, 3]);
  });

  it('reads the disc in sectors of 2048 bytes, and does not write it', () => {
    const bench = withDisc({ bytes: marked(10) });
    const packet = (sector: number, count: number) => {
      bench.memory.writeBytes(0x2000, Uint8Array.of(16, 0, count, 0, 0, 0, 0x00, 0x05, sector, 0, 0, 0, 0, 0, 0, 0));
      return { edx: 0xe0, esi: 0x2000 };
    };
    assert.equal(bench.int(0x13, { eax: 0x4200, ...packet(16, 2) }).ah, 0);
    assert.equal(String.fromCharCode(...bench.memory.readBytes(0x5001, 5)), 'CD001');
    assert.equal(String.fromCharCode(...bench.memory.readBytes(0x5807, 9)), 'EL TORITO');
    assert.equal(bench.int(0x13, { eax: 0x4300, ...packet(16, 1) }).ah, 0x03);
    assert.equal(bench.int(0x13, { eax: 0x4200, ...packet(200, 1) }).ah, 0x04);
    assert.equal(bench.int(0x13, { eax: 0x0201, ecx: 1, edx: 0xe0 }).ah, 0x01);
    assert.equal(bench.int(0x13, { eax: 0x4600, edx: 0xe0 }).ah, 0xb2);
    bench.memory.write16(0x3000, 30);
    bench.int(0x13, { eax: 0x4800, edx: 0xe0, esi: 0x3000 });
    assert.equal(bench.memory.read16(0x3018), 2048);
  });

  it('emulates a diskette in drive A, and moves the real one to B', () => {
    const bench = withDisc({ bytes: marked(40), media: 2 });
    assert.deepEqual([bench.cpu.registers[Reg.DX], bench.memory.read8(0x7c00)], [0, 1]);
    assert.equal(bench.int(0x13, { eax: 0x0201, ecx: 0x0012, edx: 0, ebx: 0x1000 }).ah, 0);
    assert.equal(bench.memory.read8(0x1000), 18);
    assert.equal(bench.int(0x13, { eax: 0x0201, ecx: 0x0001, edx: 0x0101, ebx: 0x1000 }).ah, 0);
    assert.equal(bench.int(0x13, { eax: 0x0301, ecx: 0x0001, edx: 0x0000 }).ah, 3, 'write-protected');
    const parameters = bench.int(0x13, { eax: 0x0800, edx: 0 });
    assert.deepEqual([parameters.cx, parameters.dx], [0x4f12, 0x0102]);
    assert.equal(bench.int(0x13, { eax: 0x4b00, edx: 0x7f, esi: 0x1000 }).ah, 0);
    bench.int(0x13, { eax: 0x0201, ecx: 0x0001, edx: 0x0000, ebx: 0x1000 });
    assert.equal(bench.memory.read8(0x1000), 0, 'the real diskette again');
  });

  it('emulates a hard disk whose size its partition tells', () => {
    const image = marked(40);
    image.set([0x80, 1, 1, 0, 6, 3, 0x0a, 0, 1, 0, 0, 0, 35, 0, 0, 0], 446);
    const bench = withDisc({ bytes: image, media: 4 });
    assert.deepEqual([bench.cpu.registers[Reg.DX], bench.memory.read8(BDA.diskCount)], [0x80, 2]);
    bench.memory.write16(0x3000, 26);
    bench.int(0x13, { eax: 0x4800, edx: 0x80, esi: 0x3000 });
    assert.deepEqual([bench.memory.read32(0x3010), bench.memory.read32(0x3008)], [36, 4]);
    bench.int(0x13, { eax: 0x4800, edx: 0x81, esi: 0x3000 });
    assert.equal(bench.memory.read32(0x3010), 20);
  });

  it('says why a disc does not boot, and goes on to the next device', () => {
    const plain = disc(isoImage({ A: new Uint8Array(10) }));
    assert.equal(bootEntry(plain), 'no boot record (El Torito)');
    const damaged = (change: (iso: Uint8Array) => void): unknown => {
      const iso = isoImage({}, { bytes: marked(4) });
      change(iso);
      return bootEntry(disc(iso));
    };
    const catalog = 19 * 2048;
    assert.match(String(damaged((iso) => { iso[catalog + 5] ^= 1; })), /validation entry/);
    assert.match(String(damaged((iso) => { iso[17 * 2048 + 0x49] = 9; })), /catalog \(sector \d+\) is beyond/);
    assert.match(String(damaged((iso) => { iso[catalog + 32] = 0; })), /no entry for PCs/);
    assert.match(String(damaged((iso) => { iso[catalog + 42] = 9; })), /boot image \(sector \d+\) is beyond/);
    assert.match(String(damaged((iso) => { iso[catalog + 33] = 7; })), /media type 7/);
    const bench = new Bench(new Map(), 4 << 20, bootable({ bytes: marked(4), sectors: 0xffff }));
    bench.enter(Trap.boot);
    assert.match(bench.line(1), /CD: not a bootable disk \(its image of 33553920 bytes does not fit/);
    assert.equal(bench.cpu.eip, rom.labels.get('bootFailed'));
  });
});
