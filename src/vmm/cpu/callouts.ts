/**
 * The runtime's side of an instruction that threaded code does not execute in place. A row of the instruction table names a callout;
 * the engine resolves operands, makes EIP exact, and calls it.
 */
import { aesDecrypt, aesDecryptLast, aesEncrypt, aesEncryptLast, aesInverseMix, aesKeyAssist, blockDifferences, carrylessProduct, leastWord } from './aes';
import type { Cpu } from './cpu';
import { clts, lmsw, movFromCr, movFromDr, movToCr, movToDr } from './control-registers';
import { farCall, farJump } from './far';
import { syscall, sysenter, sysexit, sysret } from './fast-calls';
import { clearInterruptFlag, debugInterrupt, popFlags, pushFlagsValue, setAlignmentFlag, setInterruptFlag, softwareInterrupt } from './flags';
import {
  fpuFxRestore, fpuFxSave, fpuLoadEnvironment, fpuRestore, fpuSave, fpuStoreEnvironment,
} from './fpu/environment';
import {
  fpuArithmetic, fpuArithmeticMemory, fpuClearExceptions, fpuCompare, fpuCompareMemory, fpuConstant, fpuControl, fpuConvert, fpuExamine, fpuExchange, fpuExtract,
  fpuFree, fpuFunctionOfTwo, fpuInitialize, fpuLoad, fpuLoadRegister, fpuMove, fpuReady, fpuRemainder, fpuRotate, fpuScale, fpuStored, fpuStoreRegister,
  fpuStoreUnchecked, fpuTest,
  fpuTrigonometric, fpuTrigonometricPair, fpuUnary,
} from './fpu/instructions';
import { comparePackedStrings } from './packed-strings';
import { portCheck, portIn, portOut } from './ports';
import { farReturn, interruptReturn } from './returns';
import { lar, loadSegment, lsl, verr, verw } from './segments';
import { sseFloat } from './sse-float';
import { unitUnavailable } from './vector-unit';
import {
  cpuid, hlt, invd, invlpg, invpcid, lgdt, lidt, lldt, ltr, pause, rdmsr, rdpmc, rdtsc, rdtscp, wbinvd, wrmsr,
} from './system';
import { divideWide } from './wide-division';

/*
 * 64-bit values. A callout's arguments and result are i32. Of an argument that is 64 bits wide in the instruction's form the low half is passed so,
 * and the whole stands at WIDE_ARGUMENTS + 8 * (position of the argument), before the callout does anything else. A result that the semantics reads
 * as 64 bits is left at WIDE_RESULT (the i32 result is then unused). Whether values are wide follows from the site: 64-bit code passes 64 bits
 * where the manual has them there.
 *
 *   callout              arguments ([wide in 64-bit code])              result
 *   farJump, farCall     selector, [offset] (site.operandSize tells how much of it counts)
 *   farReturn            bytes to release; interruptReturn: none (operand size 64: IRETQ, RETFQ)
 *   movToCr, movToDr     number (CR8 is one), [value]                   -
 *   movFromCr, movFromDr number                                         [value] at WIDE_RESULT
 *   lgdt, lidt           limit, [base]
 *   invlpg               [linear address]: may be non-canonical, which does nothing
 *   invpcid              [type], [descriptor low], [descriptor high]
 *   popFlags             [value], 8 (the operand size in bytes: 64-bit pops take 64 bits, of which the upper 32 are ignored)
 *   syscall, sysret      none; site.operandSize 64 for SYSRETQ. They check mode, EFER.SCE, privilege and RCX, and set RIP
 *   rdtscp               none
 *   setAlignmentFlag     1 for STAC, 0 for CLAC (#UD above level 0)
 *   loadSegment, lar, lsl, verr, verw, lldt, ltr, rdmsr, wrmsr, …: as ever
 *
 * SWAPGS, RDFSBASE and kin, CLFLUSH and fences are done in place, with the segments' bases and KERNEL_GS_BASE in the state page.
 *
 * In 64-bit code the RIP slot (EIP in layout.ts) is the next instruction's address, all 64 bits, while a callout runs; site.eip and site.nextEip are
 * low halves. When the callout throws, the engine takes all of RIP back. CODE_HIGH is the engine's: whoever transfers control writes RIP only, with its
 * upper half zero outside 64-bit code, and says contextChanged() when CS or EFER.LMA changed.
 */

/** What a callout knows about its instruction besides the values that the semantics passed. */
export interface CalloutSite {
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  /** EIP of the instruction and of the one behind it, truncated to the code size. */
  readonly eip: number;
  readonly nextEip: number;
}

/**
 * What an instruction's `callout(name, …)` runs. Values are i32: a callout takes them as unsigned where the manual does. EIP in the state
 * page is the next instruction's; transfers overwrite it. Faults are thrown (GuestFault, PageFault) with nothing changed; the engine then
 * takes EIP back to the instruction, unless `afterTaskSwitch` says that EIP is already another task's.
 */
export type Callout = (cpu: Cpu, site: CalloutSite, a: number, b: number, c: number) => number;

export const callouts = {
  // vector-unit.ts
  unitUnavailable,
  // sse-float.ts, packed-strings.ts, aes.ts
  sseFloat, comparePackedStrings, aesEncrypt, aesEncryptLast, aesDecrypt, aesDecryptLast, aesInverseMix, aesKeyAssist, carrylessProduct, blockDifferences, leastWord,
  // segments.ts
  loadSegment, verr, verw, lar, lsl,
  // far.ts, returns.ts
  farJump, farCall, farReturn, interruptReturn,
  // flags.ts
  setInterruptFlag, clearInterruptFlag, popFlags, pushFlagsValue, setAlignmentFlag, softwareInterrupt, debugTrap: debugInterrupt,
  // ports.ts
  portIn, portOut, portCheck,
  // wide-division.ts
  divideWide,
  // system.ts
  lgdt, lidt, lldt, ltr, invlpg, invpcid, wbinvd, invd, hlt, pause, cpuid, rdmsr, wrmsr, rdpmc, rdtsc, rdtscp,
  // control-registers.ts
  lmsw, clts, movToCr, movFromCr, movToDr, movFromDr,
  // fast-calls.ts
  sysenter, sysexit, syscall, sysret,
  // fpu/instructions.ts, fpu/environment.ts
  fpuReady, fpuArithmetic, fpuArithmeticMemory, fpuCompare, fpuCompareMemory, fpuLoad, fpuConvert, fpuStored, fpuLoadRegister, fpuStoreRegister, fpuStoreUnchecked, fpuExchange, fpuMove,
  fpuConstant, fpuUnary, fpuFunctionOfTwo, fpuScale, fpuRemainder, fpuExtract, fpuTrigonometric, fpuTrigonometricPair, fpuTest, fpuExamine, fpuControl, fpuInitialize,
  fpuClearExceptions, fpuRotate, fpuFree, fpuLoadEnvironment, fpuStoreEnvironment, fpuSave, fpuRestore, fpuFxSave, fpuFxRestore,
} as const satisfies Readonly<Record<string, Callout>>;

export type CalloutName = keyof typeof callouts;
