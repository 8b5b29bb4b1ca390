/** Walks the instruction table and makes the shapes that are run on silicon: every user-mode encoding in every mode, and sequences. */
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction, type DecodeMode } from '../../src/vmm/decode/instruction';
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { Random, type Shape } from '../../test/conformance/support/silicon/cases';
import { existsIn, kindOf, ownRegistersOf, registerFormDiffers, whyUncovered } from '../../test/conformance/support/silicon/coverage';
import { definedFlags, readFlags, undefinedFlags, undefinedResult } from '../../test/conformance/support/silicon/undefined';
import { modes, type ModeName } from '../../test/conformance/support/silicon/world';
import { encode, type Encoded, type Wanted } from './encode';

const decoder = new Decoder(table);
const decoded = new Instruction();

/** Code lies at varying places, now and then across a page boundary. */
const codeOffset = (n: number): number => 0x400 + ((n * 61) % 0x1f00);

/** How many cases a shape gets, and how many shapes an encoding gets per combination of sizes. */
interface Effort {
  readonly cases: number;
  readonly shapes: number;
}

function effortFor(encoding: Encoding): Effort {
  const { mnemonic, privilege, control } = encoding.instruction;
  if (privilege === 'cpl0' || privilege === 'iopl' || /^(s[gil]dt|str|smsw|rdpmc|rdtscp?|cpuid)$/.test(mnemonic)) return { cases: 6, shapes: 2 };
  if (/^(nop|prefetch\w+|[lms]fence|clflush)$/.test(mnemonic)) return { cases: 2, shapes: 1 };
  if (/^set|^cmov/.test(mnemonic)) return { cases: 40, shapes: 1 };
  if (control === 'condition') return { cases: 48, shapes: 2 };
  if (control || mnemonic === 'push') return { cases: 28, shapes: 4 };
  if (encoding.operands.length === 0) return { cases: 96, shapes: 2 };
  if (/^(rol|ror|rcl|rcr|shl|shr|sar|shld|shrd|div|idiv|mul|imul)$/.test(mnemonic)) return { cases: 48, shapes: 4 };
  return { cases: 36, shapes: 4 };
}

function decodesTo(encoding: Encoding, mode: ModeName, bytes: readonly number[]): boolean {
  const status = decoder.decode(Uint8Array.from([...bytes, ...new Array<number>(16).fill(0xcc)]), 0, bytes.length + 16, modes[mode], decoded);
  return status === DecodeStatus.Ok && decoded.encoding === encoding && decoded.length === bytes.length;
}

/** Sizes under which an encoding exists: where prefixes make it another instruction, the code's own only. */
function wantedSizes(encoding: Encoding, { codeSize }: DecodeMode): { operandSize: 16 | 32; addressSizes: readonly (16 | 32)[] }[] {
  const sizes = ([16, 32] as const).filter((size) => (encoding.operandSize === undefined || encoding.operandSize === size) && (!encoding.noPrefix || size === codeSize));
  return sizes.map((operandSize) => ({ operandSize, addressSizes: encoding.addressSize ? [encoding.addressSize as 16 | 32] : [16, 32] }));
}

const mayBeMemory = (encoding: Encoding): boolean => encoding.mod !== 'reg' && encoding.operands.some((o) => 'EM'.includes(o[0]) && o !== 'ES');
const mayBeRegister = (encoding: Encoding): boolean => encoding.mod !== 'mem' && !registerFormDiffers(encoding);
const usesAddresses = (encoding: Encoding): boolean => encoding.operands.some((o) => o[0] === 'O')
  || /^(movs|cmps|stos|lods|scas|ins|outs)[bwd]$|^xlatb$|^loop|^je?cxz$/.test(encoding.instruction.mnemonic) && encoding.modrm === 'none';

export interface GeneratedShape extends Shape {
  /** For messages. */
  readonly name: string;
  /** Of a single instruction. */
  readonly encoding?: Encoding;
}

export function generateSingles(mode: ModeName): GeneratedShape[] {
  const shapes: GeneratedShape[] = [];
  for (const encoding of table.encodings) {
    const { codeSize } = modes[mode];
    if (!existsIn(encoding, codeSize) || kindOf(encoding.instruction) !== 'general' || whyUncovered(encoding.instruction, codeSize)) continue;
    const effort = effortFor(encoding);
    let seed = 0x5eed0000 + encoding.id * 4096 + Object.keys(modes).indexOf(mode) * 1024;
    for (const { operandSize, addressSizes } of wantedSizes(encoding, modes[mode])) {
      for (const memory of [false, true]) {
        if (memory ? !mayBeMemory(encoding) : !mayBeRegister(encoding)) continue;
        const variants = memory || usesAddresses(encoding) ? addressSizes : [modes[mode].codeSize];
        for (const addressSize of variants) {
          const repeats: readonly (0xf2 | 0xf3 | undefined)[] = encoding.instruction.repeat ? [undefined, 0xf3, 0xf2] : [undefined];
          for (const repeat of repeats) {
            // The other address size is rarer in programs, and here.
            const count = addressSize === modes[mode].codeSize ? effort.shapes : Math.ceil(effort.shapes / 2);
            for (let n = 0; n < count; n++) {
              const random = new Random(seed++);
              const at = codeOffset(seed);
              const lock = memory && encoding.instruction.lock === true && /^[EM]/.test(encoding.operands[0]) && n % 2 === 1;
              const made = encodeChecked(random, encoding, { mode, operandSize, addressSize, memory, at, lock, repeat });
              shapes.push({
                mode, code: Uint8Array.from(made.bytes), at, cases: effort.cases, seed, rules: made.rules,
                name: `${encoding.instruction.mnemonic} ${encoding.text}`, encoding,
              });
            }
          }
        }
      }
    }
  }
  return shapes;
}

function encodeChecked(random: Random, encoding: Encoding, wanted: Wanted): Encoded {
  for (let attempt = 0; attempt < 50; attempt++) {
    const made = encode(random, encoding, wanted);
    if (made && decodesTo(encoding, wanted.mode, made.bytes)) return made;
  }
  throw new Error(`${encoding.instruction.mnemonic} ${encoding.text} cannot be written in ${wanted.mode} with ${JSON.stringify(wanted)}`);
}

/** Byte strings that must be refused, prefixes included; the rest of the string is operands. */
const undefinedOpcodes: readonly string[] = [
  'f0 01 c0', 'f0 39 07', 'f0 90', 'f0 8b 07', 'f0 50', 'f0 a4', 'f0 0f a3 00', 'f0 0f ba 20 01', '8e c8', '8e f0', '8e f8', '8c f0', '8c f8',
  '0f 0b', '0f b9 00', '0f ff 00', 'ff f8', 'ff 38', 'fe d0', 'fe 10', 'fe f8', 'c6 c8 00', 'c7 d0 00 00 00 00', '0f 00 f0', '0f 00 38',
  '0f 04', '0f 0a', '0f 0c', '0f 24 c0', '0f 26 c0', '0f 36', '0f 39', '0f ba c0 00', '0f ba 18 00', '0f c7 00', '8d c0', 'ff d8', 'ff e8', '0f b2 c0', '0f b4 c0',
];

export function generateUndefined(mode: ModeName): GeneratedShape[] {
  return undefinedOpcodes.map((text, n) => ({
    mode, code: Uint8Array.from(text.split(' ').map((byte) => parseInt(byte, 16))), at: codeOffset(n), cases: 2, seed: 0x0bad0000 + n, rules: [], name: `undefined ${text}`,
  }));
}

const inSequences = (encoding: Encoding): boolean => {
  const { mnemonic, control, privilege, ends, repeat } = encoding.instruction;
  if (control || privilege || ends || repeat || !existsIn(encoding, 32) || kindOf(encoding.instruction) !== 'general' || ownRegistersOf(encoding).length) return false;
  if (encoding.operands.some((o) => ['CL', 'Ob', 'Ov', 'ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'Sw', 'Mp', 'Ma'].includes(o))) return false;
  return !/^(div|idiv|enter|leave|pop|pusha|popa|bound|xlatb|aam|bsf|bsr|bt|bts|btr|btc|bswap|nop|wait|int|prefetch|ud|rsm|push|s[gil]dt|str|smsw|rdpmc|[lms]fence|clflush)/.test(mnemonic);
};
const isConditionalJump = (encoding: Encoding): boolean => encoding.instruction.control === 'condition' && /^j/.test(encoding.instruction.mnemonic);

/** Straight code of up to eight instructions, often with a conditional jump at its end: flags and registers pass from one to the next. */
export function generateSequences(mode: ModeName, count: number, casesEach: number): GeneratedShape[] {
  const pool = table.encodings.filter(inSequences);
  const jumps = table.encodings.filter(isConditionalJump);
  const shapes: GeneratedShape[] = [];
  for (let n = 0; n < count; n++) {
    const seed = 0x5e900000 + Object.keys(modes).indexOf(mode) * 0x10000 + n;
    const random = new Random(seed);
    const at = codeOffset(n);
    const bytes: number[] = [];
    const length = 2 + random.below(7);
    let unknown = 0;
    const add = (encoding: Encoding): boolean => {
      const operandSize = (encoding.operandSize ?? random.pick([16, 32])) as 16 | 32;
      const memory = mayBeMemory(encoding) && (!mayBeRegister(encoding) || random.chance(90));
      const codeSize = modes[mode].codeSize;
      const made = encode(random, encoding, { mode, operandSize, addressSize: codeSize, memory, at: at + bytes.length, plain: true });
      if (!made || !decodesTo(encoding, mode, made.bytes)) return false;
      // LEA with a fixed address is the only plain one left that would name ESP as a base; none does.
      if ((readFlags(decoded) & unknown) !== 0 || undefinedResult(decoded, 0)) return false;
      unknown = (unknown & ~definedFlags(decoded, 0)) | undefinedFlags(decoded, 0);
      bytes.push(...made.bytes);
      return true;
    };
    for (let k = 0; k < length;) {
      if (add(random.pick(pool))) k++;
    }
    if (random.chance(128)) {
      for (let attempt = 0; attempt < 20 && !add(random.pick(jumps)); attempt++);
    }
    shapes.push({ mode, code: Uint8Array.from(bytes), at, cases: casesEach, seed, rules: [], name: `sequence ${n}` });
  }
  return shapes;
}
