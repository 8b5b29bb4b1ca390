/**
 * Single-line macros (%define and kin): their definitions and the expansion of one line. A macro is not expanded inside its own
 * result; expansion is iterative, so neither recursion nor growth can hang it.
 */
import { GiveUp, limits, Problem } from './diagnostics';
import { tokenize, type Token } from './lexer';

export interface SingleLineMacro {
  readonly name: string;
  /** undefined: written without parentheses. */
  readonly parameters: readonly string[] | undefined;
  readonly body: readonly Token[];
  readonly ignoreCase: boolean;
}

/** What one assembly may spend on tokens in one pass. */
export class TokenBudget {
  spent = 0;
  spend(count: number): void {
    this.spent += count;
    if (this.spent > limits.tokens) throw new GiveUp(`macro expansion yields more than ${limits.tokens} tokens: does a macro or %rep grow without end?`);
  }
}

/** Names of the macros that a token is a result of, as a linked list, because sets would be copied for every expansion. */
interface Hidden {
  readonly name: string;
  readonly depth: number;
  readonly outer: Hidden | undefined;
}
const deepestNesting = 200;

export class SingleLineMacros {
  private readonly exact = new Map<string, SingleLineMacro[]>();
  private readonly folded = new Map<string, SingleLineMacro[]>();

  constructor(private readonly budget: TokenBudget, private readonly builtin: (name: string) => readonly Token[] | undefined) {}

  define(macro: SingleLineMacro): void {
    this.undefine(macro.name, macro.ignoreCase, macro.parameters?.length);
    const map = macro.ignoreCase ? this.folded : this.exact;
    const key = macro.ignoreCase ? macro.name.toLowerCase() : macro.name;
    const list = map.get(key);
    if (list) list.push(macro);
    else map.set(key, [macro]);
  }

  /** Removes every definition of the name, or the one that takes as many parameters. */
  undefine(name: string, ignoreCase = false, parameters: number | undefined | 'all' = 'all'): void {
    const matches = (macro: SingleLineMacro) => parameters === 'all' || macro.parameters?.length === parameters;
    const drop = (map: Map<string, SingleLineMacro[]>, key: string) => {
      const kept = map.get(key)?.filter((macro) => !matches(macro));
      if (kept?.length) map.set(key, kept);
      else map.delete(key);
    };
    drop(this.exact, name);
    if (ignoreCase || parameters === 'all') drop(this.folded, name.toLowerCase());
  }

  lookup(name: string): readonly SingleLineMacro[] | undefined {
    return this.exact.get(name) ?? this.folded.get(name.toLowerCase());
  }

  isDefined(name: string): boolean {
    return this.lookup(name) !== undefined || this.builtin(name) !== undefined;
  }

  expand(tokens: readonly Token[]): Token[] {
    // Nothing to do for most lines.
    if (!tokens.some((token) => token.kind === 'special' || (token.kind === 'name' && this.isDefined(token.text)))) {
      return tokens as Token[];
    }
    const output: Token[] = [];
    const hiddenOf = new Map<Token, Hidden>();
    const input = [...tokens].reverse();
    let produced = 0;
    const produce = (list: readonly Token[], hidden: Hidden | undefined, site: Token) => {
      produced += list.length;
      this.budget.spend(list.length + 1);
      if (produced > limits.tokensPerLine) throw new GiveUp(`macro \`${site.text}\` expands to more than ${limits.tokensPerLine} tokens`);
      for (let i = list.length - 1; i >= 0; i -= 1) {
        // The columns of the call: that is where a person looks.
        const copy: Token = { ...list[i], column: site.column, endColumn: site.endColumn, space: i === 0 ? site.space : list[i].space };
        const inner = hiddenOf.get(list[i]) ?? hidden;
        if (inner) hiddenOf.set(copy, inner);
        input.push(copy);
      }
    };
    while (input.length) {
      const token = input.pop() as Token;
      if (token.kind !== 'name') {
        output.push(token);
        continue;
      }
      const builtin = this.builtin(token.text);
      if (builtin) {
        output.push(...builtin.map((item) => ({ ...item, column: token.column, endColumn: token.endColumn, space: token.space })));
        continue;
      }
      const candidates = this.lookup(token.text);
      if (!candidates || isHidden(hiddenOf.get(token), token.text)) {
        output.push(token);
        continue;
      }
      const depth = (hiddenOf.get(token)?.depth ?? 0) + 1;
      if (depth > deepestNesting) throw new Problem(`macros are nested deeper than ${deepestNesting} levels at \`${token.text}\``, token);
      const hidden: Hidden = { name: candidates[0].ignoreCase ? token.text.toLowerCase() : token.text, depth, outer: hiddenOf.get(token) };
      const plain = candidates.find((macro) => macro.parameters === undefined);
      const called = input.length > 0 && input[input.length - 1].kind === 'operator' && input[input.length - 1].text === '(';
      const withParameters = candidates.filter((macro) => macro.parameters !== undefined);
      if (withParameters.length && called) {
        const rollback = input.length;
        const saved = input.slice();
        input.pop();
        const callArguments = splitArguments(takeUntil(input, '(', ')', token));
        const macro = withParameters.find((candidate) => accepts(candidate, callArguments));
        if (macro) {
          produce(substitute(macro, callArguments, token.text), hidden, token);
          continue;
        }
        input.length = 0;
        input.push(...saved.slice(0, rollback));
      }
      if (plain) produce(substitute(plain, [], token.text), hidden, token);
      else output.push(token);
    }
    return paste(output);
  }
}

function isHidden(hidden: Hidden | undefined, name: string): boolean {
  const folded = name.toLowerCase();
  for (let at = hidden; at; at = at.outer) {
    if (at.name === name || at.name === folded) return true;
  }
  return false;
}

const isOperator = (token: Token, text: string) => token.kind === 'operator' && token.text === text;

/** Takes tokens off the reversed input up to the bracket that closes one already taken. */
function takeUntil(input: Token[], open: string, close: string, site: Token): Token[] {
  const taken: Token[] = [];
  for (let depth = 1; ;) {
    const token = input.pop();
    if (!token) throw new Problem(`\`${site.text}\` has no closing \`${close}\``, site);
    if (isOperator(token, open)) depth += 1;
    else if (isOperator(token, close)) depth -= 1;
    if (depth === 0) return taken;
    taken.push(token);
  }
}

/** Arguments between commas; commas inside (), [] or {} do not separate. An empty list is no argument. */
export function splitArguments(tokens: readonly Token[]): Token[][] {
  if (!tokens.length) return [];
  const list: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === 'operator') {
      if ('([{'.includes(token.text)) depth += 1;
      else if (')]}'.includes(token.text)) depth -= 1;
      else if (token.text === ',' && depth === 0) {
        list.push([]);
        continue;
      }
    }
    list[list.length - 1].push(token);
  }
  return list.map((argument) => {
    const last = argument[argument.length - 1];
    return argument.length >= 2 && isOperator(argument[0], '{') && isOperator(last, '}') ? argument.slice(1, -1) : argument;
  });
}

function accepts(macro: SingleLineMacro, given: readonly unknown[]): boolean {
  const count = macro.parameters?.length ?? 0;
  return count === given.length || (count === 1 && given.length === 0) || (greedy(macro) && given.length > count);
}

function greedy(macro: SingleLineMacro): boolean {
  return macro.parameters?.at(-1)?.endsWith('+') ?? false;
}

function substitute(macro: SingleLineMacro, given: readonly (readonly Token[])[], calledAs: string): Token[] {
  const values = new Map<string, readonly Token[]>();
  macro.parameters?.forEach((name, i) => {
    const plain = name.replace(/[+]$/, '');
    let value = given[i] ?? [];
    if (name.endsWith('+')) {
      value = given.slice(i).flatMap((argument, n) => (n ? [{ kind: 'operator', text: ',', space: false, column: 1, endColumn: 2 } as Token, ...argument] : argument));
    }
    values.set(plain, value);
  });
  const body: Token[] = [];
  for (const token of macro.body) {
    const value = token.kind === 'name' ? values.get(token.text) : undefined;
    if (value) body.push(...value.map((item, i) => (i === 0 ? { ...item, space: token.space } : item)));
    else if (token.kind === 'special' && token.text === '%?') body.push(nameToken(calledAs, token));
    else if (token.kind === 'special' && token.text === '%??') body.push(nameToken(macro.name, token));
    else body.push(token);
  }
  return body;
}

export function nameToken(text: string, at: Token): Token {
  return { kind: 'name', text, column: at.column, endColumn: at.endColumn, space: at.space };
}

/** Joins what stands on both sides of `%+`. */
function paste(tokens: Token[]): Token[] {
  if (!tokens.some((token) => token.kind === 'special' && token.text === '%+')) return tokens;
  const output: Token[] = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    const left = output[output.length - 1];
    const right = tokens[i + 1];
    if (token.kind === 'special' && token.text === '%+' && left && right) {
      output.pop();
      output.push(...joinTokens(left, right));
      i += 1;
    } else output.push(token);
  }
  return output;
}

/** Two tokens written without space between them. */
export function joinTokens(left: Token, right: Token): Token[] {
  const text = left.text + right.text;
  if (text.length > 4096) throw new Problem('a pasted name is longer than 4096 characters', left);
  return tokenize(text).map((token, i) => ({
    ...token, column: left.column, endColumn: Math.max(left.endColumn, right.endColumn), space: i === 0 ? left.space : token.space,
  }));
}
