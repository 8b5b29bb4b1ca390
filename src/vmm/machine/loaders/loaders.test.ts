import { strict as assert } from 'node:assert';
import { MachineError } from '../api';
import type { BootState } from './boot-state';
import { detect } from './detect';
import { loadElf } from './elf';
import { prepareBoot } from './load';
import { loadMultiboot } from './multiboot';
import { error, lay, MiB, RAM, stringAt } from '../../../../test/support/boot-state';


/** A little kernel: ELF header, program headers, multiboot header at 0x100, text at 0x120. */
interface Segment { offset?: number; virtual?: number; physical?: number; fileBytes?: number; memoryBytes?: number; type?: number }
function elf(options: { segments?: Segment[]; entry?: number; flags?: number; multiboot?: boolean; patch?: (view: DataView) => void } = {}): Uint8Array {
  const bytes = new Uint8Array(0x200);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const segments = options.segments ?? [{}];
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(24, options.entry ?? 0x100020, true);
  view.setUint32(28, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, segments.length, true);
  segments.forEach((segment, n) => {
    const { offset = 0x100, physical = MiB, virtual = physical, fileBytes = 0x100, memoryBytes = 0x1000, type = 1 } = segment;
    [type, offset, virtual, physical, fileBytes, memoryBytes].forEach((value, i) => view.setUint32(52 + 32 * n + 4 * i, value, true));
  });
  if (options.multiboot !== false) {
    const flags = options.flags ?? 3;
    view.setUint32(0x100, 0x1badb002, true);
    view.setUint32(0x104, flags, true);
    view.setUint32(0x108, (-(0x1badb002 + flags)) >>> 0, true);
  }
  options.patch?.(view);
  return bytes;
}

describe('ELF loader', () => {
  it('gives segments with their bss, and the physical entry of a kernel linked high', () => {
    const image = loadElf('k', elf({ segments: [{ virtual: 0xc0100000, physical: MiB }], entry: 0xc0100020 }), RAM);
    assert.equal(image.entry, 0x100020);
    assert.deepEqual(image.chunks.map((c) => [c.address, c.bytes.length, c.zeroBytes]), [[MiB, 0x100, 0xf00]]);
  });

  it('names the field that is wrong', () => {
    const load = (options: Parameters<typeof elf>[0]) => () => loadElf('k.elf', elf(options), RAM);
    error(() => loadElf('k.elf', elf().subarray(0, 20), RAM), /ends inside the ELF header/);
    error(load({ patch: (v) => v.setUint8(4, 2) }), /e_machine is 3, expected 62/);
    error(load({ patch: (v) => v.setUint8(4, 3) }), /EI_CLASS\] is 3/);
    error(load({ patch: (v) => v.setUint8(5, 2) }), /EI_DATA/);
    error(load({ patch: (v) => v.setUint16(18, 40, true) }), /e_machine is 40/);
    error(load({ patch: (v) => v.setUint16(16, 1, true) }), /e_type is 1/);
    error(load({ patch: (v) => v.setUint16(44, 0, true) }), /e_phnum is 0/);
    error(load({ patch: (v) => v.setUint16(42, 8, true) }), /e_phentsize is 8/);
    error(load({ patch: (v) => v.setUint32(28, 0xfffffff0, true) }), /beyond the end of the file/);
    error(load({ patch: (v) => v.setUint16(44, 0xffff, true) }), /beyond the end of the file/);
    error(load({ segments: [{ offset: 0xffffff00 }] }), /p_offset/);
    error(load({ segments: [{ fileBytes: 0x101 }] }), /beyond the end of the file/);
    error(load({ segments: [{ memoryBytes: 0x10 }] }), /p_filesz 0x100 is larger than p_memsz 0x10/);
    error(load({ segments: [{ physical: RAM - 0x800 }] }), /16 MiB/);
    error(load({ segments: [{ memoryBytes: 0xffffffff }] }), /16 MiB/);
    error(load({ segments: [{ physical: 0xfffff000 }] }), /16 MiB/);
    error(load({ segments: [{ physical: 0x400 }] }), /belongs to the BIOS/);
    error(load({ segments: [{ physical: 0x9f000 }] }), /belongs to the BIOS/);
    error(load({ segments: [{}, { physical: MiB + 0x800 }] }), /program headers 0 and 1 overlap in memory at 0x100800/);
    error(load({ segments: [{ type: 6 }] }), /nothing to load/);
    error(load({ entry: 0x500000 }), /entry point 0x500000/);
  });
});

describe('multiboot loader', () => {
  it('gives the machine state and the information of the specification', () => {
    const state = loadMultiboot({
      file: 'kernel', bytes: elf(), ramBytes: RAM, commandLine: 'a=1 b', modules: [{ name: 'one x', bytes: Uint8Array.of(1, 2, 3) }, { name: 'two', bytes: new Uint8Array(5000) }],
    });
    const { registers } = state;
    assert.ok(registers);
    assert.equal(registers.general[0], 0x2badb002);
    assert.equal(registers.eip, 0x100020);
    assert.equal(registers.eflags & 0x200, 0);
    assert.equal(registers.cr0 & 0x80000001, 1);
    for (const segment of registers.segments) assert.deepEqual([segment.base, segment.limit], [0, 0xffffffff]);
    const view = lay(state);
    const word = (at: number): number => view.getUint32(at, true);
    const info = registers.general[3];
    assert.ok(info > 0x80000 && info < 0x9fc00);
    assert.equal(word(info), 0x24d);
    assert.deepEqual([word(info + 4), word(info + 8)], [639, 15 * 1024]);
    assert.equal(stringAt(view, word(info + 16)), 'kernel a=1 b');
    assert.equal(stringAt(view, word(info + 64)), 'Ringside');
    assert.equal(word(info + 20), 2);
    const mods = word(info + 24);
    assert.deepEqual([word(mods), word(mods + 4), word(mods + 16), word(mods + 20)], [0x101000, 0x101003, 0x102000, 0x102000 + 5000]);
    assert.equal(stringAt(view, word(mods + 8)), 'one x');
    assert.equal(view.getUint8(0x101002), 3);
    const entries: number[][] = [];
    for (let at = word(info + 48); at < word(info + 48) + word(info + 44); at += word(at) + 4) entries.push([word(at + 4), word(at + 12), word(at + 20)]);
    assert.deepEqual(entries.at(-1), [MiB, 15 * MiB, 1]);
  });

  it('answers a request for video with the text screen', () => {
    const state = loadMultiboot({ file: 'k', bytes: elf({ flags: 7 }), ramBytes: RAM });
    const view = lay(state);
    const info = state.registers!.general[3];
    assert.equal(view.getUint32(info, true) & 0x1000, 0x1000);
    assert.deepEqual([view.getUint32(info + 88, true), view.getUint32(info + 100, true), view.getUint8(info + 109)], [0xb8000, 80, 2]);
  });

  it('loads by the addresses of the header', () => {
    const make = (header: number, load: number, loadEnd: number, bssEnd: number, entry: number): Uint8Array => {
      const bytes = new Uint8Array(0x400);
      const view = new DataView(bytes.buffer);
      [0x1badb002, 0x10000, (-(0x1badb002 + 0x10000)) >>> 0, header, load, loadEnd, bssEnd, entry].forEach((value, n) => view.setUint32(0x20 + 4 * n, value, true));
      return bytes;
    };
    const load = (...a: Parameters<typeof make>): BootState => loadMultiboot({ file: 'k', bytes: make(...a), ramBytes: RAM });
    const state = load(0x100020, 0x100000, 0x100300, 0x102000, 0x100100);
    assert.deepEqual([state.chunks[0].address, state.chunks[0].bytes.length, state.chunks[0].zeroBytes, state.registers!.eip], [MiB, 0x300, 0x1d00, 0x100100]);
    assert.equal(load(0x100020, 0x100010, 0, 0, 0x100100).chunks[0].bytes.length, 0x3f0);
    error(() => load(0x100020, 0x100030, 0, 0, 0x100100), /load_addr 0x100030 is above/);
    error(() => load(0x100020, 0x0fff00, 0, 0, 0x100100), /before the beginning of the file/);
    error(() => load(0x100020, 0x100000, 0x100500, 0, 0x100100), /load_end_addr 0x100500/);
    error(() => load(0x100020, 0x100000, 0x0ff000, 0, 0x100100), /not above load_addr/);
    error(() => load(0x100020, 0x100000, 0x100300, 0x100200, 0x100100), /bss_end_addr/);
    error(() => load(0x100020, 0x100000, 0x100300, 0xffffffff, 0x100100), /16 MiB/);
    error(() => load(0x100020, 0x100000, 0x100300, 0, 0x200000), /entry_addr 0x200000/);
  });

  it('says what is wrong with a header', () => {
    const load = (bytes: Uint8Array) => () => loadMultiboot({ file: 'k', bytes, ramBytes: RAM });
    error(load(elf({ multiboot: false })), /no multiboot header/);
    error(load(elf({ patch: (v) => v.setUint32(0x108, 1, true) })), /wrong checksum/);
    error(load(elf({ flags: 0x0b })), /bits 0x8/);
    const late = new Uint8Array(0x4000);
    late.set(elf().subarray(0x100, 0x10c), 0x3000);
    error(load(late), /beyond the first 8192 bytes/);
    error(load(elf().subarray(0x100)), /no ELF file/);
    error(() => loadMultiboot({ file: 'k', bytes: elf(), ramBytes: RAM, modules: [{ name: 'big', bytes: new Uint8Array(RAM) }] }), /module big/);
  });

  it('puts its information elsewhere when the kernel or a long command line is in the way', () => {
    const low = loadMultiboot({ file: 'k', bytes: elf({ segments: [{ physical: 0x10000, memoryBytes: 0x8fbf0 }], entry: 0x10020 }), ramBytes: RAM });
    assert.ok(low.registers!.general[3] >= MiB);
    const long = loadMultiboot({ file: 'k', bytes: elf(), ramBytes: RAM, commandLine: 'x'.repeat(300_000) });
    assert.ok(long.registers!.general[3] >= MiB);
  });

  it('refuses or loads any damaged kernel without failing otherwise', () => {
    let seed = 5;
    const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
    const whole = elf({ segments: [{}, { physical: 0x200000 }] });
    let loaded = 0;
    for (let n = 0; n < 5000; n++) {
      const bytes = whole.slice(0, random(4) === 0 ? random(whole.length) : whole.length);
      for (let i = random(4); i >= 0 && bytes.length > 0; i--) bytes[random(Math.min(bytes.length, 0x130))] = random(256);
      try {
        loadMultiboot({ file: 'k', bytes, ramBytes: RAM });
        loaded++;
      } catch (e) {
        assert.ok(e instanceof MachineError, String((e as Error).stack));
      }
    }
    assert.ok(loaded > 100 && loaded < 5000);
  });
});

describe('detection', () => {
  const sector = (patch: (b: Uint8Array) => void = () => undefined, size = 512): Uint8Array => {
    const bytes = new Uint8Array(size);
    bytes.set([0x55, 0xaa], 510);
    patch(bytes);
    return bytes;
  };
  const text = (s: string, size = s.length, at = 0): Uint8Array => {
    const bytes = new Uint8Array(size);
    bytes.set(Array.from(s, (c) => c.charCodeAt(0)), at);
    return bytes;
  };

  it('knows what can be started', () => {
    assert.deepEqual(detect('k', elf()), { kind: 'multiboot' });
    assert.deepEqual(detect('vmlinuz', sector((b) => b.set(text('HdrS'), 0x202), 4096)), { kind: 'linux' });
    assert.deepEqual(detect('boot.bin', sector()), { kind: 'disk', drive: 'hardDisk' });
    assert.deepEqual(detect('boot.bin', sector(undefined, 700)), { kind: 'disk', drive: 'hardDisk' });
    assert.deepEqual(detect('mbr.img', sector(undefined, 1474560 + 512)), { kind: 'disk', drive: 'hardDisk' });
    for (const kiB of [160, 180, 320, 360, 720, 1200, 1440, 2880]) {
      assert.deepEqual(detect('f.img', new Uint8Array(kiB * 1024)), { kind: 'disk', drive: 'floppy' });
    }
    assert.deepEqual(detect('d.img', new Uint8Array(4 * MiB)), { kind: 'disk', drive: 'hardDisk' });
    assert.deepEqual(detect('d', text('QFI\xfb', 600)), { kind: 'disk', drive: 'hardDisk' });
    assert.deepEqual(detect('d', text('CD001', 0x10000, 0x8001)), { kind: 'cdrom' });
    const hybrid = text('CD001', 0x10000, 0x8001);
    hybrid.set([0x55, 0xaa], 510);
    assert.deepEqual([detect('d.img', hybrid), detect('d.ISO', hybrid)], [{ kind: 'disk', drive: 'hardDisk' }, { kind: 'cdrom' }]);
    assert.deepEqual(detect('hello.asm', text('bits 16\n\thlt\n')), { kind: 'asm' });
    assert.deepEqual(detect('x.bin', Uint8Array.of(0xf4)), { kind: 'flat' });
    assert.deepEqual(detect('x.bin', text('hlt\n')), { kind: 'flat' });
  });

  it('refuses the rest, saying what it is', () => {
    error(() => detect('e', new Uint8Array(0)), /e: is empty/);
    error(() => detect('k.gz', Uint8Array.of(0x1f, 0x8b, 8)), /gzip/);
    error(() => detect('x.exe', text('MZ', 600)), /MZ/);
    error(() => detect('notes.txt', text('buy milk\n')), /is a text file/);
    error(() => detect('x', new Uint8Array(700_001)), /no format that can be started/);
  });
});

describe('preparing a boot', () => {
  const base = { name: 'x', boot: 'auto', image: Uint8Array.of(0xf4) } as const;

  it('puts flat images at their address with a boot sector\'s registers', () => {
    const state = prepareBoot(base, RAM);
    assert.deepEqual([state.kind, state.chunks[0].address, state.registers?.eip, state.registers?.general[2], state.registers?.eflags], ['flat', 0x7c00, 0x7c00, 0x80, 0x202]);
    const high = prepareBoot({ ...base, loadAddress: 0x20100, entry: 0x20110, floppy: new Uint8Array(512) }, RAM);
    assert.deepEqual([high.registers?.segments[1].base, high.registers?.eip, high.registers?.general[2]], [0x20000, 0x110, 0]);
  });

  it('refuses addresses that cannot be', () => {
    error(() => prepareBoot({ ...base, loadAddress: RAM }, RAM), /16 MiB/);
    error(() => prepareBoot({ ...base, loadAddress: -1 }, RAM), /loadAddress/);
    error(() => prepareBoot({ ...base, loadAddress: 0xb8000 }, RAM), /screen and ROM/);
    error(() => prepareBoot({ ...base, loadAddress: 0x200000 }, RAM), /entry 0x200000/);
    error(() => prepareBoot({ ...base, image: new Uint8Array(0) }, RAM), /is empty/);
    error(() => prepareBoot({ ...base, name: 'a.asm', image: Uint8Array.of(0x6e, 0x6f, 0x70) }, RAM), /assembly source/);
  });

  it('makes disk images drives', () => {
    const image = new Uint8Array(512);
    image.set([0x55, 0xaa], 510);
    const state = prepareBoot({ ...base, image }, RAM);
    assert.deepEqual([state.kind, state.drives?.floppy, state.drives?.hardDisk?.bytes, state.registers], ['disk', undefined, image, undefined]);
    const diskette = new Uint8Array(1474560);
    const fromDiskette = prepareBoot({ ...base, image: diskette, hardDisk: image }, RAM);
    assert.deepEqual([fromDiskette.drives?.floppy?.bytes, fromDiskette.drives?.hardDisk?.bytes, fromDiskette.bootDrive], [diskette, image, 'floppy']);
    assert.equal(prepareBoot({ ...base, image, floppy: diskette }, RAM).bootDrive, 'hardDisk');
    error(() => prepareBoot({ ...base, image: diskette, floppy: image }, RAM), /another one is configured as floppy/);
    error(() => prepareBoot({ ...base, image, hardDisk: image }, RAM), /another one is configured as hardDisk/);
    assert.equal(prepareBoot({ ...base, image: new Uint8Array(0), hardDisk: image }, RAM).drives?.hardDisk?.bytes, image);
  });
});
