/**
 * Hardware task switches, 16- and 32-bit (SDM Vol. 3, 7.2.1, 7.2.2, 7.3). Up to the commit point a fault leaves the old task as it was;
 * behind it a fault belongs to the new task and carries `afterTaskSwitch`.
 */
import { PageFault } from '../mmu/types';
import type { Cpu } from './cpu';
import { Attribute, Cr0, Dr6, Flag, SystemType } from './bits';
import {
  commitSegment, describeType, fault, findDescriptor, isCode, isConforming, isNull, isReadable, isWritableData, markAccessed, readDescriptor, rpl,
  type Descriptor,
} from './descriptors';
import { generalProtection, GuestFault, Vector } from './exceptions';
import { Segment } from './layout';
import { loadCr3 } from './pdptes';
import { tssIs32 } from './rings';
import { checkPush, currentStack, pushValues } from './stack';
import { loadVirtualSegments } from './virtual8086';

export type TaskSwitchCause = 'jump' | 'call' | 'return' | 'interrupt';

/** What an interrupt or exception adds: the EFLAGS image for the old task, and the error code for the new task's stack. */
export interface TaskEvent {
  readonly flags: number;
  readonly errorCode: number | undefined;
}

interface TssLayout {
  readonly bytes: 2 | 4;
  readonly minimumLimit: number;
  readonly eip: number;
  readonly eflags: number;
  /** Eight general registers in the encoding's order. */
  readonly general: number;
  /** ES CS SS DS, and FS GS in the 32-bit form. */
  readonly segments: number;
  readonly segmentCount: number;
  /** Distance between two selectors. */
  readonly segmentStep: number;
  readonly ldt: number;
}
const layout32: TssLayout = { bytes: 4, minimumLimit: 0x67, eip: 0x20, eflags: 0x24, general: 0x28, segments: 0x48, segmentCount: 6, segmentStep: 4, ldt: 0x60 };
const layout16: TssLayout = { bytes: 2, minimumLimit: 0x2b, eip: 0x0e, eflags: 0x10, general: 0x12, segments: 0x22, segmentCount: 4, segmentStep: 2, ldt: 0x2a };
const CR3_OFFSET = 0x1c;
const TRAP_OFFSET = 0x64;
/** DR7.L0–L3 and LE: they end with the task (SDM Vol. 3, 17.2.4). */
const LOCAL_BREAKPOINTS = 0x155;

interface TaskImage {
  readonly wide: boolean;
  readonly eip: number;
  readonly eflags: number;
  readonly general: readonly number[];
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly cr3: number;
  readonly trap: boolean;
}

/** Through a task gate (its own DPL and presence have been checked): finds and checks the TSS, then switches. */
export function switchThroughGate(cpu: Cpu, gate: Descriptor, cause: TaskSwitchCause, ext: 0 | 1, event?: TaskEvent): void {
  const selector = gate.low >>> 16;
  if (selector & 4) throw fault(Vector.GP, selector, ext, 'in a task gate points into the LDT');
  if (isNull(selector)) throw fault(Vector.GP, selector, ext, 'in a task gate is null');
  const d = readDescriptor(cpu, selector, Vector.GP, ext);
  if (!isAvailableTss(d)) throw fault(Vector.GP, selector, ext, `in a task gate is ${describeType(d.attributes)}`);
  if (!d.present) throw fault(Vector.NP, selector, ext, '(TSS) is not present');
  switchToTss(cpu, selector, d, cause, ext, event);
}

/** IRET with NT set: back to the task that the current TSS's link names. */
export function returnToLinkedTask(cpu: Cpu): void {
  const selector = cpu.memory.read(cpu.state.base(Segment.TR), 2, 'system');
  if (selector & 4 || isNull(selector)) throw fault(Vector.TS, selector, 0, '(link of the current TSS) is no GDT selector');
  const d = readDescriptor(cpu, selector, Vector.TS, 0);
  if (d.attributes & Attribute.S || (d.type & ~8) !== SystemType.TssBusy16) {
    throw fault(Vector.TS, selector, 0, `(link of the current TSS) is ${describeType(d.attributes)}, not a busy TSS`);
  }
  if (!d.present) throw fault(Vector.NP, selector, 0, '(TSS) is not present');
  switchToTss(cpu, selector, d, 'return', 0);
}

function isAvailableTss(d: Descriptor): boolean {
  return !(d.attributes & Attribute.S) && (d.type & ~8) === SystemType.TssAvailable16;
}

/** The switch itself. EIP in the state page is what the old task will go on with. */
export function switchToTss(cpu: Cpu, selector: number, d: Descriptor, cause: TaskSwitchCause, ext: 0 | 1, event?: TaskEvent): void {
  const { state, memory } = cpu;
  const next = (d.type & 8) !== 0 ? layout32 : layout16;
  if (d.limit < next.minimumLimit) throw fault(Vector.TS, selector, ext, '(TSS) has a limit too small for a task');
  const old = tssIs32(cpu) ? layout32 : layout16;
  const oldBase = state.base(Segment.TR);
  const oldSelector = state.selector(Segment.TR);
  if (state.limit(Segment.TR) < old.minimumLimit) throw fault(Vector.TS, oldSelector, ext, '(current TSS) has a limit too small for a task');

  // Everything that the switch touches must be there before anything changes.
  const oldDescriptor = (state.gdtrBase + (oldSelector & 0xfff8)) >>> 0;
  const savedBytes = old.segments + old.segmentCount * old.segmentStep - old.eip;
  memory.probeWrite((oldBase + old.eip) >>> 0, savedBytes, 'system');
  const nested = cause === 'call' || cause === 'interrupt';
  if (nested) memory.probeWrite(d.base, 2, 'system');
  else memory.probeWrite((oldDescriptor + 5) >>> 0, 1, 'system');
  if (cause !== 'return') memory.probeWrite((d.linear + 5) >>> 0, 1, 'system');
  const image = readTask(cpu, d.base, next);

  saveTask(cpu, oldBase, old, event?.flags ?? (cause === 'return' ? state.eflags & ~Flag.NT : state.eflags));
  if (!nested) setBusy(cpu, oldDescriptor, false);
  if (nested) memory.write(d.base, 2, oldSelector, 'system');
  if (cause !== 'return') setBusy(cpu, d.linear, true);

  // The commit point: from here on the new task runs, whatever happens.
  cpu.setSegment(Segment.TR, selector, d.base, d.limit, d.attributes | SystemType.TssBusy16);
  state.cr0 |= Cr0.TS;
  for (let n = 0; n < 8; n++) state.set32(n, image.wide ? image.general[n] : image.general[n] | 0xffff0000);
  state.eip = image.eip;
  state.eflags = nested ? image.eflags | Flag.NT : image.eflags;
  for (let n = Segment.ES; n <= Segment.GS; n++) cpu.setNullSegment(n, image.selectors[n]);
  cpu.setSegment(Segment.LDTR, image.ldt, 0, 0, Attribute.Unusable);
  if (state.dr(7) & LOCAL_BREAKPOINTS) {
    state.setDr(7, state.dr(7) & ~LOCAL_BREAKPOINTS);
    cpu.hooks.debugRegistersChanged();
  }
  if (image.trap) cpu.pendingDebug |= Dr6.BT;
  try {
    if (image.wide && state.cr0 & Cr0.PG) loadCr3(cpu, image.cr3);
    loadTaskSegments(cpu, image, ext);
    if (event?.errorCode !== undefined) {
      const stack = currentStack(cpu);
      checkPush(cpu, stack, 1, next.bytes, ext);
      state.stackPointer = pushValues(cpu, stack, [event.errorCode], next.bytes);
    }
    if (image.eip > state.limit(Segment.CS)) throw generalProtection(ext, 'EIP of the new task is beyond its code segment');
  } catch (error) {
    if (error instanceof GuestFault) throw new GuestFault(error.vector, error.errorCode, `in the new task: ${error.reason}`, error.linear, true);
    if (error instanceof PageFault) throw new GuestFault(Vector.PF, error.errorCode, 'page fault while loading the new task', error.linear, true);
    throw error;
  }
}

function readTask(cpu: Cpu, base: number, form: TssLayout): TaskImage {
  const at = (offset: number, bytes: 2 | 4): number => cpu.memory.read((base + offset) >>> 0, bytes, 'system');
  const wide = form === layout32;
  return {
    wide,
    eip: at(form.eip, form.bytes),
    eflags: at(form.eflags, form.bytes),
    general: Array.from({ length: 8 }, (_, n) => at(form.general + n * form.bytes, form.bytes)),
    selectors: Array.from({ length: 6 }, (_, n) => (n < form.segmentCount ? at(form.segments + n * form.segmentStep, 2) : 0)),
    ldt: at(form.ldt, 2),
    cr3: wide ? at(CR3_OFFSET, 4) : 0,
    trap: wide && (at(TRAP_OFFSET, 2) & 1) !== 0,
  };
}

function saveTask(cpu: Cpu, base: number, form: TssLayout, eflags: number): void {
  const { state, memory } = cpu;
  const put = (offset: number, bytes: 2 | 4, value: number): void =>
    memory.write((base + offset) >>> 0, bytes, bytes === 2 ? value & 0xffff : value >>> 0, 'system');
  put(form.eip, form.bytes, state.eip);
  put(form.eflags, form.bytes, eflags);
  for (let n = 0; n < 8; n++) put(form.general + n * form.bytes, form.bytes, state.get32(n));
  for (let n = 0; n < form.segmentCount; n++) put(form.segments + n * form.segmentStep, 2, state.selector(n));
}

function setBusy(cpu: Cpu, descriptor: number, busy: boolean): void {
  const at = (descriptor + 5) >>> 0;
  const byte = cpu.memory.read(at, 1, 'system');
  cpu.memory.write(at, 1, busy ? byte | 2 : byte & ~2, 'system');
}

/** Loads LDTR and the six segment registers of the new task, with the checks and error codes of SDM Vol. 3, table 7-1. */
function loadTaskSegments(cpu: Cpu, image: TaskImage, ext: 0 | 1): void {
  const { state } = cpu;
  const [es, cs, ss, ds, fs, gs] = image.selectors;
  const virtual = (state.systemFlags & Flag.VM) !== 0;
  cpu.setCpl(virtual ? 3 : rpl(cs));
  if (!isNull(image.ldt)) {
    const d = image.ldt & 4 ? undefined : findDescriptor(cpu, image.ldt);
    if (!d || d.attributes & Attribute.S || d.type !== SystemType.Ldt || !d.present) {
      throw fault(Vector.TS, image.ldt, ext, '(LDT of the task) is no present LDT');
    }
    cpu.setSegment(Segment.LDTR, image.ldt, d.base, d.limit, d.attributes);
  }
  if (virtual) {
    loadVirtualSegments(cpu, image.selectors);
    return;
  }

  if (isNull(cs)) throw fault(Vector.TS, cs, ext, '(CS) is null');
  const code = readDescriptor(cpu, cs, Vector.TS, ext);
  if (!isCode(code)) throw fault(Vector.TS, cs, ext, `(CS) is ${describeType(code.attributes)}`);
  if (isConforming(code) ? code.dpl > rpl(cs) : code.dpl !== rpl(cs)) throw fault(Vector.TS, cs, ext, `(CS) has DPL ${code.dpl}, RPL is ${rpl(cs)}`);
  if (!code.present) throw fault(Vector.NP, cs, ext, '(CS) is not present');
  markAccessed(cpu, code);
  commitSegment(cpu, Segment.CS, cs, code);

  if (isNull(ss)) throw fault(Vector.TS, ss, ext, '(SS) is null');
  const stack = readDescriptor(cpu, ss, Vector.TS, ext);
  if (!isWritableData(stack)) throw fault(Vector.TS, ss, ext, `(SS) is ${describeType(stack.attributes)}`);
  if (stack.dpl !== state.cpl || rpl(ss) !== state.cpl) throw fault(Vector.TS, ss, ext, `(SS) has DPL ${stack.dpl} and RPL ${rpl(ss)}, CPL is ${state.cpl}`);
  if (!stack.present) throw fault(Vector.SS, ss, ext, '(SS) is not present');
  markAccessed(cpu, stack);
  commitSegment(cpu, Segment.SS, ss, stack);

  const data: readonly (readonly [Segment, number])[] = [[Segment.ES, es], [Segment.DS, ds], [Segment.FS, fs], [Segment.GS, gs]];
  for (const [n, selector] of data) {
    if (isNull(selector)) continue;
    const d = readDescriptor(cpu, selector, Vector.TS, ext);
    if (!isReadable(d)) throw fault(Vector.TS, selector, ext, `is ${describeType(d.attributes)}, not readable`);
    if (!(isCode(d) && isConforming(d)) && (rpl(selector) > d.dpl || state.cpl > d.dpl)) {
      throw fault(Vector.TS, selector, ext, `has DPL ${d.dpl}, RPL is ${rpl(selector)} and CPL ${state.cpl}`);
    }
    if (!d.present) throw fault(Vector.NP, selector, ext, 'is not present');
    markAccessed(cpu, d);
    commitSegment(cpu, n, selector, d);
  }
}
