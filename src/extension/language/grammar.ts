/** Builds the TextMate grammar of NASM-syntax x86 assembly from the instruction table and the vocabulary. The result is kept in syntaxes/. */
import type { InstructionTable } from '../../vmm/isa/types';
import { dataDirectives, directives, highlightedRegisters, operators, preprocessorDirectives, prefixes } from './vocabulary';

const words = (names: Iterable<string>): string => [...new Set(names)].sort().join('|');
const control = /^(j.*|call|ret.?|iret.?|loop.*|int.?|into|hlt|ud2|sysenter|sysexit|syscall|sysret)$/;

export function buildGrammar(table: InstructionTable): object {
  const mnemonics = [...table.byMnemonic.keys()];
  const word = (list: string) => `(?i)(?<![\\w.$@?#~])(?:${list})(?![\\w.$@?#~])`;
  return {
    name: 'x86 Assembly (NASM)',
    scopeName: 'source.asm.x86.nasm',
    patterns: [
      { include: '#comment' }, { include: '#string' }, { include: '#preprocessor' }, { include: '#label' }, { include: '#register' }, { include: '#mnemonic' },
      { include: '#directive' }, { include: '#number' }, { include: '#special' }, { include: '#operator' },
    ],
    repository: {
      comment: { patterns: [{ name: 'comment.line.semicolon.asm', match: ';.*$' }] },
      string: {
        patterns: [
          { name: 'string.quoted.single.asm', match: '\'[^\'\\n]*\'' },
          { name: 'string.quoted.double.asm', match: '"[^"\\n]*"' },
          { name: 'string.quoted.other.asm', begin: '`', end: '`|$', patterns: [{ name: 'constant.character.escape.asm', match: '\\\\(?:x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)' }] },
        ],
      },
      preprocessor: {
        patterns: [
          {
            match: '(?i)^\\s*(%i?r?macro)\\s+([\\w.$@?#~]+)',
            captures: { 1: { name: 'keyword.control.directive.asm' }, 2: { name: 'entity.name.function.preprocessor.asm' } },
          },
          {
            match: '(?i)^\\s*(%i?(?:x?define|assign)|%undef|%defstr|%deftok|%strlen|%strcat|%substr)\\s+([\\w.$@?#~]+)',
            captures: { 1: { name: 'keyword.control.directive.asm' }, 2: { name: 'entity.name.constant.preprocessor.asm' } },
          },
          { name: 'keyword.control.directive.asm', match: `(?i)(?:${words([...preprocessorDirectives.map((d) => d.name), '%if\\w*', '%elif\\w*'])})\\b` },
          { name: 'variable.parameter.asm', match: '%(?:\\{[^}]*\\}|[-+]?\\d+|%\\w+|\\$+\\w+|[-+?!]\\w*)' },
        ],
      },
      label: {
        patterns: [
          { match: '^\\s*(\\.{0,2}[A-Za-z_?@%$][\\w.$@?#~]*)(:)(?!:)', captures: { 1: { name: 'entity.name.function.asm' }, 2: { name: 'punctuation.separator.label.asm' } } },
          {
            match: `(?i)^\\s*([A-Za-z_.?@][\\w.$@?#~]*)(?=\\s+(?:${words(dataDirectives.map((d) => d.name))})\\b)`,
            captures: { 1: { name: 'entity.name.variable.asm' } },
          },
        ],
      },
      register: { patterns: [{ name: 'variable.language.register.asm', match: word(words(highlightedRegisters)) }] },
      mnemonic: {
        patterns: [
          { name: 'keyword.control.mnemonic.asm', match: word(words(mnemonics.filter((name) => control.test(name)))) },
          { name: 'keyword.mnemonic.asm', match: word(words([...mnemonics.filter((name) => !control.test(name)), ...prefixes.map((p) => p.name)])) },
        ],
      },
      directive: {
        patterns: [
          { name: 'storage.type.asm', match: word(words(dataDirectives.map((d) => d.name))) },
          { name: 'storage.modifier.asm', match: word(words(operators.map((o) => o.name))) },
          { name: 'keyword.other.directive.asm', match: word(words(directives.map((d) => d.name))) },
        ],
      },
      number: {
        patterns: [
          { name: 'constant.numeric.hex.asm', match: '(?i)(?<![\\w.$])(?:0[xh][0-9a-f_]+|\\$[0-9][0-9a-f_]*|[0-9][0-9a-f_]*h)\\b' },
          { name: 'constant.numeric.binary.asm', match: '(?i)(?<![\\w.$])(?:0[by][01_]+|[01][01_]*[by])\\b' },
          { name: 'constant.numeric.octal.asm', match: '(?i)(?<![\\w.$])(?:0[oq][0-7_]+|[0-7][0-7_]*[oq])\\b' },
          { name: 'constant.numeric.decimal.asm', match: '(?i)(?<![\\w.$])(?:0d)?[0-9][0-9_]*(?:\\.[0-9_]*(?:e[-+]?[0-9]+)?|d)?(?![\\w])' },
        ],
      },
      special: { patterns: [{ name: 'variable.language.position.asm', match: '(?<![\\w.$@])\\${1,2}(?![\\w$])' }] },
      operator: { patterns: [{ name: 'keyword.operator.asm', match: '<<|>>|//|%%|[-+*/%&|^~!=<>?:]' }] },
    },
  };
}
