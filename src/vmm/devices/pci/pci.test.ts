import { strict as assert } from 'node:assert';
import type { AccessSize, Device, MmioRange, PciBar, PciFunction, PciLink, PortRange } from '../device';
import { PicPair } from '../pic';
import { PciBus } from './bus';
import { HostBridge } from './host-bridge';
import { IsaBridge } from './isa-bridge';

const device: Device = { id: 'card', title: 'Card', reset: () => undefined, save: () => null, restore: () => undefined };
const bar = (kind: 'io' | 'memory', bytes: number): PciBar => ({ kind, bytes, read: (offset) => offset, write: () => undefined });

/** A bus with both bridges and what the maps were told. */
class Bench {
  readonly log: string[] = [];
  readonly shadow: string[] = [];
  readonly pic = new PicPair(() => undefined);
  resets = 0;
  readonly bus: PciBus;

  constructor(...cards: PciFunction[]) {
    const note = (what: string) => ({ first, last }: PortRange | MmioRange) => { this.log.push(`${what} ${first.toString(16)}-${last.toString(16)}`); };
    this.bus = new PciBus({ maps: { mapPorts: note('+io'), unmapPorts: note('-io'), mapMemory: note('+mem'), unmapMemory: note('-mem') } });
    this.bus.add(new HostBridge((first, last, bits) => this.shadow.push(`${first.toString(16)}-${last.toString(16)} ${bits}`)));
    this.bus.add(new IsaBridge({ bus: this.bus, irq: this.pic.irq, reset: () => this.resets++ }));
    for (const card of cards) this.bus.add(card);
    this.bus.reset();
    for (const [port, value] of [[0x20, 0x11], [0x21, 8], [0x21, 4], [0x21, 1], [0xa0, 0x11], [0xa1, 0x70], [0xa1, 2], [0xa1, 1], [0x21, 0], [0xa1, 0]]) {
      this.pic.ports.find(({ first, last }) => port >= first && port <= last)!.write(port, value, 1);
    }
    this.pic.ports[2].write(0x4d1, 0x0c, 1);
  }

  out(port: number, value: number, size: AccessSize): void {
    this.bus.ports[0].write(port, value, size);
  }

  inp(port: number, size: AccessSize): number {
    return this.bus.ports[0].read(port, size);
  }

  select(slot: number, fn: number, register: number): void {
    this.out(0xcf8, (0x80000000 | slot << 11 | fn << 8 | (register & 0xfc)) >>> 0, 4);
  }

  read(slot: number, fn: number, register: number, size: AccessSize): number {
    this.select(slot, fn, register);
    return this.inp(0xcfc + (register & 3), size);
  }

  write(slot: number, fn: number, register: number, value: number, size: AccessSize): void {
    this.select(slot, fn, register);
    this.out(0xcfc + (register & 3), value, size);
  }
}

const card = (more: Partial<PciFunction>): PciFunction => ({ device, slot: 3, function: 0, vendorId: 0x1af4, deviceId: 0x1000, classCode: 0x020000, ...more });

describe('PCI configuration space', () => {
  it('answers by byte, word and doubleword, and with ones where nothing is', () => {
    const bench = new Bench();
    assert.equal(bench.read(0, 0, 0, 4), 0x12378086);
    assert.equal(bench.read(1, 0, 2, 2), 0x7000);
    assert.equal(bench.read(1, 0, 0x0b, 1), 0x06);
    assert.equal(bench.read(5, 0, 0, 4), 0xffffffff);
    assert.equal(bench.inp(0xcf8, 4), 0x80002800);
    bench.out(0xcf8, 0x00000000, 4);
    assert.equal(bench.inp(0xcfc, 4), 0xffffffff, 'not enabled');
    bench.out(0xcf8, 0x80010000, 4);
    assert.equal(bench.inp(0xcfc, 2), 0xffff, 'another bus');
    bench.out(0xcf8, 0x80000000, 4);
    bench.out(0xcf8, 0xff, 1);
    assert.equal(bench.inp(0xcfc, 2), 0x8086, 'a byte write changes nothing');
  });

  it('keeps identification, and clears status bits by writing ones', () => {
    const bench = new Bench(card({ interruptPin: 1 }));
    bench.write(3, 0, 0, 0xffffffff, 4);
    bench.write(3, 0, 8, 0xffffffff, 4);
    assert.equal(bench.read(3, 0, 0, 4), 0x10001af4);
    assert.equal(bench.read(3, 0, 8, 4), 0x02000000);
    bench.write(3, 0, 0x3c, 0x0b, 1);
    assert.equal(bench.read(3, 0, 0x3c, 2), 0x010b);
    assert.equal(bench.read(3, 0, 6, 2), 0x0200);
  });

  it('tells a window\'s size, and moves the window where software puts it while decoding is on', () => {
    const bench = new Bench(card({ bars: [bar('io', 32), bar('memory', 0x1000)] }));
    bench.write(3, 0, 0x10, 0xffffffff, 4);
    assert.equal(bench.read(3, 0, 0x10, 4), 0xffffffe1);
    bench.write(3, 0, 0x14, 0xffffffff, 4);
    assert.equal(bench.read(3, 0, 0x14, 4), 0xfffff000);
    bench.write(3, 0, 0x18, 0xffffffff, 4);
    assert.equal(bench.read(3, 0, 0x18, 4), 0);
    bench.write(3, 0, 0x10, 0xc000, 4);
    bench.write(3, 0, 0x14, 0xfebf0000, 4);
    assert.deepEqual(bench.log, []);
    bench.write(3, 0, 4, 1, 2);
    bench.write(3, 0, 4, 3, 2);
    bench.write(3, 0, 0x10, 0xd000, 4);
    bench.write(3, 0, 4, 0, 2);
    assert.deepEqual(bench.log, ['+io c000-c01f', '+mem febf0000-febf0fff', '-io c000-c01f', '+io d000-d01f', '-mem febf0000-febf0fff', '-io d000-d01f']);
    bench.log.length = 0;
    bench.write(3, 0, 4, 3, 2);
    bench.bus.reset();
    assert.deepEqual(bench.log.slice(2), ['-io d000-d01f', '-mem febf0000-febf0fff']);
  });

  it('shows an expansion ROM with its own enable bit', () => {
    const maps: MmioRange[] = [];
    const bus = new PciBus({ maps: { mapPorts: () => undefined, unmapPorts: () => undefined, mapMemory: (range) => maps.push(range), unmapMemory: () => undefined } });
    bus.add(card({ rom: Uint8Array.of(0x55, 0xaa, 4, ...new Array<number>(2100).fill(7)) }));
    bus.writeConfiguration(3 << 3, 0x30, 0xfffffffe, 4);
    assert.equal(bus.readConfiguration(3 << 3, 0x30, 4), 0xfffff000);
    bus.writeConfiguration(3 << 3, 4, 2, 2);
    bus.writeConfiguration(3 << 3, 0x30, 0xfeb00001, 4);
    assert.equal(maps.length, 1);
    assert.equal(maps[0].read(0xfeb00000, 4), 0x0704aa55);
    assert.equal(maps[0].read(0xfeb00000 + 0xfff, 1), 0xff);
  });

  it('marks slots of several functions, and refuses two at one place', () => {
    const bench = new Bench(card({}), card({ function: 1 }));
    assert.equal(bench.read(3, 0, 0x0e, 1), 0x80);
    assert.equal(bench.read(0, 0, 0x0e, 1), 0);
    assert.throws(() => bench.bus.add(card({})), /slot 3\.0/);
    assert.throws(() => bench.bus.add(card({ slot: 4, bars: [bar('memory', 100)] })), /BAR 0 has 100 bytes/);
  });

  it('is saved and restored, windows included', () => {
    const bench = new Bench(card({ bars: [bar('io', 32)] }));
    bench.write(3, 0, 0x10, 0xc000, 4);
    bench.write(3, 0, 4, 1, 2);
    const state = JSON.parse(JSON.stringify(bench.bus.save())) as unknown;
    bench.bus.reset();
    bench.bus.restore(state);
    assert.deepEqual(bench.log, ['+io c000-c01f', '-io c000-c01f', '+io c000-c01f']);
    assert.equal(bench.inp(0xcfc, 2), 1);
  });

  it('is described by name for views', () => {
    const { bus } = new Bench();
    const values = bus.registerValues();
    const value = (name: string) => values[bus.registers.findIndex((register) => register.name === name)];
    assert.deepEqual(['Vendor ID', 'Class code', 'PAM6'].map((name) => value(`440FX host bridge: ${name}`)), [0x8086, 0x060000, 0]);
    assert.equal(value('PIIX3 ISA bridge: PIRQRCA'), 0x80);
    assert.equal(bus.registers.find(({ name }) => name === 'PIIX3 ISA bridge: PIRQRCB')?.index, 0x861);
  });
});

describe('host bridge', () => {
  it('chooses between ROM and RAM region by region', () => {
    const bench = new Bench();
    bench.shadow.length = 0;
    bench.write(0, 0, 0x59, 0x30, 1);
    assert.ok(bench.shadow.includes('f0000-fffff 3'));
    bench.shadow.length = 0;
    bench.write(0, 0, 0x5a, 0x12, 1);
    assert.deepEqual(bench.shadow.slice(0, 4), ['f0000-fffff 3', 'c0000-c3fff 2', 'c4000-c7fff 1', 'c8000-cbfff 0']);
    bench.write(0, 0, 0x59, 0xff, 1);
    assert.equal(bench.read(0, 0, 0x59, 1), 0x30);
    bench.shadow.length = 0;
    bench.bus.reset();
    assert.ok(bench.shadow.every((line) => line.endsWith(' 0')));
  });
});

describe('ISA bridge', () => {
  it('routes requests of all slots, shared and level-triggered', () => {
    const links: PciLink[] = [];
    const connect = (link: PciLink) => { links.push(link); };
    const bench = new Bench(card({ interruptPin: 1, connect }), card({ slot: 7, interruptPin: 1, connect }), card({ slot: 4, interruptPin: 1, connect }));
    // Slots 3 and 7 share INTC#, slot 4 has INTD#.
    for (let n = 0; n < 4; n++) bench.write(1, 0, 0x60 + n, [10, 10, 11, 11][n], 1);
    links[0].interrupt(true);
    assert.equal(bench.pic.acknowledge(), 0x73);
    assert.equal(bench.read(3, 0, 6, 2) & 8, 8);
    links[1].interrupt(true);
    links[0].interrupt(false);
    bench.pic.ports[1].write(0xa0, 0x20, 1);
    bench.pic.ports[0].write(0x20, 0x20, 1);
    assert.equal(bench.pic.acknowledge(), 0x73, 'the other card holds the line still');
    bench.pic.ports[1].write(0xa0, 0x20, 1);
    bench.pic.ports[0].write(0x20, 0x20, 1);
    bench.write(7, 0, 4, 0x400, 2);
    assert.equal(bench.pic.interruptRequested, false, 'INTx disabled');
    links[2].interrupt(true);
    bench.write(1, 0, 0x63, 0x80, 1);
    assert.equal(bench.pic.interruptRequested, false, 'routed nowhere');
    bench.write(1, 0, 0x63, 0x05, 1);
    assert.equal(bench.pic.acknowledge(), 0x0d);
  });

  it('sends messages only for bus masters', () => {
    const sent: number[][] = [];
    let link: PciLink | undefined;
    const bench = new Bench(card({ connect: (given) => { link = given; } }));
    bench.bus.onMessage = (...message) => sent.push(message);
    link!.message(0xfee00000, 0x41);
    bench.write(3, 0, 4, 4, 2);
    link!.message(0xfee00000, 0x42);
    assert.deepEqual(sent, [[0xfee00000, 0x42]]);
  });

  it('resets the machine through CF9h', () => {
    const bench = new Bench();
    bench.out(0xcf9, 2, 1);
    assert.equal(bench.resets, 0);
    bench.out(0xcf9, 6, 1);
    bench.out(0xcf9, 6, 1);
    assert.equal(bench.resets, 1);
    assert.equal(bench.inp(0xcf9, 1), 6);
  });
});
