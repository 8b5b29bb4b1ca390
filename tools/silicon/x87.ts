/** Cases of every x87 encoding on this machine's processor: drives x87.c, which is compiled for it. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Writer } from '../../test/conformance/support/silicon/outcome';
import { blankPointers, expandX87, FLAGS, makeState, MEMORY_BYTES, type Content, type Profile, type X87Shape, type X87State } from '../../test/conformance/support/silicon/x87-cases';
import { ofStates } from '../../test/conformance/support/silicon/x87-differences';
import { packX87, writeX87Outcome, writeX87Shape, X87_DATA_VERSION } from '../../test/conformance/support/silicon/x87-data';
import { narrowCode } from '../../test/conformance/support/silicon/narrow';
import { x87Rows } from '../../src/vmm/isa/rows/x87';
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';

const MAGIC = 0x37385832;
const IMAGE = 108, STATE = 240;
const SHAPES_AT_ONCE = 50;

/** How many cases each encoding gets, and which operands, by mnemonic; the first row that fits counts. */
const plans: readonly { readonly mnemonics: RegExp; readonly profile: Profile; readonly cases: number }[] = [
  { mnemonics: /^f(n?eni|n?disi|setpm)$/, profile: 'any', cases: 60 },
  { mnemonics: /^fi?(add|sub|mul|div)r?p?$/, profile: 'near', cases: 2500 },
  { mnemonics: /^fsqrt$/, profile: 'positive', cases: 4000 },
  { mnemonics: /^f(sin|cos|sincos|ptan)$/, profile: 'trigonometric', cases: 6000 },
  { mnemonics: /^f2xm1$/, profile: 'small', cases: 6000 },
  { mnemonics: /^fyl2xp1$/, profile: 'small', cases: 6000 },
  { mnemonics: /^fyl2x$/, profile: 'positive', cases: 6000 },
  { mnemonics: /^fpatan$/, profile: 'near', cases: 6000 },
  { mnemonics: /^fscale$/, profile: 'scale', cases: 5000 },
  { mnemonics: /^fprem1?$/, profile: 'remainder', cases: 6000 },
  { mnemonics: /^(fi(st|stp|sttp)|fbstp|frndint)$/, profile: 'integer', cases: 4000 },
  { mnemonics: /^(fld|fst|fstp|fxtract|fild|fbld)$/, profile: 'any', cases: 2500 },
  { mnemonics: /com/, profile: 'near', cases: 1200 },
  { mnemonics: /^fn?(ldenv|rstor|stenv|save)$/, profile: 'any', cases: 1000 },
  { mnemonics: /./, profile: 'any', cases: 600 },
];

/** Formats of memory operands by the mnemonic and the code of the operand. */
function contentOf({ instruction: { mnemonic }, operands }: Encoding, narrow: boolean): Content {
  const code = operands[0];
  if (/^fn?ldenv$/.test(mnemonic)) return narrow ? 'image16' : 'image32';
  if (mnemonic === 'frstor') return narrow ? 'save16' : 'save32';
  if (mnemonic === 'fldcw') return 'control';
  if (mnemonic === 'fbld') return 'decimal';
  if (!operands.some((operand) => operand.startsWith('M')) || /^f(n?st|bst|ist|nsave)/.test(mnemonic)) return 'none';
  if (mnemonic.startsWith('fi')) return code === 'Mw' ? 'integer16' : code === 'Md' ? 'integer32' : 'integer64';
  return code === 'Md' ? 'single' : code === 'Mq' ? 'double' : 'extended';
}

/** Registers that an encoding with ST(i) is tried with. */
const STACK_REGISTERS = [0, 1, 2, 3, 5, 7];

export function x87Shapes(): X87Shape[] {
  const shapes: X87Shape[] = [];
  const rows = new Set(x87Rows);
  for (const encoding of table.encodings.filter(({ instruction }) => rows.has(instruction))) {
    const { opcode, modrm, modrmByte, operands, mod } = encoding;
    const { profile, cases } = plans.find(({ mnemonics }) => mnemonics.test(encoding.instruction.mnemonic))!;
    if (ofStates.has(encoding.instruction.mnemonic)) continue;
    const add = (count: number, narrow: boolean, ...code: number[]): void => {
      const seed = code.reduce((value, byte) => Math.imul(value, 0x01000193) ^ byte, 0x811c9dc5 | 0);
      shapes.push({ code: Uint8Array.from([...narrow ? [0x66] : [], opcode, ...code]), content: contentOf(encoding, narrow), profile, cases: count, seed: seed ^ opcode << 8 });
    };
    if (modrmByte !== undefined) add(cases, false, modrmByte);
    else if (mod === 'reg') {
      const digit = Number(modrm) << 3 | 0xc0;
      if (operands.includes('STi')) for (const i of STACK_REGISTERS) add(Math.ceil(cases / STACK_REGISTERS.length), false, digit | i);
      else add(cases, false, digit);
    } else {
      const byRdi = Number(modrm) << 3 | 7;
      add(cases, false, byRdi);
      if (operands[0] === 'M') add(cases, true, byRdi);
    }
  }
  return shapes;
}

export function compileX87(source: string, binary: string): void {
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-fcf-protection=none', '-o', binary, source], { stdio: 'inherit' });
}

/** The stack's registers in an image are relative to TOP. */
function writeImage(view: DataView, at: number, state: X87State): void {
  view.setUint32(at, state.control | 0xffff0000, true);
  view.setUint32(at + 4, state.status | 0xffff0000, true);
  let tags = 0;
  for (let n = 0; n < 8; n++) if (state.empty >> n & 1) tags |= 3 << (2 * n);
  view.setUint32(at + 8, tags | 0xffff0000, true);
  const top = state.status >> 11 & 7;
  for (let i = 0; i < 80; i++) view.setUint8(at + 28 + i, state.registers[(10 * top + i) % 80]);
  view.setBigUint64(at + 112, BigInt(state.flags | 2), true);
  view.setBigUint64(at + 120, BigInt(state.ax), true);
  for (let n = 0; n < MEMORY_BYTES; n++) view.setUint8(at + 128 + n, state.memory[n]);
}

function readImage(view: DataView, at: number, state: X87State): void {
  state.control = view.getUint16(at, true);
  state.status = view.getUint16(at + 4, true);
  const tags = view.getUint16(at + 8, true);
  state.empty = 0;
  for (let n = 0; n < 8; n++) if ((tags >> (2 * n) & 3) === 3) state.empty |= 1 << n;
  const top = state.status >> 11 & 7;
  for (let i = 0; i < 80; i++) state.registers[(10 * top + i) % 80] = view.getUint8(at + 28 + i);
  state.flags = Number(view.getBigUint64(at + 112, true)) & FLAGS;
  state.ax = Number(view.getBigUint64(at + 120, true)) & 0xffff;
  for (let n = 0; n < MEMORY_BYTES; n++) state.memory[n] = view.getUint8(at + 128 + n);
}

function runNatively(binary: string, shapes: readonly X87Shape[], codeSize: 16 | 32 | 64, each: (shape: X87Shape, index: number, before: X87State, after: X87State) => void): void {
  const parts: Uint8Array[] = [];
  const words = (...values: number[]): void => { parts.push(new Uint8Array(Uint32Array.from(values).buffer)); };
  words(MAGIC, shapes.length);
  const before = makeState(), after = makeState();
  for (const shape of shapes) {
    const code = codeSize === 64 ? shape.code : narrowCode(shape.code, codeSize);
    if (!code) throw new Error(`${Buffer.from(shape.code).toString('hex')} cannot be said in ${codeSize}-bit code`);
    words(code.length, shape.cases, codeSize);
    parts.push(code, new Uint8Array(-code.length & 3));
    const inputs = new Uint8Array(shape.cases * STATE);
    const view = new DataView(inputs.buffer);
    for (let index = 0; index < shape.cases; index++) {
      expandX87(shape, index, before);
      writeImage(view, index * STATE, before);
    }
    parts.push(inputs);
  }
  const result = spawnSync(binary, { input: Buffer.concat(parts), maxBuffer: 1 << 30, timeout: 120_000 });
  if (result.status !== 0) throw new Error(`the x87 harness ended with ${result.status ?? result.signal} (image ${IMAGE}): ${result.stderr.toString()}`);
  const view = new DataView(result.stdout.buffer, result.stdout.byteOffset, result.stdout.length);
  let at = 0;
  for (const shape of shapes) {
    for (let index = 0; index < shape.cases; index++, at += STATE) {
      expandX87(shape, index, before);
      readImage(view, at, after);
      blankPointers(shape, before, after);
      each(shape, index, before, after);
    }
  }
}

function outcomeOf(before: X87State, after: X87State): Uint8Array {
  const writer = new Writer();
  writeX87Outcome(writer, before, after);
  return writer.result().slice();
}

export function generateX87(harness: string, folder: string, processor: string): void {
  const shapes = x87Shapes();
  const writer = new Writer();
  let cases = 0;
  for (let start = 0; start < shapes.length; start += SHAPES_AT_ONCE) {
    const batch = shapes.slice(start, start + SHAPES_AT_ONCE);
    const outcomes = new Map<X87Shape, Uint8Array[]>();
    runNatively(harness, batch, 64, (shape, index, before, after) => {
      if (index === 0) writeX87Shape(writer, shape);
      writeX87Outcome(writer, before, after);
      const list = outcomes.get(shape) ?? [];
      outcomes.set(shape, list);
      list.push(outcomeOf(before, after));
      cases++;
    });
    for (const codeSize of [16, 32] as const) {
      runNatively(harness, batch, codeSize, (shape, index, before, after) => {
        if (Buffer.compare(outcomeOf(before, after), outcomes.get(shape)![index]) !== 0) {
          throw new Error(`${Buffer.from(shape.code).toString('hex')} does something else in ${codeSize}-bit code, case ${index}`);
        }
      });
    }
  }
  const file = packX87({ version: X87_DATA_VERSION, processor, shapes: shapes.length, cases }, writer);
  fs.writeFileSync(path.join(folder, 'x87.bin.gz'), file);
  console.log(`x87: ${shapes.length} shapes, ${cases} cases, ${(file.length / 1024).toFixed(0)} KiB; the same outcomes in 16- and 32-bit code`);
}
