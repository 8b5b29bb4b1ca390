/** Read-only documents about the present machine: each is asked for its text anew when the machine stops. */
import * as vscode from 'vscode';
import type { MachineSession } from '../machine/session';
import type { MachineSessions } from '../machine/sessions';

export class StopDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly subscriptions: vscode.Disposable;

  /** @param text of what the document's name says */
  constructor(private readonly scheme: string, private readonly sessions: MachineSessions, private readonly text: (machine: MachineSession, name: string) => Promise<string>) {
    this.subscriptions = vscode.Disposable.from(
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(scheme, this),
      sessions.onDidStart((machine) => {
        machine.onDidStop(() => {
          for (const document of vscode.workspace.textDocuments) if (document.uri.scheme === scheme) this.changed.fire(document.uri);
        });
      }),
    );
  }

  async open(name: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.from({ scheme: this.scheme, path: `/${name}` }));
    await vscode.window.showTextDocument(document, { preview: false, viewColumn: vscode.ViewColumn.Active });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const machine = this.sessions.current;
    if (!machine?.live) return 'The machine has ended.';
    const name = uri.path.slice(1);
    try {
      return await this.text(machine, name);
    } catch (error) {
      return `${name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  dispose(): void {
    this.subscriptions.dispose();
  }
}
