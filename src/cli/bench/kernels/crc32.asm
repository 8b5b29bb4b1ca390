; CRC-32 by table over 64 KiB.
%include "frame.inc"

TABLE   equ DATA
MESSAGE equ DATA + 0x10000
BYTES   equ 65536

prepare:
        mov edi, MESSAGE
        mov ecx, BYTES / 4
        call fill_random
        xor ebx, ebx
.entry: mov eax, ebx
        mov edx, 8
.bit:   shr eax, 1
        jnc .even
        xor eax, 0xedb88320
.even:  dec edx
        jne .bit
        mov [TABLE + ebx * 4], eax
        inc ebx
        cmp ebx, 256
        jne .entry
        ret

round:  push dword BYTES
        push dword MESSAGE
        call crc32
        add esp, 8
        ret

crc32:  push ebx
        mov ebx, [esp + 12]
        mov edx, [esp + 8]
        test ebx, ebx
        je .empty
        add ebx, edx
        mov eax, -1
        align 16
.byte:  movzx ecx, byte [edx]
        inc edx
        xor cl, al
        shr eax, 8
        movzx ecx, cl
        xor eax, [TABLE + ecx * 4]
        cmp edx, ebx
        jne .byte
        pop ebx
        not eax
        ret
.empty: pop ebx
        xor eax, eax
        ret

image_end:
