/**
 * The exceptions of 64-bit mode (SDM Vol. 2 "64-Bit Mode Exceptions", Vol. 3 chapters 4 to 6), row by row on the engine: which exception, with which
 * error code and CR2, the saved RIP, that nothing has changed, and the frame that the handler finds. Tables of the instruction set give the rows of
 * privilege, of LOCK and of what does not exist in 64-bit mode.
 */
import assert from 'node:assert/strict';
import { assemble } from '../../src/vmm/asm/assembler';
import { Cr0, Cr4, Efer, Flag } from '../../src/vmm/cpu/bits';
import { exceptions } from '../../src/vmm/cpu/exceptions';
import { Segment, STAR } from '../../src/vmm/cpu/layout';
import { table } from '../../src/vmm/isa/table';
import type { Encoding } from '../../src/vmm/isa/types';
import { PageFault } from '../../src/vmm/mmu/types';
import { GDT, HANDLERS, IDT, STACK0, TSS, vectorOf } from '../support/bare-machine';
import {
  ABSENT_CODE, ABSENT_DATA, ABSENT_GATE, BOTH, CODE, CONFORMING, DATA, DEFAULT_STACK, GATE, GATE_BEYOND, GATE_TO_32, INNER_GATE, KERNEL, KERNEL_CODE, KERNEL_DATA, KERNEL_STACK, LongMachine, READ_ONLY_DATA,
  RESERVED_1G, RESERVED_2M, RESERVED_TABLE, STACK, SUPERVISOR_CODE, SYSTEM, TASK, USER, USER32, USER_DATA, whole,
} from './support/long-machine';
import { reportSuite } from './support/report';

const registerNames = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;
type Register = (typeof registerNames)[number];
const HLT = 0xf4;

interface Row {
  readonly title: string;
  /** NASM text; what stands before the last line runs first. */
  readonly code: string;
  /** '#GP(10)', '#PF(6) 412000' (error code and CR2 in hexadecimal), '#UD', or 'none'. */
  readonly expect: string;
  readonly cpl?: 0 | 3;
  readonly registers?: Partial<Record<Register, bigint>>;
  readonly eflags?: number;
  readonly at?: number;
  readonly prepare?: (m: LongMachine) => void;
  /** Quadwords of memory before. */
  readonly memory?: Readonly<Record<number, bigint>>;
  /** RIP of the fault when it is not the instruction's: a target that cannot be fetched. */
  readonly rip?: bigint;
  /** There is no stack for its handler either. */
  readonly dies?: boolean;
}

const row = (title: string, code: string, expect: string, more: Partial<Row> = {}): Row => ({ title, code, expect, ...more });
const hex = (value: number | bigint): string => value.toString(16);

function bytesOf(text: string, at: number): Uint8Array {
  const result = assemble({ path: 'row.asm', text: `bits 64\norg ${at}\n${text}` }, { readFile: () => undefined, format: 'bin' });
  assert.deepEqual(result.diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => `${text}: ${message}`), []);
  return result.bytes;
}

const MEMORY = 0x400000, MEMORY_END = 0x450000;
interface Image {
  readonly registers: string[];
  readonly memory: Buffer;
}
const imageOf = ({ state, ram }: LongMachine): Image => ({
  registers: [...registerNames.map((name, n) => `${name} ${hex(state.get64(n))}`), `flags ${hex(state.eflags & ~Flag.RF)}`, `cs ${hex(state.selector(Segment.CS))}`, `ss ${hex(state.selector(Segment.SS))}`],
  memory: Buffer.from(ram.slice(MEMORY, MEMORY_END)),
});

/** Enough for regions to be entered. */
const REGION_INSTRUCTIONS = 5000;
let inRegions = 0;

function check(row: Row, translation?: 'eager'): void {
  const cpl = row.cpl ?? 3;
  const m = new LongMachine(cpl, translation);
  const { state } = m;
  m.ram.fill(HLT, CODE, CODE + 0x1000).fill(HLT, KERNEL_CODE, KERNEL_CODE + 0x1000).fill(HLT, SUPERVISOR_CODE, SUPERVISOR_CODE + 0x1000);
  const at = row.at ?? (cpl === 0 ? KERNEL_CODE : CODE);
  m.ram.set(bytesOf(row.code, at), at);
  registerNames.forEach((name, n) => { state.set64(n, BigInt.asUintN(64, row.registers?.[name] ?? (name === 'rsp' ? BigInt(cpl === 0 ? KERNEL_STACK : DEFAULT_STACK) : 0x1111_0000_2222n * BigInt(n + 1)))); });
  for (const [address, value] of Object.entries(row.memory ?? {})) m.setWide(Number(address), value);
  if (row.eflags !== undefined) state.eflags = row.eflags;
  row.prepare?.(m);
  m.changed();
  state.rip = at;
  m.engine.stateChanged();
  const lines = row.code.split('\n');
  const rip = BigInt(at + bytesOf(lines.slice(0, -1).join('\n'), at).length);
  if (lines.length > 1) assert.equal(m.run(lines.length - 1).fault, undefined, 'what comes first must run');
  const before = imageOf(m);
  const frame = { flags: state.eflags, cs: state.selector(Segment.CS), ss: state.selector(Segment.SS), rsp: state.get64(4), cpl: state.cpl };
  const { fault } = m.run(translation ? REGION_INSTRUCTIONS : row.rip === undefined ? 1 : 2);
  if (translation && m.count('regionEntries') > 0) inRegions++;
  const stoppedAtHlt = translation && !(fault instanceof PageFault) && BigInt(state.rip) !== rip && (m.halted || m.ram[state.rip] === HLT);
  if (!fault || stoppedAtHlt) {
    assert.equal('none', row.expect);
    return;
  }
  const vector = vectorOf(fault);
  const cr2 = fault instanceof PageFault ? ` ${hex(whole(fault.linear))}` : '';
  assert.equal(`${exceptions[vector].name}${fault.errorCode === undefined ? '' : `(${hex(fault.errorCode)})`}${cr2}`, row.expect, fault instanceof PageFault ? undefined : fault.reason);
  const saved = row.rip ?? rip;
  assert.equal(hex(whole(state.rip)), hex(BigInt.asUintN(64, saved)), 'RIP of the fault');
  if (row.rip === undefined) {
    const after = imageOf(m);
    assert.deepEqual(after.registers, before.registers, 'registers at the fault');
    assert.ok(after.memory.equals(before.memory), 'memory at the fault');
    if (row.dies) assert.equal(m.engine.cpu.raise(fault).kind, 'shutdown');
    else checkDelivery(m, fault, saved, frame);
  }
}

/** The handler's stack: SS, RSP, RFLAGS with RF, CS, RIP and the error code, quadwords down from a multiple of 16 (SDM Vol. 3, 6.14.2). */
function checkDelivery(m: LongMachine, fault: NonNullable<ReturnType<LongMachine['run']>['fault']>, rip: bigint, before: { flags: number; cs: number; ss: number; rsp: bigint; cpl: number }): void {
  const { state, engine } = m;
  const vector = vectorOf(fault);
  if (before.cpl === 0 && (before.rsp < 0x800000n || before.rsp > 0xa00000n)) return;
  assert.equal(engine.cpu.raise(fault).kind, 'delivered');
  assert.equal(hex(state.rip), hex(HANDLERS + 16 * vector), 'the handler');
  if (fault instanceof PageFault) assert.equal(state.cr2, fault.linear, 'CR2');
  const top = before.cpl === 3 ? STACK0 : Number(before.rsp & ~15n);
  const words = [...(fault.errorCode === undefined ? [] : [BigInt(fault.errorCode)]), BigInt.asUintN(64, rip), BigInt(before.cs), BigInt(before.flags | Flag.RF), before.rsp, BigInt(before.ss)];
  assert.equal(hex(state.get64(4)), hex(top - 8 * words.length), 'RSP in the handler');
  assert.deepEqual(words.map((_, n) => hex(m.wide(top - 8 * words.length + 8 * n))), words.map(hex), 'the frame');
}

const NOT_CANONICAL = 0x0000_8000_0000_0000n, LAST_CANONICAL = 0x0000_7fff_ffff_ffffn;
const addresses: readonly Row[] = [
  row('a read that is not canonical', 'mov rax, [rbx]', '#GP(0)', { registers: { rbx: NOT_CANONICAL } }),
  row('a write that is not canonical', 'mov [rbx], rax', '#GP(0)', { registers: { rbx: 0x1234_5678_0000_0000n } }),
  row('the highest address that is not', 'mov al, [rbx]', '#GP(0)', { registers: { rbx: 0xffff_7fff_ffff_ffffn } }),
  row('the lowest of the upper half', 'mov al, [rbx]', '#PF(4) ffff800000000000', { registers: { rbx: 0xffff_8000_0000_0000n } }),
  row('the highest of the lower half', 'mov al, [rbx]', '#PF(4) 7fffffffffff', { registers: { rbx: LAST_CANONICAL } }),
  row('an operand that runs out of the lower half', 'mov eax, [rbx]', '#GP(0)', { registers: { rbx: LAST_CANONICAL - 2n } }),
  row('a read-modify-write', 'add [rbx], rax', '#GP(0)', { registers: { rbx: NOT_CANONICAL } }),
  row('an index that carries it over', 'mov rax, [rbx+rcx*8]', '#GP(0)', { registers: { rbx: 0x7fff_ffff_fff0n, rcx: 2n } }),
  row('a displacement that carries it over', 'mov rax, [rbx+0x7f]', '#GP(0)', { registers: { rbx: LAST_CANONICAL - 0x20n } }),
  row('RSP through SS', 'mov rax, [rsp]', '#SS(0)', { registers: { rsp: NOT_CANONICAL } }),
  row('RBP through SS', 'mov rax, [rbp]', '#SS(0)', { registers: { rbp: NOT_CANONICAL } }),
  row('RBP by a DS prefix: ignored, still SS', 'db 0x3e, 0x48, 0x8b, 0x45, 0', '#SS(0)', { registers: { rbp: NOT_CANONICAL } }),
  row('R12 and R13 through DS', 'mov rax, [r13]', '#GP(0)', { registers: { r13: NOT_CANONICAL } }),
  row('PUSH', 'push rax', '#SS(0)', { registers: { rsp: NOT_CANONICAL + 8n } }),
  row('PUSH below the upper half', 'push rax', '#SS(0)', { registers: { rsp: -0x8000_0000_0000n } }),
  row('POP', 'pop rax', '#SS(0)', { registers: { rsp: NOT_CANONICAL } }),
  row('CALL: nothing is pushed', 'call 0x440100', '#SS(0)', { registers: { rsp: NOT_CANONICAL + 8n } }),
  row('RET', 'ret', '#SS(0)', { registers: { rsp: NOT_CANONICAL } }),
  row('ENTER', 'enter 16, 0', '#SS(0)', { registers: { rsp: NOT_CANONICAL + 8n } }),
  row('LEAVE', 'leave', '#SS(0)', { registers: { rbp: NOT_CANONICAL } }),
  row('STOS', 'stosq', '#GP(0)', { registers: { rdi: NOT_CANONICAL } }),
  row('LODS', 'lodsb', '#GP(0)', { registers: { rsi: NOT_CANONICAL } }),
  row('REP STOS that has nothing to do', 'rep stosq', 'none', { registers: { rdi: NOT_CANONICAL, rcx: 0n } }),
  row('a jump', 'jmp rax', '#GP(0)', { registers: { rax: NOT_CANONICAL } }),
  row('a call: nothing is pushed', 'call rax', '#GP(0)', { registers: { rax: NOT_CANONICAL } }),
  row('a return: nothing is popped', 'ret', '#GP(0)', { memory: { [DEFAULT_STACK]: NOT_CANONICAL } }),
  row('LEA checks nothing', 'lea rax, [rbx]', 'none', { registers: { rbx: NOT_CANONICAL } }),
  row('an address of 32 bits is never outside', 'mov eax, [ebx]', '#PF(4) f0000000', { registers: { rbx: 0x1234_5678_f000_0000n } }),
  row('FS with a base', 'mov rax, [fs:rbx]', '#GP(0)', { registers: { rbx: NOT_CANONICAL - 0x10n }, prepare: (m) => { m.engine.cpu.setSegment(Segment.FS, 0, 0x1000, 0xffffffff, 0xc0f3); } }),
  row('MOVAPS that is not aligned', 'movaps xmm0, [rbx]', '#GP(0)', { registers: { rbx: BigInt(DATA + 8) } }),
  row('MOVAPS that is not aligned, through SS', 'movaps xmm0, [rbp]', '#GP(0)', { registers: { rbp: BigInt(DATA + 8) } }),
  row('MOVUPS that is not canonical', 'movups xmm0, [rbx]', '#GP(0)', { registers: { rbx: NOT_CANONICAL } }),
  row('CMPXCHG16B that is not aligned', 'cmpxchg16b [rbx]', '#GP(0)', { registers: { rbx: BigInt(DATA + 8) } }),
  row('INVLPG that is not canonical does nothing', 'invlpg [rbx]', 'none', { cpl: 0, registers: { rbx: NOT_CANONICAL } }),
  row('CR3 with bits beyond physical addresses', 'mov cr3, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x0100_0000_0090_0000n } }),
  row('LSTAR that is not canonical', 'wrmsr', '#GP(0)', { cpl: 0, registers: { rcx: 0xc0000082n, rdx: 0x8000n, rax: 0n } }),
  row('FS base that is not canonical', 'wrmsr', '#GP(0)', { cpl: 0, registers: { rcx: 0xc0000100n, rdx: 0x8000n, rax: 0n } }),
  row('WRFSBASE that is not canonical', 'wrfsbase rax', '#GP(0)', { registers: { rax: NOT_CANONICAL }, prepare: (m) => { m.state.cr4 |= Cr4.FSGSBASE; } }),
  row('LGDT with a base that is not canonical', 'lgdt [rbx]', '#GP(0)', { cpl: 0, registers: { rbx: BigInt(KERNEL_CODE + 0x800) }, memory: { [KERNEL_CODE + 0x800]: 0xffffn, [KERNEL_CODE + 0x808]: 0x8000_0000_0000n >> 48n, [KERNEL_CODE + 0x802]: NOT_CANONICAL } }),
  row('INVPCID with an address that is not canonical', 'invpcid rax, [rbx]', '#GP(0)', { cpl: 0, registers: { rax: 0n, rbx: BigInt(KERNEL_CODE + 0x800) }, memory: { [KERNEL_CODE + 0x800]: 0n, [KERNEL_CODE + 0x808]: NOT_CANONICAL } }),
];

const withCr4 = (bits: number) => (m: LongMachine): void => { m.state.cr4 |= bits; };
const AC = 0x40202;
/** A table of the processor's on the user's data page, where the handlers' gates cannot be read either. */
const tablesOnUserPage = (table: 'gdt' | 'idt' | 'tss', smap: number = Cr4.SMAP) => (m: LongMachine): void => {
  const { state } = m;
  state.cr4 |= smap;
  const copy = (from: number, bytes: number): void => { m.ram.copyWithin(DATA, from, from + bytes); };
  if (table === 'gdt') {
    copy(GDT, 0xe0);
    state.setGdtr(DATA, 0xdf);
  } else if (table === 'idt') {
    copy(IDT, 0x200);
    state.setIdtr(DATA, 0x1ff);
  } else {
    copy(TSS, 0x68);
    m.engine.cpu.setSegment(Segment.TR, TASK, DATA, 0x67, 0x8b);
    openGate(m);
  }
};
/** INT 1Fh may be executed by ring 3. */
function openGate(m: LongMachine): void {
  m.longGate(IDT + 16 * 0x1f, 0xe, KERNEL, HANDLERS + 16 * 0x1f, 3);
}
const innerStackOnUserPage = (m: LongMachine): void => {
  m.state.cr4 |= Cr4.SMAP;
  m.setWide(TSS + 4, BigInt(DATA + 0x1000));
  openGate(m);
};
const pages: readonly Row[] = [
  row('ring 3 reads an absent page', 'mov rax, [0x412345]', '#PF(4) 412345'),
  row('ring 3 writes an absent page', 'mov [0x412345], al', '#PF(6) 412345'),
  row('ring 3 writes a read-only page', 'mov [0x40f010], rax', '#PF(7) 40f010'),
  row('ring 3 reads a page of the supervisor', 'mov rax, [0x413010]', '#PF(5) 413010'),
  row('ring 3 reads the upper half', 'mov rax, [rbx]', '#PF(5) ffffffff80000010', { registers: { rbx: -0x7ffffff0n } }),
  row('the supervisor reads the upper half', 'mov rax, [rbx]', 'none', { cpl: 0, registers: { rbx: -0x7ffffff0n } }),
  row('the supervisor reads an absent page', 'mov rax, [0x412345]', '#PF(0) 412345', { cpl: 0 }),
  row('the supervisor writes a read-only page with WP', 'mov [0x40f010], rax', '#PF(3) 40f010', { cpl: 0 }),
  row('the supervisor writes a read-only page without WP', 'mov [0x40f010], rax', 'none', { cpl: 0, prepare: (m) => { m.state.cr0 = (m.state.cr0 & ~Cr0.WP) >>> 0; } }),
  row('a quadword that ends on an absent page', 'mov rax, [0x411ffc]', '#PF(4) 412000'),
  row('a quadword write that ends on an absent page', 'mov [0x411ffc], rax', '#PF(6) 412000'),
  row('sixteen bytes that end on an absent page', 'movups [0x411ff8], xmm0', '#PF(6) 412000'),
  row('a reserved bit in a page table entry', 'mov rax, [0x417010]', '#PF(d) 417010'),
  row('a reserved bit in a page table entry, written', 'mov [0x417010], rax', '#PF(f) 417010'),
  row('a reserved bit in a page table entry, the supervisor', 'mov rax, [0x417010]', '#PF(9) 417010', { cpl: 0 }),
  row('a reserved bit in a page of 2 MiB', `mov rax, [${RESERVED_2M + 0x18}]`, '#PF(d) 600018'),
  row('a reserved bit in a page of 1 GiB', `mov rax, [${RESERVED_1G + 0x18}]`, '#PF(d) 40000018'),
  row('a reserved bit in an entry that names a table', `mov eax, [abs ebx]`, '#PF(d) 80000010', { registers: { rbx: BigInt(RESERVED_TABLE + 0x10) } }),
  row('execute-disable as a reserved bit while NXE is clear', 'mov rax, [0x416000]', '#PF(d) 416000', { prepare: (m) => { m.state.efer &= ~Efer.NXE; } }),
  row('execute-disable does not concern data', 'mov rax, [0x416000]', 'none'),
  row('a fetch from a page with execute-disable', 'jmp rax', '#PF(15) 416020', { registers: { rax: 0x416020n }, rip: 0x416020n }),
  row('a fetch from an absent page', 'jmp rax', '#PF(14) 412020', { registers: { rax: 0x412020n }, rip: 0x412020n }),
  row('a fetch from an absent page without NXE and SMEP', 'jmp rax', '#PF(4) 412020', { registers: { rax: 0x412020n }, rip: 0x412020n, prepare: (m) => { m.state.efer &= ~Efer.NXE; } }),
  row('a fetch from a page of the supervisor', 'jmp rax', '#PF(15) 418000', { registers: { rax: BigInt(SUPERVISOR_CODE) }, rip: BigInt(SUPERVISOR_CODE) }),
  row('a fetch from the upper half by ring 3', 'jmp rax', '#PF(15) ffffffff80000040', { registers: { rax: -0x7fffffc0n }, rip: -0x7fffffc0n }),
  row('a fetch by the supervisor from a page with execute-disable', 'jmp rax', '#PF(11) 416020', { cpl: 0, registers: { rax: 0x416020n }, rip: 0x416020n }),
  row('a fetch by the supervisor from a page of the user', 'jmp rax', 'none', { cpl: 0, registers: { rax: BigInt(CODE + 0x80) }, rip: BigInt(CODE + 0x80), prepare: (m) => { m.ram[CODE + 0x80] = 0x90; } }),
  row('SMAP does not concern fetches', 'jmp rax', 'none', { cpl: 0, registers: { rax: BigInt(CODE + 0x80) }, rip: BigInt(CODE + 0x80), prepare: (m) => { m.ram[CODE + 0x80] = 0x90; m.state.cr4 |= Cr4.SMAP; } }),
  row('the same with SMEP', 'jmp rax', '#PF(11) 440080', { cpl: 0, registers: { rax: BigInt(CODE + 0x80) }, rip: BigInt(CODE + 0x80), prepare: withCr4(Cr4.SMEP) }),
  row('SMEP without NXE tells of the fetch, too', 'jmp rax', '#PF(11) 440080', { cpl: 0, registers: { rax: BigInt(CODE + 0x80) }, rip: BigInt(CODE + 0x80), prepare: (m) => { m.state.cr4 |= Cr4.SMEP; m.state.efer &= ~Efer.NXE; } }),
  row('the supervisor reads a page of the user with SMAP', 'mov rax, [0x410000]', '#PF(1) 410000', { cpl: 0, prepare: withCr4(Cr4.SMAP) }),
  row('the supervisor writes a page of the user with SMAP', 'mov [0x410000], rax', '#PF(3) 410000', { cpl: 0, prepare: withCr4(Cr4.SMAP) }),
  row('the same with EFLAGS.AC', 'mov [0x410000], rax', 'none', { cpl: 0, eflags: 0x40002, prepare: withCr4(Cr4.SMAP) }),
  row('SMAP does not concern ring 3', 'mov [0x410000], rax', 'none', { prepare: withCr4(Cr4.SMAP) }),
  row('PUSH on a page of the user with SMAP', 'push rax', '#PF(3) 420ff8', { cpl: 0, registers: { rsp: BigInt(STACK + 0x1000) }, prepare: withCr4(Cr4.SMAP) }),
  // What the processor does by itself is refused by SMAP with EFLAGS.AC, too (SDM Vol. 3, 4.6.1).
  row('the GDT on a page of the user with SMAP and EFLAGS.AC', 'mov ds, eax', '#PF(1) 410028', { cpl: 0, eflags: AC, registers: { rax: 0x28n }, prepare: tablesOnUserPage('gdt'), dies: true }),
  row('the same by ring 3', 'mov ds, eax', '#PF(1) 410028', { eflags: AC, registers: { rax: 0x2bn }, prepare: tablesOnUserPage('gdt'), dies: true }),
  row('LAR there', 'lar ebx, eax', '#PF(1) 410028', { cpl: 0, eflags: AC, registers: { rax: 0x28n }, prepare: tablesOnUserPage('gdt'), dies: true }),
  row('a descriptor that is to be marked accessed there', 'mov ds, eax', 'none', { cpl: 0, eflags: AC, registers: { rax: 0x28n }, prepare: tablesOnUserPage('gdt', 0) }),
  row('the IDT on a page of the user with SMAP and EFLAGS.AC', 'int 3', '#PF(1) 410030', { cpl: 0, eflags: AC, prepare: tablesOnUserPage('idt'), dies: true }),
  row('the same by ring 3', 'int 3', '#PF(1) 410030', { eflags: AC, prepare: tablesOnUserPage('idt'), dies: true }),
  row('the TSS on a page of the user with SMAP and EFLAGS.AC', 'int 0x1f', '#PF(1) 410004', { eflags: AC, prepare: tablesOnUserPage('tss'), dies: true }),
  row('its I/O permission bitmap', 'in al, 0x80', '#PF(1) 410066', { eflags: AC, prepare: tablesOnUserPage('tss'), dies: true }),
  row('the stack of the inner level on a page of the user with SMAP and EFLAGS.AC', 'int 0x1f', '#PF(3) 410ff8', { eflags: AC, prepare: innerStackOnUserPage, dies: true }),
  row('an instruction whose second half lies on an absent page', 'mov rax, 0x1122334455667788', '#PF(14) 441000', { at: CODE + 0xffc }),
];

const aligned = (m: LongMachine): void => { m.state.cr0 = (m.state.cr0 | Cr0.AM) >>> 0; };
const alignment: readonly Row[] = [
  ...([['a word', 'mov ax, [0x410001]'], ['a doubleword', 'mov eax, [0x410002]'], ['a quadword', 'mov rax, [0x410004]'], ['a quadword written', 'mov [0x410004], rax'], ['PUSH', 'push rax'], ['XADD', 'xadd [0x410002], eax'],
    ['MOVS', 'movsq'], ['CALL', 'call 0x440100']] as const).map(([title, code]) => row(`${title} that is not aligned`, code, '#AC(0)', { eflags: AC, prepare: aligned, registers: { rsp: BigInt(DEFAULT_STACK + 4), rsi: BigInt(DATA + 1), rdi: BigInt(DATA + 0x100) } })),
  row('a quadword that is aligned', 'mov rax, [0x410008]', 'none', { eflags: AC, prepare: aligned }),
  row('a byte', 'mov al, [0x410001]', 'none', { eflags: AC, prepare: aligned }),
  row('without AM', 'mov eax, [0x410001]', 'none', { eflags: AC }),
  row('without EFLAGS.AC', 'mov eax, [0x410001]', 'none', { prepare: aligned }),
  row('the supervisor', 'mov eax, [0x410001]', 'none', { cpl: 0, eflags: AC, prepare: aligned }),
  row('not canonical comes before', 'mov eax, [rbx]', '#GP(0)', { eflags: AC, prepare: aligned, registers: { rbx: NOT_CANONICAL + 1n } }),
];

/** SYSRET's and SYSCALL's selectors. */
const star = (m: LongMachine): void => { m.state.u32[(STAR >> 2) + 1] = (0x18 << 16) | KERNEL; };
const frameAt = (stack: number, ...words: readonly (number | bigint)[]): Record<number, bigint> => Object.fromEntries(words.map((word, n) => [stack + 8 * n, BigInt(word)]));
/** What IRETQ finds: RIP, CS, RFLAGS, RSP, SS. */
const returning = (rip: number | bigint, cs: number, rsp: number | bigint, ss: number): Partial<Row> => ({ cpl: 0, memory: frameAt(KERNEL_STACK, rip, cs, 0x202, rsp, ss) });
/** Through memory at 410000h: 32 bits of offset and a selector. */
const FAR_JUMP = 'db 0xff, 0x2c, 0x25, 0, 0, 0x41, 0', FAR_CALL = 'db 0xff, 0x1c, 0x25, 0, 0, 0x41, 0';
const transfers: readonly Row[] = [
  row('IRETQ to ring 3', 'iretq', 'none', returning(CODE, USER, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to an address that is not canonical', 'iretq', '#GP(0)', returning(NOT_CANONICAL, USER, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to a null code segment', 'iretq', '#GP(0)', returning(CODE, 0, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to data', 'iretq', `#GP(${hex(KERNEL_DATA)})`, returning(CODE, KERNEL_DATA, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to code that is not present', 'iretq', `#NP(${hex(ABSENT_CODE & ~3)})`, returning(CODE, ABSENT_CODE, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to code with L and D', 'iretq', `#GP(${hex(BOTH & ~3)})`, returning(CODE, BOTH, DEFAULT_STACK, USER_DATA)),
  row('IRETQ with an RPL that is not the DPL', 'iretq', `#GP(${hex(USER & ~3)})`, returning(CODE, USER & ~3 | 1, DEFAULT_STACK, USER_DATA)),
  row('IRETQ beyond the GDT', 'iretq', '#GP(1000)', returning(CODE, 0x1003, DEFAULT_STACK, USER_DATA)),
  row('IRETQ to ring 3 with a null stack segment', 'iretq', '#GP(0)', returning(CODE, USER, DEFAULT_STACK, 3)),
  row('IRETQ to ring 0 with a null stack segment', 'iretq', 'none', returning(KERNEL_CODE, KERNEL, KERNEL_STACK, 0)),
  row('IRETQ with a read-only stack segment', 'iretq', `#GP(${hex(READ_ONLY_DATA & ~3)})`, returning(CODE, USER, DEFAULT_STACK, READ_ONLY_DATA)),
  row('IRETQ with a stack segment that is not present', 'iretq', `#SS(${hex(ABSENT_DATA & ~3)})`, returning(CODE, USER, DEFAULT_STACK, ABSENT_DATA)),
  row('IRETQ with a stack segment of another level', 'iretq', `#GP(${hex(KERNEL_DATA)})`, returning(CODE, USER, DEFAULT_STACK, KERNEL_DATA | 3)),
  row('IRETQ with NT', 'iretq', '#GP(0)', { ...returning(CODE, USER, DEFAULT_STACK, USER_DATA), eflags: 0x4002 }),
  row('IRETQ to an inner ring', 'iretq', `#GP(${hex(KERNEL)})`, { memory: frameAt(DEFAULT_STACK, KERNEL_CODE, KERNEL, 0x202, KERNEL_STACK, KERNEL_DATA) }),
  row('IRETQ from a stack that is not canonical', 'iretq', '#SS(0)', { registers: { rsp: NOT_CANONICAL } }),
  row('IRETQ whose frame ends on an absent page', 'iretq', '#PF(4) 422000', { registers: { rsp: BigInt(STACK + 0x1ff0) } }),
  row('SYSRET to ring 3', 'o64 sysret', 'none', { cpl: 0, registers: { rcx: BigInt(CODE), r11: 0x202n }, prepare: star }),
  row('SYSRET to an address that is not canonical', 'o64 sysret', '#GP(0)', { cpl: 0, registers: { rcx: NOT_CANONICAL }, prepare: star }),
  row('SYSRET in ring 3', 'o64 sysret', '#GP(0)', { prepare: star }),
  row('SYSRET without SCE', 'o64 sysret', '#UD', { cpl: 0, prepare: (m) => { m.state.efer &= ~Efer.SCE; } }),
  row('SYSCALL without SCE', 'syscall', '#UD', { prepare: (m) => { m.state.efer &= ~Efer.SCE; } }),
  row('SYSENTER with a null selector', 'sysenter', '#GP(0)'),
  row('SYSEXIT with a null selector', 'sysexit', '#GP(0)', { cpl: 0 }),
  row('RETF to an inner ring', 'o64 retf', `#GP(${hex(KERNEL)})`, { memory: frameAt(DEFAULT_STACK, KERNEL_CODE, KERNEL) }),
  // As silicon does in 32-bit code: the selector is read first.
  row('RETF from an absent page', 'o64 retf', '#PF(4) 422008', { registers: { rsp: BigInt(STACK + 0x2000) } }),
  row('RETF to a null selector', 'o64 retf', '#GP(0)', { memory: frameAt(DEFAULT_STACK, CODE, 3) }),
  row('RETF to an address that is not canonical', 'o64 retf', '#GP(0)', { memory: frameAt(DEFAULT_STACK, NOT_CANONICAL, USER) }),
  row('RETF to compatibility code', 'o64 retf', 'none', { memory: frameAt(DEFAULT_STACK, CODE + 0x100, USER32) }),
  row('RETF to code with L and D', 'o64 retf', `#GP(${hex(BOTH & ~3)})`, { memory: frameAt(DEFAULT_STACK, CODE, BOTH) }),
  row('RETF to conforming code', 'o64 retf', 'none', { memory: frameAt(DEFAULT_STACK, CODE + 0x100, CONFORMING | 3) }),
  row('a far jump through memory', FAR_JUMP, 'none', { memory: { [DATA]: BigInt(CODE + 0x100) | BigInt(USER32) << 32n } }),
  row('a far jump to data', FAR_JUMP, `#GP(${hex(USER_DATA & ~3)})`, { memory: { [DATA]: BigInt(CODE + 0x100) | BigInt(USER_DATA) << 32n } }),
  row('a far jump to ring 0', FAR_JUMP, `#GP(${hex(KERNEL)})`, { memory: { [DATA]: BigInt(CODE + 0x100) | BigInt(KERNEL) << 32n } }),
  row('a far jump to code with L and D', FAR_JUMP, `#GP(${hex(BOTH & ~3)})`, { memory: { [DATA]: BigInt(CODE + 0x100) | BigInt(BOTH) << 32n } }),
  row('a far jump to code that is not present', FAR_JUMP, `#NP(${hex(ABSENT_CODE & ~3)})`, { memory: { [DATA]: BigInt(CODE + 0x100) | BigInt(ABSENT_CODE) << 32n } }),
  row('a far jump to a TSS: no task switches in long mode', FAR_JUMP, `#GP(${hex(TASK)})`, { cpl: 0, memory: { [DATA]: BigInt(TASK) << 32n } }),
  row('a far jump to a system descriptor', FAR_JUMP, `#GP(${hex(SYSTEM & ~3)})`, { memory: { [DATA]: BigInt(SYSTEM) << 32n } }),
  row('a call gate', FAR_CALL, 'none', { memory: { [DATA]: BigInt(GATE | 3) << 32n } }),
  row('a call gate of ring 0', FAR_CALL, `#GP(${hex(INNER_GATE)})`, { memory: { [DATA]: BigInt(INNER_GATE | 3) << 32n } }),
  row('a call gate that is not present', FAR_CALL, `#NP(${hex(ABSENT_GATE)})`, { memory: { [DATA]: BigInt(ABSENT_GATE | 3) << 32n } }),
  row('a call gate to code that is not of 64 bits', FAR_CALL, `#GP(${hex(USER32 & ~3)})`, { memory: { [DATA]: BigInt(GATE_TO_32 | 3) << 32n } }),
  row('a call gate to an address that is not canonical', FAR_CALL, '#GP(0)', { memory: { [DATA]: BigInt(GATE_BEYOND | 3) << 32n } }),
  row('a call gate to a stack that is not canonical', FAR_CALL, '#SS(0)', { dies: true, memory: { [DATA]: BigInt(GATE | 3) << 32n }, prepare: (m) => { m.setWide(TSS + 4, NOT_CANONICAL + 8n); } }),
  row('a call gate whose type has bits in its upper half', FAR_CALL, `#GP(${hex(GATE)})`, { memory: { [DATA]: BigInt(GATE | 3) << 32n }, prepare: (m) => { m.setWord(GDT + GATE + 12, 0x100); } }),
  row('a segment register with data that is not present', 'mov ds, eax', `#NP(${hex(ABSENT_DATA & ~3)})`, { registers: { rax: BigInt(ABSENT_DATA) } }),
  row('a segment register with a selector beyond the GDT', 'mov es, eax', '#GP(fff8)', { registers: { rax: 0xffffn & ~4n } }),
  row('SS with a null selector in ring 3', 'mov ss, eax', '#GP(0)', { registers: { rax: 3n } }),
  row('SS with a null selector in ring 0', 'mov ss, eax', 'none', { cpl: 0, registers: { rax: 0n } }),
  row('INT through a gate of ring 0', 'int 0x10', '#GP(82)'),
  row('INT beyond the IDT', 'int 0x40', '#GP(202)'),
  row('INT through a gate of 32 bits\' type', 'int 0x10', '#GP(82)', { prepare: (m) => { m.longGate(IDT + 16 * 16, 6, KERNEL, HANDLERS, 3); } }),
  row('INT through a gate to code that is not of 64 bits', 'int 0x10', `#GP(${hex(USER32 & ~3)})`, { prepare: (m) => { m.longGate(IDT + 16 * 16, 0xe, USER32, HANDLERS, 3); } }),
  row('INT through a gate to an address that is not canonical', 'int 0x10', '#GP(0)', { prepare: (m) => { m.longGate(IDT + 16 * 16, 0xe, KERNEL, 0, 3, 0x8000); } }),
  row('INT through a gate that is not present', 'int 0x10', '#NP(82)', { prepare: (m) => { m.longGate(IDT + 16 * 16, 0xe, KERNEL, HANDLERS, 3); m.setWord(IDT + 16 * 16 + 4, m.word(IDT + 16 * 16 + 4) & ~0x8000); } }),
  row('LTR of a busy TSS', 'ltr ax', `#GP(${hex(TASK)})`, { cpl: 0, registers: { rax: BigInt(TASK) } }),
];

const controls: readonly Row[] = [
  row('PG cleared in 64-bit mode', 'mov cr0, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x10033n } }),
  row('upper bits of CR0', 'mov cr0, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x1_8001_0033n } }),
  row('PAE cleared', 'mov cr4, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x600n } }),
  row('reserved bits of CR4', 'mov cr4, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x8000_0620n } }),
  row('upper bits of CR4', 'mov cr4, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x1_0000_0620n } }),
  row('PCIDE with a PCID in CR3', 'mov cr4, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x20620n }, prepare: (m) => { m.state.cr3 |= 1; } }),
  row('CR8 beyond 15', 'mov cr8, rax', '#GP(0)', { cpl: 0, registers: { rax: 16n } }),
  row('upper bits of DR7', 'mov dr7, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x1_0000_0400n } }),
  row('upper bits of DR6', 'mov dr6, rax', '#GP(0)', { cpl: 0, registers: { rax: 0x1_0000_0000n } }),
  row('DR4 with CR4.DE', 'mov rax, dr4', '#UD', { cpl: 0, prepare: withCr4(Cr4.DE) }),
  row('CR1', 'db 0x0f, 0x20, 0xc8', '#UD', { cpl: 0 }),
  row('CR9', 'db 0x44, 0x0f, 0x20, 0xc8', '#UD', { cpl: 0 }),
  row('LME cleared while paging', 'wrmsr', '#GP(0)', { cpl: 0, registers: { rcx: 0xc0000080n, rax: 0n, rdx: 0n } }),
  row('reserved bits of EFER', 'wrmsr', '#GP(0)', { cpl: 0, registers: { rcx: 0xc0000080n, rax: 0xd03n, rdx: 0n } }),
  row('an MSR that does not exist', 'rdmsr', '#GP(0)', { cpl: 0, registers: { rcx: 0x12345678n } }),
  row('RDFSBASE without CR4.FSGSBASE', 'rdfsbase rax', '#UD'),
  row('RDTSC with TSD', 'rdtsc', '#GP(0)', { prepare: withCr4(Cr4.TSD) }),
  row('SGDT with UMIP', 'sgdt [0x410000]', '#GP(0)', { prepare: withCr4(Cr4.UMIP) }),
  row('SMSW with UMIP', 'smsw eax', '#GP(0)', { prepare: withCr4(Cr4.UMIP) }),
  row('SSE with EM', 'addps xmm0, xmm1', '#UD', { prepare: (m) => { m.state.cr0 |= Cr0.EM; } }),
  row('SSE with TS', 'addps xmm0, xmm1', '#NM', { prepare: (m) => { m.state.cr0 |= Cr0.TS; } }),
  row('SSE without OSFXSR', 'addps xmm0, xmm1', '#UD', { prepare: (m) => { m.state.cr4 &= ~Cr4.OSFXSR; } }),
  row('the x87 with TS', 'fld1', '#NM', { prepare: (m) => { m.state.cr0 |= Cr0.TS; } }),
  row('DIV by zero', 'div rbx', '#DE', { registers: { rbx: 0n } }),
  row('DIV whose quotient does not fit', 'div rbx', '#DE', { registers: { rdx: 2n, rbx: 2n } }),
  row('IDIV of the most negative number by -1', 'idiv rbx', '#DE', { registers: { rdx: -1n, rax: -(2n ** 63n), rbx: -1n } }),
  row('UD2', 'ud2', '#UD'),
  row('fifteen prefixes and an opcode', `db ${'0x66, '.repeat(15)}0x90`, '#GP(0)'),
];

/** The encoding's bytes in 64-bit code: register 0, or memory at [RDI]. */
function bytesFor(encoding: Encoding, memory: boolean): number[] {
  const { map, opcode, modrm, modrmByte, mandatoryPrefix, operands, operandSize, defaults64, forced64 } = encoding;
  const bytes: number[] = mandatoryPrefix ? [mandatoryPrefix] : [];
  if (operandSize === 16) bytes.push(0x66);
  if (operandSize === 64 && !defaults64 && !forced64) bytes.push(0x48);
  bytes.push(...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][map], opcode);
  if (modrmByte !== undefined) bytes.push(modrmByte);
  else if (modrm !== 'none') bytes.push((memory ? 7 : 0xc0) | (modrm === 'reg' ? 0 : modrm << 3));
  if (operands.some((operand) => /^I/.test(operand))) bytes.push(1);
  return bytes;
}

const mayBeMemory = ({ modrm, modrmByte, mod, operands }: Encoding): boolean => modrm !== 'none' && modrmByte === undefined && mod !== 'reg' && operands.some((operand) => /^[EM]/.test(operand));
const mayBeRegister = ({ mod, modrm, operands }: Encoding): boolean => mod !== 'mem' && !(modrm !== 'none' && operands.some((operand) => operand.startsWith('M')));

interface Generated {
  readonly name: string;
  readonly bytes: readonly number[];
  readonly expect: string;
}

/** One machine for all of them: none changes anything. */
function checkGenerated(all: readonly Generated[]): void {
  const m = new LongMachine(3);
  const wrong: string[] = [];
  for (const { name, bytes, expect } of all) {
    m.write(CODE, [...bytes, ...Array<number>(20).fill(HLT)]);
    registerNames.forEach((_, n) => { m.state.set64(n, BigInt(DATA + 0x800)); });
    m.state.eflags = 0x202;
    m.state.rip = CODE;
    const { fault } = m.run(1);
    const found = fault ? `${exceptions[vectorOf(fault)].name}${fault.errorCode === undefined ? '' : `(${hex(fault.errorCode)})`}` : 'none';
    if (found !== expect || (fault && m.state.rip !== CODE)) wrong.push(`${name} (${Buffer.from(bytes).toString('hex')}): ${found} instead of ${expect}`);
  }
  assert.deepEqual(wrong, []);
}

const nameOf = ({ instruction, text }: Encoding): string => `${instruction.mnemonic} ${text}`;
const in64 = table.encodings.filter((encoding) => !encoding.invalid64);
const privileged: readonly Generated[] = in64.filter(({ instruction: { privilege } }) => privilege === 'cpl0' || privilege === 'iopl').map((encoding) => ({
  name: nameOf(encoding), bytes: bytesFor(encoding, !mayBeRegister(encoding)), expect: /^(stac|clac)$/.test(encoding.instruction.mnemonic) ? '#UD' : '#GP(0)',
}));
/** LOCK is for some instructions whose destination is memory (SDM Vol. 2, LOCK). */
const locked: readonly Generated[] = in64.filter(({ map, opcode, mandatoryPrefix }) => !mandatoryPrefix && !(map === 0 && [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(opcode))).flatMap((encoding) => {
  const forms = [...mayBeRegister(encoding) ? [false] : [], ...mayBeMemory(encoding) ? [true] : []];
  return forms.filter((memory) => !(memory && encoding.instruction.lock && /^[EM]/.test(encoding.operands[0])))
    .map((memory) => ({ name: `lock ${nameOf(encoding)}`, bytes: [0xf0, ...bytesFor(encoding, memory)], expect: '#UD' }));
});
/** Opcodes that are another instruction in 64-bit mode: REX prefixes and MOVSXD. */
const reused = ({ map, opcode }: Encoding): boolean => map === 0 && ((opcode >= 0x40 && opcode <= 0x4f) || opcode === 0x63);
const absent: readonly Generated[] = table.encodings.filter((encoding) => encoding.invalid64 && !encoding.syntaxOnly && !reused(encoding) && in64.every((other) => other.map !== encoding.map || other.opcode !== encoding.opcode
  || other.modrm !== encoding.modrm)).map((encoding) => ({ name: nameOf(encoding), bytes: bytesFor(encoding, !mayBeRegister(encoding)), expect: '#UD' }));

const groups: readonly (readonly [string, readonly Row[]])[] = [
  ['addresses', addresses], ['pages', pages], ['alignment', alignment], ['control transfers', transfers], ['control registers and the rest', controls],
];
const generated: readonly (readonly [string, readonly Generated[]])[] = [
  ['every encoding that ring 3 may not execute', privileged], ['LOCK before what takes none, every encoding', locked], ['every encoding that 64-bit mode does not have', absent],
];

describe('exceptions in 64-bit mode', () => {
  for (const [name, rows] of groups) {
    describe(name, () => {
      for (const one of rows) {
        it(`${one.title}: ${one.expect}`, () => {
          check(one);
          check(one, 'eager');
        });
      }
    });
  }

  describe('by the instruction table', () => {
    for (const [name, all] of generated) it(`${name} (${all.length})`, () => checkGenerated(all));
  });

  describe('the document', () => {
    it('says so', () => {
      assert.ok(inRegions > 20, `${inRegions} rows entered a region`);
      reportSuite('longFaults', {
        about: 'The exception lists of the manual for 64-bit mode as cases: exception, error code, CR2, saved RIP, nothing changed before, and the frame that the handler finds.',
        compared: [...groups.flatMap(([what, rows]) => [{ what, cases: rows.length }, { what: `${what}, in regions`, cases: rows.length, again: true }]), ...generated.map(([what, all]) => ({ what, cases: all.length }))],
      });
    });
  });
});
