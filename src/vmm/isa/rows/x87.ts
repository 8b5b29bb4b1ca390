/**
 * The x87: loads and stores, arithmetic, comparison, the transcendental instructions, control (SDM Vol. 1, chapter 8). The undocumented
 * aliases of a few register forms are declared as what they do.
 */
import type { Builder, Semantics } from '../builder';
import type { InstructionSpec } from '../types';
import { X87Compare, X87Format } from '../x87-builder';

/** A waiting instruction: all but a few of control. */
const waiting = (body: Semantics): Semantics => (b) => {
  b.requireX87('waiting');
  body(b);
};
/** One without a fast path: the callout does it all. */
const calls = (name: string, ...values: number[]): Semantics => waiting((b) => {
  b.noteX87();
  b.callout(name, ...values.map((value) => b.constant(value)));
});
/** The same with the number of a stack register first. */
const callsWith = (name: string, ...values: number[]): Semantics => waiting((b) => {
  b.noteX87();
  b.callout(name, b.registerNumber(0), ...values.map((value) => b.constant(value)));
});

const load = (format: X87Format): Semantics => waiting((b) => b.x87Load(format));
const store = (format: X87Format, pop: boolean, chop = false): Semantics => waiting((b) => b.x87Store(format, pop, chop));
/** `digit`: the /digit of the opcode's memory form tells the operation. */
const arithmetic = (digit: number, toRegister: boolean, pop: boolean): Semantics => waiting((b) => b.x87Arithmetic(digit, toRegister, pop));
const arithmeticMemory = (digit: number, format: X87Format): Semantics => waiting((b) => b.x87ArithmeticMemory(digit, format));
const compareWith = (how: X87Compare, pops: 0 | 1): Semantics => waiting((b) => b.x87Compare('operand', how, pops));
/** FCOMPP and FUCOMPP name no operand: it is ST(1). */
const compareAndPopBoth = (how: X87Compare): Semantics => waiting((b) => b.x87Compare('next', how, 2));
const compareMemory = (format: X87Format, pops: 0 | 1): Semantics => waiting((b) => b.x87CompareMemory(format, pops));

/** Control instructions are not noted as the last one. */
const controls = (how: 'waiting' | 'notWaiting', body: Semantics): Semantics => (b) => {
  b.requireX87(how);
  body(b);
};
/** An image in memory: the callout does it all. */
const image = (how: 'waiting' | 'notWaiting', name: string): Semantics => controls(how, (b) => { b.callout(name, b.imageAddress(0), b.segmentEntry(0)); });

const feature = 'fpu';
const PENDING = '#MF if an unmasked x87 exception is pending', UNAVAILABLE = '#NM if CR0.EM or CR0.TS is set';
const exceptions = [UNAVAILABLE, PENDING];
const exceptionsOfControl = [UNAVAILABLE];

/** FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR with all their forms. `intoRegister`: the digit of the forms that write ST(i). */
const family = (name: string, title: string, digit: number, intoRegister: number): InstructionSpec[] => [
  { mnemonic: `f${name}`, title, encodings: [`D8 /${digit} : Md`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, X87Format.Single) },
  { mnemonic: `f${name}`, title, encodings: [`DC /${digit} : Mq`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, X87Format.Double) },
  { mnemonic: `f${name}`, title, encodings: [`D8 /${digit} : ST0 STi ; reg`, `D8 /${digit} : STi ; reg syntax`], feature, exceptions, semantics: arithmetic(digit, false, false) },
  { mnemonic: `f${name}`, title, encodings: [`DC /${intoRegister} : STi ST0 ; reg`], feature, exceptions, semantics: arithmetic(directed(digit), true, false) },
  {
    mnemonic: `f${name}p`, title: `${title} and pop`, feature, exceptions, semantics: arithmetic(directed(digit), true, true),
    encodings: [`DE /${intoRegister} : STi ST0 ; reg`, `DE /${intoRegister} : STi ; reg syntax`, `DE ${(0xc1 + 8 * intoRegister).toString(16).toUpperCase()} : ; syntax`],
  },
  { mnemonic: `fi${name}`, title: `${title}, integer operand`, encodings: [`DA /${digit} : Md`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, X87Format.Integer32) },
  { mnemonic: `fi${name}`, title: `${title}, integer operand`, encodings: [`DE /${digit} : Mw`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, X87Format.Integer16) },
];
/** Into ST(i), FSUB means ST(i) - ST(0): the operation that ST(0) calls reversed. */
const directed = (digit: number): number => (digit >= 4 ? digit ^ 1 : digit);

const memoryRow = (mnemonic: string, title: string, encoding: string, access: 'r' | 'w', semantics: Semantics, more: Partial<InstructionSpec> = {}): InstructionSpec =>
  ({ mnemonic, title, encodings: [encoding], feature, exceptions, access: [access], semantics, ...more });
const plainRow = (mnemonic: string, title: string, encoding: string, semantics: Semantics, more: Partial<InstructionSpec> = {}): InstructionSpec =>
  ({ mnemonic, title, encodings: [encoding], feature, exceptions, semantics, ...more });

const loadsAndStores: readonly InstructionSpec[] = [
  memoryRow('fld', 'Load floating-point value', 'D9 /0 : Md', 'r', load(X87Format.Single)),
  memoryRow('fld', 'Load floating-point value', 'DD /0 : Mq', 'r', load(X87Format.Double)),
  memoryRow('fld', 'Load floating-point value', 'DB /5 : Mt', 'r', load(X87Format.Extended)),
  { mnemonic: 'fld', title: 'Load floating-point value', encodings: ['D9 /0 : STi ; reg'], feature, exceptions, access: ['r'], semantics: waiting((b) => b.x87LoadRegister()) },
  memoryRow('fst', 'Store floating-point value', 'D9 /2 : Md', 'w', store(X87Format.Single, false)),
  memoryRow('fst', 'Store floating-point value', 'DD /2 : Mq', 'w', store(X87Format.Double, false)),
  {
    mnemonic: 'fst', title: 'Store floating-point value', encodings: ['DD /2 : STi ; reg'], feature, exceptions, access: ['w'],
    semantics: waiting((b) => b.x87StoreRegister(false)),
  },
  memoryRow('fstp', 'Store floating-point value and pop', 'D9 /3 : Md', 'w', store(X87Format.Single, true)),
  memoryRow('fstp', 'Store floating-point value and pop', 'DD /3 : Mq', 'w', store(X87Format.Double, true)),
  memoryRow('fstp', 'Store floating-point value and pop', 'DB /7 : Mt', 'w', store(X87Format.Extended, true)),
  {
    mnemonic: 'fstp', title: 'Store floating-point value and pop', feature, exceptions, access: ['w'],
    encodings: ['DD /3 : STi ; reg', 'DF /2 : STi ; reg asm-', 'DF /3 : STi ; reg asm-'],
    semantics: waiting((b) => b.x87StoreRegister(true)),
  },
  {
    mnemonic: 'fstp', title: 'Store floating-point value and pop, no stack underflow', feature, exceptions, access: ['w'], encodings: ['D9 /3 : STi ; reg asm-'],
    semantics: callsWith('fpuStoreUnchecked'),
  },
  memoryRow('fild', 'Load integer', 'DF /0 : Mw', 'r', load(X87Format.Integer16)),
  memoryRow('fild', 'Load integer', 'DB /0 : Md', 'r', load(X87Format.Integer32)),
  memoryRow('fild', 'Load integer', 'DF /5 : Mq', 'r', load(X87Format.Integer64)),
  memoryRow('fist', 'Store integer', 'DF /2 : Mw', 'w', store(X87Format.Integer16, false)),
  memoryRow('fist', 'Store integer', 'DB /2 : Md', 'w', store(X87Format.Integer32, false)),
  memoryRow('fistp', 'Store integer and pop', 'DF /3 : Mw', 'w', store(X87Format.Integer16, true)),
  memoryRow('fistp', 'Store integer and pop', 'DB /3 : Md', 'w', store(X87Format.Integer32, true)),
  memoryRow('fistp', 'Store integer and pop', 'DF /7 : Mq', 'w', store(X87Format.Integer64, true)),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DF /1 : Mw', 'w', store(X87Format.Integer16, true, true), { feature: 'sse3' }),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DB /1 : Md', 'w', store(X87Format.Integer32, true, true), { feature: 'sse3' }),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DD /1 : Mq', 'w', store(X87Format.Integer64, true, true), { feature: 'sse3' }),
  memoryRow('fbld', 'Load packed decimal', 'DF /4 : Mt', 'r', load(X87Format.Decimal)),
  memoryRow('fbstp', 'Store packed decimal and pop', 'DF /6 : Mt', 'w', store(X87Format.Decimal, true)),
  {
    mnemonic: 'fxch', title: 'Exchange stack registers', feature, exceptions, access: ['rw', 'rw'],
    encodings: ['D9 /1 : ST0 STi ; reg', 'D9 /1 : STi ; reg syntax', 'D9 /1 : STi ST0 ; reg syntax', 'D9 C9 : ; syntax', 'DD /1 : ST0 STi ; reg asm-', 'DF /1 : ST0 STi ; reg asm-'],
    semantics: waiting((b) => b.x87Exchange()),
  },
];

const constantNames = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'];
const constantTitles = ['1', 'log2 10', 'log2 e', 'pi', 'log10 2', 'ln 2', '+0'];
const constantRows: readonly InstructionSpec[] = constantNames.map((mnemonic, n) =>
  plainRow(mnemonic, `Load constant ${constantTitles[n]}`, `D9 ${(0xe8 + n).toString(16).toUpperCase()} :`, waiting((b) => b.x87Constant(n))));

const moves: readonly (readonly [string, string, string, Parameters<Builder['condition']>[0]])[] = [
  ['b', 'below', 'DA /0', 'b'], ['e', 'equal', 'DA /1', 'e'], ['be', 'below or equal', 'DA /2', 'be'], ['u', 'unordered', 'DA /3', 'p'],
  ['nb', 'not below', 'DB /0', 'ae'], ['ne', 'not equal', 'DB /1', 'ne'], ['nbe', 'not below or equal', 'DB /2', 'a'], ['nu', 'not unordered', 'DB /3', 'np'],
];
const flagsOfMove: Readonly<Record<string, string>> = { b: 'C', e: 'Z', be: 'CZ', u: 'P', nb: 'C', ne: 'Z', nbe: 'CZ', nu: 'P' };
const moveRows: readonly InstructionSpec[] = moves.map(([suffix, title, opcode, condition]) => ({
  mnemonic: `fcmov${suffix}`, title: `Move stack register if ${title}`, encodings: [`${opcode} : ST0 STi ; reg`, `${opcode} : STi ; reg syntax`], feature: 'cmov',
  flags: { reads: flagsOfMove[suffix] }, exceptions, access: ['rw', 'r'],
  semantics: waiting((b) => b.x87Move(b.condition(condition))),
}));

const flagsOfComparison = { writes: 'ZPC', clears: 'OSA' };
const comparisons: readonly InstructionSpec[] = [
  memoryRow('fcom', 'Compare floating-point values', 'D8 /2 : Md', 'r', compareMemory(X87Format.Single, 0)),
  memoryRow('fcom', 'Compare floating-point values', 'DC /2 : Mq', 'r', compareMemory(X87Format.Double, 0)),
  {
    mnemonic: 'fcom', title: 'Compare floating-point values', feature, exceptions, access: ['r', 'r'], semantics: compareWith(X87Compare.Ordered, 0),
    encodings: ['D8 /2 : ST0 STi ; reg', 'D8 /2 : STi ; reg syntax', 'D8 D1 : ; syntax', 'DC /2 : ST0 STi ; reg asm-'],
  },
  memoryRow('fcomp', 'Compare floating-point values and pop', 'D8 /3 : Md', 'r', compareMemory(X87Format.Single, 1)),
  memoryRow('fcomp', 'Compare floating-point values and pop', 'DC /3 : Mq', 'r', compareMemory(X87Format.Double, 1)),
  {
    mnemonic: 'fcomp', title: 'Compare floating-point values and pop', feature, exceptions, access: ['r', 'r'], semantics: compareWith(X87Compare.Ordered, 1),
    encodings: ['D8 /3 : ST0 STi ; reg', 'D8 /3 : STi ; reg syntax', 'D8 D9 : ; syntax', 'DC /3 : ST0 STi ; reg asm-', 'DE /2 : ST0 STi ; reg asm-'],
  },
  plainRow('fcompp', 'Compare floating-point values and pop both', 'DE D9 :', compareAndPopBoth(X87Compare.Ordered)),
  {
    mnemonic: 'fucom', title: 'Compare floating-point values, quietly', feature, exceptions, access: ['r', 'r'], semantics: compareWith(X87Compare.Quietly, 0),
    encodings: ['DD /4 : ST0 STi ; reg', 'DD /4 : STi ; reg syntax', 'DD E1 : ; syntax'],
  },
  {
    mnemonic: 'fucomp', title: 'Compare floating-point values, quietly, and pop', feature, exceptions, access: ['r', 'r'], semantics: compareWith(X87Compare.Quietly, 1),
    encodings: ['DD /5 : ST0 STi ; reg', 'DD /5 : STi ; reg syntax', 'DD E9 : ; syntax'],
  },
  plainRow('fucompp', 'Compare floating-point values, quietly, and pop both', 'DA E9 :', compareAndPopBoth(X87Compare.Quietly)),
  memoryRow('ficom', 'Compare with integer', 'DE /2 : Mw', 'r', compareMemory(X87Format.Integer16, 0)),
  memoryRow('ficom', 'Compare with integer', 'DA /2 : Md', 'r', compareMemory(X87Format.Integer32, 0)),
  memoryRow('ficomp', 'Compare with integer and pop', 'DE /3 : Mw', 'r', compareMemory(X87Format.Integer16, 1)),
  memoryRow('ficomp', 'Compare with integer and pop', 'DA /3 : Md', 'r', compareMemory(X87Format.Integer32, 1)),
  ...([['fcomi', 'DB /6', X87Compare.Flags, 0], ['fcomip', 'DF /6', X87Compare.Flags, 1], ['fucomi', 'DB /5', X87Compare.Flags | X87Compare.Quietly, 0], ['fucomip', 'DF /5', X87Compare.Flags | X87Compare.Quietly, 1]] as const)
    .map(([mnemonic, opcode, how, pops]): InstructionSpec => ({
      mnemonic, title: `Compare floating-point values and set EFLAGS${pops ? ', and pop' : ''}`, encodings: [`${opcode} : ST0 STi ; reg`, `${opcode} : STi ; reg syntax`],
      feature: 'cmov', flags: flagsOfComparison, exceptions, access: ['r', 'r'], semantics: compareWith(how, pops),
    })),
  plainRow('ftst', 'Compare with zero', 'D9 E4 :', calls('fpuTest')),
  plainRow('fxam', 'Examine floating-point value', 'D9 E5 :', calls('fpuExamine')),
];

const unary = (which: number): Semantics => waiting((b) => b.x87Unary(which));
const functions: readonly InstructionSpec[] = [
  plainRow('fchs', 'Change sign', 'D9 E0 :', unary(0xe0)),
  plainRow('fabs', 'Absolute value', 'D9 E1 :', unary(0xe1)),
  plainRow('fsqrt', 'Square root', 'D9 FA :', unary(0xfa)),
  plainRow('frndint', 'Round to integer', 'D9 FC :', unary(0xfc)),
  plainRow('fscale', 'Scale by a power of two', 'D9 FD :', calls('fpuScale')),
  plainRow('fxtract', 'Extract exponent and significand', 'D9 F4 :', calls('fpuExtract')),
  plainRow('fprem', 'Partial remainder', 'D9 F8 :', calls('fpuRemainder', 0)),
  plainRow('fprem1', 'Partial remainder, IEEE 754', 'D9 F5 :', calls('fpuRemainder', 1)),
  plainRow('f2xm1', '2 to the power of x, minus 1', 'D9 F0 :', unary(0xf0)),
  plainRow('fyl2x', 'y times log2 x', 'D9 F1 :', calls('fpuFunctionOfTwo', 0xf1)),
  plainRow('fyl2xp1', 'y times log2 (x + 1)', 'D9 F9 :', calls('fpuFunctionOfTwo', 0xf9)),
  plainRow('fpatan', 'Arctangent of y / x', 'D9 F3 :', calls('fpuFunctionOfTwo', 0xf3)),
  plainRow('fptan', 'Tangent', 'D9 F2 :', calls('fpuTrigonometricPair', 0xf2)),
  plainRow('fsincos', 'Sine and cosine', 'D9 FB :', calls('fpuTrigonometricPair', 0xfb)),
  plainRow('fsin', 'Sine', 'D9 FE :', calls('fpuTrigonometric', 0xfe)),
  plainRow('fcos', 'Cosine', 'D9 FF :', calls('fpuTrigonometric', 0xff)),
];

const control = { exceptions: exceptionsOfControl };
const controlRows: readonly InstructionSpec[] = [
  plainRow('wait', 'Wait for the floating-point unit', '9B :', (b) => b.requireX87('wait'), {
    aliases: ['fwait'], feature: undefined, exceptions: ['#NM when CR0.MP and CR0.TS are set', PENDING],
  }),
  plainRow('fnop', 'No operation', 'D9 D0 :', (b) => b.requireX87('waiting')),
  plainRow('fninit', 'Initialize the floating-point unit', 'DB E3 :', controls('notWaiting', (b) => { b.callout('fpuInitialize'); }), { waiting: 'finit', ...control }),
  plainRow('fnclex', 'Clear floating-point exceptions', 'DB E2 :', controls('notWaiting', (b) => { b.callout('fpuClearExceptions'); }), { waiting: 'fclex', ...control }),
  memoryRow('fldcw', 'Load control word', 'D9 /5 : Mw', 'r', controls('waiting', (b) => b.setX87Control(b.read(0)))),
  memoryRow('fnstcw', 'Store control word', 'D9 /7 : Mw', 'w', controls('notWaiting', (b) => b.write(0, b.x87Word('control'))), { waiting: 'fstcw', ...control }),
  memoryRow('fnstsw', 'Store status word', 'DD /7 : Mw', 'w', controls('notWaiting', (b) => b.write(0, b.x87Word('status'))), { waiting: 'fstsw', ...control }),
  memoryRow('fnstsw', 'Store status word', 'DF E0 : AX', 'w', controls('notWaiting', (b) => b.write(0, b.x87Word('status'))), { waiting: 'fstsw', ...control }),
  memoryRow('fldenv', 'Load floating-point environment', 'D9 /4 : M', 'r', image('waiting', 'fpuLoadEnvironment')),
  memoryRow('fnstenv', 'Store floating-point environment', 'D9 /6 : M', 'w', image('notWaiting', 'fpuStoreEnvironment'), { waiting: 'fstenv', ...control }),
  memoryRow('frstor', 'Restore floating-point state', 'DD /4 : M', 'r', image('waiting', 'fpuRestore')),
  memoryRow('fnsave', 'Save floating-point state', 'DD /6 : M', 'w', image('notWaiting', 'fpuSave'), { waiting: 'fsave', ...control }),
  memoryRow('fxsave', 'Save x87 and SSE state', '0F AE /0 : M ; np', 'w', image('notWaiting', 'fpuFxSave'), {
    feature: 'fxsr', exceptions: [UNAVAILABLE, '#GP(0) if the address is not a multiple of 16'],
  }),
  memoryRow('fxsave64', 'Save x87 and SSE state, 64-bit pointers', '0F AE /0 : M ; o64 np', 'w', image('notWaiting', 'fpuFxSave'), {
    feature: 'fxsr', exceptions: [UNAVAILABLE, '#GP(0) if the address is not a multiple of 16'],
  }),
  memoryRow('fxrstor64', 'Restore x87 and SSE state, 64-bit pointers', '0F AE /1 : M ; o64 np', 'r', image('notWaiting', 'fpuFxRestore'), {
    feature: 'fxsr', exceptions: [UNAVAILABLE, '#GP(0) if the address is not a multiple of 16, or the image has reserved bits of MXCSR set'],
  }),
  memoryRow('fxrstor', 'Restore x87 and SSE state', '0F AE /1 : M ; np', 'r', image('notWaiting', 'fpuFxRestore'), {
    feature: 'fxsr', exceptions: [UNAVAILABLE, '#GP(0) if the address is not a multiple of 16, or the image has reserved bits of MXCSR set'],
  }),
  plainRow('fincstp', 'Increment stack top', 'D9 F7 :', calls('fpuRotate', 1)),
  plainRow('fdecstp', 'Decrement stack top', 'D9 F6 :', calls('fpuRotate', -1)),
  { mnemonic: 'ffree', title: 'Free stack register', encodings: ['DD /0 : STi ; reg'], feature, exceptions, access: ['w'], semantics: callsWith('fpuFree', 0) },
  {
    mnemonic: 'ffreep', title: 'Free stack register and pop', encodings: ['DF /0 : STi ; reg'], feature, exceptions, access: ['w'],
    semantics: callsWith('fpuFree', 1),
  },
  plainRow('fneni', 'Enable interrupts (8087; now no operation)', 'DB E0 :', controls('notWaiting', () => undefined), { waiting: 'feni', ...control }),
  plainRow('fndisi', 'Disable interrupts (8087; now no operation)', 'DB E1 :', controls('notWaiting', () => undefined), { waiting: 'fdisi', ...control }),
  plainRow('fsetpm', 'Set protected mode (80287; now no operation)', 'DB E4 :', controls('notWaiting', () => undefined), control),
];

export const x87Rows: readonly InstructionSpec[] = [
  ...family('add', 'Add', 0, 0), ...family('mul', 'Multiply', 1, 1), ...family('sub', 'Subtract', 4, 5), ...family('subr', 'Subtract, reversed', 5, 4),
  ...family('div', 'Divide', 6, 7), ...family('divr', 'Divide, reversed', 7, 6),
  ...loadsAndStores, ...constantRows, ...moveRows, ...comparisons, ...functions, ...controlRows,
];
