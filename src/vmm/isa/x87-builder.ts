/**
 * The part of the builder that only x87 instructions use. The operations from {@link X87Builder.x87Arithmetic} on are whole instructions behind
 * their checks: what a back end cannot do in line it leaves to cpu/fpu.
 */
import type { Value } from './builder';

/** Formats of memory operands, by the numbers that callouts know (cpu/fpu/convert.ts). */
export const enum X87Format { Single, Double, Extended, Integer16, Integer32, Integer64, Decimal }

/** How a comparison reports. */
export const enum X87Compare {
  Ordered = 0,
  /** Quiet NaNs compare as unordered without an exception. */
  Quietly = 1,
  /** In EFLAGS, not in the status word. */
  Flags = 2,
}

export interface X87Builder {
  /**
   * #NM when the x87 may not be used now; for a `waiting` instruction #MF (or the board's FERR#) when an earlier one left an unmasked exception
   * pending; `wait`: as WAIT itself does. Comes before everything else.
   */
  requireX87(how: 'waiting' | 'notWaiting' | 'wait'): void;
  /** Notes this instruction, and its memory operand's address, as the last one of the x87: behind everything that faults. */
  noteX87(memoryOperand?: number): void;
  /** The control word; the status word with TOP. */
  x87Word(word: 'control' | 'status'): Value;
  /** FLDCW. */
  setX87Control(value: Value): void;
  /** Where an image in memory is, as the callouts that write and read images want to know it: offset, in 64-bit code linear address, and segment register. */
  imageAddress(n: number): Value;
  segmentEntry(n: number): Value;

  /** ST(0) and the STi operand, by the /digit of the memory form's opcode; the result goes to ST(0) or ST(i). */
  x87Arithmetic(digit: number, toRegister: boolean, pop: boolean): void;
  /** ST(0) and the memory operand 0. */
  x87ArithmeticMemory(digit: number, format: X87Format): void;
  /** ST(0) with the STi operand, or with ST(1). */
  x87Compare(other: 'operand' | 'next', how: X87Compare, pops: 0 | 1 | 2): void;
  x87CompareMemory(format: X87Format, pops: 0 | 1): void;
  /** Pushes the memory operand 0. */
  x87Load(format: X87Format): void;
  /** Stores ST(0) to the memory operand 0. `chop`: an integer is rounded towards zero. */
  x87Store(format: X87Format, pop: boolean, chop: boolean): void;
  x87LoadRegister(): void;
  x87StoreRegister(pop: boolean): void;
  x87Exchange(): void;
  /** FCMOVcc. */
  x87Move(condition: Value): void;
  /** FLD1 … FLDZ by the opcode's low three bits. */
  x87Constant(which: number): void;
  /** FCHS, FABS, FRNDINT by their second opcode byte. */
  x87Unary(which: number): void;
}
