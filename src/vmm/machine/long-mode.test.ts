/** A guest that takes itself from real mode to 64-bit code, and what it meets there: interrupts with IST, SYSCALL, page faults above 4 GiB. */
import assert from 'node:assert/strict';
import { machine, type TestMachine } from '../../../test/support/guest';

/** Real mode → protected mode → PAE, LME, paging → 64-bit code at `long`; tables at 10000h, 2 MiB one to one, RAM again at FFFFFFFF80000000h. */
const entry = `
  bits 16
  org 0x7c00
  PML4 equ 0x10000
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    lgdt [gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp 0x08:protected
  bits 32
  protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x7c00
    mov edi, PML4
    mov ecx, 0x6000 / 4
    xor eax, eax
    rep stosd
    mov dword [PML4], PML4 + 0x1007
    mov dword [PML4 + 511 * 8], PML4 + 0x3003
    mov dword [PML4 + 0x1000], PML4 + 0x2007
    mov dword [PML4 + 0x2000], 0x87
    mov dword [PML4 + 0x2008], 0x200087
    mov dword [PML4 + 0x3000 + 510 * 8], PML4 + 0x4003
    mov dword [PML4 + 0x4000], 0x83
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PML4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x101
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp 0x18:long
  gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
  tssDescriptor: dq 0, 0
  gdtr: dw $ - gdt - 1
    dq gdt
  bits 64
`;

/** `say` prints a character; `gate` enters handler %2 of vector %1, with the IST number and the DPL (6000h: 3) in %3. */
const library = `
  %macro say 1
    mov al, %1
    out 0xe9, al
  %endmacro
  %macro gate 3
    mov rdi, idt + 16 * %1
    mov rax, %2
    mov [rdi], ax
    mov word [rdi + 2], 0x18
    mov word [rdi + 4], 0x8e00 | %3
    shr rax, 16
    mov [rdi + 6], ax
    shr rax, 16
    mov [rdi + 8], rax
  %endmacro
  %macro tables 0
    mov rax, tss
    mov rdi, tssDescriptor
    mov word [rdi], 0x67
    mov [rdi + 2], ax
    shr rax, 16
    mov [rdi + 4], al
    mov byte [rdi + 5], 0x89
    mov [rdi + 7], ah
    shr rax, 16
    mov [rdi + 8], rax
    mov eax, 0x30
    ltr ax
    lidt [idtr]
  %endmacro
`;
const data = `
  align 16
  tss: dd 0
    dq 0x7800
    times 3 dq 0
    dq 0x7400
    times 64 db 0
  idtr: dw 0xfff
    dq idt
  idt equ 0x18000
  hlt
`;

const names = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const register = (m: TestMachine, name: string): bigint => m.registers().general[names.indexOf(name)];

describe('a guest in 64-bit mode', () => {
  it('gets there by itself and prints', () => {
    const m = machine(`${entry}${library}
      long:
        mov rsp, 0x7000
        mov rax, 0x123456789abcdef0
        mov rbx, rax
        rol rbx, 4
        lea rsi, [rel text]
        mov ecx, 5
      next:
        lodsb
        out 0xe9, al
        loop next
        jmp far dword [rel there]
      there: dd up, 0x18
      up:
        mov rax, 0xffffffff80000000 + high
        jmp rax
      high:
        lea rdx, [rel high]
        call sub
      after:
        lea rdi, [rel after]
        hlt
      sub:
        mov rsi, [rsp]
        ret
      text: db 'Hello'
    `);
    m.run(100_000);
    assert.equal(m.output, 'Hello');
    assert.equal(register(m, 'rbx'), 0x23456789abcdef01n);
    assert.equal(register(m, 'rdx') >> 16n, 0xffffffff8000n);
    assert.equal(register(m, 'rsi'), register(m, 'rdi'));
  });

  it('takes an interrupt on an IST stack, and a page fault above 4 GiB with its CR2', () => {
    const m = machine(`${entry}${library}
      long:
        mov rsp, 0x7000
        tables
        gate 0x40, onInterrupt, 1
        gate 14, onPageFault, 0
        int 0x40
        say 'b'
        mov rax, 0x0000123456789abc
      faults:
        mov [rax], rbx
        say 'd'
        hlt
      onInterrupt:
        mov rbp, rsp
        say 'a'
        iretq
      onPageFault:
        mov rcx, cr2
        mov rdx, [rsp]
        mov rsi, [rsp + 8]
        lea rdi, [rel faults]
        say 'c'
        add qword [rsp + 8], 3
        add rsp, 8
        iretq
      ${data}
    `);
    m.run(100_000);
    assert.equal(m.output, 'abcd');
    assert.equal(register(m, 'rbp'), BigInt(0x7400 - 40));
    assert.equal(register(m, 'rcx'), 0x123456789abcn);
    assert.equal(register(m, 'rdx'), 2n);
    assert.equal(register(m, 'rsi'), register(m, 'rdi'));
    assert.equal(register(m, 'rsp'), 0x7000n);
  });

  it('calls the kernel by SYSCALL and returns by SYSRET, with SWAPGS on the way', () => {
    const m = machine(`${entry}${library}
      %macro msr 2
        mov ecx, %1
        mov rax, %2
        mov rdx, rax
        shr rdx, 32
        wrmsr
      %endmacro
      long:
        mov rsp, 0x7000
        tables
        gate 3, onBreakpoint, 0x6000
        msr 0xc0000081, 0x001b001800000000
        msr 0xc0000082, 0xffffffff80000000 + kernel
        msr 0xc0000084, 0x700
        msr 0xc0000101, 0x1111
        msr 0xc0000102, 0xffffffff80006000
        push 0x23
        push 0x6000
        push 0x202
        push 0x2b
        push user
        iretq
      user:
        mov r12, cs
        push r12
        mov edi, 5
        syscall
      back:
        mov edx, cs
        lea rax, [rel back]
        pop rdi
        int3
      kernel:
        mov rbx, cs
        swapgs
        mov [gs:8], rdi
        mov rsi, [0xffffffff80006008]
        mov ebp, edi
        swapgs
        o64 sysret
      onBreakpoint:
        hlt
      ${data}
    `);
    m.run(100_000);
    assert.equal(register(m, 'rdi'), 0x2bn);
    assert.equal(register(m, 'rbx'), 0x18n);
    assert.equal(register(m, 'rsi'), 5n);
    assert.equal(register(m, 'rdx'), 0x2bn);
    assert.equal(register(m, 'rcx'), register(m, 'rax'));
  });
});
