/** Disassembly text, by example. test/conformance/disassembly.test.ts proves against NASM that it assembles back. */
import assert from 'node:assert/strict';
import { table } from '../isa/table';
import { Decoder } from './decoder';
import { disassemble, formatInstruction } from './disassembler';
import { DecodeStatus, Instruction } from './instruction';

const decoder = new Decoder(table);
const toBytes = (hex: string): Uint8Array => Uint8Array.from(hex.split(' '), (b) => parseInt(b, 16));

function text(hex: string, codeSize: 16 | 32 | 64, eip = 0x100, symbol?: (target: number) => string | undefined): string {
  const bytes = toBytes(hex);
  const result = disassemble(decoder, bytes, 0, bytes.length, { codeSize }, eip, { symbol });
  assert.equal(result.length, bytes.length, hex);
  return result.text;
}

describe('disassembler', () => {
  const examples: readonly [string, 16 | 32, string][] = [
    ['01 d8', 16, 'add ax, bx'],
    ['66 01 d8', 16, 'add eax, ebx'],
    ['80 07 05', 32, 'add byte [edi], 0x5'],
    ['83 c4 f8', 32, 'add esp, -0x8'],
    ['81 44 8d f0 78 56 34 12', 32, 'add dword [ebp+ecx*4-0x10], 0x12345678'],
    ['8b 04 24', 32, 'mov eax, [esp]'],
    ['26 8a 47 01', 16, 'mov al, [es:bx+0x1]'],
    ['a1 34 12', 16, 'mov ax, [0x1234]'],
    ['67 a1 78 56 34 12', 16, 'mov ax, [dword 0x12345678]'],
    ['67 8b 06 34 12', 32, 'mov eax, [word 0x1234]'],
    ['8b 04 6d 00 00 00 00', 32, 'mov eax, [ds:ebp*2+0x0]'],
    ['a2 00 10 00 00', 32, 'mov [0x1000], al'],
    ['8c d8', 16, 'mov ax, ds'],
    ['8c 1f', 32, 'mov word [edi], ds'],
    ['0f b6 07', 32, 'movzx eax, byte [edi]'],
    ['0f b7 07', 32, 'movzx eax, word [edi]'],
    ['66 0f b7 07', 32, 'mov ax, [edi] ; movzx'],
    ['0f 20 c0', 32, 'mov eax, cr0'],
    ['d1 e0', 16, 'shl ax, 1'],
    ['d2 27', 16, 'shl byte [bx], cl'],
    ['eb fe', 16, 'jmp short 0x100'],
    ['e9 fd ff', 16, 'jmp 0x100'],
    ['66 e9 00 00 00 00', 16, 'jmp near dword 0x106'],
    ['74 10', 32, 'je 0x112'],
    ['66 74 10', 16, 'o32 je short 0x113'],
    ['0f 84 00 00 00 00', 32, 'je 0x106'],
    ['eb 7f', 32, 'jmp short 0x181'],
    ['2e eb 7f', 32, 'jmp 0x182'],
    ['66 2e eb 7f', 32, 'jmp near word 0x183'],
    ['67 e2 fd', 16, 'a32 loop 0x100'],
    ['67 e3 fd', 16, 'jecxz 0x100'],
    ['ea 34 12 10 00', 16, 'jmp 0x10:0x1234'],
    ['66 ea 78 56 34 12 08 00', 16, 'jmp dword 0x8:0x12345678'],
    ['ff 2f', 32, 'jmp far [edi]'],
    ['66 ff 1f', 32, 'call far word [edi]'],
    ['ff 17', 32, 'call dword [edi]'],
    ['f3 a4', 16, 'rep movsb'],
    ['f3 26 67 a5', 16, 'rep es a32 movsw'],
    ['f2 ae', 32, 'repne scasb'],
    ['f3 a6', 32, 'repe cmpsb'],
    ['f0 0f b1 0f', 32, 'lock cmpxchg [edi], ecx'],
    ['66 cb', 16, 'o32 retf'],
    ['c2 08 00', 32, 'ret 0x8'],
    ['66 0f 01 17', 16, 'o32 lgdt [bx]'],
    ['6a 05', 32, 'push 0x5'],
    ['66 68 34 12', 32, 'push word 0x1234'],
    ['66 06', 16, 'o32 push es'],
    ['c8 10 00 01', 32, 'enter 0x10, 0x1'],
    ['66 9c', 16, 'pushfd'],
    ['cd 80', 32, 'int 0x80'],
    ['cc', 32, 'int3'],
    ['e4 60', 32, 'in al, 0x60'],
    ['ef', 32, 'out dx, eax'],
    ['d7', 32, 'xlatb'],
    ['66 0f c8', 32, 'db 0x66, 0x0f, 0xc8 ; bswap ax'],
    ['f3 90', 32, 'pause'],
    ['8d 44 20 04', 32, 'lea eax, [eax+0x4]'],
  ];
  for (const [hex, codeSize, expected] of examples) {
    it(`${expected} (${codeSize}-bit ${hex})`, () => assert.equal(text(hex, codeSize), expected));
  }

  it('names jump targets by symbol where there is one', () => {
    const symbol = (target: number): string | undefined => (target === 0x100 ? 'start' : undefined);
    assert.equal(text('eb fe', 16, 0x100, symbol), 'jmp short start');
    assert.equal(text('e8 fd ff', 16, 0x200, symbol), 'call 0x200');
  });

  it('wraps jump targets at the operand size', () => {
    assert.equal(text('eb 02', 16, 0xfffe), 'jmp short 0x2');
    assert.equal(text('eb 02', 32, 0xfffffffe), 'jmp short 0x2');
  });

  it('prints bytes that are no instruction as data', () => {
    assert.equal(text('0f 04', 32), 'db 0x0f, 0x04');
    assert.equal(text('f0 90', 32), 'db 0xf0, 0x90');
    const cut = disassemble(decoder, toBytes('e9 00'), 0, 2, { codeSize: 32 }, 0);
    assert.deepEqual(cut, { length: 2, text: 'db 0xe9, 0x00', status: DecodeStatus.NeedMore });
    assert.equal(disassemble(decoder, new Uint8Array(0), 0, 0, { codeSize: 32 }, 0).length, 1);
  });

  it('prints every declared encoding that it can decode', () => {
    const i = new Instruction();
    for (const encoding of table.encodings) {
      const codeSize = encoding.only64 || encoding.operandSize === 64 || encoding.addressSize === 64 ? 64 : 32;
      const escape = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][encoding.map];
      const modrm = encoding.modrmByte ?? ((encoding.mod === 'reg' ? 0xc0 : 0) | (typeof encoding.modrm === 'number' ? encoding.modrm << 3 : 0));
      const prefixes = [...encoding.mandatoryPrefix ? [encoding.mandatoryPrefix] : [],
        ...encoding.operandSize === 16 ? [0x66] : [], ...encoding.addressSize === 16 ? [0x67] : [],
        ...encoding.operandSize === 64 && !encoding.defaults64 ? [0x48] : []];
      const bytes = Uint8Array.from([...prefixes, ...escape, encoding.opcode + (encoding.registerInOpcode ? 1 : 0), modrm, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
      assert.equal(decoder.decode(bytes, 0, bytes.length, { codeSize }, i), DecodeStatus.Ok, encoding.text);
      // The generic hint NOPs give way to more specific rows.
      if (encoding.assemble) assert.equal(i.encoding.text, encoding.text);
      assert.ok(formatInstruction(i, 0).includes(i.encoding.instruction.mnemonic), `${encoding.text}: ${formatInstruction(i, 0)}`);
    }
  });
});
