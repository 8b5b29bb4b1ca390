import { strict as assert } from 'node:assert';
import type { PhysicalBytes } from './device';
import { FirmwareConfiguration } from './fw-cfg';

function plainMemory(ramBytes: number): PhysicalBytes & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(ramBytes), view = new DataView(bytes.buffer);
  return {
    ramBytes, bytes,
    read8: (at) => view.getUint8(at), read16: (at) => view.getUint16(at, true), read32: (at) => view.getUint32(at, true),
    write8: (at, value) => view.setUint8(at, value), write16: (at, value) => view.setUint16(at, value, true), write32: (at, value) => view.setUint32(at, value, true),
    readBytes: (at, length) => bytes.slice(at, at + length), writeBytes: (at, part) => bytes.set(part, at),
  };
}

function build() {
  const memory = plainMemory(0x10000);
  const device = new FirmwareConfiguration({
    memory, items: new Map([[3, Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0)]]), files: [{ name: 'bootorder', bytes: Uint8Array.from('/disk', (c) => c.charCodeAt(0)) }, { name: 'etc/e820', bytes: Uint8Array.of(1, 2, 3) }],
  });
  const range = (port: number) => device.ports.find(({ first, last }) => port >= first && port <= last)!;
  const item = (number: number, length: number): number[] => {
    range(0x510).write(0x510, number, 2);
    return Array.from({ length }, () => range(0x511).read(0x511, 1));
  };
  const dma = (block: number): void => {
    range(0x514).write(0x514, 0, 4);
    const swapped = new DataView(new ArrayBuffer(4));
    swapped.setUint32(0, block);
    range(0x518).write(0x518, swapped.getUint32(0, true), 4);
  };
  const put = (at: number, ...words: number[]): void => {
    const view = new DataView(memory.bytes.buffer);
    words.forEach((word, n) => view.setUint32(at + 4 * n, word));
  };
  return { device, memory, range, item, dma, put };
}

describe('firmware configuration', () => {
  it('has a signature, items, and zeros behind them', () => {
    const { item } = build();
    assert.equal(String.fromCharCode(...item(0, 4)), 'QEMU');
    assert.deepEqual(item(1, 4), [3, 0, 0, 0]);
    assert.deepEqual(item(3, 9), [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert.deepEqual(item(0x3000, 2), [0, 0]);
    assert.deepEqual(item(0x8000, 2), [0, 0], 'an item of the architecture');
  });

  it('lists files by name', () => {
    const { item } = build();
    const list = item(0x19, 4 + 2 * 64);
    assert.deepEqual(list.slice(0, 4), [0, 0, 0, 2]);
    assert.deepEqual(list.slice(68, 74), [0, 0, 0, 3, 0, 0x21]);
    assert.equal(String.fromCharCode(...list.slice(76, 85)), 'etc/e820\0');
    assert.deepEqual(item(0x21, 4), [1, 2, 3, 0]);
  });

  it('transfers by DMA, and refuses writing and what is not RAM', () => {
    const { memory, range, dma, put, device } = build();
    assert.equal(range(0x514).read(0x514, 4), 0x554d4551);
    put(0x100, 0x0020000a, 7, 0, 0x200);
    dma(0x100);
    assert.equal(memory.read32(0x100), 0);
    assert.equal(String.fromCharCode(...memory.readBytes(0x200, 7)), '/disk\0\0');
    put(0x100, 0x00200008 | 4, 2, 0, 0);
    dma(0x100);
    put(0x100, 2, 3, 0, 0x300);
    dma(0x100);
    assert.equal(String.fromCharCode(...memory.readBytes(0x300, 3)), 'isk');
    for (const [control, address] of [[0x10, 0x200], [2, 0xfff0], [2, 0xffffff00]]) {
      put(0x100, control, 0x100, 0, address);
      dma(0x100);
      assert.equal(memory.read8(0x103), 1);
    }
    dma(0xfffff000);
    put(0x100, 2, 0xffffffff, 0, 0);
    dma(0x100);
    assert.deepEqual(device.registerValues()[0], 0x20);
  });
});
