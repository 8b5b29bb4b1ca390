/**
 * General instructions in 64-bit code against a real processor: what test/data/silicon/general64.bin.gz says it did with every declared encoding that
 * a process may execute, with REX prefixes, sixteen registers and 64-bit addresses.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import { isSample, RegionSample } from './support/region-sample';
import { reportSuite, type Compared } from './support/report';
import { longSkipReason, skipReason } from './support/silicon/coverage';
import { expandLong, Layout, makeLongState, type LongShape, type LongState } from './support/silicon/long-cases';
import { readLongData } from './support/silicon/long-data';
import { allowLong, type LongDifference } from './support/silicon/long-differences';
import { differenceText, registerNames, reversed } from './support/silicon/long-report';
import { LongWorld } from './support/silicon/long-world';
import { undefinedFlags, undefinedResult } from './support/silicon/undefined';

const file = path.join(process.cwd(), 'test', 'data', 'silicon', 'general64.bin.gz');
const decoder = new Decoder(table);

function decode(shape: LongShape): Instruction {
  const bytes = new Uint8Array(32);
  bytes.set(shape.code);
  const instruction = new Instruction();
  assert.equal(decoder.decode(bytes, 0, 32, { codeSize: 64 }, instruction), DecodeStatus.Ok, Buffer.from(shape.code).toString('hex'));
  return instruction;
}

function inputText(before: LongState): string {
  return `${registerNames.map((name, n) => `${name}=${reversed(before, 8 * n, 8).replace(/^0+(?=.)/, '')}`).join(' ')} flags=${reversed(before, Layout.flags, 4)}`;
}

/** Besides jumps, calls and returns, of which 16- and 32-bit code has the cases. */
const notComparable: readonly { readonly mnemonics: readonly string[]; readonly why: string }[] = [
  { mnemonics: ['jrcxz'], why: 'control stays in line here; JECXZ and JCXZ have cases in 32-bit code, and the exceptions of 64 bits have jumps' },
  { mnemonics: ['popfq', 'iretq'], why: 'the operating system\'s trap flag, selectors and stack take part; the narrower forms have cases in 32-bit code, IRETQ among the exceptions of 64 bits' },
  { mnemonics: ['rdfsbase', 'rdgsbase', 'wrfsbase', 'wrgsbase'], why: 'the process finds its own data by these bases' },
];
const reasons = new Set(notComparable.flatMap(({ mnemonics }) => mnemonics));
const namesOf = (mnemonics: RegExp): string => mnemonics.source.replace(/[\^$()]/g, '').replaceAll('|', ', ');

describe('64-bit code against silicon', function () {
  this.timeout(120_000);
  const casesOf = new Map<string, number>();

  const compared: Compared[] = [];
  const known = { flags: 0, byDifference: new Map<LongDifference, number>() };
  let processor = '';

  for (const translation of ['threaded', 'eager'] as const) it(`does what the processor did, ${translation === 'eager' ? 'in regions' : 'in threaded code'}`, () => {
    const world = new LongWorld(64, translation === 'eager' ? translation : undefined);
    const sample = new RegionSample();
    const again = translation === 'eager';
    let skipped = false, cases = 0, differing = 0;
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    let instruction = new Instruction();
    const header = readLongData(fs.readFileSync(file), (shape) => {
      instruction = decode(shape);
      skipped = again && !sample.wants(instruction.encoding);
      if (!skipped) world.begin(shape);
    }, (shape, index) => {
      const ecx = before.view.getUint32(8, true);
      const { encoding } = instruction;
      const { mnemonic } = encoding.instruction;
      if (skipped || undefinedResult(instruction, ecx)) return;
      cases++;
      if (!again) casesOf.set(mnemonic, (casesOf.get(mnemonic) ?? 0) + 1);
      world.run(shape, before, ours);
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
    compared.push({ what: again ? '64-bit code, every fourth shape in regions' : '64-bit code', cases, known: differing, again });
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
    assert.ok(!again || world.regionEntries > cases * 3 / 4, `only ${world.regionEntries} of ${cases} cases entered a region`);
  });

  it('has cases of every instruction that it can tell about', () => {
    // What 16- and 32-bit code can say has cases there.
    const missing = table.instructions.filter((instruction) => skipReason(instruction) && !longSkipReason(instruction) && !instruction.privilege && !casesOf.get(instruction.mnemonic) && !reasons.has(instruction.mnemonic));
    assert.deepEqual(missing.map(({ mnemonic, title }) => `${mnemonic} (${title})`), []);
    if (!isSample) return;
    reportSuite('long', {
      about: `What ${processor} did in ring 3 under Linux with every declared encoding of general instructions that a process may execute in 64-bit code, with all REX prefixes, sixteen registers and 64-bit addresses.`,
      compared,
      differences: [
        { why: 'flags that the manual leaves undefined, as in 32-bit code', cases: known.flags },
        ...[...known.byDifference].map(([{ mnemonics, why }, cases]) => ({ why: `${namesOf(mnemonics)}: ${why}`, cases })),
      ],
      notCompared: [...notComparable.map(({ mnemonics, why }) => ({ what: mnemonics.join(', '), why })), { what: 'privileged instructions', why: 'the exceptions of 64 bits, below, have them' }],
      instructions: casesOf,
    });
  });
});
