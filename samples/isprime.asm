; isprime.asm: counts the primes below a limit by trial division. Nothing but arithmetic and jumps: the code that a monitor
; runs at full speed. See the counters: a handful of translations, millions of instructions, no hidden faults after the first.

%include "protected.inc"
%include "serial.inc"
%include "end.inc"

LIMIT           equ 10000
EXPECTED        equ 1229                ; primes below LIMIT

main:
        xor ebp, ebp                    ; primes found
        mov edi, 2
.next:
        call is_prime
        add ebp, eax
        inc edi
        cmp edi, LIMIT
        jb .next

        cmp ebp, EXPECTED
        check_equal 1
        mov eax, ebp
        call print_number
        mov esi, text
        call print
        end_of_run

; EDI: number, at least 2. EAX: 1 if it is prime, else 0.
is_prime:
        mov esi, 2
.try:
        mov eax, esi
        mul esi
        cmp eax, edi                    ; a divisor above the square root has a partner below it
        ja .prime
        mov eax, edi
        xor edx, edx
        div esi
        test edx, edx                   ; remainder 0: esi divides edi
        jz .composite
        inc esi
        jmp .try
.prime:
        mov eax, 1
        ret
.composite:
        xor eax, eax
        ret

text    db ' primes below 10000.', 13, 10, 0

        end_of_image
