/** Virtual-8086 programs under a small ring-0 monitor, on the whole machine: with and without VME, at both IOPLs, with paging. */
import assert from 'node:assert/strict';
import type { TestMachine } from '../support/guest';
import { machine, program } from '../support/guest';

/** From power-on (and `first` in real mode) to flat protected mode with the guest's own GDT, IDT and TSS. */
const toProtected = (first = '') => `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  ${first}
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected
bits 32
protected:
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7c00
  lidt [idtr]
  mov ax, 0x28
  ltr ax
`;

/** Code 8h and data 10h of ring 0, 18h and 20h of ring 3, the TSS 28h. */
const descriptors = `
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
  dw tss_end-tss-1, tss, 0x8900, 0
gdtr: dw $-gdt-1
  dd gdt
`;

/**
 * The monitor: flat protected mode, identity paging (all pages for the user but 30000h), a TSS with a redirection bitmap that leaves INT 21h to
 * the program, an I/O bitmap that permits port 40h. #GP logs the opcode and skips the instruction; HLT ends. INT 21h and #PF log too.
 */
const monitor = (iopl: number, cr4: number, virtual: string, first = '') => `
${toProtected(first)}
  mov word [0x21*4], own_21
  mov word [0x21*4+2], 0
  mov edi, 0x100000
  mov ecx, 0x800
  xor eax, eax
  rep stosd
  mov dword [0x100000], 0x101007
  mov edi, 0x101000
  mov eax, 7
  mov ecx, 0x200
fill: stosd
  add eax, 0x1000
  loop fill
  and dword [0x101000+0x30*4], ~4
  mov eax, 0x100000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax
  mov eax, ${cr4}
  mov cr4, eax
  push dword 0x0f04
  push dword 0x0e03
  push dword 0x3000
  push dword 0x0c01
  push dword 0x6000
  push dword 0x1000
  push dword ${0x20202 | (iopl << 12)}
  push dword 0
  push dword virtual
  iretd

log:                        ; AL
  push edi
  mov edi, [log_at]
  mov [edi], al
  inc dword [log_at]
  pop edi
  ret

general_protection:
  add esp, 4
  push eax
  push ebx
  push ds
  push dword 0x10
  pop ds
  movzx ebx, word [esp+16]
  shl ebx, 4
  add ebx, [esp+12]
  mov al, [ebx]
  call log
  inc dword [esp+12]
  cmp al, 0xcd              ; INT n and OUT n are two bytes long
  je .two
  cmp al, 0xe6
  je .two
  cmp al, 0xf4
  je .end
.back:
  pop ds
  pop ebx
  pop eax
  iretd
.two:
  inc dword [esp+12]
  jmp .back
.end:
  mov esi, esp
  add esi, 12               ; EIP CS EFLAGS ESP SS ES DS FS GS
  mov edi, final
  mov ecx, 9
  push ds
  pop es
  cld
  rep movsd
  movzx ebx, word [final+16]
  shl ebx, 4
  add ebx, [final+12]
  mov ax, [ebx]
  mov [top], ax
  mov dword [done], 1
  cli
stop: hlt
  jmp stop

page_fault:
  push eax
  push ds
  push dword 0x10
  pop ds
  mov eax, cr2
  mov [fault_at], eax
  mov eax, [esp+8]
  call log
  cmp al, 5                 ; not a store: code could not be fetched
  je general_protection.end
  add dword [esp+12], 3     ; the store is three bytes long
  pop ds
  pop eax
  add esp, 4
  iretd

interrupt_21:
  push eax
  push ds
  push dword 0x10
  pop ds
  mov al, 0x21
  call log
  pop ds
  pop eax
  iretd

bits 16
virtual:
${virtual}
  hlt
own_21:                     ; the program's own handler
  mov bp, sp
  mov ax, [bp+4]
  mov [cs:seen_flags], ax
  pushf
  pop word [cs:handler_flags]
  iret

${descriptors}align 8
idt: times 13 dq 0
  dw general_protection, 8, 0x8e00, 0
  dw page_fault, 8, 0x8e00, 0
  times 0x21-15 dq 0
  dw interrupt_21, 8, 0xee00, 0
idtr: dw $-idt-1
  dd idt
align 4
tss: dd 0, 0x7000, 0x10
  times 0x66-12 db 0
  dw io_map-tss
redirection: times 4 db 0xff
  db 0xfd
  times 27 db 0xff
io_map: times 8 db 0xff
  db 0xfe
  times 24 db 0xff
tss_end:
log_at: dd log_bytes
log_bytes: times 32 db 0
final: times 9 dd 0
top: dw 0
fault_at: dd 0
done: dd 0
seen_flags: dw 0
handler_flags: dw 0
`;

const sensitive = `
  sti
  pushf
  cli
  pushf
  int 0x21
  popf
  in al, 0x40
  out 0x41, al
  mov ax, 0x1234
  mov es, ax
  mov [0], ax               ; DS is 3000h: a page of the supervisor's
`;

interface Expected {
  readonly iopl: number;
  readonly cr4: number;
  /** Opcodes that faulted, 21h for the monitor's INT 21h, 7 for the page fault. */
  readonly log: string;
  readonly eflags: string;
  readonly sp: string;
  /** The image of the first PUSHF, when it was carried out. */
  readonly top?: string;
  readonly seen: string;
  readonly inHandler: string;
}
const runs: readonly Expected[] = [
  { iopl: 0, cr4: 0, log: 'fb 9c fa 9c cd 9d e6 7 f4', eflags: '30202', sp: '1000', seen: '0', inHandler: '0' },
  { iopl: 3, cr4: 0, log: '21 e6 7 f4', eflags: '33002', sp: 'ffe', top: '3202', seen: '0', inHandler: '0' },
  { iopl: 0, cr4: 1, log: 'e6 7 f4', eflags: '30202', sp: 'ffe', top: '3202', seen: '3002', inHandler: '3002' },
  { iopl: 3, cr4: 1, log: 'e6 7 f4', eflags: '33002', sp: 'ffe', top: '3202', seen: '3002', inHandler: '3002' },
];

/**
 * What FreeBSD does around a BIOS call in virtual-8086 mode: the clock interrupts the call while VIF is set; the kernel takes the flags of the
 * thread that it switches to from its own present ones, puts them into a signal frame, and runs the signal's handler in ring 3. sigreturn then
 * compares the frame with the flags of the system call: only those that a user may change (PSL_USERCHANGE) may differ.
 */
const sigreturn = `${toProtected()}
  mov al, 0x11
  out 0x20, al
  mov al, 0x20
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
  mov al, 0x34
  out 0x43, al
  mov al, 100
  out 0x40, al
  mov al, 0
  out 0x40, al
  mov eax, 1
  mov cr4, eax
  push dword 0
  push dword 0
  push dword 0
  push dword 0
  push dword 0x6000
  push dword 0x1000
  push dword 0x20202
  push dword 0
  push dword bios_call
  iretd

clock:
  mov al, 0x20
  out 0x20, al
  mov ax, 0x10
  mov ds, ax
  pushfd
  pop eax
  mov [kernel_flags], eax
  and eax, ~0x8d5             ; the thread's own: IF, ZF, PF and CF
  or eax, 0x247
  mov [frame_flags], eax
  push dword 0x23
  push dword 0x6800
  push dword 0x247
  push dword 0x1b
  push dword handler
  iretd

system_call:                  ; sigreturn, with the frame's flags in EAX
  mov ebx, [esp+8]
  xor ebx, eax
  test ebx, ~0x244dd5         ; PSL_USERCHANGE
  jz .good
  mov [refused], eax
.good:
  mov dword [done], 1
stop: hlt
  jmp stop

handler:
  mov ax, 0x23
  mov ds, ax
  mov eax, [frame_flags]
  int 0x80

bits 16
bios_call:
  sti
  jmp $

${descriptors}
align 8
idt: times 0x20 dq 0
  dw clock, 8, 0x8e00, 0
  times 0x80-0x21 dq 0
  dw system_call, 8, 0xee00, 0
idtr: dw $-idt-1
  dd idt
align 4
tss: dd 0, 0x7000, 0x10
  times 0x66-12 db 0
  dw tss_end-tss-1
  times 32 db 0
tss_end: db 0xff
kernel_flags: dd 0
frame_flags: dd 0
refused: dd 0
done: dd 0
`;

/** Ring 3 of protected mode under PVI: STI and CLI move VIF, PUSHFD shows it; with VIP set STI is #GP(0). */
const virtualInterrupts = `${toProtected()}
  mov eax, 2
  mov cr4, eax
  push dword 0x23
  push dword 0x6800
  push dword 0x202
  push dword 0x1b
  push dword user
  iretd
user:
  mov ax, 0x23
  mov ds, ax
  pushfd
  pop dword [flags]
  sti
  pushfd
  pop dword [flags+4]
  cli
  pushfd
  pop dword [flags+8]
  int 0x80                    ; sets VIP
  cli
faulting: sti
  jmp $
set_pending:
  or dword [esp+8], 0x100000
  iretd
general_protection:
  mov ax, 0x10
  mov ds, ax
  pop dword [error]
  pop dword [error+4]
  mov eax, [esp+4]
  mov [error+8], eax
  mov dword [done], 1
stop: hlt
  jmp stop
${descriptors}
align 8
idt: times 13 dq 0
  dw general_protection, 8, 0x8e00, 0
  times 0x80-14 dq 0
  dw set_pending, 8, 0xee00, 0
idtr: dw $-idt-1
  dd idt
align 4
tss: dd 0, 0x7000, 0x10
  times 0x68-12 db 0
tss_end:
flags: dd 0, 0, 0
error: dd 0, 0, 0
done: dd 0
`;

