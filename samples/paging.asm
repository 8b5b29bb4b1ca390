; paging.asm: paging with a page-fault handler that maps memory on demand.
;
; Sixteen pages at 1 GiB are not mapped. The first access to each raises #PF; the handler gives it a frame and the access
; is repeated. Two kinds of page faults happen here:
;
;   true faults     the guest's page tables forbid the access: the guest's own handler runs. The guest counts 16 of them.
;   hidden faults   the tables allow the access, but the monitor has not copied the entry into its shadow table yet. It does
;                   so and repeats the instruction; the guest never knows.
;
; Run it with --counters table and compare: 16 true page faults, and a hidden one for every page that is used at all.
; Loading CR3 again costs nothing more: the monitor keeps its shadow tables and traces writes to the guest's.

%include "protected.inc"
%include "serial.inc"
%include "end.inc"

PAGE_DIRECTORY  equ 0x10000             ; one entry for 4 MiB
IDENTITY_TABLE  equ 0x11000             ; the first 4 MiB: linear = physical
DEMAND_TABLE    equ 0x12000             ; 4 MiB from 1 GiB on: empty at first
FIRST_FRAME     equ 0x20000             ; frames that the handler gives away

DEMAND          equ 0x40000000
PAGES           equ 16
PRESENT         equ 1
WRITABLE        equ 2

main:
        ; Page tables. The directory and the demand table are empty but for two entries of the directory.
        mov edi, PAGE_DIRECTORY
        mov ecx, 3 * 1024
        xor eax, eax
        rep stosd
        mov dword [PAGE_DIRECTORY], IDENTITY_TABLE | PRESENT | WRITABLE
        mov dword [PAGE_DIRECTORY + DEMAND / 0x400000 * 4], DEMAND_TABLE | PRESENT | WRITABLE
        mov edi, IDENTITY_TABLE
        mov eax, PRESENT | WRITABLE
        mov ecx, 1024
.identity:
        stosd
        add eax, 0x1000
        loop .identity

        lidt [idt_register]
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000              ; PG, and WP: ring 0 respects read-only pages
        mov cr0, eax

        ; Touch every page: a true page fault each.
        mov ecx, PAGES
        mov edi, DEMAND
.write:
        mov [edi], ecx
        add edi, 0x1000
        loop .write

        ; And again: no faults. Then through a new CR3, which on a processor without a monitor would empty the TLB.
        xor ebx, ebx
        call sum
        mov eax, cr3
        mov cr3, eax
        call sum

        cmp dword [faults], PAGES
        check_equal 1
        cmp ebx, 2 * (PAGES * (PAGES + 1) / 2)
        check_equal 2
        ; The processor has set the Accessed and Dirty bits of the pages that were written.
        mov eax, [DEMAND_TABLE]
        and eax, 0x60
        cmp eax, 0x60
        check_equal 3

        mov esi, touched_text
        call print
        mov eax, [faults]
        call print_number
        mov esi, faults_text
        call print
        end_of_run

; Adds up what is in the pages: EBX += 1 + 2 + ... + PAGES.
sum:
        mov ecx, PAGES
        mov edi, DEMAND
.next:
        add ebx, [edi]
        add edi, 0x1000
        loop .next
        ret

; #PF pushes an error code on top of the usual frame; CR2 is the linear address.
page_fault:
        push eax
        push ecx
        test byte [esp + 8], PRESENT    ; bit 0 of the error code: a protection violation, not a missing page
        jnz .wrong
        mov eax, cr2
        sub eax, DEMAND
        shr eax, 12                     ; the page's number
        cmp eax, PAGES
        jae .wrong
        mov ecx, [next_frame]
        add dword [next_frame], 0x1000
        or ecx, PRESENT | WRITABLE
        mov [DEMAND_TABLE + 4 * eax], ecx
        inc dword [faults]
        pop ecx
        pop eax
        add esp, 4                      ; the error code
        iretd                           ; the access is repeated
.wrong:
        mov al, 4
        out 0xf4, al

faults          dd 0
next_frame      dd FIRST_FRAME

touched_text    db '16 pages touched, ', 0
faults_text     db ' true page faults. The hidden ones are the monitor', 39, 's secret: see the counters.', 13, 10, 0

; Only vector 14 has a gate: any other exception ends in a triple fault, whose post-mortem tells what happened.
        align 8
idt:
        times 14 dq 0
        dw page_fault                   ; offset 15..0: the image lies below 64 KiB
        dw CODE
        db 0, 10001110b                 ; 32-bit interrupt gate, ring 0
        dw 0                            ; offset 31..16
idt_register:
        dw $ - idt - 1
        dd idt

        end_of_image
