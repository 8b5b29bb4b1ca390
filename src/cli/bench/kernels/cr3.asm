; Two address spaces by turns; in each one 32 pages are touched, which are others in the other one.
%include "frame.inc"

PAGES   equ 32
SWITCHES equ 200

prepare:
        mov ecx, PAGES - 1
.page:  mov eax, ecx
        shl eax, 12
        lea edx, [DATA + 7 + eax]
        mov [WINDOW_TABLE + ecx * 4], edx
        lea edx, [DATA + 0x100000 + 7 + eax]
        mov [OTHER_TABLE + ecx * 4], edx
        dec ecx
        jns .page
        ret

round:  push ebx
        push esi
        mov edi, DATA
        call clear
        mov edi, DATA + 0x100000
        call clear
        mov ebx, SWITCHES / 2
        xor esi, esi
.turn:  mov eax, OTHER_DIRECTORY
        mov cr3, eax
        mov edx, 3
        call touch
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        mov edx, 1
        call touch
        dec ebx
        jne .turn
        mov eax, esi
        pop esi
        pop ebx
        ret

; EDX: what is added to a word of each page; their sum goes to ESI.
        align 16
touch:  mov eax, WINDOW
.page:  mov ecx, [eax + 8]
        add ecx, edx
        mov [eax + 8], ecx
        add esi, ecx
        add eax, 0x1000
        cmp eax, WINDOW + PAGES * 0x1000
        jne .page
        ret

clear:  mov ecx, PAGES
.page:  mov dword [edi + 8], 0
        add edi, 0x1000
        dec ecx
        jne .page
        ret

image_end:
