/**
 * MMX and SSE against a real processor: what test/data/silicon/vectors.bin.gz says it did with every declared encoding, with operands of all kinds,
 * in all modes of MXCSR, exceptions masked and unmasked. Registers, flags, MXCSR, the x87 unit's state, memory and faults are equal, except where
 * a row of long-differences.ts says what may differ and why.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Instruction } from '../../src/vmm/decode/instruction';
import { vectorRows } from '../../src/vmm/isa/table';
import { isSample, RegionSample } from './support/region-sample';
import { reportSuite, type Compared } from './support/report';
import { expandLong, type LongShape } from './support/silicon/long-cases';
import { Layout, makeLongState, type LongState } from './support/silicon/long-layout';
import { readLongData } from './support/silicon/long-data';
import { allowLong, longDifferences, type LongDifference } from './support/silicon/long-differences';
import { differenceText, reversed } from './support/silicon/long-report';
import { LongWorld } from './support/silicon/long-world';
import { decodeIn, hasRex, vectorShapeIn } from './support/silicon/narrow';

const file = path.join(process.cwd(), 'test', 'data', 'silicon', 'vectors.bin.gz');
function inputText(shape: LongShape, before: LongState): string {
  const instruction = decodeIn(shape.code, 64);
  const { reg = 0, rm = 0 } = instruction ?? {};
  return `xmm${reg}=${reversed(before, Layout.xmm + 16 * reg, 16)} xmm${rm}=${reversed(before, Layout.xmm + 16 * rm, 16)} mm${reg}=${reversed(before, Layout.stack + 16 * reg, 8)} mm${rm}=${reversed(before, Layout.stack + 16 * rm, 8)} `
    + `rdi=${reversed(before, 56, 4)} mxcsr=${reversed(before, Layout.mxcsr, 4)}`;
}

describe('MMX and SSE against silicon', function () {
  this.timeout(120_000);
  const used = new Map<LongDifference, number>();
  const compared: Compared[] = [];
  let processor = '';

  for (const codeSize of [32, 64, 16] as const) for (const again of codeSize === 16 ? [false] : [false, true]) it(`does what the processor did, in ${codeSize}-bit code${again ? ' and regions' : ''}`, () => {
    const world = new LongWorld(codeSize, again ? 'eager' : undefined);
    const sample = new RegionSample();
    // Shapes without REX are the same ones in 16-, 32- and 64-bit code.
    const counts = { first: { cases: 0, known: 0 }, again: { cases: 0, known: 0 } };
    let count = counts.first;
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    let own: LongShape | undefined;
    let instruction = new Instruction();
    const header = readLongData(fs.readFileSync(file), (shape) => {
      own = vectorShapeIn(shape, codeSize);
      if (!own) return;
      instruction = decodeIn(own.code, codeSize)!;
      if (again && !sample.wants(instruction.encoding)) own = undefined;
      count = again || codeSize === 16 || (codeSize === 64 && !hasRex(shape)) ? counts.again : counts.first;
      if (own) world.begin(own);
    }, (shape, index) => {
      if (!own) return;
      const { encoding } = instruction;
      count.cases++;
      world.run(own, before, ours);
      const difference = allowLong(encoding, before, silicon, ours);
      if (difference) count.known++;
      if (difference && count === counts.first) used.set(difference, (used.get(difference) ?? 0) + 1);
      const text = differenceText(silicon, ours, codeSize === 64 ? 64 : 32);
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
    if (counts.again.cases) compared.push({ what: again ? `${what}, every fourth shape in regions` : `${what}, every fourth shape${codeSize === 64 ? ' without REX' : ''}`, ...counts.again, again: true });
    const total = counts.first.cases + counts.again.cases;
    assert.ok(total > (again ? 10_000 : 50_000), `only ${total} cases`);
    assert.ok(!again || world.regionEntries > total * 3 / 4, `only ${world.regionEntries} of ${total} cases entered a region`);
  });

  it('needs every difference that it allows', () => {
    assert.deepEqual(longDifferences.filter((difference) => vectorRows.some(({ mnemonic }) => difference.mnemonics.test(mnemonic)) && !used.has(difference)).map(({ why }) => why), []);
  });

  it('is what docs/conformance.md says', () => {
    if (!isSample) return;
    reportSuite('vectors', {
      about: `What ${processor} did in ring 3 under Linux with every declared encoding of MMX, SSE to SSE4.2, AES and PCLMULQDQ, with operands of all kinds, in all modes of MXCSR, exceptions masked and unmasked: `
        + 'registers, flags, MXCSR, the x87 unit, memory and faults. It did the same in 16-, 32- and 64-bit code wherever that can say it.',
      compared, differences: [...used].map(([{ mnemonics, why }, cases]) => ({ why: `${mnemonicsOf(mnemonics).join(', ')}: ${why}`, cases })),
    });
  });
});

/** What a difference's pattern means. */
function mnemonicsOf(pattern: RegExp): string[] {
  return [...new Set(vectorRows.map(({ mnemonic }) => mnemonic).filter((mnemonic) => pattern.test(mnemonic)))];
}
