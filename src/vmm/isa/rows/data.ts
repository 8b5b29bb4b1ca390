/** Data movement, conversion, decimal adjustment and the flag instructions. */
import type { Builder, Semantics, Value } from '../builder';
import { conditions, conditionTitles } from '../builder';
import type { InstructionSpec } from '../types';
import { conditionNames, conditionReads, hexByte, reversed } from './logic';

const move: Semantics = (b) => b.write(0, b.read(1));

const extend = (signed: boolean): Semantics => (b) => {
  const x = b.read(1);
  const wide = b.width === 64 ? b.extend64(x, false) : x;
  b.write(0, signed ? b.let(b.truncate(b.signExtend(wide, b.operandWidth(1)), b.width)) : x);
};

const moveReversed: Semantics = (b) => b.write(0, b.let(reversed(b, b.read(1), b.width as 16 | 32 | 64)));

/** LDS and kin: offset and selector from memory; the selector's checks come before the register changes. */
const loadFarPointer = (segment: number): Semantics => (b) => {
  const address = b.address(1);
  const size = b.operandSize;
  const offset = b.load(address, size);
  const selector = b.load(b.offsetBy(address, size / 8), 16);
  b.callout('loadSegment', b.constant(segment), selector, b.constant(0));
  b.write(0, offset);
  b.leaveToNext();
};

/** Adjustments of AL after packed or unpacked decimal arithmetic (SDM Vol. 2A, operation sections). */
const decimalAdjust = (subtract: boolean): Semantics => (b) => {
  const old = b.register(0, 8);
  const oldCarry = b.flag('C');
  const low = b.let(b.op('or', b.op('gtU', b.op('and', old, b.constant(15)), b.constant(9)), b.flag('A')));
  const high = b.let(b.op('or', b.op('gtU', old, b.constant(0x99)), oldCarry));
  const first = b.op('mul', low, b.constant(6));
  const second = b.op('mul', high, b.constant(0x60));
  const change = b.op('add', first, second);
  const result = b.let(b.truncate(b.op(subtract ? 'sub' : 'add', old, change), 8));
  // The low step alone can carry out of AL: 0xFA..0xFF for DAA (then high is set anyway), 0..5 for DAS.
  const lowBorrow = subtract ? b.op('and', low, b.op('ltU', old, b.constant(6))) : b.constant(0);
  const carry = b.let(b.op('or', high, lowBorrow));
  b.setRegister(0, 8, result);
  b.flagsResult(result, 8, carry, b.constant(0), low);
};

const asciiAdjust = (subtract: boolean): Semantics => (b) => {
  const ax = b.register(0, 16);
  const adjust = b.let(b.op('or', b.op('gtU', b.op('and', ax, b.constant(15)), b.constant(9)), b.flag('A')));
  const change = b.op('mul', adjust, b.constant(0x106));
  const adjusted = b.let(b.truncate(b.op(subtract ? 'sub' : 'add', ax, change), 16));
  const result = b.let(b.op('and', adjusted, b.constant(0xff0f)));
  b.setRegister(0, 16, result);
  b.flagsResult(b.let(b.truncate(result, 8)), 8, adjust, b.constant(0), adjust);
};

const CLEAR_DIRECTION = ~0x400;

const setCarry = (value: (b: Builder) => Value): Semantics => (b) => b.setFlags({ C: b.let(value(b)) });

/** CLI and STI act on IF when CPL <= IOPL; otherwise the runtime decides between #GP and the virtual flag. */
function interruptFlagAllowed(b: Builder): Value {
  const iopl = b.op('and', b.op('shr', b.systemFlags(), b.constant(12)), b.constant(3));
  return b.op('leU', b.privilegeLevel(), iopl);
}

export const dataRows: readonly InstructionSpec[] = [
  {
    mnemonic: 'mov', title: 'Move', access: ['w', 'r'], semantics: move,
    encodings: [
      'A0 : AL Ob', 'A1 : rAX Ov', 'A2 : Ob AL', 'A3 : Ov rAX',
      '88 /r : Eb Gb', '89 /r : Ev Gv', '8A /r : Gb Eb', '8B /r : Gv Ev', 'B0+r : Zb Ib', 'B8+r : Zv Iv', 'C6 /0 : Eb Ib', 'C7 /0 : Ev Iz',
    ],
  },
  {
    mnemonic: 'mov', title: 'Move from segment register', encodings: ['8C /r : Rv Sw', '8C /r : Mw Sw'], access: ['w', 'r'],
    // A register destination takes the zero-extended selector, memory always sixteen bits.
    semantics: (b) => {
      const selector = b.selector('operand');
      if (b.isMemory(0)) b.store(b.address(0), 16, selector);
      else b.write(0, selector);
    },
  },
  {
    mnemonic: 'mov', title: 'Move to segment register', encodings: ['8E /r : Sw Ew'], access: ['w', 'r'], ends: true,
    exceptions: ['#UD when CS is the destination', '#GP, #SS, #NP by the descriptor\'s checks'],
    semantics: (b) => {
      b.callout('loadSegment', b.registerNumber(0), b.read(1), b.constant(1));
      b.leaveToNext();
    },
  },
  { mnemonic: 'movzx', title: 'Move with zero-extension', encodings: ['0F B6 /r : Gv Eb', '0F B7 /r : Gv Ew'], feature: '386', access: ['w', 'r'], semantics: extend(false) },
  { mnemonic: 'movsx', title: 'Move with sign-extension', encodings: ['0F BE /r : Gv Eb', '0F BF /r : Gv Ew', '63 /r : Gv Ed ; o64 only64 syntax'], feature: '386', access: ['w', 'r'], semantics: extend(true) },
  {
    mnemonic: 'movsxd', title: 'Move doubleword with sign-extension', feature: 'x64', access: ['w', 'r'], semantics: extend(true),
    encodings: ['63 /r : Gv Ew ; o16 only64 asm-', '63 /r : Gv Ed ; o32 only64 asm-', '63 /r : Gv Ed ; o64 only64'],
  },
  { mnemonic: 'movnti', title: 'Move without caching', encodings: ['0F C3 /r : My Gy ; np'], feature: 'sse2', access: ['w', 'r'], semantics: move },
  { mnemonic: 'movbe', title: 'Move with the bytes reversed', encodings: ['0F 38 F0 /r : Gv Mv ; nrep', '0F 38 F1 /r : Mv Gv ; nrep'], feature: 'movbe', access: ['w', 'r'], semantics: moveReversed },
  ...conditions.map((condition, i): InstructionSpec => ({
    ...conditionNames('cmov', condition), title: `Move if ${conditionTitles[condition]}`, encodings: [`0F ${hexByte(0x40 + i)} /r : Gv Ev`], feature: 'cmov',
    flags: { reads: conditionReads[condition] }, access: ['rw', 'r'],
    // The source is read, and may fault, whatever the condition says.
    semantics: (b) => {
      const source = b.read(1);
      b.write(0, b.let(b.select(b.condition(condition), source, b.read(0))));
    },
  })),
  {
    mnemonic: 'nop', title: 'No operation', encodings: ['90 :'], semantics: () => {},
  },
  {
    mnemonic: 'nop', title: 'No operation', feature: 'p6', access: ['-'], semantics: () => {},
    // 0F 0D and 0F 18 to 0F 1F are hints: what a processor does not know of them (ENDBR among it) does nothing (SDM Vol. 2, table A-3).
    encodings: ['0F 1F /0 : Ev', ...[0x0d, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f].map((opcode) => `0F ${hexByte(opcode)} /r : Ev ; asm-`)],
  },
  { mnemonic: 'pause', title: 'Spin-loop hint', encodings: ['F3 90 :'], semantics: (b) => b.if(b.pauseTold(), () => { b.callout('pause'); }) },
  { mnemonic: 'prefetchw', title: 'Prefetch for writing', encodings: ['0F 0D /1 : M'], feature: 'prefetchw', access: ['-'], semantics: () => {} },
  { mnemonic: 'lfence', title: 'Load fence', encodings: ['0F AE E8 : ; np', '0F AE /5 : ; np reg asm-'], feature: 'sse2', semantics: () => {} },
  { mnemonic: 'mfence', title: 'Memory fence', encodings: ['0F AE F0 : ; np', '0F AE /6 : ; np reg asm-'], feature: 'sse2', semantics: () => {} },
  { mnemonic: 'sfence', title: 'Store fence', encodings: ['0F AE F8 : ; np', '0F AE /7 : ; np reg asm-'], feature: 'p6', semantics: () => {} },
  // Nothing is cached, but the address is checked as a load's.
  { mnemonic: 'clflush', title: 'Flush a cache line', encodings: ['0F AE /7 : M ; np'], feature: 'clflush', access: ['-'], semantics: (b) => { b.load(b.address(0), 8); } },
  ...(['prefetchnta', 'prefetcht0', 'prefetcht1', 'prefetcht2'] as const).map((mnemonic, i): InstructionSpec => ({
    mnemonic, title: 'Prefetch hint', encodings: [`0F 18 /${i} : M`], feature: 'p6', access: ['-'], semantics: () => {},
  })),
  {
    mnemonic: 'xchg', title: 'Exchange', encodings: ['90+r : Zv rAX', '86 /r : Eb Gb', '87 /r : Ev Gv'], lock: true, access: ['rw', 'rw'],
    semantics: (b) => {
      const x = b.readForWrite(0);
      const y = b.read(1);
      b.write(0, y);
      b.write(1, x);
    },
  },
  {
    mnemonic: 'lea', title: 'Load effective address', encodings: ['8D /r : Gv M'], access: ['w', '-'],
    semantics: (b) => b.write(0, b.let(b.truncate(b.address(1).offset, b.width))),
  },
  { mnemonic: 'les', title: 'Load far pointer into ES', encodings: ['C4 /r : Gv Mp ; i64'], access: ['w', 'r'], ends: true, semantics: loadFarPointer(0) },
  { mnemonic: 'lds', title: 'Load far pointer into DS', encodings: ['C5 /r : Gv Mp ; i64'], access: ['w', 'r'], ends: true, semantics: loadFarPointer(3) },
  { mnemonic: 'lss', title: 'Load far pointer into SS', encodings: ['0F B2 /r : Gv Mp'], feature: '386', access: ['w', 'r'], ends: true, semantics: loadFarPointer(2) },
  { mnemonic: 'lfs', title: 'Load far pointer into FS', encodings: ['0F B4 /r : Gv Mp'], feature: '386', access: ['w', 'r'], ends: true, semantics: loadFarPointer(4) },
  { mnemonic: 'lgs', title: 'Load far pointer into GS', encodings: ['0F B5 /r : Gv Mp'], feature: '386', access: ['w', 'r'], ends: true, semantics: loadFarPointer(5) },
  {
    mnemonic: 'xlatb', aliases: ['xlat'], title: 'Table look-up translation', encodings: ['D7 :'], implicit: { reads: ['al', 'rBX'], writes: ['al'] },
    semantics: (b) => {
      const size = b.addressSize;
      const offset = b.truncate(b.op('add', b.register(3, size), b.register(0, 8)), size);
      b.setRegister(0, 8, b.load(b.implicitAddress('record', offset), 8));
    },
  },
  {
    mnemonic: 'bound', title: 'Check array index against bounds', encodings: ['62 /r : Gv Ma ; i64'], feature: '186', access: ['r', 'r'],
    exceptions: ['#BR if the index is outside the bounds'],
    semantics: (b) => {
      const size = b.operandSize;
      const address = b.address(1);
      const index = b.let(b.signExtend(b.read(0), size));
      const lower = b.signExtend(b.load(address, size), size);
      const upper = b.signExtend(b.load(b.offsetBy(address, size / 8), size), size);
      b.raiseIf(b.op('or', b.op('ltS', index, lower), b.op('gtS', index, upper)), 5);
    },
  },
  {
    mnemonic: 'cbw', title: 'Convert byte to word', encodings: ['98 : ; o16'], implicit: { reads: ['al'], writes: ['ax'] },
    semantics: (b) => b.setRegister(0, 16, b.let(b.truncate(b.signExtend(b.register(0, 8), 8), 16))),
  },
  {
    mnemonic: 'cwde', title: 'Convert word to doubleword', encodings: ['98 : ; o32'], feature: '386', implicit: { reads: ['ax'], writes: ['eax'] },
    semantics: (b) => b.setRegister(0, 32, b.let(b.signExtend(b.register(0, 16), 16))),
  },
  {
    mnemonic: 'cdqe', title: 'Convert doubleword to quadword', encodings: ['98 : ; o64'], feature: 'x64', implicit: { reads: ['eax'], writes: ['rax'] },
    semantics: (b) => b.setRegister(0, 64, b.extend64(b.register(0, 32), true)),
  },
  {
    mnemonic: 'cqo', title: 'Convert quadword to octoword in RDX:RAX', encodings: ['99 : ; o64'], feature: 'x64', implicit: { reads: ['rax'], writes: ['rdx'] },
    semantics: (b) => b.setRegister(2, 64, b.op('sar', b.register(0, 64), b.constant(63))),
  },
  {
    mnemonic: 'cwd', title: 'Convert word to doubleword in DX:AX', encodings: ['99 : ; o16'], implicit: { reads: ['ax'], writes: ['dx'] },
    semantics: (b) => b.setRegister(2, 16, b.let(b.truncate(b.op('sar', b.signExtend(b.register(0, 16), 16), b.constant(15)), 16))),
  },
  {
    mnemonic: 'cdq', title: 'Convert doubleword to quadword in EDX:EAX', encodings: ['99 : ; o32'], feature: '386', implicit: { reads: ['eax'], writes: ['edx'] },
    semantics: (b) => b.setRegister(2, 32, b.let(b.op('sar', b.register(0, 32), b.constant(31)))),
  },
  {
    mnemonic: 'lahf', title: 'Load flags into AH', encodings: ['9F :'], flags: { reads: 'SZAPC' }, implicit: { writes: ['ah'] },
    semantics: (b) => b.setHighByte(0, b.let(b.op('or', b.op('and', b.arithmeticFlags(), b.constant(0xd5)), b.constant(2)))),
  },
  {
    mnemonic: 'sahf', title: 'Store AH into flags', encodings: ['9E :'], flags: { writes: 'SZAPC' }, implicit: { reads: ['ah'] },
    semantics: (b) => {
      const overflow = b.op('shl', b.flag('O'), b.constant(11));
      b.setArithmeticFlags(b.let(b.op('or', b.op('and', b.highByte(0), b.constant(0xd5)), overflow)));
    },
  },
  { mnemonic: 'daa', title: 'Decimal adjust AL after addition', encodings: ['27 : ; i64'], flags: { reads: 'AC', writes: 'SZAPC', undefined: 'O' }, implicit: { reads: ['al'], writes: ['al'] }, semantics: decimalAdjust(false) },
  { mnemonic: 'das', title: 'Decimal adjust AL after subtraction', encodings: ['2F : ; i64'], flags: { reads: 'AC', writes: 'SZAPC', undefined: 'O' }, implicit: { reads: ['al'], writes: ['al'] }, semantics: decimalAdjust(true) },
  { mnemonic: 'aaa', title: 'ASCII adjust AL after addition', encodings: ['37 : ; i64'], flags: { reads: 'A', writes: 'AC', undefined: 'OSZP' }, implicit: { reads: ['ax'], writes: ['ax'] }, semantics: asciiAdjust(false) },
  { mnemonic: 'aas', title: 'ASCII adjust AL after subtraction', encodings: ['3F : ; i64'], flags: { reads: 'A', writes: 'AC', undefined: 'OSZP' }, implicit: { reads: ['ax'], writes: ['ax'] }, semantics: asciiAdjust(true) },
  {
    mnemonic: 'aam', title: 'ASCII adjust AX after multiply', encodings: ['D4 : Ib ; i64'], flags: { writes: 'SZP', undefined: 'OAC' }, exceptions: ['#DE if the immediate is 0'],
    access: ['r'], size: 8, implicit: { reads: ['al'], writes: ['ax'] },
    semantics: (b) => {
      const base = b.read(0);
      b.raiseIf(b.isZero(base), 0);
      const al = b.register(0, 8);
      const low = b.let(b.op('remU', al, base));
      b.setRegister(0, 16, b.let(b.op('or', b.op('shl', b.op('divU', al, base), b.constant(8)), low)));
      b.flagsResult(low, 8, b.constant(0), b.constant(0));
    },
  },
  {
    mnemonic: 'aad', title: 'ASCII adjust AX before division', encodings: ['D5 : Ib ; i64'], flags: { writes: 'SZP', undefined: 'OAC' },
    access: ['r'], size: 8, implicit: { reads: ['ax'], writes: ['ax'] },
    semantics: (b) => {
      const product = b.op('mul', b.highByte(0), b.read(0));
      const result = b.let(b.truncate(b.op('add', b.register(0, 8), product), 8));
      b.setRegister(0, 16, result);
      b.flagsResult(result, 8, b.constant(0), b.constant(0));
    },
  },
  {
    mnemonic: 'salc', title: 'Set AL from carry (undocumented)', encodings: ['D6 : ; i64'], flags: { reads: 'C' }, implicit: { writes: ['al'] },
    semantics: (b) => b.setRegister(0, 8, b.let(b.op('mul', b.flag('C'), b.constant(0xff)))),
  },
  { mnemonic: 'clc', title: 'Clear carry flag', encodings: ['F8 :'], flags: { clears: 'C' }, semantics: setCarry((b) => b.constant(0)) },
  { mnemonic: 'stc', title: 'Set carry flag', encodings: ['F9 :'], flags: { sets: 'C' }, semantics: setCarry((b) => b.constant(1)) },
  { mnemonic: 'cmc', title: 'Complement carry flag', encodings: ['F5 :'], flags: { reads: 'C', writes: 'C' }, semantics: setCarry((b) => b.isZero(b.flag('C'))) },
  { mnemonic: 'cld', title: 'Clear direction flag', encodings: ['FC :'], flags: { clears: 'D' }, semantics: (b) => b.setSystemFlags(b.op('and', b.systemFlags(), b.constant(CLEAR_DIRECTION))) },
  { mnemonic: 'std', title: 'Set direction flag', encodings: ['FD :'], flags: { sets: 'D' }, semantics: (b) => b.setSystemFlags(b.op('or', b.systemFlags(), b.constant(0x400))) },
  {
    mnemonic: 'cli', title: 'Clear interrupt flag', encodings: ['FA :'], flags: { clears: 'I' }, privilege: 'iopl',
    semantics: (b) => b.if(interruptFlagAllowed(b),
      () => b.setSystemFlags(b.op('and', b.systemFlags(), b.constant(~0x200))),
      () => { b.callout('clearInterruptFlag'); }),
  },
  {
    mnemonic: 'sti', title: 'Set interrupt flag', encodings: ['FB :'], flags: { sets: 'I' }, privilege: 'iopl', ends: true,
    semantics: (b) => {
      b.callout('setInterruptFlag');
      b.leaveToNext();
    },
  },
];
