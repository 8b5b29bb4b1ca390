/** Stack operations and control transfers, near and far. */
import type { Address, Builder, Semantics, Value } from '../builder';
import { conditions, conditionTitles } from '../builder';
import type { InstructionSpec } from '../types';
import { conditionNames, conditionReads, hexByte } from './logic';

const VM = 1 << 17;

const pushOperand: Semantics = (b) => b.push(b.read(0), b.operandSize);

const popRegister: Semantics = (b) => {
  const value = b.top(b.operandSize);
  b.release(b.operandSize / 8);
  b.write(0, value);
};

/** POP computes an rSP-based address after the increment (SDM Vol. 2B, POP). */
const popOperand: Semantics = (b) => {
  if (!b.isMemory(0)) {
    popRegister(b);
    return;
  }
  const bytes = b.operandSize / 8;
  const value = b.top(b.operandSize);
  const address = b.offsetBy(b.address(0), b.op('mul', b.usesStackPointer(0), b.constant(bytes)));
  b.store(address, b.operandSize, value);
  b.release(bytes);
};

const pushSegment = (segment: number): Semantics => (b) => b.push(b.selector(segment), b.operandSize);

const popSegment = (segment: number): Semantics => (b) => {
  const value = b.top(b.operandSize);
  const width = b.stackSize;
  const pointer = b.register(4, width);
  b.callout('loadSegment', b.constant(segment), b.let(b.truncate(value, 16)), b.constant(1));
  // The increment belongs to the old stack's pointer width; SS may just have changed.
  b.setRegister(4, width, b.let(b.truncate(b.op('add', pointer, b.constant(b.operandSize / 8)), width)));
  b.leaveToNext();
};

const segmentRows: readonly InstructionSpec[] = (
  [['ES', 0, '06', '07'], ['CS', 1, '0E', undefined], ['SS', 2, '16', '17'], ['DS', 3, '1E', '1F'], ['FS', 4, '0F A0', '0F A1'], ['GS', 5, '0F A8', '0F A9']] as const
).flatMap(([name, number, push, pop]): InstructionSpec[] => {
  const feature = number >= 4 ? '386' as const : '8086' as const;
  const suffix = number >= 4 ? ' ; d64' : ' ; i64';
  const rows: InstructionSpec[] = [{ mnemonic: 'push', title: 'Push segment register', encodings: [`${push} : ${name}${suffix}`], feature, access: ['r'], semantics: pushSegment(number) }];
  if (pop) rows.push({ mnemonic: 'pop', title: 'Pop segment register', encodings: [`${pop} : ${name}${suffix}`], feature, access: ['w'], ends: true, semantics: popSegment(number) });
  return rows;
});

const pushAll: Semantics = (b) => {
  const size = b.operandSize as 16 | 32;
  const bytes = size / 8;
  const slots = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => ({ address: b.stackAddress(-bytes * (n + 1)), value: b.register(n, size) }));
  // All eight stores are checked before the first is made.
  for (const { address } of slots) b.loadForWrite(address, size);
  for (const { address, value } of slots) b.store(address, size, value);
  b.release(-8 * bytes);
};

const popAll: Semantics = (b) => {
  const size = b.operandSize as 16 | 32;
  const bytes = size / 8;
  const values = [7, 6, 5, 4, 3, 2, 1, 0].map((n, i) => ({ n, value: b.load(b.stackAddress(bytes * i), size) }));
  b.release(8 * bytes);
  for (const { n, value } of values) if (n !== 4) b.setRegister(n, size, value);
};

/** In virtual-8086 mode PUSHF may fault or show VIF: the callout decides. */
const pushFlags: Semantics = (b) => {
  const system = b.systemFlags();
  const value = b.variable(b.op('or', b.arithmeticFlags(), b.op('and', system, b.constant(~(VM | (1 << 16))))));
  b.if(b.op('and', system, b.constant(VM)), () => value.set(b.callout('pushFlagsValue', b.constant(b.operandSize / 8))));
  b.push(b.let(b.truncate(value.get(), b.operandSize)), b.operandSize);
};

const popFlags: Semantics = (b) => {
  const value = b.top(b.operandSize);
  b.callout('popFlags', value, b.constant(b.operandSize / 8));
  b.release(b.operandSize / 8);
  b.leaveToNext();
};

const enter: Semantics = (b) => {
  const size = b.operandSize;
  const stack = b.stackSize;
  const bytes = size / 8;
  const level = b.let(b.op('and', b.secondImmediate(), b.constant(31)));
  const frame = b.let(b.truncate(b.op('sub', b.register(4, stack), b.constant(bytes)), stack));
  const at = (offset: ReturnType<typeof b.let>) => b.implicitAddress(2, b.let(b.truncate(offset, stack)));
  const last = b.let(b.truncate(b.op('sub', frame, b.op('add', b.op('mul', level, b.constant(bytes)), b.immediate())), stack));
  const eachLevel = (body: (i: Value, source: Address, slot: Address) => void): void => b.if(level, () => {
    const n = b.variable(b.constant(1));
    b.loop(() => {
      const i = b.let(n.get());
      const down = b.let(b.op('mul', i, b.constant(bytes)));
      body(i, at(b.op('sub', b.register(5, stack), down)), at(b.op('sub', frame, down)));
      n.set(b.op('add', i, b.constant(1)));
      return b.op('leU', n.get(), level);
    });
  });
  // Everything is checked first, the final stack pointer too: the instruction happens entirely or not at all (SDM Vol. 2A, ENTER).
  b.loadForWrite(at(frame), size);
  eachLevel((i, source, slot) => {
    b.if(b.op('ltU', i, level), () => { b.load(source, size); });
    b.loadForWrite(slot, size);
  });
  b.loadForWrite(at(last), size);
  // The old frame may overlap the new one: pointers are read after those before them have been pushed.
  b.store(at(frame), size, b.register(5, size));
  // With a 16-bit stack and 32-bit operands the frame pointer has ESP's upper half, which the manual leaves open.
  const pointer = size === 32 && stack === 16 ? b.let(b.op('or', b.op('and', b.register(4, 32), b.constant(0xffff0000 | 0)), frame)) : frame;
  eachLevel((i, source, slot) => {
    const value = b.variable(pointer);
    b.if(b.op('ltU', i, level), () => value.set(b.load(source, size)));
    b.store(slot, size, b.let(b.truncate(value.get(), size)));
  });
  b.setRegister(5, size, b.let(b.truncate(pointer, size)));
  b.setRegister(4, stack, last);
};

const leave: Semantics = (b) => {
  const size = b.operandSize;
  const stack = b.stackSize;
  const frame = b.register(5, stack);
  const value = b.load(b.implicitAddress(2, frame), size);
  b.setRegister(4, stack, b.let(b.truncate(b.op('add', frame, b.constant(size / 8)), stack)));
  b.setRegister(5, size, value);
};

const nearReturn: Semantics = (b) => {
  const target = b.top(b.operandSize);
  b.checkTarget(target);
  b.release(b.op('add', b.constant(b.operandSize / 8), b.operandCount ? b.immediate() : b.constant(0)));
  b.returnTo(target);
};

/** Far transfers through memory: the offset comes first, the selector behind it. */
const farThroughMemory = (name: 'farJump' | 'farCall'): Semantics => (b) => {
  const address = b.address(0);
  const offset = b.load(address, b.operandSize);
  const selector = b.load(b.offsetBy(address, b.operandSize / 8), 16);
  b.callout(name, selector, offset);
  b.leave();
};

const farDirect = (name: 'farJump' | 'farCall'): Semantics => (b) => {
  b.callout(name, b.secondImmediate(), b.immediate());
  b.leave();
};

const loop = (condition: 'none' | 'zero' | 'notZero'): Semantics => (b) => {
  const size = b.addressSize;
  const count = b.let(b.truncate(b.op('sub', b.register(1, size), b.constant(1)), size));
  const more = b.op('ne', count, b.constant(0));
  const zero = b.flag('Z');
  const taken = b.let(condition === 'none' ? more : b.op('and', more, condition === 'zero' ? zero : b.isZero(zero)));
  // The taken target's limit is checked before rCX changes.
  b.if(taken, () => b.checkTarget(b.target()));
  b.setRegister(1, size, count);
  b.jumpIf(taken);
};

const jumpIfCounterZero: Semantics = (b) => {
  const taken = b.let(b.isZero(b.register(1, b.addressSize)));
  b.if(taken, () => b.checkTarget(b.target()));
  b.jumpIf(taken);
};

/** `numbered`: the INT n form, whose way out of virtual-8086 mode depends on IOPL and the redirection bitmap. */
const interrupt = (vector: (b: Builder) => ReturnType<Builder['constant']>, numbered: 0 | 1): Semantics => (b) => {
  b.callout('softwareInterrupt', vector(b), b.constant(numbered));
  b.leave();
};

