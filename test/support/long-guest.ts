/** How a guest of the tests gets from the boot sector to 64-bit code, and macros for it there. */

/** Real mode → protected mode → PAE, LME, paging → 64-bit code at `long`; tables at 10000h, 2 MiB one to one, RAM again at FFFFFFFF80000000h. */
export const longEntry = `
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
export const longLibrary = `
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
