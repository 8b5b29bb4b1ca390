/**
 * A guest that hammers the board: IN, OUT, INS and OUTS of all sizes over all ports, loads and stores of all sizes over every window of memory-mapped
 * registers, with random values, interrupts now and then let through, and PCI base addresses placed anew from time to time. It is a BIOS image,
 * because what it does makes devices write all over RAM: its code, tables and generator are in ROM and registers, and its handlers return to
 * the next round whatever the stack holds. Only what by design ends the machine is left out (debug exit, power-off, reset, A20, which takes the
 * ROM away); other tests do that.
 */
import { program } from '../support/guest';

/** Where it keeps the seed that the next start over uses, exceptions and interrupts seen, rounds begun, and its stack. */
export const SEED = 0x500, HANDLED = 0x504, ROUNDS = 0x508;
const STACK = 0x7000, BUFFER = 0x1000;

interface Area {
  readonly base: number;
  readonly mask: number;
}

/** Half of all port accesses go to these. */
const devicePorts: readonly Area[] = [
  [0x20, 1], [0xa0, 1], [0x4d0, 1], [0x40, 3], [0x61, 0], [0x60, 4], [0x64, 0], [0x70, 1], [0x00, 0xf], [0x80, 0x1f], [0xc0, 0x1f], [0x3f8, 7], [0x2f8, 7], [0x3e8, 7], [0x2e8, 7],
  [0x3f0, 7], [0x1f0, 7], [0x170, 7], [0x3f4, 3], [0x374, 3], [0xcf8, 7], [0xcfc, 3], [0x3c0, 0x1f], [0x3b0, 0xf], [0x3d4, 1], [0x1ce, 3], [0x510, 1], [0x514, 7], [0x600, 0x3f], [0xb2, 1], [0xf0, 1],
  [0x402, 0], [0xc000, 0xff], [0xc000, 0xf], [0xc100, 0xff], [0xc200, 0xff], [0xc300, 0xff],
].map(([base, mask]) => ({ base, mask }));

/** Memory-mapped registers; base addresses of PCI functions are placed 16 MiB apart from E0000000h on. */
const windows: readonly Area[] = [
  [0xa0000, 0x1ffff], [0xa0000, 0xffff], [0xb8000, 0x7fff], [0xc0000, 0x3ffff], [0xfec00000, 0xfff], [0xfec00000, 0x1f], [0xfee00000, 0xfff], [0xfee00000, 0x3f0], [0xfed00000, 0xfff], [0xfed00000, 0x1ff],
  [0xe0000000, 0xffffff], [0xe0000000, 0xfff], [0xe1000000, 0xfff], [0xe2000000, 0xfff], [0xe3000000, 0x3fff], [0xe4000000, 0xfff], [0xfd000000, 0xffffff], [0xfebf0000, 0xffff],
].map(([base, mask]) => ({ base, mask }));

/** Writes that would end the machine, made harmless: only bytes are written from `first` to `last`, and there AL is changed. */
const guarded: readonly { readonly first: number; readonly last: number; readonly change: string }[] = [
  { first: 0xf1, last: 0xf7, change: 'jmp next' },
  { first: 0xb001, last: 0xb005, change: 'jmp next' },
  // The keyboard controller's commands that pulse its outputs or write its output port.
  { first: 0x61, last: 0x64, change: 'cmp dl, 0x64\n jne byte_only\n cmp al, 0xd0\n jb byte_only\n and al, 2\n add al, 0xd2' },
  { first: 0x8f, last: 0x92, change: 'cmp dl, 0x92\n jne byte_only\n and al, 0xfe\n or al, 2' },
  { first: 0xcf6, last: 0xcf7, change: '' },
  { first: 0xcf9, last: 0xcf9, change: 'and al, ~4 & 0xff' },
  { first: 0x602, last: 0x605, change: 'and al, ~0x20 & 0xff' },
];

