/**
 * The decoder against iced-x86: for every byte string both must agree whether it is an instruction, on its length, mnemonic, prefixes,
 * sizes and operands. iced knows more extensions than the table declares; every kind of difference is a rule below, and a difference
 * without a rule fails.
 */
import assert from 'node:assert/strict';
import { CpuidFeature, Decoder as IcedDecoder, DecoderOptions, Instruction as IcedInstruction } from 'iced-x86';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { Corpus} from './support/byte-corpus';
import { addressingCorpus, longOpcodeCorpus, opcodeCorpus, prefixedCorpus, randomCorpus, rexCorpus, SLOT } from './support/byte-corpus';
import { reportSuite, type Compared } from './support/report';
import { describeIced, describeOurs, icedCodeName } from './support/iced-description';

/** TZCNT, LZCNT and WBNOINVD are BSF, BSR and WBINVD with a meaningless prefix on the processor that the table declares. */
const icedOptions = DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD | DecoderOptions.NoWbnoinvd;

const featureNames = Object.keys(CpuidFeature).filter((name) => Number.isNaN(Number(name)));
/** iced's names of what the table declares. */
const declaredFeatures = new Set(['INTEL8086', 'INTEL186', 'INTEL286', 'INTEL386', 'INTEL486', 'CPUID', 'TSC', 'MSR', 'CX8', 'CMOV', 'SEP', 'RDPMC',
  'RSM', 'PAUSE', 'MULTIBYTENOP', 'X64', 'CMPXCHG16B', 'SYSCALL', 'RDTSCP', 'FSGSBASE', 'INVPCID', 'POPCNT', 'MOVBE', 'PREFETCHW', 'CLFSH',
  'MMX', 'SSE', 'SSE2', 'SSE3', 'SSSE3', 'SSE4_1', 'SSE4_2', 'AES', 'PCLMULQDQ']);

interface Difference {
  /** Undefined: no instruction of that side. */
  readonly ours?: string;
  readonly iced?: string;
  readonly code: string;
  readonly features: readonly string[];
}

interface Rule {
  readonly why: string;
  readonly explains: (d: Difference) => boolean;
}

/** Both sides agree when the text of each is rewritten. */
const equalAfter = (d: Difference, rewrite: (text: string) => string): boolean =>
  d.ours !== undefined && d.iced !== undefined && rewrite(d.ours) === rewrite(d.iced);

const lengthOf = (text: string | undefined): string | undefined => /\((\d+) bytes\)$/.exec(text ?? '')?.[1];

const rules: readonly Rule[] = [
  {
    why: 'iced knows an extension that the table does not declare: #UD here',
    explains: (d) => d.ours === undefined && d.features.some((feature) => !declaredFeatures.has(feature)),
  },
  {
    why: 'hints that a later extension gave a meaning are NOPs here, as SDM Vol. 2 table A-3 promises',
    explains: (d) => /^nop /.test(d.ours ?? '') && lengthOf(d.ours) === lengthOf(d.iced) && (/^Reservednop_rm\d\d_r\d\d_0F(0D|1[89A-F])$/.test(d.code) || /^Prefetch(_m8|wt1|reserved)/.test(d.code)
      || d.features.some((feature) => ['CET_IBT', 'CET_SS', 'CLDEMOTE', 'MPX', 'PREFETCHITI'].includes(feature))),
  },
  {
    why: 'iced calls shift group member /6 SAL, the table has it as SHL',
    explains: (d) => /^Sal_/.test(d.code) && equalAfter(d, (text) => text.replace(/^sal /, 'shl ')),
  },
  {
    why: 'iced names a 32- or 64-bit register where 16 bits of it are read (r32/m16)',
    explains: (d) => /r(32|64)m16/.test(d.code)
      && equalAfter(d, (text) => text.replace(/\b[er]([abcd]x|[sb]p|[sd]i)\b(?![+*\]])/g, '$1').replace(/\b(r\d+)[wd]?\b(?![+*\]])/g, '$1')),
  },
  {
    why: 'REX.W changes nothing where a vector meets the low bits of a general register: iced names all 64, the table 32',
    explains: (d) => /^(Movmskp[sd]|Pmovmskb|Pextr[bw]|Pinsr[bw]|Extractps)_.*r64/.test(d.code)
      && d.ours === d.iced?.replace(/\br([abcd]x|[sb]p|[sd]i)\b(?![+*\]])/, 'e$1').replace(/\b(r\d+)\b(?![+*\]])/, '$1d'),
  },
  {
    why: 'iced does not list XMM0, which NASM writes',
    explains: (d) => /^(Pblendvb|Blendvp[sd])_/.test(d.code) && d.ours?.replace(', xmm0 (', ' (') === d.iced,
  },
  {
    why: 'iced counts a prefetch and a flush as an access of one byte, the table as none',
    explains: (d) => /^(Prefetch|Clflush_)/.test(d.code) && equalAfter(d, (text) => text.replace(/ m[08] /, ' m ')),
  },
  {
    why: 'iced tells the size of the x87\'s images in memory, the table does not',
    explains: (d) => /^(Fn?(stenv|save)|Fldenv|Frstor|Fx(save|rstor)(64)?)_m/.test(d.code) && equalAfter(d, (text) => text.replace(/ m\d+ /, ' m ')),
  },
  {
    why: 'iced has a name of its own for the FSTP that 8087s did not check for an empty stack',
    explains: (d) => d.code === 'Fstpnce_sti' && equalAfter(d, (text) => text.replace(/^fstpnce /, 'fstp ')),
  },
];

const decoder = new Decoder(table);
const used = new Map<Rule, number>();
const IP = 0x4000;

function hex(bytes: Uint8Array, at: number, length: number): string {
  return [...bytes.subarray(at, at + length)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
}

interface Outcome {
  readonly compared: number;
  readonly instructions: number;
  /** Differences that a rule explains. */
  readonly known: number;
  /** At most 20, as text. */
  readonly unexplained: readonly string[];
}

function compare(corpus: Corpus, codeSize: 16 | 32 | 64): Outcome {
  const theirs = new IcedInstruction();
  const iced = new IcedDecoder(codeSize, corpus.bytes, icedOptions);
  const ours = new Instruction();
  const unexplained: string[] = [];
  let instructions = 0, known = 0;
  for (let slot = 0; slot < corpus.slots; slot++) {
    const at = slot * SLOT;
    iced.position = at;
    iced.ip = BigInt(IP);
    iced.decodeOut(theirs);
    const valid = decoder.decode(corpus.bytes, at, corpus.bytes.length, { codeSize }, ours) === DecodeStatus.Ok;
    const icedValid = !theirs.isInvalid;
    if (valid) instructions++;
    if (!valid && !icedValid) continue;
    const ourText = valid ? `${describeOurs(ours, IP)} (${ours.length} bytes)` : undefined;
    const icedText = !icedValid ? undefined
      : valid ? `${describeIced(theirs, ours.encoding.instruction.repeat)} (${theirs.length} bytes)` : icedCodeName(theirs);
    if (ourText === icedText) continue;
    const difference: Difference = {
      ours: ourText, iced: icedText, code: icedCodeName(theirs), features: icedValid ? [...theirs.cpuidFeatures()].map((f) => featureNames[f]) : [],
    };
    const rule = rules.find((candidate) => candidate.explains(difference));
    if (rule) {
      used.set(rule, (used.get(rule) ?? 0) + 1);
      known++;
    }
    else if (unexplained.length < 20) {
      unexplained.push(`${codeSize}-bit ${hex(corpus.bytes, at, 15)}: ours ${ourText ?? 'none'}, iced ${icedText ?? 'none'} [${difference.code}]`);
    }
  }
  iced.free();
  theirs.free();
  return { compared: corpus.slots, instructions, known, unexplained };
}

describe('decoder against iced-x86', function () {
  this.timeout(120_000);
  const corpora: readonly { readonly name: string; readonly make: () => Corpus; readonly random: boolean }[] = [
    { name: 'every opcode and modrm', make: () => opcodeCorpus(1), random: false },
    { name: 'three-byte maps', make: () => longOpcodeCorpus(2), random: false },
    { name: 'every addressing form', make: () => addressingCorpus(3), random: false },
    { name: 'random bytes', make: () => randomCorpus(400_000, 4), random: true },
    { name: 'random prefixes', make: () => prefixedCorpus(400_000, 5), random: true },
  ];
  let randomStrings = 0;
  const compared: Compared[] = [];
  let instructions = 0;
  for (const { name, make, random } of corpora) {
    it(`agrees on ${name} in 16- and 32-bit code`, () => {
      const corpus = make();
      for (const codeSize of [16, 32] as const) {
        const outcome = compare(corpus, codeSize);
        compared.push({ what: `${name}, ${codeSize}-bit code`, cases: outcome.compared, known: outcome.known });
        instructions += outcome.instructions;
        assert.deepEqual(outcome.unexplained, []);
        // The three-byte maps hold extensions only; elsewhere a corpus that is mostly rejected would prove nothing.
        assert.ok(name === 'three-byte maps' || outcome.instructions * 3 > outcome.compared, `only ${outcome.instructions} instructions`);
        if (random) randomStrings += outcome.compared;
      }
    });
  }

  const corpora64: readonly { readonly name: string; readonly make: () => Corpus }[] = [
    { name: 'every opcode and modrm', make: () => opcodeCorpus(11) },
    { name: 'every opcode and modrm behind REX prefixes', make: () => rexCorpus(12) },
    { name: 'three-byte maps', make: () => longOpcodeCorpus(13) },
    { name: 'every addressing form', make: () => addressingCorpus(14) },
    { name: 'random bytes', make: () => randomCorpus(300_000, 15) },
    { name: 'random prefixes', make: () => prefixedCorpus(300_000, 16, true) },
  ];
  for (const { name, make } of corpora64) {
    it(`agrees on ${name} in 64-bit code`, () => {
      const outcome = compare(make(), 64);
      compared.push({ what: `${name}, 64-bit code`, cases: outcome.compared, known: outcome.known });
      instructions += outcome.instructions;
      assert.deepEqual(outcome.unexplained, []);
      assert.ok(name === 'three-byte maps' || outcome.instructions * 4 > outcome.compared, `only ${outcome.instructions} instructions`);
    });
  }

  it('compared more than a million random strings, and needed every rule', () => {
    assert.ok(randomStrings > 1_000_000, String(randomStrings));
    assert.deepEqual(rules.filter((rule) => !used.has(rule)).map((rule) => rule.why), []);
    reportSuite('decoder', {
      about: `Byte strings that iced-x86 and the decoder read alike: whether they are an instruction (${instructions} of them are), its length, mnemonic, prefixes, sizes and operands.`,
      compared, differences: rules.map((rule) => ({ why: rule.why, cases: used.get(rule) ?? 0 })),
    });
  });

  it('asks for more bytes at every cut of an instruction', () => {
    const corpus = randomCorpus(20_000, 6);
    const whole = new Instruction(), cut = new Instruction();
    for (let slot = 0; slot < corpus.slots; slot++) {
      const at = slot * SLOT;
      const mode = { codeSize: slot & 1 ? 16 : 32 } as const;
      if (decoder.decode(corpus.bytes, at, corpus.bytes.length, mode, whole) !== DecodeStatus.Ok) continue;
      for (let length = 0; length < whole.length; length++) {
        assert.equal(decoder.decode(corpus.bytes, at, at + length, mode, cut), DecodeStatus.NeedMore, hex(corpus.bytes, at, whole.length));
      }
      assert.equal(decoder.decode(corpus.bytes, at, at + whole.length, mode, cut), DecodeStatus.Ok);
    }
  });
});
