/** Boolean operations, shifts, rotates and single-bit operations. */
import type { BinaryOperation, Builder, Semantics, Value, Width } from '../builder';
import { conditions, conditionTitles } from '../builder';
import type { InstructionSpec } from '../types';
import { aluEncodings } from './arithmetic';

const LOGIC = { writes: 'SZP', clears: 'OC', undefined: 'A' } as const;

const logic = (operation: BinaryOperation): Semantics => (b) => {
  const x = b.readForWrite(0);
  const result = b.let(b.op(operation, x, b.read(1)));
  b.write(0, result);
  b.flagsLogic(result, b.width);
};

/** The lowest bit of a value, as 0 or 1. */
const lowest = (b: Builder, v: Value): Value => b.op('and', v.type === 'i64' ? b.wrap32(v) : v, b.constant(1));
const bit = (b: Builder, v: Value, n: number): Value => lowest(b, b.op('shr', v, b.constant(n)));
const xor = (b: Builder, x: Value, y: Value): Value => b.op('xor', x, y);

/** Shift and rotate counts use their low five bits, of 64-bit operands six; a count of zero changes no flag (SDM Vol. 2B, SAL/SAR/SHL/SHR). */
function counted(body: (b: Builder, x: Value, count: Value, width: Width) => void): Semantics {
  return (b) => {
    const x = b.readForWrite(0);
    const count = b.let(b.op('and', b.read(1), b.constant(countMask(b.width))));
    b.if(count, () => body(b, x, count, b.width), () => writeBack(b, x));
  };
}
const countMask = (width: Width): number => (width === 64 ? 63 : 31);

/** A count of zero writes the register all the same: its upper half is cleared. */
function writeBack(b: Builder, x: Value): void {
  if (b.long && b.width === 32 && !b.isMemory(0)) b.write(0, x);
}

const shl = counted((b, x, count, width) => {
  const shifted = b.let(b.op('shl', x, count));
  const result = b.let(b.truncate(shifted, width));
  const carry = b.let(width >= 32 ? lowest(b, b.op('shr', x, b.op('sub', b.constant(width), count))) : bit(b, shifted, width));
  b.write(0, result);
  b.flagsResult(result, width, carry, xor(b, bit(b, result, width - 1), carry));
});

const shr = counted((b, x, count, width) => {
  const result = b.let(b.op('shr', x, count));
  const carry = lowest(b, b.op('shr', x, b.op('sub', count, b.constant(1))));
  b.write(0, result);
  b.flagsResult(result, width, carry, bit(b, x, width - 1));
});

const sar = counted((b, x, count, width) => {
  const signed = b.let(b.signExtend(x, width));
  const result = b.let(b.truncate(b.op('sar', signed, count), width));
  const carry = lowest(b, b.op('sar', signed, b.op('sub', count, b.constant(1))));
  b.write(0, result);
  b.flagsResult(result, width, carry, b.constant(0));
});

/** Rotates change CF and OF only. The count is taken modulo the width, but CF is updated for any non-zero masked count. */
const rotate = (left: boolean) => counted((b, x, count, width) => {
  let result: Value;
  if (width >= 32) result = b.op('rotl', x, left ? count : b.op('sub', b.constant(width), count));
  else {
    const by = b.let(b.op('and', count, b.constant(width - 1)));
    const back = b.op('and', b.op('sub', b.constant(width), by), b.constant(width - 1));
    result = left ? b.op('or', b.op('shl', x, by), b.op('shr', x, back)) : b.op('or', b.op('shr', x, by), b.op('shl', x, back));
  }
  result = b.let(b.truncate(result, width));
  b.write(0, result);
  const top = b.let(bit(b, result, width - 1));
  if (left) {
    const carry = b.let(lowest(b, result));
    b.setFlags({ C: carry, O: xor(b, top, carry) });
  } else b.setFlags({ C: top, O: xor(b, top, bit(b, result, width - 2)) });
});

/** Rotate through carry: a rotation of width + 1 bits, CF on top. */
const rotateThroughCarry = (left: boolean) => counted((b, x, count, width) => {
  if (width === 64) {
    rotateThroughCarry64(b, x, count, left);
    return;
  }
  const span = width + 1;
  const by = b.let(b.extend64(width === 32 ? count : b.op('remU', count, b.constant(span)), false));
  const carryIn = b.flag('C');
  const wide = b.let(b.op('or', b.extend64(x, false), b.op('shl', b.extend64(carryIn, false), b.constant(width, 64))));
  const back = b.op('sub', b.constant(span, 64), by);
  const rotated = b.let(left
    ? b.op('or', b.op('shl', wide, by), b.op('shr', wide, back))
    : b.op('or', b.op('shr', wide, by), b.op('shl', wide, back)));
  const result = b.let(b.truncate(b.wrap32(rotated), width));
  const carry = b.let(b.op('and', b.wrap32(b.op('shr', rotated, b.constant(width, 64))), b.constant(1)));
  b.write(0, result);
  const top = bit(b, result, width - 1);
  b.setFlags({ C: carry, O: left ? xor(b, top, carry) : xor(b, top, bit(b, result, width - 2)) });
});

/** 65 bits. Counts are 1 to 63, so that the operand's own bits come back in two steps: a shift by 64 is none. */
function rotateThroughCarry64(b: Builder, x: Value, count: Value, left: boolean): void {
  const there = left ? 'shl' : 'shr';
  const back = left ? 'shr' : 'shl';
  const rest = b.let(b.op('sub', b.constant(64), count));
  const carryIn = b.op('shl', b.extend64(b.flag('C'), false), left ? b.op('sub', count, b.constant(1)) : rest);
  const wrapped = b.op(back, b.op(back, x, b.constant(1)), rest);
  const result = b.let(b.op('or', b.op('or', b.op(there, x, count), carryIn), wrapped));
  const carry = b.let(lowest(b, b.op('shr', x, left ? rest : b.op('sub', count, b.constant(1)))));
  b.write(0, result);
  const top = bit(b, result, 63);
  b.setFlags({ C: carry, O: xor(b, top, left ? carry : bit(b, result, 62)) });
}

/** SHLD / SHRD. A 16-bit count above 16 is undefined in the manual; the bits then come from destination:source:destination. */
const doubleShift = (left: boolean): Semantics => (b) => {
  const width = b.width;
  const x = b.readForWrite(0);
  const y = b.read(1);
  const count = b.let(b.op('and', b.read(2), b.constant(countMask(width))));
  b.if(count, () => {
    const wide = (v: Value, at: number) => b.op('shl', b.extend64(v, false), b.constant(at, 64));
    const by = b.let(b.extend64(count, false));
    let result: Value;
    let carry: Value;
    if (width === 64) {
      const rest = b.let(b.op('sub', b.constant(64), count));
      result = left ? b.op('or', b.op('shl', x, count), b.op('shr', y, rest)) : b.op('or', b.op('shr', x, count), b.op('shl', y, rest));
      carry = lowest(b, b.op('shr', x, left ? rest : b.op('sub', count, b.constant(1))));
    } else if (width === 32) {
      const pair = b.let(left ? b.op('or', wide(x, 32), wide(y, 0)) : b.op('or', wide(y, 32), wide(x, 0)));
      result = left ? b.wrap32(b.op('shr', b.op('shl', pair, by), b.constant(32, 64))) : b.wrap32(b.op('shr', pair, by));
      carry = left
        ? b.op('and', b.op('shr', x, b.op('sub', b.constant(32), count)), b.constant(1))
        : b.op('and', b.op('shr', x, b.op('sub', count, b.constant(1))), b.constant(1));
    } else {
      const triple = b.let(b.op('or', b.op('or', wide(x, 32), wide(y, 16)), wide(x, 0)));
      result = b.truncate(b.wrap32(left ? b.op('shr', triple, b.op('sub', b.constant(32, 64), by)) : b.op('shr', triple, by)), 16);
      carry = b.op('and', b.wrap32(b.op('shr', triple, left ? b.op('sub', b.constant(48, 64), by) : b.op('sub', by, b.constant(1, 64)))), b.constant(1));
    }
    const kept = b.let(result);
    const carried = b.let(carry);
    b.write(0, kept);
    b.flagsResult(kept, width, carried, xor(b, bit(b, kept, width - 1), bit(b, x, width - 1)));
  }, () => writeBack(b, x));
};

/** The selected bit goes to CF; a register bit offset into memory reaches beyond the operand (SDM Vol. 2A, BT). */
const bitTest = (change: 'none' | 'set' | 'reset' | 'complement'): Semantics => (b) => {
  const width = b.width as 16 | 32 | 64;
  const offset = b.read(1);
  const mask = b.let(b.op('shl', b.constant(1, width), b.op('and', offset, b.constant(width - 1))));
  const changed = (x: Value): Value =>
    b.truncate(change === 'set' ? b.op('or', x, mask) : change === 'reset' ? b.op('and', x, b.not(mask)) : b.op('xor', x, mask), width);
  const carryOf = (x: Value): Value => b.op('ne', b.op('and', x, mask), b.constant(0));
  if (!b.isMemory(0) || b.isImmediate(1)) {
    const x = change === 'none' ? b.read(0) : b.readForWrite(0);
    const carry = b.let(carryOf(x));
    if (change !== 'none') b.write(0, b.let(changed(x)));
    b.setFlags({ C: carry });
    return;
  }
  const index = b.op('sar', b.signExtend(offset, width), b.constant(Math.log2(width)));
  const words = b.long && width !== 64 ? b.extend64(index, true) : index;
  const address = b.offsetBy(b.address(0), b.op('mul', words, b.constant(width / 8)));
  const x = change === 'none' ? b.load(address, width) : b.loadForWrite(address, width);
  const carry = b.let(carryOf(x));
  if (change !== 'none') b.store(address, width, b.let(changed(x)));
  b.setFlags({ C: carry });
};

const bitScan = (forward: boolean): Semantics => (b) => {
  const x = b.read(1);
  // Zero source: ZF is set and, as on every processor since the Pentium Pro, the destination keeps its value.
  b.if(x, () => b.write(0, forward ? b.ctz(x) : b.op('sub', b.constant(b.width === 64 ? 63 : 31, b.width), b.clz(x))));
  b.setFlags({ Z: b.isZero(x) });
};

/** The bytes of a value in the opposite order. */
export function reversed(b: Builder, x: Value, width: 16 | 32 | 64): Value {
  if (width === 16) return b.truncate(b.op('or', b.op('shl', x, b.constant(8)), b.op('shr', x, b.constant(8))), 16);
  if (width === 64) {
    const low = b.let(reversed(b, b.let(b.wrap32(x)), 32));
    const high = b.let(reversed(b, b.let(b.wrap32(b.op('shr', x, b.constant(32)))), 32));
    return b.op('or', b.op('shl', b.extend64(low, false), b.constant(32)), high);
  }
  const even = b.op('and', b.op('rotl', x, b.constant(8)), b.constant(0x00ff00ff));
  const odd = b.op('and', b.op('rotl', x, b.constant(24)), b.constant(0xff00ff00 | 0));
  return b.op('or', even, odd);
}

const shiftEncodings = (digit: number): string[] =>
  [`D0 /${digit} : Eb 1`, `D1 /${digit} : Ev 1`, `C0 /${digit} : Eb Ib`, `C1 /${digit} : Ev Ib`, `D2 /${digit} : Eb CL`, `D3 /${digit} : Ev CL`];
const shiftFlags = { writes: 'SZPC', undefined: 'OA' } as const;
const rotateFlags = { writes: 'C', undefined: 'O' } as const;
const doubleFlags = { writes: 'SZPC', undefined: 'OA' } as const;
const bitFlags = { writes: 'C', undefined: 'OSAP' } as const;
const scanFlags = { writes: 'Z', undefined: 'OSAPC' } as const;

const bitRow = (mnemonic: string, title: string, opcode: string, digit: number, change: 'none' | 'set' | 'reset' | 'complement'): InstructionSpec => ({
  mnemonic, title, encodings: [`0F ${opcode} /r : Ev Gv`, `0F BA /${digit} : Ev Ib`], feature: '386', flags: bitFlags,
  lock: change !== 'none', access: [change === 'none' ? 'r' : 'rw', 'r'], semantics: bitTest(change),
});

const aliases: Readonly<Record<string, readonly string[]>> = {
  b: ['c', 'nae'], ae: ['nc', 'nb'], e: ['z'], ne: ['nz'], be: ['na'], a: ['nbe'], p: ['pe'], np: ['po'], l: ['nge'], ge: ['nl'], le: ['ng'], g: ['nle'],
};
/** Mnemonics of a condition-coded family: `set` + e with alias `setz`. */
export const conditionNames = (prefix: string, condition: string): { mnemonic: string; aliases: string[] } =>
  ({ mnemonic: prefix + condition, aliases: (aliases[condition] ?? []).map((a) => prefix + a) });
/** Flags that a condition reads. */
export const conditionReads: Readonly<Record<string, string>> = {
  o: 'O', no: 'O', b: 'C', ae: 'C', e: 'Z', ne: 'Z', be: 'CZ', a: 'CZ', s: 'S', ns: 'S', p: 'P', np: 'P', l: 'SO', ge: 'SO', le: 'ZSO', g: 'ZSO',
};
export const hexByte = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

