/**
 * Expressions: tokens → tree (once), tree → value (in every pass). A value is a 64-bit number plus a linear combination of bases
 * (sections, external symbols) and registers; the same evaluator serves `db`, `%if` and effective addresses.
 */
import { limits, Problem, type Span } from './diagnostics';
import { stringValue, type Token } from './lexer';
import { registerIndex, registers } from './registers';

/** Keys > 0 are bases (see {@link Environment}), keys < 0 registers: -(index + 1). */
export interface Value {
  readonly number: bigint;
  readonly terms?: ReadonlyMap<number, bigint>;
  /** Depends on a symbol whose value this pass does not know yet. */
  readonly unknown?: boolean;
}

export interface Environment {
  /** Throws {@link Problem} for a symbol that cannot be used here. */
  symbol(name: string, span: Span): Value;
  /** `$` and `$$`. */
  here(span: Span): Value;
  sectionStart(span: Span): Value;
}

export type Node = Span & (
  | { readonly kind: 'number'; readonly value: Value }
  | { readonly kind: 'register'; readonly index: number }
  | { readonly kind: 'symbol'; readonly name: string }
  | { readonly kind: 'here' }
  | { readonly kind: 'sectionStart' }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Node }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node }
  | { readonly kind: 'conditional'; readonly test: Node; readonly then: Node; readonly otherwise: Node }
);

const levels: readonly (readonly string[])[] = [
  ['||'], ['^^'], ['&&'], ['=', '==', '!=', '<>', '<', '<=', '>', '>=', '<=>'], ['|'], ['^'], ['&'], ['<<', '>>', '<<<', '>>>'],
  ['+', '-'], ['*', '/', '//', '%', '%%'],
];

/** A cursor over tokens: the parsers of operands and statements share it with the expression parser. */
export class Cursor {
  at = 0;
  depth = 0;
  constructor(readonly tokens: readonly Token[]) {}
  get token(): Token | undefined {
    return this.tokens[this.at];
  }
  /** Where the next token stands, or just behind the last one. */
  span(): Span {
    const token = this.token;
    if (token) return token;
    const last = this.tokens[this.tokens.length - 1];
    return last ? { column: last.endColumn, endColumn: last.endColumn + 1 } : { column: 1, endColumn: 1 };
  }
  is(text: string): boolean {
    const token = this.token;
    return token?.kind === 'operator' && token.text === text;
  }
  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.at += 1;
    return true;
  }
  /** Lower-case text of a name token, or undefined. */
  get word(): string | undefined {
    const token = this.token;
    return token?.kind === 'name' ? token.text.toLowerCase() : undefined;
  }
  get end(): boolean {
    return this.at >= this.tokens.length;
  }
}

const join = (from: Span, to: Span): Span => ({ column: Math.min(from.column, to.column), endColumn: Math.max(from.endColumn, to.endColumn) });

export function parseExpression(cursor: Cursor): Node {
  cursor.depth += 1;
  if (cursor.depth > limits.expressionDepth) throw new Problem(`expression is nested deeper than ${limits.expressionDepth} levels`, cursor.span());
  try {
    const test = parseLevel(cursor, 0);
    if (!cursor.accept('?')) return test;
    const then = parseExpression(cursor);
    if (!cursor.accept(':')) throw new Problem('expected `:` of the conditional operator', cursor.span());
    const otherwise = parseExpression(cursor);
    return { kind: 'conditional', test, then, otherwise, ...join(test, otherwise) };
  } finally {
    cursor.depth -= 1;
  }
}

function parseLevel(cursor: Cursor, level: number): Node {
  if (level === levels.length) return parseUnary(cursor);
  let left = parseLevel(cursor, level + 1);
  for (let length = 0; ; length += 1) {
    const token = cursor.token;
    if (token?.kind !== 'operator' || !levels[level].includes(token.text)) return left;
    // The tree leans to the left: its depth is the number of operators, and evaluation recurses.
    if (length > 2000) throw new Problem('expression has too many operators', token);
    cursor.at += 1;
    const right = parseLevel(cursor, level + 1);
    left = { kind: 'binary', operator: token.text, left, right, ...join(left, right) };
  }
}

