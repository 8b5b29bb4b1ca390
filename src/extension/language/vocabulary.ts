/** The words of NASM-syntax assembly besides mnemonics, with one line about each: the rows behind grammar, completion and hovers. */
import { registers, type Register } from '../../vmm/asm/registers';

export interface Word {
  readonly name: string;
  readonly help: string;
  /** What completion inserts, as a snippet; the name when absent. */
  readonly snippet?: string;
}

export const dataDirectives: readonly Word[] = [
  { name: 'db', help: 'Bytes: numbers, strings.' }, { name: 'dw', help: 'Words of 16 bits.' }, { name: 'dd', help: 'Doublewords of 32 bits.' },
  { name: 'dq', help: 'Quadwords of 64 bits.' }, { name: 'dt', help: 'Ten-byte floating-point numbers.' },
  { name: 'resb', help: 'Reserves bytes.' }, { name: 'resw', help: 'Reserves words.' }, { name: 'resd', help: 'Reserves doublewords.' },
  { name: 'resq', help: 'Reserves quadwords.' }, { name: 'rest', help: 'Reserves ten-byte units.' },
  { name: 'equ', help: 'Gives the label on this line a constant value.' },
  { name: 'times', help: 'Repeats what follows: times 510-($-$$) db 0.', snippet: 'times ${1:count} ${2:db 0}' },
  { name: 'incbin', help: 'Puts a file\'s bytes here: incbin "file" [, skip [, length]].', snippet: 'incbin "${1:file}"' },
];

export const directives: readonly Word[] = [
  { name: 'bits', help: 'Code size of what follows: 16, 32 or 64.', snippet: 'bits ${1|16,32,64|}' },
  { name: 'use16', help: 'The same as bits 16.' }, { name: 'use32', help: 'The same as bits 32.' }, { name: 'use64', help: 'The same as bits 64.' },
  { name: 'org', help: 'Address at which a flat binary is loaded; a boot sector: 0x7C00.', snippet: 'org ${1:0x7c00}' },
  { name: 'section', help: 'Goes on in the named section: .text, .data, .bss.', snippet: 'section ${1|.text,.data,.bss,.rodata|}' },
  { name: 'segment', help: 'The same as section.' },
  { name: 'absolute', help: 'Labels count from an address; nothing is put into the output.' },
  { name: 'global', help: 'Makes a symbol visible to other object files.' }, { name: 'extern', help: 'Declares a symbol of another object file.' },
  { name: 'common', help: 'Declares a common variable.' }, { name: 'static', help: 'Declares a symbol of this file.' },
  { name: 'align', help: 'Fills up to a multiple of a power of two: align 16 [, db 0].' }, { name: 'alignb', help: 'Reserves up to a multiple of a power of two.' },
  { name: 'sectalign', help: 'Switches section alignment by align on or off.' },
  { name: 'struc', help: 'Begins a structure: its labels are offsets.', snippet: 'struc ${1:name}\n  ${2:.field} resb 1\nendstruc' }, { name: 'endstruc', help: 'Ends a structure.' },
  { name: 'istruc', help: 'Begins an instance of a structure.' }, { name: 'at', help: 'Puts data at a structure\'s offset.' }, { name: 'iend', help: 'Ends an instance of a structure.' },
  { name: 'cpu', help: 'Names the processor generation.' }, { name: 'default', help: 'Sets defaults: rel, abs.' },
  { name: 'warning', help: 'Switches warnings on or off.' }, { name: 'required', help: 'Demands an assembler feature.' }, { name: 'debug', help: 'Passes text to the debug format.' },
  { name: 'list', help: 'Switches the listing on or off.' }, { name: 'float', help: 'Options of floating-point numbers.' },
];

export const preprocessorDirectives: readonly Word[] = [
  { name: '%define', help: 'Single-line macro, expanded when used.', snippet: '%define ${1:NAME} ${2:value}' },
  { name: '%xdefine', help: 'Single-line macro, its body expanded now.', snippet: '%xdefine ${1:NAME} ${2:value}' },
  { name: '%idefine', help: '%define whose name ignores case.' }, { name: '%ixdefine', help: '%xdefine whose name ignores case.' },
  { name: '%assign', help: 'Single-line macro with a number as its value.', snippet: '%assign ${1:name} ${2:0}' }, { name: '%iassign', help: '%assign whose name ignores case.' },
  { name: '%undef', help: 'Forgets a single-line macro.' }, { name: '%defstr', help: 'Single-line macro whose value becomes a string.' }, { name: '%deftok', help: 'Single-line macro from a string\'s text.' },
  { name: '%macro', help: 'Multi-line macro: %macro name parameters … %endmacro; %1 is the first parameter, %%x a label of the call.', snippet: '%macro ${1:name} ${2:0}\n  $0\n%endmacro' },
  { name: '%imacro', help: '%macro whose name ignores case.' }, { name: '%rmacro', help: 'Macro that may call itself.' }, { name: '%irmacro', help: '%rmacro whose name ignores case.' },
  { name: '%endmacro', help: 'Ends a multi-line macro.' }, { name: '%endm', help: 'The same as %endmacro.' }, { name: '%unmacro', help: 'Forgets a multi-line macro.' }, { name: '%unimacro', help: '%unmacro whose name ignores case.' },
  { name: '%exitmacro', help: 'Leaves the macro being expanded.' }, { name: '%rotate', help: 'Rotates a macro\'s parameters.' },
  { name: '%rep', help: 'Repeats the lines up to %endrep.', snippet: '%rep ${1:count}\n  $0\n%endrep' }, { name: '%endrep', help: 'Ends %rep.' }, { name: '%exitrep', help: 'Leaves %rep.' },
  { name: '%if', help: 'Assembles the lines up to %else or %endif when the expression is not zero.', snippet: '%if ${1:expression}\n  $0\n%endif' },
  { name: '%elif', help: 'Another condition of %if.' }, { name: '%else', help: 'The other branch of %if.' }, { name: '%endif', help: 'Ends %if.' },
  { name: '%ifdef', help: 'Like %if: the single-line macro exists.', snippet: '%ifdef ${1:NAME}\n  $0\n%endif' }, { name: '%ifndef', help: 'Like %if: the single-line macro does not exist.', snippet: '%ifndef ${1:NAME}\n  $0\n%endif' },
  { name: '%ifmacro', help: 'Like %if: the multi-line macro exists.' }, { name: '%ifidn', help: 'Like %if: two texts are the same.' }, { name: '%ifidni', help: '%ifidn that ignores case.' },
  { name: '%ifid', help: 'Like %if: the text is a name.' }, { name: '%ifnum', help: 'Like %if: the text is a number.' }, { name: '%ifstr', help: 'Like %if: the text is a string.' },
  { name: '%include', help: 'Reads another file here.', snippet: '%include "${1:file.inc}"' }, { name: '%use', help: 'Takes in a standard macro package.' },
  { name: '%strlen', help: 'Length of a string.' }, { name: '%strcat', help: 'Joins strings.' }, { name: '%substr', help: 'Part of a string.' },
  { name: '%push', help: 'Opens a context for %$ labels.' }, { name: '%pop', help: 'Closes a context.' }, { name: '%repl', help: 'Renames the context.' },
  { name: '%error', help: 'Reports an error.' }, { name: '%warning', help: 'Reports a warning.' }, { name: '%fatal', help: 'Reports an error and stops.' }, { name: '%note', help: 'Reports a note.' },
  { name: '%line', help: 'Sets the line number for messages.' }, { name: '%pragma', help: 'Options for other tools.' }, { name: '%clear', help: 'Forgets macros.' }, { name: '%depend', help: 'Names a file for dependency lists.' },
];

export const operators: readonly Word[] = [
  { name: 'byte', help: 'The memory operand has 8 bits.' }, { name: 'word', help: 'The memory operand has 16 bits.' }, { name: 'dword', help: 'The memory operand has 32 bits.' },
  { name: 'qword', help: 'The memory operand has 64 bits.' }, { name: 'tword', help: 'The memory operand has 80 bits.' },
  { name: 'short', help: 'The jump\'s distance fits a byte.' }, { name: 'near', help: 'Target in this segment.' }, { name: 'far', help: 'Target with a segment selector.' },
  { name: 'strict', help: 'Keeps the operand size that is written.' }, { name: 'seg', help: 'Segment of a symbol.' }, { name: 'wrt', help: 'Offset with respect to a segment.' },
  { name: 'ptr', help: 'Allowed for other assemblers\' sake.' }, { name: 'rel', help: 'Address relative to RIP.' }, { name: 'abs', help: 'Absolute address.' }, { name: 'nosplit', help: 'Keeps the form of the address that is written.' },
];

export const prefixes: readonly Word[] = [
  { name: 'rep', help: 'Repeats a string instruction rCX times.' }, { name: 'repe', help: 'Repeats while equal (ZF=1), at most rCX times.' }, { name: 'repz', help: 'The same as repe.' },
  { name: 'repne', help: 'Repeats while not equal (ZF=0), at most rCX times.' }, { name: 'repnz', help: 'The same as repne.' },
  { name: 'lock', help: 'Makes a read-modify-write of memory atomic.' },
  { name: 'o16', help: 'Operand size of 16 bits.' }, { name: 'o32', help: 'Operand size of 32 bits.' }, { name: 'o64', help: 'Operand size of 64 bits.' },
  { name: 'a16', help: 'Address size of 16 bits.' }, { name: 'a32', help: 'Address size of 32 bits.' }, { name: 'a64', help: 'Address size of 64 bits.' },
];

/** Names of registers that the assembler takes, and those of later processors so that the grammar does not show them as labels. */
const laterRegisters = [
  'rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'rip', 'eip', 'spl', 'bpl', 'sil', 'dil',
  ...Array.from({ length: 8 }, (_, i) => ['', 'd', 'w', 'b'].map((suffix) => `r${i + 8}${suffix}`)).flat(),
  ...Array.from({ length: 8 }, (_, i) => [`st${i}`, `mm${i}`, `xmm${i}`]).flat(),
];
export const registerNames: readonly string[] = registers.map((register) => register.name);
export const highlightedRegisters: readonly string[] = [...new Set([...registerNames, ...laterRegisters])];

const registerTitles: Readonly<Record<string, string>> = {
  a: 'accumulator', c: 'counter', d: 'data', b: 'base', sp: 'stack pointer', bp: 'frame base', si: 'string source', di: 'string destination',
  es: 'Extra segment: destination of string instructions', cs: 'Code segment: its low bits are the CPL', ss: 'Stack segment', ds: 'Data segment: what memory operands use by default',
  fs: 'Extra segment', gs: 'Extra segment', cr0: 'Control register 0: PE, WP, PG and others', cr2: 'Control register 2: linear address of the last page fault',
  cr3: 'Control register 3: physical address of the page directory', cr4: 'Control register 4: extensions in use', cr8: 'Control register 8: task priority',
};

/** One line about a register; undefined for other words. */
export function registerHelp(name: string): string | undefined {
  const lower = name.toLowerCase();
  const register = registers.find((one) => one.name === lower);
  if (!register) return undefined;
  if (register.kind === 'segment' || register.kind === 'control') return registerTitles[lower];
  if (register.kind === 'debug') return register.number < 4 ? `Debug register ${register.number}: address of a breakpoint` : `Debug register ${register.number}`;
  if (register.kind === 'x87') return `x87 stack register ${register.number}${register.number === 0 ? ': the top of the stack' : ''}`;
  if (register.kind === 'mmx') return `MMX register ${register.number}: the significand of an x87 register`;
  if (register.kind === 'xmm') return `SSE register ${register.number}`;
  if (register.only64) return titleOf64(register);
  const stem = lower.replace(/^e(?=..$)/, '');
  const title = registerTitles[stem] ?? registerTitles[stem[0]];
  const part = { 8: lower.endsWith('h') ? 'bits 8–15 of' : 'low byte of', 16: 'low half of', 32: '' }[register.size as 8 | 16 | 32];
  const whole = register.size === 8 ? `E${stem[0].toUpperCase()}X` : `E${stem.toUpperCase()}`;
  return part ? `${part[0].toUpperCase()}${part.slice(1)} ${whole} (${title})` : `General register: ${title}`;
}

/** Registers of 64-bit code: RAX to R15, their parts, and the low bytes that need a REX prefix. */
function titleOf64({ number, size }: Register): string {
  const stem = ['a', 'c', 'd', 'b', 'sp', 'bp', 'si', 'di'][number];
  const whole = number < 8 ? `R${number < 4 ? `${stem.toUpperCase()}X` : stem.toUpperCase()}` : `R${number}`;
  const title = number < 8 ? registerTitles[stem] ?? registerTitles[`${stem}x`] ?? stem.toUpperCase() : `general register ${number}`;
  const part = { 8: 'Low byte of', 16: 'Bits 0–15 of', 32: 'Low half of', 64: '' }[size as 8 | 16 | 32 | 64];
  return part ? `${part} ${whole} (${title})` : `General register, 64 bits: ${title}`;
}
