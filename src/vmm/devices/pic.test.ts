import { strict as assert } from 'node:assert';
import { PicPair } from './pic';

function write(pic: PicPair, port: number, value: number): void {
  pic.ports.find((r) => port >= r.first && port <= r.last)!.write(port, value, 1);
}
function read(pic: PicPair, port: number): number {
  return pic.ports.find((r) => port >= r.first && port <= r.last)!.read(port, 1);
}

function initialized(options: { icw4?: number; slaveIcw4?: number } = {}): { pic: PicPair; levels: boolean[] } {
  const levels: boolean[] = [];
  const pic = new PicPair((level) => levels.push(level));
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x08], [0x21, 4], [0x21, options.icw4 ?? 1], [0xa0, 0x11], [0xa1, 0x70], [0xa1, 2], [0xa1, options.slaveIcw4 ?? 1]]) {
    write(pic, port, value);
  }
  return { pic, levels };
}
const pulse = (pic: PicPair, n: number): void => { pic.irq[n](false); pic.irq[n](true); };

describe('8259A pair', () => {
  it('delivers an edge once, blocks the level until EOI, and reports IRR and ISR', () => {
    const { pic, levels } = initialized();
    pulse(pic, 1);
    assert.deepEqual(levels, [true]);
    write(pic, 0x20, 0x0a);
    assert.equal(read(pic, 0x20), 2);
    assert.equal(pic.acknowledge(), 9);
    assert.deepEqual(levels, [true, false]);
    write(pic, 0x20, 0x0b);
    assert.equal(read(pic, 0x20), 2);
    pulse(pic, 1);
    assert.equal(pic.interruptRequested, false);
    write(pic, 0x20, 0x20);
    assert.equal(pic.acknowledge(), 9);
  });

  it('nests by priority: a higher level interrupts, a lower one waits', () => {
    const { pic } = initialized();
    pulse(pic, 4);
    assert.equal(pic.acknowledge(), 0x0c);
    pulse(pic, 6);
    assert.equal(pic.interruptRequested, false);
    pulse(pic, 0);
    assert.equal(pic.acknowledge(), 8);
    write(pic, 0x20, 0x20);
    assert.equal(pic.interruptRequested, false);
    write(pic, 0x20, 0x20);
    assert.equal(pic.acknowledge(), 0x0e);
  });

  it('honours the mask and delivers what was latched when unmasked', () => {
    const { pic } = initialized();
    write(pic, 0x21, 0xff);
    pulse(pic, 3);
    assert.equal(pic.interruptRequested, false);
    assert.equal(read(pic, 0x21), 0xff);
    write(pic, 0x21, 0);
    assert.equal(pic.acknowledge(), 0x0b);
  });

  it('cascades: IRQ 8-15 need two EOIs and rank between IRQ 1 and IRQ 3', () => {
    const { pic } = initialized();
    pulse(pic, 3);
    pulse(pic, 14);
    assert.equal(pic.acknowledge(), 0x76);
    pulse(pic, 8);
    assert.equal(pic.interruptRequested, false, 'IR2 is in service');
    write(pic, 0xa0, 0x20);
    write(pic, 0x20, 0x20);
    assert.equal(pic.acknowledge(), 0x70);
    write(pic, 0xa0, 0x20);
    write(pic, 0x20, 0x20);
    assert.equal(pic.acknowledge(), 0x0b);
  });

  it('delivers a second slave request that waited behind the first', () => {
    const { pic } = initialized();
    pulse(pic, 9);
    pulse(pic, 10);
    assert.equal(pic.acknowledge(), 0x71);
    write(pic, 0xa0, 0x20);
    write(pic, 0x20, 0x20);
    assert.equal(pic.interruptRequested, true);
    assert.equal(pic.acknowledge(), 0x72);
  });

  it('special fully nested mode lets a higher slave level through', () => {
    const { pic } = initialized({ icw4: 0x11 });
    pulse(pic, 14);
    assert.equal(pic.acknowledge(), 0x76);
    pulse(pic, 8);
    assert.equal(pic.acknowledge(), 0x70);
  });

  it('answers spuriously with IRQ 7 and IRQ 15 when the request has gone, without an in-service bit', () => {
    const { pic } = initialized();
    pulse(pic, 3);
    pic.irq[3](false);
    assert.equal(pic.interruptRequested, false);
    assert.equal(pic.acknowledge(), 0x0f);
    write(pic, 0x20, 0x0b);
    assert.equal(read(pic, 0x20), 0);
  });

  it('keeps requesting while a level-triggered line stays high', () => {
    const { pic } = initialized();
    write(pic, 0x4d1, 0xff);
    assert.equal(read(pic, 0x4d1), 0xde);
    write(pic, 0x4d0, 0xff);
    assert.equal(read(pic, 0x4d0), 0xf8);
    pic.irq[11](true);
    assert.equal(pic.acknowledge(), 0x73);
    write(pic, 0xa0, 0x20);
    write(pic, 0x20, 0x20);
    assert.equal(pic.acknowledge(), 0x73);
    pic.irq[11](false);
    write(pic, 0xa0, 0x20);
    write(pic, 0x20, 0x20);
    assert.equal(pic.interruptRequested, false);
  });

  it('automatic EOI leaves nothing in service, rotates when asked', () => {
    const { pic } = initialized({ icw4: 3 });
    write(pic, 0x20, 0x80);
    pulse(pic, 0);
    pulse(pic, 1);
    assert.equal(pic.acknowledge(), 8);
    pulse(pic, 0);
    assert.equal(pic.acknowledge(), 9, 'IRQ 0 has become the lowest');
    assert.equal(pic.acknowledge(), 8);
  });

  it('rotates on non-specific and specific EOI and sets priority', () => {
    const { pic } = initialized();
    write(pic, 0x20, 0xc0 | 3);
    pulse(pic, 3);
    pulse(pic, 4);
    assert.equal(pic.acknowledge(), 0x0c, 'IRQ 4 is the highest now');
    write(pic, 0x20, 0xa0);
    pulse(pic, 4);
    pulse(pic, 5);
    assert.equal(pic.acknowledge(), 0x0d);
    write(pic, 0x20, 0xe0 | 5);
    pulse(pic, 6);
    assert.equal(pic.acknowledge(), 0x0e);
  });

  it('specific EOI ends just the level named', () => {
    const { pic } = initialized();
    pulse(pic, 5);
    pic.acknowledge();
    pulse(pic, 1);
    pic.acknowledge();
    write(pic, 0x20, 0x65);
    write(pic, 0x20, 0x0b);
    assert.equal(read(pic, 0x20), 2);
  });

  it('special mask mode lets lower levels through while a masked level is in service', () => {
    const { pic } = initialized();
    pulse(pic, 1);
    pic.acknowledge();
    write(pic, 0x21, 2);
    write(pic, 0x20, 0x68);
    pulse(pic, 5);
    assert.equal(pic.acknowledge(), 0x0d);
    write(pic, 0x20, 0x20);
    write(pic, 0x20, 0x0b);
    assert.equal(read(pic, 0x20), 2, 'the non-specific EOI passes over the masked level');
  });

  it('poll mode acknowledges by a read', () => {
    const { pic } = initialized();
    write(pic, 0x20, 0x0c);
    assert.equal(read(pic, 0x20), 0);
    pulse(pic, 6);
    write(pic, 0x20, 0x0c);
    assert.equal(read(pic, 0x20), 0x86);
    assert.equal(pic.interruptRequested, false);
    write(pic, 0x20, 0x0b);
    assert.equal(read(pic, 0x20), 0x40);
  });

  it('initialization clears mask and latches; a line that is already high needs a new edge', () => {
    const { pic } = initialized();
    pic.irq[5](true);
    write(pic, 0x21, 0xff);
    for (const [port, value] of [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1]]) write(pic, port, value);
    assert.equal(read(pic, 0x21), 0);
    assert.equal(pic.interruptRequested, false);
    pulse(pic, 5);
    assert.equal(pic.acknowledge(), 0x25);
  });

  it('takes up a saved state', () => {
    const { pic } = initialized();
    pulse(pic, 4);
    const saved = JSON.parse(JSON.stringify(pic.save())) as unknown;
    const copy = new PicPair(() => undefined);
    copy.restore(saved);
    assert.equal(copy.acknowledge(), 0x0c);
  });
});
