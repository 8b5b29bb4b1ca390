; The sieve of Eratosthenes over 256 KiB of flags; the result is the number of primes.
%include "frame.inc"

LIMIT   equ 262144
FLAGS   equ DATA

prepare:
        ret

round:  push ebx
        mov edi, FLAGS
        mov eax, 0x01010101
        mov ecx, LIMIT / 4
        rep stosd
        xor ebx, ebx
        mov ecx, 4
        mov edx, 2
        jmp .test
        align 16
.next:  inc edx
        add ecx, 2
        cmp edx, LIMIT
        je .done
.test:  cmp byte [FLAGS + edx], 0
        je .next
        inc ebx
        cmp ecx, LIMIT - 1
        ja .next
        mov eax, ecx
        align 16
.cross: mov byte [FLAGS + eax], 0
        add eax, edx
        cmp eax, LIMIT - 1
        jbe .cross
        inc edx
        add ecx, 2
        cmp edx, LIMIT
        jne .test
.done:  mov eax, ebx
        pop ebx
        ret

image_end:
