/** The exception model: one row per architectural vector, and the object that carries a fault to its delivery. */

/** How two exceptions combine into a double fault (SDM Vol. 3, table 6-4). */
export type ExceptionClass = 'benign' | 'contributory' | 'pageFault' | 'doubleFault';

export interface ExceptionRow {
  readonly vector: number;
  /** '#GP'. */
  readonly name: string;
  readonly title: string;
  /** Faults report the instruction itself, traps the one behind it. #DB is both: the debug room decides. */
  readonly type: 'fault' | 'trap' | 'abort' | 'interrupt' | 'reserved';
  readonly errorCode: boolean;
  readonly class: ExceptionClass;
}

const declared: readonly ExceptionRow[] = [
  { vector: 0, name: '#DE', title: 'Divide error', type: 'fault', errorCode: false, class: 'contributory' },
  { vector: 1, name: '#DB', title: 'Debug exception', type: 'trap', errorCode: false, class: 'benign' },
  { vector: 2, name: 'NMI', title: 'Non-maskable interrupt', type: 'interrupt', errorCode: false, class: 'benign' },
  { vector: 3, name: '#BP', title: 'Breakpoint', type: 'trap', errorCode: false, class: 'benign' },
  { vector: 4, name: '#OF', title: 'Overflow', type: 'trap', errorCode: false, class: 'benign' },
  { vector: 5, name: '#BR', title: 'BOUND range exceeded', type: 'fault', errorCode: false, class: 'benign' },
  { vector: 6, name: '#UD', title: 'Invalid opcode', type: 'fault', errorCode: false, class: 'benign' },
  { vector: 7, name: '#NM', title: 'Device not available', type: 'fault', errorCode: false, class: 'benign' },
  { vector: 8, name: '#DF', title: 'Double fault', type: 'abort', errorCode: true, class: 'doubleFault' },
  { vector: 9, name: 'CSO', title: 'Coprocessor segment overrun', type: 'abort', errorCode: false, class: 'benign' },
  { vector: 10, name: '#TS', title: 'Invalid TSS', type: 'fault', errorCode: true, class: 'contributory' },
  { vector: 11, name: '#NP', title: 'Segment not present', type: 'fault', errorCode: true, class: 'contributory' },
  { vector: 12, name: '#SS', title: 'Stack-segment fault', type: 'fault', errorCode: true, class: 'contributory' },
  { vector: 13, name: '#GP', title: 'General protection', type: 'fault', errorCode: true, class: 'contributory' },
  { vector: 14, name: '#PF', title: 'Page fault', type: 'fault', errorCode: true, class: 'pageFault' },
  { vector: 16, name: '#MF', title: 'x87 floating-point error', type: 'fault', errorCode: false, class: 'benign' },
  { vector: 17, name: '#AC', title: 'Alignment check', type: 'fault', errorCode: true, class: 'benign' },
  { vector: 18, name: '#MC', title: 'Machine check', type: 'abort', errorCode: false, class: 'benign' },
  { vector: 19, name: '#XM', title: 'SIMD floating-point exception', type: 'fault', errorCode: false, class: 'benign' },
];

/** Rows for vectors 0–31, indexed by vector. */
export const exceptions: readonly ExceptionRow[] = Array.from({ length: 32 }, (_, vector) =>
  declared.find((row) => row.vector === vector)
  ?? { vector, name: `#${vector}`, title: 'Reserved', type: 'reserved', errorCode: false, class: 'benign' });

/** '#GP', or 'INT 0x80' beyond the architectural vectors. */
export function vectorName(vector: number): string {
  return vector < 32 ? exceptions[vector].name : `INT 0x${vector.toString(16)}`;
}

export const enum Vector { DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, MF = 16, AC = 17, MC = 18, XM = 19 }

/** An exception on its way to delivery. Thrown as a plain object: no stack trace is taken. */
export class GuestFault {
  constructor(
    readonly vector: number,
    /** Undefined for vectors without one. */
    readonly errorCode: number | undefined,
    /** Which check failed, in words, for the post-mortem and the debugger. */
    readonly reason: string,
    /** #PF only: goes to CR2. */
    readonly linear?: number,
    /** The fault belongs to the first instruction of a new task: EIP is already the new task's and must not be taken back. */
    readonly afterTaskSwitch = false,
    /** RF is to be set in the pushed image although the vector is no fault's: #DB by general detection. */
    readonly setsResumeFlag = false,
  ) {}
}

export function undefinedOpcode(reason: string): GuestFault {
  return new GuestFault(Vector.UD, undefined, reason);
}
export function generalProtection(errorCode: number, reason: string): GuestFault {
  return new GuestFault(Vector.GP, errorCode, reason);
}

/** Error code that names a selector: index and TI, RPL replaced by EXT (SDM Vol. 3, 6.13). */
export function selectorError(selector: number, ext: 0 | 1 = 0): number {
  return (selector & 0xfffc) | ext;
}

/** #DF matrix: what happens when `second` is raised while `first` is being delivered (SDM Vol. 3, table 6-5). */
export function combine(first: ExceptionClass, second: ExceptionClass): 'serial' | 'doubleFault' | 'shutdown' {
  if (second === 'benign') return 'serial';
  if (first === 'doubleFault') return 'shutdown';
  if (first === 'contributory') return second === 'contributory' ? 'doubleFault' : 'serial';
  if (first === 'pageFault') return 'doubleFault';
  return 'serial';
}
