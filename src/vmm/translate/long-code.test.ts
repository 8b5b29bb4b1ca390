/** Threaded code in 64-bit mode: where addresses come from, what is refused, and code that crosses from one 4 GiB to the next. */
import assert from 'node:assert/strict';
import { BareEngine, program } from '../../../test/support/guest';
import { GuestFault } from '../cpu/exceptions';
import { EIP, Segment, SEGMENTS, SEGMENT_FIELDS, SEGMENT_SIZE } from '../cpu/layout';
import { PageFault } from '../mmu/types';

const PAGE_MAP = 0x300000;
const CODE = 0x10000;

class LongEngine extends BareEngine {
  private nextTable = PAGE_MAP + 0x10000;

  start(source: string): this {
    this.nextTable = PAGE_MAP + 0x10000;
    this.mmu.physical.writeBytes(PAGE_MAP, new Uint8Array(0x20000));
    this.mmu.physical.writeBytes(0x20000, new Uint8Array(0x30000));
    return this.load(program(`bits 64\norg ${CODE}\n${source}`), 'long');
  }

  /** Maps a page of 4 KiB. */
  map(linear: bigint, physical: number): this {
    const { physical: memory } = this.mmu;
    let table = PAGE_MAP;
    for (const level of [39n, 30n, 21n]) {
      const at = table + Number((linear >> level) & 511n) * 8;
      let entry = memory.read32(at);
      if (!(entry & 1)) {
        memory.write32(at, entry = this.nextTable | 7);
        this.nextTable += 0x1000;
      }
      table = entry & 0xfffff000;
    }
    memory.write32(table + Number((linear >> 12n) & 511n) * 8, physical | 7);
    return this;
  }

  at(rip: bigint): this {
    this.state.u64[EIP >> 3] = rip;
    this.engine.stateChanged();
    return this;
  }

  get rip(): bigint { return this.state.u64[EIP >> 3]; }

  base(segment: Segment, value: bigint): this {
    this.state.u64[(SEGMENTS + SEGMENT_SIZE * segment + SEGMENT_FIELDS.base) >> 3] = value;
    return this;
  }

  wide(n: number): bigint { return this.state.get64(n); }

  /** The vector of the fault that ends the run. */
  fault(): number {
    const exit = this.toExit();
    assert.ok(exit.kind === 'fault');
    return exit.fault instanceof GuestFault ? exit.fault.vector : 14;
  }
}

const engine = (() => {
  let made: LongEngine | undefined;
  return () => made ??= new LongEngine();
})();
const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RSI = 6, RDI = 7, R8 = 8;

describe('threaded code: 64-bit addresses', () => {
  it('counts relative ones from the next instruction, immediates included', () => {
    const e = engine().start(`
      mov dword [rel word0], 0x11223344
      add qword [rel word0], 0x7f
      mov eax, [rel word0]
      lea rcx, [rel word0]
      mov dl, [rel word0]
      hlt
      align 8
      word0: dq 0
    `);
    e.toHalt();
    assert.equal(e.wide(RAX), 0x112233c3n);
    assert.equal(e.wide(RCX), BigInt(program(`bits 64\norg ${CODE}\nmov dword [rel w], 1\nadd qword [rel w], 0x7f\nmov eax,[rel w]\nlea rcx,[rel w]\nmov dl,[rel w]\nhlt\nalign 8\nw: dq 0`).label('w')));
  });

  it('takes 64 bits of offset in MOV, and 64 bits of immediate', () => {
    const e = engine().start('mov rax, [qword 0xffff900000000008]\nmov [qword 0xffff900000000010], rax\nmov rcx, 0x8877665544332211\nhlt');
    e.map(0xffff900000000000n, 0x20000);
    e.mmu.physical.write32(0x20008, 0x12345678);
    e.mmu.physical.write32(0x2000c, 0x9abcdef0);
    e.toHalt();
    assert.equal(e.wide(RAX), 0x9abcdef012345678n);
    assert.equal(e.mmu.physical.read32(0x20014), 0x9abcdef0);
    assert.equal(e.wide(RCX), 0x8877665544332211n);
  });

  it('adds FS and GS bases of 64 bits, and no other', () => {
    const e = engine().start('mov rax, [fs:8]\nmov rbx, [gs:rcx+16]\nmov rdx, [es:0x20000]\nmov esi, [fs:ecx+8]\nhlt');
    e.map(0xffff900000000000n, 0x20000).base(Segment.FS, 0xffff900000000000n).base(Segment.GS, 0xffff900000000000n).base(Segment.ES, 0x1000n);
    for (const [at, value] of [[0x20000, 0x77], [0x20008, 0x55], [0x20010, 0x66]]) e.mmu.physical.write32(at, value);
    e.toHalt();
    assert.deepEqual([e.wide(RAX), e.wide(RBX), e.wide(RDX), e.wide(RSI)], [0x55n, 0x66n, 0x77n, 0x55n]);
  });

  it('cuts 32-bit addresses', () => {
    const e = engine().start('mov rbx, 0x1200020000\nmov eax, [ebx+8]\nmov ecx, -8\nmov edx, [ebx+ecx+16]\nlea rsi, [ebx+ecx]\nlea rdi, [rbx+4]\nhlt');
    e.mmu.physical.write32(0x20008, 0x55);
    e.toHalt();
    assert.deepEqual([e.wide(RAX), e.wide(RDX), e.wide(RSI), e.wide(RDI)], [0x55n, 0x55n, 0x1fff8n, 0x1200020004n]);
  });

  const refused: readonly (readonly [string, string, number])[] = [
    ['a load', 'mov rax, [rbx]', 13], ['a store', 'mov [rbx+8], al', 13], ['a load that ends beyond', 'mov rax, [rdx]', 13], ['a load by rBP', 'mov rax, [rbp]', 12],
    ['a load by rSP with a DS prefix, which means nothing', 'db 0x3e\nmov rax, [rsp]', 12], ['a push', 'push rax', 12], ['a call', 'call $+5', 12], ['a pop to memory', 'pop qword [rbx]', 12],
    ['an addition', 'add [rbx], eax', 13], ['a string store', 'stosq', 13], ['sixteen bytes', 'movdqu xmm0, [rbx]', 13], ['an indirect jump through memory', 'jmp [rbx]', 13],
    ['a jump', 'jmp rbx', 13], ['a call to a register', 'mov esp, 0x9000\ncall rbx', 13], ['a return', 'mov esp, 0x9000\nmov [rsp], rbx\nret', 13],
    ['FS beyond the edge', 'mov rax, [fs:0]', 13],
  ];
  for (const [title, code, vector] of refused) {
    it(`refuses ${title} at an address that is not canonical, with nothing changed`, () => {
      const e = engine().start(`mov rax, cr4\nor eax, 0x200\nmov cr4, rax\nmov rbx, 0x8000000000000000\nmov rdx, 0x7ffffffffffc\nmov rbp, rbx\nmov rsp, rbx\nmov rdi, rbx\nat: ${code}\nhlt`);
      e.map(0x7ffffffff000n, 0x20000).base(Segment.FS, 0x8000_0000_0000n);
      assert.equal(e.fault(), vector);
      const before = code.includes('\n') && !code.startsWith('db') ? e.wide(RSP) : 0x8000000000000000n;
      assert.equal(e.wide(RSP), before);
      assert.ok(e.rip >= BigInt(program(`bits 64\norg ${CODE}\nmov rax, cr4\nor eax, 0x200\nmov cr4, rax\nmov rbx, 0x8000000000000000\nmov rdx, 0x7ffffffffffc\nmov rbp, rbx\nmov rsp, rbx\nmov rdi, rbx\nat: nop`).label('at')));
    });
  }

  it('faults for a page with all of its address', () => {
    const e = engine().start('mov rbx, 0xffff812345678ffc\nmov rax, [rbx+4]\nhlt');
    e.map(0xffff812345678000n, 0x20000);
    const exit = e.toExit();
    assert.ok(exit.kind === 'fault' && exit.fault instanceof PageFault);
    assert.equal(exit.fault.linear, 0x812345679000);
  });

  it('reaches pages whose entries share a place in the table', () => {
    const e = engine().start('mov rbx, 0x20000\nmov rcx, 0x4020000\nmov rdx, 0xffff800004020000\nmov edi, 100\nagain:\ninc qword [rbx]\nadd qword [rcx], 2\nadd qword [rdx], 3\ndec edi\njnz again\nhlt');
    e.map(0x4020000n, 0x21000).map(0xffff800004020000n, 0x22000);
    e.toHalt();
    assert.deepEqual([0x20000, 0x21000, 0x22000].map((at) => e.mmu.physical.read32(at)), [100, 200, 300]);
  });
});

describe('threaded code: 64-bit code', () => {
  it('clears the upper half with 32 bits, keeps it with 16 and 8, and knows SPL from AH', () => {
    const e = engine().start('mov rax, -1\nmov rcx, -1\nmov rdx, -1\nmov rbx, -1\nmov eax, 1\nmov cx, 1\nmov dl, 1\nmov bh, 1\nmov esi, 0x11223344\nmov r8, -1\nmov r8b, sil\nmov dil, r8b\nhlt');
    e.toHalt();
    assert.deepEqual([RAX, RCX, RDX, RBX, R8, RDI].map((n) => e.wide(n)), [1n, 0xffffffffffff0001n, 0xffffffffffffff01n, 0xffffffffffff01ffn, 0xffffffffffffff44n, 0x44n]);
  });

  const MIB2 = 0x200000n;
  /** Code at the end of 4 GiB and at the beginning of the next. */
  const crossing = (e: LongEngine, bytes: Uint8Array, before: number): LongEngine => {
    e.map(0xfffff000n, 0x30000).map(0x100000000n, 0x31000);
    e.mmu.physical.writeBytes(0x31000 - before, bytes);
    return e.at(0x100000000n - BigInt(before));
  };
  const code = (text: string, origin = '0xfffff000'): Uint8Array => program(`bits 64\norg ${origin}\n${text}`).bytes;

  it('falls through from one 4 GiB to the next, between instructions and within one', () => {
    const bytes = code('inc eax\nadd rax, 0x12345678\nlea rcx, [rel $]\nhlt');
    for (let before = 0; before < 16; before++) {
      const e = crossing(engine().start('hlt'), bytes, before);
      e.toHalt();
      assert.equal(e.wide(RAX), 0x12345679n, String(before));
      assert.equal(e.wide(RCX), 0x100000000n - BigInt(before) + 8n, String(before));
      assert.equal(e.rip, 0x100000000n - BigInt(before) + BigInt(bytes.length), String(before));
    }
  });

  it('jumps, calls and loops across it, forward and back', () => {
    const bytes = code(`
      mov ecx, 5
    again:
      add rax, rcx
      call far_away
      loop again
      jmp done
      times 0x40 nop
    far_away:
      add rbx, 1
      cmp rbx, 3
      jne back
      add rdx, 0x10
    back:
      ret
    done:
      hlt
    `);
    for (const before of [1, 5, 8, 13, 15, 17, 0x30, 0x54, 0x58, 0x5c, 0x60]) {
      const e = crossing(engine().start('hlt'), bytes, before);
      e.toHalt();
      assert.deepEqual([RAX, RBX, RCX, RDX].map((n) => e.wide(n)), [15n, 5n, 0n, 0x10n], String(before));
    }
  });

  it('refuses to fall or jump out of the canonical addresses', () => {
    const top = 0x7ffffffff000n;
    let e = engine().start('hlt').map(top, 0x30000);
    e.mmu.physical.writeBytes(0x30fff, Uint8Array.of(0x90));
    assert.equal(e.at(top + 0xfffn).fault(), 13);
    assert.equal(e.rip, 0x800000000000n);
    e = engine().start('hlt').map(top, 0x30000);
    e.mmu.physical.writeBytes(0x30ff0, code('call $+0x20'));
    assert.equal(e.at(top + 0xff0n).fault(), 13);
    assert.equal(e.rip, top + 0xff0n);
    assert.equal(e.wide(RSP), 0x9000n);
    e = engine().start('hlt').map(top, 0x30000);
    e.mmu.physical.writeBytes(0x30ffe, Uint8Array.of(0x48, 0x01));
    assert.equal(e.at(top + 0xffen).fault(), 13);
    assert.equal(e.rip, top + 0xffen);
  });

  it('goes between halves of the address space through the jump cache', () => {
    const e = engine().start(`mov rbx, 0xffffffff80020000 + there\nmov ecx, 1000\nagain:\ncall rbx\ndec ecx\njnz again\nhlt\nthere:\ninc rax\nret`);
    e.map(0xffffffff80030000n, CODE);
    e.toHalt();
    assert.equal(e.wide(RAX), 1000n);
    assert.ok(e.count('indirectMisses') < 20, String(e.count('indirectMisses')));
    assert.equal(e.rip & ~MIB2, e.rip);
  });

  it('sees what it writes over itself', () => {
    const e = engine().start(`mov ecx, 3\nagain:\nmov eax, 1\nadd rdx, rax\ninc byte [rel again + 1]\ndec ecx\njnz again\nhlt`);
    e.toHalt();
    assert.equal(e.wide(RDX), 6n);
  });

  it('repeats string instructions by 64-bit and 32-bit counters, wherever a run ends', () => {
    const source = `
      mov rdi, 0xffff900000000ff0
      mov rsi, 0x20000
      mov ecx, 300
      rep movsq
      mov rdi, 0xffff900000001800
      mov rax, 0x0102030405060708
      mov ecx, 100
      rep stosq
      mov rcx, 0x500000007
      mov edi, 0x28000
      a32 rep stosw
      hlt
    `;
    const run = (step: number): string => {
      const e = engine().start(source);
      for (let n = 0; n < 8; n++) e.map(0xffff900000000000n + BigInt(n) * 0x1000n, 0x40000 + n * 0x1000);
      e.mmu.physical.writeBytes(0x20000, Uint8Array.from({ length: 2400 }, (_, n) => n * 7));
      e.halted = false;
      for (let k = 0; k < 5000 && !e.halted; k++) e.engine.execute(step, 'full');
      assert.equal(e.wide(RCX), 0n);
      assert.equal(e.wide(RDI), 0x2800en);
      assert.equal(e.mmu.physical.read32(0x40ff4), 0x31_2a_23_1c);
      return e.snapshot();
    };
    const whole = run(100_000);
    for (const step of [1, 7, 64]) assert.equal(run(step), whole, String(step));
  });

  it('divides 128 bits by 64', () => {
    const e = engine().start(`
      mov rdx, 0x123456789abcdef0
      mov rax, 0xfedcba9876543210
      mov rbx, 0xf000000000000001
      div rbx
      mov rsi, rax
      mov rdi, rdx
      mov rdx, -5
      mov rax, 7
      mov rbx, -0x7000000000000000
      idiv rbx
      hlt
    `);
    e.toHalt();
    const dividend = (0x123456789abcdef0n << 64n) | 0xfedcba9876543210n;
    assert.deepEqual([e.wide(RSI), e.wide(RDI)], [dividend / 0xf000000000000001n, dividend % 0xf000000000000001n]);
    const signed = (-5n << 64n) | 7n;
    assert.deepEqual([BigInt.asIntN(64, e.wide(RAX)), BigInt.asIntN(64, e.wide(RDX))], [signed / -0x7000000000000000n, signed % -0x7000000000000000n]);
    assert.equal(engine().start('mov rdx, 1\nmov rax, 0\nmov ebx, 1\ndiv rbx\nhlt').fault(), 0);
    assert.equal(engine().start('mov rax, 0x8000000000000000\ncqo\nmov rbx, -1\nidiv rbx\nhlt').fault(), 0);
  });
});
