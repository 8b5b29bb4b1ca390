/** The tests of %if and its kin: `ifdef`, `ifidni`, `ifnum`, … each as a row; `n` in front of the test negates it. */
import { Problem } from './diagnostics';
import { textOf, type Token } from './lexer';

export interface ConditionContext {
  expand(tokens: readonly Token[]): Token[];
  /** Value of an expression that must be known at once. */
  evaluate(tokens: readonly Token[]): bigint;
  isDefined(name: string): boolean;
  /** A multi-line macro of this name exists (taking that many parameters, if given). */
  isMacro(tokens: readonly Token[]): boolean;
  context(): string | undefined;
  /** The names of %$… resolved. */
  plainName(token: Token): string | undefined;
}

type Test = (tokens: readonly Token[], context: ConditionContext, word: Token) => boolean;

const isName = (token: Token | undefined) => token?.kind === 'name' || token?.kind === 'local' || token?.kind === 'context';

function identical(ignoreCase: boolean): Test {
  return (tokens, context, word) => {
    const expanded = context.expand(tokens);
    let depth = 0;
    const comma = expanded.findIndex((token) => {
      if (token.kind === 'operator' && '({['.includes(token.text)) depth += 1;
      if (token.kind === 'operator' && ')}]'.includes(token.text)) depth -= 1;
      return depth === 0 && token.kind === 'operator' && token.text === ',';
    });
    if (comma < 0) throw new Problem(`\`${word.text}\` compares two texts: expected a comma between them`, word);
    const sides = [expanded.slice(0, comma), expanded.slice(comma + 1)].map((side) => {
      const braced = side.length >= 2 && side[0].text === '{' && side[side.length - 1].text === '}' ? side.slice(1, -1) : side;
      const text = braced.map((token) => (token.kind === 'string' ? `"${new TextDecoder('latin1').decode(token.bytes)}"` : textOf([token]))).join(' ');
      return ignoreCase ? text.toLowerCase() : text;
    });
    return sides[0] === sides[1];
  };
}

const kindOfOne = (matches: (token: Token | undefined, expanded: readonly Token[]) => boolean): Test => (tokens, context) => {
  const expanded = context.expand(tokens);
  return matches(expanded[0], expanded);
};

const tests: Record<string, Test> = {
  '': (tokens, context) => context.evaluate(tokens) !== 0n,
  def: (tokens, context, word) => {
    if (!tokens.length) throw new Problem(`\`${word.text}\` needs a name`, word);
    return tokens.some((token) => {
      const name = context.plainName(token);
      return name !== undefined && context.isDefined(name);
    });
  },
  macro: (tokens, context) => context.isMacro(tokens),
  ctx: (tokens, context) => tokens.some((token) => token.text.toLowerCase() === context.context()?.toLowerCase()),
  idn: identical(false),
  idni: identical(true),
  id: kindOfOne((token) => isName(token)),
  num: kindOfOne((token, all) => token?.kind === 'number' || (token?.kind === 'operator' && /^[-+]$/.test(token.text) && all[1]?.kind === 'number')),
  str: kindOfOne((token) => token?.kind === 'string'),
  token: kindOfOne((_, all) => all.length === 1 || (all.length === 2 && /^[-+]$/.test(all[0].text) && all[1].kind === 'number')),
  empty: kindOfOne((_, all) => all.length === 0),
  // There is no environment in a virtual machine monitor that also runs in a browser.
  env: () => false,
  using: () => false,
  usable: () => false,
};

export interface ConditionWord {
  readonly kind: 'if' | 'elif';
  readonly test: Test;
  readonly negated: boolean;
}

const words = new Map<string, ConditionWord>();
for (const kind of ['if', 'elif'] as const) {
  for (const [name, test] of Object.entries(tests)) {
    words.set(`%${kind}${name}`, { kind, test, negated: false });
    words.set(`%${kind}n${name}`, { kind, test, negated: true });
  }
}

/** `%ifndef` → its test; undefined for what is no condition. */
export function conditionWord(text: string): ConditionWord | undefined {
  return words.get(text);
}

export const conditionNames: readonly string[] = [...words.keys()];
