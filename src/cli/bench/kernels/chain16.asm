; A chain of sixteen calls, each function on a code page of its own.
%include "frame.inc"

prepare:
        ret

round:  push ebx
        push esi
        mov ebx, 2000
        mov esi, 1
        align 16
.chain: push esi
        call link_0
        add esp, 4
        lea esi, [esi + eax * 4]
        xor esi, eax
        dec ebx
        jne .chain
        mov eax, esi
        pop esi
        pop ebx
        ret

; unsigned link_N(unsigned x) { return link_N+1(5 * x + N) ^ (x >> 3); }
%assign n 0
%rep 15
        align 4096
link_%+n:
        push ebx
        sub esp, 8
        mov ebx, [esp + 16]
        lea eax, [ebx + ebx * 4 + n]
        mov [esp], eax
%assign n n + 1
        call link_%+n
        shr ebx, 3
        xor eax, ebx
        add esp, 8
        pop ebx
        ret
%endrep
        align 4096
link_15:
        mov eax, [esp + 4]
        imul eax, eax, 77
        xor eax, 0x5a5a5a5a
        ret

image_end:
