; self-modifying.asm: code that rewrites itself, in three ways that a translator has to notice.
;
; A monitor that translates code keeps the translation of old bytes; it has to find out when they change. See the counters
; for code invalidations (translations thrown away) and trace faults (writes to pages that hold translated code).

        bits 16
        org 0x7c00

ROUNDS          equ 1000

start:
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld

        ; 1. A loop that changes the constant of an instruction behind the write: 1 + 2 + ... + ROUNDS.
        xor eax, eax
        mov cx, ROUNDS
.change:
        inc dword [.constant]
        add eax, strict dword 0         ; strict: all four bytes of the constant, though 0 would fit into one
.constant equ $ - 4
        loop .change
        cmp eax, ROUNDS * (ROUNDS + 1) / 2
        mov bl, 1
        jne wrong

        ; 2. The very next instruction, in the same straight line of code: INC DX becomes DEC DX before it runs.
        xor dx, dx
        mov byte [.next], 0x4a
.next:
        inc dx                          ; 42; 4A is DEC DX
        cmp dx, -1
        mov bl, 2
        jne wrong

        ; 3. New code, generated in memory again and again: MOV AX, n; RET.
        xor si, si
        mov cx, 10
.generate:
        mov di, generated
        mov al, 0xb8                    ; MOV AX, imm16
        stosb
        mov ax, cx
        stosw
        mov al, 0xc3                    ; RET
        stosb
        mov ax, generated
        call ax
        add si, ax
        loop .generate
        cmp si, 55
        mov bl, 3
        jne wrong

        ; 4. Data beside code is not code: these writes hit the same page and change no instruction.
        mov cx, ROUNDS
.count:
        inc word [counter]
        loop .count
        cmp word [counter], ROUNDS
        mov bl, 4
        jne wrong

        mov si, text
        mov dx, 0x3f8
.print:
        lodsb
        test al, al
        jz .end
        out dx, al
        jmp .print
.end:
        cli
        hlt

wrong:
        mov al, bl
        out 0xf4, al                    ; exit status 2 * check + 1

counter dw 0
text    db 'Every change of the code was seen.', 13, 10, 0

        times 510 - ($ - $$) db 0
        dw 0xaa55

generated equ 0x9000
