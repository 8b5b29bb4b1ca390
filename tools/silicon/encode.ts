/** Encodings of the instruction table as bytes with rules for their inputs: what the generator strings together to shapes. */
import type { Encoding } from '../../src/vmm/isa/types';
import { Rule, type Random } from '../../test/conformance/support/silicon/cases';
import { CODE, FLAT_CODE, LANDING, codeSelectorList, modes, segmentBase, type ModeName } from '../../test/conformance/support/silicon/world';

export interface Encoded {
  readonly bytes: number[];
  readonly rules: number[][];
}

export interface Wanted {
  readonly mode: ModeName;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly memory: boolean;
  /** Offset of the code in the code pages. */
  readonly at: number;
  readonly lock?: boolean;
  readonly repeat?: 0xf2 | 0xf3;
  /** For sequences: memory at fixed addresses only, ESP never an operand. */
  readonly plain?: boolean;
}

const ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5;
const overridePrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const ESP = 4, EBP = 5;
const ALWAYS = 256;

/** Base and index of the 16-bit addressing forms. */
const forms16: readonly (readonly [number, number])[] = [[3, 6], [3, 7], [5, 6], [5, 7], [6, -1], [7, -1], [5, -1], [3, -1]];

interface Place {
  /** modrm without reg, SIB, displacement. */
  readonly bytes: number[];
  readonly segment: number;
  readonly override: boolean;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: number;
}

const littleEndian = (value: number, bytes: number): number[] => Array.from({ length: bytes }, (_, n) => (value >>> (8 * n)) & 0xff);
const signed8 = (value: number): number => (value << 24) >> 24;

/** An address at which nothing goes wrong, as an offset in a data segment. */
function fixedOffset(random: Random, mode: ModeName, segment: number): number {
  return (0x411000 + 4 * random.below(16) - segmentBase(mode, segment)) >>> 0;
}

/** Which segment an override may name: CS holds what the code pages are full of, which differs between the sides except in flat memory. */
function chooseOverride(random: Random, w: Wanted): number {
  if (w.plain) return -1;
  // 16-bit addresses reach nothing in flat memory but through FS and GS.
  if (w.mode === 'flat32' && w.addressSize === 16) return random.pick([FS, GS]);
  if (!random.chance(50)) return -1;
  return random.pick(w.mode === 'flat32' ? [ES, CS, SS, DS, FS, GS] : [ES, SS, DS, FS, GS]);
}

function choosePlace(random: Random, w: Wanted, avoid: readonly number[]): Place {
  const override = chooseOverride(random, w);
  const finish = (bytes: number[], base: number, index: number, scale: number, displacement: number): Place => {
    const stackBased = w.addressSize === 16 ? base === EBP : base === ESP || base === EBP;
    return { bytes, base, index, scale, displacement, override: override >= 0, segment: override >= 0 ? override : stackBased ? SS : DS };
  };
  for (;;) {
    const rm = random.below(8);
    const mod = w.plain ? 0 : random.below(3);
    if (w.addressSize === 16) {
      const [base, index] = forms16[rm];
      if (w.plain || (mod === 0 && rm === 6)) {
        const offset = fixedOffset(random, w.mode, override >= 0 ? override : DS) & 0xffff;
        return finish([6, ...littleEndian(offset, 2)], -1, -1, 0, offset);
      }
      if (avoid.includes(base) || avoid.includes(index)) continue;
      const displacement = mod === 1 ? signed8(random.next()) : mod === 2 ? random.next() & 0xffff : 0;
      return finish([mod << 6 | rm, ...littleEndian(displacement, mod)], base, index, 0, displacement);
    }
    const displacement = mod === 1 ? signed8(random.next()) : mod === 2 ? random.next() | 0 : 0;
    const displaced = littleEndian(displacement, mod === 1 ? 1 : mod === 2 ? 4 : 0);
    if (w.plain || (mod === 0 && rm === 5)) {
      const offset = fixedOffset(random, w.mode, override >= 0 ? override : DS);
      return finish([5, ...littleEndian(offset, 4)], -1, -1, 0, offset);
    }
    if (rm !== 4) {
      if (avoid.includes(rm)) continue;
      return finish([mod << 6 | rm, ...displaced], rm, -1, 0, displacement);
    }
    const sib = random.next() & 0xff;
    const base = sib & 7, index = (sib >> 3 & 7) === 4 ? -1 : sib >> 3 & 7;
    if (avoid.includes(base) || avoid.includes(index)) continue;
    if (mod === 0 && base === 5) {
      const offset = index < 0 ? fixedOffset(random, w.mode, override >= 0 ? override : DS) : 0x1000 + random.below(0x100);
      return finish([4, sib, ...littleEndian(offset, 4)], -1, index, index < 0 ? 0 : sib >> 6, offset);
    }
    // ESP is not moved: the displacement keeps the address near the stack's top.
    if (base === ESP) {
      const near = mod === 0 ? 0 : signed8(random.next()) >> 2;
      const bytes = mod === 0 ? [] : littleEndian(near, mod === 1 ? 1 : 4);
      return finish([mod << 6 | 4, sib, ...bytes], ESP, index, index < 0 ? 0 : sib >> 6, near);
    }
    return finish([mod << 6 | 4, sib, ...displaced], base, index, index < 0 ? 0 : sib >> 6, displacement);
  }
}

const shifts = new Set(['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sar', 'shld', 'shrd']);
const shiftCounts = [0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 18, 24, 25, 31, 32, 33, 40, 0x81, 0xff];
const softwareVectors = [0, 1, 2, 3, 4, 5, 6, 8, 13, 14, 32, 0x7f, 0x81, 0xff];
const smallFrames = [0, 2, 4, 7, 8, 16, 32];
const nestingLevels = [0, 1, 2, 3, 5, 16, 31, 32, 33];
const immediateEdges = [0, 1, 2, 0xff, 0x80, 0x7f, 0xffff, 0x8000, 0x7fff, 0xffffffff, 0x80000000, 0x7fffffff];

function immediateValue(random: Random, mnemonic: string, code: string): number {
  if (code === 'Ib') {
    if (shifts.has(mnemonic)) return random.pick(shiftCounts);
    if (mnemonic === 'int') return random.pick(softwareVectors);
    if (mnemonic === 'enter') return random.pick(nestingLevels);
    if ((mnemonic === 'aam' || mnemonic === 'aad') && random.chance(160)) return random.pick([10, 0, 1, 16]);
  }
  if (code === 'Iw') return random.pick(smallFrames);
  return random.chance(90) ? random.pick(immediateEdges) : random.next();
}

/** Relative targets keep off the instruction itself, and off what stands before it in a sequence. */
function relativeTarget(random: Random, w: Wanted, code: string, length: number): number {
  if (code === 'Jb') return w.plain || random.chance(128) ? random.below(100) : -length - 1 - random.below(100);
  const end = w.at + length;
  const beyond = w.mode !== 'flat32' && w.operandSize === 32 && random.chance(64);
  return (beyond ? 0x10000 + random.below(0x1000) : LANDING + random.below(64)) - end;
}

const flatOffset = (mode: ModeName): number => (CODE - segmentBase(mode, 1)) >>> 0;

/**
 * Writes one instruction. Undefined when the combination does not exist. The caller checks by decoding that it got what it wanted.
 */
export function encode(random: Random, encoding: Encoding, w: Wanted): Encoded | undefined {
  const { instruction, operands } = encoding;
  const { mnemonic } = instruction;
  const { codeSize, stackSize } = modes[w.mode];
  const size = w.operandSize;
  const bytesOf = size / 8;
  const rules: number[][] = [];
  const special: number[][] = [];
  const landing = (flatOffset(w.mode) + LANDING) >>> 0;
  // In flat memory a wild jump could reach anything; elsewhere limits hold it.
  const mostly = w.mode === 'flat32' ? ALWAYS : 220;

  const general = (): number => {
    for (;;) {
      const n = random.below(8);
      if (!(w.plain && n === ESP)) return n;
    }
  };
  const byteOperand = (code: string): boolean => code[1] === 'b';
  const chooseRegister = (code: string): number => (byteOperand(code) ? random.below(8) : general());

  let reg = typeof encoding.modrm === 'number' ? encoding.modrm : random.below(8);
  let rm = 0;
  let opcode = encoding.opcode;
  let place: Place | undefined;
  for (const code of operands) {
    if ('ES CS SS DS FS GS'.split(' ').includes(code)) continue;
    if (code[0] === 'G') reg = chooseRegister(code);
    else if (code === 'Sw') reg = operands[0] === 'Sw' ? random.pick([ES, SS, DS, FS, GS]) : random.below(6);
    else if (code === 'Cd') reg = random.pick([0, 2, 3, 4]);
    else if (code === 'Dd') reg = random.pick([0, 1, 2, 3, 6, 7]);
    else if (code[0] === 'Z') {
      const opcodeRegister = chooseRegister(code);
      // 90 is NOP, not an exchange of rAX with itself.
      opcode += encoding.opcode === 0x90 && opcodeRegister === 0 ? 3 : opcodeRegister;
    }
  }
  const usesModrm = encoding.modrm !== 'none';
  const memoryOperand = operands.find((code) => 'EM'.includes(code[0]) && code !== 'ES');
  const bitOffsetInMemory = /^bt[src]?$/.test(mnemonic) && operands[1] === 'Gv' && w.memory;
  if (usesModrm) {
    if (w.memory && memoryOperand) place = choosePlace(random, w, bitOffsetInMemory || mnemonic === 'arpl' ? [reg] : []);
    else {
      const code = operands.find((o) => 'ER'.includes(o[0]) && o !== 'ES');
      rm = code ? chooseRegister(code) : random.below(8);
      if (instruction.control && rm === ESP) rm = 3;
    }
  }

  let segment = place?.override ? place.segment : -1;
  const implicit = /^(movs|cmps|lods|outs|stos|scas|ins|xlat)/.test(mnemonic) && !usesModrm;
  const direct = operands.some((o) => o[0] === 'O');
  if (implicit || direct) segment = chooseOverride(random, w);
  const memorySegment = segment >= 0 ? segment : place ? place.segment : DS;

  // ---- rules by kind of instruction ----
  const width = memoryOperand?.[1] === 'b' ? 8 : memoryOperand?.[1] === 'w' ? 16 : size;
  const farList = 1, dataList = 0;
  if (shifts.has(mnemonic) && operands.includes('CL')) special.push([Rule.Set, 1, 8, 0, 0x3f, 200]);
  if (mnemonic === 'div' || mnemonic === 'idiv') {
    const signed = mnemonic === 'idiv';
    if (width === 8) special.push([Rule.Set, 0, 16, signed ? -0x400 : 0, signed ? 0x7ff : 0xfff, 170]);
    else special.push([Rule.Set, 2, width, signed ? -4 : 0, 7, 170]);
  }
  if (bitOffsetInMemory) special.push([Rule.Set, reg, size, -100, 0xff, ALWAYS]);
  if (mnemonic === 'cmpxchg' && !place) special.push([Rule.Copy, width === 8 ? rm & 3 : rm, 0, 100]);
  if (mnemonic === 'enter' || mnemonic === 'leave') special.push([Rule.Pointer, EBP, SS, stackSize]);
  if (/^loop|^je?cxz/.test(mnemonic)) special.push([Rule.Set, 1, w.addressSize, 0, 1, 128]);
  if (implicit) {
    if (w.repeat) special.push([Rule.Set, 1, w.addressSize, 0, 15, ALWAYS]);
    if (mnemonic === 'xlatb') special.push([Rule.Set, 0, 8, 0, 0x3f, ALWAYS], [Rule.Pointer, 3, memorySegment, w.addressSize]);
    else special.push([Rule.Pointer, 6, memorySegment, w.addressSize], [Rule.Pointer, 7, ES, w.addressSize]);
  }
  const isFar = operands[0] === 'Mp';
  if (instruction.control && usesModrm && !isFar) {
    if (place) special.push([Rule.Poke, 1, 0, bytesOf, landing, 63, mostly]);
    else special.push([Rule.Set, rm, size, landing, 63, mostly]);
  }
  if (isFar) special.push([Rule.Poke, 1, 0, bytesOf, LANDING, 63, mostly], [Rule.PokeSelector, 1, bytesOf, farList, ALWAYS]);
  if (operands[1] === 'Mp') special.push([Rule.PokeSelector, 1, bytesOf, dataList, ALWAYS]);
  if (mnemonic === 'ret') special.push([Rule.Poke, 0, 0, bytesOf, landing, 63, mostly]);
  if (mnemonic === 'retf' || mnemonic.startsWith('iret')) {
    special.push([Rule.Poke, 0, 0, bytesOf, LANDING, 63, ALWAYS], [Rule.PokeSelector, 0, bytesOf, farList, ALWAYS]);
  }
  // Neither TF nor NT: what follows them is the operating system's affair.
  if (mnemonic.startsWith('iret')) special.push([Rule.Poke, 0, 2 * bytesOf, bytesOf, 0, ~0x4100, ALWAYS]);
  if (mnemonic.startsWith('popf')) special.push([Rule.Poke, 0, 0, bytesOf, 0, ~0x4100, ALWAYS]);
  if (mnemonic === 'pop' && 'ES SS DS FS GS'.split(' ').includes(operands[0])) special.push([Rule.PokeSelector, 0, 0, dataList, ALWAYS]);
  if (/^(verr|verw|lar|lsl|arpl)$/.test(mnemonic) || operands[0] === 'Sw') {
    if (place) special.push([Rule.PokeSelector, 1, 0, dataList, ALWAYS]);
    else special.push([Rule.Selector, rm, 16, dataList, ALWAYS]);
  }
  if (place) {
    rules.push(...special.filter(([kind]) => kind === Rule.Set || kind === Rule.Copy || kind === Rule.Pointer || kind === Rule.Selector));
    rules.push([Rule.Address, memorySegment, w.addressSize, place.base, place.index, place.scale, place.displacement, width / 8]);
    rules.push(...special.filter(([kind]) => kind === Rule.Poke || kind === Rule.PokeSelector));
    if (mnemonic === 'cmpxchg') rules.push([Rule.PokeRegister, 1, 0, width / 8, 0, 100]);
    if (mnemonic === 'cmpxchg8b') rules.push([Rule.PokeRegister, 1, 0, 4, 0, 190], [Rule.PokeRegister, 1, 4, 4, 2, 190]);
  } else rules.push(...special);

  // ---- bytes ----
  const prefixes: number[] = [];
  if (w.lock) prefixes.push(0xf0);
  if (w.repeat) prefixes.push(w.repeat);
  if (segment >= 0) prefixes.push(overridePrefixes[segment]);
  const sizeMatters = size !== codeSize;
  if (sizeMatters) prefixes.push(0x66);
  if (w.addressSize !== codeSize) prefixes.push(0x67);
  if (encoding.mandatoryPrefix) prefixes.push(encoding.mandatoryPrefix);
  const maps = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
  const bytes = [...prefixes, ...maps[encoding.map], opcode];
  if (encoding.modrmByte !== undefined) bytes.push(encoding.modrmByte);
  if (usesModrm) {
    if (place) bytes.push(place.bytes[0] | reg << 3, ...place.bytes.slice(1));
    else bytes.push(0xc0 | reg << 3 | rm);
  }
  for (const code of operands) {
    const value = immediateValue(random, mnemonic, code);
    if (code === 'Ib' || code === 'Ibs') bytes.push(value & 0xff);
    else if (code === 'Iw') bytes.push(...littleEndian(value, 2));
    else if (code === 'Iz' || code === 'Iv') bytes.push(...littleEndian(value, bytesOf));
    else if (code[0] === 'O') {
      const offset = fixedOffset(random, w.mode, memorySegment) + (random.chance(40) ? 0x1000 - 2 : 0);
      bytes.push(...littleEndian(offset, w.addressSize / 8));
    } else if (code === 'Jb') bytes.push(relativeTarget(random, w, code, bytes.length + 1) & 0xff);
    else if (code === 'Jz') bytes.push(...littleEndian(relativeTarget(random, w, code, bytes.length + bytesOf), bytesOf));
    else if (code === 'Ap') {
      const flat = w.mode === 'flat32' && size === 32 && random.chance(80);
      bytes.push(...littleEndian((flat ? CODE : 0) + LANDING + random.below(64), bytesOf), ...littleEndian(flat ? FLAT_CODE : random.pick(codeSelectorList), 2));
    }
  }
  return bytes.length > 15 ? undefined : { bytes, rules };
}
