/** The results of a benchmark, as a table or as JSON. */
import { columns } from '../format/text';
import { kernels } from './kernels';
import type { Measurement } from './measure';

export function benchTable(measurements: readonly Measurement[]): string {
  const first = measurements[0]?.millionsPerSecond;
  const rows = measurements.map(({ kernel, millionsPerSecond, rounds, warmUpMilliseconds }) => {
    const speeds = rounds.flatMap(({ instructions, milliseconds }) => (instructions === undefined ? [] : [instructions / milliseconds / 1000]));
    const title = kernels.find(({ name }) => name === kernel)?.title ?? '';
    return [
      kernel, number(millionsPerSecond), speeds.length > 0 ? `${number(Math.min(...speeds))}–${number(Math.max(...speeds))}` : '',
      millionsPerSecond !== undefined && first !== undefined && first > 0 ? (millionsPerSecond / first).toFixed(3) : '',
      `${warmUpMilliseconds.toFixed(1)} ms`, title,
    ];
  });
  return columns([['kernel', 'M instr/s', 'range', 'ratio', 'warm-up', 'what it is'], ...rows], ['left', 'right', 'right', 'right', 'right', 'left']);
}

function number(value: number | undefined): string {
  if (value === undefined) return '–';
  return value.toFixed(value < 10 ? 2 : 1);
}
