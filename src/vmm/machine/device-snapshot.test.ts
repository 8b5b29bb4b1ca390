import { strict as assert } from 'node:assert';
import { AcpiPm } from '../devices/acpi-pm';
import { ApicBus } from '../devices/apic-bus';
import { Dma } from '../devices/dma';
import { Hpet } from '../devices/hpet';
import { IoApic } from '../devices/io-apic';
import { KeyboardController } from '../devices/keyboard';
import { LocalApic } from '../devices/local-apic';
import { PicPair } from '../devices/pic';
import { Pit } from '../devices/pit';
import { Power } from '../devices/power';
import { Rtc } from '../devices/rtc';
import { TestClock } from '../devices/test-clock';
import { Uart } from '../devices/uart';
import { deviceSnapshot } from './device-snapshot';
import type { Device } from '../devices/device';

const silent = (): void => undefined;

function everyDevice(clock: TestClock): Device[] {
  return [
    new PicPair(silent), new Pit({ clock, irq: silent }), new Rtc({ clock, irq: silent, startSeconds: 0, ramBytes: 1 << 24 }),
    new Uart({ clock, irq: silent, base: 0x3f8, output: silent }), new KeyboardController({ clock, keyboardIrq: silent, mouseIrq: silent, a20: silent, resetRequested: silent }),
    new Dma(), new Power(silent), new IoApic(new ApicBus(), 1), new AcpiPm({ clock, sci: silent, powerOff: silent, mapPorts: silent, unmapPorts: silent }),
    new Hpet({ clock, pins: [], legacy: [silent, silent], legacyReplacement: silent, message: silent }),
    new LocalApic({
      clock, bus: new ApicBus(), id: 0, processors: 1, x2apic: true, deadline: true,
      hooks: { interrupt: silent, nmi: silent, init: silent, startUp: silent, externalVector: () => 0, timeStamp: () => 0n },
    }),
  ];
}

describe('device snapshots', () => {
  it('pair every value with its row, and values fit their rows', () => {
    for (const device of everyDevice(new TestClock())) {
      assert.equal(device.registerValues?.().length, device.registers?.length, device.id);
      for (const { name, value = 0, bits, fields } of deviceSnapshot(device).registers) {
        assert.ok(value >= 0 && value < 2 ** bits, `${device.id} ${name}`);
        for (const { bit, width } of fields) assert.ok(bit + width <= bits, `${device.id} ${name} bit ${bit}`);
      }
    }
  });

  it('change nothing that the guest can see', () => {
    const clock = new TestClock();
    for (const device of everyDevice(clock)) {
      device.reset();
      clock.advanceSeconds(1.5);
      const before = JSON.stringify(device.save());
      device.registerValues?.();
      // The clock copies the running time into its registers whenever anybody looks.
      if (device.id !== 'rtc') assert.equal(JSON.stringify(device.save()), before, device.id);
    }
  });

  it('shows the clock\'s register C without clearing it', () => {
    const clock = new TestClock();
    const rtc = new Rtc({ clock, irq: silent, startSeconds: 0, ramBytes: 1 << 24 });
    clock.advanceSeconds(2);
    const c = () => deviceSnapshot(rtc).registers.find(({ name }) => name === 'C')?.value;
    assert.equal(c()! & 0x10, 0x10);
    assert.equal(c()! & 0x10, 0x10);
    assert.equal(rtc.readRegister(0x0c) & 0x10, 0x10);
    assert.equal(c()! & 0x10, 0);
  });

  it('names a register behind an index, with its fields', () => {
    const rtc = new Rtc({ clock: new TestClock(), irq: silent, startSeconds: 0, ramBytes: 1 << 24 });
    const row = deviceSnapshot(rtc).registers.find(({ name }) => name === 'B')!;
    assert.deepEqual([row.address, row.index, row.value], [0x71, 0x0b, 0x02]);
    assert.equal(row.fields[0].name, 'SET');
  });
});
