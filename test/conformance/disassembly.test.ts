/**
 * Disassembly against NASM: the text of every opcode and addressing form is assembled by NASM, decoded again, and must mean the same.
 * NASM may choose another encoding; what counts is mnemonic, operands, prefixes and sizes.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { formatInstruction } from '../../src/vmm/decode/disassembler';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { Corpus } from './support/byte-corpus';
import { addressingCorpus, opcodeCorpus, rexCorpus, SLOT } from './support/byte-corpus';
import { reportSuite, type Compared } from './support/report';
import { describeOurs } from './support/iced-description';

const decoder = new Decoder(table);
const IP = 0x4000;
/** One flat-binary section per line, so that every line stands at the same address. */
const LINES_PER_RUN = 4000;

/** Rewrites that keep the meaning: what NASM may choose freely. */
function meaning(i: Instruction): string {
  let text = describeOurs(i, IP);
  // Base and index of the same segment commute; a lone unscaled or doubled index is as good as a base.
  text = text.replace(/\[(\w+)\+(\w+)\*1\+/g, (_all, a: string, b: string) => `[${(a === 'none' ? [b, a] : b === 'none' ? [a, b] : [a, b].sort()).join('+')}*1+`);
  text = text.replace(/\[none\+(\w+)\*2\+/g, '[$1+$1*1+');
  // XCHG of two registers is symmetric.
  text = text.replace(/^xchg (\w+), (\w+)$/, (_all, a: string, b: string) => `xchg ${[a, b].sort().join(', ')}`);
  // NASM has a shorter way to exchange RAX with itself.
  if (text === 'xchg rax, rax') text = 'nop ';
  // A constant that fits 32 bits without a sign goes to the lower half, which clears the upper one.
  text = text.replace(/^mov r(\d+), ([0-9a-f]{1,8})$/, 'mov r$1d, $2').replace(/^mov r(\w\w), ([0-9a-f]{1,8})$/, 'mov e$1, $2');
  // A selector is zero-extended to 64 bits whether REX.W stands there or not.
  text = text.replace(/^(mov|sldt|str) r(\d+)d?(?=, [c-gs]s$|$)/, '$1 r$2').replace(/^(mov|sldt|str) [re]([a-d]x|[sb]p|[sd]i)(?=, [c-gs]s$|$)/, '$1 $2');
  return text;
}

/** The corpus' instructions by their text, each once. */
function collect(corpus: Corpus, codeSize: 16 | 32 | 64, step: number): Map<string, string> {
  const texts = new Map<string, string>();
  const i = new Instruction();
  for (let slot = 0; slot < corpus.slots; slot += step) {
    const at = slot * SLOT;
    if (decoder.decode(corpus.bytes, at, corpus.bytes.length, { codeSize }, i) !== DecodeStatus.Ok) continue;
    // LOOP and JCXZ to the very end of their range do not reach it without the prefixes that the text leaves out.
    if (/^(loop|j\w*cxz)/.test(i.encoding.instruction.mnemonic) && i.immediate > 100) continue;
    const text = formatInstruction(i, IP);
    // Comments mark the few that NASM can only express by another instruction or by data.
    if (!text.includes(';')) texts.set(text, meaning(i));
  }
  return texts;
}

function assembleAndCompare(texts: readonly [string, string][], codeSize: 16 | 32 | 64, directory: string): string[] {
  const source = path.join(directory, 'lines.asm'), binary = path.join(directory, 'lines.bin');
  const program = texts.map(([text], n) => `section s${n} start=${n * SLOT} vstart=${IP}\n${text}\n`).join('');
  fs.writeFileSync(source, `bits ${codeSize}\n${program}`);
  const run = spawnSync('nasm', ['-w-all', '-f', 'bin', '-o', binary, source], { encoding: 'utf8' });
  if (run.status !== 0) {
    return run.stderr.split('\n').filter(Boolean).slice(0, 10)
      .map((line) => `${codeSize}-bit: ${line} <- ${texts[(Number(/asm:(\d+)/.exec(line)?.[1]) - 3) >> 1]?.[0]}`);
  }
  const bytes = new Uint8Array(fs.readFileSync(binary));
  const i = new Instruction();
  const wrong: string[] = [];
  texts.forEach(([text, expected], n) => {
    const status = decoder.decode(bytes, n * SLOT, bytes.length, { codeSize }, i);
    const actual = status === DecodeStatus.Ok ? meaning(i) : 'no instruction';
    if (actual !== expected) wrong.push(`${codeSize}-bit '${text}': ${expected} became ${actual}`);
  });
  return wrong.slice(0, 10);
}

describe('disassembly assembles back with NASM', function () {
  this.timeout(120_000);
  let directory = '';
  before(function () {
    if (spawnSync('nasm', ['-v']).status !== 0) this.skip();
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-nasm-'));
  });
  after(() => {
    if (directory) fs.rmSync(directory, { recursive: true, force: true });
  });

  const compared: Compared[] = [];
  for (const codeSize of [16, 32, 64] as const) {
    for (const [name, make, step] of [
      ['opcodes', () => (codeSize === 64 ? rexCorpus(13) : opcodeCorpus(11)), 13], ['addressing forms', () => addressingCorpus(12), 11],
    ] as const) {
      it(`${name} in ${codeSize}-bit code`, () => {
        const texts = [...collect(make(), codeSize, step)];
        assert.ok(texts.length > 10_000, String(texts.length));
        compared.push({ what: `${name}, ${codeSize}-bit code`, cases: texts.length });
        for (let k = 0; k < texts.length; k += LINES_PER_RUN) {
          assert.deepEqual(assembleAndCompare(texts.slice(k, k + LINES_PER_RUN), codeSize, directory), []);
        }
      });
    }
  }

  it('says so in the document', () => {
    reportSuite('disassembly', { about: 'What the disassembler prints, assembled by Debian\'s nasm and read again: the same mnemonic, operands, prefixes and sizes, though perhaps in another encoding.', compared });
  });
});
