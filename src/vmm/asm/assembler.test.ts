/** What the assembler promises besides bytes (those are compared with nasm in test/conformance): messages, line map, symbols, bounds. */
import assert from 'node:assert/strict';
import { assemble, type AssembleOptions, type AssemblyResult } from './assembler';

function run(text: string, options: Partial<AssembleOptions> & { files?: Record<string, string | Uint8Array> } = {}): AssemblyResult {
  const { files = {}, ...rest } = options;
  return assemble({ path: 'main.asm', text }, {
    readFile: (path) => (typeof files[path] === 'string' ? new TextEncoder().encode(files[path]) : files[path] as Uint8Array | undefined), format: 'bin', ...rest,
  });
}
const hex = (result: AssemblyResult) => Buffer.from(result.bytes).toString('hex');
const messages = (result: AssemblyResult) => result.diagnostics.map(({ path, line, column, endColumn, severity, message }) => `${path}:${line}:${column}-${endColumn}: ${severity}: ${message}`);
function onlyError(text: string, expected: RegExp): void {
  const result = run(text);
  assert.equal(result.ok, false);
  assert.equal(result.bytes.length, 0);
  const errors = messages(result).filter((message) => message.includes(': error: '));
  assert.equal(errors.length, 1, errors.join('\n'));
  assert.match(errors[0], expected);
}

describe('assembler: messages', () => {
  const cases: readonly [string, string, RegExp][] = [
    ['suggests the nearest mnemonic', 'nop\n  movv ax, 5', /^main\.asm:2:3-7: error: unknown instruction `movv`; did you mean `mov`\?$/],
    ['names the forms when operands do not fit', 'lgdt ax', /^main\.asm:1:1-8: error: lgdt: invalid combination of operands; forms: mem$/],
    ['names sizes that do not go together', 'mov ax, ebx', /1:1-12: error: mov: operands of 16 and 32 bits do not go together; forms: .*r\/m16\/32, r16\/32/],
    ['counts operands', 'mov ax', /mov: 1 operand given; forms: /],
    ['asks for a size', 'mov [bx], 5', /1:5-9: error: operation size not specified/],
    ['suggests the nearest symbol', 'mesage: db 1\nmov si, message', /2:9-16: error: symbol `message` is not defined; did you mean `mesage`\?/],
    ['says where a symbol was defined', 'a: nop\n\na: nop', /3:1-2: error: symbol `a` is already defined in line 1 of main\.asm/],
    ['says how far a short jump would have to reach', 'jmp short a\ntimes 200 nop\na:', /1:5-12: error: the short jump reaches 127 bytes; the target is 200 bytes away/],
    ['rejects negative times', 'times 510-($-$$)-600 db 0', /times -90: the count is negative/],
    ['rejects impossible addresses', 'mov ax, [cx]', /1:9-13: error: 16-bit addresses are made of bx or bp, si or di/],
    ['finds division by zero', 'db 5/0', /1:6-7: error: division by zero/],
    ['finds open strings', 'db \'abc', /no closing quote/],
    ['finds open %if', '%if 1\nnop', /1:1-1: error: this %if has no %endif/],
    ['finds open %macro', '%macro a 0\nnop', /this %macro has no %endmacro/],
    ['finds missing files', '%include "none.inc"', /1:10-20: error: %include: file `none\.inc` was not found/],
    ['corrects misspelt preprocessor directives', '%defin a 5', /unknown preprocessor directive `%defin`; did you mean `%define`\?/],
    ['repeats %error', '%error this is wrong', /1:1-21: error: this is wrong/],
    ['wants a number for org', 'org a\na:', /org needs a number, not an address/],
    ['sees overlapping sections', 'section .text\ntimes 20 nop\nsection b start=10\nnop', /sections .text and b overlap at 0xa/],
    ['needs an ELF output for extern', 'extern x', /a flat binary has no symbols of other files/],
    ['refuses 64-bit registers elsewhere', 'mov rax, 5', /register rax exists only in 64-bit code|mov: /],
    ['points at the operand left over', 'mov ax, 5 6', /1:11-12: error: `6` is left over/],
  ];
  for (const [name, text, expected] of cases) it(name, () => onlyError(text, expected));

  it('warns of values that do not fit, and assembles them', () => {
    const result = run('db 300\nmov al, 256');
    assert.equal(hex(result), '2cb000');
    assert.deepEqual(messages(result).map((message) => message.split(':')[1]), ['1', '2']);
    assert.equal(result.diagnostics[0].severity, 'warning');
  });
  it('warns of a lone label without colon', () => assert.match(messages(run('hlat'))[0], /1:1-5: warning: label `hlat` stands alone/));
  it('warns of LOCK where it raises #UD', () => assert.match(messages(run('lock mov [bx], ax'))[0], /cannot be locked/));
  it('names the macro\'s line and the lines that called it', () => {
    const result = run('%macro m 0\nbogus ax, 1\n%endmacro\n%macro n 0\nm\n%endmacro\nnop\nn');
    assert.deepEqual(messages(result).map((message) => message.split(' ').slice(0, 2).join(' ')), ['main.asm:2:1-6: error:', 'main.asm:5:1-1: note:', 'main.asm:8:1-1: note:']);
  });
  it('reports every wrong line, in included files too', () => {
    const result = run('bad1 x\n%include "a.inc"\nbad3 x', { files: { 'a.inc': 'nop\nbad2 x' } });
    assert.deepEqual(messages(result).map((message) => message.split(' ')[0]), ['main.asm:1:1-5:', 'a.inc:2:1-5:', 'main.asm:3:1-5:']);
  });
});

describe('assembler: line map and symbols', () => {
  const result = run([
    'org 0x7c00', 'start: mov ax, 5', '  jmp start', 'msg db "hi",', 'times 3 nop', '%macro two 0', 'cli', 'sti', '%endmacro', 'two', 'section .bss', 'buf: resb 4', 'K equ 7',
  ].join('\n'));
  it('gives every item its address, length and line', () => {
    assert.deepEqual(result.lines.map(({ address, length, line, call, kind }) => [address, length, line, call?.line, kind]), [
      [0x7c00, 3, 2, undefined, 'code'], [0x7c03, 2, 3, undefined, 'code'], [0x7c05, 2, 4, undefined, 'data'], [0x7c07, 3, 5, undefined, 'code'],
      [0x7c0a, 1, 7, 10, 'code'], [0x7c0b, 1, 8, 10, 'code'],
    ]);
    assert.equal(result.origin, 0x7c00);
  });
  it('gives every symbol its final address and place', () => {
    assert.deepEqual(result.symbols.map(({ name, kind, value, section, line }) => [name, kind, value, section, line]), [
      ['start', 'label', 0x7c00, '.text', 2], ['msg', 'label', 0x7c05, '.text', 4], ['buf', 'label', 0x7c0c, '.bss', 12], ['K', 'equ', 7, undefined, 13],
    ]);
  });
  it('says the code size of each line', () => {
    assert.deepEqual(run('nop\nbits 32\nnop').lines.map(({ bits }) => bits), [16, 32]);
  });
});

describe('assembler: files and options', () => {
  it('finds included files beside the including one', () => {
    const files = { 'lib/a.inc': '%include "b.inc"', 'lib/b.inc': 'db 7' };
    assert.equal(hex(run('%include "lib/a.inc"', { files })), '07');
  });
  it('takes parts of binary files', () => {
    const files = { 'x.bin': Uint8Array.of(1, 2, 3, 4, 5) };
    assert.equal(hex(run('incbin "x.bin"\nincbin "x.bin", 3\nincbin "x.bin", 1, 2\ntimes 2 db 9', { files })), '0102030405040502030909');
  });
  it('takes definitions from outside, and a date', () => {
    assert.equal(hex(run('db N\n%ifdef DEBUG\ndb 1\n%endif\ndb __DATE__', { defines: { N: '5', DEBUG: '' }, now: new Date(Date.UTC(2024, 1, 3)) })), `0501${Buffer.from('2024-02-03').toString('hex')}`);
  });
  it('gives the same result every time', () => {
    const text = 'jmp a\ntimes 100 dw $, a\na: extern_like: db __TIME__';
    assert.equal(hex(run(text)), hex(run(text)));
  });
  it('compares three ways, where nasm 2.16 yields 0 for less', () => assert.equal(hex(run('db 2 <=> 3, 3 <=> 2, 2 <=> 2')), 'ff0100'));
});

describe('assembler: hostile input', function () {
  // The largest inputs that are still taken need some seconds on a busy machine.
  this.timeout(60_000);
  const chain = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join('\n');
  const bombs: readonly [string, string, RegExp][] = [
    ['times without end', 'times 1000000000000 db 0', /the output is limited to 64 MiB/],
    ['times upon times', chain(40, () => 'times 4000000 db 0'), /larger than 64 MiB/],
    ['a huge %rep', '%rep 1000000000\nnop\n%endrep', /more than 500000 repetitions/],
    ['nested %rep', '%rep 100000\n%rep 100000\nnop\n%endrep\n%endrep', /more than 500000 lines/],
    ['a macro that calls itself under other parameter counts', '%macro a 1\na 1, 2\n%endmacro\n%macro a 2\na 1\na 1\n%endmacro\na 1', /unknown instruction|invalid|expected/],
    ['single-line macros that double', `%define m0 1+1\n${chain(60, (i) => `%define m${i + 1} m${i}+m${i}`)}\ndd m60`, /expands to more than 200000 tokens/],
    ['%xdefine that doubles', `%define x 1\n%rep 100\n%xdefine x x+x\n%endrep\ndd x`, /more than 200000 tokens/],
    ['parameters that double', `%macro m 1\n%rotate 0\n%endmacro\n${chain(40, (i) => `%macro d${i} 1+\nd${i + 1} %1, %1\n%endmacro`)}\nd0 1`, /tokens|levels/],
    ['an include circle', '%include "main.asm"', /nested deeper than 200 levels/],
    ['a file that includes itself twice', '%include "twice.inc"', /nested deeper than 200 levels/],
    ['a deep chain of macros', `${chain(400, (i) => `%macro m${i} 0\nm${i + 1}\n%endmacro`)}\nm0`, /nested deeper than 200 levels/],
    ['deep parentheses', `db ${'('.repeat(100000)}1`, /nested deeper than 200/],
    ['many unary operators', `db ${'-'.repeat(100000)}1`, /nested deeper than 200/],
    ['a long sum', `dd ${'1+'.repeat(100000)}1`, /too many operators/],
    ['strings that double', `%define s 'ab'\n%rep 40\n%strcat s s, s\n%endrep\ndb s`, /longer than 65536 bytes/],
    ['names that double', `%define n ab\n%rep 40\n%xdefine n n %+ n\n%endrep\nn: nop`, /longer than 4096 characters/],
    ['reservations without end', 'section .bss\nresb 0x7fffffffffffffff', /more than 4 GiB/],
    ['sections far apart', 'nop\nsection b start=0xf0000000\nnop', /flat binary would be/],
    ['an equ that depends on itself', 'a equ b+1\nb equ a+1\ndb a', /do not settle/],
    ['a label that moves itself', 'times a-$$ + 1 db 0\na:', /do not settle/],
    ['too many sections', chain(2000, (i) => `section s${i}`), /more than 1000 sections/],
    ['dup within dup', 'db 10000 dup (10000 dup (10000 dup (1)))', /repetitions/],
    ['open brackets', '[[[[[[[[[[', /expected a directive in brackets/],
  ];
  for (const [name, text, expected] of bombs) {
    it(`answers ${name} with an error`, () => {
      const result = run(text, { files: { 'main.asm': '%include "main.asm"', 'twice.inc': '%include "twice.inc"\n%include "twice.inc"' } });
      assert.equal(result.ok, false);
      assert.match(messages(result).filter((message) => message.includes('error')).join('\n'), expected);
    });
  }

  it('takes names that JavaScript gives a meaning to', () => {
    assert.equal(hex(run('constructor: db 1\n__proto__ equ 2\ntoString db __proto__\n%define hasOwnProperty 3\ndb hasOwnProperty, constructor-$$')), '01020300');
    onlyError('[constructor 5]', /unknown directive `constructor`/);
    assert.match(messages(run('section .data constructor'))[0], /warning: unknown attribute `constructor`/);
  });
  it('stops after a hundred errors', () => {
    const result = run(chain(100000, (i) => `bogus${i} ax`));
    assert.equal(result.ok, false);
    assert.ok(result.diagnostics.length <= 500);
  });
  it('never throws for garbage', () => {
    // A fixed sequence of characters that matter to the assembler, in orders that nobody would write.
    const pieces = ['%', '%%', '%[', '%{', '[', ']', '(', ')', ',', ':', '"', '\'', '`', '\\', '\n', '%macro a 1\n', '%endmacro\n', '%rep 3\n', '%endrep\n', '%if ', '%endif\n', 'mov ', 'eax', '$', '$$', '.x', 'db ', 'times ', '5', '0x', 'equ ',
      'struc s\n', 'endstruc\n', 'istruc s\n', 'at ', 'iend\n', 'align ', 'section ', '-', '*', '?', '%1', '%0', '%$x', '%push\n', '%pop\n', '\u0000', '\u{1f600}', 'org ', 'bits ', '%define a ', '%assign i i+1\n', '%+'];
    let seed = 12345;
    const next = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % n;
    };
    for (let i = 0; i < 1500; i += 1) {
      const text = Array.from({ length: 3 + next(25) }, () => pieces[next(pieces.length)]).join(next(2) ? ' ' : '');
      assert.doesNotThrow(() => run(text), JSON.stringify(text));
      assert.doesNotThrow(() => run(text, { format: 'elf32' }), JSON.stringify(text));
    }
  });
});
