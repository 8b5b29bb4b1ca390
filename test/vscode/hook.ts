/**
 * The suite's side of the hook server (tools/vscode/hook-server.mjs): what an extension cannot do by itself. Works from the Node and from
 * the web extension host. In desktop VS Code there is no page to drive; there the operations skip the test that asks for them.
 */
import * as vscode from 'vscode';

export interface HookConfiguration {
  readonly url: string;
  readonly launcher: 'server' | 'web' | 'electron';
  /** Only tests whose title contains this text. */
  readonly grep?: string;
}

/** Where to look: the workbench, or (with `webview`) every webview's document. */
export interface Where {
  readonly selector: string;
  readonly webview?: boolean;
  /** How long to wait for it to appear; 10 s unless told. */
  readonly ms?: number;
}

let configuration: Promise<HookConfiguration> | undefined;

/** What the launcher wrote into the workspace. */
export function hookConfiguration(): Promise<HookConfiguration> {
  configuration ??= readConfiguration();
  return configuration;
}

async function readConfiguration(): Promise<HookConfiguration> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) throw new Error('the suite runs with a workspace folder: start it with npm run test:vscode');
  const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder.uri, '.testhook.json'));
  return JSON.parse(new TextDecoder().decode(bytes)) as HookConfiguration;
}

/** Thrown where there is no page; the reporter counts the test as skipped. */
export class PageUnavailable extends Error {}

export const hook = {
  /** Saves artifacts/screenshots/<launcher>/<name>.png. */
  screenshot: (name: string) => call<string>('screenshot', { name }),
  texts: (where: Where) => call<string[]>('texts', { ...where }),
  /** Waits for a line of text that matches; returns the lines that do. Fails with what is shown instead. */
  waitText: (where: Where, pattern: RegExp) => call<string[]>('waitText', { ...where, pattern: pattern.source }),
  count: (where: Where) => call<number>('count', { ...where }),
  attribute: (where: Where, name: string) => call<string | null>('attribute', { ...where, name }),
  click: (where: Where, options: { button?: 'left' | 'right'; clickCount?: number } = {}) => call<null>('click', { ...where, ...options }),
  hover: (where: Where) => call<null>('hover', { ...where }),
  focus: (where: Where) => call<null>('focus', { ...where }),
  /** A key or chord in Playwright's names: 'Enter', 'ArrowLeft', 'Control+Shift+P'. */
  press: (keys: string, holdMs?: number) => call<null>('press', { keys, holdMs }),
  type: (text: string, delayMs?: number) => call<null>('type', { text, delayMs }),
  resize: (width: number, height: number) => call<null>('resize', { width, height }),
  /** Writes a line to the launcher's output. */
  print: (text: string) => call<boolean>('print', { text }),
  results: (counts: { passed: number; failed: number; skipped: number }) => call<boolean>('results', counts),
};

async function call<T>(op: string, options: object): Promise<T> {
  const { url } = await hookConfiguration();
  const response = await fetch(url, { method: 'POST', body: JSON.stringify({ op, ...options }) });
  const answer = (await response.json()) as { result?: T; error?: string; unavailable?: boolean };
  if (answer.unavailable) throw new PageUnavailable(`${op} needs the workbench in a browser`);
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.result as T;
}
