/** The machines of all debug sessions, and the one that views and commands mean. */
import * as vscode from 'vscode';
import { debugType } from '../../protocol/dap';
import { MachineSession } from './session';

/** What an adapter sends, as far as it is looked at. */
interface SentMessage {
  readonly type?: string;
  readonly event?: string;
  readonly body?: unknown;
}

/** Ended machines stay to be looked at, but not without bound. */
const endedKept = 3;

export class MachineSessions implements vscode.Disposable {
  private readonly sessions = new Map<string, MachineSession>();
  private currentSession: MachineSession | undefined;
  private readonly started = new vscode.EventEmitter<MachineSession>();
  private readonly changed = new vscode.EventEmitter<MachineSession>();
  private readonly currentChanged = new vscode.EventEmitter<MachineSession | undefined>();
  /** A new machine, before its first event. */
  readonly onDidStart = this.started.event;
  /** Any machine changed its state. */
  readonly onDidChange = this.changed.event;
  readonly onDidChangeCurrent = this.currentChanged.event;
  private readonly disposables: vscode.Disposable[];

  constructor() {
    this.disposables = [
      this.started, this.changed, this.currentChanged,
      // A tracker sees all messages in their order and at once; VS Code's own custom events make a detour through the window.
      vscode.debug.registerDebugAdapterTrackerFactory(debugType, {
        createDebugAdapterTracker: (session) => ({ onDidSendMessage: (message: SentMessage) => this.follow(session, message) }),
      }),
      vscode.debug.onDidTerminateDebugSession((session) => this.sessions.get(session.id)?.ended()),
      vscode.debug.onDidChangeActiveDebugSession((session) => {
        const machine = session && this.sessions.get(session.id);
        if (machine) this.choose(machine);
      }),
    ];
  }

  private follow(session: vscode.DebugSession, { type, event, body }: SentMessage): void {
    if (type !== 'event' || event === undefined) return;
    // Initialized means that the program was loaded: a faulty one opens no views.
    if (event === 'initialized') this.of(session).describe();
    else if (event === 'stopped') void this.of(session).presentStop((body as { reason?: unknown } | undefined)?.reason);
    else this.sessions.get(session.id)?.receive(event, body);
  }

  private of(session: vscode.DebugSession): MachineSession {
    const known = this.sessions.get(session.id);
    if (known) return known;
    const machine = new MachineSession(session);
    this.sessions.set(session.id, machine);
    machine.onDidChange(() => this.changed.fire(machine));
    this.forgetOld();
    this.choose(machine);
    this.started.fire(machine);
    return machine;
  }

  get all(): readonly MachineSession[] {
    return [...this.sessions.values()];
  }

  /** The machine last started or selected; it may have ended. */
  get current(): MachineSession | undefined {
    return this.currentSession;
  }

  choose(machine: MachineSession): void {
    if (this.currentSession === machine) return;
    this.currentSession = machine;
    this.currentChanged.fire(machine);
  }

  private forgetOld(): void {
    const ended = this.all.filter((machine) => machine.runState === 'ended' && machine !== this.currentSession);
    for (const machine of ended.slice(0, Math.max(0, ended.length - endedKept))) {
      this.sessions.delete(machine.debugSession.id);
      machine.dispose();
    }
  }

  dispose(): void {
    for (const machine of this.all) machine.dispose();
    vscode.Disposable.from(...this.disposables).dispose();
  }
}
