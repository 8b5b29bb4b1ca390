; echo.asm: a serial port driven by interrupts. What is typed into the serial terminal comes back in capitals; Ctrl-D ends it.
;
; In a terminal: echo hello | ringside run samples/echo.asm (the end of the input is no character: it waits then, until --timeout)

        bits 16
        org 0x7c00

COM1            equ 0x3f8
CTRL_D          equ 0x04
END_OF_INTERRUPT equ 0x20

start:
        cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov word [4 * 12], serial       ; IRQ 4 is vector 12
        mov [4 * 12 + 2], ax

        mov si, settings                ; program the port: register, value
.set:
        lodsb
        cmp al, 0xff
        je .ready
        movzx dx, al
        add dx, COM1
        lodsb
        out dx, al
        jmp .set
.ready:
        mov al, 11101111b               ; let only IRQ 4 through
        out 0x21, al
        mov si, welcome
        call print
        sti
wait_for_end:
        hlt
        cmp byte [ended], 0
        je wait_for_end
        mov si, bye
        call print
        cli
        hlt

; IRQ 4: something has arrived.
serial:
        push ax
        push dx
.more:
        mov dx, COM1 + 5
        in al, dx
        test al, 1                      ; a byte is waiting
        jz .done
        mov dx, COM1
        in al, dx
        cmp al, CTRL_D
        je .end
        cmp al, 'a'
        jb .send
        cmp al, 'z'
        ja .send
        sub al, 'a' - 'A'
.send:
        out dx, al
        cmp al, 13                      ; Enter is one character; a new line takes two
        jne .more
        mov al, 10
        out dx, al
        jmp .more
.end:
        mov byte [ended], 1
.done:
        mov al, END_OF_INTERRUPT
        out 0x20, al
        pop dx
        pop ax
        iret

print:
        mov dx, COM1
.next:
        lodsb
        test al, al
        jz .done
        out dx, al
        jmp .next
.done:
        ret

settings:
        db 3, 0x80                      ; the divisor can be written
        db 0, 1, 1, 0                   ; 115,200 bits a second
        db 3, 0x03                      ; eight bits, no parity, one stop bit
        db 2, 0x07                      ; FIFO on and emptied, an interrupt for every byte
        db 4, 0x0b                      ; DTR, RTS, and OUT2, which connects the interrupt
        db 1, 0x01                      ; an interrupt when a byte arrives
        db 0xff
ended   db 0
welcome db 'Type something; Ctrl-D ends.', 13, 10, 0
bye     db 13, 10, 'Bye.', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
