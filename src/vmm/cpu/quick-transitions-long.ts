/**
 * The transitions of quick-transitions.ts in long mode: interrupts and exceptions into 64-bit code, and IRETQ between 64-bit code and 64-bit code.
 * The same contract: false when something is out of the ordinary, with nothing changed.
 */
import { canonicalNumber, highHalf } from '../mmu/types';
import type { Cpu } from './cpu';
import { Flag } from './bits';
import { CPL, EIP, GDTR_BASE, GDTR_LIMIT, GPR, IDTR_BASE, IDTR_LIMIT, Segment } from './layout';
import { attributesOf, baseOf, levelOf, limitOf } from './quick-transitions';
import { dropInnerSegments } from './segments';

/** Present, 64-bit interrupt or trap gate. */
const GATE_MASK = 0x9e00, GATE = 0x8e00;
const TRAP = 0x100;
/** Present, accessed 64-bit code that is not conforming. */
const CODE_MASK = 0x609d00, CODE = 0x209900;
/** Present, accessed, writable data. */
const DATA_MASK = 0x9b00, DATA = 0x9300;

// The remainder of a number of 48 bits is slow, its low bits are not.
const PAGE = 4096, OFFSET = 0xfff;
const RSP = 4;
const RSP_WORD = (GPR >> 2) + 2 * RSP;

/** Index in `memory.words` of the eight bytes of a GDT descriptor, or -1. */
function descriptorWord(cpu: Cpu, selector: number): number {
  const { state } = cpu;
  if ((selector & 4) !== 0 || (selector & 0xfff8) === 0 || (selector | 7) > state.u32[GDTR_LIMIT >> 2]) return -1;
  const linear = state.slot(GDTR_BASE) + (selector & 0xfff8);
  return (linear & 7) === 0 && linear < 2 ** 48 ? cpu.memory.wordToRead(linear, false) : -1;
}

/** An address from the TSS, or -1. */
function taskPointer(cpu: Cpu, at: number): number {
  const { state, memory } = cpu;
  const linear = state.base(Segment.TR) + at;
  if (at + 7 > state.limit(Segment.TR) || (linear & OFFSET) > PAGE - 8 || linear >= 2 ** 48) return -1;
  const word = memory.wordToRead(linear, false);
  return word < 0 ? -1 : canonicalNumber(memory.words[word], memory.words[word + 1]);
}

/** One delivery; `image` is RFLAGS as they are pushed, `errorCode` -1 for none. */
export function enterLongQuickly(cpu: Cpu, vector: number, software: boolean, image: number, errorCode: number): boolean {
  const { state, memory } = cpu;
  const { u32 } = state;
  const { words } = memory;
  const cpl = u32[CPL >> 2];
  const gateAt = state.slot(IDTR_BASE) + vector * 16;
  if (vector * 16 + 15 > u32[IDTR_LIMIT >> 2] || (gateAt & 15) !== 0 || gateAt >= 2 ** 48) return false;
  const gate = memory.wordToRead(gateAt, false);
  if (gate < 0) return false;
  const gateLow = words[gate], gateHigh = words[gate + 1];
  if ((gateHigh & GATE_MASK) !== GATE || (software && levelOf(gateHigh) < cpl)) return false;
  const target = canonicalNumber((gateHigh & 0xffff0000) | (gateLow & 0xffff), words[gate + 2]);

  const selector = gateLow >>> 16;
  const code = descriptorWord(cpu, selector);
  if (code < 0) return false;
  const codeLow = words[code], codeHigh = words[code + 1];
  const level = levelOf(codeHigh);
  if ((codeHigh & CODE_MASK) !== CODE || level > cpl || target < 0) return false;

  const inner = level < cpl;
  const stack = gateHigh & 7;
  const old = state.code64 ? state.address64(RSP) : state.stackPointer;
  const pointer = stack !== 0 ? taskPointer(cpu, 0x1c + 8 * stack) : inner ? taskPointer(cpu, 4 + 8 * level) : old;
  const bytes = errorCode >= 0 ? 48 : 40;
  const top = pointer - (pointer & 15) - bytes;
  // A frame within one page lies in one half of the address space.
  if (pointer < 0 || state.address64(RSP) < 0 || top < 0 || (top & OFFSET) > PAGE - bytes) return false;
  let frame = memory.wordToWrite(top, level === 3);
  if (frame < 0) return false;

  // Nothing fails from here on.
  if (errorCode >= 0) {
    words[frame] = errorCode;
    words[frame + 1] = 0;
    frame += 2;
  }
  words[frame] = u32[EIP >> 2];
  words[frame + 1] = u32[(EIP >> 2) + 1];
  words[frame + 2] = state.selector(Segment.CS);
  words[frame + 3] = 0;
  words[frame + 4] = image;
  words[frame + 5] = 0;
  words[frame + 6] = u32[RSP_WORD];
  words[frame + 7] = u32[RSP_WORD + 1];
  words[frame + 8] = state.selector(Segment.SS);
  words[frame + 9] = 0;
  cpu.setSegment(Segment.CS, (selector & 0xfffc) | level, baseOf(codeLow, codeHigh), limitOf(codeLow, codeHigh), attributesOf(codeHigh));
  if (inner) {
    cpu.setCpl(level);
    cpu.setNullSegment(Segment.SS, level);
  }
  state.rip = target;
  u32[RSP_WORD] = top;
  u32[RSP_WORD + 1] = highHalf(top);
  state.systemFlags &= ~(Flag.TF | Flag.NT | Flag.RF | Flag.VM | (gateHigh & TRAP ? 0 : Flag.IF));
  return true;
}

/** IRETQ of 64-bit code, without NT; `mask` tells the RFLAGS bits that it takes. */
export function returnLongQuickly(cpu: Cpu, mask: number): boolean {
  const { state, memory } = cpu;
  const { u32 } = state;
  const { words } = memory;
  const pointer = state.address64(RSP);
  if (!state.code64 || pointer < 0 || (pointer & OFFSET) > PAGE - 40) return false;
  const cpl = u32[CPL >> 2];
  const frame = memory.wordToRead(pointer, cpl === 3);
  if (frame < 0) return false;
  const selector = words[frame + 2] & 0xffff, flags = words[frame + 4], stackSelector = words[frame + 8] & 0xffff;
  const target = canonicalNumber(words[frame], words[frame + 1]), newPointer = canonicalNumber(words[frame + 6], words[frame + 7]);
  const level = selector & 3;
  if (level < cpl || target < 0 || newPointer < 0) return false;
  const code = descriptorWord(cpu, selector);
  if (code < 0) return false;
  const codeLow = words[code], codeHigh = words[code + 1];
  if ((codeHigh & CODE_MASK) !== CODE || levelOf(codeHigh) !== level) return false;
  const noStack = (stackSelector & 0xfffc) === 0;
  let stackLow = 0, stackHigh = 0;
  if (!noStack) {
    const stack = descriptorWord(cpu, stackSelector);
    if (stack < 0) return false;
    stackLow = words[stack];
    stackHigh = words[stack + 1];
    if ((stackHigh & DATA_MASK) !== DATA || levelOf(stackHigh) !== level || (stackSelector & 3) !== level) return false;
  } else if (level === 3) return false;

  const eflags = (flags & mask) | (state.eflags & ~mask);
  cpu.setSegment(Segment.CS, selector, baseOf(codeLow, codeHigh), limitOf(codeLow, codeHigh), attributesOf(codeHigh));
  if (level !== cpl) cpu.setCpl(level);
  state.rip = target;
  if (noStack) cpu.setNullSegment(Segment.SS, stackSelector);
  else cpu.setSegment(Segment.SS, stackSelector, baseOf(stackLow, stackHigh), limitOf(stackLow, stackHigh), attributesOf(stackHigh));
  state.setAddress64(RSP, newPointer);
  if (level !== cpl) dropInnerSegments(cpu);
  cpu.setFlags(eflags);
  return true;
}
