import { strict as assert } from 'node:assert';
import { deflateRawSync, deflateSync, constants } from 'node:zlib';
import { QCOW2_CLUSTER, VMDK_GRAIN, descriptor, qcow2Image, vdiImage, vmdkImage, type VdiFields } from '../../../../test/support/disk-images';
import { randomSource } from '../../../../test/support/guest';
import { MachineError } from '../api';
import { CopyOnWriteDisk } from './copy-on-write';
import { DamagedSector } from './disk-file';
import { InflateError, inflate } from './inflate';
import { imageParts, openDisk as openFiles, type DiskImageFiles, type OpenDisk } from './open';
import { RawImage } from './raw';

const openDisk = (file: string, bytes: Uint8Array, backing?: DiskImageFiles): OpenDisk => openFiles({ file, bytes }, backing);

const fill = (value: number): Uint8Array => new Uint8Array(512).fill(value);

/** First byte of each sector. */
function firstBytes(disk: CopyOnWriteDisk): number[] {
  const bytes = disk.read(0, disk.sectors);
  return Array.from({ length: disk.sectors }, (_, n) => bytes[512 * n]);
}

/** First byte of each block of 4 KiB, all sectors of which have to be alike. */
function blocks(disk: CopyOnWriteDisk): number[] {
  const bytes = disk.read(0, disk.sectors);
  return Array.from({ length: disk.sectors / 8 }, (_, n) => {
    const block = bytes.subarray(4096 * n, 4096 * (n + 1));
    assert.ok(block.every((byte) => byte === block[0]));
    return block[0];
  });
}

/** What is refused, with what it says. */
function refusal(bytes: Uint8Array): string {
  try {
    openDisk('some.img', bytes);
  } catch (error) {
    assert.ok(error instanceof MachineError && error.advice);
    return error.message;
  }
  return assert.fail('was not refused');
}

describe('copy-on-write', () => {
  const raw = (sectors: number) => new RawImage(new Uint8Array(512 * sectors).fill(1), 512);

  it('shows what was written, sector by sector, in order', () => {
    const disk = new CopyOnWriteDisk(raw(20));
    disk.write(7, new Uint8Array(1024).fill(2));
    disk.write(3, fill(3));
    assert.deepEqual(firstBytes(disk), [1, 1, 1, 3, 1, 1, 1, 2, 2, ...new Array<number>(11).fill(1)]);
    assert.deepEqual([...disk.writtenSectors()].map(({ sector, bytes }) => [sector, bytes[511]]), [[3, 3], [7, 2], [8, 2]]);
  });

  it('bounds what a guest may write', () => {
    const disk = new CopyOnWriteDisk(raw(1000), 3 * 4096);
    for (const sector of [0, 8, 16, 17]) disk.write(sector, fill(2));
    assert.throws(() => disk.write(24, fill(2)), /more than 12288 bytes/);
  });

  it('reads a written sector where the image is damaged', () => {
    const disk = new CopyOnWriteDisk({ sectors: 4, sectorSize: 512, read: () => { throw new DamagedSector(); } });
    disk.write(1, fill(9));
    assert.equal(disk.read(1, 1)[0], 9);
    assert.throws(() => disk.read(0, 2), DamagedSector);
  });
});

