/** Runs shapes of long-cases.ts on this machine's processor: drives long.c, which is compiled for it. The shapes of vector instructions. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { table, vectorRows } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { Random } from '../../test/conformance/support/silicon/cases';
import { ownRegistersOf } from '../../test/conformance/support/silicon/coverage';
import { expandLong, type LongShape, type Place, type Profile } from '../../test/conformance/support/silicon/long-cases';
import { AT, CODE, DATA, forgetNullSelectors, forgetPointers, Layout, makeLongState, windows, type LongState } from '../../test/conformance/support/silicon/long-layout';
import { differenceText } from '../../test/conformance/support/silicon/long-report';
import { frames } from '../../test/conformance/support/silicon/long-rules';
import { codeBase, longDescriptors } from '../../test/conformance/support/silicon/long-segments';
import { decodeIn, narrowCode } from '../../test/conformance/support/silicon/narrow';
import { LONG_DATA_VERSION, packLong, writeLongOutcome, writeLongShape } from '../../test/conformance/support/silicon/long-data';
import { Writer } from '../../test/conformance/support/silicon/outcome';

const MAGIC = 0x474e4f4c;
const OUTPUT = Layout.bytes + 24;
const SHAPES_AT_ONCE = 200;
/** Vectors that push an error code. */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17]);
const BREAKPOINT = 3, PAGE_FAULT = 14;

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
          if (decodeIn(shape.code, 64)?.encoding !== encoding) {
            throw new Error(`${encoding.instruction.mnemonic} '${encoding.text}' is not ${Buffer.from(shape.code).toString('hex')}`);
          }
          shapes.push(shape);
        }
      }
    }
  }
  return shapes;
}

export function compileLong(source: string, binary: string): void {
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-static-pie', '-fcf-protection=none', '-fno-stack-protector', '-mgeneral-regs-only', '-mfsgsbase', '-o', binary, source], { stdio: 'inherit' });
}

/** What the harness is told and what it answers, case by case. `codeSize`: shapes of straight code in this code instead of their own. */
function runNatively(binary: string, shapes: readonly LongShape[], codeSize: 16 | 32 | 64, each: (shape: LongShape, index: number, before: LongState, after: LongState) => void): void {
  const parts: Uint8Array[] = [];
  const words = (...values: number[]): void => { parts.push(new Uint8Array(Uint32Array.from(values).buffer)); };
  words(MAGIC, longDescriptors.length);
  for (const { base, limit, kind, big } of longDescriptors) words(base, limit, ['code', 'data', 'readOnly'].indexOf(kind), big ? 1 : 0);
  words(shapes.length);
  const before = makeLongState(), after = makeLongState();
  for (const shape of shapes) {
    words(shape.code.length, AT, shape.cases, windows[shape.window] - DATA, frames[shape.system?.frame ?? 0] - frames[2]);
    parts.push(shape.code, new Uint8Array(-shape.code.length & 3));
    for (let index = 0; index < shape.cases; index++) {
      expandLong(shape, index, before, codeSize);
      parts.push(before.image.slice());
    }
  }
  const result = spawnSync(binary, { input: Buffer.concat(parts), maxBuffer: 1 << 30, timeout: 120_000 });
  if (result.status !== 0) {
    const number = Number(/^shape (\d+)/.exec(result.stderr.toString())?.[1] ?? NaN);
    const shape = shapes.at(number);
    throw new Error(`the harness ended with ${result.status ?? result.signal}: ${result.stderr.toString()} ${shape ? `${Buffer.from(shape.code).toString('hex')} ${JSON.stringify(shape.system)}` : ''}`);
  }
  const view = new DataView(result.stdout.buffer, result.stdout.byteOffset, result.stdout.length);
  let at = 0;
  for (const shape of shapes) {
    for (let index = 0; index < shape.cases; index++, at += OUTPUT) {
      expandLong(shape, index, before, codeSize);
      after.image.set(result.stdout.subarray(at, at + Layout.bytes));
      const word = (n: number): number => Number(view.getBigUint64(at + Layout.bytes + 8 * n, true) & 0xffffffffn);
      after.vector = word(0);
      if (passedBreakpoint(shape, after)) after.vector = -1;
      after.errorCode = after.vector >= 0 && withErrorCode.has(after.vector) ? word(1) : 0;
      after.cr2 = after.vector === PAGE_FAULT ? word(2) : 0;
      // RF is set in the image that a fault saves, not by the instruction.
      after.view.setUint32(Layout.flags, after.view.getUint32(Layout.flags, true) & ~0x10000, true);
      each(shape, index, before, after);
    }
  }
  if (at !== result.stdout.length) throw new Error(`the harness answered ${result.stdout.length} bytes instead of ${at}`);
}

/** Whether the case ended at an INT3 around the shape, which the processor has passed by one: control has come that far, and RIP is made to say so. */
function passedBreakpoint(shape: LongShape, after: LongState): boolean {
  if (after.vector !== BREAKPOINT) return false;
  const rip = after.view.getBigUint64(Layout.rip, true) - 1n;
  const offset = Number(rip) + codeBase(after.view.getUint16(Layout.selectors + 2, true)) - CODE - AT;
  if (offset >= 0 && offset < shape.code.length) return false;
  after.view.setBigUint64(Layout.rip, rip, true);
  return true;
}

/** Straight code: where it ends is told by whether it faults, so that its RIP need not be kept. */
function forgetRip(shape: LongShape, before: LongState, after: LongState): void {
  if (shape.system) return;
  const moved = Number(after.view.getBigUint64(Layout.rip, true) - before.view.getBigUint64(Layout.rip, true));
  if (moved !== (after.vector < 0 ? shape.code.length : 0)) throw new Error(`${Buffer.from(shape.code).toString('hex')} ended at ${moved} with exception ${after.vector}`);
  after.view.setBigUint64(Layout.rip, before.view.getBigUint64(Layout.rip, true), true);
}

export function generateLong(harness: string, file: string, shapes: readonly LongShape[], processor: string, { narrow = false } = {}): void {
  const writer = new Writer();
  let cases = 0, narrowCases = 0;
  for (let start = 0; start < shapes.length; start += SHAPES_AT_ONCE) {
    const batch = shapes.slice(start, start + SHAPES_AT_ONCE);
    const outcomes = new Map<LongShape, LongState[]>();
    runNatively(harness, batch, 64, (shape, index, before, after) => {
      forgetRip(shape, before, after);
      forgetNullSelectors(after);
      const { encoding } = decodeIn(shape.code, shape.system?.codeSize ?? 64)!;
      forgetPointers(encoding, before, after);
      for (const register of ownRegistersOf(encoding)) after.view.setUint32(8 * register, 0, true);
      if (index === 0) writeLongShape(writer, shape);
      writeLongOutcome(writer, before, after);
      cases++;
      if (!narrow) return;
      const list = outcomes.get(shape) ?? [];
      outcomes.set(shape, list);
      const image = after.image.slice();
      list.push({ image, view: new DataView(image.buffer), vector: after.vector, errorCode: after.errorCode, cr2: after.cr2 });
    });
    for (const codeSize of narrow ? [16, 32] as const : []) narrowCases += sameInNarrowCode(harness, batch, outcomes, codeSize);
  }
  const packed = packLong({ version: LONG_DATA_VERSION, processor, shapes: shapes.length, cases }, writer);
  fs.writeFileSync(file, packed);
  console.log(`${path.basename(file)}: ${shapes.length} shapes, ${cases} cases, ${(packed.length / 1024).toFixed(0)} KiB${narrow ? `; ${narrowCases} of them again in 16- and 32-bit code, with the same outcomes` : ''}`);
}

/** Runs the shapes that mean the same there in 16- or 32-bit code and insists on the same outcomes; returns how many cases these are. */
function sameInNarrowCode(harness: string, shapes: readonly LongShape[], outcomes: ReadonlyMap<LongShape, readonly LongState[]>, codeSize: 16 | 32): number {
  const wide = new Map<LongShape, LongShape>();
  for (const shape of shapes) {
    const code = narrowCode(shape.code, codeSize);
    if (code) wide.set({ ...shape, code }, shape);
  }
  let cases = 0;
  runNatively(harness, [...wide.keys()], codeSize, (shape, index, before, after) => {
    forgetRip(shape, before, after);
    const expected = outcomes.get(wide.get(shape)!)![index];
    // The code's own selector and RIP.
    after.view.setUint16(Layout.selectors + 2, expected.view.getUint16(Layout.selectors + 2, true), true);
    after.view.setBigUint64(Layout.rip, expected.view.getBigUint64(Layout.rip, true), true);
    const text = differenceText(expected, after, 32);
    if (text) throw new Error(`${Buffer.from(shape.code).toString('hex')} does something else in ${codeSize}-bit code: ${text}`);
    cases++;
  });
  return cases;
}
