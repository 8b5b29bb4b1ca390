import assert from 'node:assert/strict';
import { machine } from '../../../test/support/guest';
import { smpGuest } from '../../../test/support/smp-guest';
import { ProcessorPage, sharedWords } from '../cpu/state-page';
import { STATE_END } from '../cpu/layout';

/** Runs to the end and returns the value that the guest wrote to the exit port. */
function status(guest: ReturnType<typeof machine>, most = 20_000_000): number {
  const outcome = guest.run(most);
  assert.equal(outcome.kind, 'ended', JSON.stringify(outcome));
  assert.ok(outcome.kind === 'ended' && outcome.reason.kind === 'debugExit', JSON.stringify(outcome));
  return (outcome.reason.status - 1) / 2;
}

describe('the state page of several processors', () => {
  it('leaves the engine\'s words alone and takes every other one', () => {
    const from = new Uint8Array(STATE_END).fill(1);
    const to = new Uint8Array(STATE_END).fill(2);
    new ProcessorPage(to).copyFrom(new ProcessorPage(from));
    const shared = new Set(sharedWords.flatMap(({ first, bytes }) => Array.from({ length: bytes }, (_, n) => first + n)));
    to.forEach((byte, at) => assert.equal(byte, shared.has(at) ? 2 : 1, `byte ${at.toString(16)}`));
  });
});

describe('several processors', () => {
  it('start by INIT and start-up messages, each with its own APIC', () => {
    const guest = machine(smpGuest(`
  call start_others
  wait_for started, 7
  mov eax, [ids]
  shr eax, 1
  exit al`, `
  lock bts [ids], ebx
  lock inc dword [started]`, 'started: dd 0\nids: dd 0'), { processors: 8 });
    assert.equal(status(guest), 0x7f);
    assert.deepEqual(guest.processorStates().map(({ activity }) => activity).sort(), [...Array<string>(7).fill('halted'), 'running'].sort());
  });

  const spinlocks = smpGuest(`
  call start_others
  call work
  wait_for done, 4
  mov eax, [total]
  mov [0x4000], eax
  exit 0`, 'call work', `
work:
  mov ecx, 5000
.next:
  lock bts dword [lock_word], 0
  jnc .taken
.spin:
  pause
  test dword [lock_word], 1
  jnz .spin
  jmp .next
.taken:
  mov eax, [total]
  mov edx, 3
.delay:
  dec edx
  jnz .delay
  inc eax
  mov [total], eax
  mov dword [lock_word], 0
  dec ecx
  jnz .next
  lock inc dword [done]
  ret
lock_word: dd 0
total: dd 0
done: dd 0`);

  it('exclude each other by a spinlock', () => {
    const guest = machine(spinlocks, { processors: 4 });
    assert.equal(status(guest), 0);
    assert.equal(guest.dword(0x4000), 20_000);
  });

  it('interleave the same way whatever the slices', () => {
    const whole = machine(spinlocks, { processors: 4 });
    status(whole);
    for (const slice of [777, 20_000, 123_457]) {
      const sliced = machine(spinlocks, { processors: 4 });
      while (sliced.run(slice).kind === 'slice') { /* go on */ }
      assert.equal(sliced.state(), whole.state(), `slices of ${slice}`);
    }
  });

  it('leave their time to the others when they spin with PAUSE', () => {
    /** A token that goes to and fro a thousand times, awaited in loops with or without PAUSE. */
    const token = (hint: string): string => smpGuest(`
  call start_others
  mov ecx, 1000
.next:
  mov dword [0x4000], 1
.mine:
  ${hint}
  cmp dword [0x4000], 0
  jne .mine
  dec ecx
  jnz .next
  exit 0`, `
.other:
  ${hint}
  cmp dword [0x4000], 1
  jne .other
  mov dword [0x4000], 0
  jmp .other`);
    const run = (hint: string, translation: 'threaded' | 'eager') => {
      const guest = machine(token(hint), { processors: 2, translation });
      assert.equal(status(guest, 100_000_000), 0);
      return guest;
    };
    const told = run('pause', 'threaded');
    assert.ok(told.instructions < 1_500_000, `${told.instructions} instructions`);
    assert.ok(run('nop', 'threaded').instructions > 20_000_000);
    assert.equal(run('pause', 'eager').state(), told.state());
  });

  it('stop at exactly any count', () => {
    const guest = machine(spinlocks, { processors: 4 });
    for (const count of [1, 12_345, 1, 50_001]) {
      const before = guest.instructions;
      guest.run(count);
      assert.equal(guest.instructions - before, count);
    }
  });

  it('play ping-pong by interrupts, asleep in between', () => {
    const guest = machine(smpGuest(`
  gate 0x40, pong
  gate 0x41, ping
  call start_others
  wait_for ready, 1
  sti
  apic_write 0x310, 0x01000000
  apic_write 0x300, 0x4041
.sleep:
  hlt
  cmp dword [balls], 1000
  jb .sleep
  exit 1`, `
  sti
  mov dword [ready], 1
.sleep:
  hlt
  jmp .sleep`, `
pong: ; on processor 0
  inc dword [balls]
  apic_write 0x310, 0x01000000
  apic_write 0x300, 0x4041
  eoi
  iretd
ping: ; on processor 1
  apic_write 0x310, 0
  apic_write 0x300, 0x4040
  eoi
  iretd
balls: dd 0
ready: dd 0`), { processors: 2 });
    assert.equal(status(guest), 1);
    assert.ok(guest.instructions < 60_000, `no turn is wasted on sleepers: ${guest.instructions}`);
  });

  it('see one time: time stamps never go back between processors', () => {
    const guest = machine(smpGuest(`
  call start_others
  call work
  wait_for done, 3
  mov eax, [backwards]
  exit al`, 'call work', `
work:
  mov ecx, 3000
.next:
  lock bts dword [lock_word], 0
  jc .next
  rdtsc
  cmp edx, [last + 4]
  jb .back
  ja .fine
  cmp eax, [last]
  ja .fine
.back:
  inc dword [backwards]
.fine:
  mov [last], eax
  mov [last + 4], edx
  mov dword [lock_word], 0
  dec ecx
  jnz .next
  lock inc dword [done]
  ret
lock_word: dd 0
backwards: dd 0
done: dd 0
last: dq 0`), { processors: 3 });
    assert.equal(status(guest), 0);
  });

  it('see code that another one has changed', () => {
    const guest = machine(smpGuest(`
  call start_others
.wait:
  call patched
  cmp eax, 2
  jne .wait
  exit 2`, `
  mov ecx, 100000
.delay:
  dec ecx
  jnz .delay
  mov byte [patched + 1], 2`, `
patched:
  mov eax, 1
  ret`), { processors: 2 });
    assert.equal(status(guest), 2);
  });

  it('see page tables that another one has changed', () => {
    const guest = machine(smpGuest(`
  gate 14, fault
  ; 4 MiB pages: 0 and the APIC as they are, 800000h at 0
  mov dword [0x100000], 0x83
  mov dword [0x100008], 0x83
  mov dword [0x100000 + 4*0x3fb], 0xfec00083
  mov eax, cr4
  or al, 0x10
  mov cr4, eax
  mov eax, 0x100000
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  call start_others
.next:
  mov eax, [0x800000 + value]
  cmp dword [unmapped], 0
  je .next
  mov eax, [0x800000 + value]
  exit 9`, `
  mov ecx, 50000
.delay:
  dec ecx
  jnz .delay
  mov dword [0x100008], 0
  mov dword [unmapped], 1`, `
fault:
  mov eax, cr2
  sub eax, 0x800000 + value
  exit al
value: dd 0
unmapped: dd 0`), { processors: 2 });
    assert.equal(status(guest), 0);
  });

  it('are woken and stopped by NMI, whatever their interrupt flag, once until IRET', () => {
    const guest = machine(smpGuest(`
  gate 2, nmi
  gate 0x40, interrupt
  call start_others
  wait_for ready, 1
  apic_write 0x310, 0x01000000
  apic_write 0x300, 0x4400
  wait_for inside, 1
  apic_write 0x300, 0x4400
  apic_write 0x300, 0x4400
  mov dword [go], 1
  wait_for inside, 2
  mov ecx, 100000
.delay:
  dec ecx
  jnz .delay
  mov eax, [inside]
  exit al`, `
  mov dword [ready], 1
.sleep:
  hlt
  jmp .sleep`, `
nmi:
  inc dword [inside]
.wait:
  pause
  cmp dword [go], 1
  jne .wait
  iretd
interrupt:
  exit 0x77
ready: dd 0
inside: dd 0
go: dd 0`), { processors: 2 });
    assert.equal(status(guest), 2, 'two NMIs during the handler of the first are one');
  });

  it('can be put to sleep by INIT and started again', () => {
    const guest = machine(smpGuest(`
  call start_others
  wait_for starts, 1
  apic_write 0x300, 0xc4500
  mov ecx, 100000
.delay:
  dec ecx
  jnz .delay
  mov eax, [spins]
  mov ecx, 100000
.delay2:
  dec ecx
  jnz .delay2
  cmp eax, [spins]
  jne .bad
  apic_write 0x300, 0xc4608
  wait_for starts, 2
  exit 2
.bad:
  exit 9`, `
  inc dword [starts]
.spin:
  inc dword [spins]
  jmp .spin`, 'starts: dd 0\nspins: dd 0'), { processors: 2 });
    assert.equal(status(guest), 2);
  });

  it('end together when all sleep for ever', () => {
    const guest = machine(smpGuest('call start_others\n'), { processors: 3 });
    assert.deepEqual(guest.run(10_000_000), { kind: 'ended', reason: { kind: 'halted' } });
  });

  it('start over together', () => {
    const guest = machine(smpGuest(`
  mov ecx, [0x4000]
  inc dword [0x4000]
  jecxz .first
  call start_others
  wait_for started, 3
  exit 5
.first:
  call start_others
  wait_for started, 3
  mov dword [started], 0
  mov al, 0xfe
  out 0x64, al`, `
  lock inc dword [started]
.spin:
  jmp .spin`, 'started: dd 0'), { processors: 4 });
    assert.equal(status(guest), 5);
  });
});

describe('looking at several processors', () => {
  const guest = () => machine(smpGuest(`
  call start_others
  mov esi, 0
.spin:
  inc esi
  jmp .spin`, `
  mov esi, 0x1000
.spin:
  inc esi
  jmp .spin`), { processors: 2 });

  it('shows each one\'s registers and steps the selected one alone', () => {
    const running = guest();
    running.run(200_000);
    const ran = running.processor;
    running.selectProcessor(0);
    const zero = running.register('esi');
    running.selectProcessor(1);
    const one = running.register('esi');
    assert.equal(running.registers().processor, 1);
    running.step(200);
    assert.equal(running.register('esi') - one, 100);
    running.selectProcessor(0);
    assert.equal(running.register('esi'), zero);
    assert.ok(ran === 0 || ran === 1);
    assert.throws(() => running.selectProcessor(2), /no processor 2/);
  });

  it('does not change the run', () => {
    const one = guest();
    one.run(333_333);
    one.run(100_000);
    const other = guest();
    other.run(333_333);
    for (const n of [0, 1, 0]) {
      other.selectProcessor(n);
      other.registers();
    }
    other.run(100_000);
    assert.equal(other.state(), one.state());
  });

  it('says which one reached a breakpoint', () => {
    const running = guest();
    running.run(200_000);
    running.selectProcessor(1);
    const at = running.registers().eip;
    running.selectProcessor(0);
    running.setBreakpoints([at]);
    assert.deepEqual(running.run(1_000_000), { kind: 'breakpoint', linear: at });
    assert.equal(running.processor, 1);
  });

  it('takes up to eight', () => {
    assert.throws(() => machine('hlt', { processors: 9 }), /from 1 to 8/);
    assert.throws(() => machine('hlt', { processors: 0 }), /from 1 to 8/);
  });
});
