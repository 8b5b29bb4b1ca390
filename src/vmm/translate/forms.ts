/**
 * Forms: an instruction, with its operand kinds, operand size, addressing and the segment situation fixed, is one handler of threaded code.
 * This file enumerates the forms of the instruction table and numbers them; the translator finds a decoded instruction's handler by arithmetic.
 * 64-bit code has forms of its own, in a module of its own.
 */
import type { Width } from '../isa/builder';
import type { Encoding, InstructionTable, OperandCode } from '../isa/types';

/** Width in bits of an operand that may be a vector. */
export type OperandWidth = Width | 128;
export type OperandSize = 16 | 32 | 64;

export type FormOperand =
  /** A general register that the record names in slot a or b. */
  | { readonly kind: 'register'; readonly slot: 'a' | 'b'; readonly width: Width }
  /** An XMM or MMX register that the record names in slot a or b; or the memory operand that the record before has loaded; or XMM0. */
  | { readonly kind: 'vector'; readonly slot: 'a' | 'b' | 'xmm0'; readonly width: 64 | 128 }
  /** A register that the encoding fixes (CL, DX). */
  | { readonly kind: 'fixed'; readonly register: number; readonly width: Width }
  | { readonly kind: 'memory'; readonly width: OperandWidth }
  /** `whole`: all 64 bits stand in the record (RecordField.wide) instead of 32 to be sign-extended. */
  | { readonly kind: 'immediate'; readonly width: Width; readonly whole?: boolean }
  | { readonly kind: 'constant'; readonly value: number; readonly width: Width }
  /** Segment, control or debug register: its number stands in the record. */
  | { readonly kind: 'number'; readonly width: Width }
  | { readonly kind: 'target'; readonly width: Width }
  | { readonly kind: 'far'; readonly width: Width };

/** Addressing variants of 16- and 32-bit code, the third dimension of the handler index. */
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

/** Addressing variants of 64-bit code. */
export const enum LongAddressing {
  /** modrm names a register. */
  Register,
  /** 64-bit base + displacement. */
  Base,
  /** 64-bit base + scaled index + displacement. */
  Index,
  /** An address that is known when the instruction is translated (RIP-relative, moffs): RecordField.wide. */
  Absolute,
  /** As Index, with the base of FS or GS. Of direct jumps: to a target whose upper half is another than the jump's. */
  Segmented,
  /** As Absolute, with the base of FS or GS. Of direct jumps: as Segmented, with a 32-bit counter. */
  SegmentedAbsolute,
  /** 32-bit address size, any form, any segment. */
  ThirtyTwo,
}

/** Segment situation of the context. 64-bit code has one only, Flat. */
export const enum Stack { Flat, Segmented32, Segmented16 }

const repeats = ['none', 'rep', 'repz', 'repnz'] as const;
export type Repeat = (typeof repeats)[number];
export const repeatIndex: Readonly<Record<Repeat, number>> = { none: 0, rep: 1, repz: 2, repnz: 3 };

export interface Form {
  readonly key: string;
  readonly encoding: Encoding;
  readonly operands: readonly FormOperand[];
  /** 64-bit code. */
  readonly long: boolean;
  readonly operandSize: OperandSize;
  readonly addressSize: 16 | 32 | 64;
  readonly addressing: 'none' | 'base' | 'index' | 'absolute';
  /** The record's segment is flat: no base, no limit. */
  readonly flatMemory: boolean;
  /** CS, SS, DS and ES are flat 32-bit segments, or the code is 64-bit code. */
  readonly flat: boolean;
  readonly stackSize: 16 | 32 | 64;
  readonly repeat: Repeat;
  /** A direct jump in 64-bit code whose target has another upper half. */
  readonly distant: boolean;
}

const sizeNumber = (size: OperandSize): number => (size === 16 ? 0 : size === 32 ? 1 : 2);

const letterWidth = (letter: string, size: OperandSize): OperandWidth => {
  switch (letter) {
    case 'x': return 128;
    case 'b': return 8;
    case 'w': return 16;
    case 'd': return 32;
    // Ten bytes are accessed as eight and two.
    case 'q': case 't': return 64;
    case 'y': return size === 64 ? 64 : 32;
    default: return size;
  }
};

/** Operands of the vector units. */
const isVectorCode = (code: OperandCode): boolean => /^[VWUPQN][xqdw]$/.test(code);
export const usesVectors = (encoding: Encoding): boolean => encoding.operands.some(isVectorCode);

