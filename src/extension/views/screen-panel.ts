/** The screen's panel: sends what changed, one update at a time, and brings keys and mouse to the guest. */
import * as vscode from 'vscode';
import { linesOf } from '../../protocol/codepage437';
import type { Screen, ScreenGraphics, ScreenText } from '../../protocol/messages';
import { changedRectangles, sameFormat } from '../../protocol/picture';
import { changedRuns } from '../../protocol/screen-difference';
import type { FromScreenView, PictureUpdate, TextUpdate, ToScreenView } from '../../protocol/views';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { WebviewPanelView } from './webview';

export const screenViewType = 'ringside.screen';

/** A scan code message of the webview is a few bytes; anything longer is not a key. */
const mostScancodes = 256;

const blankScreen: ScreenText = {
  kind: 'text', columns: 80, rows: 25, cells: new Uint8Array(80 * 25 * 2), cursor: { visible: false, column: 0, row: 0 }, colours: [], blinks: true,
  cell: { width: 9, height: 16 },
};

export class ScreenPanel extends WebviewPanelView<ToScreenView, FromScreenView> {
  private shown: MachineSession | undefined;
  private subscription: vscode.Disposable | undefined;
  private readonly subscriptions: vscode.Disposable;
  /** The picture that the webview has. */
  private sent: Screen | undefined;
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
          if (this.revealedFor === machine || reveal() !== 'onOutput' || !hasContent(screen)) return;
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
    const update = this.changeOf(screen);
    if (!update) return;
    this.sequence++;
    if (!this.post({ ...update, sequence: this.sequence, program: machine.program })) return;
    this.sent = screen.kind === 'text' ? screen : keptPicture(screen);
    this.waiting = true;
  }

  /** What the webview needs to have this screen; undefined when it has it. */
  private changeOf(screen: Screen): WithoutSequence<TextUpdate> | WithoutSequence<PictureUpdate> | undefined {
    const { sent } = this;
    if (screen.kind === 'text') {
      const { kind, cells: _cells, ...rest } = screen;
      const runs = changedRuns(sent?.kind === kind ? sent : undefined, screen);
      return runs.length === 0 && sent?.kind === kind && sameLook(sent, screen) ? undefined : { type: 'text', ...rest, runs };
    }
    const { kind, ...picture } = screen;
    if (sent?.kind !== kind || !sameFormat(sent, screen)) return { type: 'picture', ...picture };
    const rectangles = changedRectangles(sent, screen);
    const sameColours = screen.colours?.every((colour, n) => colour === sent.colours?.[n]) ?? true;
    return rectangles.length === 0 && sameColours ? undefined : { type: 'picture', ...picture, rectangles };
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
    } else if (message.type === 'mouse' && this.shown?.live) {
      this.shown.moveMouse(message.movement).then(undefined, () => undefined);
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

type WithoutSequence<T> = Omit<T, 'sequence' | 'program'>;

/** The session changes its picture in place: what the webview has is remembered as a copy. */
function keptPicture(screen: ScreenGraphics): ScreenGraphics {
  return { ...screen, rectangles: screen.rectangles.map((part) => ({ ...part, pixels: part.pixels.slice() })) };
}

/** The same but for the cells. */
function sameLook(a: ScreenText, b: ScreenText): boolean {
  const look = ({ cursor, colours, blinks, cell, font }: ScreenText): string => JSON.stringify([cursor, colours, blinks, cell, font && Array.from(font)]);
  return look(a) === look(b);
}

/** Something to see: text, or a picture. */
function hasContent(screen: Screen): boolean {
  return screen.kind === 'graphics' || linesOf(screen).some((line) => line !== '');
}
