import { strict as assert } from 'node:assert';
import { DebugExit } from './debug-exit';
import { DebugPort } from './debug-port';
import type { AccessSize, Device } from './device';
import { Dma } from './dma';
import { Power } from './power';

function ports(device: Device) {
  const range = (port: number) => device.ports!.find((r) => port >= r.first && port <= r.last)!;
  return {
    out: (port: number, value: number, size: AccessSize = 1): void => range(port).write(port, value, size),
    inp: (port: number, size: AccessSize = 1): number => range(port).read(port, size),
  };
}

describe('debug port', () => {
  it('passes bytes on, least first, and shows that it is there', () => {
    const seen: number[] = [];
    const { out, inp } = ports(new DebugPort((bytes) => seen.push(...bytes)));
    out(0xe9, 0x41);
    out(0xe9, 0x4342, 2);
    assert.deepEqual(seen, [0x41, 0x42, 0x43]);
    assert.equal(inp(0xe9), 0xe9);
  });
});

describe('debug exit', () => {
  it('ends with twice the value plus one', () => {
    const seen: number[] = [];
    const { out } = ports(new DebugExit((status) => seen.push(status)));
    out(0xf4, 0);
    out(0xf4, 0x10, 4);
    out(0xf4, 0xffffffff, 4);
    assert.deepEqual(seen, [1, 0x21, 0xff]);
  });
});

describe('power', () => {
  it('goes off with SLP_EN and sleep type 0, and not otherwise', () => {
    let off = 0;
    const { out, inp } = ports(new Power(() => off++));
    out(0xb004, 0x3400, 2);
    out(0xb004, 1, 2);
    assert.equal(off, 0);
    assert.equal(inp(0xb004, 2), 1);
    out(0xb004, 0x2000, 2);
    assert.equal(off, 1);
    out(0xb005, 0x20);
    assert.equal(off, 2);
  });
});

describe('8237A', () => {
  it('takes addresses and counts byte by byte and shows a channel', () => {
    const dma = new Dma();
    const { out, inp } = ports(dma);
    out(0x0c, 0);
    out(0x04, 0x34); out(0x04, 0x12);
    out(0x05, 0xff); out(0x05, 0x01);
    out(0x81, 0x07);
    out(0x0b, 0x46);
    assert.deepEqual(dma.channel(2), { address: 0x71234, bytes: 512, mode: 0x44, masked: true });
    out(0x0a, 0x02);
    assert.equal(dma.channel(2).masked, false);
    assert.deepEqual([inp(0x04), inp(0x04)], [0x34, 0x12]);
    out(0x0d, 0);
    assert.equal(inp(0x0f), 0x0f, 'master clear masks everything');
  });

  it('counts words on channels 5–7', () => {
    const dma = new Dma();
    const { out } = ports(dma);
    out(0xc4, 0x00); out(0xc4, 0x80);
    out(0xc6, 0x0f); out(0xc6, 0x00);
    out(0x8b, 0x03);
    assert.deepEqual(dma.channel(5), { address: 0x30000, bytes: 32, mode: 0, masked: true });
  });
});
