/**
 * Instruction to text in NASM syntax, from the same table that decoded it. The text assembles, in code of the same size, to an
 * instruction of the same meaning (not always to the same bytes: assemblers choose shorter encodings).
 */
import type { Decoder } from './decoder';
import type { DecodeMode} from './instruction';
import { DecodeStatus, Instruction } from './instruction';
import type { MemoryOperand, Operand} from './operands';
import { operands, registerName } from './operands';

export interface FormatOptions {
  /** Name to print instead of a jump target's offset. */
  symbol?(target: number): string | undefined;
}

/** Rows whose operand size shows in no operand and in no mnemonic: NASM needs an `o16` or `o32` before them. */
const sizedByPrefix = /^(ret|retf|leave|enter|lgdt|lidt|sgdt|sidt|loop|loope|loopne|jcxz|jecxz|jrcxz|sysexit|fnstenv|fldenv|fnsave|frstor)$/;
/** Rows whose REX.W shows nowhere else. */
const wideByPrefix = /^(retf|sysret|sysexit|fxsave|fxrstor)$/;
/** Rows without a memory operand in brackets that depend on the address size. */
const addressedByPrefix = /^(xlatb|maskmovq|maskmovdqu|loop|loope|loopne|(movs|cmps|stos|lods|scas|ins|outs)[bwdq])$/;
/** Rows that use DS:rSI or DS:rBX without naming it: an override stands before the mnemonic. */
const namelessSource = /^(xlatb|maskmovq|maskmovdqu|(movs|cmps|lods|outs)[bwdq])$/;
/** Those of them with modrm; MOVSD and CMPSD with modrm are others than the string instructions. */
const nameless = /^maskmov/;
/** Memory operands whose size keyword would say nothing, or is no NASM syntax. */
const sizeless = /^(lea|les|lds|lss|lfs|lgs|bound|lgdt|lidt|sgdt|sidt|invlpg|clflush|prefetch\w*|pshuf[whld]+|palignr|pinsrw|cmpsd|punpckl(bw|wd|dq)|psubq|pmuludq|pblendvb)$/;
const sizeKeywords: Readonly<Record<number, string>> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 80: 'tword', 128: 'oword' };

export function hexadecimal(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

const LINEAR_END = 0x1000000000000;

/** Offset in CS that a relative jump at `eip` goes to; in 64-bit code both are numbers of 48 bits (see mmu/types.ts). */
export function jumpTarget(i: Instruction, eip: number): number {
  const target = eip + i.length + i.immediate;
  return i.operandSize === 16 ? target & 0xffff : i.operandSize === 32 ? target >>> 0 : (target + LINEAR_END) % LINEAR_END;
}

/** A 64-bit address from its number of 48 bits. */
function address64(linear: number): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(linear)));
}

/** @param eip offset in CS of the instruction's first byte (in 64-bit code as for {@link jumpTarget}): jump targets are printed as absolute offsets. */
export function formatInstruction(i: Instruction, eip: number, options: FormatOptions = {}): string {
  const { mnemonic } = i.encoding.instruction;
  const unwritable = withoutSyntax(i, eip, options);
  if (unwritable) return unwritable;
  const list = operands(i);
  const words: string[] = [];
  const defaultOperandSize = i.codeSize === 64 ? 32 : i.codeSize;
  if (i.lock) words.push('lock');
  if (i.repeat !== 'none') words.push(i.repeat === 'repz' ? 'repe' : i.repeat === 'repnz' ? 'repne' : 'rep');
  if (i.segmentOverride >= 0 && (!i.hasModrm || nameless.test(mnemonic)) && namelessSource.test(mnemonic)) words.push(['es', 'cs', 'ss', 'ds', 'fs', 'gs'][i.segmentOverride]);
  // In 64-bit code the size of a bare address is told by the prefix, too.
  const bare = i.codeSize === 64 && i.memory && i.base < 0 && i.index < 0;
  if (i.addressSize !== i.codeSize && (bare || ((!i.hasModrm || nameless.test(mnemonic)) && addressedByPrefix.test(mnemonic)))) words.push(`a${i.addressSize}`);
  if (i.operandSize !== defaultOperandSize && i.operandSize !== 64 && needsOperandPrefix(i, mnemonic, list)) words.push(`o${i.operandSize}`);
  if (i.operandSize === 64 && wideByPrefix.test(mnemonic)) words.push('o64');
  words.push(mnemonic);
  // IN and OUT name DX and AL, shifts name 1 and CL: all of them are operands in NASM's syntax, too.
  const texts = list.map((o, n) => formatOperand(i, o, n, list, eip, options));
  return texts.length ? `${words.join(' ')} ${texts.join(', ')}` : words.join(' ');
}

