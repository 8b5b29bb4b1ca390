/** Completion: mnemonics, prefixes and directives where an instruction begins; registers, sizes and names where an operand does. */
import * as vscode from 'vscode';
import { explainMnemonic, explanationMarkdown } from '../../vmm/decode/explain';
import { table } from '../../vmm/isa/table';
import { isMnemonic, type SourceIndexes } from './indexes';
import { blankStrings, type Definition } from './source-index';
import { dataDirectives, directives, operators, prefixes, preprocessorDirectives, registerHelp, registerNames, type Word } from './vocabulary';

const Kind = vscode.CompletionItemKind;

function item(name: string, kind: vscode.CompletionItemKind, detail: string, snippet?: string): vscode.CompletionItem {
  const result = new vscode.CompletionItem(name, kind);
  result.detail = detail;
  if (snippet) result.insertText = new vscode.SnippetString(snippet);
  return result;
}
const wordItems = (words: readonly Word[], kind: vscode.CompletionItemKind) => words.map((word) => item(word.name, kind, word.help, word.snippet));

const mnemonicItems = [...table.byMnemonic].map(([name, encodings]) => item(name, Kind.Keyword, encodings[0].instruction.title));
const instructionItems = [
  ...mnemonicItems, ...wordItems(prefixes, Kind.Keyword), ...wordItems(dataDirectives, Kind.TypeParameter), ...wordItems(directives, Kind.Module),
];
const operandItems = [...registerNames.map((name) => item(name, Kind.Variable, registerHelp(name) ?? 'Register')), ...wordItems(operators, Kind.Operator)];
const preprocessorItems = wordItems(preprocessorDirectives, Kind.Keyword);

const definitionKinds: Readonly<Record<Definition['kind'], vscode.CompletionItemKind>> = {
  label: Kind.Function, local: Kind.Method, data: Kind.Variable, constant: Kind.Constant, macro: Kind.Snippet, define: Kind.Constant, section: Kind.Module,
  structure: Kind.Struct, extern: Kind.Interface,
};

export class Completions implements vscode.CompletionItemProvider {
  constructor(private readonly indexes: SourceIndexes) {}

  async provideCompletionItems(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.CompletionItem[]> {
    const whole = document.lineAt(position.line).text;
    const before = whole.slice(0, position.character);
    const { code, comment } = blankStrings(before);
    // In a comment or an open string nothing is completed.
    if (comment || before.length > code.length || /(["'`])[^"'`]*$/.test(code) && (code.match(/["'`]/g)?.length ?? 0) % 2 === 1) return [];
    const range = document.getWordRangeAtPosition(position, /%{0,2}[\w.$@?#~]+|%/) ?? new vscode.Range(position, position);
    const lead = code.slice(0, range.start.character);
    const typed = code.slice(range.start.character);
    let items: vscode.CompletionItem[];
    if (typed.startsWith('%')) items = preprocessorItems;
    else if (/^\s*$/.test(lead)) items = [...instructionItems, ...await this.names(document, position, (kind) => kind === 'macro')];
    else if (/^\s*[\w.$@?#~]+:?\s+$/.test(lead) && !isMnemonic(lead.trim().toLowerCase()) && (lead.includes(':') || !isDirective(lead.trim()))) items = instructionItems;
    else if (/^\s*(?:[\w.$@?#~]+:\s*)?(?:rep\w*|lock|times\s+\S+)\s+$/i.test(lead)) items = mnemonicItems;
    else items = [...operandItems, ...await this.names(document, position, (kind) => kind !== 'macro' && kind !== 'section')];
    // VS Code's own idea of the word would start behind a dot or a percent sign.
    for (const one of items) one.range = range;
    return items;
  }

  resolveCompletionItem(one: vscode.CompletionItem): vscode.CompletionItem {
    const name = typeof one.label === 'string' ? one.label : one.label.label;
    const explanations = one.kind === Kind.Keyword ? explainMnemonic(table, name) : [];
    if (explanations.length > 0) one.documentation = new vscode.MarkdownString(explanations.map(explanationMarkdown).join('\n\n---\n\n'));
    return one;
  }

  private async names(document: vscode.TextDocument, position: vscode.Position, wanted: (kind: Definition['kind']) => boolean): Promise<vscode.CompletionItem[]> {
    const scope = this.indexes.of(document).scopes[position.line] ?? '';
    const files = await this.indexes.related(document);
    return files.flatMap(({ uri, index }) => index.definitions.filter((definition) => wanted(definition.kind)).map((definition) => {
      const own = uri.toString() === document.uri.toString() && definition.name === scope + definition.written;
      const result = item(own ? definition.written : definition.name, definitionKinds[definition.kind], definition.detail);
      if (definition.comment) result.documentation = definition.comment;
      return result;
    }));
  }
}

const directiveWords = new Set([...directives, ...dataDirectives, ...prefixes].map((word) => word.name));
function isDirective(text: string): boolean {
  return directiveWords.has(text.toLowerCase());
}
