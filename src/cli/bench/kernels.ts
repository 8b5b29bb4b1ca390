/**
 * The guests of `ringside bench`: what each one stresses, as assembly text. A kernel runs in 32-bit protected mode, or in 64-bit mode, with paging on
 * and repeats batches for ever; each batch ends with one byte to the debug port, by which whoever runs it (this machine or another one) tells the time.
 */

export interface Kernel {
  readonly name: string;
  readonly title: string;
  /** Iterations in a batch, so that a batch takes some tens of milliseconds. */
  readonly iterations: number;
  /** One batch: ECX holds the iterations at `batch`, where ring 0 starts; ends by jumping to `batch_done`. */
  readonly source: string;
}

export const BATCH_MARK = 0x2e;

/** Linear addresses: the first 16 MiB are mapped one to one, for ring 3 as well. */
const frame = `
        bits 16
        org 0x7c00
PAGE_DIRECTORY  equ 0x20000
PAGE_TABLES     equ 0x21000             ; four, for 16 MiB
OTHER_DIRECTORY equ 0x26000
DEMAND_TABLE    equ 0x27000             ; for 4 MiB at DEMAND, empty
DEMAND          equ 0x40000000
IDT             equ 0x28000
DATA            equ 0x200000
STACK           equ 0x90000             ; pages without code; the kernel beside-code is about the others
USER_STACK      equ 0x80000
CODE32          equ 0x08
DATA32          equ 0x10
CODE64          equ 0x30
LONG_TABLES     equ 0x30000             ; 16 MiB one to one in pages of 2 MiB
USER_CODE       equ 0x1b
USER_DATA       equ 0x23
        cli
        xor ax, ax
        mov ds, ax
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE32:flat

        align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
        dw tss_end - tss - 1, tss
        db 0, 0x89, 0, 0
        dq 0x00af9a000000ffff
gdt_register:
        dw $ - gdt - 1
        dd gdt
idt_register:
        dw 0x7ff
        dd IDT
tss:    dd 0, STACK, DATA32
        times 22 dd 0
        dw 0, tss_end - tss
tss_end:

        bits 32
flat:   mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK
        cld
        mov edi, PAGE_DIRECTORY
        mov ecx, (IDT + 0x800 - PAGE_DIRECTORY) / 4
        xor eax, eax
        rep stosd
        mov edi, PAGE_TABLES
        mov eax, 7
        mov ecx, 4096
.map:   stosd
        add eax, 0x1000
        loop .map
        mov eax, PAGE_TABLES + 7
        mov edi, PAGE_DIRECTORY
        mov ebx, OTHER_DIRECTORY
.link:  mov [edi], eax
        mov [ebx], eax
        add edi, 4
        add ebx, 4
        add eax, 0x1000
        cmp edi, PAGE_DIRECTORY + 16
        jne .link
        mov dword [PAGE_DIRECTORY + DEMAND / 0x400000 * 4], DEMAND_TABLE + 7
        lidt [idt_register]
        mov ax, 0x28
        ltr ax
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        call prepare
next_batch:
        mov ecx, ITERATIONS
        jmp batch
batch_done:
        mov al, ${BATCH_MARK}
        out 0xe9, al
        jmp next_batch

; AL: vector, EBX: handler, AH: attributes of the gate.
set_gate:
        movzx edx, al
        mov word [IDT + 8 * edx], bx
        mov word [IDT + 8 * edx + 2], CODE32
        mov byte [IDT + 8 * edx + 5], ah
        shr ebx, 16
        mov word [IDT + 8 * edx + 6], bx
        ret
`;

const nothing = 'prepare: ret\n';
/** Goes on in 64-bit mode; batches end at `long_done`. */
const enterLong = `
prepare:
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov dword [LONG_TABLES], LONG_TABLES + 0x1007
        mov dword [LONG_TABLES + 0x1000], LONG_TABLES + 0x2007
        mov eax, 0x87
        mov edi, LONG_TABLES + 0x2000
        mov ecx, 8
.map:   mov [edi], eax
        add eax, 0x200000
        add edi, 8
        loop .map
        mov eax, 0x20
        mov cr4, eax
        mov eax, LONG_TABLES
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp CODE64:long
        bits 64
long:   mov esp, STACK
next_long:
        mov ecx, ITERATIONS
        jmp batch
long_done:
        mov al, ${BATCH_MARK}
        out 0xe9, al
        jmp next_long
`;
/** CR4.OSFXSR and OSXMMEXCPT. */
const enableSse = 'prepare: mov eax, cr4\n        or eax, 0x600\n        mov cr4, eax\n        ret\n';

export const kernels: readonly Kernel[] = [
  {
    name: 'alu', title: 'ALU loop with loads and stores', iterations: 600_000,
    source: `${nothing}
batch:  mov esi, DATA
        mov edi, DATA + 0x1000
        xor ebx, ebx
.loop:  mov eax, [esi]
        add eax, ecx
        lea edx, [eax + 4 * ebx + 7]
        xor ebx, edx
        mov [edi], ebx
        shr edx, 5
        and edx, 0xffc
        add eax, [esi + edx]
        mov [edi + edx], eax
        sub ebx, eax
        dec ecx
        jnz .loop
        jmp batch_done`,
  },
  {
    name: 'sieve', title: 'sieve of Eratosthenes over 16 KiB', iterations: 60,
    source: `${nothing}
LIMIT   equ 16384
batch:  push ecx
        mov edi, DATA
        mov ecx, LIMIT / 4
        mov eax, 0x01010101
        rep stosd
        mov esi, 2
.next:  cmp byte [DATA + esi], 0
        je .composite
        lea edi, [esi + esi]
        cmp edi, LIMIT
        jae .composite
.cross: mov byte [DATA + edi], 0
        add edi, esi
        cmp edi, LIMIT
        jb .cross
.composite:
        inc esi
        cmp esi, LIMIT
        jb .next
        pop ecx
        dec ecx
        jnz batch
        jmp batch_done`,
  },
  {
    name: 'alu 64', title: 'the ALU loop in 64-bit code', iterations: 600_000,
    source: `${enterLong}
batch:  mov esi, DATA
        mov edi, DATA + 0x1000
        xor ebx, ebx
.loop:  mov rax, [rsi]
        add rax, rcx
        lea rdx, [rax + 4 * rbx + 7]
        xor rbx, rdx
        mov [rdi], rbx
        shr rdx, 5
        and edx, 0xff8
        add rax, [rsi + rdx]
        mov [rdi + rdx], rax
        sub rbx, rax
        dec rcx
        jnz .loop
        jmp long_done`,
  },
  {
    name: 'memcpy', title: 'REP MOVSD of 64 KiB', iterations: 300,
    source: `${nothing}
batch:  mov edx, ecx
.copy:  mov esi, DATA
        mov edi, DATA + 0x100000
        mov ecx, 0x4000
        rep movsd
        dec edx
        jnz .copy
        jmp batch_done`,
  },
  {
    name: 'memcpy 64', title: 'REP MOVSQ of 64 KiB', iterations: 300,
    source: `${enterLong}
batch:  mov edx, ecx
.copy:  mov esi, DATA
        mov edi, DATA + 0x100000
        mov ecx, 0x2000
        rep movsq
        dec edx
        jnz .copy
        jmp long_done`,
  },
  {
    name: 'calls', title: 'recursive calls and returns (Fibonacci)', iterations: 40,
    source: `${nothing}
batch:  push ecx
        mov eax, 18
        call fibonacci
        pop ecx
        dec ecx
        jnz batch
        jmp batch_done
fibonacci:
        cmp eax, 2
        jb .small
        push eax
        dec eax
        call fibonacci
        xchg eax, [esp]
        sub eax, 2
        call fibonacci
        pop edx
        add eax, edx
.small: ret`,
  },
  {
    name: 'calls 64', title: 'recursive calls and returns in 64-bit code', iterations: 40,
    source: `${enterLong}
batch:  push rcx
        mov eax, 18
        call fibonacci
        pop rcx
        dec rcx
        jnz batch
        jmp long_done
fibonacci:
        cmp rax, 2
        jb .small
        push rax
        dec rax
        call fibonacci
        xchg rax, [rsp]
        sub rax, 2
        call fibonacci
        pop rdx
        add rax, rdx
.small: ret`,
  },
  {
    name: 'indirect', title: 'jumps through a table', iterations: 300_000,
    source: `${nothing}
batch:  mov eax, ecx
        and eax, 7
        jmp [table + 4 * eax]
%assign n 0
%rep 8
target_%+n:
        add ebx, n
        dec ecx
        jnz batch
        jmp batch_done
%assign n n + 1
%endrep
        align 4
table:
%assign n 0
%rep 8
        dd target_%+n
%assign n n + 1
%endrep`,
  },
  {
    name: 'syscall', title: 'INT 0x80 from ring 3 and back', iterations: 20_000,
    source: `
prepare:
        mov ax, 0xee80
        mov ebx, system_call
        call set_gate
        push dword USER_DATA
        push dword USER_STACK
        push dword 0x3002               ; IOPL 3: ring 3 ends the batches
        push dword USER_CODE
        push dword user
        iretd
user:   mov ax, USER_DATA
        mov ds, ax
        mov es, ax
        jmp next_batch
batch:  int 0x80
        dec ecx
        jnz batch
        jmp batch_done
system_call:
        inc eax
        iretd`,
  },
  {
    name: 'faults', title: 'page faults: map, touch, unmap', iterations: 10_000,
    source: `
prepare:
        mov ax, 0x8e0e
        mov ebx, page_fault
        jmp set_gate
batch:  mov [DEMAND], ecx
        mov dword [DEMAND_TABLE], 0
        invlpg [DEMAND]
        dec ecx
        jnz batch
        jmp batch_done
page_fault:
        mov dword [DEMAND_TABLE], DATA + 7
        add esp, 4
        iretd`,
  },
  {
    name: 'cr3', title: 'address space switches, four pages touched in each', iterations: 20_000,
    source: `${nothing}
batch:  mov eax, OTHER_DIRECTORY
        mov cr3, eax
        call touch
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        call touch
        dec ecx
        jnz batch
        jmp batch_done
touch:  inc dword [DATA]
        inc dword [DATA + 0x1000]
        inc dword [DATA + 0x2000]
        inc dword [DATA + 0x3000]
        ret`,
  },
  {
    name: 'smc', title: 'self-modifying code', iterations: 3_000,
    source: `${nothing}
batch:  mov [.constant], ecx
        add eax, strict dword 0
.constant equ $ - 4
        dec ecx
        jnz batch
        jmp batch_done`,
  },
  {
    name: 'beside-code', title: 'loads and stores in the page of the code', iterations: 50_000,
    source: `${nothing}
batch:  mov eax, [.value]
        add eax, ecx
        mov [.value], eax
        dec ecx
        jnz batch
        jmp batch_done
        times 64 nop
.value  dd 0`,
  },
  {
    name: 'sse2 packed', title: 'packed singles and doublewords over 32 KiB', iterations: 60,
    source: `${enableSse}
batch:  mov esi, DATA
        mov edx, 0x8000 / 64
        movaps xmm6, [.factor]
        movdqa xmm7, [.step]
.loop:  movaps xmm0, [esi]
        movaps xmm1, [esi + 16]
        mulps xmm0, xmm6
        addps xmm1, xmm0
        minps xmm1, xmm6
        movaps [esi], xmm1
        movdqa xmm2, [esi + 32]
        paddd xmm2, xmm7
        pxor xmm3, xmm2
        pshufd xmm4, xmm3, 0x1b
        paddd xmm4, [esi + 48]
        movdqa [esi + 32], xmm4
        add esi, 64
        dec edx
        jnz .loop
        dec ecx
        jnz batch
        jmp batch_done
        align 16
.factor dd 0.75, 0.5, 1.25, 0.3
.step   dd 1, 0x10001, 7, 0x7fffffff`,
  },
  {
    name: 'sse2 scalar', title: 'a polynomial and a sum of doubles', iterations: 100_000,
    source: `${enableSse}
batch:  xorpd xmm0, xmm0
.loop:  cvtsi2sd xmm1, ecx
        mulsd xmm1, [.scale]
        movsd xmm2, [.a]
        mulsd xmm2, xmm1
        addsd xmm2, [.b]
        mulsd xmm2, xmm1
        subsd xmm2, [.c]
        ucomisd xmm2, xmm0
        ja .above
        addsd xmm0, [.c]
.above: addsd xmm0, xmm2
        dec ecx
        jnz .loop
        cvttsd2si eax, xmm0
        jmp batch_done
        align 8
.scale  dq 0.0001
.a      dq 0.3
.b      dq -1.7
.c      dq 0.9`,
  },
  {
    name: 'x87', title: 'the Mandelbrot set in 80-bit registers, and a dot product of doubles', iterations: 1_000,
    source: `prepare:
        fninit
        ret
batch:  fild word [.column]
        fmul dword [.step]              ; the real part
        fld qword [.imaginary]
        fldz
        fldz                            ; st0 zr, st1 zi, st2 ci, st3 cr
        mov edx, 24
.next:  fld st1
        fmul st0, st2
        fld st1
        fmul st0, st2
        fld st0
        fadd st0, st2
        fcomp dword [.four]
        fnstsw ax
        sahf
        ja .outside
        fsubrp st1
        fadd st0, st4
        fxch st1
        fmul st0, st2
        fadd st0, st0
        fadd st0, st3
        fstp st2
        dec edx
        jnz .next
        jmp .pixel
.outside:
        fcompp
.pixel: fstp qword [DATA + 8 * edx]
        fstp st0
        fstp st0
        fstp st0
        mov ebx, 16
        fldz
.dot:   fld qword [DATA + 8 * ebx]
        fmul qword [DATA + 0x400 + 8 * ebx]
        faddp st1
        dec ebx
        jnz .dot
        fdiv dword [.four]
        fstp qword [DATA + 0x800]
        mov word [.column], cx
        dec ecx
        jnz batch
        jmp batch_done
        align 8
.imaginary dq 0.11
.four   dd 4.0
.step   dd -0.002
.column dw 500
        times 64 db 0`,
  },
  {
    name: 'ports', title: 'port reads (IN AL, 0x61)', iterations: 50_000,
    source: `${nothing}
batch:  in al, 0x61
        dec ecx
        jnz batch
        jmp batch_done`,
  },
];

/** The whole guest: a flat image for 0x7C00. */
export function kernelSource(kernel: Kernel): string {
  return `ITERATIONS equ ${kernel.iterations}\n${frame}\n${kernel.source}\n`;
}
