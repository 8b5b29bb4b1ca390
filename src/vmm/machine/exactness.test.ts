/** The instruction count is the clock: wherever a run is cut, the guest cannot tell. */
import assert from 'node:assert/strict';
import { exactGuests } from '../../../test/support/exact-guests';
import { program, randomSource, TestMachine } from '../../../test/support/guest';

/** Runs until the count has reached `target`, in slices of what `next` says. */
function advance(machine: TestMachine, target: number, next: () => number): void {
  while (machine.instructions < target) {
    const outcome = machine.run(Math.min(next(), target - machine.instructions));
    assert.equal(outcome.kind, 'slice', JSON.stringify(outcome, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value)));
  }
}

describe('machine: exactness', function () {
  this.timeout(60_000);
  for (const [title, source] of Object.entries(exactGuests)) {
    describe(title, () => {
      const machine = new TestMachine(program(source), { instructionsPerSecond: 1_000_000, memoryMiB: 4 });
      const at = (target: number, next: () => number) => {
        machine.reset();
        advance(machine, target, next);
        return machine.state();
      };
      const counts = [1_000, 7_777, 60_001];

      it('gives the same state in one run, in another run, and in random slices', () => {
        const random = randomSource(0x5eed);
        for (const count of counts) {
          const whole = at(count, () => count);
          assert.equal(at(count, () => count), whole, 'two runs');
          for (const most of [3, 40, 1000]) assert.equal(at(count, () => 1 + random(most)), whole, `${count} in slices of up to ${most}`);
        }
      });

      it('gives the same state one instruction at a time', () => {
        const whole = at(20_000, () => 20_000);
        assert.equal(at(20_000, () => 1), whole);
      });

      it('gives the same state at every count: the states along one run are those of runs that end there', () => {
        const random = randomSource(0xc0de);
        machine.reset();
        const along: [number, string][] = [];
        for (let i = 0; i < 12; i++) {
          advance(machine, machine.instructions + 1 + random(700), () => 1 + random(60));
          along.push([machine.instructions, machine.state()]);
        }
        for (const [count, state] of along) assert.equal(at(count, () => count), state, `at ${count}`);
      });

      it('meets what it is made for', () => {
        machine.reset();
        advance(machine, 60_001, () => 60_001);
        const { exceptions, interrupts, codeInvalidations } = machine.counters();
        assert.ok(interrupts > 50, `${interrupts} interrupts`);
        assert.ok(title.startsWith('self') || exceptions > 10, `${exceptions} exceptions`);
        assert.ok(!title.startsWith('self') || codeInvalidations > 1000);
      });
    });
  }
});
