/**
 * npm run silicon:generate: runs generated instructions on this machine's processor and writes what they did to test/data/silicon/ (with names behind
 * `--`: to these files only).
 * Needs Linux on x86 and gcc with 32-bit libraries (Debian: gcc-multilib).
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expand, makeInput } from '../../test/conformance/support/silicon/cases';
import { ownRegistersOf } from '../../test/conformance/support/silicon/coverage';
import { DATA_VERSION, packData, writeShape } from '../../test/conformance/support/silicon/data-file';
import { Writer, writeOutcome } from '../../test/conformance/support/silicon/outcome';
import { modeNames, type ModeName } from '../../test/conformance/support/silicon/world';
import { generateSequences, generateSingles, generateUndefined, type GeneratedShape } from './generator';
import { compileHarness, runNatively } from './native';
import { compileLong, generateLong, vectorShapes } from './long';
import { generalShapes } from './long-general';
import { stateShapes } from './long-states';
import { compileX87, generateX87 } from './x87';

const SHAPES_AT_ONCE = 1000;
const sequences: Readonly<Record<ModeName, number>> = { flat32: 4000, segmented32: 1000, segmented16: 3000, wrapped16: 0 };
const CASES_OF_A_SEQUENCE = 8;

function processorName(): string {
  const cpu = fs.readFileSync('/proc/cpuinfo', 'utf8');
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpu)?.[1] ?? '?';
  return `${field('model name')} (${field('vendor_id')} family ${field('cpu family')} model ${field('model')} stepping ${field('stepping')})`;
}

function generate(harness: string, mode: ModeName, folder: string): void {
  const shapes: GeneratedShape[] = [...generateSingles(mode), ...generateUndefined(mode), ...generateSequences(mode, sequences[mode], CASES_OF_A_SEQUENCE)];
  const writer = new Writer();
  const input = makeInput();
  let cases = 0;
  for (let start = 0; start < shapes.length; start += SHAPES_AT_ONCE) {
    const batch = shapes.slice(start, start + SHAPES_AT_ONCE);
    runNatively(harness, batch, (shape, index, outcome) => {
      const { encoding } = shape as GeneratedShape;
      if (encoding) for (const register of ownRegistersOf(encoding)) outcome.general[register] = 0;
      if (index === 0) writeShape(writer, shape);
      writeOutcome(writer, shape, expand(shape, index, input), outcome);
      cases++;
    });
  }
  const file = packData({ version: DATA_VERSION, mode, processor: processorName(), shapes: shapes.length, cases }, writer);
  fs.writeFileSync(path.join(folder, `${mode}.bin.gz`), file);
  console.log(`${mode}: ${shapes.length} shapes, ${cases} cases, ${(file.length / 1024).toFixed(0)} KiB`);
}

const [harnessSource, folder, ...wanted] = process.argv.slice(2);
const wants = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-silicon-'));
try {
  const harness = path.join(scratch, 'harness');
  compileHarness(harnessSource, harness);
  fs.mkdirSync(folder, { recursive: true });
  for (const mode of modeNames.filter(wants)) generate(harness, mode, folder);
  const x87 = path.join(scratch, 'x87');
  compileX87(path.join(path.dirname(harnessSource), 'x87.c'), x87);
  if (wants('x87')) generateX87(x87, folder, processorName());
  const long = path.join(scratch, 'long');
  compileLong(path.join(path.dirname(harnessSource), 'long.c'), long);
  if (wants('vectors')) generateLong(long, path.join(folder, 'vectors.bin.gz'), vectorShapes(), processorName(), { narrow: true });
  if (wants('states')) generateLong(long, path.join(folder, 'states.bin.gz'), stateShapes(), processorName());
  if (wants('general64')) generateLong(long, path.join(folder, 'general64.bin.gz'), generalShapes(), processorName());
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
