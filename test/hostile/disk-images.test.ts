/**
 * Damaged disk images: 100,000 of each format, by seed. Each is refused with a reason, or opened; then every read gives its sectors or says that they are damaged, and
 * what is written can be read again and saved.
 */
import assert from 'node:assert/strict';
import { MachineError } from '../../src/vmm/machine/api';
import { Trap } from '../../src/vmm/machine/bios/rom';
import { Bench } from '../../src/vmm/machine/bios/test-bench';
import { bootEntry, emulatedDrive, readDisc } from '../../src/vmm/machine/bios/el-torito';
import { MemoryDisk, hardDiskGeometry } from '../../src/vmm/machine/disk';
import type { CopyOnWriteDisk } from '../../src/vmm/machine/images/copy-on-write';
import { DamagedSector } from '../../src/vmm/machine/images/disk-file';
import { imageParts, openDisk } from '../../src/vmm/machine/images/open';
import { RawImage } from '../../src/vmm/machine/images/raw';
import { detect } from '../../src/vmm/machine/loaders/detect';
import { descriptor, qcow2Image, vdiImage, vmdkImage } from '../support/disk-images';
import { randomSource } from '../support/guest';
import { isoImage } from '../support/iso';

const COUNT = 100_000;
type Random = (bound: number) => number;

interface Original {
  readonly bytes: Uint8Array;
  /** Header and tables, as ranges of offsets: most of the damage goes there. */
  readonly hot: readonly (readonly [from: number, to: number])[];
}

interface Format {
  readonly title: string;
  readonly originals: readonly Original[];
  /** Uses a damaged image; whether it was accepted. */
  readonly use: (bytes: Uint8Array, random: Random) => boolean;
  /** There is nothing about it that could be refused. */
  readonly anythingGoes?: boolean;
}

const telling = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x200, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Damages the bytes in place; the result undoes it. */
function damage({ bytes, hot }: Original, random: Random): () => void {
  const before: [number, number][] = [];
  const put = (at: number, value: number): void => {
    if (at >= bytes.length) return;
    before.push([at, bytes[at]]);
    bytes[at] = value;
  };
  for (let hits = 1 + random(4); hits > 0; hits--) {
    const [from, to] = random(5) === 0 ? [0, bytes.length] : hot[random(hot.length)];
    const at = from + random(to - from);
    switch (random(4)) {
      case 0: put(at, bytes[at] ^ (1 << random(8))); break;
      case 1: put(at, random(256)); break;
      case 2: put(at, telling[random(telling.length)] & 0xff); break;
      default: {
        const value = random(4) === 0 ? bytes.length + random(3) - 1 : telling[random(telling.length)];
        const big = random(2) === 1;
        for (let i = 0; i < 4; i++) put((at & ~3) + i, (value >>> (8 * (big ? 3 - i : i))) & 0xff);
      }
    }
  }
  return () => {
    for (const [at, value] of before.reverse()) bytes[at] = value;
  };
}

/** True; or false when the function throws a complaint that names the file, or one beside it, and says what to do. Anything else it throws fails the test. */
function accepted(attempt: () => void, files: readonly string[] = ['x.img']): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    assert.ok(files.some((file) => error.message.startsWith(`${file}: `)) && error.message.length > 20 && error.advice, error.message);
    return false;
  }
}

/** The sectors, or undefined where the image is damaged. */
function read(disk: { read(sector: number, count: number): Uint8Array; readonly sectorSize: number }, sector: number, count: number): Uint8Array | undefined {
  try {
    const bytes = disk.read(sector, count);
    assert.equal(bytes.length, count * disk.sectorSize);
    return bytes;
  } catch (error) {
    if (error instanceof DamagedSector) return undefined;
    throw error;
  }
}

function useDisk(disk: CopyOnWriteDisk, random: Random): void {
  const { sectors } = disk;
  assert.ok(Number.isInteger(sectors) && sectors > 0 && sectors <= 2 ** 48);
  for (const sector of [0, sectors - 1, Math.min(sectors - 1, random(40)), Math.min(sectors - 1, random(40) * 0x10001)]) read(disk, sector, Math.min(3, sectors - sector));
}