describe('VDI images', () => {
  const content = [0x41, 'free', 'zero', 0x42] as const;

  it('are read through their map, in versions 0 and 1.1, with extra bytes, and cut at the disk\'s end', () => {
    for (const fields of [{}, { version: 2 }, { headerBytes: 384 }, { extraBytes: 512, type: 2 }, { version: 0x10000 }] as VdiFields[]) {
      const { disk, format } = openDisk('x.vdi', vdiImage(content, fields));
      assert.equal(format, 'vdi');
      assert.deepEqual(blocks(disk), [0x41, 0, 0, 0x42], JSON.stringify(fields));
    }
    const cut = openDisk('x.vdi', vdiImage(content, { diskBytes: 3 * 4096 + 600 })).disk;
    assert.equal(cut.sectors, 26);
    assert.equal(cut.read(25, 1)[0], 0x42);
  });

  it('keep what a guest writes: in place, in new blocks, and zeros as such', () => {
    const open = openDisk('x.vdi', vdiImage(['free', 0x41, 'zero', 'free', 'free'], { headerBytes: 384 }));
    const before = vdiImage(['free', 0x41, 'zero', 'free', 'free'], { headerBytes: 384 });
    open.disk.write(9, fill(0x51));
    open.disk.write(0, fill(0x52));
    open.disk.write(23, fill(0x53));
    open.disk.write(24, fill(0));
    const changed = open.changed();
    const again = openDisk('y.vdi', changed);
    assert.deepEqual(firstBytes(again.disk), firstBytes(open.disk));
    const view = new DataView(changed.buffer);
    assert.equal(view.getUint32(388, true), 3, 'allocated');
    assert.deepEqual([512, 516, 520, 524, 528].map((at) => view.getUint32(at, true)), [1, 0, 2, 0xfffffffe, 0xffffffff]);
    assert.equal(view.getUint32(72, true), 400, 'the longer header');
    assert.equal(view.getUint32(420, true), 0x22222223, 'a new modification');
    assert.equal(changed.length, before.length + 2 * 4096);
  });

  it('read free blocks of a difference from the parent that they belong to', () => {
    const parent = { file: 'base.vdi', bytes: vdiImage([0x41, 0x42]) };
    const child = vdiImage(['free', 'zero', 'free', 0x43], { type: 4, linkage: 0x11 });
    assert.match(refusal(child), /some\.img: VDI image: it holds only the differences to a parent/);
    const { disk, changed } = openDisk('child.vdi', child, parent);
    assert.deepEqual(blocks(disk), [0x41, 0, 0, 0x43]);
    disk.write(1, fill(0x61));
    assert.deepEqual(firstBytes(openDisk('child.vdi', changed(), parent).disk).slice(0, 3), [0x41, 0x61, 0x41]);
    assert.throws(() => openDisk('child.vdi', vdiImage(content, { type: 4, linkage: 0x12 }), parent), /uuidLinkage/);
    openDisk('child.vdi', vdiImage(content, { type: 4, linkage: 0x11, parentModify: 0x22 }), parent);
    assert.throws(() => openDisk('child.vdi', vdiImage(content, { type: 4, linkage: 0x11, parentModify: 0x23 }), parent), /uuidParentModify .* was changed since/);
  });

  const malformed: readonly (readonly [what: string, image: Uint8Array, reason: RegExp])[] = [
    ['version', vdiImage(content, { version: 0x20000 }), /version 2\.0 is unknown/],
    ['cbHeader', vdiImage(content, { headerBytes: 383 }), /cbHeader is 383/],
    ['offBlocks', vdiImage(content, { offBlocks: 455, offData: 1024 }), /offBlocks is 455, inside the header/],
    ['offData', vdiImage(content, { offData: 527 }), /offData is 527, inside the block map/],
    ['type 0', vdiImage(content, { type: 0 }), /image type is 0/],
    ['type 5', vdiImage(content, { type: 5 }), /image type is 5/],
    ['flags', vdiImage(content, { flags: 2 }), /fFlags is 0x2/],
    ['legacy sector size', vdiImage(content, { sectorBytes: 4096 }), /sector size is 4096/],
    ['LCHS sector size', vdiImage(content, { logicalSectorBytes: 1024 }), /LCHSGeometry\.cbSector is 1024/],
    ['cbDisk', vdiImage(content, { diskBytes: 0 }), /cbDisk is 0/],
    ['cBlocks', vdiImage(content, { blocks: 0, allocated: 0 }), /cBlocks is 0/],
    ['cbBlock', vdiImage(content, { blockBytes: 5000, diskBytes: 1000 }), /cbBlock is 5000/],
    ['cBlocksAllocated', vdiImage(content, { allocated: 5 }), /cBlocksAllocated is 5/],
    ['cbBlockExtra', vdiImage(content, { extraBytes: 768 }), /cbBlockExtra is 768/],
    ['too few blocks', vdiImage(content, { diskBytes: 4 * 4096 + 1 }), /cBlocks × cbBlock .* is less than cbDisk/],
    ['uuidCreate', vdiImage(content, { create: 0 }), /uuidCreate is nil/],
    ['uuidModify', vdiImage(content, { modify: 0 }), /uuidModify is nil/],
    ['a map beyond the file', vdiImage(content, { blocks: 0x40000000, offData: 0xffffffff & ~511 }).subarray(0, 5000), /offData|block map/],
    ['the end of the header', vdiImage(content).subarray(0, 380), /the file ends before LCHSGeometry/],
  ];
  for (const [what, image, reason] of malformed) it(`are refused for a bad field: ${what}`, () => assert.match(refusal(image), reason));

  it('are damaged where the map leads out of the file', () => {
    const image = vdiImage(content);
    new DataView(image.buffer).setUint32(512, 3, true);
    const { disk } = openDisk('x.vdi', image);
    assert.throws(() => disk.read(0, 1), DamagedSector);
    assert.equal(disk.read(24, 1)[0], 0x42);
  });
});

