/** Registers the language features for x86 assembly. */
import * as vscode from 'vscode';
import type { MachineSessions } from '../machine/sessions';
import type { Assemblies } from './assembly';
import { Completions } from './completion';
import { registerDiagnostics } from './diagnostics';
import { Hovers } from './hover';
import { SourceIndexes } from './indexes';
import { AddressHints } from './inlay-hints';
import { Definitions, Outline, References } from './navigation';

export const assemblyLanguage: vscode.DocumentSelector = { language: 'x86asm' };

export function registerLanguage(assemblies: Assemblies, sessions: MachineSessions): vscode.Disposable {
  const indexes = new SourceIndexes();
  const hints = new AddressHints(assemblies);
  const { languages } = vscode;
  return vscode.Disposable.from(
    indexes, hints,
    registerDiagnostics(assemblies),
    languages.registerHoverProvider(assemblyLanguage, new Hovers(indexes, assemblies, sessions)),
    languages.registerCompletionItemProvider(assemblyLanguage, new Completions(indexes), '.', '%'),
    languages.registerDefinitionProvider(assemblyLanguage, new Definitions(indexes)),
    languages.registerReferenceProvider(assemblyLanguage, new References(indexes)),
    languages.registerDocumentSymbolProvider(assemblyLanguage, new Outline(indexes), { label: 'Ringside' }),
    languages.registerInlayHintsProvider(assemblyLanguage, hints),
  );
}
