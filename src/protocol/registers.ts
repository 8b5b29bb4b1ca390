/**
 * The registers of the machine as people name them: one table of names, widths and bit fields that expressions, the debugger's
 * scopes and the views read. Values come out of a {@link RegisterSnapshot}; nothing here asks the machine.
 */
import { addressNumber, extendedAddress } from './addresses';
import type { RegisterSnapshot, SegmentSnapshot } from './messages';

export type RegisterGroup = 'general' | 'flags' | 'segments' | 'tables' | 'control' | 'debug' | 'fpu' | 'vector';

/** A named field of a register: bits `low` to `low + width - 1`. */
export interface BitField {
  readonly name: string;
  readonly low: number;
  readonly width: number;
  readonly title: string;
}

export interface RegisterRow {
  /** Lower case, as typed: `eax`, `cs.base`. */
  readonly name: string;
  readonly group: RegisterGroup;
  readonly bits: number;
  /** Width while 64-bit code runs, where that is another one. */
  readonly longBits?: number;
  read(snapshot: RegisterSnapshot): bigint;
  readonly fields?: readonly BitField[];
  /** The name of the register that this one is a part of. */
  readonly partOf?: string;
  /** False for what is only shown (CPL). */
  readonly settable: boolean;
}

const field = (name: string, low: number, title: string, width = 1): BitField => ({ name, low, width, title });

/** SDM Vol. 1, 3.4.3. */
export const eflagsFields: readonly BitField[] = [
  field('CF', 0, 'Carry'), field('PF', 2, 'Parity'), field('AF', 4, 'Auxiliary carry'), field('ZF', 6, 'Zero'), field('SF', 7, 'Sign'),
  field('TF', 8, 'Trap (single step)'), field('IF', 9, 'Interrupts enabled'), field('DF', 10, 'Direction: strings run down'), field('OF', 11, 'Overflow'),
  field('IOPL', 12, 'I/O privilege level', 2), field('NT', 14, 'Nested task'), field('RF', 16, 'Resume: no instruction breakpoint'),
  field('VM', 17, 'Virtual-8086 mode'), field('AC', 18, 'Alignment check'), field('VIF', 19, 'Virtual interrupt flag'),
  field('VIP', 20, 'Virtual interrupt pending'), field('ID', 21, 'CPUID can be asked'),
];

/** SDM Vol. 3, 2.5. */
const cr0Fields: readonly BitField[] = [
  field('PE', 0, 'Protection enable'), field('MP', 1, 'Monitor coprocessor'), field('EM', 2, 'x87 emulation'), field('TS', 3, 'Task switched'),
  field('ET', 4, 'Extension type'), field('NE', 5, 'Numeric error'), field('WP', 16, 'Write protect in ring 0'), field('AM', 18, 'Alignment mask'),
  field('NW', 29, 'Not write-through'), field('CD', 30, 'Cache disable'), field('PG', 31, 'Paging'),
];
const cr3Fields: readonly BitField[] = [
  field('PWT', 3, 'Page-level write-through'), field('PCD', 4, 'Page-level cache disable'), field('base', 12, 'Outermost page table, physical page number', 20),
];
const cr4Fields: readonly BitField[] = [
  field('VME', 0, 'Virtual-8086 extensions'), field('PVI', 1, 'Protected-mode virtual interrupts'), field('TSD', 2, 'RDTSC only in ring 0'),
  field('DE', 3, 'Debugging extensions'), field('PSE', 4, '4 MiB pages'), field('PAE', 5, 'Physical address extension'),
  field('MCE', 6, 'Machine check'), field('PGE', 7, 'Global pages'), field('PCE', 8, 'RDPMC in all rings'), field('OSFXSR', 9, 'FXSAVE and SSE'),
  field('OSXMMEXCPT', 10, 'SSE exceptions'), field('UMIP', 11, 'User-mode instruction prevention'), field('VMXE', 13, 'VMX'),
  field('FSGSBASE', 16, 'RDFSBASE and its like'), field('PCIDE', 17, 'Process-context identifiers'), field('SMEP', 20, 'Supervisor does not execute user pages'),
  field('SMAP', 21, 'Supervisor does not reach user pages'),
];
const eferFields: readonly BitField[] = [
  field('SCE', 0, 'SYSCALL'), field('LME', 8, 'Long mode enable'), field('LMA', 10, 'Long mode active'), field('NXE', 11, 'No-execute'),
  field('SVME', 12, 'SVM'),
];
/** SDM Vol. 3, 18.2. */
const dr6Fields: readonly BitField[] = [
  field('B0', 0, 'Breakpoint 0 hit'), field('B1', 1, 'Breakpoint 1 hit'), field('B2', 2, 'Breakpoint 2 hit'), field('B3', 3, 'Breakpoint 3 hit'),
  field('BD', 13, 'Debug register access'), field('BS', 14, 'Single step'), field('BT', 15, 'Task switch'),
];
const dr7Fields: readonly BitField[] = [
  ...[0, 1, 2, 3].flatMap((n) => [field(`L${n}`, 2 * n, `Breakpoint ${n} enabled in the task`), field(`G${n}`, 2 * n + 1, `Breakpoint ${n} enabled`)]),
  field('LE', 8, 'Exact, local'), field('GE', 9, 'Exact, global'), field('GD', 13, 'General detect'),
  ...[0, 1, 2, 3].flatMap((n) => [
    field(`RW${n}`, 16 + 4 * n, `Breakpoint ${n}: 0 execute, 1 write, 2 I/O, 3 read or write`, 2),
    field(`LEN${n}`, 18 + 4 * n, `Breakpoint ${n}: length minus 1`, 2),
  ]),
];

/** SDM Vol. 1, 8.1.5 and 8.1.3. */
const fcwFields: readonly BitField[] = [
  field('IM', 0, 'Invalid operation masked'), field('DM', 1, 'Denormal operand masked'), field('ZM', 2, 'Division by zero masked'), field('OM', 3, 'Overflow masked'),
  field('UM', 4, 'Underflow masked'), field('PM', 5, 'Inexact result masked'), field('PC', 8, 'Precision: 0 single, 2 double, 3 extended', 2),
  field('RC', 10, 'Rounding: 0 nearest, 1 down, 2 up, 3 chop', 2),
];
const fswFields: readonly BitField[] = [
  field('IE', 0, 'Invalid operation'), field('DE', 1, 'Denormal operand'), field('ZE', 2, 'Division by zero'), field('OE', 3, 'Overflow'), field('UE', 4, 'Underflow'),
  field('PE', 5, 'Inexact result'), field('SF', 6, 'Stack fault'), field('ES', 7, 'An unmasked exception is pending'), field('C0', 8, 'Condition 0'),
  field('C1', 9, 'Condition 1'), field('C2', 10, 'Condition 2'), field('TOP', 11, 'Top of the stack', 3), field('C3', 14, 'Condition 3'), field('B', 15, 'Busy'),
];
/** SDM Vol. 1, 10.2.3. */
const mxcsrFields: readonly BitField[] = [
  field('IE', 0, 'Invalid operation'), field('DE', 1, 'Denormal operand'), field('ZE', 2, 'Division by zero'), field('OE', 3, 'Overflow'), field('UE', 4, 'Underflow'),
  field('PE', 5, 'Inexact result'), field('DAZ', 6, 'Denormals are zeros'), field('IM', 7, 'Invalid operation masked'), field('DM', 8, 'Denormal operand masked'),
  field('ZM', 9, 'Division by zero masked'), field('OM', 10, 'Overflow masked'), field('UM', 11, 'Underflow masked'), field('PM', 12, 'Inexact result masked'),
  field('RC', 13, 'Rounding: 0 nearest, 1 down, 2 up, 3 chop', 2), field('FZ', 15, 'Flush to zero'),
];

/** The encoding's order, in which {@link RegisterSnapshot.general} stands. */
const generalNames = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;
const extendedNames = Array.from({ length: 8 }, (_, n) => `r${8 + n}`);
/** The encoding's order, in which {@link RegisterSnapshot.segments} stands. */
export const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;

function row(name: string, group: RegisterGroup, bits: number, read: (snapshot: RegisterSnapshot) => bigint | number,
  more: { fields?: readonly BitField[]; partOf?: string; settable?: boolean; longBits?: number } = {}): RegisterRow {
  const { fields, partOf, longBits } = more;
  const made: RegisterRow = {
    name, group, bits, settable: more.settable ?? true,
    read: (snapshot) => BigInt.asUintN(bitsOf(made, snapshot), BigInt(read(snapshot))),
    ...(fields && { fields }), ...(partOf && { partOf }), ...(longBits && { longBits }),
  };
  return made;
}

/** A register that holds a linear address: 64 bits of it in 64-bit code. */
function addressRow(name: string, group: RegisterGroup, read: (snapshot: RegisterSnapshot) => number, more: { fields?: readonly BitField[]; partOf?: string } = {}): RegisterRow {
  return row(name, group, 32, (s) => extendedAddress(read(s)), { ...more, longBits: 64 });
}

/** Width of a register in the mode that the processor is in. */
export function bitsOf({ bits, longBits }: RegisterRow, { mode }: RegisterSnapshot): number {
  return mode === 'long' ? longBits ?? bits : bits;
}

const whole: readonly RegisterRow[] = [
  ...generalNames.map((name, n) => row(`e${name}`, 'general', 32, (s) => s.general[n] ?? 0n)),
  ...generalNames.map((name, n) => row(name, 'general', 16, (s) => s.general[n] ?? 0n, { partOf: `e${name}` })),
  ...generalNames.slice(0, 4).flatMap((name, n) => [
    row(`${name[0]}h`, 'general', 8, (s) => (s.general[n] ?? 0n) >> 8n, { partOf: `e${name}` }),
    row(`${name[0]}l`, 'general', 8, (s) => s.general[n] ?? 0n, { partOf: `e${name}` }),
  ]),
  ...generalNames.map((name, n) => row(`r${name}`, 'general', 64, (s) => s.general[n] ?? 0n)),
  ...extendedNames.flatMap((name, n) => {
    const read = (s: RegisterSnapshot): bigint => s.general[8 + n] ?? 0n;
    return [row(name, 'general', 64, read), ...([['d', 32], ['w', 16], ['b', 8]] as const).map(([letter, bits]) => row(`${name}${letter}`, 'general', bits, read, { partOf: name }))];
  }),
  ...['spl', 'bpl', 'sil', 'dil'].map((name, n) => row(name, 'general', 8, (s) => s.general[4 + n] ?? 0n, { partOf: `r${name.slice(0, 2)}` })),
  row('rip', 'general', 64, (s) => extendedAddress(s.eip)),
  row('eip', 'general', 32, (s) => s.eip),
  row('ip', 'general', 16, (s) => s.eip, { partOf: 'eip' }),
  row('eflags', 'flags', 32, (s) => s.eflags, { fields: eflagsFields }),
  row('flags', 'flags', 16, (s) => s.eflags, { partOf: 'eflags' }),
  ...segmentNames.flatMap((name, n) => {
    const segment = (s: RegisterSnapshot): SegmentSnapshot => s.segments[n] ?? { selector: 0, base: 0, limit: 0, attributes: 0 };
    return [
      row(name, 'segments', 16, (s) => segment(s).selector),
      addressRow(`${name}.base`, 'segments', (s) => segment(s).base, { partOf: name }),
      row(`${name}.limit`, 'segments', 32, (s) => segment(s).limit, { partOf: name }),
      row(`${name}.attributes`, 'segments', 17, (s) => segment(s).attributes, { partOf: name }),
    ];
  }),
  addressRow('gdtr.base', 'tables', (s) => s.gdtr.base), row('gdtr.limit', 'tables', 16, (s) => s.gdtr.limit),
  addressRow('idtr.base', 'tables', (s) => s.idtr.base), row('idtr.limit', 'tables', 16, (s) => s.idtr.limit),
  row('cpl', 'segments', 2, (s) => s.cpl, { settable: false }),
  row('cr0', 'control', 32, (s) => s.cr0, { fields: cr0Fields }),
  addressRow('cr2', 'control', (s) => s.cr2),
  row('cr3', 'control', 32, (s) => s.cr3, { fields: cr3Fields, longBits: 64 }),
  row('cr4', 'control', 32, (s) => s.cr4, { fields: cr4Fields }),
  row('efer', 'control', 32, (s) => s.efer, { fields: eferFields }),
  row('cr8', 'control', 4, (s) => s.cr8 ?? 0),
  ...[0, 1, 2, 3].map((n) => addressRow(`dr${n}`, 'debug', (s) => s.dr[n] ?? 0)),
  row('dr6', 'debug', 32, (s) => s.dr[6] ?? 0, { fields: dr6Fields }),
  row('dr7', 'debug', 32, (s) => s.dr[7] ?? 0, { fields: dr7Fields }),
  ...Array.from({ length: 8 }, (_, n) => row(`st${n}`, 'fpu', 80, (s) => s.fpu?.stack[n] ?? 0n)),
  row('fcw', 'fpu', 16, (s) => s.fpu?.control ?? 0, { fields: fcwFields }),
  row('fsw', 'fpu', 16, (s) => s.fpu?.status ?? 0, { fields: fswFields }),
  row('ftw', 'fpu', 16, (s) => s.fpu?.tags ?? 0),
  ...Array.from({ length: 16 }, (_, n) => row(`xmm${n}`, 'vector', 128, (s) => s.xmm?.[n] ?? 0n)),
  row('mxcsr', 'vector', 32, (s) => s.mxcsr ?? 0, { fields: mxcsrFields }),
];

/** Fields by name: flags alone (`zf`), the others behind their register (`cr0.pe`). */
const parts: readonly RegisterRow[] = whole.flatMap((register) => (register.fields ?? []).map((one) => row(
  register.name === 'eflags' ? one.name.toLowerCase() : `${register.name}.${one.name.toLowerCase()}`,
  register.group, one.width, (s) => register.read(s) >> BigInt(one.low), { partOf: register.name },
)));

export const registers: readonly RegisterRow[] = [...whole, ...parts];
const byName = new Map(registers.map((register) => [register.name, register]));

/** The row of a name in any case, or undefined. */
export function findRegister(name: string): RegisterRow | undefined {
  return byName.get(name.toLowerCase());
}

export function readRegister(snapshot: RegisterSnapshot, name: string): { value: bigint; bits: number } | undefined {
  const found = findRegister(name);
  return found && { value: found.read(snapshot), bits: bitsOf(found, snapshot) };
}

/**
 * The assignment to a whole register that has the effect of assigning to `name`: a flag or a control bit is put into its register.
 * Undefined when there is no such register, it cannot be set, or the value does not fit.
 */
export function assignment(snapshot: RegisterSnapshot, name: string, value: bigint): { name: string; value: bigint } | undefined {
  const found = findRegister(name);
  if (!found?.settable) return undefined;
  const bits = BigInt(bitsOf(found, snapshot));
  if (value >= 1n << bits || value < -(1n << (bits - 1n))) return undefined;
  const unsigned = BigInt.asUintN(Number(bits), value);
  const parent = found.partOf === undefined ? undefined : byName.get(found.partOf);
  const inParent = parent?.fields?.find((one) => (parent.name === 'eflags' ? one.name : `${parent.name}.${one.name}`).toLowerCase() === found.name);
  if (!parent || !inParent) return { name: found.name, value: unsigned };
  const mask = ((1n << bits) - 1n) << BigInt(inParent.low);
  return { name: parent.name, value: (parent.read(snapshot) & ~mask) | (unsigned << BigInt(inParent.low)) };
}

/** Linear address of the instruction at CS:EIP, or RIP. Addition wraps as in the processor: at 32 bits. */
export function linearEip(snapshot: RegisterSnapshot): number {
  // 64-bit code has no base; its address is represented by the low 48 bits.
  if (snapshot.mode === 'long') return ((snapshot.eip % 2 ** 48) + 2 ** 48) % 2 ** 48;
  return ((snapshot.segments[1]?.base ?? 0) + snapshot.eip) % 0x1_0000_0000;
}

/** 16, 32 or 64: how the processor now decodes instructions. */
export function codeSize(snapshot: RegisterSnapshot): 16 | 32 | 64 {
  return snapshot.mode === 'long' ? 64 : snapshot.mode === 'protected32' ? 32 : 16;
}

/** SS's D/B bit (bit 14 of the access rights): whether the stack pointer is ESP or SP. */
export function stackSize(snapshot: RegisterSnapshot): 16 | 32 | 64 {
  if (snapshot.mode === 'long') return 64;
  return (snapshot.segments[2]?.attributes ?? 0) & 0x4000 ? 32 : 16;
}

/** SP, ESP or RSP, as the stack's size says; of RSP the low 48 bits, which represent a canonical address. */
export function stackPointer(snapshot: RegisterSnapshot): number {
  return addressNumber(BigInt.asUintN(stackSize(snapshot), snapshot.general[4] ?? 0n));
}

const systemTypes: Readonly<Record<number, string>> = {
  1: '16-bit TSS, available', 2: 'LDT', 3: '16-bit TSS, busy', 4: '16-bit call gate', 5: 'task gate', 6: '16-bit interrupt gate', 7: '16-bit trap gate',
  9: '32-bit TSS, available', 11: '32-bit TSS, busy', 12: '32-bit call gate', 14: '32-bit interrupt gate', 15: '32-bit trap gate',
};

/** Access rights (format of SDM Vol. 3, 24.4.1) in words. */
export function segmentText(attributes: number): string {
  if (attributes & 0x10000) return 'unusable';
  const type = attributes & 0xf;
  const words: string[] = [];
  if (!(attributes & 0x10)) {
    words.push(systemTypes[type] ?? `reserved system type ${type}`);
  } else if (type & 8) {
    words.push(type & 2 ? 'code, execute and read' : 'code, execute only');
    if (type & 4) words.push('conforming');
  } else {
    words.push(type & 2 ? 'data, read and write' : 'data, read only');
    if (type & 4) words.push('expand-down');
  }
  words.push(`DPL ${(attributes >> 5) & 3}`);
  if (attributes & 0x10) words.push(attributes & 0x2000 ? '64-bit' : attributes & 0x4000 ? '32-bit' : '16-bit');
  words.push(attributes & 0x8000 ? 'granularity 4 KiB' : 'granularity 1 byte');
  if (!(attributes & 0x80)) words.push('not present');
  return words.join(', ');
}
