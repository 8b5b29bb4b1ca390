import { strict as assert } from 'node:assert';
import { program, TestMachine } from '../../../../test/support/guest';
import { Bench } from './test-bench';

describe('INT 15h AH=C2h', () => {
  it('initializes, refuses bad input, and tells what was set', () => {
    const bench = new Bench();
    const noHandler = bench.int(0x15, { eax: 0xc200, ebx: 0x0100 });
    assert.deepEqual([noHandler.carry, noHandler.ah], [true, 5]);
    const reset = bench.int(0x15, { eax: 0xc205, ebx: 0x0300 });
    assert.deepEqual([reset.carry, reset.bx], [false, 0x00aa]);
    for (const [al, bx] of [[5, 0], [5, 0x0900], [2, 0x0700], [3, 0x0400], [6, 0x0300], [0, 0x0200]]) assert.equal(bench.int(0x15, { eax: 0xc200 | al, ebx: bx }).ah, 2, `AL=${al}`);
    assert.equal(bench.int(0x15, { eax: 0xc209 }).ah, 1);
    bench.int(0x15, { eax: 0xc202, ebx: 0x0600 });
    bench.int(0x15, { eax: 0xc203, ebx: 0x0300 });
    bench.int(0x15, { eax: 0xc206, ebx: 0x0200 });
    const status = bench.int(0x15, { eax: 0xc206 });
    assert.deepEqual([status.bx & 0xff, status.cx & 0xff, status.dx & 0xff], [0x10, 3, 200]);
  });

  it('calls a program\'s handler with each packet', () => {
    const machine = new TestMachine(program(`
        bits 16
        org 0x7c00
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        mov ax, 0xc205
        mov bh, 3
        int 0x15
        jc failed
        mov ax, 0xc207
        mov bx, handler
        int 0x15
        jc failed
        mov ax, 0xc200
        mov bh, 1
        int 0x15
        jc failed
        sti
wait_for_it:
        hlt
        cmp byte [called], 2
        jb wait_for_it
        cli
        hlt
failed:
        mov al, ah
        out 0xf4, al
handler:
        mov bp, sp
        movzx bx, byte [cs:called]
        shl bx, 3
        xor ax, ax
        mov ds, ax
        mov ax, [bp + 10]
        mov [0x600 + bx], ax
        mov ax, [bp + 8]
        mov [0x602 + bx], ax
        mov ax, [bp + 6]
        mov [0x604 + bx], ax
        inc byte [called]
        retf
called: db 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
`));
    machine.run(100_000);
    machine.mouse({ x: 5, y: -1, wheel: 0, buttons: 1 });
    machine.run(5_000_000);
    machine.mouse({ x: 0, y: 0, wheel: 0, buttons: 0 });
    const outcome = machine.run(5_000_000);
    assert.equal(outcome.kind === 'ended' && outcome.reason.kind, 'halted');
    const { bytes } = machine.readMemory('physical', 0x600, 16);
    assert.deepEqual([...new Uint16Array(bytes.slice().buffer)].filter((_, n) => n % 4 !== 3), [0x29, 5, 0xff, 8, 0, 0]);
  });
});
