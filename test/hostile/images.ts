/** Images that no assembler made: random bytes, programs with random damage, and random worlds in protected mode. By seed, so that each can be made again. */
import { exactGuests } from '../support/exact-guests';
import { program, randomSource } from '../support/guest';

export interface Chunk {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface Family {
  readonly title: string;
  readonly count: number;
  /** What to put into memory; the processor begins at 7C00h in real mode. */
  make(seed: number): readonly Chunk[];
}

const BOOT = 0x7c00;
type Random = (bound: number) => number;

/** Prefixes and opcodes that reach deep into the machine, more often than chance would bring them. */
const deep: readonly (readonly number[])[] = [
  [0x0f, 0x01], [0x0f, 0x00], [0x0f, 0x20], [0x0f, 0x22], [0x0f, 0x21], [0x0f, 0x23], [0x0f, 0x30], [0x0f, 0x32], [0x0f, 0x34], [0x0f, 0x35], [0x0f, 0x06],
  [0x0f, 0xb2], [0x0f, 0xb4], [0x0f, 0xc7], [0x0f, 0xa4], [0x0f, 0xab], [0x0f, 0x02], [0x0f, 0x03],
  [0xf3, 0xa4], [0xf3, 0xab], [0xf2, 0xae], [0xf3, 0xa6], [0xf3, 0x6c], [0xf3, 0x6e], [0x66], [0x67], [0xf0], [0x2e], [0x64], [0x36],
  [0x8e], [0x1f], [0x17], [0x07], [0x9d], [0x9c], [0xcf], [0xcb], [0xca], [0xcd], [0xcc], [0xce], [0xf1], [0xfa], [0xfb], [0xf4], [0x9a], [0xea],
  [0xff], [0xc8], [0xc9], [0x60], [0x61], [0x62], [0xc4], [0xc5], [0xe4], [0xe6], [0xec], [0xee], [0xed], [0xef], [0xe8], [0xe9], [0xeb], [0xe2], [0x75], [0xc3],
  [0xa5], [0xab], [0x89, 0x05], [0xc7, 0x05], [0x8f], [0xf6], [0xf7], [0xd4], [0x37], [0x27],
];

function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random(256);
  return bytes;
}

/** Random bytes among which every few bytes something deep begins. */
function deepBytes(random: Random, length: number): Uint8Array {
  const bytes = randomBytes(random, length);
  for (let at = 0; at < length - 4; at += 1 + random(6)) bytes.set(deep[random(deep.length)], at);
  return bytes;
}

const originals = Object.values(exactGuests).map((source) => program(source).bytes);

/** Real mode into flat protected mode with what the world provides, then to 20000h. */
const entry = program(`bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  lgdt [gdtr]
  lidt [idtr]
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
  mov fs, ax
  mov gs, ax
  mov esp, 0x90000
  mov eax, [0x600]
  mov cr4, eax
  mov eax, 0x100000
  mov cr3, eax
  mov eax, [0x604]
  mov cr0, eax
  mov ax, 0x28
  ltr ax
  push dword [0x608]
  popfd
  mov eax, [0x60c]
  mov dr7, eax
  jmp 0x20000
  align 8
gdtr: dw 0xff
  dd 0x1000
idtr: dw 0x7ff
  dd 0x2000`).bytes;

