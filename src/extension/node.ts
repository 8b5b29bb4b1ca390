/** Entry of the Node extension host: machines run in worker threads, and nasm can be started. */
import * as vscode from 'vscode';
import { nasmAssembler } from '../adapter/node-nasm';
import { launchNodeWorker } from '../worker/launch-node';
import { SpareWorker } from '../worker/spare-worker';
import { activateRingside } from './activate';
import type { RingsideApi } from './api';

export function activate(context: vscode.ExtensionContext): RingsideApi {
  const worker = vscode.Uri.joinPath(context.extensionUri, 'dist', 'worker.js').fsPath;
  const workers = new SpareWorker(() => launchNodeWorker(worker));
  context.subscriptions.push(workers);
  workers.prepare();
  return activateRingside(context, {
    prepareLauncher: () => Promise.resolve(() => workers.launch()),
    nasm: nasmAssembler,
  });
}
