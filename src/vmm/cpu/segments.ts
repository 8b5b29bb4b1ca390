/** Loading data and stack segment registers, and the instructions that only look at descriptors (VERR, VERW, LAR, LSL). */
import type { CalloutSite } from './callouts';
import type { Cpu } from './cpu';
import { Attribute, SystemType } from './bits';
import {
  commitSegment, describeType, fault, findDescriptor, isCode, isConforming, isNull, isReadable, isSegment, isWritableData, markAccessed,
  readDescriptor, rpl, type Descriptor,
} from './descriptors';
import { generalProtection, undefinedOpcode, Vector } from './exceptions';
import { Segment } from './layout';

/** Stack segment for privilege level `cpl`: MOV SS, POP SS, LSS. */
function checkStackSegment(cpu: Cpu, selector: number): Descriptor {
  const { cpl } = cpu.state;
  if (isNull(selector)) throw generalProtection(0, 'null selector for SS');
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (rpl(selector) !== cpl) throw fault(Vector.GP, selector, 0, `for SS has RPL ${rpl(selector)}, CPL is ${cpl}`);
  if (!isWritableData(d)) throw fault(Vector.GP, selector, 0, `for SS is ${describeType(d.attributes)}`);
  if (d.dpl !== cpl) throw fault(Vector.GP, selector, 0, `for SS has DPL ${d.dpl}, CPL is ${cpl}`);
  if (!d.present) throw fault(Vector.SS, selector, 0, 'for SS is not present');
  return d;
}

/** 64-bit code above level 3 needs no stack segment: a null selector of its own level will do. */
function mayBeNullStack({ state }: Cpu, selector: number): boolean {
  return isNull(selector) && state.code64 && state.cpl !== 3 && rpl(selector) === state.cpl;
}

/** DS, ES, FS, GS. */
function checkDataSegment(cpu: Cpu, selector: number): Descriptor {
  const { cpl } = cpu.state;
  const d = readDescriptor(cpu, selector, Vector.GP, 0);
  if (!isReadable(d)) throw fault(Vector.GP, selector, 0, `is ${describeType(d.attributes)}, not readable`);
  if (!(isCode(d) && isConforming(d)) && (rpl(selector) > d.dpl || cpl > d.dpl)) {
    throw fault(Vector.GP, selector, 0, `has DPL ${d.dpl}, RPL is ${rpl(selector)} and CPL ${cpl}`);
  }
  if (!d.present) throw fault(Vector.NP, selector, 0, 'is not present');
  return d;
}

/** Segment registers 0–5 as MOV, POP and LDS… load them. CS and numbers beyond GS are #UD. */
export function loadSegment(cpu: Cpu, _site: CalloutSite, n: number, value: number, shadow: number): number {
  const selector = value & 0xffff;
  if (n === Segment.CS || n > Segment.GS) throw undefinedOpcode(`segment register ${n} cannot be loaded`);
  if (!cpu.protectedMode) {
    cpu.setRealModeSegment(n, selector);
  } else if (n === Segment.SS && mayBeNullStack(cpu, selector)) {
    cpu.setNullSegment(n, selector);
  } else if (n === Segment.SS) {
    const d = checkStackSegment(cpu, selector);
    markAccessed(cpu, d);
    commitSegment(cpu, n, selector, d);
  } else if (isNull(selector)) {
    cpu.setNullSegment(n, selector);
  } else {
    const d = checkDataSegment(cpu, selector);
    markAccessed(cpu, d);
    commitSegment(cpu, n, selector, d);
  }
  if (n === Segment.SS && shadow) cpu.state.blockTrapsOnce();
  return 0;
}

/** After a return to an outer level, segments that the new level may not use become null (SDM, IRET and RET). */
export function dropInnerSegments(cpu: Cpu): void {
  const { state } = cpu;
  for (const n of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) {
    const attributes = state.attributes(n);
    if (attributes & Attribute.Unusable) continue;
    const conformingCode = (attributes & Attribute.Code) !== 0 && (attributes & Attribute.ExpandDownOrConforming) !== 0;
    if (!conformingCode && ((attributes >>> 5) & 3) < state.cpl) cpu.setNullSegment(n, 0);
  }
}

function requireProtected(cpu: Cpu, name: string): void {
  if (!cpu.protectedMode) throw undefinedOpcode(`${name} outside protected mode`);
}

/** The privilege rule shared by VERR, VERW, LAR and LSL. */
function visible(cpu: Cpu, selector: number, d: Descriptor): boolean {
  return (isCode(d) && isConforming(d)) || (cpu.state.cpl <= d.dpl && rpl(selector) <= d.dpl);
}

export function verr(cpu: Cpu, _site: CalloutSite, value: number): number {
  requireProtected(cpu, 'VERR');
  const d = isNull(value) ? undefined : findDescriptor(cpu, value & 0xffff);
  return d && isReadable(d) && visible(cpu, value, d) ? 1 : 0;
}

export function verw(cpu: Cpu, _site: CalloutSite, value: number): number {
  requireProtected(cpu, 'VERW');
  const d = isNull(value) ? undefined : findDescriptor(cpu, value & 0xffff);
  return d && isWritableData(d) && visible(cpu, value, d) ? 1 : 0;
}

const withLimit: ReadonlySet<number> = new Set([
  SystemType.TssAvailable16, SystemType.Ldt, SystemType.TssBusy16, SystemType.TssAvailable32, SystemType.TssBusy32,
]);
const withAccessRights: ReadonlySet<number> = new Set([...withLimit, SystemType.CallGate16, SystemType.TaskGate, SystemType.CallGate32]);
/** In long mode the 16-bit types and task gates do not exist. */
const withLimitLong: ReadonlySet<number> = new Set([SystemType.Ldt, SystemType.TssAvailable32, SystemType.TssBusy32]);
const withAccessRightsLong: ReadonlySet<number> = new Set([...withLimitLong, SystemType.CallGate32]);

function inspect(cpu: Cpu, value: number, systemTypes: ReadonlySet<number>): Descriptor | undefined {
  const d = isNull(value) ? undefined : findDescriptor(cpu, value & 0xffff);
  return d && (isSegment(d) || systemTypes.has(d.type)) && visible(cpu, value, d) ? d : undefined;
}

/**
 * Access rights to SCRATCH in the instruction's operand size; 1 when the selector may be looked at. Bits 19–16 are undefined in the manual;
 * processors show the limit's bits there.
 */
export function lar(cpu: Cpu, site: CalloutSite, value: number): number {
  requireProtected(cpu, 'LAR');
  const d = inspect(cpu, value, cpu.state.longMode ? withAccessRightsLong : withAccessRights);
  if (!d) return 0;
  cpu.state.setScratch(d.high & (site.operandSize === 16 ? 0xff00 : 0x00ffff00));
  return 1;
}

/** Limit in bytes to SCRATCH in the instruction's operand size; 1 when the selector may be looked at. */
export function lsl(cpu: Cpu, site: CalloutSite, value: number): number {
  requireProtected(cpu, 'LSL');
  const d = inspect(cpu, value, cpu.state.longMode ? withLimitLong : withLimit);
  if (!d) return 0;
  cpu.state.setScratch(site.operandSize === 16 ? d.limit & 0xffff : d.limit);
  return 1;
}
