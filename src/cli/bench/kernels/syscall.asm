; INT 0x80 from ring 3: a system call through a table, and back.
%include "frame.inc"

CALLS   equ 10000

prepare:
        mov ax, 0xee80
        mov ebx, system_call
        call set_gate
        mov ax, 0xee81
        mov ebx, user_done
        jmp set_gate

round:  mov [.stack], esp
        push dword USER_DATA
        push dword USER_STACK
        push dword 2
        push dword USER_CODE
        push dword user
        iretd
.done:  mov esp, [.stack]
        mov eax, [count]
        ret
        align 64
.stack  dd 0
user_done:
        mov cx, DATA32
        mov ds, cx
        mov es, cx
        jmp round.done

        align 4096
user:   mov ax, USER_DATA
        mov ds, ax
        mov es, ax
        mov esi, CALLS
.call:  mov eax, 1
        mov ebx, esi
        int 0x80
        dec esi
        jne .call
        xor eax, eax
        int 0x80
        int 0x81

        align 4096
system_call:
        push ds
        push es
        push ebp
        push edi
        push esi
        push edx
        push ecx
        push ebx
        mov edx, DATA32
        mov ds, edx
        mov es, edx
        cmp eax, 2
        jae .none
        call [.table + eax * 4]
.none:  pop ebx
        pop ecx
        pop edx
        pop esi
        pop edi
        pop ebp
        pop es
        pop ds
        iretd
        align 4
.table  dd finish, add_number

; The sum of the arguments so far becomes the result of the round.
finish: mov eax, [sum]
        mov [count], eax
        mov dword [sum], 0
        ret
add_number:
        add [sum], ebx
        mov eax, [sum]
        ret

        align 4096
sum     dd 0
count   dd 0

image_end:
