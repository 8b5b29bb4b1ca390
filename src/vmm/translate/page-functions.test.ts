/** The misses that WebAssembly serves by itself come out as the monitor serves them: random programs over their own page tables, run both ways. */
import assert from 'node:assert/strict';
import { program, TestMachine, type Program } from '../../../test/support/guest';
import { LINEAR_WATCHES } from '../cpu/layout';
import type { Mmu } from '../mmu/mmu';

/** The same numbers in every run. */
class Die {
  constructor(private state: number) {}
  throw(sides: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % sides;
  }
}

const WINDOW = 0x40000000, WINDOW_TABLE = 0x24000, SECOND_WINDOW = 0x40400000, LARGE_WINDOW = 0x40800000;
const PAGES = 6;
const STEPS = 120;

/** CR4: page size extensions, and what keeps user pages from the supervisor. */
const PSE = 0x10, SMEP = 0x100000, SMAP = 0x200000;

interface Setting {
  readonly level: 0 | 3;
  readonly writeProtect: boolean;
  /** The program lies on a page of 4 MiB. */
  readonly large: boolean;
  readonly cr4: number;
}

/**
 * Accesses of six bytes each to pages of the window, and writes to the entries that map them; a page fault is written down and its instruction skipped. At
 * level 0 functions of the window's last page are called.
 */
function guest(die: Die, { level, writeProtect, large, cr4 }: Setting): Program {
  const user = level === 3 ? 4 : 0;
  const steps: string[] = [];
  for (let n = 0; n < STEPS; n++) {
    const page = die.throw(PAGES);
    const window = [WINDOW, WINDOW, SECOND_WINDOW, LARGE_WINDOW + 0x30000][die.throw(4)];
    const linear = window + page * 0x1000 + die.throw(0x3fc) * 4;
    const table = `[${WINDOW_TABLE + 4 * page}]`;
    // Frames: some pages of data, the window's own table, a page of code.
    const frame = page === PAGES - 1 || die.throw(10) ? 0x30000 + 0x1000 * die.throw(4) : die.throw(2) ? WINDOW_TABLE : 0x7000;
    const entry = die.throw(6) ? (frame | die.throw(8) | (die.throw(2) ? 0x60 : 0)) : 0;
    switch (die.throw(level === 0 ? 11 : 9)) {
      case 0: case 1: case 2: steps.push(`mov ecx, ${entry}\n mov ${table}, ecx`); break;
      case 3: steps.push(`mov cl, [${linear + die.throw(4)}]`); break;
      case 4: steps.push(`mov ecx, [${linear + (die.throw(5) ? 0 : 3)}]`); break;
      // Not into the tables: what then happens depends on everything.
      case 5: case 6: steps.push(`mov [${linear & ~0xfff | 0x800 + die.throw(0x1f8) * 4}], ecx`); break;
      case 7: steps.push(`inc dword [${linear & ~0xfff | 0x800 + die.throw(0x1f8) * 4}]`); break;
      case 9: steps.push(`call ${(window & ~0xfffff | window & 0xf0000) + 0x1000 * (PAGES - 1) + 0xff0}`); break;
      case 10: if ((cr4 & SMAP) !== 0) steps.push(die.throw(2) ? 'stac' : 'clac'); break;
      default: steps.push('mov eax, cr3\n mov cr3, eax\n times 2 nop'.split('\n').slice(level === 3 ? 2 : 0).join('\n'));
    }
  }
  return program(`
        bits 16
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
        dd 0x25000
        align 4
tss:    dd 0, 0x90000, 0x10
        times 22 dd 0
        dw 0, 104
        bits 32
flat:   mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov fs, ax
        mov gs, ax
        mov esp, 0x90000
        mov ecx, 0x4000
        mov edi, 0x30000
        mov eax, 0xc3c3c3c3             ; RET
        rep stosd
        mov eax, ${3 | user}
        mov edi, 0x21000
        mov ecx, 0x400
.map:   stosd
        add eax, 0x1000
        loop .map
        mov dword [0x20000], ${(large ? 0x83 : 0x21003) | user}
        mov dword [0x20408], 0x85       ; at 40800000h, read-only
        mov eax, ${cr4}
        mov cr4, eax
        mov dword [0x20400], ${WINDOW_TABLE | 7}
        mov dword [0x20404], ${WINDOW_TABLE | 7}
        mov word [0x25000 + 8 * 14], page_fault
        mov dword [0x25002 + 8 * 14], 0x8e000008
        mov byte [0x25004 + 8 * 14], 0
        mov byte [0x25005 + 8 * 14], 0x8e
        mov word [0x25000 + 8 * 0x81], done
        mov dword [0x25002 + 8 * 0x81], 8
        mov byte [0x25005 + 8 * 0x81], 0xee
        lidt [idt_register]
        mov ax, 0x28
        ltr ax
        mov eax, 0x20000
        mov cr3, eax
        mov eax, cr0
        or eax, ${writeProtect ? 0x80010000 : 0x80000000}
        mov cr0, eax
        mov edi, 0x80000
        xor ebp, ebp
        ${level === 3 ? 'mov ax, 0x23\n mov ds, ax\n mov es, ax\n mov fs, ax\n mov gs, ax\n push dword 0x23\n push dword 0x88000\n push dword 2\n push dword 0x1b\n push dword again\n iretd' : ''}
again:
${steps.join('\n')}
        inc ebp
        cmp ebp, 3
        jne near again
        int 0x81
done:   cli
        hlt
page_fault:
        mov eax, cr2
        stosd
        pop eax
        stosd
        mov eax, cr2
        cmp eax, [esp]
        je .fetch
        add dword [esp], 6
        iretd
.fetch: mov eax, [esp + 12]
        mov [esp], eax
        iretd`);
}

describe('page functions', () => {
  /** One machine that serves what it can by itself, one whose misses are all the monitor's: there is a watch somewhere. */
  class Candidate {
    private readonly machine = new TestMachine(program('org 0x7c00\nhlt'));
    private readonly mmu = (this.machine as unknown as { readonly mmu: Mmu }).mmu;
    private byInstruction = 0;

    constructor(private readonly alone: boolean) {
      if (!alone) this.mmu.watchLinear(0xfffff000, 1, undefined, undefined);
    }

    run(code: Program): { readonly state: string; readonly counters: Record<string, number>; readonly ran: string } {
      const { machine, mmu } = this;
      machine.load(code);
      assert.equal(mmu.physical.words[LINEAR_WATCHES >> 2], this.alone ? 0 : 1);
      const outcome = machine.run(70_000);
      const counters = machine.counters();
      const before = this.byInstruction;
      this.byInstruction = mmu.hiddenPageFaults(1e6).reduce((sum, { count }) => sum + count, 0);
      assert.equal(this.byInstruction - before, counters.hiddenPageFaults);
      const compared = ['instructions', 'skippedTicks', 'hiddenPageFaults', 'truePageFaults', 'traceFaults', 'exceptions', 'addressSpaceSwitches'];
      return { state: machine.state(), counters: Object.fromEntries(compared.map((id) => [id, counters[id]])), ran: outcome.kind };
    }
  }

  it('serve hidden and true page faults and page-table writes as the monitor does', () => {
    const seen = { hiddenPageFaults: 0, truePageFaults: 0, traceFaults: 0 };
    const alone = new Candidate(true), monitored = new Candidate(false);
    for (let n = 0; n < 20; n++) {
      const level = n % 2 || n >= 12 ? 0 : 3;
      const cr4 = PSE | (n < 12 ? 0 : [SMEP, SMAP, SMEP | SMAP][n % 3]);
      const code = guest(new Die(0x2545f491 + 7919 * n), { level, writeProtect: n % 4 < 2, large: n % 3 === 0, cr4 });
      const result = alone.run(code);
      assert.deepEqual(result, monitored.run(code), `program ${n}`);
      assert.equal(result.ran, 'ended');
      for (const id of Object.keys(seen) as (keyof typeof seen)[]) seen[id] += result.counters[id];
    }
    assert.ok(Object.values(seen).every((count) => count > 250), JSON.stringify(seen));
  });
});
