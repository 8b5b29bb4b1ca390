/** PCI as a guest's programs reach it on the whole board: ports, shadow RAM, reset. */
import assert from 'node:assert/strict';
import { machine } from '../../../test/support/guest';

const real = (body: string) => machine(`bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
${body}
  mov al, 0
  out 0xf4, al
; EAX = register, as CONFIG_ADDRESS wants it
select:
  or eax, 0x80000000
  mov dx, 0xcf8
  out dx, eax
  mov dx, 0xcfc
  ret`);

describe('machine: PCI', () => {
  it('shows its bridges through the configuration ports', () => {
    const guest = real(`mov eax, 0\n call select\n in eax, dx\n mov [0x500], eax\n mov eax, 0x802\n call select\n add dx, 2\n in ax, dx\n mov [0x504], ax\n mov dx, 0xcfc\n in al, dx\n mov [0x506], al`);
    guest.run(10_000);
    assert.deepEqual([guest.dword(0x500), guest.word(0x504), guest.bytes(0x506, 1)[0]], [0x12378086, 0x7000, 0x86]);
  });

  it('has RAM behind the BIOS, which firmware can fill with the BIOS and which a reset hides again', () => {
    const guest = real(`
  cmp dword [0x600], 0x1234
  je again
  mov ax, 0xf000
  mov es, ax
  mov eax, [es:0xfff0]
  mov [0x500], eax
  ; read from ROM, write to RAM
  mov eax, 0x58
  call select
  inc dx
  mov al, 0x20
  out dx, al
  xor di, di
  mov cx, 0x4000
copy:
  mov eax, [es:di]
  mov [es:di], eax
  add di, 4
  loop copy
  ; both from RAM
  mov al, 0x30
  out dx, al
  mov dword [es:0xd000], 0x12345678
  mov eax, [es:0xd000]
  mov [0x504], eax
  mov ah, 0x0f        ; the service in shadow RAM still works
  int 0x10
  mov [0x508], ax
  mov dword [0x600], 0x1234
  jmp done
again:
done:`);
    guest.run(200_000);
    assert.equal(guest.dword(0x500), 0x00e05bea);
    assert.equal(guest.dword(0x504), 0x12345678);
    assert.equal(guest.word(0x508), 0x5003);
  });

  it('starts over when CF9h asks for a reset', () => {
    const guest = machine('bits 16\norg 0x7c00\n inc word [0x9000]\n mov dx, 0xcf9\n mov al, 6\n out dx, al\n jmp $');
    guest.run(10_000);
    assert.ok(guest.word(0x9000) > 1);
  });
});
