/**
 * One guest on several machines that differ in how they translate only, stopped at the same random instruction counts: registers are the same at each
 * stop, memory and devices at some. All but the first machine stop once more on the way, which must not be seen either.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { MachineApi } from '../../src/vmm/machine/api';
import type { TranslationMode } from '../../src/vmm/translate/regions';
import { BatchMarks, GO } from '../../src/cli/bench/batch';
import { MEMORY_MIB, kernelImage, kernels } from '../../src/cli/bench/kernels';
import { createMachine } from '../../src/vmm/machine/machine';
import { randomSource } from './guest';

export interface RandomStops {
  readonly modes: readonly TranslationMode[];
  readonly seed: number;
  readonly stops: number;
  /** Distances are spread evenly over the orders of magnitude up to this one, so that some stops lie close together. */
  readonly longest: number;
  /** Every so many stops, all of memory and the devices are compared, too. */
  readonly wholeEvery: number;
  /** Called before each distance, with each machine: what a person would do to it. */
  readonly input?: (machine: MachineApi, stop: number) => void;
}

/** Fails with the stop, its instruction count, and the first difference. Disposes of the machines. @returns the instructions of each machine */
export function compareAtRandomStops(name: string, start: (mode: TranslationMode) => MachineApi, { modes, seed, stops, longest, wholeEvery, input }: RandomStops): number {
  const machines = modes.map((mode) => ({ mode, machine: start(mode) }));
  const random = randomSource(seed);
  try {
    for (let stop = 0; stop < stops; stop++) {
      const distance = Math.max(1, Math.round(longest ** (random(1_000_001) / 1_000_000)));
      const whole = stop % wholeEvery === wholeEvery - 1 || stop === stops - 1;
      const part = random(distance);
      const states = machines.map(({ machine }, n) => {
        input?.(machine, stop);
        const end = machine.instructions + distance;
        let { kind } = machine.run(n > 0 && part > 0 ? part : distance);
        // Time that a halted processor skips may lead beyond.
        if (machine.instructions < end) ({ kind } = machine.run(end - machine.instructions));
        return [`it ended this run with '${kind}'`, ...registers(machine), ...whole ? [...devices(machine), memory(machine)] : []];
      });
      for (const [n, state] of states.entries()) {
        const line = state.findIndex((text, at) => text !== states[0][at]);
        if (line >= 0) assert.fail(`${name}, stop ${stop} after ${machines[0].machine.instructions} instructions (seed ${seed}): with '${modes[n]}' ${state[line]}; with '${modes[0]}' ${states[0][line]}`);
      }
    }
    return machines[0].machine.instructions;
  } finally {
    for (const { machine } of machines) machine.dispose();
  }
}

/** Every kernel of the benchmark in every mode, from where it waits to be told to go. @returns the instructions of all kernels together, in one mode */
export function compareKernels(options: Omit<RandomStops, 'modes'>): number {
  return kernels.reduce((sum, kernel) => {
    const image = kernelImage(kernel);
    return sum + compareAtRandomStops(`kernel ${kernel.name}`, (mode) => startKernel(kernel.name, image, mode), { ...options, modes: ['threaded', 'adaptive', 'eager', 'random'] });
  }, 0);
}

function startKernel(name: string, image: Uint8Array, translation: TranslationMode): MachineApi {
  let ready = false;
  const marks = new BatchMarks({ ready: () => { ready = true; }, started: () => undefined, ended: (wrong) => assert.equal(wrong, undefined, `${name}'s result`) });
  const machine = createMachine({ name, image, boot: 'multiboot', memoryMiB: MEMORY_MIB, mmu: 'shadow', pace: 'max', translation }, {
    serial: (port, bytes) => { if (port === 0) bytes.forEach((byte) => marks.byte(byte)); },
    debugPort: () => undefined, log: () => undefined,
  });
  while (!ready) assert.equal(machine.run(100_000).kind, 'slice');
  machine.serialInput(0, Uint8Array.of(GO));
  return machine;
}

const text = (value: unknown): string => JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `0x${part.toString(16)}` : part));

function registers(machine: MachineApi): string[] {
  return Object.entries(machine.registers()).map(([name, value]) => `${name} is ${text(value)}`);
}

function devices(machine: MachineApi): string[] {
  return machine.devices().flatMap(({ id, registers: shown }) => shown.map(({ name, value }) => `${id}'s ${name} is ${text(value)}`));
}

/** A digest: which byte differs is found by stopping closer. */
function memory(machine: MachineApi): string {
  const { bytes } = machine.readMemory('physical', 0, machine.configuration.memoryMiB * 2 ** 20);
  return `memory's SHA-1 is ${createHash('sha1').update(bytes).digest('hex')}`;
}
