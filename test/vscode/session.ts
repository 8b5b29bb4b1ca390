/** What the suites do with VS Code: write a program, start it, wait for stops, step. */
import * as vscode from 'vscode';
import type { RingsideApi } from '../../src/extension/api';
import { equal, eventually, ok } from './check';
import { hook, PageUnavailable } from './hook';

export const extensionId = 'ringside.ringside';

export async function api(): Promise<RingsideApi> {
  const extension = vscode.extensions.getExtension<RingsideApi>(extensionId);
  ok(extension, `the extension ${extensionId} is not there`);
  return extension.activate();
}

export function folder(): vscode.Uri {
  const first = vscode.workspace.workspaceFolders?.[0];
  ok(first, 'the suite needs a workspace folder');
  return first.uri;
}

/** Writes a source into the workspace and shows it in the first column. */
export async function open(name: string, text: string): Promise<vscode.TextEditor> {
  const uri = vscode.Uri.joinPath(folder(), name);
  // An open document follows its file in its own time and may see it empty while it is written: only what differs is written.
  const present = await vscode.workspace.fs.readFile(uri).then((bytes) => new TextDecoder().decode(bytes), () => undefined);
  if (present !== text) await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(text));
  const document = await vscode.workspace.openTextDocument(uri);
  const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One, preview: false });
  await eventually(`${name} to show its text`, async () => {
    if (document.getText() === text) return true;
    await vscode.commands.executeCommand('workbench.action.files.revert');
    return document.getText() === text;
  });
  return editor;
}

/** Line (from 0) that contains the text. */
export function lineOf(document: vscode.TextDocument, text: string): number {
  const line = document.getText().split('\n').findIndex((one) => one.includes(text));
  ok(line >= 0, `no line contains ${text}`);
  return line;
}

export function breakAt(document: vscode.TextDocument, text: string): vscode.Location {
  const location = new vscode.Location(document.uri, new vscode.Position(lineOf(document, text), 0));
  vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(location)]);
  return location;
}

interface Frame { readonly line: number; readonly name: string; readonly source?: { readonly path?: string } }

/** Waits for stops: until the adapter told of one, and the workbench shows its stack frame (commands before that are lost). */
export class Stops implements vscode.Disposable {
  private told = 0;
  private shown = 0;
  private awaited = 0;
  private readonly subscriptions = vscode.Disposable.from(
    vscode.debug.registerDebugAdapterTrackerFactory('ringside', {
      createDebugAdapterTracker: () => ({
        onDidSendMessage: (message: { type?: string; event?: string }) => {
          if (message.type === 'event' && message.event === 'stopped') this.told++;
        },
      }),
    }),
    vscode.debug.onDidChangeActiveStackItem((item) => {
      if (item instanceof vscode.DebugStackFrame) this.shown++;
    }),
  );

  /** Forgets stops of before: call it before a test. */
  reset(): void {
    this.told = this.shown = this.awaited = 0;
  }

  /** The top frame of the next stop that nobody waited for yet. */
  async next(): Promise<Frame> {
    this.awaited++;
    await eventually('the guest stops', () => this.told >= this.awaited);
    await eventually('the workbench shows the stop', () => this.shown >= this.awaited);
    const session = vscode.debug.activeDebugSession;
    ok(session, 'there is no debug session');
    const { stackFrames } = await session.customRequest('stackTrace', { threadId: 1, startFrame: 0, levels: 1 }) as { stackFrames: Frame[] };
    ok(stackFrames[0], 'no stack frame');
    return stackFrames[0];
  }

  dispose(): void {
    this.subscriptions.dispose();
  }
}

/** The value of a register as the watch view gets it. */
export async function register(name: string): Promise<bigint> {
  const session = vscode.debug.activeDebugSession;
  ok(session, 'there is no debug session');
  const { result } = await session.customRequest('evaluate', { expression: name, context: 'watch' }) as { result: string };
  return BigInt(/0x[0-9a-f]+|\d+/i.exec(result)?.[0] ?? '');
}

export async function endAll(): Promise<void> {
  await vscode.debug.stopDebugging();
  await eventually('the session ends', () => vscode.debug.activeDebugSession === undefined);
  vscode.debug.removeBreakpoints(vscode.debug.breakpoints);
}

export async function closeEditors(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  equal(vscode.window.visibleTextEditors.filter((editor) => editor.document.uri.scheme === 'file').length, 0, 'open editors');
}

/** A screenshot by the way: nothing where there is no page. */
export async function picture(name: string): Promise<void> {
  try {
    await hook.screenshot(name);
  } catch (error) {
    if (!(error instanceof PageUnavailable)) throw error;
  }
}
