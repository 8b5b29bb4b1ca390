/** The time stamp that translated code reads by itself is the count of instructions, wherever it stands. */
import assert from 'node:assert/strict';
import { inProtectedMode, machine } from '../../../test/support/guest';
import { regionPolicies, type TranslationMode } from './regions';

const ROUNDS = 400, READINGS = 3;

/** Stores the low halves from 10000h on: one at the beginning, one in the middle and one at the end of units, in a loop of 11 instructions. */
const body = (stamp: string) => `
        mov edi, 0x10000
        mov ecx, ${ROUNDS}
again:  ${stamp}
        mov [edi], eax
        nop
        ${stamp}
        mov [edi + 4], eax
        add edi, ${4 * READINGS}
        jmp on
on:     ${stamp}
        mov [edi - 4], eax
        dec ecx
        jnz again
        hlt`;

describe('the time stamp', () => {
  for (const mode of Object.keys(regionPolicies) as TranslationMode[]) {
    it(`counts every instruction, ${mode}`, () => {
      const guest = machine(inProtectedMode(body('rdtsc')), { translation: mode });
      // Stops anywhere change nothing.
      for (let n = 0; n < 100; n++) guest.run(1 + 97 * n % 131);
      guest.run(10_000);
      const words = new DataView(guest.bytes(0x10000, 4 * READINGS * ROUNDS).buffer);
      const readings = Array.from({ length: READINGS * ROUNDS }, (_, n) => words.getUint32(4 * n, true));
      const [first] = readings;
      assert.deepEqual(readings, Array.from({ length: READINGS * ROUNDS }, (_, n) => first + 11 * Math.floor(n / READINGS) + [0, 3, 7][n % READINGS]));
    });
  }

  it('is what the register was set to and what has run since, and in RDTSCP comes with the processor\'s number', () => {
    const guest = machine(inProtectedMode(`
        mov ecx, 0x10
        mov edx, 0x12
        mov eax, 0xffffff00
        wrmsr
        mov ecx, 0xc0000103
        mov eax, 77
        mov edx, 0
        wrmsr
        mov ecx, 400
wait:   loop wait
        rdtscp
        hlt`), { cpuModel: 'max' });
    guest.run(10_000);
    const { eax, ecx, edx } = { eax: guest.register('eax'), ecx: guest.register('ecx'), edx: guest.register('edx') };
    assert.deepEqual([ecx, edx], [77, 0x13], 'carried into the upper half');
    assert.equal(eax, 0xffffff00 + 406 - 2 ** 32, 'six instructions after the one that set it, and the loop');
  });

  for (const translation of Object.keys(regionPolicies) as TranslationMode[]) it(`is refused to programs by CR4.TSD, ${translation}`, () => {
    const guest = machine(inProtectedMode(`
        mov word [0x2000 + 8 * 13], refused
        mov dword [0x2002 + 8 * 13], 0x8e000008
        mov word [0x2006 + 8 * 13], 0
        lidt [idt_register]
        mov eax, cr4
        or al, 4
        mov cr4, eax
        rdtsc                           ; the system may
        mov [0x3000], eax
        mov ax, 0x28
        lgdt [user_register]
        ltr ax
        push dword 0x23
        push dword 0x8000
        push dword 2
        push dword 0x1b
        push dword user
        iretd
user:   mov ax, 0x23
        mov ds, ax
        mov es, ax
        jmp .flat
.flat:  rdtsc
        hlt
refused: mov dword [ss:0x3004], 1
        cli
        hlt
        align 8
user_gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff
        dw 103, 0x4000
        db 0, 0x89, 0, 0
user_register: dw $ - user_gdt - 1
        dd user_gdt
idt_register: dw 0x7ff
        dd 0x2000`), { translation });
    guest.writeMemory('physical', 0x4000, new Uint8Array(new Uint32Array([0, 0x9000, 0x10]).buffer));
    guest.run(10_000);
    const words = new DataView(guest.bytes(0x3000, 8).buffer);
    assert.notEqual(words.getUint32(0, true), 0);
    assert.equal(words.getUint32(4, true), 1);
  });
});
