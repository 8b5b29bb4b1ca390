; plasma.asm: VGA mode 13h, 320 × 200 pixels of 256 colours, drawn anew for every frame. Any key ends it.
;
; A pixel is a byte at A000:0000, the number of a colour; which red, green and blue the number stands for is in the DAC. Look at the Screen view,
; and at the VGA's registers in the Devices view.

        bits 16
        org 0x7c00

WIDTH           equ 320
HEIGHT          equ 200
DAC_INDEX       equ 0x3c8
STATUS          equ 0x3da               ; bit 3: the beam returns to the top

start:
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld
        mov ax, 0x0013                  ; INT 10h, service 0: set the mode in AL
        int 0x10

; Three ramps up and down, a third of the circle apart, are the colours' red, green and blue.
        mov dx, DAC_INDEX
        mov al, 0
        out dx, al                      ; begin with colour 0; after three components comes the next
        inc dx
        mov cx, 256
        mov bl, 0
.colour:
        mov al, bl
        call ramp
        mov al, bl
        add al, 85
        call ramp
        mov al, bl
        add al, 170
        call ramp
        inc bl
        loop .colour

; A wave of 256 steps: a parabola upwards and one downwards pretend to be a sine.
        mov di, wave
        mov cx, 128
        mov bl, 0
.wave:
        mov al, 128
        sub al, bl
        mul bl                          ; i * (128 - i), at most 4096
        shr ax, 6
        add al, 64
        mov [di], al                    ; 64 to 128
        neg al
        add al, 128
        mov [di + 128], al              ; 64 to 0
        inc bl
        inc di
        loop .wave

        mov ax, 0xa000
        mov es, ax
frame:
        mov dx, STATUS
.shown:
        in al, dx                       ; wait until the beam is on its way back: nobody sees half a picture
        test al, 8
        jz .shown

        xor di, di
        mov dx, 0                       ; DL: row
.row:
        mov bl, dl
        shl bl, 1
        add bl, [time]
        mov bh, 0
        mov ah, [wave + bx]             ; a wave that runs upwards
        mov cx, WIDTH
.pixel:
        mov bl, cl
        sub bl, [time]
        mov al, [wave + bx]             ; one that runs to the side
        mov bl, cl
        add bl, dl
        add bl, [time]
        add al, [wave + bx]             ; and one across
        add al, ah
        stosb
        loop .pixel
        inc dl
        cmp dl, HEIGHT
        jb .row

        inc byte [time]
        mov ah, 1                       ; INT 16h, service 1: is there a key?
        int 0x16
        jz frame

        mov ax, 0x0003                  ; back to text
        int 0x10
        cli
        hlt

; Sends AL as a component from 0 up to 63 and down again.
ramp:
        test al, al
        jns .up
        not al
.up:
        shr al, 1
        out dx, al
        ret

time:   db 0

        times 510 - ($ - $$) db 0
        dw 0xaa55
wave    equ 0x7e00                      ; behind the boot sector
