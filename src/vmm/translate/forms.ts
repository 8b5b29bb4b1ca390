/**
 * Forms: an instruction, with its operand kinds, operand size, addressing and the segment situation fixed, is one handler of threaded code.
 * This file enumerates the forms of the instruction table and numbers them; the translator finds a decoded instruction's handler by arithmetic.
 */
import type { Width } from '../isa/builder';
import type { Encoding, InstructionTable, OperandCode } from '../isa/types';

export type FormOperand =
  /** A general register that the record names in slot a or b. */
  | { readonly kind: 'register'; readonly slot: 'a' | 'b'; readonly width: Width }
  /** A register that the encoding fixes (CL, DX). */
  | { readonly kind: 'fixed'; readonly register: number; readonly width: Width }
  | { readonly kind: 'memory'; readonly width: Width }
  | { readonly kind: 'immediate'; readonly width: Width }
  | { readonly kind: 'constant'; readonly value: number; readonly width: Width }
  /** Segment, control or debug register: its number stands in the record. */
  | { readonly kind: 'number'; readonly width: Width }
  | { readonly kind: 'target'; readonly width: Width }
  | { readonly kind: 'far'; readonly width: Width };

/** Addressing variants, the third dimension of the handler index. */
export const enum Addressing {
  /** modrm names a register. */
  Register,
  /** 32-bit base + displacement in a flat segment. */
  Base,
  /** 32-bit base + scaled index + displacement in a flat segment. */
  Index,
  /** 32-bit, any form, in a segment with a base or a limit. */
  Segmented,
  /** 16-bit, any segment. */
  Sixteen,
}
const ADDRESSINGS = 5;

/** Segment situation of the context. */
export const enum Stack { Flat, Segmented32, Segmented16 }
const STACKS = 3;

const repeats = ['none', 'rep', 'repz', 'repnz'] as const;
export type Repeat = (typeof repeats)[number];
export const repeatIndex: Readonly<Record<Repeat, number>> = { none: 0, rep: 1, repz: 2, repnz: 3 };

export interface Form {
  readonly key: string;
  readonly encoding: Encoding;
  readonly operands: readonly FormOperand[];
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly addressing: 'none' | 'a32base' | 'a32index' | 'a16';
  /** The record's segment is flat: no base, no limit. */
  readonly flatMemory: boolean;
  /** CS, SS, DS and ES are flat 32-bit segments. */
  readonly flat: boolean;
  readonly stackSize: 16 | 32;
  readonly repeat: Repeat;
}

const letterWidth = (letter: string, size: 16 | 32): Width => {
  switch (letter) {
    case 'b': return 8;
    case 'w': return 16;
    case 'd': return 32;
    case 'q': return 64;
    default: return size;
  }
};

/** The operands of an encoding at an operand size, with modrm naming a register or memory. */
export function formOperands(encoding: Encoding, size: 16 | 32, memory: boolean): FormOperand[] {
  let registers = 0;
  const register = (width: Width): FormOperand => ({ kind: 'register', slot: registers++ === 0 ? 'a' : 'b', width });
  return encoding.operands.map((code): FormOperand => {
    const width = letterWidth(code[1], size);
    switch (code) {
      case 'AL': case 'AH': return register(8);
      case 'AX': return register(16);
      case 'eAX': case 'rAX': return register(size);
      case 'CL': return { kind: 'fixed', register: 1, width: 8 };
      case 'DX': return { kind: 'fixed', register: 2, width: 16 };
      case '1': case '3': return { kind: 'constant', value: Number(code), width: 8 };
      case 'ES': case 'CS': case 'SS': case 'DS': case 'FS': case 'GS': return { kind: 'number', width: 16 };
      case 'Ibs': return { kind: 'immediate', width: size };
      default:
    }
    switch (code[0]) {
      case 'E': return memory ? { kind: 'memory', width } : register(width);
      case 'M': case 'O': return { kind: 'memory', width };
      case 'G': case 'R': case 'Z': return register(width);
      case 'I': return { kind: 'immediate', width };
      case 'S': case 'C': case 'D': return { kind: 'number', width: 32 };
      case 'J': return { kind: 'target', width: size };
      case 'A': return { kind: 'far', width: size };
      default: throw new Error(`instruction table: operand code ${code} has no form`);
    }
  });
}

/** Operand codes whose instruction does the same at either operand size. */
const sizeless: ReadonlySet<OperandCode> = new Set(['Eb', 'Gb', 'Ib', 'Zb', 'AL', 'AH', 'CL', 'DX', '1', '3', 'Mb', 'Ob']);

function operandSizes(encoding: Encoding): { readonly size: 16 | 32; readonly index: readonly number[] }[] {
  if (encoding.operandSize === 16) return [{ size: 16, index: [0] }];
  if (encoding.operandSize === 32) return [{ size: 32, index: [1] }];
  const bytesOnly = encoding.operands.length > 0 && encoding.operands.every((o) => sizeless.has(o)) && !encoding.instruction.ends;
  return bytesOnly ? [{ size: 32, index: [0, 1] }] : [{ size: 16, index: [0] }, { size: 32, index: [1] }];
}

const usesModrm = (encoding: Encoding): boolean => encoding.modrm !== 'none';
const namesMemory = (encoding: Encoding): boolean => encoding.operands.some((o) => 'EMO'.includes(o[0]) && o !== 'ES');

interface Shape {
  readonly encoding: Encoding;
  readonly size: 16 | 32;
  readonly memory: boolean;
  readonly operands: readonly FormOperand[];
  readonly key: string;
}

/** What a handler's code turned out to depend on. */
export interface Dependencies {
  readonly addressSize: boolean;
  readonly stack: boolean;
  readonly implicitMemory: boolean;
  readonly targets: boolean;
}

