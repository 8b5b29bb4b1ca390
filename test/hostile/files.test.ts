/** Bad files on the command line: refused at once, with exit status 2, the file's name and the reason. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { inFolder, ringside } from '../cli/ringside';

const MULTIBOOT = [0x1badb002, 0, -0x1badb002 >>> 0];
const TEXT_AT = 0x200;

type Segment = readonly [type: number, offset: number, virtual: number, physical: number, fileBytes: number, memoryBytes: number];

/** A multiboot kernel that halts, with these program headers. */
function kernel(...segments: readonly Segment[]): Uint8Array {
  const bytes = new Uint8Array(0x400);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [at, value] of [[16, 2], [18, 3], [40, 52], [42, 32], [44, segments.length]]) view.setUint16(at, value, true);
  view.setUint32(24, 0x10000c, true);
  view.setUint32(28, 52, true);
  segments.forEach((segment, n) => segment.forEach((value, i) => view.setUint32(52 + 32 * n + 4 * i, value, true)));
  MULTIBOOT.forEach((value, n) => view.setUint32(TEXT_AT + 4 * n, value, true));
  bytes.set([0xfa, 0xf4], TEXT_AT + 12);
  return bytes;
}

const good: Segment = [1, TEXT_AT, 0x100000, 0x100000, 0x200, 0x200];
const MiB = 1 << 20;

const files: readonly (readonly [what: string, content: Uint8Array, reason: RegExp])[] = [
  ['an empty file', new Uint8Array(), /is empty/],
  ['an ELF header cut off', kernel(good).subarray(0, 40), /ends inside the ELF header|no multiboot header/],
  ['an ELF kernel without its segments', kernel(good).subarray(0, TEXT_AT + 0x20), /program header 0: p_offset 0x200 \+ p_filesz 0x200 lies beyond the end of the file/],
  ['a segment beyond memory', kernel(good, [1, 0, 0, 0x7fff0000, 0, 0x1000]), /program header 1 .*0x7fff0000–0x7fff0fff, but the machine has 16 MiB/],
  ['a segment around the end of the address space', kernel(good, [1, 0, 0, 0xfffff000, 0, 0x2000]), /program header 1 .*0xfffff000–0x100000fff/],
  ['a segment of 4 GiB', kernel([1, TEXT_AT, 0x100000, 0x100000, 0x200, 0xffffffff]), /program header 0 .*16 MiB/],
  ['segments that overlap', kernel(good, [1, TEXT_AT, 0, 0x100100, 0x100, 0x100]), /program headers 0 and 1 overlap in memory at 0x100100/],
  ['a segment over the BIOS', kernel(good, [1, TEXT_AT, 0, 0xf0000, 0x100, 0x100]), /belongs to the BIOS/],
  ['an entry point in nothing', kernel([1, TEXT_AT, 0x200000, 0x200000, 0x200, 0x200]), /entry point 0x10000c/],
  ['a large file that is nothing', new Uint8Array(3 * MiB + 1), /no format that can be started \(3145729 bytes/],
];

describe('bad files', () => {
  for (const [what, content, reason] of files) {
    it(`the reason is given: ${what}`, async () => {
      await inFolder({ 'bad.elf': content }, async (folder) => {
        const { status, stdout, stderr } = await ringside(['run', path.join(folder, 'bad.elf'), '--memory', '16']);
        assert.equal(status, 2, stderr);
        assert.match(stderr, reason);
        assert.match(stderr, /bad\.elf/);
        assert.match(stderr, /\n {2}\S/, 'advice');
        assert.equal(stdout, '');
      });
    });
  }

  it('the kernel that they were made from runs, with a module that fits and without; a module that does not fit is named', async () => {
    await inFolder({ 'good.elf': kernel(good), 'small.mod': new Uint8Array(1000), 'large.mod': new Uint8Array(15 * MiB) }, async (folder) => {
      const run = async (...options: string[]) => ringside(['run', path.join(folder, 'good.elf'), '--memory', '16', ...options]);
      assert.equal((await run()).status, 0);
      assert.equal((await run('--initrd', path.join(folder, 'small.mod'))).status, 0);
      const { status, stderr } = await run('--initrd', path.join(folder, 'large.mod'));
      assert.equal(status, 2);
      assert.match(stderr, /module large\.mod \(15728640 bytes\) wants memory .*16 MiB/);
      assert.match(stderr, /more memory/);
    });
  });

  it('a file larger than the host should hold is not read', async () => {
    await inFolder({}, async (folder) => {
      const huge = path.join(folder, 'huge.img');
      fs.writeFileSync(huge, '');
      fs.truncateSync(huge, 1500 * MiB); // takes no room
      const { status, stderr } = await ringside(['run', huge]);
      assert.equal(status, 2);
      assert.match(stderr, /huge\.img is larger than 1024 MiB/);
    });
  });
});
