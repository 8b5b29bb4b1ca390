; paper-isprime.asm: the example of section 3.2 of Adams and Agesen, "A Comparison of Software and Hardware Techniques for x86 Virtualization"
; (ASPLOS 2006): is 49 prime? Run it, put the cursor into isPrime and choose "Ringside: Show Translation".
;
; What the paper prints comes out: four fragments (isPrime, nexti, the one that begins with inc, notPrime), six continuations, of which two are
; still open when it returns: both lead to prime, which was never executed and hence never translated.

%include "protected.inc"
%include "serial.inc"
%include "end.inc"

main:
        mov edi, 49                     ; 7 * 7
        call isPrime
        test eax, eax                   ; 0: it is not
        check_equal 1
        mov esi, text
        call print
        end_of_run

; EDI: a number. EAX: 1 if it is prime, else 0.
isPrime:
        mov ecx, edi
        mov esi, 2                      ; i = 2
        cmp esi, ecx
        jge prime                       ; never taken: this continuation stays open
nexti:
        mov eax, ecx
        cdq
        idiv esi                        ; a % i
        test edx, edx
        jz notPrime                     ; taken once, for i = 7: chained then
        inc esi
        cmp esi, ecx
        jl nexti                        ; taken five times; the way behind it stays open
prime:
        mov eax, 1
        ret
notPrime:
        xor eax, eax
        ret

text    db '49 is not prime.', 13, 10, 0

        end_of_image
