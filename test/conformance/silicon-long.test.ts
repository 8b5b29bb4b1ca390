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

describe('64-bit code against silicon', function () {
  this.timeout(120_000);
  const casesOf = new Map<string, number>();

  it('does what the processor did', () => {
    const world = new LongWorld(64);
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    const used = new Set<LongDifference>();
    let instruction = new Instruction();
    readLongData(fs.readFileSync(file), (shape) => {
      instruction = decode(shape);
      world.begin(shape);
    }, (shape, index) => {
      const ecx = before.view.getUint32(8, true);
      const { encoding } = instruction;
      const { mnemonic } = encoding.instruction;
      if (undefinedResult(instruction, ecx)) return;
      casesOf.set(mnemonic, (casesOf.get(mnemonic) ?? 0) + 1);
      world.run(shape, before, ours);
      if (silicon.vector < 0) {
        const ignored = undefinedFlags(instruction, ecx);
        const flags = silicon.view.getUint32(Layout.flags, true) & ignored | ours.view.getUint32(Layout.flags, true) & ~ignored;
        ours.view.setUint32(Layout.flags, flags, true);
      }
      allowLong(encoding, before, silicon, ours, used);
      const text = differenceText(silicon, ours, 64);
      if (!text) return;
      const list = failures.get(mnemonic) ?? [];
      failures.set(mnemonic, list);
      expandLong(shape, index, before);
      list.push(`${Buffer.from(shape.code).toString('hex')} case ${index}: ${list.length < 20 ? inputText(before) : ''}\n        silicon: ${text}`);
    }, before, silicon);
    const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `      ${one}`).join('\n')}`);
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
  });

  it('has cases of what only 64-bit processors have', () => {
    assert.deepEqual(['movsxd', 'cmpxchg16b', 'popcnt', 'movnti', 'movbe', 'movsq', 'cdqe', 'cqo'].filter((mnemonic) => !casesOf.get(mnemonic)), []);
    console.log(`      ${[...casesOf].map(([mnemonic, cases]) => `${mnemonic} ${cases}`).join(', ')}`);
  });
});
