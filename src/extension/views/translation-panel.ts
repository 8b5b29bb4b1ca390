/**
 * The Translation view: asks the current machine what it has made of the code at hand, and brings it to the webview, one update at a time.
 *
 * What is at hand: a place that was typed or chosen stays; else whatever a person pointed to last, the cursor's line in a source with code or the
 * frame of a stop; else the code in which the guest is found at work most.
 */
import * as vscode from 'vscode';
import type { CustomRequests } from '../../protocol/dap';
import { linearEip } from '../../protocol/registers';
import type { FromTranslationView, ToTranslationView, TranslationHeat, TranslationViewModel } from '../../protocol/views';
import { pathOf, uriOf } from '../files';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';
import { emptyModel, noHeat, translationHeat, translationModel, translationText, type HotAnswer } from '../translation/model';
import { WebviewPanelView } from './webview';

export const translationViewType = 'ringside.translation';

/** Between two updates while the guest runs. */
const updateMilliseconds = 250;
const hotShown = 8;

type Place = CustomRequests['ringside/translation'][0];
interface Followed {
  readonly place: Place;
  readonly text: string;
}

const noMachine = 'No machine runs. Start a program with F5; this view then shows what the translator makes of the code under the cursor, of the instruction at a stop, or of an address that you type.';
const nothingYet = 'The guest was not found at work yet. Put the cursor into its source, pause it, or type an address, label or register above.';

export class TranslationPanel extends WebviewPanelView<ToTranslationView, FromTranslationView> {
  private shown: MachineSession | undefined;
  private subscription: vscode.Disposable | undefined;
  private readonly subscriptions: vscode.Disposable;
  private pinned: string | undefined;
  private pointed: Followed | undefined;
  /** Linear address in the hottest code. */
  private hot: number | undefined;
  private sent: string | undefined;
  private sequence = 0;
  /** An update is being made, or is on its way. */
  private busy = false;
  private wanted = false;
  /** The machine that counts for this view. */
  private counting: MachineSession | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** What the webview was last sent. */
  model: TranslationViewModel = emptyModel('none', noMachine);
  heat: TranslationHeat = noHeat;

  constructor(extensionUri: vscode.Uri, private readonly sessions: MachineSessions) {
    super(extensionUri, { name: 'translation', viewType: translationViewType, title: 'Translation', icon: 'translation.svg' });
    this.subscriptions = vscode.Disposable.from(
      sessions.onDidChangeCurrent(() => {
        this.pointed = undefined;
        this.hot = undefined;
        this.refresh();
      }),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor, kind }) => {
        if (kind !== undefined) this.pointAt(textEditor);
      }),
      vscode.debug.onDidChangeActiveStackItem((item) => {
        if (item instanceof vscode.DebugStackFrame) void this.pointAtFrame(item);
      }),
    );
  }

  async open(preserveFocus: boolean, expression?: string): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (expression !== undefined) this.pinned = expression;
    this.show(vscode.ViewColumn.Beside, preserveFocus);
    if (editor && !this.pointed) this.pointAt(editor);
    if (!this.pointed && vscode.debug.activeStackItem instanceof vscode.DebugStackFrame) await this.pointAtFrame(vscode.debug.activeStackItem);
    this.update();
  }

  /** Shows no longer what was typed, but what is at hand. */
  follow(): void {
    this.pinned = undefined;
    this.update();
  }

  /** The whole view as text. */
  text(): string {
    return translationText(this.model, this.heat);
  }

  private pointAt({ document, selection }: vscode.TextEditor): void {
    if (document.uri.scheme === 'output' || !this.shown) return;
    const path = pathOf(document.uri);
    if (!this.shown.hasSource(path)) return;
    const line = selection.active.line + 1;
    this.pointed = { place: { path, line }, text: `the cursor, line ${line} of ${path.slice(path.lastIndexOf('/') + 1)}` };
    this.update();
  }

  private async pointAtFrame({ session, threadId, frameId }: vscode.DebugStackFrame): Promise<void> {
    const machine = this.shown;
    if (!this.isOpen || session.id !== machine?.debugSession.id) return;
    try {
      const { stackFrames } = await session.customRequest('stackTrace', { threadId, startFrame: 0, levels: 50 }) as { stackFrames: { id: number; name: string; instructionPointerReference?: string }[] };
      const frame = stackFrames.find(({ id }) => id === frameId);
      const expression = /0x[0-9a-f]+/i.exec(frame?.instructionPointerReference ?? '')?.[0];
      if (!frame || expression === undefined || this.shown !== machine) return;
      this.pointed = { place: { expression }, text: `the stop in ${frame.name}` };
    } catch {
      return; // The guest runs again.
    }
    this.update();
  }

  protected refresh(): void {
    this.subscription?.dispose();
    const machine = this.sessions.current;
    if (this.counting !== machine) this.stopCounting();
    this.shown = machine;
    this.sent = undefined;
    this.busy = false;
    this.subscription = machine && vscode.Disposable.from(machine.onDidChange(() => this.update()), machine.onDidStop(() => this.update()));
    this.update();
  }

  /** Shows the present state, as soon as the webview has drawn the one before. */
  private update(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.isVisible) return;
    this.wanted = true;
    if (!this.busy) void this.send();
  }

  private async send(): Promise<void> {
    this.busy = true;
    this.wanted = false;
    const machine = this.shown;
    const found = await this.describe(machine).catch((error: unknown) => ({
      model: emptyModel('failed', `${error instanceof Error ? error.message : String(error)}`, this.place(machine)), heat: noHeat,
    }));
    if (machine !== this.shown) return; // Another machine has asked for an update of its own.
    if (found) ({ model: this.model, heat: this.heat } = found);
    const text = JSON.stringify(this.model);
    const posted = this.post({ type: 'update', sequence: ++this.sequence, heat: this.heat, ...(text !== this.sent && { model: this.model }) });
    if (posted) this.sent = text;
    else this.busy = false;
  }

  private place(machine: MachineSession | undefined, follows = this.pointed?.text ?? 'the hottest code') {
    const { pinned } = this;
    const registers = machine?.runState === 'paused' ? machine.stops[0]?.registers : undefined;
    return {
      program: machine?.program ?? '', pinned: pinned !== undefined, follows: pinned ?? follows, ...(registers && { instructionPointer: linearEip(registers) }),
    };
  }

  /** Undefined when what is shown stays: the machine has ended, its last state is worth a look. */
  private async describe(machine: MachineSession | undefined): Promise<{ model: TranslationViewModel; heat: TranslationHeat } | undefined> {
    if (!machine) return { model: emptyModel('none', noMachine), heat: noHeat };
    if (machine.runState === 'ended') return this.model.program === machine.program && this.model.state !== 'none' ? undefined : { model: emptyModel('none', noMachine), heat: noHeat };
    const hot: HotAnswer = await machine.request('ringside/hotCode', { most: hotShown });
    const hottest = hot.code.at(0)?.linear;
    // What is shown stays as long as it contains the hottest code: which of a loop's units that is changes all the time.
    if (hottest !== undefined && (this.hot === undefined || !this.model.blocks.some(({ rows }) => rows.some(({ linear }) => linear === hottest)))) this.hot = hottest;
    const place: Place | undefined = this.pinned !== undefined ? { expression: this.pinned }
      : this.pointed?.place ?? (this.hot === undefined ? undefined : { expression: `0x${this.hot.toString(16)}` });
    if (!place) return { model: emptyModel('none', nothingYet, this.place(machine)), heat: noHeat };
    const answer = await machine.request('ringside/translation', { ...place, count: true });
    this.counting = machine;
    if (!this.isVisible) this.stopCounting();
    return { model: translationModel(answer, this.place(machine)), heat: translationHeat(answer, hot) };
  }

  protected snapshotRequest(id: number): ToTranslationView {
    return { type: 'snapshot', id };
  }

  protected receive(message: FromTranslationView): void {
    switch (message.type) {
      case 'acknowledge':
        if (message.sequence !== this.sequence) return;
        this.busy = false;
        if (this.wanted) this.update();
        else if (this.shown?.runState === 'running') this.timer ??= setTimeout(() => this.update(), updateMilliseconds);
        return;
      case 'show':
        if (typeof message.expression !== 'string' || message.expression.trim() === '') return;
        this.pinned = message.expression.trim();
        this.update();
        return;
      case 'follow':
        this.follow();
        return;
      case 'copy':
        void vscode.commands.executeCommand('ringside.copyTranslation');
        return;
      case 'openSource':
        void vscode.window.showTextDocument(uriOf(message.path), {
          viewColumn: vscode.ViewColumn.One, preserveFocus: true, selection: new vscode.Range(message.line - 1, 0, message.line - 1, 0),
        });
    }
  }

  /** The machine counts for nobody: its code shall run at full speed. */
  private stopCounting(): void {
    const { counting } = this;
    this.counting = undefined;
    if (counting?.live) counting.request('ringside/stopCounting', {}).then(undefined, () => undefined); // The session ended meanwhile.
  }

  protected override visibilityChanged(): void {
    if (this.isVisible) this.update();
    else {
      clearTimeout(this.timer);
      this.stopCounting();
    }
  }

  protected override closed(): void {
    this.stopCounting();
    clearTimeout(this.timer);
    this.sent = undefined;
    this.busy = false;
  }

  override dispose(): void {
    clearTimeout(this.timer);
    this.subscription?.dispose();
    this.subscriptions.dispose();
    super.dispose();
  }
}
