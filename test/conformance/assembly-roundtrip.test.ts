/** Disassembly against the built-in assembler: what the disassembler prints assembles to an instruction that it prints the same. */
import assert from 'node:assert/strict';
import { assemble } from '../../src/vmm/asm/assembler';
import { Decoder } from '../../src/vmm/decode/decoder';
import { formatInstruction } from '../../src/vmm/decode/disassembler';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { Corpus } from './support/byte-corpus';
import { addressingCorpus, opcodeCorpus, rexCorpus, SLOT } from './support/byte-corpus';

const decoder = new Decoder(table);
const ORIGIN = 0x4000;
const LINES_PER_RUN = 2000;

/**
 * Choices that the assembler may make freely: the order of base and index, of XCHG's and TEST's registers, an index alone as base,
 * and the sign-extended byte for an immediate that fits one.
 */
function normal(text: string): string {
  return text
    .replace(/\[((?:\w+:)?)([er]\w+)\+([er]\w+)(?=[\]+-])/g, (_all, segment: string, a: string, b: string) => `[${segment}${[a, b].sort().join('+')}`)
    .replace(/\[((?:\w+:)?)([er]\w+)\*2(?=[\]+-])/g, '[$1$2+$2')
    .replace(/^(xchg|test) (\w+), (\w+)$/, (_all, mnemonic: string, a: string, b: string) => `${mnemonic} ${[a, b].sort().join(', ')}`)
    .replace(/([er]\w+)\*1(?=[\]+-])/g, '$1')
    .replace(/, 0xff([89a-f][0-9a-f])$/, (_all, low: string) => `, -0x${(0x100 - parseInt(low, 16)).toString(16)}`)
    .replace(/^((?:sh|sa|ro|rc)[lr] .*), 0x1$/, '$1, 1')
    // Redundant displacements of zero, which the shorter encoding leaves out.
    .replace(/\+0x0\]/g, ']');
}

function compare(corpus: Corpus, codeSize: 16 | 32 | 64, step: number): { compared: number; wrong: string[] } {
  const i = new Instruction();
  const wrong: string[] = [];
  const seen = new Set<string>();
  let texts: string[] = [];
  let compared = 0;
  const flush = (): void => {
    const source = [`bits ${codeSize}`, `org ${ORIGIN}`, ...texts.map((text) => `${text}\ntimes (16 - (($-$$) % 16)) % 16 nop`)].join('\n');
    const result = assemble({ path: 'lines.asm', text: source }, { readFile: () => undefined, format: 'bin' });
    for (const { severity, line, message } of result.diagnostics) {
      if (severity === 'error') wrong.push(`${codeSize}-bit '${texts[Math.floor((line - 3) / 2)]}': ${message}`);
    }
    if (result.ok) {
      texts.forEach((text, n) => {
        const status = decoder.decode(result.bytes, n * SLOT, result.bytes.length, { codeSize }, i);
        const again = status === DecodeStatus.Ok ? formatInstruction(i, ORIGIN + n * SLOT) : 'no instruction';
        compared += 1;
        if (normal(again) !== normal(text)) wrong.push(`${codeSize}-bit '${text}' became '${again}'`);
      });
    }
    texts = [];
  };
  for (let slot = 0; slot < corpus.slots; slot += step) {
    if (decoder.decode(corpus.bytes, slot * SLOT, corpus.bytes.length, { codeSize }, i) !== DecodeStatus.Ok) continue;
    // LOOP and JCXZ to the very end of their range do not reach it without the prefixes that the text leaves out.
    if (/^(loop|j\w*cxz)/.test(i.encoding.instruction.mnemonic) && i.immediate > 100) continue;
    const text = formatInstruction(i, ORIGIN + texts.length * SLOT);
    // Comments mark the few that can only be expressed by another instruction or by data.
    if (text.includes(';') || seen.has(text)) continue;
    seen.add(text);
    texts.push(text);
    if (texts.length === LINES_PER_RUN) flush();
  }
  flush();
  return { compared, wrong };
}

describe('disassembly assembles back with the built-in assembler', function () {
  this.timeout(120_000);
  for (const codeSize of [16, 32, 64] as const) {
    for (const [name, make, step] of [
      ['opcodes', () => (codeSize === 64 ? rexCorpus(13) : opcodeCorpus(11)), 29], ['addressing forms', () => addressingCorpus(12), 19],
    ] as const) {
      it(`${name} in ${codeSize}-bit code`, () => {
        const { compared, wrong } = compare(make(), codeSize, step);
        assert.equal(wrong.length, 0, `${wrong.length} of ${compared}:\n${wrong.slice(0, 30).join('\n')}`);
        assert.ok(compared > 5000, String(compared));
      });
    }
  }
});
