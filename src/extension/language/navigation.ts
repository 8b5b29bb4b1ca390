/** Go to definition, references and the outline of assembly sources. */
import * as vscode from 'vscode';
import { definitionsOf, nameAtPosition, type SourceIndexes } from './indexes';
import { qualify, type Definition, type DefinitionKind } from './source-index';

const symbolKinds: Readonly<Record<DefinitionKind, vscode.SymbolKind>> = {
  label: vscode.SymbolKind.Function, local: vscode.SymbolKind.Method, data: vscode.SymbolKind.Variable, constant: vscode.SymbolKind.Constant,
  macro: vscode.SymbolKind.Operator, define: vscode.SymbolKind.Constant, section: vscode.SymbolKind.Namespace, structure: vscode.SymbolKind.Struct, extern: vscode.SymbolKind.Interface,
};

export class Definitions implements vscode.DefinitionProvider {
  constructor(private readonly indexes: SourceIndexes) {}

  async provideDefinition(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Location[]> {
    const include = this.indexes.of(document).includes.find((one) =>
      one.line === position.line && position.character >= one.column && position.character <= one.column + one.path.length);
    if (include) {
      const target = vscode.Uri.joinPath(document.uri, '..', include.path);
      return [new vscode.Location(target, new vscode.Position(0, 0))];
    }
    const name = nameAtPosition(document, position);
    if (!name) return [];
    const found = await definitionsOf(this.indexes, document, position, name.word);
    return found.map(({ uri, line, column, written }) => new vscode.Location(uri, new vscode.Range(line, column, line, column + written.length)));
  }
}

export class References implements vscode.ReferenceProvider {
  constructor(private readonly indexes: SourceIndexes) {}

  async provideReferences(document: vscode.TextDocument, position: vscode.Position, context: vscode.ReferenceContext): Promise<vscode.Location[]> {
    const name = nameAtPosition(document, position);
    if (!name) return [];
    const full = qualify(this.indexes.of(document), name.word, position.line);
    const locations: vscode.Location[] = [];
    for (const { uri, index } of await this.indexes.related(document)) {
      for (const use of index.uses) {
        if (use.name !== full) continue;
        const isDefinition = index.definitions.some((definition) => definition.line === use.line && definition.column === use.column);
        if (isDefinition && !context.includeDeclaration) continue;
        locations.push(new vscode.Location(uri, new vscode.Range(use.line, use.column, use.line, use.column + use.length)));
      }
    }
    return locations;
  }
}

export class Outline implements vscode.DocumentSymbolProvider {
  constructor(private readonly indexes: SourceIndexes) {}

  provideDocumentSymbols(document: vscode.TextDocument): vscode.DocumentSymbol[] {
    const top: vscode.DocumentSymbol[] = [];
    const parents = new Map<string, vscode.DocumentSymbol>();
    for (const definition of this.indexes.of(document).definitions) {
      const symbol = toSymbol(document, definition);
      const parent = definition.name === definition.written ? undefined : parents.get(definition.name.slice(0, -definition.written.length));
      (parent?.children ?? top).push(symbol);
      if (!parent) parents.set(definition.name, symbol);
      // VS Code refuses children that reach out of their parent.
      else if (!parent.range.contains(symbol.range)) parent.range = parent.range.union(symbol.range);
    }
    return top;
  }
}

function toSymbol(document: vscode.TextDocument, { written, kind, line, column, endLine, detail }: Definition): vscode.DocumentSymbol {
  const selection = new vscode.Range(line, column, line, column + written.length);
  const end = document.lineAt(Math.min(Math.max(endLine, line), document.lineCount - 1)).range.end;
  const about = kind === 'label' || kind === 'local' ? '' : detail.replace(written, '').trim().slice(0, 60);
  return new vscode.DocumentSymbol(written, about, symbolKinds[kind], new vscode.Range(new vscode.Position(line, 0), end).union(selection), selection);
}
