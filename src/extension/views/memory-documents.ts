/** Guest memory as read-only documents: `ringside-memory:/lin:0x7c00`. They follow the stops of the machine. */
import * as vscode from 'vscode';
import { fromBase64 } from '../../protocol/dap';
import type { MachineSessions } from '../machine/sessions';
import { hexDump } from './documents';

const scheme = 'ringside-memory';
const shownBytes = 1024;

export class MemoryDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly subscriptions: vscode.Disposable;

  constructor(private readonly sessions: MachineSessions) {
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

  async open(reference: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.from({ scheme, path: `/${reference}` }));
    await vscode.window.showTextDocument(document, { preview: false, viewColumn: vscode.ViewColumn.Active });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const machine = this.sessions.current;
    if (!machine?.live) return 'The machine has ended.';
    const reference = uri.path.slice(1);
    try {
      const memoryReference = /^(lin|phys):/i.test(reference) ? reference : await this.resolve(reference);
      const { address, data = '', unreadableBytes = 0 } = await machine.debugSession.customRequest('readMemory', { memoryReference, count: shownBytes }) as
        { address: string; data?: string; unreadableBytes?: number };
      const start = Number(/0x[0-9a-f]+|\d+/i.exec(address)?.[0] ?? NaN);
      const bytes = fromBase64(data);
      return `${reference} (${memoryReference})\n\n${hexDump(start, bytes, Math.min(shownBytes, bytes.length + unreadableBytes))}\n`;
    } catch (error) {
      return `${reference}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** A label, a register or an expression → a linear reference. */
  private async resolve(expression: string): Promise<string> {
    const answer = await this.sessions.current!.debugSession.customRequest('evaluate', { expression, context: 'watch' }) as { result: string };
    const value = /0x[0-9a-f]+|\b\d+\b/i.exec(answer.result)?.[0];
    if (value === undefined) throw new Error(`is ${answer.result}, which is no address`);
    return `lin:${value}`;
  }

  dispose(): void {
    this.subscriptions.dispose();
  }
}
