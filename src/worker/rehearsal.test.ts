import assert from 'node:assert/strict';
import { createMachine } from '../vmm/machine/machine';
import { FakeMachine } from './fake-machine';
import { Rehearsal } from './rehearsal';

/** Turns that happen when they are told to. */
class Turns {
  private readonly waiting: (() => void)[] = [];
  readonly environment = { now: () => 0, soon: (callback: () => void) => void this.waiting.push(callback) };

  /** @returns whether there was one */
  one(): boolean {
    const turn = this.waiting.shift();
    turn?.();
    return turn !== undefined;
  }
}

describe('rehearsal', () => {
  it('takes a machine of its own to the first instruction, and a step further', () => {
    const turns = new Turns();
    const rehearsal = new Rehearsal(createMachine, turns.environment);
    while (turns.one());
    assert.equal(rehearsal.state, 'done');
  });

  it('ends at once when the worker is wanted', () => {
    const turns = new Turns();
    const machines: FakeMachine[] = [];
    const rehearsal = new Rehearsal((configuration, outputs) => {
      const machine = new FakeMachine(configuration, outputs, {});
      machines.push(machine);
      return machine;
    }, turns.environment);
    turns.one();
    assert.equal(machines[0].disposed, false);
    rehearsal.abandon();
    assert.equal(machines[0].disposed, true);
    while (turns.one());
    assert.equal(rehearsal.state, 'abandoned');
    assert.equal(machines.length, 1);
    assert.equal(machines[0].instructions, 0);
  });

  it('does not begin when the worker was wanted before', () => {
    const turns = new Turns();
    const rehearsal = new Rehearsal(() => assert.fail('no machine is wanted'), turns.environment);
    rehearsal.abandon();
    while (turns.one());
    assert.equal(rehearsal.state, 'abandoned');
  });

  it('harms nobody when it fails', () => {
    const turns = new Turns();
    const rehearsal = new Rehearsal(() => { throw new Error('no memory'); }, turns.environment);
    while (turns.one());
    assert.equal(rehearsal.state, 'failed');
  });
});
