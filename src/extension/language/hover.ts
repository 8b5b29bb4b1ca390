/** Hovers: what an instruction does (from the instruction table), what a directive or register is, where a label is, and its value while debugging. */
import * as vscode from 'vscode';
import { readRegister } from '../../protocol/registers';
import { explainMnemonic, explanationMarkdown } from '../../vmm/decode/explain';
import { table } from '../../vmm/isa/table';
import { hexLiteral } from '../machine/model';
import type { MachineSessions } from '../machine/sessions';
import type { Assemblies } from './assembly';
import { definitionsOf, nameAtPosition, type SourceIndexes } from './indexes';
import { blankStrings } from './source-index';
import { dataDirectives, directives, operators, prefixes, preprocessorDirectives, registerHelp } from './vocabulary';

const help = new Map([...dataDirectives, ...directives, ...operators, ...prefixes, ...preprocessorDirectives].map((word) => [word.name, word.help]));

export class Hovers implements vscode.HoverProvider {
  constructor(private readonly indexes: SourceIndexes, private readonly assemblies: Assemblies, private readonly sessions: MachineSessions) {}

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const name = nameAtPosition(document, position);
    if (!name) return undefined;
    const { word, range } = name;
    const { code } = blankStrings(document.lineAt(position.line).text);
    // Blanked: the word stands in a string or a comment.
    if (code.slice(range.start.character, range.end.character) !== word) return undefined;
    const parts = await this.parts(document, position, word, code.slice(0, range.start.character));
    return parts.length > 0 ? new vscode.Hover(parts.map((part) => new vscode.MarkdownString(part)), range) : undefined;
  }

  private async parts(document: vscode.TextDocument, position: vscode.Position, word: string, before: string): Promise<string[]> {
    const lower = word.toLowerCase();
    const register = registerHelp(lower);
    if (register) {
      const machine = this.sessions.current;
      const snapshot = machine?.runState === 'paused' ? machine.stops[0]?.registers : undefined;
      const value = snapshot && readRegister(snapshot, lower)?.value;
      return [`**${lower.toUpperCase()}**: ${register}`, ...(value === undefined ? [] : [`Now \`${hexLiteral(value)}\` (${value})`])];
    }
    const explanations = explainMnemonic(table, lower);
    // `in`, `int` and others can be labels elsewhere; the first word of a line or of what follows a label or prefix is an instruction.
    if (explanations.length > 0 && /^\s*(?:[\w.$@?#~%]+:?\s+)*$/.test(before)) return explanations.map(explanationMarkdown);
    const about = help.get(lower);
    if (about) return [`**${lower}**: ${about}`];
    const definitions = await definitionsOf(this.indexes, document, position, word);
    return definitions.slice(0, 5).map((definition) => {
      const address = this.assemblies.get(document)?.symbols.find((symbol) => symbol.name === definition.name)?.linear;
      const value = address === undefined ? '' : `\n\n${definition.kind === 'constant' ? 'Value' : 'Address'} \`${hexLiteral(address)}\``;
      const detail = definition.kind === 'label' || definition.kind === 'local' ? definition.name : definition.detail;
      return `\`\`\`x86asm\n${detail}\n\`\`\`\n${definition.comment}${value}`;
    });
  }
}
