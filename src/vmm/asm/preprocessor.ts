/**
 * The preprocessor: files → the lines that the assembler proper sees. It runs in step with the assembler (lines are taken one by one),
 * because `%if` and `%assign` may ask for `$` and for labels; when none did, the driver keeps the lines for the later passes.
 */
import { conditionNames, conditionWord } from './conditions';
import { GiveUp, limits, nearest, Problem, type LineOrigin, type Reporter, type Severity, type Span } from './diagnostics';
import { textOf, tokenize, type Token } from './lexer';
import { joinTokens, nameToken, SingleLineMacros, splitArguments, TokenBudget } from './macros';
import { comma, demote, describeCount, joins, parameterValue, readCount, type MacroCall, type MultiLineMacro } from './multi-line-macros';
import { preprocessorDirectives } from './preprocessor-directives';
import type { SourceLine, SourceSet } from './source';

export interface ExpandedLine {
  readonly tokens: readonly Token[];
  readonly origin: LineOrigin;
}

/** What the preprocessor asks of the assembler. */
export interface AssemblerState {
  /** Value of an expression that must be an absolute number now. */
  evaluateNow(tokens: readonly Token[], what: string): bigint;
  readonly pass: { readonly bits: number };
}

export interface PreprocessorOptions {
  readonly sources: SourceSet;
  readonly main: { readonly path: string; readonly text: string };
  readonly reporter: Reporter;
  readonly state: AssemblerState;
  readonly defines: Readonly<Record<string, string>>;
  readonly format: string;
  readonly now: Date | undefined;
}

interface Condition {
  /** Lines of the present branch are taken. */
  taking: boolean;
  /** A branch was taken, or the whole block stands in a branch that is not. */
  done: boolean;
  sawElse: boolean;
  readonly origin: LineOrigin;
}

export interface Frame {
  readonly kind: 'file' | 'macro' | 'rep';
  readonly lines: readonly SourceLine[];
  next: number;
  /** Passes left, for %rep. */
  repeat: number;
  readonly conditions: Condition[];
  /** The macro call whose parameters are in force. */
  readonly call: MacroCall | undefined;
  readonly callOrigin: LineOrigin | undefined;
}

interface Context {
  readonly name: string;
  readonly id: number;
}

const opening = /^%i?r?macro$/;
const closing = /^%end(?:m|macro)$/;

export class Preprocessor {
  private readonly frames: Frame[] = [];
  private readonly budget = new TokenBudget();
  private readonly macros: SingleLineMacros;
  private readonly multi = new Map<string, MultiLineMacro[]>();
  private readonly contexts: Context[] = [];
  private collecting: {
    readonly kind: 'macro' | 'rep'; readonly lines: SourceLine[]; depth: number; readonly finish: (lines: SourceLine[]) => void; readonly origin: LineOrigin; readonly word: string;
  } | undefined;
  /** It has reported something (which a later pass must report again). */
  reported = false;
  private played = 0;
  private unique = 0;
  private indirections = 0;
  private origin: LineOrigin;

  constructor(private readonly options: PreprocessorOptions) {
    this.origin = { path: options.main.path, line: 1 };
    this.macros = new SingleLineMacros(this.budget, (name) => this.builtin(name));
    for (const [name, value] of Object.entries(options.defines)) {
      this.macros.define({ name, parameters: undefined, body: tokenize(value), ignoreCase: false });
    }
    this.pushFile(options.sources.linesOfText(options.main.path, options.main.text), undefined);
  }

  /** The next line with something on it, or undefined at the end. */
  nextLine(): ExpandedLine | undefined {
    for (;;) {
      const frame = this.frames[this.frames.length - 1];
      if (!frame) {
        this.finish();
        return undefined;
      }
      if (frame.next >= frame.lines.length) {
        this.endFrame(frame);
        continue;
      }
      const line = frame.lines[frame.next];
      frame.next += 1;
      this.played += 1;
      if (this.played > limits.lines) throw new GiveUp(`the preprocessor yields more than ${limits.lines} lines: does a %rep or a macro go on without end?`);
      this.origin = { path: line.path, line: line.line, call: frame.callOrigin };
      this.indirections = 0;
      try {
        const result = this.line(line, frame);
        if (result) return result;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.report('error', this.origin, error.message, error.span);
      }
    }
  }

  expand(tokens: readonly Token[]): Token[] {
    return this.macros.expand(tokens);
  }

  private line(line: SourceLine, frame: Frame): ExpandedLine | undefined {
    const first = line.tokens[0];
    const directive = first?.kind === 'directive' ? first.text : undefined;
    if (this.collecting) {
      this.collect(line, directive);
      return undefined;
    }
    if (!first) return undefined;
    if (directive && this.conditional(directive, line.tokens, frame)) return undefined;
    if (this.skipping(frame)) {
      // The body of a macro that is not defined here must not end the blocks around it.
      return undefined;
    }
    const tokens = this.expandIndirect(this.parameters(line.tokens, frame.call));
    const head = tokens[0];
    if (!head) return undefined;
    if (head.kind === 'directive') {
      this.directive(head, tokens.slice(1), frame);
      return undefined;
    }
    const expanded = this.macros.expand(demote(tokens));
    if (!expanded.length || this.callMacro(expanded)) return undefined;
    return { tokens: expanded, origin: this.origin };
  }

  private report(severity: Severity, origin: LineOrigin, message: string, span?: Span): void {
    this.reported = true;
    this.options.reporter.report(severity, origin, message, span);
  }

  private skipping(frame: Frame): boolean {
    const condition = frame.conditions[frame.conditions.length - 1];
    return condition !== undefined && !condition.taking;
  }

  private endFrame(frame: Frame): void {
    if (frame.kind === 'rep' && frame.repeat > 1 && frame.lines.length) {
      frame.repeat -= 1;
      frame.next = 0;
    } else this.frames.pop();
    for (const open of frame.conditions.splice(0)) this.report('error', open.origin, 'this %if has no %endif');
    if (frame.kind === 'macro' && frame.call) frame.call.macro.running -= 1;
  }

  private finish(): void {
    if (!this.collecting) return;
    const { word, origin, kind } = this.collecting;
    this.collecting = undefined;
    this.report('error', origin, `this ${word} has no ${kind === 'macro' ? '%endmacro' : '%endrep'}`);
  }

  private push(frame: Frame): void {
    if (this.frames.length >= limits.depth) {
      throw new GiveUp(`files, macros and %rep blocks are nested deeper than ${limits.depth} levels: does a file include itself?`);
    }
    this.frames.push(frame);
  }

  private pushFile(lines: readonly SourceLine[], callOrigin: LineOrigin | undefined): void {
    this.push({ kind: 'file', lines, next: 0, repeat: 1, conditions: [], call: undefined, callOrigin });
  }

  private collect(line: SourceLine, directive: string | undefined): void {
    const collecting = this.collecting;
    if (!collecting) return;
    const macro = collecting.kind === 'macro';
    if (directive && (macro ? opening.test(directive) : directive === '%rep')) collecting.depth += 1;
    else if (directive && (macro ? closing.test(directive) : directive === '%endrep')) {
      collecting.depth -= 1;
      if (collecting.depth === 0) {
        this.collecting = undefined;
        collecting.finish(collecting.lines);
        return;
      }
    }
    collecting.lines.push(line);
  }

  // Conditions

  private conditional(word: string, tokens: readonly Token[], frame: Frame): boolean {
    const condition = frame.conditions[frame.conditions.length - 1];
    switch (word) {
      case '%else':
        if (!condition) throw new Problem('%else without %if', tokens[0]);
        if (condition.sawElse) throw new Problem('second %else of this %if', tokens[0]);
        condition.sawElse = true;
        condition.taking = !condition.done;
        condition.done = true;
        return true;
      case '%endif':
        if (!condition) throw new Problem('%endif without %if', tokens[0]);
        frame.conditions.pop();
        return true;
    }
    const row = conditionWord(word);
    if (!row) return false;
    const test = () => {
      const rest = this.expandIndirect(this.parameters(tokens, frame.call)).slice(1);
      return row.test(demote(rest), this.conditionContext(tokens[0]), tokens[0]) !== row.negated;
    };
    if (row.kind === 'if') {
      const opened: Condition = { taking: false, done: this.skipping(frame), sawElse: false, origin: this.origin };
      frame.conditions.push(opened);
      if (!opened.done) opened.taking = opened.done = test();
      return true;
    }
    if (!condition) throw new Problem(`${word} without %if`, tokens[0]);
    if (condition.sawElse) throw new Problem(`${word} behind the %else`, tokens[0]);
    condition.taking = false;
    if (!condition.done) condition.taking = condition.done = test();
    return true;
  }

  private conditionContext(word: Token) {
    return {
      expand: (tokens: readonly Token[]) => this.macros.expand(tokens),
      evaluate: (tokens: readonly Token[]) => this.options.state.evaluateNow(this.macros.expand(tokens), word.text),
      isDefined: (name: string) => this.macros.isDefined(name),
      isMacro: (tokens: readonly Token[]) => {
        const list = this.multiLine(tokens[0]?.text ?? '');
        const count = tokens[1]?.kind === 'number' ? Number(tokens[1].value) : undefined;
        return list.some((macro) => count === undefined || (macro.minimum <= count && count <= macro.maximum));
      },
      context: () => this.contexts[this.contexts.length - 1]?.name,
      plainName: (token: Token) => (token.kind === 'name' || token.kind === 'context' || token.kind === 'local' ? this.nameOf(token) : undefined),
    };
  }

  // Parameters of multi-line macros

  /** Replaces %1, %%x, %$x … and joins what the replacement touches. */
  private parameters(tokens: readonly Token[], call: MacroCall | undefined): Token[] {
    if (!tokens.some((token) => token.kind === 'parameter' || token.kind === 'local' || token.kind === 'context' || token.kind === 'special')) return [...tokens];
    const output: Token[] = [];
    let afterReplacement = false;
    for (const token of tokens) {
      const result = token.kind === 'context' ? [nameToken(this.nameOf(token), token)] : parameterValue(token, call);
      const replaced = result.length !== 1 || result[0] !== token;
      this.budget.spend(result.length + 1);
      if (output.length + result.length > limits.tokensPerLine) throw new GiveUp(`line ${this.origin.line} of ${this.origin.path} grows beyond ${limits.tokensPerLine} tokens`);
      result.forEach((item, i) => {
        const space = i === 0 ? token.space : item.space;
        const placed = replaced ? { ...item, space, column: token.column, endColumn: token.endColumn } : item;
        const left = output[output.length - 1];
        if (i === 0 && left && !space && (replaced || afterReplacement) && joins(left) && joins(placed)) {
          output.pop();
          output.push(...joinTokens(left, placed));
        } else output.push(placed);
      });
      afterReplacement = replaced;
    }
    return output;
  }

  private nameOf(token: Token): string {
    if (token.kind !== 'context') return token.text;
    const [, dollars, rest] = /^(\$+)(.*)$/.exec(token.text) ?? [];
    const context = this.contexts[this.contexts.length - (dollars?.length ?? 1)];
    if (!context) throw new Problem(`\`%${token.text}\` needs a context: there is no %push before it`, token);
    return `..@${context.id}.${rest}`;
  }

  // Multi-line macros

  private multiLine(name: string): readonly MultiLineMacro[] {
    const list = this.multi.get(name.toLowerCase()) ?? [];
    return list.filter((macro) => macro.ignoreCase || macro.name === name);
  }

  private callMacro(tokens: readonly Token[]): boolean {
    let start = 0;
    let list = tokens[0].kind === 'name' ? this.multiLine(tokens[0].text) : [];
    if (!list.length) {
      if (tokens[0].kind !== 'name' || tokens.length < 2) return false;
      start = tokens[1].kind === 'operator' && tokens[1].text === ':' ? 2 : 1;
      if (tokens[start]?.kind !== 'name') return false;
      list = this.multiLine(tokens[start].text);
      if (!list.length) return false;
    }
    const word = tokens[start];
    const rest = tokens.slice(start + 1);
    const given = splitArguments(rest);
    const macro = list.find((candidate) => candidate.running === 0 && given.length >= candidate.minimum && (given.length <= candidate.maximum || candidate.greedy));
    if (!macro) {
      const candidates = list.filter((candidate) => candidate.running === 0);
      if (candidates.length) {
        const counts = candidates.map((candidate) => describeCount(candidate)).join(' or ');
        this.report('warning', this.origin, `macro \`${word.text}\` takes ${counts} parameters, not ${given.length}: the line is read as an instruction`, word);
      }
      return false;
    }
    let parameters: (readonly Token[])[] = given;
    if (macro.greedy && given.length > macro.maximum) {
      const kept = given.slice(0, macro.maximum - 1);
      const last = given.slice(macro.maximum - 1).flatMap((argument, i) => (i ? [comma(word), ...argument] : argument));
      parameters = [...kept, last];
    }
    while (parameters.length < macro.maximum && macro.defaults[parameters.length - macro.minimum]) {
      parameters.push(macro.defaults[parameters.length - macro.minimum]);
    }
    this.unique += 1;
    const call: MacroCall = { macro, parameters, label: start ? tokens.slice(0, 1) : [], id: this.unique, rotation: 0, calledAs: word.text };
    const labelUsed = macro.lines.some((line) => line.tokens.some((token) => token.kind === 'parameter' && token.text === '00'));
    const labelLine: SourceLine[] = start && !labelUsed
      ? [{ tokens: [tokens[0], { ...comma(tokens[0]), text: ':' }], path: this.origin.path, line: this.origin.line }] : [];
    this.push({ kind: 'macro', lines: [...labelLine, ...macro.lines], next: 0, repeat: 1, conditions: [], call, callOrigin: this.origin });
    macro.running += 1;
    return true;
  }

  private defineMacro(word: Token, tokens: readonly Token[]): void {
    const [nameAt, ...rest] = tokens;
    if (nameAt?.kind !== 'name') throw new Problem(`\`${word.text}\` needs a name`, nameAt ?? word);
    const range = readCount(rest, word);
    const defaults = splitArguments(rest.slice(range.used).filter((token, i, all) => !(i === 0 && token.kind === 'name' && token.text.toLowerCase() === '.nolist' && all.length > 0)));
    this.startCollecting('macro', word, (lines) => {
      const macro: MultiLineMacro = {
        name: nameAt.text, ignoreCase: word.text.startsWith('%i'), minimum: range.minimum, maximum: range.maximum, greedy: range.greedy, defaults, lines, running: 0,
      };
      const key = nameAt.text.toLowerCase();
      const list = (this.multi.get(key) ?? []).filter((other) => other.name !== macro.name || other.minimum !== macro.minimum || other.maximum !== macro.maximum);
      this.multi.set(key, [...list, macro]);
    });
  }

  private startCollecting(kind: 'macro' | 'rep', word: Token, finish: (lines: SourceLine[]) => void): void {
    this.collecting = { kind, lines: [], depth: 1, finish, origin: this.origin, word: word.text };
  }

  // Directives

  private directive(word: Token, rest: Token[], frame: Frame): void {
    const handler = preprocessorDirectives[word.text];
    if (!handler) {
      const near = nearest(word.text, [...Object.keys(preprocessorDirectives), ...conditionNames, '%else', '%endif']);
      throw new Problem(`unknown preprocessor directive \`${word.text}\`${near ? `; did you mean \`${near}\`?` : ''}`, word);
    }
    handler({ preprocessor: this, word, rest, frame });
  }

  /** What the rows of preprocessor-directives.ts may do; a namespace of its own, because the rows stand outside the class. */
  readonly actions = {
    define: (word: Token, rest: Token[], expandBody: boolean) => {
      const [nameToken, ...tail] = rest;
      if (!nameToken || nameToken.kind !== 'name') throw new Problem(`\`${word.text}\` needs a name`, nameToken ?? word);
      let parameters: string[] | undefined;
      let body = tail;
      if (tail[0]?.kind === 'operator' && tail[0].text === '(' && !tail[0].space) {
        const close = tail.findIndex((token) => token.kind === 'operator' && token.text === ')');
        if (close < 0) throw new Problem('the parameter list has no closing `)`', tail[0]);
        parameters = splitArguments(tail.slice(1, close)).map((parameter) => {
          const names = parameter.filter((token) => token.kind === 'name');
          const last = parameter[parameter.length - 1];
          if (names.length !== 1) throw new Problem('a macro parameter must be a name', last ?? tail[0]);
          return names[0].text + (last.kind === 'operator' && last.text === '+' ? '+' : '');
        });
        body = tail.slice(close + 1);
      }
      const expandedBody = expandBody ? this.macros.expand(demote(body)) : demote(body);
      this.macros.define({ name: nameToken.text, parameters, body: expandedBody, ignoreCase: /^%ix?d|^%id/.test(word.text) });
    },
    defineAs: (word: Token, rest: Token[], make: (tokens: Token[]) => readonly Token[]) => {
      const [nameToken, ...tail] = rest;
      if (!nameToken || nameToken.kind !== 'name') throw new Problem(`\`${word.text}\` needs a name`, nameToken ?? word);
      if (tail[0]?.kind === 'operator' && tail[0].text === ',') tail.shift();
      this.macros.define({ name: nameToken.text, parameters: undefined, body: make(tail), ignoreCase: word.text.startsWith('%i') });
    },
    evaluate: (tokens: readonly Token[], word: Token) => this.options.state.evaluateNow(this.macros.expand(demote(tokens)), word.text),
    expand: (tokens: readonly Token[]) => this.macros.expand(tokens),
    undefine: (word: Token, rest: Token[]) => {
      for (const token of rest) {
        if (token.kind === 'name') this.macros.undefine(token.text);
      }
      if (!rest.length) throw new Problem(`\`${word.text}\` needs a name`, word);
    },
    undefineMacro: (word: Token, rest: Token[]) => {
      if (rest[0]?.kind !== 'name') throw new Problem(`\`${word.text}\` needs a name`, word);
      const range = readCount(rest.slice(1), word);
      const key = rest[0].text.toLowerCase();
      const name = rest[0].text;
      this.multi.set(key, (this.multi.get(key) ?? []).filter((macro) => (!macro.ignoreCase && macro.name !== name) || macro.minimum !== range.minimum || macro.maximum !== range.maximum));
    },
    macro: (word: Token, rest: Token[]) => this.defineMacro(word, rest),
    exitMacro: (word: Token) => {
      const at = this.frames.findLastIndex((frame) => frame.kind === 'macro');
      if (at < 0) throw new Problem(`${word.text} outside a macro`, word);
      this.leave(at);
    },
    rep: (word: Token, rest: Token[], frame: Frame) => {
      const tokens = rest.filter((token) => !(token.kind === 'name' && token.text.toLowerCase() === '.nolist'));
      const count = tokens.length ? this.actions.evaluate(tokens, word) : 0n;
      if (count < 0n) this.report('warning', this.origin, `%rep ${count}: a negative count repeats nothing`, word);
      if (count > BigInt(limits.lines)) throw new GiveUp(`%rep ${count}: more than ${limits.lines} repetitions (line ${this.origin.line} of ${this.origin.path})`);
      this.startCollecting('rep', word, (lines) => {
        if (count > 0n) {
          this.push({ kind: 'rep', lines, next: 0, repeat: Number(count), conditions: [], call: frame.call, callOrigin: frame.callOrigin });
        }
      });
    },
    exitRep: (word: Token) => {
      const at = this.frames.findLastIndex((frame) => frame.kind === 'rep');
      if (at < 0) throw new Problem('%exitrep outside a %rep', word);
      this.leave(at);
    },
    rotate: (word: Token, rest: Token[], frame: Frame) => {
      const call = frame.call;
      if (!call) throw new Problem('%rotate outside a macro', word);
      const by = Number(this.actions.evaluate(rest, word));
      const count = call.parameters.length;
      if (!count) throw new Problem('%rotate in a macro without parameters', word);
      call.rotation = (((call.rotation + (by % count)) % count) + count) % count;
    },
    include: (word: Token, rest: Token[]) => {
      const [name] = this.macros.expand(rest);
      if (name?.kind !== 'string') throw new Problem('%include needs a file name in quotes', name ?? word);
      const text = new TextDecoder().decode(name.bytes);
      const file = this.options.sources.find(text, this.origin.path);
      if (!file) throw new Problem(`%include: file \`${text}\` was not found`, name);
      this.pushFile(this.options.sources.linesOf(file), undefined);
    },
    message: (word: Token, rest: Token[]) => {
      const tokens = this.macros.expand(rest);
      const text = tokens.length === 1 && tokens[0].kind === 'string' ? new TextDecoder().decode(tokens[0].bytes) : textOf(tokens);
      const severity = word.text === '%warning' ? 'warning' : 'error';
      this.report(severity, this.origin, text || word.text, { column: word.column, endColumn: rest[rest.length - 1]?.endColumn ?? word.endColumn });
      if (word.text === '%fatal') throw new GiveUp('%fatal ends the assembly');
    },
    pushContext: (rest: Token[]) => {
      if (this.contexts.length >= limits.depth) throw new GiveUp(`contexts are nested deeper than ${limits.depth} levels`);
      this.unique += 1;
      this.contexts.push({ name: rest[0]?.text ?? '', id: this.unique });
    },
    popContext: (word: Token) => {
      if (!this.contexts.pop()) throw new Problem(`${word.text} without %push`, word);
    },
    renameContext: (word: Token, rest: Token[]) => {
      const top = this.contexts.pop();
      if (!top) throw new Problem('%repl without %push', word);
      this.contexts.push({ name: rest[0]?.text ?? '', id: top.id });
    },
  };

  private leave(at: number): void {
    while (this.frames.length > at) {
      const frame = this.frames.pop() as Frame;
      if (frame.kind === 'macro' && frame.call) frame.call.macro.running -= 1;
    }
  }

  /** `%[…]` is expanded before anything else is looked at, and joins what it touches. */
  private expandIndirect(tokens: Token[]): Token[] {
    if (!tokens.some((token) => token.kind === 'indirect')) return tokens;
    const output: Token[] = [];
    const append = (token: Token, joining: boolean) => {
      const left = output[output.length - 1];
      if (joining && left && !token.space && joins(left) && joins(token)) {
        output.pop();
        output.push(...joinTokens(left, token));
      } else output.push(token);
    };
    let afterIndirect = false;
    for (let i = 0; i < tokens.length; i += 1) {
      if (tokens[i].kind !== 'indirect') {
        append(tokens[i], afterIndirect);
        afterIndirect = false;
        continue;
      }
      let depth = 1;
      let end = i + 1;
      for (; end < tokens.length && depth; end += 1) {
        if (tokens[end].kind === 'indirect' || tokens[end].text === '[') depth += 1;
        else if (tokens[end].text === ']') depth -= 1;
      }
      if (depth) throw new Problem('`%[` has no closing `]`', tokens[i]);
      this.indirections += 1;
      if (this.indirections > limits.expressionDepth) throw new Problem('`%[` is nested too deeply', tokens[i]);
      const inner = this.macros.expand(demote(this.expandIndirect(tokens.slice(i + 1, end - 1))));
      this.indirections -= 1;
      inner.forEach((token, n) => append(n === 0 ? { ...token, space: tokens[i].space } : token, n === 0));
      afterIndirect = true;
      i = end - 1;
    }
    return output;
  }

  /** NASM's predefined macros that have no definition in the source. */
  private builtin(name: string): readonly Token[] | undefined {
    if (!name.startsWith('__')) return undefined;
    const key = name.replace(/^__\?(.*)\?__$/, '__$1__');
    const at = { column: 1, endColumn: 1, space: true };
    const number = (value: number): Token[] => [{ kind: 'number', text: String(value), value: BigInt(value), ...at }];
    const string = (text: string): Token[] => [{ kind: 'string', text: `'${text}'`, bytes: new TextEncoder().encode(text), ...at }];
    const now = this.options.now ?? new Date(0);
    const digits = (value: number) => String(value).padStart(2, '0');
    let outermost = this.origin;
    while (outermost.call) outermost = outermost.call;
    switch (key) {
      case '__LINE__': return number(outermost.line);
      case '__FILE__': return string(outermost.path);
      case '__BITS__': return number(this.options.state.pass.bits);
      case '__OUTPUT_FORMAT__': return [{ kind: 'name', text: this.options.format, ...at }];
      case '__NASM_MAJOR__': return number(2);
      case '__NASM_MINOR__': return number(16);
      case '__NASM_SUBMINOR__': return number(1);
      case '__NASM_VERSION_ID__': return number(0x02100100);
      case '__NASM_VER__': return string('2.16.01');
      case '__DATE__': return string(`${now.getUTCFullYear()}-${digits(now.getUTCMonth() + 1)}-${digits(now.getUTCDate())}`);
      case '__TIME__': return string(`${digits(now.getUTCHours())}:${digits(now.getUTCMinutes())}:${digits(now.getUTCSeconds())}`);
      case '__DATE_NUM__': return number(now.getUTCFullYear() * 10000 + (now.getUTCMonth() + 1) * 100 + now.getUTCDate());
      case '__TIME_NUM__': return number(now.getUTCHours() * 10000 + now.getUTCMinutes() * 100 + now.getUTCSeconds());
      case '__POSIX_TIME__': return number(Math.floor(now.getTime() / 1000));
      default: return undefined;
    }
  }
}
