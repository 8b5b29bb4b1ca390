/** Turns register snapshots into the texts of the Machine view. Pure: no VS Code, no machine. */
import { extendedText } from '../../protocol/floating';
import type { PostMortem, RegisterSnapshot, RunState, SegmentSnapshot, StopReason } from '../../protocol/messages';
import { addressDigits, extendedAddress } from '../../protocol/addresses';
import { codeSize, findRegister, linearEip, segmentText } from '../../protocol/registers';
import type { FlagRow, MachineViewModel, RegisterRow, SegmentRow } from '../../protocol/views';
import { flagDefinitions, flagValue, forecast } from './eflags';

const generalNames = ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'] as const;
const generalNames64 = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', ...Array.from({ length: 8 }, (_, i) => `R${i + 8}`)];
const segmentNames = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR'] as const;

/** The order in which people read the registers, not the one of the encoding. */
const readingOrder = [0, 3, 1, 2, 6, 7, 5, 4];

const modeNames: Readonly<Record<RegisterSnapshot['mode'], string>> = {
  real: 'real mode', vm86: 'virtual-8086 mode', protected16: '16-bit protected mode', protected32: '32-bit protected mode', long: 'long mode',
};

export const hex = (value: number | bigint, digits = 8): string => value.toString(16).toUpperCase().padStart(digits, '0');
const address = (value: number): string => addressDigits(value).toUpperCase();
/** As people write it in the source: 0x1F. */
export const hexLiteral = (value: number | bigint): string => `0x${value.toString(16).toUpperCase()}`;

function readings(value: bigint, width: number): string {
  const parts = [`unsigned ${value}`];
  const signed = BigInt.asIntN(width, value);
  if (signed !== value) parts.push(`signed ${signed}`);
  const low = Number(value & 0xffn);
  if (low >= 0x20 && low < 0x7f) parts.push(`low byte '${String.fromCharCode(low)}'`);
  return parts.join(', ');
}

function segmentRow(name: string, segment: SegmentSnapshot, previous: SegmentSnapshot | undefined): SegmentRow {
  return {
    name,
    selector: hex(segment.selector, 4),
    base: addressDigits(segment.base).toUpperCase(),
    limit: hex(segment.limit >>> 0),
    kind: segmentText(segment.attributes),
    changed: previous !== undefined && (previous.selector !== segment.selector || previous.base !== segment.base
      || previous.limit !== segment.limit || previous.attributes !== segment.attributes),
  };
}

function row(name: string, value: string, previous: string | undefined, note: string): RegisterRow {
  return previous === undefined || previous === value ? { name, value, note } : { name, value, previous, note };
}

/** The x87's and SSE's registers; empty ones of the stack as such. Nothing when the machine does not tell. */
function floatingRows(now: RegisterSnapshot, before: RegisterSnapshot | undefined): RegisterRow[] {
  if (!now.fpu) return [];
  const stack = now.fpu.stack.map((_, i) => row(`ST${i}`, stackText(now, i), before?.fpu && stackText(before, i), hex(now.fpu!.stack[i], 20)));
  const named = (name: string, digits: number): RegisterRow => {
    const register = findRegister(name)!;
    const value = register.read(now);
    const set = (register.fields ?? []).map((field) => ({ field, value: value >> BigInt(field.low) & ((1n << BigInt(field.width)) - 1n) })).filter((one) => one.value !== 0n);
    const note = set.map(({ field, value: bits }) => (field.width === 1 ? field.name : `${field.name}=${bits}`)).join(' ');
    return row(name.toUpperCase(), hex(value, digits), before?.fpu && hex(register.read(before), digits), note);
  };
  return [
    ...stack, named('fcw', 4), named('fsw', 4), named('ftw', 4), named('mxcsr', 8),
    ...(now.xmm ?? []).map((_, n) => named(`xmm${n}`, 32)).slice(0, now.mode === 'long' ? 16 : 8),
  ];
}

function stackText({ fpu }: RegisterSnapshot, i: number): string {
  const physical = ((fpu!.status >> 11) + i) & 7;
  return (fpu!.tags >> (2 * physical) & 3) === 3 ? 'empty' : extendedText(fpu!.stack[i]);
}

/** Named bits of CR0, for the tooltip. */
const cr0Bits = [['PG', 31], ['CD', 30], ['NW', 29], ['AM', 18], ['WP', 16], ['NE', 5], ['TS', 3], ['EM', 2], ['MP', 1], ['PE', 0]] as const;

export interface MachineState {
  readonly program: string;
  readonly state: RunState | 'none';
  readonly status: string;
  readonly registers?: RegisterSnapshot;
  /** Registers at the stop before, for what changed. */
  readonly previous?: RegisterSnapshot;
  /** Disassembly at EIP, while paused. */
  readonly instruction?: string;
  readonly postMortem?: Omit<PostMortem, 'registers'>;
}

export function machineViewModel(machine: MachineState): MachineViewModel {
  const { registers: now, previous: before } = machine;
  const empty: MachineViewModel = {
    program: machine.program, state: machine.state, status: machine.status, mode: '',
    general: [], system: [], floating: [], flags: [], segments: [], postMortem: machine.postMortem ? postMortemLines(machine.postMortem) : [],
  };
  if (!now) return empty;
  const wide = now.mode === 'long';
  const digits = wide ? 16 : 8;
  const names = wide ? generalNames64 : generalNames;
  const order = wide ? names.map((_, i) => i) : readingOrder;
  const mask = wide ? (1n << 64n) - 1n : 0xffffffffn;
  const general = order.filter((i) => i < now.general.length).map((i) => {
    const value = now.general[i] & mask;
    return row(names[i], hex(value, digits), before && hex((before.general[i] ?? 0n) & mask, digits), readings(value, wide ? 64 : 32));
  });
  // It changes with every instruction: no news.
  general.push(row(wide ? 'RIP' : 'EIP', hex(extendedAddress(now.eip), digits), undefined, `linear address ${hexLiteral(extendedAddress(linearEip(now)))}`));
  const table = (t: { base: number; limit: number }) => `${address(t.base)}+${hex(t.limit, 4)}`;
  const system = [
    row('CR0', hex(now.cr0 >>> 0), before && hex(before.cr0 >>> 0), cr0Bits.filter(([, bit]) => (now.cr0 >>> bit) & 1).map(([name]) => name).join(' ') || 'no bit set'),
    row('CR2', address(now.cr2), before && address(before.cr2), 'Linear address of the last page fault'),
    row('CR3', hex(now.cr3), before && hex(before.cr3), 'Physical address of the outermost page table'),
    row('CR4', hex(now.cr4), before && hex(before.cr4), 'Extensions in use'),
    ...(now.efer || before?.efer ? [row('EFER', hex(now.efer), before && hex(before.efer), 'Extended features: long mode, system calls, execute-disable')] : []),
    ...(now.cr8 === undefined ? [] : [row('CR8', hex(now.cr8, 1), before?.cr8 === undefined ? undefined : hex(before.cr8, 1), 'Task priority')]),
    row('GDTR', table(now.gdtr), before && table(before.gdtr), 'Base and limit of the global descriptor table'),
    row('IDTR', table(now.idtr), before && table(before.idtr), 'Base and limit of the interrupt descriptor table'),
    row('CPL', String(now.cpl), before && String(before.cpl), 'Current privilege level'),
  ];
  const flags = flagDefinitions.map((flag): FlagRow => {
    const value = flagValue(now.eflags, flag);
    const old = before && flagValue(before.eflags, flag);
    const { name, title, definition } = flag;
    return old === undefined || old === value ? { name, title, definition, value } : { name, title, definition, value, previous: old };
  });
  const paused = machine.state === 'paused' && machine.instruction !== undefined;
  const expected = paused ? forecast(machine.instruction!, now.eflags, Number(now.general[1] & 0xffffffffn), codeSize(now) === 16 ? 16 : 32) : undefined;
  return {
    ...empty,
    mode: `${modeNames[now.mode]}, CPL ${now.cpl}`,
    ...(paused ? { location: { address: `${hex(now.segments[1].selector, 4)}:${codeSize(now) === 16 ? hex(now.eip, 4) : address(now.eip)}`, instruction: machine.instruction! } } : {}),
    ...(expected ? { forecast: expected } : {}),
    general, system, floating: floatingRows(now, before), flags,
    segments: segmentNames.map((name, i) => segmentRow(name, now.segments[i], before?.segments[i])),
  };
}

export function stopSentence(reason: StopReason): string {
  switch (reason.kind) {
    case 'entry': return 'Paused at the first instruction';
    case 'pause': return 'Paused';
    case 'step': return 'Paused after a step';
    case 'breakpoint': return 'Paused at a breakpoint';
    case 'dataBreakpoint': return `Paused after a write to ${hexLiteral(reason.address)}`;
    case 'exception': return `Paused before ${reason.name}`
      + (reason.errorCode === undefined ? '' : `, error code ${hexLiteral(reason.errorCode)}`)
      + (reason.address === undefined ? '' : `, address ${hexLiteral(reason.address)}`);
  }
}

export function postMortemLines(postMortem: Omit<PostMortem, 'registers'>): string[] {
  return [
    ...postMortem.chain.map((fault) => fault.text),
    `Gate: ${postMortem.gate}`,
    ...postMortem.lastBranches.slice(-8).map((branch) => `Branch ${address(branch.from)} → ${address(branch.to)}`),
  ];
}

/** What a value shows as beside the source: registers in hexadecimal, flags as 0 or 1; the old value when it changed. */
export function describeChange(name: string, now: bigint, before: bigint | undefined): string {
  const isFlag = findRegister(name)?.partOf === 'eflags' && name.toLowerCase() !== 'flags';
  const show = (value: bigint) => (isFlag ? String(value) : hexLiteral(value));
  const old = before !== undefined && before !== now ? ` (was ${show(before)})` : '';
  return `${isFlag ? name.toUpperCase() : name.toLowerCase()} = ${show(now)}${old}`;
}
