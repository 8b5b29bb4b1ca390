/** `ringside bench`: how fast the engine is, kernel by kernel. */
import { CliError } from '../errors';
import { columns } from '../format/text';
import { ringside } from './contestant';
import { benchGuests } from './guests';
import { kernels } from './kernels';
import { measure } from './measure';
import { benchTable } from './report';

export interface BenchOptions {
  readonly list?: boolean;
  readonly only?: readonly string[];
  readonly rounds: number;
  readonly json?: boolean;
  readonly guests?: boolean;
}

/** @throws CliError for a kernel that does not exist. */
export function bench(options: BenchOptions): number {
  if (options.guests) return benchGuests(options.json ?? false);
  if (options.list) {
    console.log(columns(kernels.map(({ name, title }) => [name, title]), ['left', 'left']));
    return 0;
  }
  const unknown = options.only?.find((name) => !kernels.some((kernel) => kernel.name === name));
  if (unknown !== undefined) throw new CliError(`There is no kernel ${unknown}`, `The kernels are ${kernels.map(({ name }) => name).join(', ')}.`);
  const chosen = options.only ? kernels.filter(({ name }) => options.only?.includes(name)) : kernels;
  const tell = process.stderr.isTTY && !options.json;
  const measurements = measure(ringside, chosen, options.rounds, (text) => { if (tell) process.stderr.write(`\x1b[2K\r${text}`); });
  if (tell) process.stderr.write('\x1b[2K\r');
  if (options.json) console.log(JSON.stringify({ node: process.version, rounds: options.rounds, measurements }));
  else console.log(`${benchTable(measurements)}\n\nMedians of ${options.rounds} interleaved rounds; range: slowest and fastest; ratio: to the first kernel; warm-up: what the first batches took\nbeyond the same number of batches at full speed.`);
  return 0;
}
