import { strict as assert } from 'node:assert';
import { EventClock } from './clock';

describe('EventClock', () => {
  it('fires in order of time, and equal times in order of scheduling', () => {
    const clock = new EventClock(1000);
    const fired: string[] = [];
    for (const [at, name] of [[30, 'c'], [10, 'a'], [30, 'd'], [20, 'b'], [30, 'e']] as const) clock.schedule(at, () => fired.push(`${name}@${clock.now()}`));
    assert.equal(clock.nextEvent(), 10);
    clock.advanceTo(20);
    assert.deepEqual(fired, ['a@10', 'b@20']);
    clock.advanceTo(100);
    assert.deepEqual(fired.slice(2), ['c@30', 'd@30', 'e@30']);
    assert.equal(clock.now(), 100);
    assert.equal(clock.nextEvent(), undefined);
  });

  it('keeps the heap in order under random scheduling and cancelling, and cancelled events leave nothing behind', () => {
    const clock = new EventClock(1000);
    let seed = 1;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const expected: { at: number; order: number }[] = [];
    const fired: { at: number; order: number }[] = [];
    for (let order = 0; order < 2000; order++) {
      const entry = { at: random(500), order };
      const handle = clock.schedule(entry.at, () => fired.push(entry));
      if (random(3) === 0) { handle.cancel(); handle.cancel(); } else expected.push(entry);
    }
    assert.equal(clock.pending, expected.length);
    expected.sort((a, b) => a.at - b.at || a.order - b.order);
    clock.advanceTo(500);
    assert.deepEqual(fired, expected);
  });

  it('catches up with periodic events at their own times', () => {
    const clock = new EventClock(1000, () => 1000);
    const times: number[] = [];
    const tick = (): void => { times.push(clock.now()); if (clock.now() < 50) clock.schedule(clock.now() + 10, tick); };
    clock.schedule(10, tick);
    clock.advanceTo(1000);
    assert.deepEqual(times, [10, 20, 30, 40, 50]);
    assert.equal(clock.now(), 1000);
  });

  it('reads the exact count from its source between events', () => {
    let count = 0;
    const clock = new EventClock(1000, () => count);
    count = 17;
    assert.equal(clock.now(), 17);
  });

  it('forgets its events at a restart', () => {
    const clock = new EventClock(1000);
    clock.schedule(5, () => assert.fail('fired'));
    clock.restart(0);
    clock.advanceTo(10);
    assert.equal(clock.pending, 0);
  });
});
