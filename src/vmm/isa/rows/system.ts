/** Instructions of the operating system: descriptor tables, control and debug registers, MSRs, identification, fast system calls. */
import type { Builder, Semantics } from '../builder';
import type { InstructionSpec } from '../types';

const UNDEFINED_OPCODE = 6;

/** Instructions that exist in protected mode only. */
const protectedOnly = (body: Semantics): Semantics => (b) => {
  b.raiseIf(b.isZero(b.protectedMode()), UNDEFINED_OPCODE);
  body(b);
};

const storeTable = (register: 'gdtr' | 'idtr'): Semantics => (b) => {
  const address = b.address(0);
  const base = b.offsetBy(address, 2);
  // Both parts are proved writable before either is written.
  b.loadForWrite(address, 16);
  b.loadForWrite(base, 32);
  b.store(address, 16, b.descriptorTable(register, 'limit'));
  b.store(base, 32, b.descriptorTable(register, 'base'));
};

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
  const base = b.load(b.offsetBy(address, 2), 32);
  // A 16-bit operand size loads 24 bits of base.
  b.callout(name, limit, b.operandSize === 16 ? b.op('and', base, b.constant(0xffffff)) : base);
};

/** SLDT, STR, SMSW: a register destination takes the operand size, memory sixteen bits. */
const storeWord = (value: (b: Parameters<Semantics>[0]) => ReturnType<Parameters<Semantics>[0]['constant']>): Semantics => (b) => {
  const word = value(b);
  if (b.isMemory(0)) b.store(b.address(0), 16, b.let(b.truncate(word, 16)));
  else b.write(0, b.let(b.truncate(word, b.width)));
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
    semantics: (b) => b.write(0, b.callout('movFromCr', b.registerNumber(1))),
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
    semantics: (b) => b.write(0, b.callout('movFromDr', b.registerNumber(1))),
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
  { mnemonic: 'sysexit', title: 'Return from fast system call', encodings: ['0F 35 :'], feature: 'sep', privilege: 'cpl0', ends: true, control: 'return', semantics: calloutAt('sysexit') },
];
