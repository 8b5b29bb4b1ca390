/** The results of a benchmark as tables for people. */
import { columns } from '../format/text';
import { comparison, cpuMeans, ratios, OURS, type ComparisonRow } from './comparison';
import { number } from './number';
import type { Measurement } from './measure';
import type { BenchResult } from './results';
import { targets, verdict, type Target } from './targets';

type Phase = 'steady' | 'first';

const figures = { steady: 'millisecondsPerBatch', first: 'firstMilliseconds' } as const;

const headings: Readonly<Record<Phase, string>> = {
  steady: 'Milliseconds a batch, after the warm-up; ratios: how many times as long as this machine',
  first: 'Milliseconds of the first batch in a new process, warm-up included',
};

export function benchTable(measurements: readonly Measurement[]): string {
  const rows = comparison(measurements);
  const peers = [...new Set(measurements.map(({ contestant }) => contestant))].filter((name) => name !== OURS);
  const problems = measurements.flatMap(({ kernel, contestant, error }) => (error === undefined ? [] : [`${contestant} on ${kernel}: ${error}`]));
  return [`${headings.steady}:\n${phaseTable(rows, peers, 'steady')}`, `${headings.first}:\n${phaseTable(rows, peers, 'first')}`, ...problems].join('\n\n');
}

function phaseTable(rows: readonly ComparisonRow[], peers: readonly string[], phase: Phase): string {
  const speed = phase === 'steady' ? ['M instr/s'] : [];
  const head = ['kernel', OURS, ...peers, ...peers.map((name) => `${name} ratio`), ...speed, 'what it is'];
  const lines = rows.map((row) => [
    row.kernel, ...[OURS, ...peers].map((name) => figure(row.measurements[name], phase)), ...peers.map((peer) => number(ratios(row, peer)[phase])),
    ...speed.map(() => number(row.measurements[OURS]?.millionsPerSecond)), row.title,
  ]);
  const means = peers.map((peer) => cpuMeans(rows, peer)[phase]);
  const mean = ['geometric mean', '', ...peers.map(() => ''), ...means.map(number), ...speed.map(() => ''), 'kernels of the CPU'];
  return columns([head, ...lines, ...(means.some((value) => value !== undefined) ? [mean] : [])], head.map((_, n) => (n === 0 || n === head.length - 1 ? 'left' : 'right')));
}

function figure(measurement: Measurement | undefined, phase: Phase): string {
  return measurement === undefined ? '' : measurement.error !== undefined ? 'error' : number(measurement[figures[phase]]);
}

/** The targets that were measured. */
export function targetsTable(result: BenchResult): string {
  const goal = (unit: Target['unit'], value: number | undefined): string => (value === undefined ? '' : unit === 'times' ? `${number(value)}×` : `${number(value)} ${unit}`);
  const rows = targets.flatMap((target) => {
    const { title, unit, must, aim } = target, measured = target.measured(result);
    return measured === undefined ? [] : [[title, goal(unit, must), goal(unit, aim), goal(unit, measured), verdict(target, measured)]];
  });
  return rows.length === 0 ? '' : columns([['target', 'must', 'aim', 'measured', 'reached'], ...rows], ['left', 'right', 'right', 'right', 'left']);
}
