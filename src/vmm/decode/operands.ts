/**
 * What a decoded instruction names: its operands one by one, the registers and flags it reads and writes, and the memory it touches.
 * For the disassembler, inline values, hovers and watch points; the translator has its own, faster view of the same fields.
 */
import type { OperandCode } from '../isa/types';
import type { Instruction } from './instruction';

export type Access = 'r' | 'w' | 'rw' | '-';

export interface RegisterOperand {
  readonly kind: 'register';
  readonly file: 'general' | 'segment' | 'control' | 'debug' | 'xmm' | 'mmx' | 'x87';
  readonly name: string;
  /** Number in its file; 8-bit high registers (ah) have the number of their slot plus 4. */
  readonly number: number;
  readonly width: number;
  readonly access: Access;
}

export interface MemoryOperand {
  readonly kind: 'memory';
  /** Segment register in force, override applied. */
  readonly segment: string;
  readonly base?: string;
  readonly index?: string;
  readonly scale: 1 | 2 | 4 | 8;
  /** Signed; without base and index an unsigned offset. */
  readonly displacement: bigint;
  readonly addressSize: 16 | 32 | 64;
  /** Counts from the next instruction (64-bit code). */
  readonly ripRelative: boolean;
  /** Width in bits of the access; 0 when it is not told by the encoding (LEA, INVLPG). */
  readonly width: number;
  readonly access: Access;
  /** Register whose bits above the operand's select further memory: BT, BTS, BTR, BTC with a register bit offset (SDM Vol. 1, 3.7.4). */
  readonly bitOffset?: string;
}

export interface ImmediateOperand {
  readonly kind: 'immediate';
  /** Truncated to {@link width}, unsigned. */
  readonly value: bigint;
  readonly width: number;
  /** Encoded as a byte that is sign-extended to the operand size. */
  readonly signExtended: boolean;
}

/** Relative target: offset in CS = next instruction + displacement, truncated to the operand size. */
export interface TargetOperand {
  readonly kind: 'target';
  readonly displacement: number;
  /** A one-byte displacement. */
  readonly short: boolean;
}

export interface FarOperand {
  readonly kind: 'far';
  readonly selector: number;
  readonly offset: number;
}

/** A value that the encoding implies: the 1 of a shift. */
export interface ConstantOperand {
  readonly kind: 'constant';
  readonly value: number;
}

export type Operand = RegisterOperand | MemoryOperand | ImmediateOperand | TargetOperand | FarOperand | ConstantOperand;

const names16 = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const names8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const names8Rex = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
export const segmentNames: readonly string[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** Name of general register `number` at a width. `rex`: the instruction has a REX prefix, so that 4–7 are SPL…DIL and not AH…BH. */
export function registerName(number: number, width: number, rex = false): string {
  if (number >= 8) return `r${number}${width === 64 ? '' : width === 32 ? 'd' : width === 16 ? 'w' : 'b'}`;
  if (width === 8) return (rex ? names8Rex : names8)[number];
  return (width === 16 ? '' : width === 32 ? 'e' : 'r') + names16[number];
}

/** Widths that an operand code fixes by itself. */
const fixedWidths: Partial<Record<OperandCode, number>> = {
  M: 0, AL: 8, AH: 8, CL: 8, 1: 8, 3: 8, AX: 16, DX: 16, XMM0: 128, ES: 16, CS: 16, SS: 16, DS: 16, FS: 16, GS: 16, ST0: 80, STi: 80, Mt: 80,
};
/** Widths by an operand code's size letter. */
const letterWidths: Readonly<Record<string, (i: Instruction) => number>> = {
  b: () => 8, w: () => 16, d: () => 32, q: () => 64, x: () => 128,
  v: (i) => i.operandSize,
  z: (i) => Math.min(i.operandSize, 32),
  y: (i) => (i.operandSize === 64 ? 64 : 32),
  p: (i) => i.operandSize + 16,
  s: (i) => (i.codeSize === 64 ? 80 : 48),
  a: (i) => i.operandSize * 2,
};

/** Width in bits of an operand of this instruction, by its code; 0 for memory whose size does not matter. */
export function operandWidth(code: OperandCode, i: Instruction): number {
  // Immediates of 32 bits are sign-extended to 64-bit operands.
  if (code === 'rAX' || code === 'Ibs' || code === 'Iz') return i.operandSize;
  if (code === 'eAX') return Math.min(i.operandSize, 32);
  if (code === 'Cd' || code === 'Dd' || code === 'Rd') return i.codeSize === 64 ? 64 : 32;
  return fixedWidths[code] ?? letterWidths[code[1]](i);
}

/** How the instruction uses its operand number `n`. */
export function operandAccess(i: Instruction, n: number): Access {
  return i.encoding.instruction.access?.[n] ?? (n === 0 ? 'rw' : 'r');
}

/** Operand codes that name one general register: its number (AH is 4 among the byte registers). */
const namedRegisters: Partial<Record<OperandCode, number>> = { AL: 0, AX: 0, eAX: 0, rAX: 0, CL: 1, DX: 2, AH: 4 };

/** The explicit operands, in order. */
export function operands(i: Instruction): Operand[] {
  return i.encoding.operands.map((code, n) => operand(i, code, operandAccess(i, n)));
}

function operand(i: Instruction, code: OperandCode, access: Access): Operand {
  const width = operandWidth(code, i);
  const general = (number: number): Operand =>
    ({ kind: 'register', file: 'general', name: registerName(number, width, i.rex !== 0), number, width, access });
  const fixed = namedRegisters[code];
  if (fixed !== undefined) return general(fixed);
  const vector = (file: 'xmm' | 'mmx', number: number): Operand => ({
    kind: 'register', file, name: file === 'xmm' ? `xmm${number}` : `mm${number & 7}`, number: file === 'xmm' ? number : number & 7, width: file === 'xmm' ? 128 : 64, access,
  });
  if (code === 'XMM0') return vector('xmm', 0);
  if (code === 'ST0' || code === 'STi') {
    const number = code === 'ST0' ? 0 : i.rm & 7;
    return { kind: 'register', file: 'x87', name: `st${number}`, number, width, access };
  }
  if (code === '1' || code === '3') return { kind: 'constant', value: Number(code) };
  const segment = segmentNames.indexOf(code.toLowerCase());
  if (segment >= 0) return { kind: 'register', file: 'segment', name: segmentNames[segment], number: segment, width, access };
  switch (code[0]) {
    case 'E': case 'M': return i.memory ? memoryOperand(i, width, access) : general(i.rm);
    case 'O': return memoryOperand(i, width, access);
    case 'V': return vector('xmm', i.reg);
    case 'P': return vector('mmx', i.reg);
    case 'W': return i.memory ? memoryOperand(i, width, access) : vector('xmm', i.rm);
    case 'Q': return i.memory ? memoryOperand(i, width, access) : vector('mmx', i.rm);
    case 'U': return vector('xmm', i.rm);
    case 'N': return vector('mmx', i.rm);
    case 'R': return general(i.rm);
    case 'G': return general(i.reg);
    case 'Z': return general(i.opcodeRegister);
    case 'S': return { kind: 'register', file: 'segment', name: segmentNames[i.reg], number: i.reg, width, access };
    case 'C': return { kind: 'register', file: 'control', name: `cr${i.reg}`, number: i.reg, width, access };
    case 'D': return { kind: 'register', file: 'debug', name: `dr${i.reg}`, number: i.reg, width, access };
    case 'X': return stringOperand(i, 6, segmentNames[i.segment], width, access);
    case 'Y': return stringOperand(i, 7, 'es', width, access);
    case 'J': return { kind: 'target', displacement: i.immediate, short: code === 'Jb' };
    case 'A': return { kind: 'far', selector: i.immediate2, offset: i.immediate >>> 0 };
    default: {
      // The only second immediate is ENTER's byte.
      const second = code === 'Ib' && i.encoding.operands.indexOf(code) > 0 && i.encoding.operands[0] === 'Iw';
      const value = second ? BigInt(i.immediate2) : BigInt.asUintN(32, BigInt(i.immediate)) | BigInt(i.immediateHigh) << 32n;
      const extended = code === 'Ibs' ? BigInt(i.immediate) : value;
      return { kind: 'immediate', value: BigInt.asUintN(width, extended), width, signExtended: code === 'Ibs' };
    }
  }
}

function memoryOperand(i: Instruction, width: number, access: Access): MemoryOperand {
  const absolute = i.base < 0 && i.index < 0 && !i.ripRelative;
  const high = i.encoding.operands.includes('Ob') || i.encoding.operands.includes('Ov') ? BigInt(i.immediateHigh) << 32n : 0n;
  const displacement = absolute
    ? BigInt.asUintN(i.addressSize, high ? BigInt.asUintN(32, BigInt(i.displacement)) | high : BigInt(i.displacement))
    : BigInt(i.displacement);
  const code = i.encoding.operands[1];
  return {
    kind: 'memory', segment: segmentNames[i.segment],
    base: i.base < 0 ? undefined : registerName(i.base, i.addressSize),
    index: i.index < 0 ? undefined : registerName(i.index, i.addressSize),
    scale: 1 << i.scale as MemoryOperand['scale'],
    displacement, addressSize: i.addressSize, ripRelative: i.ripRelative, width, access,
    ...(/^bt[src]?$/.test(i.encoding.instruction.mnemonic) && code === 'Gv' ? { bitOffset: registerName(i.reg, i.operandSize) } : {}),
  };
}

function stringOperand(i: Instruction, register: number, segment: string, width: number, access: Access): MemoryOperand {
  return {
    kind: 'memory', segment, base: registerName(register, i.addressSize), scale: 1, displacement: 0n,
    addressSize: i.addressSize, ripRelative: false, width, access,
  };
}

/** Memory that string instructions reach without naming it, by mnemonic without its size letter: DS:rSI and ES:rDI. */
const stringAccess: Readonly<Record<string, { readonly source?: Access; readonly destination?: Access }>> = {
  movs: { source: 'r', destination: 'w' }, cmps: { source: 'r', destination: 'r' }, stos: { destination: 'w' }, lods: { source: 'r' },
  scas: { destination: 'r' }, ins: { destination: 'w' }, outs: { source: 'r' },
};

/** Every memory operand: explicit ones, those of string instructions, and XLAT's. Implicit stack accesses are not listed. */
export function memoryOperands(i: Instruction): MemoryOperand[] {
  const found = operands(i).filter((o) => o.kind === 'memory');
  const { mnemonic, size } = i.encoding.instruction;
  const strings = found.length || !size ? undefined : stringAccess[mnemonic.slice(0, -1)];
  if (strings?.source) found.push(stringOperand(i, 6, segmentNames[i.segment], size ?? 8, strings.source));
  if (strings?.destination) found.push(stringOperand(i, 7, 'es', size ?? 8, strings.destination));
  if (mnemonic.startsWith('maskmov')) found.push(stringOperand(i, 7, segmentNames[i.segment], operandWidth(i.encoding.operands[0], i), 'w'));
  if (mnemonic === 'xlatb') found.push({ ...stringOperand(i, 3, segmentNames[i.segment], 8, 'r'), index: 'al' });
  return found;
}

/**
 * Offset of a memory operand in its segment, truncated to the address size.
 * `register` gives a register's value by the name that the operand uses; `nextInstruction` is needed for RIP-relative operands only.
 */
export function effectiveAddress(m: MemoryOperand, register: (name: string) => number | bigint, nextInstruction: number | bigint = 0): bigint {
  let sum = m.displacement;
  if (m.ripRelative) sum += BigInt(nextInstruction);
  if (m.base) sum += BigInt(register(m.base));
  if (m.index) sum += BigInt(register(m.index)) * BigInt(m.scale);
  if (m.bitOffset) {
    const bit = BigInt.asIntN(m.width, BigInt(register(m.bitOffset)));
    sum += (bit >> BigInt(Math.log2(m.width))) * BigInt(m.width / 8);
  }
  return BigInt.asUintN(m.addressSize, sum);
}

/** Flag letters of the table to the names that people use. */
export const flagNames: Readonly<Record<string, string>> = {
  O: 'of', S: 'sf', Z: 'zf', A: 'af', P: 'pf', C: 'cf', D: 'df', I: 'if', T: 'tf', N: 'nt', R: 'rf', V: 'vm', L: 'iopl', K: 'ac',
};
export function flagList(letters: string | undefined): string[] {
  return [...letters ?? ''].map((letter) => flagNames[letter] ?? letter);
}

export interface Effects {
  /** Registers by name at the width used, address registers included; no name twice. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly flagsRead: readonly string[];
  /** Flags with a defined value afterwards. */
  readonly flagsWritten: readonly string[];
  readonly flagsUndefined: readonly string[];
  readonly memory: readonly MemoryOperand[];
}

/** Everything that the instruction reads and writes by name. The stack pointer is given at the code size. */
export function effects(i: Instruction): Effects {
  const reads = new Set<string>();
  const writes = new Set<string>();
  const { instruction } = i.encoding;
  for (const o of operands(i)) {
    if (o.kind !== 'register') continue;
    if (o.access.includes('r')) reads.add(o.name);
    if (o.access.includes('w')) writes.add(o.name);
  }
  const memory = memoryOperands(i);
  for (const m of memory) for (const name of [m.base, m.index, m.bitOffset]) if (name) reads.add(name);
  const { reads: implicitReads = [], writes: implicitWrites = [] } = instruction.implicit ?? {};
  const wide = implicitReads.includes('rDX') || implicitWrites.includes('rDX');
  for (const name of implicitReads) add(reads, implicitName(i, name, wide));
  for (const name of implicitWrites) add(writes, implicitName(i, name, wide));
  if (i.repeat !== 'none') {
    const counter = registerName(1, i.addressSize);
    reads.add(counter);
    writes.add(counter);
  }
  const { flags } = instruction;
  return {
    reads: [...reads], writes: [...writes], memory,
    flagsRead: flagList(flags?.reads),
    flagsWritten: flagList((flags?.writes ?? '') + (flags?.clears ?? '') + (flags?.sets ?? '')),
    flagsUndefined: flagList(flags?.undefined),
  };
}

function add(names: Set<string>, name: string | undefined): void {
  if (name) names.add(name);
}

/**
 * A name of InstructionSpec.implicit at the size it has here. rAX and rDX follow the first operand (a byte MUL or DIV uses AX alone: `wide`),
 * rBX, rCX, rSI and rDI the address size, rSP and rBP the stack, taken to be as wide as the code.
 */
function implicitName(i: Instruction, name: string, wide: boolean): string | undefined {
  if (!/^r[A-Z]{2}$/.test(name)) return name;
  const number = names16.indexOf(name.slice(1).toLowerCase());
  if (name === 'rAX' || name === 'rDX') {
    const first = i.encoding.operands[0];
    const width = i.encoding.instruction.size ?? (first ? operandWidth(first, i) : i.operandSize);
    if (width !== 8) return registerName(number, width);
    return name === 'rDX' ? undefined : wide ? 'ax' : 'al';
  }
  return registerName(number, name === 'rSP' || name === 'rBP' ? i.codeSize : i.addressSize);
}
