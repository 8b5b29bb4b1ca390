/** Interleaved rounds: every kernel runs one batch in each round, so that a slow moment of the host hits all alike. */
import type { Batch, Contestant } from './contestant';
import type { Kernel } from './kernels';

export interface Measurement {
  readonly kernel: string;
  readonly contestant: string;
  /** The first batches: construction, translation, and the host's compiler at work on the handlers. */
  readonly warmUp: readonly Batch[];
  /** What the warm-up took beyond as many batches at full speed. */
  readonly warmUpMilliseconds: number;
  readonly rounds: readonly Batch[];
  /** Medians of the rounds; million instructions a second is undefined for a machine that does not count. */
  readonly millionsPerSecond: number | undefined;
  readonly millisecondsPerBatch: number;
}

/** Long enough for V8 to have optimized what is hot. */
const WARM_UP_MILLISECONDS = 400;
const WARM_UP_BATCHES = 3;

export function measure(contestant: Contestant, kernels: readonly Kernel[], rounds: number, progress: (text: string) => void): Measurement[] {
  const running = kernels.map((kernel) => {
    progress(`warm-up: ${kernel.name}`);
    const guest = contestant.start(kernel);
    const warmUp: Batch[] = [];
    while (warmUp.length < WARM_UP_BATCHES || total(warmUp) < WARM_UP_MILLISECONDS) warmUp.push(guest.batch());
    return { kernel, guest, warmUp, batches: [] as Batch[] };
  });
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const { guest, batches } of running) batches.push(guest.batch());
  }
  return running.map(({ kernel, guest, warmUp, batches }) => {
    guest.end();
    const speeds = batches.flatMap(speed);
    const millisecondsPerBatch = median(batches.map(({ milliseconds }) => milliseconds));
    return {
      kernel: kernel.name, contestant: contestant.name, warmUp, rounds: batches, millisecondsPerBatch,
      warmUpMilliseconds: Math.max(0, total(warmUp) - warmUp.length * millisecondsPerBatch),
      millionsPerSecond: speeds.length > 0 ? median(speeds) : undefined,
    };
  });
}

function total(batches: readonly Batch[]): number {
  return batches.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}

function speed({ instructions, milliseconds }: Batch): number[] {
  return instructions === undefined || milliseconds <= 0 ? [] : [instructions / milliseconds / 1000];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
