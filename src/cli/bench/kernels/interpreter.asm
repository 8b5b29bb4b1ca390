; A stack machine's interpreter: one jump through a table for each of its instructions.
%include "frame.inc"

PUSH_   equ 0                           ; constant
LOAD    equ 1                           ; variable
STORE   equ 2                           ; variable
ADD_    equ 3
SUB_    equ 4
MUL_    equ 5
XOR_    equ 6
SHR_    equ 7
LESS    equ 8
JUMP_IF equ 9                           ; distance from this byte
JUMP    equ 10
AND_    equ 11
HALT    equ 12

prepare:
        ret

round:  push dword program
        call interpret
        add esp, 4
        ret

; x = 1; for (i = 0; i < 4000; i++) { x = x * 1664525 + 1013904223; if ((x & 1) ^ 1) y += x >> 7; else y ^= i; } return y
program:
        db PUSH_
        dd 1
        db STORE, 1
.loop:  db LOAD, 1, PUSH_
        dd 1664525
        db MUL_, PUSH_
        dd 1013904223
        db ADD_, STORE, 1
        db LOAD, 1, PUSH_
        dd 1
        db AND_, JUMP_IF
.a:     db .odd - .a
        db LOAD, 2, LOAD, 1, PUSH_
        dd 7
        db SHR_, ADD_, STORE, 2, JUMP
.b:     db .both - .b
.odd:   db LOAD, 2, LOAD, 0, XOR_, STORE, 2
.both:  db LOAD, 0, PUSH_
        dd 1
        db ADD_, STORE, 0
        db LOAD, 0, PUSH_
        dd 4000
        db LESS, JUMP_IF
.c:     db .loop - .c
        db LOAD, 2, HALT

; EAX: the machine's instruction, EDX: behind the top of its stack, ESP: its eight variables, below its stack
        align 16
interpret:
        sub esp, 164
        xor ecx, ecx
        mov [esp + 160], ebx
        mov eax, [esp + 168]
        xor edx, edx
.clear: mov [esp + edx], ecx
        mov [esp + 4 + edx], ecx
        add edx, 8
        cmp edx, 32
        jb .clear
        lea edx, [esp + 32]
        align 16
.next:  cmp byte [eax], HALT
        lea ebx, [eax + 1]
        ja .unknown
        movzx ecx, byte [eax]
        jmp [.cases + ecx * 4]
        align 16
.and:   mov eax, [edx - 4]
        and [edx - 8], eax
        sub edx, 4
        mov eax, ebx
        jmp .next
        align 16
.jump:  movsx eax, byte [eax + 1]
        add eax, ebx
        jmp .next
        align 16
.jump_if:
        lea ecx, [edx - 4]
        mov edx, [edx - 4]
        test edx, edx
        je .not_taken
        movsx eax, byte [eax + 1]
        mov edx, ecx
        add eax, ebx
        jmp .next
        align 16
.less:  mov eax, [edx - 4]
        cmp [edx - 8], eax
        setb al
        sub edx, 4
        movzx eax, al
        mov [edx - 4], eax
        mov eax, ebx
        jmp .next
        align 16
.shr:   mov ecx, [edx - 4]
        mov eax, ebx
        shr dword [edx - 8], cl
        sub edx, 4
        jmp .next
        align 16
.xor:   mov eax, [edx - 4]
        xor [edx - 8], eax
        sub edx, 4
        mov eax, ebx
        jmp .next
        align 16
.mul:   mov eax, [edx - 8]
        sub edx, 4
        mov ecx, [edx]
        imul eax, ecx
        mov [edx - 4], eax
        mov eax, ebx
        jmp .next
        align 16
.sub:   mov eax, [edx - 4]
        sub [edx - 8], eax
        sub edx, 4
        mov eax, ebx
        jmp .next
        align 16
.add:   mov eax, [edx - 4]
        add [edx - 8], eax
        sub edx, 4
        mov eax, ebx
        jmp .next
        align 16
.store: movzx ecx, byte [eax + 1]
        sub edx, 4
        add eax, 2
        mov ebx, [edx]
        mov [esp + ecx * 4], ebx
        jmp .next
        align 16
.load:  movzx ecx, byte [eax + 1]
        add edx, 4
        add eax, 2
        mov ecx, [esp + ecx * 4]
        mov [edx - 4], ecx
        jmp .next
        align 16
.push:  mov ecx, [eax + 1]
        add edx, 4
        add eax, 5
        mov [edx - 4], ecx
        jmp .next
        align 16
.halt:  mov eax, [edx - 4]
        mov ebx, [esp + 160]
        add esp, 164
        ret
        align 16
.not_taken:
        add eax, 2
        mov edx, ecx
        jmp .next
.unknown:
        mov eax, ebx
        jmp .next
        align 4
.cases: dd .push, .load, .store, .add, .sub, .mul, .xor, .shr, .less, .jump_if, .jump, .and, .halt

image_end:
