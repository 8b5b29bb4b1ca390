/**
 * The builder: the language in which an instruction's semantics is written, once. A back end (threaded code, regions) implements it.
 *
 * Values are pure expressions; an operation with an effect or a dependency on state (reading a register, loading memory, reading a flag)
 * is carried out where it is written and yields a value that later effects do not change. 8-, 16- and 32-bit values are i32 with their
 * upper bits zero; 64-bit values are i64. Vectors are v128, of which an MMX operand fills the low half; floating-point numbers are f32 and f64.
 *
 * Faults: `load`, `store`, `raiseIf` and callouts may leave the instruction. Nothing that the guest can see may be written before the
 * last operation that may fault, so that the instruction can be restarted.
 */

import type { ExactCheck, ExtractOperation, FloatOperation, FloatType, ReplaceOperation, ValueType, VectorOperation } from './vector';
import type { X87Builder } from './x87-builder';

/** A condition, or one and another that is looked at only where the first does not hold. */
export type Requirement = Value | readonly [Value, () => Value];

/** An SSA value. Opaque to semantics. */
export interface Value {
  readonly type: ValueType;
}

export type Width = 8 | 16 | 32 | 64;

/** What a repeated MOVS (`source` memory) or STOS (`source` accumulator) does, see {@link Builder.repeatString}. */
export interface StringRun {
  readonly source: 'memory' | 'accumulator';
  readonly width: Width;
}

/** 64-bit words of the processor state that 64-bit code moves around in place. */
export type WideState = 'fsBase' | 'gsBase' | 'kernelGsBase';

/** The six arithmetic flags by letter. */
export type ArithmeticFlag = 'O' | 'S' | 'Z' | 'A' | 'P' | 'C';

/** Conditions by their number in the opcode's low four bits (SDM Vol. 1, appendix B). */
export type Condition = 'o' | 'no' | 'b' | 'ae' | 'e' | 'ne' | 'be' | 'a' | 's' | 'ns' | 'p' | 'np' | 'l' | 'ge' | 'le' | 'g';
export const conditions: readonly Condition[] = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];
/** What each condition asks, in words and flags. */
export const conditionTitles: Readonly<Record<Condition, string>> = {
  o: 'overflow (OF = 1)', no: 'no overflow (OF = 0)', b: 'below (CF = 1)', ae: 'above or equal (CF = 0)', e: 'equal (ZF = 1)',
  ne: 'not equal (ZF = 0)', be: 'below or equal (CF = 1 or ZF = 1)', a: 'above (CF = 0 and ZF = 0)', s: 'negative (SF = 1)',
  ns: 'not negative (SF = 0)', p: 'parity even (PF = 1)', np: 'parity odd (PF = 0)', l: 'less (SF ≠ OF)', ge: 'greater or equal (SF = OF)',
  le: 'less or equal (ZF = 1 or SF ≠ OF)', g: 'greater (ZF = 0 and SF = OF)',
};

export type BinaryOperation =
  | 'add' | 'sub' | 'mul' | 'and' | 'or' | 'xor' | 'shl' | 'shr' | 'sar' | 'rotl' | 'divU' | 'remU' | 'divS' | 'remS'
  | 'eq' | 'ne' | 'ltU' | 'ltS' | 'leU' | 'leS' | 'gtU' | 'gtS' | 'geU' | 'geS';

/** Memory operand: a segment and an offset within it, already truncated to the address size. */
export interface Address {
  readonly segment: SegmentRef;
  readonly offset: Value;
}
/** A segment register known when the form is generated (0–5), or the one that the record names. */
export type SegmentRef = number | 'record';
/** A segment register as an operand: known by number, or the one that the record's `Sw` operand names. */
export type SelectorRef = number | 'operand';

export interface Builder extends X87Builder {
  /** Size in bits that `v`, `z` and `p` operands have in this form. */
  readonly operandSize: 16 | 32 | 64;
  /** Size in bits of operand 0 (or the row's `size`). */
  readonly width: Width;
  /** Size of addresses in this form. */
  readonly addressSize: 16 | 32 | 64;
  /** Stack-pointer width in this form (SS.B; 64 in long mode). */
  readonly stackSize: 16 | 32 | 64;
  /** Repeat prefix of this form. */
  readonly repeat: 'none' | 'rep' | 'repz' | 'repnz';

  /** Number of operands of the form. */
  readonly operandCount: number;
  /** 64-bit code: 32-bit register writes clear the upper half. */
  readonly long: boolean;
  /** True when a direct jump's target may be one that CS forbids (a limit below 4 GiB, a non-canonical address), so that it needs a check. */
  readonly checksTargets: boolean;

  // Operands, by position.
  operandWidth(n: number): Width;
  isMemory(n: number): boolean;
  isImmediate(n: number): boolean;
  /** Register, memory or immediate operand, zero-extended (immediates: sign-extended where the code says so, then truncated to the operand size). */
  read(n: number): Value;
  /** Like read for memory that will be written: checks that the store cannot fault. */
  readForWrite(n: number): Value;
  /** Write the operand. After readForWrite this cannot fault. A 32-bit register write clears the upper half of its slot. */
  write(n: number, value: Value): void;
  /** Effective address of a memory operand. */
  address(n: number): Address;
  /** Instruction's immediate as a number known to the record (far pointers: immediate = offset, second = selector; ENTER: size, level). */
  immediate(): Value;
  secondImmediate(): Value;
  /** Register number in the record's `reg` field (CRn, DRn, Sreg). */
  registerNumber(n: number): Value;

  // Registers by number and width.
  register(n: number, width: Width): Value;
  setRegister(n: number, width: Width, value: Value): void;
  /** 8-bit high registers: 0 AH, 1 CH, 2 DH, 3 BH. */
  highByte(n: number): Value;
  setHighByte(n: number, value: Value): void;
  /** Visible selector of a segment register. */
  selector(segment: SelectorRef): Value;

  // Pure arithmetic on values. Of two operands the first tells the type; an i32 beside an i64 is unsigned, unless it is a constant.
  constant(value: number, width?: Width): Value;
  op(operation: BinaryOperation, a: Value, b: Value): Value;
  not(a: Value): Value;
  /** (a == 0) as 0 or 1. */
  isZero(a: Value): Value;
  select(condition: Value, whenTrue: Value, whenFalse: Value): Value;
  clz(a: Value): Value;
  ctz(a: Value): Value;
  popcnt(a: Value): Value;
  /** Upper half of the 128-bit product of two i64. */
  mulHigh(a: Value, b: Value, signed: boolean): Value;
  /** 1 when bits 63 to 47 of an i64 are alike. */
  isCanonical(a: Value): Value;
  /** Sign-extend from `width` to the full value type. */
  signExtend(a: Value, width: Width): Value;
  /** Keep the low `width` bits. */
  truncate(a: Value, width: Width): Value;
  /** i32 → i64 and back. */
  extend64(a: Value, signed: boolean): Value;
  wrap32(a: Value): Value;
  /** Compute now and name the result, so that it is computed once. */
  let(a: Value): Value;

  // Control inside an instruction.
  if(condition: Value, then: () => void, otherwise?: () => void): void;
  /** `then` where all requirements are met, else `otherwise`, the runtime's way of doing the instruction, instead of which a back end may have its own. */
  attempt(requirements: readonly Requirement[], then: () => void, otherwise: () => void): void;
  /** Repeat `body` while it returns a non-zero value. */
  loop(body: () => Value): void;
  /** A mutable local, for loops and merges. */
  variable(initial: Value): { get(): Value; set(value: Value): void };

  // Memory.
  load(address: Address, width: Width): Value;
  /** Load that also guarantees that a store to the same bytes will not fault. */
  loadForWrite(address: Address, width: Width): Value;
  store(address: Address, width: Width, value: Value): void;
  /** Linear address of a memory operand, without any access or check (INVLPG). */
  linear(address: Address): Value;
  /** address + delta bytes, truncated to the address size. */
  offsetBy(address: Address, delta: number | Value): Address;
  /** 1 when the memory operand's base register is rSP (POP computes such an address after the increment). */
  usesStackPointer(n: number): Value;
  /** Memory that an instruction names without a modrm byte, e.g. DS:rSI. The segment 'record' honours an override. */
  implicitAddress(segment: SegmentRef, offset: Value): Address;

