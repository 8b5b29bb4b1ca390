import assert from 'node:assert/strict';
import { CODE, DATA, FREE, IDT, image, outcome, STACKS, TestCpu, TSS, TSS_SELECTOR } from './test-cpu';
import { callouts } from './callouts';
import { describeGate, enter, type DeliveryKind } from './deliver';
import { combine, exceptions, generalProtection, GuestFault, type ExceptionClass } from './exceptions';
import { PageFault } from '../mmu/types';
import { Segment } from './layout';

describe('real-mode delivery', () => {
  function real(): TestCpu {
    const t = new TestCpu();
    t.cpu.state.setIdtr(0, 0x3ff);
    t.memory.write(0x21 * 4, 4, 0x12345678, false);
    t.cpu.state.set32(4, 0x8000);
    t.cpu.state.eip = 0x7c02;
    t.cpu.state.eflags = 0x40346;
    return t;
  }

  it('pushes FLAGS, CS, IP and clears IF, TF, AC', () => {
    const t = real();
    assert.deepEqual(t.cpu.deliver(0x21, 'external'), { kind: 'delivered', vector: 0x21, errorCode: undefined });
    assert.deepEqual(t.stack(3, 2), [0x7c02, 0xf000, 0x346]);
    const { state } = t.cpu;
    assert.deepEqual([state.eip, state.selector(Segment.CS), state.base(Segment.CS), state.eflags], [0x5678, 0x1234, 0x12340, 0x46]);
  });

  it('pushes no error code', () => {
    const t = real();
    t.cpu.raise(generalProtection(0, 'test'));
    assert.equal(t.cpu.state.esp, 0x8000 - 6);
  });

  it('INT n returns behind the instruction', () => {
    const t = real();
    t.cpu.state.eip = 0;
    callouts.softwareInterrupt(t.cpu, t.site(16), 0x21, 1);
    assert.deepEqual(t.stack(1, 2), [0x7c02]);
  });

  it('a vector beyond the IVT ends in shutdown', () => {
    const t = real();
    t.cpu.state.setIdtr(0, 3);
    assert.equal(t.cpu.deliver(0x21, 'external').kind, 'shutdown');
  });

  it('a stack pointer of 1 does not hold a word: #SS', () => {
    const t = real();
    t.cpu.state.set32(4, 1);
    assert.equal(outcome(() => enter(t.cpu, 0x21, 'external')), '12:0');
  });
});

describe('protected-mode frames', () => {
  it('same level: EFLAGS, CS, EIP, error code; an interrupt gate clears IF, a trap gate does not', () => {
    for (const [type, iflag] of [[0xe, 0], [0xf, 0x200]] as const) {
      const t = new TestCpu().protect();
      t.idtGate(13, type, CODE[0], 0x12345);
      t.cpu.state.eflags = 0x4346 | 0x10000;
      t.cpu.raise(generalProtection(0x18, 'test'));
      assert.deepEqual(t.stack(4), [0x18, 0x7c02, CODE[0], 0x14346]);
      assert.deepEqual([t.cpu.state.eip, t.cpu.state.eflags], [0x12345, 0x46 | iflag]);
    }
  });

  it('inner level: SS and ESP first, on the stack of the TSS', () => {
    const t = new TestCpu().protect(3);
    t.idtGate(0x80, 0xf, CODE[0], 0x100, 3);
    t.cpu.state.eflags = 0x202;
    const { esp } = t.cpu.state;
    callouts.softwareInterrupt(t.cpu, t.site(), 0x80, 1);
    assert.deepEqual(t.stack(5), [0x7c02, CODE[3] | 3, 0x202, esp, DATA[3] | 3]);
    const { state } = t.cpu;
    assert.deepEqual([state.cpl, state.selector(Segment.CS), state.selector(Segment.SS), state.esp], [0, CODE[0], DATA[0], STACKS + 0x1000 - 20]);
    callouts.interruptReturn(t.cpu, t.site());
    assert.deepEqual([state.cpl, state.selector(Segment.CS), state.selector(Segment.SS), state.esp, state.eip], [3, CODE[3] | 3, DATA[3] | 3, esp, 0x7c02]);
  });

  it('16-bit gates push words and take a 16-bit stack from a 16-bit TSS', () => {
    const t = new TestCpu().protect(3);
    t.idtGate(13, 0x6, CODE[0], 0x12345);
    t.cpu.state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 0x2b, 0x83);
    t.memory.write(TSS + 2, 2, 0x6000, false);
    t.memory.write(TSS + 4, 2, DATA[0], false);
    t.cpu.raise(generalProtection(8, 'test'));
    assert.deepEqual(t.stack(6, 2), [8, 0x7c02, CODE[3] | 3, 2, 0xc000, DATA[3] | 3]);
    assert.deepEqual([t.cpu.state.esp, t.cpu.state.eip], [0x6000 - 12, 0x2345]);
  });

  it('a conforming handler of an inner level runs at the level of the interrupted code', () => {
    const t = new TestCpu().protect(3);
    t.descriptor(FREE, { type: 0x1e });
    t.idtGate(6, 0xe, FREE, 0x100);
    t.cpu.raise(new GuestFault(6, undefined, 'test'));
    assert.deepEqual([t.cpu.state.cpl, t.cpu.state.selector(Segment.CS)], [3, FREE | 3]);
    assert.equal(t.stack(3)[2], 0x10002, 'faults push RF set');
  });

  it('traps and interrupts push RF as it is', () => {
    for (const [vector, kind] of [[1, 'exception'], [3, 'software'], [0x40, 'external']] as const) {
      const t = new TestCpu().protect();
      t.idtGate(vector, 0xe, CODE[0], 0x100, 3);
      t.cpu.deliver(vector, kind);
      assert.equal(t.stack(3)[2], 2);
    }
  });

  it('a page fault sets CR2 and reports its error code', () => {
    const t = new TestCpu().protect();
    t.idtGate(14, 0xe, CODE[0], 0x100);
    t.cpu.raise(new PageFault(0xdeadbeef, 7));
    assert.equal(t.cpu.state.cr2, 0xdeadbeef);
    assert.equal(t.stack(1)[0], 7);
  });

  it('ends the interrupt shadow', () => {
    const t = new TestCpu().protect();
    t.idtGate(6, 0xe, CODE[0], 0x100);
    t.cpu.state.interruptShadow = true;
    t.cpu.raise(new GuestFault(6, undefined, 'test'));
    assert.equal(t.cpu.state.interruptShadow, false);
  });
});

/** Vector 0x21 at CPL 3; what is wrong → end for an external interrupt, for INT 0x21. Gate DPL is 3. */
const failures: readonly (readonly [string, (t: TestCpu) => void, string, string])[] = [
  ['beyond the IDT', (t) => t.cpu.state.setIdtr(IDT, 0x21 * 8 + 6), '13:10b', '13:10a'],
  ['empty entry', (t) => t.memory.bytes.fill(0, IDT + 0x108, IDT + 0x110), '13:10b', '13:10a'],
  ['call gate', (t) => t.idtGate(0x21, 0xc, CODE[0], 0, 3), '13:10b', '13:10a'],
  ['data descriptor', (t) => t.idtGate(0x21, 0x16, CODE[0], 0, 3), '13:10b', '13:10a'],
  ['gate of DPL 0', (t) => t.idtGate(0x21, 0xe, CODE[0], 0x100, 0), 'ok', '13:10a'],
  ['absent gate of DPL 0', (t) => t.idtGate(0x21, 0xe, CODE[0], 0x100, 0, false), '11:10b', '13:10a'],
  ['absent gate', (t) => t.idtGate(0x21, 0xe, CODE[0], 0x100, 3, false), '11:10b', '11:10a'],
  ['null code selector', (t) => t.idtGate(0x21, 0xe, 3, 0x100, 3), '13:1', '13:0'],
  ['code selector outside the GDT', (t) => t.idtGate(0x21, 0xe, 0x200, 0x100, 3), '13:201', '13:200'],
  ['target is data', (t) => t.idtGate(0x21, 0xe, DATA[0], 0x100, 3), '13:29', '13:28'],
  ['target absent', (t) => t.descriptor(CODE[0], { type: 0x1b, present: false }), '11:9', '11:8'],
  ['offset beyond the limit', (t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0xff }), '13:1', '13:0'],
  ['TSS too short', (t) => t.cpu.state.setSegment(Segment.TR, TSS_SELECTOR, TSS, 8, 0x8b), '10:49', '10:48'],
  ['null inner SS', (t) => t.memory.write(TSS + 8, 2, 0, false), '10:1', '10:0'],
  ['inner SS outside the GDT', (t) => t.memory.write(TSS + 8, 2, 0x200, false), '10:201', '10:200'],
  ['inner SS with another RPL', (t) => t.memory.write(TSS + 8, 2, DATA[0] | 3, false), '10:29', '10:28'],
  ['inner SS with another DPL', (t) => t.memory.write(TSS + 8, 2, DATA[1], false), '10:31', '10:30'],
  ['inner SS read-only', (t) => t.descriptor(DATA[0], { type: 0x11 }), '10:29', '10:28'],
  ['inner SS absent', (t) => t.descriptor(DATA[0], { type: 0x13, present: false }), '12:29', '12:28'],
  ['no room on the inner stack', (t) => t.descriptor(DATA[0], { type: 0x13, limit: 0x100 }), '12:29', '12:28'],
  ['inner stack page absent', (t) => t.memory.absent.add((STACKS + 0xff0) >>> 12), '14:2', '14:2'],
  ['IDT page absent', (t) => t.memory.absent.add(IDT >>> 12), '14:0', '14:0'],
  ['task gate into the LDT', (t) => t.idtGate(0x21, 0x5, FREE | 4, 0, 3), '13:55', '13:54'],
  ['task gate to a busy TSS', (t) => t.idtGate(0x21, 0x5, TSS_SELECTOR, 0, 3), '13:49', '13:48'],
];

describe('failures of protected-mode delivery', () => {
  for (const [title, prepare, external, software] of failures) {
    for (const [kind, expected] of [['external', external], ['software', software]] as readonly (readonly [DeliveryKind, string])[]) {
      it(`${title}, ${kind}: ${expected}`, () => {
        const t = new TestCpu().protect(3);
        t.idtGate(0x21, 0xe, CODE[0], 0x100, 3);
        prepare(t);
        const before = image(t);
        const stack = t.memory.bytes.slice(STACKS, STACKS + 0x1000);
        assert.equal(outcome(() => enter(t.cpu, 0x21, kind)), expected);
        if (expected === 'ok') return;
        assert.equal(image(t), before, 'a fault changes nothing');
        assert.deepEqual(t.memory.bytes.slice(STACKS, STACKS + 0x1000), stack, 'and writes nothing');
      });
    }
  }

  it('same level without room is #SS(EXT)', () => {
    const t = new TestCpu().protect();
    t.idtGate(0x21, 0xe, CODE[0], 0x100);
    t.cpu.state.setSegment(Segment.SS, DATA[0], 0, 0x7fff, 0x4093);
    t.cpu.state.set32(4, 0x8004);
    assert.equal(outcome(() => enter(t.cpu, 0x21, 'external')), '12:1');
    assert.equal(outcome(() => enter(t.cpu, 0x21, 'software')), '12:0');
  });
});

describe('combination of exceptions', () => {
  // SDM Vol. 3, table 6-5, written out.
  const matrix: Readonly<Record<ExceptionClass, readonly [string, string, string]>> = {
    benign: ['serial', 'serial', 'serial'],
    contributory: ['serial', 'doubleFault', 'serial'],
    pageFault: ['serial', 'doubleFault', 'doubleFault'],
    doubleFault: ['serial', 'shutdown', 'shutdown'],
  };
  it('follows the matrix', () => {
    for (const first of Object.keys(matrix) as ExceptionClass[]) {
      const row = (['benign', 'contributory', 'pageFault'] as const).map((second) => combine(first, second));
      assert.deepEqual(row, matrix[first], first);
    }
  });
  it('classifies the vectors', () => {
    assert.deepEqual(exceptions.filter((row) => row.class === 'contributory').map((row) => row.vector), [0, 10, 11, 12, 13]);
    assert.deepEqual(exceptions.filter((row) => row.errorCode).map((row) => row.vector), [8, 10, 11, 12, 13, 14, 17]);
  });

  /** Handlers for `good` vectors exist; the fault is raised; vector whose handler begins. */
  function handler(good: readonly number[], fault: GuestFault | PageFault): number | 'shutdown' {
    const t = new TestCpu().protect();
    for (const vector of good) t.idtGate(vector, 0xe, CODE[0], 0x100 + vector);
    return t.cpu.raise(fault).kind === 'shutdown' ? 'shutdown' : t.cpu.state.eip - 0x100;
  }
  const gp = generalProtection(0, 'test');
  const pf = new PageFault(0x5000, 0);
  const ud = new GuestFault(6, undefined, 'test');
  it('benign, then #GP: #GP', () => assert.equal(handler([13], ud), 13));
  it('benign, then #GP, then #GP: #DF', () => assert.equal(handler([8], ud), 8));
  it('#GP, then #GP: #DF', () => assert.equal(handler([8], gp), 8));
  it('#PF, then #GP: #DF', () => assert.equal(handler([8, 13], pf), 8));
  it('no handler at all: shutdown', () => assert.equal(handler([], pf), 'shutdown'));
  it('#GP whose handler page-faults: #PF, and CR2 tells where', () => {
    const t = new TestCpu().protect(3);
    t.idtGate(13, 0xe, CODE[0], 0x100);
    t.idtGate(14, 0xe, CODE[3], 0x200);
    t.descriptor(CODE[3], { type: 0x1f, limit: 0xfffff, pages: true });
    t.memory.absent.add((STACKS + 0xff0) >>> 12);
    t.cpu.raise(gp);
    assert.equal(t.cpu.state.eip, 0x200);
    assert.equal(t.cpu.state.cr2 >>> 12, STACKS >>> 12);
  });
  it('#DF pushes error code 0', () => {
    const t = new TestCpu().protect();
    t.idtGate(8, 0xe, CODE[0], 0x100);
    t.cpu.raise(generalProtection(0x18, 'test'));
    assert.deepEqual(t.stack(3), [0, 0x7c02, CODE[0]]);
  });
});

describe('triple fault', () => {
  it('tells the chain and every gate that failed', () => {
    const t = new TestCpu().protect();
    t.idtGate(13, 0xe, CODE[0], 0x100, 0, false);
    t.idtGate(8, 0xe, 0x1f0, 0x100);
    const outcomeOf = t.cpu.raise(generalProtection(0x18, 'selector 0x0018 is absurd'));
    assert.ok(outcomeOf.kind === 'shutdown');
    assert.deepEqual(outcomeOf.chain.map((entry) => entry.text), [
      '#GP(0x0018) at 0008:00007c02: selector 0x0018 is absurd',
      '#NP(0x006b) at 0008:00007c02: while delivering #GP(0x0018): IDT entry 13 is not present',
      '#DF(0x0000) at 0008:00007c02: #NP while delivering #GP',
      '#GP(0x01f1) at 0008:00007c02: while delivering #DF(0x0000): selector 0x01f0 in IDT entry 8 is of the reserved type 0',
    ]);
    assert.equal(outcomeOf.gate, 'IDT entry 13 at 0x00003068: not present, a 32-bit interrupt gate, DPL 0, target 0008:00000100; '
      + 'IDT entry 8 at 0x00003040: present, a 32-bit interrupt gate, DPL 0, target 01f0:00000100');
    assert.equal(t.cpu.state.eip, 0x7c02, 'the state is that of the first fault');
  });

  it('describes an entry that cannot be read', () => {
    const t = new TestCpu().protect();
    t.memory.absent.add(IDT >>> 12);
    assert.equal(describeGate(t.cpu, 3), 'IDT entry 3 at 0x00003018: its page cannot be read');
    t.cpu.state.setIdtr(IDT, 7);
    assert.equal(describeGate(t.cpu, 3), "IDT entry 3 at 0x00003018: beyond the table's limit 0x0007");
  });
});
