; 512 pages that the page-fault handler maps when they are touched, then unmaps all at once.
%include "frame.inc"

PAGES   equ 512

prepare:
        mov ax, 0x8e0e
        mov ebx, page_fault
        jmp set_gate

round:  push esi
        mov esi, WINDOW
        xor eax, eax
.touch: mov [esi], esi
        add eax, [esi]
        add esi, 0x1000
        cmp esi, WINDOW + PAGES * 0x1000
        jne .touch
        push eax
        mov edi, WINDOW_TABLE
        mov ecx, PAGES
        xor eax, eax
        rep stosd
        mov eax, cr3
        mov cr3, eax
        pop eax
        add eax, [faults]
        mov dword [faults], 0
        pop esi
        ret

        align 4096
page_fault:
        push eax
        push edx
        mov edx, cr2
        mov eax, edx
        shr edx, 12
        and edx, 0x3ff
        and eax, 0x3ff000
        add eax, DATA + 7
        mov [WINDOW_TABLE + edx * 4], eax
        inc dword [faults]
        pop edx
        pop eax
        add esp, 4
        iretd

        align 4096
faults  dd 0

image_end:
