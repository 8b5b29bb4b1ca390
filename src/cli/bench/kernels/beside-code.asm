; A function and its variables on one page.
%include "frame.inc"

prepare:
        ret

round:  push ebx
        mov ebx, 20000
        mov dword [state], 1
.call:  call next_number
        dec ebx
        jne .call
        pop ebx
        ret

        align 4096
next_number:
        imul eax, [state], 1664525
        inc dword [calls]
        add eax, 1013904223
        mov [state], eax
        shr eax, 8
        ret

        align 64
state   dd 0
calls   dd 0

image_end:
