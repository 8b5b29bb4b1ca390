/** The x87 in a running machine: availability, pending exceptions, memory operands that fault, images. Results are the silicon suite's business. */
import assert from 'node:assert/strict';
import { BareEngine, machine, program } from '../../../../test/support/guest';
import { GuestFault } from '../exceptions';

const CODE = 0x1000, DATA = 0x8000;
const assembled = (source: string) => program(`bits 32\norg ${CODE}\n${source}\nhlt\n`);
const run = (source: string, prepare: (engine: BareEngine) => void = () => undefined): BareEngine => {
  const engine = new BareEngine().load(assembled(source));
  prepare(engine);
  return engine.toHalt();
};
const bytesAt = (engine: BareEngine, address: number, length: number): DataView => {
  const bytes = engine.mmu.physical.readBytes(address, length);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
};
const doubleAt = (engine: BareEngine, address: number): number => bytesAt(engine, address, 8).getFloat64(0, true);
const ST_FULL = 'fninit\n' + 'fld1\n'.repeat(8);

describe('x87 instructions in the engine', () => {
  it('calculate', () => {
    const engine = run(`
      fninit
      fld qword [a]
      fmul qword [b]
      fsub dword [c]
      fild word [d]
      fdivp st1, st0
      fstp qword [${DATA}]
      fldpi
      fsin
      fld1
      fpatan
      fstp qword [${DATA + 8}]
      fnstsw ax
      jmp over
      a: dq 3.5
      b: dq 2.0
      c: dd 0.5
      d: dw 4
      over:`);
    assert.equal(doubleAt(engine, DATA), 1.625);
    assert.ok(Math.abs(doubleAt(engine, DATA + 8)) < 1e-18);
    assert.equal(engine.register(0) & 0x3800, 0);
  });

  it('have what RESET leaves: no register empty, all exceptions unmasked', () => {
    const engine = run(`fnstcw [${DATA}]\nfnstenv [${DATA + 16}]`);
    assert.equal(bytesAt(engine, DATA, 2).getUint16(0, true), 0x40);
    assert.equal(bytesAt(engine, DATA + 16, 28).getUint16(8, true), 0x5555);
  });
});

describe('x87 availability', () => {
  const CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_NE = 0x20;
  const faultOf = (source: string, cr0: number): string => {
    const engine = new BareEngine().load(assembled(source));
    engine.state.cr0 |= cr0;
    const exit = engine.engine.execute(100, 'full');
    if (exit.kind !== 'fault') return exit.kind;
    return `${(exit.fault as GuestFault).vector} at ${(engine.state.eip - CODE).toString(16)}`;
  };

  it('raises #NM with EM or TS, and WAIT with MP and TS', () => {
    for (const cr0 of [CR0_EM, CR0_TS]) for (const text of ['fninit', 'fld1', 'fnstsw ax', 'fxsave [0x8000]', 'fnop']) assert.equal(faultOf(text, cr0), '7 at 0', text);
    assert.equal(faultOf('nop\nwait', CR0_TS), 'ran');
    assert.equal(faultOf('nop\nwait', CR0_TS | CR0_MP), '7 at 1');
  });

  it('raises #MF at the next waiting instruction, with CR0.NE', () => {
    // 1 / 0 with everything unmasked.
    const divide = 'fninit\nfnstcw [0x8000]\nmov word [0x8000], 0x340\nfldcw [0x8000]\nfld1\nfldz\nfdivp\n';
    const length = assembled(divide).bytes.length - 1;
    assert.equal(faultOf(`${divide}nop\nnop\nfld1`, CR0_NE), `16 at ${(length + 2).toString(16)}`);
    assert.equal(faultOf(`${divide}wait`, CR0_NE), `16 at ${length.toString(16)}`);
    assert.equal(faultOf(`${divide}fnstsw ax\nfnstcw [0x8000]\nfnclex\nfld1`, CR0_NE), 'ran');
  });

  it('reports by IRQ 13 and port F0h without CR0.NE', () => {
    const guest = machine(`
      org 0x7c00
      bits 16
      cli
      xor ax, ax
      mov ds, ax
      mov ss, ax
      mov sp, 0x7000
      mov word [0x75 * 4], handler
      mov word [0x75 * 4 + 2], 0
      mov al, 0
      out 0xa1, al
      out 0x21, al
      sti
      fninit
      mov word [control], 0x340
      fldcw [control]
      fld1
      fldz
      fdivp
      fld1                      ; waits for the handler
      mov al, 'E'
      out 0xe9, al
      mov al, 0x31
      out 0xf4, al
      cli
      hlt
handler:
      push ax
      out 0xf0, al
      fnstsw ax
      test al, 4
      jz .not
      mov al, 'Z'
      out 0xe9, al
.not: fnclex
      mov al, 0x20
      out 0xa0, al
      out 0x20, al
      pop ax
      iret
control: dw 0`);
    for (let n = 0; n < 100 && !guest.output.includes('E'); n++) guest.run(1000);
    assert.equal(guest.output, 'ZE');
  });
});

describe('x87 memory operands', () => {
  it('change nothing when the store faults', () => {
    const engine = new BareEngine().load(assembled('fninit\nfld1\nfstp tword [0x10fffff8]'));
    // Outside RAM nothing faults without paging: a segment limit does.
    engine.engine.cpu.setSegment(3, 0x10, 0, 0x10000000, 0x4093);
    engine.engine.stateChanged();
    const exit = engine.toExit();
    assert.equal(exit.kind, 'fault');
    const { fpu } = engine.engine.cpu;
    assert.equal(fpu.emptyRegisters, 0x7f);
    assert.equal(fpu.status, 7 << 11);
  });
});

describe('x87 images', () => {
  const prepared = `jmp start\nnumber: dd 2.5\nstart:\n${ST_FULL}ffree st3\nfstp tword [${DATA + 0x800}]\nfmul dword [number]\n`;

  it('hold the environment, and the last instruction and operand, in protected mode', () => {
    for (const [size, selectorAt, dataAt] of [[32, 16, 20], [16, 8, 10]] as const) {
      const engine = run(`${prepared}${size === 16 ? 'o16 ' : ''}fnstenv [${DATA}]`);
      const view = bytesAt(engine, DATA, 28);
      const word = (at: number) => view.getUint16(at, true);
      const step = size / 8;
      assert.equal(word(0), 0x37f);
      assert.equal(word(step) >> 11, 1);
      // R0 popped, R3 … freed: st3 was R3.
      assert.equal(word(2 * step), 0b00000000_11000011);
      assert.equal(word(selectorAt), 8, 'CS');
      const numberAt = assembled(prepared).label('number');
      assert.equal(size === 32 ? view.getUint32(dataAt, true) : word(dataAt), numberAt, 'operand');
      assert.equal(word(dataAt + step), 0x10, 'DS');
      if (size === 32) assert.equal(word(18), 0x00d, 'opcode D8 /1 with mod 0, rm 5');
      assert.equal(engine.engine.cpu.fpu.control & 0x3f, 0x3f);
    }
  });

  it('hold linear addresses and the opcode in real mode', () => {
    for (const size of [16, 32]) {
      const source = `bits 16\norg 0x1000\nmov ax, 0x100\nmov es, ax\nfninit\nfld dword [es:0x7000]\n${size === 32 ? 'o32 ' : ''}fnstenv [0x6000]\nhlt`;
      const engine = new BareEngine().load(program(source), 'real').toHalt();
      const view = bytesAt(engine, 0x6000, 28);
      const step = size / 8;
      assert.equal(view.getUint16(3 * step, true), 0x1007, 'IP');
      assert.equal(view.getUint16(4 * step, true) & 0x7ff, 0x106, 'D9 /0 with mod 0, rm 6');
      assert.equal(view.getUint16(5 * step, true), 0x8000, 'operand');
    }
  });

  it('restore what they saved', () => {
    for (const [save, restore] of [['fnsave', 'frstor'], ['o16 fnsave', 'o16 frstor'], ['fxsave', 'fxrstor']] as const) {
      const once = run(`${prepared}fldpi\n${save} [${DATA}]`);
      const again = run(`${prepared}fldpi\n${save} [${DATA}]\nfninit\nfldl2e\nfchs\n${restore} [${DATA}]\n${save} [${DATA + 0x400}]`);
      assert.deepEqual(again.mmu.physical.readBytes(DATA + 0x400, 108), once.mmu.physical.readBytes(DATA, 108), save);
    }
  });

  it('have the SSE registers once CR4.OSFXSR is set', () => {
    const OSFXSR = 0x200;
    const source = `fninit\nfxsave [${DATA}]\nmovups xmm1, [${DATA}]\nfxsave [${DATA + 0x200}]\nxorps xmm1, xmm1\nfxrstor [${DATA + 0x200}]\nmovups [${DATA + 0x400}], xmm1`;
    const engine = run(source, (bare) => { bare.state.cr4 = OSFXSR; });
    const head = engine.mmu.physical.readBytes(DATA, 16);
    assert.deepEqual(engine.mmu.physical.readBytes(DATA + 0x200 + 176, 16), head);
    assert.deepEqual(engine.mmu.physical.readBytes(DATA + 0x400, 16), head);
    assert.equal(bytesAt(engine, DATA + 24, 4).getUint32(0, true), 0x1f80);
  });

  it('refuse addresses that are not aligned, and reserved bits of MXCSR', () => {
    const vectorOf = (source: string): number => {
      const engine = new BareEngine().load(assembled(source));
      engine.state.cr4 = 0x200;
      const exit = engine.toExit();
      return exit.kind === 'fault' && exit.fault instanceof GuestFault ? exit.fault.vector : -1;
    };
    assert.equal(vectorOf(`fxsave [${DATA + 8}]`), 13);
    assert.equal(vectorOf(`fxsave [${DATA}]\nmov byte [${DATA + 26}], 1\nfxrstor [${DATA}]`), 13);
  });
});
