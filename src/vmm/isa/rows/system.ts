/** Instructions of the operating system: descriptor tables, control and debug registers, MSRs, identification, fast system calls. */
import type { Builder, Semantics, Value } from '../builder';
import type { InstructionSpec } from '../types';

const UNDEFINED_OPCODE = 6;

/** Instructions that exist in protected mode only. */
const protectedOnly = (body: Semantics): Semantics => (b) => {
  b.raiseIf(b.isZero(b.protectedMode()), UNDEFINED_OPCODE);
  body(b);
};

const GENERAL_PROTECTION = 13;
const CR4_UMIP = 1 << 11;
const CR4_FSGSBASE = 1 << 16;

/** CR4.UMIP keeps what these instructions show from programs. */
const hidden = (body: Semantics): Semantics => (b) => {
  const kept = b.op('ne', b.op('and', b.controlRegister(4), b.constant(CR4_UMIP)), b.constant(0));
  b.raiseIf(b.op('and', kept, b.op('ne', b.privilegeLevel(), b.constant(0))), GENERAL_PROTECTION);
  body(b);
};

const storeTable = (register: 'gdtr' | 'idtr'): Semantics => hidden((b) => {
  const width = b.long ? 64 : 32;
  const address = b.address(0);
  const base = b.offsetBy(address, 2);
  // Both parts are proved writable before either is written.
  b.loadForWrite(address, 16);
  b.loadForWrite(base, width);
  b.store(address, 16, b.descriptorTable(register, 'limit'));
  b.store(base, width, b.descriptorTable(register, 'base'));
});

/** The check of privilege comes before the operand is read: outside level 0 the callout refuses, whatever it is given. */
const refuseUnprivileged = (b: Builder, name: 'lgdt' | 'lidt' | 'lldt' | 'ltr' | 'lmsw'): void =>
  b.if(b.privilegeLevel(), () => { b.callout(name, b.constant(0), b.constant(0)); });

const loadSelector = (name: 'lldt' | 'ltr'): Semantics => protectedOnly((b) => {
  refuseUnprivileged(b, name);
  b.callout(name, b.read(0));
});

const loadTable = (name: 'lgdt' | 'lidt'): Semantics => (b) => {
  refuseUnprivileged(b, name);
  const address = b.address(0);
  const limit = b.load(address, 16);
  const base = b.load(b.offsetBy(address, 2), b.long ? 64 : 32);
  // A 16-bit operand size loads 24 bits of base, except in 64-bit mode.
  b.callout(name, limit, b.operandSize === 16 && !b.long ? b.op('and', base, b.constant(0xffffff)) : base);
};

/** SLDT, STR, SMSW: a register destination takes the operand size, memory sixteen bits. */
const storeWord = (value: (b: Builder) => Value): Semantics => hidden((b) => {
  const word = value(b);
  if (b.isMemory(0)) b.store(b.address(0), 16, b.let(b.truncate(word, 16)));
  else b.write(0, b.let(b.truncate(word, b.width)));
});

/** Control and debug registers are as wide as the code. */
const moveFrom = (name: 'movFromCr' | 'movFromDr'): Semantics => (b) => {
  const value = b.callout(name, b.registerNumber(1));
  b.write(0, b.long ? b.calloutWide() : value);
};

const segmentBase = (register: 'fsBase' | 'gsBase', write: boolean): Semantics => (b) => {
  b.raiseIf(b.isZero(b.op('and', b.controlRegister(4), b.constant(CR4_FSGSBASE))), UNDEFINED_OPCODE);
  if (!write) {
    b.write(0, b.let(b.width === 64 ? b.wideState(register) : b.wrap32(b.wideState(register))));
    return;
  }
  const base = b.let(b.width === 64 ? b.read(0) : b.extend64(b.read(0), false));
  b.raiseIf(b.isZero(b.isCanonical(base)), GENERAL_PROTECTION);
  b.setWideState(register, base);
};

/** Which pages the supervisor reaches depends on it (CR4.SMAP). */
const setAlignmentFlag = (on: 0 | 1): Semantics => (b) => {
  b.callout('setAlignmentFlag', b.constant(on));
  b.leaveToNext();
};

/** LAR and LSL answer in ZF and leave the destination alone when the selector is not good. */
const descriptorQuery = (name: 'lar' | 'lsl'): Semantics => protectedOnly((b) => {
  const good = b.callout(name, b.let(b.truncate(b.read(1), 16)));
  b.if(good, () => b.write(0, b.let(b.truncate(b.calloutSecond(), b.width))));
  b.setFlags({ Z: good });
});

const verify = (name: 'verr' | 'verw'): Semantics => protectedOnly((b) => b.setFlags({ Z: b.callout(name, b.read(0)) }));

/** A callout after which anything may have changed: the machine looks again at the next instruction. */
const calloutAndLeave = (name: string): Semantics => (b) => {
  b.callout(name);
  b.leaveToNext();
};
const calloutAt = (name: string): Semantics => (b) => {
  b.callout(name);
  b.leave();
};

export const systemRows: readonly InstructionSpec[] = [
  { mnemonic: 'sldt', title: 'Store local descriptor table register', encodings: ['0F 00 /0 : Rv', '0F 00 /0 : Mw'], feature: '286', access: ['w'], privilege: 'protected', semantics: protectedOnly(storeWord((b) => b.selector(6))) },
  { mnemonic: 'str', title: 'Store task register', encodings: ['0F 00 /1 : Rv', '0F 00 /1 : Mw'], feature: '286', access: ['w'], privilege: 'protected', semantics: protectedOnly(storeWord((b) => b.selector(7))) },
  { mnemonic: 'lldt', title: 'Load local descriptor table register', encodings: ['0F 00 /2 : Ew'], feature: '286', access: ['r'], privilege: 'cpl0', semantics: loadSelector('lldt') },
  { mnemonic: 'ltr', title: 'Load task register', encodings: ['0F 00 /3 : Ew'], feature: '286', access: ['r'], privilege: 'cpl0', semantics: loadSelector('ltr') },
  { mnemonic: 'verr', title: 'Verify a segment for reading', encodings: ['0F 00 /4 : Ew'], feature: '286', access: ['r'], flags: { writes: 'Z' }, privilege: 'protected', semantics: verify('verr') },
  { mnemonic: 'verw', title: 'Verify a segment for writing', encodings: ['0F 00 /5 : Ew'], feature: '286', access: ['r'], flags: { writes: 'Z' }, privilege: 'protected', semantics: verify('verw') },
  { mnemonic: 'sgdt', title: 'Store global descriptor table register', encodings: ['0F 01 /0 : Ms'], feature: '286', access: ['w'], semantics: storeTable('gdtr') },
  { mnemonic: 'sidt', title: 'Store interrupt descriptor table register', encodings: ['0F 01 /1 : Ms'], feature: '286', access: ['w'], semantics: storeTable('idtr') },
  { mnemonic: 'lgdt', title: 'Load global descriptor table register', encodings: ['0F 01 /2 : Ms'], feature: '286', access: ['r'], privilege: 'cpl0', semantics: loadTable('lgdt') },
  { mnemonic: 'lidt', title: 'Load interrupt descriptor table register', encodings: ['0F 01 /3 : Ms'], feature: '286', access: ['r'], privilege: 'cpl0', semantics: loadTable('lidt') },
  { mnemonic: 'smsw', title: 'Store machine status word', encodings: ['0F 01 /4 : Rv', '0F 01 /4 : Mw'], feature: '286', access: ['w'], semantics: storeWord((b) => b.controlRegister(0)) },
  {
    mnemonic: 'lmsw', title: 'Load machine status word', encodings: ['0F 01 /6 : Ew'], feature: '286', access: ['r'], privilege: 'cpl0', ends: true,
    semantics: (b) => {
      refuseUnprivileged(b, 'lmsw');
      b.callout('lmsw', b.read(0));
      b.leaveToNext();
    },
  },
  {
    mnemonic: 'invlpg', title: 'Invalidate a TLB entry', encodings: ['0F 01 /7 : M'], feature: '486', access: ['-'], privilege: 'cpl0', ends: true,
    semantics: (b) => {
      b.callout('invlpg', b.linear(b.address(0)));
      b.leaveToNext();
    },
  },
  { mnemonic: 'lar', title: 'Load access rights', encodings: ['0F 02 /r : Gv Ew'], feature: '286', access: ['rw', 'r'], flags: { writes: 'Z' }, privilege: 'protected', semantics: descriptorQuery('lar') },
  { mnemonic: 'lsl', title: 'Load segment limit', encodings: ['0F 03 /r : Gv Ew'], feature: '286', access: ['rw', 'r'], flags: { writes: 'Z' }, privilege: 'protected', semantics: descriptorQuery('lsl') },
  {
    mnemonic: 'arpl', title: 'Adjust RPL of a selector', encodings: ['63 /r : Ew Gw ; i64'], feature: '286', flags: { writes: 'Z' }, privilege: 'protected',
    semantics: protectedOnly((b) => {
      // The destination need not be writable when it stays as it is.
      const destination = b.read(0);
      const rpl = b.let(b.op('and', b.read(1), b.constant(3)));
      const lower = b.let(b.op('ltU', b.op('and', destination, b.constant(3)), rpl));
      b.if(lower, () => b.write(0, b.let(b.op('or', b.op('and', destination, b.constant(0xfffc)), rpl))));
      b.setFlags({ Z: lower });
    }),
  },
  { mnemonic: 'clts', title: 'Clear the task-switched flag', encodings: ['0F 06 :'], feature: '286', privilege: 'cpl0', ends: true, semantics: calloutAndLeave('clts') },
  { mnemonic: 'invd', title: 'Invalidate caches', encodings: ['0F 08 :'], feature: '486', privilege: 'cpl0', semantics: (b) => { b.callout('invd'); } },
  { mnemonic: 'wbinvd', title: 'Write back and invalidate caches', encodings: ['0F 09 :'], feature: '486', privilege: 'cpl0', semantics: (b) => { b.callout('wbinvd'); } },
  {
    mnemonic: 'mov', title: 'Move from control register', encodings: ['0F 20 /r : Rd Cd'], feature: '386', access: ['w', 'r'], privilege: 'cpl0',
    semantics: moveFrom('movFromCr'),
  },
  {
    mnemonic: 'mov', title: 'Move to control register', encodings: ['0F 22 /r : Cd Rd'], feature: '386', access: ['w', 'r'], privilege: 'cpl0', ends: true,
    semantics: (b) => {
      b.callout('movToCr', b.registerNumber(0), b.read(1));
      b.leaveToNext();
    },
  },
  {
    mnemonic: 'mov', title: 'Move from debug register', encodings: ['0F 21 /r : Rd Dd'], feature: '386', access: ['w', 'r'], privilege: 'cpl0',
    semantics: moveFrom('movFromDr'),
  },
  {
    mnemonic: 'mov', title: 'Move to debug register', encodings: ['0F 23 /r : Dd Rd'], feature: '386', access: ['w', 'r'], privilege: 'cpl0', ends: true,
    semantics: (b) => {
      b.callout('movToDr', b.registerNumber(0), b.read(1));
      b.leaveToNext();
    },
  },
  { mnemonic: 'hlt', title: 'Halt', encodings: ['F4 :'], privilege: 'cpl0', ends: true, control: 'halt', semantics: calloutAndLeave('hlt') },
  { mnemonic: 'ud2', title: 'Undefined instruction', encodings: ['0F 0B :'], feature: 'p6', exceptions: ['#UD always'], ends: true, semantics: (b) => b.raise(UNDEFINED_OPCODE) },
  { mnemonic: 'ud1', aliases: ['ud2b'], title: 'Undefined instruction', encodings: ['0F B9 /r : Gv Ev'], feature: 'p6', access: ['-', '-'], exceptions: ['#UD always'], ends: true, semantics: (b) => b.raise(UNDEFINED_OPCODE) },
  { mnemonic: 'ud0', title: 'Undefined instruction', encodings: ['0F FF /r : Gv Ev'], feature: 'p6', access: ['-', '-'], exceptions: ['#UD always'], ends: true, semantics: (b) => b.raise(UNDEFINED_OPCODE) },
  { mnemonic: 'rsm', title: 'Resume from system management mode', encodings: ['0F AA :'], feature: 'pentium', exceptions: ['#UD outside SMM'], ends: true, semantics: (b) => b.raise(UNDEFINED_OPCODE) },
  { mnemonic: 'cpuid', title: 'CPU identification', encodings: ['0F A2 :'], feature: 'pentium', implicit: { reads: ['eax', 'ecx'], writes: ['eax', 'ebx', 'ecx', 'edx'] }, semantics: (b) => { b.callout('cpuid'); } },
  {
    mnemonic: 'rdtsc', title: 'Read time-stamp counter', encodings: ['0F 31 :'], feature: 'tsc', implicit: { writes: ['eax', 'edx'] },
    exceptions: ['#GP(0) if CR4.TSD = 1 and CPL > 0'], semantics: (b) => { b.callout('rdtsc'); },
  },
  { mnemonic: 'rdmsr', title: 'Read model-specific register', encodings: ['0F 32 :'], feature: 'msr', privilege: 'cpl0', implicit: { reads: ['ecx'], writes: ['eax', 'edx'] }, semantics: (b) => { b.callout('rdmsr'); } },
  { mnemonic: 'wrmsr', title: 'Write model-specific register', encodings: ['0F 30 :'], feature: 'msr', privilege: 'cpl0', implicit: { reads: ['eax', 'ecx', 'edx'] }, ends: true, semantics: calloutAndLeave('wrmsr') },
  { mnemonic: 'rdpmc', title: 'Read performance-monitoring counter', encodings: ['0F 33 :'], feature: 'rdpmc', implicit: { reads: ['ecx'], writes: ['eax', 'edx'] }, semantics: (b) => { b.callout('rdpmc'); } },
  { mnemonic: 'sysenter', title: 'Fast system call', encodings: ['0F 34 :'], feature: 'sep', privilege: 'protected', ends: true, control: 'call', semantics: calloutAt('sysenter') },
  { mnemonic: 'syscall', title: 'Fast system call', encodings: ['0F 05 :'], feature: 'x64', exceptions: ['#UD outside 64-bit mode or if EFER.SCE = 0'], implicit: { writes: ['rcx', 'r11'] }, ends: true, control: 'call', semantics: calloutAt('syscall') },
  { mnemonic: 'sysret', title: 'Return from fast system call', encodings: ['0F 07 :'], feature: 'x64', privilege: 'cpl0', implicit: { reads: ['rcx', 'r11'] }, ends: true, control: 'return', semantics: calloutAt('sysret') },
  {
    mnemonic: 'swapgs', title: 'Swap GS base register', encodings: ['0F 01 F8 : ; only64'], feature: 'x64', privilege: 'cpl0',
    semantics: (b) => {
      b.raiseIf(b.privilegeLevel(), GENERAL_PROTECTION);
      const base = b.wideState('gsBase');
      b.setWideState('gsBase', b.wideState('kernelGsBase'));
      b.setWideState('kernelGsBase', base);
    },
  },
  { mnemonic: 'clac', title: 'Clear the alignment-check flag', encodings: ['0F 01 CA : ; np'], feature: 'smap', privilege: 'cpl0', exceptions: ['#UD if CPL > 0'], ends: true, semantics: setAlignmentFlag(0) },
  { mnemonic: 'stac', title: 'Set the alignment-check flag', encodings: ['0F 01 CB : ; np'], feature: 'smap', privilege: 'cpl0', exceptions: ['#UD if CPL > 0'], ends: true, semantics: setAlignmentFlag(1) },
  { mnemonic: 'rdtscp', title: 'Read time-stamp counter and processor number', encodings: ['0F 01 F9 :'], feature: 'rdtscp', implicit: { writes: ['eax', 'ecx', 'edx'] }, exceptions: ['#GP(0) if CR4.TSD = 1 and CPL > 0'], semantics: (b) => { b.callout('rdtscp'); } },
  {
    mnemonic: 'invpcid', title: 'Invalidate process-context identifier', encodings: ['66 0F 38 82 /r : Gy Mx ; d64'], feature: 'invpcid', access: ['r', 'r'], privilege: 'cpl0', ends: true,
    semantics: (b) => {
      b.raiseIf(b.privilegeLevel(), GENERAL_PROTECTION);
      const address = b.address(1);
      const low = b.load(address, 64);
      const high = b.load(b.offsetBy(address, 8), 64);
      b.callout('invpcid', b.width === 64 ? b.read(0) : b.extend64(b.read(0), false), low, high);
      b.leaveToNext();
    },
  },
  { mnemonic: 'rdfsbase', title: 'Read FS base', encodings: ['F3 0F AE /0 : Ry ; only64'], feature: 'fsgsbase', access: ['w'], exceptions: ['#UD if CR4.FSGSBASE = 0'], semantics: segmentBase('fsBase', false) },
  { mnemonic: 'rdgsbase', title: 'Read GS base', encodings: ['F3 0F AE /1 : Ry ; only64'], feature: 'fsgsbase', access: ['w'], exceptions: ['#UD if CR4.FSGSBASE = 0'], semantics: segmentBase('gsBase', false) },
  { mnemonic: 'wrfsbase', title: 'Write FS base', encodings: ['F3 0F AE /2 : Ry ; only64'], feature: 'fsgsbase', access: ['r'], exceptions: ['#UD if CR4.FSGSBASE = 0', '#GP(0) if the address is not canonical'], semantics: segmentBase('fsBase', true) },
  { mnemonic: 'wrgsbase', title: 'Write GS base', encodings: ['F3 0F AE /3 : Ry ; only64'], feature: 'fsgsbase', access: ['r'], exceptions: ['#UD if CR4.FSGSBASE = 0', '#GP(0) if the address is not canonical'], semantics: segmentBase('gsBase', true) },
  { mnemonic: 'sysexit', title: 'Return from fast system call', encodings: ['0F 35 :'], feature: 'sep', privilege: 'cpl0', ends: true, control: 'return', semantics: calloutAt('sysexit') },
];
