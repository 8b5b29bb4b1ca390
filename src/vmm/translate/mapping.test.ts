/** Code and paging: links and units follow the guest's page tables, whichever way a page comes to show other bytes. */
import assert from 'node:assert/strict';
import { BareEngine, program, type Program } from '../../../test/support/guest';
import { PageFault } from '../mmu/types';

const bare = new BareEngine(undefined, 'threaded');
const EAX = 0, EBX = 3, EDX = 2, EDI = 7;
const DIRECTORY = 0x100000, TABLE = 0x101000, OTHER_DIRECTORY = 0x102000, OTHER_TABLE = 0x103000;

/** A page that adds to one register and returns. */
const adds = (register: 'eax' | 'ebx' | 'edx' | 'edi') => program(`bits 32\norg 0\n inc ${register}\n ret`).bytes;

/** The program with paging on: the first 4 MiB identical, in two address spaces; `map` puts frames at other linear pages of the first. */
function paged(text: string, map: Readonly<Record<number, number>> = {}): Program {
  const source = program(`bits 32\norg 0x1000\n${text}`);
  bare.load(source);
  const { physical } = bare.mmu;
  physical.write32(DIRECTORY, TABLE | 7);
  physical.write32(OTHER_DIRECTORY, OTHER_TABLE | 7);
  for (let page = 0; page < 1024; page++) for (const table of [TABLE, OTHER_TABLE]) physical.write32(table + page * 4, (page << 12) | 7);
  for (const [page, frame] of Object.entries(map)) physical.write32(TABLE + Number(page) * 4, (frame << 12) | 7);
  const { state } = bare;
  state.cr3 = DIRECTORY;
  state.cr0 = 0x80000011;
  bare.engine.cpu.pagingChanged('cr0');
  bare.engine.stateChanged();
  return source;
}

const put = (address: number, bytes: Uint8Array) => bare.mmu.physical.writeBytes(address, bytes);

describe('threaded code: page tables', () => {
  it('fills entries that nothing came from, and sees a change of one in use', () => {
    // Pages 512 to 1023 are mapped one after the other, then used through two of them; page 512 is given another frame in between.
    paged(`mov edi, ${TABLE + 512 * 4}
      mov ecx, 512
    fill: mov dword [edi + ecx*4 - 4], 0x40007
      dec ecx
      jnz fill
      mov eax, [0x200000]
      mov edx, [0x3ff000]
      mov dword [edi], 0x50007
      invlpg [0x200000]
      mov ebx, [0x200000]
      xor eax, edx
      hlt`);
    put(0x40000, Uint8Array.of(1, 2, 3, 4));
    put(0x50000, Uint8Array.of(5, 6, 7, 8));
    bare.toHalt();
    assert.equal(bare.register(EAX), 0);
    assert.equal(bare.register(EBX), 0x08070605);
  });

  it('takes a link to another page only while the page is mapped as it was: PTE and INVLPG', () => {
    paged(`mov ecx, 20
    again: call 0x20000
      test ecx, 1
      jz keep
      xor dword [${TABLE + 0x20 * 4}], 0x20000 ^ 0x30000
      invlpg [0x20000]
    keep: dec ecx
      jnz again
      hlt`);
    put(0x20000, adds('eax'));
    put(0x30000, adds('ebx'));
    bare.toHalt();
    assert.deepEqual([bare.register(EAX), bare.register(EBX)], [10, 10]);
  });

  it('takes a direct jump between pages by the mapping at hand: CR3 load', () => {
    paged(`mov ecx, 20
    again: jmp near 0x20000
      times 0x20-($-$$) nop
    back: mov eax, cr3
      xor eax, ${DIRECTORY ^ OTHER_DIRECTORY}
      mov cr3, eax
      dec ecx
      jnz again
      hlt`);
    bare.mmu.physical.write32(OTHER_TABLE + 0x20 * 4, 0x30007);
    put(0x20000, program('bits 32\norg 0x20000\n inc ebx\n jmp near 0x1020').bytes);
    put(0x30000, program('bits 32\norg 0x20000\n inc edx\n jmp near 0x1020').bytes);
    bare.toHalt();
    assert.deepEqual([bare.register(EBX), bare.register(EDX)], [10, 10]);
    assert.ok(bare.count('addressSpaceSwitches') >= 20);
  });

  it('keeps links between pages across CR3 loads that change nothing', () => {
    paged(`mov ecx, 50
    again: jmp near 0x20000
      times 0x20-($-$$) nop
    back: mov eax, cr3
      mov cr3, eax
      dec ecx
      jnz again
      hlt`);
    put(0x20000, program('bits 32\norg 0x20000\n inc ebx\n jmp near 0x1020').bytes);
    bare.toHalt();
    assert.equal(bare.register(EBX), 50);
    assert.ok(bare.count('chainedJumps') >= 3 * 45);
    assert.ok(bare.count('translationUnits') < 12);
  });

  it('runs one frame at two linear addresses as two', () => {
    paged(`mov ecx, 10
    again: call 0x50000
      call 0x20000
      dec ecx
      jnz again
      hlt`, { 0x50: 0x20 });
    // call $+5 / pop tells where it runs.
    put(0x20000, program('bits 32\norg 0\n call next\nnext: pop eax\n add edi, eax\n ret').bytes);
    bare.toHalt();
    assert.equal(bare.register(EDI), 10 * (0x50005 + 0x20005));
  });

  for (const half of ['first', 'second'] as const) {
    it(`executes a straddling instruction as its ${half} page is mapped now`, () => {
      paged(`mov ecx, 10
      again: call 0x20ffe
        xor dword [${TABLE + (half === 'first' ? 0x20 : 0x21) * 4}], 0x40000
        invlpg [${half === 'first' ? 0x20000 : 0x21000}]
        dec ecx
        jnz again
        hlt`);
      // mov eax, imm32 with two bytes on the first page; add edi, eax; ret.
      for (const base of [0x20000, 0x60000]) {
        put(base + 0xffe, Uint8Array.of(0xb8, base === 0x20000 ? 1 : 2));
        put(base + 0x1000, Uint8Array.of(base === 0x20000 ? 1 : 2, 0, 0, 0x01, 0xc7, 0xc3));
      }
      bare.toHalt();
      const changed = half === 'first' ? 0x0102 : 0x0201;
      assert.equal(bare.register(EDI), 5 * 0x0101 + 5 * changed);
    });
  }

  it('faults on the second page of a straddling instruction once it is gone, with its address in CR2', () => {
    paged(`call 0x20ffe
      mov dword [${TABLE + 0x21 * 4}], 0
      invlpg [0x21000]
      call 0x20ffe
      hlt`);
    put(0x20ffe, Uint8Array.of(0xb8, 1, 0, 0, 0, 0xc3));
    const exit = bare.toExit();
    assert.ok(exit.kind === 'fault' && exit.fault instanceof PageFault);
    assert.deepEqual([exit.fault.linear, exit.fault.errorCode, bare.state.eip], [0x21000, 0, 0x20ffe]);
  });

  it('re-checks a straddling instruction whose second page cannot be entered', () => {
    paged('again: call 0x20ffe\n hlt\n jmp again');
    put(0x20ffe, Uint8Array.of(0xb8, 1, 0, 0, 0, 0x47, 0xc3));
    bare.toHalt();
    // While a data breakpoint watches the page no lookup entry exists for it, before and after it does.
    for (let round = 0; round < 3; round++) {
      const watch = bare.mmu.watchLinear(0x21800, 4, undefined, () => undefined);
      bare.toHalt();
      assert.equal(bare.mmu.lookup.readEntry(bare.mmu.shadow.active, 0x21), -1);
      // Remapped while it is watched: nothing but the translation itself could remember the old page.
      bare.mmu.physical.write32(TABLE + 0x21 * 4, round % 2 === 0 ? 0x61007 : 0x21007);
      put(0x61000, Uint8Array.of(0, 0, 0, 0x43, 0xc3));
      bare.toHalt();
      watch.remove();
      bare.toHalt();
      bare.toHalt();
    }
    // edi by the old page, ebx by the new one: 1 before; then 1 and 3, 1 and 3 the other way round, 1 and 3 again.
    assert.deepEqual([bare.register(EDI), bare.register(EBX)], [1 + 1 + 3 + 1, 3 + 1 + 3]);
  });

  it('leaves a page at once that remaps itself, whatever the slices', () => {
    // The code's own page gets another frame; what follows is the other frame's code from the next instruction on.
    const source = `jmp near 0x20000
      times 0x100-($-$$) nop`;
    const run = (slice: number) => {
      paged(source);
      const code = (tail: string) => program(`bits 32\norg 0x20000\n mov dword [${TABLE + 0x20 * 4}], 0x30007\n times 3 ${tail}\n hlt`).bytes;
      put(0x20000, code('inc eax'));
      put(0x30000, code('inc ebx'));
      bare.halted = false;
      while (!bare.halted) bare.engine.execute(slice, 'full');
      return bare.snapshot();
    };
    const whole = run(1000);
    assert.deepEqual([bare.register(EAX), bare.register(EBX)], [0, 3]);
    for (const slice of [1, 2, 3]) assert.equal(run(slice), whole);
  });

  it('finds a unit among thousands of aliases of its frame as fast as any', () => {
    // Every linear page of 4 MiB from 0x400000 on shows the same frame; each entry jumps to the next page.
    paged(`mov ecx, 3
    round: jmp 0x400000
    back: dec ecx
      jnz round
      hlt`);
    bare.mmu.physical.write32(DIRECTORY + 4, 0x104007);
    for (let page = 0; page < 1024; page++) bare.mmu.physical.write32(0x104000 + page * 4, 0x20007);
    put(0x20000, program(`bits 32\norg 0\n call here\nhere: pop eax\n and eax, 0xfffff000\n add eax, 0x1000\n inc edi\n cmp eax, 0x800000\n je end\n jmp eax\nend: push ${0x1000 + 10}\n ret`).bytes);
    bare.toHalt();
    assert.equal(bare.register(EDI), 3 * 1024);
    // Straight through the lists that a discarding write visits.
    bare.mmu.physical.write8(0x20000, 0xe8);
    assert.ok(bare.count('codeInvalidations') >= 1024);
  });
});
