/**
 * The machine: a processor under the engine, memory, the board, the clock, and the loop that runs them together: time advances by retired
 * instructions, due device events fire at exact counts, interrupts and debug traps are taken at instruction boundaries.
 */
import type {
  AddressSpace, DeviceSnapshot, DisassembledInstruction, DiskSaveFormat, DriveSummary, EndReason, MachineConfiguration, MappedRange, MouseMovement, PostMortem, ProcessorSummary, RegisterName, RegisterSnapshot, Screen, Translation,
  WritableDrive,
} from '../../protocol/messages';
import type { HotCodeSample, TranslatedCode } from '../../protocol/translated-code';
import { Efer, Flag } from '../cpu/bits';
import { counterAddress, counters } from '../cpu/counters';
import { modelLeaf } from '../cpu/models/cpuid';
import { cpuModelNames, cpuModels, DEFAULT_CPU_MODEL, isCpuModelName, type CpuModel } from '../cpu/models/models';
import { debugFault, enabledBreakpoints, matchingBreakpoints, SINGLE_STEP } from '../cpu/debug';
import type { DeliveryOutcome } from '../cpu/deliver';
import { GuestFault, Vector, vectorName } from '../cpu/exceptions';
import { BRANCH_RING, BRANCH_RING_ENTRIES, BRANCH_RING_NEXT, RAM, Segment } from '../cpu/layout';
import { readByName, setByName } from '../cpu/names';
import { TEXT_COPY_BYTES } from '../devices/vga/memory';
import { toDots } from '../devices/vga/render';
import { VIDEO_BYTES } from '../devices/vga/vga';
import { Uart } from '../devices/uart';
import { Mmu } from '../mmu/mmu';
import { linearNumber, PageFault } from '../mmu/types';
import type { WatchHandle } from '../mmu/watches';
import { TranslationDump, type DumpStage } from '../translate/dump';
import { Engine } from '../translate/engine';
import { MachineError, type MachineApi, type MachineOutputs, type RunOutcome } from './api';
import { ROM_BYTES } from './bios/layout';
import type { FirmwareTableOptions } from './acpi/placement';
import { Board } from './board';
import { deviceSnapshot } from './device-snapshot';
import { EventClock } from './clock';
import { Drives } from './drives';
import { Firmware } from './firmware';
import { listInstructions } from './listing';
import { prepareBoot } from './loaders/load';
import { Processors, type Processor } from './processors';
import { TranslatedCodeReader } from './translated-code';
import { VIRTIO_CONSOLE_PORT, virtioOptions } from './virtio';

const WASM_PAGE = 65536;
const BIOS_BYTES_MIN = 0x10000, BIOS_BYTES_MAX = 0x1000000;
const MEMORY_MIB_MAX = 2048;
const PROCESSORS_MAX = 8;
/** 2026-01-01 00:00:00 UTC: a fixed date, so that runs repeat. */
const DEFAULT_RTC_SECONDS = 1767225600;
const DEFAULT_INSTRUCTIONS_PER_SECOND = 100_000_000;

/** Builds a machine and loads what it is to run. Throws MachineError for bad input. */
export function createMachine(configuration: MachineConfiguration, outputs: MachineOutputs): MachineApi {
  return new Machine(configuration, outputs);
}

export class Machine implements MachineApi {
  readonly instructionsPerSecond: number;
  private readonly engine: Engine;
  private readonly mmu: Mmu;
  private readonly board: Board;
  private readonly clock: EventClock;
  private readonly firmware: Firmware;
  private readonly drives: Drives;
  private readonly breakpoints = new Set<number>();
  private exceptionStops: ReadonlySet<number> = new Set();
  private watches: WatchHandle[] = [];
  private readonly translatedCodeReader: TranslatedCodeReader;
  private readonly processors: Processors;
  private resetWanted = false;
  /** Ticks of the clock in which no instruction was retired. */
  private skippedTicks = 0;
  private end: EndReason | undefined;
  private lastPostMortem: PostMortem | undefined;

  constructor(readonly configuration: MachineConfiguration, private readonly outputs: MachineOutputs) {
    const ramBytes = checkedMemory(configuration.memoryMiB);
    const boot = prepareBoot(configuration, ramBytes);
    this.drives = new Drives(boot.drives);
    this.instructionsPerSecond = checkedRate(configuration.instructionsPerSecond);
    // Behind RAM lie video memory, with the copy of text memory in a page of its own, and the ROM.
    const romOffset = ramBytes + VIDEO_BYTES + WASM_PAGE;
    const romBytes = checkedBios(configuration.bios) ?? ROM_BYTES;
    let memory: WebAssembly.Memory;
    try {
      const pages = Math.ceil((RAM + romOffset + romBytes) / WASM_PAGE);
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    } catch {
      throw new MachineError('memory', `The host has no room for a machine with ${configuration.memoryMiB} MiB.`, 'Use a smaller memory size.');
    }
    const model = checkedModel(configuration.cpuModel);
    this.mmu = new Mmu(memory, { ramBytes, physicalAddressBits: model.physicalAddressBits, gigabytePages: model.has('pages1g'), ...Firmware.memoryMap(romOffset, romBytes) });
    // Code may run from a page that a register has just taken away.
    const forget = this.mmu.physical.onRemap;
    this.mmu.physical.onRemap = () => {
      forget();
      this.engine.yield();
    };
    this.engine = new Engine(memory, this.mmu, {
      portRead: (port, bytes) => this.board.ports.read(port, bytes),
      portWrite: (port, bytes, value) => this.portWrite(port, bytes, value),
      portLatched: (port) => this.board.ports.latched(port),
      halt: () => {
        this.processors.current.activity = 'halted';
        this.engine.yield();
      },
      pause: () => this.processors.spins(),
      coprocessorError: () => this.board.coprocessor.error(),
      coprocessorErrorCleared: () => this.board.coprocessor.errorCleared(),
      debugRegistersChanged: () => this.updateWatches(),
      interruptRequested: () => this.processors.current.apic.interruptRequested,
      apic: () => this.processors.current.apic,
      nmiUnblocked: () => {
        if (this.processors.current.nmiPending) this.engine.yield();
      },
      stopsAt: (vector) => this.stopsAt(vector),
      deliversFaults: () => this.exceptionStops.size === 0,
      faultRaised: (fault) => {
        if (this.exceptionStops.size !== 0) return false;
        this.fault(fault);
        return true;
      },
    }, { translation: configuration.translation, model, ...(outputs.regionCompiler && { regionCompiler: outputs.regionCompiler }) });
    this.translatedCodeReader = new TranslatedCodeReader(this.engine);
    this.engine.cpu.clearVirtualInterruptFlagOnEntry = configuration.clearVirtualInterruptFlagOnEntry ?? false;
    this.clock = new EventClock(this.instructionsPerSecond, () => this.engine.now);
    this.clock.onEarlier = () => this.engine.yield();
    const rtcSeconds = configuration.rtcSeconds ?? DEFAULT_RTC_SECONDS;
    this.board = new Board({
      clock: this.clock, memory: this.mmu.physical, videoMemory: { bytes: new Uint8Array(memory.buffer, RAM + ramBytes, VIDEO_BYTES + TEXT_COPY_BYTES), host: RAM + ramBytes },
      rtcSeconds,
      drives: this.drives, bootDrive: boot.bootDrive,
      virtio: virtioOptions(configuration, () => rtcSeconds + Math.floor(this.engine.now / this.instructionsPerSecond), outputs),
      processors: checkedProcessors(configuration.processors), x2apic: model.has('x2apic'), deadline: model.has('tscDeadline'),
      ...(configuration.vgaBios && { vgaBios: configuration.vgaBios }),
    }, {
      interrupt: (n) => this.processors.interrupt(n),
      nmi: (n) => this.processors.nmi(n),
      init: (n) => this.processors.init(n),
      startUp: (n, page) => this.processors.startUp(n, page),
      timeStamp: (n) => this.processors.timeStamp(n),
      currentProcessor: () => this.processors.current.index,
      a20: (enabled) => {
        this.mmu.setA20(enabled);
        this.engine.yield();
      },
      reset: () => {
        this.resetWanted = true;
        this.engine.yield();
      },
      powerOff: () => this.finish({ kind: 'powerOff' }),
      debugExit: (status) => this.finish({ kind: 'debugExit', status }),
      serial: (port, bytes) => outputs.serial(port, bytes),
      debugPort: (bytes) => outputs.debugPort(bytes),
      firmwareLog: (line) => outputs.log(line),
    });
    this.processors = new Processors(this.board.localApics, this.engine, (debugRegisters) => {
      if (debugRegisters) this.updateWatches();
    });
    this.firmware = new Firmware(boot, {
      cpu: this.engine.cpu, memory: this.mmu.physical, clock: this.clock, board: this.board, drives: this.drives,
      tables: this.tableOptions(), log: (text) => outputs.log(text), ...(configuration.bios && { bios: configuration.bios }),
    });
    this.start();
  }

