/** SSE4's string comparisons and rarer sums, CRC32, carry-less multiplication and AES. */
import type { Builder, Semantics, Value } from '../builder';
import type { InstructionSpec } from '../types';
import { xmmRow } from './vector-support';

/** Through the runtime: destination and source in the state page, and the immediate. */
const inRuntime = (callout: string, immediate?: number): Semantics => (b) => {
  b.callout(callout, b.vectorAddress(0), b.vectorAddress(1), immediate === undefined ? b.constant(0) : b.read(immediate));
};

/** Bits above the immediate of comparePackedStrings. */
export const STRING_MASK = 0x100, STRING_EXPLICIT = 0x200;

/** The result is an index in rCX, or a mask in XMM0; explicit lengths are in rAX and rDX, as wide as the operand size. */
const comparison = (kind: number): Semantics => (b) => {
  const control = b.op('or', b.read(2), b.constant(kind));
  b.callout('comparePackedStrings', b.vectorAddress(0), b.vectorAddress(1), control);
};
const comparisonRow = (mnemonic: string, title: string, opcode: string, kind: number): InstructionSpec =>
  xmmRow(mnemonic, title, 'sse42', [`66 0F 3A ${opcode} /r : Vx Wx Ib`], comparison(kind), {
    access: ['r', 'r'], unaligned: true, flags: { writes: 'CZSO', clears: 'AP' },
    implicit: { reads: kind & STRING_EXPLICIT ? ['eax', 'edx'] : [], writes: [kind & STRING_MASK ? 'xmm0' : 'ecx'] },
  });

const low = (b: Builder, v: Value): Value => (v.type === 'i64' ? b.wrap32(v) : v);

/** The low byte's share of the remainder by the Castagnoli polynomial, once for each byte of the source. */
const checksum: Semantics = (b) => {
  const source = b.read(1);
  const remainder = b.variable(low(b, b.read(0)));
  for (let byte = 0; byte < b.operandWidth(1) / 8; byte++) {
    const next = low(b, b.op('shr', source, b.constant(8 * byte)));
    const index = b.op('and', b.op('xor', remainder.get(), next), b.constant(0xff));
    const entry = b.extractLane('i32x4.extract_lane', b.vectorTable('crc32c', index), 0);
    remainder.set(b.let(b.op('xor', b.op('shr', remainder.get(), b.constant(8)), entry)));
  }
  b.write(0, b.operandWidth(0) === 64 ? b.extend64(remainder.get(), false) : remainder.get());
};

const copies = { access: ['w', 'r'] } as const;

export const sse4Rows: readonly InstructionSpec[] = [
  xmmRow('mpsadbw', 'Sums of absolute differences of blocks of bytes', 'sse41', ['66 0F 3A 42 /r : Vx Wx Ib'], inRuntime('blockDifferences', 2)),
  xmmRow('phminposuw', 'Least word and its position', 'sse41', ['66 0F 38 41 /r : Vx Wx'], inRuntime('leastWord'), copies),
  xmmRow('pclmulqdq', 'Carry-less multiplication', 'pclmul', ['66 0F 3A 44 /r : Vx Wx Ib'], inRuntime('carrylessProduct', 2)),
  xmmRow('aesenc', 'One round of AES encryption', 'aes', ['66 0F 38 DC /r : Vx Wx'], inRuntime('aesEncrypt')),
  xmmRow('aesenclast', 'Last round of AES encryption', 'aes', ['66 0F 38 DD /r : Vx Wx'], inRuntime('aesEncryptLast')),
  xmmRow('aesdec', 'One round of AES decryption', 'aes', ['66 0F 38 DE /r : Vx Wx'], inRuntime('aesDecrypt')),
  xmmRow('aesdeclast', 'Last round of AES decryption', 'aes', ['66 0F 38 DF /r : Vx Wx'], inRuntime('aesDecryptLast')),
  xmmRow('aesimc', 'Inverse mixing of columns', 'aes', ['66 0F 38 DB /r : Vx Wx'], inRuntime('aesInverseMix'), copies),
  xmmRow('aeskeygenassist', 'Assist in AES round key generation', 'aes', ['66 0F 3A DF /r : Vx Wx Ib'], inRuntime('aesKeyAssist', 2), copies),
  comparisonRow('pcmpestrm', 'Compare strings of explicit length, mask', '60', STRING_EXPLICIT | STRING_MASK),
  comparisonRow('pcmpestri', 'Compare strings of explicit length, index', '61', STRING_EXPLICIT),
  comparisonRow('pcmpistrm', 'Compare strings that end by themselves, mask', '62', STRING_MASK),
  comparisonRow('pcmpistri', 'Compare strings that end by themselves, index', '63', 0),
  {
    mnemonic: 'crc32', title: 'Accumulate CRC32 (Castagnoli)', feature: 'sse42', encodings: ['F2 0F 38 F0 /r : Gy Eb', 'F2 0F 38 F1 /r : Gy Ev'], semantics: checksum,
  },
];