/**
 * Vector instructions are many and their memory operands mostly sources: all but the hot ones are two records, of which the first loads the
 * operand into the state page and the second is the register form that finds it there.
 */
export function loadsFirst(encoding: Encoding): boolean {
  if (encoding.instruction.hot || !usesVectors(encoding)) return false;
  const at = encoding.operands.findIndex((code) => /^[EMWQ]/.test(code) && code !== 'ES');
  const access = encoding.instruction.access?.[at] ?? (at === 0 ? 'rw' : 'r');
  return at >= 0 && access === 'r';
}

/** The kinds of loading records: unit, bytes and whether 16 bytes must be aligned. */
export const loads = [
  { unit: 'sse', bytes: 1, aligned: false }, { unit: 'sse', bytes: 2, aligned: false }, { unit: 'sse', bytes: 4, aligned: false },
  { unit: 'sse', bytes: 8, aligned: false }, { unit: 'sse', bytes: 16, aligned: true }, { unit: 'sse', bytes: 16, aligned: false },
  { unit: 'mmx', bytes: 2, aligned: false }, { unit: 'mmx', bytes: 4, aligned: false }, { unit: 'mmx', bytes: 8, aligned: false },
  { unit: 'mmx', bytes: 16, aligned: true },
] as const satisfies readonly { readonly unit: 'sse' | 'mmx'; readonly bytes: number; readonly aligned: boolean }[];
export type Load = (typeof loads)[number];

/** Which of them loads the memory operand of an encoding that {@link loadsFirst}. */
export function loadOf(encoding: Encoding, size: OperandSize): number {
  const code = encoding.operands.find((o) => /^[EMWQ]/.test(o) && o !== 'ES') ?? 'Mx';
  const bytes = letterWidth(code[1], size) / 8;
  const mmx = encoding.operands.some((o) => /^[PN]/.test(o));
  const found = loads.findIndex((load) => load.unit === (mmx ? 'mmx' : 'sse') && load.bytes === bytes && (bytes < 16 || load.aligned === !encoding.instruction.unaligned));
  if (found < 0) throw new Error(`instruction table: ${encoding.instruction.mnemonic} '${encoding.text}': nothing loads ${bytes} bytes for it`);
  return found;
}

/** The operands of an encoding at an operand size, with modrm naming a register or memory. */
export function formOperands(encoding: Encoding, size: OperandSize, memory: boolean, long: boolean): FormOperand[] {
  let registers = 0;
  const inRecord = memory && !loadsFirst(encoding);
  const slot = () => (registers++ === 0 ? 'a' : 'b');
  const register = (width: OperandWidth): FormOperand =>
    (width === 128 ? { kind: 'vector', slot: slot(), width } : { kind: 'register', slot: slot(), width });
  return encoding.operands.map((code): FormOperand => {
    const width = letterWidth(code[1], size) as Width;
    switch (code) {
      case 'AL': case 'AH': return register(8);
      case 'AX': return register(16);
      case 'eAX': return register(size === 16 ? 16 : 32);
      case 'rAX': return register(size);
      case 'CL': return { kind: 'fixed', register: 1, width: 8 };
      case 'DX': return { kind: 'fixed', register: 2, width: 16 };
      case '1': case '3': return { kind: 'constant', value: Number(code), width: 8 };
      case 'ES': case 'CS': case 'SS': case 'DS': case 'FS': case 'GS': return { kind: 'number', width: 16 };
      case 'ST0': return { kind: 'constant', value: 0, width: 8 };
      case 'STi': return { kind: 'number', width: 32 };
      case 'Ibs': return { kind: 'immediate', width: size };
      case 'XMM0': return { kind: 'vector', slot: 'xmm0', width: 128 };
      case 'Iv': return { kind: 'immediate', width: size, whole: size === 64 };
      // The other operand is a control or debug register.
      case 'Rd': return register(long ? 64 : 32);
      default:
    }
    switch (code[0]) {
      case 'V': case 'U': return { kind: 'vector', slot: slot(), width: 128 };
      case 'P': case 'N': return { kind: 'vector', slot: slot(), width: 64 };
      case 'W': return inRecord ? { kind: 'memory', width } : { kind: 'vector', slot: slot(), width: 128 };
      case 'Q': return inRecord ? { kind: 'memory', width } : { kind: 'vector', slot: slot(), width: 64 };
      case 'E': return inRecord ? { kind: 'memory', width } : register(width);
      case 'M': return inRecord ? { kind: 'memory', width } : register(width);
      case 'O': return { kind: 'memory', width };
      case 'G': case 'R': case 'Z': return register(width);
      case 'I': return { kind: 'immediate', width };
      case 'S': case 'C': case 'D': return { kind: 'number', width: 32 };
      case 'J': return { kind: 'target', width: size };
      case 'A': return { kind: 'far', width: size };
      default: throw new Error(`instruction table: operand code ${code} has no form`);
    }
  });
}

