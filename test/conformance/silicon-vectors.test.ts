/**
 * MMX and SSE against a real processor: what test/data/silicon/vectors.bin.gz says it did with every declared encoding, with operands of all kinds,
 * in all modes of MXCSR, exceptions masked and unmasked. Registers, flags, MXCSR, the x87 unit's state, memory and faults are equal, except where
 * a row of long-differences.ts says what may differ and why.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Decoder } from '../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../src/vmm/decode/instruction';
import { table, vectorRows } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { expandLong, Layout, makeLongState, type LongShape, type LongState } from './support/silicon/long-cases';
import { readLongData } from './support/silicon/long-data';
import { allowLong, longDifferences, type LongDifference } from './support/silicon/long-differences';
import { VectorWorld } from './support/silicon/vector-world';

const file = path.join(process.cwd(), 'test', 'data', 'silicon', 'vectors.bin.gz');
const decoder = new Decoder(table);
const registerNames = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const isRex = (byte: number): boolean => (byte & 0xf0) === 0x40;

/** The same instruction in 32-bit code, if REX does not take part. */
function decode(shape: LongShape): Instruction | undefined {
  if (shape.code.some((byte, n) => isRex(byte) && shape.code[n + 1] === 0x0f)) return undefined;
  const bytes = new Uint8Array(32);
  bytes.set(shape.code);
  const instruction = new Instruction();
  assert.equal(decoder.decode(bytes, 0, 32, { codeSize: 32 }, instruction), DecodeStatus.Ok, Buffer.from(shape.code).toString('hex'));
  return instruction;
}

const reversed = (state: LongState, at: number, bytes: number): string => Buffer.from(state.image.subarray(at, at + bytes)).reverse().toString('hex');

function differenceText(silicon: LongState, ours: LongState): string {
  const found: string[] = [];
  const exception = (s: LongState): string => (s.vector < 0 ? 'none' : `${s.vector}(${s.errorCode.toString(16)})${s.vector === 14 ? ` cr2 ${s.cr2.toString(16)}` : ''}`);
  if (exception(silicon) !== exception(ours)) found.push(`exception ${exception(silicon)}, ours ${exception(ours)}`);
  const part = (name: string, at: number, bytes: number): void => {
    if (reversed(silicon, at, bytes) !== reversed(ours, at, bytes)) found.push(`${name} ${reversed(silicon, at, bytes)}, ours ${reversed(ours, at, bytes)}`);
  };
  // 32-bit code sees the low halves.
  registerNames.forEach((name, n) => part(name, 8 * n, 4));
  part('flags', Layout.flags, 4);
  part('mxcsr', Layout.mxcsr, 4);
  part('x87 status', Layout.status, 2);
  part('x87 valid', Layout.valid, 1);
  for (let n = 0; n < 8; n++) part(`xmm${n}`, Layout.xmm + 16 * n, 16);
  for (let n = 0; n < 8; n++) part(`mm${n}`, Layout.stack + 16 * n, 10);
  for (let n = 0; n < 128; n += 16) part(`memory+${n}`, Layout.memory + n, 16);
  return found.join('; ');
}

function inputText(shape: LongShape, before: LongState): string {
  const instruction = decode(shape)!;
  const { reg, rm } = instruction;
  return `xmm${reg}=${reversed(before, Layout.xmm + 16 * reg, 16)} xmm${rm}=${reversed(before, Layout.xmm + 16 * rm, 16)} mm${reg}=${reversed(before, Layout.stack + 16 * reg, 8)} mm${rm}=${reversed(before, Layout.stack + 16 * rm, 8)} `
    + `rdi=${reversed(before, 56, 4)} mxcsr=${reversed(before, Layout.mxcsr, 4)}`;
}

describe('MMX and SSE against silicon', function () {
  this.timeout(120_000);
  const casesOf = new Map<Encoding, number>();
  const used = new Set<LongDifference>();

  it('does what the processor did', () => {
    const world = new VectorWorld();
    const before = makeLongState(), silicon = makeLongState(), ours = makeLongState();
    const failures = new Map<string, string[]>();
    let instruction: Instruction | undefined;
    let total = 0;
    readLongData(fs.readFileSync(file), (shape) => {
      instruction = decode(shape);
      if (instruction) world.begin(shape);
    }, (shape, index) => {
      if (!instruction) return;
      const { encoding } = instruction;
      casesOf.set(encoding, (casesOf.get(encoding) ?? 0) + 1);
      total++;
      world.run(shape, before, ours);
      allowLong(encoding, before, silicon, ours, used);
      const text = differenceText(silicon, ours);
      if (!text) return;
      const list = failures.get(encoding.instruction.mnemonic) ?? [];
      failures.set(encoding.instruction.mnemonic, list);
      expandLong(shape, index, before);
      list.push(`${Buffer.from(shape.code).toString('hex')} case ${index}: ${list.length < 20 ? inputText(shape, before) : ''}\n        silicon: ${text}`);
    }, before, silicon);
    const text = [...failures].map(([mnemonic, list]) => `${mnemonic}: ${list.length} cases, e.g.\n${list.slice(0, 3).map((one) => `      ${one}`).join('\n')}`);
    assert.equal(failures.size, 0, `${failures.size} instructions differ\n${text.join('\n')}`);
    assert.ok(total > 100_000, `only ${total} cases`);
  });

  it('needs every difference that it allows', () => {
    assert.deepEqual(longDifferences.filter((difference) => !used.has(difference)).map(({ why }) => why), []);
  });

  it('has cases of every encoding', () => {
    const rows = new Set(vectorRows);
    const missing = table.encodings.filter((encoding) => rows.has(encoding.instruction) && !encoding.only64 && !casesOf.get(encoding));
    assert.deepEqual(missing.map(({ instruction, text }) => `${instruction.mnemonic} '${text}'`), []);
    const byMnemonic = new Map<string, number>();
    for (const [{ instruction }, cases] of casesOf) byMnemonic.set(instruction.mnemonic, (byMnemonic.get(instruction.mnemonic) ?? 0) + cases);
    console.log(`      ${[...byMnemonic].map(([mnemonic, cases]) => `${mnemonic} ${cases}`).join(', ')}`);
  });
});
