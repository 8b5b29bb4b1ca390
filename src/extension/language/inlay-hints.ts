/** Addresses and bytes before each line of a source, from the assembler. */
import * as vscode from 'vscode';
import { pathKey } from '../../adapter/source-map';
import { pathOf } from '../files';
import { isProgram, type Assemblies } from './assembly';
import { addressDigits, layoutOf, layoutText, layoutTooltip, type LineLayout } from './line-layout';

export class AddressHints implements vscode.InlayHintsProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeInlayHints = this.changed.event;
  private readonly subscriptions: vscode.Disposable;

  constructor(private readonly assemblies: Assemblies) {
    this.subscriptions = vscode.Disposable.from(
      this.changed,
      assemblies.onDidAssemble(() => this.changed.fire()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('ringside.inlayHints')) this.changed.fire();
      }),
    );
  }

  provideInlayHints(document: vscode.TextDocument, range: vscode.Range): vscode.InlayHint[] {
    const shown = vscode.workspace.getConfiguration('ringside', document).get<string>('inlayHints');
    if (shown === 'off') return [];
    const layout = this.layout(document);
    if (!layout || layout.size === 0) return [];
    const digits = addressDigits(layout.values());
    const hints: vscode.InlayHint[] = [];
    for (let line = range.start.line; line <= Math.min(range.end.line, document.lineCount - 1); line++) {
      const at = layout.get(line + 1);
      const hint = new vscode.InlayHint(new vscode.Position(line, 0), layoutText(at, digits, shown === 'addressesAndBytes'));
      hint.paddingRight = true;
      if (at) hint.tooltip = layoutTooltip(at);
      hints.push(hint);
    }
    return hints;
  }

  /** A fragment's lines are where the first open program that includes it put them. */
  private layout(document: vscode.TextDocument): Map<number, LineLayout> | undefined {
    const key = pathKey(pathOf(document.uri));
    const programs = isProgram(document) ? [document] : vscode.workspace.textDocuments.filter(isProgram);
    for (const program of programs) {
      const assembly = this.assemblies.get(program);
      const layout = assembly && layoutOf(assembly, (one) => pathKey(one) === key);
      if (layout && layout.size > 0) return layout;
    }
    return undefined;
  }

  dispose(): void {
    this.subscriptions.dispose();
  }
}
