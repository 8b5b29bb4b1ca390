/** A guest that hammers every port and every device register with random values: 10^8 instructions at the usual rate, some at clocks so slow that timers are due all the time. */
import assert from 'node:assert/strict';
import { hammer } from './hammered';

describe('a guest that hammers every port and device register', function () {
  this.timeout(300_000);

  for (const { rate, instructions } of [{ rate: 100_000_000, instructions: 100_000_000 }, { rate: 1_000_000, instructions: 5_000_000 }, { rate: 1000, instructions: 5_000_000 }]) {
    it(`leaves the machine alive and pausable at ${rate} instructions a second`, () => {
      const { machine, rounds, handled, powerOffs, events } = hammer(instructions, rate, { instructionsPerSecond: rate });
      const { portReads, portWrites, mmioAccesses, interrupts } = machine.counters();
      console.log(`      ${rounds} rounds, ${portReads} port reads, ${portWrites} port writes, ${mmioAccesses} MMIO accesses, ${interrupts} interrupts, ${handled} handled, ${powerOffs} power-offs, ${events} events in a slice`);
      assert.ok(portReads * 100 > instructions && portWrites * 500 > instructions && mmioAccesses * 1000 > instructions, `${portReads} port reads, ${portWrites} port writes, ${mmioAccesses} MMIO accesses`);
    });
  }
});
