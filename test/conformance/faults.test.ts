/**
 * The exception lists of the manual (SDM Vol. 2 "Protected Mode Exceptions", Vol. 3 chapter 6), row by row on the engine: which exception, with
 * which error code and CR2, the saved EIP, and that an instruction which faults has changed nothing and can be started again.
 */
import assert from 'node:assert/strict';
import { assemble } from '../../src/vmm/asm/assembler';
import { Flag } from '../../src/vmm/cpu/bits';
import { exceptions } from '../../src/vmm/cpu/exceptions';
import { Segment } from '../../src/vmm/cpu/layout';
import { PageFault } from '../../src/vmm/mmu/types';
import { reportSuite } from './support/report';
import { BareMachine, DATA0, HANDLERS, IDT, PAGE_TABLES, STACK0, TSS, TSS_SELECTOR, vectorOf } from '../support/bare-machine';

// The world: pages by what ring 3 may do with them. 0x40e000, 0x412000, 0x41f000, 0x422000 and 0x441000 are not present.
const READ_ONLY = 0x40f000, DATA = 0x410000, ABSENT = 0x412000, SUPERVISOR = 0x413000, BEFORE_READ_ONLY = 0x414000, STACK = 0x420000, CODE = 0x440000;
const areas: readonly (readonly [number, number, number])[] = [
  [READ_ONLY, 0x1000, 5], [DATA, 0x2000, 7], [SUPERVISOR, 0x1000, 3], [BEFORE_READ_ONLY, 0x1000, 7], [0x415000, 0x1000, 5], [STACK, 0x2000, 7], [CODE, 0x1000, 5],
];
const absentPages = [0x40e000, ABSENT, 0x41f000, 0x422000, 0x441000];
const DEFAULT_STACK = 0x421000;

// Selectors of the local descriptor table.
const SMALL = 0x07, EXPAND_DOWN = 0x0f, EXPAND_DOWN_16 = 0x17, READ_ONLY_DATA = 0x1f, ABSENT_DATA = 0x27, EXECUTE_ONLY = 0x2f, SMALL_STACK = 0x37, ABSENT_CODE = 0x3f,
  SMALL_CODE = 0x47, INNER_DATA = 0x4f, INNER_CODE = 0x57, SYSTEM = 0x5f, CONFORMING = 0x67;
const describeSegments = (m: BareMachine): void => {
  m.describe(SMALL, { base: DATA, limit: 0xfff, type: 0x13, dpl: 3 });
  m.describe(EXPAND_DOWN, { base: 0x40f000, limit: 0x1fff, type: 0x17, dpl: 3 });
  m.describe(EXPAND_DOWN_16, { base: 0x402000, limit: 0xdfff, type: 0x17, dpl: 3, big: false });
  m.describe(READ_ONLY_DATA, { base: DATA, limit: 0xfff, type: 0x11, dpl: 3 });
  m.describe(ABSENT_DATA, { base: DATA, limit: 0xfff, type: 0x13, dpl: 3, present: false });
  m.describe(EXECUTE_ONLY, { base: 0, type: 0x19, dpl: 3 });
  m.describe(SMALL_STACK, { base: STACK, limit: 0xfff, type: 0x13, dpl: 3 });
  m.describe(ABSENT_CODE, { type: 0x1b, dpl: 3, present: false });
  m.describe(SMALL_CODE, { base: CODE, limit: 0x1ff, type: 0x1b, dpl: 3 });
  m.describe(INNER_DATA, { base: DATA, limit: 0xfff, type: 0x13, dpl: 0 });
  m.describe(INNER_CODE, { type: 0x1b, dpl: 0 });
  m.describe(SYSTEM, { base: TSS, limit: 0x67, type: 0x2, dpl: 3, big: false });
  m.describe(CONFORMING, { type: 0x1f, dpl: 3 });
};

const registerNames = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
type Register = (typeof registerNames)[number];
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;

interface Row {
  readonly title: string;
  /** NASM text of the instruction; what stands before the last line runs first. */
  readonly code: string;
  /** '#GP(10)', '#PF(6) 412000' (error code and CR2 in hexadecimal), '#UD', or 'none'. */
  readonly expect: string;
  readonly cpl?: 0 | 3;
  readonly registers?: Partial<Record<Register, number>>;
  readonly segments?: Partial<Record<(typeof segmentNames)[number], number>>;
  readonly eflags?: number;
  /** Where the code stands, linearly. */
  readonly at?: number;
  readonly prepare?: (m: BareMachine) => void;
  /** Words of memory before. */
  readonly memory?: Readonly<Record<number, number>>;
  /** Registers and words that the instruction has changed when it faults; everything else is as before. */
  readonly changed?: { readonly registers?: Partial<Record<Register, number>>; readonly memory?: Readonly<Record<number, number>> };
  /** It faults after some iterations. */
  readonly iterations?: boolean;
  /** EIP of the fault when it is not the instruction's: a target that cannot be fetched. */
  readonly eip?: number;
}

function bytesOf(text: string, at: number): Uint8Array {
  const result = assemble({ path: 'row.asm', text: `bits 32\norg ${at}\n${text}` }, { readFile: () => undefined, format: 'bin' });
  assert.deepEqual(result.diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => `${text}: ${message}`), []);
  return result.bytes;
}

