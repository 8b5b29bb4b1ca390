/** Multi-line macros: what is known of one, how a call's parameters are filled in, and the small readings of tokens around them. */
import { Problem } from './diagnostics';
import { textOf, tokenize, type Token } from './lexer';
import { nameToken } from './macros';
import type { SourceLine } from './source';

export interface MultiLineMacro {
  readonly name: string;
  readonly ignoreCase: boolean;
  readonly minimum: number;
  readonly maximum: number;
  readonly greedy: boolean;
  readonly defaults: readonly (readonly Token[])[];
  readonly lines: readonly SourceLine[];
  running: number;
}

export interface MacroCall {
  readonly macro: MultiLineMacro;
  readonly parameters: readonly (readonly Token[])[];
  readonly label: readonly Token[];
  readonly id: number;
  rotation: number;
  readonly calledAs: string;
}

const inverseConditions = new Map<string, string>();
for (const [a, b] of [
  ['o', 'no'], ['b', 'ae'], ['c', 'nc'], ['nae', 'nb'], ['e', 'ne'], ['z', 'nz'], ['be', 'a'], ['na', 'nbe'], ['s', 'ns'], ['p', 'np'], ['pe', 'po'],
  ['l', 'ge'], ['nge', 'nl'], ['le', 'g'], ['ng', 'nle'],
]) {
  inverseConditions.set(a, b);
  inverseConditions.set(b, a);
}

/** What a parameter (`%1`, `%0`, `%{2:3}`, `%-1`), a local name (`%%x`) or `%?` stands for in a call; other tokens stand for themselves. */
export function parameterValue(token: Token, call: MacroCall | undefined): readonly Token[] {
  const name = (text: string): readonly Token[] => [nameToken(text, token)];
  switch (token.kind) {
    case 'local':
      if (!call) throw new Problem(`\`%%${token.text}\` can stand only inside a macro`, token);
      return name(`..@${call.id}.${token.text}`);
    case 'special':
      if (!call) return [token];
      if (token.text === '%?') return name(call.calledAs);
      if (token.text === '%??') return name(call.macro.name);
      return [token];
    case 'parameter': break;
    default: return [token];
  }
  if (!call) return [token];
  const count = call.parameters.length;
  const at = (n: number) => call.parameters[(n - 1 + call.rotation) % Math.max(count, 1)];
  const range = /^(-?[0-9]+):(-?[0-9]+)$/.exec(token.text);
  if (range) {
    const [from, to] = [range[1], range[2]].map((text) => (Number(text) < 0 ? count + 1 + Number(text) : Number(text)));
    if (from < 1 || to < 1 || from > count || to > count) throw new Problem(`the macro has ${count} parameters, not ${token.text}`, token);
    const step = from <= to ? 1 : -1;
    const result: Token[] = [];
    for (let n = from; ; n += step) {
      result.push(...at(n));
      if (n === to) return result;
      result.push({ kind: 'operator', text: ',', space: false, column: token.column, endColumn: token.endColumn });
    }
  }
  if (token.text === '0') return [{ kind: 'number', text: String(count), value: BigInt(count), column: token.column, endColumn: token.endColumn, space: token.space }];
  if (token.text === '00') return call.label;
  const condition = /^([-+])([0-9]+)$/.exec(token.text);
  const n = Number(condition ? condition[2] : token.text);
  if (n > count || n < 1) return [];
  const value = at(n);
  if (!condition) return value;
  const code = value.length === 1 ? value[0].text.toLowerCase() : '';
  const inverse = inverseConditions.get(code);
  if (!inverse) throw new Problem(`parameter ${n} is \`${textOf(value)}\`, which is no condition code`, token);
  return name(condition[1] === '+' ? code : inverse);
}

/** Kinds of tokens that grow together when they are written without space. */
export const joins = (token: Token) => token.kind === 'name' || token.kind === 'number' || token.kind === 'unknown' || token.kind === 'float';
export const comma = (at: Token): Token => ({ kind: 'operator', text: ',', space: false, column: at.column, endColumn: at.endColumn });
export const describeCount = (macro: MultiLineMacro) =>
  macro.minimum === macro.maximum ? `${macro.minimum}${macro.greedy ? ' or more' : ''}` : `${macro.minimum} to ${macro.greedy || macro.maximum > 65535 ? 'any number of' : macro.maximum}`;

/** `5 %3` and `(a)%b`: outside macros the percent sign is the operator. */
export function demote(tokens: readonly Token[]): Token[] {
  if (!tokens.some((token, i) => (token.kind === 'parameter' || token.kind === 'directive' || token.kind === 'local') && i > 0)) return tokens as Token[];
  return tokens.flatMap((token, i) => {
    if (i === 0 || (token.kind !== 'parameter' && token.kind !== 'directive')) return [token];
    const word = token.kind === 'directive' ? token.text.slice(1) : token.text;
    const operator: Token = { kind: 'operator', text: '%', space: token.space, column: token.column, endColumn: token.column + 1 };
    return [operator, ...tokenize(word).map((part) => ({ ...part, column: token.column + part.column, endColumn: token.column + part.endColumn }))];
  });
}

/** `2`, `1-3`, `1-*`, `2+`, `1-2+` behind a macro's name. */
export function readCount(tokens: readonly Token[], word: Token): { minimum: number; maximum: number; greedy: boolean; used: number } {
  const small = (token: Token | undefined) => {
    if (token?.kind !== 'number' || (token.value ?? 0n) > 65535n) throw new Problem(`\`${word.text}\` needs its number of parameters`, token ?? word);
    return Number(token.value);
  };
  if (!tokens.length) throw new Problem(`\`${word.text}\` needs its number of parameters`, word);
  if (tokens[0].text === '*') return { minimum: 0, maximum: Infinity, greedy: false, used: 1 };
  const minimum = small(tokens[0]);
  let maximum = minimum;
  let used = 1;
  if (tokens[1]?.text === '-') {
    if (tokens[2]?.text === '*') maximum = Infinity;
    else maximum = small(tokens[2]);
    used = 3;
    if (maximum < minimum) throw new Problem('the largest number of parameters is below the smallest', tokens[2]);
  }
  const greedy = tokens[used]?.text === '+';
  return { minimum, maximum, greedy, used: used + (greedy ? 1 : 0) };
}
