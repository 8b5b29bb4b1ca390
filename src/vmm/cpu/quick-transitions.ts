/**
 * Interrupts and returns as systems have them all the time: 32-bit gates and stacks, GDT descriptors whose accessed bits are set, memory that
 * the lookup tables reach, a frame within one page. Every word is read and every check made, but nothing is allocated or thrown.
 *
 * False: something is out of the ordinary and nothing has changed; the full code (deliver.ts, returns.ts) does all of it again.
 */
import type { Cpu } from './cpu';
import { Attribute, Cr0, Flag } from './bits';
import { CPL, CR0, EFER, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, SEGMENT_FIELDS, SEGMENT_SIZE, SEGMENTS, Segment, SYSTEM_FLAGS } from './layout';
import { dropInnerSegments } from './segments';
import type { CpuState } from './state';

// Upper words of descriptors: what is looked at, and how it has to look.
/** Present, 32-bit interrupt or trap gate. */
const GATE_MASK = 0x9e00, GATE32 = 0x8e00;
const TRAP = 0x100;
/** Present, accessed code that is not conforming. */
const CODE_MASK = 0x9d00, CODE = 0x9900;
/** Present, accessed, writable data with a 32-bit stack pointer that does not expand down. */
const STACK_MASK = 0x409f00, STACK = 0x409300;
/** The same of SS, in the form of the state page: S, type, B; usable. */
const STACK_ATTRIBUTES_MASK = Attribute.Unusable | Attribute.DB | Attribute.S | Attribute.Code | Attribute.ExpandDownOrConforming | Attribute.ReadWrite;
const STACK_ATTRIBUTES = Attribute.DB | Attribute.S | Attribute.ReadWrite;

const PAGE = 4096;
const EFER_LMA = 0x400;
const RSP = 4;

const segmentWord = (n: Segment, field: number): number => (SEGMENTS + n * SEGMENT_SIZE + field) >> 2;
const SS_ATTRIBUTES = segmentWord(Segment.SS, SEGMENT_FIELDS.attributes), SS_BASE = segmentWord(Segment.SS, SEGMENT_FIELDS.base);
const SS_LIMIT = segmentWord(Segment.SS, SEGMENT_FIELDS.limit), SS_SELECTOR = segmentWord(Segment.SS, SEGMENT_FIELDS.selector);
const CS_SELECTOR = segmentWord(Segment.CS, SEGMENT_FIELDS.selector);
const TR_ATTRIBUTES = segmentWord(Segment.TR, SEGMENT_FIELDS.attributes), TR_BASE = segmentWord(Segment.TR, SEGMENT_FIELDS.base);
const TR_LIMIT = segmentWord(Segment.TR, SEGMENT_FIELDS.limit);

/** 32-bit protected mode, without the special cases of virtual-8086 and long mode. */
function isOrdinary({ u32 }: CpuState): boolean {
  return (u32[CR0 >> 2] & Cr0.PE) !== 0 && (u32[SYSTEM_FLAGS >> 2] & Flag.VM) === 0 && (u32[EFER >> 2] & EFER_LMA) === 0;
}

/** Index in `memory.words` of the eight bytes of a GDT descriptor, or -1. */
function descriptorWord(cpu: Cpu, selector: number): number {
  const { u32 } = cpu.state;
  if ((selector & 4) !== 0 || (selector & 0xfff8) === 0 || (selector | 7) > u32[GDTR_LIMIT >> 2]) return -1;
  const linear = (u32[GDTR_BASE >> 2] + (selector & 0xfff8)) >>> 0;
  return (linear & 7) === 0 ? cpu.memory.wordToRead(linear, false) : -1;
}

export const baseOf = (low: number, high: number): number => ((high & 0xff000000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0;
export function limitOf(low: number, high: number): number {
  const limit = (high & 0xf0000) | (low & 0xffff);
  return (high & 0x800000 ? (limit << 12) | 0xfff : limit) >>> 0;
}
export const attributesOf = (high: number): number => (high >>> 8) & 0xf0ff;
export const levelOf = (high: number): number => (high >>> 13) & 3;

/** One delivery; `image` is EFLAGS as they are pushed, `errorCode` -1 for none. */
export function enterQuickly(cpu: Cpu, vector: number, software: boolean, image: number, errorCode: number): boolean {
  const { state, memory } = cpu;
  const { u32 } = state;
  const { words } = memory;
  if (!isOrdinary(state)) return false;
  const cpl = u32[CPL >> 2];
  const gateAt = (u32[IDTR_BASE >> 2] + vector * 8) >>> 0;
  if (vector * 8 + 7 > u32[IDTR_LIMIT >> 2] || (gateAt & 7) !== 0) return false;
  const gate = memory.wordToRead(gateAt, false);
  if (gate < 0) return false;
  const gateLow = words[gate], gateHigh = words[gate + 1];
  if ((gateHigh & GATE_MASK) !== GATE32 || (software && levelOf(gateHigh) < cpl)) return false;

  const selector = gateLow >>> 16;
  const code = descriptorWord(cpu, selector);
  if (code < 0) return false;
  const codeLow = words[code], codeHigh = words[code + 1];
  const level = levelOf(codeHigh);
  const codeLimit = limitOf(codeLow, codeHigh);
  const target = ((gateHigh & 0xffff0000) | (gateLow & 0xffff)) >>> 0;
  if ((codeHigh & CODE_MASK) !== CODE || level > cpl || target > codeLimit) return false;

  const inner = level < cpl;
  let pointer: number, base: number, limit: number, stackSelector = 0, stackHigh = 0;
  if (inner) {
    const at = level * 8 + 4;
    const stackAt = (u32[TR_BASE] + at) >>> 0;
    if ((u32[TR_ATTRIBUTES] & (Attribute.Unusable | 8)) !== 8 || at + 5 > u32[TR_LIMIT] || (stackAt & 0xfff) > PAGE - 8) return false;
    const task = memory.wordToRead(stackAt, false);
    if (task < 0) return false;
    pointer = words[task] >>> 0;
    stackSelector = words[task + 1] & 0xffff;
    const stack = descriptorWord(cpu, stackSelector);
    if (stack < 0) return false;
    const stackLow = words[stack];
    stackHigh = words[stack + 1];
    if ((stackHigh & STACK_MASK) !== STACK || levelOf(stackHigh) !== level || (stackSelector & 3) !== level) return false;
    base = baseOf(stackLow, stackHigh);
    limit = limitOf(stackLow, stackHigh);
  } else {
    if ((u32[SS_ATTRIBUTES] & STACK_ATTRIBUTES_MASK) !== STACK_ATTRIBUTES) return false;
    pointer = state.get32(RSP);
    base = u32[SS_BASE];
    limit = u32[SS_LIMIT];
  }
  const bytes = (inner ? 20 : 12) + (errorCode >= 0 ? 4 : 0);
  const top = pointer - bytes;
  const topAt = (base + top) >>> 0;
  if (top < 0 || pointer - 1 > limit || (topAt & 0xfff) > PAGE - bytes) return false;
  let frame = memory.wordToWrite(topAt, level === 3);
  if (frame < 0) return false;

  // Nothing fails from here on.
  if (errorCode >= 0) words[frame++] = errorCode;
  words[frame] = state.eip;
  words[frame + 1] = u32[CS_SELECTOR];
  words[frame + 2] = image;
  if (inner) {
    words[frame + 3] = state.get32(RSP);
    words[frame + 4] = u32[SS_SELECTOR];
    cpu.setSegment(Segment.SS, stackSelector, base, limit, attributesOf(stackHigh));
  }
  cpu.setSegment(Segment.CS, (selector & 0xfffc) | level, baseOf(codeLow, codeHigh), codeLimit, attributesOf(codeHigh));
  if (inner) cpu.setCpl(level);
  state.eip = target;
  state.set32(RSP, top);
  state.systemFlags &= ~(Flag.TF | Flag.NT | Flag.RF | (gateHigh & TRAP ? 0 : Flag.IF) | (cpu.clearVirtualInterruptFlagOnEntry ? Flag.VIF | Flag.VIP : 0));
  return true;
}

/** IRETD without NT; `mask` tells the EFLAGS bits that it takes. */
export function returnQuickly(cpu: Cpu, mask: number): boolean {
  const { state, memory } = cpu;
  const { u32 } = state;
  const { words } = memory;
  if (!isOrdinary(state) || (u32[SS_ATTRIBUTES] & STACK_ATTRIBUTES_MASK) !== STACK_ATTRIBUTES) return false;
  const cpl = u32[CPL >> 2];
  const pointer = state.get32(RSP);
  const topAt = (u32[SS_BASE] + pointer) >>> 0;
  if (pointer + 11 > u32[SS_LIMIT] || (topAt & 0xfff) > PAGE - 12) return false;
  const frame = memory.wordToRead(topAt, cpl === 3);
  if (frame < 0) return false;
  const target = words[frame] >>> 0, selector = words[frame + 1] & 0xffff, flags = words[frame + 2];
  const level = selector & 3;
  if (((flags & Flag.VM) !== 0 && cpl === 0) || level < cpl) return false;
  const code = descriptorWord(cpu, selector);
  if (code < 0) return false;
  const codeLow = words[code], codeHigh = words[code + 1];
  const codeLimit = limitOf(codeLow, codeHigh);
  if ((codeHigh & CODE_MASK) !== CODE || levelOf(codeHigh) !== level || target > codeLimit) return false;

  const outer = level > cpl;
  let newPointer = pointer + 12;
  const eflags = (flags & mask) | (state.eflags & ~mask);
  if (outer) {
    if (pointer + 19 > u32[SS_LIMIT] || (topAt & 0xfff) > PAGE - 20) return false;
    const stackSelector = words[frame + 4] & 0xffff;
    const stack = descriptorWord(cpu, stackSelector);
    if (stack < 0) return false;
    const stackLow = words[stack], stackHigh = words[stack + 1];
    if ((stackHigh & STACK_MASK) !== STACK || levelOf(stackHigh) !== level || (stackSelector & 3) !== level) return false;
    newPointer = words[frame + 3];
    cpu.setSegment(Segment.SS, stackSelector, baseOf(stackLow, stackHigh), limitOf(stackLow, stackHigh), attributesOf(stackHigh));
  }
  cpu.setSegment(Segment.CS, selector, baseOf(codeLow, codeHigh), codeLimit, attributesOf(codeHigh));
  if (outer) cpu.setCpl(level);
  state.eip = target;
  state.set32(RSP, newPointer);
  if (outer) dropInnerSegments(cpu);
  cpu.setFlags(eflags);
  return true;
}
