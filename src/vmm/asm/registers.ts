/** The registers that the assembler knows, by name, with their number in the encoding. */

export type RegisterClass = 'r8' | 'r16' | 'r32' | 'r64' | 'segment' | 'control' | 'debug' | 'x87' | 'mmx' | 'xmm';

export interface Register {
  readonly name: string;
  readonly kind: RegisterClass;
  readonly number: number;
  /** Operand size in bits. */
  readonly size: 8 | 16 | 32 | 64 | 80 | 128;
  /** Exists in 64-bit code only. */
  readonly only64: boolean;
  /** SPL to DIL are AH to BH without a REX prefix, and these cannot stand beside one. */
  readonly rex?: 'always' | 'never';
}

const list: Register[] = [];
const add = (kind: RegisterClass, size: Register['size'], names: readonly string[]) => {
  names.forEach((name, number) => {
    if (name) list.push({ name, kind, number, size, only64: number > 7 || kind === 'r64', ...(/^[a-d]h$/.test(name) ? { rex: 'never' as const } : {}) });
  });
};
const extended = (suffix: string) => Array.from({ length: 16 }, (_, number) => (number < 8 ? '' : `r${number}${suffix}`));
add('r8', 8, ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh']);
add('r16', 16, ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di']);
add('r32', 32, ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi']);
add('r64', 64, ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi']);
add('r64', 64, extended(''));
add('r32', 32, extended('d'));
add('r16', 16, extended('w'));
add('r8', 8, extended('b'));
['spl', 'bpl', 'sil', 'dil'].forEach((name, n) => list.push({ name, kind: 'r8', number: n + 4, size: 8, only64: true, rex: 'always' }));
add('segment', 16, ['es', 'cs', 'ss', 'ds', 'fs', 'gs']);
add('control', 32, ['cr0', '', 'cr2', 'cr3', 'cr4', '', '', '', 'cr8']);
add('debug', 32, ['dr0', 'dr1', 'dr2', 'dr3', 'dr4', 'dr5', 'dr6', 'dr7']);
add('x87', 80, ['st0', 'st1', 'st2', 'st3', 'st4', 'st5', 'st6', 'st7']);
add('mmx', 64, [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `mm${n}`));
add('xmm', 128, Array.from({ length: 16 }, (_, n) => `xmm${n}`));

/** Dense: the position is the register's identity inside expression values. */
export const registers: readonly Register[] = list;
const byName = new Map(list.map((register, index) => [register.name, index]));

/** Index into {@link registers}, or undefined. */
export function registerIndex(name: string): number | undefined {
  return byName.get(name.toLowerCase());
}
