/** Assembles open sources a moment after they change, and keeps the last result for diagnostics and inlay hints. */
import * as vscode from 'vscode';
import { assembleBuiltin } from '../../adapter/builtin-assembler';
import type { Assembly } from '../../adapter/services';
import { editedFiles, pathOf, savedFiles } from '../files';
import type { ExtensionHost } from '../host';

/** After the last keystroke. */
const settleMilliseconds = 300;
/** Larger sources are generated; assembling them at every pause would cost more than it tells. */
const mostCharacters = 1_000_000;

/** Included files are fragments: alone they need not assemble. */
export function isProgram(document: vscode.TextDocument): boolean {
  return document.languageId === 'x86asm' && !/\.inc$/i.test(document.uri.path);
}

export interface AssembledDocument {
  readonly document: vscode.TextDocument;
  readonly assembly: Assembly;
}

export class Assemblies implements vscode.Disposable {
  private readonly results = new Map<string, Assembly>();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly assembled = new vscode.EventEmitter<AssembledDocument>();
  readonly onDidAssemble = this.assembled.event;
  private readonly subscriptions: vscode.Disposable;

  constructor(private readonly host: ExtensionHost) {
    this.subscriptions = vscode.Disposable.from(
      this.assembled,
      vscode.workspace.onDidOpenTextDocument((document) => this.later(document, 0)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.changed(document)),
      vscode.workspace.onDidSaveTextDocument((document) => this.changed(document, true)),
      vscode.workspace.onDidCloseTextDocument((document) => this.forget(document)),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('ringside.assembler') || event.affectsConfiguration('ringside.nasmPath')) this.all();
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.all()),
    );
    this.all();
  }

  /** The result for the document's present or last assembled text. */
  get(document: vscode.TextDocument): Assembly | undefined {
    return this.results.get(document.uri.toString());
  }

  private all(): void {
    for (const document of vscode.workspace.textDocuments) this.later(document, 0);
  }

  private changed(document: vscode.TextDocument, saved = false): void {
    if (document.languageId !== 'x86asm') return;
    // A fragment may be part of any open program.
    const programs = isProgram(document) ? [document] : vscode.workspace.textDocuments.filter(isProgram);
    for (const program of programs) if (saved || !this.usesNasm(program)) this.later(program, saved ? 0 : settleMilliseconds);
  }

  private usesNasm(document: vscode.TextDocument): boolean {
    return this.host.nasm !== undefined && vscode.workspace.isTrusted && document.uri.scheme === 'file'
      && vscode.workspace.getConfiguration('ringside', document).get('assembler') === 'nasm';
  }

  private later(document: vscode.TextDocument, milliseconds: number): void {
    if (!isProgram(document) || document.getText().length > mostCharacters) return;
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.set(key, setTimeout(() => {
      this.timers.delete(key);
      void this.assemble(document);
    }, milliseconds));
  }

  private async assemble(document: vscode.TextDocument): Promise<void> {
    if (document.isClosed) return;
    const { version } = document;
    const path = pathOf(document.uri);
    let assembly: Assembly;
    try {
      // nasm reads the disk: it sees the source as it was saved.
      assembly = this.usesNasm(document)
        ? await this.host.nasm!(vscode.workspace.getConfiguration('ringside', document).get<string>('nasmPath', 'nasm'))(path, savedFiles)
        : await assembleBuiltin(path, editedFiles);
    } catch (error) {
      assembly = {
        image: new Uint8Array(), origin: 0, lines: [], symbols: [],
        diagnostics: [{ path, line: 1, column: 1, severity: 'error', message: error instanceof Error ? error.message : String(error) }],
      };
    }
    // Typed on meanwhile: the next run is on its way.
    if (document.isClosed || document.version !== version) return;
    this.results.set(document.uri.toString(), assembly);
    this.assembled.fire({ document, assembly });
  }

  private forget(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
    this.results.delete(key);
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.subscriptions.dispose();
  }
}
