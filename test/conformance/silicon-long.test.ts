/**
 * General instructions in 64-bit code, and what saves and loads the state of x87 and SSE in code of all sizes, against a real processor: what
 * test/data/silicon/general64.bin.gz and states.bin.gz say it did with every declared encoding.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Instruction } from '../../src/vmm/decode/instruction';
import { isSample, RegionSample } from './support/region-sample';
import { reportSuite, type Compared, type SuiteReport } from './support/report';
import { ownRegistersOf, ownResults } from './support/silicon/coverage';
import { expandLong } from './support/silicon/long-cases';
import { forgetPointers, Layout, makeLongState, storedPointers, type LongState } from './support/silicon/long-layout';
import { readLongData } from './support/silicon/long-data';
import { allowLong, longDifferences, type LongDifference } from './support/silicon/long-differences';
import { differenceText, registerNames, reversed } from './support/silicon/long-report';
import { LongWorld } from './support/silicon/long-world';
import { decodeIn } from './support/silicon/narrow';
import { undefinedFlags, undefinedResult } from './support/silicon/undefined';

function inputText(before: LongState): string {
  return `${registerNames.map((name, n) => `${name}=${reversed(before, 8 * n, 8).replace(/^0+(?=.)/, '')}`).join(' ')} flags=${reversed(before, Layout.flags, 4)}`;
}

const namesOf = (mnemonics: RegExp): string => mnemonics.source.replace(/[\^$()]/g, '').replaceAll('|', ', ');

interface Suite {
  readonly id: 'long' | 'states';
  readonly title: string;
  readonly file: string;
  readonly what: string;
  readonly about: string;
  readonly notCompared: SuiteReport['notCompared'];
}

const suites: readonly Suite[] = [
  {
    id: 'long', title: '64-bit code', file: 'general64', what: '64-bit code',
    about: 'every declared encoding of general instructions that 64-bit code can contain, with all REX prefixes, sixteen registers, 64-bit addresses and bases of FS and GS: '
      + 'registers, flags, segments and their bases, memory and stack, where control goes, exceptions, error codes and CR2.',
    notCompared: [
      ...ownResults.map(({ mnemonics, what, why }) => ({ what: `${mnemonics.join(', ')}: ${what}`, why })),
      { what: '66 before near transfers, REX.W before far ones through memory and before LSS, LFS and LGS', why: 'AMD\'s processors heed the one and ignore the other, Intel\'s, and this one, the other way around (SDM Vol. 2, JMP, LDS)' },
    ],
  },
  {
    id: 'states', title: 'x87 and SSE state', file: 'states', what: '16-, 32- and 64-bit code',
    about: 'FXSAVE, FXRSTOR and WAIT, and with every x87 instruction while an unmasked exception is pending.', notCompared: [{ what: storedPointers.what, why: storedPointers.why }],
  },
];

for (const { id, title, file, what, about, notCompared } of suites) describe(`${title} against silicon`, function () {
  this.timeout(120_000);
  const compared: Compared[] = [];
  const known = { flags: 0, byDifference: new Map<LongDifference, number>() };
  const mnemonics = new Set<string>();
  let processor = '';

  // What saves and loads state is in no region.
  for (const translation of id === 'states' ? ['threaded'] as const : ['threaded', 'eager'] as const) it(`does what the processor did, ${translation === 'eager' ? 'in regions' : 'in threaded code'}`, () => {
    const world = new LongWorld(64, translation === 'eager' ? translation : undefined);
    const sample = new RegionSample();
    const again = translation === 'eager';
    let skipped = false, cases = 0, differing = 0;
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    let instruction = new Instruction();
    const header = readLongData(fs.readFileSync(path.join(process.cwd(), 'test', 'data', 'silicon', `${file}.bin.gz`)), (shape) => {
      const decoded = decodeIn(shape.code, shape.system?.codeSize ?? 64);
      assert.ok(decoded, Buffer.from(shape.code).toString('hex'));
      instruction = decoded;
      mnemonics.add(decoded.encoding.instruction.mnemonic);
      skipped = again && !sample.wants(instruction.encoding);
      if (!skipped) world.begin(shape);
    }, (shape, index) => {
      const ecx = before.view.getUint32(8, true);
      const { encoding } = instruction;
      const { mnemonic } = encoding.instruction;
      if (skipped || undefinedResult(instruction, ecx)) return;
      cases++;
      world.run(shape, before, ours);
      forgetPointers(encoding, before, ours);
      for (const register of ownRegistersOf(encoding)) ours.view.setUint32(8 * register, 0, true);
      if (silicon.vector < 0) {
        const ignored = undefinedFlags(instruction, ecx);
        const flags = silicon.view.getUint32(Layout.flags, true) & ignored | ours.view.getUint32(Layout.flags, true) & ~ignored;
        if (flags !== ours.view.getUint32(Layout.flags, true)) {
          differing++;
          if (!again) known.flags++;
        }
        ours.view.setUint32(Layout.flags, flags, true);
      }
      const difference = allowLong(encoding, before, silicon, ours);
      if (difference) differing++;
      if (difference && !again) known.byDifference.set(difference, (known.byDifference.get(difference) ?? 0) + 1);
      const text = differenceText(silicon, ours, 64);
      if (!text) return;
      const list = failures.get(mnemonic) ?? [];
      failures.set(mnemonic, list);
      expandLong(shape, index, before);
      list.push(`${Buffer.from(shape.code).toString('hex')} case ${index}: ${list.length < 20 ? inputText(before) : ''}\n        silicon: ${text}`);
    }, before, silicon);
    const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `      ${one}`).join('\n')}`);
    ({ processor } = header);
    compared.push({ what: again ? `${what}, every fourth shape in regions` : what, cases, known: differing, again });
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
    assert.ok(!again || world.regionEntries > cases * 3 / 4, `only ${world.regionEntries} of ${cases} cases entered a region`);
  });

  it('needs every difference that it allows', () => {
    const needless = longDifferences.filter((difference) => [...mnemonics].some((mnemonic) => difference.mnemonics.test(mnemonic)) && !known.byDifference.has(difference));
    assert.deepEqual(needless.map(({ why }) => why), []);
  });

  it('is what docs/conformance.md says', () => {
    if (!isSample) return;
    reportSuite(id, {
      about: `What ${processor} did in ring 3 under Linux with ${about}`,
      compared,
      differences: [
        ...known.flags ? [{ why: 'flags that the manual leaves undefined, as in 32-bit code', cases: known.flags }] : [],
        ...[...known.byDifference].map(([{ mnemonics: names, why }, cases]) => ({ why: `${namesOf(names)}: ${why}`, cases })),
      ],
      notCompared,
    });
  });
});
