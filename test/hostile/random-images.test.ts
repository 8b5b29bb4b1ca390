/** Ten thousand images that make no sense: none may stop the monitor, hold it, or leave a machine that does not answer. */
import assert from 'node:assert/strict';
import { program, TestMachine } from '../support/guest';
import { families, type Family } from './images';

const INSTRUCTIONS = 2_000;
/** Every so many images one runs longer: most are lost in a loop of faults before long, a few are not. */
const LONG_EVERY = 50, LONG_INSTRUCTIONS = 20_000;
/** Far beyond what any image needs: a run that takes so long hangs. */
const MILLISECONDS_MOST = 5_000;

/** Runs one image; returns how it ended. Any exception leaves with the image's name. */
function run(machine: TestMachine, family: Family, seed: number): string {
  const started = performance.now();
  try {
    machine.load({ bytes: new Uint8Array(), origin: 0, label: () => 0 });
    for (const { address, bytes } of family.make(seed)) machine.writeMemory('physical', address, bytes);
    let ended = 'runs on';
    const before = machine.instructions;
    const limit = seed % LONG_EVERY === 0 ? LONG_INSTRUCTIONS : INSTRUCTIONS;
    // A worker asks in slices; small ones at first, so that every kind of boundary is met.
    for (let slice = 1; machine.instructions - before < limit; slice = Math.min(slice * 2, 5000)) {
      const outcome = machine.run(slice);
      if (outcome.kind === 'ended') {
        ended = outcome.reason.kind;
        assert.notEqual(ended, 'internalError');
        break;
      }
      // HLT with interrupts on and no event to come.
      if (outcome.kind === 'idle' && outcome.wakeAt === undefined) {
        ended = 'waits';
        break;
      }
      assert.equal(outcome.kind, 'slice');
      assert.ok(performance.now() - started < MILLISECONDS_MOST, 'it holds the monitor');
    }
    const { eip, segments, general } = machine.registers();
    assert.equal(general.length, 8);
    const lines = machine.disassemble((segments[1].base + eip) >>> 0, -1, 3);
    assert.equal(lines.length, 3);
    if (ended === 'tripleFault') assert.ok((machine.postMortem()?.chain.length ?? 0) >= 2);
    return ended;
  } catch (error) {
    throw new Error(`${family.title}, image ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

describe('hostile guests: 10,000 random images', function () {
  this.timeout(120_000);
  assert.equal(families.reduce((sum, { count }) => sum + count, 0), 10_000);
  const machine = new TestMachine(program('bits 16\norg 0x7c00\n hlt'), { memoryMiB: 2, instructionsPerSecond: 1_000_000 });

  for (const family of families) {
    it(`${family.title}: ${family.count}`, function () {
      const ends = new Map<string, number>();
      let executed = 0;
      for (let seed = 1; seed <= family.count; seed++) {
        const end = run(machine, family, seed);
        ends.set(end, (ends.get(end) ?? 0) + 1);
        executed += machine.instructions;
      }
      console.log(`      ${[...ends].map(([end, count]) => `${count} ${end}`).join(', ')}; ${Math.round(executed / family.count)} instructions each`);
      assert.ok(executed / family.count > 200, 'the images get somewhere');
    });
  }

  it('leave nothing behind: a good program runs as on a new machine', () => {
    const good = program('bits 16\norg 0x7c00\n xor ax, ax\n mov cx, 1000\nagain: add ax, cx\n loop again\n mov [0x500], ax\n mov al, 0\n out 0xf4, al\n');
    const states = [machine.load(good), new TestMachine(good, { memoryMiB: 2, instructionsPerSecond: 1_000_000 })].map((each) => {
      assert.equal(each.run(100_000).kind, 'ended');
      return each.state();
    });
    assert.equal(states[0], states[1]);
  });
});