/** What is beside the image, by the last letter of the name that it has there. */
const beside: readonly Uint8Array[] = [vmdkImage([0x31, 'free', 0x32, 'free', 0x33]), qcow2Image(['free', 0x51], { backing: 'base0' }), filledDisk(), filledDisk()];

function filledDisk(): Uint8Array {
  return new Uint8Array(64 * 512).fill(0x77);
}

function useImage(bytes: Uint8Array, random: Random): boolean {
  const files = ['x.img'];
  return accepted(() => {
    const names = imageParts('x.img', bytes);
    let next = names.next();
    for (let n = 0; next.done !== true; n++) {
      assert.ok(n < 300 && !/[/\\:]/.test(next.value) && !files.includes(next.value), next.value);
      files.push(next.value);
      next = names.next(beside[next.value.charCodeAt(next.value.length - 1) % beside.length]);
    }
    const open = openDisk({ file: 'x.img', bytes, parts: next.value });
    useDisk(open.disk, random);
    hardDiskGeometry(open.disk);
    if (random(8) !== 0 || (open.format !== 'vdi' && open.format !== 'raw')) return;
    const sector = Math.min(open.disk.sectors - 1, random(40));
    open.disk.write(sector, new Uint8Array(512).fill(0x5a));
    const saved = openDisk({ file: 'x.img', bytes: open.changed() });
    assert.equal(saved.disk.read(sector, 1)[100], 0x5a);
  }, files);
}

const disc = (bytes: Uint8Array): RawImage & { write(): void } => Object.assign(new RawImage(bytes, 2048), { write: () => undefined });

/** What the BIOS does with a CD, without its screen. */
function useDisc(bytes: Uint8Array, random: Random): boolean {
  const image = disc(bytes);
  const entry = bootEntry(image);
  if (typeof entry === 'string') {
    assert.ok(entry.length > 10);
    return false;
  }
  readDisc(image, entry.start, Math.min(0x90000, 512 * entry.sectorCount));
  const drive = emulatedDrive(image, entry);
  if (drive) {
    const { disk, geometry } = drive;
    assert.ok(geometry.cylinders >= 1 && geometry.heads >= 1 && geometry.sectorsPerTrack >= 1);
    for (const sector of [0, disk.sectors - 1, random(disk.sectors)]) read(disk, sector, 1);
  }
  return true;
}

/** A partition table: detected, given a geometry, read by it. */
function useRaw(bytes: Uint8Array, random: Random): boolean {
  const fine = accepted(() => { detect('x.img', bytes); });
  const disk = new MemoryDisk(bytes);
  if (disk.sectors > 0) {
    const { cylinders, heads, sectorsPerTrack } = hardDiskGeometry(disk);
    assert.ok(cylinders >= 1 && cylinders <= 1024 && heads >= 1 && heads <= 255 && sectorsPerTrack >= 1 && sectorsPerTrack <= 63);
    useDisk(disk, random);
  }
  return fine;
}