/** Operand codes whose instruction does the same at every operand size. */
const sizeless: ReadonlySet<OperandCode> = new Set(['Eb', 'Gb', 'Ib', 'Zb', 'AL', 'AH', 'CL', 'DX', '1', '3', 'Mb', 'Ob']);
/** Nor does the operand size matter to an instruction on vectors whose other operands have these codes. */
const besideVectors: ReadonlySet<string> = new Set(['Ib', 'Ed', 'Ey', 'Gd', 'Gy', 'Rd', 'Mb', 'Mw', 'Md', 'Mq', 'Mx', 'XMM0']);

/** One of the x87's eight opcodes. */
export const isX87 = (encoding: Encoding): boolean => encoding.map === 0 && (encoding.opcode & 0xf8) === 0xd8;

/** The operand sizes at which an encoding occurs, each with the sizes that the decoder may report for it. */
function operandSizes(encoding: Encoding, long: boolean): { readonly size: OperandSize; readonly reported: readonly OperandSize[] }[] {
  if (encoding.operandSize) return [{ size: encoding.operandSize, reported: [encoding.operandSize] }];
  const all: OperandSize[] = !long ? [16, 32] : encoding.forced64 ? [64] : encoding.defaults64 ? [16, 64] : [16, 32, 64];
  if (usesVectors(encoding) && encoding.operands.every((o) => isVectorCode(o) || besideVectors.has(o))) {
    const wide = long && encoding.operands.some((o) => o[1] === 'y');
    return wide ? [{ size: 32, reported: [16, 32] }, { size: 64, reported: [64] }] : [{ size: 32, reported: all }];
  }
  const x87 = isX87(encoding) && !encoding.operands.includes('M');
  const bytesOnly = x87 || encoding.operands.length > 0 && encoding.operands.every((o) => sizeless.has(o)) && !encoding.instruction.ends;
  return bytesOnly ? [{ size: 32, reported: all }] : all.map((size) => ({ size, reported: [size] }));
}

const usesModrm = (encoding: Encoding): boolean => encoding.modrm !== 'none' || encoding.modrmByte !== undefined;
const namesMemory = (encoding: Encoding): boolean => encoding.operands.some((o) => 'EMOWQ'.includes(o[0]) && o !== 'ES');
const jumps = (encoding: Encoding): boolean => encoding.operands.some((o) => o[0] === 'J');

/** Whether an encoding can be met in 64-bit code, or in 16- and 32-bit code. */
export function existsIn(encoding: Encoding, long: boolean): boolean {
  return long ? !encoding.invalid64 && encoding.addressSize !== 16 : !encoding.only64 && encoding.operandSize !== 64 && encoding.addressSize !== 64;
}

/** MASKMOVQ and MASKMOVDQU: registers in modrm, and memory at DS:rDI. */
export const impliesMemory = (encoding: Encoding): boolean => usesModrm(encoding) && !!encoding.instruction.implicit?.reads?.includes('rDI');

