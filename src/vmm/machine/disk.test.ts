import { strict as assert } from 'node:assert';
import { vdiImage } from '../../../test/support/disk-images';
import { openDisk } from './images/open';
import { MemoryDisk, floppyDisk, hardDiskGeometry } from './disk';

/** The map leads out of the file. */
function damagedVdi(): Uint8Array {
  const image = vdiImage([0x41]);
  new DataView(image.buffer).setUint32(512, 7, true);
  return image;
}

describe('disk images', () => {
  it('are copy-on-write', () => {
    const bytes = new Uint8Array(2048).fill(1);
    const disk = new MemoryDisk(bytes);
    disk.write(1, new Uint8Array(1024).fill(2));
    assert.deepEqual([...disk.read(0, 4)].filter((_, i) => i % 512 === 0), [1, 2, 2, 1]);
    assert.ok(bytes.every((b) => b === 1));
    assert.deepEqual([...disk.writtenSectors()].map(({ sector }) => sector), [1, 2]);
  });

  it('fill up partial sectors and short media with zeros', () => {
    const disk = new MemoryDisk(new Uint8Array(513).fill(9), 4);
    assert.equal(disk.sectors, 4);
    const read = disk.read(1, 3);
    assert.equal(read[0], 9);
    assert.ok(read.subarray(1).every((b) => b === 0));
  });

  it('refuse what is outside', () => {
    const disk = new MemoryDisk(new Uint8Array(1024));
    for (const [sector, count] of [[2, 1], [-1, 1], [0, 3], [1.5, 1], [Number.NaN, 1]]) assert.throws(() => disk.read(sector, count), RangeError);
    assert.throws(() => disk.write(0, new Uint8Array(5)), RangeError);
    assert.equal(disk.read(2, 0).length, 0);
  });

  it('know the diskettes by size', () => {
    assert.deepEqual([floppyDisk(new Uint8Array(512)).geometry.sectorsPerTrack, floppyDisk(new Uint8Array(512)).disk.sectors], [18, 2880]);
    assert.equal(floppyDisk(new Uint8Array(737280)).geometry.sectorsPerTrack, 9);
    assert.equal(floppyDisk(new Uint8Array(1440 * 1024)).cmosType, 4);
  });

  it('guess hard-disk geometry from the partition table, else by size', () => {
    assert.deepEqual(hardDiskGeometry(new MemoryDisk(new Uint8Array(512), 20160)), { cylinders: 20, heads: 16, sectorsPerTrack: 63 });
    const mbr = new Uint8Array(512);
    mbr.set([0x80, 1, 1, 0, 6, 7, 0x20 | 0x40, 10], 446);
    mbr.set([0x55, 0xaa], 510);
    assert.deepEqual(hardDiskGeometry(new MemoryDisk(mbr, 2560)), { cylinders: 10, heads: 8, sectorsPerTrack: 32 });
    assert.equal(hardDiskGeometry(new MemoryDisk(new Uint8Array(0), 40_000_000)).heads, 255);
    assert.equal(hardDiskGeometry(new MemoryDisk(new Uint8Array(1))).cylinders, 1);
    const damaged = openDisk({ file: 'x', bytes: damagedVdi() }).disk;
    assert.equal(hardDiskGeometry(damaged).heads, 16, 'the first sector cannot be read');
    assert.deepEqual(hardDiskGeometry(new MemoryDisk(new Uint8Array(512), 1009)), { cylinders: 1, heads: 16, sectorsPerTrack: 63 });
  });
});
