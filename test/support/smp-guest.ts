/** Guests in flat 32-bit protected mode that use the APICs: set-up, start of the other processors, and an IDT, as source to build tests on. */

export const LAPIC = '0xfee00000';

/**
 * @param main what the first processor executes (32-bit code); it ends with `exit`.
 * @param others what each other processor executes after its start, with its APIC ID in EBX and a stack of its own.
 * @param data handlers and data, behind the code. `gate N, label` in `main` fills the IDT.
 */
export function smpGuest(main: string, others = 'hlt', data = ''): string {
  return `
%macro exit 1
  mov al, %1
  out 0xf4, al
%endmacro
%macro gate 2
  mov eax, %2
  mov [idt + 8*(%1)], ax
  mov word [idt + 8*(%1) + 2], 8
  mov word [idt + 8*(%1) + 4], 0x8e00
  shr eax, 16
  mov [idt + 8*(%1) + 6], ax
%endmacro
%macro apic_write 2
  mov dword [${LAPIC} + %1], %2
%endmacro
%macro eoi 0
  mov dword [${LAPIC} + 0xb0], 0
%endmacro
%macro wait_for 2
%%again:
  pause
  cmp dword [%1], %2
  jne %%again
%endmacro
idt equ 0x6000
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  lgdt [gdtr]
  lidt [idtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword 8:main
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
  dd gdt
idtr: dw 0x7ff
  dd idt
bits 32
main:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x5000
  mov edi, idt
  mov ecx, 512
  xor eax, eax
  rep stosd
  ; nothing from the 8259A pair
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
  apic_write 0xf0, 0x1ff
${main}
  hlt
times 0x400-($-$$) db 0
bits 16
; at 8000h
  cli
  xor ax, ax
  mov ds, ax
  lgdt [gdtr]
  lidt [idtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword 8:other
bits 32
other:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov ebx, [${LAPIC} + 0x20]
  shr ebx, 24
  mov esp, ebx
  shl esp, 8
  add esp, 0x5100
  apic_write 0xf0, 0x1ff
${others}
forever:
  hlt
  jmp forever
start_others:
  apic_write 0x300, 0xc4500
  apic_write 0x300, 0xc4608
  ret
align 4
${data}
`;
}