interface Shape {
  readonly encoding: Encoding;
  readonly size: OperandSize;
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

type Place = Pick<Form, 'addressing' | 'addressSize' | 'flatMemory' | 'distant'>;

const places: Readonly<Record<Addressing, Place>> = {
  [Addressing.Register]: { addressing: 'none', addressSize: 32, flatMemory: false, distant: false },
  [Addressing.Base]: { addressing: 'base', addressSize: 32, flatMemory: true, distant: false },
  [Addressing.Index]: { addressing: 'index', addressSize: 32, flatMemory: true, distant: false },
  [Addressing.Segmented]: { addressing: 'index', addressSize: 32, flatMemory: false, distant: false },
  [Addressing.Sixteen]: { addressing: 'index', addressSize: 16, flatMemory: false, distant: false },
};

function longPlace(addressing: LongAddressing, jump: boolean): Place {
  switch (addressing) {
    case LongAddressing.Register: return { addressing: 'none', addressSize: 64, flatMemory: false, distant: false };
    case LongAddressing.Base: return { addressing: 'base', addressSize: 64, flatMemory: true, distant: false };
    case LongAddressing.Index: return { addressing: 'index', addressSize: 64, flatMemory: true, distant: false };
    case LongAddressing.Absolute: return { addressing: 'absolute', addressSize: 64, flatMemory: true, distant: false };
    case LongAddressing.Segmented: return { addressing: 'index', addressSize: 64, flatMemory: false, distant: jump };
    case LongAddressing.SegmentedAbsolute: return { addressing: 'absolute', addressSize: jump ? 32 : 64, flatMemory: false, distant: jump };
    case LongAddressing.ThirtyTwo: return { addressing: 'index', addressSize: 32, flatMemory: false, distant: false };
  }
}

const legacyMemory = [Addressing.Base, Addressing.Index, Addressing.Segmented, Addressing.Sixteen] as const;
const longMemory = [
  LongAddressing.Base, LongAddressing.Index, LongAddressing.Absolute, LongAddressing.Segmented, LongAddressing.SegmentedAbsolute, LongAddressing.ThirtyTwo,
] as const;

/** The addressing variants in which an encoding occurs. */
function addressingsOf(encoding: Encoding): readonly Addressing[] {
  if (impliesMemory(encoding)) return [Addressing.Base, Addressing.Segmented, Addressing.Sixteen];
  if (!usesModrm(encoding)) return legacyMemory;
  if (encoding.mod === 'reg' || !namesMemory(encoding)) return [Addressing.Register];
  return encoding.mod === 'mem' ? legacyMemory : [Addressing.Register, ...legacyMemory];
}

function longAddressingsOf(encoding: Encoding): readonly LongAddressing[] {
  if (impliesMemory(encoding)) return [LongAddressing.Base, LongAddressing.Segmented, LongAddressing.ThirtyTwo];
  if (!usesModrm(encoding)) {
    return namesMemory(encoding) ? [LongAddressing.Absolute, LongAddressing.SegmentedAbsolute]
      : [LongAddressing.Base, LongAddressing.Segmented, LongAddressing.ThirtyTwo, ...(jumps(encoding) ? [LongAddressing.SegmentedAbsolute] : [])];
  }
  if (encoding.mod === 'reg' || !namesMemory(encoding)) return [LongAddressing.Register];
  return encoding.mod === 'mem' ? longMemory : [LongAddressing.Register, ...longMemory];
}

/** Handler numbers of all forms. */
export class FormIndex {
  private readonly numbers: Int32Array;
  private readonly loadNumbers: Int32Array;
  private readonly sizes: number;
  private readonly addressings: number;
  private readonly stacks: number;

  constructor(table: InstructionTable, long: boolean) {
    [this.sizes, this.addressings, this.stacks] = long ? [3, 7, 1] : [2, 5, 3];
    this.loadNumbers = new Int32Array(loads.length * this.addressings);
    this.numbers = new Int32Array(table.encodings.length * this.sizes * this.addressings * this.stacks * repeats.length);
  }

  private slot(encoding: number, size: OperandSize, addressing: number, stack: number, repeat: number): number {
    return (((encoding * this.sizes + sizeNumber(size)) * this.addressings + addressing) * this.stacks + stack) * repeats.length + repeat;
  }

  /** Handler number, or 0 for a combination that cannot occur. */
  find(encoding: number, operandSize: OperandSize, addressing: Addressing | LongAddressing, stack: Stack, repeat: number): number {
    return this.numbers[this.slot(encoding, operandSize, addressing, stack, repeat)];
  }

  /** Handler number of a record that loads a vector instruction's memory operand (see {@link loads}). */
  findLoad(load: number, addressing: Addressing | LongAddressing): number {
    return this.loadNumbers[load * this.addressings + addressing];
  }

  setLoad(load: number, addressing: Addressing | LongAddressing, handler: number): void {
    this.loadNumbers[load * this.addressings + addressing] = handler;
  }