export const controlRows: readonly InstructionSpec[] = [
  { mnemonic: 'push', title: 'Push onto the stack', encodings: ['50+r : Zv ; d64', '6A : Ibs ; d64', '68 : Iz ; d64', 'FF /6 : Ev ; d64'], access: ['r'], implicit: { reads: ['rSP'], writes: ['rSP'] }, semantics: pushOperand },
  { mnemonic: 'pop', title: 'Pop from the stack', encodings: ['58+r : Zv ; d64', '8F /0 : Ev ; d64'], access: ['w'], implicit: { reads: ['rSP'], writes: ['rSP'] }, semantics: popOperand },
  ...segmentRows,
  { mnemonic: 'pushaw', aliases: ['pusha'], title: 'Push all 16-bit general registers', encodings: ['60 : ; o16 i64'], feature: '186', semantics: pushAll },
  { mnemonic: 'pushad', aliases: ['pusha'], title: 'Push all 32-bit general registers', encodings: ['60 : ; o32 i64'], feature: '386', semantics: pushAll },
  { mnemonic: 'popaw', aliases: ['popa'], title: 'Pop all 16-bit general registers', encodings: ['61 : ; o16 i64'], feature: '186', semantics: popAll },
  { mnemonic: 'popad', aliases: ['popa'], title: 'Pop all 32-bit general registers', encodings: ['61 : ; o32 i64'], feature: '386', semantics: popAll },
  { mnemonic: 'pushfw', aliases: ['pushf'], title: 'Push FLAGS', encodings: ['9C : ; o16'], flags: { reads: 'OSZAPCDITNL' }, semantics: pushFlags },
  { mnemonic: 'pushfd', aliases: ['pushf'], title: 'Push EFLAGS', encodings: ['9C : ; o32 i64'], feature: '386', flags: { reads: 'OSZAPCDITNLK' }, semantics: pushFlags },
  { mnemonic: 'pushfq', aliases: ['pushf'], title: 'Push RFLAGS', encodings: ['9C : ; o64 d64'], feature: 'x64', flags: { reads: 'OSZAPCDITNLK' }, semantics: pushFlags },
  { mnemonic: 'popfw', aliases: ['popf'], title: 'Pop FLAGS', encodings: ['9D : ; o16'], flags: { writes: 'OSZAPCDITNL' }, ends: true, semantics: popFlags },
  { mnemonic: 'popfd', aliases: ['popf'], title: 'Pop EFLAGS', encodings: ['9D : ; o32 i64'], feature: '386', flags: { writes: 'OSZAPCDITNLK' }, ends: true, semantics: popFlags },
  { mnemonic: 'popfq', aliases: ['popf'], title: 'Pop RFLAGS', encodings: ['9D : ; o64 d64'], feature: 'x64', flags: { writes: 'OSZAPCDITNLK' }, ends: true, semantics: popFlags },
  { mnemonic: 'enter', title: 'Make a stack frame', encodings: ['C8 : Iw Ib ; d64'], feature: '186', access: ['r', 'r'], implicit: { reads: ['rSP', 'rBP'], writes: ['rSP', 'rBP'] }, semantics: enter },
  { mnemonic: 'leave', title: 'Leave a stack frame', encodings: ['C9 : ; d64'], feature: '186', implicit: { reads: ['rBP'], writes: ['rSP', 'rBP'] }, semantics: leave },

  {
    mnemonic: 'jmp', title: 'Jump', encodings: ['EB : Jb', 'E9 : Jz'], access: ['r'], ends: true, control: 'jump',
    semantics: (b) => {
      b.checkTarget(b.target());
      b.jump();
    },
  },
  {
    mnemonic: 'jmp', title: 'Jump indirect', encodings: ['FF /4 : Ev ; f64'], access: ['r'], ends: true, control: 'jump',
    semantics: (b) => {
      const target = b.read(0);
      b.checkTarget(target);
      b.jumpTo(target);
    },
  },
  { mnemonic: 'jmp', title: 'Jump far', encodings: ['EA : Ap ; i64'], access: ['r'], ends: true, control: 'jump', semantics: farDirect('farJump') },
  { mnemonic: 'jmp', title: 'Jump far indirect', encodings: ['FF /5 : Mp'], access: ['r'], ends: true, control: 'jump', semantics: farThroughMemory('farJump') },
  ...conditions.map((condition, i): InstructionSpec => ({
    ...conditionNames('j', condition), title: `Jump if ${conditionTitles[condition]}`, encodings: [`${hexByte(0x70 + i)} : Jb`, `0F ${hexByte(0x80 + i)} : Jz`],
    flags: { reads: conditionReads[condition] }, access: ['r'], ends: true, control: 'condition',
    semantics: (b) => {
      const taken = b.let(b.condition(condition));
      if (b.checksTargets) b.if(taken, () => b.checkTarget(b.target()));
      b.jumpIf(taken);
    },
  })),
  { mnemonic: 'loopne', aliases: ['loopnz'], title: 'Loop while not zero', encodings: ['E0 : Jb'], flags: { reads: 'Z' }, access: ['r'], implicit: { reads: ['rCX'], writes: ['rCX'] }, ends: true, control: 'condition', semantics: loop('notZero') },
  { mnemonic: 'loope', aliases: ['loopz'], title: 'Loop while zero', encodings: ['E1 : Jb'], flags: { reads: 'Z' }, access: ['r'], implicit: { reads: ['rCX'], writes: ['rCX'] }, ends: true, control: 'condition', semantics: loop('zero') },
  { mnemonic: 'loop', title: 'Loop', encodings: ['E2 : Jb'], access: ['r'], implicit: { reads: ['rCX'], writes: ['rCX'] }, ends: true, control: 'condition', semantics: loop('none') },
  { mnemonic: 'jcxz', title: 'Jump if CX is zero', encodings: ['E3 : Jb ; a16'], access: ['r'], implicit: { reads: ['cx'] }, ends: true, control: 'condition', semantics: jumpIfCounterZero },
  { mnemonic: 'jecxz', title: 'Jump if ECX is zero', encodings: ['E3 : Jb ; a32'], feature: '386', access: ['r'], implicit: { reads: ['ecx'] }, ends: true, control: 'condition', semantics: jumpIfCounterZero },
  { mnemonic: 'jrcxz', title: 'Jump if RCX is zero', encodings: ['E3 : Jb ; a64'], feature: 'x64', access: ['r'], implicit: { reads: ['rcx'] }, ends: true, control: 'condition', semantics: jumpIfCounterZero },
  {
    mnemonic: 'call', title: 'Call', encodings: ['E8 : Jz'], access: ['r'], ends: true, control: 'call', implicit: { reads: ['rSP'], writes: ['rSP'] },
    semantics: (b) => {
      b.checkTarget(b.target());
      b.push(b.nextInstruction(), b.operandSize);
      b.call();
    },
  },
  {
    mnemonic: 'call', title: 'Call indirect', encodings: ['FF /2 : Ev ; f64'], access: ['r'], ends: true, control: 'call', implicit: { reads: ['rSP'], writes: ['rSP'] },
    semantics: (b) => {
      const target = b.read(0);
      b.checkTarget(target);
      b.push(b.nextInstruction(), b.operandSize);
      b.callTo(target);
    },
  },
  { mnemonic: 'call', title: 'Call far', encodings: ['9A : Ap ; i64'], access: ['r'], ends: true, control: 'call', semantics: farDirect('farCall') },
  { mnemonic: 'call', title: 'Call far indirect', encodings: ['FF /3 : Mp'], access: ['r'], ends: true, control: 'call', semantics: farThroughMemory('farCall') },
  { mnemonic: 'ret', aliases: ['retn'], title: 'Return', encodings: ['C3 : ; f64', 'C2 : Iw ; f64'], access: ['r'], ends: true, control: 'return', implicit: { reads: ['rSP'], writes: ['rSP'] }, semantics: nearReturn },
  {
    mnemonic: 'retf', title: 'Return far', encodings: ['CB :', 'CA : Iw'], access: ['r'], ends: true, control: 'return',
    semantics: (b) => {
      b.callout('farReturn', b.operandCount ? b.immediate() : b.constant(0));
      b.leave();
    },
  },
  { mnemonic: 'int', title: 'Software interrupt', encodings: ['CD : Ib'], access: ['r'], size: 8, ends: true, control: 'interrupt', semantics: interrupt((b) => b.read(0), 1) },
  { mnemonic: 'int3', aliases: ['int03'], title: 'Breakpoint', encodings: ['CC :'], ends: true, control: 'interrupt', semantics: interrupt((b) => b.constant(3), 0) },
  {
    mnemonic: 'int1', aliases: ['icebp'], title: 'Debug trap', encodings: ['F1 :'], feature: '386', ends: true, control: 'interrupt',
    semantics: (b) => {
      b.callout('debugTrap');
      b.leave();
    },
  },
  {
    mnemonic: 'into', title: 'Interrupt on overflow', encodings: ['CE : ; i64'], flags: { reads: 'O' }, ends: true, control: 'interrupt',
    semantics: (b) => b.if(b.flag('O'), () => {
      b.callout('softwareInterrupt', b.constant(4), b.constant(0));
      b.leave();
    }, () => b.leaveToNext()),
  },
  { mnemonic: 'iretw', aliases: ['iret'], title: 'Interrupt return', encodings: ['CF : ; o16'], flags: { writes: 'OSZAPCDITNL' }, ends: true, control: 'interruptReturn', semantics: (b) => {
    b.callout('interruptReturn');
    b.leave();
  } },
  { mnemonic: 'iretq', title: 'Interrupt return', encodings: ['CF : ; o64'], feature: 'x64', flags: { writes: 'OSZAPCDITNLK' }, ends: true, control: 'interruptReturn', semantics: (b) => {
    b.callout('interruptReturn');
    b.leave();
  } },
  { mnemonic: 'iretd', aliases: ['iret'], title: 'Interrupt return', encodings: ['CF : ; o32'], feature: '386', flags: { writes: 'OSZAPCDITNLK' }, ends: true, control: 'interruptReturn', semantics: (b) => {
    b.callout('interruptReturn');
    b.leave();
  } },
];
