/** Entry of the web extension host: machines run in web workers. */
import * as vscode from 'vscode';
import { launchBrowserWorker } from '../worker/launch-browser';
import { SpareWorker } from '../worker/spare-worker';
import { activateRingside } from './activate';
import type { RingsideApi } from './api';

export function activate(context: vscode.ExtensionContext): RingsideApi {
  const prepare = async (): Promise<SpareWorker> => {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(context.extensionUri, 'dist', 'web', 'worker.js'));
    const source = new TextDecoder().decode(bytes);
    const workers = new SpareWorker(() => launchBrowserWorker(source));
    context.subscriptions.push(workers);
    workers.prepare();
    return workers;
  };
  let prepared: Promise<SpareWorker> | undefined = prepare();
  // Told to whoever starts a machine.
  prepared.catch(() => undefined);
  return activateRingside(context, {
    prepareLauncher: async () => {
      prepared ??= prepare();
      try {
        const workers = await prepared;
        return () => workers.launch();
      } catch (error) {
        prepared = undefined;
        throw error;
      }
    },
  });
}
