; The product of two 64 by 64 matrices of integers.
%include "frame.inc"

LEFT    equ DATA
RIGHT   equ DATA + 0x4000
PRODUCT equ DATA + 0x8000
ROW     equ 256
MATRIX  equ 64 * ROW

prepare:
        mov edi, LEFT
        mov ecx, 2 * MATRIX / 4
        jmp fill_random

round:  call multiply
        xor eax, eax
        mov edx, PRODUCT
.sum:   rol eax, 1
        add eax, [edx]
        add edx, 4
        cmp edx, PRODUCT + MATRIX
        jne .sum
        ret

multiply:
        push ebp
        xor eax, eax
        push edi
        push esi
        push ebx
        sub esp, 4
.row:   lea edi, [PRODUCT + eax]
        mov esi, RIGHT + MATRIX
        mov [esp], eax
        lea ebp, [LEFT + eax]
        align 16
.column:
        mov ecx, ebp
        xor ebx, ebx
        lea eax, [esi - MATRIX]
        align 16
.element:
        mov edx, [ecx]
        add eax, ROW
        add ecx, 4
        imul edx, [eax - ROW]
        add ebx, edx
        cmp eax, esi
        jne .element
        mov [edi], ebx
        lea esi, [eax + 4]
        add edi, 4
        cmp eax, RIGHT + MATRIX + ROW - 4
        jne .column
        mov eax, [esp]
        add eax, ROW
        cmp eax, MATRIX
        jne .row
        pop eax
        pop ebx
        pop esi
        pop edi
        pop ebp
        ret

image_end:
