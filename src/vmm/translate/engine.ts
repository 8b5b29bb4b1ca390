/**
 * The engine: runs a processor's guest code as threaded code for an exact number of instructions. It owns the generated module's instance,
 * serves its imports (translator, memory slow paths, callouts), and turns its exits into values. What to do about an exit (deliver the
 * fault, take an interrupt, stop for the debugger) is the machine's business.
 */
import { Flag } from '../cpu/bits';
import { callouts, type Callout, type CalloutName, type CalloutSite } from '../cpu/callouts';
import { Cpu, type CpuHooks, type ProcessorApic } from '../cpu/cpu';
import { hexAddress } from '../cpu/descriptors';
import { generalProtection, GuestFault, Vector } from '../cpu/exceptions';
import { cpuModels, DEFAULT_CPU_MODEL, type CpuModel } from '../cpu/models/models';
import {
  BRANCH_RING, BRANCH_RING_ENTRIES, BRANCH_RING_NEXT, BUDGET, CODE_HIGH, CONTEXT, CPL, CR0, DR, EIP, EXIT_REASON, EXIT_RECORD, FAULT_ERROR, FAULTS_DELIVERED,
  FAULT_VECTOR, INTERRUPT_MAY_WAIT, PORT_LATCHES, PORT_LATCHES_MOST, REGION_EXACT, RETIRED, RUN_BUDGET, SCRATCH, Segment, SEGMENTS, SEGMENT_SIZE, VECTOR_TABLES,
} from '../cpu/layout';
import { counterAddress, type CounterId } from '../cpu/counters';
import { Decoder } from '../decode/decoder';
import { table } from '../isa/table';
import type { Mmu } from '../mmu/mmu';
import { highHalf, linearNumber, PageFault, type AccessBytes } from '../mmu/types';
import { ContextTable, isLongCode, type Cut, type TranslationContext } from './context';
import { generateThreadedModule, type HandlerForm, type ThreadedModule } from './handlers';
import { AccessSegment, Exit, RecordField, UNIT_CAP } from './record';
import { RecordWriter } from './record-writer';
import type { RegionCompiler } from './region-job';
import { regionPolicies, Regions, type ThreadedExports, type TranslationMode } from './regions';
import { instantiateTransitions, quickCallouts, type QuickCallout, type Transitions } from './transitions';
import { CacheFull, Translator } from './translator';
import { writeVectorTables } from './vector-tables';

export type EngineExit =
  /** The instructions were retired, or the machine asked to look (see {@link Engine.yield}). */
  | { readonly kind: 'ran' }
  /** A fault of the instruction at EIP; not delivered yet. */
  | { readonly kind: 'fault'; readonly fault: GuestFault | PageFault }
  /** EIP is at an address of setBreakpoints; the instruction has not run. */
  | { readonly kind: 'breakpoint'; readonly linear: number };

/** What the engine needs from the board. */
export interface EngineHooks {
  portRead(port: number, bytes: 1 | 2 | 4): number;
  portWrite(port: number, bytes: 1 | 2 | 4, value: number): void;
  /** The byte that the port is read as stays what it is until the next write to a port, and its reading has no effect. */
  portLatched?(port: number): boolean;
  halt(): void;
  /** A processor spins while others could run; absent where there are none. */
  pause?(): void;
  /** See CpuHooks.coprocessorError; absent: nobody answers. */
  coprocessorError?(): boolean;
  coprocessorErrorCleared?(): void;
  debugRegistersChanged(): void;
  /** An external interrupt is waiting at the processor. */
  interruptRequested(): boolean;
  apic?(): ProcessorApic | undefined;
  nmiUnblocked?(): void;
  /** A fault of the instruction at EIP: true when it has been delivered, which takes one tick of the clock, and the run may go on. */
  faultRaised?(fault: GuestFault | PageFault): boolean;
  /** Whether page faults may be delivered without {@link faultRaised}, as long as the run goes on. */
  deliversFaults?(): boolean;
  /** INT3, INTO or INT1 is about to enter its handler: true to have it reported as a fault instead, with nothing done. */
  stopsAt(vector: number): boolean;
}

export interface EngineOptions {
  /** Less than the whole translation cache, for tests. */
  readonly cacheBytes?: number;
  readonly translation?: TranslationMode;
  /** Writes regions in a thread of its own. */
  readonly regionCompiler?: RegionCompiler;
  readonly model?: CpuModel;
}

type CalloutFunction = (record: number, a: number, b: number, c: number) => number;

const RAN: EngineExit = { kind: 'ran' };

interface ThreadedInstance extends ThreadedExports {
  /** Runs threaded code until it leaves. */
  run(this: void): void;
}

/** A generated module, compiled once per process: generation depends on nothing but the instruction table. */
interface CompiledModule {
  readonly module: ThreadedModule;
  readonly compiled: WebAssembly.Module;
}
const modules: { legacy?: CompiledModule; long?: CompiledModule; decoder?: Decoder } = {};

function compile(long: boolean): CompiledModule {
  const module = generateThreadedModule(table, 1, long);
  return { module, compiled: new WebAssembly.Module(module.bytes) };
}

/** 16- and 32-bit code. */
const legacyModule = (): CompiledModule => modules.legacy ??= compile(false);
/** Does beforehand what the first engine of a process would do first: generates and compiles the handlers. */
export function prepareEngines(): void {
  legacyModule();
}
/** 64-bit code: generated when a guest first gets there. */
const longModule = (): CompiledModule => modules.long ??= compile(true);

const interruptCallouts: ReadonlySet<string> = new Set(['softwareInterrupt', 'debugTrap', 'sysenter']);

export class Engine {
  readonly cpu: Cpu;
  private readonly writer: RecordWriter;
  readonly translator: Translator;
  readonly decoder: Decoder;
  private readonly contexts = new ContextTable();
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly i32: Int32Array;
  private readonly portOut: CalloutFunction;
  /** Some of PORT_LATCHES are set. */
  private portsLatched = false;
  private readonly transitions: ReturnType<typeof instantiateTransitions>;
  /** Runs threaded code of 16- and 32-bit code. */
  private readonly runLegacy: () => void;
  private longInstance: ThreadedInstance | undefined;
  readonly regions: Regions;
  private context!: TranslationContext;
  private cut: Cut = 'full';
  private contextStale = true;
  /** Instructions retired before the present run of threaded code. */
  private retiredBefore = 0;
  /** Record at work while the runtime executes, 0 otherwise. */
  private record = 0;
  private pendingFault: GuestFault | PageFault | undefined;
  private running = false;
  /** The last instruction entered a handler by itself (INT n): it takes no single-step trap. */
  interruptTaken = false;
  /** The last instruction was a callout, which finds RF clear: what it is now came from IRET's image or from the TSS of a new task. */
  resumeFlagBrought = false;
  /** EIP is at a repeated string instruction that has done some of its iterations. */
  repeating = false;

  constructor(
    private readonly memory: WebAssembly.Memory, readonly mmu: Mmu, private readonly hooks: EngineHooks,
    { cacheBytes, translation = 'adaptive', regionCompiler, model = cpuModels[DEFAULT_CPU_MODEL] }: EngineOptions = {},
  ) {
    this.u8 = new Uint8Array(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
    writeVectorTables(this.u8, VECTOR_TABLES);
    this.decoder = modules.decoder ??= new Decoder(table);
    this.cpu = new Cpu(memory, mmu, this.cpuHooks(), model);
    this.writer = new RecordWriter(memory, table, this.decoder, legacyModule().module.forms, () => longModule().module.forms, mmu, model, cacheBytes);
    this.translator = new Translator(memory, this.writer, mmu);
    mmu.onMisaligned = (linear, bytes) => {
      throw new GuestFault(Vector.AC, 0, `access of ${bytes} bytes at ${hexAddress(linear)}, which is not aligned`);
    };
    this.translator.recordAtWork = () => this.record;
    mmu.instructionAddress = () => this.instructionLinear();
    const ports = this.portImports();
    const quick = { ...this.calloutImports(quickCallouts), portIn: ports.portIn } as Record<QuickCallout, CalloutFunction>;
    this.transitions = instantiateTransitions(memory, () => (this.hooks.interruptRequested() ? 1 : 0), quick, {
      read: (record, linear, bytes) => this.readSlow(record, linear, bytes as AccessBytes),
      readForWrite: (record, linear, bytes) => this.readForWriteSlow(record, linear, bytes as AccessBytes),
      write: (record, linear, bytes, value) => this.writeSlow(record, linear, bytes as AccessBytes, value),
    });
    this.portOut = ports.portOut;
    const legacy = this.instantiate(legacyModule(), this.transitions.legacy);
    this.runLegacy = legacy.run;
    this.regions = new Regions(memory, this.translator, regionPolicies[translation], (codeSize) => (codeSize === 64
      ? { module: longModule().module, exports: this.long } : { module: legacyModule().module, exports: legacy }), regionCompiler);
  }

  /** Threaded code of 64-bit code: made when a guest first gets there. */
  private get long(): ThreadedInstance {
    return this.longInstance ??= this.instantiate(longModule(), this.transitions.long);
  }

  private instantiate({ module, compiled }: CompiledModule, transitions: Transitions): ThreadedInstance {
    const { memory } = this;
    const instance = new WebAssembly.Instance(compiled, {
      machine: { memory },
      translator: { lookup: () => this.lookup(), resolve: (record: number) => this.resolve(record) },
      memory: {
        read: this.transitions.memory.read, readForWrite: this.transitions.memory.readForWrite, write: this.transitions.memory.write, fetch: this.transitions.memory.fetch,
        longRead: (record: number, low: number, high: number, access: number) => this.longAccess(record, low, high, access, this.readBound),
        longReadForWrite: (record: number, low: number, high: number, access: number) => this.longAccess(record, low, high, access, this.readForWriteBound),
        longWrite: (record: number, low: number, high: number, access: number, value: number) => {
          this.longAccess(record, low, high, access, this.writeBound, value);
        },
        segmentCheck: (record: number, offset: number, segment: number, access: number) => this.segmentCheck(record, offset, segment, access),
      },
      callout: {
        ...this.calloutImports(module.callouts),
        portOut: this.portOut,
        ...transitions.callouts,
      },
    });
    return instance.exports as unknown as ThreadedInstance;
  }

  /** What a handler of code of some size was generated from. */
  handlerForm(handler: number, codeSize: number): HandlerForm {
    return this.threadedModule(codeSize).formOf[handler];
  }

  /** The handlers of code of some size. */
  threadedModule(codeSize: number): ThreadedModule {
    return (codeSize === 64 ? longModule() : legacyModule()).module;
  }

  /** What code at CS:RIP would be translated for now; undefined while there is no room for one more kind of it. */
  presentContext(): TranslationContext | undefined {
    return this.contexts.intern(this.cpu.state, 'full');
  }

  /** Instructions retired since power-on, exact also inside callouts. */
  get now(): number {
    const done = this.running ? this.i32[RUN_BUDGET >> 2] - this.i32[BUDGET >> 2] : 0;
    return this.retiredBefore + done + (this.record ? this.u8[this.record + RecordField.position] : 0);
  }

  /** Moves the clock over time in which nothing was executed (HLT). */
  skipTo(count: number): void {
    this.retiredBefore = Math.max(this.retiredBefore, count);
    this.tellRetired();
  }

  /** To translated code, which reads the time stamp by itself. */
  private tellRetired(): void {
    this.u32[RETIRED >> 2] = this.retiredBefore;
    this.u32[(RETIRED >> 2) + 1] = this.retiredBefore / 2 ** 32;
  }

  /**
   * Runs at most `count` instructions. Ends early at a fault, at a breakpoint (unless `cut` is 'step'), and after {@link yield}.
   * Single and step units are one instruction long, so that every instruction is a place to stop.
   */
  execute(count: number, cut: Cut): EngineExit {
    let left = count;
    // Between runs a device may have become another one.
    this.forgetPorts();
    while (left > 0) {
      // Full units as long as the largest of them fits into what is left, then single ones.
      const fine = cut !== 'full' || left < UNIT_CAP;
      this.useContext(fine && cut === 'full' ? 'single' : cut);
      const slack = fine ? 1 : UNIT_CAP;
      const stretch = this.regions.plan(Math.min(left, 0x40000000));
      const budget = stretch.count - slack;
      this.u32[REGION_EXACT >> 2] = stretch.exact ? 1 : 0;
      this.i32[BUDGET >> 2] = budget;
      this.i32[RUN_BUDGET >> 2] = budget;
      this.u32[EXIT_REASON >> 2] = Exit.None;
      this.tellRetired();
      this.u32[INTERRUPT_MAY_WAIT >> 2] = this.hooks.interruptRequested() ? 1 : 0;
      this.u32[FAULTS_DELIVERED >> 2] = cut === 'full' && !fine && this.hooks.deliversFaults?.() ? 1 : 0;
      this.yielded = false;
      this.running = true;
      let done: number;
      const run = this.context.codeSize === 64 ? this.long.run : this.runLegacy;
      try {
        run();
      } finally {
        this.running = false;
        this.record = 0;
        done = this.i32[RUN_BUDGET >> 2] - this.i32[BUDGET >> 2];
        this.retiredBefore += done;
        left -= done;
      }
      const reason = this.u32[EXIT_REASON >> 2] as Exit;
      const look = this.regions.ran(done);
      this.repeating = reason === Exit.Repeating;
      if (this.repeating) this.regions.tallies.left(this.u32[EXIT_RECORD >> 2], true);
      switch (reason) {
        case Exit.Budget:
        case Exit.Repeating:
          if (this.yielded) return RAN;
          if (look) this.regions.sample(this.linearOfRip(), this.context);
          break;
        case Exit.Fault:
        case Exit.RuntimeFault:
        case Exit.Fetch: {
          const before = this.retiredBefore;
          const fault = reason === Exit.Fault ? this.faultInPlace() : this.pendingFault!;
          left -= this.retiredBefore - before;
          this.pendingFault = undefined;
          if (cut !== 'full' || !this.hooks.faultRaised?.(fault)) return { kind: 'fault', fault };
          // Its delivery took a tick.
          left--;
          if (this.yielded || this.wantsLook()) return RAN;
          break;
        }
        case Exit.Breakpoint:
          return { kind: 'breakpoint', linear: this.linearOfRip() };
        case Exit.CacheFull:
          this.translator.flush();
          if (this.contextsFull) {
            this.contextsFull = false;
            this.contexts.clear();
            this.contextStale = true;
          }
          break;
        default:
          throw new Error(`engine: threaded code returned without a reason (EXIT_REASON ${String(reason)})`);
      }
    }
    return RAN;
  }

  private yielded = false;
  /** The table of contexts is full: it is cleared with the translation cache. */
  private contextsFull = false;

  /** Makes threaded code return behind the instruction at work; the count stays exact. */
  yield(): void {
    this.yielded = true;
    // Whatever it was: perhaps an interrupt.
    this.interruptMayWait();
    this.endRun();
  }

  /** Makes instructions that set IF within WebAssembly ask whether an interrupt is requested. */
  interruptMayWait(): void {
    this.u32[INTERRUPT_MAY_WAIT >> 2] = 1;
  }

  /** Makes threaded code return behind the instruction at work. Whether that ends {@link execute} is told by {@link yielded}. */
  private endRun(): void {
    if (!this.running) return;
    if (this.record) this.translator.leaveBehind(this.record);
    const budget = this.i32[BUDGET >> 2];
    if (budget < 0) return;
    this.i32[RUN_BUDGET >> 2] -= budget + 1;
    this.i32[BUDGET >> 2] = -1;
  }

  /** Linear address of the instruction at work, or of RIP. */
  instructionLinear(): number {
    if (!this.record) return this.linearOfRip();
    const eip = this.u32[(this.record + RecordField.eip) >> 2];
    if (this.context.codeSize === 64) return linearNumber(eip, this.u32[CODE_HIGH >> 2]);
    return (this.cpu.state.base(Segment.CS) + eip) >>> 0;
  }

  /** Linear address of CS:RIP. */
  private linearOfRip(): number {
    const { state } = this.cpu;
    if (isLongCode(state)) return linearNumber(this.u32[EIP >> 2], this.u32[(EIP >> 2) + 1]);
    return (state.base(Segment.CS) + state.eip) >>> 0;
  }

  /** Notes a transfer from `from` (linear) to CS:RIP for the post-mortem; threaded code notes its own near ones. */
  noteTransfer(from: number): void {
    const at = (BRANCH_RING + this.u32[BRANCH_RING_NEXT >> 2]) >> 2;
    const to = this.linearOfRip();
    this.u32[at] = from;
    this.u32[at + 1] = highHalf(from);
    this.u32[at + 2] = to;
    this.u32[at + 3] = highHalf(to);
    this.u32[BRANCH_RING_NEXT >> 2] = (this.u32[BRANCH_RING_NEXT >> 2] + 16) % (16 * BRANCH_RING_ENTRIES);
  }

  /** Registers were changed from outside: contexts are looked at again, and a repeated instruction may not be the next one. */
  stateChanged(): void {
    this.contextStale = true;
    this.repeating = false;
  }

  flush(): void {
    this.translator.flush();
    this.contexts.clear();
    this.contextStale = true;
  }

  reset(): void {
    this.retiredBefore = 0;
    this.u8.fill(0, BRANCH_RING, BRANCH_RING_NEXT + 4);
    this.flush();
    this.cpu.reset();
  }

  // ---- contexts ----

  private useContext(cut: Cut): void {
    if (!this.contextStale && this.cut === cut) return;
    this.cut = cut;
    this.internContext();
  }

  private internContext(): void {
    let context = this.contexts.intern(this.cpu.state, this.cut);
    if (!context) {
      // Only here, between units: nothing of the old translations is at work.
      this.translator.flush();
      this.contexts.clear();
      context = this.contexts.intern(this.cpu.state, this.cut)!;
    }
    this.enterContext(context);
  }

  private enterContext(context: TranslationContext): void {
    this.context = context;
    this.u32[CONTEXT >> 2] = context.word;
    this.u32[CODE_HIGH >> 2] = context.codeHigh;
    this.contextStale = false;
  }

  /** 64-bit code has moved to another upper half by itself. Throws CacheFull when the table of contexts is full. */
  private followCodeHigh(high: number): void {
    if (this.context.codeSize !== 64 || this.context.codeHigh === high) return;
    const context = this.contexts.internLong(high, this.cut);
    if (!context) {
      this.contextsFull = true;
      throw new CacheFull();
    }
    this.enterContext(context);
  }

  // ---- the translator's imports ----

  private lookup(): number {
    this.count('indirectMisses');
    const low = this.u32[EIP >> 2];
    const high = this.u32[(EIP >> 2) + 1];
    try {
      this.writer.settle();
      let linear: number;
      if (this.context.codeSize === 64) {
        if (!isCanonical(high)) throw generalProtection(0, 'instruction fetch from a non-canonical address');
        this.followCodeHigh(high);
        linear = linearNumber(low, high);
      } else linear = (this.context.csBase + low) >>> 0;
      const unit = this.translator.unitAt(linear, this.context);
      this.translator.cacheJump(unit);
      this.regions.entered(unit);
      return unit.record;
    } catch (failure) {
      return this.translationFailed(failure);
    }
  }

  private resolve(continuation: number): number {
    try {
      this.followCodeHigh(this.u32[CODE_HIGH >> 2]);
      return this.translator.resolve(continuation, this.context);
    } catch (failure) {
      this.setEip(this.u32[(continuation + RecordField.target) >> 2]);
      return this.translationFailed(failure);
    }
  }

  /** EIP is the address whose translation failed. */
  private translationFailed(failure: unknown): 0 {
    if (failure instanceof CacheFull) this.u32[EXIT_REASON >> 2] = Exit.CacheFull;
    else if (failure instanceof PageFault && this.deliversHere(failure, 0)) return 0;
    else if (failure instanceof PageFault || failure instanceof GuestFault) {
      this.pendingFault = failure;
      this.u32[EXIT_REASON >> 2] = Exit.Fetch;
    } else throw failure;
    return 0;
  }

  /** RIP, from the half that records have. */
  private setEip(eip: number): void {
    this.u32[EIP >> 2] = eip;
    this.u32[(EIP >> 2) + 1] = this.u32[CODE_HIGH >> 2];
  }

  /** RIP of the instruction behind a record's. */
  private setNextEip(record: number): void {
    const eip = this.u32[(record + RecordField.eip) >> 2];
    const next = (eip + this.u8[record + RecordField.length]) >>> 0;
    this.setEip(next);
    if (next < eip && this.context.codeSize === 64) this.u32[(EIP >> 2) + 1]++;
  }

  // ---- memory slow paths ----

  /** An access of 64-bit code: #GP(0), or #SS(0) through the stack's segment, when it touches a non-canonical address. */
  private longAccess(
    record: number, low: number, high: number, access: number, body: (record: number, linear: number, bytes: AccessBytes, value: number) => number, value = 0,
  ): number {
    const bytes = (access & 0xff) as AccessBytes;
    const lastHigh = (low >>> 0) + bytes - 1 > 0xffffffff ? high + 1 : high;
    if (isCanonical(high) && (lastHigh === high || isCanonical(lastHigh))) return body(record, linearNumber(low, high), bytes, value);
    const segment = access >> 8 as AccessSegment;
    const stack = segment === AccessSegment.Stack
      || (segment === AccessSegment.Record && this.u16[(record + RecordField.segment) >> 1] === SEGMENTS + SEGMENT_SIZE * Segment.SS);
    const reason = `access to the non-canonical address 0x${hex32(high)}${hex32(low)}`;
    return this.faulted(stack ? new GuestFault(12, 0, reason) : generalProtection(0, reason), record);
  }
  private readonly readBound = (record: number, linear: number, bytes: AccessBytes): number => this.readSlow(record, linear, bytes);
  private readonly readForWriteBound = (record: number, linear: number, bytes: AccessBytes): number => this.readForWriteSlow(record, linear, bytes);
  private readonly writeBound = (record: number, linear: number, bytes: AccessBytes, value: number): number => {
    this.writeSlow(record, linear, bytes, value);
    return 0;
  };

  private readSlow(record: number, linear: number, bytes: AccessBytes): number {
    this.record = record;
    try {
      const value = this.mmu.access.tryRead(linear, bytes);
      return this.mmu.access.failure === undefined ? value : this.pageFaulted(record);
    } catch (failure) {
      return this.faulted(failure, record);
    } finally {
      this.record = 0;
    }
  }

  private readForWriteSlow(record: number, linear: number, bytes: AccessBytes): number {
    this.record = record;
    try {
      this.mmu.probeWriteSlow(linear, bytes);
      return this.mmu.readSlow(linear, bytes);
    } catch (failure) {
      return this.faulted(failure, record);
    } finally {
      this.record = 0;
    }
  }

  private writeSlow(record: number, linear: number, bytes: AccessBytes, value: number): void {
    this.record = record;
    const here = this.instructionLinear();
    const entry = this.writer.lookupEntry(here, this.context);
    try {
      const { access } = this.mmu;
      if (bytes === 8) access.tryWrite(linear, 8, this.i32[SCRATCH >> 2], this.i32[(SCRATCH >> 2) + 1]);
      else access.tryWrite(linear, bytes, value);
      if (access.failure !== undefined) this.pageFaulted(record);
      // The page that this very code lies on is mapped otherwise now: links within the page would not notice.
      if (this.writer.lookupEntry(here, this.context) !== entry) this.yield();
    } catch (failure) {
      this.faulted(failure, record);
    } finally {
      this.record = 0;
    }
  }

  /** The exact segment check behind the quick one. Returns 1 when it faulted. */
  private segmentCheck(record: number, offset: number, segmentAddress: number, access: number): number {
    const segment = (segmentAddress - SEGMENTS) / SEGMENT_SIZE;
    const write = (access & 0x100) !== 0;
    const bytes = access & 0xff;
    const { state } = this.cpu;
    const allowed = state.segmentAllows(segment, offset, bytes, write);
    if (allowed) return 0;
    const reason = `${write ? 'write' : 'read'} of ${bytes} byte${bytes === 1 ? '' : 's'} at ${segmentNames[segment]}:0x${(offset >>> 0).toString(16)} (limit 0x${state.limit(segment).toString(16)})`;
    this.faulted(segment === Segment.SS ? new GuestFault(12, 0, reason) : generalProtection(0, reason), record);
    return 1;
  }

  /** The access of the instruction at `record` left a page fault. */
  private pageFaulted(record: number): 0 {
    const { access } = this.mmu;
    const fault = access.failure;
    access.failure = undefined;
    this.setEip(this.u32[(record + RecordField.eip) >> 2]);
    return this.deliversHere(fault!, this.u8[record + RecordField.position]) ? 0 : this.faulted(fault, record);
  }

  /**
   * Delivers a page fault of the instruction at EIP, before which `position` ones of its unit were retired, and lets the run go on with its handler.
   * False: it takes the long way; nothing has changed but CR2.
   */
  private deliversHere(fault: PageFault, position: number): boolean {
    // Its delivery takes a tick.
    const spent = position + 1;
    if (this.u32[FAULTS_DELIVERED >> 2] === 0 || this.i32[BUDGET >> 2] < spent) return false;
    const { cpu } = this;
    const from = this.instructionLinear();
    cpu.state.cr2 = fault.linear;
    if (!this.enterQuickly(Vector.PF, false, cpu.state.eflags | Flag.RF, fault.errorCode)) return false;
    // What the abandoned instruction touched counts for nothing.
    cpu.pendingDebug = 0;
    this.count('exceptions');
    this.count('skippedTicks');
    this.noteTransfer(from);
    this.i32[BUDGET >> 2] -= spent;
    this.u32[EXIT_REASON >> 2] = Exit.Delivered;
    return true;
  }

  private enterQuickly(vector: number, software: boolean, image: number, errorCode: number): boolean {
    const { enter } = isLongCode(this.cpu.state) ? this.transitions.long : this.transitions.legacy;
    return enter(vector, software ? 1 : 0, image, errorCode) !== 0;
  }

  /** A fault of the instruction at `record`: threaded code returns as soon as it sees EXIT_REASON. */
  private faulted(failure: unknown, record: number): 0 {
    if (!(failure instanceof PageFault || failure instanceof GuestFault)) throw failure;
    this.pendingFault = failure;
    if (!(failure instanceof GuestFault && failure.afterTaskSwitch)) this.setEip(this.u32[(record + RecordField.eip) >> 2]);
    // The count as it was before the instruction.
    this.i32[BUDGET >> 2] -= this.u8[record + RecordField.position];
    this.u32[EXIT_REASON >> 2] = Exit.RuntimeFault;
    this.u32[EXIT_RECORD >> 2] = record;
    this.regions.tallies.left(record);
    return 0;
  }

  private faultInPlace(): GuestFault {
    const record = this.u32[EXIT_RECORD >> 2];
    const position = this.u8[record + RecordField.position];
    this.setEip(this.u32[(record + RecordField.eip) >> 2]);
    this.retiredBefore += position;
    this.regions.tallies.left(record);
    const vector = this.u32[FAULT_VECTOR >> 2];
    return new GuestFault(vector, errorCodeVectors.has(vector) ? this.u32[FAULT_ERROR >> 2] : undefined, inPlaceReasons[vector] ?? 'raised by the instruction');
  }

  // ---- callouts ----

  private calloutImports(names: readonly string[]): Record<string, CalloutFunction> {
    return Object.fromEntries(names.map((name) => [name, this.calloutImport(name as CalloutName)]));
  }

  private calloutImport(name: CalloutName): CalloutFunction {
    const callout: Callout = callouts[name];
    if (!callout) throw new Error(`engine: the instruction table names the callout ${name}, which does not exist`);
    const site = { operandSize: 16, addressSize: 16, eip: 0, nextEip: 0 } as { -readonly [K in keyof CalloutSite]: CalloutSite[K] };
    const entersHandler = interruptCallouts.has(name);
    const { cpu } = this;
    return (record, a, b, c) => {
      this.record = record;
      this.count('callouts');
      const sizes = this.u8[record + RecordField.sizes];
      site.operandSize = sizeOf(sizes & 3);
      site.addressSize = sizeOf(sizes >> 2);
      site.eip = this.u32[(record + RecordField.eip) >> 2];
      site.nextEip = (site.eip + this.u8[record + RecordField.length]) >>> 0;
      this.setNextEip(record);
      const nextHigh = this.u32[(EIP >> 2) + 1];
      this.interruptTaken = entersHandler;
      this.resumeFlagBrought = true;
      const resume = cpu.state.systemFlags & Flag.RF;
      // An instruction that keeps EFLAGS anywhere keeps them without RF.
      if (resume !== 0) cpu.state.systemFlags &= ~Flag.RF;
      try {
        const trap = name === 'debugTrap' ? 1 : name === 'softwareInterrupt' && b === 0 ? a : -1;
        if (trap >= 0 && this.hooks.stopsAt(trap)) throw new GuestFault(trap, undefined, 'the instruction raises it');
        const from = this.instructionLinear();
        const result = callout(cpu, site, a, b, c);
        if (this.u32[EIP >> 2] !== site.nextEip || this.u32[(EIP >> 2) + 1] !== nextHigh) this.noteTransfer(from);
        this.afterCallout();
        return result;
      } catch (failure) {
        if (resume !== 0 && !(failure instanceof GuestFault && failure.afterTaskSwitch)) cpu.state.systemFlags |= Flag.RF;
        return this.faulted(failure, record);
      } finally {
        this.record = 0;
      }
    };
  }

  /**
   * IN and OUT without what they rarely need: when neither the I/O permission bitmap nor an I/O breakpoint can matter, the board is asked
   * straight away. Guests that poll a device live on this path.
   */
  private portImports(): Record<'portIn' | 'portOut', CalloutFunction> {
    const generalIn = this.calloutImport('portIn');
    const generalOut = this.calloutImport('portOut');
    const { state } = this.cpu;
    const callouts = counterAddress('callouts') >> 2;
    const reads = counterAddress('portReads') >> 2;
    const writes = counterAddress('portWrites') >> 2;
    const bump = (slot: number) => {
      this.u32[slot]++;
      if (this.u32[slot] === 0) this.u32[slot + 1]++;
    };
    const direct = () => (this.u32[DR + 8 * 7 >> 2] & 0xff) === 0
      && ((this.u32[CR0 >> 2] & 1) === 0 || ((state.systemFlags & Flag.VM) === 0 && this.u32[CPL >> 2] <= state.iopl));
    return {
      portIn: (record, port, bytes, unused) => {
        if (!direct()) return generalIn(record, port, bytes, unused);
        this.record = record;
        bump(callouts);
        bump(reads);
        // Asked first: reading may make another thing of the port.
        const latched = bytes === 1 && (port & 0xffff) < PORT_LATCHES_MOST && this.hooks.portLatched?.(port & 0xffff);
        const value = this.hooks.portRead(port & 0xffff, bytes as 1 | 2 | 4);
        if (latched) {
          this.u16[(PORT_LATCHES >> 1) + (port & 0xffff)] = 0x100 | value;
          this.portsLatched = true;
        }
        this.afterCallout();
        this.record = 0;
        return value | 0;
      },
      portOut: (record, port, value, bytes) => {
        if (!direct()) return generalOut(record, port, value, bytes);
        this.record = record;
        bump(callouts);
        bump(writes);
        this.setNextEip(record);
        this.interruptTaken = false;
        this.forgetPorts();
        this.hooks.portWrite(port & 0xffff, bytes as 1 | 2 | 4, bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff));
        this.afterCallout();
        this.record = 0;
        return 0;
      },
    };
  }

  private forgetPorts(): void {
    if (!this.portsLatched) return;
    this.u16.fill(0, PORT_LATCHES >> 1, (PORT_LATCHES >> 1) + PORT_LATCHES_MOST);
    this.portsLatched = false;
  }

  /** Whatever a callout changed that threaded code does not look at by itself. */
  private afterCallout(): void {
    if (this.contextStale) this.internStaleContext();
    const { state } = this.cpu;
    // RF matters to breakpoints and to an interrupt right here; the next instruction clears it.
    if ((state.systemFlags & Flag.RF) !== 0 && this.i32[BUDGET >> 2] > UNIT_CAP && !this.translator.hasBreakpoints && !this.interruptWaits()) state.systemFlags &= ~Flag.RF;
    if (this.wantsLook()) this.yield();
    else if (state.interruptShadow) {
      // Without a waiting interrupt or a breakpoint that MOV SS holds back the shadow matters only if the run ends right here.
      if (this.i32[BUDGET >> 2] > UNIT_CAP && !(state.stackShadow && state.dr(7) & 0xff)) state.interruptShadow = false;
      else this.yield();
    }
  }

  private interruptWaits(): boolean {
    return (this.cpu.state.systemFlags & Flag.IF) !== 0 && this.hooks.interruptRequested();
  }

  /** Whether the next instruction boundary is the machine's business. */
  private wantsLook(): boolean {
    return (this.cpu.state.systemFlags & (Flag.TF | Flag.RF)) !== 0 || this.cpu.pendingDebug !== 0 || this.interruptWaits();
  }

  /** Inside a run the table of contexts cannot be cleared; when it is full the run ends and the next one starts over. */
  private internStaleContext(): void {
    const context = this.contexts.intern(this.cpu.state, this.cut);
    if (!context) {
      this.yield();
      return;
    }
    if ((context.codeSize === 64) === (this.context.codeSize === 64)) {
      // The dispatcher follows 64-bit code wherever it goes.
      if (context.codeSize !== 64) this.enterContext(context);
      this.contextStale = false;
      return;
    }
    // Another module's handlers go on from here.
    this.endRun();
    this.enterContext(context);
  }

  private count(id: CounterId): void {
    this.cpu.state.count(id);
  }

  private cpuHooks(): CpuHooks {
    return {
      now: () => this.now,
      portRead: (port, bytes) => this.hooks.portRead(port, bytes),
      portWrite: (port, bytes, value) => {
        this.forgetPorts();
        this.hooks.portWrite(port, bytes, value);
      },
      setPaging: (paging) => this.mmu.activate(paging),
      readTable: (address) => this.mmu.physical.tableWord(address),
      // The shadow is coherent at all times: there is nothing stale to drop.
      invlpg: () => {},
      contextChanged: () => { this.contextStale = true; },
      debugRegistersChanged: () => this.hooks.debugRegistersChanged(),
      enterQuickly: (vector, software, image, errorCode) => this.enterQuickly(vector, software, image, errorCode),
      halt: () => this.hooks.halt(),
      pause: () => this.hooks.pause?.(),
      apic: () => this.hooks.apic?.(),
      nmiUnblocked: () => this.hooks.nmiUnblocked?.(),
      coprocessorError: () => this.hooks.coprocessorError?.() ?? false,
      coprocessorErrorCleared: () => this.hooks.coprocessorErrorCleared?.(),
    };
  }
}

/** Of the upper half of an address that bits 63 to 47 are alike. */
const isCanonical = (high: number): boolean => high >> 15 === 0 || high >> 15 === -1;
const sizeOf = (code: number): 16 | 32 | 64 => (code === 2 ? 64 : code === 1 ? 32 : 16);
const hex32 = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

const segmentNames = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const errorCodeVectors: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);
const inPlaceReasons: Readonly<Record<number, string>> = {
  0: 'division by zero, or the quotient does not fit', 5: 'the index is outside the bounds', 6: 'the instruction is undefined in this mode',
  7: 'CR0.TS and CR0.MP are set', 13: 'the target lies beyond the CS limit',
};
