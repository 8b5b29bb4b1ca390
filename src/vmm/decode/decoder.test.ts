/** The decoder by itself, over a few rows that exercise every way in which a row is selected. */
import assert from 'node:assert/strict';
import { buildTable } from '../isa/encoding';
import type { InstructionSpec } from '../isa/types';
import { Decoder } from './decoder';
import { Instruction } from './instruction';

const row = (mnemonic: string, encodings: string[], more: Partial<InstructionSpec> = {}): InstructionSpec =>
  ({ mnemonic, title: mnemonic, encodings, semantics: () => undefined, ...more });

const decoder = new Decoder(buildTable([
  row('add', ['00 /r : Eb Gb', '01 /r : Ev Gv', '03 /r : Gv Ev', '05 : eAX Iz', '80 /0 : Eb Ib', '81 /0 : Ev Iz', '83 /0 : Ev Ibs'], { lock: true }),
  row('inc', ['40+r : Zv ; i64', 'FF /0 : Ev'], { lock: true }),
  row('nop', ['90 :']),
  row('xchg', ['90+r : Zv eAX']),
  row('pause', ['F3 90 :']),
  row('cbw', ['98 : ; o16']),
  row('cwde', ['98 : ; o32']),
  row('jcxz', ['E3 : Jb ; a16']),
  row('jecxz', ['E3 : Jb ; a32']),
  row('les', ['C4 /r : Gv Mp ; i64']),
  row('mov', ['88 /r : Eb Gb', '8C /r : Ev Sw', '8E /r : Sw Ew', 'A0 : AL Ob ; asm-', 'A1 : eAX Ov', 'B8+r : Zv Iv', '0F 20 /r : Rd Cd', '0F 23 /r : Dd Rd']),
  row('movsb', ['A4 : Yb Xb'], { repeat: 'rep', size: 8 }),
  row('cmpsb', ['A6 : Xb Yb'], { repeat: 'repz', size: 8 }),
  row('jmp far', ['EA : Ap ; i64']),
  row('jmp', ['E9 : Jz', 'EB : Jb']),
  row('enter', ['C8 : Iw Ib']),
  row('push', ['6A : Ibs', 'FF /6 : Ev ; d64']),
  row('vmcall', ['0F 01 C1 :']),
  row('sgdt', ['0F 01 /0 : Ms']),
  row('smsw', ['0F 01 /4 : Ev']),
  row('crc32', ['F2 0F 38 F1 /r : Gd Ev']),
  row('movbe', ['0F 38 F1 /r : M Gv']),
  row('mfence', ['0F AE F0 : ; np']),
]));

const statusNames = ['Ok', 'Undefined', 'TooLong', 'NeedMore'];

function decode(hex: string, codeSize: 16 | 32 | 64): Instruction {
  const out = new Instruction();
  const bytes = Uint8Array.from(hex.split(' '), (b) => parseInt(b, 16));
  const status = decoder.decode(bytes, 0, bytes.length, { codeSize }, out);
  assert.equal(statusNames[status], 'Ok', hex);
  assert.equal(out.length, bytes.length, `length of ${hex}`);
  return out;
}

function status(hex: string, codeSize: 16 | 32 | 64): string {
  const bytes = Uint8Array.from(hex.split(' '), (b) => parseInt(b, 16));
  return statusNames[decoder.decode(bytes, 0, bytes.length, { codeSize }, new Instruction())];
}

function has(actual: Instruction, expected: Partial<Instruction> & { name?: string }): void {
  const { name, ...fields } = expected;
  if (name) assert.equal(actual.encoding.instruction.mnemonic, name);
  for (const [key, value] of Object.entries(fields)) assert.equal(actual[key as keyof Instruction], value, key);
}

describe('decoder', () => {
  it('finds no two rows for the same bytes', () => assert.deepEqual(decoder.conflicts, []));

  it('reads 16-bit addressing forms with their default segments', () => {
    has(decode('00 02', 16), { name: 'add', memory: true, base: 5, index: 6, segment: 2, displacement: 0, reg: 0 });
    has(decode('00 06 34 f2', 16), { base: -1, index: -1, segment: 3, displacement: 0xf234 - 0x10000, displacementSize: 2 });
    has(decode('00 5e fe', 16), { base: 5, index: -1, segment: 2, displacement: -2, reg: 3 });
    has(decode('26 00 44 7f', 16), { base: 6, segment: 0, segmentOverride: 0, displacement: 127 });
    has(decode('67 00 03', 16), { addressSize: 32, base: 3, segment: 3 });
  });

  it('reads 32-bit addressing forms with SIB', () => {
    has(decode('01 04 24', 32), { base: 4, index: -1, segment: 2 });
    has(decode('01 44 8d 80', 32), { base: 5, index: 1, scale: 2, segment: 2, displacement: -128 });
    has(decode('01 04 cd 78 56 34 12', 32), { base: -1, index: 1, scale: 3, segment: 3, displacement: 0x12345678, displacementSize: 4 });
    has(decode('01 05 00 00 00 80', 32), { base: -1, index: -1, displacement: -0x80000000 });
    has(decode('64 67 01 07', 32), { addressSize: 16, base: 3, index: -1, segment: 4 });
  });

  it('extends immediates as the manual says', () => {
    has(decode('83 c0 80', 32), { immediate: -128 });
    has(decode('80 c0 80', 32), { immediate: 128 });
    has(decode('81 c0 00 80', 16), { immediate: 0x8000, operandSize: 16 });
    has(decode('66 81 c0 00 00 00 80', 16), { immediate: -0x80000000, operandSize: 32 });
    has(decode('c8 34 92 05', 16), { immediate: 0x9234, immediate2: 5 });
    has(decode('ea 34 12 10 00', 16), { immediate: 0x1234, immediate2: 0x10 });
    has(decode('66 ea 78 56 34 12 10 00', 16), { immediate: 0x12345678, immediate2: 0x10 });
    has(decode('e9 fe ff', 16), { immediate: -2 });
    has(decode('a0 ff ff', 16), { memory: true, base: -1, displacement: 0xffff, displacementSize: 2 });
    has(decode('65 a1 78 56 34 12', 32), { memory: true, displacement: 0x12345678, segment: 5 });
  });

  it('selects rows by operand size, address size, mod, digit and prefix', () => {
    has(decode('98', 16), { name: 'cbw' });
    has(decode('66 98', 16), { name: 'cwde' });
    has(decode('67 e3 00', 32), { name: 'jcxz' });
    has(decode('90', 32), { name: 'nop' });
    has(decode('91', 32), { name: 'xchg', opcodeRegister: 1 });
    has(decode('f3 90', 32), { name: 'pause', repeat: 'none' });
    has(decode('0f 01 00', 32), { name: 'sgdt', memory: true });
    has(decode('0f 01 c1', 32), { name: 'vmcall', memory: false });
    assert.equal(status('0f 01 c0', 32), 'Undefined');
    has(decode('0f 01 e3', 32), { name: 'smsw', rm: 3 });
    has(decode('66 f2 0f 38 f1 c1', 32), { name: 'crc32', operandSize: 16 });
    has(decode('0f 38 f1 01', 32), { name: 'movbe' });
    assert.equal(status('0f 38 f1 c1', 32), 'Undefined');
    has(decode('0f ae f0', 32), { name: 'mfence' });
    assert.equal(status('f3 0f ae f0', 32), 'Undefined');
  });

  it('gives repeat prefixes their meaning only where the row repeats, the last one winning', () => {
    has(decode('f2 a4', 16), { name: 'movsb', repeat: 'rep' });
    has(decode('f3 a6', 16), { repeat: 'repz' });
    has(decode('f3 f2 a6', 16), { repeat: 'repnz' });
    has(decode('f3 00 c0', 16), { name: 'add', repeat: 'none' });
  });

  it('rejects LOCK without a memory destination', () => {
    has(decode('f0 01 07', 32), { lock: true });
    assert.equal(status('f0 01 c0', 32), 'Undefined');
    assert.equal(status('f0 03 07', 32), 'Undefined');
    assert.equal(status('f0 88 07', 32), 'Undefined');
    assert.equal(status('f0 90', 32), 'Undefined');
  });

  it('rejects registers that do not exist, and memory forms that do not', () => {
    assert.equal(status('8c f0', 32), 'Undefined');
    assert.equal(status('8e c8', 32), 'Undefined');
    assert.equal(status('0f 20 c8', 32), 'Undefined');
    assert.equal(status('c4 c0', 32), 'Undefined');
    assert.equal(status('0f ff', 32), 'Undefined');
  });

  it('ignores modrm.mod for control and debug registers', () => {
    has(decode('0f 20 04', 32), { memory: false, reg: 0, rm: 4, displacementSize: 0 });
    has(decode('0f 23 bd', 32), { memory: false, reg: 7, rm: 5 });
  });

  it('asks for more bytes, and stops at 15', () => {
    for (const hex of ['66', '0f', '0f 01', '01', '01 06', '01 46', '01 86 00', '05 00', 'ea 00 00 00', 'c8 00 00', 'a0', 'e3']) {
      assert.equal(status(hex, 16), 'NeedMore', hex);
    }
    const prefixes = (n: number) => Array<string>(n).fill('26').join(' ');
    has(decode(`${prefixes(13)} 01 c0`, 32), { length: 15 });
    assert.equal(status(`${prefixes(14)} 01`, 32), 'TooLong');
    assert.equal(status(`${prefixes(14)} 01 c0`, 32), 'TooLong');
    assert.equal(status(`${prefixes(15)}`, 32), 'TooLong');
    assert.equal(status(`${prefixes(14)}`, 32), 'NeedMore');
    has(decode(`${prefixes(14)} 90`, 32), { length: 15 });
  });

  it('knows REX, RIP-relative addresses and 64-bit immediates', () => {
    has(decode('48 01 c0', 64), { operandSize: 64, rex: 0x48 });
    has(decode('4d 01 3c 24', 64), { base: 12, index: -1, reg: 15 });
    has(decode('42 00 04 20', 64), { base: 0, index: 12 });
    has(decode('01 05 10 00 00 00', 64), { ripRelative: true, displacement: 16, base: -1 });
    has(decode('48 b8 01 00 00 00 02 00 00 80', 64), { immediate: 1, immediateHigh: -0x7ffffffe });
    has(decode('48 66 01 c0', 64), { operandSize: 16, rex: 0 });
    has(decode('41 90', 64), { name: 'xchg', opcodeRegister: 8 });
    has(decode('6a ff', 64), { immediate: -1 });
    has(decode('ff f0', 64), { name: 'push', operandSize: 64 });
    has(decode('26 64 00 00', 64), { segment: 4 });
    assert.equal(status('c4 00', 64), 'Undefined');
    has(decode('66 e9 00 00 00 80', 64), { operandSize: 64, immediate: -0x80000000 });
    assert.equal(status('44 0f 23 c0', 64), 'Undefined');
  });
});
