; Recursive Fibonacci numbers: calls and returns.
%include "frame.inc"

prepare:
        ret

round:  push dword 22
        call fib
        add esp, 4
        ret

        align 16
fib:    sub esp, 28
        mov [esp + 20], ebx
        mov ebx, [esp + 32]
        mov [esp + 24], esi
        cmp ebx, 1
        jbe .small
        lea eax, [ebx - 1]
        sub ebx, 2
        mov [esp], eax
        call fib
        mov [esp], ebx
        mov esi, eax
        call fib
        lea ebx, [esi + eax]
.small: mov eax, ebx
        mov esi, [esp + 24]
        mov ebx, [esp + 20]
        add esp, 28
        ret

image_end:
