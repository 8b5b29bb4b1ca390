/** The Machine view beside the assembly: sends the current machine's texts and counters to its webview, and the view's buttons to the debugger. */
import * as vscode from 'vscode';
import type { FromMachineView, MachineViewCommand, MachineViewModel, ToMachineView } from '../../protocol/views';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { WebviewPanelView } from './webview';

export const machineViewType = 'ringside.machine';

const commandsOfButtons: Readonly<Record<MachineViewCommand, string>> = {
  continue: 'ringside.continue', pause: 'ringside.pause', stepInstruction: 'ringside.stepInstruction', restart: 'ringside.restart',
  terminate: 'ringside.terminate', showScreen: 'ringside.showScreen', showSerial: 'ringside.showSerial',
};

const noMachine: MachineViewModel = {
  program: '', state: 'none', status: 'No machine runs.', mode: '', general: [], system: [], floating: [], flags: [], segments: [], postMortem: [],
};

export class MachinePanel extends WebviewPanelView<ToMachineView, FromMachineView> {
  private shown: MachineSession | undefined;
  private subscription: vscode.Disposable | undefined;
  private definitionsSent: unknown;
  private readonly subscriptions: vscode.Disposable;
  /** The model last sent, for those who look at the view from outside. */
  model: MachineViewModel = noMachine;

  constructor(extensionUri: vscode.Uri, private readonly sessions: MachineSessions) {
    super(extensionUri, { name: 'machine', viewType: machineViewType, title: 'Machine', icon: 'machine.svg' });
    this.subscriptions = vscode.Disposable.from(
      sessions.onDidChangeCurrent(() => this.refresh()),
      sessions.onDidStart(() => {
        if (vscode.workspace.getConfiguration('ringside').get<string>('machineView.reveal') === 'onStart') this.open(true);
      }),
    );
  }

  open(preserveFocus: boolean): void {
    this.show(vscode.ViewColumn.Beside, preserveFocus);
  }

  protected refresh(): void {
    this.subscription?.dispose();
    const machine = this.sessions.current;
    this.shown = machine;
    this.definitionsSent = undefined;
    this.subscription = machine && vscode.Disposable.from(
      machine.onDidChange(() => this.update()),
      machine.onDidSample((sample) => this.post({ type: 'sample', sample })),
    );
    this.update();
    if (machine?.sample) this.post({ type: 'sample', sample: machine.sample });
  }

  private update(): void {
    const machine = this.shown;
    this.model = machine?.model() ?? noMachine;
    // New counters mean a new history: they are sent once for each machine and webview.
    if (machine && machine.definitions.length > 0 && this.definitionsSent !== machine.definitions
      && this.post({ type: 'counters', definitions: machine.definitions })) {
      this.definitionsSent = machine.definitions;
      if (machine.sample) this.post({ type: 'sample', sample: machine.sample });
    }
    this.post({ type: 'model', model: this.model });
  }

  protected snapshotRequest(id: number): ToMachineView {
    return { type: 'snapshot', id };
  }

  protected receive(message: FromMachineView): void {
    if (message.type === 'command' && Object.hasOwn(commandsOfButtons, message.command)) void vscode.commands.executeCommand(commandsOfButtons[message.command]);
  }

  override dispose(): void {
    this.subscription?.dispose();
    this.subscriptions.dispose();
    super.dispose();
  }
}
