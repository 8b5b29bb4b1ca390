/** Runs the hammering guest (hammer.ts) as a worker does, in slices, and asks the machine between them for everything that a view may want. */
import assert from 'node:assert/strict';
import type { MachineConfiguration } from '../../src/protocol/messages';
import { createMachine } from '../../src/vmm/machine/machine';
import type { MachineApi } from '../../src/vmm/machine/api';
import { EventClock } from '../../src/vmm/machine/clock';
import { isoImage } from '../support/iso';
import { hammerBios, HANDLED, ROUNDS, SEED } from './hammer';

const SLICE = 20_000;
/** A slice that takes so long hangs. */
const MILLISECONDS_MOST = 20_000;
/** What devices may ask of the clock in a slice: a few events for each instruction. */
const EVENTS_MOST = 4 * SLICE;

export interface Hammered {
  readonly machine: MachineApi;
  readonly seconds: number;
  /** Rounds and handled exceptions and interrupts of the guest since its last start over. */
  readonly rounds: number;
  readonly handled: number;
  readonly powerOffs: number;
  /** Most requests to the clock in one slice. */
  readonly events: number;
}

/** Counts what devices schedule while `action` runs. */
function scheduled(action: () => void): number {
  let count = 0;
  const { schedule } = EventClock.prototype;
  EventClock.prototype.schedule = function (...parameters) {
    count++;
    return schedule.apply(this, parameters);
  };
  try {
    action();
  } finally {
    EventClock.prototype.schedule = schedule;
  }
  return count;
}

/** What a person and the views may do at any time. */
function lookAround(machine: MachineApi, round: number): void {
  assert.equal(machine.registers().general.length, 8);
  assert.equal(machine.disassemble(Number(machine.readRegister('eip')), -2, 5).length, 5);
  assert.ok(machine.devices().length > 10);
  JSON.stringify(machine.devices());
  machine.screen();
  machine.picture();
  machine.serialInput(round & 3, Uint8Array.of(round & 0xff, 0x41));
  machine.keyboard([0x1e, 0x9e]);
  machine.mouse({ x: round & 7, y: -1, wheel: 0, buttons: round & 1 });
  machine.powerButton();
}

/** Hammers for so many instructions; fails when the machine hangs, ends in another way than by power-off, or cannot be paused. */
export function hammer(instructions: number, seed: number, options: Partial<MachineConfiguration> = {}): Hammered {
  const machine = createMachine({
    name: 'hammer', image: new Uint8Array(), boot: 'disk', bios: hammerBios(), memoryMiB: 4, mmu: 'shadow', pace: 'max', hardDisk: new Uint8Array(1 << 20).fill(0x5a), floppy: new Uint8Array(1440 * 1024).fill(0xa5),
    cdrom: isoImage({ 'A.TXT': new Uint8Array(5000) }), virtioDisks: [new Uint8Array(1 << 20)], virtioConsole: true, network: 'loopback',
    sharedFolder: { tag: 'share', files: [{ path: 'A.TXT', bytes: new Uint8Array(5000) }] }, ...options,
  }, { serial: () => undefined, debugPort: () => undefined, log: () => undefined });
  const plant = (powerOffs: number): void => { machine.writeMemory('physical', SEED, new Uint8Array(Uint32Array.of(seed + powerOffs * 0x1234567).buffer)); };
  const word = (address: number): number => new DataView(machine.readMemory('physical', address, 4).bytes.slice().buffer).getUint32(0, true);
  let total = 0, powerOffs = 0, events = 0;
  plant(0);
  for (let round = 0; total < instructions; round++) {
    const before = machine.instructions;
    const begin = performance.now();
    let kind = '';
    // Now and then a pause comes at any other count.
    const slice = round % 16 === 15 ? 1 + round % 977 : SLICE;
    events = Math.max(events, scheduled(() => {
      const outcome = machine.run(slice);
      kind = outcome.kind === 'ended' ? outcome.reason.kind : outcome.kind;
      if (outcome.kind === 'ended' && outcome.reason.kind === 'tripleFault') kind += JSON.stringify(outcome.reason.postMortem.chain);
    }));
    const took = performance.now() - begin;
    assert.ok(took < MILLISECONDS_MOST, `a slice of ${slice} instructions took ${Math.round(took)} ms`);
    assert.ok(events <= EVENTS_MOST, `devices asked ${events} times for an event in ${slice} instructions`);
    const ran = machine.instructions - before;
    total += ran;
    if (kind === 'powerOff') {
      powerOffs++;
      machine.reset();
      plant(powerOffs);
      continue;
    }
    assert.equal(kind, 'slice');
    assert.equal(ran, slice, 'a slice is as long as it was asked to be');
    if (round % 32 === 0) lookAround(machine, round);
  }
  return { machine, seconds: machine.instructions / machine.instructionsPerSecond, rounds: word(ROUNDS), handled: word(HANDLED), powerOffs, events };
}
