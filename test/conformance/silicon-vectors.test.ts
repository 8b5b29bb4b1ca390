/**
 * MMX and SSE against a real processor: what test/data/silicon/vectors.bin.gz says it did with every declared encoding, with operands of all kinds,
 * in all modes of MXCSR, exceptions masked and unmasked. Registers, flags, MXCSR, the x87 unit's state, memory and faults are equal, except where
 * a row of long-differences.ts says what may differ and why.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table, vectorRows } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { isSample, RegionSample } from './support/region-sample';
import { reportSuite, type Compared } from './support/report';
import { expandLong, Layout, makeLongState, type LongShape, type LongState } from './support/silicon/long-cases';
import { readLongData } from './support/silicon/long-data';
import { allowLong, longDifferences, type LongDifference } from './support/silicon/long-differences';
import { differenceText, reversed } from './support/silicon/long-report';
import { LongWorld } from './support/silicon/long-world';

const file = path.join(process.cwd(), 'test', 'data', 'silicon', 'vectors.bin.gz');
const decoder = new Decoder(table);
const isRex = (byte: number): boolean => (byte & 0xf0) === 0x40;

const hasRex = ({ code }: LongShape): boolean => code.some((byte, n) => isRex(byte) && code[n + 1] === 0x0f);

/** In 32-bit code the same instruction, if REX does not take part. */
function decode(shape: LongShape, codeSize: 32 | 64): Instruction | undefined {
  const rex = hasRex(shape);
  // In 64-bit code a part of the others is enough.
  if (codeSize === 32 ? rex : !rex && shape.seed % 4 !== 0) return undefined;
  const bytes = new Uint8Array(32);
  bytes.set(shape.code);
  const instruction = new Instruction();
  assert.equal(decoder.decode(bytes, 0, 32, { codeSize }, instruction), DecodeStatus.Ok, Buffer.from(shape.code).toString('hex'));
  return instruction;
}

function inputText(shape: LongShape, before: LongState): string {
  const instruction = decode(shape, 32) ?? decode(shape, 64);
  const { reg = 0, rm = 0 } = instruction ?? {};
  return `xmm${reg}=${reversed(before, Layout.xmm + 16 * reg, 16)} xmm${rm}=${reversed(before, Layout.xmm + 16 * rm, 16)} mm${reg}=${reversed(before, Layout.stack + 16 * reg, 8)} mm${rm}=${reversed(before, Layout.stack + 16 * rm, 8)} `
    + `rdi=${reversed(before, 56, 4)} mxcsr=${reversed(before, Layout.mxcsr, 4)}`;
}

describe('MMX and SSE against silicon', function () {
  this.timeout(120_000);
  const casesOf = new Map<Encoding, number>();
  const used = new Map<LongDifference, number>();
  const compared: Compared[] = [];
  let processor = '';

  for (const codeSize of [32, 64] as const) for (const again of [false, true]) it(`does what the processor did, in ${codeSize}-bit code${again ? ' and regions' : ''}`, () => {
    const world = new LongWorld(codeSize, again ? 'eager' : undefined);
    const sample = new RegionSample();
    // Shapes without REX are the same ones in 32- and in 64-bit code.
    const counts = { first: { cases: 0, known: 0 }, again: { cases: 0, known: 0 } };
    let count = counts.first;
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    let instruction: Instruction | undefined;
    const header = readLongData(fs.readFileSync(file), (shape) => {
      instruction = decode(shape, codeSize);
      if (again && instruction && !sample.wants(instruction.encoding)) instruction = undefined;
      count = again || (codeSize === 64 && !hasRex(shape)) ? counts.again : counts.first;
      if (instruction) world.begin(shape);
    }, (shape, index) => {
      if (!instruction) return;
      const { encoding } = instruction;
      if (count === counts.first) casesOf.set(encoding, (casesOf.get(encoding) ?? 0) + 1);
      count.cases++;
      world.run(shape, before, ours);
      const difference = allowLong(encoding, before, silicon, ours);
      if (difference) count.known++;
      if (difference && count === counts.first) used.set(difference, (used.get(difference) ?? 0) + 1);
      const text = differenceText(silicon, ours, codeSize);
      if (!text) return;
      const list = failures.get(encoding.instruction.mnemonic) ?? [];
      failures.set(encoding.instruction.mnemonic, list);
      expandLong(shape, index, before);
      list.push(`${Buffer.from(shape.code).toString('hex')} case ${index}: ${list.length < 20 ? inputText(shape, before) : ''}\n        silicon: ${text}`);
    }, before, silicon);
    const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `      ${one}`).join('\n')}`);
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
    ({ processor } = header);
    const what = `${codeSize}-bit code`;
    if (counts.first.cases) compared.push({ what: codeSize === 64 ? `${what} with REX` : what, ...counts.first });
    if (counts.again.cases) compared.push({ what: again ? `${what}, every fourth shape in regions` : `${what}, every fourth shape without REX`, ...counts.again, again: true });
    const total = counts.first.cases + counts.again.cases;
    assert.ok(total > (again ? 10_000 : 100_000), `only ${total} cases`);
    assert.ok(!again || world.regionEntries > total * 3 / 4, `only ${world.regionEntries} of ${total} cases entered a region`);
  });

  it('needs every difference that it allows', () => {
    assert.deepEqual(longDifferences.filter((difference) => vectorRows.some(({ mnemonic }) => difference.mnemonics.test(mnemonic)) && !used.has(difference)).map(({ why }) => why), []);
  });

  it('has cases of every encoding', () => {
    const rows = new Set(vectorRows);
    const missing = table.encodings.filter((encoding) => rows.has(encoding.instruction) && !casesOf.get(encoding));
    assert.deepEqual(missing.map(({ instruction, text }) => `${instruction.mnemonic} '${text}'`), []);
    const byMnemonic = new Map<string, number>();
    for (const [{ instruction }, cases] of casesOf) byMnemonic.set(instruction.mnemonic, (byMnemonic.get(instruction.mnemonic) ?? 0) + cases);
    if (!isSample) return;
    reportSuite('vectors', {
      about: `What ${processor} did in ring 3 under Linux with every declared encoding of MMX, SSE to SSE4.2, AES and PCLMULQDQ, with operands of all kinds, in all modes of MXCSR, exceptions masked and unmasked: `
        + 'registers, flags, MXCSR, the x87 unit, memory and faults.',
      compared, differences: [...used].map(([{ mnemonics, why }, cases]) => ({ why: `${mnemonicsOf(mnemonics).join(', ')}: ${why}`, cases })), instructions: byMnemonic,
    });
  });
});

/** What a difference's pattern means. */
function mnemonicsOf(pattern: RegExp): string[] {
  return [...new Set(vectorRows.map(({ mnemonic }) => mnemonic).filter((mnemonic) => pattern.test(mnemonic)))];
}