interface Prepared {
  readonly machine: BareMachine;
  /** EIP of the last line. */
  readonly eip: number;
  readonly instructionsBefore: number;
}

function prepare(row: Row, everythingPresent: boolean, translation: 'eager' | undefined): Prepared {
  const machine = new BareMachine(translation).protect(row.cpl ?? 3);
  const { state, engine } = machine;
  describeSegments(machine);
  for (let vector = 0; vector < 20; vector++) machine.gate(vector);
  for (const [linear, bytes, bits] of areas) machine.map(linear, bytes, bits);
  if (everythingPresent) for (const page of absentPages) machine.map(page, 0x1000, 7);
  const before = row.code.split('\n').slice(0, -1);
  const at = row.at ?? CODE;
  machine.ram.fill(HLT, CODE, CODE + 0x2000);
  machine.ram.set(bytesOf(row.code, at), at);
  registerNames.forEach((name, n) => state.set32(n, row.registers?.[name] ?? (name === 'esp' ? DEFAULT_STACK : 0x10000 + 0x1111 * n)));
  for (const [address, value] of Object.entries(row.memory ?? {})) machine.setWord(Number(address), value);
  for (const [name, selector] of Object.entries(row.segments ?? {})) machine.load(segmentNames.indexOf(name as (typeof segmentNames)[number]) as Segment, selector);
  if (row.eflags !== undefined) state.eflags = row.eflags;
  row.prepare?.(machine);
  machine.pageTables();
  state.eip = (at - state.base(Segment.CS)) >>> 0;
  engine.stateChanged();
  return { machine, eip: state.eip + bytesOf(before.join('\n'), at).length, instructionsBefore: before.length };
}

const hex = (value: number): string => (value >>> 0).toString(16);

/** All of memory that ring 3 could reach. */
const MEMORY = 0x400000;
const memoryOf = (m: BareMachine): Buffer => Buffer.from(m.ram.slice(MEMORY, 0x450000));
const registersOf = (m: BareMachine): string => JSON.stringify({
  general: registerNames.map((name, n) => `${name} ${hex(m.state.get32(n))}`), flags: hex(m.state.eflags & ~Flag.RF),
  segments: segmentNames.map((name, n) => `${name} ${hex(m.state.selector(n))}`),
});

function expectationText(vector: number, errorCode: number | undefined, cr2: number | undefined): string {
  return `${exceptions[vector].name}${errorCode === undefined ? '' : `(${hex(errorCode)})`}${cr2 === undefined ? '' : ` ${hex(cr2)}`}`;
}

/** Enough for regions to be entered: what is left has to be more than any path through one. */
const REGION_INSTRUCTIONS = 5000;
/** Rows that a region began. */
let inRegions = 0;

/** Behind every row's code: HLT ends a run, by #GP in ring 3. */
const HLT = 0xf4;
const isRestartable = (row: Row): boolean => absentPages.includes(parseInt(/^#PF\(.\) ([0-9a-f]+)$/.exec(row.expect)?.[1] ?? '0', 16) & ~0xfff) && row.eip === undefined;

interface Image {
  readonly registers: string;
  readonly memory: Buffer;
}

/** Runs to the HLT behind the instruction. */
function finish(machine: BareMachine, instructions: number): Image {
  machine.run(instructions);
  return { registers: `${registersOf(machine)} eip ${hex(machine.state.eip)}`, memory: memoryOf(machine) };
}

/** In regions (mode 'eager') the instruction runs with all that comes before and behind it. */
function check(row: Row, translation?: 'eager'): void {
  // Machines share one memory, so the run with all pages present comes first.
  let undisturbed: Image | undefined;
  if (isRestartable(row)) {
    const { machine } = prepare(row, true, translation);
    undisturbed = finish(machine, 1000);
  }
  const { machine, eip, instructionsBefore } = prepare(row, false, translation);
  const { state } = machine;
  if (instructionsBefore) assert.equal(machine.run(instructionsBefore).fault, undefined, 'what comes first must run');
  const before: Image = { registers: registersOf(machine), memory: memoryOf(machine) };
  const frame = { eflags: state.eflags, cs: state.selector(Segment.CS), esp: state.esp, ss: state.selector(Segment.SS), cpl: state.cpl };
  const { fault } = machine.run(translation ? REGION_INSTRUCTIONS : row.eip === undefined && !row.iterations ? 1 : 100);
  if (translation && machine.count('regionEntries') > 0) inRegions++;
  // What goes on ends at an HLT.
  if (!fault || (translation && machine.ram[machine.state.linear(Segment.CS, machine.state.eip)] === HLT && machine.state.eip !== eip)) {
    assert.equal('none', row.expect);
    return;
  }
  const cr2 = fault instanceof PageFault ? fault.linear : undefined;
  assert.equal(expectationText(vectorOf(fault), fault.errorCode, cr2), row.expect, fault instanceof PageFault ? undefined : fault.reason);
  assert.equal(hex(state.eip), hex(row.eip ?? eip), 'EIP of the fault');
  checkChanges(row, machine, before);
  if (undisturbed) checkRestart(machine, undisturbed);
  else checkDelivery(machine, vectorOf(fault), fault, row.eip ?? eip, frame);
}

/** Nothing but what the row names has changed. */
function checkChanges(row: Row, machine: BareMachine, before: Image): void {
  let { registers } = before;
  for (const [name, value] of Object.entries(row.changed?.registers ?? {})) registers = registers.replace(new RegExp(`"${name} [0-9a-f]+"`), `"${name} ${hex(value)}"`);
  for (const [address, value] of Object.entries(row.changed?.memory ?? {})) before.memory.writeUInt32LE(value >>> 0, Number(address) - MEMORY);
  assert.equal(registersOf(machine), registers, 'registers at the fault');
  assert.deepEqual(changedBytes(machine, before.memory), [], 'memory at the fault');
}

function changedBytes(machine: BareMachine, expected: Buffer): string[] {
  const memory = memoryOf(machine);
  if (memory.equals(expected)) return [];
  return [...memory.keys()].filter((n) => memory[n] !== expected[n]).slice(0, 8).map((n) => `${hex(MEMORY + n)}: ${hex(memory[n])} instead of ${hex(expected[n])}`);
}

/** With the page mapped, the same instruction ends as if the page had been there from the beginning. */
function checkRestart(machine: BareMachine, undisturbed: Image): void {
  // The way a handler does it: the shadow notices the write.
  for (const page of absentPages) machine.write(PAGE_TABLES + (page >>> 22) * 0x1000 + 4 * ((page >>> 12) & 0x3ff), new Uint8Array(Uint32Array.of(page | 7).buffer));
  const restarted = finish(machine, 1000);
  assert.equal(restarted.registers, undisturbed.registers, 'registers after the restart');
  assert.deepEqual(changedBytes(machine, undisturbed.memory), [], 'memory after the restart');
}

/** What the handler finds on its stack: the state of the faulting instruction, RF set. */
function checkDelivery(machine: BareMachine, vector: number, fault: Parameters<BareMachine['engine']['cpu']['raise']>[0], eip: number,
  before: { eflags: number; cs: number; esp: number; ss: number; cpl: number }): void {
  const { state } = machine;
  const { kind } = machine.engine.cpu.raise(fault);
  assert.equal(kind, 'delivered');
  assert.equal(hex(state.eip), hex(HANDLERS + 16 * vector), 'the handler');
  assert.equal(state.cpl, 0);
  if (fault instanceof PageFault) assert.equal(hex(state.cr2), hex(fault.linear), 'CR2');
  const outer = before.cpl === 3 ? [before.esp, before.ss] : [];
  const expected = [...(fault.errorCode === undefined ? [] : [fault.errorCode]), eip, before.cs, before.eflags | Flag.RF, ...outer];
  const bottom = before.cpl === 3 ? STACK0 : before.esp;
  assert.equal(hex(state.esp), hex(bottom - 4 * expected.length), 'ESP in the handler');
  assert.deepEqual(expected.map((_, n) => hex(machine.word(state.esp + 4 * n))), expected.map(hex), 'the frame');
}

const flat = (title: string, code: string, expect: string, more: Partial<Row> = {}): Row => ({ title, code, expect, ...more });
const IOPL3 = 0x3202;

const limitsAndTypes: readonly Row[] = [
  flat('a byte at the limit', 'mov al, [0xfff]', 'none', { segments: { ds: SMALL } }),
  flat('a byte beyond the limit', 'mov al, [0x1000]', '#GP(0)', { segments: { ds: SMALL } }),
  flat('a doubleword over the limit', 'mov eax, [0xffd]', '#GP(0)', { segments: { ds: SMALL } }),
  flat('a doubleword up to the limit', 'mov eax, [0xffc]', 'none', { segments: { ds: SMALL } }),
  flat('a doubleword that wraps at 4 GiB in a small segment', 'mov eax, [ebx]', '#GP(0)', { segments: { ds: SMALL }, registers: { ebx: 0xfffffffe } }),
  flat('a store over the limit', 'mov [0xffd], eax', '#GP(0)', { segments: { ds: SMALL } }),
  flat('a read-modify-write over the limit', 'add [0xffd], eax', '#GP(0)', { segments: { ds: SMALL } }),
  flat('ES of a string instruction', 'stosd', '#GP(0)', { segments: { es: SMALL }, registers: { edi: 0xffd } }),
  flat('an override honoured', 'mov eax, [fs:0x1000]', '#GP(0)', { segments: { fs: SMALL } }),
  flat('EBP addresses through SS', 'mov eax, [ebp]', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { ebp: 0x1000 } }),
  flat('ESP addresses through SS', 'mov eax, [esp + 0x1000]', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 0x800 } }),
  flat('EBP addresses through DS when told so', 'mov eax, [ds:ebp]', '#GP(0)', { segments: { ds: SMALL }, registers: { ebp: 0x1000 } }),
  flat('SS by override', 'mov eax, [ss:ebx]', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { ebx: 0x1000 } }),
  flat('PUSH below the stack segment', 'push eax', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 2 } }),
  flat('PUSH that wraps to the top of a flat segment', 'push eax', '#PF(6) fffffffc', { registers: { esp: 0 } }),
  flat('POP beyond the limit', 'pop eax', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 0xffe } }),
  flat('CALL without room for the return address', 'call 0x440100', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 1 } }),
  flat('PUSHAD with room for half', 'pushad', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 16 } }),
  flat('ENTER with room for the frame pointer alone', 'enter 16, 0', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 8 } }),
  flat('LEAVE with EBP beyond the limit', 'leave', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 0x800, ebp: 0xffe } }),
  flat('expand-down: the limit itself', 'mov al, [0x1fff]', '#GP(0)', { segments: { ds: EXPAND_DOWN } }),
  flat('expand-down: the first valid offset', 'mov al, [0x2000]', 'none', { segments: { ds: EXPAND_DOWN } }),
  flat('expand-down: a doubleword that begins below', 'mov eax, [0x1ffe]', '#GP(0)', { segments: { ds: EXPAND_DOWN } }),
  flat('expand-down of 16 bits: up to FFFF', 'mov eax, [0xfffc]', 'none', { segments: { ds: EXPAND_DOWN_16 } }),
  flat('expand-down of 16 bits: over FFFF', 'mov eax, [0xfffe]', '#GP(0)', { segments: { ds: EXPAND_DOWN_16 } }),
  flat('a read from a read-only segment', 'mov eax, [0]', 'none', { segments: { ds: READ_ONLY_DATA } }),
  flat('a store to a read-only segment', 'mov [0], eax', '#GP(0)', { segments: { ds: READ_ONLY_DATA } }),
  flat('CMPXCHG on a read-only segment, whether equal or not', 'cmpxchg [0], ebx', '#GP(0)', { segments: { ds: READ_ONLY_DATA } }),
  flat('a store through CS', 'mov [cs:0x410000], eax', '#GP(0)'),
  flat('a read through CS', 'mov eax, [cs:0x410000]', 'none'),
  flat('a read through an execute-only CS', 'mov eax, [cs:0x410000]', '#GP(0)', { segments: { cs: EXECUTE_ONLY } }),
  flat('a null DS', 'mov eax, [0x410000]', '#GP(0)', { segments: { ds: 0 } }),
  flat('a null ES', 'movsd', '#GP(0)', { segments: { es: 3 }, registers: { esi: DATA, edi: DATA } }),
  flat('LEA checks nothing', 'lea eax, [0x410000]', 'none', { segments: { ds: 0 } }),
  flat('the limit comes before the page', 'mov eax, [0x2000]', '#GP(0)', { segments: { ds: SMALL } }),
];

const hexSelector = (selector: number): string => hex(selector & ~3);
const segmentLoads: readonly Row[] = [
  flat('a null selector into DS', 'mov ds, ax', 'none', { registers: { eax: 3 } }),
  flat('a null selector into SS', 'mov ss, ax', '#GP(0)', { registers: { eax: 3 } }),
  flat('beyond the GDT', 'mov ds, ax', '#GP(fff8)', { registers: { eax: 0xfffb } }),
  flat('beyond the LDT', 'mov es, ax', '#GP(fffc)', { registers: { eax: 0xffff } }),
  flat('execute-only code into DS', 'mov ds, ax', `#GP(${hexSelector(EXECUTE_ONLY)})`, { registers: { eax: EXECUTE_ONLY } }),
  flat('a system segment into FS', 'mov fs, ax', `#GP(${hexSelector(SYSTEM)})`, { registers: { eax: SYSTEM } }),
  flat('data of ring 0 into GS', 'mov gs, ax', `#GP(${hexSelector(INNER_DATA)})`, { registers: { eax: INNER_DATA } }),
  flat('conforming code of an outer ring into DS', 'mov ds, ax', 'none', { registers: { eax: CONFORMING } }),
  flat('a segment that is not present into DS', 'mov ds, ax', `#NP(${hexSelector(ABSENT_DATA)})`, { registers: { eax: ABSENT_DATA } }),
  flat('a segment that is not present into SS', 'mov ss, ax', `#SS(${hexSelector(ABSENT_DATA)})`, { registers: { eax: ABSENT_DATA } }),
  flat('an RPL that is not CPL into SS', 'mov ss, ax', `#GP(${hexSelector(SMALL)})`, { registers: { eax: SMALL & ~3 } }),
  flat('a DPL that is not CPL into SS', 'mov ss, ax', `#GP(${hexSelector(INNER_DATA)})`, { registers: { eax: INNER_DATA } }),
  flat('read-only data into SS', 'mov ss, ax', `#GP(${hexSelector(READ_ONLY_DATA)})`, { registers: { eax: READ_ONLY_DATA } }),
  flat('LES whose selector is not present', 'les eax, [0x410000]', `#NP(${hexSelector(ABSENT_DATA)})`, { memory: { 0x410004: ABSENT_DATA } }),
  flat('LSS with a null selector', 'lss esp, [0x410000]', '#GP(0)'),
  flat('LDS whose selector lies on an absent page', 'lds eax, [0x411ffc]', '#PF(4) 412000'),
  flat('POP DS of a segment that is not present', 'pop ds', `#NP(${hexSelector(ABSENT_DATA)})`, { memory: { [DEFAULT_STACK]: ABSENT_DATA } }),
  flat('CS as a destination', 'db 0x8e, 0xc8', '#UD'),
  flat('segment register 6', 'db 0x8c, 0xf0', '#UD'),
  flat('a GDT on an absent page: the table is read as the supervisor', 'mov ds, ax', '#PF(0) 412020', { registers: { eax: 0x23 }, prepare: (m) => m.state.setGdtr(ABSENT, 0xff) }),
];

const transfers: readonly Row[] = [
  flat('a near jump beyond the limit', 'jmp 0x440200', '#GP(0)', { segments: { cs: SMALL_CODE } }),
  flat('an indirect jump beyond the limit', 'jmp eax', '#GP(0)', { segments: { cs: SMALL_CODE }, registers: { eax: 0x200 } }),
  flat('a conditional jump beyond the limit, taken', 'stc\njc near 0x440200', '#GP(0)', { segments: { cs: SMALL_CODE } }),
  flat('a conditional jump beyond the limit, not taken', 'clc\njc near 0x440200', 'none', { segments: { cs: SMALL_CODE } }),
  flat('LOOP beyond the limit: ECX stays', 'loop 0x440200', '#GP(0)', { segments: { cs: SMALL_CODE }, at: CODE + 0x1a0 }),
  flat('a call beyond the limit: nothing is pushed', 'call 0x440200', '#GP(0)', { segments: { cs: SMALL_CODE } }),
  flat('a return beyond the limit: nothing is popped', 'ret', '#GP(0)', { segments: { cs: SMALL_CODE }, memory: { [DEFAULT_STACK]: 0x200 } }),
  flat('an instruction that runs over the limit', 'mov eax, 1', '#GP(0)', { segments: { cs: SMALL_CODE }, at: CODE + 0x1fd }),
  flat('a far jump to a null selector', 'jmp 0:0x440100', '#GP(0)'),
  flat('a far jump to data', `jmp ${SMALL}:0x440100`, `#GP(${hexSelector(SMALL)})`),
  flat('a far jump to code that is not present', `jmp ${ABSENT_CODE}:0x440100`, `#NP(${hexSelector(ABSENT_CODE)})`),
  flat('a far jump to code of ring 0', `jmp ${INNER_CODE}:0x440100`, `#GP(${hexSelector(INNER_CODE)})`),
  flat('a far jump beyond the new limit', `jmp ${SMALL_CODE}:0x200`, '#GP(0)'),
  flat('a far call to ring 0 without a gate', 'call 8:0x440100', '#GP(8)'),
  flat('a far call without room on the stack', `call ${CONFORMING}:0x440100`, '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 4 } }),
  flat('a far return to a null selector', 'retf', '#GP(0)', { memory: { [DEFAULT_STACK]: CODE, [DEFAULT_STACK + 4]: 3 } }),
  flat('a far return to an inner ring', 'retf', '#GP(8)', { memory: { [DEFAULT_STACK]: CODE, [DEFAULT_STACK + 4]: 8 } }),
  flat('IRET to an inner ring', 'iretd', '#GP(8)', { memory: { [DEFAULT_STACK]: CODE, [DEFAULT_STACK + 4]: 8, [DEFAULT_STACK + 8]: 0x202 } }),
  flat('IRET beyond the stack segment', 'iretd', '#SS(0)', { segments: { ss: SMALL_STACK }, registers: { esp: 0xff8 } }),
  flat('a jump to an absent page', 'jmp eax', '#PF(4) 41f123', { registers: { eax: 0x41f123 }, eip: 0x41f123 }),
  flat('a jump to a page of the supervisor', 'jmp eax', '#PF(5) 413000', { registers: { eax: SUPERVISOR }, eip: SUPERVISOR }),
  flat('an instruction whose second half lies on an absent page', 'mov eax, 0x12345678', '#PF(4) 441000', { at: CODE + 0xffe }),
  flat('an instruction that ends with the page', 'mov al, 1', 'none', { at: CODE + 0xffe }),
];

/** In ring 3 with IOPL 0. */
const privileged = [
  'cli', 'sti', 'hlt', 'in al, 0x10', 'in eax, dx', 'out dx, al', 'out 0x10, eax', 'insb', 'outsd', 'mov cr0, eax', 'mov eax, cr3', 'mov dr7, eax', 'mov eax, dr6', 'lgdt [0x410000]',
  'lidt [0x410000]', 'lldt ax', 'ltr ax', 'lmsw ax', 'clts', 'invd', 'wbinvd', 'invlpg [0x410000]', 'rdmsr', 'wrmsr',
];
const ioMap = (m: BareMachine, ...allowed: readonly number[]): void => {
  m.describe(TSS_SELECTOR, { base: TSS, limit: 0x68 + 0x20, type: 0xb, big: false });
  m.load(Segment.TR, TSS_SELECTOR);
  m.ram.fill(0xff, TSS + 0x68, TSS + 0x68 + 0x21);
  for (const port of allowed) m.ram[TSS + 0x68 + (port >> 3)] &= ~(1 << (port & 7));
};
const privilege: readonly Row[] = [
  ...privileged.map((code) => flat(`${code} in ring 3`, code, '#GP(0)')),
  ...['lgdt [0x412000]', 'lldt [0x412000]', 'ltr [0x412000]', 'lmsw [0x412000]'].map((code) => flat(`${code}: privilege comes before the page`, code, '#GP(0)')),
  flat('CLI with IOPL 3', 'cli', 'none', { eflags: IOPL3 }),
  flat('IN with IOPL 3', 'in al, 0x10', 'none', { eflags: IOPL3 }),
  flat('a port that the I/O map allows', 'in al, 0x10', 'none', { prepare: (m) => ioMap(m, 0x10) }),
  flat('a word of which the map allows the first byte', 'in ax, 0x10', '#GP(0)', { prepare: (m) => ioMap(m, 0x10) }),
  flat('a word over a byte of the map', 'in ax, 0x17', 'none', { prepare: (m) => ioMap(m, 0x17, 0x18) }),
  flat('a port beyond the map', 'in ax, dx', '#GP(0)', { registers: { edx: 0x100 }, prepare: (m) => ioMap(m) }),
  flat('PG without PE', 'mov cr0, eax', '#GP(0)', { cpl: 0, registers: { eax: 0x80000010 | 0 } }),
  flat('NW without CD', 'mov cr0, eax', '#GP(0)', { cpl: 0, registers: { eax: 0xa0000011 | 0 } }),
  flat('reserved bits of CR4', 'mov cr4, eax', '#GP(0)', { cpl: 0, registers: { eax: 0x80000000 | 0 } }),
  flat('CR1', 'db 0x0f, 0x20, 0xc8', '#UD', { cpl: 0 }),
  flat('an MSR that does not exist', 'rdmsr', '#GP(0)', { cpl: 0, registers: { ecx: 0x12345678 } }),
  flat('LTR of a busy TSS', 'ltr ax', `#GP(${hex(TSS_SELECTOR)})`, { cpl: 0, registers: { eax: TSS_SELECTOR } }),
  flat('LLDT of a data segment', 'lldt ax', `#GP(${hex(DATA0)})`, { cpl: 0, registers: { eax: DATA0 } }),
  flat('LLDT of a selector in the LDT', 'lldt ax', '#GP(4)', { cpl: 0, registers: { eax: 4 } }),
];

const opcodes: readonly Row[] = [
  flat('LOCK of a register', 'db 0xf0, 0x01, 0xd8', '#UD'),
  flat('LOCK of MOV', 'db 0xf0, 0x89, 0x07', '#UD'),
  flat('LOCK of CMP', 'db 0xf0, 0x39, 0x07', '#UD'),
  flat('LOCK of BT', 'db 0xf0, 0x0f, 0xa3, 0x07', '#UD'),
  flat('LOCK with memory as the source', 'db 0xf0, 0x03, 0x07', '#UD'),
  flat('LOCK of NOP', 'db 0xf0, 0x90', '#UD'),
  flat('LOCK of a string instruction', 'db 0xf0, 0xa4', '#UD'),
  flat('LOCK of ADD to memory', 'lock add [0x410000], eax', 'none'),
  flat('UD2', 'ud2', '#UD'),
  flat('FF /7', 'db 0xff, 0xf8', '#UD'),
  flat('LEA of a register', 'db 0x8d, 0xc0', '#UD'),
  flat('BOUND of a register', 'db 0x62, 0xc0', '#UD'),
  flat('LES of a register', 'db 0xc4, 0xc0', '#UD'),
  flat('CMPXCHG8B of a register', 'db 0x0f, 0xc7, 0xc8', '#UD'),
  flat('a far jump through a register', 'db 0xff, 0xe8', '#UD'),
  flat('an opcode that nothing stands for', 'db 0x0f, 0x04', '#UD'),
  flat('fourteen prefixes and an opcode', `db ${'0x66, '.repeat(14)}0x90`, 'none'),
  flat('fifteen prefixes and an opcode', `db ${'0x66, '.repeat(15)}0x90`, '#GP(0)'),
  flat('sixteen bytes with an operand', `db ${'0x3e, '.repeat(10)}0xc7, 0x05, 0, 0, 0x41, 0`, '#GP(0)'),
  flat('WAIT with MP and TS', 'wait', '#NM', { prepare: (m) => { m.state.cr0 |= 0xa; } }),
  flat('WAIT with TS alone', 'wait', 'none', { prepare: (m) => { m.state.cr0 |= 8; } }),
];

const arithmeticAndInterrupts: readonly Row[] = [
  flat('DIV by zero', 'div ebx', '#DE', { registers: { ebx: 0 } }),
  flat('DIV whose quotient does not fit', 'div ebx', '#DE', { registers: { edx: 2, ebx: 2 } }),
  flat('IDIV of the most negative number by -1', 'idiv ebx', '#DE', { registers: { edx: -1, eax: 0x80000000 | 0, ebx: -1 } }),
  flat('IDIV of the most negative 64-bit number by -1', 'idiv ebx', '#DE', { registers: { edx: 0x80000000 | 0, eax: 0, ebx: -1 } }),
  flat('IDIV of bytes, quotient 128', 'idiv bl', '#DE', { registers: { eax: 0x80, ebx: 1 } }),
  flat('DIV by memory on an absent page', 'div dword [0x412000]', '#PF(4) 412000', { registers: { edx: 0, eax: 10 } }),
  flat('AAM 0', 'aam 0', '#DE'),
  flat('BOUND below', 'bound eax, [0x410000]', '#BR', { registers: { eax: -2 }, memory: { 0x410000: -1, 0x410004: 5 } }),
  flat('BOUND above', 'bound eax, [0x410000]', '#BR', { registers: { eax: 6 }, memory: { 0x410000: -1, 0x410004: 5 } }),
  flat('BOUND inside', 'bound eax, [0x410000]', 'none', { registers: { eax: 5 }, memory: { 0x410000: -1, 0x410004: 5 } }),
  flat('BOUND with its second word on an absent page', 'bound eax, [0x411ffc]', '#PF(4) 412000', { registers: { eax: 0 } }),
  flat('INT through a gate of ring 0', 'int 0x10', '#GP(82)'),
  flat('INT beyond the IDT', 'int 0xff', '#GP(7fa)', { prepare: (m) => m.state.setIdtr(IDT, 0x7f7) }),
  flat('INT through a gate that is not present', 'int 0x50', '#NP(282)', { prepare: (m) => { m.gate(0x50, 3); m.setWord(IDT + 0x50 * 8 + 4, m.word(IDT + 0x50 * 8 + 4) & ~0x8000); } }),
  flat('INT through what is no gate', 'int 0x50', '#GP(282)', { prepare: (m) => { m.gate(0x50, 3, 0x12); } }),
  flat('INTO without overflow', 'into', 'none'),
  flat('INTO through a gate of ring 0', 'into', '#GP(22)', { eflags: 0xa02 }),
];

const pages: readonly Row[] = [
  flat('ring 3 reads an absent page', 'mov eax, [0x412345]', '#PF(4) 412345'),
  flat('ring 3 writes an absent page', 'mov [0x412345], al', '#PF(6) 412345'),
  flat('ring 3 reads a read-only page', 'mov eax, [0x40f000]', 'none'),
  flat('ring 3 writes a read-only page', 'mov [0x40f010], eax', '#PF(7) 40f010'),
  flat('ring 3 reads a page of the supervisor', 'mov eax, [0x413010]', '#PF(5) 413010'),
  flat('ring 3 writes a page of the supervisor', 'mov [0x413010], eax', '#PF(7) 413010'),
  flat('ring 3 reads where no page table is', 'mov eax, [0x10000000]', '#PF(4) 10000000'),
  flat('the supervisor reads an absent page', 'mov eax, [0x412345]', '#PF(0) 412345', { cpl: 0 }),
  flat('the supervisor writes an absent page', 'mov [0x412345], al', '#PF(2) 412345', { cpl: 0 }),
  flat('the supervisor writes a read-only page', 'mov [0x40f010], eax', 'none', { cpl: 0 }),
  flat('the supervisor writes a read-only page with WP', 'mov [0x40f010], eax', '#PF(3) 40f010', { cpl: 0, prepare: (m) => { m.state.cr0 |= 0x10000; } }),
  flat('TEST only reads', 'test [0x40f010], eax', 'none'),
  flat('a read-modify-write faults as a write', 'add [0x412000], eax', '#PF(6) 412000'),
  flat('CMPXCHG faults as a write, equal or not', 'cmpxchg [0x40f010], ebx', '#PF(7) 40f010'),
  flat('CMOV reads whatever the condition', 'clc\ncmovc eax, [0x412000]', '#PF(4) 412000'),
  flat('XLAT', 'xlatb', '#PF(4) 412010', { registers: { ebx: ABSENT, eax: 0x10 } }),
];

const crossings: readonly Row[] = [
  flat('a read that ends on an absent page', 'mov eax, [0x411ffe]', '#PF(4) 412000'),
  flat('a read that begins on an absent page', 'mov eax, [0x40effe]', '#PF(4) 40effe'),
  flat('a write that ends on an absent page', 'mov [0x411ffe], eax', '#PF(6) 412000'),
  flat('a word write that ends on an absent page', 'mov [0x411fff], ax', '#PF(6) 412000'),
  flat('a write that ends on a read-only page', 'mov [0x414ffd], eax', '#PF(7) 415000'),
  flat('a write that begins on a read-only page', 'mov [0x40fffe], eax', '#PF(7) 40fffe'),
  flat('ADD to memory', 'add [0x411ffd], eax', '#PF(6) 412000', { memory: { 0x411ffc: 0x12345678 } }),
  flat('INC of memory', 'inc dword [0x411ffe]', '#PF(6) 412000'),
  flat('SHL of memory', 'shl dword [0x411ffe], 3', '#PF(6) 412000'),
  flat('NEG of memory', 'neg dword [0x414ffe]', '#PF(7) 415000'),
  flat('XCHG', 'xchg [0x411ffe], eax', '#PF(6) 412000'),
  flat('XADD', 'xadd [0x411ffe], eax', '#PF(6) 412000'),
  flat('CMPXCHG', 'cmpxchg [0x411ffe], ebx', '#PF(6) 412000', { registers: { eax: 0 } }),
  flat('CMPXCHG8B over the middle', 'cmpxchg8b [0x411ffc]', '#PF(6) 412000', { registers: { eax: 0, edx: 0 } }),
  flat('CMPXCHG8B over a word', 'cmpxchg8b [0x411fff]', '#PF(6) 412000'),
  flat('BTS beyond its operand', 'bts [0x411ff0], eax', '#PF(6) 412000', { registers: { eax: 128 } }),
  flat('SETcc', 'sete [0x412000]', '#PF(6) 412000'),
  flat('PUSH', 'push eax', '#PF(6) 41fffe', { registers: { esp: STACK + 2 } }),
  flat('PUSH of an immediate on the page below', 'push 5', '#PF(6) 41fffc', { registers: { esp: STACK } }),
  flat('PUSH of memory that is absent', 'push dword [0x411ffe]', '#PF(4) 412000'),
  flat('POP', 'pop eax', '#PF(4) 422000', { registers: { esp: STACK + 0x1ffe } }),
  flat('POP to memory that is absent', 'pop dword [0x411ffe]', '#PF(6) 412000'),
  flat('POP to memory relative to ESP', 'pop dword [esp + 0x1000 - 6]', '#PF(6) 422000', { registers: { esp: STACK + 0x1000 } }),
  flat('CALL', 'call 0x440800', '#PF(6) 41fffe', { registers: { esp: STACK + 2 } }),
  flat('CALL through memory that is absent', 'call [0x412000]', '#PF(4) 412000'),
  flat('RET', 'ret', '#PF(4) 422000', { registers: { esp: STACK + 0x1ffd } }),
  flat('PUSHAD', 'pushad', '#PF(6) 41fffc', { registers: { esp: STACK + 16 } }),
  flat('POPAD', 'popad', '#PF(4) 422000', { registers: { esp: STACK + 0x1ff0 } }),
  flat('PUSHFD', 'pushfd', '#PF(6) 41fffd', { registers: { esp: STACK + 1 } }),
  flat('POPFD', 'popfd', '#PF(4) 422000', { registers: { esp: STACK + 0x1ffe }, memory: { 0x421ffc: 0x00010000 } }),
  flat('ENTER', 'enter 8, 0', '#PF(6) 41fffe', { registers: { esp: STACK + 2 } }),
  flat('ENTER whose locals reach an absent page', 'enter 32, 0', '#PF(6) 41fff0', { registers: { esp: STACK + 0x14 } }),
  flat('ENTER with nested frames', 'enter 8, 4', '#PF(6) 41fffc', { registers: { esp: STACK + 12, ebp: STACK + 0x800 } }),
  flat('ENTER whose old frames are absent', 'enter 8, 3', '#PF(4) 41fffc', { registers: { ebp: STACK + 4 } }),
  flat('LEAVE', 'leave', '#PF(4) 422000', { registers: { ebp: STACK + 0x1ffe } }),
  flat('SGDT with a base on an absent page', 'sgdt [0x411ffe]', '#PF(6) 412000'),
];

const strings: readonly Row[] = [
  flat('MOVS from an absent page', 'movsd', '#PF(4) 412000', { registers: { esi: 0x411ffe, edi: DATA } }),
  flat('MOVS to an absent page', 'movsd', '#PF(6) 412000', { registers: { esi: DATA, edi: 0x411ffe } }),
  flat('REP MOVS stops where it faults', 'rep movsd', '#PF(6) 412000', {
    iterations: true, registers: { esi: DATA, edi: 0x411ff6, ecx: 5 }, memory: { 0x410000: 0x11111111, 0x410004: 0x22222222, 0x410008: 0x33333333 },
    changed: { registers: { esi: DATA + 8, edi: 0x411ffe, ecx: 3 }, memory: { 0x411ff6: 0x11111111, 0x411ffa: 0x22222222 } },
  }),
  flat('REP STOS downwards', 'rep stosd', '#PF(7) 40fffe', {
    iterations: true, eflags: 0x602, registers: { edi: DATA + 6, ecx: 4, eax: 0x55667788 },
    changed: { registers: { edi: DATA - 2, ecx: 2 }, memory: { 0x410002: 0x55667788, 0x410006: 0x55667788 } },
  }),
  flat('REPE CMPS on its second operand', 'repe cmpsb', '#PF(4) 412000', {
    iterations: true, registers: { esi: DATA, edi: 0x411ffe, ecx: 8 }, eflags: 0x246,
    changed: { registers: { esi: DATA + 2, edi: ABSENT, ecx: 6 } },
  }),
  flat('REPNE SCAS', 'repne scasb', '#PF(4) 412000', {
    iterations: true, registers: { edi: 0x411ffc, ecx: 100, eax: 0 }, memory: { 0x411ffc: 0x01010101 }, eflags: 0x297,
    changed: { registers: { edi: ABSENT, ecx: 96 } },
  }),
  flat('REP LODS', 'rep lodsd', '#PF(4) 412000', {
    iterations: true, registers: { esi: 0x411ff8, ecx: 9 }, memory: { 0x411ff8: 1, 0x411ffc: 2 }, changed: { registers: { esi: ABSENT, ecx: 7, eax: 2 } },
  }),
  flat('a repeat count of zero touches nothing', 'rep movsd', 'none', { registers: { esi: ABSENT, edi: ABSENT, ecx: 0 } }),
];

const groups: readonly (readonly [string, readonly Row[]])[] = [
  ['segment limits and types', limitsAndTypes], ['loading segment registers', segmentLoads], ['control transfers', transfers], ['privilege', privilege],
  ['opcodes', opcodes], ['arithmetic and software interrupts', arithmeticAndInterrupts], ['pages', pages], ['accesses over pages that fault', crossings], ['string instructions', strings],
];

describe('exceptions in protected mode', () => {
  for (const [name, rows] of groups) {
    describe(name, () => {
      for (const row of rows) {
        it(`${row.title}: ${row.expect}`, () => {
          check(row);
          check(row, 'eager');
        });
      }
    });
  }

  describe('the document', () => {
    it('says so', () => {
      assert.ok(inRegions > 40, `${inRegions} rows entered a region`);
      reportSuite('faults', {
        about: 'The exception lists of the manual (SDM Vol. 2 and Vol. 3, chapter 6) as cases in protected mode: exception, error code, CR2, saved EIP, nothing changed before, and the frame that the handler '
          + 'finds, or the restart once the page is there.',
        compared: groups.flatMap(([what, rows]) => [{ what, cases: rows.length }, { what: `${what}, in regions`, cases: rows.length, again: true }]),
      });
    });
  });
});
