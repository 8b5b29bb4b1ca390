/** Register values beside the lines that are stepped (VS Code's inline values). */
import * as vscode from 'vscode';
import { pathKey } from '../../adapter/source-map';
import { codeSize } from '../../protocol/registers';
import { pathOf } from '../files';
import type { MachineSessions } from '../machine/sessions';
import { steppedLines, type LineValues } from './stepped-lines';

/** VS Code asks at once when the guest stops; the instruction at hand is known a moment later. */
const patienceMilliseconds = 500;

export class RegisterInlineValues implements vscode.InlineValuesProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeInlineValues = this.changed.event;
  private readonly subscription: vscode.Disposable;
  /** The values last given to the editor, for those who look at them from outside. */
  last: readonly LineValues[] = [];

  constructor(private readonly sessions: MachineSessions) {
    this.subscription = vscode.Disposable.from(this.changed, vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('ringside.inlineValues')) this.changed.fire();
    }));
  }

  async provideInlineValues(document: vscode.TextDocument, viewPort: vscode.Range): Promise<vscode.InlineValue[]> {
    const machine = this.sessions.current;
    if (!machine || machine.runState === 'ended' || !vscode.workspace.getConfiguration('ringside', document).get<boolean>('inlineValues.enabled', true)) return [];
    for (const end = Date.now() + patienceMilliseconds; (machine.runState !== 'paused' || !machine.stops[0]?.instruction) && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const [now] = machine.stops;
    if (!now || machine.runState !== 'paused') return [];
    const key = pathKey(pathOf(document.uri));
    this.last = steppedLines(machine.stops, codeSize(now.registers) !== 16);
    return this.last.filter((values) => pathKey(values.path) === key && values.line <= document.lineCount).map((values) => {
      const { range } = document.lineAt(values.line - 1);
      return new vscode.InlineValueText(range, values.text);
    }).filter((value) => viewPort.contains(value.range.start));
  }

  dispose(): void {
    this.subscription.dispose();
  }
}
