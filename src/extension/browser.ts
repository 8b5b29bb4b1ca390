/** Entry of the web extension host: machines run in web workers. */
import * as vscode from 'vscode';
import { launchBrowserWorker } from '../worker/launch-browser';
import { activateRingside } from './activate';
import type { RingsideApi } from './api';

export function activate(context: vscode.ExtensionContext): RingsideApi {
  let source: Promise<string> | undefined;
  const read = async (): Promise<string> => {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(context.extensionUri, 'dist', 'web', 'worker.js'));
    return new TextDecoder().decode(bytes);
  };
  return activateRingside(context, {
    prepareLauncher: async () => {
      source ??= read();
      try {
        const text = await source;
        return () => launchBrowserWorker(text);
      } catch (error) {
        source = undefined;
        throw error;
      }
    },
  });
}
