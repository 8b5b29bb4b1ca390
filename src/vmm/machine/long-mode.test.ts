/** A guest that takes itself from real mode to 64-bit code, and what it meets there: interrupts with IST, SYSCALL, page faults above 4 GiB. */
import assert from 'node:assert/strict';
import { machine, type TestMachine } from '../../../test/support/guest';
import { longEntry as entry, longLibrary as library } from '../../../test/support/long-guest';

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