function partitioned(): Uint8Array {
  const bytes = new Uint8Array(40 * 512);
  bytes.set([0xfa, 0x33, 0xc0, 0x8e, 0xd8]);
  bytes.set([0x80, 1, 1, 0, 6, 15, 63, 9, 63, 0, 0, 0, 0xc1, 0x1f, 0, 0], 446);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

const bootImage = (media: number): Uint8Array => {
  const bytes = partitioned().subarray(0, 8 * 512).slice();
  bytes[5] = media;
  return bytes;
};

const content = [0x41, 'free', 'zero', 0x42] as const;
const formats: readonly Format[] = [
  {
    title: 'VDI', use: useImage, originals: [
      { bytes: vdiImage(content), hot: [[64, 88], [340, 472], [512, 528]] }, { bytes: vdiImage(content, { version: 2 }), hot: [[64, 88], [336, 440]] }, { bytes: vdiImage(content, { extraBytes: 512, type: 2, headerBytes: 384 }), hot: [[64, 88], [340, 472], [512, 528]] },
    ],
  },
  {
    title: 'qcow2', use: useImage, originals: [
      { bytes: qcow2Image(content), hot: [[0, 112]] }, { bytes: qcow2Image(content, { version: 2 }), hot: [[0, 112]] }, { bytes: qcow2Image([0x10, 'free', 0x30], { compressed: true }), hot: [[0, 112], [0x2000, 0x2020], [0x3000, 0x3080]] },
      { bytes: qcow2Image(content, { backing: 'base1', backingFormat: 'qcow2' }), hot: [[0, 128], [0x200, 0x208]] },
    ],
  },
  {
    title: 'VMDK', use: useImage, originals: [{ bytes: vmdkImage(content), hot: [[0, 80], [0x200, 0x280], [0x600, 0x604], [0x800, 0x810]] }, { bytes: vmdkImage([0x10, 'free', 0x30], { compressed: true }), hot: [[0, 80], [0x600, 0x604], [0x800, 0x80c], [0x1000, 0x1080]] }],
  },
  {
    title: 'VMDK in several files', use: useImage, originals: [
      { bytes: descriptor([['FLAT', 40, 'disk-f002', 24], ['ZERO', 8], ['SPARSE', 40, 'disk-s000']]), hot: [[0, 220]] },
      { bytes: descriptor([['SPARSE', 40, 'a0'], ['SPARSE', 32, 'b0']], { parent: '12345678', hint: 'parent0' }), hot: [[0, 280]] },
      { bytes: vmdkImage(content, { parent: '12345678', hint: 'parent0' }), hot: [[0, 80], [0x200, 0x2c0], [0x800, 0x810]] },
    ],
  },
  {
    title: 'ISO 9660 with El Torito', use: useDisc, originals: [0, 2, 4].map((media) => {
      const bytes = isoImage({}, { bytes: bootImage(media), media });
      const at = (sector: number, from: number, to: number) => [sector * 2048 + from, sector * 2048 + to] as const;
      // The descriptors' identification, the boot record, the catalog, and the image's partition table.
      return { bytes, hot: [at(16, 0, 8), at(17, 0, 0x4b), at(18, 0, 8), at(19, 0, 64), at(23, 446, 512)] };
    }),
  },
  { title: 'raw, with a partition table', use: useRaw, anythingGoes: true, originals: [{ bytes: partitioned(), hot: [[0, 512]] }] },
];

describe('damaged disk images', function () {
  this.timeout(60_000);
  for (const { title, originals, use, anythingGoes = false } of formats) {
    it(`${title}: ${COUNT.toLocaleString('en')} of them`, () => {
      let good = 0;
      for (let seed = 1; seed <= COUNT; seed++) {
        const random = randomSource(seed * 2654435761);
        const original = originals[random(originals.length)], { bytes } = original;
        const undo = damage(original, random);
        const cut = random(16) === 0 ? bytes.subarray(0, random(bytes.length) + 1) : bytes;
        try {
          if (use(cut, random)) good++;
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).stack}`, { cause: error });
        } finally {
          undo();
        }
      }
      // Neither is the damage without effect, nor is everything refused at the door.
      assert.ok(good > COUNT / 50 && (good < COUNT * 0.98) !== anythingGoes, `${good} accepted`);
    });
  }

  it('the undamaged ones are accepted', () => {
    for (const { originals, use } of formats) for (const { bytes } of originals) assert.ok(use(bytes, randomSource(1)));
  });

  it('a BIOS boots or passes over 500 damaged CDs', () => {
    let bytes: Uint8Array = new Uint8Array(0);
    const bench = new Bench(new Map(), 1 << 20, {
      sectorSize: 2048, get sectors() { return Math.ceil(bytes.length / 2048); }, read: (sector, count) => disc(bytes).read(sector, count), write: () => undefined,
    });
    const { originals } = formats.find(({ use }) => use === useDisc)!;
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomSource(seed);
      const original = originals[random(originals.length)];
      const undo = damage(original, random);
      bytes = original.bytes;
      bench.bios.powerOn();
      bench.enter(Trap.boot);
      bench.int(0x13, { eax: 0x4b01, edx: 0x7f, esi: 0x1000 });
      for (const drive of [0, 0x80, 0xe0]) bench.int(0x13, { eax: 0x0201, ecx: random(0x10000), edx: drive | random(4) << 8, ebx: 0x2000 });
      undo();
    }
  });
});