/** Encodings that NASM's syntax cannot ask for: text of the same meaning, with the mnemonic in a comment. */
function withoutSyntax(i: Instruction, eip: number, options: FormatOptions): string | undefined {
  const { mnemonic } = i.encoding.instruction;
  // MOVSXD without REX.W extends nothing.
  if (mnemonic === 'movsxd' && i.operandSize !== 64) {
    const [to, from] = operands(i).map((o, n, list) => formatOperand(i, o, n, list, eip, options));
    return `${i.addressSize !== 64 && i.memory && i.base < 0 && i.index < 0 ? 'a32 ' : ''}mov ${to}, ${from} ; ${mnemonic}`;
  }
  if (i.operandSize !== 16) return undefined;
  // MOVZX and MOVSX from word to word move a word.
  if ((mnemonic === 'movzx' || mnemonic === 'movsx') && i.encoding.operands[1] === 'Ew') {
    const [to, from] = operands(i).map((o, n, list) => formatOperand(i, o, n, list, eip, options));
    return `mov ${to}, ${from} ; ${mnemonic}`;
  }
  if (mnemonic === 'bswap') {
    const opcode = `0x0f, ${hexadecimal(0xc8 + i.opcodeRegister)}`;
    return `db ${i.codeSize === 16 ? '' : '0x66, '}${opcode} ; bswap ${registerName(i.opcodeRegister, 16)}`;
  }
  return undefined;
}

function needsOperandPrefix(i: Instruction, mnemonic: string, list: readonly Operand[]): boolean {
  const first = list[0];
  if (sizedByPrefix.test(mnemonic)) return true;
  // A short jump has no size keyword; EIP is truncated to the operand size all the same.
  if (first?.kind === 'target') return first.short && reachesShort(i, true);
  return (mnemonic === 'push' || mnemonic === 'pop') && first?.kind === 'register' && first.file === 'segment';
}

function formatOperand(i: Instruction, o: Operand, n: number, list: readonly Operand[], eip: number, options: FormatOptions): string {
  const { mnemonic } = i.encoding.instruction;
  const resized = i.operandSize !== (i.codeSize === 64 ? 32 : i.codeSize) && i.operandSize !== 64;
  switch (o.kind) {
    case 'register': return o.name;
    case 'constant': return String(o.value);
    case 'far': return `${resized ? `${sizeKeywords[i.operandSize]} ` : ''}${hexadecimal(o.selector)}:${hexadecimal(o.offset)}`;
    case 'target': {
      const target = jumpTarget(i, eip);
      return jumpKeyword(i, o.short, resized) + (options.symbol?.(target) ?? hexadecimal(i.codeSize === 64 ? address64(target) : target));
    }
    case 'immediate': {
      const value = o.signExtended ? BigInt.asIntN(o.width, o.value) : o.value;
      // PUSH has no other operand to tell the size.
      return (mnemonic === 'push' && resized ? `${sizeKeywords[i.operandSize]} ` : '') + hexadecimal(value);
    }
    case 'memory': {
      const text = formatMemory(o, i);
      if (i.encoding.operands[n] === 'Mp') {
        const far = mnemonic === 'jmp' || mnemonic === 'call';
        // NASM takes 64 bits for granted in 64-bit code, the processor 32.
        return far ? `far ${resized || i.codeSize === 64 ? `${sizeKeywords[i.operandSize]} ` : ''}${text}` : text;
      }
      const told = list.some((other) => other.kind === 'register' && other.file === 'general' && other.width === o.width
        && !/^(CL|DX)$/.test(i.encoding.operands[list.indexOf(other)]));
      const keyword = sizeKeywords[o.width];
      return keyword && !told && !sizeless.test(mnemonic) ? `${keyword} ${text}` : text;
    }
  }
}

/** `short `, `near dword ` or nothing. LOOP and JCXZ have no other form than the short one. */
function jumpKeyword(i: Instruction, short: boolean, resized: boolean): string {
  const { mnemonic } = i.encoding.instruction;
  if (/^(loop|j\w*cxz)/.test(mnemonic)) return '';
  if (short && reachesShort(i, resized)) {
    // A conditional jump with o16 or o32 must not be left to the assembler to lengthen.
    return mnemonic === 'jmp' || resized ? 'short ' : '';
  }
  return resized ? `near ${sizeKeywords[i.operandSize]} ` : '';
}

/** Whether a byte still reaches the target when prefixes without meaning are not printed: the instruction is then shorter. */
function reachesShort(i: Instruction, resized: boolean): boolean {
  return i.immediate + i.length - (resized ? 3 : 2) <= 127;
}

/** `[es:ebx+esi*4+0x10]`. */
function formatMemory(m: MemoryOperand, i: Instruction): string {
  let inside: string;
  if (m.ripRelative) {
    inside = `rel $${signed(m.displacement + BigInt(i.length))}`;
  } else if (!m.base && !m.index) {
    // NASM takes the address size of a bare offset from the code.
    const size = i.codeSize === 64 ? (i.displacementSize === 8 ? 'qword ' : '') : m.addressSize !== i.codeSize ? `${sizeKeywords[m.addressSize]} ` : '';
    inside = size + hexadecimal(m.displacement);
  } else {
    inside = m.base ?? '';
    if (m.index) inside += `${inside ? '+' : ''}${m.index}${m.scale > 1 || !m.base ? `*${m.scale}` : ''}`;
    if (m.displacement !== 0n || !m.base) inside += signed(m.displacement);
  }
  // NASM may turn [ebp*2] into [ebp+ebp], whose default segment is SS: there the segment is always named.
  const lone = !m.base && m.index !== undefined && /^[er]bp$/.test(m.index);
  const override = i.segmentOverride >= 0 || (lone && i.codeSize !== 64) ? `${m.segment}:` : '';
  if (lone && i.codeSize === 64) return `[nosplit ${override}${inside}]`;
  return /^([dq]?word|rel) /.test(inside)
    ? `[${inside.replace(' ', ` ${override}`)}]` : `[${override}${inside}]`;
}

function signed(value: bigint): string {
  return value < 0n ? hexadecimal(value) : `+${hexadecimal(value)}`;
}

/** `db 0x0f,0xff`: bytes that are no instruction. */
export function formatBytes(bytes: Uint8Array, offset: number, length: number): string {
  return `db ${[...bytes.subarray(offset, offset + length)].map((b) => `0x${b.toString(16).padStart(2, '0')}`).join(', ')}`;
}

export interface Disassembled {
  /** Bytes that the text stands for; at least 1. */
  readonly length: number;
  readonly text: string;
  /** Ok, or why the text is a `db`. */
  readonly status: DecodeStatus;
}

/** Decode and format one instruction. Bytes that are none become `db`. `scratch` is overwritten and holds the instruction when Ok. */
export function disassemble(
  decoder: Decoder, bytes: Uint8Array, offset: number, end: number, mode: DecodeMode, eip: number,
  options: FormatOptions = {}, scratch = new Instruction(),
): Disassembled {
  const status = decoder.decode(bytes, offset, end, mode, scratch);
  if (status === DecodeStatus.Ok) return { length: scratch.length, text: formatInstruction(scratch, eip, options), status };
  const length = Math.max(1, scratch.length);
  return { length, text: formatBytes(bytes, offset, length), status };
}
