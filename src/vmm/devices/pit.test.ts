import { strict as assert } from 'node:assert';
import { PIT_HERTZ, Pit } from './pit';
import { TestClock } from './test-clock';

/** One instruction is one tick of the 8254, so counts can be read off the datasheet's diagrams. */
function build(): { pit: Pit; clock: TestClock; edges: string[]; out: (port: number, value: number) => void; inp: (port: number) => number } {
  const clock = new TestClock(PIT_HERTZ);
  const edges: string[] = [];
  const pit = new Pit({ clock, irq: (level) => edges.push(`${level ? '+' : '-'}${clock.now()}`) });
  const range = (port: number) => pit.ports.find((r) => port >= r.first && port <= r.last)!;
  return { pit, clock, edges, out: (port, value) => range(port).write(port, value, 1), inp: (port) => range(port).read(port, 1) };
}

describe('8254 timer', () => {
  it('mode 0: OUT low until the terminal count, one tick after N', () => {
    const { clock, edges, out } = build();
    out(0x43, 0x30);
    out(0x40, 4);
    out(0x40, 0);
    clock.advance(100);
    assert.deepEqual(edges, ['+5']);
    out(0x40, 3);
    assert.deepEqual(edges, ['+5', '-100'], 'the first byte of a new count takes OUT low');
    out(0x40, 0);
    clock.advance(10);
    assert.deepEqual(edges, ['+5', '-100', '+104']);
  });

  it('mode 2: one tick low in each period; a new count waits for the end of the period', () => {
    const { clock, edges, out } = build();
    out(0x43, 0x14);
    out(0x40, 4);
    clock.advance(9);
    assert.deepEqual(edges, ['+0', '-4', '+5', '-8', '+9']);
    edges.length = 0;
    clock.advance(1);
    out(0x40, 6);
    clock.advance(10);
    assert.deepEqual(edges, ['-12', '+13', '-18', '+19']);
  });

  it('mode 3: a square wave, one tick longer high for an odd count', () => {
    const { clock, edges, out } = build();
    out(0x43, 0x16);
    out(0x40, 5);
    clock.advance(11);
    assert.deepEqual(edges, ['+0', '-4', '+6', '-9', '+11']);
    edges.length = 0;
    clock.advance(1);
    out(0x40, 4);
    clock.advance(8);
    assert.deepEqual(edges, ['-14', '+16', '-18', '+20'], 'the new count begins with the low half');
  });

  it('mode 4: a strobe of one tick, once', () => {
    const { clock, edges, out } = build();
    out(0x43, 0x18);
    out(0x40, 3);
    clock.advance(100);
    assert.deepEqual(edges, ['+0', '-4', '+5']);
  });

  it('modes 1 and 5: channel 2 is triggered by its gate', () => {
    const { clock, out, inp } = build();
    const out2 = (): number => (inp(0x61) >> 5) & 1;
    out(0x43, 0x92);
    assert.equal(out2(), 1);
    out(0x42, 3);
    clock.advance(10);
    assert.equal(out2(), 1, 'no trigger yet');
    out(0x61, 1);
    clock.advance(1);
    assert.equal(out2(), 0);
    clock.advance(2);
    assert.equal(out2(), 0);
    clock.advance(1);
    assert.equal(out2(), 1);
    out(0x61, 0);
    out(0x61, 1);
    clock.advance(1);
    assert.equal(out2(), 0, 'retriggered');
    out(0x43, 0x9a);
    out(0x42, 2);
    out(0x61, 0);
    out(0x61, 1);
    assert.equal(out2(), 1);
    clock.advance(3);
    assert.equal(out2(), 0);
    clock.advance(1);
    assert.equal(out2(), 1);
  });

  it('the gate of channel 2 pauses mode 0 and restarts mode 2', () => {
    const { clock, out, inp } = build();
    const latched = (): number => { out(0x43, 0x80); return inp(0x42) | inp(0x42) << 8; };
    out(0x61, 1);
    out(0x43, 0xb0);
    out(0x42, 100);
    out(0x42, 0);
    clock.advance(11);
    assert.equal(latched(), 90);
    out(0x61, 0);
    clock.advance(50);
    assert.equal(latched(), 90);
    out(0x61, 1);
    clock.advance(10);
    assert.equal(latched(), 80);
    out(0x43, 0xb4);
    out(0x42, 100);
    out(0x42, 0);
    clock.advance(31);
    out(0x61, 0);
    assert.equal(inp(0x61) & 0x20, 0x20, 'OUT is high while the gate is low');
    out(0x61, 1);
    clock.advance(1);
    assert.equal(latched(), 100);
  });

  it('latches a count until it is read, least byte first', () => {
    const { clock, inp, out } = build();
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0);
    clock.advance(1 + 0x123);
    out(0x43, 0);
    clock.advance(1000);
    out(0x43, 0);
    assert.equal(inp(0x40) | inp(0x40) << 8, 0x10000 - 0x123);
  });

  it('counts in BCD', () => {
    const { clock, inp, out } = build();
    out(0x43, 0x35);
    out(0x40, 0);
    out(0x40, 0x10);
    clock.advance(2);
    assert.equal(inp(0x40) | inp(0x40) << 8, 0x0999);
  });

  it('mode 3 counts by two in each half', () => {
    const { clock, inp, out } = build();
    out(0x43, 0x16);
    out(0x40, 8);
    const seen: number[] = [];
    clock.advance(1);
    for (let i = 0; i < 9; i++) { seen.push(inp(0x40)); clock.advance(1); }
    assert.deepEqual(seen, [8, 6, 4, 2, 8, 6, 4, 2, 8]);
  });

  it('read-back gives status, then the count', () => {
    const { clock, inp, out } = build();
    out(0x43, 0x16);
    out(0x43, 0xe2);
    assert.equal(inp(0x40), 0xc0 | 0x16 & 0x3f, 'OUT high, null count');
    out(0x40, 8);
    clock.advance(2);
    out(0x43, 0xc2);
    assert.equal(inp(0x40), 0x80 | 0x16);
    assert.equal(inp(0x40), 6);
  });

  it('leaves one timer behind however often it is reprogrammed', () => {
    const { clock, out } = build();
    for (let i = 0; i < 1000; i++) { out(0x43, 0x36); out(0x40, i); out(0x40, 1); }
    assert.equal(clock.pending, 1);
  });

  it('survives counts of 0 and 1 in every mode, with time moving on', () => {
    const { clock, inp, out } = build();
    for (let mode = 0; mode < 8; mode++) {
      for (const count of [0, 1]) {
        out(0x43, 0x10 | mode << 1);
        out(0x40, count);
        clock.advance(1000);
        assert.ok(inp(0x40) <= 0xff);
      }
    }
  });

  it('fires BIOS ticks at 18.2 Hz of virtual time', () => {
    const clock = new TestClock(10_000_000);
    let ticks = 0;
    const pit = new Pit({ clock, irq: (level) => { if (level) ticks++; } });
    pit.ports[0].write(0x43, 0x36, 1);
    pit.ports[0].write(0x40, 0, 1);
    pit.ports[0].write(0x40, 0, 1);
    clock.advanceSeconds(10);
    assert.ok(ticks === 182 || ticks === 183, String(ticks));
  });

  it('continues from a saved state with the same edges', () => {
    const a = build();
    a.out(0x43, 0x14);
    a.out(0x40, 10);
    a.clock.advance(13);
    const saved = JSON.parse(JSON.stringify(a.pit.save())) as unknown;
    const b = build();
    b.clock.advance(13);
    b.pit.restore(saved);
    a.edges.length = 0;
    a.clock.advance(20);
    b.clock.advance(20);
    assert.deepEqual(b.edges, a.edges);
    assert.notEqual(b.edges.length, 0);
  });
});
