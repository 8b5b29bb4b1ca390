/** The Translation view: what it shows of the paper's example, of a hot loop, while stepping and while running, and for places that are none. */
import * as vscode from 'vscode';
import { equal, eventually, match, ok } from './check';
import { hook } from './hook';
import { hotLoopProgram, stepProgram } from './programs';
import { api, breakAt, closeEditors, endAll, folder, lineOf, open, picture, Stops } from './session';

describe('the Translation view', () => {
  const stops = new Stops();
  before(async () => { await api(); });
  beforeEach(() => stops.reset());
  afterEach(async () => {
    await vscode.commands.executeCommand('ringside.followTranslation');
    await endAll();
  });
  after(async () => {
    stops.dispose();
    await closeEditors();
  });

  const shown = async (what: string, wanted: (model: Awaited<ReturnType<typeof api>>['translation'] extends () => infer R ? R : never) => boolean) => {
    const ringside = await api();
    return eventually(what, () => {
      const now = ringside.translation();
      return wanted(now) ? now : undefined;
    });
  };

  it('says what to do when no machine runs', async () => {
    await closeEditors();
    await vscode.commands.executeCommand('ringside.showTranslation');
    const ringside = await api();
    match(await eventually('the view', () => ringside.translationViewText()), /Start a program with F5|No machine runs|not found at work/);
    await closeEditors();
  });

  it('shows the paper\'s isPrime(49) at the cursor: four fragments, six continuations, two left', async () => {
    const ringside = await api();
    const document = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder(), 'paper-isprime.asm'));
    const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One, preview: false });
    breakAt(document, 'test eax, eax');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('ringside.showTranslation');
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One });
    const line = lineOf(document, 'idiv esi');
    editor.selection = new vscode.Selection(line, 8, line, 8);
    await vscode.commands.executeCommand('cursorRight');
    const { model } = await shown('nexti', ({ model: { blocks, follows } }) => blocks.length === 4 && follows.includes('the cursor'));
    match(model.summary, /Threaded code of 4 units.*6 continuations: 2 open, 2 chained, 2 elided/);
    equal(model.blocks.map(({ title }) => title.replace(/\+0x9$/, '+9')), ['isPrime', 'nexti', 'nexti+9', 'notPrime']);
    equal(model.blocks[1].rows.find(({ here }) => here)?.text, 'idiv esi');
    const text = await eventually('the text', async () => {
      const now = await ringside.translationViewText();
      return now?.includes('6 continuations') ? now : undefined;
    });
    match(text, /idiv esi[^]*IDENT[^]*idiv register32[^]*i32\.div_s|idiv esi[^]*i64\.div_s/);
    match(text, /an open continuation to prime/);
    await hook.waitText({ selector: '#code .guest', webview: true }, /nexti:/);
    equal(await hook.attribute({ selector: '#graph', webview: true }, 'aria-label'), 'Control-flow graph: 4 blocks, 1 loop');
    await picture('translation-paper');

    // prime: was never executed.
    const primeLine = lineOf(document, 'mov eax, 1');
    editor.selection = new vscode.Selection(primeLine, 8, primeLine, 8);
    await vscode.commands.executeCommand('cursorRight');
    await shown('prime', ({ model: { state, title } }) => state === 'untranslated' && title === 'prime');
    await hook.waitText({ selector: '#summary', webview: true }, /Nothing of prime is translated/);
  });

  it('counts exactly what is executed while the view shows it, and follows the steps', async function () {
    const { document } = await open('suite-steps.asm', stepProgram);
    breakAt(document, 'inc eax');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    await vscode.commands.executeCommand('ringside.showTranslation');
    await shown('the stop', ({ model }) => model.blocks.some(({ rows }) => rows.some(({ here }) => here === 'instruction pointer')));
    await vscode.commands.executeCommand('workbench.action.debug.stepOver');
    await stops.next();
    const { model } = await shown('the next instruction', ({ model: now }) => now.blocks.some(({ rows }) => rows.some(({ here, text }) => here === 'instruction pointer' && text.startsWith('cmp'))));
    match(model.summary, /bit|translated/);
    await shown('the count of the step', ({ heat: { executions } }) => executions.flat().includes(1));
    await hook.waitText({ selector: '#code .instruction-pointer', webview: true }, /cmp eax/);
    await picture('translation-step');
  });

  it('shows a hot loop as a region while the guest runs, with its picture, and keeps up', async function () {
    const ringside = await api();
    await open('suite-hot.asm', hotLoopProgram);
    await vscode.commands.executeCommand('ringside.run');
    await vscode.commands.executeCommand('ringside.showTranslation', 'hot');
    const { model } = await shown('the region', ({ model: now }) => now.state === 'region');
    match(model.summary, /Region \d+: \d+ units of 32-bit code in one WebAssembly function of [\d,]+ bytes, with \d loop/);
    ok(model.edges.some(({ from, to }) => to <= from), 'an edge leads back');
    const { heat: { executions, counting } } = await shown('counts', ({ heat }) => heat.executions.flat().every((count) => count !== null && count > 1000));
    match(counting, /exact counts of the last [\d,]+ instructions, since this view shows them/);
    const later = await shown('more of them', ({ heat }) => (heat.executions[0]?.[0] ?? 0) > (executions[0][0] ?? 0));
    const [block, row] = [model.blocks.findIndex(({ rows }) => rows.some(({ text }) => text.startsWith('inc ebx'))), 0];
    const [loop, rare] = [Math.max(...later.heat.executions.flat().map(Number)), Number(later.heat.executions[block]?.[row])];
    ok(Math.abs(loop / rare - 4) < 0.1, `every fourth iteration increments: ${loop} and ${rare}`);
    await hook.waitText({ selector: '#code td.wasm', webview: true }, /local\.get \$ecx/);
    await hook.waitText({ selector: '#hot button', webview: true }, /hot|odd/);
    equal(ringside.machineModel().state, 'running');
    await picture('translation-region');
    await hook.resize(2000, 1100);
    await vscode.commands.executeCommand('workbench.action.closeSidebar');
    for (const [name, theme] of [['dark', 'Default Dark Modern'], ['contrast', 'Default High Contrast']]) {
      await vscode.workspace.getConfiguration('workbench').update('colorTheme', theme, vscode.ConfigurationTarget.Global);
      await new Promise((resolve) => setTimeout(resolve, 500)); // the webview is told of its colours
      await picture(`translation-${name}`);
    }
    await vscode.workspace.getConfiguration('workbench').update('colorTheme', undefined, vscode.ConfigurationTarget.Global);
    await hook.resize(1400, 900);
    await vscode.commands.executeCommand('workbench.view.debug');
    await hook.click({ selector: 'button[data-column="wasm"]', webview: true });
    equal(await hook.attribute({ selector: 'button[data-column="wasm"]', webview: true }, 'aria-pressed'), 'false');
    await hook.click({ selector: 'button[data-column="wasm"]', webview: true });
  });

  it('is usable without a mouse, and copies as text', async function () {
    await open('suite-hot.asm', hotLoopProgram);
    await vscode.commands.executeCommand('ringside.run');
    await vscode.commands.executeCommand('ringside.showTranslation');
    await hook.focus({ selector: '#place', webview: true });
    await hook.type('hot');
    await hook.press('Enter');
    await shown('the typed label', ({ model: { pinned, title } }) => pinned && title === 'hot');
    equal(await hook.attribute({ selector: '#announcement', webview: true }, 'aria-live'), 'polite');
    equal(await hook.attribute({ selector: '#code', webview: true }, 'aria-label'), 'Guest instructions, records and WebAssembly');
    await vscode.commands.executeCommand('ringside.copyTranslation');
    match(await vscode.env.clipboard.readText(), /^hot {2}\(suite-hot/);
    await hook.focus({ selector: '#follow', webview: true });
    await hook.press('Enter');
    await shown('the cursor again', ({ model: { pinned } }) => !pinned);
  });

  it('says what is wrong with a place, and goes on', async () => {
    await open('suite-hot.asm', hotLoopProgram);
    await vscode.commands.executeCommand('ringside.run');
    for (const [expression, sentence] of [['nowhere', /nowhere/], ['1 +', /./], ['[', /./]] as const) {
      await vscode.commands.executeCommand('ringside.showTranslation', expression);
      match((await shown(expression, ({ model: { state, follows } }) => state === 'failed' && follows === expression)).model.summary, sentence);
    }
    await vscode.commands.executeCommand('ringside.showTranslation', '0x00300000');
    await shown('memory without code', ({ model: { state } }) => state === 'untranslated');
    await vscode.commands.executeCommand('ringside.showTranslation', 'hot');
    await shown('the loop', ({ model: { state } }) => state === 'region');
  });
});
