; protected.asm: the switch from real mode to 32-bit protected mode, step by step, in one boot sector.
;
; Watch CR0.PE, CS and the mode in the Machine view while stepping over the jump below.

        bits 16
        org 0x7c00

start:
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov esi, real_text
        call print16

        ; 1. No interrupts: the real-mode vector table means nothing in protected mode.
        cli
        ; 2. Tell the processor where the segment descriptors are.
        lgdt [gdt_register]
        ; 3. Set CR0.PE. From here on a load of a segment register reads a descriptor.
        mov eax, cr0
        or eax, 1
        mov cr0, eax
        ; 4. CS still holds a real-mode segment with 16-bit code. A far jump loads the new one.
        jmp CODE:protected

; DS:SI: text that ends with a zero byte.
print16:
        mov dx, 0x3f8
.next:
        lodsb
        test al, al
        jz .done
        out dx, al                      ; the machine's serial port is always ready
        jmp .next
.done:
        ret

        bits 32
protected:
        ; 5. The other segment registers.
        mov ax, DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7c00

        ; One segment covers all 4 GiB: the screen is simply at 0xB8000. Two bytes for a character: code and colour.
        mov esi, protected_text
        mov edi, 0xb8000 + 160 * 12     ; row 12
        mov ah, 0x2f                    ; white on green
        mov dx, 0x3f8
.next:
        lodsb
        test al, al
        jz .check
        stosw
        out dx, al
        jmp .next

.check:
        mov al, 13
        out dx, al
        mov al, 10
        out dx, al
        ; LIMITED covers only its first 16 bytes. Its last byte can be read ...
        mov ax, LIMITED
        mov fs, ax
        mov bl, [fs:15]
        ; ... and the limit is what the descriptor says.
        mov ecx, LIMITED
        lsl eax, ecx
        cmp eax, 15
        je .end
        mov al, 1
        out 0xf4, al                    ; wrong: exit status 2 * 1 + 1
.end:
        hlt                             ; interrupts are off: the run ends here, exit status 0

real_text:
        db 'Real mode.', 13, 10, 0
protected_text:
        db 'Protected mode, 32 bits.', 0

; A descriptor: limit 15..0, base 15..0, base 23..16, type and ring, flags and limit 19..16, base 31..24.
        align 8
gdt:
        dq 0                            ; selector 0 may be loaded, but not used
CODE    equ $ - gdt
        dw 0xffff, 0
        db 0, 10011010b                 ; present, ring 0, code that can be read
        db 11001111b, 0                 ; limit in pages of 4 KiB, 32-bit
DATA    equ $ - gdt
        dw 0xffff, 0
        db 0, 10010010b                 ; present, ring 0, data that can be written
        db 11001111b, 0
LIMITED equ $ - gdt
        dw 15, 0x7c00
        db 0, 10010000b                 ; data that can only be read
        db 01000000b, 0                 ; limit in bytes
gdt_register:
        dw $ - gdt - 1
        dd gdt

        times 510 - ($ - $$) db 0
        dw 0xaa55
