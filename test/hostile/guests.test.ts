/** Guests that mean harm, one trick each. In slices as a worker runs them: every slice ends, and the machine answers in between. */
import assert from 'node:assert/strict';
import { program, TestMachine } from '../support/guest';

const SLICE = 20_000;
/** Far beyond what a slice needs: one that takes so long hangs. */
const MILLISECONDS_MOST = 5_000;

const machine = new TestMachine(program('bits 16\norg 0x7c00\n hlt'), { memoryMiB: 2, instructionsPerSecond: 1_000_000 });

interface Endured {
  readonly end: string;
  readonly instructions: number;
}

function load(source: string): void {
  machine.load(program(source));
}

/** Runs what is loaded for so many instructions, or until it ends. */
function endure(instructions: number): Endured {
  const before = machine.instructions;
  while (machine.instructions - before < instructions) {
    const started = performance.now();
    const outcome = machine.run(SLICE);
    const took = performance.now() - started;
    assert.ok(took < MILLISECONDS_MOST, `a slice of ${SLICE} instructions took ${Math.round(took)} ms`);
    assert.equal(machine.registers().general.length, 8);
    assert.equal(machine.disassemble(machine.register('eip'), -2, 5).length, 5);
    if (outcome.kind === 'ended') {
      assert.notEqual(outcome.reason.kind, 'internalError');
      return { end: outcome.reason.kind, instructions: machine.instructions - before };
    }
    if (outcome.kind === 'idle') return { end: 'idle', instructions: machine.instructions - before };
  }
  return { end: 'runs on', instructions: machine.instructions - before };
}

const real = (body: string) => `bits 16\norg 0x7c00\n cli\n xor ax, ax\n mov ds, ax\n mov es, ax\n mov ss, ax\n mov sp, 0x7c00\n${body}`;

/**
 * Flat protected mode. Every exception goes to a handler that counts in [600h] and goes on at `resume` with the stack emptied; vectors of
 * `gates` have other targets.
 */
const flat = (body: string, gates: Readonly<Record<number, string>> = {}) => real(`
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected
bits 32
protected: mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov gs, ax
  mov esp, 0x7000
  lidt [idtr]
  ${body}
handler: mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, 0x7000
  inc dword [0x600]
  jmp resume
  align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_more: times 8 dq 0
gdtr: dw $-gdt-1
  dd gdt
idtr: dw 32*8-1
  dd idt
  align 8
idt: ${Array.from({ length: 32 }, (_, vector) => `dw ${gates[vector] ?? 'handler'}, 8, 0x8e00, 0`).join('\n')}
`);

/** Directory at 100000h, one table at 101000h: identity for the first 4 MiB. */
const PAGING = `
  mov edi, 0x100000
  mov ecx, 0x400
  xor eax, eax
  rep stosd
  mov dword [0x100000], 0x101007
  mov ecx, 0x400
  mov eax, 7
fill_table: stosd
  add eax, 0x1000
  loop fill_table
  mov eax, 0x100000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
`;
const faults = () => machine.dword(0x600);

describe('hostile guests', function () {
  this.timeout(60_000);

  it('that spin with interrupts off', () => {
    load(real('jmp $'));
    assert.deepEqual(endure(2_000_000), { end: 'runs on', instructions: 2_000_000 });
  });

  it('whose fault handler is the next fault', () => {
    load(flat('resume: ud2\nagain: ud2', { 6: 'again' }));
    // Each delivery pushes twelve bytes; the stack runs through all of memory until it meets the handler, the tables, or the end.
    const { end } = endure(400_000);
    assert.ok(end === 'runs on' || end === 'tripleFault', end);
  });

  it('whose fault handler is a task gate that faults', () => {
    load(flat(`mov word [gdt+0x18], 0x67
      mov word [gdt+0x1a], 0x3000
      mov dword [gdt+0x1c], 0x00008900
      mov word [gdt+0x20], 0x67
      mov word [gdt+0x22], 0x3100
      mov dword [gdt+0x24], 0x00008900
      mov dword [0x3120], resume
      mov dword [0x3124], 2
      mov dword [0x314c], 8
      mov dword [0x3148], 16
      mov dword [0x3150], 16
      mov dword [0x3154], 16
      mov dword [0x3138], 0x6000
      mov dword [idt+6*8], 0x00200000
      mov dword [idt+6*8+4], 0x00008500
      mov ax, 0x18
      ltr ax
    resume: ud2
      jmp resume`));
    assert.ok(['runs on', 'tripleFault'].includes(endure(100_000).end));
  });

  it('that write over their own code with every instruction', () => {
    load(real(`mov cx, 0
    again: mov byte [a+1], cl
    a: mov al, 0
      mov byte [b+1], cl
    b: mov ah, 0
      inc word [c+1]
    c: mov dx, 0
      inc cx
      jmp again`));
    assert.equal(endure(400_000).end, 'runs on');
    assert.ok(machine.counters().codeInvalidations > 100_000);
  });

  it('that jump through all of memory, leaving code everywhere', () => {
    load(flat(`mov ebx, 0x10000
    resume: add ebx, 0x1d3
      and ebx, 0xffffff
      or ebx, 0x10000
      mov word [ebx], 0xe3ff ^ 0x2000          ; jmp ebx with another register: jmp esi (FFE6h) below
      mov word [ebx], 0xe6ff
      mov esi, resume
      jmp ebx`));
    assert.equal(endure(500_000).end, 'runs on');
  });

  it('that execute where no memory is, ROM, the screen, and the last byte', () => {
    const places = [0xa0000, 0xaffff, 0xb8000, 0xc0000, 0xe1234, 0xf0000, 0xffff0, 0x1fffff, 0x200000, 0xfec00000, 0xfffffff0, 0xffffffff, 0xdeadbeef];
    load(flat(`resume: mov ebx, [next]
      add dword [next], 4
      cmp ebx, places_end
      jae done
      jmp [ebx]
    done: mov al, 0
      out 0xf4, al
      hlt
    places: dd ${places.join(', ')}
    places_end:
    next: dd places`));
    const { end } = endure(200_000);
    assert.ok(['debugExit', 'runs on', 'tripleFault', 'halted'].includes(end), end);
    assert.ok(faults() >= 1);
  });

  it('whose stack lies in ROM, in a hole, beyond memory', () => {
    for (const stack of [0xf8000, 0xa8000, 0x80000000, 0, 3]) {
      load(flat(`mov esp, ${stack}
      resume: push eax
        call next
      next: pushad
        popad
        pop eax
        int 0x10
        jmp resume`));
      assert.ok(['runs on', 'tripleFault'].includes(endure(60_000).end));
    }
  });

  it('that hammer every port in every size', () => {
    let port = 0;
    let ends = 0;
    while (port < 0x10000) {
      load(real(`mov dx, ${port}
      again: mov [0x600], dx
        in al, dx
        in ax, dx
        in eax, dx
        mov eax, edx
        imul eax, eax, 0x9e3779b1
        out dx, al
        out dx, ax
        out dx, eax
        mov di, 0x1000
        mov cx, 3
        rep insb
        mov si, 0x7c00
        mov cx, 3
        rep outsw
        inc dx
        jnz again
        mov word [0x602], 1
        jmp $`));
      const { end } = endure(40_000);
      if (machine.word(0x602) === 1) break;
      const reached = machine.word(0x600);
      // Some ports end the machine, some restart it: go on behind them.
      if (end !== 'runs on') ends++;
      port = Math.max(port, reached) + 1;
    }
    assert.ok(ends > 0 && ends < 1000, `${ends} ends`);
  });

  it('that close and open A20 under their own feet', () => {
    // The same code at 0 and at 1 MiB, so that it goes on whichever of them is seen.
    load(real(`mov si, code
      mov di, 0
      mov cx, code_end-code
      rep movsb
      mov ax, 0xffff
      mov es, ax
      mov al, 2
      out 0x92, al
      mov si, code
      mov di, 0x10
      mov cx, code_end-code
      rep movsb
      jmp 0xffff:0x10
    code: in al, 0x92
      xor al, 2
      out 0x92, al
      inc bx
      mov byte [es:0x20], 0
      mov byte [es:0x20], 1
      jmp 0xffff:0x10
    code_end:`));
    assert.equal(endure(100_000).end, 'runs on');
    assert.ok(machine.register('bx') > 0);
  });

  it('that change CR0, CR3 and CR4 at random', () => {
    load(flat(`${PAGING}
      mov esi, 12345
    resume: imul esi, esi, 1103515245
      add esi, 12345
      mov eax, esi
      shr eax, 8
      mov ebx, eax
      and ebx, 0x80010000
      or ebx, 0x11
      mov cr0, ebx
      mov ebx, eax
      and ebx, 0x1000
      or ebx, 0x100000
      and ebx, 0x100000
      mov cr3, ebx
      mov ebx, eax
      shr ebx, 5
      and ebx, 0x9c
      mov cr4, ebx
      mov cr4, eax
      mov [0x5000], eax
      mov cr0, eax
      jmp resume`));
    assert.ok(['runs on', 'tripleFault'].includes(endure(200_000).end));
    assert.ok(faults() > 100);
  });

  it('whose page tables are each other, and are rewritten through themselves', () => {
    load(flat(`${PAGING}
      mov eax, 0x100007
      mov [0x100000+1023*4], eax        ; the directory is its own last table
      mov [0x100000+512*4], eax
      mov dword [0x100000+511*4], 0x101007
      mov esi, 1
    resume: imul esi, esi, 69069
      inc esi
      mov eax, esi
      shr eax, 20
      or eax, 0x800                     ; entries 512–1023 of the directory, by way of itself
      and eax, 0xffc
      or eax, 0x804
      mov ebx, esi
      and ebx, 3
      mov ecx, [table_of+ebx*4]
      mov [0xfffff000+eax], ecx
      mov ecx, [0xffc00000+eax]
      mov [0x80000000+eax*4], ecx
      mov edx, esi
      and edx, 0xfffffffc
      mov ecx, [edx]
      mov dword [0x100000+1023*4], 0x100007
      mov ecx, cr3
      mov cr3, ecx
      jmp resume
    table_of: dd 0x100007, 0x101007, 0x87, 0`));
    assert.ok(['runs on', 'tripleFault'].includes(endure(200_000).end));
    assert.ok(machine.counters().truePageFaults + machine.counters().hiddenPageFaults > 1000);
  });

  it('whose page directory lies in ROM, in a hole, beyond memory', () => {
    for (const cr3 of [0xf0000, 0xa0000, 0x200000, 0xfffff000]) {
      load(flat(`mov eax, ${cr3}\n mov cr3, eax\n mov eax, cr0\n or eax, 0x80000000\n mov cr0, eax\nresume: inc eax\n jmp resume`));
      assert.ok(['runs on', 'tripleFault'].includes(endure(20_000).end));
    }
  });

  it('that switch breakpoints on and off with every round', () => {
    load(flat(`mov eax, resume
      mov dr0, eax
      mov eax, marked
      mov dr1, eax
      mov eax, 0x7f0
      mov dr2, eax
    resume: mov eax, 0x00f00000 | 0x100 | 0x10
      mov dr7, eax
      mov [0x7f0], ebx
      mov eax, 0x00f00000 | 0x100 | 0x4
      mov dr7, eax
    marked: inc ebx
      xor eax, eax
      mov dr7, eax
      push 0x100
      popfd
      jmp resume`));
    assert.equal(endure(100_000).end, 'runs on');
    assert.ok(faults() > 1000);
  });

  it('that repeat four billion times', () => {
    const strings = ['lodsb', 'stosb', 'movsd', 'scasb', 'cmpsb', 'insb', 'outsb'];
    for (const string of strings) for (const [from, to] of [[0, 0x80000000], [0x80000000, 0x80000000], [0x20000, 0x20004]]) {
      const prefix = string === 'scasb' ? 'repne' : string === 'cmpsb' ? 'repe' : 'rep';
      load(flat(`mov ecx, -1\n mov esi, ${from}\n mov edi, ${to}\n mov al, 0xaa\n mov edx, 0x80\nresume: ${prefix} ${string}\n jmp resume`));
      machine.run(200);
      // Pausable: a slice is exactly as long as it was asked to be.
      for (const slice of [1, 7, 1000, 50_000]) {
        const before = machine.instructions;
        const started = performance.now();
        assert.equal(machine.run(slice).kind, 'slice', string);
        assert.equal(machine.instructions - before, slice);
        assert.ok(performance.now() - started < MILLISECONDS_MOST);
      }
    }
  });

  it('that load descriptor tables from anywhere', () => {
    for (const base of [0, 0xfff8, 0xa0000, 0x1ffffc, 0x200000, 0xfffffffc, 0x7fffffff]) {
      load(flat(`mov dword [0x700], 0xffff\n mov dword [0x702], ${base}
      resume: lgdt [0x700]
        mov ax, 0x20
        mov fs, ax
        lidt [0x700]
        int3
        ud2`));
      assert.ok(['tripleFault', 'runs on', 'halted'].includes(endure(20_000).end));
      if (machine.postMortem()) assert.ok(machine.postMortem()!.gate.length > 0);
    }
  });

  it('that load every selector into every segment register', () => {
    load(flat(`mov edi, gdt_more
      mov ecx, 16
      mov eax, 0x2f9d3b71
    random: stosd
      imul eax, eax, 0x41c64e6d
      add eax, 12345
      loop random
      xor ebx, ebx
    resume: inc bx
      mov [0x610], ebx
      lar eax, bx
      lsl eax, bx
      verr bx
      verw bx
      mov es, bx
      mov es, bx
      mov fs, bx
      push ebx
      pop gs
      mov [es:0x500], al
      lldt bx
      ltr bx
      mov ss, bx
      push bx
      push dword resume
      jmp resume`));
    assert.equal(endure(1_000_000).end, 'runs on');
    assert.ok(faults() > 50_000, `${faults()} faults`);
  });

  it('that call, return and return from interrupts with random frames', () => {
    load(flat(`xor edi, edi
      mov ecx, 64
      mov eax, 0x0b0f0b0f                     ; UD2 wherever a small EIP leads
      rep stosd
      mov esi, 99
    resume: push 2                          ; without NT, which would make IRET a task switch
      popfd
      mov ecx, 6
    frame: imul esi, esi, 0x41c64e6d
      add esi, 12345
      mov eax, esi
      shr eax, 9
      and eax, ~0x20000                       ; not to virtual-8086 mode, which has no stack to come back to
      test al, 1
      jz keep
      and eax, 0x3f
    keep: push eax
      loop frame
      test esi, 0x10000
      jz far_return
      iretd
    far_return: test esi, 0x20000
      jz call_far
      retf 8
    call_far: call far [esp]
      jmp resume`));
    const { end } = endure(300_000);
    assert.ok(['runs on', 'tripleFault', 'debugExit'].includes(end), end);
    assert.ok(faults() > 1000, `${faults()} faults`);
  });

  it('made of nothing but prefixes', () => {
    load(flat(`resume: mov ebx, [next]
      inc dword [next]
      and ebx, 15
      neg ebx
      lea ebx, [prefixes_end+ebx]
      jmp ebx
    next: dd 0
      times 0x3f8-($-$$) nop
    prefixes: times 15 db 0x66
    prefixes_end: nop
      jmp resume`));
    assert.equal(endure(100_000).end, 'runs on');
    assert.ok(faults() > 500, 'fifteen bytes and no end is #GP');
  });

  it('that share one page of code among all contexts and addresses', () => {
    // Every page of 4 MiB is the page at 20000h, run in turn at a hundred CS limits, and written each time.
    load(flat(`${PAGING}
      mov edi, 0x101000+0x200*4
      mov ecx, 0x200
      mov eax, 0x20007
      rep stosd
      mov dword [0x20000], 0x00c3ff46        ; inc esi / (a byte that nobody executes) …
      mov word [0x20000], 0xc346             ; inc esi / ret
      xor ebx, ebx
      mov dword [gdt_more+4], 0x00cf9b00
    resume: mov ebp, 0x200000
    through: mov word [gdt_more], bx
      jmp 0x18:narrow
    narrow: call ebp
      add ebp, 0x1000
      cmp ebp, 0x400000
      jb narrow
      inc ebx
      mov byte [0x20030], bl
      jmp 8:resume`));
    assert.equal(endure(600_000).end, 'runs on');
    assert.ok(machine.counters().translationUnits > 10_000);
  });
});