  set(encoding: number, operandSize: OperandSize, addressing: Addressing | LongAddressing, stack: Stack, repeat: number, handler: number): void {
    this.numbers[this.slot(encoding, operandSize, addressing, stack, repeat)] = handler;
  }
}

/**
 * Walks every form of the table, of 64-bit code (`long`) or of the others. `emit` writes the handler of a form seen for the first time and
 * returns its number and dependencies; forms that would come out alike share a number.
 */
export function enumerateForms(
  table: InstructionTable, long: boolean, emit: (form: Form) => { handler: number; dependencies: Dependencies }, emitLoad: (load: Load, form: Form) => number,
): FormIndex {
  const index = new FormIndex(table, long);
  const handlers = new Map<string, number>();
  const shapes = new Map<string, Dependencies>();
  const instructionNumber = new Map(table.instructions.map((row, i) => [row, i]));

  /** What a form is apart from where its memory operand and the stack are. */
  const shapeOf = (encoding: Encoding, size: OperandSize, memory: boolean): Shape => {
    const operands = formOperands(encoding, size, memory, long);
    const kinds = operands.map((o) => `${o.kind}${o.width}${'slot' in o ? o.slot : ''}${'value' in o ? o.value : ''}${'whole' in o && o.whole ? 'whole' : ''}`);
    return { encoding, size, memory, operands, key: `${instructionNumber.get(encoding.instruction)} ${size} ${kinds.join(' ')}` };
  };

  const handlerFor = ({ encoding, size, memory, operands, key: shape }: Shape, place: Place, stack: Stack, repeat: Repeat): number => {
    const make = (key: string): Form => ({
      key, encoding, operands, long, operandSize: size, ...place, addressing: memory ? place.addressing : 'none',
      flat: stack === Stack.Flat, stackSize: long ? 64 : stack === Stack.Segmented16 ? 16 : 32, repeat,
    });
    const keyOf = (d: Dependencies): string => {
      const located = memory || d.implicitMemory ? `${place.addressing} ${place.addressSize} ${place.flatMemory}` : d.addressSize ? `${place.addressSize}` : '';
      // A memory operand in a flat segment exists in flat contexts only, so the stack situation matters just for the rest.
      const situation = d.stack ? `stack${stack}` : d.targets ? `targets${stack === Stack.Flat}` : '';
      return `${shape} | ${located} | ${situation} | ${repeat} | ${place.distant}`;
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
    if (!existsIn(encoding, long)) continue;
    const jump = jumps(encoding);
    const split = loadsFirst(encoding);
    const prefixes: readonly Repeat[] = encoding.instruction.repeat === 'rep' ? ['none', 'rep'] : encoding.instruction.repeat === 'repz' ? ['none', 'repz', 'repnz'] : ['none'];
    for (const { size, reported } of operandSizes(encoding, long)) {
      const inRegister = shapeOf(encoding, size, split);
      const inMemory = namesMemory(encoding) && !split ? shapeOf(encoding, size, true) : inRegister;
      const enter = (addressing: Addressing | LongAddressing, place: Place, stack: Stack): void => {
        for (const repeat of prefixes) {
          const handler = handlerFor(place.addressing === 'none' ? inRegister : inMemory, place, stack, repeat);
          for (const size of reported) index.set(encoding.id, size, addressing, stack, repeatIndex[repeat], handler);
        }
      };
      if (long) {
        for (const addressing of split ? [LongAddressing.Register] : longAddressingsOf(encoding)) enter(addressing, longPlace(addressing, jump), Stack.Flat);
        continue;
      }
      for (const addressing of split ? [Addressing.Register] : addressingsOf(encoding)) {
        for (const stack of [Stack.Flat, Stack.Segmented32, Stack.Segmented16]) {
          // Only a flat context has flat segments.
          if (stack !== Stack.Flat && (addressing === Addressing.Base || addressing === Addressing.Index)) continue;
          enter(addressing, places[addressing], stack);
        }
      }
    }
  }
  const loadPlaces: readonly (readonly [Addressing | LongAddressing, Place])[] = long
    ? longMemory.map((addressing) => [addressing, longPlace(addressing, false)] as const)
    : legacyMemory.map((addressing) => [addressing, places[addressing]] as const);
  loads.forEach((load, n) => {
    for (const [addressing, place] of loadPlaces) {
      index.setLoad(n, addressing, emitLoad(load, {
        key: `load ${load.unit} ${load.bytes}${load.aligned ? ' aligned' : ''} | ${addressing}`, encoding: table.encodings[0],
        operands: [{ kind: 'memory', width: (load.bytes * 8) as OperandWidth }], long, operandSize: 32, ...place, flat: long, stackSize: long ? 64 : 32, repeat: 'none',
      }));
    }
  });
  return index;
}
