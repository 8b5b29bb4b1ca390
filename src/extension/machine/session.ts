/**
 * One debug session as the views see it: state, registers and counters of its machine, kept up to date from the session's events.
 * Talks to the machine only through the session's custom requests and events (protocol/dap.ts), so it also works when the adapter runs elsewhere.
 */
import * as vscode from 'vscode';
import { pathKey } from '../../adapter/source-map';
import {
  fromBase64, registersFromJson, screenFromJson, toBase64,
  type CustomEventName, type CustomEvents, type CustomRequestName, type CustomRequests, type InstructionJson,
} from '../../protocol/dap';
import { endReasonText } from '../../protocol/exit-status';
import type { CounterDefinition, CounterSample, MouseMovement, RegisterSnapshot, RunState, Screen, StopReason } from '../../protocol/messages';
import { applyScreen } from '../../protocol/picture';
import { linearEip } from '../../protocol/registers';
import type { MachineViewModel } from '../../protocol/views';
import { machineViewModel, stopSentence, type MachineState } from './model';

/** Rates at which the views are told of counters and screens while the guest runs. */
export const countersHz = 10, screenHz = 30;

/** Stops that are remembered, for the values beside the lines that were stepped. */
const stopsKept = 16;

/** Where the guest stopped, and what stands there. */
export interface Stop {
  readonly reason: StopReason;
  readonly registers: RegisterSnapshot;
  readonly instruction?: InstructionJson;
}

export class MachineSession implements vscode.Disposable {
  private state: RunState = 'created';
  private status = 'Starting';
  private registers: RegisterSnapshot | undefined;
  private postMortem: MachineState['postMortem'];
  private definitionList: readonly CounterDefinition[] = [];
  private sourceList: readonly string[] = [];
  private asked = false;
  /** The machine stands still, but the debugger may go on: a step of a line can take many stops. */
  private halt: Stop | undefined;
  /** This stop and the ones before it, newest first; the views mark what changed between the first two. */
  readonly stops: Stop[] = [];
  sample: CounterSample | undefined;
  screen: Screen | undefined;

  private readonly changed = new vscode.EventEmitter<void>();
  private readonly stopped = new vscode.EventEmitter<Stop>();
  private readonly sampled = new vscode.EventEmitter<CounterSample>();
  private readonly drawn = new vscode.EventEmitter<Screen>();
  private readonly transmitted = new vscode.EventEmitter<{ readonly port: number; readonly bytes: Uint8Array }>();
  /** State, registers or definitions differ. */
  readonly onDidChange = this.changed.event;
  /** The stop's instruction is known. */
  readonly onDidStop = this.stopped.event;
  readonly onDidSample = this.sampled.event;
  readonly onDidDraw = this.drawn.event;
  readonly onDidTransmit = this.transmitted.event;

  constructor(readonly debugSession: vscode.DebugSession) {}

  get program(): string {
    return this.debugSession.name;
  }
  get runState(): RunState {
    return this.state;
  }
  get definitions(): readonly CounterDefinition[] {
    return this.definitionList;
  }
  get live(): boolean {
    return this.state === 'running' || this.state === 'paused';
  }

  /** Whether the program has code from a file, by its path. */
  hasSource(path: string): boolean {
    const key = pathKey(path);
    return this.sourceList.some((source) => pathKey(source) === key);
  }

  /** The Machine view's texts. */
  model(): MachineViewModel {
    const [now, before] = this.stops;
    return machineViewModel({
      program: this.program, state: this.state, status: this.status, registers: this.registers,
      previous: this.state === 'paused' ? before?.registers : undefined,
      instruction: this.state === 'paused' ? now?.instruction?.text : undefined,
      postMortem: this.postMortem,
    });
  }

  request<N extends CustomRequestName>(name: N, args: CustomRequests[N][0]): Thenable<CustomRequests[N][1]> {
    return this.debugSession.customRequest(name, args);
  }

  async typeSerial(text: string, port = 0): Promise<void> {
    await this.request('ringside/serialInput', { port, data: toBase64(new TextEncoder().encode(text)) });
  }

  async sendKeys(scancodes: readonly number[]): Promise<void> {
    if (scancodes.length > 0) await this.request('ringside/keyboard', { scancodes });
  }

  async moveMouse(movement: MouseMovement): Promise<void> {
    await this.request('ringside/mouse', movement);
  }

  receive(name: string, body: unknown): void {
    const handler = Object.hasOwn(this.handlers, name) ? this.handlers[name as CustomEventName] : undefined;
    (handler as ((body: unknown) => void) | undefined)?.(body);
  }

  private readonly handlers: { readonly [N in CustomEventName]?: (body: CustomEvents[N]) => void } = {
    'ringside/running': () => {
      this.state = 'running';
      this.status = 'Running';
      this.postMortem = undefined;
      this.halt = undefined;
      this.describe();
      this.changed.fire();
    },
    'ringside/stopped': ({ reason, registers }) => {
      this.halt = { reason, registers: registersFromJson(registers) };
      this.describe();
    },
    'ringside/ended': ({ reason, exitStatus, registers, counters }) => {
      this.state = 'ended';
      this.status = `${endReasonText(reason as Parameters<typeof endReasonText>[0])} Exit status ${exitStatus}.`;
      this.registers = registersFromJson(registers);
      this.sample = counters;
      if (reason.kind === 'tripleFault') this.postMortem = reason.postMortem;
      this.sampled.fire(counters);
      this.changed.fire();
    },
    'ringside/serial': ({ port, data }) => this.transmitted.fire({ port, bytes: fromBase64(data) }),
    'ringside/counters': ({ registers, ...sample }) => {
      this.sample = sample;
      if (this.state === 'running') {
        this.registers = registersFromJson(registers);
        this.changed.fire();
      }
      this.sampled.fire(sample);
    },
    'ringside/screen': (screen) => {
      this.screen = applyScreen(this.screen, screenFromJson(screen));
      this.drawn.fire(this.screen);
    },
  };

  /** The debug session is over, whatever its machine said last. */
  ended(): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    if (this.status === 'Running' || this.status === 'Starting' || this.status.startsWith('Paused')) this.status = 'The machine was terminated.';
    this.changed.fire();
  }

  /** The debugger told VS Code of a stop: this is one that a person sees. The machine itself may have come to the entry point by steps. */
  async presentStop(reason: unknown): Promise<void> {
    if (this.state === 'ended') return;
    let stop: Stop;
    try {
      const halt = this.halt ?? { reason: { kind: 'pause' }, registers: registersFromJson(await this.request('ringside/registers', {})) };
      stop = reason === 'entry' ? { ...halt, reason: { kind: 'entry' } } : halt;
    } catch {
      return; // The session ended meanwhile.
    }
    this.state = 'paused';
    this.status = stopSentence(stop.reason);
    this.registers = stop.registers;
    this.postMortem = undefined;
    // A clock that went back belongs to a machine that was restarted: nothing was before.
    if (reason === 'entry' || this.stops[0] && stop.registers.instructions < this.stops[0].registers.instructions) this.stops.length = 0;
    this.stops.unshift(stop);
    this.stops.length = Math.min(this.stops.length, stopsKept);
    this.describe();
    // Registers first, at once; the instruction's text and the counters follow.
    this.changed.fire();
    const [found, counted] = await Promise.allSettled([
      this.request('ringside/disassemble', { linear: linearEip(stop.registers), count: 1 }),
      this.request('ringside/counters', {}),
    ]);
    const at = this.stops.indexOf(stop);
    if (at < 0) return;
    if (found.status === 'fulfilled' && found.value.instructions[0]) this.stops[at] = { ...stop, instruction: found.value.instructions[0] };
    if (counted.status === 'fulfilled') {
      this.sample = counted.value;
      this.sampled.fire(counted.value);
    }
    this.changed.fire();
    this.stopped.fire(this.stops[at]);
  }

  /** Asks once for what does not change. */
  describe(): void {
    if (this.asked) return;
    this.asked = true;
    const attempt = async (): Promise<void> => {
      const machine = await this.request('ringside/machine', {});
      this.definitionList = machine.counters;
      this.sourceList = machine.sources;
      if (this.state === 'created' && machine.state !== 'created') {
        this.state = machine.state;
        this.status = machine.state === 'running' ? 'Running' : machine.state === 'paused' ? 'Paused' : this.status;
      }
      this.changed.fire();
    };
    // Before the launch request was answered there is no machine yet; its first event asks again.
    attempt().catch(() => { this.asked = false; });
  }

  dispose(): void {
    for (const emitter of [this.changed, this.stopped, this.sampled, this.drawn, this.transmitted]) emitter.dispose();
  }
}
