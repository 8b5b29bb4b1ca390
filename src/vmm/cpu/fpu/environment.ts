/**
 * The x87's images in memory: FSTENV/FLDENV, FSAVE/FRSTOR in their four formats, FXSAVE/FXRSTOR (SDM Vol. 1, 8.1.10 and 10.5.1). Everything
 * is read, or proved writable, before anything changes.
 */
import type { CalloutSite } from '../callouts';
import type { Cpu } from '../cpu';
import { Attribute, Cr4 } from '../bits';
import { generalProtection, GuestFault, Vector } from '../exceptions';
import { FPU_CS, FPU_DP, FPU_DS, FPU_IP, FPU_OPCODE, MXCSR, Segment, SEGMENTS, SEGMENT_SIZE, XMM } from '../layout';
import { fromExtended, toExtended } from './convert';
import { Kind, kindOf, type Float80 } from './format';
import type { Fpu } from './fpu';
import { Fault } from './round';

const segmentNames = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

const inLongCode = (cpu: Cpu): boolean => cpu.state.longMode && (cpu.state.attributes(Segment.CS) & Attribute.L) !== 0;

/**
 * Linear address of `bytes` bytes at an offset in a segment (given as its entry in the state page) after the segment's checks. In 64-bit code the
 * first argument of the callout is the linear address itself.
 */
function area(cpu: Cpu, offset: number, segmentEntry: number, bytes: number, write: boolean): number {
  const segment = (segmentEntry - SEGMENTS) / SEGMENT_SIZE;
  const { state } = cpu;
  if (inLongCode(cpu)) {
    const linear = state.wideAddress(0);
    if (linear >= 0) return linear;
    const reason = 'the address is not canonical';
    throw segment === Segment.SS as number ? new GuestFault(Vector.SS, 0, reason) : generalProtection(0, reason);
  }
  if (!state.segmentAllows(segment, offset >>> 0, bytes, write)) {
    const reason = `${bytes} bytes at ${segmentNames[segment]}:0x${(offset >>> 0).toString(16)} are not within the segment's limit and rights`;
    throw segment === Segment.SS as number ? new GuestFault(Vector.SS, 0, reason) : generalProtection(0, reason);
  }
  return (state.base(segment) + offset) >>> 0;
}

/** An image of guest memory, read whole or written whole. */
class MemoryImage {
  readonly view: DataView;
  private readonly bytes: Uint8Array;

  /** Addresses of 32 bits wrap. */
  private readonly wraps: boolean;

  constructor(private readonly cpu: Cpu, private readonly linear: number, length: number) {
    this.wraps = !inLongCode(cpu);
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
  }

  private get user(): boolean { return this.cpu.state.cpl === 3; }
  private at(offset: number): number { return this.wraps ? (this.linear + offset) >>> 0 : this.linear + offset; }

  load(): this {
    const { memory } = this.cpu;
    const { bytes, view } = this;
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) view.setUint32(at, memory.read(this.at(at), 4, this.user), true);
    for (; at < bytes.length; at += 2) view.setUint16(at, memory.read(this.at(at), 2, this.user), true);
    return this;
  }

  /** Throws what a store would, for a part of the image. */
  probe(from: number, to: number): void {
    for (let at = from; at < to;) {
      const length = Math.min(to - at, 4096 - (this.at(at) % 4096));
      this.cpu.memory.probeWrite(this.at(at), length, this.user);
      at += length;
    }
  }

  store(from: number, to: number): void {
    const { memory } = this.cpu;
    const { view } = this;
    let at = from;
    for (; at + 4 <= to; at += 4) memory.write(this.at(at), 4, view.getUint32(at, true), this.user);
    for (; at < to; at += 2) memory.write(this.at(at), 2, view.getUint16(at, true), this.user);
  }
}

// ---- tags ----

const enum Tag { Valid, Zero, Special, Empty }

function tagOf(value: Float80): Tag {
  switch (kindOf(value)) {
    case Kind.Zero: return Tag.Zero;
    case Kind.Normal: return Tag.Valid;
    default: return Tag.Special;
  }
}

/** The tag word: two bits for each physical register. Only whether a register is empty is kept; the rest follows from what it holds. */
export function tagWord(fpu: Fpu): number {
  let word = 0;
  for (let n = 0; n < 8; n++) word |= (fpu.emptyRegisters >> n & 1 ? Tag.Empty : tagOf(fpu.getPhysical(n))) << (2 * n);
  return word;
}

export function setTagWord(fpu: Fpu, word: number): void {
  let empty = 0;
  for (let n = 0; n < 8; n++) if ((word >> (2 * n) & 3) === Tag.Empty as number) empty |= 1 << n;
  fpu.emptyRegisters = empty;
}

// ---- environment ----

const environmentBytes = (site: CalloutSite): 14 | 28 => (site.operandSize === 16 ? 14 : 28);
/** Ten bytes for each register behind the environment. */
const REGISTER_BYTES = 10;

/** Instruction and operand pointers: protected mode has selectors, real and virtual-8086 mode a linear address and the opcode. */
function writeEnvironment(cpu: Cpu, site: CalloutSite, view: DataView): void {
  const { fpu, state } = cpu;
  const ip = state.u32[FPU_IP >> 2], dp = state.u32[FPU_DP >> 2];
  const cs = state.u32[FPU_CS >> 2], ds = state.u32[FPU_DS >> 2];
  const opcode = state.u32[FPU_OPCODE >> 2] & 0x7ff;
  const real = !cpu.protectedMode;
  const wide = site.operandSize !== 16;
  const instruction = real ? (cs * 16 + ip) >>> 0 : ip;
  const data = real ? (ds * 16 + dp) >>> 0 : dp;
  const words = real
    ? [instruction & 0xffff, (instruction >>> 16) << 12 | opcode, data & 0xffff, (data >>> 16) << 12]
    : [instruction, cs | (wide ? opcode << 16 : 0), data, ds];
  const all = [fpu.control, fpu.status, tagWord(fpu), ...words];
  // Upper halves that hold nothing read as ones.
  all.forEach((word, n) => {
    if (!wide) view.setUint16(2 * n, word, true);
    else {
      const narrow = n < 3 || (real ? n === 3 || n === 5 : n === 6);
      view.setUint32(4 * n, narrow ? (word & 0xffff) | 0xffff0000 : word, true);
    }
  });
}

function readEnvironment(cpu: Cpu, site: CalloutSite, view: DataView): void {
  const { fpu, state } = cpu;
  const wide = site.operandSize !== 16;
  const word = (n: number): number => (wide ? view.getUint32(4 * n, true) : view.getUint16(2 * n, true));
  let ip = word(3), dp = word(5), cs = 0, ds = 0;
  let opcode: number;
  if (cpu.protectedMode) {
    cs = word(4) & 0xffff;
    ds = word(6) & 0xffff;
    opcode = wide ? word(4) >>> 16 : 0;
  } else {
    ip = (ip & 0xffff) | (word(4) >>> 12) << 16;
    dp = (dp & 0xffff) | (word(6) >>> 12) << 16;
    opcode = word(4);
  }
  state.set64Slot(FPU_IP, ip >>> 0);
  state.set64Slot(FPU_DP, dp >>> 0);
  state.u32[FPU_CS >> 2] = cs;
  state.u32[FPU_DS >> 2] = ds;
  state.u32[FPU_OPCODE >> 2] = opcode & 0x7ff;
  fpu.control = word(0) & 0xffff;
  setTagWord(fpu, word(2));
  fpu.status = word(1) & 0xffff;
}

export function fpuStoreEnvironment(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const bytes = environmentBytes(site);
  const image = new MemoryImage(cpu, area(cpu, offset, segmentEntry, bytes, true), bytes);
  image.probe(0, bytes);
  writeEnvironment(cpu, site, image.view);
  image.store(0, bytes);
  cpu.fpu.control |= Fault.All;
  return 0;
}

export function fpuLoadEnvironment(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const bytes = environmentBytes(site);
  readEnvironment(cpu, site, new MemoryImage(cpu, area(cpu, offset, segmentEntry, bytes, false), bytes).load().view);
  return 0;
}

function writeExtended(view: DataView, at: number, value: Float80): void {
  const bits = toExtended(value);
  view.setBigUint64(at, BigInt.asUintN(64, bits), true);
  view.setUint16(at + 8, Number(bits >> 64n), true);
}
const readExtended = (view: DataView, at: number): Float80 => fromExtended(view.getBigUint64(at, true) | BigInt(view.getUint16(at + 8, true)) << 64n);

/** FNSAVE: ST(0) first; then everything is as FNINIT leaves it. */
export function fpuSave(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const start = environmentBytes(site);
  const bytes = start + 8 * REGISTER_BYTES;
  const image = new MemoryImage(cpu, area(cpu, offset, segmentEntry, bytes, true), bytes);
  image.probe(0, bytes);
  writeEnvironment(cpu, site, image.view);
  for (let i = 0; i < 8; i++) writeExtended(image.view, start + REGISTER_BYTES * i, cpu.fpu.get(i));
  image.store(0, bytes);
  cpu.fpu.initialize();
  return 0;
}

export function fpuRestore(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const start = environmentBytes(site);
  const bytes = start + 8 * REGISTER_BYTES;
  const { view } = new MemoryImage(cpu, area(cpu, offset, segmentEntry, bytes, false), bytes).load();
  readEnvironment(cpu, site, view);
  const { fpu } = cpu;
  for (let i = 0; i < 8; i++) fpu.setPhysical((fpu.top + i) & 7, readExtended(view, start + REGISTER_BYTES * i));
  return 0;
}

// ---- FXSAVE, FXRSTOR ----

const FX_BYTES = 512, FX_ALIGNMENT = 16;
const FX_MXCSR = 24, FX_MXCSR_MASK = 28, FX_REGISTERS = 32, FX_XMM = 160;
/** Bits of MXCSR that can be set. */
export const MXCSR_MASK = 0xffff;

function fxArea(cpu: Cpu, offset: number, segmentEntry: number, write: boolean): MemoryImage {
  const linear = area(cpu, offset, segmentEntry, FX_BYTES, write);
  if (linear % FX_ALIGNMENT !== 0) throw generalProtection(0, `FX${write ? 'SAVE' : 'RSTOR'} needs an address that is a multiple of ${FX_ALIGNMENT}`);
  return new MemoryImage(cpu, linear, FX_BYTES);
}

/** SSE registers in an image: none unless the operating system has said that it saves them. */
function xmmCount(cpu: Cpu): number {
  return !(cpu.state.cr4 & Cr4.OSFXSR) ? 0 : inLongCode(cpu) ? 16 : 8;
}

export function fpuFxSave(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const image = fxArea(cpu, offset, segmentEntry, true);
  const registers = xmmCount(cpu);
  const end = FX_XMM + 16 * registers;
  image.probe(0, FX_BYTES);
  const { fpu, state } = cpu;
  const { view } = image;
  view.setUint16(0, fpu.control, true);
  view.setUint16(2, fpu.status, true);
  view.setUint8(4, ~fpu.emptyRegisters & 0xff);
  view.setUint16(6, state.u32[FPU_OPCODE >> 2] & 0x7ff, true);
  view.setBigUint64(8, state.u64[FPU_IP >> 3], true);
  view.setBigUint64(16, state.u64[FPU_DP >> 3], true);
  // REX.W asks for whole pointers; otherwise their selectors stand above their low halves.
  if (site.operandSize !== 64) {
    view.setUint32(12, state.u32[FPU_CS >> 2], true);
    view.setUint32(20, state.u32[FPU_DS >> 2], true);
  }
  if (registers) view.setUint32(FX_MXCSR, state.u32[MXCSR >> 2], true);
  view.setUint32(FX_MXCSR_MASK, MXCSR_MASK, true);
  for (let i = 0; i < 8; i++) writeExtended(view, FX_REGISTERS + 16 * i, fpu.get(i));
  for (let n = 0; n < 2 * registers; n++) view.setBigUint64(FX_XMM + 8 * n, state.u64[(XMM >> 3) + n], true);
  image.store(0, end);
  return 0;
}

export function fpuFxRestore(cpu: Cpu, site: CalloutSite, offset: number, segmentEntry: number): number {
  const { view } = fxArea(cpu, offset, segmentEntry, false).load();
  const { fpu, state } = cpu;
  const registers = xmmCount(cpu);
  const mxcsr = view.getUint32(FX_MXCSR, true);
  if (registers && mxcsr & ~MXCSR_MASK) throw generalProtection(0, `the image has 0x${mxcsr.toString(16)} for MXCSR, with reserved bits`);
  const wide = site.operandSize === 64;
  fpu.control = view.getUint16(0, true);
  fpu.emptyRegisters = ~view.getUint8(4);
  fpu.status = view.getUint16(2, true);
  state.u32[FPU_OPCODE >> 2] = view.getUint16(6, true) & 0x7ff;
  state.u64[FPU_IP >> 3] = wide ? view.getBigUint64(8, true) : BigInt(view.getUint32(8, true));
  state.u64[FPU_DP >> 3] = wide ? view.getBigUint64(16, true) : BigInt(view.getUint32(16, true));
  state.u32[FPU_CS >> 2] = wide ? 0 : view.getUint16(12, true);
  state.u32[FPU_DS >> 2] = wide ? 0 : view.getUint16(20, true);
  for (let i = 0; i < 8; i++) fpu.setPhysical((fpu.top + i) & 7, readExtended(view, FX_REGISTERS + 16 * i));
  if (registers) state.u32[MXCSR >> 2] = mxcsr;
  for (let n = 0; n < 2 * registers; n++) state.u64[(XMM >> 3) + n] = view.getBigUint64(FX_XMM + 8 * n, true);
  return 0;
}
