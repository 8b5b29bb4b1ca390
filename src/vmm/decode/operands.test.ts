/** What an instruction reads and writes, by name. */
import assert from 'node:assert/strict';
import { table } from '../isa/table';
import { Decoder } from './decoder';
import { DecodeStatus, Instruction } from './instruction';
import type { Effects } from './operands';
import { effectiveAddress, effects, memoryOperands, operands, registerName } from './operands';

const decoder = new Decoder(table);

function decode(hex: string, codeSize: 16 | 32): Instruction {
  const out = new Instruction();
  const bytes = Uint8Array.from(hex.split(' '), (b) => parseInt(b, 16));
  assert.equal(decoder.decode(bytes, 0, bytes.length, { codeSize }, out), DecodeStatus.Ok, hex);
  return out;
}

function check(hex: string, codeSize: 16 | 32, expected: Partial<Effects>): void {
  const actual = effects(decode(hex, codeSize));
  for (const [key, value] of Object.entries(expected)) {
    const got = actual[key as keyof Effects];
    assert.deepEqual([...got as readonly string[]].sort(), [...value as readonly string[]].sort(), `${key} of ${hex}`);
  }
}

describe('effects of an instruction', () => {
  it('names registers at their operand size', () => {
    check('01 d8', 32, { reads: ['eax', 'ebx'], writes: ['eax'], flagsRead: [], flagsWritten: ['of', 'sf', 'zf', 'af', 'pf', 'cf'] });
    check('01 d8', 16, { reads: ['ax', 'bx'], writes: ['ax'] });
    check('00 e0', 32, { reads: ['al', 'ah'], writes: ['al'] });
    check('d3 e3', 32, { reads: ['ebx', 'cl'], writes: ['ebx'] });
    check('8e d8', 16, { reads: ['ax'], writes: ['ds'] });
    check('0f 22 c0', 32, { reads: ['eax'], writes: ['cr0'] });
    check('ec', 32, { reads: ['dx'], writes: ['al'] });
  });

  it('names address registers and describes memory', () => {
    check('8b 44 b3 10', 32, { reads: ['ebx', 'esi'], writes: ['eax'] });
    const [memory] = memoryOperands(decode('26 8b 44 b3 f0', 32));
    assert.deepEqual(memory, {
      kind: 'memory', segment: 'es', base: 'ebx', index: 'esi', scale: 4, displacement: -16n, addressSize: 32, ripRelative: false, width: 32, access: 'r',
    });
    check('8d 44 b3 10', 32, { reads: ['ebx', 'esi'], writes: ['eax'] });
    assert.equal(memoryOperands(decode('8d 03', 32))[0].access, '-');
  });

  it('sizes implicit registers', () => {
    check('f7 e1', 32, { reads: ['ecx', 'eax'], writes: ['eax', 'edx'] });
    check('f7 e1', 16, { reads: ['cx', 'ax'], writes: ['ax', 'dx'] });
    check('f6 e1', 16, { reads: ['cl', 'ax'], writes: ['ax'] });
    check('0f b0 cb', 32, { reads: ['bl', 'cl', 'al'], writes: ['bl', 'al'] });
    check('67 e2 00', 32, { reads: ['cx'], writes: ['cx'] });
    check('50', 16, { reads: ['ax', 'sp'], writes: ['sp'] });
    check('50', 32, { reads: ['eax', 'esp'], writes: ['esp'] });
  });

  it('knows what string instructions touch', () => {
    check('f3 a5', 32, { reads: ['esi', 'edi', 'ecx'], writes: ['esi', 'edi', 'ecx'], flagsRead: ['df'] });
    check('aa', 16, { reads: ['al', 'di'], writes: ['di'] });
    const [source, destination] = memoryOperands(decode('2e a5', 16));
    assert.deepEqual([source.segment, source.base, source.width, source.access], ['cs', 'si', 16, 'r']);
    assert.deepEqual([destination.segment, destination.base, destination.width, destination.access], ['es', 'di', 16, 'w']);
    assert.equal(effectiveAddress(memoryOperands(decode('d7', 32))[0], (name) => ({ ebx: 0x1000, al: 0x22 })[name] ?? 0), 0x1022n);
  });

  it('tells flags read, written and left undefined', () => {
    check('74 00', 32, { flagsRead: ['zf'], flagsWritten: [] });
    check('fa', 32, { flagsWritten: ['if'] });
    check('f8', 32, { flagsWritten: ['cf'] });
    check('0f af c1', 32, { flagsUndefined: ['sf', 'zf', 'af', 'pf'] });
  });
});

describe('effective address', () => {
  const registers: Readonly<Record<string, number>> = { bx: 0xfff0, si: 0x20, ebx: 0xfffffff0, esi: 8, eax: -33 };
  const at = (hex: string, codeSize: 16 | 32): bigint => effectiveAddress(memoryOperands(decode(hex, codeSize))[0], (name) => registers[name]);

  it('wraps at the address size', () => {
    assert.equal(at('8b 40 02', 16), 0x12n);
    assert.equal(at('8b 44 f3 01', 32), 0x31n);
    assert.equal(at('8b 06 ff ff', 16), 0xffffn);
    assert.equal(at('a1 00 00 00 f0', 32), 0xf0000000n);
  });

  it('follows a bit offset beyond the operand', () => {
    // bt [ebx], eax with eax = -33: bit 31 of the doubleword two below.
    assert.equal(at('0f a3 03', 32), 0xffffffe8n);
  });
});

describe('operands', () => {
  it('come in the order of the syntax', () => {
    assert.deepEqual(operands(decode('6b c3 fe', 32)), [
      { kind: 'register', file: 'general', name: 'eax', number: 0, width: 32, access: 'w' },
      { kind: 'register', file: 'general', name: 'ebx', number: 3, width: 32, access: 'r' },
      { kind: 'immediate', value: 0xfffffffen, width: 32, signExtended: true },
    ]);
    assert.deepEqual(operands(decode('c8 34 92 05', 16)).map((o) => (o.kind === 'immediate' ? o.value : undefined)), [0x9234n, 5n]);
    assert.deepEqual(operands(decode('ea 34 12 10 00', 16)), [{ kind: 'far', selector: 0x10, offset: 0x1234 }]);
  });

  it('name 64-bit registers', () => {
    assert.deepEqual([registerName(0, 64), registerName(9, 32), registerName(12, 16), registerName(15, 8), registerName(6, 8, true)],
      ['rax', 'r9d', 'r12w', 'r15b', 'sil']);
  });
});
