/**
 * The runtime's side of an instruction that threaded code does not execute in place. A row of the instruction table names a callout;
 * the engine resolves operands, makes EIP exact, and calls it.
 */

/** What a callout knows about its instruction besides the values that the semantics passed. */
export interface CalloutSite {
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  /** EIP of the instruction and of the one behind it, truncated to the code size. */
  readonly eip: number;
  readonly nextEip: number;
}
