/**
 * Threaded code against a real processor: what test/data/silicon/ says an x86 CPU did with more than half a million generated cases must be
 * what the engine does, registers, flags, memory, exceptions, error codes and CR2. `npm run silicon:generate` makes the data anew on the machine at hand.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { InstructionSpec } from '../../src/vmm/isa/types';
import { allowances, type Allowance } from './support/silicon/allowances';
import { expand, makeInput, type Input, type Shape } from './support/silicon/cases';
import { notComparable, skipReason } from './support/silicon/coverage';
import { readData } from './support/silicon/data-file';
import { EngineWorld } from './support/silicon/engine-world';
import { makeOutcome, readOutcome, type Outcome } from './support/silicon/outcome';
import { definedFlags, undefinedFlags, undefinedResult } from './support/silicon/undefined';
import { IMAGE_BYTES, modeNames, modes, windows } from './support/silicon/world';

const folder = path.join(process.cwd(), 'test', 'data', 'silicon');
/** RF is set in the image that a fault saves, not by the instruction. */
const RF = 0x10000;
const registerNames = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
const flagNames: Readonly<Record<number, string>> = { 0: 'CF', 2: 'PF', 4: 'AF', 6: 'ZF', 7: 'SF', 8: 'TF', 9: 'IF', 10: 'DF', 11: 'OF', 14: 'NT', 18: 'AC', 21: 'ID' };

const decoder = new Decoder(table);
const hex = (value: number): string => (value >>> 0).toString(16);

interface Reading {
  /** Instructions of the shape in order; none for an undefined opcode. */
  readonly instructions: readonly InstructionSpec[];
  /** What the manual leaves to the processor. */
  readonly allowances: readonly { readonly allowance: Allowance; readonly instruction: Instruction }[];
  /** Undefined EFLAGS bits after the shape, given ECX before it. */
  readonly undefinedFlags: (ecx: number) => number;
  /** The result itself means nothing. */
  readonly meaningless: (ecx: number) => boolean;
}

/** Decodes a shape once; single instructions may depend on CL, sequences do not. */
function readCode(shape: Shape): Reading {
  const padded = new Uint8Array(shape.code.length + 16).fill(0x90);
  padded.set(shape.code);
  const instructions: Instruction[] = [];
  for (let at = 0; at < shape.code.length;) {
    const instruction = new Instruction();
    if (decoder.decode(padded, at, padded.length, modes[shape.mode], instruction) !== DecodeStatus.Ok) break;
    instructions.push(instruction);
    at += instruction.length;
  }
  return {
    instructions: instructions.map((i) => i.encoding.instruction),
    allowances: instructions.length !== 1 ? []
      : allowances.filter(({ mnemonics }) => mnemonics.test(instructions[0].encoding.instruction.mnemonic)).map((allowance) => ({ allowance, instruction: instructions[0] })),
    undefinedFlags: (ecx) => instructions.reduce((unknown, i) => (unknown & ~definedFlags(i, ecx)) | undefinedFlags(i, ecx), 0),
    meaningless: (ecx) => instructions.some((i) => undefinedResult(i, ecx)),
  };
}

function flagText(bits: number): string {
  return Array.from({ length: 22 }, (_, n) => (bits >>> n & 1 ? flagNames[n] ?? `bit ${n}` : '')).filter(Boolean).join(' ');
}

/** What differs, in words; undefined when nothing does. */
function difference(silicon: Outcome, ours: Outcome, ignoredFlags: number, ignored: ReadonlySet<string>): string | undefined {
  const found: string[] = [];
  const exception = (o: Outcome): string => (o.vector < 0 ? 'none' : `${o.vector}(${hex(o.errorCode)})${o.vector === 14 ? ` cr2 ${hex(o.cr2)}` : ''}`);
  if (!ignored.has('exception') && exception(silicon) !== exception(ours)) found.push(`exception ${exception(silicon)}, ours ${exception(ours)}`);
  if (!ignored.has('exception') && silicon.eip !== ours.eip) found.push(`eip ${hex(silicon.eip)}, ours ${hex(ours.eip)}`);
  const flags = (silicon.eflags ^ ours.eflags) & ~ignoredFlags & ~RF;
  if (flags) found.push(`flags ${hex(silicon.eflags)}, ours ${hex(ours.eflags)} (${flagText(flags)})`);
  for (let n = 0; n < 8; n++) {
    if (!ignored.has('general') && silicon.general[n] !== ours.general[n]) found.push(`${registerNames[n]} ${hex(silicon.general[n])}, ours ${hex(ours.general[n])}`);
  }
  for (let n = 0; n < 6; n++) {
    if (silicon.selectors[n] !== ours.selectors[n]) found.push(`segment ${n} ${hex(silicon.selectors[n])}, ours ${hex(ours.selectors[n])}`);
  }
  if (!ignored.has('memory') && Buffer.compare(silicon.image, ours.image) !== 0) found.push(memoryDifference(silicon.image, ours.image));
  return found.length ? found.join('; ') : undefined;
}

function memoryDifference(silicon: Uint8Array, ours: Uint8Array): string {
  const text: string[] = [];
  let at = 0;
  for (const { linear, bytes } of windows) {
    for (let n = 0; n < bytes; n++, at++) if (silicon[at] !== ours[at]) text.push(`[${hex(linear + n)}] ${hex(silicon[at])}, ours ${hex(ours[at])}`);
  }
  return text.slice(0, 6).join('; ') + (text.length > 6 ? `; and ${text.length - 6} bytes more` : '');
}

function describeCase(shape: Shape, index: number, input: Input): string {
  const registers = registerNames.map((name, n) => `${name}=${hex(input.general[n])}`).join(' ');
  return `${shape.mode} ${Buffer.from(shape.code).toString('hex')} at ${hex(input.eip)}, case ${index}: ${registers} eflags=${hex(input.eflags)}`;
}

const nothing: ReadonlySet<string> = new Set();
const used = new Set<Allowance>();
const casesOf = new Map<InstructionSpec, number>();
const world = (() => {
  let made: EngineWorld | undefined;
  return () => made ??= new EngineWorld();
})();

function compareAll(file: Uint8Array): { cases: number; failures: Map<string, string[]> } {
  const input = makeInput();
  const silicon = makeOutcome(IMAGE_BYTES), ours = makeOutcome(IMAGE_BYTES);
  const failures = new Map<string, string[]>();
  let cases = 0;
  readData(file, (shape, outcomes) => {
    const reading = readCode(shape);
    world().begin(shape);
    for (let index = 0; index < shape.cases; index++) {
      expand(shape, index, input);
      readOutcome(outcomes, shape, input, silicon);
      const ecx = input.general[1];
      if (reading.meaningless(ecx)) continue;
      world().run(shape, input, ours);
      cases++;
      for (const instruction of reading.instructions) casesOf.set(instruction, (casesOf.get(instruction) ?? 0) + 1);
      const allowed = reading.allowances.filter(({ allowance, instruction }) => allowance.when(instruction, input, silicon, ours));
      // An instruction that faults changes no flag; a sequence faults at its end, where it lands.
      const completed = silicon.vector < 0 || reading.instructions.length > 1;
      const ignored = allowed.length ? new Set(allowed.flatMap(({ allowance }) => allowance.ignores)) : nothing;
      const found = difference(silicon, ours, completed ? reading.undefinedFlags(ecx) : 0, ignored);
      for (const { allowance } of allowed) if (difference(silicon, ours, ~0, nothing)) used.add(allowance);
      if (!found) continue;
      const key = reading.instructions.length === 1 ? reading.instructions[0].mnemonic : reading.instructions.length ? 'sequence' : 'undefined opcode';
      const list = failures.get(key) ?? [];
      failures.set(key, list);
      list.push(`${describeCase(shape, index, input)}\n      silicon: ${found}`);
    }
  });
  return { cases, failures };
}

describe('threaded code against silicon', function () {
  this.timeout(120_000);
  for (const mode of modeNames) {
    it(`does what the processor did in ${mode}`, () => {
      const { cases, failures } = compareAll(fs.readFileSync(path.join(folder, `${mode}.bin.gz`)));
      const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `    ${one}`).join('\n')}`);
      assert.equal(failures.size, 0, `${text.length} instructions differ\n${text.join('\n')}`);
      assert.ok(cases > 100_000, `only ${cases} cases`);
    });
  }

  it('needs every allowance', () => {
    assert.deepEqual(allowances.filter((allowance) => !used.has(allowance)).map(({ why }) => why), []);
  });

  it('has cases of every instruction that silicon can tell about', () => {
    const counted = table.instructions.map((instruction) => ({ instruction, cases: casesOf.get(instruction) ?? 0 }));
    const missing = counted.filter(({ instruction, cases }) => cases === 0 && !skipReason(instruction));
    assert.deepEqual(missing.map(({ instruction }) => `${instruction.mnemonic} (${instruction.title})`), []);
    const byMnemonic = new Map<string, number>();
    for (const { instruction, cases } of counted) byMnemonic.set(instruction.mnemonic, (byMnemonic.get(instruction.mnemonic) ?? 0) + cases);
    console.log(`      ${[...byMnemonic].filter(([, cases]) => cases > 0).map(([mnemonic, cases]) => `${mnemonic} ${cases}`).join(', ')}`);
    console.log(`      not compared: ${notComparable.map(({ mnemonics, why }) => `${mnemonics.join(', ')} (${why})`).join('; ')}`);
  });
});
