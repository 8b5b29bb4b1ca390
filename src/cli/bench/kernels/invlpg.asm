; A page-table entry that is written, INVLPG, and an access through it.
%include "frame.inc"

CHANGES equ 10000

prepare:
        mov dword [DATA], 5
        mov dword [DATA + 0x1000], 11
        ret

round:  push ebx
        mov ebx, CHANGES
        xor eax, eax
        align 16
.change:
        mov ecx, ebx
        and ecx, 1
        shl ecx, 12
        add ecx, DATA + 7
        mov [WINDOW_TABLE + 4 * 3], ecx
        invlpg [WINDOW + 0x3000]
        lea eax, [eax + eax * 2]
        add eax, [WINDOW + 0x3000]
        dec ebx
        jne .change
        pop ebx
        ret

image_end:
