/**
 * Not a test but a measurement (tools/vscode/measure-start.mjs): how long VS Code takes from F5 to the stop at the first guest instruction. The median of
 * the starts is the benchmark's figure.
 */
import * as vscode from 'vscode';
import { eventually, ok } from './check';
import { hook } from './hook';
import { stepProgram } from './programs';
import { api, endAll, open } from './session';

const STARTS = 11;
/** Nobody presses F5 sooner after a session has ended; the extension prepares the next worker meanwhile. */
const PAUSE_MILLISECONDS = 2000;

export async function run(): Promise<void> {
  await api();
  await open('start-time.asm', stepProgram);
  let stopped: (() => void) | undefined;
  const tracker = vscode.debug.registerDebugAdapterTrackerFactory('ringside', {
    createDebugAdapterTracker: () => ({
      onDidSendMessage: (message: { type?: string; event?: string }) => { if (message.type === 'event' && message.event === 'stopped') stopped?.(); },
    }),
  });
  const milliseconds: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    const stop = new Promise<void>((resolve) => { stopped = resolve; });
    const begin = performance.now();
    ok(await vscode.debug.startDebugging(undefined, { type: 'ringside', request: 'launch', name: 'start', program: '${file}', stopOnEntry: true }), 'not started');
    await stop;
    milliseconds.push(performance.now() - begin);
    await endAll();
    await eventually('no session', () => vscode.debug.activeDebugSession === undefined);
  }
  tracker.dispose();
  await hook.print(`start-time ${JSON.stringify(milliseconds)}`);
  await hook.results({ passed: 1, failed: 0, skipped: 0 });
}
