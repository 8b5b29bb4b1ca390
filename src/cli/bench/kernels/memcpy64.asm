; REP MOVSQ of 1 MiB.
%include "long.inc"

BYTES   equ 0x100000
SOURCE  equ DATA
TARGET  equ DATA + 0x200000

work:   mov esi, SOURCE
        mov edi, TARGET
        mov ecx, BYTES / 8
        rep movsq
        xor eax, eax
        mov edx, TARGET
.sum:   rol eax, 1
        add eax, [rdx]
        add edx, 1020
        cmp edx, TARGET + BYTES - 1020
        jb .sum
        ret

        bits 32
prepare_data:
        mov edi, SOURCE
        mov ecx, BYTES / 4
        jmp fill_random

image_end:
