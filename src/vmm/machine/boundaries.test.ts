/**
 * Instruction boundaries: interrupt shadows, single step, debug registers, HLT, repeated strings. Every guest is run whole and one
 * instruction at a time; both must end alike.
 */
import assert from 'node:assert/strict';
import { timer } from '../../../test/support/exact-guests';
import { program, TestMachine } from '../../../test/support/guest';

const LIMIT = 200_000;

/** One machine for all guests: power-on makes it forget. */
const machine = new TestMachine(program('bits 16\norg 0x7c00\n hlt'), { instructionsPerSecond: 1_000_000 });

/** Runs a guest to its end (debug exit), whole and step by step. */
function ended(source: string): TestMachine {
  const code = program(source);
  const states = [LIMIT, 1].map((slice) => {
    machine.load(code);
    for (;;) {
      const outcome = machine.run(slice);
      if (outcome.kind === 'ended') {
        assert.equal(outcome.reason.kind, 'debugExit', JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value)));
        return machine.state();
      }
      assert.equal(outcome.kind, 'slice');
      assert.ok(machine.instructions < LIMIT, 'the guest does not end');
    }
  });
  assert.equal(states[1], states[0], 'one instruction at a time');
  return machine;
}

const EXIT = 'mov al, 0\n out 0xf4, al\n hlt\n';

/** Real mode with IRQ 0 pending and interrupts off; `body` then lets it in. The handler notes BX and ends the guest. */
const pendingInterrupt = (body: string) => ended(`bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x20*4], tick
  mov word [0x20*4+2], 0
  ${timer(50)}
wait_: mov al, 0x0a
  out 0x20, al
  in al, 0x20
  test al, 1
  jz wait_
  xor ax, ax
  xor bx, bx
  ${body}
  mov word [0x600], 0xffff
  ${EXIT}
tick: mov [0x600], bx
  mov bp, sp
  mov ax, [bp+4]
  mov [0x602], ax
  ${EXIT}`);

/** Flat protected mode: with interrupts off the serial port requests one, and IRET turns them on. */
const requestedWithInterruptsOff = `bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  lgdt [gdtr]
  lidt [idtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:flat
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw $ - gdt - 1
  dd gdt
idtr: dw 0x24 * 8 + 7
  dd idt - 0x24 * 8
idt: dw tick, 8, 0x8e00, 0
bits 32
flat: mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7c00
  ${timer(0)}
  mov al, 0xef
  out 0x21, al
  mov dx, 0x3fc
  mov al, 8
  out dx, al
  xor ebx, ebx
  pushfd
  or dword [esp], 0x200
  push dword 8
  push dword next
  mov dx, 0x3f9
  mov al, 2
  out dx, al
  iretd
next: inc ebx
  inc ebx
  mov word [0x600], 0xffff
  mov al, 0
  out 0xf4, al
tick: mov [0x600], bx
  mov al, 0
  out 0xf4, al
  hlt`;

describe('boundaries: interrupt shadows', () => {
  const cases: readonly [string, string, number][] = [
    ['STI lets one more instruction through', 'sti\n inc bx\n inc bx\n inc bx', 1],
    ['a second STI makes no second shadow', 'sti\n sti\n inc bx\n inc bx', 0],
    ['STI and CLI let nothing in', 'sti\n cli\n inc bx', 0xffff],
    ['POPF has no shadow', 'pushf\n pop ax\n or ax, 0x200\n push ax\n popf\n inc bx\n inc bx', 0],
    ['IRET has no shadow', 'pushf\n pop ax\n or ax, 0x200\n push ax\n push cs\n push word next\n iret\nnext: inc bx\n inc bx', 0],
    ['MOV SS lets one more instruction through', 'sti\n mov ss, ax\n inc bx\n inc bx', 1],
    ['POP SS lets one more instruction through', 'push ss\n sti\n pop ss\n inc bx\n inc bx', 1],
    ['LSS does not', 'mov [0x700], sp\n mov [0x702], ss\n sti\n lss sp, [0x700]\n inc bx\n inc bx', 0],
    ['MOV DS does not', 'sti\n mov ds, ax\n inc bx\n inc bx', 0],
    ['HLT behind STI is woken at once', 'sti\n hlt\n inc bx', 0],
    ['the shadow of STI covers a jump', 'sti\n jmp near target\n inc bx\ntarget: times 3 inc bx', 0],
    ['a fault in the shadow is taken', 'mov word [6*4], ud\n mov word [6*4+2], 0\n sti\n ud2\nud: inc bx\n inc bx\n cli\n', 0xffff],
  ];
  for (const [title, body, seen] of cases) it(title, () => assert.equal(pendingInterrupt(body).word(0x600), seen));

  it('takes an interrupt between iterations of a repeated string, at that instruction', () => {
    ended(`bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov word [0x20*4], tick
  mov word [0x20*4+2], 0
  ${timer(50)}
  mov si, 0x1000
  mov di, 0x2000
  mov cx, 1000
  sti
  nop
again: rep movsb
  cli
  mov [0x604], cx
  ${EXIT}
tick: push ax
  push bp
  mov bp, sp
  mov ax, [bp+4]
  cmp ax, again
  jne .no
  inc word [0x600]
  mov [0x602], cx
.no: mov al, 0x20
  out 0x20, al
  pop bp
  pop ax
  iret`);
    assert.ok(machine.word(0x600) > 10, `${machine.word(0x600)} interrupts at the string instruction`);
    assert.ok(machine.word(0x602) > 0 && machine.word(0x602) < 1000);
    assert.equal(machine.word(0x604), 0);
  });

  it('an interrupt that was requested with IF clear comes right behind the IRET that sets it', () => {
    assert.equal(ended(requestedWithInterruptsOff).word(0x600), 0, 'before the next instruction');
  });
});

/**
 * Flat protected mode. The handler of #DB notes EIP, DR6 and the pushed EFLAGS in 16-byte rows at 2000h, resets DR6, sets RF in the image and
 * returns (TF off after `traps` rows); the other vectors end the guest. `body` runs at CPL 0.
 */
const debugGuest = (body: string, traps = 100) => `bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
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
  lidt [idtr]
  xor eax, eax
  xor ebx, ebx
  mov edi, 0x2000
  mov [0x1ffc], edi
  ${body}
  ${EXIT}
debug: push eax
  push edi
  mov edi, [0x1ffc]
  mov eax, [esp+8]
  mov [edi], eax
  mov eax, dr6
  mov [edi+4], eax
  mov eax, [esp+16]
  mov [edi+8], eax
  mov [edi+12], ecx
  add edi, 16
  mov [0x1ffc], edi
  mov eax, 0xffff0ff0
  mov dr6, eax
  or dword [esp+16], 0x10000
  cmp edi, 0x2000 + ${traps} * 16
  jb .more
  and dword [esp+16], ~0x100
.more: pop edi
  pop eax
  iretd
inner: inc ebx
  iretd
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
  dd gdt
idtr: dw 0x31*8-1
  dd idt
align 8
idt: dq 0
  dw debug, 8, 0x8e00, 0
  times 0x30-2 dq 0
  dw inner, 8, 0xee00, 0
align 16
data: times 64 db 0`;

const gate = (vector: number, handler: string) =>
  `mov eax, ${handler}\n mov [idt+${vector * 8}], ax\n mov word [idt+${vector * 8 + 2}], 8\n mov dword [idt+${vector * 8 + 4}], 0x8e00\n`;

interface Row { readonly at: string; readonly dr6: number; readonly flags: number; readonly ecx: number }

/** The rows that the handler noted; EIP as the name of a label where it is one. */
function rows(body: string, traps = 100): Row[] {
  const source = debugGuest(body, traps);
  const code = program(source);
  ended(source);
  const names = new Map([...body.matchAll(/^\s*(\w+):/gm)].map(([, name]) => [code.label(name), name]));
  const result: Row[] = [];
  for (let at = 0x2000; at < machine.dword(0x1ffc); at += 16) {
    const eip = machine.dword(at);
    result.push({ at: names.get(eip) ?? eip.toString(16), dr6: machine.dword(at + 4) & 0xe00f, flags: machine.dword(at + 8), ecx: machine.dword(at + 12) });
  }
  return result;
}
const places = (list: readonly Row[]) => list.map(({ at }) => at);
const BS = 0x4000, BD = 0x2000, RF = 0x10000, TF = 0x100;
const TRACE = 'pushfd\n or dword [esp], 0x100\n popfd\n';

describe('boundaries: single step', () => {
  it('traps behind each instruction from the one after POPF on', () => {
    const list = rows(`${TRACE}t0: inc eax\nt1: inc eax\nt2: jmp t4\nt3: nop\nt4: inc eax\nt5: nop`, 4);
    assert.deepEqual(places(list), ['t1', 't2', 't4', 't5']);
    assert.ok(list.every(({ dr6, flags }) => dr6 === BS && (flags & TF) !== 0 && (flags & RF) === 0));
  });

  it('traps behind the instruction that IRET returns to', () => {
    assert.deepEqual(places(rows('pushfd\n or dword [esp], 0x100\n push cs\n push t0\n iretd\nt0: inc eax\nt1: inc eax\nt2: nop', 2)), ['t1', 't2']);
  });

  it('is off inside the handler of INT n and back behind its IRET', () => {
    const list = rows(`${TRACE}t0: inc eax\nt1: int 0x30\nt2: inc eax\nt3: nop\nt4: nop`, 3);
    assert.deepEqual(places(list), ['t1', 't3', 't4']);
  });

  it('traps behind every iteration of a repeated string', () => {
    const list = rows(`mov ecx, 3\n mov esi, data\n mov edi, data+32\n ${TRACE}t0: nop\nt1: rep movsb\nt2: nop\nt3: nop`, 5);
    assert.deepEqual(list.map(({ at, ecx }) => `${at} ${ecx}`), ['t1 3', 't1 2', 't1 1', 't2 0', 't3 0']);
    assert.deepEqual(list.map(({ flags }) => (flags & RF) !== 0), [false, true, true, false, false], 'RF between iterations');
  });

  it('skips the instruction behind MOV SS', () => {
    assert.deepEqual(places(rows(`mov ax, ss\n ${TRACE}t0: nop\nt1: mov ss, ax\nt2: inc ebx\nt3: nop\nt4: nop`, 3)), ['t1', 't3', 't4']);
  });

  it('traps once more behind the POPF that ends it', () => {
    assert.deepEqual(places(rows('pushfd\n pushfd\n or dword [esp], 0x100\n popfd\nt0: popfd\nt1: nop\nt2: nop')), ['t1']);
  });

  it('wakes the processor that it traps behind HLT', () => {
    assert.deepEqual(places(rows(`${TRACE}t0: hlt\nt1: nop\nt2: nop`, 2)), ['t1', 't2']);
  });

  it('gives way to the fault of the instruction', () => {
    const code = debugGuest(`${gate(6, 'ud')}\n ${TRACE}t0: ud2\nt1: nop\n jmp done\nud: add dword [esp], 2\n iretd\ndone: nop`, 2);
    ended(code);
    const { label } = program(code);
    // No trap behind UD2; behind the handler's IRET the first instruction at t1 is traced again.
    assert.deepEqual([machine.dword(0x2000), machine.dword(0x2010)], [label('t1') + 1, label('done')]);
  });

  it('leaves ICEBP to say nothing in DR6', () => {
    const list = rows('int1\nt1: nop');
    assert.deepEqual(list.map(({ at, dr6, flags }) => [at, dr6, flags & RF]), [['t1', 0, 0]]);
  });
});

/** DR0 = address, DR7 for it: kind 0 execute, 1 write, 2 I/O, 3 read or write; length in bytes. */
const arm = (address: string, kind: 0 | 1 | 2 | 3, bytes = 1) =>
  `mov eax, ${address}\n mov dr0, eax\n mov eax, ${0x302 | (kind << 16) | ((bytes - 1) << 18)}\n mov dr7, eax\n xor eax, eax\n`;

describe('boundaries: debug registers', () => {
  it('faults in front of a marked instruction, which RF then lets run once', () => {
    const list = rows(`${arm('t1', 0)} mov ecx, 3\nt0: nop\nt1: inc ebx\n dec ecx\n jnz t0\n mov [0x3000], ebx`);
    assert.deepEqual(places(list), ['t1', 't1', 't1']);
    assert.ok(list.every(({ dr6, flags }) => dr6 === 1 && (flags & RF) === 0));
  });

  it('holds an instruction breakpoint back in the shadow of MOV SS', () => {
    assert.deepEqual(places(rows(`${arm('t1', 0)} mov cx, ss\n mov ss, cx\nt1: inc ebx\nt2: nop`)), []);
    assert.deepEqual(places(rows(`${arm('t1', 0)} mov cx, ds\n mov ds, cx\nt1: inc ebx\nt2: nop`)), ['t1']);
  });

  it('traps behind a write, and only a write', () => {
    const list = rows(`${arm('data', 1, 4)} mov ebx, [data]\n mov [data], ebx\nt1: mov [data+4], ebx\n mov [data-4], ebx\n inc byte [data+3]\nt2: nop`);
    assert.deepEqual(list.map(({ at, dr6 }) => `${at} ${dr6}`), ['t1 1', 't2 1']);
  });

  it('traps behind reads and writes', () => {
    assert.deepEqual(places(rows(`${arm('data', 3, 2)} mov bl, [data+1]\nt1: mov [data], bl\nt2: mov bl, [data+2]\nt3: push dword [data-2]\nt4: nop`)), ['t1', 't2', 't4']);
  });

  it('sees unaligned accesses, and those that cross a page', () => {
    assert.deepEqual(places(rows(`${arm('0x4000', 1, 4)} mov [0x3ffd], eax\nt1: mov [0x3ffc], eax\nt2: mov word [0x3fff], 1\nt3: mov [0x4003], eax\nt4: mov [0x4004], eax\nt5: nop`)), ['t1', 't3', 't4']);
    assert.deepEqual(places(rows(`${arm('0x3ffc', 1, 4)} mov [0x3fff], eax\nt1: mov [0x4000], eax\nt2: mov [0x3ff9], eax\nt3: nop`)), ['t1', 't3']);
  });

  it('traps between the iterations of a repeated string that touch the bytes', () => {
    const list = rows(`${arm('data+2', 1)} mov ecx, 5\n mov edi, data\nt0: rep stosb\nt1: nop`);
    assert.deepEqual(list.map(({ at, ecx }) => `${at} ${ecx}`), ['t0 2']);
    assert.equal(list[0].flags & RF, RF);
  });

  it('traps behind an access to a marked port with CR4.DE', () => {
    const body = (de: boolean) => `${de ? 'mov eax, cr4\n or al, 8\n mov cr4, eax\n' : ''}${arm('0x80', 2, 2)} in al, 0x80\nt1: inc ebx\n inc ebx\n out 0x81, al\nt2: in al, 0x82\nt3: mov edx, 0x7e\n in eax, dx\nt4: nop`;
    assert.deepEqual(places(rows(body(true))), ['t1', 't2', 't4']);
    assert.deepEqual(places(rows(body(false))), []);
  });

  it('tells several breakpoints in one trap, and a trap from a step', () => {
    const list = rows(`mov eax, data\n mov dr1, eax\n mov dr2, eax\n mov eax, 0x${(0x300 | (1 << 2) | (1 << 4) | (1 << 20) | (3 << 24)).toString(16)}\n mov dr7, eax\n mov byte [data], 1\nt1: mov bl, [data]\nt2: nop\n ${TRACE}t3: mov byte [data], 2\nt4: nop`, 3);
    assert.deepEqual(list.map(({ at, dr6 }) => `${at} ${dr6.toString(16)}`), ['t1 6', 't2 4', 't4 4006']);
  });

  it('keeps a trap earned by MOV SS until the next instruction is through', () => {
    assert.deepEqual(places(rows(`${arm('data', 3, 2)} mov word [data], 16\nt0: mov ss, [data]\nt1: inc ebx\nt2: nop`)), ['t0', 't2']);
  });

  it('forgets what an abandoned instruction touched', () => {
    const body = `${gate(13, 'gp')}\n ${arm('data', 3, 2)} mov word [data], 0x3333\nt0: mov ds, [data]\nt1: nop\n jmp done\ngp: add esp, 4\n add dword [esp], 7\n iretd\ndone: nop`;
    assert.deepEqual(places(rows(body)), ['t0']);
  });

  it('traps in the handler whose frame was pushed over a data breakpoint', () => {
    const list = rows(`${arm('0x7bf4', 1, 4)} int 0x30\nt1: nop`);
    assert.equal(list.length, 1);
    assert.equal(list[0].dr6, 1);
  });

  it('faults at any access to the debug registers with DR7.GD, once', () => {
    const list = rows(`mov eax, 0x2300\n mov dr7, eax\nt1: mov ebx, dr0\n mov dr1, ebx\nt2: nop`);
    assert.deepEqual(list.map(({ at, dr6 }) => `${at} ${dr6.toString(16)}`), [`t1 ${BD.toString(16)}`]);
  });

  it('costs nothing once it is off', () => {
    assert.deepEqual(places(rows(`${arm('data', 1, 4)} xor eax, eax\n mov dr7, eax\n mov [data], eax\nt1: nop`)), []);
  });
});

describe('boundaries: HLT', () => {
  const halt = (setup: string) => {
    machine.load(program(`bits 16\norg 0x7c00\n cli\n xor ax, ax\n mov ds, ax\n mov ss, ax\n mov sp, 0x7c00\n ${setup}\n hlt\n inc bx\n jmp $`));
    return machine.run(1_000_000);
  };
  it('ends the machine with interrupts off', () => assert.deepEqual(halt(''), { kind: 'ended', reason: { kind: 'halted' } }));
  it('waits with interrupts on', () => {
    const waiting = new TestMachine(program(`bits 16\norg 0x7c00\n cli\n mov al, 0xff\n out 0x21, al\n out 0xa1, al\n sti\n hlt\n jmp $`), { pace: 'realtime' });
    const outcome = waiting.run(1_000_000);
    assert.equal(outcome.kind, 'idle');
    const before = waiting.instructions;
    waiting.idleUntil(before + 5000);
    assert.ok(waiting.instructions > before && waiting.instructions <= before + 5000);
    assert.equal(waiting.run(1000).kind, 'idle');
  });
});
