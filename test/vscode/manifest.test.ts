/** What the manifest promises is there: commands, the view container with its welcome, the walkthrough, the debugger. */
import * as vscode from 'vscode';
import { commandRows } from '../../src/extension/manifest/commands';
import { equal, eventually, match } from './check';
import { hook } from './hook';
import { api, closeEditors, folder, open, picture } from './session';
import { stepProgram } from './programs';

describe('the manifest', () => {
  before(async () => { await api(); });
  after(closeEditors);

  it('declares commands that are all implemented', async () => {
    const there = new Set(await vscode.commands.getCommands(true));
    equal(commandRows.map((row) => `ringside.${row.id}`).filter((id) => !there.has(id)), []);
  });

  it('welcomes who opens the Ringside view first', async () => {
    await vscode.commands.executeCommand('workbench.view.extension.ringside');
    await hook.waitText({ selector: '.welcome-view' }, /No machine has run yet/);
    await picture('welcome');
    await vscode.commands.executeCommand('workbench.view.explorer');
  });

  it('has a walkthrough', async () => {
    await vscode.commands.executeCommand('ringside.openWalkthrough');
    await hook.waitText({ selector: '.gettingStartedContainer' }, /Get started with Ringside/);
    await picture('walkthrough');
    await closeEditors();
  });

  it('makes a new program that assembles, and an image of a program', async () => {
    await vscode.commands.executeCommand('ringside.newProgram');
    const editor = await eventually('an editor', () => vscode.window.activeTextEditor);
    equal(editor.document.languageId, 'x86asm');
    match(editor.document.getText(), /dw 0xaa55/);
    await new Promise((resolve) => setTimeout(resolve, 600));
    equal(vscode.languages.getDiagnostics(editor.document.uri).map((one) => one.message), []);
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    await open('suite-image.asm', stepProgram);
    await vscode.commands.executeCommand('ringside.assemble');
    const image = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder(), 'suite-image.bin'));
    equal([image.length, image[510], image[511]], [512, 0x55, 0xaa]);
  });
});
