import assert from 'node:assert/strict';
import { AcpiPm, PM_BASE, PMBASE, PMREGMISC } from './acpi-pm';
import type { AccessSize, PortRange } from './device';
import { PciBus } from './pci/bus';
import { TestClock } from './test-clock';

/** One tick of the PM timer is one instruction. */
const RATE = 3_579_545;

function bench() {
  const clock = new TestClock(RATE);
  let sci = false;
  let off = 0;
  const ranges = new Set<PortRange>();
  const pm = new AcpiPm({
    clock, sci: (level) => { sci = level; }, powerOff: () => off++, mapPorts: (range) => ranges.add(range), unmapPorts: (range) => ranges.delete(range),
  });
  const pci = new PciBus({ maps: { mapPorts: () => undefined, unmapPorts: () => undefined, mapMemory: () => undefined, unmapMemory: () => undefined } });
  pci.add(pm);
  const configure = (offset: number, value: number, size: AccessSize): void => pci.writeConfiguration(pm.slot << 3 | pm.function, offset, value, size);
  configure(PMBASE, PM_BASE, 4);
  configure(PMREGMISC, 1, 1);
  const range = (port: number) => [...ranges, ...pm.ports].find(({ first, last }) => port >= first && port <= last)!;
  return {
    clock, pm, configure, placed: () => [...ranges].map(({ first, last }) => [first, last]), sci: () => sci, off: () => off,
    out: (port: number, value: number, size: AccessSize = 2) => range(port).write(port, value, size),
    inp: (port: number, size: AccessSize = 2) => range(port).read(port, size),
  };
}

const STATUS = PM_BASE, ENABLE = PM_BASE + 2, CONTROL = PM_BASE + 4, TIMER = PM_BASE + 8;

describe('ACPI power management', () => {
  it('has its ports where configuration space puts them', () => {
    const { configure, placed, inp } = bench();
    assert.deepEqual(placed(), [[0x600, 0x63f]]);
    configure(PMBASE, 0xb03f, 4);
    assert.deepEqual(placed(), [[0xb000, 0xb03f]]);
    assert.equal(inp(0xb004), 0);
    configure(PMREGMISC, 0, 1);
    assert.deepEqual(placed(), []);
  });

  it('powers off by SLP_EN with the sleep type of S5', () => {
    const { out, off, inp } = bench();
    out(CONTROL, 0x3400);
    out(CONTROL, 1);
    assert.deepEqual([off(), inp(CONTROL)], [0, 1]);
    out(CONTROL, 0x2001);
    out(CONTROL + 1, 0x20, 1);
    assert.equal(off(), 2);
    out(CONTROL, 0x20, 1);
    assert.equal(off(), 2, 'the low byte has no SLP_EN');
  });

  it('counts 24 bits at 3.579545 MHz', () => {
    const { clock, inp } = bench();
    clock.advance(0x1123456);
    assert.equal(inp(TIMER, 4), 0x123456);
    assert.equal(inp(TIMER + 1, 1), 0x34);
  });

  it('notes each turn of the timer\'s top bit and interrupts when asked to', () => {
    const { clock, inp, out, sci } = bench();
    clock.advance(0x7fffff);
    assert.equal(inp(STATUS), 0);
    clock.advance(1);
    assert.equal(inp(STATUS), 1);
    out(STATUS, 1);
    assert.equal(inp(STATUS), 0);
    out(ENABLE, 1);
    out(0xb2, 0xf1, 1);
    assert.equal(inp(CONTROL), 1, 'SCI_EN');
    clock.advance(0x7fffff);
    assert.equal(sci(), false);
    clock.advance(1);
    assert.equal(sci(), true);
    out(STATUS, 1);
    assert.equal(sci(), false);
    out(0xb2, 0xf0, 1);
    assert.equal(clock.pending, 0);
  });

  it('reports the power button to whoever has taken over', () => {
    const { pm, out, sci, inp } = bench();
    pm.pressPowerButton();
    assert.deepEqual([inp(STATUS), sci()], [0x100, false]);
    out(ENABLE, 0x100);
    assert.equal(sci(), false);
    out(CONTROL, 1);
    assert.equal(sci(), true);
    out(STATUS, 0x100);
    assert.deepEqual([inp(STATUS), sci()], [0, false]);
  });

  it('continues from a saved state', () => {
    const one = bench();
    one.out(ENABLE, 0x100);
    one.out(CONTROL, 1);
    one.pm.pressPowerButton();
    const other = bench();
    other.pm.restore(JSON.parse(JSON.stringify(one.pm.save())));
    assert.equal(other.sci(), true);
  });
});
