/**
 * The virtual processors of a machine: whose turn it is, and how the turn passes. One of them at a time is in the state page and runs; the
 * machine's clock is the sum of what all of them retire, so their time stamps agree and the same input gives the same interleaving.
 *
 * A processor runs for a quantum (a short one when it spins in a loop with PAUSE), or until it halts, or until something arrives for another one (an interrupt that it can take, INIT,
 * start-up): then that one is next. Otherwise the turns go around.
 */
import { Flag } from '../cpu/bits';
import type { Cpu } from '../cpu/cpu';
import { PAUSE_TOLD, STATE_END, TSC_OFFSET } from '../cpu/layout';
import { CpuState } from '../cpu/state';
import { ProcessorPage } from '../cpu/state-page';
import type { LocalApic } from '../devices/local-apic';

/** Instructions of a turn while others wait; of one whose processor spins (PAUSE). */
export const QUANTUM = 20_000;
const SPINNING_QUANTUM = 400;

export type Activity = 'running' | 'halted' | 'waitingForStartUp';

/** The engine as far as a change of processors concerns it. */
export interface ProcessorEngine {
  readonly cpu: Cpu;
  readonly now: number;
  repeating: boolean;
  stateChanged(): void;
  yield(): void;
  interruptMayWait(): void;
}

export class Processor {
  activity: Activity;
  nmiPending = false;
  initPending = false;
  /** Page at which a waiting processor was told to start. */
  startUpPage: number | undefined;
  /** The exception that was reported as a stop: the same one is delivered when the machine goes on. */
  reported: { readonly vector: number; readonly at: number } | undefined;
  /** DR6 bits of a debug trap that was reported as a stop and is still to be delivered. */
  heldTrap: number | undefined;
  /** The state page, while another processor has its turn. */
  readonly saved = new CpuState(new Uint8Array(STATE_END));
  readonly page = new ProcessorPage(this.saved.u8);
  /** What the processor and the engine keep outside the page, likewise. */
  kept = { pendingDebug: 0, nmiBlocked: false, repeating: false };

  constructor(readonly index: number, readonly apic: LocalApic) {
    this.activity = index === 0 ? 'running' : 'waitingForStartUp';
  }

  reset(): void {
    this.activity = this.index === 0 ? 'running' : 'waitingForStartUp';
    this.nmiPending = this.initPending = false;
    this.startUpPage = this.reported = this.heldTrap = undefined;
    this.kept = { pendingDebug: 0, nmiBlocked: false, repeating: false };
  }
}

export class Processors {
  readonly all: readonly Processor[];
  /** The one in the state page. */
  current: Processor;
  private readonly live: ProcessorPage;
  private quantumEnd = QUANTUM;
  /** Who has something to attend to and goes next. */
  private next: Processor | undefined;
  /** Whose turn it is while a person looks at another one. */
  private scheduled: Processor | undefined;

  /** @param switched called after another processor came into the page, with whether debug registers matter to either of them. */
  constructor(apics: readonly LocalApic[], private readonly engine: ProcessorEngine, private readonly switched: (debugRegisters: boolean) => void) {
    this.all = apics.map((apic, index) => new Processor(index, apic));
    this.current = this.all[0];
    this.live = new ProcessorPage(engine.cpu.state.u8);
    engine.cpu.state.u32[PAUSE_TOLD >> 2] = apics.length > 1 ? 1 : 0;
  }

  /** After a reset of the processor in the page: all are as after RESET, and the first one runs. */
  reset(): void {
    for (const processor of this.all) {
      processor.reset();
      processor.page.copyFrom(this.live);
    }
    this.current = this.all[0];
    this.next = this.scheduled = undefined;
    this.quantumEnd = this.engine.now + QUANTUM;
  }

  /** A processor's state, wherever it is. */
  state({ index }: { readonly index: number }): CpuState {
    return index === this.current.index ? this.engine.cpu.state : this.all[index].saved;
  }

  timeStamp(index: number): bigint {
    return BigInt.asUintN(64, BigInt(this.engine.now) + this.state({ index }).u64[TSC_OFFSET >> 3]);
  }

  // ---- messages from the local APICs ----

  interrupt(index: number): void {
    const processor = this.all[index];
    // With IF clear it is taken later: behind an instruction that sets IF, also one that does not leave WebAssembly.
    if (processor === this.current) this.engine.interruptMayWait();
    if (processor.activity === 'waitingForStartUp' || !(this.state(processor).systemFlags & Flag.IF)) return;
    this.attend(processor);
  }

  nmi(index: number): void {
    this.all[index].nmiPending = true;
    this.attend(this.all[index]);
  }

  init(index: number): void {
    const processor = this.all[index];
    processor.initPending = true;
    processor.startUpPage = undefined;
    this.attend(processor);
  }

  /** Only a processor that waits for it hears it. */
  startUp(index: number, page: number): void {
    const processor = this.all[index];
    if (processor.activity !== 'waitingForStartUp' && !processor.initPending) return;
    processor.startUpPage = page;
    this.attend(processor);
  }

  private attend(processor: Processor): void {
    if (processor !== this.current) this.next = processor;
    this.engine.yield();
  }

  /** The processor at work waits for another one (PAUSE in a loop): it has waited long enough when somebody else can run. */
  spins(): void {
    const { engine, current } = this;
    if (engine.now < this.quantumEnd - QUANTUM + SPINNING_QUANTUM || engine.now >= this.quantumEnd) return;
    if (!this.all.some((processor) => processor !== current && this.isRunnable(processor))) return;
    this.quantumEnd = engine.now;
    engine.yield();
  }

  // ---- turns ----

  private nmiTakes(processor: Processor): boolean {
    return processor.nmiPending && !(processor === this.current ? this.engine.cpu : processor.kept).nmiBlocked;
  }

  /** Whether the processor would execute or be woken now. */
  private isRunnable(processor: Processor): boolean {
    if (processor.initPending || processor.startUpPage !== undefined || processor.heldTrap !== undefined || processor.activity === 'running') return true;
    return processor.activity === 'halted' && (this.nmiTakes(processor) || (processor.apic.interruptRequested && (this.state(processor).systemFlags & Flag.IF) !== 0));
  }

  /** Whether nothing but a reset can wake any of them. */
  get allDead(): boolean {
    return this.all.every((processor) => processor.activity === 'waitingForStartUp' || (processor.activity === 'halted' && !(this.state(processor).systemFlags & Flag.IF)));
  }

  /** Instructions until the turn passes on by itself. */
  get left(): number {
    return this.all.length === 1 ? Infinity : Math.max(1, this.quantumEnd - this.engine.now);
  }

  /** Gives the turn to whose turn it is now. False when nobody can run. */
  schedule(): boolean {
    const { current, all } = this;
    if (all.length === 1) return this.isRunnable(current);
    const { next } = this;
    this.next = undefined;
    if (next !== undefined && this.isRunnable(next)) {
      this.turnTo(next);
      return true;
    }
    if (this.engine.now < this.quantumEnd && this.isRunnable(current)) return true;
    for (let n = 1; n <= all.length; n++) {
      const other = all[(current.index + n) % all.length];
      if (!this.isRunnable(other)) continue;
      this.turnTo(other);
      return true;
    }
    return false;
  }

  /** Whether the processor in the page can go on without the others having their turns (single steps). */
  get currentRuns(): boolean {
    return this.isRunnable(this.current);
  }

  private turnTo(processor: Processor): void {
    this.enter(processor);
    this.quantumEnd = this.engine.now + QUANTUM;
  }

  /** Puts a processor into the state page. */
  private enter(processor: Processor): void {
    const { engine, current } = this;
    if (processor === current) return;
    const { cpu } = engine;
    const debugged = cpu.state.dr(7) & 0xff;
    current.page.copyFrom(this.live);
    current.kept = { pendingDebug: cpu.pendingDebug, nmiBlocked: cpu.nmiBlocked, repeating: engine.repeating };
    this.live.copyFrom(processor.page);
    this.current = processor;
    cpu.pagingChanged('processor');
    engine.stateChanged();
    ({ pendingDebug: cpu.pendingDebug, nmiBlocked: cpu.nmiBlocked, repeating: engine.repeating } = processor.kept);
    this.switched(debugged !== 0 || (cpu.state.dr(7) & 0xff) !== 0);
  }

  // ---- people who look ----

  /** Shows another processor: registers, memory and single steps are its own. It does not get the turn. */
  select(index: number): void {
    this.scheduled ??= this.current;
    this.enter(this.all[index]);
  }

  /** The machine goes on: a step with the selected processor, anything else with the one whose turn it is. */
  resume(withSelected: boolean): void {
    if (this.scheduled !== undefined && !withSelected) this.enter(this.scheduled);
    this.scheduled = undefined;
  }
}
