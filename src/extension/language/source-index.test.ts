import assert from 'node:assert/strict';
import { table } from '../../vmm/isa/table';
import { blankStrings, findDefinitions, indexSource } from './source-index';

const index = (text: string) => indexSource(text, (name) => table.byMnemonic.has(name));

const program = `
%define VIDEO 0xb8000   ; where text lives
%include "lib/print.inc"
%macro push2 2
  push %1
  push %2
%endmacro

section .text
; entry point
start:
  mov si, message
.loop:  lodsb
  jz .done          ; not a use of start
  jmp .loop
.done:
  push2 ax, bx
  cli
other
  jmp start.loop
message: db 'start: .loop ; no comment', 0
count equ $ - message
buffer resb 16
struc point
  .x: resw 1
  .y: resw 1
endstruc
  hlt`;

describe('source index', () => {
  const found = index(program);
  const kinds = Object.fromEntries(found.definitions.map((d) => [d.name, d.kind]));

  it('finds definitions of every kind, local labels under their label', () => {
    assert.deepEqual(kinds, {
      VIDEO: 'define', push2: 'macro', '.text': 'section', start: 'label', 'start.loop': 'local', 'start.done': 'local', other: 'label', message: 'data',
      count: 'constant', buffer: 'data', point: 'structure', 'point.x': 'data', 'point.y': 'data',
    });
  });

  it('takes neither mnemonics, macro calls nor strings for labels', () => {
    assert.equal(kinds.cli, undefined);
    assert.equal(kinds.hlt, undefined);
    assert.equal(found.uses.some((use) => use.name === 'no'), false);
  });

  it('knows the extent, the comment and the line of a definition', () => {
    const start = found.definitions.find((d) => d.name === 'start')!;
    assert.equal(start.comment, 'entry point');
    assert.equal(start.endLine, program.split('\n').indexOf('other') - 1);
    const macro = found.definitions.find((d) => d.name === 'push2')!;
    assert.equal(program.split('\n')[macro.endLine], '%endmacro');
    assert.equal(program.split('\n')[macro.line].slice(macro.column, macro.column + 5), 'push2');
  });

  it('tells which label a local name belongs to', () => {
    const line = program.split('\n').findIndex((text) => text.includes('jmp .loop'));
    assert.deepEqual(findDefinitions(found, '.loop', line).map((d) => d.name), ['start.loop']);
    assert.deepEqual(found.uses.filter((use) => use.name === 'start.loop').length, 3);
    assert.deepEqual(findDefinitions(found, 'PUSH2', 0).map((d) => d.name), ['push2']);
  });

  it('points at included files', () => assert.deepEqual(found.includes, [{ path: 'lib/print.inc', line: 2, column: 10 }]));

  it('blanks strings and comments but keeps columns', () => {
    assert.deepEqual(blankStrings('db "a;b", \'c\' ; x'), { code: 'db "   ", \' \' ', comment: 'x' });
    assert.equal(blankStrings('db `a\\`;`, 1').code, 'db `    `, 1');
    assert.equal(blankStrings('db "open').code.length, 'db "open'.length);
  });

  it('takes any text', () => {
    for (const text of ['', '\0'.repeat(1000), '%macro', 'struc', '"', `${'a '.repeat(200_000)}`, '.x:\n'.repeat(50_000), '%macro x\n'.repeat(10_000)]) index(text);
  });
});
