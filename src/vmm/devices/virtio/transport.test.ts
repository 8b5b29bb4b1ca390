/** The transport and its rings, driven by registers: discovery, negotiation, requests, and everything that a hostile driver can put into memory. */
import assert from 'node:assert/strict';
import { VirtioConsole } from './console';
import { INDIRECT, NEXT, TestDriver, WRITE } from './test-driver';

const NEEDS_RESET = 0x40, FEATURES_OK = 8;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);

function console_(queueSize?: number): { driver: TestDriver; device: VirtioConsole; written: () => string } {
  let output = '';
  const device = new VirtioConsole((part) => { output += text(part); });
  return { driver: new TestDriver(device, queueSize), device, written: () => output };
}

describe('virtio: transport', () => {
  it('shows five capabilities that chain and lie inside the window', () => {
    const { driver } = console_();
    const types: number[] = [];
    for (let at = driver.pci.capabilities as number; at; at = driver.configuration[at + 1]) {
      assert.equal(at % 4, 0);
      if (driver.configuration[at] === 0x11) continue;
      assert.equal(driver.configuration[at], 9);
      types.push(driver.configuration[at + 3]);
      const view = new DataView(driver.configuration.buffer, at);
      assert.ok(view.getUint32(8, true) + view.getUint32(12, true) <= driver.pci.bars[4]!.bytes);
    }
    assert.deepEqual(types.sort(), [1, 2, 3, 4, 5]);
  });

  it('refuses features that it does not offer, and a driver of the transitional interface', () => {
    const { driver } = console_();
    driver.status = 3;
    driver.put(0x08, 0, 4);
    driver.put(0x0c, 1 << 5, 4);
    driver.put(0x08, 1, 4);
    driver.put(0x0c, 1, 4);
    driver.status = 3 | FEATURES_OK;
    assert.equal(driver.status & FEATURES_OK, 0);
    driver.status = 0;
    driver.status = 3 | FEATURES_OK;
    assert.equal(driver.status & FEATURES_OK, 0, 'without VERSION_1');
    driver.start();
    assert.equal(driver.status & FEATURES_OK, FEATURES_OK);
    driver.put(0x00, 1, 4);
    assert.equal(driver.get(0x04, 4), 1);
    driver.put(0x00, 7, 4);
    assert.equal(driver.get(0x04, 4), 0);
  });

  it('carries a request, interrupts, and takes the interrupt back when its cause is read', () => {
    const { driver, written } = console_();
    driver.start();
    assert.equal(driver.request(1, [{ bytes: bytes('hello, ') }, { bytes: bytes('world') }]).length, 0);
    assert.equal(written(), 'hello, world');
    assert.equal(driver.interrupt, true);
    assert.equal(driver.isr, 1);
    assert.equal(driver.interrupt, false);
    assert.equal(driver.isr, 0);
  });

  it('interrupts by messages when MSI-X is on, with the vector of the queue', () => {
    const { driver } = console_();
    driver.start();
    driver.vector(0, 0xfee00000, 0x40);
    driver.vector(2, 0xfee01000, 0x42);
    driver.put(0x10, 0, 2);
    driver.put(0x16, 1, 2);
    driver.put(0x1a, 3, 2);
    assert.equal(driver.get(0x1a, 2), 0xffff, 'the device has three vectors');
    driver.put(0x1a, 2, 2);
    assert.deepEqual([driver.get(0x10, 2), driver.get(0x1a, 2)], [0, 2]);
    driver.request(1, [{ bytes: bytes('by pin') }]);
    assert.deepEqual([driver.interrupt, driver.messages], [true, []]);
    driver.messageControl = 0x8000;
    assert.equal(driver.interrupt, false);
    assert.equal(driver.isr, 1);
    driver.request(1, [{ bytes: bytes('by message') }]);
    assert.deepEqual([driver.interrupt, driver.isr, driver.messages], [false, 0, [[0xfee01000, 0x42]]]);
    driver.put(0x16, 1, 2);
    driver.put(0x1a, 0xffff, 2);
    driver.request(1, [{ bytes: bytes('by none') }]);
    assert.equal(driver.messages.length, 1);
  });

  it('keeps a message behind the masks of its vector and of the function', () => {
    const { driver } = console_();
    driver.start();
    driver.vector(1, 0xfee00000, 0x51, 1);
    driver.put(0x16, 1, 2);
    driver.put(0x1a, 1, 2);
    driver.messageControl = 0xc000;
    driver.request(1, [{ bytes: bytes('a') }]);
    driver.request(1, [{ bytes: bytes('b') }]);
    assert.deepEqual([driver.messages.length, driver.pci.bars[1]!.read(0x800, 4)], [0, 2]);
    driver.vector(1, 0xfee00000, 0x51, 0);
    assert.equal(driver.messages.length, 0);
    const other = new TestDriver(new VirtioConsole(() => undefined));
    other.pci.restore(JSON.parse(JSON.stringify(driver.pci.save())));
    other.messageControl = 0x8000;
    driver.messageControl = 0x8000;
    assert.deepEqual([driver.messages, other.messages, driver.pci.bars[1]!.read(0x800, 4)], [[[0xfee00000, 0x51]], [[0xfee00000, 0x51]], 0]);
    driver.pci.reset();
    assert.deepEqual([driver.pci.bars[1]!.read(0x1c, 4), driver.get(0x10, 2)], [1, 0xffff]);
    assert.equal(driver.pci.registerValues().length, driver.pci.registers.length);
  });

  it('gives no interrupt to a driver that wants none', () => {
    const { driver } = console_();
    driver.start();
    driver.memory.write16(driver.driverRing(1), 1);
    driver.request(1, [{ bytes: bytes('x') }]);
    assert.equal(driver.interrupt, false);
  });

  it('hears no bell before DRIVER_OK, nor while it may not master the bus', () => {
    const { driver, written } = console_();
    driver.start();
    driver.status = 0;
    driver.offer(1, [{ bytes: bytes('early') }]);
    driver.ring(1);
    const other = console_();
    other.driver.start();
    other.driver.mastering = false;
    other.driver.offer(1, [{ bytes: bytes('early') }]);
    other.driver.ring(1);
    assert.equal(written() + other.written(), '');
    other.driver.mastering = true;
    other.driver.ring(1);
    assert.equal(other.written(), 'early');
  });

  it('follows indices past 65535 and around the ring', () => {
    const { driver, written } = console_(2);
    driver.start();
    for (let n = 0; n < 65_540; n++) driver.request(1, [{ bytes: Uint8Array.of(n & 0xff) }]);
    assert.equal(driver.memory.read16(driver.deviceRing(1) + 2), 4);
    assert.ok(written().length > 0);
  });

  it('follows an indirect table', () => {
    const { driver, written } = console_();
    driver.start(2 ** 28);
    driver.memory.writeBytes(0x9000, bytes('indirect'));
    driver.descriptor(1, 0, 0x9000, 2, NEXT, 1, 0xa000);
    driver.descriptor(1, 1, 0x9002, 6, 0, 0, 0xa000);
    driver.descriptor(1, 0, 0xa000, 32, INDIRECT);
    driver.makeAvailable(1, 0);
    driver.ring(1);
    assert.equal(written(), 'indirect');
  });

  it('serves buffers of no bytes', () => {
    const { driver, device, written } = console_();
    driver.start();
    driver.request(1, [{ bytes: bytes('') }, { bytes: bytes('a') }]);
    assert.equal(written(), 'a');
    assert.equal(device.typed(bytes('b')), 1);
    driver.offer(0, [{ room: 0 }]);
    driver.offer(0, [{ room: 4 }]);
    driver.ring(0);
    assert.deepEqual(driver.finished(0).map(({ written: count }) => count), [0, 1]);
  });

  const hostile: readonly [string, (driver: TestDriver) => void][] = [
    ['a chain that is a circle', (driver) => { driver.descriptor(1, 0, 0x9000, 1, NEXT, 0); }],
    ['a descriptor beyond the table', (driver) => { driver.descriptor(1, 0, 0x9000, 1, NEXT, 16); }],
    ['a buffer beyond memory', (driver) => { driver.descriptor(1, 0, (1 << 20) - 1, 2, 0); }],
    ['a buffer at the end of 64 bits', (driver) => { driver.descriptor(1, 0, 2 ** 64 - 2048, 4096, 0); }],
    ['more bytes than a request may have', (driver) => { for (let n = 0; n < 8; n++) driver.descriptor(1, n, 0, 1 << 20, n === 7 ? 0 : NEXT, n + 1); }],
    ['an indirect table inside an indirect table', (driver) => {
      driver.descriptor(1, 0, 0x9000, 16, INDIRECT);
      driver.descriptor(1, 0, 0x9000, 16, INDIRECT, 0, 0x9000);
    }],
    ['an indirect table of half a descriptor', (driver) => { driver.descriptor(1, 0, 0x9000, 24, INDIRECT); }],
    ['an indirect table that goes on', (driver) => { driver.descriptor(1, 0, 0x9000, 16, INDIRECT | NEXT, 1); }],
    ['an indirect table beyond memory', (driver) => { driver.descriptor(1, 0, 2 ** 40, 16, INDIRECT); }],
    ['a request behind its answer', (driver) => {
      driver.descriptor(1, 0, 0x9000, 1, NEXT | WRITE, 1);
      driver.descriptor(1, 1, 0x9000, 1, 0);
    }],
  ];
  for (const [what, prepare] of hostile) {
    it(`stops until a reset at ${what}`, () => {
      const { driver, written } = console_();
      driver.start();
      prepare(driver);
      driver.makeAvailable(1, 0);
      driver.ring(1);
      assert.equal(driver.status & NEEDS_RESET, NEEDS_RESET);
      assert.equal(driver.isr, 2);
      assert.equal(written(), '');
      driver.ring(1);
      driver.status = 0;
      assert.equal(driver.status, 0);
      driver.memory.bytes.fill(0);
      const again = new TestDriver(driver.model);
      again.start();
      again.request(1, [{ bytes: bytes('back') }]);
      assert.equal(written(), 'back');
    });
  }

  it('stops at a head beyond the table, at more requests than the ring holds, and at rings beyond memory', () => {
    for (const prepare of [
      (driver: TestDriver) => driver.makeAvailable(1, 16),
      (driver: TestDriver) => driver.memory.write16(driver.driverRing(1) + 2, 17),
    ]) {
      const { driver } = console_();
      driver.start();
      prepare(driver);
      driver.ring(1);
      assert.equal(driver.status & NEEDS_RESET, NEEDS_RESET);
    }
    for (const part of [0, 1, 2]) {
      const { driver, device } = console_();
      driver.start();
      driver.status = 0;
      driver.status = 3;
      driver.put(0x08, 1, 4);
      driver.put(0x0c, 1, 4);
      driver.status = 11;
      driver.put(0x16, 0, 2);
      driver.put(0x18, 16, 2);
      [0x1000, 0x2000, 0x3000].forEach((at, n) => driver.put(0x20 + 8 * n, at, 4));
      driver.put(0x24 + 8 * part, 0x7fffffff, 4);
      driver.put(0x1c, 1, 2);
      driver.status = 15;
      driver.memory.write16(0x2002, 1);
      driver.descriptor(0, 0, 0x9000, 1, WRITE, 0, 0x1000);
      device.typed(bytes('x'));
      driver.ring(0);
      assert.equal(driver.status & NEEDS_RESET, NEEDS_RESET, `part ${part}`);
    }
  });

  it('serves a ring that its own answers make longer once for each bell', () => {
    const { driver, device } = console_();
    driver.start();
    device.typed(new Uint8Array(0x8000).fill(1));
    // The answer's place is the index of the ring of available requests.
    driver.descriptor(0, 0, driver.driverRing(0) + 2, 1, WRITE);
    driver.makeAvailable(0, 0);
    for (let n = 0; n < 100; n++) driver.ring(0);
    assert.ok(driver.finished(0).length <= 100);
  });

  it('keeps the place of a queue that is in use, and sizes that are powers of two', () => {
    const { driver } = console_();
    driver.put(0x18, 12, 2);
    assert.equal(driver.get(0x18, 2), 256);
    driver.put(0x18, 512, 2);
    assert.equal(driver.get(0x18, 2), 256);
    driver.start();
    driver.put(0x20, 0x5000, 4);
    assert.equal(driver.get(0x20, 4), driver.descriptors(1));
    driver.put(0x16, 9, 2);
    assert.equal(driver.get(0x18, 2), 0, 'a queue that is not there');
  });

  it('is reached through the window in configuration space', () => {
    const { driver } = console_();
    const at = 0x84;
    const view = new DataView(driver.configuration.buffer);
    const set = (offset: number, length: number): void => {
      driver.configuration[at + 4] = 4;
      view.setUint32(at + 8, offset, true);
      view.setUint32(at + 12, length, true);
    };
    set(0x12, 2);
    driver.pci.reading(at + 16, 2);
    assert.equal(view.getUint16(at + 16, true), 2);
    set(0x14, 1);
    driver.configuration[at + 16] = 3;
    driver.pci.configured(at + 16, 1);
    assert.equal(driver.status, 3);
    for (const [offset, length] of [[0x3fff, 4], [0x4000, 1], [0, 3], [1, 2], [0xffffffff, 4]]) {
      set(offset, length);
      driver.pci.reading(at + 16, 4);
      driver.pci.configured(at + 16, 4);
    }
    assert.equal(driver.status, 3);
  });

  it('goes on after save and restore', () => {
    const { driver, device } = console_();
    driver.start();
    driver.offer(0, [{ room: 8 }]);
    device.typed(bytes('saved'));
    const state = JSON.stringify(driver.pci.save());
    const { driver: other } = console_();
    other.memory.bytes.set(driver.memory.bytes);
    other.pci.restore(JSON.parse(state));
    other.ring(0);
    assert.deepEqual(other.finished(0), [{ head: 0, written: 5 }]);
    assert.equal(text(other.memory.readBytes(0x20000, 5)), 'saved');
    assert.equal(other.interrupt, true);
  });

  it('pairs every value with its row', () => {
    const { driver } = console_();
    driver.start();
    driver.request(1, [{ bytes: bytes('x') }]);
    const values = driver.pci.registerValues();
    assert.equal(values.length, driver.pci.registers.length);
    assert.equal(values[driver.pci.registers.findIndex(({ name }) => name === 'queue 1: next_used')], 1);
    assert.equal(driver.isr, 1, 'looking takes nothing back');
  });
});

describe('virtio: console', () => {
  it('keeps what is typed until there are buffers, up to a bound', () => {
    const { driver, device } = console_();
    driver.start();
    assert.equal(device.typed(new Uint8Array(0x20000)), 0x10000);
    assert.equal(device.typed(bytes('x')), 0);
    driver.offer(0, [{ room: 100 }]);
    driver.pci.attend(0);
    assert.deepEqual(driver.finished(0), [{ head: 0, written: 100 }]);
    assert.equal(device.typed(new Uint8Array(200)), 100);
  });
});
