/**
 * Runs one machine for a client at the other end of a channel: slices of about ten milliseconds, between which messages are heard,
 * so that a pause is answered at once whatever the guest does. Knows no thread and no timer of its own: see node-worker.ts, browser-worker.ts.
 *
 * States: created → running ⇄ paused → ended. Every stop is told by one `stopped` event and every end by one `ended` event.
 */
import type { HostChannel } from '../protocol/channel';
import { exitStatus } from '../protocol/exit-status';
import { ExpressionError } from '../protocol/expression';
import type {
  ClientMessage, CounterSample, EndReason, MachineConfiguration, MachineErrorShape, RegisterSnapshot, RequestName, Requests, RunState, StopReason,
} from '../protocol/messages';
import { linearEip, stackPointer } from '../protocol/registers';
import { counters as counterRows } from '../vmm/cpu/counters';
import { MachineError } from '../vmm/machine/api';
import type { MachineApi, MachineOutputs, RunOutcome } from '../vmm/machine/api';
import { deferred, type NetworkHost } from '../vmm/network/host';
import type { RegionCompiler } from '../vmm/translate/region-job';
import { BreakpointTable, evaluateIn } from './breakpoints';
import { InputQueue } from './input-queue';
import { Pacer, sliceMilliseconds } from './pacer';
import { Publisher } from './publisher';
import type { PublisherEnvironment, Timer } from './publisher';

export interface HostEnvironment extends PublisherEnvironment {
  /** Calls back after the messages that have already arrived were handled. */
  soon(callback: () => void): void;
  /** What a guest's network card reaches; absent where there is none. */
  readonly network?: NetworkHost;
  /** A thread for a machine's regions; absent or undefined where there is none. */
  regionCompiler?(): RegionCompiler | undefined;
}
export type MachineFactory = (configuration: MachineConfiguration, outputs: MachineOutputs) => MachineApi;

/** What the running machine is to do before it stops by itself. */
type Activity =
  | { readonly kind: 'run' }
  | { readonly kind: 'step'; remaining: number }
  | { readonly kind: 'runTo'; readonly linear: number; readonly minimumStack: number };

type Handlers = { [N in RequestName]: (args: Requests[N][0]) => Requests[N][1] };

/** Instructions of a step that are executed without listening to messages in between. */
const stepChunk = 10_000;
/** Four UARTs and the virtio console. */
const serialPorts = 5;
const maximumSerialInput = 0x10_0000;
const maximumKeys = 0x1000;
const maximumMovement = 0x10000;
const maximumMemoryRequest = 0x100_0000;
/** Bounds of searches and of summaries of address spaces. */
const maximumPattern = 256, maximumFound = 1000, maximumRanges = 10_000;
const maximumInstructions = 20_000;
/** Sleeping longer than this in one timer is pointless and overflows browsers' timers. */
const maximumSleepMilliseconds = 60_000;

export class MachineHost {
  private machine: MachineApi | undefined;
  private state: RunState = 'created';
  private activity: Activity = { kind: 'run' };
  private readonly breakpoints = new BreakpointTable();
  private exceptionStops: readonly number[] = [];
  private pacer = new Pacer('max', 1);
  private readonly publisher: Publisher;
  /** The instruction at the present EIP is executed even though a breakpoint stands there: its stop has been shown already. */
  private passBreakpoint = false;
  /** Where the last stop was reported, if execution has not moved since. */
  private reportedAt: number | undefined;
  /** The processor that ran last: it goes on, whichever one a person has selected meanwhile. */
  private stoppedProcessor = 0;
  /** The exception stop from which the machine is being resumed. */
  private resumedException: { readonly vector: number; readonly instructions: number } | undefined;
  private readonly serialQueues = Array.from({ length: serialPorts }, (_, port) => new InputQueue(
    `Serial port ${port}`, maximumSerialInput, (bytes) => Uint8Array.from(bytes), (bytes) => this.require().serialInput(port, bytes),
  ));
  private readonly keyQueue = new InputQueue('Keyboard', maximumKeys, (codes) => codes, (codes) => this.require().keyboard(codes));
  private sliceScheduled = false;
  /** `halted`: the processor waits for an event or input; otherwise the guest waits for the wall clock. */
  private sleep: { readonly timer: Timer | undefined; readonly halted: boolean; readonly wakeAt: number | undefined } | undefined;
  private waitingForClient = false;
  private hostMilliseconds = 0;
  private runningSince: number | undefined;

  constructor(private readonly channel: HostChannel, private readonly createMachine: MachineFactory, private readonly environment: HostEnvironment) {
    this.publisher = new Publisher(channel, environment, {
      counters: () => this.counterSample(),
      registers: () => this.require().registers(),
      screen: () => this.require().screen(),
    });
    channel.onMessage((message) => this.receive(message));
    channel.onClose(() => this.dispose());
  }

  dispose(): void {
    this.wake();
    this.publisher.dispose();
    this.machine?.dispose();
    this.machine = undefined;
    this.state = 'ended';
  }

  private receive(message: ClientMessage): void {
    if ('acknowledge' in message) {
      this.publisher.acknowledged(message.acknowledge, message.count);
      if (this.waitingForClient && !this.publisher.congested) {
        this.waitingForClient = false;
        this.schedule();
      }
      return;
    }
    try {
      // One table of handlers: the request's name picks the handler with the matching argument type.
      const handler = this.handlers[message.request] as ((args: unknown) => unknown) | undefined;
      if (!handler) throw new MachineError('request', `There is no request "${String(message.request)}"`);
      this.channel.post({ id: message.id, result: handler(message.arguments) });
    } catch (error) {
      this.channel.post({ id: message.id, error: errorShape(error) });
    }
  }

  private readonly handlers: Handlers = {
    create: (configuration) => this.create(configuration),
    continue: () => this.resume({ kind: 'run' }),
    pause: () => {
      if (this.state === 'running') this.stop({ kind: 'pause' });
    },
    step: ({ count }) => {
      if (!Number.isSafeInteger(count) || count < 1) throw new MachineError('arguments', `count is ${count}; it has to be a whole number from 1`);
      this.resume({ kind: 'step', remaining: count });
    },
    runTo: ({ linear, minimumStack }) => this.resume({ kind: 'runTo', linear, minimumStack: minimumStack ?? 0 }),
    restart: ({ configuration }) => this.restart(configuration),
    terminate: () => {
      if (this.machine && this.state !== 'ended') this.end({ kind: 'terminated' });
    },
    registers: () => this.require().registers(),
    processors: () => this.require().processorStates(),
    selectProcessor: ({ processor }) => {
      const machine = this.require();
      machine.selectProcessor(processor);
      return machine.registers();
    },
    powerButton: () => this.input(() => this.require().powerButton()),
    setRegister: ({ name, value }) => {
      const machine = this.require();
      machine.setRegister(name, value);
      this.moved();
      return machine.registers();
    },
    readMemory: ({ space, address, count }) => {
      checkRange('count', count, 0, maximumMemoryRequest);
      return this.require().readMemory(space, address, count);
    },
    findBytes: ({ pattern, from, most }) => {
      checkRange('the length of pattern', pattern.length, 1, maximumPattern);
      checkRange('from', from, 0, Number.MAX_SAFE_INTEGER);
      checkRange('most', most, 0, maximumFound);
      return this.require().findBytes(pattern, from, most);
    },
    translate: ({ linear }) => {
      checkRange('linear', linear, 0, Number.MAX_SAFE_INTEGER);
      return this.require().translate(linear);
    },
    addressSpace: ({ from, most }) => {
      checkRange('from', from, 0, Number.MAX_SAFE_INTEGER);
      checkRange('most', most, 1, maximumRanges);
      return this.require().addressSpace(from, most);
    },
    writeMemory: ({ space, address, bytes }) => {
      const written = this.require().writeMemory(space, address, bytes);
      if (this.state !== 'running') this.publisher.settle();
      return { written };
    },
    setBreakpoints: ({ breakpoints }) => {
      this.breakpoints.replace(breakpoints);
      this.armBreakpoints();
    },
    setExceptionStops: ({ vectors }) => {
      this.exceptionStops = vectors;
      this.machine?.setExceptionStops(vectors);
    },
    disassemble: ({ linear, instructionOffset, count, codeSize }) => {
      checkRange('count', count, 0, maximumInstructions);
      checkRange('instructionOffset', instructionOffset, -maximumInstructions, maximumInstructions);
      return this.require().disassemble(linear, instructionOffset, count, codeSize);
    },
    evaluate: ({ expression }) => evaluateIn(this.require(), expression),
    counters: () => this.counterSample(),
    screen: () => this.require().screen(),
    devices: () => this.require().devices(),
    translatedCode: ({ linear, count }) => {
      checkRange('linear', linear, 0, Number.MAX_SAFE_INTEGER);
      return this.require().translatedCode(linear, count === true);
    },
    stopCounting: () => this.require().stopCounting(),
    hotCode: ({ most }) => {
      checkRange('most', most, 0, maximumFound);
      return this.require().hotCode(most);
    },
    hiddenPageFaults: ({ most }) => this.require().hiddenPageFaults(most),
    postMortem: () => this.require().postMortem(),
    drives: () => this.require().driveSummaries(),
    changedDrive: ({ drive }) => this.require().changedDrive(drive),
    saveDrive: ({ drive, format, identity }) => this.require().saveDrive(drive, format, identity),
    serialInput: ({ port, bytes }) => {
      checkRange('port', port, 0, serialPorts - 1);
      this.input(() => this.serialQueues[port]?.push(bytes));
    },
    keyboard: ({ scancodes }) => this.input(() => this.keyQueue.push(scancodes)),
    mouse: (movement) => {
      for (const name of ['x', 'y', 'wheel', 'buttons'] as const) checkRange(name, movement[name], -maximumMovement, maximumMovement);
      this.input(() => this.require().mouse(movement));
    },
    subscribe: (rates) => {
      this.require();
      this.publisher.subscribe(rates);
    },
  };

  private require(): MachineApi {
    if (!this.machine) throw new MachineError('state', 'No machine has been created yet', 'Send "create" first.');
    return this.machine;
  }

  private create(configuration: MachineConfiguration): Requests['create'][1] {
    if (this.machine) throw new MachineError('state', 'This worker has a machine already', 'Use "restart" for another one.');
    const registers = this.adopt(this.build(configuration));
    return { counters: counterRows.map(({ id, title, definition }) => ({ id, title, definition })), registers };
  }

  private restart(configuration: MachineConfiguration | undefined): void {
    const old = this.require();
    // Built first: a bad configuration leaves the present machine as it is.
    const next = configuration ? this.build(configuration) : old;
    this.pauseClock();
    this.wake();
    this.waitingForClient = false;
    this.publisher.flush();
    if (next === old) old.reset();
    else old.dispose();
    const registers = this.adopt(next);
    this.publisher.post('stopped', { reason: { kind: 'entry' }, registers });
    this.publisher.settle();
  }

  private build(configuration: MachineConfiguration): MachineApi {
    const { network } = this.environment;
    const regionCompiler = this.environment.regionCompiler?.();
    return this.createMachine(configuration, {
      serial: (port, bytes) => this.publisher.collect('serial', port, bytes),
      debugPort: (bytes) => this.publisher.collect('debugPort', 0, bytes),
      log: (text) => this.publisher.post('log', { text }),
      ...(regionCompiler && { regionCompiler }),
      ...(network && { network: deferred(network, (event) => this.heard(event)) }),
    });
  }

