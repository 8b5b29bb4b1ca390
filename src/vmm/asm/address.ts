/** Effective addresses: the value of an expression with registers → base, index, scale, displacement, as NASM divides them. */
import { Problem } from './diagnostics';
import { firstRegister, type Value } from './expression';
import { registers, type Register } from './registers';
import type { Operand } from './statement';

export interface EffectiveAddress {
  readonly size: 16 | 32 | 64;
  /** modrm without the reg field, sib if any. */
  readonly bytes: readonly number[];
  /** Size in bytes (0, 1, 2, 4) and value of the displacement. */
  readonly displacementSize: 0 | 1 | 2 | 4;
  readonly displacement: Value;
  /** No register: the direct forms (moffs) apply. */
  readonly direct: boolean;
  /** REX.X and REX.B. */
  readonly rex: number;
  /** The displacement counts from the next instruction. */
  readonly relative: boolean;
}

type Memory = Operand & { kind: 'memory' };

/** @param relative whether `default rel` is in force (64-bit code). */
export function effectiveAddress(operand: Memory, value: Value, bits: 16 | 32 | 64, addressPrefix: 16 | 32 | 64 | undefined, relative: boolean): EffectiveAddress {
  const parts: { register: Register; index: number; scale: bigint }[] = [];
  const bases = new Map<number, bigint>();
  for (const [key, coefficient] of value.terms ?? []) {
    if (key > 0) bases.set(key, coefficient);
    else parts.push({ register: registers[-key - 1], index: -key - 1, scale: coefficient });
  }
  const displacement: Value = { number: value.number, terms: bases.size ? bases : undefined, unknown: value.unknown };
  const wrong = parts.find(({ register }) => !/^r(16|32|64)$/.test(register.kind) || (register.only64 && bits !== 64) || (register.kind === 'r16' && bits === 64));
  if (wrong) throw new Problem(`register ${wrong.register.name} cannot stand in an address`, operand);
  if (parts.some(({ register }) => register.kind !== parts[0].register.kind)) throw new Problem('registers of different sizes in one address', operand);
  if (!parts.length) {
    if (bits === 64) return withoutRegisters(operand, displacement, addressPrefix ?? 64, relative);
    const forced = operand.displacementSize === 16 || operand.displacementSize === 32 ? operand.displacementSize : undefined;
    const size = forced ?? addressPrefix ?? bits;
    return { size, bytes: [size === 16 ? 0x06 : 0x05], displacementSize: size === 16 ? 2 : 4, displacement, direct: true, rex: 0, relative: false };
  }
  if (operand.relative === true) throw new Problem('an address with registers cannot be relative', operand);
  const size = parts[0].register.size as 16 | 32 | 64;
  if (addressPrefix !== undefined && addressPrefix !== size) throw new Problem(`a${addressPrefix} does not go with ${size}-bit registers in the address`, operand);
  return size === 16 ? address16(operand, parts, displacement) : address32(operand, parts, displacement, size);
}

/** 64-bit code: relative to the next instruction; or 32 bits, sign-extended, in the SIB form; or 64 bits for MOV (`[qword x]`). FS and GS are no places to count from. */
function withoutRegisters(operand: Memory, displacement: Value, size: 16 | 32 | 64, relative: boolean): EffectiveAddress {
  const here = operand.relative ?? (relative && operand.displacementSize !== 64 && (operand.segment === undefined || operand.segment < 4));
  const bytes = here ? [0x05] : [0x04, 0x25];
  return { size, bytes, displacementSize: 4, displacement, direct: !here, rex: 0, relative: here };
}

/** Displacements that are plain numbers may take one byte, or none. */
function displacementBytes(operand: Memory, displacement: Value, wide: 2 | 4, mayBeAbsent: boolean, size: 16 | 32 | 64): 0 | 1 | 2 | 4 {
  if (operand.displacementSize === 8) return 1;
  if (operand.displacementSize === wide * 8) return wide;
  if (displacement.terms || displacement.unknown) return wide;
  const number = BigInt.asIntN(size, displacement.number);
  if (number === 0n && mayBeAbsent) return 0;
  return number >= -128n && number <= 127n ? 1 : wide;
}

const modOf = { 0: 0, 1: 0x40, 2: 0x80, 4: 0x80 } as const;

const forms16: Record<string, number> = { 'bx+si': 0, 'bx+di': 1, 'bp+si': 2, 'bp+di': 3, si: 4, di: 5, bp: 6, bx: 7 };

function address16(operand: Memory, parts: readonly { register: Register; scale: bigint }[], displacement: Value): EffectiveAddress {
  const names = parts.map(({ register }) => register.name);
  const order = (name: string) => (name.startsWith('b') ? 0 : 1);
  const key = [...names].sort((a, b) => order(a) - order(b)).join('+');
  const rm = forms16[key];
  if (rm === undefined || parts.some(({ scale }) => scale !== 1n)) {
    throw new Problem('16-bit addresses are made of bx or bp, si or di, and a displacement', operand);
  }
  const size = displacementBytes(operand, displacement, 2, key !== 'bp', 16);
  return { size: 16, bytes: [modOf[size] | rm], displacementSize: size, displacement, direct: false, rex: 0, relative: false };
}

/** Numbers of rSP and rBP; R12 and R13 have the same lower bits and share their encodings' peculiarities, but R12 is an index. */
const ESP = 4;
const EBP = 5;

function address32(operand: Memory, parts: readonly { register: Register; index: number; scale: bigint }[], displacement: Value, size: 32 | 64): EffectiveAddress {
  const impossible = () => new Problem('not an address: at most two registers, one of them times 1, 2, 4 or 8 (the stack pointer only times 1)', operand);
  if (parts.length > 2 || parts.some(({ scale }) => scale < 1n || scale > 9n)) throw impossible();
  const hint = firstRegister(operand.node);
  let base = -1;
  let index: number;
  let scale: number;
  const plain = parts.filter((part) => part.scale === 1n);
  if (parts.length === 2) {
    // The first register is the base, unless it is written with a factor.
    const preferred = plain.length === 2 && hint && (hint.multiplied ? plain.find((part) => part.index !== hint.index) : plain.find((part) => part.index === hint.index));
    const chosen = preferred || plain[0];
    if (!chosen) throw impossible();
    const other = parts.find((part) => part !== chosen) as (typeof parts)[number];
    base = chosen.register.number;
    index = other.register.number;
    scale = Number(other.scale);
  } else {
    index = parts[0].register.number;
    scale = Number(parts[0].scale);
    if (scale === 1 && !(hint?.multiplied && operand.noSplit)) {
      base = index;
      index = -1;
    } else if ((scale === 2 && index !== ESP && !operand.noSplit) || scale === 3 || scale === 5 || scale === 9) {
      base = index;
      scale -= 1;
    }
  }
  if (index === ESP && scale === 1) [base, index] = [index, base];
  if (index === ESP || (index >= 0 && ![1, 2, 4, 8].includes(scale))) throw impossible();
  if (base < 0) {
    const sib = (Math.log2(scale) << 6) | ((index & 7) << 3) | 5;
    return { size, bytes: [0x04, sib], displacementSize: 4, displacement, direct: false, rex: (index >> 3) << 1, relative: false };
  }
  const displacementSize = displacementBytes(operand, displacement, 4, (base & 7) !== EBP, size);
  const mod = modOf[displacementSize];
  const shape = { size, displacementSize, displacement, direct: false, rex: (base >> 3) | (index < 0 ? 0 : (index >> 3) << 1), relative: false };
  if (index < 0 && (base & 7) !== ESP) return { ...shape, bytes: [mod | (base & 7)] };
  const sib = ((index < 0 ? 0 : Math.log2(scale)) << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base & 7);
  return { ...shape, bytes: [mod | 0x04, sib] };
}
