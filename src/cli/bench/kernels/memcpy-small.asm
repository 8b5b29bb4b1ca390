; A library's memcpy of 33 to 96 bytes, as strings and structures are copied.
%include "frame.inc"

SOURCE  equ DATA
TARGET  equ DATA + 0x10000

prepare:
        mov edi, SOURCE
        mov ecx, 64 * 32
        jmp fill_random

round:  push ebx
        mov ebx, 33
.size:  mov eax, ebx
        shl eax, 7
        push ebx
        lea edx, [SOURCE + eax - 33 * 128]
        push edx
        lea edx, [TARGET + eax - 33 * 128 + 3]
        push edx
        call memcpy
        add esp, 12
        inc ebx
        cmp ebx, 97
        jne .size
        xor eax, eax
        mov edx, 33
        mov ecx, TARGET + 3
.sum:   rol eax, 5
        movzx ebx, byte [ecx + edx - 1] ; the last byte of each copy
        add eax, ebx
        sub ecx, -128
        inc edx
        cmp edx, 97
        jne .sum
        pop ebx
        ret

; void *memcpy(void *to, const void *from, size_t bytes)
        align 16
memcpy: push esi
        push edi
        mov edi, [esp + 12]
        mov esi, [esp + 16]
        mov ecx, [esp + 20]
        mov eax, edi
        shr ecx, 2
        rep movsd
        mov ecx, [esp + 20]
        and ecx, 3
        jz .done
        rep movsb
.done:  pop edi
        pop esi
        ret

image_end:
