; mandelbrot.asm: a picture of 640 × 480 pixels in 32-bit colour. VESA's BIOS functions (VBE) find the mode and say where its linear frame buffer
; is; then the program goes on in protected mode, where all of it can be reached. Any key ends it.

        bits 16
        org 0x7c00

WIDTH           equ 640
HEIGHT          equ 480
ITERATIONS      equ 48
ONE             equ 1 << 24             ; fixed point: 8 bits before the point, 24 behind
STEP            equ 83886               ; 3.2 / 640
CODE            equ 0x08
DATA            equ 0x10

vbe_info        equ 0x9000              ; 512 bytes from function 4F00h
mode_info       equ 0x9200              ; 256 bytes from function 4F01h
MODE_LIST       equ 14                  ; offset and segment of the numbers of all modes
MODE_ATTRIBUTES equ 0
MODE_PITCH      equ 16
MODE_WIDTH      equ 18
MODE_HEIGHT     equ 20
MODE_BITS       equ 25
MODE_BUFFER     equ 40

boot:
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov ax, 0x0200 + (image_end - boot) / 512 - 1   ; the sectors behind this one, to 7E00h
        mov bx, 0x7e00
        mov cx, 0x0002
        mov dh, 0
        int 0x13
        jc no_mode

        mov di, vbe_info
        mov dword [di], 'VBE2'
        mov ax, 0x4f00
        int 0x10
        cmp ax, 0x004f
        jne no_mode
        mov si, [vbe_info + MODE_LIST]
        mov fs, [vbe_info + MODE_LIST + 2]
next_mode:
        mov cx, [fs:si]
        add si, 2
        cmp cx, 0xffff                  ; the end of the list
        je no_mode
        mov di, mode_info
        mov ax, 0x4f01
        int 0x10
        cmp ax, 0x004f
        jne next_mode
        test byte [mode_info + MODE_ATTRIBUTES], 0x80   ; has it a linear frame buffer?
        jz next_mode
        cmp word [mode_info + MODE_WIDTH], WIDTH
        jne next_mode
        cmp word [mode_info + MODE_HEIGHT], HEIGHT
        jne next_mode
        cmp byte [mode_info + MODE_BITS], 32
        jne next_mode

        mov bx, cx
        or bx, 0x4000                   ; with the linear frame buffer
        mov ax, 0x4f02
        int 0x10
        cmp ax, 0x004f
        jne no_mode

        cli
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1                        ; CR0.PE
        mov cr0, eax
        jmp CODE:draw

no_mode:
        mov al, 2
        out 0xf4, al                    ; status 5: there is no such mode

gdt:
        dq 0
        dq 0x00cf9a000000ffff           ; code: 4 GiB from 0
        dq 0x00cf92000000ffff           ; data: the same
gdt_end:
gdt_register:
        dw gdt_end - gdt - 1
        dd gdt

        times 510 - ($ - $$) db 0
        dw 0xaa55

%include "end.inc"

        bits 32
draw:
        mov ax, DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7c00
        mov edi, [mode_info + MODE_BUFFER]
.row:
        mov dword [real], -(ONE * 22 / 10)
        mov dword [column], WIDTH
.pixel:
        xor esi, esi                    ; z = ESI + i EBX
        xor ebx, ebx
        mov ecx, ITERATIONS
.iterate:
        mov eax, esi
        imul esi                        ; 64 bits in EDX:EAX, 48 of them behind the point
        shrd eax, edx, 24
        mov ebp, eax
        mov eax, ebx
        imul ebx
        shrd eax, edx, 24
        lea edx, [eax + ebp]
        cmp edx, 4 * ONE
        ja .outside                     ; |z| > 2: it never comes back
        sub ebp, eax
        add ebp, [real]
        mov eax, esi
        imul ebx
        shrd eax, edx, 23               ; twice the product
        add eax, [imaginary]
        mov ebx, eax
        mov esi, ebp
        dec ecx
        jnz .iterate
.outside:
        imul eax, ecx, 0x030405         ; black inside, brighter the sooner it leaves
        stosd
        add dword [real], STEP
        dec dword [column]
        jnz .pixel
        movzx eax, word [mode_info + MODE_PITCH]
        add edi, eax
        sub edi, WIDTH * 4              ; rows may be longer than the picture is wide
        add dword [imaginary], STEP
        dec dword [row]
        jnz .row

        ; The point -1 + 0i belongs to the set, and the corner at the top does not.
        movzx eax, word [mode_info + MODE_PITCH]
        imul eax, HEIGHT / 2
        add eax, [mode_info + MODE_BUFFER]
        cmp dword [eax + 4 * 240], 0
        check_equal 1

.wait:
        in al, 0x64
        test al, 1                      ; is there a byte of the keyboard?
        jz .wait
        in al, 0x60
        end_of_run

real:           dd 0
imaginary:      dd -(ONE * 12 / 10)
row:            dd HEIGHT
column:         dd 0

        end_of_image
