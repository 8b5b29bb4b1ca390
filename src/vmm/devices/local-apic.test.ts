import assert from 'node:assert/strict';
import { ApicBus, BROADCAST, Delivery } from './apic-bus';
import { LocalApic } from './local-apic';
import { Reg } from './local-apic-registers';
import { TestClock } from './test-clock';

/** 100 million instructions a second: one tick of the timer's clock is one instruction. */
const RATE = 100_000_000;
const ENABLED = 0x1ff;

class Bench {
  readonly clock = new TestClock(RATE);
  readonly bus = new ApicBus();
  readonly events: string[] = [];
  readonly ended: number[] = [];
  externalVector = 0x20;
  readonly apics: LocalApic[];

  constructor(count = 1, x2apic = true) {
    this.bus.addIoApic({ endOfInterrupt: (vector) => this.ended.push(vector) });
    this.apics = Array.from({ length: count }, (_, id) => new LocalApic({
      clock: this.clock, bus: this.bus, id, processors: 1, x2apic, deadline: true,
      hooks: {
        interrupt: () => this.events.push(`interrupt ${id}`), nmi: () => this.events.push(`nmi ${id}`), init: () => this.events.push(`init ${id}`),
        startUp: (page) => this.events.push(`start ${id} ${page.toString(16)}`), externalVector: () => this.externalVector, timeStamp: () => BigInt(this.clock.now()) + 1000n,
      },
    }));
    for (const apic of this.apics) apic.write(Reg.svr, ENABLED, 4);
  }

  fixed(vector: number, n = 0): void {
    this.apics[n].receive({ vector, delivery: Delivery.Fixed, level: false, destination: n, logical: false });
  }

  /** What the processor takes until nothing more is offered. */
  taken(n = 0): number[] {
    const vectors: number[] = [];
    while (this.apics[n].interruptRequested) {
      vectors.push(this.apics[n].acknowledge());
      this.apics[n].write(Reg.eoi, 0, 4);
    }
    return vectors;
  }
}

describe('local APIC priorities', () => {
  it('offers the highest vector first and holds back the class in service and lower ones', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    for (const vector of [0x41, 0x52, 0x43]) bench.fixed(vector);
    assert.equal(apic.acknowledge(), 0x52);
    assert.equal(apic.interruptRequested, false, '43h is of a lower class than 52h');
    bench.fixed(0x5f);
    assert.equal(apic.interruptRequested, false, '5Fh is of the same class');
    bench.fixed(0x61);
    assert.equal(apic.acknowledge(), 0x61);
    assert.equal(apic.processorPriority, 0x60);
    apic.write(Reg.eoi, 0, 4);
    assert.equal(apic.processorPriority, 0x50);
    apic.write(Reg.eoi, 0, 4);
    assert.deepEqual([apic.acknowledge(), apic.interruptRequested], [0x5f, false]);
  });

  it('masks classes up to the task priority', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.taskPriority = 0x50;
    bench.fixed(0x5e);
    assert.equal(apic.interruptRequested, false);
    bench.fixed(0x60);
    assert.equal(apic.interruptRequested, true);
    apic.write(Reg.tpr, 0xff, 4);
    assert.equal(apic.interruptRequested, false);
    apic.write(Reg.tpr, 0, 4);
    assert.deepEqual(bench.taken(), [0x60, 0x5e]);
  });

  it('shows requests and service in IRR, ISR and TMR', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.receive({ vector: 0x71, delivery: Delivery.Fixed, level: true, destination: 0, logical: false });
    assert.deepEqual([apic.read(Reg.irr + 0x30, 4), apic.read(Reg.tmr + 0x30, 4)], [0x20000, 0x20000]);
    apic.acknowledge();
    assert.deepEqual([apic.read(Reg.irr + 0x30, 4), apic.read(Reg.isr + 0x30, 4)], [0, 0x20000]);
    assert.deepEqual(bench.ended, []);
    apic.write(Reg.eoi, 0, 4);
    assert.deepEqual(bench.ended, [0x71], 'the end of a level-triggered interrupt goes to the I/O APICs');
  });
});

describe('local APIC pins and errors', () => {
  it('passes the 8259A pair through LINT0 until it is masked', () => {
    const { apics: [apic] } = new Bench();
    apic.lint[0](true);
    assert.equal(apic.interruptRequested, true);
    assert.equal(apic.acknowledge(), 0x20);
    apic.write(Reg.lvtLint0, 0x10700, 4);
    assert.equal(apic.interruptRequested, false);
  });

  it('is transparent while IA32_APIC_BASE disables it', () => {
    const { apics: [apic] } = new Bench();
    apic.write(Reg.lvtLint0, 0x10700, 4);
    apic.lint[0](true);
    assert.equal(apic.writeMsr(0x1b, 0xfee00100n), true);
    assert.deepEqual([apic.interruptRequested, apic.page, apic.acknowledge()], [true, undefined, 0x20]);
  });

  it('repeats a level-triggered pin until it falls', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.write(Reg.lvtLint1, 0x8045, 4);
    apic.lint[1](true);
    assert.equal(apic.acknowledge(), 0x45);
    assert.equal(apic.read(Reg.lvtLint1, 4), 0xc045, 'remote IRR');
    apic.write(Reg.eoi, 0, 4);
    assert.equal(apic.interruptRequested, true);
    apic.acknowledge();
    apic.lint[1](false);
    apic.write(Reg.eoi, 0, 4);
    assert.equal(apic.interruptRequested, false);
  });

  it('raises NMI from a pin', () => {
    const bench = new Bench();
    bench.apics[0].write(Reg.lvtLint1, 0x400, 4);
    bench.apics[0].lint[1](true);
    assert.deepEqual(bench.events, ['nmi 0']);
  });

  it('notes illegal vectors and registers in ESR, at the next write', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.write(Reg.lvtError, 0xe0, 4);
    bench.fixed(5);
    apic.write(Reg.icr, 0x40007, 4);
    apic.read(0x50, 4);
    assert.equal(apic.read(Reg.esr, 4), 0);
    apic.write(Reg.esr, 0, 4);
    assert.equal(apic.read(Reg.esr, 4), 0xe0);
    assert.deepEqual(bench.taken(), [0xe0]);
    apic.write(Reg.esr, 0, 4);
    assert.equal(apic.read(Reg.esr, 4), 0);
  });

  it('masks every local source when software disables it, and lets none be opened', () => {
    const { apics: [apic] } = new Bench();
    apic.write(Reg.lvtTimer, 0x30, 4);
    apic.write(Reg.svr, 0xff, 4);
    apic.write(Reg.lvtTimer, 0x31, 4);
    assert.equal(apic.read(Reg.lvtTimer, 4), 0x10031);
    assert.equal(apic.accepts(Delivery.Fixed), false);
    assert.equal(apic.accepts(Delivery.Init), true);
  });
});

describe('local APIC timer', () => {
  it('counts down once', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.write(Reg.lvtTimer, 0x40, 4);
    apic.write(Reg.divide, 0x3, 4); // by 16
    apic.write(Reg.initialCount, 100, 4);
    bench.clock.advance(160);
    assert.equal(apic.read(Reg.currentCount, 4), 90);
    bench.clock.advance(1439);
    assert.equal(apic.interruptRequested, false);
    bench.clock.advance(1);
    assert.deepEqual([apic.read(Reg.currentCount, 4), bench.taken()], [0, [0x40]]);
    bench.clock.advance(10_000);
    assert.deepEqual(bench.taken(), []);
    assert.equal(bench.clock.pending, 0);
  });

  it('repeats in periodic mode, without drift, until its count is zero', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    apic.write(Reg.lvtTimer, 0x20040, 4);
    apic.write(Reg.divide, 0xb, 4); // by 1
    apic.write(Reg.initialCount, 1000, 4);
    let seen = 0;
    for (let n = 0; n < 10; n++) {
      bench.clock.advance(999 + (n === 0 ? 0 : 1));
      seen += bench.taken().length;
    }
    assert.equal(seen, 9);
    bench.clock.advance(1);
    assert.equal(bench.taken().length, 1);
    apic.write(Reg.initialCount, 0, 4);
    assert.equal(bench.clock.pending, 0);
  });

  it('interrupts at the deadline and clears it', () => {
    const bench = new Bench();
    const [apic] = bench.apics;
    assert.equal(apic.writeMsr(0x6e0, 5000n), true);
    assert.equal(apic.readMsr(0x6e0), 0n, 'not in deadline mode yet');
    apic.write(Reg.lvtTimer, 0x40044, 4);
    apic.writeMsr(0x6e0, 5000n);
    bench.clock.advance(3999);
    assert.equal(apic.interruptRequested, false);
    bench.clock.advance(1);
    assert.deepEqual([bench.taken(), apic.readMsr(0x6e0)], [[0x44], 0n]);
  });
});

describe('interrupt commands', () => {
  const send = (apic: LocalApic, high: number, low: number): void => {
    apic.write(Reg.icrHigh, high << 24, 4);
    apic.write(Reg.icr, low, 4);
  };

  it('reach one processor, all, all others, or the sender', () => {
    const bench = new Bench(3);
    const { apics } = bench;
    send(apics[0], 2, 0x4031);
    send(apics[0], 0, 0xc4032); // all others
    send(apics[1], 0, 0x84033); // all
    send(apics[1], 0, 0x44034); // self
    send(apics[2], 0xff, 0x4035); // broadcast
    assert.deepEqual([0, 1, 2].map((n) => bench.taken(n)), [[0x35, 0x33], [0x35, 0x34, 0x33, 0x32], [0x35, 0x33, 0x32, 0x31]]);
  });

  it('start processors: INIT, start-up, NMI', () => {
    const bench = new Bench(2);
    send(bench.apics[0], 1, 0x4500);
    send(bench.apics[0], 1, 0x8500); // de-assert does nothing
    send(bench.apics[0], 1, 0x4608);
    send(bench.apics[0], 1, 0x4400);
    assert.deepEqual(bench.events, ['init 1', 'start 1 8', 'nmi 1']);
  });

  it('select by logical destination, flat and in clusters', () => {
    const bench = new Bench(4);
    const { apics } = bench;
    apics.forEach((apic, n) => apic.write(Reg.ldr, 1 << (24 + n), 4));
    send(apics[0], 0b1010, 0x4840);
    assert.deepEqual(apics.map((_, n) => bench.taken(n)), [[], [0x40], [], [0x40]]);
    apics.forEach((apic, n) => {
      apic.write(Reg.dfr, 0, 4);
      apic.write(Reg.ldr, ((n >> 1) << 4 | 1 << (n & 1)) << 24, 4);
    });
    send(apics[0], 0x13, 0x4841);
    send(apics[0], 0xf2, 0x4842); // member 1 of every cluster
    assert.deepEqual(apics.map((_, n) => bench.taken(n)), [[], [0x42], [0x41], [0x42, 0x41]]);
  });

  it('go to the processor with the lowest priority when asked to', () => {
    const bench = new Bench(3);
    const { apics } = bench;
    apics.forEach((apic, n) => apic.write(Reg.ldr, 1 << (24 + n), 4));
    apics[0].taskPriority = 0x30;
    apics[1].taskPriority = 0x10;
    apics[2].taskPriority = 0x20;
    send(apics[0], 7, 0x4950);
    assert.deepEqual(apics.map((_, n) => bench.taken(n)), [[], [0x50], []]);
  });

  it('come by message', () => {
    const bench = new Bench(2);
    bench.bus.message(0xfee01000, 0x4055);
    bench.bus.message(0xfec01000, 0x4056);
    assert.deepEqual([bench.taken(0), bench.taken(1)], [[], [0x55]]);
  });
});

describe('x2APIC mode', () => {
  const ENABLE_X2 = 0xfee00c00n;

  it('replaces the page by MSRs with 32-bit IDs', () => {
    const bench = new Bench(2);
    const [, apic] = bench.apics;
    assert.equal(apic.readMsr(0x802), undefined, 'not in xAPIC mode');
    assert.equal(apic.writeMsr(0x1b, ENABLE_X2), true);
    assert.deepEqual([apic.page, apic.readMsr(0x802), apic.readMsr(0x80d)], [undefined, 1n, 2n]);
    assert.equal(apic.readMsr(0x80e), undefined, 'DFR does not exist');
    assert.equal(apic.readMsr(0x80b), undefined, 'EOI is write-only');
    assert.equal(apic.writeMsr(0x80b, 1n), false);
    assert.equal(apic.writeMsr(0x802, 0n), false);
    apic.writeMsr(0x83f, 0x66n);
    assert.deepEqual(bench.taken(1), [0x66]);
    apic.writeMsr(0x830, 0x1_00004077n);
    apic.writeMsr(0x830, BigInt(BROADCAST) << 32n | 0x4078n);
    assert.deepEqual([bench.taken(0), bench.taken(1)], [[0x78], [0x78, 0x77]]);
    apic.writeMsr(0x830, 0x2_00004879n);
    assert.deepEqual(bench.taken(1), [0x79], 'logical destination: cluster 0, member 1');
  });

  it('is entered from xAPIC mode and left by disabling only', () => {
    const { apics: [apic] } = new Bench();
    assert.equal(apic.writeMsr(0x1b, 0xfee00400n), false);
    assert.equal(apic.writeMsr(0x1b, ENABLE_X2), true);
    assert.equal(apic.writeMsr(0x1b, 0xfee00800n), false);
    assert.equal(apic.writeMsr(0x1b, 0xfee00000n), true);
    assert.equal(apic.writeMsr(0x1b, ENABLE_X2), false);
    assert.equal(apic.writeMsr(0x1b, 0xfee00800n), true);
    assert.equal(new Bench(1, false).apics[0].writeMsr(0x1b, ENABLE_X2), false);
  });
});