/** Runs until the guest has set `done`. */
function toEnd(source: string, prepare: (m: TestMachine) => void = () => undefined): { m: TestMachine; at: (label: string) => number } {
  const assembled = program(source);
  const m = machine(source);
  prepare(m);
  for (let slices = 0; slices < 100 && m.dword(assembled.label('done')) === 0; slices++) m.run(1000);
  assert.equal(m.dword(assembled.label('done')), 1, `the guest has not ended: EIP is ${m.register('eip').toString(16)}`);
  return { m, at: (label) => assembled.label(label) };
}

/** Bytes that the monitor logged, in hexadecimal. */
function logged(m: TestMachine, at: (label: string) => number): string {
  const count = m.dword(at('log_at')) - at('log_bytes');
  return [...m.bytes(at('log_bytes'), count)].map((byte) => byte.toString(16)).join(' ');
}

describe('virtual-8086 mode on the machine', () => {
  for (const { iopl, cr4, log, eflags, sp, top, seen, inHandler } of runs) {
    it(`IOPL ${iopl}${cr4 ? ' with VME' : ''}: the monitor sees ${log}`, () => {
      const { m, at } = toEnd(monitor(iopl, cr4, sensitive));
      assert.equal(logged(m, at), log);
      const final = Array.from({ length: 9 }, (_, n) => m.dword(at('final') + 4 * n).toString(16));
      // RF is set in the image of a fault; ESP's upper half is the one that IRETD loaded.
      assert.deepEqual(final.slice(1), ['0', eflags, sp, '6000', '1234', '3000', 'e03', 'f04']);
      if (top) assert.equal(m.word(at('top')).toString(16), top);
      assert.equal(m.dword(at('fault_at')).toString(16), '30000');
      assert.deepEqual([m.word(at('seen_flags')).toString(16), m.word(at('handler_flags')).toString(16)], [seen, inHandler]);
    });
  }

  it('runs no code of the supervisor, even what real mode has run at the same address', () => {
    const inRealMode = `
      mov ax, 0x3000
      mov es, ax
      mov byte [es:0], 0xea
      mov word [es:1], back
      mov word [es:3], 0
      jmp 0x3000:0
    back:
      inc word [0x500]`;
    const { m, at } = toEnd(monitor(0, 0, '  jmp 0x3000:0', inRealMode));
    assert.equal(m.word(0x500), 1);
    assert.equal(logged(m, at), '5');
    assert.deepEqual([m.dword(at('fault_at')), m.dword(at('final')), m.dword(at('final') + 4)], [0x30000, 0, 0x3000]);
  });
});

describe('VIF in the kernel that interrupted a virtual-8086 program', () => {
  const run = (clear: boolean): { kernel: string; refused: string } => {
    const { m, at } = toEnd(sigreturn, (made) => { made['engine'].cpu.clearVirtualInterruptFlagOnEntry = clear; });
    return { kernel: m.dword(at('kernel_flags')).toString(16), refused: m.dword(at('refused')).toString(16) };
  };
  it('stays set as the architecture has it, and sigreturn refuses eflags 0x80247', () => {
    const { kernel, refused } = run(false);
    assert.equal(parseInt(kernel, 16) & 0x80200, 0x80000);
    assert.equal(refused, '80247');
  });
  it('is gone with clearVirtualInterruptFlagOnEntry, and sigreturn is content', () => {
    const { kernel, refused } = run(true);
    assert.equal(parseInt(kernel, 16) & 0x80200, 0);
    assert.equal(refused, '0');
  });
});

describe('protected-mode virtual interrupts on the machine', () => {
  it('CLI and STI in ring 3 move VIF; STI with VIP is #GP(0)', () => {
    const { m, at } = toEnd(virtualInterrupts);
    assert.deepEqual([0, 4, 8].map((n) => m.dword(at('flags') + n).toString(16)), ['202', '80202', '202']);
    assert.deepEqual([m.dword(at('error')), m.dword(at('error') + 4)], [0, at('faulting')]);
    assert.equal((m.dword(at('error') + 8) & 0x180200).toString(16), '100200');
  });
});
