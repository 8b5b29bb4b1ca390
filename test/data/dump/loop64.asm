; A loop in 64-bit code: RIP-relative data, R8, SSE2.
bits 16
org 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        mov dword [0x1000], 0x2003
        mov dword [0x2000], 0x3003
        mov dword [0x3000], 0x83        ; 2 MiB, one to one
        mov eax, 0x620                  ; CR4.PAE, OSFXSR, OSXMMEXCPT
        mov cr4, eax
        mov eax, 0x1000
        mov cr3, eax
        mov ecx, 0xc0000080
        mov eax, 0x100                  ; EFER.LME
        xor edx, edx
        wrmsr
        lgdt [table]
        mov eax, 0x80000011
        mov cr0, eax
        jmp 8:long
table:  dw 23
        dd descriptors
        align 8
descriptors: dq 0, 0x00af9a000000ffff, 0x00cf92000000ffff
bits 64
long:   mov ax, 16
        mov ss, ax
        mov ds, ax
        mov esp, 0x7000
        mov ecx, 20000
again:  add rax, [rel number]
        lea r8, [rax + 8 * rcx]
        paddq xmm0, xmm1
        dec ecx
        jnz again
        hlt
        align 8
number: dq 0x123456789
        times 510 - ($ - $$) db 0
        dw 0xaa55
