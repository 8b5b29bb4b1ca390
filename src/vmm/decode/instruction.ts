/** The decoder's output: one object, reused for every instruction, so that decoding allocates nothing. */
import type { Encoding } from '../isa/types';

export const enum DecodeStatus {
  Ok,
  /** No declared encoding: #UD. */
  Undefined,
  /** Longer than 15 bytes: #GP(0). */
  TooLong,
  /** The bytes ended before the instruction did; fetch more (next page) or fault there. */
  NeedMore,
}

/** What decoding depends on besides the bytes. */
export interface DecodeMode {
  /** Default operand and address size: CS.D (16/32), or 64. */
  readonly codeSize: 16 | 32 | 64;
}

export class Instruction {
  encoding!: Encoding;
  /** Total bytes, prefixes included. */
  length = 0;
  /** Size of the code it was decoded as ({@link DecodeMode}). */
  codeSize: 16 | 32 | 64 = 16;
  operandSize: 16 | 32 | 64 = 16;
  addressSize: 16 | 32 | 64 = 16;
  lock = false;
  /** Last of F2/F3 when it is not a mandatory prefix: 'none' if the row does not repeat. */
  repeat: 'none' | 'rep' | 'repz' | 'repnz' = 'none';
  /** Segment override prefix 0–5, or -1. */
  segmentOverride = -1;
  /** Segment that the memory operand uses, override applied (DS, or SS for rBP/rSP bases). */
  segment = 3;
  /** REX prefix byte or 0. */
  rex = 0;
  hasModrm = false;
  mod = 0;
  /** modrm.reg with REX.R; for registerInOpcode the opcode's register stands in {@link opcodeRegister}. */
  reg = 0;
  /** modrm.rm with REX.B. */
  rm = 0;
  opcodeRegister = 0;
  /** True when modrm names memory (or the encoding has an O operand: base and index -1, displacement the offset). */
  memory = false;
  /** General register number or -1. 16-bit forms use both (BX+SI). */
  base = -1;
  index = -1;
  /** Shift 0–3. */
  scale = 0;
  /** Sign-extended to 32 bits (moffs: zero-extended, as a signed 32-bit integer). */
  displacement = 0;
  /** Bytes that the displacement took (0, 1, 2, 4): for the listing and for relocation. */
  displacementSize = 0;
  ripRelative = false;
  /**
   * Immediate as a signed 32-bit integer. Sign-extended where the manual does so (Ibs, J: the displacement from the next instruction; Iz
   * with 64-bit operands), otherwise zero-extended (`int 0x80`: 128; a 16-bit Iz: 0–65535). Far pointers: the offset.
   */
  immediate = 0;
  /** Upper half of a 64-bit immediate or moffs. */
  immediateHigh = 0;
  /** Far pointer's selector, ENTER's nesting level. */
  immediate2 = 0;
}