  /** Something came over the network. */
  private heard(event: () => void): void {
    if (this.machine) this.guarded(() => this.input(event));
  }

  /** @returns whether the devices took any of the input that waits. */
  private pumpInput(): boolean {
    return [...this.serialQueues, this.keyQueue].map((queue) => queue.pump()).includes(true);
  }

  /** Makes a machine that has not run yet the present one. */
  private adopt(machine: MachineApi): RegisterSnapshot {
    this.machine = machine;
    this.state = 'created';
    this.activity = { kind: 'run' };
    this.pacer = new Pacer(machine.configuration.pace, machine.instructionsPerSecond);
    this.hostMilliseconds = 0;
    this.resumedException = undefined;
    for (const queue of [...this.serialQueues, this.keyQueue]) queue.clear();
    this.breakpoints.resetHits();
    this.armBreakpoints();
    machine.setExceptionStops(this.exceptionStops);
    const registers = machine.registers();
    this.stoppedProcessor = machine.processor;
    this.reportedAt = machine.configuration.stopOnEntry ? linearEip(registers) : undefined;
    return registers;
  }

  private armBreakpoints(): void {
    const target = this.state === 'running' && this.activity.kind === 'runTo' ? [this.activity.linear] : [];
    this.machine?.setBreakpoints([...new Set([...this.breakpoints.addresses, ...target])]);
  }

  /** A person changed registers: a breakpoint at the new place counts again. */
  private moved(): void {
    if (this.state === 'running' || this.reportedAt === undefined) return;
    if (linearEip(this.require().registers()) !== this.reportedAt) this.reportedAt = undefined;
    this.publisher.settle();
  }

  private input(deliver: () => void): void {
    const machine = this.require();
    const sleep = this.sleep?.halted ? this.sleep : undefined;
    if (sleep) {
      // Virtual time has stood still while the processor slept; the input happens now.
      const now = this.pacer.countAt(this.environment.now());
      if (now < Number.MAX_SAFE_INTEGER) machine.idleUntil(Math.min(now, sleep.wakeAt ?? now));
    }
    deliver();
    if (sleep) {
      this.wake();
      this.schedule();
    }
  }

  private resume(activity: Activity): void {
    const machine = this.require();
    if (this.state === 'ended') throw new MachineError('ended', 'The machine has ended', 'Restart it.');
    if (this.state === 'running') return;
    this.state = 'running';
    this.activity = activity;
    if (activity.kind !== 'step' && machine.processor !== this.stoppedProcessor) machine.selectProcessor(this.stoppedProcessor);
    const now = this.environment.now();
    this.runningSince = now;
    this.pacer.anchor(now, machine.instructions);
    if (activity.kind === 'runTo') this.armBreakpoints();
    this.passBreakpoint = this.reportedAt !== undefined && linearEip(machine.registers()) === this.reportedAt;
    this.reportedAt = undefined;
    if (activity.kind === 'step' && activity.remaining <= stepChunk) {
      // Short steps end within this message: viewers see them as one change.
      this.guarded(() => this.advance(activity.remaining));
      if ((this.state as RunState) !== 'running') return;
    }
    this.publisher.post('running', {});
    if (!this.sleep) this.schedule();
  }

  private schedule(): void {
    if (this.sliceScheduled) return;
    this.sliceScheduled = true;
    this.environment.soon(() => {
      this.sliceScheduled = false;
      if (this.state === 'running' && !this.sleep && !this.waitingForClient) this.guarded(() => this.slice());
    });
  }

  private slice(): void {
    const deadline = this.environment.now() + sliceMilliseconds;
    let now = deadline - sliceMilliseconds;
    this.pumpInput();
    while (this.state === 'running' && !this.sleep && now < deadline) {
      const machine = this.require();
      const allowed = this.pacer.allowance(now, machine.instructions);
      if (allowed === 0) {
        this.sleepUntil(machine.instructions + Math.ceil(machine.instructionsPerSecond / 250), undefined);
        break;
      }
      const before = machine.instructions;
      this.advance(allowed);
      const after = this.environment.now();
      this.pacer.measured(machine.instructions - before, after - now);
      now = after;
      if (this.publisher.congested) break;
    }
    this.publisher.flush();
    if (this.state !== 'running') return;
    this.publisher.poke();
    if (this.publisher.congested) this.waitingForClient = true;
    else if (!this.sleep) this.schedule();
  }

  /** Runs at most `budget` instructions and acts on how that went. */
  private advance(budget: number): void {
    const machine = this.require();
    const limit = machine.configuration.maxInstructions ?? Infinity;
    const left = limit - machine.instructions;
    if (left <= 0) {
      this.end({ kind: 'instructionLimit' });
      return;
    }
    const before = machine.instructions;
    if (this.activity.kind === 'step') {
      const count = Math.min(this.activity.remaining, budget, stepChunk, left);
      const outcome = machine.step(count);
      this.passBreakpoint = false;
      this.activity.remaining -= outcome.kind === 'slice' ? count : machine.instructions - before;
      this.act(outcome);
    } else {
      const pass = this.passBreakpoint;
      this.passBreakpoint = false;
      this.act(pass ? machine.step(1) : machine.run(Math.min(budget, left)));
    }
  }

  private act(outcome: RunOutcome): void {
    switch (outcome.kind) {
      case 'slice':
        this.resumedException = undefined;
        if (this.activity.kind === 'step' && this.activity.remaining <= 0) this.stop({ kind: 'step' });
        return;
      case 'idle':
        this.idle(outcome.wakeAt);
        return;
      case 'breakpoint':
        this.breakpoint(outcome.linear);
        return;
      case 'dataBreakpoint':
        this.stop({ kind: 'dataBreakpoint', address: outcome.linear });
        return;
      case 'exception':
        this.exception(outcome);
        return;
      case 'ended':
        this.end(outcome.reason);
    }
  }

  private idle(wakeAt: number | undefined): void {
    const machine = this.require();
    if (this.pumpInput()) return;
    if (wakeAt === undefined) {
      this.sleep = { timer: undefined, halted: true, wakeAt: undefined };
      return;
    }
    if (machine.awaitsHost && machine.configuration.pace === 'max') {
      // As long as it would take: others answer in their own time.
      this.sleepFor(this.pacer.duration(wakeAt - machine.instructions), wakeAt, () => machine.idleUntil(wakeAt));
    } else if (wakeAt <= this.pacer.countAt(this.environment.now())) {
      machine.idleUntil(wakeAt);
    } else {
      this.sleepUntil(wakeAt, wakeAt);
    }
  }

  /** Waits until the wall clock reaches a count. `wakeAt`: the processor halts until then, its clock is moved. */
  private sleepUntil(count: number, wakeAt: number | undefined): void {
    this.sleepFor(this.pacer.millisecondsUntil(count, this.environment.now()), wakeAt, () => {
      const reached = this.pacer.countAt(this.environment.now());
      if (wakeAt !== undefined) this.require().idleUntil(Math.min(wakeAt, Math.max(reached, this.require().instructions)));
    });
  }

  private sleepFor(milliseconds: number, wakeAt: number | undefined, awake: () => void): void {
    const timer = this.environment.later(() => {
      this.sleep = undefined;
      this.guarded(() => {
        awake();
        this.slice();
      });
    }, Math.min(maximumSleepMilliseconds, Math.max(1, Math.ceil(milliseconds))));
    this.sleep = { timer, halted: wakeAt !== undefined, wakeAt };
  }

  private wake(): void {
    this.sleep?.timer?.cancel();
    this.sleep = undefined;
  }

  private breakpoint(linear: number): void {
    const machine = this.require();
    const { ids, log } = this.breakpoints.hit(linear, machine);
    for (const text of log) this.publisher.post('log', { text });
    if (ids.length > 0) {
      this.stop({ kind: 'breakpoint', ids });
      return;
    }
    const { activity } = this;
    if (activity.kind === 'runTo' && linear === activity.linear && stackPointer(machine.registers()) >= activity.minimumStack) {
      this.stop({ kind: 'step' });
      return;
    }
    if (activity.kind === 'step' && activity.remaining <= 0) this.stop({ kind: 'step' });
    else this.passBreakpoint = true;
  }

  private exception(outcome: Extract<RunOutcome, { kind: 'exception' }>): void {
    const machine = this.require();
    const resumed = this.resumedException;
    if (resumed?.vector === outcome.vector && resumed.instructions === machine.instructions) {
      // The same exception again, because the person said "continue": now the guest gets it.
      this.resumedException = undefined;
      machine.setExceptionStops([]);
      const delivered = machine.step(1);
      machine.setExceptionStops(this.exceptionStops);
      this.act(delivered);
      return;
    }
    this.resumedException = { vector: outcome.vector, instructions: machine.instructions };
    const { vector, name, errorCode, address } = outcome;
    this.stop({ kind: 'exception', vector, name, ...(errorCode !== undefined && { errorCode }), ...(address !== undefined && { address }) });
  }

  private stop(reason: StopReason): void {
    const machine = this.require();
    this.halt('paused');
    const registers = machine.registers();
    this.reportedAt = linearEip(registers);
    this.stoppedProcessor = machine.processor;
    this.publisher.post('stopped', { reason, registers });
    this.publisher.settle();
  }

  private end(reason: EndReason): void {
    const machine = this.require();
    this.halt('ended');
    this.publisher.post('ended', { reason, exitStatus: exitStatus(reason), registers: machine.registers(), counters: this.counterSample() });
    this.publisher.settle();
  }

  private halt(state: 'paused' | 'ended'): void {
    const wasRunningTo = this.activity.kind === 'runTo';
    this.pauseClock();
    this.wake();
    this.waitingForClient = false;
    this.state = state;
    this.activity = { kind: 'run' };
    if (wasRunningTo) this.armBreakpoints();
    this.publisher.flush();
  }

  private pauseClock(): void {
    if (this.runningSince === undefined) return;
    this.hostMilliseconds += this.environment.now() - this.runningSince;
    this.runningSince = undefined;
  }

  private counterSample(): CounterSample {
    const running = this.runningSince === undefined ? 0 : this.environment.now() - this.runningSince;
    return { values: this.require().counters(), hostMilliseconds: this.hostMilliseconds + running };
  }

  /** A defect of the monitor ends the machine, never the worker without a word. */
  private guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!this.machine) return;
      const message = error instanceof Error ? error.stack ?? error.message : String(error);
      try {
        this.end({ kind: 'internalError', message });
      } catch (second) {
        // Not even its registers can be read.
        this.state = 'ended';
        this.publisher.post('log', { text: `${message}\nand then: ${second instanceof Error ? second.stack ?? second.message : String(second)}` });
      }
    }
  }
}

function checkRange(name: string, value: number, minimum: number, maximum: number): void {
  if (Number.isSafeInteger(value) && value >= minimum && value <= maximum) return;
  throw new MachineError('arguments', `${name} is ${value}; it has to be a whole number from ${minimum} to ${maximum}`);
}

function errorShape(error: unknown): MachineErrorShape {
  if (error instanceof MachineError) return { code: error.code, message: error.message, ...(error.advice !== undefined && { advice: error.advice }) };
  if (error instanceof ExpressionError) return { code: 'expression', message: error.message };
  const message = error instanceof Error ? error.stack ?? error.message : String(error);
  return { code: 'internal', message: `Ringside failed: ${message}`, advice: 'This is a defect of Ringside; please report it with this text.' };
}
