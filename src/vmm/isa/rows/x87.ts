/**
 * The x87: loads and stores, arithmetic, comparison, the transcendental instructions, control (SDM Vol. 1, chapter 8). The undocumented
 * aliases of a few register forms are declared as what they do.
 */
import type { Builder, Semantics, Width } from '../builder';
import type { InstructionSpec } from '../types';

/** Formats of memory operands, by the numbers that callouts know (fpu/convert.ts). */
const SINGLE = 0, DOUBLE = 1, EXTENDED = 2, INTEGER16 = 3, INTEGER32 = 4, INTEGER64 = 5, DECIMAL = 6;
const widths: readonly Width[] = [32, 64, 64, 16, 32, 64, 64];
/** Ten bytes: eight and two. */
const isWide = (format: number): boolean => format === EXTENDED || format === DECIMAL;

/** A waiting instruction without a memory operand. */
const waiting = (body: Semantics): Semantics => (b) => {
  b.requireX87('waiting');
  b.noteX87();
  body(b);
};

/** Brings the memory operand to the callout. */
function stash(b: Builder, format: number): void {
  const address = b.address(0);
  const width = widths[format];
  const low = b.load(address, width);
  const high = isWide(format) ? b.load(b.offsetBy(address, 8), 16) : undefined;
  b.setScratch(0, width, low);
  if (high) b.setScratch(8, 16, high);
}

/** A waiting instruction that reads memory. */
const fromMemory = (format: number, body: Semantics): Semantics => (b) => {
  b.requireX87('waiting');
  stash(b, format);
  b.noteX87(0);
  body(b);
};

const load = (format: number): Semantics => fromMemory(format, (b) => { b.callout('fpuLoad', b.constant(format)); });

/** Converted first, stored then, and reported at last: a page fault between finds nothing changed. */
const store = (format: number, pops: number, chop = 0): Semantics => (b) => {
  b.requireX87('waiting');
  const address = b.address(0);
  b.if(b.callout('fpuConvert', b.constant(format), b.constant(chop)), () => {
    const low = b.scratch(0, widths[format]);
    const high = isWide(format) ? b.scratch(8, 16) : undefined;
    const second = high && b.offsetBy(address, 8);
    if (second) b.loadForWrite(second, 16);
    b.store(address, widths[format], low);
    if (high && second) b.store(second, 16, high);
  });
  b.noteX87(0);
  b.callout('fpuStored', b.constant(pops));
};

const register = (b: Builder, n: number) => b.registerNumber(n);

/** `digit`: the /digit of the opcode's memory form tells the operation. */
const arithmetic = (digit: number, toRegister: boolean, pops: number): Semantics => waiting((b) => {
  b.callout('fpuArithmetic', b.constant(digit), register(b, toRegister ? 0 : 1), b.constant((toRegister ? 1 : 0) | (pops ? 2 : 0)));
});
const arithmeticMemory = (digit: number, format: number): Semantics => fromMemory(format, (b) => {
  b.callout('fpuArithmeticMemory', b.constant(digit), b.constant(format));
});

const QUIETLY = 1, INTO_FLAGS = 2;
const compareWith = (how: number, pops: number): Semantics => waiting((b) => {
  b.callout('fpuCompare', register(b, 1), b.constant(how | pops << 2));
});
/** FCOMPP and FUCOMPP name no operand: it is ST(1). */
const compareAndPopBoth = (how: number): Semantics => waiting((b) => { b.callout('fpuCompare', b.constant(1), b.constant(how | 2 << 2)); });
const compareMemory = (format: number, pops: number): Semantics => fromMemory(format, (b) => { b.callout('fpuCompareMemory', b.constant(format), b.constant(pops)); });

const calls = (name: string, ...values: number[]): Semantics => waiting((b) => { b.callout(name, ...values.map((value) => b.constant(value))); });
/** Control instructions are not noted as the last one. */
const controls = (how: 'waiting' | 'notWaiting', body: Semantics): Semantics => (b) => {
  b.requireX87(how);
  body(b);
};
/** An image in memory: the callout does it all. */
const image = (how: 'waiting' | 'notWaiting', name: string): Semantics => controls(how, (b) => { b.callout(name, b.address(0).offset, b.segmentEntry(0)); });

const feature = 'fpu';
const PENDING = '#MF if an unmasked x87 exception is pending', UNAVAILABLE = '#NM if CR0.EM or CR0.TS is set';
const exceptions = [UNAVAILABLE, PENDING];
const exceptionsOfControl = [UNAVAILABLE];

/** FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR with all their forms. `intoRegister`: the digit of the forms that write ST(i). */
const family = (name: string, title: string, digit: number, intoRegister: number): InstructionSpec[] => [
  { mnemonic: `f${name}`, title, encodings: [`D8 /${digit} : Md`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, SINGLE) },
  { mnemonic: `f${name}`, title, encodings: [`DC /${digit} : Mq`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, DOUBLE) },
  { mnemonic: `f${name}`, title, encodings: [`D8 /${digit} : ST0 STi ; reg`, `D8 /${digit} : STi ; reg syntax`], feature, exceptions, semantics: arithmetic(digit, false, 0) },
  { mnemonic: `f${name}`, title, encodings: [`DC /${intoRegister} : STi ST0 ; reg`], feature, exceptions, semantics: arithmetic(directed(digit), true, 0) },
  {
    mnemonic: `f${name}p`, title: `${title} and pop`, feature, exceptions, semantics: arithmetic(directed(digit), true, 1),
    encodings: [`DE /${intoRegister} : STi ST0 ; reg`, `DE /${intoRegister} : STi ; reg syntax`, `DE ${(0xc1 + 8 * intoRegister).toString(16).toUpperCase()} : ; syntax`],
  },
  { mnemonic: `fi${name}`, title: `${title}, integer operand`, encodings: [`DA /${digit} : Md`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, INTEGER32) },
  { mnemonic: `fi${name}`, title: `${title}, integer operand`, encodings: [`DE /${digit} : Mw`], feature, exceptions, access: ['r'], semantics: arithmeticMemory(digit, INTEGER16) },
];
/** Into ST(i), FSUB means ST(i) - ST(0): the operation that ST(0) calls reversed. */
const directed = (digit: number): number => (digit >= 4 ? digit ^ 1 : digit);

const memoryRow = (mnemonic: string, title: string, encoding: string, access: 'r' | 'w', semantics: Semantics, more: Partial<InstructionSpec> = {}): InstructionSpec =>
  ({ mnemonic, title, encodings: [encoding], feature, exceptions, access: [access], semantics, ...more });
const plainRow = (mnemonic: string, title: string, encoding: string, semantics: Semantics, more: Partial<InstructionSpec> = {}): InstructionSpec =>
  ({ mnemonic, title, encodings: [encoding], feature, exceptions, semantics, ...more });

const loadsAndStores: readonly InstructionSpec[] = [
  memoryRow('fld', 'Load floating-point value', 'D9 /0 : Md', 'r', load(SINGLE)),
  memoryRow('fld', 'Load floating-point value', 'DD /0 : Mq', 'r', load(DOUBLE)),
  memoryRow('fld', 'Load floating-point value', 'DB /5 : Mt', 'r', load(EXTENDED)),
  { mnemonic: 'fld', title: 'Load floating-point value', encodings: ['D9 /0 : STi ; reg'], feature, exceptions, access: ['r'], semantics: waiting((b) => { b.callout('fpuLoadRegister', register(b, 0)); }) },
  memoryRow('fst', 'Store floating-point value', 'D9 /2 : Md', 'w', store(SINGLE, 0)),
  memoryRow('fst', 'Store floating-point value', 'DD /2 : Mq', 'w', store(DOUBLE, 0)),
  {
    mnemonic: 'fst', title: 'Store floating-point value', encodings: ['DD /2 : STi ; reg'], feature, exceptions, access: ['w'],
    semantics: waiting((b) => { b.callout('fpuStoreRegister', register(b, 0), b.constant(0)); }),
  },
  memoryRow('fstp', 'Store floating-point value and pop', 'D9 /3 : Md', 'w', store(SINGLE, 1)),
  memoryRow('fstp', 'Store floating-point value and pop', 'DD /3 : Mq', 'w', store(DOUBLE, 1)),
  memoryRow('fstp', 'Store floating-point value and pop', 'DB /7 : Mt', 'w', store(EXTENDED, 1)),
  {
    mnemonic: 'fstp', title: 'Store floating-point value and pop', feature, exceptions, access: ['w'],
    encodings: ['DD /3 : STi ; reg', 'DF /2 : STi ; reg asm-', 'DF /3 : STi ; reg asm-'],
    semantics: waiting((b) => { b.callout('fpuStoreRegister', register(b, 0), b.constant(1)); }),
  },
  {
    mnemonic: 'fstp', title: 'Store floating-point value and pop, no stack underflow', feature, exceptions, access: ['w'], encodings: ['D9 /3 : STi ; reg asm-'],
    semantics: waiting((b) => { b.callout('fpuStoreUnchecked', register(b, 0)); }),
  },
  memoryRow('fild', 'Load integer', 'DF /0 : Mw', 'r', load(INTEGER16)),
  memoryRow('fild', 'Load integer', 'DB /0 : Md', 'r', load(INTEGER32)),
  memoryRow('fild', 'Load integer', 'DF /5 : Mq', 'r', load(INTEGER64)),
  memoryRow('fist', 'Store integer', 'DF /2 : Mw', 'w', store(INTEGER16, 0)),
  memoryRow('fist', 'Store integer', 'DB /2 : Md', 'w', store(INTEGER32, 0)),
  memoryRow('fistp', 'Store integer and pop', 'DF /3 : Mw', 'w', store(INTEGER16, 1)),
  memoryRow('fistp', 'Store integer and pop', 'DB /3 : Md', 'w', store(INTEGER32, 1)),
  memoryRow('fistp', 'Store integer and pop', 'DF /7 : Mq', 'w', store(INTEGER64, 1)),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DF /1 : Mw', 'w', store(INTEGER16, 1, 1), { feature: 'sse3' }),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DB /1 : Md', 'w', store(INTEGER32, 1, 1), { feature: 'sse3' }),
  memoryRow('fisttp', 'Store truncated integer and pop', 'DD /1 : Mq', 'w', store(INTEGER64, 1, 1), { feature: 'sse3' }),
  memoryRow('fbld', 'Load packed decimal', 'DF /4 : Mt', 'r', load(DECIMAL)),
  memoryRow('fbstp', 'Store packed decimal and pop', 'DF /6 : Mt', 'w', store(DECIMAL, 1)),
  {
    mnemonic: 'fxch', title: 'Exchange stack registers', feature, exceptions, access: ['rw', 'rw'],
    encodings: ['D9 /1 : ST0 STi ; reg', 'D9 /1 : STi ; reg syntax', 'D9 /1 : STi ST0 ; reg syntax', 'D9 C9 : ; syntax', 'DD /1 : ST0 STi ; reg asm-', 'DF /1 : ST0 STi ; reg asm-'],
    semantics: waiting((b) => { b.callout('fpuExchange', register(b, 1)); }),
  },
];

const constantNames = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'];
const constantTitles = ['1', 'log2 10', 'log2 e', 'pi', 'log10 2', 'ln 2', '+0'];
const constantRows: readonly InstructionSpec[] = constantNames.map((mnemonic, n) =>
  plainRow(mnemonic, `Load constant ${constantTitles[n]}`, `D9 ${(0xe8 + n).toString(16).toUpperCase()} :`, calls('fpuConstant', n)));

const moves: readonly (readonly [string, string, string, Parameters<Builder['condition']>[0]])[] = [
  ['b', 'below', 'DA /0', 'b'], ['e', 'equal', 'DA /1', 'e'], ['be', 'below or equal', 'DA /2', 'be'], ['u', 'unordered', 'DA /3', 'p'],
  ['nb', 'not below', 'DB /0', 'ae'], ['ne', 'not equal', 'DB /1', 'ne'], ['nbe', 'not below or equal', 'DB /2', 'a'], ['nu', 'not unordered', 'DB /3', 'np'],
];
const flagsOfMove: Readonly<Record<string, string>> = { b: 'C', e: 'Z', be: 'CZ', u: 'P', nb: 'C', ne: 'Z', nbe: 'CZ', nu: 'P' };
const moveRows: readonly InstructionSpec[] = moves.map(([suffix, title, opcode, condition]) => ({
  mnemonic: `fcmov${suffix}`, title: `Move stack register if ${title}`, encodings: [`${opcode} : ST0 STi ; reg`, `${opcode} : STi ; reg syntax`], feature: 'cmov',
  flags: { reads: flagsOfMove[suffix] }, exceptions, access: ['rw', 'r'],
  semantics: waiting((b) => { b.callout('fpuMove', register(b, 1), b.condition(condition)); }),
}));

const flagsOfComparison = { writes: 'ZPC', clears: 'OSA' };
const comparisons: readonly InstructionSpec[] = [
  memoryRow('fcom', 'Compare floating-point values', 'D8 /2 : Md', 'r', compareMemory(SINGLE, 0)),
  memoryRow('fcom', 'Compare floating-point values', 'DC /2 : Mq', 'r', compareMemory(DOUBLE, 0)),
  {
    mnemonic: 'fcom', title: 'Compare floating-point values', feature, exceptions, access: ['r', 'r'], semantics: compareWith(0, 0),
    encodings: ['D8 /2 : ST0 STi ; reg', 'D8 /2 : STi ; reg syntax', 'D8 D1 : ; syntax', 'DC /2 : ST0 STi ; reg asm-'],
  },
  memoryRow('fcomp', 'Compare floating-point values and pop', 'D8 /3 : Md', 'r', compareMemory(SINGLE, 1)),
  memoryRow('fcomp', 'Compare floating-point values and pop', 'DC /3 : Mq', 'r', compareMemory(DOUBLE, 1)),
  {
    mnemonic: 'fcomp', title: 'Compare floating-point values and pop', feature, exceptions, access: ['r', 'r'], semantics: compareWith(0, 1),
    encodings: ['D8 /3 : ST0 STi ; reg', 'D8 /3 : STi ; reg syntax', 'D8 D9 : ; syntax', 'DC /3 : ST0 STi ; reg asm-', 'DE /2 : ST0 STi ; reg asm-'],
  },
  plainRow('fcompp', 'Compare floating-point values and pop both', 'DE D9 :', compareAndPopBoth(0)),
  {
    mnemonic: 'fucom', title: 'Compare floating-point values, quietly', feature, exceptions, access: ['r', 'r'], semantics: compareWith(QUIETLY, 0),
    encodings: ['DD /4 : ST0 STi ; reg', 'DD /4 : STi ; reg syntax', 'DD E1 : ; syntax'],
  },
  {
    mnemonic: 'fucomp', title: 'Compare floating-point values, quietly, and pop', feature, exceptions, access: ['r', 'r'], semantics: compareWith(QUIETLY, 1),
    encodings: ['DD /5 : ST0 STi ; reg', 'DD /5 : STi ; reg syntax', 'DD E9 : ; syntax'],
  },
  plainRow('fucompp', 'Compare floating-point values, quietly, and pop both', 'DA E9 :', compareAndPopBoth(QUIETLY)),
  memoryRow('ficom', 'Compare with integer', 'DE /2 : Mw', 'r', compareMemory(INTEGER16, 0)),
  memoryRow('ficom', 'Compare with integer', 'DA /2 : Md', 'r', compareMemory(INTEGER32, 0)),
  memoryRow('ficomp', 'Compare with integer and pop', 'DE /3 : Mw', 'r', compareMemory(INTEGER16, 1)),
  memoryRow('ficomp', 'Compare with integer and pop', 'DA /3 : Md', 'r', compareMemory(INTEGER32, 1)),
  ...([['fcomi', 'DB /6', INTO_FLAGS, 0], ['fcomip', 'DF /6', INTO_FLAGS, 1], ['fucomi', 'DB /5', INTO_FLAGS | QUIETLY, 0], ['fucomip', 'DF /5', INTO_FLAGS | QUIETLY, 1]] as const)
    .map(([mnemonic, opcode, how, pops]): InstructionSpec => ({
      mnemonic, title: `Compare floating-point values and set EFLAGS${pops ? ', and pop' : ''}`, encodings: [`${opcode} : ST0 STi ; reg`, `${opcode} : STi ; reg syntax`],
      feature: 'cmov', flags: flagsOfComparison, exceptions, access: ['r', 'r'], semantics: compareWith(how, pops),
    })),
  plainRow('ftst', 'Compare with zero', 'D9 E4 :', calls('fpuTest')),
  plainRow('fxam', 'Examine floating-point value', 'D9 E5 :', calls('fpuExamine')),
];

const unary = (which: number): Semantics => calls('fpuUnary', which);
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
  memoryRow('fldcw', 'Load control word', 'D9 /5 : Mw', 'r', controls('waiting', (b) => { b.callout('fpuControl', b.read(0)); })),
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
  memoryRow('fxrstor', 'Restore x87 and SSE state', '0F AE /1 : M ; np', 'r', image('notWaiting', 'fpuFxRestore'), {
    feature: 'fxsr', exceptions: [UNAVAILABLE, '#GP(0) if the address is not a multiple of 16, or the image has reserved bits of MXCSR set'],
  }),
  plainRow('fincstp', 'Increment stack top', 'D9 F7 :', calls('fpuRotate', 1)),
  plainRow('fdecstp', 'Decrement stack top', 'D9 F6 :', calls('fpuRotate', -1)),
  { mnemonic: 'ffree', title: 'Free stack register', encodings: ['DD /0 : STi ; reg'], feature, exceptions, access: ['w'], semantics: waiting((b) => { b.callout('fpuFree', register(b, 0), b.constant(0)); }) },
  {
    mnemonic: 'ffreep', title: 'Free stack register and pop', encodings: ['DF /0 : STi ; reg'], feature, exceptions, access: ['w'],
    semantics: waiting((b) => { b.callout('fpuFree', register(b, 0), b.constant(1)); }),
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
