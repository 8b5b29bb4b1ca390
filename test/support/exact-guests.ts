/** Guests whose every instruction counts: timer interrupts at short distance, repeated strings, faults, self-modifying code, page tables. */

/** PICs at vectors 20h and 28h, IRQ 0 open, PIT channel 0 with the given divisor. */
export const timer = (divisor: number) => `
  mov al, 0x11
  out 0x20, al
  out 0xa0, al
  mov al, 0x20
  out 0x21, al
  mov al, 0x28
  out 0xa1, al
  mov al, 4
  out 0x21, al
  mov al, 2
  out 0xa1, al
  mov al, 1
  out 0x21, al
  out 0xa1, al
  mov al, 0xfe
  out 0x21, al
  mov al, 0xff
  out 0xa1, al
  mov al, 0x34
  out 0x43, al
  mov al, ${divisor & 0xff}
  out 0x40, al
  mov al, ${divisor >> 8}
  out 0x40, al
`;

/** Strings in both directions, divisions by zero, port reads in the middle of units, under a timer, in real mode. */
const realMode = `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x20*4], tick
  mov word [0x20*4+2], 0
  mov word [0], divide
  mov word [2], 0
  mov word [6*4], undefined
  mov word [6*4+2], 0
  ${timer(97)}
  sti
again:
  cld
  mov si, 0x7c00
  mov di, 0x1000
  mov cx, 300
  rep movsb
  mov di, 0x1ffd
  mov ax, [ticks]
  mov cx, 77
  rep stosw
  std
  mov si, 0x1100
  mov di, 0x1108
  mov cx, 120
  rep movsw
  cld
  mov di, 0x1000
  mov al, 0x90
  mov cx, 500
  repne scasb
  mov [found], cx
  mov si, 0x1000
  mov di, 0x1100
  mov cx, 100
  repe cmpsb
  pushf
  pop word [flags]
  xor dx, dx
  mov ax, [ticks]
  mov bl, 0
  div bl
  in al, 0x40
  mov ah, al
  in al, 0x40
  add [sum], ax
  in al, 0x61
  add [sum+1], al
  ud2
  mov al, [ticks]
  out 0x80, al
  pushf
  cli
  inc word [rounds]
  popf
  call deep
  xor bx, bx
  loop_: inc bx
  test bl, 7
  jnz loop_
  cmp bx, 64
  jb loop_
  jmp again
deep: push bp
  mov bp, sp
  enter 8, 3
  leave
  pop bp
  ret
tick: push ax
  push ds
  xor ax, ax
  mov ds, ax
  inc word [ticks]
  mov ax, [ticks]
  add [sum], ax
  mov al, 0x20
  out 0x20, al
  pop ds
  pop ax
  iret
divide: push bp
  mov bp, sp
  add word [bp+2], 2
  pop bp
  iret
undefined: push bp
  mov bp, sp
  add word [bp+2], 2
  inc word [faults]
  pop bp
  iret
ticks: dw 0
found: dw 0
flags: dw 0
sum: dd 0
rounds: dw 0
faults: dw 0
`;

/** Code that rewrites itself: immediates, opcodes, its own loop, and the timer's handler. */
const selfModifying = `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x20*4], tick
  mov word [0x20*4+2], 0
  ${timer(61)}
  sti
again: inc word [n]
  mov ax, [n]
  mov [value+1], ax
value: mov bx, 0
  add [sum], bx
  xor byte [switch], 0x40 ^ 0x43
switch: inc ax
  nop
  mov si, template
  mov di, area
  mov cx, end_template-template
  rep movsb
area: times 8 nop
  jmp again
template: inc dx
  inc si
  dec cx
  nop
  xchg ax, bp
  inc di
  nop
  nop
end_template:
tick: push ax
  mov al, 0x20
  out 0x20, al
  inc byte [cs:immediate+1]
immediate: mov al, 0
  add [cs:sum+2], al
  xor byte [cs:switch], 0x40 ^ 0x43
  xor byte [cs:switch], 0x40 ^ 0x43
  pop ax
  iret
n: dw 0
sum: dd 0
`;

/** Flat protected mode with paging: pages come by demand, A and D bits are cleared, the handler's own page moves, the timer ticks. */
const paging = `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected
bits 32
protected:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7c00
  ${timer(151)}
  mov edi, 0x100000
  mov ecx, 0x800
  xor eax, eax
  rep stosd
  mov dword [0x100000], 0x101007
  mov edi, 0x101000
  mov eax, 7
  mov ecx, 0x108
fill: stosd
  add eax, 0x1000
  loop fill
  lidt [idtr]
  mov eax, 0x100000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax
  sti
again:
  mov edi, 0x140000-30
  mov eax, [ticks]
  mov ecx, 1500
  rep stosd
  mov esi, 0x140000-30
  mov edi, 0x150000-14
  mov ecx, 1500
  rep movsd
  inc dword [rounds]
  cli
  ; take the pages away again
  mov edi, 0x101000+0x13f*4
  xor eax, eax
  mov ecx, 0x14
  rep stosd
  mov eax, cr3
  mov cr3, eax
  sti
  and dword [0x101000+7*4], ~0x60
  invlpg [0x7000]
  mov eax, [faults]
  lea ebx, [eax*2+eax]
  bts [sum], ebx
  jc skip
  xadd [sum], ebx
skip: jmp again

page_fault:
  push eax
  push ebx
  mov eax, cr2
  mov ebx, eax
  shr ebx, 12
  and eax, 0xfffff000
  or eax, 7
  xor eax, 0x100000 ^ 0x200000
  mov [0x101000+ebx*4], eax
  inc dword [faults]
  pop ebx
  pop eax
  add esp, 4
  iretd
tick:
  push eax
  inc dword [ticks]
  mov al, 0x20
  out 0x20, al
  pop eax
  iretd
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
  dd gdt
idtr: dw 0x21*8-1
  dd idt
align 8
idt: times 14 dq 0
  dw page_fault, 8, 0x8e00, 0
  times 0x20-15 dq 0
  dw tick, 8, 0x8e00, 0
ticks: dd 0
rounds: dd 0
faults: dd 0
sum: dd 0, 0, 0, 0
`;

/** HLT between ticks, single-stepping through TF, the shadows of STI and MOV SS, data breakpoints. */
const debugging = `
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x20*4], tick
  mov word [0x20*4+2], 0
  mov word [1*4], step
  mov word [1*4+2], 0
  ${timer(211)}
  mov eax, watched
  mov dr0, eax
  mov eax, 0x000d0303          ; DR0: writes of four bytes; DR1: execution
  mov ebx, marked
  mov dr1, ebx
  mov dr7, eax
again:
  sti
  hlt
  pushf
  pop ax
  or ax, 0x100
  push ax
  popf                          ; TF on behind the next instruction
  inc bx
  mov cx, 5
  mov si, 0x7c00
  mov di, 0x2000
  rep movsb
  mov ax, ss
  mov ss, ax
  mov [watched], ax             ; in the shadow
  int 0x30
  pushf
  pop ax
  and ax, ~0x100
  push ax
  popf
  cli
  mov [watched+1], bx
  add dword [watched-2], 3
marked: inc word [rounds]
  mov di, watched-8
  mov cx, 6
  mov ax, bx
  rep stosw
  jmp again
step: push eax
  mov eax, dr6
  add [log_], eax
  inc word [steps]
  and eax, 0xffff0ff0
  mov dr6, eax
  push bp
  mov bp, sp
  cmp word [bp+6], marked
  jne .back
  mov byte [resumed], 1
  mov word [bp+6], marked+4     ; over the marked instruction, which RF alone could resume
  inc word [rounds]
.back: pop bp
  pop eax
  iret
tick: push ax
  inc word [ticks]
  mov al, 0x20
  out 0x20, al
  pop ax
  iret
times 0x300-($-$$) db 0
ticks: dw 0
rounds: dw 0
steps: dw 0
log_: dd 0
resumed: db 0
align 16
dd 0, 0
watched: dd 0
`;

export const exactGuests: Readonly<Record<string, string>> = {
  'strings, faults and port reads in real mode': realMode, 'self-modifying code': selfModifying,
  'demand paging in protected mode': paging, 'HLT, single steps and debug registers': debugging,
};
