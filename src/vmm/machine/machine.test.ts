/** The machine as its users drive it: runs, breakpoints, exception stops, post-mortems, power. */
import assert from 'node:assert/strict';
import { BareEngine, machine, program, TestMachine } from '../../../test/support/guest';
import { PortMap } from './port-map';

const shared = new TestMachine(program('bits 16\norg 0x7c00\n hlt'));
const load = (source: string) => {
  const code = program(source);
  shared.setBreakpoints([]);
  shared.setExceptionStops([]);
  return { code, guest: shared.load(code) };
};
const real = (body: string) => load(`bits 16\norg 0x7c00\n cli\n xor ax, ax\n mov ds, ax\n mov ss, ax\n mov sp, 0x7c00\n${body}`);
const EXIT = 'mov al, 7\n out 0xf4, al\n';

describe('machine: runs', () => {
  it('retires exactly what it is asked for', () => {
    const { guest } = real('again: inc bx\n jmp again');
    for (const n of [1, 2, 3, 12, 13, 100, 9999]) {
      const before = guest.instructions;
      assert.deepEqual(guest.run(n), { kind: 'slice' });
      assert.equal(guest.instructions - before, n);
    }
  });

  it('ends with the debug-exit status, and stays ended', () => {
    const { guest } = real(`mov al, 20\n out 0xf4, al\n inc bx\n jmp $`);
    assert.deepEqual(guest.run(1000), { kind: 'ended', reason: { kind: 'debugExit', status: 41 } });
    const count = guest.instructions;
    assert.equal(guest.run(1000).kind, 'ended');
    assert.equal(guest.instructions, count);
    assert.match(guest.disassemble(guest.register('eip'), 0, 1)[0].text, /inc\s+bx/, 'EIP is behind the OUT');
  });

  it('starts over on reset, counters and memory included', () => {
    const { guest, code } = real(`mov byte [0x500], 1\n mov al, 'x'\n out 0xe9, al\n ${EXIT}`);
    guest.run(1000);
    const first = guest.state();
    const counters = guest.counters();
    assert.equal(guest.output, 'x');
    guest.load(code);
    assert.equal(guest.bytes(0x500, 1)[0], 0);
    guest.run(1000);
    assert.equal(guest.state(), first);
    assert.deepEqual(guest.counters(), counters);
  });

  it('refuses configurations that make no machine, in words', () => {
    for (const memoryMiB of [0, 0.5, -1, 4096, NaN]) assert.throws(() => machine('bits 16\norg 0x7c00\n hlt', { memoryMiB }), /memory size is .* MiB/);
    assert.throws(() => machine('bits 16\norg 0x7c00\n hlt', { instructionsPerSecond: 1 }), /instructionsPerSecond/);
  });

  it('steps the instruction at hand, over a breakpoint and before a waiting interrupt', () => {
    const { guest, code } = real('a: inc bx\nb: inc bx\n inc bx');
    guest.setBreakpoints([code.label('a'), code.label('b')]);
    assert.equal(guest.run(100).kind, 'breakpoint');
    assert.deepEqual(guest.step(1), { kind: 'slice' });
    assert.equal(guest.register('eip'), code.label('b'));
    assert.deepEqual(guest.step(1), { kind: 'slice' });
    assert.equal(guest.register('bx'), 2);
  });

  it('lets another page, an interrupt or anything a port does take effect behind that very IN', () => {
    // Bare: the board asks for the processor in the middle of a unit.
    const bare = new BareEngine();
    const hooks = (bare.engine as unknown as { hooks: { portRead: () => number } }).hooks;
    hooks.portRead = () => {
      bare.engine.yield();
      return 0x5a;
    };
    bare.load(program('bits 32\norg 0x1000\n inc ebx\n inc ebx\n in al, 0x60\n inc ebx\n inc ebx\n hlt'));
    assert.equal(bare.engine.execute(1000, 'full').kind, 'ran');
    assert.deepEqual([bare.engine.now, bare.register(0), bare.register(3)], [3, 0x5a, 2]);
    bare.toHalt();
    assert.deepEqual([bare.engine.now, bare.register(3)], [6, 4]);
  });

  it('fires a device event at its count although the run was to go further', () => {
    // Mode 0 on counter 0: the output rises a given number of ticks after the count was written. One tick is one instruction here.
    const { guest } = load('bits 16\norg 0x7c00\n hlt');
    const oneShot = (count: number) => {
      const own = machine(`bits 16\norg 0x7c00
        cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov word [8*4], tick
        mov word [8*4+2], 0
        mov al, 0xfe
        out 0x21, al
        mov al, 0x30
        out 0x43, al
        mov al, ${count}
        out 0x40, al
        xor cx, cx
        sti
        mov al, 0
        out 0x40, al
      again: inc cx
        jmp again
      tick: ${EXIT}`, { instructionsPerSecond: 1193182 });
      own.run(100_000);
      return own.register('cx');
    };
    assert.ok(guest.instructions === 0);
    const [short, long] = [oneShot(20), oneShot(60)];
    assert.equal(long - short, 20, 'two instructions a round');
  });
});

describe('machine: breakpoints', () => {
  const counting = () => real('mov cx, 5\nagain: inc bx\nmiddle: inc dx\n dec cx\n jnz again\nlast: inc si\n jmp $');

  it('stop in front of an instruction in the middle of a unit, each time round', () => {
    const { guest, code } = counting();
    guest.setBreakpoints([code.label('middle')]);
    for (let round = 1; round <= 5; round++) {
      assert.deepEqual(guest.run(1000), { kind: 'breakpoint', linear: code.label('middle') });
      assert.deepEqual([guest.register('bx'), guest.register('dx') & 0xffff], [round, (round - 1 + dxAtStart(guest, round)) & 0xffff]);
      guest.step(1);
    }
    assert.equal(guest.run(1000).kind, 'slice');
  });

  it('come and go while the loop is chained', () => {
    const { guest, code } = real('again: inc bx\nmiddle: inc cx\n jmp again');
    guest.run(5000);
    guest.setBreakpoints([code.label('middle')]);
    assert.equal(guest.run(100).kind, 'breakpoint');
    guest.setBreakpoints([]);
    assert.equal(guest.run(5000).kind, 'slice');
    guest.setBreakpoints([code.label('again')]);
    assert.deepEqual(guest.run(100), { kind: 'breakpoint', linear: code.label('again') });
    assert.deepEqual(guest.run(100), { kind: 'breakpoint', linear: code.label('again') }, 'running on from a breakpoint is the user\'s business: step first');
  });

  it('stop at a straddling instruction and at the first of a page', () => {
    const { guest, code } = load('bits 16\norg 0x7c00\n jmp near code\n times 0x3fe-($-$$) nop\ncode: mov eax, 1\nnext: inc bx\n jmp code');
    guest.run(100);
    guest.setBreakpoints([code.label('code')]);
    assert.deepEqual(guest.run(100), { kind: 'breakpoint', linear: code.label('code') });
    assert.deepEqual(guest.step(1), { kind: 'slice' });
    assert.equal(guest.register('eip'), code.label('next'));
    assert.equal(guest.run(100).kind, 'breakpoint');
  });

  it('do not disturb the guest', () => {
    const body = 'mov cx, 50\nagain: inc bx\nmiddle: add dx, bx\n loop again\n ' + EXIT;
    const { guest, code } = real(body);
    guest.run(10_000);
    const undisturbed = guest.state();
    guest.load(code);
    guest.setBreakpoints([code.label('middle'), code.label('again')]);
    for (let outcome = guest.run(10_000); outcome.kind === 'breakpoint'; outcome = guest.run(10_000)) guest.step(1);
    assert.equal(guest.state(), undisturbed);
  });

  it('are addresses of the guest, not of its translation: rewritten code stops all the same', () => {
    const { guest, code } = real('again: xor byte [middle], 0x43 ^ 0x40\nmiddle: inc ax\n jmp again');
    guest.setBreakpoints([code.label('middle')]);
    for (let i = 0; i < 6; i++) {
      assert.equal(guest.run(100).kind, 'breakpoint');
      guest.step(1);
    }
    assert.deepEqual([guest.register('ax'), guest.register('bx')], [3, 3]);
  });
});

function dxAtStart(guest: TestMachine, round: number): number {
  // The BIOS hands the boot drive over in DL.
  return (guest.register('dx') & 0xffff) - (round - 1);
}

describe('machine: exception stops', () => {
  const dividing = () => real('mov word [0], divide\n mov word [2], 0\n xor bx, bx\nat: div bl\n inc cx\n jmp $\ndivide: mov bp, sp\n add word [bp], 2\n iret');

  it('stop at the faulting instruction, and deliver the exception when the machine goes on', () => {
    const { guest, code } = dividing();
    guest.setExceptionStops([0]);
    assert.deepEqual(guest.run(100), { kind: 'exception', vector: 0, name: '#DE' });
    assert.equal(guest.register('eip'), code.label('at'));
    assert.equal(guest.step(1).kind, 'slice');
    assert.equal(guest.register('eip'), code.label('divide'));
    assert.equal(guest.run(100).kind, 'slice');
  });

  it('tell error code and address of a page fault', () => {
    const { guest } = real(`mov eax, 0x100000
      lgdt [gdtr]
      mov eax, cr0
      or al, 1
      mov cr0, eax
      jmp 8:protected
    bits 32
    protected: mov ax, 16
      mov ds, ax
      mov es, ax
      mov dword [0x100000], 0x101003
      mov edi, 0x101000
      mov eax, 3
      mov ecx, 0x110
    fill: stosd
      add eax, 0x1000
      loop fill
      mov eax, 0x100000
      mov cr3, eax
      mov eax, cr0
      or eax, 0x80000000
      mov cr0, eax
      mov [0x123456], eax
      align 8
    gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    gdtr: dw 23
      dd gdt`);
    guest.setExceptionStops([14]);
    assert.deepEqual(guest.run(2000), { kind: 'exception', vector: 14, name: '#PF', errorCode: 2, address: 0x123456 });
    assert.equal(guest.run(2000).kind, 'ended', 'no IDT: the machine shuts down');
  });

  it('do not stop for others', () => {
    const { guest } = dividing();
    guest.setExceptionStops([6, 13]);
    assert.equal(guest.run(100).kind, 'slice');
  });

  it('stop at INT3 before its handler begins, and again at the next one', () => {
    const { guest, code } = real('mov word [12], handler\n mov word [14], 0\nfirst: int3\nsecond: int3\n jmp $\nhandler: iret');
    guest.setExceptionStops([3]);
    for (const label of ['first', 'second']) {
      assert.deepEqual(guest.run(100), { kind: 'exception', vector: 3, name: '#BP' });
      assert.equal(guest.register('eip'), code.label(label));
    }
    assert.equal(guest.run(100).kind, 'slice');
    assert.equal(guest.counters().exceptions, 2);
  });

  it('do not take INT 3 with two bytes for the breakpoint instruction', () => {
    const { guest } = real('mov word [12], handler\n mov word [14], 0\n db 0xcd, 3\n jmp $\nhandler: iret');
    guest.setExceptionStops([3]);
    assert.equal(guest.run(100).kind, 'slice');
  });

  it('stop behind an instruction that single step traps, before the handler', () => {
    const { guest, code } = real('mov word [4], handler\n mov word [6], 0\n push word 0x102\n popf\nstepped: inc ax\nbehind: nop\n jmp $\nhandler: mov bp, sp\n and word [bp + 4], ~0x100\n iret');
    guest.setExceptionStops([1]);
    assert.deepEqual(guest.run(100), { kind: 'exception', vector: 1, name: '#DB' });
    assert.equal(guest.register('eip'), code.label('behind'));
    assert.equal(guest.step(1).kind, 'slice');
    assert.equal(guest.register('eip'), code.label('handler') + 2, 'the trap was delivered, and its first instruction ran');
    assert.equal(guest.run(100).kind, 'slice');
  });

  it('stop at the handler of a double fault', () => {
    const { guest, code } = real(`lgdt [gdtr]
      lidt [idtr]
      mov eax, cr0
      or al, 1
      mov cr0, eax
      jmp 8:protected
    bits 32
    protected: mov ax, 16
      mov ss, ax
      mov esp, 0x7000
      ud2
    double: jmp $
      align 8
    gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    gdtr: dw 23
      dd gdt
    idt: times 8 dq 0
      dw double, 8, 0x8e00, 0
      times 5 dq 0
    idtr: dw $ - idt - 1
      dd idt`);
    guest.setExceptionStops([8]);
    // #UD has no gate, which raises #NP; #NP has none either, and two contributory exceptions make a double fault.
    assert.deepEqual(guest.run(100), { kind: 'exception', vector: 8, name: '#DF', errorCode: 0 });
    assert.equal(guest.register('eip'), code.label('double'));
    assert.equal(guest.run(100).kind, 'slice');
  });

  it('let the user repair what faulted', () => {
    const { guest } = dividing();
    guest.setExceptionStops([0]);
    guest.run(100);
    guest.setRegister('bl', 1n);
    assert.equal(guest.run(100).kind, 'slice');
    assert.equal(guest.counters().exceptions, 0);
  });
});

describe('machine: post-mortem', () => {
  it('tells the chain of faults, the gates that failed, registers and the way there', () => {
    const { guest, code } = real(`lidt [idtr]
      lgdt [gdtr]
      mov eax, cr0
      or al, 1
      mov cr0, eax
      jmp 8:protected
    bits 32
    protected: mov ebx, 0x1234
      jmp near on
      nop
    on: ud2
      align 8
    gdt: dq 0, 0x00cf9b000000ffff
    gdtr: dw 15
      dd gdt
    idtr: dw 8*8+7
      dd 0x3000`);
    const outcome = guest.run(1000);
    assert.ok(outcome.kind === 'ended' && outcome.reason.kind === 'tripleFault');
    const { chain, gate, registers, lastBranches } = outcome.reason.postMortem;
    assert.deepEqual(chain.map(({ vector, errorCode }) => [vector, errorCode]), [[6, undefined], [13, 6 * 8 + 3], [13, 13 * 8 + 3], [8, 0], [13, 8 * 8 + 3]]);
    assert.deepEqual([chain[0].eip, chain[0].cs], [code.label('on'), 8]);
    assert.match(chain[0].text, /^#UD at 0008:0000/);
    assert.match(gate, /IDT entry 6 at 0x00003030.*IDT entry 13 at 0x00003068: beyond the table's limit.*IDT entry 8 at 0x00003040/);
    assert.equal(registers.eip, code.label('on'));
    assert.equal(registers.general[3], 0x1234n);
    assert.deepEqual(lastBranches.at(-1), { from: code.label('protected') + 5, to: code.label('on') });
    assert.equal(guest.postMortem(), outcome.reason.postMortem);
  });

  it('is gone after a reset', () => {
    const { guest, code } = real('lidt [zero]\n ud2\nzero: dd 0, 0');
    guest.run(1000);
    assert.ok(guest.postMortem());
    guest.load(code);
    assert.equal(guest.postMortem(), undefined);
  });
});

describe('machine: interrupts that never cease', () => {
  it('let the clock go on with a gate that leaves interrupts on and a line that stays up', () => {
    // A trap gate keeps IF; the PIC ends interrupts by itself and takes the timer's level.
    const { guest } = real(`lgdt [gdtr]
      lidt [idtr]
      mov al, 0x19
      out 0x20, al
      mov al, 0x20
      out 0x21, al
      mov al, 4
      out 0x21, al
      mov al, 3
      out 0x21, al
      mov al, 0xfe
      out 0x21, al
      mov al, 0x34
      out 0x43, al
      mov al, 2
      out 0x40, al
      mov al, 0
      out 0x40, al
      mov eax, cr0
      or al, 1
      mov cr0, eax
      jmp 8:protected
    bits 32
    protected: mov ax, 16
      mov ss, ax
      mov ds, ax
      mov esp, 0x400000
      sti
    wait_: hlt
      jmp wait_
    tick: inc ebx
      jmp tick
      align 8
    gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    gdtr: dw 23
      dd gdt
    idtr: dw 0x21*8-1
      dd idt
      align 8
    idt: times 0x20 dq 0
      dw tick, 8, 0x8f00, 0`);
    const before = guest.instructions;
    guest.run(50_000);
    assert.ok(guest.instructions >= before + 50_000);
    assert.ok(guest.counters().interrupts > 0);
  });
});

describe('machine: A20', () => {
  it('takes effect behind the OUT, also for code above 1 MiB', () => {
    const { guest } = real(`mov ax, 0xffff
      mov es, ax
      mov al, 0
      out 0x92, al
      mov byte [es:0x110], 0x11      ; wraps to 0x100
      mov al, 2
      out 0x92, al
      mov byte [es:0x110], 0x22      ; 0x100100
      ${EXIT}`);
    guest.run(1000);
    assert.deepEqual([guest.bytes(0x100, 1)[0], guest.bytes(0x100100, 1)[0]], [0x11, 0x22]);
  });
});

describe('machine: disassembly', () => {
  it('lists before and after an address', () => {
    const { guest, code } = load('bits 16\norg 0x7c00\n times 40 nop\n mov ax, 1\n inc bx\nhere: add cx, dx\n jmp $');
    const lines = guest.disassemble(code.label('here'), -2, 4);
    assert.deepEqual(lines.map(({ linear }) => linear), [-4, -1, 0, 2].map((n) => code.label('here') + n));
    assert.deepEqual(lines.map(({ control }) => control), [undefined, undefined, undefined, 'jump']);
    assert.deepEqual([lines[2].reads.includes('dx'), lines[2].writes.includes('cx')], [true, true]);
  });

  it('answers at the edges of the address space and for lists without end', () => {
    const { guest } = load('bits 16\norg 0x7c00\n nop');
    assert.equal(guest.disassemble(0, -10, 20).length, 20);
    assert.equal(guest.disassemble(0xffffffff, 0, 5).length, 5);
    assert.equal(guest.disassemble(0x7c00, -2000, 2000).length, 2000);
    // No chain ends at 8000h: the last byte before it begins an instruction that goes on.
    guest.writeMemory('physical', 0x7fff, Uint8Array.of(0xb8));
    guest.writeMemory('physical', 0x1000, new Uint8Array(0x6000).fill(0x90));
    assert.deepEqual(guest.disassemble(0x8000, -1000, 1000).map(({ valid }) => valid), Array.from({ length: 1000 }, () => false));
    assert.equal(guest.disassemble(0xa0000, 0, 3)[0].text, '??');
  });
});

describe('machine: port map', () => {
  it('splits what no device takes whole, and wraps at the end of the space', () => {
    const log: string[] = [];
    const map = new PortMap();
    map.add({
      id: 'probe', title: 'Probe', reset: () => undefined, save: () => undefined, restore: () => undefined,
      ports: [
        { first: 0x10, last: 0x11, read: (port, size) => { log.push(`read ${port} ${size}`); return 0x100 + port; }, write: (port, value, size) => { log.push(`write ${port} ${value} ${size}`); } },
        { first: 0x20, last: 0x23, wide: true, read: (_, size) => (size === 4 ? -1 : 0x1234), write: (port, value, size) => { log.push(`write ${port} ${value} ${size}`); } },
        { first: 0xffff, last: 0xffff, read: () => 0x77, write: () => undefined },
      ],
    });
    assert.equal(map.read(0x10, 4), 0xffff1110);
    map.write(0x11, 0xabcd, 2);
    assert.deepEqual(log, ['read 16 1', 'read 17 1', 'write 17 205 1']);
    assert.equal(map.read(0x20, 4), 0xffffffff);
    assert.equal(map.read(0x22, 4) >>> 0, 0xffff3434);
    map.write(0x20, -1, 4);
    assert.equal(log.at(-1), 'write 32 4294967295 4');
    assert.equal(map.read(0xffff, 2), 0xff77);
    assert.equal(map.read(0x500, 1), 0xff);
    assert.throws(() => map.add({ id: 'second', title: '', reset: () => undefined, save: () => undefined, restore: () => undefined, ports: [{ first: 0x11, last: 0x12, read: () => 0, write: () => undefined }] }), /second claims port 0x11/);
  });
});