describe('qcow2 images', () => {
  const content = [0x41, 'free', 'zero', 0x42] as const;
  const patched = (at: number, value: number, image = qcow2Image(content)): Uint8Array => {
    new DataView(image.buffer).setUint32(at, value);
    return image;
  };

  it('are read through both tables, with compressed clusters and with a backing image', () => {
    assert.deepEqual(blocks(openDisk('x.qcow2', qcow2Image(content)).disk), [0x41, 0, 0, 0x42]);
    assert.deepEqual(blocks(openDisk('x.qcow2', qcow2Image([0x41, 'free'], { version: 2 })).disk), [0x41, 0]);
    const packed = openDisk('x.qcow2', qcow2Image([0x10, 'free', 0x30], { compressed: true })).disk;
    const bytes = packed.read(0, packed.sectors);
    for (const [at, value] of [[0, 0x10], [32, 0x11], [4095, 0x8f], [4096, 0], [8192, 0x30], [12287, 0xaf]]) assert.equal(bytes[at], value, String(at));
    const child = qcow2Image(['free', 'zero', 0x55, 'free'], { backing: 'base.qcow2' });
    assert.match(refusal(child), /differences to the backing file "base\.qcow2", which is not beside it/);
    assert.deepEqual(blocks(openDisk('x.qcow2', child, { file: 'b', bytes: qcow2Image([0x61, 0x62, 0x63]) }).disk), [0x61, 0, 0x55, 0]);
    assert.throws(() => openDisk('x.qcow2', qcow2Image(content)).changed(), /can be read only/);
  });

  const malformed: readonly (readonly [what: string, image: Uint8Array, reason: RegExp])[] = [
    ['version', patched(4, 4), /version is 4/], ['cluster_bits', patched(20, 30), /cluster_bits is 30/], ['size 0', patched(28, 0), /size is 0/],
    ['size beyond any disk', patched(24, 0x7fffffff), /size is larger/], ['size beyond the table', patched(24, 1), /l1_size is 1, but/],
    ['encryption', patched(32, 1), /encrypted/], ['l1_size', patched(36, 0), /l1_size is 0/], ['l1_table_offset', patched(44, 0x100), /l1_table_offset 0x100 is not at a cluster/],
    ['l1_table_offset beyond', patched(44, 0x100000), /lies beyond the end/], ['corrupt', qcow2Image(content, { incompatible: 2 }), /marked as corrupt/],
    ['external data', qcow2Image(content, { incompatible: 4 }), /in another file/], ['extended L2', qcow2Image(content, { incompatible: 16 }), /extended L2/],
    ['unknown features', qcow2Image(content, { incompatible: 0x100 }), /unknown features/], ['header_length', patched(100, 50), /header_length/],
    ['the end of the header', qcow2Image(content).subarray(0, 60), /beyond the end|ends before/],
  ];
  for (const [what, image, reason] of malformed) it(`are refused for a bad field: ${what}`, () => assert.match(refusal(image), reason));

  it('are damaged where a table leads out of the file, or compressed data is none', () => {
    const image = patched(2 * QCOW2_CLUSTER + 4, 0x7ff00000);
    assert.throws(() => openDisk('x', image).disk.read(0, 1), DamagedSector);
    assert.throws(() => openDisk('x', patched(QCOW2_CLUSTER + 4, 0x7ff00000)).disk.read(0, 1), DamagedSector);
    const packed = qcow2Image([0x10], { compressed: true });
    packed[3 * QCOW2_CLUSTER] ^= 0xff;
    assert.throws(() => openDisk('x', packed).disk.read(0, 1), DamagedSector);
  });
});

