/** The assembler against Debian's nasm: the same bytes for every declared encoding and for the samples, or an explained difference. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { assemble } from '../../src/vmm/asm/assembler';
import { table } from '../../src/vmm/isa/table';
import { reportSuite, type Compared } from './support/report';
import { corpus } from './support/assembly-corpus';
import { programs } from './support/assembly-programs';

interface Explained {
  readonly line: RegExp;
  readonly bits?: 16 | 32 | 64;
  readonly why: string;
}

/** Lines for which nasm and this assembler answer differently on purpose. */
const explained: readonly Explained[] = [
  { line: /^(shld|shrd|enter|pshuf[whld]+|palignr|pinsrw|pextrw|ps[lr][la][wdq]) .*, (strict )?byte \d+$/, why: 'nasm has no size in these templates and rejects even the right one; the size is right, so it is taken' },
  {
    line: /^(pshuf[whld]+|palignr|pinsrw|cmpsd|punpckl(bw|wd|dq)|psubq|pmuludq|pblendvb) .*([dqo]?word) \[/,
    why: 'nor in these, for memory; the size is right',
  },
  { line: /^j\w+ d?word \$$/, why: 'nasm knows `jmp dword x` but not `jc dword x`; the operand size is clear' },
  { line: /^loop\w* short|^j[er]?cxz short/, why: 'these jumps are always short; saying so is redundant, not wrong' },
  { line: /^(mov|add|or|adc|sbb|and|sub|xor|cmp|test) \[.*\], (strict )?qword 5$/, bits: 64, why: 'nasm refuses to take the size from the immediate when it is a qword' },
  { line: /^(mov|sldt) r\w+(, [c-gs]s)?$/, bits: 64, why: 'nasm leaves the REX prefix away: sixteen bits are zero-extended either way' },
  { line: /^invpcid /, bits: 64, why: 'nasm writes REX.W, which means nothing: the type is 64 bits wide in any case' },
  { line: /^prefetchw qword/, bits: 64, why: 'nasm takes a size that means nothing' },
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

/** An object's contents without the order of its tables: sections, named symbols, and relocations with the names they refer to. */
function describeObject(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = view.getUint32(32, true);
  const count = view.getUint16(48, true);
  const headers = Array.from({ length: count }, (_, i) => Array.from({ length: 10 }, (_unused, n) => view.getUint32(table + i * 40 + n * 4, true)));
  const text = (section: number, at: number) => {
    const start = headers[section][4] + at;
    return Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString();
  };
  const name = (i: number) => text(view.getUint16(50, true), headers[i][0]);
  const symtab = headers.findIndex((header) => header[1] === 2);
  const symbols = Array.from({ length: headers[symtab][5] / 16 }, (_, i) => {
    const at = headers[symtab][4] + i * 16;
    const home = view.getUint16(at + 14, true);
    const label = text(headers[symtab][6], view.getUint32(at, true)) || (home && home < count ? `section ${name(home)}` : '');
    return { label, value: view.getUint32(at + 4, true), size: view.getUint32(at + 8, true), info: view.getUint8(at + 12), home: home < count ? name(home) : home };
  });
  const relocations = headers.flatMap((header, i) => (header[1] !== 9 ? [] : Array.from({ length: header[5] / 8 }, (_, n) => {
    const info = view.getUint32(header[4] + n * 8 + 4, true);
    return `${name(i)} ${view.getUint32(header[4] + n * 8, true)} type ${info & 0xff} ${symbols[info >>> 8].label}`;
  })));
  const sections = headers.flatMap((header, i) => (header[1] !== 1 && header[1] !== 8 ? [] : [{
    name: name(i), type: header[1], flags: header[2], size: header[5], align: header[8],
    contents: header[1] === 8 ? '' : Buffer.from(bytes.subarray(header[4], header[4] + header[5])).toString('hex'),
  }]));
  const named = symbols.filter(({ label, info }) => label && (info & 15) !== 4).map((symbol) => JSON.stringify(symbol)).sort();
  return { sections, named, relocations: relocations.sort() };
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

  const reported: Compared[] = [];
  for (const bits of [16, 32, 64] as const) {
    const lines = corpus(table, bits === 64);
    it(`assembles every declared encoding in ${bits}-bit code to the same bytes`, () => {
      const theirs = nasmLines(lines, bits, folder);
      const ours = ourLines(lines, bits);
      const differences: string[] = [];
      let compared = 0, known = 0;
      lines.forEach((line, i) => {
        if (theirs[i] !== undefined && ours.bytes[i] !== undefined) compared += 1;
        if (theirs[i] === ours.bytes[i]) return;
        if (explained.some((entry) => entry.line.test(line) && (entry.bits ?? bits) === bits)) {
          known++;
          return;
        }
        differences.push(`${line}: nasm ${theirs[i] ?? 'error'}, here ${ours.bytes[i] ?? `error (${ours.messages.get(i) ?? ''})`}`);
      });
      reported.push({ what: `lines of ${bits}-bit code`, cases: lines.length, known });
      if (process.env.RINGSIDE_DIFFERENCES) fs.writeFileSync(`${process.env.RINGSIDE_DIFFERENCES}.${bits}`, differences.join('\n'));
      assert.equal(differences.length, 0, `${differences.length} of ${lines.length} lines differ:\n${differences.slice(0, 40).join('\n')}`);
      assert.ok(compared > 5000, `only ${compared} lines were compared`);
    });
  }

  for (const program of programs) {
    it(`assembles a program about ${program.about} to the same ${program.format === 'bin' ? 'bytes' : 'object'}`, function () {
      const source = path.join(folder, 'program.asm');
      const output = path.join(folder, 'program.out');
      fs.writeFileSync(source, program.text);
      const nasm = spawnSync('nasm', ['-f', program.format, '-w-all', '-o', output, source], { encoding: 'utf8' });
      assert.equal(nasm.status, 0, nasm.stderr);
      const result = assemble({ path: source, text: program.text }, { readFile: () => undefined, format: program.format });
      assert.deepEqual(result.diagnostics.filter(({ severity }) => severity === 'error'), []);
      const theirs = fs.readFileSync(output);
      if (program.format === 'elf32') assert.deepEqual(describeObject(result.bytes), describeObject(theirs));
      else assert.equal(Buffer.from(result.bytes).toString('hex'), theirs.toString('hex'));
    });
  }

  it('writes objects that ld links to the same program as those of nasm', function () {
    if (spawnSync('ld', ['-v']).status !== 0) {
      console.log('      skipped: ld is not installed (Debian package binutils)');
      this.skip();
    }
    const program = programs.find(({ about }) => about.includes('multiboot'));
    assert.ok(program);
    const linked = (['nasm', 'ringside'] as const).map((by) => {
      const object = path.join(folder, 'link.o');
      if (by === 'nasm') {
        fs.writeFileSync(path.join(folder, 'link.asm'), program.text);
        execFileSync('nasm', ['-f', 'elf32', '-o', object, path.join(folder, 'link.asm')]);
      } else fs.writeFileSync(object, assemble({ path: 'link.asm', text: program.text }, { readFile: () => undefined, format: 'elf32' }).bytes);
      const output = path.join(folder, `link.${by}`);
      execFileSync('ld', ['-m', 'elf_i386', '--strip-all', '-o', output, object]);
      return fs.readFileSync(output).toString('hex');
    });
    assert.equal(linked[1], linked[0]);
  });

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

  it('says so in the document', () => {
    reportSuite('assembler', {
      about: 'Lines of every declared encoding, and whole programs, by the built-in assembler and by Debian\'s nasm: the same bytes, or an error from both.',
      compared: [...reported, { what: 'programs', cases: programs.length }, { what: 'samples', cases: files.length }],
      differences: explained.map(({ why }) => ({ why })),
    });
  });
});
