; ring3.asm: a program in ring 3 that asks the kernel in ring 0 through INT 0x80, and is caught when it does what it must not.
;
; Watch CPL and SS:ESP in the Machine view while stepping over an `int 0x80`: the processor takes the kernel's stack from the TSS.

%include "protected.inc"
%include "serial.inc"
%include "end.inc"

KERNEL_STACK    equ 0x7c00
USER_STACK      equ 0x90000
CALL_WRITE      equ 1                   ; ebx: text. Returns its length in eax.
CALL_ADD        equ 2                   ; eax = ebx + ecx

; ---- the kernel, ring 0 ----

main:
        lgdt [kernel_gdt_register]
        lidt [idt_register]
        mov ax, TSS
        ltr ax                          ; where the processor finds the kernel's stack when ring 3 is interrupted

        ; IRETD into ring 3: SS, ESP, EFLAGS, CS, EIP as if an interrupt had come from there.
        push dword USER_DATA | 3
        push dword USER_STACK
        push dword 0x202                ; interrupts on (none is enabled here), IOPL 0
        push dword USER_CODE | 3
        push dword user
        iretd

; INT 0x80. EAX: number of the call.
system_call:
        inc dword [calls]
        push ds
        push dword DATA
        pop ds                          ; ring 3 may have put anything into DS
        cmp eax, CALL_WRITE
        je .write
        cmp eax, CALL_ADD
        je .add
        mov eax, -1
        jmp .done
.write:
        push esi
        mov esi, ebx
        call print
        xor eax, eax
.length:
        cmp byte [ebx + eax], 0
        je .counted
        inc eax
        jmp .length
.counted:
        pop esi
        jmp .done
.add:
        lea eax, [ebx + ecx]
.done:
        pop ds
        iretd

; #GP: error code, EIP, CS, EFLAGS, ESP, SS on the kernel's stack. The program's last deed is to bring us here.
general_protection:
        mov ax, DATA
        mov ds, ax
        cmp dword [esp], 0              ; error code 0: no selector is to blame
        check_equal 1
        cmp dword [esp + 4], user.forbidden
        check_equal 2
        cmp dword [esp + 8], USER_CODE | 3
        check_equal 3
        cmp dword [esp + 20], USER_DATA | 3
        check_equal 4
        cmp dword [calls], 3
        check_equal 5
        mov esi, caught_text
        call print
        end_of_run

calls           dd 0
caught_text     db 'Kernel: caught CLI in ring 3 (#GP).', 13, 10, 0

; ---- the program, ring 3 ----

user:
        mov ax, USER_DATA | 3           ; IRETD has cleared the data segments of ring 0
        mov ds, ax
        mov eax, CALL_WRITE
        mov ebx, user_text
        int 0x80
        cmp eax, user_text_length
        jne .wrong
        mov eax, CALL_ADD
        mov ebx, 40
        mov ecx, 2
        int 0x80
        cmp eax, 42
        jne .wrong
        mov eax, 99                     ; there is no such call
        int 0x80
        cmp eax, -1
        jne .wrong
.forbidden:
        cli                             ; IOPL 0 and CPL 3: general protection
.wrong:
        ud2                             ; there is no handler for #UD: the machine ends in a triple fault

user_text       db 'Ring 3 greets through INT 0x80.', 13, 10, 0
user_text_length equ $ - user_text - 1

; ---- tables ----

        align 8
kernel_gdt:
        dq 0
        dq 0x00cf9a000000ffff           ; CODE and DATA as before
        dq 0x00cf92000000ffff
USER_CODE       equ $ - kernel_gdt
        dq 0x00cffa000000ffff           ; the same for ring 3 (DPL 3)
USER_DATA       equ $ - kernel_gdt
        dq 0x00cff2000000ffff
TSS             equ $ - kernel_gdt
        dw tss_end - tss - 1, tss       ; limit, base 15..0
        db 0, 10001001b, 0, 0           ; available 32-bit TSS
kernel_gdt_register:
        dw $ - kernel_gdt - 1
        dd kernel_gdt

        align 4
tss:
        dd 0
        dd KERNEL_STACK, DATA           ; ESP0 and SS0: all that is used of it here
        times 22 dd 0
        dw 0, tss_end - tss             ; no I/O permission bitmap
tss_end:

%macro gate 3                           ; handler, selector, attributes
        dw %1, %2
        db 0, %3
        dw 0
%endmacro

        align 8
idt:
        times 13 dq 0
        gate general_protection, CODE, 10001110b
        times 0x80 - 14 dq 0
        gate system_call, CODE, 11101110b ; DPL 3: ring 3 may call it
idt_register:
        dw $ - idt - 1
        dd idt

        end_of_image
