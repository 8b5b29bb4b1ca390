/** Cases of vector instructions, and of general ones in 64-bit code, on this machine's processor: drives long.c, which is compiled for it. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table, vectorRows } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { Random } from '../../test/conformance/support/silicon/cases';
import { longSkipReason } from '../../test/conformance/support/silicon/coverage';
import {
  CODE, DATA, expandLong, Layout, makeLongState, windows, type LongShape, type LongState, type Place, type Profile,
} from '../../test/conformance/support/silicon/long-cases';
import { LONG_DATA_VERSION, packLong, writeLongOutcome, writeLongShape } from '../../test/conformance/support/silicon/long-data';
import { Writer } from '../../test/conformance/support/silicon/outcome';

const MAGIC = 0x474e4f4c;
const OUTPUT = Layout.bytes + 32;
const SHAPES_AT_ONCE = 200;
const AT = 0x100;
/** Vectors that push an error code. */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17]);
const BREAKPOINT = 3, PAGE_FAULT = 14;

const decoder = new Decoder(table);
const decoded = new Instruction();

/** What operands a vector instruction wants, by its mnemonic. */
function profileOf(mnemonic: string): Profile {
  if (mnemonic.startsWith('cvt')) {
    const source = /^cvtt?(\w\w)2/.exec(mnemonic)?.[1] ?? '';
    return source === 'ps' || source === 'ss' ? 'single' : source === 'pd' || source === 'sd' ? 'double' : 'integer';
  }
  if (/^(add|sub|mul|div|min|max|sqrt|cmp|hadd|hsub|addsub|dp|round|u?comi|rcp|rsqrt)\w*[ps]s$/.test(mnemonic)) return 'single';
  if (/^(add|sub|mul|div|min|max|sqrt|cmp|hadd|hsub|addsub|dp|round|u?comi)\w*[ps]d$/.test(mnemonic)) return 'double';
  if (/^ps(ll|rl|ra)[wdq]$/.test(mnemonic)) return 'count';
  return mnemonic.startsWith('pcmpestr') || mnemonic.startsWith('pcmpistr') ? 'string' : 'integer';
}

/** Cases for one form of an encoding, and over how many shapes (registers, immediates) they are spread. */
function effortOf({ instruction: { mnemonic }, operands }: Encoding, floats: boolean): { readonly shapes: number; readonly cases: number } {
  const immediate = operands.includes('Ib');
  if (mnemonic.startsWith('pcmp') && mnemonic.includes('str')) return { shapes: 60, cases: 12 };
  if (floats) return immediate ? { shapes: 40, cases: 24 } : { shapes: 10, cases: 120 };
  return immediate ? { shapes: 24, cases: 10 } : { shapes: 6, cases: 40 };
}


function vectorShape(random: Random, encoding: Encoding, memory: boolean, rex: boolean, cases: number, seed: number): LongShape {
  const { instruction, operands } = encoding;
  const wide = encoding.operandSize === 64;
  const high = (): number => (rex && random.chance(160) ? 8 : 0) + random.below(8);
  const reg = typeof encoding.modrm === 'number' ? encoding.modrm : high();
  const base = rex ? 15 : 7;
  const rm = memory ? base : high();
  const implied = instruction.implicit?.reads?.includes('rDI') ?? false;
  const bits = rex || wide ? [0x40 | (wide || (rex && random.chance(128) && operands.some((o) => o[1] === 'y')) ? 8 : 0) | (reg >> 3) << 2 | rm >> 3] : [];
  const code = [
    ...encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [], ...bits, ...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][encoding.map], encoding.opcode,
    ...encoding.modrm === 'none' ? [] : [(memory ? 0 : 0xc0) | (reg & 7) << 3 | (rm & 7)],
    ...operands.filter((o) => o === 'Ib').map(() => random.next() & 0xff),
  ];
  const profile = profileOf(instruction.mnemonic);
  const place: Place | undefined = memory || implied ? { base: implied ? 7 : base, index: -1, scale: 0, displacement: 0, bytes: 16 } : undefined;
  return {
    code: Uint8Array.from(code), profile, window: place && random.chance(40) ? 1 : 0, cases, seed, place,
    floats: profile === 'single' || profile === 'double' || instruction.mnemonic.startsWith('cvt') || instruction.mnemonic.endsWith('mxcsr'),
  };
}

export function vectorShapes(): LongShape[] {
  const shapes: LongShape[] = [];
  const rows = new Set(vectorRows);
  let seed = 0x7ec70000;
  for (const encoding of table.encodings.filter(({ instruction }) => rows.has(instruction))) {
    for (const memory of [false, true]) {
      const mayBeMemory = encoding.operands.some((o) => /^[EMWQ]/.test(o));
      if (memory ? !mayBeMemory || encoding.mod === 'reg' : encoding.mod === 'mem') continue;
      for (const rex of encoding.only64 ? [true] : [false, true]) {
        const floats = profileOf(encoding.instruction.mnemonic) === 'single' || profileOf(encoding.instruction.mnemonic) === 'double' || encoding.instruction.mnemonic.startsWith('cvt');
        const effort = effortOf(encoding, floats);
        const count = rex ? Math.max(1, effort.shapes >> 1) : effort.shapes;
        for (let n = 0; n < count; n++) {
          const random = new Random(++seed);
          const shape = vectorShape(random, encoding, memory, rex, effort.cases, seed);
          const bytes = new Uint8Array(32);
          bytes.set(shape.code);
          if (decoder.decode(bytes, 0, 32, { codeSize: 64 }, decoded) !== DecodeStatus.Ok || decoded.encoding !== encoding || decoded.length !== shape.code.length) {
            throw new Error(`${encoding.instruction.mnemonic} '${encoding.text}' is not ${Buffer.from(shape.code).toString('hex')}`);
          }
          shapes.push(shape);
        }
      }
    }
  }
  return shapes;
}

// ---- general instructions in 64-bit code ----

/** What a process cannot do, or what tells of the process and not of the instruction, or is compared in 16- and 32-bit code only. */
const notGeneral = /^(in|out|ins[bwd]|outs[bwd]|cpuid|rdtscp?|rdpmc|sys\w+|hlt|int\w*|iret\w*|popf\w*|l[fgs]s|lar|lsl|ver[rw]|str|sldt|s[gi]dt|smsw|swapgs|[rw]d[fg]s?base|rd[fg]sbase|wr[fg]sbase|inv\w+|xlatb|wait|monitor|mwait|rsm|cli|sti|ud\d?|enter|wbinvd)$/;
const isStringInstruction = /^(movs|cmps|stos|lods|scas)[bwdq]$/;

function generalShape(random: Random, encoding: Encoding, size: 16 | 32 | 64, memory: boolean, cases: number, seed: number): LongShape | undefined {
  const { instruction, operands } = encoding;
  const any = (): number => random.below(16);
  let reg = typeof encoding.modrm === 'number' ? encoding.modrm : any();
  let rm = any(), x = 0, place: Place | undefined;
  let opcode = encoding.opcode;
  const tail: number[] = [];
  let relative = -1;
  if (encoding.registerInOpcode) {
    rm = any();
    if (encoding.opcode === 0x90 && rm === 0) rm = 3;
    opcode += rm & 7;
  }
  const modrm = encoding.modrm !== 'none';
  if (modrm && memory) {
    const kind = random.below(4);
    const displacement = (random.next() << 24) >> 24;
    const bytes = 8;
    if (kind === 0) {
      relative = 1;
      rm = 5;
      tail.push((reg & 7) << 3 | 5, 0, 0, 0, 0);
    } else if (kind === 1) {
      do rm = any(); while ((rm & 7) === 4);
      tail.push(0x40 | (reg & 7) << 3 | (rm & 7), displacement & 0xff);
      place = { base: rm, index: -1, scale: 0, displacement, bytes };
    } else {
      const scale = random.below(4);
      let index = any();
      if (index === 4) index = 12;
      rm = any();
      if (rm === index) rm = (rm + 1) & 15;
      x = index >> 3;
      tail.push(0x80 | (reg & 7) << 3 | 4, scale << 6 | (index & 7) << 3 | (rm & 7), displacement & 0xff, (displacement >> 8) & 0xff, (displacement >> 16) & 0xff, displacement >>> 24);
      place = { base: rm, index, scale, displacement, bytes };
    }
  } else if (modrm) tail.push(0xc0 | (reg & 7) << 3 | (rm & 7));
  if (encoding.modrmByte !== undefined) tail.push(encoding.modrmByte);
  if (!modrm) reg = 0;
  if (instruction.mnemonic === 'leave') place = { base: 5, index: -1, scale: 0, displacement: 0, bytes: 8 };
  for (const code of operands) {
    const value = random.chance(100) ? random.pick([0, 1, 2, 0xff, 0x80, 0x7f, 0x7fffffff, 0x80000000, 0xffffffff, 31, 32, 63, 64]) : random.next();
    const bytes = (count: number) => { for (let n = 0; n < count; n++) tail.push((n < 4 ? value >>> (8 * n) : random.next()) & 0xff); };
    if (code === 'Ib' || code === 'Ibs') bytes(1);
    else if (code === 'Iw') bytes(2);
    else if (code === 'Iz') bytes(size === 16 ? 2 : 4);
    else if (code === 'Iv') bytes(size / 8);
    else if (code[0] === 'O') {
      const target = windows[0] + 16 + random.below(80);
      for (let n = 0; n < 8; n++) tail.push(n < 4 ? (target >>> (8 * n)) & 0xff : 0);
    } else if (code[0] === 'J' || code[0] === 'A') return undefined;
  }
  const usesRm = (modrm && (rm & 8) !== 0 && relative < 0) || (encoding.registerInOpcode && (rm & 8) !== 0);
  const needed = (size === 64 && !encoding.defaults64 && !encoding.forced64 ? 8 : 0) | (reg & 8 && typeof encoding.modrm !== 'number' ? 4 : 0) | x << 1 | (usesRm ? 1 : 0);
  const rex = needed || random.chance(60) ? [0x40 | needed] : [];
  const repeat = instruction.repeat && random.chance(128) ? [random.pick([0xf2, 0xf3])] : [];
  const lock = memory && instruction.lock && random.chance(60) ? [0xf0] : [];
  const code = [
    ...lock, ...repeat, ...size === 16 ? [0x66] : [], ...random.chance(20) && (place || repeat.length) ? [0x67] : [],
    ...encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [], ...rex, ...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][encoding.map], opcode, ...tail,
  ];
  if (relative >= 0) {
    const at = code.length - tail.length + 1;
    const target = windows[0] + 16 + random.below(80);
    const displacement = target - (CODE + AT + code.length);
    for (let n = 0; n < 4; n++) code[at + n] = (displacement >>> (8 * n)) & 0xff;
  }
  return {
    code: Uint8Array.from(code), profile: isStringInstruction.test(instruction.mnemonic) ? 'strings' : 'general', window: place && random.chance(20) ? 1 : 0, cases, seed, place, floats: false,
  };
}

/** Every general instruction that a process can execute, in 64-bit code. */
export function generalShapes(): LongShape[] {
  const shapes: LongShape[] = [];
  const vectors = new Set(vectorRows);
  let seed = 0x9e4e0000;
  for (const encoding of table.encodings) {
    const { instruction, operands } = encoding;
    if (vectors.has(instruction) || longSkipReason(instruction) || instruction.privilege || instruction.control || encoding.syntaxOnly || encoding.invalid64 || encoding.addressSize === 16) continue;
    if (notGeneral.test(instruction.mnemonic) || operands.some((o) => /^(Sw|Cd|Dd|Mp|Ms|[CDEFGS]S|ST\w)$/.test(o))) continue;
    const sizes = ([16, 32, 64] as const).filter((size) => encoding.operandSize === undefined || encoding.operandSize === size);
    for (const size of sizes) {
      for (const memory of [false, true]) {
        const mayBeMemory = encoding.modrm !== 'none' && operands.some((o) => /^[EM]/.test(o));
        if (memory ? !mayBeMemory || encoding.mod === 'reg' : encoding.mod === 'mem') continue;
        // A bit offset in a register reaches anywhere.
        if (memory && /^bt[src]?$/.test(instruction.mnemonic) && operands[1] === 'Gv') continue;
        for (let n = 0; n < 6; n++) {
          for (let attempt = 0; attempt < 30; attempt++) {
            const shape = generalShape(new Random(++seed), encoding, size, memory, 48, seed);
            if (!shape || shape.code.length > 15) continue;
            const bytes = new Uint8Array(32);
            bytes.set(shape.code);
            if (decoder.decode(bytes, 0, 32, { codeSize: 64 }, decoded) !== DecodeStatus.Ok || decoded.encoding !== encoding || decoded.length !== shape.code.length) continue;
            shapes.push(shape);
            break;
          }
        }
      }
    }
  }
  return shapes;
}

export function compileLong(source: string, binary: string): void {
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-fcf-protection=none', '-mgeneral-regs-only', '-o', binary, source], { stdio: 'inherit' });
}

function runNatively(binary: string, shapes: readonly LongShape[], each: (shape: LongShape, index: number, before: LongState, after: LongState) => void): void {
  const parts: Uint8Array[] = [];
  const words = (...values: number[]): void => { parts.push(new Uint8Array(Uint32Array.from(values).buffer)); };
  words(MAGIC, shapes.length);
  const before = makeLongState(), after = makeLongState();
  for (const shape of shapes) {
    words(shape.code.length, AT, shape.cases, windows[shape.window] - DATA);
    parts.push(shape.code, new Uint8Array(-shape.code.length & 3));
    for (let index = 0; index < shape.cases; index++) {
      expandLong(shape, index, before);
      parts.push(before.image.slice());
    }
  }
  const result = spawnSync(binary, { input: Buffer.concat(parts), maxBuffer: 1 << 30, timeout: 120_000 });
  if (result.status !== 0) {
    const number = Number(/^shape (\d+)/.exec(result.stderr.toString())?.[1] ?? NaN);
    const which = shapes.at(number) ? Buffer.from(shapes[number].code).toString('hex') : '';
    throw new Error(`the harness ended with ${result.status ?? result.signal}: ${result.stderr.toString()} ${which}`);
  }
  const view = new DataView(result.stdout.buffer, result.stdout.byteOffset, result.stdout.length);
  let at = 0;
  for (const shape of shapes) {
    for (let index = 0; index < shape.cases; index++, at += OUTPUT) {
      expandLong(shape, index, before);
      after.image.set(result.stdout.subarray(at, at + Layout.bytes));
      const word = (n: number): number => Number(view.getBigUint64(at + Layout.bytes + 8 * n, true) & 0xffffffffn);
      after.rip = word(0) - CODE - AT;
      after.vector = word(1);
      // INT3 behind the instruction, which the processor has passed by one.
      if (after.vector === BREAKPOINT && after.rip === shape.code.length + 1) after.vector = -1;
      after.errorCode = after.vector >= 0 && withErrorCode.has(after.vector) ? word(2) : 0;
      after.cr2 = after.vector === PAGE_FAULT ? word(3) : 0;
      // RF is set in the image that a fault saves, not by the instruction.
      after.view.setUint32(Layout.flags, after.view.getUint32(Layout.flags, true) & ~0x10000, true);
      each(shape, index, before, after);
    }
  }
  if (at !== result.stdout.length) throw new Error(`the harness answered ${result.stdout.length} bytes instead of ${at}`);
}

export function generateLong(harness: string, file: string, shapes: readonly LongShape[], processor: string): void {
  const writer = new Writer();
  let cases = 0;
  for (let start = 0; start < shapes.length; start += SHAPES_AT_ONCE) {
    runNatively(harness, shapes.slice(start, start + SHAPES_AT_ONCE), (shape, index, before, after) => {
      if (index === 0) writeLongShape(writer, shape);
      writeLongOutcome(writer, before, after);
      cases++;
    });
  }
  const packed = packLong({ version: LONG_DATA_VERSION, processor, shapes: shapes.length, cases }, writer);
  fs.writeFileSync(file, packed);
  console.log(`${path.basename(file)}: ${shapes.length} shapes, ${cases} cases, ${(packed.length / 1024).toFixed(0)} KiB`);
}
