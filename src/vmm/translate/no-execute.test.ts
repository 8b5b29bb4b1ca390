/** Code and PAE paging: translated code runs only where the guest's page tables let it, however the page came to forbid it. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { PageFault } from '../mmu/types';

const bare = new BareEngine();
const EAX = 0, EBX = 3, EDI = 7;
const POINTERS = 0x100020, DIRECTORY = 0x101000, TABLE = 0x102000, OTHER_POINTERS = 0x100040, OTHER_DIRECTORY = 0x103000, OTHER_TABLE = 0x104000;
/** The high word of the entry that maps linear page 0x20. */
const HIGH = TABLE + 0x20 * 8 + 4, OTHER_HIGH = OTHER_TABLE + 0x20 * 8 + 4;
const XD = 0x80000000;

/** Turns PAE paging on with execute-disable, as a system does. */
const enter = `mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov eax, ${POINTERS}
  mov cr3, eax
  mov ecx, 0xc0000080
  mov eax, 0x800
  xor edx, edx
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  xor eax, eax
`;

/** The program behind `enter`, with the first 2 MiB mapped one to one in two address spaces. */
function paged(text: string): void {
  bare.load(program(`bits 32\norg 0x1000\n${enter}${text}`));
  const { physical } = bare.mmu;
  const entry = (at: number, low: number): void => {
    physical.write32(at, low);
    physical.write32(at + 4, 0);
  };
  for (const [pointers, directory, table] of [[POINTERS, DIRECTORY, TABLE], [OTHER_POINTERS, OTHER_DIRECTORY, OTHER_TABLE]]) {
    for (let n = 0; n < 4; n++) entry(pointers + n * 8, n === 0 ? directory | 1 : 0);
    entry(directory, table | 7);
    for (let page = 0; page < 512; page++) entry(table + page * 8, (page << 12) | 7);
  }
}

const put = (address: number, text: string): void => bare.mmu.physical.writeBytes(address, program(`bits 32\norg ${address}\n${text}`).bytes);

/** The page fault that the program ends with. */
function fault(): { linear: number; errorCode: number; eip: number } {
  for (let left = 10; left > 0; left--) {
    const exit = bare.engine.execute(100_000, 'full');
    if (exit.kind === 'fault') {
      assert.ok(exit.fault instanceof PageFault, JSON.stringify(exit.fault));
      return { ...exit.fault, eip: bare.state.eip };
    }
    if (bare.halted) break;
  }
  return assert.fail('no page fault');
}

