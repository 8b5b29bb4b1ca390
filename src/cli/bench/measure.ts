/** Interleaved rounds: every kernel runs one batch in each round, so that a slow moment of the host hits all alike. */
import type { Batch, Contestant } from './contestant';
import type { Kernel } from './kernels';

export interface Measurement {
  readonly kernel: string;
  readonly contestant: string;
  /** The first batch: construction, translation of everything, and the batch itself. */
  readonly warmUp: Batch;
  readonly rounds: readonly Batch[];
  /** Medians of the rounds; million instructions a second is undefined for a machine that does not count. */
  readonly millionsPerSecond: number | undefined;
  readonly millisecondsPerBatch: number;
}

export function measure(contestant: Contestant, kernels: readonly Kernel[], rounds: number, progress: (text: string) => void): Measurement[] {
  const running = kernels.map((kernel) => {
    progress(`warm-up: ${kernel.name}`);
    const guest = contestant.start(kernel);
    return { kernel, guest, warmUp: guest.batch(), batches: [] as Batch[] };
  });
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    for (const { guest, batches } of running) batches.push(guest.batch());
  }
  return running.map(({ kernel, guest, warmUp, batches }) => {
    guest.end();
    const speeds = batches.flatMap(speed);
    return {
      kernel: kernel.name, contestant: contestant.name, warmUp, rounds: batches,
      millionsPerSecond: speeds.length > 0 ? median(speeds) : undefined, millisecondsPerBatch: median(batches.map(({ milliseconds }) => milliseconds)),
    };
  });
}

function speed({ instructions, milliseconds }: Batch): number[] {
  return instructions === undefined || milliseconds <= 0 ? [] : [instructions / milliseconds / 1000];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