  // Stack (SS:rSP with the stack size of the form).
  /** SS:(rSP + delta), truncated to the stack size. */
  stackAddress(delta: number): Address;
  /** Push one value of the given width; faults before rSP changes. */
  push(value: Value, width: 16 | 32 | 64): void;
  /** Value at the top of the stack, rSP unchanged. */
  top(width: 16 | 32 | 64): Value;
  /** rSP += bytes. */
  release(bytes: number | Value): void;

  // Flags.
  flag(flag: ArithmeticFlag): Value;
  condition(condition: Condition): Value;
  /** All six from an addition or subtraction (with the carry or borrow that went in) of `width` bits. `result` is truncated. */
  flagsAdd(a: Value, b: Value, result: Value, width: Width): void;
  flagsSub(a: Value, b: Value, result: Value, width: Width): void;
  /** The same, CF unchanged (INC, DEC). */
  flagsInc(result: Value, width: Width): void;
  flagsDec(result: Value, width: Width): void;
  /** SF ZF PF from the result, CF = OF = AF = 0. */
  flagsLogic(result: Value, width: Width): void;
  /** SF ZF PF from the result; CF, OF and AF given as 0/1 values. */
  flagsResult(result: Value, width: Width, carry: Value, overflow: Value, auxiliary?: Value): void;
  /** Set single flags, the others unchanged. */
  setFlags(values: Partial<Record<ArithmeticFlag, Value>>): void;
  /** Set all six from EFLAGS-format bits. */
  setArithmeticFlags(eflags: Value): void;
  /** EFLAGS image of the six. */
  arithmeticFlags(): Value;
  /** Non-arithmetic EFLAGS bits (TF IF DF IOPL NT RF VM AC VIF VIP ID). */
  systemFlags(): Value;
  setSystemFlags(value: Value): void;

  // Processor state that in-place semantics may look at.
  privilegeLevel(): Value;
  controlRegister(n: 0 | 2 | 3 | 4): Value;
  /** 1 when CR0.PE = 1 and EFLAGS.VM = 0. */
  protectedMode(): Value;
  /** 1 when the machine wants to know of processors that spin. */
  pauseTold(): Value;
  /** GDTR or IDTR. */
  descriptorTable(register: 'gdtr' | 'idtr', field: 'base' | 'limit'): Value;
  wideState(name: WideState): Value;
  setWideState(name: WideState, value: Value): void;
  /** The 64-bit result that a callout leaves, see cpu/callouts.ts. */
  calloutWide(): Value;
  /** The word that a callout leaves besides its result. */
  calloutSecond(): Value;

  // Exceptions.
  raiseIf(condition: Value, vector: number, errorCode?: number): void;
  raise(vector: number, errorCode?: number): void;

  /**
   * The body of a string instruction: carried out once, or, under a repeat prefix, while rCX counts down (and, for compares, while ZF is as
   * the prefix asks). Restartable and interruptible between iterations. `run` tells a back end that the body does nothing but copy
   * elements upwards or downwards from DS:rSI (or store rAX) to ES:rDI, so that it may do many at once.
   */
  repeatString(body: () => void, run?: StringRun): void;

  // Control transfer; each must be the last operation.
  /** Offset in CS of the J operand's target. */
  target(): Value;
  /** #GP(0) when an offset lies outside CS, or is not canonical (SDM: checked before anything is pushed or popped). */
  checkTarget(offset: Value): void;
  /** Address of the next instruction (offset in CS, truncated to the operand size). */
  nextInstruction(): Value;
  /** Direct jump to the J operand's target. */
  jump(): void;
  /** Conditional direct jump, else the next instruction. */
  jumpIf(condition: Value): void;
  /** Indirect jump to an offset in CS. */
  jumpTo(offset: Value): void;
  /** Direct call and return addresses take part in return prediction: a call pushes and jumps. */
  call(): void;
  callTo(offset: Value): void;
  returnTo(offset: Value): void;
  /** End the unit; the machine goes on at EIP (which a callout may have set). Pending interrupts are looked at. */
  leave(): void;
  /** End the unit behind this instruction: as leave(), at the next instruction. */
  leaveToNext(): void;

