import assert from 'node:assert/strict';
import { readDwarfLines } from './dwarf-lines';
import { elfFile as elf, elfSymbol as symbol, elfText as text, u16, u32 } from '../../test/support/elf-file';
import type { ElfSectionSpec as Section } from '../../test/support/elf-file';
import { isElf, readElfSymbols } from './elf';

/** Line 5 at 0x100000 for 3 bytes, line 7 for 2, then 4 bytes of the second file's line 2. */
const program = [0, 5, 2, ...u32(0x100000), 3, 4, 1, 13 + 3 * 14 + 2 + 5, 2, 2, 4, 2, 3, 0x7b, 1, 2, 4, 0, 1, 1];
const operandCounts = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
const prologue = [1, 1, 0xfb, 14, 13, ...operandCounts];

function unit(version: number, tables: number[]): number[] {
  const header = version >= 4 ? [1, ...prologue] : prologue;
  const rest = [...u32(header.length + tables.length), ...header, ...tables, ...program];
  const body = [...u16(version), ...(version === 5 ? [4, 0] : []), ...rest];
  return [...u32(body.length), ...body];
}
const files2 = [...text('lib'), 0, ...text('a.asm'), 0, 0, 0, ...text('b.inc'), 1, 0, 0, 0];
const files5 = [1, 1, 0x08, 2, ...text('/kernel'), ...text('lib'), 2, 1, 0x1f, 2, 0x0b, 3, ...u32(0), 0, ...u32(0), 0, ...u32(6), 1];
const lineStrings: Section = { name: '.debug_line_str', type: 1, bytes: [...text('a.asm'), ...text('b.inc')] };

describe('DWARF lines', () => {
  it('come out of versions 2 to 4', () => {
    for (const version of [2, 3, 4]) {
      assert.deepEqual(readDwarfLines(elf([{ name: '.debug_line', type: 1, bytes: unit(version, files2) }])), [
        { linear: 0x100000, length: 3, path: 'a.asm', line: 5 }, { linear: 0x100003, length: 2, path: 'a.asm', line: 7 }, { linear: 0x100005, length: 4, path: 'lib/b.inc', line: 2 },
      ]);
    }
  });

  it('come out of version 5 with whole paths', () => {
    const rows = readDwarfLines(elf([{ name: '.debug_line', type: 1, bytes: unit(5, files5) }, lineStrings]));
    assert.deepEqual(rows.map(({ path, line }) => `${path}:${line}`), ['/kernel/a.asm:5', '/kernel/a.asm:7', '/kernel/lib/b.inc:2']);
  });

  it('end with a damaged unit, and go on with the next', () => {
    const damaged = unit(2, files2);
    damaged[9] = 0xff; // the header's length
    const rows = readDwarfLines(elf([{ name: '.debug_line', type: 1, bytes: [...damaged, ...unit(2, files2)] }]));
    assert.equal(rows.length, 3);
  });

  it('survive any damage', () => {
    const good = elf([{ name: '.debug_line', type: 1, bytes: [...unit(5, files5), ...unit(3, files2)] }, lineStrings]);
    let seed = 1;
    const random = (limit: number): number => (seed = (seed * 48271) % 0x7fffffff) % limit;
    for (let n = 0; n < 2000; n++) {
      const bad = good.slice(0, n % 3 === 0 ? random(good.length) : good.length);
      for (let change = 0; change < 4 && bad.length > 0; change++) bad[random(bad.length)] = random(256);
      readDwarfLines(bad);
      readElfSymbols(bad);
    }
  });
});

describe('ELF symbols', () => {
  it('are functions and labels of this file', () => {
    const file = elf([
      { name: '.symtab', type: 2, link: 2, bytes: [symbol(1, 0x100000, 0x12, 1), symbol(7, 0x100010, 0, 1), symbol(1, 5, 0, 0xfff1), symbol(7, 0, 0x10, 0), symbol(7, 0, 4, 1)].flat() },
      { name: '.strtab', type: 3, bytes: [0, ...text('start'), ...text('loop')] },
    ]);
    assert.deepEqual(readElfSymbols(file), [{ name: 'start', linear: 0x100000 }, { name: 'loop', linear: 0x100010 }]);
  });

  it('need an ELF file', () => {
    assert.equal(isElf(Uint8Array.of(0x7f, 0x45, 0x4c)), false);
    assert.deepEqual(readElfSymbols(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2)), []);
  });
});
