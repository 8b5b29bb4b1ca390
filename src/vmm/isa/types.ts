/**
 * The shape of one row of the instruction table. Decoder, assembler, disassembler, threaded code, hovers and conformance tests
 * are all derived from these rows; nothing else in the project knows an opcode.
 */
import type { Semantics } from './builder';

/**
 * Operand codes, as in the opcode map of the SDM (Vol. 2D, appendix A.2).
 *
 * First letter: A far pointer in the instruction, C control register (modrm.reg), D debug register (modrm.reg), E register or memory
 * (modrm.rm), G general register (modrm.reg), I immediate, J relative target, M memory only (modrm.rm), O memory offset without modrm,
 * R general register only (modrm.rm), S segment register (modrm.reg), X memory DS:rSI, Y memory ES:rDI, Z general register in the opcode.
 *
 * Vector registers: V XMM (modrm.reg), W XMM or memory (modrm.rm), U XMM only (modrm.rm), P, Q and N the same for MMX. Their second letter is the
 * width of the memory operand, and x the whole of an XMM register or 16 bytes; a register is always named whole.
 *
 * Second letter: b byte, w word, d doubleword, q quadword, x 16 bytes, v word/doubleword/quadword by operand size, z word/doubleword by operand size
 * (doubleword also in 64-bit mode), y doubleword/quadword, p far pointer 16:16/16:32 by operand size, s pseudo-descriptor (limit, base),
 * a pair of words/doublewords (BOUND), t ten bytes. `ST0`: the top of the x87 stack; `STi`: the register of the stack that modrm.rm names.
 * `M` alone: memory whose size does not matter. `Ibs`: byte immediate sign-extended to the operand size.
 */
export type OperandCode =
  | 'Ap' | 'Cd' | 'Dd'
  | 'Eb' | 'Ew' | 'Ed' | 'Eq' | 'Ev' | 'Ey'
  | 'Gb' | 'Gw' | 'Gd' | 'Gv' | 'Gy'
  | 'Ib' | 'Ibs' | 'Iw' | 'Iz' | 'Iv'
  | 'Jb' | 'Jz'
  | 'M' | 'Mb' | 'Mw' | 'Md' | 'Mq' | 'Mv' | 'My' | 'Mp' | 'Ms' | 'Ma'
  | 'Ob' | 'Ov' | 'Rd' | 'Rv' | 'Ry' | 'Sw'
  | 'Xb' | 'Xv' | 'Xz' | 'Yb' | 'Yv' | 'Yz'
  | 'Zb' | 'Zv' | 'Zd'
  | 'AL' | 'AH' | 'AX' | 'eAX' | 'CL' | 'DX' | 'rAX'
  | 'ES' | 'CS' | 'SS' | 'DS' | 'FS' | 'GS'
  | 'Vx' | 'Wx' | 'Wq' | 'Wd' | 'Ww' | 'Ux' | 'Mx' | 'Pq' | 'Qq' | 'Qd' | 'Nq' | 'XMM0'
  | 'ST0' | 'STi' | 'Mt'
  | '1' | '3';

/** CPU feature or generation that introduced an encoding. */
export type Feature = '8086' | '186' | '286' | '386' | '486' | 'pentium' | 'p6' | 'cmov' | 'cx8' | 'tsc' | 'msr' | 'sep' | 'rdpmc'
  | 'fpu' | 'fxsr' | 'mmx' | 'sse' | 'sse2' | 'sse3' | 'ssse3' | 'sse41' | 'sse42' | 'popcnt' | 'pclmul' | 'aes'
  | 'x64' | 'cx16' | 'rdtscp' | 'fsgsbase' | 'invpcid' | 'movbe' | 'prefetchw' | 'clflush' | 'smap';

/** Flag letters: O overflow, S sign, Z zero, A auxiliary carry, P parity, C carry, D direction, I interrupt, T trap, N nested task, R resume, V virtual-8086, L I/O privilege, K alignment check. */
export type FlagLetters = string;

export interface FlagEffects {
  /** Flags the instruction reads. */
  readonly reads?: FlagLetters;
  /** Flags written according to the result. */
  readonly writes?: FlagLetters;
  /** Flags always cleared. */
  readonly clears?: FlagLetters;
  /** Flags always set. */
  readonly sets?: FlagLetters;
  /** Flags whose value after the instruction the manual leaves undefined. */
  readonly undefined?: FlagLetters;
}

