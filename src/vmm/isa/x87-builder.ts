/** The part of the builder that only x87 instructions use. */
import type { Value, Width } from './builder';

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
  /** The sixteen bytes through which memory operands reach callouts and come from them. */
  scratch(offset: 0 | 8, width: Width): Value;
  setScratch(offset: 0 | 8, width: Width, value: Value): void;
  /** Which segment register a memory operand uses, as callouts want to know it. */
  segmentEntry(n: number): Value;
}
