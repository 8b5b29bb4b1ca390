/** F5 on an assembly source: breakpoints, steps, registers and the values beside the lines. */
import * as vscode from 'vscode';
import { equal, eventually, match, ok } from './check';
import { hook } from './hook';
import { api, breakAt, closeEditors, endAll, lineOf, open, register, Stops, picture } from './session';
import { stepProgram } from './programs';

describe('debugging an assembly source', () => {
  const stops = new Stops();
  before(async () => { await api(); });
  beforeEach(() => stops.reset());
  afterEach(endAll);
  after(async () => {
    stops.dispose();
    await closeEditors();
  });

  it('starts with F5 and no launch.json, and stops at a breakpoint', async () => {
    const { document } = await open('suite-steps.asm', stepProgram);
    const { range } = breakAt(document, '; here');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    const frame = await stops.next();
    equal(frame.line, range.start.line + 1, 'line of the stop');
    equal(await register('eax'), 0x11n, 'EAX');
  });

  it('stops before the first instruction when asked to', async () => {
    const ringside = await api();
    await open('suite-steps.asm', stepProgram);
    ok(await vscode.debug.startDebugging(undefined, { type: 'ringside', request: 'launch', name: 'entry', program: '${file}', stopOnEntry: true }), 'not started');
    await stops.next();
    await eventually('the Machine view\'s texts', () => ringside.machineModel().status === 'Paused at the first instruction');
    equal(ringside.machineModel().mode, 'real mode, CPL 0');
    equal(ringside.machineModel().general.length, 9, 'general registers');
    await eventually('the webview', async () => (await ringside.machineViewText())?.includes('Paused at the first instruction'));
    await picture('entry');
  });

  it('steps by line and shows beside the lines what they read and wrote', async () => {
    const ringside = await api();
    const { document } = await open('suite-steps.asm', stepProgram);
    const { range: { start: { line } } } = breakAt(document, '; here');
    ok(await vscode.debug.startDebugging(vscode.workspace.workspaceFolders?.[0], { type: 'ringside', request: 'launch', name: 'steps', program: '${file}' }), 'not started');
    await stops.next();
    await vscode.commands.executeCommand('workbench.action.debug.stepOver');
    equal((await stops.next()).line, line + 2, 'line after one step');
    await eventually('values beside the stepped line', () => ringside.inlineValues().find((one) => one.line === line + 1 && one.text.startsWith('eax = 0x12 (was 0x11)')));
    await vscode.commands.executeCommand('workbench.action.debug.stepOver');
    equal((await stops.next()).line, line + 3, 'line after two steps');
    const jump = await eventually('the forecast of the jump', () => ringside.inlineValues().find((one) => one.line === line + 3 && one.text.includes('taken')));
    match(jump.text, /jn[ez] not taken \(ZF=1\)/);
    await picture('inline-values');
  });

  it('shows the values in the editor', async function () {
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, '; here');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('workbench.action.debug.stepOver');
    await stops.next();
    await hook.waitText({ selector: '.view-lines .view-line' }, /inc eax.*eax = 0x12 \(was 0x11\)/);
    await picture('debugging');
  });

  it('steps over and into a call, and returns from it', async () => {
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, 'call sub');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('workbench.action.debug.stepInto');
    equal((await stops.next()).line, lineOf(document, 'mov ecx, 3') + 1, 'line after stepping in');
    await vscode.commands.executeCommand('workbench.action.debug.stepOut');
    equal((await stops.next()).line, lineOf(document, 'mov dword') + 1, 'line after stepping out');
    equal(await register('ecx'), 3n, 'ECX');
  });

  it('sets a register, reads memory and stops at a label', async () => {
    const { document } = await open('suite-steps.asm', stepProgram);
    vscode.debug.addBreakpoints([new vscode.FunctionBreakpoint('start.end')]);
    ok(await vscode.debug.startDebugging(undefined, { type: 'ringside', request: 'launch', name: 'steps', program: document.uri.scheme === 'file' ? document.uri.fsPath : document.uri.toString() }), 'not started');
    equal((await stops.next()).line, lineOf(document, 'jmp .end') + 1, 'line of the label');
    const session = vscode.debug.activeDebugSession!;
    const { data } = await session.customRequest('readMemory', { memoryReference: 'lin:0x600', count: 4 }) as { data: string };
    equal(data, btoa('\xfe\xca\0\0'), 'memory at 0x600');
    await session.customRequest('setExpression', { expression: 'ebx', value: '0x1234' });
    equal(await register('bx'), 0x1234n, 'BX');
  });

  it('pauses an endless loop at once', async () => {
    await open('suite-steps.asm', stepProgram);
    const ringside = await api();
    await vscode.commands.executeCommand('ringside.debug');
    await eventually('the guest runs', () => (ringside.counters()?.instructions ?? 0) > 1000);
    await vscode.commands.executeCommand('ringside.pause');
    await stops.next();
    equal(ringside.machineModel().state, 'paused');
  });

  it('explains why a faulty program does not start', async () => {
    await open('suite-broken.asm', 'bits 16\n  mvo ax, 2\n');
    // VS Code shows the reason in a dialog; under test it refuses dialogs and hands the text over instead.
    const answer = await vscode.debug.startDebugging(undefined, { type: 'ringside', request: 'launch', name: 'broken', program: '${file}' }).then(String, (error: Error) => error.message);
    match(answer, /broken\.asm:2:\d+: error: .*mvo/);
    await eventually('a diagnostic', () => vscode.languages.getDiagnostics().some(([uri, list]) => uri.path.endsWith('broken.asm') && list.length > 0));
  });
});
