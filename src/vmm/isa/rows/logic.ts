/** Boolean operations, shifts, rotates and single-bit operations. */
import type { BinaryOperation, Builder, Semantics, Value } from '../builder';
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

const bit = (b: Builder, v: Value, n: number): Value => b.op('and', b.op('shr', v, b.constant(n)), b.constant(1));
const xor = (b: Builder, x: Value, y: Value): Value => b.op('xor', x, y);

/** Shift and rotate counts use their low five bits; a count of zero changes no flag (SDM Vol. 2B, SAL/SAR/SHL/SHR). */
function counted(body: (b: Builder, x: Value, count: Value, width: 8 | 16 | 32) => void): Semantics {
  return (b) => {
    const x = b.readForWrite(0);
    const count = b.let(b.op('and', b.read(1), b.constant(31)));
    b.if(count, () => body(b, x, count, b.width as 8 | 16 | 32));
  };
}

const shl = counted((b, x, count, width) => {
  const shifted = b.let(b.op('shl', x, count));
  const result = b.let(b.truncate(shifted, width));
  const carry = b.let(width === 32 ? b.op('and', b.op('shr', x, b.op('sub', b.constant(32), count)), b.constant(1)) : bit(b, shifted, width));
  b.write(0, result);
  b.flagsResult(result, width, carry, xor(b, bit(b, result, width - 1), carry));
});

const shr = counted((b, x, count, width) => {
  const result = b.let(b.op('shr', x, count));
  const carry = b.op('and', b.op('shr', x, b.op('sub', count, b.constant(1))), b.constant(1));
  b.write(0, result);
  b.flagsResult(result, width, carry, bit(b, x, width - 1));
});

const sar = counted((b, x, count, width) => {
  const signed = b.let(b.signExtend(x, width));
  const result = b.let(b.truncate(b.op('sar', signed, count), width));
  const carry = b.op('and', b.op('sar', signed, b.op('sub', count, b.constant(1))), b.constant(1));
  b.write(0, result);
  b.flagsResult(result, width, carry, b.constant(0));
});

/** Rotates change CF and OF only. The count is taken modulo the width, but CF is updated for any non-zero masked count. */
const rotate = (left: boolean) => counted((b, x, count, width) => {
  let result: Value;
  if (width === 32) result = b.op('rotl', x, left ? count : b.op('sub', b.constant(32), count));
  else {
    const by = b.let(b.op('and', count, b.constant(width - 1)));
    const back = b.op('and', b.op('sub', b.constant(width), by), b.constant(width - 1));
    result = left ? b.op('or', b.op('shl', x, by), b.op('shr', x, back)) : b.op('or', b.op('shr', x, by), b.op('shl', x, back));
  }
  result = b.let(b.truncate(result, width));
  b.write(0, result);
  const top = b.let(bit(b, result, width - 1));
  if (left) {
    const carry = b.let(b.op('and', result, b.constant(1)));
    b.setFlags({ C: carry, O: xor(b, top, carry) });
  } else b.setFlags({ C: top, O: xor(b, top, bit(b, result, width - 2)) });
});

/** Rotate through carry: a rotation of width + 1 bits, CF on top. */
const rotateThroughCarry = (left: boolean) => counted((b, x, count, width) => {
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

/** SHLD / SHRD. A 16-bit count above 16 is undefined in the manual; the bits then come from destination:source:destination. */
const doubleShift = (left: boolean): Semantics => (b) => {
  const width = b.width;
  const x = b.readForWrite(0);
  const y = b.read(1);
  const count = b.let(b.op('and', b.read(2), b.constant(31)));
  b.if(count, () => {
    const wide = (v: Value, at: number) => b.op('shl', b.extend64(v, false), b.constant(at, 64));
    const by = b.let(b.extend64(count, false));
    let result: Value;
    let carry: Value;
    if (width === 32) {
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
  });
};

/** The selected bit goes to CF; a register bit offset into memory reaches beyond the operand (SDM Vol. 2A, BT). */
const bitTest = (change: 'none' | 'set' | 'reset' | 'complement'): Semantics => (b) => {
  const width = b.width as 16 | 32;
  const offset = b.read(1);
  const mask = b.let(b.op('shl', b.constant(1), b.op('and', offset, b.constant(width - 1))));
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
  const words = b.op('sar', b.signExtend(offset, width), b.constant(width === 32 ? 5 : 4));
  const address = b.offsetBy(b.address(0), b.op('mul', words, b.constant(width / 8)));
  const x = change === 'none' ? b.load(address, width) : b.loadForWrite(address, width);
  const carry = b.let(carryOf(x));
  if (change !== 'none') b.store(address, width, b.let(changed(x)));
  b.setFlags({ C: carry });
};

const bitScan = (forward: boolean): Semantics => (b) => {
  const x = b.read(1);
  // Zero source: ZF is set and, as on every processor since the Pentium Pro, the destination keeps its value.
  b.if(x, () => b.write(0, forward ? b.ctz(x) : b.op('sub', b.constant(31), b.clz(x))));
  b.setFlags({ Z: b.isZero(x) });
};

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
      const x = b.read(0);
      const even = b.op('and', b.op('rotl', x, b.constant(8)), b.constant(0x00ff00ff));
      const odd = b.op('and', b.op('rotl', x, b.constant(24)), b.constant(0xff00ff00 | 0));
      b.write(0, b.let(b.op('or', even, odd)));
    },
  },
  ...conditions.map((condition, i): InstructionSpec => ({
    ...conditionNames('set', condition), title: `Set byte to 1 if ${conditionTitles[condition]}, else to 0`, encodings: [`0F ${hexByte(0x90 + i)} /r : Eb`], feature: '386',
    flags: { reads: conditionReads[condition] }, access: ['w'], semantics: (b) => b.write(0, b.condition(condition)),
  })),
];