/** The next number of the sequence in EBP; changes EAX. */
const random = 'mov eax, ebp\n shl eax, 13\n xor ebp, eax\n mov eax, ebp\n shr eax, 17\n xor ebp, eax\n mov eax, ebp\n shl eax, 5\n xor ebp, eax\n';

/** EDX: an address in one of the table's areas. */
const choose = (table: string, count: number): string => `
  ${random}
  mov eax, ebp
  shr eax, 8
  xor edx, edx
  mov ecx, ${count}
  div ecx
  lea esi, [${table}+edx*8]
  ${random}
  mov edx, ebp
  shr edx, 3
  and edx, [esi+4]
  add edx, [esi]`;

const areas = (rows: readonly Area[]): string => rows.map(({ base, mask }) => ` dd ${base}, ${mask}`).join('\n');

const source = `
org 0xffff0000
bits 32
protected:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  lidt [idtr]
  mov ebp, [${SEED}]
  add ebp, 0x9e3779b9
  jnz seeded
  inc ebp
seeded: mov [${SEED}], ebp
  fninit
  jmp setup

; Base addresses of all functions of bus 0; ports, memory and bus mastering on.
setup: mov esp, ${STACK}
  cld
  mov edi, 0xc000
  mov esi, 0xe0000000
  mov ebx, 0x80000000
function: mov edx, 0xcf8
  mov eax, ebx
  out dx, eax
  mov dl, 0xfc
  in eax, dx
  cmp ax, 0xffff
  je next_function
  mov ecx, 0x10
bar: mov dl, 0xf8
  lea eax, [ebx+ecx]
  out dx, eax
  mov dl, 0xfc
  mov eax, -1
  out dx, eax
  in eax, dx
  test eax, eax
  jz next_bar
  test al, 1
  jz memory_bar
  mov eax, edi
  add edi, 0x100
  out dx, eax
  jmp next_bar
memory_bar: push eax
  mov eax, esi
  add esi, 0x1000000
  out dx, eax
  pop eax
  test al, 4
  jz next_bar
  add ecx, 4
  mov dl, 0xf8
  lea eax, [ebx+ecx]
  out dx, eax
  mov dl, 0xfc
  xor eax, eax
  out dx, eax
next_bar: add ecx, 4
  cmp ecx, 0x28
  jb bar
  mov dl, 0xf8
  lea eax, [ebx+4]
  out dx, eax
  mov dl, 0xfc
  mov al, 7
  out dx, al
next_function: add ebx, 0x100
  cmp ebx, 0x80010000
  jb function
  ; Interrupt controllers that work, for as long as they are left alone.
${[[0x20, 0x11], [0xa0, 0x11], [0x21, 0x20], [0xa1, 0x28], [0x21, 4], [0xa1, 2], [0x21, 1], [0xa1, 1], [0x21, 0], [0xa1, 0]].map(([port, value]) => `  mov al, ${value}\n  out ${port}, al`).join('\n')}
  mov dword [0xfee000f0], 0x1ff
  mov ebx, 4096

next: cli
  cld
  inc dword [${ROUNDS}]
  dec ebx
  jz setup
  ${random}
  test ebp, 0x300
  jnz closed
  sti
  nop
  nop
  nop
  cli
closed: test ebp, 0x180000
  jz windows_round
  test ebp, 0x1000
  jz any_port
  ${choose('ports', devicePorts.length)}
  jmp have_port
any_port: ${random}
  mov edx, ebp
  shr edx, 7
have_port: movzx edx, dx
  ${random}
  mov ecx, ebp
  shr ecx, 20
  and ecx, 15
  jmp [port_operations+ecx*4]

port_operations: dd read8, read16, read32, inputs8, inputs16, inputs32, ${'write, '.repeat(8)}outputs, outputs
read8: in al, dx
  jmp next
read16: in ax, dx
  jmp next
read32: in eax, dx
  jmp next
inputs8: mov edi, ${BUFFER}
  rep insb
  jmp next
inputs16: mov edi, ${BUFFER}
  rep insw
  jmp next
inputs32: mov edi, ${BUFFER}
  mov ecx, ebp
  and ecx, 0x1f
  rep insd
  jmp next

outputs: ${guarded.map(({ first, last }) => `lea eax, [edx-${first}]\n cmp eax, ${last - first}\n jbe next`).join('\n ')}
  mov esi, ${BUFFER}
  and ecx, 3
  test ebp, 0x200
  jz outputs16
  rep outsb
  jmp next
outputs16: rep outsw
  jmp next

; Values: any, a byte, few bits.
write: mov edi, ebp
  ${random}
  mov eax, ebp
  test edi, 0x10000
  jz write_value
  movzx eax, ah
  test edi, 0x20000
  jz write_value
  mov eax, ebp
  and eax, edi
write_value:
  ${guarded.map(({ first, last }, n) => `lea ecx, [edx-${first}]\n cmp ecx, ${last - first}\n jbe guard${n}`).join('\n ')}
  test edi, 0x40000
  jz write8
  test edi, 0x80000
  jz write16
  out dx, eax
  jmp next
write16: out dx, ax
  jmp next
${guarded.map(({ change }, n) => `guard${n}: ${change}\n jmp byte_only`).join('\n')}
byte_only:
write8: out dx, al
  jmp next

windows_round: ${choose('windows', windows.length)}
  mov edi, ebp
  ${random}
  mov eax, ebp
  mov ecx, edi
  shr ecx, 20
  and ecx, 15
  test edi, 0x10000
  jz window_access
  and eax, edi
window_access: jmp [window_operations+ecx*4]
window_operations: dd load8, load16, load32, load64, store8, store16, store32, store64, store32, store32, add8, xchg32, or16, cmpxchg64, copy_in, copy_out
load8: mov al, [edx]
  jmp next
load16: mov ax, [edx]
  jmp next
load32: mov eax, [edx]
  jmp next
load64: fild qword [edx]
  fstp st0
  jmp next
store8: mov [edx], al
  jmp next
store16: mov [edx], ax
  jmp next
store32: mov [edx], eax
  jmp next
store64: fild dword [${ROUNDS}]
  fistp qword [edx]
  jmp next
add8: add [edx], al
  jmp next
xchg32: xchg [edx], eax
  jmp next
or16: or [edx], ax
  jmp next
cmpxchg64: mov edi, edx
  xor edx, edx
  mov ecx, ebp
  push ebx
  cmpxchg8b [edi]
  pop ebx
  jmp next
copy_in: mov esi, edx
  mov ecx, edi
  and ecx, 15
  mov edi, ${BUFFER}
  rep movsd
  jmp next
copy_out: mov ecx, edi
  and ecx, 15
  mov edi, edx
  mov esi, ${BUFFER}
  rep movsb
  jmp next

; Every vector. IRET lets NMIs come again.
handler: mov esp, ${STACK}
  inc dword [${HANDLED}]
  mov al, 0x20
  out 0x20, al
  out 0xa0, al
  mov dword [0xfee000b0], 0
  push dword 2
  push dword 8
  push dword next
  iretd

  align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: dw $-gdt-1
  dd gdt
idtr: dw 256*8-1
  dd idt
  align 8
idt: times 256 dw handler-$$, 8, 0x8e00, 0xffff
ports: ${areas(devicePorts)}
windows: ${areas(windows)}
bits 16
start: cli
  mov ax, cs
  mov ds, ax
  o32 lgdt [gdtr-$$]
  mov eax, cr0
  and eax, 0x1fffffff
  or al, 1
  mov cr0, eax
  jmp dword 8:protected
  times 0xfff0-($-$$) db 0xf4
  jmp start
  times 0x10000-($-$$) db 0xf4
`;

/** The BIOS image, 64 KiB. */
export const hammerBios = (): Uint8Array => program(source).bytes;
