; A nested loop in flat 32-bit code with a load, a store, a call and an instruction that regions leave to threaded code.
bits 16
org 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        lgdt [table]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:flat
table:  dw 23
        dd descriptors
        align 8
descriptors: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
bits 32
flat:   mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7000
        mov edx, 1000
outer:  mov ecx, 100
inner:  add eax, [0x6000]
        test cl, 3
        jnz odd
        inc dword [0x6000]
odd:    dec ecx
        jnz inner
        call count
        dec edx
        jnz outer
        hlt
count:  in al, 0x61
        ret
        times 510 - ($ - $$) db 0
        dw 0xaa55
