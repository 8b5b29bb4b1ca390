/**
 * That silicon has answered to everything: each declared encoding has cases in 16-, 32- and 64-bit code wherever it exists, or a row of coverage.ts says
 * why silicon cannot tell. Counts what the data files hold and the other suites compare.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { reportSuite } from './support/report';
import { codeSizes, existsIn, uncovered, whyUncovered, type CodeSize } from './support/silicon/coverage';
import { makeInput } from './support/silicon/cases';
import { readData } from './support/silicon/data-file';
import { readLongData } from './support/silicon/long-data';
import { makeLongState } from './support/silicon/long-layout';
import { decodeIn, narrowCode, vectorShapeIn } from './support/silicon/narrow';
import { makeOutcome, readOutcome } from './support/silicon/outcome';
import { IMAGE_BYTES, modeNames, modes } from './support/silicon/world';
import { makeState } from './support/silicon/x87-cases';
import { readX87Data, readX87Outcome } from './support/silicon/x87-data';

const load = (name: string): Uint8Array => fs.readFileSync(path.join(process.cwd(), 'test', 'data', 'silicon', `${name}.bin.gz`));

describe('Coverage by silicon', function () {
  this.timeout(120_000);
  const counts = new Map(codeSizes.map((codeSize) => [codeSize, new Map<Encoding, number>()]));
  const casesOf = (encoding: Encoding, codeSize: CodeSize): number => counts.get(codeSize)!.get(encoding) ?? 0;

  function count(code: Uint8Array, codeSize: CodeSize, cases: number): void {
    const byEncoding = counts.get(codeSize)!;
    for (let at = 0; at < code.length;) {
      const instruction = decodeIn(code.subarray(at), codeSize, true);
      // Opcodes for which nothing stands.
      if (!instruction) return;
      byEncoding.set(instruction.encoding, (byEncoding.get(instruction.encoding) ?? 0) + cases);
      at += instruction.length;
    }
  }

  before(() => {
    const input = makeInput(), outcome = makeOutcome(IMAGE_BYTES);
    for (const mode of modeNames) {
      readData(load(mode), (shape, outcomes) => {
        for (let n = 0; n < shape.cases; n++) readOutcome(outcomes, shape, input, outcome);
        count(shape.code, modes[mode].codeSize, shape.cases);
      });
    }
    const first = makeLongState(), last = makeLongState();
    for (const name of ['general64', 'states']) readLongData(load(name), (shape) => count(shape.code, shape.system?.codeSize ?? 64, shape.cases), undefined, first, last);
    readLongData(load('vectors'), (shape) => {
      for (const codeSize of codeSizes) {
        const own = vectorShapeIn(shape, codeSize);
        if (own) count(own.code, codeSize, own.cases);
      }
    }, undefined, first, last);
    const x87 = makeState();
    readX87Data(load('x87'), (shape, outcomes) => {
      for (let n = 0; n < shape.cases; n++) readX87Outcome(outcomes, x87, makeState());
      for (const codeSize of codeSizes) count(codeSize === 64 ? shape.code : narrowCode(shape.code, codeSize)!, codeSize, shape.cases);
    });
  });

  for (const codeSize of codeSizes) {
    it(`has cases of every encoding of ${codeSize}-bit code`, () => {
      const missing = table.encodings.filter((encoding) => existsIn(encoding, codeSize) && !whyUncovered(encoding.instruction, codeSize) && !casesOf(encoding, codeSize));
      assert.deepEqual(missing.map(({ instruction, text }) => `${instruction.mnemonic} '${text}'`), []);
    });
  }

  it('needs every exception', () => {
    const needless = uncovered.flatMap((row) => row.mnemonics.flatMap((mnemonic) => row.codeSizes.map((codeSize) => ({ mnemonic, codeSize }))))
      .filter(({ mnemonic, codeSize }) => !(table.byMnemonic.get(mnemonic) ?? []).some((encoding) => existsIn(encoding, codeSize) && !casesOf(encoding, codeSize)));
    assert.deepEqual(needless, []);
  });

  it('is what docs/conformance.md says', () => {
    const instructions = new Map<string, (number | undefined)[]>();
    for (const encoding of table.encodings) {
      codeSizes.forEach((codeSize, n) => {
        if (!existsIn(encoding, codeSize)) return;
        const row = instructions.get(encoding.instruction.mnemonic) ?? codeSizes.map(() => undefined);
        instructions.set(encoding.instruction.mnemonic, row);
        row[n] = (row[n] ?? 0) + casesOf(encoding, codeSize);
      });
    }
    reportSuite('coverage', {
      about: 'Encodings of the instruction table, in each kind of code where they exist: whether a real processor has answered to cases of them. The tests fail when one without a row below has none. '
        + 'Instructions that ring 3 may not execute have the exception that it gets. Real-address and virtual-8086 mode are not among the kinds of code: a 64-bit Linux offers neither to a process.',
      compared: codeSizes.map((codeSize) => {
        const there = table.encodings.filter((encoding) => existsIn(encoding, codeSize));
        return { what: `encodings of ${codeSize}-bit code with cases`, cases: there.length, known: there.filter((encoding) => !casesOf(encoding, codeSize)).length };
      }),
      notCompared: uncovered.map(({ mnemonics, codeSizes: sizes, why }) => ({ what: `${mnemonics.join(', ')} in ${sizes.join(', ')}-bit code`, why })),
      instructions,
    });
  });
});
