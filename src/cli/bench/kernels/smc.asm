; A function whose constant is written anew before each call.
%include "frame.inc"

CHANGES equ 1000

prepare:
        ret

round:  push ebx
        mov ebx, CHANGES
        xor edx, edx
.change:
        mov [patched + 1], ebx
        call patched
        lea edx, [edx + edx * 4]
        add edx, eax
        dec ebx
        jne .change
        mov eax, edx
        pop ebx
        ret

        align 4096
patched:
        mov eax, strict dword 0
        add eax, 7
        ret

image_end:
