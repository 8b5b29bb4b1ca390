/** The block device's requests, as a driver makes them. */
import assert from 'node:assert/strict';
import type { DiskImage } from '../device';
import { VirtioBlock } from './block';
import { TestDriver } from './test-driver';

const READ = 0, WRITE = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11;
const OK = 0, IO_ERROR = 1, UNSUPPORTED = 2;

class TestDisk implements DiskImage {
  readonly sectorSize = 512;
  readonly bytes: Uint8Array;
  damaged = -1;

  constructor(readonly sectors: number) {
    this.bytes = Uint8Array.from({ length: sectors * 512 }, (_, n) => (n >>> 9) ^ n);
  }

  read(sector: number, count: number): Uint8Array {
    if (this.damaged >= sector && this.damaged < sector + count) throw new Error('damaged');
    return this.bytes.slice(sector * 512, (sector + count) * 512);
  }

  write(sector: number, bytes: Uint8Array): void {
    if (sector === this.damaged) throw new Error('full');
    this.bytes.set(bytes, sector * 512);
  }
}

function header(type: number, sector = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setUint32(8, sector % 2 ** 32, true);
  view.setUint32(12, Math.floor(sector / 2 ** 32), true);
  return new Uint8Array(view.buffer);
}

describe('virtio: block device', () => {
  let disk: TestDisk;
  let driver: TestDriver;
  beforeEach(() => {
    disk = new TestDisk(64);
    driver = new TestDriver(new VirtioBlock(disk, 'disk-one')).start();
  });

  it('tells its size', () => {
    assert.deepEqual([driver.get(0x2000, 4), driver.get(0x2004, 4), driver.get(0x200c, 4), driver.get(0x2014, 4)], [64, 0, 126, 512]);
    assert.equal(driver.get(0x2fff, 4), 0);
  });

  it('reads into several buffers, the status behind the last one', () => {
    const answer = driver.request(0, [{ bytes: header(READ, 3) }, { room: 512 }, { room: 1024 }, { room: 1 }]);
    assert.deepEqual(answer.subarray(0, 1536), disk.bytes.subarray(3 * 512, 6 * 512));
    assert.equal(answer[1536], OK);
  });

  it('takes a request however it is cut into buffers', () => {
    const answer = driver.request(0, [{ bytes: header(READ, 1).subarray(0, 5) }, { bytes: header(READ, 1).subarray(5) }, { room: 100 }, { room: 413 }]);
    assert.deepEqual(answer, Uint8Array.of(...disk.bytes.subarray(512, 1024), OK));
  });

  it('writes', () => {
    const data = new Uint8Array(1024).fill(7);
    assert.deepEqual([...driver.request(0, [{ bytes: header(WRITE, 62) }, { bytes: data }, { room: 1 }])], [OK]);
    assert.deepEqual(disk.bytes.subarray(62 * 512), data);
  });

  it('tells its name and flushes', () => {
    assert.deepEqual([...driver.request(0, [{ bytes: header(FLUSH) }, { room: 1 }])], [OK]);
    const answer = driver.request(0, [{ bytes: header(GET_ID) }, { room: 20 }, { room: 1 }]);
    assert.equal(new TextDecoder().decode(answer.subarray(0, 8)), 'disk-one');
    assert.equal(answer[20], OK);
  });

  it('refuses what lies outside the disk, is no whole sector, or is nothing that it can do', () => {
    for (const [type, sector, bytes, status] of [
      [READ, 64, 512, IO_ERROR], [READ, 63, 1024, IO_ERROR], [READ, 2 ** 63, 512, IO_ERROR], [READ, 0, 100, IO_ERROR], [DISCARD, 0, 512, UNSUPPORTED], [0xffffffff, 0, 0, UNSUPPORTED],
    ] as const) {
      const places = driver.offer(0, [{ bytes: header(type, sector) }, { room: bytes }, { room: 1 }]);
      driver.ring(0);
      assert.equal(driver.finished(0).length, 1);
      assert.equal(driver.memory.read8(places[2]), status, `${type} ${sector} ${bytes}`);
    }
    assert.deepEqual([...driver.request(0, [{ bytes: header(WRITE, 63) }, { bytes: new Uint8Array(1024) }, { room: 1 }])], [IO_ERROR]);
    assert.deepEqual([...driver.request(0, [{ bytes: header(WRITE).subarray(0, 8) }, { room: 1 }])], [IO_ERROR]);
    assert.equal(driver.request(0, [{ bytes: header(READ) }]).length, 0, 'no room for a status');
  });

  it('answers a damaged image and one that can hold no more with an error', () => {
    disk.damaged = 5;
    const places = driver.offer(0, [{ bytes: header(READ, 4) }, { room: 1024 }, { room: 1 }]);
    driver.ring(0);
    assert.equal(driver.memory.read8(places[2]), IO_ERROR);
    driver.finished(0);
    assert.deepEqual([...driver.request(0, [{ bytes: header(WRITE, 5) }, { bytes: new Uint8Array(512) }, { room: 1 }])], [IO_ERROR]);
  });
});
