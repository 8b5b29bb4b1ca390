import assert from 'node:assert/strict';
import { ApicBus, Delivery, type InterruptMessage } from './apic-bus';
import { IO_APIC_BASE, IoApic } from './io-apic';

function bench() {
  const bus = new ApicBus();
  const received: InterruptMessage[] = [];
  const processor = { present: true };
  bus.addProcessor({ matches: () => true, accepts: () => processor.present, processorPriority: 0, receive: (message) => received.push(message) });
  const device = new IoApic(bus, 1);
  const [{ read, write }] = device.mmio;
  const register = (index: number): number => {
    write(IO_APIC_BASE, index, 4);
    return read(IO_APIC_BASE + 0x10, 4);
  };
  const set = (index: number, value: number): void => {
    write(IO_APIC_BASE, index, 4);
    write(IO_APIC_BASE + 0x10, value, 4);
  };
  return {
    device, received, processor, register, set, write,
    vectors: () => received.splice(0).map(({ vector }) => vector),
    pin: (n: number, level: boolean) => device.pins[n](level),
    pulse: (n: number) => {
      device.pins[n](true);
      device.pins[n](false);
    },
  };
}

describe('I/O APIC', () => {
  it('has 24 masked inputs after reset', () => {
    const { register } = bench();
    assert.equal(register(1), 0x00170020);
    for (let n = 0; n < 24; n++) assert.equal(register(0x10 + 2 * n), 0x10000);
    assert.equal(register(0x40), 0xffffffff);
  });

  it('sends each edge to the destination of its entry, and loses edges while masked', () => {
    const { set, pulse, received, register } = bench();
    pulse(4);
    set(0x19, 0x03000000);
    set(0x18, 0x0830 | Delivery.LowestPriority << 8);
    assert.equal(received.length, 0);
    pulse(4);
    assert.deepEqual(received, [{ vector: 0x30, delivery: Delivery.LowestPriority, level: false, destination: 3, logical: true }]);
    assert.equal(register(0x19), 0x03000000);
  });

  it('sends a level once until the processor ends it, then again while it lasts', () => {
    const { set, pin, vectors, device, register } = bench();
    set(0x30, 0xa041); // level, active low
    pin(16, true);
    assert.deepEqual([vectors(), register(0x30)], [[0x41], 0xe041]);
    pin(16, false);
    pin(16, true);
    assert.deepEqual(vectors(), []);
    device.endOfInterrupt(0x42);
    assert.deepEqual(vectors(), []);
    device.endOfInterrupt(0x41);
    assert.deepEqual(vectors(), [0x41]);
    pin(16, false);
    device.endOfInterrupt(0x41);
    assert.deepEqual([vectors(), register(0x30)], [[], 0xa041]);
  });

  it('sends a level that was there before the entry was opened', () => {
    const { set, pin, vectors } = bench();
    pin(20, true);
    set(0x38, 0x8050);
    assert.deepEqual(vectors(), [0x50]);
  });

  it('forgets remote IRR when the entry becomes edge-triggered, and by its EOI register', () => {
    const { set, pin, vectors, register, write } = bench();
    set(0x30, 0x8041);
    pin(16, true);
    set(0x30, 0x10041);
    assert.equal(register(0x30), 0x10041);
    set(0x30, 0x8041);
    assert.deepEqual(vectors(), [0x41, 0x41]);
    write(IO_APIC_BASE + 0x40, 0x41, 4);
    assert.deepEqual(vectors(), [0x41]);
  });

  it('keeps a level that no processor takes', () => {
    const { set, pin, vectors, processor, register } = bench();
    processor.present = false;
    set(0x30, 0x8041);
    pin(16, true);
    assert.equal(register(0x30), 0x8041);
    processor.present = true;
    set(0x30, 0x8041);
    assert.deepEqual(vectors(), [0x41]);
  });

  it('continues from a saved state', () => {
    const { set, pin, device, vectors } = bench();
    set(0x30, 0x8041);
    pin(16, true);
    const other = bench();
    other.device.restore(JSON.parse(JSON.stringify(device.save())));
    other.device.endOfInterrupt(0x41);
    assert.deepEqual([vectors(), other.vectors()], [[0x41], [0x41]]);
  });
});
