; Recursive Fibonacci numbers in 64-bit code.
%include "long.inc"

work:   mov edi, 22
        call fib
        ret

        align 16
fib:    push rbp
        push rbx
        sub rsp, 8
        mov rbx, rdi
        cmp rdi, 1
        jbe .small
        lea rdi, [rbx - 1]
        call fib
        mov rbp, rax
        lea rdi, [rbx - 2]
        call fib
        lea rbx, [rax + rbp]
.small: mov rax, rbx
        add rsp, 8
        pop rbx
        pop rbp
        ret

        bits 32
prepare_data:
        ret

image_end:
