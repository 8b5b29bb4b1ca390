; hello.asm: a boot sector that greets through the BIOS (screen) and through the serial port (terminal).
;
; A PC's firmware reads the first sector of a disk to 0000:7C00 and jumps there, in 16-bit real mode.
; Press F5, or: ringside run samples/hello.asm --registers --counters table

        bits 16
        org 0x7c00

COM1            equ 0x3f8
LINE_STATUS     equ COM1 + 5            ; bit 5: the transmitter takes a byte

start:
        xor ax, ax                      ; the firmware does not promise segment values
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00                  ; the stack grows down from the code
        cld

        mov si, greeting
.next:
        lodsb                           ; al = [ds:si], si = si + 1
        test al, al
        jz .done
        call print_screen
        call print_serial
        jmp .next
.done:
        cli
        hlt                             ; halted with interrupts off: nothing can wake the machine, the run ends

; al: character. Service 0Eh of INT 10h writes it like a teletype.
print_screen:
        push ax
        mov ah, 0x0e
        mov bx, 0x0007                  ; page 0, light grey
        int 0x10
        pop ax
        ret

; al: character, sent through the first serial port.
print_serial:
        push ax
        mov dx, LINE_STATUS
.wait:
        in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, COM1
        out dx, al
        ret

greeting:
        db 'Hello from the first sector!', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55                       ; the signature that makes it a boot sector
