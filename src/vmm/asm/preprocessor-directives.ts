/** The preprocessor's directives (%define, %macro, %rep, %include, …), a row each; conditions are in conditions.ts. */
import { Problem } from './diagnostics';
import { textOf, tokenize, type Token } from './lexer';
import { splitArguments } from './macros';
import type { Frame, Preprocessor } from './preprocessor';

interface DirectiveCall {
  readonly preprocessor: Preprocessor;
  readonly word: Token;
  readonly rest: Token[];
  readonly frame: Frame;
}

const numberToken = (value: bigint, at: Token): Token => ({
  kind: 'number', text: value < 0n ? `-${-value}` : String(value), value: BigInt.asUintN(64, value), column: at.column, endColumn: at.endColumn, space: true,
});
const stringToken = (bytes: Uint8Array, at: Token): Token => {
  if (bytes.length > 65536) throw new Problem('a string is longer than 65536 bytes', at);
  return { kind: 'string', text: `'${new TextDecoder().decode(bytes)}'`, bytes, column: at.column, endColumn: at.endColumn, space: true };
};
const strings = (tokens: readonly Token[]) => tokens.filter((token) => token.kind === 'string').map((token) => token.bytes ?? new Uint8Array());

const define = ({ preprocessor, word, rest }: DirectiveCall) => preprocessor.actions.define(word, rest, false);
const xdefine = ({ preprocessor, word, rest }: DirectiveCall) => preprocessor.actions.define(word, rest, true);
const assign = ({ preprocessor, word, rest }: DirectiveCall) =>
  preprocessor.actions.defineAs(word, rest, (tokens) => [numberToken(preprocessor.actions.evaluate(tokens, word), word)]);
const macro = ({ preprocessor, word, rest }: DirectiveCall) => preprocessor.actions.macro(word, rest);
const message = ({ preprocessor, word, rest }: DirectiveCall) => preprocessor.actions.message(word, rest);
const ignored = () => undefined;
const stray = ({ word }: DirectiveCall) => {
  throw new Problem(`${word.text} without its beginning`, word);
};

export const preprocessorDirectives: Record<string, (call: DirectiveCall) => void> = {
  '%define': define, '%idefine': define, '%xdefine': xdefine, '%ixdefine': xdefine,
  '%undef': ({ preprocessor, word, rest }) => preprocessor.actions.undefine(word, rest),
  '%assign': assign, '%iassign': assign,
  '%defstr': ({ preprocessor, word, rest }) =>
    preprocessor.actions.defineAs(word, rest, (tokens) => [stringToken(new TextEncoder().encode(textOf(preprocessor.actions.expand(tokens))), word)]),
  '%deftok': ({ preprocessor, word, rest }) =>
    preprocessor.actions.defineAs(word, rest, (tokens) => strings(preprocessor.actions.expand(tokens)).flatMap((bytes) => tokenize(new TextDecoder().decode(bytes)))),
  '%strlen': ({ preprocessor, word, rest }) =>
    preprocessor.actions.defineAs(word, rest, (tokens) => [numberToken(BigInt(strings(preprocessor.actions.expand(tokens))[0]?.length ?? 0), word)]),
  '%strcat': ({ preprocessor, word, rest }) =>
    preprocessor.actions.defineAs(word, rest, (tokens) => {
      const parts = strings(preprocessor.actions.expand(tokens));
      if (parts.reduce((sum, part) => sum + part.length, 0) > 65536) throw new Problem('a string is longer than 65536 bytes', word);
      return [stringToken(Uint8Array.from(parts.flatMap((bytes) => [...bytes])), word)];
    }),
  '%substr': ({ preprocessor, word, rest }) =>
    preprocessor.actions.defineAs(word, rest, (tokens) => {
      const expanded = preprocessor.actions.expand(tokens);
      const source = expanded[0]?.kind === 'string' ? expanded[0].bytes ?? new Uint8Array() : undefined;
      if (!source) throw new Problem('%substr needs a string', expanded[0] ?? word);
      const [startTokens, countTokens] = splitArguments(expanded.slice(expanded[1]?.text === ',' ? 2 : 1));
      const start = Number(preprocessor.actions.evaluate(startTokens ?? [], word));
      const count = countTokens ? Number(preprocessor.actions.evaluate(countTokens, word)) : 1;
      const from = start - 1;
      const to = count < 0 ? source.length + count + 1 : from + count;
      return [stringToken(from < 0 ? new Uint8Array() : source.slice(from, Math.max(from, to)), word)];
    }),
  '%macro': macro, '%imacro': macro, '%rmacro': macro, '%irmacro': macro,
  '%unmacro': ({ preprocessor, word, rest }) => preprocessor.actions.undefineMacro(word, rest),
  '%unimacro': ({ preprocessor, word, rest }) => preprocessor.actions.undefineMacro(word, rest),
  '%exitmacro': ({ preprocessor, word }) => preprocessor.actions.exitMacro(word),
  '%endmacro': stray, '%endm': stray, '%endrep': stray,
  '%rep': ({ preprocessor, word, rest, frame }) => preprocessor.actions.rep(word, rest, frame),
  '%exitrep': ({ preprocessor, word }) => preprocessor.actions.exitRep(word),
  '%rotate': ({ preprocessor, word, rest, frame }) => preprocessor.actions.rotate(word, rest, frame),
  '%include': ({ preprocessor, word, rest }) => preprocessor.actions.include(word, rest),
  '%error': message, '%warning': message, '%fatal': message,
  '%push': ({ preprocessor, rest }) => preprocessor.actions.pushContext(rest),
  '%pop': ({ preprocessor, word }) => preprocessor.actions.popContext(word),
  '%repl': ({ preprocessor, word, rest }) => preprocessor.actions.renameContext(word, rest),
  // Of use to NASM's listings and package files only.
  '%line': ignored, '%pragma': ignored, '%use': ignored, '%depend': ignored, '%clear': ignored, '%note': ignored,
};
