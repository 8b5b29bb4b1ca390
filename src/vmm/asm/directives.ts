/** The assembler's directives (bits, section, org, align, struc, global, …), a row each. */
import { Problem, type Span } from './diagnostics';
import { Cursor, parseExpression } from './expression';
import type { Token } from './lexer';
import type { Pass } from './pass';
import { parseStatement } from './statement';

interface DirectiveCall {
  readonly pass: Pass;
  readonly rest: readonly Token[];
  readonly span: Span;
}

function expectEnd(cursor: Cursor): void {
  if (!cursor.end) throw new Problem(`\`${cursor.token?.text}\` is left over at the end of the line`, cursor.span());
}

function wordOf(rest: readonly Token[], span: Span, what: string): Token {
  const [first] = rest;
  if (first?.kind !== 'name') throw new Problem(`${what} needs a name`, first ?? span);
  return first;
}

function setBits({ pass, rest, span }: DirectiveCall): void {
  const value = rest[0]?.kind === 'number' ? Number(rest[0].value) : 0;
  if (value !== 16 && value !== 32 && value !== 64) throw new Problem('bits is followed by 16, 32 or 64', rest[0] ?? span);
  pass.bits = value;
}

/** `default rel`: addresses without registers count from the next instruction. */
function setDefault({ pass, rest }: DirectiveCall): void {
  for (const token of rest) {
    const word = token.text.toLowerCase();
    if (word === 'rel' || word === 'abs') pass.relative = word === 'rel';
  }
}

function section({ pass, rest, span }: DirectiveCall): void {
  if (pass.structure) throw new Problem('the section cannot change inside struc or istruc', span);
  const name = rest[0]?.kind === 'string' ? new TextDecoder().decode(rest[0].bytes) : wordOf(rest, span, 'section').text;
  const cursor = new Cursor(rest);
  cursor.at = 1;
  const target = pass.sectionNamed(name);
  const { attributes } = target;
  pass.mention(name);
  const flags: Record<string, () => void> = {
    progbits: () => { attributes.nobits = false; },
    nobits: () => { attributes.nobits = true; },
    alloc: () => { attributes.alloc = true; },
    noalloc: () => { attributes.alloc = false; },
    exec: () => { attributes.exec = true; },
    noexec: () => { attributes.exec = false; },
    write: () => { attributes.write = true; },
    nowrite: () => { attributes.write = false; },
    // Distinctions that the processor does not see.
    code: () => { attributes.exec = true; },
    data: () => { attributes.write = true; },
    bss: () => { attributes.nobits = true; },
    public: () => undefined, private: () => undefined, use16: () => { pass.bits = 16; }, use32: () => { pass.bits = 32; }, use64: () => { pass.bits = 64; },
  };
  while (!cursor.end) {
    const word = cursor.word;
    const at = cursor.span();
    if (word === undefined) throw new Problem('expected an attribute of the section', at);
    cursor.at += 1;
    if (!cursor.accept('=')) {
      const flag = Object.hasOwn(flags, word) ? flags[word] : undefined;
      if (!flag) {
        pass.warn(`unknown attribute \`${word}\` of the section is ignored`, at);
        continue;
      }
      if (word === 'nobits' && !attributes.nobits && target.position) throw new Problem('the section already has contents', at);
      flag();
      continue;
    }
    if (word === 'follows' || word === 'vfollows') {
      const other = cursor.token;
      if (other?.kind !== 'name') throw new Problem(`${word}= needs the name of a section`, cursor.span());
      cursor.at += 1;
      attributes[word] = other.text;
      continue;
    }
    const number = pass.numberNow(parseExpression(cursor), `${word}=`);
    if (number < 0n || number > 0xffff_ffffn) throw new Problem(`${word}=${number} is out of range`, at);
    switch (word) {
      case 'align':
        if (number === 0n || (number & (number - 1n)) !== 0n) throw new Problem(`align=${number} is not a power of two`, at);
        attributes.align = Number(number);
        break;
      case 'start': attributes.start = Number(number); break;
      case 'vstart': attributes.vstart = Number(number); break;
      default: throw new Problem(`unknown attribute \`${word}\` of the section`, at);
    }
  }
  pass.section = target;
  pass.absolute = undefined;
}

function align({ pass, rest, span }: DirectiveCall, reserve: boolean): void {
  const cursor = new Cursor(rest);
  const node = parseExpression(cursor);
  const boundary = pass.numberNow(node, 'align');
  if (boundary <= 0n || (boundary & (boundary - 1n)) !== 0n) {
    // The first pass may not know the number yet.
    if (boundary === 0n) throw new Problem('align needs a number above 0', node);
    throw new Problem(`${boundary} is not a power of two`, node);
  }
  if (boundary > 0x1000_0000n) throw new Problem(`${boundary}: the boundary is larger than 256 MiB`, node);
  const position = pass.absolute === undefined ? BigInt(pass.section.position) : pass.absolute - pass.absoluteStart;
  const gap = Number(((-position % boundary) + boundary) % boundary);
  const { section: current } = pass;
  if (pass.absolute === undefined) current.attributes.align = Math.max(current.attributes.align ?? 1, Number(boundary));
  if (cursor.accept(',') && !cursor.end) {
    const statement = parseStatement(cursor.tokens.slice(cursor.at), { mnemonics: [], isMnemonic: (name) => pass.options.table.byMnemonic.has(name) });
    const { body } = statement;
    if (!body || statement.label || statement.times || body.kind === 'directive' || body.kind === 'equ') throw new Problem('align needs an instruction or data to fill the gap with', span);
    const before = pass.absolute ?? BigInt(current.position);
    for (let left = gap; left > 0; left -= 1) {
      pass.body(body, 1);
      // As NASM: the filler is repeated once for every byte missing, so it should be one byte long.
      if (left === gap && (pass.absolute ?? BigInt(current.position)) === before) break;
    }
    return;
  }
  expectEnd(cursor);
  if (reserve || pass.absolute !== undefined || current.attributes.nobits) pass.reserve(BigInt(gap), { column: -1, endColumn: -1 });
  else {
    const start = current.position;
    pass.fill(0x90, gap);
    current.line(start, gap, pass.origin, 'data', pass.bits);
  }
}

function org({ pass, rest, span }: DirectiveCall): void {
  if (pass.options.format !== 'bin') throw new Problem('org has a meaning only in flat binaries: the linker places an ELF object', span);
  const cursor = new Cursor(rest);
  const node = parseExpression(cursor);
  expectEnd(cursor);
  const value = pass.numberNow(node, 'org');
  if (value < 0n || value > 0xffff_ffffn) throw new Problem(`org ${value} is no 32-bit address`, node);
  if (pass.originAddress !== undefined && pass.originAddress !== value) throw new Problem('the origin was already set: use `section … vstart=` for parts that run elsewhere', span);
  pass.originAddress = value;
}

function absolute({ pass, rest }: DirectiveCall): void {
  const cursor = new Cursor(rest);
  const node = parseExpression(cursor);
  expectEnd(cursor);
  pass.absolute = pass.absoluteStart = pass.numberNow(node, 'absolute');
}

function struc({ pass, rest, span }: DirectiveCall): void {
  const name = wordOf(rest, span, 'struc');
  if (pass.structure) throw new Problem(`struc ${pass.structure.name} of line ${pass.structure.origin.line} has no end`, span);
  const cursor = new Cursor(rest);
  cursor.at = 1;
  const start = cursor.accept(',') ? pass.numberNow(parseExpression(cursor), 'struc') : 0n;
  expectEnd(cursor);
  pass.structure = { kind: 'struc', name: name.text, start, origin: pass.origin, before: { section: pass.section, absolute: pass.absolute } };
  pass.absolute = pass.absoluteStart = start;
  pass.symbols.define({ name: name.text, column: name.column, endColumn: name.endColumn }, 'label', { number: start }, pass.origin);
}

function endstruc({ pass, span }: DirectiveCall): void {
  const { structure } = pass;
  if (structure?.kind !== 'struc') throw new Problem('endstruc without struc', span);
  const size = (pass.absolute ?? 0n) - structure.start;
  pass.symbols.define({ name: `${structure.name}_size`, ...span }, 'equ', { number: size }, pass.origin);
  pass.section = structure.before.section;
  pass.absolute = structure.before.absolute;
  pass.structure = undefined;
}

function istruc({ pass, rest, span }: DirectiveCall): void {
  const name = wordOf(rest, span, 'istruc');
  if (pass.structure) throw new Problem(`${pass.structure.kind} ${pass.structure.name} of line ${pass.structure.origin.line} has no end`, span);
  pass.symbol(name.text, name);
  pass.structure = {
    kind: 'istruc', name: name.text, start: BigInt(pass.section.position), origin: pass.origin, before: { section: pass.section, absolute: pass.absolute },
  };
}

/** Fills with zeros up to `offset` of the structure. */
function fillTo(pass: Pass, offset: bigint, span: Span): void {
  const structure = pass.structure;
  if (structure?.kind !== 'istruc') throw new Problem('istruc must stand above', span);
  const gap = structure.start + offset - BigInt(pass.section.position);
  if (gap < 0n) throw new Problem(`the structure is already ${-gap} bytes past this field`, span);
  pass.reserve(gap, { column: -1, endColumn: -1 });
}

function at({ pass, rest, span }: DirectiveCall): void {
  const cursor = new Cursor(rest);
  const node = parseExpression(cursor);
  const structure = pass.structure;
  const base = structure ? pass.symbol(structure.name, span) : { number: 0n };
  fillTo(pass, pass.numberNow(node, 'at') - (base.terms ? 0n : base.number), node);
  if (cursor.accept(',') || !cursor.end) {
    const statement = parseStatement(cursor.tokens.slice(cursor.at), { mnemonics: [], isMnemonic: (name) => pass.options.table.byMnemonic.has(name) });
    if (statement.body?.kind === 'directive' || statement.label) throw new Problem('at needs data behind the field', span);
    if (statement.body) pass.statement(statement, pass.origin);
  }
}

function iend({ pass, span }: DirectiveCall): void {
  const { structure } = pass;
  if (structure?.kind !== 'istruc') throw new Problem('iend without istruc', span);
  const size = pass.symbol(`${structure.name}_size`, span);
  if (!size.unknown) fillTo(pass, size.number, span);
  pass.structure = undefined;
}

/** `a, b:function, c:data size` */
function names(call: DirectiveCall, what: string): { name: Token; cursor: Cursor }[] {
  const groups: Token[][] = [[]];
  for (const token of call.rest) {
    if (token.kind === 'operator' && token.text === ',') groups.push([]);
    else groups[groups.length - 1].push(token);
  }
  return groups.map((group) => {
    const cursor = new Cursor(group);
    cursor.at = 1;
    return { name: wordOf(group, call.span, what), cursor };
  });
}

function onlyElf(call: DirectiveCall, what: string): void {
  if (call.pass.options.format === 'bin') throw new Problem(`${what}: a flat binary has no symbols of other files (use the ELF output)`, call.span);
}

function global(call: DirectiveCall): void {
  for (const { name, cursor } of names(call, 'global')) {
    const entry = call.pass.symbols.declare(name.text, call.pass.origin, name);
    entry.global = true;
    if (!cursor.accept(':')) continue;
    const type = cursor.word;
    entry.type = type === 'function' || type === 'func' ? 'function' : type === 'data' || type === 'object' ? 'data' : 'none';
    cursor.at += 1;
    if (!cursor.end && cursor.word === undefined) entry.size = call.pass.options.symbols.pass > 1 ? { number: call.pass.numberNow(parseExpression(cursor), 'global') } : undefined;
  }
}

function extern(call: DirectiveCall): void {
  onlyElf(call, 'extern');
  for (const { name } of names(call, 'extern')) {
    const { symbols } = call.pass;
    const known = symbols.list().find((entry) => entry.name === name.text && entry.definedIn === symbols.pass);
    if (known && known.kind !== 'extern') continue;
    symbols.define({ name: name.text, column: name.column, endColumn: name.endColumn }, 'extern', { number: 0n, terms: new Map([[symbols.externBase(name.text), 1n]]) }, call.pass.origin);
  }
}

function common(call: DirectiveCall): void {
  onlyElf(call, 'common');
  const name = wordOf(call.rest, call.span, 'common');
  const cursor = new Cursor(call.rest);
  cursor.at = 1;
  const size = call.pass.numberNow(parseExpression(cursor), 'common');
  const alignment = cursor.accept(':') ? call.pass.numberNow(parseExpression(cursor), 'common') : 4n;
  const entry = call.pass.symbols.define({ name: name.text, column: name.column, endColumn: name.endColumn }, 'common',
    { number: 0n, terms: new Map([[call.pass.symbols.externBase(name.text), 1n]]) }, call.pass.origin);
  entry.global = true;
  entry.commonSize = Number(size);
  entry.commonAlign = Number(alignment);
}

const accepted = () => undefined;

export const directives: Readonly<Record<string, (call: DirectiveCall) => void>> = {
  bits: setBits,
  use16: ({ pass }) => { pass.bits = 16; },
  use32: ({ pass }) => { pass.bits = 32; },
  use64: ({ pass }) => { pass.bits = 64; },
  org, section, segment: section, absolute,
  align: (call) => align(call, false),
  alignb: (call) => align(call, true),
  sectalign: accepted,
  struc, endstruc, istruc, at, iend,
  global, static: accepted, extern, required: extern, common,
  cpu: accepted, default: setDefault, warning: accepted, debug: accepted, list: accepted, float: accepted,
};
