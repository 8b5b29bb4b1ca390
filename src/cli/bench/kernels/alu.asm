; Additions, rotates, shifts and logic in registers.
%include "frame.inc"

prepare:
        ret

round:  push dword 100000
        call mix
        add esp, 4
        ret

mix:    push edi
        mov eax, 0x9e3779b9
        push esi
        mov ecx, 3
        push ebx
        mov esi, 1
        mov edi, [esp + 16]
        mov ebx, 0x2545f491
        align 16
.loop:  mov edx, ebx
        rol ebx, 5
        xor edx, ecx
        add edx, esi
        mov esi, edx
        sub ecx, edx
        shr esi, 3
        not edx
        add esi, ecx
        xor eax, esi
        lea esi, [eax + eax * 8]
        add ebx, esi
        mov esi, ecx
        or esi, eax
        and esi, edx
        dec edi
        jne .loop
        xor eax, ecx
        xor eax, ebx
        pop ebx
        xor eax, esi
        pop esi
        pop edi
        ret

image_end:
