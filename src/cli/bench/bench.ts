/** `ringside bench`: how fast the engine is, kernel by kernel, alone or beside other machines. */
import os from 'node:os';
import { CliError } from '../errors';
import { writeOutput } from '../files';
import { columns } from '../format/text';
import { contestants, type Contestant } from './contestant';
import { benchGuests } from './guests';
import { kernels } from './kernels';
import { measure, type Measurement } from './measure';
import { benchTable } from './report';

export interface BenchOptions {
  readonly list?: boolean;
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly starts: number;
  readonly peers?: boolean;
  readonly json?: boolean | string;
  readonly guests?: boolean;
}

/** What `--json` writes. */
export interface BenchResult {
  readonly node: string;
  readonly processor: string;
  readonly date: string;
  readonly rounds: number;
  readonly starts: number;
  /** Peers that could not take part, and why. */
  readonly missing: readonly string[];
  readonly measurements: readonly Measurement[];
}

/** @throws CliError for a kernel that does not exist. */
export async function bench(options: BenchOptions): Promise<number> {
  if (options.guests) return benchGuests(options.json === true);
  if (options.list) {
    console.log(columns(kernels.map(({ name, group, title }) => [name, group, title]), ['left', 'left', 'left']));
    return 0;
  }
  const unknown = options.only?.find((name) => !kernels.some((kernel) => kernel.name === name));
  if (unknown !== undefined) throw new CliError(`There is no kernel ${unknown}`, `The kernels are ${kernels.map(({ name }) => name).join(', ')}.`);
  const chosen = options.only ? kernels.filter(({ name }) => options.only?.includes(name)) : kernels;
  const { present, missing } = whoTakesPart(options.peers ?? false);
  for (const reason of missing) process.stderr.write(`${reason}\n`);
  const tell = process.stderr.isTTY && options.json !== true;
  const { rounds, starts } = options;
  const measurements = await measure(present, chosen, { rounds, starts, progress: (text) => { if (tell) process.stderr.write(`\x1b[2K\r${text}`); } });
  if (tell) process.stderr.write('\x1b[2K\r');
  const result: BenchResult = { node: process.version, processor: os.cpus()[0]?.model ?? 'unknown', date: new Date().toISOString(), rounds, starts, missing, measurements };
  if (options.json === true) console.log(JSON.stringify(result));
  else console.log(`${benchTable(measurements)}\n\nMedians of ${rounds} interleaved rounds, and of the first batches of ${starts} processes.`);
  if (typeof options.json === 'string') writeOutput(options.json, `${JSON.stringify(result, undefined, 1)}\n`);
  return measurements.some(({ error }) => error !== undefined) ? 1 : 0;
}

function whoTakesPart(peers: boolean): { readonly present: readonly Contestant[]; readonly missing: readonly string[] } {
  const wanted = peers ? contestants : contestants.slice(0, 1);
  const reasons = wanted.map((contestant) => contestant.missing());
  return { present: wanted.filter((_, n) => reasons[n] === undefined), missing: reasons.flatMap((reason) => reason ?? []) };
}
