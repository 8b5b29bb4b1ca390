/** One comparable text for an instruction, once from our decoder and once from iced-x86: mnemonic, prefixes with meaning, sizes, operands. */
import type { Instruction as IcedInstruction} from 'iced-x86';
import { Code, CodeSize, MemorySizeExt, Mnemonic, OpKind, Register } from 'iced-x86';
import type { Instruction } from '../../../src/vmm/decode/instruction';
import { jumpTarget } from '../../../src/vmm/decode/disassembler';
import type { MemoryOperand, Operand} from '../../../src/vmm/decode/operands';
import { memoryOperands, operands } from '../../../src/vmm/decode/operands';

/** iced's names of codes and mnemonics, by number. */
const mnemonicNames: readonly string[] = Object.keys(Mnemonic).filter((k) => Number.isNaN(Number(k))).map((k) => k.toLowerCase());
const codeNames: readonly string[] = Object.keys(Code).filter((k) => Number.isNaN(Number(k)));
const registerNames: readonly string[] = Object.keys(Register).filter((k) => Number.isNaN(Number(k)))
  // NASM's r8b.
  .map((k) => k.toLowerCase().replace(/^(r\d+)l$/, '$1b'));

/** Our NASM mnemonic (which tells the size) where iced uses the manual's. */
const renamed: Readonly<Record<string, string>> = { pushaw: 'pusha', popaw: 'popa', pushfw: 'pushf', popfw: 'popf', iretw: 'iret', fsetpm: 'fnsetpm', pcmpestri64: 'pcmpestri', pcmpestrm64: 'pcmpestrm' };

/** Mnemonics whose operand size shows in iced's code alone. */
const sizedCode = /^(?:Ret[nf]|Enter|Leave|Push|Pop)([wdq])(?:_|$)/;
const codeSizes = new Map<number, number>();
function sizeFromCode(code: number): number {
  let size = codeSizes.get(code);
  if (size === undefined) {
    const letter = sizedCode.exec(codeNames[code])?.[1];
    size = letter === 'w' ? 16 : letter === 'd' ? 32 : letter === 'q' ? 64 : 0;
    codeSizes.set(code, size);
  }
  return size;
}
const counterSizes = new Map<number, number>();
/** Loop_rel8_16_ECX: the counter's size. */
function counterFromCode(code: number): number {
  let size = counterSizes.get(code);
  if (size === undefined) {
    const counter = /^Loop\w*_(R|E|)CX$/.exec(codeNames[code])?.[1];
    size = counter === undefined ? 0 : counter === '' ? 16 : counter === 'E' ? 32 : 64;
    counterSizes.set(code, size);
  }
  return size;
}

function memoryText(segment: string, base: string, index: string, scale: number, displacement: bigint, addressSize: number, width: number): string {
  // A scale without an index means nothing; iced reports SIB's bits all the same.
  return `m${width} ${segment}:[${base}+${index}*${index === 'none' ? 1 : scale}+${BigInt.asUintN(addressSize, displacement).toString(16)}]`;
}

function ourMemory(m: MemoryOperand, next: number): string {
  const displacement = m.ripRelative ? m.displacement + BigInt(next) : m.displacement;
  return memoryText(m.segment, m.base ?? 'none', m.index ?? 'none', m.scale, displacement, m.addressSize, m.width);
}

function ourOperand(i: Instruction, o: Operand, ip: number): string {
  switch (o.kind) {
    case 'register': return o.name;
    case 'memory': return ourMemory(o, ip + i.length);
    case 'immediate': return o.value.toString(16);
    case 'constant': return o.value.toString(16);
    case 'far': return `${o.selector.toString(16)}:${o.offset.toString(16)}`;
    case 'target': return `->${BigInt.asUintN(i.operandSize, i.codeSize === 64 ? BigInt.asIntN(48, BigInt(jumpTarget(i, ip))) : BigInt(jumpTarget(i, ip))).toString(16)}/${i.operandSize}`;
  }
}

export function describeOurs(i: Instruction, ip: number): string {
  const { mnemonic } = i.encoding.instruction;
  const list = operands(i);
  // String instructions and XLAT have no operands in our table: their memory is compared, in a fixed order.
  const memory = list.length === 0 ? memoryOperands(i) : [];
  const texts = list.length ? list.map((o) => ourOperand(i, o, ip)) : memory.map((m) => ourMemory(m, 0)).sort();
  const sized = /^(ret|retf|enter|leave)$/.test(mnemonic) || (mnemonic === 'push' || mnemonic === 'pop') && !i.memory ? i.operandSize : 0;
  const counter = mnemonic.startsWith('loop') ? i.addressSize : 0;
  const wide = i.operandSize !== 64 ? '' : /^sys(ret|exit)$/.test(mnemonic) ? 'q' : /^fx(save|rstor)$/.test(mnemonic) ? '64' : '';
  return `${i.lock ? 'lock ' : ''}${i.repeat === 'none' ? '' : `${i.repeat} `}${renamed[mnemonic] ?? mnemonic}${wide}${sized || ''} ${counter ? `${counter} ` : ''}${texts.join(', ')}`;
}

const memorySizes = new Map<number, number>();
function memoryBits(i: IcedInstruction): number {
  const size = i.memorySize;
  let bits = memorySizes.get(size);
  if (bits === undefined) memorySizes.set(size, bits = MemorySizeExt.size(size) * 8);
  return bits;
}

