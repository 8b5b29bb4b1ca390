; Quicksort of 16,384 integers with a pointer to the function that compares two of them.
%include "frame.inc"

COUNT   equ 16384
INPUT   equ DATA
ARRAY   equ DATA + 0x10000

prepare:
        mov edi, INPUT
        mov ecx, COUNT
        jmp fill_random

round:  mov esi, INPUT
        mov edi, ARRAY
        mov ecx, COUNT
        rep movsd
        push dword compare
        push dword ARRAY + 4 * (COUNT - 1)
        push dword ARRAY
        call quicksort
        add esp, 12
        xor eax, eax
        mov edx, ARRAY
.sum:   imul eax, eax, 31
        add eax, [edx]
        add edx, 4
        cmp edx, ARRAY + 4 * COUNT
        jne .sum
        ret

; int compare(const unsigned *a, const unsigned *b)
        align 16
compare:
        mov eax, [esp + 4]
        mov ecx, [eax]
        mov eax, [esp + 8]
        mov edx, [eax]
        xor eax, eax
        cmp edx, ecx
        setb al
        cmp ecx, edx
        sbb eax, 0
        ret

; void quicksort(unsigned *low, unsigned *high, int (*compare)(const void *, const void *))
LOW     equ 80
HIGH    equ 84
COMPARE equ 88
PIVOT   equ 44
LEFT    equ 28                          ; the element that the search from below looks at
        align 16
quicksort:
        push ebp
        push edi
        push esi
        push ebx
        sub esp, 60
        mov ecx, [esp + LOW]
        cmp ecx, [esp + HIGH]
        mov esi, [esp + COMPARE]
        jnb .done
        lea edi, [esp + PIVOT]
.part:  mov eax, [esp + HIGH]
        lea ebp, [ecx + 4]
        mov [esp + LOW], ecx
        mov ebx, [esp + HIGH]
        sub eax, ecx
        sar eax, 3
        mov eax, [ecx + eax * 4]
        mov [esp + PIVOT], eax
        align 16
.up:    mov [esp + 4], edi
        lea eax, [ebp - 4]
        mov [esp + LEFT], eax
        mov [esp], eax
        call esi
        test eax, eax
        jns .down
        jmp .go_up
        align 16
.go_down:
        sub ebx, 4
.down:  mov [esp + 4], edi
        mov [esp], ebx
        call esi
        test eax, eax
        jg .go_down
        mov eax, [esp + LEFT]
        cmp ebx, eax
        jnb .swap
.parted:
        mov ecx, [esp + LOW]
        cmp ecx, ebx
        jb .below
.above: mov eax, [esp + LEFT]
        cmp eax, [esp + HIGH]
        jnb .done
        mov ecx, [esp + LEFT]
        jmp .part
        align 16
.swap:  mov edx, [ebx]
        sub ebx, 4
        mov [esp + LEFT], ebp
        mov eax, [ebp - 4]
        mov [ebp - 4], edx
        mov [ebx + 4], eax
        cmp ebx, ebp
        jb .parted
.go_up: add ebp, 4
        jmp .up
.done:  add esp, 60
        pop ebx
        pop esi
        pop edi
        pop ebp
        ret
.below: mov [esp + 8], esi
        mov [esp + 4], ebx
        mov [esp], ecx
        call quicksort
        jmp .above

image_end:
