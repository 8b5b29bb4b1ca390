/** The assembler against Debian's nasm: the same bytes for every declared encoding and for the samples, or an explained difference. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { assemble } from '../../src/vmm/asm/assembler';
import { table } from '../../src/vmm/isa/table';
import { corpus } from './support/assemblyCorpus';

interface Explained {
  readonly line: RegExp;
  readonly bits?: 16 | 32;
  readonly why: string;
}

/** Lines for which nasm and this assembler answer differently on purpose. */
const explained: readonly Explained[] = [
  { line: /^(shld|shrd|enter) .*, (strict )?byte \d+$/, why: 'nasm has no size in these templates and rejects even the right one; the size is right, so it is taken' },
  { line: /^j\w+ d?word \$$/, why: 'nasm knows `jmp dword x` but not `jc dword x`; the operand size is clear' },
  { line: /^loop\w* short|^je?cxz short/, why: 'these jumps are always short; saying so is redundant, not wrong' },
  { line: /^(o32|a32|o16|a16|rep|es|o32 a16) wait$/, why: 'nasm takes wait as a prefix and sorts it before the others; the bytes mean the same' },
];

function nasmVersion(): string | undefined {
  const result = spawnSync('nasm', ['-v'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** Bytes (hexadecimal) of each line from nasm's listing; undefined for lines that nasm rejects. */
function nasmLines(lines: readonly string[], bits: number, folder: string): (string | undefined)[] {
  const source = path.join(folder, `corpus${bits}.asm`);
  const listing = path.join(folder, `corpus${bits}.lst`);
  const kept = [...lines];
  const rejected = new Set<number>();
  // nasm writes no listing while there are errors, and some come only in its later passes.
  for (let found = true; found;) {
    fs.writeFileSync(source, [`bits ${bits}`, ...kept].join('\n') + '\n');
    const { stderr } = spawnSync('nasm', ['-f', 'bin', '-w-all', '-o', path.join(folder, 'corpus.bin'), '-l', listing, source], { encoding: 'utf8', maxBuffer: 1 << 28 });
    found = false;
    for (const match of stderr.matchAll(/:([0-9]+): error:/g)) {
      const index = Number(match[1]) - 2;
      found = true;
      rejected.add(index);
      kept[index] = '';
    }
  }
  const result = lines.map((_, i): string | undefined => (rejected.has(i) ? undefined : ''));
  for (const text of fs.readFileSync(listing, 'utf8').split('\n')) {
    const match = /^ *([0-9]+) [0-9A-F]{8} ([0-9A-F()[\]]+)(-?)/.exec(text);
    if (!match) continue;
    const index = Number(match[1]) - 2;
    if (index >= 0 && result[index] !== undefined) result[index] += match[2].replace(/[()[\]]/g, '').toLowerCase();
  }
  return result;
}

function ourLines(lines: readonly string[], bits: number): { bytes: (string | undefined)[]; messages: Map<number, string> } {
  const kept = [...lines];
  const messages = new Map<number, string>();
  for (let start = 0; start < lines.length; start += 50) {
    const part = [`bits ${bits}`, ...lines.slice(start, start + 50)].join('\n');
    for (const item of assemble({ path: 'corpus.asm', text: part }, { readFile: () => undefined, format: 'bin' }).diagnostics) {
      if (item.severity !== 'error' || item.line < 2) continue;
      messages.set(start + item.line - 2, item.message);
      kept[start + item.line - 2] = '';
    }
  }
  const result = assemble({ path: 'corpus.asm', text: [`bits ${bits}`, ...kept].join('\n') }, { readFile: () => undefined, format: 'bin' });
  assert.deepEqual(result.diagnostics.filter(({ severity }) => severity === 'error'), []);
  const bytes = lines.map((_, i): string | undefined => (messages.has(i) ? undefined : ''));
  for (const line of result.lines) bytes[line.line - 2] = Buffer.from(result.bytes.subarray(line.address, line.address + line.length)).toString('hex');
  return { bytes, messages };
}

describe('assembler against nasm', function () {
  this.timeout(120_000);
  const version = nasmVersion();
  let folder: string;
  before(function () {
    if (!version) {
      console.log('      skipped: nasm is not installed (Debian package nasm)');
      this.skip();
    }
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-nasm-'));
  });
  after(() => {
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
  });

  const lines = corpus(table);
  for (const bits of [16, 32] as const) {
    it(`assembles every declared encoding in ${bits}-bit code to the same bytes`, () => {
      const theirs = nasmLines(lines, bits, folder);
      const ours = ourLines(lines, bits);
      const differences: string[] = [];
      let compared = 0;
      lines.forEach((line, i) => {
        if (theirs[i] !== undefined && ours.bytes[i] !== undefined) compared += 1;
        if (theirs[i] === ours.bytes[i]) return;
        if (explained.some((entry) => entry.line.test(line) && (entry.bits ?? bits) === bits)) return;
        differences.push(`${line}: nasm ${theirs[i] ?? 'error'}, here ${ours.bytes[i] ?? `error (${ours.messages.get(i) ?? ''})`}`);
      });
      if (process.env.RINGSIDE_DIFFERENCES) fs.writeFileSync(`${process.env.RINGSIDE_DIFFERENCES}.${bits}`, differences.join('\n'));
      assert.equal(differences.length, 0, `${differences.length} of ${lines.length} lines differ:\n${differences.slice(0, 40).join('\n')}`);
      assert.ok(compared > 5000, `only ${compared} lines were compared`);
    });
  }

  const samples = path.join(process.cwd(), 'samples');
  const files = fs.existsSync(samples) ? fs.readdirSync(samples).filter((name) => name.endsWith('.asm')) : [];
  for (const name of files) {
    it(`assembles samples/${name} to the same bytes`, () => {
      const file = path.join(samples, name);
      const output = path.join(folder, 'sample.bin');
      execFileSync('nasm', ['-f', 'bin', '-o', output, file], { cwd: samples });
      const result = assemble({ path: file, text: fs.readFileSync(file, 'utf8') }, {
        readFile: (wanted) => (fs.existsSync(wanted) ? fs.readFileSync(wanted) : undefined), format: 'bin',
      });
      assert.deepEqual(result.diagnostics.filter(({ severity }) => severity === 'error'), []);
      assert.deepEqual(Buffer.from(result.bytes), fs.readFileSync(output));
    });
  }
});