/** Address size by a register of the address; without one iced tells it by the displacement's size. */
function addressBits(register: Register): number | undefined {
  if (register === Register.None) return undefined;
  if (register === Register.RIP) return 64;
  if (register === Register.EIP) return 32;
  return register >= Register.RAX ? 64 : register >= Register.EAX ? 32 : 16;
}

/** iced names the segment of every override; 64-bit mode ignores ES, CS, SS and DS. */
function icedSegment(i: IcedInstruction, base: Register): string {
  const segment = i.memorySegment;
  if (i.codeSize !== CodeSize.Code64 || i.segmentPrefix === Register.None || segment === Register.FS || segment === Register.GS) return registerNames[segment];
  return [Register.RSP, Register.RBP, Register.ESP, Register.EBP].includes(base) ? 'ss' : 'ds';
}

function icedOperand(i: IcedInstruction, n: number): string {
  const kind = i.opKind(n);
  switch (kind) {
    case OpKind.Register: return registerNames[i.opRegister(n)];
    case OpKind.NearBranch16: return `->${i.nearBranch16.toString(16)}/16`;
    case OpKind.NearBranch64: return `->${i.nearBranch64.toString(16)}/64`;
    case OpKind.NearBranch32: return `->${i.nearBranch32.toString(16)}/32`;
    case OpKind.FarBranch16: return `${i.farBranchSelector.toString(16)}:${i.farBranch16.toString(16)}`;
    case OpKind.FarBranch32: return `${i.farBranchSelector.toString(16)}:${i.farBranch32.toString(16)}`;
    case OpKind.Memory: {
      const base = i.memoryBase, index = i.memoryIndex;
      const ripRelative = base === Register.RIP || base === Register.EIP;
      const size = addressBits(base === Register.None ? index : base) ?? i.memoryDisplSize * 8;
      return memoryText(icedSegment(i, base), ripRelative ? 'none' : registerNames[base], registerNames[index], i.memoryIndexScale,
        i.memoryDisplacement, size, memoryBits(i));
    }
    case OpKind.MemorySegSI: return memoryText(registerNames[i.memorySegment], 'si', 'none', 1, 0n, 16, memoryBits(i));
    case OpKind.MemorySegESI: return memoryText(icedSegment(i, Register.ESI), 'esi', 'none', 1, 0n, 32, memoryBits(i));
    case OpKind.MemorySegRSI: return memoryText(icedSegment(i, Register.RSI), 'rsi', 'none', 1, 0n, 64, memoryBits(i));
    case OpKind.MemoryESRDI: return memoryText('es', 'rdi', 'none', 1, 0n, 64, memoryBits(i));
    case OpKind.Immediate8to64: case OpKind.Immediate32to64: return BigInt.asUintN(64, i.immediate(n)).toString(16);
    case OpKind.MemoryESDI: return memoryText('es', 'di', 'none', 1, 0n, 16, memoryBits(i));
    case OpKind.MemoryESEDI: return memoryText('es', 'edi', 'none', 1, 0n, 32, memoryBits(i));
    case OpKind.Immediate8to16: return BigInt.asUintN(16, i.immediate(n)).toString(16);
    case OpKind.Immediate8to32: return BigInt.asUintN(32, i.immediate(n)).toString(16);
    default: return i.immediate(n).toString(16);
  }
}

const isStringKind = (kind: OpKind): boolean => kind >= OpKind.MemorySegSI && kind <= OpKind.MemoryESRDI;

/** @param repeat meaning of repeat prefixes for our row: iced reports every F2 and F3 that is not mandatory. */
export function describeIced(i: IcedInstruction, repeat: 'rep' | 'repz' | undefined): string {
  // Named after the width of the lengths in iced alone.
  const mnemonic = mnemonicNames[i.mnemonic].replace(/^(pcmpestr[im])64$/, '$1');
  const texts: string[] = [];
  let nameless = mnemonic === 'xlatb';
  const count = i.opCount;
  // MASKMOV's memory operand, which iced lists first, is implied.
  const from = mnemonic.startsWith('maskmov') ? 1 : 0;
  for (let n = from; n < count; n++) nameless ||= isStringKind(i.opKind(n));
  for (let n = from; n < count; n++) {
    if (!nameless || isStringKind(i.opKind(n)) || i.opKind(n) === OpKind.Memory) texts.push(icedOperand(i, n));
  }
  if (nameless) texts.sort();
  let prefix = i.hasLockPrefix ? 'lock ' : '';
  if (repeat && (i.hasRepePrefix || i.hasRepnePrefix)) prefix += repeat === 'rep' ? 'rep ' : i.hasRepePrefix ? 'repz ' : 'repnz ';
  const code = i.code;
  const memoryOperand = (mnemonic === 'push' || mnemonic === 'pop') && i.opKind(0) === OpKind.Memory;
  let size = memoryOperand ? 0 : sizeFromCode(code);
  if (!size && !memoryOperand && (mnemonic === 'push' || mnemonic === 'pop')) size = /r16|imm16|rm16/.test(codeNames[code]) ? 16 : /64/.test(codeNames[code]) ? 64 : 32;
  const counter = counterFromCode(code);
  return `${prefix}${mnemonic}${size || ''} ${counter ? `${counter} ` : ''}${texts.join(', ')}`;
}

/** Name of iced's code, for messages and rules. */
export function icedCodeName(i: IcedInstruction): string {
  return codeNames[i.code];
}
