/** Indexes of open documents and of the files that they include, kept until the text changes. */
import * as vscode from 'vscode';
import { table } from '../../vmm/isa/table';
import { findDefinitions, indexSource, qualify, type Definition, type SourceIndex } from './source-index';

export const isMnemonic = (name: string): boolean => table.byMnemonic.has(name);
/** Included files of included files …: enough for people, few enough for a circle. */
const mostFiles = 100;
const mostBytes = 2_000_000;

export interface IndexedFile {
  readonly uri: vscode.Uri;
  readonly index: SourceIndex;
}

export class SourceIndexes implements vscode.Disposable {
  private readonly documents = new WeakMap<vscode.TextDocument, { readonly version: number; readonly index: SourceIndex }>();
  private readonly files = new Map<string, { readonly changed: number; readonly index: SourceIndex }>();

  of(document: vscode.TextDocument): SourceIndex {
    const known = this.documents.get(document);
    if (known?.version === document.version) return known.index;
    const index = indexSource(document.getText(), isMnemonic);
    this.documents.set(document, { version: document.version, index });
    return index;
  }

  /** The document, the files it includes, and open sources that include it: where a name in it can be defined or used. */
  async related(document: vscode.TextDocument): Promise<IndexedFile[]> {
    const found = new Map<string, IndexedFile>();
    const visit = async (uri: vscode.Uri): Promise<void> => {
      const key = uri.toString();
      if (found.has(key) || found.size >= mostFiles) return;
      const index = await this.read(uri);
      if (!index) return;
      found.set(key, { uri, index });
      for (const include of index.includes) {
        for (const candidate of candidates(include.path, uri, document.uri)) await visit(candidate);
      }
    };
    await visit(document.uri);
    for (const open of vscode.workspace.textDocuments) {
      if (open.languageId !== 'x86asm' || found.has(open.uri.toString())) continue;
      const includes = this.of(open).includes.flatMap((include) => candidates(include.path, open.uri, open.uri));
      if (includes.some((uri) => found.has(uri.toString()))) await visit(open.uri);
    }
    return [...found.values()];
  }

  private async read(uri: vscode.Uri): Promise<SourceIndex | undefined> {
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
    if (open) return this.of(open);
    try {
      const { mtime, size } = await vscode.workspace.fs.stat(uri);
      if (size > mostBytes) return undefined;
      const known = this.files.get(uri.toString());
      if (known?.changed === mtime) return known.index;
      const index = indexSource(new TextDecoder().decode(await vscode.workspace.fs.readFile(uri)), isMnemonic);
      this.files.set(uri.toString(), { changed: mtime, index });
      return index;
    } catch {
      return undefined; // Not there: the assembler says so in the Problems panel.
    }
  }

  dispose(): void {
    this.files.clear();
  }
}

/** Beside the including file, then beside the program, as the assembler looks. */
function candidates(path: string, from: vscode.Uri, program: vscode.Uri): vscode.Uri[] {
  const beside = (uri: vscode.Uri) => vscode.Uri.joinPath(uri, '..', path);
  const list = path.startsWith('/') ? [from.with({ path })] : [beside(from), beside(program)];
  return list.filter((uri, i) => list.findIndex((other) => other.toString() === uri.toString()) === i);
}

export const wordPattern = /%{0,2}[A-Za-z_.?@$#~][\w.$@?#~]*/;

/** The name at a position; nothing inside strings and comments. */
export function nameAtPosition(document: vscode.TextDocument, position: vscode.Position): { readonly word: string; readonly range: vscode.Range } | undefined {
  const range = document.getWordRangeAtPosition(position, wordPattern);
  return range && { word: document.getText(range), range };
}

export interface FoundDefinition extends Definition {
  readonly uri: vscode.Uri;
}

export async function definitionsOf(indexes: SourceIndexes, document: vscode.TextDocument, position: vscode.Position, word: string): Promise<FoundDefinition[]> {
  const own = indexes.of(document);
  const name = qualify(own, word, position.line);
  const result: FoundDefinition[] = [];
  for (const { uri, index } of await indexes.related(document)) {
    const same = uri.toString() === document.uri.toString();
    // Local names have meaning in other files only by their full name.
    for (const definition of same ? findDefinitions(index, word, position.line) : findDefinitions(index, name, -1)) result.push({ ...definition, uri });
  }
  return result;
}
