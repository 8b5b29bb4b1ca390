/**
 * One logical line of NASM source → tokens. Numbers in all of NASM's radixes, strings ('…', "…" literal, `…` with escapes), and the
 * preprocessor's names (%define, %1, %%local, %{…}, %[…]). Continuation lines are joined by the caller (see source.ts).
 */
import type { Span } from './diagnostics';

export type TokenKind =
  /** Identifier, keyword, register. */
  | 'name'
  | 'number' | 'float' | 'string' | 'operator'
  /** `%define` and the like: text is lower case, with the percent sign. */
  | 'directive'
  /** `%1`, `%{2}`, `%+1`, `%-1`, `%0`, `%00`: text without percent sign and braces. */
  | 'parameter'
  /** `%%name`: text is the name. */
  | 'local'
  /** `%$name`: text is `$name` (one dollar per context level). */
  | 'context'
  /** `%[`: the tokens up to the matching bracket are expanded at once. */
  | 'indirect'
  /** `%+`, `%?`, `%??`, `%*`. */
  | 'special'
  | 'unknown';

export interface Token extends Span {
  readonly kind: TokenKind;
  readonly text: string;
  /** White space stands before the token. */
  readonly space: boolean;
  /** Numbers; 64 bits, as an unsigned value. */
  readonly value?: bigint;
  /** Strings: their bytes. */
  readonly bytes?: Uint8Array;
  /** Single-line macros that the token is a result of: they are not expanded in it again. */
  readonly hidden?: ReadonlySet<string>;
}

const operators = ['<=>', '>>>', '<<<', '<<', '>>', '<=', '>=', '==', '!=', '<>', '&&', '||', '^^', '//', '%%'];
const nameStart = /[A-Za-z_.?@$\u0080-\uffff]/;
const namePart = /[A-Za-z0-9_.?@$#~\u0080-\uffff]/;
const encoder = new TextEncoder();

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let space = true;
  const push = (kind: TokenKind, from: number, to: number, tokenText: string, extra: Partial<Token> = {}) => {
    tokens.push({ kind, text: tokenText, column: from + 1, endColumn: to + 1, space, ...extra });
    space = false;
    at = to;
  };
  while (at < text.length) {
    const c = text[at];
    if (c === ';') break;
    if (c === ' ' || c === '\t' || c === '\r' || c === '\n' || c === '\f' || c === '\v') {
      space = true;
      at += 1;
      continue;
    }
    if (c === '\'' || c === '"' || c === '`') {
      const end = stringEnd(text, at);
      if (end === undefined) {
        push('unknown', at, text.length, text.slice(at));
        continue;
      }
      const body = text.slice(at + 1, end);
      push('string', at, end + 1, text.slice(at, end + 1), { bytes: c === '`' ? unescape(body) : encoder.encode(body) });
      continue;
    }
    if (c === '%') {
      const end = preprocessorToken(text, at, tokens, push);
      if (end) continue;
    }
    if (/[0-9]/.test(c) || (c === '$' && /[0-9]/.test(text[at + 1] ?? ''))) {
      const end = numberEnd(text, at);
      const word = text.slice(at, end);
      const value = parseNumber(word);
      if (value !== undefined) push('number', at, end, word, { value });
      else if (isFloating(word)) push('float', at, end, word);
      else push('unknown', at, end, word);
      continue;
    }
    if (c === '$') {
      if (text[at + 1] === '$') {
        push('operator', at, at + 2, '$$');
        continue;
      }
      if (!/[A-Za-z_.?@]/.test(text[at + 1] ?? '')) {
        push('operator', at, at + 1, '$');
        continue;
      }
      // $eax: a name, never the register.
      let end = at + 1;
      while (end < text.length && namePart.test(text[end])) end += 1;
      push('name', at, end, text.slice(at, end));
      continue;
    }
    // A lone question mark is the conditional operator, or uninitialized data.
    if (nameStart.test(c) && !(c === '?' && !namePart.test(text[at + 1] ?? ''))) {
      let end = at + 1;
      while (end < text.length && namePart.test(text[end])) end += 1;
      push('name', at, end, text.slice(at, end));
      continue;
    }
    const operator = operators.find((candidate) => text.startsWith(candidate, at)) ?? c;
    push(/[-+*/%&|^~!<>=?:,()[\]{}]/.test(c) ? 'operator' : 'unknown', at, at + operator.length, operator);
  }
  return tokens;
}

type Push = (kind: TokenKind, from: number, to: number, text: string, extra?: Partial<Token>) => void;

/** Token that begins with a percent sign, unless it is the operator. True when one was pushed. */
function preprocessorToken(text: string, at: number, before: readonly Token[], push: Push): boolean {
  const rest = text.slice(at + 1, at + 300);
  let match: RegExpExecArray | null;
  if (rest.startsWith('[')) return push('indirect', at, at + 2, '%['), true;
  if ((match = /^\{([^}]*)\}/.exec(rest))) {
    const inner = match[1].trim();
    const end = at + 1 + match[0].length;
    if (/^[-+]?[0-9]+$/.test(inner) || /^[0-9]+:[0-9]+$/.test(inner) || /^-?[0-9]+:-?[0-9]+$/.test(inner)) push('parameter', at, end, inner);
    else if (inner.startsWith('%')) push('local', at, end, inner.slice(1));
    else if (inner.startsWith('$')) push('context', at, end, inner);
    else if (inner === '?' || inner === '??' || inner === '+') push('special', at, end, `%${inner}`);
    else push('directive', at, end, `%${inner.toLowerCase()}`);
    return true;
  }
  if ((match = /^%([A-Za-z_.?@][A-Za-z0-9_.?@$#~]*)/.exec(rest))) return push('local', at, at + 1 + match[0].length, match[1]), true;
  if ((match = /^\$+[A-Za-z_.?@][A-Za-z0-9_.?@$#~]*/.exec(rest))) return push('context', at, at + 1 + match[0].length, match[0]), true;
  if ((match = /^[0-9]+/.exec(rest))) return push('parameter', at, at + 1 + match[0].length, match[0]), true;
  if ((match = /^[-+][0-9]+/.exec(rest))) return push('parameter', at, at + 1 + match[0].length, match[0]), true;
  if (rest.startsWith('??')) return push('special', at, at + 3, '%??'), true;
  if (rest.startsWith('?')) return push('special', at, at + 2, '%?'), true;
  if (rest.startsWith('+')) return push('special', at, at + 2, '%+'), true;
  if ((match = /^!(?:[A-Za-z0-9_]+|'[^']*'|"[^"]*")/.exec(rest))) return push('directive', at, at + 1 + match[0].length, '%!'), true;
  if ((match = /^\*{1,2}(?=[A-Za-z])/.exec(rest)) || (match = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest))) {
    if (/^[A-Za-z_]/.test(match[0])) {
      // `a %b`: behind a value and glued to no directive's place it is still NASM's directive token; only known ones make sense at the front.
      if (before.length && !before.every((token) => token.kind === 'name' || token.text === ':')) {
        const previous = before[before.length - 1];
        if (previous.kind === 'number' || previous.text === ')') return false;
      }
      return push('directive', at, at + 1 + match[0].length, `%${match[0].toLowerCase()}`), true;
    }
  }
  return false;
}

function stringEnd(text: string, at: number): number | undefined {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i += 1) {
    if (quote === '`' && text[i] === '\\') i += 1;
    else if (text[i] === quote) return i;
  }
  return undefined;
}

const simpleEscapes: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, e: 27, '\'': 39, '"': 34, '`': 96, '\\': 92, '?': 63 };

function unescape(body: string): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < body.length;) {
    const rest = body.slice(i, i + 12);
    let match: RegExpExecArray | null;
    if ((match = /^\\([0-7]{1,3})/.exec(rest))) bytes.push(parseInt(match[1], 8) & 0xff);
    else if ((match = /^\\x([0-9A-Fa-f]{1,2})/.exec(rest))) bytes.push(parseInt(match[1], 16));
    else if ((match = /^\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/.exec(rest))) {
      const point = parseInt(match[1] ?? match[2], 16);
      bytes.push(...encoder.encode(point <= 0x10ffff ? String.fromCodePoint(point) : '\ufffd'));
    } else if ((match = /^\\(.)/s.exec(rest))) {
      const value = simpleEscapes[match[1]];
      if (value !== undefined) bytes.push(value);
      else bytes.push(...encoder.encode(match[1]));
    } else {
      const character = String.fromCodePoint(body.codePointAt(i) ?? 0);
      bytes.push(...encoder.encode(character));
      i += character.length;
      continue;
    }
    i += match[0].length;
  }
  return Uint8Array.from(bytes);
}

/** End of a number: letters, digits, underscores, a decimal point, and the sign of an exponent. */
function numberEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length) {
    const c = text[end];
    if (/[A-Za-z0-9_.]/.test(c)) end += 1;
    else if ((c === '+' || c === '-') && /[eE]/.test(text[end - 1]) && /^[0-9][0-9_]*\.?[0-9_]*[eE]$/.test(text.slice(at, end)) && /[0-9]/.test(text[end + 1] ?? '')) end += 1;
    else if ((c === '+' || c === '-') && /[pP]/.test(text[end - 1]) && /^0[xX]/.test(text.slice(at, end))) end += 1;
    else break;
  }
  return end;
}

const radixes: readonly { readonly pattern: RegExp; readonly radix: bigint }[] = [
  { pattern: /^(?:0[xXhH]|\$)([0-9A-Fa-f]+)$/, radix: 16n },
  { pattern: /^([0-9][0-9A-Fa-f]*)[hHxX]$/, radix: 16n },
  { pattern: /^0[bByY]([01]+)$/, radix: 2n },
  { pattern: /^([01]+)[bByY]$/, radix: 2n },
  { pattern: /^0[oOqQ]([0-7]+)$/, radix: 8n },
  { pattern: /^([0-7]+)[oOqQ]$/, radix: 8n },
  { pattern: /^0[dDtT]([0-9]+)$/, radix: 10n },
  { pattern: /^([0-9]+)[dDtT]?$/, radix: 10n },
];

/** An integer constant in any of NASM's notations, modulo 2^64; undefined if it is none. */
export function parseNumber(word: string): bigint | undefined {
  const text = word.replace(/_/g, '');
  for (const { pattern, radix } of radixes) {
    const match = pattern.exec(text);
    if (!match) continue;
    const digits = match[1];
    // Longer numbers cannot fit into 64 bits; cutting them keeps a megabyte of digits from costing quadratic time.
    if (digits.length > 200) return undefined;
    let value = 0n;
    for (const digit of digits) value = value * radix + BigInt(parseInt(digit, 16));
    return BigInt.asUintN(64, value);
  }
  return undefined;
}

/** A decimal floating-point constant: a point or an exponent is required. */
function isFloating(word: string): boolean {
  return /^[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?$/.test(word) && /[.eE]/.test(word);
}

/** The value of a character constant: little endian, eight characters at most. */
export function stringValue(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = Math.min(bytes.length, 8) - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

/** Tokens as text again, for %defstr, diagnostics and comparisons. */
export function textOf(tokens: readonly Token[]): string {
  return tokens.map((token, i) => (i && token.space ? ' ' : '') + sourceText(token)).join('');
}

function sourceText(token: Token): string {
  switch (token.kind) {
    case 'parameter': return `%${token.text}`;
    case 'local': return `%%${token.text}`;
    case 'context': return `%${token.text}`;
    default: return token.text;
  }
}
