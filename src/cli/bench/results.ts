/** What measurements are kept as: the JSON of `--json` and of tools/vscode/measure-start.mjs, and several such files as one. */
import type { GuestMeasurement } from './guests';
import type { Measurement } from './measure';

export interface BenchResult {
  readonly node: string;
  readonly processor: string;
  readonly date: string;
  readonly rounds: number;
  readonly starts: number;
  /** Peers that could not take part, and why. */
  readonly missing: readonly string[];
  /** Programs that the Linux guests started. */
  readonly forks: number;
  readonly measurements: readonly Measurement[];
  readonly guests: readonly GuestMeasurement[];
  /** From F5 to the first guest instruction in VS Code, each start. */
  readonly startMilliseconds?: readonly number[];
}

/** Later files add to earlier ones; of what several have, the last one counts. */
export function mergeResults(parts: readonly Partial<BenchResult>[]): BenchResult {
  const none: BenchResult = { node: 'unknown', processor: 'unknown', date: '', rounds: 0, starts: 0, missing: [], forks: 0, measurements: [], guests: [] };
  return parts.reduce<BenchResult>((all, part) => ({
    ...all, ...part,
    rounds: part.measurements?.length ? part.rounds! : all.rounds, starts: part.measurements?.length ? part.starts! : all.starts,
    forks: part.guests?.length ? part.forks! : all.forks, missing: [...new Set([...all.missing, ...part.missing ?? []])],
    measurements: replace(all.measurements, part.measurements ?? [], ({ kernel, contestant }) => `${kernel} ${contestant}`),
    guests: replace(all.guests, part.guests ?? [], ({ guest, contestant }) => `${guest} ${contestant}`),
  }), none);
}

function replace<T>(old: readonly T[], fresh: readonly T[], key: (one: T) => string): T[] {
  const replaced = new Set(fresh.map(key));
  return [...old.filter((one) => !replaced.has(key(one))), ...fresh];
}
