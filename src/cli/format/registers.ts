/** The processor's registers as a page of text. Names and fields come from the register table. */
import type { CpuMode, RegisterSnapshot } from '../../protocol/messages';
import { addressDigits } from '../../protocol/addresses';
import { bitsOf, findRegister, segmentNames, segmentText } from '../../protocol/registers';
import { columns, hex, thousands } from './text';

/** In the order in which people read them. */
const generalOrder = ['ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp'];
const numbered = Array.from({ length: 8 }, (_, n) => `r${8 + n}`);
const modeTitles: Readonly<Record<CpuMode, string>> = {
  real: 'real mode', vm86: 'virtual-8086 mode', protected16: 'protected mode, 16-bit code', protected32: 'protected mode, 32-bit code', long: 'long mode',
};
/** The flags that instructions care about, highest first, as the letters of debuggers. */
const letters = [['OF', 'O'], ['DF', 'D'], ['IF', 'I'], ['TF', 'T'], ['SF', 'S'], ['ZF', 'Z'], ['AF', 'A'], ['PF', 'P'], ['CF', 'C']] as const;

/** `--I--Z-P-`, then IOPL, then the names of system flags that are set. */
export function flagsText(eflags: number): string {
  const fields = findRegister('eflags')?.fields ?? [];
  const bit = (name: string): boolean => fields.some((field) => field.name === name && (eflags >>> field.low) & 1);
  const shown = letters.map(([name, letter]) => (bit(name) ? letter : '-')).join('');
  const others = fields.filter(({ name, width }) => width === 1 && !letters.some(([one]) => one === name) && bit(name)).map(({ name }) => name);
  return [shown, `IOPL=${(eflags >>> 12) & 3}`, ...others].join(' ');
}

/** Names of the one-bit fields that are set: `PE WP PG`. */
function setFields(register: string, snapshot: RegisterSnapshot): string {
  const row = findRegister(register);
  const value = row?.read(snapshot) ?? 0n;
  return (row?.fields ?? []).filter(({ width, low }) => width === 1 && (value >> BigInt(low)) & 1n).map(({ name }) => name).join(' ');
}

export function registersText(snapshot: RegisterSnapshot): string {
  const value = (name: string): string => {
    const row = findRegister(name);
    return row ? hex(row.read(snapshot), bitsOf(row, snapshot) / 4) : '?';
  };
  const pair = (name: string): string => `${name.toUpperCase()} ${value(name)}`;
  const wide = snapshot.mode === 'long';
  const names = wide ? [...generalOrder.map((name) => `r${name}`), ...numbered] : generalOrder.map((name) => `e${name}`);
  const general = lines(names.map((name) => (wide ? pair(name).padEnd(20) : pair(name))), 4);
  const segments = columns(segmentNames.map((name, n) => {
    const { selector, base, limit, attributes } = snapshot.segments[n];
    return [name.toUpperCase(), hex(selector, 4), `base ${addressDigits(base)}`, `limit ${hex(limit, 8)}`, segmentText(attributes)];
  }), ['left', 'left', 'left', 'left', 'left']);
  const control = columns(['cr0', 'cr2', 'cr3', 'cr4', 'efer'].map((name) => [name.toUpperCase(), value(name), setFields(name, snapshot)])
    .filter(([name, digits]) => name !== 'EFER' || Number(`0x${digits}`) !== 0), ['left', 'left', 'left']);
  const tables = (['gdtr', 'idtr'] as const).map((name) => `${name.toUpperCase()} base ${addressDigits(snapshot[name].base)} limit ${hex(snapshot[name].limit, 4)}`).join('  ');
  return [
    general,
    `${pair(wide ? 'rip' : 'eip')}  ${pair('eflags')}  ${flagsText(snapshot.eflags)}`,
    segments,
    tables,
    control,
    ...debugRegisters(snapshot, pair),
    `${modeTitles[snapshot.mode]}, CPL ${snapshot.cpl}, after ${thousands(snapshot.instructions)} instructions`,
  ].join('\n');
}

/** So many texts to a line. */
function lines(texts: readonly string[], each: number): string {
  return Array.from({ length: Math.ceil(texts.length / each) }, (_, n) => texts.slice(n * each, (n + 1) * each).join('  ').trimEnd()).join('\n');
}

/** Only when the guest uses them: DR7 enables a breakpoint or DR6 reports one. */
function debugRegisters(snapshot: RegisterSnapshot, pair: (name: string) => string): string[] {
  const used = ((snapshot.dr[7] ?? 0) & 0xff) !== 0 || ((snapshot.dr[6] ?? 0) & 0xe00f) !== 0;
  return used ? [['dr0', 'dr1', 'dr2', 'dr3'].map(pair).join('  '), ['dr6', 'dr7'].map(pair).join('  ')] : [];
}
