/** The VGA text screen's panel: sends what changed, one update at a time, and brings the keys to the guest. */
import * as vscode from 'vscode';
import { screenLines } from '../../protocol/codepage437';
import type { ScreenText } from '../../protocol/messages';
import { changedRuns } from '../../protocol/screen-difference';
import type { FromScreenView, ToScreenView } from '../../protocol/views';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { WebviewPanelView } from './webview';

export const screenViewType = 'ringside.screen';

/** A scan code message of the webview is a few bytes; anything longer is not a key. */
const mostScancodes = 256;

const blankScreen: ScreenText = { columns: 80, rows: 25, cells: new Uint8Array(80 * 25 * 2), cursor: { visible: false, column: 0, row: 0 } };

export class ScreenPanel extends WebviewPanelView<ToScreenView, FromScreenView> {
  private shown: MachineSession | undefined;
  private subscription: vscode.Disposable | undefined;
  private readonly subscriptions: vscode.Disposable;
  /** The picture that the webview has. */
  private sent: ScreenText | undefined;
  private sequence = 0;
  private waiting = false;
  private revealedFor: MachineSession | undefined;

  constructor(extensionUri: vscode.Uri, private readonly sessions: MachineSessions) {
    super(extensionUri, { name: 'screen', viewType: screenViewType, title: 'Screen', icon: 'screen.svg' });
    this.subscriptions = vscode.Disposable.from(
      sessions.onDidChangeCurrent(() => this.refresh()),
      sessions.onDidStart((machine) => {
        const reveal = () => vscode.workspace.getConfiguration('ringside').get<string>('screen.reveal');
        if (reveal() === 'onStart') void this.open(true);
        const drawn = machine.onDidDraw((screen) => {
          if (this.revealedFor === machine || reveal() !== 'onOutput' || !hasText(screen)) return;
          this.revealedFor = machine;
          drawn.dispose();
          void this.open(true);
        });
      }),
    );
  }

  /** Below the Machine view when that is beside the source; else beside the source. */
  async open(preserveFocus: boolean): Promise<void> {
    if (this.isOpen) {
      this.show(vscode.ViewColumn.Beside, preserveFocus);
      return;
    }
    const machineGroup = vscode.window.tabGroups.all.find((group) =>
      group.tabs.some((tab) => tab.input instanceof vscode.TabInputWebview && tab.input.viewType.endsWith('ringside.machine')));
    if (!machineGroup) {
      this.show(vscode.ViewColumn.Beside, preserveFocus);
      return;
    }
    const below = vscode.window.tabGroups.all.find((group) => group.viewColumn === machineGroup.viewColumn + 1);
    if (below) {
      this.show(below.viewColumn, preserveFocus);
      return;
    }
    // Moving works on the active editor: take the focus for a moment, and give it back.
    const editor = vscode.window.activeTextEditor;
    this.show(machineGroup.viewColumn, false);
    await vscode.commands.executeCommand('workbench.action.moveEditorToBelowGroup');
    if (preserveFocus && editor) {
      await vscode.window.showTextDocument(editor.document, { viewColumn: editor.viewColumn, preserveFocus: false, preview: false });
    }
  }

  /** Gives the keyboard to the guest. */
  async focus(): Promise<void> {
    await this.open(false);
    this.post({ type: 'focus' });
  }

  protected refresh(): void {
    this.subscription?.dispose();
    const machine = this.sessions.current;
    this.shown = machine;
    this.sent = undefined;
    this.waiting = false;
    this.subscription = machine && vscode.Disposable.from(
      machine.onDidDraw(() => this.update()),
      machine.onDidChange(() => this.postState()),
    );
    this.postState();
    this.update();
  }

  private postState(): void {
    const machine = this.shown;
    const text = !machine ? 'No machine runs.' : machine.live ? machine.runState === 'paused' ? 'Paused.' : '' : machine.model().status;
    this.post({ type: 'state', live: machine?.live ?? false, text });
  }

  private update(): void {
    const machine = this.shown;
    if (!machine || this.waiting) return;
    // A new machine has drawn nothing yet; the picture of the one before must go.
    const screen = machine.screen ?? blankScreen;
    const runs = changedRuns(this.sent, screen);
    const { cursor, columns, rows } = screen;
    if (this.sent && runs.length === 0 && JSON.stringify(cursor) === JSON.stringify(this.sent.cursor)) return;
    this.sequence++;
    if (!this.post({ type: 'update', sequence: this.sequence, program: machine.program, columns, rows, cursor, runs })) return;
    this.sent = screen;
    this.waiting = true;
  }

  protected snapshotRequest(id: number): ToScreenView {
    return { type: 'snapshot', id };
  }

  protected receive(message: FromScreenView): void {
    if (message.type === 'acknowledge' && message.sequence === this.sequence) {
      this.waiting = false;
      this.update();
    } else if (message.type === 'keyboard' && this.shown?.live && message.scancodes.length <= mostScancodes) {
      this.shown.sendKeys(message.scancodes).then(undefined, () => undefined); // The session ended meanwhile: there is nobody to press keys for.
    }
  }

  protected override closed(): void {
    this.sent = undefined;
    this.waiting = false;
  }

  override dispose(): void {
    this.subscription?.dispose();
    this.subscriptions.dispose();
    super.dispose();
  }
}

function hasText(screen: ScreenText): boolean {
  return screenLines(screen.columns, screen.rows, screen.cells).some((line) => line !== '');
}
