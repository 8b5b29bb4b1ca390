/** The bytes of 64-bit code as 16- or 32-bit code that says the same: flat addresses of 32 bits, the same operand size. */
import { Decoder } from '../../../../src/vmm/decode/decoder';
import { DecodeStatus, Instruction } from '../../../../src/vmm/decode/instruction';
import { table } from '../../../../src/vmm/isa/table';
import type { LongShape } from './long-cases';

const decoder = new Decoder(table);
const OPERAND_SIZE = 0x66, ADDRESS_SIZE = 0x67;

/** Undefined when it is not one instruction (`first`: when it does not begin with one). */
export function decodeIn(code: ArrayLike<number>, codeSize: 16 | 32 | 64, first = false): Instruction | undefined {
  const instruction = new Instruction();
  const bytes = new Uint8Array(code.length + 16).fill(0x90);
  bytes.set(code);
  const status = decoder.decode(bytes, 0, bytes.length, { codeSize }, instruction);
  return status === DecodeStatus.Ok && (first || instruction.length === code.length) ? instruction : undefined;
}

const sizeMatters = ({ encoding, memory }: Instruction): boolean => encoding.operands.some((o) => /^.[vz]$/.test(o)) || (memory && encoding.operands.includes('M'));

/** Undefined where the instruction cannot be said in that code. */
export function narrowCode(code: Uint8Array, codeSize: 16 | 32): Uint8Array | undefined {
  const wide = decodeIn(code, 64);
  if (!wide) return undefined;
  const { encoding, operandSize, memory, rex } = wide;
  if (rex || encoding.only64) return undefined;
  const usesMemory = memory || encoding.instruction.implicit?.reads?.includes('rDI') === true;
  const rest = code[0] === OPERAND_SIZE && encoding.mandatoryPrefix !== OPERAND_SIZE ? code.subarray(1) : code;
  for (const prefixes of [[], [OPERAND_SIZE]]) {
    const bytes = Uint8Array.from([...codeSize === 16 && usesMemory ? [ADDRESS_SIZE] : [], ...prefixes, ...rest]);
    const found = decodeIn(bytes, codeSize);
    if (found?.encoding === encoding && (!sizeMatters(wide) || found.operandSize === operandSize)) return bytes;
  }
  return undefined;
}

const isRex = (byte: number): boolean => (byte & 0xf0) === 0x40;
export const hasRex = ({ code }: LongShape): boolean => code.some((byte, n) => isRex(byte) && code[n + 1] === 0x0f);

/** A shape of vectors.bin.gz as the tests run it: in 32-bit code if REX does not take part, of these a part in 16- and 64-bit code too. */
export function vectorShapeIn(shape: LongShape, codeSize: 16 | 32 | 64): LongShape | undefined {
  if (codeSize !== 32 && !hasRex(shape) && shape.seed % 4 !== 0) return undefined;
  if (codeSize === 64) return shape;
  const code = narrowCode(shape.code, codeSize);
  return code && { ...shape, code };
}