/**
 * Encodings are written as text and parsed once (see encoding.ts):
 *
 *     [66|F2|F3] opcode bytes  [+r] [/r | /0…/7]  : operands  [; attributes]
 *
 * e.g. `'81 /0 : Ev Iz'`, `'40+r : Zv'`, `'0F C7 /1 : Mq'`, `'98 : ; o16'`.
 * Attributes: `o16` / `o32` / `o64` only with that operand size; `a16` / `a32` / `a64` only with that address size; `d64` operand size defaults
 * to 64 in 64-bit mode; `f64` it is 64 there whatever the prefixes say; `i64` invalid in 64-bit mode; `only64` valid in 64-bit mode only;
 * `reg` / `mem` modrm.mod must be / must not be 3; `np` no 66, F2 or F3 prefix allowed; `nrep` no F2 or F3; `asm-` never chosen by the assembler
 * (a duplicate of a shorter or canonical encoding); `syntax` another way to write an encoding that is declared elsewhere: for the assembler only.
 */
export interface InstructionSpec {
  /** Lower-case NASM mnemonic. */
  readonly mnemonic: string;
  /** Further names that the assembler accepts (jz for je); the disassembler prints {@link mnemonic}. */
  readonly aliases?: readonly string[];
  /** One line for a person. */
  readonly title: string;
  readonly encodings: readonly string[];
  readonly feature?: Feature;
  readonly flags?: FlagEffects;
  /** LOCK prefix allowed when the first operand is memory. */
  readonly lock?: boolean;
  /** Mnemonic of the two instructions WAIT and this one (FSTCW: WAIT, FNSTCW). */
  readonly waiting?: string;
  /** Which repeat prefixes have meaning: 'rep' (F3, F2 alike) or 'repz' (F3 repeats while ZF=1, F2 while ZF=0). */
  readonly repeat?: 'rep' | 'repz';
  /** Operand size of a row whose operands do not tell it (movsb: 8). */
  readonly size?: 8 | 16 | 32 | 64;
  /** Who may execute it: cpl0 → #GP(0) otherwise; iopl → #GP(0) when CPL > IOPL. For documentation and the fault tests. */
  readonly privilege?: 'cpl0' | 'iopl' | 'protected';
  /** Exceptions besides those that every memory operand brings. */
  readonly exceptions?: readonly string[];
  /** Which operands the instruction writes and reads, per operand: r, w, rw, or - (address only). Default: first rw, the others r. */
  readonly access?: readonly ('r' | 'w' | 'rw' | '-')[];
  /** Registers used beyond the operands, for views ("reads ECX, EDI; writes EDI"). */
  readonly implicit?: { readonly reads?: readonly string[]; readonly writes?: readonly string[] };
  /**
   * A memory operand of 16 bytes need not be aligned (MOVUPS, LDDQU, string comparisons); others raise #GP(0) when it is not. Means nothing for
   * narrower operands.
   */
  readonly unaligned?: boolean;
  /** Frequent enough that a vector instruction's memory operand is accessed by handlers of its own, not loaded by a record before it. */
  readonly hot?: boolean;
  /** True when control does not simply go on behind the instruction: a translation unit ends here. */
  readonly ends?: boolean;
  /** What kind of control transfer it is, for the debugger's step over/out and for call stacks. */
  readonly control?: 'jump' | 'condition' | 'call' | 'return' | 'interrupt' | 'interruptReturn' | 'halt';
  readonly semantics: Semantics;
}

/** One parsed encoding: a row of the table from the decoder's point of view. */
export interface Encoding {
  /** Dense index into {@link InstructionTable.encodings}; of mere syntax meaningless. */
  readonly id: number;
  readonly instruction: InstructionSpec;
  /** The text it was declared with. */
  readonly text: string;
  /** 0: one-byte map; 1: 0F; 2: 0F 38; 3: 0F 3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  /** Low three opcode bits are a register number. */
  readonly registerInOpcode: boolean;
  readonly mandatoryPrefix: 0 | 0x66 | 0xf2 | 0xf3;
  /** 'none', 'reg' (/r), or an opcode extension digit. */
  readonly modrm: 'none' | 'reg' | number;
  /** Fixed second opcode byte that stands in the place of modrm (0F 01 C1 style), or undefined. */
  readonly modrmByte?: number;
  readonly operands: readonly OperandCode[];
  readonly operandSize?: 16 | 32 | 64;
  readonly addressSize?: 16 | 32 | 64;
  readonly defaults64: boolean;
  readonly forced64: boolean;
  readonly invalid64: boolean;
  readonly only64: boolean;
  readonly mod: 'any' | 'reg' | 'mem';
  /** A 66, F2 or F3 prefix makes it another (undefined) instruction. */
  readonly noPrefix: boolean;
  /** An F2 or F3 prefix does. */
  readonly noRepeat: boolean;
  readonly assemble: boolean;
  /** Nothing but syntax: not decoded, not executed. */
  readonly syntaxOnly: boolean;
}

export interface InstructionTable {
  readonly instructions: readonly InstructionSpec[];
  readonly encodings: readonly Encoding[];
  /** Further ways to write some of them, see `syntax` of {@link InstructionSpec}. */
  readonly syntaxes: readonly Encoding[];
  /** Rows by mnemonic and alias. */
  readonly byMnemonic: ReadonlyMap<string, readonly Encoding[]>;
}
