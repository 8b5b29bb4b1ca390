import assert from 'node:assert/strict';
import { callouts } from './callouts';
import { enter, type DeliveryKind } from './deliver';
import { Flag } from './bits';
import { Segment } from './layout';
import { CODE, DATA, GDT, IDT, image, outcome, STACKS, TestCpu, TSS } from './test-cpu';
import { CODE64, LongCpu } from './test-long';

/** The same numbers in every run. */
class Die {
  private state = 0x2545f491;
  throw(sides: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % sides;
  }
}

/** Everything that the quick way and the full one must agree about. */
function result(t: TestCpu, action: () => unknown): string {
  return JSON.stringify([outcome(action), image(t), t.events.sort()]);
}

function firstDifference(a: Int32Array, b: Int32Array): number {
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return n;
  return -1;
}

function bothWays<T extends TestCpu>(prepare: () => T, action: (t: T) => unknown, label: string): void {
  const quick = prepare(), full = prepare();
  full.memory.quick = false;
  assert.equal(result(quick, () => action(quick)), result(full, () => action(full)), label);
  assert.equal(firstDifference(quick.memory.words, full.memory.words), -1, label);
}

function caller(cpl: 0 | 3): TestCpu {
  const t = new TestCpu().protect(cpl);
  t.idtGate(0x80, 0xe, CODE[0], 0x12345, 3);
  t.cpu.state.eflags = 0x202;
  return t;
}

describe('quick transitions', () => {
  it('do what the full code does, whatever stands in the tables', () => {
    const die = new Die();
    const places = [IDT + 0x80 * 8, GDT + CODE[0], GDT + DATA[0], GDT + CODE[3], GDT + DATA[3], TSS + 4];
    for (let n = 0; n < 400; n++) {
      const cpl = die.throw(2) ? 3 : 0;
      const changes = Array.from({ length: die.throw(3) }, () => ({ at: places[die.throw(places.length)] + die.throw(8), bit: 1 << die.throw(8) }));
      const flags = 0x202 | (die.throw(4) ? 0 : 1 << die.throw(22)) & ~Flag.VM;
      const frame = [0x7c02, CODE[3] | 3, 0x202 | (die.throw(2) ? 1 << die.throw(22) : 0), 0x9000, DATA[3] | 3];
      if (die.throw(2)) frame[1] = frame[4] = CODE[0];
      if (!die.throw(4)) frame[die.throw(5)] ^= 1 << die.throw(32);
      const pointer = STACKS + 0x4000 - (die.throw(3) ? 0 : die.throw(64));
      const prepare = (): TestCpu => {
        const t = caller(cpl);
        t.cpu.state.set32(4, pointer);
        t.push(frame.map((value) => value >>> 0));
        for (const { at, bit } of changes) t.memory.bytes[at] ^= bit;
        t.cpu.state.eflags = flags;
        return t;
      };
      const kind = (['external', 'software', 'exception'] as const)[die.throw(3)];
      const label = JSON.stringify({ n, cpl, changes, flags, frame, pointer, kind });
      bothWays(prepare, (t) => enter(t.cpu, 0x80, kind, kind === 'exception' ? 0x18 : undefined), label);
      bothWays(prepare, (t) => callouts.interruptReturn(t.cpu, t.site()), label);
    }
  });

  it('do what the full code does in long mode', () => {
    const die = new Die();
    const places = [IDT + 0x80 * 16, IDT + 0x80 * 16 + 8, GDT + CODE64[0], GDT + DATA[0], GDT + CODE64[3], GDT + DATA[3], TSS + 4, TSS + 0x24];
    for (let n = 0; n < 400; n++) {
      const cpl = die.throw(2) ? 3 : 0;
      const wide = die.throw(6) !== 0;
      const ist = die.throw(4) ? 0 : 1;
      const changes = Array.from({ length: die.throw(3) }, () => ({ at: places[die.throw(places.length)] + die.throw(8), bit: 1 << die.throw(8) }));
      const flags = 0x202 | (die.throw(4) ? 0 : 1 << die.throw(22)) & ~Flag.VM;
      const frame = [0x7c02, CODE64[3] | 3, 0x202 | (die.throw(2) ? 1 << die.throw(22) : 0), 0x9000, DATA[3] | 3].map(BigInt);
      if (die.throw(2)) {
        frame[1] = BigInt(CODE64[0]);
        frame[4] = BigInt(die.throw(2) && DATA[0]);
      }
      if (!die.throw(4)) frame[die.throw(5)] ^= 1n << BigInt(die.throw(64));
      const pointer = STACKS + 0x4000 - (die.throw(3) ? 0 : die.throw(64));
      const prepare = (): LongCpu => {
        const t = new LongCpu().enter(cpl, wide);
        t.longGate(0x80, 14, CODE64[0], 0x12345, { dpl: 3, ist });
        t.cpu.state.setAddress64(4, pointer);
        t.pushWide(frame);
        for (const { at, bit } of changes) t.memory.bytes[at] ^= bit;
        t.cpu.state.eflags = flags;
        return t;
      };
      const kind = (['external', 'software', 'exception'] as const)[die.throw(3)];
      const label = JSON.stringify({ n, cpl, wide, ist, changes, flags, frame: frame.map(String), pointer, kind });
      bothWays(prepare, (t) => enter(t.cpu, 0x80, kind, kind === 'exception' ? 0x18 : undefined), label);
      bothWays(prepare, (t) => callouts.interruptReturn(t.cpu, t.site64()), label);
    }
  });

  it('see a changed gate, descriptor and TSS in long mode at the very next transition', () => {
    const again = (change: (t: LongCpu) => void): string => {
      const t = new LongCpu().enter(3);
      t.longGate(0x80, 14, CODE64[0], 0xffff_8000_0001_2345n, { dpl: 3 });
      enter(t.cpu, 0x80, 'software');
      callouts.interruptReturn(t.cpu, t.site64());
      change(t);
      return outcome(() => enter(t.cpu, 0x80, 'software'));
    };
    assert.equal(again(() => { /* nothing */ }), 'ok');
    assert.equal(again((t) => t.longGate(0x80, 14, CODE64[0], 0x1000, { dpl: 0 })), '13:402');
    assert.equal(again((t) => t.longGate(0x80, 14, CODE64[0], 1n << 50n, { dpl: 3 })), '13:0');
    assert.equal(again((t) => t.descriptor(CODE64[0], { type: 0x1b, limit: 0xfffff, pages: true, big: true, wide: true })), '13:90');
    assert.equal(again((t) => t.wide(TSS + 4, 1n << 50n)), '12:0');
    assert.equal(again((t) => t.memory.absent.add(STACKS >>> 12)), '14:2');
  });

  /** INT and IRET once, then a change, then again: it must be seen. */
  function noticed(change: (t: TestCpu) => void): string {
    const t = caller(3);
    const call = (): void => {
      t.cpu.state.eip = 0x7c02;
      enter(t.cpu, 0x80, 'software');
    };
    call();
    callouts.interruptReturn(t.cpu, t.site());
    change(t);
    return outcome(call);
  }

  it('see a changed gate, descriptor, TSS and page at the very next transition', () => {
    assert.equal(noticed(() => { /* nothing */ }), 'ok');
    assert.equal(noticed((t) => t.idtGate(0x80, 0xe, CODE[0], 0x12345, 0)), '13:402');
    assert.equal(noticed((t) => t.idtGate(0x80, 0xe, CODE[0], 0x12345, 3, false)), '11:402');
    assert.equal(noticed((t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0x100 })), '13:0');
    assert.equal(noticed((t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0xfffff, pages: true, present: false })), '11:8');
    assert.equal(noticed((t) => t.descriptor(DATA[0], { type: 0x11, limit: 0xfffff, pages: true })), '10:28');
    assert.equal(noticed((t) => t.memory.write(TSS + 8, 2, DATA[1], false)), '10:30');
    assert.equal(noticed((t) => t.memory.absent.add(STACKS >>> 12)), '14:2');
    assert.equal(noticed((t) => t.memory.absent.add(TSS >>> 12)), '14:0');
    assert.equal(noticed((t) => t.cpu.state.setIdtr(IDT, 0x403)), '13:402');
    assert.equal(noticed((t) => t.cpu.state.setGdtr(GDT, 0x7)), '13:8');
    assert.equal(noticed((t) => t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 5, 0x8b)), '10:48');
  });

  it('enter the handler that the gate names now', () => {
    for (const kind of ['external', 'software', 'exception'] as DeliveryKind[]) {
      const t = caller(3);
      enter(t.cpu, 0x80, kind);
      assert.equal(t.cpu.state.eip, 0x12345);
      callouts.interruptReturn(t.cpu, t.site());
      t.idtGate(0x80, 0xf, CODE[0], 0x4321, 3);
      enter(t.cpu, 0x80, kind);
      assert.deepEqual([t.cpu.state.eip, t.cpu.state.eflags], [0x4321, 0x202]);
    }
  });

  const modes = {
    '32-bit code': {
      bytes: 4,
      prepare: (cpl: 0 | 3): TestCpu => {
        const t = caller(cpl);
        for (const vector of [1, 3, 6, 13, 14]) t.idtGate(vector, 0xe, CODE[0], 0x12345, 3);
        return t;
      },
      back: (t: TestCpu, cpl: 0 | 3, flags: number): void => {
        t.push([0x7c02, CODE[cpl] | cpl, flags, 0x9000, DATA[cpl] | cpl]);
        callouts.interruptReturn(t.cpu, t.site());
      },
    },
    '64-bit code': {
      bytes: 8,
      prepare: (cpl: 0 | 3): LongCpu => {
        const t = new LongCpu().enter(cpl);
        for (const vector of [1, 3, 6, 13, 14, 0x80]) t.longGate(vector, 14, CODE64[0], 0x12345, { dpl: 3 });
        return t;
      },
      back: (t: TestCpu, cpl: 0 | 3, flags: number): void => {
        (t as LongCpu).pushWide([0x7c02, CODE64[cpl] | cpl, flags, 0x9000, DATA[cpl] | cpl].map(BigInt));
        callouts.interruptReturn(t.cpu, (t as LongCpu).site64());
      },
    },
  } as const;
  for (const [title, { bytes, prepare, back }] of Object.entries(modes)) for (const quick of [true, false]) {
    const made = (cpl: 0 | 3, flags: number): TestCpu => {
      const t = prepare(cpl);
      t.memory.quick = quick;
      t.cpu.state.eflags = flags;
      return t;
    };
    const how = `${title}, ${quick ? 'quickly' : 'in full'}`;

    it(`push RF as 1 for faults and as it is for everything else, and enter handlers without it: ${how}`, () => {
      const events: readonly (readonly [number, DeliveryKind, number | undefined])[] = [
        [1, 'exception', undefined], [3, 'software', undefined], [6, 'exception', undefined], [13, 'exception', 0x10], [14, 'exception', 2], [0x80, 'external', undefined], [0x80, 'software', undefined],
      ];
      for (const cpl of [0, 3] as const) for (const [vector, kind, errorCode] of events) for (const before of [0, Flag.RF]) {
        const t = made(cpl, 0x202 | before);
        enter(t.cpu, vector, kind, errorCode);
        const label = `vector ${vector} ${kind} at level ${cpl} with ${before.toString(16)}`;
        const flags = t.memory.read(t.cpu.state.get32(4) + bytes * (errorCode === undefined ? 2 : 3), 4, false);
        assert.equal(flags & Flag.RF, kind === 'exception' && vector !== 1 ? Flag.RF : before, label);
        assert.equal(t.cpu.state.eflags & Flag.RF, 0, label);
      }
    });

    it(`take RF from the image at every level: ${how}`, () => {
      for (const cpl of [0, 3] as const) for (const image of [0, Flag.RF]) {
        const t = made(cpl, 0x202);
        back(t, cpl, 0x202 | image);
        assert.equal(t.cpu.state.eflags & Flag.RF, image, `level ${cpl}`);
      }
    });
  }
});
