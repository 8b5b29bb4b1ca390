; timer-keyboard.asm: the timer's and the keyboard's interrupts in real mode, without the firmware's services.
;
; A dot every half second; each key's scan code. Esc ends it, and so do 30 seconds of nothing else.
; In VS Code, click into the Screen to give it the keyboard. In a terminal: ringside run samples/timer-keyboard.asm --type 'hi\e'

        bits 16
        org 0x7c00

TICKS_PER_SECOND equ 100
PIT_DIVISOR     equ 1193182 / TICKS_PER_SECOND
SECONDS         equ 30
ESCAPE          equ 0x01                ; scan codes, set 1: what a key sends when it goes down;
BREAK           equ 0x80                ; with this bit when it comes up
END_OF_INTERRUPT equ 0x20

start:
        cli                             ; not while the vectors are half written
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        ; The vector table is at 0000:0000, four bytes each: offset, segment. The firmware has put IRQ 0 at vector 8, IRQ 1 at 9.
        mov word [4 * 8], timer
        mov [4 * 8 + 2], ax
        mov word [4 * 9], keyboard
        mov [4 * 9 + 2], ax
        mov al, 11111100b               ; let IRQ 0 and IRQ 1 through, nothing else
        out 0x21, al
        mov al, 00110100b               ; timer channel 0: low and high byte, rate generator
        out 0x43, al
        mov al, PIT_DIVISOR & 0xff
        out 0x40, al
        mov al, PIT_DIVISOR >> 8
        out 0x40, al
        mov si, welcome
        call print
        sti

wait_for_something:
        hlt                             ; sleeps until the next interrupt
.keys:
        mov bx, [taken]
        cmp bx, [arrived]
        je .no_key
        and bx, KEYS - 1
        mov al, [keys + bx]
        inc word [taken]
        mov si, escape_text
        cmp al, ESCAPE
        je end
        mov si, key_text
        call print
        call print_byte
        mov al, ' '
        call print_character
        jmp .keys
.no_key:
        mov si, timeout_text
        cmp word [ticks], SECONDS * TICKS_PER_SECOND
        jae end
        cmp word [until_dot], 0
        jne wait_for_something
        mov word [until_dot], TICKS_PER_SECOND / 2
        mov al, '.'
        call print_character
        jmp wait_for_something

end:
        call print
        cli
        hlt

; IRQ 0.
timer:
        push ax
        inc word [ticks]
        dec word [until_dot]
        jns .done
        inc word [until_dot]            ; not below zero while somebody is slow to print
.done:
        mov al, END_OF_INTERRUPT
        out 0x20, al
        pop ax
        iret

; IRQ 1. The byte has to be read, or no other one arrives.
keyboard:
        push ax
        push bx
        in al, 0x60
        test al, BREAK
        jnz .done
        mov bx, [arrived]
        and bx, KEYS - 1
        mov [keys + bx], al
        inc word [arrived]
.done:
        mov al, END_OF_INTERRUPT
        out 0x20, al
        pop bx
        pop ax
        iret

print:
        push ax
.next:
        lodsb
        test al, al
        jz .done
        call print_character
        jmp .next
.done:
        pop ax
        ret

; AL: byte, as two hexadecimal digits.
print_byte:
        push ax
        shr al, 4
        call .digit
        pop ax
        and al, 0x0f
.digit:
        cmp al, 10
        sbb al, 0x69                    ; 0 to 9 become 96h to 9Fh ...
        das                             ; ... and then '0' to '9'; 10 to 15 become 'A' to 'F'
; AL: character, to the screen (through the firmware) and to the serial port.
print_character:
        push dx
        mov dx, 0x3f8
        out dx, al
        pop dx
        push bx
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        pop bx
        ret

ticks           dw 0
until_dot       dw TICKS_PER_SECOND / 2
KEYS            equ 16                  ; a ring: the handler writes, the loop reads
keys            times KEYS db 0
arrived         dw 0
taken           dw 0
welcome         db 'Press keys; Esc ends. ', 0
key_text        db 'key ', 0
escape_text     db 13, 10, 'Esc.', 13, 10, 0
timeout_text    db 13, 10, 'Nobody pressed Esc.', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
