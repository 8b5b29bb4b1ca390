/** Measurements side by side: a row for each kernel, ratios to this machine, geometric means over the kernels of the targets. */
import { kernels, type KernelGroup } from './kernels';
import type { Measurement } from './measure';
import { geometricMean } from './statistics';

export const OURS = 'ringside';

export interface ComparisonRow {
  readonly kernel: string;
  readonly title: string;
  readonly group: KernelGroup;
  /** By contestant. */
  readonly measurements: Readonly<Record<string, Measurement>>;
}

/** How many times as long as this machine the peer takes. */
export interface Ratios {
  readonly steady: number | undefined;
  readonly first: number | undefined;
}

export function comparison(measurements: readonly Measurement[]): ComparisonRow[] {
  return kernels.flatMap(({ name, title, group }) => {
    const of = measurements.filter(({ kernel }) => kernel === name);
    return of.length === 0 ? [] : [{ kernel: name, title, group, measurements: Object.fromEntries(of.map((one) => [one.contestant, one])) }];
  });
}

export function ratios({ measurements }: ComparisonRow, peer: string): Ratios {
  const ours = measurements[OURS], theirs = measurements[peer];
  const ratio = (key: 'millisecondsPerBatch' | 'firstMilliseconds'): number | undefined => {
    const [a, b] = [ours?.[key], theirs?.[key]];
    return a !== undefined && b !== undefined && a > 0 ? b / a : undefined;
  };
  return { steady: ratio('millisecondsPerBatch'), first: ratio('firstMilliseconds') };
}

/** Over the kernels of the CPU group that both have finished. */
export function cpuMeans(rows: readonly ComparisonRow[], peer: string): Ratios {
  const all = rows.filter(({ group }) => group === 'cpu').map((row) => ratios(row, peer));
  return { steady: geometricMean(all.flatMap(({ steady }) => steady ?? [])), first: geometricMean(all.flatMap(({ first }) => first ?? [])) };
}