export const logicRows: readonly InstructionSpec[] = [
  { mnemonic: 'or', title: 'Logical inclusive OR', encodings: aluEncodings(1), flags: LOGIC, lock: true, semantics: logic('or') },
  { mnemonic: 'and', title: 'Logical AND', encodings: aluEncodings(4), flags: LOGIC, lock: true, semantics: logic('and') },
  { mnemonic: 'xor', title: 'Logical exclusive OR', encodings: aluEncodings(6), flags: LOGIC, lock: true, semantics: logic('xor') },
  {
    mnemonic: 'not', title: 'One\'s complement negation', encodings: ['F6 /2 : Eb', 'F7 /2 : Ev'], lock: true,
    semantics: (b) => b.write(0, b.let(b.truncate(b.not(b.readForWrite(0)), b.width))),
  },
  {
    mnemonic: 'test', title: 'Logical compare', flags: LOGIC, access: ['r', 'r'],
    encodings: ['84 /r : Eb Gb', '85 /r : Ev Gv', 'A8 : AL Ib', 'A9 : rAX Iz', 'F6 /0 : Eb Ib', 'F7 /0 : Ev Iz', 'F6 /1 : Eb Ib ; asm-', 'F7 /1 : Ev Iz ; asm-'],
    semantics: (b) => b.flagsLogic(b.let(b.op('and', b.read(0), b.read(1))), b.width),
  },
  { mnemonic: 'rol', title: 'Rotate left', encodings: shiftEncodings(0), flags: rotateFlags, access: ['rw', 'r'], semantics: rotate(true) },
  { mnemonic: 'ror', title: 'Rotate right', encodings: shiftEncodings(1), flags: rotateFlags, access: ['rw', 'r'], semantics: rotate(false) },
  { mnemonic: 'rcl', title: 'Rotate left through carry', encodings: shiftEncodings(2), flags: { ...rotateFlags, reads: 'C' }, semantics: rotateThroughCarry(true) },
  { mnemonic: 'rcr', title: 'Rotate right through carry', encodings: shiftEncodings(3), flags: { ...rotateFlags, reads: 'C' }, semantics: rotateThroughCarry(false) },
  {
    mnemonic: 'shl', aliases: ['sal'], title: 'Shift left', encodings: [...shiftEncodings(4), ...shiftEncodings(6).map((e) => `${e} ; asm-`)],
    flags: shiftFlags, semantics: shl,
  },
  { mnemonic: 'shr', title: 'Shift logical right', encodings: shiftEncodings(5), flags: shiftFlags, semantics: shr },
  { mnemonic: 'sar', title: 'Shift arithmetic right', encodings: shiftEncodings(7), flags: shiftFlags, semantics: sar },
  { mnemonic: 'shld', title: 'Double-precision shift left', encodings: ['0F A4 /r : Ev Gv Ib', '0F A5 /r : Ev Gv CL'], feature: '386', flags: doubleFlags, semantics: doubleShift(true) },
  { mnemonic: 'shrd', title: 'Double-precision shift right', encodings: ['0F AC /r : Ev Gv Ib', '0F AD /r : Ev Gv CL'], feature: '386', flags: doubleFlags, semantics: doubleShift(false) },
  bitRow('bt', 'Bit test', 'A3', 4, 'none'),
  bitRow('bts', 'Bit test and set', 'AB', 5, 'set'),
  bitRow('btr', 'Bit test and reset', 'B3', 6, 'reset'),
  bitRow('btc', 'Bit test and complement', 'BB', 7, 'complement'),
  { mnemonic: 'bsf', title: 'Bit scan forward', encodings: ['0F BC /r : Gv Ev'], feature: '386', flags: scanFlags, access: ['rw', 'r'], semantics: bitScan(true) },
  { mnemonic: 'bsr', title: 'Bit scan reverse', encodings: ['0F BD /r : Gv Ev'], feature: '386', flags: scanFlags, access: ['rw', 'r'], semantics: bitScan(false) },
  {
    mnemonic: 'bswap', title: 'Byte swap', encodings: ['0F C8+r : Zv'], feature: '486',
    semantics: (b) => {
      if (b.width === 16) {
        // Undefined in the manual; processors store zero.
        b.write(0, b.constant(0));
        return;
      }
      b.write(0, b.let(reversed(b, b.read(0), b.width as 32 | 64)));
    },
  },
  {
    mnemonic: 'popcnt', title: 'Count bits set to 1', encodings: ['F3 0F B8 /r : Gv Ev'], feature: 'popcnt', flags: { writes: 'Z', clears: 'OSAPC' }, access: ['w', 'r'],
    semantics: (b) => {
      const x = b.read(1);
      b.write(0, b.let(b.popcnt(x)));
      b.setArithmeticFlags(b.let(b.op('shl', b.isZero(x), b.constant(6))));
    },
  },
  ...conditions.map((condition, i): InstructionSpec => ({
    ...conditionNames('set', condition), title: `Set byte to 1 if ${conditionTitles[condition]}, else to 0`, encodings: [`0F ${hexByte(0x90 + i)} /r : Eb`], feature: '386',
    flags: { reads: conditionReads[condition] }, access: ['w'], semantics: (b) => b.write(0, b.condition(condition)),
  })),
];