const addressingOf: Readonly<Record<Addressing, { addressing: Form['addressing']; addressSize: 16 | 32; flatMemory: boolean }>> = {
  [Addressing.Register]: { addressing: 'none', addressSize: 32, flatMemory: false },
  [Addressing.Base]: { addressing: 'a32base', addressSize: 32, flatMemory: true },
  [Addressing.Index]: { addressing: 'a32index', addressSize: 32, flatMemory: true },
  [Addressing.Segmented]: { addressing: 'a32index', addressSize: 32, flatMemory: false },
  [Addressing.Sixteen]: { addressing: 'a16', addressSize: 16, flatMemory: false },
};

/** Handler numbers of all forms. */
export class FormIndex {
  private readonly numbers: Int32Array;

  constructor(table: InstructionTable) {
    this.numbers = new Int32Array(table.encodings.length * 2 * ADDRESSINGS * STACKS * repeats.length);
  }

  private static slot(encoding: number, size: number, addressing: number, stack: number, repeat: number): number {
    return (((encoding * 2 + size) * ADDRESSINGS + addressing) * STACKS + stack) * repeats.length + repeat;
  }

  /** Handler number, or 0 for a combination that cannot occur. */
  find(encoding: number, operandSize: 16 | 32, addressing: Addressing, stack: Stack, repeat: number): number {
    return this.numbers[FormIndex.slot(encoding, operandSize === 16 ? 0 : 1, addressing, stack, repeat)];
  }

  set(encoding: number, sizeIndex: number, addressing: Addressing, stack: Stack, repeat: number, handler: number): void {
    this.numbers[FormIndex.slot(encoding, sizeIndex, addressing, stack, repeat)] = handler;
  }
}

/**
 * Walks every form of the table. `emit` writes the handler of a form seen for the first time and returns its number and dependencies;
 * forms that would come out alike share a number.
 */
export function enumerateForms(table: InstructionTable, emit: (form: Form) => { handler: number; dependencies: Dependencies }): FormIndex {
  const index = new FormIndex(table);
  const handlers = new Map<string, number>();
  const shapes = new Map<string, Dependencies>();
  const instructionNumber = new Map(table.instructions.map((row, i) => [row, i]));

  /** What a form is apart from where its memory operand and the stack are. */
  const shapeOf = (encoding: Encoding, size: 16 | 32, memory: boolean): Shape => {
    const operands = formOperands(encoding, size, memory);
    const kinds = operands.map((o) => `${o.kind}${o.width}${'slot' in o ? o.slot : ''}${'value' in o ? o.value : ''}`);
    return { encoding, size, memory, operands, key: `${instructionNumber.get(encoding.instruction)} ${size} ${kinds.join(' ')}` };
  };

  const handlerFor = ({ encoding, size, memory, operands, key: shape }: Shape, addressing: Addressing, stack: Stack, repeat: Repeat): number => {
    const place = addressingOf[addressing];
    const make = (key: string): Form => ({
      key, encoding, operands, operandSize: size, ...place, addressing: memory ? place.addressing : 'none',
      flat: stack === Stack.Flat, stackSize: stack === Stack.Segmented16 ? 16 : 32, repeat,
    });
    const keyOf = (d: Dependencies): string => {
      const located = memory || d.implicitMemory ? `${place.addressing} ${place.flatMemory}` : d.addressSize ? `${place.addressSize}` : '';
      // A memory operand in a flat segment exists in flat contexts only, so the stack situation matters just for the rest.
      const situation = d.stack ? `stack${stack}` : d.targets ? `targets${stack === Stack.Flat}` : '';
      return `${shape} | ${located} | ${situation} | ${repeat}`;
    };
    const known = shapes.get(shape);
    if (known) {
      const key = keyOf(known);
      const handler = handlers.get(key);
      if (handler !== undefined) return handler;
      const made = emit(make(key)).handler;
      handlers.set(key, made);
      return made;
    }
    const made = emit(make(shape));
    shapes.set(shape, made.dependencies);
    handlers.set(keyOf(made.dependencies), made.handler);
    return made.handler;
  };

  for (const encoding of table.encodings) {
    if (encoding.only64 || encoding.operandSize === 64) continue;
    const places = !usesModrm(encoding) ? [Addressing.Base, Addressing.Index, Addressing.Segmented, Addressing.Sixteen]
      : encoding.mod === 'reg' || !namesMemory(encoding) ? [Addressing.Register]
        : encoding.mod === 'mem' ? [Addressing.Base, Addressing.Index, Addressing.Segmented, Addressing.Sixteen]
          : [Addressing.Register, Addressing.Base, Addressing.Index, Addressing.Segmented, Addressing.Sixteen];
    const prefixes: readonly Repeat[] = encoding.instruction.repeat === 'rep' ? ['none', 'rep'] : encoding.instruction.repeat === 'repz' ? ['none', 'repz', 'repnz'] : ['none'];
    for (const { size, index: sizeIndices } of operandSizes(encoding)) {
      const inRegister = shapeOf(encoding, size, false);
      const inMemory = namesMemory(encoding) ? shapeOf(encoding, size, true) : inRegister;
      for (const addressing of places) {
        for (const stack of [Stack.Flat, Stack.Segmented32, Stack.Segmented16]) {
          // Only a flat context has flat segments.
          if (stack !== Stack.Flat && (addressing === Addressing.Base || addressing === Addressing.Index)) continue;
          for (const repeat of prefixes) {
            const handler = handlerFor(addressing === Addressing.Register ? inRegister : inMemory, addressing, stack, repeat);
            for (const sizeIndex of sizeIndices) index.set(encoding.id, sizeIndex, addressing, stack, repeatIndex[repeat], handler);
          }
        }
      }
    }
  }
  return index;
}
