/** Interleaved rounds: in each one every contestant runs one batch while the others are stopped, so that a slow moment of the host hits all alike. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Batch } from './batch';
import type { Contestant, Running } from './contestant';
import { kernelImage, type Kernel } from './kernels';
import { median, sum } from './statistics';

export interface Measurement {
  readonly kernel: string;
  readonly contestant: string;
  /** Why there are no figures: a wrong result, a guest that went astray. */
  readonly error?: string;
  /** The first batch in a new process: translation, and the host's compiler at work; the median of the starts. */
  readonly firstMilliseconds?: number;
  /** Median of the batches after the warm-up. */
  readonly millisecondsPerBatch?: number;
  /** Undefined for a machine that does not count. */
  readonly millionsPerSecond?: number;
  readonly first: readonly Batch[];
  readonly batches: readonly Batch[];
}

export interface MeasureOptions {
  /** Measured batches after the warm-up. */
  readonly rounds: number;
  /** Processes started one after another; each yields a first batch, the last one also the others. */
  readonly starts: number;
  progress(text: string): void;
}

/** Long enough for the host's compiler to have optimized what is hot. */
const WARM_UP_MILLISECONDS = 1500;
const WARM_UP_BATCHES = 3;

/** A contestant at work on one kernel. */
interface Entry {
  readonly contestant: Contestant;
  readonly first: Batch[];
  readonly batches: Batch[];
  running?: Running;
  error?: string;
}

export async function measure(contestants: readonly Contestant[], kernels: readonly Kernel[], options: MeasureOptions): Promise<Measurement[]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ringside-bench-'));
  try {
    const measurements: Measurement[] = [];
    for (const [n, kernel] of kernels.entries()) {
      options.progress(`${n + 1} of ${kernels.length}: ${kernel.name}`);
      const file = path.join(folder, 'kernel.bin');
      fs.writeFileSync(file, kernelImage(kernel));
      measurements.push(...await measureKernel(contestants.filter((contestant) => contestant.runs(kernel)), kernel, file, options));
    }
    return measurements;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function measureKernel(contestants: readonly Contestant[], kernel: Kernel, file: string, { rounds, starts }: MeasureOptions): Promise<Measurement[]> {
  const entries: Entry[] = contestants.map((contestant) => ({ contestant, first: [], batches: [] }));
  const all = async (work: (entry: Entry) => Promise<void>): Promise<void> => {
    for (const entry of entries) {
      if (entry.error !== undefined) continue;
      try {
        await work(entry);
      } catch (error) {
        entry.error = (error as Error).message;
        entry.running?.end();
      }
    }
  };
  try {
    for (let start = 0; start < starts; start++) {
      await all(async (entry) => {
        entry.running?.end();
        entry.running = await entry.contestant.start(kernel, file);
        entry.first.push(await entry.running.batch());
      });
    }
    await all(async ({ running, contestant }) => {
      let warmedUp = 0;
      for (let batch = 0; batch < WARM_UP_BATCHES || warmedUp < (kernel.warmUpMilliseconds ?? WARM_UP_MILLISECONDS); batch++) warmedUp += time(await running!.batch(), contestant);
    });
    for (let round = 0; round < rounds; round++) await all(async ({ running, batches }) => { batches.push(await running!.batch()); });
  } finally {
    entries.forEach(({ running }) => running?.end());
  }
  return entries.map((entry) => summary(kernel, entry));
}

function summary(kernel: Kernel, { contestant, first, batches, error }: Entry): Measurement {
  const base = { kernel: kernel.name, contestant: contestant.name, first, batches };
  if (error !== undefined) return { ...base, error };
  const millisecondsPerBatch = steady(batches, contestant.cpuClock);
  const instructions = batches.flatMap((batch) => batch.instructions ?? []);
  return {
    ...base, millisecondsPerBatch, firstMilliseconds: median(first.map((batch) => time(batch, contestant))),
    ...(instructions.length > 0 && { millionsPerSecond: median(instructions) / millisecondsPerBatch / 1000 }),
  };
}

/** Time on the wall, or the processor's where the host let the process wait. */
function time({ wallMilliseconds, cpuMilliseconds }: Batch, { cpuClock }: Pick<Contestant, 'cpuClock'>): number {
  return cpuClock === 'exact' && cpuMilliseconds !== undefined ? Math.min(wallMilliseconds, cpuMilliseconds) : wallMilliseconds;
}

/** The same for many batches. A clock with coarse steps is good enough for all of them together. */
export function steady(batches: readonly Batch[], cpuClock: Contestant['cpuClock']): number {
  const typical = median(batches.map((batch) => time(batch, { cpuClock })));
  if (cpuClock === 'exact') return typical;
  const cpu = batches.flatMap(({ cpuMilliseconds }) => cpuMilliseconds ?? []);
  return cpu.length === batches.length ? Math.min(typical, sum(cpu) / cpu.length) : typical;
}
