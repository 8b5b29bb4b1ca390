; critical-section.asm: PUSHF, CLI, ..., POPF around a critical section, with a timer interrupt that would break it.
;
; The program and the timer's handler both add to one counter in three steps (load, add, store). If the interrupt came
; between them, its addition would be lost; so the program forbids interrupts meanwhile. POPF brings back the interrupt
; flag as it was, which is right also when the caller had forbidden interrupts already. CLI, STI, PUSHF and POPF are the
; sensitive instructions that a monitor meets most: here they are translated in place.

%include "protected.inc"
%include "serial.inc"
%include "end.inc"

ADDITIONS       equ 100000
PIT_HERTZ       equ 1193182
TIMER_HERTZ     equ 10000
TIMER_VECTOR    equ 0x20

PIC1            equ 0x20                ; command; data is the next port
PIC2            equ 0xa0
END_OF_INTERRUPT equ 0x20

main:
        lidt [idt_register]

        ; The interrupt controllers: IRQ 0 to 7 become vectors 0x20 to 0x27, away from the processor's exceptions.
        mov al, 0x11                    ; initialize, two controllers, ICW4 follows
        out PIC1, al
        out PIC2, al
        mov al, TIMER_VECTOR
        out PIC1 + 1, al
        mov al, TIMER_VECTOR + 8
        out PIC2 + 1, al
        mov al, 4                       ; the second one hangs at IRQ 2
        out PIC1 + 1, al
        mov al, 2
        out PIC2 + 1, al
        mov al, 1                       ; 8086 mode
        out PIC1 + 1, al
        out PIC2 + 1, al
        mov al, 11111110b               ; only IRQ 0, the timer, is let through
        out PIC1 + 1, al
        mov al, 11111111b
        out PIC2 + 1, al

        mov al, 00110100b               ; channel 0, low and high byte, rate generator
        out 0x43, al
        mov al, (PIT_HERTZ / TIMER_HERTZ) & 0xff
        out 0x40, al
        mov al, (PIT_HERTZ / TIMER_HERTZ) >> 8
        out 0x40, al
        sti

        mov ecx, ADDITIONS
.next:
        call add_one
        dec ecx
        jnz .next

        ; The same, called with interrupts forbidden: they must stay so.
        cli
        call add_one
        pushfd
        pop eax
        test eax, 0x200                 ; IF
        check_equal 1

        ; Nothing was lost.
        mov eax, [ticks]
        add eax, ADDITIONS + 1
        cmp eax, [counter]
        check_equal 2
        ; And the timer did interrupt us, or all of this would prove nothing.
        cmp dword [ticks], 10
        mov al, 0
        adc al, 0                       ; 1 if there were fewer than ten ticks
        cmp al, 0
        check_equal 3

        mov esi, text
        call print
        mov eax, ADDITIONS + 1
        call print_number
        mov esi, right_text
        call print
        end_of_run

add_one:
        pushfd
        cli
        mov eax, [counter]              ; an interrupt here would be lost ...
        add eax, 1
        mov [counter], eax              ; ... by this store
        popfd
        ret

timer:
        push eax
        mov eax, [counter]
        add eax, 1
        mov [counter], eax
        inc dword [ticks]
        mov al, END_OF_INTERRUPT
        out PIC1, al
        pop eax
        iretd

counter         dd 0
ticks           dd 0
text            db 'Nothing was lost: ', 0
right_text      db ' additions of the program, and every one of the timer.', 13, 10, 0

        align 8
idt:
        times TIMER_VECTOR dq 0
        dw timer, CODE
        db 0, 10001110b                 ; 32-bit interrupt gate: interrupts are off in the handler
        dw 0
idt_register:
        dw $ - idt - 1
        dd idt

        end_of_image