function protectedWorld(seed: number): Chunk[] {
  const random = randomSource(seed);
  const dword = () => (random(0x10000) * 0x10000 + random(0x10000)) >>> 0;
  const low = new Uint8Array(0x10);
  const view = new DataView(low.buffer);
  // CR4: of the bits that exist; CR0: PE, often PG and WP; EFLAGS; DR7.
  view.setUint32(0, dword() & 0x9f & ~0x03, true);
  view.setUint32(4, 0x11 | (random(4) ? 0x80000000 : 0) | (random(2) ? 0x10000 : 0), true);
  view.setUint32(8, random(3) ? 2 : dword() & 0x247fd7, true);
  view.setUint32(12, random(3) ? 0x400 : dword(), true);
  const gdt = randomBytes(random, 0x100);
  const gdtView = new DataView(gdt.buffer);
  for (let entryNumber = 1; entryNumber < 32; entryNumber++) {
    // Present, of any type, flat or with random base and limit.
    const access = 0x80 | (random(4) << 5) | random(32);
    gdtView.setUint32(entryNumber * 8, random(2) ? 0xffff : dword() & 0x0007ffff, true);
    gdtView.setUint32(entryNumber * 8 + 4, (random(2) ? 0x00cf0000 : dword() & 0x00ff00ff) | (access << 8), true);
  }
  gdtView.setUint32(8, 0xffff, true);
  gdtView.setUint32(12, 0x00cf9b00, true);
  gdtView.setUint32(16, 0xffff, true);
  gdtView.setUint32(20, 0x00cf9300, true);
  gdtView.setUint32(40, 0x30000067, true);
  gdtView.setUint32(44, 0x00008900, true);
  const idt = randomBytes(random, 0x800);
  for (let vector = 0; vector < 256; vector++) {
    if (!random(5)) continue;
    const types = [0x8e, 0x8f, 0xee, 0x86, 0x87, 0x85, 0x8e, 0x8e];
    idt.set([random(256), random(4), random(6) ? 8 : random(256) & 0xf8, 0, 0, types[random(types.length)], random(4) ? 2 : random(256), 0], vector * 8);
  }
  const directory = new Uint8Array(0x1000), table = new Uint8Array(0x1000);
  const directoryView = new DataView(directory.buffer), tableView = new DataView(table.buffer);
  for (let i = 0; i < 1024; i++) {
    // Identity; here and there other frames (the tables themselves among them), other rights, nothing.
    const odd = random(16);
    tableView.setUint32(i * 4, odd === 0 ? dword() : odd === 1 ? 0x100000 + random(4) * 0x1000 + 7 : odd === 2 ? (i << 12) | 5 : odd === 3 ? 0 : (i << 12) | 7, true);
    directoryView.setUint32(i * 4, [0x101007, 0x100007, 0, 0x400087, dword(), 0x101003, 0x102007, 0xfec00087][random(8)], true);
  }
  directoryView.setUint32(0, 0x101007, true);
  for (const page of [0, 1, 2, 3, 7, 0x20, 0x21, 0x8f, 0x100, 0x101]) tableView.setUint32(page * 4, (page << 12) | 7, true);
  return [
    { address: BOOT, bytes: entry }, { address: 0x600, bytes: low }, { address: 0x1000, bytes: gdt }, { address: 0x2000, bytes: idt },
    { address: 0x3000, bytes: randomBytes(random, 0x100) }, { address: 0x100000, bytes: directory }, { address: 0x101000, bytes: table },
    { address: 0x20000, bytes: deepBytes(random, 0x2000) },
  ];
}

export const families: readonly Family[] = [
  { title: 'random boot sectors', count: 3500, make: (seed) => [{ address: BOOT, bytes: randomBytes(randomSource(seed), 512) }] },
  { title: 'boot sectors full of system instructions', count: 2500, make: (seed) => [{ address: BOOT, bytes: deepBytes(randomSource(seed), 2048) }] },
  {
    title: 'damaged programs', count: 2000, make: (seed) => {
      const random = randomSource(seed);
      const bytes = originals[random(originals.length)].slice();
      for (let hits = 1 + random(12); hits > 0; hits--) {
        const at = random(bytes.length);
        if (random(2)) bytes[at] ^= 1 << random(8);
        else bytes.set(deep[random(deep.length)].slice(0, bytes.length - at), at);
      }
      return [{ address: BOOT, bytes }];
    },
  },
  { title: 'random worlds in protected mode', count: 2000, make: protectedWorld },
];
