import assert from 'node:assert/strict';
import { machine } from '../../../test/support/guest';
import { smpGuest } from '../../../test/support/smp-guest';

const RATE = 100_000_000;

function status(guest: ReturnType<typeof machine>, most = 50_000_000): number {
  const outcome = guest.run(most);
  assert.ok(outcome.kind === 'ended' && outcome.reason.kind === 'debugExit', JSON.stringify(outcome));
  return (outcome.reason.status - 1) / 2;
}

/** Writes a redirection entry: input, low half, destination. */
const redirect = `
%macro redirect 3
  mov dword [0xfec00000], 0x10 + 2 * (%1) + 1
  mov dword [0xfec00010], (%3) << 24
  mov dword [0xfec00000], 0x10 + 2 * (%1)
  mov dword [0xfec00010], %2
%endmacro
`;
const counting = (more = ''): string => `
handler:
  inc dword [count]
  ${more}
  eoi
  iretd
count: dd 0
`;

describe('guests of the local APIC', () => {
  it('are held off by the task priority', () => {
    assert.equal(status(machine(smpGuest(`
  gate 0x40, handler
  gate 0x60, handler
  apic_write 0x80, 0x50
  sti
  apic_write 0x300, 0x44040
  apic_write 0x300, 0x44060
  nop
  mov ebx, [count]
  apic_write 0x80, 0
  nop
  shl dword [count], 4
  or ebx, [count]
  mov eax, ebx
  exit al`, '', counting()))), 0x21);
  });

  it('are interrupted periodically, at the rate that they set', () => {
    const guest = machine(smpGuest(`
  gate 0x40, handler
  apic_write 0x320, 0x20040
  apic_write 0x3e0, 0xb
  apic_write 0x380, 100000
  sti
.sleep:
  hlt
  cmp dword [count], 50
  jb .sleep
  exit 0`, '', counting()), { instructionsPerSecond: RATE });
    assert.equal(status(guest), 0);
    assert.ok(Math.abs(guest.instructions - 5_000_000) < 2000, String(guest.instructions));
  });

  it('read and write it by MSRs, and move it', () => {
    assert.equal(status(machine(smpGuest(`
  mov ecx, 0x1b
  rdmsr
  cmp eax, 0xfee00900
  jne .bad
  and ah, 0xf7
  wrmsr
  mov eax, [0xfee00030]
  cmp eax, -1
  jne .bad
  rdmsr
  or ah, 8
  wrmsr
  mov eax, 0xfd001900
  wrmsr
  cmp dword [0xfee00030], -1
  jne .bad
  mov eax, [0xfd001030]
  exit al
.bad:
  exit 0x7f`))), 0x14);
  });
});

describe('guests of the I/O APIC', () => {
  it('get the timer\'s ticks through input 2', () => {
    const guest = machine(smpGuest(`${redirect}
  gate 0x50, handler
  redirect 2, 0x50, 0
  mov al, 0x34
  out 0x43, al
  mov al, 0xa9
  out 0x40, al
  mov al, 4
  out 0x40, al
  sti
.sleep:
  hlt
  cmp dword [count], 100
  jb .sleep
  exit 0`, '', counting()), { instructionsPerSecond: RATE });
    assert.equal(status(guest), 0);
    // 1193 periods of 1.193182 MHz are one millisecond.
    assert.ok(Math.abs(guest.instructions - 10_000_000) < 120_000, String(guest.instructions));
  });

  it('get a level-triggered interrupt until they silence its source', () => {
    const guest = machine(smpGuest(`${redirect}
  gate 0x51, handler
  redirect 9, 0x8051, 0
  mov dx, 0x602
  mov ax, 0x100
  out dx, ax
  mov al, 0xf1
  out 0xb2, al
  sti
.sleep:
  hlt
  cmp dword [count], 6
  jb .sleep
  mov eax, [count]
  exit al`, '', counting(`
  cmp dword [count], 3
  je .silence
  cmp dword [count], 6
  jne .more
.silence:
  mov dx, 0x600
  mov ax, 0x100
  out dx, ax
.more:`)));
    guest.run(1_000_000);
    guest.powerButton();
    guest.run(1_000_000);
    guest.powerButton();
    assert.equal(status(guest), 6, 'three deliveries for each press');
  });

  it('get the interrupts of another processor\'s timer nowhere but there', () => {
    assert.equal(status(machine(smpGuest(`${redirect}
  gate 0x52, handler
  call start_others
  wait_for ready, 1
  redirect 2, 0x52, 1
  mov al, 0x34
  out 0x43, al
  mov al, 0x10
  out 0x40, al
  out 0x40, al
  sti
.wait:
  pause
  cmp dword [count], 5
  jb .wait
  mov eax, [wrong]
  exit al`, `
  sti
  mov dword [ready], 1`, `
handler:
  lock inc dword [count]
  mov eax, [0xfee00020]
  shr eax, 24
  cmp eax, 1
  je .right
  inc dword [wrong]
.right:
  eoi
  iretd
count: dd 0
wrong: dd 0
ready: dd 0`), { processors: 2 })), 0);
  });
});

describe('guests of the other clocks', () => {
  it('are interrupted by the high precision timer', () => {
    const guest = machine(smpGuest(`${redirect}
  gate 0x53, handler
  redirect 20, 0x53, 0
  mov dword [0xfed00100], 20 << 9 | 0x14c
  mov dword [0xfed00108], 200000
  mov dword [0xfed00108], 200000
  mov dword [0xfed00010], 1
  sti
.sleep:
  hlt
  cmp dword [count], 10
  jb .sleep
  mov eax, [0xfed000f0]
  mov [0x4000], eax
  exit 0`, '', counting()), { instructionsPerSecond: RATE });
    assert.equal(status(guest), 0);
    assert.ok(Math.abs(guest.dword(0x4000) - 2_000_000) < 1000, String(guest.dword(0x4000)));
  });

  it('find that PM timer, time stamp and high precision timer agree', () => {
    const guest = machine(smpGuest(`
  mov dword [0xfed00010], 1
  mov dx, 0x608
  in eax, dx
  mov esi, eax
  rdtsc
  mov edi, eax
  mov ebp, [0xfed000f0]
  mov ecx, 5000000
.delay:
  dec ecx
  jnz .delay
  in eax, dx
  mov edx, 0x608
  in eax, dx
  sub eax, esi
  mov [0x4000], eax
  rdtsc
  sub eax, edi
  mov [0x4004], eax
  mov eax, [0xfed000f0]
  sub eax, ebp
  mov [0x4008], eax
  exit 0`), { instructionsPerSecond: RATE });
    status(guest);
    const [pm, tsc, hpet] = [0, 4, 8].map((n) => guest.dword(0x4000 + n));
    assert.ok(Math.abs(tsc - 10_000_000) < 100, String(tsc));
    assert.ok(Math.abs(hpet - 10_000_000) < 100, String(hpet));
    assert.ok(Math.abs(pm - 357_954) < 10, String(pm));
  });
});

describe('guests that end', () => {
  it('power off by S5', () => {
    const guest = machine(smpGuest(`
  mov dx, 0x604
  mov ax, 0x2001
  out dx, ax`));
    assert.deepEqual(guest.run(1_000_000), { kind: 'ended', reason: { kind: 'powerOff' } });
  });

  it('start over by the reset register', () => {
    assert.equal(status(machine(smpGuest(`
  inc dword [0x4000]
  cmp dword [0x4000], 2
  je .again
  mov dx, 0xcf9
  mov al, 6
  out dx, al
.again:
  exit 3`), { processors: 2 })), 3);
  });
});
