/** The samples as a person meets them: they assemble without a message, and F5 on the first one greets on the screen and the serial port. */
import * as vscode from 'vscode';
import { equal, eventually, match } from './check';
import { hook } from './hook';
import { api, closeEditors, endAll, folder, lineOf, picture, Stops } from './session';

const show = async (name: string) => vscode.window.showTextDocument(
  await vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder(), name)), { viewColumn: vscode.ViewColumn.One, preview: false });

describe('samples', () => {
  const stops = new Stops();
  before(async () => { await api(); });
  beforeEach(() => stops.reset());
  afterEach(endAll);
  after(async () => {
    stops.dispose();
    await closeEditors();
  });

  it('have no problems', async () => {
    const names = (await vscode.workspace.fs.readDirectory(folder())).map(([name]) => name).filter((name) => name.endsWith('.asm') && !name.startsWith('suite-'));
    equal(names.length > 0, true, 'there are samples');
    for (const name of names) {
      const { document } = await show(name);
      const range = new vscode.Range(0, 0, document.lineCount - 1, 0);
      // Hints come with the same result as messages.
      await eventually(`${name} is assembled`, async () =>
        (await vscode.commands.executeCommand<vscode.InlayHint[]>('vscode.executeInlayHintProvider', document.uri, range)).length > 0);
      equal(vscode.languages.getDiagnostics(document.uri).map((one) => one.message), [], name);
    }
    await closeEditors();
  });

  it('greet with F5: on the screen, on the serial port, and stay to be looked at', async () => {
    const ringside = await api();
    await show('hello.asm');
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await eventually('the end', () => ringside.machineModel().state === 'ended');
    match(ringside.machineModel().status, /halted/);
    await eventually('the terminal', () => /hello/i.test(ringside.serialText()));
    await eventually('the screen', async () => /hello/i.test(await ringside.screenViewText() ?? ''));
  });

  it('look as in the README', async () => {
    await hook.resize(1760, 1160);
    await vscode.commands.executeCommand('workbench.action.closeAllGroups');
    const { document } = await show('hello.asm');
    const at = new vscode.Location(document.uri, new vscode.Position(lineOf(document, 'lodsb'), 0));
    vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(at, true, undefined, '8')]);
    await vscode.commands.executeCommand('workbench.action.debug.start');
    await stops.next();
    for (let step = 0; step < 2; step++) {
      await vscode.commands.executeCommand('workbench.action.debug.stepOver');
      await stops.next();
    }
    await vscode.commands.executeCommand('ringside.showSerial');
    await hook.waitText({ selector: '.view-lines .view-line' }, /lodsb.*al = .*was/);
    await hook.waitText({ selector: '#forecast', webview: true }, /taken/);
    await vscode.commands.executeCommand('workbench.action.focusActiveEditorGroup');
    await new Promise((resolve) => setTimeout(resolve, 500)); // the terminal draws its first lines
    await picture('readme');
    await hook.resize(1400, 900);
  });
});
