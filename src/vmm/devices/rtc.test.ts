import { strict as assert } from 'node:assert';
import { CMOS, Rtc } from './rtc';
import { TestClock } from './test-clock';

const START = Date.UTC(1999, 11, 31, 23, 59, 58) / 1000;

function build(ramBytes = 64 << 20) {
  const clock = new TestClock(1_000_000);
  const edges: boolean[] = [];
  const rtc = new Rtc({ clock, irq: (level) => edges.push(level), startSeconds: START, ramBytes, floppyType: 4, hasHardDisk: true });
  const [range] = rtc.ports;
  const get = (index: number): number => { range.write(0x70, index, 1); return range.read(0x71, 1); };
  const set = (index: number, value: number): void => { range.write(0x70, index, 1); range.write(0x71, value, 1); };
  const time = (): number[] => [CMOS.century, CMOS.year, CMOS.month, CMOS.day, CMOS.hours, CMOS.minutes, CMOS.seconds, CMOS.weekday].map(get);
  return { clock, rtc, edges, get, set, time };
}

describe('RTC and CMOS', () => {
  it('shows BCD time that advances with the clock, over the century', () => {
    const { clock, time } = build();
    assert.deepEqual(time(), [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58, 6]);
    clock.advanceSeconds(2);
    assert.deepEqual(time(), [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7]);
  });

  it('shows binary and 12-hour time', () => {
    const { get, set, clock } = build();
    set(CMOS.b, 0x04);
    assert.equal(get(CMOS.hours), 0x80 | 11);
    assert.equal(get(CMOS.minutes), 59);
    clock.advanceSeconds(2);
    assert.equal(get(CMOS.hours), 12, 'midnight is 12 AM');
  });

  it('holds the time while SET is 1 and goes on from what was written', () => {
    const { clock, set, time } = build();
    set(CMOS.b, 0x82);
    for (const [index, value] of [[CMOS.century, 0x20], [CMOS.year, 0x24], [CMOS.month, 2], [CMOS.day, 0x28], [CMOS.hours, 0x23], [CMOS.minutes, 0x59], [CMOS.seconds, 0x59]]) set(index, value);
    clock.advanceSeconds(5);
    assert.equal(time()[6], 0x59);
    set(CMOS.b, 0x02);
    clock.advanceSeconds(1);
    assert.deepEqual(time().slice(0, 7), [0x20, 0x24, 0x02, 0x29, 0, 0, 0], 'a leap year');
  });

  it('raises UIP before the second', () => {
    const { clock, get } = build();
    clock.advance(500_000);
    assert.equal(get(CMOS.a), 0x26);
    clock.advance(499_000);
    assert.equal(get(CMOS.a), 0xa6);
    clock.advance(1_500);
    assert.equal(get(CMOS.a), 0x26);
  });

  it('interrupts periodically at the chosen rate, held until C is read', () => {
    const { clock, edges, get, set } = build();
    set(CMOS.b, 0x42);
    get(CMOS.c);
    edges.length = 0;
    clock.advanceSeconds(0.01);
    assert.deepEqual(edges, [true]);
    assert.equal(clock.pending, 0, 'nothing to wait for while the line is high');
    assert.equal(get(CMOS.c), 0xc0);
    assert.equal(get(CMOS.c), 0);
    let count = 0;
    for (let i = 0; i < 10_000; i++) { clock.advance(100); if (get(CMOS.c) & 0x40) count++; }
    assert.equal(count, 1024);
  });

  it('interrupts after each update', () => {
    const { clock, edges, get, set } = build();
    set(CMOS.b, 0x12);
    get(CMOS.c);
    clock.advanceSeconds(1.5);
    assert.equal(edges.at(-1), true);
    assert.equal(get(CMOS.c) & 0x90, 0x90);
    assert.equal(edges.at(-1), false);
  });

  it('alarms at the time set, and every hour with a wildcard', () => {
    const { clock, edges, get, set } = build();
    set(CMOS.secondsAlarm, 0x05);
    set(CMOS.minutesAlarm, 0x00);
    set(CMOS.hoursAlarm, 0xff);
    set(CMOS.b, 0x22);
    clock.advanceSeconds(6);
    assert.deepEqual(edges, []);
    clock.advanceSeconds(1);
    assert.deepEqual(edges, [true]);
    assert.equal(get(CMOS.c) & 0xa0, 0xa0);
    clock.advanceSeconds(3599);
    assert.equal(edges.length, 2);
    clock.advanceSeconds(1);
    assert.equal(edges.length, 3);
  });

  it('schedules nothing while no interrupt is enabled or an alarm cannot match', () => {
    const { clock, set } = build();
    assert.equal(clock.pending, 0);
    set(CMOS.hoursAlarm, 0x77);
    set(CMOS.b, 0x22);
    assert.equal(clock.pending, 0);
  });

  it('tells memory sizes, drives and a good checksum', () => {
    const { get } = build(64 << 20);
    assert.equal(get(CMOS.baseLow) | get(CMOS.baseHigh) << 8, 640);
    assert.equal(get(CMOS.extendedLow) | get(CMOS.extendedHigh) << 8, 63 * 1024);
    assert.equal(get(CMOS.above16Low) | get(CMOS.above16High) << 8, 48 * 16);
    assert.equal(get(CMOS.floppyTypes), 0x40);
    let sum = 0;
    for (let i = 0x10; i < 0x2e; i++) sum += get(i);
    assert.equal(get(CMOS.checksumHigh) << 8 | get(CMOS.checksumLow), sum);
  });

  it('survives any value in any register and keeps the NMI mask', () => {
    const { rtc, clock, get, set } = build();
    for (let value = 0; value < 256; value += 5) for (let index = 0; index < 256; index++) { set(index, value); get(index); }
    clock.advanceSeconds(100);
    rtc.ports[0].write(0x70, 0x8f, 1);
    assert.equal(rtc.nmiMasked, true);
    rtc.ports[0].write(0x70, 0x0f, 1);
    assert.equal(rtc.nmiMasked, false);
  });
});