  // Vectors and floating-point numbers.

  /** Faults if the unit may not be used now (CR0.EM, CR0.TS, CR4.OSFXSR, a pending x87 exception). Comes before everything else. */
  requireUnit(unit: 'x87' | 'mmx' | 'sse'): void;
  operate(operation: FloatOperation | VectorOperation, ...values: Value[]): Value;
  extractLane(operation: ExtractOperation, vector: Value, lane: number): Value;
  replaceLane(operation: ReplaceOperation, vector: Value, lane: number, value: Value): Value;
  /** Sixteen bytes chosen from two vectors: 0–15 from a, 16–31 from b. */
  shuffle(lanes: readonly number[], a: Value, b: Value): Value;
  /** Sixteen bytes, the lowest first. */
  vectorConstant(bytes: readonly number[]): Value;
  floatConstant(value: number, type: FloatType): Value;
  /** True when the operand is an MMX register or 64 bits of memory beside one. */
  isMmx(n: number): boolean;
  /** XMM or MMX register, or memory: what it does not fill is zero, but of an XMM register more than the instruction means may be there. */
  readVector(n: number): Value;
  /** The whole register, or the operand's width of memory. */
  writeVector(n: number, value: Value): void;
  /** The lowest f32 or f64 of a vector operand. */
  readFloat(n: number, type: FloatType): Value;
  /** The lowest element of a vector register, as wide as the value; the others unchanged. */
  writeLow(n: number, value: Value): void;
  /** Element `index` of a vector register as a general value. */
  readElement(n: number, width: Width, index: number | Value): Value;
  writeElement(n: number, width: Width, index: number | Value, value: Value): void;
  /** Where the operand's bytes stand in the state page, for callouts: the register, or the copy of the memory operand. */
  vectorAddress(n: number): Value;
  /** What every MMX instruction does to the x87 unit: TOP = 0, all registers valid; EMMS makes them all empty. */
  enterMmx(): void;
  leaveMmx(): void;
  mxcsr(): Value;
  /** Notes the precision exception, unless it has been noted or `exact` says that nothing was rounded. Behind everything that is required, before the result. */
  notePrecision(exact: () => Value): void;
  /** 1 when MXCSR rounds to nearest and masks the precision exception. Where it does not, the runtime does the instruction. */
  roundsToNearest(): Value;
  /**
   * Zeros and normal numbers, which ask for no care: whether a value (a vector: of such numbers) is known to be one, however that came to be known;
   * that a value is one; that a vector operand's lowest number is one, or all of them.
   */
  knownPlain(value: Value, type: FloatType): boolean;
  markPlain(value: Value, type: FloatType): Value;
  markOperandPlain(n: number, type: FloatType, all: boolean): void;
  /** 1 when an operation on such numbers has rounded nothing. */
  isExact(check: ExactCheck, x: Value, y: Value, result: Value): Value;
  setMxcsr(value: Value): void;
  /** A vector from the tables of constants (vector-tables.ts), entry `index` of 16 bytes. */
  vectorTable(table: 'shuffleDoublewords' | 'shuffleLowWords' | 'shuffleHighWords' | 'crc32c', index: Value): Value;

  /**
   * Call the runtime. `name` is a row of cpu/callouts.ts. EIP is exact while it runs. The callout may fault (the instruction is then
   * abandoned). The result is i32; further results come through the state page. How 64-bit arguments get there: see cpu/callouts.ts.
   */
  callout(name: string, ...values: Value[]): Value;
}

export type Semantics = (b: Builder) => void;
