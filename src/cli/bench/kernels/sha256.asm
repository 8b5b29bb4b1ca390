; SHA-256 of 16 KiB: rotates, and more values than registers.
%include "frame.inc"

MESSAGE equ DATA
BYTES   equ 16384
HASH    equ DATA + 0x100000

prepare:
        mov edi, MESSAGE
        mov ecx, BYTES / 4
        call fill_random
        mov ecx, 16                     ; the padding: a block of its own
        xor eax, eax
        rep stosd
        mov byte [MESSAGE + BYTES], 0x80
        mov eax, 8 * BYTES
        bswap eax
        mov [MESSAGE + BYTES + 60], eax
        ret

round:  mov esi, initial
        mov edi, HASH
        mov ecx, 8
        rep movsd
        mov esi, MESSAGE
.block: push esi
        push esi
        push dword HASH
        call sha256_block
        add esp, 8
        pop esi
        add esi, 64
        cmp esi, MESSAGE + BYTES + 64
        jne .block
        mov eax, [HASH]
        mov edx, HASH + 4
.fold:  xor eax, [edx]
        add edx, 4
        cmp edx, HASH + 32
        jne .fold
        ret

initial:
        dd 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19

; void sha256_block(unsigned hash[8], const unsigned char block[64])
STATE   equ 328
BLOCK   equ 332
        align 16
sha256_block:
        push ebp
        xor eax, eax
        push edi
        push esi
        push ebx
        sub esp, 308
        mov edx, [esp + STATE]
        mov ebx, [esp + BLOCK]
        align 16
.load:  mov ecx, [ebx + eax * 4]
        bswap ecx
        mov [esp + 52 + eax * 4], ecx
        inc eax
        cmp eax, 16
        jne .load
        lea ecx, [esp + 52]
        lea esi, [esp + 244]
        align 16
.schedule:
        mov ebx, [ecx + 4]
        add ecx, 4
        mov edi, [ecx + 52]
        mov eax, ebx
        mov ebp, ebx
        rol ebp, 14
        ror eax, 7
        shr ebx, 3
        xor eax, ebp
        mov ebp, [ecx - 4]
        xor eax, ebx
        mov ebx, [ecx + 32]
        add ebx, ebp
        mov ebp, edi
        rol ebp, 13
        add eax, ebx
        mov ebx, edi
        rol ebx, 15
        shr edi, 10
        xor ebx, ebp
        xor ebx, edi
        add eax, ebx
        mov [ecx + 60], eax
        cmp esi, ecx
        jne .schedule
        mov eax, [edx + 4]
        mov edi, [edx + 12]
        mov esi, [edx + 20]
        mov ebx, [edx]
        mov [esp + 20], eax
        mov eax, [edx + 24]
        mov [esp + 36], edi
        mov ebp, [edx + 8]
        mov [esp + 12], edi
        mov ecx, [edx + 16]
        xor edi, edi
        mov [esp + 28], ebx
        mov [esp + 24], eax
        mov eax, [edx + 28]
        mov [esp + 32], ebp
        mov [esp + 40], ecx
        mov [esp + 44], esi
        mov [esp + 48], eax
        mov [esp + 16], eax
        mov eax, [esp + 24]
        mov [esp + 8], esi
        mov [esp + STATE], edx
        mov [esp], eax
        mov eax, [esp + 20]
        mov [esp + 4], eax
        jmp .step
        align 16
.rotate:
        mov edx, [esp + 8]
        mov [esp + 8], ecx
        mov ebp, [esp + 4]
        mov ecx, esi
        mov [esp + 4], ebx
        mov ebx, eax
        mov [esp], edx
.step:  mov edx, ecx
        mov eax, ecx
        mov esi, [CONSTANTS + edi * 4]
        ror edx, 6
        ror eax, 11
        xor eax, edx
        mov edx, ecx
        rol edx, 7
        xor eax, edx
        mov edx, [esp + 52 + edi * 4]
        inc edi
        add edx, esi
        mov esi, [esp]
        add eax, edx
        mov edx, ecx
        not edx
        and edx, esi
        mov esi, [esp + 8]
        and esi, ecx
        xor edx, esi
        mov esi, [esp + 16]
        add eax, edx
        mov edx, ebx
        ror edx, 2
        add eax, esi
        mov esi, ebx
        ror esi, 13
        xor esi, edx
        mov edx, ebx
        rol edx, 10
        xor esi, edx
        mov [esp + 16], esi
        mov esi, [esp + 4]
        mov edx, esi
        and esi, ebp
        xor edx, ebp
        and edx, ebx
        xor edx, esi
        mov esi, [esp + 16]
        add edx, esi
        mov esi, [esp + 12]
        mov [esp + 12], ebp
        add esi, eax
        add eax, edx
        mov edx, [esp]
        cmp edi, 64
        mov [esp + 16], edx
        jne .rotate
        mov edi, [esp + 28]
        mov edx, [esp + STATE]
        add edi, eax
        mov eax, [esp + 20]
        mov [edx], edi
        mov edi, [esp + 4]
        add eax, ebx
        mov [edx + 4], eax
        mov eax, [esp + 32]
        add eax, edi
        mov edi, [esp + 8]
        mov [edx + 8], eax
        mov eax, [esp + 36]
        add eax, ebp
        mov [edx + 12], eax
        mov eax, [esp + 40]
        add eax, esi
        mov [edx + 16], eax
        mov eax, [esp + 44]
        add eax, ecx
        mov [edx + 20], eax
        mov eax, [esp + 24]
        add eax, edi
        mov edi, [esp]
        mov [edx + 24], eax
        mov eax, [esp + 48]
        add eax, edi
        mov [edx + 28], eax
        add esp, 308
        pop ebx
        pop esi
        pop edi
        pop ebp
        ret

        align 32
CONSTANTS:
        dd 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
        dd 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
        dd 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
        dd 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
        dd 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
        dd 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
        dd 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
        dd 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2

image_end:
