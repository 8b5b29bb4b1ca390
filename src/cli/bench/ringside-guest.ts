/** A kernel on this machine. */
import { createMachine } from '../../vmm/machine/machine';
import { nodeRegionCompiler } from '../../worker/node-compiler';
import { BatchMarks, GO, type Batch } from './batch';
import { MEMORY_MIB } from './kernels';
import { Stopwatch } from './stopwatch';

/** Between two slices nothing has to happen: long ones, so that they do not count. */
const SLICE = 10_000_000;
/** A batch that takes longer has gone astray. */
const LONGEST_BATCH_MILLISECONDS = 60_000;

export interface SynchronousGuest {
  /** @throws Error for a wrong result or a guest that does not finish. */
  batch(): Batch;
  end(): void;
}

/** @throws Error when it does not get ready */
export function ringsideGuest(image: Uint8Array): SynchronousGuest {
  const watch = new Stopwatch();
  let startedAt = 0;
  let result: { readonly batch: Batch; readonly wrong: string | undefined } | undefined;
  let ready = false;
  const marks = new BatchMarks({
    ready: () => { ready = true; },
    started: () => {
      startedAt = machine.instructions;
      watch.start();
    },
    ended: (wrong) => { result = { batch: { ...watch.read(), instructions: machine.instructions - startedAt }, wrong }; },
  });
  const regionCompiler = nodeRegionCompiler();
  const machine = createMachine({ name: 'kernel', image, boot: 'multiboot', memoryMiB: MEMORY_MIB, mmu: 'shadow', pace: 'max' }, {
    serial: (port, bytes) => { if (port === 0) bytes.forEach((byte) => marks.byte(byte)); },
    debugPort: () => undefined, log: () => undefined, ...(regionCompiler && { regionCompiler }),
  });
  const runUntil = (done: () => boolean): void => {
    const begin = performance.now();
    while (!done()) {
      const outcome = machine.run(SLICE);
      if (outcome.kind === 'ended') throw new Error(`the guest stopped: ${outcome.reason.kind}`);
      if (performance.now() - begin > LONGEST_BATCH_MILLISECONDS) throw new Error('a batch does not end');
    }
  };
  runUntil(() => ready);
  return {
    batch: () => {
      result = undefined;
      machine.serialInput(0, Uint8Array.of(GO));
      runUntil(() => result !== undefined);
      const { batch, wrong } = result!;
      if (wrong !== undefined) throw new Error(`wrong result ${wrong}`);
      return batch;
    },
    end: () => machine.dispose(),
  };
}