  private tableOptions(): FirmwareTableOptions {
    const { signature } = this.engine.cpu.model;
    const features = modelLeaf(this.engine.cpu.model, 1).edx;
    const serialPorts = this.board.devices.filter((device) => device instanceof Uart).length;
    return { processors: this.processors.all.length, serialPorts, signature, features };
  }

  private start(): void {
    this.clock.restart(0);
    this.engine.reset();
    this.board.powerOn();
    this.processors.reset();
    this.skippedTicks = 0;
    this.end = undefined;
    this.firmware.load();
    this.engine.stateChanged();
  }

  get awaitsHost(): boolean {
    return this.board.virtio.awaitsHost;
  }

  get instructions(): number {
    return this.engine.now;
  }

  // ---- running ----

  run(instructions: number): RunOutcome {
    return this.advance(this.engine.now + instructions, false);
  }

  step(count: number): RunOutcome {
    return this.advance(this.engine.now + count, true);
  }

  idleUntil(at: number): void {
    const next = this.clock.nextEvent();
    this.skipTo(next === undefined ? at : Math.min(at, next));
    this.clock.advanceTo(this.engine.now);
  }

  /** Moves the clock without an instruction. */
  private skipTo(count: number): void {
    const before = this.engine.now;
    this.engine.skipTo(count);
    this.skippedTicks += this.engine.now - before;
  }

  private advance(target: number, passBreakpoint: boolean): RunOutcome {
    const { engine, processors } = this;
    const { cpu } = engine;
    const { state } = cpu;
    let pass = passBreakpoint;
    processors.resume(passBreakpoint);
    for (;;) {
      this.clock.advanceTo(engine.now);
      if (this.resetWanted) {
        this.resetWanted = false;
        this.restartProcessors();
      }
      if (this.end) return { kind: 'ended', reason: this.end };
      // A step is one processor's: the others stand still as long as it has something to execute.
      const alone = passBreakpoint && processors.currentRuns;
      if (!alone && !processors.schedule()) {
        if (processors.allDead) {
          this.end = { kind: 'halted' };
          continue;
        }
        const wakeAt = this.clock.nextEvent();
        if (this.configuration.pace !== 'max' || wakeAt === undefined || this.awaitsHost) return { kind: 'idle', wakeAt };
        if (engine.now >= target) return { kind: 'slice' };
        this.skipTo(wakeAt);
        continue;
      }
      const processor = processors.current;
      if (processor.initPending || processor.startUpPage !== undefined) {
        this.startProcessor(processor);
        continue;
      }
      if (processor.heldTrap !== undefined) {
        const bits = processor.heldTrap;
        processor.heldTrap = undefined;
        const stop = this.delivered(cpu.debugTrap(bits), Vector.DB);
        if (stop) return stop;
        continue;
      }
      const nmi = processor.nmiPending && !cpu.nmiBlocked;
      const requested = nmi || (processor.apic.interruptRequested && (state.systemFlags & Flag.IF) !== 0);
      if (engine.now >= target) return { kind: 'slice' };
      processor.activity = 'running';
      // A single step executes the instruction that the person sees; an interrupt waits for the boundary behind it.
      if (requested && !state.interruptShadow && !(pass && target - this.engine.now === 1)) {
        // Between iterations of a repeated string instruction the pushed image has RF set (SDM Vol. 3, 17.3.1.1).
        if (this.engine.repeating) state.systemFlags |= Flag.RF;
        if (nmi) {
          processor.nmiPending = false;
          cpu.nmiBlocked = true;
        }
        const vector = nmi ? Vector.NMI : processor.apic.acknowledge();
        const from = this.engine.instructionLinear();
        const stop = this.delivered(cpu.deliver(vector, 'external'), vector);
        this.engine.noteTransfer(from);
        // The handler's first instruction comes before another interrupt: a line that never falls cannot hold the clock.
        state.interruptShadow = true;
        if (stop) return stop;
        continue;
      }
      if (this.engine.cpu.pendingDebug && !state.stackShadow) {
        // Earned by something other than an instruction: the frame of a delivery was pushed over a data breakpoint.
        const stop = this.debugTrap(0);
        this.skipTo(this.engine.now + 1);
        if (stop) return stop;
        continue;
      }
      const limit = Math.min(Math.min(target, this.clock.nextEvent() ?? Infinity) - engine.now, alone ? Infinity : processors.left);
      const single = pass || (state.systemFlags & (Flag.TF | Flag.RF)) !== 0 || state.interruptShadow || (this.engine.repeating && this.isMarked(this.engine.instructionLinear()));
      const stop = single ? this.oneInstruction(pass) : this.manyInstructions(limit);
      if (stop) return stop;
      pass = false;
    }
  }

  /** INIT and start-up messages take effect when the processor's turn has come. */
  private startProcessor(processor: Processor): void {
    const { cpu } = this.engine;
    if (processor.initPending) {
      processor.initPending = processor.nmiPending = false;
      processor.heldTrap = processor.reported = undefined;
      cpu.init();
      processor.apic.init();
      processor.activity = processor.index === 0 ? 'running' : 'waitingForStartUp';
    } else {
      cpu.startUp(processor.startUpPage!);
      processor.startUpPage = undefined;
      processor.activity = 'running';
    }
    this.engine.stateChanged();
  }

  private manyInstructions(limit: number): RunOutcome | undefined {
    const exit = this.engine.execute(limit, this.watches.length ? 'single' : 'full');
    if (exit.kind === 'fault') return this.fault(exit.fault);
    if (exit.kind === 'breakpoint') return this.atBreakpoint(exit.linear);
    const { cpu } = this.engine;
    return cpu.pendingDebug && !cpu.state.stackShadow ? this.debugTrap(0) : undefined;
  }

  /** #DB as a trap behind an instruction, or behind an iteration of a repeated one (then RF is set in the pushed image). */
  private debugTrap(bits: number): RunOutcome | undefined {
    const { cpu, repeating } = this.engine;
    if (repeating) cpu.state.systemFlags |= Flag.RF;
    if (this.stopsAt(Vector.DB)) {
      this.processors.current.heldTrap = bits;
      return this.exceptionStop(Vector.DB, undefined, undefined);
    }
    return this.delivered(cpu.debugTrap(bits), Vector.DB);
  }

