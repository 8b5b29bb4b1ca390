/** Programs that the suites write into the workspace. */

export const stepProgram = `; steps: registers, flags and a conditional jump
bits 16
org 0x7c00

start:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
  mov eax, 0x11
  inc eax                 ; here
  cmp eax, 0x12
  jnz start
  call sub
  mov dword [0x600], 0xcafe
.end:
  jmp .end

sub:
  mov ecx, 3
  ret

times 510-($-$$) db 0
dw 0xaa55
`;

/** Prints on the screen and the serial port, then echoes keys to the screen and serial input to the serial port, for ever. */
export const echoProgram = `; echo: screen, keyboard and serial port
bits 16
org 0x7c00

start:
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov dx, 0x3fb           ; line control of COM1: 8 data bits, 1 stop bit
  mov al, 3
  out dx, al
  mov si, hello
.next:
  lodsb
  test al, al
  jz poll
  call both
  jmp .next

both:
  mov ah, 0x0e
  mov bx, 7
  int 0x10
  mov dx, 0x3f8
  out dx, al
  ret

poll:
  mov ah, 1
  int 0x16
  jz .serial
  xor ah, ah
  int 0x16
  mov ah, 0x0e
  mov bx, 7
  int 0x10
.serial:
  mov dx, 0x3fd
  in al, dx
  test al, 1
  jz poll
  mov dx, 0x3f8
  in al, dx
  out dx, al
  jmp poll

hello: db 'Hello, ring 0', 13, 10, 0

times 510-($-$$) db 0
dw 0xaa55
`;

export const faultyProgram = `bits 16
org 0x7c00
start:
  mov ax, 1
  jmp nowhere
  mvo ax, 2
`;

/** Loads an empty IDT and raises an exception: nothing can be delivered. */
export const tripleFaultProgram = `; the processor shuts down
bits 16
org 0x7c00

start:
  cli
  lidt [empty]
  ud2

empty: dw 0
  dd 0

times 510-($-$$) db 0
dw 0xaa55
`;

/** Two numbers on the x87's stack. */
export const floatingProgram = `
        bits 16
        org 0x7c00
        fninit
        fld dword [number]
        fldpi
        hlt
number: dd 1.5
`;

/** A picture of x xor y in 256 colours; packets of the mouse go to the serial port. */
export const graphicsProgram = `; graphics and a mouse
        bits 16
        org 0x7c00
start:
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov ax, 0x13
        int 0x10
        mov ax, 0xa000
        mov es, ax
        xor di, di
        xor dx, dx
.row:
        xor cx, cx
.pixel:
        mov al, cl
        xor al, dl
        stosb
        inc cx
        cmp cx, 320
        jb .pixel
        inc dx
        cmp dx, 200
        jb .row
        mov al, 0xa8            ; the mouse may send
        out 0x64, al
        mov al, 0xd4            ; the next byte is for the mouse
        out 0x64, al
        mov al, 0xf4            ; report movement
        out 0x60, al
        call mouse_byte         ; its acknowledgement
.packet:
        call mouse_byte
        mov bl, al
        call mouse_byte
        mov bh, al
        call mouse_byte
        mov cl, al
        mov si, text
        call print
        mov al, bl
        call print_byte
        mov al, bh
        call print_byte
        mov al, cl
        call print_byte
        jmp .packet
mouse_byte:
        in al, 0x64
        and al, 0x21
        cmp al, 0x21
        jne mouse_byte
        in al, 0x60
        ret
print_byte:
        push ax
        mov al, ' '
        call print_character
        pop ax
        push ax
        shr al, 4
        call print_digit
        pop ax
        and al, 15
print_digit:
        cmp al, 10
        sbb al, 0x69
        das
print_character:
        mov dx, 0x3f8
        out dx, al
        ret
print:
        lodsb
        test al, al
        jz .done
        call print_character
        jmp print
.done:
        ret
text:   db 13, 10, 'mouse', 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
`;

/** A loop of a few blocks in flat 32-bit code that runs for ever. */
export const hotLoopProgram = `; hot: a loop that becomes a region
bits 16
org 0x7c00

start:
  cli
  xor ax, ax
  mov ds, ax
  lgdt [table]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:flat
table: dw 23
  dd descriptors
align 8
descriptors: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff

bits 32
flat:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7000
again:
  mov ecx, 100000
hot:
  add eax, ecx
  test al, 3
  jnz odd
  inc ebx
  mov [0x6000], ebx
odd:
  dec ecx
  jnz hot
  in al, 0x61
  jmp again

times 510-($-$$) db 0
dw 0xaa55
`;
