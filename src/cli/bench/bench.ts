/** `ringside bench`: how fast the engine is, kernel by kernel, alone or beside other machines. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CliError } from '../errors';
import { readInput, writeOutput } from '../files';
import { columns } from '../format/text';
import { contestants, type Contestant } from './contestant';
import { guestTable } from './guest-report';
import { measureGuests } from './guests';
import { kernels } from './kernels';
import { measure } from './measure';
import { performanceChart, performanceDocument } from './document';
import { benchTable, targetsTable } from './report';
import { mergeResults, type BenchResult } from './results';

export interface BenchOptions {
  readonly list?: boolean;
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly starts: number;
  readonly peers?: boolean;
  readonly json?: boolean | string;
  readonly guests?: boolean;
  readonly forks: number;
  readonly report?: readonly string[];
}

/** @throws CliError for a kernel that does not exist, and for guests that are not there. */
export async function bench(options: BenchOptions): Promise<number> {
  if (options.list) {
    console.log(columns(kernels.map(({ name, group, title }) => [name, group, title]), ['left', 'left', 'left']));
    return 0;
  }
  if (options.report) return report(options.report);
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

function tables(result: BenchResult, ofGuests: boolean): string {
  const { measurements, guests, rounds, starts, forks } = result;
  const parts = ofGuests
    ? [guestTable(guests, forks), `Medians of ${starts} starts; ratio: how many times as long, or as much, as this machine.`]
    : [benchTable(measurements), `Medians of ${rounds} interleaved rounds, and of the first batches of ${starts} processes.`];
  return [...parts, targetsTable(result)].filter((part) => part !== '').join('\n\n');
}

/** Writes docs/performance.md and its chart out of the files' results. @throws CliError for a file that holds none */
function report(files: readonly string[]): number {
  const result = mergeResults(files.map((file) => {
    const text = new TextDecoder().decode(readInput(file));
    try {
      return JSON.parse(text) as Partial<BenchResult>;
    } catch {
      throw new CliError(`${file} is no result of a benchmark`, 'Make one with: ringside bench --peers --json FILE');
    }
  }));
  fs.mkdirSync('docs', { recursive: true });
  writeOutput(path.join('docs', 'performance.md'), performanceDocument(result));
  writeOutput(path.join('docs', 'performance.svg'), performanceChart(result));
  return 0;
}

function whoTakesPart(peers: boolean): { readonly present: readonly Contestant[]; readonly missing: readonly string[] } {
  const wanted = peers ? contestants : contestants.slice(0, 1);
  const reasons = wanted.map((contestant) => contestant.missing());
  return { present: wanted.filter((_, n) => reasons[n] === undefined), missing: reasons.flatMap((reason) => reason ?? []) };
}
