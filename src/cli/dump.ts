/** `ringside dump`: runs a guest for a while without output and prints what the translator has made of it. */
import { createMachine } from '../vmm/machine/machine';
import type { DumpStage } from '../vmm/translate/dump';
import { guestConfiguration, type GuestOptions } from './guest';

export interface DumpOptions extends Pick<GuestOptions, 'memory' | 'cpu' | 'append' | 'initrd' | 'loadAddress' | 'translation'> {
  readonly stage: DumpStage;
  readonly instructions: number;
}

const SLICE = 1_000_000;

/** @throws CliError, MachineError for bad input. */
export async function dump(file: string, { stage, instructions, ...options }: DumpOptions, write: (text: string) => Promise<void>): Promise<number> {
  const machine = createMachine(guestConfiguration(file, { mmu: 'shadow', pace: 'max', ...options }), {
    serial: () => undefined, debugPort: () => undefined, log: (text) => console.error(`ringside: ${text}`),
  });
  try {
    while (machine.instructions < instructions) {
      if (machine.run(Math.min(SLICE, instructions - machine.instructions)).kind !== 'slice') break;
    }
    await write(machine.translation(stage));
  } finally {
    machine.dispose();
  }
  return 0;
}