function parseUnary(cursor: Cursor): Node {
  const token = cursor.token;
  if (!token) throw new Problem('an expression is missing at the end of the line', cursor.span());
  if (token.kind === 'operator' && '+-~!'.includes(token.text)) return unary(cursor, token, token.text);
  if (cursor.word === 'seg') return unary(cursor, token, 'seg');
  cursor.at += 1;
  if (token.kind === 'operator') {
    switch (token.text) {
      case '(': {
        const inner = parseExpression(cursor);
        if (!cursor.accept(')')) throw new Problem('expected `)`', cursor.span());
        return inner;
      }
      case '$': return { kind: 'here', column: token.column, endColumn: token.endColumn };
      case '$$': return { kind: 'sectionStart', column: token.column, endColumn: token.endColumn };
    }
  }
  const span = { column: token.column, endColumn: token.endColumn };
  switch (token.kind) {
    case 'number': return { kind: 'number', value: { number: BigInt.asIntN(64, token.value ?? 0n) }, ...span };
    case 'string': return { kind: 'number', value: { number: BigInt.asIntN(64, stringValue(token.bytes ?? new Uint8Array())) }, ...span };
    case 'name': {
      const index = registerIndex(token.text);
      if (index !== undefined) return { kind: 'register', index, ...span };
      return { kind: 'symbol', name: token.text.startsWith('$') ? token.text.slice(1) : token.text, ...span };
    }
    case 'float': throw new Problem('a floating-point constant can stand only by itself behind dd, dq or dt', token);
    case 'unknown': throw new Problem(/^['"`]/.test(token.text) ? 'the string has no closing quote' : `\`${token.text}\` is not a number, a name or an operator`, token);
    case 'local': throw new Problem(`\`%%${token.text}\` can stand only inside a macro`, token);
    default: throw new Problem(`expected a number, a name or \`(\`, not \`${token.text}\``, token);
  }
}

function unary(cursor: Cursor, token: Token, operator: string): Node {
  cursor.at += 1;
  cursor.depth += 1;
  if (cursor.depth > limits.expressionDepth) throw new Problem(`expression is nested deeper than ${limits.expressionDepth} levels`, token);
  const operand = parseUnary(cursor);
  cursor.depth -= 1;
  return { kind: 'unary', operator, operand, ...join(token, operand) };
}

const number = (value: bigint, unknown?: boolean): Value => ({ number: BigInt.asIntN(64, value), unknown });
const truth = (value: boolean): Value => ({ number: value ? 1n : 0n });

export function evaluate(node: Node, environment: Environment): Value {
  switch (node.kind) {
    case 'number': return node.value;
    case 'register': return { number: 0n, terms: new Map([[-(node.index + 1), 1n]]) };
    case 'symbol': return environment.symbol(node.name, node);
    case 'here': return environment.here(node);
    case 'sectionStart': return environment.sectionStart(node);
    case 'unary': return evaluateUnary(node.operator, evaluate(node.operand, environment), node);
    case 'conditional': {
      const test = scalar(evaluate(node.test, environment), node.test, '?');
      if (test.unknown) return { number: 0n, unknown: true };
      return evaluate(test.number !== 0n ? node.then : node.otherwise, environment);
    }
    case 'binary': return evaluateBinary(node.operator, evaluate(node.left, environment), evaluate(node.right, environment), node);
  }
}

function evaluateUnary(operator: string, operand: Value, span: Span): Value {
  switch (operator) {
    case '+': return operand;
    case '-': return scale(operand, -1n);
    case '~': return number(~scalar(operand, span, '~').number, operand.unknown);
    case '!': return { ...truth(scalar(operand, span, '!').number === 0n), unknown: operand.unknown };
    default: throw new Problem('`seg`: this output format has no segment bases', span);
  }
}

function evaluateBinary(operator: string, a: Value, b: Value, node: Node & { kind: 'binary' }): Value {
  switch (operator) {
    case '+': return add(a, b);
    case '-': return add(a, scale(b, -1n));
    case '*':
      if (!a.terms) return scale(b, a.number, a.unknown);
      return scale(a, scalar(b, node.right, '*').number, b.unknown);
    case '=': case '==': case '!=': case '<>': case '<': case '<=': case '>': case '>=': case '<=>': {
      const difference = add(a, scale(b, -1n));
      if (difference.unknown) return { number: 0n, unknown: true };
      if (difference.terms) {
        if (operator === '=' || operator === '==') return truth(false);
        if (operator === '!=' || operator === '<>') return truth(true);
        throw new Problem(`\`${operator}\` cannot compare addresses in different sections`, node);
      }
      // Addresses of one section compare by their offsets.
      const x = a.number;
      const y = b.number;
      switch (operator) {
        case '=': case '==': return truth(x === y);
        case '!=': case '<>': return truth(x !== y);
        case '<': return truth(x < y);
        case '<=': return truth(x <= y);
        case '>': return truth(x > y);
        case '>=': return truth(x >= y);
        default: return number(x < y ? -1n : x > y ? 1n : 0n);
      }
    }
  }
  const x = scalar(a, node.left, operator).number;
  const y = scalar(b, node.right, operator).number;
  const unknown = a.unknown || b.unknown;
  const unsigned = (value: bigint) => BigInt.asUintN(64, value);
  const shift = unsigned(y);
  switch (operator) {
    case '||': return { ...truth(x !== 0n || y !== 0n), unknown };
    case '&&': return { ...truth(x !== 0n && y !== 0n), unknown };
    case '^^': return { ...truth((x !== 0n) !== (y !== 0n)), unknown };
    case '|': return number(x | y, unknown);
    case '^': return number(x ^ y, unknown);
    case '&': return number(x & y, unknown);
    case '<<': case '<<<': return number(shift > 63n ? 0n : x << shift, unknown);
    case '>>': return number(shift > 63n ? 0n : unsigned(x) >> shift, unknown);
    case '>>>': return number(x >> (shift > 63n ? 63n : shift), unknown);
  }
  if (y === 0n) {
    if (unknown) return { number: 0n, unknown };
    throw new Problem('division by zero', node.right);
  }
  switch (operator) {
    case '/': return number(unsigned(x) / unsigned(y), unknown);
    case '%': return number(unsigned(x) % unsigned(y), unknown);
    case '//': return number(x / y, unknown);
    default: return number(x % y, unknown);
  }
}

function scalar(value: Value, span: Span, operator: string): Value {
  if (!value.terms) return value;
  const register = [...value.terms.keys()].find((key) => key < 0);
  if (register !== undefined) throw new Problem(`\`${operator}\` cannot be applied to register ${registers[-register - 1].name}`, span);
  throw new Problem(`\`${operator}\` needs numbers; this is an address that is not known until the sections are placed (subtract $$ first)`, span);
}

function scale(value: Value, factor: bigint, unknown?: boolean): Value {
  let terms: Map<number, bigint> | undefined;
  if (value.terms && factor !== 0n) {
    terms = new Map();
    for (const [key, coefficient] of value.terms) terms.set(key, BigInt.asIntN(64, coefficient * factor));
  }
  return { number: BigInt.asIntN(64, value.number * factor), terms, unknown: value.unknown || unknown };
}

function add(a: Value, b: Value): Value {
  let terms = a.terms;
  if (b.terms) {
    const sum = new Map(a.terms);
    for (const [key, coefficient] of b.terms) {
      const total = (sum.get(key) ?? 0n) + coefficient;
      if (total === 0n) sum.delete(key);
      else sum.set(key, total);
    }
    terms = sum.size ? sum : undefined;
  }
  return { number: BigInt.asIntN(64, a.number + b.number), terms, unknown: a.unknown || b.unknown };
}

/** The one base that a relocatable value counts from (0: an absolute number), or undefined when it is no plain address. */
export function baseOf(value: Value): number | undefined {
  if (!value.terms) return 0;
  if (value.terms.size !== 1) return undefined;
  const [[key, coefficient]] = value.terms;
  return key > 0 && coefficient === 1n ? key : undefined;
}

/** Which register stands first in the text, and whether it is multiplied: NASM takes the first one as the base unless it is. */
export function firstRegister(node: Node): { readonly index: number; readonly multiplied: boolean } | undefined {
  switch (node.kind) {
    case 'register': return { index: node.index, multiplied: false };
    case 'unary': return firstRegister(node.operand);
    case 'binary': {
      const found = firstRegister(node.left) ?? firstRegister(node.right);
      return found && node.operator === '*' ? { index: found.index, multiplied: true } : found;
    }
    case 'conditional': return firstRegister(node.then) ?? firstRegister(node.otherwise);
    default: return undefined;
  }
}
