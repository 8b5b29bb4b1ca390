/** Virtual-8086 programs under a small ring-0 monitor, on the whole machine: with and without VME, at both IOPLs, with paging. */
import assert from 'node:assert/strict';
import type { TestMachine } from '../support/guest';
import { machine, program } from '../support/guest';

/**
 * The monitor: flat protected mode, identity paging (all pages for the user but 30000h), a TSS with a redirection bitmap that leaves INT 21h to
 * the program, an I/O bitmap that permits port 40h. #GP logs the opcode and skips the instruction; HLT ends. INT 21h and #PF log too.
 */
const monitor = (iopl: number, cr4: number, virtual: string) => `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x21*4], own_21
  mov word [0x21*4+2], 0
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
  mov eax, [esp+8]
  call log
  mov eax, cr2
  mov [fault_at], eax
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

align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
  dw tss_end-tss-1, tss, 0x8900, 0
gdtr: dw $-gdt-1
  dd gdt
align 8
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

/** Runs until the guest has set `done`. */
function toEnd(source: string, prepare: (m: TestMachine) => void = () => undefined): { m: TestMachine; at: (label: string) => number } {
  const assembled = program(source);
  const m = machine(source);
  prepare(m);
  for (let slices = 0; slices < 100 && m.dword(assembled.label('done')) === 0; slices++) m.run(1000);
  assert.equal(m.dword(assembled.label('done')), 1, `the guest has not ended: EIP is ${m.register('eip').toString(16)}`);
  return { m, at: (label) => assembled.label(label) };
}

describe('virtual-8086 mode on the machine', () => {
  for (const { iopl, cr4, log, eflags, sp, top, seen, inHandler } of runs) {
    it(`IOPL ${iopl}${cr4 ? ' with VME' : ''}: the monitor sees ${log}`, () => {
      const { m, at } = toEnd(monitor(iopl, cr4, sensitive));
      const count = m.dword(at('log_at')) - at('log_bytes');
      assert.equal([...m.bytes(at('log_bytes'), count)].map((byte) => byte.toString(16)).join(' '), log);
      const final = Array.from({ length: 9 }, (_, n) => m.dword(at('final') + 4 * n).toString(16));
      // RF is set in the image of a fault; ESP's upper half is the one that IRETD loaded.
      assert.deepEqual(final.slice(1), ['0', eflags, sp, '6000', '1234', '3000', 'e03', 'f04']);
      if (top) assert.equal(m.word(at('top')).toString(16), top);
      assert.equal(m.dword(at('fault_at')).toString(16), '30000');
      assert.deepEqual([m.word(at('seen_flags')).toString(16), m.word(at('handler_flags')).toString(16)], [seen, inHandler]);
    });
  }
});
