/** Lines of assembly that reach every declared encoding: operand kinds × operand sizes × addressing forms × immediates at their edges. */
import type { Encoding, InstructionTable, OperandCode } from '../../../src/vmm/isa/types';

type Size = 16 | 32 | 64;

const registers8 = ['al', 'cl', 'bh', 'dh'];
const registers16 = ['ax', 'cx', 'sp', 'di'];
const registers32 = ['eax', 'edx', 'esp', 'edi'];
const registersLong: Record<number, readonly string[]> = {
  8: ['al', 'spl', 'sil', 'r8b', 'r15b', 'ch'], 16: ['ax', 'di', 'r9w', 'r13w'], 32: ['eax', 'esp', 'r8d', 'r12d'], 64: ['rax', 'rcx', 'rsp', 'r8', 'r13', 'r15'],
};
const bySize: Record<number, readonly string[]> = { 8: registers8, 16: registers16, 32: registers32 };
const keyword: Record<number, string> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 128: 'oword' };

export const addresses: readonly string[] = [
  '[bx+si]', '[bx+di+5]', '[bp+si-3]', '[bp+di+200]', '[si]', '[di+0x1234]', '[bp]', '[bx]', '[bx+127]', '[bx-128]', '[bx+128]', '[bx-129]', '[bp+0]',
  '[si+bx]', '[bx+0xffff]', '[bx+0xff80]', '[bx+0xff7f]', '[word bx+5]', '[byte bx]', '[es:bx]', '[fs:bp+2]', '[ds:bx]', '[cs:0x1234]', '[word 0x1234]', '[dword 0x1234]', '[0]', '[0x1234]',
  '[0x12345678]', '[gs:0x12345678]', '[0x1234 + 4*2]', '[eax]', '[ecx+0]', '[ebp]', '[esp]', '[esp+8]', '[ebp-4]', '[edi-128]', '[edi-129]', '[edi+128]', '[eax+ebx]',
  '[ebx+eax]', '[eax+esp]', '[esp+eax]', '[eax+ebp]', '[ebp+eax]', '[eax+ebx*4]', '[ebx*4+eax]', '[ebp*2+5]', '[ebp+ebp]', '[ecx*8]', '[ecx*8+0x10]', '[edx*2]', '[nosplit edx*2]',
  '[edx*3]', '[edx*5+1]', '[edx*9]', '[eax*1+ebx]', '[ebx+eax*1]', '[eax*1]', '[nosplit eax*1]', '[eax+eax]', '[eax+eax*2]', '[eax*2+eax]', '[eax*4+eax]', '[esp+ecx*2-1]', '[edx+0x12345678]', '[ebx+0xffffffff]', '[dword ebx+5]', '[byte ebx]', '[ss:ebx]', '[ds:ebp]',
  '[esi+edi*8+0x80]', '[eax+ebx+ecx]', '[ax]', '[esp*2]', '[eax*6]', '[bx+bp]', '[eax+bx]', '[cx+1]', '[eax-ebx]',
];
const vectors = [0, 1, 3, 7];
const addresses64: readonly string[] = [
  '[rax]', '[rbp]', '[rsp]', '[r12]', '[r13]', '[r8]', '[r15-1]', '[rbp+0]', '[r13+0]', '[r12+8]', '[rsp+8]', '[rdi-128]', '[rdi-129]', '[r9+127]', '[r9+128]', '[rax+rbx]', '[r8+r9]', '[rax+r12]', '[r12+rax]',
  '[rsp+r12]', '[r12+rsp]', '[rbp+r13]', '[r13+rbp*2]', '[rax+r12*8]', '[r13*2]', '[rcx*8+0x10]', '[r12*4]', '[nosplit r9*2]', '[rdx*3]', '[r10*5+1]', '[r11*9]', '[rax*1+rbx]', '[rsp+rcx*2-1]', '[rdx+0x12345678]', '[rbx-0x12345678]', '[rbx+0x7fffffff]',
  '[eax]', '[r8d]', '[ebp+r13d*2]', '[r12d+4]', '[esp]', '[ecx*8]', '[eax+ebx*4-9]', '[fs:rbx]', '[gs:0]', '[gs:0x28]', '[fs:r13+8]', '[ds:rbp]', '[es:rdi]', '[0x1234]', '[0x12345678]', '[rel $]', '[rel $+0x1000]', '[rel fs:$]', '[abs 0x1234]', '[fs:rel $]',
  '[dword rax+5]', '[byte rax]', '[byte r13+5]', '[$$+rax]', '[rax+rbx+rcx]', '[rsp*2]', '[rax*6]', '[ax]', '[bx+si]', '[rax+ebx]', '[r8+r9d]', '[rax-rbx]',
];
const someAddresses64 = ['[rbx]', '[r14+2]', '[0x1234]', '[gs:rdi]', '[rcx+r10*4+0x100]', '[ebp]', '[rel $+8]'];
const someAddresses = ['[bx+si]', '[bp+2]', '[0x1234]', '[es:di]', '[ecx+edx*4+0x100]', '[ebp]', '[0x12345678]'];

const immediates8 = ['0', '1', '3', '5', '-1', '127', '128', '255', '-128', 'byte 5', 'strict byte 5', '\'a\''];
const immediates = [
  '0', '1', '5', '127', '128', '-128', '-129', '255', '256', '0x7fff', '0x8000', '0xff80', '0xff7f', '0xffff', '-1', '0x7fffffff', '0x80000000', '0xffffff80', '0xffffff7f', '0xffffffff',
  'byte 5', 'word 5', 'dword 5', 'word 500', 'dword 500', 'strict word 5', 'strict dword 5', 'strict byte 5', 'strict 5', '$$+5', 'byte -1', '\'ab\'',
];
const targets = ['$', '$+2', '$+129', '$+130', '$-126', '$-127', '$+0x1000', 'short $', 'near $', 'strict near $', 'word $', 'dword $', 'near $+0x1000', 'short $+100'];

const immediates64 = ['0x100000000', '0x7fffffffffffffff', '0xffffffff80000000', '-0x80000000', '-0x80000001', 'qword 5', 'strict qword 5', '0xffffffffffffffff'];

function sizeOf(code: OperandCode, size: Size): number {
  if (code[1] === 'y') return size === 64 ? 64 : 32;
  return { b: 8, w: 16, d: 32, q: 64, x: 128 }[code[1]] ?? size;
}

/** Texts for an operand; `many` asks for the whole list where there is a shorter one. */
function texts(code: OperandCode, size: Size, many: boolean, long: boolean): readonly string[] {
  const width = sizeOf(code, size);
  const memory = long ? (many ? addresses64 : someAddresses64) : many ? addresses : someAddresses;
  const few = long ? someAddresses64 : someAddresses;
  const registers = long ? registersLong : bySize;
  switch (code) {
    case 'AL': case 'AH': case 'AX': case 'CL': case 'DX': case 'ES': case 'CS': case 'SS': case 'DS': case 'FS': case 'GS': return [code.toLowerCase()];
    case 'eAX': case 'rAX': return [size === 16 ? 'ax' : size === 64 && code === 'rAX' ? 'rax' : 'eax'];
    case '1': return ['1', 'byte 1', '2-1'];
    case '3': return ['3'];
    case 'Ap': return ['8:0x1234', '0x10:0x12345678', 'word 8:0x1234', 'dword 8:0x1234', '$$+8:$$+5'];
    case 'Ib': return immediates8;
    case 'Ibs': return immediates;
    case 'Iw': return ['0', '5', '0x1234', '0xffff', '-1'];
    case 'Iz': case 'Iv': return long ? [...immediates, ...immediates64] : immediates;
    case 'Jb': case 'Jz': return targets;
    case 'Mp': return [...memory, ...few.flatMap((text) => [`far ${text}`, `word far ${text}`, `dword far ${text}`, `far dword ${text}`, ...(long ? [`far qword ${text}`] : [])])];
    case 'M': case 'Ms': case 'Ma': case 'Mq': case 'Mw': case 'Mb': case 'Md': case 'Mv': case 'My': return [...memory, ...few.map((text) => `${keyword[width]} ${text}`)];
    case 'Ob': case 'Ov': if (long) return ['[qword 0x1234]', '[qword 0x123456789abcdef0]', '[gs:qword 8]', '[0x1234]', `${keyword[width]} [qword 6]`];
      return ['[0x1234]', '[es:5]', '[dword 5]', '[word 5]', '[0x12345678]', `${keyword[width]} [6]`, '[byte 5]'];
    case 'Cd': return ['cr0', 'cr2', 'cr3', 'cr4', ...(long ? ['cr8'] : [])];
    case 'Dd': return ['dr0', 'dr3', 'dr6', 'dr7'];
    case 'Mx': return [...memory, ...few.map((text) => `oword ${text}`)];
    case 'Vx': case 'Ux': return [...vectors, ...(long ? [8, 15] : [])].map((n) => `xmm${n}`);
    case 'Pq': case 'Nq': return vectors.map((n) => `mm${n}`);
    case 'XMM0': return ['xmm0', 'xmm1'];
    case 'Sw': return ['es', 'ss', 'ds', 'fs', 'gs'];
  }
  switch (code[0]) {
    case 'W': case 'Q': return [...[...vectors, ...(long && code[0] === 'W' ? [9, 12] : [])].map((n) => `${code[0] === 'W' ? 'xmm' : 'mm'}${n}`), ...memory.map((text) => `${keyword[width]} ${text}`), ...few, 'eax'];
    case 'E': return [...registers[width], ...memory.map((text) => `${keyword[width]} ${text}`), ...few, ...(width === 16 ? ['eax'] : width === 32 ? ['ax'] : ['bx'])];
    case 'G': case 'R': case 'Z': return code === 'Rd' && long ? registers[64] : registers[width];
    default: return [];
  }
}

/** Every declared encoding in every operand size, as text without `bits`; `long`: for 64-bit code. */
export function corpus(table: InstructionTable, long = false): readonly string[] {
  const lines = new Set<string>();
  for (const encoding of [...table.encodings, ...table.syntaxes]) {
    if (long ? encoding.invalid64 : encoding.only64) continue;
    const names = [encoding.instruction.mnemonic, ...(encoding.instruction.aliases ?? [])];
    for (const size of long ? [16, 32, 64] as const : [16, 32] as const) {
      names.forEach((name, i) => {
        for (const line of linesOf(encoding, name, size, i === 0, long)) lines.add(line);
      });
    }
  }
  return [...lines];
}

function linesOf(encoding: Encoding, name: string, size: Size, many: boolean, long: boolean): string[] {
  const { operands } = encoding;
  // nasm stumbles over `o64 wait`.
  if (!operands.length) return ['', 'o16 ', 'o32 ', 'a16 ', 'a32 ', 'rep ', 'es ', 'o32 a16 ', ...(long && name !== 'wait' ? ['o64 '] : [])].slice(0, many ? 9 : 1).map((prefix) => `${prefix}${name}`);
  const lists = operands.map((code) => texts(code, size, many, long));
  const result: string[] = [];
  // Each operand runs through all its texts while the others rotate through theirs, so that pairs mix without their full product.
  lists.forEach((list, position) => {
    list.forEach((text, n) => {
      for (let turn = 0; turn < (many ? 2 : 1); turn += 1) {
        const line = lists.map((other, i) => (i === position ? text : other[(n * 3 + turn * 7) % other.length]));
        result.push(`${name} ${line.join(', ')}`);
      }
    });
  });
  if (encoding.instruction.lock && many) result.push(`lock ${name} ${lists.map((list, i) => (i ? list[0] : long ? 'dword [rbx]' : 'dword [bx]')).join(', ')}`);
  return result;
}
