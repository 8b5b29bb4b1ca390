/**
 * Lazy flags inside a region: the last operation's operands stay in locals, and a flag is computed from them only where somebody reads it. Which
 * operation that was is known while compiling or, where paths with different ones meet, stands in a local (see FlagState).
 */
import type { Width } from '../isa/builder';

/** What defined the flags; 'memory': the three lazy words of the state page do (see LAZY_ZERO in cpu/layout.ts). */
export type FlagOperation = 'memory' | 'add' | 'addCarry' | 'sub' | 'subBorrow' | 'logic' | 'inc' | 'dec' | 'result';

export interface FlagKind {
  /** Value of the kind local. */
  readonly id: number;
  readonly operation: FlagOperation;
  readonly width: Width;
}

const operations: readonly FlagOperation[] = ['memory', 'add', 'addCarry', 'sub', 'subBorrow', 'logic', 'inc', 'dec', 'result'];
const widths: readonly Width[] = [8, 16, 32, 64];

export const flagKinds: readonly FlagKind[] = operations.flatMap((operation, n) => widths.map((width, w) => ({ id: n * widths.length + w, operation, width })));
export const inMemory = flagKinds[0];

export function flagKind(operation: FlagOperation, width: Width): FlagKind {
  return flagKinds[operations.indexOf(operation) * widths.length + widths.indexOf(width)];
}

/** The kinds that may define the flags at a point of the region: with more than one the kind local says which. */
export type FlagState = readonly FlagKind[];

/** What may define the flags where two paths meet; one of the arguments when it covers the other. */
export function meet(a: FlagState, b: FlagState): FlagState {
  const added = b.filter((kind) => !a.includes(kind));
  return added.length ? [...a, ...added].sort((x, y) => x.id - y.id) : a;
}
