/**
 * The processor: its state page, the linear memory it reaches, and the board's side of it (hooks). Everything that the architecture says
 * about it is in the rooms beside this file; here are only the primitives they share, power-on, and the entry points for interrupts.
 */
import type { LinearMemory, PageFault, PagingState } from '../mmu/types';
import { Attribute, Cr0, Cr4, Flag, REAL_MODE_ATTRIBUTES, SystemType, VIRTUAL_8086_ATTRIBUTES } from './bits';
import { cpuModels, DEFAULT_CPU_MODEL, type CpuModel } from './models/models';
import { resetMsrs } from './msr';
import { readCr8 } from './control-registers';
import { deliver, raise, type DeliveryKind, type DeliveryOutcome } from './deliver';
import { debugTrap } from './debug';
import type { GuestFault } from './exceptions';
import { CONTROL_RESET, Fpu } from './fpu/fpu';
import { fpuSnapshot, type FpuSnapshot } from './fpu/snapshot';
import { APIC_BASE, COUNTERS, FPU_ACCESS, NMI_BLOCKED, Segment, STAR, STORED_MSRS, STORED_MSRS_END, SYSENTER_CS, TSC_OFFSET, XMM } from './layout';
import { CpuState, type CpuSnapshot } from './state';

export type PagingCause = 'cr0' | 'cr3' | 'cr4' | 'efer' | 'privilege' | 'code' | 'flags' | 'reset' | 'processor';

/** The processor's local APIC as its instructions see it. */
export interface ProcessorApic {
  /** IA32_APIC_BASE, IA32_TSC_DEADLINE and MSRs 800h–8FFh; undefined and false: #GP(0). */
  readMsr(address: number): bigint | undefined;
  writeMsr(address: number, value: bigint): boolean;
  /** TPR; CR8 is its bits 7:4. */
  taskPriority: number;
  /** IA32_APIC_BASE.EN: CPUID shows an APIC. */
  readonly globallyEnabled: boolean;
  readonly apicId: number;
  /** Processors of the machine, for CPUID. */
  readonly processors: number;
  /** The time-stamp counter was written. */
  timeStampChanged(): void;
}

/** What the processor asks of the machine around it. */
export interface CpuHooks {
  /** Undefined on a board without one. */
  apic(): ProcessorApic | undefined;
  /** IRET has ended the blocking of non-maskable interrupts. */
  nmiUnblocked(): void;
  /** Instructions retired, exact to the instruction inside a callout. */
  now(): number;
  portRead(port: number, bytes: 1 | 2 | 4): number;
  portWrite(port: number, bytes: 1 | 2 | 4, value: number): void;
  /**
   * The registers that paging depends on changed, or were written with the architectural effect of flushing (every MOV to CR3).
   * Also called for each change of CPL, of CS.L in long mode, and of EFLAGS.AC where it matters. The state is the processor's own, to be read at once.
   */
  setPaging(state: PagingState, cause: PagingCause): void;
  invlpg(linear: number): void;
  /** A word of a paging structure at a guest-physical address (a multiple of 4), as page walks read it. */
  readTable(address: number): number;
  /**
   * CS, SS, the form of a data segment, or the mode changed: the translation context must be interned again before the next unit.
   * May come several times within one callout: note it and act afterwards.
   */
  contextChanged(): void;
  /** DR0–DR3 or DR7 changed: see enabledBreakpoints in debug.ts. */
  debugRegistersChanged(): void;
  /**
   * One delivery of the usual form (`image` is EFLAGS as they are pushed, `errorCode` -1 for none). False: something is out of the ordinary, and nothing
   * has changed. Absent: nobody does it.
   */
  enterQuickly?(vector: number, software: boolean, image: number, errorCode: number): boolean;
  /** HLT retired (EIP is behind it). */
  halt(): void;
  /** PAUSE retires, and PAUSE_TOLD is set. */
  pause(): void;
  /**
   * FERR#: an x87 exception is pending, and CR0.NE asks for the PC's way of reporting it. True when the board answers with IGNNE#, so that
   * the processor goes on.
   */
  coprocessorError(): boolean;
  /** No x87 exception is pending any more: FERR# is withdrawn. */
  coprocessorErrorCleared(): void;
}

/** Attributes that translated code does not depend on. */
const IRRELEVANT_TO_CODE = Attribute.DplMask | Attribute.Accessed;

/** The model-specific registers and the time stamp; x87 and vector registers. */
const keptByInit = [[SYSENTER_CS, COUNTERS], [STAR, APIC_BASE], [XMM, FPU_ACCESS], [STORED_MSRS, STORED_MSRS_END]] as const;

export class Cpu {
  readonly state: CpuState;
  readonly fpu: Fpu;
  /** DR6 bits of data, I/O and task-switch traps that the present instruction earned; the engine delivers them after it with debugTrap(). */
  pendingDebug = 0;
  /**
   * Whether every entry through the IDT clears VIF and VIP behind the image that it pushes. The architecture's pseudo-code leaves them alone,
   * so that they stay set while the handler of an interrupted virtual-8086 program runs; some systems then find VIF where they do not expect it.
   */
  clearVirtualInterruptFlagOnEntry = false;

  constructor(
    /** Holds the state page (layout.ts). */
    wasmMemory: { readonly buffer: ArrayBufferLike },
    readonly memory: LinearMemory,
    readonly hooks: CpuHooks,
    readonly model: CpuModel = cpuModels[DEFAULT_CPU_MODEL],
  ) {
    this.state = new CpuState(wasmMemory);
    this.fpu = new Fpu(this.state, () => { if (!(this.state.cr0 & Cr0.NE)) this.hooks.coprocessorErrorCleared(); });
  }

  /** A non-maskable interrupt has been delivered and no IRET executed since: the next one waits (SDM Vol. 3, 6.7.1). */
  get nmiBlocked(): boolean { return this.state.u32[NMI_BLOCKED >> 2] !== 0; }
  set nmiBlocked(blocked: boolean) { this.state.u32[NMI_BLOCKED >> 2] = blocked ? 1 : 0; }

  /** CR0.PE = 1 and not virtual-8086 mode: segments come from descriptors. */
  get protectedMode(): boolean { return this.state.protectedMode; }

  /** State after RESET (SDM Vol. 3, table 9-1). */
  reset(): void {
    const { state } = this;
    state.clear();
    state.eflags = 2;
    state.eip = 0xfff0;
    state.set32(2, this.model.signature);
    for (const n of [Segment.ES, Segment.SS, Segment.DS, Segment.FS, Segment.GS]) state.setSegment(n, 0, 0, 0xffff, REAL_MODE_ATTRIBUTES);
    state.setSegment(Segment.CS, 0xf000, 0xffff0000, 0xffff, REAL_MODE_ATTRIBUTES);
    state.setSegment(Segment.LDTR, 0, 0, 0xffff, Attribute.P | SystemType.Ldt);
    state.setSegment(Segment.TR, 0, 0, 0xffff, Attribute.P | SystemType.TssBusy32);
    state.setGdtr(0, 0xffff);
    state.setIdtr(0, 0xffff);
    state.cr0 = Cr0.CD | Cr0.NW | Cr0.ET;
    this.fpu.control = CONTROL_RESET;
    state.setDr(6, 0xffff0ff0);
    state.setDr(7, 0x400);
    state.u64[TSC_OFFSET >> 3] = BigInt.asUintN(64, -BigInt(this.hooks.now()));
    resetMsrs(this);
    this.pendingDebug = 0;
    this.nmiBlocked = false;
    this.pagingChanged('reset');
    this.hooks.contextChanged();
    this.hooks.debugRegistersChanged();
  }

  /** INIT: as RESET, but the time stamp, the model-specific registers and the floating-point units keep their values (SDM Vol. 3, table 9-1). */
  init(): void {
    const { state } = this;
    const kept = keptByInit.map(([first, end]) => state.u8.slice(first, end));
    this.reset();
    keptByInit.forEach(([first], n) => state.u8.set(kept[n], first));
    state.updateFpuAccess();
  }

  /** A start-up message: real mode at the beginning of a page. */
  startUp(page: number): void {
    this.setRealModeSegment(Segment.CS, page << 8);
    this.state.eip = 0;
    this.hooks.contextChanged();
  }

  pagingChanged(cause: PagingCause): void {
    this.hooks.setPaging(this.state, cause);
  }

  setCpl(cpl: number): void {
    if (this.state.cpl === cpl) return;
    this.state.cpl = cpl;
    this.pagingChanged('privilege');
  }

  /** Commits a segment register, visible and hidden, and tells the translator when it matters to it. */
  setSegment(n: Segment, selector: number, base: number, limit: number, attributes: number): void {
    const { state } = this;
    const oldBase = state.base(n);
    const oldAttributes = state.attributes(n);
    const changed = state.limit(n) !== limit >>> 0 || ((oldAttributes ^ attributes) & ~IRRELEVANT_TO_CODE) !== 0
      || (n === Segment.CS ? oldBase !== base : (oldBase === 0) !== (base === 0));
    state.setSegment(n, selector, base, limit, attributes);
    if (changed && n < Segment.LDTR) this.hooks.contextChanged();
    if (n === Segment.CS && (oldAttributes ^ attributes) & Attribute.L && state.longMode) this.pagingChanged('code');
  }

  /** EFLAGS as POPF, IRET and their like leave them: AC may free the supervisor from SMAP, or turn alignment checks on. */
  setFlags(eflags: number): void {
    const { state } = this;
    const changed = (state.systemFlags ^ eflags) & Flag.AC;
    state.eflags = eflags;
    if (changed && (state.cr4 & Cr4.SMAP || state.cr0 & Cr0.AM)) this.pagingChanged('flags');
  }

  /** The null selector: nothing can be reached through the register. */
  setNullSegment(n: Segment, selector: number): void {
    this.setSegment(n, selector, 0, 0, Attribute.Unusable);
  }

  /**
   * Base from the selector; limit and default size stay what they were ("unreal mode" depends on it), except that a segment which
   * protected mode left unusable becomes an ordinary one. In virtual-8086 mode all of it is fixed.
   */
  setRealModeSegment(n: Segment, selector: number): void {
    if (this.state.systemFlags & Flag.VM) {
      this.setSegment(n, selector, (selector & 0xffff) << 4, 0xffff, VIRTUAL_8086_ATTRIBUTES);
      return;
    }
    const old = this.state.attributes(n);
    const usable = !(old & Attribute.Unusable);
    const attributes = REAL_MODE_ATTRIBUTES | (usable ? old & (Attribute.DB | Attribute.G) : 0);
    this.setSegment(n, selector, (selector & 0xffff) << 4, usable ? this.state.limit(n) : 0xffff, attributes);
  }

  /** Delivers one event; exceptions on the way combine into #DF and shutdown as the architecture says. EIP must be exact. */
  deliver(vector: number, kind: DeliveryKind, errorCode?: number): DeliveryOutcome {
    return deliver(this, vector, kind, errorCode);
  }
  /** Delivers a fault that an instruction threw; CR2 is set for page faults. EIP must already be the faulting instruction's. */
  raise(fault: GuestFault | PageFault): DeliveryOutcome {
    return raise(this, fault);
  }
  /** Delivers #DB as a trap after an instruction: `bits` for DR6, merged with {@link pendingDebug}. */
  debugTrap(bits: number): DeliveryOutcome {
    return debugTrap(this, bits);
  }

  snapshot(): CpuSnapshot & { readonly fpu: FpuSnapshot } {
    const snapshot = this.state.snapshot(this.hooks.now());
    return { ...snapshot, ...(snapshot.cr8 !== undefined && { cr8: readCr8(this) }), fpu: fpuSnapshot(this.fpu) };
  }
}
