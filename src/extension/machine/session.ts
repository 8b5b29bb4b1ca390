/**
 * One debug session as the views see it: state, registers and counters of its machine, kept up to date from the session's events.
 * Talks to the machine only through the session's custom requests and events (protocol/dap.ts), so it also works when the adapter runs elsewhere.
 */
import * as vscode from 'vscode';
import {
  fromBase64, registersFromJson, screenFromJson, toBase64,
  type CustomEventName, type CustomEvents, type CustomRequestName, type CustomRequests, type InstructionJson,
} from '../../protocol/dap';
import { endReasonText } from '../../protocol/exit-status';
import type { CounterDefinition, CounterSample, RegisterSnapshot, RunState, ScreenText, StopReason } from '../../protocol/messages';
import { linearEip } from '../../protocol/registers';
import type { MachineViewModel } from '../../protocol/views';
import { machineViewModel, stopSentence, type MachineState } from './model';

/** Rates at which the views are told of counters and screens while the guest runs. */
export const countersHz = 10, screenHz = 30;

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
  private asked = false;
  /** This stop and the ones before it, newest first; the views mark what changed between the first two. */
  readonly stops: Stop[] = [];
  sample: CounterSample | undefined;
  screen: ScreenText | undefined;

  private readonly changed = new vscode.EventEmitter<void>();
  private readonly stopped = new vscode.EventEmitter<Stop>();
  private readonly sampled = new vscode.EventEmitter<CounterSample>();
  private readonly drawn = new vscode.EventEmitter<ScreenText>();
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

  async typeSerial(text: string): Promise<void> {
    await this.request('ringside/serialInput', { port: 0, data: toBase64(new TextEncoder().encode(text)) });
  }

  async sendKeys(scancodes: readonly number[]): Promise<void> {
    if (scancodes.length > 0) await this.request('ringside/keyboard', { scancodes });
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
      this.describe();
      this.changed.fire();
    },
    'ringside/stopped': ({ reason, registers }) => {
      this.state = 'paused';
      this.status = stopSentence(reason);
      this.postMortem = undefined;
      this.registers = registersFromJson(registers);
      this.describe();
      void this.rememberStop(reason, this.registers);
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
      this.screen = screenFromJson(screen);
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

  private async rememberStop(reason: StopReason, registers: RegisterSnapshot): Promise<void> {
    // At power-on (a restart, too) nothing was before.
    if (reason.kind === 'entry') this.stops.length = 0;
    const stop: Stop = { reason, registers };
    this.stops.unshift(stop);
    this.stops.length = Math.min(this.stops.length, 16);
    // Registers first, at once; the instruction's text follows.
    this.changed.fire();
    try {
      const { instructions } = await this.request('ringside/disassemble', { linear: linearEip(registers), count: 1 });
      if (instructions[0] && this.stops[0] === stop) this.stops[0] = { ...stop, instruction: instructions[0] };
    } catch {
      // The session ended meanwhile, or nothing can be read there: the view does without.
    }
    if (this.stops[0]?.registers !== registers) return;
    try {
      const sample = await this.request('ringside/counters', {});
      this.sample = sample;
      this.sampled.fire(sample);
    } catch {
      // As above.
    }
    this.changed.fire();
    this.stopped.fire(this.stops[0]);
  }

  /** Asks once for what does not change, and for the periodic events. */
  describe(): void {
    if (this.asked) return;
    this.asked = true;
    const attempt = async (): Promise<void> => {
      const machine = await this.request('ringside/machine', {});
      this.definitionList = machine.counters;
      if (this.state === 'created' && machine.state !== 'created') {
        this.state = machine.state;
        this.status = machine.state === 'running' ? 'Running' : machine.state === 'paused' ? 'Paused' : this.status;
      }
      await this.request('ringside/subscribe', { countersHz, screenHz });
      this.screen = screenFromJson(await this.request('ringside/screen', {}));
      this.drawn.fire(this.screen);
      this.changed.fire();
    };
    // Before the launch request was answered there is no machine yet; its first event asks again.
    attempt().catch(() => { this.asked = false; });
  }

  dispose(): void {
    for (const emitter of [this.changed, this.stopped, this.sampled, this.drawn, this.transmitted]) emitter.dispose();
  }
}
