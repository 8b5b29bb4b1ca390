/** The language features on a source in the editor. */
import * as vscode from 'vscode';
import { equal, eventually, match, ok } from './check';
import { hook } from './hook';
import { api, closeEditors, lineOf, open, picture } from './session';
import { faultyProgram, stepProgram } from './programs';

const at = (document: vscode.TextDocument, line: string, word: string) => {
  const row = lineOf(document, line);
  return new vscode.Position(row, document.lineAt(row).text.indexOf(word) + 1);
};
const hoverText = async (document: vscode.TextDocument, position: vscode.Position) => {
  const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', document.uri, position);
  return hovers.flatMap((one) => one.contents).map((content) => (typeof content === 'string' ? content : content.value)).join('\n');
};

describe('assembly language', () => {
  before(async () => { await api(); });
  after(closeEditors);

  it('explains an instruction from the table when hovered', async () => {
    const { document } = await open('suite-language.asm', stepProgram);
    equal(document.languageId, 'x86asm', 'language');
    const text = await hoverText(document, at(document, '  cmp eax, 0x12', 'cmp'));
    match(text, /CMP/);
    match(text, /Flags: written .*ZF/);
    match(text, /r\/m/);
    match(text, /#PF/);
    match(await hoverText(document, at(document, 'inc eax', 'eax')), /EAX.*accumulator/);
    equal(await hoverText(document, at(document, '; here', 'here')), '', 'a hover in a comment');
  });

  it('finds definitions, references and the outline of labels', async () => {
    const { document } = await open('suite-language.asm', stepProgram);
    const [definition] = await vscode.commands.executeCommand<vscode.Location[]>('vscode.executeDefinitionProvider', document.uri, at(document, 'call sub', 'sub'));
    equal(definition?.range.start.line, lineOf(document, 'sub:'));
    const references = await vscode.commands.executeCommand<vscode.Location[]>('vscode.executeReferenceProvider', document.uri, at(document, 'jnz start', 'start'));
    equal(references.map((one) => one.range.start.line), [lineOf(document, 'start:'), lineOf(document, 'jnz start')]);
    const symbols = await vscode.commands.executeCommand<vscode.DocumentSymbol[]>('vscode.executeDocumentSymbolProvider', document.uri);
    equal(symbols.map((one) => one.name), ['start', 'sub']);
    equal(symbols[0].children.map((one) => one.name), ['.end']);
  });

  it('completes mnemonics, registers and labels where they belong', async () => {
    const { document } = await open('suite-language.asm', stepProgram);
    const labels = async (position: vscode.Position) =>
      (await vscode.commands.executeCommand<vscode.CompletionList>('vscode.executeCompletionItemProvider', document.uri, position))
        .items.map((one) => (typeof one.label === 'string' ? one.label : one.label.label));
    const first = await labels(at(document, 'inc eax', 'inc'));
    ok(first.includes('cmpxchg8b') && first.includes('times') && !first.includes('eax'), 'mnemonics and directives begin a line');
    const operand = await labels(at(document, 'jnz start', 'start'));
    ok(operand.includes('sub') && operand.includes('eax') && operand.includes('start') && !operand.includes('lodsb'), 'labels and registers are operands');
  });

  it('shows the assembler\'s messages in the Problems panel, and takes them back', async () => {
    const editor = await open('suite-faulty.asm', faultyProgram);
    const { uri } = editor.document;
    const errors = await eventually('two errors', () => {
      const found = vscode.languages.getDiagnostics(uri);
      return found.length >= 2 ? found : undefined;
    });
    equal(errors.map((one) => one.range.start.line).sort(), [4, 5]);
    match(errors.map((one) => one.message).join('\n'), /nowhere/);
    await picture('problems');
    await editor.edit((edit) => edit.replace(new vscode.Range(4, 0, 6, 0), '  jmp start\n'));
    await eventually('no error', () => vscode.languages.getDiagnostics(uri).length === 0);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  });

  it('shows problems and addresses to the person', async function () {
    await open('suite-faulty.asm', faultyProgram);
    await vscode.commands.executeCommand('workbench.actions.view.problems');
    await hook.waitText({ selector: '.markers-panel' }, /nowhere/);
    await picture('problems-panel');
    await vscode.commands.executeCommand('workbench.action.closePanel');
    const { document } = await open('suite-language.asm', stepProgram);
    await hook.waitText({ selector: '.view-lines' }, /7C00\s31C0\s+xor ax, ax/);
    await vscode.window.showTextDocument(document);
    await hook.hover({ selector: '.view-line span:text-is("cmp")' });
    await hook.waitText({ selector: '.monaco-hover' }, /CMP/);
    await picture('hover');
  });

  it('gives addresses and bytes as inlay hints unless they are switched off', async () => {
    const { document } = await open('suite-language.asm', stepProgram);
    const range = new vscode.Range(0, 0, document.lineCount - 1, 0);
    const hints = async () => (await vscode.commands.executeCommand<vscode.InlayHint[]>('vscode.executeInlayHintProvider', document.uri, range))
      .map((one) => `${one.position.line}: ${typeof one.label === 'string' ? one.label : one.label.map((part) => part.value).join('')}`.replaceAll('\u00a0', ' '));
    const line = lineOf(document, 'xor ax, ax');
    await eventually('hints', async () => (await hints()).some((text) => text.startsWith(`${line}: 7C00 31C0`)));
    const configuration = vscode.workspace.getConfiguration('ringside');
    await configuration.update('inlayHints', 'off', vscode.ConfigurationTarget.Global);
    equal(await hints(), [], 'hints while they are off');
    await configuration.update('inlayHints', undefined, vscode.ConfigurationTarget.Global);
  });
});
