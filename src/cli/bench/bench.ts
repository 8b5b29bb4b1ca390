/** `ringside bench`: how fast the engine is, kernel by kernel, alone or beside other machines. */
import os from 'node:os';
import { CliError } from '../errors';
import { writeOutput } from '../files';
import { columns } from '../format/text';
import { contestants, type Contestant } from './contestant';
import { guestTable } from './guest-report';
import { measureGuests, type GuestMeasurement } from './guests';
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
  readonly forks: number;
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
  /** Programs that the Linux guests started. */
  readonly forks: number;
  readonly measurements: readonly Measurement[];
  readonly guests: readonly GuestMeasurement[];
}

/** @throws CliError for a kernel that does not exist, and for guests that are not there. */
export async function bench(options: BenchOptions): Promise<number> {
  if (options.list) {
    console.log(columns(kernels.map(({ name, group, title }) => [name, group, title]), ['left', 'left', 'left']));
    return 0;
  }
  const unknown = options.only?.find((name) => !kernels.some((kernel) => kernel.name === name));
  if (unknown !== undefined) throw new CliError(`There is no kernel ${unknown}`, `The kernels are ${kernels.map(({ name }) => name).join(', ')}.`);
  const { present, missing } = whoTakesPart(options.peers ?? false);
  for (const reason of missing) process.stderr.write(`${reason}\n`);
  const result = await measured(options, present, missing);
  if (options.json === true) console.log(JSON.stringify(result));
  else console.log(tables(result, options.guests ?? false));
  if (typeof options.json === 'string') writeOutput(options.json, `${JSON.stringify(result, undefined, 1)}\n`);
  return [...result.measurements, ...result.guests].some(({ error }) => error !== undefined) ? 1 : 0;
}

async function measured(options: BenchOptions, present: readonly Contestant[], missing: readonly string[]): Promise<BenchResult> {
  const tell = process.stderr.isTTY && options.json !== true;
  const progress = (text: string): void => { if (tell) process.stderr.write(`\x1b[2K\r${text}`); };
  const { rounds, starts, forks } = options;
  const chosen = options.only ? kernels.filter(({ name }) => options.only?.includes(name)) : kernels;
  const measurements = options.guests ? [] : await measure(present, chosen, { rounds, starts, progress });
  const guests = options.guests ? await measureGuests(present, { forks, starts, progress }) : [];
  progress('');
  return { node: process.version, processor: os.cpus()[0]?.model ?? 'unknown', date: new Date().toISOString(), rounds, starts, forks, missing, measurements, guests };
}

function tables({ measurements, guests, rounds, starts, forks }: BenchResult, ofGuests: boolean): string {
  if (ofGuests) return `${guestTable(guests, forks)}\n\nMedians of ${starts} starts; ratio: how many times as long, or as much, as this machine.`;
  return `${benchTable(measurements)}\n\nMedians of ${rounds} interleaved rounds, and of the first batches of ${starts} processes.`;
}

function whoTakesPart(peers: boolean): { readonly present: readonly Contestant[]; readonly missing: readonly string[] } {
  const wanted = peers ? contestants : contestants.slice(0, 1);
  const reasons = wanted.map((contestant) => contestant.missing());
  return { present: wanted.filter((_, n) => reasons[n] === undefined), missing: reasons.flatMap((reason) => reason ?? []) };
}
