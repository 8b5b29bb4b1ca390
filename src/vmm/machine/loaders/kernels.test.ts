/** Multiboot2, PVH and 64-bit ELF kernels. */
import { strict as assert } from 'node:assert';
import type { BootState } from './boot-state';
import { detect } from './detect';
import { loadElf } from './elf';
import { prepareBoot } from './load';
import { memoryMap } from './memory-map';
import { loadMultiboot2 } from './multiboot2';
import { loadPvh } from './pvh';
import { elfImage, multiboot2Header, type ElfImageSpec } from './test-elf-image';
import { error, lay, MiB, RAM, stringAt } from '../../../../test/support/boot-state';

describe('64-bit ELF files', () => {
  it('are loaded by physical address and entered there, though linked to the top of the address space', () => {
    const image = loadElf('k', elfImage({ virtual: 0xffffffff80100000n, entry: 0xffffffff80100123n }), RAM);
    assert.deepEqual([image.bits, image.entry], [64, 0x100123]);
    assert.deepEqual(image.chunks.map((chunk) => [chunk.address, chunk.bytes.length, chunk.zeroBytes]), [[MiB, 0x200, 0xe00]]);
    // Linux gives a physical entry and virtual addresses elsewhere.
    assert.equal(loadElf('k', elfImage({ virtual: 0xffffffff80000000n, entry: 0x100040 }), RAM).entry, 0x100040);
  });

  it('name the field that is wrong', () => {
    error(() => loadElf('k', elfImage({ entry: 0x50 }), RAM), /entry point 0x50 \(e_entry\)/);
    error(() => loadElf('k', elfImage({ physical: 2 ** 33 }), RAM), /k: program header 0 .*0x200000000.*16 MiB/);
    const other = elfImage();
    new DataView(other.buffer).setUint16(18, 3, true);
    error(() => loadElf('k', other, RAM), /e_machine is 3, expected 62 \(x86-64\) in a 64-bit file/);
  });
});

describe('PVH loader', () => {
  it('enters at the note\'s address with EBX at the start information', () => {
    const state = loadPvh({
      file: 'vmlinux', bytes: elfImage({ pvh: 0x100040, virtual: 0xffffffff81000000n, entry: 0x100000 }), ramBytes: RAM, commandLine: 'a b',
      modules: [{ name: 'initrd', bytes: Uint8Array.of(1, 2, 3) }],
    });
    assert.ok(state.registers);
    const { eip, general, cr0, segments } = state.registers;
    assert.deepEqual([state.kind, eip, cr0, segments[1].attributes], ['pvh', 0x100040, 0x11, 0xc09b]);
    const view = lay(state);
    const word = (at: number): number => view.getUint32(at, true);
    const long = (at: number): number => Number(view.getBigUint64(at, true));
    const info = general[3];
    assert.deepEqual([word(info), word(info + 4), word(info + 8), word(info + 12)], [0x336ec578, 1, 0, 1]);
    const module = long(info + 16);
    assert.deepEqual([long(module), long(module + 8), view.getUint8(long(module) + 2)], [0x101000, 3, 3]);
    assert.equal(stringAt(view, long(info + 24)), 'a b');
    const map = memoryMap(RAM), mapAt = long(info + 40);
    assert.equal(word(info + 48), map.length);
    map.forEach((range, n) => assert.deepEqual([long(mapAt + 24 * n), long(mapAt + 24 * n + 8), word(mapAt + 24 * n + 16)], [range.base, range.bytes, range.type]));
  });

  it('takes 32-bit files too, and says when there is no note, or a bad one', () => {
    assert.equal(loadPvh({ file: 'k', bytes: elfImage({ bits: 32, pvh: 0x100040 }), ramBytes: RAM }).registers?.eip, 0x100040);
    error(() => loadPvh({ file: 'k', bytes: elfImage(), ramBytes: RAM }), /k: has no PVH entry/);
    error(() => loadPvh({ file: 'k', bytes: elfImage({ pvh: 0x40 }), ramBytes: RAM }), /entry point 0x40 lies in no loaded segment/);
  });
});

describe('multiboot2 loader', () => {
  const kernel = (header: readonly number[], spec: ElfImageSpec = {}): Uint8Array => elfImage({ ...spec, header });
  const load = (bytes: Uint8Array, more = {}): BootState => loadMultiboot2({ file: 'k', bytes, ramBytes: RAM, ...more });

  /** Tags of the information structure by type. */
  function tags(state: BootState): Map<number, { at: number; size: number }> {
    const view = lay(state);
    const info = state.registers!.general[3];
    assert.equal(info % 8, 0);
    const found = new Map<number, { at: number; size: number }>();
    for (let at = info + 8; at < info + view.getUint32(info, true); at += Math.ceil(view.getUint32(at + 4, true) / 8) * 8) {
      found.set(view.getUint32(at, true), { at: at + 8, size: view.getUint32(at + 4, true) });
    }
    assert.deepEqual(found.get(0)?.size, 8);
    return found;
  }

  it('gives the machine state and the information of the specification', () => {
    const state = load(kernel(multiboot2Header([1, 0, 1, 4, 6, 9], [6, 0], [5, 0, 1024, 768, 32])), { commandLine: 'quiet', modules: [{ name: 'one', bytes: Uint8Array.of(9) }] });
    assert.deepEqual([state.kind, state.registers?.general[0], state.registers?.eip], ['multiboot2', 0x36d76289, 0x100100]);
    const view = lay(state);
    const found = tags(state);
    const word = (type: number, n: number): number => view.getUint32(found.get(type)!.at + 4 * n, true);
    assert.equal(stringAt(view, found.get(1)!.at), 'quiet');
    assert.equal(stringAt(view, found.get(2)!.at), 'Ringside');
    assert.deepEqual([word(3, 0), word(3, 1), stringAt(view, found.get(3)!.at + 8)], [0x101000, 0x101001, 'one']);
    assert.deepEqual([word(4, 0), word(4, 1)], [639, 15 * 1024]);
    const map = memoryMap(RAM);
    assert.deepEqual([word(6, 0), found.get(6)!.size], [24, 16 + 24 * map.length]);
    assert.deepEqual([word(6, 2 + 6 * 3), word(6, 4 + 6 * 3), word(6, 6 + 6 * 3)], [map[3].base, map[3].bytes, map[3].type]);
    assert.deepEqual([word(8, 0), word(8, 3), view.getUint8(found.get(8)!.at + 21)], [0xb8000, 80, 2]);
  });

  it('puts symbols into memory and hands the section headers on', () => {
    for (const bits of [32, 64] as const) {
      const state = load(kernel(multiboot2Header(), { bits, sections: true }));
      const view = lay(state);
      const { at } = tags(state).get(9)!;
      const size = bits === 64 ? 64 : 40;
      assert.deepEqual([view.getUint32(at, true), view.getUint32(at + 4, true)], [2, size]);
      const address = view.getUint32(at + 12 + size + (bits === 64 ? 16 : 12), true);
      assert.equal(address, 0x101000);
      assert.equal(view.getUint8(address + 0x3f), 0xab);
    }
  });

  it('loads by the address tag, and enters where the entry tag says', () => {
    const flat = (...addresses: [number, number, number, number]): Uint8Array => {
      const bytes = new Uint8Array(0x400);
      new Uint32Array(bytes.buffer).set(multiboot2Header([2, 0, ...addresses], [3, 0, 0x100100]), 0x20 / 4);
      return bytes;
    };
    const state = load(flat(0x100020, 0x100000, 0x100300, 0x102000));
    assert.deepEqual([state.chunks[0].address, state.chunks[0].bytes.length, state.chunks[0].zeroBytes, state.registers?.eip], [MiB, 0x300, 0x1d00, 0x100100]);
    assert.equal(load(flat(0x100020, 0xffffffff, 0, 0)).chunks[0].address, MiB);
    error(() => load(flat(0x100020, 0x100030, 0, 0)), /load_addr 0x100030 is above/);
    error(() => load(flat(0x10, 0xffffffff, 0, 0)), /header_addr 0x10/);
    assert.equal(load(kernel(multiboot2Header([3, 0, 0x100180]))).registers?.eip, 0x100180);
    error(() => load(kernel(multiboot2Header([2, 0, MiB, MiB, 0, 0]))), /entry address tag/);
  });

  it('says what is wrong with a header', () => {
    error(() => load(elfImage()), /k: has no multiboot2 header/);
    error(() => load(kernel(multiboot2Header([77, 0]))), /tag 77 at offset 0x210 is not known/);
    assert.ok(load(kernel(multiboot2Header([77, 1], [1, 1, 77]))));
    error(() => load(kernel(multiboot2Header([1, 0, 16]))), /requires information of type 16/);
    error(() => load(kernel(multiboot2Header([2, 0, 1]))), /tag 2 at offset 0x210 has size 12, expected 24/);
    const arm = multiboot2Header();
    arm[1] = 4;
    arm[3] = (arm[3] - 4) >>> 0;
    error(() => load(kernel(arm)), /architecture is 4/);
    const endless = multiboot2Header();
    endless[2] = 16;
    endless[3] = -(0xe85250d6 + 16) >>> 0;
    error(() => load(kernel(endless)), /no end tag/);
  });
});

describe('kernels are told apart', () => {
  it('by their headers and notes', () => {
    const multiboot1 = [0x1badb002, 0, -0x1badb002 >>> 0];
    assert.deepEqual(detect('k', elfImage({ header: multiboot2Header() })), { kind: 'multiboot2' });
    assert.deepEqual(detect('k', elfImage({ header: multiboot1, pvh: 0x100040 })), { kind: 'multiboot' });
    assert.deepEqual(detect('k', elfImage({ pvh: 0x100040 })), { kind: 'pvh' });
    assert.deepEqual(detect('k', elfImage()), { kind: 'multiboot' });
    error(() => prepareBoot({ name: 'k', image: elfImage(), boot: 'auto' }, RAM), /no multiboot header.*no PVH entry/);
    assert.equal(prepareBoot({ name: 'k', image: elfImage({ header: multiboot1 }), boot: 'auto' }, RAM).registers?.eip, 0x100100);
  });

  it('and get an initial ramdisk as their first module', () => {
    const state = prepareBoot({ name: 'k', image: elfImage({ pvh: 0x100040 }), boot: 'auto', initrd: Uint8Array.of(7), modules: [{ name: 'm', bytes: Uint8Array.of(8) }] }, RAM);
    assert.deepEqual(state.chunks.slice(1, 3).map(({ what, address }) => [what, address]), [['module initrd', 0x101000], ['module m', 0x102000]]);
  });
});
