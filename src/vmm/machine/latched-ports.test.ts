/** Ports whose byte threaded code keeps until the next write to a port (PortRange.latched): nobody can tell. */
import assert from 'node:assert/strict';
import { inProtectedMode, machine } from '../../../test/support/guest';
import { regionPolicies, type TranslationMode } from '../translate/regions';

describe('latched ports', () => {
  it('are what was written last, through either port of the controller, and are counted', () => {
    const guest = machine(`
        org 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        mov di, 0x600
        mov es, ax
        cld
        mov cx, 300
again:  mov al, cl
        out 0x21, al
        in al, 0x21             ; asked for
        mov bl, al
        in al, 0x21             ; kept
        cmp al, bl
        jne wrong
        cmp al, cl
        jne wrong
        mov al, 0x0c            ; poll: the next read is another thing, once
        out 0x20, al
        in al, 0x21
        mov bl, al
        in al, 0x21
        in al, 0x21
        cmp al, cl
        jne wrong
        in ax, 0x21             ; two ports
        cmp al, cl
        jne wrong
        loop again
        stosb
        hlt
wrong:  mov byte [0x601], 1
        hlt`);
    guest.run(100_000);
    assert.equal(guest.register('ecx') & 0xffff, 0);
    assert.equal(guest.bytes(0x601, 1)[0], 0);
    const { portReads, portWrites } = guest.counters();
    assert.deepEqual([portReads, portWrites], [300 * 6, 300 * 2]);
  });

  it('fault all the same where the program may not read them', () => {
    const guest = machine(`
        org 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:flat
        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        dw 103, tss
        db 0, 0x89, 0, 0
gdt_register: dw $ - gdt - 1
        dd gdt
idt_register: dw 0x7ff
        dd 0x2000
        align 4
tss:    dd 0, 0x90000, 0x10
        times 22 dd 0
        dw 0, 104
        bits 32
flat:   mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x90000
        mov word [0x2000 + 8 * 13], fault
        mov dword [0x2002 + 8 * 13], 8
        mov word [0x2004 + 8 * 13], 0x8e00
        lidt [idt_register]
        mov ax, 0x28
        ltr ax
        in al, 0x21
        in al, 0x21
        push dword 0x23
        push dword 0x88000
        push dword 2
        push dword 0x1b
        push dword user
        iretd
user:   in al, 0x21
        mov ebx, 1
fault:  mov ecx, [esp]
        mov edx, [esp + 4]
        hlt`);
    guest.run(10_000);
    assert.deepEqual([guest.register('ebx'), guest.register('ecx')], [0, 0]);
    assert.equal(guest.counters().portReads, 2);
  });

  for (const translation of Object.keys(regionPolicies) as TranslationMode[]) {
    it(`are read within regions, until they are written or the program may not, ${translation}`, () => {
      const guest = machine(inProtectedMode(`
        xor ebx, ebx
        xor esi, esi
        mov dx, 0x21
again:  mov eax, esi
        out 0x21, al
        mov ecx, 2000
read:   in al, dx
        movzx eax, al
        add ebx, eax
        in al, 0x21
        movzx eax, al
        add ebx, eax
        dec ecx
        jnz read
        inc esi
        cmp esi, 50
        jne again
        hlt`), { translation });
      guest.run(2_000_000);
      assert.equal(guest.register('ebx'), 2 * 2000 * (50 * 49 / 2));
      const { portReads, portWrites, regionEntries } = guest.counters();
      assert.deepEqual([portReads, portWrites], [2 * 2000 * 50, 50]);
      if (translation === 'adaptive') assert.ok(regionEntries > 10 && regionEntries < 1000, `${regionEntries} entries: the loop runs inside`);
    });
  }
});