  /** One instruction with everything that hangs on a single boundary: TF, RF, the STI and MOV SS shadow, debug registers. */
  private oneInstruction(passBreakpoint: boolean): RunOutcome | undefined {
    const { cpu } = this.engine;
    const { state } = cpu;
    const linear = this.engine.instructionLinear();
    const flags = state.systemFlags;
    // A repeated string instruction is marked once, not at each iteration.
    if (!(flags & Flag.RF) && !this.engine.repeating) {
      if (!passBreakpoint && this.breakpoints.has(linear)) return { kind: 'breakpoint', linear };
      const bits = state.stackShadow ? 0 : matchingBreakpoints(state, linear, 1, 'execute');
      if (bits) return this.fault(debugFault(cpu, bits, 'instruction breakpoint'));
    }
    state.interruptShadow = false;
    this.engine.interruptTaken = false;
    this.engine.resumeFlagBrought = false;
    const exit = this.engine.execute(1, 'step');
    if (exit.kind === 'fault') return this.fault(exit.fault);
    if (flags & Flag.RF && !this.engine.interruptTaken && !this.engine.resumeFlagBrought) state.systemFlags &= ~Flag.RF;
    const stepped = (flags & Flag.TF) !== 0 && !this.engine.interruptTaken && !state.stackShadow;
    return stepped || (cpu.pendingDebug && !state.stackShadow) ? this.debugTrap(stepped ? SINGLE_STEP : 0) : undefined;
  }

  /** Whether a breakpoint of the guest or of the debugger is at the instruction. */
  private isMarked(linear: number): boolean {
    return this.breakpoints.has(linear) || matchingBreakpoints(this.engine.cpu.state, linear, 1, 'execute') !== 0;
  }

  /** A unit stopped in front of an instruction that DR0–DR3 or the debugger marks. */
  private atBreakpoint(linear: number): RunOutcome | undefined {
    const { cpu } = this.engine;
    if (this.breakpoints.has(linear)) return { kind: 'breakpoint', linear };
    const bits = matchingBreakpoints(cpu.state, linear, 1, 'execute');
    return this.fault(debugFault(cpu, bits, 'instruction breakpoint'));
  }

  private fault(fault: GuestFault | PageFault): RunOutcome | undefined {
    const vector = fault instanceof PageFault ? Vector.PF : fault.vector;
    if (this.stopsAt(vector)) return this.exceptionStop(vector, fault.errorCode, fault.linear);
    this.processors.current.reported = undefined;
    // What the abandoned instruction touched before it faulted counts for nothing.
    if (!(fault instanceof GuestFault && fault.afterTaskSwitch)) this.engine.cpu.pendingDebug = 0;
    const from = this.engine.instructionLinear();
    const stop = this.delivered(this.engine.cpu.raise(fault), vector);
    if (!this.end) this.engine.noteTransfer(from);
    // A delivery takes one tick, so that a guest which only faults cannot hold the clock.
    this.skipTo(this.engine.now + 1);
    return stop;
  }

  /** Whether the debugger wants to see this exception and has not just been shown it. */
  private stopsAt(vector: number): boolean {
    const { reported } = this.processors.current;
    return this.exceptionStops.has(vector) && !(reported?.vector === vector && reported.at === this.engine.now);
  }

  private exceptionStop(vector: number, errorCode: number | undefined, address: number | undefined): RunOutcome {
    this.processors.current.reported = { vector, at: this.engine.now };
    return { kind: 'exception', vector, name: vectorName(vector), ...(errorCode !== undefined && { errorCode }), ...(address !== undefined && { address }) };
  }

  /**
   * After a delivery of `asked`. When that raised another exception which the debugger wants to see (#DF above all), the machine stops at the
   * first instruction of its handler.
   */
  private delivered(outcome: DeliveryOutcome, asked: number): RunOutcome | undefined {
    this.engine.repeating = false;
    if (outcome.kind === 'delivered') {
      // A handler runs: a trap behind HLT has woken the processor.
      this.processors.current.activity = 'running';
      const { vector, errorCode } = outcome;
      if (vector === asked || !this.exceptionStops.has(vector)) return undefined;
      return this.exceptionStop(vector, errorCode, vector === Vector.PF ? this.engine.cpu.state.cr2 : undefined);
    }
    this.lastPostMortem = { chain: outcome.chain, gate: outcome.gate, registers: this.registers(), lastBranches: this.lastBranches() };
    this.finish({ kind: 'tripleFault', postMortem: this.lastPostMortem });
    return undefined;
  }

  private finish(reason: EndReason): void {
    this.end ??= reason;
    this.engine.yield();
  }

  /** A reset pulse (keyboard controller, port 92h, PCI reset control): the processors start over, memory stays. */
  private restartProcessors(): void {
    this.engine.flush();
    this.engine.cpu.reset();
    this.board.reset();
    this.processors.reset();
    this.firmware.load();
    this.engine.stateChanged();
  }

  private portWrite(port: number, bytes: 1 | 2 | 4, value: number): void {
    if (this.firmware.portWrite(port)) {
      // A service may have changed any register, mode-relevant ones included.
      this.engine.stateChanged();
      return;
    }
    this.board.ports.write(port, value, bytes);
  }

  reset(): void {
    this.engine.flush();
    this.mmu.physical.bytes.fill(0, RAM);
    this.mmu.flush();
    this.engine.cpu.state.clearCounters();
    this.lastPostMortem = undefined;
    this.start();
  }

  dispose(): void {
    this.finish({ kind: 'terminated' });
    this.board.virtio.disconnect();
    this.breakpoints.clear();
    this.outputs.regionCompiler?.close();
  }

  // ---- debugging ----

  setBreakpoints(linear: readonly number[]): void {
    this.breakpoints.clear();
    for (const address of linear) this.breakpoints.add(address);
    this.updateTranslatorBreakpoints();
  }

  setExceptionStops(vectors: readonly number[]): void {
    this.exceptionStops = new Set(vectors);
  }

  private updateTranslatorBreakpoints(): void {
    const all = new Set(this.breakpoints);
    for (const b of enabledBreakpoints(this.engine.cpu.state)) if (b.kind === 'execute') all.add(b.address);
    this.engine.translator.setBreakpoints(all);
  }

  /** DR0–DR7 changed: data breakpoints become watches, instruction breakpoints end units. */
  private updateWatches(): void {
    for (const watch of this.watches) watch.remove();
    const { cpu } = this.engine;
    this.watches = [];
    for (const b of enabledBreakpoints(cpu.state)) {
      if (b.kind !== 'write' && b.kind !== 'readWrite') continue;
      const hit = () => {
        cpu.pendingDebug |= 1 << b.index;
        this.engine.yield();
      };
      this.watches.push(this.mmu.watchLinear(b.address, b.length, b.kind === 'readWrite' ? hit : undefined, hit));
    }
    this.updateTranslatorBreakpoints();
    this.engine.yield();
  }

  get processorCount(): number {
    return this.processors.all.length;
  }

  get processor(): number {
    return this.processors.current.index;
  }

  selectProcessor(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.processorCount) {
      throw new MachineError('processor', `There is no processor ${index}; the machine has ${this.processorCount}, counted from 0.`);
    }
    this.processors.select(index);
  }

  processorStates(): ProcessorSummary[] {
    return this.processors.all.map((processor) => {
      const state = this.processors.state(processor);
      return { processor: processor.index, activity: processor.activity, linear: state.code64 ? state.rip : state.linear(Segment.CS, state.eip) };
    });
  }

  powerButton(): void {
    this.board.pm.pressPowerButton();
  }

  registers(): RegisterSnapshot {
    return { ...this.engine.cpu.snapshot(), processor: this.processor };
  }

  readRegister(name: RegisterName): bigint | undefined {
    return readByName(this.engine.cpu, name);
  }

  setRegister(name: RegisterName, value: bigint): void {
    const error = setByName(this.engine.cpu, name, value);
    if (error) throw new MachineError('register', error.message);
    this.engine.stateChanged();
  }

  readMemory(space: AddressSpace, address: number, count: number): { bytes: Uint8Array; unreadable: number } {
    if (space === 'linear') {
      const bytes = this.mmu.debugRead(this.linear(address), count);
      return { bytes, unreadable: count - bytes.length };
    }
    const readable = Math.max(0, Math.min(count, this.mmu.physical.ramBytes - address));
    return { bytes: readable ? this.mmu.physical.readBytes(address, readable) : new Uint8Array(), unreadable: count - readable };
  }

  findBytes(pattern: Uint8Array, from: number, most: number): number[] {
    const { physical } = this.mmu;
    return findIn(physical.bytes.subarray(RAM, RAM + physical.ramBytes), pattern, from, most);
  }

  translate(linear: number): Translation {
    const { gpa, ...found } = this.mmu.translateForDebugger(this.linear(linear));
    return { ...found, ...(gpa !== undefined && { physical: gpa }) };
  }

  addressSpace(from: number, most: number): { ranges: MappedRange[]; next?: number } {
    return this.mmu.mappedRanges(from, most);
  }

  /** The number that stands for an address in the processor's mode (mmu/types.ts). */
  private linear(address: number): number {
    return this.engine.cpu.state.efer & Efer.LMA ? ((address % 2 ** 48) + 2 ** 48) % 2 ** 48 : address >>> 0;
  }

  writeMemory(space: AddressSpace, address: number, bytes: Uint8Array): number {
    if (space === 'linear') return this.mmu.debugWrite(this.linear(address), bytes);
    const writable = Math.max(0, Math.min(bytes.length, this.mmu.physical.ramBytes - address));
    if (writable) this.mmu.physical.patch(address, bytes.subarray(0, writable));
    return writable;
  }

  disassemble(linear: number, instructionOffset: number, count: number, codeSize?: 16 | 32 | 64): DisassembledInstruction[] {
    const { state } = this.engine.cpu;
    return listInstructions({
      read: (at, length) => this.mmu.debugRead(at, length), decoder: this.engine.decoder,
      csBase: state.code64 ? 0 : state.base(Segment.CS), codeSize: codeSize ?? (state.code64 ? 64 : state.bigCode ? 32 : 16),
    }, this.linear(linear), instructionOffset, count);
  }

  counters(): Record<string, number> {
    const words = this.engine.cpu.state.u32;
    const values = Object.fromEntries(counters.map(({ id }) => {
      const at = counterAddress(id) >> 2;
      return [id, words[at] + words[at + 1] * 2 ** 32];
    }));
    // Faults that the engine delivers by itself are in the state page.
    values.skippedTicks += this.skippedTicks;
    values.instructions = this.engine.now - values.skippedTicks;
    return values;
  }

  hiddenPageFaults(most: number): { linear: number; count: number }[] {
    return this.mmu.hiddenPageFaults(most);
  }

  postMortem(): PostMortem | undefined {
    return this.lastPostMortem;
  }

  private lastBranches(): { from: number; to: number }[] {
    const { state } = this.engine.cpu;
    const next = state.u32[BRANCH_RING_NEXT >> 2] / 16;
    const result: { from: number; to: number }[] = [];
    for (let i = 0; i < BRANCH_RING_ENTRIES; i++) {
      const at = (BRANCH_RING + 16 * ((next + i) % BRANCH_RING_ENTRIES)) >> 2;
      const from = linearNumber(state.u32[at], state.u32[at + 1]);
      const to = linearNumber(state.u32[at + 2], state.u32[at + 3]);
      if (from || to) result.push({ from, to });
    }
    return result;
  }

  // ---- people ----

  screen(): Screen {
    const text = this.board.vga.text();
    if (text) return text;
    const { pixels, ...picture } = this.board.vga.picture();
    const { width, height } = picture;
    return { kind: 'graphics', ...picture, rectangles: [{ x: 0, y: 0, width, height, pixels }] };
  }

  picture(): { width: number; height: number; bytes: Uint8Array } {
    return toDots(this.board.vga.picture());
  }

  translation(stage: DumpStage): string {
    return new TranslationDump(this.engine).text(stage);
  }

  translatedCode(linear: number, count = false): TranslatedCode {
    const { state } = this.engine.cpu;
    return this.translatedCodeReader.at(this.linear(linear), state.code64 ? 64 : state.bigCode ? 32 : 16, count, (from, instructions) =>
      this.disassemble(from, 0, instructions).map(({ linear: at, bytes, text, control, valid }) => ({ linear: at, bytes, text, ends: control !== undefined || !valid })));
  }

  stopCounting(): void {
    this.translatedCodeReader.stopCounting();
  }

  hotCode(most: number): HotCodeSample {
    return this.translatedCodeReader.hot(most);
  }

  devices(): DeviceSnapshot[] {
    return this.board.devices.map(deviceSnapshot);
  }

  driveSummaries(): DriveSummary[] {
    return this.drives.summaries();
  }

  saveDrive(drive: WritableDrive, format: DiskSaveFormat, identity: Uint8Array): Uint8Array {
    return this.drives.saved(drive, format, identity);
  }

  changedDrive(drive: WritableDrive): Uint8Array | undefined {
    return this.drives.changed(drive);
  }

  serialInput(port: number, bytes: Uint8Array): number {
    return port === VIRTIO_CONSOLE_PORT ? this.board.virtio.typed(bytes) : this.board.uarts[port]?.receive(bytes) ?? bytes.length;
  }

  mouse(movement: MouseMovement): void {
    this.board.keyboard.move(movement);
  }

  keyboard(scancodes: readonly number[]): number {
    return this.board.keyboard.input(scancodes);
  }
}

function checkedMemory(memoryMiB: number): number {
  if (!Number.isInteger(memoryMiB) || memoryMiB < 1 || memoryMiB > MEMORY_MIB_MAX) {
    throw new MachineError('memory', `The memory size is ${memoryMiB} MiB; it has to be a whole number from 1 to ${MEMORY_MIB_MAX}.`, 'Set a size such as 64.');
  }
  return memoryMiB * 1024 * 1024;
}

function checkedProcessors(processors = 1): number {
  if (!Number.isInteger(processors) || processors < 1 || processors > PROCESSORS_MAX) {
    throw new MachineError('processors', `The number of processors is ${processors}; it has to be a whole number from 1 to ${PROCESSORS_MAX}.`, 'Leave it out for 1.');
  }
  return processors;
}

/** Bytes of a BIOS image, if there is one. */
function checkedBios(bios: Uint8Array | undefined): number | undefined {
  if (bios && (bios.length < BIOS_BYTES_MIN || bios.length > BIOS_BYTES_MAX || bios.length % WASM_PAGE !== 0)) {
    throw new MachineError('bios', `The BIOS image has ${bios.length} bytes; a ROM has a multiple of 64 KiB, from 64 KiB to 16 MiB.`, 'Give the whole image, such as SeaBIOS\'s bios.bin.');
  }
  return bios?.length;
}

function checkedModel(name: string = DEFAULT_CPU_MODEL): CpuModel {
  if (!isCpuModelName(name)) {
    throw new MachineError('cpuModel', `There is no processor model '${name}'.`, `The models are ${cpuModelNames.join(', ')}.`);
  }
  return cpuModels[name];
}

function checkedRate(rate: number | undefined): number {
  const value = rate ?? DEFAULT_INSTRUCTIONS_PER_SECOND;
  if (!Number.isFinite(value) || value < 1000 || value > 1e12) {
    throw new MachineError('instructionsPerSecond', `instructionsPerSecond is ${value}; it has to lie between 1,000 and 10^12.`, 'Leave it out for 100 million.');
  }
  return Math.round(value);
}

/** Offsets at which the pattern stands. */
function findIn(bytes: Uint8Array, pattern: Uint8Array, from: number, most: number): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(pattern[0], from); at >= 0 && found.length < most; at = bytes.indexOf(pattern[0], at + 1)) {
    let length = 1;
    while (length < pattern.length && bytes[at + length] === pattern[length]) length++;
    if (length === pattern.length) found.push(at);
  }
  return found;
}
