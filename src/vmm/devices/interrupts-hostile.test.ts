import assert from 'node:assert/strict';
import { randomSource } from '../../../test/support/guest';
import { AcpiPm } from './acpi-pm';
import { ApicBus } from './apic-bus';
import type { AccessSize } from './device';
import { Hpet, HPET_BASE } from './hpet';
import { IO_APIC_BASE, IO_APIC_PINS, IoApic } from './io-apic';
import { LocalApic } from './local-apic';
import { TestClock } from './test-clock';

const silent = (): void => undefined;

describe('interrupt controllers and timers under random accesses', () => {
  for (const rate of [1000, 100_000_000]) {
    it(`stay bounded and alive at ${rate} instructions a second`, () => {
      const random = randomSource(rate);
      const clock = new TestClock(rate);
      const bus = new ApicBus();
      let taken = 0;
      const apics = [0, 1].map((id) => new LocalApic({
        clock, bus, id, processors: 1, x2apic: true, deadline: true,
        hooks: { interrupt: silent, nmi: silent, init: () => apics[id].init(), startUp: silent, externalVector: () => 0x20, timeStamp: () => BigInt(clock.now()) },
      }));
      const ioApic = new IoApic(bus, 2);
      const hpet = new Hpet({ clock, pins: ioApic.pins, legacy: [ioApic.pins[2], ioApic.pins[8]], legacyReplacement: silent, message: (address, data) => bus.message(address, data) });
      const pm = new AcpiPm({ clock, sci: ioApic.pins[9], powerOff: silent, mapPorts: silent, unmapPorts: silent });
      const sizes: readonly AccessSize[] = [1, 2, 4, 4, 4, 4];
      const interesting = [0, 1, 0x1ff, 0x20040, 0x40040, 0xffffffff, 0x14c, 0x8041];
      const value = (): number => (random(2) === 0 ? interesting[random(interesting.length)] : random(0x100000000));
      const [ioWindow] = ioApic.mmio, [hpetWindow] = hpet.mmio;
      for (let n = 0; n < 60_000; n++) {
        const size = sizes[random(sizes.length)];
        const offset = random(0x400) & -size;
        const apic = apics[random(2)];
        switch (random(12)) {
          case 0: apic.write(offset, value(), size); break;
          case 1: apic.read(offset, size); break;
          case 2: apic.writeMsr([0x1b, 0x6e0, 0x800 + random(0x100)][random(3)], BigInt(value()) << BigInt(random(2) * 8)); break;
          case 3: apic.readMsr(0x800 + random(0x100)); break;
          case 4: ioWindow.write(IO_APIC_BASE + [0, 0x10, 0x40][random(3)], random(2) ? 0x10 + random(48) : value(), size); break;
          case 5: ioWindow.read(IO_APIC_BASE + (offset & 0x1f), size); break;
          case 6: ioApic.pins[random(IO_APIC_PINS)](random(2) === 0); break;
          case 7: hpetWindow.write(HPET_BASE + (offset & 0x17c), value(), size); break;
          case 8: hpetWindow.read(HPET_BASE + offset, size); break;
          case 9: pm.ports[0].write(0xb2 + random(2), value() & 0xff, 1); break;
          case 10:
            apic.writeMsr(0x1b, 0xfee00000n);
            apic.writeMsr(0x1b, 0xfee00800n);
            apic.write(0xf0, 0x1ff, 4);
            apic.write(0x80, 0, 4);
            apic.write(0x300, 0x44000 | random(256), 4);
            break;
          case 11: clock.advance(random(rate > 1000 ? 10_000 : 3)); break;
        }
        for (let tries = 0; tries < 4 && apic.interruptRequested; tries++) {
          apic.acknowledge();
          apic.write(0xb0, 0, 4);
          taken++;
        }
        if (random(16) === 0) apic.restore(JSON.parse(JSON.stringify(apic.save())));
        assert.ok(clock.pending <= 8, `${clock.pending} timers`);
      }
      assert.ok(taken > 1000, `${taken} interrupts`);
    });
  }
});
