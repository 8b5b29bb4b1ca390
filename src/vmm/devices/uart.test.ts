import { strict as assert } from 'node:assert';
import { TestClock } from './test-clock';
import { Uart } from './uart';

function build() {
  const clock = new TestClock(1_000_000);
  const edges: boolean[] = [];
  const sent: number[] = [];
  const uart = new Uart({ clock, base: 0x3f8, irq: (level) => edges.push(level), output: (bytes) => sent.push(...bytes) });
  const [range] = uart.ports;
  return { clock, uart, edges, sent, get: (n: number) => range.read(0x3f8 + n, 1), set: (n: number, value: number) => range.write(0x3f8 + n, value, 1) };
}
const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));

describe('16550A', () => {
  it('sends bytes at once and is empty again', () => {
    const { get, set, sent } = build();
    set(3, 3);
    for (const c of text('Hi')) { assert.equal(get(5) & 0x60, 0x60); set(0, c); }
    assert.deepEqual(sent, [0x48, 0x69]);
  });

  it('keeps the divisor behind DLAB', () => {
    const { get, set, sent } = build();
    set(3, 0x83);
    set(0, 0x34);
    set(1, 0x12);
    assert.deepEqual([get(0), get(1)], [0x34, 0x12]);
    set(3, 3);
    assert.equal(get(1), 0);
    assert.deepEqual(sent, []);
  });

  it('THRE interrupt: raised by enabling it, cleared by reading IIR, raised again by each byte, as edges', () => {
    const { get, set, edges } = build();
    set(4, 8);
    set(1, 2);
    assert.deepEqual(edges, [true]);
    assert.equal(get(2), 2);
    assert.equal(get(2), 1);
    set(0, 65);
    set(0, 66);
    assert.deepEqual(edges, [true, false, true, false, true]);
  });

  it('is silent without OUT2', () => {
    const { set, edges, get } = build();
    set(1, 2);
    assert.deepEqual(edges, []);
    assert.equal(get(2), 2, 'though IIR shows it');
  });

  it('without FIFOs receives one byte at a time, losing none', () => {
    const { uart, get, set, edges } = build();
    set(4, 8);
    set(1, 1);
    assert.equal(uart.receive(text('abc')), 3);
    let seen = '';
    while (get(5) & 1) seen += String.fromCharCode(get(0));
    assert.equal(seen, 'abc');
    assert.equal(edges.at(-1), false);
    assert.equal(get(2), 1);
  });

  it('FIFO: interrupt at the trigger level, timeout below it', () => {
    const { uart, clock, get, set } = build();
    set(4, 8);
    set(1, 1);
    set(2, 0x81);
    uart.receive(text('1234567'));
    assert.equal(get(2), 0xc1);
    uart.receive(text('8'));
    assert.equal(get(2), 0xc4);
    get(0);
    assert.equal(get(2), 0xc1);
    clock.advanceSeconds(1);
    assert.equal(get(2), 0xcc);
    get(0);
    assert.equal(get(2), 0xc1, 'reading restarts the timeout');
    clock.advanceSeconds(1);
    assert.equal(get(2), 0xcc);
    set(2, 0x83);
    assert.equal(get(2), 0xc1, 'reset of the receive FIFO');
    assert.equal(get(5) & 1, 0);
  });

  it('orders interrupts: line status, data, transmitter, modem', () => {
    const { get, set } = build();
    set(4, 0x10);
    set(1, 0x0f);
    set(0, 1);
    set(0, 2);
    set(4, 0x1b);
    assert.equal(get(2), 6);
    assert.equal(get(5) & 3, 3, 'overrun and data');
    assert.equal(get(2), 4);
    assert.equal(get(0), 2, 'the newer byte');
    assert.equal(get(2), 2);
    assert.equal(get(2), 0);
    assert.equal(get(6) & 0x0b, 0x0b);
    assert.equal(get(2), 1);
  });

  it('loops back modem lines and data, and cuts the outside off', () => {
    const { uart, get, set, sent } = build();
    assert.equal(get(6), 0xb0);
    set(4, 0x1f);
    assert.equal(get(6) & 0xf0, 0xf0);
    set(4, 0x12);
    assert.equal(get(6) & 0xf0, 0x10);
    uart.receive(text('x'));
    assert.equal(get(5) & 1, 0);
    set(0, 0xae);
    assert.equal(get(0), 0xae);
    assert.deepEqual(sent, []);
    set(4, 0);
    assert.equal(get(0), 0x78, 'the outside byte arrives afterwards');
  });

  it('FIFO of 16 in loopback overruns without losing what it holds', () => {
    const { get, set } = build();
    set(2, 1);
    set(4, 0x10);
    for (let i = 0; i < 17; i++) set(0, i);
    assert.equal(get(5) & 2, 2);
    for (let i = 0; i < 16; i++) assert.equal(get(0), i);
    assert.equal(get(5) & 1, 0);
  });

  it('bounds its input and survives a flood', () => {
    const { uart, get, set, clock } = build();
    assert.equal(uart.receive(new Uint8Array(100_000)), 65536 + 0);
    assert.ok(uart.receive(new Uint8Array(10)) <= 1);
    for (let i = 0; i < 20_000; i++) { set(i & 7, (i * 31) & 255); get((i * 7) & 7); }
    assert.ok(clock.pending <= 1);
  });
});
