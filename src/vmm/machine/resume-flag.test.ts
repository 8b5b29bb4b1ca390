/**
 * EFLAGS.RF (SDM Vol. 3, 17.3.1.1) in code of 16, 32 and 64 bits: what is pushed for breakpoints, faults, traps and interrupts, what IRET brings back, and
 * which instruction breakpoints it holds back. Every guest is run whole and one instruction at a time; both must end alike.
 */
import assert from 'node:assert/strict';
import { timer } from '../../../test/support/exact-guests';
import { program, TestMachine } from '../../../test/support/guest';
import { longEntry, longLibrary } from '../../../test/support/long-guest';

const LIMIT = 400_000;
const EXIT = 'mov al, 0\n out 0xf4, al\n hlt\n';
/** What the handlers know: where the next row goes, how many #DB return without RF, how much a #GP skips, whether it mends EBP, the rows. */
const NEXT = 0x1000, WITHOUT = 0x1004, SKIP = 0x1008, MENDS = 0x100c, ROWS = 0x2000;
const vectors = [0, 1, 3, 4, 6, 13, 14, 0x20, 0x30];
const withErrorCode = new Set([13, 14]);
const RF = 0x10000, TF = 0x100;

/** One handler for all: notes vector, EIP, EFLAGS and ECX, then mends what the vector needs to go on. `slot`: bytes of a stack slot; the rest are names. */
function handler(slot: 4 | 8): string {
  const [ax, di, sp, word, iret] = slot === 4 ? ['eax', 'edi', 'esp', 'dword', 'iretd'] : ['rax', 'rdi', 'rsp', 'qword', 'iretq'];
  const at = (n: number): string => `[${sp}+${n * slot}]`;
  return `${vectors.map((vector) => `v${vector}:\n ${withErrorCode.has(vector) ? `mov dword ${at(0)}, ${vector}` : `push ${vector}`}\n jmp note\n`).join('')}
note: push ${ax}
  push ${di}
  mov edi, [${NEXT}]
  mov eax, ${at(2)}
  mov [${di}], eax
  mov eax, ${at(3)}
  mov [${di}+4], eax
  mov eax, ${at(5)}
  mov [${di}+8], eax
  mov [${di}+12], ecx
  add dword [${NEXT}], 16
  cmp dword ${at(2)}, 1
  jne .fault
  mov eax, 0xffff0ff0
  mov dr6, ${ax}
  dec dword [${WITHOUT}]
  jns .done
  or dword ${at(5)}, ${RF}
  jmp .done
.fault: cmp dword ${at(2)}, 6
  jne .skips
  add ${word} ${at(3)}, 2
  jmp .done
.skips: cmp dword ${at(2)}, 13
  jae .other
  jmp .done
.other: cmp dword ${at(2)}, 14
  ja .interrupt
  mov eax, [${SKIP}]
  add ${at(3)}, ${ax}
  cmp dword [${MENDS}], 0
  je .done
  mov ebp, 16
  jmp .done
.interrupt: cmp dword ${at(2)}, 0x20
  jne .done
  mov al, 0x20
  out 0x20, al
.done: pop ${di}
  pop ${ax}
  add ${sp}, ${slot}
  ${iret}
`;
}

/** Flat protected mode; 16-bit code has a segment of its own and shares handlers and stack. */
const protectedGuest = (bits: 16 | 32, body: string): string => `bits 16
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
  mov esp, 0x7000
  lidt [idtr]
  ${vectors.map((n) => `mov eax, v${n}\n mov [idt+${n * 8}], ax\n mov word [idt+${n * 8 + 2}], 8\n mov word [idt+${n * 8 + 4}], 0xee00\n`).join('')}
  ${timer(200)}
  mov dword [${NEXT}], ${ROWS}
  xor eax, eax
  mov [${WITHOUT}], eax
  mov [${SKIP}], eax
  mov [${MENDS}], eax
  xor ebx, ebx
  ${bits === 16 ? 'jmp dword 0x18:body' : 'jmp body'}
bits ${bits}
body:
  ${body}
  ${EXIT}
bits 32
${handler(4)}
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b000000ffff, 0x0000890050000067, 0x0000890051000067
gdtr: dw 47
  dd gdt
idtr: dw 0x31*8-1
  dd idt
idt equ 0x4000
`;

const longGuest = (body: string): string => `${longEntry}${longLibrary}
long: mov rsp, 0x7000
  lidt [idtr]
  ${vectors.map((n) => `gate ${n}, v${n}, 0x6000\n`).join('')}
  ${timer(200)}
  mov dword [${NEXT}], ${ROWS}
  xor eax, eax
  mov [${WITHOUT}], eax
  mov [${SKIP}], eax
  mov [${MENDS}], eax
  xor ebx, ebx
body:
  ${body}
  ${EXIT}
${handler(8)}
align 8
idtr: dw 0xfff
  dq idt
idt equ 0x18000
`;

interface Row {
  readonly vector: number;
  /** A label of the body, or EIP. */
  readonly at: string;
  readonly flags: number;
  readonly ecx: number;
}

const machine = new TestMachine(program('bits 16\norg 0x7c00\n hlt'), { instructionsPerSecond: 1_000_000 });

/** The rows that the handlers noted. `code`: the text for the code's size. */
function rows(bits: 16 | 32 | 64, body: string): Row[] {
  const source = program(bits === 64 ? longGuest(body) : protectedGuest(bits, body));
  const names = new Map([...body.matchAll(/^\s*(\w+):/gm)].map(([, name]) => [source.label(name), name]));
  const results = [LIMIT, 1].map((slice) => {
    machine.load(source);
    for (;;) {
      const outcome = machine.run(slice);
      if (outcome.kind === 'ended') {
        assert.equal(outcome.reason.kind, 'debugExit', JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value)));
        break;
      }
      assert.equal(outcome.kind, 'slice');
      assert.ok(machine.instructions < LIMIT, 'the guest does not end');
    }
    const list: Row[] = [];
    for (let at = ROWS; at < machine.dword(NEXT); at += 16) {
      const eip = machine.dword(at + 4);
      list.push({ vector: machine.dword(at), at: names.get(eip) ?? eip.toString(16), flags: machine.dword(at + 8), ecx: machine.dword(at + 12) });
    }
    return list;
  });
  assert.deepEqual(results[1], results[0], 'one instruction at a time');
  return results[0];
}

/** Vector, place and RF of each row. */
const seen = (list: readonly Row[]): string[] => list.map(({ vector, at, flags }) => `${vector} ${at}${flags & RF ? ' RF' : ''}`);

for (const bits of [16, 32, 64] as const) describe(`EFLAGS.RF in ${bits}-bit code`, () => {
  const [ax, sp, pushf, popf] = bits === 64 ? ['rax', 'rsp', 'pushfq', 'popfq'] : ['eax', 'esp', 'pushfd', 'popfd'];
  /** Instruction breakpoints at up to four labels. */
  const arm = (...labels: string[]): string => `${labels.map((label, n) => `mov eax, ${label}\n mov dr${n}, ${ax}\n`).join('')}mov eax, ${labels.reduce((bit, _, n) => bit | 2 << 2 * n, 0x300)}\n mov dr7, ${ax}\n`;
  /** Goes to `label` by IRET with these bits set in the image. */
  const returnTo = (label: string, set: number): string => (bits === 64
    ? `mov rax, rsp\n push 16\n push rax\n pushfq\n or dword [rsp], ${set}\n push 0x18\n push ${label}\n iretq\n`
    : `pushfd\n or dword [${sp}], ${set}\n push dword ${bits === 16 ? 0x18 : 8}\n push dword ${label}\n iretd\n`);
  const trace = `${pushf}\n or dword [${sp}], ${TF}\n ${popf}\n`;

  it('is 0 in the image of an instruction breakpoint, and with 1 in the image IRET lets that instruction through once', () => {
    assert.deepEqual(seen(rows(bits, `${arm('t1')} mov ecx, 3\nt0: nop\nt1: inc ebx\n dec ecx\n jnz t0\n`)), ['1 t1', '1 t1', '1 t1']);
  });

  it('lets the breakpoint come again when the image says 0', () => {
    assert.deepEqual(seen(rows(bits, `mov dword [${WITHOUT}], 3\n ${arm('t1')}t0: nop\nt1: inc ebx\n`)), ['1 t1', '1 t1', '1 t1', '1 t1']);
  });

  it('holds no breakpoint back behind the one instruction', () => {
    assert.deepEqual(seen(rows(bits, `${arm('t1', 't2', 't3')}t0: nop\nt1: inc ebx\nt2: inc ebx\nt3: inc ebx\n`)), ['1 t1', '1 t2', '1 t3']);
    assert.deepEqual(seen(rows(bits, `${arm('t1', 't2')}${returnTo('t1', RF)}t1: inc ebx\nt2: inc ebx\n`)), ['1 t2']);
    assert.deepEqual(seen(rows(bits, `${arm('t1', 't2')}${returnTo('t1', RF)}t1: jmp t2\n nop\nt2: inc ebx\n`)), ['1 t2']);
    assert.deepEqual(seen(rows(bits, `${arm('t1', 't2')}${returnTo('t1', RF)}t1: call t2\n jmp end\nt2: ret\nend: nop\n`)), ['1 t2']);
  });

  it('is 1 in the image of faults, of whatever way they are raised', () => {
    const cases: readonly (readonly [string, string, number])[] = [
      ['6 t1 RF', 't1: ud2', 0], ['13 t1 RF', 't1: mov ds, ax', 2], ['13 t1 RF', 't1: int 0x2f', 2], ['13 t1 RF', 'mov ecx, 0x12345\nt1: rdmsr', 2],
    ];
    for (const [expected, code, skip] of cases) {
      assert.deepEqual(seen(rows(bits, `mov dword [${SKIP}], ${skip}\n mov ax, 0xfff8\n ${code}\nend: nop\n`)), [expected], code);
    }
  });

  it('of a restarted fault holds the breakpoint back that has already been taken', () => {
    // The handler mends the selector and comes back to t1.
    assert.deepEqual(seen(rows(bits, `${arm('t1')} mov dword [${MENDS}], 1\n mov ebp, 0xfff8\nt1: mov ds, bp\nt2: nop\n`)), ['1 t1', '13 t1 RF']);
    assert.deepEqual(seen(rows(bits, `${arm('t1')} mov dword [${SKIP}], 2\n mov ax, 0xfff8\nt0: nop\nt1: ud2\nt2: nop\n`)), ['1 t1', '6 t1 RF']);
  });

  it('is 0 in the image of traps and software interrupts, even when they are executed with 1', () => {
    const traps: readonly (readonly [string, string])[] = [['int3', '3'], ['int 0x30', '48'], ['int 3', '3'], ['int1', '1'], ...bits === 64 ? [] : [['add al, 127\nt1: into', '4'] as const]];
    for (const [code, vector] of traps) {
      const [before, instruction] = code.includes('t1:') ? ['mov al, 127\n add al, 127\n', 'into'] : ['', code];
      assert.deepEqual(seen(rows(bits, `${before}t1: ${instruction}\nt2: nop\n`)), [`${vector} t2`], code);
      assert.deepEqual(seen(rows(bits, `${arm('t1')}${before}${returnTo('t1', RF | 0x800)}t1: ${instruction}\nt2: nop\n`)), [`${vector} t2`], `${code} with RF`);
    }
  });

  it('does not show in PUSHF', () => {
    const list = rows(bits, `${arm('t1')}t0: nop\nt1: ${pushf}\n pop ${ax}\n mov ecx, eax\n int3\nt2: nop\n`);
    assert.deepEqual(seen(list), ['1 t1', '3 t2']);
    assert.equal(list[1].ecx & RF, 0);
  });

  it('is off in the handler, whose first instruction may be marked', () => {
    assert.deepEqual(seen(rows(bits, `mov dword [${WITHOUT}], 0\n ${arm('v6')}t1: ud2\nt2: nop\n`)).map((row) => row.replace(/ [0-9a-f]{4}/, ' v6')), ['1 v6', '6 t1 RF']);
  });

  it('is 0 in the image of single steps', () => {
    const list = rows(bits, `${trace}t0: inc ebx\nt1: inc ebx\nt2: ${pushf}\nt3: and dword [${sp}], ~${TF}\nt4: ${popf}\nt5: nop\nt6: nop\n`);
    // The handler returns with RF: each step begins with it.
    assert.deepEqual(seen(list), ['1 t1', '1 t2', '1 t3', '1 t4', '1 t5']);
  });

  it('is 1 in the image of a trap between the iterations of a repeated string', () => {
    const list = rows(bits, `mov ecx, 3\n mov esi, 0x3000\n mov edi, 0x3100\n ${trace}t0: nop\nt1: a32 rep movsb\nt2: ${pushf}\n and dword [${sp}], ~${TF}\n ${popf}\nt3: nop\n`);
    assert.deepEqual(seen(list).slice(0, 4), ['1 t1', '1 t1 RF', '1 t1 RF', '1 t2']);
    assert.deepEqual(list.slice(0, 4).map(({ ecx }) => ecx), [3, 2, 1, 0]);
  });

  it('marks a repeated string once, whatever comes between its iterations', () => {
    const string = `mov ecx, 5\n mov esi, 0x3000\n mov edi, 0x3100\n`;
    assert.deepEqual(seen(rows(bits, `${arm('t1')} ${string}t0: nop\nt1: a32 rep movsb\nt2: nop\n`)), ['1 t1']);
    // The step in front of it and those between its iterations return with RF, which holds the breakpoint back.
    assert.deepEqual(seen(rows(bits, `${arm('t1')} ${string} ${trace}t0: nop\nt1: a32 rep movsb\nt2: ${pushf}\n and dword [${sp}], ~${TF}\n ${popf}\nt3: nop\n`)).slice(0, 6), ['1 t1', '1 t1 RF', '1 t1 RF', '1 t1 RF', '1 t1 RF', '1 t2']);
  });

  it('is 1 in the image of an interrupt between iterations, 0 elsewhere', () => {
    const list = rows(bits, `${arm('t1')} mov ecx, 2000\n mov esi, 0x3000\n mov edi, 0x20000\n sti\nt0: nop\nt1: a32 rep movsb\n cli\nt2: nop\n`);
    const interrupts = list.filter(({ vector }) => vector === 0x20);
    const inside = interrupts.filter(({ at, ecx }) => at === 't1' && ecx < 2000);
    assert.ok(inside.length > 3, `${inside.length} interrupts between iterations`);
    assert.ok(inside.every(({ flags }) => (flags & RF) !== 0));
    assert.ok(interrupts.filter((row) => !inside.includes(row)).every(({ at, flags }) => at === 't1' || (flags & RF) === 0));
    assert.equal(list.filter(({ vector }) => vector === 1).length, 1, 'the breakpoint comes once');
  });

  it('is 0 in the image of interrupts of ordinary code', () => {
    const list = rows(bits, `mov ecx, 3000\n sti\nt0: inc ebx\n dec ecx\n jnz t0\n cli\n`);
    assert.ok(list.length > 10 && list.every(({ vector, flags }) => vector === 0x20 && (flags & RF) === 0));
  });

  it('is what IRET brought when an interrupt comes before the instruction', () => {
    // IRET opens interrupts with one pending: it is taken in front of t1, which has not been executed.
    const list = rows(bits, `${arm('t1')} mov ecx, 1000\nt0: dec ecx\n jnz t0\n ${returnTo('t1', RF | 0x200)}t1: cli\nt2: nop\n`);
    assert.deepEqual(seen(list), ['32 t1 RF']);
  });

  if (bits !== 64) it('is cleared by IRETW, which does not bring it', () => {
    const image = `pushfw\n push word ${bits === 16 ? 0x18 : 8}\n push word t1\n`;
    assert.deepEqual(seen(rows(bits, `${arm('t1')} ${image} iretw\nt1: nop\nt2: nop\n`)), ['1 t1']);
    assert.deepEqual(seen(rows(bits, `${arm('t1')} ${image} ${returnTo('t0', RF)}t0: iretw\nt1: nop\nt2: nop\n`)), ['1 t1']);
  });


  if (bits === 32) it('comes from the TSS of a task that is switched to', () => {
    const task = (flags: number): string => `${[[32, 't1'], [36, `${2 | flags}`], [56, '0x7000'], [72, '16'], [76, '8'], [80, '16'], [84, '16']].map(([at, value]) => `mov dword [0x5100+${at}], ${value}\n`).join('')}
      mov ax, 0x20\n ltr ax\n`;
    assert.deepEqual(seen(rows(bits, `${task(0)} ${arm('t1')}t0: jmp 0x28:0\nt1: nop\nt2: nop\n`)), ['1 t1']);
    assert.deepEqual(seen(rows(bits, `${task(RF)} ${arm('t1')}t0: jmp 0x28:0\nt1: nop\nt2: nop\n`)), []);
    // The jump itself is executed with RF.
    assert.deepEqual(seen(rows(bits, `${task(RF)} ${arm('t0', 't1')} nop\nt0: jmp 0x28:0\nt1: nop\nt2: nop\n`)), ['1 t0']);
    assert.deepEqual(seen(rows(bits, `${task(0)} ${arm('t0', 't1')} nop\nt0: jmp 0x28:0\nt1: nop\nt2: nop\n`)), ['1 t0', '1 t1']);
  });
});
