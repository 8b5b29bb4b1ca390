import assert from 'node:assert/strict';
import { Hpet, HPET_BASE } from './hpet';
import { TestClock } from './test-clock';

/** One tick is one instruction. */
const RATE = 100_000_000;

function bench() {
  const clock = new TestClock(RATE);
  const events: string[] = [];
  const line = (name: string) => (level: boolean): void => { events.push(`${name} ${level ? 1 : 0} at ${clock.now()}`); };
  const hpet = new Hpet({
    clock, pins: Array.from({ length: 24 }, (_, n) => line(`pin ${n}`)), legacy: [line('irq 0'), line('irq 8')],
    legacyReplacement: (on) => events.push(`legacy ${on}`), message: (address, data) => events.push(`message ${address.toString(16)} ${data.toString(16)}`),
  });
  const [{ read, write }] = hpet.mmio;
  return {
    clock, hpet, events, get: (offset: number) => read(HPET_BASE + offset, 4), set: (offset: number, value: number) => write(HPET_BASE + offset, value, 4),
    seen: () => events.splice(0),
  };
}

describe('HPET', () => {
  it('says what it is', () => {
    const { get } = bench();
    assert.deepEqual([get(0), get(4)], [0x8086a201, 10_000_000]);
    assert.deepEqual([get(0x100), get(0x104)], [0x8030, 0x00f00000]);
  });

  it('counts while it is enabled and stands otherwise, and can be set', () => {
    const { clock, get, set } = bench();
    clock.advance(50);
    assert.equal(get(0xf0), 0);
    set(0x10, 1);
    clock.advance(123);
    assert.equal(get(0xf0), 123);
    set(0x10, 0);
    clock.advance(50);
    assert.equal(get(0xf0), 123);
    set(0xf0, 0xfffffff0);
    set(0xf4, 7);
    set(0x10, 1);
    clock.advance(0x20);
    assert.deepEqual([get(0xf0), get(0xf4)], [0x10, 8]);
  });

  it('interrupts once at the comparator, as an edge at its route', () => {
    const { clock, set, seen, get } = bench();
    set(0x10, 1);
    set(0x120, 21 << 9 | 4);
    set(0x128, 1000);
    set(0x12c, 0);
    clock.advance(5000);
    assert.deepEqual(seen(), ['pin 21 1 at 1000']);
    assert.equal(get(0x20), 0);
  });

  it('takes no route that does not exist', () => {
    const { set, get } = bench();
    set(0x100, 5 << 9 | 4);
    assert.equal(get(0x100), 0x8034);
  });

  it('holds a level until its status is cleared', () => {
    const { clock, set, seen, get } = bench();
    set(0x100, 20 << 9 | 0x106);
    set(0x108, 100);
    set(0x10, 1);
    clock.advance(100);
    assert.deepEqual([seen(), get(0x20)], [['pin 20 1 at 100'], 1]);
    set(0x20, 2);
    assert.deepEqual(seen(), []);
    set(0x20, 1);
    assert.deepEqual([seen(), get(0x20)], [['pin 20 0 at 100'], 0]);
  });

  it('repeats from the accumulator by the period, without drift', () => {
    const { clock, set, seen } = bench();
    set(0x10, 3);
    assert.deepEqual(seen(), ['legacy true']);
    set(0x100, 0x14c); // 32 bits, periodic, set accumulator, enable
    set(0x108, 500);
    set(0x108, 300);
    clock.advance(1100);
    assert.deepEqual(seen().filter((event) => event.includes(' 1 at')), ['irq 0 1 at 500', 'irq 0 1 at 800', 'irq 0 1 at 1100']);
    set(0x10, 0);
    assert.deepEqual(seen(), ['irq 0 0 at 1100', 'legacy false']);
    assert.equal(clock.pending, 0);
  });

  it('takes both halves of an accumulator', () => {
    const { clock, set, seen } = bench();
    set(0xf4, 1);
    set(0x100, 20 << 9 | 0x4c);
    set(0x108, 700);
    set(0x10c, 1);
    set(0x108, 400);
    set(0x10c, 0);
    set(0x10, 1);
    clock.advance(1100);
    assert.deepEqual(seen().filter((event) => event.includes(' 1 at')), ['pin 20 1 at 700', 'pin 20 1 at 1100']);
  });

  it('writes messages', () => {
    const { clock, set, seen } = bench();
    set(0x110, 0x4041);
    set(0x114, 0xfee00000);
    set(0x100, 0x4104);
    set(0x108, 10);
    set(0x10, 1);
    clock.advance(10);
    assert.deepEqual(seen(), ['message fee00000 4041']);
  });

  it('is not late for ever with periods shorter than an instruction', () => {
    const clock = new TestClock(1000);
    let edges = 0;
    const hpet = new Hpet({ clock, pins: Array.from({ length: 24 }, () => (level: boolean) => { edges += level ? 1 : 0; }), legacy: [() => 0, () => 0], legacyReplacement: () => 0, message: () => 0 });
    const write = (offset: number, value: number): void => hpet.mmio[0].write(HPET_BASE + offset, value, 4);
    write(0x100, 20 << 9 | 0x14c);
    write(0x108, 1);
    write(0x10, 1);
    clock.advance(100);
    assert.ok(edges > 90 && edges <= 101, String(edges));
  });

  it('continues from a saved state', () => {
    const one = bench();
    one.set(0xf4, 0x80000000);
    one.set(0x100, 20 << 9 | 0x104);
    one.set(0x108, 100);
    one.set(0x10, 1);
    one.clock.advance(60);
    const other = bench();
    other.clock.advance(60);
    other.hpet.restore(JSON.parse(JSON.stringify(one.hpet.save())));
    other.seen();
    assert.equal(other.get(0xf4), 0x80000000);
    other.clock.advance(50);
    assert.deepEqual(other.seen(), ['pin 20 1 at 100']);
  });
});
