/**
 * 16- and 32-bit code against a real processor: what test/data/silicon/ says an x86 CPU did with more than half a million generated cases must be
 * what the engine does, registers, flags, memory, exceptions, error codes and CR2. `npm run silicon:generate` makes the data anew on the machine at hand.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { Encoding, InstructionSpec } from '../../src/vmm/isa/types';
import { isSample, RegionSample } from './support/region-sample';
import { reportSuite, type Compared } from './support/report';
import { allowances, type Allowance } from './support/silicon/allowances';
import { expand, makeInput, type Input, type Shape } from './support/silicon/cases';
import { ownRegistersOf, ownResults } from './support/silicon/coverage';
import { readData } from './support/silicon/data-file';
import { EngineWorld } from './support/silicon/engine-world';
import { makeOutcome, readOutcome, type Outcome } from './support/silicon/outcome';
import { definedFlags, undefinedFlags, undefinedResult, undefinedTexts } from './support/silicon/undefined';
import { IMAGE_BYTES, modeNames, modes, windows, type ModeName } from './support/silicon/world';

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
  readonly encodings: readonly Encoding[];
  /** What the manual leaves to the processor. */
  readonly allowances: readonly { readonly allowance: Allowance; readonly instruction: Instruction }[];
  /** Registers that tell of the processor. */
  readonly own: readonly number[];
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
    encodings: instructions.map((i) => i.encoding),
    allowances: instructions.length !== 1 ? []
      : allowances.filter(({ mnemonics }) => mnemonics.test(instructions[0].encoding.instruction.mnemonic)).map((allowance) => ({ allowance, instruction: instructions[0] })),
    own: instructions.length === 1 ? ownRegistersOf(instructions[0].encoding) : [],
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

const namesOf = (mnemonics: RegExp): string => mnemonics.source.replace(/[\^$()]/g, '').replaceAll('|', ', ');
const nothing: ReadonlySet<string> = new Set();
const used = new Set<Allowance>();
/** Cases that differ as they may: by undefined flags, and by each allowance. */
const known = { flags: 0, byAllowance: new Map<Allowance, number>() };
const compared: Compared[] = [];
let processor = '';
let undefinedCases = 0;
const world = (() => {
  let made: EngineWorld | undefined;
  return () => made ??= new EngineWorld();
})();

interface Comparison {
  cases: number;
  differing: number;
  readonly failures: Map<string, string[]>;
}

/** `wanted`: a sample, which is run once more in another way and does not count. */
function compareAll(file: Uint8Array, run: EngineWorld, wanted?: (reading: Reading) => boolean): Comparison {
  const input = makeInput();
  const silicon = makeOutcome(IMAGE_BYTES), ours = makeOutcome(IMAGE_BYTES);
  const failures = new Map<string, string[]>();
  let cases = 0, differing = 0;
  const header = readData(file, (shape, outcomes) => {
    const reading = readCode(shape);
    const skipped = wanted?.(reading) === false;
    if (!skipped) run.begin(shape);
    for (let index = 0; index < shape.cases; index++) {
      expand(shape, index, input);
      readOutcome(outcomes, shape, input, silicon);
      const ecx = input.general[1];
      if (skipped || reading.meaningless(ecx)) continue;
      run.run(shape, input, ours);
      for (const register of reading.own) ours.general[register] = 0;
      cases++;
      if (!wanted && reading.instructions.length === 0) undefinedCases++;
      const allowed = reading.allowances.filter(({ allowance, instruction }) => allowance.when(instruction, input, silicon, ours));
      // An instruction that faults changes no flag; a sequence faults at its end, where it lands.
      const completed = silicon.vector < 0 || reading.instructions.length > 1;
      const ignored = allowed.length ? new Set(allowed.flatMap(({ allowance }) => allowance.ignores)) : nothing;
      const found = difference(silicon, ours, completed ? reading.undefinedFlags(ecx) : 0, ignored);
      if (!found && difference(silicon, ours, 0, nothing)) {
        differing++;
        const by = allowed.length && difference(silicon, ours, ~0, nothing) ? allowed[0].allowance : undefined;
        for (const { allowance } of by ? allowed : []) used.add(allowance);
        if (!wanted && by) known.byAllowance.set(by, (known.byAllowance.get(by) ?? 0) + 1);
        else if (!wanted) known.flags++;
      }
      if (!found) continue;
      const key = reading.instructions.length === 1 ? reading.instructions[0].mnemonic : reading.instructions.length ? 'sequence' : 'undefined opcode';
      const list = failures.get(key) ?? [];
      failures.set(key, list);
      list.push(`${describeCase(shape, index, input)}\n      silicon: ${found}`);
    }
  });
  ({ processor } = header);
  return { cases, differing, failures };
}

function assertNoFailures(failures: Map<string, string[]>): void {
  const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `    ${one}`).join('\n')}`);
  assert.equal(failures.size, 0, `${text.length} instructions differ\n${text.join('\n')}`);
}

const modeTexts: Readonly<Record<ModeName, string>> = {
  flat32: '32-bit code in flat segments', segmented32: '32-bit code in small segments', segmented16: '16-bit code in small segments', wrapped16: '16-bit code, addresses that wrap at 64 KiB',
};

describe('16- and 32-bit code against silicon', function () {
  this.timeout(120_000);
  for (const mode of modeNames) {
    it(`does what the processor did in ${mode}`, () => {
      const { cases, differing, failures } = compareAll(fs.readFileSync(path.join(folder, `${mode}.bin.gz`)), world());
      compared.push({ what: modeTexts[mode], cases, known: differing });
      assertNoFailures(failures);
      assert.ok(cases > 100_000, `only ${cases} cases`);
    });
  }

  it('does in regions what the processor did', () => {
    const sample = new RegionSample();
    const run = new EngineWorld('eager');
    const { cases, differing, failures } = compareAll(fs.readFileSync(path.join(folder, 'flat32.bin.gz')), run, ({ encodings }) => sample.wants(encodings.length === 1 ? encodings[0] : encodings.length));
    compared.push({ what: `${modeTexts.flat32}, every fourth shape in regions`, cases, known: differing, again: true });
    assertNoFailures(failures);
    assert.ok(run.regionEntries > cases * 3 / 4, `only ${run.regionEntries} of ${cases} cases entered a region`);
  });

  it('needs every allowance', () => {
    assert.deepEqual(allowances.filter((allowance) => !used.has(allowance)).map(({ why }) => why), []);
  });

  it('is what docs/conformance.md says', () => {
    if (!isSample) return;
    reportSuite('general', {
      about: `What ${processor} did in ring 3 under Linux with every declared encoding that 16- and 32-bit code may contain, with edge-case and random operands, flags, addresses and selectors, and with random `
        + 'sequences of instructions that work together: registers, flags, segments, memory, exceptions, error codes and CR2.',
      compared,
      differences: [
        { why: 'flags that the manual leaves undefined, listed below', cases: known.flags },
        ...allowances.map((allowance) => ({ why: `${namesOf(allowance.mnemonics)}: ${allowance.why}`, cases: known.byAllowance.get(allowance) ?? 0 })),
      ],
      notCompared: ownResults.map(({ mnemonics, what, why }) => ({ what: `${mnemonics.join(', ')}: ${what}`, why })),
      more: [`Undefined flags, by the instruction table and its refinements:`, undefinedTexts().map((text) => `* ${text}`).join('\n'), `${undefinedCases} of the cases are opcodes for which nothing stands: both raise #UD.`],
    });
  });
});
