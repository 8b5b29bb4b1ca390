/**
 * The expression language of conditions, log points, watches and hovers: C's operators over registers (`eax`, `cs.base`, `zf`),
 * memory (`[lin]`, `byte [..]`, `word [ds:si]`, `dword [phys:0x1000]`) and symbols. Pure: text → tree → value in a context.
 *
 * Values follow C with unsigned registers: an operation is done in the width of its wider operand, at least 32 bits, and wraps there;
 * numbers take the width of the other operand (`eax == -1` is true for 0xFFFFFFFF). Between numbers alone it is signed 64-bit arithmetic.
 * `signed al` makes a number of a register, for `signed eax < 0`.
 */

export class ExpressionError extends Error {
  /** @param column position in the expression, from 1. */
  constructor(message: string, readonly column: number) {
    super(`${message} (column ${column})`);
    this.name = 'ExpressionError';
  }
}

/** `bits`: 1–64 for a register or memory, 0 for a number. */
export interface Value {
  readonly value: bigint;
  readonly bits: number;
}

export interface EvaluationContext {
  register(name: string): Value | undefined;
  /** Little-endian value of `bytes` bytes, or undefined where nothing can be read. */
  memory(space: 'linear' | 'physical', address: number, bytes: number): bigint | undefined;
  symbol(name: string): number | undefined;
  /** Size of `[..]` without a size: 2, 4 or 8 bytes. */
  readonly wordBytes: number;
}

type BinaryOperator = keyof typeof precedence;
type UnaryOperator = '-' | '+' | '~' | '!' | 'signed';

export type Expression = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'conditional'; readonly condition: Expression; readonly then: Expression; readonly otherwise: Expression }
  /** `bytes` 0: the context's word. `segment`: a segment register's name, 'lin', 'phys' or nothing (linear). */
  | { readonly kind: 'memory'; readonly bytes: number; readonly segment?: string; readonly address: Expression }
);
export type MemoryExpression = Extract<Expression, { kind: 'memory' }>;

/** Higher binds tighter. */
const precedence = {
  '||': 1, '&&': 2, '|': 3, '^': 4, '&': 5, '==': 6, '!=': 6, '<': 7, '<=': 7, '>': 7, '>=': 7, '<<': 8, '>>': 8, '+': 9, '-': 9, '*': 10, '/': 10, '%': 10,
} as const;

const sizes: Readonly<Record<string, number>> = { byte: 1, word: 2, dword: 4, qword: 8 };
const segmentOverrides = new Set(['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'lin', 'phys']);

interface Token {
  readonly kind: 'number' | 'name' | 'operator' | 'end';
  readonly text: string;
  readonly value: bigint;
  readonly start: number;
  readonly end: number;
}

const tokenPattern = /\s*(?:('(?:[^'\\])')|([0-9][0-9A-Za-z_]*)|(\$?[A-Za-z_.@][\w.@$]*)|(\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>?:()[\]]))/y;
/** More would be no expression that anybody typed, and recursion has to end somewhere. */
const maximumLength = 1000;
const maximumDepth = 100;

function parseNumber(text: string, column: number): bigint {
  const digits = text.replace(/_/g, '').toLowerCase();
  let literal: string | undefined;
  if (/^0x[0-9a-f]+$/.test(digits)) literal = digits;
  else if (/^[0-9][0-9a-f]*h$/.test(digits)) literal = `0x${digits.slice(0, -1)}`;
  else if (/^0b[01]+$/.test(digits)) literal = digits;
  else if (/^[01]+b$/.test(digits)) literal = `0b${digits.slice(0, -1)}`;
  else if (/^0o[0-7]+$/.test(digits)) literal = digits;
  else if (/^[0-9]+d?$/.test(digits)) literal = digits.replace('d', '');
  if (literal === undefined) throw new ExpressionError(`"${text}" is not a number; write 26, 0x1A, 1Ah or 0b11010`, column);
  const value = BigInt(literal);
  if (value >= 1n << 64n) throw new ExpressionError(`${text} does not fit in 64 bits`, column);
  return value;
}

function tokenize(text: string): Token[] {
  if (text.length > maximumLength) throw new ExpressionError(`The expression is longer than ${maximumLength} characters`, maximumLength);
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  for (let at = 0; ; at = tokenPattern.lastIndex) {
    const rest = text.slice(at);
    if (rest.trim() === '') {
      tokens.push({ kind: 'end', text: 'the end', value: 0n, start: text.length, end: text.length });
      return tokens;
    }
    const match = tokenPattern.exec(text);
    if (!match) {
      const column = at + rest.length - rest.trimStart().length;
      throw new ExpressionError(`"${text[column]}" cannot stand in an expression`, column + 1);
    }
    const [, character, number, name, operator] = match;
    const token = character ?? number ?? name ?? operator ?? '';
    const end = tokenPattern.lastIndex;
    const start = end - token.length;
    const kind = operator !== undefined ? 'operator' : name !== undefined ? 'name' : 'number';
    const value = character !== undefined ? BigInt(token.codePointAt(1) ?? 0) : number !== undefined ? parseNumber(number, start + 1) : 0n;
    tokens.push({ kind, text: token, value, start, end });
  }
}

class Parser {
  private at = 0;
  private depth = 0;
  constructor(private readonly tokens: readonly Token[]) {}

  private get next(): Token {
    return this.tokens[this.at] as Token;
  }
  private is(text: string): boolean {
    return this.next.kind === 'operator' && this.next.text === text;
  }
  private take(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.at++;
    return token;
  }
  private expect(text: string): Token {
    if (!this.is(text)) throw new ExpressionError(`Expected "${text}" instead of ${describe(this.next)}`, this.next.start + 1);
    return this.take();
  }

  whole(): Expression {
    const tree = this.conditional();
    if (this.next.kind !== 'end') throw new ExpressionError(`Did not expect ${describe(this.next)}`, this.next.start + 1);
    return tree;
  }

  private conditional(): Expression {
    if (++this.depth > maximumDepth) throw new ExpressionError('The expression is nested too deeply', this.next.start + 1);
    const condition = this.binary(1);
    let tree = condition;
    if (this.is('?')) {
      this.take();
      const then = this.conditional();
      this.expect(':');
      const otherwise = this.conditional();
      tree = { kind: 'conditional', condition, then, otherwise, start: condition.start, end: otherwise.end };
    }
    this.depth--;
    return tree;
  }

  private binary(minimum: number): Expression {
    let left = this.unary();
    for (;;) {
      const operator = this.next.text as BinaryOperator;
      const level = this.next.kind === 'operator' ? precedence[operator] : undefined;
      if (level === undefined || level < minimum) return left;
      this.take();
      const right = this.binary(level + 1);
      left = { kind: 'binary', operator, left, right, start: left.start, end: right.end };
    }
  }

  private unary(): Expression {
    const token = this.next;
    const isOperator = token.kind === 'operator' && ['-', '+', '~', '!'].includes(token.text);
    if (!isOperator && !(token.kind === 'name' && token.text.toLowerCase() === 'signed')) return this.primary();
    if (++this.depth > maximumDepth) throw new ExpressionError('The expression is nested too deeply', token.start + 1);
    this.take();
    const operand = this.unary();
    this.depth--;
    return { kind: 'unary', operator: token.text.toLowerCase() as UnaryOperator, operand, start: token.start, end: operand.end };
  }

  private primary(): Expression {
    const token = this.take();
    if (token.kind === 'number') return { kind: 'number', value: token.value, start: token.start, end: token.end };
    if (token.kind === 'operator' && token.text === '[') return this.memory(0, token.start);
    if (token.kind === 'operator' && token.text === '(') {
      const inner = this.conditional();
      return { ...inner, start: token.start, end: this.expect(')').end };
    }
    if (token.kind === 'name') {
      const bytes = sizes[token.text.toLowerCase()];
      if (bytes !== undefined) {
        // NASM has no "ptr", MASM and everybody's fingers do.
        if (this.next.kind === 'name' && this.next.text.toLowerCase() === 'ptr') this.take();
        if (!this.is('[')) throw new ExpressionError(`Expected "[" after "${token.text}" instead of ${describe(this.next)}`, this.next.start + 1);
        this.take();
        return this.memory(bytes, token.start);
      }
      return { kind: 'name', name: token.text, start: token.start, end: token.end };
    }
    throw new ExpressionError(`Expected a number, a register, a symbol or memory instead of ${describe(token)}`, token.start + 1);
  }

  private memory(bytes: number, start: number): Expression {
    let segment: string | undefined;
    const colon = this.tokens[this.at + 1];
    if (this.next.kind === 'name' && colon?.kind === 'operator' && colon.text === ':') {
      const name = this.next.text.toLowerCase();
      if (!segmentOverrides.has(name)) throw new ExpressionError(`"${this.next.text}" is no segment register; before ":" stands cs, ds, es, fs, gs, ss, lin or phys`, this.next.start + 1);
      segment = name;
      this.take();
      this.take();
    }
    const address = this.conditional();
    const end = this.expect(']').end;
    return { kind: 'memory', bytes, address, start, end, ...(segment !== undefined && { segment }) };
  }
}

function describe(token: Token): string {
  return token.kind === 'end' ? 'the end' : `"${token.text}"`;
}

/** @throws ExpressionError */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text);
  if (tokens[0]?.kind === 'end') throw new ExpressionError('The expression is empty', 1);
  return new Parser(tokens).whole();
}

/** @throws ExpressionError for an unknown name, memory that cannot be read, a division by zero. */
export function evaluateExpression(tree: Expression, context: EvaluationContext): Value {
  switch (tree.kind) {
    case 'number':
      return { value: tree.value, bits: 0 };
    case 'name':
      return evaluateName(tree.name, context, tree.start + 1);
    case 'unary':
      return evaluateUnary(tree.operator, evaluateExpression(tree.operand, context));
    case 'conditional':
      return evaluateExpression(evaluateExpression(tree.condition, context).value !== 0n ? tree.then : tree.otherwise, context);
    case 'binary':
      return evaluateBinary(tree, context);
    case 'memory': {
      const { space, address, bytes } = memoryOperand(tree, context);
      const value = context.memory(space, address, bytes);
      if (value === undefined) throw new ExpressionError(`Memory at ${space === 'physical' ? 'phys' : 'lin'}:0x${address.toString(16)} cannot be read`, tree.start + 1);
      return { value, bits: bytes * 8 };
    }
  }
}

/** Where a memory expression points. @throws ExpressionError */
export function memoryOperand(tree: MemoryExpression, context: EvaluationContext): { space: 'linear' | 'physical'; address: number; bytes: number } {
  const offset = evaluateExpression(tree.address, context).value;
  let base = 0n;
  if (tree.segment !== undefined && tree.segment !== 'lin' && tree.segment !== 'phys') {
    base = evaluateName(`${tree.segment}.base`, context, tree.start + 1).value;
  }
  // A linear address of 64-bit code is a number of 48 bits (addresses.ts).
  const address = Number(BigInt.asUintN(context.wordBytes !== 8 ? 32 : tree.segment === 'phys' ? 52 : 48, base + offset));
  return { space: tree.segment === 'phys' ? 'physical' : 'linear', address, bytes: tree.bytes || context.wordBytes };
}

function evaluateName(name: string, context: EvaluationContext, column: number): Value {
  // `$name` is a symbol that is called like a register, as in NASM.
  const register = name.startsWith('$') ? undefined : context.register(name);
  if (register) return register;
  const symbol = context.symbol(name.replace(/^\$/, ''));
  if (symbol !== undefined) return { value: BigInt(symbol), bits: 0 };
  throw new ExpressionError(`There is no register or symbol "${name}"`, column);
}

function evaluateUnary(operator: UnaryOperator, operand: Value): Value {
  switch (operator) {
    case '+': return operand;
    case '!': return { value: operand.value === 0n ? 1n : 0n, bits: 0 };
    case 'signed': return operand.bits === 0 ? operand : { value: BigInt.asIntN(operand.bits, operand.value), bits: 0 };
    case '-': return wrap(-operand.value, operand.bits);
    case '~': return wrap(~operand.value, operand.bits);
  }
}

/** C's integer promotion: nothing is computed in fewer than 32 bits. */
function wrap(value: bigint, bits: number): Value {
  if (bits === 0) return { value: value >= -(1n << 63n) && value < 1n << 64n ? value : BigInt.asIntN(64, value), bits: 0 };
  const width = bits > 32 ? 64 : 32;
  return { value: BigInt.asUintN(width, value), bits: width };
}

function evaluateBinary(tree: Extract<Expression, { kind: 'binary' }>, context: EvaluationContext): Value {
  const { operator } = tree;
  const left = evaluateExpression(tree.left, context);
  if (operator === '&&' && left.value === 0n) return { value: 0n, bits: 0 };
  if (operator === '||' && left.value !== 0n) return { value: 1n, bits: 0 };
  const right = evaluateExpression(tree.right, context);
  const bits = Math.max(left.bits, right.bits);
  const a = wrap(left.value, bits).value;
  const b = wrap(right.value, bits).value;
  const truth = (condition: boolean): Value => ({ value: condition ? 1n : 0n, bits: 0 });
  switch (operator) {
    case '&&':
    case '||': return truth(right.value !== 0n);
    case '==': return truth(a === b);
    case '!=': return truth(a !== b);
    case '<': return truth(a < b);
    case '<=': return truth(a <= b);
    case '>': return truth(a > b);
    case '>=': return truth(a >= b);
    case '|': return wrap(a | b, bits);
    case '^': return wrap(a ^ b, bits);
    case '&': return wrap(a & b, bits);
    case '+': return wrap(a + b, bits);
    case '-': return wrap(a - b, bits);
    case '*': return wrap(a * b, bits);
    // The left operand alone gives a shift its width; counts beyond it shift everything out.
    case '<<': return right.value < 0n || right.value > 63n ? { value: 0n, bits: left.bits } : wrap(left.value << right.value, left.bits);
    case '>>': return right.value < 0n || right.value > 63n ? { value: 0n, bits: left.bits } : wrap(left.value >> right.value, left.bits);
    case '/':
    case '%':
      if (b === 0n) throw new ExpressionError('Division by zero', tree.right.start + 1);
      return wrap(operator === '/' ? a / b : a % b, bits);
  }
}

/** All names of an expression that `isRegister` does not know: its symbols. */
export function symbolsOf(tree: Expression, isRegister: (name: string) => boolean): { name: string; start: number; end: number }[] {
  switch (tree.kind) {
    case 'number': return [];
    case 'name': return isRegister(tree.name) ? [] : [{ name: tree.name, start: tree.start, end: tree.end }];
    case 'unary': return symbolsOf(tree.operand, isRegister);
    case 'binary': return [...symbolsOf(tree.left, isRegister), ...symbolsOf(tree.right, isRegister)];
    case 'conditional': return [tree.condition, tree.then, tree.otherwise].flatMap((part) => symbolsOf(part, isRegister));
    case 'memory': return symbolsOf(tree.address, isRegister);
  }
}

/**
 * The expression with its symbols replaced by numbers, for a reader without a symbol table (the machine's worker).
 * @throws ExpressionError for a syntax error or an unknown name.
 */
export function bindSymbols(text: string, isRegister: (name: string) => boolean, symbol: (name: string) => number | undefined): string {
  let bound = text;
  // From the end, so that positions stay true.
  for (const { name, start, end } of symbolsOf(parseExpression(text), isRegister).sort((a, b) => b.start - a.start)) {
    const value = symbol(name.replace(/^\$/, ''));
    if (value === undefined) throw new ExpressionError(`There is no register or symbol "${name}"`, start + 1);
    bound = `${bound.slice(0, start)}0x${value.toString(16)}${bound.slice(end)}`;
  }
  return bound;
}

/** Text of a log point in pieces: plain text and expressions in braces. `{{` stands for a brace. @throws ExpressionError */
export function parseLogMessage(text: string): (string | { readonly expression: string })[] {
  const pieces: (string | { expression: string })[] = [];
  let plain = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '{' && text[at + 1] !== '{') {
      const close = text.indexOf('}', at);
      if (close < 0) throw new ExpressionError('"{" without "}" in the log message', at + 1);
      if (plain) pieces.push(plain);
      plain = '';
      pieces.push({ expression: text.slice(at + 1, close) });
      at = close;
      continue;
    }
    if ((text[at] === '{' || text[at] === '}') && text[at + 1] === text[at]) at++;
    plain += text[at] ?? '';
  }
  if (plain) pieces.push(plain);
  return pieces;
}

/** A hit condition `N`, `=N`, `>N`, `>=N`, `<N`, `<=N`, `%N` as a test of the count (which includes the present hit). @throws ExpressionError */
export function parseHitCondition(text: string): (hits: number) => boolean {
  const match = /^\s*(==?|>=?|<=?|%)?\s*([0-9]+)\s*$/.exec(text);
  if (!match) throw new ExpressionError(`"${text}" is no hit condition; write 5, >5, >=5, <5, <=5 or %5`, 1);
  const n = Number(match[2]);
  switch (match[1]) {
    case '>': return (hits) => hits > n;
    case '>=': return (hits) => hits >= n;
    case '<': return (hits) => hits < n;
    case '<=': return (hits) => hits <= n;
    case '%':
      if (n === 0) throw new ExpressionError('"%0" never holds; write %1 or more', 1);
      return (hits) => hits % n === 0;
    default: return (hits) => hits === n;
  }
}

/** A value for people: hexadecimal in its width, decimal beside it where that says more. */
export function formatValue({ value, bits }: Value): string {
  if (bits === 1) return value.toString();
  if (value < 0n) return `${value}`;
  const hex = `0x${value.toString(16).padStart(Math.ceil(bits / 4), '0')}`;
  return value < 10n && bits === 0 ? value.toString() : value < 10n ? hex : `${hex} (${value})`;
}
