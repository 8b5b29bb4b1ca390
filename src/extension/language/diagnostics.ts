/** The assembler's messages in the Problems panel: of open sources while they are edited, and of programs that a debug session assembled. */
import * as vscode from 'vscode';
import { debugType, type CustomEvents, type DiagnosticJson } from '../../protocol/dap';
import { pathOf, uriOf } from '../files';
import type { Assemblies } from './assembly';

function toDiagnostic({ line, column, endColumn, severity, message }: DiagnosticJson, document: vscode.TextDocument | undefined): vscode.Diagnostic {
  const at = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1));
  // Without an end the word there, or the rest of the line, is underlined.
  const end = endColumn !== undefined && endColumn > column ? new vscode.Position(at.line, endColumn - 1)
    : document && at.line < document.lineCount ? document.getWordRangeAtPosition(at)?.end ?? document.lineAt(at.line).range.end : at.translate(0, 1);
  const level = severity === 'error' ? vscode.DiagnosticSeverity.Error
    : severity === 'warning' ? vscode.DiagnosticSeverity.Warning : vscode.DiagnosticSeverity.Information;
  const diagnostic = new vscode.Diagnostic(new vscode.Range(at, end), message, level);
  diagnostic.source = 'ringside';
  return diagnostic;
}

export function registerDiagnostics(assemblies: Assemblies): vscode.Disposable {
  const collection = vscode.languages.createDiagnosticCollection('ringside');
  /** Files that each program's assembly has messages in: they are cleared when it assembles again. */
  const reported = new Map<string, Set<string>>();

  const report = (program: string, list: readonly DiagnosticJson[]) => {
    const byFile = new Map<string, DiagnosticJson[]>();
    for (const diagnostic of list) {
      const uri = uriOf(diagnostic.path).toString();
      const found = byFile.get(uri);
      if (found) found.push(diagnostic);
      else byFile.set(uri, [diagnostic]);
    }
    for (const old of reported.get(program) ?? []) if (!byFile.has(old)) collection.delete(vscode.Uri.parse(old));
    for (const [uri, diagnostics] of byFile) {
      const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri);
      collection.set(vscode.Uri.parse(uri), diagnostics.map((diagnostic) => toDiagnostic(diagnostic, document)));
    }
    reported.set(program, new Set(byFile.keys()));
  };
  const enabled = (uri: vscode.Uri) => vscode.workspace.getConfiguration('ringside', uri).get<boolean>('diagnostics.enabled', true);

  return vscode.Disposable.from(
    collection,
    assemblies.onDidAssemble(({ document, assembly }) => report(document.uri.toString(), enabled(document.uri) ? assembly.diagnostics : [])),
    vscode.workspace.onDidCloseTextDocument((document) => {
      if (document.languageId === 'x86asm') report(document.uri.toString(), []);
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration('ringside.diagnostics.enabled')) return;
      for (const document of vscode.workspace.textDocuments) {
        const assembly = assemblies.get(document);
        if (assembly) report(document.uri.toString(), enabled(document.uri) ? assembly.diagnostics : []);
      }
    }),
    vscode.debug.onDidReceiveDebugSessionCustomEvent(({ session, event, body }) => {
      if (session.type !== debugType || event !== 'ringside/diagnostics') return;
      const program: unknown = session.configuration.program;
      if (typeof program !== 'string') return;
      const uri = uriOf(program);
      // An open source has fresher messages than the session's.
      if (vscode.workspace.textDocuments.some((document) => pathOf(document.uri) === pathOf(uri))) return;
      report(uri.toString(), (body as CustomEvents['ringside/diagnostics']).diagnostics);
    }),
  );
}
