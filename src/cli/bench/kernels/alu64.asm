; Additions, rotates, shifts and logic in 64-bit registers.
%include "long.inc"

work:   mov rax, 0x9e3779b97f4a7c15
        mov ecx, 3
        mov esi, 1
        mov edi, 100000
        mov rbx, 0x2545f4914f6cdd1d
        align 16
.loop:  mov rdx, rbx
        rol rbx, 5
        xor rdx, rcx
        add rdx, rsi
        mov rsi, rdx
        sub rcx, rdx
        shr rsi, 3
        not rdx
        add rsi, rcx
        xor rax, rsi
        lea rsi, [rax + rax * 8]
        add rbx, rsi
        mov rsi, rcx
        or rsi, rax
        and rsi, rdx
        dec edi
        jne .loop
        xor rax, rcx
        xor rax, rbx
        xor rax, rsi
        mov rdx, rax
        shr rdx, 32
        xor eax, edx
        ret

        bits 32
prepare_data:
        ret

image_end:
