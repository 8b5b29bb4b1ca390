; Packed singles and doublewords: z = max(a * x + y, -1), and a hash of four lanes.
%include "frame.inc"

COUNT   equ 4096
INPUT   equ DATA
X       equ DATA + 0x10000
Z       equ DATA + 0x20000

prepare:
        mov edi, INPUT
        mov ecx, COUNT
        call fill_random
        xor ecx, ecx
.next:  cvtsi2ss xmm0, [INPUT + ecx * 4]
        mulss xmm0, [scale]
        movss [X + ecx * 4], xmm0
        inc ecx
        cmp ecx, COUNT
        jne .next
        ret

round:  movaps xmm7, [factor]
        movaps xmm6, [least]
        movdqa xmm5, [step]
        pxor xmm4, xmm4
        pxor xmm3, xmm3
        xor eax, eax
        align 16
.loop:  movaps xmm0, [X + eax]
        movaps xmm1, xmm0
        mulps xmm0, xmm7
        shufps xmm1, xmm1, 0x4e
        addps xmm0, xmm1
        maxps xmm0, xmm6
        movaps [Z + eax], xmm0
        movdqa xmm2, [INPUT + eax]
        pxor xmm2, xmm0
        paddd xmm3, xmm2
        movdqa xmm2, xmm3
        pslld xmm3, 5
        psrld xmm2, 27
        por xmm3, xmm2
        paddd xmm3, xmm5
        pshufd xmm2, xmm3, 0x39
        paddd xmm4, xmm2
        add eax, 16
        cmp eax, COUNT * 4
        jne .loop
        pshufd xmm2, xmm4, 0x4e
        paddd xmm4, xmm2
        pshufd xmm2, xmm4, 0xb1
        paddd xmm4, xmm2
        movd eax, xmm4
        ret

        align 16
factor  dd 0.75, 0.5, 1.25, 0.3
least   dd -1.0, -1.0, -1.0, -1.0
step    dd 1, 0x10001, 7, 0x7fffffff
scale   dd 1.862645149230957e-9

image_end:
