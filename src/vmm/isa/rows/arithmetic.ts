/** Binary integer arithmetic (SDM Vol. 2A/2B): additions, subtractions, multiplications, divisions, compare-and-exchange. */
import type { Builder, Semantics, Value } from '../builder';
import type { InstructionSpec } from '../types';

const ALL = 'OSZAPC';

/** The eight encodings that ADD, OR, ADC, SBB, AND, SUB, XOR and CMP share: `index` is bits 5–3 of the opcode. */
export function aluEncodings(index: number): string[] {
  const op = (low: number) => (index * 8 + low).toString(16).toUpperCase().padStart(2, '0');
  return [
    `${op(0)} /r : Eb Gb`, `${op(1)} /r : Ev Gv`, `${op(2)} /r : Gb Eb`, `${op(3)} /r : Gv Ev`,
    `83 /${index} : Ev Ibs`, `${op(4)} : AL Ib`, `${op(5)} : rAX Iz`, `80 /${index} : Eb Ib`, `81 /${index} : Ev Iz`, `82 /${index} : Eb Ib ; i64 asm-`,
  ];
}

type Carry = 'none' | 'withCarry';

const addition = (carry: Carry): Semantics => (b) => {
  const x = b.readForWrite(0);
  const y = b.read(1);
  const sum = carry === 'withCarry' ? b.op('add', b.op('add', x, y), carryIn(b, x)) : b.op('add', x, y);
  const result = b.let(b.truncate(sum, b.width));
  b.write(0, result);
  b.flagsAdd(x, y, result, b.width);
};

const subtraction = (carry: Carry): Semantics => (b) => {
  const x = b.readForWrite(0);
  const y = b.read(1);
  const difference = carry === 'withCarry' ? b.op('sub', b.op('sub', x, y), carryIn(b, x)) : b.op('sub', x, y);
  const result = b.let(b.truncate(difference, b.width));
  b.write(0, result);
  b.flagsSub(x, y, result, b.width);
};

function carryIn(b: Builder, like: Value): Value {
  const carry = b.flag('C');
  return like.type === 'i64' ? b.extend64(carry, false) : carry;
}

/** Low and high halves of a product, to rDX:rAX (AX for bytes); CF and OF tell whether the high half matters. */
const multiplication = (signed: boolean): Semantics => (b) => {
  const width = b.width;
  const factor = b.read(0);
  const accumulator = b.register(0, width);
  if (width === 64) {
    const low = b.let(b.op('mul', accumulator, factor));
    const high = b.mulHigh(accumulator, factor, signed);
    const overflow = b.let(b.op('ne', high, signed ? b.op('sar', low, b.constant(63)) : b.constant(0)));
    b.setRegister(0, 64, low);
    b.setRegister(2, 64, high);
    b.flagsResult(low, 64, overflow, overflow);
    return;
  }
  const significant = (product: Value, low: Value, full: number): Value =>
    signed ? b.op('ne', product, b.signExtend(low, width)) : b.isZero(b.isZero(b.op('shr', product, b.constant(width, full === 64 ? 64 : 32))));
  if (width === 32) {
    const product = b.let(b.op('mul', b.extend64(accumulator, signed), b.extend64(factor, signed)));
    const low = b.let(b.wrap32(product));
    const overflow = b.let(signed ? b.op('ne', product, b.extend64(low, true)) : significant(product, low, 64));
    b.setRegister(0, 32, low);
    b.setRegister(2, 32, b.wrap32(b.op('shr', product, b.constant(32, 64))));
    b.flagsResult(low, 32, overflow, overflow);
    return;
  }
  const extend = (v: Value) => (signed ? b.signExtend(v, width) : v);
  const product = b.let(b.op('mul', extend(accumulator), extend(factor)));
  const low = b.let(b.truncate(product, width));
  const overflow = b.let(significant(product, low, 32));
  if (width === 8) b.setRegister(0, 16, b.truncate(product, 16));
  else {
    b.setRegister(0, 16, low);
    b.setRegister(2, 16, b.truncate(b.op('shr', product, b.constant(16)), 16));
  }
  b.flagsResult(low, width, overflow, overflow);
};

/** IMUL with two or three operands: the truncated product, CF = OF = "it did not fit". */
const multiplyInto = (first: number, second: number): Semantics => (b) => {
  const width = b.width;
  const x = b.read(first);
  const y = b.read(second);
  if (width === 64) {
    const low = b.let(b.op('mul', x, y));
    const overflow = b.let(b.op('ne', b.mulHigh(x, y, true), b.op('sar', low, b.constant(63))));
    b.write(0, low);
    b.flagsResult(low, 64, overflow, overflow);
    return;
  }
  if (width === 32) {
    const product = b.let(b.op('mul', b.extend64(x, true), b.extend64(y, true)));
    const low = b.let(b.wrap32(product));
    const overflow = b.let(b.op('ne', product, b.extend64(low, true)));
    b.write(0, low);
    b.flagsResult(low, 32, overflow, overflow);
    return;
  }
  const product = b.let(b.op('mul', b.signExtend(x, width), b.signExtend(y, width)));
  const low = b.let(b.truncate(product, width));
  const overflow = b.let(b.op('ne', product, b.signExtend(low, width)));
  b.write(0, low);
  b.flagsResult(low, width, overflow, overflow);
};

/** DIV and IDIV: #DE for a zero divisor and for a quotient that does not fit. */
const division = (signed: boolean): Semantics => (b) => {
  const width = b.width;
  const divisor = b.read(0);
  b.raiseIf(b.isZero(divisor), 0);
  const quotientOf = signed ? 'divS' : 'divU';
  const remainderOf = signed ? 'remS' : 'remU';
  if (width === 64) {
    // A dividend of 64 bits, or of 63 and a sign, is what compilers divide; the runtime takes the others, and the quotients that do not fit.
    const low = b.register(0, 64);
    const high = b.register(2, 64);
    const narrow = b.let(b.op('eq', high, signed ? b.op('sar', low, b.constant(63)) : b.constant(0)));
    const fits = signed ? b.op('and', narrow, b.isZero(b.op('and', b.op('eq', low, b.constant(-(2 ** 63), 64)), b.op('eq', divisor, b.constant(-1))))) : narrow;
    b.if(fits, () => {
      const quotient = b.let(b.op(quotientOf, low, divisor));
      b.setRegister(2, 64, b.let(b.op(remainderOf, low, divisor)));
      b.setRegister(0, 64, quotient);
    }, () => { b.callout('divideWide', divisor, b.constant(signed ? 1 : 0)); });
    return;
  }
  if (width === 32) {
    const dividend = b.let(b.op('or', b.op('shl', b.extend64(b.register(2, 32), false), b.constant(32, 64)), b.extend64(b.register(0, 32), false)));
    const by = b.let(b.extend64(divisor, signed));
    // The one signed quotient that a 64-bit division itself cannot give.
    if (signed) b.raiseIf(b.op('and', b.op('eq', dividend, b.op('shl', b.constant(1, 64), b.constant(63, 64))), b.op('eq', divisor, b.constant(-1))), 0);
    const quotient = b.let(b.op(quotientOf, dividend, by));
    const low = b.let(b.wrap32(quotient));
    b.raiseIf(b.op('ne', b.extend64(low, signed), quotient), 0);
    const remainder = b.let(b.wrap32(b.op(remainderOf, dividend, by)));
    b.setRegister(0, 32, low);
    b.setRegister(2, 32, remainder);
    return;
  }
  const dividend = b.let(width === 8
    ? (signed ? b.signExtend(b.register(0, 16), 16) : b.register(0, 16))
    : b.op('or', b.op('shl', b.register(2, 16), b.constant(16)), b.register(0, 16)));
  const by = b.let(signed ? b.signExtend(divisor, width) : divisor);
  if (signed && width === 16) b.raiseIf(b.op('and', b.op('eq', dividend, b.constant(-0x80000000)), b.op('eq', by, b.constant(-1))), 0);
  const quotient = b.let(b.op(quotientOf, dividend, by));
  const low = b.let(b.truncate(quotient, width));
  b.raiseIf(b.op('ne', signed ? b.signExtend(low, width) : low, quotient), 0);
  const remainder = b.let(b.truncate(b.op(remainderOf, dividend, by), width));
  if (width === 8) b.setRegister(0, 16, b.op('or', b.op('shl', remainder, b.constant(8)), low));
  else {
    b.setRegister(0, 16, low);
    b.setRegister(2, 16, remainder);
  }
};

const undefinedByMultiply = { writes: 'OC', undefined: 'SZAP' } as const;
const undefinedByDivide = { undefined: ALL } as const;
const divideError = ['#DE if the divisor is 0 or the quotient does not fit'];

export const arithmetic: readonly InstructionSpec[] = [
  { mnemonic: 'add', title: 'Add', encodings: aluEncodings(0), flags: { writes: ALL }, lock: true, semantics: addition('none') },
  { mnemonic: 'adc', title: 'Add with carry', encodings: aluEncodings(2), flags: { reads: 'C', writes: ALL }, lock: true, semantics: addition('withCarry') },
  { mnemonic: 'sbb', title: 'Subtract with borrow', encodings: aluEncodings(3), flags: { reads: 'C', writes: ALL }, lock: true, semantics: subtraction('withCarry') },
  { mnemonic: 'sub', title: 'Subtract', encodings: aluEncodings(5), flags: { writes: ALL }, lock: true, semantics: subtraction('none') },
  {
    mnemonic: 'cmp', title: 'Compare two operands', encodings: aluEncodings(7), flags: { writes: ALL }, access: ['r', 'r'],
    semantics: (b) => {
      const x = b.read(0);
      const y = b.read(1);
      const result = b.let(b.truncate(b.op('sub', x, y), b.width));
      b.flagsSub(x, y, result, b.width);
    },
  },
  {
    mnemonic: 'inc', title: 'Increment by 1', encodings: ['40+r : Zv ; i64', 'FE /0 : Eb', 'FF /0 : Ev'], flags: { writes: 'OSZAP' }, lock: true,
    semantics: (b) => {
      const result = b.let(b.truncate(b.op('add', b.readForWrite(0), b.constant(1, b.width)), b.width));
      b.write(0, result);
      b.flagsInc(result, b.width);
    },
  },
  {
    mnemonic: 'dec', title: 'Decrement by 1', encodings: ['48+r : Zv ; i64', 'FE /1 : Eb', 'FF /1 : Ev'], flags: { writes: 'OSZAP' }, lock: true,
    semantics: (b) => {
      const result = b.let(b.truncate(b.op('sub', b.readForWrite(0), b.constant(1, b.width)), b.width));
      b.write(0, result);
      b.flagsDec(result, b.width);
    },
  },
  {
    mnemonic: 'neg', title: 'Two\'s complement negation', encodings: ['F6 /3 : Eb', 'F7 /3 : Ev'], flags: { writes: ALL }, lock: true,
    semantics: (b) => {
      const x = b.readForWrite(0);
      const zero = b.constant(0, b.width);
      const result = b.let(b.truncate(b.op('sub', zero, x), b.width));
      b.write(0, result);
      b.flagsSub(zero, x, result, b.width);
    },
  },
  {
    mnemonic: 'mul', title: 'Unsigned multiply', encodings: ['F6 /4 : Eb', 'F7 /4 : Ev'], flags: undefinedByMultiply, access: ['r'],
    implicit: { reads: ['rAX'], writes: ['rAX', 'rDX'] }, semantics: multiplication(false),
  },
  {
    mnemonic: 'imul', title: 'Signed multiply', encodings: ['F6 /5 : Eb', 'F7 /5 : Ev'], flags: undefinedByMultiply, access: ['r'],
    implicit: { reads: ['rAX'], writes: ['rAX', 'rDX'] }, semantics: multiplication(true),
  },
  {
    mnemonic: 'imul', title: 'Signed multiply', encodings: ['0F AF /r : Gv Ev'], feature: '386', flags: undefinedByMultiply, access: ['rw', 'r'],
    semantics: multiplyInto(0, 1),
  },
  {
    mnemonic: 'imul', title: 'Signed multiply', encodings: ['6B /r : Gv Ev Ibs', '69 /r : Gv Ev Iz'], feature: '186', flags: undefinedByMultiply,
    access: ['w', 'r', 'r'], semantics: multiplyInto(1, 2),
  },
  {
    mnemonic: 'div', title: 'Unsigned divide', encodings: ['F6 /6 : Eb', 'F7 /6 : Ev'], flags: undefinedByDivide, access: ['r'], exceptions: divideError,
    implicit: { reads: ['rAX', 'rDX'], writes: ['rAX', 'rDX'] }, semantics: division(false),
  },
  {
    mnemonic: 'idiv', title: 'Signed divide', encodings: ['F6 /7 : Eb', 'F7 /7 : Ev'], flags: undefinedByDivide, access: ['r'], exceptions: divideError,
    implicit: { reads: ['rAX', 'rDX'], writes: ['rAX', 'rDX'] }, semantics: division(true),
  },
  {
    mnemonic: 'xadd', title: 'Exchange and add', encodings: ['0F C0 /r : Eb Gb', '0F C1 /r : Ev Gv'], feature: '486', flags: { writes: ALL }, lock: true,
    access: ['rw', 'rw'],
    semantics: (b) => {
      const x = b.readForWrite(0);
      const y = b.read(1);
      const result = b.let(b.truncate(b.op('add', x, y), b.width));
      b.write(1, x);
      b.write(0, result);
      b.flagsAdd(x, y, result, b.width);
    },
  },
  {
    mnemonic: 'cmpxchg', title: 'Compare and exchange', encodings: ['0F B0 /r : Eb Gb', '0F B1 /r : Ev Gv'], feature: '486', flags: { writes: ALL }, lock: true,
    implicit: { reads: ['rAX'], writes: ['rAX'] },
    semantics: (b) => {
      const destination = b.readForWrite(0);
      const source = b.read(1);
      const accumulator = b.register(0, b.width);
      const result = b.let(b.truncate(b.op('sub', accumulator, destination), b.width));
      b.flagsSub(accumulator, destination, result, b.width);
      b.if(b.isZero(result), () => b.write(0, source), () => {
        // Memory is written in either case: the bus cycle is always a read-modify-write. A register is left alone, its upper half too.
        if (b.isMemory(0)) b.write(0, destination);
        b.setRegister(0, b.width, destination);
      });
    },
  },
  {
    mnemonic: 'cmpxchg8b', title: 'Compare and exchange 8 bytes', encodings: ['0F C7 /1 : Mq'], feature: 'cx8', flags: { writes: 'Z' }, lock: true,
    implicit: { reads: ['eax', 'ebx', 'ecx', 'edx'], writes: ['eax', 'edx'] },
    semantics: (b) => {
      const pair = (low: number, high: number) =>
        b.let(b.op('or', b.extend64(b.register(low, 32), false), b.op('shl', b.extend64(b.register(high, 32), false), b.constant(32, 64))));
      const address = b.address(0);
      const old = b.loadForWrite(address, 64);
      const equal = b.let(b.op('eq', old, pair(0, 2)));
      b.store(address, 64, b.select(equal, pair(3, 1), old));
      b.if(b.isZero(equal), () => {
        b.setRegister(0, 32, b.wrap32(old));
        b.setRegister(2, 32, b.wrap32(b.op('shr', old, b.constant(32, 64))));
      });
      b.setFlags({ Z: equal });
    },
  },
  {
    mnemonic: 'cmpxchg16b', title: 'Compare and exchange 16 bytes', encodings: ['0F C7 /1 : Mx ; o64'], feature: 'cx16', flags: { writes: 'Z' }, lock: true,
    implicit: { reads: ['rax', 'rbx', 'rcx', 'rdx'], writes: ['rax', 'rdx'] }, exceptions: ['#GP(0) if the operand is not aligned to 16 bytes'],
    semantics: (b) => {
      const lower = b.address(0);
      const upper = b.offsetBy(lower, 8);
      b.raiseIf(b.op('and', b.linear(lower), b.constant(15)), 13);
      const low = b.loadForWrite(lower, 64);
      const high = b.loadForWrite(upper, 64);
      const equal = b.let(b.op('and', b.op('eq', low, b.register(0, 64)), b.op('eq', high, b.register(2, 64))));
      // Stores happen in either case: the bus cycle is always a read-modify-write.
      b.store(lower, 64, b.select(equal, b.register(3, 64), low));
      b.store(upper, 64, b.select(equal, b.register(1, 64), high));
      b.if(b.isZero(equal), () => {
        b.setRegister(0, 64, low);
        b.setRegister(2, 64, high);
      });
      b.setFlags({ Z: equal });
    },
  },
];