describe('threaded code: execute-disable', () => {
  it('runs a program that turns PAE paging on by itself', () => {
    paged('call 0x20000\n hlt');
    put(0x20000, 'mov ebx, 7\n ret');
    bare.toHalt();
    assert.equal(bare.register(EBX), 7);
    assert.equal(bare.state.efer, 0x800);
  });

  for (const call of ['call 0x20000', 'mov edx, 0x20000\n call edx']) {
    it(`'${call.replace('\n', ';')}' reaches known code no more when the PTE forbids it, though the page was read since`, () => {
      paged(`mov ecx, 20
      again: ${call}
        dec ecx
        jnz again
        or dword [${HIGH}], ${XD}
        invlpg [0x20000]
        mov edi, [0x20000]
        mov edi, [0x20000]
        mov ecx, 1
        jmp again`);
      put(0x20000, 'inc ebx\n ret');
      assert.deepEqual(fault(), { linear: 0x20000, errorCode: 0x11, eip: 0x20000 });
      assert.equal(bare.register(EBX), 20);
      assert.notEqual(bare.register(EDI), 0, 'the page is still read');
    });
  }

  it('a linked jump between pages reaches known code no more either', () => {
    paged(`mov ecx, 20
      jmp near again
      times 0x80-($-$$) nop
    back: dec ecx
      jnz again
      or dword [${HIGH}], ${XD}
      mov edi, [0x20000]
      mov edi, [0x20000]
      jmp near again
      nop
    again: jmp near 0x20000`);
    put(0x20000, 'inc ebx\n jmp near 0x1080');
    assert.deepEqual(fault(), { linear: 0x20000, errorCode: 0x11, eip: 0x20000 });
    assert.equal(bare.register(EBX), 20);
  });

  it('does not take a link in an address space that forbids the same frame at the same address', () => {
    paged(`mov ecx, 5
    again: call 0x20000
      mov edi, [0x20000]
      dec ecx
      jnz again
      mov eax, ${OTHER_POINTERS}
      mov cr3, eax
      mov edi, [0x20000]
      mov edi, [0x20000]
      mov ecx, 5
      jmp again`);
    bare.mmu.physical.write32(OTHER_HIGH, XD);
    put(0x20000, 'inc ebx\n ret');
    assert.deepEqual(fault(), { linear: 0x20000, errorCode: 0x11, eip: 0x20000 });
    assert.equal(bare.register(EBX), 5);
  });

  it('notices that the page was entered for reading, in a space that forbids it, before there was code', () => {
    paged(`mov edx, ${OTHER_POINTERS}
      mov esi, ${POINTERS}
      mov cr3, edx
      mov edi, [0x20000]
      mov cr3, esi
      mov ecx, 5
    again: call 0x20000
      dec ecx
      jnz again
      mov cr3, edx
      mov ecx, 5
      jmp again`);
    bare.mmu.physical.write32(OTHER_HIGH, XD);
    put(0x20000, 'inc ebx\n ret');
    assert.deepEqual(fault(), { linear: 0x20000, errorCode: 0x11, eip: 0x20000 });
    assert.equal(bare.register(EBX), 5);
  });

  it('stops at the next instruction when a page forbids itself', () => {
    paged('jmp near 0x20000');
    put(0x20000, `again: inc ebx
      or dword [${HIGH}], ${XD}
      jmp again`);
    assert.deepEqual(fault(), { linear: 0x2000b, errorCode: 0x11, eip: 0x2000b });
    assert.equal(bare.register(EBX), 1);
  });

  it('checks the second page of a straddling instruction', () => {
    paged(`mov ecx, 5
    again: call 0x1fffd
      dec ecx
      jnz again
      or dword [${HIGH}], ${XD}
      mov edi, [0x20000]
      mov ecx, 5
      jmp again`);
    put(0x1fffd, 'add ebx, 0x01010101\n ret');
    assert.deepEqual(fault(), { linear: 0x20000, errorCode: 0x11, eip: 0x1fffd });
    assert.equal(bare.register(EBX), 5 * 0x01010101);
  });

  it('runs the page again once the PTE allows it', () => {
    paged(`mov ecx, 6
    again: call 0x20000
      or dword [${HIGH}], ${XD}
      mov edi, [0x20000]
      and dword [${HIGH}], ${0x7fffffff}
      dec ecx
      jnz again
      hlt`);
    put(0x20000, 'inc ebx\n ret');
    bare.toHalt();
    assert.equal(bare.register(EBX), 6);
  });

  it('treats bit 63 as reserved while EFER.NXE is clear', () => {
    paged(`or dword [${HIGH}], ${XD}
      mov edi, [0x20000]
      mov ecx, 0xc0000080
      xor edx, edx
      wrmsr
      mov edi, [0x20004]
      hlt`);
    const { linear, errorCode } = fault();
    assert.deepEqual([linear, errorCode], [0x20004, 9]);
    assert.equal(bare.register(EAX), 0);
  });

  it('reads data in pages that forbid execution without asking again', () => {
    paged(`or dword [${HIGH}], ${XD}
      mov ecx, 5000
    again: add edi, [0x20000]
      dec ecx
      jnz again
      hlt`);
    bare.mmu.physical.write32(0x20000, 3);
    bare.toHalt();
    assert.equal(bare.register(EDI), 15000);
    assert.ok(bare.count('hiddenPageFaults') < 20, `${bare.count('hiddenPageFaults')} hidden page faults`);
    assert.notEqual(bare.mmu.lookup.readEntry(bare.mmu.shadow.active, 0x20), -1);
  });
});