describe('files that an image names', () => {
  /** Asked for, in order, and what opens with them. */
  function collected(bytes: Uint8Array, files: Readonly<Record<string, Uint8Array>>, backed = false): { names: string[]; blocks: number[] } {
    const names: string[] = [];
    const parts = imageParts('x', bytes, backed);
    let next = parts.next();
    while (next.done !== true) {
      names.push(next.value);
      next = parts.next(files[next.value]);
    }
    return { names, blocks: backed ? [] : blocks(openFiles({ file: 'x', bytes, parts: next.value }).disk) };
  }

  it('are those that the ones it names name, too; each once', () => {
    const files = { b: qcow2Image(['free', 0x22, 'free'], { backing: 'c' }), c: descriptor([['FLAT', 8, 'd', 0], ['FLAT', 8, 'd', 0], ['FLAT', 8, 'd', 8]]), d: Uint8Array.from({ length: 8192 }, (_, n) => n >> 12) };
    const child = qcow2Image(['free', 'free', 'free', 0x44], { backing: 'b' });
    assert.deepEqual(collected(child, files), { names: ['b', 'c', 'd'], blocks: [0, 0x22, 1, 0x44] });
    assert.deepEqual(collected(child, files, true).names, []);
  });

  it('are what the backing format says: a raw disk may begin with anything', () => {
    const inner = qcow2Image([0x11], { backing: 'nowhere' });
    const { names } = collected(qcow2Image([0x33], { backing: 'b', backingFormat: 'raw' }), { b: inner });
    assert.deepEqual(names, ['b']);
    const { disk } = openFiles({ file: 'x', bytes: qcow2Image(['free'], { backing: 'b', backingFormat: 'raw', version: 2 }), parts: [{ name: 'b', bytes: inner }] });
    assert.deepEqual([...disk.read(0, 1).subarray(0, 4)], [...inner.subarray(0, 4)]);
  });

  it('are refused when they lead out of the folder or in a circle', () => {
    for (const name of ['/disks/base.img', '../base.img', 'sub/base.img', 'a\\\\b', '..', 'nbd:host', 'json:{}']) {
      assert.throws(() => collected(qcow2Image(['free'], { backing: name }), {}), /x: qcow2 image: the backing file is ".*", which is no plain file name/, name);
    }
    const files = { a: qcow2Image(['free'], { backing: 'b' }), b: qcow2Image(['free'], { backing: 'a' }) };
    assert.throws(() => collected(files.a, files), /differences to itself/);
  });
});

