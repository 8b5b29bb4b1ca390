; Scalar doubles: multiplication, division, comparison.
%include "frame.inc"

COUNT   equ 4096
INPUT   equ DATA
NUMBERS equ DATA + 0x10000

prepare:
        mov edi, INPUT
        mov ecx, COUNT
        call fill_random
        xor ecx, ecx
.next:  cvtsi2sd xmm0, [INPUT + ecx * 4]
        mulsd xmm0, [scale]
        movsd [NUMBERS + ecx * 8], xmm0
        inc ecx
        cmp ecx, COUNT
        jne .next
        ret

; for each number: d = x * x + 0.5; s += (d - 1) / d; if (s > 100) s -= 100; the result is the integer part of 1048576 * s
round:  mov eax, NUMBERS
        pxor xmm1, xmm1
        movsd xmm5, [half]
        movsd xmm4, [one]
        movsd xmm3, [hundred]
        lea edx, [eax + COUNT * 8]
        align 16
.loop:  movsd xmm0, [eax]
        mulsd xmm0, xmm0
        addsd xmm0, xmm5
        movapd xmm2, xmm0
        subsd xmm2, xmm4
        divsd xmm2, xmm0
        addsd xmm1, xmm2
        comisd xmm1, xmm3
        jbe .below
        subsd xmm1, xmm3
.below: add eax, 8
        cmp edx, eax
        jne .loop
        mulsd xmm1, [factor]
        cvttsd2si eax, xmm1
        ret

        align 8
scale   dq 1.862645149230957e-9         ; 4 / 2^31
half    dq 0.5
one     dq 1.0
hundred dq 100.0
factor  dq 1048576.0

image_end:
