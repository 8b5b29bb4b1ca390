/**
 * The x87 against a real processor: what test/data/silicon/x87.bin.gz says it did with every declared encoding, with operands of all kinds, in all
 * rounding and precision modes, exceptions masked and unmasked. Results, status, tags, memory and flags are equal to the last bit, except
 * where a row of x87-differences.ts says what may differ and why.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { x87Rows } from '../../src/vmm/isa/rows/x87';
import { table } from '../../src/vmm/isa/table';
import { reportSuite, type Compared } from './support/report';
import { blankPointers, expandX87, makeState, type X87Shape, type X87State } from './support/silicon/x87-cases';
import { readX87Data, readX87Outcome } from './support/silicon/x87-data';
import { differences, tolerated, type Difference } from './support/silicon/x87-differences';
import { X87World } from './support/silicon/x87-world';

const file = path.join(process.cwd(), 'test', 'data', 'silicon', 'x87.bin.gz');
const decoder = new Decoder(table);
const hex = (value: number, digits = 4): string => value.toString(16).padStart(digits, '0');

function decode(shape: X87Shape): Instruction {
  const bytes = new Uint8Array(16);
  bytes.set(shape.code);
  const instruction = new Instruction();
  assert.equal(decoder.decode(bytes, 0, 16, { codeSize: 32 }, instruction), DecodeStatus.Ok, Buffer.from(shape.code).toString('hex'));
  return instruction;
}

const registerText = (state: X87State, n: number): string => {
  const bytes = Buffer.from(state.registers.subarray(10 * n, 10 * n + 10)).reverse().toString('hex');
  return `${bytes.slice(0, 4)}:${bytes.slice(4)}${state.empty >> n & 1 ? ' (empty)' : ''}`;
};
const topOf = (state: X87State): number => state.status >> 11 & 7;

/** What differs, in words. */
function differenceText(silicon: X87State, ours: X87State): string {
  const found: string[] = [];
  if (silicon.control !== ours.control) found.push(`control ${hex(silicon.control)}, ours ${hex(ours.control)}`);
  if (silicon.status !== ours.status) found.push(`status ${hex(silicon.status)}, ours ${hex(ours.status)}`);
  if (silicon.empty !== ours.empty) found.push(`empty ${hex(silicon.empty, 2)}, ours ${hex(ours.empty, 2)}`);
  if (silicon.flags !== ours.flags) found.push(`flags ${hex(silicon.flags)}, ours ${hex(ours.flags)}`);
  if (silicon.ax !== ours.ax) found.push(`ax ${hex(silicon.ax)}, ours ${hex(ours.ax)}`);
  for (let n = 0; n < 8; n++) {
    const a = registerText(silicon, n), b = registerText(ours, n);
    if (a !== b) found.push(`st${(n - topOf(silicon)) & 7} ${a}, ours ${b}`);
  }
  if (Buffer.compare(silicon.memory, ours.memory) !== 0) {
    const at = silicon.memory.findIndex((byte, n) => byte !== ours.memory[n]);
    const part = (state: X87State) => Buffer.from(state.memory.subarray(at & ~1, at + 12)).toString('hex');
    found.push(`memory from ${at & ~1} ${part(silicon)}, ours ${part(ours)}`);
  }
  return found.join('; ');
}

function inputText(before: X87State): string {
  const top = topOf(before);
  return `control ${hex(before.control)} status ${hex(before.status)} st0 ${registerText(before, top)} st1 ${registerText(before, (top + 1) & 7)} memory ${Buffer.from(before.memory.subarray(0, 10)).reverse().toString('hex')}`;
}

const ways = [
  { codeSize: 32, translation: 'threaded', every: 1 }, { codeSize: 32, translation: 'eager', every: 1 },
  { codeSize: 64, translation: 'threaded', every: 4 }, { codeSize: 64, translation: 'eager', every: 16 }, { codeSize: 16, translation: 'threaded', every: 4 },
] as const;

describe('x87 against silicon', function () {
  this.timeout(120_000);
  const used = new Map<Difference, number>();
  const compared: Compared[] = [];
  let processor = '';

  // In 16- and 64-bit code a part of the cases is enough: the operations are the same ones.
  for (const { codeSize, translation, every } of ways) it(`does what the processor did, in ${codeSize}-bit code and ${translation === 'eager' ? 'regions' : 'threaded code'}`, () => {
    const first = codeSize === 32 && translation === 'threaded';
    const world = new X87World(translation, codeSize);
    const before = makeState(), silicon = makeState(), ours = makeState();
    const failures = new Map<string, string[]>();
    let total = 0, known = 0;
    const header = readX87Data(fs.readFileSync(file), (shape, outcomes) => {
      const { encoding } = decode(shape);
      world.begin(shape);
      for (let index = 0; index < shape.cases; index++) {
        expandX87(shape, index, before);
        readX87Outcome(outcomes, before, silicon);
        if (index % every !== 0) continue;
        world.run(before, ours);
        blankPointers(shape, before, ours);
        total++;
        if (differenceText(silicon, ours) === '') continue;
        const list = failures.get(encoding.instruction.mnemonic) ?? [];
        const difference = tolerated(encoding, before, silicon, ours);
        if (difference) {
          known++;
          if (first) used.set(difference, (used.get(difference) ?? 0) + 1);
          continue;
        }
        const text = differenceText(silicon, ours);
        failures.set(encoding.instruction.mnemonic, list);
        list.push(`${Buffer.from(shape.code).toString('hex')} case ${index}: ${inputText(before)}\n        silicon: ${text}`);
      }
    });
    const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, Number(process.env.X87_SHOW ?? 3)).map((one) => `      ${one}`).join('\n')}`);
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
    ({ processor } = header);
    const which = every === 1 ? '' : `, every ${every}th case`;
    compared.push({ what: `${codeSize}-bit code${which}${translation === 'eager' ? ', in regions' : ''}`, cases: total, known, again: !first });
    assert.ok(total > 250_000 / every, `only ${total} cases`);
    assert.ok(translation === 'threaded' || world.regionEntries > total / 2, `only ${world.regionEntries} cases entered a region`);
  });

  it('needs every difference that it allows', () => {
    assert.deepEqual(differences.filter((difference) => !used.has(difference)).map(({ why }) => why), []);
  });

  it('is what docs/conformance.md says', () => {
    reportSuite('x87', {
      about: `What ${processor} did with every declared encoding of the x87, with operands of all kinds, in all rounding and precision modes, exceptions masked and unmasked: `
        + 'results, status, tags, memory and flags, to the last bit. It did the same in 16-, 32- and 64-bit code.',
      compared, differences: [...used].map(([{ mnemonics, why }, cases]) => ({ why: `${mnemonicsOf(mnemonics).join(', ')}: ${why}`, cases })),
    });
  });
});

/** What a difference's pattern means. */
function mnemonicsOf(pattern: RegExp): string[] {
  return [...new Set(x87Rows.map(({ mnemonic }) => mnemonic).filter((mnemonic) => pattern.test(mnemonic)))];
}
