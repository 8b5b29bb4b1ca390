/** Effective addresses: the value of an expression with registers → base, index, scale, displacement, as NASM divides them. */
import { Problem } from './diagnostics';
import { firstRegister, type Value } from './expression';
import { registers, type Register } from './registers';
import type { Operand } from './statement';

export interface EffectiveAddress {
  readonly size: 16 | 32;
  /** modrm without the reg field, sib if any. */
  readonly bytes: readonly number[];
  /** Size in bytes (0, 1, 2, 4) and value of the displacement. */
  readonly displacementSize: 0 | 1 | 2 | 4;
  readonly displacement: Value;
  /** No register: the direct forms (moffs) apply. */
  readonly direct: boolean;
}

type Memory = Operand & { kind: 'memory' };

export function effectiveAddress(operand: Memory, value: Value, bits: 16 | 32, addressPrefix: 16 | 32 | undefined): EffectiveAddress {
  const parts: { register: Register; index: number; scale: bigint }[] = [];
  const bases = new Map<number, bigint>();
  for (const [key, coefficient] of value.terms ?? []) {
    if (key > 0) bases.set(key, coefficient);
    else parts.push({ register: registers[-key - 1], index: -key - 1, scale: coefficient });
  }
  const displacement: Value = { number: value.number, terms: bases.size ? bases : undefined, unknown: value.unknown };
  const wrong = parts.find(({ register }) => register.kind !== 'r16' && register.kind !== 'r32');
  if (wrong) throw new Problem(`register ${wrong.register.name} cannot stand in an address`, operand);
  if (parts.some(({ register }) => register.kind !== parts[0].register.kind)) throw new Problem('16-bit and 32-bit registers in one address', operand);
  if (!parts.length) {
    const forced = operand.displacementSize === 16 || operand.displacementSize === 32 ? operand.displacementSize : undefined;
    const size = forced ?? addressPrefix ?? bits;
    return { size, bytes: [size === 16 ? 0x06 : 0x05], displacementSize: size === 16 ? 2 : 4, displacement, direct: true };
  }
  const size = parts[0].register.kind === 'r16' ? 16 : 32;
  if (addressPrefix !== undefined && addressPrefix !== size) throw new Problem(`a${addressPrefix} does not go with ${size}-bit registers in the address`, operand);
  return size === 16 ? address16(operand, parts, displacement) : address32(operand, parts, displacement);
}

/** Displacements that are plain numbers may take one byte, or none. */
function displacementBytes(operand: Memory, displacement: Value, wide: 2 | 4, mayBeAbsent: boolean): 0 | 1 | 2 | 4 {
  if (operand.displacementSize === 8) return 1;
  if (operand.displacementSize === wide * 8) return wide;
  if (displacement.terms || displacement.unknown) return wide;
  const number = BigInt.asIntN(wide * 8, displacement.number);
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
  const size = displacementBytes(operand, displacement, 2, key !== 'bp');
  return { size: 16, bytes: [modOf[size] | rm], displacementSize: size, displacement, direct: false };
}

const ESP = 4;
const EBP = 5;

function address32(operand: Memory, parts: readonly { register: Register; index: number; scale: bigint }[], displacement: Value): EffectiveAddress {
  const impossible = () => new Problem('not an address: at most two registers, one of them times 1, 2, 4 or 8 (esp only times 1)', operand);
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
    const sib = (Math.log2(scale) << 6) | (index << 3) | 5;
    return { size: 32, bytes: [0x04, sib], displacementSize: 4, displacement, direct: false };
  }
  const size = displacementBytes(operand, displacement, 4, base !== EBP);
  const mod = modOf[size];
  if (index < 0 && base !== ESP) return { size: 32, bytes: [mod | base], displacementSize: size, displacement, direct: false };
  const sib = ((index < 0 ? 0 : Math.log2(scale)) << 6) | ((index < 0 ? 4 : index) << 3) | base;
  return { size: 32, bytes: [mod | 0x04, sib], displacementSize: size, displacement, direct: false };
}
