; The Mandelbrot set in 80-bit registers: 32 columns, 24 rows, at most 32 steps; the result is the sum of the steps.
%include "frame.inc"

prepare:
        fninit
        ret

round:  sub esp, 12
        xor ecx, ecx
        mov [esp + 8], ebx
        xor ebx, ebx
.row:   mov [esp + 4], ebx
        xor edx, edx
        fild dword [esp + 4]
        fmul qword [row_step]
        fsub dword [one]
        align 16
.column:
        mov [esp + 4], edx
        xor eax, eax
        fild dword [esp + 4]
        fmul dword [column_step]
        fsub dword [two]
        fldz
        fld st0
        jmp .inside
        align 16
.step:  fxch st3
        fadd st0, st0
        inc eax
        cmp eax, 32
        fmulp st2, st0
        fxch st1
        fadd st0, st4
        fxch st1
        fsubrp st2, st0
        fxch st1
        fadd st0, st2
        je .last
        fxch st1
.inside:
        fld st1
        fmul st0, st2
        fld st1
        fmul st0, st2
        fld st1
        fadd st0, st1
        fld dword [four]
        fxch st1
        fcomip st0, st1
        fstp st0
        jbe .step
        fstp st0
        fstp st0
        fstp st0
        fstp st0
        fstp st0
        jmp .counted
        align 16
.last:  fstp st0
        fstp st0
        fstp st0
.counted:
        inc edx
        add ecx, eax
        cmp edx, 32
        jne .column
        fstp st0
        inc ebx
        cmp ebx, 24
        jne .row
        mov ebx, [esp + 8]
        mov eax, ecx
        add esp, 12
        ret

        align 8
row_step    dq 0.0833
column_step dd 0.09375
one         dd 1.0
two         dd 2.0
four        dd 4.0

image_end:
