import assert from 'node:assert/strict';
import { parseNasmListing, parseNasmMap, parseNasmMessages } from './nasm';

// Written by nasm 2.16 for a source with an include, a macro, a local label, long data, padding and two sections.
const listing = `     1                                  bits 16
     2                                  org 0x7c00
     3 00000000 B80100                  start: mov ax, 1
     4                                  %include "b.inc"
     1                              <1> inc_label:
     2 00000003 90                  <1>  nop
     3 00000004 90                  <1>  nop ; hi
     5                                  %macro two 1
     6                                   mov bx, %1
     7                                   inc bx
     8                                  %endmacro
     9                                   two 5
     6 00000005 BB0500              <1>  mov bx, %1
     7 00000008 43                  <1>  inc bx
    10 00000009 EBFE                    .loop: jmp .loop
    11 0000000B 68656C6C6F20776F72-     msg db "hello world, this is a long message",0
    11 00000014 6C642C207468697320-
    11 0000001D 69732061206C6F6E67-
    11 00000026 206D65737361676500 
    12 0000002F 00<rep 1CFh>            times 510-($-$$) db 0
    13                                  section .late
    14 00000000 A1[0B7C]                mov ax, [msg]
    15 00000003 <res 10h>               resb 16
`;
const map = `- NASM Map file ---------------------------------------------------------------

-- Program origin -------------------------------------------------------------

00007C00

-- Sections (summary) ---------------------------------------------------------

Vstart            Start             Stop              Length    Class     Name
            7C00              7C00              7E00  00000200  progbits  .text
            9000              7E00              7E13  00000013  progbits  .late

-- Symbols --------------------------------------------------------------------

---- No Section ---------------------------------------------------------------

Value     Name
00000005  size

---- Section .text ------------------------------------------------------------

Real              Virtual           Name
            7C00              7C00  start
            7C09              7C09  inc_label.loop
`;

describe('nasm', () => {
  it('reads origin, sections, labels and numbers from a map', () => {
    const { origin, sections, symbols } = parseNasmMap(map);
    assert.equal(origin, 0x7c00);
    assert.deepEqual([...sections], [['.text', 0x7c00], ['.late', 0x9000]]);
    assert.deepEqual(symbols, [{ name: 'size', linear: 5, number: true }, { name: 'start', linear: 0x7c00 }, { name: 'inc_label.loop', linear: 0x7c09 }]);
  });

  it('reads lines from a listing', () => {
    const lines = parseNasmListing(listing, '/p/a.asm', parseNasmMap(map), (name) => `/p/${name}`);
    assert.deepEqual(lines.map(({ path, line, linear, length, kind }) => `${path}:${line} ${linear.toString(16)}+${length} ${kind}`), [
      '/p/a.asm:3 7c00+3 code', '/p/b.inc:2 7c03+1 code', '/p/b.inc:3 7c04+1 code', '/p/a.asm:9 7c05+3 code', '/p/a.asm:9 7c08+1 code',
      '/p/a.asm:10 7c09+2 code', '/p/a.asm:11 7c0b+36 data', '/p/a.asm:12 7c2f+463 data', '/p/a.asm:14 9000+3 code', '/p/a.asm:15 9003+16 data',
    ]);
  });

  it('reads messages', () => {
    assert.deepEqual(parseNasmMessages('/p/a.asm:3: error: symbol `x\' not defined\nb.inc:1: warning: odd [-w+odd]\nnasm: fatal: no input\nnoise', '/p/a.asm'), [
      { path: '/p/a.asm', line: 3, column: 1, severity: 'error', message: 'symbol `x\' not defined' },
      { path: 'b.inc', line: 1, column: 1, severity: 'warning', message: 'odd [-w+odd]' },
      { path: '/p/a.asm', line: 1, column: 1, severity: 'error', message: 'no input' },
    ]);
  });
});
