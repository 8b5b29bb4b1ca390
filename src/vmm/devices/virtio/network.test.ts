/** The network card between a driver's buffers and a wire. */
import assert from 'node:assert/strict';
import { VirtioNetwork } from './network';
import { TestDriver } from './test-driver';

const HEADER_BYTES = 12, MAC_FEATURE = 1 << 5;

function card(): { driver: TestDriver; model: VirtioNetwork; sent: Uint8Array[]; resets: () => number } {
  const sent: Uint8Array[] = [];
  let resets = 0;
  const model: VirtioNetwork = new VirtioNetwork(Uint8Array.of(2, 3, 4, 5, 6, 7), { transmitted: (frame) => sent.push(frame), reset: () => resets++ });
  return { driver: new TestDriver(model).start(MAC_FEATURE), model, sent, resets: () => resets };
}

describe('virtio: network card', () => {
  it('tells its address and that the link is up', () => {
    const { driver } = card();
    assert.deepEqual([0, 1, 2, 3, 4, 5, 6].map((n) => driver.get(0x2000 + n, 1)), [2, 3, 4, 5, 6, 7, 1]);
  });

  it('sends frames without their header, and none that are too long or empty', () => {
    const { driver, sent } = card();
    driver.request(1, [{ bytes: new Uint8Array(HEADER_BYTES) }, { bytes: Uint8Array.of(1, 2, 3) }]);
    driver.request(1, [{ bytes: new Uint8Array(HEADER_BYTES + 1515) }]);
    driver.request(1, [{ bytes: new Uint8Array(HEADER_BYTES) }]);
    driver.request(1, [{ bytes: new Uint8Array(3) }]);
    assert.deepEqual(sent, [Uint8Array.of(1, 2, 3)]);
  });

  it('puts frames with a header into buffers, and waits for them up to a bound', () => {
    const { driver, model } = card();
    for (let n = 0; n < 300; n++) model.arrived(Uint8Array.of(n & 0xff, n >>> 8));
    const [place] = driver.offer(0, [{ room: 1526 }]);
    driver.pci.attend(0);
    assert.deepEqual(driver.finished(0), [{ head: 0, written: 14 }]);
    assert.deepEqual([...driver.memory.readBytes(place, 14)], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let frames = 1;
    for (; frames < 300; frames++) {
      driver.offer(0, [{ room: HEADER_BYTES }, { room: 20 }]);
      driver.ring(0);
      if (driver.finished(0).length === 0) break;
    }
    assert.equal(frames, 256);
  });

  it('loses a frame for which a buffer is too small', () => {
    const { driver, model } = card();
    model.arrived(new Uint8Array(100));
    driver.offer(0, [{ room: 50 }]);
    driver.ring(0);
    assert.deepEqual(driver.finished(0), [{ head: 0, written: 0 }]);
  });

  it('gives a driver that starts over a wire with nothing under way', () => {
    const { driver, model, resets } = card();
    const before = resets();
    model.arrived(Uint8Array.of(1));
    driver.status = 0;
    assert.equal(resets(), before + 1);
    driver.start();
    driver.memory.bytes.fill(0);
    const again = new TestDriver(model).start();
    again.offer(0, [{ room: 100 }]);
    again.ring(0);
    assert.deepEqual(again.finished(0), []);
  });
});