describe('VMDK images', () => {
  const content = [0x41, 'free', 'zero', 0x42] as const;
  const patched = (at: number, value: number, image = vmdkImage(content)): Uint8Array => {
    new DataView(image.buffer).setUint32(at, value, true);
    return image;
  };

  it('are read through directory and table, compressed ones by the footer', () => {
    assert.deepEqual(blocks(openDisk('x.vmdk', vmdkImage(content)).disk), [0x41, 0, 0, 0x42]);
    const packed = openDisk('x.vmdk', vmdkImage([0x10, 'free', 0x30], { compressed: true })).disk;
    const bytes = packed.read(0, packed.sectors);
    for (const [at, value] of [[0, 0x10], [32, 0x11], [VMDK_GRAIN, 0], [2 * VMDK_GRAIN, 0x30], [2 * VMDK_GRAIN + 4095, 0xaf]]) assert.equal(bytes[at], value, String(at));
  });

  const malformed: readonly (readonly [what: string, image: Uint8Array, reason: RegExp])[] = [
    ['version', patched(4, 9), /version is 9/], ['newlines', patched(73, 0x0a0a0a0a), /transferred as text/], ['capacity', patched(12, 0), /capacity is 0/],
    ['grainSize', patched(20, 9), /grainSize is 9/], ['numGTEsPerGT', patched(44, 0), /numGTEsPerGT is 0/], ['compressAlgorithm', patched(77, 1), /compressAlgorithm is 1/],
    ['gdOffset', patched(56, 0x10000), /gdOffset is 65536/], ['a capacity beyond any directory', patched(18, 0xff), /capacity/],
    ['another kind', vmdkImage(content, { createType: 'twoGbMaxExtentSparse' }), /createType is "twoGbMax/],
    ['no footer', patched(56, 0xffffffff, patched(60, 0xffffffff)), /footer/],
  ];
  for (const [what, image, reason] of malformed) it(`are refused for a bad field: ${what}`, () => assert.match(refusal(image), reason));

  /** First bytes of the blocks of a disk whose other files are given. */
  const together = (bytes: Uint8Array, files: Readonly<Record<string, Uint8Array>>): number[] => blocks(openFiles({ file: 'x.vmdk', bytes, parts: Object.entries(files).map(([name, part]) => ({ name, bytes: part })) }).disk);
  const flat = (...values: readonly number[]): Uint8Array => Uint8Array.from(values.flatMap((value) => new Array<number>(4096).fill(value)));

  it('are read from the files that a descriptor names', () => {
    assert.deepEqual(together(descriptor([['FLAT', 16, 'disk-flat.vmdk', 0]], { createType: 'monolithicFlat' }), { 'disk-flat.vmdk': flat(1, 2) }), [1, 2]);
    assert.deepEqual(together(descriptor([['FLAT', 8, 'f1', 8], ['ZERO', 8], ['SPARSE', 32, 's1'], ['VMFS', 8, 'f1']]), { f1: flat(7, 8, 9), s1: vmdkImage(content) }), [8, 0, 0x41, 0, 0, 0x42, 7]);
    assert.deepEqual(together(descriptor([['SPARSE', 16, 's1'], ['SPARSE', 8, 's2']], { parent: '12345678', hint: 'p.vmdk' }), {
      s1: vmdkImage([0x61, 'free']), s2: vmdkImage(['free']), 'p.vmdk': vmdkImage([0x11, 0x12, 0x13]),
    }), [0x61, 0x12, 0x13]);
    assert.deepEqual(together(vmdkImage(['free', 'zero', 0x55], { parent: '12345678', hint: 'p.vmdk' }), { 'p.vmdk': descriptor([['FLAT', 16, 'pf']]), pf: flat(3, 4) }), [3, 0, 0x55]);
  });

  const several: readonly (readonly [what: string, image: Uint8Array, reason: RegExp])[] = [
    ['an extent that is not there', descriptor([['FLAT', 8, 'disk-flat.vmdk', 0]]), /the extent "disk-flat\.vmdk" is not beside it/],
    ['an extent elsewhere', descriptor([['FLAT', 8, '../disk-flat.vmdk', 0]]), /"\.\.\/disk-flat\.vmdk", which is no plain file name/],
    ['an absolute extent', descriptor([['SPARSE', 8, 'C:\\\\disks\\\\x.vmdk']]), /is no plain file name/],
    ['an extent of another type', descriptor([['VMFSRDM', 8, 'x']]), /of type VMFSRDM/], ['an extent without sectors', descriptor([['FLAT', 0, 'x']]), /has 0 sectors/],
    ['no extents', descriptor([]), /names no extent/], ['many extents', descriptor(new Array<['ZERO', number]>(257).fill(['ZERO', 8])), /names 257 extents/],
    ['another kind of descriptor', descriptor([['FLAT', 8, 'x']], { createType: 'fullDevice' }), /createType is "fullDevice"/],
    ['a parent without a name', vmdkImage(content, { parent: '12345678' }), /does not name it/],
    ['a parent that is not there', vmdkImage(content, { parent: '12345678', hint: 'p.vmdk' }), /a parent, "p\.vmdk", which is not beside it/],
    ['a parent elsewhere', vmdkImage(content, { parent: '12345678', hint: '/disks/p.vmdk' }), /the parent .* "\/disks\/p\.vmdk", which is no plain/],
  ];
  for (const [what, image, reason] of several) it(`are refused for ${what}`, () => assert.match(refusal(image), reason));

  it('are refused with extents that are too short, or a parent that was changed', () => {
    assert.throws(() => together(descriptor([['FLAT', 16, 'f', 1]]), { f: flat(1, 2) }), /"f" has 8192 bytes, but 16 sectors from sector 1 on need 8704/);
    assert.throws(() => together(descriptor([['SPARSE', 17, 's']]), { s: vmdkImage([1, 2]) }), /"s" has 16 sectors instead of 17/);
    assert.throws(() => together(vmdkImage(content, { parent: '87654321', hint: 'p' }), { p: vmdkImage(content) }), /parentCID is 87654321, but the CID of "p" is 12345678/);
  });

  it('are damaged where a table leads out of the file, or compressed data is none', () => {
    assert.throws(() => openDisk('x', patched(4 * 512, 0x7fffffff)).disk.read(0, 1), DamagedSector);
    assert.throws(() => openDisk('x', patched(3 * 512, 0x7fffffff)).disk.read(0, 1), DamagedSector);
    const packed = vmdkImage([0x10], { compressed: true });
    packed[8 * 512 + 12] ^= 0xff;
    assert.throws(() => openDisk('x', packed).disk.read(0, 1), DamagedSector);
  });
});

describe('raw images', () => {
  it('keep what a guest writes, and their size', () => {
    const bytes = new Uint8Array(700).fill(1);
    const { disk, changed, format } = openDisk('x.img', bytes);
    assert.equal(format, 'raw');
    disk.write(0, fill(2));
    assert.deepEqual([changed().length, changed()[511], changed()[512], bytes[0]], [700, 2, 1, 1]);
    disk.write(1, fill(3));
    assert.equal(changed().length, 1024);
  });
});

describe('inflate', () => {
  it('agrees with zlib at every level and strategy', () => {
    const random = randomSource(7);
    for (let round = 0; round < 60; round++) {
      const size = random(5000) + 1, spread = 1 + random(256);
      const bytes = Uint8Array.from({ length: size }, (_, n) => (random(4) ? random(spread) : n & 0xff));
      const options = { level: random(10), strategy: [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE][random(4)] };
      assert.deepEqual(inflate(deflateRawSync(bytes, options), size, { zlib: false, exact: true }), bytes);
      assert.deepEqual(inflate(deflateSync(bytes, options), size + 10, { zlib: true, exact: false }).subarray(0, size), bytes);
      assert.deepEqual(inflate(deflateRawSync(bytes, options), size >> 1, { zlib: false, exact: true }), bytes.subarray(0, size >> 1));
    }
  });

  it('says what is wrong', () => {
    for (const [bytes, reason] of [
      [[], /ends too early/], [[0x07], /unknown type/], [[0x01, 1, 0, 0, 0], /length is wrong/], [[0x05, 0xff, 0xff, 0xff, 0xff], /codes|lengths/], [[0x03, 0x02, 0x00], /instead of|distance|early/],
    ] as const) assert.throws(() => inflate(Uint8Array.from(bytes), 100, { zlib: false, exact: true }), (error: unknown) => error instanceof InflateError && reason.test(error.message));
    assert.throws(() => inflate(Uint8Array.of(0x78, 0x00), 10, { zlib: true, exact: false }), /no zlib header/);
  });
});
