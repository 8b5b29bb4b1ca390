/** Damaged and hostile files by the hundred thousand, by seed: each is loaded within the machine's memory, or refused with a reason; nothing else happens. */
import { strict as assert } from 'node:assert';
import { MachineError } from '../api';
import { floppyDisk, hardDiskGeometry, MemoryDisk } from '../disk';
import { SECTOR_BYTES } from '../images/disk-file';
import type { BootState } from './boot-state';
import { detect } from './detect';
import { prepareBoot } from './load';
import { elfImage, multiboot2Header } from './test-elf-image';
import { linuxImage } from './test-linux-image';
import { EBDA } from './memory-map';

const RAM = 4 << 20;
const HEADER_AT = 0x100;
const BOOT_KINDS = ['auto', 'disk', 'flat', 'multiboot', 'multiboot2', 'linux', 'linux64', 'pvh'] as const;

type Random = (bound: number) => number;

function randomSource(seed: number): Random {
  let state = seed >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** Numbers at which sums wrap, signs change and ranges end. */
const edges = [
  0, 1, 0x1f, 0x20, 0x34, 0x100, 0x1ff, 0x200, 0x4ff, 0x500, 0x7c00, 0x9fbff, 0x9fc00, 0xa0000, 0xfffff, 0x100000, 0x100020, RAM - 0x1000, RAM - 1, RAM, RAM + 1,
  0x7fffffff, 0x80000000, 0xfffff000, 0xfffffffe, 0xffffffff, 0x1badb002, 0xe4524ffe,
];

function withMultibootHeader(bytes: Uint8Array, flags: number, ...addresses: number[]): Uint8Array {
  const view = new DataView(bytes.buffer);
  [0x1badb002, flags, -(0x1badb002 + flags) >>> 0, ...addresses].forEach((value, n) => view.setUint32(HEADER_AT + 4 * n, value, true));
  return bytes;
}

/** Three segments, one of them bss alone, one a note. */
function elfKernel(): Uint8Array {
  const bytes = withMultibootHeader(new Uint8Array(0x400), 3);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [at, value] of [[16, 2], [18, 3], [40, 52], [42, 32], [44, 4]]) view.setUint16(at, value, true);
  view.setUint32(24, 0xc0100020, true);
  view.setUint32(28, 52, true);
  const headers = [[1, 0x100, 0xc0100000, 0x100000, 0x200, 0x200, 5, 4096], [1, 0x300, 0xc0101000, 0x101000, 0x100, 0x1000, 6, 4096], [1, 0, 0xc0200000, 0x200000, 0, 0x1000, 6, 4096], [4, 0, 0, 0, 0, 0, 4, 4]];
  headers.flat().forEach((value, n) => view.setUint32(52 + 4 * n, value, true));
  return bytes;
}

function multiboot2ByAddresses(): Uint8Array {
  const bytes = new Uint8Array(0x400);
  new Uint32Array(bytes.buffer).set(multiboot2Header([2, 0, 0x100000, 0x100000, 0x100300, 0x102000], [3, 0, 0x100120]));
  return bytes;
}

function disk(bytes: number, partition: readonly number[]): Uint8Array {
  const image = new Uint8Array(bytes);
  image.set(partition, 446);
  image.set([0x55, 0xaa], 510);
  return image;
}

const originals: readonly { readonly what: string; readonly name: string; readonly image: Uint8Array; readonly interesting: number }[] = [
  { what: 'an ELF kernel', name: 'kernel.elf', image: elfKernel(), interesting: 0x120 },
  { what: 'a multiboot kernel loaded by addresses', name: 'kernel', image: withMultibootHeader(new Uint8Array(0x400), 0x10003, 0x100100, 0x100000, 0x100300, 0x102000, 0x100120), interesting: 0x120 },
  { what: 'a 64-bit ELF kernel with a PVH note', name: 'vmlinux', image: elfImage({ pvh: 0x100040, virtual: 0xffffffff81000000n, entry: 0x100000 }), interesting: 0x194 },
  { what: 'a multiboot2 kernel with sections', name: 'kernel', image: elfImage({ header: multiboot2Header([1, 0, 1, 4], [6, 0], [3, 1, 0x100180]), sections: true }), interesting: 0x480 },
  { what: 'a multiboot2 kernel loaded by addresses', name: 'kernel', image: multiboot2ByAddresses(), interesting: 0x50 },
  { what: 'a Linux kernel', name: 'vmlinuz', image: linuxImage({ sectors: 1, bytes: 0x1000, fields: { prefAddress: 0x100000, initSize: 0x10000 } }), interesting: 0x280 },
  { what: 'a Linux kernel with a real-mode entry', name: 'vmlinuz', image: linuxImage({ version: 0x0204, bytes: 0x1000 }), interesting: 0x280 },
  { what: 'a boot sector', name: 'boot.bin', image: disk(512, []), interesting: 512 },
  { what: 'a disk with a partition', name: 'disk.img', image: disk(0x4000, [0x80, 1, 1, 0, 6, 15, 63, 9, 63, 0, 0, 0, 0xc1, 0x26, 0, 0]), interesting: 512 },
  { what: 'a flat binary', name: 'program.com', image: Uint8Array.from({ length: 300 }, (_, n) => n * 7), interesting: 300 },
  { what: 'text', name: 'notes', image: new TextEncoder().encode('bits 16\norg 0x7c00\n  hlt\n'.repeat(10)), interesting: 250 },
];

/** A copy with bytes, words and the length changed. */
function damaged(random: Random, original: Uint8Array, interesting: number): Uint8Array {
  const length = random(4) === 0 ? random(original.length + 1) : random(8) === 0 ? original.length + random(0x4000) : original.length;
  const bytes = new Uint8Array(length);
  bytes.set(original.subarray(0, length));
  const view = new DataView(bytes.buffer);
  for (let changes = random(5); changes > 0; changes--) {
    const at = random(interesting);
    if (random(2) && (at & ~3) + 4 <= length) view.setUint32(at & ~3, (edges[random(edges.length)] + random(3) - 1) >>> 0, true);
    else if (at < length) bytes[at] = random(256);
  }
  return bytes;
}

/** Everything lies in memory that a program may have, and nothing over another. */
function assertSound(boot: BootState, what: string): void {
  const ranges = boot.chunks.map(({ address, bytes, zeroBytes = 0 }) => ({ first: address, end: address + bytes.length + zeroBytes })).filter(({ first, end }) => end > first);
  ranges.sort((a, b) => a.first - b.first);
  ranges.forEach(({ first, end }, n) => {
    assert.ok(Number.isInteger(first) && first >= 0 && end <= RAM, `${what}: ${first}–${end} in ${RAM}`);
    assert.ok(n === 0 || first >= ranges[n - 1].end, `${what}: overlap at ${first}`);
    if (boot.kind !== 'flat' && boot.kind !== 'disk') assert.ok(first >= 0x500 && (end <= EBDA || first >= 0x100000), `${what}: ${first}–${end} belongs to the BIOS`);
  });
  if (boot.registers && boot.kind !== 'flat') {
    const { segments } = boot.registers;
    const eip = boot.registers.eip + segments[1].base;
    assert.ok(ranges.some(({ first, end }) => eip >= first && eip < end), `${what}: entry ${eip} in nothing that was loaded`);
  }
  assert.equal(boot.registers === undefined, boot.kind === 'disk', what);
  for (const image of [boot.drives?.hardDisk?.bytes, boot.drives?.floppy?.bytes]) {
    if (!image) continue;
    const medium = new MemoryDisk(image);
    const { cylinders, heads, sectorsPerTrack } = hardDiskGeometry(medium);
    assert.ok(cylinders >= 1 && cylinders <= 1024 && heads >= 1 && heads <= 255 && sectorsPerTrack >= 1 && sectorsPerTrack <= 63, what);
    assert.ok(floppyDisk(image).disk.sectors * SECTOR_BYTES >= image.length, what);
    if (medium.sectors > 0) assert.equal(medium.read(medium.sectors - 1, 1).length, SECTOR_BYTES);
  }
}

/** @returns whether it was loaded */
function tried(what: string, name: string, load: () => BootState | undefined): boolean {
  try {
    const boot = load();
    if (boot) assertSound(boot, what);
    return true;
  } catch (error) {
    if (!(error instanceof MachineError)) throw error instanceof assert.AssertionError ? error : new Error(`${what}: ${(error as Error).stack}`);
    assert.ok(error.message.startsWith(`${name}: `) && error.message.length >= name.length + 10, `${what}: ${error.message}`);
    assert.ok(error.advice, `${what}: ${error.message}`);
    return false;
  }
}

describe('hostile files', () => {
  for (const { what, name, image, interesting } of originals) {
    const inputs = what.includes('kernel') ? 100_000 : 20_000;
    it(`${what}, damaged ${inputs.toLocaleString('en')} times: loaded within memory, or refused with a reason`, () => {
      const random = randomSource(interesting * 7919 + image.length);
      let loaded = 0;
      for (let n = 0; n < inputs; n++) {
        const bytes = damaged(random, image, interesting);
        const of = `${what} ${n}`;
        tried(of, name, () => { detect(name, bytes); return undefined; });
        const boot = BOOT_KINDS[random(8) === 0 ? random(BOOT_KINDS.length) : 0];
        const more = {
          ...(random(8) === 0 && { commandLine: 'x'.repeat(random(200)) }),
          ...(random(8) === 0 && { modules: [{ name: 'm', bytes: new Uint8Array(random(2) ? random(100) : edges[random(18)]) }] }),
          ...(random(8) === 0 && { initrd: new Uint8Array(random(2) ? random(100) : edges[random(18)]) }),
          ...(boot === 'flat' && random(2) && { loadAddress: edges[random(edges.length)], entry: edges[random(edges.length)] }),
        };
        if (tried(of, name, () => prepareBoot({ name, image: bytes, boot, ...more }, RAM))) loaded++;
      }
      // Text that is damaged little is still text, and refused.
      assert.ok(loaded > inputs / 100 && loaded < inputs, `${loaded} of ${inputs} were loaded`);
    });
  }

  it('random bytes behind every magic number', () => {
    const random = randomSource(77);
    const magics = [[0xd6, 0x50, 0x52, 0xe8], [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1], [0x7f, 0x45, 0x4c, 0x46], [0x02, 0xb0, 0xad, 0x1b], [0x1f, 0x8b], [0x4d, 0x5a], [0x51, 0x46, 0x49, 0xfb], []];
    for (let n = 0; n < 20_000; n++) {
      const bytes = Uint8Array.from({ length: random(200) }, () => random(256));
      const magic = magics[random(magics.length)];
      if (bytes.length >= magic.length) bytes.set(magic);
      for (const boot of BOOT_KINDS) tried(`random ${n}`, 'r', () => prepareBoot({ name: 'r', image: bytes, boot }, RAM));
    }
  });

  it('program headers as many as there can be, and segments as large as there can be', () => {
    const many = new Uint8Array(52 + 32 * 0xffff);
    many.set(elfKernel().subarray(0, 52));
    const view = new DataView(many.buffer);
    view.setUint16(44, 0xffff, true);
    for (let n = 0; n < 0xffff; n++) [1, 0, 0x100000, 0x100000 + 32 * n, 1, 32].forEach((value, i) => view.setUint32(52 + 32 * n + 4 * i, value, true));
    many.set(withMultibootHeader(new Uint8Array(0x200), 3).subarray(HEADER_AT, HEADER_AT + 12), 0x40 + 12);
    view.setUint32(24, 0x100000, true);
    assert.ok(tried('many segments', 'many', () => prepareBoot({ name: 'many', image: many, boot: 'multiboot' }, RAM)));
    const large = elfKernel();
    for (const [physical, memoryBytes] of [[0x100000, 0xffffffff], [0xffffffff, 0xffffffff], [0xfffff000, 0x2000], [0x100000, RAM - 0x100000 + 1]]) {
      new DataView(large.buffer).setUint32(52 + 12, physical, true);
      new DataView(large.buffer).setUint32(52 + 20, memoryBytes, true);
      assert.equal(tried('a large segment', 'large', () => prepareBoot({ name: 'large', image: large, boot: 'auto' }, RAM)), false);
    }
  });
});
