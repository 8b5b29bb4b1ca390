import assert from 'node:assert/strict';
import { Flag } from '../cpu/bits';
import { callouts, type Callout, type CalloutSite } from '../cpu/callouts';
import { enter } from '../cpu/deliver';
import { counterAddress } from '../cpu/counters';
import {
  ACTIVE_SPACE, BRANCH_RING, BRANCH_RING_NEXT, BREAKPOINTS, BUDGET, CODE_HIGH, EFER, EIP, HASHED_LOOKUP, HASHED_TABLE_SIZE, INTERRUPT_MAY_WAIT, INTERRUPT_SHADOW, LOOKUP,
  LOOKUP_SPACES, LOOKUP_TABLE_SIZE, LSTAR, PAGING_MODE, RAM, READ_TABLE, Segment, SFMASK, STAR, STATE_END, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, SYSTEM_FLAGS, TWIN_READ_TABLE, TWIN_SPACE,
  TWIN_WRITE_TABLE, WRITE_TABLE,
} from '../cpu/layout';
import { CODE, DATA, FLAT_MEMORY_BYTES, FlatMemory, GDT, IDT, image, outcome, STACKS, TestCpu, TSS, type TestPlace } from '../cpu/test-cpu';
import { CODE64, LongCpu } from '../cpu/test-long';
import { MODE_USER } from '../mmu/page-walk';
import { RecordField } from './record';
import { instantiateTransitions, quickCallouts, type QuickCallout, type Transitions } from './transitions';

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

const PAGES = FLAT_MEMORY_BYTES >>> 12;
/** The record at work: behind the flat memory. */
const RECORD = RAM + FLAT_MEMORY_BYTES;
/** Address spaces: the supervisor's and the program's, flat and hashed. */
const SPACES = { flat: [0, 1], hashed: [LOOKUP_SPACES, LOOKUP_SPACES + 1] } as const;

/** One memory with everything in it, in which processors are made one after another. */
class Place {
  private readonly memory = new WebAssembly.Memory({ initial: (RECORD >>> 16) + 1, maximum: (RECORD >>> 16) + 1 });
  private readonly words = new Int32Array(this.memory.buffer);
  readonly transitions: { readonly legacy: Transitions; readonly long: Transitions };
  refused = false;
  interrupt = 0;

  constructor() {
    for (const space of [...SPACES.flat, ...SPACES.hashed]) {
      const first = table(space, 'read') >> 2;
      this.words.fill(-1, first, first + 2 * ((space < LOOKUP_SPACES ? LOOKUP_TABLE_SIZE : HASHED_TABLE_SIZE) >> 2));
    }
    const refuse = (): number => {
      this.refused = true;
      return 0;
    };
    this.transitions = instantiateTransitions(this.memory, () => this.interrupt, Object.fromEntries(quickCallouts.map((name) => [name, refuse])) as Record<QuickCallout, () => number>, { read: refuse, readForWrite: refuse, write: refuse });
  }

  make<T extends TestCpu>(construct: (place: TestPlace) => T): T {
    this.words.fill(0, 0, STATE_END >> 2);
    const bytes = new Uint8Array(this.memory.buffer, RAM, FLAT_MEMORY_BYTES).fill(0);
    this.interrupt = 0;
    return construct({ page: this.memory, memory: new FlatMemory(bytes), hooks: { setPaging: ({ cpl }) => this.activate(cpl) } });
  }

  private activate(cpl: number): void {
    const user = cpl === 3 ? 1 : 0;
    const set = (address: number, value: number): void => { this.words[address >> 2] = value; };
    const spaces = (this.words[EFER >> 2] & 0x400) !== 0 ? SPACES.hashed : SPACES.flat;
    set(ACTIVE_SPACE, spaces[user]);
    set(TWIN_SPACE, spaces[1 - user]);
    set(READ_TABLE, table(spaces[user], 'read'));
    set(WRITE_TABLE, table(spaces[user], 'write'));
    set(TWIN_READ_TABLE, table(spaces[1 - user], 'read'));
    set(TWIN_WRITE_TABLE, table(spaces[1 - user], 'write'));
    set(PAGING_MODE, user ? MODE_USER : 0);
  }

  /** Everything in place for threaded code: tables that have what memory has, a record of INT, IRET or their like. */
  settle(t: TestCpu, operandSize: 32 | 64): void {
    for (const space of [...SPACES.flat, ...SPACES.hashed]) {
      for (const kind of ['read', 'write'] as const) {
        for (let page = 0; page < PAGES; page++) {
          const valid = !t.memory.absent.has(page);
          const at = table(space, kind);
          if (space < LOOKUP_SPACES) this.words[(at >> 2) + page] = valid ? (RAM + page * 4096) ^ (page << 12) : -1;
          else {
            const place = (at >> 2) + 4 * page;
            this.words[place] = valid ? page << 12 : -1;
            this.words[place + 1] = valid ? 0 : -1;
            this.words[place + 2] = (RAM + page * 4096) ^ (page << 12);
          }
        }
      }
    }
    this.activate(t.cpu.state.cpl);
    const u8 = new Uint8Array(this.memory.buffer);
    this.words[(RECORD + RecordField.eip) >> 2] = 0x7c00;
    u8[RECORD + RecordField.length] = 2;
    u8[RECORD + RecordField.sizes] = operandSize === 64 ? 2 : 1;
    this.words[BUDGET >> 2] = 1000;
    this.words[CODE_HIGH >> 2] = 0;
  }

  /** What a transition may change, but for the counters and the last branches. */
  snapshot(t: TestCpu): string {
    return JSON.stringify([image(t), [ACTIVE_SPACE, READ_TABLE, WRITE_TABLE, TWIN_SPACE, TWIN_READ_TABLE, TWIN_WRITE_TABLE, PAGING_MODE, INTERRUPT_SHADOW].map((at) => this.words[at >> 2])])
      + Buffer.from(this.memory.buffer, RAM, FLAT_MEMORY_BYTES).toString('latin1');
  }

  counter(id: Parameters<typeof counterAddress>[0]): number {
    return this.words[counterAddress(id) >> 2];
  }
  get lastBranch(): number[] {
    const at = (BRANCH_RING + ((this.words[BRANCH_RING_NEXT >> 2] + 0x1f0) & 0x1ff)) >> 2;
    return [this.words[at], this.words[at + 2]];
  }
  set(address: number, value: number): void { this.words[address >> 2] = value; }
}

function table(space: number, kind: 'read' | 'write'): number {
  const [base, size] = space < LOOKUP_SPACES ? [LOOKUP + space * 2 * LOOKUP_TABLE_SIZE, LOOKUP_TABLE_SIZE] : [HASHED_LOOKUP + (space - LOOKUP_SPACES) * 2 * HASHED_TABLE_SIZE, HASHED_TABLE_SIZE];
  return kind === 'read' ? base : base + size;
}

interface Action {
  readonly quick: (transitions: Transitions, t: TestCpu) => unknown;
  readonly full: (t: TestCpu, site: CalloutSite) => unknown;
}

function callout(name: QuickCallout, a = 0, b = 0): Action {
  return {
    quick: ({ callouts: quick }) => quick[name](RECORD, a, b, 0),
    full: (t, site) => {
      (callouts[name] as Callout)(t.cpu, site, a, b, 0);
      // The engine clears it behind IRET when nobody asks for it.
      if (name === 'interruptReturn') t.cpu.state.systemFlags &= ~Flag.RF;
    },
  };
}

describe('quick transitions', () => {
  const place = new Place();

  /** Runs the quick function and the full code from the same state. True when the quick one did it; then both came to the same. */
  function compare(prepare: () => TestCpu, size: 32 | 64, { quick, full }: Action, label: string): boolean {
    const t = prepare();
    place.settle(t, size);
    const before = place.snapshot(t);
    place.refused = false;
    if (quick(size === 64 ? place.transitions.long : place.transitions.legacy, t) === false) place.refused = true;
    const after = place.snapshot(t);
    if (place.refused) {
      assert.ok(after === before, `${label}: refused, but something has changed`);
      return false;
    }
    const other = prepare();
    place.settle(other, size);
    assert.equal(outcome(() => full(other, size === 64 ? (other as LongCpu).site64() : other.site())), 'ok', label);
    const expected = place.snapshot(other);
    const registers = (text: string): string => text.slice(0, text.length - FLAT_MEMORY_BYTES);
    assert.equal(registers(after), registers(expected), label);
    assert.ok(after === expected, `${label}: memory differs`);
    return true;
  }

  const deliver = (kind: 'external' | 'software' | 'exception'): Action => ({
    quick: ({ enter: quick }, t) => quick(0x80, kind === 'software' ? 1 : 0, t.cpu.state.eflags, kind === 'exception' ? 0x18 : -1) !== 0,
    full: (t) => enter(t.cpu, 0x80, kind, kind === 'exception' ? 0x18 : undefined),
  });

  function caller(cpl: 0 | 3): TestCpu {
    const t = place.make((where) => new TestCpu(undefined, where)).protect(cpl);
    t.idtGate(0x80, 0xe, CODE[0], 0x12345, 3);
    t.cpu.state.eflags = 0x202;
    return t;
  }
  function longCaller(cpl: 0 | 3, ist = 0): LongCpu {
    const t = place.make((where) => new LongCpu(where)).enter(cpl);
    t.longGate(0x80, 14, CODE64[0], 0x12345, { dpl: 3, ist });
    t.cpu.state.eflags = 0x202;
    return t;
  }

  it('do what the full code does or nothing, whatever stands in the tables', () => {
    const die = new Die();
    const places = [IDT + 0x80 * 8, GDT + CODE[0], GDT + DATA[0], GDT + CODE[3], GDT + DATA[3], TSS + 4];
    let done = 0;
    for (let n = 0; n < 400; n++) {
      const cpl = die.throw(2) ? 3 : 0;
      const changes = die.throw(2) ? [] : Array.from({ length: die.throw(3) }, () => ({ at: places[die.throw(places.length)] + die.throw(8), bit: 1 << die.throw(8) }));
      const flags = 0x202 | (die.throw(4) ? 0 : 1 << die.throw(22)) & ~Flag.VM;
      const frame = [0x7c02, CODE[3] | 3, 0x202 | (die.throw(2) ? 1 << die.throw(22) : 0), 0x9000, DATA[3] | 3];
      if (die.throw(2)) frame[1] = frame[4] = CODE[0];
      if (!die.throw(4)) frame[die.throw(5)] ^= 1 << die.throw(32);
      const pointer = STACKS + 0x4000 - (die.throw(3) ? 0 : die.throw(64));
      const outerData = die.throw(3) !== 0;
      const prepare = (): TestCpu => {
        const t = caller(cpl);
        t.cpu.state.set32(4, pointer);
        t.push(frame.map((value) => value >>> 0));
        for (const { at, bit } of changes) t.memory.bytes[at] ^= bit;
        if (outerData) for (const s of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) t.cpu.state.setSegment(s, DATA[3] | 3, 0, 0xffffffff, 0xc0f3);
        t.cpu.state.eflags = flags;
        return t;
      };
      const kind = (['external', 'software', 'exception'] as const)[die.throw(3)];
      const label = JSON.stringify({ n, cpl, changes, flags, frame, pointer, kind });
      done += Number(compare(prepare, 32, deliver(kind), label)) + Number(compare(prepare, 32, callout('interruptReturn'), label));
      compare(prepare, 32, callout('softwareInterrupt', 0x80, 1), label);
    }
    assert.ok(done > 200, `${done} were done`);
  });

  it('do what the full code does or nothing in 64-bit code', () => {
    const die = new Die();
    const places = [IDT + 0x80 * 16, IDT + 0x80 * 16 + 8, GDT + CODE64[0], GDT + DATA[0], GDT + CODE64[3], GDT + DATA[3], TSS + 4, TSS + 0x24];
    let done = 0;
    for (let n = 0; n < 400; n++) {
      const cpl = die.throw(2) ? 3 : 0;
      const changes = die.throw(2) ? [] : Array.from({ length: die.throw(3) }, () => ({ at: places[die.throw(places.length)] + die.throw(8), bit: 1 << die.throw(8) }));
      const flags = 0x202 | (die.throw(4) ? 0 : 1 << die.throw(22)) & ~Flag.VM;
      const frame = [0x7c02, CODE64[3] | 3, 0x202 | (die.throw(2) ? 1 << die.throw(22) : 0), 0x9000, DATA[3] | 3].map(BigInt);
      if (die.throw(2)) {
        frame[1] = BigInt(CODE64[0]);
        frame[4] = BigInt(die.throw(2) && DATA[0]);
      }
      if (!die.throw(4)) frame[die.throw(5)] ^= 1n << BigInt(die.throw(64));
      const pointer = STACKS + 0x4000 - (die.throw(3) ? 0 : die.throw(64));
      const ist = die.throw(4) ? 0 : 1;
      const outerData = die.throw(3) !== 0;
      const prepare = (): LongCpu => {
        const t = longCaller(cpl, ist);
        t.cpu.state.setAddress64(4, pointer);
        t.pushWide(frame);
        for (const { at, bit } of changes) t.memory.bytes[at] ^= bit;
        if (outerData) for (const s of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) t.cpu.state.setSegment(s, 0, 0, 0, 0x10000);
        t.cpu.state.eflags = flags;
        return t;
      };
      const kind = (['external', 'software', 'exception'] as const)[die.throw(3)];
      const label = JSON.stringify({ n, cpl, ist, changes, flags, frame: frame.map(String), pointer, kind });
      done += Number(compare(prepare, 64, deliver(kind), label)) + Number(compare(prepare, 64, callout('interruptReturn'), label));
      compare(prepare, 64, callout('softwareInterrupt', 0x80, 1), label);
    }
    assert.ok(done > 200, `${done} were done`);
  });

  it('do the fast system calls', () => {
    const set = (cpl: 0 | 3, size: 32 | 64, change: (t: TestCpu) => void = () => undefined) => (): TestCpu => {
      const t = size === 64 ? longCaller(cpl) : caller(cpl);
      const { state } = t.cpu;
      state.u32[SYSENTER_CS >> 2] = 0x60;
      state.set64Slot(SYSENTER_EIP, 0x4444);
      state.set64Slot(SYSENTER_ESP, STACKS + 0x100);
      state.u32[(STAR >> 2) + 1] = 0x00730060;
      state.set64Slot(LSTAR, 0x5555);
      state.u32[SFMASK >> 2] = 0x47700;
      state.set32(1, 0x6000);
      state.set32(2, 0x7000);
      state.set64Slot(EIP, 0x7c02);
      state.u32[EFER >> 2] |= 1;
      if (size === 64) state.set32(11, 0x246);
      state.eflags = 0xed7 | (cpl === 0 ? 0 : 0x3000);
      change(t);
      return t;
    };
    assert.ok(compare(set(3, 32), 32, callout('sysenter'), 'SYSENTER'));
    assert.ok(compare(set(0, 32), 32, callout('sysenter'), 'SYSENTER from level 0'));
    assert.ok(compare(set(0, 32), 32, callout('sysexit'), 'SYSEXIT'));
    assert.ok(compare(set(3, 64), 64, callout('sysenter'), 'SYSENTER of 64-bit code'));
    assert.ok(compare(set(0, 64), 64, callout('sysexit'), 'SYSEXIT of 64-bit code'));
    assert.ok(compare(set(3, 64), 64, callout('syscall'), 'SYSCALL'));
    assert.ok(compare(set(0, 64), 64, callout('sysret'), 'SYSRET'));
    assert.ok(compare(set(0, 64, (t) => t.cpu.setNullSegment(Segment.SS, 0)), 64, callout('sysret'), 'SYSRET with a null SS'));
    assert.ok(compare(set(0, 32), 32, callout('invlpg', 0x1000), 'INVLPG'));
    for (const name of ['sysexit', 'sysret'] as const) assert.ok(!compare(set(3, 64), 64, callout(name), `${name} above level 0`));
    assert.ok(!compare(set(3, 32), 32, callout('invlpg', 0x1000), 'INVLPG above level 0'));
    assert.ok(!compare(set(3, 64, ({ cpu }) => { cpu.state.u32[EFER >> 2] &= ~1; }), 64, callout('syscall'), 'SYSCALL with EFER.SCE clear'));
    assert.ok(!compare(set(3, 32, ({ cpu }) => { cpu.state.u32[SYSENTER_CS >> 2] = 3; }), 32, callout('sysenter'), 'SYSENTER to a null selector'));
    assert.ok(!compare(set(0, 64, ({ cpu }) => cpu.state.set64(1, 1n << 47n)), 64, callout('sysret'), 'SYSRET to an address that is not canonical'));
    assert.ok(!compare(set(0, 64, ({ cpu }) => cpu.state.set32(11, 0x346)), 64, callout('sysret'), 'SYSRET that sets TF'));
  });

  it('load segment registers, and read control registers', () => {
    const die = new Die();
    for (const size of [32, 64] as const) {
      let done = 0;
      for (let n = 0; n < 400; n++) {
        const cpl = die.throw(2) ? 3 : 0;
        const selector = die.throw(8) ? DATA[die.throw(4)] | die.throw(4) : die.throw(4);
        const bits = die.throw(2) ? [] : [die.throw(64), die.throw(64)];
        const segment = die.throw(7);
        const before = die.throw(3);
        const prepare = (): TestCpu => {
          const t = size === 64 ? longCaller(cpl) : caller(cpl);
          for (const bit of bits) t.memory.bytes[GDT + (selector & 0xf8) + (bit >> 3)] ^= 1 << (bit & 7);
          if (before && segment !== Segment.CS && segment <= Segment.GS) t.cpu.state.setSegment(segment, 0, before === 1 ? 0 : 0x1000, 0, 0x10000);
          return t;
        };
        done += Number(compare(prepare, size, callout('loadSegment', segment, selector), JSON.stringify({ n, size, cpl, selector, bits, segment, before })));
      }
      assert.ok(done > 50, `${done} were done`);
    }
    for (const [n, expected] of [[0, 0x60000011], [2, 0x1234], [3, 0], [4, 0]]) {
      const t = caller(0);
      t.cpu.state.cr2 = 0x1234;
      place.settle(t, 32);
      assert.equal(place.transitions.legacy.callouts.movFromCr(RECORD, n, 0, 0), expected);
    }
    for (const [cpl, n] of [[3, 0], [0, 1], [0, 8]] as const) assert.ok(!compare(() => caller(cpl), 32, callout('movFromCr', n), `CR${n} at level ${cpl}`));
  });

  it('leave to the full code what needs a look behind them', () => {
    const back = (change: () => void, flags = 0x202): boolean => {
      const t = caller(0);
      for (const s of [Segment.ES, Segment.DS, Segment.FS, Segment.GS]) t.cpu.state.setSegment(s, DATA[3] | 3, 0, 0xffffffff, 0xc0f3);
      t.cpu.state.eflags = 2;
      t.push([0x7c02, CODE[3] | 3, flags, 0x9000, DATA[3] | 3]);
      place.settle(t, 32);
      place.refused = false;
      change();
      place.transitions.legacy.callouts.interruptReturn(RECORD, 0, 0, 0);
      const done = !place.refused;
      place.set(BREAKPOINTS, 0);
      if (done) {
        assert.deepEqual([t.cpu.state.eip, t.cpu.state.systemFlags & Flag.RF, place.counter('callouts'), place.counter('addressSpaceSwitches')], [0x7c02, 0, 1, 1]);
        assert.deepEqual(place.lastBranch, [0x7c00, 0x7c02]);
      }
      return done;
    };
    assert.equal(back(() => { /* nothing */ }), true);
    assert.equal(back(() => place.set(INTERRUPT_MAY_WAIT, 1)), true);
    assert.equal(back(() => { place.interrupt = 1; }), true, 'nobody asks while no interrupt can wait');
    assert.equal(back(() => {
      place.set(INTERRUPT_MAY_WAIT, 1);
      place.interrupt = 1;
    }), false);
    assert.equal(back(() => {
      place.set(INTERRUPT_MAY_WAIT, 1);
      place.interrupt = 1;
    }, 2), true, 'interrupts stay off');
    assert.equal(back(() => { /* a fault's frame */ }, 0x10202), true);
    assert.equal(back(() => place.set(BREAKPOINTS, 1), 0x10202), false);
    assert.equal(back(() => place.set(BREAKPOINTS, 1)), true);
    assert.equal(back(() => place.set(BUDGET, 3), 0x10202), false);
    assert.equal(back(() => place.set(INTERRUPT_SHADOW, 1)), false);
    assert.equal(back(() => place.set(TWIN_SPACE, -1)), false);
    assert.equal(back(() => place.set(SYSTEM_FLAGS, 0x102)), false);
    assert.equal(back(() => { /* TF */ }, 0x302), false);
    assert.equal(back(() => place.set(SYSTEM_FLAGS, 0x4002)), false);
  });

  it('see a changed gate, descriptor, TSS and page at the very next transition', () => {
    const noticed = (change: (t: TestCpu) => void): boolean => {
      const t = caller(3);
      place.settle(t, 32);
      place.refused = false;
      place.transitions.legacy.callouts.softwareInterrupt(RECORD, 0x80, 1, 0);
      place.transitions.legacy.callouts.interruptReturn(RECORD, 0, 0, 0);
      assert.ok(!place.refused && t.cpu.state.cpl === 3);
      change(t);
      place.settle(t, 32);
      place.transitions.legacy.callouts.softwareInterrupt(RECORD, 0x80, 1, 0);
      return place.refused;
    };
    assert.equal(noticed(() => { /* nothing */ }), false);
    assert.equal(noticed((t) => t.idtGate(0x80, 0xe, CODE[0], 0x12345, 0)), true);
    assert.equal(noticed((t) => t.idtGate(0x80, 0xe, CODE[0], 0x12345, 3, false)), true);
    assert.equal(noticed((t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0x100 })), true);
    assert.equal(noticed((t) => t.descriptor(CODE[0], { type: 0x1b, limit: 0xfffff, pages: true, present: false })), true);
    assert.equal(noticed((t) => t.descriptor(DATA[0], { type: 0x11, limit: 0xfffff, pages: true })), true);
    assert.equal(noticed((t) => t.memory.write(TSS + 8, 2, DATA[1], false)), true);
    assert.equal(noticed((t) => t.memory.absent.add(STACKS >>> 12)), true);
    assert.equal(noticed((t) => t.memory.absent.add(TSS >>> 12)), true);
    assert.equal(noticed((t) => t.cpu.state.setIdtr(IDT, 0x403)), true);
    assert.equal(noticed((t) => t.cpu.state.setGdtr(GDT, 0x7)), true);
    assert.equal(noticed((t) => t.cpu.state.setSegment(Segment.TR, 0x48, TSS, 5, 0x8b)), true);
  });
});
