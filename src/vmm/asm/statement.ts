/** One expanded line → a statement: label, `times`, prefixes, and an instruction with operands, data, a reservation or a directive. */
import { nearest, Problem, type Span } from './diagnostics';
import { Cursor, parseExpression, type Node } from './expression';
import type { Token } from './lexer';
import { registerIndex, registers } from './registers';

export type OperandSize = 8 | 16 | 32 | 64 | 80 | 128;

interface OperandBase extends Span {
  /** Written in front: byte, word, dword, qword. */
  readonly size: OperandSize | undefined;
  readonly strict: boolean;
  readonly distance: 'short' | 'near' | 'far' | undefined;
}
export type Operand =
  | OperandBase & { readonly kind: 'register'; readonly index: number }
  | OperandBase & { readonly kind: 'immediate'; readonly node: Node }
  | OperandBase & { readonly kind: 'far'; readonly selector: Node; readonly offset: Node }
  | OperandBase & { readonly kind: 'memory'; readonly node: Node; readonly segment: number | undefined; readonly displacementSize: 8 | 16 | 32 | 64 | undefined; readonly noSplit: boolean;
    /** `rel` (true) or `abs` (false) is written. */
    readonly relative: boolean | undefined;
  };

export type DataItem =
  | { readonly kind: 'string'; readonly bytes: Uint8Array }
  | { readonly kind: 'expression'; readonly node: Node }
  | { readonly kind: 'float'; readonly text: string; readonly span: Span }
  | { readonly kind: 'uninitialized' }
  | { readonly kind: 'repeat'; readonly count: Node; readonly items: readonly DataItem[] };

export type Body =
  | { readonly kind: 'instruction'; readonly mnemonic: string; readonly prefixes: readonly string[]; readonly operands: readonly Operand[]; readonly span: Span }
  | { readonly kind: 'data'; readonly unit: number; readonly items: readonly DataItem[] }
  | { readonly kind: 'reserve'; readonly unit: number; readonly count: Node }
  | { readonly kind: 'incbin'; readonly file: string; readonly skip: Node | undefined; readonly length: Node | undefined; readonly span: Span }
  | { readonly kind: 'equ'; readonly node: Node }
  | { readonly kind: 'directive'; readonly name: string; readonly rest: readonly Token[]; readonly span: Span };

export interface Label extends Span {
  readonly name: string;
  readonly colon: boolean;
}

export interface Statement {
  readonly label?: Label;
  readonly times?: Node;
  readonly body?: Body;
}

const dataUnits: Record<string, number> = { db: 1, dw: 2, dd: 4, dq: 8, dt: 10 };
const reserveUnits: Record<string, number> = { resb: 1, resw: 2, resd: 4, resq: 8, rest: 10 };
const sizes: Record<string, OperandSize> = { byte: 8, word: 16, dword: 32, qword: 64, tword: 80, oword: 128 };
const prefixNames: ReadonlySet<string> = new Set([
  'rep', 'repe', 'repz', 'repne', 'repnz', 'lock', 'o16', 'o32', 'o64', 'a16', 'a32', 'a64', 'es', 'cs', 'ss', 'ds', 'fs', 'gs', 'wait',
]);
export const directiveNames: ReadonlySet<string> = new Set([
  'bits', 'use16', 'use32', 'use64', 'org', 'section', 'segment', 'absolute', 'global', 'extern', 'common', 'static', 'align', 'alignb', 'sectalign',
  'struc', 'endstruc', 'istruc', 'at', 'iend', 'cpu', 'default', 'required', 'warning', 'debug', 'list', 'float',
]);
/** Words with a meaning inside operands; `$byte` is a label. */
const operandWords: ReadonlySet<string> = new Set([...Object.keys(sizes), 'near', 'far', 'short', 'strict', 'nosplit', 'seg', 'wrt', 'abs', 'rel']);

/** Names that cannot be labels. */
function isKeyword(word: string, isMnemonic: (name: string) => boolean): boolean {
  return Object.hasOwn(dataUnits, word) || Object.hasOwn(reserveUnits, word) || word === 'equ' || word === 'times' || word === 'incbin'
    || prefixNames.has(word) || directiveNames.has(word) || isMnemonic(word);
}

export interface StatementContext {
  readonly mnemonics: Iterable<string>;
  isMnemonic(name: string): boolean;
}

export function parseStatement(tokens: readonly Token[], context: StatementContext): Statement {
  const cursor = new Cursor(tokens);
  if (cursor.is('[')) return { body: bracketDirective(cursor) };
  let label: Label | undefined;
  const first = cursor.token;
  if (first?.kind === 'name') {
    const next = tokens[1];
    const colon = next?.kind === 'operator' && next.text === ':';
    const word = first.text.toLowerCase();
    const segmentPrefix = colon ? false : isKeyword(word, context.isMnemonic);
    if (!segmentPrefix) {
      if (registerIndex(word) !== undefined) throw new Problem(`expected an instruction or a label, not register ${word}`, first);
      if (operandWords.has(word)) throw new Problem(`expected an instruction or a label; \`${word}\` belongs to an operand`, first);
      if (!colon && next && !(next.kind === 'name' && isKeyword(next.text.toLowerCase(), context.isMnemonic))) throw unknownInstruction(first, context);
      label = { name: first.text.startsWith('$') ? first.text.slice(1) : first.text, colon, column: first.column, endColumn: first.endColumn };
      cursor.at = colon ? 2 : 1;
    }
  }
  let times: Node | undefined;
  while (cursor.word === 'times') {
    if (times) throw new Problem('second `times` on the line', cursor.span());
    cursor.at += 1;
    times = parseExpression(cursor);
  }
  if (cursor.end) {
    if (times) throw new Problem('`times` needs something to repeat', cursor.span());
    return { label };
  }
  const body = parseBody(cursor, context);
  if (!cursor.end) throw new Problem(`\`${cursor.token?.text}\` is left over at the end of the line: is a comma or an operator missing before it?`, cursor.span());
  return { label, times, body };
}

function unknownInstruction(token: Token, context: StatementContext): Problem {
  const near = nearest(token.text.toLowerCase(), [...context.mnemonics, ...Object.keys(dataUnits), ...Object.keys(reserveUnits), ...directiveNames, 'equ', 'times', 'incbin']);
  return new Problem(`unknown instruction \`${token.text}\`${near ? `; did you mean \`${near}\`?` : ''}`, token);
}

function bracketDirective(cursor: Cursor): Body {
  const last = cursor.tokens[cursor.tokens.length - 1];
  const name = cursor.tokens[1];
  if (last.text !== ']' || name?.kind !== 'name') throw new Problem('expected a directive in brackets, like [bits 16]', cursor.span());
  return { kind: 'directive', name: name.text.toLowerCase(), rest: cursor.tokens.slice(2, -1), span: name };
}

function parseBody(cursor: Cursor, context: StatementContext): Body {
  const prefixes: string[] = [];
  for (;;) {
    const token = cursor.token;
    const word = cursor.word;
    if (word === undefined || !token) {
      if (!token && prefixes.length) return { kind: 'instruction', mnemonic: '', prefixes, operands: [], span: cursor.tokens[0] };
      throw new Problem(`expected an instruction, not \`${token?.text ?? ''}\``, cursor.span());
    }
    if (prefixNames.has(word) && !(word === 'wait' && cursor.at + 1 >= cursor.tokens.length)) {
      prefixes.push(word);
      cursor.at += 1;
      if (prefixes.length > 10) throw new Problem('too many prefixes', token);
      // A lone segment prefix may stand on a line of its own.
      continue;
    }
    if (prefixes.length === 0) {
      const pseudo = parsePseudo(cursor, word, token);
      if (pseudo) return pseudo;
    }
    if (!context.isMnemonic(word)) throw unknownInstruction(token, context);
    cursor.at += 1;
    const operands: Operand[] = [];
    if (!cursor.end) {
      do operands.push(parseOperand(cursor));
      while (cursor.accept(','));
    }
    return { kind: 'instruction', mnemonic: word, prefixes, operands, span: token };
  }
}

function parsePseudo(cursor: Cursor, word: string, token: Token): Body | undefined {
  if (Object.hasOwn(dataUnits, word)) {
    cursor.at += 1;
    return { kind: 'data', unit: dataUnits[word], items: parseItems(cursor, 0) };
  }
  if (Object.hasOwn(reserveUnits, word)) {
    cursor.at += 1;
    return { kind: 'reserve', unit: reserveUnits[word], count: parseExpression(cursor) };
  }
  if (word === 'equ') {
    cursor.at += 1;
    return { kind: 'equ', node: parseExpression(cursor) };
  }
  if (word === 'incbin') {
    cursor.at += 1;
    const name = cursor.token;
    if (name?.kind !== 'string') throw new Problem('incbin needs a file name in quotes', cursor.span());
    cursor.at += 1;
    const skip = cursor.accept(',') && !cursor.is(',') ? parseExpression(cursor) : undefined;
    const length = cursor.accept(',') ? parseExpression(cursor) : undefined;
    return { kind: 'incbin', file: new TextDecoder().decode(name.bytes), skip, length, span: name };
  }
  if (directiveNames.has(word)) {
    const rest = cursor.tokens.slice(cursor.at + 1);
    cursor.at = cursor.tokens.length;
    return { kind: 'directive', name: word, rest, span: token };
  }
  return undefined;
}

function parseItems(cursor: Cursor, depth: number): DataItem[] {
  if (depth > 20) throw new Problem('dup is nested deeper than 20 levels', cursor.span());
  const items: DataItem[] = [];
  do {
    // A trailing comma is allowed.
    if (cursor.end) break;
    items.push(parseItem(cursor, depth));
  } while (cursor.accept(','));
  return items;
}

function parseItem(cursor: Cursor, depth: number): DataItem {
  const token = cursor.token;
  const next = cursor.tokens[cursor.at + 1];
  const alone = !next || (next.kind === 'operator' && (next.text === ',' || next.text === ')'));
  if (token?.kind === 'string' && alone) {
    cursor.at += 1;
    return { kind: 'string', bytes: token.bytes ?? new Uint8Array() };
  }
  if (token?.kind === 'operator' && token.text === '?' && alone) {
    cursor.at += 1;
    return { kind: 'uninitialized' };
  }
  const sign = token?.kind === 'operator' && (token.text === '-' || token.text === '+') && next?.kind === 'float' ? 1 : 0;
  const float = cursor.tokens[cursor.at + sign];
  if (float?.kind === 'float') {
    cursor.at += 1 + sign;
    return { kind: 'float', text: (sign ? token?.text : '') + float.text, span: float };
  }
  const node = parseExpression(cursor);
  if (cursor.word !== 'dup') return { kind: 'expression', node };
  cursor.at += 1;
  if (!cursor.accept('(')) return { kind: 'repeat', count: node, items: [parseItem(cursor, depth + 1)] };
  const items = parseItems(cursor, depth + 1);
  if (!cursor.accept(')')) throw new Problem('expected `)` of dup', cursor.span());
  return { kind: 'repeat', count: node, items };
}

function parseOperand(cursor: Cursor): Operand {
  const start = cursor.span();
  let size: OperandSize | undefined;
  let strict = false;
  let distance: Operand['distance'];
  for (;;) {
    const word = cursor.word;
    if (word === 'strict') strict = true;
    else if (word === 'short' || word === 'near' || word === 'far') distance = word;
    else if (word !== undefined && Object.hasOwn(sizes, word)) size = sizes[word];
    else if (word !== 'to' && word !== 'ptr') break;
    if (word === 'ptr') throw new Problem('NASM has no `ptr`: write `word [bx]`', cursor.span());
    cursor.at += 1;
  }
  const base = () => {
    const end = cursor.tokens[cursor.at - 1] ?? start;
    return { size, strict, distance, column: start.column, endColumn: end.endColumn };
  };
  // es:[bx], as other assemblers write [es:bx].
  const outer = cursor.token?.kind === 'name' ? registerIndex(cursor.token.text) : undefined;
  if (outer !== undefined && registers[outer].kind === 'segment' && cursor.tokens[cursor.at + 1]?.text === ':' && cursor.tokens[cursor.at + 2]?.text === '[') {
    cursor.at += 3;
    return parseMemory(cursor, base, registers[outer].number);
  }
  if (cursor.accept('[')) return parseMemory(cursor, base, undefined);
  const index = cursor.token?.kind === 'name' ? registerIndex(cursor.token.text) : undefined;
  const after = cursor.tokens[cursor.at + 1];
  if (index !== undefined && (!after || (after.kind === 'operator' && after.text === ','))) {
    cursor.at += 1;
    return { kind: 'register', index, ...base() };
  }
  const node = parseExpression(cursor);
  if (cursor.accept(':')) {
    // jmp 8:dword label
    const offsetSize = cursor.word === 'word' || cursor.word === 'dword' ? sizes[cursor.word] : undefined;
    if (offsetSize) cursor.at += 1;
    size = offsetSize ?? size;
    const offset = parseExpression(cursor);
    return { kind: 'far', selector: node, offset, ...base() };
  }
  return { kind: 'immediate', node, ...base() };
}

function parseMemory(cursor: Cursor, base: () => OperandBase, outerSegment: number | undefined): Operand {
  let displacementSize: 8 | 16 | 32 | 64 | undefined;
  let relative: boolean | undefined;
  let noSplit = false;
  let segment = outerSegment;
  for (;;) {
    const word = cursor.word;
    const next = cursor.tokens[cursor.at + 1];
    if (word === 'byte' || word === 'word' || word === 'dword' || word === 'qword') displacementSize = sizes[word] as 8 | 16 | 32 | 64;
    else if (word === 'nosplit') noSplit = true;
    else if (word === 'rel' || word === 'abs') relative = word === 'rel';
    else {
      const index = word === undefined ? undefined : registerIndex(word);
      if (index === undefined || next?.kind !== 'operator' || next.text !== ':') break;
      if (registers[index].kind !== 'segment') throw new Problem(`${word} is no segment register`, cursor.span());
      if (segment !== undefined) throw new Problem('second segment override', cursor.span());
      segment = registers[index].number;
      cursor.at += 1;
    }
    cursor.at += 1;
  }
  if (cursor.is(']')) throw new Problem('no address between the brackets', cursor.span());
  const node = parseExpression(cursor);
  if (!cursor.accept(']')) throw new Problem('expected `]`', cursor.span());
  return { kind: 'memory', node, segment, displacementSize, noSplit, relative, ...base() };
}
