/**
 * What the table says about an instruction, for people: hovers, completion details, documentation. One {@link Explanation} per row,
 * as plain data and as Markdown.
 */
import type { Encoding, Feature, InstructionSpec, InstructionTable, OperandCode } from '../isa/types';
import { flagNames } from './operands';

export interface InstructionForm {
  /** Opcode as the manual writes it: `81 /0`. */
  readonly opcode: string;
  /** `add r/m16/32, imm16/32`. */
  readonly syntax: string;
}

export interface FlagExplanation {
  readonly name: string;
  /** Full name: carry flag. */
  readonly title: string;
  readonly effect: 'read' | 'by result' | 'cleared' | 'set' | 'undefined';
}

export interface Explanation {
  readonly mnemonic: string;
  readonly aliases: readonly string[];
  readonly title: string;
  /** Without encodings that only duplicate another one. */
  readonly forms: readonly InstructionForm[];
  /** A flag that is read and written has two entries. */
  readonly flags: readonly FlagExplanation[];
  /** Registers used besides the operands, as the table names them (rCX: CX, ECX or RCX by size). */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Most specific first. */
  readonly exceptions: readonly string[];
  /** Who may execute it; undefined: everyone. */
  readonly privilege?: string;
  /** The first processor, or the CPUID feature, that has it. */
  readonly since: string;
}

const featureTitles: Readonly<Record<Feature, string>> = {
  8086: '8086', 186: '80186', 286: '80286', 386: '80386', 486: '80486', pentium: 'Pentium', p6: 'Pentium Pro (P6)',
  cmov: 'CPUID feature CMOV', cx8: 'CPUID feature CX8', tsc: 'CPUID feature TSC', msr: 'CPUID feature MSR', sep: 'CPUID feature SEP',
  rdpmc: 'Pentium MMX, Pentium Pro', fpu: 'x87 (CPUID feature FPU)', fxsr: 'CPUID feature FXSR', mmx: 'CPUID feature MMX',
  sse: 'CPUID feature SSE', sse2: 'CPUID feature SSE2', sse3: 'CPUID feature SSE3',
  ssse3: 'CPUID feature SSSE3', sse41: 'CPUID feature SSE4.1', sse42: 'CPUID feature SSE4.2', popcnt: 'CPUID feature POPCNT',
  pclmul: 'CPUID feature PCLMULQDQ', aes: 'CPUID feature AES',
  x64: '64-bit mode', cx16: 'CPUID feature CMPXCHG16B', rdtscp: 'CPUID feature RDTSCP', fsgsbase: 'CPUID feature FSGSBASE',
  invpcid: 'CPUID feature INVPCID', movbe: 'CPUID feature MOVBE', prefetchw: 'CPUID feature PREFETCHW', clflush: 'CPUID feature CLFSH', smap: 'CPUID feature SMAP',
};

const flagTitles: Readonly<Record<string, string>> = {
  O: 'overflow', S: 'sign', Z: 'zero', A: 'auxiliary carry', P: 'parity', C: 'carry', D: 'direction', I: 'interrupt enable', T: 'trap',
  N: 'nested task', R: 'resume', V: 'virtual-8086 mode', L: 'I/O privilege level', K: 'alignment check',
};

const privileges: Readonly<Record<NonNullable<InstructionSpec['privilege']>, { readonly title: string; readonly exception: string }>> = {
  cpl0: { title: 'privilege level 0 only', exception: '#GP(0) if CPL > 0' },
  iopl: { title: 'CPL ≤ IOPL', exception: '#GP(0) if CPL > IOPL; for ports, unless the TSS permits them' },
  protected: { title: 'protected mode only', exception: '#UD in real-address and virtual-8086 mode' },
};

const sizes: Readonly<Record<string, string>> = { b: '8', w: '16', d: '32', q: '64', v: '16/32', z: '16/32', y: '32', s: '16&32', a: '16&16/32&32', t: '80', x: '128', p: '16:16/32' };

const wholeNames: Partial<Record<OperandCode, string>> = {
  Ap: 'ptr16:16/32', Cd: 'cr0–cr4', Dd: 'dr0–dr7', Ibs: 'imm8', Jb: 'rel8', Jz: 'rel16/32', M: 'm', Sw: 'sreg', ST0: 'st0', STi: 'st(i)', Vx: 'xmm', Ux: 'xmm', XMM0: 'xmm0', Pq: 'mm', Nq: 'mm', eAX: 'ax/eax', rAX: 'ax/eax',
};

/** Manual's notation of an operand code: `r/m16/32`. */
export function operandSyntax(code: OperandCode): string {
  const whole = wholeNames[code];
  if (whole) return whole;
  // Registers by name and constants have no size letter.
  const size = sizes[code[1]];
  if (!size) return code.toLowerCase();
  switch (code[0]) {
    case 'E': return `r/m${size}`;
    case 'G': case 'R': case 'Z': return `r${size}`;
    case 'I': return `imm${size}`;
    case 'W': return `xmm/m${size}`;
    case 'Q': return `mm/m${size}`;
    case 'M': return `m${size}`;
    case 'O': return `moffs${size}`;
    case 'X': return `m${size} at ds:rSI`;
    case 'Y': return `m${size} at es:rDI`;
    default: return code.toLowerCase();
  }
}

function form(encoding: Encoding): InstructionForm {
  const text = encoding.operands.map(operandSyntax).join(', ');
  return { opcode: encoding.text.split(':')[0].trim(), syntax: text ? `${encoding.instruction.mnemonic} ${text}` : encoding.instruction.mnemonic };
}

function flagsOf(spec: InstructionSpec): FlagExplanation[] {
  const { flags } = spec;
  const list = (letters: string | undefined, effect: FlagExplanation['effect']): FlagExplanation[] =>
    [...letters ?? ''].map((letter) => ({ name: flagNames[letter].toUpperCase(), title: flagTitles[letter], effect }));
  return [...list(flags?.reads, 'read'), ...list(flags?.writes, 'by result'), ...list(flags?.clears, 'cleared'), ...list(flags?.sets, 'set'),
    ...list(flags?.undefined, 'undefined')];
}

function exceptionsOf(spec: InstructionSpec, encodings: readonly Encoding[]): string[] {
  const found = [...spec.exceptions ?? []];
  if (spec.privilege) found.push(privileges[spec.privilege].exception);
  const accesses = (e: Encoding): boolean => e.operands.some((code, n) => /^[EMOWQ]|^[XY][bvz]/.test(code) && e.mod !== 'reg' && spec.access?.[n] !== '-');
  if (spec.repeat || encodings.some(accesses)) {
    found.push('#SS(0) or #GP(0) if a memory operand is outside its segment or the segment does not allow the access', '#PF for a page fault',
      '#AC(0) for an unaligned access at CPL 3 with alignment checks on');
  }
  found.push(spec.lock ? '#UD with LOCK unless the destination is memory' : '#UD with LOCK');
  return found;
}

export function explain(table: InstructionTable, spec: InstructionSpec): Explanation {
  const encodings = [...table.encodings, ...table.syntaxes].filter((e) => e.instruction === spec);
  const shown = encodings.filter((e) => e.assemble);
  return {
    mnemonic: spec.mnemonic, aliases: spec.aliases ?? [], title: spec.title,
    forms: (shown.length ? shown : encodings).map(form),
    flags: flagsOf(spec),
    reads: spec.implicit?.reads ?? [], writes: spec.implicit?.writes ?? [],
    exceptions: exceptionsOf(spec, encodings),
    privilege: spec.privilege && privileges[spec.privilege].title,
    since: featureTitles[spec.feature ?? '8086'],
  };
}

/** Every row that a mnemonic or alias may mean; empty when there is none. */
export function explainMnemonic(table: InstructionTable, name: string): Explanation[] {
  const rows = new Set((table.byMnemonic.get(name.toLowerCase()) ?? []).map((e) => e.instruction));
  return [...rows].map((spec) => explain(table, spec));
}

/** A hover's text. */
export function explanationMarkdown(e: Explanation): string {
  const names = (effect: FlagExplanation['effect']): string => e.flags.filter((f) => f.effect === effect).map((f) => f.name).join(' ');
  const flagText = ([['read', 'read'], ['by result', 'written'], ['cleared', 'cleared'], ['set', 'set'], ['undefined', 'undefined']] as const)
    .map(([effect, title]) => (names(effect) ? `${title} ${names(effect)}` : '')).filter(Boolean).join('; ');
  const lines = [
    `**${e.mnemonic.toUpperCase()}**${e.aliases.length ? ` (${e.aliases.join(', ')})` : ''}: ${e.title}`,
    '',
    '```',
    ...e.forms.map((f) => `${f.syntax.padEnd(32)} ${f.opcode}`.trimEnd()),
    '```',
    '',
    `Flags: ${flagText || 'none read or changed'}`,
  ];
  if (e.reads.length) lines.push('', `Also reads: ${e.reads.join(', ')}`);
  if (e.writes.length) lines.push('', `Also writes: ${e.writes.join(', ')}`);
  if (e.privilege) lines.push('', `Allowed: ${e.privilege}`);
  lines.push('', 'Exceptions:', ...e.exceptions.map((text) => `- ${text}`), '', `Since: ${e.since}`);
  return lines.join('\n');
}
