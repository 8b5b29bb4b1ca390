/** What can run a kernel: this machine now; other virtual machines can stand beside it. */
import { assemble } from '../../vmm/asm/assembler';
import { BOOT_ADDRESS } from '../../vmm/machine/bios/layout';
import { createMachine } from '../../vmm/machine/machine';
import { BATCH_MARK, kernelSource, type Kernel } from './kernels';

export interface Batch {
  /** Undefined for machines that do not count. */
  readonly instructions: number | undefined;
  readonly milliseconds: number;
}

/** A guest that has been started. Between two batches it stands still. */
export interface Running {
  batch(): Batch;
  end(): void;
}

export interface Contestant {
  readonly name: string;
  start(kernel: Kernel): Running;
}

/** Instructions between two looks at the marks. */
const SLICE = 200_000;
const MEMORY_MIB = 32;
/** A batch that takes longer has gone astray. */
const LONGEST_BATCH_MILLISECONDS = 60_000;

export const ringside: Contestant = { name: 'ringside', start };

function start(kernel: Kernel): Running {
  const { ok, bytes, diagnostics } = assemble({ path: `${kernel.name}.asm`, text: kernelSource(kernel) }, { format: 'bin', readFile: () => undefined });
  if (!ok) throw new Error(`bench: ${diagnostics.map(({ path, line, message }) => `${path}:${line}: ${message}`).join('\n')}`);
  // Time counts only while the machine runs; the others have their turns in between.
  let busy = 0;
  let runStarted = performance.now();
  const marks: { readonly at: number; readonly instructions: number }[] = [];
  const mark = (): void => { marks.push({ at: busy + performance.now() - runStarted, instructions: machine.counters().instructions }); };
  const machine = createMachine({
    name: kernel.name, image: bytes, boot: 'flat', loadAddress: BOOT_ADDRESS, entry: BOOT_ADDRESS, memoryMiB: MEMORY_MIB, mmu: 'shadow', pace: 'max',
  }, {
    serial: () => undefined, log: () => undefined,
    debugPort: (written) => written.forEach((byte) => { if (byte === BATCH_MARK) mark(); }),
  });
  // Construction (and the generated module's compilation) belongs to the warm-up.
  marks.push({ at: 0, instructions: 0 });
  busy += performance.now() - runStarted;
  let done = 0;
  return {
    batch: () => {
      const begin = busy;
      while (marks.length < done + 2) {
        runStarted = performance.now();
        const outcome = machine.run(SLICE);
        busy += performance.now() - runStarted;
        if (outcome.kind !== 'slice') throw new Error(`bench: kernel ${kernel.name} stopped: ${outcome.kind === 'ended' ? outcome.reason.kind : outcome.kind}`);
        if (busy - begin > LONGEST_BATCH_MILLISECONDS) throw new Error(`bench: kernel ${kernel.name} does not finish a batch`);
      }
      const [from, to] = [marks[done], marks[done + 1]];
      done += 1;
      return { instructions: to.instructions - from.instructions, milliseconds: to.at - from.at };
    },
    end: () => machine.dispose(),
  };
}
