; REP MOVSD of 1 MiB.
%include "frame.inc"

BYTES   equ 0x100000
SOURCE  equ DATA
TARGET  equ DATA + 0x200000

prepare:
        mov edi, SOURCE
        mov ecx, BYTES / 4
        jmp fill_random

round:  mov esi, SOURCE
        mov edi, TARGET
        mov ecx, BYTES / 4
        rep movsd
        xor eax, eax
        mov edx, TARGET
.sum:   rol eax, 1
        add eax, [edx]
        add edx, 1020
        cmp edx, TARGET + BYTES - 1020
        jb .sum
        ret

image_end:
