/**
 * Registers by the names that people type: rax, eax, ax, al, ah, r8d, rip, eip, eflags, zf, cs, fs.base, gdtr.limit, cr0, dr7, efer, cpl.
 * Reading never fails for a known name. Writing goes through the processor's own checks where loading a value means more than storing it.
 */
import { canonicalNumber, PageFault } from '../mmu/types';
import { Attribute, Flag } from './bits';
import type { Cpu } from './cpu';
import { commitSegment, describeType, faultName, findDescriptor, hex4, hexAddress, isCode, isConforming, isNull } from './descriptors';
import { GuestFault } from './exceptions';
import { fromExtended, toExtended } from './fpu/convert';
import { MXCSR_MASK, setTagWord, tagWord } from './fpu/environment';
import { CR0, CR2, CR3, CR4, MXCSR, Segment, WIDE_ARGUMENTS, XMM } from './layout';
import { findMsr } from './msr';
import { loadSegment } from './segments';
import { lldt, ltr } from './system';
import { movToCr, readCr8 } from './control-registers';

/** Why a register could not be set: `message` is for a person and says what would be possible. */
export interface RegisterError {
  readonly code: 'register';
  readonly message: string;
}

interface RegisterRow {
  readonly name: string;
  readonly bits: number;
  /** In long mode, where that is another width. */
  readonly longBits?: number;
  read(cpu: Cpu): bigint;
  /** Returns why not, or undefined. */
  write(cpu: Cpu, value: bigint): string | undefined;
}

const rows: RegisterRow[] = [];
type Written = string | undefined | void;
function row(name: string, bits: number, read: (cpu: Cpu) => number, write: (cpu: Cpu, value: number) => Written): void {
  rows.push({ name, bits, read: (cpu) => BigInt(read(cpu) >>> 0), write: (cpu, value) => write(cpu, Number(value)) ?? undefined });
}
function wideRow(name: string, bits: number, read: (cpu: Cpu) => bigint, write: (cpu: Cpu, value: bigint) => Written): void {
  rows.push({ name, bits, read, write: (cpu, value) => write(cpu, value) ?? undefined });
}
/** A linear address: in long mode all 64 bits of it, which must be canonical. */
function addressRow(name: string, read: (cpu: Cpu) => number, write: (cpu: Cpu, value: number) => Written): void {
  rows.push({
    name, bits: 32, longBits: 64,
    read: (cpu) => extended(read(cpu), cpu),
    write: (cpu, value) => {
      const address = canonicalNumber(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
      return address < 0 ? `0x${value.toString(16)} is not canonical` : write(cpu, address) ?? undefined;
    },
  });
}
function extended(address: number, cpu: Cpu): bigint {
  return cpu.state.longMode ? BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address))) : BigInt(address >>> 0);
}

['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'].forEach((name, n) => {
  row(name, 32, (cpu) => cpu.state.get32(n), (cpu, value) => cpu.state.set32(n, value));
  row(name.slice(1), 16, (cpu) => cpu.state.get16(n), (cpu, value) => cpu.state.set16(n, value));
});
['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'].forEach((name, n) => {
  row(name, 8, (cpu) => cpu.state.get8(n), (cpu, value) => cpu.state.set8(n, value));
});
['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', ...Array.from({ length: 8 }, (_, n) => `r${8 + n}`)].forEach((name, n) => {
  wideRow(name, 64, (cpu) => cpu.state.get64(n), (cpu, value) => cpu.state.set64(n, value));
  if (n < 8) return;
  row(`${name}d`, 32, (cpu) => cpu.state.get32(n), (cpu, value) => cpu.state.set32(n, value));
  row(`${name}w`, 16, (cpu) => cpu.state.get16(n), (cpu, value) => cpu.state.set16(n, value));
});
/** The low bytes that have names in 64-bit code only. */
['spl', 'bpl', 'sil', 'dil', ...Array.from({ length: 8 }, (_, n) => `r${8 + n}b`)].forEach((name, i) => {
  const n = 4 + i;
  row(name, 8, (cpu) => cpu.state.get16(n) & 0xff, (cpu, value) => cpu.state.set16(n, (cpu.state.get16(n) & 0xff00) | value));
});
addressRow('rip', (cpu) => cpu.state.rip, (cpu, value) => { cpu.state.rip = value; });
row('eip', 32, (cpu) => cpu.state.eip, (cpu, value) => { cpu.state.eip = value; });
row('ip', 16, (cpu) => cpu.state.eip & 0xffff, (cpu, value) => { cpu.state.eip = (cpu.state.eip & 0xffff0000) | value; });

function writeFlags(cpu: Cpu, value: number): string | undefined {
  if ((value ^ cpu.state.eflags) & Flag.VM) return 'VM changes with all segments and the privilege level only: by IRET, interrupts and task switches';
  cpu.state.eflags = value;
  return undefined;
}
row('eflags', 32, (cpu) => cpu.state.eflags, writeFlags);
row('flags', 16, (cpu) => cpu.state.eflags & 0xffff, (cpu, value) => writeFlags(cpu, (cpu.state.eflags & 0xffff0000) | value));
const flagNames: readonly (readonly [string, number, number])[] = [
  ['cf', 0, 1], ['pf', 2, 1], ['af', 4, 1], ['zf', 6, 1], ['sf', 7, 1], ['tf', 8, 1], ['if', 9, 1], ['df', 10, 1], ['of', 11, 1], ['iopl', 12, 2],
  ['nt', 14, 1], ['rf', 16, 1], ['vm', 17, 1], ['ac', 18, 1], ['vif', 19, 1], ['vip', 20, 1], ['id', 21, 1],
];
for (const [name, bit, width] of flagNames) {
  const mask = (1 << width) - 1;
  row(name, width, (cpu) => (cpu.state.eflags >>> bit) & mask, (cpu, value) => writeFlags(cpu, (cpu.state.eflags & ~(mask << bit)) | (value << bit)));
}

/** CS from a debugger: the privilege level stays, so the descriptor must be code of this level. */
function writeCs(cpu: Cpu, selector: number): string | undefined {
  const { state } = cpu;
  if (!cpu.protectedMode) {
    cpu.setRealModeSegment(Segment.CS, selector);
    return undefined;
  }
  if (isNull(selector)) return 'CS cannot be null in protected mode';
  const d = findDescriptor(cpu, selector);
  if (!d) return `selector ${hex4(selector)} is outside the ${selector & 4 ? 'LDT' : 'GDT'}`;
  if (!isCode(d)) return `selector ${hex4(selector)} is ${describeType(d.attributes)}, not a code segment`;
  if (isConforming(d) ? d.dpl > state.cpl : d.dpl !== state.cpl) {
    return `selector ${hex4(selector)} has DPL ${d.dpl}, but the processor runs at level ${state.cpl}; the debugger does not change the level`;
  }
  if (!d.present) return `selector ${hex4(selector)} is not present`;
  commitSegment(cpu, Segment.CS, (selector & 0xfffc) | state.cpl, d);
  return undefined;
}

const site = { operandSize: 32, addressSize: 32, eip: 0, nextEip: 0 } as const;

function writeSelector(cpu: Cpu, n: Segment, value: number): string | undefined {
  if (n === Segment.CS) return writeCs(cpu, value);
  if (n === Segment.LDTR || n === Segment.TR) {
    if (!cpu.protectedMode) return 'LDTR and TR can be loaded in protected mode only';
    if (cpu.state.cpl !== 0) return `LDTR and TR can be loaded at level 0 only, the processor runs at level ${cpu.state.cpl}`;
    (n === Segment.LDTR ? lldt : ltr)(cpu, site, value);
    return undefined;
  }
  loadSegment(cpu, site, n, value, 0);
  return undefined;
}

['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'].forEach((name, n) => {
  row(name, 16, (cpu) => cpu.state.selector(n), (cpu, value) => writeSelector(cpu, n, value));
  addressRow(`${name}.base`, (cpu) => cpu.state.base(n), (cpu, value) => {
    const s = cpu.state.segment(n);
    cpu.setSegment(n, s.selector, value, s.limit, s.attributes);
  });
  row(`${name}.limit`, 32, (cpu) => cpu.state.limit(n), (cpu, value) => {
    const s = cpu.state.segment(n);
    cpu.setSegment(n, s.selector, s.base, value, s.attributes);
  });
  row(`${name}.attributes`, 17, (cpu) => cpu.state.attributes(n), (cpu, value) => {
    const s = cpu.state.segment(n);
    if (value & ~(0xf0ff | Attribute.Unusable)) return 'attributes have bits 0-7 (type, S, DPL, P), 12-15 (AVL, L, D/B, G) and 16 (unusable)';
    if (n === Segment.CS && value & Attribute.Unusable) return 'CS cannot be unusable';
    cpu.setSegment(n, s.selector, s.base, s.limit, value);
    return undefined;
  });
});

addressRow('gdtr.base', (cpu) => cpu.state.gdtrBase, (cpu, value) => cpu.state.setGdtr(value, cpu.state.gdtrLimit));
row('gdtr.limit', 16, (cpu) => cpu.state.gdtrLimit, (cpu, value) => cpu.state.setGdtr(cpu.state.gdtrBase, value));
addressRow('idtr.base', (cpu) => cpu.state.idtrBase, (cpu, value) => cpu.state.setIdtr(value, cpu.state.idtrLimit));
row('idtr.limit', 16, (cpu) => cpu.state.idtrLimit, (cpu, value) => cpu.state.setIdtr(cpu.state.idtrBase, value));

/** Control and debug registers through the instruction's own checks, as at level 0. */
function atLevelZero(cpu: Cpu, action: () => void): void {
  const { cpl } = cpu.state;
  cpu.state.cpl = 0;
  try {
    action();
  } finally {
    cpu.state.cpl = cpl;
  }
}
for (const n of [0, 2, 3, 4, 8] as const) {
  rows.push({
    name: `cr${n}`, bits: n === 8 ? 4 : 32, ...((n === 2 || n === 3) && { longBits: 64 }),
    read: (cpu) => (n === 8 ? BigInt(readCr8(cpu)) : cpu.state.u64[[CR0, 0, CR2, CR3, CR4][n] >> 3]),
    write: (cpu, value) => {
      if (n === 0 && !(value & 1n) && cpu.state.cpl !== 0) return `PE can be cleared at level 0 only, the processor runs at level ${cpu.state.cpl}`;
      cpu.state.u64[(WIDE_ARGUMENTS >> 3) + 1] = value;
      atLevelZero(cpu, () => movToCr(cpu, site, n, Number(BigInt.asIntN(32, value))));
      cpu.pagingChanged('privilege');
      return undefined;
    },
  });
}
for (const n of [0, 1, 2, 3]) {
  addressRow(`dr${n}`, (cpu) => Math.max(0, cpu.state.dr(n)), (cpu, value) => {
    cpu.state.setDr(n, value);
    cpu.hooks.debugRegistersChanged();
  });
}
for (const n of [6, 7]) {
  row(`dr${n}`, 32, (cpu) => cpu.state.dr(n), (cpu, value) => {
    cpu.state.setDr(n, (n === 6 ? (value & 0xe00f) | 0xffff0ff0 : (value & 0xffff23ff) | 0x400) >>> 0);
    cpu.hooks.debugRegistersChanged();
  });
}
row('efer', 32, (cpu) => cpu.state.efer, (cpu, value) => findMsr(cpu.model, 0xc0000080)?.write(cpu, BigInt(value >>> 0)));
for (let n = 0; n < 8; n++) wideRow(`st${n}`, 80, (cpu) => toExtended(cpu.fpu.get(n)), (cpu, value) => cpu.fpu.set(n, fromExtended(value)));
row('fcw', 16, (cpu) => cpu.fpu.control, (cpu, value) => { cpu.fpu.control = value; });
row('fsw', 16, (cpu) => cpu.fpu.status, (cpu, value) => { cpu.fpu.status = value; });
row('ftw', 16, (cpu) => tagWord(cpu.fpu), (cpu, value) => setTagWord(cpu.fpu, value));
for (let n = 0; n < 16; n++) {
  const at = (XMM >> 3) + 2 * n;
  wideRow(`xmm${n}`, 128, (cpu) => cpu.state.u64[at] | cpu.state.u64[at + 1] << 64n, (cpu, value) => {
    cpu.state.u64[at] = BigInt.asUintN(64, value);
    cpu.state.u64[at + 1] = value >> 64n;
  });
}
row('mxcsr', 32, (cpu) => cpu.state.u32[MXCSR >> 2], (cpu, value) => {
  if (value & ~MXCSR_MASK) return 'bits 16 to 31 are reserved';
  cpu.state.u32[MXCSR >> 2] = value;
  return undefined;
});
row('cpl', 2, (cpu) => cpu.state.cpl, () => 'the privilege level changes with CS only');

const byName: ReadonlyMap<string, RegisterRow> = new Map(rows.map((r) => [r.name, r]));

/** Every name, in the order of the views: general registers, EIP, flags, segments, tables, control and debug registers. */
export const registerNames: readonly string[] = rows.map((r) => r.name);

/** Width in bits, as the processor is now. */
function bitsOf(cpu: Cpu, { bits, longBits }: RegisterRow): number {
  return cpu.state.longMode ? longBits ?? bits : bits;
}

/** Value by name, or undefined for an unknown name. */
export function readByName(cpu: Cpu, name: string): bigint | undefined {
  const r = byName.get(name.toLowerCase());
  return r?.read(cpu);
}

/** Sets a register by name; undefined when it is done, else why not (and then nothing has changed). */
export function setByName(cpu: Cpu, name: string, value: bigint): RegisterError | undefined {
  const refuse = (message: string): RegisterError => ({ code: 'register', message });
  const r = byName.get(name.toLowerCase());
  if (!r) return refuse(`there is no register '${name}'`);
  const bits = bitsOf(cpu, r);
  const limit = 1n << BigInt(bits);
  if (value >= limit || value < -(limit >> 1n)) {
    return refuse(`${value < 0n ? value.toString() : `0x${value.toString(16)}`} does not fit into the ${bits} bit${bits === 1 ? '' : 's'} of ${r.name}`);
  }
  try {
    const why = r.write(cpu, BigInt.asUintN(bits, value));
    return why === undefined ? undefined : refuse(`${r.name}: ${why}`);
  } catch (error) {
    if (error instanceof GuestFault) return refuse(`${r.name}: the processor would raise ${faultName(error.vector, error.errorCode)}: ${error.reason}`);
    if (error instanceof PageFault) return refuse(`${r.name}: the descriptor table at ${hexAddress(error.linear)} cannot be read`);
    throw error;
  }
}
