/** Whole programs for the comparison with nasm: layout, relaxation, the preprocessor, sections and objects, each with what it is about. */

export interface AssemblyProgram {
  readonly about: string;
  readonly format: 'bin' | 'elf32';
  readonly text: string;
}

/** Jumps whose short forms depend on each other. */
function chainedJumps(count: number, padding: number): string {
  const lines: string[] = ['bits 32'];
  for (let i = 0; i < count; i += 1) lines.push(`l${i}: jmp l${(i * 7 + 3) % count}`, `jnz l${(i * 5 + 1) % count}`, `times ${(i * padding) % 23} nop`, `add eax, l${(i * 3) % count}-l${i}`);
  return lines.join('\n');
}

export const programs: readonly AssemblyProgram[] = [
  { about: 'numbers in every radix, strings and escapes', format: 'bin', text: `
db 200, 0200, 0200d, 0d200, 0c8h, 0xc8, 0hc8, $0c8, 310q, 310o, 0o310, 0q310, 11001000b, 1100_1000b, 0b1100_1000, 0y11001000, 1100_1000y
db 'abc', "abc", \`a\\tb\\n\\x41\\101\\u263a\\e\`, 'it"s', "it's", '', 'a', 0
dw 'a', 'ab', 'abc', 'abcd'
dd 'a', 'abcde', 0x12345678, -1, 1_000_000
dq 'abcdefgh', -1, 0x123456789abcdef0, 1
dd 1.0, -2.5, 1e10, 3.14159265
dq 1.0, -2.5, 1e-10
dt 1.0, -0.5, 1e30
db 5 dup (1, 2), 3 dup (?), ?
dw 2 dup (0x1234)
mov eax, 'abcd'
mov ax, 'a'
` },
  { about: 'operators and their precedence', format: 'bin', text: `
dd 1+2*3, (1+2)*3, 10-3-2, 100/7, 100 % 7, -100//7, -100 %% 7, 1<<4+1, 0xff>>4, 0xf0|0x0f, 0xff^0x0f, 0xff&0x3c, ~5, -5, +5, !5, !0
dd 1 < 2, 2 <= 2, 3 > 4, 4 >= 4, 5 == 5, 5 = 6, 5 != 6, 5 <> 5, 1 && 2, 0 || 3, 1 ^^ 1
dd 1 ? 2 : 3, 0 ? 2 : 3, 5 | 2 ^ 1 & 3, 7 - -2, - - 3, ~~4
dq 1 << 63, -1 >> 60, -1 >>> 60, 1 <<< 3, 0x7fffffffffffffff + 1
dd end - start, $ - $$, end - $
start: times 10 nop
end:
` },
  { about: 'labels: local, full names, special ones, without colon', format: 'bin', text: `
org 0x100
first: nop
.a: jmp .b
.b jmp .a
second
.a: jmp first.a
..@special: jmp .a
jmp ..@special
third equ $
.c equ 5
$eax: mov eax, [$eax]
db second.c
jmp third
count equ (end-first)
mov cx, count
mov dx, end
mov byte [first.b], end-first
end:
` },
  { about: 'short and near jumps over varying distances', format: 'bin', text: `
bits 16
a: jmp b
times 126 nop
b: jmp a
jz c
times 127 nop
c: jc a
loop c
call a
jmp near a
jmp short c
jmp d
times 200 db 0
d: jecxz d
bits 32
jmp a
jnz d
call d
jmp word d
` },
  { about: 'jumps whose sizes depend on each other', format: 'bin', text: chainedJumps(60, 9) },
  { about: 'more jumps whose sizes depend on each other', format: 'bin', text: chainedJumps(97, 17) },
  { about: 'sizes that depend on forward differences', format: 'bin', text: `
bits 16
add ax, fin-st
add word [bx+fin-st], fin-st
mov cx, [bx+near_end-st]
push fin-st
push near_end-st
imul ax, bx, near_end-st
mov al, [si+K]
mov al, [K]
st: times 100 nop
near_end: times 100 nop
fin:
K equ 12
` },
  { about: 'times with $ and alignment', format: 'bin', text: `
db 1
align 4
db 2
align 16, db 0xcc
db 3
alignb 8
times 3 dw $-$$
times 4 jmp $+5
times 5 db 'ab', 1
x: times 32-($-x) db 0xff
align 32
times 64-(($-$$) % 64) db 7
times 0 db 1
dw ($-$$) % 512
` },
  { about: 'sections of a flat binary', format: 'bin', text: `
org 0x7c00
section .text
mov ax, [value]
mov bx, buffer
mov si, table
section .data
value: dw 0x1234, value, buffer
section .bss
buffer: resb 100
other: resd 5
section .text
mov dx, other
nop
section .rodata
table: dw table, $$, $-$$
section .data
db 1
` },
  { about: 'section attributes of a flat binary', format: 'bin', text: `
org 0x1000
section .text
jmp far_code
dw far_data
section second start=0x1100 vstart=0x8000
far_code: mov ax, far_code
jmp first
section third align=64 follows=second
far_data: dd far_data, far_code
section fourth vstart=0 align=16
base0: dw base0, $$, here
here:
section .text
first: nop
dw third_end
section third
third_end: db 1
section stack nobits align=32
resb 10
top:
section .text
dw top
` },
  { about: 'single-line macros', format: 'bin', text: `
%define A 5
%define twice(x) ((x)*2)
%define add3(a,b,c) a+b+c
%define indirect A
%define empty
db A, twice(3), add3(1,2,3), twice(add3(1,A,2)), indirect
%define A 6
db A, indirect
%xdefine frozen A
%define A 7
db frozen, A
%undef A
%idefine CaseLess 9
db caseless, CASELESS
%define over(x) x
%define over(x,y) x+y
db over(1), over(1,2)
%define cat(a,b) a %+ b
cat(foo,bar): db 1
dw foobar
%assign n 1
%assign n n+1
db n
%defstr str hello
db str
%strlen len 'four'
db len
%substr sub 'abcdef' 2,3
db sub
%strcat joined 'ab', "cd"
db joined
%deftok tok 'db 42'
tok
%define reg(n) e %+ n %+ x
bits 32
mov reg(a), reg(b)
empty nop
%define name_%[n] 77
db name_2
` },
  { about: 'multi-line macros', format: 'bin', text: `
%macro none 0
nop
%endmacro
%macro two 2
mov %1, %2
%endmacro
%macro defaults 1-3 5, 6
db %1, %2, %3
%endmacro
%macro greedy 1+
db %1
%endmacro
%macro many 1-*
%rep %0
db %1
%rotate 1
%endrep
%endmacro
%macro locals 0
%%loop: jmp %%end
jmp %%loop
%%end:
%endmacro
%macro labelled 0
%00: dw 1
%endmacro
%macro conditional 2
j%+1 %2
j%-1 %2
%endmacro
%macro pasted 2
lab%1_%2: dw lab%1_%2
%endmacro
%macro range 3
db %{1:2}
db %{3:1}
%endmacro
%macro overloaded 1
db 1
%endmacro
%macro overloaded 2
db 2
%endmacro
%imacro Insensitive 0
db 3
%endmacro
%macro exits 1
db %1
%if %1 > 2
%exitmacro
%endif
db 0
%endmacro
none
two ax, bx
two ax, {[bx+si]}
defaults 1
defaults 1, 2
defaults 1, 2, 3
greedy 1, 2, 3
many 1, 2, 3, 4
locals
locals
here labelled
dw here
conditional nz, here
conditional c, here
pasted 1, x
range 1, 2, 3
overloaded 1
overloaded 1, 2
INSENSITIVE
exits 1
exits 3
lbl: none
jmp lbl
%macro mov 2
mov %1, %2
nop
%endmacro
mov cx, 5
%unmacro mov 2
mov cx, 5
%macro outer 1
%macro inner_%1 0
db %1
%endmacro
inner_%1
%endmacro
outer 5
inner_5
` },
  { about: 'conditional assembly', format: 'bin', text: `
%define YES
%if 1
db 1
%if 0
db 2
%elif 1
db 3
%else
db 4
%endif
%else
db 5
%endif
%ifdef YES
db 6
%endif
%ifndef NO
db 7
%elifdef YES
db 8
%endif
%ifidn abc, abc
db 9
%endif
%ifidni ABC, abc
db 10
%endif
%ifnidn a, b
db 11
%endif
%ifnum 5
db 12
%endif
%ifstr 'a'
db 13
%endif
%ifid foo
db 14
%endif
%ifempty
db 15
%endif
%iftoken foo
db 16
%endif
%macro m 1
%endmacro
%ifmacro m 1
db 17
%endif
%ifnmacro m 3
db 18
%endif
%if ($-$$) > 5
db 19
%endif
x equ 5
%if x == 5
db 20
%endif
%rep 3
%if $-$$ > 20
%exitrep
%endif
db 21
%endrep
%assign i 0
%rep 4
%rep 2
db i
%endrep
%assign i i+1
%endrep
%ifn 0
db 22
%endif
` },
  { about: 'structures', format: 'bin', text: `
struc node
.next: resd 1
.value: resw 2
.name: resb 10
alignb 4
endstruc
struc big, 16
.a resb 1
.b resq 2
endstruc
db node_size, node.next, node.value, node.name, big.a, big.b, big_size
one: istruc node
at node.next, dd one
at node.name, db 'hello'
iend
two: istruc node
iend
absolute 0x500
var1: resw 1
var2: resd 1
section .text
mov ax, [var1]
mov bx, var2
mov ax, [bx+node.value]
` },
  { about: 'contexts', format: 'bin', text: `
%macro begin 0
%push loop
%$top:
%endmacro
%macro finish 0
jmp %$top
%pop
%endmacro
begin
nop
begin
nop
finish
finish
` },
  { about: 'line continuation, prefixes, brackets, odd spacing', format: 'bin', text: `
[bits 32]
[org 0x1000]
mov eax, \\
  5
lock add dword [eax], 1
rep movsb
repne scasb
es mov eax, [ebx]
o16 push 5
a16 mov eax, [0x1234]
es
nop
	mov	eax,ebx	; comment
db 1,2,3,
MOV EAX, DWORD [ES:EBX+ECX*4]
cpu 386
[section .text]
use16
mov ax,bx
lbl:mov ax,lbl
db 'a;b', ";" ; end
` },
  { about: 'far jumps, segments and absolute addresses', format: 'bin', text: `
org 0x7c00
bits 16
jmp 0:start
start: jmp 0x8:dword pm
call 0x1000:0
call far [ptr16]
jmp dword far [ptr32]
jmp 0xf000:0xfff0
mov [0x1000], word 5
jmp 0x7c10
call 0x7d00
ptr16: dw 5, 6
ptr32: dd 5
dw 6
bits 32
pm: jmp 0x7c00
` },
  { about: 'an ELF object with relocations', format: 'elf32', text: `
global _start, value:data, func:function
extern printf, other
section .text
_start: mov eax, value
mov eax, [value+4]
call func
call printf
jmp other
jz other
push message
mov [buffer], eax
lea ebx, [eax*4+table]
ret
func: jmp _start
jmp short _start
section .data
value: dd 1, _start, other, value+8, $-value
message: db 'hello', 0
table: dw 5
section .bss
buffer: resb 64
section .rodata
ro: dd ro, $$
section .custom progbits alloc exec write align=8
dd 5
` },
  { about: 'a multiboot kernel', format: 'elf32', text: `
MAGIC equ 0x1badb002
FLAGS equ 3
section .multiboot align=4
dd MAGIC, FLAGS, -(MAGIC+FLAGS)
section .text
global _start
_start: mov esp, stack_top
mov edi, 0xb8000
mov esi, text
.next: lodsb
test al, al
jz .done
mov ah, 7
stosw
jmp .next
.done: cli
hlt
jmp $
section .rodata
text: db 'multiboot', 0
section .bss
align 16
resb 4096
stack_top:
common shared 16:8
` },
];
